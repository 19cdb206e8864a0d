/* SPDX-License-Identifier: GPL-2.0-or-later */
/* request.h: one SCSI command on its way through a logical unit; the only thing that crosses from transport to command
 * set. */
#ifndef S3VTL_REQUEST_H
#define S3VTL_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SAM-5 5.3.1 status codes. */
enum scsi_status {
    SCSI_GOOD = 0x00,
    SCSI_CHECK_CONDITION = 0x02,
    SCSI_BUSY = 0x08,
    SCSI_RESERVATION_CONFLICT = 0x18,
    SCSI_TASK_SET_FULL = 0x28,
    SCSI_TASK_ABORTED = 0x40,
};

#define SCSI_SENSE_LEN 18 /* fixed format 70h, SPC-5 4.4.3, additional length 0Ah */

struct scsi_lun;

/*
 * The transport fills the first part and owns all memory; a handler fills the answer. One thread at a time uses a
 * request.
 */
struct scsi_request {
    const uint8_t *cdb;
    size_t cdb_len;     /* bytes that may be read at cdb (16 over iSCSI) */
    uint64_t nexus;     /* I_T nexus, never 0 */
    const uint8_t *out; /* data-out that arrived */
    uint32_t out_len;
    uint8_t *in; /* room for data-in; contents undefined before */
    uint32_t in_len;
    /* Becomes true on abort, reset or a lost session; long operations poll it. Never NULL. */
    const atomic_bool *cancelled;

    /* Gives the memory at out, which is malloc's, to the caller. Once, by the thread that runs the request. NULL: the
     * transport does not give it away. */
    void (*give_out)(struct scsi_request *rq);
    void *transport; /* the transport's own */

    bool can_defer; /* the transport answers before it calls after; if not, an IMMED command does its work first */

    uint64_t medium; /* scsi_lun_route's: which medium the command is for */

    uint8_t status; /* enum scsi_status */
    uint8_t sense[SCSI_SENSE_LEN];
    uint8_t sense_len;   /* 0 or SCSI_SENSE_LEN */
    uint32_t in_actual;  /* bytes in in, <= in_len; the rest is the residual of data-in */
    uint32_t out_actual; /* bytes of out that were used; the rest is the residual of data-out */
    /* The work of an IMMED command, or NULL; only with can_defer. Runs on the executor's thread after the answer,
     * before any other request; by then the request is gone. *cancelled becomes true when the logical unit ends. */
    void (*after)(struct scsi_lun *lun, const atomic_bool *cancelled);
};

/* GOOD, no sense, nothing transferred. */
void scsi_request_init(struct scsi_request *rq);
/* Answers GOOD with min(len, alloc, in_len) bytes of data. That an allocation length truncates is no error (SPC-5
 * 4.2.5.6). */
void scsi_reply(struct scsi_request *rq, const void *data, size_t len, size_t alloc);

#endif
