/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_counters.c: each try of a request is counted once, by what it was and why it failed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/s3_stand_in.h"

#define RANGE "Content-Range: bytes 0-4/5\r\n"

static struct obj_stats after_get(const struct stand_in_answer *script, size_t n, int expected)
{
    struct stand_in *si = stand_in_start(script, n);
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct obj_stats stats;
    char buf[5];
    assert_int_equal(s->ops->get(s, "k", 0, 5, buf, &(struct obj_call){.max_tries = (unsigned)n}, NULL), expected);
    objstore_stats(s, &stats);
    s->ops->close(s);
    stand_in_stop(si);
    return stats;
}

static void tries_are_counted_with_why_they_failed(void **state)
{
    const struct stand_in_answer script[] = {
        {.status = 503},
        {.status = 206, .headers = RANGE, .body = "", .missing = 5, .way = SI_SHORT},
        {.way = SI_SILENT},
        {.status = 206, .headers = RANGE, .body = "01234"}};
    (void)state;
    struct obj_stats stats = after_get(script, 4, 0);
    const struct obj_request_stats *r = &stats.of[OBJ_REQUEST_GET];
    assert_int_equal(r->requests, 4);
    assert_int_equal(r->failures[OBJ_FAILURE_BUSY], 1);
    assert_int_equal(r->failures[OBJ_FAILURE_NETWORK], 1);
    assert_int_equal(r->failures[OBJ_FAILURE_TIMEOUT], 1);
    assert_int_equal(r->failures[OBJ_FAILURE_REFUSED], 0);
    assert_int_equal(r->failures[OBJ_FAILURE_OTHER], 0);
    assert_int_equal(r->received, 5);
    assert_in_range(r->ns, 1, UINT64_C(60000000000));
    assert_int_equal(stats.of[OBJ_REQUEST_PUT].requests, 0);
}

static void a_refusal_is_counted_as_one(void **state)
{
    const struct stand_in_answer script[] = {{.status = 403}};
    (void)state;
    struct obj_stats stats = after_get(script, 1, -EACCES);
    assert_int_equal(stats.of[OBJ_REQUEST_GET].requests, 1);
    assert_int_equal(stats.of[OBJ_REQUEST_GET].failures[OBJ_FAILURE_REFUSED], 1);
}

static void what_is_not_there_is_no_failure(void **state)
{
    const struct stand_in_answer script[] = {{.expect = "HEAD /bkt/pre/k", .status = 404},
                                             {.expect = "HEAD /bkt ", .status = 200}};
    struct stand_in *si = stand_in_start(script, 2);
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct obj_stats stats;
    uint64_t size;
    (void)state;
    assert_int_equal(s->ops->head(s, "k", &size, NULL, NULL), -ENOENT);
    objstore_stats(s, &stats);
    assert_int_equal(stats.of[OBJ_REQUEST_HEAD].requests, 2);
    for (int f = 0; f < OBJ_FAILURES; f++)
        assert_int_equal(stats.of[OBJ_REQUEST_HEAD].failures[f], 0);
    s->ops->close(s);
    stand_in_stop(si);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tries_are_counted_with_why_they_failed),
        cmocka_unit_test(a_refusal_is_counted_as_one),
        cmocka_unit_test(what_is_not_there_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
