/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_findings.c: what renterd and s3d tell of their own state, by the answers of their admin interfaces. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((const struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)
#define GET(path, text)                                                                                                \
    {                                                                                                                  \
        .expect = "GET /api/bus/" path " ", .status = 200, .body = text                                                \
    }
/* As renterd 2.9.3 answers. */
#define LIST(more, next, list) "{\"hasMore\":" #more ",\"nextMarker\":\"" next "\",\"objects\":[" list "]}"
#define OBJECT(name, health)                                                                                           \
    "{\"bucket\":\"bkt\",\"eTag\":\"14ac3554580623009b2c2ff0b2fe2c34\",\"health\":" #health                            \
    ",\"modTime\":\"2026-11-27T05:29:48Z\",\"key\":\"" name "\",\"size\":12582912,\"mimeType\":\"a/b\"}"
#define GROUP(name, health)                                                                                            \
    "{\"bucket\":\"bkt\",\"health\":" #health ",\"modTime\":\"2026-11-27T05:29:48Z\",\"key\":\"" name                  \
    "\",\"size\":12582912}"
#define WORST(text) GET("objects/pre/tapes/?bucket=bkt&delimiter=&limit=1&marker=&sortby=health&sortdir=asc", text)
#define GROUPS(marker, text)                                                                                           \
    GET("objects/pre/tapes/?bucket=bkt&delimiter=%2F&limit=1000&marker=" marker "&sortby=health&sortdir=asc", text)
#define COUNT(barcode, text)                                                                                           \
    GET("objects/pre/tapes/" barcode "/?bucket=bkt&delimiter=&limit=1000&marker=&sortby=health&sortdir=asc", text)
#define ALL_WHOLE WORST(LIST(true, "/pre/tapes/A/head/1", OBJECT("/pre/tapes/A/head/1", 1)))
#define SYNCED(yes, height)                                                                                            \
    GET("consensus/state",                                                                                             \
        "{\"blockHeight\":" #height ",\"lastBlockTime\":\"2026-11-27T05:29:24Z\",\"synced\":" #yes "}")
#define AUTOPILOT(on)                                                                                                  \
    GET("autopilot", "{\"enabled\":" #on ",\"contracts\":{\"amount\":50,\"period\":6048,\"renewWindow\":2016}}")
#define REDUNDANCY(min, total)                                                                                         \
    GET("settings/upload",                                                                                             \
        "{\"packing\":{\"enabled\":true},\"redundancy\":{\"minShards\":" #min ",\"totalShards\":" #total "}}")
#define CONTRACTS(text) GET("contracts?filtermode=good", text)
#define CONTRACT(end)                                                                                                  \
    "{\"id\":\"5378\",\"size\":0,\"state\":\"active\",\"usability\":\"good\",\"windowStart\":" #end "}"
#define WALLET(confirmed, unconfirmed)                                                                                 \
    GET("wallet", "{\"spendable\":\"0\",\"confirmed\":\"" confirmed "\",\"unconfirmed\":\"" unconfirmed                \
                  "\",\"immature\":\"0\",\"address\":\"c164\",\"scanHeight\":53}")
#define ALERTS(text) GET("alerts?limit=200", "{\"alerts\":" text ",\"hasMore\":false}")
#define UPKEEP_IS_WELL                                                                                                 \
    SYNCED(true, 1000), AUTOPILOT(true), REDUNDANCY(1, 2), CONTRACTS("[" CONTRACT(6000) "," CONTRACT(6000) "]")
#define REST_IS_WELL UPKEEP_IS_WELL, WALLET("7499947230000000000000000000000", "0"), ALERTS("null")

struct rig {
    struct stand_in *si;
    struct objstore *s;
    char found[4000]; /* a line for each */
    struct errtext err;
    int rc;
};

static void take(void *arg, const struct obj_finding *f)
{
    struct rig *g = arg;
    size_t n = strlen(g->found), room = sizeof(g->found) - n;
    if (f->key)
        (void)snprintf(g->found + n, room, "%s %.2f %zu%s\n", f->key, f->health, f->weak, f->weak_or_more ? "+" : "");
    else
        (void)snprintf(g->found + n, room, "%s: %s\n", f->severity == OBJ_CRITICAL ? "critical" : "warning", f->text);
}

static void ask(struct rig *g)
{
    const struct obj_findings q = {.prefix = "tapes/", .below = 0.5, .found = take, .arg = g};
    g->found[0] = '\0';
    g->rc = objstore_findings(g->s, &q, NULL, &g->err);
}

static struct rig start(const char *kind, const struct stand_in_answer *script, size_t n)
{
    struct rig g = {.si = stand_in_start(script, n)};
    g.s = stand_in_store_with_admin(g.si, kind);
    ask(&g);
    return g;
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    stand_in_stop(g->si);
}

static void expect(struct rig *g, const char *found)
{
    if (g->rc)
        fail_msg("%d: %s", g->rc, g->err.text);
    assert_string_equal(g->found, found);
}

/* What one answer of renterd's in place of the good one is found to mean. */
static void expect_of(const struct stand_in_answer *script, size_t n, const char *found)
{
    struct rig g = start("renterd", script, n);
    expect(&g, found);
    stop(&g);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* ---- renterd's objects ---- */

static void renterd_that_is_well_is_asked_for_its_worst_object_only(void **state)
{
    (void)state;
    expect_of(SCRIPT(ALL_WHOLE, REST_IS_WELL), "");
    expect_of(SCRIPT(WORST("{\"hasMore\":false,\"nextMarker\":\"\",\"objects\":null}"), REST_IS_WELL), "");
}

static void each_group_that_is_not_whole_is_told_with_its_weak_objects(void **state)
{
    (void)state;
    expect_of(
        SCRIPT(WORST(LIST(true, "/pre/tapes/B/seg/1", OBJECT("/pre/tapes/B/seg/1", -0.25))),
               GROUPS("", LIST(false, "",
                               GROUP("/pre/tapes/B/", -0.25) "," GROUP("/pre/tapes/C/", 0.5) "," GROUP("/pre/tapes/A/",
                                                                                                       1))),
               COUNT("B", LIST(false, "",
                               OBJECT("/pre/tapes/B/seg/1", -0.25) "," OBJECT("/pre/tapes/B/seg/3", 0.49) "," OBJECT(
                                   "/pre/tapes/B/seg/2", 0.5) "," OBJECT("/pre/tapes/B/seg/4", 1))),
               REST_IS_WELL),
        "tapes/B/ -0.25 2\ntapes/C/ 0.50 0\n");
}

static void pages_are_followed_until_all_are_whole(void **state)
{
    (void)state;
    expect_of(SCRIPT(WORST(LIST(true, "x", OBJECT("/pre/tapes/B/seg/1", 0.6))),
                     GROUPS("", LIST(true, "/pre/tapes/B/", GROUP("/pre/tapes/B/", 0.6))),
                     GROUPS("%2Fpre%2Ftapes%2FB%2F",
                            LIST(true, "/pre/tapes/A/", GROUP("/pre/tapes/C/", 0.75) "," GROUP("/pre/tapes/A/", 1))),
                     REST_IS_WELL),
              "tapes/B/ 0.60 0\ntapes/C/ 0.75 0\n");
    /* The one at which a page ended is gone. */
    expect_of(SCRIPT(WORST(LIST(true, "x", OBJECT("/pre/tapes/B/seg/1", 0.6))),
                     GROUPS("", LIST(true, "/pre/tapes/B/", GROUP("/pre/tapes/B/", 0.6))),
                     {.expect = "GET /api/bus/objects/", .status = 500, .body = "marker not found"}, REST_IS_WELL),
              "tapes/B/ 0.60 0\n");
}

static void what_is_not_below_the_stores_prefix_is_not_told(void **state)
{
    (void)state;
    expect_of(SCRIPT(WORST(LIST(false, "", OBJECT("/pre/tapes/B/seg/1", 0.6))),
                     GROUPS("", LIST(false, "", GROUP("/pretapes/B/", 0.6) "," GROUP("/other/tapes/B/", 0.6))),
                     REST_IS_WELL),
              "");
}

static void an_answer_that_is_not_renterds_is_an_error(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT(WORST("<!doctype html>")));
    assert_int_equal(g.rc, -EIO);
    assert_has(g.err.text, "/api/bus/objects/pre/tapes/: the answer is not renterd's");
    stop(&g);
    g = start("renterd", SCRIPT(WORST("{\"objects\":3}")));
    assert_int_equal(g.rc, -EIO);
    stop(&g);
    g = start("renterd",
              SCRIPT(ALL_WHOLE, SYNCED(true, 1000), AUTOPILOT(true), REDUNDANCY(1, 2), CONTRACTS("{\"error\":1}")));
    assert_int_equal(g.rc, -EIO);
    stop(&g);
}

/* ---- what renterd lacks ---- */

static void too_few_usable_contracts_are_told(void **state)
{
    (void)state;
    expect_of(SCRIPT(ALL_WHOLE, SYNCED(true, 1000), AUTOPILOT(true), REDUNDANCY(10, 30),
                     CONTRACTS("[" CONTRACT(6000) "," CONTRACT(6000) "]"), WALLET("1", "0"), ALERTS("[]")),
              "critical: renterd has 2 usable contracts, and each slab is to be on 30 hosts: it takes no uploads and "
              "repairs nothing in full\n");
    expect_of(SCRIPT(ALL_WHOLE, SYNCED(true, 1000), AUTOPILOT(true), REDUNDANCY(1, 1), CONTRACTS("null"),
                     WALLET("1", "0"), ALERTS("[]")),
              "critical: renterd has 0 usable contracts, and each slab is to be on 1 hosts: it takes no uploads and "
              "repairs nothing in full\n");
}

/* renterd begins to renew 2016 blocks before the end. */
static void contracts_that_are_not_renewed_in_time_are_told(void **state)
{
    (void)state;
    expect_of(
        SCRIPT(ALL_WHOLE, SYNCED(true, 1000), AUTOPILOT(true), REDUNDANCY(1, 2),
               CONTRACTS("[" CONTRACT(2007) "," CONTRACT(2008) "]"), WALLET("1", "0"), ALERTS("[]")),
        "warning: 1 of renterd's 2 usable contracts are not renewed, though half of the time for that is over; the "
        "first ends in 6 d 23 h\n");
    expect_of(
        SCRIPT(ALL_WHOLE, SYNCED(true, 1000), AUTOPILOT(true), REDUNDANCY(1, 2),
               CONTRACTS("[" CONTRACT(1143) "," CONTRACT(1500) "]"), WALLET("1", "0"), ALERTS("[]")),
        "critical: 2 of renterd's 2 usable contracts are not renewed, though half of the time for that is over; the "
        "first ends in 23 h 50 min\n");
}

static void a_renterd_that_keeps_nothing_up_is_told(void **state)
{
    (void)state;
    expect_of(SCRIPT(ALL_WHOLE, SYNCED(false, 1000), AUTOPILOT(false), REDUNDANCY(1, 1),
                     CONTRACTS("[" CONTRACT(6000) "]"), WALLET("0", "0"), ALERTS("[]")),
              "critical: renterd is not synced with the chain: it takes no uploads and renews nothing\n"
              "critical: renterd's autopilot is off: contracts are not renewed and objects not repaired\n"
              "critical: renterd's wallet is empty: contracts can be neither formed nor renewed\n");
    expect_of(SCRIPT(ALL_WHOLE, UPKEEP_IS_WELL, WALLET("0", "5"), ALERTS("[]")), ""); /* it was just paid */
}

static void what_an_older_renterd_does_not_know_is_passed_over(void **state)
{
    (void)state;
    const struct stand_in_answer none = {.status = 404, .body = "404 page not found"};
    expect_of(SCRIPT(ALL_WHOLE, none, none, none, none, none, none), "");
}

static const char *alert(const char *severity, const char *message, const char *more, time_t when, const char *zone)
{
    static char text[4][400];
    static unsigned next;
    char stamp[40];
    struct tm tm;
    char *out = text[next++ % 4];
    (void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&when, &tm));
    (void)snprintf(out, sizeof(text[0]),
                   "{\"id\":\"1\",\"severity\":\"%s\",\"message\":\"%s\",\"data\":{\"origin\":\"autopilot\"%s},"
                   "\"timestamp\":\"%s.908140405%s\"}",
                   severity, message, more, stamp, zone);
    return out;
}

/* Of a minute ago, but for what is said. */
static void alerts_of_the_last_day_are_told_once_each_with_renterds_words(void **state)
{
    (void)state;
    char list[2000];
    time_t now = time(NULL), ago = now - 60;
    (void)snprintf(list, sizeof(list), "{\"alerts\":[%s,%s,%s,", alert("info", "Migrating 3 slabs", "", ago, "Z"),
                   alert("error", "Slab migration failed", ",\"error\":\"not enough\\nhosts\"", ago, "Z"),
                   alert("critical", "Slab migration failed", ",\"error\":\"older\"", ago, "Z"));
    size_t n = strlen(list);
    (void)snprintf(
        list + n, sizeof(list) - n, "%s,%s,%s]}",
        alert("warning", "Contract maintenance is skipped", ",\"reason\":\"no peers\"", ago + 3600, "+01:00"),
        alert("error", "Upload failed", "", now - 24 * 3600 - 30, "Z"),
        alert("error", "Download failed", "", now - 24 * 3600 + 900, "+00:30"));
    const struct stand_in_answer alerts = {.expect = "GET /api/bus/alerts?limit=200 ", .status = 200, .body = list};
    struct rig g = start("renterd", SCRIPT(ALL_WHOLE, UPKEEP_IS_WELL, WALLET("1", "0"), alerts));
    assert_int_equal(g.rc, 0);
    assert_has(g.found, "critical: renterd has 2 alerts \"Slab migration failed\", the last of 20");
    assert_has(g.found,
               ": not enough hosts\nwarning: renterd has 1 alert \"Contract maintenance is skipped\", the last of 20");
    assert_has(g.found, ": no peers\n");
    assert_null(strstr(g.found, "older"));
    assert_null(strstr(g.found, "Migrating"));
    assert_null(strstr(g.found, "Upload failed"));
    assert_null(strstr(g.found, "Download failed"));
    stop(&g);
}

static void a_renterd_that_fails_in_the_middle_is_an_error(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT(ALL_WHOLE, SYNCED(true, 1), {.status = 500, .body = "database is locked"}));
    assert_int_equal(g.rc, -EIO);
    assert_has(g.err.text, "/api/bus/autopilot: status 500: database is locked");
    stop(&g);
}

/* ---- s3d ---- */

#define STATS(pending, uploaded, unpinned, failed)                                                                     \
    {                                                                                                                  \
        .expect = "GET /stats/uploads ", .status = 200,                                                                \
        .body = "{\"pendingObjects\":" #pending ",\"pendingSize\":63500000,\"uploadedObjects\":" #uploaded             \
                ",\"uploadedSize\":900,\"unpinnedObjects\":" #unpinned ",\"failedUploads\":" #failed                   \
                ",\"orphanedObjects\":0,\"multipartUploads\":0}"                                                       \
    }
#define FLUSH(code, text)                                                                                              \
    {                                                                                                                  \
        .expect = "POST /objects/flush ", .status = code, .body = text                                                 \
    }

static void hurry(struct rig *g)
{
    (void)objstore_hurry(g->s, NULL, &g->err);
    ask(g);
}

static void s3d_that_is_well_lacks_nothing(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT(STATS(3, 9, 0, 4)));
    expect(&g, "");
    stop(&g);
}

/* With the account full it answers 200 in 3 ms, and PUT goes on. */
static void a_flush_of_s3d_that_answers_200_and_brings_nothing_is_told(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT(STATS(3, 9, 0, 0), FLUSH(200, ""), STATS(3, 9, 0, 0), STATS(4, 9, 0, 0),
                                       STATS(2, 11, 0, 0), FLUSH(200, ""), STATS(0, 13, 0, 0)));
    expect(&g, "");
    static const char stuck[] =
        "critical: s3d was asked to bring what it has to hosts, answered that it had, and nothing "
        "left its disk: %d objects (63.5 MB) are there only. Its account may be full; its log "
        "tells\n";
    char text[400];
    hurry(&g);
    (void)snprintf(text, sizeof(text), stuck, 3);
    expect(&g, text);
    ask(&g);
    (void)snprintf(text, sizeof(text), stuck, 4);
    expect(&g, text); /* it stays until something leaves */
    ask(&g);
    expect(&g, "");
    hurry(&g);
    expect(&g, "");
    stop(&g);
}

static void what_s3d_said_of_a_failed_flush_is_told_until_one_succeeds(void **state)
{
    (void)state;
    struct rig g =
        start("s3d", SCRIPT(STATS(3, 9, 0, 0), FLUSH(500, "failed to flush objects: no more hosts available\n"),
                            STATS(3, 9, 0, 0), FLUSH(200, ""), STATS(0, 12, 0, 0)));
    hurry(&g);
    assert_int_equal(g.rc, 0);
    assert_has(g.found,
               "critical: s3d was asked to bring what it has to hosts, and could not: the store's admin interface");
    assert_has(g.found, "/objects/flush: status 500: failed to flush objects: no more hosts available");
    hurry(&g);
    expect(&g, "");
    stop(&g);
}

static void uploads_of_s3ds_that_begin_to_fail_are_told(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT(STATS(3, 9, 0, 4), STATS(3, 9, 0, 6), STATS(3, 9, 0, 0)));
    expect(&g, ""); /* of earlier, perhaps of weeks ago */
    ask(&g);
    expect(&g, "warning: uploads of s3d's to hosts fail, 6 since it was started; its log tells why\n");
    stop(&g);
}

static void objects_that_s3ds_indexer_does_not_keep_for_long_are_told(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT(STATS(0, 9, 2, 0), STATS(0, 9, 3, 0), STATS(0, 9, 0, 0), STATS(0, 9, 1, 0)));
    expect(&g, "");
    ((struct s3_store *)g.s)->admin.s3d.unpinned_ms -= 601000; /* it began ten minutes ago */
    ask(&g);
    expect(&g,
           "critical: s3d has had objects that no indexer keeps for 10 min, now 3; after a day they must be uploaded "
           "anew\n");
    ask(&g);
    ask(&g);
    expect(&g, "");
    stop(&g);
}

/* ---- nobody to ask ---- */

static void a_store_without_admin_interface_does_not_tell(void **state)
{
    (void)state;
    struct rig g = {.si = stand_in_start(NULL, 0)};
    g.s = stand_in_store(g.si, NULL, 0);
    ask(&g);
    assert_int_equal(g.rc, -ENOTSUP);
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renterd_that_is_well_is_asked_for_its_worst_object_only),
        cmocka_unit_test(each_group_that_is_not_whole_is_told_with_its_weak_objects),
        cmocka_unit_test(pages_are_followed_until_all_are_whole),
        cmocka_unit_test(what_is_not_below_the_stores_prefix_is_not_told),
        cmocka_unit_test(an_answer_that_is_not_renterds_is_an_error),
        cmocka_unit_test(too_few_usable_contracts_are_told),
        cmocka_unit_test(contracts_that_are_not_renewed_in_time_are_told),
        cmocka_unit_test(a_renterd_that_keeps_nothing_up_is_told),
        cmocka_unit_test(what_an_older_renterd_does_not_know_is_passed_over),
        cmocka_unit_test(alerts_of_the_last_day_are_told_once_each_with_renterds_words),
        cmocka_unit_test(a_renterd_that_fails_in_the_middle_is_an_error),
        cmocka_unit_test(s3d_that_is_well_lacks_nothing),
        cmocka_unit_test(a_flush_of_s3d_that_answers_200_and_brings_nothing_is_told),
        cmocka_unit_test(what_s3d_said_of_a_failed_flush_is_told_until_one_succeeds),
        cmocka_unit_test(uploads_of_s3ds_that_begin_to_fail_are_told),
        cmocka_unit_test(objects_that_s3ds_indexer_does_not_keep_for_long_are_told),
        cmocka_unit_test(a_store_without_admin_interface_does_not_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
