/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pbs_set.c: what Proxmox Backup Server would write to tape of a made-up datastore, as one file of blocks for each file
 * on tape: chunk archives and what stands between them. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

static const char usage[] =
    "usage: pbs_set DIRECTORY MEGABYTES SET CHANGED SHUFFLE [UNIT]\n"
    "Writes media set number SET (from 1) of a datastore of so many megabytes (10^6 bytes): DIRECTORY/0000, 0001 ..., "
    "each\n"
    "a file on tape in blocks of 262144 bytes. From set to set CHANGED per mille of the chunks are other ones. The\n"
    "snapshots come in another order in each set, and chunks shuffled within SHUFFLE (1: in order). Chunks have 0.4 to "
    "2.8\n"
    "MB, or that divided by UNIT. Prints: bytes of all blocks, bytes of chunks, bytes that no earlier set had.\n";

enum { BLOCK = 262144, HEADER = 16, PAYLOAD = BLOCK - HEADER, SNAPSHOT = 24, ARCHIVE = 96 << 20 };

struct out {
    FILE *f;
    const char *dir;
    unsigned file;
    uint32_t sequence, used;
    uint8_t block[BLOCK];
    uint64_t bytes;
};

static void fail(const char *what)
{
    fprintf(stderr, "pbs_set: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- numbers that follow from others ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0xd1b54a32d192ed03)) * UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 32;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 29;
}

/* Which version of chunk i a set has: in how many of the sets up to it the chunk was changed. */
static unsigned version(uint64_t i, unsigned set, unsigned permille)
{
    unsigned v = 0;
    for (unsigned s = 2; s <= set; s++)
        v += mix(i, s) % 1000 < permille;
    return v;
}

static bool changes(uint64_t i, unsigned set, unsigned permille)
{
    return set == 1 || mix(i, set) % 1000 < permille;
}

static uint32_t size_of(uint64_t i, unsigned v, unsigned unit)
{
    return (uint32_t)((400000 + mix(i, 1000 + v) % 2400000) / unit);
}

/* ---- a file on tape ---- */

static void put_block(struct out *o, bool last)
{
    static const uint8_t magic[8] = {0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28};
    memcpy(o->block, magic, 8);
    put_le32(o->block + 8, o->used << 8 | (last ? 1 : 0)); /* flags, and three bytes of size */
    put_le32(o->block + 12, o->sequence++);
    memset(o->block + HEADER + o->used, 0, PAYLOAD - o->used);
    if (fwrite(o->block, 1, BLOCK, o->f) != BLOCK)
        fail(o->dir);
    o->bytes += BLOCK;
    o->used = 0;
}

static void put(struct out *o, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n) {
        size_t some = n < PAYLOAD - o->used ? n : PAYLOAD - o->used;
        memcpy(o->block + HEADER + o->used, p, some);
        o->used += (uint32_t)some;
        p += some;
        n -= some;
        if (o->used == PAYLOAD)
            put_block(o, false);
    }
}

static void begin_file(struct out *o, uint64_t content, uint64_t id)
{
    static const uint8_t magic[8] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C};
    static const char json[] = "{\"store\":\"made-up\"}";
    char path[4096];
    uint8_t head[48] = {0};
    (void)snprintf(path, sizeof(path), "%s/%04u", o->dir, o->file++);
    if (!(o->f = fopen(path, "wb")))
        fail(path);
    o->sequence = 0;
    memcpy(head, magic, 8);
    put_le64(head + 8, content);
    put_le64(head + 16, id);
    put_le32(head + 40, (uint32_t)strlen(json));
    put(o, head, sizeof(head));
    put(o, json, strlen(json));
}

static void end_file(struct out *o)
{
    put_block(o, true);
    if (fclose(o->f))
        fail(o->dir);
    o->f = NULL;
}

/* Noise that follows from a number. */
static void put_noise(struct out *o, uint64_t seed, uint32_t n)
{
    uint64_t words[512], x = mix(seed, 77) | 1;
    while (n) {
        for (size_t i = 0; i < 512; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[i] = x;
        }
        size_t some = n < sizeof(words) ? n : sizeof(words);
        put(o, words, some);
        n -= (uint32_t)some;
    }
}

static void put_chunk(struct out *o, uint64_t i, unsigned v, uint32_t size)
{
    static const uint8_t magic[8] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};
    uint8_t head[48];
    memcpy(head, magic, 8);
    for (unsigned k = 0; k < 4; k++)
        put_le64(head + 8 + 8 * k, mix(i * 64 + v, 500 + k));
    put_le64(head + 40, size);
    put(o, head, sizeof(head));
    put_noise(o, mix(i, v), size);
}

/* ---- the set ---- */

struct set {
    struct out out;
    unsigned number, permille, shuffle, unit;
    uint64_t chunks, fresh;
};

static void shuffle(uint64_t *v, size_t n, uint64_t seed, size_t within)
{
    for (size_t i = 0; i + 1 < n; i++) {
        size_t far = n - i < within ? n - i : within, k = i + mix(seed, i) % far;
        uint64_t t = v[i];
        v[i] = v[k];
        v[k] = t;
    }
}

/* A snapshot: its chunks in archives, and then what it is itself: always new. */
static void put_snapshot(struct set *s, uint64_t first, size_t n)
{
    uint64_t order[SNAPSHOT], in_archive = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = first + i;
    shuffle(order, n, mix(first, s->number), s->shuffle);
    for (size_t i = 0; i < n; i++) {
        unsigned v = version(order[i], s->number, s->permille);
        uint32_t size = size_of(order[i], v, s->unit);
        if (!s->out.f)
            begin_file(&s->out, UINT64_C(0xbf8302d70d63316d), s->number); /* a chunk archive */
        put_chunk(&s->out, order[i], v, size);
        s->chunks += size + 48;
        s->fresh += changes(order[i], s->number, s->permille) ? size + 48 : 0;
        in_archive += size + 48;
        if (in_archive > ARCHIVE / s->unit) {
            end_file(&s->out);
            in_archive = 0;
        }
    }
    if (s->out.f)
        end_file(&s->out);
    begin_file(&s->out, UINT64_C(0x629aE011d015daa1), s->number); /* a snapshot archive */
    put_noise(&s->out, mix(first, 9000 + s->number), 5000);
    s->fresh += 5000;
    end_file(&s->out);
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!*text || *end || n < min || n > max) {
        fputs(usage, stderr);
        exit(2);
    }
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc > 7) {
        fputs(usage, stderr);
        return 2;
    }
    struct set s = {.out = {.dir = argv[1]},
                    .number = number(argv[3], 1, 1000),
                    .permille = number(argv[4], 0, 1000),
                    .shuffle = number(argv[5], 1, 1000),
                    .unit = argc > 6 ? number(argv[6], 1, 64) : 1};
    uint64_t megabytes = number(argv[2], 1, 1000000), n = megabytes * 1000000 * s.unit / 1600000 + 1;
    uint64_t n_snapshots = (n + SNAPSHOT - 1) / SNAPSHOT, *order = calloc(n_snapshots, sizeof(*order));
    if (!order)
        fail("memory");
    for (uint64_t i = 0; i < n_snapshots; i++)
        order[i] = i * SNAPSHOT;
    if (s.number > 1) /* groups of snapshots move as a whole */
        shuffle(order, n_snapshots, mix(s.number, 31), 3);
    for (uint64_t i = 0; i < n_snapshots; i++)
        put_snapshot(&s, order[i], order[i] + SNAPSHOT <= n ? SNAPSHOT : (size_t)(n - order[i]));
    free(order);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s.out.bytes, s.chunks, s.fresh);
    return 0;
}
