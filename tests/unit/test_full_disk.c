/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_full_disk.c: a full disk on which there is cache, or will be: nothing fails, and nothing is lost. */
#include "tests/unit/full_disk.h"
#include "tests/unit/held_store.h"

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/drive/drive_private.h"

/* Blocks are acknowledged before they are in the spool. */
static void wait_for_another_tape(int error)
{
    static struct model m;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "ONE001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "TWO001L8", "capacity", 0)));
    void *d = library_drive(lib, 0);
    hold_segments(lib);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 700), TAPE_OK);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK); /* its first segment is open */
    disk_fills(error, "/spool/");
    m.n = 0;
    m.object[m.n++] = 1;
    for (uint64_t id = 2; id <= 4; id++) {
        assert_int_equal(write_id(d, id), TAPE_OK);
        m.object[m.n++] = id;
    }
    await_refusal();
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_full_disk_waits_for_another_tape_that_is_being_stored),
        T(a_quota_of_the_disk_that_is_used_up_is_a_full_disk),
    };
    return cmocka_run_group_tests_name("full_disk", tests, NULL, NULL);
}
