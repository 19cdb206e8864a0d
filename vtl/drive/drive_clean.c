/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_clean.c: a cleaning cartridge in a drive: what it does, and how often it may. */
#include "base/lock.h"
#include "base/log.h"
#include "vtl/format/barcode.h"
#include "vtl/format/cleaning.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/drive/drive_private.h"

/* There is nothing to be brushed: what a cleaning is here is its count, on the cartridge and on the drive. */
static int count(struct drive *d, bool *used)
{
    struct cartridge *c = d->c;
    struct errtext err;
    int rc = cartridge_load(c, &err);
    if (rc)
        return rc;
    lock_take(&c->lock);
    *used = cleaning_uses_left(&c->usage) != 0;
    if (*used) {
        usage_mounted(&c->usage, d->serial);
        c->usage_changed = true;
        cartridge_refresh_counters(c);
        struct db_cartridge row = c->row;
        rc = cartridge_change_row(c, &row);
        d->cleanings++;
    }
    lock_release(&c->lock);
    workers_add(d->eng->workers, c);
    return rc;
}

void drive_clean(struct drive *d)
{
    bool used = true;
    lock_take(&d->op_lock);
    if (d->c && barcode_is_cleaning(d->c->row.barcode)) {
        drive_publish(d, TAPE_CLEANING);
        int rc = count(d, &used);
        if (rc)
            log_line("drive %u: %s: the cleaning is not counted: %s", d->number, d->c->row.barcode,
                     db_error(d->eng->db));
        if (used) {
            drive_usage_save(d);
        } else {
            log_line("drive %u: %s is used up after %d cleanings: it cleans no more", d->number, d->c->row.barcode,
                     CLEANING_USES);
            atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(ALERT_EXPIRED_CLEANING));
        }
    }
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
}
