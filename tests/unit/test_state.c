/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_state.c: the state in SQLite: what a failed call says of itself, and to whom. */
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

static void *succeed_and_fail_otherwise(void *arg)
{
    struct place *p = arg;
    assert_int_equal(db_meta_set(p->db, "key", "value"), 0);
    assert_string_equal(db_error(p->db), ""); /* not what the other thread met */
    struct db_cartridge c = {.barcode = "SAM001L8"};
    assert_int_equal(db_cartridge_add(p->db, &c, 0), 0);
    assert_int_equal(db_cartridge_add(p->db, &c, 0), -EEXIST);
    assert_string_equal(db_error(p->db), "UNIQUE constraint failed: cartridge.barcode");
    return NULL;
}

static void each_thread_is_told_of_its_own_failure(void **state)
{
    struct place *p = *state;
    pthread_t t;
    assert_int_equal(fill_twice(p->db), -EEXIST);
    assert_int_equal(pthread_create(&t, NULL, succeed_and_fail_otherwise, p), 0);
    pthread_join(t, NULL);
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

#define OPENED(f) cmocka_unit_test_setup_teardown(f, make_state, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(a_failure_is_told_after_its_rollback),
        OPENED(a_call_that_succeeds_leaves_no_error),
        OPENED(each_thread_is_told_of_its_own_failure),
        OPENED(a_failure_that_is_not_of_sqlite_is_told_too),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
