/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_room.c: back-pressure: how fast a drive may write, by the backlog (I6) and by the disk. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "vtl/drive/drive_private.h"

#define DISK_WAIT_MS 30000
#define LONGEST_PAUSE_US 500000
#define SLICE_US 50000

/* The backlog in bytes, with len more. */
static uint64_t dirty_with(struct engine *e, uint32_t len)
{
    return engine_dirty(e) + len;
}

/* Below this backlog WRITE runs at full speed. */
static uint64_t easy(uint64_t limit)
{
    return limit - limit / 4;
}

bool drive_has_room(struct drive *d, uint32_t len)
{
    return dirty_with(d->eng, len) <= easy(engine_dirty_limit(d->eng));
}

/* ---- smooth, before the limit ---- */

uint64_t drive_pause_us(uint64_t dirty, uint64_t limit, uint64_t rate, uint32_t len)
{
    uint64_t from = easy(limit);
    if (dirty <= from || !rate)
        return 0;
    /* Twice the store's rate at first, nothing at the limit: half-way it is the store's own. */
    uint64_t left = dirty < limit ? limit - dirty : 0;
    double allowed = 2.0 * (double)rate * (double)left / (double)(limit - from);
    double us = allowed > 0 ? (double)len * 1e6 / allowed : LONGEST_PAUSE_US;
    return us < LONGEST_PAUSE_US ? (uint64_t)us : LONGEST_PAUSE_US;
}

/* As the spool fills up, slows WRITE down to the store's rate: full speed would only lead to one long wait. */
static void pace(struct drive *d, uint64_t dirty, uint64_t limit, uint32_t len, const atomic_bool *cancel)
{
    struct engine *e = d->eng;
    uint64_t pause = drive_pause_us(dirty, limit, upload_rate_get(&e->upload_rate, clock_ms()), len);
    if (!pause)
        return;
    uint64_t now = clock_us();
    uint64_t from = d->paced_until > now ? d->paced_until : now;
    d->paced_until = from + pause;
    while (now < from && !atomic_load(cancel)) {
        uint64_t us = from - now < SLICE_US ? from - now : SLICE_US;
        nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
        now = clock_us();
    }
}

/* ---- the limit ---- */

enum tape_result drive_wait_for_room(struct drive *d, uint32_t len, const atomic_bool *cancel)
{
    struct engine *e = d->eng;
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        uint64_t dirty = dirty_with(e, len), limit = engine_dirty_limit(e);
        if (dirty <= limit) {
            pace(d, dirty, limit, len, cancel);
            return atomic_load(cancel) ? TAPE_CANCELLED : TAPE_OK;
        }
        struct cartridge_brief b;
        cartridge_brief(d->c, 0, &b);
        if (b.owner == CARTRIDGE_FENCED) {
            d->fence_told = true;
            return TAPE_NOT_OWNED;
        }
        if (atomic_load(cancel) || drive_stops(d))
            return TAPE_CANCELLED;
        if (engine_waits_for(e, DURABILITY_OFFSITE))
            offsite_want(&e->offsite);
        int rc = b.pending ? 0 : drive_sync(d, true, cancel); /* it is the open segment that fills the spool */
        if (rc)
            return drive_write_failed(d, rc);
        progress_wait(&e->progress, seen, 1000);
    }
}

bool drive_make_disk_room(struct drive *d, int rc, uint32_t len, uint64_t *until, const atomic_bool *cancel)
{
    struct engine *e = d->eng;
    struct cartridge_brief b;
    if (!file_disk_full(rc))
        return false;
    uint64_t seen = progress_now(&e->progress), dirty = atomic_load(&e->dirty_bytes);
    cartridge_brief(d->c, 0, &b);
    if (b.broken)
        return false;
    if (spool_shrink(e->spool, len + (1u << 20), true)) /* rather than that the WRITE fails, or waits for a head */
        return true;
    /* What waits to be stored, of whatever tape, is cache then; but for what is open here. */
    bool coming = dirty > b.open_bytes && b.owner != CARTRIDGE_FENCED;
    uint64_t now = clock_ms();
    *until = *until ? *until : now + DISK_WAIT_MS;
    if (!coming || !e->workers || atomic_load(cancel) || now >= *until)
        return false;
    progress_wait(&e->progress, seen, 1000);
    return true;
}

int drive_put_block(struct drive *d, const struct seg_packed *b, const atomic_bool *cancel)
{
    uint64_t until = 0;
    int rc;
    do
        rc = cartridge_write(d->c, b);
    while (drive_make_disk_room(d, rc, b->r.length, &until, cancel));
    return rc;
}

int drive_put_filemarks(struct drive *d, uint64_t object, uint32_t count, const atomic_bool *cancel)
{
    uint64_t until = 0;
    int rc;
    do
        rc = cartridge_filemarks(d->c, object, count);
    while (drive_make_disk_room(d, rc, 0, &until, cancel));
    return rc;
}

bool drive_await_disk_room(struct drive *d, int rc, uint64_t *until, const atomic_bool *cancel)
{
    return !atomic_load(&d->eng->failing) && drive_make_disk_room(d, rc, 0, until, cancel);
}

int drive_sync(struct drive *d, bool seal, const atomic_bool *cancel)
{
    uint64_t until = 0;
    int rc;
    do
        rc = seal ? cartridge_flush(d->c) : cartridge_sync(d->c);
    while (drive_await_disk_room(d, rc, &until, cancel));
    return rc;
}
