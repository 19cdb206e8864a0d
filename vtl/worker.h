/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker.h: the background threads: they store sealed segments, commit heads, collect garbage, seal idle segments, and
 * fetch ahead. */
#ifndef S3VTL_WORKER_H
#define S3VTL_WORKER_H

#include "vtl/cartridge.h"

struct workers;

/* parallel upload threads and one more, parallel download threads and one that looks after idle segments. eng->workers
 * is set. */
int workers_start(struct engine *eng, struct errtext *err);
/* Ends the threads: running transfers are cancelled, nothing that is not stored is lost. eng->workers becomes NULL. */
void workers_stop(struct engine *eng);

/* There is work for this cartridge. w may be NULL (no background work): then nothing happens. Any thread. */
void workers_add(struct workers *w, struct cartridge *c);
/* The cartridge is to be freed: waits until no worker uses it. */
void workers_forget(struct workers *w, struct cartridge *c);

/* Asks for a stored segment to become a local file. Returns at once; progress is posted when it ends. */
enum fetch_state { FETCH_NONE, FETCH_BUSY, FETCH_FAILED, FETCH_NO_ROOM };
void workers_fetch(struct workers *w, struct cartridge *c, const struct seg_ref *ref);
/* BUSY: wait for progress. FAILED: *err says why; the failure is forgotten by this call. NONE: not asked for, or done.
 */
enum fetch_state workers_fetch_state(struct workers *w, struct cartridge *c, const struct seg_id *id,
                                     struct errtext *err);

#endif
