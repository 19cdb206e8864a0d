/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_verify_due.c: which cartridges are verified next, so that all are in time. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/cmd/verify_due.h"

#define DAY 86400u
#define EVERY (30 * DAY)
#define NOW (20000ull * DAY)

static bool is_begun(void *arg, const char *barcode)
{
    return !strcmp(arg, barcode);
}

static json_t *cartridge(const char *barcode, uint64_t stored, uint64_t created, uint64_t verified)
{
    json_t *j = json_pack("{s:s, s:I, s:I}", "barcode", barcode, "stored_bytes", (json_int_t)stored, "created",
                          (json_int_t)created);
    if (verified)
        json_object_set_new(j, "verified", json_integer((json_int_t)verified));
    return j;
}

static void those_that_were_begun_come_first_then_the_longest_ago(void **state)
{
    (void)state;
    char begun[] = "A";
    struct verify_ages ages;
    json_t *list = json_array();
    json_array_append_new(list, cartridge("A", 1, NOW - 100 * DAY, NOW - 16 * DAY));
    json_array_append_new(list, cartridge("B", 1, NOW - 100 * DAY, NOW - 40 * DAY));
    json_array_append_new(list, cartridge("C", 1, NOW - 100 * DAY, NOW - 14 * DAY)); /* not yet: from 15 on */
    json_array_append_new(list, cartridge("D", 1, NOW - 35 * DAY, 0));               /* never */
    json_array_append_new(list, cartridge("E", 0, NOW - 100 * DAY, NOW - 90 * DAY)); /* nothing is stored */
    json_array_append_new(list, cartridge("F", 1, NOW - 100 * DAY, NOW - 90 * DAY));
    json_object_set_new(json_array_get(list, 5), "fenced", json_true()); /* another gateway's */
    json_array_append_new(list, cartridge("G", 1, NOW - 1 * DAY, 0));
    json_t *due = verify_due(list, NOW, EVERY, is_begun, begun);
    assert_int_equal(json_array_size(due), 3);
    assert_string_equal(json_string_value(json_array_get(due, 0)), "A");
    assert_string_equal(json_string_value(json_array_get(due, 1)), "B");
    assert_string_equal(json_string_value(json_array_get(due, 2)), "D");
    verify_ages(list, NOW, EVERY, &ages);
    assert_int_equal(ages.stored, 5);
    assert_int_equal(ages.due, 3);
    assert_int_equal(ages.late, 2);
    assert_int_equal(ages.oldest, 40 * DAY);
    assert_string_equal(ages.barcode, "B");
    json_decref(due);
    json_decref(list);
}

/* It was verified while the clock was ahead: nobody knows when, so it is due as if it never was. */
static void what_was_verified_at_a_time_to_come_is_due(void **state)
{
    (void)state;
    char begun[] = "";
    struct verify_ages ages;
    json_t *list = json_array();
    json_array_append_new(list, cartridge("A", 1, NOW - 16 * DAY, NOW + 365 * DAY));
    json_array_append_new(list, cartridge("B", 1, NOW + 365 * DAY, NOW + 365 * DAY));
    json_array_append_new(list, cartridge("C", 1, NOW + 365 * DAY, NOW - 1 * DAY));
    json_array_append_new(list, cartridge("D", 1, NOW - 16 * DAY, NOW + 60)); /* as little says nothing */
    verify_ages(list, NOW, EVERY, &ages);
    assert_int_equal(ages.stored, 4);
    assert_int_equal(ages.due, 2);
    assert_int_equal(ages.late, 0);
    assert_int_equal(ages.oldest, 16 * DAY);
    json_t *due = verify_due(list, NOW, EVERY, is_begun, begun);
    assert_int_equal(json_array_size(due), 2);
    assert_string_equal(json_string_value(json_array_get(due, 0)), "A");
    assert_string_equal(json_string_value(json_array_get(due, 1)), "B");
    json_decref(due);
    json_decref(list);
}

/* A cartridge that was blank for a year is not late an hour after its first write. */
static void what_was_never_verified_is_as_old_as_its_first_write(void **state)
{
    (void)state;
    struct verify_ages ages;
    json_t *list = json_array();
    json_array_append_new(list, cartridge("A", 1, NOW - 365 * DAY, 0));
    json_object_set_new(json_array_get(list, 0), "first_written", json_integer((json_int_t)(NOW - 3600)));
    verify_ages(list, NOW, EVERY, &ages);
    assert_int_equal(ages.stored, 1);
    assert_int_equal(ages.due + ages.late, 0);
    assert_int_equal(ages.oldest, 3600);
    verify_ages(list, NOW + 31 * DAY, EVERY, &ages);
    assert_int_equal(ages.late, 1);
    json_decref(list);
}

/* What is begun, and how far it is. */
struct reader {
    char first[16];
    uint64_t done, read;
};

/* A day's budget is read, of those that are due, in order. */
static void read_for_a_day(struct reader *r, json_t *list, uint64_t now, uint64_t budget)
{
    json_t *due = verify_due(list, now, EVERY, is_begun, r->first);
    for (size_t i = 0; i < json_array_size(due) && budget; i++) {
        const char *barcode = json_string_value(json_array_get(due, i));
        json_t *c = json_array_get(list, (size_t)strtoul(barcode + 1, NULL, 10));
        uint64_t whole = (uint64_t)json_integer_value(json_object_get(c, "stored_bytes"));
        uint64_t done = strcmp(r->first, barcode) ? 0 : r->done, n = whole - done < budget ? whole - done : budget;
        budget -= n;
        r->read += n;
        r->done = done + n;
        (void)snprintf(r->first, sizeof(r->first), "%s", r->done < whole ? barcode : "");
        if (r->done == whole)
            json_object_set_new(c, "verified", json_integer((json_int_t)now));
    }
    json_decref(due);
}

/* 10 TB in 200 cartridges of 10 to 90 GB, and a budget that would read it all in 15 days: over more than a year none waits for
 * longer than 30 days, and none is read oftener than every 15. */
static void all_of_ten_terabytes_is_verified_in_time(void **state)
{
    (void)state;
    enum { N = 200, DAYS = 400 };
    const uint64_t gb = 1000000000, all = 10000 * gb;
    struct reader r = {.first = ""};
    uint64_t worst = 0;
    char name[16];
    json_t *list = json_array();
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "T%04u", i);
        json_array_append_new(list, cartridge(name, (10 + i * 37 % 81) * gb, NOW + (i < 150 ? 0 : i - 150) * DAY, 0));
    }
    for (uint64_t day = 0; day < DAYS; day++) {
        struct verify_ages ages;
        verify_ages(list, NOW + day * DAY, EVERY, &ages);
        worst = ages.oldest > worst ? ages.oldest : worst;
        read_for_a_day(&r, list, NOW + day * DAY, all / 15);
    }
    assert_in_range(worst, EVERY / 2, EVERY);
    assert_in_range(r.read, DAYS / 30 * all - all, DAYS / 15 * all);
    json_decref(list);
}

/* A state_dir of its own; its path stays the configuration's. */
static void begin_state(struct vtl_config *cfg, char dir[])
{
    *cfg = (struct vtl_config){.library.state_dir = dir};
    assert_non_null(mkdtemp(dir));
}

static void end_state(const char *dir)
{
    static const char *const names[] = {"/verify/.spent.lock", "/verify/.spent", "/verify"};
    char path[100];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", dir, names[i]);
        (void)remove(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

static uint64_t spend(const struct vtl_config *cfg, uint64_t more)
{
    uint64_t all = 0;
    struct errtext err = {""};
    assert_int_equal(verify_spend(cfg, more, &all, &err), 0);
    assert_string_equal(err.text, "");
    return all;
}

static void what_was_spent_counts_for_its_day_only(void **state)
{
    (void)state;
    char dir[] = "/tmp/s3vtl-due-XXXXXX", path[100];
    struct vtl_config cfg;
    begin_state(&cfg, dir);
    assert_int_equal(verify_spent(&cfg), 0);
    assert_int_equal(spend(&cfg, 5000000000), 5000000000);
    assert_int_equal(verify_spent(&cfg), 5000000000);
    assert_int_equal(spend(&cfg, 7), 5000000007);
    (void)snprintf(path, sizeof(path), "%s/verify/.spent", dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "20200101 77\n");
    (void)fclose(f);
    assert_int_equal(verify_spent(&cfg), 0);
    assert_int_equal(spend(&cfg, 5), 5); /* by a run that goes on over midnight */
    assert_int_equal(verify_spent(&cfg), 5);
    end_state(dir);
}

/* Else each run would begin with nothing spent. */
static void what_was_spent_and_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    char dir[] = "/tmp/s3vtl-due-XXXXXX", path[100];
    struct vtl_config cfg;
    struct errtext err = {""};
    uint64_t all = 0;
    begin_state(&cfg, dir);
    assert_int_equal(spend(&cfg, 5), 5);
    (void)snprintf(path, sizeof(path), "%s/verify/.spent.new", dir); /* whoever is root may write anywhere but here */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(verify_spend(&cfg, 7, &all, &err), -EISDIR);
    assert_non_null(strstr(err.text, "/verify/.spent.new: what of the budget is spent cannot be written: "));
    assert_int_equal(all, 12);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof(path), "%s/verify/.spent.lock", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(verify_spend(&cfg, 7, &all, &err), -EISDIR);
    assert_non_null(strstr(err.text, "/verify/.spent.lock: "));
    assert_int_equal(verify_spent(&cfg), 5);
    end_state(dir);
}

enum { SPENDERS = 4, TIMES = 200 };

static void *spend_often(void *arg)
{
    uint64_t all;
    for (int i = 0; i < TIMES; i++)
        if (verify_spend(arg, 3, &all, NULL))
            return arg;
    return NULL;
}

/* One that serve began, and one by hand. */
static void what_several_spend_at_once_is_added_up(void **state)
{
    (void)state;
    char dir[] = "/tmp/s3vtl-due-XXXXXX";
    struct vtl_config cfg;
    pthread_t threads[SPENDERS];
    void *bad = NULL;
    begin_state(&cfg, dir);
    for (size_t i = 0; i < SPENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend_often, &cfg), 0);
    for (size_t i = 0; i < SPENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    assert_int_equal(verify_spent(&cfg), 3 * SPENDERS * TIMES);
    end_state(dir);
}

static void of_nothing_nothing_is_due(void **state)
{
    (void)state;
    char begun[] = "A";
    struct verify_ages ages;
    json_t *due = verify_due(NULL, NOW, EVERY, is_begun, begun);
    assert_int_equal(json_array_size(due), 0);
    json_decref(due);
    verify_ages(NULL, NOW, EVERY, &ages);
    assert_int_equal(ages.stored, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_verified_at_a_time_to_come_is_due),
        cmocka_unit_test(what_was_never_verified_is_as_old_as_its_first_write),
        cmocka_unit_test(those_that_were_begun_come_first_then_the_longest_ago),
        cmocka_unit_test(all_of_ten_terabytes_is_verified_in_time),
        cmocka_unit_test(what_was_spent_counts_for_its_day_only),
        cmocka_unit_test(what_was_spent_and_cannot_be_written_is_an_error),
        cmocka_unit_test(what_several_spend_at_once_is_added_up),
        cmocka_unit_test(of_nothing_nothing_is_due),
    };
    return cmocka_run_group_tests_name("verify_due", tests, NULL, NULL);
}
