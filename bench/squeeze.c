/* SPDX-License-Identifier: GPL-2.0-or-later */
/* squeeze.c: how fast zstd alone compresses on one core, block by block as a drive has it do: what D1 compares with. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

#include "bench/data.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: squeeze TOTAL BLOCK\nCompresses TOTAL bytes in blocks, level 1; prints 10^6 bytes a second.\n",
              stderr);
        return 2;
    }
    size_t total = strtoull(argv[1], NULL, 10), block = strtoull(argv[2], NULL, 10), n = block ? total / block : 0;
    size_t room = ZSTD_compressBound(block), out = 0;
    uint8_t *from = malloc(block), *to = malloc(room);
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    if (!n || !from || !to || !ctx) {
        fputs("squeeze: no blocks, or not enough memory\n", stderr);
        return 1;
    }
    text(from, block);
    double began = now();
    for (size_t i = 0; i < n; i++) {
        memcpy(from, &i, sizeof(i));
        out += ZSTD_compressCCtx(ctx, to, room, from, block, 1);
    }
    printf("%.1f\n", (double)n * (double)block / 1e6 / (now() - began));
    ZSTD_freeCCtx(ctx);
    free(from);
    free(to);
    return out ? 0 : 1; /* used, so that it is done */
}
