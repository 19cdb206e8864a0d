/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_compress.c: zstd for blocks that shrink, and a cheap way to find those that do not. */
#include <stdlib.h>

#include <zstd.h>

#include "vtl/format/segment_private.h"

/*
 * Backup data is mostly compressed already, and trying zstd on it costs more than the checksum. After blocks that did
 * not shrink, up to MAX_SKIP blocks are stored raw untried, unless the mix of byte values of one of them looks uneven:
 * then it is tried at once, so that a text among packed data is not missed. (What that look misses, such as long
 * repeats of even bytes, is found by the next try.)
 */
#define LEVEL 1
#define MAX_SKIP 64
#define PIECES 16
#define PIECE 64
#define WORTH 32 /* a saving of less than 1/32 is not worth decompressing */

struct seg_compressor {
    ZSTD_CCtx *ctx;
    void *buf;
    size_t room;
    uint32_t skip;      /* blocks not to be tried yet */
    uint32_t next_skip; /* after the next miss */
};

struct seg_compressor *seg_compressor_new(void)
{
    struct seg_compressor *z = calloc(1, sizeof(*z));
    if (!z)
        return NULL;
    z->ctx = ZSTD_createCCtx();
    if (!z->ctx) {
        free(z);
        return NULL;
    }
    z->next_skip = 1;
    return z;
}

void seg_compressor_free(struct seg_compressor *z)
{
    if (!z)
        return;
    ZSTD_freeCCtx(z->ctx);
    free(z->buf);
    free(z);
}

/* Is the mix of byte values in samples of the block clearly uneven? For even bytes the sum of the squares of their
 * counts in a sample of n is about n + n^2 / 256; a quarter more is eleven standard deviations off with 1,024 bytes. More
 * of them would cost half as much as the block's checksum.
 */
static bool looks_uneven(const uint8_t *p, uint32_t len)
{
    uint32_t counts[256] = {0};
    uint64_t n = 0, sum = 0;
    if (len <= PIECES * PIECE) {
        for (; n < len; n++)
            counts[p[n]]++;
    } else {
        uint32_t step = (len - PIECE) / (PIECES - 1);
        for (uint32_t i = 0; i < PIECES; i++)
            for (uint32_t k = 0; k < PIECE; k++)
                counts[p[(size_t)i * step + k]]++;
        n = PIECES * PIECE;
    }
    for (int i = 0; i < 256; i++)
        sum += (uint64_t)counts[i] * counts[i];
    return sum > n + n * n / 256 * 5 / 4;
}

static bool make_room(struct seg_compressor *z, uint32_t len)
{
    size_t need = ZSTD_compressBound(len);
    if (need <= z->room)
        return true;
    void *buf = realloc(z->buf, need);
    if (!buf)
        return false; /* storing raw is always possible */
    z->buf = buf;
    z->room = need;
    return true;
}

uint32_t seg_compress(struct seg_compressor *z, const void *block, uint32_t len, const void **out)
{
    if (z->skip) {
        z->skip--;
        if (!looks_uneven(block, len))
            return 0;
    }
    if (!make_room(z, len))
        return 0;
    size_t n = ZSTD_compressCCtx(z->ctx, z->buf, z->room, block, len, LEVEL);
    bool shrinks = !ZSTD_isError(n) && n < len && seg_pad8(n) + len / WORTH < seg_pad8(len);
    if (!shrinks) {
        z->skip = z->next_skip;
        z->next_skip = z->next_skip < MAX_SKIP ? 2 * z->next_skip : MAX_SKIP;
        return 0;
    }
    z->skip = 0;
    z->next_skip = 1;
    *out = z->buf;
    return (uint32_t)n;
}
