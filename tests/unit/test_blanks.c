/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_blanks.c: cartridges that are made by themselves ([library] blanks). */
#include "tests/unit/library_rig.h"

#include "base/clock.h"
#include "vtl/library/blank_names.h"
#include "vtl/library/library_private.h"

#define DEADLINE_MS 30000

static struct vtl_config *wants(const char *blanks)
{
    char more[200];
    (void)snprintf(more, sizeof(more), "\n[library]\nblanks = %s\n", blanks);
    return config_more("one", "local", "64M", more);
}

static json_t *status_of(struct library *lib)
{
    return call(lib, json_pack("{s:s}", "op", "status"));
}

/* Until the i-th rule has been counted to have so many, and tells this trouble, or none. */
static void await(struct library *lib, size_t i, json_int_t have, const char *trouble)
{
    uint64_t until = clock_ms() + DEADLINE_MS;
    for (bool is = false; !is;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        json_t *j = status_of(lib);
        const json_t *b = json_array_get(json_object_get(j, "blanks"), i);
        const char *why = json_string_value(json_object_get(b, "trouble"));
        is = b && json_integer_value(json_object_get(b, "free")) == have &&
             (trouble ? why && strstr(why, trouble) : !why);
        if (clock_ms() > until)
            fail_msg("%s", json_dumps(b ? b : json_null(), JSON_ENCODE_ANY));
        json_decref(j);
        if (!is)
            progress_wait(&lib->eng.progress, seen, 50);
    }
}

static bool has(struct library *lib, const char *barcode)
{
    rwlock_read(&lib->tapes_lock);
    bool is = library_cartridge(lib, barcode) != NULL;
    rwlock_release(&lib->tapes_lock);
    return is;
}

static void await_made(struct library *lib, const char *barcode)
{
    uint64_t until = clock_ms() + DEADLINE_MS;
    while (!has(lib, barcode)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        assert_true(clock_ms() < until);
        if (!has(lib, barcode))
            progress_wait(&lib->eng.progress, seen, 50);
    }
}

static void write_blocks(struct library *lib, uint16_t slot, unsigned n)
{
    move(lib, slot, DRIVE);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    move(lib, DRIVE, slot);
}

static void as_many_as_wanted_are_made(void **state)
{
    (void)state;
    struct vtl_config *c = wants("BLK{01..99}L8:3 WEE{1..2}L8:1");
    init_library(c);
    struct library *lib = open_library(c);
    await(lib, 0, 3, NULL);
    await(lib, 1, 1, NULL);
    assert_true(has(lib, "BLK01L8") && has(lib, "BLK03L8") && has(lib, "WEE1L8"));
    assert_false(has(lib, "BLK04L8") || has(lib, "WEE2L8"));
    close_library(lib);
    config_free(c);
}

/* What a label is on is free still; what has more is not, and the next name is taken for it. */
static void one_that_is_written_is_followed_by_a_new_one(void **state)
{
    (void)state;
    struct vtl_config *c = wants("BLK{01..99}L8:2");
    init_library(c);
    struct library *lib = open_library(c);
    await(lib, 0, 2, NULL);
    move(lib, SLOT, DRIVE);
    fill(1);
    assert_int_equal(library_drive_ops()->write(library_drive(lib, 0), block, 262144, true, NULL, &never), TAPE_OK);
    move(lib, DRIVE, SLOT);
    write_blocks(lib, SLOT + 1, 8);
    await_made(lib, "BLK03L8");
    await(lib, 0, 2, NULL);
    assert_false(has(lib, "BLK04L8"));
    close_library(lib);
    config_free(c);
}

static void what_hinders_is_told_and_nothing_else_is_hindered(void **state)
{
    (void)state;
    struct vtl_config *c = wants("BLK{1..3}L8:3 FEW{1..9}L8:6");
    init_library(c);
    struct library *lib = open_library(c);
    await(lib, 0, 3, NULL);
    await(lib, 1, 5, "no free slots");
    for (unsigned i = 0; i < 3; i++)
        write_blocks(lib, (uint16_t)(SLOT + i), 8);
    close_library(lib);
    lib = open_library(c); /* which looks at once */
    await(lib, 0, 0, "all these names are taken");
    close_library(lib);
    config_free(c);
}

/* A reload that wants more, of other names, holds at once. */
static void a_reload_changes_what_is_wanted(void **state)
{
    (void)state;
    struct vtl_config *c = wants("BLK{01..99}L8:1");
    init_library(c);
    struct library *lib = open_library(c);
    await(lib, 0, 1, NULL);
    config_free(wants("NEW{01..99}L8:2"));
    json_decref(call(lib, json_pack("{s:s}", "op", "reload")));
    await_made(lib, "NEW02L8");
    await(lib, 0, 2, NULL);
    assert_false(has(lib, "BLK02L8"));
    config_free(wants(""));
    json_decref(call(lib, json_pack("{s:s}", "op", "reload")));
    json_t *j = status_of(lib);
    assert_null(json_object_get(j, "blanks"));
    json_decref(j);
    close_library(lib);
    config_free(c);
}

/* Of all slots taken the one that a drive's cartridge came from is no free one: it could not go back. */
static void the_slot_of_a_cartridge_in_a_drive_stays_free(void **state)
{
    (void)state;
    struct vtl_config *c = wants("BLK{01..99}L8:8");
    init_library(c);
    struct library *lib = open_library(c);
    await(lib, 0, 8, NULL);
    move(lib, SLOT + 2, DRIVE);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    json_decref(call(lib, json_pack("{s:s}", "op", "reload"))); /* it looks at once */
    await(lib, 0, 7, "1 of 8 are free, 1 needed for what is in a drive");
    assert_false(has(lib, "BLK09L8"));
    move(lib, DRIVE, SLOT + 2);
    close_library(lib);
    config_free(c);
}

/* Of two that are free the cartridge in the drive keeps its own, and the other one is used. */
static void a_new_one_goes_beside_the_slot_of_a_cartridge_in_a_drive(void **state)
{
    (void)state;
    struct vtl_config *c = wants("BLK{01..99}L8:7");
    init_library(c);
    struct library *lib = open_library(c);
    await(lib, 0, 7, NULL);
    move(lib, SLOT, DRIVE);
    json_decref(call(lib, json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", "NEW001L8")));
    lock_take(&lib->lock);
    bool beside = !strcmp(library_element(lib, SLOT + 7)->barcode, "NEW001L8");
    lock_release(&lib->lock);
    assert_true(beside);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    config_free(c);
}

/* Whatever came through the door goes back there, and all slots are for others. */
static void what_came_through_the_door_needs_no_slot(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "local", "64M", "\n[library]\nimport_export = 1\n");
    struct library *lib = new_library(c, "OLD001L8");
    move(lib, SLOT, ELEMENT_FIRST_IMPORT_EXPORT);
    move(lib, ELEMENT_FIRST_IMPORT_EXPORT, DRIVE);
    json_t *names = json_array();
    for (int i = 1; i <= 8; i++)
        json_array_append_new(names, json_sprintf("NEW00%dL8", i));
    json_decref(call(lib, json_pack("{s:s, s:o}", "op", "tape-create", "barcodes", names)));
    move(lib, DRIVE, ELEMENT_FIRST_IMPORT_EXPORT);
    close_library(lib);
    config_free(c);
}

/* ---- a reload while they are made ---- */

static const struct objstore_ops *well;
static struct progress *progress;
static atomic_bool stalls, go_on;

static int stalled_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                       struct errtext *err)
{
    bool here = strstr(key, "BLK03L8") != NULL;
    if (here)
        atomic_store(&stalls, true);
    while (here && !atomic_load(&go_on)) {
        uint64_t seen = progress_now(progress);
        if (!atomic_load(&go_on))
            progress_wait(progress, seen, 50);
    }
    return well->put(s, key, src, c, err);
}

static void reload(struct library *lib, const char *blanks)
{
    config_free(wants(blanks));
    json_decref(call(lib, json_pack("{s:s}", "op", "reload")));
}

/* Three of six are there, or being made, when fewer are wanted: no more are made. */
static void a_reload_that_wants_fewer_stops_what_is_under_way(void **state)
{
    (void)state;
    struct vtl_config *c = wants("");
    init_library(c);
    struct library *lib = open_library(c);
    struct objstore_ops ops = *lib->eng.store->ops;
    ops.put = stalled_put;
    progress = &lib->eng.progress;
    exchange_ops(lib, &ops, &well);
    reload(lib, "BLK{01..99}L8:6");
    uint64_t until = clock_ms() + DEADLINE_MS;
    while (!atomic_load(&stalls)) {
        uint64_t seen = progress_now(progress);
        assert_true(clock_ms() < until);
        if (!atomic_load(&stalls))
            progress_wait(progress, seen, 50);
    }
    reload(lib, "BLK{01..99}L8:1");
    atomic_store(&go_on, true);
    progress_post(progress);
    await(lib, 0, 3, NULL);
    assert_false(has(lib, "BLK04L8"));
    close_library(lib);
    config_free(c);
}

/* ---- names that another library has ---- */

enum { FOREIGN = 7 };
static struct library *watched;
static atomic_uint asked_of[FOREIGN + 2], asked_locked;

/* What is asked of BLK1L8 to BLK8L8; and whether a change waits for the answer meanwhile, and with it everybody else. */
static void note_asked(const char *key)
{
    const char *number = strstr(key, "tapes/BLK");
    unsigned i = number ? (unsigned)(number[9] - '0') : 0;
    if (!i || i > FOREIGN + 1)
        return;
    atomic_fetch_add(&asked_of[i], 1);
    if (i > FOREIGN)
        return;
    if (lock_try(&watched->move_lock))
        lock_release(&watched->move_lock);
    else
        atomic_fetch_add(&asked_locked, 1);
}

static int noted_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn, void *arg,
                      const struct obj_call *c, struct errtext *err)
{
    note_asked(prefix);
    return well->list(s, prefix, after, slash, fn, arg, c, err);
}

static int noted_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                     const struct obj_call *c, struct errtext *err)
{
    note_asked(key);
    return well->get(s, key, offset, len, buf, c, err);
}

static int noted_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                      struct errtext *err)
{
    note_asked(key);
    return well->head(s, key, size, c, err);
}

/* How many of the foreign names were asked of. */
static unsigned n_asked(void)
{
    unsigned n = 0;
    for (unsigned i = 1; i <= FOREIGN; i++)
        n += atomic_load(&asked_of[i]) != 0;
    return n;
}

/* Another library's BLK1L8 to BLK7L8 are in the same place of the bucket; and below BLK8L8 lies something that is no
 * cartridge. */
static struct library *beside_another_library(struct vtl_config **c)
{
    char path[200], file[250];
    struct vtl_config *other = config("two", "local", "64M");
    json_t *names = json_array();
    for (int i = 1; i <= FOREIGN; i++)
        json_array_append_new(names, json_sprintf("BLK%dL8", i));
    *c = wants("");
    init_library(other);
    rebuild_library(*c);
    struct library *two = open_library(other);
    json_decref(call(two, json_pack("{s:s, s:o}", "op", "tape-create", "barcodes", names)));
    close_library(two);
    config_free(other);
    (void)snprintf(path, sizeof(path), "%s/store/tapes/BLK8L8", dir);
    (void)snprintf(file, sizeof(file), "%s/stray", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(fclose(fopen(file, "w")), 0);
    watched = open_library(*c);
    for (unsigned i = 0; i < sizeof(asked_of) / sizeof(asked_of[0]); i++)
        atomic_store(&asked_of[i], 0);
    atomic_store(&asked_locked, 0);
    struct objstore_ops ops = *watched->eng.store->ops;
    ops.list = noted_list;
    ops.get = noted_get;
    ops.head = noted_head;
    exchange_ops(watched, &ops, &well);
    return watched;
}

/* One list passes over all of them. */
static void names_that_another_library_has_cost_no_request_of_their_own(void **state)
{
    (void)state;
    struct vtl_config *c;
    struct library *lib = beside_another_library(&c);
    reload(lib, "BLK{1..9}L8:1");
    await(lib, 0, 1, NULL);
    assert_true(has(lib, "BLK9L8"));
    assert_int_equal(n_asked(), 0);
    close_library(lib);
    config_free(c);
}

/* Only then it is looked at whether one can be had all the same: a few at a time, and nobody waits for that. */
static void names_with_something_in_the_bucket_are_looked_at_a_few_at_a_time_and_without_a_lock(void **state)
{
    (void)state;
    struct vtl_config *c;
    struct library *lib = beside_another_library(&c);
    reload(lib, "BLK{1..8}L8:1");
    await(lib, 0, 0, "all these names are taken");
    assert_int_equal(n_asked(), BLANK_NAMES_LOOKS);
    assert_int_equal(atomic_load(&asked_of[FOREIGN + 1]), 0);
    json_decref(call(lib, json_pack("{s:s}", "op", "reload"))); /* it looks at once, and goes on */
    await(lib, 0, 1, NULL);
    assert_true(has(lib, "BLK8L8"));
    assert_int_equal(n_asked(), FOREIGN);
    assert_int_equal(atomic_load(&asked_locked), 0);
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_many_as_wanted_are_made, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_written_is_followed_by_a_new_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reload_changes_what_is_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_slot_of_a_cartridge_in_a_drive_stays_free, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_one_goes_beside_the_slot_of_a_cartridge_in_a_drive, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_through_the_door_needs_no_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reload_that_wants_fewer_stops_what_is_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_another_library_has_cost_no_request_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(
            names_with_something_in_the_bucket_are_looked_at_a_few_at_a_time_and_without_a_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(what_hinders_is_told_and_nothing_else_is_hindered, setup, teardown),
    };
    return cmocka_run_group_tests_name("blanks", tests, NULL, NULL);
}
