/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner_chunks.c: the chunks of the blocks that are held: their ids, where they are, and from where they are copied. */
#include "vtl/dedup/planner_private.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/check.h"
#include "base/clock.h"

/* How many of the chunks before one that is found are looked for again. */
#define LOOK_BACK 64

/* ---- their life ---- */

static struct chunk *new_chunk(struct planner *p)
{
    struct chunk *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->refs = 1;
    c->prev = p->last_chunk;
    if (c->prev)
        c->prev->next = c;
    else
        p->first_chunk = c;
    p->last_chunk = c;
    return c;
}

static void drop_pieces(struct chunk *c)
{
    free(c->pieces);
    c->pieces = NULL;
    c->n_pieces = c->pieces_room = 0;
}

static void drop_places(struct planner *p, struct chunk *c)
{
    for (unsigned i = 0; i < c->places.n; i++)
        if (c->source[i])
            sources_put(&p->sources, c->source[i]);
    chunk_places_free(&c->places);
}

void planner_chunk_put(struct planner *p, struct chunk *c)
{
    INVARIANT(c->refs);
    if (--c->refs)
        return;
    *(c->prev ? &c->prev->next : &p->first_chunk) = c->next;
    *(c->next ? &c->next->prev : &p->last_chunk) = c->prev;
    drop_places(p, c);
    drop_pieces(c);
    free(c);
}

/* ---- where they are ---- */

/* Takes what was found; true: of a source that was not in sight. */
static bool take_places(struct planner *p, struct chunk *c)
{
    bool any = false;
    for (unsigned i = 0; i < c->places.n; i++) {
        bool fresh;
        c->source[i] = sources_get(&p->sources, &c->places.place[i].source, &fresh);
        if (!c->source[i])
            continue; /* out of memory: not used */
        sources_seen(&p->sources, c->source[i], c->places.place[i].length);
        any = any || fresh;
    }
    return any;
}

/* The index may know only some chunks of a segment by themselves, and the others once one of these was found. */
static void look_back(struct planner *p, const struct chunk *found)
{
    unsigned n = 0;
    for (struct chunk *c = found->prev; c && n < LOOK_BACK; c = c->prev, n++) {
        if (c->state != CHUNK_WHOLE || c->places.n || c->planned)
            continue;
        p->ops->find(p->arg, c->id, c->length, true, &c->places);
        (void)take_places(p, c);
    }
}

void planner_look_up(struct planner *p, bool all)
{
    for (struct chunk *c; (c = names_take(&p->names, all)); planner_chunk_put(p, c)) {
        drop_pieces(c);
        if (c->state != CHUNK_WHOLE)
            continue;
        p->ops->find(p->arg, c->id, c->length, false, &c->places);
        if (take_places(p, c))
            look_back(p, c);
    }
}

void planner_drop_nameless(struct planner *p)
{
    struct chunk *c;
    while ((c = names_drop(&p->names)))
        planner_chunk_put(p, c);
}

/* ---- as the stream tells of them ---- */

static void on_begin(void *arg)
{
    struct planner *p = arg;
    INVARIANT(!p->open);
    p->open = new_chunk(p);
}

/* The one whose bytes came. NULL: there was no memory for it. */
static struct chunk *close_chunk(struct planner *p)
{
    struct chunk *c = p->open;
    p->open = NULL;
    return c;
}

static void on_abandon(void *arg)
{
    struct planner *p = arg;
    struct chunk *c = close_chunk(p);
    if (!c)
        return;
    c->state = CHUNK_NONE;
    planner_chunk_put(p, c);
}

static bool add_span(struct block *b, struct chunk *c, uint32_t offset, uint32_t len)
{
    struct span *last = b->n_spans ? &b->spans[b->n_spans - 1] : NULL;
    if (last && last->chunk == c && last->offset + last->length == offset) {
        last->length += len;
        return true;
    }
    if (b->n_spans == b->room && !array_grow(&b->spans, &b->room, sizeof(*b->spans)))
        return false;
    b->spans[b->n_spans++] = (struct span){c, offset, c->length, len};
    c->refs++;
    return true;
}

static bool add_bytes(struct chunk *c, const uint8_t *data, uint32_t len)
{
    struct chunk_bytes *last = c->n_pieces ? &c->pieces[c->n_pieces - 1] : NULL;
    if (last && last->p + last->n == data) {
        last->n += len;
        return true;
    }
    if (c->n_pieces == c->pieces_room && !array_grow(&c->pieces, &c->pieces_room, sizeof(*c->pieces)))
        return false;
    c->pieces[c->n_pieces++] = (struct chunk_bytes){data, len};
    return true;
}

static void on_bytes(void *arg, uint32_t offset, const uint8_t *data, uint32_t len)
{
    struct planner *p = arg;
    struct chunk *c = p->open;
    if (!c || c->state != CHUNK_OPEN)
        return; /* out of memory, or decided already */
    if (!p->fed || !add_bytes(c, data, len) || !add_span(p->fed, c, offset, len))
        c->state = CHUNK_NONE; /* also if some of it is in a block that was only passed */
    c->length += len;
}

static void on_end(void *arg)
{
    struct planner *p = arg;
    struct chunk *c = close_chunk(p);
    if (c && c->state == CHUNK_OPEN)
        names_add(&p->names, c);
    else if (c)
        planner_chunk_put(p, c);
}

const struct chunk_events planner_chunk_events = {on_begin, on_bytes, on_end, on_abandon};

/* ---- from where they are copied ---- */

bool planner_may_use(struct planner *p, struct source *s)
{
    uint64_t now = clock_ms();
    if (!s->answered || now - s->answered_at >= PLANNER_REMEMBER_MS) {
        s->usable = p->ops->may_use(p->arg, &s->s);
        s->answered = true;
        s->answered_at = now;
    }
    return s->usable;
}

static uint32_t end_of(const struct chunk_place *x)
{
    return x->from + x->length;
}

/* Of two places that have the same byte: the one that goes on longer, else the one that was copied from last, else the
 * one of which more is wanted. */
static bool is_better(const struct planner *p, const struct chunk *c, unsigned a, unsigned b)
{
    uint32_t ends_a = end_of(&c->places.place[a]), ends_b = end_of(&c->places.place[b]);
    if (ends_a != ends_b)
        return ends_a > ends_b;
    if ((c->source[a] == p->sources.last) != (c->source[b] == p->sources.last))
        return c->source[a] == p->sources.last;
    return c->source[a]->possible > c->source[b]->possible;
}

static void add_cut(struct chunk *c, uint32_t from, uint32_t to, int place)
{
    INVARIANT(c->n_cuts < sizeof(c->cut) / sizeof(c->cut[0]));
    c->cut[c->n_cuts++] = (struct cut){from, to - from, place};
}

/* The place that has the byte at pos; -1: none, up to *to. */
static int choose(const struct planner *p, const struct chunk *c, const bool *usable, uint32_t pos, uint32_t *to)
{
    int best = -1;
    *to = c->length;
    for (unsigned i = 0; i < c->places.n; i++) {
        const struct chunk_place *x = &c->places.place[i];
        if (!usable[i] || end_of(x) <= pos)
            continue;
        if (x->from > pos)
            *to = x->from < *to ? x->from : *to;
        else if (best < 0 || is_better(p, c, i, (unsigned)best))
            best = (int)i;
    }
    if (best >= 0)
        *to = end_of(&c->places.place[best]);
    return best;
}

void planner_chunk_plan(struct planner *p, struct chunk *c)
{
    bool usable[CHUNK_MAX_PLACES];
    if (c->planned)
        return;
    c->planned = true;
    for (unsigned i = 0; i < c->places.n; i++)
        usable[i] = c->source[i] && sources_fair(&p->sources, c->source[i]) && planner_may_use(p, c->source[i]);
    for (uint32_t pos = 0, to; pos < c->length; pos = to) {
        int place = choose(p, c, usable, pos, &to);
        add_cut(c, pos, to, place);
        if (place >= 0)
            p->sources.last = c->source[place];
    }
}
