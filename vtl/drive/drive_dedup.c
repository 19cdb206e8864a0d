/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_dedup.c: while a drive streams to a cartridge that is stored without what others hold: of which pieces each block
 * is made. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vtl/dedup/planner.h"
#include "vtl/drive/drive_private.h"
#include "vtl/state/chunk_index.h"

/* After a source was refused, blocks that would copy are stored as they are for so long, without a question for each. */
#define ASK_AGAIN_MS 5000

/* ---- what the planner asks; on the queue's threads ---- */

static void find(void *arg, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool again, struct chunk_places *out)
{
    const struct drive *d = arg;
    chunk_index_find(d->eng->chunks, id, length, again, out);
}

static bool may_use(void *arg, const struct seg_source *s)
{
    const struct drive *d = arg;
    return d->eng->may_copy && d->eng->may_copy(d->eng->may_copy_arg, d->c, s);
}

/* ---- what the queue asks ---- */

/* What waits is of one key, or of none; behind it, while the drive streams on, the next block may be of another. */
static void set_key(struct drive *d, const struct seg_key *key)
{
    if (!planner_held(d->planner))
        (void)planner_key(d->planner, key ? key->key : NULL);
}

bool drive_plan(void *arg, struct behind_block *b, const struct seg_key *key)
{
    struct drive *d = arg;
    if (!b->filemarks) /* which are of no key */
        set_key(d, key);
    return !planner_push(d->planner, b, b->object, b->data, b->len);
}

/* A copy of the plan, in one piece of memory. NULL: the block is stored as it is, which is always possible. */
static struct seg_make *keep(const struct plan *p)
{
    size_t sources = p->n_sources * sizeof(*p->sources), pieces = p->n_pieces * sizeof(*p->pieces),
           parts = p->n_parts * sizeof(*p->parts);
    if (!sources && !parts)
        return NULL;
    struct seg_make *m = malloc(sizeof(*m) + sources + pieces + parts);
    if (!m)
        return NULL;
    uint8_t *to = (uint8_t *)(m + 1);
    *m = (struct seg_make){
        .n_sources = (uint32_t)p->n_sources, .n_pieces = (uint32_t)p->n_pieces, .n_parts = (uint32_t)p->n_parts};
    m->sources = sources ? memcpy(to, p->sources, sources) : NULL;
    m->pieces = pieces ? memcpy(to + sources, p->pieces, pieces) : NULL;
    m->parts = parts ? memcpy(to + sources + pieces, p->parts, parts) : NULL;
    return m;
}

struct behind_block *drive_planned(void *arg, bool drain)
{
    struct drive *d = arg;
    struct plan p;
    if (!planner_next(d->planner, drain, &p))
        return NULL;
    struct behind_block *b = p.handle;
    b->make = keep(&p);
    planner_pop(d->planner);
    return b;
}

bool drive_plan_help(void *arg)
{
    struct drive *d = arg;
    return planner_help(d->planner);
}

bool drive_ask_again(struct drive *d, const struct seg_make *m)
{
    if (!m || clock_ms() < d->ask_again_at)
        return false;
    for (uint32_t i = 0; i < m->n_sources; i++)
        if (!may_use(d, &m->sources[i])) {
            d->ask_again_at = clock_ms() + ASK_AGAIN_MS;
            return false;
        }
    return true;
}

/* ---- the drive's side ---- */

bool drive_dedups(const struct drive *d)
{
    return d->eng->chunks && cartridge_dedups(d->c);
}

uint64_t drive_dedup_room(const struct drive *d)
{
    const struct planner_config config = PLANNER_DEFAULTS;
    return d->eng->chunks ? config.window : 0;
}

void drive_dedup_passed(struct drive *d, const void *block, uint32_t len, const struct seg_key *key)
{
    if (!d->streaming || !d->planner || !drive_dedups(d))
        return;
    set_key(d, key);
    planner_pass(d->planner, block, len);
}

bool drive_dedup_begin(struct drive *d)
{
    static const struct planner_ops ops = {.find = find, .may_use = may_use};
    struct planner_config config = PLANNER_DEFAULTS;
    if (!drive_dedups(d))
        return false;
    if (d->planner && d->planner_mount != d->medium_changes) {
        planner_free(d->planner);
        d->planner = NULL;
    }
    config.cut = config_cuts(d->eng->cfg, cartridge_barcode(d->c));
    if (!d->planner)
        d->planner = planner_new(&config, &ops, d);
    d->planner_mount = d->medium_changes;
    if (d->planner)
        planner_reset(d->planner);
    return d->planner != NULL;
}
