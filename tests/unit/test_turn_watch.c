/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_turn_watch.c: the look for a gateway that has taken over, while some of the inventories cannot be read. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "vtl/library/turn.h"

#define FIRST "gateways/00000001/inventory/0000000001"
#define LAST "gateways/ffffffff/inventory/0000000001"

static const struct objstore_ops *real;
static const char *unreadable; /* NULL: all can be read */

static int get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf, const struct obj_call *c,
               struct errtext *err)
{
    return unreadable && !strcmp(key, unreadable) ? errtext_set(err, -EIO, "get %s: the test wants it", key)
                                                  : real->get(s, key, offset, len, buf, c, err);
}

static void put_inventory(struct library *lib, const char *key, const char *name, int turn)
{
    struct errtext err = {""};
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:i}", "library", lib->id, "name", name, "gateway", "00000001", "turn", turn);
    if (store_write_json(lib->eng.store, key, j, NULL, &err))
        fail_msg("%s", err.text);
    json_decref(j);
}

/* Nobody serves it: so nobody else looks, or puts an inventory. */
static struct library *library_at_rest(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    init_library(c);
    if (library_open(c, 0, &lib, &err))
        fail_msg("%s", err.text);
    struct objstore_ops ops = *lib->eng.store->ops;
    ops.get = get;
    exchange_ops(lib, &ops, &real);
    return lib;
}

static void look(struct library *lib)
{
    lib->turn_next_ms = 0;
    turn_watch(lib);
}

static void what_a_look_that_failed_has_read_counts(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = library_at_rest(c);
    put_inventory(lib, FIRST, "one", 99);
    put_inventory(lib, LAST, "two", 1);
    unreadable = LAST;
    look(lib);
    assert_true(atomic_load(&lib->taken_over));
    assert_false(atomic_load(&lib->shared));
    unreadable = NULL;
    close_library(lib);
    config_free(c);
}

static void an_inventory_that_cannot_be_read_hides_none_behind_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = library_at_rest(c);
    put_inventory(lib, FIRST, "two", 1);
    put_inventory(lib, LAST, "one", 99);
    unreadable = FIRST;
    look(lib);
    assert_true(atomic_load(&lib->taken_over));
    unreadable = NULL;
    close_library(lib);
    config_free(c);
}

static void one_that_could_not_be_read_is_read_at_the_next_look(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = library_at_rest(c);
    put_inventory(lib, FIRST, "two", 1);
    put_inventory(lib, LAST, "one", 99);
    unreadable = LAST;
    look(lib);
    assert_true(atomic_load(&lib->shared));
    assert_false(atomic_load(&lib->taken_over));
    unreadable = NULL;
    look(lib);
    assert_true(atomic_load(&lib->taken_over));
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_a_look_that_failed_has_read_counts),
        TEST(an_inventory_that_cannot_be_read_hides_none_behind_it),
        TEST(one_that_could_not_be_read_is_read_at_the_next_look),
    };
    return cmocka_run_group_tests_name("turn_watch", tests, NULL, NULL);
}
