/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_usage.c: counters of a drive and its cartridge, and the drive's TapeAlert flags. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/event.h"
#include "vtl/drive/drive_private.h"

static void meta_key(const struct drive *d, char key[24])
{
    (void)snprintf(key, 24, "drive%u", d->number);
}

static uint64_t seconds(const struct drive *d)
{
    return d->seconds + (clock_ms() - d->began) / 1000;
}

static uint64_t since(uint64_t ticks)
{
    return ticks ? clock_ms() - ticks : 0;
}

/* What the state keeps of a drive: "loads seconds cleanings counting". */
void drive_usage_begin(struct drive *d)
{
    char key[24], text[64] = "";
    unsigned long long loads = 0, secs = 0, cleanings = 0;
    int counting = 0;
    meta_key(d, key);
    if (!db_meta_get(d->eng->db, key, text, sizeof(text)) &&
        sscanf(text, "%llu %llu %llu %d", &loads, &secs, &cleanings, &counting) >= 2) {
        d->loads = loads;
        d->seconds = secs;
        d->cleanings = cleanings;
        d->lost = counting != 0;
    }
    d->began = clock_ms();
}

void drive_usage_save(struct drive *d)
{
    char key[24], text[64];
    meta_key(d, key);
    (void)snprintf(text, sizeof(text), "%llu %llu %llu %d", (unsigned long long)d->loads,
                   (unsigned long long)seconds(d), (unsigned long long)d->cleanings, (int)d->counting);
    int rc = db_meta_set(d->eng->db, key, text);
    if (!rc && d->c)
        rc = cartridge_save_counters(d->c);
    if (rc) /* counters are not data: no command fails because of them */
        log_event(EVENT_STATE_FAILED, "drive %u: counters: state: %s", d->number, db_error(d->eng->db));
}

void drive_usage_mounting(struct drive *d)
{
    struct cartridge_brief b;
    d->mounted = clock_ms();
    memset(&d->mount, 0, sizeof(d->mount));
    cartridge_brief(d->c, 0, &b);
    d->appended = b.appended;
    d->fetched = d->reader.fetched;
}

void drive_usage_threaded(struct drive *d)
{
    struct cartridge_brief b;
    d->ready = clock_ms();
    d->loads++;
    cartridge_count_mount(d->c, d->serial);
    cartridge_brief(d->c, 0, &b);
    if (b.usage.lost_objects)
        atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(ALERT_MEDIA));
    if (d->lost)
        atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(ALERT_LOST_STATISTICS));
    d->lost = false;
    d->counting = true;
    drive_usage_save(d);
}

static void count_written(struct drive *d, uint64_t bytes)
{
    lock_take(&d->st_lock);
    struct cartridge_host by = d->host;
    lock_release(&d->st_lock);
    cartridge_count_written(d->c, &by, bytes);
}

void drive_written_by(void *self, const char *name, const char *address)
{
    struct drive *d = self;
    lock_take(&d->st_lock);
    (void)snprintf(d->host.name, sizeof(d->host.name), "%s", name);
    (void)snprintf(d->host.address, sizeof(d->host.address), "%s", address);
    lock_release(&d->st_lock);
}

void drive_count(struct drive *d, const struct tape_usage *what)
{
    struct cartridge_brief b;
    struct tape_usage n = *what;
    lock_assert_held(&d->op_lock);
    cartridge_brief(d->c, 0, &b);
    INVARIANT(b.appended >= d->appended && d->reader.fetched >= d->fetched);
    n.stored_bytes = b.appended - d->appended;
    n.fetched_bytes = d->reader.fetched - d->fetched;
    d->appended = b.appended;
    d->fetched = d->reader.fetched;
    usage_add(&d->total, &n);
    usage_add(&d->mount, &n);
    cartridge_count(d->c, &n);
    if (n.written_bytes)
        count_written(d, n.written_bytes);
}

void drive_usage_fill(const struct drive *d, const struct cartridge_brief *b, struct tape_statistics *s)
{
    *s = (struct tape_statistics){.drive = d->total,
                                  .mount = d->mount,
                                  .drive_loads = d->loads,
                                  .drive_cleanings = d->cleanings,
                                  .drive_seconds = seconds(d),
                                  .mounted_ms = d->mounted,
                                  .ready_ms = d->ready};
    if (!b)
        return;
    const struct usage *u = &b->usage;
    memcpy(s->medium_id, cartridge_id(d->c), sizeof(s->medium_id));
    s->created = b->created;
    s->life = u->sum;
    s->mounts = u->mounts;
    s->formats = u->formats;
    s->last_written = u->last_written;
    s->verified = u->verified;
    s->lost_objects = u->lost_objects;
    memcpy(s->last_drives, u->drives, sizeof(s->last_drives));
}

void drive_statistics(void *self, struct tape_statistics *out)
{
    struct drive *d = self;
    lock_take(&d->st_lock);
    *out = d->statistics;
    lock_release(&d->st_lock);
    out->drive_seconds = seconds(d);
    out->mounted_ms = since(out->mounted_ms);
    out->ready_ms = since(out->ready_ms);
}

void drive_alert(void *self, enum tape_alert flag)
{
    struct drive *d = self;
    atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(flag));
    lock_take(&d->st_lock);
    d->st.alerts = atomic_load(&d->alerts);
    lock_release(&d->st_lock);
}
