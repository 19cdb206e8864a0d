/* SPDX-License-Identifier: GPL-2.0-or-later */
/* race.c: two gateways, each a process with a state of its own, take one cartridge of one bucket over from each other,
 * again and again, and are killed now and then: what either was told is in the store must stay on the tape for ever
 * (I7). race ROOT SEED ROUNDS    Configurations ROOT/0.conf, 1.conf (the gateways) and 2.conf (who looks) are there;
 * 0's library holds RAC001L8. race --gateway CONF ID DELAY_US FD    one gateway's round: each id that was acknowledged
 * goes to FD. */
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

#include "vtl/library/library.h"

#define BARCODE "RAC001L8"
#define MAX_BLOCK 200000
#define BLOCKS 3 /* of a gateway in a round */

static const atomic_bool never = false;

static uint32_t block_length(uint64_t id)
{
    return 8 + (uint32_t)(id * 2654435761u % (MAX_BLOCK - 8));
}

static void block_fill(uint64_t id, uint8_t *b)
{
    uint64_t x = id * 0x9E3779B97F4A7C15u | 1;
    for (uint32_t i = 0; i < block_length(id); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b[i] = (uint8_t)x;
    }
    memcpy(b, &id, 8);
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

static uint16_t where(struct library *lib)
{
    struct changer_element e[32];
    size_t n = library_changer_ops()->elements(lib, 0, 0, 32, e);
    for (size_t i = 0; i < n; i++)
        if (e[i].full && !strcmp(e[i].barcode, BARCODE))
            return e[i].address;
    return 0;
}

static bool move(struct library *lib, uint16_t to)
{
    return library_changer_ops()->move(lib, 0, where(lib), to, &never) == CHANGER_OK;
}

/* ---- a gateway ---- */

static bool claim(struct library *lib)
{
    struct errtext err = {""};
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", BARCODE, "force", 1);
    json_t *r = library_call(lib, q, &err);
    json_decref(q);
    json_decref(r);
    return r != NULL;
}

static int be_gateway(const char *file, uint64_t id, useconds_t delay, int fd)
{
    static uint8_t block[MAX_BLOCK];
    struct errtext err = {""};
    const struct tape_ops *t = library_drive_ops();
    struct library *lib = open_library(file);
    if (!lib)
        return 3;
    void *d = library_drive(lib, 0);
    (void)usleep(delay);
    /* In the drive since a kill: the first MOVE may tell that what is on it is nobody's. */
    if (where(lib) == ELEMENT_FIRST_DRIVE && !move(lib, ELEMENT_FIRST_STORAGE) && !move(lib, ELEMENT_FIRST_STORAGE))
        return 3;
    if (claim(lib) && move(lib, ELEMENT_FIRST_DRIVE) && t->space_end_of_data(d, &never) == TAPE_OK)
        for (uint64_t i = id; i < id + BLOCKS; i++) {
            block_fill(i, block);
            if (t->write(d, block, block_length(i), true, NULL, &never) != TAPE_OK ||
                t->write_filemarks(d, 0, false, &never) != TAPE_OK)
                break;
            if (write(fd, &i, sizeof(i)) != (ssize_t)sizeof(i))
                return 3;
        }
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

/* What the bucket alone gives. */
static bool read_tape(const char *root, struct ids *found)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    char path[4200];
    struct vtl_config *c = NULL;
    struct errtext err = {""};
    json_t *report = NULL;
    (void)snprintf(path, sizeof(path), "%s/2", root);
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)snprintf(path, sizeof(path), "%s/2.conf", root);
    if (config_load(path, &c, &err) || library_rebuild(c, NULL, &report, &err)) {
        printf("# rebuild: %s\n", err.text);
        return false;
    }
    json_decref(report);
    struct library *lib = open_library(path);
    if (!lib || !move(lib, ELEMENT_FIRST_DRIVE))
        return false;
    void *d = library_drive(lib, 0);
    enum tape_result r;
    for (;;) {
        uint32_t len = sizeof(got);
        uint64_t id;
        r = library_drive_ops()->read(d, got, &len, NULL, &never);
        if (r != TAPE_OK)
            break;
        memcpy(&id, got, 8);
        block_fill(id, want);
        if (len != block_length(id) || memcmp(got, want, len)) {
            printf("# block %zu is not what anybody wrote\n", found->n);
            return false;
        }
        add(found, id);
    }
    bool good = r == TAPE_EOD && !library_close(lib, &err);
    config_free(c);
    return good;
}

static bool is_right(const char *root, const struct ids *told)
{
    struct ids found = {.n = 0};
    bool good = read_tape(root, &found);
    for (size_t i = 0; good && i < told->n; i++)
        if (count(&found, told->v[i]) != 1) {
            printf("# block %llx was acknowledged as stored, and is there %zu times\n", (unsigned long long)told->v[i],
                   count(&found, told->v[i]));
            good = false;
        }
    free(found.v);
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
};

static struct racer start(const char *root, unsigned which, uint64_t id)
{
    int p[2];
    char conf[4200], number[24], delay[24], fd[12];
    if (pipe(p))
        abort();
    (void)snprintf(conf, sizeof(conf), "%s/%u.conf", root, which);
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
    (void)snprintf(delay, sizeof(delay), "%llu", (unsigned long long)draw(20000));
    (void)snprintf(fd, sizeof(fd), "%d", p[1]);
    pid_t pid = fork();
    if (!pid) {
        (void)close(p[0]);
        char log[4200];
        (void)snprintf(log, sizeof(log), "%s/%u.log", root, which);
        if (!freopen(log, "a", stderr))
            _exit(3);
        alarm(60);
        execl("/proc/self/exe", "race", "--gateway", conf, number, delay, fd, (char *)NULL);
        _exit(3);
    }
    (void)close(p[1]);
    return (struct racer){.pid = pid, .fd = p[0]};
}

/* Takes what it was told until it ends. False: it did not end as it should. */
static bool finish(struct racer *r, struct ids *told, bool killed)
{
    uint64_t id;
    while (read(r->fd, &id, sizeof(id)) == (ssize_t)sizeof(id)) {
        add(told, id);
        r->told++;
    }
    (void)close(r->fd);
    if (waitpid(r->pid, &r->status, 0) != r->pid)
        return false;
    return WIFEXITED(r->status) ? WEXITSTATUS(r->status) == 0 : killed && WTERMSIG(r->status) == SIGKILL;
}

int main(int argc, char **argv)
{
    if (argc == 6 && !strcmp(argv[1], "--gateway"))
        return be_gateway(argv[2], strtoull(argv[3], NULL, 10), (useconds_t)atoi(argv[4]), atoi(argv[5]));
    if (argc != 4)
        return 2;
    struct ids told = {.n = 0};
    uint64_t rounds = strtoull(argv[3], NULL, 10), both = 0, lost = 0, kills = 0, bad = 0;
    random_state = strtoull(argv[2], NULL, 10) * 0x9E3779B97F4A7C15u | 1;
    for (uint64_t round = 1; round <= rounds && !bad; round++) {
        struct racer r[2];
        for (unsigned i = 0; i < 2; i++)
            r[i] = start(argv[1], i, round << 8 | i << 4);
        bool kill_one = draw(3) == 0;
        unsigned victim = (unsigned)draw(2);
        if (kill_one) {
            (void)usleep((useconds_t)draw(80000));
            (void)kill(r[victim].pid, SIGKILL);
            kills++;
        }
        for (unsigned i = 0; i < 2; i++)
            if (!finish(&r[i], &told, kill_one && victim == i)) {
                printf("# round %llu: gateway %u did not end well: status %x\n", (unsigned long long)round, i,
                       (unsigned)r[i].status);
                bad++;
            }
        both += r[0].told && r[1].told;
        lost += r[0].told < BLOCKS || r[1].told < BLOCKS;
        if ((round % 8 == 0 || round == rounds || bad) && !is_right(argv[1], &told)) {
            printf("# seen after round %llu\n", (unsigned long long)round);
            bad++;
        }
    }
    printf("# %llu rounds, %zu blocks acknowledged; in %llu both wrote, in %llu one was stopped; %llu killed\n",
           (unsigned long long)rounds, told.n, (unsigned long long)both, (unsigned long long)lost,
           (unsigned long long)kills);
    return bad || !lost || !told.n;
}
