/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mount.c: a drive from one tape to the next: what it tells of the first is not told of the second. */
#include "tests/unit/full_disk.h"
#include "tests/unit/held_store.h"

#include <sched.h>

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/drive/drive_private.h"

static void make_tape(struct library *lib, const char *barcode)
{
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0)));
}

/* A library that is killed with a segment open, which the state then does not let be recovered. */
static struct library *with_a_tape_that_cannot_be_loaded(const struct vtl_config *c)
{
    pid_t pid = fork();
    if (!pid) {
        struct library *lib = with_tape(c, "BAD001L8");
        void *d = library_drive(lib, 0);
        _exit(write_id(d, 7) != TAPE_OK);
    }
    int died = 1;
    assert_int_equal(waitpid(pid, &died, 0), pid);
    assert_int_equal(died, 0);
    run_sql("one", "CREATE TRIGGER refused BEFORE UPDATE ON segment WHEN OLD.cartridge = (SELECT rowid FROM cartridge "
                   "WHERE barcode='BAD001L8') BEGIN SELECT RAISE(ABORT, '" STATE_ERROR "'); END");
    return open_library(c);
}

static struct tape_statistics statistics(void *d)
{
    struct tape_statistics s;
    library_drive_ops()->statistics(d, &s);
    return s;
}

static void a_load_that_fails_counts_for_its_own_tape(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_a_tape_that_cannot_be_loaded(c);
    void *d = library_drive(lib, 0);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_UNLOADED);
    move(lib, DRIVE, SLOT);
    make_tape(lib, "OTHER1L8");
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_true(sync_is_good(d));
    move(lib, DRIVE, SLOT + 1);
    struct tape_statistics before = statistics(d);
    assert_true(before.drive.stored_bytes > 0);
    (void)library_changer_ops()->move(lib, 0, SLOT, DRIVE, &never);
    assert_int_equal(library_drive_ops()->load(d, &never), TAPE_READ_ERROR);
    struct tape_statistics after = statistics(d);
    assert_int_equal(after.drive.stored_bytes, before.drive.stored_bytes);
    assert_int_equal(after.drive.read_errors, before.drive.read_errors + 1);
    assert_int_equal(after.mount.read_errors, 1);
    assert_int_equal(after.mount.stored_bytes, 0);
    assert_int_equal(after.mount.written_bytes, 0);
    assert_int_equal(after.life.stored_bytes, 0);
    state_works("one");
    assert_int_equal(library_drive_ops()->load(d, &never), TAPE_OK);
    expect_id(d, 7);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

static void a_flush_does_not_wait_for_a_tape_that_cannot_be_loaded(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_a_tape_that_cannot_be_loaded(c);
    struct drive *d = library_drive(lib, 0);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_UNLOADED);
    struct cartridge_backlog b;
    cartridge_backlog(d->c, &b);
    assert_false(b.remote);
    d->flush_limit_ms = 5000;
    assert_int_equal(drive_flush(d, &never, &err), -ENODATA);
    if (!strstr(err.text, "BAD001L8: open segment"))
        fail_msg("%s", err.text);
    state_works("one");
    assert_int_equal(drive_flush(d, &never, &err), 0);
    cartridge_backlog(d->c, &b);
    assert_true(b.remote);
    assert_int_equal(library_drive_ops()->load(d, &never), TAPE_OK);
    expect_id(d, 7);
    close_library(lib);
    config_free(c);
}

static void the_buffer_of_a_fenced_tape_is_not_that_of_the_next(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_tape(c, "FEN001L8");
    struct drive *d = library_drive(lib, 0);
    make_tape(lib, "OTHER1L8");
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_true(status(d).bytes_in_buffer > 0);
    lock_take(&d->c->lock);
    cartridge_fence(d->c, DB_FENCED_STALE);
    lock_release(&d->c->lock);
    d->fence_told = true;
    (void)library_changer_ops()->move(lib, 0, DRIVE, SLOT, &never);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_LOADED);
    assert_int_equal(status(d).blocks_in_buffer, 0);
    assert_int_equal(status(d).bytes_in_buffer, 0);
    (void)library_close(lib, &err);
    config_free(c);
}

static void *move_out(void *lib)
{
    move(lib, DRIVE, SLOT + 1);
    return NULL;
}

/* What is queued cannot be written until the other tape is stored. */
static void a_tape_that_leaves_ends_where_it_is_written_to(void **state)
{
    (void)state;
    pthread_t thread;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "ONE001L8");
    struct drive *d = library_drive(lib, 0);
    make_tape(lib, "TWO001L8");
    hold_segments(lib);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 700), TAPE_OK);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    disk_fills(ENOSPC, "/spool/");
    for (uint64_t id = 2; id <= 4; id++)
        assert_int_equal(write_id(d, id), TAPE_OK);
    uint64_t written = statistics(d).drive.written_bytes;
    await_refusals(1);
    assert_int_equal(pthread_create(&thread, NULL, move_out, lib), 0);
    while (lock_try(&d->op_lock)) {
        lock_release(&d->op_lock);
        sched_yield();
    }
    await_refusals(refusals() + 1); /* whatever it did first is done by then */
    struct tape_status st = status(d);
    uint64_t leaving = statistics(d).drive.written_bytes;
    let_segments_go();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(st.object, 4);
    assert_int_equal(st.end_object, 4);
    assert_int_equal(leaving, written);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_load_that_fails_counts_for_its_own_tape),
        T(a_flush_does_not_wait_for_a_tape_that_cannot_be_loaded),
        T(the_buffer_of_a_fenced_tape_is_not_that_of_the_next),
        T(a_tape_that_leaves_ends_where_it_is_written_to),
    };
    return cmocka_run_group_tests_name("mount", tests, NULL, NULL);
}
