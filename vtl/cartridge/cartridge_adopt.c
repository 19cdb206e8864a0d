/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_adopt.c: a cartridge gives way to the bucket's view of it: what no head names goes aside, never away. */
#include "vtl/cartridge/cartridge_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vtl/cartridge/commit.h"

static bool is_named(const struct tape_index *x, const struct seg_id *id)
{
    for (size_t i = x->n_segs; i-- > 0;)
        if (!seg_id_compare(&x->segs[i].id, id))
            return true;
    return false;
}

/* Files of segments that the bucket's view does not name. Those that a head of this state named are cache of a tape that is
 * no more; the others may be all that is left of what was acknowledged. */
static uint64_t set_files_aside(struct cartridge *c, size_t commit_segs, const struct tape_index *bucket)
{
    struct spool *spool = c->eng->spool;
    uint64_t kept = 0;
    for (size_t i = 0; i < c->live.n_segs; i++) {
        const struct seg_ref *r = &c->live.segs[i];
        if (is_named(bucket, &r->id) || !spool_has(spool, c->row.barcode, &r->id))
            continue;
        if (i < commit_segs) {
            spool_remove(spool, c->row.barcode, &r->id);
            continue;
        }
        kept += r->size ? r->size : c->open.size;
        spool_set_aside(spool, c->row.barcode, &r->id);
    }
    for (size_t i = 0; i < c->n_pending; i++) /* also those that were overwritten already */
        if (!is_named(bucket, &c->pending[i].id))
            spool_set_aside(spool, c->row.barcode, &c->pending[i].id);
    return kept;
}

static void close_open(struct cartridge *c)
{
    seg_writer_free(c->open.writer);
    if (c->open.fd >= 0)
        close(c->open.fd);
    c->open = (struct open_segment){.state = OPEN_CLOSED, .fd = -1};
}

uint64_t cartridge_set_aside(struct cartridge *c, const struct tape_index *bucket)
{
    lock_take(&c->lock);
    uint64_t kept = set_files_aside(c, c->row.commit_segs, bucket);
    cartridge_uncount(c);
    lock_release(&c->lock);
    return kept;
}

void cartridge_drop_backlog(struct cartridge *c)
{
    lock_take(&c->lock);
    cartridge_uncount(c);
    lock_release(&c->lock);
}

/* The same row with other contents: which cartridge it is stays. */
static void take_row(struct cartridge *c, struct db_cartridge *row)
{
    free(c->row.mam);
    free(c->row.counters);
    cartridge_set_row(c, row);
    usage_decode(c->row.counters, &c->usage);
    c->usage_changed = false;
}

int cartridge_adopt(struct cartridge *c, const struct head *h, struct tape_index *x, uint64_t *kept)
{
    struct db_cartridge row;
    struct map_ref *maps = malloc((h->n_maps + 1) * sizeof(*maps));
    lock_assert_held(&c->lock);
    if (!maps)
        return -ENOMEM;
    commit_row_of_head(h, x, &row);
    row.rowid = c->row.rowid;
    row.fenced = DB_FENCED_READER;
    row.rebuilt = false;
    if (!memcmp(row.id, c->row.id, sizeof(row.id)))
        retention_keep_compliance(&c->row.retention, &row.retention);
    int rc = db_cartridge_adopt(c->eng->db, &row, x, h);
    if (rc) {
        free(row.mam);
        free(row.counters);
        free(maps);
        return rc;
    }
    *kept = set_files_aside(c, c->row.commit_segs, x); /* the rows first: no row is left without its file */
    cartridge_uncount(c);
    close_open(c);
    cartridge_free_doomed(c);
    take_row(c, &row);
    tape_index_free(&c->live);
    c->live = *x;
    c->locking.until = 0;
    leans_free(&c->live.leans); /* the state has them */
    tape_index_init(x);
    free(c->maps);
    c->maps = maps;
    if (h->n_maps)
        memcpy(maps, h->maps, h->n_maps * sizeof(*maps));
    c->n_maps = h->n_maps;
    cartridge_cut_maps(c);
    c->n_pending = 0;
    c->accepted_ms = offsite_now(&c->eng->offsite);
    c->offsite_segs = 0;
    c->offsite_bytes = 0;
    cartridge_note_lost(c);
    c->committed = ++c->changes;
    c->due &= (unsigned)DUE_LOOK;
    cartridge_fence(c, DB_FENCED_READER);
    return 0;
}
