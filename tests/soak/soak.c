/* SPDX-License-Identifier: GPL-2.0-or-later */
/* soak.c: two drives in use over iSCSI while others break the library: writes, overwrites, filemarks, syncs, erases,
 * reads back, moves. Whatever ends a command or the session, each cartridge must hold what a model of it says: all that
 * was acknowledged as synced, and no wrong byte (I1, I3, I4).
 *
 *   soak run PORTAL TARGET DIR SEED RATE BARCODE...   until SIGTERM; RATE: bytes a second that a drive writes.
 *       A byte goes to the pipe DIR/ticks for each operation. At the end, and when something is wrong, the figures are
 * in DIR/figures (NAME=VALUE) and the models in DIR/BARCODE.model. soak check PORTAL TARGET DIR BARCODE...   compares
 * all of each cartridge with its model
 *
 * Exit status 0: nothing lost; 1: the lines on standard output that begin with "LOST" say what. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/soak/client.h"
#include "tests/soak/model.h"

#define MAX_TAPES 16
#define MAX_ELEMENTS 64
#define WORKERS 2
#define TAPE_BYTES (96u << 20) /* about: then it is written from somewhere in the middle again */
/* A session that cannot be had, a cartridge that cannot be reached or read for so long is lost. */
#define PATIENCE_S 240

/* ---- what the workers share ---- */

static const char *portal, *target, *dir;
static uint64_t rate;
static atomic_bool stop, lost;
static int ticks = -1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of this */
static struct tape tapes[MAX_TAPES];
static size_t n_tapes;
static bool taken[MAX_TAPES];

enum figure {
    WRITTEN,  /* bytes acknowledged */
    SYNCED,   /* those that a later command made safe */
    COMPARED, /* bytes read, each compared */
    BLOCKS,
    MARKS,
    SYNCS,
    READS,
    LOCATES,
    ERASES,
    FORMATS,
    LOADS,
    MOVES,
    CUTS,
    BREAKS, /* sessions that were lost */
    TOLD,   /* commands that ended in an error */
    UNDONE, /* commands since the last sync that a crash took back */
    RESOLVED,
    FIGURES
};
static const char *const figure_name[FIGURES] = {"written", "synced",   "compared", "blocks",  "marks",   "syncs",
                                                 "reads",   "locates",  "erases",   "formats", "loads",   "moves",
                                                 "cuts",    "sessions", "told",     "undone",  "resolved"};
static atomic_ullong figures[FIGURES];

static void count(enum figure f, uint64_t n)
{
    atomic_fetch_add(&figures[f], n);
}

/* Errors that initiators were told, by sense. */
static struct {
    unsigned key, asc;
    uint64_t n;
} senses[64];

static void count_sense(const struct answer *a)
{
    count(TOLD, 1);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < sizeof(senses) / sizeof(senses[0]); i++)
        if (!senses[i].n || (senses[i].key == a->key && senses[i].asc == a->asc)) {
            senses[i].key = a->key;
            senses[i].asc = a->asc;
            senses[i].n++;
            break;
        }
    pthread_mutex_unlock(&lock);
}

/* ---- a worker ---- */

struct worker {
    unsigned drive;
    uint64_t random;
    struct client *c;
    struct tape *t; /* the one it works on */
    size_t at;      /* position */
    uint64_t bytes; /* written, for the rate, */
    struct timespec began;
    uint64_t since_sync;
};

static uint64_t draw(struct worker *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random >> 11) % below;
}

static void loss(const struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void loss(const struct worker *w, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    printf("LOST %s in drive %u: %s\n", w->t ? w->t->barcode : "-", w->drive, text);
    atomic_store(&lost, true);
    atomic_store(&stop, true);
}

static double seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* The load is given: it must not fill the store's disk. */
static void keep_rate(const struct worker *w)
{
    while (rate && !atomic_load(&stop) && (double)w->bytes > (double)rate * (seconds_since(&w->began) + 1))
        pause_ms(20);
}

/* Looks at how a command ended. True: well. Else the tape is in doubt. */
static bool good(struct worker *w, const char *name, struct answer a)
{
    if (a.outcome == GOOD)
        return true;
    if (a.outcome == BROKEN) {
        if (w->t)
            w->t->crashed = true;
        return false;
    }
    count_sense(&a);
    /* Nobody else has the cartridges, and nothing is sent that may not be. 5/3B/xx: another was faster with an element.
     * 5/25/00: a target that ends has lost its units before its sessions. */
    if (a.key == 7 || (a.key == 5 && a.asc >> 8 != 0x3B && a.asc != 0x2500))
        loss(w, "%s ended in %x/%02x/%02x", name, a.key, a.asc >> 8, a.asc & 0xff);
    return false;
}

static void synced(struct worker *w)
{
    tape_synced(w->t);
    count(SYNCED, w->since_sync);
    w->since_sync = 0;
}

/* ---- what is done to a tape; each false leaves it in doubt ---- */

static bool do_sync(struct worker *w)
{
    count(SYNCS, 1);
    if (!good(w, "a sync", tape_marks(w->c, 0, false)))
        return false;
    synced(w);
    return true;
}

static bool room_for(const struct worker *w, size_t objects)
{
    return w->at + objects <= MAX_OBJECTS && w->t->steps + 1 < MAX_STEPS;
}

static bool do_write(struct worker *w)
{
    static _Thread_local uint8_t block[MAX_BLOCK];
    for (uint64_t n = 1 + draw(w, 24); n && room_for(w, 1) && !atomic_load(&stop); n--) {
        uint64_t id = w->t->next_id++;
        block_fill(id, block);
        tape_begin(w->t, w->at, id, 1);
        if (!good(w, "WRITE", tape_write(w->c, block, block_length(id))))
            return false;
        tape_done(w->t);
        w->at++;
        w->bytes += block_length(id);
        w->since_sync += block_length(id);
        count(WRITTEN, block_length(id));
        count(BLOCKS, 1);
        keep_rate(w);
    }
    return true;
}

static bool do_marks(struct worker *w)
{
    unsigned n = 1 + (unsigned)draw(w, 3);
    bool immed = draw(w, 2);
    if (!room_for(w, n))
        return true;
    tape_begin(w->t, w->at, 0, n);
    if (!good(w, "WRITE FILEMARKS", tape_marks(w->c, n, immed)))
        return false;
    tape_done(w->t);
    w->at += n;
    count(MARKS, n);
    if (!immed) {
        count(SYNCS, 1);
        synced(w);
    }
    return true;
}

static bool is_at(struct worker *w)
{
    uint64_t object = 0, file = 0, files = tape_files_before(w->t, w->at);
    if (!good(w, "READ POSITION", tape_position(w->c, &object, &file)))
        return false;
    if (object != w->at || file != files)
        loss(w, "at object %" PRIu64 ", file %" PRIu64 ", not at %zu, %" PRIu64, object, file, w->at, files);
    return !atomic_load(&lost);
}

static bool go_to(struct worker *w, size_t object)
{
    count(LOCATES, 1);
    if (!good(w, "LOCATE", object || draw(w, 2) ? tape_locate(w->c, object) : tape_rewind(w->c)))
        return false;
    w->at = object;
    return true;
}

static bool do_end(struct worker *w)
{
    if (!good(w, "SPACE to the end of data", tape_space_end(w->c)))
        return false;
    w->at = w->t->n;
    return is_at(w);
}

/* Over a filemark, to and fro. */
static bool do_space(struct worker *w)
{
    size_t mark = w->at;
    while (mark < w->t->n && w->t->object[mark])
        mark++;
    if (mark == w->t->n)
        return true;
    if (!good(w, "SPACE", tape_space_files(w->c, 1)))
        return false;
    w->at = mark + 1;
    if (!is_at(w) || !good(w, "SPACE", tape_space_files(w->c, -1)))
        return false;
    w->at = mark;
    return is_at(w);
}

/* One object, into *object. 1: there is one. 0: end of data. -1: in doubt. */
static int read_object(struct worker *w, uint64_t *object)
{
    static _Thread_local uint8_t block[MAX_BLOCK + 4096];
    struct answer a = tape_read(w->c, block, sizeof(block));
    if (a.outcome == CHECK && a.key == 8)
        return 0;
    *object = 0;
    if (a.outcome == CHECK && a.key == 0 && a.asc == 0x0001)
        return 1;
    if (!good(w, "READ", a))
        return -1;
    *object = block_id(block, a.got);
    if (a.got < 8 || !block_is_right(*object, block, a.got)) {
        loss(w, "what is read says to be block %" PRIx64 ", and is not (%" PRIu32 " bytes)", *object, a.got);
        return -1;
    }
    count(COMPARED, a.got);
    count(READS, 1);
    return 1;
}

/* Reads as many objects as that, from the position on: what the model says, and nothing else. */
static bool read_and_compare(struct worker *w, uint64_t n)
{
    for (; n; n--) {
        uint64_t object = 0;
        int r = read_object(w, &object);
        if (r < 0)
            return false;
        if (r != (w->at < w->t->n) || (r && object != w->t->object[w->at])) {
            loss(w, "object %zu of %zu is %s %" PRIx64 ", not %" PRIx64, w->at, w->t->n, r ? "block" : "end of data",
                 object, w->at < w->t->n ? w->t->object[w->at] : 0);
            return false;
        }
        if (!r)
            return true;
        w->at++;
    }
    return true;
}

static bool do_read(struct worker *w)
{
    if (!go_to(w, draw(w, w->t->n + 1)))
        return false;
    return read_and_compare(w, 1 + draw(w, 40)) && is_at(w);
}

static bool do_erase(struct worker *w)
{
    if (w->t->steps + 1 >= MAX_STEPS)
        return true;
    tape_begin(w->t, w->at, 0, 0);
    if (!good(w, "ERASE", tape_erase(w->c)))
        return false;
    tape_done(w->t);
    count(ERASES, 1);
    return true;
}

static bool do_format(struct worker *w)
{
    if (w->t->steps + 1 >= MAX_STEPS || !go_to(w, 0))
        return w->t->steps + 1 >= MAX_STEPS;
    tape_begin(w->t, 0, 0, 0);
    if (!good(w, "FORMAT MEDIUM", tape_format(w->c)))
        return false;
    tape_done(w->t);
    count(FORMATS, 1);
    return true;
}

static bool do_reload(struct worker *w)
{
    if (!good(w, "UNLOAD", tape_load(w->c, false)))
        return false;
    synced(w);
    if (!good(w, "LOAD", tape_load(w->c, true)) || !good(w, "TEST UNIT READY", client_ready(w->c, client_drive(w->c))))
        return false;
    w->at = 0;
    count(LOADS, 1);
    return is_at(w);
}

/* The connection drops between two commands: nothing that was acknowledged may suffer. */
static bool do_cut(struct worker *w)
{
    client_cut(w->c);
    w->c = NULL;
    count(CUTS, 1);
    return false;
}

static bool operate(struct worker *w)
{
    static const struct {
        unsigned weight;
        bool (*run)(struct worker *w);
    } table[] = {{300, do_write}, {60, do_marks}, {40, do_sync},  {60, do_end},    {60, do_space},
                 {120, do_read},  {10, do_erase}, {3, do_format}, {12, do_reload}, {6, do_cut}};
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->at; i++)
        bytes += w->t->object[i] ? block_length(w->t->object[i]) : 0;
    /* Full, or told to: from somewhere in the middle again. */
    if ((bytes > TAPE_BYTES || w->at + 32 > MAX_OBJECTS || draw(w, 40) == 0) && !go_to(w, draw(w, w->t->n + 1)))
        return false;
    /* A read in the middle is not always the place of the next write. */
    if (w->at < w->t->n && draw(w, 4) && !do_end(w))
        return false;
    uint64_t x = draw(w, 671);
    size_t i = 0;
    while (x >= table[i].weight)
        x -= table[i++].weight;
    return table[i].run(w);
}

/* ---- sessions and places ---- */

static bool have_session(struct worker *w)
{
    struct timespec began;
    char why[300] = "";
    clock_gettime(CLOCK_MONOTONIC, &began);
    while (!(w->c = client_login(portal, target, w->drive, why, sizeof(why)))) {
        if (seconds_since(&began) > PATIENCE_S) {
            loss(w, "no session in %d s: %s", PATIENCE_S, why);
            return false;
        }
        pause_ms(100);
    }
    return true;
}

static const struct element *find(const struct element *e, size_t n, const char *barcode)
{
    for (size_t i = 0; i < n; i++)
        if (e[i].full && !strcmp(e[i].barcode, barcode))
            return &e[i];
    return NULL;
}

static struct answer look(struct worker *w, struct element *e, size_t *n)
{
    return changer_elements(w->c, e, MAX_ELEMENTS, n);
}

enum place { HERE, AWAY, UNKNOWN };

/* Brings the worker's tape into its drive. AWAY: it is in no element, on the shelf. */
static enum place fetch_tape(struct worker *w)
{
    struct element e[MAX_ELEMENTS];
    size_t n;
    uint16_t mine = (uint16_t)(FIRST_DRIVE + w->drive);
    if (!good(w, "READ ELEMENT STATUS", look(w, e, &n)))
        return UNKNOWN;
    const struct element *at = find(e, n, w->t->barcode);
    if (!at)
        return AWAY;
    if (at->address != mine) {
        count(MOVES, 1);
        if (!good(w, "MOVE MEDIUM to the drive", changer_move(w->c, at->address, mine)))
            return UNKNOWN;
    }
    struct answer a = client_ready(w->c, client_drive(w->c));
    if (a.outcome == CHECK && a.key == 2 && a.asc == 0x3A00) /* unthreaded, by an UNLOAD that was cut off */
        a = tape_load(w->c, true);
    return good(w, "TEST UNIT READY", a) ? HERE : UNKNOWN;
}

/* To a free element that storage and door have: not always the same, and now and then the door. */
static bool put_away(struct worker *w)
{
    struct element e[MAX_ELEMENTS];
    size_t n, free_ones = 0;
    uint16_t free_address[MAX_ELEMENTS], mine = (uint16_t)(FIRST_DRIVE + w->drive);
    if (!good(w, "READ ELEMENT STATUS", look(w, e, &n)))
        return false;
    bool door = draw(w, 3) == 0;
    for (size_t i = 0; i < n; i++)
        if (!e[i].full && e[i].type == (door ? DOOR : STORAGE))
            free_address[free_ones++] = e[i].address;
    if (!free_ones)
        return true; /* then it stays */
    count(MOVES, 1);
    if (!good(w, "MOVE MEDIUM out of the drive", changer_move(w->c, mine, free_address[draw(w, free_ones)])))
        return false;
    synced(w);
    return true;
}

/* A cartridge of somebody else in the drive, left by a move that was cut off. */
static bool empty_drive(struct worker *w)
{
    struct element e[MAX_ELEMENTS];
    size_t n;
    uint16_t mine = (uint16_t)(FIRST_DRIVE + w->drive);
    if (!good(w, "READ ELEMENT STATUS", look(w, e, &n)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (e[i].address == mine && (!e[i].full || !strcmp(e[i].barcode, w->t->barcode)))
            return true;
    for (size_t i = 0; i < n; i++)
        if (e[i].type == STORAGE && !e[i].full) {
            (void)good(w, "MOVE MEDIUM", changer_move(w->c, mine, e[i].address));
            return true;
        }
    return true;
}

/* What the tape holds from where it may differ on decides which of the states that a crash allows it is in. */
static bool find_state(struct worker *w)
{
    static _Thread_local uint64_t tail[MAX_OBJECTS + 1];
    size_t from = tape_common(w->t), n = 0, undone = 0;
    int r;
    if (!good(w, "LOCATE", tape_locate(w->c, from)))
        return false;
    while ((r = read_object(w, &tail[n])) > 0 && from + n < MAX_OBJECTS)
        n++;
    if (r < 0)
        return false;
    if (!tape_resolve(w->t, tail, n, &undone)) {
        loss(w, "%zu objects follow object %zu; the last sync had %zu in all, %zu commands since made it %zu%s", n,
             from, w->t->n_safe, w->t->steps, w->t->n, w->t->crashed ? ", and then came a crash" : "");
        for (size_t i = 0; i < n && i < 12; i++)
            printf("#   %zu: %" PRIx64 "\n", from + i, tail[i]);
        return false;
    }
    if (undone)
        w->since_sync = 0;
    count(UNDONE, undone);
    count(RESOLVED, 1);
    w->at = w->t->n;
    return true;
}

/* Until the tape is in the drive, and its state known and safe. False: it is away, or lost. */
static bool clear_doubt(struct worker *w)
{
    struct timespec began;
    clock_gettime(CLOCK_MONOTONIC, &began);
    while (!atomic_load(&lost)) {
        if (!w->c && !have_session(w))
            return false;
        enum place p = fetch_tape(w);
        if (p == AWAY)
            return false;
        if (p == HERE && find_state(w) && do_sync(w) && is_at(w))
            return true;
        if (seconds_since(&began) > PATIENCE_S) {
            loss(w, "not to be had for %d s", PATIENCE_S);
            return false;
        }
        if (client_ready(w->c, CHANGER_LUN).outcome == BROKEN) {
            client_logout(w->c);
            w->c = NULL;
            count(BREAKS, 1);
        } else if (p == UNKNOWN) {
            (void)empty_drive(w);
        }
        pause_ms(200); /* a fault lasts */
    }
    return false;
}

static struct tape *take(struct worker *w)
{
    pthread_mutex_lock(&lock);
    size_t i = draw(w, n_tapes);
    while (taken[i])
        i = (i + 1) % n_tapes;
    taken[i] = true;
    pthread_mutex_unlock(&lock);
    return &tapes[i];
}

static void give_back(struct worker *w)
{
    pthread_mutex_lock(&lock);
    taken[w->t - tapes] = false;
    pthread_mutex_unlock(&lock);
    w->t = NULL;
}

static void tick(void)
{
    if (ticks >= 0 && write(ticks, "\n", 1) < 0 && errno != EAGAIN)
        ticks = -1;
}

/* Some operations on one tape. */
static void one_turn(struct worker *w)
{
    w->t = take(w);
    w->since_sync = 0;
    bool here = clear_doubt(w);
    for (uint64_t n = 10 + draw(w, 60); here && n && !atomic_load(&stop); n--) {
        if (!operate(w))
            here = clear_doubt(w);
        tick();
    }
    /* Twice, for a fault may come in between; a tape that stays in the drive must be safe, too. */
    while (here && !atomic_load(&lost) && !(do_sync(w) && put_away(w)))
        here = clear_doubt(w);
    tick();
    give_back(w);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    clock_gettime(CLOCK_MONOTONIC, &w->began);
    while (!atomic_load(&stop))
        one_turn(w);
    if (w->c)
        client_logout(w->c);
    return NULL;
}

/* ---- run and check ---- */

static void on_term(int signal_number)
{
    (void)signal_number;
    atomic_store(&stop, true);
}

static bool save_figures(void)
{
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/figures", dir);
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    for (unsigned i = 0; i < FIGURES; i++)
        fprintf(f, "%s=%llu\n", figure_name[i], atomic_load(&figures[i]));
    fprintf(f, "senses=\"");
    for (size_t i = 0; i < sizeof(senses) / sizeof(senses[0]) && senses[i].n; i++)
        fprintf(f, "%s%x/%02x/%02x: %" PRIu64, i ? ", " : "", senses[i].key, senses[i].asc >> 8, senses[i].asc & 0xff,
                senses[i].n);
    fprintf(f, "\"\n");
    return !fclose(f);
}

static int run(uint64_t seed, char **barcodes)
{
    static struct worker w[WORKERS];
    pthread_t thread[WORKERS];
    char path[4200];
    for (; *barcodes && n_tapes < MAX_TAPES; barcodes++, n_tapes++)
        tape_init(&tapes[n_tapes], *barcodes, (n_tapes + 1) << 40);
    if (n_tapes < WORKERS)
        return 2;
    (void)snprintf(path, sizeof(path), "%s/ticks", dir);
    ticks = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    (void)signal(SIGTERM, on_term);
    (void)signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.drive = i, .random = (seed * WORKERS + i + 1) * 0x9E3779B97F4A7C15u | 1};
        if (pthread_create(&thread[i], NULL, work, &w[i]))
            abort();
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(thread[i], NULL);
    /* What a crash left in doubt, and nobody came to look at. */
    for (size_t i = 0; i < n_tapes && !atomic_load(&lost); i++) {
        w[0].t = &tapes[i];
        w[0].c = NULL;
        if (tapes[i].steps && (!clear_doubt(&w[0]) || !put_away(&w[0])))
            loss(&w[0], "not to be had at the end");
        if (w[0].c)
            client_logout(w[0].c);
    }
    bool saved = save_figures();
    for (size_t i = 0; i < n_tapes; i++) {
        (void)snprintf(path, sizeof(path), "%s/%.32s.model", dir, tapes[i].barcode);
        saved &= tape_save(&tapes[i], path);
    }
    return atomic_load(&lost) || !saved;
}

static int check(char **barcodes)
{
    struct worker w = {.random = 1};
    char path[4200];
    size_t objects = 0;
    if (!have_session(&w))
        return 1;
    for (; *barcodes; barcodes++) {
        struct tape t = {.n = 0};
        (void)snprintf(path, sizeof(path), "%s/%s.model", dir, *barcodes);
        w.t = &t;
        if (!tape_restore(&t, path)) {
            loss(&w, "%s: no model", path);
            continue;
        }
        /* One step further than it has objects: to the end of data. */
        if (!empty_drive(&w) || fetch_tape(&w) != HERE || !go_to(&w, 0) || !read_and_compare(&w, t.n + 1))
            loss(&w, "after object %zu of %zu", w.at, t.n);
        objects += w.at;
        free(t.object);
        free(t.safe);
    }
    w.t = NULL;
    for (size_t i = 0; i < sizeof(senses) / sizeof(senses[0]) && senses[i].n; i++)
        printf("# told %x/%04x %" PRIu64 " times\n", senses[i].key, senses[i].asc, senses[i].n);
    printf("# %zu objects, %llu bytes compared\n", objects, atomic_load(&figures[COMPARED]));
    client_logout(w.c);
    return atomic_load(&lost);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 5 && !strcmp(argv[1], "check")) {
        portal = argv[2];
        target = argv[3];
        dir = argv[4];
        return check(argv + 5);
    }
    if (argc < 8 || strcmp(argv[1], "run") != 0) {
        fputs("usage: soak run PORTAL TARGET DIR SEED RATE BARCODE... | soak check PORTAL TARGET DIR BARCODE...\n",
              stderr);
        return 2;
    }
    portal = argv[2];
    target = argv[3];
    dir = argv[4];
    rate = strtoull(argv[6], NULL, 10);
    return run(strtoull(argv[5], NULL, 10), argv + 7);
}
