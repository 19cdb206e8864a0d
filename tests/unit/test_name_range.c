/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_name_range.c: names that count up (base/name_range.h). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/name_range.h"

static void one_name_is_itself(void **state)
{
    (void)state;
    struct name_range r;
    char name[NAME_RANGE_SIZE];
    assert_int_equal(name_range_parse("PBS001L8", &r, NULL), 0);
    assert_int_equal(name_range_count(&r), 1);
    name_range_name(&r, 0, name);
    assert_string_equal(name, "PBS001L8");
    assert_true(name_range_has(&r, "PBS001L8"));
    assert_false(name_range_has(&r, "PBS001L9"));
}

static void numbers_keep_their_zeros(void **state)
{
    (void)state;
    struct name_range r;
    char name[NAME_RANGE_SIZE];
    assert_int_equal(name_range_parse("PBS{008..102}L8", &r, NULL), 0);
    assert_int_equal(name_range_count(&r), 95);
    name_range_name(&r, 0, name);
    assert_string_equal(name, "PBS008L8");
    name_range_name(&r, 94, name);
    assert_string_equal(name, "PBS102L8");
    for (uint32_t i = 0; i < 95; i++) {
        name_range_name(&r, i, name);
        assert_true(name_range_has(&r, name));
    }
    const char *
        not [] = {"PBS007L8", "PBS103L8", "PBS08L8", "PBS0008L8", "PBS008L", "PBS008L88", "XBS008L8", "PBS", ""};
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        assert_false(name_range_has(&r, not [i]));
}

static void what_is_no_range_is_refused_with_the_rule(void **state)
{
    (void)state;
    const char *bad[] = {
        "A{1..3",  "A1..3}",        "A{1..}",    "A{..3}",   "A{1..10}",
        "A{3..1}", "A{1..2}{1..2}", "A{1.2}",    "A{a..c}",  "A{0000000001..0000000002}",
        "{",       "A{1,2}",        "A{+1..+2}", "A{1..2}}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ01{00000..99999}L"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct name_range r = {.first = 77};
        struct errtext err = {""};
        assert_int_equal(name_range_parse(bad[i], &r, &err), -EINVAL);
        assert_int_equal(r.first, 77);
        assert_non_null(strstr(err.text, "such as PBS{001..100}L8"));
    }
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    struct name_range r;
    char name[NAME_RANGE_SIZE];
    assert_int_equal(name_range_parse("ABCDEFGHIJKLMNOPQRSTUVWXYZ{0000..9999}L8", &r, NULL), 0);
    name_range_name(&r, 9999, name);
    assert_string_equal(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ9999L8");
    assert_int_equal(strlen(name), NAME_RANGE_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_name_is_itself),
        cmocka_unit_test(numbers_keep_their_zeros),
        cmocka_unit_test(what_is_no_range_is_refused_with_the_rule),
        cmocka_unit_test(the_longest_name_fits),
    };
    return cmocka_run_group_tests_name("name_range", tests, NULL, NULL);
}
