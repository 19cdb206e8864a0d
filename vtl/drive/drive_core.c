/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_core.c: a drive's life, the begin and end of an operation, and what is shown of it. */
#include "vtl/dedup/planner.h"
#include "vtl/drive/drive_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/lto.h"
#include "vtl/format/barcode.h"

/* A flush that cannot finish fails before the initiator gives up (PBS: 600 s). */
#define FLUSH_LIMIT_MS 540000
/* The same for a MOVE MEDIUM out of the drive (PBS: 300 s). */
#define REMOVE_LIMIT_MS 280000

struct drive *drive_new(struct engine *eng, unsigned number, const char *serial)
{
    struct drive *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->medium_changes = d->st.medium_changes = 1; /* 0 is any medium (for_medium) */
    d->eng = eng;
    d->number = number;
    (void)snprintf(d->serial, sizeof(d->serial), "%s", serial);
    d->flush_limit_ms = FLUSH_LIMIT_MS;
    d->remove_limit_ms = REMOVE_LIMIT_MS;
    lock_init(&d->op_lock, LOCK_DRIVE);
    lock_init(&d->st_lock, LOCK_DRIVE_STATUS);
    reader_init(&d->reader);
    drive_usage_begin(d);
    return d;
}

void drive_free(struct drive *d)
{
    if (!d)
        return;
    behind_free(d->behind);
    planner_free(d->planner);
    seg_packer_free(d->packer);
    reader_fini(&d->reader);
    lock_fini(&d->op_lock);
    lock_fini(&d->st_lock);
    free(d);
}

unsigned drive_number(const struct drive *d)
{
    return d->number;
}

const char *drive_serial(const struct drive *d)
{
    return d->serial;
}

bool drive_is_prevented(const struct drive *d)
{
    return atomic_load(&d->prevented);
}

uint64_t drive_flush_left(const struct drive *d)
{
    return atomic_load(&d->flush_left);
}

/* ---- status ---- */

bool drive_cleans(const struct drive *d)
{
    return d->c && barcode_is_cleaning(cartridge_barcode(d->c));
}

void drive_publish(struct drive *d, enum tape_activity activity)
{
    struct tape_status st = {.activity = activity, .medium_changes = d->medium_changes};
    struct tape_statistics statistics;
    struct cartridge_brief b;
    struct cartridge *c = d->c;
    lock_assert_held(&d->op_lock);
    if (c) {
        const struct lto_generation *g = lto_generation(cartridge_generation(c));
        st.medium = d->loaded ? TAPE_MEDIUM_LOADED : drive_cleans(d) ? TAPE_MEDIUM_CLEANING : TAPE_MEDIUM_UNLOADED;
        memcpy(st.barcode, cartridge_barcode(c), strlen(cartridge_barcode(c)) + 1);
        st.density = g ? g->density : 0;
        cartridge_brief(c, d->pos, &b);
        st.write_protected = b.write_protected;
        st.worm = b.worm;
        st.locked = b.locked;
        st.capacity = b.capacity;
        st.object = d->pos;
        st.file = b.file;
        st.end_object = b.end_object;
        st.end_file = b.end_file;
        st.used = d->used;
        st.blocks_in_buffer = d->unsynced_blocks;
        st.bytes_in_buffer = d->unsynced_bytes;
        st.past_early_warning = d->loaded && d->pos == b.end_object && drive_past_early_warning(d);
    }
    drive_usage_fill(d, c ? &b : NULL, &statistics);
    lock_take(&d->st_lock);
    st.alerts = atomic_load(&d->alerts);
    d->st = st;
    d->statistics = statistics;
    d->stored_shown = d->appended;
    lock_release(&d->st_lock);
}

/* All is still read back, so it is no media error: what is on the tape should be copied while it can be. Where not one host
 * may fail any more, reading may be slow or fail at any time. */
static uint64_t health_alerts(const struct drive *d, int health)
{
    return (health < atomic_load(&d->eng->live.health_warning) ? TAPE_ALERT_BIT(ALERT_MEDIA_LIFE) : 0) |
           (health <= 0 ? TAPE_ALERT_BIT(ALERT_READ_WARNING) : 0);
}

void drive_status(void *self, struct tape_status *out)
{
    struct drive *d = self;
    lock_take(&d->st_lock);
    *out = d->st;
    const struct behind *behind = d->behind;
    bool fenced = d->fenced && atomic_load(d->fenced);
    int health = d->health ? atomic_load(d->health) : CARTRIDGE_WHOLE;
    lock_release(&d->st_lock);
    if (out->medium == TAPE_MEDIUM_LOADED)
        out->alerts |= health_alerts(d, health);
    if (fenced) {
        out->write_protected = true;
        out->alerts |= TAPE_ALERT_BIT(ALERT_WRITE_PROTECT);
    }
    if (out->activity == TAPE_IDLE && behind_bytes(behind))
        out->activity = TAPE_WRITING;
}

void drive_watch_cartridge(struct drive *d, const struct cartridge *c)
{
    lock_take(&d->st_lock);
    d->fenced = c ? cartridge_fenced_flag(c) : NULL;
    d->health = c ? cartridge_health_flag(c) : NULL;
    lock_release(&d->st_lock);
}

void drive_wake(void *self)
{
    struct drive *d = self;
    progress_post(&d->eng->progress);
}

void drive_for_medium(void *self, uint64_t medium_changes)
{
    struct drive *d = self;
    d->for_medium = medium_changes;
}

void drive_prevent(void *self, bool prevented)
{
    struct drive *d = self;
    atomic_store(&d->prevented, prevented);
}

uint64_t drive_end_object(struct drive *d)
{
    struct cartridge_brief b;
    cartridge_brief(d->c, 0, &b);
    return b.end_object;
}

bool drive_stops(const struct drive *d)
{
    return atomic_load(&d->eng->stopping);
}

/* ---- an operation ---- */

enum tape_result drive_take(struct drive *d, const atomic_bool *cancel)
{
    return lock_take_until(&d->op_lock, UINT64_MAX, cancel) ? TAPE_CANCELLED : TAPE_OK;
}

enum tape_result drive_enter(struct drive *d, enum tape_activity activity, const atomic_bool *cancel)
{
    enum tape_result result = drive_take(d, cancel);
    if (result)
        return result;
    /* While it waited for the drive, or for its turn, another cartridge may have come. */
    bool other = d->for_medium && d->for_medium != d->medium_changes;
    if (!d->c || !d->loaded || other) {
        enum tape_result why = drive_cleans(d) ? TAPE_CLEANS : TAPE_NOT_PRESENT;
        lock_release(&d->op_lock);
        return why;
    }
    lock_take(&d->st_lock);
    d->st.activity = activity;
    lock_release(&d->st_lock);
    return TAPE_OK;
}

void drive_leave(struct drive *d)
{
    lock_take(&d->st_lock);
    d->st.activity = TAPE_IDLE;
    lock_release(&d->st_lock);
    lock_release(&d->op_lock);
}

enum tape_result drive_begin(struct drive *d, enum tape_activity activity, const atomic_bool *cancel)
{
    enum tape_result result = drive_enter(d, activity, cancel);
    if (result)
        return result;
    drive_drain(d);
    result = drive_tell_loss(d);
    if (result)
        return drive_end(d, result);
    if (activity == TAPE_LOCATING || activity == TAPE_REWINDING)
        d->place_lost = false;
    return TAPE_OK;
}

enum tape_result drive_end(struct drive *d, enum tape_result result)
{
    drive_publish(d, TAPE_IDLE);
    INVARIANT(d->c || (!d->loaded && !d->pos));
    INVARIANT(d->st.object <= d->st.end_object); /* only op_lock's holder writes them */
    lock_release(&d->op_lock);
    return result;
}
