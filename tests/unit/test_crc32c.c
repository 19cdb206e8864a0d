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

static void every_length_and_alignment(void **state)
{
    (void)state;
    uint8_t *p = malloc(MAX_LEN + 16), *q = malloc(MAX_LEN + 16);
    assert_non_null(p);
    assert_non_null(q);
    fill(p, MAX_LEN + 16);
    for (size_t len = 0; len <= MAX_LEN; len += len < 1000 ? 1 : 97) {
        size_t at = len % 9;
        uint32_t start = (uint32_t)len * 0x9e3779b9u, want = bit_by_bit(start, p + at, len);
        assert_int_equal(crc32c(start, p + at, len), want);
        assert_int_equal(crc32c_portable(start, NULL, p + at, len), want);
        memset(q, 0xaa, MAX_LEN + 16);
        assert_int_equal(crc32c_copy(start, q + 3, p + at, len), want);
        assert_memory_equal(q + 3, p + at, len);
        assert_int_equal(q[2], 0xaa);
        assert_int_equal(q[3 + len], 0xaa);
        memset(q, 0xaa, MAX_LEN + 16);
        assert_int_equal(crc32c_portable(start, q + 3, p + at, len), want);
        assert_memory_equal(q + 3, p + at, len);
        assert_int_equal(q[3 + len], 0xaa);
    }
    free(p);
    free(q);
}

static void continues_over_pieces(void **state)
{
    (void)state;
    uint8_t *p = malloc(MAX_LEN);
    assert_non_null(p);
    fill(p, MAX_LEN);
    uint32_t whole = crc32c(0, p, MAX_LEN);
    for (size_t cut = 0; cut <= MAX_LEN; cut += 61)
        assert_int_equal(crc32c(crc32c(0, p, cut), p + cut, MAX_LEN - cut), whole);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(every_length_and_alignment),
        cmocka_unit_test(continues_over_pieces),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
