/* SPDX-License-Identifier: GPL-2.0-or-later */
/* behind.h: write-behind: a bounded queue of a drive's acknowledged blocks and filemarks, and the threads that write them. */
#ifndef S3VTL_BEHIND_H
#define S3VTL_BEHIND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "scsi/tape_facts.h"
#include "vtl/format/source.h"

/*
 *  1. Blocks are written one at a time, in the order in which they were pushed. Several threads pack them where packing
 *     is slower than writing.
 *  2. After a block that could not be written no other is, until behind_drain has reported it: the tape has no hole.
 *  3. A key is in locked memory, and only while a block that it encrypts is queued (I9).
 *  4. Where blocks are planned (of which pieces each is made), one thread at a time plans, in their order too. A planner
 *     holds blocks back to see what comes next; it lets go of them when it is asked to, when whoever drains waits for
 *     them, and when nothing more came for a while.
 */
struct behind;

struct behind_block {
    struct behind_block *next;
    void *data;      /* from malloc; the queue's */
    uint64_t object; /* logical object number */
    uint32_t len;
    uint32_t filemarks; /* so many, and no block; 0: a block */
    bool compress, encrypt;
    struct seg_make *make; /* as planned; from malloc, one piece of memory; NULL: as it is */
};

/* What could not be written since the last behind_drain. */
struct behind_loss {
    int rc; /* why the first one could not; 0: all were written */
    uint64_t object;
    uint64_t blocks, bytes, filemarks;
};

struct behind_ops { /* 0 or a negative errno; on the queue's threads */
    /* Packs one block; key NULL: does not encrypt it. Any number run at a time, each with its own packer. */
    int (*pack)(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                struct seg_packed *out);
    /* Writes it; one at a time. -ESTALE: something that it copies from is gone; then it is packed as it is, and put
     * once more. */
    int (*put)(void *arg, const struct seg_packed *b);
    /* Writes filemarks; one at a time, in turn with put. NULL: none are pushed. */
    int (*mark)(void *arg, uint64_t object, uint32_t count);
    /* These two, or neither: blocks are planned, and filemarks between them. key as for pack, NULL too where a block is not encrypted. False: it cannot take
     * the block, which then is as it is, after all before it. Those that it took it gives back in their order, make set;
     * NULL: none is decided, which cannot be when drain is true and it holds some. */
    bool (*plan)(void *arg, struct behind_block *b, const struct seg_key *key);
    struct behind_block *(*planned)(void *arg, bool drain);
    /* A part of the planner's work that needs no turn, by whoever has nothing else to do, while it holds blocks. False: there is
     * none now. After it planned may have more to give. NULL: there never is. */
    bool (*help)(void *arg);
};

/* room: how many bytes may wait. They are counted in *total too, which several queues share. NULL: out of memory, of
 * locked memory, or of threads. */
struct behind *behind_new(uint64_t room, _Atomic uint64_t *total, const struct behind_ops *ops, void *arg);
/* Writes what is queued, then ends the threads. NULL is fine. */
void behind_free(struct behind *q);

/* ---- by one thread at a time (the drive's op_lock) ---- */
enum behind_push {
    BEHIND_TAKEN, /* data is the queue's, which writes and frees it */
    BEHIND_FULL,  /* no room now. data is still the caller's, here and below */
    BEHIND_DRAIN, /* call behind_drain first: another key is in use, an earlier block was lost, or no memory */
};
/* Queues a block if that needs no waiting: never blocks. crypt NULL: not encrypted. */
enum behind_push behind_push(struct behind *q, void *data, uint32_t len, uint64_t object, bool compress,
                             const struct tape_crypt *crypt);
/* The same for filemarks, which take hardly any room. count: 1 or more. */
enum behind_push behind_push_filemarks(struct behind *q, uint64_t object, uint32_t count);
/* Waits for room for len bytes, but not long: the caller pushes again. */
void behind_wait_room(struct behind *q, uint32_t len);
/* Waits until the queue is empty, and nobody plans; *loss reports, once, what could not be written. */
void behind_drain(struct behind *q, struct behind_loss *loss);

/* While it is false blocks are not planned. Only when nothing is queued. */
void behind_set_planning(struct behind *q, bool planning);

/* Bytes that are queued. Any thread, never blocks. NULL: 0. */
uint64_t behind_bytes(const struct behind *q);

#endif
