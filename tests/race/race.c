/* SPDX-License-Identifier: GPL-2.0-or-later */
/* race.c: two gateways, each a process with a state of its own, take one cartridge of one bucket over from each other,
 * again and again, and are killed now and then: what either was told is in the store must stay on the tape for ever
 * (I7). race ROOT SEED ROUNDS    Configurations ROOT/0.conf, 1.conf (the gateways) and 2.conf (who looks) are there;
 * 0's library holds RAC001L8. race --gateway CONF ID DELAY_US FD JOB    one gateway's round: each id that was acknowledged
 * goes to FD.
 * With $TEST_DEDUP there is RAC002L8 too, from which it copies: in most rounds one of the two writes over that one, or
 * erases or removes it, while the other may be copying from it. */
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/chunked.h"
#include "tests/lib/leaning.h"
#include "vtl/library/library.h"

#define BARCODE "RAC001L8"
#define LENDER "RAC002L8"
#define MAX_BLOCK CHUNKED_MAX
#define BLOCKS 3 /* of a gateway in a round */
#define COPIES 6 /* ... that owns the lender */
#define LENT 8   /* that it writes to the lender */

/* What a gateway does in a round. */
enum job {
    JOB_APPEND, /* claims the tape, and writes at its end */
    JOB_COPY,   /* the same, but claims the lender first, so as to copy from it */
    JOB_LEND,   /* claims the lender, and writes it from its beginning */
    JOB_ERASE,  /* ... erases it */
    JOB_REMOVE, /* ... removes it, and makes it anew */
    JOBS,
};

static const atomic_bool never = false;

static uint32_t block_length(uint64_t id)
{
    return chunked() ? chunked_length(id) : 8 + (uint32_t)(id * 2654435761u % (200000 - 8));
}

static void block_fill(uint64_t id, uint8_t *b)
{
    uint64_t x = id * 0x9E3779B97F4A7C15u | 1;
    if (chunked()) {
        chunked_fill(id, b);
        return;
    }
    for (uint32_t i = 0; i < block_length(id); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b[i] = (uint8_t)x;
    }
    memcpy(b, &id, 8);
}

static uint64_t block_id(const uint8_t *b, uint32_t len)
{
    uint64_t id = 0;
    if (chunked())
        return chunked_id(b, len);
    memcpy(&id, b, 8);
    return id;
}

static struct library *open_library(const char *file)
{
    struct vtl_config *c = NULL;
    struct library *lib = NULL;
    struct errtext err = {""};
    if (config_load(file, &c, &err) || library_open(c, LIBRARY_SERVE, &lib, &err))
        fprintf(stderr, "%s: %s\n", file, err.text);
    return lib;
}

static uint16_t where(struct library *lib, const char *barcode)
{
    struct changer_element e[32];
    size_t n = library_changer_ops()->elements(lib, 0, 0, 32, e);
    for (size_t i = 0; i < n; i++)
        if (e[i].full && !strcmp(e[i].barcode, barcode))
            return e[i].address;
    return 0;
}

static bool move(struct library *lib, const char *barcode, uint16_t to)
{
    uint16_t from = where(lib, barcode);
    return from && library_changer_ops()->move(lib, 0, from, to, &never) == CHANGER_OK;
}

/* ---- a gateway ---- */

static bool call(struct library *lib, json_t *q)
{
    struct errtext err = {""};
    json_t *r = library_call(lib, q, &err);
    if (!r)
        fprintf(stderr, "%s\n", err.text);
    json_decref(q);
    json_decref(r);
    return r != NULL;
}

static bool claim(struct library *lib, const char *barcode)
{
    return call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", 1));
}

/* Blocks at the position, each synced, and told if so. */
static bool write_blocks(struct library *lib, uint64_t id, unsigned n, int fd)
{
    static uint8_t block[MAX_BLOCK];
    const struct tape_ops *t = library_drive_ops();
    void *d = library_drive(lib, 0);
    for (uint64_t i = id; i < id + n; i++) {
        block_fill(i, block);
        if (t->write(d, block, block_length(i), true, NULL, &never) != TAPE_OK ||
            t->write_filemarks(d, 0, false, &never) != TAPE_OK)
            return true; /* it lost the tape */
        if (write(fd, &i, sizeof(i)) != (ssize_t)sizeof(i))
            return false;
    }
    return true;
}

static bool append(struct library *lib, uint64_t id, bool copies, int fd)
{
    if (copies)
        (void)claim(lib, LENDER);
    if (!claim(lib, BARCODE) || !move(lib, BARCODE, ELEMENT_FIRST_DRIVE) ||
        library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never) != TAPE_OK)
        return true;
    return write_blocks(lib, id, copies ? COPIES : BLOCKS, fd);
}

/* It may have been removed already, here or by the other, who was killed then. */
static bool make_anew(struct library *lib)
{
    json_t *create = json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", LENDER, "capacity", 0);
    (void)call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", LENDER, "force", 1));
    return call(lib, create);
}

/* What was there is nobody's any more but of those who lean on it. */
static bool lend(struct library *lib, uint64_t id, enum job job, int fd)
{
    const struct tape_ops *t = library_drive_ops();
    void *d = library_drive(lib, 0);
    bool removed = !claim(lib, LENDER) || job == JOB_REMOVE;
    if ((removed && !make_anew(lib)) || !move(lib, LENDER, ELEMENT_FIRST_DRIVE))
        return true;
    if (job == JOB_ERASE && t->erase(d, false, &never) != TAPE_OK)
        return true;
    return write_blocks(lib, id, LENT, fd);
}

static int be_gateway(const char *file, uint64_t id, useconds_t delay, int fd, enum job job)
{
    struct errtext err = {""};
    struct changer_element e;
    struct library *lib = open_library(file);
    if (!lib)
        return 3;
    (void)usleep(delay);
    /* In the drive since a kill: the first MOVE may tell that what is on it is nobody's. */
    if (library_changer_ops()->elements(lib, ELEMENT_DRIVE, 0, 1, &e) == 1 && e.full) {
        uint16_t slot = (uint16_t)(ELEMENT_FIRST_STORAGE + !strcmp(e.barcode, LENDER));
        if (!move(lib, e.barcode, slot) && !move(lib, e.barcode, slot))
            return 3;
    }
    if (!(job <= JOB_COPY ? append(lib, id, job == JOB_COPY, fd) : lend(lib, id, job, fd)))
        return 3;
    (void)library_close(lib, &err); /* a gateway that lost has something to complain of */
    return 0;
}

/* ---- the referee ---- */

struct ids {
    uint64_t *v;
    size_t n, room;
};

static void add(struct ids *s, uint64_t id)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->v = realloc(s->v, s->room * sizeof(*s->v));
        if (!s->v)
            abort();
    }
    s->v[s->n++] = id;
}

static size_t count(const struct ids *s, uint64_t id)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->v[i] == id;
    return n;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

/* All that is on a tape. */
static bool read_tape(struct library *lib, const char *barcode, struct ids *found)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    void *d = library_drive(lib, 0);
    enum tape_result r = TAPE_OK;
    found->n = 0;
    if (!move(lib, barcode, ELEMENT_FIRST_DRIVE))
        return false;
    while (!r) {
        uint32_t len = sizeof(got);
        r = library_drive_ops()->read(d, got, &len, NULL, &never);
        uint64_t id = r ? 0 : block_id(got, len);
        if (r)
            break;
        block_fill(id, want);
        if (len != block_length(id) || memcmp(got, want, len)) {
            printf("# %s: block %zu is not what anybody wrote\n", barcode, found->n);
            return false;
        }
        add(found, id);
    }
    if (r != TAPE_EOD)
        printf("# %s: block %zu cannot be read: %d\n", barcode, found->n, (int)r);
    return r == TAPE_EOD && move(lib, barcode, (uint16_t)(ELEMENT_FIRST_STORAGE + !strcmp(barcode, LENDER)));
}

static struct vtl_config *rebuild(const char *root, char path[4200])
{
    struct vtl_config *c = NULL;
    struct errtext err = {""};
    json_t *report = NULL;
    (void)snprintf(path, 4200, "%s/2", root);
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)snprintf(path, 4200, "%s/2.conf", root);
    if (config_load(path, &c, &err) || library_rebuild(c, NULL, &report, &err)) {
        printf("# rebuild: %s\n", err.text);
        return NULL;
    }
    json_decref(report);
    return c;
}

/* What the bucket alone gives. */
static bool read_all(const char *root, struct ids *tape, struct ids *lender)
{
    char path[4200];
    struct errtext err = {""};
    struct vtl_config *c = rebuild(root, path);
    struct library *lib = c ? open_library(path) : NULL;
    bool good =
        lib && read_tape(lib, BARCODE, tape) && (!chunked() || !where(lib, LENDER) || read_tape(lib, LENDER, lender));
    good = good && !library_close(lib, &err);
    config_free(c);
    return good;
}

/* What was told. */
struct told {
    struct ids tape;   /* must be there for ever */
    struct ids lender; /* all that it has */
    bool doubt;        /* or not: somebody was stopped while he wrote it */
    uint64_t compared, leans, kept;
};

static bool is_right(const char *root, struct told *told)
{
    struct ids found = {.n = 0}, lent = {.n = 0};
    bool good = read_all(root, &found, &lent);
    for (size_t i = 0; good && i < told->tape.n; i++)
        if (count(&found, told->tape.v[i]) != 1) {
            printf("# block %llx was acknowledged as stored, and is there %zu times\n",
                   (unsigned long long)told->tape.v[i], count(&found, told->tape.v[i]));
            good = false;
        }
    if (good && chunked() && !told->doubt) {
        good = lent.n == told->lender.n && (!lent.n || !memcmp(lent.v, told->lender.v, lent.n * sizeof(*lent.v)));
        told->compared++;
        if (!good)
            printf("# the lender has %zu blocks, not the %zu that were acknowledged\n", lent.n, told->lender.n);
    }
    free(found.v);
    free(lent.v);
    return good;
}

static uint64_t random_state;
static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

struct racer {
    pid_t pid;
    int fd;
    size_t told;
    int status; /* of waitpid */
    enum job job;
};

static struct racer start(const char *root, unsigned which, uint64_t id, enum job job)
{
    int p[2];
    char conf[4200], number[24], delay[24], fd[12], what[12];
    if (pipe(p))
        abort();
    (void)snprintf(conf, sizeof(conf), "%s/%u.conf", root, which);
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
    (void)snprintf(delay, sizeof(delay), "%llu", (unsigned long long)draw(20000));
    (void)snprintf(fd, sizeof(fd), "%d", p[1]);
    (void)snprintf(what, sizeof(what), "%d", (int)job);
    pid_t pid = fork();
    if (!pid) {
        (void)close(p[0]);
        char log[4200];
        (void)snprintf(log, sizeof(log), "%s/%u.log", root, which);
        if (!freopen(log, "a", stderr))
            _exit(3);
        alarm(60);
        execl("/proc/self/exe", "race", "--gateway", conf, number, delay, fd, what, (char *)NULL);
        _exit(3);
    }
    (void)close(p[1]);
    return (struct racer){.pid = pid, .fd = p[0], .job = job};
}

/* Takes what it was told until it ends. False: it did not end as it should. */
static bool finish(struct racer *r, struct told *told, bool killed)
{
    uint64_t id;
    bool lends = r->job > JOB_COPY;
    struct ids *to = lends ? &told->lender : &told->tape;
    while (read(r->fd, &id, sizeof(id)) == (ssize_t)sizeof(id)) {
        if (lends && !r->told)
            to->n = 0;
        add(to, id);
        r->told++;
    }
    if (lends)
        told->doubt = r->told < LENT;
    (void)close(r->fd);
    if (waitpid(r->pid, &r->status, 0) != r->pid)
        return false;
    return WIFEXITED(r->status) ? WEXITSTATUS(r->status) == 0 : killed && WTERMSIG(r->status) == SIGKILL;
}

/* At most one of them writes the lender: else nobody could say what it has. The first ones fill it. */
static void draw_jobs(uint64_t round, enum job job[2])
{
    job[0] = job[1] = JOB_APPEND;
    if (!chunked())
        return;
    for (unsigned i = 0; i < 2; i++)
        job[i] = draw(4) ? JOB_COPY : JOB_APPEND;
    if (draw(3))
        job[draw(2)] = (enum job)(JOB_LEND + draw(JOBS - JOB_LEND));
    if (round <= 2)
        job[0] = JOB_LEND, job[1] = JOB_APPEND;
}

/* As the gateways know it, and who looked last. */
static void count_leans(const char *root, struct told *told)
{
    for (unsigned i = 0; i < 3; i++) {
        char state[4200];
        (void)snprintf(state, sizeof(state), "%s/%u", root, i);
        struct leaning l = leaning_of(state);
        told->leans = l.leans > told->leans ? l.leans : told->leans;
        told->kept += l.kept;
    }
}

struct sums {
    uint64_t both, lost, kills, bad;
};

static void play(const char *root, uint64_t round, struct told *told, struct sums *s)
{
    struct racer r[2];
    enum job job[2];
    draw_jobs(round, job);
    for (unsigned i = 0; i < 2; i++)
        r[i] = start(root, i, (round / 6 % 200) << 56 | round << 8 | i << 4, job[i]);
    bool kill_one = draw(3) == 0;
    unsigned victim = (unsigned)draw(2);
    if (kill_one) {
        (void)usleep((useconds_t)draw(chunked() ? 200000 : 80000));
        (void)kill(r[victim].pid, SIGKILL);
        s->kills++;
    }
    for (unsigned i = 0; i < 2; i++)
        if (!finish(&r[i], told, kill_one && victim == i)) {
            printf("# round %llu: gateway %u did not end well: status %x\n", (unsigned long long)round, i,
                   (unsigned)r[i].status);
            s->bad++;
        }
    if (chunked())
        count_leans(root, told);
    s->both += r[0].told && r[1].told;
    s->lost += r[0].told < BLOCKS || r[1].told < BLOCKS;
}

int main(int argc, char **argv)
{
    if (argc == 7 && !strcmp(argv[1], "--gateway"))
        return be_gateway(argv[2], strtoull(argv[3], NULL, 10), (useconds_t)atoi(argv[4]), atoi(argv[5]),
                          (enum job)atoi(argv[6]));
    if (argc != 4)
        return 2;
    struct told told = {.compared = 0};
    struct sums s = {0};
    uint64_t rounds = strtoull(argv[3], NULL, 10);
    random_state = strtoull(argv[2], NULL, 10) * 0x9E3779B97F4A7C15u | 1;
    for (uint64_t round = 1; round <= rounds && !s.bad; round++) {
        play(argv[1], round, &told, &s);
        if ((round % 8 == 0 || round == rounds || s.bad) && !is_right(argv[1], &told)) {
            printf("# seen after round %llu\n", (unsigned long long)round);
            s.bad++;
        }
    }
    printf("# %llu rounds, %zu blocks acknowledged; in %llu both wrote, in %llu one was stopped; %llu killed\n",
           (unsigned long long)rounds, told.tape.n, (unsigned long long)s.both, (unsigned long long)s.lost,
           (unsigned long long)s.kills);
    if (chunked())
        printf("# up to %llu leans; %llu times on a segment that its tape had no more; the lender was compared %llu "
               "times\n",
               (unsigned long long)told.leans, (unsigned long long)told.kept, (unsigned long long)told.compared);
    bool leant = !chunked() || (told.leans && told.kept && told.compared);
    return s.bad || !s.lost || !told.tape.n || !leant;
}
