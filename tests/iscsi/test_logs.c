/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_logs.c: log pages over iSCSI: what was written and read is told, and alerts have real causes and end. */
#include "tests/iscsi/library.h"

#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0
#define BLOCK 262144
static uint8_t block[BLOCK], page[8192];

static void sense(struct session *s, int lun, uint8_t code)
{
    struct reply r;
    memset(page, 0xEE, sizeof(page));
    command(s, lun, CDB(0x4D, 0, (uint8_t)(0x40 | code), 0, 0, 0, 0, 0x20, 0, 0), DATA_IN, page, sizeof(page), &r);
    assert_good(&r);
    assert_int_equal(sizeof(page) - r.residual, 4u + get_be16(page + 2));
}

static uint64_t value(uint16_t code)
{
    size_t end = 4u + get_be16(page + 2);
    for (size_t at = 4; at + 4 <= end; at += 4u + page[at + 3])
        if (get_be16(page + at) == code) {
            uint64_t v = 0;
            for (unsigned i = 0; i < page[at + 3]; i++)
                v = v << 8 | page[at + 4 + i];
            return v;
        }
    fail_msg("no parameter %04x", code);
    return 0;
}

static struct session *open_loaded(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    return s;
}

static void do_good(struct session *s, const uint8_t *cdb, size_t len)
{
    struct reply r;
    uint8_t sixteen[16];
    command(s, D, cdb, len, DATA_IN, sixteen, sizeof(sixteen), &r);
    assert_good(&r);
}

/* 40 blocks of 256 KiB are 10.5 MB; half of each compresses away. */
static void what_was_written_and_read_is_told(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    sense(s, D, 0x17);
    uint64_t mounts = value(0x0001), life = value(0x0010);
    command(s, D, CDB(0x4C, 0x02, 0xC0, 0, 0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < 40; i++) {
        for (size_t k = 0; k < BLOCK / 2; k += 8) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            memcpy(block + k, &x, 8);
        }
        command(s, D, CDB(0x0A, 0, 0x04, 0, 0, 0), DATA_OUT, block, BLOCK, &r);
        assert_good(&r);
    }
    sense(s, D, 0x17);
    assert_int_equal(value(0x000E), 10);
    assert_int_equal(value(0x0017), 11); /* what is only buffered counts */
    do_good(s, CDB(0x10, 0, 0, 0, 1, 0));
    sense(s, D, 0x17);
    assert_true(value(0x0012) > 180 && value(0x0012) < 210); /* what is buffered may not be compressed yet */
    do_good(s, CDB(0x01, 0, 0, 0, 0, 0));
    for (unsigned i = 0; i < 20; i++) {
        command(s, D, CDB(0x08, 0x02, 0x04, 0, 0, 0), DATA_IN, block, BLOCK, &r);
        assert_good(&r);
    }
    sense(s, D, 0x17);
    assert_int_equal(value(0x0000), 1);
    assert_int_equal(value(0x0001), mounts);
    assert_int_equal(value(0x000F), 5);
    assert_true(value(0x0010) >= life + 10);
    sense(s, D, 0x02);
    assert_int_equal(value(0x0005), 40u * BLOCK);
    sense(s, D, 0x03);
    assert_int_equal(value(0x0005), 20u * BLOCK);
    sense(s, D, 0x0C);
    assert_int_equal(value(0x0000), 40u * BLOCK);
    assert_int_equal(value(0x0003), 20u * BLOCK);
    assert_true(value(0x0001) < 25u * BLOCK);
    sense(s, D, 0x32);
    assert_int_equal(value(0x0006), 10);
    session_close(s);
}

static void a_volume_tells_its_serial_number_and_how_long_it_is_there(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    sense(s, D, 0x17);
    size_t at = 4;
    while (at < 4u + get_be16(page + 2) && get_be16(page + at) != 0x0040)
        at += 4u + page[at + 3];
    assert_int_equal(get_be16(page + at), 0x0040);
    assert_int_equal(page[at + 3], 32);
    assert_int_equal(strspn((char *)page + at + 4, "0123456789abcdef"), 32);
    uint64_t mounted = value(0x0014), ready = value(0x0015);
    assert_true(mounted >= ready && ready < 60000);
    do {
        serve_for(s, NULL, 5);
        sense(s, D, 0x17);
    } while (value(0x0015) == ready);
    assert_true(value(0x0014) > mounted);
    session_close(s);
}

static void a_mount_counts(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    sense(s, D, 0x17);
    uint64_t mounts = value(0x0001);
    do_good(s, CDB(0x1B, 0, 0, 0, 0, 0));
    sense(s, D, 0x17);
    assert_int_equal(value(0x0000), 0); /* not valid: nothing is threaded */
    do_good(s, CDB(0x1B, 0, 0, 0, 1, 0));
    sense(s, D, 0x17);
    assert_int_equal(value(0x0001), mounts + 1);
    session_close(s);
}

static void an_alert_is_raised_by_its_cause_and_ends_with_the_cartridge(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    do_good(s, CDB(0x1E, 0, 0, 0, 1, 0));
    command(s, D, CDB(0x1B, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x5302);
    sense(s, D, 0x12);
    assert_int_equal(value(0), UINT64_C(1) << (64 - 0x0A));
    sense(s, D, 0x2E);
    assert_int_equal(value(0x0A), 1);
    sense(s, D, 0x2E);
    assert_int_equal(value(0x0A), 0);
    do_good(s, CDB(0x1E, 0, 0, 0, 0, 0));
    do_good(s, CDB(0x1B, 0, 0, 0, 0, 0));
    do_good(s, CDB(0x1B, 0, 0, 0, 1, 0));
    sense(s, D, 0x12);
    assert_int_equal(value(0), 0);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_written_and_read_is_told),
        T(a_volume_tells_its_serial_number_and_how_long_it_is_there),
        T(a_mount_counts),
        T(an_alert_is_raised_by_its_cause_and_ends_with_the_cartridge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
