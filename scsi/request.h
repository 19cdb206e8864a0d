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
 * The transport fills the first part and owns all memory; a handler fills the answer. A request is used by one thread
 * at a time. scsi_request_init (request.c) gives GOOD, no sense, nothing transferred.
 */
struct scsi_request {
    const uint8_t *cdb;
    size_t cdb_len;     /* bytes that may be read at cdb (16 over iSCSI) */
    uint64_t nexus;     /* I_T nexus, never 0 */
    const uint8_t *out; /* data-out that arrived */
    uint32_t out_len;
    uint8_t *in; /* room for data-in; contents undefined before */
    uint32_t in_len;
    const atomic_bool
        *cancelled; /* set by the transport on abort, reset, lost session; long operations poll it; never NULL */

    /* Gives the memory at out away: it is malloc's, and whoever called ends it by free. NULL: it cannot be had. By the
     * thread that runs the request, once. */
    void (*give_out)(struct scsi_request *rq);
    void *transport; /* the transport's own */

    bool can_defer; /* the transport answers before it calls after; else IMMED is done at once all the same */

    uint8_t status; /* enum scsi_status */
    uint8_t sense[SCSI_SENSE_LEN];
    uint8_t sense_len;  /* 0 or SCSI_SENSE_LEN */
    uint32_t in_actual; /* bytes valid in in: <= in_len. The transport reports in_len - in_actual as residual, U only if
                           > 0 */
    uint32_t out_actual; /* bytes of out that were used, for the residual of data-out */
    /* What goes on behind the answer (IMMED), or NULL; only with can_defer. Called on the executor's thread, before any
     * other request; the request is gone by then. *cancelled becomes true when the logical unit ends. */
    void (*after)(struct scsi_lun *lun, const atomic_bool *cancelled);
};

void scsi_request_init(struct scsi_request *rq);
/* Answers GOOD with min(len, alloc, in_len) bytes of data: truncation by allocation length is no error and no overflow
 * (SPC-5 4.2.5.6). */
void scsi_reply(struct scsi_request *rq, const void *data, size_t len, size_t alloc);

#endif
