/* SPDX-License-Identifier: GPL-2.0-or-later */
/* changer_ops.h: what a medium changer can do, as the SMC command set (scsi/smc*.c) asks for it; vtl/library/library.c
 * implements it. */
#ifndef S3VTL_CHANGER_OPS_H
#define S3VTL_CHANGER_OPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SMC-3 table 10. */
enum element_type { ELEMENT_TRANSPORT = 1, ELEMENT_STORAGE = 2, ELEMENT_IMPORT_EXPORT = 3, ELEMENT_DRIVE = 4 };

/* Fixed, so that no address moves when the configuration grows. */
enum {
    ELEMENT_FIRST_TRANSPORT = 0x0001,
    ELEMENT_FIRST_DRIVE = 0x0100,
    ELEMENT_FIRST_IMPORT_EXPORT = 0x0300,
    ELEMENT_FIRST_STORAGE = 0x0400,
};

struct changer_layout {
    uint16_t transports, drives, import_exports, slots; /* counts */
};

struct changer_element {
    uint16_t address;
    enum element_type type;
    bool full;
    char barcode[33]; /* "" when empty */
    bool source_valid;
    uint16_t source;                       /* SOURCE STORAGE ELEMENT ADDRESS */
    bool access;                           /* the transport may reach it now; of a drive: may take its cartridge */
    bool by_operator;                      /* import/export: an operator put the cartridge there (IMPEXP) */
    const char *vendor, *product, *serial; /* drives: DVCID; valid as long as the library */
};

enum changer_result {
    CHANGER_OK = 0,
    CHANGER_BAD_ADDRESS,       /* 5/21/01 */
    CHANGER_SOURCE_EMPTY,      /* 5/3B/0E */
    CHANGER_DESTINATION_FULL,  /* 5/3B/0D */
    CHANGER_REMOVAL_PREVENTED, /* 5/53/02 */
    CHANGER_INCOMPATIBLE,      /* 5/30/00: the drive cannot take the cartridge */
    CHANGER_FLUSH_FAILED,      /* 4/53/00: the drive could not make its data safe, so the cartridge stays */
    CHANGER_CANCELLED,
    CHANGER_INTERNAL, /* 4/44/00 */
};

struct changer_ops {
    /* Any thread, never block. */
    void (*layout)(void *self, struct changer_layout *out);
    /* Elements of a type (0: all, in order of address) with address >= start, at most max, one consistent snapshot.
     * Returns how many were written to out. */
    size_t (*elements)(void *self, int type, uint16_t start, size_t max, struct changer_element *out);
    void (*wake)(void *self);
    void (*prevent)(void *self, bool prevented); /* locks the operator's door: the import/export elements */

    /* On the changer's executor thread. transport 0 is the first transport. Moves out of a drive flush, rewind and
     * unload first. */
    enum changer_result (*move)(void *self, uint16_t transport, uint16_t source, uint16_t destination,
                                const atomic_bool *cancel);
    /* EXCHANGE MEDIUM, SMC-3 6.2: source -> destination1, what was there -> destination2. All or nothing. */
    enum changer_result (*exchange)(void *self, uint16_t transport, uint16_t source, uint16_t destination1,
                                    uint16_t destination2, const atomic_bool *cancel);
    enum changer_result (*position)(void *self, uint16_t transport, uint16_t destination);
    enum changer_result (*initialize)(void *self, const atomic_bool *cancel); /* INITIALIZE ELEMENT STATUS */
};

#endif
