/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_chap.c: who may log in. The library has CHAP, and mutual CHAP if S3VTL_TEST_MUTUAL is set. */
#include "tests/iscsi/library.h"

#include <stdlib.h>

/* As tests/lib/library.sh makes them. */
#define USER "backup"
#define PASSWORD "correct-horse-1"
#define TARGET_USER "library"
#define TARGET_PASSWORD "battery-staple-2"

static bool mutual(void)
{
    const char *v = getenv("S3VTL_TEST_MUTUAL");
    return v && *v;
}

static struct session_options right(void)
{
    struct session_options o = {.user = USER, .password = PASSWORD};
    if (mutual()) {
        o.target_user = TARGET_USER;
        o.target_password = TARGET_PASSWORD;
    }
    return o;
}

static void the_right_password_logs_in(void **state)
{
    (void)state;
    struct session_options o = right();
    struct session *s = session_open(&o);
    settle_all(s);
    find_cartridge(s, "TEST01L8");
    session_close(s);
}

static void assert_refused(const struct session_options *o)
{
    char why[300];
    assert_null(session_try(o, why, sizeof(why)));
}

static void no_password_is_refused(void **state)
{
    (void)state;
    assert_refused(NULL);
}

static void a_wrong_password_is_refused(void **state)
{
    (void)state;
    struct session_options o = right();
    o.password = "correct-horse-2";
    assert_refused(&o);
}

static void a_wrong_user_is_refused(void **state)
{
    (void)state;
    struct session_options o = right();
    o.user = "somebody";
    assert_refused(&o);
}

static void a_target_with_the_wrong_password_is_not_trusted(void **state)
{
    (void)state;
    struct session_options o = right();
    o.target_password = "battery-staple-3";
    assert_refused(&o);
}

static void the_target_goes_on_after_refusals(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_refused(NULL);
    the_right_password_logs_in(state);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_right_password_logs_in),        T(no_password_is_refused),
        T(a_wrong_password_is_refused),       T(a_wrong_user_is_refused),
        T(the_target_goes_on_after_refusals),
    };
    const struct CMUnitTest mutual_tests[] = {
        T(the_right_password_logs_in),        T(no_password_is_refused),
        T(a_wrong_password_is_refused),       T(a_target_with_the_wrong_password_is_not_trusted),
        T(the_target_goes_on_after_refusals),
    };
    return mutual() ? cmocka_run_group_tests(mutual_tests, NULL, NULL) : cmocka_run_group_tests(tests, NULL, NULL);
}
