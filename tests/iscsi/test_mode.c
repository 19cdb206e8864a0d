/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_mode.c: MODE SENSE and MODE SELECT over iSCSI: what PBS does at each open, two initiators, lists that are too
 * short or too long for their command. */
#include "tests/iscsi/library.h"

#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0

static struct session *open_loaded(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    return s;
}

/* MODE SENSE(10) as PBS sends it: all of 4096 bytes, what came by the residual. */
static size_t sense(struct session *s, uint8_t page, uint8_t subpage, uint8_t b[4096])
{
    struct reply r;
    memset(b, 0xEE, 4096);
    command(s, D, CDB(0x5A, 0, page, subpage, 0, 0, 0, 0x10, 0, 0), DATA_IN, b, 4096, &r);
    assert_good(&r);
    assert_int_equal(r.flag, RESIDUAL_UNDERFLOW);
    size_t n = 4096 - r.residual;
    assert_int_equal(get_be16(b), n - 2);
    assert_int_equal(get_be16(b + 6), 8);
    return n;
}

static void select_list(struct session *s, const uint8_t *list, uint8_t promised, size_t sent, struct reply *r)
{
    command(s, D, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, promised, 0), DATA_OUT, (void *)(uintptr_t)list, sent, r);
}

/* read_compression_page, set_drive_options */
static void open_as_pbs(struct session *s)
{
    uint8_t b[4096];
    struct reply r;
    assert_int_equal(sense(s, 0x0F, 0, b), 32);
    b[0] = b[1] = 0;
    b[3] = (uint8_t)((b[3] & 0x8f) | 0x10);
    put_be24(b + 13, 0);
    b[18] |= 0x80;
    select_list(s, b, 32, 32, &r);
    assert_good(&r);
    assert_residual(&r, 0);
}

static void pbs_opens_a_drive_again_and_again(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    uint8_t block[512] = {1};
    for (int i = 0; i < 3; i++) {
        open_as_pbs(s);
        write_block(s, D, block, sizeof(block));
        open_as_pbs(s);
        assert_position(s, D, (uint64_t)i + 1, 0); /* it does not move the tape */
        command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r); /* nor tell its own changes to itself */
    }
    empty_drive(s, 0);
    settle(s, D);
    open_as_pbs(s); /* an empty drive too */
    session_close(s);
}

static void a_change_is_told_to_the_other_initiator_only(void **state)
{
    (void)state;
    struct session *s = open_loaded(), *t = session_open(&(struct session_options){.name = "other"});
    uint8_t b[4096];
    struct reply r;
    settle_all(t);
    (void)sense(s, 0x0F, 0, b);
    b[0] = b[1] = 0;
    b[18] &= 0x7f; /* DCE off */
    select_list(s, b, 32, 32, &r);
    assert_good(&r);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    command(t, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2A01);
    command(t, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    (void)sense(t, 0x0F, 0, b);
    assert_int_equal(b[18], 0x40);
    open_as_pbs(s);
    session_close(t);
    session_close(s);
}

static void a_list_that_disagrees_with_its_command(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    uint8_t list[4096], now[4096];
    struct reply r;
    (void)sense(s, 0x0F, 0, list);
    list[0] = list[1] = 0;
    list[18] = 0x40;                  /* DCE off: must not happen */
    select_list(s, list, 32, 20, &r); /* less is sent than promised */
    assert_sense(&r, 5, 0x1A00);
    select_list(s, list, 20, 32, &r); /* the page is cut by the CDB */
    assert_sense(&r, 5, 0x1A00);
    select_list(s, list, 7, 7, &r); /* not even a header */
    assert_sense(&r, 5, 0x1A00);
    list[17] = 0x10; /* PAGE LENGTH */
    select_list(s, list, 34, 34, &r);
    assert_sense(&r, 5, 0x2600);
    assert_int_equal(get_be16(r.sense + 16), 17);
    list[17] = 0x0e;
    command(s, D, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 32, 0), NO_DATA, NULL, 0, &r); /* nothing is sent */
    assert_sense(&r, 5, 0x1A00);
    (void)sense(s, 0x0F, 0, now);
    assert_int_equal(now[18], 0xC0);
    list[18] = 0xC0;
    select_list(s, list, 32, 64, &r); /* more is sent: the rest is left over */
    assert_good(&r);
    assert_residual(&r, 32);
    select_list(s, list, 0, 0, &r);
    assert_good(&r);
    session_close(s);
}

static void set_block_length(struct session *s, uint32_t len)
{
    uint8_t list[12] = {0, 0, 0x10, 8};
    struct reply r;
    put_be24(list + 9, len);
    command(s, D, CDB(0x15, 0x10, 0, 0, sizeof(list), 0), DATA_OUT, list, sizeof(list), &r);
    assert_good(&r);
}

static uint32_t block_length(struct session *s)
{
    uint8_t b[4096];
    (void)sense(s, 0, 0, b);
    return get_be24(b + 13);
}

static void a_reset_brings_the_defaults_back_once(void **state)
{
    (void)state;
    struct session *s = open_loaded(), *t = session_open(&(struct session_options){.name = "other"});
    struct reply r;
    settle_all(t);
    set_block_length(s, 512);
    settle(t, D);
    assert_int_equal(reset_lun(s, D), TMF_COMPLETE);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2900);
    assert_int_equal(block_length(s), 0);
    set_block_length(s, 1024);
    command(t, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* hears of the reset late */
    assert_sense(&r, 6, 0x2900);
    settle(t, D);
    assert_int_equal(block_length(t), 1024);
    set_block_length(s, 0);
    session_close(t);
    session_close(s);
}

static void all_pages_come_by_both_commands(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    uint8_t ten[4096], six[255];
    struct reply r;
    size_t n = sense(s, 0x3F, 0xFF, ten);
    command(s, D, CDB(0x1A, 0, 0x3F, 0xFF, 255, 0), DATA_IN, six, sizeof(six), &r);
    assert_good(&r);
    assert_int_equal(sizeof(six) - r.residual, n - 4);
    assert_int_equal(six[0] + 1, n - 4);
    assert_int_equal(six[2], ten[3]);
    assert_memory_equal(six + 4, ten + 8, n - 8);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pbs_opens_a_drive_again_and_again),      T(a_change_is_told_to_the_other_initiator_only),
        T(a_list_that_disagrees_with_its_command), T(a_reset_brings_the_defaults_back_once),
        T(all_pages_come_by_both_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
