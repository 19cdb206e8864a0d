/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner_pieces.c: a block as pieces, and which chunks its literal ones hold. */
#include "vtl/dedup/planner_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* A block with fewer bytes to copy is stored plain: its pieces and their sources would take as much. */
#define WORTHWHILE 4096u

static void add_piece(struct planner *p, const struct seg_piece *x)
{
    struct seg_piece *last = p->n_pieces ? &p->pieces[p->n_pieces - 1] : NULL;
    bool follows = last && last->source == x->source && last->object == x->object &&
                   (x->source == SEG_LITERAL || last->offset + last->length == x->offset);
    if (follows)
        last->length += x->length;
    else if (p->n_pieces < SEG_MAX_PIECES)
        p->pieces[p->n_pieces++] = *x;
    else
        p->too_many = true;
}

static void add_literal(struct planner *p, uint32_t len)
{
    if (len)
        add_piece(p, &(struct seg_piece){.source = SEG_LITERAL, .length = len});
    p->literals += len;
}

/* Bytes of a chunk that are literal: they end where the literals end now. What is not listed is only not found. */
static void add_part(struct planner *p, const struct chunk *c, uint32_t from, uint32_t len)
{
    if (p->n_parts == p->parts_room && !array_grow(&p->parts, &p->parts_room, sizeof(*p->parts)))
        return;
    struct seg_chunk_part *x = &p->parts[p->n_parts++];
    *x = (struct seg_chunk_part){.chunk_length = c->length, .from = from, .offset = p->literals - len, .length = len};
    memcpy(x->id, c->id, sizeof(x->id));
}

/* Its number among the block's sources; SEG_LITERAL: there are too many. */
static uint32_t source_number(struct planner *p, const struct seg_source *s)
{
    for (size_t i = p->n_out_sources; i--;)
        if (seg_source_same(&p->out_sources[i], s))
            return (uint32_t)i;
    if (p->n_out_sources == SEG_MAX_SOURCES) {
        p->too_many = true;
        return SEG_LITERAL;
    }
    p->out_sources[p->n_out_sources] = *s;
    return (uint32_t)p->n_out_sources++;
}

/* Bytes [from, from + len) of the chunk, which the place has, as copies. */
static void add_copies(struct planner *p, const struct chunk *c, const struct chunk_place *x, uint32_t from,
                       uint32_t len)
{
    uint32_t source = source_number(p, &x->source);
    uint64_t at = x->from; /* of the run, in the chunk */
    if (source == SEG_LITERAL)
        return;
    for (size_t i = 0; i < x->n_runs && len; i++) {
        const struct chunk_run *r = &c->places.runs[x->run + i];
        for (uint64_t size = (uint64_t)r->count * r->length; len && from < at + size;) {
            uint64_t in = from - at;
            uint32_t skip = (uint32_t)(in % r->length), n = r->length - skip < len ? r->length - skip : len;
            add_piece(p, &(struct seg_piece){source, n, r->object + in / r->length, r->offset + skip});
            p->copies += n;
            from += n;
            len -= n;
        }
        at += (uint64_t)r->count * r->length;
    }
}

/* The span's bytes, by the cuts of its chunk. */
static void add_span(struct planner *p, const struct span *s)
{
    struct chunk *c = s->chunk;
    uint32_t end = s->from + s->length;
    for (unsigned i = 0; i < c->n_cuts; i++) {
        const struct cut *k = &c->cut[i];
        uint32_t from = k->from > s->from ? k->from : s->from;
        uint32_t to = k->from + k->length < end ? k->from + k->length : end;
        if (from >= to)
            continue;
        /* Asked again: since then it may have been refused. */
        if (k->place >= 0 && planner_may_use(p, c->source[k->place])) {
            add_copies(p, c, &c->places.place[k->place], from, to - from);
            continue;
        }
        add_literal(p, to - from);
        add_part(p, c, from, to - from);
    }
}

static void clear(struct planner *p)
{
    p->n_pieces = p->n_out_sources = p->n_parts = 0;
    p->literals = p->copies = 0;
    p->too_many = false;
}

static void build_pieces(struct planner *p, const struct block *b)
{
    uint32_t at = 0;
    clear(p);
    for (size_t i = 0; i < b->n_spans; i++) {
        const struct span *s = &b->spans[i];
        if (s->chunk->state != CHUNK_WHOLE)
            continue;
        add_literal(p, s->offset - at);
        planner_chunk_plan(p, s->chunk);
        add_span(p, s);
        at = s->offset + s->length;
    }
    add_literal(p, b->len - at);
}

static void build_plain(struct planner *p, const struct block *b)
{
    clear(p);
    for (size_t i = 0; i < b->n_spans; i++) {
        const struct span *s = &b->spans[i];
        if (s->chunk->state != CHUNK_WHOLE)
            continue;
        p->literals = s->offset + s->length;
        add_part(p, s->chunk, s->from, s->length);
    }
}

void planner_build(struct planner *p, const struct block *b, struct plan *out)
{
    build_pieces(p, b);
    /* Together they are the block: else a place had less than it said. */
    bool good = !p->too_many && p->copies >= WORTHWHILE && p->literals + p->copies == b->len;
    uint32_t copied = good ? p->copies : 0;
    if (!good)
        build_plain(p, b);
    *out = (struct plan){.handle = b->handle,
                         .object = b->object,
                         .data = b->data,
                         .len = b->len,
                         .copied = copied,
                         .pieces = p->pieces,
                         .n_pieces = p->n_pieces,
                         .sources = p->out_sources,
                         .n_sources = p->n_out_sources,
                         .parts = p->parts,
                         .n_parts = p->n_parts};
}
