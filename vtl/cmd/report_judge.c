/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report_judge.c: see report_judge.h. */
#include "vtl/cmd/report_judge.h"
#include "vtl/cmd/members.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/human.h"
#include "base/strbuf.h"

enum { NAMED = 3 }; /* cartridges that a line names; it counts the rest */

struct verdict {
    enum report_level level;
    struct strbuf why; /* the worst first */
};

static bool is_true(const json_t *j, const char *key)
{
    return json_is_true(json_object_get(j, key));
}

/* Begins one more reason. */
static void reason(struct verdict *v, enum report_level level)
{
    v->level = level > v->level ? level : v->level;
    if (v->why.len)
        strbuf_adds(&v->why, "; ");
}

/* ---- of cartridges ---- */

static bool is_damaged(const json_t *c, uint64_t now, uint64_t limit)
{
    (void)now;
    (void)limit;
    return member_number(c, "lost_objects");
}

static bool is_lost(const json_t *c, uint64_t now, uint64_t limit)
{
    (void)now;
    (void)limit;
    return is_true(c, "lost");
}

static bool is_fenced(const json_t *c, uint64_t now, uint64_t limit)
{
    (void)now;
    (void)limit;
    return is_true(c, "fenced");
}

/* Too few hosts are left to read something of it. */
static bool is_unreadable(const json_t *c, uint64_t now, uint64_t limit)
{
    (void)now;
    (void)limit;
    return member_real(c, "health") < 0;
}

static bool is_weak(const json_t *c, uint64_t now, uint64_t limit)
{
    return member_number(c, "weak_objects") && !is_unreadable(c, now, limit);
}

static bool is_old(const json_t *c, uint64_t now, uint64_t limit)
{
    uint64_t since = member_number(c, "backlog_since");
    return member_number(c, "local_only_bytes") && since && now > since + limit;
}

static bool is_in_other_trouble(const json_t *c, uint64_t now, uint64_t limit)
{
    return member_text(c, "trouble")[0] && !is_lost(c, now, limit) && !is_fenced(c, now, limit);
}

static const struct {
    bool (*is)(const json_t *c, uint64_t now, uint64_t limit);
    enum report_level level;
    const char *what;
} rules[] = {
    {is_damaged, REPORT_CRITICAL, "damaged"},
    {is_lost, REPORT_CRITICAL, "lost in the spool"},
    {is_fenced, REPORT_CRITICAL, "fenced (another gateway owns it)"},
    {is_unreadable, REPORT_CRITICAL, "with too few hosts in the store to be read"},
    {is_weak, REPORT_WARNING, "low in health in the store"},
    {is_old, REPORT_WARNING, "only on this disk for too long"},
    {is_in_other_trouble, REPORT_WARNING, "in trouble"},
};

static void judge_cartridges(struct verdict *v, const json_t *r, uint64_t limit, enum report_level level)
{
    for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++) {
        size_t i, n = 0;
        json_t *c;
        if (rules[k].level != level)
            continue;
        json_array_foreach(json_object_get(r, "cartridges"), i, c)
        {
            if (!rules[k].is(c, member_number(r, "now"), limit))
                continue;
            if (!n++) {
                reason(v, level);
                strbuf_addf(&v->why, "%s: ", rules[k].what);
            }
            if (n <= NAMED)
                strbuf_addf(&v->why, "%s%s", n > 1 ? ", " : "", member_text(c, "barcode"));
        }
        if (n > NAMED)
            strbuf_addf(&v->why, " and %zu more", n - NAMED);
    }
}

/* ---- of the library ---- */

static void judge_serving(struct verdict *v, const json_t *r)
{
    char size[HUMAN_ROOM];
    uint64_t local = member_number(r, "local_only_bytes");
    if (is_true(r, "serving"))
        return;
    reason(v, local ? REPORT_CRITICAL : REPORT_WARNING);
    strbuf_adds(&v->why, "NOT SERVING");
    if (local)
        strbuf_addf(&v->why, ", and %s only on this disk", human_size(local, size));
}

/* Trouble that goes on: does something else in the report say more of it than the happening does? A kind that is new
 * is told here. */
static bool is_said_elsewhere(enum event e)
{
    return e == EVENT_STORE_DOWN || e == EVENT_BACKLOG_OLD || e == EVENT_DAMAGE || e == EVENT_FENCED ||
           e == EVENT_SPOOL_LOST || e == EVENT_HEALTH_LOW || e == EVENT_SERVICE_UNWELL || e == EVENT_NO_ANSWER ||
           e == EVENT_ESCROW_OLD;
}

/* What the host lost in that time, though it was told; and trouble, now or over. */
static void judge_happenings(struct verdict *v, const json_t *r, enum report_level level)
{
    size_t i, over = 0;
    json_t *h;
    const char *first = "";
    json_array_foreach(json_object_get(r, "happenings"), i, h)
    {
        enum event e = event_of(member_text(h, "event"));
        if (e == EVENT_WRITE_LOST && level == REPORT_CRITICAL) {
            reason(v, level);
            strbuf_addf(&v->why, "lost: %s", member_text(h, "text"));
        } else if (e == EVENT_WRITE_LOST) {
            continue;
        } else if (member_number(h, "ended")) {
            first = over++ ? first : member_text(h, "event");
        } else if (level == REPORT_WARNING && !is_said_elsewhere(e)) {
            reason(v, level);
            strbuf_adds(&v->why, member_text(h, "text"));
        }
    }
    if (over && level == REPORT_WARNING) {
        reason(v, level);
        strbuf_addf(&v->why, "trouble that is over: %s", first);
        if (over > 1)
            strbuf_addf(&v->why, " and %zu more", over - 1);
    }
}

static void judge_store(struct verdict *v, const json_t *r)
{
    const json_t *store = json_object_get(r, "store");
    char time[HUMAN_ROOM];
    if (member_text(store, "trouble")[0]) {
        reason(v, REPORT_WARNING);
        strbuf_addf(&v->why, "the store is in trouble, for %s",
                    human_duration(member_number(store, "since_ms") / 1000, time));
    }
    if (member_text(r, "warning")[0]) {
        reason(v, REPORT_WARNING);
        strbuf_adds(&v->why, member_text(r, "warning"));
    }
    if (member_text(json_object_get(r, "escrow"), "trouble")[0]) {
        reason(v, REPORT_WARNING);
        strbuf_adds(&v->why, member_text(json_object_get(r, "escrow"), "trouble"));
    }
    const char *lock = member_text(json_object_get(r, "locks"), "object_lock_trouble");
    if (lock[0]) {
        reason(v, REPORT_WARNING);
        strbuf_addf(&v->why, "the store does not lock what is to be locked: %s", lock);
    }
    if (member_number(r, "damaged_records")) {
        reason(v, REPORT_WARNING);
        strbuf_addf(&v->why, "%" PRIu64 " records of this report are damaged", member_number(r, "damaged_records"));
    }
}

/* What the store's service lacks. */
static void judge_findings(struct verdict *v, const json_t *r, enum report_level level)
{
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(json_object_get(json_object_get(r, "store"), "health"), "findings"), i, f)
    {
        if (!strcmp(member_text(f, "severity"), "critical") != (level == REPORT_CRITICAL))
            continue;
        reason(v, level);
        strbuf_addf(&v->why, "%.300s", member_text(f, "text"));
    }
}

/* ---- what was written ---- */

struct written {
    uint64_t bytes;
    size_t cartridges, hosts, waiting; /* waiting: rows that are not accepted */
};

/* Is it the first row with that value of key? */
static bool is_new(const json_t *list, size_t i, const char *key)
{
    const char *value = member_text(json_array_get(list, i), key);
    for (size_t k = 0; k < i; k++)
        if (!strcmp(member_text(json_array_get(list, k), key), value))
            return false;
    return true;
}

static struct written sum_written(const json_t *r)
{
    struct written w = {0};
    const json_t *list = json_object_get(r, "written");
    size_t i;
    json_t *j;
    json_array_foreach(list, i, j)
    {
        w.bytes += member_number(j, "bytes");
        w.cartridges += is_new(list, i, "barcode");
        w.hosts += is_new(list, i, "host");
        w.waiting += is_true(j, "in_library") && !member_number(j, "accepted");
    }
    return w;
}

static void tell_written(struct strbuf *out, const json_t *r)
{
    char size[HUMAN_ROOM];
    struct written w = sum_written(r);
    uint64_t local = member_number(r, "local_only_bytes");
    if (!w.cartridges)
        strbuf_adds(out, "nothing written");
    else
        strbuf_addf(out, "%zu cartridge%s written, %s, by %zu host%s", w.cartridges, w.cartridges == 1 ? "" : "s",
                    human_size(w.bytes, size), w.hosts, w.hosts == 1 ? "" : "s");
    if (local)
        strbuf_addf(out, ", %s only on this disk", human_size(local, size));
    else if (w.waiting)
        strbuf_adds(out, ", not all accepted by the store yet");
    else
        strbuf_adds(out, ", all accepted by the store");
}

const char *report_level_name(enum report_level level)
{
    static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    return names[level];
}

enum report_level report_judge(const json_t *r, uint64_t backlog_age, char *line, size_t room)
{
    struct verdict v = {.level = REPORT_OK};
    struct strbuf written = {.data = NULL};
    judge_cartridges(&v, r, backlog_age, REPORT_CRITICAL);
    judge_happenings(&v, r, REPORT_CRITICAL);
    judge_findings(&v, r, REPORT_CRITICAL);
    judge_serving(&v, r);
    judge_store(&v, r);
    judge_findings(&v, r, REPORT_WARNING);
    judge_cartridges(&v, r, backlog_age, REPORT_WARNING);
    judge_happenings(&v, r, REPORT_WARNING);
    tell_written(&written, r);
    (void)snprintf(line, room, "S3VTL %s - %s%s%s", report_level_name(v.level), v.why.len ? strbuf_str(&v.why) : "",
                   v.why.len ? "; " : "", strbuf_str(&written));
    for (char *p = line; *p; p++) /* one line; what follows a bar would be figures */
        *p = *p == '|' ? '/' : (unsigned char)*p < ' ' ? ' ' : *p;
    strbuf_free(&v.why);
    strbuf_free(&written);
    return v.level;
}

void report_figures(const json_t *r, char *out, size_t room)
{
    uint64_t now = member_number(r, "now"), oldest = now;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(r, "cartridges"), i, c)
    {
        uint64_t since = member_number(c, "local_only_bytes") ? member_number(c, "backlog_since") : 0;
        oldest = since && since < oldest ? since : oldest;
    }
    char offsite[40] = "";
    if (json_object_get(r, "offsite_bytes"))
        (void)snprintf(offsite, sizeof(offsite), " offsite=%" PRIu64 "B", member_number(r, "offsite_bytes"));
    (void)snprintf(out, room,
                   "written=%" PRIu64 "B only_on_this_disk=%" PRIu64 "B accepted=%" PRIu64 "B%s backlog_age=%" PRIu64
                   "s",
                   sum_written(r).bytes, member_number(r, "local_only_bytes"), member_number(r, "accepted_bytes"),
                   offsite, now - oldest);
}
