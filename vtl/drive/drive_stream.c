/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_stream.c: streaming: blocks are queued and acknowledged at once, and written behind; see behind.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/drive/drive_private.h"

#define SMALL (16u << 10)

/*
 * The first WRITE after any other operation is written before it is answered: it may be refused, cut the tape, or
 * begin a segment. Then the drive streams: the blocks that follow are only queued, by the transport's own thread if
 * that needs no waiting. Every other operation drains the queue first (drive_drain), so that only streaming has to know
 * of it: pos, used and the unsynced blocks count what is queued, too.
 */

/* Adds what was written behind to the statistics, which may be asked for meanwhile. */
static void show_stored(struct drive *d)
{
    struct cartridge_brief b;
    cartridge_brief(d->c, 0, &b);
    lock_take(&d->st_lock);
    INVARIANT(b.appended >= d->stored_shown);
    const struct tape_usage n = {.stored_bytes = b.appended - d->stored_shown};
    d->stored_shown = b.appended;
    usage_add(&d->statistics.drive, &n);
    usage_add(&d->statistics.mount, &n);
    usage_add(&d->statistics.life, &n);
    lock_release(&d->st_lock);
}

/* On the queue's threads: whoever waits for them may hold op_lock. d->c stays while anything is queued. */
static int pack_behind(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                       struct seg_packed *out)
{
    struct drive *d = arg;
    struct seg_block block = {b->object, b->data, b->len, crc32c(0, b->data, b->len), b->compress, b->make};
    int rc = seg_pack(p, cartridge_id(d->c), &block, key, out);
    if (!rc || !b->make)
        return rc;
    block.make = NULL; /* its pieces take more than itself, or cannot be: it is stored as it is */
    return seg_pack(p, cartridge_id(d->c), &block, key, out);
}

static const atomic_bool never = false;

static bool is_fenced(const struct drive *d)
{
    struct cartridge_brief now;
    cartridge_brief(d->c, 0, &now);
    return now.owner == CARTRIDGE_FENCED;
}

static int put_behind(void *arg, const struct seg_packed *b)
{
    struct drive *d = arg;
    int rc = is_fenced(d) ? -EPERM : drive_put_block(d, b, &never);
    if (rc == -ESTALE && drive_ask_again(d, b->make))
        rc = drive_put_block(d, b, &never);
    if (!rc)
        show_stored(d);
    return rc;
}

static int mark_behind(void *arg, uint64_t object, uint32_t count)
{
    struct drive *d = arg;
    return is_fenced(d) ? -EPERM : drive_put_filemarks(d, object, count, &never);
}

void drive_stream_begin(struct drive *d)
{
    static const struct behind_ops ops = {.pack = pack_behind,
                                          .put = put_behind,
                                          .mark = mark_behind,
                                          .plan = drive_plan,
                                          .planned = drive_planned,
                                          .help = drive_plan_help};
    /* What is held back to see what comes next is not counted: so the queue always moves on. */
    uint64_t buffer = d->eng->cfg->spool.write_buffer, room = buffer ? buffer + drive_dedup_room(d) : 0;
    if (!d->behind && room) {
        struct behind *behind = behind_new(room, &d->eng->waiting_bytes, &ops, d);
        lock_take(&d->st_lock); /* drive_status looks at it */
        d->behind = behind;
        lock_release(&d->st_lock);
    }
    d->streaming = d->behind != NULL;
    if (d->behind)
        behind_set_planning(d->behind, drive_dedup_begin(d));
}

/* ---- taking a block ---- */

/* Publishes what drive_publish would, without the cartridge's lock. */
static void publish(struct drive *d, const struct tape_usage *n)
{
    lock_take(&d->st_lock);
    struct tape_status *st = &d->st;
    st->activity = TAPE_IDLE;
    st->object = st->end_object = d->pos;
    st->file += n->written_filemarks;
    st->end_file += n->written_filemarks;
    st->used = d->used;
    st->blocks_in_buffer = d->unsynced_blocks;
    st->bytes_in_buffer = d->unsynced_bytes;
    st->past_early_warning = drive_past_early_warning(d);
    st->alerts = atomic_load(&d->alerts);
    usage_add(&d->statistics.drive, n);
    usage_add(&d->statistics.mount, n);
    usage_add(&d->statistics.life, n);
    lock_release(&d->st_lock);
}

/* A block, or with len 0 filemarks. */
static enum tape_result taken(struct drive *d, uint64_t objects, uint32_t len)
{
    const struct tape_usage n = {
        .written_bytes = len, .written_blocks = len != 0, .written_filemarks = len ? 0 : objects};
    usage_add(&d->streamed, &n);
    d->pos += objects;
    d->used += len;
    cartridge_quota_written(d->c, len);
    d->unsynced_blocks += objects;
    d->unsynced_bytes += len;
    publish(d, &n);
    return drive_past_early_warning(d) ? TAPE_EARLY_WARNING : TAPE_OK;
}

static void *copy_of(const void *block, uint32_t len)
{
    void *copy = malloc(len);
    if (copy)
        memcpy(copy, block, len);
    return copy;
}

/* Takes the block's memory over, unless the block is so small that a copy is cheaper. */
static bool take_at_once(struct drive *d, const struct tape_write *w)
{
    bool small = w->len < SMALL;
    void *data = small ? copy_of(w->block, w->len) : (void *)(uintptr_t)w->block;
    bool done = data && behind_push(d->behind, data, w->len, d->pos, w->compress, w->crypt) == BEHIND_TAKEN;
    if (done && !small)
        w->taken(w->arg);
    if (!done && small)
        free(data);
    return done;
}

bool drive_write_at_once(void *self, const struct tape_write *w, enum tape_result *result)
{
    struct drive *d = self;
    if (!lock_try(&d->op_lock))
        return false;
    bool may = d->streaming && !drive_is_full(d, w->len) && !drive_spool_loss(d);
    bool done = may && drive_has_room(d, w->len) && take_at_once(d, w);
    if (done)
        *result = taken(d, 1, w->len);
    lock_release(&d->op_lock);
    return done;
}

bool drive_stream(struct drive *d, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                  const atomic_bool *cancel, enum tape_result *result)
{
    if (drive_is_full(d, len) || drive_spool_loss(d))
        return false;
    *result = drive_wait_for_room(d, len, cancel);
    if (*result)
        return true;
    void *copy = copy_of(block, len);
    if (!copy)
        return false;
    for (;;) {
        switch (behind_push(d->behind, copy, len, d->pos, compress, crypt)) {
        case BEHIND_TAKEN:
            *result = taken(d, 1, len);
            return true;
        case BEHIND_FULL:
            if (!atomic_load(cancel)) {
                behind_wait_room(d->behind, len);
                break;
            }
            free(copy);
            *result = TAPE_CANCELLED;
            return true;
        case BEHIND_DRAIN:
            free(copy);
            return false;
        }
    }
}

bool drive_stream_filemarks(struct drive *d, uint32_t count, const atomic_bool *cancel, enum tape_result *result)
{
    if (drive_is_full(d, 0) || drive_spool_loss(d))
        return false;
    enum behind_push r;
    while ((r = behind_push_filemarks(d->behind, d->pos, count)) == BEHIND_FULL && !atomic_load(cancel))
        behind_wait_room(d->behind, 0);
    if (r == BEHIND_DRAIN)
        return false;
    *result = r == BEHIND_TAKEN ? taken(d, count, 0) : TAPE_CANCELLED;
    return true;
}
