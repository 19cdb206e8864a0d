/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sense.c: fixed format sense data, SPC-5 4.4.3. */
#include "scsi/sense.h"

#include <string.h>

#include "base/be.h"

void scsi_check(struct scsi_request *rq, enum scsi_sense_key key, enum scsi_asc asc)
{
    memset(rq->sense, 0, sizeof(rq->sense));
    rq->sense[0] = 0x70;                   /* RESPONSE CODE: current, fixed */
    rq->sense[2] = (uint8_t)key;           /* SENSE KEY */
    rq->sense[7] = SCSI_SENSE_LEN - 8;     /* ADDITIONAL SENSE LENGTH */
    rq->sense[12] = (uint8_t)(asc >> 8);   /* ADDITIONAL SENSE CODE */
    rq->sense[13] = (uint8_t)(asc & 0xff); /* ADDITIONAL SENSE CODE QUALIFIER */
    rq->sense_len = SCSI_SENSE_LEN;
    rq->status = SCSI_CHECK_CONDITION;
}

/* Sense key specific data: a field pointer, SPC-5 4.4.2.4.2. */
static void field_pointer(struct scsi_request *rq, bool in_cdb, unsigned byte, int bit)
{
    rq->sense[15] =
        (uint8_t)(0x80 | (in_cdb ? 0x40 : 0) | (bit >= 0 ? 0x08 | (bit & 7) : 0)); /* SKSV, C/D, BPV, BIT POINTER */
    put_be16(rq->sense + 16, (uint16_t)byte);                                      /* FIELD POINTER */
}

void scsi_check_cdb_field(struct scsi_request *rq, unsigned byte, int bit)
{
    scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    field_pointer(rq, true, byte, bit);
}

void scsi_check_param_field(struct scsi_request *rq, unsigned byte, int bit)
{
    scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    field_pointer(rq, false, byte, bit);
}

void scsi_sense_info(struct scsi_request *rq, int64_t information)
{
    if (information < INT32_MIN || information > UINT32_MAX) /* it does not fit */
        return;
    rq->sense[0] |= 0x80; /* VALID */
    put_be32(rq->sense + 3, (uint32_t)information);
}

void scsi_sense_flags(struct scsi_request *rq, uint8_t flags)
{
    rq->sense[2] |= flags;
}

void scsi_sense_progress(struct scsi_request *rq, uint16_t progress)
{
    rq->sense[15] = 0x80; /* SKSV */
    put_be16(rq->sense + 16, progress);
}

void scsi_sense_deferred(struct scsi_request *rq)
{
    rq->sense[0] = (uint8_t)((rq->sense[0] & 0x80) | 0x71); /* RESPONSE CODE: deferred, fixed */
}
