/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store.h: the directory store as a bad network and a watchful referee see it: every store that this program opens.
 *
 * From the environment:
 *   TWINS_SIDE         a directory, shared by all processes of a round: keys/ remembers the content of each key for
 *                      ever, late/ holds PUTs that have not landed yet, "twice" names the keys that were put with two
 *                      contents; with "go-on" no process stops any more
 *   TWINS_LIST_MS      LIST takes up to so long before the bucket is looked at, and again before the answer is there
 *   TWINS_OVERWRITES   set: an existing key is overwritten, as by a store that knows no If-None-Match
 */
#ifndef S3VTL_TWINS_STORE_H
#define S3VTL_TWINS_STORE_H

#include "s3backend/objstore.h"

enum store_hook {
    HOOK_NONE,
    HOOK_STOP_BEFORE, /* the process stops before the PUT is sent */
    HOOK_STOP_AFTER,  /* ... and when it is stored, before its answer is read */
    HOOK_LATE,        /* the PUT gets no answer, and lands when store_land_late says so */
    HOOK_NO_ANSWER,   /* the PUT is stored and gets no answer */
};
/* What happens to the nth PUT from now of a key that holds part ("/head/", "/seg/"; "" any). part lives on. */
void store_hook(enum store_hook what, const char *part, unsigned nth);
/* Lands the PUTs that are late. How many there were. */
unsigned store_land_late(struct objstore *s);

#endif
