/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_cut_stream.c: a stream is cut where its content says, whatever blocks it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/pbs_tape.h"
#include "vtl/dedup/cut_stream.h"

enum { BYTES = 32 << 20, MOST = 1000 };

struct seen {
    struct cut_stream s;
    const uint8_t *data; /* of the block */
    bool open;
    uint64_t at;           /* bytes told of, in all */
    uint64_t begun;        /* where the open chunk began */
    uint64_t border[MOST]; /* ends of chunks */
    unsigned n, abandoned;
    uint32_t shortest, longest;
};

static void on_begin(void *arg)
{
    struct seen *x = arg;
    assert_false(x->open);
    x->open = true;
    x->begun = x->at;
}

static void on_bytes(void *arg, uint32_t offset, const uint8_t *p, uint32_t len)
{
    struct seen *x = arg;
    assert_true(x->open && len);
    assert_ptr_equal(p, x->data + offset);
    x->at += len;
}

static void on_end(void *arg)
{
    struct seen *x = arg;
    uint32_t length = (uint32_t)(x->at - x->begun);
    assert_true(x->open && x->n < MOST);
    x->open = false;
    x->border[x->n++] = x->at;
    x->shortest = length < x->shortest ? length : x->shortest;
    x->longest = length > x->longest ? length : x->longest;
}

static void on_abandon(void *arg)
{
    struct seen *x = arg;
    assert_true(x->open);
    x->open = false;
    x->abandoned++;
}

static void begin(struct seen *x)
{
    static const struct chunk_events events = {on_begin, on_bytes, on_end, on_abandon};
    memset(x, 0, sizeof(*x));
    x->shortest = UINT32_MAX;
    cut_stream_init(&x->s, &events, x);
}

static void feed(struct seen *x, const uint8_t *data, size_t n, uint32_t block)
{
    for (size_t at = 0; at < n; at += block) {
        x->data = data + at;
        cut_stream_block(&x->s, x->data, n - at < block ? (uint32_t)(n - at) : block);
    }
}

static uint8_t *noise(void)
{
    uint8_t *data = malloc(BYTES);
    assert_non_null(data);
    pbs_tape_noise(5, data, BYTES);
    return data;
}

static void chunks_are_of_the_lengths_that_are_meant(void **state)
{
    (void)state;
    static struct seen x;
    uint8_t *data = noise();
    begin(&x);
    feed(&x, data, BYTES, 262144);
    assert_int_equal(x.at, BYTES);
    assert_true(x.shortest > CUT_MIN && x.longest <= CUT_MAX);
    assert_in_range(BYTES / x.n, (1u << CUT_MEAN_BITS) * 3 / 4, (1u << CUT_MEAN_BITS) * 3 / 2);
    free(data);
}

static void what_has_no_border_is_cut_at_the_most(void **state)
{
    (void)state;
    static struct seen x;
    uint8_t *data = calloc(1, BYTES);
    assert_non_null(data);
    begin(&x);
    feed(&x, data, BYTES, 65536);
    assert_int_equal(x.n, BYTES / CUT_MAX);
    assert_int_equal(x.shortest, CUT_MAX);
    free(data);
}

static void borders_do_not_depend_on_the_blocks(void **state)
{
    (void)state;
    static const uint32_t blocks[] = {1000, 10240, 65536, 1 << 20};
    static struct seen x, y;
    uint8_t *data = noise();
    begin(&x);
    feed(&x, data, BYTES, 262144);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        begin(&y);
        feed(&y, data, BYTES, blocks[i]);
        assert_int_equal(y.n, x.n);
        assert_memory_equal(y.border, x.border, x.n * sizeof(x.border[0]));
    }
    free(data);
}

static void content_that_moved_is_cut_in_the_same_places(void **state)
{
    (void)state;
    static struct seen x, y;
    uint8_t *data = noise();
    const size_t moved = 777777;
    begin(&x);
    feed(&x, data, BYTES, 262144);
    begin(&y);
    feed(&y, data + moved, BYTES - moved, 65536);
    unsigned same = 0;
    for (unsigned i = 0, k = 0; i < x.n && k < y.n;) {
        uint64_t a = x.border[i], b = y.border[k] + moved;
        same += a == b;
        i += a <= b;
        k += b <= a;
    }
    assert_true(same + 8 >= y.n);
    free(data);
}

static void a_reset_abandons_what_is_open_and_begins_anew(void **state)
{
    (void)state;
    static struct seen x;
    uint8_t *data = noise();
    begin(&x);
    feed(&x, data, 50000, 10000);
    cut_stream_reset(&x.s);
    assert_int_equal(x.abandoned, 1);
    cut_stream_reset(&x.s);
    assert_int_equal(x.abandoned, 1);
    x.at = 0;
    feed(&x, data, BYTES, 262144);
    uint64_t first = x.border[0];
    begin(&x);
    feed(&x, data, BYTES, 262144);
    assert_int_equal(x.border[0], first);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_of_the_lengths_that_are_meant),
        cmocka_unit_test(what_has_no_border_is_cut_at_the_most),
        cmocka_unit_test(borders_do_not_depend_on_the_blocks),
        cmocka_unit_test(content_that_moved_is_cut_in_the_same_places),
        cmocka_unit_test(a_reset_abandons_what_is_open_and_begins_anew),
    };
    return cmocka_run_group_tests_name("cut_stream", tests, NULL, NULL);
}
