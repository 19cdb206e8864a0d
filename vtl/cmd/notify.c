/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify.c: the queue of messages and the thread that sends them. */
#include "vtl/cmd/notify.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"

enum { MOST_WAITING = 32, TRIES = 3, FIRST_PAUSE_MS = 30000 };

enum way { BY_COMMAND = 1, BY_POST = 2 };

struct waiting {
    struct notify_message m;
    uint64_t number; /* counted as they are sent */
    unsigned ways;   /* enum way: still to be done */
    unsigned tries;  /* made */
    uint64_t at;     /* ticks: not before that */
};

struct notifier {
    const struct vtl_config *cfg;
    unsigned speed;
    pthread_t thread;
    int stop_fd, news_fd; /* eventfds */
    atomic_bool stop;
    struct lock lock;                   /* guards what waits; never held while anything is sent */
    struct waiting queue[MOST_WAITING]; /* in order of number */
    size_t n;
    uint64_t last; /* number */
};

unsigned notify_speed(void)
{
    const char *text = getenv("S3VTL_NOTIFY_SPEED");
    long n = text ? strtol(text, NULL, 10) : 1;
    return n > 1 && n <= 1000 ? (unsigned)n : 1;
}

static unsigned ways_of(const struct vtl_config *cfg)
{
    return (cfg->notify.command[0] ? (unsigned)BY_COMMAND : 0) | (cfg->notify.url[0] ? (unsigned)BY_POST : 0);
}

/* ---- sending ---- */

static void failed(const struct waiting *w, const struct errtext *err, bool last)
{
    log_event(EVENT_NOTIFY_FAILED, "notify: %s %s: %s%s", w->m.event, notify_state_name(w->m.state), err->text,
              last ? "; given up" : "; tried again");
}

/* Tries all ways that are left. */
static void try_once(struct notifier *n, struct waiting *w)
{
    struct errtext err;
    bool last = ++w->tries >= TRIES;
    if (w->ways & BY_COMMAND) {
        if (!notify_command(n->cfg, &w->m, NOTIFY_COMMAND_MS / n->speed, n->stop_fd, &err))
            w->ways &= ~(unsigned)BY_COMMAND;
        else
            failed(w, &err, last);
    }
    if ((w->ways & BY_POST) && !atomic_load(&n->stop)) {
        if (!notify_post(n->cfg, &w->m, NOTIFY_POST_MS / n->speed, &n->stop, &err))
            w->ways &= ~(unsigned)BY_POST;
        else
            failed(w, &err, last);
    }
    w->at = clock_ms() + ((uint64_t)FIRST_PAUSE_MS << (2 * (w->tries - 1))) / n->speed;
}

/* ---- what waits ---- */

/* At its place: a new one has no number yet, and comes last. */
static void insert(struct notifier *n, const struct waiting *w)
{
    uint64_t number = w->number ? w->number : ++n->last;
    size_t i = n->n++;
    for (; i && n->queue[i - 1].number > number; i--)
        n->queue[i] = n->queue[i - 1];
    n->queue[i] = *w;
    n->queue[i].number = number;
}

static void put(struct notifier *n, const struct waiting *w)
{
    char dropped[32] = "";
    lock_take(&n->lock);
    bool full = n->n == MOST_WAITING, oldest = full && w->number && w->number < n->queue[0].number;
    if (full)
        memcpy(dropped, oldest ? w->m.event : n->queue[0].m.event, sizeof(dropped));
    if (full && !oldest)
        memmove(&n->queue[0], &n->queue[1], --n->n * sizeof(n->queue[0]));
    if (!oldest)
        insert(n, w);
    lock_release(&n->lock);
    if (dropped[0])
        log_event(EVENT_NOTIFY_FAILED, "notify: %s: dropped, as %d newer ones wait", dropped, MOST_WAITING);
}

/* One of its event waits before it: nobody is to hear that it is over before it begins. */
static bool has_elder(const struct notifier *n, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!strcmp(n->queue[k].m.event, n->queue[i].m.event))
            return true;
    return false;
}

/* Takes the first that is due; else *ms: how long until one is, -1: none waits. */
static bool take(struct notifier *n, struct waiting *w, int *ms)
{
    uint64_t now = clock_ms(), first = UINT64_MAX;
    bool found = false;
    lock_take(&n->lock);
    for (size_t i = 0; i < n->n && !found; i++) {
        if (has_elder(n, i))
            continue;
        first = n->queue[i].at < first ? n->queue[i].at : first;
        if (n->queue[i].at > now)
            continue;
        found = true;
        *w = n->queue[i];
        memmove(&n->queue[i], &n->queue[i + 1], (--n->n - i) * sizeof(n->queue[0]));
    }
    lock_release(&n->lock);
    *ms = first == UINT64_MAX ? -1 : first > now ? (int)(first - now) : 0;
    return found;
}

static void *notify_thread(void *arg)
{
    struct notifier *n = arg;
    struct pollfd p[2] = {{.fd = n->stop_fd, .events = POLLIN}, {.fd = n->news_fd, .events = POLLIN}};
    struct waiting w;
    eventfd_t count;
    int ms;
    while (!atomic_load(&n->stop)) {
        if (take(n, &w, &ms)) {
            try_once(n, &w);
            if (w.ways && w.tries < TRIES)
                put(n, &w);
        } else if (poll(p, 2, ms) > 0 && p[1].revents) {
            (void)eventfd_read(n->news_fd, &count);
        }
    }
    return NULL;
}

void notify_send(struct notifier *n, const struct notify_message *m)
{
    if (!n)
        return;
    const struct waiting w = {.m = *m, .ways = ways_of(n->cfg)};
    put(n, &w);
    (void)eventfd_write(n->news_fd, 1);
}

/* ---- start and stop ---- */

static void free_notifier(struct notifier *n)
{
    if (n->stop_fd >= 0)
        close(n->stop_fd);
    if (n->news_fd >= 0)
        close(n->news_fd);
    lock_fini(&n->lock);
    free(n);
}

int notify_start(const struct vtl_config *cfg, struct notifier **out)
{
    *out = NULL;
    if (!ways_of(cfg))
        return 0;
    struct notifier *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->cfg = cfg;
    n->speed = notify_speed();
    lock_init(&n->lock, LOCK_NOTIFY);
    n->stop_fd = eventfd(0, EFD_CLOEXEC);
    n->news_fd = eventfd(0, EFD_CLOEXEC);
    int rc = n->stop_fd < 0 || n->news_fd < 0 ? -EMFILE : thread_start(&n->thread, "notify", notify_thread, n);
    if (rc) {
        free_notifier(n);
        return rc;
    }
    *out = n;
    return 0;
}

void notify_stop(struct notifier *n)
{
    if (!n)
        return;
    atomic_store(&n->stop, true);
    (void)eventfd_write(n->stop_fd, 1);
    (void)pthread_join(n->thread, NULL);
    for (size_t i = 0; i < n->n; i++)
        log_event(EVENT_NOTIFY_FAILED, "notify: %s %s: not sent, as serve ends", n->queue[i].m.event,
                  notify_state_name(n->queue[i].m.state));
    free_notifier(n);
}
