/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner.c: see planner.h. Blocks go in and out; what is in between is in the other files. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "vtl/dedup/planner_private.h"

/* Of each block that is held: its node, its spans, and what malloc adds. */
#define OVERHEAD 512u

struct planner *planner_new(const struct planner_config *config, const struct planner_ops *ops, void *arg)
{
    struct planner *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->config = *config;
    p->ops = ops;
    p->arg = arg;
    p->tail = &p->head;
    names_init(&p->names);
    p->names.hash = p->hash = chunk_hash_new();
    p->pieces = calloc(SEG_MAX_PIECES, sizeof(*p->pieces));
    p->out_sources = calloc(SEG_MAX_SOURCES, sizeof(*p->out_sources));
    pbs_stream_init(&p->pbs, &planner_chunk_events, p);
    cut_stream_init(&p->other, &planner_chunk_events, p);
    p->sources.most = config->sight;
    p->sources.fair = config->fair;
    if (p->hash && p->pieces && p->out_sources)
        return p;
    planner_free(p);
    return NULL;
}

/* What comes next does not follow what was. */
static void forget_stream(struct planner *p)
{
    pbs_stream_reset(&p->pbs);
    cut_stream_reset(&p->other);
}

static void read_block(struct planner *p, const void *data, uint32_t len)
{
    if (!len) {
        forget_stream(p);
    } else if (p->config.cut && !pbs_is_block(data, len)) {
        pbs_stream_reset(&p->pbs);
        cut_stream_block(&p->other, data, len);
    } else {
        cut_stream_reset(&p->other);
        pbs_stream_block(&p->pbs, data, len);
    }
}

static void free_block(struct planner *p, struct block *b)
{
    for (size_t i = 0; i < b->n_spans; i++)
        planner_chunk_put(p, b->spans[i].chunk);
    free(b->spans);
    free(b);
}

void planner_free(struct planner *p)
{
    if (!p)
        return;
    forget_stream(p);
    planner_drop_nameless(p);
    while (p->head)
        planner_pop(p);
    INVARIANT(!p->first_chunk && !p->open);
    names_fini(&p->names);
    sources_fini(&p->sources);
    chunk_hash_free(p->hash);
    free(p->pieces);
    free(p->out_sources);
    free(p->parts);
    free(p);
}

int planner_key(struct planner *p, const uint8_t *key)
{
    INVARIANT(!p->head && !p->names.first);
    if (chunk_hash_has(p->hash, key))
        return 0;
    forget_stream(p);
    return chunk_hash_key(p->hash, key);
}

static uint64_t cost(const struct block *b)
{
    return (uint64_t)b->len + OVERHEAD;
}

int planner_push(struct planner *p, void *handle, uint64_t object, const void *data, uint32_t len)
{
    struct block *b = calloc(1, sizeof(*b));
    if (!b) {
        forget_stream(p); /* the stream lacks this one */
        return -ENOMEM;
    }
    *b = (struct block){.handle = handle, .object = object, .data = data, .len = len};
    *p->tail = b;
    p->tail = &b->next;
    p->held += cost(b);
    p->fed = b;
    read_block(p, data, len);
    p->fed = NULL;
    return 0;
}

void planner_pass(struct planner *p, const void *data, uint32_t len)
{
    INVARIANT(!p->head);
    read_block(p, data, len);
}

void planner_reset(struct planner *p)
{
    forget_stream(p);
}

/* Is there nothing to wait for? */
static bool is_literal(const struct block *b)
{
    for (size_t i = 0; i < b->n_spans; i++)
        if (b->spans[i].chunk->state != CHUNK_NONE)
            return false;
    return true;
}

/* Is it to be decided? What has no id yet shows nothing. */
static bool is_due(const struct planner *p, const struct block *b)
{
    bool nameless = false;
    for (size_t i = 0; i < b->n_spans; i++)
        nameless = nameless || b->spans[i].chunk->state == CHUNK_NAMELESS;
    return is_literal(b) || (!nameless && p->held - p->names.bytes > p->config.window);
}

bool planner_next(struct planner *p, bool drain, struct plan *out)
{
    struct block *b = p->head;
    planner_look_up(p, drain);
    if (!b || !(drain || is_due(p, b)))
        return false;
    for (size_t i = 0; i < b->n_spans; i++)
        if (b->spans[i].chunk->state == CHUNK_OPEN)
            b->spans[i].chunk->state = CHUNK_NONE;
    planner_build(p, b, out);
    return true;
}

bool planner_help(struct planner *p)
{
    return names_help(&p->names);
}

void planner_pop(struct planner *p)
{
    struct block *b = p->head;
    p->head = b->next;
    if (!p->head)
        p->tail = &p->head;
    p->held -= cost(b);
    free_block(p, b);
}

void planner_refuse(struct planner *p, const struct seg_source *s)
{
    sources_refuse(&p->sources, s);
}

uint64_t planner_held(const struct planner *p)
{
    return p->held;
}
