/* SPDX-License-Identifier: GPL-2.0-or-later */
/* many.c: see many.h. */
#include "base/many.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/thread.h"

#define MOST_THREADS 64
#define AHEAD 4 /* results that wait for done, times parallel */
#define TICK_MS 500

struct run {
    const struct many *m;
    struct lock lock;        /* guards what follows */
    struct cond ready, room; /* for the caller; for the threads */
    bool *is_done;
    size_t next, taken, so_far; /* the next piece; results taken; pieces done */
    size_t ahead;
    bool stop;
};

/* False: there is no more to begin. */
static bool next_piece(struct run *r, size_t *i)
{
    lock_assert_held(&r->lock);
    while (!r->stop && r->next < r->m->n && r->next >= r->taken + r->ahead)
        cond_wait(&r->room, &r->lock);
    if (r->stop || r->next >= r->m->n)
        return false;
    *i = r->next++;
    return true;
}

static void *many_thread(void *arg)
{
    struct run *r = arg;
    size_t i;
    lock_take(&r->lock);
    while (next_piece(r, &i)) {
        lock_release(&r->lock);
        r->m->work(r->m->arg, i);
        lock_take(&r->lock);
        r->is_done[i] = true;
        r->so_far++;
        cond_signal(&r->ready);
    }
    lock_release(&r->lock);
    return NULL;
}

static void tick(struct run *r)
{
    size_t so_far = r->so_far;
    if (!r->m->tick)
        return;
    lock_release(&r->lock);
    r->m->tick(r->m->arg, so_far);
    lock_take(&r->lock);
}

/* Takes the results in order. Releases the lock meanwhile. */
static int take_results(struct run *r)
{
    lock_assert_held(&r->lock);
    int rc = 0;
    while (!rc && r->taken < r->m->n) {
        if (!r->is_done[r->taken]) {
            (void)cond_wait_ms(&r->ready, &r->lock, TICK_MS);
        } else {
            lock_release(&r->lock);
            rc = r->m->done(r->m->arg, r->taken);
            lock_take(&r->lock);
            r->taken++;
            cond_broadcast(&r->room);
        }
        tick(r);
    }
    r->stop = true;
    cond_broadcast(&r->room);
    return rc;
}

static int run_here(const struct many *m)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < m->n; i++) {
        m->work(m->arg, i);
        rc = m->done(m->arg, i);
        if (m->tick)
            m->tick(m->arg, i + 1);
    }
    return rc;
}

int many_run(const struct many *m)
{
    pthread_t threads[MOST_THREADS];
    size_t n = 0, want = m->parallel < MOST_THREADS ? m->parallel : MOST_THREADS;
    struct run r = {.m = m, .ahead = AHEAD * (want ? want : 1), .is_done = calloc(m->n + 1, sizeof(bool))};
    if (!r.is_done)
        return -ENOMEM;
    lock_init(&r.lock, LOCK_MANY);
    cond_init(&r.ready);
    cond_init(&r.room);
    while (n < want && n < m->n && !thread_start(&threads[n], "many", many_thread, &r))
        n++;
    int rc = 0;
    if (n) {
        lock_take(&r.lock);
        rc = take_results(&r);
        lock_release(&r.lock);
    } else {
        rc = run_here(m);
    }
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    cond_fini(&r.ready);
    cond_fini(&r.room);
    lock_fini(&r.lock);
    free(r.is_done);
    return rc;
}
