/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unmade.h: cartridges that "tape create" began and could not finish: taken back, here and in the store. */
#ifndef S3VTL_UNMADE_H
#define S3VTL_UNMADE_H

#include "vtl/library/library_private.h"

/* A cartridge made later, under this barcode or another, begins above the epochs of this one (I2). */
int unmade_keep_epoch(struct library *lib, struct cartridge *c, struct errtext *err);
/* Its row goes, and then the heads that this run put. 0, also when the store does not let them go: that is noted, and
 * unmade_clear does it. Else it could not be taken back, and c is a cartridge like any other. move_lock and tapes_lock. */
int unmade_take_back(struct library *lib, struct cartridge *c, const struct db_cartridge *row, struct errtext *err);
/* One of that barcode was taken back here, at some time. */
bool unmade_is_noted(struct library *lib, const char *barcode);
/* What unmade_clear would do, which this does not: 0, -EEXIST, or an error. Needs no lock. */
int unmade_look(struct library *lib, const char *barcode, const struct obj_call *call, struct errtext *err);
/* The bucket has a cartridge of that barcode which is not in the library: if it is one that this library took back, what
 * is left of it goes. -EEXIST: it is another. */
int unmade_clear(struct library *lib, const char *barcode, const struct obj_call *call, struct errtext *err);
/* What a state knows of barcodes that were removed, or taken back: how high their epochs were, and whose heads may land late.
 * For the one that takes its place. New reference; NULL: no memory. */
json_t *unmade_read(struct db *db);
int unmade_write(struct db *db, const json_t *known); /* known NULL: nothing */

#endif
