/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_leans.c: what a head says of leaning: what its segments lean on, and who leans on the cartridge (lend.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/cartridge/commit_private.h"
#include "vtl/cartridge/object_lock.h"

/* ---- what a head says ---- */

struct adding {
    struct leans *to;
    uint32_t segment;
};

static int add_lean(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    struct adding *a = arg;
    (void)segment;
    return leans_add(a->to, a->segment, s);
}

int commit_read_leans(struct cartridge *c, size_t first, size_t n, struct leans *out)
{
    bool any = false;
    int rc = db_has_leans(c->eng->db, c->row.rowid, &any);
    lock_assert_held(&c->lock);
    for (size_t i = 0; !rc && any && i < n; i++) {
        struct adding a = {out, (uint32_t)i};
        rc = db_leans(c->eng->db, c->row.rowid, &c->live.segs[first + i].id, add_lean, &a);
    }
    return rc;
}

static int add_leaner(void *arg, const struct db_leaner *l)
{
    struct head *h = arg;
    struct head_leaner *v = realloc(h->leaners, (h->n_leaners + 1) * sizeof(*v));
    if (!v)
        return -ENOMEM;
    h->leaners = v;
    h->leaners[h->n_leaners++] = l->wanted;
    return 0;
}

int commit_fill_leaners(struct cartridge *c, struct head *h)
{
    return db_leaners(c->eng->db, c->row.rowid, add_leaner, h);
}

/* One source often serves several segments that wait. */
static bool is_known(const struct leans *l, const struct seg_source *s)
{
    size_t back = l->n < 64 ? l->n : 64;
    for (size_t i = l->n - back; i < l->n; i++)
        if (!seg_id_compare(&l->v[i].source.id, &s->id) && !strcmp(l->v[i].source.barcode, s->barcode))
            return true;
    return false;
}

static int add_pending(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    struct head *h = arg;
    (void)segment;
    return is_known(&h->pending, s) ? 0 : leans_add(&h->pending, 0, s);
}

int commit_fill_pending(struct cartridge *c, size_t named, struct head *h)
{
    bool any = false;
    int rc = db_has_leans(c->eng->db, c->row.rowid, &any);
    lock_assert_held(&c->lock);
    leans_free(&h->pending);
    for (size_t i = named; !rc && any && i < c->live.n_segs; i++)
        rc = db_leans(c->eng->db, c->row.rowid, &c->live.segs[i].id, add_pending, h);
    if (h->pending.n)
        h->at_rest = false;
    return rc;
}

int commit_fill_rest(struct cartridge *c, bool whole, struct head *h)
{
    bool any = false;
    int rc = db_has_leans(c->eng->db, c->row.rowid, &any);
    lock_assert_held(&c->lock);
    h->at_rest = (any || c->leaning) && whole && c->open.state == OPEN_CLOSED && !c->n_pending;
    if (h->at_rest)
        c->rested = h->id.number;
    return rc;
}

/* ---- and when it comes to lean ---- */

static bool holds(const struct cartridge *c, const struct seg_id *id)
{
    lock_assert_held(&c->lock);
    for (size_t i = c->live.n_segs; i--;)
        if (!seg_id_compare(&c->live.segs[i].id, id))
            return true;
    return false;
}

bool cartridge_holds(struct cartridge *c, const struct seg_id *id)
{
    lock_take(&c->lock);
    bool is = holds(c, id);
    lock_release(&c->lock);
    return is;
}

/* A tape may lean on what it had before it was written over, though the state still has that until this segment is synced: it
 * is garbage then, and kept for this lean. Never on what it holds: its segments would have to outlive each other. */
int cartridge_lean(struct cartridge *c, const struct seg_source *s)
{
    lock_assert_held(&c->lock);
    if (!memcmp(s->cartridge, c->row.id, sizeof(s->cartridge)) && holds(c, &s->id))
        return -ESTALE;
    if (c->open.state != OPEN_DIRTY && c->open.state != OPEN_SYNCED)
        return -EINVAL;
    int rc = object_lock_before_lean(c);
    return rc ? rc : db_lean_add(c->eng->db, c->row.rowid, &c->open.id, c->rested, s);
}
