/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_library.c: the library without a transport: drives and changer by their operations, on the directory store; what
 * a rebuild, a crash and a second gateway make of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtl/drive.h"
#include "vtl/library.h"

#define SLOT ELEMENT_FIRST_STORAGE
#define DRIVE ELEMENT_FIRST_DRIVE

static const atomic_bool never = false;
static char dir[64];

/* ---- a library in a directory of its own ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/s3vtl-library-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    remove_tree(dir);
    return 0;
}

static struct vtl_config *config(const char *state, const char *durability, const char *cache)
{
    char path[100];
    struct errtext err;
    struct vtl_config *c = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s.conf", dir, state);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "[library]\nname = %s\nstate_dir = %s/%s\nslots = 8\ndrives = 2\n[store]\npath = %s/store\n"
            "[spool]\nsegment_size = 1M\nmax_dirty = 64M\ncache_size = %s\nidle_seal = 1h\ndurability = %s\n",
            state, dir, state, dir, cache, durability);
    fclose(f);
    if (config_load(path, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static struct library *open_library(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(c, LIBRARY_SERVE, &lib, &err))
        fail_msg("%s", err.text);
    return lib;
}

static void close_library(struct library *lib)
{
    struct errtext err = {""};
    if (library_close(lib, &err))
        fail_msg("%s", err.text);
}

static json_t *call(struct library *lib, json_t *request)
{
    struct errtext err = {""};
    json_t *r = library_call(lib, request, &err);
    json_decref(request);
    if (!r)
        fail_msg("%s", err.text);
    return r;
}

static void init_library(const struct vtl_config *c)
{
    json_t *r = NULL;
    struct errtext err = {""};
    if (library_init(c, &r, &err))
        fail_msg("%s", err.text);
    json_decref(r);
}

static void rebuild_library(const struct vtl_config *c)
{
    json_t *r = NULL;
    struct errtext err = {""};
    if (library_rebuild(c, false, &r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
}

static struct library *new_library(const struct vtl_config *c, const char *barcode)
{
    init_library(c);
    struct library *lib = open_library(c);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0)));
    return lib;
}

static void flush_remote(struct library *lib)
{
    bool remote = false;
    for (int i = 0; i < 12 && !remote; i++) { /* each waits 10 s at most */
        json_t *r = call(lib, json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000));
        remote = json_is_true(json_object_get(r, "remote"));
        json_decref(r);
    }
    assert_true(remote);
}

static void move(struct library *lib, uint16_t from, uint16_t to)
{
    assert_int_equal(library_changer_ops()->move(lib, 0, from, to, &never), CHANGER_OK);
}

/* ---- blocks that tell who they are ---- */

static uint8_t block[1 << 20], back[1 << 20];

static uint32_t length_of(uint64_t id)
{
    return (uint32_t)(id * 2654435761u % 300000) + 1;
}

static void fill(uint64_t id)
{
    uint64_t x = id * 0x9E3779B97F4A7C15u + 1;
    for (uint32_t i = 0; i < 300008; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(block + i, &x, 8);
    }
}

static enum tape_result write_id(void *d, uint64_t id)
{
    fill(id);
    return library_drive_ops()->write(d, block, length_of(id), true, NULL, &never);
}

static void expect_id(void *d, uint64_t id)
{
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), TAPE_OK);
    assert_int_equal(len, length_of(id));
    fill(id);
    assert_memory_equal(back, block, len);
}

static void expect_result(void *d, enum tape_result want)
{
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), want);
}

static struct tape_status status(void *d)
{
    struct tape_status st;
    library_drive_ops()->status(d, &st);
    return st;
}

/* ---- a model: ids of blocks, 0 for a filemark ---- */

struct model {
    uint64_t object[4000];
    size_t n;
};

static void check_all(void *d, const struct model *m)
{
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    for (size_t i = 0; i < m->n; i++) {
        if (m->object[i])
            expect_id(d, m->object[i]);
        else
            expect_result(d, TAPE_FILEMARK);
    }
    expect_result(d, TAPE_EOD);
}

static void write_model(void *d, struct model *m, size_t at, size_t n, uint64_t id)
{
    assert_int_equal(library_drive_ops()->locate_object(d, 0, at, &never), TAPE_OK);
    m->n = at;
    for (size_t i = 0; i < n; i++) {
        bool mark = (at + i) % 7 == 6;
        m->object[m->n++] = mark ? 0 : id + i;
        if (mark)
            assert_int_equal(library_drive_ops()->write_filemarks(d, 1, true, &never), TAPE_OK);
        else
            assert_int_equal(write_id(d, id + i), TAPE_OK);
    }
}

/* ---- tests ---- */

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

/* PBS gives a flush and an UNLOAD 600 s, a MOVE 300 s, and the kernel resets the drive then. They end before, with an
 * error, and nothing is lost or moved. */
static void what_a_dead_store_holds_up_fails_in_time(void **state)
{
    (void)state;
    static struct model m;
    char store[100], away[100];
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "LATE01L8");
    struct drive *d = library_drive(lib, 0);
    const struct tape_ops *ops = library_drive_ops();
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    assert_true(d->flush_limit_ms < 600000 && d->remove_limit_ms < 300000);
    d->flush_limit_ms = d->remove_limit_ms = 200;
    (void)snprintf(store, sizeof(store), "%s/store/tapes/LATE01L8/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    assert_int_equal(rename(store, away), 0);
    fclose(fopen(store, "w")); /* no directory: no segment can be stored */
    write_model(d, &m, m.n, 5, 100);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_WRITE_ERROR);
    assert_int_equal(library_changer_ops()->move(lib, 0, DRIVE, SLOT, &never), CHANGER_FLUSH_FAILED);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_LOADED); /* where it was */
    assert_int_equal(ops->unload(d, &never), TAPE_WRITE_ERROR);
    assert_int_equal(remove(store), 0);
    assert_int_equal(rename(away, store), 0);
    d->flush_limit_ms = d->remove_limit_ms = 60000;
    assert_int_equal(ops->load(d, &never), TAPE_OK);
    check_all(d, &m);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    check_all(d, &m);
    close_library(lib);
    config_free(c);
}

/* I7: once another gateway has written, this one's writes are refused, and nothing of them is merged. */
static void a_second_gateway_fences_the_first(void **state)
{
    (void)state;
    static struct model m, m2;
    struct vtl_config *c = config("one", "remote", "16M"), *other = config("two", "remote", "16M");
    struct library *lib = new_library(c, "FEN001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    rebuild_library(other);
    struct library *lib2 = open_library(other);
    void *d2 = library_drive(lib2, 0);
    move(lib2, SLOT, DRIVE);
    m2 = m;
    write_model(d2, &m2, m.n, 10, 500);
    assert_int_equal(library_drive_ops()->write_filemarks(d2, 0, false, &never), TAPE_OK);
    assert_int_equal(write_id(d, 900), TAPE_OK); /* it cannot know yet */
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_NOT_OWNED);
    assert_int_equal(write_id(d, 901), TAPE_NOT_OWNED);
    check_all(d2, &m2);
    close_library(lib2);
    struct errtext err = {""};
    assert_int_not_equal(library_close(lib, &err), 0); /* what is only local is told */
    assert_non_null(strstr(err.text, "FEN001L8"));
    struct vtl_config *third = config("three", "remote", "16M");
    rebuild_library(third);
    lib = open_library(third);
    d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    check_all(d, &m2);
    close_library(lib);
    config_free(third);
    config_free(other);
    config_free(c);
}

static json_t *claim(struct library *lib, const char *barcode, bool force, struct errtext *err)
{
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", (int)force);
    json_t *r = library_call(lib, q, err);
    json_decref(q);
    return r;
}

/* The operator's way back: the cartridge is what the bucket has, the other gateway can write no more, and what this one
 * could not store is kept beside. */
static void a_cartridge_is_taken_over_by_force(void **state)
{
    (void)state;
    static struct model m, m2;
    struct vtl_config *c = config("one", "remote", "16M"), *other = config("two", "remote", "16M");
    const struct tape_ops *ops = library_drive_ops();
    struct library *lib = new_library(c, "FOR001L8");
    void *d = library_drive(lib, 0);
    struct errtext err = {""};
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    rebuild_library(other);
    struct library *lib2 = open_library(other);
    void *d2 = library_drive(lib2, 0);
    move(lib2, SLOT, DRIVE);
    m2 = m;
    write_model(d2, &m2, m.n, 10, 500);
    assert_int_equal(ops->write_filemarks(d2, 0, false, &never), TAPE_OK);
    assert_int_equal(write_id(d, 900), TAPE_OK);
    /* The first MOVE out tells that its data are nobody's; then the cartridge is free. */
    assert_int_equal(library_changer_ops()->move(lib, 0, DRIVE, SLOT, &never), CHANGER_FLUSH_FAILED);
    assert_null(claim(lib, "FOR001L8", true, &err));
    assert_non_null(strstr(err.text, "it is in a drive"));
    move(lib, DRIVE, SLOT);
    assert_null(claim(lib, "FOR001L8", false, &err));
    assert_non_null(strstr(err.text, "--force takes it over"));
    json_t *r = claim(lib, "FOR001L8", true, &err);
    assert_non_null(r);
    assert_true(json_integer_value(json_object_get(r, "kept_bytes")) > 0);
    json_decref(r);
    char pattern[200];
    (void)snprintf(pattern, sizeof(pattern), "ls %s/one/spool/FOR001L8/*.bad >/dev/null", dir);
    assert_int_equal(system(pattern), 0);
    move(lib, SLOT, DRIVE);
    check_all(d, &m2);
    assert_int_equal(write_id(d2, 901), TAPE_OK); /* it cannot know yet */
    assert_int_equal(ops->write_filemarks(d2, 0, false, &never), TAPE_NOT_OWNED);
    write_model(d, &m2, m2.n, 5, 700);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    assert_null(claim(lib, "NOPE01L8", true, &err));
    close_library(lib);
    (void)library_close(lib2, &err);
    lib = open_library(c);
    check_all(library_drive(lib, 0), &m2);
    close_library(lib);
    config_free(other);
    config_free(c);
}

/* One that this library does not know, as after its gateway was lost: it comes into a free slot. */
static void a_cartridge_of_the_bucket_is_adopted(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "remote", "16M"), *other = config("two", "remote", "16M");
    struct library *lib = new_library(c, "ADO001L8");
    struct errtext err = {""};
    rebuild_library(other); /* knows ADO001L8 only */
    json_t *q = json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "ADO002L8", "capacity", 0);
    json_decref(library_call(lib, q, &err));
    json_decref(q);
    move(lib, SLOT + 1, DRIVE);
    write_model(library_drive(lib, 0), &m, 0, 12, 1);
    close_library(lib);
    struct library *lib2 = open_library(other);
    json_t *r = claim(lib2, "ADO002L8", true, &err);
    assert_non_null(r);
    json_decref(r);
    move(lib2, SLOT + 1, DRIVE);
    check_all(library_drive(lib2, 0), &m);
    close_library(lib2);
    config_free(other);
    config_free(c);
}

/* What a process does until it is killed: each acknowledged operation is told through the pipe, with the length and the
 * last id. */
struct told {
    uint64_t n, last, synced;
};

static void work_until_killed(const char *conf, int fd)
{
    static struct model m;
    struct vtl_config *c = NULL;
    if (config_load(conf, &c, NULL))
        _exit(1);
    struct library *lib = open_library(c);
    void *d = library_drive(lib, 0);
    uint64_t id = 1, synced = 0;
    unsigned seed = 42;
    for (;;) {
        int what = rand_r(&seed) % 40;
        if (what == 0 && m.n > 4) {
            m.n = (uint64_t)rand_r(&seed) % m.n;
            if (library_drive_ops()->locate_object(d, 0, m.n, &never))
                _exit(1);
        }
        if (write_id(d, id))
            _exit(1);
        m.object[m.n++ % 4000] = id++;
        if (what < 4) {
            if (library_drive_ops()->write_filemarks(d, 0, false, &never))
                _exit(1);
            synced = id - 1;
        }
        struct told t = {m.n, id - 1, synced};
        if (write(fd, &t, sizeof(t)) != (ssize_t)sizeof(t))
            _exit(1);
    }
}

/* kill -9 at any moment: afterwards the tape ends with the last acknowledged write (or the one that was on its way),
 * and all is readable. */
static void kill_9_loses_nothing_acknowledged(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "KIL001L8");
    move(lib, SLOT, DRIVE);
    close_library(lib);
    for (unsigned round = 0; round < 12; round++) {
        int p[2];
        assert_int_equal(pipe(p), 0);
        pid_t pid = fork();
        if (!pid) { /* this program again, in a process without threads so far */
            char fd[12];
            (void)snprintf(fd, sizeof(fd), "%d", p[1]);
            close(p[0]);
            execl("/proc/self/exe", "test_library", "--work", c->file, fd, (char *)NULL);
            _exit(1);
        }
        close(p[1]);
        struct told t = {0, 0, 0}, next;
        size_t limit = 15 + round * 37;
        for (size_t i = 0; i < limit && read(p[0], &next, sizeof(next)) == (ssize_t)sizeof(next); i++)
            t = next;
        kill(pid, SIGKILL);
        while (read(p[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
            t = next;
        close(p[0]);
        waitpid(pid, NULL, 0);
        assert_true(t.n > 0);
        lib = open_library(c);
        void *d = library_drive(lib, 0);
        struct tape_status st = status(d);
        assert_true(st.alerts == TAPE_ALERT_BIT(ALERT_LOST_STATISTICS)); /* data are not lost, what was counted is */
        /* One more may have been written whose acknowledgement did not get out; an overwrite may have been next. */
        assert_true(st.end_object <= t.n + 1);
        uint64_t at = st.end_object < t.n ? st.end_object : t.n;
        assert_int_equal(library_drive_ops()->locate_object(d, 0, at - 1, &never), TAPE_OK);
        if (st.end_object >= t.n)
            expect_id(d, t.last);
        else
            expect_id(d, t.last + 1); /* the overwrite that was on its way is whole */
        assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
        for (uint64_t i = 0; i < st.end_object; i++)
            expect_result(d, TAPE_OK); /* every block passes its sums */
        assert_int_equal(library_drive_ops()->erase(d, true, &never), TAPE_OK);
        expect_result(d, TAPE_EOD);
        close_library(lib);
    }
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
    assert_int_equal(sqlite3_exec(sql, "ALTER TABLE cartridge DROP COLUMN full_capacity", NULL, NULL, NULL), SQLITE_OK);
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
    struct tape_statistics s = statistics(lib);
    assert_int_equal(s.mounts, 1);
    assert_int_equal(s.life.written_bytes, bytes);
    assert_int_equal(s.life.written_blocks, 18);
    assert_int_equal(s.life.written_filemarks, 2);
    assert_true(s.life.stored_bytes > bytes && s.life.stored_bytes < bytes + 4000); /* it does not compress */
    assert_true(s.last_written > 1700000000);
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

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--work"))
        work_until_killed(argv[2], atoi(argv[3]));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maps_survive_cuts_and_a_rebuild, setup, teardown),
        cmocka_unit_test_setup_teardown(remote_sync_means_in_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_dead_store_holds_up_fails_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_gateway_fences_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cartridge_is_taken_over_by_force, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cartridge_of_the_bucket_is_adopted, setup, teardown),
        cmocka_unit_test_setup_teardown(kill_9_loses_nothing_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(an_erased_tape_is_blank_and_its_objects_go, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_an_error_never_data, setup, teardown),
        cmocka_unit_test_setup_teardown(the_object_of_another_cartridge_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(positions_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_capacity_survives_a_restart_and_a_rebuild, setup, teardown),
        cmocka_unit_test_setup_teardown(the_write_protect_tab_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(attributes_of_the_host_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(counters_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tab_that_was_not_stored_is_stored_later, setup, teardown),
    };
    return cmocka_run_group_tests_name("library", tests, NULL, NULL);
}
