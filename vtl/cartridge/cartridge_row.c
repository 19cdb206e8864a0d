/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_row.c: changes of a cartridge that are not data: attributes, capacity, write protect tab, counters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "base/lock.h"
#include "vtl/format/cleaning.h"
#include "vtl/format/mam.h"
#include "vtl/cartridge/cartridge_private.h"

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
    cartridge_count_change(c);
    c->due |= DUE_COMMIT;
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
        engine_poke(c->eng, c);
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
        engine_poke(c->eng, c);
    return rc;
}

void cartridge_get_mam(struct cartridge *c, struct tape_mam *mam)
{
    lock_take(&c->lock);
    mam_decode(c->row.mam, mam);
    lock_release(&c->lock);
}

int cartridge_set_write_protected(struct cartridge *c, bool on, struct errtext *err)
{
    int rc = 0;
    lock_take(&c->lock);
    struct db_cartridge row = c->row;
    row.write_protected = on;
    if (c->users) /* as with a real one: nobody reaches the tab in a drive */
        rc = errtext_set(err, -EBUSY, "%s: it is in a drive: move it to a slot first", c->row.barcode);
    else if (c->row.write_protected != on && (rc = cartridge_change_row(c, &row)))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    lock_release(&c->lock);
    return rc;
}

/* Never shorter than what is in force, nor of a weaker mode. */
static bool weakens(const struct retention *was, const struct retention *is)
{
    return is->until < was->until || is->mode < was->mode;
}

static int may_retain(const struct cartridge *c, const struct retention *r, bool bypass, struct errtext *err)
{
    const struct retention *was = &c->row.retention;
    if (c->users) /* what a drive is about to write over must not come to be locked */
        return errtext_set(err, -EBUSY, "%s: it is in a drive: move it to a slot first", c->row.barcode);
    if (c->owner == CARTRIDGE_FENCED || c->row.fenced)
        return errtext_set(err, -EPERM, "%s: another gateway owns it, and locks it", c->row.barcode);
    if (!retention_holds(was, engine_earliest_time(c->eng)) || !weakens(was, r))
        return 0;
    if (was->mode == RETENTION_COMPLIANCE)
        return errtext_set(err, -EPERM, "%s: its compliance lock can only be lengthened, by anybody", c->row.barcode);
    return bypass ? 0
                  : errtext_set(err, -EPERM, "%s: its governance lock is shortened by --bypass-governance only",
                                c->row.barcode);
}

int cartridge_set_retention(struct cartridge *c, const struct retention *r, bool bypass, struct errtext *err)
{
    lock_take(&c->lock);
    struct db_cartridge row = c->row;
    int rc = may_retain(c, r, bypass, err);
    row.retention = *r;
    if (!rc && (rc = cartridge_change_row(c, &row)))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    lock_release(&c->lock);
    return rc;
}

/* A tape that is only labelled, as PBS does by a label and a set's label in files of their own, may be labelled anew. For
 * programs whose labels are in no file of their own, it is how much there is that tells. */
#define LABEL_FILES 2
#define LABEL_BYTES (4u << 20)
/* So a long backup changes the row once an hour, and a lock is never shorter than it is to be. */
#define RETAIN_STEP_S 3600

static bool holds_labels_only(const struct cartridge *c)
{
    return tape_index_end_file(&c->live) <= LABEL_FILES && tape_index_plain_bytes(&c->live) <= LABEL_BYTES;
}

int cartridge_retain(struct cartridge *c)
{
    struct config_retention rule;
    lock_assert_held(&c->lock);
    if (!retain_rule(&c->eng->retain, c->row.barcode, &rule) || holds_labels_only(c))
        return 0;
    enum retention_mode mode = rule.compliance ? RETENTION_COMPLIANCE : RETENTION_GOVERNANCE;
    uint64_t least = engine_latest_time(c->eng) + rule.seconds;
    struct db_cartridge row = c->row;
    struct retention *r = &row.retention;
    if (!retention_holds(r, engine_earliest_time(c->eng)))
        *r = (struct retention){.mode = mode};
    bool enough = r->mode >= mode && r->until >= least;
    r->mode = r->mode < mode ? mode : r->mode;
    r->until = r->until < least ? least + RETAIN_STEP_S : r->until;
    int rc = enough ? 0 : cartridge_change_row(c, &row);
    if (!rc)
        c->retained = c->appended;
    return rc;
}

int cartridge_set_verified(struct cartridge *c, uint64_t objects, uint64_t lost, uint64_t from, bool *ours)
{
    lock_take(&c->lock);
    c->usage.verified = engine_time();
    c->usage.verified_objects = objects;
    c->usage.lost_objects = lost;
    c->usage.lost_from = lost ? from : 0;
    c->usage_changed = true;
    cartridge_refresh_counters(c);
    /* Not by claiming a cartridge that another gateway wrote last. */
    *ours = *ours && (c->owner == CARTRIDGE_OWNED || (c->owner == CARTRIDGE_UNCLAIMED && !c->row.rebuilt));
    struct db_cartridge row = c->row;
    int rc = *ours ? cartridge_change_row(c, &row) : db_cartridge_update(c->eng->db, &c->row);
    lock_release(&c->lock);
    return rc;
}

int cartridge_use_cleaning(struct cartridge *c, const char *serial, bool *used)
{
    int rc = 0;
    lock_take(&c->lock);
    *used = cleaning_uses_left(&c->usage) != 0;
    if (*used) {
        usage_mounted(&c->usage, serial);
        c->usage_changed = true;
        cartridge_refresh_counters(c);
        struct db_cartridge row = c->row;
        rc = cartridge_change_row(c, &row);
    }
    lock_release(&c->lock);
    engine_poke(c->eng, c);
    return rc;
}

void cartridge_count(struct cartridge *c, const struct tape_usage *n)
{
    lock_take(&c->lock);
    usage_add(&c->usage.sum, n);
    if (n->written_blocks || n->written_filemarks) {
        uint64_t now = engine_time();
        if (!c->usage.last_written)
            c->usage.first_written = now;
        c->usage.last_written = now;
    }
    c->usage_changed = true;
    lock_release(&c->lock);
}

/* Another host, or another mount, is another row. */
static void begin_written(struct cartridge *c, const struct cartridge_host *by)
{
    uint64_t now = engine_time();
    uint64_t began = now > c->written.began ? now : c->written.began + 1; /* which is the row's key */
    c->written = (struct db_written){.began = began, .run = c->eng->writer};
    memcpy(c->written.id, c->row.id, sizeof(c->written.id));
    memcpy(c->written.barcode, c->row.barcode, sizeof(c->written.barcode));
    memcpy(c->written.host, by->name, sizeof(c->written.host));
    memcpy(c->written.address, by->address, sizeof(c->written.address));
}

void cartridge_count_written(struct cartridge *c, const struct cartridge_host *by, uint64_t bytes)
{
    struct db_written *w = &c->written;
    lock_take(&c->lock);
    if (!w->bytes || strcmp(w->host, by->name) != 0 || strcmp(w->address, by->address) != 0) {
        if (w->bytes && db_cartridge_update(c->eng->db, &c->row)) /* the other host's, as it is now */
            log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
        begin_written(c, by);
    }
    w->last = engine_time();
    w->bytes += bytes;
    w->accepted = 0;
    c->unsynced = true;
    lock_release(&c->lock);
}

void cartridge_count_mount(struct cartridge *c, const char *serial)
{
    lock_take(&c->lock);
    c->written.bytes = 0; /* its row is there */
    usage_mounted(&c->usage, serial);
    c->usage_changed = true;
    lock_release(&c->lock);
}

void cartridge_count_format(struct cartridge *c, int n)
{
    lock_take(&c->lock);
    c->usage.formats += (uint64_t)n;
    c->usage_changed = true;
    lock_release(&c->lock);
}
