/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_look.c: a cartridge as the bucket has it, compared with what this state knows: a state may be a copy, or old. */
#include "vtl/cartridge/commit_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"

/* The highest complete head; NULL: there is none. Claims that came to nothing are passed over. */
static const struct seg_id *winner_of(const struct seg_id *heads, size_t n)
{
    while (n && !heads[n - 1].number)
        n--;
    return n ? &heads[n - 1] : NULL;
}

/* Nothing is read of it until it is loaded again: a drive is at work on the old view, or the bucket's cannot be had. */
static int become_stale(struct cartridge *c, const char *why, struct errtext *err)
{
    lock_take(&c->lock);
    cartridge_fence(c, DB_FENCED_STALE);
    c->due &= ~(unsigned)DUE_LOOK;
    lock_release(&c->lock);
    return errtext_set(err, -EPERM, "%s: %s", c->row.barcode, why);
}

static int adopt(struct cartridge *c, const struct head *h, struct tape_index *x, struct errtext *err)
{
    char name[SEG_NAME_SIZE], who[COMMIT_WHO_SIZE], size[HUMAN_ROOM];
    uint64_t kept = 0;
    seg_id_format(&h->id, name);
    commit_who(c->eng, h, who);
    lock_take(&c->lock);
    memcpy(c->winner, who, sizeof(c->winner));
    bool in_use = c->in_use;
    int rc = in_use ? 0 : cartridge_adopt(c, h, x, &kept, err);
    if (!rc && !in_use)
        c->due &= ~(unsigned)DUE_LOOK;
    lock_release(&c->lock);
    if (rc)
        return rc;
    if (in_use)
        return become_stale(c,
                            "this state is older than the bucket, or a second copy of it is running: what it has of "
                            "the tape is read no more; unload it: the bucket's view comes with the next load",
                            err);
    return errtext_set(
        err, -EPERM,
        "%s: this state is older than the bucket, or a second copy of it is running: head %s, of %s, is not from "
        "this state; reads come from the bucket, writes are refused until \"s3vtl tape claim %s --force\"; "
        "%s that only this state holds are kept as spool/%s/*.bad",
        c->row.barcode, name, who, c->row.barcode, human_size(kept, size), c->row.barcode);
}

/* x_rc: of reading x, the index, which may not be to be had although the head was. */
static int compare(struct cartridge *c, const struct head *h, struct tape_index *x, int x_rc, struct errtext *err)
{
    if (memcmp(h->cartridge, c->row.id, sizeof(h->cartridge)) != 0)
        return become_stale(
            c, "the bucket has another cartridge of this barcode now: \"s3vtl tape claim --force\" takes it", err);
    if (h->removed)
        return become_stale(c, "another gateway removed it", err);
    lock_take(&c->lock);
    bool older = seg_id_compare(&h->id, &c->row.head) < 0;
    lock_release(&c->lock);
    if (older)
        return commit_gone(c, &h->id, err);
    return x_rc ? x_rc : adopt(c, h, x, err);
}

static int follow_bucket(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct head h;
    struct tape_index x;
    bool with_head;
    int rc = commit_read_tape(c->eng->store, c->row.barcode, &h, &x, &with_head, call, err), read = rc;
    if (with_head) {
        rc = compare(c, &h, &x, read, err);
        head_free(&h);
    }
    if (!read)
        tape_index_free(&x);
    if (rc != -EPROTONOSUPPORT)
        return rc;
    /* A gateway with a newer program has it: what is here is old, and what is there cannot be read. */
    struct errtext why = *err;
    lock_take(&c->lock);
    (void)snprintf(c->winner, sizeof(c->winner), "a gateway with a newer s3vtl (%.250s)", why.text);
    lock_release(&c->lock);
    return become_stale(c, why.text, err);
}

int commit_look(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_known_heads(c, &heads, &n, call, err);
    if (rc)
        return rc;
    const struct seg_id *winner = winner_of(heads, n);
    lock_take(&c->lock);
    bool written = c->row.head.epoch != 0, known = winner ? cartridge_knows_head(c, winner) : !written;
    if (known)
        c->due &= ~(unsigned)DUE_LOOK;
    lock_release(&c->lock);
    free(heads);
    if (!winner && written)
        return commit_gone(c, NULL, err);
    return known ? 0 : follow_bucket(c, call, err);
}
