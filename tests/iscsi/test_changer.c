/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_changer.c: READ ELEMENT STATUS as PBS reads it, and every way to move a cartridge. */
#include "tests/iscsi/library.h"

#include <stdlib.h>
#include <string.h>

#include "base/be.h"

static struct session *open_settled(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    return s;
}

struct layout {
    uint16_t first[5], count[5]; /* by element type */
};

/* Page 1Dh, as PBS asks for it. */
static void read_layout(struct session *s, struct layout *l)
{
    uint8_t p[255];
    struct reply r;
    command(s, LUN_CHANGER, CDB(0x1A, 8, 0x1D, 0, 0xff, 0), DATA_IN, p, sizeof(p), &r);
    assert_good(&r);
    static const int type_at[] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) {
        l->first[type_at[i]] = get_be16(p + 6 + 4 * i);
        l->count[type_at[i]] = get_be16(p + 8 + 4 * i);
    }
}

static void every_type_has_as_many_elements_as_the_mode_page_says(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct layout l;
    struct reply r;
    static uint8_t buf[65535];
    read_layout(s, &l);
    assert_int_equal(l.first[2], SLOT);
    assert_int_equal(l.first[4], DRIVE);
    assert_int_equal(l.first[3], DOOR);
    for (uint8_t type = 1; type <= 4; type++) {
        command(s, LUN_CHANGER, CDB(0xB8, (uint8_t)(0x10 | type), 0, 0, 0x03, 0xE8, 0, 0, 0xff, 0xff, 0, 0), DATA_IN,
                buf, sizeof(buf), &r);
        assert_good(&r);
        size_t got = sizeof(buf) - r.residual;
        assert_int_equal(get_be16(buf + 2), l.count[type]);
        assert_int_equal(get_be24(buf + 5) + 8, got);
        if (!l.count[type])
            continue;
        assert_int_equal(get_be16(buf), l.first[type]);
        assert_int_equal(buf[8], type);
        assert_int_equal(get_be24(buf + 13), l.count[type] * get_be16(buf + 10));
    }
    session_close(s);
}

static void mode_pages_come_alone_and_together(void **state)
{
    (void)state;
    struct session *s = open_settled();
    static const uint8_t pages[][2] = {{0x02, 14}, {0x0A, 10}, {0x1C, 10}, {0x1D, 18}, {0x1E, 2}, {0x1F, 18}};
    struct reply r;
    uint8_t all[255], one[255];
    for (uint8_t pc = 0; pc < 3; pc++) {
        command(s, LUN_CHANGER, CDB(0x1A, 8, (uint8_t)(pc << 6 | 0x3F), 0, 0xff, 0), DATA_IN, all, sizeof(all), &r);
        assert_good(&r);
        size_t at = 4;
        for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
            assert_int_equal(all[at], pages[i][0]);
            assert_int_equal(all[at + 1], pages[i][1]);
            command(s, LUN_CHANGER, CDB(0x1A, 8, (uint8_t)(pc << 6 | pages[i][0]), 0, 0xff, 0), DATA_IN, one,
                    sizeof(one), &r);
            assert_good(&r);
            assert_int_equal(one[0], 5 + pages[i][1]);
            assert_memory_equal(one + 4, all + at, 2u + pages[i][1]);
            at += 2u + pages[i][1];
        }
        assert_int_equal(all[0] + 1u, at);
    }
    command(s, LUN_CHANGER, CDB(0x1A, 8, 0xC0 | 0x1D, 0, 0xff, 0), DATA_IN, one, sizeof(one), &r);
    assert_sense(&r, 5, 0x3900);
    session_close(s);
}

static void drive_elements_name_the_drives(void **state)
{
    (void)state;
    struct session *s = open_settled();
    uint8_t buf[1024], serial[64];
    struct reply r;
    command(s, LUN_CHANGER, CDB(0xB8, 0x04, 0, 0, 0x03, 0xE8, 0x01, 0, 4, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_int_equal(buf[9] & 0x80, 0); /* no PVOLTAG without VOLTAG */
    size_t len = get_be16(buf + 10);
    for (size_t drive = 0; drive < 2; drive++) {
        const uint8_t *d = buf + 16 + drive * len;
        command(s, LUN_DRIVE0 + (int)drive, CDB(0x12, 1, 0x80, 0, sizeof(serial), 0), DATA_IN, serial, sizeof(serial),
                &r);
        assert_good(&r);
        assert_int_equal(d[12], 2); /* ASCII */
        if (d[13] == 1) {
            assert_int_equal(d[15], 34);
            assert_memory_equal(d + 16 + 24, serial + 4, get_be16(serial + 2));
        } else {
            assert_int_equal(d[13], 0);
            assert_memory_equal(d + 16, serial + 4, get_be16(serial + 2));
        }
    }
    session_close(s);
}

static void status_goes_on_behind_the_last_address(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct layout l;
    struct reply r;
    uint8_t buf[2048];
    read_layout(s, &l);
    command(s, LUN_CHANGER, CDB(0xB8, 0x12, 0, 0, 0, 2, 0, 0, 8, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_int_equal(get_be16(buf + 2), 2);
    command(s, LUN_CHANGER, CDB(0xB8, 0x12, (SLOT + 2) >> 8, (SLOT + 2) & 0xff, 0, 2, 0, 0, 8, 0, 0, 0), DATA_IN, buf,
            sizeof(buf), &r);
    assert_good(&r);
    assert_int_equal(get_be16(buf), SLOT + 2);
    uint16_t behind = (uint16_t)(l.first[2] + l.count[2]);
    memset(buf, 0xEE, sizeof(buf));
    command(s, LUN_CHANGER, CDB(0xB8, 0x12, (uint8_t)(behind >> 8), (uint8_t)behind, 3, 0xE8, 0, 0, 8, 0, 0, 0),
            DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_residual(&r, sizeof(buf) - 8);
    static const uint8_t none[8] = {0};
    assert_memory_equal(buf, none, 8);
    session_close(s);
}

static void status_is_cut_at_the_allocation_length(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    uint8_t buf[64];
    memset(buf, 0xEE, sizeof(buf));
    command(s, LUN_CHANGER, CDB(0xB8, 0x12, 0, 0, 0xff, 0xff, 0, 0, 0, 8, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_residual(&r, sizeof(buf) - 8);
    assert_int_equal(buf[8], 0xEE);
    command(s, LUN_CHANGER, CDB(0xB8, 0x12, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_residual(&r, sizeof(buf));
    session_close(s);
}

static void a_cartridge_goes_everywhere_and_home(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    char barcode[33];
    empty_drive(s, 0);
    uint16_t home = find_cartridge(s, "TEST03L8");
    const uint16_t way[] = {home, DRIVE, DOOR, SLOT + 15, home};
    for (size_t i = 0; i + 1 < sizeof(way) / sizeof(*way); i++) {
        move(s, way[i], way[i + 1], &r);
        assert_good(&r);
        assert_residual(&r, 64); /* pbs-tape 0.2 */
        assert_false(element_full(s, way[i], NULL));
        assert_true(element_full(s, way[i + 1], barcode));
        assert_string_equal(barcode, "TEST03L8");
        settle_all(s);
    }
    session_close(s);
}

static void a_drive_remembers_the_slot_its_cartridge_came_from(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    uint8_t buf[256];
    empty_drive(s, 0);
    uint16_t home = find_cartridge(s, "TEST03L8");
    move(s, home, DRIVE, &r);
    assert_good(&r);
    command(s, LUN_CHANGER, CDB(0xB8, 0x14, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_int_equal(buf[16 + 9] & 0x80, 0x80); /* SVALID */
    assert_int_equal(get_be16(buf + 16 + 10), home);
    move(s, DRIVE, home, &r);
    assert_good(&r);
    session_close(s);
}

static void moves_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    uint16_t a = find_cartridge(s, "TEST03L8"), b = find_cartridge(s, "TEST04L8");
    move(s, a, b, &r);
    assert_sense(&r, 5, 0x3B0D);
    move(s, SLOT + 15, SLOT + 14, &r);
    assert_sense(&r, 5, 0x3B0E);
    move(s, a, 0x0777, &r);
    assert_sense(&r, 5, 0x2101);
    move(s, 0x0777, a, &r);
    assert_sense(&r, 5, 0x2101);
    command(s, LUN_CHANGER, CDB(0xA5, 0, 0, 9, (uint8_t)(a >> 8), (uint8_t)a, 4, 15, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x2101); /* no such transport */
    assert_int_equal(find_cartridge(s, "TEST03L8"), a);
    session_close(s);
}

static void exchange_swaps_two_cartridges(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    uint16_t a = find_cartridge(s, "TEST03L8"), b = find_cartridge(s, "TEST04L8");
    command(s, LUN_CHANGER,
            CDB(0xA6, 0, 0, 1, (uint8_t)(a >> 8), (uint8_t)a, (uint8_t)(b >> 8), (uint8_t)b, (uint8_t)(a >> 8),
                (uint8_t)a, 0, 0),
            NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_int_equal(find_cartridge(s, "TEST03L8"), b);
    assert_int_equal(find_cartridge(s, "TEST04L8"), a);
    session_close(s);
}

static void position_and_initialize_succeed(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    command(s, LUN_CHANGER, CDB(0x2B, 0, 0, 1, SLOT >> 8, SLOT & 0xff, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, LUN_CHANGER, CDB(0x07, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, LUN_CHANGER, CDB(0x37, 1, SLOT >> 8, SLOT & 0xff, 0, 0, 0, 4, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    session_close(s);
}

static void a_cartridge_may_be_prevented_from_leaving_the_drive(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    load_tape(s, 0, "TEST03L8");
    command(s, LUN_DRIVE0, CDB(0x1E, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    move(s, DRIVE, SLOT + 15, &r);
    assert_sense(&r, 5, 0x5302);
    command(s, LUN_DRIVE0, CDB(0x1B, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x5302);
    command(s, LUN_DRIVE0, CDB(0x1E, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    move(s, DRIVE, SLOT + 15, &r);
    assert_good(&r);
    session_close(s);
}

static void the_drive_tells_of_a_new_cartridge_once(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    empty_drive(s, 0);
    settle(s, LUN_DRIVE0);
    command(s, LUN_DRIVE0, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 2, 0x3A00);
    move(s, find_cartridge(s, "TEST03L8"), DRIVE, &r);
    assert_good(&r);
    command(s, LUN_DRIVE0, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2800);
    command(s, LUN_DRIVE0, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, LUN_CHANGER, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* who moved it knows */
    assert_good(&r);
    session_close(s);
}

/* A host that had a key in the drive must still be able to clear it by its first command. */
static void an_emptied_drive_has_no_unit_attention(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    load_tape(s, 0, "TEST03L8");
    empty_drive(s, 0);
    command(s, LUN_DRIVE0, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 2, 0x3A00);
    session_close(s);
}

static void a_dirty_tape_leaves_the_drive_and_keeps_its_data(void **state)
{
    (void)state;
    struct session *s = open_settled();
    struct reply r;
    static uint8_t block[262144], back[262144];
    load_blank(s, 0, "TEST03L8");
    fill(block, sizeof(block), 77);
    write_block(s, LUN_DRIVE0, block, sizeof(block)); /* no filemark, no sync, no unload */
    move(s, DRIVE, SLOT + 15, &r);
    assert_good(&r);
    load_tape(s, 1, "TEST03L8");
    read_block(s, LUN_DRIVE1, back, sizeof(back), &r);
    assert_good(&r);
    assert_memory_equal(block, back, sizeof(block));
    read_block(s, LUN_DRIVE1, back, sizeof(back), &r);
    assert_sense(&r, 8, 0x0005);
    empty_drive(s, 1);
    session_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_type_has_as_many_elements_as_the_mode_page_says, sessions_end),
        cmocka_unit_test_teardown(mode_pages_come_alone_and_together, sessions_end),
        cmocka_unit_test_teardown(drive_elements_name_the_drives, sessions_end),
        cmocka_unit_test_teardown(status_goes_on_behind_the_last_address, sessions_end),
        cmocka_unit_test_teardown(status_is_cut_at_the_allocation_length, sessions_end),
        cmocka_unit_test_teardown(a_cartridge_goes_everywhere_and_home, sessions_end),
        cmocka_unit_test_teardown(a_drive_remembers_the_slot_its_cartridge_came_from, sessions_end),
        cmocka_unit_test_teardown(moves_that_cannot_be_are_refused, sessions_end),
        cmocka_unit_test_teardown(exchange_swaps_two_cartridges, sessions_end),
        cmocka_unit_test_teardown(position_and_initialize_succeed, sessions_end),
        cmocka_unit_test_teardown(a_cartridge_may_be_prevented_from_leaving_the_drive, sessions_end),
        cmocka_unit_test_teardown(the_drive_tells_of_a_new_cartridge_once, sessions_end),
        cmocka_unit_test_teardown(an_emptied_drive_has_no_unit_attention, sessions_end),
        cmocka_unit_test_teardown(a_dirty_tape_leaves_the_drive_and_keeps_its_data, sessions_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
