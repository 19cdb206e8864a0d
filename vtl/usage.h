/* SPDX-License-Identifier: GPL-2.0-or-later */
/* usage.h: what a cartridge has gone through; kept as the "counters" of its row and its heads (FORMAT.md). */
#ifndef S3VTL_USAGE_H
#define S3VTL_USAGE_H

#include "scsi/tape_ops.h"

struct usage {
    struct tape_usage sum;
    uint64_t mounts, formats;
    uint64_t last_written; /* seconds since 1970; 0: never */
    char drives[TAPE_LAST_DRIVES][33];
};

/* text NULL, or not what it should be: all is 0 then; a counter that is no number from 0 to 2^62 is 0. */
void usage_decode(const char *text, struct usage *out);
/* malloc'd JSON; NULL when out of memory. */
char *usage_encode(const struct usage *u);
/* A drive took the cartridge: it is the first of the last four now. */
void usage_mounted(struct usage *u, const char *serial);
/* into += what */
void usage_add(struct tape_usage *into, const struct tape_usage *what);

#endif
