/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_row.c: changes of a cartridge that are not data: its capacity, its write protect tab. */
#include <errno.h>
#include <stdlib.h>

#include "base/lock.h"
#include "vtl/format/mam.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/worker.h"

#define LEAST_CAPACITY (1u << 20) /* as for a new cartridge */

/* In the state first, so that it holds from now on; dirty, so that a head comes to hold it too, be it after a restart.
 */
int cartridge_change_row(struct cartridge *c, struct db_cartridge *row)
{
    row->dirty = true;
    row->modified = engine_time();
    int rc = db_cartridge_update(c->eng->db, row);
    if (rc)
        return rc;
    cartridge_set_row(c, row);
    c->changes++;
    c->commit_soon = true;
    return 0;
}

void cartridge_refresh_counters(struct cartridge *c)
{
    char *text = c->usage_changed ? usage_encode(&c->usage) : NULL;
    if (!text)
        return;
    free(c->row.counters);
    c->row.counters = text;
    c->usage_changed = false;
}

int cartridge_save_counters(struct cartridge *c)
{
    lock_take(&c->lock);
    bool changed = c->usage_changed;
    cartridge_refresh_counters(c);
    int rc = changed ? db_cartridge_update(c->eng->db, &c->row) : 0;
    lock_release(&c->lock);
    return rc;
}

int cartridge_set_mam(struct cartridge *c, const struct tape_mam *mam)
{
    char *text = mam_encode(mam);
    if (!text)
        return -ENOMEM;
    lock_take(&c->lock);
    struct db_cartridge row = c->row;
    char *old = row.mam;
    row.mam = text;
    int rc = cartridge_change_row(c, &row);
    free(rc ? text : old);
    lock_release(&c->lock);
    if (!rc)
        workers_add(c->eng->workers, c);
    return rc;
}

int cartridge_set_capacity(struct cartridge *c, uint16_t proportion, uint64_t *capacity)
{
    lock_take(&c->lock);
    struct db_cartridge row = c->row;
    uint64_t full = row.full_capacity ? row.full_capacity : row.capacity;
    /* In two parts, so that it does not overflow. */
    uint64_t part = full / UINT16_MAX * proportion + full % UINT16_MAX * proportion / UINT16_MAX;
    row.capacity = part > LEAST_CAPACITY ? part : full < LEAST_CAPACITY ? full : LEAST_CAPACITY;
    row.full_capacity = row.capacity == full ? 0 : full;
    int rc = cartridge_change_row(c, &row);
    if (!rc)
        *capacity = row.capacity;
    lock_release(&c->lock);
    if (!rc)
        workers_add(c->eng->workers, c);
    return rc;
}
