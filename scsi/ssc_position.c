/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_position.c: REWIND, SPACE, LOCATE and READ POSITION (SSC-5 7.7, 7.8, 5.x, 6.x). */
#include <string.h>

#include "base/be.h"
#include "scsi/ssc_private.h"

/* IMMED is taken, and the work is done before the answer all the same: what is buffered goes to the medium before it
 * anyway (SSC-5 7.6), and moving this tape takes no time. */
void ssc_rewind(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    ssc_moved(ssc);
    ssc_end(rq, ssc->ops->rewind(ssc->self, rq->cancelled), 0);
}

void ssc_space(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    int64_t count = rq->cdb[0] == 0x91 ? (int64_t)get_be64(rq->cdb + 4) : (int32_t)(get_be24(rq->cdb + 2) << 8) >> 8;
    if (count == INT64_MIN) /* as good as any other that no tape has, and it can be negated */
        count++;
    ssc_moved(ssc);
    switch (rq->cdb[1] & 0x0f) { /* CODE */
    case 0x0: {
        enum tape_result r = count ? ssc->ops->space_blocks(ssc->self, &count, rq->cancelled) : TAPE_OK;
        ssc_end(rq, r, count < 0 ? -count : count);
        break;
    }
    case 0x1: {
        enum tape_result r = count ? ssc->ops->space_filemarks(ssc->self, &count, rq->cancelled) : TAPE_OK;
        ssc_end(rq, r, count < 0 ? -count : count);
        break;
    }
    case 0x3:
        ssc_end(rq, ssc->ops->space_end_of_data(ssc->self, rq->cancelled), 0);
        break;
    default: /* sequential filemarks and setmarks: not kept by LTO drives either */
        scsi_check_cdb_field(rq, 1, 3);
        break;
    }
}

static void locate_object(struct ssc_lun *ssc, struct scsi_request *rq, uint64_t object)
{
    ssc_end(rq, ssc->ops->locate_object(ssc->self, 0, object, rq->cancelled), 0);
}

void ssc_locate(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    bool ten = rq->cdb[0] == 0x2B;
    unsigned partition = ten ? 8 : 3; /* PARTITION, and CP: change to it */
    if ((rq->cdb[1] & 0x02) && rq->cdb[partition]) {
        scsi_check_cdb_field(rq, partition, -1);
        return;
    }
    ssc_moved(ssc);
    if (ten) { /* BT: there is no other address type here */
        locate_object(ssc, rq, get_be32(rq->cdb + 3));
        return;
    }
    uint64_t place = get_be64(rq->cdb + 4);
    switch ((rq->cdb[1] >> 3) & 0x07) { /* DEST_TYPE */
    case 0x0:
        locate_object(ssc, rq, place);
        break;
    case 0x1:
        ssc_end(rq, ssc->ops->locate_file(ssc->self, 0, place, rq->cancelled), 0);
        break;
    case 0x3:
        ssc_end(rq, ssc->ops->space_end_of_data(ssc->self, rq->cancelled), 0);
        break;
    default:
        scsi_check_cdb_field(rq, 1, 5);
        break;
    }
}

/* ---- READ POSITION ---- */

#define BOP 0x80
#define EOP 0x40
#define BCU 0x20 /* LOCU in SSC-5: the count of objects in the buffer is unknown */
#define BYCU 0x10
#define BPEW 0x01

/* EOP is set from early warning on, BPEW from programmable early warning on: SSC-5 table 48. pews: as ssc_in_pews says.
 */
static uint8_t position_flags(const struct tape_status *st, bool pews)
{
    return (uint8_t)((st->object == 0 ? BOP : 0) | (st->past_early_warning ? EOP : 0) | (pews ? BPEW : 0));
}

static void position_short(struct scsi_request *rq, const struct tape_status *st, bool pews)
{
    uint8_t b[20] = {0};
    bool fits = st->object <= UINT32_MAX && st->blocks_in_buffer <= 0xffffff && st->bytes_in_buffer <= UINT32_MAX;
    uint64_t first = st->object, last = st->object - st->blocks_in_buffer;
    b[0] = position_flags(st, pews);
    if (fits) {
        b[1] = (uint8_t)st->partition;
        put_be32(b + 4, (uint32_t)first); /* FIRST LOGICAL OBJECT LOCATION */
        put_be32(b + 8, (uint32_t)last);  /* LAST LOGICAL OBJECT LOCATION: the next to go to the medium */
        put_be24(b + 13, (uint32_t)st->blocks_in_buffer); /* NUMBER OF LOGICAL OBJECTS IN BUFFER */
        put_be32(b + 16, (uint32_t)st->bytes_in_buffer);  /* NUMBER OF BYTES IN BUFFER */
    } else {
        b[0] |= BCU | BYCU | 0x02; /* PERR: a field is too small for its value */
    }
    scsi_reply(rq, b, sizeof(b), sizeof(b));
}

static void position_long(struct scsi_request *rq, const struct tape_status *st, bool pews)
{
    uint8_t b[32] = {0};
    b[0] = position_flags(st, pews);
    put_be32(b + 4, st->partition); /* PARTITION NUMBER */
    put_be64(b + 8, st->object);    /* LOGICAL OBJECT NUMBER */
    put_be64(b + 16, st->file);     /* LOGICAL FILE IDENTIFIER */
    scsi_reply(rq, b, sizeof(b), sizeof(b));
}

static void position_extended(struct scsi_request *rq, const struct tape_status *st, bool pews, size_t alloc)
{
    uint8_t b[32] = {0};
    b[0] = position_flags(st, pews);
    b[1] = (uint8_t)st->partition;
    put_be16(b + 2, sizeof(b) - 4); /* ADDITIONAL LENGTH */
    put_be24(b + 5, (uint32_t)(st->blocks_in_buffer > 0xffffff ? 0xffffff : st->blocks_in_buffer));
    put_be64(b + 8, st->object);                         /* FIRST LOGICAL OBJECT LOCATION */
    put_be64(b + 16, st->object - st->blocks_in_buffer); /* LAST LOGICAL OBJECT LOCATION */
    put_be64(b + 24, st->bytes_in_buffer);               /* NUMBER OF BYTES IN OBJECT BUFFER */
    scsi_reply(rq, b, sizeof(b), alloc);
}

void ssc_read_position(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct tape_status st;
    size_t alloc = get_be16(rq->cdb + 7);
    unsigned form = rq->cdb[1] & 0x1f; /* SERVICE ACTION */
    ssc_status(ssc_of(lun), &st);
    bool pews = ssc_in_pews(ssc_of(lun), &st);
    if (form != 0x08 && alloc) { /* only the extended form has an allocation length: SSC-5 7.7.1 */
        scsi_check_cdb_field(rq, 7, -1);
        return;
    }
    switch (form) {
    case 0x00:
    case 0x01: /* vendor-specific addresses: the same here; the Linux st driver asks so */
        position_short(rq, &st, pews);
        break;
    case 0x06:
        position_long(rq, &st, pews);
        break;
    case 0x08:
        position_extended(rq, &st, pews, alloc);
        break;
    default:
        scsi_check_cdb_field(rq, 1, 4);
        break;
    }
}
