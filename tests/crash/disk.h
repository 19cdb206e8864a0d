/* SPDX-License-Identifier: GPL-2.0-or-later */
/* disk.h: a disk made of a log (record.h): what is on it after each event, and what a power loss at that moment leaves.
 */
#ifndef S3VTL_CRASH_DISK_H
#define S3VTL_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/crash/record.h"

struct disk;

/* Reads the whole log. NULL and a line on stderr when it cannot be. */
struct disk *disk_open(const char *log);
void disk_close(struct disk *d);

/* Applies the next event; its header and data in *r and *data (valid until disk_close). False at the end of the log. */
bool disk_step(struct disk *d, struct record *r, const uint8_t **data);

enum disk_crash {
    CRASH_KILLED,   /* the process is gone, the kernel lives on: everything that was written is there */
    CRASH_NOT_SAFE, /* power loss: only what was fsynced is there, and only the names whose directory was */
    CRASH_SOME, /* power loss: of what was not fsynced, any of the writes, one of them torn, and the first few of the
                 * changes of names */
};
/* Makes, in the empty directory dir, what a crash now leaves. What is below "always" (relative to the root) is on other
 * disks and stays whole. seed: for CRASH_SOME. 0, or -1 and a line on stderr. */
int disk_image(const struct disk *d, enum disk_crash how, uint64_t seed, const char *always, const char *dir);

#endif
