/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jobs.h: the sequences of commands that Proxmox Backup Server's tape jobs are. Functions say what failed by
 * problem_text(). */
#ifndef S3VTL_PBS_JOBS_H
#define S3VTL_PBS_JOBS_H

#include <pthread.h>

#include "tests/pbs/archives.h"
#include "tests/pbs/changer.h"

/* A backup server with its library. Jobs on different drives may run at once: each has its own medium. */
struct site {
    struct host *host;
    struct inventory inventory;
    uint64_t next_chunk, next_snapshot; /* of the datastore */
    pthread_mutex_t lock;               /* over the two */
};
bool site_open(struct site *s, const char *inventory); /* that file, if it is there */
void site_close(struct site *s);

/* ---- labels and media (job_media.c) ---- */
bool job_status(struct site *s, struct changer_status *st);
bool job_load(struct site *s, unsigned drive, const char *label);
bool job_unload(struct site *s, unsigned drive);
/* label-media on what is in the drive. Refuses a tape that is not empty. */
bool job_label(struct site *s, unsigned drive, const char *label, const char *pool);
/* Every tape of the changer that has no label yet; *labelled counts them. */
bool job_barcode_label(struct site *s, unsigned drive, const char *pool, unsigned *labelled);
bool job_read_label(struct site *s, unsigned drive, struct labels *l);
/* Loads each tape that has a barcode, and compares its labels with the inventory. */
bool job_update_inventory(struct site *s, unsigned drive, unsigned *seen);
bool job_format(struct site *s, unsigned drive, const char *label, bool fast);
bool job_eject(struct site *s, unsigned drive);
bool job_export(struct site *s, unsigned drive, const char *label, unsigned *slot);
bool job_import(struct site *s, const char *label); /* back to a free storage slot */
bool job_clean(struct site *s, unsigned drive);
bool job_drive_status(struct site *s, unsigned drive, struct drive_status *st);

/* ---- backup (job_backup.c) ---- */
enum after { STAY, EJECT, EXPORT };
struct backup {
    unsigned drive;
    const char *pool;
    const char *const *tapes; /* in the order they are taken; NULL at the end */
    bool encrypted;           /* a new set with a key */
    bool new_set;             /* else goes on with the first one's */
    unsigned snapshots;
    unsigned chunks;  /* new ones of each snapshot */
    uint64_t padding; /* of the catalog: as if there were many chunks */
    enum after after;
    /* what it came to */
    unsigned tapes_used;
    bool leom_in_catalog;
    uint8_t set[16];
};
bool job_backup(struct site *s, struct backup *b);

/* ---- restore (job_restore.c) ---- */
/* Reads all tapes of the set from beginning to end, and compares each file with the inventory. */
bool job_restore_set(struct site *s, unsigned drive, const uint8_t set[16]);
/* One snapshot and the chunks it needs, by LOCATE. */
bool job_restore_snapshot(struct site *s, unsigned drive, const uint8_t set[16], uint64_t snapshot);
/* The newest catalog of the tape at hand, fast or by reading all of it, compared with the inventory. */
bool job_catalog(struct site *s, unsigned drive, const char *label, bool scan);

/* ---- between these ---- */
/* Loads the tape, opens the drive and reads the labels, which must be the inventory's. */
bool open_medium(struct site *s, struct drive *d, unsigned drive, const struct medium *m);

#endif
