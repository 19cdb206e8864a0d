/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive.h: one tape drive: the cartridge in it, its position, and struct tape_ops over both. */
#ifndef S3VTL_DRIVE_H
#define S3VTL_DRIVE_H

#include "base/lock.h"
#include "scsi/tape_ops.h"
#include "vtl/drive/behind.h"
#include "vtl/drive/reader.h"

/*
 * op_lock: held by whoever operates the drive: its executor, or the changer that takes the cartridge out. May be held
 * for long: the transport's thread only tries to take it. st_lock: a leaf, for the snapshot that tape_ops->status
 * copies; the only lock of a drive that the transport's thread waits for.
 */
struct drive {
    struct engine *eng;
    unsigned number;
    char serial[33];
    atomic_bool prevented;
    uint64_t flush_limit_ms, remove_limit_ms; /* then a flush, or a MOVE out of the drive, fails rather than waits on */

    struct lock op_lock;
    struct cartridge *c; /* in the drive element, or NULL */
    bool loaded;         /* threaded */
    uint64_t pos;        /* logical object number */
    uint64_t used;       /* bytes of host data before the end of data */
    uint64_t capacity;   /* of the cartridge */
    uint64_t unsynced_blocks, unsynced_bytes;
    struct seg_packer *packer; /* both made when they are first used */
    struct behind *behind;
    bool streaming;              /* the last operation was a WRITE: one more needs no look at the tape */
    struct tape_usage streamed;  /* since then, not counted yet */
    uint64_t paced_until;        /* microseconds: the next WRITE is not to be answered before */
    int lost_rc;                 /* why what was acknowledged could not be written, until the host was told */
    bool place_lost;             /* it was told: nothing more is written here before the tape was positioned */
    _Atomic uint64_t flush_left; /* bytes that a flush waits for to be in the store; 0: none does */
    bool claim_asked;
    bool fence_told;         /* the host knows that what it wrote belongs to nobody: the cartridge may leave */
    _Atomic uint64_t alerts; /* TapeAlert flags; the command set sets some at any time */
    uint64_t medium_changes;
    struct tape_usage total, mount;     /* since the start, since threading */
    uint64_t appended, fetched;         /* of the cartridge, of the reader: what is counted already */
    uint64_t loads, seconds, cleanings; /* in the drive's life, up to the start of this run */
    uint64_t began;                     /* ticks */
    bool counting;                      /* a cartridge is threaded: what the state keeps is behind */
    bool lost;                          /* it was so when the library ended last: told with the first cartridge */
    struct reader reader;

    struct lock st_lock;
    struct tape_status st;
    struct tape_statistics statistics;
    uint64_t stored_shown; /* of the cartridge's appended, in statistics */
    struct tape_mam mam;
};

void drive_init(struct drive *d, struct engine *eng, unsigned number, const char *serial);
void drive_fini(struct drive *d);
/* The state is open: what it keeps of the drive is read. */
void drive_usage_begin(struct drive *d);
/* The library stops in order: the state keeps all that was counted. */
void drive_usage_end(struct drive *d);

extern const struct tape_ops drive_tape_ops; /* self is the struct drive */

/* ---- for the changer and the library, not on the drive's executor ---- */
/* Puts a cartridge in and threads it, unless it is one that cleans. 0 or a negative errno with *err; the cartridge is
 * in the drive all the same (unthreaded). */
int drive_insert(struct drive *d, struct cartridge *c, struct errtext *err);
/* The cartridge that was just put in cleans the drive, if it is one for that. */
void drive_clean(struct drive *d);
/* Flushes, rewinds, unthreads and lets go of the cartridge. -EBUSY: removal is prevented; other errors: what was
 * written could not be made safe; the cartridge stays in the drive then. */
int drive_remove(struct drive *d, const atomic_bool *cancel, struct errtext *err);
/* Makes everything safe at the configured durability. */
int drive_flush(struct drive *d, const atomic_bool *cancel, struct errtext *err);

#endif
