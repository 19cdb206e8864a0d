/* SPDX-License-Identifier: GPL-2.0-or-later */
/* behind.h: blocks of a drive that are acknowledged and not written yet: a bounded queue and the thread that empties
 * it. */
#ifndef S3VTL_BEHIND_H
#define S3VTL_BEHIND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "scsi/tape_facts.h"
#include "vtl/format/segment.h"

/*
 *  1. Blocks are written in the order in which they were taken, one at a time. They are packed by several threads where
 *     that takes longer than the writing.
 *  2. After one that could not be written none is, until behind_drain told of it: there is never a hole.
 *  3. A key is kept in locked memory, and only while a block waits that it encrypts (I9).
 */
struct behind;

struct behind_block {
    struct behind_block *next;
    void *data;      /* by malloc; the queue's */
    uint64_t object; /* logical object number */
    uint32_t len;
    bool compress, encrypt;
};

/* What did not get written since the last look. */
struct behind_loss {
    int rc; /* of the first one, or 0: all was written */
    uint64_t object;
    uint64_t blocks, bytes;
};

struct behind_ops { /* 0 or a negative errno; on the queue's threads */
    /* Makes one block ready; key NULL: not encrypted. Any number at a time, each with a packer of its own. */
    int (*pack)(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                struct seg_packed *out);
    /* Writes it; one at a time. */
    int (*put)(void *arg, const struct seg_packed *b);
};

/* room: bytes that may wait; they are counted in *total too, which others may share. NULL: no memory, no locked memory,
 * or no thread. */
struct behind *behind_new(uint64_t room, _Atomic uint64_t *total, const struct behind_ops *ops, void *arg);
/* Writes what waits, then ends. NULL is fine. */
void behind_free(struct behind *q);

/* ---- by one thread at a time (the drive's op_lock) ---- */
enum behind_push {
    BEHIND_TAKEN, /* it will be written, and data be freed */
    BEHIND_FULL,  /* no room now: data is still the caller's, here and below */
    BEHIND_DRAIN, /* not before behind_drain: another key is in use, one before could not be written, no memory */
};
/* Takes a block if that can be done at once: never blocks. crypt NULL: not encrypted. */
enum behind_push behind_push(struct behind *q, void *data, uint32_t len, uint64_t object, bool compress,
                             const struct tape_crypt *crypt);
/* Waits until there may be room for len bytes, for a while at most: then push again. */
void behind_wait_room(struct behind *q, uint32_t len);
/* Waits until nothing is left; *loss tells what was not written, once. */
void behind_drain(struct behind *q, struct behind_loss *loss);

/* Bytes that wait. Any thread, never blocks. NULL: 0. */
uint64_t behind_bytes(const struct behind *q);

#endif
