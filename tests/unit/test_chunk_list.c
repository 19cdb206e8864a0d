/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_chunk_list.c: the list of a segment's chunks: what is added is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "vtl/format/chunk_list.h"

static struct seg_chunk_part part(uint8_t id, uint32_t chunk_length, uint32_t from, uint32_t offset, uint32_t length)
{
    struct seg_chunk_part p = {.chunk_length = chunk_length, .from = from, .offset = offset, .length = length};
    memset(p.id, id, sizeof(p.id));
    return p;
}

static void add(struct chunk_list *l, uint64_t object, struct seg_chunk_part p)
{
    assert_int_equal(chunk_list_add(l, object, &p, 1), 0);
}

static void assert_run(const struct chunk_entry *e, uint32_t i, struct chunk_run want)
{
    struct chunk_run r;
    chunk_entry_run(e, i, 100, &r);
    assert_int_equal(r.object, want.object);
    assert_int_equal(r.count, want.count);
    assert_int_equal(r.offset, want.offset);
    assert_int_equal(r.length, want.length);
}

/* As PBS writes: the end of a block, many whole ones, the beginning of one. */
static void a_chunk_over_many_blocks_is_one_entry_of_three_runs(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(100);
    struct chunk_entry e;
    size_t len, at = 0;
    add(l, 107, part(1, 20000, 0, 5000, 1000));
    for (uint64_t o = 108; o < 112; o++)
        add(l, o, part(1, 20000, 1000 + (uint32_t)(o - 108) * 4000, 16, 4000));
    add(l, 112, part(1, 20000, 17000, 16, 3000));
    add(l, 112, part(2, 5000, 0, 3016, 5000));
    const void *list = chunk_list_bytes(l, &len);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
    assert_int_equal(e.id[31], 1);
    assert_int_equal(e.chunk_length, 20000);
    assert_int_equal(e.from, 0);
    assert_int_equal(e.length, 20000);
    assert_int_equal(e.n_runs, 3);
    assert_run(&e, 0, (struct chunk_run){107, 1, 5000, 1000});
    assert_run(&e, 1, (struct chunk_run){108, 4, 16, 4000});
    assert_run(&e, 2, (struct chunk_run){112, 1, 16, 3000});
    assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
    assert_int_equal(e.id[0], 2);
    assert_int_equal(e.length, 5000);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 0);
    chunk_list_free(l);
}

static void parts_with_a_gap_are_two_entries(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(100);
    struct chunk_entry e;
    size_t len, at = 0;
    add(l, 100, part(1, 30000, 0, 0, 5000));
    add(l, 101, part(1, 30000, 9000, 0, 6000)); /* what is between them was copied */
    const void *list = chunk_list_bytes(l, &len);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
    assert_int_equal(e.length, 5000);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
    assert_int_equal(e.from, 9000);
    assert_int_equal(e.length, 6000);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 0);
    chunk_list_free(l);
}

static void a_short_part_is_not_listed_but_a_short_chunk_is(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(0);
    struct chunk_entry e;
    size_t len, at = 0;
    add(l, 0, part(1, 30000, 29000, 0, 1000));
    add(l, 0, part(2, 900, 0, 1000, 900));
    add(l, 1, part(3, 30000, 0, 0, CHUNK_MIN_PART - 1));
    const void *list = chunk_list_bytes(l, &len);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
    assert_int_equal(e.id[0], 2);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 0);
    chunk_list_free(l);
}

static void what_is_not_possible_is_not_added(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(10);
    size_t len;
    const struct seg_chunk_part bad[] = {
        part(1, 5000, 0, 0, 0),
        part(1, 5000, 5000, 0, 1),
        part(1, 5000, 1, 0, 5000),
        part(1, CHUNK_MAX_LENGTH + 1, 0, 0, 5000),
        part(1, CHUNK_MAX_LENGTH, 0, 1, TAPE_MAX_BLOCK),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(chunk_list_add(l, 10, &bad[i], 1), -EINVAL);
    const struct seg_chunk_part good = part(1, 5000, 0, 0, 5000);
    assert_int_equal(chunk_list_add(l, 9, &good, 1), -EINVAL);
    assert_int_equal(chunk_list_add(l, 10 + UINT64_C(1) + UINT32_MAX, &good, 1), -EINVAL);
    (void)chunk_list_bytes(l, &len);
    assert_int_equal(len, 0);
    assert_int_equal(chunk_list_add(l, 10 + UINT64_C(0) + UINT32_MAX, &good, 1), 0);
    chunk_list_free(l);
}

/* The list goes on being read at each length, and never beyond. */
static void a_list_that_is_cut_is_none(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(0);
    size_t len;
    add(l, 0, part(1, 9000, 0, 0, 5000));
    add(l, 3, part(1, 9000, 5000, 0, 4000));
    const uint8_t *list = chunk_list_bytes(l, &len);
    for (size_t n = 1; n < len; n++) {
        struct chunk_entry e;
        size_t at = 0;
        uint8_t *cut = malloc(n);
        memcpy(cut, list, n);
        assert_int_equal(chunk_list_next(cut, n, &at, &e), -EBADMSG);
        free(cut);
    }
    chunk_list_free(l);
}

static void runs_that_are_not_possible_are_found(void **state)
{
    (void)state;
    /* Where in an entry of one run, and what is written there. */
    static const struct {
        size_t at;
        uint32_t value;
    } bad[] = {
        {32, CHUNK_MAX_LENGTH + 1}, {36, 9000}, {36, 1},         {40, 0}, {40, 2}, {44, UINT32_MAX}, {48, 0}, {48, 3},
        {52, TAPE_MAX_BLOCK},       {56, 0},    {56, UINT32_MAX}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct chunk_list *l = chunk_list_new(0);
        struct chunk_entry e;
        uint8_t b[60];
        size_t len, at = 0;
        add(l, 0, part(1, 9000, 0, 0, 4500));
        add(l, 1, part(1, 9000, 4500, 0, 4500));
        const void *list = chunk_list_bytes(l, &len);
        assert_int_equal(len, sizeof(b));
        memcpy(b, list, len);
        assert_int_equal(chunk_list_next(b, len, &at, &e), 1);
        put_le32(b + bad[i].at, bad[i].value);
        at = 0;
        assert_int_equal(chunk_list_next(b, len, &at, &e), -EBADMSG);
        chunk_list_free(l);
    }
}

static void a_list_has_a_bound(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(0);
    size_t len, at = 0;
    int rc = 0;
    uint64_t n = 0;
    struct chunk_entry e;
    for (; !rc; n++) {
        const struct seg_chunk_part p = part((uint8_t)n, 5000, 0, 0, 5000);
        rc = chunk_list_add(l, n, &p, 1);
    }
    assert_int_equal(rc, -EFBIG);
    const void *list = chunk_list_bytes(l, &len);
    assert_in_range(len, CHUNK_LIST_MAX - 100, CHUNK_LIST_MAX);
    while ((rc = chunk_list_next(list, len, &at, &e)) > 0)
        n--;
    assert_int_equal(rc, 0);
    assert_int_equal(n, 1);
    assert_int_equal(chunk_list_count(l), CHUNK_LIST_MAX / 60);
    chunk_list_free(l);
}

/* A chunk in more pieces than an entry may have is several parts. */
static void a_chunk_of_many_runs_is_several_entries(void **state)
{
    (void)state;
    struct chunk_list *l = chunk_list_new(0);
    struct chunk_entry e;
    size_t len, at = 0;
    uint32_t from = 0;
    for (uint64_t o = 0; o < 2 * CHUNK_MAX_RUNS; o++, from += 100)
        add(l, 2 * o, part(1, 200 * CHUNK_MAX_RUNS, from, 0, 100));
    const void *list = chunk_list_bytes(l, &len);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
        assert_int_equal(e.from, i * 100 * CHUNK_MAX_RUNS);
        assert_int_equal(e.n_runs, CHUNK_MAX_RUNS);
    }
    assert_int_equal(chunk_list_next(list, len, &at, &e), 0);
    chunk_list_free(l);
}

static void the_longest_places_are_kept(void **state)
{
    (void)state;
    struct chunk_places p = {0};
    for (uint32_t i = 0; i < 2 * CHUNK_MAX_PLACES; i++) {
        struct chunk_list *l = chunk_list_new(0);
        struct chunk_entry e;
        const struct seg_source s = {.crc = i + 1};
        size_t len, at = 0;
        uint32_t n = i == 2 ? 100000 : 5000 + i;
        add(l, i, part(1, 100000, 0, 0, n));
        const void *list = chunk_list_bytes(l, &len);
        assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
        assert_int_equal(chunk_places_add(&p, &s, 7, &e), 0);
        chunk_list_free(l);
    }
    assert_int_equal(p.n, CHUNK_MAX_PLACES);
    for (unsigned i = 0; i < p.n; i++) {
        const struct chunk_place *x = &p.place[i];
        assert_true(x->source.crc == 3 || x->source.crc > CHUNK_MAX_PLACES + 1);
        assert_int_equal(p.runs[x->run].object, 7 + x->source.crc - 1);
        assert_int_equal(p.runs[x->run].length, x->length);
    }
    assert_true(chunk_places_cover(&p, 100000));
    assert_false(chunk_places_cover(&p, 100001));
    chunk_places_free(&p);
}

/* A list that names one chunk over and over, each time with more of it. */
static void places_that_are_taken_leave_no_runs(void **state)
{
    (void)state;
    struct chunk_places p = {0};
    for (uint32_t i = 1; i <= 1000; i++) {
        struct chunk_list *l = chunk_list_new(0);
        struct chunk_entry e;
        const struct seg_source s = {.crc = i};
        size_t len, at = 0;
        add(l, 0, part(1, 100000, 0, 0, 5000));
        add(l, 2, part(1, 100000, 5000, 0, i)); /* another run */
        const void *list = chunk_list_bytes(l, &len);
        assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
        assert_int_equal(chunk_places_add(&p, &s, 7, &e), 0);
        chunk_list_free(l);
    }
    assert_int_equal(p.n, CHUNK_MAX_PLACES);
    assert_int_equal(p.n_runs, 2 * CHUNK_MAX_PLACES);
    for (unsigned i = 0; i < p.n; i++) {
        const struct chunk_place *x = &p.place[i];
        assert_true(x->source.crc > 1000 - CHUNK_MAX_PLACES);
        assert_int_equal(x->n_runs, 2);
        assert_int_equal(p.runs[x->run].length, 5000);
        assert_int_equal(p.runs[x->run + 1].length, x->source.crc);
    }
    chunk_places_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_over_many_blocks_is_one_entry_of_three_runs),
        cmocka_unit_test(parts_with_a_gap_are_two_entries),
        cmocka_unit_test(a_short_part_is_not_listed_but_a_short_chunk_is),
        cmocka_unit_test(what_is_not_possible_is_not_added),
        cmocka_unit_test(a_list_that_is_cut_is_none),
        cmocka_unit_test(runs_that_are_not_possible_are_found),
        cmocka_unit_test(a_list_has_a_bound),
        cmocka_unit_test(a_chunk_of_many_runs_is_several_entries),
        cmocka_unit_test(the_longest_places_are_kept),
        cmocka_unit_test(places_that_are_taken_leave_no_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
