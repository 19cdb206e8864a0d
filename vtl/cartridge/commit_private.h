/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_private.h: what claiming, committing and sweeping share. */
#ifndef S3VTL_COMMIT_PRIVATE_H
#define S3VTL_COMMIT_PRIVATE_H

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"

/* ---- commit_heads.c; without the lock ---- */
/* Of a cartridge with that retention. */
int commit_put(struct engine *e, const char *key, const void *buf, size_t len, const struct retention *r,
               const struct obj_call *call, struct errtext *err);
int commit_put_head(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err);
/* The state knows that this head is about to be put: if its answer is lost, it is known for this state's own at the
 * next start. */
int commit_note_try(struct cartridge *c, const struct seg_id *head, struct errtext *err);
/* A head that is no head of the tape may come to be the highest: the tape's next commit puts one above it, be it after a
 * restart, as soon as its row is in the state. With the lock. */
void commit_put_back(struct cartridge *c);
int commit_delete_heads(struct engine *e, const char *barcode, const struct seg_id *ids, size_t n,
                        const struct obj_call *call, struct errtext *err);
/* The cartridge's heads, of which those that this state knows need not be looked at. */
int commit_known_heads(struct cartridge *c, struct seg_id **heads, size_t *n, const struct obj_call *call,
                       struct errtext *err);
/* Another gateway owns the cartridge: -EPERM, and who it is. */
int commit_fence(struct cartridge *c, const struct seg_id *winner, const struct obj_call *call, struct errtext *err);
/* The head that the state knows is gone. newest: the one that counts now, an older one: -ESTALE; NULL: there is none:
 * -ENOENT. */
int commit_gone(struct cartridge *c, const struct seg_id *newest, struct errtext *err);
/* Lists the heads; -EPERM when mine is not the highest. With clean, deletes those below mine. */
int commit_check_highest(struct cartridge *c, const struct seg_id *mine, bool clean, const struct obj_call *call,
                         struct errtext *err);
/* Behind a look that found the recorded head the highest: those below it go. What the store fails to do of that, the workers
 * try again, and it is no failure of what was recorded. */
int commit_tidy_if_possible(struct cartridge *c, const struct obj_call *call, struct errtext *err);
/* Identity and attributes, the same in every head, and who puts it. With the lock. */
void commit_fill_identity(const struct cartridge *c, struct head *h);

/* ---- commit.c; with the lock ---- */
/* What is garbage now becomes doomed: no head made from this moment's state can name it. */
int commit_collect(struct cartridge *c);

/* ---- commit_leans.c ---- */
/* What segments [first, first + n) of live lean on; the first of them is number 0. With the lock. */
int commit_read_leans(struct cartridge *c, size_t first, size_t n, struct leans *out);
/* Who leans on the cartridge, as its next head is to list it. */
int commit_fill_leaners(struct cartridge *c, struct head *h);
/* In place of what the head has as pending: what segments lean on that it does not name, which are those of live from named
 * on. With the lock. */
int commit_fill_pending(struct cartridge *c, size_t named, struct head *h);
/* Is the cartridge at rest, if it leans at all? whole: the head names all of live. With the lock. */
int commit_fill_rest(struct cartridge *c, bool whole, struct head *h);

/* ---- commit_kept.c ---- */
/* Which segments below the cartridge's keys others lean on. */
struct kept {
    struct seg_id *ids; /* in order */
    size_t n, room;
    bool all_before;              /* and all that was not written by this run: somebody may lean on any of it */
    bool all;                     /* then: and what was, too */
    struct seg_id mine;           /* epoch and writer of this run */
    char why[CARTRIDGE_WHY_SIZE]; /* then: who */
    struct kept_sums sums;        /* of a cartridge that is removed */
};
/* Asks the state and, of cartridges that this run does not write, the bucket. Without the lock. tidy: who needs nothing
 * any more is not listed in the next head. kept_free. */
int commit_kept(struct cartridge *c, bool tidy, struct kept **out, const struct obj_call *call, struct errtext *err);
/* The same of those in v, whatever the state lists. Those that need something stay in v, *n of them. goes: the cartridge is
 * removed, so what it leans on itself does not count. */
int commit_kept_by(struct cartridge *c, bool goes, struct head_leaner *v, size_t *n, struct kept **out,
                   const struct obj_call *call, struct errtext *err);
bool kept_has(const struct kept *k, const struct seg_id *id);
/* Is nothing left but what stays of the cartridge whose last head this is, one of a removed one? Else it may come back: whoever
 * removes it takes that back where something fails. */
int commit_removal_over(struct objstore *store, const struct head *h, bool *over, const struct obj_call *call,
                        struct errtext *err);

#endif
