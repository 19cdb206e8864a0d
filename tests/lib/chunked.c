/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunked.c: see chunked.h. A block has PBS's header, the stream's, the id as its JSON, an entry, and noise behind it. */
#include "tests/lib/chunked.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

enum { HEADER = 16, STREAM = 48, ID = 8, ENTRY = 48, CHUNK_AT = HEADER + STREAM + ID };

bool chunked(void)
{
    return getenv("TEST_DEDUP") != NULL;
}

static uint32_t hash_of(uint64_t id)
{
    return (uint32_t)(id * 2654435761u);
}

/* Which chunk it has, of the few of its generation, and how long that is. */
static uint64_t chunk_of(uint64_t id, uint32_t *len)
{
    static const uint32_t lengths[] = {15000, 30000, 60000, 90000, 120000, 250000};
    unsigned k = (hash_of(id) >> 8) % 12 ? (hash_of(id) >> 12) % 5 : 5;
    *len = lengths[k];
    return CHUNKED_GENERATION(id) << 8 | k;
}

static void noise(uint8_t *p, uint32_t len, uint64_t seed)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (uint32_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        p[i] = (uint8_t)(x >> (i % 8 * 8));
    }
}

uint32_t chunked_length(uint64_t id)
{
    uint32_t chunk;
    (void)chunk_of(id, &chunk);
    return CHUNK_AT + ENTRY + chunk + hash_of(id) % 300;
}

void chunked_fill(uint64_t id, uint8_t *buf)
{
    static const uint8_t block[8] = {0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28},
                         stream[8] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C},
                         entry[8] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};
    uint32_t len = chunked_length(id), chunk;
    uint64_t k = chunk_of(id, &chunk);
    uint8_t *e = buf + CHUNK_AT;
    memset(buf, 0, CHUNK_AT);
    memcpy(buf, block, 8);
    put_le32(buf + 8, (len - HEADER) << 8);
    memcpy(buf + HEADER, stream, 8);
    put_le32(buf + HEADER + 40, ID);
    put_le64(buf + HEADER + STREAM, id);
    noise(e, ENTRY + chunk, k + 1000);
    memcpy(e, entry, 8);
    put_le64(e + 40, chunk);
    noise(e + ENTRY + chunk, len - CHUNK_AT - ENTRY - chunk, id); /* the block's own */
}

uint64_t chunked_id(const uint8_t *buf, size_t len)
{
    return len >= CHUNK_AT ? get_le64(buf + HEADER + STREAM) : 0;
}
