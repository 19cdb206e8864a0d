/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_library.c: the library without a transport: drives and changer by their operations, and what a rebuild keeps. */
#include "tests/unit/library_rig.h"

/* Hundreds of segments go into maps; an overwrite cuts one; more is written; the bucket alone gives all of it back. */
static void maps_survive_cuts_and_a_rebuild(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = new_library(c, "MAP001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 2100, 1);
    flush_remote(lib); /* about 300 segments: one map of 256 */
    write_model(d, &m, 1500, 50, 10000);
    flush_remote(lib); /* the map is cut, the rest is inline */
    write_model(d, &m, m.n, 300, 20000);
    flush_remote(lib);
    check_all(d, &m);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    check_all(d, &m);
    /* And it can be written on. */
    write_model(d, &m, 1000, 30, 30000);
    flush_remote(lib);
    check_all(d, &m);
    close_library(lib);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    check_all(d, &m);
    close_library(lib);
    config_free(c);
}

/* durability = remote: what a WRITE FILEMARKS without IMMED acknowledged is there without the local disk. */
static void remote_sync_means_in_the_store(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "REM001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    struct vtl_config *other = config("two", "remote", "16M");
    rebuild_library(other); /* while the first still runs */
    struct library *lib2 = open_library(other);
    void *d2 = library_drive(lib2, 0);
    move(lib2, SLOT, DRIVE);
    check_all(d2, &m);
    close_library(lib2);
    close_library(lib);
    config_free(other);
    config_free(c);
}

/* ERASE and FORMAT leave a blank tape, also for a rebuild; the old objects go from the store. */
static void an_erased_tape_is_blank_and_its_objects_go(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "remote", "0");
    struct library *lib = new_library(c, "ERA001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 60, 1);
    flush_remote(lib);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->format(d, &never), TAPE_OK);
    expect_result(d, TAPE_EOD);
    flush_remote(lib);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/store/tapes/ERA001L8/seg", dir);
    for (int i = 0; i < 100 && !access(path, F_OK); i++)
        usleep(50000); /* deleted in the background, after the head */
    assert_int_not_equal(access(path, F_OK), 0);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    struct vtl_config *other = config("two", "remote", "0");
    rebuild_library(other);
    lib = open_library(other);
    d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(other);
    config_free(c);
}

/* A flipped byte in the store or the spool is MEDIUM ERROR, never data (I3). */
static void damage_is_an_error_never_data(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = new_library(c, "DAM001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    flush_remote(lib);
    char cmd[300];
    (void)snprintf(
        cmd, sizeof(cmd),
        "for f in %s/store/tapes/DAM001L8/seg/*; do printf X | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null; done",
        dir);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_result(d, TAPE_READ_ERROR);
    assert_int_equal(status(d).object, 0); /* stays before it */
    assert_int_not_equal(status(d).alerts, 0);
    assert_int_equal(library_drive_ops()->locate_object(d, 0, 1, &never), TAPE_OK);
    expect_id(d, 2);
    close_library(lib);
    config_free(c);
}

/* Two cartridges of the same shape: what is right in itself, but somebody else's, is no data either. */
static void the_object_of_another_cartridge_is_an_error(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = new_library(c, "OTH001L8");
    struct errtext err = {""};
    char cmd[400];
    void *d = library_drive(lib, 0);
    json_t *q = json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "OTH002L8", "capacity", 0);
    json_decref(library_call(lib, q, &err));
    json_decref(q);
    for (uint16_t i = 0; i < 2; i++) {
        move(lib, (uint16_t)(SLOT + i), DRIVE);
        assert_int_equal(write_id(d, 7), TAPE_OK);
        assert_int_equal(write_id(d, 8), TAPE_OK);
        flush_remote(lib);
        move(lib, DRIVE, (uint16_t)(SLOT + i));
    }
    (void)snprintf(cmd, sizeof(cmd), "cd %s/store/tapes && cat OTH002L8/seg/* >x && cp x OTH001L8/seg/*", dir);
    assert_int_equal(system(cmd), 0);
    move(lib, SLOT, DRIVE);
    expect_result(d, TAPE_READ_ERROR);
    assert_int_equal(library_drive_ops()->locate_object(d, 0, 1, &never), TAPE_OK);
    expect_result(d, TAPE_READ_ERROR);
    close_library(lib);
    config_free(c);
}

/* The positions of SPACE and LOCATE are the standard's. */
static void positions_are_exact(void **state)
{
    (void)state;
    static struct model m;
    const struct tape_ops *ops = library_drive_ops();
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "POS001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 21, 1); /* filemarks are objects 6, 13, 20 */
    int64_t n = -1;
    assert_int_equal(ops->space_blocks(d, &n, &never), TAPE_FILEMARK); /* check_filemark of PBS */
    assert_int_equal(status(d).object, 20);
    assert_int_equal(n, -1);
    n = 1;
    assert_int_equal(ops->space_filemarks(d, &n, &never), TAPE_OK);
    assert_int_equal(status(d).object, 21);
    n = -2;
    assert_int_equal(ops->space_filemarks(d, &n, &never), TAPE_OK);
    assert_int_equal(status(d).object, 13);
    assert_int_equal(status(d).file, 1);
    n = 5;
    assert_int_equal(ops->space_filemarks(d, &n, &never), TAPE_EOD);
    assert_int_equal(n, 3);
    assert_int_equal(status(d).object, 21);
    n = -9;
    assert_int_equal(ops->space_filemarks(d, &n, &never), TAPE_BOP);
    assert_int_equal(n, -6);
    n = 10;
    assert_int_equal(ops->space_blocks(d, &n, &never), TAPE_FILEMARK);
    assert_int_equal(n, 4);
    assert_int_equal(status(d).object, 7);
    n = -3;
    assert_int_equal(ops->space_blocks(d, &n, &never), TAPE_FILEMARK);
    assert_int_equal(n, -3);
    assert_int_equal(status(d).object, 6);
    n = -6;
    assert_int_equal(ops->space_blocks(d, &n, &never), TAPE_OK);
    n = -1;
    assert_int_equal(ops->space_blocks(d, &n, &never), TAPE_BOP);
    assert_int_equal(ops->locate_file(d, 0, 2, &never), TAPE_OK);
    assert_int_equal(status(d).object, 14);
    assert_int_equal(ops->locate_file(d, 0, 4, &never), TAPE_EOD);
    assert_int_equal(ops->locate_object(d, 1, 0, &never), TAPE_NO_SUCH_PLACE);
    close_library(lib);
    config_free(c);
}

static uint64_t capacity_of(struct library *lib)
{
    move(lib, SLOT, DRIVE);
    return status(library_drive(lib, 0)).capacity;
}

/* SET CAPACITY is the cartridge's: it outlives the process and the gateway, and the whole can be had back. */
static void a_changed_capacity_survives_a_restart_and_a_rebuild(void **state)
{
    (void)state;
    const uint64_t full = 12000000000000u, half = full / 65535 * 0x8000 + full % 65535 * 0x8000 / 65535;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "CAP001L8");
    const struct tape_ops *ops = library_drive_ops();
    void *d = library_drive(lib, 0);
    assert_int_equal(capacity_of(lib), full);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(ops->rewind(d, &never), TAPE_OK);
    assert_int_equal(ops->set_capacity(d, 0x8000, &never), TAPE_OK);
    assert_int_equal(status(d).capacity, half);
    assert_int_equal(status(d).end_object, 0);
    flush_remote(lib);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    lib = open_library(c);
    assert_int_equal(capacity_of(lib), half);
    close_library(lib);
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    d = library_drive(lib, 0);
    assert_int_equal(capacity_of(lib), half);
    assert_int_equal(ops->set_capacity(d, 0, &never), TAPE_OK); /* not nothing: as little as a new one may have */
    assert_int_equal(status(d).capacity, 1 << 20);
    assert_int_equal(ops->set_capacity(d, 0xffff, &never), TAPE_OK);
    assert_int_equal(status(d).capacity, full);
    close_library(lib);
    config_free(c);
}

/* The write protect tab is set on the shelf, also with a state that an earlier build made. */
static void the_write_protect_tab_is_kept(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "TAB001L8");
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", "TAB001L8", "on", 1)));
    flush_remote(lib);
    close_library(lib);
    sqlite3 *sql = NULL;
    char path[120];
    (void)snprintf(path, sizeof(path), "%s/one/state.db", dir);
    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    const char *older = "DROP TRIGGER cartridge_made; DROP TRIGGER cartridge_changing; DROP TRIGGER cartridge_changed;"
                        " ALTER TABLE cartridge DROP COLUMN full_capacity; PRAGMA user_version=1";
    assert_int_equal(sqlite3_exec(sql, older, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sql);
    lib = open_library(c);
    void *d = library_drive(lib, 0);
    assert_int_equal(capacity_of(lib), 12000000000000u);
    assert_true(status(d).write_protected);
    assert_int_equal(write_id(d, 1), TAPE_WRITE_PROTECTED);
    assert_int_equal(library_drive_ops()->erase(d, false, &never), TAPE_WRITE_PROTECTED);
    assert_int_equal(library_drive_ops()->set_capacity(d, 1, &never), TAPE_WRITE_PROTECTED);
    struct errtext err = {""};
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", "TAB001L8", "on", 0);
    assert_null(library_call(lib, q, &err)); /* nobody reaches it in the drive */
    json_decref(q);
    move(lib, DRIVE, SLOT);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", "TAB001L8", "on", 0)));
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    close_library(lib);
    config_free(c);
}

/* The store was down when the tab was set: the next start commits it. */
static void a_tab_that_was_not_stored_is_stored_later(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "LAT001L8");
    flush_remote(lib);
    char head[120], away[120], path[120];
    struct errtext err = {""};
    (void)snprintf(head, sizeof(head), "%s/store/tapes/LAT001L8/head", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    assert_int_equal(rename(head, away), 0);
    FILE *f = fopen(head, "w"); /* a file where the directory was: nothing can be put below it */
    assert_non_null(f);
    fclose(f);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", "LAT001L8", "on", 1)));
    (void)library_close(lib, &err); /* says what is only local */
    assert_int_equal(remove(head), 0);
    assert_int_equal(rename(away, head), 0);
    lib = open_library(c);
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    (void)capacity_of(lib);
    assert_true(status(library_drive(lib, 0)).write_protected);
    close_library(lib);
    config_free(c);
}

/* Attributes that the host wrote survive an unload, a restart and the loss of the local disk. */
static void attributes_of_the_host_are_kept(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "MAM001L8");
    struct tape_mam m = {.n = 1, .v = {{.id = 0x0808, .len = 160, .format = 2, .value = "pool \xc3\xa4"}}}, got;
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->mam_set(library_drive(lib, 0), &m, &never), TAPE_OK);
    move(lib, DRIVE, SLOT);
    library_drive_ops()->mam_get(library_drive(lib, 0), &got);
    assert_int_equal(got.n, 0); /* without a cartridge there is none */
    json_t *j = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", "MAM001L8"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "mam"), "media_pool")), "pool \xc3\xa4");
    json_decref(j);
    for (int i = 0; i < 2; i++) {
        flush_remote(lib); /* nothing but the attribute makes a new head */
        close_library(lib);
        if (i) {
            char path[100];
            (void)snprintf(path, sizeof(path), "%s/one", dir);
            remove_tree(path);
            rebuild_library(c);
        }
        lib = open_library(c);
        move(lib, SLOT, DRIVE);
        library_drive_ops()->mam_get(library_drive(lib, 0), &got);
        assert_int_equal(got.n, 1);
        assert_memory_equal(&got.v[0], &m.v[0], sizeof(m.v[0]));
        move(lib, DRIVE, SLOT);
    }
    close_library(lib);
    config_free(c);
}

static struct tape_statistics statistics(struct library *lib)
{
    struct tape_statistics s;
    library_drive_ops()->statistics(library_drive(lib, 0), &s);
    return s;
}

/* What a cartridge has gone through is told by the drive, and survives a restart and the loss of the local disk. */
static void counters_are_kept(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "CNT001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    uint64_t bytes = 0;
    for (size_t i = 0; i < m.n; i++)
        bytes += m.object[i] ? length_of(m.object[i]) : 0;
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    struct tape_statistics s = statistics(lib);
    assert_int_equal(s.mounts, 1);
    assert_int_equal(s.life.written_bytes, bytes);
    assert_int_equal(s.life.written_blocks, 18);
    assert_int_equal(s.life.written_filemarks, 2);
    assert_true(s.life.stored_bytes > bytes && s.life.stored_bytes < bytes + 4000); /* it does not compress */
    assert_true(s.last_written > 1700000000);
    json_t *shown = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", "CNT001L8"));
    json_int_t first = json_integer_value(json_object_get(shown, "first_written"));
    assert_in_range(first, 1700000000, s.last_written);
    json_decref(shown);
    assert_string_equal(s.last_drives[0], library_drive_serial(lib, 0));
    check_all(d, &m);
    s = statistics(lib);
    assert_int_equal(s.mount.read_bytes, bytes);
    assert_int_equal(s.mount.read_blocks, 18);
    assert_true(s.mount.fetched_bytes > bytes);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);

    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    s = statistics(lib);
    assert_int_equal(s.mounts, 2);
    assert_int_equal(s.life.written_bytes, bytes);
    assert_int_equal(s.life.read_bytes, bytes);
    assert_int_equal(s.mount.read_bytes, 0);
    assert_true(status(library_drive(lib, 0)).alerts == 0);
    assert_int_equal(s.drive.written_bytes, 0);
    assert_int_equal(s.drive_loads, 2);
    assert_int_equal(library_drive_ops()->format(library_drive(lib, 0), &never), TAPE_OK); /* brings a head */
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);

    char path[100];
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    s = statistics(lib);
    assert_int_equal(s.mounts, 3);
    assert_int_equal(s.formats, 1);
    assert_int_equal(s.life.written_bytes, bytes);
    assert_int_equal(s.life.read_bytes, bytes);
    close_library(lib);
    config_free(c);
}

/* An initiator keeps the second one: the first one is not rewound for nothing. */
static void an_exchange_that_a_drive_prevents_moves_no_tape(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "XCH001L8");
    void *first = library_drive(lib, 0), *second = library_drive(lib, 1);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "XCH002L8", "capacity", 0)));
    move(lib, SLOT, DRIVE);
    move(lib, SLOT + 1, DRIVE + 1);
    assert_int_equal(write_id(first, 1), TAPE_OK);
    library_drive_ops()->prevent(second, true);
    assert_int_equal(library_changer_ops()->exchange(lib, 0, DRIVE, DRIVE + 1, DRIVE, &never),
                     CHANGER_REMOVAL_PREVENTED);
    assert_int_equal(status(first).object, 1);
    library_drive_ops()->prevent(second, false);
    assert_int_equal(library_changer_ops()->exchange(lib, 0, DRIVE, DRIVE + 1, DRIVE, &never), CHANGER_OK);
    assert_string_equal(status(second).barcode, "XCH001L8");
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(maps_survive_cuts_and_a_rebuild),
        T(remote_sync_means_in_the_store),
        T(an_erased_tape_is_blank_and_its_objects_go),
        T(damage_is_an_error_never_data),
        T(the_object_of_another_cartridge_is_an_error),
        T(positions_are_exact),
        T(a_changed_capacity_survives_a_restart_and_a_rebuild),
        T(the_write_protect_tab_is_kept),
        T(a_tab_that_was_not_stored_is_stored_later),
        T(attributes_of_the_host_are_kept),
        T(counters_are_kept),
        T(an_exchange_that_a_drive_prevents_moves_no_tape),
    };
    return cmocka_run_group_tests_name("library", tests, NULL, NULL);
}
