/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_early_warning.c: what a writer meets near the end of a tape of 8 MiB: programmable early warning, early warning,
 * the hard end 8 MiB behind it; and append-only mode. */
#include "tests/iscsi/library.h"

#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0
#define MIB 1048576u

static uint8_t *data;

static struct session *open_blank(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "SMALL1L8");
    return s;
}

static void write_mib(struct session *s, unsigned seed, struct reply *r)
{
    fill(data, MIB, seed);
    command(s, D, RW6(0x0A, 0, MIB), DATA_OUT, data, MIB, r);
    assert_residual(r, 0);
}

static void assert_early_warning(const struct reply *r)
{
    assert_sense(r, 0, 0x0002);
    assert_int_equal(sense_flags(r), 0x40);
    assert_int_equal(sense_information(r), 0);
}

static void write_to_early_warning(struct session *s)
{
    struct reply r;
    for (unsigned i = 0; i < 7; i++) {
        write_mib(s, i, &r);
        assert_good(&r);
    }
    write_mib(s, 7, &r);
    assert_early_warning(&r);
    assert_position(s, D, 8, 0);
}

static unsigned position_flags(struct session *s)
{
    uint8_t p[32];
    struct reply r;
    command(s, D, CDB(0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0), DATA_IN, p, sizeof(p), &r);
    assert_good(&r);
    return p[0];
}

/* Page 10h/01h as Proxmox Backup Server 4 sets it: read, WRITE MODE and PEWS changed, written. */
static void set_extension(struct session *s, unsigned write_mode, uint16_t pews, struct reply *r)
{
    uint8_t b[4096];
    command(s, D, CDB(0x5A, 0, 0x10, 0x01, 0, 0, 0, 0x10, 0, 0), DATA_IN, b, sizeof(b), r);
    assert_good(r);
    assert_int_equal(sizeof(b) - r->residual, 48);
    b[0] = b[1] = 0;
    b[16 + 5] = (uint8_t)(write_mode << 4 | (b[16 + 5] & 0x0f));
    put_be16(b + 16 + 6, pews);
    command(s, D, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 48, 0), DATA_OUT, b, 48, r);
}

static void every_write_behind_early_warning_says_so_and_is_written(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_to_early_warning(s);
    assert_int_equal(position_flags(s), 0x40);
    write_mib(s, 8, &r);
    assert_early_warning(&r);
    command(s, D, CDB(0x10, 1, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_early_warning(&r);
    command(s, D, CDB(0x10, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* a flush writes nothing */
    assert_good(&r);
    assert_position(s, D, 10, 1);
    uint8_t *back = malloc(MIB);
    assert_non_null(back);
    rewind_tape(s, D);
    for (unsigned i = 0; i < 9; i++) { /* reading never warns */
        fill(data, MIB, i);
        read_block(s, D, back, MIB, &r);
        assert_good(&r);
        assert_memory_equal(data, back, MIB);
    }
    read_block(s, D, back, MIB, &r);
    assert_sense(&r, 0, 0x0001);
    assert_int_equal(sense_flags(&r), 0x80);
    free(back);
    session_close(s);
}

/* Proxmox Backup Server writes its catalog there. */
static void there_is_room_behind_early_warning_and_then_an_end(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_to_early_warning(s);
    for (unsigned i = 8; i < 16; i++) {
        write_mib(s, i, &r);
        assert_early_warning(&r);
    }
    for (int again = 0; again < 2; again++) {
        command(s, D, RW6(0x0A, 0, MIB), DATA_OUT, data, MIB, &r);
        assert_sense(&r, 0xD, 0x0002);
        assert_int_equal(sense_flags(&r), 0x40);
        assert_int_equal(sense_information(&r), MIB);
        assert_position(s, D, 16, 0); /* nothing was written */
    }
    command(s, D, CDB(0x10, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r); /* a file can still be ended */
    assert_early_warning(&r);
    rewind_tape(s, D);
    assert_int_equal(position_flags(s), 0x80);
    write_mib(s, 0, &r); /* overwritten, it is empty again */
    assert_good(&r);
    assert_int_equal(position_flags(s), 0x00);
    session_close(s);
}

static void fixed_blocks_over_the_warning_are_all_written(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t list[12] = {0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0x08, 0, 0}; /* 512 KiB */
    command(s, D, CDB(0x15, 0x10, 0, 0, sizeof(list), 0), DATA_OUT, list, sizeof(list), &r);
    assert_good(&r);
    for (unsigned i = 0; i < 4; i++) { /* two MiB each */
        fill(data, 2 * MIB, i);
        command(s, D, CDB(0x0A, 1, 0, 0, 4, 0), DATA_OUT, data, 2 * MIB, &r);
        assert_residual(&r, 0);
        if (i < 3)
            assert_good(&r);
        else
            assert_early_warning(&r);
    }
    assert_position(s, D, 16, 0);
    for (unsigned i = 4; i < 7; i++) {
        command(s, D, CDB(0x0A, 1, 0, 0, 4, 0), DATA_OUT, data, 2 * MIB, &r);
        assert_early_warning(&r);
    }
    command(s, D, CDB(0x0A, 1, 0, 0, 8, 0), DATA_OUT, data, 4 * MIB, &r); /* four of eight fit */
    assert_sense(&r, 0xD, 0x0002);
    assert_int_equal(sense_information(&r), 4);
    assert_residual(&r, 2 * MIB);
    assert_position(s, D, 32, 0);
    list[9] = 0;
    command(s, D, CDB(0x15, 0x10, 0, 0, sizeof(list), 0), DATA_OUT, list, sizeof(list), &r);
    assert_good(&r);
    session_close(s);
}

/* What is behind early warning is part of neither, wherever it is told. */
static void a_full_tape_is_not_more_than_full(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint8_t page[1024];
    uint32_t capacity = 0, used = 0;
    write_to_early_warning(s);
    for (unsigned i = 8; i < 12; i++) {
        write_mib(s, i, &r);
        assert_early_warning(&r);
    }
    command(s, D, CDB(0x4D, 0, 0x57, 0, 0, 0, 0, 4, 0, 0), DATA_IN, page, sizeof(page), &r);
    assert_good(&r);
    for (size_t at = 4; at < 4u + get_be16(page + 2); at += 4u + page[at + 3]) {
        if (get_be16(page + at) == 0x0016)
            capacity = get_be32(page + at + 4);
        if (get_be16(page + at) == 0x0017)
            used = get_be32(page + at + 4);
    }
    assert_int_equal(capacity, 8);
    assert_int_equal(used, capacity);
    command(s, D, CDB(0x10, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* the list tells of what left the drive's memory */
    assert_good(&r);
    assert_int_equal(operator_says("--json tape list | tr -d ' \\n' | grep -q '\"SMALL1L8\",\"used_bytes\":8388608,'"),
                     0);
    session_close(s);
}

static void programmable_early_warning_comes_once_before(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    set_extension(s, 0, 3, &r); /* 3 MB of 8.39 */
    assert_good(&r);
    for (unsigned i = 0; i < 5; i++) {
        write_mib(s, i, &r);
        assert_good(&r);
        assert_int_equal(position_flags(s), 0);
    }
    write_mib(s, 5, &r);
    assert_sense(&r, 0, 0x0007);
    assert_int_equal(sense_flags(&r), 0);
    assert_int_equal(sense_information(&r), 0);
    assert_position(s, D, 6, 0);
    assert_int_equal(position_flags(s), 0x01); /* BPEW */
    write_mib(s, 6, &r);
    assert_good(&r);
    write_mib(s, 7, &r);
    assert_early_warning(&r);
    assert_int_equal(position_flags(s), 0x41);
    set_extension(s, 0, 0, &r);
    assert_good(&r);
    assert_int_equal(position_flags(s), 0x40);
    session_close(s);
}

static void append_only_mode_protects_what_is_there(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_mib(s, 0, &r);
    filemarks(s, D, 1);
    write_mib(s, 1, &r);
    set_extension(s, 1, 0, &r);
    assert_good(&r);
    rewind_tape(s, D);
    command(s, D, RW6(0x0A, 0, 512), DATA_OUT, data, 512, &r);
    assert_sense(&r, 7, 0x300C);
    assert_residual(&r, 512);
    command(s, D, CDB(0x04, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 7, 0x300C);
    command(s, D, CDB(0x19, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 7, 0x300C);
    command(s, D, CDB(0x11, 3, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, D, 3, 1);
    write_block(s, D, data, 512);
    /* ALLOW OVERWRITE behind the filemark, as for a new set of files */
    command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(s, D, CDB(0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x3B00);
    command(s, D, CDB(0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    write_block(s, D, data, 512);
    command(s, D, CDB(0x11, 3, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_position(s, D, 3, 1);
    set_extension(s, 0, 0, &r); /* not while the tape is mounted */
    assert_sense(&r, 5, 0x2600);
    command(s, D, CDB(0x1B, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    set_extension(s, 0, 0, &r);
    assert_good(&r);
    session_close(s);
}

/* What mode page 11h says of the one partition: 10^n bytes. */
static uint64_t partition_size(struct session *s)
{
    uint8_t b[64];
    struct reply r;
    command(s, D, CDB(0x5A, 8, 0x11, 0, 0, 0, 0, 0, 64, 0), DATA_IN, b, sizeof(b), &r);
    assert_good(&r);
    uint64_t size = get_be16(b + 8 + 8);
    for (unsigned i = 0; i < b[8 + 6]; i++)
        size *= 10;
    return size;
}

static void set_capacity_brings_early_warning_nearer(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    write_mib(s, 0, &r);
    command(s, D, CDB(0x0B, 0, 0, 0x40, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 5, 0x3B0C); /* not at BOP */
    rewind_tape(s, D);
    command(s, D, CDB(0x0B, 0, 0, 0x40, 0, 0), NO_DATA, NULL, 0, &r); /* a quarter: 2 MiB and 32 bytes */
    assert_good(&r);
    assert_position(s, D, 0, 0);
    read_block(s, D, data, 512, &r);
    assert_sense(&r, 8, 0x0005); /* blank */
    assert_int_equal(partition_size(s), 2097000);
    for (unsigned i = 0; i < 2; i++) {
        write_mib(s, i, &r);
        assert_good(&r);
    }
    write_mib(s, 2, &r);
    assert_early_warning(&r);
    empty_drive(s, 0); /* it is the cartridge's */
    load_tape(s, 0, "SMALL1L8");
    assert_int_equal(partition_size(s), 2097000);
    command(s, D, CDB(0x0B, 0, 0, 0xff, 0xff, 0), NO_DATA, NULL, 0, &r); /* and can be taken back */
    assert_good(&r);
    assert_int_equal(partition_size(s), 8388000);
    write_to_early_warning(s);
    session_close(s);
}

static int make_data(void **state)
{
    (void)state;
    data = malloc(4 * MIB);
    return data ? 0 : -1;
}

static int free_data(void **state)
{
    (void)state;
    free(data);
    return 0;
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_write_behind_early_warning_says_so_and_is_written),
        T(there_is_room_behind_early_warning_and_then_an_end),
        T(fixed_blocks_over_the_warning_are_all_written),
        T(a_full_tape_is_not_more_than_full),
        T(programmable_early_warning_comes_once_before),
        T(set_capacity_brings_early_warning_nearer),
        T(append_only_mode_protects_what_is_there),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
