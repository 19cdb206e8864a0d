/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_map.c: maps: what is encoded is appended again, and nothing else gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/head.h"

static const uint8_t cartridge[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const struct seg_id map_id = {4, 0xabcdef01, 2};

/* n segments of 10 objects each; the last two objects of each are filemarks, and in every third the first one too. */
static void make_index(struct tape_index *x, size_t n)
{
    tape_index_init(x);
    for (size_t i = 0; i < n; i++) {
        uint64_t first = i * 10;
        bool third = i % 3 == 0;
        struct seg_ref r = {.id = {3, 0xabcdef01, i},
                            .first_object = first,
                            .first_file = tape_index_end_file(x),
                            .objects = 10,
                            .filemarks = third ? 3 : 2,
                            .size = 1000 + i,
                            .plain_bytes = 700 + i,
                            .crc = (uint32_t)i * 2654435761u};
        struct seg_fm_run fms[] = {{first, 1}, {first + 8, 2}};
        assert_int_equal(tape_index_append(x, &r, third ? fms : fms + 1, third ? 2 : 1), 0);
    }
}

static void assert_same_index(const struct tape_index *a, const struct tape_index *b)
{
    assert_int_equal(a->n_segs, b->n_segs);
    assert_int_equal(a->n_fms, b->n_fms);
    for (size_t i = 0; i < a->n_segs; i++) {
        const struct seg_ref *r = &a->segs[i], *s = &b->segs[i];
        assert_int_equal(seg_id_compare(&r->id, &s->id), 0);
        assert_int_equal(r->first_object, s->first_object);
        assert_int_equal(r->first_file, s->first_file);
        assert_int_equal(r->objects, s->objects);
        assert_int_equal(r->filemarks, s->filemarks);
        assert_int_equal(r->size, s->size);
        assert_int_equal(r->plain_bytes, s->plain_bytes);
        assert_int_equal(r->crc, s->crc);
    }
    for (size_t i = 0; i < a->n_fms; i++)
        assert_memory_equal(&a->fms[i], &b->fms[i], sizeof(a->fms[i]));
}

static void maps_join_to_the_whole_index(void **state)
{
    (void)state;
    struct tape_index x, back;
    make_index(&x, 100);
    tape_index_init(&back);
    const size_t cuts[] = {0, 1, 31, 99, 100};
    for (size_t i = 0; i + 1 < 5; i++) {
        void *buf;
        size_t len;
        struct errtext err = {""};
        assert_int_equal(map_encode(cartridge, &map_id, &x, cuts[i], cuts[i + 1] - cuts[i], &buf, &len), 0);
        assert_int_equal(map_decode(buf, len, cartridge, &back, &err), 0);
        free(buf);
    }
    assert_same_index(&x, &back);
    tape_index_free(&x);
    tape_index_free(&back);
}

static void thousands_of_filemarks(void **state)
{
    (void)state;
    struct tape_index x, back;
    void *buf;
    size_t len;
    make_index(&x, 3000);
    tape_index_init(&back);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 3000, &buf, &len), 0);
    assert_int_equal(map_decode(buf, len, cartridge, &back, NULL), 0);
    assert_same_index(&x, &back);
    assert_true(x.n_fms >= 3000);
    free(buf);
    tape_index_free(&x);
    tape_index_free(&back);
}

static void map_must_join_to_the_end(void **state)
{
    (void)state;
    struct tape_index x, back;
    void *buf;
    size_t len;
    make_index(&x, 10);
    tape_index_init(&back);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 3, 2, &buf, &len), 0);
    struct errtext err = {""};
    assert_int_equal(map_decode(buf, len, cartridge, &back, &err), -EBADMSG);
    assert_int_equal(back.n_segs + back.n_fms, 0);
    assert_true(err.text[0]);
    free(buf);
    tape_index_free(&x);
    tape_index_free(&back);
}

static void impossible_maps_are_not_encoded(void **state)
{
    (void)state;
    struct tape_index x;
    void *buf;
    size_t len;
    make_index(&x, 10);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 0, &buf, &len), -EINVAL);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 5, 6, &buf, &len), -EINVAL);
    assert_int_equal(map_encode(cartridge, &map_id, &x, SIZE_MAX, 2, &buf, &len), -EINVAL);
    x.segs[9].size = 0; /* open */
    assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 10, &buf, &len), -EINVAL);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 9, &buf, &len), 0);
    free(buf);
    tape_index_free(&x);
}

/* ---- damage ---- */

static void refuse_as(const void *buf, size_t len, int want)
{
    struct tape_index x;
    struct errtext err = {""};
    tape_index_init(&x);
    assert_int_equal(map_decode(buf, len, cartridge, &x, &err), want);
    assert_int_equal(x.n_segs + x.n_fms, 0);
    assert_true(err.text[0]);
    tape_index_free(&x);
}

static void refuse(const void *buf, size_t len)
{
    refuse_as(buf, len, -EBADMSG);
}

static uint8_t *small_map(size_t *len)
{
    struct tape_index x;
    void *buf;
    make_index(&x, 4);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 4, &buf, len), 0);
    tape_index_free(&x);
    return buf;
}

static void every_flipped_byte_is_found(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = small_map(&len);
    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 8; bit++) {
            p[at] ^= (uint8_t)(1 << bit);
            refuse(p, len);
            p[at] ^= (uint8_t)(1 << bit);
        }
    free(p);
}

static void truncated_map_is_found(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = small_map(&len);
    for (size_t n = 0; n < len; n++) {
        uint8_t *q = malloc(n ? n : 1);
        assert_non_null(q);
        memcpy(q, p, n);
        refuse(q, n);
        free(q);
    }
    free(p);
}

static void reseal(uint8_t *p, size_t len)
{
    uint32_t crc = crc32c(0, p, 92);
    memcpy(p + 92, &crc, 4);
    crc = crc32c(0, p, len - 4);
    memcpy(p + len - 4, &crc, 4);
}

/* Right CRCs, wrong numbers. */
static void map_that_lies_is_refused(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = small_map(&len), *q = malloc(len);
    assert_non_null(q);
    const uint64_t lies[] = {UINT64_MAX, 0x4000000000000001ull, 9};
    for (size_t at = 8; at + 8 <= len - 8; at += 8) {
        bool in_segment = at >= 96 && at < 96 + 4 * 72;
        size_t field = in_segment ? (at - 96) % 72 : SIZE_MAX;
        if (at >= 32 && at < 56) /* its own name: known to the caller alone */
            continue;
        for (size_t i = 0; i < 3; i++) {
            /* a name, a size, or bytes that are possible but wrong cannot be told here; nor can the reserved fields */
            if (at == 88 || (in_segment && (field == 16 || (i == 2 && (field <= 8 || field >= 56)))))
                continue;
            memcpy(q, p, len);
            memcpy(q + at, &lies[i], 8);
            if (!memcmp(q, p, len))
                continue;
            reseal(q, len);
            refuse_as(q, len, at == 8 && i != 1 ? -EPROTONOSUPPORT : -EBADMSG); /* a later version, or what cannot be */
        }
    }
    free(p);
    free(q);
}

static void map_of_another_cartridge_is_refused(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = small_map(&len);
    p[20] ^= 1;
    reseal(p, len);
    refuse(p, len);
    free(p);
}

/* In version 1 the field of the CRC is zero, and ignored. */
static void a_map_of_version_1_is_read(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = small_map(&len);
    struct tape_index x, want;
    make_index(&want, 4);
    for (size_t i = 0; i < 4; i++)
        want.segs[i].crc = 0;
    put_le32(p + 8, 1);
    reseal(p, len);
    tape_index_init(&x);
    assert_int_equal(map_decode(p, len, cartridge, &x, NULL), 0);
    assert_same_index(&x, &want);
    tape_index_free(&x);
    tape_index_free(&want);
    free(p);
}

static void a_map_of_a_later_version_is_no_damage(void **state)
{
    (void)state;
    size_t len;
    struct errtext err = {""};
    uint8_t *p = small_map(&len);
    const struct map_ref m = {.id = map_id, .n_segs = 4, .size = 1};
    put_le32(p + 8, 4);
    reseal(p, len);
    refuse_as(p, len, -EPROTONOSUPPORT);
    assert_int_equal(map_check(p, len, &m, &err), -EPROTONOSUPPORT); /* whatever its size should be */
    assert_string_equal(err.text, "this map is of format version 4; this s3vtl reads 1 to 3");
    p[20] ^= 1; /* that is damage */
    refuse(p, len);
    free(p);
}

/* ---- leans: version 3 ---- */

static struct seg_source source(uint8_t cartridge_number, uint64_t n)
{
    struct seg_source s = {.cartridge = {cartridge_number}, .id = {2, 5, n}, .size = 1000 + n, .crc = 77 + (uint32_t)n};
    (void)snprintf(s.barcode, sizeof(s.barcode), "SRC%03uL8", cartridge_number);
    return s;
}

/* Each segment but the third leans on two, of two cartridges. */
static void make_leaning_index(struct tape_index *x, size_t n)
{
    make_index(x, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint8_t k = 0; i != 2 && k < 2; k++) {
            struct seg_source s = source(k, i);
            assert_int_equal(leans_add(&x->leans, i, &s), 0);
        }
}

static void assert_same_leans(const struct leans *a, const struct leans *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_int_equal(a->v[i].segment, b->v[i].segment);
        assert_string_equal(a->v[i].source.barcode, b->v[i].source.barcode);
        assert_memory_equal(a->v[i].source.cartridge, b->v[i].source.cartridge, 16);
        assert_int_equal(seg_id_compare(&a->v[i].source.id, &b->v[i].source.id), 0);
        assert_int_equal(a->v[i].source.size, b->v[i].source.size);
        assert_int_equal(a->v[i].source.crc, b->v[i].source.crc);
    }
}

static void maps_with_leans_join_to_the_whole_index(void **state)
{
    (void)state;
    struct tape_index x, back;
    const size_t cuts[] = {0, 2, 3, 7, 10}; /* the second of these maps has none */
    make_leaning_index(&x, 10);
    tape_index_init(&back);
    for (size_t i = 0; i + 1 < sizeof(cuts) / sizeof(cuts[0]); i++) {
        void *buf;
        size_t len;
        struct errtext err = {""};
        assert_int_equal(map_encode(cartridge, &map_id, &x, cuts[i], cuts[i + 1] - cuts[i], &buf, &len), 0);
        assert_int_equal(get_le32((uint8_t *)buf + 8), i == 1 ? 2 : 3);
        if (map_decode(buf, len, cartridge, &back, &err))
            fail_msg("%s", err.text);
        free(buf);
    }
    assert_same_index(&x, &back);
    assert_same_leans(&x.leans, &back.leans);
    tape_index_truncate(&back, 45); /* in the middle of the fifth */
    assert_int_equal(back.leans.n, 8);
    assert_int_equal(back.leans.v[7].segment, 4);
    tape_index_free(&x);
    tape_index_free(&back);
}

static void every_flipped_byte_of_a_map_with_leans_is_found(void **state)
{
    (void)state;
    struct tape_index x;
    void *buf;
    size_t len;
    make_leaning_index(&x, 4);
    assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 4, &buf, &len), 0);
    uint8_t *p = buf;
    for (size_t at = 0; at < len; at++) {
        p[at] ^= 0x10;
        refuse(p, len);
        p[at] ^= 0x10;
    }
    for (size_t n = 0; n < len; n++)
        refuse(p, n);
    free(buf);
    tape_index_free(&x);
}

/* Good CRCs, and what cannot be. */
static void leans_of_a_map_are_checked(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* from the first lean, or before it: in the second source */
        uint32_t value;
        bool in_source;
    } changes[] = {{0, 4, false},  {4, 2, false},  {8, 0, false},          {28, 0, false},
                   {32, 0, false}, {40, 3, false}, {16, 0x2f2f2f2f, true}, {44, 0x41414141, true}};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct tape_index x;
        void *buf;
        size_t len;
        make_leaning_index(&x, 4);
        assert_int_equal(map_encode(cartridge, &map_id, &x, 0, 4, &buf, &len), 0);
        uint8_t *p = buf, *leans = p + len - 8 - 6 * 40, *sources = leans - 48;
        put_le32((changes[i].in_source ? sources : leans) + changes[i].at, changes[i].value);
        if (i == 7)
            memset(sources + 16, 'A', 32), put_le32(sources + 16, 0); /* a barcode of nothing */
        put_le32(p + len - 4, crc32c(0, p, len - 4));
        refuse(p, len);
        free(buf);
        tape_index_free(&x);
    }
}

static void a_map_is_the_one_that_its_head_names(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = small_map(&len);
    struct errtext err = {""};
    struct map_ref m = {.id = map_id, .n_segs = 4, .size = len, .crc = map_crc(p, len)}, other = m;
    assert_int_equal(map_check(p, len, &m, &err), 0);
    other.crc = 0; /* of a head of version 1 */
    assert_int_equal(map_check(p, len, &other, &err), 0);
    other.size++;
    assert_int_equal(map_check(p, len, &other, &err), -EBADMSG);
    other = m;
    other.id.number++;
    assert_int_equal(map_check(p, len, &other, &err), -EBADMSG);
    put_le64(p + 96 + 64, 17); /* other plain bytes, and all CRCs right */
    reseal(p, len);
    assert_int_equal(map_check(p, len, &m, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "another one"));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_join_to_the_whole_index),
        cmocka_unit_test(maps_with_leans_join_to_the_whole_index),
        cmocka_unit_test(every_flipped_byte_of_a_map_with_leans_is_found),
        cmocka_unit_test(leans_of_a_map_are_checked),
        cmocka_unit_test(thousands_of_filemarks),
        cmocka_unit_test(map_must_join_to_the_end),
        cmocka_unit_test(impossible_maps_are_not_encoded),
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(truncated_map_is_found),
        cmocka_unit_test(a_map_of_version_1_is_read),
        cmocka_unit_test(a_map_is_the_one_that_its_head_names),
        cmocka_unit_test(a_map_of_a_later_version_is_no_damage),
        cmocka_unit_test(map_that_lies_is_refused),
        cmocka_unit_test(map_of_another_cartridge_is_refused),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
