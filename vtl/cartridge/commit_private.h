/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_private.h: what claiming, committing and sweeping share. */
#ifndef S3VTL_COMMIT_PRIVATE_H
#define S3VTL_COMMIT_PRIVATE_H

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"

/* ---- commit_heads.c; without the lock ---- */
int commit_put(struct engine *e, const char *key, const void *buf, size_t len, const struct obj_call *call,
               struct errtext *err);
int commit_put_head(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err);
/* The state knows that this head is about to be put: if its answer is lost, it is known for this state's own at the
 * next start. */
int commit_note_try(struct cartridge *c, const struct seg_id *head, struct errtext *err);
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
/* Identity and attributes, the same in every head, and who puts it. With the lock. */
void commit_fill_identity(const struct cartridge *c, struct head *h);

/* ---- commit.c; with the lock ---- */
/* What is garbage now becomes doomed: no head made from this moment's state can name it. */
int commit_collect(struct cartridge *c);

#endif
