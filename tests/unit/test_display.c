/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_display.c: sizes, times and progress as people read them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "base/human.h"
#include "vtl/cmd/progress.h"

#define MB 1000000u

static void sizes_are_decimal(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 B"},
                {999, "999 B"},
                {1000, "1 kB"},
                {1024, "1 kB"},
                {114500000, "114.5 MB"},
                {999949, "999.9 kB"},
                {999950, "1 MB"}, /* not 1000 kB */
                {UINT64_C(12000000000000), "12 TB"},
                {UINT64_C(2) << 40, "2.2 TB"},
                {UINT64_MAX, "18.4 EB"}};
    char buf[HUMAN_ROOM];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(human_size(rows[i].bytes, buf), rows[i].text);
}

static void times_are_dates_and_durations(void **state)
{
    (void)state;
    char buf[HUMAN_ROOM];
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    assert_string_equal(human_time(1795731000, buf), "2026-11-26 22:10");
    assert_string_equal(human_time(0, buf), "never");
    assert_string_equal(human_duration(0, buf), "0 s");
    assert_string_equal(human_duration(119, buf), "119 s");
    assert_string_equal(human_duration(120, buf), "2 min");
    assert_string_equal(human_duration(3 * 3600 + 20 * 60 + 59, buf), "3 h 20 min");
    assert_string_equal(human_duration(52 * 3600, buf), "2 d 4 h");
}

/* ---- how fast ---- */

static void time_left_is_what_the_last_half_minute_says(void **state)
{
    (void)state;
    struct pace p = {0};
    uint64_t now = 1000, done = 0;
    pace_note(&p, 0, now);
    assert_true(pace_get(&p, now) == 0);
    for (int i = 0; i < 100; i++) /* 10 MB/s */
        pace_note(&p, done += 10 * MB, now += 1000);
    assert_in_range((uint64_t)pace_get(&p, now), 10 * MB - 1000, 10 * MB + 1000);
    for (int i = 0; i < 40; i++) /* then 1 MB/s: what was before counts no more */
        pace_note(&p, done += 1 * MB, now += 1000);
    assert_in_range((uint64_t)pace_get(&p, now), 1 * MB - 1000, 1 * MB + 1000);
}

static void time_left_is_unknown_while_nothing_moves(void **state)
{
    (void)state;
    struct pace p = {0};
    uint64_t now = 1000, done = 0;
    pace_note(&p, 0, now);
    for (int i = 0; i < 20; i++)
        pace_note(&p, done += 10 * MB, now += 1000);
    for (int i = 0; i < 5; i++) /* the same again is no news */
        pace_note(&p, done, now += 1000);
    assert_true(pace_get(&p, now) > 0);
    for (int i = 0; i < 6; i++)
        pace_note(&p, done, now += 1000);
    assert_true(pace_get(&p, now) == 0);
    pace_note(&p, done + 10 * MB, now += 1000);
    assert_true(pace_get(&p, now) > 0);
}

/* One segment every 40 s on a slow line: that is no standstill. */
static void slow_and_steady_is_known(void **state)
{
    (void)state;
    struct pace p = {0};
    uint64_t now = 1000, done = 0;
    pace_note(&p, 0, now);
    for (int i = 0; i < 5; i++)
        pace_note(&p, done += 40 * MB, now += 40000);
    assert_in_range((uint64_t)pace_get(&p, now), 1 * MB - 1000, 1 * MB + 1000);
    assert_true(pace_get(&p, now + 39000) > 0);
    assert_true(pace_get(&p, now + 81000) == 0);
}

static void what_is_sent_again_begins_again(void **state)
{
    (void)state;
    struct pace p = {0};
    pace_note(&p, 0, 1000);
    pace_note(&p, 50 * MB, 3000);
    pace_note(&p, 10 * MB, 4000);
    assert_true(pace_get(&p, 4000) == 0);
    pace_note(&p, 20 * MB, 5000);
    assert_int_equal((uint64_t)pace_get(&p, 5000), 10 * MB);
}

static void progress_is_one_line(void **state)
{
    (void)state;
    char buf[PROGRESS_ROOM];
    struct progress_state s = {.bytes = 45200000, .of_bytes = 114500000};
    assert_string_equal(progress_text(&s, 12500000, buf), "45.2 MB of 114.5 MB, 12.5 MB/s, 6 s left");
    assert_string_equal(progress_text(&s, 0, buf), "45.2 MB of 114.5 MB, time left unknown");
    s = (struct progress_state){.pieces = 3, .of_pieces = 16};
    assert_string_equal(progress_text(&s, 0.1, buf), "3 of 16 cartridges, 0.1/s, 2 min left");
    s = (struct progress_state){.pieces = 3, .of_pieces = 16, .bytes = 5 * MB, .of_bytes = 9 * MB, .more = true};
    assert_string_equal(progress_text(&s, 1 * MB, buf), "3 of 16 cartridges, 5 MB, 1 MB/s, time left unknown");
    s.more = false;
    s.bytes = s.of_bytes;
    assert_string_equal(progress_text(&s, 1 * MB, buf), "3 of 16 cartridges, 9 MB of 9 MB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_decimal),
        cmocka_unit_test(times_are_dates_and_durations),
        cmocka_unit_test(time_left_is_what_the_last_half_minute_says),
        cmocka_unit_test(time_left_is_unknown_while_nothing_moves),
        cmocka_unit_test(slow_and_steady_is_known),
        cmocka_unit_test(what_is_sent_again_begins_again),
        cmocka_unit_test(progress_is_one_line),
    };
    return cmocka_run_group_tests_name("display", tests, NULL, NULL);
}
