/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watcher.c: see watcher.h. What is trouble is watch.c's. */
#include "vtl/cmd/watcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/human.h"
#include "base/jsontext.h"
#include "base/thread.h"
#include "vtl/cmd/ask.h"
#include "vtl/cmd/notify.h"
#include "vtl/cmd/unsaved.h"
#include "vtl/cmd/watch.h"
#include "vtl/library/control.h"

enum { EVERY_MS = 15000, MOMENTS_S = 24 * 3600 };

/* All is the thread's but what start and stop touch while there is none. */
struct watcher {
    const struct vtl_config *cfg;
    struct escrower *escrower; /* or NULL */
    struct notifier *notifier; /* NULL: nobody is to be told but the log and the report */
    pthread_t thread;
    int stop_fd; /* an eventfd */
    unsigned speed;
    uint64_t began; /* seconds since 1970: from then on time runs at that speed */
    struct ask ask;
    bool known; /* what an earlier run told is known */
    struct watch_trouble troubles[WATCH_KINDS];
    struct unsaved unsaved; /* what the library did not take */
};

static uint64_t now_of(const struct watcher *w)
{
    uint64_t now = (uint64_t)time(NULL);
    return now > w->began ? w->began + (now - w->began) * w->speed : now;
}

/* ---- what is kept ---- */

static json_t *record_of(const struct watch_trouble *t, const char *event, uint64_t ended)
{
    return json_pack("{s:s, s:I, s:s, s:o, s:I, s:I, s:I}", "op", "happened", "number", (json_int_t)t->number, "event",
                     event, "text", json_text(t->text), "began", (json_int_t)t->began, "told", (json_int_t)t->told,
                     "ended", (json_int_t)ended);
}

/* *number: as the library counts it. */
static int save(void *arg, const json_t *record, int64_t *number)
{
    const struct watcher *w = arg;
    json_t *result = NULL;
    int rc = control_call(w->cfg, record, ASK_MS, &result, NULL);
    if (!rc)
        *number = json_integer_value(json_object_get(result, "number"));
    json_decref(result);
    return rc;
}

/* What could not be kept is tried again at the next look, unless there is news of the same trouble by then. */
static void keep(struct watcher *w, enum watch_kind kind, uint64_t ended)
{
    struct watch_trouble *t = &w->troubles[kind];
    json_t *record = record_of(t, event_id(watch_event(kind, WATCH_BEGINS)), ended);
    unsaved_put(&w->unsaved, kind, record && save(w, record, &t->number) ? record : NULL);
    json_decref(record);
}

static void keep_unsaved(struct watcher *w)
{
    for (unsigned k = 0; k < WATCH_KINDS; k++)
        unsaved_try(&w->unsaved, (enum watch_kind)k, save, w, &w->troubles[k].number);
}

/* ---- what is told ---- */

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

/* The library logs the others itself, when it sees them. */
static bool is_ours_to_log(enum watch_kind kind)
{
    return kind == WATCH_BACKLOG || kind == WATCH_DISK || kind == WATCH_SILENT || kind == WATCH_ESCROW ||
           kind == WATCH_HEALTH || kind == WATCH_SERVICE || kind == WATCH_BLANKS || kind == WATCH_QUOTA ||
           kind == WATCH_VERIFY;
}

static void tell(struct watcher *w, enum watch_kind kind, enum watch_says says)
{
    struct watch_trouble *t = &w->troubles[kind];
    bool over = says == WATCH_IS_OVER;
    char time[HUMAN_ROOM];
    struct notify_message m = {.state = over                   ? NOTIFY_OVER
                                        : says == WATCH_BEGINS ? NOTIFY_BEGINS
                                                               : NOTIFY_GOES_ON,
                               .began = t->began,
                               .ended = over ? t->good_since : 0};
    (void)snprintf(m.event, sizeof(m.event), "%s", event_id(watch_event(kind, WATCH_BEGINS)));
    if (over)
        (void)snprintf(m.text, sizeof(m.text), "over after %s; it was: %.500s",
                       human_duration(t->good_since > t->began ? t->good_since - t->began : 0, time), t->text);
    else
        (void)snprintf(m.text, sizeof(m.text), "%s", t->text);
    if (is_ours_to_log(kind))
        log_event(watch_event(kind, says), "%s", m.text);
    notify_send(w->notifier, &m);
    keep(w, kind, m.ended);
    if (over)
        watch_clear(t);
}

/* What was over at once, and nobody was told of: blocks that were lost. */
static void tell_moment(struct watcher *w, const json_t *h, uint64_t now)
{
    int64_t number = 0;
    struct notify_message m = {.state = NOTIFY_BEGINS,
                               .began = (uint64_t)json_integer_value(json_object_get(h, "began"))};
    (void)snprintf(m.event, sizeof(m.event), "%s", text_of(h, "event"));
    (void)snprintf(m.text, sizeof(m.text), "%s", text_of(h, "text"));
    json_t *record = json_deep_copy(h);
    json_object_set_new(record, "op", json_string("happened"));
    json_object_set_new(record, "told", json_integer((json_int_t)now));
    if (record && !save(w, record, &number))
        notify_send(w->notifier, &m);
    json_decref(record);
}

/* Trouble that an earlier run told goes on, or is over. */
static void take_over(struct watcher *w, const json_t *h)
{
    enum watch_kind k = watch_kind_of(event_of(text_of(h, "event")));
    if (k == WATCH_KINDS || w->troubles[k].began)
        return;
    w->troubles[k] = (struct watch_trouble){
        .began = (uint64_t)json_integer_value(json_object_get(h, "began")),
        .told = (uint64_t)json_integer_value(json_object_get(h, "told")),
        .number = json_integer_value(json_object_get(h, "number")),
        .weight = WATCH_WEIGHT_UNKNOWN,
    };
    (void)snprintf(w->troubles[k].text, sizeof(w->troubles[k].text), "%s", text_of(h, "text"));
}

static void look_at_happenings(struct watcher *w, uint64_t now)
{
    json_t *request = json_pack("{s:s, s:I}", "op", "happenings", "since", (json_int_t)(now - MOMENTS_S)), *r = NULL;
    size_t i;
    json_t *h;
    if (!control_call(w->cfg, request, ASK_MS, &r, NULL)) {
        json_array_foreach(json_object_get(r, "happenings"), i, h)
        {
            bool over = json_is_integer(json_object_get(h, "ended"));
            if (over && event_of(text_of(h, "event")) == EVENT_WRITE_LOST &&
                !json_is_integer(json_object_get(h, "told")))
                tell_moment(w, h, now);
            else if (!over && !w->known)
                take_over(w, h);
        }
        w->known = true;
    }
    json_decref(request);
    json_decref(r);
}

/* ---- the thread ---- */

static void look(struct watcher *w)
{
    struct watch_sign signs[WATCH_KINDS];
    struct watch_seen seen = {
        .now = now_of(w), .least_free = w->cfg->notify.disk_free, .backlog_age = w->cfg->notify.backlog_age / 1000};
    struct escrow_view escrow;
    json_t *figures, *status;
    ask_all(&w->ask, &figures, &status);
    ask_disk(w->cfg->library.state_dir, &seen.disk_free, &seen.disk_size);
    escrower_view(w->escrower, &escrow);
    seen.escrow = escrow.known ? escrow.trouble : NULL;
    seen.escrow_since = escrow.failed ? escrow.failed : escrow.waits;
    seen.figures = figures;
    seen.status = status;
    if (figures) {
        keep_unsaved(w);
        look_at_happenings(w, seen.now);
    }
    watch_look(&seen, signs);
    for (unsigned k = 0; k < WATCH_KINDS; k++) {
        enum watch_says says =
            watch_step(&w->troubles[k], (enum watch_kind)k, &signs[k], seen.now, w->cfg->notify.repeat / 1000);
        if (says != WATCH_SAYS_NOTHING)
            tell(w, (enum watch_kind)k, says);
    }
    json_decref(figures);
    json_decref(status);
}

static void *watch_thread(void *arg)
{
    struct watcher *w = arg;
    struct pollfd p = {.fd = w->stop_fd, .events = POLLIN};
    int every = (int)(EVERY_MS / w->speed);
    while (poll(&p, 1, every) <= 0)
        look(w);
    return NULL;
}

static void free_watcher(struct watcher *w)
{
    notify_stop(w->notifier);
    ask_end(&w->ask);
    unsaved_free(&w->unsaved);
    if (w->stop_fd >= 0)
        close(w->stop_fd);
    free(w);
}

int watcher_start(const struct vtl_config *cfg, struct escrower *escrower, struct watcher **out)
{
    struct watcher *w = calloc(1, sizeof(*w));
    *out = NULL;
    if (!w)
        return -ENOMEM;
    w->cfg = cfg;
    w->escrower = escrower;
    w->ask = (struct ask){cfg, -1};
    w->speed = notify_speed();
    w->began = (uint64_t)time(NULL);
    w->stop_fd = eventfd(0, EFD_CLOEXEC);
    int rc = w->stop_fd < 0 ? -errno : notify_start(cfg, &w->notifier);
    if (!rc)
        rc = thread_start(&w->thread, "watch", watch_thread, w);
    if (rc) {
        free_watcher(w);
        return rc;
    }
    *out = w;
    return 0;
}

void watcher_stop(struct watcher *w)
{
    if (!w)
        return;
    (void)eventfd_write(w->stop_fd, 1);
    (void)pthread_join(w->thread, NULL);
    free_watcher(w);
}
