/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_drive.c: reading, writing and positioning as initiators see it: data, sense, residuals, flags. */
#include "tests/iscsi/library.h"

#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0

static struct session *open_blank(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    return s;
}

static void space(struct session *s, uint8_t code, int32_t n, struct reply *r)
{
    command(s, D, CDB(0x11, code, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 0), NO_DATA, NULL, 0, r);
}

/* Blocks of 1000 + i bytes: n of them, a filemark, n more, a filemark. */
static void write_two_files(struct session *s, unsigned n)
{
    uint8_t block[2000];
    for (unsigned i = 0; i < 2 * n; i++) {
        fill(block, 1000 + i, i);
        write_block(s, D, block, 1000 + i);
        if (i % n == n - 1)
            filemarks(s, D, 1);
    }
}

static void a_blank_tape_is_at_its_end(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[512];
    memset(buf, 0xEE, sizeof(buf));
    for (int i = 0; i < 2; i++) {
        read_block(s, D, buf, sizeof(buf), &r);
        assert_sense(&r, 8, 0x0005);
        assert_residual(&r, sizeof(buf));
        assert_int_equal(buf[0], 0xEE);
    }
    space(s, 3, 0, &r);
    assert_good(&r);
    assert_position(s, D, 0, 0);
    session_close(s);
}

static void blocks_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    static const uint32_t sizes[] = {1,     2,     3,      5,      511,     512,     1023,   8191,
                                     65536, 65537, 262144, 262145, 1048576, 4194303, 8388608};
    enum { N = sizeof(sizes) / sizeof(*sizes) };
    uint8_t *block = malloc(8388608), *back = malloc(8388608);
    assert_true(block && back);
    for (size_t i = 0; i < N; i++) {
        fill(block, sizes[i], i);
        write_block(s, D, block, sizes[i]);
    }
    filemarks(s, D, 1);
    rewind_tape(s, D);
    for (size_t i = 0; i < N; i++) {
        fill(block, sizes[i], i);
        read_block(s, D, back, sizes[i], &r);
        assert_good(&r);
        assert_residual(&r, 0);
        assert_memory_equal(block, back, sizes[i]);
    }
    free(block);
    free(back);
    session_close(s);
}

static void random_sizes_to_8_mib_come_back(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t *block = malloc(8388608), *back = malloc(8388608);
    assert_true(block && back);
    enum { N = 60 };
    uint32_t sizes[N];
    unsigned x = 20261123;
    for (size_t i = 0; i < N; i++) {
        x = x * 1664525 + 1013904223;
        sizes[i] = 1 + (x >> 8) % (i % 6 ? 300000u : 8388608u);
        fill(block, sizes[i], 1000 + i);
        write_block(s, D, block, sizes[i]);
    }
    rewind_tape(s, D);
    for (size_t i = 0; i < N; i++) {
        fill(block, sizes[i], 1000 + i);
        read_block(s, D, back, 8388608, &r);
        assert_good(&r);
        assert_residual(&r, 8388608 - sizes[i]);
        assert_memory_equal(block, back, sizes[i]);
    }
    free(block);
    free(back);
    session_close(s);
}

static void a_short_block_is_an_underflow(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[1000], block[100];
    fill(block, sizeof(block), 5);
    write_block(s, D, block, sizeof(block));
    rewind_tape(s, D);
    memset(buf, 0xEE, sizeof(buf));
    read_block(s, D, buf, sizeof(buf), &r); /* SILI: GOOD */
    assert_good(&r);
    assert_residual(&r, 900);
    assert_memory_equal(buf, block, sizeof(block));
    assert_int_equal(buf[100], 0xEE);
    rewind_tape(s, D);
    memset(buf, 0xEE, sizeof(buf));
    command(s, D, RW6(0x08, 0, 1000), DATA_IN, buf, sizeof(buf), &r); /* ILI, and the data comes all the same */
    assert_sense(&r, 0, 0x0000);
    assert_int_equal(sense_flags(&r), 0x20);
    assert_int_equal(sense_information(&r), 900);
    assert_residual(&r, 900);
    assert_memory_equal(buf, block, sizeof(block));
    session_close(s);
}

static void a_long_block_is_cut(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[64], block[100];
    fill(block, sizeof(block), 6);
    write_block(s, D, block, sizeof(block));
    rewind_tape(s, D);
    read_block(s, D, buf, sizeof(buf), &r); /* SILI, block length 0: GOOD */
    assert_good(&r);
    assert_residual(&r, 0);
    assert_memory_equal(buf, block, sizeof(buf));
    rewind_tape(s, D);
    command(s, D, RW6(0x08, 0, 64), DATA_IN, buf, sizeof(buf), &r);
    assert_sense(&r, 0, 0x0000);
    assert_int_equal(sense_flags(&r), 0x20);
    assert_int_equal(sense_information(&r), -36);
    assert_residual(&r, 0);
    assert_position(s, D, 1, 0);
    session_close(s);
}

static void a_filemark_ends_a_read(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[512];
    filemarks(s, D, 1);
    rewind_tape(s, D);
    memset(buf, 0xEE, sizeof(buf));
    read_block(s, D, buf, sizeof(buf), &r);
    assert_sense(&r, 0, 0x0001);
    assert_int_equal(sense_flags(&r), 0x80);
    assert_int_equal(sense_information(&r), 512);
    assert_residual(&r, 512);
    assert_int_equal(buf[0], 0xEE);
    assert_position(s, D, 1, 1);
    session_close(s);
}

static void set_block_length(struct session *s, uint32_t len)
{
    uint8_t list[12] = {0, 0, 0x10, 8};
    struct reply r;
    put_be24(list + 9, len);
    command(s, D, CDB(0x15, 0x10, 0, 0, sizeof(list), 0), DATA_OUT, list, sizeof(list), &r);
    assert_good(&r);
    assert_residual(&r, 0);
}

static void fixed_blocks_before_a_filemark_are_delivered_with_it(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t block[3 * 512], buf[5 * 512];
    set_block_length(s, 512);
    fill(block, sizeof(block), 8);
    command(s, D, CDB(0x0A, 1, 0, 0, 3, 0), DATA_OUT, block, sizeof(block), &r);
    assert_good(&r);
    assert_residual(&r, 0);
    filemarks(s, D, 1);
    rewind_tape(s, D);
    memset(buf, 0xEE, sizeof(buf));
    command(s, D, CDB(0x08, 1, 0, 0, 5, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_sense(&r, 0, 0x0001); /* data-in and CHECK CONDITION in one command */
    assert_int_equal(sense_flags(&r), 0x80);
    assert_int_equal(sense_information(&r), 2);
    assert_residual(&r, 2 * 512);
    assert_memory_equal(buf, block, sizeof(block));
    assert_int_equal(buf[sizeof(block)], 0xEE);
    assert_position(s, D, 4, 1);
    set_block_length(s, 0);
    session_close(s);
}

static void fixed_mode_without_a_block_length_is_refused(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[512] = {0};
    command(s, D, CDB(0x08, 1, 0, 0, 1, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_sense(&r, 5, 0x2400);
    assert_residual(&r, 512);
    command(s, D, CDB(0x0A, 1, 0, 0, 1, 0), DATA_OUT, buf, sizeof(buf), &r);
    assert_sense(&r, 5, 0x2400);
    assert_residual(&r, 512);
    assert_position(s, D, 0, 0);
    session_close(s);
}

static void a_transfer_of_nothing_is_good(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    command(s, D, RW6(0x0A, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, D, RW6(0x08, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, 0, 0);
    session_close(s);
}

static void a_block_beyond_8_mib_is_refused(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint32_t len = 8388609;
    uint8_t *buf = calloc(1, len);
    assert_non_null(buf);
    command(s, D, RW6(0x0A, 0, len), DATA_OUT, buf, len, &r);
    assert_sense(&r, 5, 0x2400);
    assert_residual(&r, len);
    assert_position(s, D, 0, 0);
    free(buf);
    session_close(s);
}

/* The initiator expects more or less than the CDB says. */
static void lengths_that_disagree(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t block[4096], buf[4096];
    fill(block, sizeof(block), 3);
    command(s, D, RW6(0x0A, 0, 1000), DATA_OUT, block, 4096,
            &r); /* more data-out than the block has: the rest is left over */
    assert_good(&r);
    assert_residual(&r, 3096);
    command(s, D, RW6(0x0A, 0, 4096), DATA_OUT, block, 1000, &r); /* less: not a byte may be made up */
    assert_int_equal(r.status, 2);
    assert_position(s, D, 1, 0);
    rewind_tape(s, D);
    memset(buf, 0xEE, sizeof(buf));
    command(s, D, RW6(0x08, 2, 1000), DATA_IN, buf, 4096, &r);
    assert_good(&r);
    assert_residual(&r, 3096);
    assert_memory_equal(buf, block, 1000);
    assert_int_equal(buf[1000], 0xEE);
    rewind_tape(s, D);
    memset(buf, 0xEE, sizeof(buf));
    command(s, D, RW6(0x08, 2, 1000), DATA_IN, buf, 500, &r); /* room for half of it: never more than that arrives */
    assert_int_equal(buf[500], 0xEE);
    assert_true(r.status == 0 || r.status == 2);
    session_close(s);
}

/* A command that takes no data, with data: it must be taken off the wire and reported as left over. */
static void data_out_that_no_one_wants(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t *junk = calloc(1, 3000000);
    assert_non_null(junk);
    command(s, D, CDB(0x01, 0, 0, 0, 0, 0), DATA_OUT, junk, 3000000, &r);
    assert_good(&r);
    assert_residual(&r, 3000000);
    free(junk);
    session_close(s);
}

static void writing_in_the_middle_cuts_the_rest_off(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[4000], block[10];
    write_two_files(s, 4);
    command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    fill(block, sizeof(block), 99);
    write_block(s, D, block, sizeof(block));
    read_block(s, D, buf, sizeof(buf), &r);
    assert_sense(&r, 8, 0x0005);
    rewind_tape(s, D);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t old[2000];
        fill(old, 1000 + i, i);
        read_block(s, D, buf, sizeof(buf), &r);
        assert_good(&r);
        assert_memory_equal(buf, old, 1000 + i);
    }
    read_block(s, D, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_memory_equal(buf, block, sizeof(block));
    session_close(s);
}

static void space_counts_blocks_and_filemarks_both_ways(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_two_files(s, 4); /* objects: 4 blocks, FM at 4, 4 blocks, FM at 9, end at 10 */
    rewind_tape(s, D);
    space(s, 0, 3, &r);
    assert_good(&r);
    assert_position(s, D, 3, 0);
    space(s, 0, 3, &r); /* one block, then the filemark */
    assert_sense(&r, 0, 0x0001);
    assert_int_equal(sense_flags(&r), 0x80);
    assert_int_equal(sense_information(&r), 2);
    assert_position(s, D, 5, 1);
    space(s, 0, -1, &r); /* backwards: on its beginning side */
    assert_sense(&r, 0, 0x0001);
    assert_int_equal(sense_information(&r), 1);
    assert_position(s, D, 4, 0);
    space(s, 0, -9, &r);
    assert_sense(&r, 0, 0x0004);
    assert_int_equal(sense_flags(&r), 0x40);
    assert_int_equal(sense_information(&r), 5);
    assert_position(s, D, 0, 0);
    space(s, 1, 2, &r);
    assert_good(&r);
    assert_position(s, D, 10, 2);
    space(s, 1, 1, &r);
    assert_sense(&r, 8, 0x0005);
    assert_int_equal(sense_information(&r), 1);
    space(s, 1, -2, &r);
    assert_good(&r);
    assert_position(s, D, 4, 0);
    space(s, 1, -1, &r);
    assert_sense(&r, 0, 0x0004);
    assert_position(s, D, 0, 0);
    space(s, 3, 0, &r);
    assert_good(&r);
    assert_position(s, D, 10, 2);
    command(s, D, CDB(0x91, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, 9, 1);
    session_close(s);
}

static void locate_finds_objects_files_and_the_end(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_two_files(s, 4);
    command(s, D, CDB(0x2B, 0, 0, 0, 0, 0, 7, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, 7, 1);
    command(s, D, CDB(0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, 5, 1);
    command(s, D, CDB(0x92, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, 10, 2);
    command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 8, 0x0005);
    assert_position(s, D, 10, 2);
    command(s, D, CDB(0x92, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x2400);
    session_close(s);
}

static void read_position_has_three_forms(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t p[64];
    write_two_files(s, 4);
    command(s, D, CDB(0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0), DATA_IN, p, 20, &r);
    assert_good(&r);
    assert_residual(&r, 0);
    assert_int_equal(get_be32(p + 4), 10);
    command(s, D, CDB(0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0), DATA_IN, p, 64, &r);
    assert_good(&r);
    assert_residual(&r, 32);
    command(s, D, CDB(0x34, 8, 0, 0, 0, 0, 0, 0, 32, 0), DATA_IN, p, 32, &r);
    assert_good(&r);
    assert_residual(&r, 0);
    assert_int_equal(get_be64(p + 8), 10);
    session_close(s);
}

static void erase_and_format_make_an_end(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_two_files(s, 4);
    command(s, D, CDB(0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, D, CDB(0x19, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    space(s, 3, 0, &r);
    assert_good(&r);
    assert_position(s, D, 5, 1);
    rewind_tape(s, D);
    command(s, D, CDB(0x04, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    space(s, 3, 0, &r);
    assert_good(&r);
    assert_position(s, D, 0, 0);
    session_close(s);
}

static void unload_leaves_the_cartridge_and_load_threads_it(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[4000];
    write_two_files(s, 4);
    command(s, D, CDB(0x1B, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 2, 0x3A00);
    read_block(s, D, buf, sizeof(buf), &r);
    assert_sense(&r, 2, 0x3A00);
    assert_residual(&r, sizeof(buf));
    assert_true(element_full(s, DRIVE, NULL));
    command(s, D, CDB(0x1B, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    settle(s, D);
    assert_position(s, D, 0, 0);
    space(s, 3, 0, &r);
    assert_good(&r);
    assert_position(s, D, 10, 2);
    session_close(s);
}

static void an_empty_drive_says_so_at_once(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[512] = {0};
    empty_drive(s, 0);
    settle(s, D);
    static const uint8_t cdbs[][6] = {{0x00}, {0x01}, {0x11, 3}, {0x10, 0}, {0x19}, {0x04}};
    for (size_t i = 0; i < sizeof(cdbs) / sizeof(*cdbs); i++) {
        command(s, D, cdbs[i], 6, NO_DATA, NULL, 0, &r);
        assert_sense(&r, 2, 0x3A00);
    }
    read_block(s, D, buf, sizeof(buf), &r);
    assert_sense(&r, 2, 0x3A00);
    command(s, D, RW6(0x0A, 0, 512), DATA_OUT, buf, sizeof(buf), &r);
    assert_sense(&r, 2, 0x3A00);
    assert_residual(&r, 512);
    session_close(s);
}

static void limits_and_densities_are_told(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t buf[1024];
    command(s, D, CDB(0x05, 0, 0, 0, 0, 0), DATA_IN, buf, 6, &r);
    assert_good(&r);
    assert_residual(&r, 0);
    assert_int_equal(get_be24(buf + 1), 8388608);
    assert_int_equal(get_be16(buf + 4), 1);
    command(s, D, CDB(0x44, 0, 0, 0, 0, 0, 0, 4, 0, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    assert_int_equal(get_be16(buf) + 2, sizeof(buf) - r.residual);
    assert_int_equal((get_be16(buf) - 2) % 52, 0);
    session_close(s);
}

/* pbs-tape 2.8: what PBS does at the end of a tape that ends in a filemark. */
static void check_filemark_as_pbs_does_it(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_two_files(s, 2);
    space(s, 3, 0, &r);
    assert_good(&r);
    space(s, 0, -1, &r);
    assert_sense(&r, 0, 0x0001);
    space(s, 1, 1, &r);
    assert_good(&r);
    assert_position(s, D, 6, 2);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_blank_tape_is_at_its_end),
        T(blocks_come_back_as_they_were_written),
        T(random_sizes_to_8_mib_come_back),
        T(a_short_block_is_an_underflow),
        T(a_long_block_is_cut),
        T(a_filemark_ends_a_read),
        T(fixed_blocks_before_a_filemark_are_delivered_with_it),
        T(fixed_mode_without_a_block_length_is_refused),
        T(a_transfer_of_nothing_is_good),
        T(a_block_beyond_8_mib_is_refused),
        T(lengths_that_disagree),
        T(data_out_that_no_one_wants),
        T(writing_in_the_middle_cuts_the_rest_off),
        T(space_counts_blocks_and_filemarks_both_ways),
        T(locate_finds_objects_files_and_the_end),
        T(read_position_has_three_forms),
        T(erase_and_format_make_an_end),
        T(unload_leaves_the_cartridge_and_load_threads_it),
        T(an_empty_drive_says_so_at_once),
        T(limits_and_densities_are_told),
        T(check_filemark_as_pbs_does_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
