/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_array.c: an array grows, and keeps what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"

static void what_is_in_it_stays(void **state)
{
    (void)state;
    struct thing {
        uint64_t number;
        char text[40];
    } *v = NULL;
    size_t n = 0, room = 0, grown = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        size_t had = room;
        if (n == room)
            assert_true(array_grow(&v, &room, sizeof(*v)));
        grown += room != had;
        assert_true(room > n);
        v[n++] = (struct thing){i * i, "text"};
    }
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(v[i].number, i * i);
    assert_true(grown < 20); /* it doubles */
    free(v);
}

/* More bytes than can be counted. */
static void one_that_cannot_grow_is_as_it_was(void **state)
{
    (void)state;
    static const struct {
        size_t room, size;
    } too_much[] = {{SIZE_MAX, 1}, {SIZE_MAX / 2 + 1, 1}, {SIZE_MAX / 64, 40}, {2, SIZE_MAX / 2}, {1, SIZE_MAX}};
    char *v = malloc(1), *was = v;
    assert_non_null(v);
    v[0] = 'x';
    for (size_t i = 0; i < sizeof(too_much) / sizeof(too_much[0]); i++) {
        size_t room = too_much[i].room;
        assert_false(array_grow(&v, &room, too_much[i].size));
        assert_ptr_equal(v, was);
        assert_int_equal(room, too_much[i].room);
    }
    assert_int_equal(v[0], 'x');
    free(v);
}

static void one_of_large_elements_begins_with_one(void **state)
{
    (void)state;
    struct {
        char text[5000];
    } *v = NULL;
    size_t room = 0;
    assert_true(array_grow(&v, &room, sizeof(*v)));
    assert_int_equal(room, 1);
    memset(v, 0, sizeof(*v));
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_it_stays),
        cmocka_unit_test(one_that_cannot_grow_is_as_it_was),
        cmocka_unit_test(one_of_large_elements_begins_with_one),
    };
    return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
