/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_state.c: the state in SQLite: what a failed call says of itself, and to whom; versions of the state; its files. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "vtl/state/db.h"

#define KNOWN 12 /* version of the state */

struct place {
    char dir[64], path[80];
    struct db *db;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/s3vtl-state-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/state.db", p->dir);
    *state = p;
    return 0;
}

static int make_state(void **state)
{
    make_place(state);
    struct place *p = *state;
    struct errtext err = {""};
    if (db_open(p->path, true, &p->db, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    db_close(p->db);
    unlink(p->path);
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

/* ---- what a failed call says ---- */

/* One barcode in two elements: SQLite refuses it, and the transaction is rolled back. */
static int fill_twice(struct db *db)
{
    static const struct db_element two[] = {{.address = 1024, .barcode = "TWO001L8"},
                                            {.address = 1025, .barcode = "TWO001L8"}};
    return db_elements_set(db, two, 2);
}

static void a_failure_is_told_after_its_rollback(void **state)
{
    struct place *p = *state;
    assert_int_equal(fill_twice(p->db), -EEXIST);
    assert_string_equal(db_error(p->db), "UNIQUE constraint failed: element.barcode");
}

static void a_call_that_succeeds_leaves_no_error(void **state)
{
    struct place *p = *state;
    assert_int_equal(fill_twice(p->db), -EEXIST);
    assert_int_equal(db_meta_set(p->db, "key", "value"), 0);
    assert_string_equal(db_error(p->db), "");
}

struct other {
    struct db *db;
    int rc[3];
    char text[2][100]; /* after the first call, and after the last */
};

static void *succeed_and_fail_otherwise(void *arg)
{
    struct other *o = arg;
    struct db_cartridge c = {.barcode = "SAM001L8"};
    o->rc[0] = db_meta_set(o->db, "key", "value");
    (void)snprintf(o->text[0], sizeof(o->text[0]), "%s", db_error(o->db));
    o->rc[1] = db_cartridge_add(o->db, &c, 0);
    o->rc[2] = db_cartridge_add(o->db, &c, 0);
    (void)snprintf(o->text[1], sizeof(o->text[1]), "%s", db_error(o->db));
    return NULL;
}

static void each_thread_is_told_of_its_own_failure(void **state)
{
    struct place *p = *state;
    struct other o = {.db = p->db};
    pthread_t t;
    assert_int_equal(fill_twice(p->db), -EEXIST);
    assert_int_equal(pthread_create(&t, NULL, succeed_and_fail_otherwise, &o), 0);
    pthread_join(t, NULL);
    assert_int_equal(o.rc[0], 0);
    assert_string_equal(o.text[0], "");
    assert_int_equal(o.rc[1], 0);
    assert_int_equal(o.rc[2], -EEXIST);
    assert_string_equal(o.text[1], "UNIQUE constraint failed: cartridge.barcode");
    assert_string_equal(db_error(p->db), "UNIQUE constraint failed: element.barcode");
}

static int out_of_memory(void *arg, const struct db_element *e)
{
    (void)arg;
    (void)e;
    return -ENOMEM;
}

static void a_failure_that_is_not_of_sqlite_is_told_too(void **state)
{
    struct place *p = *state;
    static const struct db_element one = {.address = 1024, .barcode = "ONE001L8"};
    assert_int_equal(db_elements_set(p->db, &one, 1), 0);
    assert_int_equal(db_elements(p->db, out_of_memory, NULL), -ENOMEM);
    assert_string_equal(db_error(p->db), strerror(ENOMEM));
}

/* ---- versions ---- */

static void run_sql(const struct place *p, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int ask_sql(const struct place *p, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* Which an older state has not, and which would name columns that are dropped. */
static void drop_triggers(const struct place *p)
{
    static const char *const tables[] = {"element", "cartridge", "segment", "map", "garbage"};
    static const char *const names[] = {"made", "changing", "changed", "summed", "gone"};
    char sql[100];
    for (size_t i = 0; i < 25; i++) {
        (void)snprintf(sql, sizeof(sql), "DROP TRIGGER IF EXISTS %s_%s", tables[i / 5], names[i % 5]);
        run_sql(p, sql);
    }
}

static void reopen(struct place *p)
{
    struct errtext err = {""};
    db_close(p->db);
    if (db_open(p->path, false, &p->db, &err))
        fail_msg("%s", err.text);
}

static void close_state(struct place *p)
{
    db_close(p->db);
    p->db = NULL;
}

static char *content(const char *path, size_t *len)
{
    char *buf = calloc(1, 1 << 20);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    *len = fread(buf, 1, 1 << 20, f);
    fclose(f);
    return buf;
}

static void a_newer_state_is_refused_and_left_as_it_is(void **state)
{
    struct place *p = *state;
    struct errtext err = {""};
    char want[300];
    size_t len, now;
    close_state(p);
    run_sql(p, "PRAGMA journal_mode=DELETE; DROP TABLE garbage; PRAGMA user_version=77");
    char *before = content(p->path, &len);
    assert_int_equal(db_open(p->path, true, &p->db, &err), -EINVAL);
    assert_null(p->db);
    (void)snprintf(want, sizeof(want),
                   "%s is of a newer s3vtl: state version 77, this one knows up to %d: install that s3vtl again",
                   p->path, KNOWN);
    assert_string_equal(err.text, want);
    char *after = content(p->path, &now);
    assert_int_equal(now, len);
    assert_memory_equal(after, before, len);
    free(before);
    free(after);
}

static void a_new_state_has_the_version_that_is_known(void **state)
{
    struct place *p = *state;
    assert_int_equal(ask_sql(p, "PRAGMA user_version"), KNOWN);
}

/* Version 1 was also stamped on states that lack what came later. */
static void an_older_state_is_brought_up_to_date(void **state)
{
    struct place *p = *state;
    struct db_cartridge c = {.barcode = "OLD001L8"};
    assert_int_equal(db_cartridge_add(p->db, &c, 1024), 0);
    close_state(p);
    drop_triggers(p);
    run_sql(p, "ALTER TABLE cartridge DROP COLUMN full_capacity; ALTER TABLE cartridge DROP COLUMN rebuilt;"
               " ALTER TABLE segment DROP COLUMN crc; ALTER TABLE map DROP COLUMN crc;"
               " PRAGMA user_version=1");
    reopen(p);
    c.full_capacity = 12;
    assert_int_equal(db_cartridge_update(p->db, &c), 0);
    assert_int_equal(ask_sql(p, "PRAGMA user_version"), KNOWN);
    assert_int_equal(ask_sql(p, "SELECT full_capacity FROM cartridge WHERE barcode='OLD001L8'"), 12);
    close_state(p);
    run_sql(p, "PRAGMA user_version=1"); /* with all columns */
    reopen(p);
    assert_int_equal(ask_sql(p, "PRAGMA user_version"), KNOWN);
    assert_int_equal(ask_sql(p, "SELECT full_capacity FROM cartridge WHERE barcode='OLD001L8'"), 12);
}

/* A step that fails in the middle leaves nothing of itself. */
static void a_step_is_taken_whole_or_not_at_all(void **state)
{
    struct place *p = *state;
    struct errtext err = {""};
    run_sql(p, "CREATE VIEW segment AS SELECT 1"); /* of which no index can be made */
    assert_int_equal(db_open(p->path, false, &p->db, &err), -EIO);
    assert_non_null(strstr(err.text, p->path));
    assert_non_null(strstr(err.text, "views may not be indexed"));
    assert_int_equal(ask_sql(p, "PRAGMA user_version"), 0);
    assert_int_equal(ask_sql(p, "SELECT count(*) FROM sqlite_master"), 1);
}

static void what_is_no_database_is_told_with_the_way_out(void **state)
{
    struct place *p = *state;
    struct errtext err = {""};
    FILE *f = fopen(p->path, "w");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        fputs("no database ", f);
    fclose(f);
    assert_int_equal(db_open(p->path, false, &p->db, &err), -EIO);
    assert_non_null(strstr(err.text, p->path));
    assert_non_null(strstr(err.text, "file is not a database: \"s3vtl library rebuild --force\""));
}

/* ---- its files ---- */

static void expect_mode(const struct place *p, const char *suffix, mode_t mode)
{
    char path[120];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s%s", p->path, suffix);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | mode);
}

static void expect_closed(const struct place *p)
{
    expect_mode(p, "", 0600);
    expect_mode(p, "-wal", 0600);
    expect_mode(p, "-shm", 0600);
}

static void a_state_is_closed_to_others_whatever_the_umask(void **state)
{
    struct place *p = *state;
    static const mode_t masks[] = {0, 022, 077};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct errtext err = {""};
        mode_t old = umask(masks[i]);
        int rc = db_open(p->path, true, &p->db, &err);
        umask(old);
        if (rc)
            fail_msg("%s", err.text);
        expect_closed(p);
        close_state(p);
        assert_int_equal(unlink(p->path), 0);
    }
}

static void a_state_that_was_open_to_others_is_closed_to_them(void **state)
{
    struct place *p = *state;
    close_state(p);
    assert_int_equal(chmod(p->path, 0666), 0);
    reopen(p);
    expect_closed(p);
}

#define BARE(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
#define OPENED(f) cmocka_unit_test_setup_teardown(f, make_state, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(a_failure_is_told_after_its_rollback),
        OPENED(a_call_that_succeeds_leaves_no_error),
        OPENED(each_thread_is_told_of_its_own_failure),
        OPENED(a_failure_that_is_not_of_sqlite_is_told_too),
        OPENED(a_newer_state_is_refused_and_left_as_it_is),
        OPENED(a_new_state_has_the_version_that_is_known),
        OPENED(an_older_state_is_brought_up_to_date),
        BARE(a_step_is_taken_whole_or_not_at_all),
        BARE(what_is_no_database_is_told_with_the_way_out),
        BARE(a_state_is_closed_to_others_whatever_the_umask),
        OPENED(a_state_that_was_open_to_others_is_closed_to_them),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
