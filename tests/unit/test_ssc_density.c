/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_density.c: REPORT DENSITY SUPPORT: densities and medium types, of the drive and of the mounted cartridge. */
#include "tests/unit/tape_model.h"

enum { DENSITY = 52, MEDIUM = 56 };

static void report(uint8_t bits, uint16_t alloc)
{
    COMMAND(0x44, bits, 0, 0, 0, 0, 0, (uint8_t)(alloc >> 8), (uint8_t)alloc, 0);
}

static void the_densities_of_the_drive(void **state)
{
    (void)state;
    static const uint8_t codes[] = {0x58, 0x5A, 0x5C, 0x5E}; /* an LTO-8 drive */
    report(0, 4096);
    assert_good();
    assert_int_equal(rq.in_actual, 4 + 4 * DENSITY);
    assert_int_equal(get_be16(in), rq.in_actual - 2);
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *d = in + 4 + i * DENSITY;
        assert_int_equal(d[0], codes[i]);
        assert_int_equal(d[1], codes[i]);
        assert_int_equal(d[2], i == 3 ? 0xA0 : 0x80); /* WRTOK, DEFLT */
    }
    assert_int_equal(get_be32(in + 4 + 3 * DENSITY + 12), 12000000); /* megabytes */
}

static void the_density_of_the_cartridge(void **state)
{
    (void)state;
    tape.density = 0x5A;
    report(1, 4096);
    assert_int_equal(rq.in_actual, 4 + DENSITY);
    assert_int_equal(in[4], 0x5A);
}

static void the_media_that_the_drive_takes(void **state)
{
    (void)state;
    report(2, 4096);
    assert_good();
    assert_int_equal(rq.in_actual, 4 + 8 * MEDIUM);
    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *d = in + 4 + i * MEDIUM;
        assert_int_equal(d[0], (5 + i / 2) << 4 | (i % 2 ? 0x0C : 0x08)); /* data, WORM */
        assert_int_equal(get_be16(d + 2), MEDIUM - 4);
        assert_int_equal(d[4], 1);
    }
    assert_memory_equal(in + 4 + 7 * MEDIUM + 28, "U-8 WORM", 8);
    assert_memory_equal(in + 4 + 6 * MEDIUM + 36, "Ultrium 8 Data      ", 20);
}

static void the_type_of_the_cartridge(void **state)
{
    (void)state;
    for (int worm = 0; worm < 2; worm++) {
        tape.worm = worm;
        report(3, 4096);
        assert_int_equal(rq.in_actual, 4 + MEDIUM);
        assert_int_equal(in[4], worm ? 0x8C : 0x88);
        assert_int_equal(in[4 + 5], 0x5E);
        COMMAND(0x1A, 0, 0, 0, 4, 0);
        assert_int_equal(in[1], worm ? 0x8C : 0x88); /* the mode parameter header says the same */
    }
}

static void an_empty_drive_knows_its_own_only(void **state)
{
    (void)state;
    tape = (struct tape_status){.medium = TAPE_MEDIUM_NONE};
    report(0, 4096);
    assert_good();
    report(2, 4096);
    assert_good();
    report(1, 4096);
    assert_sense(2, 0x3A00);
    report(3, 4096);
    assert_sense(2, 0x3A00);
}

static void allocation_cuts(void **state)
{
    (void)state;
    static const uint16_t lengths[] = {0, 1, 2, 4, 30};
    for (size_t i = 0; i < 5; i++) {
        report(0, lengths[i]);
        assert_good();
        assert_int_equal(rq.in_actual, lengths[i]);
    }
    report(4, 100);
    assert_sense(5, 0x2400);
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_densities_of_the_drive), T(the_density_of_the_cartridge),      T(the_media_that_the_drive_takes),
        T(the_type_of_the_cartridge),  T(an_empty_drive_knows_its_own_only), T(allocation_cuts),
    };
    return cmocka_run_group_tests_name("ssc density", tests, NULL, NULL);
}
