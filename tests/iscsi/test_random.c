/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_random.c: thousands of random commands with random lengths, many at once, to changer and drives; then all works
 * as before. S3VTL_TEST_SEED: repeats a run; S3VTL_TEST_COMMANDS: how many */
#include "tests/iscsi/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define COMMANDS 6000
#define AT_ONCE 8
#define ROOM 70000u

static uint64_t state_of_chance;

static uint32_t chance(uint32_t below)
{
    state_of_chance ^= state_of_chance << 13;
    state_of_chance ^= state_of_chance >> 7;
    state_of_chance ^= state_of_chance << 17;
    return (uint32_t)(state_of_chance >> 33) % below;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Commands that the units have; half of those sent are made of them, so that something happens. */
static const uint8_t known[][16] = {
    {0x00},
    {0x01},
    {0x03, 0, 0, 0, 252},
    {0x08, 2, 1, 0, 0},
    {0x08, 1, 0, 0, 3},
    {0x0A, 0, 0, 2, 0},
    {0x0A, 0, 1, 0, 0},
    {0x10, 1, 0, 0, 1},
    {0x11, 1, 0, 0, 1},
    {0x11, 0, 0xFF, 0xFF, 0xFF},
    {0x11, 3},
    {0x12, 0, 0, 0, 96},
    {0x12, 1, 0x83, 0, 252},
    {0x13, 0, 0, 2, 0},
    {0x15, 0x10, 0, 0, 12},
    {0x19},
    {0x1A, 0, 0x3F, 0, 255},
    {0x1B, 0, 0, 0, 1},
    {0x1E, 0, 0, 0, 0},
    {0x2B, 0, 0, 0, 0, 0, 2},
    {0x34, 6},
    {0x44, 0, 0, 0, 0, 0, 0, 2, 0},
    {0x4C, 2, 0xC0},
    {0x4D, 0, 0x57, 0, 0, 0, 0, 0x20, 0},
    {0x55, 0x10, 0, 0, 0, 0, 0, 0, 32},
    {0x5A, 0, 0x3F, 0xFF, 0, 0, 0, 0x10, 0},
    {0x8C, 0, [12] = 0x80},
    {0x8D, 1, [13] = 20},
    {0x91, 1, [11] = 1},
    {0x92, 8, [11] = 1},
    {0xA0, 0, 0, 0, 0, 0, 0, 0, 2, 0},
    {0xA2, 0x20, 0, 0x10, 0, 0, 0, 0, 0x20, 4},
    {0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0x20, 0},
    {0xA5, 0, 0, 1, 4, 0, 1, 0},
    {0xA5, 0, 0, 1, 1, 0, 4, 1},
    {0xA6, 0, 0, 1, 4, 0, 1, 0, 4, 2},
    {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 20},
    {0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF},
};

/* PREVENT is left out: it would keep the test itself from moving tapes. So are reservations, for the same reason. */
static void make_cdb(uint8_t cdb[16])
{
    memcpy(cdb, known[chance(sizeof(known) / sizeof(known[0]))], 16);
    for (uint32_t flips = chance(4); flips; flips--)
        cdb[chance(16)] ^= (uint8_t)(1u << chance(8));
    if (!chance(2))
        for (int i = 0; i < 16; i++)
            cdb[i] = (uint8_t)chance(256);
    if (cdb[0] == 0x1E)
        cdb[4] = 0;
    if (cdb[0] == 0x16 || cdb[0] == 0x56 || cdb[0] == 0x5F)
        cdb[0] = 0;
}

struct one {
    struct pending *p;
    uint8_t *buf;
};

static void send_one(struct session *s, struct one *o)
{
    static const size_t lengths[] = {10, 12, 16};
    uint8_t cdb[16];
    make_cdb(cdb);
    size_t len = cdb[0] < 0x20 ? 6 : lengths[chance(3)];
    enum direction way = (enum direction)chance(3);
    uint32_t n = way == NO_DATA ? 0 : chance(3) ? chance(600) : chance(ROOM);
    o->buf = malloc(ROOM);
    assert_non_null(o->buf);
    fill(o->buf, n, cdb[0]);
    o->p = submit(s, LUN_CHANGER + (int)chance(3), cdb, len, way, o->buf, n);
}

/* GOOD, sense of the right form, or a conflict: nothing else. */
static void finish_one(struct one *o)
{
    const struct reply *r = await(o->p);
    assert_true(r->status == 0x00 || r->status == 0x02 || r->status == 0x18);
    if (r->status == 0x02) {
        assert_in_range(r->sense_len, 18, 252);
        assert_true((r->sense[0] & 0x7e) == 0x70);
    }
    pending_free(o->p);
    free(o->buf);
    o->p = NULL;
}

static unsigned cartridges(struct session *s)
{
    uint8_t buf[16384];
    struct reply r;
    unsigned n = 0;
    command(s, LUN_CHANGER, CDB(0xB8, 0x10, 0, 0, 0xff, 0xff, 0, 0, 0x40, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    for (size_t at = 8, end = 8 + get_be24(buf + 5); at < end;) {
        size_t len = get_be16(buf + at + 2), last = at + 8 + get_be24(buf + at + 5);
        for (at += 8; at < last; at += len)
            n += buf[at + 2] & 1;
    }
    return n;
}

static void a_tape_is_written_and_read_back(struct session *s)
{
    static uint8_t block[65536], back[65536];
    struct reply r;
    /* Whatever the parameters are now: variable blocks, buffered, overwrite allowed once the tape is out. */
    empty_drive(s, 0);
    settle_all(s);
    uint8_t list[8 + 8 + 32] = {0, 0, 0, 0x10, 0, 0, 0, 8, [16] = 0x50, 0x01, 0, 0x1C, 0, 0x02};
    command(s, LUN_DRIVE0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, sizeof(list), 0), DATA_OUT, list, sizeof(list), &r);
    assert_good(&r);
    load_blank(s, 0, "TEST01L8");
    fill(block, sizeof(block), 5);
    write_block(s, LUN_DRIVE0, block, sizeof(block));
    filemarks(s, LUN_DRIVE0, 1);
    rewind_tape(s, LUN_DRIVE0);
    read_block(s, LUN_DRIVE0, back, sizeof(back), &r);
    assert_good(&r);
    assert_memory_equal(block, back, sizeof(block));
    empty_drive(s, 0);
}

static void random_commands_break_neither_session_nor_library(void **state)
{
    (void)state;
    struct one flying[AT_ONCE] = {{NULL, NULL}};
    uint64_t seed = number("S3VTL_TEST_SEED", 20261101), commands = number("S3VTL_TEST_COMMANDS", COMMANDS);
    print_message("# seed %llu, %llu commands\n", (unsigned long long)seed, (unsigned long long)commands);
    state_of_chance = seed * 2 + 1;
    struct session *s = session_open(NULL);
    settle_all(s);
    unsigned before = cartridges(s);
    load_blank(s, 0, "TEST01L8");
    load_blank(s, 1, "TEST02L8");
    for (uint64_t i = 0; i < commands; i++) {
        struct one *o = &flying[i % AT_ONCE];
        if (o->p)
            finish_one(o);
        send_one(s, o);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        if (flying[i].p)
            finish_one(&flying[i]);
    settle_all(s);
    assert_int_equal(cartridges(s), before);
    a_tape_is_written_and_read_back(s);
    session_close(s);
    s = session_open(NULL);
    settle_all(s);
    assert_int_equal(cartridges(s), before);
    a_tape_is_written_and_read_back(s);
    empty_drive(s, 1);
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_commands_break_neither_session_nor_library, sessions_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
