/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * renterd_health.c: how much redundancy renterd's objects have left, and what it lacks to keep them or to take more.
 *
 * renterd has a health for each object: that of its worst slab. 1: each shard is with a host of its own whose contract is
 * good; 0: just as many are as it takes to read; below 0: fewer. It repairs what is at 0.75 or less by itself, as long as
 * it is synced, has money and finds hosts. It updates these figures when a contract turns good or bad.
 *
 * Grouped by cartridge the question takes renterd two seconds with 450,000 objects, and a fifth of a second to find that
 * the worst of them is whole. So that is asked first.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/human.h"

enum {
    GROUPS_OF_PAGE = 1000,
    MOST_PAGES = 10,
    MOST_COUNTED = 20,   /* groups whose weak objects are counted; */
    MOST_WEAK = 1000,    /* up to so many */
    MOST_ALERTS = 8,     /* that differ */
    ALERT_S = 24 * 3600, /* what goes on is registered anew; what is older was over */
    LISTS_MS = 30000,
    BLOCKS_A_DAY = 144,
    BLOCK_S = 600,
};

struct question {
    struct s3_store *s;
    const struct obj_findings *q;
    const struct obj_call *c;
    struct errtext *err;
};

static int no_sense(const struct question *a, const char *path)
{
    return errtext_set(a->err, -EIO, "the store's admin interface, %s%.*s: the answer is not renterd's",
                       a->s->admin.url, (int)strcspn(path, "?"), path);
}

/* *out NULL and 0: this renterd knows no such call. */
static int get(const struct question *a, const char *path, unsigned answer_ms, json_t **out)
{
    *out = NULL;
    int rc = s3_admin_call(a->s, "GET", path, answer_ms, out, a->c, a->err);
    return rc == -ENOENT ? 0 : rc || *out ? rc : no_sense(a, path);
}

/* ---- objects ---- */

/* The worst first, of those below the store's prefix and under; each '/' behind that makes a group, if they are grouped. */
static int get_objects(const struct question *a, const char *under, bool grouped, unsigned limit, const char *marker,
                       json_t **out)
{
    char number[16];
    struct strbuf path = {0};
    (void)snprintf(number, sizeof(number), "%u", limit);
    const struct sigv4_pair query[] = {
        {"bucket", a->s->bucket}, {"delimiter", grouped ? "/" : ""},
        {"limit", number},        {"marker", marker},
        {"sortby", "health"},     {"sortdir", "asc"},
    };
    strbuf_adds(&path, "/api/bus/objects/");
    sigv4_encode_path(&path, a->s->prefix);
    sigv4_encode_path(&path, under);
    strbuf_adds(&path, "?");
    sigv4_encode_query(&path, query, sizeof(query) / sizeof(query[0]));
    int rc = get(a, strbuf_str(&path), LISTS_MS, out);
    const json_t *list = json_object_get(*out, "objects");
    if (!rc && *out && !json_is_array(list) && !json_is_null(list))
        rc = no_sense(a, strbuf_str(&path));
    strbuf_free(&path);
    return rc;
}

static double health_of(const json_t *object)
{
    const json_t *h = json_object_get(object, "health");
    return json_is_number(h) ? json_number_value(h) : 1;
}

/* Without the slash before it, and without the store's prefix; NULL: it is none of the store's. */
static const char *key_of(const struct question *a, const json_t *object)
{
    const char *key = json_string_value(json_object_get(object, "key"));
    size_t n = strlen(a->s->prefix);
    if (!key || strncmp(key + (key[0] == '/'), a->s->prefix, n) != 0)
        return NULL;
    return key + (key[0] == '/') + n;
}

static int count_weak(const struct question *a, struct obj_finding *f)
{
    json_t *j = NULL;
    const json_t *one;
    size_t i;
    int rc = get_objects(a, f->key, false, MOST_WEAK, "", &j);
    const json_t *list = json_object_get(j, "objects");
    f->weak = 0;
    json_array_foreach(list, i, one) f->weak += health_of(one) < a->q->below;
    f->weak_or_more = f->weak == MOST_WEAK && json_is_true(json_object_get(j, "hasMore"));
    json_decref(j);
    return rc;
}

/* Tells of one page of groups. *more: another may have some that are not whole. */
static int tell_groups(const struct question *a, const json_t *list, unsigned *counted, bool *more)
{
    size_t i;
    const json_t *one;
    int rc = 0;
    json_array_foreach(list, i, one)
    {
        struct obj_finding f = {.key = key_of(a, one), .health = health_of(one)};
        *more = f.health < 1;
        if (!*more)
            break;
        if (!f.key)
            continue;
        f.weak = f.health < a->q->below;
        f.weak_or_more = f.weak;
        if (f.weak && (*counted)++ < MOST_COUNTED)
            rc = count_weak(a, &f);
        if (rc)
            break;
        a->q->found(a->q->arg, &f);
    }
    return rc;
}

/* A group at which a page ended may be gone when the next one is asked for: then that is all for this time. */
static int ask_groups(const struct question *a)
{
    char marker[1024] = "";
    unsigned counted = 0;
    bool more = true;
    int rc = 0;
    for (unsigned page = 0; !rc && more && page < MOST_PAGES; page++) {
        json_t *j = NULL;
        more = false;
        rc = get_objects(a, a->q->prefix, true, GROUPS_OF_PAGE, marker, &j);
        if (rc == -EIO && page)
            rc = 0;
        else if (!rc)
            rc = tell_groups(a, json_object_get(j, "objects"), &counted, &more);
        const char *next = json_string_value(json_object_get(j, "nextMarker"));
        more = more && next && next[0] && strlen(next) < sizeof(marker);
        (void)snprintf(marker, sizeof(marker), "%s", more ? next : "");
        json_decref(j);
    }
    return rc;
}

static int ask_objects(const struct question *a)
{
    json_t *worst = NULL;
    int rc = get_objects(a, a->q->prefix, false, 1, "", &worst);
    bool whole = health_of(json_array_get(json_object_get(worst, "objects"), 0)) >= 1;
    json_decref(worst);
    return rc || whole ? rc : ask_groups(a);
}

/* ---- contracts ---- */

static void tell_ends(const struct question *a, const json_t *contracts, json_int_t height, json_int_t window)
{
    size_t i, n = 0;
    const json_t *one;
    json_int_t first = window;
    char time[HUMAN_ROOM];
    json_array_foreach(contracts, i, one)
    {
        json_int_t left = json_integer_value(json_object_get(one, "windowStart")) - height;
        n += left < window / 2;
        first = left < first ? left : first;
    }
    first = first > 0 ? first : 0;
    if (n)
        s3_admin_found(
            a->q, first < BLOCKS_A_DAY ? OBJ_CRITICAL : OBJ_WARNING,
            "%zu of renterd's %zu usable contracts are not renewed, though half of the time for that is over; "
            "the first ends in %s",
            n, json_array_size(contracts), human_duration((uint64_t)first * BLOCK_S, time));
}

/* Whether they are enough, and renewed in time. */
static int ask_contracts(const struct question *a, json_int_t height, json_int_t window)
{
    json_t *settings = NULL, *contracts = NULL;
    int rc = get(a, "/api/bus/settings/upload", 0, &settings);
    if (!rc)
        rc = get(a, "/api/bus/contracts?filtermode=good", 0, &contracts);
    json_int_t hosts = json_integer_value(json_object_get(json_object_get(settings, "redundancy"), "totalShards"));
    if (!rc && contracts && !json_is_array(contracts) && !json_is_null(contracts))
        rc = no_sense(a, "/api/bus/contracts");
    json_int_t n = (json_int_t)json_array_size(contracts);
    if (!rc && contracts && n < hosts)
        s3_admin_found(
            a->q, OBJ_CRITICAL,
            "renterd has %lld usable contracts, and each slab is to be on %lld hosts: it takes no uploads and "
            "repairs nothing in full",
            (long long)n, (long long)hosts);
    if (!rc && height && window)
        tell_ends(a, contracts, height, window);
    json_decref(settings);
    json_decref(contracts);
    return rc;
}

static int ask_upkeep(const struct question *a)
{
    json_t *state = NULL, *autopilot = NULL;
    int rc = get(a, "/api/bus/consensus/state", 0, &state);
    if (!rc)
        rc = get(a, "/api/bus/autopilot", 0, &autopilot);
    if (!rc && json_is_false(json_object_get(state, "synced")))
        s3_admin_found(a->q, OBJ_CRITICAL,
                       "renterd is not synced with the chain: it takes no uploads and renews nothing");
    if (!rc && json_is_false(json_object_get(autopilot, "enabled")))
        s3_admin_found(a->q, OBJ_CRITICAL,
                       "renterd's autopilot is off: contracts are not renewed and objects not repaired");
    if (!rc)
        rc = ask_contracts(a, json_integer_value(json_object_get(state, "blockHeight")),
                           json_integer_value(json_object_get(json_object_get(autopilot, "contracts"), "renewWindow")));
    json_decref(state);
    json_decref(autopilot);
    return rc;
}

/* ---- money ---- */

/* Amounts are texts, as they do not fit into 64 bits. */
static bool is_nothing(const json_t *wallet, const char *name)
{
    const char *amount = json_string_value(json_object_get(wallet, name));
    return amount && amount[0] && !amount[strspn(amount, "0")];
}

static int ask_wallet(const struct question *a)
{
    json_t *j = NULL;
    int rc = get(a, "/api/bus/wallet", 0, &j);
    if (!rc && is_nothing(j, "confirmed") && is_nothing(j, "unconfirmed") && is_nothing(j, "immature"))
        s3_admin_found(a->q, OBJ_CRITICAL, "renterd's wallet is empty: contracts can be neither formed nor renewed");
    json_decref(j);
    return rc;
}

/* ---- alerts ---- */

/* Seconds since 1970 of "2026-11-27T05:30:11.908140405+01:00"; 0: it is none. */
static uint64_t time_of(const json_t *alert)
{
    const char *text = json_string_value(json_object_get(alert, "timestamp"));
    struct tm tm = {.tm_isdst = 0};
    const char *p = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!p)
        return 0;
    p += strspn(p, ".0123456789");
    time_t t = timegm(&tm);
    if ((*p == '+' || *p == '-') && strlen(p) == strlen("+01:00") && p[3] == ':') {
        char *end;
        long away = strtol(p + 1, &end, 10) * 3600 + strtol(p + 4, &end, 10) * 60;
        t -= *p == '+' ? away : -away;
    }
    return t > 0 ? (uint64_t)t : 0;
}

static bool is_same(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "message"), json_object_get(b, "message"));
}

/* Is it of interest: of the last day, and more than for information? */
static bool counts(const json_t *alert, uint64_t now)
{
    const char *severity = json_string_value(json_object_get(alert, "severity"));
    return severity && strcmp(severity, "info") != 0 && json_string_value(json_object_get(alert, "message")) &&
           time_of(alert) + ALERT_S > now;
}

/* Those from i on that say the same, the newest of which is i. */
static void tell_alert(const struct question *a, const json_t *list, size_t i, uint64_t now)
{
    const json_t *newest = json_array_get(list, i), *data = json_object_get(newest, "data");
    const char *why = json_string_value(json_object_get(data, "error"));
    enum obj_severity severity = OBJ_WARNING;
    char when[HUMAN_ROOM];
    size_t n = 0;
    why = why ? why : json_string_value(json_object_get(data, "reason"));
    for (size_t k = i; k < json_array_size(list); k++) {
        const json_t *one = json_array_get(list, k);
        const char *s = json_string_value(json_object_get(one, "severity"));
        if (!is_same(newest, one) || !counts(one, now))
            continue;
        n++;
        severity = s && !strcmp(s, "critical") ? OBJ_CRITICAL : severity;
    }
    s3_admin_found(a->q, severity, "renterd has %zu alert%s \"%.100s\", the last of %s%s%.300s", n, n == 1 ? "" : "s",
                   json_string_value(json_object_get(newest, "message")), human_time(time_of(newest), when),
                   why ? ": " : "", why ? why : "");
}

/* They are the newest first, and may be many: each transfer that failed is one. */
static int ask_alerts(const struct question *a)
{
    json_t *j = NULL;
    int rc = get(a, "/api/bus/alerts?limit=200", 0, &j);
    const json_t *list = json_object_get(j, "alerts");
    uint64_t now = (uint64_t)time(NULL);
    for (size_t i = 0, told = 0; !rc && i < json_array_size(list) && told < MOST_ALERTS; i++) {
        const json_t *one = json_array_get(list, i);
        bool first = counts(one, now);
        for (size_t k = 0; first && k < i; k++)
            first = !is_same(json_array_get(list, k), one) || !counts(json_array_get(list, k), now);
        if (first)
            tell_alert(a, list, i, now);
        told += first;
    }
    json_decref(j);
    return rc;
}

int renterd_findings(struct s3_store *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err)
{
    const struct question a = {s, q, c, err};
    int rc = ask_objects(&a);
    if (!rc)
        rc = ask_upkeep(&a);
    if (!rc)
        rc = ask_wallet(&a);
    if (!rc)
        rc = renterd_buffer_findings(s, q, c, err);
    return rc ? rc : ask_alerts(&a);
}
