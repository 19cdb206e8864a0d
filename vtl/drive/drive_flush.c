/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_flush.c: makes what was acknowledged safe: in the spool, or in the store (I1). */
#include "vtl/drive/drive_private.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "base/log.h"

#define FLUSH_TELL_MS 30000 /* how often a flush that waits for the store logs how far it is */

static int not_offsite(struct drive *d, const struct cartridge_backlog *b, int rc, struct errtext *err)
{
    char size[HUMAN_ROOM];
    struct errtext why;
    offsite_why(&d->eng->offsite, &why);
    return errtext_set(err, rc, "drive %u, %s: %s are accepted by the store and not off-site: %.400s", d->number,
                       cartridge_barcode(d->c), human_size(b->amounts.accepted, size), why.text);
}

/* Tells the operator why not everything is as safe as durability asks. */
static int not_safe(struct drive *d, const struct cartridge_backlog *b, int rc, struct errtext *err)
{
    char size[HUMAN_ROOM];
    if (b->remote)
        return not_offsite(d, b, rc, err);
    return errtext_set(err, rc, "drive %u, %s: %s are only on this disk: %s", d->number, cartridge_barcode(d->c),
                       human_size(b->amounts.local, size), b->trouble[0] ? b->trouble : "the upload takes too long");
}

static void log_flush(struct drive *d, const struct cartridge_backlog *b)
{
    struct errtext line;
    if (b->remote) {
        (void)not_offsite(d, b, 0, &line);
        log_info("%s", line.text);
        return;
    }
    uint64_t left = b->amounts.local;
    uint64_t rate = engine_upload_rate(d->eng);
    char size[HUMAN_ROOM], speed[HUMAN_ROOM], time[HUMAN_ROOM];
    if (rate)
        log_info("drive %u, %s: flushing: %s are only on this disk, about %s at %s/s", d->number,
                 cartridge_barcode(d->c), human_size(left, size), human_duration(left / rate, time),
                 human_size(rate, speed));
    else
        log_info("drive %u, %s: flushing: %s are only on this disk, time left unknown", d->number,
                 cartridge_barcode(d->c), human_size(left, size));
}

/* What is left, for status; 0: nothing. */
static uint64_t left_of(struct drive *d, const struct cartridge_backlog *b, bool offsite)
{
    if (b->remote && (!offsite || b->offsite))
        return 0;
    uint64_t left = b->amounts.local + (offsite ? b->amounts.accepted : 0);
    if (b->remote)
        offsite_want(&d->eng->offsite);
    return left ? left : 1;
}

static int wait_stored(struct drive *d, bool offsite, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    struct engine *e = d->eng;
    struct cartridge_backlog b;
    uint64_t now = clock_ms(), until = now + limit_ms, tell = now + FLUSH_TELL_MS;
    if (!e->workers)
        return errtext_set(err, -EIO, "no background work runs");
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        cartridge_backlog(d->c, &b);
        uint64_t left = left_of(d, &b, offsite);
        atomic_store(&d->flush_left, left);
        if (!left)
            return 0;
        if (b.fenced)
            return not_safe(d, &b, -EPERM, err);
        if (b.lost)
            return not_safe(d, &b, -ENODATA, err);
        if (atomic_load(cancel))
            return not_safe(d, &b, -ECANCELED, err);
        now = clock_ms();
        if (now >= until)
            return not_safe(d, &b, -ETIMEDOUT, err);
        if (now >= tell) {
            log_flush(d, &b);
            tell = now + FLUSH_TELL_MS;
        }
        progress_wait(&e->progress, seen, 1000);
    }
}

int drive_make_safe(struct drive *d, bool seal, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    bool remote = engine_waits_for(d->eng, DURABILITY_REMOTE), offsite = engine_waits_for(d->eng, DURABILITY_OFFSITE);
    lock_assert_held(&d->op_lock);
    int rc = drive_sync(d, seal || remote, cancel);
    if (rc)
        return errtext_set(err, rc, "drive %u, %s: spool: %s", d->number, cartridge_barcode(d->c), strerror(-rc));
    if (remote)
        rc = wait_stored(d, offsite, limit_ms, cancel, err);
    atomic_store(&d->flush_left, 0);
    if (rc)
        return rc;
    d->unsynced_blocks = d->unsynced_bytes = 0;
    return drive_spool_error(d, err);
}

int drive_wait_for(struct drive *d, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    int rc = lock_take_until(&d->op_lock, clock_ms() + limit_ms, cancel);
    if (rc == -ECANCELED)
        return errtext_set(err, rc, "drive %u: what waited for it was cancelled", d->number);
    return rc ? errtext_set(err, rc, "drive %u: it has been busy for %llu s", d->number,
                            (unsigned long long)limit_ms / 1000)
              : 0;
}

/* What waits of a tape that could not be loaded no worker stores, so that a flush would wait for nothing. It is tried once
 * more. -ENODATA, as for other tapes whose bytes never come: it stops no other drive's flush. */
static int load_what_waits(struct drive *d, struct errtext *err)
{
    struct cartridge_backlog b;
    if (!engine_waits_for(d->eng, DURABILITY_REMOTE))
        return 0;
    cartridge_backlog(d->c, &b);
    return b.remote || b.fenced || !cartridge_load(d->c, err) ? 0 : -ENODATA;
}

int drive_flush(struct drive *d, const atomic_bool *cancel, struct errtext *err)
{
    int rc = drive_wait_for(d, d->flush_limit_ms, cancel, err);
    if (rc)
        return rc;
    drive_drain(d);
    rc = drive_loss_error(d, err);
    if (!rc && d->c)
        rc = load_what_waits(d, err);
    if (!rc && d->c)
        rc = drive_make_safe(d, true, d->flush_limit_ms, cancel, err);
    drive_usage_save(d);
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return rc;
}

void drive_usage_end(struct drive *d)
{
    lock_take(&d->op_lock);
    drive_drain(d);
    d->counting = false;
    drive_usage_save(d);
    lock_release(&d->op_lock);
}
