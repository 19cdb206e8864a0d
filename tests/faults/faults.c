/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faults.c: a library on a real S3 server behind proxy.py: every operation with every fault. Either it succeeds in the
 * end, or the initiator is told; never is a byte wrong, nor one lost that was acknowledged (I1, I3, I6). faults
 * PROXY_DIR WORK_DIR [PART OF]    the store by its environment: S3_BUCKET, S3_CREDENTIALS
 * With dedup, every other one of them or what $FAULT_DEDUP says (0: none, 1: all), the tape copies from a second one, which
 * is written over during the fault. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/ops.h"
#include "tests/faults/rig.h"
#include "tests/lib/chunked.h"
#include "tests/lib/leaning.h"

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

/* The second tape's blocks. */
enum { LENT = 1000, N_LENT = 12 };

static struct vtl_config *config(const struct rig *rig, const char *name, unsigned number)
{
    char prefix[60];
    (void)snprintf(prefix, sizeof(prefix), "faults/%d/%u", (int)getppid(), number);
    return rig_config(rig, name, prefix,
                      "max_dirty = 64M\nidle_seal = 1h\ndurability = remote\n[library]\ndrives = 2\n");
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

static enum tape_result write_to(struct library *lib, unsigned drive, uint64_t from, uint64_t to,
                                 const atomic_bool *stop)
{
    static uint8_t block[MAX_BLOCK];
    void *d = library_drive(lib, drive);
    enum tape_result r = TAPE_OK;
    for (uint64_t id = from; !r && id <= to; id++) {
        block_fill(id, block);
        r = library_drive_ops()->write(d, block, block_length(id), false, NULL, stop);
    }
    return r;
}

static enum tape_result write_blocks(struct library *lib, uint64_t from, uint64_t to, const atomic_bool *stop)
{
    return write_to(lib, 0, from, to, stop);
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

/* The bucket alone gives the same. */
static void expect_in_bucket(const struct rig *rig, unsigned number, uint64_t last)
{
    struct library *lib = rig_rebuild(config(rig, "again", number));
    rig_load(lib, 0);
    expect_all(lib, last, "after a rebuild");
    rig_close(lib);
}

/* ---- the tape that it copies from, in a drive of its own ---- */

static void lend(struct library *lib)
{
    rig_load(lib, 1);
    must(write_to(lib, 1, LENT, LENT + N_LENT - 1, &never), "the lender's first write", NULL);
    must(library_drive_ops()->write_filemarks(library_drive(lib, 1), 0, false, &never), "its sync", NULL);
}

static void expect_leaning(struct library *lib)
{
    if (leaning_now(lib, "FLT001L8"))
        return;
    fprintf(stderr, "the tape copies from no other\n");
    _exit(1);
}

/* What was copied is nobody's any more but of the tape that has it. */
static void write_over(struct library *lib)
{
    must(library_drive_ops()->rewind(library_drive(lib, 1), &never), "the lender's rewind", NULL);
    must(write_to(lib, 1, 2 * LENT, 2 * LENT + 1, &never), "the lender, written over", NULL);
}

/* ---- one fault ---- */

static void run(const struct rig *rig, const struct fault *f, unsigned number)
{
    char rule[100];
    rig_rule(rig, "-");
    struct library *lib = rig_make(config(rig, "lib", number), chunked() ? 2 : 1);
    if (chunked())
        lend(lib);
    rig_load(lib, 0);
    must(write_blocks(lib, 1, 40, &never), "the first write", NULL);
    must(sync_tape(lib, &never), "the first sync", NULL);
    if (chunked())
        expect_leaning(lib);
    /* What is on the tape from 20 on is written over, so that there is something to delete. */
    must(library_drive_ops()->locate_object(library_drive(lib, 0), 0, 20, &never), "locate", NULL);

    long before = rig_hits(rig);
    (void)snprintf(rule, sizeof(rule), "%s %s %s %u", f->operation, f->kind, f->what, f->times);
    rig_rule(rig, rule);
    pthread_t timer = pthread_self();
    if (f->outcome == IS_TOLD)
        must(pthread_create(&timer, NULL, cancel_later, lib), "thread", NULL);
    const uint64_t last = 60;
    if (chunked())
        write_over(lib);
    enum tape_result wrote = write_blocks(lib, 21, last, &cancel), synced = sync_tape(lib, &cancel);
    uint64_t n = 0;
    enum tape_result read = read_blocks(lib, last, &n, &cancel);
    if (f->outcome == IS_TOLD)
        pthread_join(timer, NULL);
    must(wrote, "a write", NULL); /* the spool takes it, whatever the store does */
    if (rig_hits(rig) == before) {
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
    rig_rule(rig, "-");
    must(sync_tape(lib, &never), "the sync after the fault", NULL);
    expect_all(lib, last, "after the fault");
    rig_close(lib);
    expect_in_bucket(rig, number, last);
}

/* ---- all of them, each in a process of its own ---- */

/* Every other one, and each time other ones. */
static bool dedups(unsigned number)
{
    const char *text = getenv("FAULT_DEDUP");
    return text && *text >= '0' && *text <= '9' ? *text != '0' : (number + (unsigned)getppid()) % 2 != 0;
}

static bool one(const struct rig *rig, const struct fault *f, unsigned number)
{
    char log[4200], line[600];
    bool dedup = dedups(number); /* of this process's parent: asked here */
    rig_clean(rig);
    (void)snprintf(log, sizeof(log), "%s/log", rig->work);
    time_t began = time(NULL);
    pid_t pid = fork();
    if (!pid) {
        if (!freopen(log, "w", stderr))
            _exit(2);
        setvbuf(stderr, NULL, _IONBF, 0);
        alarm(150);
        if (dedup)
            (void)setenv("TEST_DEDUP", "1", 1);
        run(rig, f, number);
        _exit(0);
    }
    int status = 0;
    bool good = waitpid(pid, &status, 0) == pid && !status;
    printf("%s - %s %s: %s %s%s: %s (%d s)\n", good ? "ok" : "not ok", f->operation, f->kind, f->what,
           f->times ? "twice" : "until it is mended", dedup ? ", with dedup" : "",
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
    const struct rig rig = {argv[1], argv[2]};
    unsigned part = argc == 5 ? (unsigned)atoi(argv[3]) : 0, of = argc == 5 ? (unsigned)atoi(argv[4]) : 1, bad = 0;
    for (unsigned i = part; i < sizeof(faults) / sizeof(faults[0]); i += of)
        bad += !one(&rig, &faults[i], i);
    return bad != 0;
}
