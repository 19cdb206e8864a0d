/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_lanes.c: HTTP exchanges on the caller's own thread.
 *
 * A streamed body goes to its sink as it arrives, and a sink may wait (a disk that is slow). On the engine's one thread
 * that would hold up every other exchange, and handing the bytes to another thread would copy each once more. On the
 * caller's thread it holds up this one exchange, and by TCP's window the store that sends it. It also leaves the
 * engine's turns to the short exchanges: a ranged read that a host waits for is not behind whole segments.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "s3backend/s3_transfer.h"

enum { POLL_MS = 100 };

struct lane {
    struct lane *next;
    CURLM *multi; /* holds the connection to be used again */
    CURL *easy;
};

struct http_lanes {
    struct lock lock; /* guards idle */
    struct lane *idle;
};

static void free_lane(struct lane *l)
{
    if (l->easy)
        curl_easy_cleanup(l->easy);
    if (l->multi)
        curl_multi_cleanup(l->multi);
    free(l);
}

static struct lane *take_lane(struct http_lanes *s)
{
    lock_take(&s->lock);
    struct lane *l = s->idle;
    if (l)
        s->idle = l->next;
    lock_release(&s->lock);
    if (l || !(l = calloc(1, sizeof(*l))))
        return l;
    l->multi = curl_multi_init();
    l->easy = curl_easy_init();
    if (l->multi && l->easy)
        return l;
    free_lane(l);
    return NULL;
}

static void give_back(struct http_lanes *s, struct lane *l)
{
    lock_take(&s->lock);
    l->next = s->idle;
    s->idle = l;
    lock_release(&s->lock);
}

/* True when the exchange is over. */
static bool look(struct lane *l, struct transfer *t)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(l->multi, &left));)
        if (m->msg == CURLMSG_DONE) {
            transfer_conclude(t, m->data.result);
            return true;
        }
    return transfer_is_over(t, clock_ms());
}

static void run(struct lane *l, struct transfer *t)
{
    int running;
    do {
        if (curl_multi_perform(l->multi, &running) != CURLM_OK) {
            transfer_set_broken(t, CURLE_FAILED_INIT);
            return;
        }
        if (look(l, t))
            return;
        if (t->held && transfer_go_on(t))
            continue;
    } while (curl_multi_poll(l->multi, NULL, 0, t->held ? TRANSFER_HELD_MS : POLL_MS, NULL) == CURLM_OK);
    transfer_set_broken(t, CURLE_FAILED_INIT);
}

static void run_on(struct lane *l, struct transfer *t)
{
    t->easy = l->easy;
    t->moved_ms = clock_ms();
    CURLcode code = transfer_set_up(t);
    if (code == CURLE_OK && curl_multi_add_handle(l->multi, t->easy) != CURLM_OK)
        code = CURLE_FAILED_INIT;
    if (code == CURLE_OK)
        run(l, t);
    else
        transfer_set_broken(t, code);
    curl_multi_remove_handle(l->multi, t->easy);
    curl_easy_reset(t->easy); /* no pointer into the caller's stack stays */
    transfer_free_headers(t);
}

/* OpenSSL writes to closed sockets; the caller's thread is not to get SIGPIPE for it. */
static void block_sigpipe(sigset_t *old)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, old);
}

static void unblock_sigpipe(const sigset_t *old)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!sigismember(old, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) > 0)
            ;
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

void http_lanes_run(struct http_lanes *s, const struct http_request *q, struct http_response *r)
{
    struct transfer t = {.q = q, .r = r};
    if (!transfer_begin(&t))
        return;
    struct lane *l = take_lane(s);
    if (!l) {
        transfer_set_broken(&t, CURLE_OUT_OF_MEMORY);
        return;
    }
    sigset_t old;
    block_sigpipe(&old);
    run_on(l, &t);
    unblock_sigpipe(&old);
    give_back(s, l);
}

struct http_lanes *http_lanes_new(void)
{
    struct http_lanes *s = calloc(1, sizeof(*s));
    if (s)
        lock_init(&s->lock, LOCK_S3_LANES);
    return s;
}

void http_lanes_free(struct http_lanes *s)
{
    for (struct lane *l = s->idle, *next; l; l = next) {
        next = l->next;
        free_lane(l);
    }
    lock_fini(&s->lock);
    free(s);
}
