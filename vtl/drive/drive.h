/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive.h: one tape drive: the cartridge in it, its position, and struct tape_ops over both. */
#ifndef S3VTL_DRIVE_H
#define S3VTL_DRIVE_H

#include "scsi/tape_ops.h"
#include "vtl/cartridge/cartridge.h"

struct drive;

extern const struct tape_ops drive_tape_ops; /* self is the struct drive */

/* Reads what the state keeps of the drive. NULL when out of memory. */
struct drive *drive_new(struct engine *eng, unsigned number, const char *serial);
void drive_free(struct drive *d);
/* The library stops cleanly: saves all counters in the state. */
void drive_usage_end(struct drive *d);

/* Any thread, never block. */
unsigned drive_number(const struct drive *d);
const char *drive_serial(const struct drive *d);
/* PREVENT MEDIUM REMOVAL is in force. */
bool drive_is_prevented(const struct drive *d);
/* Bytes that a running flush still waits for; 0: none runs. */
uint64_t drive_flush_left(const struct drive *d);

/* ---- for the changer and the library, not on the drive's executor ---- */
/* Puts a cartridge in and threads it, unless it is one that cleans. Until clock_ms() reaches wait_until it waits for the
 * store to say whether the cartridge is still as this state knows it. tell (NULL: nobody) is called then, before the status
 * shows a cartridge that is threaded: whoever finds one has been told. 0 or a negative errno with *err; the cartridge is in
 * the drive all the same (unthreaded). */
#define DRIVE_LOOK_MS 10000
typedef void drive_tell_fn(void *arg, unsigned number);
int drive_insert(struct drive *d, struct cartridge *c, uint64_t wait_until, drive_tell_fn *tell, void *arg,
                 struct errtext *err);
/* The cartridge that was just put in cleans the drive, if it is one for that. */
void drive_clean(struct drive *d);
/* Flushes, rewinds, unthreads and releases the cartridge. -EBUSY: removal is prevented; other errors: what was written
 * could not be made safe. On an error it stays in the drive. */
int drive_remove(struct drive *d, const atomic_bool *cancel, struct errtext *err);
/* Makes everything safe at the configured durability. */
int drive_flush(struct drive *d, const atomic_bool *cancel, struct errtext *err);

#endif
