/* SPDX-License-Identifier: GPL-2.0-or-later */
/* block.h: blocks that tell who wrote them: round, host and number are in the id, and each byte follows from it. */
#ifndef S3VTL_TWINS_BLOCK_H
#define S3VTL_TWINS_BLOCK_H

#include <stdint.h>
#include <string.h>

#define BARCODE "TWN001L8"
#define MAX_BLOCK 150000
#define BLOCK_HOST(id) ((unsigned)((id) >> 16 & 15))
#define BLOCK_ID(round, host, number) ((uint64_t)(round) << 20 | (uint64_t)(host) << 16 | (number))

/* In every other run of eight rounds all are as long: then an object may well have the size of its impostor. */
static inline uint32_t block_length(uint64_t id)
{
    if (id >> 23 & 1)
        return 65536;
    return 8 + (uint32_t)(id * 2654435761u % (MAX_BLOCK - 8));
}

/* b: MAX_BLOCK bytes */
static inline void block_fill(uint64_t id, uint8_t *b)
{
    uint64_t x = id * 0x9E3779B97F4A7C15u | 1;
    for (uint32_t i = 0; i < block_length(id); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b[i] = (uint8_t)x;
    }
    memcpy(b, &id, 8);
}

#endif
