/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_pace.c: how many uploads run at once, as the store keeps up or does not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/s3_stand_in.h"

static char told[4][160];
static unsigned n_told;
static void note(enum log_level level, const char *line)
{
    assert_int_equal(level, strstr(line, "again") ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING);
    if (n_told < 4)
        snprintf(told[n_told], sizeof(told[0]), "%s", line);
    n_told++;
}

static unsigned long in(struct s3_pace *p)
{
    unsigned long ticket = 0;
    assert_true(s3_pace_enter(p, NULL, &ticket));
    return ticket;
}

static void one(struct s3_pace *p, enum s3_pace_end end)
{
    s3_pace_leave(p, in(p), end);
}

static void begins_with_all_and_never_has_more(void **state)
{
    (void)state;
    struct s3_pace p;
    s3_pace_init(&p, 4, NULL);
    for (int i = 0; i < 20; i++)
        one(&p, S3_PACE_TAKEN);
    assert_int_equal(s3_pace_limit(&p), 4);
    s3_pace_fini(&p);
}

static void transfers_that_fail_side_by_side_halve_it_once(void **state)
{
    (void)state;
    struct s3_pace p;
    unsigned long t[8];
    s3_pace_init(&p, 8, NULL);
    for (int i = 0; i < 8; i++)
        t[i] = in(&p);
    for (int i = 0; i < 8; i++)
        s3_pace_leave(&p, t[i], S3_PACE_TOO_MUCH);
    assert_int_equal(s3_pace_limit(&p), 4);
    for (int i = 0; i < 5; i++) /* and never below one */
        one(&p, S3_PACE_TOO_MUCH);
    assert_int_equal(s3_pace_limit(&p), 1);
    s3_pace_fini(&p);
}

static void rises_by_one_after_as_many_successes_as_run_at_once(void **state)
{
    (void)state;
    struct s3_pace p;
    s3_pace_init(&p, 4, NULL);
    one(&p, S3_PACE_TOO_MUCH);
    assert_int_equal(s3_pace_limit(&p), 2);
    one(&p, S3_PACE_TAKEN);
    assert_int_equal(s3_pace_limit(&p), 2);
    one(&p, S3_PACE_OTHER); /* neither this way nor that */
    one(&p, S3_PACE_TAKEN);
    assert_int_equal(s3_pace_limit(&p), 3);
    one(&p, S3_PACE_TAKEN);
    one(&p, S3_PACE_TAKEN);
    one(&p, S3_PACE_TAKEN);
    assert_int_equal(s3_pace_limit(&p), 4);
    s3_pace_fini(&p);
}

static void says_when_it_falls_and_when_it_is_back(void **state)
{
    (void)state;
    struct s3_pace p;
    n_told = 0;
    s3_pace_init(&p, 4, note);
    one(&p, S3_PACE_TOO_MUCH);
    one(&p, S3_PACE_TOO_MUCH);
    assert_int_equal(n_told, 1);
    assert_string_equal(told[0], "the store does not keep up: 2 uploads at a time instead of 4, more when it does");
    for (int i = 0; i < 6; i++)
        one(&p, S3_PACE_TAKEN);
    assert_int_equal(n_told, 2);
    assert_string_equal(told[1], "the store keeps up again: 4 uploads at a time");
    s3_pace_fini(&p);
}

struct waiter {
    struct s3_pace *p;
    atomic_bool cancel;
    bool in;
};

static void *enter(void *arg)
{
    struct waiter *w = arg;
    unsigned long ticket;
    w->in = s3_pace_enter(w->p, &w->cancel, &ticket);
    return NULL;
}

static void a_full_one_lets_in_who_waits_when_another_leaves(void **state)
{
    (void)state;
    struct s3_pace p;
    pthread_t t;
    s3_pace_init(&p, 1, NULL);
    struct waiter w = {.p = &p};
    unsigned long ticket = in(&p);
    assert_int_equal(pthread_create(&t, NULL, enter, &w), 0);
    s3_pace_leave(&p, ticket, S3_PACE_OTHER);
    pthread_join(t, NULL);
    assert_true(w.in);
    assert_int_equal(p.running, 1);
    s3_pace_fini(&p);
}

static void cancel_ends_the_wait(void **state)
{
    (void)state;
    struct s3_pace p;
    pthread_t t;
    s3_pace_init(&p, 1, NULL);
    struct waiter w = {.p = &p};
    in(&p);
    assert_int_equal(pthread_create(&t, NULL, enter, &w), 0);
    atomic_store(&w.cancel, true);
    pthread_join(t, NULL);
    assert_false(w.in);
    assert_int_equal(p.running, 1);
    s3_pace_fini(&p);
}

/* ---- the store's answers ---- */

static unsigned limit_after(const struct stand_in_answer *answer, size_t len)
{
    char *body = calloc(1, len);
    const struct stand_in_answer script[] = {*answer};
    const struct obj_call once = {.max_tries = 1};
    const struct obj_source src = {.mem = body, .fd = -1, .len = len};
    struct errtext err;
    struct stand_in *si = stand_in_start(script, 1);
    struct objstore *s = stand_in_store(si, NULL, 8);
    (void)s->ops->put(s, "k", &src, &once, &err);
    assert_int_equal(stand_in_requests(si), 1);
    unsigned n = s3_pace_limit(&((struct s3_store *)s)->pace);
    s->ops->close(s);
    stand_in_stop(si);
    free(body);
    return n;
}

static void a_store_that_is_too_busy_gets_half_as_many(void **state)
{
    (void)state;
    enum { BIG = S3_BIG_BODY + 1 };
    static const struct {
        struct stand_in_answer answer;
        size_t len;
        unsigned limit;
    } t[] = {
        {{.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"}, BIG, 4},
        {{.status = 500, .body = "<Error><Code>InternalError</Code></Error>"}, BIG, 4}, /* renterd knows no other */
        {{.status = 429}, BIG, 4},
        {{.way = SI_SILENT}, BIG, 4},
        {{.status = 200, .etag = 1}, BIG, 8},
        {{.status = 200, .etag = 1, .damage = 1}, BIG, 8},
        {{.status = 403, .body = "<Error><Code>AccessDenied</Code></Error>"}, BIG, 8},
        {{.status = 503}, 1, 8}, /* small bodies are not counted */
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        if (limit_after(&t[i].answer, t[i].len) != t[i].limit)
            fail_msg("case %zu", i);
}

static void another_number_as_configured_counts_at_once(void **state)
{
    (void)state;
    struct s3_pace p;
    unsigned long ticket;
    atomic_bool canceled = true;
    s3_pace_init(&p, 4, note);
    s3_pace_set_most(&p, 8); /* what was the whole rises */
    assert_int_equal(s3_pace_limit(&p), 8);
    s3_pace_leave(&p, in(&p), S3_PACE_TOO_MUCH);
    assert_int_equal(s3_pace_limit(&p), 4);
    s3_pace_set_most(&p, 16); /* the store's own limit stays */
    assert_int_equal(s3_pace_limit(&p), 4);
    s3_pace_set_most(&p, 2);
    assert_int_equal(s3_pace_limit(&p), 2);
    unsigned long a = in(&p), b = in(&p);
    assert_false(s3_pace_enter(&p, &canceled, &ticket));
    s3_pace_leave(&p, a, S3_PACE_TAKEN);
    s3_pace_leave(&p, b, S3_PACE_TAKEN);
    assert_int_equal(s3_pace_limit(&p), 2);
    s3_pace_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_all_and_never_has_more),
        cmocka_unit_test(another_number_as_configured_counts_at_once),
        cmocka_unit_test(transfers_that_fail_side_by_side_halve_it_once),
        cmocka_unit_test(rises_by_one_after_as_many_successes_as_run_at_once),
        cmocka_unit_test(says_when_it_falls_and_when_it_is_back),
        cmocka_unit_test(a_full_one_lets_in_who_waits_when_another_leaves),
        cmocka_unit_test(cancel_ends_the_wait),
        cmocka_unit_test(a_store_that_is_too_busy_gets_half_as_many),
    };
    return cmocka_run_group_tests_name("s3 pace", tests, NULL, NULL);
}
