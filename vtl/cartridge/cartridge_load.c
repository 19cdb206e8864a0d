/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_load.c: a cartridge from its rows, with recovery of the segment that was open when the process ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "vtl/cartridge/cartridge_private.h"

struct cartridge *cartridge_new(struct engine *eng, const struct db_cartridge *row)
{
    struct cartridge *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->eng = eng;
    c->row = *row;
    c->row.mam = row->mam ? strdup(row->mam) : NULL;
    c->row.counters = row->counters ? strdup(row->counters) : NULL;
    usage_decode(row->counters, &c->usage);
    c->open.fd = -1;
    lock_init(&c->lock, LOCK_CARTRIDGE);
    tape_index_init(&c->live);
    c->changes = 1;
    c->committed = row->dirty ? 0 : 1;
    c->owner = row->fenced ? CARTRIDGE_FENCED : CARTRIDGE_UNCLAIMED;
    atomic_init(&c->fenced_flag, row->fenced != DB_NOT_FENCED);
    c->due = (row->garbage ? DUE_GARBAGE : 0) | (row->rebuilt ? DUE_SWEEP : 0);
    return c;
}

void cartridge_free_doomed(struct cartridge *c)
{
    for (size_t i = 0; c->doomed && c->doomed[i]; i++)
        free(c->doomed[i]);
    free(c->doomed);
    c->doomed = NULL;
    c->doomed_next = 0;
}

void cartridge_free(struct cartridge *c)
{
    if (!c)
        return;
    seg_writer_free(c->open.writer);
    if (c->open.fd >= 0)
        close(c->open.fd);
    tape_index_free(&c->live);
    free(c->maps);
    free(c->pending);
    cartridge_free_doomed(c);
    free(c->row.mam);
    free(c->row.counters);
    lock_fini(&c->lock);
    free(c);
}

struct loading {
    struct cartridge *c;
    struct seg_id open;
    uint64_t synced; /* bytes of it */
    bool has_open;
};

static int load_segment(void *arg, enum seg_state state, const struct seg_ref *ref, const struct seg_fm_run *fms,
                        size_t n)
{
    struct loading *l = arg;
    struct cartridge *c = l->c;
    if (state == SEG_OPEN) {
        l->open = ref->id;
        l->synced = ref->size;
        l->has_open = true;
        return 0;
    }
    int rc = tape_index_append(&c->live, ref, fms, n);
    if (!rc && state == SEG_STORED)
        spool_stored(c->eng->spool, c->row.barcode, &ref->id, ref->size);
    if (rc || state == SEG_STORED)
        return rc;
    rc = cartridge_push_pending(c, &ref->id, ref->size);
    if (!rc)
        atomic_fetch_add(&c->eng->dirty_bytes, ref->size);
    return rc;
}

static int load_map(void *arg, const struct map_ref *m)
{
    struct cartridge *c = arg;
    struct map_ref *maps = realloc(c->maps, (c->n_maps + 1) * sizeof(*maps));
    if (!maps)
        return -ENOMEM;
    c->maps = maps;
    c->maps[c->n_maps++] = *m;
    return 0;
}

/* The good prefix of the file becomes a sealed segment. -ENODATA: there is none. */
static int seal_recovered(int fd, uint64_t synced, struct seg_writer **w, struct seg_totals *t, struct errtext *err)
{
    bool sealed = false;
    int rc = seg_writer_recover(fd, synced, w, &sealed, err);
    if (rc == -EINVAL)
        return -ENODATA;
    if (rc)
        return rc;
    seg_writer_totals(*w, t);
    if (!t->objects)
        return -ENODATA;
    if (!sealed)
        rc = seg_writer_seal(*w);
    if (!rc && fdatasync(fd))
        rc = -errno;
    seg_writer_totals(*w, t);
    return rc;
}

static int take_recovered(struct cartridge *c, const struct seg_id *id, const struct seg_totals *t)
{
    uint64_t object = t->header.first_object, end = tape_index_end_object(&c->live);
    struct seg_ref r = {.id = *id,
                        .first_object = object,
                        .first_file = t->header.first_file,
                        .objects = t->objects,
                        .filemarks = t->filemarks,
                        .size = t->stored_bytes,
                        .plain_bytes = t->plain_bytes};
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
        rc = cartridge_push_pending(c, id, r.size);
    if (!rc)
        atomic_fetch_add(&c->eng->dirty_bytes, r.size);
    return rc;
}

/* What a sync acknowledged is gone from the disk: the operator is told, and the host by a TapeAlert flag. */
static void tell_damage(struct cartridge *c, const char *name, uint64_t synced)
{
    uint64_t end = tape_index_end_object(&c->live);
    log_line("%s: open segment %s is DAMAGED on the disk: it had %llu bytes that were synced, and not all of them "
             "can be read; the tape ends "
             "at object %llu now, and what was acknowledged behind it is lost (the file is kept as %s.bad)",
             c->row.barcode, name, (unsigned long long)synced, (unsigned long long)end, name);
    c->usage.lost_objects++;
    c->usage.lost_from = end;
    c->usage_changed = true;
    cartridge_refresh_counters(c);
    if (db_cartridge_update(c->eng->db, &c->row))
        log_line("%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

static int recover_open(struct cartridge *c, const struct seg_id *id, uint64_t synced, struct errtext *err)
{
    char name[SEG_NAME_SIZE];
    seg_id_format(id, name);
    struct seg_writer *w = NULL;
    struct seg_totals t = {0};
    int fd = spool_reopen(c->eng->spool, c->row.barcode, id);
    /* The file was made safe before its row: if it is not there, something was taken away. */
    int rc = fd < 0 ? fd : seal_recovered(fd, synced, &w, &t, err);
    bool damaged = rc == -EUCLEAN || (rc == -ENODATA && synced > 0);
    if (rc == -EUCLEAN && !(rc = spool_keep_copy(c->eng->spool, c->row.barcode, id)))
        rc = seal_recovered(fd, 0, &w, &t, err);
    if (!rc && t.header.first_object > tape_index_end_object(&c->live)) {
        log_line("%s: open segment %s begins at object %llu, behind the end %llu: not used", c->row.barcode, name,
                 (unsigned long long)t.header.first_object, (unsigned long long)tape_index_end_object(&c->live));
        rc = -ENODATA;
    }
    if (!rc) {
        rc = take_recovered(c, id, &t);
        log_line("%s: recovered segment %s: objects %llu to %llu", c->row.barcode, name,
                 (unsigned long long)t.header.first_object, (unsigned long long)t.header.first_object + t.objects);
    }
    seg_writer_free(w);
    if (fd >= 0)
        close(fd);
    if (damaged && (!rc || rc == -ENODATA))
        tell_damage(c, name, synced);
    if (rc != -ENODATA)
        return rc ? errtext_set(err, rc, "%s: open segment %s: %s", c->row.barcode, name, strerror(-rc)) : 0;
    log_line("%s: open segment %s holds no whole record: the tape is what it was before (the file is kept as %s.bad)",
             c->row.barcode, name, name);
    spool_set_aside(c->eng->spool, c->row.barcode, id);
    return db_segment_drop(c->eng->db, c->row.rowid, id);
}

static int load_locked(struct cartridge *c, struct errtext *err)
{
    struct loading l = {.c = c};
    int rc = db_segments(c->eng->db, c->row.rowid, load_segment, &l);
    if (!rc)
        rc = db_maps(c->eng->db, c->row.rowid, load_map, c);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", c->row.barcode, rc == -EIO ? db_error(c->eng->db) : strerror(-rc));
    if (c->row.commit_segs > c->live.n_segs)
        c->row.commit_segs = c->live.n_segs;
    cartridge_cut_maps(c);
    return l.has_open ? recover_open(c, &l.open, l.synced, err) : 0;
}

static void forget_live(struct cartridge *c)
{
    for (size_t i = 0; i < c->n_pending; i++)
        atomic_fetch_sub(&c->eng->dirty_bytes, c->pending[i].size);
    c->n_pending = c->n_maps = 0;
    tape_index_free(&c->live);
    tape_index_init(&c->live);
    c->loaded = false;
}

int cartridge_load(struct cartridge *c, struct errtext *err)
{
    lock_take(&c->lock);
    int rc = c->loaded ? 0 : load_locked(c, err);
    if (rc)
        forget_live(c);
    else
        c->loaded = true;
    bool work = !rc && (c->n_pending || !cartridge_is_committed(c) || (c->due & DUE_GARBAGE));
    lock_release(&c->lock);
    if (work)
        engine_poke(c->eng, c);
    return rc;
}

void cartridge_unload_if_clean(struct cartridge *c)
{
    lock_take(&c->lock);
    bool stored = c->open.state == OPEN_CLOSED && !c->n_pending && cartridge_is_committed(c);
    if (c->loaded && !c->users && stored && !c->heads_taken && !c->doomed && !(c->due & DUE_GARBAGE)) {
        c->row.used_bytes = tape_index_plain_bytes(&c->live);
        c->row.stored_bytes = 0;
        for (size_t i = 0; i < c->live.n_segs; i++)
            c->row.stored_bytes += c->live.segs[i].size;
        c->row.sealed_bytes = 0;
        forget_live(c);
    }
    lock_release(&c->lock);
}
