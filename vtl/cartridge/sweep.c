/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sweep.c: finds what no head names among a cartridge's objects: what a lost gateway stored and never committed, an
 * upload whose answer came too late. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/lock.h"
#include "vtl/cartridge/commit_private.h"

struct listed {
    char key[DB_KEY_SIZE];
    struct seg_id id;
    bool map;
    uint64_t size;
};

struct listing {
    struct listed *v;
    size_t n, room;
    bool map;
    const char *prefix;
};

static int take(void *arg, const struct obj_entry *e)
{
    struct listing *l = arg;
    struct seg_id id;
    if (e->is_prefix || strlen(e->key) >= DB_KEY_SIZE || !object_name_at(e->key, l->prefix, &id))
        return 0; /* nothing that this program made */
    if (l->n == l->room && !array_grow(&l->v, &l->room, sizeof(*l->v)))
        return -ENOMEM;
    struct listed *o = &l->v[l->n++];
    *o = (struct listed){.id = id, .map = l->map, .size = e->size};
    memcpy(o->key, e->key, strlen(e->key) + 1);
    return 0;
}

static int list_objects(struct cartridge *c, struct listing *l, const struct obj_call *call, struct errtext *err)
{
    static const char *const kinds[] = {"seg", "map"};
    int rc = 0;
    for (int k = 0; !rc && k < 2; k++) {
        char prefix[DB_KEY_SIZE];
        (void)snprintf(prefix, sizeof(prefix), "tapes/%s/%s/", c->row.barcode, kinds[k]);
        l->map = k == 1;
        l->prefix = prefix;
        rc = c->eng->store->ops->list(c->eng->store, prefix, NULL, false, take, l, call, err);
        if (rc == -ENOMEM)
            errtext_set(err, rc, "%s: out of memory", prefix);
    }
    return rc;
}

/* The identifiers that the head names, in order; malloc'd. */
static struct seg_id *named(const struct cartridge *c, bool maps, size_t *n)
{
    lock_assert_held(&c->lock);
    *n = maps ? c->n_maps : c->live.n_segs;
    struct seg_id *ids = malloc((*n + 1) * sizeof(*ids));
    for (size_t i = 0; ids && i < *n; i++)
        ids[i] = maps ? c->maps[i].id : c->live.segs[i].id;
    if (ids && *n)
        qsort(ids, *n, sizeof(*ids), seg_id_order);
    return ids;
}

/* A higher epoch's objects, or a higher writer's of the same one, are somebody's who may be about to take over (I7). */
static bool is_above(const struct seg_id *id, const struct seg_id *head)
{
    return id->epoch > head->epoch || (id->epoch == head->epoch && id->writer > head->writer);
}

/* The head holds just what live is: nothing is being written, stored or committed. */
static bool is_at_rest(const struct cartridge *c)
{
    lock_assert_held(&c->lock);
    return c->loaded && c->owner != CARTRIDGE_FENCED && cartridge_is_committed(c) && !c->n_pending && !c->doomed;
}

/* What of the listing no head names goes to its front, all of which is garbage. Of that *needed, at its end, are leaned on by
 * others, and stay for now (which is looked at once more when it is deleted). */
static int keep_strays(struct cartridge *c, const struct kept *kept, struct listing *l, size_t *needed)
{
    lock_assert_held(&c->lock);
    size_t n_segs = 0, n_maps = 0, strays = 0;
    struct seg_id *segs = named(c, false, &n_segs), *maps = named(c, true, &n_maps);
    for (size_t i = 0; segs && maps && i < l->n; i++) {
        const struct listed *o = &l->v[i];
        bool is_named =
            bsearch(&o->id, o->map ? maps : segs, o->map ? n_maps : n_segs, sizeof(*segs), seg_id_order) != NULL;
        if (!is_named && !is_above(&o->id, &c->row.head))
            l->v[strays++] = *o;
    }
    int rc = segs && maps ? 0 : -ENOMEM;
    l->n = strays;
    *needed = 0;
    for (size_t i = strays; i--;) {
        struct listed o = l->v[i];
        if (o.map || !kept_has(kept, &o.id))
            continue;
        l->v[i] = l->v[strays - ++*needed];
        l->v[strays - *needed] = o;
    }
    free(segs);
    free(maps);
    return rc;
}

/* What others need, too: it is looked at again with each commit and load, and goes when they need it no more. */
static int doom(struct cartridge *c, const struct listing *l)
{
    const char **keys = malloc((l->n + 1) * sizeof(*keys));
    for (size_t i = 0; keys && i < l->n; i++)
        keys[i] = l->v[i].key;
    int rc = keys ? db_garbage_add(c->eng->db, c->row.rowid, keys, l->n) : -ENOMEM;
    free(keys);
    if (!rc)
        rc = commit_collect(c);
    if (!rc)
        c->due &= ~(unsigned)DUE_GARBAGE;
    return rc;
}

static int looked(struct cartridge *c, struct errtext *err)
{
    bool was = c->row.rebuilt;
    c->row.rebuilt = false;
    c->due &= ~(unsigned)DUE_SWEEP;
    int rc = was ? db_cartridge_update(c->eng->db, &c->row) : 0;
    if (rc) {
        c->row.rebuilt = true;
        c->due |= DUE_SWEEP;
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    }
    return rc;
}

int commit_sweep(struct cartridge *c, bool look, bool dry_run, struct sweep *found, const struct obj_call *call,
                 struct errtext *err)
{
    struct listing l = {.n = 0};
    struct kept *kept = NULL;
    size_t needed = 0;
    *found = (struct sweep){0};
    int rc = look ? list_objects(c, &l, call, err) : 0;
    if (!rc && look)
        rc = commit_kept(c, false, &kept, call, err);
    lock_take(&c->lock);
    if (!rc && !is_at_rest(c))
        rc = errtext_set(err, -EAGAIN, "%s: it is being written, stored or taken over: not looked at now",
                         c->row.barcode);
    else if (!rc && ((rc = keep_strays(c, kept, &l, &needed)) || (!dry_run && (rc = doom(c, &l)))))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, rc == -ENOMEM ? "out of memory" : db_error(c->eng->db));
    if (!rc && look && !dry_run)
        rc = looked(c, err);
    lock_release(&c->lock);
    for (size_t i = 0; !rc && i < l.n - needed; i++) {
        found->objects++;
        found->bytes += l.v[i].size;
    }
    free(l.v);
    kept_free(kept);
    return rc;
}
