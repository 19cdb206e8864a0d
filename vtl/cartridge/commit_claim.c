/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_claim.c: how this gateway becomes the writer of a cartridge (I7). */
#include "vtl/cartridge/commit_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A new cartridge, which may be at the place of one that was removed: it has a head, and the state knows who leans on it. */
static int begin_anew(struct cartridge *c, struct head *h, struct errtext *err)
{
    head_init(h);
    lock_take(&c->lock);
    commit_fill_identity(c, h);
    int rc = commit_fill_leaners(c, h);
    lock_release(&c->lock);
    if (!rc)
        return 0;
    head_free(h);
    return errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

/* The known head keeps a place. That of this very tape, which could not be removed, stays the first one's, as what the tape is
 * may be in no head: a commit follows. */
static int begin_at_place(struct cartridge *c, struct head *h, struct errtext *err)
{
    if (memcmp(h->cartridge, c->row.id, sizeof(h->cartridge)) != 0) {
        head_free(h);
        return begin_anew(c, h, err);
    }
    lock_take(&c->lock);
    commit_put_back(c);
    lock_release(&c->lock);
    return 0;
}

/* The state that a claim takes over, as this gateway's own first head. */
static int take_over(struct cartridge *c, const struct seg_id *claim, struct head *h, const struct obj_call *call,
                     struct errtext *err)
{
    lock_take(&c->lock);
    const struct seg_id trusted[] = {c->row.head, c->row.tried};
    bool recorded = c->row.head.epoch != 0, ours = recorded || c->row.tried.epoch;
    lock_release(&c->lock);
    const struct head_search search = {claim, trusted, 2};
    int rc = commit_find_head(c->eng->store, c->row.barcode, &search, h, call, err);
    if (rc == -ENOENT && !recorded)
        return begin_anew(c, h, err);
    if (rc == -ENOENT)
        return commit_gone(c, NULL, err);
    if (rc)
        return rc;
    lock_take(&c->lock);
    bool known = ours && cartridge_knows_head(c, &h->id), gone = ours && seg_id_compare(&h->id, &c->row.head) < 0;
    if (known) /* it may have been put unheard: the note of the next try takes the place of this one's, and saves both */
        c->row.head = h->id;
    lock_release(&c->lock);
    if (known)
        return h->removed ? begin_at_place(c, h, err) : 0;
    struct seg_id winner = h->id;
    head_free(h);
    return gone ? commit_gone(c, &winner, err) : commit_fence(c, &winner, call, err);
}

/* Looks before it claims, so that a gateway that comes back late does not disturb the one that took over. Claims that
 * came to nothing are passed over. */
static int may_claim(struct cartridge *c, const struct seg_id *heads, size_t n, const struct obj_call *call,
                     struct errtext *err)
{
    while (n && !heads[n - 1].number)
        n--;
    const struct seg_id *winner = n ? &heads[n - 1] : NULL;
    lock_take(&c->lock);
    bool written = c->row.head.epoch != 0, known = winner ? cartridge_knows_head(c, winner) : !written;
    bool gone = written && (!winner || seg_id_compare(winner, &c->row.head) < 0);
    lock_release(&c->lock);
    if (known)
        return 0;
    return gone ? commit_gone(c, winner, err) : commit_fence(c, winner, call, err);
}

/* No epoch is used twice by this gateway, also not for a barcode that was removed and made again (I2). */
static int next_epoch(struct engine *e, uint64_t highest, uint64_t *epoch, struct errtext *err)
{
    char floor[32];
    if (db_meta_get(e->db, EPOCH_FLOOR, floor, sizeof(floor)))
        return errtext_set(err, -EIO, "state: %s", db_error(e->db));
    uint64_t n = strtoull(floor, NULL, 10);
    *epoch = (n > highest ? n : highest) + 1;
    return *epoch <= SEG_LAST_EPOCH
               ? 0
               : errtext_set(err, -EOVERFLOW,
                             "tapes: there is no epoch above %" PRIu64 ": \"s3vtl tape remove\" and "
                             "create make a cartridge of another barcode",
                             *epoch - 1);
}

/* The head that announces a new writer, of whom nothing is known yet. */
static int put_claim(struct cartridge *c, const struct seg_id *mine, uint64_t now, const struct obj_call *call,
                     struct errtext *err)
{
    struct head h;
    head_init(&h);
    commit_sign(c->eng, now, &h);
    h.claim = true;
    h.id = *mine;
    memcpy(h.barcode, c->row.barcode, sizeof(h.barcode));
    memcpy(h.cartridge, c->row.id, sizeof(h.cartridge));
    int rc = commit_put_head(c->eng, &h, call, err);
    head_free(&h);
    return rc ? rc : commit_check_highest(c, mine, false, call, err);
}

/* The claim, and the state that it takes over, into h. A claim that comes to nothing goes again: it would fence whoever
 * the cartridge belongs to. */
static int announce(struct cartridge *c, const struct seg_id *mine, uint64_t now, struct head *h,
                    const struct obj_call *call, struct errtext *err)
{
    int rc = put_claim(c, mine, now, call, err);
    if (!rc)
        rc = take_over(c, mine, h, call, err);
    if (rc == -EPERM || rc == -ENOENT || rc == -ESTALE || rc == -EPROTONOSUPPORT)
        (void)commit_delete_heads(c->eng, c->row.barcode, mine, 1, call, NULL);
    return rc;
}

static int record(struct cartridge *c, const struct seg_id *mine, uint64_t now, struct errtext *err)
{
    lock_take(&c->lock);
    cartridge_note_accepted(c);
    c->row.head = *mine;
    c->row.released = false;
    c->tried_n = 1;
    c->rested = 0; /* in an epoch before this one: n begins anew */
    c->claimed = now;
    int rc = db_cartridge_update(c->eng->db, &c->row);
    if (!rc)
        c->owner = CARTRIDGE_OWNED;
    lock_release(&c->lock);
    return rc ? errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db)) : 0;
}

/* A claim whose answer was lost may land late: whoever tries again says the same, time included (I2). */
static void same_again(struct cartridge *c, struct seg_id *mine, uint64_t *now)
{
    lock_take(&c->lock);
    if (mine->epoch > c->claim_epoch) {
        c->claim_epoch = mine->epoch;
        c->claim_time = *now;
    }
    mine->epoch = c->claim_epoch;
    *now = c->claim_time;
    lock_release(&c->lock);
}

/* What this state holds of the tape and no head names comes to be named by this run. */
static int fill_pending(struct cartridge *c, struct head *h, struct errtext *err)
{
    lock_take(&c->lock);
    int rc = h->removed ? 0 : commit_fill_pending(c, c->row.commit_segs, h); /* a place has none */
    lock_release(&c->lock);
    if (!rc)
        return 0;
    head_free(h);
    return errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

static int claim(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct engine *e = c->eng;
    struct seg_id *heads = NULL, mine = {0, e->writer, 0};
    uint64_t now = engine_time();
    size_t n = 0;
    int rc = commit_known_heads(c, &heads, &n, call, err);
    if (!rc)
        rc = may_claim(c, heads, n, call, err);
    if (!rc)
        rc = next_epoch(e, n ? heads[n - 1].epoch : 0, &mine.epoch, err);
    free(heads);
    struct head h;
    if (!rc)
        same_again(c, &mine, &now);
    if (!rc)
        rc = announce(c, &mine, now, &h, call, err);
    if (!rc)
        rc = fill_pending(c, &h, err);
    if (rc)
        return rc;
    mine.number = 1;
    h.id = mine;
    h.released = false;
    commit_sign(e, now, &h);
    rc = commit_note_try(c, &mine, err);
    if (!rc)
        rc = commit_put_head(e, &h, call, err);
    head_free(&h);
    if (!rc)
        rc = commit_check_highest(c, &mine, false, call, err);
    if (!rc)
        rc = record(c, &mine, now, err);
    if (rc)
        return rc;
    progress_post(&e->progress); /* the first WRITE waits for this, and not for what is cleaned up */
    return commit_tidy_if_possible(c, call, err);
}

int commit_claim(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    lock_take(&c->lock);
    enum cartridge_owner owner = c->owner;
    if (owner == CARTRIDGE_FENCED)
        errtext_set(err, 0, "%s: owned by %s", c->row.barcode, c->winner[0] ? c->winner : "another gateway");
    lock_release(&c->lock);
    if (owner == CARTRIDGE_FENCED)
        return -EPERM;
    return owner == CARTRIDGE_OWNED ? 0 : claim(c, call, err);
}
