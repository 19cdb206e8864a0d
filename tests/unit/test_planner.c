/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_planner.c: what a planner says of a block is that block, byte for byte, and it copies only what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "tests/unit/pbs_tape.h"
#include "vtl/dedup/chunk_hash.h"
#include "vtl/dedup/cut_stream.h"
#include "vtl/dedup/planner.h"

enum { MOST_SEGMENTS = 400, MOST_BLOCKS = 40000 };
static const uint8_t content[8] = {1};

/* A tape library without a library: each block's literal area in memory, and the lists of segments. */
struct stored {
    uint8_t *literals;
    uint32_t len;
};

struct model {
    struct planner *p;
    struct planner_config config;
    struct stored block[MOST_BLOCKS]; /* by object */
    uint64_t object;                  /* the next one */
    struct seg_source seg[MOST_SEGMENTS];
    uint64_t first[MOST_SEGMENTS], size, segment_size;
    struct chunk_list *list[MOST_SEGMENTS];
    unsigned n, hidden; /* segments; hidden: that are not found, from this one on */
    uint64_t expected;  /* object of the next block that comes out */
    uint64_t copied, literal, asked, again, again_found;
    size_t blocks_in_pieces, sources_used;
    bool used[MOST_SEGMENTS], refuse_all, hooks_only;
    bool unhelped; /* nobody makes ids, or others do */
    int forbidden; /* a segment that may not be used; -1: none */
    const uint8_t *key;
};

static uint64_t rng;
static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

/* ---- segments ---- */

static void begin_segment(struct model *m, uint64_t object)
{
    assert_true(m->n < MOST_SEGMENTS);
    m->first[m->n] = object;
    m->seg[m->n] = (struct seg_source){.barcode = "MODEL1L8", .id = {3, 7, m->n + 1}, .crc = m->n + 1};
    m->list[m->n] = chunk_list_new(object);
    m->size = 0;
    m->n++;
}

static void seal(struct model *m)
{
    if (m->n)
        m->seg[m->n - 1].size = m->size;
    m->hidden = m->n;
}

static void find(void *arg, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool again, struct chunk_places *out)
{
    struct model *m = arg;
    m->asked++;
    m->again += again;
    if (m->hooks_only && !again && id[0] % 4)
        return;
    for (unsigned i = 0; i < m->hidden; i++) {
        size_t len, at = 0;
        const void *list = chunk_list_bytes(m->list[i], &len);
        struct chunk_entry e;
        int rc;
        while ((rc = chunk_list_next(list, len, &at, &e)) > 0)
            if (e.chunk_length == length && !memcmp(e.id, id, SEG_CHUNK_ID)) {
                assert_int_equal(chunk_places_add(out, &m->seg[i], m->first[i], &e), 0);
                m->again_found += again;
            }
        assert_int_equal(rc, 0);
    }
}

static bool may_use(void *arg, const struct seg_source *s)
{
    struct model *m = arg;
    return !m->refuse_all && (int)s->crc - 1 != m->forbidden;
}

/* ---- what comes out ---- */

/* The block as a reader makes it: of its pieces, each of one record's literal area. */
static void check_pieces(struct model *m, const struct plan *x)
{
    uint32_t at = 0, lit = 0;
    assert_in_range(x->n_pieces, 1, SEG_MAX_PIECES);
    assert_in_range(x->n_sources, 1, SEG_MAX_SOURCES);
    for (size_t i = 0; i < x->n_pieces; i++) {
        const struct seg_piece *c = &x->pieces[i];
        assert_true(c->length && c->length <= x->len - at);
        if (c->source != SEG_LITERAL) {
            assert_true(c->source < x->n_sources);
            const struct seg_source *s = &x->sources[c->source];
            unsigned n = s->crc - 1;
            assert_true(n < m->hidden);
            m->used[n] = true;
            assert_true(c->object >= m->first[n] && (n + 1 == m->n || c->object < m->first[n + 1]));
            const struct stored *from = &m->block[c->object];
            assert_true(c->offset <= from->len && c->length <= from->len - c->offset);
            assert_memory_equal((const uint8_t *)x->data + at, from->literals + c->offset, c->length);
            m->copied += c->length;
        } else {
            lit += c->length;
        }
        at += c->length;
    }
    assert_int_equal(at, x->len);
    assert_int_equal(x->len - lit, x->copied);
    assert_true(x->copied >= 4096);
}

static void store(struct model *m, const struct plan *x)
{
    struct stored *b = &m->block[x->object];
    b->literals = malloc(x->len);
    b->len = 0;
    uint32_t at = 0;
    for (size_t i = 0; i < x->n_pieces; at += x->pieces[i++].length)
        if (x->pieces[i].source == SEG_LITERAL) {
            memcpy(b->literals + b->len, (const uint8_t *)x->data + at, x->pieces[i].length);
            b->len += x->pieces[i].length;
        }
    if (!x->n_pieces) {
        memcpy(b->literals, x->data, x->len);
        b->len = x->len;
    }
    m->literal += b->len;
    for (size_t i = 0; i < x->n_parts; i++)
        assert_true(x->parts[i].length && x->parts[i].offset + x->parts[i].length <= b->len);
    if (!m->n || m->hidden == m->n || m->size + b->len > m->segment_size) {
        if (m->n && m->hidden != m->n)
            m->seg[m->n - 1].size = m->size;
        begin_segment(m, x->object);
    }
    m->size += b->len;
    assert_int_equal(chunk_list_add(m->list[m->n - 1], x->object, x->parts, x->n_parts), 0);
}

static void take(struct model *m, bool drain)
{
    struct plan x;
    while (planner_next(m->p, drain, &x)) {
        assert_int_equal(x.object, m->expected++);
        assert_ptr_equal(x.handle, x.data);
        if (x.n_pieces) {
            m->blocks_in_pieces++;
            check_pieces(m, &x);
        } else {
            assert_int_equal(x.copied, 0);
        }
        store(m, &x);
        free(x.handle);
        planner_pop(m->p);
    }
}

static void push(void *arg, const uint8_t *data, uint32_t len)
{
    struct model *m = arg;
    assert_true(m->object < MOST_BLOCKS);
    uint8_t *b = malloc(len); /* exactly, so that a sanitizer sees a step too far */
    memcpy(b, data, len);
    assert_int_equal(planner_push(m->p, b, m->object++, b, len), 0);
    while (!m->unhelped && planner_help(m->p))
        continue;
    take(m, false);
    if (!m->unhelped)
        assert_true(planner_held(m->p) <= m->config.window + len + 512);
}

/* ---- a datastore, a set of which is written ---- */

static size_t size_of(uint64_t chunk)
{
    return 5000 + (size_t)(chunk * 2654435761u % 90000);
}

static void write_chunks(struct model *m, struct pbs_tape *t, const uint64_t *chunk, size_t n)
{
    const uint8_t digest[32] = {0};
    uint8_t *blob = malloc(100000);
    for (size_t i = 0; i < n; i++) {
        pbs_tape_noise(chunk[i], blob, size_of(chunk[i]));
        pbs_tape_chunk(t, digest, blob, size_of(chunk[i]));
    }
    free(blob);
    (void)m;
}

/* One archive, then a filemark. */
static void write_set(struct model *m, uint32_t block_size, const uint64_t *chunk, size_t n)
{
    struct pbs_tape t = {.block_size = block_size, .block = push, .arg = m};
    pbs_tape_begin(&t, content);
    write_chunks(m, &t, chunk, n);
    pbs_tape_end(&t);
    free(t.buf);
    take(m, true);
    planner_reset(m->p);
    seal(m);
}

static void count_from_here(struct model *m)
{
    m->copied = m->literal = m->asked = m->again = m->again_found = 0;
    m->blocks_in_pieces = 0;
    memset(m->used, 0, sizeof(m->used));
}

static size_t used(const struct model *m)
{
    size_t n = 0;
    for (unsigned i = 0; i < m->n; i++)
        n += m->used[i];
    return n;
}

static uint64_t bytes_of(const uint64_t *chunk, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += size_of(chunk[i]) + 48;
    return sum;
}

static void in_order(uint64_t *chunk, size_t n, uint64_t first)
{
    for (size_t i = 0; i < n; i++)
        chunk[i] = first + i;
}

static int begin(void **state)
{
    static const struct planner_ops ops = {find, may_use};
    struct model *m = calloc(1, sizeof(*m));
    m->config = (struct planner_config){.window = 1 << 20, .sight = 16, .fair = 30};
    m->segment_size = 1 << 20;
    m->forbidden = -1;
    m->p = planner_new(&m->config, &ops, m);
    assert_non_null(m->p);
    rng = 88172645463325252u;
    *state = m;
    return 0;
}

static void write_blocks(struct model *m, const uint8_t *data, size_t n, uint32_t block_size)
{
    for (size_t at = 0; at < n; at += block_size)
        push(m, data + at, n - at < block_size ? (uint32_t)(n - at) : block_size);
    take(m, true);
    planner_reset(m->p);
    seal(m);
}

static int end(void **state)
{
    struct model *m = *state;
    struct plan x;
    while (planner_next(m->p, true, &x)) {
        free(x.handle);
        planner_pop(m->p);
    }
    planner_free(m->p);
    for (unsigned i = 0; i < m->n; i++)
        chunk_list_free(m->list[i]);
    for (size_t i = 0; i < m->object; i++)
        free(m->block[i].literals);
    free(m);
    return 0;
}

/* ---- what it copies ---- */

static void a_second_set_is_copied(void **state)
{
    struct model *m = *state;
    uint64_t chunk[300];
    in_order(chunk, 300, 1);
    write_set(m, 65536, chunk, 300);
    assert_int_equal(m->copied, 0);
    assert_int_equal(m->blocks_in_pieces, 0);
    count_from_here(m);
    /* Other borders: one chunk more at the front. */
    uint64_t again[301] = {1000};
    memcpy(again + 1, chunk, sizeof(chunk));
    write_set(m, 65536, again, 301);
    assert_int_equal(m->copied, bytes_of(chunk, 300));
}

static void only_what_is_new_is_literal(void **state)
{
    struct model *m = *state;
    uint64_t chunk[400];
    in_order(chunk, 400, 1);
    write_set(m, 65536, chunk, 400);
    uint64_t new = 0;
    for (size_t i = 20; i < 400; i += 50) {
        chunk[i] += 10000;
        new += bytes_of(chunk + i, 1);
    }
    count_from_here(m);
    write_set(m, 65536, chunk, 400);
    /* Less than 4 KiB of a block are not copied: the ends of those around. */
    assert_in_range(m->copied, bytes_of(chunk, 400) - new - (8 * 2 * 4096), bytes_of(chunk, 400) - new);
    /* And the third time of both tapes. */
    count_from_here(m);
    write_set(m, 65536, chunk, 400);
    assert_in_range(m->copied, bytes_of(chunk, 400) - new, bytes_of(chunk, 400));
}

/* PBS 4 has four threads that read the chunks. */
static void order_may_differ_a_little(void **state)
{
    struct model *m = *state;
    uint64_t chunk[400];
    in_order(chunk, 400, 1);
    write_set(m, 65536, chunk, 400);
    for (size_t i = 0; i + 11 < 400; i++) {
        size_t k = i + draw(11);
        uint64_t c = chunk[i];
        chunk[i] = chunk[k];
        chunk[k] = c;
    }
    count_from_here(m);
    write_set(m, 65536, chunk, 400);
    assert_true(m->copied * 100 >= bytes_of(chunk, 400) * 98);
}

static void a_segment_of_which_little_is_wanted_is_not_used(void **state)
{
    struct model *m = *state;
    uint64_t chunk[400], few[200];
    in_order(chunk, 400, 1);
    write_set(m, 65536, chunk, 400);
    assert_true(m->n > 15);
    in_order(few, 200, 1000);
    for (size_t i = 0; i < 200; i += 40)
        few[i] = 1 + i; /* one of each of five segments */
    count_from_here(m);
    write_set(m, 65536, few, 200);
    assert_int_equal(m->copied, 0);
    assert_int_equal(used(m), 0);
}

static void a_fair_part_is_enough_and_less_is_not(void **state)
{
    struct model *m = *state;
    uint64_t chunk[60];
    in_order(chunk, 60, 1);
    m->segment_size = 100 << 20; /* one segment */
    m->config.window = 16 << 20;
    write_set(m, 65536, chunk, 60);
    assert_int_equal(m->n, 1);
    size_t fair = 0;
    while (bytes_of(chunk, fair) * 100 < m->seg[0].size * 30)
        fair++;
    for (size_t n = fair - 1; n <= fair; n++) {
        count_from_here(m);
        m->hidden = 1;
        uint64_t part[60];
        memcpy(part, chunk, sizeof(part));
        /* In a planner of its own, which has seen nothing of it. */
        static const struct planner_ops ops = {find, may_use};
        planner_free(m->p);
        m->p = planner_new(&m->config, &ops, m);
        struct pbs_tape t = {.block_size = 65536, .block = push, .arg = m};
        pbs_tape_begin(&t, content);
        write_chunks(m, &t, part, n);
        pbs_tape_end(&t);
        free(t.buf);
        take(m, true);
        assert_int_equal(m->copied, n == fair ? bytes_of(chunk, n) : 0);
    }
}

/* The bytes of the first ones count when the last ones are decided, and once a tape is followed its next segment is
 * expected. */
static void a_sparse_tape_is_followed(void **state)
{
    struct model *m = *state;
    uint64_t sparse[100], chunk[1000];
    m->segment_size = 1 << 18;
    in_order(sparse, 100, 5000);
    write_set(m, 65536, sparse, 100);
    unsigned segments = m->n;
    assert_true(segments >= 15);
    in_order(chunk, 1000, 1);
    for (size_t i = 0; i < 100; i++)
        chunk[i * 10 + 3] = sparse[i];
    count_from_here(m);
    write_set(m, 65536, chunk, 1000);
    assert_true(m->copied * 100 >= bytes_of(sparse, 100) * 90);
}

static void what_may_not_be_used_is_literal(void **state)
{
    struct model *m = *state;
    uint64_t chunk[300];
    in_order(chunk, 300, 1);
    write_set(m, 65536, chunk, 300);
    m->forbidden = 3;
    count_from_here(m);
    write_set(m, 65536, chunk, 300);
    assert_false(m->used[3]);
    assert_true(m->used[2] && m->used[4]);
    /* Chunks that two segments share: what the other one has of them is copied all the same. */
    uint64_t expected = m->seg[3].size - m->seg[3].size / 50;
    assert_in_range(m->literal, expected, m->seg[3].size + 200000);
    /* Since its bytes are literal, they are listed: now they are found there. */
    count_from_here(m);
    m->refuse_all = false;
    write_set(m, 65536, chunk, 300);
    assert_true(m->literal < 200000);
}

static void nothing_is_copied_when_nothing_may_be_used(void **state)
{
    struct model *m = *state;
    uint64_t chunk[300];
    in_order(chunk, 300, 1);
    write_set(m, 65536, chunk, 300);
    m->refuse_all = true;
    count_from_here(m);
    write_set(m, 65536, chunk, 300);
    assert_int_equal(m->copied, 0);
}

/* As when a source turns out to be gone, once a block that copies from it is to be written. */
static void a_source_that_is_refused_is_used_no_more(void **state)
{
    struct model *m = *state;
    uint64_t chunk[60];
    struct plan x;
    in_order(chunk, 60, 1);
    m->config.window = 32 << 20;
    m->segment_size = 100 << 20;
    static const struct planner_ops ops = {find, may_use};
    planner_free(m->p);
    m->p = planner_new(&m->config, &ops, m);
    write_set(m, 65536, chunk, 60);
    count_from_here(m);
    struct pbs_tape t = {.block_size = 65536, .block = push, .arg = m};
    pbs_tape_begin(&t, content);
    write_chunks(m, &t, chunk, 60);
    pbs_tape_end(&t);
    free(t.buf);
    assert_true(planner_next(m->p, true, &x));
    assert_true(x.copied > 0 && x.n_parts == 0);
    struct seg_source s = x.sources[0];
    planner_refuse(m->p, &s);
    uint64_t object = x.object;
    assert_true(planner_next(m->p, true, &x));
    assert_int_equal(x.object, object);
    assert_int_equal(x.copied, 0);
    assert_int_equal(x.n_pieces, 0);
    assert_true(x.n_parts > 0); /* what is literal now is listed */
    take(m, true);
    assert_int_equal(m->copied, 0);
}

/* The index knows a fourth of the chunks by themselves, and all of a segment once one of it was found. */
static void what_is_near_a_chunk_that_is_found_is_found_too(void **state)
{
    struct model *m = *state;
    uint64_t chunk[300];
    in_order(chunk, 300, 1);
    write_set(m, 65536, chunk, 300);
    m->hooks_only = true;
    count_from_here(m);
    write_set(m, 65536, chunk, 300);
    assert_true(m->again_found > 20);
}

/* ---- what it tells in time ---- */

static void blocks_that_are_not_chunks_do_not_wait(void **state)
{
    struct model *m = *state;
    uint8_t noise[65536];
    for (unsigned i = 0; i < 20; i++) {
        pbs_tape_noise(i, noise, sizeof(noise));
        push(m, noise, sizeof(noise));
        assert_int_equal(m->expected, m->object);
        assert_int_equal(planner_held(m->p), 0);
    }
    assert_int_equal(m->asked, 0);
}

static void a_chunk_without_an_end_is_literal_and_not_listed(void **state)
{
    struct model *m = *state;
    uint64_t chunk[3] = {1, 2, 3};
    struct pbs_tape t = {.block_size = 8192, .block = push, .arg = m};
    pbs_tape_begin(&t, content);
    write_chunks(m, &t, chunk, 3);
    take(m, true); /* in the middle of the last one */
    assert_int_equal(planner_held(m->p), 0);
    write_chunks(m, &t, chunk, 1);
    pbs_tape_end(&t);
    free(t.buf);
    take(m, true);
    seal(m);
    size_t len, at = 0, n = 0;
    struct chunk_entry e;
    const void *list = chunk_list_bytes(m->list[0], &len);
    while (chunk_list_next(list, len, &at, &e) > 0)
        n++;
    assert_int_equal(n, 3);
}

/* A chunk that is longer than the window is not waited for. */
static void the_window_is_a_bound(void **state)
{
    struct model *m = *state;
    const uint8_t digest[32] = {0};
    uint8_t *blob = malloc(16 << 20);
    struct pbs_tape t = {.block_size = 65536, .block = push, .arg = m};
    pbs_tape_noise(1, blob, 16 << 20);
    pbs_tape_begin(&t, content);
    pbs_tape_chunk(&t, digest, blob, 16 << 20); /* push looks at what is held */
    pbs_tape_end(&t);
    take(m, true);
    assert_int_equal(m->copied, 0);
    free(t.buf);
    free(blob);
}

/* ---- identity ---- */

static void keys_know_only_their_own(void **state)
{
    struct model *m = *state;
    uint8_t key[2][TAPE_KEY_SIZE] = {{1}, {2}};
    uint64_t chunk[100];
    in_order(chunk, 100, 1);
    assert_int_equal(planner_key(m->p, key[0]), 0);
    write_set(m, 65536, chunk, 100);
    assert_int_equal(planner_key(m->p, key[1]), 0);
    count_from_here(m);
    write_set(m, 65536, chunk, 100);
    assert_int_equal(m->copied, 0);
    assert_int_equal(planner_key(m->p, NULL), 0);
    write_set(m, 65536, chunk, 100);
    assert_int_equal(m->copied, 0);
    assert_int_equal(planner_key(m->p, key[0]), 0);
    write_set(m, 65536, chunk, 100);
    assert_int_equal(m->copied, bytes_of(chunk, 100));
}

static uint64_t began_at; /* object */
static void push_empty(void *arg, const uint8_t *data, uint32_t len)
{
    struct model *m = arg;
    if ((m->object - began_at) % 8 == 0)
        take(m, true);
    push(arg, data, len);
}

static void push_empty_telling(void *arg, const uint8_t *data, uint32_t len)
{
    struct model *m = arg;
    if ((m->object - began_at) % 8 == 0)
        take(m, true);
    if (!planner_held(m->p))
        assert_int_equal(planner_key(m->p, m->key), 0);
    push(arg, data, len);
}

/* Whoever does not know whether the key is another one tells it before each block. */
static void the_same_key_again_forgets_nothing(void **state)
{
    struct model *m = *state;
    uint8_t key[2][TAPE_KEY_SIZE] = {{1}, {2}};
    const uint8_t *const turns[] = {NULL, key[0], key[1], NULL, key[0]};
    struct chunk_hash *h = chunk_hash_new();
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(chunk_hash_key(h, turns[i]), 0);
        for (size_t k = 0; k < 5; k++)
            assert_int_equal(chunk_hash_has(h, turns[k]), turns[i] == turns[k]);
    }
    chunk_hash_free(h);
    uint64_t chunk[100], copied[2];
    in_order(chunk, 100, 1);
    assert_int_equal(planner_key(m->p, key[0]), 0);
    write_set(m, 65536, chunk, 100);
    for (int tells = 0; tells < 2; tells++) {
        struct pbs_tape t = {.block_size = 65536, .block = tells ? push_empty_telling : push_empty, .arg = m};
        m->key = key[0];
        count_from_here(m);
        began_at = m->object;
        pbs_tape_begin(&t, content);
        write_chunks(m, &t, chunk, 100);
        pbs_tape_end(&t);
        free(t.buf);
        take(m, true);
        planner_reset(m->p);
        copied[tells] = m->copied;
    }
    assert_true(copied[0] > bytes_of(chunk, 100) / 10);
    assert_true(copied[1] >= copied[0]);
}

static void the_digest_in_the_stream_is_not_believed(void **state)
{
    struct model *m = *state;
    const uint8_t digest[32] = {7};
    uint8_t *blob = malloc(200000);
    for (unsigned set = 0; set < 2; set++) {
        struct pbs_tape t = {.block_size = 65536, .block = push, .arg = m};
        pbs_tape_begin(&t, content);
        for (unsigned i = 0; i < 10; i++) {
            pbs_tape_noise(100 * set + i, blob, 200000); /* of the same digest and size, and others */
            pbs_tape_chunk(&t, digest, blob, 200000);
        }
        pbs_tape_end(&t);
        free(t.buf);
        take(m, true);
        planner_reset(m->p);
        seal(m);
    }
    assert_int_equal(m->copied, 0);
    free(blob);
}

/* ---- who makes ids ---- */

static void a_chunk_that_nobody_named_is_decided_by_a_drain_alone(void **state)
{
    struct model *m = *state;
    uint64_t chunk[100];
    in_order(chunk, 100, 1);
    write_set(m, 65536, chunk, 100);
    count_from_here(m);
    m->unhelped = true;
    struct pbs_tape t = {.block_size = 65536, .block = push, .arg = m};
    uint64_t first = m->expected;
    pbs_tape_begin(&t, content);
    write_chunks(m, &t, chunk, 100);
    pbs_tape_end(&t);
    free(t.buf);
    assert_true(planner_held(m->p) > 2 * m->config.window); /* far more than is held where somebody helps */
    assert_int_equal(m->expected, first);
    take(m, true);
    assert_int_equal(m->expected, m->object);
    assert_int_equal(m->copied, bytes_of(chunk, 100));
}

struct helper {
    struct planner *p;
    _Atomic bool ends;
    _Atomic unsigned made;
};

static void *help(void *arg)
{
    struct helper *h = arg;
    while (!atomic_load(&h->ends)) {
        if (planner_help(h->p))
            atomic_fetch_add(&h->made, 1);
        else
            sched_yield();
    }
    return NULL;
}

static void helpers_on_other_threads_change_nothing(void **state)
{
    struct model *m = *state;
    struct helper h = {.p = m->p};
    pthread_t thread[3];
    uint8_t key[TAPE_KEY_SIZE] = {3};
    uint64_t chunk[100];
    in_order(chunk, 100, 1);
    m->unhelped = true;
    for (int keyed = 0; keyed < 2; keyed++) {
        assert_int_equal(planner_key(m->p, keyed ? key : NULL), 0);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, help, &h), 0);
        write_set(m, 65536, chunk, 100);
        count_from_here(m);
        write_set(m, 65536, chunk, 100);
        assert_int_equal(m->copied, bytes_of(chunk, 100));
        while (!atomic_load(&h.made) && !keyed) /* one chunk for them alone */
            write_set(m, 65536, chunk, 100);
        atomic_store(&h.ends, true);
        for (int i = 0; i < 3; i++)
            pthread_join(thread[i], NULL);
        atomic_store(&h.ends, false);
    }
}

/* ---- anything ---- */

/* Sets of chunks that were and were not there, in any order, with blocks of any size, cut, interrupted and mixed with
 * what is no stream: take() compares each block with what its pieces name. */
static void write_anything(struct model *m, unsigned round)
{
    static const uint32_t sizes[] = {4096, 5000, 16384, 65536, 262144, 24 + 16};
    struct pbs_tape t = {.block_size = sizes[draw(round % 4 ? 5 : 6)], .block = push, .arg = m};
    uint64_t start = draw(200);
    pbs_tape_begin(&t, content);
    for (uint64_t i = 0, n = t.block_size < 100 ? 1 : 10 + draw(60); i < n; i++) {
        uint64_t chunk = draw(10) ? start + i : draw(400);
        write_chunks(m, &t, &chunk, 1);
        if (!draw(30))
            t.number++; /* a block is missing */
        if (!draw(30))
            take(m, true);
        if (!draw(40))
            planner_reset(m->p);
        if (!draw(40)) {
            uint8_t noise[3000];
            pbs_tape_noise(draw(1000), noise, sizeof(noise));
            push(m, noise, 1 + (uint32_t)draw(sizeof(noise)));
        }
        if (!draw(50))
            m->forbidden = (int)draw(m->n + 1);
    }
    if (draw(5))
        pbs_tape_end(&t);
    free(t.buf);
}

static void pieces_are_the_block_whatever_is_written(void **state)
{
    struct model *m = *state;
    m->segment_size = 400000;
    for (unsigned round = 0; round < 60; round++) {
        write_anything(m, round);
        if (draw(3)) {
            take(m, true);
            planner_reset(m->p);
            seal(m);
        }
    }
    take(m, true);
    assert_int_equal(m->expected, m->object);
    assert_true(m->copied > m->literal / 20);
    assert_true(m->blocks_in_pieces > 100);
}

/* ---- what is not PBS's ---- */

enum { OTHER = 24 << 20 };

/* Of noise, with room before it. */
static uint8_t *other_stream(void)
{
    uint8_t *data = malloc(OTHER + 4096);
    assert_non_null(data);
    pbs_tape_noise(77, data, 4096);
    pbs_tape_noise(78, data + 4096, OTHER);
    return data;
}

static void cut_others(struct model *m, bool cut)
{
    static const struct planner_ops ops = {find, may_use};
    planner_free(m->p);
    m->config.window = 8 << 20;
    m->config.cut = cut;
    m->segment_size = 8 << 20;
    m->p = planner_new(&m->config, &ops, m);
    assert_non_null(m->p);
}

static void with_cut_another_stream_is_copied_wherever_it_begins(void **state)
{
    struct model *m = *state;
    uint8_t *data = other_stream();
    cut_others(m, true);
    write_blocks(m, data + 4096, OTHER, 65536);
    assert_int_equal(m->copied, 0);
    count_from_here(m);
    write_blocks(m, data + 4096 - 1234, OTHER + 1234, 65536);
    assert_true(m->copied >=
                OTHER - 2 * CUT_MAX); /* but for the first chunk, and the last, whose end is the stream's */
    count_from_here(m);
    write_blocks(m, data + 4096, OTHER, 10240); /* as tar's blocks */
    assert_true(m->copied >= OTHER - 2 * CUT_MAX);
    free(data);
}

/* Else its first chunk would begin in the file before it. */
static void behind_filemarks_another_stream_begins(void **state)
{
    struct model *m = *state;
    uint8_t *data = other_stream();
    uint64_t copied[2];
    cut_others(m, true);
    write_blocks(m, data + 4096, OTHER, 65536);
    for (int behind = 0; behind < 2; behind++) {
        count_from_here(m);
        if (behind) {
            push(m, data + OTHER / 2, 10240);
            push(m, data, 0);
        }
        write_blocks(m, data + 4096, OTHER, 65536);
        copied[behind] = m->copied;
    }
    assert_true(copied[0] > 0);
    assert_int_equal(copied[1], copied[0]);
    free(data);
}

static void without_cut_another_stream_is_literal_at_once(void **state)
{
    struct model *m = *state;
    uint8_t *data = other_stream();
    cut_others(m, false);
    for (unsigned i = 0; i < 2; i++) {
        push(m, data, 65536);
        assert_int_equal(planner_held(m->p), 0);
        write_blocks(m, data + 65536, OTHER - 65536, 65536);
    }
    assert_int_equal(m->copied, 0);
    assert_int_equal(m->asked, 0);
    free(data);
}

static void with_cut_pbs_s_chunks_are_found_as_ever(void **state)
{
    struct model *m = *state;
    uint64_t chunk[300];
    uint8_t *data = other_stream();
    cut_others(m, true);
    in_order(chunk, 300, 1);
    write_blocks(m, data, 100000, 65536);
    write_set(m, 65536, chunk, 300);
    count_from_here(m);
    for (size_t at = 0; at < 1 << 20; at += 65536) /* no filemark between them */
        push(m, data + 3000 + at, 65536);
    write_set(m, 65536, chunk, 300);
    assert_int_equal(m->copied, bytes_of(chunk, 300));
    free(data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_second_set_is_copied),
        TEST(only_what_is_new_is_literal),
        TEST(order_may_differ_a_little),
        TEST(a_segment_of_which_little_is_wanted_is_not_used),
        TEST(a_fair_part_is_enough_and_less_is_not),
        TEST(a_sparse_tape_is_followed),
        TEST(what_may_not_be_used_is_literal),
        TEST(nothing_is_copied_when_nothing_may_be_used),
        TEST(a_source_that_is_refused_is_used_no_more),
        TEST(what_is_near_a_chunk_that_is_found_is_found_too),
        TEST(blocks_that_are_not_chunks_do_not_wait),
        TEST(a_chunk_without_an_end_is_literal_and_not_listed),
        TEST(the_window_is_a_bound),
        TEST(keys_know_only_their_own),
        TEST(the_same_key_again_forgets_nothing),
        TEST(the_digest_in_the_stream_is_not_believed),
        TEST(a_chunk_that_nobody_named_is_decided_by_a_drain_alone),
        TEST(helpers_on_other_threads_change_nothing),
        TEST(pieces_are_the_block_whatever_is_written),
        TEST(with_cut_another_stream_is_copied_wherever_it_begins),
        TEST(behind_filemarks_another_stream_begins),
        TEST(without_cut_another_stream_is_literal_at_once),
        TEST(with_cut_pbs_s_chunks_are_found_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
