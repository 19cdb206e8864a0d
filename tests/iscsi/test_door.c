/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_door.c: the import/export elements, as the operator empties and fills them while initiators look on. */
#include "tests/iscsi/library.h"

#include <string.h>

#include "base/be.h"

#define C LUN_CHANGER
#define SLOT_OF_TEST04 0x0403
#define DOOR 0x0300

static void carry(struct session *s, uint16_t from, uint16_t to)
{
    struct reply r;
    command(s, C, CDB(0xA5, 0, 0, 0, (uint8_t)(from >> 8), (uint8_t)from, (uint8_t)(to >> 8), (uint8_t)to, 0, 0, 0, 0),
            NO_DATA, NULL, 0, &r);
    assert_good(&r);
}

/* The first import/export element's descriptor with its tag. */
static void look(struct session *s, uint8_t descriptor[52])
{
    struct reply r;
    uint8_t b[200];
    command(s, C, CDB(0xB8, 0x13, 0, 0, 0, 1, 0, 0, 0, 200, 0, 0), DATA_IN, b, sizeof(b), &r);
    assert_good(&r);
    assert_int_equal(get_be16(b + 16), DOOR);
    memcpy(descriptor, b + 16, 52);
}

static void expect_told(struct session *s)
{
    struct reply r;
    command(s, C, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2801);
    command(s, C, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
}

static void a_cartridge_goes_to_the_shelf_and_comes_back(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    uint8_t d[52];
    settle_all(s);
    assert_int_equal(operator_says("tape export TEST04L8"), 1); /* it is in a slot */
    carry(s, SLOT_OF_TEST04, DOOR);
    look(s, d);
    assert_int_equal(d[2] & 0x03, 0x01); /* FULL; an initiator put it there */
    assert_int_equal(operator_says("tape export TEST04L8"), 0);
    expect_told(s);
    look(s, d);
    assert_int_equal(d[2] & 0x01, 0);
    assert_int_equal(operator_says("tape list | grep -q 'TEST04L8  *shelf'"), 0);
    assert_int_equal(operator_says("tape export --all"), 0); /* nothing is there: nothing happens */
    assert_int_equal(operator_says("tape import TEST04L8"), 0);
    expect_told(s);
    look(s, d);
    assert_int_equal(d[2] & 0x03, 0x03); /* FULL, IMPEXP: the operator put it there */
    assert_memory_equal(d + 12, "TEST04L8 ", 9);
    assert_int_equal(operator_says("tape import TEST04L8"), 1); /* twice */
    assert_int_equal(operator_says("tape export --all"), 0);
    expect_told(s);
    assert_int_equal(operator_says("tape import TEST04L8 NOSUCH"), 1); /* all or none */
    look(s, d);
    assert_int_equal(d[2] & 0x01, 0);
    assert_int_equal(operator_says("tape import TEST04L8"), 0);
    expect_told(s);
    carry(s, DOOR, SLOT_OF_TEST04);
    session_close(s);
}

/* Moves of the operator: as an initiator's, and the initiators are told. */
static void the_operator_moves_a_cartridge(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t d[52];
    settle_all(s);
    empty_drive(s, 0);
    assert_int_equal(operator_says("tape move TEST04L8 import/export 1"), 0);
    command(s, C, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2800);
    look(s, d);
    assert_int_equal(d[2] & 0x03, 0x01); /* no operator's hand was in it */
    assert_int_equal(get_be16(d + 10), SLOT_OF_TEST04);
    assert_int_equal(operator_says("tape move TEST04L8 drive 0"), 0);
    settle_all(s);
    command(s, LUN_DRIVE0, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r); /* it is threaded */
    command(s, LUN_DRIVE0, CDB(0x1E, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_int_equal(operator_says("tape move TEST04L8 slot 4"), 1);
    command(s, LUN_DRIVE0, CDB(0x1E, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_int_equal(operator_says("tape move TEST04L8 slot 1"), 1); /* full */
    assert_int_equal(operator_says("tape move TEST04L8 slot 17"), 1);
    assert_int_equal(operator_says("tape move TEST04L8 slot 4"), 0);
    settle_all(s);
    assert_int_equal(find_cartridge(s, "TEST04L8"), SLOT_OF_TEST04);
    session_close(s);
}

static void a_locked_door_stays_shut(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    settle_all(s);
    carry(s, SLOT_OF_TEST04, DOOR);
    command(s, C, CDB(0x1E, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_int_equal(operator_says("tape export --all"), 1);
    command(s, C, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r); /* nothing happened */
    command(s, C, CDB(0x1E, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_int_equal(operator_says("tape export --all"), 0);
    expect_told(s);
    assert_int_equal(operator_says("tape import TEST04L8"), 0);
    expect_told(s);
    carry(s, DOOR, SLOT_OF_TEST04);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_cartridge_goes_to_the_shelf_and_comes_back),
        T(the_operator_moves_a_cartridge),
        T(a_locked_door_stays_shut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
