/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_modes.c: who may read what a library keeps on the local disk: nobody else, whatever the umask. */
#include "tests/unit/library_rig.h"
#include "vtl/library/control.h"

static unsigned files; /* seen by expect_mode */

static int expect_mode(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)f;
    mode_t want = type == FTW_D ? S_IFDIR | 0700 : S_ISSOCK(st->st_mode) ? S_IFSOCK | 0660 : S_IFREG | 0600;
    if (st->st_mode != want)
        fail_msg("%s: mode %o, not %o", path, st->st_mode, want);
    files++;
    return 0;
}

static void what_is_in_state_dir_is_closed_to_others_whatever_the_umask(void **state)
{
    (void)state;
    static const struct {
        mode_t mask;
        const char *name;
    } cases[] = {{0, "none"}, {022, "usual"}, {077, "strict"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vtl_config *c = config(cases[i].name, "local", "64M");
        struct control_server *s = NULL;
        struct errtext err = {""};
        mode_t old = umask(cases[i].mask);
        init_library(c);
        struct library *lib = open_library(c);
        if (control_server_start(lib, c, &s, &err))
            fail_msg("%s", err.text);
        json_decref(
            call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "MOD001L8", "capacity", 0)));
        move(lib, SLOT, DRIVE);
        assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
        assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 1, false, &never), TAPE_OK);
        files = 0;
        assert_int_equal(nftw(c->library.state_dir, expect_mode, 16, FTW_PHYS), 0);
        assert_int_equal(files, 9); /* and state.db, -wal, -shm, lock, control.sock, spool, its cartridge and segment */
        control_server_stop(s);
        close_library(lib);
        umask(old);
        config_free(c);
        char store[100];
        (void)snprintf(store, sizeof(store), "%s/store", dir);
        remove_tree(store);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_in_state_dir_is_closed_to_others_whatever_the_umask),
    };
    return cmocka_run_group_tests_name("modes", tests, NULL, NULL);
}
