/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_chunk_hash.c: ids of chunks are those of FORMAT.md, however their bytes lie in memory and however they are hashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtl/dedup/chunk_hash.h"

enum { ROOM = 300000, MOST_PIECES = 301 };

static uint8_t *pattern(void)
{
    uint8_t *p = malloc(ROOM);
    assert_non_null(p);
    for (size_t i = 0; i < ROOM; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8));
    return p;
}

/* n bytes in pieces of so many, in memory of their own, with an empty one before, behind, and in between. */
static size_t cut_up(const uint8_t *p, size_t n, size_t each, struct chunk_bytes *pieces)
{
    size_t out = 0;
    pieces[out++] = (struct chunk_bytes){p, 0};
    for (size_t at = 0; at < n; at += each) {
        size_t len = n - at < each ? n - at : each;
        uint8_t *own = malloc(len);
        assert_non_null(own);
        memcpy(own, p + at, len);
        if (out == 3)
            pieces[out++] = (struct chunk_bytes){p, 0};
        pieces[out++] = (struct chunk_bytes){own, len};
    }
    pieces[out++] = (struct chunk_bytes){p, 0};
    return out;
}

static void free_pieces(struct chunk_bytes *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pieces[i].n)
            free((void *)(uintptr_t)pieces[i].p);
}

static void ids_are_those_of_the_format(void **state)
{
    (void)state;
    /* By another implementation of SHA-256, of HMAC (RFC 2104) and HKDF (RFC 5869): without a key, with one of zeros. */
    static const struct {
        size_t n;
        uint8_t plain[SEG_CHUNK_ID], keyed[SEG_CHUNK_ID];
    } want[] = {
        {3,
         {0x8a, 0x77, 0x8f, 0xf9, 0xe3, 0xeb, 0xd2, 0x4d, 0x28, 0xcd, 0x51, 0xdd, 0x6a, 0xc9, 0x51, 0xb8,
          0xb0, 0x09, 0x39, 0xfa, 0xe6, 0x08, 0x89, 0xd5, 0xf5, 0x18, 0x3f, 0xdc, 0x9d, 0x35, 0xfe, 0x3a},
         {0xcc, 0x21, 0x9a, 0x44, 0xab, 0xc5, 0x9c, 0x7d, 0x76, 0xae, 0x71, 0x86, 0x87, 0xb3, 0xa9, 0xb1,
          0x04, 0xfe, 0x0f, 0x0d, 0xde, 0x4a, 0x26, 0xfa, 0xf1, 0x79, 0x72, 0xe6, 0xa6, 0x79, 0xc6, 0x56}},
        {8192,
         {0xb2, 0xa4, 0x6c, 0x89, 0xd2, 0xab, 0xa6, 0xb7, 0x31, 0x9b, 0x1a, 0xdc, 0x86, 0x95, 0x9d, 0xa7,
          0xe2, 0xde, 0xb3, 0x1b, 0x6b, 0xd3, 0x13, 0x56, 0x37, 0xbd, 0xf4, 0xc6, 0xb5, 0xf0, 0x8a, 0x1a},
         {0x36, 0xf8, 0x37, 0xb9, 0x7a, 0x53, 0xa1, 0xcd, 0xc3, 0x32, 0x72, 0xba, 0xe3, 0xb8, 0x4e, 0x5b,
          0x86, 0xd9, 0x1d, 0x7b, 0xcc, 0xab, 0xae, 0xe3, 0x0b, 0xcc, 0xe3, 0x1c, 0x45, 0x83, 0x5e, 0xb3}},
        {8193,
         {0x75, 0x20, 0x6c, 0x72, 0xde, 0x27, 0x21, 0x2e, 0x5e, 0x15, 0x96, 0x95, 0x94, 0x4f, 0x59, 0x3f,
          0x9f, 0x36, 0xd5, 0x62, 0x93, 0x1d, 0x0f, 0xb2, 0xca, 0xda, 0x4f, 0x1c, 0xbb, 0xbb, 0x3a, 0x27},
         {0x3a, 0xf6, 0xfd, 0xc2, 0x32, 0x04, 0x81, 0x51, 0x31, 0xc7, 0x38, 0x2f, 0x28, 0x22, 0x3e, 0xe3,
          0x10, 0x85, 0x6d, 0x89, 0x64, 0x77, 0xc3, 0x73, 0x13, 0xfd, 0xcf, 0x0c, 0x4b, 0x10, 0x10, 0x2e}},
        {131072,
         {0x69, 0xf1, 0xa5, 0x7c, 0xaa, 0x07, 0xc2, 0xf5, 0x46, 0x34, 0x27, 0x72, 0x34, 0xaa, 0x81, 0x82,
          0xe9, 0x38, 0xb9, 0x60, 0xb0, 0xd4, 0x90, 0x3b, 0xd9, 0x91, 0xfb, 0x4a, 0xef, 0xf0, 0x00, 0x39},
         {0x55, 0x9d, 0xd3, 0xac, 0xea, 0x26, 0x4d, 0x8a, 0xdc, 0xb0, 0xea, 0xb7, 0x51, 0x36, 0x78, 0x99,
          0xbc, 0x9d, 0x99, 0x6a, 0x5e, 0x1f, 0xe7, 0x1b, 0x65, 0xfd, 0xc0, 0x1b, 0xbb, 0x55, 0xd4, 0xe1}},
        {300000,
         {0xed, 0xd4, 0x1f, 0x56, 0x71, 0x22, 0x3a, 0xd0, 0x22, 0x8f, 0xac, 0x34, 0xb6, 0x04, 0xf1, 0xd5,
          0x15, 0x63, 0x1c, 0x7d, 0xe7, 0x3d, 0x79, 0xce, 0xf2, 0xe0, 0xb4, 0x3a, 0x96, 0xe0, 0xd2, 0xa8},
         {0xff, 0xfc, 0x55, 0xb6, 0xe9, 0x8f, 0xdb, 0x58, 0x6c, 0xad, 0xa6, 0xb7, 0xa8, 0x2e, 0x42, 0x9a,
          0x48, 0x0f, 0x76, 0xc2, 0xcc, 0x2a, 0x7b, 0x8f, 0x2a, 0xf5, 0xdd, 0xaf, 0x3f, 0xc5, 0xe3, 0x0b}},
    };
    static const size_t each[] = {ROOM, 8192, 5000, 1000};
    struct chunk_bytes pieces[MOST_PIECES + 3];
    uint8_t id[SEG_CHUNK_ID], key[TAPE_KEY_SIZE] = {0}, *p = pattern();
    struct chunk_hash *h = chunk_hash_new();
    assert_non_null(h);
    for (unsigned keyed = 0; keyed < 2; keyed++) {
        assert_int_equal(chunk_hash_key(h, keyed ? key : NULL), 0);
        for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
            for (size_t k = 0; k < sizeof(each) / sizeof(each[0]); k++) {
                size_t n = cut_up(p, want[i].n, each[k], pieces);
                assert_int_equal(chunk_hash_id(h, pieces, n, id), 0);
                assert_memory_equal(id, keyed ? want[i].keyed : want[i].plain, sizeof(id));
                free_pieces(pieces, n);
            }
    }
    key[31] = 1;
    assert_int_equal(chunk_hash_key(h, key), 0);
    assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){p, 3}, 1, id), 0);
    assert_memory_not_equal(id, want[0].keyed, sizeof(id));
    assert_int_equal(chunk_hash_key(h, NULL), 0);
    assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){p, 3}, 1, id), 0);
    assert_memory_equal(id, want[0].plain, sizeof(id));
    chunk_hash_free(h);
    free(p);
}

/* Each byte counts, and where it is. */
static void another_chunk_has_another_id(void **state)
{
    (void)state;
    uint8_t id[SEG_CHUNK_ID], other[SEG_CHUNK_ID], *p = pattern();
    struct chunk_hash *h = chunk_hash_new();
    assert_non_null(h);
    assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){p, ROOM}, 1, id), 0);
    for (size_t at = 0; at < ROOM; at += 4099) {
        p[at] ^= 1;
        assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){p, ROOM}, 1, other), 0);
        assert_memory_not_equal(id, other, sizeof(id));
        p[at] ^= 1;
    }
    const struct chunk_bytes turned[2] = {{p + CHUNK_LEAF, CHUNK_LEAF}, {p, CHUNK_LEAF}};
    assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){p, 2 * (size_t)CHUNK_LEAF}, 1, id), 0);
    assert_int_equal(chunk_hash_id(h, turned, 2, other), 0);
    assert_memory_not_equal(id, other, sizeof(id));
    assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){p, CHUNK_LEAF}, 1, other), 0);
    assert_memory_not_equal(id, other, sizeof(id));
    chunk_hash_free(h);
    free(p);
}

static void leaves_side_by_side_have_the_digests_of_one_after_the_other(void **state)
{
    (void)state;
    uint8_t *p = pattern();
    struct leaf_hash *h = leaf_hash_new();
    assert_non_null(h);
    for (size_t n = 0; n <= 20; n++)
        for (size_t more = 0; more < CHUNK_LEAF; more += 1213) {
            uint8_t got[2][2 * CHUNK_LEAVES_AT_ONCE][SHA_DIGEST] = {{{0}}};
            const struct chunk_bytes whole = {p, n * CHUNK_LEAF + more};
            for (int beside = 0; beside < 2; beside++) {
                struct chunk_reader r = {&whole, 1, 0};
                size_t at = 0;
                int some;
                leaf_hash_side_by_side(h, beside ? 1 : CHUNK_LEAVES_AT_ONCE + 1);
                while ((some = leaf_hash_next(h, &r, got[beside] + at)) > 0)
                    at += (size_t)some;
                assert_int_equal(some, 0);
                assert_int_equal(at, n + (more != 0));
            }
            assert_memory_equal(got[0], got[1], sizeof(got[0]));
        }
    leaf_hash_free(h);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_format),
        cmocka_unit_test(another_chunk_has_another_id),
        cmocka_unit_test(leaves_side_by_side_have_the_digests_of_one_after_the_other),
    };
    return cmocka_run_group_tests_name("chunk_hash", tests, NULL, NULL);
}
