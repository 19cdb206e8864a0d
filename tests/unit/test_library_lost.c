/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_library_lost.c: spool files that are damaged or taken away before they were stored: who is told, and what goes
 * on all the same. */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"

#define BARCODE "LOST01L8"

static struct model m;

/* The store takes no segment any more, or does again. */
static void block_store(bool blocked)
{
    char seg[100], away[100];
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/" BARCODE "/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    if (blocked)
        fclose(fopen(away, "w"));
    assert_int_equal(renameat2(AT_FDCWD, away, AT_FDCWD, seg, RENAME_EXCHANGE), 0); /* a worker may be about it */
    if (!blocked)
        assert_int_equal(remove(away), 0);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The second of the segments that wait: none of the first three objects is in it, and the end of the tape is not. */
static void second_file(char path[500], char name[64])
{
    char spool[200];
    struct dirent **list;
    (void)snprintf(spool, sizeof(spool), "%s/one/spool/" BARCODE, dir);
    int n = scandir(spool, &list, NULL, by_name);
    assert_true(n >= 2 + 4); /* with . and .. */
    (void)snprintf(path, 500, "%s/%s", spool, list[3 + 1]->d_name);
    (void)snprintf(name, 64, "%.63s", list[3 + 1]->d_name);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

/* A tape of which nothing but its first block is stored. */
static void with_a_backlog(struct vtl_config *c)
{
    struct library *lib = new_library(c, BARCODE);
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 1, 1);
    flush_remote(lib);
    block_store(true);
    write_model(d, &m, 1, 40, 2);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    close_library(lib);
}

static void expect_flush_ends(struct library *lib, const char *name, const char *what)
{
    struct errtext err = {""};
    uint64_t began = clock_ms();
    json_t *q = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000);
    assert_null(library_call(lib, q, &err));
    json_decref(q);
    assert_true(clock_ms() - began < 9000);
    assert_non_null(strstr(err.text, BARCODE));
    assert_non_null(strstr(err.text, name));
    assert_non_null(strstr(err.text, what));
}

static void expect_trouble(struct library *lib, const char *name)
{
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    const json_t *c = json_array_get(json_object_get(s, "cartridges"), 0);
    const char *trouble = json_string_value(json_object_get(c, "trouble"));
    assert_non_null(trouble);
    assert_non_null(strstr(trouble, name));
    json_decref(s);
}

/* How many of the blocks are read, of which all are right; the others are errors. */
static size_t readable(void *d)
{
    size_t good = 0;
    for (size_t i = 0; i < m.n; i++) {
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->locate_object(d, 0, i, &never), TAPE_OK);
        if (!m.object[i])
            continue;
        enum tape_result r = library_drive_ops()->read(d, back, &len, NULL, &never);
        assert_true(r == TAPE_OK || r == TAPE_READ_ERROR);
        if (r != TAPE_OK)
            continue;
        fill(m.object[i]);
        assert_int_equal(len, length_of(m.object[i]));
        assert_memory_equal(back, block, len);
        good++;
    }
    return good;
}

static size_t blocks(void)
{
    size_t n = 0;
    for (size_t i = 0; i < m.n; i++)
        n += m.object[i] != 0;
    return n;
}

/* A stop tells what is not safe. */
static void close_lost(struct library *lib, const char *name)
{
    struct errtext err = {""};
    assert_int_not_equal(library_close(lib, &err), 0);
    assert_non_null(strstr(err.text, name));
}

static void check(struct vtl_config *c, const char *name, const char *what)
{
    block_store(false);
    struct library *lib = open_library(c);
    void *d = library_drive(lib, 0);
    expect_flush_ends(lib, name, what);
    expect_trouble(lib, name);
    size_t good = readable(d);
    assert_true(good < blocks() && good + 12 > blocks()); /* all but one segment of a MiB */
    close_lost(lib, name);
}

static void a_spool_file_that_is_gone_is_named_and_flush_ends(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    assert_int_equal(unlink(path), 0);
    check(c, name, "is gone");
    config_free(c);
}

static void one_that_is_cut_short_is_named_and_flush_ends(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    assert_int_equal(truncate(path, 5000), 0);
    check(c, name, "is cut short");
    config_free(c);
}

/* durability = remote: the host's sync ends with an error, and does not wait for its time to be over. */
static void a_sync_to_the_store_ends_too(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M"), *remote;
    with_a_backlog(c);
    second_file(path, name);
    assert_int_equal(unlink(path), 0);
    block_store(false);
    remote = config("one", "remote", "16M");
    struct library *lib = open_library(remote);
    void *d = library_drive(lib, 0);
    uint64_t began = clock_ms();
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_WRITE_ERROR);
    assert_true(clock_ms() - began < 20000);
    close_lost(lib, name);
    config_free(remote);
    config_free(c);
}

/* ---- a bit flipped in a file that waits ---- */

/* at < 0: from the end. */
static void flip(const char *path, off_t at)
{
    struct stat st;
    uint8_t b;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && !fstat(fd, &st));
    at += at < 0 ? st.st_size : 0;
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 0x04;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

/* Where the tape ends by its head in the store. */
static uint64_t committed_end(void)
{
    char path[100];
    struct objstore *store = NULL;
    struct errtext err = {""};
    struct head h;
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    assert_int_equal(objstore_open(&oc, &store, &err), 0);
    if (commit_read_head(store, BARCODE, NULL, &h, NULL, &err))
        fail_msg("%s", err.text);
    uint64_t end = h.end_object;
    head_free(&h);
    store->ops->close(store);
    return end;
}

static uint64_t first_object_of(const char *path)
{
    uint8_t b[SEG_HEADER_SIZE];
    struct seg_header h;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, b, sizeof(b), 0), sizeof(b));
    close(fd);
    assert_int_equal(seg_header_decode(b, sizeof(b), &h, NULL), 0);
    return h.first_object;
}

/* Told by file, cartridge and block; no head names it, and all before it and the rest of it is there. */
static void a_flipped_bit_is_named_and_not_committed(void **state)
{
    (void)state;
    char path[500], name[64], what[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    uint64_t first = first_object_of(path);
    flip(path, SEG_HEADER_SIZE + SEG_RECORD_SIZE + 5);
    block_store(false);
    struct library *lib = open_library(c);
    (void)snprintf(what, sizeof(what), "is damaged (1 objects, the first is %llu: ", (unsigned long long)first);
    expect_flush_ends(lib, name, what);
    expect_trouble(lib, name);
    assert_int_equal(committed_end(), first);
    assert_int_equal(readable(library_drive(lib, 0)), blocks() - 1);
    close_lost(lib, name);
    config_free(c);
}

/* The same for a record's header, of which the index tells. */
static void a_flipped_bit_in_a_record_header_is_named_too(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    uint64_t first = first_object_of(path);
    flip(path, SEG_HEADER_SIZE + 24); /* its plain CRC */
    block_store(false);
    struct library *lib = open_library(c);
    expect_flush_ends(lib, name, "is damaged");
    assert_int_equal(committed_end(), first);
    close_lost(lib, name);
    config_free(c);
}

/* Its records say what it did: no block is lost, before it is stored and after. */
static void a_flipped_bit_in_the_index_loses_nothing(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    flip(path, -70);
    struct library *lib = open_library(c);
    assert_int_equal(readable(library_drive(lib, 0)), blocks());
    block_store(false);
    flush_remote(lib);
    assert_int_equal(committed_end(), m.n);
    close_library(lib);
    config_free(c);
    c = config("two", "local", "0");
    rebuild_library(c);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

/* ---- what the host is told ---- */

static bool is_committed(struct library *lib, const char *barcode)
{
    json_t *t = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode));
    bool so = json_is_true(json_object_get(t, "committed"));
    json_decref(t);
    return so;
}

static enum tape_result sync_it(void *d)
{
    return library_drive_ops()->write_filemarks(d, 0, false, &never);
}

/* A tape in the drive of which a file was lost while the host wrote it; and another tape, in the other drive. */
static struct library *lost_meanwhile(const struct vtl_config *c, char path[500], char name[64])
{
    struct library *lib = new_library(c, BARCODE);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "LOST02L8", "capacity", 0)));
    move(lib, SLOT, DRIVE);
    move(lib, SLOT + 1, DRIVE + 1);
    void *d = library_drive(lib, 0);
    write_model(d, &m, 0, 1, 1);
    flush_remote(lib);
    block_store(true);
    write_model(d, &m, 1, 40, 2);
    assert_int_equal(sync_it(d), TAPE_OK);
    second_file(path, name);
    flip(path, SEG_HEADER_SIZE + SEG_RECORD_SIZE + 5);
    assert_int_equal(write_id(library_drive(lib, 1), 500), TAPE_OK);
    block_store(false);
    expect_flush_ends(lib, name, "is damaged");
    assert_int_equal(write_id(library_drive(lib, 1), 501), TAPE_OK);
    expect_flush_ends(lib, name, "is damaged"); /* which is known by now, and stops no other tape */
    assert_true(is_committed(lib, "LOST02L8"));
    assert_false(is_committed(lib, BARCODE));
    assert_int_equal(committed_end(), first_object_of(path)); /* what can be saved is, before the flush ends */
    return lib;
}

static void a_host_that_writes_on_is_told_once_and_by_each_sync(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = lost_meanwhile(c, path, name);
    void *d = library_drive(lib, 0);
    const uint64_t alerts = TAPE_ALERT_BIT(ALERT_HARD_ERROR) | TAPE_ALERT_BIT(ALERT_WRITE_FAILURE);
    assert_int_equal(write_id(d, 700), TAPE_WRITE_LOST); /* deferred */
    assert_true((status(d).alerts & alerts) == alerts);
    assert_int_equal(write_id(d, 700), TAPE_WRITE_ERROR); /* nothing more, until it has looked where it is */
    assert_int_equal(library_drive_ops()->locate_object(d, 0, m.n, &never), TAPE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write_id(d, 700), TAPE_OK);
        assert_int_equal(sync_it(d), TAPE_WRITE_ERROR);
    }
    assert_int_equal(library_drive_ops()->unload(d, &never), TAPE_OK); /* it may leave */
    close_lost(lib, name);
    config_free(c);
}

/* A block that could be taken at once is not. */
static void a_host_that_streams_is_told(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, BARCODE);
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 1, 1);
    flush_remote(lib);
    block_store(true);
    write_model(d, &m, 1, 40, 2);
    assert_int_equal(sync_it(d), TAPE_OK);
    second_file(path, name);
    assert_int_equal(unlink(path), 0);
    block_store(false);
    enum tape_result r = TAPE_OK;
    uint64_t until = clock_ms() + 30000;
    for (uint64_t id = 100; r == TAPE_OK && clock_ms() < until; id++) /* until the worker has found out */
        r = write_id(d, id);
    assert_int_equal(r, TAPE_WRITE_LOST);
    expect_trouble(lib, name);
    close_lost(lib, name);
    config_free(c);
}

/* What is lost was written by another: a reader is not disturbed, but each sync tells. */
static void a_host_that_reads_is_not_disturbed(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    flip(path, SEG_HEADER_SIZE + SEG_RECORD_SIZE + 5);
    block_store(false);
    struct library *lib = open_library(c);
    void *d = library_drive(lib, 0);
    expect_flush_ends(lib, name, "is damaged");
    assert_int_equal(readable(d), blocks() - 1);
    assert_int_equal(library_drive_ops()->unload(d, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->load(d, &never), TAPE_OK);
    assert_int_equal(sync_it(d), TAPE_WRITE_ERROR);
    close_lost(lib, name);
    config_free(c);
}

static void an_overwrite_mends_it(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = lost_meanwhile(c, path, name);
    void *d = library_drive(lib, 0);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_WRITE_LOST);
    write_model(d, &m, 0, 30, 900);
    assert_int_equal(sync_it(d), TAPE_OK);
    flush_remote(lib);
    check_all(d, &m);
    close_library(lib);
    config_free(c);
}

/* What a crash between the removal of a row and that of its file leaves: whether the rest is stored or not. */
static void a_file_that_no_row_names_goes_at_the_next_load(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    char old[200], newer[200];
    with_a_backlog(c);
    (void)snprintf(old, sizeof(old), "%s/one/spool/" BARCODE "/00000001-00000007-0000000002", dir);
    (void)snprintf(newer, sizeof(newer), "%s/one/spool/" BARCODE "/00000001-00000007-0000000999", dir);
    FILE *f = fopen(old, "w");
    assert_non_null(f);
    fclose(f);
    f = fopen(newer, "w"); /* the rows know of no such number: it may be all that is left of something */
    assert_non_null(f);
    assert_int_equal(fwrite(block, 1, 1000, f), 1000);
    fclose(f);
    struct library *lib = open_library(c);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(newer, F_OK), 0);
    block_store(false);
    check_all(library_drive(lib, 0), &m);
    flush_remote(lib);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

/* A tape is written over while most of it waits for the store, and the process is killed before a sync. */
static void die_while_overwriting(struct vtl_config *c)
{
    pid_t pid = fork();
    if (!pid) {
        with_a_backlog(c);
        struct library *lib = open_library(c);
        void *d = library_drive(lib, 0);
        if (library_drive_ops()->rewind(d, &never) != TAPE_OK)
            _exit(1);
        _exit(write_id(d, 500) != TAPE_OK); /* the first one is in its file then */
    }
    int died = 1;
    assert_int_equal(waitpid(pid, &died, 0), pid);
    assert_int_equal(died, 0);
    m.object[0] = 500;
    m.n = 1;
}

static bool is_given_up(struct cartridge *c)
{
    lock_take(&c->lock);
    bool is = !c->release;
    lock_release(&c->lock);
    return is;
}

/* What cannot be stored leaves no room, else all drives would wait for it, and for ever. */
static void what_is_lost_holds_up_nobody_else(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    char command[300];
    with_a_backlog(c);
    struct library *lib = open_library(c);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "LOST02L8", "capacity", 0)));
    atomic_store(&lib->eng.live.max_dirty, atomic_load(&lib->eng.dirty_bytes));
    (void)snprintf(command, sizeof(command), "rm %s/one/spool/" BARCODE "/*", dir);
    assert_int_equal(system(command), 0);
    block_store(false);
    move(lib, SLOT + 1, DRIVE + 1);
    for (uint64_t i = 0; i < 20; i++) /* each would wait for ever */
        assert_int_equal(write_id(library_drive(lib, 1), 500 + i), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 1), 0, false, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->rewind(library_drive(lib, 0), &never), TAPE_OK);
    write_model(library_drive(lib, 0), &m, 0, 20, 6);
    move(lib, DRIVE, SLOT);
    move(lib, DRIVE + 1, SLOT + 1);
    flush_remote(lib);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), 0);
    close_library(lib);
    config_free(c);
}

static int take_number(void *arg, int n, char **values, char **names)
{
    (void)names;
    *(int *)arg = n && values[0] ? atoi(values[0]) : -1;
    return 0;
}

/* Else it would not be committed, should the file of what was written be damaged before a crash is over: and what the head
 * names would go as nobody's. */
static void an_overwrite_in_the_state_is_not_what_the_head_says(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, BARCODE);
    void *d = library_drive(lib, 0);
    char path[100];
    sqlite3 *db = NULL;
    int dirty = -1;
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 10, 1);
    flush_remote(lib);
    write_model(d, &m, 0, 3, 50);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    (void)snprintf(path, sizeof(path), "%s/one/state.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT dirty FROM cartridge", take_number, &dirty, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(dirty, 1);
    close_library(lib);
    config_free(c);
}

static void what_was_overwritten_before_a_crash_waits_for_nothing_after_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    die_while_overwriting(c);
    struct library *lib = open_library(c);
    void *d = library_drive(lib, 0);
    struct cartridge_view v;
    struct errtext err = {""};
    cartridge_view(library_cartridge(lib, BARCODE), &v);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), v.backlog.amounts.unsent);
    block_store(false);
    flush_remote(lib);
    check_all(d, &m);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), 0);
    move(lib, DRIVE, SLOT);
    struct cartridge *tape = library_cartridge(lib, BARCODE);
    cartridge_want_release(tape, true);
    if (cartridge_load(tape, &err))
        fail_msg("%s", err.text);
    for (uint64_t until = clock_ms() + 20000; !is_given_up(tape);) {
        uint64_t seen = progress_now(&lib->eng.progress);
        assert_true(clock_ms() < until);
        if (!is_given_up(tape))
            progress_wait(&lib->eng.progress, seen, 100);
    }
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_spool_file_that_is_gone_is_named_and_flush_ends),
        TEST(one_that_is_cut_short_is_named_and_flush_ends),
        TEST(a_sync_to_the_store_ends_too),
        TEST(a_flipped_bit_is_named_and_not_committed),
        TEST(a_flipped_bit_in_a_record_header_is_named_too),
        TEST(a_flipped_bit_in_the_index_loses_nothing),
        TEST(a_host_that_writes_on_is_told_once_and_by_each_sync),
        TEST(a_host_that_streams_is_told),
        TEST(a_host_that_reads_is_not_disturbed),
        TEST(an_overwrite_mends_it),
        TEST(what_is_lost_holds_up_nobody_else),
        TEST(an_overwrite_in_the_state_is_not_what_the_head_says),
        TEST(what_was_overwritten_before_a_crash_waits_for_nothing_after_it),
        TEST(a_file_that_no_row_names_goes_at_the_next_load),
    };
    return cmocka_run_group_tests_name("library_lost", tests, NULL, NULL);
}
