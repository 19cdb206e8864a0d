/* SPDX-License-Identifier: GPL-2.0-or-later */
/* changer.h: the changer as Proxmox Backup Server sees and moves it. */
#ifndef S3VTL_PBS_CHANGER_H
#define S3VTL_PBS_CHANGER_H

#include "tests/pbs/sgraw.h"

struct element {
    uint16_t address;
    bool full, tagged;
    char tag[37];
    bool from_known; /* drives: which slot the tape came from */
    uint16_t from;
    char serial[33]; /* drives */
};

/* Slots 1 .. n are storage elements, then come the import/export ones. */
struct changer_status {
    uint16_t transport;
    unsigned drives, slots, storage;
    unsigned attentions; /* unit attentions that were tried again: PBS 4 ends the task with so many warnings */
    struct element *drive, *slot;
};

/* INQUIRY, MODE SENSE and five READ ELEMENT STATUS, each reply checked as strictly as PBS's parser does. */
bool changer_status(struct unit *changer, struct changer_status *s);
void changer_status_free(struct changer_status *s);

/* Each asks for the status first. slot: from 1. */
bool changer_load(struct unit *changer, const char *label, unsigned drive);
bool changer_unload(struct unit *changer, unsigned drive); /* to where it came from, or a free slot */
bool changer_transfer(struct unit *changer, unsigned from_slot, unsigned to_slot);
/* To the first empty import/export slot, from this drive or a storage slot. *slot 0: it is not online. */
bool changer_export(struct unit *changer, const char *label, unsigned drive, unsigned *slot);
/* Loads the first CLN tape and takes it back; the drive must be empty. */
bool changer_clean(struct unit *changer, unsigned drive);
/* The slot (from 1) of a tape, 0 if it is in none. */
unsigned status_slot_of(const struct changer_status *s, const char *label);
const struct element *status_drive_of(const struct changer_status *s, const char *label);

#endif
