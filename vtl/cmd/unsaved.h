/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unsaved.h: records of trouble that the library did not take, until it does. */
#ifndef S3VTL_UNSAVED_H
#define S3VTL_UNSAVED_H

#include "vtl/cmd/watch.h"

/* Of each kind an array, the oldest first. All but the last are of trouble that is over: "ended" is not 0. */
struct unsaved {
    json_t *of[WATCH_KINDS];
};
/* The newest record of the present trouble of that kind, which takes the place of an earlier one of the same trouble, but of
 * none that is over. NULL: the library took it. Takes a reference of its own. */
void unsaved_put(struct unsaved *u, enum watch_kind kind, json_t *record);
/* Saves them in order, until one is not taken. *number (may stay): what the present trouble's record is counted as. */
void unsaved_try(struct unsaved *u, enum watch_kind kind, int (*save)(void *arg, const json_t *record, int64_t *number),
                 void *arg, int64_t *number);
void unsaved_free(struct unsaved *u);

#endif
