/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_load.c: a cartridge from its rows, and out of memory again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/cartridge/object_lock.h"

struct cartridge *cartridge_new(struct engine *eng, const struct db_cartridge *row)
{
    struct cartridge *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->eng = eng;
    c->row = *row;
    c->row.mam = row->mam ? strdup(row->mam) : NULL;
    c->row.counters = row->counters ? strdup(row->counters) : NULL;
    c->row.written = &c->written;
    usage_decode(row->counters, &c->usage);
    c->open.fd = -1;
    lock_init(&c->lock, LOCK_CARTRIDGE);
    tape_index_init(&c->live);
    c->accepted_ms = offsite_now(&eng->offsite); /* as nothing is known of before */
    c->changes = 1;
    c->committed = row->dirty ? 0 : 1;
    c->changed_since = row->modified;
    c->owner = row->fenced ? CARTRIDGE_FENCED : CARTRIDGE_UNCLAIMED;
    atomic_init(&c->fenced_flag, row->fenced != DB_NOT_FENCED);
    atomic_init(&c->health, CARTRIDGE_HEALTH_UNKNOWN);
    c->health_next.health = CARTRIDGE_WHOLE;
    c->due = (row->garbage ? DUE_GARBAGE : 0) | (row->rebuilt ? DUE_SWEEP : 0);
    return c;
}

void cartridge_free_doomed(struct cartridge *c)
{
    for (size_t i = 0; c->doomed && c->doomed[i]; i++)
        free(c->doomed[i]);
    free(c->doomed);
    c->doomed = NULL;
    c->doomed_next = c->doomed_kept = 0;
    kept_free(c->kept);
    c->kept = NULL;
}

void cartridge_free(struct cartridge *c)
{
    if (!c)
        return;
    lock_take(&c->lock);
    cartridge_stop_failing(c);
    lock_release(&c->lock);
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
    if (!rc && state == SEG_STORED && c->live.n_segs <= c->row.commit_segs)
        spool_stored(c->eng->spool, c->row.barcode, &ref->id, ref->size);
    else if (!rc && state == SEG_STORED)
        cartridge_note_stored(c, &ref->id, ref->size);
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

/* What is not stored: of what is, the file is cache. */
static bool is_named(void *arg, const struct seg_id *id)
{
    const struct cartridge *c = arg;
    for (size_t i = 0; i < c->n_pending; i++)
        if (!seg_id_compare(&c->pending[i].id, id))
            return true;
    return c->undropped.epoch && !seg_id_compare(&c->undropped, id);
}

static int any_key(void *arg, const char *key)
{
    (void)key;
    *(bool *)arg = true;
    return 1;
}

/* What stayed for others may be free now. */
static int look_for_garbage(struct cartridge *c)
{
    bool any = false;
    int rc = db_garbage(c->eng->db, c->row.rowid, any_key, &any);
    c->due |= any ? DUE_GARBAGE : 0;
    return rc < 0 ? rc : 0;
}

static int load_locked(struct cartridge *c, struct errtext *err)
{
    struct loading l = {.c = c};
    int rc = db_cartridge_check(c->eng->db, c->row.rowid);
    if (!rc)
        rc = db_segments(c->eng->db, c->row.rowid, load_segment, &l);
    if (!rc)
        rc = db_maps(c->eng->db, c->row.rowid, load_map, c);
    if (!rc)
        rc = look_for_garbage(c);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", c->row.barcode,
                           *db_error(c->eng->db) ? db_error(c->eng->db) : strerror(-rc));
    if (c->row.commit_segs > c->live.n_segs)
        c->row.commit_segs = c->live.n_segs;
    cartridge_cut_maps(c);
    rc = l.has_open ? cartridge_recover_open(c, &l.open, l.synced, err) : 0;
    if (!rc)
        spool_drop_strays(c->eng->spool, c->row.barcode, c->row.next_segment, is_named, c);
    return rc;
}

static void forget_live(struct cartridge *c)
{
    for (size_t i = 0; i < c->n_pending; i++)
        atomic_fetch_sub(&c->eng->dirty_bytes, cartridge_counted(&c->pending[i]));
    c->n_pending = c->n_maps = 0;
    cartridge_note_lost(c);
    tape_index_free(&c->live);
    tape_index_init(&c->live);
    c->loaded = false;
}

int cartridge_load(struct cartridge *c, struct errtext *err)
{
    lock_take(&c->lock);
    int rc = c->loaded ? 0 : load_locked(c, err);
    /* A segment that is recovered is copied: on a full disk cache goes for it. */
    while (file_disk_full(rc) && spool_shrink(c->eng->spool, c->eng->cfg->spool.segment_size + CARTRIDGE_ROOM, true)) {
        forget_live(c);
        rc = load_locked(c, err);
    }
    if (rc)
        forget_live(c);
    else if (!c->loaded)
        c->due |= c->row.head.epoch ? DUE_LOOK : 0; /* before anything is claimed, as the state may be a copy's */
    if (!rc && c->owner == CARTRIDGE_FENCED)
        cartridge_uncount(c);
    c->loaded = c->loaded || !rc;
    c->row.unstored_rows = rc ? c->row.unstored_rows : 0; /* pending says so now */
    bool work = !rc && (c->n_pending || !cartridge_is_committed(c) || (c->due & DUE_GARBAGE) || c->release ||
                        object_lock_is_work(c));
    lock_release(&c->lock);
    if (work)
        engine_poke(c->eng, c);
    return rc;
}

void cartridge_unload_if_clean(struct cartridge *c)
{
    lock_take(&c->lock);
    bool stored = c->open.state == OPEN_CLOSED && !c->n_pending && cartridge_is_committed(c);
    if (c->loaded && !c->users && !c->release && stored && !c->heads_taken && !c->doomed && !(c->due & DUE_GARBAGE) &&
        !((c->due & DUE_HEADS) && c->owner == CARTRIDGE_OWNED) && !object_lock_is_work(c)) {
        c->row.used_bytes = tape_index_plain_bytes(&c->live);
        c->row.accepted_bytes = 0;
        for (size_t i = 0; i < c->live.n_segs; i++)
            c->row.accepted_bytes += c->live.segs[i].size;
        c->row.local_bytes = 0;
        forget_live(c);
    }
    lock_release(&c->lock);
}
