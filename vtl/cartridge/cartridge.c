/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge.c: appending, cutting, syncing and sealing; cartridge_private.h has the rules and the states. */
#include "vtl/cartridge/cartridge_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/event.h"
#include "base/log.h"
#include "vtl/format/segment.h"
#include "vtl/state/chunk_index.h"

static void touch(struct cartridge *c)
{
    cartridge_count_change(c);
    c->row.modified = engine_time();
}

/* The segment that holds the object before, for the chain of the header; epoch 0: none. */
static struct seg_id id_before(const struct cartridge *c, uint64_t object)
{
    const struct seg_ref *r = object ? tape_index_segment(&c->live, object - 1, NULL) : NULL;
    return r ? r->id : (struct seg_id){0, 0, 0};
}

/* A segment is open, and its index and footer are not written: more can be appended to it, if it is not BROKEN. */
static bool can_grow(const struct cartridge *c)
{
    return c->open.state == OPEN_DIRTY || c->open.state == OPEN_SYNCED;
}

static void close_open(struct cartridge *c)
{
    seg_writer_free(c->open.writer);
    close(c->open.fd);
    free(c->open.leans);
    c->open = (struct open_segment){.state = OPEN_CLOSED, .fd = -1, .size = c->open.size};
}

/* The row of an open segment that got no record, and then its file. While that fails no other is opened: a cartridge has
 * one OPEN row at most. */
static int drop_row(struct cartridge *c)
{
    if (!c->undropped.epoch)
        return 0;
    int rc = db_segment_drop(c->eng->db, c->row.rowid, &c->undropped);
    if (rc)
        return rc;
    spool_remove(c->eng->spool, c->row.barcode, &c->undropped);
    c->undropped.epoch = 0;
    return 0;
}

/* Throws the open segment away (nothing of it is in live): its row first, so that no row is left without a file. */
static void drop_open(struct cartridge *c)
{
    struct seg_id id = c->open.id;
    close_open(c);
    cartridge_count_open(c, 0);
    c->undropped = id;
    if (drop_row(c))
        log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

void cartridge_cut_live(struct cartridge *c, uint64_t object)
{
    tape_index_truncate(&c->live, object);
    c->usage_changed |= usage_cut(&c->usage, object);
    for (size_t i = 0; i < c->n_pending; i++) {
        bool found = false;
        for (size_t k = c->live.n_segs; k-- > 0 && !found;)
            found = !seg_id_compare(&c->live.segs[k].id, &c->pending[i].id);
        if (!found)
            c->pending[i].dead = true;
    }
    cartridge_note_lost(c);
    if (c->row.commit_segs > c->live.n_segs)
        c->row.commit_segs = c->live.n_segs;
    if (c->offsite_segs > c->live.n_segs)
        c->offsite_segs = c->live.n_segs;
    if (c->cut_low > c->live.n_segs)
        c->cut_low = c->live.n_segs;
    if (c->cut_object > object)
        c->cut_object = object;
    c->locking.until = 0; /* from the beginning again */
    cartridge_cut_maps(c);
}

void cartridge_cut_maps(struct cartridge *c)
{
    uint64_t before = 0, committed = c->row.commit_segs;
    size_t n = 0;
    for (; n < c->n_maps && before < committed; n++) {
        if (c->maps[n].n_segs > committed - before)
            c->maps[n].n_segs = committed - before;
        before += c->maps[n].n_segs;
    }
    c->n_maps = n;
    c->mapped_segs = before;
}

/* The figures of the last segment of live, for a row; runs is malloc'd. */
static int last_ref(const struct cartridge *c, struct seg_fm_run **runs, size_t *n)
{
    const struct seg_ref *r = &c->live.segs[c->live.n_segs - 1];
    return tape_index_runs(&c->live, r->first_object, r->first_object + r->objects, runs, n);
}

/* Fills the cut row of a change: the segment of live that ends where the overwriting one begins. */
int cartridge_change_cut(const struct cartridge *c, uint64_t object, struct db_change *ch, struct seg_fm_run **runs)
{
    ch->truncate = true;
    ch->object = object;
    ch->cut = object ? tape_index_segment(&c->live, object - 1, NULL) : NULL;
    if (!ch->cut)
        return 0;
    int rc = tape_index_runs(&c->live, ch->cut->first_object, object, runs, &ch->n_cut_fms);
    ch->cut_fms = *runs;
    return rc;
}

/* Applies a due overwrite to the rows, the open segment's first records being safe now. */
static int apply_overwrite(struct cartridge *c)
{
    struct db_change ch = {.sealed_stays_open = true};
    struct seg_fm_run *runs = NULL;
    int rc = cartridge_change_cut(c, c->open.overwrites_at, &ch, &runs);
    c->row.dirty = true; /* from now on the head names what the state has not, whatever becomes of the open segment */
    if (!rc)
        rc = db_change(c->eng->db, &c->row, &ch);
    free(runs);
    if (rc)
        return rc;
    c->open.overwrites = false;
    cartridge_bury_dead(c);
    return 0;
}

/* A failed fdatasync is final for this file: the kernel has dropped what it could not write, and the next call would
 * say 0 (I1). */
static int sync_file(struct cartridge *c)
{
    if (c->open.state == OPEN_BROKEN)
        return c->open.error;
    if (c->open.state == OPEN_SYNCED)
        return 0;
    if (fdatasync(c->open.fd)) {
        c->open.error = -errno;
        c->open.state = OPEN_BROKEN;
        return c->open.error;
    }
    if (c->open.state == OPEN_DIRTY)
        c->open.state = OPEN_SYNCED;
    return 0;
}

/* So that what is missing of it after a crash is known to be damage, not a torn end. */
static int mark_synced(struct cartridge *c)
{
    struct seg_totals t;
    seg_writer_totals(c->open.writer, &t);
    INVARIANT(t.stored_bytes >= c->open.marked);
    if (t.stored_bytes == c->open.marked)
        return 0;
    int rc = db_segment_synced(c->eng->db, &c->row, &c->open.id, t.stored_bytes);
    if (!rc)
        c->open.marked = t.stored_bytes;
    return rc;
}

static int sync_locked(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    if (c->open.state == OPEN_CLOSED)
        return 0;
    int rc = sync_file(c);
    if (!rc && c->open.overwrites)
        rc = apply_overwrite(c);
    return rc ? rc : mark_synced(c);
}

/* Its row says that it is sealed: one more is pending, and none is open. */
static int seal_row(struct cartridge *c)
{
    struct seg_totals t;
    seg_writer_totals(c->open.writer, &t);
    struct seg_ref *last = &c->live.segs[c->live.n_segs - 1];
    struct db_change ch = {.sealed = last};
    struct seg_fm_run *cut_runs = NULL, *runs = NULL;
    int rc = c->open.overwrites ? cartridge_change_cut(c, c->open.overwrites_at, &ch, &cut_runs) : 0;
    if (!rc)
        rc = last_ref(c, &runs, &ch.n_sealed_fms);
    ch.sealed_fms = runs;
    last->size = t.stored_bytes;
    last->crc = t.crc;
    c->row.dirty = true;
    if (!rc)
        rc = cartridge_push_pending(c, &c->open.id, t.stored_bytes);
    if (!rc && (rc = db_change(c->eng->db, &c->row, &ch)))
        c->n_pending--;
    free(cut_runs);
    free(runs);
    if (rc) {
        last->size = last->crc = 0;
        return rc;
    }
    cartridge_count_open(c, t.stored_bytes);
    c->open.size = 0; /* pending counts it from here on */
    return 0;
}

/* What is in the sealed segment can be found from now on, if only used once a head names it. Not to find it is no loss. */
static void note_chunks(struct cartridge *c)
{
    struct seg_totals t;
    size_t len = 0;
    const void *list = seg_writer_chunks(c->open.writer, &len);
    if (!c->eng->chunks || !len)
        return;
    seg_writer_totals(c->open.writer, &t);
    struct seg_source s = {.id = c->open.id, .size = t.stored_bytes, .crc = t.crc};
    memcpy(s.cartridge, c->row.id, sizeof(s.cartridge));
    memcpy(s.barcode, c->row.barcode, sizeof(s.barcode));
    (void)chunk_index_put(c->eng->chunks, &s, t.header.first_object, list, len);
}

static int seal_locked(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    if (c->open.state == OPEN_CLOSED)
        return 0;
    if (can_grow(c)) {
        c->open.state = OPEN_DIRTY; /* should only a part of what ends it fit: that is in no sync yet */
        int rc = seg_writer_sources(c->open.writer, c->open.leans, c->open.n_leans);
        if (!rc)
            rc = seg_writer_seal(c->open.writer);
        if (rc)
            return rc;
        c->open.state = OPEN_SEALED;
    }
    int rc = sync_file(c);
    if (!rc)
        rc = seal_row(c);
    if (rc)
        return rc;
    note_chunks(c);
    close_open(c);
    cartridge_bury_dead(c);
    engine_poke(c->eng, c);
    return 0;
}

/* Starts a segment at object. Row and file are made; live is not touched yet. */
static int start_segment(struct cartridge *c, uint64_t object)
{
    struct seg_ref r = {
        .id = {c->row.head.epoch ? c->row.head.epoch : 1, c->eng->writer, c->row.next_segment},
        .first_object = object,
        .first_file = tape_index_file_of(&c->live, object),
    };
    struct seg_header h = {
        .version = cartridge_dedups(c) ? SEG_VERSION_PIECES : SEG_VERSION,
        .id = r.id,
        .first_object = r.first_object,
        .first_file = r.first_file,
        .prev = id_before(c, object),
        .overwrites = object < tape_index_end_object(&c->live),
        .created = engine_time(),
    };
    memcpy(h.cartridge, c->row.id, sizeof(h.cartridge));
    memcpy(h.barcode, c->row.barcode, sizeof(h.barcode));
    struct open_segment o = {.state = OPEN_DIRTY, .id = r.id, .overwrites = h.overwrites, .overwrites_at = object};
    /* Also if it fails: the file may be there and stay, and would be in the way of the next try. */
    c->row.next_segment++;
    o.fd = spool_create(c->eng->spool, c->row.barcode, &r.id);
    if (o.fd < 0)
        return o.fd;
    int rc = seg_writer_create(o.fd, &h, &o.writer);
    if (!rc)
        rc = db_segment_open(c->eng->db, &c->row, &r);
    if (rc) {
        seg_writer_free(o.writer);
        close(o.fd);
        spool_remove(c->eng->spool, c->row.barcode, &r.id);
        return rc;
    }
    c->open = o;
    c->usage_changed |= usage_cut(&c->usage, object); /* damage may have ended the tape right here */
    cartridge_count_open(c, seg_writer_size(o.writer));
    return 0;
}

/* An open segment whose next record is object, with room for it. b NULL: filemarks. */
static int ready_segment(struct cartridge *c, uint64_t object, const struct seg_packed *b)
{
    if (c->open.state == OPEN_BROKEN)
        return c->open.error;
    if (can_grow(c) && object == tape_index_end_object(&c->live) &&
        seg_writer_has_room(c->open.writer, b, c->eng->cfg->spool.segment_size))
        return 0;
    int rc = seal_locked(c);
    if (!rc)
        rc = drop_row(c);
    return rc ? rc : start_segment(c, object);
}

/* The first record of the open segment is written: now live has it. n_objects, of which n_filemarks. All or nothing: what is
 * cut of live cannot be put back. */
static int adopt_first(struct cartridge *c, uint64_t object, uint32_t len, uint32_t filemarks)
{
    struct seg_ref r = {.id = c->open.id,
                        .first_object = object,
                        .first_file = tape_index_file_of(&c->live, object),
                        .objects = filemarks ? filemarks : 1,
                        .filemarks = filemarks,
                        .plain_bytes = len};
    struct seg_fm_run run = {object, filemarks};
    int rc = tape_index_reserve(&c->live, 1, 1);
    if (rc)
        return rc;
    if (object < tape_index_end_object(&c->live)) {
        cartridge_cut_live(c, object);
        c->row.floor = object + 1;
    }
    return tape_index_append(&c->live, &r, &run, filemarks ? 1 : 0);
}

static bool first_record(const struct cartridge *c)
{
    return !c->live.n_segs || seg_id_compare(&c->live.segs[c->live.n_segs - 1].id, &c->open.id);
}

#define WRITEBACK (4u << 20)

/* What was written goes to the disk while more comes, so that a sync, or the end of a segment, does not wait for all of
 * it. It makes nothing safe. */
static void start_writeback(struct cartridge *c)
{
    uint64_t end = seg_writer_size(c->open.writer);
    if (end < c->open.started + WRITEBACK)
        return;
    (void)sync_file_range(c->open.fd, (off_t)c->open.started, (off_t)(end - c->open.started), SYNC_FILE_RANGE_WRITE);
    c->open.started = end;
}

bool cartridge_dedups(const struct cartridge *c)
{
    return c->eng->chunks && !c->row.no_dedup && config_dedups(c->eng->cfg, c->row.barcode);
}

static bool leans_on(const struct open_segment *o, const struct seg_source *s)
{
    for (size_t i = o->n_leans; i-- > 0;)
        if (seg_source_same(&o->leans[i], s))
            return true;
    return false;
}

static int lean_on(struct cartridge *c, const struct seg_source *s)
{
    struct open_segment *o = &c->open;
    if (o->n_leans == o->room_leans && !array_grow(&o->leans, &o->room_leans, sizeof(*o->leans)))
        return -ENOMEM;
    int rc = cartridge_lean(c, s);
    if (rc)
        return rc;
    o->leans[o->n_leans++] = *s;
    seg_writer_expect_sources(o->writer, o->n_leans);
    return 0;
}

/* What the block copies from is in the state before the block is in the file: from then on it is not deleted. -ESTALE:
 * it is no source any more. A segment that was begun for the block goes then: with nothing in it, it cannot be sealed. */
static int lean(struct cartridge *c, const struct seg_make *m)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < m->n_sources; i++)
        if (!leans_on(&c->open, &m->sources[i]))
            rc = lean_on(c, &m->sources[i]);
    if (rc && first_record(c))
        drop_open(c);
    return rc;
}

/* One block, or (b NULL) filemarks, at the end of the open segment. */
static int append_record(struct cartridge *c, uint64_t object, const struct seg_packed *b, uint32_t filemarks)
{
    uint32_t len = b ? b->r.length : 0;
    uint64_t before = seg_writer_size(c->open.writer);
    bool first = first_record(c);
    int rc = b ? seg_writer_packed(c->open.writer, b) : seg_writer_filemarks(c->open.writer, filemarks);
    if (!rc && first)
        rc = adopt_first(c, object, len, filemarks);
    if (rc && first)
        drop_open(c);
    if (rc)
        return rc;
    if (!first)
        rc = b ? tape_index_grow_block(&c->live, len) : tape_index_grow_filemarks(&c->live, filemarks);
    if (rc) { /* out of memory: the file has a record that the tape has not */
        c->open.error = rc;
        c->open.state = OPEN_BROKEN;
        return rc;
    }
    c->open.state = OPEN_DIRTY;
    c->open.written_at = clock_ms();
    c->appended += seg_writer_size(c->open.writer) - before;
    cartridge_count_open(c, seg_writer_size(c->open.writer));
    start_writeback(c);
    touch(c);
    return 0;
}

static int append(struct cartridge *c, uint64_t object, const struct seg_packed *b, uint32_t filemarks)
{
    lock_take(&c->lock);
    int rc = ready_segment(c, object, b);
    if (!rc && b && b->make)
        rc = lean(c, b->make);
    if (!rc)
        rc = append_record(c, object, b, filemarks);
    lock_release(&c->lock);
    return rc;
}

int cartridge_write(struct cartridge *c, const struct seg_packed *b)
{
    return append(c, b->r.object, b, 0);
}

int cartridge_filemarks(struct cartridge *c, uint64_t object, uint32_t count)
{
    return append(c, object, NULL, count);
}

/* The rows first, with figures from a copy: if they cannot be changed, nothing has been. */
static int truncate_rows(struct cartridge *c, uint64_t object)
{
    struct tape_index cut;
    struct db_change ch = {.truncate = true, .object = object};
    struct seg_fm_run *runs = NULL;
    struct db_cartridge row = c->row;
    int rc = tape_index_copy(&cut, &c->live);
    if (rc)
        return rc;
    tape_index_truncate(&cut, object);
    if (cut.n_segs) {
        ch.cut = &cut.segs[cut.n_segs - 1];
        rc = tape_index_runs(&cut, ch.cut->first_object, object, &runs, &ch.n_cut_fms);
        ch.cut_fms = runs;
    }
    row.floor = object;
    row.dirty = true;
    row.modified = engine_time();
    if (row.commit_segs > cut.n_segs)
        row.commit_segs = cut.n_segs;
    if (!rc)
        rc = db_change(c->eng->db, &row, &ch);
    if (!rc)
        cartridge_set_row(c, &row);
    free(runs);
    tape_index_free(&cut);
    return rc;
}

/* It failed with rc. Cache goes if that was for want of room: it is to be tried again, also where nobody waits for it. What
 * is BROKEN no room helps. */
static bool make_room(struct cartridge *c, int rc)
{
    lock_assert_held(&c->lock);
    return file_disk_full(rc) && c->open.state != OPEN_BROKEN && spool_shrink(c->eng->spool, CARTRIDGE_ROOM, true);
}

int cartridge_truncate(struct cartridge *c, uint64_t object)
{
    lock_take(&c->lock);
    bool cut = object < tape_index_end_object(&c->live);
    int rc;
    do {
        rc = cut ? seal_locked(c) : 0;
        if (!rc && cut)
            rc = truncate_rows(c, object);
    } while (make_room(c, rc));
    if (!rc && cut) {
        cartridge_cut_live(c, object);
        INVARIANT(c->row.floor <= tape_index_end_object(&c->live));
        touch(c);
        cartridge_bury_dead(c);
        c->due |= DUE_COMMIT;
    }
    lock_release(&c->lock);
    if (!rc && cut)
        engine_poke(c->eng, c);
    return rc;
}

/* The rows that the sync writes say so already; if it fails, the next ones take it back. If there is nothing to sync, as
 * the segment was idle and is sealed, it writes none, but for this. */
static int try_to_acknowledge(struct cartridge *c, int (*how)(struct cartridge *c))
{
    uint64_t before = c->written.synced;
    bool nothing = c->open.state == OPEN_CLOSED;
    if (c->unsynced)
        c->written.synced = engine_time();
    int rc = db_settle_doubt(c->eng->db);
    if (!rc && c->appended != c->retained)
        rc = cartridge_retain(c);
    if (!rc)
        rc = how(c);
    if (!rc && nothing && c->unsynced)
        rc = db_cartridge_update(c->eng->db, &c->row);
    if (rc)
        c->written.synced = before;
    else
        c->unsynced = false;
    return rc;
}

static int acknowledge(struct cartridge *c, int (*how)(struct cartridge *c))
{
    int rc;
    do
        rc = try_to_acknowledge(c, how);
    while (make_room(c, rc));
    return rc;
}

int cartridge_sync(struct cartridge *c)
{
    lock_take(&c->lock);
    int rc = acknowledge(c, sync_locked);
    lock_release(&c->lock);
    return rc;
}

int cartridge_flush(struct cartridge *c)
{
    lock_take(&c->lock);
    int rc = acknowledge(c, seal_locked);
    bool ask = !(c->due & DUE_COMMIT) && !cartridge_is_committed(c); /* asked before: the workers are at it */
    c->due |= DUE_COMMIT;
    lock_release(&c->lock);
    if (!rc && ask)
        engine_poke(c->eng, c);
    return rc;
}

void cartridge_seal_if_idle(struct cartridge *c, uint64_t idle)
{
    lock_take(&c->lock);
    int rc = 0, told = c->idle_error;
    if (c->open.state != OPEN_CLOSED && clock_ms() - c->open.written_at >= idle) {
        do
            rc = seal_locked(c);
        while (make_room(c, rc));
        c->due |= DUE_COMMIT;
    }
    c->idle_error = rc;
    lock_release(&c->lock);
    if (rc && rc != told)
        log_err("%s: sealing the idle segment: %s", cartridge_barcode(c), strerror(-rc));
}
