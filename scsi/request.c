/* SPDX-License-Identifier: GPL-2.0-or-later */
/* request.c: the answer part of a request. */
#include "scsi/request.h"

#include <string.h>

void scsi_request_init(struct scsi_request *rq)
{
    rq->status = SCSI_GOOD;
    rq->sense_len = 0;
    rq->in_actual = 0;
    rq->out_actual = 0;
    rq->after = NULL;
}

void scsi_reply(struct scsi_request *rq, const void *data, size_t len, size_t alloc)
{
    size_t n = len < alloc ? len : alloc;
    if (n > rq->in_len)
        n = rq->in_len;
    if (n)
        memcpy(rq->in, data, n);
    rq->in_actual = (uint32_t)n;
    rq->status = SCSI_GOOD;
}
