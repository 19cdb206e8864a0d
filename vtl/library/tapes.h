/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapes.h: making and removing cartridges; operations of rpc.c's table. */
#ifndef S3VTL_TAPES_H
#define S3VTL_TAPES_H

#include "vtl/library/library_private.h"

/* {"barcodes":[...],"capacity":BYTES or 0,"worm":BOOL,"no_dedup":BOOL} -> {"created":[{"barcode","address"}...]}: into the first free
 * slots, each with its first head in the store; all or none. tapes_lock written and move_lock held. */
json_t *tapes_create(struct library *lib, const json_t *request, struct errtext *err);
/* The same of one, with the capacity of its kind. -EEXIST: there is one of that barcode, here or in the bucket. The same
 * locks. */
int tapes_make(struct library *lib, const char *barcode, struct errtext *err);
/* Could one of that barcode be made, as the bucket is now? 0, -EEXIST, or the store's error. Changes nothing. No lock. */
int tapes_look_new(struct library *lib, const char *barcode, struct errtext *err);
/* {"barcode":B,"force":BOOL} -> {"removed":B,"kept":BOOL,...}: with its objects, but for what others lean on (kept), and how
 * much that came to be (shares_of_removed). Refuses a cartridge in a drive, and one that holds data unless force. */
json_t *tapes_remove(struct library *lib, const json_t *request, struct errtext *err);
/* {"barcode":B,"on":BOOL} -> {"barcode","write_protected","committed"}: the write protect tab. Refuses a cartridge in a
 * drive. */
json_t *tapes_protect(struct library *lib, const json_t *request, struct errtext *err);

/* {"barcode":B,"mode":"governance"|"compliance"|"","until":TIME,"bypass":BOOL} ->
 * {"barcode","retention","retain_until","committed"}: locks it until then (seconds since 1970), or "" unlocks it. What holds is
 * only ever lengthened, unless it is governance and bypass is true. Refuses a cartridge in a drive. */
json_t *tapes_lock(struct library *lib, const json_t *request, struct errtext *err);
/* 0, or -EPERM with *err: it is locked, and nobody removes it, by whatever switch. May ask the store for its time. */
int tapes_check_unlocked(struct library *lib, struct cartridge *c, struct errtext *err);
/* {"locked":N,"next_end":TIME or null}: cartridges whose lock holds, and when the first of them ends. tapes_lock read. */
json_t *locks_json(struct library *lib);
/* Cartridges whose objects the store is still to lock come to be worked on. For the inventory's thread. */
void locks_look(struct library *lib);
/* A moment as people write it, in UTC: buf. */
#define TAPES_DAY_SIZE 40
const char *tapes_day(uint64_t seconds, char buf[TAPES_DAY_SIZE]);

/* {"barcode":B,"force":BOOL} -> {"barcode","from","other","used_bytes","kept_bytes"}: the cartridge becomes what its
 * winning head, which from says the writer of, says, and this gateway its writer; also one that is in the bucket only. force: although another gateway
 * wrote it last. tapes_lock written and move_lock held. */
json_t *tapes_claim(struct library *lib, const json_t *request, struct errtext *err);
/* A cartridge as the bucket has it, on the shelf, if another gateway has given it up since this one knew it: this one claims it
 * here and now, so that no other can have it too. So it does with one that it gave up itself; without effect on another one that it
 * wrote last. 0, -EPERM: another one has it; -ENOENT: there is none; or the store's error. The same locks. */
int tapes_take_released(struct library *lib, const char *barcode, struct errtext *err);
/* released.c: what was exported just now is given up, if another library shares the shelf. A failure stops nothing here: it is on
 * the shelf, and the other one says why it cannot have it. The same locks. */
void tapes_give_up(struct library *lib, const json_t *exported);
/* 0: it is on the shelf, which is shared, and not given up yet, so that exporting it does so. Asks the store. The same. */
int tapes_check_on_shelf(struct library *lib, const char *barcode, struct errtext *err);
/* They were not imported after all: those that are on the shelf, and came to be this gateway's, are given up. The same. */
void tapes_give_up_again(struct library *lib, const json_t *barcodes);
/* It is in no element, and on a shelf that is shared, or may be: another library may have taken it, and it is not claimed
 * here for little. May ask the store. tapes_lock. */
enum obj_known tapes_may_be_theirs(struct library *lib, struct cartridge *c);
/* Around a change of a cartridge's row, the cartridge loaded: tapes_check_whose; and one on a shelf that is shared is claimed before
 * the change, and given up again with it. *claimed: for tapes_end_change, which is called if this is 0, and then commits
 * it. The same locks as to import. */
int tapes_begin_change(struct library *lib, struct cartridge *c, bool *claimed, struct errtext *err);
void tapes_end_change(struct library *lib, struct cartridge *c, bool claimed);
/* h, the bucket's head, is one that this state goes on from, and this gateway's. A rebuild knows heads that others go on from:
 * who put one may be writing behind it. */
bool tapes_head_is_ours(struct library *lib, struct cartridge *c, const struct head *h);
/* 0, or -EPERM with *err: it is on a shelf that another library shares, which wrote it last and has not given it up. May ask
 * the store. move_lock held. */
int tapes_check_whose(struct library *lib, struct cartridge *c, struct errtext *err);
/* {"barcode":B,"dry_run":BOOL} -> {"barcode","objects","bytes","written_by","on_shared_shelf":BOOL}: what no head names of its
 * objects, deleted unless dry_run. Not of a cartridge that another gateway wrote last, nor of one that is being written, nor of one
 * on a shelf that another library shares. tapes_lock read. */
json_t *tapes_gc(struct library *lib, const json_t *request, struct errtext *err);
/* {"barcode":B,"cartridge":ID,"objects":N,"lost":N,"from":OBJECT,"keys":[K...],"sources":[{"key":K,"barcode":B,"cartridge":ID}...]}
 * -> {"barcode","recorded":BOOL,"hurt":[{"barcode","of"}...]}: keeps with the cartridge what a scrub of the bucket found; false:
 * it is not in this library. keys: segments of it in which something is lost; sources: those of others that it copies from.
 * Nothing is copied from these any more. hurt: cartridges that lean on them, and whose they are. tapes_lock read. */
json_t *tapes_verified(struct library *lib, const json_t *request, struct errtext *err);
/* {"tidy":BOOL} -> {"strangers":[{"barcode","objects","head":BOOL,"error","kept_for":[...]}...]}: in the bucket, and not in
 * this library; head: has a complete one; error: has one that cannot be read, and why; kept_for: it was removed, and what is
 * there is needed by these tapes. tidy: what is needed by none goes. tapes_lock read. */
json_t *tapes_strangers(struct library *lib, const json_t *request, struct errtext *err);
/* {"barcodes":[...] or absent} -> {"vanished":[{"barcode","state","inventory","head","error"}...]}: what the state, or the
 * newest inventory, names and the bucket has no more, or only as it once was. tapes_lock read. */
json_t *tapes_vanished(struct library *lib, const json_t *request, struct errtext *err);
/* {"barcode":B,"address":A} -> {"barcode","address"}: what MOVE MEDIUM does, with its checks; waits as it does.
 * tapes_lock read. */
json_t *tapes_move(struct library *lib, const json_t *request, struct errtext *err);

/* {"barcodes":[...]} or {"all":true} -> {"exported":[{"barcode","address"}...]}: out of the import/export elements, to
 * the shelf. All or none. address 0: it is there already, and is given up now. */
json_t *tapes_export(struct library *lib, const json_t *request, struct errtext *err);
/* {"barcodes":[...]} -> {"imported":[...]}: from the shelf into free import/export elements. All or none. */
json_t *tapes_import(struct library *lib, const json_t *request, struct errtext *err);

/* A request's list of barcodes: each is a text, and none is named twice. 0 or a negative errno; *err stays empty when
 * there is no memory. */
int tapes_check_named(const json_t *barcodes, struct errtext *err);

/* Waits until nobody else works on the cartridge's heads, and takes them: cartridge_give_heads. -EAGAIN: somebody is at
 * it for too long. */
int tapes_take_heads(struct library *lib, struct cartridge *c, struct errtext *err);

/* A cartridge's row changed: commits that, here and now if no worker does. A store that is down changes nothing: the
 * next start commits then. */
void tapes_commit_row(struct cartridge *c);

/* The elements changed: without a running library nobody else puts the inventory. */
void tapes_put_inventory(struct library *lib);

#endif
