/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive.h: a tape drive as Proxmox Backup Server uses it: opened, positioned, asked for its status. */
#ifndef S3VTL_PBS_DRIVE_H
#define S3VTL_PBS_DRIVE_H

#include "tests/pbs/sgraw.h"

struct drive {
    struct unit *unit;
    int index;
    bool changer;        /* the configuration names one: LOAD is tried when the drive is not ready */
    bool offset_known;   /* what LOCATE by file must be corrected by, found once for each open */
    int64_t file_offset; /* 0 with LTO drives of IBM */
    unsigned warnings;   /* what PBS only logs: cartridge memory, statistics */
};

/* OPEN: INQUIRY, TEST UNIT READY (LOAD if that fails), ready within 600 s, default options. The text of the failure is
 * problem_text() for each function here that returns bool. */
bool drive_open(struct drive *d, struct host *h, int index);
bool drive_open_bare(struct drive *d, struct host *h, int index); /* just INQUIRY: pmt */
/* CLOSE: the key is cleared, on an empty drive too. */
bool drive_close(struct drive *d);

/* ---- options (drive_mode.c) ---- */
struct compression {
    bool write_protect, compression;
    uint8_t buffer_mode, density;
    uint32_t block_length;
};
bool drive_compression(struct drive *d, struct compression *c); /* MODE SENSE(10) 0Fh */
bool drive_default_options(struct drive *d);                    /* and MODE SELECT(10) of the same, changed */
bool drive_medium_configuration(struct drive *d, uint8_t *density, bool *worm);
/* PBS 4: the programmable early warning is read and, if it can be, set to 0. */
bool drive_clear_pews(struct drive *d);

/* ---- positions (drive_position.c) ---- */
struct position {
    uint64_t object, file;
};
bool drive_position(struct drive *d, struct position *p);
bool drive_rewind(struct drive *d);
bool drive_space_filemarks(struct drive *d, int count);
int drive_space_blocks(struct drive *d, int count); /* SG_* */
/* SPACE to the end of data; write_missing: and a filemark if the last file has none. */
bool drive_move_to_eom(struct drive *d, bool write_missing);
bool drive_move_to_last_file(struct drive *d);
bool drive_locate_file(struct drive *d, uint64_t file);

/* ---- the medium (drive.c) ---- */
enum { BLOCK = 262144 };
int drive_write(struct drive *d, const void *block); /* SG_GOOD and SG_LEOM: written */
/* SG_GOOD: a block of just len bytes; SG_FILEMARK, SG_EOD; SG_ERROR. */
int drive_read(struct drive *d, void *block, uint32_t len);
bool drive_filemark(struct drive *d); /* IMMED, as each file ends */
bool drive_sync(struct drive *d);
bool drive_unload(struct drive *d);
bool drive_load(struct drive *d);
bool drive_format(struct drive *d, bool fast);
int drive_erase(struct drive *d, bool fast);

/* ---- encryption (drive_key.c) ---- */
bool drive_key_off(struct drive *d);
bool drive_key_on(struct drive *d, const uint8_t key[32]);
/* *on: what the drive says; a drive that can't tell is off. */
void drive_key_is_on(struct drive *d, bool *on);

/* ---- cartridge memory and log pages (drive_status.c, drive_mam.c) ---- */
void drive_write_attributes(struct drive *d, const char *label, const char *pool); /* label NULL: the set's */
void drive_clear_attributes(struct drive *d);
/* One attribute of the host's, of just this length, without what pads it. */
bool drive_attribute(struct drive *d, uint16_t id, uint16_t len, char *text);
/* What status shows; without: the drive had no such page, or the field was absent. */
struct usage {
    bool present;
    char manufactured[9];
    uint64_t mib_written, mib_read;
};
bool drive_usage(struct drive *d, struct usage *u);
struct statistics {
    bool present;
    uint64_t mounts, capacity_mb, used_mb, bom_passes, middle_passes;
};
bool drive_statistics(struct drive *d, struct statistics *s);
bool drive_activity(struct drive *d, unsigned *activity); /* LOG SENSE 11h: within one second */
bool drive_alerts(struct drive *d, uint64_t *flags);
bool drive_no_critical_alert(struct drive *d);

struct drive_status {
    struct compression mode;
    unsigned activity;
    bool ready;
    struct position position;
    struct usage usage;
    struct statistics statistics;
    uint64_t alerts;
};
bool drive_get_status(struct drive *d, struct drive_status *s);

#endif
