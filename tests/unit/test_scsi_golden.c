/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_scsi_golden.c: whole replies, byte for byte, that Proxmox Backup Server's parsers were read to take; and what
 * its commands expect of a route: unit attentions, reserved bits, residuals. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "scsi/changer_ops.h"
#include "scsi/lun.h"
#include "scsi/tape_ops.h"

static const atomic_bool never = false;

/* ---- a drive and a changer that only have a status ---- */

static struct tape_status tape;
static enum tape_result next_result;
static int64_t next_residual;
static uint32_t next_length;

static void tape_status_now(void *self, struct tape_status *out)
{
    (void)self;
    *out = tape;
}
static void no_statistics(void *self, struct tape_statistics *out)
{
    (void)self;
    *out = (struct tape_statistics){.mounts = 0};
}
static void no_alert(void *self, enum tape_alert flag)
{
    (void)self, (void)flag;
}
static void nothing(void *self)
{
    (void)self;
}
static enum tape_result do_write(void *self, const void *block, uint32_t len, bool compress,
                                 const struct tape_crypt *crypt, const atomic_bool *cancel)
{
    (void)crypt, (void)self, (void)block, (void)len, (void)compress, (void)cancel;
    return next_result;
}
static enum tape_result do_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel)
{
    (void)self, (void)count, (void)immed, (void)cancel;
    return next_result;
}
static enum tape_result do_read(void *self, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                                const atomic_bool *cancel)
{
    (void)crypt, (void)self, (void)cancel;
    if (next_result == TAPE_OK) {
        memset(buf, 0x5a, *len < next_length ? *len : next_length);
        *len = next_length;
    }
    return next_result;
}
static enum tape_result do_space(void *self, int64_t *count, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    *count = next_residual;
    return next_result;
}
static enum tape_result do_rewind(void *self, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    return next_result;
}
static void do_prevent(void *self, bool prevented)
{
    (void)self, (void)prevented;
}
static const struct tape_ops tape_ops = {
    .status = tape_status_now,
    .statistics = no_statistics,
    .alert = no_alert,
    .wake = nothing,
    .write = do_write,
    .write_filemarks = do_filemarks,
    .read = do_read,
    .space_blocks = do_space,
    .space_filemarks = do_space,
    .rewind = do_rewind,
    .prevent = do_prevent,
};

static struct changer_layout layout = {1, 2, 4, 20};
static struct changer_element element[70000];
static size_t n_elements;
static unsigned element_calls; /* each may see other moves */

static void get_layout(void *self, struct changer_layout *out)
{
    (void)self;
    *out = layout;
}
static size_t get_elements(void *self, int type, uint16_t start, size_t max, struct changer_element *out)
{
    (void)self;
    size_t n = 0;
    element_calls++;
    for (size_t i = 0; i < n_elements && n < max; i++)
        if (element[i].address >= start && (!type || (int)element[i].type == type))
            out[n++] = element[i];
    return n;
}
static enum changer_result next_move;
static enum changer_result do_move(void *self, uint16_t transport, uint16_t source, uint16_t destination,
                                   const atomic_bool *cancel)
{
    (void)self;
    (void)transport;
    (void)source;
    (void)destination;
    (void)cancel;
    return next_move;
}
static const struct changer_ops changer_ops = {
    .layout = get_layout, .elements = get_elements, .move = do_move, .prevent = do_prevent};

static struct scsi_lun *drive, *changer;

static int setup(void **state)
{
    (void)state;
    struct scsi_identity d = {.type = SCSI_TYPE_TAPE,
                              .vendor = "IBM",
                              .product = "ULT3580-TD8",
                              .revision = "0001",
                              .serial = "VTLD000001",
                              .naa = scsi_identity_naa("VTLD000001"),
                              .removable = true,
                              .worm_capable = true};
    struct scsi_identity c = {.type = SCSI_TYPE_CHANGER,
                              .vendor = "S3VTL",
                              .product = "LIBRARY",
                              .revision = "0001",
                              .serial = "VTLD000000",
                              .naa = 1,
                              .removable = true};
    struct ssc_options o = {.generation = 8};
    tape = (struct tape_status){.medium = TAPE_MEDIUM_LOADED, .density = 0x5e, .capacity = 12000000000000u};
    next_result = TAPE_OK;
    n_elements = 0;
    drive = ssc_lun_new(&d, &o, &tape_ops, NULL);
    changer = smc_lun_new(&c, &changer_ops, NULL);
    return drive && changer ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    drive->destroy(drive);
    changer->destroy(changer);
    return 0;
}

/* ---- one command ---- */

static uint8_t in[1 << 22];
static struct scsi_request rq;

static void command(struct scsi_lun *lun, const uint8_t *cdb, size_t len, uint32_t room, const void *out,
                    uint32_t out_len)
{
    uint8_t full[16] = {0};
    const struct scsi_command *row = NULL;
    memcpy(full, cdb, len);
    rq = (struct scsi_request){.cdb = full,
                               .cdb_len = 16,
                               .nexus = 7,
                               .in = in,
                               .in_len = room,
                               .out = out,
                               .out_len = out_len,
                               .cancelled = &never};
    memset(in, 0xEE, room < sizeof(in) ? room : sizeof(in));
    if (scsi_lun_route(lun, &rq, &row) != SCSI_ROUTE_DONE)
        scsi_lun_run(lun, row, &rq);
    rq.cdb = NULL;
}
#define COMMAND(lun, room, ...)                                                                                        \
    command(lun, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), room, NULL, 0)
#define OUT(lun, data, n, ...)                                                                                         \
    command(lun, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), 0, data, n)

#define expect(...) expect_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
static void expect_bytes(const uint8_t *want, size_t n)
{
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(rq.in_actual, n);
    assert_memory_equal(in, want, n);
}

static void expect_sense(unsigned key, unsigned asc)
{
    assert_int_equal(rq.status, SCSI_CHECK_CONDITION);
    assert_int_equal(rq.sense_len, 18);
    assert_int_equal(rq.sense[2] & 0x0f, key);
    assert_int_equal(rq.sense[12] << 8 | rq.sense[13], asc);
}

/* ---- drive ---- */

static const uint8_t compression[32] = {0x00, 0x1e, 0x88, 0x10, 0, 0, 0, 0x08, 0x5e, 0, 0, 0, 0, 0, 0, 0,
                                        0x0f, 0x0e, 0xc0, 0x80, 0, 0, 0, 0x01, 0,    0, 0, 1, 0, 0, 0, 0};

static void mode_sense_of_data_compression(void **state)
{
    (void)state;
    COMMAND(drive, 4096, 0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0, 0);
    expect_bytes(compression, 32);
}

static void mode_select_takes_what_pbs_sends(void **state)
{
    (void)state;
    uint8_t list[32];
    memcpy(list, compression, 32);
    list[0] = list[1] = 0;
    OUT(drive, list, 32, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0x20, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
    tape.write_protected = true; /* WP is echoed as sensed */
    list[3] |= 0x80;
    OUT(drive, list, 32, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0x20, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
    list[18] = 0x40; /* DCE off is taken too */
    OUT(drive, list, 32, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0x20, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
    COMMAND(drive, 4096, 0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0, 0);
    assert_int_equal(in[18], 0x40);
    list[19] = 0x00; /* DDE cannot be changed */
    OUT(drive, list, 32, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0x20, 0);
    expect_sense(5, 0x2600);
    assert_int_equal(get_be16(rq.sense + 16), 19); /* FIELD POINTER */
    OUT(drive, list, 30, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0x1e, 0);
    expect_sense(5, 0x1A00);
}

static void mode_sense_of_medium_configuration(void **state)
{
    (void)state;
    uint8_t want[48] = {0x00, 0x2e, 0x88, 0x10, 0, 0, 0, 0x08, 0x5e, 0, 0, 0, 0, 0, 0, 0, 0x1d, 0x1e};
    COMMAND(drive, 4096, 0x5A, 0, 0x1D, 0, 0, 0, 0, 0x10, 0, 0);
    expect_bytes(want, 48);
    tape.worm = true;
    COMMAND(drive, 4096, 0x5A, 0, 0x1D, 0, 0, 0, 0, 0x10, 0, 0);
    assert_int_equal(in[18] & 1, 1);
}

static void log_sense_of_device_status_and_alerts(void **state)
{
    (void)state;
    tape = (struct tape_status){.medium = TAPE_MEDIUM_NONE};
    COMMAND(drive, 8192, 0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0);
    expect(0x11, 0x00, 0x00, 0x08, 0x00, 0x00, 0x03, 0x04, 0x01, 0x00, 0x00, 0x00);
    tape = (struct tape_status){.medium = TAPE_MEDIUM_LOADED, .activity = TAPE_WRITING};
    COMMAND(drive, 8192, 0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0);
    assert_int_equal(in[10], 0x06);
    COMMAND(drive, 512, 0x4D, 0, 0x52, 0, 0, 0, 0, 0x02, 0, 0);
    expect(0x12, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x03, 0x08, 0, 0, 0, 0, 0, 0, 0, 0);
    tape.alerts = 1ull << (64 - 5); /* READ FAILURE */
    COMMAND(drive, 512, 0x4D, 0, 0x52, 0, 0, 0, 0, 0x02, 0, 0);
    assert_int_equal(in[8], 0x08);
}

/* PBS asks page 12h because page 2Eh clears what it tells. */
static void reading_the_alert_response_clears_no_flag(void **state)
{
    (void)state;
    tape.alerts = 1ull << (64 - 5) | 1ull << (64 - 6) | 1;
    for (int i = 0; i < 2; i++) {
        COMMAND(drive, 512, 0x4D, 0, 0x52, 0, 0, 0, 0, 0x02, 0, 0);
        expect(0x12, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x03, 0x08, 0x0C, 0, 0, 0, 0, 0, 0, 0x01);
    }
}

static void sense_of_filemark_warning_and_end(void **state)
{
    (void)state;
    static const uint8_t filemark[18] = {0x70, 0, 0x80, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0x01};
    static uint8_t block[262144];
    next_result = TAPE_FILEMARK;
    COMMAND(drive, 512, 0x08, 0x02, 0x00, 0x02, 0x00, 0x00);
    expect_sense(0, 0x0001);
    assert_int_equal(rq.sense[0], 0xF0); /* VALID: the residual is in INFORMATION */
    assert_int_equal(get_be32(rq.sense + 3), 512);
    rq.sense[0] = 0x70; /* else as it was composed */
    memset(rq.sense + 3, 0, 4);
    assert_memory_equal(rq.sense, filemark, 18);
    next_result = TAPE_EOD;
    COMMAND(drive, 262144, 0x08, 0x02, 0x04, 0x00, 0x00, 0x00);
    expect_sense(8, 0x0005);
    next_result = TAPE_EARLY_WARNING;
    OUT(drive, block, sizeof(block), 0x0A, 0x00, 0x04, 0x00, 0x00, 0x00);
    expect_sense(0, 0x0002);
    assert_int_equal(rq.sense[2], 0x40); /* EOM */
    assert_int_equal(rq.out_actual, sizeof(block));
    next_result = TAPE_OVERFLOW;
    OUT(drive, block, sizeof(block), 0x0A, 0x00, 0x04, 0x00, 0x00, 0x00);
    expect_sense(0xD, 0x0002);
    next_result = TAPE_FILEMARK;
    next_residual = -1;
    COMMAND(drive, 16, 0x11, 0x00, 0xff, 0xff, 0xff, 0x00);
    expect_sense(0, 0x0001);
}

static void a_short_block_is_good_with_a_residual(void **state)
{
    (void)state;
    next_length = 1000;
    COMMAND(drive, 262144, 0x08, 0x02, 0x04, 0x00, 0x00, 0x00); /* SILI */
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(rq.in_actual, 1000);
    COMMAND(drive, 262144, 0x08, 0x00, 0x04, 0x00, 0x00, 0x00);
    expect_sense(0, 0x0000);
    assert_int_equal(rq.sense[2] & 0x20, 0x20); /* ILI */
    assert_int_equal(get_be32(rq.sense + 3), 262144 - 1000);
    assert_int_equal(rq.in_actual, 1000);
    next_length = 300000; /* too long */
    COMMAND(drive, 262144, 0x08, 0x00, 0x04, 0x00, 0x00, 0x00);
    expect_sense(0, 0x0000);
    assert_int_equal((int32_t)get_be32(rq.sense + 3), 262144 - 300000);
    COMMAND(drive, 512, 0x08, 0x02, 0x00, 0x02, 0x00, 0x00);
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(rq.in_actual, 512);
}

static void read_position_long_form(void **state)
{
    (void)state;
    tape.object = 0x123456789a;
    tape.file = 77;
    COMMAND(drive, 32, 0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(rq.in_actual, 32);
    assert_true(get_be64(in + 8) == 0x123456789a);
    assert_int_equal(get_be64(in + 16), 77);
    assert_int_equal(get_be32(in + 4), 0);
    COMMAND(drive, 32, 0x34, 0x00, 0, 0, 0, 0, 0, 0, 0, 0); /* does not fit into the short form */
    assert_int_equal(rq.in_actual, 20);
    assert_int_equal(in[0] & 0x02, 0x02); /* PERR */
}

static void expect_buffered(uint32_t position, uint32_t last, unsigned blocks, uint32_t bytes)
{
    COMMAND(drive, 20, 0x34, 0x00, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(get_be32(in + 4), position);
    assert_int_equal(get_be32(in + 8), last);
    assert_int_equal(get_be24(in + 13), blocks);
    assert_int_equal(get_be32(in + 16), bytes);
    COMMAND(drive, 32, 0x34, 0x08, 0, 0, 0, 0, 0, 0, 32, 0);
    assert_int_equal(get_be24(in + 5), blocks);
    assert_int_equal(get_be64(in + 8), position);
    assert_int_equal(get_be64(in + 16), last);
    assert_int_equal(get_be64(in + 24), bytes);
}

/* Between the last object that is on the medium and the position. */
static void what_is_buffered_lies_before_the_position(void **state)
{
    (void)state;
    tape.end_object = tape.object = 10;
    tape.blocks_in_buffer = 3;
    tape.bytes_in_buffer = 3000;
    expect_buffered(10, 7, 3, 3000);
    tape.object = 0; /* LOAD of a loaded tape */
    expect_buffered(0, 0, 0, 0);
    tape.object = 5;
    expect_buffered(5, 5, 0, 0);
    tape.end_object = tape.object = 1; /* it was written over */
    tape.blocks_in_buffer = 4;
    expect_buffered(1, 1, 0, 0);
}

static void an_empty_drive_answers_at_once(void **state)
{
    (void)state;
    tape = (struct tape_status){.medium = TAPE_MEDIUM_NONE};
    COMMAND(drive, 16, 0x00, 0, 0, 0, 0, 0);
    expect_sense(2, 0x3A00);
    COMMAND(drive, 4096, 0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0, 0); /* mode data are there all the same */
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(in[8], 0x00);
    COMMAND(drive, 512, 0x08, 0x02, 0x00, 0x02, 0x00, 0x00);
    expect_sense(2, 0x3A00);
    tape.medium = TAPE_MEDIUM_LOADING;
    COMMAND(drive, 16, 0x00, 0, 0, 0, 0, 0);
    expect_sense(2, 0x0401);
}

static void what_is_not_there_yet_says_so(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x99, 0xC1};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        COMMAND(drive, 4096, opcodes[i], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        expect_sense(5, 0x2000);
    }
}

/* Those of explicit address mode name a place; taken for "here", they would write where nobody meant. */
static void commands_of_explicit_address_mode_are_refused(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x80, 0x81, 0x88, 0x8A, 0x8F, 0x93};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        COMMAND(drive, 4096, opcodes[i], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
        expect_sense(5, 0x2000);
    }
}

static void a_move_that_fails_says_why(void **state)
{
    (void)state;
    static const struct {
        enum changer_result result;
        unsigned key, asc;
    } cases[] = {{CHANGER_BAD_ADDRESS, 5, 0x2101},      {CHANGER_SOURCE_EMPTY, 5, 0x3B0E},
                 {CHANGER_DESTINATION_FULL, 5, 0x3B0D}, {CHANGER_REMOVAL_PREVENTED, 5, 0x5302},
                 {CHANGER_INCOMPATIBLE, 5, 0x3000},     {CHANGER_FLUSH_FAILED, 4, 0x5300},
                 {CHANGER_INTERNAL, 4, 0x4400}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        next_move = cases[i].result;
        COMMAND(changer, 64, 0xA5, 0, 0, 0, 4, 0, 1, 0, 0, 0, 0, 0);
        expect_sense((uint8_t)cases[i].key, (uint16_t)cases[i].asc);
    }
    next_move = CHANGER_OK;
    COMMAND(changer, 64, 0xA5, 0, 0, 0, 4, 0, 1, 0, 0, 0, 0, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
}

static void reserved_bits_are_pointed_at(void **state)
{
    (void)state;
    COMMAND(drive, 16, 0x01, 0, 0x10, 0, 0, 0);
    expect_sense(5, 0x2400);
    assert_int_equal(rq.sense[15], 0xC8 | 4); /* SKSV, C/D, BPV, bit 4 */
    assert_int_equal(get_be16(rq.sense + 16), 2);
    COMMAND(drive, 16, 0x01, 0x20, 0, 0, 0, 0); /* SCSI-2's logical unit number is passed over */
    assert_int_equal(rq.status, SCSI_GOOD);
}

static void unit_attentions_come_once_and_never_to_inquiry(void **state)
{
    (void)state;
    scsi_ua_raise(drive, 7, 0, ASC_POWER_ON_RESET);
    scsi_ua_raise(drive, 7, 0, ASC_NOT_READY_TO_READY_CHANGE); /* the reset says more */
    COMMAND(drive, 36, 0x12, 0, 0, 0, 36, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(rq.in_actual, 36);
    COMMAND(drive, 16, 0x00, 0, 0, 0, 0, 0);
    expect_sense(6, 0x2900);
    COMMAND(drive, 16, 0x00, 0, 0, 0, 0, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
    scsi_ua_raise(drive, 7, 0, ASC_NOT_READY_TO_READY_CHANGE);
    COMMAND(drive, 252, 0x03, 0, 0, 0, 0xfc, 0); /* REQUEST SENSE returns and clears it */
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(in[2], 6);
    assert_int_equal(in[12], 0x28);
    COMMAND(drive, 16, 0x00, 0, 0, 0, 0, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
}

static void the_serial_number_is_what_udev_needs(void **state)
{
    (void)state;
    COMMAND(drive, 254, 0x12, 0x01, 0x00, 0, 0xfe, 0);
    expect(0x01, 0x00, 0x00, 0x06, 0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1);
    COMMAND(drive, 254, 0x12, 0x01, 0x80, 0, 0xfe, 0);
    assert_int_equal(rq.in_actual, 14);
    assert_memory_equal(in + 4, "VTLD000001", 10);
    COMMAND(drive, 254, 0x12, 0x01, 0x83, 0, 0xfe, 0);
    assert_int_equal(in[6], 0);           /* else scsi_id takes it for an old device */
    assert_int_equal(in[5] & 0x3f, 0x03); /* NAA, of the logical unit */
    COMMAND(changer, 254, 0x12, 0x01, 0x00, 0, 0xfe, 0);
    expect(0x08, 0x00, 0x00, 0x04, 0x00, 0x80, 0x83, 0x86);
    COMMAND(drive, 254, 0x12, 0x01, 0xC7, 0, 0xfe, 0);
    expect_sense(5, 0x2400);
    COMMAND(drive, 254, 0x12, 0, 0, 0, 1, 0);
    assert_int_equal(rq.in_actual, 1);
    COMMAND(drive, 254, 0x12, 0, 0, 0, 0, 0);
    assert_int_equal(rq.in_actual, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
}

/* ---- changer ---- */

static void mode_sense_of_element_addresses(void **state)
{
    (void)state;
    COMMAND(changer, 255, 0x1A, 0x08, 0x1D, 0, 0xff, 0);
    expect(0x17, 0, 0, 0, 0x1d, 0x12, 0x00, 0x01, 0x00, 0x01, 0x04, 0x00, 0x00, 0x14, 0x03, 0x00, 0x00, 0x04, 0x01,
           0x00, 0x00, 0x02, 0x00, 0x00);
}

static void status_of_one_full_slot(void **state)
{
    (void)state;
    uint8_t want[64] = {0x04, 0, 0, 1, 0, 0, 0, 0x38, 2, 0x80, 0, 0x30, 0, 0, 0, 0x30, 0x04, 0, 1};
    memset(want + 28, ' ', 32);
    memcpy(want + 28, "PBS001L8", 8);
    element[0] =
        (struct changer_element){.address = 0x400, .type = ELEMENT_STORAGE, .full = true, .barcode = "PBS001L8"};
    n_elements = 1;
    COMMAND(changer, 65535, 0xB8, 0x12, 0, 0, 0x03, 0xE8, 0, 0, 0xFF, 0xFF, 0, 0);
    expect_bytes(want, 64);
}

/* What a reply shows was so at one moment: a move while it is made must not show a cartridge twice, or nowhere. */
static void status_is_of_one_moment(void **state)
{
    (void)state;
    for (n_elements = 0; n_elements < 3000; n_elements++)
        element[n_elements] =
            (struct changer_element){.address = (uint16_t)(0x0400 + n_elements), .type = ELEMENT_STORAGE};
    element_calls = 0;
    COMMAND(changer, 65535, 0xB8, 0x12, 0, 0, 0x03, 0xE8, 0, 0, 0xFF, 0xFF, 0, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
    assert_int_equal(get_be16(in + 2), 1000);
    assert_int_equal(element_calls, 1);
}

static void status_of_one_drive_with_its_identity(void **state)
{
    (void)state;
    uint8_t want[66] = {1, 0, 0, 1, 0, 0, 0, 0x3a, 4, 0,    0, 0x32, 0, 0, 0, 0x32,
                        1, 0, 1, 0, 0, 0, 0, 0,    0, 0x80, 4, 0,    2, 1, 0, 0x22};
    memcpy(want + 32, "IBM     ULT3580-TD8     VTLD000001", 34);
    element[0] = (struct changer_element){.address = 0x100,
                                          .type = ELEMENT_DRIVE,
                                          .full = true,
                                          .barcode = "PBS001L8",
                                          .source_valid = true,
                                          .source = 0x400,
                                          .vendor = "IBM",
                                          .product = "ULT3580-TD8",
                                          .serial = "VTLD000001"};
    n_elements = 1;
    COMMAND(changer, 65535, 0xB8, 0x04, 0, 0, 0x03, 0xE8, 1, 0, 0xFF, 0xFF, 0, 0);
    expect_bytes(want, 66);
}

static void status_of_no_element_is_eight_zeros(void **state)
{
    (void)state;
    COMMAND(changer, 65535, 0xB8, 0x13, 0, 0, 0x03, 0xE8, 0, 0, 0xFF, 0xFF, 0, 0);
    expect(0, 0, 0, 0, 0, 0, 0, 0);
}

/* 60,000 slots in pages of 1,000, as PBS asks: the byte count never goes beyond what came. */
static void status_of_many_slots_comes_in_pages(void **state)
{
    (void)state;
    n_elements = 60000;
    for (size_t i = 0; i < n_elements; i++)
        element[i] = (struct changer_element){
            .address = (uint16_t)(0x400 + i), .type = ELEMENT_STORAGE, .full = i % 2, .barcode = "X"};
    uint32_t start = 0, seen = 0;
    for (;;) {
        COMMAND(changer, 65535, 0xB8, 0x12, (uint8_t)(start >> 8), (uint8_t)start, 0x03, 0xE8, 0, 0, 0xFF, 0xFF, 0, 0);
        assert_int_equal(rq.status, SCSI_GOOD);
        uint32_t n = get_be16(in + 2);
        if (!n)
            break;
        assert_true(get_be24(in + 5) <= rq.in_actual - 8);
        assert_int_equal(get_be16(in), 0x400 + seen);
        seen += n;
        start = get_be16(in + 16 + 48 * (n - 1)) + 1u;
    }
    assert_int_equal(seen, 60000);
    COMMAND(changer, 8, 0xB8, 0x12, 0, 0, 0x03, 0xE8, 0, 0, 0, 8, 0, 0); /* header only: how much there would be */
    assert_int_equal(rq.in_actual, 8);
    assert_int_equal(get_be24(in + 5), 8 + 48 * 1000);
    COMMAND(changer, 64, 0xB8, 0x12, 0, 0, 0x03, 0xE8, 0, 0, 0, 0, 0, 0);
    assert_int_equal(rq.in_actual, 0);
    assert_int_equal(rq.status, SCSI_GOOD);
}

/* ---- REPORT SUPPORTED OPERATION CODES says what the tables do ---- */

static void supported_opcodes_are_the_table(void **state)
{
    (void)state;
    struct scsi_lun *luns[] = {drive, changer};
    for (int l = 0; l < 2; l++) {
        struct scsi_lun *lun = luns[l];
        COMMAND(lun, 8192, 0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0x20, 0, 0, 0); /* all, with time-outs */
        assert_int_equal(get_be32(in), 20 * lun->table_len);
        for (size_t i = 0; i < lun->table_len; i++) {
            const struct scsi_command *row = &lun->table[i];
            bool action = row->service_action != SA_NONE;
            COMMAND(lun, 8192, 0xA3, 0x0C, action ? 0x02 : 0x01, row->opcode, 0,
                    action ? (uint8_t)row->service_action : 0, 0, 0, 0x20, 0, 0, 0);
            assert_int_equal(rq.status, SCSI_GOOD);
            assert_int_equal(in[1] & 7, 3);
            assert_int_equal(get_be16(in + 2), row->cdb_len);
            assert_int_equal(in[4], row->opcode);
        }
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(mode_sense_of_data_compression),
        T(mode_select_takes_what_pbs_sends),
        T(mode_sense_of_medium_configuration),
        T(log_sense_of_device_status_and_alerts),
        T(reading_the_alert_response_clears_no_flag),
        T(sense_of_filemark_warning_and_end),
        T(a_short_block_is_good_with_a_residual),
        T(read_position_long_form),
        T(what_is_buffered_lies_before_the_position),
        T(an_empty_drive_answers_at_once),
        T(what_is_not_there_yet_says_so),
        T(commands_of_explicit_address_mode_are_refused),
        T(a_move_that_fails_says_why),
        T(reserved_bits_are_pointed_at),
        T(unit_attentions_come_once_and_never_to_inquiry),
        T(the_serial_number_is_what_udev_needs),
        T(mode_sense_of_element_addresses),
        T(status_of_one_full_slot),
        T(status_is_of_one_moment),
        T(status_of_one_drive_with_its_identity),
        T(status_of_no_element_is_eight_zeros),
        T(status_of_many_slots_comes_in_pages),
        T(supported_opcodes_are_the_table),
    };
    return cmocka_run_group_tests_name("scsi golden", tests, NULL, NULL);
}
