/* SPDX-License-Identifier: GPL-2.0-or-later */
/* outage.c: the store is gone for a long time while two drives write. They go on until the spool is full and then wait;
 * nothing fails, and everything drains by itself when the store is back (I1, I6). With TEST_DEDUP the second tape copies from
 * the first one, and would go on to while the store is gone. outage PROXY_DIR WORK_DIR SECONDS */
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/ops.h"
#include "tests/faults/rig.h"
#include "tests/lib/chunked.h"
#include "tests/lib/leaning.h"

#define DRIVES 2
#define BEFORE 60      /* blocks that are in the store when it goes */
#define BLOCKS 1200    /* on each cartridge in the end: more than the spool holds */
#define FILE_BLOCKS 50 /* blocks before a filemark, which is a sync */
#define MAX_DIRTY (32u << 20)
#define SEGMENT (1u << 20)
#define SEEN_IN_S 15     /* that the store is in trouble */
#define TOLD_AFTER_S 150 /* the store's own tries in one call take 2 minutes */
#define RESUMES_IN_S 120 /* the longest pause between two tries is 60 s, and a host may be busy */
#define DRAINS_IN_S 300

struct writer {
    struct library *lib;
    unsigned drive;
    uint64_t from, to; /* blocks */
    atomic_ullong done;
    atomic_int result; /* the first one that was not TAPE_OK */
    atomic_bool ended;
    pthread_t thread;
};

static unsigned bad;

static void expect(bool good, const char *name)
{
    printf("%s - an outage%s: %s\n", good ? "ok" : "not ok", chunked() ? ", with dedup" : "", name);
    fflush(stdout);
    bad += !good;
}

static uint64_t seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

static void pause_ms(long ms)
{
    struct timespec d = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&d, NULL);
}

/* ---- the tapes ---- */

/* Every block tells which it is, also on which cartridge. With dedup its highest byte says which few chunks it is of: the
 * second tape has those of the first one's beginning again: half of them before the store is gone, all of them after. */
static uint64_t number_of(unsigned drive, uint64_t i)
{
    uint64_t id = drive * UINT64_C(1000000) + i, like = !drive ? i : i > BEFORE ? i - BEFORE : i / 2;
    return chunked() ? (1 + like / 6) << 56 | id : id;
}

static enum tape_result write_one(struct writer *w, uint64_t i)
{
    static _Thread_local uint8_t block[MAX_BLOCK];
    void *d = library_drive(w->lib, w->drive);
    uint64_t id = number_of(w->drive, i);
    block_fill(id, block);
    enum tape_result r = library_drive_ops()->write(d, block, block_length(id), false, NULL, &never);
    if (!r && i % FILE_BLOCKS == 0)
        r = library_drive_ops()->write_filemarks(d, 1, false, &never);
    return r;
}

static void *write_all(void *arg)
{
    struct writer *w = arg;
    for (uint64_t i = w->from; i <= w->to; i++) {
        enum tape_result r = write_one(w, i);
        if (r) {
            atomic_store(&w->result, (int)r);
            break;
        }
        atomic_store(&w->done, i);
    }
    atomic_store(&w->ended, true);
    return NULL;
}

/* Block by block what was written; false, with a line, at the first that is not. */
static bool read_all(struct library *lib, unsigned drive)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    void *d = library_drive(lib, drive);
    enum tape_result r = library_drive_ops()->rewind(d, &never);
    for (uint64_t i = 1; !r && i <= BLOCKS; i++) {
        uint32_t len = sizeof(got);
        uint64_t id = number_of(drive, i);
        r = library_drive_ops()->read(d, got, &len, NULL, &never);
        block_fill(id, want);
        if (r || len != block_length(id) || memcmp(got, want, len)) {
            printf("# drive %u, block %" PRIu64 ": result %d, %u bytes, or other bytes\n", drive, i, (int)r, len);
            return false;
        }
        len = sizeof(got);
        if (i % FILE_BLOCKS == 0)
            r = library_drive_ops()->read(d, got, &len, NULL, &never) == TAPE_FILEMARK ? TAPE_OK : TAPE_INTERNAL;
    }
    uint32_t len = sizeof(got);
    return !r && library_drive_ops()->read(d, got, &len, NULL, &never) == TAPE_EOD;
}

/* ---- what the library says ---- */

struct state {
    uint64_t dirty, not_remote;
    unsigned in_trouble; /* cartridges that tell one */
    char trouble[600];   /* of one of them */
    bool store;          /* the store itself is said to be in trouble */
};

static struct state look(struct library *lib)
{
    struct state s = {.trouble = ""};
    struct errtext err = {""};
    json_t *q = json_pack("{s:s}", "op", "status"), *r = library_call(lib, q, &err), *c;
    size_t i;
    must(!r, "status", &err);
    s.store = json_is_string(json_object_get(json_object_get(r, "store"), "trouble"));
    s.dirty = (uint64_t)json_integer_value(json_object_get(json_object_get(r, "spool"), "dirty_bytes"));
    json_array_foreach(json_object_get(r, "cartridges"), i, c)
    {
        const char *trouble = json_string_value(json_object_get(c, "trouble"));
        s.not_remote += (uint64_t)json_integer_value(json_object_get(c, "local_only_bytes"));
        s.in_trouble += trouble != NULL;
        if (trouble)
            (void)snprintf(s.trouble, sizeof(s.trouble), "%s", trouble);
    }
    json_decref(q);
    json_decref(r);
    return s;
}

static bool flush_remote(struct library *lib)
{
    struct errtext err = {""};
    json_t *q = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000);
    bool done = false;
    for (uint64_t until = seconds() + DRAINS_IN_S; !done && seconds() < until;) {
        json_t *r = library_call(lib, q, &err);
        must(!r, "flush", &err);
        done = json_is_true(json_object_get(r, "remote"));
        json_decref(r);
    }
    json_decref(q);
    return done;
}

static uint64_t found; /* by add_size: nftw knows no argument */

static int add_size(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)path;
    (void)f;
    found += type == FTW_F ? (uint64_t)st->st_size : 0;
    return 0;
}

/* Bytes of all files of the spool. */
static uint64_t spool_size(const struct rig *rig)
{
    char path[4200];
    found = 0;
    (void)snprintf(path, sizeof(path), "%s/lib/spool", rig->work);
    must(nftw(path, add_size, 16, FTW_PHYS), path, NULL);
    return found;
}

/* ---- the outage ---- */

static void start(struct writer *w, struct library *lib, unsigned drive, uint64_t from, uint64_t to)
{
    w->lib = lib;
    w->drive = drive;
    w->from = from;
    w->to = to;
    must(pthread_create(&w->thread, NULL, write_all, w), "thread", NULL);
}

/* Until the time is over. Writes stop when the spool is full, and only then. */
static void during(const struct rig *rig, struct library *lib, struct writer *w, unsigned duration)
{
    uint64_t began = seconds(), full_at = 0, seen_at = 0, most = 0, next = 60;
    struct state s;
    do {
        pause_ms(200);
        s = look(lib);
        most = s.dirty > most ? s.dirty : most;
        if (!seen_at && s.store)
            seen_at = seconds() - began + 1;
        if (!full_at && s.dirty + MAX_BLOCK > MAX_DIRTY)
            full_at = seconds() - began + 1;
        if (seconds() - began >= next) {
            printf("# %" PRIu64 " s: %" PRIu64 " bytes wait, blocks %llu and %llu, %ld bytes of hits: %s\n",
                   seconds() - began, s.not_remote, atomic_load(&w[0].done), atomic_load(&w[1].done), rig_hits(rig),
                   s.trouble);
            fflush(stdout);
            next *= 2;
        }
    } while (seconds() - began < duration);
    printf("# full in less than %" PRIu64 " s; at most %" PRIu64 " bytes waited for the store, limit %u\n", full_at,
           most, MAX_DIRTY);
    printf("# the store's trouble was in status in less than %" PRIu64 " s\n", seen_at);
    expect(seen_at && seen_at <= SEEN_IN_S, "status tells of the store's trouble within 15 s");
    expect(full_at != 0, "writes go on until the spool is full");
    bool waits = true, failed = false;
    for (unsigned i = 0; i < DRIVES; i++) {
        waits = waits && !atomic_load(&w[i].ended);
        failed = failed || atomic_load(&w[i].result);
    }
    expect(waits && !failed, "then they wait, and none fails");
    /* Each drive may be past its look at the limit with one block. */
    expect(most <= MAX_DIRTY + DRIVES * (uint64_t)MAX_BLOCK && spool_size(rig) <= MAX_DIRTY + 2 * DRIVES * SEGMENT,
           "the spool keeps its bounds");
    if (duration < TOLD_AFTER_S)
        return;
    printf("# %s\n", s.trouble);
    expect(s.in_trouble == DRIVES, "status says what is wrong, for each cartridge");
}

/* The store is back. Nobody does anything. */
static void after(const struct rig *rig, struct library *lib, struct writer *w)
{
    uint64_t began = seconds(), waited = look(lib).dirty, written = atomic_load(&w[0].done) + atomic_load(&w[1].done);
    rig_rule(rig, "-");
    bool goes_on = false, good = true;
    while (!goes_on && seconds() - began < RESUMES_IN_S) {
        pause_ms(100);
        goes_on = look(lib).dirty < waited || atomic_load(&w[0].done) + atomic_load(&w[1].done) > written;
    }
    printf("# uploads go on after %" PRIu64 " s\n", seconds() - began);
    expect(goes_on, "uploads go on by themselves");
    if (!goes_on)
        _exit(1); /* whoever waits for room would wait for ever */
    for (unsigned i = 0; i < DRIVES; i++) {
        pthread_join(w[i].thread, NULL);
        good = good && !atomic_load(&w[i].result) && atomic_load(&w[i].done) == BLOCKS;
    }
    expect(good, "the writes that waited end well");
    expect(flush_remote(lib), "everything drains");
    struct state s = look(lib);
    printf("# all is stored after %" PRIu64 " s\n", seconds() - began);
    expect(!s.not_remote && !s.in_trouble && !s.store, "and no trouble is left");
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: outage PROXY_DIR WORK_DIR SECONDS\n", stderr);
        return 2;
    }
    const struct rig rig = {argv[1], argv[2]};
    unsigned duration = (unsigned)atoi(argv[3]);
    static struct writer w[DRIVES];
    char prefix[40], more[200];
    setvbuf(stderr, NULL, _IONBF, 0);
    alarm(duration + 600);
    (void)snprintf(prefix, sizeof(prefix), "outage/%d", (int)getpid());
    (void)snprintf(more, sizeof(more), "max_dirty = %u\nidle_seal = 1h\n[library]\ndrives = %d\n", MAX_DIRTY, DRIVES);
    rig_clean(&rig);
    rig_rule(&rig, "-");
    struct library *lib = rig_make(rig_config(&rig, "lib", prefix, more), DRIVES);
    for (unsigned i = 0; i < DRIVES; i++) {
        rig_load(lib, i);
        start(&w[i], lib, i, 1, BEFORE);
        pthread_join(w[i].thread, NULL);
        must(atomic_load(&w[i].result), "the first writes", NULL);
        atomic_store(&w[i].ended, false);
        must(!flush_remote(lib), "the first flush", NULL);
    }
    uint64_t leaned = leaning_now(lib, "FLT002L8");
    rig_rule(&rig, "any any refuse 0");
    for (unsigned i = 0; i < DRIVES; i++)
        start(&w[i], lib, i, BEFORE + 1, BLOCKS);
    during(&rig, lib, w, duration);
    after(&rig, lib, w);
    if (chunked()) {
        uint64_t now = leaning_now(lib, "FLT002L8");
        printf("# the second tape copies from %" PRIu64 " segments, then from %" PRIu64 "\n", leaned, now);
        expect(leaned, "the second tape copied from the first one"); /* meanwhile only if that is listed still */
    }
    bool good = true;
    uint64_t began = seconds();
    for (unsigned i = 0; i < DRIVES; i++)
        good = read_all(lib, i) && good;
    printf("# read in %" PRIu64 " s\n", seconds() - began);
    expect(good, "every byte is read back");
    rig_close(lib);
    lib = rig_rebuild(rig_config(&rig, "again", prefix, more));
    for (unsigned i = 0; i < DRIVES; i++) {
        rig_load(lib, i);
        good = read_all(lib, i) && good;
    }
    expect(good, "and again after a rebuild from the bucket alone");
    rig_close(lib);
    return bad != 0;
}
