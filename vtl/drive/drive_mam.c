/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_mam.c: the host's attributes in the medium auxiliary memory of the cartridge in a drive. */
#include <string.h>

#include "base/lock.h"
#include "vtl/drive/drive_private.h"

void drive_mam_publish(struct drive *d)
{
    struct tape_mam mam = {.n = 0};
    if (d->c && d->loaded)
        cartridge_get_mam(d->c, &mam);
    lock_take(&d->st_lock);
    d->mam = mam;
    lock_release(&d->st_lock);
}

void drive_mam_get(void *self, struct tape_mam *out)
{
    struct drive *d = self;
    lock_take(&d->st_lock);
    *out = d->mam;
    lock_release(&d->st_lock);
}

enum tape_result drive_mam_set(void *self, const struct tape_mam *mam, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_OTHER, cancel);
    if (result)
        return result;
    struct cartridge_brief b;
    cartridge_brief(d->c, 0, &b);
    result = drive_stops(d) ? TAPE_CANCELLED : b.write_protected ? TAPE_WRITE_PROTECTED : drive_claim(d, cancel);
    int rc = result ? 0 : cartridge_set_mam(d->c, mam);
    if (rc) {
        struct errtext err;
        errtext_set(&err, rc, "drive %u, %s: attributes: state: %s", d->number, cartridge_barcode(d->c),
                    db_error(d->eng->db));
        result = drive_failed(d, rc, &err, TAPE_WRITE_ERROR);
    }
    if (!result)
        drive_mam_publish(d);
    return drive_end(d, result);
}
