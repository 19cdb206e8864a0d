/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gate.h: a store that changes nothing in the bucket, and believes none of its tapes, before it is known to be this library's. */
#ifndef S3VTL_GATE_H
#define S3VTL_GATE_H

#include "s3backend/objstore.h"
#include "vtl/config/config.h"

/*
 * The library serves from its spool and cache while the store is away, and a store that comes back may be another one:
 * another bucket, an empty disk, another library's prefix; and so may that of a command, when nobody serves. So the first put
 * or del, or list of tapes or of heads of one, asks whose prefix it is; until the answer is "ours" each of them fails with
 * it, and asks again. Everything else passes through.
 */
/* *out owns inner, also on failure. id: the library's, copied. 0 or -ENOMEM. */
int gate_open(const struct vtl_config *cfg, const char *id, struct objstore *inner, struct objstore **out,
              struct errtext *err);
/* Asks whose prefix it is, unless that is known; whoever asks for the store's health learns the answer. 0, or -EACCES:
 * not ours; or the store's error. store is of gate_open. */
int gate_ask(struct objstore *store, const struct obj_call *call, struct errtext *err);

/* The store behind it, of which nothing is to be put or deleted that way. */
struct objstore *gate_inner(struct objstore *store);
/* clock_ms() when the store took an object last; 0: none in this run. Any thread, at once. */
uint64_t gate_last_put(struct objstore *store);

#endif
