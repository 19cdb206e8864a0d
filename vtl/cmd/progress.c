/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress.c: see progress.h. */
#include "vtl/cmd/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/human.h"
#include "base/lock.h"
#include "base/thread.h"

enum {
    SAMPLE_MS = 1000, /* between two samples of the pace */
    STILL_MS = 10000, /* without news: unknown, unless it always takes that long */
    BAR_MS = 200,
    LINE_MS = 5000,
    POLL_MS = 2000,
};

/* ---- how fast ---- */

void pace_note(struct pace *p, uint64_t done, uint64_t now)
{
    if (!p->n || done < p->done) { /* less: what was sent is sent again */
        *p =
            (struct pace){.samples = {{now, done}}, .n = 1, .done = done, .moved_ms = now, .longest_ms = p->longest_ms};
        return;
    }
    if (done == p->done)
        return;
    if (now - p->moved_ms > p->longest_ms)
        p->longest_ms = now - p->moved_ms;
    p->done = done;
    p->moved_ms = now;
    if (now - p->samples[(p->n - 1) % PACE_SAMPLES].ms >= SAMPLE_MS)
        p->samples[p->n++ % PACE_SAMPLES] = (struct pace_sample){now, done};
}

double pace_get(const struct pace *p, uint64_t now)
{
    uint64_t patience = p->longest_ms * 2 > STILL_MS ? p->longest_ms * 2 : STILL_MS;
    if (!p->n || now - p->moved_ms > patience)
        return 0;
    const struct pace_sample *first = &p->samples[p->n > PACE_SAMPLES ? p->n % PACE_SAMPLES : 0];
    return now > first->ms ? (double)(p->done - first->done) * 1000 / (double)(now - first->ms) : 0;
}

/* ---- in words ---- */

static uint64_t done_of(const struct progress_state *s)
{
    return s->of_bytes ? s->bytes : s->pieces;
}

static uint64_t total_of(const struct progress_state *s)
{
    return s->of_bytes ? s->of_bytes : s->of_pieces;
}

static bool is_done(const struct progress_state *s)
{
    return !s->more && done_of(s) >= total_of(s);
}

static void add(char buf[PROGRESS_ROOM], const char *text)
{
    size_t n = strlen(buf);
    (void)snprintf(buf + n, PROGRESS_ROOM - n, "%s%s", n ? ", " : "", text);
}

const char *progress_text(const struct progress_state *s, double rate, char buf[PROGRESS_ROOM])
{
    char text[100], a[HUMAN_ROOM], b[HUMAN_ROOM];
    buf[0] = '\0';
    if (s->of_pieces) {
        (void)snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " cartridges", s->pieces, s->of_pieces);
        add(buf, text);
    }
    if (s->of_bytes) {
        (void)snprintf(text, sizeof(text), "%s%s%s", human_size(s->bytes, a), s->more ? "" : " of ",
                       s->more ? "" : human_size(s->of_bytes, b));
        add(buf, text);
    }
    if (is_done(s))
        return buf;
    if (rate > 0 && s->of_bytes)
        (void)snprintf(text, sizeof(text), "%s/s", human_size((uint64_t)rate, a));
    else
        (void)snprintf(text, sizeof(text), "%.1f/s", rate);
    if (rate > 0)
        add(buf, text);
    if (rate > 0 && !s->more)
        (void)snprintf(text, sizeof(text), "%s left",
                       human_duration((uint64_t)((double)(total_of(s) - done_of(s)) / rate + 0.5), a));
    else
        (void)snprintf(text, sizeof(text), "time left unknown");
    add(buf, text);
    return buf;
}

/* ---- on the terminal ---- */

struct progress {
    const char *name;
    void (*poll)(void *arg, char text[PROGRESS_TROUBLE]);
    void *arg;
    bool terminal, quiet, threaded;
    pthread_t thread;
    struct lock lock; /* guards what follows, and what is on the screen */
    struct cond cond;
    bool end, paused, shown;
    struct progress_state state;
    struct pace pace;
    char trouble[PROGRESS_TROUBLE];
    char part[120]; /* "; PBS001L8: 12 of 300 segments", or "" */
};

static void erase(const struct progress *p)
{
    if (p->terminal && p->shown)
        fputs("\r\033[K", stderr);
}

static void show(struct progress *p)
{
    lock_assert_held(&p->lock);
    char text[PROGRESS_ROOM], bar[21];
    uint64_t done = done_of(&p->state), total = total_of(&p->state);
    if (p->quiet || p->paused || !total)
        return;
    double rate = p->trouble[0] ? 0 : pace_get(&p->pace, clock_ms());
    if (p->state.more && p->state.of_pieces) {
        done = p->state.pieces;
        total = p->state.of_pieces;
    }
    double share = done < total ? (double)done / (double)total : 1;
    progress_text(&p->state, rate, text);
    p->shown = true;
    if (!p->terminal) {
        fprintf(stderr, "s3vtl: %s: %s%s\n", p->name, text, p->part);
        return;
    }
    memset(bar, '.', sizeof(bar) - 1);
    memset(bar, '#', (size_t)(share * (sizeof(bar) - 1)));
    bar[sizeof(bar) - 1] = '\0';
    fprintf(stderr, "\r%s [%s] %s%s\033[K", p->name, bar, text, p->part);
}

static void ask(struct progress *p)
{
    char text[PROGRESS_TROUBLE] = "";
    p->poll(p->arg, text);
    progress_trouble(p, text);
}

static void *show_thread(void *arg)
{
    struct progress *p = arg;
    uint64_t now = clock_ms(), next = now + (p->terminal ? BAR_MS : LINE_MS), next_poll = now + POLL_MS;
    lock_take(&p->lock);
    while (!p->end) {
        (void)cond_wait_ms(&p->cond, &p->lock, BAR_MS);
        now = clock_ms();
        if (p->poll && now >= next_poll && !p->end) {
            lock_release(&p->lock);
            ask(p);
            lock_take(&p->lock);
            next_poll = clock_ms() + POLL_MS;
        }
        if (now >= next && !p->end) {
            show(p);
            next = now + (p->terminal ? BAR_MS : LINE_MS);
        }
    }
    lock_release(&p->lock);
    return NULL;
}

struct progress *progress_start(const char *name, bool quiet, void (*poll)(void *arg, char text[PROGRESS_TROUBLE]),
                                void *arg)
{
    struct progress *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    *p = (struct progress){.name = name, .poll = poll, .arg = arg, .terminal = isatty(STDERR_FILENO), .quiet = quiet};
    lock_init(&p->lock, LOCK_SHOWN);
    cond_init(&p->cond);
    p->threaded = !thread_start(&p->thread, "progress", show_thread, p);
    return p;
}

void progress_set(struct progress *p, const struct progress_state *s)
{
    if (!p)
        return;
    lock_take(&p->lock);
    p->state = *s;
    pace_note(&p->pace, done_of(s), clock_ms());
    lock_release(&p->lock);
}

void progress_part(struct progress *p, const char *barcode, uint64_t done, uint64_t total)
{
    if (!p)
        return;
    lock_take(&p->lock);
    p->part[0] = '\0';
    if (done < total)
        (void)snprintf(p->part, sizeof(p->part), "; %s: %" PRIu64 " of %" PRIu64 " segments", barcode, done, total);
    lock_release(&p->lock);
}

void progress_trouble(struct progress *p, const char *text)
{
    if (!p)
        return;
    lock_take(&p->lock);
    if (text[0] && strcmp(p->trouble, text) != 0 && !p->quiet) {
        erase(p);
        fprintf(stderr, "s3vtl: %s waits: %s\n", p->name, text);
    }
    (void)snprintf(p->trouble, sizeof(p->trouble), "%s", text);
    lock_release(&p->lock);
}

void progress_pause(struct progress *p)
{
    if (!p)
        return;
    lock_take(&p->lock);
    erase(p);
    p->paused = true;
    lock_release(&p->lock);
}

void progress_resume(struct progress *p)
{
    if (!p)
        return;
    lock_take(&p->lock);
    p->paused = false;
    lock_release(&p->lock);
}

void progress_end(struct progress *p)
{
    if (!p)
        return;
    lock_take(&p->lock);
    p->end = true;
    cond_broadcast(&p->cond);
    lock_release(&p->lock);
    if (p->threaded)
        pthread_join(p->thread, NULL);
    if (p->shown) {
        lock_take(&p->lock);
        show(p);
        if (p->terminal)
            fputc('\n', stderr);
        lock_release(&p->lock);
    }
    cond_fini(&p->cond);
    lock_fini(&p->lock);
    free(p);
}
