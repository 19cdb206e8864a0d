/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_lock.c: S3 Object Lock: who has it is found out, and what is asked for an object that may have a lock already. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

#define VERSIONS                                                                                                       \
    {                                                                                                                  \
        .expect = "GET /bkt?versioning= HTTP", .status = 200,                                                          \
        .body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"                          \
    }
#define ASK_LOCK .expect = "GET /bkt?object-lock= HTTP"
#define HAS_LOCK "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
#define PROBE_REFUSED                                                                                                  \
    {                                                                                                                  \
        .expect = "PUT /bkt/pre/create-probe-", .status = 501                                                          \
    }
#define PUT_LOCK .expect = "PUT /bkt/pre/k?retention= HTTP"
#define GET_LOCK .expect = "GET /bkt/pre/k?retention= HTTP"
#define DENIED .status = 403, .body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
#define GOOD .status = 200
#define HAS(mode, until)                                                                                               \
    .status = 200, .body = "<Retention><Mode>" mode "</Mode><RetainUntilDate>" until "</RetainUntilDate></Retention>"
#define Y2030 1893456000u /* 2030-01-01 */
#define Y2031 1924992000u

struct rig {
    struct stand_in *si;
    struct objstore *s;
    struct errtext err;
};

static struct rig start(const struct stand_in_answer *script, size_t n)
{
    struct rig g = {.si = stand_in_start(script, n)};
    g.s = stand_in_store(g.si, NULL, 0);
    return g;
}

/* Of a bucket that is known to have it. */
static struct rig start_lockable(const struct stand_in_answer *script, size_t n)
{
    struct rig g = start(script, n);
    atomic_store(&((struct s3_store *)g.s)->lockable, OBJ_YES);
    return g;
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    stand_in_stop(g->si);
}

static enum obj_known lockable(struct rig *g)
{
    struct obj_facts f;
    objstore_facts(g->s, &f);
    assert_int_equal(objstore_lockable(g->s), f.lockable == OBJ_YES);
    return f.lockable;
}

static int learn(struct rig *g)
{
    const struct obj_call once = {.max_tries = 1};
    return objstore_learn(g->s, &once, &g->err);
}

static int lock(struct rig *g, bool compliance, uint64_t until)
{
    const struct obj_lock l = {compliance, until};
    const struct obj_call once = {.max_tries = 1};
    return objstore_lock(g->s, "k", &l, &once, &g->err);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void whether_the_bucket_has_it_is_asked_once(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT(VERSIONS, {ASK_LOCK, GOOD, .body = HAS_LOCK}, PROBE_REFUSED));
    assert_int_equal(lockable(&g), OBJ_UNKNOWN);
    assert_int_equal(learn(&g), 0);
    assert_int_equal(lockable(&g), OBJ_YES);
    assert_int_equal(learn(&g), 0);
    stop(&g);
}

static void a_bucket_without_it_says_so_in_several_ways(void **state)
{
    (void)state;
    const struct stand_in_answer ways[] = {
        {ASK_LOCK, .status = 404,
         .body = "<Error><Code>ObjectLockConfigurationNotFoundError</Code><Message>none</Message></Error>"},
        {ASK_LOCK, .status = 501},
        {ASK_LOCK, GOOD, .body = "<ListBucketResult><Name>bkt</Name></ListBucketResult>"}, /* trap 8 */
        {ASK_LOCK, GOOD, .body = "<ObjectLockConfiguration></ObjectLockConfiguration>"}};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct rig g = start(SCRIPT(VERSIONS, ways[i], PROBE_REFUSED));
        assert_int_equal(learn(&g), 0);
        assert_int_equal(lockable(&g), OBJ_NO);
        stop(&g);
    }
}

static void whoever_may_not_ask_does_not_know(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT(VERSIONS, {ASK_LOCK, DENIED}, PROBE_REFUSED));
    assert_int_equal(learn(&g), 0);
    assert_int_equal(lockable(&g), OBJ_UNKNOWN);
    stop(&g);
}

static int put(struct rig *g, bool compliance, uint64_t until)
{
    const struct obj_source src = {.mem = "hello", .fd = -1, .len = 5};
    const struct obj_call c = {.lock = {compliance, until}};
    return g->s->ops->put(g->s, "k", &src, &c, &g->err);
}

static void a_new_object_is_locked_by_its_put(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({GOOD, .etag = 1}, {GOOD, .etag = 1}, {GOOD, .etag = 1}));
    assert_int_equal(put(&g, true, Y2031), 0);
    assert_int_equal(put(&g, false, Y2030 + 3661), 0);
    assert_int_equal(put(&g, false, 0), 0);
    const char *first = stand_in_head(g.si, 0), *second = stand_in_head(g.si, 1);
    assert_has(first, "\r\nx-amz-object-lock-mode: COMPLIANCE\r\n");
    assert_has(first, "\r\nx-amz-object-lock-retain-until-date: 2031-01-01T00:00:00Z\r\n");
    assert_has(first, "x-amz-object-lock-mode;x-amz-object-lock-retain-until-date");
    assert_has(first, "\r\nContent-MD5: "); /* S3 wants a sum with each locked object */
    assert_has(second, "\r\nx-amz-object-lock-mode: GOVERNANCE\r\n");
    assert_has(second, "\r\nx-amz-object-lock-retain-until-date: 2030-01-01T01:01:01Z\r\n");
    assert_null(strstr(stand_in_head(g.si, 2), "object-lock"));
    stop(&g);
}

/* Trap 8: a store that does not know the sub-resource would take it for a PUT of the object. */
static void where_the_bucket_is_not_known_to_have_it_nothing_of_it_is_sent(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({GOOD, .etag = 1}));
    assert_int_equal(put(&g, true, Y2031), 0);
    assert_null(strstr(stand_in_head(g.si, 0), "object-lock"));
    assert_int_equal(lock(&g, true, Y2031), -ENOTSUP);
    assert_has(g.err.text, "no Object Lock");
    stop(&g);
}

static void a_put_that_is_refused_says_what_right_it_may_lack(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({DENIED}, {DENIED}));
    assert_int_equal(put(&g, false, Y2030), -EACCES);
    assert_has(g.err.text, "s3:PutObjectRetention");
    assert_int_equal(put(&g, false, 0), -EACCES);
    assert_null(strstr(g.err.text, "s3:PutObjectRetention"));
    stop(&g);
}

/* A refusal is an answer: most are of objects that have more already. */
static void a_refusal_is_no_trouble_of_the_store(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({PUT_LOCK, DENIED}, {GET_LOCK, DENIED}));
    struct obj_health h;
    assert_int_equal(lock(&g, false, Y2030), -EACCES);
    objstore_health(g.s, &h);
    assert_string_equal(h.text, "");
    stop(&g);
}

static void an_object_that_is_there_is_locked(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({PUT_LOCK, GOOD}));
    assert_int_equal(lock(&g, false, Y2030), 0);
    assert_has(stand_in_body(g.si, 0),
               "<Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>");
    assert_has(stand_in_head(g.si, 0), "\r\nContent-MD5: ");
    stop(&g);
}

static void one_that_has_a_longer_or_stronger_lock_keeps_it(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({PUT_LOCK, DENIED}, {GET_LOCK, HAS("COMPLIANCE", "2031-01-01T00:00:00Z")},
                                         {PUT_LOCK, DENIED}, {GET_LOCK, HAS("GOVERNANCE", "2031-01-01T00:00:00.000Z")},
                                         {PUT_LOCK, DENIED}, /* as versitygw has it */
                                         {GET_LOCK, GOOD,
                                          .body = "<ObjectLockRetention><Mode>GOVERNANCE</Mode><RetainUntilDate>"
                                                  "2031-01-01T00:00:00Z</RetainUntilDate></ObjectLockRetention>"}));
    assert_int_equal(lock(&g, false, Y2030), 0);
    assert_int_equal(lock(&g, false, Y2030), 0);
    assert_int_equal(lock(&g, false, Y2030), 0);
    stop(&g);
}

/* Governance until 2031 is wanted, and it has compliance until 2030: compliance until 2031 is what it can have. */
static void of_two_locks_the_later_end_and_the_stronger_mode_hold(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({PUT_LOCK, DENIED}, {GET_LOCK, HAS("COMPLIANCE", "2030-01-01T00:00:00Z")},
                                         {PUT_LOCK, GOOD}, {PUT_LOCK, DENIED},
                                         {GET_LOCK, HAS("GOVERNANCE", "2031-01-01T00:00:00Z")}, {PUT_LOCK, GOOD}));
    assert_int_equal(lock(&g, false, Y2031), 0);
    assert_has(stand_in_body(g.si, 2), "<Mode>COMPLIANCE</Mode><RetainUntilDate>2031-01-01T00:00:00Z");
    assert_null(strstr(stand_in_head(g.si, 2), "bypass"));
    assert_int_equal(lock(&g, true, Y2030), 0);
    assert_has(stand_in_body(g.si, 5), "<Mode>COMPLIANCE</Mode><RetainUntilDate>2031-01-01T00:00:00Z");
    assert_null(strstr(stand_in_head(g.si, 3), "bypass"));
    assert_has(stand_in_head(g.si, 5), "\r\nx-amz-bypass-governance-retention: true\r\n");
    stop(&g);
}

static void whoever_may_not_lock_is_told_so(void **state)
{
    (void)state;
    struct rig g = start_lockable(SCRIPT({PUT_LOCK, DENIED}, {GET_LOCK, DENIED}, {PUT_LOCK, DENIED},
                                         {GET_LOCK, HAS("GOVERNANCE", "2020-01-01T00:00:00Z")}));
    assert_int_equal(lock(&g, false, Y2030), -EACCES);
    assert_has(g.err.text, "lock k: ");
    assert_has(g.err.text, "AccessDenied");
    assert_int_equal(lock(&g, false, Y2030), -EACCES);
    stop(&g);
}

static void one_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct rig g = start_lockable(
        SCRIPT({PUT_LOCK, .status = 404, .body = "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"},
               {.expect = "HEAD /bkt/pre/k HTTP", .status = 404}, {.expect = "HEAD /bkt HTTP", .status = 200}));
    assert_int_equal(lock(&g, false, Y2030), -ENOENT);
    stop(&g);
}

/* Whoever is told that it is gone goes on without it, and holds the tape for locked. */
static void one_that_is_there_is_not_gone_for_a_404(void **state)
{
    (void)state;
    struct rig g = start_lockable(
        SCRIPT({PUT_LOCK, .status = 404}, {.expect = "HEAD /bkt/pre/k HTTP", .status = 200, .body = "hello"},
               {PUT_LOCK, .status = 404, .body = "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"},
               {.expect = "HEAD /bkt/pre/k HTTP", .status = 200, .body = "hello"}));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lock(&g, false, Y2030), -EIO);
        assert_has(g.err.text, "lock k: ");
        assert_has(g.err.text, "the object is there");
    }
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whether_the_bucket_has_it_is_asked_once),
        cmocka_unit_test(a_bucket_without_it_says_so_in_several_ways),
        cmocka_unit_test(whoever_may_not_ask_does_not_know),
        cmocka_unit_test(a_new_object_is_locked_by_its_put),
        cmocka_unit_test(where_the_bucket_is_not_known_to_have_it_nothing_of_it_is_sent),
        cmocka_unit_test(an_object_that_is_there_is_locked),
        cmocka_unit_test(a_put_that_is_refused_says_what_right_it_may_lack),
        cmocka_unit_test(a_refusal_is_no_trouble_of_the_store),
        cmocka_unit_test(one_that_has_a_longer_or_stronger_lock_keeps_it),
        cmocka_unit_test(of_two_locks_the_later_end_and_the_stronger_mode_hold),
        cmocka_unit_test(whoever_may_not_lock_is_told_so),
        cmocka_unit_test(one_that_is_not_there_is_told),
        cmocka_unit_test(one_that_is_there_is_not_gone_for_a_404),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
