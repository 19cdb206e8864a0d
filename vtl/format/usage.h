/* SPDX-License-Identifier: GPL-2.0-or-later */
/* usage.h: the history of a cartridge, kept as "counters" in its row in the state and in its heads (FORMAT.md). */
#ifndef S3VTL_USAGE_H
#define S3VTL_USAGE_H

#include "scsi/tape_facts.h"

struct usage {
    struct tape_usage sum;
    uint64_t mounts, formats;
    uint64_t first_written, last_written; /* seconds since 1970; 0: never, or not known */
    char drives[TAPE_LAST_DRIVES][33];
    /* What the last scrub found (verify.h): when, seconds since 1970 (0: never); up to which object; how many of these
     * cannot be read back; and the first of them. */
    uint64_t verified, verified_objects, lost_objects, lost_from;
};

/* If text is NULL or malformed, everything is 0; a counter that is not a number from 0 to 2^62 is 0. */
void usage_decode(const char *text, struct usage *out);
/* malloc'd JSON; NULL if out of memory. */
char *usage_encode(const struct usage *u);
/* A drive has mounted the cartridge: puts it first among the last four. */
void usage_mounted(struct usage *u, const char *serial);
/* The tape was cut at object: forgets what a scrub found from there on. True if that changes something. */
bool usage_cut(struct usage *u, uint64_t object);
/* into += what */
void usage_add(struct tape_usage *into, const struct tape_usage *what);

#endif
