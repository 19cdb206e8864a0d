/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops.h: a run of tape operations that follows from a seed, and what the cartridges hold after each of them. */
#ifndef S3VTL_CRASH_OPS_H
#define S3VTL_CRASH_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPES 3         /* cartridges, each with a slot of its own */
#define MAX_OBJECTS 600 /* on one of them */
#define MAX_BLOCK 400000

enum op_kind {
    OP_WRITE,      /* one block at the position */
    OP_MARKS,      /* WRITE FILEMARKS(1), IMMED */
    OP_MARKS_SYNC, /* WRITE FILEMARKS(1) */
    OP_SYNC,       /* WRITE FILEMARKS(0) */
    OP_LOCATE,     /* to an object */
    OP_END,        /* SPACE to end of data */
    OP_ERASE,      /* at the position */
    OP_FORMAT,     /* at the beginning */
    OP_UNLOAD,     /* MOVE MEDIUM to the slot */
    OP_LOAD,       /* MOVE MEDIUM to the drive */
    OP_DRAIN,      /* wait until everything is stored */
};

struct op {
    enum op_kind kind;
    unsigned tape;   /* which it works on */
    uint64_t object; /* OP_LOCATE: where to. OP_WRITE: the block's id */
    bool safe;       /* when it is acknowledged, everything before it on this tape outlives a power loss */
};

/* What is on a cartridge: ids of blocks, 0 for a filemark. */
struct tape_model {
    uint64_t object[MAX_OBJECTS];
    size_t n;
};

struct model {
    uint64_t random;
    uint64_t next; /* number of the next operation */
    int loaded;    /* tape in the drive, or -1 */
    size_t position;
    struct tape_model tape[TAPES];
};

void model_init(struct model *m, uint64_t seed);
/* The next operation; the model is then as it must be once that is done. */
struct op model_step(struct model *m);
const char *op_name(enum op_kind kind);

/* A block tells which it is: its length and every byte follow from its id. With $TEST_DEDUP it is one of chunked.h. */
uint64_t block_id(const uint8_t *buf, size_t len);
uint32_t block_length(uint64_t id);
void block_fill(uint64_t id, uint8_t *buf);

/* What a tape's content comes to: equal for equal contents. */
uint64_t content_start(void);
uint64_t content_add(uint64_t hash, uint64_t object);
uint64_t content_of(const struct tape_model *t);

#endif
