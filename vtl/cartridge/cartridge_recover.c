/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_recover.c: the segment that was open when the process ended becomes a sealed one, under a name of this run. */
#include "vtl/cartridge/cartridge_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/human.h"
#include "base/log.h"

/*
 * What is whole of the open segment is copied to a file of a name that this run draws, and sealed there. Under its old
 * name nothing more is written: a copy of this state, or the state that this one is a copy of, may store that name with
 * other content (I2). A file that was sealed already stays what it is: all copies of it are the same. But it is written
 * anew, as the sync of it may have failed (sync_file in cartridge.c).
 */
struct recovery {
    struct cartridge *c;
    struct seg_id id; /* of the row */
    uint64_t synced;  /* bytes that a sync made safe */
    int fd;
    struct seg_writer *w; /* of fd; then of the copy */
    struct seg_totals t;
};

/* The recovered segment is sealed, and one more is pending. */
static int take_recovered(struct cartridge *c, const struct seg_totals *t)
{
    uint64_t object = t->header.first_object, end = tape_index_end_object(&c->live);
    struct seg_ref r = {.id = t->header.id,
                        .first_object = object,
                        .first_file = t->header.first_file,
                        .objects = t->objects,
                        .filemarks = t->filemarks,
                        .size = t->stored_bytes,
                        .plain_bytes = t->plain_bytes,
                        .crc = t->crc};
    struct db_change ch = {.sealed = &r, .sealed_fms = t->fms, .n_sealed_fms = t->n_fms};
    struct seg_fm_run *runs = NULL;
    int rc = 0;
    if (object < end) {
        cartridge_cut_live(c, object);
        c->row.floor = object + 1;
        rc = cartridge_change_cut(c, object, &ch, &runs);
    }
    c->row.dirty = true;
    c->committed = 0;
    if (!rc)
        rc = db_change(c->eng->db, &c->row, &ch);
    free(runs);
    if (!rc) /* only now: ch.cut is a segment of live, which this may move */
        rc = tape_index_append(&c->live, &r, t->fms, t->n_fms);
    if (!rc)
        rc = cartridge_push_pending(c, &r.id, r.size);
    if (rc)
        return rc;
    atomic_fetch_add(&c->eng->dirty_bytes, r.size);
    cartridge_bury_dead(c); /* what it overwrote was read from the rows as pending: it would wait for the whole run */
    return 0;
}

/* What a sync acknowledged is gone from the disk: the operator is told, and the host by a TapeAlert flag. */
static void tell_damage(struct cartridge *c, const char *name, uint64_t synced)
{
    uint64_t end = tape_index_end_object(&c->live);
    char size[HUMAN_ROOM];
    log_event(
        EVENT_DAMAGE,
        "%s: open segment %s is DAMAGED on the disk: it had %s that were synced, and not all of them can be read; the "
        "tape ends at object %llu now, and what was acknowledged behind it is lost (the file is kept as %s.bad)",
        c->row.barcode, name, human_size(synced, size), (unsigned long long)end, name);
    c->usage.lost_objects++;
    c->usage.lost_from = end;
    c->usage_changed = true;
    cartridge_refresh_counters(c);
    /* The bucket's head may still have what was overwritten: one that ends here is due. */
    c->row.dirty = true;
    c->committed = 0;
    if (c->row.floor > end)
        c->row.floor = end;
    if (db_cartridge_update(c->eng->db, &c->row))
        log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

/* What is whole of the file. -ENODATA: nothing. *sealed: all of it, with index and footer. */
static int read_file(struct recovery *r, uint64_t synced, bool *sealed, struct errtext *err)
{
    seg_writer_free(r->w);
    r->w = NULL;
    int rc = seg_writer_recover(r->fd, synced, &r->w, sealed, err);
    if (rc)
        return rc == -EINVAL ? -ENODATA : rc;
    seg_writer_totals(r->w, &r->t);
    return r->t.objects ? 0 : -ENODATA;
}

struct sources {
    struct seg_source *v;
    size_t n;
};

static int add_source(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    struct sources *all = arg;
    (void)segment;
    struct seg_source *more = realloc(all->v, (all->n + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    all->v = more;
    all->v[all->n++] = *s;
    return 0;
}

/* The list of what its blocks copy from, as the state has it. */
static int add_sources(struct recovery *r, struct seg_writer *w)
{
    struct sources all = {0};
    int rc = db_leans(r->c->eng->db, r->c->row.rowid, &r->id, add_source, &all);
    if (!rc)
        rc = seg_writer_sources(w, all.v, all.n);
    free(all.v);
    return rc;
}

/* Copies the records to the file of a new segment, and seals it there. */
static int copy_and_seal(struct recovery *r, int fd, const struct seg_header *h)
{
    struct seg_writer *copy = NULL;
    int rc = seg_writer_move(r->w, fd, h, &copy);
    if (!rc)
        rc = add_sources(r, copy);
    if (!rc)
        rc = seg_writer_seal(copy);
    if (!rc && fdatasync(fd))
        rc = -errno;
    if (rc) {
        seg_writer_free(copy);
        return rc;
    }
    seg_writer_free(r->w);
    r->w = copy;
    seg_writer_totals(copy, &r->t);
    return 0;
}

/* The row takes the new name once the copy is safe. Should the state fail then, it may name either at the next start: unless
 * that doubt can be ended both files stay, and the one that no row names goes when the cartridge is loaded. */
static int rename_segment(struct recovery *r)
{
    struct cartridge *c = r->c;
    struct spool *spool = c->eng->spool;
    struct seg_header h = r->t.header;
    h.id = (struct seg_id){h.id.epoch, c->eng->writer, c->row.next_segment++};
    int fd = spool_create(spool, c->row.barcode, &h.id);
    if (fd < 0)
        return fd;
    bool in_doubt = false;
    int rc = copy_and_seal(r, fd, &h);
    if (!rc && (rc = db_segment_rename(c->eng->db, &c->row, &r->id, &h.id)))
        in_doubt = db_settle_doubt(c->eng->db) != 0;
    close(fd);
    if (!in_doubt)
        spool_remove(spool, c->row.barcode, rc ? &h.id : &r->id);
    return rc;
}

static int use_file(struct recovery *r, bool sealed)
{
    struct cartridge *c = r->c;
    uint64_t first = r->t.header.first_object, next = first + r->t.objects, end = tape_index_end_object(&c->live);
    if (first > end) {
        log_warn("%s: open segment begins at object %llu, behind the end %llu: not used", c->row.barcode,
                 (unsigned long long)first, (unsigned long long)end);
        return -ENODATA;
    }
    int rc = sealed ? seg_writer_again(r->w) : rename_segment(r);
    if (!rc && sealed && fdatasync(r->fd))
        rc = -errno;
    if (!rc)
        rc = take_recovered(c, &r->t);
    if (!rc)
        log_event(EVENT_RECOVERED_SEGMENT, "%s: recovered the open segment: objects %llu to %llu", c->row.barcode,
                  (unsigned long long)first, (unsigned long long)next);
    return rc;
}

/* Nothing of it is of use: the row goes first. */
static int give_up(struct recovery *r, const char *name)
{
    struct cartridge *c = r->c;
    bool nothing = !r->synced && !r->t.objects;
    int rc = db_segment_drop(c->eng->db, c->row.rowid, &r->id);
    if (rc)
        return rc;
    if (nothing)
        log_notice("%s: open segment %s holds no whole record, and none was synced: the tape is what it was before",
                   c->row.barcode, name);
    else
        log_warn("%s: open segment %s holds no whole record: the tape is what it was before (the file, if there is "
                 "one, is kept as %s.bad)",
                 c->row.barcode, name, name);
    if (nothing)
        spool_remove(c->eng->spool, c->row.barcode, &r->id);
    else if ((rc = spool_set_aside(c->eng->spool, c->row.barcode, &r->id)))
        log_err("%s: spool file %s cannot be kept as %s.bad: %s", c->row.barcode, name, name, strerror(-rc));
    return 0;
}

int cartridge_recover_open(struct cartridge *c, const struct seg_id *id, uint64_t synced, struct errtext *err)
{
    struct recovery r = {.c = c, .id = *id, .synced = synced};
    char name[SEG_NAME_SIZE];
    bool sealed = false;
    lock_assert_held(&c->lock);
    seg_id_format(id, name);
    r.fd = spool_reopen(c->eng->spool, c->row.barcode, id);
    /* The file was made safe before its row: if it is not there, something was taken away, of which no sync knew if
     * nothing was synced. */
    int rc = r.fd >= 0 ? read_file(&r, synced, &sealed, err) : r.fd == -ENOENT ? -ENODATA : r.fd;
    bool damaged = rc == -EUCLEAN || (rc == -ENODATA && synced > 0);
    if (rc == -EUCLEAN && !(rc = spool_keep_copy(c->eng->spool, c->row.barcode, id)))
        rc = read_file(&r, 0, &sealed, err);
    if (!rc)
        rc = use_file(&r, sealed);
    seg_writer_free(r.w);
    if (r.fd >= 0)
        close(r.fd);
    if (damaged && (!rc || rc == -ENODATA))
        tell_damage(c, name, synced);
    if (rc == -ENODATA)
        rc = give_up(&r, name);
    return rc ? errtext_set(err, rc, "%s: open segment %s: %s", c->row.barcode, name, strerror(-rc)) : 0;
}
