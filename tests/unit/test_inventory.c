/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_inventory.c: a state knows its own inventories, whatever the store answered when they were put. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "vtl/library/inventory_keys.h"

#define K(writer, n) "gateways/" writer "/inventory/000000000" n

/* ---- what is kept of their keys ---- */

static void what_a_run_put_up_to_the_last_one_it_tried_is_its_own(void **state)
{
    (void)state;
    struct inventory_keys k, again;
    char text[INVENTORY_KEYS_SIZE];
    inventory_keys_read(&k, "");
    assert_false(inventory_keys_own(&k, K("0000000a", "1")));
    inventory_keys_try(&k, K("0000000a", "1"));
    inventory_keys_try(&k, K("0000000a", "4"));
    inventory_keys_try(&k, K("0000000b", "1"));
    inventory_keys_write(&k, text);
    assert_string_equal(text, "- " K("0000000a", "4") " " K("0000000b", "1"));
    inventory_keys_read(&again, text);
    assert_string_equal(again.stored, "");
    assert_int_equal(again.n_tried, 2);
    assert_true(inventory_keys_own(&again, K("0000000a", "4")));
    assert_true(inventory_keys_own(&again, K("0000000a", "2")));
    assert_false(inventory_keys_own(&again, K("0000000a", "5"))); /* a copy's, which went on with this run */
    assert_true(inventory_keys_own(&again, K("0000000b", "1")));
    assert_false(inventory_keys_own(&again, K("0000000c", "1")));
}

static void what_an_older_program_kept_is_read(void **state)
{
    (void)state;
    struct inventory_keys k;
    inventory_keys_read(&k, K("0000000a", "3") " ");
    assert_string_equal(k.stored, K("0000000a", "3"));
    assert_int_equal(k.n_tried, 0);
    inventory_keys_read(&k, K("0000000a", "3") " " K("0000000b", "7"));
    assert_true(inventory_keys_own(&k, K("0000000a", "3")));
    assert_true(inventory_keys_own(&k, K("0000000b", "7")));
}

static void of_many_runs_without_success_the_oldest_is_forgotten(void **state)
{
    (void)state;
    struct inventory_keys k, again;
    char text[INVENTORY_KEYS_SIZE], key[DB_KEY_SIZE];
    inventory_keys_read(&k, K("0000000a", "1"));
    for (unsigned i = 0; i <= INVENTORY_RUNS; i++) {
        (void)snprintf(key, sizeof(key), "gateways/%08x/inventory/%010u", 0x100 + i, 1);
        inventory_keys_try(&k, key);
    }
    inventory_keys_write(&k, text);
    inventory_keys_read(&again, text);
    assert_int_equal(again.n_tried, INVENTORY_RUNS);
    assert_true(inventory_keys_own(&again, K("0000000a", "1"))); /* that one is in the store */
    assert_false(inventory_keys_own(&again, K("00000100", "1")));
    assert_true(inventory_keys_own(&again, K("00000101", "1")));
    assert_true(inventory_keys_own(&again, key));
}

/* ---- puts that fail ---- */

static int count_one(void *arg, const struct obj_entry *e)
{
    size_t *n = arg;
    *n += !e->is_prefix;
    return 0;
}

static size_t inventories(struct library *lib)
{
    size_t n = 0;
    assert_int_equal(lib->eng.store->ops->list(lib->eng.store, "gateways/", NULL, false, count_one, &n, NULL, NULL), 0);
    return n;
}

static void expect_no_copy(struct library *lib)
{
    await_inventory(lib);
    lock_take(&lib->lock);
    const struct errtext warning = lib->warning;
    lock_release(&lib->lock);
    assert_string_equal(warning.text, "");
    assert_int_equal(inventories(lib), 1);
}

static const struct objstore_ops *well;
static bool lands; /* and only its answer is lost */

static int put_fails(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                     struct errtext *err)
{
    if (lands && well->put(s, key, src, c, err))
        fail_msg("%s", err->text);
    return errtext_set(err, -EIO, "put %s: no answer", key);
}

/* Three puts of one run fail; then one does not. Left: what comes after that, before the state is opened again. */
static struct library *fail_three_times(const struct vtl_config *c, bool then_well)
{
    struct library *lib = new_library(c, "INV001L8");
    struct errtext err = {""};
    const struct objstore_ops *failing;
    await_inventory(lib);
    inventory_stop(lib);
    atomic_store(&lib->stop, false);
    struct objstore_ops ops = *lib->eng.store->ops;
    ops.put = put_fails;
    exchange_ops(lib, &ops, &well);
    for (int i = 0; i < 3; i++)
        assert_int_equal(inventory_put(lib, NULL, &err), -EIO);
    exchange_ops(lib, well, &failing);
    if (then_well)
        assert_int_equal(inventory_put(lib, NULL, &err), 0);
    return lib;
}

static void puts_that_failed_in_one_run_are_no_copys(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    for (int i = 0; i < 4; i++) {
        lands = i & 1;
        struct library *lib = fail_three_times(c, i & 2);
        if (i & 2)
            assert_int_equal(inventories(lib), 1);
        close_library(lib);
        lib = open_library(c);
        expect_no_copy(lib);
        close_library(lib);
        remove_tree(dir);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    config_free(c);
}

/* The store takes no inventory: where they go is a file. */
static void runs_whose_puts_all_failed_leave_no_copys(void **state)
{
    (void)state;
    char there[100], aside[100];
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "INV001L8");
    await_inventory(lib);
    close_library(lib);
    (void)snprintf(there, sizeof(there), "%s/store/gateways", dir);
    (void)snprintf(aside, sizeof(aside), "%s/gateways", dir);
    assert_int_equal(rename(there, aside), 0);
    FILE *f = fopen(there, "w");
    assert_non_null(f);
    fclose(f);
    for (int i = 0; i < 3; i++) {
        lib = open_library(c);
        close_library(lib);
    }
    assert_int_equal(unlink(there), 0);
    assert_int_equal(rename(aside, there), 0);
    for (int i = 0; i < 2; i++) {
        lib = open_library(c);
        expect_no_copy(lib);
        close_library(lib);
    }
    config_free(c);
}

/* It was put by a run that is over, and its answer was lost: by then the next run has put its own, and the state knows that. */
static void what_lands_late_is_no_copys_and_goes(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct errtext err = {""};
    char late[DB_KEY_SIZE];
    lands = false;
    struct library *lib = fail_three_times(c, true);
    json_t *j = json_pack("{s:s, s:I}", "gateway", "", "time", (json_int_t)engine_time());
    (void)snprintf(late, sizeof(late), "%08x", lib->eng.gateway);
    json_object_set_new(j, "gateway", json_string(late));
    (void)snprintf(late, sizeof(late), "gateways/%08x/inventory/%010d", lib->eng.writer, 2);
    assert_int_equal(store_write_json(lib->eng.store, late, j, NULL, &err), 0);
    json_decref(j);
    close_library(lib);
    for (int i = 0; i < 2; i++) {
        lib = open_library(c);
        expect_no_copy(lib);
        close_library(lib);
    }
    config_free(c);
}

static int del_refused(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                       struct errtext *err)
{
    (void)s;
    (void)n;
    (void)c;
    return errtext_set(err, -EACCES, "%s: not to be deleted", keys[0]);
}

/* Else each try would put one more. */
static void one_is_stored_though_the_older_ones_cannot_be_deleted(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "INV001L8");
    const struct objstore_ops *refusing;
    struct errtext err = {""};
    await_inventory(lib);
    struct objstore_ops ops = *lib->eng.store->ops;
    ops.del = del_refused;
    exchange_ops(lib, &ops, &well);
    library_inventory_changed(lib);
    await_inventory(lib);
    assert_int_equal(inventories(lib), 2);
    close_library(lib);
    lib = open_library(c); /* which puts one */
    await_inventory(lib);
    exchange_ops(lib, &ops, &well);
    inventory_stop(lib);
    atomic_store(&lib->stop, false);
    assert_int_equal(inventory_put(lib, NULL, &err), 0);
    assert_int_equal(inventory_put(lib, NULL, &err), 0);
    assert_int_equal(inventories(lib), 3);
    exchange_ops(lib, well, &refusing);
    assert_int_equal(inventory_put(lib, NULL, &err), 0);
    assert_int_equal(inventories(lib), 1);
    close_library(lib);
    lib = open_library(c);
    expect_no_copy(lib);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_run_put_up_to_the_last_one_it_tried_is_its_own),
        cmocka_unit_test(what_an_older_program_kept_is_read),
        cmocka_unit_test(of_many_runs_without_success_the_oldest_is_forgotten),
        T(puts_that_failed_in_one_run_are_no_copys),
        T(runs_whose_puts_all_failed_leave_no_copys),
        T(one_is_stored_though_the_older_ones_cannot_be_deleted),
        T(what_lands_late_is_no_copys_and_goes),
    };
    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
