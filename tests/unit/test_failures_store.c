/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_failures_store.c: a store that fails and works again: what is told of it, and what is tried once more. */
#include "tests/unit/failure_help.h"

#include <errno.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/library/library_private.h"

static void await_trouble(struct library *lib, const char *text)
{
    bool is = false;
    for (int i = 0; i < 20000 && !is; i++) {
        json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
        const json_t *c = json_array_get(json_object_get(s, "cartridges"), 0);
        const char *trouble = json_string_value(json_object_get(c, "trouble"));
        is = trouble && strstr(trouble, text);
        json_decref(s);
        usleep(1000);
    }
    assert_true(is);
}

/* Segments can be stored again, but no head: that is no recovery. */
static void recovery_is_told_once_and_when_it_is_true(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "STO001L8");
    struct drive *d = library_drive(lib, 0);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib);
    forget_log();
    store_lacks("seg", true);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    json_decref(call(lib, json_pack("{s:s}", "op", "flush")));
    await_trouble(lib, "/seg/");
    store_lacks("head", true);
    store_lacks("seg", false);
    await_trouble(lib, "/head/");
    assert_int_equal(times_logged("takes data again"), 0);
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    assert_true(json_is_null(json_object_get(json_object_get(s, "spool"), "upload_rate")));
    json_decref(s);
    store_lacks("head", false);
    flush_remote(lib);
    for (int i = 0; i < 20000 && !times_logged("takes data again"); i++) /* told behind what flush waits for */
        usleep(1000);
    assert_int_equal(write_id(d, 3), TAPE_OK);
    flush_remote(lib);
    close_library(lib);
    assert_int_equal(times_logged("takes data again"), 1);
    config_free(c);
}

static const struct objstore_ops *real;
static atomic_int dels_to_fail, head_puts_to_fail;

static int del_fails(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                     struct errtext *err)
{
    return strstr(keys[0], "/head/") && atomic_fetch_sub(&dels_to_fail, 1) > 0
               ? errtext_set(err, -EIO, "%s: SlowDown", keys[0])
               : real->del(s, keys, n, c, err);
}

static int put_fails(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                     struct errtext *err)
{
    return strstr(key, "/head/") && atomic_fetch_sub(&head_puts_to_fail, 1) > 0
               ? errtext_set(err, -EIO, "%s: SlowDown", key)
               : real->put(s, key, src, c, err);
}

static void exchange_failing(struct library *lib, int dels, int head_puts)
{
    struct objstore_ops failing = *lib->eng.store->ops;
    atomic_store(&dels_to_fail, dels);
    atomic_store(&head_puts_to_fail, head_puts);
    failing.del = del_fails;
    failing.put = put_fails;
    exchange_ops(lib, &failing, &real);
}

static void await(struct library *lib, bool (*is)(struct library *lib, struct cartridge *c), struct cartridge *c)
{
    bool yes = is(lib, c);
    for (uint64_t until = clock_ms() + 20000; !yes && clock_ms() < until; yes = is(lib, c)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        progress_wait(&lib->eng.progress, seen, 100);
    }
    assert_true(yes);
}

static bool is_well(struct library *lib, struct cartridge *c)
{
    lock_take(&c->lock);
    bool well = !c->trouble[0];
    lock_release(&c->lock);
    return well && !atomic_load(&lib->eng.failing);
}

static bool has_one_head(struct library *lib, struct cartridge *c)
{
    (void)lib;
    return heads_of(cartridge_barcode(c)) == 1;
}

static bool is_unloaded(struct library *lib, struct cartridge *c)
{
    (void)lib;
    lock_take(&c->lock);
    bool unloaded = !c->loaded;
    lock_release(&c->lock);
    return unloaded;
}

static bool has_failed(struct library *lib, struct cartridge *c)
{
    (void)lib;
    (void)c;
    return atomic_load(&head_puts_to_fail) < 1;
}

/* The claim is recorded, and the tape written and committed: that the heads below could not be deleted is none of its trouble,
 * and mended by the next try. */
static void a_claim_whose_clean_up_fails_is_no_trouble(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "CLA001L8");
    move(lib, DRIVE, SLOT);
    close_library(lib);
    lib = open_library(c);
    struct cartridge *tape = library_cartridge(lib, "CLA001L8");
    exchange_failing(lib, 1, 0);
    forget_log();
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    flush_remote(lib);
    await(lib, is_well, tape);
    await(lib, has_one_head, tape);
    assert_int_equal(times_logged("CLA001L8: its older heads are deleted later: "), 1);
    assert_int_equal(times_logged("SlowDown"), 1);
    close_library(lib);
    config_free(c);
}

/* Its claim was for nothing but the removal, and no worker has it any more when it is freed. */
static void a_removal_whose_claim_leaves_heads_leaves_no_work(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "CLA001L8");
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    lib = open_library(c);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "CLA002L8", "capacity", 0)));
    exchange_failing(lib, 1, 0);
    forget_log();
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "CLA001L8", "force", 1)));
    assert_int_equal(times_logged("CLA001L8: its older heads are deleted later: "), 1);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib); /* the workers have looked at all that there is */
    close_library(lib);
    config_free(c);
}

/* Nothing comes after it that would clean up by the way. */
static void heads_that_could_not_be_deleted_go_by_the_next_try(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "CLA001L8");
    struct cartridge *tape = library_cartridge(lib, "CLA001L8");
    exchange_failing(lib, 2, 0);
    forget_log();
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    flush_remote(lib);
    await(lib, has_one_head, tape);
    await(lib, is_well, tape);
    close_library(lib);
    config_free(c);
}

/* The release failed, and the commit that comes instead gives the tape up, too. */
static void a_release_that_another_job_did_is_no_trouble(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "CLA001L8");
    struct errtext err = {""};
    struct cartridge *tape = library_cartridge(lib, "CLA001L8");
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    forget_log();
    exchange_failing(lib, 0, 1);
    await(lib, is_unloaded, tape);
    cartridge_want_release(tape, true);
    flush_remote(lib); /* nobody does anything for a tape that is not loaded */
    assert_int_equal(cartridge_load(tape, &err), 0);
    await(lib, has_failed, tape);
    await(lib, is_well, tape);
    assert_in_range(times_logged("SlowDown"), 0, 1); /* by then it may be no failure any more */
    close_library(lib);
    config_free(c);
}

static atomic_bool held;
static _Atomic(struct library *) holding;
static char held_key[DB_KEY_SIZE]; /* of the first segment that was put; written before holding is set */

static int put_held(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                    struct errtext *err)
{
    struct library *lib = atomic_exchange(&holding, NULL);
    if (lib && !strstr(key, "/seg/"))
        atomic_store(&holding, lib);
    else if (lib) {
        (void)snprintf(held_key, sizeof(held_key), "%s", key);
        atomic_store(&held, true);
        progress_post(&lib->eng.progress);
        while (atomic_load(&held))
            progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 20);
    }
    return real->put(s, key, src, c, err);
}

static bool is_held(struct library *lib, struct cartridge *c)
{
    (void)lib;
    (void)c;
    return atomic_load(&held);
}

static bool is_committed(struct library *lib, struct cartridge *c)
{
    (void)lib;
    lock_take(&c->lock);
    bool is = cartridge_is_committed(c) && !c->heads_taken;
    lock_release(&c->lock);
    return is;
}

static bool is_given_up(struct library *lib, struct cartridge *c)
{
    (void)lib;
    lock_take(&c->lock);
    bool is = c->row.released && c->owner == CARTRIDGE_UNCLAIMED && !c->n_pending && !c->heads_taken;
    lock_release(&c->lock);
    return is;
}

static int count_key(void *arg, const char *key)
{
    (void)key;
    ++*(unsigned *)arg;
    return 0;
}

/* Its object comes behind the head that gives the tape up: whoever has it by then knows nothing of it, and this gateway would
 * claim it back to delete that. */
static void a_tape_is_given_up_once_nothing_of_it_is_on_its_way(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "CLA001L8");
    struct cartridge *tape = library_cartridge(lib, "CLA001L8");
    struct objstore_ops ops = *lib->eng.store->ops;
    ops.put = put_held;
    exchange_ops(lib, &ops, &real);
    atomic_store(&holding, lib);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    await(lib, is_held, tape);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 2), TAPE_OK); /* over it */
    move(lib, DRIVE, SLOT);
    cartridge_want_release(tape, true);
    await(lib, is_committed, tape);
    atomic_store(&held, false);
    progress_post(&lib->eng.progress);
    await(lib, is_given_up, tape);
    unsigned garbage = 0;
    assert_int_equal(db_garbage(lib->eng.db, cartridge_rowid(tape), count_key, &garbage), 0);
    assert_int_equal(garbage, 0);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(recovery_is_told_once_and_when_it_is_true),         T(a_claim_whose_clean_up_fails_is_no_trouble),
        T(a_removal_whose_claim_leaves_heads_leaves_no_work), T(heads_that_could_not_be_deleted_go_by_the_next_try),
        T(a_release_that_another_job_did_is_no_trouble),      T(a_tape_is_given_up_once_nothing_of_it_is_on_its_way),
    };
    return cmocka_run_group_tests_name("failures_store", tests, NULL, NULL);
}
