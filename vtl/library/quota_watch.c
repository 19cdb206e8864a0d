/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quota_watch.c: counts what the cartridges of each quota take in the store, and foretells when it will be full. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsontext.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/library_private.h"

#define LOOK_MS 2000
#define TRIES 3 /* to count while nobody writes */
#define DAY 86400u
#define DAYS 31        /* of which it is known how much was used */
#define FAR_DAYS 3650u /* who grows so slowly is not told a day */

/* A key of the state: {"PBS*":[[day,bytes]...]...}, what was used at the begin of each of the last days. */
#define USED_BY_DAY "quota_used_by_day"
#define USED_ROOM 65536u

/* ---- counting ---- */

/* False: what it counted is of no use (quota.h). */
static bool count_once(struct library *lib, bool exact)
{
    struct quota *q = &lib->eng.quota;
    struct quota_count c;
    quota_count_begin(q, &c);
    rwlock_read(&lib->tapes_lock);
    for (size_t i = 0; c.n && i < lib->n_cartridges; i++) {
        struct cartridge_backlog b;
        uint32_t rules = cartridge_quota_rules(lib->cartridges[i]);
        if (!rules)
            continue;
        cartridge_backlog(lib->cartridges[i], &b);
        for (unsigned k = 0; k < c.n; k++)
            c.used[k] += rules >> k & 1 ? b.amounts.local + b.amounts.accepted + b.amounts.offsite : 0;
    }
    rwlock_release(&lib->tapes_lock);
    return quota_count_end(q, &c, exact);
}

/* Beside drives that never pause it takes what it gets; beside a cut the last count stays. */
static void count(struct library *lib)
{
    for (int i = 0; i < TRIES; i++)
        if (count_once(lib, i + 1 < TRIES))
            return;
}

/* ---- growth ---- */

/* NULL: it cannot be read now. */
static json_t *read_days(struct library *lib)
{
    char *text = malloc(USED_ROOM);
    bool is = text && !db_meta_get(lib->eng.db, USED_BY_DAY, text, USED_ROOM);
    json_t *j = is ? json_loads(text, 0, NULL) : NULL;
    free(text);
    if (!is || json_is_object(j))
        return j;
    json_decref(j);
    return json_object();
}

static json_int_t day_at(const json_t *list, size_t i)
{
    return json_integer_value(json_array_get(json_array_get(list, i), 0));
}

/* Notes it once a day. Days to come were noted by a clock that was ahead: they hinder nothing, and are the first to go, but
 * stay until then, as it may be behind now. True: it did. */
static bool note_day(json_t *days, const struct quota_rule *r, json_int_t today)
{
    json_t *list = json_object_get(days, r->what.pattern);
    if (!json_is_array(list)) {
        list = json_array();
        json_object_set_new(days, r->what.pattern, list);
    }
    size_t at = json_array_size(list);
    while (at && day_at(list, at - 1) > today)
        at--;
    if (at && day_at(list, at - 1) == today)
        return false;
    json_array_insert_new(list, at, json_pack("[I, I]", today, (json_int_t)r->used));
    for (size_t n; (n = json_array_size(list)) > DAYS;)
        json_array_remove(list, day_at(list, n - 1) > today ? n - 1 : 0);
    return true;
}

static void note_days(struct library *lib)
{
    struct quota_rule r;
    bool news = false;
    json_t *days = read_days(lib);
    json_int_t today = (json_int_t)(engine_time() / DAY);
    for (unsigned i = 0; days && quota_get(&lib->eng.quota, i, &r); i++)
        news = (r.counted && note_day(days, &r, today)) || news;
    char *text = news ? json_dumps(days, JSON_COMPACT) : NULL;
    if (text && strlen(text) < USED_ROOM && db_meta_set(lib->eng.db, USED_BY_DAY, text))
        log_warn("quota: state: %s", db_error(lib->eng.db));
    free(text);
    json_decref(days);
}

/* Seconds since 1970 at which nothing will be left, if it grows on as it did since the first day that is known; 0: it does
 * not grow, or nobody can say. */
static uint64_t full_on(const json_t *days, const struct quota_rule *r)
{
    const json_t *first = json_array_get(json_object_get(days, r->what.pattern), 0);
    uint64_t now = engine_time(), day = (uint64_t)json_integer_value(json_array_get(first, 0));
    double then = (double)json_integer_value(json_array_get(first, 1)), grown = (double)r->used - then;
    if (!first || now / DAY <= day || grown <= 0 || r->used >= r->what.bytes)
        return 0;
    double seconds = (double)(now - day * DAY), left = (double)(r->what.bytes - r->used) / (grown / seconds);
    return left > (double)FAR_DAYS * DAY ? 0 : now + (uint64_t)left;
}

json_t *quotas_json(struct library *lib)
{
    struct quota_rule r;
    json_t *list = json_array(), *days = NULL;
    for (unsigned i = 0; quota_get(&lib->eng.quota, i, &r); i++) {
        if (!r.counted)
            continue;
        days = days ? days : read_days(lib);
        uint64_t on = full_on(days, &r), left = r.what.bytes - (r.used < r.what.bytes ? r.used : r.what.bytes);
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:I, s:I, s:b, s:o}", "cartridges", r.what.pattern, "limit_bytes",
                                        (json_int_t)r.what.bytes, "used_bytes", (json_int_t)r.used, "left_bytes",
                                        (json_int_t)left, "near", (int)(left <= quota_margin(r.what.bytes)), "full_on",
                                        on ? json_integer((json_int_t)on) : json_null()));
    }
    json_decref(days);
    if (json_array_size(list))
        return list;
    json_decref(list);
    return NULL;
}

/* ---- its thread ---- */

static void *quota_thread(void *arg)
{
    struct library *lib = arg;
    uint64_t noted = 0;
    while (!atomic_load(&lib->quota_stop)) {
        unsigned reloads = atomic_load(&lib->n_reloads);
        count(lib);
        if (engine_time() / DAY != noted && atomic_load(&lib->eng.quota.n)) {
            note_days(lib);
            noted = engine_time() / DAY;
        }
        library_pause(lib, &lib->quota_stop, reloads, LOOK_MS);
    }
    return NULL;
}

int quota_watch_start(struct library *lib, struct errtext *err)
{
    count(lib); /* so that the first WRITE is judged by what is there */
    int rc = thread_start(&lib->quota_thread, "quota", quota_thread, lib);
    lib->quota_runs = !rc;
    return rc ? errtext_set(err, rc, "quota: no thread: %s", strerror(-rc)) : 0;
}

void quota_watch_stop(struct library *lib)
{
    atomic_store(&lib->quota_stop, true);
    progress_post(&lib->eng.progress);
    if (lib->quota_runs)
        pthread_join(lib->quota_thread, NULL);
    lib->quota_runs = false;
}
