/* SPDX-License-Identifier: GPL-2.0-or-later */
/* errno.c: a run of everything a library does with its disk, in which one file operation fails: for each that there is,
 * with each errno, once and from then on until it is healed. Whatever fails, the process lives and ends, what a sync
 * acknowledged is there once the fault is gone and the library started again, each cartridge loads and can be written, no
 * file stays for ever, and somebody is told.
 *   errno WORK_DIR [all]      without "all" a part that still has each place in the code
 *   ERRNO_ONLY=HASH:CALL:ERRNO:once|on     only that one, and its log   ERRNO_MEMORY=1: allocations, instead of files
 *   ERRNO_JOBS=8: how many at a time   ERRNO_SAMPLE=1000: so many of them, drawn */
#include <errno.h>
#include <sqlite3.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/errno/fail.h"
#include "tests/errno/run.h"
#include "tests/lib/chunked.h"

static void sqlite_says(void *arg, int rc, const char *text)
{
    (void)arg;
    fprintf(stderr, "sqlite: %d %s\n", rc, text);
}

static struct fail_shared *shared;
static struct run *run_state;

struct point {
    uint64_t site;
    unsigned call;
    int error;
    enum fail_how how;
    const struct fail_site *s;
};

static const struct {
    int error;
    const char *name;
} errors[] = {{ENOSPC, "ENOSPC"}, {EMFILE, "EMFILE"}, {ENOMEM, "ENOMEM"}, {EIO, "EIO"}, {EROFS, "EROFS"}};
#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static const char *error_name(int error)
{
    for (size_t i = 0; i < ERRORS; i++)
        if (errors[i].error == error)
            return errors[i].name;
    return "?";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

/* ---- one run ---- */

/* The parts of a run are processes, one after the other: each ends as a killed one does, or as it should. */
static int part(const char *root, bool (*fn)(struct run *r, const char *root))
{
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        alarm(60);
        _exit(fn(run_state, root) ? 0 : 1);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status && !(WIFEXITED(status) && WEXITSTATUS(status) == 1))
        fprintf(stderr, "ENDED BY STATUS %x\n", (unsigned)status);
    return status;
}

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && !strcmp(path + n - m, end);
}

/* One failure that the caller gets over without anybody's loss: a descriptor that was only read from, or whose file was
 * synced before, is closed all the same; a look is taken again; what is not removed now is later (the check finds what is
 * left); what SQLite needs it tells, and the rest it does without or does again (and its directory is synced by us too);
 * where the disk is full, the cache makes room; and what cannot be allocated ahead of its use is done without. */
static bool may_be_silent(const struct point *p)
{
    enum fail_op op = p->s->op;
    if (op == FAIL_CLOSE || op == FAIL_MEMORY || strstr(p->s->path, "/state.db") || ends_in(p->s->path, "/state"))
        return true;
    return p->how == FAIL_ONCE && (op == FAIL_STAT || op == FAIL_LIST || op == FAIL_UNLINK || p->error == ENOSPC);
}

/* In a process of its own. 0, or 1: bad; 2: the operation was not reached. */
static int whole_run(const char *work, const struct point *p)
{
    char root[4200], log[4200];
    (void)snprintf(root, sizeof(root), "%s/disk", work);
    (void)snprintf(log, sizeof(log), "%s/log", work);
    (void)nftw(work, remove_one, 32, FTW_DEPTH | FTW_PHYS);
    if (mkdir(work, 0700) || mkdir(root, 0700) || !freopen(log, "w", stderr))
        return 1;
    setvbuf(stderr, NULL, _IONBF, 0);
    memset(run_state, 0, sizeof(*run_state));
    (void)setenv("CRASH_CACHE", "2M", 0);
    run_state->patient = p->site % 2;
    if (p->how != FAIL_NOT) {
        shared->op = p->s->op;
        shared->site = p->site;
        shared->call = p->call;
        shared->error = p->error;
        shared->how = p->how;
        shared->seen = 0;
        shared->fired = 0;
        shared->on = false;
    }
    int bad = part(root, run_first);
    if (!bad)
        bad = part(root, run_second);
    fail_heal();
    shared->counting = false;
    bool fired = shared->fired;
    if (!bad)
        bad = part(root, run_check);
    if (bad)
        return 1;
    if (p->how != FAIL_NOT && !fired)
        return 2;
    if (fired && !may_be_silent(p) && !run_state->failures && !run_told(log)) {
        fprintf(stderr, "SILENT: nobody is told\n");
        return 1;
    }
    return 0;
}

/* ---- many of them ---- */

struct tally {
    unsigned done, bad, missed;
    unsigned by_error[ERRORS];
};

static void describe(const struct point *p)
{
    printf("%s call %u of %s (%s): ERRNO_ONLY=%016llx:%u:%s:%s\n", fail_op_name(p->s->op), p->call, p->s->path,
           p->how == FAIL_ONCE ? "once" : "from then on", (unsigned long long)p->site, p->call, error_name(p->error),
           p->how == FAIL_ONCE ? "once" : "on");
}

static void show_log(const char *work)
{
    char log[4110], line[700];
    (void)snprintf(log, sizeof(log), "%s/log", work);
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof(line), f))
        printf("#   %s", line);
    if (f)
        fclose(f);
}

static void finish(struct tally *t, const struct point *p, int status, const char *work)
{
    bool missed = WIFEXITED(status) && WEXITSTATUS(status) == 2;
    t->done++;
    t->missed += missed;
    for (size_t i = 0; i < ERRORS; i++)
        t->by_error[i] += !missed && errors[i].error == p->error;
    if (!status || missed)
        return;
    t->bad++;
    printf("# bad: ");
    describe(p);
    show_log(work);
    fflush(stdout);
}

#define MOST_JOBS 64

static void run_all(const char *dir, const struct point *points, size_t n, unsigned jobs, struct tally *t)
{
    struct {
        pid_t pid;
        const struct point *p;
    } job[MOST_JOBS] = {{0, NULL}};
    char work[4096];
    size_t next = 0, running = 0;
    while (next < n || running) {
        for (unsigned j = 0; j < jobs && next < n; j++) {
            if (job[j].pid)
                continue;
            job[j].p = &points[next++];
            (void)snprintf(work, sizeof(work), "%s/%u", dir, j);
            fflush(stdout);
            job[j].pid = fork();
            if (!job[j].pid) {
                if (job[j].p->how != FAIL_NOT)
                    run_own(&shared, &run_state);
                _exit(whole_run(work, job[j].p));
            }
            running++;
        }
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        for (unsigned j = 0; j < jobs; j++)
            if (job[j].pid == pid) {
                (void)snprintf(work, sizeof(work), "%s/%u", dir, j);
                finish(t, job[j].p, status, work);
                job[j].pid = 0;
                running--;
            }
    }
}

/* ---- which ---- */

static size_t add_points(struct point *out, const struct fail_site *s, unsigned call, bool all, unsigned turn)
{
    size_t n = 0;
    for (size_t e = 0; e < ERRORS; e++)
        for (int how = FAIL_ONCE; how <= FAIL_ON; how++) {
            bool mine = all || (e == turn % ERRORS && (how == FAIL_ON) == turn / ERRORS % 2);
            if (!mine || (s->op == FAIL_MEMORY && errors[e].error != ENOMEM))
                continue;
            out[n++] = (struct point){s->hash, call, errors[e].error, (enum fail_how)how, s};
        }
    return n;
}

/* One that was called as another was, as far as the library's functions go. */
static bool seen_own(const struct fail_site *sites, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (sites[k].calls && sites[k].own == sites[i].own)
            return true;
    return false;
}

static size_t plan(struct point **out, const struct fail_site *sites, bool all)
{
    size_t n = 0, room = 0;
    unsigned turn = 0;
    for (size_t i = 0; i < FAIL_SITES; i++) {
        if (!sites[i].calls || (!all && seen_own(sites, i)))
            continue;
        for (unsigned call = 0; call < sites[i].calls && (all || call < 1); call++) {
            if (n + 2 * ERRORS > room) {
                room = room ? 2 * room : 1024;
                *out = realloc(*out, room * sizeof(**out));
                if (!*out)
                    abort();
            }
            n += add_points(*out + n, &sites[i], call, all, turn++);
        }
    }
    return n;
}

static bool only(const char *text, struct point *p)
{
    char error[20] = "", how[10] = "";
    unsigned long long hash;
    if (sscanf(text, "%llx:%u:%19[A-Z]:%9s", &hash, &p->call, error, how) != 4)
        return false;
    p->site = hash;
    for (size_t i = 0; i < ERRORS; i++)
        if (!strcmp(errors[i].name, error))
            p->error = errors[i].error;
    p->how = !strcmp(how, "once") ? FAIL_ONCE : FAIL_ON;
    return p->error;
}

/* Any of them, other ones each time. */
static size_t draw(struct point *points, size_t n, size_t most)
{
    most = most < n ? most : n;
    srandom((unsigned)time(NULL));
    for (size_t i = 0; i < most; i++) {
        size_t k = i + (size_t)random() % (n - i);
        struct point p = points[i];
        points[i] = points[k];
        points[k] = p;
    }
    return most;
}

/* What is to be tried, after the run without a fault. 0: nothing is. */
static size_t choose(struct point **points, bool all)
{
    static struct fail_site sites[FAIL_SITES];
    static struct point one;
    const char *text = getenv("ERRNO_ONLY");
    unsigned n_sites = 0, calls = 0;
    memcpy(sites, shared->sites, sizeof(sites));
    for (size_t i = 0; i < FAIL_SITES; i++) {
        n_sites += sites[i].calls != 0;
        calls += sites[i].calls;
    }
    *points = NULL;
    size_t n = plan(points, sites, all);
    if (text) {
        n = 0;
        for (size_t i = 0; only(text, &one) && i < FAIL_SITES; i++)
            if (sites[i].calls && sites[i].hash == one.site)
                one.s = &sites[i];
        if (one.s) {
            fail_print_site(one.s);
            *points = &one;
            n = 1;
        }
    }
    const char *sample = getenv("ERRNO_SAMPLE");
    if (sample && !text)
        n = draw(*points, n, strtoull(sample, NULL, 10));
    printf("%u operations at %u places, %zu runs\n", calls, n_sites, n);
    return n;
}

/* With addresses that are the same in each run of the program, so that ERRNO_ONLY finds its place again. */
static void begin_alike(char **argv)
{
    int now = personality(0xffffffff);
    if (now < 0 || now & ADDR_NO_RANDOMIZE || personality((unsigned long)now | ADDR_NO_RANDOMIZE) < 0)
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    char work[4200];
    begin_alike(argv);
    sqlite3_config(SQLITE_CONFIG_LOG, sqlite_says, NULL);
    bool memory = getenv("ERRNO_MEMORY") != NULL, all = argc == 3 && !strcmp(argv[2], "all");
    if (argc < 2 || !(shared = fail_begin(memory)) || !(run_state = run_new())) {
        fputs("usage: errno WORK_DIR [all]\n", stderr);
        return 2;
    }
    const char *jobs = getenv("ERRNO_JOBS");
    const struct fail_site none = {0};
    struct point plain = {.how = FAIL_NOT, .s = &none}, *points = &plain;
    struct tally t = {0};
    size_t n = 1;
    time_t began = time(NULL);
    (void)snprintf(work, sizeof(work), "%s/0", argv[1]);
    shared->counting = true;
    /* First without a fault: that must be good, and tells what there is. Both from here, so that all is called alike. */
    for (int round = 0; round < 2; round++) {
        memset(&t, 0, sizeof(t));
        run_all(argv[1], points, n, jobs ? (unsigned)atoi(jobs) : 8, &t);
        if (round)
            break;
        bool leans = !chunked() || run_state->leans;
        if (t.bad || run_state->failures || !leans) {
            printf("not ok - a run without a fault (%u failures%s)\n", run_state->failures,
                   leans ? "" : ", and no tape copies from another");
            show_log(work);
            return 1;
        }
        n = choose(&points, all);
    }
    if (getenv("ERRNO_ONLY"))
        show_log(work);
    if (chunked())
        printf("without a fault tapes copied from %u segments\n", run_state->leans);
    printf("%u runs, %u bad, %u did not reach the operation; in %ld s;", t.done, t.bad, t.missed,
           (long)(time(NULL) - began));
    for (size_t i = 0; i < ERRORS; i++)
        printf(" %s %u", errors[i].name, t.by_error[i]);
    puts("");
    return !t.done || t.bad || t.missed * 5 > t.done;
}
