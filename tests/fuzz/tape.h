/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape.h: a drive and its tape in memory, with all that struct tape_ops promises, for the fuzzer to compare with. */
#ifndef S3VTL_FUZZ_TAPE_H
#define S3VTL_FUZZ_TAPE_H

#include "scsi/tape_ops.h"

#define TAPE_MAX_OBJECTS 1024
#define TAPE_CAPACITY 200000u /* bytes; the tape ends so much behind early warning */
#define TAPE_BEHIND_EW 100000u

struct tape {
    struct tape_status st; /* object, file, end_object, end_file, used and past_early_warning are kept right */
    struct tape_object {
        uint8_t *data; /* NULL: a filemark */
        uint32_t len;
        bool encrypted; /* the data are kept plain all the same */
        uint8_t key[TAPE_KEY_SIZE];
        uint8_t kad_len, kad[TAPE_KAD_MAX];
    } object[TAPE_MAX_OBJECTS];
    bool prevented;
    enum tape_result next; /* of the next operation that can fail; TAPE_OK: it does not */
    unsigned moves;        /* operations that changed or moved the tape */
    struct tape_statistics statistics;
    struct tape_mam mam;
};

extern const struct tape_ops fuzz_tape_ops; /* self: struct tape */

/* The device's own: another cartridge, or none. */
void tape_insert(struct tape *t, uint8_t density, bool write_protected, bool worm);
void tape_remove(struct tape *t);

#endif
