/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_retention.c: what a retention lock refuses, to whom, and what it outlives. */
#include "library_rig.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "vtl/library/library_private.h"
#include "vtl/library/tapes.h"

#define DAY 86400
static _Atomic int64_t clock_moved; /* seconds */
static _Atomic int64_t store_moved; /* what the store's clock is ahead of ours, */
static atomic_bool store_tells;     /* once it tells */

/* In place of libc's: the library's clock, which a test sets. */
time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    time_t t = now.tv_sec + clock_moved;
    if (out)
        *out = t;
    return t;
}

static int store_time(struct objstore *s, uint64_t *now)
{
    struct timespec real;
    (void)s;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    *now = store_tells ? (uint64_t)(real.tv_sec + store_moved) : 0;
    return store_tells ? 0 : -EAGAIN;
}

static int tell_at_check(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)c;
    (void)err;
    store_tells = true;
    return 0;
}

/* From now on the store of the library has a clock, as S3 has one. */
static void give_store_a_clock(struct library *lib)
{
    const struct objstore_ops *was;
    struct objstore_ops with_clock = *lib->eng.store->ops;
    with_clock.time = store_time;
    with_clock.check = tell_at_check;
    exchange_ops(lib, &with_clock, &was);
}

static json_t *lock_request(const char *mode, int64_t days, bool bypass)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:b}", "op", "tape-lock", "barcode", "RET001L8", "mode", mode, "until",
                     days ? (json_int_t)time(NULL) + days * DAY : 0, "bypass", (int)bypass);
}

static void lock_it(struct library *lib, const char *mode, int64_t days, bool bypass)
{
    json_decref(call(lib, lock_request(mode, days, bypass)));
}

static void refused(struct library *lib, json_t *request, const char *why)
{
    struct errtext err = {""};
    json_t *r = library_call(lib, request, &err);
    json_decref(request);
    assert_null(r);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static void cannot_be_removed(struct library *lib)
{
    refused(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "RET001L8", "force", 1),
            "nothing removes it before");
}

/* [retention], behind all of the file's. */
static struct vtl_config *config_rule(const char *state, const char *rule)
{
    char more[200];
    (void)snprintf(more, sizeof(more), "[retention]\ntapes = %s\n", rule);
    return config_more(state, "remote", "64M", more);
}

static void can_be_removed(struct library *lib)
{
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "RET001L8", "force", 1)));
}

/* A library with a tape of two blocks, in its slot. */
static struct library *with_tape(const struct vtl_config *c)
{
    struct library *lib = new_library(c, "RET001L8");
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    move(lib, DRIVE, SLOT);
    return lib;
}

/* In the drive, at BOP: nothing is written over, by whatever command; and all is still there. */
static void holds_in_drive(struct library *lib, uint64_t blocks)
{
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    const struct tape_ops *ops = library_drive_ops();
    assert_true(status(d).locked);
    assert_int_equal(write_id(d, 9), TAPE_WORM_OVERWRITE);
    assert_int_equal(ops->erase(d, true, &never), TAPE_WORM_OVERWRITE);
    assert_int_equal(ops->format(d, &never), TAPE_WORM_OVERWRITE);
    assert_int_equal(ops->set_capacity(d, 1000, &never), TAPE_WORM_OVERWRITE);
    assert_int_equal(ops->write_filemarks(d, 1, false, &never), TAPE_WORM_OVERWRITE);
    for (uint64_t i = 1; i <= blocks; i++)
        expect_id(d, i);
    assert_int_equal(status(d).end_object, blocks);
    assert_int_equal(write_id(d, blocks + 1), TAPE_OK); /* appending stays possible */
    move(lib, DRIVE, SLOT);
}

static void what_is_locked_is_neither_overwritten_nor_removed(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "governance", 30, false);
    holds_in_drive(lib, 2);
    cannot_be_removed(lib);
    close_library(lib);
    clock_moved = 31 * DAY; /* it ends by itself */
    lib = open_library(c);
    can_be_removed(lib);
    clock_moved = 0;
    close_library(lib);
    config_free(c);
}

/* On a store without a clock of its own, while the library is open. */
static void a_clock_set_forward_ends_no_lock(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "governance", 30, false);
    clock_moved = 3650 * DAY;
    cannot_be_removed(lib);
    refused(lib, lock_request("", 0, false), "--bypass-governance");
    holds_in_drive(lib, 2);
    clock_moved = 0;
    close_library(lib);
    config_free(c);
}

static void a_lock_ends_when_the_store_says_so_too(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "compliance", 30, false);
    flush_remote(lib);
    close_library(lib);
    clock_moved = 31 * DAY;
    lib = open_library(c);
    give_store_a_clock(lib);
    store_tells = false;
    store_moved = 29 * DAY;
    holds_in_drive(lib, 2); /* as long as nothing is known */
    cannot_be_removed(lib); /* which asks the store */
    assert_true(store_tells);
    refused(lib, lock_request("", 0, true), "can only be lengthened");
    holds_in_drive(lib, 3);
    store_moved = 31 * DAY;
    clock_moved = 29 * DAY;
    cannot_be_removed(lib);
    clock_moved = 31 * DAY;
    can_be_removed(lib);
    clock_moved = store_moved = 0;
    close_library(lib);
    config_free(c);
}

/* A time that has come by the store's clock is none to come. */
static void a_lock_begins_at_the_latest_clock(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    flush_remote(lib);
    close_library(lib);
    lib = open_library(c);
    give_store_a_clock(lib);
    store_tells = true;
    store_moved = 100 * DAY;
    refused(lib, lock_request("governance", 30, false), "a time to come");
    store_moved = 0;
    close_library(lib);
    config_free(c);
}

static void a_clock_set_back_ends_no_lock(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "compliance", 30, false);
    clock_moved = -3650 * DAY;
    holds_in_drive(lib, 2);
    cannot_be_removed(lib);
    close_library(lib);
    lib = open_library(c);
    cannot_be_removed(lib);
    refused(lib, lock_request("compliance", 30, true), "can only be lengthened"); /* 30 days of that clock */
    clock_moved = 0;
    close_library(lib);
    config_free(c);
}

static void nobody_shortens_compliance(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "compliance", 30, false);
    refused(lib, lock_request("compliance", 29, true), "can only be lengthened");
    refused(lib, lock_request("governance", 60, true), "can only be lengthened");
    refused(lib, lock_request("", 0, true), "can only be lengthened");
    lock_it(lib, "compliance", 60, false);
    close_library(lib);
    clock_moved = 40 * DAY;
    lib = open_library(c);
    cannot_be_removed(lib);
    clock_moved = 0;
    close_library(lib);
    config_free(c);
}

static void governance_is_shortened_by_a_named_switch_only(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "governance", 30, false);
    refused(lib, lock_request("", 0, false), "--bypass-governance");
    refused(lib, lock_request("governance", 3, false), "--bypass-governance");
    move(lib, SLOT, DRIVE);
    refused(lib, lock_request("governance", 60, false), "it is in a drive");
    move(lib, DRIVE, SLOT);
    lock_it(lib, "", 0, true);
    move(lib, SLOT, DRIVE);
    assert_false(status(library_drive(lib, 0)).locked);
    assert_int_equal(library_drive_ops()->erase(library_drive(lib, 0), false, &never), TAPE_OK);
    close_library(lib);
    config_free(c);
}

/* The bucket is enough: the head has the lock. */
static void a_lock_survives_a_restart_and_the_loss_of_the_state(void **state)
{
    (void)state;
    char path[120];
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "compliance", 30, false);
    flush_remote(lib);
    close_library(lib);
    lib = open_library(c);
    cannot_be_removed(lib);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    cannot_be_removed(lib);
    close_library(lib);
    config_free(c);
}

/* Another gateway, with a state of its own, takes the cartridge by force: the lock comes with it, and binds it. */
static void a_lock_binds_another_gateway(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "remote", "64M"), *two = config("two", "remote", "64M");
    struct library *lib = with_tape(one);
    lock_it(lib, "compliance", 30, false);
    flush_remote(lib);
    close_library(lib);
    clock_moved = -3650 * DAY;
    rebuild_library(two);
    lib = open_library(two);
    cannot_be_removed(lib);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "RET001L8", "force", 1)));
    cannot_be_removed(lib);
    refused(lib, lock_request("", 0, true), "can only be lengthened");
    lock_it(lib, "compliance", 3681, false);
    holds_in_drive(lib, 2);
    clock_moved = 0;
    close_library(lib);
    config_free(one);
    config_free(two);
}

#define DOOR ELEMENT_FIRST_IMPORT_EXPORT

static void through_the_door(struct library *lib, const char *op)
{
    json_decref(call(lib, json_pack("{s:s, s:[s]}", "op", op, "barcodes", "RET001L8")));
}

static void a_lock_goes_out_of_the_door_and_back(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "compliance", 30, false);
    clock_moved = -3650 * DAY;
    move(lib, SLOT, DOOR);
    cannot_be_removed(lib);
    through_the_door(lib, "tape-export");
    cannot_be_removed(lib); /* from the shelf */
    refused(lib, lock_request("", 0, true), "can only be lengthened");
    through_the_door(lib, "tape-import");
    move(lib, DOOR, SLOT);
    cannot_be_removed(lib);
    holds_in_drive(lib, 2);
    clock_moved = 0;
    close_library(lib);
    config_free(c);
}

/* The whole library, from a gateway that does not answer, and from one that forces it. */
static void a_lock_binds_who_takes_the_library_over(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "remote", "64M"), *two = config("two", "remote", "64M");
    struct library *lib = with_tape(one);
    struct errtext err = {""};
    json_t *report = NULL;
    lock_it(lib, "governance", 30, false);
    flush_remote(lib);
    close_library(lib);
    clock_moved = -3650 * DAY;
    if (library_take_over(two, &(struct takeover_options){.force = true}, &report, &err))
        fail_msg("%s", err.text);
    json_decref(report);
    lib = open_library(two);
    cannot_be_removed(lib);
    refused(lib, lock_request("", 0, false), "--bypass-governance");
    holds_in_drive(lib, 2);
    clock_moved = 0;
    close_library(lib);
    config_free(one);
    config_free(two);
}

/* What the lock keeps is no garbage: all of it comes back out of the bucket. */
static void gc_takes_nothing_of_a_locked_tape(void **state)
{
    (void)state;
    char path[120];
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    lock_it(lib, "compliance", 30, false);
    flush_remote(lib);
    clock_moved = -3650 * DAY;
    assert_int_equal(gc_of(lib, "RET001L8"), 0);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    cannot_be_removed(lib);
    holds_in_drive(lib, 2);
    clock_moved = 0;
    close_library(lib);
    config_free(c);
}

/* Heads from before the lock are put back, and taken by force. */
static void an_older_head_ends_no_compliance(void **state)
{
    (void)state;
    char command[500];
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_tape(c);
    flush_remote(lib);
    close_library(lib); /* while it is served, its inventory comes and goes */
    (void)snprintf(command, sizeof(command), "cp -a %s/store %s/before", dir, dir);
    assert_int_equal(system(command), 0);
    lib = open_library(c);
    lock_it(lib, "compliance", 30, false);
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(command, sizeof(command), "chmod -R u+w %s/store && rm -r %s/store && mv %s/before %s/store", dir,
                   dir, dir, dir);
    assert_int_equal(system(command), 0);
    lib = open_library(c);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "RET001L8", "force", 1)));
    cannot_be_removed(lib);
    holds_in_drive(lib, 2);
    close_library(lib);
    config_free(c);
}

/* The workers unload a clean cartridge at any moment, also between a command's look at it and its change. */
static void a_lock_reaches_the_head_of_a_tape_that_was_unloaded(void **state)
{
    (void)state;
    struct vtl_config *cfg = config("one", "remote", "64M");
    struct library *lib = with_tape(cfg);
    struct cartridge *c = library_cartridge(lib, "RET001L8");
    struct cartridge_view v = {.loaded = true};
    struct errtext err = {""};
    flush_remote(lib);
    for (uint64_t until = clock_ms() + 20000; v.loaded && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        cartridge_unload_if_clean(c);
        cartridge_view(c, &v);
        if (v.loaded)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    assert_false(v.loaded);
    const struct retention r = {RETENTION_COMPLIANCE, (uint64_t)time(NULL) + 30 * DAY};
    assert_int_equal(cartridge_set_retention(c, &r, false, &err), 0);
    tapes_commit_row(c);
    json_t *flushed = call(lib, json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000));
    assert_true(json_is_true(json_object_get(flushed, "remote")));
    json_decref(flushed);
    close_library(lib);
    config_free(cfg);
}

/* ---- by the configuration ---- */

static void mark(struct library *lib)
{
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 1, false, &never), TAPE_OK);
}

/* In the drive, behind n files of a block each. */
static struct library *with_files(const struct vtl_config *c, unsigned n)
{
    struct library *lib = new_library(c, "RET001L8");
    move(lib, SLOT, DRIVE);
    for (unsigned i = 1; i <= n; i++) {
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
        mark(lib);
    }
    return lib;
}

static void rewind_it(struct library *lib)
{
    assert_int_equal(library_drive_ops()->rewind(library_drive(lib, 0), &never), TAPE_OK);
}

static json_int_t retained_until(struct library *lib, const char *mode)
{
    struct cartridge_view v;
    cartridge_view(library_cartridge(lib, "RET001L8"), &v);
    assert_string_equal(retention_name(v.retention.mode), mode);
    return (json_int_t)v.retention.until;
}

static void a_pattern_locks_what_is_synced(void **state)
{
    (void)state;
    struct vtl_config *c = config_rule("one", "PBS*:compliance:9d RET*:governance:30d *:compliance:9d");
    struct library *lib = with_files(c, 2);
    void *d = library_drive(lib, 0);
    assert_false(status(d).locked); /* labels only: they may be written anew */
    rewind_it(lib);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    for (unsigned i = 2; i <= 3; i++) {
        mark(lib);
        assert_int_equal(write_id(d, i), TAPE_OK);
    }
    assert_false(status(d).locked);
    mark(lib);
    assert_true(status(d).locked);
    rewind_it(lib);
    assert_int_equal(write_id(d, 9), TAPE_WORM_OVERWRITE);
    assert_in_range(retained_until(lib, "governance") - time(NULL), 30 * DAY, 30 * DAY + 3602);
    move(lib, DRIVE, SLOT);
    cannot_be_removed(lib);
    close_library(lib);
    config_free(c);
}

static void a_tape_without_files_is_locked_by_what_it_holds(void **state)
{
    (void)state;
    struct vtl_config *c = config_rule("one", "RET*:governance:30d");
    struct library *lib = with_files(c, 1);
    void *d = library_drive(lib, 0);
    while (!status(d).locked && status(d).object < 5000) {
        assert_int_equal(write_id(d, status(d).object), TAPE_OK);
        if (status(d).object % 16 == 0)
            assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    }
    assert_true(status(d).locked);
    close_library(lib);
    config_free(c);
}

static void each_write_moves_the_end_and_other_gateways_keep_it(void **state)
{
    (void)state;
    char path[120];
    struct vtl_config *c = config_rule("one", "RET*:compliance:30d");
    struct library *lib = with_files(c, 3);
    json_int_t first = retained_until(lib, "compliance");
    mark(lib);
    assert_int_equal(retained_until(lib, "compliance"), first); /* not with each sync */
    clock_moved = 20 * DAY;
    mark(lib);
    assert_in_range(retained_until(lib, "compliance") - time(NULL), 30 * DAY, 30 * DAY + 3602);
    clock_moved = 0;
    mark(lib);
    assert_true(retained_until(lib, "compliance") > first + 19 * DAY); /* never earlier */
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    struct vtl_config *two = config("two", "remote", "64M"); /* which has no such rule */
    rebuild_library(two);
    lib = open_library(two);
    assert_true(retained_until(lib, "compliance") > first + 19 * DAY);
    cannot_be_removed(lib);
    close_library(lib);
    config_free(c);
    config_free(two);
}

/* What was locked by hand, longer or more strongly, stays so. */
static void a_pattern_weakens_nothing(void **state)
{
    (void)state;
    struct vtl_config *c = config_rule("one", "RET*:governance:30d");
    struct library *lib = with_files(c, 2);
    move(lib, DRIVE, SLOT);
    lock_it(lib, "compliance", 60, false);
    json_int_t until = retained_until(lib, "compliance");
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    mark(lib);
    assert_int_equal(retained_until(lib, "compliance"), until);
    close_library(lib);
    config_free(c);
}

static void a_reload_takes_the_patterns(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = with_files(c, 4);
    assert_false(status(library_drive(lib, 0)).locked);
    config_free(config_rule("one", "RET*:governance:30d")); /* the same file */
    json_decref(call(lib, json_pack("{s:s}", "op", "reload")));
    assert_false(status(library_drive(lib, 0)).locked);
    mark(lib);
    assert_true(status(library_drive(lib, 0)).locked);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_locked_is_neither_overwritten_nor_removed),
        T(a_clock_set_back_ends_no_lock),
        T(a_clock_set_forward_ends_no_lock),
        T(a_lock_ends_when_the_store_says_so_too),
        T(a_lock_begins_at_the_latest_clock),
        T(nobody_shortens_compliance),
        T(governance_is_shortened_by_a_named_switch_only),
        T(a_lock_survives_a_restart_and_the_loss_of_the_state),
        T(a_lock_binds_another_gateway),
        T(a_lock_goes_out_of_the_door_and_back),
        T(a_lock_binds_who_takes_the_library_over),
        T(gc_takes_nothing_of_a_locked_tape),
        T(an_older_head_ends_no_compliance),
        T(a_lock_reaches_the_head_of_a_tape_that_was_unloaded),
        T(a_pattern_locks_what_is_synced),
        T(a_tape_without_files_is_locked_by_what_it_holds),
        T(each_write_moves_the_end_and_other_gateways_keep_it),
        T(a_pattern_weakens_nothing),
        T(a_reload_takes_the_patterns),
    };
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
