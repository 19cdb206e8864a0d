/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_deep.c: library rebuild --deep: cartridges from their segments, when heads, maps or some of the segments are
 * lost.
 */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "vtl/library/library_private.h"

#define BARCODE "DEEP01L6"

static void path_of(char path[300], const char *kind)
{
    (void)snprintf(path, 300, "%s/store/tapes/" BARCODE "/%s", dir, kind);
}

static void lose(const char *kind)
{
    char path[300];
    path_of(path, kind);
    remove_tree(path);
}

/* The i-th segment by name. */
static void segment_path(char path[600], unsigned i)
{
    char seg[300];
    struct dirent **list;
    path_of(seg, "seg");
    int n = scandir(seg, &list, NULL, alphasort);
    assert_true(n > (int)i + 2);
    (void)snprintf(path, 600, "%s/%s", seg, list[i + 2]->d_name); /* behind . and .. */
    for (int k = 0; k < n; k++)
        free(list[k]);
    free(list);
}

static void flip(const char *path, off_t at)
{
    uint8_t b;
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    assert_true(fd >= 0 && !fstat(fd, &st));
    at = at < 0 ? st.st_size + at : at;
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

/* A tape that was overwritten in its middle: its segments are in the store, and the library is gone. */
static void make_tape(struct model *m, size_t n)
{
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = new_library(c, BARCODE);
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    write_model(d, m, 0, n, 1);
    write_model(d, m, n / 2, n / 2 + 10, 5000);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

static json_t *rebuild(struct vtl_config *c, bool deep, bool dry_run)
{
    json_t *r = NULL;
    struct errtext err = {""};
    if (library_rebuild(c, &(struct rebuild_options){.deep = deep, .dry_run = dry_run, .force = true}, &r, &err))
        fail_msg("%s", err.text);
    return r;
}

static json_t *missing_of(const json_t *report)
{
    json_t *t = json_array_get(json_object_get(report, "cartridges"), 0);
    return json_object_get(json_object_get(t, "deep"), "missing");
}

/* Deep, and nothing is missing. */
static void rebuild_whole(struct vtl_config *c)
{
    json_t *r = rebuild(c, true, false);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    assert_int_equal(json_array_size(missing_of(r)), 0);
    json_decref(r);
}

static json_int_t number(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

static json_t *show(struct library *lib)
{
    return call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", BARCODE));
}

static void a_tape_without_heads_is_what_was_stored(void **state)
{
    (void)state;
    static struct model m;
    make_tape(&m, 60);
    lose("head");
    struct vtl_config *c = config("two", "local", "0");
    json_t *r = rebuild(c, false, false);
    assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 0);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 1); /* told, not passed over */
    json_decref(r);
    rebuild_whole(c);
    struct library *lib = open_library(c);
    r = show(lib);
    assert_int_equal(number(r, "generation"), 6); /* as its barcode says */
    assert_true(json_is_true(json_object_get(r, "write_protected")));
    json_decref(r);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    assert_int_equal(write_id(library_drive(lib, 0), 9), TAPE_WRITE_PROTECTED);
    move(lib, DRIVE, SLOT);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", BARCODE, "on", 0)));
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, m.n, 20, 9000); /* and life goes on */
    flush_remote(lib);
    close_library(lib);
    config_free(c);

    c = config("three", "local", "0"); /* from the new heads */
    r = rebuild(c, false, false);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

/* Writes n blocks that are stored and n that are only synced, and ends as a crash does. Its writer of names is a high one:
 * seven of eight that the next start may draw are lower. */
static void crash_while_writing(const struct vtl_config *c, struct model *m, size_t n)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct library *lib = open_library(c);
        while (lib->eng.writer < UINT32_C(0xe0000000)) {
            close_library(lib);
            lib = open_library(c);
        }
        move(lib, SLOT, DRIVE);
        write_model(library_drive(lib, 0), m, 0, n, 1);
        flush_remote(lib);
        write_model(library_drive(lib, 0), m, n, n, 1000);
        _exit(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void what_a_crash_left_is_found_without_heads(void **state)
{
    (void)state;
    struct model *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(m != MAP_FAILED);
    struct vtl_config *c = config("one", "local", "0");
    close_library(new_library(c, BARCODE));
    crash_while_writing(c, m, 20);
    struct library *lib = open_library(c);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
    lose("head");
    c = config("two", "local", "0");
    rebuild_whole(c);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), m);
    close_library(lib);
    config_free(c);
    (void)munmap(m, sizeof(*m));
}

static void a_damaged_head_is_replaced(void **state)
{
    (void)state;
    static struct model m;
    char head[300], path[600];
    struct dirent **list;
    make_tape(&m, 30);
    path_of(head, "head");
    int n = scandir(head, &list, NULL, alphasort);
    assert_true(n >= 3);
    for (int i = 0; i < n; i++) { /* the one before may not have been deleted yet */
        (void)snprintf(path, sizeof(path), "%s/%s", head, list[i]->d_name);
        if (i >= 2 && i < n - 1)
            assert_int_equal(unlink(path), 0);
        free(list[i]);
    }
    free(list);
    flip(path, 40);
    struct vtl_config *c = config("two", "local", "0");
    json_t *r = rebuild(c, true, false);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
    assert_int_not_equal(access(path, F_OK), 0);
    r = rebuild(c, false, false);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

/* Everything reads as it was, or as an error; the tape's end and its files are where they were. Returns the errors. */
static unsigned check_holes(struct vtl_config *c, const struct model *m)
{
    unsigned bad = 0;
    uint64_t files = 0;
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    for (size_t i = 0; i < m->n; i++) {
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->locate_object(d, 0, i, &never), TAPE_OK);
        enum tape_result t = library_drive_ops()->read(d, back, &len, NULL, &never);
        if (t == TAPE_READ_ERROR) {
            bad++;
        } else if (t == TAPE_OK && m->object[i]) {
            fill(m->object[i]);
            assert_int_equal(len, length_of(m->object[i]));
            assert_memory_equal(back, block, len);
        } else if (t != TAPE_FILEMARK) {
            fail_msg("object %zu: result %d", i, (int)t);
        } else if (m->object[i]) { /* the filemarks of a hole stand at its end */
            bad++;
        }
        files += !m->object[i];
    }
    assert_int_equal(library_drive_ops()->locate_object(d, 0, m->n, &never), TAPE_OK);
    expect_result(d, TAPE_EOD);
    assert_int_equal(status(d).file, files);
    close_library(lib);
    return bad;
}

static void a_lost_segment_is_a_hole(void **state)
{
    (void)state;
    static struct model m;
    char path[600];
    make_tape(&m, 60);
    lose("head");
    segment_path(path, 1); /* of the part that was not overwritten */
    assert_int_equal(unlink(path), 0);
    struct vtl_config *c = config("two", "local", "0");
    json_t *r = rebuild(c, true, false), *hole = json_array_get(missing_of(r), 0);
    assert_int_equal(json_array_size(missing_of(r)), 1);
    assert_non_null(strstr(path, json_string_value(json_object_get(hole, "segment"))));
    assert_true(json_is_true(json_object_get(hole, "inferred")));
    json_int_t lost = number(hole, "objects");
    json_decref(r);
    unsigned bad = check_holes(c, &m);
    assert_in_range(bad, 1, lost);
    assert_true(lost < 20);
    config_free(c);
}

/* The records say what it did. */
static void a_damaged_index_costs_nothing(void **state)
{
    (void)state;
    static struct model m;
    char path[600];
    make_tape(&m, 60);
    lose("head");
    segment_path(path, 1);
    flip(path, -20); /* in the footer */
    segment_path(path, 2);
    flip(path, -70); /* in the index */
    struct vtl_config *c = config("two", "local", "0");
    json_t *r = rebuild(c, true, false);
    assert_int_equal(json_array_size(missing_of(r)), 0);
    json_decref(r);
    assert_int_equal(check_holes(c, &m), 0);
    config_free(c);
}

static void without_index_and_a_record_there_is_a_hole_of_just_that_segment(void **state)
{
    (void)state;
    static struct model m;
    char path[600];
    make_tape(&m, 60);
    lose("head");
    segment_path(path, 1);
    flip(path, -20);
    flip(path, 192 + 10); /* in the first record's header */
    struct vtl_config *c = config("two", "local", "0");
    json_t *r = rebuild(c, true, false), *hole = json_array_get(missing_of(r), 0);
    assert_int_equal(json_array_size(missing_of(r)), 1);
    assert_true(json_is_false(json_object_get(hole, "inferred"))); /* its header says where it begins */
    json_decref(r);
    assert_in_range(check_holes(c, &m), 1, 10);
    config_free(c);
}

static void without_its_beginning_a_tape_keeps_the_rest(void **state)
{
    (void)state;
    static struct model m;
    char path[600];
    make_tape(&m, 60);
    lose("head");
    segment_path(path, 0);
    assert_int_equal(unlink(path), 0);
    struct vtl_config *c = config("two", "local", "0");
    json_t *r = rebuild(c, true, false);
    assert_int_equal(number(json_array_get(missing_of(r), 0), "object"), 0);
    json_decref(r);
    assert_in_range(check_holes(c, &m), 1, 10);
    config_free(c);
}

static void a_lost_map_costs_nothing(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = new_library(c, BARCODE);
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    m.n = 0;
    for (uint64_t id = 1; id <= 300; id++) { /* each a segment */
        m.object[m.n++] = id;
        assert_int_equal(write_id(d, id), TAPE_OK);
        m.object[m.n++] = 0;
        assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
        struct errtext err = {""};
        assert_int_equal(drive_flush(d, &never, &err), 0);
    }
    flush_remote(lib);
    close_library(lib);
    config_free(c);
    lose("map");
    c = config("two", "local", "0");
    json_t *r = rebuild(c, false, false);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 1);
    json_decref(r);
    rebuild_whole(c);
    lib = open_library(c);
    r = show(lib);
    assert_true(json_is_false(json_object_get(r, "write_protected"))); /* the head told what it is */
    assert_int_equal(number(json_object_get(r, "counters"), "mounts"), 1);
    json_decref(r);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

static unsigned n_files;
static int count_file(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)path;
    (void)st;
    (void)f;
    n_files += type == FTW_F;
    return 0;
}

static unsigned files_in(const char *name)
{
    char path[300];
    n_files = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)nftw(path, count_file, 16, FTW_PHYS);
    return n_files;
}

static void a_dry_run_changes_nothing(void **state)
{
    (void)state;
    static struct model m;
    make_tape(&m, 20);
    lose("head");
    unsigned stored = files_in("store"), before = files_in("one");
    struct vtl_config *c = config("one", "local", "0");
    json_t *r = rebuild(c, true, true);
    assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 1);
    assert_int_equal(number(json_array_get(json_object_get(r, "cartridges"), 0), "objects"), m.n);
    json_decref(r);
    assert_int_equal(files_in("store"), stored);
    assert_int_equal(files_in("one"), before);
    config_free(c);
}

/* Whatever is damaged, nothing reads as what it is not. */
static void random_damage_is_never_data(void **state)
{
    (void)state;
    static struct model m;
    char path[600], seg[300], spare[300], command[900];
    struct vtl_config *c = config("two", "local", "0");
    unsigned x = 1;
    make_tape(&m, 40);
    lose("head");
    path_of(seg, "seg");
    (void)snprintf(spare, sizeof(spare), "%s/spare", dir);
    (void)snprintf(command, sizeof(command), "cp -a %s %s", seg, spare);
    assert_int_equal(system(command), 0);
    for (int round = 0; round < 25; round++) {
        lose("head");
        lose("seg");
        (void)snprintf(command, sizeof(command), "cp -a %s %s", spare, seg);
        assert_int_equal(system(command), 0);
        for (int i = 0; i < 3; i++) {
            x = x * 1664525 + 1013904223;
            segment_path(path, (x >> 8) % 3); /* of the first ones, and of what was overwritten not */
            flip(path, x & 0x80000000 ? (off_t)((x >> 16) % 200) : -(off_t)((x >> 16) % 100) - 1);
        }
        json_t *r = rebuild(c, true, false);
        assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 1);
        json_decref(r);
        (void)check_holes(c, &m);
    }
    config_free(c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        T(a_tape_without_heads_is_what_was_stored),
        T(what_a_crash_left_is_found_without_heads),
        T(a_damaged_head_is_replaced),
        T(a_lost_segment_is_a_hole),
        T(a_damaged_index_costs_nothing),
        T(without_index_and_a_record_there_is_a_hole_of_just_that_segment),
        T(without_its_beginning_a_tape_keeps_the_rest),
        T(a_lost_map_costs_nothing),
        T(a_dry_run_changes_nothing),
        T(random_damage_is_never_data),
    };
    return cmocka_run_group_tests_name("deep", tests, NULL, NULL);
}
