/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner.h: decides of which pieces each block of a drive is stored: what is copied from where, and what is literal. */
#ifndef S3VTL_PLANNER_H
#define S3VTL_PLANNER_H

#include "vtl/format/chunk_list.h"

/* One thread at a time, but for planner_help. It reads the blocks' bytes and keeps none. */
struct planner;

/* Called from planner_next and no others, on its thread. */
struct planner_ops {
    /* Adds to *out where the chunk, or parts of it, are. again: it was asked before without success; look only where it
     * costs nothing, as something near it has been found since. What fails finds nothing. */
    void (*find)(void *arg, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool again, struct chunk_places *out);
    /* May be copied from? May wait. Asked when a fair part of it would be copied; the answer holds for
     * PLANNER_REMEMBER_MS. */
    bool (*may_use)(void *arg, const struct seg_source *s);
};
#define PLANNER_REMEMBER_MS 5000

struct planner_config {
    /* Blocks held back at most, in bytes and some per block: they show what comes next. Bytes of chunks that have no id yet are
     * not counted. Whoever has no room for so many blocks must drain, or wait for ever. */
    uint64_t window;
    unsigned sight; /* how many sources are in sight */
    unsigned fair;  /* percent of a source's size that must be copied from it */
    bool cut;       /* what is not PBS's is cut into chunks by its content; else it is literal */
};
/*
 * A source is used only once what could be copied from it, while it is in sight, is a fair part of it, or that is so of the
 * segment before it or after it on its tape. So a tape is read mostly in whole segments and in order, and a segment is not
 * kept for a few chunks. In sight are the sources of which something was wanted last, as many as a reader can have at
 * hand: the chunks that one old set has and later ones lack are few and far between, and still all of a segment.
 *
 * Measured by bench/fair: sets of which 2 % change, in runs of 1 to 73 entries that take turns in four places of the
 * datastore, shuffled within 11; sight 64. Bytes stored by sets 2 to 6, and by set 2 alone, as a multiple of the changed
 * ones; segments fetched to read set 6, as a multiple of it:
 *
 *     fair   window 16 MiB         window 32 MiB
 *      5 %   1.10  1.10   2.08     1.09  1.08   2.05
 *     10 %   1.24  1.14   2.02     1.20  1.09   1.98
 *     20 %   1.74  1.62   1.87     1.54  1.25   1.86
 *     30 %   2.51  2.54   1.76     2.05  1.59   1.68
 *     50 %   4.18  5.38   1.63     3.27  3.01   1.54
 *
 * Above 10 % the beginnings of runs, which are stored once more, cost more than the changes do; what a reader
 * fetches is little less.
 */
#define PLANNER_DEFAULTS                                                                                               \
    (struct planner_config)                                                                                            \
    {                                                                                                                  \
        .window = 32u << 20, .sight = 64, .fair = 10                                                                   \
    }

/* NULL: out of memory, or of locked memory. */
struct planner *planner_new(const struct planner_config *config, const struct planner_ops *ops, void *arg);
void planner_free(struct planner *p); /* blocks in it are the caller's, as ever */

/* The drive's key from now on, of TAPE_KEY_SIZE bytes, or NULL: none. No copy of it is kept. Only when no block is in it.
 * With another one than before, what is pushed next does not follow what was. 0, or -EIO: nothing is copied nor listed under
 * this key. */
int planner_key(struct planner *p, const uint8_t *key);

/* The next block; len 0: filemarks, behind which another stream begins. data stays as it is until the block is popped. handle is the caller's. 0, or -ENOMEM: it is not taken,
 * and whoever writes it otherwise must drain first. */
int planner_push(struct planner *p, void *handle, uint64_t object, const void *data, uint32_t len);
/* A block that is stored already, as it is, and comes before the next one: what goes on behind it can be read then. Only when no
 * block is in it. */
void planner_pass(struct planner *p, const void *data, uint32_t len);
/* What is pushed next does not follow what was: filemarks, or another place. */
void planner_reset(struct planner *p);

struct plan {
    void *handle;
    uint64_t object;
    const void *data;
    uint32_t len;
    uint32_t copied;                /* bytes of it that are copies; 0: it is plain */
    const struct seg_piece *pieces; /* of a block in pieces */
    size_t n_pieces;                /* 0: it is plain */
    const struct seg_source *sources;
    size_t n_sources;
    const struct seg_chunk_part *parts; /* which chunks its literal area holds */
    size_t n_parts;
};
/* The block that comes next, if it is decided: true, and *out, valid until the next call. drain: decides now, with what
 * is known; a chunk whose end is not there yet is literal, and not listed. The block stays the next one until it is
 * popped. */
bool planner_next(struct planner *p, bool drain, struct plan *out);
/* Makes the id of a chunk of what was pushed: most of the work. planner_next takes up what follows from it; until it has one,
 * nothing of the chunk is decided but by a drain. False: none needs one now. Any number of threads, while a block is held: beside
 * any other call. */
bool planner_help(struct planner *p);
/* The block that planner_next told is written. */
void planner_pop(struct planner *p);
/* Nothing can be copied from this source now (it is no longer live, say): for PLANNER_REMEMBER_MS it is not used.
 * planner_next tells the same block without it. */
void planner_refuse(struct planner *p, const struct seg_source *s);

/* Bytes held back, and how many it may be asked to hold: by the same count as the window. */
uint64_t planner_held(const struct planner *p);

#endif
