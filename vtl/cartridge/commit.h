/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit.h: heads in the store: claiming a cartridge, committing its state, deleting what no head names
 * (ARCHITECTURE.md, "Fencing"). */
#ifndef S3VTL_COMMIT_H
#define S3VTL_COMMIT_H

#include "vtl/cartridge/cartridge.h"

/*
 * Whoever holds the highest head key is the writer. Each step here lists the heads after its put and goes on only if
 * its own is still the highest (I7). All of these talk to the store, take the lock only for moments, and must be called
 * by one thread at a time for a cartridge (cartridge_take_heads). 0 or a negative errno with *err:
 *   -EPERM   another gateway owns it: it is FENCED
 *   others   the store's
 */

/* Is the highest head the one that this state knows? If it is not, another gateway or a copy of this one wrote the
 * cartridge: -EPERM, and what is read of it from now on is the bucket's view. -ENOENT: there is none any more. */
int commit_look(struct cartridge *c, const struct obj_call *call, struct errtext *err);
/* Makes this gateway the writer, if it is not yet. */
int commit_claim(struct cartridge *c, const struct obj_call *call, struct errtext *err);
/* Puts a head that holds all segments stored so far (claims first). -EAGAIN: the stored ones are not a whole state yet.
 */
int commit_head(struct cartridge *c, const struct obj_call *call, struct errtext *err);
/* A head that says that this gateway gives the cartridge up: another one may claim it without force. The same. */
int commit_release(struct cartridge *c, const struct obj_call *call, struct errtext *err);
/* Heads below the recorded one go, which must be the highest. Owned. */
int commit_tidy(struct cartridge *c, const struct obj_call *call, struct errtext *err);
struct sweep {
    uint64_t objects, bytes;
};
/* Queues what may be deleted while all of live is in the head: what is known to be garbage, and with look also what of
 * the cartridge's objects in the store nobody names. dry_run: only tells how much the latter is. Owned; but for
 * dry_run. -EAGAIN: not now. */
int commit_sweep(struct cartridge *c, bool look, bool dry_run, struct sweep *found, const struct obj_call *call,
                 struct errtext *err);
/* Deletes a batch of what was garbage before the last commit, or at the last sweep. 1: there is more, 0: none left. */
int commit_garbage(struct cartridge *c, const struct obj_call *call, struct errtext *err);

/* Claims the cartridge for a head that a rebuild made, and puts that (n = 1), which must be above all others; deletes those when
 * it is. from: the head that counted when it was made, NULL: there was none that could be read. -EAGAIN: another one counts
 * by now, and nothing was changed. -EPERM: it is not above all others. */
int commit_adopt_head(struct engine *e, const struct head *h, const struct seg_id *from, const struct obj_call *call,
                      struct errtext *err);

/* The cartridge, which this gateway owns, is about to be removed. If others lean on it, puts a last head that keeps its
 * place, for them and for what they need, deletes those below, and *kept is what must stay (kept_free); else it is NULL.
 * Until its row is gone from the state the cartridge is dirty, so that its next head is none of a removed one.
 * No worker may have the cartridge. */
struct kept;
int commit_leave_place(struct cartridge *c, struct kept **kept, const struct obj_call *call, struct errtext *err);
/* The same cartridge, of which the store has no head: -EBUSY if others lean on what the store has of it. */
int commit_check_unneeded(struct cartridge *c, const struct obj_call *call, struct errtext *err);
bool kept_has_key(const struct kept *k, const char *key); /* the key of any kind of object */
void kept_free(struct kept *k);                           /* NULL is fine */
/* How much of a cartridge stays in the store, whose place was left: live: of what its last head named. NULL: nothing. */
struct kept_sums {
    uint64_t bytes, live_bytes;
};
struct kept_sums kept_sums(const struct kept *k);
/* Does nobody lean any more on what a removed cartridge left? h: its head, whose leaners become those that do. tidy: then
 * it goes. -EAGAIN: a cartridge of this barcode is being made, or that one is not removed yet. */
int commit_look_at_place(struct engine *e, struct head *h, bool tidy, bool *free_now, const struct obj_call *call,
                         struct errtext *err);

/* Deletes the heads of a cartridge that writer put: it is given up, and no head names anything. */
int commit_withdraw(struct engine *e, const char *barcode, uint32_t writer, const struct obj_call *call,
                    struct errtext *err);

/* The heads of a cartridge in the store, lowest first; *heads is malloc'd. */
int commit_list_heads(struct objstore *store, const char *barcode, struct seg_id **heads, size_t *n,
                      const struct obj_call *call, struct errtext *err);
struct head_search {
    const struct seg_id *limit;   /* only heads below it; NULL: any */
    const struct seg_id *trusted; /* these are heads: what cannot be read of them is damage, and not passed over */
    size_t n_trusted;
};
/* The heads without those at the top that are no heads of this cartridge, whatever their names say: an object that
 * somebody else put there must not fence. One of a later format version is a head. Those that the search trusts need not be looked at; its limit does not count.
 * *junk (may be NULL): one that was passed over, if any. */
int commit_real_heads(struct objstore *store, const char *barcode, const struct head_search *s, struct seg_id **heads,
                      size_t *n, struct seg_id *junk, const struct obj_call *call, struct errtext *err);
/* What is above the highest real head, and no head, moves to tapes/<barcode>/aside/. -EPROTONOSUPPORT: one of a later
 * format version is there, and stays. */
int commit_clear_heads(struct objstore *store, const char *barcode, const struct obj_call *call, struct errtext *err);
/* The highest complete head (not a claim). -ENOENT: there is none. -EBADMSG: damaged. -EPROTONOSUPPORT: of a later
 * format version. out is initialised when 0. */
int commit_find_head(struct objstore *store, const char *barcode, const struct head_search *s, struct head *out,
                     const struct obj_call *call, struct errtext *err);
/* That head, checked against its name; the same results. */
int commit_read_one(struct objstore *store, const char *barcode, const struct seg_id *id, struct head *out,
                    const struct obj_call *call, struct errtext *err);
/* The same of those below limit (NULL: any), without trusting one. */
int commit_read_head(struct objstore *store, const char *barcode, const struct seg_id *limit, struct head *out,
                     const struct obj_call *call, struct errtext *err);

/* ---- commit_who.c: who put a head ---- */
/* Says in a head that this gateway puts it. claimed: seconds since 1970, when this run took the cartridge over. */
void commit_sign(const struct engine *e, uint64_t claimed, struct head *h);
/* For people: "gateway 9a7e3a11 on host backup-1 since 2026-01-31 12:00:00 UTC", as far as the head says. */
#define COMMIT_WHO_SIZE 300
void commit_who(const struct engine *e, const struct head *h, char out[COMMIT_WHO_SIZE]);
/* The same of a head in the store, which it reads; also of one that cannot be read. */
void commit_who_put(struct engine *e, const char *barcode, const struct seg_id *id, const struct obj_call *call,
                    char out[COMMIT_WHO_SIZE]);

/* The row of a cartridge that is as a head says, all of it stored. Its mam and counters are malloc'd. */
void commit_row_of_head(const struct head *h, const struct tape_index *x, struct db_cartridge *row);
/* The whole index that a head names: maps read, cut and joined with the inline part. x is initialised by the call. */
int commit_read_index(struct objstore *store, const struct head *h, struct tape_index *x, const struct obj_call *call,
                      struct errtext *err);
/* The highest complete head and its whole index. Its writer may put the next head between the two looks, and delete the maps
 * that this one names: so the head is read again when a map is gone, and -ENOENT with *with_head says that a map is gone of the
 * head that counts. h is initialised if *with_head is set, x too if the call returns 0. -EAGAIN: they change too fast. */
int commit_read_tape(struct objstore *store, const char *barcode, struct head *h, struct tape_index *x, bool *with_head,
                     const struct obj_call *call, struct errtext *err);

#endif
