/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lend.c: a cartridge that lends, and one that leans on it.
 *
 * Before a tape (B) copies out of another (A), a committed head of A lists B. Whoever owns A later starts from that head, or
 * one that goes on from it, and so knows whom to ask before it deletes anything of A. An entry names the run of B's
 * gateway and the highest head that it had tried: as long as B's highest head is of that run, B may be copying what no head
 * of it names yet, unless that head says that B was at rest, and was made after the entry. So behind a head at rest B copies
 * nothing before it is listed anew (c->rested). A later run of B's gateway takes up what the earlier one left in the spool;
 * what that leans on is in its first head already, as pending.
 */
#include <errno.h>
#include <string.h>

#include "vtl/cartridge/cartridge_private.h"

/* As whom the leaner is to be listed. */
static int introduce(struct cartridge *c, struct head_leaner *l, uint64_t *rested)
{
    lock_take(&c->lock);
    int rc = c->owner == CARTRIDGE_FENCED ? -EROFS : c->owner == CARTRIDGE_OWNED ? 0 : -EAGAIN;
    bool asks = rc == -EAGAIN && !(c->due & DUE_CLAIM); /* asked before: a poke would wake who waits for progress */
    if (rc == -EAGAIN)
        c->due |= DUE_CLAIM;
    else if (!rc)
        c->leaning = true;
    memcpy(l->barcode, c->row.barcode, sizeof(l->barcode));
    memcpy(l->cartridge, c->row.id, sizeof(l->cartridge));
    l->head = (struct seg_id){c->row.head.epoch, c->row.head.writer, c->tried_n};
    *rested = c->rested;
    lock_release(&c->lock);
    if (asks)
        engine_poke(c->eng, c);
    return rc;
}

/* A head is to list it. The tape is none the newer for that. *asks: it was not asked for before. */
static int ask_for_head(struct cartridge *c, bool *asks)
{
    struct db_cartridge row = c->row;
    int rc = 0;
    lock_assert_held(&c->lock);
    if (!cartridge_reaches_floor(c)) /* it is being written over: no head of it may come before that is stored */
        return -EBUSY;
    *asks = cartridge_is_committed(c) || !(c->due & DUE_LIST);
    if (cartridge_is_committed(c)) {
        row.dirty = true;
        rc = db_cartridge_update(c->eng->db, &row);
        if (!rc) {
            cartridge_set_row(c, &row);
            cartridge_count_change(c);
        }
    }
    c->due |= DUE_COMMIT | DUE_LIST;
    return rc;
}

static int list_leaner(struct cartridge *source, const struct head_leaner *l, uint64_t rested)
{
    bool listed = false, asks = false;
    int rc = -EROFS;
    lock_take(&source->lock);
    if (source->owner != CARTRIDGE_FENCED)
        rc = db_lend(source->eng->db, source->row.rowid, l, rested, &listed);
    if (!rc && !listed && !(rc = ask_for_head(source, &asks)))
        rc = -EAGAIN;
    lock_release(&source->lock);
    if (asks)
        engine_poke(source->eng, source);
    return rc;
}

/* One that is loaded is not loaded again, which would poke the workers each time. */
static int load(struct cartridge *c, struct errtext *err)
{
    lock_take(&c->lock);
    bool loaded = c->loaded;
    lock_release(&c->lock);
    return loaded ? 0 : cartridge_load(c, err);
}

int cartridge_lend(struct cartridge *source, struct cartridge *leaner, struct errtext *err)
{
    struct head_leaner l;
    uint64_t rested = 0;
    int rc = introduce(leaner, &l, &rested);
    if (!rc && source == leaner) /* on what it had before: whoever takes it over knows that by its heads */
        return 0;
    if (!rc)
        rc = load(source, err);
    if (rc)
        return rc;
    rc = list_leaner(source, &l, rested);
    if (rc && rc != -EAGAIN && rc != -EROFS && rc != -EBUSY)
        errtext_set(err, rc, "%s: state: %s", source->row.barcode, db_error(source->eng->db));
    return rc;
}
