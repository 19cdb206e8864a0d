/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_vanished.c: cartridges that the state or an inventory names, and of which the bucket has nothing, or only what
 * was. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "vtl/library/library_private.h"

#define RULE "(a lifecycle rule? a deleted prefix?)"

static void run(const char *fmt, const char *name)
{
    char command[400];
    (void)snprintf(command, sizeof(command), fmt, dir, name, dir, name);
    assert_int_equal(system(command), 0);
}

static void vanish(const char *barcode)
{
    run("rm -r %s/store/tapes/%s", barcode);
}

static struct library *three_tapes(struct vtl_config *c)
{
    struct library *lib = new_library(c, "VAN001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s, s], s:i}", "op", "tape-create", "barcodes", "VAN002L8", "VAN003L8",
                                    "capacity", 0)));
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
    return lib;
}

/* The same with no thread at the store, which could put something back. */
static struct library *three_tapes_at_rest(struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    close_library(three_tapes(c));
    if (library_open(c, 0, &lib, &err))
        fail_msg("%s", err.text);
    return lib;
}

/* What is wrong with the only one of which something is. */
static void expect_one(const json_t *list, const char *want)
{
    const char *error = json_string_value(json_object_get(json_array_get(list, 0), "error"));
    if (json_array_size(list) != 1 || strcmp(error, want) != 0)
        fail_msg("%zu: %s", json_array_size(list), error ? error : "nothing");
}

static json_t *vanished(struct library *lib)
{
    json_t *r = call(lib, json_pack("{s:s}", "op", "vanished"));
    json_t *list = json_incref(json_object_get(r, "vanished"));
    json_decref(r);
    return list;
}

static void expect_vanished(struct library *lib, const char *want)
{
    json_t *list = vanished(lib);
    if (want)
        expect_one(list, want);
    else
        assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

static json_t *without_state(const struct vtl_config *c)
{
    json_t *list = NULL;
    struct errtext err = {""};
    struct objstore_config oc;
    struct objstore *store = NULL;
    config_store(c, &oc);
    assert_int_equal(objstore_open(&oc, &store, NULL), 0);
    if (library_vanished(c, store, NULL, NULL, &list, &err))
        fail_msg("%s", err.text);
    store->ops->close(store);
    return list;
}

static void what_the_state_names_and_the_bucket_lacks_is_told(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = three_tapes_at_rest(c);
    expect_vanished(lib, NULL);
    vanish("VAN002L8");
    expect_vanished(lib, "VAN002L8: the state names it, but the bucket has no object of it " RULE);
    close_library(lib);
    config_free(c);
}

static void a_cartridge_that_was_never_committed_has_not_vanished(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = three_tapes(c);
    struct db_cartridge row = {
        .barcode = "VAN009L8", .generation = 8, .capacity = 1000, .next_segment = 1, .next_map = 1, .dirty = true};
    assert_int_equal(db_cartridge_add(lib->eng.db, &row, 0), 0); /* as of a gateway that died in tape create */
    close_library(lib);
    lib = open_library(c);
    expect_vanished(lib, NULL);
    close_library(lib);
    config_free(c);
}

static const struct objstore_ops *real;

static int put_no_inventory(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                            struct errtext *err)
{
    return strstr(key, "/inventory/") ? errtext_set(err, -EIO, "%s: not now", key) : real->put(s, key, src, c, err);
}

static void what_was_removed_has_not_vanished_although_an_old_inventory_names_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    struct library *lib = three_tapes_at_rest(c);
    struct objstore_ops without_inventory = *lib->eng.store->ops;
    without_inventory.put = put_no_inventory;
    exchange_ops(lib, &without_inventory, &real);
    json_decref(call(lib, json_pack("{s:s, s:s}", "op", "tape-remove", "barcode", "VAN001L8")));
    expect_vanished(lib, NULL);
    close_library(lib);
    json_t *list = without_state(two); /* which cannot know */
    expect_one(list, "VAN001L8: the newest inventory names it, but the bucket has no object of it " RULE);
    json_decref(list);
    config_free(c);
    config_free(two);
}

static void what_the_newest_inventory_names_is_told_without_a_state(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    struct library *lib = three_tapes(c);
    json_decref(call(lib, json_pack("{s:s, s:s, s:i}", "op", "tape-move", "barcode", "VAN003L8", "address",
                                    ELEMENT_FIRST_IMPORT_EXPORT)));
    json_decref(call(lib, json_pack("{s:s, s:b}", "op", "tape-export", "all", 1))); /* the shelf is part of it */
    close_library(lib);
    json_t *list = without_state(two);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    vanish("VAN003L8");
    list = without_state(two);
    expect_one(list, "VAN003L8: the newest inventory names it, but the bucket has no object of it " RULE);
    assert_false(json_is_true(json_object_get(json_array_get(list, 0), "state")));
    assert_true(json_is_true(json_object_get(json_array_get(list, 0), "inventory")));
    json_decref(list);
    config_free(c);
    config_free(two);
}

static void segments_without_a_head_are_told_with_the_way_out(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = three_tapes_at_rest(c);
    run("rm -r %s/store/tapes/%s/head", "VAN002L8");
    expect_vanished(lib, "VAN002L8: the state names it, but the bucket has no head of it, only segments: \"s3vtl "
                         "library rebuild --force --deep\" makes a head from them");
    vanish("VAN002L8");
    run("mkdir -p %s/store/tapes/%s/aside; echo x >%s/store/tapes/%s/aside/00000001-00000001-0000000001", "VAN002L8");
    expect_vanished(lib, "VAN002L8: the state names it, but the bucket has no head of it and no segment " RULE);
    close_library(lib);
    config_free(c);
}

/* ---- the bucket is older ---- */

static struct library *with_an_older_bucket(struct vtl_config *c)
{
    struct library *lib = three_tapes(c);
    close_library(lib);
    run("cp -a %s/store/tapes/%s %s/%s.was", "VAN002L8");
    lib = open_library(c);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(library_drive_ops()->locate_object(library_drive(lib, 0), 0, 1, &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 2), TAPE_OK);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
    close_library(lib);
    vanish("VAN002L8");
    run("cp -a %s/%s.was %s/store/tapes/%s", "VAN002L8");
    return open_library(c);
}

static void a_bucket_that_is_older_than_the_state_is_told(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_an_older_bucket(c);
    json_t *list = vanished(lib);
    assert_int_equal(json_array_size(list), 1);
    assert_non_null(strstr(json_string_value(json_object_get(json_array_get(list, 0), "error")),
                           "but the newest in the bucket is 0"));
    json_decref(list);
    close_library(lib);
    config_free(c);
}

/* It is no newer view: nothing of this state gives way to it, the cached segment least of all, and nobody is fenced. */
static void an_older_bucket_is_not_adopted(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_an_older_bucket(c);
    void *d = library_drive(lib, 0);
    move(lib, SLOT + 1, DRIVE);
    json_t *j = NULL;
    const char *trouble = NULL;
    for (int i = 0; !trouble; i++) {
        assert_true(i < 1000);
        usleep(10000);
        json_decref(j);
        j = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", "VAN002L8"));
        trouble = json_string_value(json_object_get(j, "trouble"));
    }
    assert_non_null(strstr(trouble, "the bucket is older than this state"));
    assert_false(json_is_true(json_object_get(j, "fenced")));
    assert_int_equal(json_integer_value(json_object_get(j, "objects")), 2);
    json_decref(j);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_id(d, 2);                                        /* which only the cache has */
    run("diff -r %s/%s.was %s/store/tapes/%s", "VAN002L8"); /* and no claim was put */
    move(lib, DRIVE, SLOT + 1);
    close_library(lib);
    config_free(c);
}

/* ---- what is gone is neither claimed nor kept against the admin's will ---- */

static void what_has_vanished_is_not_claimed_and_can_be_removed(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct errtext err = {""};
    close_library(three_tapes(c));
    vanish("VAN002L8");
    struct library *lib = open_library(c);
    json_t *q = json_pack("{s:s, s:s}", "op", "tape-gc", "barcode", "VAN002L8");
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, "is gone from the store, and there is no other"));
    json_decref(q);
    run("! test -e %s/store/tapes/%s", "VAN002L8");
    q = json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "VAN002L8", "force", 0);
    assert_null(library_call(lib, q, &err));
    json_object_set_new(q, "force", json_true());
    json_decref(call(lib, q));
    expect_vanished(lib, NULL);
    close_library(lib);
    config_free(c);
}

/* ---- rebuild ---- */

static void rebuild(const struct vtl_config *c, bool force, const char *want)
{
    const struct rebuild_options o = {.force = force};
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    if (want)
        expect_one(json_object_get(r, "vanished"), want);
    else
        assert_int_equal(json_array_size(json_object_get(r, "vanished")), 0);
    json_decref(r);
}

static void a_rebuild_names_what_only_the_inventory_has(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    close_library(three_tapes(c));
    rebuild(two, false, NULL);
    vanish("VAN001L8");
    rebuild(two, true,
            "VAN001L8: the state and the newest inventory name it, but the bucket has no object of it " RULE);
    run("rm -r %s/two; mkdir -p %s/store/tapes/VAN001L8/head/", ""); /* nor a directory of nothing */
    rebuild(two, false, "VAN001L8: the newest inventory names it, but the bucket has no object of it " RULE);
    config_free(c);
    config_free(two);
}

static void a_rebuild_names_what_the_state_knew_newer(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    const struct rebuild_options o = {.force = true};
    struct errtext err = {""};
    json_t *r = NULL;
    close_library(with_an_older_bucket(c));
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    const json_t *one = json_array_get(json_object_get(r, "vanished"), 0);
    assert_non_null(one);
    assert_non_null(strstr(json_string_value(json_object_get(one, "error")), "the bucket is older than this state"));
    json_decref(r);
    config_free(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_the_state_names_and_the_bucket_lacks_is_told),
        T(a_cartridge_that_was_never_committed_has_not_vanished),
        T(what_was_removed_has_not_vanished_although_an_old_inventory_names_it),
        T(what_the_newest_inventory_names_is_told_without_a_state),
        T(segments_without_a_head_are_told_with_the_way_out),
        T(a_bucket_that_is_older_than_the_state_is_told),
        T(an_older_bucket_is_not_adopted),
        T(what_has_vanished_is_not_claimed_and_can_be_removed),
        T(a_rebuild_names_what_only_the_inventory_has),
        T(a_rebuild_names_what_the_state_knew_newer),
    };
    return cmocka_run_group_tests_name("vanished", tests, NULL, NULL);
}
