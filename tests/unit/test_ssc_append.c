/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_append.c: programmable early warning, append-only mode and ALLOW OVERWRITE. */
#include "tests/unit/tape_model.h"

#define MB 1000000u

static uint8_t block[2 * MB];

static void write_bytes(uint32_t len)
{
    COMMAND_OUT(block, len, 0x0A, 0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, 0);
}

static void filemarks(uint8_t n)
{
    COMMAND(0x10, 0, 0, 0, n, 0);
}

/* WRITE MODE and PEWS of page 10h/01h. */
static void extension(unsigned write_mode, uint16_t pews)
{
    uint8_t list[48] = {0, 0, 0, 0x10, 0, 0, 0, 8, [16] = 0x50, 0x01, 0x00, 0x1C};
    list[16 + 5] = (uint8_t)(write_mode << 4 | 0x02);
    put_be16(list + 16 + 6, pews);
    COMMAND_OUT(list, 48, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 48, 0);
}

static void allow(uint8_t what, uint64_t object)
{
    uint8_t cdb[16] = {0x82, 0, what};
    put_be64(cdb + 4, object);
    command_of(7, cdb, 16, 0, NULL, 0);
}

/* READ POSITION, long form: BOP, EOP, BPEW. */
static unsigned flags(void)
{
    COMMAND(0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_good();
    return in[0];
}

static void assert_programmable_warning(void)
{
    assert_sense(0, 0x0007);
    assert_int_equal(rq.sense[0], 0xF0); /* VALID */
    assert_int_equal(get_be32(rq.sense + 3), 0);
    assert_int_equal(rq.sense[2] & 0xE0, 0); /* EOM is for early warning */
}

/* ---- filemarks ---- */

static void what_is_left_of_filemarks_is_what_is_not_on_the_tape(void **state)
{
    (void)state;
    tape.write_protected = true;
    filemarks(3);
    assert_sense(7, 0x2700);
    assert_int_equal(rq.sense[0], 0xF0); /* VALID */
    assert_int_equal(get_be32(rq.sense + 3), 3);
    tape.write_protected = false;
    sync_result = TAPE_WRITE_ERROR; /* they are written, and what they sync is not safe */
    filemarks(3);
    assert_sense(3, 0x0C00);
    assert_int_equal(rq.sense[0], 0xF0);
    assert_int_equal(get_be32(rq.sense + 3), 0);
    assert_int_equal(tape.object, 3);
    sync_result = TAPE_OK;
    filemarks(3);
    assert_good();
}

/* ---- programmable early warning ---- */

static void the_zone_is_told_of_once(void **state)
{
    (void)state;
    tape.capacity = 10 * MB;
    extension(0, 3);
    assert_good();
    for (int i = 0; i < 6; i++) {
        write_bytes(MB);
        assert_good();
        assert_int_equal(flags(), 0);
    }
    write_bytes(MB);
    assert_programmable_warning();
    assert_int_equal(tape.end_object, 7); /* it is written */
    assert_int_equal(flags(), 0x01);
    write_bytes(MB);
    assert_good();
    filemarks(1);
    assert_good();
    write_bytes(MB);
    assert_good();
    write_bytes(MB); /* early warning, from here on each time */
    assert_sense(0, 0x0002);
    assert_int_equal(rq.sense[2], 0x40);
    assert_int_equal(flags(), 0x41);
    filemarks(1);
    assert_sense(0, 0x0002);
    write_bytes(1);
    assert_sense(0, 0x0002);
}

static void filemarks_can_enter_the_zone(void **state)
{
    (void)state;
    tape.capacity = 10 * MB;
    tape.used = 8 * MB;
    tape.object = tape.end_object = 8;
    extension(0, 2);
    filemarks(0); /* a flush writes nothing */
    assert_good();
    filemarks(1);
    assert_programmable_warning();
    filemarks(1);
    assert_good();
}

static void the_zone_is_entered_anew_after_a_move(void **state)
{
    (void)state;
    tape.capacity = 10 * MB;
    tape.used = 8 * MB;
    tape.object = tape.end_object = 8;
    extension(0, 2);
    write_bytes(1);
    assert_programmable_warning();
    COMMAND(0x01, 0, 0, 0, 0, 0);
    COMMAND(0x11, 3, 0, 0, 0, 0);
    write_bytes(1);
    assert_programmable_warning();
    tape.medium_changes++; /* another tape */
    write_bytes(1);
    assert_programmable_warning();
    extension(0, 3); /* another zone */
    write_bytes(1);
    assert_programmable_warning();
    write_bytes(1);
    assert_good();
}

static void without_a_size_there_is_no_zone(void **state)
{
    (void)state;
    tape.capacity = 10 * MB;
    tape.used = 10 * MB - 2;
    tape.object = tape.end_object = 8;
    extension(0, 0);
    write_bytes(1);
    assert_good();
    assert_int_equal(flags(), 0);
}

static void early_warning_goes_before_programmable(void **state)
{
    (void)state;
    tape.capacity = MB;
    extension(0, 0xffff); /* larger than the tape: all of it is the zone */
    write_bytes(MB);
    assert_sense(0, 0x0002);
    write_bytes(1);
    assert_sense(0, 0x0002);
}

static void a_failed_write_tells_its_own_sense(void **state)
{
    (void)state;
    tape.capacity = MB;
    tape.write_protected = true;
    extension(0, 1);
    write_bytes(1);
    assert_sense(7, 0x2700);
    filemarks(2);
    assert_sense(7, 0x2700);
    assert_int_equal(get_be32(rq.sense + 3), 2);
}

/* ---- append-only mode ---- */

/* Two files of two blocks; at the end. */
static void two_files(void)
{
    for (int i = 0; i < 2; i++) {
        write_bytes(10);
        write_bytes(10);
        filemarks(1);
        assert_good();
    }
    assert_int_equal(tape.end_object, 6);
}

static void go(uint64_t object, uint64_t file)
{
    uint8_t cdb[16] = {0x92};
    put_be64(cdb + 4, object);
    command_of(7, cdb, 16, 0, NULL, 0);
    assert_good();
    tape.file = file;
}

static void append_only_appends_and_does_not_overwrite(void **state)
{
    (void)state;
    extension(1, 0);
    assert_good();
    two_files();
    static const uint64_t places[][2] = {{0, 0}, {1, 0}, {3, 1}, {4, 1}};
    for (size_t i = 0; i < 4; i++) {
        go(places[i][0], places[i][1]);
        write_bytes(10);
        assert_sense(7, 0x300C);
        assert_int_equal(get_be32(rq.sense + 3), 10); /* INFORMATION: what is not written */
        filemarks(3);
        assert_sense(7, 0x300C);
        assert_int_equal(get_be32(rq.sense + 3), 3);
        COMMAND(0x19, 0, 0, 0, 0, 0); /* ERASE */
        assert_sense(7, 0x300C);
        filemarks(0);
        assert_good();
        assert_int_equal(tape.object, places[i][0]);
    }
    go(0, 0);
    COMMAND(0x04, 0, 0, 0, 0, 0); /* FORMAT MEDIUM */
    assert_sense(7, 0x300C);
    assert_int_equal(tape.end_object, 6);
    go(5, 1); /* the last filemark may be written over */
    write_bytes(10);
    assert_good();
    assert_int_equal(tape.end_object, 6);
}

static void the_filemark_closest_to_bop_stays(void **state)
{
    (void)state;
    extension(1, 0);
    filemarks(2);
    assert_good();
    go(0, 0);
    write_bytes(10);
    assert_sense(7, 0x300C);
    go(1, 1);
    write_bytes(10);
    assert_good();
}

static void a_blank_tape_may_be_formatted_in_append_only_mode(void **state)
{
    (void)state;
    extension(1, 0);
    COMMAND(0x04, 0, 0, 0, 0, 0);
    assert_good();
}

static void allow_overwrite_is_for_one_place_and_once(void **state)
{
    (void)state;
    extension(1, 0);
    two_files();
    go(3, 1);
    allow(1, 4);
    assert_sense(5, 0x3B00); /* not the position */
    write_bytes(10);
    assert_sense(7, 0x300C);
    allow(1, 3);
    assert_good();
    write_bytes(10);
    assert_good();
    assert_int_equal(tape.end_object, 4);
    write_bytes(10); /* at the end: an append */
    assert_good();
    go(3, 1);
    write_bytes(10);
    assert_sense(7, 0x300C);
    allow(1, 3);
    go(3, 1); /* a move ends it */
    write_bytes(10);
    assert_sense(7, 0x300C);
    allow(1, 3);
    allow(0, 0); /* taken back */
    assert_good();
    write_bytes(10);
    assert_sense(7, 0x300C);
    allow(1, 3);
    tape.medium_changes++; /* another tape */
    write_bytes(10);
    assert_sense(7, 0x300C);
}

static void allow_overwrite_for_a_format(void **state)
{
    (void)state;
    extension(1, 0);
    two_files();
    allow(2, 0);
    assert_sense(5, 0x3B00); /* not at BOP */
    go(0, 0);
    allow(1, 0);
    assert_good();
    COMMAND(0x04, 0, 0, 0, 0, 0);
    assert_sense(7, 0x300C); /* that was for a write */
    allow(2, 0);
    assert_good();
    COMMAND(0x04, 0, 0, 0, 0, 0);
    assert_good();
    assert_int_equal(tape.end_object, 0);
}

static void allow_overwrite_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    allow(3, 0);
    assert_sense(5, 0x2400);
    assert_field(true, 2);
    COMMAND(0x82, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* partition 1 */
    assert_sense(5, 0x2400);
    assert_field(true, 3);
    COMMAND(0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
    assert_sense(5, 0x2400);
    assert_field(true, 12);
    tape = (struct tape_status){.medium = TAPE_MEDIUM_NONE};
    allow(1, 0);
    assert_sense(2, 0x3A00);
}

static void append_only_mode_is_not_left_while_a_tape_is_mounted(void **state)
{
    (void)state;
    extension(1, 0);
    assert_good();
    extension(1, 5); /* other fields may change */
    assert_good();
    extension(0, 5);
    assert_sense(5, 0x2600);
    assert_field(false, 21);
    tape.medium = TAPE_MEDIUM_UNLOADED;
    extension(0, 5);
    assert_good();
    tape.medium = TAPE_MEDIUM_LOADED;
    write_bytes(10);
    COMMAND(0x01, 0, 0, 0, 0, 0);
    write_bytes(10);
    assert_good();
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_left_of_filemarks_is_what_is_not_on_the_tape),
        T(the_zone_is_told_of_once),
        T(filemarks_can_enter_the_zone),
        T(the_zone_is_entered_anew_after_a_move),
        T(without_a_size_there_is_no_zone),
        T(early_warning_goes_before_programmable),
        T(a_failed_write_tells_its_own_sense),
        T(append_only_appends_and_does_not_overwrite),
        T(the_filemark_closest_to_bop_stays),
        T(a_blank_tape_may_be_formatted_in_append_only_mode),
        T(allow_overwrite_is_for_one_place_and_once),
        T(allow_overwrite_for_a_format),
        T(allow_overwrite_refuses_what_it_does_not_know),
        T(append_only_mode_is_not_left_while_a_tape_is_mounted),
    };
    return cmocka_run_group_tests_name("ssc append", tests, NULL, NULL);
}
