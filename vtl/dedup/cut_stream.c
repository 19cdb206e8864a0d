/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cut_stream.c: see cut_stream.h. */
#include "vtl/dedup/cut_stream.h"

#include <stdbool.h>

#define CUT_MEAN (1u << CUT_MEAN_BITS)
/* The upper bits of the hash depend on most bytes. Short of the mean one bit more must be clear, beyond it one less. */
#define CLEAR(bits) (~UINT64_C(0) << (64 - (bits)))

/* The same at each start, or nothing would be found again: splitmix64, from 0. */
void cut_stream_init(struct cut_stream *s, const struct chunk_events *events, void *arg)
{
    uint64_t state = 0;
    *s = (struct cut_stream){.events = events, .arg = arg};
    for (unsigned i = 0; i < 256; i++) {
        uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        s->gear[i] = z ^ z >> 31;
    }
}

void cut_stream_reset(struct cut_stream *s)
{
    if (s->length)
        s->events->abandon(s->arg);
    s->length = 0;
}

/* Rolls over bytes [at, end) up to the one where the hash has these bits clear; *cut: there is one. Returns where it came
 * to. */
static uint32_t roll(struct cut_stream *s, const uint8_t *p, uint32_t at, uint32_t end, uint64_t clear, bool *cut)
{
    uint64_t hash = s->hash;
    while (at < end && !*cut) {
        hash = (hash << 1) + s->gear[p[at++]];
        *cut = !(hash & clear);
    }
    s->hash = hash;
    return at;
}

/* How many bytes from here to a length of the chunk, within the n at hand. */
static uint32_t up_to(const struct cut_stream *s, uint32_t length, uint32_t n)
{
    uint32_t left = s->length < length ? length - s->length : 0;
    return left < n ? left : n;
}

/* The bytes of p that belong to the chunk that is begun; *cut: with these it is complete. */
static uint32_t share(struct cut_stream *s, const uint8_t *p, uint32_t n, bool *cut)
{
    uint32_t min = up_to(s, CUT_MIN, n), mean = up_to(s, CUT_MEAN, n), max = up_to(s, CUT_MAX, n);
    uint32_t at = roll(s, p, min, mean, CLEAR(CUT_MEAN_BITS + 1), cut);
    if (!*cut)
        at = roll(s, p, at, max, CLEAR(CUT_MEAN_BITS - 1), cut);
    *cut = *cut || s->length + at == CUT_MAX;
    return at;
}

void cut_stream_block(struct cut_stream *s, const uint8_t *data, uint32_t len)
{
    for (uint32_t at = 0; at < len;) {
        bool cut = false;
        if (!s->length) {
            s->hash = 0;
            s->events->begin(s->arg);
        }
        uint32_t n = share(s, data + at, len - at, &cut);
        s->events->bytes(s->arg, at, data + at, n);
        s->length += n;
        at += n;
        if (cut) {
            s->events->end(s->arg);
            s->length = 0;
        }
    }
}
