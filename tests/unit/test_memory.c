/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_memory.c: memory that is out at the wrong moment: what was being changed is as it was. */
#include "tests/unit/library_rig.h"

#include "vtl/cartridge/cartridge_private.h"

#define TAPE "MEM001L8"

/* The linker puts these in place of the library's own. */
static _Atomic(void *) fails_for; /* NULL: for nothing */
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
    return p && p == atomic_load(&fails_for) ? NULL : __real_realloc(p, n);
}

/* No room in the index for one segment more, from now on. */
static void index_is_full(struct library *lib)
{
    struct cartridge *c = library_cartridge(lib, TAPE);
    lock_take(&c->lock);
    assert_int_equal(c->live.n_segs, c->live.room_segs);
    atomic_store(&fails_for, c->live.segs);
    lock_release(&c->lock);
}

static void an_overwrite_that_finds_no_memory_changes_nothing(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, TAPE);
    const struct tape_ops *ops = library_drive_ops();
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(write_id(d, i), TAPE_OK);
    assert_int_equal(ops->locate_object(d, 0, 1, &never), TAPE_OK);
    index_is_full(lib);
    assert_int_not_equal(write_id(d, 10), TAPE_OK);
    atomic_store(&fails_for, NULL);
    assert_int_equal(ops->rewind(d, &never), TAPE_OK);
    for (uint64_t i = 1; i <= 3; i++)
        expect_id(d, i);
    assert_int_equal(ops->locate_object(d, 0, 1, &never), TAPE_OK);
    assert_int_equal(write_id(d, 11), TAPE_OK);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    lib = open_library(c);
    d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    expect_id(d, 1);
    expect_id(d, 11);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_overwrite_that_finds_no_memory_changes_nothing, setup, teardown),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
