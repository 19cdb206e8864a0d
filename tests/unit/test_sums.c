/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_sums.c: a flipped bit or a lost row of the state is told by table and row; nothing of that tape is served, and
 * the others are what they were. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "vtl/state/db_private.h"

/* ---- a state with two cartridges ---- */

static char path[100];

static struct db *open_state(bool create)
{
    struct db *db = NULL;
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    if (db_open(path, create, &db, &err))
        fail_msg("%s", err.text);
    return db;
}

static struct db_cartridge cartridge_of(int64_t rowid)
{
    struct db_cartridge c = {.rowid = rowid, .mam = (char *)(uintptr_t) "{}"};
    (void)snprintf(c.barcode, sizeof(c.barcode), "SUM00%dL8", (int)rowid);
    return c;
}

static void must(struct db *db, int rc)
{
    if (rc)
        fail_msg("%d: %s", rc, db_error(db));
}

static int insert_lean(struct db *db, int64_t cartridge, const struct seg_id *id)
{
    const struct seg_source s = {.barcode = "SRC001L8", .id = {2, 3, 4}, .size = 77, .crc = 5};
    int rc = db_begin(db);
    return rc ? rc : db_end(db, db_lean_insert(db, cartridge, id, &s));
}

/* A row of each table for each of the two. */
static void make_state(void)
{
    struct db *db = open_state(true);
    bool listed = false;
    for (int64_t i = 1; i <= 2; i++) {
        struct db_cartridge c = cartridge_of(i);
        struct seg_ref r = {.id = {1, 7, (uint64_t)i}, .objects = 9, .filemarks = 1, .size = 500, .plain_bytes = 99};
        const struct seg_fm_run run = {4, 1};
        const struct map_ref m = {.id = {1, 7, (uint64_t)i}, .n_segs = 1, .size = 200, .crc = 5};
        const char *key = i == 1 ? "tapes/one" : "tapes/two";
        must(db, db_cartridge_add(db, &c, (uint16_t)(1023 + i)));
        assert_int_equal(c.rowid, i);
        must(db, db_segment_open(db, &c, &r));
        must(db, db_change(db, &c, &(struct db_change){.sealed = &r, .sealed_fms = &run, .n_sealed_fms = 1}));
        must(db, db_committed(db, &c, &m, 1, NULL, 0));
        must(db, db_garbage_add(db, i, &key, 1));
        must(db, insert_lean(db, i, &r.id));
        must(db, db_lend(db, i, &(struct head_leaner){"NEW001L8", {1, 2}, {3, 4, 5}}, 5, &listed));
        must(db, db_cartridge_check(db, i));
    }
    db_close(db);
}

/* ---- by another hand, which keeps no sum ---- */

static void run_sql(const char *file, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* One bit of a value; NULL becomes 0. */
static void bind_flipped(sqlite3_stmt *st, sqlite3_value *v)
{
    int type = sqlite3_value_type(v), n = sqlite3_value_bytes(v);
    uint8_t copy[200];
    if (type == SQLITE_INTEGER) {
        sqlite3_bind_int64(st, 1, sqlite3_value_int64(v) ^ 32);
    } else if (type == SQLITE_NULL) {
        sqlite3_bind_int64(st, 1, 0);
    } else {
        assert_true(n > 0 && n <= (int)sizeof(copy));
        memcpy(copy, sqlite3_value_blob(v), (size_t)n);
        copy[n - 1] ^= 1;
        type == SQLITE_BLOB ? sqlite3_bind_blob(st, 1, copy, n, SQLITE_TRANSIENT)
                            : sqlite3_bind_text(st, 1, (const char *)copy, n, SQLITE_TRANSIENT);
    }
}

/* In the row of the first cartridge. */
static void flip(const char *table, const char *column)
{
    char sql[300];
    const char *where = !strcmp(table, "cartridge") ? "rowid=1"
                        : !strcmp(table, "element") ? "address=1024"
                                                    : "cartridge=1";
    sqlite3 *db = NULL;
    sqlite3_stmt *get = NULL, *set = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    (void)snprintf(sql, sizeof(sql), "SELECT %s FROM %s WHERE %s", column, table, where);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &get, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(get), SQLITE_ROW);
    sqlite3_value *v = sqlite3_value_dup(sqlite3_column_value(get, 0));
    sqlite3_finalize(get);
    (void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s=? WHERE %s", table, column, where);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &set, NULL), SQLITE_OK);
    bind_flipped(set, v);
    if (sqlite3_step(set) != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_finalize(set);
    sqlite3_value_free(v);
    sqlite3_close(db);
}

static size_t columns_of(const char *table, char out[][40], size_t room)
{
    char sql[100];
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)snprintf(sql, sizeof(sql), "SELECT name FROM pragma_table_info('%s')", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        assert_true(n < room);
        (void)snprintf(out[n++], 40, "%s", (const char *)sqlite3_column_text(st, 0));
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void copy_file(const char *from, const char *to)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* ---- what is found ---- */

static int elements_damaged(void *arg, const struct db_element *e)
{
    unsigned *n = arg;
    n[0] += e->damaged;
    n[1]++;
    return 0;
}

static int cartridges_damaged(void *arg, const struct db_cartridge *c)
{
    unsigned *n = arg;
    n[0] += c->damaged;
    n[1] += c->damaged && c->unstored_rows;
    return 0;
}

static void expect_told(struct db *db, const char *table, const char *column)
{
    unsigned e[2] = {0}, c[2] = {0};
    int rc = db_cartridge_check(db, 1);
    must(db, db_elements(db, elements_damaged, e));
    if (!strcmp(table, "element")) {
        assert_int_equal(rc, 0);
        assert_int_equal(e[0], 1);
    } else {
        (void)db_cartridge_check(db, 1);
        if (rc != -EBADMSG || !strstr(db_error(db), table) || !strstr(db_error(db), "library rebuild --force"))
            fail_msg("%s.%s: %d: %s", table, column, rc, db_error(db));
        assert_int_equal(e[0], 0);
        must(db, db_cartridges(db, cartridges_damaged, c));
        /* Those of maps and garbage cost no tape anything until it is loaded. */
        if (!strcmp(table, "cartridge") || !strcmp(table, "segment"))
            assert_int_equal(c[0], 1);
        assert_int_equal(c[0], c[1]); /* its files in the spool are no cache */
    }
    assert_int_equal(e[1], 2);
    must(db, db_cartridge_check(db, 2));
}

static void a_bit_of_any_column_is_found(void **state)
{
    (void)state;
    static const char *const tables[] = {"element", "cartridge", "segment", "map", "garbage", "lean", "leaner"};
    char columns[40][40], base[120];
    unsigned tried = 0;
    make_state();
    (void)snprintf(base, sizeof(base), "%s/base", dir);
    copy_file(path, base);
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        size_t n = columns_of(tables[t], columns, 40);
        for (size_t i = 0; i < n; i++, tried++) {
            copy_file(base, path);
            flip(tables[t], columns[i]);
            struct db *db = open_state(false);
            expect_told(db, tables[t], columns[i]);
            db_close(db);
        }
    }
    assert_true(tried > 65);
}

static void a_lost_row_is_missed(void **state)
{
    (void)state;
    static const char *const lost[] = {"DELETE FROM segment WHERE cartridge=1", "DELETE FROM map WHERE cartridge=1",
                                       "DELETE FROM garbage WHERE cartridge=1", "DELETE FROM lean WHERE cartridge=1",
                                       "DELETE FROM leaner WHERE cartridge=1",  "DELETE FROM cartridge WHERE rowid=1"};
    char base[120];
    make_state();
    (void)snprintf(base, sizeof(base), "%s/base", dir);
    copy_file(path, base);
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        copy_file(base, path);
        run_sql(path, lost[i]);
        struct db *db = open_state(false);
        assert_int_equal(db_cartridge_check(db, 1), -EBADMSG);
        assert_non_null(strstr(db_error(db), "gone"));
        must(db, db_cartridge_check(db, 2));
        db_close(db);
    }
}

/* It would look good from then on. */
static void a_damaged_row_is_not_written_over_but_can_be_deleted(void **state)
{
    (void)state;
    make_state();
    flip("cartridge", "commit_segs");
    struct db *db = open_state(false);
    struct db_cartridge c = cartridge_of(1);
    const struct seg_id id = {1, 7, 1};
    assert_int_equal(db_cartridge_update(db, &c), -EBADMSG);
    assert_non_null(strstr(db_error(db), "table cartridge is damaged"));
    assert_non_null(strstr(db_error(db), "library rebuild --force"));
    assert_int_equal(db_segment_stored(db, 1, &id), -EBADMSG);
    assert_int_equal(db_cartridge_check(db, 1), -EBADMSG);
    must(db, db_cartridge_remove(db, 1, "SUM001L8"));
    must(db, db_cartridge_check(db, 2));
    db_close(db);
}

static void a_damaged_element_is_written_over(void **state)
{
    (void)state;
    static const struct db_element there = {.address = 1030, .barcode = "SUM001L8"};
    unsigned n[2] = {0};
    make_state();
    flip("element", "address");
    struct db *db = open_state(false);
    must(db, db_elements_set(db, &there, 1));
    must(db, db_elements(db, elements_damaged, n));
    assert_int_equal(n[0], 0);
    assert_int_equal(n[1], 2);
    db_close(db);
}

/* A state that has no sums yet gets them, of what is there. */
static void an_older_state_gets_its_sums(void **state)
{
    (void)state;
    make_state();
    run_sql(path,
            "UPDATE segment SET sum=0; UPDATE cartridge SET sum=0, content=0; UPDATE map SET sum=1;"
            " UPDATE garbage SET sum=2; UPDATE element SET sum=3; DROP TRIGGER segment_made; PRAGMA user_version=3");
    struct db *db = open_state(false);
    unsigned n[2] = {0};
    must(db, db_cartridge_check(db, 1));
    must(db, db_cartridge_check(db, 2));
    must(db, db_elements(db, elements_damaged, n));
    assert_int_equal(n[0], 0);
    struct db_cartridge c = cartridge_of(1);
    must(db, db_segment_open(db, &c, &(struct seg_ref){.id = {1, 7, 5}, .first_object = 9}));
    must(db, db_cartridge_check(db, 1));
    db_close(db);
}

/* ---- and by a library ---- */

static void a_tape_with_a_flipped_row_is_not_served_and_others_are(void **state)
{
    (void)state;
    struct model m[2] = {0};
    char file[120];
    struct errtext err = {""};
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "SUM001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "SUM002L8", "capacity", 0)));
    for (uint16_t i = 0; i < 2; i++) {
        move(lib, (uint16_t)(SLOT + i), DRIVE);
        write_model(library_drive(lib, 0), &m[i], 0, 20, 1 + 100 * (uint64_t)i);
        move(lib, DRIVE, (uint16_t)(SLOT + i));
    }
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(file, sizeof(file), "%s/one/state.db", dir);
    run_sql(file, "UPDATE segment SET objects=objects-1, plain_bytes=plain_bytes-1 WHERE cartridge=1 AND first_object ="
                  " (SELECT max(first_object) FROM segment WHERE cartridge=1)");
    lib = open_library(c);
    json_t *q = json_pack("{s:s, s:s}", "op", "tape-show", "barcode", "SUM001L8");
    json_t *r = library_call(lib, q, &err);
    assert_null(r);
    assert_non_null(strstr(err.text, "table segment"));
    json_decref(q);
    uint32_t len = sizeof(back);
    (void)library_changer_ops()->move(lib, 0, SLOT, DRIVE, &never); /* it may be in a drive, which cannot load it */
    assert_int_not_equal(library_drive_ops()->read(library_drive(lib, 0), back, &len, NULL, &never), TAPE_OK);
    assert_int_not_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, SLOT + 1, DRIVE + 1);
    check_all(library_drive(lib, 1), &m[1]);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_bit_of_any_column_is_found),
        T(a_lost_row_is_missed),
        T(a_damaged_row_is_not_written_over_but_can_be_deleted),
        T(a_damaged_element_is_written_over),
        T(an_older_state_gets_its_sums),
        T(a_tape_with_a_flipped_row_is_not_served_and_others_are),
    };
    return cmocka_run_group_tests_name("sums", tests, NULL, NULL);
}
