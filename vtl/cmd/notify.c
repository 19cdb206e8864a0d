/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify.c: the queue of messages and the thread that sends them; s3vtl notify --test. */
#include "vtl/cmd/notify.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"
#include "vtl/cmd/cmd.h"

enum { MOST_WAITING = 32, TRIES = 3, FIRST_PAUSE_MS = 30000 };

enum way { BY_COMMAND = 1, BY_POST = 2 };

struct waiting {
    struct notify_message m;
    unsigned ways;  /* enum way: still to be done */
    unsigned tries; /* made */
    uint64_t at;    /* ticks: not before that */
};

struct notifier {
    const struct vtl_config *cfg;
    unsigned speed;
    pthread_t thread;
    int stop_fd, news_fd; /* eventfds */
    atomic_bool stop;
    struct lock lock; /* guards what waits; never held while anything is sent */
    struct waiting queue[MOST_WAITING];
    size_t n;
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

static void put(struct notifier *n, const struct waiting *w)
{
    char dropped[32] = "";
    lock_take(&n->lock);
    if (n->n == MOST_WAITING) {
        memcpy(dropped, n->queue[0].m.event, sizeof(dropped));
        memmove(&n->queue[0], &n->queue[1], --n->n * sizeof(n->queue[0]));
    }
    n->queue[n->n++] = *w;
    lock_release(&n->lock);
    if (dropped[0])
        log_event(EVENT_NOTIFY_FAILED, "notify: %s: dropped, as %d newer ones wait", dropped, MOST_WAITING);
}

/* Takes the first that is due; else *ms: how long until one is, -1: none waits. */
static bool take(struct notifier *n, struct waiting *w, int *ms)
{
    uint64_t now = clock_ms(), first = UINT64_MAX;
    bool found = false;
    lock_take(&n->lock);
    for (size_t i = 0; i < n->n && !found; i++) {
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

/* ---- the command ---- */

static int test_ways(const struct command_line *cl, const struct vtl_config *cfg)
{
    struct errtext err;
    int status = EXIT_DONE;
    struct notify_message m = {.event = "test", .state = NOTIFY_TEST, .began = (uint64_t)time(NULL)};
    (void)snprintf(m.text, sizeof(m.text), "a test message; nothing is wrong");
    (void)signal(SIGPIPE, SIG_IGN);
    if (!ways_of(cfg))
        return fail("%s: neither [notify] command nor url is set", cfg->file);
    if (cfg->notify.command[0]) {
        if (notify_command(cfg, &m, NOTIFY_COMMAND_MS, -1, &err))
            status = fail("%s", err.text);
        else if (!cl->quiet)
            printf("%s ran, and ended well\n", cfg->notify.command);
    }
    if (cfg->notify.url[0]) {
        if (notify_post(cfg, &m, NOTIFY_POST_MS, NULL, &err))
            status = fail("%s", err.text);
        else if (!cl->quiet)
            puts("the webhook took it");
    }
    return status;
}

int cmd_notify(const struct command_line *given)
{
    struct command_line cl = *given;
    if (!take_flag(&cl, "--test"))
        return usage_error("notify: only \"notify --test\" is there: serve sends what is true");
    if (!check_arguments(&cl, 0, false, "notify --test"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    int status = test_ways(&cl, cfg);
    config_free(cfg);
    return status;
}
