/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops.c: see ops.h. */
#include "tests/crash/ops.h"

#include <string.h>

#include "base/le.h"
#include "tests/lib/chunked.h"

static uint64_t draw(struct model *m, uint64_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (m->random >> 11) % below;
}

void model_init(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof(*m));
    m->random = seed * 0x9E3779B97F4A7C15u | 1;
    m->loaded = -1;
}

static enum op_kind choose(struct model *m)
{
    static const struct {
        enum op_kind kind;
        unsigned weight;
    } table[] = {
        {OP_WRITE, 600}, {OP_MARKS, 70}, {OP_MARKS_SYNC, 25}, {OP_SYNC, 50},   {OP_LOCATE, 40},
        {OP_END, 50},    {OP_ERASE, 8},  {OP_FORMAT, 3},      {OP_UNLOAD, 15}, {OP_DRAIN, 12},
    };
    /* Tapes that copy from each other change places more often. */
    uint64_t x = draw(m, chunked() ? 903 : 873);
    size_t i = 0;
    if (x >= 873)
        return OP_UNLOAD;
    while (x >= table[i].weight)
        x -= table[i++].weight;
    return table[i].kind;
}

struct op model_step(struct model *m)
{
    struct op op = {.kind = m->loaded < 0 ? OP_LOAD : choose(m)};
    uint64_t number = ++m->next;
    if (op.kind == OP_LOAD) {
        m->loaded = (int)draw(m, TAPES);
        m->position = 0;
    }
    struct tape_model *t = &m->tape[m->loaded];
    op.tape = (unsigned)m->loaded;
    if (m->position + 2 > MAX_OBJECTS && (op.kind == OP_WRITE || op.kind == OP_MARKS || op.kind == OP_MARKS_SYNC))
        op.kind = OP_FORMAT;
    switch (op.kind) {
    case OP_WRITE:
        op.object = number;
        t->object[m->position++] = number;
        t->n = m->position;
        break;
    case OP_MARKS:
    case OP_MARKS_SYNC:
        t->object[m->position++] = 0;
        t->n = m->position;
        op.safe = op.kind == OP_MARKS_SYNC;
        break;
    case OP_LOCATE:
        op.object = m->position = draw(m, t->n + 1);
        break;
    case OP_END:
        m->position = t->n;
        break;
    case OP_ERASE:
        t->n = m->position;
        break;
    case OP_FORMAT:
        t->n = m->position = 0;
        break;
    case OP_UNLOAD:
        m->loaded = -1;
        op.safe = true;
        break;
    case OP_SYNC:
    case OP_DRAIN:
        op.safe = true;
        break;
    case OP_LOAD:
        break;
    }
    return op;
}

const char *op_name(enum op_kind kind)
{
    static const char *const names[] = {"write", "filemark, IMMED", "filemark", "sync", "locate", "end of data",
                                        "erase", "format",          "unload",   "load", "drain"};
    return names[kind];
}

uint64_t block_id(const uint8_t *buf, size_t len)
{
    if (chunked())
        return chunked_id(buf, len);
    return len >= 8 ? get_le64(buf) : 0;
}

uint32_t block_length(uint64_t id)
{
    if (chunked())
        return chunked_length(id);
    /* Mostly small, now and then large, so that segments fill up in the middle of things. */
    uint32_t x = (uint32_t)(id * 2654435761u);
    return (x >> 8) % 10 ? 8 + x % 12000 : 100000 + x % (MAX_BLOCK - 100000);
}

void block_fill(uint64_t id, uint8_t *buf)
{
    if (chunked()) {
        chunked_fill(id, buf);
        return;
    }
    uint32_t len = block_length(id);
    uint64_t x = id * 0x9E3779B97F4A7C15u + 1;
    memcpy(buf, &id, 8);
    for (uint32_t i = 8; i < len; i++) {
        if (i % 8 == 0) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        buf[i] = (uint8_t)(id % 3 ? x >> (i % 8 * 8) : i); /* every third compresses */
    }
}

uint64_t content_start(void)
{
    return 0xcbf29ce484222325u;
}

uint64_t content_add(uint64_t hash, uint64_t object)
{
    for (int i = 0; i < 8; i++)
        hash = (hash ^ ((object >> (i * 8)) & 0xff)) * 0x100000001b3u;
    return hash;
}

uint64_t content_of(const struct tape_model *t)
{
    uint64_t h = content_start();
    for (size_t i = 0; i < t->n; i++)
        h = content_add(h, t->object[i]);
    return h;
}
