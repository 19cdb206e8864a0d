/* SPDX-License-Identifier: GPL-2.0-or-later */
/* block.h: blocks that tell who wrote them: round, host and number are in the id, and each byte follows from it. */
#ifndef S3VTL_TWINS_BLOCK_H
#define S3VTL_TWINS_BLOCK_H

#include <stdint.h>
#include <string.h>

#include "tests/lib/chunked.h"

#define BARCODE "TWN001L8"
#define LENDER "TWN002L8" /* with $TEST_DEDUP: from which that one copies */
#define MAX_BLOCK CHUNKED_MAX
#define LENT 4 /* blocks that are written to it at a time */
#define BLOCK_HOST(id) ((unsigned)((id) >> 16 & 15))
#define BLOCK_ID(round, host, number) ((uint64_t)(round) << 20 | (uint64_t)(host) << 16 | (number))

/* In every other run of eight rounds all are as long: then an object may well have the size of its impostor. */
static inline uint32_t block_length(uint64_t id)
{
    if (chunked())
        return chunked_length(id);
    if (id >> 23 & 1)
        return 65536;
    return 8 + (uint32_t)(id * 2654435761u % (150000 - 8));
}

/* b: MAX_BLOCK bytes */
static inline void block_fill(uint64_t id, uint8_t *b)
{
    uint64_t x = id * 0x9E3779B97F4A7C15u | 1;
    if (chunked()) {
        chunked_fill(id, b);
        return;
    }
    for (uint32_t i = 0; i < block_length(id); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b[i] = (uint8_t)x;
    }
    memcpy(b, &id, 8);
}

static inline uint64_t block_id(const uint8_t *b, uint32_t len)
{
    uint64_t id = 0;
    if (chunked())
        return chunked_id(b, len);
    memcpy(&id, b, 8);
    return id;
}

#endif
