/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch.c: see watch.h. */
#include "vtl/cmd/watch.h"
#include "vtl/cmd/members.h"
#include "vtl/cmd/verify_due.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"

/* Seconds. What was found for good (damage, a lost file, a fenced cartridge) is told at once. */
static const struct {
    enum event begins, over;
    uint64_t enter; /* it has been trouble for so long */
    uint64_t calm;  /* good for so long before that, and it never was */
    uint64_t leave; /* good for so long after that, and it is over */
} rules[WATCH_KINDS] = {
    [WATCH_STORE] = {EVENT_STORE_DOWN, EVENT_STORE_UP, 60, 30, 120},
    [WATCH_BACKLOG] = {EVENT_BACKLOG_OLD, EVENT_BACKLOG_OVER, 0, 0, 60},
    [WATCH_DISK] = {EVENT_DISK_FILLING, EVENT_DISK_FREE, 60, 30, 300},
    [WATCH_DAMAGE] = {EVENT_DAMAGE, EVENT_DAMAGE, 0, 0, 60},
    [WATCH_FENCED] = {EVENT_FENCED, EVENT_FENCED, 0, 0, 60},
    [WATCH_LOST] = {EVENT_SPOOL_LOST, EVENT_SPOOL_LOST, 0, 0, 60},
    [WATCH_HEALTH] = {EVENT_HEALTH_LOW, EVENT_HEALTH_OVER, 300, 60, 300},
    [WATCH_SERVICE] = {EVENT_SERVICE_UNWELL, EVENT_SERVICE_WELL, 300, 60, 300},
    [WATCH_SILENT] = {EVENT_NO_ANSWER, EVENT_ANSWERS, 120, 0, 30},
    [WATCH_ESCROW] = {EVENT_ESCROW_OLD, EVENT_ESCROW_OVER, 3600, 60, 60},
    [WATCH_QUOTA] = {EVENT_QUOTA_NEAR, EVENT_QUOTA_OVER, 30, 30, 300},
    [WATCH_VERIFY] = {EVENT_VERIFY_LATE, EVENT_VERIFY_OVER, 3600, 60, 60},
    [WATCH_BLANKS] = {EVENT_BLANKS_FEW, EVENT_BLANKS_ENOUGH, 60, 30, 30},
};

/* ---- what a look means ---- */

static void look_at_library(const struct watch_seen *seen, struct watch_sign *s)
{
    s->is = seen->figures ? WATCH_GOOD : WATCH_BAD;
    (void)snprintf(s->text, sizeof(s->text), "the library does not answer");
}

/* A store without a health of its own is known by the cartridges whose transfers fail. */
static void look_at_store(const struct watch_seen *seen, struct watch_sign *s)
{
    const json_t *f = seen->figures;
    const char *why = member_text(f, "trouble_text");
    uint64_t failing = member_number(f, "failing_cartridges"), ms = member_number(f, "trouble_ms");
    size_t i;
    json_t *c;
    if (!f)
        return;
    s->is = json_is_true(json_object_get(f, "trouble")) || failing ? WATCH_BAD : WATCH_GOOD;
    s->since = ms / 1000 < seen->now ? seen->now - ms / 1000 : 0;
    json_array_foreach(json_object_get(seen->status, "cartridges"), i, c) if (!why[0]) why = member_text(c, "trouble");
    (void)snprintf(s->text, sizeof(s->text), "the store is in trouble: %s",
                   why[0] ? why : "transfers of a cartridge fail");
}

static void look_at_backlog(const struct watch_seen *seen, struct watch_sign *s)
{
    size_t i, n = 0;
    json_t *c;
    uint64_t oldest = 0;
    char age[HUMAN_ROOM], size[HUMAN_ROOM];
    const char *first = "";
    if (!seen->status)
        return;
    json_array_foreach(json_object_get(seen->status, "cartridges"), i, c)
    {
        uint64_t since = member_number(c, "local_only_bytes") ? member_number(c, "backlog_since") : 0;
        if (!since || seen->now <= since + seen->backlog_age)
            continue;
        n++;
        if (!oldest || since < oldest) {
            oldest = since;
            first = member_text(c, "barcode");
        }
    }
    s->is = n ? WATCH_BAD : WATCH_GOOD;
    s->since = n ? oldest + seen->backlog_age : 0;
    (void)snprintf(s->text, sizeof(s->text),
                   "%s has been only on this disk in part for %s (%zu cartridge%s so old); %s "
                   "in all",
                   first, human_duration(seen->now - oldest, age), n, n == 1 ? "" : "s",
                   human_size(member_number(seen->status, "local_only_bytes"), size));
}

/* A tenth between bad and good. */
static void look_at_disk(const struct watch_seen *seen, struct watch_sign *s)
{
    char left[HUMAN_ROOM], least[HUMAN_ROOM];
    if (!seen->disk_size)
        return;
    if (seen->disk_free >= seen->least_free + seen->least_free / 10)
        s->is = WATCH_GOOD;
    else if (seen->disk_free < seen->least_free)
        s->is = WATCH_BAD;
    (void)snprintf(s->text, sizeof(s->text), "the disk of state_dir has %s free, less than %s",
                   human_size(seen->disk_free, left), human_size(seen->least_free, least));
}

static void look_at_escrow(const struct watch_seen *seen, struct watch_sign *s)
{
    if (!seen->escrow)
        return;
    s->is = seen->escrow[0] ? WATCH_BAD : WATCH_GOOD;
    s->since = seen->escrow_since;
    (void)snprintf(s->text, sizeof(s->text), "%s", seen->escrow);
}

static uint64_t damage_of(const json_t *c)
{
    return member_number(c, "lost_objects");
}

static uint64_t fenced_of(const json_t *c)
{
    return json_is_true(json_object_get(c, "fenced"));
}

static uint64_t lost_of(const json_t *c)
{
    return json_is_true(json_object_get(c, "lost"));
}

static void look_at_cartridges(const struct watch_seen *seen, struct watch_sign *s, uint64_t (*of)(const json_t *c),
                               const char *what)
{
    size_t i, n = 0;
    json_t *c;
    const char *first = "", *why = "";
    if (!seen->status)
        return;
    json_array_foreach(json_object_get(seen->status, "cartridges"), i, c)
    {
        uint64_t weight = of(c);
        if (!weight)
            continue;
        s->weight += weight;
        if (n++)
            continue;
        first = member_text(c, "barcode");
        why = member_text(c, "trouble");
    }
    s->is = n ? WATCH_BAD : WATCH_GOOD;
    if (n > 1)
        (void)snprintf(s->text, sizeof(s->text), "%s and %zu more %s%s%.400s", first, n - 1, what, why[0] ? ": " : "",
                       why);
    else
        (void)snprintf(s->text, sizeof(s->text), "%s %s%s%.400s", first, what, why[0] ? ": " : "", why);
}

/* NULL: not known now. Where nobody tells, all is well. */
static const json_t *health_of(const struct watch_seen *seen, struct watch_sign *s)
{
    const json_t *health = json_object_get(json_object_get(seen->status, "store"), "health");
    if (!seen->status || member_text(health, "trouble")[0])
        return NULL;
    s->is = WATCH_GOOD;
    return health;
}

static void look_at_health(const struct watch_seen *seen, struct watch_sign *s)
{
    const json_t *health = health_of(seen, s), *worst = NULL;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(seen->status, "cartridges"), i, c)
    {
        if (!health || !member_number(c, "weak_objects"))
            continue;
        s->weight++;
        if (!worst || member_real(c, "health") < member_real(worst, "health"))
            worst = c;
    }
    if (!s->weight)
        return;
    s->is = WATCH_BAD;
    (void)snprintf(s->text, sizeof(s->text),
                   "%s has a health of %.3g in the store, less than %.3g (%" PRIu64 " cartridge%s so low)",
                   member_text(worst, "barcode"), member_real(worst, "health"), member_real(health, "limit"), s->weight,
                   s->weight == 1 ? "" : "s");
}

/* What is only a warning is in status. */
static void look_at_service(const struct watch_seen *seen, struct watch_sign *s)
{
    const json_t *health = health_of(seen, s);
    size_t i;
    json_t *f;
    const char *first = "";
    json_array_foreach(json_object_get(health, "findings"), i, f)
    {
        if (strcmp(member_text(f, "severity"), "critical") != 0)
            continue;
        first = s->weight++ ? first : member_text(f, "text");
    }
    if (!s->weight)
        return;
    s->is = WATCH_BAD;
    (void)snprintf(s->text, sizeof(s->text), "%.450s", first);
    if (s->weight > 1)
        (void)snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "; and %" PRIu64 " more",
                       s->weight - 1);
}

/* The first rule that lacks some. */
static void look_at_blanks(const struct watch_seen *seen, struct watch_sign *s)
{
    size_t i;
    json_t *b;
    if (!seen->status)
        return;
    s->is = WATCH_GOOD;
    json_array_foreach(json_object_get(seen->status, "blanks"), i, b)
    {
        uint64_t keep = member_number(b, "keep"), have = member_number(b, "free");
        if (have >= keep)
            continue;
        s->weight += keep - have;
        if (s->is == WATCH_BAD)
            continue;
        s->is = WATCH_BAD;
        (void)snprintf(s->text, sizeof(s->text), "%" PRIu64 " of %" PRIu64 " blank cartridges of %s to %s: %.400s",
                       have, keep, member_text(b, "first"), member_text(b, "last"), member_text(b, "trouble"));
    }
}

#define DAY 86400u
#define WEEK (7 * DAY)

/* Those that are near their end weigh more than those that will be. The worst comes first. */
static void look_at_quotas(const struct watch_seen *seen, struct watch_sign *s)
{
    size_t i;
    json_t *q;
    char used[HUMAN_ROOM], limit[HUMAN_ROOM], day[HUMAN_ROOM];
    bool named = false;
    if (!seen->status)
        return;
    s->is = WATCH_GOOD;
    json_array_foreach(json_object_get(seen->status, "quotas"), i, q)
    {
        bool near = json_is_true(json_object_get(q, "near"));
        uint64_t on = member_number(q, "full_on");
        if (!near && (!on || on > seen->now + WEEK))
            continue;
        s->weight += near ? 100 : 1;
        if (s->is == WATCH_BAD && (named || !near))
            continue;
        s->is = WATCH_BAD;
        named = near;
        (void)snprintf(s->text, sizeof(s->text), "the quota of %s: %s of %s are used%s%s", member_text(q, "cartridges"),
                       human_size(member_number(q, "used_bytes"), used),
                       human_size(member_number(q, "limit_bytes"), limit),
                       near ? ", and tapes are full" : ", all of it on ", near ? "" : human_time(on, day));
    }
}

/* A day of grace: it may be read just now. */
static void look_at_verify(const struct watch_seen *seen, struct watch_sign *s)
{
    struct verify_ages ages;
    char age[HUMAN_ROOM], every[HUMAN_ROOM];
    uint64_t within = member_number(seen->status, "verify_every");
    if (!seen->status)
        return;
    s->is = WATCH_GOOD;
    verify_ages(json_object_get(seen->status, "cartridges"), seen->now, within, &ages);
    if (!within || ages.oldest <= within + DAY)
        return;
    s->is = WATCH_BAD;
    s->weight = ages.late;
    (void)snprintf(s->text, sizeof(s->text), "%s was not verified for %s (%zu cartridge%s later than every %s)",
                   ages.barcode, human_duration(ages.oldest, age), ages.late, ages.late == 1 ? "" : "s",
                   human_duration(within, every));
}

void watch_look(const struct watch_seen *seen, struct watch_sign signs[WATCH_KINDS])
{
    memset(signs, 0, WATCH_KINDS * sizeof(*signs));
    look_at_library(seen, &signs[WATCH_SILENT]);
    look_at_store(seen, &signs[WATCH_STORE]);
    look_at_backlog(seen, &signs[WATCH_BACKLOG]);
    look_at_disk(seen, &signs[WATCH_DISK]);
    look_at_escrow(seen, &signs[WATCH_ESCROW]);
    look_at_cartridges(seen, &signs[WATCH_DAMAGE], damage_of, "damaged: see tape show");
    look_at_cartridges(seen, &signs[WATCH_FENCED], fenced_of, "fenced: another gateway owns it");
    look_at_cartridges(seen, &signs[WATCH_LOST], lost_of, "lost a file of the spool");
    look_at_blanks(seen, &signs[WATCH_BLANKS]);
    look_at_quotas(seen, &signs[WATCH_QUOTA]);
    look_at_verify(seen, &signs[WATCH_VERIFY]);
    look_at_health(seen, &signs[WATCH_HEALTH]);
    look_at_service(seen, &signs[WATCH_SERVICE]);
}

/* ---- when it is told ---- */

static uint64_t elapsed(uint64_t now, uint64_t since)
{
    return now > since ? now - since : 0;
}

static enum watch_says bad(struct watch_trouble *t, enum watch_kind kind, const struct watch_sign *s, uint64_t now,
                           uint64_t repeat)
{
    t->good_since = 0;
    if (!t->began)
        t->began = s->since && s->since < now ? s->since : now;
    (void)snprintf(t->text, sizeof(t->text), "%s", s->text);
    if (t->weight == WATCH_WEIGHT_UNKNOWN)
        t->weight = s->weight;
    if (!t->told && elapsed(now, t->began) < rules[kind].enter)
        return WATCH_SAYS_NOTHING;
    enum watch_says says = !t->told                                                   ? WATCH_BEGINS
                           : s->weight > t->weight || elapsed(now, t->told) >= repeat ? WATCH_GOES_ON
                                                                                      : WATCH_SAYS_NOTHING;
    if (says == WATCH_SAYS_NOTHING)
        return says;
    t->told = now;
    t->weight = s->weight;
    return says;
}

static enum watch_says good(struct watch_trouble *t, enum watch_kind kind, uint64_t now)
{
    if (!t->began)
        return WATCH_SAYS_NOTHING;
    if (!t->good_since)
        t->good_since = now;
    uint64_t well = elapsed(now, t->good_since);
    if (t->told)
        return well >= rules[kind].leave ? WATCH_IS_OVER : WATCH_SAYS_NOTHING;
    if (well >= rules[kind].calm)
        watch_clear(t);
    return WATCH_SAYS_NOTHING;
}

/* A clock that was ahead noted moments to come: until then no time would go by. */
static void heed_clock(struct watch_trouble *t, uint64_t now)
{
    t->began = t->began < now ? t->began : now;
    t->good_since = t->good_since < now ? t->good_since : now;
    t->told = t->told < now ? t->told : now;
}

enum watch_says watch_step(struct watch_trouble *t, enum watch_kind kind, const struct watch_sign *s, uint64_t now,
                           uint64_t repeat)
{
    heed_clock(t, now);
    switch (s->is) {
    case WATCH_BAD:
        return bad(t, kind, s, now, repeat);
    case WATCH_GOOD:
        return good(t, kind, now);
    case WATCH_NOT_KNOWN:
        break;
    }
    return WATCH_SAYS_NOTHING;
}

void watch_clear(struct watch_trouble *t)
{
    *t = (struct watch_trouble){.began = 0};
}

enum event watch_event(enum watch_kind kind, enum watch_says says)
{
    return says == WATCH_IS_OVER ? rules[kind].over : rules[kind].begins;
}

enum watch_kind watch_kind_of(enum event e)
{
    unsigned k = 0;
    while (k < WATCH_KINDS && rules[k].begins != e)
        k++;
    return (enum watch_kind)k;
}
