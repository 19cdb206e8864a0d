/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blank_names.h: which name the next blank cartridge gets. */
#ifndef S3VTL_BLANK_NAMES_H
#define S3VTL_BLANK_NAMES_H

#include "base/name_range.h"
#include "vtl/library/library_private.h"

/* Of so many names that the bucket has something of, a call looks at what that is. */
#define BLANK_NAMES_LOOKS 4

/*
 * The first name of the range that is no cartridge's, in this library or elsewhere in the bucket, as both are now: whoever
 * makes it looks again. It asks the store: one list, and a few requests for each of BLANK_NAMES_LOOKS names at most, of which
 * there may be hundreds; next ("" at first) says where the next call goes on. -EEXIST: none was found; or the store's error.
 * No lock is held.
 */
int blank_name(struct library *lib, const struct name_range *names, char next[NAME_RANGE_SIZE],
               char name[NAME_RANGE_SIZE], struct errtext *err);

#endif
