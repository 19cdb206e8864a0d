/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape_ops.h: what the SSC command set (scsi/ssc*.c) asks of a tape drive; vtl/drive/drive.c implements it. */
#ifndef S3VTL_TAPE_OPS_H
#define S3VTL_TAPE_OPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/tape_facts.h"

/*
 * Positions count logical objects: blocks and filemarks, from 0 at the beginning of the partition (SSC-5 4.2.7). The
 * logical file identifier is the number of filemarks before the position. There is only partition 0.
 */
enum tape_result {
    TAPE_OK = 0,
    TAPE_FILEMARK,      /* read: passed a filemark. space blocks: stopped at one */
    TAPE_EOD,           /* at end of data; position there */
    TAPE_BOP,           /* at beginning of partition */
    TAPE_EARLY_WARNING, /* write, filemarks: all is done, and the position is past early warning */
    TAPE_OVERFLOW,      /* write, filemarks: physical end of medium, nothing is written */
    TAPE_NOT_PRESENT,   /* no cartridge, or not loaded */
    TAPE_CLEANS,        /* a cleaning cartridge: 2/30/03 */
    TAPE_WRITE_PROTECTED,
    TAPE_WORM_OVERWRITE, /* only appending is allowed */
    TAPE_READ_ERROR,     /* stored data is missing or wrong: MEDIUM ERROR 3/11/00 */
    TAPE_WRITE_ERROR,    /* 3/0C/00 */
    TAPE_WRITE_LOST,     /* blocks acknowledged before are not written, or lost: a deferred 3/0C/00; nothing is done */
    TAPE_NOT_OWNED,      /* another gateway owns the cartridge: 7/27/00 and a log line */
    TAPE_ENCRYPTED,      /* read: the block is encrypted, and there is no key: 7/74/01 */
    TAPE_NOT_ENCRYPTED,  /* read: the block is not encrypted, but only such are wanted: 7/74/02 */
    TAPE_WRONG_KEY,      /* read: another key encrypted it: 7/74/03 */
    TAPE_CANCELLED,      /* *cancel became true: the transport ends the command, state is consistent */
    TAPE_NO_SUCH_PLACE,  /* locate: there is no such partition */
    TAPE_INTERNAL,       /* 4/44/00 */
};

/* DT device activity, ADC-3 (log page 11h). */
enum tape_activity {
    TAPE_IDLE = 0x00,
    TAPE_CLEANING = 0x01,
    TAPE_LOADING = 0x02,
    TAPE_UNLOADING = 0x03,
    TAPE_OTHER = 0x04,
    TAPE_READING = 0x05,
    TAPE_WRITING = 0x06,
    TAPE_LOCATING = 0x07,
    TAPE_REWINDING = 0x08,
    TAPE_ERASING = 0x09,
    TAPE_FORMATTING = 0x0A,
    TAPE_READING_ENCRYPTED = 0x0E,
    TAPE_WRITING_ENCRYPTED = 0x0F,
};

enum tape_medium {
    TAPE_MEDIUM_NONE,     /* the drive is empty */
    TAPE_MEDIUM_LOADING,  /* 2/04/01 */
    TAPE_MEDIUM_UNLOADED, /* in the drive, but not threaded: 2/3A/00 too */
    TAPE_MEDIUM_LOADED,
    TAPE_MEDIUM_CLEANING, /* a cleaning cartridge, which is never threaded: 2/30/03 */
};

/* A snapshot of what is in memory. */
struct tape_status {
    enum tape_medium medium;
    enum tape_activity activity; /* TAPE_IDLE when no command runs */
    char barcode[33];
    uint8_t density; /* of the cartridge; 0 without one */
    bool write_protected;
    bool worm;
    bool locked; /* only appending is allowed for now, as on a WORM medium */
    uint32_t partition;
    uint64_t object; /* host-visible position, buffered blocks included */
    uint64_t file;
    uint64_t blocks_in_buffer; /* acknowledged, not yet at the durability level */
    uint64_t bytes_in_buffer;
    bool past_early_warning;
    uint64_t end_object; /* end of data */
    uint64_t end_file;
    uint64_t capacity;       /* bytes, nominal */
    uint64_t used;           /* bytes of host data on the cartridge */
    uint64_t medium_changes; /* goes up when a cartridge is loaded or taken out */
    uint64_t alerts;         /* TapeAlert flags (SSC-5 annex A): flag n is bit 64 - n */
};

/* TapeAlert flags (SSC-5 annex A) by number. */
enum tape_alert {
    ALERT_READ_WARNING = 0x01,     /* the store may soon be unable to give back some of the loaded cartridge */
    ALERT_HARD_ERROR = 0x03,       /* with the next two */
    ALERT_MEDIA = 0x04,            /* the last scrub found blocks of the cartridge that cannot be read back */
    ALERT_READ_FAILURE = 0x05,     /* a block cannot be read back */
    ALERT_WRITE_FAILURE = 0x06,    /* a block could not be written or made safe */
    ALERT_MEDIA_LIFE = 0x07,       /* what the store keeps the loaded cartridge with has lost too much redundancy */
    ALERT_WRITE_PROTECT = 0x09,    /* somebody tried to write to a write-protected cartridge */
    ALERT_NO_REMOVAL = 0x0A,       /* somebody tried to unload while removal is prevented */
    ALERT_CLEANING_MEDIA = 0x0B,   /* a cleaning cartridge is in the drive */
    ALERT_EXPIRED_CLEANING = 0x16, /* and it is used up; stays set until the next cartridge, as nobody looks before */
    ALERT_HARDWARE_A = 0x1E,       /* the drive itself failed */
    ALERT_LOST_STATISTICS = 0x32,  /* the library crashed, and with it went what the last mount had counted */
    ALERT_WORM_OVERWRITE = 0x3C,   /* somebody tried to overwrite a WORM cartridge */
};
#define TAPE_ALERT_BIT(flag) (UINT64_C(1) << (64 - (flag)))

struct tape_statistics {
    struct tape_usage drive; /* since the library began to serve */
    struct tape_usage mount; /* since a cartridge was last threaded */
    struct tape_usage life;  /* of the cartridge, this mount included; 0 without one, like all below */
    uint64_t mounts, formats;
    uint64_t last_written;                  /* seconds since 1970; 0: never */
    uint64_t verified, lost_objects;        /* the last scrub: when (0: never), and what it could not read */
    char last_drives[TAPE_LAST_DRIVES][33]; /* serial numbers, the last one first */
    uint8_t medium_id[16];                  /* of the cartridge, random at its creation */
    uint64_t created;                       /* likewise; seconds since 1970 */
    uint64_t mounted_ms, ready_ms;          /* of this mount: since it began, since the cartridge is threaded */
    /* In the drive's life: cartridges threaded, cleanings, time in service. */
    uint64_t drive_loads, drive_cleanings, drive_seconds;
};

/* A block to be written at once. */
struct tape_write {
    const void *block; /* malloc's */
    uint32_t len;
    bool compress;
    const struct tape_crypt *crypt;
    void (*taken)(void *arg); /* from this call on the memory at block is the callee's */
    void *arg;
};

enum tape_next { TAPE_NEXT_NO_BLOCK, TAPE_NEXT_PLAIN, TAPE_NEXT_READABLE, TAPE_NEXT_UNREADABLE };

/*
 * All but the first seven may block, run on the drive's executor thread one at a time, poll *cancel, and leave all as
 * it was when they fail, except where said. self is what ssc_lun_new got.
 */
struct tape_ops {
    /* Any thread, never blocks. */
    void (*status)(void *self, struct tape_status *out);
    /* Any thread, never blocks. */
    void (*statistics)(void *self, struct tape_statistics *out);
    /* Sets a TapeAlert flag for which the command set has a cause. Any thread, never blocks. */
    void (*alert)(void *self, enum tape_alert flag);
    /* What is written from now on is of that host: how it calls itself, and its address. Any thread, never blocks. */
    void (*written_by)(void *self, const char *name, const char *address);
    /* The host's attributes of the cartridge; none without one. Any thread, never blocks. */
    void (*mam_get)(void *self, struct tape_mam *out);
    /* Wakes an operation that waits, so that it looks at *cancel. Any thread, never blocks. */
    void (*wake)(void *self);
    /* The operations from now on, but load and unload, are for the medium that was there at that count of medium_changes: with
     * another one they are NOT_PRESENT, and do nothing to it. 0, as at first: for any. Never blocks; the executor's thread. NULL:
     * the medium never changes. */
    void (*for_medium)(void *self, uint64_t medium_changes);

    /* Writes one block of len bytes (1 to TAPE_MAX_BLOCK) at the position and cuts off all behind it. OK, EARLY_WARNING
     * (written), or an error (not written, nothing cut). Copies the block. A buffered one (SSC-5 4.2.7) is acknowledged
     * before it is written; if writing it fails later, the next operation returns WRITE_LOST, and no more is written
     * before the tape is positioned. */
    enum tape_result (*write)(void *self, const void *block, uint32_t len, bool compress,
                              const struct tape_crypt *crypt, const atomic_bool *cancel);
    /* The same for a block that follows the last one, if that takes no waiting. Never blocks; any thread, while none of
     * the others runs or waits to. False: it did nothing, write must do it. */
    bool (*write_at_once)(void *self, const struct tape_write *w, enum tape_result *result);
    /* Appends filemarks, as write does blocks; with immed they may be buffered as these are. Without it all is flushed to
     * the configured durability (I1), with count 0 too. An error: status tells how many were written. */
    enum tape_result (*write_filemarks)(void *self, uint64_t count, bool immed, const atomic_bool *cancel);
    /* Reads the block at the position: min(*len, its length) bytes go to buf, *len becomes its length, and the position
     * moves past it. FILEMARK: the position moves past the filemark. All other results leave it. *len 0: the block is
     * only checked, as if it were read. crypt NULL: there is no key, here as for write. */
    enum tape_result (*read)(void *self, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                             const atomic_bool *cancel);
    /* What the next block is with this key. kad (TAPE_KAD_MAX bytes) and *kad_len: the descriptors kept with it. */
    enum tape_result (*next_block)(void *self, const struct tape_crypt *crypt, enum tape_next *next, uint8_t *kad,
                                   uint8_t *kad_len, const atomic_bool *cancel);
    /* SPACE, SSC-5 7.8. *count: how many, negative towards the beginning; on FILEMARK, EOD, BOP how many are left
     * (same sign). Blocks stop past a filemark, in the direction of the move. */
    enum tape_result (*space_blocks)(void *self, int64_t *count, const atomic_bool *cancel);
    enum tape_result (*space_filemarks)(void *self, int64_t *count, const atomic_bool *cancel);
    enum tape_result (*space_end_of_data)(void *self, const atomic_bool *cancel);
    /* LOCATE. Past end of data: EOD, with the position there. File f begins after the f-th filemark, file 0 at BOP. */
    enum tape_result (*locate_object)(void *self, uint32_t partition, uint64_t object, const atomic_bool *cancel);
    enum tape_result (*locate_file)(void *self, uint32_t partition, uint64_t file, const atomic_bool *cancel);
    enum tape_result (*rewind)(void *self, const atomic_bool *cancel);
    /* Threads the cartridge, if it is not yet, and goes to BOP. */
    enum tape_result (*load)(void *self, const atomic_bool *cancel);
    /* Flushes, rewinds, unthreads. The cartridge stays in the drive element. */
    enum tape_result (*unload)(void *self, const atomic_bool *cancel);
    /* ERASE: the position becomes end of data. */
    enum tape_result (*erase)(void *self, bool long_erase, const atomic_bool *cancel);
    /* FORMAT MEDIUM, at BOP: blank, one partition. */
    enum tape_result (*format)(void *self, const atomic_bool *cancel);
    /* SET CAPACITY, at BOP: blank, with proportion 65535ths of the capacity that the cartridge was made with. */
    enum tape_result (*set_capacity)(void *self, uint16_t proportion, const atomic_bool *cancel);
    /* Replaces the host's attributes: in the state before it returns, in the store soon. */
    enum tape_result (*mam_set)(void *self, const struct tape_mam *mam, const atomic_bool *cancel);
    /* While true, the changer refuses to take the cartridge out (PREVENT ALLOW MEDIUM REMOVAL). Never blocks. */
    void (*prevent)(void *self, bool prevented);
};

#endif
