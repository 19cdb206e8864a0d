/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lun.h: a logical unit: its identity, its ONE command table, its unit attentions, and how a request passes through it.
 */
#ifndef S3VTL_LUN_H
#define S3VTL_LUN_H

#include <stdatomic.h>

#include "base/lock.h"
#include "scsi/request.h"
#include "scsi/sense.h"

struct scsi_lun;

/* SPC-5 table 147, the two that we are. */
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
 * One row of a device type's table. It drives dispatch, CDB checking (a bit set in the CDB but not in usage is 5/24/00
 * with a field pointer), REPORT SUPPORTED OPERATION CODES (usage map and time-outs) and the documentation.
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

/* What INQUIRY and VPD say. Strings are copied by the lun. Characters [A-Za-z0-9._-] in serial. */
struct scsi_identity {
    enum scsi_device_type type;
    char vendor[9];   /* <= 8 */
    char product[17]; /* <= 16 */
    char revision[5]; /* <= 4 */
    char serial[33];  /* VPD 80h, as is, unpadded; unique per LUN, stable */
    uint64_t naa; /* VPD 83h: NAA locally assigned (3h in the top nibble), made from the serial by scsi_identity_naa */
    bool removable;    /* RMB */
    bool worm_capable; /* VPD B0h */
};
uint64_t scsi_identity_naa(const char *serial);

/* The nexuses that a logical unit keeps unit attentions and PREVENT for; the least recently seen one makes room. */
#define SCSI_MAX_NEXUS 64
struct scsi_nexus {
    uint64_t id;          /* 0: free */
    uint16_t ua;          /* pending unit attention (enum scsi_asc) or 0: one at most, the more severe one stays */
    bool prevent;         /* PREVENT ALLOW MEDIUM REMOVAL */
    uint64_t alerts_told; /* TapeAlert flags that log page 2Eh has told it of */
    uint64_t last_seen;
};

/* Common part; struct ssc_lun and struct smc_lun begin with it. */
struct scsi_lun {
    struct scsi_identity id;
    const struct scsi_command *table;
    size_t table_len;
    uint16_t version_descriptors[8]; /* SPC-5 table 150 */
    bool (*medium_ready)(struct scsi_lun *lun,
                         struct scsi_request *rq); /* for CMD_NEEDS_MEDIUM: makes the sense, false */
    /* Does an operation go on behind its answer (IMMED)? Then the sense that says so, true. Any thread. May be NULL. */
    bool (*in_progress)(struct scsi_lun *lun, struct scsi_request *rq);
    /* A logical unit reset: parameters get their defaults (SPC-5 5.14, SAM-6 6.3.3). On the executor's thread. May be
     * NULL.
     */
    void (*reset)(struct scsi_lun *lun);
    /* What the device keeps for a nexus goes with it. Any thread, never blocks. May be NULL. */
    void (*nexus_gone)(struct scsi_lun *lun, uint64_t nexus);
    /* Does a command with CMD_AT_ONCE if that takes no waiting, on the transport's thread; false: nothing was done. */
    bool (*at_once)(struct scsi_lun *lun, struct scsi_request *rq);
    atomic_bool reset_due;
    void (*destroy)(struct scsi_lun *lun);
    struct lock lock; /* guards nexus[] and nexus_clock; held for a few instructions, never while anything blocks */
    struct scsi_nexus nexus[SCSI_MAX_NEXUS];
    uint64_t nexus_clock;
};

enum scsi_route { SCSI_ROUTE_DONE, SCSI_ROUTE_IMMEDIATE, SCSI_ROUTE_EXECUTOR };

/*
 * First look at a request, on the transport's thread, when it arrives: row lookup (5/20/00), reserved bits (5/24/00),
 * unit attention. DONE: answered already. IMMEDIATE: call scsi_lun_run on this thread now. EXECUTOR: call scsi_lun_run
 * on the logical unit's executor thread, in order of arrival. Never blocks. *row is what to pass on (it may point to
 * nothing when DONE).
 */
enum scsi_route scsi_lun_route(struct scsi_lun *lun, struct scsi_request *rq, const struct scsi_command **row);
/* The logical unit was reset; takes effect before the next request runs on the executor. Any thread, never blocks. */
void scsi_lun_reset(struct scsi_lun *lun);
/* May answer a request that was routed to the executor at once, while that has nothing else to do: true then, else
 * nothing was done. On the transport's thread. */
bool scsi_lun_run_at_once(struct scsi_lun *lun, const struct scsi_command *row, struct scsi_request *rq);
/* Runs the row's handler (and the medium check). */
void scsi_lun_run(struct scsi_lun *lun, const struct scsi_command *row, struct scsi_request *rq);

/* The row of an opcode and service action (byte 1 bits 4-0), or NULL; *other_action: the opcode has rows, but none of
 * that action. */
const struct scsi_command *scsi_find_command(const struct scsi_lun *lun, uint8_t opcode, int service_action,
                                             bool *other_action);

/* Raises a unit attention for one nexus (nexus != 0) or for all known ones but except. Any thread, never blocks. */
void scsi_ua_raise(struct scsi_lun *lun, uint64_t nexus, uint64_t except, enum scsi_asc asc);
/* Takes the pending unit attention of a nexus, 0 if none (REQUEST SENSE, SPC-5 6.39). */
uint16_t scsi_ua_take(struct scsi_lun *lun, uint64_t nexus);
/* Of the TapeAlert flags that are set now, those that this nexus has not been told of since they came (log page 2Eh).
 */
uint64_t scsi_alerts_new(struct scsi_lun *lun, uint64_t nexus, uint64_t now);
/* A nexus is gone: forget its unit attention and its PREVENT. Returns true if it held a PREVENT. */
bool scsi_nexus_gone(struct scsi_lun *lun, uint64_t nexus);
/* Sets PREVENT of a nexus; returns whether any nexus prevents now. */
bool scsi_prevent_set(struct scsi_lun *lun, uint64_t nexus, bool prevent);
bool scsi_prevented(struct scsi_lun *lun); /* by any nexus */

void scsi_lun_init(struct scsi_lun *lun, const struct scsi_identity *id, const struct scsi_command *table, size_t len);
void scsi_lun_fini(struct scsi_lun *lun);

struct tape_ops;
struct changer_ops;
/* A drive (SSC-5) or a changer (SMC-3) on top of what implements it; NULL if out of memory. The ops and self must
 * outlive it. Ended by lun->destroy(lun). */
struct ssc_options {
    int generation; /* LTO_FIRST to LTO_LAST */
};
struct scsi_lun *ssc_lun_new(const struct scsi_identity *id, const struct ssc_options *opt, const struct tape_ops *ops,
                             void *self);
struct scsi_lun *smc_lun_new(const struct scsi_identity *id, const struct changer_ops *ops, void *self);

#endif
