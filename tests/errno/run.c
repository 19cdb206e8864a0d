/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run.c: see run.h. */
#include "tests/errno/run.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/crash/stray.h"
#include "tests/lib/chunked.h"
#include "tests/lib/leaning.h"

#define STEP_MS 4000 /* then a host gives up */
#define DRIVE ELEMENT_FIRST_DRIVE

/* ---- shared memory ---- */

struct run *run_new(void)
{
    void *p = mmap(NULL, sizeof(struct run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void run_own(struct fail_shared **shared, struct run **r)
{
    *shared = fail_begin(getenv("ERRNO_MEMORY") != NULL);
    *r = run_new();
    if (!*shared || !*r)
        abort();
}

/* ---- the host ---- */

static struct host {
    struct run *r;
    struct library *lib;
    struct vtl_config *c;
    int tape; /* in the drive, as far as is known; -1: none */
    uint64_t at;
    bool bad; /* something is as it must not be */
} host;

static atomic_bool cancel;
static _Atomic uint64_t deadline; /* clock_ms; 0: none */

/* Cancels a step that takes too long, as a host does that gives up. */
static void *watch(void *arg)
{
    (void)arg;
    fail_spare(true);
    for (;;) {
        uint64_t until = atomic_load(&deadline);
        if (until && clock_ms() >= until) {
            atomic_store(&cancel, true);
            if (host.lib)
                library_drive_ops()->wake(library_drive(host.lib, 0));
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return NULL;
}

static void begin_step(struct host *h)
{
    if (fail_lasts() && ++h->r->lasted > 2 && !h->r->patient)
        fail_heal();
    atomic_store(&cancel, false);
    atomic_store(&deadline, clock_ms() + STEP_MS);
}

static void wrong(struct host *h, const char *what)
{
    fprintf(stderr, "WRONG: %s\n", what);
    h->bad = true;
}

static void failed(struct host *h, const char *what, int rc)
{
    h->r->failures++;
    fprintf(stderr, "step: %s: result %d\n", what, rc);
}

static const struct tape_ops *ops(void)
{
    return library_drive_ops();
}

static void *drive(struct host *h)
{
    return library_drive(h->lib, 0);
}

/* ---- what is thought to be on a tape ---- */

static struct content *now(struct tape *t)
{
    return &t->past[t->n_past - 1];
}

static bool same(const struct content *a, const struct content *b)
{
    return a->n == b->n && !memcmp(a->object, b->object, a->n * sizeof(a->object[0]));
}

static void push(struct tape *t, const struct content *c)
{
    unsigned kept = 0;
    struct content last = *c;
    for (unsigned i = 0; i < t->n_past; i++)
        if (!same(&t->past[i], &last))
            t->past[kept++] = t->past[i];
    if (kept == RUN_PAST)
        abort();
    t->past[kept++] = last;
    t->n_past = kept;
}

static void safe(struct tape *t)
{
    t->past[0] = *now(t);
    t->n_past = 1;
}

static bool is_legal(const struct tape *t, const struct content *c)
{
    for (unsigned i = 0; i < t->n_past; i++)
        if (same(&t->past[i], c))
            return true;
    return false;
}

/* What was tried and failed may have been done. */
static void maybe(struct tape *t, const struct content *c)
{
    struct content current = *now(t);
    push(t, c);
    push(t, &current);
}

/* 0, or what ended it; wrong data is said at once. */
static enum tape_result read_all(struct host *h, struct content *c)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    c->n = 0;
    enum tape_result r = ops()->rewind(drive(h), &cancel);
    while (!r || r == TAPE_FILEMARK) {
        uint32_t len = sizeof(got);
        uint64_t id = 0;
        r = ops()->read(drive(h), got, &len, NULL, &cancel);
        if (r == TAPE_OK) {
            id = block_id(got, len);
            block_fill(id, want);
            if (len != block_length(id) || memcmp(got, want, len))
                wrong(h, "a block is not what was written");
        }
        if ((r == TAPE_OK || r == TAPE_FILEMARK) && c->n < RUN_OBJECTS)
            c->object[c->n++] = id;
    }
    return r == TAPE_EOD ? TAPE_OK : r;
}

static void print_content(const char *what, const struct content *c)
{
    fprintf(stderr, "  %s:", what);
    for (unsigned i = 0; i < c->n; i++)
        fprintf(stderr, " %llu", (unsigned long long)c->object[i]);
    fputc('\n', stderr);
}

/* A host that does not know where it is reads the tape. It may fail, but what it tells must be so. */
static bool look(struct host *h, unsigned tape)
{
    struct tape *t = &h->r->tape[tape];
    struct content c;
    enum tape_result r = read_all(h, &c);
    if (r) /* of an error that was deferred: it is told once */
        r = read_all(h, &c);
    if (r) {
        failed(h, "read", (int)r);
        t->doubt = true;
        return false;
    }
    if (!is_legal(t, &c)) {
        wrong(h, "the tape holds what it cannot");
        print_content("it holds", &c);
        for (unsigned i = 0; i < t->n_past; i++)
            print_content(i ? "or" : "may hold", &t->past[i]);
        return false;
    }
    push(t, &c);
    h->at = c.n;
    t->doubt = false;
    return true;
}

/* ---- steps ---- */

static int where_is(struct host *h, unsigned tape)
{
    struct changer_element e[32];
    size_t n = library_changer_ops()->elements(h->lib, 0, 0, 32, e);
    for (size_t i = 0; i < n; i++)
        if (e[i].full && !strcmp(e[i].barcode, lib_barcode(tape)))
            return e[i].address;
    return 0;
}

static uint16_t free_slot(struct host *h)
{
    struct changer_element e[32];
    size_t n = library_changer_ops()->elements(h->lib, ELEMENT_STORAGE, 0, 32, e), i = 0;
    while (i < n && e[i].full)
        i++;
    return i < n ? e[i].address : 0;
}

static bool move(struct host *h, unsigned tape, bool in)
{
    uint16_t from = (uint16_t)where_is(h, tape), to = in ? DRIVE : free_slot(h);
    enum changer_result r = library_changer_ops()->move(h->lib, 0, from, to, &cancel);
    if (r)
        failed(h, in ? "move to the drive" : "move to the slot", (int)r);
    return !r;
}

static bool empty_drive(struct host *h, unsigned but)
{
    for (unsigned t = 0; t < TAPES; t++) {
        if (t == but || where_is(h, t) != DRIVE)
            continue;
        bool ok = move(h, t, false) || move(h, t, false); /* the first may tell of a loss */
        h->r->tape[t].doubt |= !ok || h->tape != (int)t;
        if (!ok)
            return false;
        if (!h->r->tape[t].doubt)
            safe(&h->r->tape[t]);
        h->tape = -1;
    }
    return true;
}

/* The tape in the drive, and known. */
static bool mount(struct host *h, unsigned tape)
{
    struct tape *t = &h->r->tape[tape];
    if (!h->lib || !t->created)
        return false;
    if (h->tape == (int)tape && !t->doubt)
        return true;
    if (!empty_drive(h, tape))
        return false;
    bool there = where_is(h, tape) == DRIVE;
    if (!there && !move(h, tape, true))
        return false;
    h->tape = (int)tape;
    if (there && ops()->load(drive(h), &cancel) && ops()->load(drive(h), &cancel)) {
        failed(h, "load", 0);
        t->doubt = true;
        return false;
    }
    h->at = 0;
    return (!t->doubt && !there) || look(h, tape);
}

/* After a failure. */
static void recover(struct host *h, const char *what, int rc)
{
    failed(h, what, rc);
    h->r->tape[h->tape].doubt = true;
    (void)look(h, (unsigned)h->tape);
}

static void write_object(struct host *h, bool mark)
{
    static uint8_t block[MAX_BLOCK];
    struct tape *t = &h->r->tape[h->tape];
    struct content c = *now(t);
    uint64_t id = mark ? 0 : ++h->r->next;
    if (t->doubt || h->at >= RUN_OBJECTS)
        return;
    c.object[h->at] = id;
    c.n = (unsigned)h->at + 1;
    block_fill(id, block);
    enum tape_result r = mark ? ops()->write_filemarks(drive(h), 1, true, &cancel)
                              : ops()->write(drive(h), block, block_length(id), true, NULL, &cancel);
    if (r && r != TAPE_EARLY_WARNING) {
        maybe(t, &c);
        recover(h, mark ? "filemark" : "write", (int)r);
        return;
    }
    push(t, &c);
    h->at++;
}

static void put_blocks(struct host *h, unsigned n)
{
    for (unsigned i = 0; i < n && !h->r->tape[h->tape].doubt; i++)
        write_object(h, false);
}

static void sync_tape(struct host *h)
{
    struct tape *t = &h->r->tape[h->tape];
    if (t->doubt)
        return;
    enum tape_result r = ops()->write_filemarks(drive(h), 0, false, &cancel);
    if (r && r != TAPE_EARLY_WARNING)
        recover(h, "sync", (int)r);
    else
        safe(t);
}

static void locate(struct host *h, uint64_t object)
{
    struct tape *t = &h->r->tape[h->tape];
    if (t->doubt)
        return;
    object = object < now(t)->n ? object : now(t)->n;
    enum tape_result r = ops()->locate_object(drive(h), 0, object, &cancel);
    if (r)
        recover(h, "locate", (int)r);
    else
        h->at = object;
}

static void erase(struct host *h)
{
    struct tape *t = &h->r->tape[h->tape];
    struct content c = *now(t);
    if (t->doubt)
        return;
    c.n = (unsigned)h->at < c.n ? (unsigned)h->at : c.n;
    enum tape_result r = ops()->erase(drive(h), false, &cancel);
    if (r) {
        maybe(t, &c);
        recover(h, "erase", (int)r);
    } else {
        push(t, &c);
    }
}

static bool call(struct host *h, json_t *q, const char *what, bool *remote)
{
    struct errtext err = {""};
    json_t *r = library_call(h->lib, q, &err);
    json_decref(q);
    if (!r) {
        failed(h, what, 0);
        fprintf(stderr, "  %s\n", err.text);
    } else if (remote) {
        *remote = json_is_true(json_object_get(r, "remote"));
    }
    bool ok = r != NULL;
    json_decref(r);
    return ok;
}

static bool drain(struct host *h, unsigned ms)
{
    bool remote = false;
    if (!h->lib ||
        !call(h, json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", (int)ms), "flush", &remote))
        return false;
    if (!remote)
        failed(h, "drain", 0);
    return remote;
}

static bool open_library(struct host *h)
{
    struct errtext err = {""};
    h->tape = -1;
    if (library_open(h->c, LIBRARY_SERVE, &h->lib, &err)) {
        failed(h, "open", 0);
        fprintf(stderr, "  %s\n", err.text);
        h->lib = NULL;
        return false;
    }
    for (unsigned t = 0; t < TAPES; t++)
        h->r->tape[t].doubt = true;
    return true;
}

/* A fault may have come at any of these: whoever sees it tries once more, later. */
static bool need_library(struct host *h)
{
    struct errtext err = {""};
    json_t *report = NULL;
    if (h->lib)
        return true;
    if (!h->r->made && library_init(h->c, &report, &err)) {
        failed(h, "init", 0);
        fprintf(stderr, "  %s\n", err.text);
        return false;
    }
    json_decref(report);
    h->r->made = true;
    return open_library(h);
}

static bool create_one(struct host *h, unsigned i)
{
    json_t *q = json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", lib_barcode(i), "capacity", 0);
    return call(h, q, "create", NULL);
}

static void create(struct host *h)
{
    for (unsigned i = 0; h->lib && i < TAPES; i++) {
        struct tape *t = &h->r->tape[i];
        if (t->created)
            continue;
        t->n_past = 1;
        t->past[0].n = 0;
        t->created = where_is(h, i) || create_one(h, i); /* one that failed may be there all the same */
    }
}

static bool begin(struct host *h, unsigned tape)
{
    begin_step(h);
    if (!need_library(h))
        return false;
    create(h);
    return mount(h, tape);
}

/* Descriptors of the library's that are open. */
static unsigned count_files(const char *root)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    for (const struct dirent *e; d && (e = readdir(d));) {
        char link[300], path[4200];
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%s", e->d_name);
        ssize_t len = readlink(link, path, sizeof(path) - 1);
        if (len <= 0)
            continue;
        path[len] = 0;
        n += !strncmp(path, root, strlen(root)) && path[strlen(root)] == '/';
    }
    if (d)
        closedir(d);
    return n;
}

static void stop(struct host *h, const char *root)
{
    struct errtext err = {""};
    begin_step(h);
    if (!h->lib)
        return;
    struct library *lib = h->lib;
    h->lib = NULL;
    if (library_close(lib, &err)) {
        failed(h, "close", 0);
        fprintf(stderr, "  %s\n", err.text);
    } else if (h->tape >= 0 && !h->r->tape[h->tape].doubt) {
        safe(&h->r->tape[h->tape]);
    }
    fail_spare(true);
    if (count_files(root))
        wrong(h, "files are open after the library was closed");
    fail_spare(false);
}

static bool begin_part(struct host *h, struct run *r, const char *root)
{
    pthread_t thread;
    *h = (struct host){.r = r, .c = lib_config(root), .tape = -1};
    return h->c && !pthread_create(&thread, NULL, watch, NULL);
}

static void count_leans(struct host *h)
{
    begin_step(h);
    for (unsigned t = 0; chunked() && h->lib && t < TAPES; t++)
        h->r->leans += (unsigned)leaning_now(h->lib, lib_barcode(t));
}

bool run_first(struct run *r, const char *root)
{
    struct host *h = &host;
    if (!begin_part(h, r, root))
        return false;
    fail_below(root);
    if (begin(h, 0)) {
        put_blocks(h, 12);
        sync_tape(h);
        write_object(h, true);
        put_blocks(h, 8);
        sync_tape(h);
    }
    if (begin(h, 0)) {
        locate(h, 6);
        put_blocks(h, 4);
        write_object(h, true);
        sync_tape(h);
    }
    if (begin(h, 1)) {
        put_blocks(h, 20);
        sync_tape(h);
        locate(h, 0);
    }
    begin_step(h);
    drain(h, 1500);
    if (begin(h, 0))
        (void)look(h, 0);
    if (begin(h, 0)) {
        locate(h, 3);
        erase(h);
        put_blocks(h, 2);
        sync_tape(h);
    }
    if (begin(h, 1)) {
        locate(h, 5);
        put_blocks(h, 6);
        sync_tape(h);
        put_blocks(h, 1);
    }
    count_leans(h);
    return !h->bad; /* and the process ends */
}

bool run_second(struct run *r, const char *root)
{
    struct host *h = &host;
    if (!begin_part(h, r, root))
        return false;
    fail_below(root);
    if (begin(h, 1)) {
        put_blocks(h, 3);
        sync_tape(h);
    }
    if (begin(h, 0))
        (void)look(h, 0);
    begin_step(h);
    drain(h, 1500);
    stop(h, root);
    if (begin(h, 0)) {
        put_blocks(h, 2);
        write_object(h, true);
    }
    count_leans(h);
    begin_step(h);
    if (h->lib)
        call(h, json_pack("{s:s}", "op", "status"), "status", NULL);
    stop(h, root);
    return !h->bad;
}

/* ---- the look afterwards ---- */

/* Segment files that are left although all is stored and there is no cache. */
static bool spool_is_empty(const struct vtl_config *c)
{
    unsigned n = 0;
    for (unsigned t = 0; t < TAPES; t++) {
        char path[4300];
        (void)snprintf(path, sizeof(path), "%s/spool/%s", c->library.state_dir, lib_barcode(t));
        DIR *d = opendir(path);
        for (const struct dirent *e; d && (e = readdir(d));)
            if (e->d_name[0] != '.') {
                fprintf(stderr, "WRONG: %s/%s stays for ever\n", path, e->d_name);
                n++;
            }
        if (d)
            closedir(d);
    }
    return !n;
}

/* Each tape loads, holds what it may, and takes more. */
static bool tapes_live(struct host *h, struct content want[TAPES])
{
    for (unsigned t = 0; t < TAPES; t++) {
        if (!where_is(h, t)) {
            fprintf(stderr, "WRONG: %s is gone\n", lib_barcode(t));
            return false;
        }
        h->r->tape[t].doubt = true;
        begin_step(h);
        if (!mount(h, t)) {
            fprintf(stderr, "WRONG: %s cannot be used\n", lib_barcode(t));
            return false;
        }
        put_blocks(h, 1);
        sync_tape(h);
        if (h->r->tape[t].doubt || !move(h, t, false))
            return false;
        h->tape = -1;
        want[t] = *now(&h->r->tape[t]);
    }
    return true;
}

static bool bucket_has(struct host *h, const char *root, const struct content want[TAPES])
{
    char from[4200], to[4200];
    json_t *report = NULL;
    struct errtext err = {""};
    (void)snprintf(from, sizeof(from), "%s/state", root);
    (void)snprintf(to, sizeof(to), "%s/lost", root);
    if (rename(from, to) || library_rebuild(h->c, NULL, &report, &err)) {
        fprintf(stderr, "WRONG: rebuild: %s\n", err.text);
        return false;
    }
    json_decref(report);
    if (!open_library(h))
        return false;
    for (unsigned t = 0; t < TAPES; t++) {
        h->r->tape[t].n_past = 1;
        h->r->tape[t].past[0] = want[t];
        begin_step(h);
        if (!mount(h, t))
            return false;
    }
    return true;
}

bool run_check(struct run *r, const char *root)
{
    struct host *h = &host;
    struct content want[TAPES];
    unsigned failures = r->failures;
    (void)setenv("CRASH_CACHE", "0", 1);
    if (!begin_part(h, r, root))
        return false;
    begin_step(h);
    if (!need_library(h))
        return false;
    for (unsigned t = 0; t < TAPES; t++) {
        if (r->tape[t].created && !where_is(h, t))
            wrong(h, "a cartridge that was made is gone");
    }
    create(h);
    bool good = tapes_live(h, want) && drain(h, 10000);
    stop(h, root);
    good = good && !h->bad && spool_is_empty(h->c) && nothing_is_orphaned(h->c) && bucket_has(h, root, want);
    if (good)
        stop(h, root);
    if (good && r->failures != failures)
        wrong(h, "something fails without a fault");
    r->failures = failures;
    return good && !h->bad;
}

/* All that is logged but what is no failure. */
bool run_told(const char *log)
{
    char line[1000];
    bool told = false;
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof(line), f))
        told = told || (!strstr(line, "recovered the open segment") && !strstr(line, "names any more are removed") &&
                        !strncmp(line, "s3vtl: ", 7));
    if (f)
        fclose(f);
    return told;
}
