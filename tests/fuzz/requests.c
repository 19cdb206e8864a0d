/* SPDX-License-Identifier: GPL-2.0-or-later */
/* requests.c: requests made of bytes, sent through a logical unit, and what must hold of every answer. */
#include "tests/fuzz/requests.h"

#include "base/be.h"
#include "scsi/sense.h"

#define CDB_MAX 16

size_t cdb_length(uint8_t opcode)
{
    static const uint8_t by_group[8] = {6, 10, 10, 16, 16, 12, 16, 16};
    return by_group[opcode >> 5];
}

static void fill_request(struct exchange *x, uint64_t nexus, uint32_t room, uint32_t out_len, bool can_defer)
{
    x->in = exactly(room);
    x->out = exactly(out_len);
    memset(x->in, 0xEE, room);
    x->rq = (struct scsi_request){.cdb = x->cdb,
                                  .cdb_len = CDB_MAX,
                                  .nexus = nexus,
                                  .in = x->in,
                                  .in_len = room,
                                  .out = x->out,
                                  .out_len = out_len,
                                  .can_defer = can_defer,
                                  .cancelled = &x->cancelled};
}

void exchange_take(struct exchange *x, uint8_t bits, struct input *in)
{
    *x = (struct exchange){.cdb = exactly(CDB_MAX)};
    memset(x->cdb, 0, CDB_MAX);
    x->cdb[0] = take8(in);
    take_bytes(in, x->cdb + 1, cdb_length(x->cdb[0]) - 1);
    uint32_t room = take16(in), out_len = take16(in), given = take8(in);
    fill_request(x, 1 + bits % 3u, room, out_len, bits & STEP_DEFER);
    if (given > out_len)
        given = out_len;
    take_bytes(in, x->out, given);
    memset(x->out + given, 0x5A, out_len - given);
    atomic_store(&x->cancelled, (bits & STEP_CANCELLED) != 0);
}

void exchange_make(struct exchange *x, uint64_t nexus, const uint8_t *cdb, size_t len, uint32_t room)
{
    *x = (struct exchange){.cdb = exactly(CDB_MAX)};
    memset(x->cdb, 0, CDB_MAX);
    memcpy(x->cdb, cdb, len);
    fill_request(x, nexus, room, 0, false);
}

void exchange_free(struct exchange *x)
{
    free(x->cdb);
    free(x->in);
    free(x->out);
}

bool has_key(const struct exchange *x, unsigned key)
{
    return x->rq.status == SCSI_CHECK_CONDITION && x->rq.sense[0] % 0x80 == 0x70 && (x->rq.sense[2] & 0x0f) == key;
}

unsigned asc_of(const struct exchange *x)
{
    return get_be16(x->rq.sense + 12);
}

/* Fixed format, SPC-5 4.4.3: what is reserved or not ours is 0. */
static void check_sense(const struct scsi_request *rq)
{
    const uint8_t *s = rq->sense;
    unsigned key = s[2] & 0x0f;
    must(rq->sense_len == SCSI_SENSE_LEN);
    must((s[0] & 0x7f) == 0x70 || (s[0] & 0x7f) == 0x71);
    must(!s[1] && !(s[2] & 0x10));
    must(s[7] == SCSI_SENSE_LEN - 8);
    must(key <= KEY_BLANK_CHECK || key == KEY_VOLUME_OVERFLOW);
    must(key != KEY_RECOVERED_ERROR);
    if (!(s[0] & 0x80))
        must(!get_be32(s + 3)); /* INFORMATION without VALID */
    must(!get_be32(s + 8) && !s[14]);
    if (s[15] & 0x80) /* SKSV: a field pointer or progress */
        must(key == KEY_ILLEGAL_REQUEST || key == KEY_NOT_READY || key == KEY_NO_SENSE);
    else
        must(!s[15] && !get_be16(s + 16));
    if (key == KEY_ILLEGAL_REQUEST && (s[15] & 0xC0) == 0xC0)
        must(get_be16(s + 16) < rq->cdb_len);
}

/* A bit outside of the usage map: found here in another way than the route does. */
static bool wrong_bit(const struct scsi_command *row, const uint8_t *cdb)
{
    uint8_t wrong = 0;
    for (unsigned i = 1; i < row->cdb_len; i++)
        wrong |= (uint8_t)(cdb[i] & ~(row->usage[i] | (i == 1 && row->cdb_len <= 12 ? 0xE0 : 0)));
    return wrong;
}

bool exchange_route(struct exchange *x, struct scsi_lun *lun)
{
    bool other;
    const struct scsi_command *row = scsi_find_command(lun, x->cdb[0], x->cdb[1] & 0x1f, &other);
    bool known = row && !(row->flags & CMD_TRANSPORT);
    enum scsi_route route = scsi_lun_route(lun, &x->rq, &x->row);
    if (route != SCSI_ROUTE_DONE) {
        must(x->row == row && known && !wrong_bit(row, x->cdb));
        must((route == SCSI_ROUTE_IMMEDIATE) == !!(row->flags & CMD_IMMEDIATE));
        return true;
    }
    x->row = NULL;
    must(x->rq.status == SCSI_CHECK_CONDITION && !x->rq.in_actual && !x->rq.out_actual);
    if (has_key(x, KEY_UNIT_ATTENTION) || has_key(x, KEY_NOT_READY))
        return false;
    must(has_key(x, KEY_ILLEGAL_REQUEST));
    must(asc_of(x) == (known || other ? ASC_INVALID_FIELD_IN_CDB : ASC_INVALID_COMMAND_OPERATION_CODE));
    must(!known || wrong_bit(row, x->cdb));
    return false;
}

void exchange_run(struct exchange *x, struct scsi_lun *lun)
{
    struct scsi_request *rq = &x->rq;
    if (x->row)
        scsi_lun_run(lun, x->row, rq);
    must(rq->in_actual <= rq->in_len && rq->out_actual <= rq->out_len);
    must(rq->status == SCSI_GOOD || rq->status == SCSI_CHECK_CONDITION || rq->status == SCSI_TASK_ABORTED);
    if (rq->status == SCSI_CHECK_CONDITION)
        check_sense(rq);
    else
        must(!rq->sense_len);
    if (rq->after)
        must(rq->status == SCSI_GOOD && rq->can_defer);
    if (has_key(x, KEY_ILLEGAL_REQUEST) || has_key(x, KEY_UNIT_ATTENTION))
        must(!rq->in_actual);
    if (!has_key(x, KEY_UNIT_ATTENTION))
        return;
    must(!x->row); /* only the route reports it */
    /* At most one is pending: the next command of this nexus is told of none. */
    struct exchange again;
    exchange_make(&again, rq->nexus, (const uint8_t[6]){0}, 6, 0);
    (void)exchange_route(&again, lun);
    must(!has_key(&again, KEY_UNIT_ATTENTION));
    exchange_free(&again);
}
