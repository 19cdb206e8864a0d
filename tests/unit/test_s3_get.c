/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_get.c: reading objects from services that answer in their own ways (traps 1 to 4). */
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

static const char content[] = "0123456789abcdefghij";

struct got {
    char buf[64];
    int rc;
    struct errtext err;
};

/* get of [at, at + len) of key k; the byte after the range has to stay as it was. */
static struct got get(struct stand_in *si, uint64_t at, uint64_t len, const struct obj_call *c)
{
    struct got g = {.err = {""}};
    struct objstore *s = stand_in_store(si, NULL, 0);
    memset(g.buf, '?', sizeof(g.buf));
    g.rc = s->ops->get(s, "k", at, len, g.buf, c, &g.err);
    assert_int_equal(g.buf[len], '?');
    s->ops->close(s);
    return g;
}

static void assert_got(const struct got *g, uint64_t at, uint64_t len)
{
    if (g->rc)
        fail_msg("%s", g->err.text);
    assert_memory_equal(g->buf, content + at, len);
}

static void trap1_ranges_are_always_closed(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "GET /bkt/pre/k HTTP/1.1",
                                                 .status = 206,
                                                 .headers = "Content-Range: bytes 5-9/20\r\n",
                                                 .body = "56789"}));
    struct got g = get(si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    assert_non_null(strstr(stand_in_head(si, 0), "\r\nRange: bytes=5-9\r\n"));
    stand_in_stop(si);
}

static void trap1_an_empty_range_is_asked_by_head(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "HEAD /bkt/pre/k", .status = 200, .body = content}));
    struct got g = get(si, 20, 0, NULL);
    assert_int_equal(g.rc, 0);
    stand_in_stop(si);
}

static void trap2_invalid_range_is_not_tried_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 500,
         .body = "<Error><Code>InternalError</Code><Message>couldn't read object: invalid range</Message></Error>"}));
    struct got g = get(si, 18, 5, NULL);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "invalid range"));
    assert_int_equal(stand_in_requests(si), 1);
    stand_in_stop(si);
}

static void trap3_a_range_with_status_200(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .headers = "Content-Range: bytes 5-9/20\r\n", .body = "56789"}));
    struct got g = get(si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    stand_in_stop(si);
}

static void trap3_a_range_with_status_206(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 206, .headers = "content-range: bytes 0-0/20\r\n", .body = "0"}));
    struct got g = get(si, 0, 1, NULL);
    assert_got(&g, 0, 1);
    stand_in_stop(si);
}

static void trap3_a_200_without_content_range_is_the_whole_object(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .body = content}, {.status = 200, .body = content}));
    struct got g = get(si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    g = get(si, 0, 20, NULL);
    assert_got(&g, 0, 20);
    stand_in_stop(si);
}

static const struct obj_call once = {.max_tries = 1};

static void trap3_another_range_is_no_data(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Content-Range: bytes 4-8/20\r\n", "Content-Range: bytes 5-8/20\r\n",
                                        "Content-Range: bytes 5-10/20\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct stand_in *si = stand_in_start(SCRIPT({.status = 206, .headers = wrong[i], .body = "45678"}));
        struct got g = get(si, 5, 5, &once);
        assert_int_equal(g.rc, -EIO);
        assert_non_null(strstr(g.err.text, "another range"));
        stand_in_stop(si);
    }
}

static void a_web_page_that_is_longer_than_the_range_is_tried_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 200, .headers = "Content-Type: text/html\r\n", .body = "<html>We will be back soon</html>"},
               {.status = 200, .headers = "Content-Type: application/octet-stream\r\n", .body = content}));
    struct got g = get(si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    stand_in_stop(si);
}

static void trap3_a_206_or_a_small_200_without_content_range_is_no_data(void **state)
{
    (void)state;
    for (int status = 200; status <= 206; status += 6) {
        struct stand_in *si = stand_in_start(SCRIPT({.status = status, .body = "56789"}));
        struct got g = get(si, 5, 5, &once);
        assert_int_equal(g.rc, -EIO);
        stand_in_stop(si);
    }
}

static void no_other_success_is_data(void **state)
{
    (void)state;
    for (int status = 202; status <= 204; status++) {
        struct stand_in *si = stand_in_start(SCRIPT({.status = status, .body = status == 204 ? "" : "56789"}));
        struct got g = get(si, 5, 5, &once);
        assert_int_equal(g.rc, -EIO);
        assert_non_null(strstr(g.err.text, "came in place of the bytes"));
        assert_memory_equal(g.buf, "?????", 5);
        stand_in_stop(si);
    }
}

static void an_answer_without_end_ends(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 206, .way = SI_FLOOD, .headers = "Content-Range: bytes 5-9/20\r\n", .body = "56789"},
               {.status = 500, .way = SI_FLOOD, .body = "<Error>"}));
    struct got g = get(si, 5, 5, &once);
    assert_got(&g, 5, 5);
    g = get(si, 5, 5, &once);
    assert_int_equal(g.rc, -EIO);
    stand_in_stop(si);
}

static void trap4_a_short_body_with_200_is_tried_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 200, .headers = "Content-Range: bytes 5-9/20\r\n", .body = "5X", .missing = 3, .way = SI_SHORT},
        {.status = 200, .headers = "Content-Range: bytes 5-9/20\r\n", .body = "", .missing = 5, .way = SI_SHORT},
        {.status = 200, .headers = "Content-Range: bytes 5-9/20\r\n", .body = "56789"}));
    struct got g = get(si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    stand_in_stop(si);
}

static void trap4_a_body_that_stays_short_is_an_error(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 200, .body = "0123", .missing = 16, .way = SI_SHORT},
        {.status = 200, .headers = "Connection: close\r\nContent-Length: 20\r\n", .body = "0123", .way = SI_CLOSE}));
    struct obj_call two = {.max_tries = 2};
    struct got g = get(si, 0, 20, &two);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "ends early"));
    assert_non_null(strstr(g.err.text, "2 tries"));
    stand_in_stop(si);
}

/* HTTP/1.0 style: no length, the end of the connection ends the body. Only the count tells. */
static void trap4_a_short_body_without_any_length(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 206,
                .headers = "Content-Range: bytes 0-9/20\r\nConnection: close\r\nX-Not-Content-Length: 1\r\n",
                .body = "01234",
                .way = SI_CLOSE}));
    struct got g = get(si, 0, 10, &once);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "ends early"));
    stand_in_stop(si);
}

#define NO_SUCH_KEY "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"

static void a_missing_object_is_enoent_and_not_tried_again(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 404, .body = NO_SUCH_KEY}, {.expect = "HEAD /bkt HTTP", .status = 200}));
    struct got g = get(si, 0, 1, NULL);
    assert_int_equal(g.rc, -ENOENT);
    assert_non_null(strstr(g.err.text, "get k: bucket bkt"));
    stand_in_stop(si);
}

#define LOOK_EMPTY                                                                                                     \
    {                                                                                                                  \
        .expect = "GET /bkt?list-type=2&max-keys=1&prefix=pre%2F HTTP", .status = 200,                                 \
        .body = "<ListBucketResult></ListBucketResult>"                                                                \
    }

/* renterd says NoSuchKey for a bucket that isn't there. */
static void trap13_an_object_is_missing_only_in_a_bucket(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 404, .body = NO_SUCH_KEY}, {.expect = "HEAD /bkt HTTP", .status = 404}, LOOK_EMPTY,
               {.expect = "HEAD /bkt/pre/k", .status = 404}, {.expect = "HEAD /bkt HTTP", .status = 404}, LOOK_EMPTY));
    struct got g = get(si, 0, 1, NULL);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "bucket bkt does not exist"));
    g = get(si, 0, 0, NULL);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "bucket bkt does not exist"));
    stand_in_stop(si);
}

/* "Not there" makes callers do without; a web server's 404 must not look like it. */
static void a_404_of_another_server_is_not_enoent(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 404, .body = "<html><body>404 not found</body></html>"}));
    struct got g = get(si, 0, 1, NULL);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "url"));
    stand_in_stop(si);
}

static void errors_of_the_server_are_tried_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 500, .body = "<Error><Code>InternalError</Code><Message>hosts</Message></Error>"},
               {.way = SI_DROP}, {.status = 503, .body = "<Error><Code>SlowDown</Code><Message>slow</Message></Error>"},
               {.way = SI_SILENT}, {.status = 206, .headers = "Content-Range: bytes 0-4/20\r\n", .body = "01234"}));
    struct obj_call many = {.max_tries = 9};
    struct got g = get(si, 0, 5, &many);
    assert_got(&g, 0, 5);
    stand_in_stop(si);
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 200, .body = "x"}, {.status = 200, .body = "x"}, {.status = 200, .body = "x"}));
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct errtext err;
    char c;
    for (int i = 0; i < 3; i++)
        assert_int_equal(s->ops->get(s, "k", 0, 1, &c, NULL, &err), 0);
    assert_int_equal(stand_in_connections(si), 1);
    s->ops->close(s);
    stand_in_stop(si);
}

static void head_takes_the_length(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.expect = "HEAD /bkt/pre/k", .status = 200, .headers = "Content-Length: 5000000000\r\n"}));
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct errtext err = {""};
    uint64_t size = 0;
    assert_int_equal(s->ops->head(s, "k", &size, NULL, &err), 0);
    assert_true(size == 5000000000u);
    s->ops->close(s);
    stand_in_stop(si);
}

/* Some proxies leave it out: then the list has the size. */
static void head_without_a_length_asks_the_list(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.expect = "HEAD /bkt/pre/k", .status = 200, .headers = "X-No-Content-Length: 1\r\n", .way = SI_CLOSE},
               {.expect = "GET /bkt?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2Fk HTTP",
                .status = 200,
                .body = "<ListBucketResult><Contents><Key>pre/k</Key><Size>77</Size></Contents>"
                        "<Contents><Key>pre/k2</Key><Size>5</Size></Contents></ListBucketResult>"},
               {.expect = "HEAD /bkt/pre/k", .status = 200, .headers = "X-No-Content-Length: 1\r\n", .way = SI_CLOSE},
               {.status = 200,
                .body = "<ListBucketResult><Contents><Key>pre/k2</Key><Size>5</Size></Contents></ListBucketResult>"}));
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct errtext err = {""};
    uint64_t size = 0;
    assert_int_equal(s->ops->head(s, "k", &size, NULL, &err), 0);
    assert_int_equal(size, 77);
    assert_int_equal(s->ops->head(s, "k", &size, NULL, &err), -EIO);
    assert_non_null(strstr(err.text, "no Content-Length"));
    s->ops->close(s);
    stand_in_stop(si);
}

static void virtual_host_style(void **state)
{
    (void)state;
    char url[64], host[64];
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "GET /pre/k HTTP/1.1", .status = 200, .body = "x"}));
    snprintf(url, sizeof(url), "http://LOCALHOST:%u/", stand_in_port(si));
    snprintf(host, sizeof(host), "\r\nHost: bkt.localhost:%u\r\n", stand_in_port(si));
    struct objstore *s = stand_in_store_at(url, "virtual", NULL, 0);
    struct errtext err = {""};
    char c;
    if (s->ops->get(s, "k", 0, 1, &c, NULL, &err))
        fail_msg("%s", err.text);
    assert_non_null(strstr(stand_in_head(si, 0), host));
    s->ops->close(s);
    stand_in_stop(si);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trap1_ranges_are_always_closed),
        cmocka_unit_test(trap1_an_empty_range_is_asked_by_head),
        cmocka_unit_test(trap2_invalid_range_is_not_tried_again),
        cmocka_unit_test(trap3_a_range_with_status_200),
        cmocka_unit_test(trap3_a_range_with_status_206),
        cmocka_unit_test(trap3_a_200_without_content_range_is_the_whole_object),
        cmocka_unit_test(trap3_another_range_is_no_data),
        cmocka_unit_test(a_web_page_that_is_longer_than_the_range_is_tried_again),
        cmocka_unit_test(trap3_a_206_or_a_small_200_without_content_range_is_no_data),
        cmocka_unit_test(no_other_success_is_data),
        cmocka_unit_test(an_answer_without_end_ends),
        cmocka_unit_test(trap4_a_short_body_with_200_is_tried_again),
        cmocka_unit_test(trap4_a_body_that_stays_short_is_an_error),
        cmocka_unit_test(trap4_a_short_body_without_any_length),
        cmocka_unit_test(a_missing_object_is_enoent_and_not_tried_again),
        cmocka_unit_test(trap13_an_object_is_missing_only_in_a_bucket),
        cmocka_unit_test(a_404_of_another_server_is_not_enoent),
        cmocka_unit_test(errors_of_the_server_are_tried_again),
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(head_takes_the_length),
        cmocka_unit_test(head_without_a_length_asks_the_list),
        cmocka_unit_test(virtual_host_style),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
