/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrower.c: see escrower.h. How one is made is escrow_make.c's. */
#include "vtl/cmd/escrower.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/human.h"
#include "base/lock.h"
#include "base/thread.h"
#include "vtl/cmd/ask.h"
#include "vtl/cmd/members.h"
#include "vtl/cmd/notify.h"

enum {
    EVERY_MS = 30000,
    UNDECIDED_MS = 1000, /* until it is known what the store is */
    AGAIN_MS = 900000,   /* after one that failed */
    LIST_TRIES = 30,     /* a second apart: a library that is changed lists nothing meanwhile */
    LIST_PAUSE_MS = 1000,
    GRACE_MS = 5000,
};

/* All is the thread's but what start and stop touch while there is none, and what the lock guards. */
struct escrower {
    struct vtl_config *cfg; /* its own: it may outlive serve's */
    pthread_t thread;
    int stop_fd; /* an eventfd */
    atomic_bool stop;
    unsigned speed;
    struct ask ask;
    uint64_t reloads;  /* that were heeded */
    uint64_t again_ms; /* clock_ms(): not before that */
    bool needless;     /* as was said */
    bool undecided;    /* at the last look */
    char why[300];     /* of the last failure that was logged; "": none */
    struct lock lock;  /* a leaf */
    struct escrow_view view;
};

/* ---- a look ---- */

static void set_view(struct escrower *e, const struct escrow_view *v)
{
    lock_take(&e->lock);
    e->view = *v;
    lock_release(&e->lock);
}

static void heed_reload(struct escrower *e, const json_t *figures)
{
    struct errtext err;
    if (ask_reload(&e->ask, figures, &e->reloads, &e->cfg, &err) < 0)
        log_err("escrow: goes on as before: %s", err.text);
}

static void look_at_age(struct escrower *e, const struct escrow_last *last, uint32_t content)
{
    struct escrow_view v = {.known = true,
                            .is = true,
                            .created = last->created,
                            .waits = escrow_waits_since(last, content),
                            .failed = last->failed};
    (void)escrow_is_old(last, content, (uint64_t)time(NULL), v.trouble, sizeof(v.trouble));
    set_view(e, &v);
}

static json_t *list_cartridges(void *arg)
{
    struct escrower *e = arg;
    struct pollfd p = {.fd = e->stop_fd, .events = POLLIN};
    json_t *list = ask_cartridges(&e->ask);
    for (int i = 1; !list && i < LIST_TRIES && poll(&p, 1, LIST_PAUSE_MS) <= 0; i++)
        list = ask_cartridges(&e->ask);
    return list;
}

static void make(struct escrower *e, uint32_t content)
{
    struct escrow_making x = {
        .cfg = e->cfg, .cancel = &e->stop, .cartridges = list_cartridges, .arg = e, .content = content};
    struct escrow_last last;
    struct errtext err = {""};
    char size[HUMAN_ROOM];
    int rc = escrow_make(&x, &err);
    uint64_t again = e->cfg->escrow.every < AGAIN_MS ? e->cfg->escrow.every : AGAIN_MS;
    e->again_ms = rc || x.needless || !x.whole ? clock_ms() + again / e->speed : 0;
    if (rc == -ECANCELED || rc == -EBUSY || (!rc && x.needless))
        return;
    bool told = !strcmp(e->why, err.text);
    (void)snprintf(e->why, sizeof(e->why), "%.*s", (int)sizeof(e->why) - 1, err.text);
    if (!rc)
        log_info("escrow: %s: %s, read back and good", x.made.key, human_size(x.made.size, size));
    else if (!told)
        log_event(EVENT_ESCROW_FAILED, "escrow: %s", err.text);
    if (!rc && x.unpruned.text[0])
        log_warn("escrow: older ones than [escrow] keep says stay: %s", x.unpruned.text);
    if (!rc && !x.whole)
        log_warn("escrow: the store was never quiet: some of what this one names was not off-site yet");
    escrow_last_read(e->cfg, &last);
    look_at_age(e, &last, x.content);
}

/* Does this library need none? Said once. */
static bool is_needless(struct escrower *e, const json_t *status)
{
    bool needless = escrow_is_needless(e->cfg, status);
    if (needless && !e->needless)
        log_notice("escrow: %s", ESCROW_NEEDLESS);
    e->needless = needless;
    return needless;
}

static void look_at_library(struct escrower *e, const json_t *status)
{
    struct escrow_last last;
    uint32_t content = escrow_content_now(e->cfg, json_object_get(status, "cartridges"));
    struct escrow_due due = {.now = (uint64_t)time(NULL),
                             .every = e->cfg->escrow.every / 1000 / e->speed,
                             .waits = clock_ms() < e->again_ms,
                             .offsite =
                                 !json_object_get(status, "offsite_bytes") || !member_number(status, "accepted_bytes")};
    escrow_note_content(e->cfg, content, due.now, &last);
    look_at_age(e, &last, content);
    if (e->cfg->escrow.every && !atomic_load(&e->stop) && escrow_is_due(&due, &last, content))
        make(e, content);
}

static void look(struct escrower *e)
{
    const struct escrow_view none = {.known = true};
    json_t *figures, *status;
    ask_all(&e->ask, &figures, &status);
    if (figures)
        heed_reload(e, figures);
    e->undecided = config_has_escrow(e->cfg) && status && escrow_is_undecided(e->cfg, status);
    if (!config_has_escrow(e->cfg) || (status && is_needless(e, status)))
        set_view(e, &none);
    else if (status && !e->undecided)
        look_at_library(e, status);
    json_decref(figures);
    json_decref(status);
}

/* ---- the thread ---- */

static void *escrow_thread(void *arg)
{
    struct escrower *e = arg;
    struct pollfd p = {.fd = e->stop_fd, .events = POLLIN};
    int every = (int)(EVERY_MS / e->speed), soon = every < UNDECIDED_MS ? every : UNDECIDED_MS;
    do
        look(e);
    while (poll(&p, 1, e->undecided ? soon : every) <= 0);
    return NULL;
}

static void free_escrower(struct escrower *e)
{
    ask_end(&e->ask);
    if (e->stop_fd >= 0)
        close(e->stop_fd);
    lock_fini(&e->lock);
    config_free(e->cfg);
    free(e);
}

int escrower_start(const struct vtl_config *cfg, struct escrower **out)
{
    struct escrower *e = calloc(1, sizeof(*e));
    *out = NULL;
    if (!e)
        return -ENOMEM;
    lock_init(&e->lock, LOCK_ESCROW);
    e->speed = notify_speed();
    e->ask.owing_fd = -1;
    e->stop_fd = eventfd(0, EFD_CLOEXEC);
    int rc = e->stop_fd < 0 ? -errno : config_load(cfg->file, &e->cfg, NULL);
    e->ask.cfg = e->cfg;
    if (!rc)
        rc = thread_start(&e->thread, "escrow", escrow_thread, e);
    if (rc) {
        free_escrower(e);
        return rc;
    }
    *out = e;
    return 0;
}

void escrower_view(struct escrower *e, struct escrow_view *out)
{
    *out = (struct escrow_view){.known = false};
    if (!e)
        return;
    lock_take(&e->lock);
    *out = e->view;
    lock_release(&e->lock);
}

void escrower_cancel(struct escrower *e)
{
    if (!e)
        return;
    atomic_store(&e->stop, true);
    (void)eventfd_write(e->stop_fd, 1);
}

void escrower_stop(struct escrower *e)
{
    if (!e)
        return;
    escrower_cancel(e);
    if (thread_join_within(e->thread, GRACE_MS)) {
        free_escrower(e);
        return;
    }
    log_warn("escrow: what it uses does not answer: it is left");
    (void)pthread_detach(e->thread);
}
