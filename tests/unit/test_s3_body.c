/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_body.c: how a body is verified: by MD5 while it is sent, or by a store that compares its CRC32C; what changed
 * on the way is found on each path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

enum { BIG = 3 << 20 };

#define PUT_K .expect = "PUT /bkt/pre/k HTTP", .status = 200
#define PROBE .expect = "PUT /bkt/pre/checksum-probe HTTP", .status = 200
#define COMPARES                                                                                                       \
    {PUT_K, .etag = 1, .crc = SI_CRC_COMPARE},                                                                         \
    {                                                                                                                  \
        PROBE, .etag = 1, .crc = SI_CRC_COMPARE                                                                        \
    }
#define CRC_SENT "\r\nx-amz-checksum-crc32c: "

struct rig {
    struct stand_in *si;
    struct objstore *s;
    char *body;
    struct errtext err;
};

static struct rig start_at(const char *host, const struct stand_in_answer *script, size_t n)
{
    char url[80];
    struct rig g = {.si = stand_in_start(script, n), .body = malloc(BIG)};
    assert_non_null(g.body);
    for (size_t i = 0; i < BIG; i++)
        g.body[i] = (char)(i * 31 + i / 257);
    snprintf(url, sizeof(url), "http://%s:%u", host, stand_in_port(g.si));
    g.s = stand_in_store_at(url, "path", NULL, 4);
    return g;
}

static struct rig start(const struct stand_in_answer *script, size_t n)
{
    return start_at("127.0.0.1", script, n);
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    free(g->body);
    stand_in_stop(g->si);
}

/* Puts a big object, with at most so many tries. */
static int put(struct rig *g, unsigned tries)
{
    const struct obj_call c = {.max_tries = tries};
    const struct obj_source src = {.mem = g->body, .fd = -1, .len = BIG};
    return g->s->ops->put(g->s, "k", &src, &c, &g->err);
}

static int put_file(struct rig *g)
{
    const struct obj_call once = {.max_tries = 1};
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite("12345", 1, 5, f), 5);
    assert_int_equal(fwrite(g->body, 1, BIG, f), BIG);
    assert_int_equal(fflush(f), 0);
    const struct obj_source src = {.fd = fileno(f), .offset = 5, .len = BIG};
    int rc = g->s->ops->put(g->s, "k", &src, &once, &g->err);
    fclose(f);
    return rc;
}

static bool sent(struct rig *g, unsigned i, const char *part)
{
    return strstr(stand_in_head(g->si, i), part) != NULL;
}

static void assert_told(const struct rig *g, const char *part)
{
    if (!strstr(g->err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, g->err.text);
}

/* ---- a source whose sum was known before it is read ---- */

static int put_known(struct rig *g, uint32_t crc)
{
    const struct obj_call once = {.max_tries = 1};
    const struct obj_source src = {.mem = g->body, .fd = -1, .len = BIG, .has_crc = true, .crc32c = crc};
    return g->s->ops->put(g->s, "k", &src, &once, &g->err);
}

/* What goes out is not what it was: its last bytes stay here, so that no store has it, whatever it compares. */
static void bytes_that_are_not_those_of_the_known_sum_are_not_stored(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1}, {PUT_K, .etag = 1})); /* one that compares nothing */
    uint32_t crc = crc32c(0, g.body, BIG);
    assert_int_equal(put_known(&g, crc), 0);
    g.body[BIG / 2] ^= 1;
    assert_int_equal(put_known(&g, crc), -EIO);
    assert_told(&g, "not what it was");
    assert_true(stand_in_received(g.si, 1) < BIG);
    stop(&g);
}

/* The store gets the sum of what was meant, not of what was read. */
static void a_store_that_compares_is_sent_the_known_sum(void **state)
{
    (void)state;
    struct rig g =
        start(SCRIPT(COMPARES, {PUT_K, .etag = 1, .crc = SI_CRC_COMPARE}, {PUT_K, .etag = 1, .crc = SI_CRC_COMPARE}));
    uint32_t crc = crc32c(0, g.body, BIG);
    assert_int_equal(put_known(&g, crc), 0);
    assert_int_equal(put_known(&g, crc), 0);
    g.body[BIG / 2] ^= 1;
    assert_int_equal(put_known(&g, crc), -EIO);
    assert_told(&g, "not what it was"); /* before it could tell */
    stop(&g);
}

/* ---- what is signed ---- */

static void to_the_loopback_a_big_body_is_not_signed(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_true(sent(&g, 0, "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
    stop(&g);
}

/* 0.0.0.0 leads to this host too, but that is not what is asked: it is no address of the loopback. */
static void elsewhere_over_plain_http_a_big_body_is_signed(void **state)
{
    (void)state;
    char hash[SIGV4_HEX_SIZE];
    struct rig g = start_at("0.0.0.0", SCRIPT({PUT_K, .etag = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(sigv4_sha256_hex(g.body, BIG, hash), 0);
    assert_true(sent(&g, 0, hash));
    stop(&g);
}

static void a_name_that_begins_like_a_loopback_address_is_not_one(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool loopback;
    } t[] = {
        {"http://127.0.0.1:8333", true},     {"http://127.9.9.9", true},
        {"http://localhost:8333", true},     {"http://[::1]:8333", true},
        {"http://127.0.0.1.example", false}, {"http://localhost.example:80", false},
        {"http://128.0.0.1:8333", false},    {"http://[::2]", false},
        {"http://[::ffff:1.2.3.4]", false},  {"http://127.1", false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct objstore *o = stand_in_store_at(t[i].url, "path", NULL, 1);
        if (((struct s3_store *)o)->loopback != t[i].loopback)
            fail_msg("%s", t[i].url);
        o->ops->close(o);
    }
}

/* ---- how far it is ---- */

static void tells_how_much_is_sent(void **state)
{
    (void)state;
    _Atomic uint64_t n = 1;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1}));
    const struct obj_call c = {.max_tries = 1, .sent = &n};
    const struct obj_source src = {.mem = g.body, .fd = -1, .len = BIG};
    assert_int_equal(g.s->ops->put(g.s, "k", &src, &c, &g.err), 0);
    assert_int_equal(atomic_load(&n), BIG);
    stop(&g);
}

/* ---- MD5 ---- */

static void a_big_body_goes_without_its_md5_and_the_etag_is_compared(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1, .damage = 1}, {PUT_K, .etag = 1}));
    assert_int_equal(put(&g, 2), 0);
    assert_false(sent(&g, 0, "Content-MD5"));
    assert_int_equal(stand_in_requests(g.si), 2);
    stop(&g);
}

static void a_byte_that_changes_on_the_way_shows_in_the_etag(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1, .damage = 1}));
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    stop(&g);
}

static void a_byte_of_a_file_that_changes_on_the_way_shows_in_the_etag(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1, .damage = 1}, {PUT_K, .etag = 1}));
    assert_int_equal(put_file(&g), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    assert_int_equal(put_file(&g), 0);
    stop(&g);
}

static void a_byte_of_a_part_that_changes_on_the_way_shows_in_its_etag(void **state)
{
    (void)state;
    struct s3_tuning tuning = stand_in_tuning();
    tuning.multipart_over = BIG - 1;
    tuning.part_size = 2 << 20;
    struct rig g =
        start(SCRIPT({.expect = "POST /bkt/pre/k?uploads= HTTP",
                      .status = 200,
                      .body = "<InitiateMultipartUploadResult><UploadId>i</UploadId></InitiateMultipartUploadResult>"},
                     {.expect = "PUT /bkt/pre/k?partNumber=1", .status = 200, .etag = 1, .damage = 1},
                     {.expect = "DELETE /bkt/pre/k?uploadId=i", .status = 204}));
    g.s->ops->close(g.s);
    g.s = stand_in_store(g.si, &tuning, 4);
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    assert_false(sent(&g, 1, "Content-MD5"));
    stop(&g);
}

/* ---- CRC32C ---- */

static void a_store_that_ignores_the_checksum_is_not_sent_it_again(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1}, {PUT_K, .etag = 1}, {PUT_K, .etag = 1, .damage = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), 0);
    assert_true(sent(&g, 0, CRC_SENT));
    assert_false(sent(&g, 1, CRC_SENT));
    assert_int_equal(put(&g, 1), -EIO);
    stop(&g);
}

/* The MD5 of the first object is wrong on purpose at the end: nobody looks at it any more. */
static void a_store_that_compares_is_believed(void **state)
{
    (void)state;
    struct rig g = start(
        SCRIPT(COMPARES, {PUT_K, .headers = "ETag: \"0123456789abcdef0123456789abcdef\"\r\n", .crc = SI_CRC_COMPARE}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), 0);
    stop(&g);
}

static void a_store_that_compares_refuses_a_byte_that_changes_on_the_way(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT(COMPARES, {PUT_K, .etag = 1, .crc = SI_CRC_COMPARE, .damage = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "changed on the way");
    stop(&g);
}

static void a_store_that_tells_another_checksum_took_other_bytes(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT(COMPARES, {PUT_K, .etag = 1, .crc = SI_CRC_OWN, .damage = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "other bytes than were sent: CRC32C");
    stop(&g);
}

/* It keeps the header and looks at nothing: its answer to the probe gives it away, and what it took is deleted. */
static void a_store_that_repeats_any_checksum_is_not_believed(void **state)
{
    (void)state;
    struct rig g =
        start(SCRIPT({PUT_K, .etag = 1, .crc = SI_CRC_PARROT}, {PROBE, .etag = 1, .crc = SI_CRC_PARROT},
                     {.expect = "POST /bkt?delete= HTTP",
                      .status = 200,
                      .body = "<DeleteResult><Deleted><Key>pre/checksum-probe</Key></Deleted></DeleteResult>"},
                     {PUT_K, .etag = 1, .crc = SI_CRC_PARROT, .damage = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    assert_false(sent(&g, 3, CRC_SENT));
    stop(&g);
}

static void the_first_object_is_compared_by_md5_whatever_the_store_repeats(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1, .crc = SI_CRC_PARROT, .damage = 1}));
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    stop(&g);
}

/* Another machine behind the same address answers: older, perhaps. */
static void an_answer_without_the_checksum_is_compared_by_md5(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT(COMPARES, {PUT_K, .etag = 1}, COMPARES));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), 0);
    assert_true(sent(&g, 2, CRC_SENT));
    g.s->ops->close(g.s);
    g.s = stand_in_store(g.si, NULL, 4);
    assert_int_equal(put(&g, 1), 0);
    stop(&g);
    g = start(SCRIPT(COMPARES, {PUT_K, .etag = 1, .damage = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    stop(&g);
}

static void a_probe_that_fails_is_repeated(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1, .crc = SI_CRC_COMPARE},
                                {.expect = "PUT /bkt/pre/checksum-probe HTTP", .status = 503}, COMPARES));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), 0);
    stop(&g);
}

/* Some services refuse what they do not know. */
static void a_store_that_refuses_the_checksums_header_gets_none(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({.expect = "PUT /bkt/pre/k HTTP",
                                 .status = 400,
                                 .body = "<Error><Code>InvalidRequest</Code><Message>Unsupported header "
                                         "'x-amz-checksum-crc32c'</Message></Error>"},
                                {PUT_K, .etag = 1}, {PUT_K, .etag = 1}));
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put(&g, 1), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sent(&g, i, CRC_SENT), i == 0);
    stop(&g);
}

static void a_refusal_for_another_reason_is_told(void **state)
{
    (void)state;
    struct stand_in_answer full = {.expect = "PUT /bkt/pre/k HTTP",
                                   .status = 400,
                                   .body = "<Error><Code>QuotaExceeded</Code><Message>full</Message></Error>"};
    struct rig g = start(SCRIPT(full, {PUT_K, .etag = 1}));
    assert_int_equal(put(&g, 1), -EIO);
    assert_told(&g, "QuotaExceeded: full");
    assert_int_equal(put(&g, 1), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_true(sent(&g, i, CRC_SENT)); /* once, and the next one as ever: the header was not what it refused */
    stop(&g);
}

static int put_small(struct rig *g)
{
    const struct obj_call once = {.max_tries = 1};
    const struct obj_source src = {.mem = g->body, .fd = -1, .len = S3_BIG_BODY};
    return g->s->ops->put(g->s, "k", &src, &once, &g->err);
}

static void a_small_body_is_sent_with_its_md5_and_sha256(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({PUT_K, .etag = 1}, {PUT_K, .etag = 1, .damage = 1}));
    assert_int_equal(put_small(&g), 0);
    assert_int_equal(put_small(&g), -EIO);
    assert_told(&g, "other bytes than were sent: ETag");
    for (unsigned i = 0; i < 2; i++) {
        assert_true(sent(&g, i, "\r\nContent-MD5: "));
        assert_false(sent(&g, i, "UNSIGNED-PAYLOAD"));
        assert_int_equal(sent(&g, i, CRC_SENT), i == 0); /* the first one asks */
    }
    stop(&g);
}

/* A claim is put before any segment: no big body's MD5 is computed only to learn what the store does. */
static void a_small_body_asks_and_the_next_big_one_finds_out(void **state)
{
    (void)state;
    struct rig g = start(
        SCRIPT(COMPARES, {PUT_K, .headers = "ETag: \"0123456789abcdef0123456789abcdef\"\r\n", .crc = SI_CRC_COMPARE},
               {PUT_K, .etag = 1}));
    assert_int_equal(put_small(&g), 0);
    assert_int_equal(put(&g, 1), 0);
    assert_int_equal(put_small(&g), 0);
    assert_false(sent(&g, 3, CRC_SENT));
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_not_those_of_the_known_sum_are_not_stored),
        cmocka_unit_test(a_store_that_compares_is_sent_the_known_sum),
        cmocka_unit_test(to_the_loopback_a_big_body_is_not_signed),
        cmocka_unit_test(elsewhere_over_plain_http_a_big_body_is_signed),
        cmocka_unit_test(a_name_that_begins_like_a_loopback_address_is_not_one),
        cmocka_unit_test(tells_how_much_is_sent),
        cmocka_unit_test(a_big_body_goes_without_its_md5_and_the_etag_is_compared),
        cmocka_unit_test(a_byte_that_changes_on_the_way_shows_in_the_etag),
        cmocka_unit_test(a_byte_of_a_file_that_changes_on_the_way_shows_in_the_etag),
        cmocka_unit_test(a_byte_of_a_part_that_changes_on_the_way_shows_in_its_etag),
        cmocka_unit_test(a_store_that_ignores_the_checksum_is_not_sent_it_again),
        cmocka_unit_test(a_store_that_compares_is_believed),
        cmocka_unit_test(a_store_that_compares_refuses_a_byte_that_changes_on_the_way),
        cmocka_unit_test(a_store_that_tells_another_checksum_took_other_bytes),
        cmocka_unit_test(a_store_that_repeats_any_checksum_is_not_believed),
        cmocka_unit_test(the_first_object_is_compared_by_md5_whatever_the_store_repeats),
        cmocka_unit_test(an_answer_without_the_checksum_is_compared_by_md5),
        cmocka_unit_test(a_probe_that_fails_is_repeated),
        cmocka_unit_test(a_store_that_refuses_the_checksums_header_gets_none),
        cmocka_unit_test(a_refusal_for_another_reason_is_told),
        cmocka_unit_test(a_small_body_is_sent_with_its_md5_and_sha256),
        cmocka_unit_test(a_small_body_asks_and_the_next_big_one_finds_out),
    };
    return cmocka_run_group_tests_name("s3 body", tests, NULL, NULL);
}
