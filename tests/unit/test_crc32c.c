/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_crc32c.c: CRC32C against the published vectors and against a bit-by-bit computation of all lengths and
 * alignments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32c.h"

#define MAX_LEN 8192

static uint32_t bit_by_bit(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void fill(uint8_t *p, size_t len)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < len; i++) {
        x = x * 1103515245u + 12345u;
        p[i] = (uint8_t)(x >> 16);
    }
}

static void published_vectors(void **state)
{
    (void)state;
    uint8_t b[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(crc32c(0, "", 0), 0);
    memset(b, 0, sizeof(b)); /* RFC 3720 B.4 */
    assert_int_equal(crc32c(0, b, 32), 0x8A9136AAu);
    memset(b, 0xff, sizeof(b));
    assert_int_equal(crc32c(0, b, 32), 0x62A8AB43u);
    for (uint8_t i = 0; i < 32; i++)
        b[i] = i;
    assert_int_equal(crc32c(0, b, 32), 0x46DD794Eu);
    for (uint8_t i = 0; i < 32; i++)
        b[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, b, 32), 0x113FDB5Cu);
}

/* The sum of two pieces from theirs, wherever the cut is: also with nothing on one side of it. */
static void sums_of_pieces_are_joined(void **state)
{
    (void)state;
    enum { LEN = 70000 };
    uint8_t *p = malloc(LEN);
    assert_non_null(p);
    fill(p, LEN);
    const uint32_t whole = crc32c(0, p, LEN);
    for (size_t cut = 0; cut <= LEN; cut += cut < 600 ? 1 : 997)
        assert_int_equal(crc32c_join(crc32c(0, p, cut), crc32c_power(LEN - cut), crc32c(0, p + cut, LEN - cut)), whole);
    assert_int_equal(crc32c_join(whole, crc32c_power(0), crc32c(0, p, 0)), whole);
    free(p);
    /* Longer than anything in memory: 2^36 zeros behind a byte, by halves and at once. */
    uint32_t byte = crc32c(0, "x", 1), half = crc32c_join(byte, crc32c_power(UINT64_C(1) << 35), 0);
    assert_int_equal(crc32c_join(half, crc32c_power(UINT64_C(1) << 35), 0),
                     crc32c_join(byte, crc32c_power(UINT64_C(1) << 36), 0));
}

static void every_length_and_alignment(void **state)
{
    (void)state;
    uint8_t *p = malloc(MAX_LEN + 16);
    assert_non_null(p);
    fill(p, MAX_LEN + 16);
    for (size_t len = 0; len <= MAX_LEN; len += len < 300 ? 1 : 97) {
        for (size_t at = 0; at < 16; at++) {
            uint32_t start = (uint32_t)len * 0x9e3779b9u;
            assert_int_equal(crc32c(start, p + at, len), bit_by_bit(start, p + at, len));
        }
    }
    free(p);
}

/* What reads is assembly that no sanitizer sees: a page that nobody may read lies behind the data, and one before. */
static void reads_no_byte_beside_the_data(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    p += page;
    assert_int_equal(mprotect(p, page, PROT_READ | PROT_WRITE), 0);
    fill(p, page);
    for (size_t len = 0; len <= page; len += len < 600 ? 1 : 61) {
        const uint8_t *last = p + page - len;
        assert_int_equal(crc32c(0, last, len), bit_by_bit(0, last, len));
        assert_int_equal(crc32c(0, p, len), bit_by_bit(0, p, len));
    }
    assert_int_equal(munmap(p - page, 3 * page), 0);
}

static void continues_over_pieces(void **state)
{
    (void)state;
    uint8_t *p = malloc(MAX_LEN);
    assert_non_null(p);
    fill(p, MAX_LEN);
    uint32_t whole = crc32c(0, p, MAX_LEN);
    assert_int_equal(whole, bit_by_bit(0, p, MAX_LEN));
    for (size_t cut = 0; cut <= MAX_LEN; cut += 61)
        assert_int_equal(crc32c(crc32c(0, p, cut), p + cut, MAX_LEN - cut), whole);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),          cmocka_unit_test(sums_of_pieces_are_joined),
        cmocka_unit_test(every_length_and_alignment), cmocka_unit_test(reads_no_byte_beside_the_data),
        cmocka_unit_test(continues_over_pieces),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
