/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_identity.c: the commands that every logical unit has: INQUIRY and VPD, unit attentions, RSOC, modes, logs,
 * reservations. */
#include "tests/iscsi/library.h"

#include <string.h>

#include "base/be.h"

#define EACH_LUN(lun) for (int lun = LUN_CHANGER; lun <= LUN_DRIVE1; lun++)

static size_t vpd(struct session *s, int lun, uint8_t page, uint8_t *buf, size_t len)
{
    struct reply r;
    command(s, lun, CDB(0x12, 1, page, 0, (uint8_t)len, 0), DATA_IN, buf, len, &r);
    assert_good(&r);
    return len - r.residual;
}

static void inquiry_tells_what_the_units_are(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t buf[96];
    struct reply r;
    EACH_LUN(lun)
    {
        command(s, lun, CDB(0x12, 0, 0, 0, 36, 0), DATA_IN, buf, 36, &r);
        assert_good(&r);
        assert_residual(&r, 0);
        assert_int_equal(buf[0], lun == LUN_CHANGER ? 8 : 1);
        assert_int_equal(buf[1] & 0x80, 0x80); /* RMB */
        assert_int_equal(buf[3] & 0x0f, 2);
        assert_memory_equal(buf + 8, "S3VTL   ", 8);
        for (int i = 8; i < 36; i++)
            assert_in_range(buf[i], 0x20, 0x7e);
    }
    session_close(s);
}

static void inquiry_of_a_unit_that_is_not_there(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t buf[36];
    struct reply r;
    command(s, 60, CDB(0x12, 0, 0, 0, 36, 0), DATA_IN, buf, 36, &r);
    assert_good(&r);
    assert_int_equal(buf[0], 0x7f);
    command(s, 60, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x2500);
    session_close(s);
}

static void serials_are_unique_short_and_plain(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t buf[254];
    char serials[3][33] = {{0}};
    EACH_LUN(lun)
    {
        assert_true(vpd(s, lun, 0x80, buf, sizeof(buf)) >= 5);
        assert_int_equal(buf[1], 0x80);
        size_t len = get_be16(buf + 2);
        assert_in_range(len, 1, 10);
        for (size_t i = 0; i < len; i++)
            assert_true(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", buf[4 + i]) !=
                        NULL);
        memcpy(serials[lun - 1], buf + 4, len);
    }
    assert_string_not_equal(serials[0], serials[1]);
    assert_string_not_equal(serials[1], serials[2]);
    session_close(s);
}

/* What udev's scsi_id needs (pbs-tape 1.3). */
static void vpd_pages_satisfy_scsi_id(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t buf[254];
    EACH_LUN(lun)
    {
        size_t got = vpd(s, lun, 0x00, buf, sizeof(buf));
        assert_int_equal(got, 4u + get_be16(buf + 2));
        assert_non_null(memchr(buf + 4, 0x80, got - 4));
        assert_non_null(memchr(buf + 4, 0x83, got - 4));
        got = vpd(s, lun, 0x83, buf, sizeof(buf));
        assert_true(got >= 16);
        assert_int_equal(buf[1], 0x83);
        assert_int_equal(buf[6], 0);
    }
    session_close(s);
}

static void inquiry_is_cut_at_the_allocation_length(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    EACH_LUN(lun)
    {
        uint8_t buf[16];
        memset(buf, 0xEE, sizeof(buf));
        command(s, lun, CDB(0x12, 0, 0, 0, 5, 0), DATA_IN, buf, sizeof(buf), &r);
        assert_good(&r);
        assert_residual(&r, 11);
        assert_int_equal(buf[5], 0xEE);
        command(s, lun, CDB(0x12, 0, 0, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
        assert_good(&r);
        assert_residual(&r, 16);
    }
    session_close(s);
}

static void a_new_session_gets_one_power_on_attention(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t buf[36];
    struct reply r;
    EACH_LUN(lun)
    {
        command(s, lun, CDB(0x12, 0, 0, 0, 36, 0), DATA_IN, buf, 36, &r); /* does not report it, does not clear it */
        assert_good(&r);
        command(s, lun, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_sense(&r, 6, 0x2900);
        command(s, lun, CDB(0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 36, 0), DATA_IN, buf, 36, &r);
        assert_good(&r);
    }
    session_close(s);
}

static void request_sense_returns_and_clears_the_attention(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    EACH_LUN(lun)
    {
        uint8_t buf[252] = {0};
        command(s, lun, CDB(0x03, 0, 0, 0, 252, 0), DATA_IN, buf, sizeof(buf), &r);
        assert_good(&r);
        assert_residual(&r, 252 - 18);
        assert_int_equal(buf[0] & 0x7f, 0x70);
        assert_int_equal(buf[2] & 0x0f, 6);
        assert_int_equal(buf[12], 0x29);
        command(s, lun, CDB(0x03, 0, 0, 0, 252, 0), DATA_IN, buf, sizeof(buf), &r);
        assert_good(&r);
        assert_int_not_equal(buf[2] & 0x0f, 6);
    }
    session_close(s);
}

/* pbs-tape 0.2: PBS sends every command without data as data-in with a buffer of 16 or 64 bytes. */
static void commands_without_data_take_a_data_in_buffer(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    uint8_t buf[64];
    struct reply r;
    static const uint8_t cdbs[][6] = {
        {0x00}, {0x01}, {0x11, 3}, {0x10, 0}, {0x10, 1, 0, 0, 1}, {0x19}, {0x1B, 0, 0, 0, 1}, {0x1E, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof(cdbs) / sizeof(*cdbs); i++) {
        memset(buf, 0xEE, sizeof(buf));
        command(s, LUN_DRIVE0, cdbs[i], 6, DATA_IN, buf, 16, &r);
        assert_good(&r);
        assert_residual(&r, 16);
        assert_int_equal(buf[0], 0xEE);
    }
    command(s, LUN_DRIVE0, CDB(0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), DATA_IN, buf, 16, &r);
    assert_good(&r);
    assert_residual(&r, 16);
    command(s, LUN_CHANGER, CDB(0x07, 0, 0, 0, 0, 0), DATA_IN, buf, 64, &r);
    assert_good(&r);
    assert_residual(&r, 64);
    session_close(s);
}

static void unknown_commands_and_bits_are_refused(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    uint8_t buf[64];
    struct reply r;
    EACH_LUN(lun)
    {
        command(s, lun, CDB(0xC7, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_sense(&r, 5, 0x2000);
        command(s, lun, CDB(0x16, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* RESERVE(6) */
        assert_sense(&r, 5, 0x2000);
        command(s, lun, CDB(0x00, 0x10, 0, 0, 0, 0), DATA_IN, buf, 16, &r); /* a reserved bit */
        assert_sense(&r, 5, 0x2400);
        assert_residual(&r, 16);
        command(s, lun, CDB(0x00, 0, 0, 0, 0, 4), NO_DATA, NULL, 0, &r); /* NACA */
        assert_sense(&r, 5, 0x2400);
        command(s, lun, CDB(0x0A, 0xff, 0, 0, 64, 0), DATA_OUT, buf, 64, &r);
        assert_int_equal(r.status, 2);
        assert_int_equal(sense_key(&r), 5);
        assert_residual(&r, 64);
    }
    session_close(s);
}

static void report_supported_operation_codes_is_true(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    static uint8_t all[8192];
    struct reply r;
    EACH_LUN(lun)
    {
        command(s, lun, CDB(0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0), DATA_IN, all, sizeof(all), &r);
        assert_good(&r);
        size_t len = get_be32(all);
        assert_int_equal(len + 4, sizeof(all) - r.residual);
        assert_true(len % 8 == 0 && len >= 8 * 10);
        for (size_t i = 4; i < len + 4; i += 8) {
            uint8_t one[64];
            bool action = all[i + 5] & 1; /* SERVACTV */
            command(s, lun, CDB(0xA3, 0x0C, action ? 2 : 1, all[i], all[i + 2], all[i + 3], 0, 0, 0, sizeof(one), 0, 0),
                    DATA_IN, one, sizeof(one), &r);
            assert_good(&r);
            assert_int_equal(one[1] & 7, 3); /* supported as the standard says */
            assert_int_equal(get_be16(one + 2), get_be16(all + i + 6));
            assert_int_equal(one[4], all[i]);
        }
    }
    session_close(s);
}

static void report_luns_lists_changer_and_drives(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t buf[256];
    struct reply r;
    command(s, LUN_CHANGER, CDB(0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    bool seen[8] = {false};
    for (size_t i = 8; i < 8 + get_be32(buf); i += 8)
        if (buf[i + 1] < 8)
            seen[buf[i + 1]] = true;
    assert_true(seen[LUN_CHANGER] && seen[LUN_DRIVE0] && seen[LUN_DRIVE1]);
    session_close(s);
}

static void mode_sense_pages_come_with_the_lengths_that_pbs_wants(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    empty_drive(s, 0); /* mode data must be there without a cartridge too */
    settle(s, LUN_DRIVE0);
    static uint8_t buf[4096];
    struct reply r;
    command(s, LUN_DRIVE0, CDB(0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_residual(&r, 4096 - 32);
    assert_int_equal(get_be16(buf), 30);
    assert_int_equal(get_be16(buf + 6), 8);
    assert_int_equal(buf[8], 0); /* density: no medium */
    assert_int_equal(buf[16] & 0x3f, 0x0F);
    assert_int_equal(buf[17], 0x0E);
    command(s, LUN_DRIVE0, CDB(0x5A, 0, 0x1D, 0, 0, 0, 0, 0x10, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_int_equal(buf[17], 0x1E);
    command(s, LUN_CHANGER, CDB(0x1A, 8, 0x1D, 0, 0xff, 0), DATA_IN, buf, 255, &r);
    assert_good(&r);
    assert_residual(&r, 255 - 24);
    assert_int_equal(buf[0], 23);
    session_close(s);
}

static void mode_select_takes_what_pbs_echoes(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    uint8_t buf[32];
    struct reply r;
    command(s, LUN_DRIVE0, CDB(0x5A, 0, 0x0F, 0, 0, 0, 0, 0, 32, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    buf[0] = buf[1] = 0;
    buf[3] = (uint8_t)((buf[3] & 0x8f) | 0x10);
    buf[13] = buf[14] = buf[15] = 0;
    buf[18] |= 0x80;
    command(s, LUN_DRIVE0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 32, 0), DATA_OUT, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_residual(&r, 0);
    command(s, LUN_DRIVE0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0,
            &r); /* an empty list is no error */
    assert_good(&r);
    session_close(s);
}

static void mode_select_tells_the_other_sessions(void **state)
{
    (void)state;
    struct session *a = session_open(&(struct session_options){.name = "a", .isid = 1});
    struct session *b = session_open(&(struct session_options){.name = "b", .isid = 2});
    settle_all(a);
    settle_all(b);
    uint8_t buf[32];
    struct reply r;
    command(a, LUN_DRIVE0, CDB(0x5A, 0, 0x0F, 0, 0, 0, 0, 0, 32, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    buf[0] = buf[1] = 0;
    buf[18] ^= 0x80;
    command(a, LUN_DRIVE0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 32, 0), DATA_OUT, buf, sizeof(buf), &r);
    assert_good(&r);
    command(a, LUN_DRIVE0, CDB(0x1A, 0, 0x0F, 0, 0xff, 0), DATA_IN, buf, 28, &r); /* who did it is not told */
    assert_good(&r);
    command(b, LUN_DRIVE0, CDB(0x1E, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2A01);
    buf[0] = buf[1] = buf[2] = 0;
    session_close(a);
    session_close(b);
}

static void a_list_of_no_bytes_is_no_error(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    settle_all(s);
    for (int lun = LUN_CHANGER; lun <= LUN_DRIVE0; lun++) {
        command(s, lun, CDB(0x1D, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* SEND DIAGNOSTIC */
        assert_good(&r);
        command(s, lun, CDB(0x1D, 4, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* SELFTEST */
        assert_good(&r);
        command(s, lun, CDB(0x1D, 0x20, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* a self-test that is not there */
        assert_sense(&r, 5, 0x2400);
    }
    command(s, LUN_DRIVE0, CDB(0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, LUN_DRIVE0, CDB(0xB5, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    session_close(s);
}

static void log_sense_pages_come_with_the_lengths_that_pbs_wants(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    static uint8_t buf[8192];
    struct reply r;
    command(s, LUN_DRIVE0, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_residual(&r, sizeof(buf) - 4u - get_be16(buf + 2));
    assert_int_equal(buf[0] & 0x7f, 0x11);
    assert_int_equal(get_be16(buf + 4), 0);
    assert_int_equal(buf[7], 4);
    assert_int_equal(buf[8] & 1, 1); /* DINIT */
    assert_int_equal(buf[10], 0);    /* idle */
    command(s, LUN_DRIVE0, CDB(0x4D, 0, 0x52, 0, 0, 0, 0, 2, 0, 0), DATA_IN, buf, 512, &r);
    assert_good(&r);
    assert_residual(&r, 512 - 16);
    assert_memory_equal(buf, ((const uint8_t[]){0x12, 0, 0, 0x0c, 0, 0}), 6);
    assert_int_equal(buf[7], 8);
    command(s, LUN_CHANGER, CDB(0x4D, 0, 0x40, 0, 0, 0, 0, 2, 0, 0), DATA_IN, buf, 512, &r);
    assert_good(&r);
    session_close(s);
}

/* tgt keeps persistent reservations; the conflict bits per opcode are ours. */
static void a_reservation_keeps_others_out(void **state)
{
    (void)state;
    struct session *a = session_open(&(struct session_options){.name = "a", .isid = 1});
    struct session *b = session_open(&(struct session_options){.name = "b", .isid = 2});
    settle_all(a);
    load_blank(a, 0, "TEST01L8");
    settle_all(b);
    uint8_t list[24] = {0}, buf[64];
    struct reply r;
    list[15] = 7; /* SERVICE ACTION RESERVATION KEY */
    command(a, LUN_DRIVE0, CDB(0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    list[7] = 7;
    list[15] = 0;
    command(a, LUN_DRIVE0, CDB(0x5F, 1, 3, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24,
            &r); /* RESERVE, exclusive access */
    assert_good(&r);
    memset(buf, 0, sizeof(buf));
    command(b, LUN_DRIVE0, RW6(0x0A, 0, 64), DATA_OUT, buf, 64, &r);
    assert_int_equal(r.status, 0x18); /* RESERVATION CONFLICT */
    assert_residual(&r, 64);
    memset(buf, 0xEE, sizeof(buf));
    command(b, LUN_DRIVE0, RW6(0x08, 0, 64), DATA_IN, buf, 64, &r);
    assert_int_equal(r.status, 0x18);
    assert_residual(&r, 64);
    assert_int_equal(buf[0], 0xEE);
    command(b, LUN_DRIVE0, CDB(0x01, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_int_equal(r.status, 0x18);
    command(b, LUN_DRIVE0, CDB(0x12, 0, 0, 0, 36, 0), DATA_IN, buf, 36, &r);
    assert_good(&r);
    command(b, LUN_DRIVE0, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(b, LUN_DRIVE1, CDB(0x1E, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* the other drive is not reserved */
    assert_good(&r);
    write_block(a, LUN_DRIVE0, list, 24);
    command(a, LUN_DRIVE0, CDB(0x5F, 3, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r); /* CLEAR */
    assert_good(&r);
    settle(b, LUN_DRIVE0);
    rewind_tape(b, LUN_DRIVE0);
    session_close(a);
    session_close(b);
}

static void reserve(struct session *s, uint8_t action, uint8_t key, uint8_t new_key, struct reply *r)
{
    uint8_t list[24] = {[7] = key, [15] = new_key};
    command(s, LUN_DRIVE0, CDB(0x5F, action, action == 1 ? 3 : 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, r);
}

static void rewind_expecting(struct session *s, int status)
{
    struct reply r;
    command(s, LUN_DRIVE0, CDB(0x01, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_int_equal(r.status, status);
}

/* It is the initiator port's, which iSCSI knows by name and ISID, not the session's. */
static void a_reservation_outlives_its_session(void **state)
{
    (void)state;
    const struct session_options port = {.name = "a", .isid = 1}, same_name = {.name = "a", .isid = 3},
                                 same_isid = {.name = "c", .isid = 1};
    struct session *a = session_open(&port), *b = session_open(&(struct session_options){.name = "b", .isid = 2});
    struct reply r;
    settle_all(a);
    load_blank(a, 0, "TEST01L8");
    settle_all(b);
    reserve(b, 0, 0, 8, &r); /* REGISTER: one more registrant, who has nothing else */
    assert_good(&r);
    reserve(a, 0, 0, 7, &r);
    assert_good(&r);
    reserve(a, 1, 7, 0, &r); /* RESERVE, exclusive access */
    assert_good(&r);
    for (int end = 0; end < 3; end++) { /* logout, lost connection, reinstatement */
        struct session *before = a;
        if (end == 0)
            session_close(before);
        else if (end == 1)
            session_cut(before);
        a = session_open(&port);
        settle_all(a);
        rewind_expecting(a, 0);
        rewind_expecting(b, 0x18);
        if (end == 2)
            session_cut(before);
    }
    session_close(a);
    for (int i = 0; i < 2; i++) { /* others are strangers, whatever part of the name they share */
        struct session *c = session_open(i ? &same_isid : &same_name);
        settle_all(c);
        rewind_expecting(c, 0x18);
        session_close(c);
    }
    a = session_open(&port);
    settle_all(a);
    reserve(a, 0, 7, 0, &r); /* the registration is known by its key, and ends with the reservation */
    assert_good(&r);
    settle(b, LUN_DRIVE0);
    rewind_expecting(b, 0);
    session_close(a);
    a = session_open(&port); /* and does not come back */
    settle_all(a);
    reserve(b, 1, 8, 0, &r);
    assert_good(&r);
    rewind_expecting(a, 0x18);
    reserve(b, 3, 8, 0, &r); /* CLEAR */
    assert_good(&r);
    session_close(a);
    session_close(b);
}

static void a_reservation_of_the_changer_keeps_moves_out(void **state)
{
    (void)state;
    struct session *a = session_open(&(struct session_options){.name = "a", .isid = 1});
    struct session *b = session_open(&(struct session_options){.name = "b", .isid = 2});
    settle_all(a);
    settle_all(b);
    uint8_t list[24] = {0};
    struct reply r;
    uint16_t at = find_cartridge(a, "TEST02L8");
    list[15] = 9;
    command(a, LUN_CHANGER, CDB(0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    list[7] = 9;
    list[15] = 0;
    command(a, LUN_CHANGER, CDB(0x5F, 1, 1, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24,
            &r); /* RESERVE, write exclusive */
    assert_good(&r);
    move(b, at, DOOR, &r);
    assert_int_equal(r.status, 0x18);
    assert_int_equal(find_cartridge(b, "TEST02L8"), at); /* READ ELEMENT STATUS is allowed */
    command(a, LUN_CHANGER, CDB(0x5F, 3, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    session_close(a);
    session_close(b);
}

/* All registrants hold it, and each goes by itself: also the one that reserved. */
static void a_reservation_of_all_outlives_whoever_reserved(void **state)
{
    (void)state;
    struct session *a = session_open(&(struct session_options){.name = "a", .isid = 1});
    struct session *b = session_open(&(struct session_options){.name = "b", .isid = 2});
    struct reply r;
    uint8_t list[24] = {[7] = 7}, in[24];
    settle_all(a);
    settle_all(b);
    reserve(a, 0, 0, 7, &r);
    assert_good(&r);
    reserve(b, 0, 0, 8, &r);
    assert_good(&r);
    command(a, LUN_DRIVE0, CDB(0x5F, 1, 8, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r); /* exclusive access, all */
    assert_good(&r);
    list[7] = 8;
    list[15] = 7;
    command(b, LUN_DRIVE0, CDB(0x5F, 4, 8, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r); /* PREEMPT of the other */
    assert_good(&r);
    settle(a, LUN_DRIVE0);
    rewind_expecting(a, 0x18);
    reserve(a, 0, 0, 9, &r); /* once more: what was freed is used again, with another type in it */
    assert_good(&r);
    command(b, LUN_DRIVE0, CDB(0x5E, 1, 0, 0, 0, 0, 0, 0, 24, 0), DATA_IN, in, 24, &r); /* READ RESERVATION */
    assert_good(&r);
    assert_int_equal(in[7], 16);
    assert_int_equal(in[21] & 0x0f, 8);
    reserve(a, 0, 9, 0, &r);
    assert_good(&r);
    rewind_expecting(a, 0x18);
    reserve(b, 0, 8, 0, &r); /* the last registrant takes it along */
    assert_good(&r);
    command(b, LUN_DRIVE0, CDB(0x5E, 1, 0, 0, 0, 0, 0, 0, 24, 0), DATA_IN, in, 24, &r);
    assert_good(&r);
    assert_int_equal(in[7], 0);
    session_close(a);
    session_close(b);
}

/* tgt has it, and reads a reservation that there need not be. */
static void a_reservation_cannot_be_moved(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t list[48] = {[15] = 9};
    struct reply r;
    settle_all(s);
    command(s, LUN_DRIVE0, CDB(0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    memset(list, 0, sizeof(list));
    list[7] = 9;
    list[23] = 24;
    command(s, LUN_DRIVE0, CDB(0x5F, 7, 0, 0, 0, 0, 0, 0, 48, 0), DATA_OUT, list, 48, &r);
    assert_sense(&r, 5, 0x2400);
    command(s, LUN_DRIVE0, CDB(0x5F, 3, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r); /* CLEAR */
    assert_good(&r);
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(inquiry_tells_what_the_units_are, sessions_end),
        cmocka_unit_test_teardown(inquiry_of_a_unit_that_is_not_there, sessions_end),
        cmocka_unit_test_teardown(serials_are_unique_short_and_plain, sessions_end),
        cmocka_unit_test_teardown(vpd_pages_satisfy_scsi_id, sessions_end),
        cmocka_unit_test_teardown(inquiry_is_cut_at_the_allocation_length, sessions_end),
        cmocka_unit_test_teardown(a_new_session_gets_one_power_on_attention, sessions_end),
        cmocka_unit_test_teardown(request_sense_returns_and_clears_the_attention, sessions_end),
        cmocka_unit_test_teardown(commands_without_data_take_a_data_in_buffer, sessions_end),
        cmocka_unit_test_teardown(unknown_commands_and_bits_are_refused, sessions_end),
        cmocka_unit_test_teardown(report_supported_operation_codes_is_true, sessions_end),
        cmocka_unit_test_teardown(report_luns_lists_changer_and_drives, sessions_end),
        cmocka_unit_test_teardown(mode_sense_pages_come_with_the_lengths_that_pbs_wants, sessions_end),
        cmocka_unit_test_teardown(mode_select_takes_what_pbs_echoes, sessions_end),
        cmocka_unit_test_teardown(mode_select_tells_the_other_sessions, sessions_end),
        cmocka_unit_test_teardown(a_list_of_no_bytes_is_no_error, sessions_end),
        cmocka_unit_test_teardown(log_sense_pages_come_with_the_lengths_that_pbs_wants, sessions_end),
        cmocka_unit_test_teardown(a_reservation_keeps_others_out, sessions_end),
        cmocka_unit_test_teardown(a_reservation_outlives_its_session, sessions_end),
        cmocka_unit_test_teardown(a_reservation_of_the_changer_keeps_moves_out, sessions_end),
        cmocka_unit_test_teardown(a_reservation_of_all_outlives_whoever_reserved, sessions_end),
        cmocka_unit_test_teardown(a_reservation_cannot_be_moved, sessions_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
