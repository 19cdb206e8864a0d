/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_adopt.c: a cartridge gives way to the bucket's view of it: what no head names goes aside, never away. */
#include "vtl/cartridge/cartridge_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/human.h"
#include "base/log.h"
#include "vtl/cartridge/commit.h"

static bool is_named(const struct tape_index *x, const struct seg_id *id)
{
    for (size_t i = x->n_segs; i-- > 0;)
        if (!seg_id_compare(&x->segs[i].id, id))
            return true;
    return false;
}

/* Files of segments that the bucket's view does not name, and that no head of this state named, may be all that is left of
 * what was acknowledged. They get the name under which they stay before the rows let go of them: a file without a row
 * does not outlive a restart. */
static int name_files(struct cartridge *c, const struct tape_index *bucket, spool_name_fn *name)
{
    int rc = 0;
    lock_assert_held(&c->lock);
    for (size_t i = c->row.commit_segs; !rc && i < c->live.n_segs; i++)
        if (!is_named(bucket, &c->live.segs[i].id))
            rc = name(c->eng->spool, c->row.barcode, &c->live.segs[i].id);
    for (size_t i = 0; !rc && i < c->n_pending; i++) /* also those that were overwritten already */
        if (!is_named(bucket, &c->pending[i].id))
            rc = name(c->eng->spool, c->row.barcode, &c->pending[i].id);
    return rc;
}

static int name_aside(struct cartridge *c, const struct tape_index *bucket, struct errtext *err)
{
    int rc = name_files(c, bucket, spool_name_bad);
    return rc ? errtext_set(err, rc, "%s: spool: what only this state holds cannot be kept: %s", c->row.barcode,
                            strerror(-rc))
              : 0;
}

/* The rows stay as they were. If that is in doubt, so do the names: the next start may find the others. */
static void not_aside(struct cartridge *c, const struct tape_index *bucket)
{
    if (!db_settle_doubt(c->eng->db))
        (void)name_files(c, bucket, spool_unname_bad);
}

int cartridge_name_aside(struct cartridge *c, const struct tape_index *bucket, struct errtext *err)
{
    lock_take(&c->lock);
    int rc = name_aside(c, bucket, err);
    lock_release(&c->lock);
    return rc;
}

void cartridge_not_aside(struct cartridge *c, const struct tape_index *bucket)
{
    lock_take(&c->lock);
    not_aside(c, bucket);
    lock_release(&c->lock);
}

/* True if it is out of the way. */
static bool set_file_aside(struct cartridge *c, const struct seg_id *id)
{
    char name[SEG_NAME_SIZE];
    int rc = spool_set_aside(c->eng->spool, c->row.barcode, id);
    seg_id_format(id, name);
    if (rc)
        log_err("%s: spool file %s cannot be kept as %s.bad: %s", c->row.barcode, name, name, strerror(-rc));
    return !rc;
}

/* The same files go aside. Those that a head of this state named are cache of a tape that is no more. */
static uint64_t set_files_aside(struct cartridge *c, size_t commit_segs, const struct tape_index *bucket)
{
    struct spool *spool = c->eng->spool;
    uint64_t kept = 0, gone = 0;
    char size[HUMAN_ROOM];
    for (size_t i = 0; i < c->live.n_segs; i++) {
        const struct seg_ref *r = &c->live.segs[i];
        if (is_named(bucket, &r->id))
            continue;
        if (!spool_has(spool, c->row.barcode, &r->id))
            gone += i < commit_segs ? 0 : r->size;
        else if (i < commit_segs)
            spool_remove(spool, c->row.barcode, &r->id);
        else if (set_file_aside(c, &r->id))
            kept += r->size ? r->size : c->open.size;
    }
    for (size_t i = 0; i < c->n_pending; i++)
        if (!is_named(bucket, &c->pending[i].id))
            (void)set_file_aside(c, &c->pending[i].id);
    if (gone)
        log_event(EVENT_SPOOL_LOST,
                  "%s: %s that no head of the bucket names, and that this gateway had, are in its spool no more: they "
                  "are lost",
                  c->row.barcode, human_size(gone, size));
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

/* x and maps, which has room for those of h, are the cartridge's then. */
static void take_index(struct cartridge *c, const struct head *h, struct tape_index *x, struct map_ref *maps)
{
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
}

int cartridge_adopt(struct cartridge *c, const struct head *h, struct tape_index *x, uint64_t *kept,
                    struct errtext *err)
{
    struct db_cartridge row;
    struct map_ref *maps = malloc((h->n_maps + 1) * sizeof(*maps));
    lock_assert_held(&c->lock);
    if (!maps)
        return errtext_set(err, -ENOMEM, "%s: out of memory", c->row.barcode);
    int rc = name_aside(c, x, err);
    if (rc) {
        free(maps);
        return rc;
    }
    commit_row_of_head(h, x, &row);
    row.rowid = c->row.rowid;
    row.fenced = DB_FENCED_READER;
    row.rebuilt = false;
    if (!memcmp(row.id, c->row.id, sizeof(row.id)))
        retention_keep_compliance(&c->row.retention, &row.retention);
    rc = db_cartridge_adopt(c->eng->db, &row, x, h);
    if (rc) {
        free(row.mam);
        free(row.counters);
        free(maps);
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
        not_aside(c, x);
        return rc;
    }
    *kept = set_files_aside(c, c->row.commit_segs, x); /* the rows first: no row is left without its file */
    cartridge_uncount(c);
    close_open(c);
    cartridge_free_doomed(c);
    take_row(c, &row);
    take_index(c, h, x, maps);
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
