/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_view.c: what a cartridge looks like from outside: snapshots, places on the tape, segments. */
#include "vtl/cartridge/object_lock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

const char *cartridge_barcode(const struct cartridge *c)
{
    return c->row.barcode;
}

const uint8_t *cartridge_id(const struct cartridge *c)
{
    return c->row.id;
}

int64_t cartridge_rowid(const struct cartridge *c)
{
    return c->row.rowid;
}

int cartridge_generation(const struct cartridge *c)
{
    return c->row.generation;
}

struct engine *cartridge_engine(const struct cartridge *c)
{
    return c->eng;
}

void cartridge_brief(struct cartridge *c, uint64_t object, struct cartridge_brief *out)
{
    lock_take(&c->lock);
    *out = (struct cartridge_brief){.owner = c->owner,
                                    .failing = c->failures != 0,
                                    .looking = (c->due & DUE_LOOK) && !c->look_failed,
                                    .stale = c->row.fenced == DB_FENCED_STALE,
                                    .write_protected = c->row.write_protected,
                                    .worm = c->row.worm,
                                    .locked = retention_holds(&c->row.retention, engine_earliest_time(c->eng)),
                                    .capacity = c->row.capacity,
                                    .file = tape_index_file_of(&c->live, object),
                                    .end_object = tape_index_end_object(&c->live),
                                    .end_file = tape_index_end_file(&c->live),
                                    .appended = c->appended,
                                    .created = c->row.created,
                                    .pending = c->n_pending,
                                    .open_bytes = c->open.size,
                                    .broken = c->open.state == OPEN_BROKEN,
                                    .usage = c->usage};
    out->filemark = object < out->end_object && tape_index_is_filemark(&c->live, object);
    lock_release(&c->lock);
}

bool cartridge_is_whole(struct cartridge *c)
{
    lock_take(&c->lock);
    bool whole = !c->usage.lost_objects;
    lock_release(&c->lock);
    return whole;
}

void cartridge_note_accepted(struct cartridge *c)
{
    bool all = cartridge_is_offsite(c);
    if (all)
        c->offsite_segs = c->row.commit_segs;
    c->accepted_ms = offsite_now(&c->eng->offsite);
    if (!c->loaded) { /* claimed as it is: its segments are not in memory */
        c->offsite_bytes = all ? c->row.accepted_bytes : c->offsite_bytes;
        return;
    }
    c->offsite_bytes = 0;
    for (size_t i = 0; i < c->offsite_segs; i++)
        c->offsite_bytes += c->live.segs[i].size;
}

/* A segment that is stored counts as accepted once a head names it: a rebuild goes by heads. */
static void fill_amounts(const struct cartridge *c, struct cartridge_amounts *out)
{
    lock_assert_held(&c->lock);
    uint64_t offsite = c->offsite_bytes, named = c->row.accepted_bytes;
    bool whole = cartridge_is_offsite(c);
    *out = (struct cartridge_amounts){.local = c->row.local_bytes};
    if (!c->loaded) {
        out->unsent = c->row.local_bytes;
        out->offsite = whole || offsite > named ? named : offsite;
        out->accepted = named - out->offsite;
        return;
    }
    *out = (struct cartridge_amounts){.local = c->open.size, .unsent = c->open.size};
    size_t n_offsite = whole ? c->row.commit_segs : c->offsite_segs;
    for (size_t i = 0; i < c->live.n_segs; i++)
        *(i < n_offsite            ? &out->offsite
          : i < c->row.commit_segs ? &out->accepted
                                   : &out->local) += c->live.segs[i].size; /* 0 while it is open */
    for (size_t i = 0; i < c->n_pending; i++)
        if (!c->pending[i].dead)
            out->unsent += c->pending[i].size;
}

/* A moment to come was noted by a clock that was ahead: until then nothing would be old. It counts from now on. */
static uint64_t heed_clock(uint64_t *since, uint64_t now)
{
    return *since = *since < now ? *since : now;
}

static uint64_t waits_since(struct cartridge *c)
{
    uint64_t now = engine_time();
    if (cartridge_is_committed(c))
        return 0;
    uint64_t oldest = heed_clock(&c->changed_since, now);
    for (size_t i = 0; i < c->n_pending; i++) {
        uint64_t since = heed_clock(&c->pending[i].since, now);
        oldest = since < oldest ? since : oldest;
    }
    return oldest;
}

static void fill_backlog(struct cartridge *c, struct cartridge_backlog *out)
{
    fill_amounts(c, &out->amounts);
    out->since = waits_since(c);
    out->remote = cartridge_is_committed(c) && !c->row.unstored_rows; /* which may be a segment that was open */
    out->offsite = out->remote && cartridge_is_offsite(c);
    out->fenced = c->owner == CARTRIDGE_FENCED;
    memcpy(out->trouble, c->trouble, sizeof(out->trouble));
    cartridge_lost_text(c, out->trouble, sizeof(out->trouble)); /* which the store can do nothing about */
    out->spool_lost = atomic_load(&c->lost_flag);
    /* What was stored before it is committed first. */
    out->lost = cartridge_rest_is_lost(c) && !cartridge_can_commit(c);
}

void cartridge_backlog(struct cartridge *c, struct cartridge_backlog *out)
{
    lock_take(&c->lock);
    fill_backlog(c, out);
    lock_release(&c->lock);
}

void cartridge_view(struct cartridge *c, struct cartridge_view *out)
{
    lock_take(&c->lock);
    *out = (struct cartridge_view){.loaded = c->loaded,
                                   .held = c->users != 0,
                                   .write_protected = c->row.write_protected,
                                   .worm = c->row.worm,
                                   .retention = c->row.retention,
                                   .locked = retention_holds(&c->row.retention, engine_earliest_time(c->eng)),
                                   .object_lock = c->row.object_lock,
                                   .object_lock_due = object_lock_due(c),
                                   .capacity = c->row.capacity,
                                   .used_bytes = c->row.used_bytes,
                                   .created = c->row.created,
                                   .modified = c->row.modified,
                                   .head = c->row.head,
                                   .cache_below = c->row.unstored_rows || c->row.dirty ? 0 : c->row.next_segment,
                                   .unstored_rows = c->row.unstored_rows,
                                   .usage = c->usage};
    if (c->loaded) {
        out->used_bytes = tape_index_plain_bytes(&c->live);
        out->segments = c->live.n_segs;
        out->end_file = tape_index_end_file(&c->live);
        out->end_object = tape_index_end_object(&c->live);
    }
    memcpy(out->object_lock_trouble, c->lock_trouble, sizeof(out->object_lock_trouble));
    fill_backlog(c, &out->backlog);
    lock_release(&c->lock);
}

uint32_t cartridge_quota_rules(struct cartridge *c)
{
    return quota_rules(&c->eng->quota, c->row.barcode, &c->quota_rules);
}

struct quota_room cartridge_quota_left(struct cartridge *c)
{
    return quota_left(&c->eng->quota, cartridge_quota_rules(c));
}

void cartridge_quota_written(struct cartridge *c, uint64_t bytes)
{
    quota_written(&c->eng->quota, cartridge_quota_rules(c), bytes);
}

void cartridge_quota_cut_begin(struct cartridge *c, uint64_t bytes)
{
    quota_cut_begin(&c->eng->quota, cartridge_quota_rules(c), bytes);
}

void cartridge_quota_cut_end(struct cartridge *c)
{
    quota_cut_end(&c->eng->quota);
}

void cartridge_kept_why(struct cartridge *c, char out[CARTRIDGE_WHY_SIZE])
{
    lock_take(&c->lock);
    memcpy(out, c->kept_why, sizeof(c->kept_why));
    lock_release(&c->lock);
}

/* ---- places on the tape ---- */

bool cartridge_next_filemark(struct cartridge *c, uint64_t object, uint64_t *filemark)
{
    lock_take(&c->lock);
    bool found = tape_index_next_filemark(&c->live, object, filemark);
    lock_release(&c->lock);
    return found;
}

bool cartridge_prev_filemark(struct cartridge *c, uint64_t object, uint64_t *filemark)
{
    lock_take(&c->lock);
    bool found = tape_index_prev_filemark(&c->live, object, filemark);
    lock_release(&c->lock);
    return found;
}

bool cartridge_file_start(struct cartridge *c, uint64_t file, uint64_t *object)
{
    lock_take(&c->lock);
    bool found = tape_index_file_start(&c->live, file, object);
    lock_release(&c->lock);
    return found;
}

uint64_t cartridge_bytes_before(struct cartridge *c, uint64_t object)
{
    const struct tape_index *x = &c->live;
    uint64_t n = 0;
    lock_take(&c->lock);
    for (size_t i = 0; i < x->n_segs && x->segs[i].first_object < object; i++) {
        const struct seg_ref *r = &x->segs[i];
        uint64_t part = object - r->first_object;
        n += part >= r->objects ? r->plain_bytes
                                : (uint64_t)((double)r->plain_bytes * (double)part / (double)r->objects);
    }
    lock_release(&c->lock);
    return n;
}

/* ---- segments ---- */

int cartridge_segment_of(struct cartridge *c, uint64_t object, struct seg_ref *ref, size_t *number)
{
    lock_take(&c->lock);
    const struct seg_ref *found = tape_index_segment(&c->live, object, number);
    if (found)
        *ref = *found;
    lock_release(&c->lock);
    return found ? 0 : -ENOENT;
}

bool cartridge_segment(struct cartridge *c, size_t number, struct seg_ref *ref)
{
    lock_take(&c->lock);
    bool found = number < c->live.n_segs;
    if (found)
        *ref = c->live.segs[number];
    lock_release(&c->lock);
    return found;
}

bool cartridge_is_stored(struct cartridge *c, const struct seg_id *id)
{
    bool pending = false;
    lock_take(&c->lock);
    for (size_t i = 0; i < c->n_pending; i++)
        pending = pending || !seg_id_compare(&c->pending[i].id, id);
    lock_release(&c->lock);
    return !pending;
}

static int read_record(int fd, uint8_t **buf, size_t *room, uint32_t size, uint64_t offset)
{
    uint8_t *more = size > *room ? realloc(*buf, size) : *buf;
    if (!more)
        return -ENOMEM;
    *room = size > *room ? size : *room;
    *buf = more;
    for (uint32_t done = 0; done < size;) {
        ssize_t n = pread(fd, more + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EBADMSG;
        done += (uint32_t)n;
    }
    return 0;
}

int cartridge_read_open(struct cartridge *c, uint64_t object, uint8_t **buf, size_t *room, uint32_t *size)
{
    uint64_t offset = 0;
    int rc = -ENOENT;
    lock_take(&c->lock);
    const struct seg_ref *ref = tape_index_segment(&c->live, object, NULL);
    if (c->open.state != OPEN_CLOSED && ref && !seg_id_compare(&ref->id, &c->open.id))
        rc = seg_writer_find(c->open.writer, object, &offset, size);
    if (!rc)
        rc = read_record(c->open.fd, buf, room, *size, offset);
    lock_release(&c->lock);
    return rc;
}
