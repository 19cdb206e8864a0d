/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reservation.c: which commands a reservation keeps out, per device type. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vtl/target/reservation.h"

static void what_changes_the_tape_or_its_position_conflicts(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x01, 0x04, 0x08, 0x0A, 0x10, 0x11, 0x13, 0x15,
                                      0x19, 0x1B, 0x2B, 0x34, 0x80, 0x91, 0x92};
    for (size_t i = 0; i < sizeof(opcodes); i++)
        assert_int_equal(reservation_class(SCSI_TYPE_TAPE, opcodes[i]), RESERVATION_CONFLICT);
}

static void what_moves_cartridges_conflicts(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x07, 0x2B, 0x37, 0xA5, 0xA6, 0x1E};
    for (size_t i = 0; i < sizeof(opcodes); i++)
        assert_int_equal(reservation_class(SCSI_TYPE_CHANGER, opcodes[i]), RESERVATION_CONFLICT);
    assert_int_equal(reservation_class(SCSI_TYPE_TAPE, 0xA5), RESERVATION_ALLOWED);
    assert_int_equal(reservation_class(SCSI_TYPE_CHANGER, 0x0A), RESERVATION_ALLOWED);
}

static void what_only_asks_is_allowed(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x00, 0x03, 0x05, 0x12, 0x44, 0x4D, 0x5E, 0x5F, 0xA0, 0xB8};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        assert_int_equal(reservation_class(SCSI_TYPE_TAPE, opcodes[i]), RESERVATION_ALLOWED);
        assert_int_equal(reservation_class(SCSI_TYPE_CHANGER, opcodes[i]), RESERVATION_ALLOWED);
    }
}

static void what_reads_settings_conflicts_with_exclusive_access(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x1A, 0x5A, 0x8C, 0xA2, 0xA3};
    for (size_t i = 0; i < sizeof(opcodes); i++)
        assert_int_equal(reservation_class(SCSI_TYPE_TAPE, opcodes[i]), RESERVATION_READS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_the_tape_or_its_position_conflicts),
        cmocka_unit_test(what_moves_cartridges_conflicts),
        cmocka_unit_test(what_only_asks_is_allowed),
        cmocka_unit_test(what_reads_settings_conflicts_with_exclusive_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
