/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_full_disk.c: a full disk on which there is cache, or will be: nothing fails, and nothing is lost. */
#include "tests/unit/full_disk.h"
#include "tests/unit/held_store.h"

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/drive/drive_private.h"

/* A tape that waits to be stored, and in the drive a new one, whose first segment is open. */
static struct library *beside_a_backlog(const struct vtl_config *c)
{
    struct library *lib = new_library(c, "ONE001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "TWO001L8", "capacity", 0)));
    void *d = library_drive(lib, 0);
    hold_segments(lib);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 700), TAPE_OK);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    return lib;
}

/* Blocks are acknowledged before they are in the spool. */
static void wait_for_another_tape(int error)
{
    static struct model m;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = beside_a_backlog(c);
    void *d = library_drive(lib, 0);
    disk_fills(error, "/spool/");
    m.n = 0;
    m.object[m.n++] = 1;
    for (uint64_t id = 2; id <= 4; id++) {
        assert_int_equal(write_id(d, id), TAPE_OK);
        m.object[m.n++] = id;
    }
    await_refusals(1);
    let_segments_go();
    assert_true(sync_is_good(d));
    check_all(d, &m);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

static void a_full_disk_waits_for_another_tape_that_is_being_stored(void **state)
{
    (void)state;
    wait_for_another_tape(ENOSPC);
}

static void a_quota_of_the_disk_that_is_used_up_is_a_full_disk(void **state)
{
    (void)state;
    wait_for_another_tape(EDQUOT);
}

static void *let_go_once_refused(void *arg)
{
    await_refusals(1);
    let_segments_go();
    return arg;
}

static void the_end_of_a_segment_waits_for_another_tape_that_is_being_stored(void **state)
{
    (void)state;
    pthread_t thread;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = beside_a_backlog(c);
    void *d = library_drive(lib, 0);
    disk_fills(ENOSPC, "/spool/");
    assert_int_equal(pthread_create(&thread, NULL, let_go_once_refused, NULL), 0);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    expect_id(d, 1);
    expect_result(d, TAPE_EOD);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

static void the_end_of_a_segment_waits_for_no_store_that_takes_nothing(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = beside_a_backlog(c);
    void *d = library_drive(lib, 0);
    atomic_fetch_add(&lib->eng.failing, 1);
    disk_fills(ENOSPC, "/spool/");
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_WRITE_ERROR);
    assert_int_equal(disk_empties(), 1); /* it was tried once */
    atomic_fetch_sub(&lib->eng.failing, 1);
    let_segments_go();
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* ---- cache that can go: it does, whoever needs the room ---- */

/* A tape with cache, and an open segment that has not been sealed. */
static struct library *with_cache(const struct vtl_config *c, const char *barcode)
{
    struct library *lib = with_tape(c, barcode);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    flush_remote(lib);
    assert_true(spool_cache_bytes(lib->eng.spool) > 0);
    return lib;
}

static bool rewinds(struct library *lib)
{
    return library_drive_ops()->rewind(library_drive(lib, 0), &never) == TAPE_OK;
}

static bool locates(struct library *lib)
{
    return library_drive_ops()->locate_object(library_drive(lib, 0), 0, 0, &never) == TAPE_OK;
}

static bool spaces(struct library *lib)
{
    int64_t n = -1;
    return library_drive_ops()->space_blocks(library_drive(lib, 0), &n, &never) == TAPE_OK;
}

static bool syncs(struct library *lib)
{
    return sync_is_good(library_drive(lib, 0));
}

static bool unloads(struct library *lib)
{
    return library_drive_ops()->unload(library_drive(lib, 0), &never) == TAPE_OK;
}

static bool moves(struct library *lib)
{
    return library_changer_ops()->move(lib, 0, DRIVE, SLOT, &never) == CHANGER_OK;
}

static bool formats(struct library *lib)
{
    return library_drive_ops()->format(library_drive(lib, 0), &never) == TAPE_OK;
}

static bool flushes(struct library *lib)
{
    struct errtext err = {""};
    json_t *q = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 0),
           *r = library_call(lib, q, &err);
    bool good = r != NULL;
    json_decref(q);
    json_decref(r);
    return good;
}

static bool rests(struct library *lib)
{
    const struct drive *d = library_drive(lib, 0);
    struct cartridge *c = d->c;
    cartridge_seal_if_idle(c, 0);
    lock_take(&c->lock);
    bool sealed = c->open.state == OPEN_CLOSED;
    lock_release(&c->lock);
    return sealed;
}

/* Each needs room for the end of the segment, for which the cache goes. */
static void what_ends_a_segment_finds_room_where_cache_is(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool (*end)(struct library *lib);
    } ends[] = {{"rewind", rewinds}, {"locate", locates}, {"space", spaces},    {"sync", syncs}, {"unload", unloads},
                {"format", formats}, {"flush", flushes},  {"idle seal", rests}, {"move", moves}};
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_cache(c, "END001L8");
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        void *d = library_drive(lib, 0);
        if (status(d).medium != TAPE_MEDIUM_LOADED)
            assert_int_equal(library_drive_ops()->load(d, &never), TAPE_OK);
        assert_int_equal(library_drive_ops()->space_end_of_data(d, &never), TAPE_OK);
        assert_int_equal(write_id(d, 2), TAPE_OK);
        flush_remote(lib);
        assert_true(spool_cache_bytes(lib->eng.spool) > 0);
        assert_int_equal(write_id(d, 3), TAPE_OK);
        disk_fills(ENOSPC, "/spool/");
        bool good = ends[i].end(lib);
        unsigned refused = disk_empties();
        if (!good || !refused)
            fail_msg("%s: %s", ends[i].name, refused ? "it failed" : "it wrote nothing");
    }
    close_library(lib);
    config_free(c);
}

/* The spool is at its limit, too, by what others have in it, and only the open segment can make room. */
static void a_write_at_the_limit_of_the_spool_finds_room_where_cache_is(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_cache(c, "LIM001L8");
    struct drive *d = library_drive(lib, 0);
    const uint64_t others = engine_dirty_limit(&lib->eng) - 100000;
    fill(1);
    assert_int_equal(library_drive_ops()->write(d, block, 90000, false, NULL, &never), TAPE_OK);
    atomic_fetch_add(&lib->eng.dirty_bytes, others);
    disk_fills(ENOSPC, "/spool/");
    enum tape_result r = library_drive_ops()->write(d, block, 90000, false, NULL, &never);
    atomic_fetch_sub(&lib->eng.dirty_bytes, others);
    assert_int_equal(r, TAPE_OK);
    assert_true(disk_empties() > 0);
    close_library(lib);
    config_free(c);
}

/* Its sync writes to the state only. */
static void a_sync_finds_room_for_the_state_where_cache_is(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_cache(c, "STA001L8");
    void *d = library_drive(lib, 0);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    disk_fills(ENOSPC, "/state.db-wal");
    bool good = sync_is_good(d);
    assert_true(disk_empties() > 0);
    assert_true(good);
    close_library(lib);
    config_free(c);
}

/* The store took it, but the state cannot say so: nobody else needs room. */
static void what_is_stored_finds_room_for_the_state_where_cache_is(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_cache(c, "UPL001L8");
    struct drive *d = library_drive(lib, 0);
    struct cartridge_backlog b = {.remote = false};
    hold_segments(lib);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    await_held();
    disk_fills(ENOSPC, "/state.db-wal");
    let_segments_go();
    for (uint64_t until = clock_ms() + 20000; !b.remote && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        cartridge_backlog(d->c, &b);
        if (!b.remote)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    assert_true(disk_empties() > 0);
    assert_true(b.remote);
    close_library(lib);
    config_free(c);
}

/* A library that is killed with a segment open, beside cache. */
static void die_with_an_open_segment(const struct vtl_config *c)
{
    pid_t pid = fork();
    if (!pid) {
        struct library *lib = with_cache(c, "REC001L8");
        void *d = library_drive(lib, 0);
        for (uint64_t id = 2; id <= 4; id++)
            if (write_id(d, id))
                _exit(1);
        _exit(!sync_is_good(d));
    }
    int died = 1;
    assert_int_equal(waitpid(pid, &died, 0), pid);
    assert_int_equal(died, 0);
}

static void a_recovery_finds_room_where_cache_is(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    die_with_an_open_segment(c);
    forget_log();
    disk_fills(ENOSPC, "/spool/");
    struct library *lib = open_library(c);
    assert_true(disk_empties() > 0);
    assert_int_equal(times_logged("REC001L8: recovered the open segment"), 1);
    void *d = library_drive(lib, 0);
    for (uint64_t id = 1; id <= 4; id++)
        expect_id(d, id);
    expect_result(d, TAPE_EOD);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* ---- cache that would go for nothing ---- */

static void a_segment_whose_sync_failed_takes_no_cache(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_cache(c, "BRK001L8");
    struct drive *d = library_drive(lib, 0);
    uint64_t cache = spool_cache_bytes(lib->eng.spool);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    spool_sync_fails(ENOSPC);
    assert_false(sync_is_good(d));
    spool_sync_fails(0);
    assert_false(rewinds(lib));
    cartridge_seal_if_idle(d->c, 0);
    assert_int_equal(write_id(d, 3), TAPE_WRITE_ERROR);
    assert_int_equal(spool_cache_bytes(lib->eng.spool), cache);
    (void)library_close(lib, &err);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_full_disk_waits_for_another_tape_that_is_being_stored),
        T(a_quota_of_the_disk_that_is_used_up_is_a_full_disk),
        T(the_end_of_a_segment_waits_for_another_tape_that_is_being_stored),
        T(the_end_of_a_segment_waits_for_no_store_that_takes_nothing),
        T(what_ends_a_segment_finds_room_where_cache_is),
        T(a_write_at_the_limit_of_the_spool_finds_room_where_cache_is),
        T(a_sync_finds_room_for_the_state_where_cache_is),
        T(what_is_stored_finds_room_for_the_state_where_cache_is),
        T(a_recovery_finds_room_where_cache_is),
        T(a_segment_whose_sync_failed_takes_no_cache),
    };
    return cmocka_run_group_tests_name("full_disk", tests, NULL, NULL);
}
