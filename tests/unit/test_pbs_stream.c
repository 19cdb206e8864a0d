/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_pbs_stream.c: the chunks in what Proxmox Backup Server writes are seen, whole, and nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/pbs_tape.h"
#include "vtl/dedup/pbs_stream.h"

#define ROOM (40u << 20)
static const uint8_t digest[32] = {1, 2, 3};
/* Of chunk archives, of snapshots, and of nothing known. */
static const uint8_t chunks_1_1[8] = {0x6D, 0x31, 0x63, 0x6D, 0xD7, 0x02, 0x83, 0xBF};
static const uint8_t unknown[8] = {9, 9, 9, 9, 9, 9, 9, 9};

/* What was told: of each whole chunk its length, and all their bytes. */
struct seen {
    struct pbs_stream s;
    struct pbs_tape t;
    uint8_t *bytes;
    size_t len, begun;
    size_t length[100], n, abandoned;
    const uint8_t *data;
    bool open;
    int skip; /* the block of this number does not come; -1: all come */
};

static void on_begin(void *arg)
{
    struct seen *x = arg;
    assert_false(x->open);
    x->open = true;
    x->begun = x->len;
}

static void on_bytes(void *arg, uint32_t offset, const uint8_t *p, uint32_t len)
{
    struct seen *x = arg;
    assert_true(x->open && len);
    assert_ptr_equal(p, x->data + offset);
    assert_true(x->len + len <= ROOM);
    memcpy(x->bytes + x->len, p, len);
    x->len += len;
}

static void on_end(void *arg)
{
    struct seen *x = arg;
    assert_true(x->open);
    x->open = false;
    x->length[x->n++] = x->len - x->begun;
}

static void on_abandon(void *arg)
{
    struct seen *x = arg;
    assert_true(x->open);
    x->open = false;
    x->len = x->begun;
    x->abandoned++;
}

static void on_block(void *arg, const uint8_t *data, uint32_t len)
{
    struct seen *x = arg;
    if (x->skip >= 0 && get_le32(data + 12) == (uint32_t)x->skip)
        return;
    x->data = data;
    pbs_stream_block(&x->s, data, len);
}

static int begin(void **state)
{
    static const struct chunk_events events = {on_begin, on_bytes, on_end, on_abandon};
    struct seen *x = calloc(1, sizeof(*x));
    x->bytes = malloc(ROOM);
    x->t = (struct pbs_tape){.block_size = 262144, .block = on_block, .arg = x};
    x->skip = -1;
    pbs_stream_init(&x->s, &events, x);
    *state = x;
    return 0;
}

static int end(void **state)
{
    struct seen *x = *state;
    free(x->t.buf);
    free(x->bytes);
    free(x);
    return 0;
}

static void put_chunk(struct seen *x, uint64_t number, uint64_t size)
{
    uint8_t *blob = malloc(size + 8);
    pbs_tape_noise(number, blob, size);
    pbs_tape_chunk(&x->t, digest, blob, size);
    free(blob);
}

static void assert_chunk(const struct seen *x, size_t i, uint64_t number, uint64_t size)
{
    size_t at = 0;
    assert_true(i < x->n);
    for (size_t k = 0; k < i; k++)
        at += x->length[k];
    assert_int_equal(x->length[i], PBS_ENTRY_HEAD + size);
    uint8_t *blob = malloc(size + 8);
    pbs_tape_noise(number, blob, size);
    assert_memory_equal(x->bytes + at + PBS_ENTRY_HEAD, blob, size);
    assert_memory_equal(x->bytes + at + 8, digest, sizeof(digest));
    free(blob);
}

static void chunks_are_seen_wherever_they_begin(void **state)
{
    struct seen *x = *state;
    static const uint64_t sizes[] = {5000, 1500000, 262128, 262128 - 48, 6200000, 4 << 20, 1, 70000, 262127, 16 << 20};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    pbs_tape_begin(&x->t, chunks_1_1);
    for (size_t i = 0; i < N; i++)
        put_chunk(x, i, sizes[i]);
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, N - 1); /* one is too small */
    for (size_t i = 0, k = 0; i < N; i++)
        if (sizes[i] > 1)
            assert_chunk(x, k++, i, sizes[i]);
}

/* A head is cut by the end of a block at each of its bytes. */
static void a_head_may_be_cut_anywhere(void **state)
{
    struct seen *x = *state;
    x->t.block_size = 8192;
    for (uint32_t before = 0; before <= 48; before++) {
        uint64_t first = 8176 - 48 - 16 - 48 - before; /* what precedes: header, JSON, a head */
        x->n = x->len = 0;
        pbs_tape_begin(&x->t, chunks_1_1);
        put_chunk(x, 1, first);
        put_chunk(x, 2, 20000);
        pbs_tape_end(&x->t);
        assert_int_equal(x->n, 2);
        assert_chunk(x, 0, 1, first);
        assert_chunk(x, 1, 2, 20000);
    }
}

static void the_name_of_the_content_does_not_matter(void **state)
{
    struct seen *x = *state;
    pbs_tape_begin(&x->t, unknown);
    put_chunk(x, 1, 50000);
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, 1);
}

static void content_without_entries_has_no_chunks(void **state)
{
    struct seen *x = *state;
    uint8_t noise[100000];
    pbs_tape_noise(1, noise, sizeof(noise));
    pbs_tape_begin(&x->t, chunks_1_1);
    pbs_tape_bytes(&x->t, noise, sizeof(noise));
    put_chunk(x, 2, 50000); /* not at a place where one must be */
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, 0);
    assert_false(x->open);
}

static void sizes_are_not_believed(void **state)
{
    struct seen *x = *state;
    static const uint64_t bad[] = {PBS_MAX_CHUNK - PBS_ENTRY_HEAD + 1, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63};
    uint8_t noise[5000];
    pbs_tape_noise(1, noise, sizeof(noise));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t head[48] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};
        put_le64(head + 40, bad[i]);
        pbs_tape_begin(&x->t, chunks_1_1);
        pbs_tape_bytes(&x->t, head, sizeof(head));
        pbs_tape_bytes(&x->t, noise, sizeof(noise));
        put_chunk(x, 2, 50000);
        pbs_tape_end(&x->t);
        assert_int_equal(x->n, 0);
        assert_int_equal(x->abandoned, i + 1);
    }
}

static void the_end_of_a_file_ends_its_last_chunk(void **state)
{
    struct seen *x = *state;
    pbs_tape_begin(&x->t, chunks_1_1);
    put_chunk(x, 1, 400000);
    put_chunk(x, 2, 400000);
    x->t.used = 0; /* its end does not come: the medium is full */
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, 1);
    assert_int_equal(x->abandoned, 1);
    /* And nothing of it goes on in the next one. */
    pbs_tape_begin(&x->t, chunks_1_1);
    put_chunk(x, 3, 300000);
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, 2);
    assert_chunk(x, 1, 3, 300000);
}

static void a_block_that_is_missing_ends_it_until_the_next_file(void **state)
{
    struct seen *x = *state;
    x->skip = 4;
    pbs_tape_begin(&x->t, chunks_1_1);
    for (uint64_t i = 0; i < 10; i++)
        put_chunk(x, i, 400000);
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, 2);
    pbs_tape_begin(&x->t, chunks_1_1);
    put_chunk(x, 20, 300000);
    pbs_tape_end(&x->t);
    assert_int_equal(x->n, 3);
    assert_chunk(x, 2, 20, 300000);
}

static void a_filemark_or_another_place_ends_it(void **state)
{
    struct seen *x = *state;
    pbs_tape_begin(&x->t, chunks_1_1);
    put_chunk(x, 1, 400000);
    put_chunk(x, 2, 400000);
    assert_true(x->open);
    pbs_stream_reset(&x->s);
    assert_false(x->open);
    put_chunk(x, 3, 900000); /* goes on at its number, but not in this file */
    assert_int_equal(x->n, 1);
    assert_int_equal(x->abandoned, 1);
}

static void blocks_that_are_none_of_it_cost_nothing(void **state)
{
    struct seen *x = *state;
    static uint8_t b[1024];
    for (uint32_t len = 0; len < 40; len++)
        pbs_stream_block(&x->s, b, len);
    pbs_tape_noise(7, b, sizeof(b));
    pbs_stream_block(&x->s, b, sizeof(b));
    /* A payload that ends behind the block. */
    pbs_tape_begin(&x->t, chunks_1_1);
    memcpy(b, (const uint8_t[]){0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28}, 8);
    put_le32(b + 8, (sizeof(b) - 15) << 8);
    put_le32(b + 12, 0);
    pbs_stream_block(&x->s, b, sizeof(b));
    assert_int_equal(x->s.state, PBS_LOST);
    assert_int_equal(x->n + x->abandoned, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(chunks_are_seen_wherever_they_begin),
        TEST(a_head_may_be_cut_anywhere),
        TEST(the_name_of_the_content_does_not_matter),
        TEST(content_without_entries_has_no_chunks),
        TEST(sizes_are_not_believed),
        TEST(the_end_of_a_file_ends_its_last_chunk),
        TEST(a_block_that_is_missing_ends_it_until_the_next_file),
        TEST(a_filemark_or_another_place_ends_it),
        TEST(blocks_that_are_none_of_it_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
