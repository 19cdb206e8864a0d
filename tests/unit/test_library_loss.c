/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_library_loss.c: what a dead store, a second gateway, a claim by force and kill -9 make of a library. */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <fcntl.h>

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/library_private.h"

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
    fclose(fopen(away, "w")); /* no directory: no segment can be stored */
    assert_int_equal(renameat2(AT_FDCWD, away, AT_FDCWD, store, RENAME_EXCHANGE), 0);
    write_model(d, &m, m.n, 5, 100);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_WRITE_ERROR);
    assert_int_equal(library_changer_ops()->move(lib, 0, DRIVE, SLOT, &never), CHANGER_FLUSH_FAILED);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_LOADED); /* where it was */
    assert_int_equal(ops->unload(d, &never), TAPE_WRITE_ERROR);
    assert_int_equal(renameat2(AT_FDCWD, away, AT_FDCWD, store, RENAME_EXCHANGE), 0); /* a worker tries on meanwhile */
    assert_int_equal(remove(away), 0);
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

/* A stop's: the tape in the other drive is stored all the same. */
static void a_flush_goes_on_behind_a_tape_that_is_another_gateway_s(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *other = config("two", "remote", "16M");
    struct library *lib = new_library(c, "FEN001L8");
    struct errtext err = {""};
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "FEN002L8", "capacity", 0)));
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never), TAPE_OK);
    rebuild_library(other);
    struct library *lib2 = open_library(other);
    move(lib2, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib2, 0), 2), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib2, 0), 0, false, &never), TAPE_OK);
    close_library(lib2);
    assert_int_equal(write_id(library_drive(lib, 0), 3), TAPE_OK);
    move(lib, SLOT + 1, DRIVE + 1);
    assert_int_equal(write_id(library_drive(lib, 1), 4), TAPE_OK);
    json_t *q = json_pack("{s:s}", "op", "flush");
    assert_null(library_call(lib, q, &err));
    json_decref(q);
    assert_non_null(strstr(err.text, "FEN001L8"));
    struct cartridge *second = library_cartridge(lib, "FEN002L8");
    lock_take(&second->lock);
    bool committed = cartridge_is_committed(second);
    lock_release(&second->lock);
    assert_true(committed);
    assert_int_not_equal(library_close(lib, &err), 0);
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

/* Of a cartridge that is this gateway's anyway nothing is given up: what the store has not taken yet stays on the tape.
 */
static void a_claim_of_its_own_keeps_what_is_only_here(void **state)
{
    (void)state;
    static struct model m;
    char store[100], away[100];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "OWN001L8");
    struct errtext err = {""};
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, 0, 20, 1);
    flush_remote(lib);
    (void)snprintf(store, sizeof(store), "%s/store/tapes/OWN001L8/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    assert_int_equal(rename(store, away), 0);
    fclose(fopen(store, "w")); /* no segment can be stored */
    write_model(library_drive(lib, 0), &m, m.n, 5, 100);
    move(lib, DRIVE, SLOT);
    for (int force = 0; force < 2; force++) {
        json_t *r = claim(lib, "OWN001L8", force, &err);
        assert_non_null(r);
        assert_int_equal(json_integer_value(json_object_get(r, "kept_bytes")), 0);
        json_decref(r);
    }
    assert_int_equal(renameat2(AT_FDCWD, away, AT_FDCWD, store, RENAME_EXCHANGE), 0); /* a worker tries on meanwhile */
    assert_int_equal(remove(away), 0);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    flush_remote(lib);
    close_library(lib);
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

/* What a process does until it is killed, each step with its block; all of it is told through the pipe. A step may
 * begin by an overwrite (at *locate), and end by a sync (true). */
struct told {
    uint64_t steps, synced;
};

static bool next_step(struct model *m, unsigned *seed, uint64_t *id, uint64_t *locate)
{
    int what = rand_r(seed) % 40;
    *locate = UINT64_MAX;
    if (what == 0 && m->n > 4)
        m->n = *locate = (uint64_t)rand_r(seed) % m->n;
    m->object[m->n++ % 4000] = ++*id;
    return what < 4;
}

static void work_until_killed(const char *conf, int fd)
{
    static struct model m;
    struct vtl_config *c = NULL;
    if (config_load(conf, &c, NULL))
        _exit(1);
    struct library *lib = open_library(c);
    void *d = library_drive(lib, 0);
    uint64_t id = 0, locate;
    struct told t = {0, 0};
    unsigned seed = 42;
    for (;;) {
        bool sync = next_step(&m, &seed, &id, &locate);
        if (locate != UINT64_MAX && library_drive_ops()->locate_object(d, 0, locate, &never))
            _exit(1);
        if (write_id(d, id) || (sync && library_drive_ops()->write_filemarks(d, 0, false, &never)))
            _exit(1);
        t.steps++;
        if (sync)
            t.synced = t.steps;
        if (write(fd, &t, sizeof(t)) != (ssize_t)sizeof(t))
            _exit(1);
    }
}

/* This program again, in a process without threads so far; killed after limit steps. */
static struct told kill_worker(const char *conf, size_t limit)
{
    int p[2];
    struct told t = {0, 0}, next;
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (!pid) {
        char fd[12];
        (void)snprintf(fd, sizeof(fd), "%d", p[1]);
        close(p[0]);
        execl("/proc/self/exe", "test_library_loss", "--work", conf, fd, (char *)NULL);
        _exit(1);
    }
    close(p[1]);
    for (size_t i = 0; i < limit && read(p[0], &next, sizeof(next)) == (ssize_t)sizeof(next); i++)
        t = next;
    kill(pid, SIGKILL);
    while (read(p[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
        t = next;
    close(p[0]);
    waitpid(pid, NULL, 0);
    assert_true(t.steps > 0);
    return t;
}

/* Which block stands at the position. */
static uint64_t id_at(void *d, uint64_t most)
{
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), TAPE_OK);
    for (uint64_t id = 1; id <= most; id++) {
        if (length_of(id) != len)
            continue;
        fill(id);
        if (!memcmp(back, block, len))
            return id;
    }
    fail_msg("a block that nobody wrote");
    return 0;
}

/* The tape is what it was after one of the steps from least to most. */
static void check_is_a_state(void *d, uint64_t n, uint64_t least, uint64_t most)
{
    static struct model found, m;
    unsigned seed = 42;
    uint64_t id = 0, locate;
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    for (found.n = 0; found.n < n; found.n++)
        found.object[found.n] = id_at(d, most);
    expect_result(d, TAPE_EOD);
    m.n = 0;
    for (uint64_t k = 1; k <= most; k++) {
        (void)next_step(&m, &seed, &id, &locate);
        if (k >= least && m.n == n && !memcmp(m.object, found.object, n * sizeof(m.object[0])))
            return;
    }
    fail_msg("the tape has %llu blocks, and is in no state from step %llu to %llu", (unsigned long long)n,
             (unsigned long long)least, (unsigned long long)most);
}

/* kill -9 at any moment. One step more may have been done whose acknowledgement did not get out; through: whatever was
 * acknowledged is there, else whatever was synced. */
static void kill_and_check(bool through)
{
    struct vtl_config *c =
        through ? config_more("one", "local", "16M", "write_buffer = 0\n") : config("one", "local", "16M");
    struct library *lib = new_library(c, "KIL001L8");
    move(lib, SLOT, DRIVE);
    close_library(lib);
    for (unsigned round = 0; round < 8; round++) {
        struct told t = kill_worker(c->file, 15 + round * 37);
        lib = open_library(c);
        void *d = library_drive(lib, 0);
        struct tape_status st = status(d);
        assert_true(st.alerts == TAPE_ALERT_BIT(ALERT_LOST_STATISTICS)); /* data are not lost, what was counted is */
        check_is_a_state(d, st.end_object, through ? t.steps : t.synced, t.steps + 1);
        assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
        assert_int_equal(library_drive_ops()->erase(d, true, &never), TAPE_OK);
        expect_result(d, TAPE_EOD);
        close_library(lib);
    }
    config_free(c);
}

static void kill_9_loses_nothing_synced(void **state)
{
    (void)state;
    kill_and_check(false);
}

static void kill_9_loses_nothing_acknowledged_without_a_write_buffer(void **state)
{
    (void)state;
    kill_and_check(true);
}

/* Every segment that the winning head of a cartridge names is in the store. Returns how many these are. */
static size_t check_head(const char *barcode, struct seg_id *seen)
{
    char path[200];
    struct objstore *store = NULL;
    struct errtext err = {""};
    struct head h;
    struct tape_index x;
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    assert_int_equal(objstore_open(&oc, &store, &err), 0);
    assert_int_equal(commit_read_head(store, barcode, NULL, &h, NULL, &err), 0);
    int rc = commit_read_index(store, &h, &x, NULL, &err);
    size_t n = rc ? 0 : x.n_segs;
    if (!rc && seg_id_compare(&h.id, seen)) {
        *seen = h.id;
        for (size_t i = 0; i < n; i++) {
            char key[DB_KEY_SIZE];
            object_key(key, barcode, "seg", &x.segs[i].id);
            (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
            struct stat st;
            if (stat(path, &st) || !S_ISREG(st.st_mode))
                fail_msg("segment %zu of %zu is not in the store, and a head names it", i, n);
        }
    }
    if (!rc)
        tape_index_free(&x);
    head_free(&h);
    store->ops->close(store);
    return n;
}

/* A directory of a segment's name keeps the store from taking it. */
static void block_segment(const char *barcode, unsigned ahead, char path[400])
{
    char seg[200];
    struct dirent **list;
    struct seg_id id;
    char name[SEG_NAME_SIZE];
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/%s/seg", dir, barcode);
    int n = scandir(seg, &list, NULL, alphasort);
    assert_true(n > 2 && seg_id_parse(list[n - 1]->d_name, &id));
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    id.number += ahead;
    seg_id_format(&id, name);
    (void)snprintf(path, 400, "%s/%s", seg, name);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, 400, "%s/%s/x", seg, name);
    fclose(fopen(path, "w"));
    *strrchr(path, '/') = '\0';
}

/* A long backup is committed on the way, up to the first segment that is not in the store yet. */
static void a_head_names_only_what_is_stored(void **state)
{
    (void)state;
    char second[400], late[400];
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = new_library(c, "NAME01L8");
    struct drive *d = library_drive(lib, 0);
    struct seg_id seen = {0};
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib);
    block_segment("NAME01L8", 1, second);
    block_segment("NAME01L8", 69, late);
    for (uint64_t id = 2; id <= 600; id++) /* about 90 segments */
        assert_int_equal(write_id(d, id), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK); /* they are there, too */
    remove_tree(second); /* now 70 of them may be committed */
    for (int i = 0; check_head("NAME01L8", &seen) < 64; i++) {
        assert_true(i < 6000); /* a minute */
        usleep(10000);
    }
    remove_tree(late);
    flush_remote(lib);
    (void)check_head("NAME01L8", &seen);
    close_library(lib);
    config_free(c);
}

/* A library that dies after a sync and one more block. The path of its open segment; *synced: bytes of it. */
static void die_after_sync(const struct vtl_config *c, struct model *m, char path[500], off_t *synced)
{
    char spool[200];
    struct dirent **list;
    struct stat st;
    (void)snprintf(spool, sizeof(spool), "%s/one/spool/DIED01L8", dir);
    pid_t pid = fork();
    if (!pid) {
        struct library *lib = new_library(c, "DIED01L8");
        move(lib, SLOT, DRIVE);
        write_model(library_drive(lib, 0), m, 0, 4, 1);
        if (library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never))
            _exit(1);
        int n = scandir(spool, &list, NULL, alphasort);
        (void)snprintf(path, 500, "%s/%s", spool, list[n - 1]->d_name);
        off_t size = stat(path, &st) ? 0 : st.st_size;
        (void)snprintf(path, 500, "%s/size", dir);
        FILE *f = fopen(path, "w");
        fprintf(f, "%lld\n", (long long)size);
        fclose(f);
        _exit(write_id(library_drive(lib, 0), 99) ? 1 : 0);
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    long long size = 0;
    (void)snprintf(path, 500, "%s/size", dir);
    FILE *f = fopen(path, "r");
    assert_int_equal(fscanf(f, "%lld", &size), 1);
    fclose(f);
    *synced = (off_t)size;
    int n = scandir(spool, &list, NULL, alphasort);
    assert_true(n > 2);
    (void)snprintf(path, 500, "%s/%s", spool, list[n - 1]->d_name);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    m->n = 0;
    for (uint64_t id = 1; id <= 4; id++)
        m->object[m->n++] = id;
}

static void flip_at(const char *path, off_t at)
{
    uint8_t b;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= 1;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static uint64_t lost(struct library *lib, bool *alert)
{
    struct tape_statistics s;
    library_drive_ops()->statistics(library_drive(lib, 0), &s);
    *alert = status(library_drive(lib, 0)).alerts & TAPE_ALERT_BIT(ALERT_MEDIA);
    return s.lost_objects;
}

/* What a sync acknowledged and the disk has damaged since is told; it is no torn tail. */
static void damage_of_what_was_synced_is_told(void **state)
{
    (void)state;
    static struct model m;
    char path[500], bad[510];
    off_t synced = 0;
    bool alert = false;
    struct vtl_config *c = config("one", "local", "0");
    die_after_sync(c, &m, path, &synced);
    flip_at(path, synced - 100); /* in the fourth block */
    struct library *lib = open_library(c);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    assert_int_equal(lost(lib, &alert), 1);
    assert_true(alert);
    m.n = 3;
    check_all(library_drive(lib, 0), &m);
    (void)snprintf(bad, sizeof(bad), "%s.bad", path);
    assert_int_equal(access(bad, F_OK), 0);
    write_model(library_drive(lib, 0), &m, 3, 5, 50); /* written over, it is gone */
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    assert_int_equal(lost(lib, &alert), 0);
    assert_false(alert);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

static void a_torn_tail_is_no_damage(void **state)
{
    (void)state;
    static struct model m;
    char path[500], bad[510];
    off_t synced = 0;
    bool alert = true;
    struct vtl_config *c = config("one", "local", "0");
    die_after_sync(c, &m, path, &synced);
    flip_at(path, synced + 100); /* in the fifth, which no sync acknowledged */
    struct library *lib = open_library(c);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    assert_int_equal(lost(lib, &alert), 0);
    assert_false(alert);
    check_all(library_drive(lib, 0), &m);
    (void)snprintf(bad, sizeof(bad), "%s.bad", path);
    assert_int_not_equal(access(bad, F_OK), 0);
    close_library(lib);
    config_free(c);
}

/* ---- a commit between a claim and the look at the state ---- */

static struct objstore_ops hooked_ops;
static struct objstore *hooked_real, hooked = {&hooked_ops};
static _Atomic(void (*)(void)) at_claim;

static int hooked_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                      struct errtext *err)
{
    (void)s;
    int rc = hooked_real->ops->put(hooked_real, key, src, c, err);
    if (!rc && strstr(key, "/head/") && !strcmp(key + strlen(key) - 11, "-0000000000")) {
        void (*fn)(void) = atomic_exchange(&at_claim, NULL);
        if (fn)
            fn();
    }
    return rc;
}
static int hooked_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                      const struct obj_call *c, struct errtext *err)
{
    (void)s;
    return hooked_real->ops->get(hooked_real, key, offset, len, buf, c, err);
}
static int hooked_stream(struct objstore *s, const char *key, uint64_t offset, uint64_t len,
                         const struct obj_sink *sink, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    return hooked_real->ops->stream(hooked_real, key, offset, len, sink, c, err);
}
static int hooked_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                       struct errtext *err)
{
    (void)s;
    return hooked_real->ops->head(hooked_real, key, size, c, err);
}
static int hooked_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn, void *arg,
                       const struct obj_call *c, struct errtext *err)
{
    (void)s;
    return hooked_real->ops->list(hooked_real, prefix, after, slash, fn, arg, c, err);
}
static int hooked_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                      struct errtext *err)
{
    (void)s;
    return hooked_real->ops->del(hooked_real, keys, n, c, err);
}
static void hooked_close(struct objstore *s)
{
    (void)s;
    hooked_real->ops->close(hooked_real);
}

static struct library *first;

/* The first gateway stores a block and is told that its head is the highest: a moment before the claim of the second
 * is there to be seen, as it were; the claim holds no state, so nothing is lost. */
static void put_head_below(void)
{
    char from[300], to[300];
    (void)snprintf(from, sizeof(from), "%s/late", dir);
    (void)snprintf(to, sizeof(to), "%s/store/tapes/MID001L8/head", dir);
    char command[700];
    (void)snprintf(command, sizeof(command), "cp -a %s/. %s/", from, to);
    assert_int_equal(system(command), 0);
}

/* What a gateway commits while another one claims is part of what that one takes over, or it takes nothing over. */
static void a_commit_in_the_middle_of_a_claim_is_not_lost(void **state)
{
    (void)state;
    static struct model m;
    char command[900];
    struct vtl_config *c = config("one", "remote", "16M"), *other = config("two", "remote", "16M");
    first = new_library(c, "MID001L8");
    move(first, SLOT, DRIVE);
    write_model(library_drive(first, 0), &m, 0, 5, 1);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(first, 0), 0, false, &never), TAPE_OK);
    rebuild_library(other); /* as it is now */
    /* The first goes on; its newest head is taken away, to come back when the second has claimed. */
    (void)snprintf(command, sizeof(command), "cp -a %s/store/tapes/MID001L8/head %s/old", dir, dir);
    assert_int_equal(system(command), 0);
    write_model(library_drive(first, 0), &m, m.n, 5, 100);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(first, 0), 0, false, &never), TAPE_OK);
    flush_remote(first);
    close_library(first);
    (void)snprintf(command, sizeof(command),
                   "mv %s/store/tapes/MID001L8/head %s/late && mv %s/old %s/store/tapes/MID001L8/head", dir, dir, dir,
                   dir);
    assert_int_equal(system(command), 0);

    struct library *lib = open_library(other);
    inventory_stop(lib); /* which uses the store, now and then */
    hooked_real = lib->eng.store;
    hooked_ops = (struct objstore_ops){.type = hooked_real->ops->type,
                                       .put = hooked_put,
                                       .get = hooked_get,
                                       .stream = hooked_stream,
                                       .head = hooked_head,
                                       .list = hooked_list,
                                       .del = hooked_del,
                                       .check = hooked_real->ops->check,
                                       .close = hooked_close};
    lib->eng.store = &hooked;
    at_claim = put_head_below;
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 999), TAPE_NOT_OWNED);
    assert_null(at_claim);
    struct errtext err;
    (void)library_close(lib, &err);
    struct vtl_config *third = config("three", "remote", "16M");
    rebuild_library(third);
    lib = open_library(third);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
    config_free(other);
    config_free(third);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--work"))
        work_until_killed(argv[2], atoi(argv[3]));
    const struct CMUnitTest tests[] = {
        T(what_a_dead_store_holds_up_fails_in_time),
        T(a_second_gateway_fences_the_first),
        T(a_flush_goes_on_behind_a_tape_that_is_another_gateway_s),
        T(a_cartridge_is_taken_over_by_force),
        T(a_claim_of_its_own_keeps_what_is_only_here),
        T(a_cartridge_of_the_bucket_is_adopted),
        T(kill_9_loses_nothing_synced),
        T(kill_9_loses_nothing_acknowledged_without_a_write_buffer),
        T(a_head_names_only_what_is_stored),
        T(damage_of_what_was_synced_is_told),
        T(a_torn_tail_is_no_damage),
        T(a_commit_in_the_middle_of_a_claim_is_not_lost),
    };
    return cmocka_run_group_tests_name("library_loss", tests, NULL, NULL);
}
