/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vanished.h: compares the bucket with what names its cartridges: a state, and the newest inventory. */
#ifndef S3VTL_VANISHED_H
#define S3VTL_VANISHED_H

#include "vtl/library/library_private.h"

/* First those who name cartridges, the state before an inventory; then vanished_find. One thread. 0 or -ENOMEM but where
 * said. */
struct vanished;
/* only: an array of barcodes that count; else all do. cancel may be NULL, and is borrowed, like store. NULL: no memory. */
struct vanished *vanished_new(const struct vtl_config *cfg, struct objstore *store, const json_t *only,
                              const atomic_bool *cancel);
void vanished_free(struct vanished *w); /* NULL is fine */
/* The cartridges of a library, with tapes_lock held. One that was never committed is not looked for. */
int vanished_add_library(struct vanished *w, struct library *lib);
/* Those of the state on the disk, if there is one. */
int vanished_add_state(struct vanished *w, const struct vtl_config *cfg);
int vanished_add_inventory(struct vanished *w, const json_t *inventory);
/* The bucket has this head of it, which need not be looked at again; NULL: it has some. */
void vanished_seen(struct vanished *w, const char *barcode, const struct seg_id *head);
/* The bucket has a head of it that says that it was removed: so it should be named by nobody any more. */
void vanished_removed(struct vanished *w, const char *barcode);
/* Looks in the bucket. *list, by barcode: [{"barcode":, "state":BOOL, "inventory":BOOL, "head":NAME or null, "error":text}] of
 * each that is not there, has no head, was removed, or has only older heads than the state knows. 0 whatever it found; else the
 * store's error. */
int vanished_find(struct vanished *w, json_t **list, struct errtext *err);

#endif
