/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_put.c: storing objects; what is sent, what is believed, and what never waits for ever (traps 6, 8 to 12). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

#define WRONG_MD5 "ETag: \"0123456789abcdef0123456789abcdef\"\r\n"
#define BLAKE "ETag: \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\r\n"

struct result {
    int rc;
    struct errtext err;
};

static struct result put_with(struct stand_in *si, const struct s3_tuning *t, const char *body, size_t len,
                              const struct obj_call *c)
{
    struct result r = {.err = {""}};
    struct objstore *s = stand_in_store(si, t, 0);
    const struct obj_source src = {.mem = body, .fd = -1, .len = len};
    r.rc = s->ops->put(s, "k", &src, c, &r.err);
    s->ops->close(s);
    return r;
}

static struct result put(struct stand_in *si, const char *body, const struct obj_call *c)
{
    return put_with(si, NULL, body, strlen(body), c);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void sends_length_type_and_hashes(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "PUT /bkt/pre/k HTTP/1.1", .status = 200, .etag = 1}));
    struct result r = put(si, "Welcome to Amazon S3.", NULL);
    assert_int_equal(r.rc, 0);
    const char *h = stand_in_head(si, 0);
    assert_has(h, "\r\nContent-Length: 21\r\n");
    assert_has(h, "\r\nContent-Type: application/octet-stream\r\n");
    assert_has(h, "\r\nContent-MD5: ");
    assert_has(h, "\r\nx-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\r\n");
    assert_has(h, "\r\nx-amz-date: 20");
    assert_has(h, "SignedHeaders=content-md5;content-type;host;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date, "
                  "Signature=");
    assert_null(strstr(h, "Expect"));
    assert_null(strstr(h, "Transfer-Encoding"));
    assert_string_equal(stand_in_body(si, 0), "Welcome to Amazon S3.");
    stand_in_stop(si);
}

/* To ask costs a round trip for each object. After a failure it is worth that: a refusal then costs no body, and shows
 * as what it is instead of a reset connection. */
static void only_after_a_failure_a_big_body_waits_for_100_continue(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    char *body = calloc(1, N);
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 200, .etag = 1}, {.status = 503}, {.status = 200, .etag = 1}, {.status = 200, .etag = 1}));
    struct objstore *s = stand_in_store(si, NULL, 0);
    const struct obj_source src = {.mem = body, .fd = -1, .len = N};
    struct errtext err;
    for (int i = 0; i < 3; i++)
        assert_int_equal(s->ops->put(s, "k", &src, NULL, &err), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(strstr(stand_in_head(si, i), "\r\nExpect: 100-continue\r\n") != NULL, i == 2);
    s->ops->close(s);
    stand_in_stop(si);
    free(body);
}

/* The first time the connection may break before the answer is read. */
static void an_answer_before_the_body_is_heard(void **state)
{
    (void)state;
    enum { N = 3 << 20 };
    char *body = calloc(1, N);
    const struct stand_in_answer refuse = {
        .status = 403,
        .body = "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>",
        .way = SI_EARLY};
    struct stand_in *si = stand_in_start(SCRIPT(refuse, refuse));
    struct result r = put_with(si, NULL, body, N, NULL);
    assert_int_equal(r.rc, -EACCES);
    assert_has(r.err.text, "AccessDenied: Access Denied.");
    stand_in_stop(si);
    free(body);
}

#define HEAD_IS(n)                                                                                                     \
    {                                                                                                                  \
        .expect = "HEAD /bkt/pre/k HTTP", .status = 200, .headers = "Content-Length: " n "\r\n"                        \
    }

/* Then the size has to do. */
static void trap6_an_etag_that_is_not_md5_says_nothing(void **state)
{
    (void)state;
    static const char *const etags[] = {BLAKE, "ETag: \"0123456789abcdef0123456789abcdef-1\"\r\n", "ETag: W/\"x\"\r\n",
                                        "x-amz-server-side-encryption: aws:kms\r\n" WRONG_MD5};
    for (size_t i = 0; i < 4; i++) {
        struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .headers = etags[i]}, HEAD_IS("5")));
        struct result r = put(si, "hello", NULL);
        assert_int_equal(r.rc, 0);
        stand_in_stop(si);
    }
}

/* A captive portal says 200 to everything, with an ETag of its own page. */
static void a_200_of_who_keeps_nothing_is_an_error(void **state)
{
    (void)state;
    static const struct stand_in_answer heads[] = {HEAD_IS("1500"), {.expect = "HEAD /bkt/pre/k HTTP", .status = 404}};
    static const char *const says[] = {"1500 bytes are there instead of 5", "the object is not there"};
    for (size_t i = 0; i < 2; i++) {
        struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .headers = BLAKE}, heads[i]));
        struct result r = put(si, "hello", NULL);
        assert_int_equal(r.rc, -EIO);
        assert_has(r.err.text, says[i]);
        stand_in_stop(si);
    }
}

/* A proxy's page, or nothing at all, with status 200: no S3 took the object. */
static void a_200_without_an_etag_stores_nothing(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200}, {.status = 200, .etag = 1}));
    struct result r = put(si, "hello", NULL);
    assert_int_equal(r.rc, 0);
    assert_int_equal(stand_in_requests(si), 2);
    stand_in_stop(si);
}

static void a_wrong_md5_etag_is_tried_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .headers = WRONG_MD5}, {.status = 200, .etag = 1}));
    struct result r = put(si, "hello", NULL);
    assert_int_equal(r.rc, 0);
    stand_in_stop(si);
}

static void an_etag_that_stays_wrong_is_an_error(void **state)
{
    (void)state;
    struct obj_call two = {.max_tries = 2};
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .headers = WRONG_MD5}, {.status = 200, .headers = WRONG_MD5}));
    struct result r = put(si, "hello", &two);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "other bytes than were sent");
    stand_in_stop(si);
}

static void bad_digest_is_not_tried_again(void **state)
{
    (void)state;
    static const struct stand_in_answer answers[] = {
        {.status = 500,
         .body = "<Error><Code>InternalError</Code><Message>couldn't upload object: BadDigest</Message></Error>"},
        {.status = 400, .body = "<Error><Code>BadDigest</Code><Message>no</Message></Error>"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct stand_in *si = stand_in_start(&answers[i], 1);
        struct result r = put(si, "hello", NULL);
        assert_int_equal(r.rc, -EIO);
        assert_has(r.err.text, "changed on the way");
        stand_in_stop(si);
    }
}

static int ignore(void *arg, const struct obj_entry *e)
{
    (void)arg;
    (void)e;
    return 0;
}

/* Traps 8 and 9: no sub-resource that renterd would take for the object itself, no condition that it ignores. */
static void trap8_and_9_no_subresource_and_no_condition(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.expect = "PUT /bkt/pre/k HTTP", .status = 200, .etag = 1},
               {.expect = "HEAD /bkt/pre/k HTTP", .status = 200, .body = "x"},
               {.expect = "GET /bkt/pre/k HTTP", .status = 200, .body = "x"},
               {.expect = "GET /bkt?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2F HTTP",
                .status = 200,
                .body = "<ListBucketResult><Contents><Key>pre/k</Key><Size>1</Size></Contents></ListBucketResult>"},
               {.expect = "POST /bkt?delete= HTTP",
                .status = 200,
                .body = "<DeleteResult><Deleted><Key>pre/k</Key></Deleted></DeleteResult>"},
               {.expect = "HEAD /bkt HTTP", .status = 200}));
    struct objstore *s = stand_in_store(si, NULL, 0);
    const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
    const char *key = "k";
    struct errtext err;
    uint64_t size;
    char c;
    assert_int_equal(s->ops->put(s, "k", &src, NULL, &err), 0);
    assert_int_equal(s->ops->head(s, "k", &size, NULL, &err), 0);
    assert_int_equal(s->ops->get(s, "k", 0, 1, &c, NULL, &err), 0);
    assert_int_equal(s->ops->list(s, "", NULL, false, ignore, NULL, NULL, &err), 0);
    assert_int_equal(s->ops->del(s, &key, 1, NULL, &err), 0);
    assert_int_equal(s->ops->check(s, NULL, &err), 0);
    s->ops->close(s);
    for (unsigned i = 0; i < stand_in_requests(si); i++)
        assert_null(strstr(stand_in_head(si, i), "If-"));
    stand_in_stop(si);
}

struct putter {
    struct objstore *s;
    pthread_t thread;
    int number, rc;
    const atomic_bool *cancel;
};

static void *put_one(void *arg)
{
    struct putter *p = arg;
    static const char big[S3_BIG_BODY + 1];
    const struct obj_source src = {.mem = big, .fd = -1, .len = sizeof(big)};
    struct obj_call once = {.max_tries = 1, .cancel = p->cancel};
    char key[16];
    struct errtext err;
    snprintf(key, sizeof(key), "k%d", p->number);
    p->rc = p->s->ops->put(p->s, key, &src, &once, &err);
    return NULL;
}

/* Trap 10: renterd has eight slots for all uploads. */
static void trap10_parallel_uploads_of_segments_are_bounded(void **state)
{
    (void)state;
    enum { N = 8, PARALLEL = 2 };
    struct stand_in_answer script[N];
    struct putter p[N];
    for (int i = 0; i < N; i++)
        script[i] = (struct stand_in_answer){.way = SI_SILENT};
    struct stand_in *si = stand_in_start(script, N);
    struct s3_tuning t = stand_in_tuning();
    t.answer_ms = 100;
    struct objstore *s = stand_in_store(si, &t, PARALLEL);
    for (int i = 0; i < N; i++) {
        p[i] = (struct putter){.s = s, .number = i};
        assert_int_equal(pthread_create(&p[i].thread, NULL, put_one, &p[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(p[i].thread, NULL);
        assert_int_equal(p[i].rc, -EIO);
    }
    s->ops->close(s);
    assert_int_equal(stand_in_requests(si), N);
    /* The server may see a closed connection later than the client's next one. */
    assert_in_range(stand_in_most(si), 1, PARALLEL + 2);
    stand_in_stop(si);
}

/* A head need not wait for segments: not for one that a store takes minutes for. */
static void a_small_body_does_not_wait_for_big_ones(void **state)
{
    (void)state;
    enum { PARALLEL = 2 };
    struct s3_tuning t = stand_in_tuning();
    t.answer_ms = 60000;
    struct stand_in *si = stand_in_start(SCRIPT({.way = SI_SILENT}, {.way = SI_SILENT}, {.status = 200, .etag = 1}));
    struct objstore *s = stand_in_store(si, &t, PARALLEL);
    struct putter p[PARALLEL];
    const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
    atomic_bool cancel = false;
    struct errtext err;
    for (int i = 0; i < PARALLEL; i++) {
        p[i] = (struct putter){.s = s, .number = i, .cancel = &cancel};
        assert_int_equal(pthread_create(&p[i].thread, NULL, put_one, &p[i]), 0);
    }
    stand_in_await(si, PARALLEL);
    assert_int_equal(s->ops->put(s, "head", &src, NULL, &err), 0);
    atomic_store(&cancel, true);
    for (int i = 0; i < PARALLEL; i++) {
        pthread_join(p[i].thread, NULL);
        assert_int_equal(p[i].rc, -ECANCELED);
    }
    s->ops->close(s);
    stand_in_stop(si);
}

/* Trap 11: a PUT that renterd has no memory for hangs for ever. */
static void trap11_no_answer_ends(void **state)
{
    (void)state;
    struct obj_call once = {.max_tries = 1};
    struct stand_in *si = stand_in_start(SCRIPT({.way = SI_SILENT}));
    struct result r = put(si, "hello", &once);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "no answer for 300 ms");
    stand_in_stop(si);
}

static void trap11_a_body_that_is_not_taken_ends(void **state)
{
    (void)state;
    enum { N = 64 << 20 };
    char *body = calloc(1, N);
    struct obj_call once = {.max_tries = 1};
    struct s3_tuning t = stand_in_tuning();
    t.stall_ms = 300;
    t.answer_ms = 1500; /* longer than libcurl waits for 100-continue */
    struct stand_in *si = stand_in_start(SCRIPT({.way = SI_DEAF}));
    struct result r = put_with(si, &t, body, N, &once);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "no byte moved for 1500 ms");
    stand_in_stop(si);
    free(body);
}

/* s3d does not read a body while its disk is full, and answers after 120 s. */
static void a_body_that_is_held_gets_its_late_answer(void **state)
{
    enum { N = 64 << 20 };
    char *body = calloc(1, N);
    struct obj_call once = {.max_tries = 1};
    struct s3_tuning t = stand_in_tuning();
    (void)state;
    t.stall_ms = 300;
    t.answer_ms = 60000;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 503,
                .hold_ms = 900,
                .way = SI_EARLY,
                .body = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"}));
    struct result r = put_with(si, &t, body, N, &once);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "SlowDown: Reduce your request rate.");
    stand_in_stop(si);
    free(body);
    /* And is told long before: after quiet_ms, and half of it again at most. */
    assert_true(s3_default_tuning.answer_ms >= 120000 + 20000);
    assert_true(s3_default_tuning.quiet_ms * 3 / 2 <= 15000);
}

static void trap12_a_403_names_the_suspects(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 403, .body = "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"}));
    struct result r = put(si, "hello", NULL);
    assert_int_equal(r.rc, -EACCES);
    assert_has(r.err.text, "wrong key, secret, or clock");
    assert_has(r.err.text, "bucket bkt");
    stand_in_stop(si);
}

static void a_skewed_clock_says_check_ntp(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 403,
                               .body = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the "
                                       "request time and the server's time is too large</Message></Error>"},
                              {.status = 403, .headers = "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n", .body = ""}));
    struct result r = put(si, "hello", NULL);
    assert_int_equal(r.rc, -EACCES);
    assert_has(r.err.text, "check NTP");
    r = put(si, "hello", NULL);
    assert_int_equal(r.rc, -EACCES);
    assert_has(r.err.text, "ahead of the store's: check NTP");
    stand_in_stop(si);
}

/* A store may quote what it was sent. */
static void no_signature_in_an_error(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 403, .echo_secret = 1}));
    struct result r = put(si, "hello", NULL);
    assert_int_equal(r.rc, -EACCES);
    char signature[65] = "";
    const char *at = strstr(stand_in_head(si, 0), "Signature=");
    assert_non_null(at);
    memcpy(signature, at + 10, 64);
    assert_has(r.err.text, "you sent AWS4-HMAC-SHA256");
    assert_null(strstr(r.err.text, signature));
    assert_null(strstr(r.err.text, STAND_IN_SECRET));
    stand_in_stop(si);
}

static void the_stores_message_reaches_the_text(void **state)
{
    (void)state;
    struct obj_call once = {.max_tries = 1};
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 500,
                .body = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>couldn&#39;t upload "
                        "object: 3 &lt; 6: not enough hosts</Message></Error>"}));
    struct result r = put(si, "hello", &once);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "500 InternalError: couldn't upload object: 3 < 6: not enough hosts");
    stand_in_stop(si);
}

static void tries_end_and_are_counted(void **state)
{
    (void)state;
    struct obj_call three = {.max_tries = 3};
    struct stand_in *si = stand_in_start(SCRIPT({.status = 503}, {.status = 503}, {.status = 503}));
    struct result r = put(si, "hello", &three);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "gave up after 3 tries");
    stand_in_stop(si);
}

static void time_ends_the_tries(void **state)
{
    (void)state;
    enum { N = 250 };
    struct stand_in_answer script[N];
    for (int i = 0; i < N; i++)
        script[i] = (struct stand_in_answer){.status = 500};
    struct stand_in *si = stand_in_start(script, N);
    struct result r = put(si, "hello", NULL);
    assert_int_equal(r.rc, -EIO);
    assert_has(r.err.text, "gave up after");
    assert_true(stand_in_requests(si) > 3);
    stand_in_stop(si);
}

struct canceler {
    struct stand_in *si;
    atomic_bool cancel;
};

static void *cancel_later(void *arg)
{
    struct canceler *c = arg;
    stand_in_await(c->si, 1);
    atomic_store(&c->cancel, true);
    return NULL;
}

static void cancel_ends_a_running_put(void **state)
{
    (void)state;
    struct s3_tuning t = stand_in_tuning();
    t.answer_ms = t.stall_ms = 60000;
    struct canceler c = {.si = stand_in_start(SCRIPT({.way = SI_SILENT}))};
    struct obj_call call = {.cancel = &c.cancel};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
    time_t begin = time(NULL);
    struct result r = put_with(c.si, &t, "hello", 5, &call);
    pthread_join(thread, NULL);
    assert_int_equal(r.rc, -ECANCELED);
    assert_true(time(NULL) - begin < 10);
    stand_in_stop(c.si);
}

static void cancel_ends_the_pause_between_tries(void **state)
{
    (void)state;
    struct s3_tuning t = stand_in_tuning();
    t.retry = (struct retry_limits){.first_ms = 60000, .most_ms = 60000, .total_ms = 600000};
    struct canceler c = {.si = stand_in_start(SCRIPT({.status = 503}))};
    struct obj_call call = {.cancel = &c.cancel};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
    time_t begin = time(NULL);
    struct result r = put_with(c.si, &t, "hello", 5, &call);
    pthread_join(thread, NULL);
    assert_int_equal(r.rc, -ECANCELED);
    assert_true(time(NULL) - begin < 10);
    stand_in_stop(c.si);
}

static void a_file_that_ends_early_is_an_error(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(NULL, 0);
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct errtext err = {""};
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite("12345", 1, 5, f), 5);
    assert_int_equal(fflush(f), 0);
    const struct obj_source src = {.fd = fileno(f), .offset = 1, .len = 5};
    assert_int_equal(s->ops->put(s, "k", &src, NULL, &err), -EIO);
    assert_has(err.text, "ends before byte 6");
    fclose(f);
    s->ops->close(s);
    stand_in_stop(si);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_length_type_and_hashes),
        cmocka_unit_test(only_after_a_failure_a_big_body_waits_for_100_continue),
        cmocka_unit_test(an_answer_before_the_body_is_heard),
        cmocka_unit_test(trap6_an_etag_that_is_not_md5_says_nothing),
        cmocka_unit_test(a_200_without_an_etag_stores_nothing),
        cmocka_unit_test(a_200_of_who_keeps_nothing_is_an_error),
        cmocka_unit_test(a_wrong_md5_etag_is_tried_again),
        cmocka_unit_test(an_etag_that_stays_wrong_is_an_error),
        cmocka_unit_test(bad_digest_is_not_tried_again),
        cmocka_unit_test(trap8_and_9_no_subresource_and_no_condition),
        cmocka_unit_test(trap10_parallel_uploads_of_segments_are_bounded),
        cmocka_unit_test(a_small_body_does_not_wait_for_big_ones),
        cmocka_unit_test(trap11_no_answer_ends),
        cmocka_unit_test(trap11_a_body_that_is_not_taken_ends),
        cmocka_unit_test(a_body_that_is_held_gets_its_late_answer),
        cmocka_unit_test(trap12_a_403_names_the_suspects),
        cmocka_unit_test(a_skewed_clock_says_check_ntp),
        cmocka_unit_test(no_signature_in_an_error),
        cmocka_unit_test(the_stores_message_reaches_the_text),
        cmocka_unit_test(tries_end_and_are_counted),
        cmocka_unit_test(time_ends_the_tries),
        cmocka_unit_test(cancel_ends_a_running_put),
        cmocka_unit_test(cancel_ends_the_pause_between_tries),
        cmocka_unit_test(a_file_that_ends_early_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
