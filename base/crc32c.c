/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.c: CRC32C by isa-l, which chooses at run time what this CPU does best, and sums joined; see crc32c.h. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

/* isa-l's length is an int. */
enum { MOST = 1 << 30 };

/* isa-l's assembly is not instrumented: the sanitizers are told what it reads. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
void __asan_loadN(void *p, long len);
#define TELL_SANITIZER(p, len) __asan_loadN(p, (long)(len))
#elif defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
void __tsan_read_range(void *p, long len);
#define TELL_SANITIZER(p, len) __tsan_read_range(p, (long)(len))
#else
#define TELL_SANITIZER(p, len) ((void)0)
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    unsigned char *p = (unsigned char *)(uintptr_t)data; /* which isa-l only reads */
    if (len)
        TELL_SANITIZER(p, len);
    crc = ~crc; /* isa-l neither begins nor ends with the inversion that the standard wants */
    while (len) {
        int n = len < MOST ? (int)len : MOST;
        crc = crc32_iscsi(p, n, crc);
        p += n;
        len -= (size_t)n;
    }
    return ~crc;
}

/*
 * Joining needs no bytes: a CRC is the remainder of a polynomial over GF(2), and so many zero bytes after it multiply it
 * by a power of x. Bits are reversed here, as in the CRC itself: the top one is x^0.
 */
static const uint32_t one = 0x80000000, reversed_polynomial = 0x82f63b78;

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = one; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? (b >> 1) ^ reversed_polynomial : b >> 1;
    }
    return product;
}

uint32_t crc32c_power(uint64_t len)
{
    uint32_t square = one >> 8, power = one; /* x^8, for one byte; x^0 */
    for (; len; len >>= 1) {
        if (len & 1)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return power;
}

uint32_t crc32c_join(uint32_t first, uint32_t power, uint32_t second)
{
    return multiply(first, power) ^ second;
}
