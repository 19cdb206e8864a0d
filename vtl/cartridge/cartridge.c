/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge.c: appending, cutting, syncing and sealing; see cartridge.h for the rules. */
#include "vtl/cartridge/cartridge_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/format/segment_private.h"
#include "vtl/cartridge/worker.h"

static void touch(struct cartridge *c)
{
    c->changes++;
    c->row.modified = engine_time();
}

/* The segment that holds the object before, for the chain of the header; epoch 0: none. */
static struct seg_id id_before(const struct cartridge *c, uint64_t object)
{
    const struct seg_ref *r = object ? tape_index_segment(&c->live, object - 1, NULL) : NULL;
    return r ? r->id : (struct seg_id){0, 0, 0};
}

static void count_writer(struct cartridge *c, uint64_t size)
{
    atomic_fetch_add(&c->eng->dirty_bytes, size - c->writer_size);
    c->writer_size = size;
}

void cartridge_uncount(struct cartridge *c)
{
    for (size_t i = 0; i < c->n_pending; i++) {
        atomic_fetch_sub(&c->eng->dirty_bytes, c->pending[i].size);
        c->pending[i].size = 0;
    }
    count_writer(c, 0);
}

static void close_writer(struct cartridge *c)
{
    seg_writer_free(c->writer);
    c->writer = NULL;
    close(c->writer_fd);
    c->writer_fd = -1;
}

/* Throws the open segment away (nothing of it is in live): file and row. */
static void drop_writer(struct cartridge *c)
{
    close_writer(c);
    count_writer(c, 0);
    c->apply_due = false;
    spool_remove(c->eng->spool, c->row.barcode, &c->writer_id);
    if (db_segment_drop(c->eng->db, c->row.rowid, &c->writer_id))
        log_line("%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

int cartridge_push_pending(struct cartridge *c, const struct seg_id *id, uint64_t size)
{
    if (c->n_pending == c->room_pending) {
        size_t room = c->room_pending ? 2 * c->room_pending : 16;
        struct pending *p = realloc(c->pending, room * sizeof(*p));
        if (!p)
            return -ENOMEM;
        c->pending = p;
        c->room_pending = room;
    }
    c->pending[c->n_pending++] = (struct pending){.id = *id, .size = size};
    return 0;
}

static void remove_pending(struct cartridge *c, size_t i)
{
    atomic_fetch_sub(&c->eng->dirty_bytes, c->pending[i].size);
    memmove(&c->pending[i], &c->pending[i + 1], (c->n_pending - i - 1) * sizeof(*c->pending));
    c->n_pending--;
}

/* Files of overwritten segments go, once no row names them. If a worker has had one, an object of that name may be in
 * the store, whatever was answered: it is garbage. */
static void bury_dead(struct cartridge *c)
{
    for (size_t i = c->n_pending; i-- > 0;) {
        struct pending *p = &c->pending[i];
        if (!p->dead || p->busy)
            continue;
        char key[DB_KEY_SIZE];
        object_key(key, c->row.barcode, "seg", &p->id);
        const char *keys[] = {key};
        if (p->tried && db_garbage_add(c->eng->db, c->row.rowid, keys, 1))
            log_line("%s: state: %s: %s stays in the store", c->row.barcode, db_error(c->eng->db), key);
        spool_remove(c->eng->spool, c->row.barcode, &p->id);
        remove_pending(c, i);
    }
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
    if (c->row.commit_segs > c->live.n_segs)
        c->row.commit_segs = c->live.n_segs;
    if (c->cut_low > c->live.n_segs)
        c->cut_low = c->live.n_segs;
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
    int rc = cartridge_change_cut(c, c->apply_object, &ch, &runs);
    if (!rc)
        rc = db_change(c->eng->db, &c->row, &ch);
    free(runs);
    if (rc)
        return rc;
    c->apply_due = false;
    bury_dead(c);
    return 0;
}

/* A failed fdatasync is final for this file: the kernel has dropped what it could not write, and the next call would
 * say 0. */
static int sync_file(struct cartridge *c)
{
    if (!c->writer_error && !c->writer_synced && fdatasync(c->writer_fd))
        c->writer_error = -errno;
    return c->writer_error;
}

/* So that what is missing of it after a crash is known to be damage, not a torn end. */
static int mark_synced(struct cartridge *c)
{
    struct seg_totals t;
    seg_writer_totals(c->writer, &t);
    if (t.stored_bytes == c->writer_marked)
        return 0;
    int rc = db_segment_synced(c->eng->db, c->row.rowid, &c->writer_id, t.stored_bytes);
    if (!rc)
        c->writer_marked = t.stored_bytes;
    return rc;
}

static int sync_locked(struct cartridge *c)
{
    if (!c->writer)
        return 0;
    int rc = sync_file(c);
    if (rc)
        return rc;
    c->writer_synced = true;
    rc = c->apply_due ? apply_overwrite(c) : 0;
    return rc ? rc : mark_synced(c);
}

static int seal_locked(struct cartridge *c)
{
    if (!c->writer)
        return 0;
    int rc = c->writer_error ? c->writer_error : c->writer_sealed ? 0 : seg_writer_seal(c->writer);
    c->writer_sealed = c->writer_sealed || !rc;
    c->writer_synced = false;
    if (!rc)
        rc = sync_file(c);
    if (rc)
        return rc;
    struct seg_totals t;
    seg_writer_totals(c->writer, &t);
    struct seg_ref *last = &c->live.segs[c->live.n_segs - 1];
    struct db_change ch = {.sealed = last};
    struct seg_fm_run *cut_runs = NULL, *runs = NULL;
    if (c->apply_due)
        rc = cartridge_change_cut(c, c->apply_object, &ch, &cut_runs);
    if (!rc)
        rc = last_ref(c, &runs, &ch.n_sealed_fms);
    ch.sealed_fms = runs;
    last->size = t.stored_bytes;
    c->row.dirty = true;
    if (!rc)
        rc = cartridge_push_pending(c, &c->writer_id, t.stored_bytes);
    if (!rc && (rc = db_change(c->eng->db, &c->row, &ch)))
        c->n_pending--;
    free(cut_runs);
    free(runs);
    if (rc) {
        last->size = 0;
        return rc;
    }
    count_writer(c, t.stored_bytes); /* pending counts it from here on */
    c->writer_size = 0;
    close_writer(c);
    c->apply_due = false;
    bury_dead(c);
    workers_add(c->eng->workers, c);
    return 0;
}

/* Starts a segment at object. Row and file are made; live is not touched yet. */
static int open_writer(struct cartridge *c, uint64_t object)
{
    struct seg_ref r = {
        .id = {c->row.head.epoch ? c->row.head.epoch : 1, c->eng->writer, c->row.next_segment},
        .first_object = object,
        .first_file = tape_index_file_of(&c->live, object),
    };
    struct seg_header h = {
        .id = r.id,
        .first_object = r.first_object,
        .first_file = r.first_file,
        .prev = id_before(c, object),
        .overwrites = object < tape_index_end_object(&c->live),
        .created = engine_time(),
    };
    memcpy(h.cartridge, c->row.id, sizeof(h.cartridge));
    memcpy(h.barcode, c->row.barcode, sizeof(h.barcode));
    int fd = spool_create(c->eng->spool, c->row.barcode, &r.id);
    if (fd < 0)
        return fd;
    c->row.next_segment++;
    c->writer_id = r.id;
    int rc = seg_writer_create(fd, &h, &c->writer);
    if (!rc)
        rc = db_segment_open(c->eng->db, &c->row, &r);
    if (rc) {
        seg_writer_free(c->writer);
        c->writer = NULL;
        close(fd);
        spool_remove(c->eng->spool, c->row.barcode, &r.id);
        return rc;
    }
    c->writer_fd = fd;
    c->writer_error = 0;
    c->writer_synced = c->writer_sealed = false;
    c->writer_marked = c->writer_started = 0;
    c->usage_changed |= usage_cut(&c->usage, object); /* damage may have ended the tape right here */
    c->apply_due = h.overwrites;
    c->apply_object = object;
    count_writer(c, seg_writer_size(c->writer));
    return 0;
}

/* A writer whose next record is object, with room for one of size bytes. */
static int ready_writer(struct cartridge *c, uint64_t object, uint32_t size)
{
    if (c->writer && c->writer_error)
        return c->writer_error;
    bool fits = c->writer && !c->writer_sealed && object == tape_index_end_object(&c->live) &&
                seg_writer_size_with(c->writer, size) <= c->eng->cfg->spool.segment_size;
    if (fits)
        return 0;
    int rc = seal_locked(c);
    return rc ? rc : open_writer(c, object);
}

/* The first record of the open segment is written: now live has it. n_objects, of which n_filemarks. */
static int adopt_first(struct cartridge *c, uint64_t object, uint32_t len, uint32_t filemarks)
{
    struct seg_ref r = {.id = c->writer_id,
                        .first_object = object,
                        .first_file = tape_index_file_of(&c->live, object),
                        .objects = filemarks ? filemarks : 1,
                        .filemarks = filemarks,
                        .plain_bytes = len};
    struct seg_fm_run run = {object, filemarks};
    if (object < tape_index_end_object(&c->live)) {
        cartridge_cut_live(c, object);
        c->row.floor = object + 1;
    }
    return tape_index_append(&c->live, &r, &run, filemarks ? 1 : 0);
}

static bool first_record(const struct cartridge *c)
{
    return !c->live.n_segs || seg_id_compare(&c->live.segs[c->live.n_segs - 1].id, &c->writer_id);
}

#define WRITEBACK (4u << 20)

/* What was written goes to the disk while more comes, so that a sync, or the end of a segment, does not wait for all of
 * it. It makes nothing safe. */
static void start_writeback(struct cartridge *c)
{
    uint64_t end = seg_writer_size(c->writer);
    if (end < c->writer_started + WRITEBACK)
        return;
    (void)sync_file_range(c->writer_fd, (off_t)c->writer_started, (off_t)(end - c->writer_started),
                          SYNC_FILE_RANGE_WRITE);
    c->writer_started = end;
}

/* Either one block or (NULL) filemarks. */
static int append(struct cartridge *c, uint64_t object, const struct seg_packed *b, uint32_t filemarks)
{
    uint32_t len = b ? b->r.length : 0;
    lock_take(&c->lock);
    int rc = ready_writer(c, object, b ? seg_packed_size(b) : SEG_RECORD_SIZE);
    if (!rc) {
        uint64_t before = seg_writer_size(c->writer);
        rc = b ? seg_writer_packed(c->writer, b) : seg_writer_filemarks(c->writer, filemarks);
        bool first = first_record(c);
        if (rc && first)
            drop_writer(c);
        if (!rc) {
            if (!first)
                rc = b ? tape_index_grow_block(&c->live, len) : tape_index_grow_filemarks(&c->live, filemarks);
            else if ((rc = adopt_first(c, object, len, filemarks)))
                drop_writer(c);
            c->writer_synced = false;
            c->written_at = clock_ms();
            if (c->writer) {
                count_writer(c, seg_writer_size(c->writer));
                c->appended += seg_writer_size(c->writer) - before;
                start_writeback(c);
            }
            touch(c);
        }
    }
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

int cartridge_truncate(struct cartridge *c, uint64_t object)
{
    lock_take(&c->lock);
    bool cut = object < tape_index_end_object(&c->live);
    int rc = cut ? seal_locked(c) : 0;
    if (!rc && cut)
        rc = truncate_rows(c, object);
    if (!rc && cut) {
        cartridge_cut_live(c, object);
        touch(c);
        bury_dead(c);
        c->commit_soon = true;
    }
    lock_release(&c->lock);
    if (!rc && cut)
        workers_add(c->eng->workers, c);
    return rc;
}

int cartridge_sync(struct cartridge *c)
{
    lock_take(&c->lock);
    int rc = sync_locked(c);
    lock_release(&c->lock);
    return rc;
}

int cartridge_flush(struct cartridge *c)
{
    lock_take(&c->lock);
    int rc = seal_locked(c);
    bool ask = !c->commit_soon && c->changes != c->committed; /* asked before: the workers are at it */
    c->commit_soon = true;
    lock_release(&c->lock);
    if (!rc && ask)
        workers_add(c->eng->workers, c);
    return rc;
}

int cartridge_idle(struct cartridge *c, uint64_t idle)
{
    lock_take(&c->lock);
    int rc = 0;
    if (c->writer && clock_ms() - c->written_at >= idle) {
        rc = seal_locked(c);
        c->commit_soon = true;
    }
    lock_release(&c->lock);
    return rc;
}

bool cartridge_is_remote(struct cartridge *c)
{
    lock_take(&c->lock);
    bool done = c->changes == c->committed;
    lock_release(&c->lock);
    return done;
}

uint64_t cartridge_not_remote(const struct cartridge *c)
{
    uint64_t n = 0;
    if (!c->loaded)
        return c->row.sealed_bytes;
    for (size_t i = c->row.commit_segs; i < c->live.n_segs; i++)
        n += c->live.segs[i].size;
    return n + c->writer_size;
}

uint64_t cartridge_stored_bytes(const struct cartridge *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->live.n_segs; i++)
        n += c->live.segs[i].size; /* 0 while it is open */
    for (size_t i = 0; i < c->n_pending; i++)
        if (!c->pending[i].dead)
            n -= c->pending[i].size;
    return n;
}

bool cartridge_pick_pending(struct cartridge *c, struct pending *out)
{
    for (size_t i = 0; i < c->n_pending; i++)
        if (!c->pending[i].busy && !c->pending[i].dead) {
            c->pending[i].busy = c->pending[i].tried = true;
            *out = c->pending[i];
            return true;
        }
    return false;
}

int cartridge_pending_done(struct cartridge *c, const struct seg_id *id, bool stored)
{
    size_t i = 0;
    while (i < c->n_pending && seg_id_compare(&c->pending[i].id, id))
        i++;
    if (i == c->n_pending)
        return 0;
    struct pending *p = &c->pending[i];
    p->busy = false;
    if (p->dead) {
        if (!c->apply_due)
            bury_dead(c);
        return 0;
    }
    if (!stored)
        return 0;
    int rc = db_segment_stored(c->eng->db, c->row.rowid, id);
    if (rc)
        return rc;
    spool_stored(c->eng->spool, c->row.barcode, id, p->size);
    c->row.stored_bytes += p->size;
    remove_pending(c, i);
    return 0;
}

size_t cartridge_stored_prefix(const struct cartridge *c)
{
    size_t n = c->live.n_segs;
    if (c->writer && n && !seg_id_compare(&c->live.segs[n - 1].id, &c->writer_id))
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
