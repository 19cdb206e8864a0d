/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_raw.c: digests, residual flags bit by bit, odd lengths, and writes that are cut off, as PDUs. */
#include "tests/iscsi/library.h"
#include "tests/iscsi/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0
#define SIZE 262144u
enum { FLAG_OVERFLOW = 4, FLAG_UNDERFLOW = 2 };

static void blank(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    session_close(s);
}

static void assert_tape(uint64_t object)
{
    struct session *s = session_open(NULL);
    struct reply r;
    settle_all(s);
    command(s, D, CDB(0x11, 3, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, object, 0);
    session_close(s);
}

/* A command that must end in a PDU with this opcode, status, flags and residual. */
static void assert_ends(struct raw *r, uint32_t itt, void *buf, size_t room, uint8_t opcode, uint8_t status,
                        uint8_t flags, uint32_t residual)
{
    struct pdu p = {.data = NULL};
    assert_true(raw_finish(r, itt, NULL, buf, room, &p));
    assert_int_equal(p.bhs[0] & 0x3f, opcode);
    assert_int_equal(p.bhs[3], status);
    assert_int_equal(p.bhs[1] & (FLAG_OVERFLOW | FLAG_UNDERFLOW), flags);
    assert_int_equal(get_be32(p.bhs + 44), residual);
    pdu_free(&p);
}

static void raw_settle(struct raw *r)
{
    struct pdu p = {.data = NULL};
    do
        assert_true(raw_finish(r, raw_command(r, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0), NULL,
                               NULL, 0, &p));
    while (p.bhs[3] == 2 && p.len > 4 && (p.data[4] & 0x0f) == 6);
    pdu_free(&p);
}

static void write_and_read_back(bool digests)
{
    blank();
    struct raw r;
    struct pdu p = {.data = NULL};
    uint32_t big = 3u << 20; /* more than FirstBurstLength: the target asks for the rest */
    uint8_t *data = malloc(big), *back = calloc(1, big);
    assert_true(data && back);
    fill(data, big, digests);
    raw_open(&r, digests);
    raw_settle(&r);
    uint32_t itt = raw_command(&r, D, RW6(0x0A, 0, SIZE), FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, SIZE, data, SIZE);
    assert_true(raw_finish(&r, itt, data, NULL, 0, &p));
    assert_int_equal(p.bhs[3], 0);
    itt = raw_command(&r, D, RW6(0x0A, 0, big), FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, big, data, SIZE);
    assert_true(raw_finish(&r, itt, data, NULL, 0, &p));
    assert_int_equal(p.bhs[3], 0);
    itt = raw_command(&r, D, CDB(1, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0);
    assert_ends(&r, itt, NULL, 0, PDU_RESPONSE, 0, 0, 0);
    itt = raw_command(&r, D, RW6(0x08, 2, SIZE), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, SIZE, NULL, 0);
    assert_ends(&r, itt, back, big, PDU_DATA_IN, 0, 0, 0);
    assert_memory_equal(back, data, SIZE);
    itt = raw_command(&r, D, RW6(0x08, 2, big), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, big, NULL, 0);
    assert_ends(&r, itt, back, big, PDU_DATA_IN, 0, 0, 0);
    assert_memory_equal(back, data, big);
    raw_close(&r);
    pdu_free(&p);
    free(data);
    free(back);
}

static void data_passes_without_digests(void **state)
{
    (void)state;
    write_and_read_back(false);
}

static void data_passes_with_header_and_data_digests(void **state)
{
    (void)state;
    write_and_read_back(true);
}

/* Reads a block of SIZE bytes in segments of max_data at most. */
static void read_in_segments(struct raw *r, const uint8_t *want, uint8_t *back, uint32_t max_data)
{
    struct pdu p = {.data = NULL};
    uint32_t got = 0;
    memset(back, 0, SIZE);
    uint32_t itt = raw_command(r, D, CDB(1, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0);
    assert_ends(r, itt, NULL, 0, PDU_RESPONSE, 0, 0, 0);
    raw_command(r, D, RW6(0x08, 2, SIZE), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, SIZE, NULL, 0);
    while (got < SIZE) {
        assert_true(raw_receive(r, &p));
        assert_int_equal(p.bhs[0], PDU_DATA_IN);
        assert_int_equal(get_be32(p.bhs + 40), got);
        assert_true(p.len && p.len <= max_data && p.len <= SIZE - got);
        memcpy(back + got, p.data, p.len);
        got += p.len;
    }
    assert_int_equal(p.bhs[3], 0);
    assert_memory_equal(back, want, SIZE);
    pdu_free(&p);
}

/* An initiator may take segments of any length, from the login on or by a TEXT request later. */
static void a_block_in_segments_of_odd_lengths_is_right(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {513, 65535, 100002, 131071};
    uint8_t *data = malloc(SIZE), *back = malloc(SIZE);
    assert_true(data && back);
    fill(data, SIZE, 99);
    blank();
    struct session *s = session_open(NULL);
    settle_all(s);
    write_block(s, D, data, SIZE);
    session_close(s);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t max_data = lengths[i / 2];
        struct raw r;
        struct pdu p = {.data = NULL};
        raw_open_with(&r, &(struct raw_options){.digests = i == 3, .max_data = i % 2 ? 0 : max_data});
        raw_settle(&r);
        if (i % 2) {
            char text[60];
            uint8_t bhs[BHS] = {PDU_TEXT, FLAG_FINAL};
            int n = snprintf(text, sizeof(text), "MaxRecvDataSegmentLength=%u", max_data) + 1;
            put_be32(bhs + 16, r.itt++);
            put_be32(bhs + 20, NO_TAG);
            put_be32(bhs + 24, r.cmdsn++);
            raw_send(&r, bhs, text, (uint32_t)n);
            assert_true(raw_receive(&r, &p));
            assert_int_equal(p.bhs[0], PDU_TEXT_RESPONSE);
        }
        read_in_segments(&r, data, back, max_data);
        raw_close(&r);
        pdu_free(&p);
    }
    free(data);
    free(back);
}

static void a_wrong_data_digest_writes_nothing(void **state)
{
    (void)state;
    blank();
    struct raw r;
    struct pdu p = {.data = NULL};
    uint8_t data[1000];
    fill(data, sizeof(data), 1);
    raw_open(&r, true);
    raw_settle(&r);
    r.wrong_data_digest = true;
    uint32_t itt = raw_command(&r, D, RW6(0x0A, 0, 1000), FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, 1000, data, 1000);
    assert_false(raw_finish(&r, itt, data, NULL, 0, &p)); /* error recovery level 0: the connection ends */
    raw_close(&r);
    pdu_free(&p);
    assert_tape(0);
}

static void flags_and_residuals(void **state)
{
    (void)state;
    blank();
    struct raw r;
    uint8_t data[1000], buf[4096];
    fill(data, sizeof(data), 2);
    raw_open(&r, false);
    raw_settle(&r);
    uint8_t in = FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, out = FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE;
    uint32_t itt = raw_command(&r, D, CDB(0, 0, 0, 0, 0, 0), in, 16, NULL, 0);
    assert_ends(&r, itt, buf, 16, PDU_RESPONSE, 0, FLAG_UNDERFLOW, 16);
    itt = raw_command(&r, D, CDB(0, 0, 0, 0, 0, 0), in, 0, NULL, 0); /* R with nothing expected: no flag */
    assert_ends(&r, itt, buf, 0, PDU_RESPONSE, 0, 0, 0);
    itt = raw_command(&r, D, RW6(0x0A, 0, 1000), out, 1000, data, 1000);
    assert_ends(&r, itt, NULL, 0, PDU_RESPONSE, 0, 0, 0);
    itt = raw_command(&r, D, CDB(1, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0);
    assert_ends(&r, itt, NULL, 0, PDU_RESPONSE, 0, 0, 0);
    itt = raw_command(&r, D, RW6(0x08, 2, 4096), in, 4096, NULL, 0);
    assert_ends(&r, itt, buf, 4096, PDU_DATA_IN, 0, FLAG_UNDERFLOW, 3096);
    itt = raw_command(&r, D, RW6(0x08, 2, 4096), in, 4096, NULL, 0);
    assert_ends(&r, itt, buf, 4096, PDU_RESPONSE, 2, FLAG_UNDERFLOW, 4096);
    itt = raw_command(&r, D, CDB(0x12, 0, 0, 0, 36, 0), in, 36, NULL, 0);
    assert_ends(&r, itt, buf, 36, PDU_DATA_IN, 0, 0, 0);
    itt = raw_command(&r, D, CDB(0x12, 0, 0, 0, 8, 0), in, 36, NULL, 0); /* cut by the allocation length: no overflow */
    assert_ends(&r, itt, buf, 36, PDU_DATA_IN, 0, FLAG_UNDERFLOW, 28);
    raw_close(&r);
}

static void a_write_that_is_cut_off_writes_nothing(void **state)
{
    (void)state;
    blank();
    struct raw r;
    struct pdu p = {.data = NULL};
    uint8_t *data = calloc(1, SIZE);
    assert_non_null(data);
    raw_open(&r, false);
    raw_settle(&r);
    raw_command(&r, D, RW6(0x0A, 0, 8 * SIZE), FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, 8 * SIZE, data, SIZE);
    assert_true(raw_receive(&r, &p));
    assert_int_equal(p.bhs[0] & 0x3f, PDU_R2T);
    raw_close(&r); /* in the middle of the data */
    pdu_free(&p);
    assert_tape(0);
    free(data);
}

static void a_command_that_goes_both_ways(void **state)
{
    (void)state;
    struct raw r;
    struct pdu p = {.data = NULL};
    uint8_t data[16] = {0};
    raw_open(&r, false);
    raw_settle(&r);
    uint32_t itt =
        raw_command(&r, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | FLAG_READ | FLAG_WRITE | ATTR_SIMPLE, 16, data, 16);
    assert_true(raw_finish(&r, itt, data, NULL, 0, &p));
    assert_int_equal(p.bhs[0] & 0x3f, PDU_RESPONSE);
    raw_close(&r);
    pdu_free(&p);
}

/* Expected lengths that no buffer can have end in an error or a closed connection, never in tgtd's end: of what the drive
 * answers, of what tgt does itself, and of units that are its own, or not there. */
static void impossible_lengths_do_no_harm(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0xffffffff, 0x80000000, 0x7fffffff, 0x7ffffffc};
    static const struct {
        int lun;
        uint8_t cdb[12];
    } commands[] = {{D, {0x12, 0, 0, 0, 96}},  {D, {0xA0, [9] = 16}},   {D, {0x5E, 0, [7] = 1}},
                    {D, {0x5E, 1, [7] = 1}},   {D, {0x5E, 2, [7] = 1}}, {0, {0x12, 0, 0, 0, 96}},
                    {0, {0x03, 0, 0, 0, 18}},  {0, {0xA0, [9] = 16}},   {60, {0x12, 0, 0, 0, 96}},
                    {60, {0x03, 0, 0, 0, 18}}, {60, {0xA0, [9] = 16}}};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
        for (size_t k = 0; k < sizeof(commands) / sizeof(*commands); k++) {
            struct raw r;
            struct pdu p = {.data = NULL};
            uint8_t buf[256];
            raw_open(&r, false);
            raw_settle(&r);
            uint32_t itt = raw_command(&r, commands[k].lun, commands[k].cdb, sizeof(commands[k].cdb),
                                       FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, lengths[i], NULL, 0);
            raw_finish(&r, itt, NULL, buf, sizeof(buf), &p);
            raw_close(&r);
            pdu_free(&p);
        }
    struct session *s = session_open(NULL);
    settle_all(s);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(data_passes_without_digests),
        T(data_passes_with_header_and_data_digests),
        T(a_block_in_segments_of_odd_lengths_is_right),
        T(a_wrong_data_digest_writes_nothing),
        T(flags_and_residuals),
        T(a_write_that_is_cut_off_writes_nothing),
        T(a_command_that_goes_both_ways),
        T(impossible_lengths_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
