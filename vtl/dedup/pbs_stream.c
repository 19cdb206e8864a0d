/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pbs_stream.c: see pbs_stream.h. */
#include "vtl/dedup/pbs_stream.h"

#include <string.h>

#include "base/le.h"

enum { BLOCK_HEADER = 16, AT_FLAGS = 8, AT_NUMBER = 12, END_OF_STREAM = 1, STREAM_HEADER = 48, AT_JSON = 40 };
enum { AT_SIZE = 40 };               /* in an entry's head */
#define SIZE_MASK UINT32_C(0xffffff) /* of the payload: 3 bytes behind the flags */

static const uint8_t block_magic[8] = {0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28};
static const uint8_t stream_magic[8] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C};
static const uint8_t entry_magic[8] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};

_Static_assert(sizeof(((struct pbs_stream *)0)->head) >= STREAM_HEADER &&
                   sizeof(((struct pbs_stream *)0)->head) >= PBS_ENTRY_HEAD,
               "room for both heads");

void pbs_stream_init(struct pbs_stream *s, const struct chunk_events *events, void *arg)
{
    *s = (struct pbs_stream){.events = events, .arg = arg, .state = PBS_LOST};
}

static bool in_chunk(const struct pbs_stream *s)
{
    return s->state == PBS_BLOB || (s->state == PBS_ENTRY && s->got);
}

static void enter(struct pbs_stream *s, enum pbs_state state)
{
    if (in_chunk(s))
        s->events->abandon(s->arg);
    s->state = state;
    s->got = 0;
}

void pbs_stream_reset(struct pbs_stream *s)
{
    enter(s, PBS_LOST);
}

/* Collects bytes of a head; true when it is complete. */
static bool collect(struct pbs_stream *s, const uint8_t *p, uint32_t n, uint32_t size)
{
    memcpy(s->head + s->got, p, n);
    s->got += n;
    return s->got == size;
}

static void begin_content(struct pbs_stream *s)
{
    if (memcmp(s->head, stream_magic, sizeof(stream_magic)) != 0) {
        enter(s, PBS_LOST);
        return;
    }
    s->left = get_le32(s->head + AT_JSON);
    enter(s, s->left ? PBS_JSON : PBS_ENTRY);
}

static void begin_blob(struct pbs_stream *s)
{
    uint64_t size = get_le64(s->head + AT_SIZE);
    bool entry = !memcmp(s->head, entry_magic, sizeof(entry_magic));
    if (!entry || size > PBS_MAX_CHUNK - PBS_ENTRY_HEAD) {
        enter(s, PBS_LOST);
        return;
    }
    s->left = size;
    if (size >= PBS_MIN_CHUNK - PBS_ENTRY_HEAD)
        s->state = PBS_BLOB;
    else
        enter(s, size ? PBS_SKIP : PBS_ENTRY);
}

/* How many of the n bytes at hand belong to what is being read. */
static uint32_t share(const struct pbs_stream *s, uint32_t n)
{
    uint64_t want = s->state == PBS_HEADER  ? STREAM_HEADER - s->got
                    : s->state == PBS_ENTRY ? PBS_ENTRY_HEAD - s->got
                                            : s->left;
    return want < n ? (uint32_t)want : n;
}

static void take_entry_head(struct pbs_stream *s, uint32_t offset, const uint8_t *p, uint32_t n)
{
    if (!s->got)
        s->events->begin(s->arg);
    s->events->bytes(s->arg, offset, p, n);
    if (collect(s, p, n, PBS_ENTRY_HEAD))
        begin_blob(s);
}

/* After begin and bytes the chunk is complete, and the next entry begins. */
static void take_blob(struct pbs_stream *s, uint32_t offset, const uint8_t *p, uint32_t n)
{
    s->events->bytes(s->arg, offset, p, n);
    s->left -= n;
    if (s->left)
        return;
    s->events->end(s->arg);
    s->state = PBS_ENTRY;
    s->got = 0;
}

static void take_payload(struct pbs_stream *s, const uint8_t *block, uint32_t at, uint32_t end)
{
    while (at < end && s->state != PBS_LOST) {
        uint32_t n = share(s, end - at);
        if (s->state == PBS_HEADER) {
            if (collect(s, block + at, n, STREAM_HEADER))
                begin_content(s);
        } else if (s->state == PBS_ENTRY) {
            take_entry_head(s, at, block + at, n);
        } else if (s->state == PBS_BLOB) {
            take_blob(s, at, block + at, n);
        } else if (!(s->left -= n)) {
            enter(s, PBS_ENTRY);
        }
        at += n;
    }
}

bool pbs_is_block(const uint8_t *data, uint32_t len)
{
    return len >= BLOCK_HEADER && !memcmp(data, block_magic, sizeof(block_magic));
}

void pbs_stream_block(struct pbs_stream *s, const uint8_t *data, uint32_t len)
{
    uint32_t size = pbs_is_block(data, len) ? get_le32(data + AT_FLAGS) >> 8 & SIZE_MASK : 0;
    if (!pbs_is_block(data, len) || size > len - BLOCK_HEADER) {
        enter(s, PBS_LOST);
        return;
    }
    uint32_t number = get_le32(data + AT_NUMBER);
    if (!number)
        enter(s, PBS_HEADER);
    else if (s->state != PBS_LOST && number != s->number)
        enter(s, PBS_LOST);
    s->number = number + 1;
    take_payload(s, data, BLOCK_HEADER, BLOCK_HEADER + size);
    if (data[AT_FLAGS] & END_OF_STREAM)
        enter(s, PBS_LOST);
}
