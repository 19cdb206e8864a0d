/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_health.c: see s3_health.h.
 *
 * Trouble of a kind begins with an exchange that fails, or that does not get on for some seconds, and ends when one of
 * that kind ends well while no other is stuck. What one more try cures at once is not worth a line in the log: it gets
 * one when trouble has lasted, or is bound to, and another one when calls of another kind begin to fail more than a minute
 * later. After its end a new one within a minute is taken for the same until it lasts: a store at its limit would fill the log.
 */
#include "s3backend/s3_health.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/clock.h"

enum { LASTS_MS = 2000, SAME_MS = 60000, LINE = 700, IN_A_ROW_MS = 120000 };

void s3_health_init(struct s3_health *h, void (*note)(enum log_level level, const char *line))
{
    *h = (struct s3_health){.note = note};
    lock_init(&h->lock, LOCK_S3_HEALTH);
}

void s3_health_fini(struct s3_health *h)
{
    lock_fini(&h->lock);
}

/* The first kind that is in trouble: what is written matters most. */
static const struct s3_trouble *worst(const struct s3_health *h)
{
    for (int i = 0; i < S3_KINDS; i++)
        if (h->kinds[i].text[0])
            return &h->kinds[i];
    return NULL;
}

static void begin(struct s3_health *h, enum s3_kind kind, const char *text)
{
    lock_assert_held(&h->lock);
    struct s3_trouble *t = &h->kinds[kind];
    uint64_t now = clock_ms();
    if (!t->text[0])
        t->since_ms = now;
    if (!h->since_ms)
        h->since_ms = now;
    if (!h->bad_ms || now - h->failed_ms > IN_A_ROW_MS)
        h->bad_ms = now;
    h->failed_ms = t->failed_ms = now;
    snprintf(t->text, sizeof(t->text), "%s", *text ? text : "?");
}

/* The line that is due, if one is. What befalls several kinds within a minute is one trouble. */
static void log_begin(struct s3_health *h, enum s3_kind kind, bool at_once, char line[LINE])
{
    lock_assert_held(&h->lock);
    struct s3_trouble *t = &h->kinds[kind];
    uint64_t now = clock_ms(), lasted = now - t->since_ms;
    bool again = h->ended_ms && t->since_ms - h->ended_ms < SAME_MS;
    bool same = h->told_ms && t->since_ms < h->told_ms + SAME_MS;
    if (t->told || (!same && (again ? lasted < SAME_MS : !at_once && lasted < LASTS_MS)))
        return;
    t->told = true;
    if (same)
        return;
    h->told_ms = now;
    snprintf(line, LINE, "the store is in trouble: %.600s [%s]", t->text, event_id(EVENT_STORE_DOWN));
}

static void over(struct s3_health *h, enum s3_kind kind, char line[LINE])
{
    lock_assert_held(&h->lock);
    struct s3_trouble *t = &h->kinds[kind];
    if (!t->text[0] || t->stuck)
        return;
    t->text[0] = '\0';
    t->told = false;
    if (worst(h))
        return;
    uint64_t now = clock_ms();
    if (h->told_ms) {
        snprintf(line, LINE, "the store is well again, after %" PRIu64 " s [%s]", (now - h->since_ms + 500) / 1000,
                 event_id(EVENT_STORE_UP));
        h->ended_ms = now;
    }
    h->since_ms = h->told_ms = 0;
}

/* A read that failed may have been of that object alone, and is not tried again by itself, as all else is. So it is over as
 * well when no other failed for a while, and calls of other kinds end well. */
static void end(struct s3_health *h, enum s3_kind kind, char line[LINE])
{
    lock_assert_held(&h->lock);
    over(h, kind, line);
    if (clock_ms() - h->kinds[S3_KIND_READ].failed_ms > IN_A_ROW_MS)
        over(h, S3_KIND_READ, line);
}

static void tell(const struct s3_health *h, enum log_level level, const char *line)
{
    if (line[0] && h->note)
        h->note(level, line);
}

void s3_health_stuck(struct s3_health *h, enum s3_kind kind, const char *text)
{
    char line[LINE] = "";
    lock_take(&h->lock);
    h->kinds[kind].stuck++;
    begin(h, kind, text);
    log_begin(h, kind, true, line);
    lock_release(&h->lock);
    tell(h, LOG_LEVEL_ERROR, line);
}

void s3_health_ended(struct s3_health *h, enum s3_kind kind, bool was_stuck, enum s3_health_end how, const char *text,
                     bool at_once)
{
    char line[LINE] = "";
    lock_take(&h->lock);
    if (was_stuck)
        h->kinds[kind].stuck--;
    if (how == S3_HEALTH_FAILED) {
        begin(h, kind, text);
        log_begin(h, kind, at_once, line);
    } else if (how == S3_HEALTH_GOOD) {
        h->good_ms = clock_ms();
        h->bad_ms = h->failed_ms = 0;
        end(h, kind, line);
    }
    lock_release(&h->lock);
    tell(h, how == S3_HEALTH_FAILED ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, line);
}

void s3_health_gave_up(struct s3_health *h, enum s3_kind kind)
{
    char line[LINE] = "";
    lock_take(&h->lock);
    if (h->kinds[kind].text[0])
        log_begin(h, kind, true, line);
    lock_release(&h->lock);
    tell(h, LOG_LEVEL_ERROR, line);
}

static uint64_t silent(const struct s3_health *h)
{
    lock_assert_held(&h->lock);
    return h->since_ms ? clock_ms() - (h->good_ms > h->since_ms ? h->good_ms : h->since_ms) : 0;
}

uint64_t s3_health_silent(struct s3_health *h)
{
    lock_take(&h->lock);
    uint64_t ms = clock_ms() - h->failed_ms > IN_A_ROW_MS ? 0 : h->failed_ms - h->bad_ms;
    lock_release(&h->lock);
    return ms;
}

void s3_health_get(struct s3_health *h, struct obj_health *out)
{
    *out = (struct obj_health){.text = "", .tells = true};
    lock_take(&h->lock);
    const struct s3_trouble *t = worst(h);
    if (t) {
        snprintf(out->text, sizeof(out->text), "%s", t->text);
        out->since_ms = clock_ms() - h->since_ms;
        out->silent_ms = silent(h);
    }
    lock_release(&h->lock);
}
