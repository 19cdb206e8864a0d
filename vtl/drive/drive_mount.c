/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_mount.c: inserts, threads, unthreads and removes a cartridge; cleaning. */
#include "vtl/drive/drive_private.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "vtl/format/cleaning.h"

/* Whether the bucket's head is the one that this state knows must be found out before anything is read; but a store that
 * does not answer stops nothing. Then it is found out when it answers (commit_look). */
static void await_look(struct drive *d, uint64_t until)
{
    struct engine *e = d->eng;
    struct cartridge_brief b;
    if (!e->workers)
        return;
    cartridge_want_look(d->c);
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        cartridge_brief(d->c, 0, &b);
        if (!b.looking || clock_ms() >= until)
            break;
        progress_wait(&e->progress, seen, 200);
    }
    cartridge_begin_use(d->c);
}

/* Threads the cartridge at BOP. */
static int thread_tape(struct drive *d, uint64_t wait_until, struct errtext *err)
{
    drive_usage_mounting(d);
    d->unsynced_blocks = d->unsynced_bytes = 0; /* of one that was fenced, and left */
    int rc = cartridge_load(d->c, err);
    if (rc)
        return rc;
    struct cartridge_brief b;
    await_look(d, wait_until);
    cartridge_brief(d->c, 0, &b);
    d->used = cartridge_bytes_before(d->c, UINT64_MAX);
    d->capacity = b.capacity;
    d->loaded = true;
    d->pos = 0;
    atomic_store(&d->alerts, 0);
    d->claim_asked = d->fence_told = d->spool_told = d->place_lost = false;
    reader_set(&d->reader, d->c);
    drive_usage_threaded(d);
    drive_mam_publish(d);
    return 0;
}

int drive_insert(struct drive *d, struct cartridge *c, uint64_t wait_until, drive_tell_fn *tell, void *arg,
                 struct errtext *err)
{
    lock_take(&d->op_lock);
    d->c = c;
    d->loaded = false;
    d->medium_changes++;
    cartridge_hold(c);
    drive_watch_cartridge(d, c);
    cartridge_poke(c);
    int rc = 0;
    if (drive_cleans(d)) {
        atomic_store(&d->alerts, TAPE_ALERT_BIT(ALERT_CLEANING_MEDIA));
    } else {
        drive_publish(d, TAPE_LOADING);
        rc = thread_tape(d, wait_until, err);
        d->medium_changes++; /* what came meanwhile was not for one that is threaded, and was not told */
        if (tell)
            tell(arg, d->number);
    }
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return rc;
}

static int unthread(struct drive *d, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    bool fence_told = d->fence_told, spool_told = d->spool_told;
    lock_assert_held(&d->op_lock);
    int rc = d->loaded ? drive_make_safe(d, true, limit_ms, cancel, err) : 0;
    d->fence_told = fence_told || rc == -EPERM;
    d->spool_told = spool_told || rc == -ENODATA;
    /* The host is told once; after that the cartridge may leave. Of what the spool lost, who wrote nothing need not know. */
    bool may_leave = rc == -EPERM ? fence_told : rc == -ENODATA && (spool_told || !drive_has_written(d));
    if (rc && !may_leave)
        return rc;
    d->counting = false;
    if (d->loaded)
        drive_usage_save(d);
    d->loaded = false;
    d->pos = 0;
    reader_set(&d->reader, NULL);
    cartridge_end_use(d->c);
    drive_mam_publish(d);
    return 0;
}

int drive_remove(struct drive *d, const atomic_bool *cancel, struct errtext *err)
{
    if (atomic_load(&d->prevented))
        return -EBUSY;
    uint64_t began = clock_ms(), limit = d->remove_limit_ms;
    int rc = drive_wait_for(d, limit, cancel, err);
    if (rc)
        return rc;
    uint64_t waited = clock_ms() - began;
    struct cartridge *c = d->c;
    drive_drain(d);
    drive_publish(d, TAPE_UNLOADING);
    rc = drive_loss_error(d, err);
    if (rc) /* this error reports it; the next attempt takes the cartridge out */
        (void)drive_tell_loss(d);
    if (!rc && c)
        rc = unthread(d, limit > waited ? limit - waited : 0, cancel, err);
    if (!rc && c) {
        drive_watch_cartridge(d, NULL);
        cartridge_let_go(c);
        d->c = NULL;
        atomic_fetch_and(&d->alerts, TAPE_ALERT_BIT(ALERT_EXPIRED_CLEANING));
        d->medium_changes++;
    }
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return rc;
}

enum tape_result drive_load(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    struct errtext err = {""};
    enum tape_result result = drive_take(d, cancel);
    if (result)
        return result;
    drive_drain(d);
    result = drive_tell_loss(d);
    if (result)
        return drive_end(d, result);
    result = TAPE_NOT_PRESENT;
    if (d->c && d->loaded) {
        d->pos = 0;
        d->place_lost = false;
        result = TAPE_OK;
    } else if (drive_cleans(d)) {
        result = TAPE_CLEANS;
    } else if (d->c) {
        drive_publish(d, TAPE_LOADING);
        d->medium_changes++;
        int rc = thread_tape(d, clock_ms() + DRIVE_LOOK_MS, &err);
        result = rc ? drive_failed(d, rc, &err, TAPE_READ_ERROR) : TAPE_OK;
    }
    return drive_end(d, result);
}

enum tape_result drive_unload(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    struct errtext err = {""};
    enum tape_result cancelled = drive_take(d, cancel);
    if (cancelled)
        return cancelled;
    if (!d->c) {
        lock_release(&d->op_lock);
        return TAPE_NOT_PRESENT;
    }
    drive_drain(d);
    enum tape_result lost = drive_tell_loss(d);
    if (lost)
        return drive_end(d, lost);
    drive_publish(d, TAPE_UNLOADING);
    bool was = d->loaded;
    int rc = unthread(d, d->flush_limit_ms, cancel, &err);
    if (!rc && was)
        d->medium_changes++;
    return drive_end(d, rc ? drive_failed(d, rc, &err, TAPE_WRITE_ERROR) : TAPE_OK);
}

/* ---- cleaning ---- */

/* There is no head to brush: a cleaning is only counted, on the cartridge and on the drive. */
static int count_cleaning(struct drive *d, bool *used, struct errtext *err)
{
    int rc = cartridge_load(d->c, err);
    if (rc)
        return rc;
    rc = cartridge_use_cleaning(d->c, d->serial, used);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", cartridge_barcode(d->c), db_error(d->eng->db));
    d->cleanings += *used;
    return 0;
}

static void clean(struct drive *d)
{
    bool used = true;
    struct errtext err = {""};
    drive_publish(d, TAPE_CLEANING);
    if (count_cleaning(d, &used, &err))
        log_warn("drive %u: the cleaning is not counted: %s", d->number, err.text);
    if (used) {
        drive_usage_save(d);
        return;
    }
    log_warn("drive %u: %s is used up after %d cleanings: it cleans no more", d->number, cartridge_barcode(d->c),
             CLEANING_USES);
    atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(ALERT_EXPIRED_CLEANING));
}

void drive_clean(struct drive *d)
{
    lock_take(&d->op_lock);
    if (drive_cleans(d))
        clean(d);
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
}
