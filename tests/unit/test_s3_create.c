/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_create.c: a put that must not overwrite: who honours it is found out, and what "it is there" means. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

#define CONDITION "\r\nIf-None-Match: *\r\n"
#define PROBE .expect = "PUT /bkt/pre/create-probe-"
#define CLEAN                                                                                                          \
    {                                                                                                                  \
        .expect = "POST /bkt?delete= HTTP", .status = 200, .body = "<DeleteResult></DeleteResult>"                     \
    }
#define PUT_K .expect = "PUT /bkt/pre/k HTTP"
#define FAILED "<Error><Code>PreconditionFailed</Code><Message>At least one did not hold</Message></Error>"
#define THERE                                                                                                          \
    {                                                                                                                  \
        PUT_K, .status = 412, .body = FAILED                                                                           \
    }
#define HEAD_K .expect = "HEAD /bkt/pre/k HTTP", .status = 200
#define GET_K .expect = "GET /bkt/pre/k HTTP", .status = 200
#define HELLO_MD5 "ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n"
#define OTHER_MD5 "ETag: \"0123456789abcdef0123456789abcdef\"\r\n"
#define BLAKE "ETag: \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\r\n"

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

/* Of a store that is known to honour it. */
static struct rig start_honoured(const struct stand_in_answer *script, size_t n)
{
    struct rig g = start(script, n);
    atomic_store(&((struct s3_store *)g.s)->create, S3_CREATE_HONOURED);
    return g;
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    stand_in_stop(g->si);
}

static int put_key(struct rig *g, const char *key)
{
    const struct obj_source src = {.mem = "hello", .fd = -1, .len = 5};
    const struct obj_call c = {.if_none_match = true};
    return g->s->ops->put(g->s, key, &src, &c, &g->err);
}

static int put(struct rig *g)
{
    return put_key(g, "k");
}

static enum obj_known creates(struct rig *g)
{
    struct obj_facts f;
    g->s->ops->facts(g->s, &f);
    return f.creates;
}

static bool asked(struct rig *g, unsigned request)
{
    return strstr(stand_in_head(g->si, request), CONDITION) != NULL;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void a_store_that_honours_it_is_found_out_once(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PROBE, .status = 200, .etag = 1}, {PROBE, .status = 412, .body = FAILED}, CLEAN,
                                {PUT_K, .status = 200, .etag = 1}, {.status = 200, .etag = 1}));
    assert_int_equal(creates(&g), OBJ_UNKNOWN);
    assert_int_equal(put(&g), 0);
    assert_int_equal(put_key(&g, "k2"), 0);
    assert_int_equal(creates(&g), OBJ_YES);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(asked(&g, i), i != 2);
    assert_has(stand_in_head(g.si, 3), "host;if-none-match;x-amz");
    stop(&g);
}

/* Trap 9. */
static void to_a_store_that_ignores_it_it_is_not_sent(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PROBE, .status = 200, .etag = 1}, {PROBE, .status = 200, .etag = 1}, CLEAN,
                                {PUT_K, .status = 200, .etag = 1}, {PUT_K, .status = 200, .etag = 1}));
    assert_int_equal(put(&g), 0);
    assert_int_equal(put(&g), 0);
    assert_int_equal(creates(&g), OBJ_NO);
    assert_false(asked(&g, 3) || asked(&g, 4));
    stop(&g);
}

static void a_store_that_refuses_the_header_gets_none(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PROBE, .status = 501, .body = "<Error><Code>NotImplemented</Code></Error>"},
                                {PUT_K, .status = 200, .etag = 1}));
    assert_int_equal(put(&g), 0);
    assert_int_equal(creates(&g), OBJ_NO);
    assert_false(asked(&g, 1));
    stop(&g);
}

/* Until it is known it is sent: it can only help. The next put asks again. */
static void a_probe_that_fails_decides_nothing(void **state)
{
    (void)state;
    struct rig g =
        start(SCRIPT({PROBE, .status = 503}, CLEAN, {PUT_K, .status = 200, .etag = 1}, {PROBE, .status = 403},
                     {PUT_K, .status = 501, .body = "<Error><Code>NotImplemented</Code></Error>"},
                     {PUT_K, .status = 200, .etag = 1}));
    assert_int_equal(put(&g), 0);
    assert_true(asked(&g, 2));
    assert_int_equal(creates(&g), OBJ_UNKNOWN);
    assert_int_equal(put(&g), 0);
    assert_int_equal(creates(&g), OBJ_NO);
    assert_false(asked(&g, 5));
    stop(&g);
}

#define VERSIONING .expect = "GET /bkt?versioning= HTTP"
#define VERSIONED(inner)                                                                                               \
    {                                                                                                                  \
        VERSIONING, .status = 200, .body = "<VersioningConfiguration>" inner "</VersioningConfiguration>"              \
    }

static void learn_asks_what_is_not_known(void **state)
{
    (void)state;
    struct obj_facts f;
    struct rig g =
        start(SCRIPT(VERSIONED(""), {PROBE, .status = 200, .etag = 1}, {PROBE, .status = 412, .body = FAILED}, CLEAN));
    for (int i = 0; i < 2; i++)
        assert_int_equal(g.s->ops->learn(g.s, NULL, &g.err), 0);
    g.s->ops->facts(g.s, &f);
    assert_int_equal(f.creates, OBJ_YES);
    assert_int_equal(f.versioned, OBJ_NO);
    assert_int_equal(f.locked, OBJ_NO);
    assert_null(objstore_advice(&f, 0));
    stop(&g);
}

/* A lock that the bucket puts on each new object shows on any. */
static void a_bucket_that_keeps_and_locks_is_told(void **state)
{
    (void)state;
    struct obj_facts f;
    struct rig g = start(SCRIPT(VERSIONED("<Status>Enabled</Status>"),
                                {.expect = "GET /bkt?object-lock= HTTP",
                                 .status = 200,
                                 .body = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
                                         "</ObjectLockConfiguration>"},
                                {PROBE, .status = 200, .etag = 1},
                                {.expect = "HEAD /bkt/pre/create-probe-",
                                 .status = 200,
                                 .headers = "x-amz-object-lock-mode: GOVERNANCE\r\nContent-Length: 99\r\n"},
                                {PROBE, .status = 200, .etag = 1}, CLEAN));
    assert_int_equal(g.s->ops->learn(g.s, NULL, &g.err), 0);
    g.s->ops->facts(g.s, &f);
    assert_int_equal(f.versioned, OBJ_YES);
    assert_int_equal(f.locked, OBJ_YES);
    assert_has(objstore_advice(&f, 0), "keeps old versions");
    assert_has(objstore_advice(&f, 1), "locks objects");
    assert_has(objstore_advice(&f, 2), "If-None-Match");
    assert_null(objstore_advice(&f, 3));
    stop(&g);
}

/* Who may not ask does not get to know; that is no error. A store that does not answer is one. */
static void what_cannot_be_asked_is_not_known(void **state)
{
    (void)state;
    static const int statuses[] = {403, 501};
    struct obj_facts f;
    for (size_t i = 0; i < 2; i++) {
        struct rig g = start(SCRIPT({VERSIONING, .status = statuses[i]}, {PROBE, .status = 501}));
        assert_int_equal(g.s->ops->learn(g.s, NULL, &g.err), 0);
        g.s->ops->facts(g.s, &f);
        assert_int_equal(f.versioned, OBJ_UNKNOWN);
        stop(&g);
    }
    const struct obj_call once = {.max_tries = 1};
    struct rig g = start(SCRIPT({VERSIONING, .status = 503}));
    assert_int_equal(g.s->ops->learn(g.s, &once, &g.err), -EIO);
    stop(&g);
}

static void without_the_flag_nothing_is_asked(void **state)
{
    (void)state;
    const struct obj_source src = {.mem = "hello", .fd = -1, .len = 5};
    struct rig g = start_honoured(SCRIPT({PUT_K, .status = 200, .etag = 1}));
    assert_int_equal(g.s->ops->put(g.s, "k", &src, NULL, &g.err), 0);
    assert_false(asked(&g, 0));
    stop(&g);
}

static void another_object_is_eexist(void **state)
{
    (void)state;
    static const struct stand_in_answer found[][2] = {
        {{HEAD_K, .body = "other one", .headers = OTHER_MD5}, {.status = 0}},        /* another length */
        {{HEAD_K, .body = "other", .headers = OTHER_MD5}, {GET_K, .body = "other"}}, /* another MD5 */
        {{HEAD_K, .body = "other", .headers = BLAKE}, {GET_K, .body = "other"}},     /* an ETag that says nothing */
    };
    for (size_t i = 0; i < 3; i++) {
        struct rig g = start_honoured(SCRIPT(THERE, found[i][0], found[i][1]));
        assert_int_equal(put(&g), -EEXIST);
        assert_has(g.err.text, "put k: bucket bkt at http://127.0.0.1");
        assert_has(g.err.text, "exists with other content");
        stop(&g);
    }
}

/* A PUT of ours whose answer was lost, then sent again. */
static void ones_own_object_is_success(void **state)
{
    (void)state;
    struct rig g =
        start_honoured(SCRIPT({PUT_K, .way = SI_DROP}, THERE, {HEAD_K, .body = "hello", .headers = HELLO_MD5}));
    assert_int_equal(put(&g), 0);
    stop(&g);
}

static void ones_own_object_is_known_without_an_md5(void **state)
{
    (void)state;
    static const char *const etags[] = {BLAKE, OTHER_MD5 "x-amz-server-side-encryption: aws:kms\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct rig g =
            start_honoured(SCRIPT(THERE, {HEAD_K, .body = "hello", .headers = etags[i]}, {GET_K, .body = "hello"}));
        assert_int_equal(put(&g), 0);
        stop(&g);
    }
}

static void what_cannot_be_compared_is_no_success(void **state)
{
    (void)state;
    struct rig g = start_honoured(SCRIPT(THERE, {.expect = "HEAD /bkt/pre/k HTTP", .status = 404}));
    assert_int_equal(put(&g), -EIO);
    stop(&g);
}

/* 409: another writer is at it. Which of both wins shows at the next try. */
static void a_conflict_is_tried_again(void **state)
{
    (void)state;
    struct rig g =
        start_honoured(SCRIPT({PUT_K, .status = 409, .body = "<Error><Code>ConditionalRequestConflict</Code></Error>"},
                              {PUT_K, .status = 200, .etag = 1}));
    assert_int_equal(put(&g), 0);
    stop(&g);
}

/* ---- in parts ---- */

#define MULTIPART                                                                                                      \
    {.expect = "POST /bkt/pre/k?uploads= HTTP",                                                                        \
     .status = 200,                                                                                                    \
     .body = "<InitiateMultipartUpload><UploadId>id</UploadId></InitiateMultipartUpload>"},                            \
        {.expect = "PUT /bkt/pre/k?partNumber=1", .status = 200, .etag = 1},                                           \
    {                                                                                                                  \
        .expect = "GET /bkt/pre/k?max-parts=1000&uploadId=id HTTP", .status = 200,                                     \
        .body = "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>5d41402abc4b2a76b9719d911017c592</ETag>"       \
                "<Size>5</Size></Part></ListPartsResult>"                                                              \
    }
#define COMPLETE .expect = "POST /bkt/pre/k?uploadId=id HTTP"
#define ABORT                                                                                                          \
    {                                                                                                                  \
        .expect = "DELETE /bkt/pre/k?uploadId=id HTTP", .status = 204                                                  \
    }

static int put_parts(struct rig *g)
{
    ((struct s3_store *)g->s)->tuning.multipart_over = 4;
    return put(g);
}

static void complete_carries_the_condition(void **state)
{
    (void)state;
    struct rig g = start_honoured(SCRIPT(
        MULTIPART, {COMPLETE, .status = 200, .body = "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"},
        {HEAD_K, .body = "hello", .headers = BLAKE}));
    assert_int_equal(put_parts(&g), 0);
    assert_true(asked(&g, 3));
    stop(&g);
}

/* By 412, or by an object that is there although Complete did not say that it was ours. */
static void complete_does_not_take_anothers_object_for_ours(void **state)
{
    (void)state;
    static const struct stand_in_answer answers[] = {
        {COMPLETE, .status = 412, .body = FAILED}, {COMPLETE, .way = SI_DROP}, {COMPLETE, .status = 500}};
    for (size_t i = 0; i < 3; i++) {
        struct rig g =
            start_honoured(SCRIPT(MULTIPART, answers[i], {HEAD_K, .body = "other", .headers = BLAKE},
                                  {HEAD_K, .body = "other", .headers = BLAKE}, {GET_K, .body = "other"}, ABORT));
        assert_int_equal(put_parts(&g), -EEXIST);
        stop(&g);
    }
}

static void a_complete_whose_answer_was_lost_is_ours(void **state)
{
    (void)state;
    struct rig g =
        start_honoured(SCRIPT(MULTIPART, {COMPLETE, .way = SI_DROP}, {HEAD_K, .body = "hello", .headers = BLAKE},
                              {HEAD_K, .body = "hello", .headers = BLAKE}, {GET_K, .body = "hello"}));
    assert_int_equal(put_parts(&g), 0);
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_honours_it_is_found_out_once),
        cmocka_unit_test(to_a_store_that_ignores_it_it_is_not_sent),
        cmocka_unit_test(a_store_that_refuses_the_header_gets_none),
        cmocka_unit_test(a_probe_that_fails_decides_nothing),
        cmocka_unit_test(learn_asks_what_is_not_known),
        cmocka_unit_test(a_bucket_that_keeps_and_locks_is_told),
        cmocka_unit_test(what_cannot_be_asked_is_not_known),
        cmocka_unit_test(without_the_flag_nothing_is_asked),
        cmocka_unit_test(another_object_is_eexist),
        cmocka_unit_test(ones_own_object_is_success),
        cmocka_unit_test(ones_own_object_is_known_without_an_md5),
        cmocka_unit_test(what_cannot_be_compared_is_no_success),
        cmocka_unit_test(a_conflict_is_tried_again),
        cmocka_unit_test(complete_carries_the_condition),
        cmocka_unit_test(complete_does_not_take_anothers_object_for_ours),
        cmocka_unit_test(a_complete_whose_answer_was_lost_is_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
