/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pbs_tape.h: files of a tape as Proxmox Backup Server writes them, as far as planner and parser look at them. */
#ifndef S3VTL_PBS_TAPE_H
#define S3VTL_PBS_TAPE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

struct pbs_tape {
    uint32_t block_size;
    void (*block)(void *arg, const uint8_t *data, uint32_t len);
    void *arg;
    uint8_t *buf;
    uint32_t used, number;
};

static inline void pbs_tape_flush(struct pbs_tape *t, uint8_t flags)
{
    static const uint8_t magic[8] = {0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28};
    memcpy(t->buf, magic, 8);
    put_le32(t->buf + 8, flags | t->used << 8);
    put_le32(t->buf + 12, t->number++);
    memset(t->buf + 16 + t->used, 0, t->block_size - 16 - t->used);
    t->block(t->arg, t->buf, t->block_size);
    t->used = 0;
}

static inline void pbs_tape_bytes(struct pbs_tape *t, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n) {
        uint32_t room = t->block_size - 16 - t->used, m = n < room ? (uint32_t)n : room;
        memcpy(t->buf + 16 + t->used, p, m);
        t->used += m;
        p += m;
        n -= m;
        if (t->used == t->block_size - 16)
            pbs_tape_flush(t, 0);
    }
}

/* content: 8 bytes of any kind. */
static inline void pbs_tape_begin(struct pbs_tape *t, const void *content)
{
    static const char json[] = "{\"store\":\"test\"}";
    uint8_t h[48] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C};
    if (!t->buf)
        t->buf = malloc(t->block_size);
    t->used = t->number = 0;
    memcpy(h + 8, content, 8);
    put_le32(h + 40, sizeof(json) - 1);
    pbs_tape_bytes(t, h, sizeof(h));
    pbs_tape_bytes(t, json, sizeof(json) - 1);
}

/* digest: as the datastore would say; it is believed by nobody. */
static inline void pbs_tape_chunk(struct pbs_tape *t, const uint8_t digest[32], const void *blob, uint64_t size)
{
    uint8_t h[48] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};
    memcpy(h + 8, digest, 32);
    put_le64(h + 40, size);
    pbs_tape_bytes(t, h, sizeof(h));
    pbs_tape_bytes(t, blob, size);
}

static inline void pbs_tape_end(struct pbs_tape *t)
{
    pbs_tape_flush(t, 1);
}

/* Noise of a chunk with this number: any two differ. */
static inline void pbs_tape_noise(uint64_t number, uint8_t *out, size_t n)
{
    uint64_t x = number * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (size_t i = 0; i < n; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        for (size_t k = i; k < n && k < i + 8; k++)
            out[k] = (uint8_t)(x >> 8 * (k - i));
    }
}

#endif
