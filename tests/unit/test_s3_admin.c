/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_admin.c: what of the accepted bytes is off-site, by the answers of s3d's and renterd's admin interfaces. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((const struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)
#define STATS(pending, size, unpinned)                                                                                 \
    .expect = "GET /stats/uploads ", .status = 200,                                                                    \
    .body = "{\"pendingObjects\":" #pending ",\"pendingSize\":" #size ",\"uploadedObjects\":9,\"uploadedSize\":900,"   \
            "\"unpinnedObjects\":" #unpinned ",\"failedUploads\":0,\"orphanedObjects\":0,\"multipartUploads\":0}"
#define BUFFERS(list) .expect = "GET /api/bus/slabbuffers ", .status = 200, .body = list
#define ALERTS(list)                                                                                                   \
    .expect = "GET /api/bus/alerts?severity=critical&offset=0&limit=20 ", .status = 200,                               \
    .body = "{\"alerts\":" list ",\"hasMore\":false,\"totals\":{\"critical\":0}}"
#define ALERTS_FROM(offset, more, list)                                                                                \
    .expect = "GET /api/bus/alerts?severity=critical&offset=" #offset "&limit=20 ", .status = 200,                     \
    .body = "{\"alerts\":[" list "],\"hasMore\":" #more ",\"totals\":{\"critical\":0}}"
#define ALERT(text) "{\"severity\":\"critical\",\"message\":\"" text "\",\"data\":{\"filename\":\"x\"}}"
#define MIGRATIONS ALERT("Slab migration failed") "," ALERT("Slab migration failed")
#define BUFFER(name, complete, size)                                                                                   \
    "{\"complete\":" #complete ",\"filename\":\"" name "\",\"size\":" #size ",\"maxSize\":8388608,\"locked\":false}"
/* One whose fill takes no time. */
#define SMALL(name, complete, size)                                                                                    \
    "{\"complete\":" #complete ",\"filename\":\"" name "\",\"size\":" #size ",\"maxSize\":65536,\"locked\":false}"
#define A "2-3-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "2-3-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OLD "2-4-cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define NO_ALERTS                                                                                                      \
    {                                                                                                                  \
        ALERTS("[]")                                                                                                   \
    }
#define SETTINGS                                                                                                       \
    {                                                                                                                  \
        .expect = "GET /api/bus/settings/upload ", .status = 200,                                                      \
        .body = "{\"packing\":{\"enabled\":true},\"redundancy\":{\"minShards\":2,\"totalShards\":3}}"                  \
    }
#define NO_LEFTOVERS                                                                                                   \
    {                                                                                                                  \
        .expect = "GET /bkt?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2Ffill%2F ", .status = 200,         \
        .body = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"                                \
    }
#define BUCKET_IS_THERE                                                                                                \
    {                                                                                                                  \
        .expect = "HEAD /bkt ", .status = 200                                                                          \
    }

struct rig {
    struct stand_in *si;
    struct objstore *s;
    struct obj_offsite o;
    struct errtext err;
};

static struct rig start(const char *kind, const struct stand_in_answer *script, size_t n)
{
    struct rig g = {.si = stand_in_start(script, n)};
    g.s = stand_in_store_with_admin(g.si, kind);
    return g;
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    stand_in_stop(g->si);
}

static void ask(struct rig *g)
{
    int rc = objstore_offsite(g->s, &g->o, NULL, &g->err);
    if (rc)
        fail_msg("%d: %s", rc, g->err.text);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* ---- s3d ---- */

static void s3d_with_nothing_pending_is_off_site_up_to_the_question(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({STATS(0, 0, 0)}));
    uint64_t before = clock_ms();
    ask(&g);
    assert_in_range(g.o.before_ms, before, clock_ms());
    assert_int_equal(g.o.missing, 0);
    assert_int_equal(g.o.brought, 9);
    assert_string_equal(g.o.why, "");
    assert_has(stand_in_head(g.si, 0), "\r\nAuthorization: Basic OmFkbWluIHBhc3N3b3Jk\r\n"); /* ":admin password" */
    stop(&g);
}

static void s3d_that_has_pending_or_unpinned_objects_is_not(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({STATS(3, 63500000, 0)}, {STATS(0, 0, 2)}));
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    assert_int_equal(g.o.missing, 63500000);
    assert_has(g.o.why, "3 objects (63.5 MB) on its own disk");
    assert_has(g.o.why, "whoever wrote them");
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    assert_has(g.o.why, "2 that no indexer keeps yet");
    stop(&g);
}

/* It did with all pins failing, and with the account full. */
static void a_flush_of_s3d_that_answers_200_proves_nothing(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({.expect = "POST /objects/flush ", .status = 200}, {STATS(1, 10, 0)}));
    assert_int_equal(objstore_hurry(g.s, NULL, &g.err), 0);
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    stop(&g);
}

static void what_s3d_says_of_a_failed_flush_is_told(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({.expect = "POST /objects/flush ",
                                        .status = 500,
                                        .body = "failed to flush objects: no more hosts available\n"}));
    assert_int_equal(objstore_hurry(g.s, NULL, &g.err), -EIO);
    assert_has(g.err.text, "status 500: failed to flush objects: no more hosts available");
    stop(&g);
}

static void an_answer_that_is_not_s3ds_is_an_error(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({.status = 200, .body = "{\"pendingObjects\":0,\"unpinnedObjects\":\"0\"}"},
                                       {.status = 200, .body = "<html></html>"},
                                       {.status = 200, .way = SI_SHORT, .missing = 5, .body = "{}"}));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(objstore_offsite(g.s, &g.o, NULL, &g.err), -EIO);
        assert_int_equal(g.o.before_ms, 0);
    }
    stop(&g);
}

/* ---- the interface ---- */

static void a_refused_password_names_its_file_and_not_the_password(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({.status = 401, .body = "unauthorized"}));
    assert_int_equal(objstore_offsite(g.s, &g.o, NULL, &g.err), -EACCES);
    assert_has(g.err.text, "refuses the password of /tmp/s3vtl-stand-in-");
    assert_null(strstr(g.err.text, STAND_IN_PASSWORD));
    stop(&g);
}

static enum obj_service service_of(struct objstore *s)
{
    struct obj_facts f;
    objstore_facts(s, &f);
    return f.service;
}

static void the_service_is_found_out_by_its_admin_interface(void **state)
{
    (void)state;
    struct rig g = start("auto", SCRIPT({STATS(0, 0, 0)}, {STATS(0, 0, 0)}));
    assert_int_equal(service_of(g.s), OBJ_SERVICE_UNKNOWN);
    ask(&g);
    assert_int_equal(service_of(g.s), OBJ_SERVICE_S3D);
    stop(&g);
    /* renterd answers what it does not know with its web interface. */
    g = start("auto", SCRIPT({.expect = "GET /stats/uploads ", .status = 200, .body = "<!doctype html>"},
                             {BUFFERS("[]")}, {BUFFERS("[]")}, NO_ALERTS));
    ask(&g);
    assert_int_equal(service_of(g.s), OBJ_SERVICE_RENTERD);
    stop(&g);
    g = start("auto", SCRIPT({.status = 404}, {.status = 404}));
    assert_int_equal(objstore_offsite(g.s, &g.o, NULL, &g.err), -EIO);
    assert_has(g.err.text, "neither s3d's nor renterd's");
    assert_int_equal(service_of(g.s), OBJ_SERVICE_UNKNOWN);
    stop(&g);
}

/* ---- renterd ---- */

static void renterd_without_buffers_is_off_site_up_to_the_question(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT({BUFFERS("null")}, NO_ALERTS));
    uint64_t before = clock_ms();
    ask(&g);
    assert_in_range(g.o.before_ms, before, clock_ms());
    assert_string_equal(g.o.why, "");
    stop(&g);
}

static void what_is_in_renterds_buffers_is_missing(void **state)
{
    (void)state;
    struct rig g =
        start("renterd", SCRIPT({BUFFERS("[" BUFFER(A, true, 8388608) "," BUFFER(B, false, 1000000) "]")}, NO_ALERTS));
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    assert_int_equal(g.o.missing, 9388608);
    assert_has(g.o.why, "9.4 MB in 2 slab buffers");
    assert_has(g.o.why, "1 wait until they are full, 1 to be uploaded");
    stop(&g);
}

/* Asked for more than a moment apart, so that the times differ. */
static void pass_a_moment(void)
{
    uint64_t now = clock_ms();
    while (clock_ms() <= now + 2)
        ;
}

static void others_that_go_on_writing_to_renterd_do_not_hold_up_what_was_there(void **state)
{
    (void)state;
    struct rig g =
        start("renterd", SCRIPT({BUFFERS("[" BUFFER(A, false, 5) "]")}, NO_ALERTS,
                                {BUFFERS("[" BUFFER(A, true, 8388608) "," BUFFER(B, false, 7) "]")}, NO_ALERTS,
                                {BUFFERS("[" BUFFER(B, false, 9) "]")}, NO_ALERTS, {BUFFERS("[]")}, NO_ALERTS));
    uint64_t first = clock_ms();
    ask(&g);
    uint64_t second = clock_ms();
    pass_a_moment();
    ask(&g);
    assert_int_equal(g.o.before_ms, 0); /* A was there at the first question */
    pass_a_moment();
    ask(&g);
    /* A is gone. B was not there when the first question was asked, and may hold anything after that. */
    assert_in_range(g.o.before_ms, first, second);
    assert_int_equal(g.o.missing, 9);
    pass_a_moment();
    uint64_t last = clock_ms();
    ask(&g);
    assert_in_range(g.o.before_ms, last, clock_ms());
    stop(&g);
}

static void a_buffer_that_renterd_lost_is_missing_for_good(void **state)
{
    (void)state;
    struct rig g = start(
        "renterd", SCRIPT({BUFFERS("[]")}, {ALERTS("[{\"severity\":\"critical\",\"message\":\"failed to read buffer "
                                                   "file on startup\",\"data\":{\"filename\":\"x\"}}]")}));
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    assert_has(g.o.why, "failed to read buffer file on startup");
    stop(&g);
}

static void newer_alerts_do_not_hide_that_one(void **state)
{
    (void)state;
    struct rig g = start(
        "renterd", SCRIPT({BUFFERS("[]")}, {ALERTS_FROM(0, true, MIGRATIONS)}, {ALERTS_FROM(20, true, MIGRATIONS)},
                          {ALERTS_FROM(40, false, MIGRATIONS "," ALERT("failed to read data from buffer"))}));
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    assert_has(g.o.why, "failed to read data from buffer");
    stop(&g);
}

static void with_more_alerts_than_are_looked_at_nothing_is_known(void **state)
{
    (void)state;
    struct stand_in_answer script[51] = {{BUFFERS("[]")}};
    for (int i = 1; i < 51; i++)
        script[i] = (struct stand_in_answer){
            .expect = "GET /api/bus/alerts?severity=critical&offset=",
            .status = 200,
            .body = "{\"alerts\":[" MIGRATIONS "],\"hasMore\":true}",
        };
    struct rig g = start("renterd", script, 51);
    ask(&g);
    assert_int_equal(g.o.before_ms, 0);
    assert_has(g.o.why, "more than 1000 critical alerts");
    stop(&g);
}

static void alerts_that_are_cut_short_are_an_error(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT({BUFFERS("[]")}, {.status = 200, .body = "{\"alerts\":[" MIGRATIONS},
                                           {BUFFERS("[]")}, {.status = 200, .body = "{\"alerts\":\"none\"}"}));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(objstore_offsite(g.s, &g.o, NULL, &g.err), -EIO);
        assert_int_equal(g.o.before_ms, 0);
        assert_has(g.err.text, "/api/bus/alerts: the answer is not renterd's");
    }
    stop(&g);
}

static unsigned long length_of(struct rig *g, unsigned request)
{
    const char *p = strcasestr(stand_in_head(g->si, request), "\r\nContent-Length: ");
    assert_non_null(p);
    return strtoul(p + 18, NULL, 10);
}

static void renterds_buffer_is_filled_up_by_an_object_of_what_it_lacks(void **state)
{
    (void)state;
    struct rig g = start(
        "renterd",
        SCRIPT(NO_LEFTOVERS, BUCKET_IS_THERE, SETTINGS, {BUFFERS("[" BUFFER(A, false, 8388000) "]")},
               {.expect = "PUT /bkt/pre/fill/", .status = 200, .etag = 1}, {BUFFERS("[" BUFFER(A, true, 8388608) "]")},
               {.expect = "PUT /bkt/pre/fill/", .status = 200, .etag = 1},
               {.expect = "POST /bkt?delete= ", .status = 501}, {.expect = "DELETE /bkt/pre/fill/", .status = 204},
               {.expect = "DELETE /bkt/pre/fill/", .status = 204}));
    int rc = objstore_hurry(g.s, NULL, &g.err);
    if (rc)
        fail_msg("%d: %s", rc, g.err.text);
    assert_int_equal(length_of(&g, 4), 608);
    assert_int_equal(length_of(&g, 6), 0); /* makes renterd look for full buffers, and fills none */
    stop(&g);
}

/* As a renterd leaves it that is killed when it makes one. */
static void an_empty_buffer_of_renterds_holds_nothing(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT({BUFFERS("[" BUFFER(A, false, 0) "]")}, NO_ALERTS, NO_LEFTOVERS,
                                           BUCKET_IS_THERE, SETTINGS, {BUFFERS("[" BUFFER(A, false, 0) "]")}));
    uint64_t before = clock_ms();
    ask(&g);
    assert_in_range(g.o.before_ms, before, clock_ms());
    assert_string_equal(g.o.why, "");
    assert_int_equal(objstore_hurry(g.s, NULL, &g.err), 0); /* nothing is put */
    stop(&g);
}

/* Puts go into it before any other, and an object of a whole slab goes into none. */
static void an_empty_buffer_before_another_is_filled_first(void **state)
{
    (void)state;
    struct rig g = start(
        "renterd",
        SCRIPT(NO_LEFTOVERS, BUCKET_IS_THERE, SETTINGS, {BUFFERS("[" SMALL(A, false, 0) "," SMALL(B, false, 1233) "]")},
               {.expect = "PUT /bkt/pre/fill/", .status = 200, .etag = 1},
               {BUFFERS("[" SMALL(A, true, 65535) "," SMALL(B, false, 1233) "]")},
               {.expect = "PUT /bkt/pre/fill/", .status = 200, .etag = 1}, {BUFFERS("[" SMALL(B, true, 65536) "]")},
               {.expect = "PUT /bkt/pre/fill/", .status = 200, .etag = 1},
               {.expect = "POST /bkt?delete= ", .status = 501}, {.expect = "DELETE /bkt/pre/fill/", .status = 204},
               {.expect = "DELETE /bkt/pre/fill/", .status = 204}, {.expect = "DELETE /bkt/pre/fill/", .status = 204}));
    int rc = objstore_hurry(g.s, NULL, &g.err);
    if (rc)
        fail_msg("%d: %s", rc, g.err.text);
    assert_int_equal(length_of(&g, 4), 65535);
    assert_int_equal(length_of(&g, 6), 65536 - 1233);
    stop(&g);
}

static void a_buffer_of_other_redundancy_cannot_be_filled(void **state)
{
    (void)state;
    struct rig g = start(
        "renterd", SCRIPT(NO_LEFTOVERS, BUCKET_IS_THERE, SETTINGS, {BUFFERS("[" BUFFER(OLD, false, 8388000) "]")}));
    assert_int_equal(objstore_hurry(g.s, NULL, &g.err), 0);
    stop(&g);
}

struct finding {
    enum obj_severity severity;
    char text[300];
};

static void keep_finding(void *arg, const struct obj_finding *f)
{
    struct finding *found = arg;
    if (f->key)
        return;
    found->severity = f->severity;
    (void)snprintf(found->text, sizeof(found->text), "%s", f->text);
}

/* What it says of its buffers, alone. */
static struct finding findings(struct rig *g)
{
    struct finding found = {.text = ""};
    const struct obj_findings q = {.prefix = "tapes/", .found = keep_finding, .arg = &found};
    assert_int_equal(renterd_buffer_findings((struct s3_store *)g->s, &q, NULL, &g->err), 0);
    return found;
}

static void a_long_moment_passes(struct rig *g)
{
    struct s3_admin *a = &((struct s3_store *)g->s)->admin;
    for (size_t i = 0; i < a->n_buffers; i++)
        a->buffers[i].full_ms -= a->buffers[i].full_ms ? 60000 : 0;
    pass_a_moment();
}

/* As renterd leaves it when a put is cut off that filled it up and needed another one for its rest. */
static void a_buffer_that_renterd_forgot_is_told(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT({BUFFERS("[" BUFFER(A, false, 8388608) "," BUFFER(B, false, 7) "]")},
                                           NO_ALERTS, {BUFFERS("[" BUFFER(A, false, 8388608) "]")},
                                           {BUFFERS("[" BUFFER(A, false, 8388608) "]")}, NO_ALERTS,
                                           {BUFFERS("[" BUFFER(A, false, 8388608) "]")},
                                           {BUFFERS("[" BUFFER(A, true, 8388608) "]")},
                                           {BUFFERS("[" BUFFER(A, false, 8000000) "]")}, NO_ALERTS));
    assert_string_equal(findings(&g).text, ""); /* no request */
    ask(&g);
    assert_has(g.o.why, "2 wait until they are full, 0 to be uploaded");
    assert_null(strstr(g.o.why, "restarted"));
    assert_string_equal(findings(&g).text, ""); /* it may be being synced */
    a_long_moment_passes(&g);
    ask(&g);
    assert_has(g.o.why, "0 wait until they are full, 0 to be uploaded, 1 until renterd is restarted");
    assert_int_equal(g.o.before_ms, 0);
    struct finding found = findings(&g);
    assert_int_equal(found.severity, OBJ_CRITICAL);
    assert_has(found.text, "Restart renterd");
    assert_string_equal(findings(&g).text, ""); /* it is uploaded now */
    pass_a_moment();
    ask(&g); /* by a renterd that was restarted */
    assert_has(g.o.why, "1 wait until they are full, 0 to be uploaded");
    assert_null(strstr(g.o.why, "restarted"));
    assert_string_equal(findings(&g).text, ""); /* no request */
    stop(&g);
}

#define LISTED(key) "<Contents><Key>pre/" key "</Key><Size>1</Size></Contents>"
static void what_a_fill_left_is_swept_and_nothing_else(void **state)
{
    (void)state;
    struct rig g =
        start("renterd",
              SCRIPT({.expect = "GET /bkt?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2Ffill%2F ",
                      .status = 200,
                      .body = "<ListBucketResult><IsTruncated>false</IsTruncated>" LISTED("fill/0123456789abcdef")
                          LISTED("fill/0123456789abcdeg") LISTED("fill/0123456789abcdef0")
                              LISTED("fill/readme") "</ListBucketResult>"},
                     {.expect = "POST /bkt?delete= ",
                      .status = 200,
                      .body = "<DeleteResult><Deleted><Key>pre/fill/0123456789abcdef</Key></Deleted></DeleteResult>"},
                     SETTINGS, {BUFFERS("[]")}, SETTINGS, {BUFFERS("[]")}));
    assert_int_equal(objstore_hurry(g.s, NULL, &g.err), 0);
    assert_string_equal(strstr(stand_in_body(g.si, 1), "<Object>"),
                        "<Object><Key>pre/fill/0123456789abcdef</Key></Object></Delete>");
    assert_int_equal(objstore_hurry(g.s, NULL, &g.err), 0); /* it is looked for once */
    stop(&g);
}

/* ---- without it ---- */

static void plain_s3_is_believed_at_once(void **state)
{
    (void)state;
    const struct objstore_config cfg = {.kind = "s3"};
    struct s3_store s = {.host = NULL};
    struct obj_facts f = {.creates = OBJ_UNKNOWN};
    struct obj_offsite o;
    struct errtext err = {""};
    assert_int_equal(s3_admin_configure(&s.admin, &cfg, &err), 0);
    s3_admin_facts(&s, &f);
    assert_true(f.tells_offsite);
    uint64_t before = clock_ms();
    assert_int_equal(s3_offsite(&s.base, &o, NULL, &err), 0);
    assert_in_range(o.before_ms, before, clock_ms());
    s3_admin_free(&s.admin);
}

/* The facts of a store that answered so. */
static struct obj_facts facts_of(const char *host, const char *server, enum obj_known creates)
{
    struct s3_store s = {.host = (char *)(uintptr_t)host};
    struct obj_facts f = {.creates = creates};
    assert_int_equal(s3_admin_configure(&s.admin, &(struct objstore_config){.kind = "auto"}, NULL), 0);
    s3_admin_note(&s, server);
    s3_admin_facts(&s, &f);
    return f;
}

static void without_admin_interface_only_a_known_service_is_believed(void **state)
{
    (void)state;
    struct obj_facts f = facts_of("127.0.0.1:9000", "MinIO", OBJ_YES);
    assert_int_equal(f.service, OBJ_SERVICE_S3);
    assert_true(f.tells_offsite);
    f = facts_of("s3.eu-central-1.amazonaws.com", "AmazonS3", OBJ_YES);
    assert_int_equal(f.service, OBJ_SERVICE_S3);
    f = facts_of("127.0.0.1:8080", "AmazonS3", OBJ_NO);
    assert_int_equal(f.service, OBJ_SERVICE_RENTERD);
    assert_false(f.tells_offsite);
    f = facts_of("amazonaws.com.example:8080", "AmazonS3", OBJ_UNKNOWN);
    assert_int_equal(f.service, OBJ_SERVICE_UNKNOWN);
    f = facts_of("s3.example", "nginx", OBJ_YES); /* whatever is behind it */
    assert_int_equal(f.service, OBJ_SERVICE_UNKNOWN);
    assert_false(f.tells_offsite);
    f = facts_of("127.0.0.1:8000", "", OBJ_YES);
    assert_int_equal(f.service, OBJ_SERVICE_UNKNOWN);
}

static void assert_refused(const struct objstore_config *cfg, const char *text)
{
    struct s3_admin a = {.url = NULL};
    struct errtext err = {""};
    assert_int_equal(s3_admin_configure(&a, cfg, &err), -EINVAL);
    assert_has(err.text, text);
    s3_admin_free(&a);
}

static void a_wrong_option_is_refused_by_its_name(void **state)
{
    (void)state;
    char file[] = "/tmp/s3vtl-admin-XXXXXX";
    int fd = mkstemp(file);
    assert_refused(&(struct objstore_config){.kind = "aws"}, "kind: \"aws\" must be auto, s3, renterd or s3d");
    assert_refused(&(struct objstore_config){.kind = "s3", .admin_url = "http://127.0.0.1:1"},
                   "admin_url: only renterd");
    assert_refused(&(struct objstore_config){.admin_url = "127.0.0.1:1"}, "must be http(s)://");
    assert_refused(&(struct objstore_config){.admin_url = "http://127.0.0.1:1"}, "admin_password_file: missing");
    assert_refused(&(struct objstore_config){.admin_url = "http://127.0.0.1:1", .admin_password_file = file},
                   "must be a password");
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_refused(&(struct objstore_config){.admin_url = "http://127.0.0.1:1", .admin_password_file = file},
                   "has mode 0644");
    unlink(file);
    assert_refused(&(struct objstore_config){.admin_url = "http://127.0.0.1:1", .admin_password_file = file},
                   "No such file");
    close(fd);
}

/* ---- the service's own catalogue ---- */

static void each_service_is_asked_for_its_catalogue_in_its_own_way(void **state)
{
    (void)state;
    struct rig g = start("s3d", SCRIPT({.expect = "POST /system/sqlite3/backup ", .status = 200}));
    assert_int_equal(objstore_backup(g.s, "/mnt/x/new", NULL, &g.err), 0);
    assert_string_equal(stand_in_body(g.si, 0), "{\"path\":\"/mnt/x/new\"}");
    assert_has(stand_in_head(g.si, 0), "\r\nContent-Type: application/json\r\n");
    stop(&g);
    g = start("renterd", SCRIPT({.expect = "POST /api/bus/system/sqlite3/backup ", .status = 200}));
    assert_int_equal(objstore_backup(g.s, "/mnt/x/new", NULL, &g.err), 0);
    assert_string_equal(stand_in_body(g.si, 0), "{\"database\":\"main\",\"path\":\"/mnt/x/new\"}");
    stop(&g);
}

static void a_catalogue_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    struct rig g = start("renterd", SCRIPT({.expect = "POST /api/bus/system/sqlite3/backup ", .status = 404}));
    assert_int_equal(objstore_backup(g.s, "/mnt/x/new", NULL, &g.err), -ENOTSUP);
    assert_has(g.err.text, "MySQL");
    stop(&g);
    g = start("s3d", SCRIPT({.expect = "POST /system/sqlite3/backup ", .status = 400, .body = "path must not exist"}));
    assert_int_equal(objstore_backup(g.s, "/mnt/x/new", NULL, &g.err), -EIO);
    assert_has(g.err.text, "path must not exist");
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3d_with_nothing_pending_is_off_site_up_to_the_question),
        cmocka_unit_test(s3d_that_has_pending_or_unpinned_objects_is_not),
        cmocka_unit_test(a_flush_of_s3d_that_answers_200_proves_nothing),
        cmocka_unit_test(what_s3d_says_of_a_failed_flush_is_told),
        cmocka_unit_test(an_answer_that_is_not_s3ds_is_an_error),
        cmocka_unit_test(a_refused_password_names_its_file_and_not_the_password),
        cmocka_unit_test(the_service_is_found_out_by_its_admin_interface),
        cmocka_unit_test(renterd_without_buffers_is_off_site_up_to_the_question),
        cmocka_unit_test(what_is_in_renterds_buffers_is_missing),
        cmocka_unit_test(others_that_go_on_writing_to_renterd_do_not_hold_up_what_was_there),
        cmocka_unit_test(a_buffer_that_renterd_lost_is_missing_for_good),
        cmocka_unit_test(newer_alerts_do_not_hide_that_one),
        cmocka_unit_test(with_more_alerts_than_are_looked_at_nothing_is_known),
        cmocka_unit_test(alerts_that_are_cut_short_are_an_error),
        cmocka_unit_test(renterds_buffer_is_filled_up_by_an_object_of_what_it_lacks),
        cmocka_unit_test(an_empty_buffer_of_renterds_holds_nothing),
        cmocka_unit_test(an_empty_buffer_before_another_is_filled_first),
        cmocka_unit_test(a_buffer_of_other_redundancy_cannot_be_filled),
        cmocka_unit_test(a_buffer_that_renterd_forgot_is_told),
        cmocka_unit_test(what_a_fill_left_is_swept_and_nothing_else),
        cmocka_unit_test(plain_s3_is_believed_at_once),
        cmocka_unit_test(without_admin_interface_only_a_known_service_is_believed),
        cmocka_unit_test(a_wrong_option_is_refused_by_its_name),
        cmocka_unit_test(each_service_is_asked_for_its_catalogue_in_its_own_way),
        cmocka_unit_test(a_catalogue_that_cannot_be_had_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
