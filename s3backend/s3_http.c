/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_http.c: HTTP exchanges in parallel on one thread of libcurl's multi interface.
 *
 * One thread owns all of libcurl: connections are shared and used again, and no caller can be stuck in it. A caller's
 * transfer lives on the caller's stack, goes to the waiting list, then to the active one, and is done exactly once.
 */
#include "s3backend/s3_http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"
#include "s3backend/s3_transfer.h"

enum { POLL_MS = 100, IDLE_MS = 60000 };

struct http_engine {
    pthread_t thread;
    struct lock lock; /* waiting, done flags, stop */
    struct cond ended;
    CURLM *multi;
    struct transfer *waiting, **waiting_tail;
    struct transfer *active; /* the thread's own */
    CURL **idle;             /* handles to be used again; the thread's own */
    unsigned n_active, n_idle;
    atomic_uint parallel;
    bool stop;
};

static void end_transfer(struct http_engine *e, struct transfer *t)
{
    lock_take(&e->lock);
    t->done = true; /* from here on it's the caller's */
    cond_broadcast(&e->ended);
    lock_release(&e->lock);
}

static void unlink_active(struct http_engine *e, struct transfer *t)
{
    struct transfer **p = &e->active;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    e->n_active--;
}

/* Takes the transfer from libcurl; with an unfinished one its connection is closed. */
static void finish(struct http_engine *e, struct transfer *t)
{
    unlink_active(e, t);
    curl_multi_remove_handle(e->multi, t->easy);
    curl_easy_reset(t->easy); /* no pointer into the caller's stack stays */
    e->idle[e->n_idle++] = t->easy;
    transfer_free_headers(t);
    end_transfer(e, t);
}

static void start(struct http_engine *e, struct transfer *t)
{
    t->easy = e->n_idle ? e->idle[--e->n_idle] : curl_easy_init();
    t->next = e->active;
    e->active = t;
    e->n_active++;
    t->moved_ms = clock_ms();
    if (!t->easy) {
        transfer_set_broken(t, CURLE_OUT_OF_MEMORY);
        unlink_active(e, t);
        end_transfer(e, t);
        return;
    }
    CURLcode code = transfer_set_up(t);
    if (code == CURLE_OK && curl_multi_add_handle(e->multi, t->easy) != CURLM_OK)
        code = CURLE_FAILED_INIT;
    if (code != CURLE_OK) {
        transfer_set_broken(t, code);
        finish(e, t);
    }
}

static struct transfer *take_waiting(struct http_engine *e)
{
    lock_assert_held(&e->lock);
    struct transfer *t = e->waiting;
    if (t) {
        e->waiting = t->next;
        if (!e->waiting)
            e->waiting_tail = &e->waiting;
    }
    return t;
}

static void start_waiting(struct http_engine *e)
{
    while (e->n_active < atomic_load(&e->parallel)) {
        lock_take(&e->lock);
        struct transfer *t = take_waiting(e);
        lock_release(&e->lock);
        if (!t)
            return;
        start(e, t);
    }
}

static void drop_canceled_waiting(struct http_engine *e)
{
    bool dropped = false;
    lock_take(&e->lock);
    for (struct transfer **p = &e->waiting; *p;) {
        struct transfer *t = *p;
        if (!transfer_canceled(t)) {
            p = &t->next;
            continue;
        }
        *p = t->next;
        t->r->outcome = HTTP_CANCELED;
        t->done = dropped = true;
    }
    e->waiting_tail = &e->waiting;
    while (*e->waiting_tail)
        e->waiting_tail = &(*e->waiting_tail)->next;
    if (dropped)
        cond_broadcast(&e->ended);
    lock_release(&e->lock);
}

/* Of those that wait for their rate, whoever has had no turn for the longest goes on, if it may. One at a time: libcurl
 * would ask several in an order of its own. */
static void let_one_go_on(struct http_engine *e)
{
    struct transfer *first = NULL;
    for (struct transfer *t = e->active; t; t = t->next)
        if (t->held && (!first || t->turn_ns < first->turn_ns))
            first = t;
    if (first)
        (void)transfer_go_on(first);
}

static void look_after_active(struct http_engine *e)
{
    uint64_t now = clock_ms();
    struct transfer *next;
    for (struct transfer *t = e->active; t; t = next) {
        next = t->next;
        if (transfer_is_over(t, now))
            finish(e, t);
    }
}

static void read_messages(struct http_engine *e)
{
    int left;
    for (CURLMsg *m = curl_multi_info_read(e->multi, &left); m; m = curl_multi_info_read(e->multi, &left)) {
        struct transfer *t = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        transfer_conclude(t, code);
        finish(e, t);
    }
}

/* libcurl itself failed (out of memory): nothing that is under way can end well. */
static void fail_active(struct http_engine *e)
{
    while (e->active) {
        struct transfer *t = e->active;
        transfer_set_broken(t, CURLE_FAILED_INIT);
        finish(e, t);
    }
}

static bool is_held(const struct http_engine *e)
{
    for (const struct transfer *t = e->active; t; t = t->next)
        if (t->held)
            return true;
    return false;
}

/* How long the thread may sleep; -1: it is to end. */
static int sleep_ms(struct http_engine *e)
{
    lock_take(&e->lock);
    int ms = e->stop                                                 ? -1
             : e->waiting && e->n_active < atomic_load(&e->parallel) ? 0
             : is_held(e)                                            ? TRANSFER_HELD_MS
             : e->waiting || e->active                               ? POLL_MS
                                                                     : IDLE_MS;
    lock_release(&e->lock);
    return ms;
}

static void *engine_thread(void *arg)
{
    struct http_engine *e = arg;
    for (;;) {
        int running;
        start_waiting(e);
        let_one_go_on(e);
        if (curl_multi_perform(e->multi, &running) != CURLM_OK)
            fail_active(e);
        read_messages(e);
        look_after_active(e);
        drop_canceled_waiting(e);
        int ms = sleep_ms(e);
        if (ms < 0)
            return NULL;
        if (curl_multi_poll(e->multi, NULL, 0, ms, NULL) != CURLM_OK)
            usleep(POLL_MS * 1000);
    }
}

void http_run(struct http_engine *e, const struct http_request *q, struct http_response *r)
{
    struct transfer t = {.q = q, .r = r};
    if (!transfer_begin(&t))
        return;
    lock_take(&e->lock);
    *e->waiting_tail = &t;
    e->waiting_tail = &t.next;
    lock_release(&e->lock);
    curl_multi_wakeup(e->multi);
    if (q->meanwhile)
        q->meanwhile(q->arg);
    lock_take(&e->lock);
    while (!t.done)
        cond_wait(&e->ended, &e->lock);
    lock_release(&e->lock);
}

static void destroy(struct http_engine *e)
{
    for (unsigned i = 0; i < e->n_idle; i++)
        curl_easy_cleanup(e->idle[i]);
    if (e->multi)
        curl_multi_cleanup(e->multi);
    cond_fini(&e->ended);
    lock_fini(&e->lock);
    free(e->idle);
    free(e);
    curl_global_cleanup();
}

int http_engine_new(unsigned parallel, struct http_engine **out, struct errtext *err)
{
    /* Counted by libcurl, which is thread-safe here since 7.84. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return errtext_set(err, -EIO, "libcurl can't be initialised");
    struct http_engine *e = calloc(1, sizeof(*e));
    if (!e) {
        curl_global_cleanup();
        return errtext_set(err, -ENOMEM, "no memory for the S3 client");
    }
    lock_init(&e->lock, LOCK_S3_HTTP);
    cond_init(&e->ended);
    e->waiting_tail = &e->waiting;
    atomic_store(&e->parallel, parallel);
    e->idle = calloc(HTTP_MAX_PARALLEL, sizeof(CURL *));
    e->multi = curl_multi_init();
    int rc = e->idle && e->multi ? 0 : -ENOMEM;
    if (rc == 0) {
        curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_MAX_PARALLEL);
        rc = thread_start(&e->thread, "http", engine_thread, e);
    }
    if (rc) {
        destroy(e);
        return errtext_set(err, rc, "can't start the S3 client: %s", strerror(-rc));
    }
    *out = e;
    return 0;
}

void http_engine_set_parallel(struct http_engine *e, unsigned parallel)
{
    atomic_store(&e->parallel, parallel);
    curl_multi_wakeup(e->multi);
}

void http_engine_free(struct http_engine *e)
{
    lock_take(&e->lock);
    e->stop = true;
    lock_release(&e->lock);
    curl_multi_wakeup(e->multi);
    pthread_join(e->thread, NULL);
    destroy(e);
}
