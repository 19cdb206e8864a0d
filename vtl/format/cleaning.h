/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cleaning.h: cleaning cartridges: recognised by their barcodes, good for a limited number of cleanings. */
#ifndef S3VTL_CLEANING_H
#define S3VTL_CLEANING_H

#include "vtl/format/usage.h"

#define CLEANING_USES 50 /* like an LTO universal cleaning cartridge */

/* A cleaning cartridge's mounts are its cleanings. */
static inline uint64_t cleaning_uses_left(const struct usage *u)
{
    return u->mounts < CLEANING_USES ? CLEANING_USES - u->mounts : 0;
}

#endif
