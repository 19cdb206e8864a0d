/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lun.h: a logical unit: its identity, its one command table, its unit attentions, and the way of a request through it.
 */
#ifndef S3VTL_LUN_H
#define S3VTL_LUN_H

#include <stdatomic.h>

#include "base/lock.h"
#include "scsi/request.h"
#include "scsi/sense.h"

struct scsi_lun;

/* SPC-5 table 147 */
enum scsi_device_type { SCSI_TYPE_TAPE = 0x01, SCSI_TYPE_CHANGER = 0x08 };

enum scsi_command_flags {
    CMD_IMMEDIATE = 1,    /* never blocks: runs on the transport's thread at once, also while others run (I5) */
    CMD_IGNORES_UA = 2,   /* does not report a unit attention (INQUIRY, REPORT LUNS, REQUEST SENSE: SPC-5 5.14) */
    CMD_NEEDS_MEDIUM = 4, /* 2/3A/00 without a loaded cartridge, checked when it runs */
    CMD_TRANSPORT = 8,    /* the transport (tgt) answers it; here it is only listed (PERSISTENT RESERVE, REPORT LUNS) */
    CMD_SECRET = 16,      /* its data-out holds secrets: the transport wipes them however the command ends */
    CMD_AT_ONCE = 32,     /* runs on the executor unless the logical unit's at_once does it before */
};

#define SA_NONE (-1)

/*
 * One row of a device type's table. Dispatch, the check of a CDB (a bit that is set in it but not in usage is 5/24/00
 * with a field pointer) and REPORT SUPPORTED OPERATION CODES all go by it.
 */
struct scsi_command {
    uint8_t opcode;
    int16_t service_action; /* byte 1, bits 4-0; or SA_NONE */
    uint8_t cdb_len;        /* 6, 10, 12, 16 */
    uint8_t flags;          /* enum scsi_command_flags */
    const char *name;       /* the standard's */
    uint8_t usage[16];      /* CDB USAGE DATA (SPC-5 6.32.3): the bits that may be set; byte 0 is not looked at */
    uint32_t timeout;       /* RECOMMENDED COMMAND TIMEOUT, seconds */
    void (*run)(struct scsi_lun *lun, struct scsi_request *rq); /* NULL with CMD_TRANSPORT */
};

/* What INQUIRY and its VPD pages say. serial consists of [A-Za-z0-9._-]. */
struct scsi_identity {
    enum scsi_device_type type;
    char vendor[9];    /* <= 8 */
    char product[17];  /* <= 16 */
    char revision[5];  /* <= 4 */
    char serial[33];   /* VPD 80h, not padded; unique, and always the same for a logical unit */
    uint64_t naa;      /* VPD 83h: what scsi_identity_naa makes of the serial number */
    bool removable;    /* RMB */
    bool worm_capable; /* VPD B0h */
};
/* A locally assigned NAA identifier (3h in the top nibble). */
uint64_t scsi_identity_naa(const char *serial);

/* What a logical unit remembers of a nexus. When there are too many, the one it has not seen for longest goes. */
#define SCSI_MAX_NEXUS 64
struct scsi_nexus {
    uint64_t id;          /* 0: free */
    uint16_t ua;          /* the pending unit attention (enum scsi_asc), or 0; the more severe one stays */
    bool prevent;         /* PREVENT ALLOW MEDIUM REMOVAL */
    uint64_t alerts_told; /* TapeAlert flags that this nexus has read in log page 2Eh */
    uint64_t last_seen;
};

/* struct ssc_lun and struct smc_lun begin with it. All functions but destroy may be NULL. */
struct scsi_lun {
    struct scsi_identity id;
    const struct scsi_command *table;
    size_t table_len;
    uint16_t version_descriptors[8]; /* SPC-5 table 150 */
    /* For CMD_NEEDS_MEDIUM. Makes the sense if it is not. */
    bool (*medium_ready)(struct scsi_lun *lun, struct scsi_request *rq);
    /* Which medium is in it now, by a number that no other has. Any thread, never blocks. */
    uint64_t (*medium)(struct scsi_lun *lun);
    /* What the executor does from now on is for that medium only. On the executor's thread. */
    void (*for_medium)(struct scsi_lun *lun, uint64_t medium);
    /* Is an operation still at work that was answered before (IMMED)? Makes the sense if so. Any thread. */
    bool (*in_progress)(struct scsi_lun *lun, struct scsi_request *rq);
    /* A logical unit reset: parameters get their defaults (SPC-5 5.14, SAM-6 6.3.3). On the executor's thread. */
    void (*reset)(struct scsi_lun *lun);
    /* Drops what the device keeps for a nexus. Any thread, never blocks. */
    void (*nexus_gone)(struct scsi_lun *lun, uint64_t nexus);
    /* Does a command with CMD_AT_ONCE, on the transport's thread, if it need not wait; false: it did nothing. Not NULL if
     * a row has that flag. */
    bool (*at_once)(struct scsi_lun *lun, struct scsi_request *rq);
    atomic_bool reset_due;
    void (*destroy)(struct scsi_lun *lun);
    struct lock lock; /* guards nexus[] and nexus_clock; held for a few instructions, never while anything blocks */
    struct scsi_nexus nexus[SCSI_MAX_NEXUS];
    uint64_t nexus_clock;
};

enum scsi_route { SCSI_ROUTE_DONE, SCSI_ROUTE_IMMEDIATE, SCSI_ROUTE_EXECUTOR };

/*
 * The first look at a request, on the transport's thread: finds the row (5/20/00), checks reserved bits (5/24/00),
 * reports a unit attention. DONE: it is answered, and *row is NULL. IMMEDIATE: call scsi_lun_run with *row on this
 * thread now. EXECUTOR: call it on the logical unit's executor thread, in order of arrival. Never blocks.
 */
enum scsi_route scsi_lun_route(struct scsi_lun *lun, struct scsi_request *rq, const struct scsi_command **row);
/* Resets the logical unit before the next request runs on the executor. Any thread, never blocks. */
void scsi_lun_reset(struct scsi_lun *lun);
/* While the executor is idle: answers a request of its on the transport's thread if that need not wait; false: it did
 * nothing. */
bool scsi_lun_run_at_once(struct scsi_lun *lun, const struct scsi_command *row, struct scsi_request *rq);
/* Runs the row's handler, if the medium is as it needs it. */
void scsi_lun_run(struct scsi_lun *lun, const struct scsi_command *row, struct scsi_request *rq);

/* The row of an opcode and service action (byte 1, bits 4-0), or NULL. *other_action: the opcode has rows with other
 * actions. */
const struct scsi_command *scsi_find_command(const struct scsi_lun *lun, uint8_t opcode, int service_action,
                                             bool *other_action);

/* Raises a unit attention for one nexus, or (nexus 0) for all known ones but except. Any thread, never blocks. */
void scsi_ua_raise(struct scsi_lun *lun, uint64_t nexus, uint64_t except, enum scsi_asc asc);
/* Takes the pending unit attention of a nexus; 0: there is none (REQUEST SENSE, SPC-5 6.39). */
uint16_t scsi_ua_take(struct scsi_lun *lun, uint64_t nexus);
/* Which of the TapeAlert flags set now this nexus has not read yet (log page 2Eh). */
uint64_t scsi_alerts_new(struct scsi_lun *lun, uint64_t nexus, uint64_t now);
/* Forgets a nexus that is gone. True if it held a PREVENT. */
bool scsi_nexus_gone(struct scsi_lun *lun, uint64_t nexus);
/* Sets PREVENT of a nexus. True if any nexus prevents now. */
bool scsi_prevent_set(struct scsi_lun *lun, uint64_t nexus, bool prevent);
bool scsi_prevented(struct scsi_lun *lun); /* by any nexus */

void scsi_lun_init(struct scsi_lun *lun, const struct scsi_identity *id, const struct scsi_command *table, size_t len);
void scsi_lun_fini(struct scsi_lun *lun);

struct tape_ops;
struct changer_ops;
struct ssc_options {
    int generation; /* LTO_FIRST to LTO_LAST */
};
/* A drive (SSC-5) or a changer (SMC-3). ops and self, its implementation, must outlive it. NULL when out of memory. End
 * it with lun->destroy(lun). */
struct scsi_lun *ssc_lun_new(const struct scsi_identity *id, const struct ssc_options *opt, const struct tape_ops *ops,
                             void *self);
struct scsi_lun *smc_lun_new(const struct scsi_identity *id, const struct changer_ops *ops, void *self);

#endif
