/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_position.c: REWIND, SPACE, LOCATE and READ POSITION (SSC-5 7.7, 7.8). */
#include <string.h>

#include "base/be.h"
#include "scsi/ssc_private.h"

/* IMMED changes nothing: buffered blocks must reach the medium before the answer anyway (SSC-5 7.6), and moving this
 * tape takes no time. */
void ssc_rewind(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    ssc_moved(ssc);
    ssc_end(rq, ssc->ops->rewind(ssc->self, rq->cancelled), 0);
}

/* CODE of SPACE and DEST_TYPE of LOCATE(16). Sequential filemarks and setmarks do not exist on LTO drives either. */
enum { SPACE_BLOCKS = 0x0, SPACE_FILEMARKS = 0x1, SPACE_END_OF_DATA = 0x3 };
enum { LOCATE_OBJECT = 0x0, LOCATE_FILE = 0x1, LOCATE_END_OF_DATA = 0x3 };

/* COUNT of the form of 6 or 16 bytes. INT64_MIN, which could not be negated, is one more: no tape has either. */
static int64_t space_count(const uint8_t *cdb)
{
    if (cdb[0] == 0x11)
        return (int32_t)(get_be24(cdb + 2) << 8) >> 8;
    int64_t count = (int64_t)get_be64(cdb + 4);
    return count == INT64_MIN ? INT64_MIN + 1 : count;
}

void ssc_space(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    int64_t count = space_count(rq->cdb);
    enum tape_result r = TAPE_OK;
    ssc_moved(ssc);
    switch (rq->cdb[1] & 0x0f) {
    case SPACE_BLOCKS:
        if (count)
            r = ssc->ops->space_blocks(ssc->self, &count, rq->cancelled);
        break;
    case SPACE_FILEMARKS:
        if (count)
            r = ssc->ops->space_filemarks(ssc->self, &count, rq->cancelled);
        break;
    case SPACE_END_OF_DATA:
        r = ssc->ops->space_end_of_data(ssc->self, rq->cancelled);
        count = 0;
        break;
    default:
        scsi_check_cdb_field(rq, 1, 3);
        return;
    }
    ssc_end(rq, r, count < 0 ? -count : count);
}

/* Where LOCATE goes. */
struct destination {
    unsigned type;
    uint64_t place;
    unsigned partition_at; /* PARTITION's byte in the CDB */
};

/* Of the form of 10 or 16 bytes. BT of the former asks for another kind of address; there is only one. */
static struct destination locate_destination(const uint8_t *cdb)
{
    if (cdb[0] == 0x2B)
        return (struct destination){LOCATE_OBJECT, get_be32(cdb + 3), 8};
    return (struct destination){(cdb[1] >> 3) & 0x07, get_be64(cdb + 4), 3};
}

void ssc_locate(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct destination to = locate_destination(rq->cdb);
    bool change_partition = rq->cdb[1] & 0x02; /* CP */
    if (change_partition && rq->cdb[to.partition_at]) {
        scsi_check_cdb_field(rq, to.partition_at, -1);
        return;
    }
    ssc_moved(ssc);
    switch (to.type) {
    case LOCATE_OBJECT:
        ssc_end(rq, ssc->ops->locate_object(ssc->self, 0, to.place, rq->cancelled), 0);
        break;
    case LOCATE_FILE:
        ssc_end(rq, ssc->ops->locate_file(ssc->self, 0, to.place, rq->cancelled), 0);
        break;
    case LOCATE_END_OF_DATA:
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

/* SSC-5 table 48: EOP from early warning on, BPEW from programmable early warning on (pews: what ssc_in_pews says). */
static uint8_t position_flags(const struct tape_status *st, bool pews)
{
    return (uint8_t)((st->object == 0 ? BOP : 0) | (st->past_early_warning ? EOP : 0) | (pews ? BPEW : 0));
}

/* What is buffered lies just before the position (SSC-5 7.7.2): blocks that wait elsewhere, because the tape was moved since or
 * they were cut off, are not meant. */
static void only_before_position(struct tape_status *st)
{
    if (st->object != st->end_object || st->object < st->blocks_in_buffer)
        st->blocks_in_buffer = st->bytes_in_buffer = 0;
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
        b[0] |= BCU | BYCU | 0x02; /* PERR: a value does not fit its field */
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
    only_before_position(&st);
    if (form != 0x08 && alloc) { /* only the extended form has an allocation length: SSC-5 7.7.1 */
        scsi_check_cdb_field(rq, 7, -1);
        return;
    }
    switch (form) {
    case 0x00:
    case 0x01: /* vendor-specific addresses, the same here: the Linux st driver asks for them */
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
