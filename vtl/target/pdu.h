/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pdu.h: which requests of an initiator are fit for tgt's parser, by the header, before any of their data is read. */
#ifndef S3VTL_PDU_H
#define S3VTL_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PDU_BHS = 48 }; /* the basic header segment */

enum pdu_verdict {
    PDU_PASS,
    PDU_IGNORE, /* to be read and thrown away (RFC 7143 4.2.2.1), as if it had not come */
    PDU_REFUSE, /* the connection is to end: a header that lies says nothing of where the next one begins */
};

struct pdu_session {
    uint32_t max_data;             /* MaxRecvDataSegmentLength that the target declared */
    uint32_t exp_cmdsn, max_cmdsn; /* the window, both ends in it */
};

/* The write that the task tag of a Data-Out names. */
struct pdu_write {
    bool waits;            /* for data. False: it has them, or there is none of this tag */
    bool unsolicited;      /* it was announced to come without an R2T */
    bool asked;            /* an R2T for it was sent whole, and is not answered */
    uint8_t ttt[4];        /* of that R2T */
    uint32_t offset, left; /* the next byte that it wants, and how many */
};

/* The full feature phase. w: of a Data-Out only. *why is set for PDU_REFUSE. */
enum pdu_verdict pdu_judge(const uint8_t bhs[PDU_BHS], const struct pdu_session *s, const struct pdu_write *w,
                           const char **why);
/* The additional header segments of a SCSI command: is each what its length says (RFC 7143 11.2.2)? */
bool pdu_ahs_sound(const uint8_t *ahs, size_t len);

bool pdu_is_data_out(const uint8_t bhs[PDU_BHS]);
bool pdu_is_text(const uint8_t bhs[PDU_BHS]);
uint32_t pdu_data_len(const uint8_t bhs[PDU_BHS]); /* without padding */
size_t pdu_ahs_len(const uint8_t bhs[PDU_BHS]);

#endif
