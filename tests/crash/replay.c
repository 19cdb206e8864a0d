/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay.c: makes the disks that crashes during a recorded run leave, opens the library on each, and compares what is
 * on its tapes with what was acknowledged (I1, I4). replay LOG WORKDIR SEED POINTS [PART OF]    POINTS crash points
 * over the log, of which this run does each OF-th from PART CRASH_AT=EVENT: only there. CRASH_STOP=1: ends at the first
 * that is bad, and leaves its disk. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/disk.h"
#include "tests/crash/lib.h"
#include "tests/crash/stray.h"
#include "vtl/state/db.h"

static const atomic_bool never = false;

/* With durability = remote, besides those of disk.h: the gateway and its disk are gone, the bucket is all there is. */
enum { CRASH_LOST = CRASH_SOME + 1 };

/* ---- what a tape may hold ---- */

struct history { /* of one tape: its content after each operation that worked on it */
    struct past {
        uint64_t number, hash;
        bool safe;
    } * v;
    size_t n, room;
};

struct run {
    struct history tape[TAPES];
    int *loaded; /* tape in the drive after each operation, -1: none */
    uint64_t acknowledged, issued;
};

static void remember(struct history *h, uint64_t number, uint64_t hash, bool safe)
{
    if (h->n == h->room) {
        h->room = h->room ? h->room * 2 : 64;
        h->v = realloc(h->v, h->room * sizeof(*h->v));
        if (!h->v)
            abort();
    }
    h->v[h->n++] = (struct past){number, hash, safe};
}

static void replay_model(struct run *run, uint64_t seed, uint64_t n)
{
    static struct model m;
    model_init(&m, seed);
    run->loaded = calloc(n + 1, sizeof(*run->loaded));
    if (!run->loaded)
        abort();
    run->loaded[0] = -1;
    for (unsigned i = 0; i < TAPES; i++)
        remember(&run->tape[i], 0, content_of(&m.tape[i]), true);
    for (uint64_t i = 1; i <= n; i++) {
        struct op op = model_step(&m);
        remember(&run->tape[op.tape], i, content_of(&m.tape[op.tape]), op.safe);
        run->loaded[i] = m.loaded;
    }
}

/* Some state from the last acknowledged sync on, up to the operation that was under way. through: from the last
 * acknowledged operation on. */
static bool is_legal(const struct run *run, unsigned tape, uint64_t hash, bool through)
{
    const struct history *h = &run->tape[tape];
    size_t from = 0;
    for (size_t i = 0; i < h->n && h->v[i].number <= run->acknowledged; i++)
        if (through || h->v[i].safe)
            from = i;
    for (size_t i = from; i < h->n && h->v[i].number <= run->issued; i++)
        if (h->v[i].hash == hash)
            return true;
    return false;
}

/* ---- looking at a library (in a process of its own) ---- */

static bool read_tape(struct library *lib, unsigned tape, uint64_t *hash)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    const struct tape_ops *t = library_drive_ops();
    void *d = library_drive(lib, 0);
    *hash = content_start();
    for (uint64_t object = 0;; object++) {
        uint32_t len = sizeof(got);
        enum tape_result r = t->read(d, got, &len, NULL, &never);
        uint64_t id = 0;
        if (r == TAPE_EOD)
            return true;
        if (r == TAPE_OK) {
            id = block_id(got, len);
            block_fill(id, want);
            if (len != block_length(id) || memcmp(got, want, len)) {
                fprintf(stderr, "%s: object %llu is not what was written\n", lib_barcode(tape),
                        (unsigned long long)object);
                return false;
            }
        } else if (r != TAPE_FILEMARK) {
            fprintf(stderr, "%s: object %llu: result %d\n", lib_barcode(tape), (unsigned long long)object, (int)r);
            return false;
        }
        *hash = content_add(*hash, id);
    }
}

static int where_is(struct library *lib, unsigned tape)
{
    struct changer_element e[32];
    size_t n = library_changer_ops()->elements(lib, 0, 0, 32, e);
    for (size_t i = 0; i < n; i++)
        if (e[i].full && !strcmp(e[i].barcode, lib_barcode(tape)))
            return e[i].address;
    return 0;
}

static bool check_elements(const struct run *run, struct library *lib)
{
    bool legal = false;
    for (uint64_t i = run->acknowledged; !legal && i <= run->issued; i++) {
        legal = true;
        for (unsigned t = 0; t < TAPES; t++) {
            int want = run->loaded[i] == (int)t ? ELEMENT_FIRST_DRIVE : lib_slot(t);
            legal = legal && where_is(lib, t) == want;
        }
    }
    if (!legal)
        for (unsigned t = 0; t < TAPES; t++)
            fprintf(stderr, "%s is in element %04x\n", lib_barcode(t), (unsigned)where_is(lib, t));
    return legal;
}

static bool move_tape(struct library *lib, uint16_t from, uint16_t to)
{
    enum changer_result r = library_changer_ops()->move(lib, 0, from, to, &never);
    if (r != CHANGER_OK)
        fprintf(stderr, "move %04x to %04x: %d\n", from, to, (int)r);
    return r == CHANGER_OK;
}

static bool read_tapes(struct library *lib, uint64_t hash[TAPES])
{
    for (unsigned t = 0; t < TAPES; t++) /* one may be in the drive */
        if (where_is(lib, t) == ELEMENT_FIRST_DRIVE && !move_tape(lib, ELEMENT_FIRST_DRIVE, lib_slot(t)))
            return false;
    for (unsigned t = 0; t < TAPES; t++)
        if (!move_tape(lib, lib_slot(t), ELEMENT_FIRST_DRIVE) || !read_tape(lib, t, &hash[t]) ||
            !move_tape(lib, ELEMENT_FIRST_DRIVE, lib_slot(t)))
            return false;
    return true;
}

static int is_rebuilt(void *arg, const struct db_cartridge *c)
{
    (void)arg;
    return c->rebuilt;
}

/* After a rebuild the store is looked through as soon as a tape is written. */
static bool is_swept(const struct vtl_config *c)
{
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/state.db", c->library.state_dir);
    for (int i = 0; i < 2000; i++) {
        struct db *db = NULL;
        struct errtext err = {""};
        int rc = db_open(path, false, &db, &err);
        if (!rc)
            rc = db_cartridges(db, is_rebuilt, NULL);
        db_close(db);
        if (!rc)
            return true;
        (void)usleep(10000);
    }
    fputs("nobody looks for what a lost gateway left\n", stderr);
    return false;
}

static bool closes(struct library *lib)
{
    struct errtext err = {""};
    if (!library_close(lib, &err))
        return true;
    fprintf(stderr, "close: %s\n", err.text);
    return false;
}

static bool rebuild(const struct vtl_config *c)
{
    json_t *report = NULL;
    struct errtext err = {""};
    if (library_rebuild(c, NULL, &report, &err)) {
        fprintf(stderr, "rebuild: %s\n", err.text);
        return false;
    }
    json_decref(report);
    return true;
}

/* Life goes on: the tapes can be written, what is written reaches the store, and the bucket alone gives the same. */
static bool second_life(struct library *lib, struct vtl_config *c, const char *root, const uint64_t hash[TAPES])
{
    static uint8_t block[MAX_BLOCK];
    const uint64_t id = 1u << 30;
    uint64_t want[TAPES], got[TAPES];
    for (unsigned t = 0; t < TAPES; t++) {
        block_fill(id + t, block);
        if (!move_tape(lib, lib_slot(t), ELEMENT_FIRST_DRIVE) ||
            library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never) ||
            lib_write(library_drive(lib, 0), block, block_length(id + t)) ||
            !move_tape(lib, ELEMENT_FIRST_DRIVE, lib_slot(t)))
            return false;
        want[t] = content_add(hash[t], id + t);
    }
    if (!lib_drain(lib) || !is_swept(c) || !closes(lib))
        return false;
    if (!nothing_is_orphaned(c))
        return false;
    char from[4200], to[4200];
    (void)snprintf(from, sizeof(from), "%s/state", root);
    (void)snprintf(to, sizeof(to), "%s/lost", root);
    if (rename(from, to)) {
        perror(from);
        return false;
    }
    lib = rebuild(c) ? lib_open(c) : NULL;
    if (!lib || !read_tapes(lib, got) || !closes(lib))
        return false;
    for (unsigned t = 0; t < TAPES; t++)
        if (got[t] != want[t]) {
            fprintf(stderr, "%s: the bucket holds something else\n", lib_barcode(t));
            return false;
        }
    return true;
}

static bool look(const struct run *run, const char *root, int how, bool live_on)
{
    struct vtl_config *c = lib_config(root);
    bool lost = how == CRASH_LOST, through = how == CRASH_KILLED && c && !c->spool.write_buffer;
    struct library *lib = c && (!lost || rebuild(c)) ? lib_open(c) : NULL;
    uint64_t hash[TAPES];
    /* The inventory in the bucket follows the moves. */
    if (!lib || (!lost && !check_elements(run, lib)) || !read_tapes(lib, hash))
        return false;
    bool legal = true;
    for (unsigned t = 0; t < TAPES; t++)
        if (!is_legal(run, t, hash[t], through)) {
            fprintf(stderr, "%s: its content is no state from the last acknowledged sync on\n", lib_barcode(t));
            legal = false;
        }
    return legal && (live_on ? second_life(lib, c, root, hash) : closes(lib));
}

/* ---- crashing ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static const char *const crash_names[] = {"killed", "power loss, nothing but what was synced",
                                          "power loss, some of the rest", "the gateway is lost"};

static bool lose_state(const char *root)
{
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/state", root);
    return nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) == 0;
}

static bool crash(const struct disk *d, const struct run *run, uint64_t point, int how, const char *work)
{
    char root[4100], log[4110];
    (void)snprintf(root, sizeof(root), "%s/disk", work);
    (void)snprintf(log, sizeof(log), "%s/check.log", work);
    (void)nftw(root, remove_one, 32, FTW_DEPTH | FTW_PHYS);
    bool lost = how == CRASH_LOST;
    if (mkdir(root, 0700) ||
        disk_image(d, lost ? CRASH_KILLED : (enum disk_crash)how, point * 3 + (uint64_t)how, LIB_STORE, root) ||
        (lost && !lose_state(root)))
        return false;
    pid_t pid = fork();
    if (!pid) {
        if (!freopen(log, "w", stderr))
            _exit(2);
        setvbuf(stderr, NULL, _IONBF, 0);
        alarm(getenv("CRASH_ALARM") ? (unsigned)atoi(getenv("CRASH_ALARM")) : 100);
        _exit(look(run, root, how, point % 8 == 0) ? 0 : 1);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) == pid && !status)
        return true;
    fprintf(stderr, "crash after event %llu (operation %llu acknowledged, %llu begun), %s: status %x:\n",
            (unsigned long long)point, (unsigned long long)run->acknowledged, (unsigned long long)run->issued,
            crash_names[how], (unsigned)status);
    FILE *f = fopen(log, "r");
    char line[600];
    while (f && fgets(line, sizeof(line), f))
        fprintf(stderr, "  %s", line);
    if (f)
        fclose(f);
    return false;
}

static void heed_mark(struct run *run, const uint8_t *data, uint64_t len)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)data);
    uint64_t n = strtoull(text + 1, NULL, 10);
    if (text[0] == 'a')
        run->acknowledged = n;
    run->issued = n > run->issued ? n : run->issued;
}

/* How many events the log has, from where on the library is there, and how many operations. */
static bool survey(const char *log, uint64_t *events, uint64_t *first, uint64_t *operations)
{
    struct disk *d = disk_open(log);
    struct record r;
    const uint8_t *data;
    struct run run = {.issued = 0};
    *events = *first = 0;
    while (d && disk_step(d, &r, &data)) {
        ++*events;
        if (r.type != RECORD_MARK)
            continue;
        if (!*first)
            *first = *events;
        heed_mark(&run, data, r.data_len);
    }
    *operations = run.issued;
    if (d)
        disk_close(d);
    return *first;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 7) {
        fputs("usage: replay LOG WORKDIR SEED POINTS [PART OF]\n", stderr);
        return 2;
    }
    uint64_t events, first, operations, points = strtoull(argv[4], NULL, 10);
    uint64_t part = argc == 7 ? strtoull(argv[5], NULL, 10) : 0, of = argc == 7 ? strtoull(argv[6], NULL, 10) : 1;
    static struct run run;
    if (!points || !of || !survey(argv[1], &events, &first, &operations)) {
        fputs("replay: no run in the log\n", stderr);
        return 2;
    }
    replay_model(&run, strtoull(argv[3], NULL, 10), operations);
    struct disk *d = disk_open(argv[1]);
    struct record r;
    const uint8_t *data;
    uint64_t tried = 0, bad = 0, next = 0, only = getenv("CRASH_AT") ? strtoull(getenv("CRASH_AT"), NULL, 10) : 0;
    for (uint64_t at = 1; d && disk_step(d, &r, &data); at++) {
        if (r.type == RECORD_MARK)
            heed_mark(&run, data, r.data_len);
        /* Points are spread evenly over the events from "first" on. */
        if (only ? at != only : at < first || next >= points || at < first + next * (events - first) / points)
            continue;
        if (next++ % of != part && !only)
            continue;
        for (int how = CRASH_KILLED; how <= (lib_remote() ? CRASH_LOST : CRASH_SOME); how++) {
            tried++;
            bad += !crash(d, &run, at, how, argv[2]);
            if (bad && getenv("CRASH_STOP")) /* the disk stays for a look */
                return 1;
        }
        if (bad > (getenv("CRASH_STOP") ? 0 : 5))
            break;
    }
    if (d)
        disk_close(d);
    printf("%llu crashes tried, %llu bad; %llu events, %llu operations\n", (unsigned long long)tried,
           (unsigned long long)bad, (unsigned long long)events, (unsigned long long)operations);
    return bad || !tried;
}
