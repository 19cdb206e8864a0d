/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_escrow_age.c: an escrow is made when it is due, and is called too old when it is, and not before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "vtl/cmd/escrow_age.h"

enum { NOW = 2000000, HOUR = 3600, DAY = 24 * HOUR, OLD = 7, NEW = 8 };

/* A good one, two hours old. */
static struct escrow_last last(void)
{
    return (struct escrow_last){.created = NOW - 2 * HOUR, .whole = true, .content = OLD};
}

static json_t *cartridges(const char *barcode, const char *head)
{
    return json_pack("[{s:s, s:s}]", "barcode", barcode, "head", head);
}

static void each_commit_key_and_place_is_another_content(void **state)
{
    (void)state;
    static const char *const of[][2] = {{"A", "1"}, {"A", "2"}, {"B", "1"}, {"A1", ""}, {"", "A1"}};
    uint32_t sums[5];
    assert_int_equal(escrow_content_of(NULL, "k", "w"), 0);
    for (size_t i = 0; i < 5; i++) {
        json_t *c = cartridges(of[i][0], of[i][1]);
        sums[i] = escrow_content_of(c, "k", "w");
        assert_int_equal(escrow_content_of(c, "k", "w"), sums[i]);
        assert_int_not_equal(sums[i], 0);
        assert_int_not_equal(escrow_content_of(c, "k2", "w"), sums[i]);
        assert_int_not_equal(escrow_content_of(c, "k", "w2"), sums[i]);
        assert_int_not_equal(escrow_content_of(c, "kw", ""), sums[i]);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(sums[i], sums[k]);
        json_decref(c);
    }
}

static uint32_t names_of(const char *barcode, const char *head, int address)
{
    json_t *c = json_pack("[{s:s, s:s, s:o}]", "barcode", barcode, "head", head, "address",
                          address ? json_integer(address) : json_null());
    uint32_t sum = escrow_names_of(c);
    json_decref(c);
    return sum;
}

static void each_commit_and_each_move_is_a_change_of_names(void **state)
{
    (void)state;
    assert_int_equal(names_of("A", "1", 7), names_of("A", "1", 7));
    assert_int_not_equal(names_of("A", "1", 7), names_of("A", "2", 7));
    assert_int_not_equal(names_of("A", "1", 7), names_of("B", "1", 7));
    assert_int_not_equal(names_of("A", "1", 7), names_of("A", "1", 8));
    assert_int_not_equal(names_of("A", "1", 7), names_of("A", "1", 0));
    assert_int_not_equal(names_of("A", "1", 7), escrow_names_of(NULL));
}

static bool due(uint64_t every, bool offsite, bool waits, const struct escrow_last *l, uint32_t content)
{
    const struct escrow_due d = {.now = NOW, .every = every, .offsite = offsite, .waits = waits};
    return escrow_is_due(&d, l, content);
}

static void one_is_due_when_something_was_committed_and_all_is_offsite(void **state)
{
    (void)state;
    struct escrow_last l = last();
    assert_true(due(HOUR, true, false, &l, NEW));
    assert_false(due(HOUR, true, false, &l, OLD));
    assert_false(due(HOUR, false, false, &l, NEW));
    assert_false(due(HOUR, true, true, &l, NEW)); /* one has just failed */
    assert_true(due(2 * HOUR, true, false, &l, NEW));
    assert_false(due(2 * HOUR + 1, true, false, &l, NEW));
    l.whole = false;
    assert_true(due(HOUR, true, false, &l, OLD));
}

static void the_first_one_is_due_at_once_unless_there_is_nothing(void **state)
{
    (void)state;
    const struct escrow_last none = {.created = 0};
    assert_true(due(HOUR, true, false, &none, NEW));
    assert_false(due(HOUR, true, false, &none, 0));
}

/* A job that goes on for long keeps all from being off-site: then one is tried all the same. */
static void one_is_not_put_off_for_ever(void **state)
{
    (void)state;
    struct escrow_last l = {.created = NOW - 20 * HOUR, .whole = true, .content = OLD};
    l.changed = NOW - 6 * HOUR + 1;
    assert_false(due(HOUR, false, false, &l, NEW));
    l.changed = NOW - 6 * HOUR;
    assert_true(due(HOUR, false, false, &l, NEW));
    assert_false(due(8 * HOUR, false, false, &l, NEW));
    l.changed = NOW - 8 * HOUR;
    assert_true(due(8 * HOUR, false, false, &l, NEW));
}

/* Its time was noted while the clock was ahead: the next one does not wait until then. */
static void one_of_a_time_to_come_puts_the_next_one_off_no_longer(void **state)
{
    (void)state;
    struct escrow_last l = last();
    l.created = NOW + 365 * DAY;
    assert_true(due(HOUR, true, false, &l, NEW));
    assert_false(due(HOUR, true, false, &l, OLD));
    l.created = NOW - 20 * HOUR;
    l.changed = NOW + 365 * DAY;
    assert_true(due(HOUR, false, false, &l, NEW));
    assert_false(due(21 * HOUR, true, false, &l, NEW));
}

static void expect_old(const struct escrow_last *l, uint32_t content, const char *words)
{
    char text[500];
    bool old = escrow_is_old(l, content, NOW, text, sizeof(text));
    if (old != (words != NULL) || (words && !strstr(text, words)))
        fail_msg("\"%s\", not \"%s\"", text, words ? words : "");
}

/* What counts is how long a commit has waited, not how old the last escrow is. */
static void one_is_too_old_a_day_after_the_first_commit_that_it_misses(void **state)
{
    (void)state;
    struct escrow_last l = last();
    expect_old(&l, NEW, NULL);
    l.created = NOW - 9 * DAY;
    expect_old(&l, OLD, NULL);
    l.changed = NOW - DAY;
    expect_old(&l, NEW, NULL);
    assert_int_equal(escrow_waits_since(&l, NEW), NOW - DAY);
    l.changed--;
    expect_old(&l, NEW, "the newest escrow is 9 d 0 h old, and cartridges were written since");
    l.changed = 0; /* nobody served meanwhile: as long as it may be */
    expect_old(&l, NEW, "the newest escrow is");
    assert_int_equal(escrow_waits_since(&l, NEW), NOW - 9 * DAY);
    assert_int_equal(escrow_waits_since(&l, OLD), 0);
}

static void what_is_wrong_with_the_last_one_is_said(void **state)
{
    (void)state;
    struct escrow_last l = {.created = 0};
    expect_old(&l, 0, NULL);
    expect_old(&l, NEW, "no escrow has been made from here yet");
    l = last();
    l.whole = false;
    expect_old(&l, OLD, "names objects that were not off-site yet");
    l.missing = 5000;
    expect_old(&l, OLD, "names 5 kB that were not off-site yet");
    l.failed = NOW - 90;
    strcpy(l.why, "the disk is full");
    expect_old(&l, OLD, "no escrow could be made for 90 s: the disk is full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_commit_key_and_place_is_another_content),
        cmocka_unit_test(each_commit_and_each_move_is_a_change_of_names),
        cmocka_unit_test(one_is_due_when_something_was_committed_and_all_is_offsite),
        cmocka_unit_test(the_first_one_is_due_at_once_unless_there_is_nothing),
        cmocka_unit_test(one_is_not_put_off_for_ever),
        cmocka_unit_test(one_of_a_time_to_come_puts_the_next_one_off_no_longer),
        cmocka_unit_test(one_is_too_old_a_day_after_the_first_commit_that_it_misses),
        cmocka_unit_test(what_is_wrong_with_the_last_one_is_said),
    };
    return cmocka_run_group_tests_name("escrow_age", tests, NULL, NULL);
}
