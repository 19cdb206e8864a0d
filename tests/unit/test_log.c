/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_log.c: levels stand before lines that go to the journal, or to who passes them on, and before no others. */
#include "base/event.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void log_each_level(void)
{
    log_err("a %d", 1);
    log_warn("b");
    log_notice("c");
    log_info("d");
}

/* What a function writes to standard error goes to a file. */
static void logged_by(void (*write)(void), char *out, size_t room, const char *stream)
{
    char name[] = "/tmp/s3vtl-log.XXXXXX", own[64];
    int fd = mkstemp(name), kept = dup(STDERR_FILENO);
    struct stat st;
    assert_true(fd >= 0 && kept >= 0 && !fstat(fd, &st));
    (void)snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    if (stream)
        assert_int_equal(setenv("JOURNAL_STREAM", *stream ? stream : own, 1), 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    write();
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    ssize_t n = pread(fd, out, room - 1, 0);
    assert_true(n > 0);
    out[n] = '\0';
    close(fd);
    close(kept);
    unlink(name);
    unsetenv("JOURNAL_STREAM");
}

static void logged(char *out, size_t room, const char *stream)
{
    logged_by(log_each_level, out, room, stream);
}

static const char plain[] = "s3vtl: a 1\ns3vtl: b\ns3vtl: c\ns3vtl: d\n";
static const char with_levels[] = "<3>s3vtl: a 1\n<4>s3vtl: b\n<5>s3vtl: c\n<6>s3vtl: d\n";

static void test_no_levels_without_a_journal(void **state)
{
    char text[200];
    (void)state;
    logged(text, sizeof(text), NULL);
    assert_string_equal(text, plain);
}

static void test_levels_for_the_journal(void **state)
{
    char text[200];
    (void)state;
    logged(text, sizeof(text), "");
    assert_string_equal(text, with_levels);
}

static void test_no_levels_when_the_journal_has_another_stream(void **state)
{
    char text[200];
    (void)state;
    logged(text, sizeof(text), "1:1");
    assert_string_equal(text, plain);
    logged(text, sizeof(text), "nonsense");
    assert_string_equal(text, plain);
}

static void test_levels_for_who_passes_lines_on(void **state)
{
    char text[200];
    (void)state;
    assert_int_equal(setenv(LOG_LEVELS_WANTED, "1", 1), 0);
    logged(text, sizeof(text), NULL);
    assert_string_equal(text, with_levels);
    unsetenv(LOG_LEVELS_WANTED);
}

static void test_a_level_is_taken_off_its_line(void **state)
{
    static const char *const none[] = {"", "<", "<3", "<3 s3vtl", "<0>x", "<7>x", "s3vtl: <3>x", "<33>x"};
    enum log_level level = LOG_LEVEL_INFO;
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_ptr_equal(log_take_level(none[i], &level), none[i]);
    assert_int_equal(level, LOG_LEVEL_INFO);
    assert_string_equal(log_take_level("<3>s3vtl: <4>x", &level), "s3vtl: <4>x");
    assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void log_what_is_no_utf8(void)
{
    log_warn("%.10s, %s, %s, %s", "a \xe2\x82\xac b \xe2\x82\xac", "\xff \xc0\x80 \xed\xa0\x80 \xf5",
             "\xf0\x9f\x98\x80 \xc3\xa4", "\xe2\x82");
    log_event(EVENT_STORE_DOWN, "b\xe4h");
}

static void test_what_is_no_utf8_does_not_hide_its_line(void **state)
{
    (void)state;
    char out[500];
    logged_by(log_what_is_no_utf8, out, sizeof(out), NULL);
    assert_string_equal(out, "s3vtl: a \xe2\x82\xac b ??, ? ?? ??? ?, \xf0\x9f\x98\x80 \xc3\xa4, ??\n"
                             "s3vtl: b?h [store-down]\n");
}

static void log_two_events(void)
{
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_event(EVENT_STORE_UP, "%s", "short");
    log_event(EVENT_STORE_DOWN, "%s", text);
}

/* Monitoring matches it there. */
static void test_an_event_ends_with_its_name_however_long_it_is(void **state)
{
    char text[2000];
    (void)state;
    logged_by(log_two_events, text, sizeof(text), "");
    static const char first[] = "<5>s3vtl: short [store-up]\n<3>s3vtl: xxx", last[] = "xxx [store-down]\n";
    assert_memory_equal(text, first, strlen(first));
    assert_string_equal(text + strlen(text) - strlen(last), last);
    assert_in_range(strlen(text), 900, 960);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_levels_without_a_journal),
        cmocka_unit_test(test_levels_for_the_journal),
        cmocka_unit_test(test_no_levels_when_the_journal_has_another_stream),
        cmocka_unit_test(test_levels_for_who_passes_lines_on),
        cmocka_unit_test(test_a_level_is_taken_off_its_line),
        cmocka_unit_test(test_what_is_no_utf8_does_not_hide_its_line),
        cmocka_unit_test(test_an_event_ends_with_its_name_however_long_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
