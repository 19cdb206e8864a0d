/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_pending.c: sealed segments that are not stored yet, and how much of the spool they and the open one take. */
#include "vtl/cartridge/cartridge_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "vtl/state/chunk_index.h"

#define LOOK_AGAIN_MS 30000 /* whoever took a file away may put it back */

void cartridge_count_open(struct cartridge *c, uint64_t size)
{
    INVARIANT(atomic_load(&c->eng->dirty_bytes) >= c->open.size);
    atomic_fetch_add(&c->eng->dirty_bytes, size - c->open.size);
    c->open.size = size;
}

uint64_t cartridge_counted(const struct pending *p)
{
    return p->uncounted ? 0 : p->size;
}

void cartridge_uncount(struct cartridge *c)
{
    for (size_t i = 0; i < c->n_pending; i++) {
        atomic_fetch_sub(&c->eng->dirty_bytes, cartridge_counted(&c->pending[i]));
        c->pending[i].size = 0;
    }
    cartridge_count_open(c, 0);
}

void cartridge_note_lost(struct cartridge *c)
{
    bool lost = false;
    lock_assert_held(&c->lock);
    for (size_t i = 0; i < c->n_pending; i++)
        lost = lost || (c->pending[i].lost[0] && !c->pending[i].dead);
    atomic_store(&c->lost_flag, lost);
}

const atomic_bool *cartridge_lost_flag(const struct cartridge *c)
{
    return &c->lost_flag;
}

static bool is_pending(const struct cartridge *c, const struct seg_id *id)
{
    for (size_t i = 0; i < c->n_pending; i++)
        if (!seg_id_compare(&c->pending[i].id, id))
            return true;
    return false;
}

int cartridge_push_pending(struct cartridge *c, const struct seg_id *id, uint64_t size)
{
    INVARIANT(!is_pending(c, id));
    if (c->n_pending == c->room_pending && !array_grow(&c->pending, &c->room_pending, sizeof(*c->pending)))
        return -ENOMEM;
    c->pending[c->n_pending++] =
        (struct pending){.id = *id, .size = size, .since = c->loaded ? engine_time() : c->row.modified};
    return 0;
}

static void remove_pending(struct cartridge *c, size_t i)
{
    uint64_t counted = cartridge_counted(&c->pending[i]);
    INVARIANT(atomic_load(&c->eng->dirty_bytes) >= counted);
    atomic_fetch_sub(&c->eng->dirty_bytes, counted);
    memmove(&c->pending[i], &c->pending[i + 1], (c->n_pending - i - 1) * sizeof(*c->pending));
    c->n_pending--;
}

void cartridge_bury_dead(struct cartridge *c)
{
    for (size_t i = c->n_pending; i-- > 0;) {
        struct pending *p = &c->pending[i];
        if (!p->dead || p->busy)
            continue;
        char key[DB_KEY_SIZE];
        object_key(key, c->row.barcode, "seg", &p->id);
        const char *keys[] = {key};
        if (p->tried && db_garbage_add(c->eng->db, c->row.rowid, keys, 1))
            log_event(EVENT_STATE_FAILED, "%s: state: %s: %s stays in the store", c->row.barcode, db_error(c->eng->db),
                      key);
        if (c->eng->chunks)
            (void)chunk_index_drop(c->eng->chunks, c->row.id, &p->id);
        spool_remove(c->eng->spool, c->row.barcode, &p->id);
        remove_pending(c, i);
    }
}

bool cartridge_pick_pending(struct cartridge *c, struct pending *out)
{
    for (size_t i = 0; i < c->n_pending; i++)
        if (!c->pending[i].busy && !c->pending[i].dead &&
            (!c->pending[i].lost[0] || clock_ms() >= c->pending[i].again_at)) {
            c->pending[i].busy = c->pending[i].tried = true;
            *out = c->pending[i];
            return true;
        }
    return false;
}

void cartridge_pending_lost(struct cartridge *c, const struct seg_id *id, const char *what)
{
    char name[SEG_NAME_SIZE];
    for (size_t i = 0; i < c->n_pending; i++) {
        struct pending *p = &c->pending[i];
        if (seg_id_compare(&p->id, id))
            continue;
        seg_id_format(id, name);
        if (!p->lost[0])
            log_event(EVENT_SPOOL_LOST,
                      "%s: spool file %s %s, and it is not in the store: what it held cannot be stored, nor what is "
                      "behind it",
                      c->row.barcode, name, what);
        (void)snprintf(p->lost, sizeof(p->lost), "%s", what);
        p->again_at = clock_ms() + LOOK_AGAIN_MS;
        atomic_fetch_sub(&c->eng->dirty_bytes, cartridge_counted(p)); /* it waits for nothing, and nobody for it */
        p->uncounted = true;
    }
    cartridge_note_lost(c);
    progress_post(&c->eng->progress);
}

bool cartridge_rest_is_lost(const struct cartridge *c)
{
    size_t lost = 0, waiting = 0;
    lock_assert_held(&c->lock);
    for (size_t i = 0; i < c->n_pending; i++) {
        const struct pending *p = &c->pending[i];
        lost += !p->dead && p->lost[0];
        waiting += !p->dead && !p->lost[0];
    }
    return lost && !waiting;
}

void cartridge_lost_text(const struct cartridge *c, char *text, size_t room)
{
    char name[SEG_NAME_SIZE];
    const struct pending *first = NULL;
    size_t lost = 0;
    for (size_t i = 0; i < c->n_pending; i++) {
        const struct pending *p = &c->pending[i];
        if (p->dead || !p->lost[0])
            continue;
        lost++;
        first = first ? first : p;
    }
    if (!first)
        return;
    seg_id_format(&first->id, name);
    int n = snprintf(text, room, "%s: spool file %s %s before it was stored", c->row.barcode, name, first->lost);
    if (lost > 1 && n > 0 && (size_t)n < room)
        (void)snprintf(text + n, room - (size_t)n, ", and %zu more of it are lost", lost - 1);
}

void cartridge_note_stored(struct cartridge *c, const struct seg_id *id, uint64_t size)
{
    lock_assert_held(&c->lock);
    spool_stored_unnamed(c->eng->spool, c->row.barcode, id, size, engine_spool_left(c->eng));
}

/* Only what waits for a head is not to go. */
static bool waits_for_head(void *arg, const struct seg_id *id)
{
    const struct cartridge *c = arg;
    for (size_t i = c->live.n_segs; i-- > c->row.commit_segs;)
        if (!seg_id_compare(&c->live.segs[i].id, id))
            return true;
    return false;
}

void cartridge_note_named(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    spool_named(c->eng->spool, c->row.barcode, waits_for_head, c);
}

int cartridge_pending_done(struct cartridge *c, const struct pending *seg, bool stored)
{
    const struct seg_id *id = &seg->id;
    size_t i = 0;
    while (i < c->n_pending && seg_id_compare(&c->pending[i].id, id))
        i++;
    if (i == c->n_pending)
        return 0;
    struct pending *p = &c->pending[i];
    p->busy = false;
    if (p->dead) {
        if (!c->open.overwrites)
            cartridge_bury_dead(c);
        return 0;
    }
    if (!stored)
        return 0;
    p->lost[0] = '\0'; /* it came back */
    cartridge_note_lost(c);
    int rc = db_segment_stored(c->eng->db, c->row.rowid, id);
    if (rc)
        return rc;
    remove_pending(c, i);
    if (c->owner != CARTRIDGE_FENCED) /* else nobody will ever name it */
        cartridge_note_stored(c, id, seg->size);
    return 0;
}

size_t cartridge_stored_prefix(const struct cartridge *c)
{
    size_t n = c->live.n_segs;
    if (c->open.writer && n && !seg_id_compare(&c->live.segs[n - 1].id, &c->open.id))
        n--;
    for (size_t p = 0; p < c->n_pending; p++) {
        if (c->pending[p].dead)
            continue;
        size_t i = n;
        while (i-- > 0)
            if (!seg_id_compare(&c->live.segs[i].id, &c->pending[p].id)) {
                n = i;
                break;
            }
    }
    return n;
}

bool cartridge_reaches_floor(const struct cartridge *c)
{
    size_t prefix = cartridge_stored_prefix(c);
    return (prefix ? c->live.segs[prefix - 1].first_object + c->live.segs[prefix - 1].objects : 0) >= c->row.floor;
}

bool cartridge_can_commit(const struct cartridge *c)
{
    if (cartridge_is_committed(c))
        return false;
    size_t prefix = cartridge_stored_prefix(c);
    bool is_news = prefix == c->live.n_segs || prefix > c->row.commit_segs || c->due & DUE_LIST;
    return is_news && cartridge_reaches_floor(c);
}
