/* SPDX-License-Identifier: GPL-2.0-or-later */
/* twins.c: gateways that exist twice, or went back in time: random rounds of each scenario (scenarios.c), compared with
 * what the hosts were told (history.h). twins WORK SEED ROUNDS JOBS [ROUND]: WORK/blank holds a bucket with a blank tape
 * and state 0. JOBS rounds are played at a time. With ROUND, only that one is played, and its directory stays. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/twins/block.h"
#include "tests/twins/gateway.h"
#include "tests/twins/scenarios.h"

struct tally {
    unsigned rounds, failed, by_fault[FAULTS];
    uint64_t ms;
    struct leaning leaning;
    char text[6000]; /* of the first that failed */
};

static void play(const char *work, uint64_t seed, uint64_t number, bool keep, struct tally *t)
{
    static struct round r;
    const struct scenario *s = &scenarios[number % SCENARIOS];
    uint64_t began = clock_ms();
    memset(&r, 0, sizeof(r));
    r.number = number;
    r.work = work;
    r.random = (seed * 1000003 + number + 1) * 0x9E3779B97F4A7C15u | 1;
    for (unsigned i = 0; i < 20; i++)
        (void)round_draw(&r, 2);
    (void)snprintf(r.root, sizeof(r.root), "%s/round%" PRIu64, work, number);
    round_begin(&r, s->list_ms ? 10 + (unsigned)round_draw(&r, s->list_ms - 9) : 0);
    s->play(&r);
    round_end(&r, keep);
    t->rounds++;
    t->ms += clock_ms() - began;
    t->failed += r.faults != 0;
    t->leaning.leans += r.leaning.leans;
    t->leaning.kept += r.leaning.kept;
    for (unsigned f = 0; f < FAULTS; f++)
        t->by_fault[f] += r.faults >> f & 1;
    if (r.faults && (!t->text[0] || keep))
        (void)snprintf(t->text, sizeof(t->text),
                       "#   first in round %" PRIu64 ": TWINS_SEED=%" PRIu64 " TWINS_ROUND=%" PRIu64 "\n%s", number,
                       seed, number, r.text);
    if (keep)
        printf("# round %" PRIu64 ": %" PRIu64 " ms, %zu versions of the tape\n", number, clock_ms() - began, r.h.n);
}

static void add(struct tally *sum, const struct tally *t)
{
    sum->rounds += t->rounds;
    sum->failed += t->failed;
    sum->ms += t->ms;
    sum->leaning.leans += t->leaning.leans;
    sum->leaning.kept += t->leaning.kept;
    for (unsigned f = 0; f < FAULTS; f++)
        sum->by_fault[f] += t->by_fault[f];
    if (!sum->text[0])
        memcpy(sum->text, t->text, sizeof(sum->text));
}

static bool report(const struct scenario *s, const struct tally *t)
{
    printf("%sok - %s%s: %s (%u rounds of %" PRIu64 " ms", t->failed ? "not " : "", s->name,
           chunked() ? ", with dedup" : "", s->what, t->rounds, t->ms / t->rounds);
    if (t->failed)
        printf("; %u failed", t->failed);
    for (unsigned f = 0; f < FAULTS; f++)
        if (t->by_fault[f])
            printf(", %u %s", t->by_fault[f], fault_names[f]);
    printf(")\n%s", t->text);
    return !t->failed;
}

/* Rounds first, first + step ... below rounds, in a process of its own. */
static pid_t work(char **argv, uint64_t first, uint64_t step, uint64_t rounds, struct tally *tally)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    for (uint64_t n = first; n < rounds; n += step)
        play(argv[1], strtoull(argv[2], NULL, 10), n, false, &tally[n % SCENARIOS]);
    _exit(0);
}

/* False: a worker did not come to its end. */
static bool play_all(char **argv, unsigned jobs, struct tally *tally)
{
    bool good = true;
    for (unsigned j = 0; j < jobs; j++)
        if (work(argv, j, jobs, strtoull(argv[3], NULL, 10), tally + (size_t)j * SCENARIOS) < 0)
            return false;
    for (int status; wait(&status) > 0;)
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return good;
}

/* No copies, nothing shown. */
static bool tapes_lean(const struct tally *tally)
{
    struct leaning l = {.leans = 0};
    for (unsigned i = 0; i < SCENARIOS; i++) {
        l.leans += tally[i].leaning.leans;
        l.kept += tally[i].leaning.kept;
    }
    printf("%sok - meanwhile the tape copies from another one, which is written over (%" PRIu64 " leans, %" PRIu64
           " on what its tape had no more)\n",
           l.leans && l.kept ? "" : "not ", l.leans, l.kept);
    return l.leans && l.kept;
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "--gateway"))
        return gateway_main(argv[2], !strcmp(argv[3], "rebuild"), atoi(argv[4]));
    if (argc == 3 && !strcmp(argv[1], "--fill"))
        return gateway_fill(argv[2]);
    if (argc < 5)
        return 2;
    unsigned jobs = (unsigned)atoi(argv[4]), passed = 0, failed = 0;
    size_t size = jobs * SCENARIOS * sizeof(struct tally);
    struct tally *tally = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!jobs || tally == MAP_FAILED)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc > 5) {
        uint64_t n = strtoull(argv[5], NULL, 10);
        play(argv[1], strtoull(argv[2], NULL, 10), n, true, &tally[n % SCENARIOS]);
    } else if (!play_all(argv, jobs, tally)) {
        printf("not ok - a referee did not end well\n");
        failed++;
    }
    for (unsigned i = 0; i < SCENARIOS; i++) {
        for (unsigned j = 1; j < jobs; j++)
            add(&tally[i], &tally[j * SCENARIOS + i]);
        if (tally[i].rounds)
            *(report(&scenarios[i], &tally[i]) ? &passed : &failed) += 1;
    }
    if (chunked() && argc <= 5)
        *(tapes_lean(tally) ? &passed : &failed) += 1;
    printf("twins: %u passed, %u failed\n", passed, failed);
    return failed != 0;
}
