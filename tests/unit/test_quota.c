/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_quota.c: a limit of what the store holds: tapes end before it, and what is cut makes room. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "base/clock.h"
#include "vtl/library/library_private.h"

#define DEADLINE_MS 30000
#define MIB (1u << 20)

/* What is acknowledged counts once it is in the spool: without a buffer that is at once, however slow the machine is. */
static struct vtl_config *with(const char *quota)
{
    char more[200];
    (void)snprintf(more, sizeof(more), "write_buffer = 0\n[quota]\n%s\n", quota);
    return config_more("one", "local", "64M", more);
}

/* ---- rules ---- */

static void the_tightest_rule_that_matches_holds(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 1G\npools = PBS*:100M WEEK*:1T");
    struct quota q = {.n = 0};
    _Atomic uint64_t pbs = 0, week = 0;
    quota_init(&q, c);
    uint32_t of_pbs = quota_rules(&q, "PBS001L8", &pbs), of_week = quota_rules(&q, "WEEK01L8", &week);
    assert_int_equal(of_pbs, 3);
    assert_int_equal(of_week, 5);
    assert_int_equal(quota_left(&q, of_pbs).left, 100 * MIB);
    assert_int_equal(quota_left(&q, of_week).left, 1024ull * MIB);
    assert_int_equal(quota_left(&q, 0).left, UINT64_MAX);
    quota_written(&q, of_pbs, 90 * MIB);
    assert_int_equal(quota_left(&q, of_pbs).left, 10 * MIB);
    assert_int_equal(quota_left(&q, of_pbs).margin, 100 * MIB / 8);
    assert_int_equal(quota_left(&q, of_week).left, 934ull * MIB);
    assert_int_equal(quota_left(&q, of_week).margin, 0);
    quota_cut_begin(&q, of_pbs, 80 * MIB);
    assert_int_equal(quota_left(&q, of_pbs).left, 90 * MIB);
    quota_cut_end(&q);
    assert_int_equal(quota_left(&q, of_pbs).left, 90 * MIB);
    quota_fini(&q);
    config_free(c);
}

/* What is written while somebody counts is in the count or in what is added to it, and not lost. */
static void a_count_takes_only_what_was_written_before_it(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 1G");
    struct quota q = {.n = 0};
    struct quota_count count;
    struct quota_rule r;
    quota_init(&q, c);
    quota_written(&q, 1, 5 * MIB);
    quota_count_begin(&q, &count);
    quota_written(&q, 1, 3 * MIB);
    count.used[0] = 4 * MIB; /* of the five: it was compressed */
    assert_true(quota_count_end(&q, &count, true));
    assert_true(quota_get(&q, 0, &r));
    assert_int_equal(r.used, 4 * MIB);
    assert_int_equal(quota_left(&q, 1).left, 1024ull * MIB - 7 * MIB);
    struct vtl_config *more = with("library = 2G\npools = A*:1G");
    quota_count_begin(&q, &count);
    quota_take(&q, more);
    assert_false(quota_count_end(&q, &count, true)); /* of other rules: it says nothing */
    assert_int_equal(quota_left(&q, 1).left, 2048ull * MIB - 7 * MIB);
    assert_true(quota_get(&q, 1, &r));
    assert_false(r.counted);
    assert_false(quota_get(&q, 2, &r));
    quota_fini(&q);
    config_free(more);
    config_free(c);
}

/* It may have what is cut, or not: taken twice, a tape that is written over would be full before its first block. */
static void a_count_beside_a_cut_is_not_taken(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 1G");
    struct quota q = {.n = 0};
    struct quota_count count;
    quota_init(&q, c);
    quota_written(&q, 1, 900 * MIB);
    quota_count_begin(&q, &count);
    count.used[0] = 900 * MIB;
    assert_true(quota_count_end(&q, &count, true));
    for (int begins_before = 0; begins_before < 2; begins_before++) {
        if (begins_before)
            quota_count_begin(&q, &count);
        quota_cut_begin(&q, 1, 100 * MIB);
        if (!begins_before)
            quota_count_begin(&q, &count);
        count.used[0] = 900 * MIB;
        if (begins_before)
            quota_cut_end(&q);
        assert_false(quota_count_end(&q, &count, false));
        if (!begins_before)
            quota_cut_end(&q);
        assert_int_equal(quota_left(&q, 1).left, (224 + 100 * (unsigned)begins_before) * MIB);
    }
    quota_count_begin(&q, &count);
    count.used[0] = 700 * MIB;
    assert_true(quota_count_end(&q, &count, true));
    assert_int_equal(quota_left(&q, 1).left, 324 * MIB);
    quota_fini(&q);
    config_free(c);
}

/* What is written beside it counts twice until the next: a little may, and much if drives never pause. */
static void a_count_beside_much_that_is_written_is_made_again(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 1G"); /* 128 MiB are kept back */
    struct quota q = {.n = 0};
    struct quota_count count;
    quota_init(&q, c);
    quota_count_begin(&q, &count);
    quota_written(&q, 1, 17 * MIB);
    count.used[0] = 17 * MIB;
    assert_false(quota_count_end(&q, &count, true));
    assert_int_equal(quota_left(&q, 1).left, 1007 * MIB);
    quota_count_begin(&q, &count);
    quota_written(&q, 1, 16 * MIB);
    count.used[0] = 17 * MIB;
    assert_true(quota_count_end(&q, &count, true));
    assert_int_equal(quota_left(&q, 1).left, 991 * MIB);
    quota_count_begin(&q, &count);
    quota_written(&q, 1, 20 * MIB);
    count.used[0] = 33 * MIB;
    assert_true(quota_count_end(&q, &count, false));
    assert_int_equal(quota_left(&q, 1).left, 971 * MIB);
    quota_fini(&q);
    config_free(c);
}

static void what_is_kept_back_is_never_most_of_a_quota(void **state)
{
    (void)state;
    assert_int_equal(quota_margin(16 * MIB), 2 * MIB);
    assert_int_equal(quota_margin(100ull << 30), 2ull << 30);
    assert_int_equal(quota_margin(20ull << 30), 1ull << 30);
    assert_int_equal(quota_margin(20ull << 40), 16ull << 30);
}

/* ---- tapes ---- */

static void fill_all(void)
{
    uint64_t x = 88172645463325252u;
    for (uint32_t i = 0; i < sizeof(block); i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(block + i, &x, 8);
    }
}

/* Blocks of 1 MiB until the result is another; the number of those that were written. */
static unsigned write_noise(void *d, enum tape_result goes, enum tape_result *ends)
{
    unsigned n = 0;
    fill_all();
    for (; n < 100; n++) {
        memcpy(block, &n, sizeof(n));
        *ends = library_drive_ops()->write(d, block, MIB, true, NULL, &never);
        if (*ends != goes)
            break;
    }
    return n;
}

static struct library *two_tapes(const struct vtl_config *c)
{
    struct library *lib = new_library(c, "PBS001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "PBS002L8", "capacity", 0)));
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "OTH001L8", "capacity", 0)));
    return lib;
}

static void a_job_is_warned_and_has_room_to_end_and_no_tape_is_begun_behind_it(void **state)
{
    (void)state;
    struct vtl_config *c = with("pools = PBS*:16M");
    struct library *lib = two_tapes(c);
    enum tape_result ends;
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    unsigned n = write_noise(d, TAPE_OK, &ends);
    assert_int_equal(ends, TAPE_EARLY_WARNING);
    assert_in_range(n, 12, 14);
    n += 1 + write_noise(d, TAPE_EARLY_WARNING, &ends);
    assert_int_equal(ends, TAPE_OVERFLOW);
    assert_in_range(n, 15, 16);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT + 1, DRIVE); /* a blank one stays blank */
    assert_int_equal(write_noise(d, TAPE_OK, &ends), 0);
    assert_int_equal(ends, TAPE_OVERFLOW);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OVERFLOW);
    move(lib, DRIVE, SLOT + 1);
    move(lib, SLOT + 2, DRIVE); /* and another pool goes on */
    assert_int_equal(write_noise(d, TAPE_OK, &ends), 100);
    close_library(lib);
    config_free(c);
}

static void an_overwrite_makes_room_at_once(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 16M");
    struct library *lib = two_tapes(c);
    enum tape_result ends;
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_noise(d, TAPE_OK, &ends) >= 12, true);
    (void)write_noise(d, TAPE_EARLY_WARNING, &ends);
    assert_int_equal(ends, TAPE_OVERFLOW);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    assert_in_range(write_noise(d, TAPE_OK, &ends), 12, 14);
    assert_int_equal(ends, TAPE_EARLY_WARNING);
    assert_int_equal(library_drive_ops()->format(d, &never), TAPE_OK);
    assert_in_range(write_noise(d, TAPE_OK, &ends), 12, 14);
    assert_int_equal(ends, TAPE_EARLY_WARNING);
    close_library(lib);
    config_free(c);
}

/* A gateway that starts knows what is there before the first WRITE. */
static void it_holds_after_a_start_too(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 16M");
    struct library *lib = two_tapes(c);
    enum tape_result ends;
    move(lib, SLOT, DRIVE);
    (void)write_noise(library_drive(lib, 0), TAPE_OK, &ends);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    lib = open_library(c);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_noise(library_drive(lib, 0), TAPE_OK, &ends), 0);
    assert_int_equal(ends, TAPE_OVERFLOW);
    move(lib, DRIVE, SLOT + 1);
    config_free(with("library = 64M"));
    json_decref(call(lib, json_pack("{s:s}", "op", "reload")));
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_noise(library_drive(lib, 0), TAPE_OK, &ends) > 30, true);
    close_library(lib);
    config_free(c);
}

static json_t *first_quota(struct library *lib)
{
    uint64_t until = clock_ms() + DEADLINE_MS;
    for (;;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        json_t *j = call(lib, json_pack("{s:s}", "op", "status"));
        json_t *q = json_incref(json_array_get(json_object_get(j, "quotas"), 0));
        json_decref(j);
        if (q && json_integer_value(json_object_get(q, "used_bytes")))
            return q;
        json_decref(q);
        assert_true(clock_ms() < until);
        progress_wait(&lib->eng.progress, seen, 100);
    }
}

static void the_day_on_which_it_is_full_is_foretold_from_its_growth(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 64M");
    struct library *lib = two_tapes(c);
    char days[100];
    uint64_t today = engine_time() / 86400;
    (void)snprintf(days, sizeof(days), "{\"*\":[[%llu,0]]}", (unsigned long long)today - 10);
    assert_int_equal(db_meta_set(lib->eng.db, "quota_used_by_day", days), 0);
    move(lib, SLOT, DRIVE);
    fill_all();
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(library_drive_ops()->write(library_drive(lib, 0), block, MIB, true, NULL, &never), TAPE_OK);
    move(lib, DRIVE, SLOT);
    json_t *q = first_quota(lib);
    json_int_t used = json_integer_value(json_object_get(q, "used_bytes")), on;
    assert_in_range(used, 16 * MIB, 17 * MIB);
    assert_int_equal(json_integer_value(json_object_get(q, "left_bytes")), 64 * MIB - used);
    assert_false(json_is_true(json_object_get(q, "near")));
    on = json_integer_value(json_object_get(q, "full_on")) - (json_int_t)engine_time();
    assert_in_range(on, 29 * 86400, 34 * 86400); /* 16 MiB in 10 or 11 days, so the other 48 in three times that */
    json_decref(q);
    close_library(lib);
    config_free(c);
}

/* ---- which days are noted ---- */

static void set_days(const struct vtl_config *c, const char *days)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    assert_int_equal(library_open(c, 0, &lib, &err), 0);
    assert_int_equal(db_meta_set(lib->eng.db, "quota_used_by_day", days), 0);
    close_library(lib);
}

/* Of the library's quota, once the i-th day of it is that one. */
static json_t *await_day(struct library *lib, size_t i, json_int_t day)
{
    uint64_t until = clock_ms() + DEADLINE_MS;
    for (;;) {
        char text[4096];
        uint64_t seen = progress_now(&lib->eng.progress);
        assert_int_equal(db_meta_get(lib->eng.db, "quota_used_by_day", text, sizeof(text)), 0);
        json_t *all = json_loads(text, 0, NULL), *list = json_incref(json_object_get(all, "*"));
        json_decref(all);
        if (json_integer_value(json_array_get(json_array_get(list, i), 0)) == day)
            return list;
        json_decref(list);
        assert_true(clock_ms() < until);
        progress_wait(&lib->eng.progress, seen, 100);
    }
}

/* As a clock that was a year ahead noted it: until then no other day would be. */
static void a_day_to_come_hinders_no_other(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 64M");
    close_library(two_tapes(c));
    char days[200];
    json_int_t today = (json_int_t)(engine_time() / 86400);
    (void)snprintf(days, sizeof(days), "{\"*\":[[%lld,5],[%lld,7]]}", (long long)today - 10, (long long)today + 365);
    set_days(c, days);
    struct library *lib = open_library(c);
    json_t *list = await_day(lib, 1, today);
    assert_int_equal(json_array_size(list), 3);
    json_decref(list);
    close_library(lib);
    config_free(c);
}

/* With as many days as are kept the one to come goes, and no other. */
static void a_day_to_come_is_the_first_to_go(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 64M");
    close_library(two_tapes(c));
    json_int_t today = (json_int_t)(engine_time() / 86400);
    json_t *list = json_array(), *all = json_pack("{s:o}", "*", list);
    for (json_int_t i = 30; i > 0; i--)
        json_array_append_new(list, json_pack("[I, i]", today - i, 5));
    json_array_append_new(list, json_pack("[I, i]", today + 365, 5));
    char *days = json_dumps(all, 0);
    set_days(c, days);
    free(days);
    json_decref(all);
    struct library *lib = open_library(c);
    list = await_day(lib, 30, today);
    assert_int_equal(json_array_size(list), 31);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(list, 0), 0)), today - 30);
    json_decref(list);
    close_library(lib);
    config_free(c);
}

static atomic_uint n_unread, reads_fail;

int __real_db_meta_get(struct db *db, const char *key, char *buf, size_t room);
int __wrap_db_meta_get(struct db *db, const char *key, char *buf, size_t room);
int __wrap_db_meta_get(struct db *db, const char *key, char *buf, size_t room)
{
    if (!atomic_load(&reads_fail) || strcmp(key, "quota_used_by_day") != 0)
        return __real_db_meta_get(db, key, buf, room);
    atomic_fetch_add(&n_unread, 1);
    return -EIO;
}

/* What cannot be read now is not written over. */
static void days_that_cannot_be_read_stay(void **state)
{
    (void)state;
    struct vtl_config *c = with("library = 64M");
    close_library(two_tapes(c));
    const char days[] = "{\"*\":[[17,5]]}";
    char now[200];
    set_days(c, days);
    atomic_store(&reads_fail, 1);
    struct library *lib = open_library(c);
    uint64_t until = clock_ms() + DEADLINE_MS;
    for (uint64_t seen = progress_now(&lib->eng.progress); !atomic_load(&n_unread);
         seen = progress_now(&lib->eng.progress)) {
        assert_true(clock_ms() < until);
        progress_wait(&lib->eng.progress, seen, 50);
    }
    close_library(lib); /* which ends that thread, whatever it does */
    atomic_store(&reads_fail, 0);
    struct errtext err = {""};
    assert_int_equal(library_open(c, 0, &lib, &err), 0);
    assert_int_equal(db_meta_get(lib->eng.db, "quota_used_by_day", now, sizeof(now)), 0);
    assert_string_equal(now, days);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_tightest_rule_that_matches_holds),
        T(a_count_takes_only_what_was_written_before_it),
        T(a_count_beside_a_cut_is_not_taken),
        T(a_count_beside_much_that_is_written_is_made_again),
        T(what_is_kept_back_is_never_most_of_a_quota),
        T(a_job_is_warned_and_has_room_to_end_and_no_tape_is_begun_behind_it),
        T(an_overwrite_makes_room_at_once),
        T(it_holds_after_a_start_too),
        T(the_day_on_which_it_is_full_is_foretold_from_its_growth),
        T(a_day_to_come_hinders_no_other),
        T(a_day_to_come_is_the_first_to_go),
        T(days_that_cannot_be_read_stay),
    };
    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
