/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tapeindex.c: the index against a naive model (one byte an object) under random operations, and its edges by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/format/tapeindex.h"

#define MODEL_MAX 4000

struct model {
    uint8_t mark[MODEL_MAX]; /* 1: a filemark */
    uint64_t n;
};

static uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static uint64_t model_file(const struct model *m, uint64_t object)
{
    uint64_t f = 0;
    for (uint64_t i = 0; i < object && i < m->n; i++)
        f += m->mark[i];
    return f;
}

/* ---- the invariants of tapeindex.h ---- */

static void check_invariants(const struct tape_index *x)
{
    uint64_t object = 0, file = 0, sum = 0, end = 0;
    for (size_t i = 0; i < x->n_segs; i++) {
        assert_true(x->segs[i].objects > 0);
        assert_int_equal(x->segs[i].first_object, object);
        assert_int_equal(x->segs[i].first_file, file);
        object += x->segs[i].objects;
        file += x->segs[i].filemarks;
    }
    for (size_t i = 0; i < x->n_fms; i++) {
        assert_true(x->fms[i].count > 0);
        assert_true(!i || x->fms[i].object > end); /* neighbours are merged */
        assert_int_equal(x->fms[i].file, sum);
        sum += x->fms[i].count;
        end = x->fms[i].object + x->fms[i].count;
    }
    assert_int_equal(sum, file);
    assert_true(end <= object);
}

static void check_lookups(const struct tape_index *x, const struct model *m)
{
    assert_int_equal(tape_index_end_object(x), m->n);
    uint64_t files = model_file(m, m->n), fm = 0, start = 0;
    assert_int_equal(tape_index_end_file(x), files);
    uint64_t next = UINT64_MAX, file = files;
    for (uint64_t o = m->n; o-- > 0;) { /* downwards, so that the model's answers come along */
        file -= m->mark[o];
        if (m->mark[o]) {
            next = o;
            assert_true(tape_index_file_start(x, file + 1, &start));
            assert_int_equal(start, o + 1);
        }
        assert_int_equal(tape_index_is_filemark(x, o), m->mark[o]);
        assert_int_equal(tape_index_file_of(x, o), file);
        assert_int_equal(tape_index_next_filemark(x, o, &fm), next != UINT64_MAX);
        assert_true(next == UINT64_MAX || fm == next);
        if (m->mark[o]) {
            assert_true(tape_index_prev_filemark(x, o + 1, &fm));
            assert_int_equal(fm, o);
        } else {
            uint64_t before = 0;
            bool a = tape_index_prev_filemark(x, o + 1, &fm), b = tape_index_prev_filemark(x, o, &before);
            assert_int_equal(a, b);
            assert_true(!a || fm == before);
        }
        size_t i = SIZE_MAX;
        const struct seg_ref *r = tape_index_segment(x, o, &i);
        assert_non_null(r);
        assert_ptr_equal(r, &x->segs[i]);
        assert_true(o >= r->first_object && o < r->first_object + r->objects);
    }
    assert_null(tape_index_segment(x, m->n, NULL));
    assert_false(tape_index_is_filemark(x, m->n));
    assert_false(tape_index_next_filemark(x, m->n, &fm));
    assert_false(tape_index_prev_filemark(x, 0, &fm));
    assert_false(tape_index_file_start(x, files + 1, &start));
    assert_true(tape_index_file_start(x, 0, &start));
    assert_int_equal(start, 0);
    assert_int_equal(tape_index_file_of(x, m->n + 5), files);
}

static void check_runs(const struct tape_index *x, const struct model *m, uint64_t first, uint64_t end)
{
    struct seg_fm_run *runs = NULL;
    size_t n = 0, i = 0;
    assert_int_equal(tape_index_runs(x, first, end, &runs, &n), 0);
    for (uint64_t o = first; o < end && o < m->n;) {
        uint64_t count = 0;
        while (o + count < end && o + count < m->n && m->mark[o + count])
            count++;
        if (count) {
            assert_true(i < n);
            assert_int_equal(runs[i].object, o);
            assert_int_equal(runs[i].count, count);
            i++;
        }
        o += count + 1;
    }
    assert_int_equal(i, n);
    assert_true(n || !runs);
    free(runs);
}

/* ---- random operations ---- */

static void random_append(struct tape_index *x, struct model *m, uint32_t *seed)
{
    struct seg_ref r = {.id = {1, 1, m->n},
                        .first_object = m->n,
                        .first_file = model_file(m, m->n),
                        .objects = 1 + next_random(seed) % 40,
                        .size = 4096};
    struct seg_fm_run fms[40];
    size_t n_fms = 0;
    bool split = next_random(seed) % 2; /* neighbours given one by one must be merged all the same */
    if (m->n + r.objects > MODEL_MAX)
        return;
    for (uint64_t i = 0; i < r.objects; i++) {
        bool mark = next_random(seed) % 3 == 0;
        m->mark[m->n + i] = mark;
        r.filemarks += mark;
        r.plain_bytes += mark ? 0 : 1000;
        if (mark && !split && n_fms && fms[n_fms - 1].object + fms[n_fms - 1].count == m->n + i)
            fms[n_fms - 1].count++;
        else if (mark)
            fms[n_fms++] = (struct seg_fm_run){m->n + i, 1};
    }
    assert_int_equal(tape_index_append(x, &r, fms, n_fms), 0);
    m->n += r.objects;
}

static void random_operation(struct tape_index *x, struct model *m, uint32_t *seed)
{
    uint32_t what = next_random(seed) % 100;
    if (what < 30) {
        random_append(x, m, seed);
    } else if (what < 55 && m->n && m->n < MODEL_MAX) {
        assert_int_equal(tape_index_grow_block(x, 1000), 0);
        m->mark[m->n++] = 0;
    } else if (what < 85 && m->n) {
        uint64_t count = 1 + next_random(seed) % 7;
        if (m->n + count > MODEL_MAX)
            return;
        assert_int_equal(tape_index_grow_filemarks(x, count), 0);
        memset(m->mark + m->n, 1, count);
        m->n += count;
    } else if (m->n) {
        uint64_t back = next_random(seed) % 30,
                 at = what == 99 ? next_random(seed) % m->n : m->n - (back < m->n ? back : m->n);
        tape_index_truncate(x, at);
        m->n = at < m->n ? at : m->n;
    }
}

static void random_operations_follow_the_model(void **state)
{
    (void)state;
    static struct model m;
    for (uint32_t s = 1; s <= 6; s++) {
        uint32_t seed = s * 2654435761u;
        print_message("# seed %u\n", seed);
        struct tape_index x, copy;
        tape_index_init(&x);
        m.n = 0;
        for (int i = 0; i < 400; i++) {
            random_operation(&x, &m, &seed);
            check_invariants(&x);
            if (i % 4 == 0)
                check_lookups(&x, &m);
            uint64_t a = m.n ? next_random(&seed) % m.n : 0;
            check_runs(&x, &m, a, a + next_random(&seed) % 100);
        }
        assert_int_equal(tape_index_copy(&copy, &x), 0);
        check_lookups(&copy, &m);
        uint64_t blocks = m.n - model_file(&m, m.n);
        assert_true(tape_index_plain_bytes(&x) <= blocks * 1000); /* exact but for rounding at each cut */
        assert_true(tape_index_plain_bytes(&x) + 400 >= blocks * 1000);
        tape_index_free(&copy);
        tape_index_free(&x);
    }
}

/* ---- by hand ---- */

static struct seg_ref ref(uint64_t first, uint64_t file, uint64_t objects, uint64_t filemarks)
{
    return (struct seg_ref){.id = {1, 1, first},
                            .first_object = first,
                            .first_file = file,
                            .objects = objects,
                            .filemarks = filemarks,
                            .size = 100,
                            .plain_bytes = (objects - filemarks) * 10};
}

static void append_refuses_what_does_not_join(void **state)
{
    (void)state;
    struct tape_index x;
    tape_index_init(&x);
    struct seg_fm_run two = {3, 2};
    struct seg_ref good = ref(0, 0, 10, 2);
    const struct seg_ref bad[] = {ref(1, 0, 10, 2), ref(0, 1, 10, 2), ref(0, 0, 0, 0),         ref(0, 0, 10, 1),
                                  ref(0, 0, 10, 3), ref(0, 0, 4, 2),  ref(0, 0, UINT64_MAX, 2)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(tape_index_append(&x, &bad[i], &two, 1), -EINVAL);
    struct seg_fm_run disorder[] = {{5, 1}, {3, 1}}, overlap[] = {{3, 1}, {3, 1}}, empty[] = {{3, 2}, {6, 0}};
    assert_int_equal(tape_index_append(&x, &good, disorder, 2), -EINVAL);
    assert_int_equal(tape_index_append(&x, &good, overlap, 2), -EINVAL);
    assert_int_equal(tape_index_append(&x, &good, empty, 2), -EINVAL);
    assert_int_equal(x.n_segs + x.n_fms, 0);
    assert_int_equal(tape_index_append(&x, &good, &two, 1), 0);
    struct seg_ref again = ref(0, 0, 10, 2), next = ref(10, 2, 1, 0);
    assert_int_equal(tape_index_append(&x, &again, &two, 1), -EINVAL);
    assert_int_equal(tape_index_append(&x, &next, NULL, 0), 0);
    check_invariants(&x);
    tape_index_free(&x);
}

static void filemarks_merge_across_segments_and_part_again(void **state)
{
    (void)state;
    struct tape_index x;
    tape_index_init(&x);
    struct seg_ref a = ref(0, 0, 5, 2), b = ref(5, 2, 5, 3);
    assert_int_equal(tape_index_append(&x, &a, &(struct seg_fm_run){3, 2}, 1), 0);
    assert_int_equal(tape_index_append(&x, &b, &(struct seg_fm_run){5, 3}, 1), 0);
    assert_int_equal(x.n_fms, 1);
    assert_int_equal(x.fms[0].count, 5);
    tape_index_truncate(&x, 5);
    assert_int_equal(x.n_segs, 1);
    assert_int_equal(x.fms[0].count, 2);
    check_invariants(&x);
    tape_index_free(&x);
}

static void one_run_may_span_segments(void **state)
{
    (void)state;
    struct tape_index x;
    struct seg_ref segs[] = {ref(7, 1, 3, 1), ref(10, 2, 2, 2), ref(12, 4, 3, 1)};
    struct seg_fm_run span = {9, 4};
    assert_int_equal(tape_index_build(&x, segs, 3, &span, 1), 0);
    assert_int_equal(x.fms[0].file, 1);
    assert_int_equal(tape_index_file_of(&x, 7), 1);
    assert_int_equal(tape_index_file_of(&x, 11), 3);
    tape_index_free(&x);
    span.count = 3;
    assert_int_equal(tape_index_build(&x, segs, 3, &span, 1), -EINVAL);
    tape_index_free(&x);
}

static void slice_begins_anywhere(void **state)
{
    (void)state;
    struct tape_index x, part;
    tape_index_init(&x);
    struct seg_ref a = ref(0, 0, 5, 2), b = ref(5, 2, 5, 3), c = ref(10, 5, 4, 0);
    assert_int_equal(tape_index_append(&x, &a, &(struct seg_fm_run){3, 2}, 1), 0);
    assert_int_equal(tape_index_append(&x, &b, &(struct seg_fm_run){5, 3}, 1), 0);
    assert_int_equal(tape_index_append(&x, &c, NULL, 0), 0);
    assert_int_equal(tape_index_slice(&part, &x, 1, 2), 0);
    assert_int_equal(part.n_segs, 2);
    assert_int_equal(part.n_fms, 1);
    assert_int_equal(part.fms[0].object, 5);
    assert_int_equal(part.fms[0].count, 3);
    assert_int_equal(tape_index_file_of(&part, 5), 2);
    assert_int_equal(tape_index_file_of(&part, 9), 5);
    assert_int_equal(tape_index_end_object(&part), 14);
    assert_null(tape_index_segment(&part, 4, NULL));
    tape_index_free(&part);
    tape_index_free(&x);
}

static void cut_estimates_bytes_by_blocks(void **state)
{
    (void)state;
    struct tape_index x;
    tape_index_init(&x);
    struct seg_ref a = ref(0, 0, 12, 2);
    a.plain_bytes = 10 * 8000000000ull;
    assert_int_equal(tape_index_append(&x, &a, &(struct seg_fm_run){0, 2}, 1), 0);
    tape_index_truncate(&x, 7);
    assert_int_equal(x.segs[0].plain_bytes, 5 * 8000000000ull);
    assert_int_equal(x.segs[0].size, 100);
    tape_index_truncate(&x, 2);
    assert_int_equal(x.segs[0].plain_bytes, 0);
    tape_index_truncate(&x, 0);
    assert_int_equal(x.n_segs + x.n_fms, 0);
    tape_index_free(&x);
}

static void empty_index_has_nothing(void **state)
{
    (void)state;
    struct tape_index x;
    uint64_t v = 77;
    tape_index_init(&x);
    assert_int_equal(tape_index_end_object(&x), 0);
    assert_null(tape_index_segment(&x, 0, NULL));
    assert_int_equal(tape_index_file_of(&x, 9), 0);
    assert_false(tape_index_next_filemark(&x, 0, &v));
    assert_false(tape_index_prev_filemark(&x, 9, &v));
    assert_int_equal(tape_index_grow_block(&x, 1), -EINVAL);
    assert_int_equal(tape_index_grow_filemarks(&x, 1), -EINVAL);
    tape_index_truncate(&x, 0);
    tape_index_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_follow_the_model),
        cmocka_unit_test(append_refuses_what_does_not_join),
        cmocka_unit_test(filemarks_merge_across_segments_and_part_again),
        cmocka_unit_test(one_run_may_span_segments),
        cmocka_unit_test(slice_begins_anywhere),
        cmocka_unit_test(cut_estimates_bytes_by_blocks),
        cmocka_unit_test(empty_index_has_nothing),
    };
    return cmocka_run_group_tests_name("tapeindex", tests, NULL, NULL);
}
