/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fair.c: which part of a segment should be wanted before anything is copied from it, and how far should one look ahead?
 * Sets of a datastore, written through the planner for each of several answers.
 *   fair [WINDOW PERCENT...]
 * All sizes, the window in MiB too, are a sixteenth of what is said. Shown of each answer: bytes stored by the sets after
 * the first, as a multiple of the changed ones, and the same of the second set; what is kept of all sets, and of the last
 * three once the first three are gone, as a multiple of their unique bytes; what a reader of the last set fetches as whole
 * segments, with the 24 that it used last at hand, as a multiple of the set. */
#include <inttypes.h>
#include <stdio.h>

#include "base/le.h"
#include "tests/unit/pbs_tape.h"
#include "vtl/dedup/planner.h"

enum { SETS = 6, CHUNKS = 12000, SEGMENT = (40 << 20) / 16, BLOCK = (256 << 10) / 16, MEAN = (3 << 19) / 16 };
enum {
    SECTIONS = 4,
    SHUFFLE = 11,
    LONGEST_RUN = 73,
    CHANGED = 2 /* percent */,
    READER = 24,
    SIGHT = 64,
    BUCKETS = 1 << 16
};

struct segment {
    struct seg_source s;
    uint64_t first;
    struct chunk_list *list;
    unsigned set;
    bool leaned[SETS]; /* by a set */
};

struct known { /* an entry of a segment's list */
    struct known *next;
    uint32_t segment;
    struct chunk_entry e;
};

static struct {
    struct segment *seg;
    uint32_t n;
    struct known *bucket[BUCKETS];
    struct planner *planner;
    uint64_t object, size, stored[SETS], plain[SETS];
    unsigned set;
    uint32_t recent[READER], n_recent; /* of the reader */
    uint64_t fetched;
} sim;

static uint64_t rng = 1;
static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

/* ---- segments ---- */

static void begin_segment(uint64_t object)
{
    struct segment *g;
    sim.seg = realloc(sim.seg, (sim.n + 1) * sizeof(*sim.seg));
    g = &sim.seg[sim.n++];
    *g = (struct segment){.s = {.id = {sim.set + 1, 1, sim.n}, .crc = sim.n}, .first = object, .set = sim.set};
    g->list = chunk_list_new(object);
    sim.size = 0;
}

static void seal_segment(void)
{
    struct segment *g = &sim.seg[sim.n - 1];
    struct chunk_entry e;
    size_t len, at = 0;
    const void *list = chunk_list_bytes(g->list, &len);
    g->s.size = sim.size;
    while (chunk_list_next(list, len, &at, &e) > 0) {
        struct known *k = malloc(sizeof(*k)), **b = &sim.bucket[get_le32(e.id) % BUCKETS];
        *k = (struct known){*b, sim.n - 1, e};
        *b = k;
    }
}

static void find(void *arg, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool again, struct chunk_places *out)
{
    (void)arg;
    (void)again;
    for (struct known *k = sim.bucket[get_le32(id) % BUCKETS]; k; k = k->next)
        if (k->e.chunk_length == length && !memcmp(k->e.id, id, SEG_CHUNK_ID))
            chunk_places_add(out, &sim.seg[k->segment].s, sim.seg[k->segment].first, &k->e);
}

static bool may_use(void *arg, const struct seg_source *s)
{
    (void)arg;
    (void)s;
    return true;
}

/* ---- a reader that has its last segments at hand ---- */

static void read_segment(uint32_t n)
{
    uint32_t i = 0;
    while (i < sim.n_recent && sim.recent[i] != n)
        i++;
    if (i == sim.n_recent) {
        sim.fetched += sim.seg[n].s.size;
        i = sim.n_recent < READER ? sim.n_recent++ : READER - 1;
    }
    memmove(sim.recent + 1, sim.recent, i * sizeof(sim.recent[0]));
    sim.recent[0] = n;
}

/* ---- writing ---- */

static void put(const struct plan *x)
{
    uint32_t own = x->len - x->copied;
    if (!sim.n || sim.seg[sim.n - 1].set != sim.set || sim.size + own > SEGMENT) {
        if (sim.n)
            seal_segment();
        begin_segment(x->object);
    }
    sim.size += own + 80 + (x->copied ? 80 * x->n_sources + 24 * x->n_pieces : 0);
    sim.stored[sim.set] += own;
    sim.plain[sim.set] += x->len;
    if (chunk_list_add(sim.seg[sim.n - 1].list, x->object, x->parts, x->n_parts))
        abort();
    for (size_t i = 0; i < x->n_sources; i++) {
        uint32_t n = x->sources[i].crc - 1;
        sim.seg[n].leaned[sim.set] = true;
        if (sim.set == SETS - 1)
            read_segment(n);
    }
    if (sim.set == SETS - 1 && own)
        read_segment(sim.n - 1);
}

static void take(bool drain)
{
    struct plan x;
    while (planner_next(sim.planner, drain, &x)) {
        put(&x);
        free(x.handle);
        planner_pop(sim.planner);
    }
}

static void on_block(void *arg, const uint8_t *data, uint32_t len)
{
    (void)arg;
    uint8_t *copy = malloc(len);
    memcpy(copy, data, len);
    planner_push(sim.planner, copy, sim.object++, copy, len);
    while (planner_help(sim.planner))
        continue;
    take(false);
}

/* ---- the datastore: chunks by number, in the order in which a set has them ---- */

static uint64_t order[CHUNKS], next_chunk = CHUNKS;

static size_t size_of(uint64_t chunk)
{
    return MEAN / 4 + (size_t)(chunk * 2654435761u % (MEAN * 3 / 2));
}

/* As PBS does it: chunks lie in the order of the datastore, but which snapshot brings them along differs from set to set.
 * So a set is parts of that order, which advance by turns. */
static void in_turns(uint64_t *out)
{
    size_t at[SECTIONS], end[SECTIONS], n = 0;
    for (size_t i = 0; i < SECTIONS; i++) {
        at[i] = i ? end[i - 1] : 0;
        end[i] = i + 1 < SECTIONS ? at[i] + draw(2 * (CHUNKS - at[i]) / (SECTIONS - i)) : CHUNKS;
    }
    while (n < CHUNKS) {
        size_t i = draw(SECTIONS), run = 1 + draw(LONGEST_RUN);
        if (run > end[i] - at[i])
            run = end[i] - at[i];
        memcpy(out + n, order + at[i], run * sizeof(*out));
        at[i] += run;
        n += run;
    }
}

/* Several threads read them: within so many entries the order is any. */
static void shuffle(uint64_t *out)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        size_t left = SHUFFLE - i % SHUFFLE, k = i + draw(left < CHUNKS - i ? left : CHUNKS - i);
        uint64_t c = out[i];
        out[i] = out[k];
        out[k] = c;
    }
}

static uint64_t change(void)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < CHUNKS; i++)
        if (draw(100) < CHANGED) {
            order[i] = next_chunk++;
            bytes += size_of(order[i]) + 48;
        }
    return bytes;
}

static void write_set(void)
{
    static uint64_t now[CHUNKS];
    static uint8_t blob[MEAN * 2];
    const uint8_t digest[32] = {0};
    struct pbs_tape t = {.block_size = BLOCK, .block = on_block};
    in_turns(now);
    shuffle(now);
    for (size_t i = 0; i < CHUNKS; i++) {
        if (i % 2500 == 0) {
            if (i)
                pbs_tape_end(&t);
            planner_reset(sim.planner);
            pbs_tape_begin(&t, "contents");
        }
        put_le64(blob, now[i]);
        pbs_tape_chunk(&t, digest, blob, size_of(now[i]));
    }
    pbs_tape_end(&t);
    take(true);
    free(t.buf);
}

/* ---- what came of it ---- */

static uint64_t kept(unsigned first)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sim.n; i++) {
        bool live = sim.seg[i].set >= first;
        for (unsigned s = first; s < SETS; s++)
            live = live || sim.seg[i].leaned[s];
        sum += live ? sim.seg[i].s.size : 0;
    }
    return sum;
}

static void run(unsigned window, unsigned fair)
{
    static const struct planner_ops ops = {find, may_use};
    const struct planner_config c = {((uint64_t)window << 20) / 16, SIGHT, fair, false};
    uint64_t changed = 0, later = 0, unique[SETS] = {0}, since = 0;
    memset(&sim, 0, sizeof(sim));
    rng = 88172645463325252u;
    next_chunk = CHUNKS;
    for (size_t i = 0; i < CHUNKS; i++)
        order[i] = i;
    sim.planner = planner_new(&c, &ops, NULL);
    for (sim.set = 0; sim.set < SETS; sim.set++) {
        if (sim.set) {
            unique[sim.set] = change();
        }
        write_set();
        changed += unique[sim.set];
        later += sim.set ? sim.stored[sim.set] : 0;
        since += sim.set > SETS / 2 ? unique[sim.set] : 0;
    }
    seal_segment();
    printf("window %2u MiB, %2u %%: stored later %6.2f x changed, set 2 %5.2f; kept of all %5.2f, of three %5.2f; "
           "fetched %5.2f\n",
           window, fair, (double)later / (double)changed, (double)sim.stored[1] / (double)unique[1],
           (double)kept(0) / (double)(sim.plain[0] + changed),
           (double)kept(SETS / 2) / (double)(sim.plain[SETS / 2] + since),
           (double)sim.fetched / (double)sim.plain[SETS - 1]);
    planner_free(sim.planner);
}

int main(int argc, char **argv)
{
    static const unsigned windows[] = {16, 32}, answers[] = {5, 10, 20, 30, 50};
    for (int i = 2; i < argc; i++)
        run((unsigned)atoi(argv[1]), (unsigned)atoi(argv[i]));
    for (size_t i = 0; argc < 3 && i < sizeof(windows) / sizeof(windows[0]); i++)
        for (size_t k = 0; k < sizeof(answers) / sizeof(answers[0]); k++)
            run(windows[i], answers[k]);
    return 0;
}
