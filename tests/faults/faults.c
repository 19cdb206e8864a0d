/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faults.c: a library on a real S3 server behind proxy.py: every operation with every fault. Either it succeeds in the
 * end, or the initiator is told; never is a byte wrong, nor one lost that was acknowledged (I1, I3, I6). faults
 * PROXY_DIR WORK_DIR [PART OF]    the store by its environment: S3_BUCKET, S3_CREDENTIALS */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/ops.h"
#include "vtl/library.h"

#define BARCODE "FLT001L8"
#define SLOT ELEMENT_FIRST_STORAGE
#define DRIVE ELEMENT_FIRST_DRIVE

/* What must come of a fault while it lasts. */
enum outcome {
    HEALS,   /* it passes by itself, and the initiator does not notice */
    IS_TOLD, /* a read may end in MEDIUM ERROR, a sync in an error or not at all */
};

struct fault {
    const char *operation, *kind, *what;
    unsigned times; /* 0: until it is taken away */
    enum outcome outcome;
};

static const struct fault faults[] = {
    {"put", "seg", "reset", 2, HEALS},   {"put", "seg", "lost", 2, HEALS},      {"put", "seg", "500", 2, HEALS},
    {"put", "seg", "503", 2, HEALS},     {"put", "seg", "429", 2, HEALS},       {"put", "seg", "411", 2, HEALS},
    {"put", "seg", "403", 2, HEALS},     {"put", "seg", "404", 2, HEALS},       {"put", "seg", "skew", 2, HEALS},
    {"put", "seg", "507", 2, HEALS},     {"put", "seg", "cut", 2, HEALS},       {"put", "seg", "flip", 2, HEALS},
    {"put", "seg", "html", 2, HEALS},    {"put", "seg", "empty", 2, HEALS},     {"put", "seg", "refuse", 0, IS_TOLD},
    {"put", "seg", "503", 0, IS_TOLD},   {"put", "seg", "403", 0, IS_TOLD},     {"put", "seg", "507", 0, IS_TOLD},
    {"put", "head", "reset", 2, HEALS},  {"put", "head", "lost", 2, HEALS},     {"put", "head", "500", 2, HEALS},
    {"put", "head", "403", 2, HEALS},    {"put", "head", "404", 2, HEALS},      {"put", "head", "flip", 2, HEALS},
    {"put", "head", "empty", 2, HEALS},  {"put", "head", "503", 0, IS_TOLD},    {"list", "head", "reset", 2, HEALS},
    {"list", "head", "lost", 2, HEALS},  {"list", "head", "503", 2, HEALS},     {"list", "head", "403", 2, HEALS},
    {"list", "head", "404", 2, HEALS},   {"list", "head", "cut", 2, HEALS},     {"list", "head", "short", 2, HEALS},
    {"list", "head", "html", 2, HEALS},  {"list", "head", "empty", 2, HEALS},   {"list", "head", "stale", 2, HEALS},
    {"list", "head", "503", 0, IS_TOLD}, {"list", "head", "stale", 0, IS_TOLD}, {"delete", "any", "reset", 2, HEALS},
    {"delete", "any", "lost", 2, HEALS}, {"delete", "any", "500", 2, HEALS},    {"delete", "any", "403", 2, HEALS},
    {"delete", "any", "html", 2, HEALS}, {"delete", "any", "empty", 2, HEALS},  {"get", "seg", "reset", 2, HEALS},
    {"get", "seg", "lost", 2, HEALS},    {"get", "seg", "500", 2, HEALS},       {"get", "seg", "503", 2, HEALS},
    {"get", "seg", "429", 2, HEALS},     {"get", "seg", "cut", 2, HEALS},       {"get", "seg", "short", 2, HEALS},
    {"get", "seg", "html", 2, IS_TOLD},  {"get", "seg", "empty", 2, IS_TOLD},   {"get", "seg", "403", 2, IS_TOLD},
    {"get", "seg", "404", 2, IS_TOLD},   {"get", "seg", "skew", 2, IS_TOLD},    {"get", "seg", "flip", 2, IS_TOLD},
    {"get", "seg", "flip", 0, IS_TOLD},  {"get", "seg", "short", 0, IS_TOLD},   {"get", "seg", "503", 0, IS_TOLD},
    {"get", "seg", "404", 0, IS_TOLD},   {"get", "seg", "slow=100", 0, HEALS},  {"any", "any", "refuse", 0, IS_TOLD},
    {"any", "any", "500", 0, IS_TOLD},   {"any", "any", "slow=80", 0, HEALS},
};

static const char *proxy, *work;

/* ---- the proxy ---- */

static void set_rule(const char *text)
{
    char path[4200], next[4200];
    (void)snprintf(path, sizeof(path), "%s/rule", proxy);
    (void)snprintf(next, sizeof(next), "%s/rule.new", proxy);
    FILE *f = fopen(next, "w");
    if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f) || rename(next, path)) {
        perror(path);
        _exit(2);
    }
}

static long hits(void)
{
    char path[4200];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/hits", proxy);
    return stat(path, &st) ? 0 : (long)st.st_size;
}

/* ---- the library ---- */

static struct vtl_config *config(const char *name, unsigned number)
{
    char path[4200], port_path[4200], port[16] = "";
    struct errtext err = {""};
    struct vtl_config *c = NULL;
    (void)snprintf(port_path, sizeof(port_path), "%s/port", proxy);
    FILE *f = fopen(port_path, "r");
    if (!f || !fgets(port, sizeof(port), f)) {
        perror(port_path);
        _exit(2);
    }
    fclose(f);
    (void)snprintf(path, sizeof(path), "%s/%s.conf", work, name);
    f = fopen(path, "w");
    if (!f) {
        perror(path);
        _exit(2);
    }
    fprintf(f,
            "[library]\nname = %s\nstate_dir = %s/%s\nslots = 2\ndrives = 1\n[store]\ntype = s3\n"
            "url = http://127.0.0.1:%s\nbucket = %s\nprefix = faults/%d/%u\ncredentials_file = %s\n"
            "[spool]\nsegment_size = 1M\nmax_dirty = 64M\ncache_size = 0\nidle_seal = 1h\ndurability = remote\n",
            name, work, name, port, getenv("S3_BUCKET"), (int)getppid(), number, getenv("S3_CREDENTIALS"));
    if (fclose(f) || config_load(path, &c, &err)) {
        fprintf(stderr, "%s\n", err.text);
        _exit(2);
    }
    return c;
}

static void must(int rc, const char *what, const struct errtext *err)
{
    if (!rc)
        return;
    fprintf(stderr, "%s: %d %s\n", what, rc, err ? err->text : "");
    _exit(1);
}

static struct library *opened(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    must(library_open(c, LIBRARY_SERVE, &lib, &err), "open", &err);
    return lib;
}

static struct library *made(const struct vtl_config *c)
{
    struct errtext err = {""};
    json_t *r = NULL;
    must(library_init(c, &r, &err), "init", &err);
    json_decref(r);
    struct library *lib = opened(c);
    json_t *q = json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", BARCODE, "capacity", 0);
    r = library_call(lib, q, &err);
    must(!r, "tape create", &err);
    json_decref(q);
    json_decref(r);
    return lib;
}

/* ---- operations with an end: after so many seconds they are cancelled, as an initiator would ---- */

static atomic_bool cancel;

static void *cancel_later(void *arg)
{
    struct library *lib = arg;
    sleep(4);
    atomic_store(&cancel, true);
    library_drive_ops()->wake(library_drive(lib, 0));
    return NULL;
}

static const atomic_bool never = false;

static void load(struct library *lib)
{
    must((int)library_changer_ops()->move(lib, 0, SLOT, DRIVE, &never), "load", NULL);
}

static enum tape_result write_blocks(struct library *lib, uint64_t from, uint64_t to, const atomic_bool *stop)
{
    static uint8_t block[MAX_BLOCK];
    void *d = library_drive(lib, 0);
    enum tape_result r = TAPE_OK;
    for (uint64_t id = from; !r && id <= to; id++) {
        block_fill(id, block);
        r = library_drive_ops()->write(d, block, block_length(id), false, NULL, stop);
    }
    return r;
}

static enum tape_result sync_tape(struct library *lib, const atomic_bool *stop)
{
    return library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, stop);
}

/* What is not the block that was written ends the test. *objects: how many were read. */
static enum tape_result read_blocks(struct library *lib, uint64_t last, uint64_t *objects, const atomic_bool *stop)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    void *d = library_drive(lib, 0);
    enum tape_result r = library_drive_ops()->rewind(d, stop);
    for (*objects = 0; !r; ++*objects) {
        uint32_t len = sizeof(got);
        r = library_drive_ops()->read(d, got, &len, NULL, stop);
        if (r)
            break;
        uint64_t id = *objects + 1;
        block_fill(id, want);
        if (len != block_length(id) || memcmp(got, want, len)) {
            fprintf(stderr, "block %llu is not what was written\n", (unsigned long long)id);
            _exit(1);
        }
    }
    if (r == TAPE_EOD && *objects != last) {
        fprintf(stderr, "%llu blocks, not %llu\n", (unsigned long long)*objects, (unsigned long long)last);
        _exit(1);
    }
    return r;
}

static void expect_all(struct library *lib, uint64_t last, const char *when)
{
    uint64_t n = 0;
    enum tape_result r = read_blocks(lib, last, &n, &never);
    if (r != TAPE_EOD) {
        fprintf(stderr, "%s: block %llu of %llu: result %d\n", when, (unsigned long long)n + 1,
                (unsigned long long)last, (int)r);
        _exit(1);
    }
}

static void close_library(struct library *lib)
{
    struct errtext err = {""};
    must(library_close(lib, &err), "close", &err);
}

/* The bucket alone gives the same. */
static void expect_in_bucket(unsigned number, uint64_t last)
{
    struct vtl_config *c = config("again", number);
    struct errtext err = {""};
    json_t *r = NULL;
    must(library_rebuild(c, NULL, &r, &err), "rebuild", &err);
    json_decref(r);
    struct library *lib = opened(c);
    load(lib);
    expect_all(lib, last, "after a rebuild");
    close_library(lib);
}

/* ---- one fault ---- */

static void run(const struct fault *f, unsigned number)
{
    char rule[100];
    set_rule("-");
    struct vtl_config *c = config("lib", number);
    struct library *lib = made(c);
    load(lib);
    must(write_blocks(lib, 1, 40, &never), "the first write", NULL);
    must(sync_tape(lib, &never), "the first sync", NULL);
    /* What is on the tape from 20 on is written over, so that there is something to delete. */
    must(library_drive_ops()->locate_object(library_drive(lib, 0), 0, 20, &never), "locate", NULL);

    long before = hits();
    (void)snprintf(rule, sizeof(rule), "%s %s %s %u", f->operation, f->kind, f->what, f->times);
    set_rule(rule);
    pthread_t timer;
    if (f->outcome == IS_TOLD)
        must(pthread_create(&timer, NULL, cancel_later, lib), "thread", NULL);
    const uint64_t last = 60;
    enum tape_result wrote = write_blocks(lib, 21, last, &cancel), synced = sync_tape(lib, &cancel);
    uint64_t n = 0;
    enum tape_result read = read_blocks(lib, last, &n, &cancel);
    if (f->outcome == IS_TOLD)
        pthread_join(timer, NULL);
    must(wrote, "a write", NULL); /* the spool takes it, whatever the store does */
    if (hits() == before) {
        fprintf(stderr, "no request was hit\n");
        _exit(1);
    }
    if (f->outcome == HEALS && (synced || read != TAPE_EOD)) {
        fprintf(stderr, "sync %d, read %d after %llu blocks\n", (int)synced, (int)read, (unsigned long long)n);
        _exit(1);
    }
    if (f->outcome == IS_TOLD && f->times == 0 && !strcmp(f->operation, "put") && !synced) {
        fprintf(stderr, "a sync was acknowledged that the store had not taken\n");
        _exit(1);
    }
    set_rule("-");
    must(sync_tape(lib, &never), "the sync after the fault", NULL);
    expect_all(lib, last, "after the fault");
    close_library(lib);
    expect_in_bucket(number, last);
}

/* ---- all of them, each in a process of its own ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static bool one(const struct fault *f, unsigned number)
{
    char log[4200], line[600];
    (void)nftw(work, remove_one, 32, FTW_DEPTH | FTW_PHYS);
    (void)snprintf(log, sizeof(log), "%s/log", work);
    if (mkdir(work, 0700))
        return false;
    time_t began = time(NULL);
    pid_t pid = fork();
    if (!pid) {
        if (!freopen(log, "w", stderr))
            _exit(2);
        setvbuf(stderr, NULL, _IONBF, 0);
        alarm(150);
        run(f, number);
        _exit(0);
    }
    int status = 0;
    bool good = waitpid(pid, &status, 0) == pid && !status;
    printf("%s - %s %s: %s %s: %s (%d s)\n", good ? "ok" : "not ok", f->operation, f->kind, f->what,
           f->times ? "twice" : "until it is mended",
           f->outcome == HEALS ? "heals by itself" : "is told, and nothing is wrong or lost",
           (int)(time(NULL) - began));
    FILE *in = good ? NULL : fopen(log, "r");
    while (in && fgets(line, sizeof(line), in))
        printf("#   %s", line);
    if (in)
        fclose(in);
    if (!good)
        printf("#   status %x\n", (unsigned)status);
    fflush(stdout);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5) {
        fputs("usage: faults PROXY_DIR WORK_DIR [PART OF]\n", stderr);
        return 2;
    }
    proxy = argv[1];
    work = argv[2];
    unsigned part = argc == 5 ? (unsigned)atoi(argv[3]) : 0, of = argc == 5 ? (unsigned)atoi(argv[4]) : 1, bad = 0;
    for (unsigned i = part; i < sizeof(faults) / sizeof(faults[0]); i += of)
        bad += !one(&faults[i], i);
    return bad != 0;
}
