/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lun.c: the way of a request through a logical unit, and what it remembers of nexuses. */
#include "scsi/lun.h"

#include <string.h>

#include "base/lock.h"

void scsi_lun_init(struct scsi_lun *lun, const struct scsi_identity *id, const struct scsi_command *table, size_t len)
{
    memset(lun, 0, sizeof(*lun));
    lun->id = *id;
    lun->table = table;
    lun->table_len = len;
    lock_init(&lun->lock, LOCK_LUN);
}

void scsi_lun_fini(struct scsi_lun *lun)
{
    lock_fini(&lun->lock);
}

/* ---- nexuses ---- */

/* The record of a nexus. A new one replaces the one seen longest ago. */
static struct scsi_nexus *find_nexus(struct scsi_lun *lun, uint64_t id, bool make)
{
    lock_assert_held(&lun->lock);
    struct scsi_nexus *oldest = &lun->nexus[0];
    for (size_t i = 0; i < SCSI_MAX_NEXUS; i++) {
        struct scsi_nexus *n = &lun->nexus[i];
        if (n->id == id) {
            n->last_seen = ++lun->nexus_clock;
            return n;
        }
        if (n->last_seen < oldest->last_seen)
            oldest = n;
    }
    if (!make)
        return NULL;
    *oldest = (struct scsi_nexus){.id = id, .last_seen = ++lun->nexus_clock};
    return oldest;
}

/* One unit attention may stand for others (SAM-5 5.14.3): a reset says more than a new medium, and that more than new
 * parameters. */
static unsigned severity(uint16_t asc)
{
    switch (asc >> 8) {
    case 0x29:
        return 4;
    case 0x28:
        return 3;
    case 0x3f:
        return 2;
    default:
        return asc ? 1 : 0;
    }
}

static void raise_one(struct scsi_nexus *n, uint16_t asc)
{
    if (severity(asc) >= severity(n->ua))
        n->ua = asc;
}

void scsi_ua_raise(struct scsi_lun *lun, uint64_t nexus, uint64_t except, enum scsi_asc asc)
{
    lock_take(&lun->lock);
    if (nexus)
        raise_one(find_nexus(lun, nexus, true), (uint16_t)asc);
    for (size_t i = 0; !nexus && i < SCSI_MAX_NEXUS; i++)
        if (lun->nexus[i].id && lun->nexus[i].id != except)
            raise_one(&lun->nexus[i], (uint16_t)asc);
    lock_release(&lun->lock);
}

uint64_t scsi_alerts_new(struct scsi_lun *lun, uint64_t nexus, uint64_t now)
{
    lock_take(&lun->lock);
    struct scsi_nexus *n = find_nexus(lun, nexus, true);
    uint64_t fresh = now & ~n->alerts_told;
    n->alerts_told = now;
    lock_release(&lun->lock);
    return fresh;
}

uint16_t scsi_ua_take(struct scsi_lun *lun, uint64_t nexus)
{
    lock_take(&lun->lock);
    struct scsi_nexus *n = find_nexus(lun, nexus, true);
    uint16_t ua = n->ua;
    n->ua = 0;
    lock_release(&lun->lock);
    return ua;
}

static bool any_prevents(const struct scsi_lun *lun)
{
    bool any = false;
    lock_assert_held(&lun->lock);
    for (size_t i = 0; i < SCSI_MAX_NEXUS; i++)
        any = any || (lun->nexus[i].id && lun->nexus[i].prevent);
    return any;
}

bool scsi_nexus_gone(struct scsi_lun *lun, uint64_t nexus)
{
    lock_take(&lun->lock);
    struct scsi_nexus *n = find_nexus(lun, nexus, false);
    bool held = n && n->prevent;
    if (n)
        memset(n, 0, sizeof(*n));
    lock_release(&lun->lock);
    if (lun->nexus_gone)
        lun->nexus_gone(lun, nexus);
    return held;
}

bool scsi_prevent_set(struct scsi_lun *lun, uint64_t nexus, bool prevent)
{
    lock_take(&lun->lock);
    find_nexus(lun, nexus, true)->prevent = prevent;
    bool any = any_prevents(lun);
    lock_release(&lun->lock);
    return any;
}

bool scsi_prevented(struct scsi_lun *lun)
{
    lock_take(&lun->lock);
    bool any = any_prevents(lun);
    lock_release(&lun->lock);
    return any;
}

/* ---- the way through ---- */

const struct scsi_command *scsi_find_command(const struct scsi_lun *lun, uint8_t opcode, int service_action,
                                             bool *other_action)
{
    *other_action = false;
    for (size_t i = 0; i < lun->table_len; i++) {
        const struct scsi_command *row = &lun->table[i];
        if (row->opcode != opcode)
            continue;
        if (row->service_action == SA_NONE || row->service_action == service_action)
            return row;
        *other_action = true;
    }
    return NULL;
}

/* Is a bit set that the usage map lacks? *byte and *bit: the highest one in the first such byte. The three highest
 * bits of byte 1 do not count in CDBs of up to 12 bytes: they were SCSI-2's LOGICAL UNIT NUMBER, and mtx still fills
 * them. */
static bool reserved_bit_set(const struct scsi_command *row, const uint8_t *cdb, unsigned *byte, int *bit)
{
    for (unsigned i = 1; i < row->cdb_len; i++) {
        uint8_t wrong = cdb[i] & (uint8_t)~row->usage[i];
        if (i == 1 && row->cdb_len <= 12)
            wrong &= 0x1f;
        if (!wrong)
            continue;
        *byte = i;
        *bit = 7;
        while (!(wrong & (1u << *bit)))
            (*bit)--;
        return true;
    }
    return false;
}

enum scsi_route scsi_lun_route(struct scsi_lun *lun, struct scsi_request *rq, const struct scsi_command **out)
{
    scsi_request_init(rq);
    *out = NULL;
    bool other_action = false;
    const struct scsi_command *row = scsi_find_command(lun, rq->cdb[0], rq->cdb[1] & 0x1f, &other_action);
    bool known = row && !(row->flags & CMD_TRANSPORT) && row->cdb_len <= rq->cdb_len;
    /* Before the unit attention is looked for, which comes after the number has changed. */
    rq->medium = lun->medium ? lun->medium(lun) : 0;
    if (!row || !(row->flags & CMD_IGNORES_UA)) {
        uint16_t ua = scsi_ua_take(lun, rq->nexus);
        if (ua) {
            scsi_check(rq, KEY_UNIT_ATTENTION, ua);
            return SCSI_ROUTE_DONE;
        }
    }
    unsigned byte = 1;
    int bit = 4;
    if (!known) {
        if (other_action)
            scsi_check_cdb_field(rq, byte, bit); /* SERVICE ACTION */
        else
            scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_INVALID_COMMAND_OPERATION_CODE);
        return SCSI_ROUTE_DONE;
    }
    if (reserved_bit_set(row, rq->cdb, &byte, &bit)) {
        scsi_check_cdb_field(rq, byte, bit);
        return SCSI_ROUTE_DONE;
    }
    /* A command that needs the medium does not wait for an IMMED operation, but learns of it (SSC-5 4.2.10). */
    if ((row->flags & CMD_NEEDS_MEDIUM) && lun->in_progress && lun->in_progress(lun, rq))
        return SCSI_ROUTE_DONE;
    *out = row;
    return row->flags & CMD_IMMEDIATE ? SCSI_ROUTE_IMMEDIATE : SCSI_ROUTE_EXECUTOR;
}

void scsi_lun_reset(struct scsi_lun *lun)
{
    atomic_store(&lun->reset_due, true);
}

bool scsi_lun_run_at_once(struct scsi_lun *lun, const struct scsi_command *row, struct scsi_request *rq)
{
    if (!(row->flags & CMD_AT_ONCE) || atomic_load(&lun->reset_due))
        return false;
    if ((row->flags & CMD_NEEDS_MEDIUM) && lun->medium_ready && !lun->medium_ready(lun, rq))
        return true;
    return lun->at_once(lun, rq);
}

void scsi_lun_run(struct scsi_lun *lun, const struct scsi_command *row, struct scsi_request *rq)
{
    if (!(row->flags & CMD_IMMEDIATE) && lun->reset && atomic_exchange(&lun->reset_due, false))
        lun->reset(lun);
    if ((row->flags & CMD_NEEDS_MEDIUM) && lun->medium_ready && !lun->medium_ready(lun, rq))
        return;
    if (!(row->flags & CMD_IMMEDIATE) && lun->for_medium)
        lun->for_medium(lun, rq->medium);
    row->run(lun, rq);
}
