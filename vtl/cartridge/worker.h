/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker.h: the background threads: they store sealed segments, commit heads, collect garbage, seal idle segments, and
 * fetch ahead. */
#ifndef S3VTL_WORKER_H
#define S3VTL_WORKER_H

#include "vtl/cartridge/cartridge.h"

struct workers;

/* parallel upload threads and one more, parallel download threads and one that looks after idle segments. eng->workers
 * is set. */
int workers_start(struct engine *eng, struct errtext *err);
/* Ends the threads: running transfers are cancelled, nothing that is not stored is lost. eng->workers becomes NULL. */
void workers_stop(struct engine *eng);

/* Sees to the threads for so many transfers in each direction: those that are too many (live.parallel) wait. 0, or a
 * negative errno: there are fewer. One thread at a time. */
int workers_grow(struct workers *w, unsigned parallel);

/* live.parallel has changed: those who wait look again. */
void workers_look_again(struct workers *w);

/* What the store refused or failed at is tried again now. Any thread. */
void workers_try_again(struct workers *w);

/* The cartridge is to be freed: waits until no worker uses it. Both may be NULL: then nothing happens. */
void workers_forget(struct workers *w, struct cartridge *c);

/* Asks for a stored segment, below the keys of that barcode, to become a local file; returns at once. The download begins at byte from, and goes round
 * to what is before it. ahead: how many segments a reader has to go until there; the nearest are fetched first, and
 * what is asked for again has its new place. Progress is posted when it ends. */
void workers_fetch(struct workers *w, struct cartridge *c, const char *barcode, const struct seg_ref *ref,
                   uint64_t from, unsigned ahead);

/* A download that is followed: bytes [from, to) are in the file fd, which is the follower's to close. */
struct fetch_part {
    int fd; /* -1: not yet */
    uint64_t order, from, to;
};
/* Waits until the unfinished file holds [offset, offset + len): 0. -ENOENT: there is no such download, or no more: the
 * file is there, or nobody asked for it, or it was dropped. -ENOSPC: the cache has no room. -EIO with *err: it failed
 * while it was waited for; that is forgotten by this call, as -ENOSPC is. -ECANCELED. */
int workers_fetch_part(struct workers *w, const char *barcode, const struct seg_id *id, uint64_t offset, uint64_t len,
                       struct fetch_part *p, const atomic_bool *cancel, struct errtext *err);
/* Fetches of segments that hold none of the objects [first, end) are of no more use: those that run are cancelled. */
void workers_fetch_drop(struct workers *w, const struct cartridge *c, uint64_t first, uint64_t end);

#endif
