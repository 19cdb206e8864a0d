/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bad_rig.h: a drive with a tape in memory, a changer with one slot, and one command to either. */
#ifndef S3VTL_TEST_BAD_RIG_H
#define S3VTL_TEST_BAD_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "scsi/changer_ops.h"
#include "scsi/lun.h"
#include "scsi/sense.h"
#include "tests/fuzz/tape.h"

static struct scsi_lun *drive, *changer;
static struct tape *tape;
static unsigned changer_calls; /* that would have moved something */

/* ---- a changer that has one slot, and does nothing ---- */

static void layout(void *self, struct changer_layout *out)
{
    (void)self;
    *out = (struct changer_layout){.slots = 1};
}
static size_t elements(void *self, int type, uint16_t start, size_t max, struct changer_element *out)
{
    (void)self, (void)max;
    if (start > ELEMENT_FIRST_STORAGE || (type && type != ELEMENT_STORAGE))
        return 0;
    *out = (struct changer_element){.address = ELEMENT_FIRST_STORAGE, .type = ELEMENT_STORAGE, .access = true};
    return 1;
}
static void prevent(void *self, bool prevented)
{
    (void)self, (void)prevented;
}
static enum changer_result move(void *self, uint16_t t, uint16_t from, uint16_t to, const atomic_bool *cancel)
{
    (void)self, (void)t, (void)from, (void)to, (void)cancel;
    changer_calls++;
    return CHANGER_OK;
}
static enum changer_result exchange(void *self, uint16_t t, uint16_t from, uint16_t to, uint16_t then,
                                    const atomic_bool *cancel)
{
    (void)then;
    return move(self, t, from, to, cancel);
}
static enum changer_result position(void *self, uint16_t t, uint16_t to)
{
    (void)self, (void)t, (void)to;
    changer_calls++;
    return CHANGER_OK;
}
static enum changer_result initialize(void *self, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    changer_calls++;
    return CHANGER_OK;
}
static const struct changer_ops changer_ops = {.layout = layout,
                                               .elements = elements,
                                               .prevent = prevent,
                                               .move = move,
                                               .exchange = exchange,
                                               .position = position,
                                               .initialize = initialize};

/* ---- one command ---- */

#define ROOM 8192
static uint8_t in[ROOM];
static struct scsi_request rq;
static const atomic_bool never = false;

static void command(struct scsi_lun *lun, const uint8_t cdb[16], uint32_t room, const uint8_t *out, uint32_t out_len)
{
    const struct scsi_command *row = NULL;
    uint8_t *sent = malloc(out_len ? out_len : 1); /* of exactly that size */
    assert_non_null(sent);
    if (out_len)
        memcpy(sent, out, out_len);
    memset(in, 0xEE, sizeof(in));
    rq = (struct scsi_request){.cdb = cdb,
                               .cdb_len = 16,
                               .nexus = 7,
                               .in = in,
                               .in_len = room,
                               .out = sent,
                               .out_len = out_len,
                               .cancelled = &never};
    if (scsi_lun_route(lun, &rq, &row) != SCSI_ROUTE_DONE)
        scsi_lun_run(lun, row, &rq);
    rq.cdb = NULL;
    rq.out = NULL;
    free(sent);
}
#define DRIVE(room, ...) command(drive, (const uint8_t[16]){__VA_ARGS__}, room, NULL, 0)
#define DRIVE_OUT(out, n, ...) command(drive, (const uint8_t[16]){__VA_ARGS__}, 0, out, n)

static unsigned key(void)
{
    return rq.status == SCSI_CHECK_CONDITION ? rq.sense[2] & 0x0f : 0xff;
}
static unsigned asc(void)
{
    return get_be16(rq.sense + 12);
}
#define assert_good() assert_int_equal(rq.status, SCSI_GOOD)
#define assert_sense(want_key, want_asc)                                                                               \
    do {                                                                                                               \
        assert_int_equal(key(), want_key);                                                                             \
        assert_int_equal(asc(), want_asc);                                                                             \
    } while (0)

static uint8_t data[65536];

/* Three blocks of 512 bytes with a filemark behind the first two; at the beginning. */
static void fill_tape(bool write_protected, bool worm)
{
    tape_insert(tape, 0x5E, false, worm);
    DRIVE_OUT(data, 512, 0x0A, 0, 0, 2, 0);
    DRIVE_OUT(data, 512, 0x0A, 0, 0, 2, 0);
    DRIVE(0, 0x10, 0, 0, 0, 1);
    DRIVE_OUT(data, 512, 0x0A, 0, 0, 2, 0);
    DRIVE(0, 0x01);
    assert_good();
    tape->st.write_protected = write_protected;
}

/* A drive with such a tape, parameters at their defaults, and a changer. */
static int renew(void **state)
{
    (void)state;
    const struct scsi_identity id = {.type = SCSI_TYPE_TAPE, .vendor = "V", .product = "P", .serial = "S"};
    const struct scsi_identity changer_id = {.type = SCSI_TYPE_CHANGER, .vendor = "V", .product = "P", .serial = "S"};
    const struct ssc_options o = {.generation = 8};
    tape = calloc(1, sizeof(*tape));
    drive = tape ? ssc_lun_new(&id, &o, &fuzz_tape_ops, tape) : NULL;
    changer = smc_lun_new(&changer_id, &changer_ops, NULL);
    if (!drive || !changer)
        return -1;
    fill_tape(false, false);
    changer_calls = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    drive->destroy(drive);
    changer->destroy(changer);
    tape_remove(tape);
    free(tape);
    return 0;
}

static void again(void)
{
    assert_int_equal(end(NULL), 0);
    assert_int_equal(renew(NULL), 0);
}

#endif
