/* SPDX-License-Identifier: GPL-2.0-or-later */
/* data.h: what is written: bytes that do not compress, and bytes of which half go away. */
#ifndef S3VTL_BENCH_DATA_H
#define S3VTL_BENCH_DATA_H

#include <stdint.h>
#include <string.h>

static inline uint64_t random_step(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static inline void noise(uint8_t *p, size_t n)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        random_step(&x);
        memcpy(p + i, &x, 8);
    }
}

/* Words of a large vocabulary, the first ones more often: zstd makes half of it, as slowly as of real text. (Long runs
 * of one byte would shrink as much, three times as fast.) */
static inline void text(uint8_t *p, size_t n)
{
    enum { WORDS = 30000, LONGEST = 9 };
    static char word[WORDS][LONGEST];
    static uint8_t length[WORDS];
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < WORDS; i++) {
        length[i] = (uint8_t)(2 + random_step(&x) % (LONGEST - 1));
        for (uint8_t k = 0; k < length[i]; k++)
            word[i][k] = (char)('a' + random_step(&x) % 26 * (random_step(&x) % 26) / 26);
    }
    for (size_t at = 0; at < n; at++) {
        double u = (double)(random_step(&x) >> 11) / 9007199254740992.0; /* 0 to 1 */
        size_t w = (size_t)(WORDS * u * u), len = length[w] < n - at ? length[w] : n - at;
        memcpy(p + at, word[w], len);
        at += len;
        if (at < n)
            p[at] = ' ';
    }
}

#endif
