/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_failures.c: a disk or a state that fails in the middle: what it leaves as it was, and who is told. */
#include "tests/unit/failure_help.h"

#include <errno.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/library_private.h"

static struct library *with_tape(const struct vtl_config *c, const char *barcode)
{
    struct library *lib = new_library(c, barcode);
    move(lib, SLOT, DRIVE);
    return lib;
}

/* ---- the disk ---- */

static void each_idle_segment_that_cannot_be_sealed_is_told_once(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "IDL001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "IDL002L8", "capacity", 0)));
    move(lib, SLOT, DRIVE + 1);
    struct cartridge *tape[2];
    for (unsigned i = 0; i < 2; i++) {
        struct drive *d = library_drive(lib, i);
        assert_int_equal(write_id(d, 1), TAPE_OK);
        tape[i] = d->c;
    }
    flush_remote(lib); /* the workers have nothing to say either */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(write_id(library_drive(lib, i), 2), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 1), 0, false, &never), TAPE_OK);
    forget_log();
    disk_breaks();
    for (int n = 0; n < 3; n++)
        for (unsigned i = 0; i < 2; i++)
            cartridge_seal_if_idle(tape[i], 0);
    disk_works();
    assert_int_equal(times_logged("IDL001L8: sealing the idle segment: File too large"), 1);
    assert_int_equal(times_logged("IDL002L8: sealing the idle segment: File too large"), 1);
    for (unsigned i = 0; i < 2; i++)
        cartridge_seal_if_idle(tape[i], 0);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* used decides early warning: what a failed command did not cut still counts. */
static void writes_that_fail_in_the_middle_leave_early_warning_where_it_was(void **state)
{
    (void)state;
    static struct model m;
    const struct tape_ops *ops = library_drive_ops();
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "USE001L8");
    struct drive *d = library_drive(lib, 0);
    m.n = 0;
    write_model(d, &m, 0, 5, 1);
    flush_remote(lib);
    uint64_t used = status(d).used;
    d->capacity = used; /* so that the end of data is just past early warning */
    for (int erase = 0; erase < 2; erase++) {
        assert_int_equal(ops->locate_object(d, 0, 1, &never), TAPE_OK);
        disk_breaks();
        enum tape_result r = erase ? ops->erase(d, false, &never) : ops->write_filemarks(d, 1, true, &never);
        disk_works();
        assert_int_equal(r, TAPE_WRITE_ERROR);
        assert_int_equal(status(d).used, used);
        assert_int_equal(ops->space_end_of_data(d, &never), TAPE_OK);
        assert_true(status(d).past_early_warning);
    }
    check_all(d, &m);
    close_library(lib);
    config_free(c);
}

/* Others fill the spool, and the open segment is all of this tape that could make room: it cannot be sealed. */
static void a_write_that_cannot_make_room_in_the_spool_says_why(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "ROM001L8");
    struct drive *d = library_drive(lib, 0);
    const uint64_t others = engine_dirty_limit(&lib->eng);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib); /* so that no worker meets the broken disk first */
    assert_int_equal(write_id(d, 4), TAPE_OK);
    forget_log();
    atomic_fetch_add(&lib->eng.dirty_bytes, others);
    disk_breaks();
    enum tape_result r = write_id(d, 2);
    disk_works();
    atomic_fetch_sub(&lib->eng.dirty_bytes, others);
    assert_int_equal(r, TAPE_WRITE_ERROR);
    assert_int_equal(times_logged("ROM001L8: spool"), 1);
    assert_int_equal(times_logged("File too large"), 1);
    assert_int_equal(library_drive_ops()->space_end_of_data(d, &never), TAPE_OK);
    assert_true(status(d).alerts & TAPE_ALERT_BIT(ALERT_WRITE_FAILURE));
    assert_int_equal(write_id(d, 3), TAPE_OK);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_id(d, 4);
    expect_id(d, 3);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

#define LARGE (6u << 20)

/* Rows first, files after: a row without its file would keep the cartridge from being loaded. The segment's header fits
 * on the disk, its first record does not. */
static void a_segment_that_got_no_record_keeps_its_file_while_its_row_stays(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "ROW001L8");
    void *d = library_drive(lib, 0);
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib);
    state_refuses("one", "DELETE", "segment");
    forget_log();
    files_end_at(LARGE - (1 << 20));
    enum tape_result r = library_drive_ops()->write(d, large, LARGE, false, NULL, &never);
    disk_works();
    free(large);
    assert_int_equal(r, TAPE_WRITE_ERROR);
    assert_int_equal(times_logged(STATE_ERROR), 1); /* it came so far */
    state_works("one");
    close_library(lib);
    lib = open_library(c);
    d = library_drive(lib, 0);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_LOADED);
    expect_id(d, 1);
    expect_result(d, TAPE_EOD);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* ---- the state ---- */

static bool has_bad_files(const char *barcode)
{
    char command[200];
    (void)snprintf(command, sizeof(command), "ls %s/one/spool/%s/*.bad >/dev/null 2>&1", dir, barcode);
    return system(command) == 0;
}

static json_t *claim(struct library *lib, const char *barcode, struct errtext *err)
{
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", 1);
    json_t *r = library_call(lib, q, err);
    json_decref(q);
    return r;
}

/* Another gateway goes on from the first head, and this one has blocks that no head will ever name. */
static void write_past_each_other(struct library *lib, struct model *m, const struct vtl_config *other)
{
    void *d = library_drive(lib, 0);
    m->n = 0;
    write_model(d, m, 0, 20, 1);
    flush_remote(lib);
    workers_stop(&lib->eng); /* so that it does not find out by itself */
    rebuild_library(other);
    struct library *lib2 = open_library(other);
    struct model *theirs = malloc(sizeof(*theirs));
    assert_non_null(theirs);
    *theirs = *m;
    move(lib2, SLOT, DRIVE);
    write_model(library_drive(lib2, 0), theirs, m->n, 10, 500);
    flush_remote(lib2);
    close_library(lib2);
    free(theirs);
    write_model(d, m, m->n, 5, 900);
    struct errtext err = {""};
    assert_int_equal(drive_remove(d, &never, &err), 0); /* without workers, a move concerns the elements only */
    move(lib, DRIVE, SLOT);
}

static void a_claim_that_fails_in_the_state_changes_nothing(void **state)
{
    (void)state;
    static struct model m;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "local", "16M"), *other = config("two", "remote", "16M");
    struct library *lib = with_tape(c, "CLM001L8");
    write_past_each_other(lib, &m, other);
    uint64_t dirty = atomic_load(&lib->eng.dirty_bytes);
    assert_true(dirty > 0);
    state_refuses("one", "INSERT", "segment");
    assert_null(claim(lib, "CLM001L8", &err));
    state_works("one");
    if (!strstr(err.text, STATE_ERROR))
        fail_msg("%s", err.text);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), dirty);
    assert_false(has_bad_files("CLM001L8"));
    struct cartridge_view v;
    cartridge_view(library_cartridge(lib, "CLM001L8"), &v);
    assert_int_equal(v.end_object, m.n);
    json_t *r = claim(lib, "CLM001L8", &err);
    assert_non_null(r);
    assert_int_equal(json_integer_value(json_object_get(r, "kept_bytes")), dirty);
    json_decref(r);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), 0);
    assert_true(has_bad_files("CLM001L8"));
    close_library(lib);
    config_free(other);
    config_free(c);
}

static void a_cleaning_that_cannot_be_counted_says_why(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "CLN001L1");
    state_refuses("one", "UPDATE", "cartridge");
    forget_log();
    move(lib, SLOT, DRIVE);
    assert_int_equal(times_logged("the cleaning is not counted: CLN001L1: state: " STATE_ERROR), 1);
    move(lib, DRIVE, SLOT);
    state_works("one");
    close_library(lib);
    config_free(c);
}

/* SQLite finds it here before the libc's. */
static bool no_sync;
int fdatasync(int fd)
{
    if (no_sync) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

/* The state of a gateway that is gone at once, as another finds it. */
static void check_copy(const struct model *m)
{
    char command[300];
    struct vtl_config *copy = config("copy", "local", "16M");
    (void)snprintf(command, sizeof(command), "rm -rf %s/copy && cp -a %s/one %s/copy", dir, dir, dir);
    assert_int_equal(system(command), 0);
    struct library *lib = open_library(copy);
    check_all(library_drive(lib, 0), m);
    close_library(lib);
    config_free(copy);
}

/* The ERASE whose rows could not be synced is in the WAL, and would be done by the next start. */
static void a_sync_is_not_good_while_a_change_that_failed_may_still_come(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "DBT001L8");
    void *d = library_drive(lib, 0);
    const struct tape_ops *ops = library_drive_ops();
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    flush_remote(lib);
    assert_int_equal(ops->locate_object(d, 0, 5, &never), TAPE_OK);
    no_sync = true;
    assert_int_equal(ops->erase(d, false, &never), TAPE_WRITE_ERROR);
    assert_int_not_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    no_sync = false;
    check_all(d, &m);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    check_copy(&m);
    close_library(lib);
    config_free(c);
}

/* ---- the store ---- */

/* Where a directory of the store is, a file is, or no longer. */
static void store_lacks(const char *name, bool lacks)
{
    char path[120], aside[140];
    (void)snprintf(path, sizeof(path), "%s/store/tapes/STO001L8/%s", dir, name);
    (void)snprintf(aside, sizeof(aside), "%s.aside", path);
    if (!lacks)
        assert_int_equal(remove(path), 0);
    assert_int_equal(rename(lacks ? path : aside, lacks ? aside : path), 0);
    if (lacks)
        fclose(fopen(path, "w"));
}

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

static size_t heads_of(struct library *lib, const char *barcode)
{
    struct errtext err = {""};
    struct seg_id *heads = NULL;
    size_t n = 0;
    if (commit_list_heads(lib->eng.store, barcode, &heads, &n, NULL, &err))
        fail_msg("%s", err.text);
    free(heads);
    return n;
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
    return heads_of(lib, cartridge_barcode(c)) == 1;
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
    assert_int_equal(times_logged("SlowDown"), 0);
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
    struct cartridge *tape = library_cartridge(lib, "CLA001L8");
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    exchange_failing(lib, 0, 1);
    forget_log();
    cartridge_want_release(tape, true);
    for (uint64_t until = clock_ms() + 20000; !times_logged("SlowDown") && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_int_equal(times_logged("SlowDown"), 1);
    await(lib, is_well, tape);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_idle_segment_that_cannot_be_sealed_is_told_once),
        T(writes_that_fail_in_the_middle_leave_early_warning_where_it_was),
        T(a_write_that_cannot_make_room_in_the_spool_says_why),
        T(a_segment_that_got_no_record_keeps_its_file_while_its_row_stays),
        T(a_claim_that_fails_in_the_state_changes_nothing),
        T(a_cleaning_that_cannot_be_counted_says_why),
        T(a_sync_is_not_good_while_a_change_that_failed_may_still_come),
        T(recovery_is_told_once_and_when_it_is_true),
        T(a_claim_whose_clean_up_fails_is_no_trouble),
        T(heads_that_could_not_be_deleted_go_by_the_next_try),
        T(a_release_that_another_job_did_is_no_trouble),
    };
    return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}
