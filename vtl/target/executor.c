/* SPDX-License-Identifier: GPL-2.0-or-later */
/* executor.c: one thread per logical unit that runs jobs in order and hands them back by an eventfd. */
#include "vtl/target/executor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/thread.h"

struct list {
    struct exec_job *head;
    struct exec_job **tail;
};

struct executor {
    struct lock lock; /* a leaf, held for a few instructions: the transport's thread takes it too (I5) */
    struct cond work;
    struct list queued, ran;
    bool idle; /* the thread waits: only then is waking it worth a system call */
    bool stop;
    bool handed_back; /* the job that runs; the thread's own */
    int fd;
    pthread_t thread;
};

static void list_init(struct list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

static void list_add_job(struct list *l, struct exec_job *job)
{
    job->next = NULL;
    *l->tail = job;
    l->tail = &job->next;
}

static struct exec_job *list_pop(struct list *l)
{
    struct exec_job *job = l->head;
    if (job) {
        l->head = job->next;
        if (!l->head)
            l->tail = &l->head;
    }
    return job;
}

/* A counter of an eventfd overflows after 2^64 - 2 additions, so that EAGAIN cannot happen; EINTR can. */
static void signal_done(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* The next job, or NULL when the executor ends. */
static struct exec_job *next_job(struct executor *e)
{
    lock_assert_held(&e->lock);
    while (!e->queued.head && !e->stop) {
        e->idle = true;
        cond_wait(&e->work, &e->lock);
    }
    e->idle = false;
    return list_pop(&e->queued);
}

void executor_hand_back(struct executor *e, struct exec_job *job)
{
    e->handed_back = true;
    lock_take(&e->lock);
    bool first = !e->ran.head;
    list_add_job(&e->ran, job);
    lock_release(&e->lock);
    if (first) /* else the eventfd is readable already, and executor_done takes this one too */
        signal_done(e->fd);
}

static void *executor_main(void *arg)
{
    struct executor *e = arg;
    struct exec_job *job;

    lock_take(&e->lock);
    while ((job = next_job(e)) != NULL) {
        lock_release(&e->lock);
        e->handed_back = false;
        job->run(job);
        if (!e->handed_back)
            executor_hand_back(e, job);
        lock_take(&e->lock);
    }
    lock_release(&e->lock);
    return NULL;
}

struct executor *executor_new(const char *name)
{
    struct executor *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    list_init(&e->queued);
    list_init(&e->ran);
    lock_init(&e->lock, LOCK_EXECUTOR);
    cond_init(&e->work);
    e->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->fd >= 0 && thread_start(&e->thread, name, executor_main, e) == 0)
        return e;
    if (e->fd >= 0)
        close(e->fd);
    cond_fini(&e->work);
    lock_fini(&e->lock);
    free(e);
    return NULL;
}

int executor_done_fd(const struct executor *e)
{
    return e->fd;
}

void executor_submit(struct executor *e, struct exec_job *job)
{
    lock_take(&e->lock);
    list_add_job(&e->queued, job);
    bool wake = e->idle;
    e->idle = false; /* one signal is enough, however many jobs come before the thread runs */
    lock_release(&e->lock);
    if (wake)
        cond_signal(&e->work);
}

bool executor_is_idle(struct executor *e)
{
    lock_take(&e->lock);
    bool idle = e->idle;
    lock_release(&e->lock);
    return idle;
}

bool executor_remove(struct executor *e, struct exec_job *job)
{
    lock_take(&e->lock);
    struct exec_job **at = &e->queued.head;
    while (*at && *at != job)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found) {
        *at = job->next;
        if (!*at)
            e->queued.tail = at;
    }
    lock_release(&e->lock);
    return found;
}

struct exec_job *executor_done(struct executor *e)
{
    uint64_t count;
    /* The eventfd first, then the list: a job that comes in between is taken now, and its signal wakes the caller once
     * in vain. */
    while (read(e->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    lock_take(&e->lock);
    struct exec_job *jobs = e->ran.head;
    list_init(&e->ran);
    lock_release(&e->lock);
    return jobs;
}

void executor_free(struct executor *e)
{
    lock_take(&e->lock);
    e->stop = true;
    lock_release(&e->lock);
    cond_signal(&e->work);
    pthread_join(e->thread, NULL);
    close(e->fd);
    cond_fini(&e->work);
    lock_fini(&e->lock);
    free(e);
}
