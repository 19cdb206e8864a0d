/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_work.c: ERASE and FORMAT MEDIUM: where they are allowed, and IMMED, which answers before the work is done.
 */
#include "tests/unit/tape_model.h"

#define TEST_UNIT_READY 0x00, 0, 0, 0, 0, 0
#define FORMAT 0x04, 0, 0, 0, 0, 0
#define FORMAT_IMMED 0x04, 1, 0, 0, 0, 0
#define ERASE 0x19, 0, 0, 0, 0, 0
#define ERASE_IMMED 0x19, 3, 0, 0, 0, 0

static void (*after)(struct scsi_lun *lun, const atomic_bool *cancelled);

/* The command is answered; what is left of it waits in after. */
static void assert_deferred(void)
{
    assert_good();
    assert_non_null(rq.after);
    after = rq.after;
    assert_int_equal(tape_calls, 0);
}

static void finish(const atomic_bool *cancelled)
{
    after(drive, cancelled);
}

static void fill_tape(uint64_t at)
{
    tape.object = at;
    tape.end_object = 9;
    tape.used = 900;
}

static void format_immed_answers_and_then_formats(void **state)
{
    (void)state;
    can_defer = true;
    fill_tape(0);
    COMMAND(FORMAT_IMMED);
    assert_deferred();
    COMMAND(TEST_UNIT_READY);
    assert_sense(2, 0x0404);
    assert_int_equal(rq.sense[15], 0x80); /* SKSV: PROGRESS INDICATION follows */
    COMMAND(0x08, 0, 0, 2, 0, 0);         /* READ is told, and does not wait */
    assert_sense(2, 0x0404);
    COMMAND(0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_sense(2, 0x0404);
    COMMAND(0x03, 0, 0, 0, 252, 0); /* REQUEST SENSE */
    assert_good();
    assert_int_equal(in[2], 2);
    assert_int_equal(get_be16(in + 12), 0x0404);
    assert_int_equal(in[15], 0x80);
    COMMAND(0x12, 0, 0, 0, 36, 0); /* what needs no medium is done */
    assert_good();
    COMMAND(0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0, 0);
    assert_good();
    assert_int_equal(tape_calls, 0);
    finish(&never);
    COMMAND(TEST_UNIT_READY);
    assert_good();
    assert_int_equal(tape.end_object, 0);
    COMMAND(0x03, 0, 0, 0, 252, 0);
    assert_int_equal(in[2], 0);
}

static void erase_immed_answers_and_then_erases(void **state)
{
    (void)state;
    can_defer = true;
    fill_tape(4);
    COMMAND(ERASE_IMMED);
    assert_deferred();
    COMMAND(TEST_UNIT_READY);
    assert_sense(2, 0x0407);
    finish(&never);
    COMMAND(TEST_UNIT_READY);
    assert_good();
    assert_int_equal(tape.end_object, 4);
}

static void without_immed_the_answer_comes_last(void **state)
{
    (void)state;
    can_defer = true;
    fill_tape(0);
    COMMAND(FORMAT);
    assert_good();
    assert_null(rq.after);
    assert_int_equal(tape.end_object, 0);
    fill_tape(4);
    COMMAND(ERASE);
    assert_null(rq.after);
    assert_int_equal(tape.end_object, 4);
    can_defer = false; /* a transport that cannot gets the same by waiting */
    fill_tape(0);
    COMMAND(FORMAT_IMMED);
    assert_good();
    assert_null(rq.after);
    assert_int_equal(tape.end_object, 0);
}

static void what_cannot_be_is_told_before_the_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        can_defer = i;
        fill_tape(0);
        tape.write_protected = true;
        COMMAND(FORMAT_IMMED);
        assert_sense(7, 0x2700);
        COMMAND(ERASE_IMMED);
        assert_sense(7, 0x2700);
        tape.write_protected = false;
    }
    tape.locked = true;
    COMMAND(FORMAT_IMMED);
    assert_sense(7, 0x300C);
    COMMAND(ERASE_IMMED);
    assert_sense(7, 0x300C);
    tape.locked = false;
    tape.worm = true;
    COMMAND(FORMAT_IMMED);
    assert_sense(7, 0x300C);
    fill_tape(3);
    COMMAND(ERASE_IMMED);
    assert_sense(7, 0x300C);
    fill_tape(9); /* nothing behind it to erase */
    COMMAND(ERASE_IMMED);
    assert_good();
    after = rq.after;
    finish(&never);
    assert_int_equal(tape.end_object, 9);
    COMMAND(TEST_UNIT_READY);
    assert_good();
}

static void a_failure_behind_the_answer_is_a_deferred_error(void **state)
{
    (void)state;
    can_defer = true;
    fill_tape(0);
    COMMAND(FORMAT_IMMED);
    assert_deferred();
    tape.write_protected = true; /* now it cannot be done */
    finish(&never);
    COMMAND(TEST_UNIT_READY);
    assert_sense(7, 0x2700);
    assert_int_equal(rq.sense[0] & 0x7f, 0x71);
    COMMAND(TEST_UNIT_READY); /* told once */
    assert_good();
    assert_int_equal(tape.end_object, 9);
}

static enum tape_result cancelled_format(void *self, const atomic_bool *cancel)
{
    (void)self;
    return atomic_load(cancel) ? TAPE_CANCELLED : TAPE_INTERNAL;
}

static void the_end_of_the_logical_unit_ends_it_silently(void **state)
{
    (void)state;
    static const atomic_bool ends = true;
    struct tape_ops ops = model_ops;
    ops.format = cancelled_format;
    const struct scsi_identity id = {.type = SCSI_TYPE_TAPE, .serial = "S"};
    struct scsi_lun *model = drive;
    drive = ssc_lun_new(&id, &(struct ssc_options){.generation = 8}, &ops, NULL);
    can_defer = true;
    fill_tape(0);
    COMMAND(FORMAT_IMMED);
    assert_deferred();
    finish(&ends);
    COMMAND(TEST_UNIT_READY);
    assert_good();
    drive->destroy(drive);
    drive = model;
}

static void format_wants_bop_and_fields_that_exist(void **state)
{
    (void)state;
    fill_tape(1);
    COMMAND(FORMAT);
    assert_sense(5, 0x3B0C);
    COMMAND(FORMAT_IMMED);
    assert_sense(5, 0x3B0C);
    assert_int_equal(tape.end_object, 9);
    fill_tape(0);
    COMMAND(0x04, 0x02, 0, 0, 0, 0); /* VERIFY */
    assert_sense(5, 0x2400);
    assert_field(true, 1);
    COMMAND(0x04, 0, 0x03, 0, 0, 0); /* FORMAT 3h is reserved */
    assert_sense(5, 0x2400);
    assert_field(true, 2);
    COMMAND(0x04, 0, 0, 0, 4, 0); /* TRANSFER LENGTH: no vendor's data */
    assert_sense(5, 0x2400);
    assert_field(true, 4);
    assert_int_equal(tape.end_object, 9);
    for (uint8_t format = 0; format < 3; format++) { /* default, partition, both: one partition each time */
        fill_tape(0);
        COMMAND(0x04, 0, format, 0, 0, 0);
        assert_good();
        assert_int_equal(tape.end_object, 0);
    }
}

static void set_capacity_makes_a_blank_part_of_the_tape(void **state)
{
    (void)state;
    fill_tape(1);
    COMMAND(0x0B, 0, 0, 0x80, 0x00, 0);
    assert_sense(5, 0x3B0C);
    assert_int_equal(tape_calls, 0);
    fill_tape(0);
    COMMAND(0x0B, 0, 0, 0x80, 0x00, 0);
    assert_good();
    assert_int_equal(tape.capacity, 0x8000);
    assert_int_equal(tape.end_object, 0);
    can_defer = true;
    tape_calls = 0;
    fill_tape(0);
    COMMAND(0x0B, 1, 0, 0xff, 0xff, 0);
    assert_deferred();
    COMMAND(TEST_UNIT_READY);
    assert_sense(2, 0x0407);
    finish(&never);
    assert_int_equal(tape.capacity, 0xffff);
    fill_tape(0);
    tape.worm = true;
    COMMAND(0x0B, 1, 0, 0, 1, 0);
    assert_sense(7, 0x300C);
    tape.worm = false;
    tape.write_protected = true;
    COMMAND(0x0B, 0, 0, 0, 1, 0);
    assert_sense(7, 0x2700);
    COMMAND(0x0B, 2, 0, 0, 1, 0);
    assert_sense(5, 0x2400);
    assert_int_equal(tape.capacity, 0xffff);
}

static void an_empty_drive_has_nothing_to_format(void **state)
{
    (void)state;
    static const uint8_t cdbs[][6] = {{FORMAT}, {FORMAT_IMMED}, {ERASE}, {ERASE_IMMED}, {0x0B, 0, 0, 1, 0, 0}};
    can_defer = true;
    for (int unloaded = 0; unloaded < 2; unloaded++) {
        tape = (struct tape_status){.medium = unloaded ? TAPE_MEDIUM_UNLOADED : TAPE_MEDIUM_NONE};
        for (size_t i = 0; i < 5; i++) {
            command_of(7, cdbs[i], 6, sizeof(in), NULL, 0);
            assert_sense(2, 0x3A00);
            assert_null(rq.after);
        }
    }
    assert_int_equal(tape_calls, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(format_immed_answers_and_then_formats),
        T(erase_immed_answers_and_then_erases),
        T(without_immed_the_answer_comes_last),
        T(what_cannot_be_is_told_before_the_answer),
        T(a_failure_behind_the_answer_is_a_deferred_error),
        T(the_end_of_the_logical_unit_ends_it_silently),
        T(format_wants_bop_and_fields_that_exist),
        T(set_capacity_makes_a_blank_part_of_the_tape),
        T(an_empty_drive_has_nothing_to_format),
    };
    return cmocka_run_group_tests_name("ssc work", tests, NULL, NULL);
}
