/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_stream.c: reading an object piece by piece: what breaks goes on where it was, and a wrong byte is never
 * handed over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

static const char content[] = "0123456789abcdefghij";

struct got {
    char buf[64];
    size_t len;
    int rc, refuse; /* refuse: what take returns when it has this much */
    size_t refuse_at;
    atomic_bool *cancel; /* set at the first byte */
    pthread_t thread;    /* that called take */
    struct errtext err;
};

static int take(void *arg, const void *data, size_t len)
{
    struct got *g = arg;
    g->thread = pthread_self();
    if (g->cancel)
        atomic_store(g->cancel, true);
    if (g->refuse && g->len + len >= g->refuse_at)
        return g->refuse;
    assert_true(len <= sizeof(g->buf) - g->len);
    memcpy(g->buf + g->len, data, len);
    g->len += len;
    return 0;
}

static void stream(struct got *g, struct stand_in *si, uint64_t at, uint64_t len, const struct obj_call *c)
{
    struct objstore *s = stand_in_store(si, NULL, 0);
    const struct obj_sink sink = {take, g};
    g->rc = s->ops->stream(s, "k", at, len, &sink, c, &g->err);
    s->ops->close(s);
}

static void assert_got(const struct got *g, uint64_t at, uint64_t len)
{
    if (g->rc)
        fail_msg("%s", g->err.text);
    assert_int_equal(g->len, len);
    assert_memory_equal(g->buf, content + at, len);
}

static void no_other_success_is_data(void **state)
{
    (void)state;
    const struct obj_call once = {.max_tries = 1};
    for (int status = 202; status <= 204; status++) {
        struct stand_in *si = stand_in_start(SCRIPT({.status = status, .body = status == 204 ? "" : "56789"}));
        struct got g = {0};
        stream(&g, si, 5, 5, &once);
        assert_int_equal(g.rc, -EIO);
        assert_int_equal(g.len, 0);
        stand_in_stop(si);
    }
}

static void a_range_arrives_on_the_callers_thread(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "GET /bkt/pre/k HTTP/1.1",
                                                 .status = 206,
                                                 .headers = "Content-Range: bytes 5-9/20\r\n",
                                                 .body = "56789"}));
    struct got g = {0};
    stream(&g, si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    assert_true(pthread_equal(g.thread, pthread_self()));
    assert_non_null(strstr(stand_in_head(si, 0), "\r\nRange: bytes=5-9\r\n"));
    stand_in_stop(si);
}

static void a_whole_object_instead_of_a_range_is_cut(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .body = content}));
    struct got g = {0};
    stream(&g, si, 5, 5, NULL);
    assert_got(&g, 5, 5);
    stand_in_stop(si);
}

/* Every way to break in the middle: a closed range from the byte where it broke, never from the beginning. */
static void after_a_break_it_goes_on_where_it_was(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 206, .headers = "Content-Range: bytes 2-11/20\r\n", .body = "2345", .missing = 6, .way = SI_SHORT},
        {.status = 503, .body = "<Error><Code>SlowDown</Code><Message>slow</Message></Error>"}, {.way = SI_DROP},
        {.status = 206, .headers = "Content-Range: bytes 6-11/20\r\n", .body = "67", .missing = 4, .way = SI_SHORT},
        {.status = 206, .headers = "Content-Range: bytes 8-11/20\r\n", .body = "89ab"}));
    const struct obj_call many = {.max_tries = 9};
    struct got g = {0};
    stream(&g, si, 2, 10, &many);
    assert_got(&g, 2, 10);
    assert_non_null(strstr(stand_in_head(si, 1), "\r\nRange: bytes=6-11\r\n"));
    assert_non_null(strstr(stand_in_head(si, 4), "\r\nRange: bytes=8-11\r\n"));
    stand_in_stop(si);
}

static void a_whole_object_after_a_break_goes_on_where_it_was(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 206, .headers = "Content-Range: bytes 0-9/20\r\n", .body = "0123", .missing = 6, .way = SI_SHORT},
        {.status = 200, .body = content}));
    struct got g = {0};
    stream(&g, si, 0, 10, NULL);
    assert_got(&g, 0, 10);
    stand_in_stop(si);
}

static void a_body_that_stays_short_is_an_error(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 206, .headers = "Content-Range: bytes 0-9/20\r\n", .body = "0123", .missing = 6, .way = SI_SHORT},
        {.status = 206, .headers = "Content-Range: bytes 4-9/20\r\n", .body = "", .missing = 6, .way = SI_SHORT}));
    const struct obj_call two = {.max_tries = 2};
    struct got g = {0};
    stream(&g, si, 0, 10, &two);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "ends early"));
    assert_int_equal(g.len, 4);
    stand_in_stop(si);
}

/* Also one that fits what was asked for at first, but not what is asked for now. */
static void another_range_is_no_data(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 206, .headers = "Content-Range: bytes 0-9/20\r\n", .body = "0123", .missing = 6, .way = SI_SHORT},
        {.status = 206, .headers = "Content-Range: bytes 0-9/20\r\n", .body = "0123456789"}));
    const struct obj_call two = {.max_tries = 2};
    struct got g = {0};
    stream(&g, si, 0, 10, &two);
    assert_int_equal(g.rc, -EIO);
    assert_non_null(strstr(g.err.text, "another range"));
    assert_int_equal(g.len, 4);
    stand_in_stop(si);
}

static void an_error_page_is_no_data(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 404, .body = "<html>"}));
    struct got g = {0};
    stream(&g, si, 0, 10, NULL);
    assert_int_equal(g.rc, -EIO);
    assert_int_equal(g.len, 0);
    stand_in_stop(si);
}

static void what_the_sink_refuses_ends_it(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 206, .headers = "Content-Range: bytes 0-4/20\r\n", .body = "01234"}));
    struct got g = {.refuse = -ENOSPC};
    stream(&g, si, 0, 5, NULL);
    assert_int_equal(g.rc, -ENOSPC);
    assert_non_null(strstr(g.err.text, "could not be kept: No space"));
    assert_int_equal(stand_in_requests(si), 1);
    stand_in_stop(si);
}

static void a_cancel_in_the_middle_ends_it(void **state)
{
    (void)state;
    struct s3_tuning patient = stand_in_tuning();
    patient.stall_ms = patient.reply_ms = 60000;
    /* The rest never comes: only the cancel can end it. */
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 206, .headers = "Content-Range: bytes 0-9/20\r\n", .body = "0123", .missing = 6, .way = SI_HALF}));
    atomic_bool cancel = false;
    const struct obj_call c = {.cancel = &cancel};
    struct got g = {.cancel = &cancel};
    struct objstore *s = stand_in_store(si, &patient, 0);
    const struct obj_sink sink = {take, &g};
    assert_int_equal(s->ops->stream(s, "k", 0, 10, &sink, &c, &g.err), -ECANCELED);
    assert_int_equal(g.len, 4);
    s->ops->close(s);
    stand_in_stop(si);
}

static void what_stalls_is_tried_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 206, .headers = "Content-Range: bytes 0-9/20\r\n", .body = "0123", .missing = 6, .way = SI_HALF},
        {.status = 206, .headers = "Content-Range: bytes 4-9/20\r\n", .body = "456789"}));
    struct got g = {0};
    stream(&g, si, 0, 10, NULL);
    assert_got(&g, 0, 10);
    stand_in_stop(si);
}

struct one {
    struct objstore *s;
    struct got g;
};

static void *run_one(void *arg)
{
    struct one *o = arg;
    const struct obj_sink sink = {take, &o->g};
    o->g.rc = o->s->ops->stream(o->s, "k", 0, 20, &sink, NULL, &o->g.err);
    return NULL;
}

/* All at once, with a store that has one turn: streams take none, so a short read that a host waits for passes them. */
static void a_read_in_memory_passes_streams(void **state)
{
    (void)state;
    enum { N = 3 };
    static const struct stand_in_answer half = {.status = 200, .body = "0123", .missing = 16, .way = SI_HALF},
                                        whole = {.status = 200, .body = content};
    struct stand_in_answer script[2 * N + 1] = {half, half, half, whole};
    for (int i = 0; i < N; i++)
        script[N + 1 + i] =
            (struct stand_in_answer){.status = 206, .headers = "Content-Range: bytes 4-19/20\r\n", .body = content + 4};
    struct stand_in *si = stand_in_start(script, 2 * N + 1);
    struct s3_tuning t = stand_in_tuning();
    t.stall_ms = t.reply_ms = 2000;
    struct one one[N] = {0};
    pthread_t threads[N];
    struct objstore *s = stand_in_store(si, &t, 1);
    for (int i = 0; i < N; i++) {
        one[i].s = s;
        assert_int_equal(pthread_create(&threads[i], NULL, run_one, &one[i]), 0);
    }
    stand_in_await(si, N);
    char buf[20];
    struct errtext err;
    assert_int_equal(s->ops->get(s, "k", 0, 20, buf, NULL, &err), 0);
    assert_int_equal(stand_in_requests(si), N + 1);
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_got(&one[i].g, 0, 20);
    }
    s->ops->close(s);
    stand_in_stop(si);
}

static void a_connection_is_used_again(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .body = content}, {.status = 200, .body = content}));
    struct objstore *s = stand_in_store(si, NULL, 0);
    for (int i = 0; i < 2; i++) {
        struct got g = {0};
        const struct obj_sink sink = {take, &g};
        g.rc = s->ops->stream(s, "k", 0, 20, &sink, NULL, &g.err);
        assert_got(&g, 0, 20);
    }
    assert_int_equal(stand_in_connections(si), 1);
    s->ops->close(s);
    stand_in_stop(si);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_other_success_is_data),
        cmocka_unit_test(a_range_arrives_on_the_callers_thread),
        cmocka_unit_test(a_whole_object_instead_of_a_range_is_cut),
        cmocka_unit_test(after_a_break_it_goes_on_where_it_was),
        cmocka_unit_test(a_whole_object_after_a_break_goes_on_where_it_was),
        cmocka_unit_test(a_body_that_stays_short_is_an_error),
        cmocka_unit_test(another_range_is_no_data),
        cmocka_unit_test(an_error_page_is_no_data),
        cmocka_unit_test(what_the_sink_refuses_ends_it),
        cmocka_unit_test(a_cancel_in_the_middle_ends_it),
        cmocka_unit_test(what_stalls_is_tried_again),
        cmocka_unit_test(a_read_in_memory_passes_streams),
        cmocka_unit_test(a_connection_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
