/* SPDX-License-Identifier: GPL-2.0-or-later */
/* model.h: what a cartridge must hold: after each command since the last sync, for a crash may leave any of these. */
#ifndef S3VTL_SOAK_MODEL_H
#define S3VTL_SOAK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_OBJECTS 4000u /* of a cartridge */
#define MAX_BLOCK (1u << 20)
#define MAX_STEPS 4096u /* since the last sync */

/* A block tells which it is: length and every byte follow from its id (never 0, below 2^56), which can be read from it. With
 * $TEST_DEDUP it is one of tests/lib/chunked.h. An object of a model is a block's id, or 0 for a filemark. */
uint64_t block_id(const uint8_t *block, uint32_t len);
uint32_t block_length(uint64_t id);
void block_fill(uint64_t id, uint8_t *block);
bool block_is_right(uint64_t id, const uint8_t *block, uint32_t len);

/* A command that changes a tape: cuts it at an object, then appends n times the object. */
struct step {
    size_t cut;
    uint64_t object;
    unsigned n;
};

struct tape {
    char barcode[33];
    uint64_t next_id;
    uint64_t *object; /* as of the last command that was acknowledged */
    size_t n;
    uint64_t *safe; /* as of the last sync that was acknowledged */
    size_t n_safe;
    struct step step[MAX_STEPS]; /* since then; the last one is perhaps not done */
    size_t steps;
    bool pending; /* that last one: was it? */
    bool crashed; /* since the last sync: the tape may be as after any of the steps, or none */
};

void tape_init(struct tape *t, const char *barcode, uint64_t first_id);
/* A command is sent, and was acknowledged. */
void tape_begin(struct tape *t, size_t cut, uint64_t object, unsigned n);
void tape_done(struct tape *t);
/* Everything before it is safe now. */
void tape_synced(struct tape *t);
/* Filemarks before an object. */
uint64_t tape_files_before(const struct tape *t, size_t object);

/* Where the states that a tape may be in begin to differ. */
size_t tape_common(const struct tape *t);
/* tail: what the cartridge holds from tape_common on. Takes the newest state that agrees, and makes it the one; false:
 * none does. *undone: so many commands were not on it. */
bool tape_resolve(struct tape *t, const uint64_t *tail, size_t n, size_t *undone);

/* What must be on a tape that is safe, as a file. */
bool tape_save(const struct tape *t, const char *path);
bool tape_restore(struct tape *t, const char *path);

#endif
