/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object_lock.c: see object_lock.h. */
#include "vtl/cartridge/object_lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/many.h"

#define DAY_S 86400
#define AGAIN_MS 30000
#define BATCH 64 /* objects that are locked between two looks at the cartridge */

struct obj_lock object_lock_wanted(struct engine *e, const struct retention *r)
{
    struct obj_lock none = {.until = 0};
    if (!atomic_load(&e->live.object_lock) || !objstore_lockable(e->store) ||
        !retention_holds(r, engine_earliest_time(e)))
        return none;
    return (struct obj_lock){.compliance = r->mode == RETENTION_COMPLIANCE,
                             .until = (r->until + DAY_S - 1) / DAY_S * DAY_S};
}

static struct retention as_retention(const struct obj_lock *l)
{
    enum retention_mode mode = !l->until ? RETENTION_NONE : l->compliance ? RETENTION_COMPLIANCE : RETENTION_GOVERNANCE;
    return (struct retention){mode, l->until};
}

/* No object has less of it than that from now on; some may have no more. */
static int lower(struct cartridge *c, const struct retention *to)
{
    struct db_cartridge row = c->row;
    lock_assert_held(&c->lock);
    if (to->mode >= row.object_lock.mode && to->until >= row.object_lock.until)
        return 0;
    row.object_lock.mode = to->mode < row.object_lock.mode ? to->mode : row.object_lock.mode;
    row.object_lock.until = to->until < row.object_lock.until ? to->until : row.object_lock.until;
    if (!row.object_lock.mode)
        row.object_lock.until = 0;
    int rc = db_cartridge_update(c->eng->db, &row);
    if (!rc)
        cartridge_set_row(c, &row);
    return rc;
}

int object_lock_before_put(struct cartridge *c, struct obj_lock *out)
{
    *out = object_lock_wanted(c->eng, &c->row.retention);
    const struct retention r = as_retention(out);
    return lower(c, &r);
}

int object_lock_before_lean(struct cartridge *c)
{
    const struct retention none = {.mode = RETENTION_NONE};
    c->locking.until = 0; /* from the beginning, as what it leans on now may come before what is done */
    return lower(c, &none);
}

bool object_lock_due(const struct cartridge *c)
{
    const struct obj_lock l = object_lock_wanted(c->eng, &c->row.retention);
    const struct retention r = as_retention(&l), *has = &c->row.object_lock;
    bool others = c->owner == CARTRIDGE_FENCED || (c->owner == CARTRIDGE_UNCLAIMED && c->row.rebuilt);
    lock_assert_held(&c->lock);
    return !others && r.mode && (has->mode < r.mode || has->until < r.until);
}

bool object_lock_is_work(const struct cartridge *c)
{
    return c->owner == CARTRIDGE_OWNED && object_lock_due(c);
}

bool object_lock_may_try(const struct cartridge *c)
{
    return object_lock_is_work(c) && clock_ms() >= c->lock_again;
}

/* ---- some at a time ---- */

struct item {
    char key[DB_KEY_SIZE];
    int rc;
    struct errtext err;
};

struct batch {
    struct cartridge *c;
    const struct obj_call *call;
    struct obj_lock lock;
    struct item *items;
    size_t n, segs;                /* of them, segments of the cartridge itself */
    struct seg_source last_source; /* the last one that it leans on */
    bool is_last;                  /* nothing is left behind these */
    struct seg_id head;            /* whose maps they are */
    struct errtext *err;
};

static void add(struct batch *b, const char *barcode, const char *kind, const struct seg_id *id)
{
    object_key(b->items[b->n++].key, barcode, kind, id);
}

static int add_source(void *arg, const struct seg_source *s)
{
    struct batch *b = arg;
    if (b->n == BATCH)
        return 1;
    add(b, s->barcode, "seg", &s->id);
    b->last_source = *s;
    return 0;
}

/* Segments, then what they lean on, then the maps: these all together, as each commit may exchange them. */
static int choose(struct batch *b)
{
    struct cartridge *c = b->c;
    lock_assert_held(&c->lock);
    b->items = calloc(BATCH + c->n_maps, sizeof(*b->items));
    if (!b->items)
        return -ENOMEM;
    for (; c->locked_segs + b->segs < c->live.n_segs && b->n < BATCH; b->segs++)
        add(b, c->row.barcode, "seg", &c->live.segs[c->locked_segs + b->segs].id);
    b->last_source = c->locked_source;
    b->head = c->row.head;
    int rc = db_sources(c->eng->db, c->row.rowid, &c->locked_source, add_source, b);
    if (rc < 0)
        return rc;
    b->is_last = rc == 0 && c->locked_segs + b->segs == c->live.n_segs;
    for (size_t i = 0; b->is_last && i < c->n_maps; i++)
        add(b, c->row.barcode, "map", &c->maps[i].id);
    return 0;
}

/* Something came since the job was chosen, and is on its way with the lock that was wanted then: it is not there yet, and would
 * pass for gone. */
static bool is_stored(const struct cartridge *c)
{
    lock_assert_held(&c->lock);
    return !c->n_pending && cartridge_is_committed(c);
}

/* False: there is nothing to lock now. */
static bool begin(struct batch *b, int *rc)
{
    struct cartridge *c = b->c;
    lock_take(&c->lock);
    bool due = object_lock_due(c) && is_stored(c);
    b->lock = object_lock_wanted(c->eng, &c->row.retention);
    if (due && (c->locking.until != b->lock.until || c->locking.compliance != b->lock.compliance)) {
        c->locking = b->lock;
        c->locked_segs = 0;
        c->locked_source = (struct seg_source){.barcode = ""};
    }
    *rc = due ? choose(b) : 0;
    lock_release(&c->lock);
    return due && !*rc;
}

static void lock_item(void *arg, size_t i)
{
    struct batch *b = arg;
    struct item *it = &b->items[i];
    struct objstore *store = b->c->eng->store;
    it->rc = objstore_lock(store, it->key, &b->lock, b->call, &it->err);
}

/* One that is not there cannot be locked: whoever reads it, or verifies it, is told. */
static int take_item(void *arg, size_t i)
{
    struct batch *b = arg;
    const struct item *it = &b->items[i];
    if (it->rc == -ENOENT)
        log_warn("%s: cannot be locked: %s", it->key, it->err.text);
    return !it->rc || it->rc == -ENOENT ? 0 : errtext_set(b->err, it->rc, "%s", it->err.text);
}

/* All that a batch has is locked. */
static int note(struct batch *b)
{
    struct cartridge *c = b->c;
    lock_assert_held(&c->lock);
    if (c->locking.until != b->lock.until || c->locking.compliance != b->lock.compliance)
        return 0; /* another lock is wanted by now, or of more */
    c->locked_segs += b->segs;
    c->locked_source = b->last_source;
    if (!b->is_last || seg_id_compare(&b->head, &c->row.head) || c->locked_segs < c->live.n_segs)
        return 0;
    struct db_cartridge row = c->row;
    row.object_lock = as_retention(&b->lock);
    return cartridge_change_row(c, &row);
}

/* 0, -ECANCELED, or what failed. */
static int lock_batch(struct batch *b)
{
    struct cartridge *c = b->c;
    int rc = 0;
    if (!begin(b, &rc))
        return rc ? errtext_set(b->err, rc, "%s: object lock: %s", c->row.barcode, strerror(-rc)) : 0;
    const struct many m = {
        .n = b->n, .parallel = atomic_load(&c->eng->live.parallel), .work = lock_item, .done = take_item, .arg = b};
    rc = many_run(&m);
    lock_take(&c->lock);
    int state = rc ? 0 : note(b);
    lock_release(&c->lock);
    return state ? errtext_set(b->err, state, "%s: state: %s", c->row.barcode, db_error(c->eng->db)) : rc;
}

void object_lock_some(struct cartridge *c, const struct obj_call *call)
{
    struct errtext err = {""};
    struct batch b = {.c = c, .call = call, .err = &err};
    int rc = lock_batch(&b);
    free(b.items);
    lock_take(&c->lock);
    bool failed = rc && rc != -ECANCELED, told = !strcmp(c->lock_trouble, err.text);
    c->lock_again = failed ? clock_ms() + AGAIN_MS : 0;
    (void)snprintf(c->lock_trouble, sizeof(c->lock_trouble), "%s", failed ? err.text : "");
    lock_release(&c->lock);
    if (failed && !told)
        log_event(EVENT_OBJECT_LOCK_FAILED, "%s: not all of its objects are locked in the store: %s", c->row.barcode,
                  err.text);
}
