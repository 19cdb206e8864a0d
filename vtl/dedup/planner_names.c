/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner_names.c: chunks get their ids, from any thread that has time. */
#include "base/check.h"
#include "vtl/dedup/planner_private.h"

/*
 * Hashing is most of what deduplication costs: SHA-256 does 0.4 to 2.5 GB/s on one core, a drive takes 1.5. So a chunk only
 * waits here once it is complete, and whoever has nothing better to do makes its id. What follows from ids is done by the
 * planner's thread, in order of the stream.
 */

void names_init(struct names *n)
{
    lock_init(&n->lock, LOCK_CHUNK_NAMES);
    cond_init(&n->made);
    n->tail = &n->first;
}

void names_fini(struct names *n)
{
    INVARIANT(!n->first && !n->bytes);
    cond_fini(&n->made);
    lock_fini(&n->lock);
}

void names_add(struct names *n, struct chunk *c)
{
    c->state = CHUNK_NAMELESS;
    lock_take(&n->lock);
    *n->tail = c;
    n->tail = &c->next_nameless;
    if (!n->waiting)
        n->waiting = c;
    n->bytes += c->length;
    lock_release(&n->lock);
}

/* Releases the lock meanwhile. */
static void make_first_waiting(struct names *n)
{
    lock_assert_held(&n->lock);
    struct chunk *c = n->waiting;
    n->waiting = c->next_nameless;
    lock_release(&n->lock);
    bool failed = chunk_hash_id(n->hash, c->pieces, c->n_pieces, c->id) != 0;
    lock_take(&n->lock);
    c->name = failed ? NAME_FAILED : NAME_MADE;
    cond_broadcast(&n->made);
}

bool names_help(struct names *n)
{
    lock_take(&n->lock);
    bool any = n->waiting != NULL;
    if (any)
        make_first_waiting(n);
    lock_release(&n->lock);
    return any;
}

static struct chunk *remove_first(struct names *n)
{
    lock_assert_held(&n->lock);
    struct chunk *c = n->first;
    n->first = c->next_nameless;
    if (!n->first)
        n->tail = &n->first;
    if (n->waiting == c)
        n->waiting = n->first;
    n->bytes -= c->length;
    c->state = c->name == NAME_MADE ? CHUNK_WHOLE : CHUNK_NONE;
    return c;
}

struct chunk *names_take(struct names *n, bool wait)
{
    lock_take(&n->lock);
    while (wait && n->first && !n->first->name) {
        if (n->waiting)
            make_first_waiting(n);
        else
            cond_wait(&n->made, &n->lock);
    }
    struct chunk *c = n->first && n->first->name ? remove_first(n) : NULL;
    lock_release(&n->lock);
    return c;
}

struct chunk *names_drop(struct names *n)
{
    lock_take(&n->lock);
    struct chunk *c = n->first ? remove_first(n) : NULL;
    lock_release(&n->lock);
    return c;
}
