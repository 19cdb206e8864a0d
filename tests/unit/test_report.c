/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_report.c: the report says who wrote what and how safe it is, and its exit status is that of what it says. */
#include "tests/unit/library_rig.h"

#include "vtl/cmd/report_judge.h"
#include "vtl/library/library_private.h"
#include "vtl/state/db.h"

enum { NOW = 2000000, AGE = 3600 };

/* ---- how bad it is ---- */

/* A library that serves, with one cartridge that is well. */
static json_t *good(void)
{
    json_t *c = json_pack("{s:s, s:i, s:b, s:b, s:n}", "barcode", "AAA001L8", "local_only_bytes", 0, "fenced", 0,
                          "lost", 0, "trouble");
    return json_pack("{s:i, s:i, s:b, s:{s:n, s:i}, s:[o], s:[], s:[], s:i, s:i}", "now", NOW, "since", NOW - 86400,
                     "serving", 1, "store", "trouble", "since_ms", 0, "cartridges", c, "written", "happenings",
                     "local_only_bytes", 0, "accepted_bytes", 7);
}

static json_t *of_cartridge(json_t *r)
{
    return json_array_get(json_object_get(r, "cartridges"), 0);
}

static void happens(json_t *r, const char *event, json_int_t ended)
{
    json_array_append_new(json_object_get(r, "happenings"),
                          json_pack("{s:s, s:s, s:i, s:o}", "event", event, "text", "text of it", "began", NOW - 500,
                                    "ended", ended ? json_integer(ended) : json_null()));
}

/* Takes over r. */
static void expect(json_t *r, enum report_level want, const char *words)
{
    char line[1000], head[40];
    enum report_level level = report_judge(r, AGE, line, sizeof(line));
    (void)snprintf(head, sizeof(head), "S3VTL %s - ", report_level_name(want));
    if (level != want || strncmp(line, head, strlen(head)) != 0 || !strstr(line, words) || strpbrk(line, "\n|"))
        fail_msg("%d, not %d with \"%s\": %s", (int)level, (int)want, words, line);
    json_decref(r);
}

static void set(json_t *r, const char *key, json_t *value)
{
    json_object_set_new(r, key, value);
}

static void all_is_well(void **state)
{
    (void)state;
    expect(good(), REPORT_OK, "nothing written, all accepted by the store");
    json_t *r = good();
    json_array_append_new(json_object_get(r, "written"),
                          json_pack("{s:s, s:s, s:i, s:i, s:b}", "barcode", "AAA001L8", "host", "iqn.a:b", "bytes",
                                    5000, "accepted", NOW, "in_library", 1));
    expect(r, REPORT_OK, "1 cartridge written, 5 kB, by 1 host, all accepted by the store");
}

/* As a store that tells has it. */
static json_t *with_health(double health, json_int_t weak, const char *severity)
{
    json_t *r = good();
    set(of_cartridge(r), "health", json_real(health));
    set(of_cartridge(r), "weak_objects", json_integer(weak));
    set(json_object_get(r, "store"), "health",
        json_pack("{s:[{s:s, s:s}]}", "findings", "severity", severity, "text", "words of it"));
    return r;
}

static void low_health_in_the_store_is_a_warning_and_too_few_hosts_are_critical(void **state)
{
    (void)state;
    expect(with_health(0.25, 3, "warning"), REPORT_WARNING, "words of it; low in health in the store: AAA001L8");
    expect(with_health(-0.5, 1, "warning"), REPORT_CRITICAL, "with too few hosts in the store to be read: AAA001L8");
    expect(with_health(0.75, 0, "critical"), REPORT_CRITICAL, "CRITICAL - words of it; ");
}

static void what_cannot_be_made_good_is_critical(void **state)
{
    (void)state;
    static const struct {
        const char *key, *words;
    } cases[] = {{"lost_objects", "damaged: AAA001L8"},
                 {"fenced", "fenced (another gateway owns it): AAA001L8"},
                 {"lost", "lost in the spool: AAA001L8"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *r = good();
        set(of_cartridge(r), cases[i].key, i ? json_true() : json_integer(2));
        set(of_cartridge(r), "trouble", json_string("words|of it\nin two lines"));
        expect(r, REPORT_CRITICAL, cases[i].words);
    }
    json_t *r = good();
    happens(r, "write-lost", NOW - 500);
    expect(r, REPORT_CRITICAL, "lost: text of it");
}

static void nobody_who_serves_is_critical_with_a_backlog_and_a_warning_without(void **state)
{
    (void)state;
    json_t *r = good();
    set(r, "serving", json_false());
    set(r, "local_only_bytes", json_integer(9000000));
    expect(r, REPORT_CRITICAL, "NOT SERVING, and 9 MB only on this disk");
    r = good();
    set(r, "serving", json_false());
    expect(r, REPORT_WARNING, "NOT SERVING; nothing written");
}

static void a_backlog_is_a_warning_once_it_is_old(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        json_t *r = good();
        set(r, "local_only_bytes", json_integer(9000000));
        set(of_cartridge(r), "local_only_bytes", json_integer(9000000));
        set(of_cartridge(r), "backlog_since", json_integer(NOW - AGE - old));
        expect(r, old ? REPORT_WARNING : REPORT_OK,
               old ? "only on this disk for too long: AAA001L8" : "9 MB only on this disk");
    }
}

static void an_escrow_that_is_too_old_is_a_warning(void **state)
{
    (void)state;
    json_t *r = good();
    set(r, "escrow", json_pack("{s:i, s:n}", "created", NOW - 100, "trouble"));
    expect(r, REPORT_OK, "nothing written");
    r = good();
    set(r, "escrow", json_pack("{s:i, s:s}", "created", NOW - 100, "trouble", "the newest escrow is old"));
    expect(r, REPORT_WARNING, "the newest escrow is old; nothing written");
}

static void trouble_is_a_warning_while_it_lasts_and_when_it_is_over(void **state)
{
    (void)state;
    json_t *r = good();
    set(json_object_get(r, "store"), "trouble", json_string("PUT: 503"));
    set(json_object_get(r, "store"), "since_ms", json_integer(90000));
    expect(r, REPORT_WARNING, "the store is in trouble, for 90 s");
    r = good();
    happens(r, "store-down", NOW - 100);
    happens(r, "disk-filling", NOW - 100);
    expect(r, REPORT_WARNING, "trouble that is over: store-down and 1 more");
    r = good();
    set(r, "locks", json_pack("{s:s}", "object_lock_trouble", "AccessDenied"));
    expect(r, REPORT_WARNING, "the store does not lock what is to be locked: AccessDenied");
    r = good();
    set(of_cartridge(r), "trouble", json_string("why"));
    expect(r, REPORT_WARNING, "in trouble: AAA001L8");
    r = good();
    set(r, "warning", json_string("a copy of it runs"));
    expect(r, REPORT_WARNING, "a copy of it runs");
    r = good();
    set(r, "damaged_records", json_integer(1));
    expect(r, REPORT_WARNING, "1 records of this report are damaged");
}

/* Where the happening is all that tells of it. */
static void what_goes_on_is_a_warning_before_it_is_over_too(void **state)
{
    (void)state;
    static const char *const kinds[] = {"disk-filling", "quota-near", "blanks-few", "verify-late"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        json_t *r = good();
        happens(r, kinds[i], 0);
        expect(r, REPORT_WARNING, "WARNING - text of it; nothing written");
    }
}

/* The cartridge, the store and the escrow say more, and what they do not say any more is as good as over. */
static void what_is_said_elsewhere_is_not_said_twice(void **state)
{
    (void)state;
    static const char *const kinds[] = {"store-down", "backlog-old", "damage",         "fenced",    "spool-lost",
                                        "health-low", "no-answer",   "service-unwell", "escrow-old"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        json_t *r = good();
        happens(r, kinds[i], 0);
        expect(r, REPORT_OK, "OK - nothing written");
    }
}

static void the_worst_comes_first_and_few_are_named(void **state)
{
    (void)state;
    json_t *r = good();
    set(json_object_get(r, "store"), "trouble", json_string("PUT: 503"));
    for (int i = 0; i < 5; i++) {
        char barcode[24];
        (void)snprintf(barcode, sizeof(barcode), "DAM00%dL8", i);
        json_array_append_new(json_object_get(r, "cartridges"),
                              json_pack("{s:s, s:i}", "barcode", barcode, "lost_objects", 1));
    }
    expect(r, REPORT_CRITICAL, "CRITICAL - damaged: DAM000L8, DAM001L8, DAM002L8 and 2 more; the store is in trouble");
}

/* ---- what was written ---- */

static json_t *report(struct library *lib)
{
    return call(lib, json_pack("{s:s, s:i}", "op", "report", "since", 1));
}

static json_int_t number_of(struct library *lib, size_t row, const char *key)
{
    json_t *r = report(lib);
    json_t *w = json_array_get(json_object_get(r, "written"), row);
    json_int_t n = json_integer_value(json_object_get(w, key));
    json_decref(r);
    return n;
}

static size_t rows(struct library *lib)
{
    json_t *r = report(lib);
    size_t n = json_array_size(json_object_get(r, "written"));
    json_decref(r);
    return n;
}

static void write_some(void *d, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(write_id(d, (uint64_t)i + 1), TAPE_OK);
}

static void a_sync_keeps_what_was_written_by_whom_and_no_write_does(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "WHO001L8");
    const struct tape_ops *ops = library_drive_ops();
    void *d = library_drive(lib, 0);
    uint64_t bytes = 0;
    for (uint64_t i = 1; i <= 9; i++)
        bytes += length_of(i);
    move(lib, SLOT, DRIVE);
    ops->written_by(d, "iqn.1993-08.org.debian:pbs", "192.0.2.7");
    write_some(d, 2);
    assert_int_equal(rows(lib), 0);
    assert_int_equal(ops->write_filemarks(d, 1, false, &never), TAPE_OK);
    assert_int_equal(rows(lib), 1);
    assert_int_equal(ops->rewind(d, &never), TAPE_OK);
    write_some(d, 9);
    assert_int_equal(ops->write_filemarks(d, 1, false, &never), TAPE_OK);
    assert_int_equal(rows(lib), 1);
    assert_int_equal(number_of(lib, 0, "bytes"), length_of(1) + length_of(2) + bytes);
    json_t *r = report(lib);
    const json_t *w = json_array_get(json_object_get(r, "written"), 0);
    assert_string_equal(json_string_value(json_object_get(w, "barcode")), "WHO001L8");
    assert_string_equal(json_string_value(json_object_get(w, "host")), "iqn.1993-08.org.debian:pbs");
    assert_string_equal(json_string_value(json_object_get(w, "address")), "192.0.2.7");
    assert_true(json_is_true(json_object_get(w, "in_library")));
    json_decref(r);
    assert_true(number_of(lib, 0, "synced") >= number_of(lib, 0, "began"));
    close_library(lib);
    config_free(c);
}

static void another_host_and_another_mount_are_rows_of_their_own(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "TWO001L8");
    const struct tape_ops *ops = library_drive_ops();
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    ops->written_by(d, "first", "192.0.2.1");
    write_some(d, 1);
    ops->written_by(d, "second", "192.0.2.1"); /* another name, of the same host */
    write_some(d, 3);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    write_some(d, 1);
    move(lib, DRIVE, SLOT);
    assert_int_equal(rows(lib), 3);
    assert_int_equal(number_of(lib, 0, "bytes"), length_of(1));
    assert_int_equal(number_of(lib, 1, "bytes"), length_of(1) + length_of(2) + length_of(3));
    assert_int_equal(number_of(lib, 2, "bytes"), length_of(1));
    close_library(lib);
    config_free(c);
}

/* The store is a directory: its segments cannot be put. */
static void block_store(bool on)
{
    char store[100], away[100];
    (void)snprintf(store, sizeof(store), "%s/store/tapes/ACC001L8/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    if (on) {
        (void)rename(store, away); /* perhaps it is not there yet */
        fclose(fopen(store, "w"));
    } else {
        assert_int_equal(remove(store), 0);
        (void)rename(away, store);
    }
}

static void it_is_accepted_when_a_head_names_all_of_it_though_another_run_wrote_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "ACC001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    flush_remote(lib);
    block_store(true);
    write_some(d, 5);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    assert_true(number_of(lib, 0, "synced") > 0);
    assert_int_equal(number_of(lib, 0, "accepted"), 0);
    close_library(lib);

    struct errtext err = {""};
    assert_int_equal(library_open(c, 0, &lib, &err), 0); /* nobody serves */
    json_t *r = report(lib);
    assert_true(json_is_false(json_object_get(r, "serving")));
    assert_int_equal(json_array_size(json_object_get(r, "written")), 1);
    char line[1000];
    assert_int_equal(report_judge(r, AGE, line, sizeof(line)), REPORT_CRITICAL);
    json_decref(r);
    close_library(lib);

    block_store(false);
    lib = open_library(c);
    flush_remote(lib);
    assert_true(number_of(lib, 0, "accepted") >= number_of(lib, 0, "last_written"));
    write_some(library_drive(lib, 0), 1);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 1, false, &never), TAPE_OK);
    assert_int_equal(rows(lib), 2); /* the new one is not in place of the old one */
    assert_true(number_of(lib, 0, "accepted") + number_of(lib, 1, "accepted") > 0);
    close_library(lib);
    config_free(c);
}

static int take_accepted(void *arg, const struct db_written *w)
{
    *(uint64_t *)arg = w->accepted;
    return 0;
}

static void a_head_that_does_not_name_all_of_it_accepts_nothing(void **state)
{
    (void)state;
    char path[100];
    struct errtext err = {""};
    struct db *db = NULL;
    struct db_written w = {.barcode = "PAR001L8", .began = 5, .last = 5, .bytes = 9};
    struct db_cartridge c = {.barcode = "PAR001L8", .written = &w};
    uint64_t accepted = 1;
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    assert_int_equal(db_open(path, true, &db, &err), 0);
    assert_int_equal(db_cartridge_add(db, &c, 0), 0);
    for (int whole = 0; whole < 2; whole++) {
        c.dirty = !whole;
        assert_int_equal(db_committed(db, &c, NULL, 0, NULL, 0), 0);
        assert_int_equal(db_written(db, 1, take_accepted, &accepted), 0);
        assert_int_equal(accepted != 0, whole);
    }
    db_close(db);
}

static void run_sql(const char *sql)
{
    char path[100];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/one/state.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_true(sqlite3_changes(db) > 0);
    sqlite3_close(db);
}

/* It is in nobody's way: the tape is written and committed all the same. */
static void a_damaged_record_is_told_and_stops_no_sync(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "DAM001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_some(d, 2);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
    json_decref(call(lib, json_pack("{s:s, s:s, s:s, s:i, s:i}", "op", "happened", "event", "store-down", "text", "why",
                                    "began", 5, "ended", 6)));
    close_library(lib);
    run_sql("UPDATE written SET bytes=bytes+1");
    run_sql("UPDATE happening SET ended=999999999999");
    lib = open_library(c);
    json_t *r = report(lib);
    assert_int_equal(json_integer_value(json_object_get(r, "damaged_records")), 2);
    assert_int_equal(json_array_size(json_object_get(r, "written")), 0);
    assert_int_equal(json_array_size(json_object_get(r, "happenings")), 0);
    json_decref(r);
    d = library_drive(lib, 0);
    write_some(d, 2);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
    assert_int_equal(rows(lib), 1);
    assert_true(number_of(lib, 0, "accepted") > 0);
    close_library(lib);
    config_free(c);
}

static void what_happened_is_kept_and_changed_by_its_number(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "HAP001L8");
    json_t *r = call(lib, json_pack("{s:s, s:s, s:s, s:i, s:i}", "op", "happened", "event", "store-down", "text", "why",
                                    "began", 100, "told", 160));
    json_int_t n = json_integer_value(json_object_get(r, "number"));
    assert_true(n > 0);
    json_decref(r);
    json_decref(call(lib, json_pack("{s:s, s:I, s:s, s:s, s:i, s:i, s:i}", "op", "happened", "number", n, "event",
                                    "store-down", "text", "other", "began", 100, "told", 160, "ended", 200)));
    for (int since = 200; since <= 201; since++) {
        r = call(lib, json_pack("{s:s, s:i}", "op", "happenings", "since", since));
        const json_t *list = json_object_get(r, "happenings");
        assert_int_equal(json_array_size(list), since == 200 ? 1 : 0);
        if (since == 200)
            assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "text")), "other");
        json_decref(r);
    }
    struct errtext err = {""};
    json_t *bad = json_pack("{s:s, s:s, s:s, s:i}", "op", "happened", "event", "no-such", "text", "", "began", 5);
    assert_null(library_call(lib, bad, &err));
    assert_string_equal(err.text, "happened: event, text and began are needed");
    json_decref(bad);
    json_decref(call(lib, json_pack("{s:s, s:s, s:s, s:I}", "op", "happened", "event", "store-down", "text", "now",
                                    "began", (json_int_t)engine_time())));
    close_library(lib);
    lib = open_library(c); /* what was over half a year ago is forgotten */
    r = call(lib, json_pack("{s:s, s:i}", "op", "happenings", "since", 1));
    assert_int_equal(json_array_size(json_object_get(r, "happenings")), 1);
    json_decref(r);
    close_library(lib);
    config_free(c);
}

static int count_written(void *arg, const struct db_written *w)
{
    (void)w;
    ++*(unsigned *)arg;
    return 0;
}

static int count_happening(void *arg, const struct db_happening *h)
{
    (void)h;
    ++*(unsigned *)arg;
    return 0;
}

static void expect_history(struct db *db, unsigned written, unsigned happenings)
{
    unsigned n = 0;
    assert_int_equal(db_written(db, 0, count_written, &n), 0);
    assert_int_equal(n, written);
    n = 0;
    assert_int_equal(db_happenings(db, 0, count_happening, &n), 0);
    assert_int_equal(n, happenings);
}

/* It is the last record that tells what is old, where the clock is ahead of it. */
static void a_start_with_a_clock_ahead_forgets_nothing_that_is_new(void **state)
{
    (void)state;
    enum { DAY = 86400, HALF = 180 * DAY };
    char path[100];
    struct errtext err = {""};
    struct db *db = NULL;
    struct db_cartridge c = {.barcode = "FOR001L8", .dirty = true};
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    assert_int_equal(db_open(path, true, &db, &err), 0);
    assert_int_equal(db_cartridge_add(db, &c, 0), 0);
    assert_int_equal(db_history_forget(db, 9ull * HALF, HALF), 0); /* nothing, of nothing */
    for (unsigned i = 0; i < 2; i++) {                             /* the older ones by a day more than half a year */
        uint64_t at = 5ull * HALF + i * (HALF + DAY);
        struct db_written w = {.barcode = "FOR001L8", .began = at, .last = at, .bytes = 9};
        struct db_happening h = {.event = "store-down", .text = "why", .began = at, .ended = at};
        c.written = &w;
        assert_int_equal(db_committed(db, &c, NULL, 0, NULL, 0), 0);
        assert_int_equal(db_happening_put(db, &h), 0);
    }
    assert_int_equal(db_history_forget(db, 5ull * HALF, HALF), 0); /* behind */
    expect_history(db, 2, 2);
    assert_int_equal(db_history_forget(db, 9ull * HALF, HALF), 0);
    expect_history(db, 1, 1);
    assert_int_equal(db_history_forget(db, 9ull * HALF, HALF), 0);
    expect_history(db, 1, 1);
    db_close(db);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_is_well),
        T(low_health_in_the_store_is_a_warning_and_too_few_hosts_are_critical),
        T(what_cannot_be_made_good_is_critical),
        T(nobody_who_serves_is_critical_with_a_backlog_and_a_warning_without),
        T(a_backlog_is_a_warning_once_it_is_old),
        T(an_escrow_that_is_too_old_is_a_warning),
        T(trouble_is_a_warning_while_it_lasts_and_when_it_is_over),
        T(what_goes_on_is_a_warning_before_it_is_over_too),
        T(what_is_said_elsewhere_is_not_said_twice),
        T(the_worst_comes_first_and_few_are_named),
        T(a_sync_keeps_what_was_written_by_whom_and_no_write_does),
        T(another_host_and_another_mount_are_rows_of_their_own),
        T(it_is_accepted_when_a_head_names_all_of_it_though_another_run_wrote_it),
        T(a_head_that_does_not_name_all_of_it_accepts_nothing),
        T(a_damaged_record_is_told_and_stops_no_sync),
        T(what_happened_is_kept_and_changed_by_its_number),
        T(a_start_with_a_clock_ahead_forgets_nothing_that_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
