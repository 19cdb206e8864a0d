/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz.h: what the fuzzers share: the input, read from its beginning, and a claim that must hold. */
#ifndef S3VTL_FUZZ_H
#define S3VTL_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A claim about the code under test; the fuzzer keeps the input that broke it. */
#define must(claim)                                                                                                    \
    do {                                                                                                               \
        if (!(claim)) {                                                                                                \
            (void)fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #claim);                  \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct input {
    const uint8_t *p;
    size_t left;
};

/* Behind the end there are zeros. */
static inline uint8_t take8(struct input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->p++;
}

static inline uint16_t take16(struct input *in)
{
    uint8_t high = take8(in);
    return (uint16_t)(high << 8 | take8(in));
}

static inline void take_bytes(struct input *in, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = take8(in);
}

/* Memory of exactly this size, so that the sanitizer sees every step too far. Freed by free. */
static inline uint8_t *exactly(size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    must(p);
    return p;
}

#endif
