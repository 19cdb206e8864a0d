/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner_sources.c: the sources in sight, and how much could be copied from each. */
#include "vtl/dedup/planner_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

static struct source **bucket_of(struct sources *t, const struct seg_id *id)
{
    return &t->bucket[(id->number ^ id->writer ^ id->epoch) % SOURCE_BUCKETS];
}

static struct source *find(struct sources *t, const struct seg_source *s)
{
    struct source *x = *bucket_of(t, &s->id);
    while (x && !seg_source_same(&x->s, s))
        x = x->next;
    return x;
}

static void drop(struct sources *t, struct source *s)
{
    if (s->refs || s->in_sight)
        return;
    struct source **b = bucket_of(t, &s->s.id);
    while (*b != s)
        b = &(*b)->next;
    *b = s->next;
    if (t->last == s)
        t->last = NULL;
    free(s);
}

struct source *sources_get(struct sources *t, const struct seg_source *s, bool *fresh)
{
    struct source *x = find(t, s);
    *fresh = !x;
    if (!x) {
        x = malloc(sizeof(*x));
        if (!x)
            return NULL;
        struct source **b = bucket_of(t, &s->id);
        *x = (struct source){.next = *b, .s = *s};
        *b = x;
    }
    x->refs++;
    return x;
}

void sources_put(struct sources *t, struct source *s)
{
    INVARIANT(s->refs);
    s->refs--;
    drop(t, s);
}

/* ---- which are in sight ---- */

static void unlink_source(struct sources *t, struct source *s)
{
    *(s->newer ? &s->newer->older : &t->newest) = s->older;
    *(s->older ? &s->older->newer : &t->oldest) = s->newer;
}

static void lose_sight(struct sources *t, struct source *s)
{
    unlink_source(t, s);
    t->n--;
    s->in_sight = s->is_fair = false;
    s->possible = 0;
    drop(t, s);
}

void sources_seen(struct sources *t, struct source *s, uint64_t bytes)
{
    if (s->in_sight)
        unlink_source(t, s);
    else
        t->n++;
    s->in_sight = true;
    s->newer = NULL;
    s->older = t->newest;
    *(s->older ? &s->older->newer : &t->oldest) = s;
    t->newest = s;
    s->possible += bytes;
    if (s->possible * 100 >= s->s.size * t->fair)
        s->is_fair = true;
    if (t->n > t->most)
        lose_sight(t, t->oldest);
}

/* Is the segment that was written so many after it one that is wanted? */
static bool is_neighbour_fair(struct sources *t, const struct source *s, int after)
{
    const struct seg_id id = {s->s.id.epoch, s->s.id.writer, s->s.id.number + (uint64_t)(int64_t)after};
    const struct source *x = *bucket_of(t, &id);
    while (x && (seg_id_compare(&x->s.id, &id) || memcmp(x->s.cartridge, s->s.cartridge, sizeof(s->s.cartridge)) != 0))
        x = x->next;
    return x && x->is_fair;
}

bool sources_fair(struct sources *t, const struct source *s)
{
    return s->is_fair || is_neighbour_fair(t, s, -1) || is_neighbour_fair(t, s, 1);
}

void sources_refuse(struct sources *t, const struct seg_source *s)
{
    struct source *x = find(t, s);
    if (!x)
        return;
    x->answered = true;
    x->usable = false;
    x->answered_at = clock_ms();
}

void sources_fini(struct sources *t)
{
    for (struct source *s = t->newest, *older; s; s = older) {
        older = s->older;
        INVARIANT(!s->refs);
        free(s);
    }
    *t = (struct sources){0};
}
