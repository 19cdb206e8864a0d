/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_mode.c: every mode page of the drive byte for byte, and what MODE SELECT takes and refuses. */
#include "tests/unit/tape_model.h"

/* ---- the pages ---- */

struct golden {
    uint8_t page, subpage;
    size_t len;
    uint8_t bytes[40]; /* current and default: a blank LTO-8 tape of 12 TB is loaded */
    uint8_t may[40];   /* changeable */
};
static const struct golden goldens[] = {
    {0x01, 0, 12, {0x01, 0x0a}, {0x01, 0x0a}},
    {0x02, 0, 16, {0x02, 0x0e}, {0x02, 0x0e}},
    {0x0a, 0, 12, {0x0a, 0x0a}, {0x0a, 0x0a}},
    {0x0a, 0xf0, 32, {0x4a, 0xf0, 0x00, 0x1c}, {0x4a, 0xf0, 0x00, 0x1c}},
    {0x0f, 0, 16, {0x0f, 0x0e, 0xc0, 0x80, 0, 0, 0, 1, 0, 0, 0, 1}, {0x0f, 0x0e, 0x80}},
    {0x10, 0, 16, {0x10, 0x0e, 0, 0, 0, 0, 0, 0, 0x40, 0, 0x10, 0, 0, 0, 1}, {0x10, 0x0e, [14] = 0xff}},
    {0x10, 1, 32, {0x50, 0x01, 0x00, 0x1c, 0, 0x02}, {0x50, 0x01, 0x00, 0x1c, 0, 0xf0, 0xff, 0xff}},
    {0x11, 0, 10, {0x11, 0x08, 0, 0, 0x18, 0x03, 9, 0, 0x2e, 0xe0}, {0x11, 0x08}},
    {0x1a, 0, 40, {0x1a, 0x26}, {0x1a, 0x26}},
    {0x1c, 0, 12, {0x1c, 0x0a, 0x08}, {0x1c, 0x0a}},
    {0x1d, 0, 32, {0x1d, 0x1e}, {0x1d, 0x1e}},
};
enum { N_PAGES = sizeof(goldens) / sizeof(goldens[0]), HEAD = 8, DESCRIPTOR = 8 };

/* MODE SENSE(10); the page, or pages, begin at in + 16. */
static void sense10(unsigned pc, uint8_t page, uint8_t subpage)
{
    COMMAND(0x5A, 0, (uint8_t)(pc << 6 | page), subpage, 0, 0, 0, 0x10, 0, 0);
}

static void each_page_has_the_bytes_of_its_standard(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAGES; i++) {
        const struct golden *g = &goldens[i];
        uint8_t head[16] = {0, (uint8_t)(14 + g->len), 0x88, 0x10, 0, 0, 0, 8, 0x5e};
        sense10(0, g->page, g->subpage);
        assert_good();
        assert_int_equal(rq.in_actual, 16 + g->len);
        assert_memory_equal(in, head, 16);
        assert_memory_equal(in + 16, g->bytes, g->len);
        sense10(1, g->page, g->subpage);
        assert_memory_equal(in, head, 16);
        assert_memory_equal(in + 16, g->may, g->len);
        sense10(2, g->page, g->subpage);
        if (g->page != 0x11) /* the partition's size is the medium's */
            assert_memory_equal(in + 16, g->bytes, g->len);
        sense10(3, g->page, g->subpage);
        assert_sense(5, 0x3900);
    }
}

static void all_pages_come_in_order(void **state)
{
    (void)state;
    for (int subpages = 0; subpages <= 1; subpages++) {
        size_t at = HEAD + DESCRIPTOR;
        sense10(0, 0x3f, subpages ? 0xff : 0);
        assert_good();
        for (size_t i = 0; i < N_PAGES; i++) {
            if (goldens[i].subpage && !subpages)
                continue;
            assert_memory_equal(in + at, goldens[i].bytes, goldens[i].len);
            at += goldens[i].len;
        }
        assert_int_equal(rq.in_actual, at);
        assert_int_equal(get_be16(in), at - 2);
    }
    COMMAND(0x1A, 0, 0x3f, 0xff, 0xff, 0); /* and all fit into MODE SENSE(6) */
    assert_good();
    assert_int_equal(rq.in_actual, in[0] + 1);
    assert_int_equal(in[3], 8);
}

static void all_subpages_of_a_page(void **state)
{
    (void)state;
    sense10(0, 0x10, 0xff);
    assert_good();
    assert_int_equal(rq.in_actual, 16 + 16 + 32);
    assert_int_equal(in[16], 0x10);
    assert_int_equal(in[32], 0x50);
    sense10(0, 0x01, 0xff);
    assert_int_equal(rq.in_actual, 16 + 12);
}

static void page_zero_is_header_and_descriptor(void **state)
{
    (void)state;
    sense10(0, 0x00, 0);
    assert_good();
    assert_int_equal(rq.in_actual, 16);
    COMMAND(0x1A, 0, 0, 0, 12, 0); /* the Linux st driver asks so */
    assert_good();
    const uint8_t want[12] = {11, 0x88, 0x10, 8, 0x5e};
    assert_int_equal(rq.in_actual, 12);
    assert_memory_equal(in, want, 12);
}

static void without_a_descriptor(void **state)
{
    (void)state;
    COMMAND(0x5A, 0x08, 0x0f, 0, 0, 0, 0, 0x10, 0, 0); /* DBD */
    assert_int_equal(rq.in_actual, 8 + 16);
    assert_int_equal(get_be16(in), 22);
    assert_int_equal(get_be16(in + 6), 0);
    assert_int_equal(in[8], 0x0f);
    COMMAND(0x1A, 0x08, 0x0f, 0, 255, 0);
    assert_int_equal(rq.in_actual, 4 + 16);
    COMMAND(0x5A, 0x10, 0x0f, 0, 0, 0, 0, 0x10, 0, 0); /* LLBAA allows a long descriptor, and demands none */
    assert_good();
    assert_int_equal(in[4], 0);
    assert_int_equal(get_be16(in + 6), 8);
}

static void what_does_not_exist_is_refused(void **state)
{
    (void)state;
    static const uint8_t wrong[][2] = {{0x03, 0}, {0x0a, 1}, {0x10, 2}, {0x3e, 0}, {0x00, 1}, {0x3e, 0xff}};
    for (size_t i = 0; i < sizeof(wrong) / 2; i++) {
        sense10(0, wrong[i][0], wrong[i][1]);
        assert_sense(5, 0x2400);
        assert_field(true, 2);
        assert_int_equal(rq.in_actual, 0);
    }
    sense10(0, 0x3f, 0x01); /* only 00h and FFh go with 3Fh */
    assert_sense(5, 0x2400);
    assert_field(true, 3);
    COMMAND(0x5A, 0x04, 0x0f, 0, 0, 0, 0, 0x10, 0, 0);
    assert_sense(5, 0x2400);
    assert_field(true, 1);
}

static void allocation_cuts_and_is_no_error(void **state)
{
    (void)state;
    COMMAND(0x5A, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0);
    assert_good();
    assert_int_equal(rq.in_actual, 0);
    COMMAND(0x1A, 0, 0x0f, 0, 0, 0);
    assert_int_equal(rq.in_actual, 0);
    COMMAND(0x5A, 0, 0x0f, 0, 0, 0, 0, 0, 1, 0);
    assert_int_equal(rq.in_actual, 1);
    COMMAND(0x5A, 0, 0x0f, 0, 0, 0, 0, 0, 19, 0);
    assert_int_equal(rq.in_actual, 19);
    assert_int_equal(in[1], 30); /* MODE DATA LENGTH counts what there is */
    assert_int_equal(in[19], 0xEE);
    COMMAND_IN(10, 0x5A, 0, 0x0f, 0, 0, 0, 0, 0x10, 0, 0); /* and the initiator's buffer may be smaller still */
    assert_good();
    assert_int_equal(rq.in_actual, 10);
}

static void an_empty_drive_tells_its_pages_too(void **state)
{
    (void)state;
    tape = (struct tape_status){.medium = TAPE_MEDIUM_NONE};
    sense10(0, 0x3f, 0xff);
    assert_good();
    assert_int_equal(in[2], 0); /* MEDIUM TYPE */
    assert_int_equal(in[8], 0); /* DENSITY CODE */
    sense10(0, 0x0f, 0);
    assert_int_equal(rq.in_actual, 32);
    sense10(0, 0x11, 0);
    assert_int_equal(get_be16(in + 24), 0); /* no partition */
}

static void the_header_tells_of_write_protection(void **state)
{
    (void)state;
    tape.write_protected = true;
    sense10(0, 0x0f, 0);
    assert_int_equal(in[3], 0x90);
    COMMAND(0x1A, 0, 0x0f, 0, 255, 0);
    assert_int_equal(in[2], 0x90);
}

static void a_worm_medium_tells_its_rules(void **state)
{
    (void)state;
    const uint8_t want[32] = {0x1d, 0x1e, 0x01, 0, 0x00, 0x02};
    tape.worm = true;
    sense10(0, 0x1d, 0);
    assert_int_equal(in[2], 0x8c); /* MEDIUM TYPE */
    assert_memory_equal(in + 16, want, 32);
}

static void the_partition_is_told_in_a_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        uint64_t capacity;
        uint8_t unit;
        uint16_t size;
    } cases[] = {{8 << 20, 3, 8388}, {60000000000u, 6, 60000}, {1500000000000u, 9, 1500}, {18000000000000u, 9, 18000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tape.capacity = cases[i].capacity;
        sense10(0, 0x11, 0);
        assert_int_equal(in[16 + 6], cases[i].unit);
        assert_int_equal(get_be16(in + 16 + 8), cases[i].size);
    }
}

/* ---- MODE SELECT ---- */

static uint8_t list[300];

/* A list that echoes a page as it was read; returns its length. */
static size_t echo(uint8_t page, uint8_t subpage)
{
    sense10(0, page, subpage);
    assert_good();
    memcpy(list, in, rq.in_actual);
    list[0] = list[1] = 0; /* MODE DATA LENGTH */
    return rq.in_actual;
}

static void select10(size_t len)
{
    COMMAND_OUT(list, (uint32_t)len, 0x55, 0x10, 0, 0, 0, 0, 0, 0, (uint8_t)len, 0);
}

static void everything_read_may_be_written_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAGES; i++) {
        size_t n = echo(goldens[i].page, goldens[i].subpage);
        list[16] |= 0x80; /* PS is reserved here, and echoed all the same */
        select10(n);
        assert_good();
        assert_int_equal(rq.out_actual, n);
    }
    size_t n = echo(0x3f, 0xff);
    COMMAND_OUT(list, (uint32_t)n, 0x55, 0x10, 0, 0, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, 0);
    assert_good();
    assert_int_equal(scsi_ua_take(drive, 8), 0); /* nothing changed */
}

/* What Proxmox Backup Server does at each open: on any medium, at any position. */
static void the_echo_of_pbs_is_taken_everywhere(void **state)
{
    (void)state;
    const struct tape_status media[] = {
        {.medium = TAPE_MEDIUM_LOADED, .density = 0x5e, .capacity = 1000},
        {.medium = TAPE_MEDIUM_LOADED, .density = 0x5e, .capacity = 1000, .object = 5, .end_object = 9},
        {.medium = TAPE_MEDIUM_LOADED, .density = 0x5a, .capacity = 1000, .write_protected = true},
        {.medium = TAPE_MEDIUM_LOADED, .density = 0x5e, .capacity = 1000, .worm = true, .end_object = 9},
        {.medium = TAPE_MEDIUM_UNLOADED, .density = 0x5e},
        {.medium = TAPE_MEDIUM_NONE},
    };
    for (size_t i = 0; i < sizeof(media) / sizeof(media[0]); i++) {
        tape = media[i];
        size_t n = echo(0x0f, 0);
        assert_int_equal(n, 32);
        list[3] = (uint8_t)((list[3] & 0x8f) | 0x10 | 0x03); /* WP and SPEED as they were sensed, buffered mode 1 */
        list[9] = list[11] = 0x12;                           /* NUMBER OF LOGICAL BLOCKS */
        list[18] |= 0x80;
        select10(n);
        assert_good();
        n = echo(0x10, 1);
        put_be16(list + 16 + 6, 0); /* PEWS, as version 4 does */
        select10(n);
        assert_good();
        assert_int_equal(tape.object, media[i].object);
    }
    assert_int_equal(tape_calls, 0);
}

static void only_changeable_bits_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAGES; i++) {
        const struct golden *g = &goldens[i];
        size_t n = echo(g->page, g->subpage), head = g->subpage ? 4 : 2;
        for (size_t byte = head; byte < g->len; byte++)
            for (int bit = 0; bit < 8; bit++) {
                if (g->may[byte] & (1u << bit))
                    continue;
                list[16 + byte] ^= (uint8_t)(1u << bit);
                list[3] = 0x00; /* this change, legal by itself, must not happen then */
                select10(n);
                assert_sense(5, 0x2600);
                assert_field(false, 16 + byte);
                assert_int_equal(rq.sense[15] & 0x0f, 0x08 | bit); /* BPV, BIT POINTER */
                list[16 + byte] ^= (uint8_t)(1u << bit);
            }
        sense10(0, g->page, g->subpage);
        assert_int_equal(in[3], 0x10);
        assert_memory_equal(in + 16, g->bytes, g->len);
    }
}

static void lengths_that_are_wrong(void **state)
{
    (void)state;
    size_t n = echo(0x0f, 0);
    list[3] = 0x00;
    for (size_t len = 1; len < n; len++) {
        if (len == HEAD + DESCRIPTOR) /* a list without pages is whole */
            continue;
        select10(len);
        assert_sense(5, 0x1A00);
    }
    sense10(0, 0, 0);
    assert_int_equal(in[3], 0x10);
    echo(0x0f, 0);
    list[17] = 0x0d; /* PAGE LENGTH */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 17);
    list[17] = 0x0f;
    select10(n);
    assert_sense(5, 0x2600);
    list[17] = 0x0e;
    list[7] = 7; /* BLOCK DESCRIPTOR LENGTH */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 6);
    list[7] = 8;
    list[4] = 1; /* LONGLBA */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 4);
    list[4] = 0;
    list[16] = 0x0e; /* no such page */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 16);
    list[16] = 0x4f; /* nor subpage */
    select10(n);
    assert_sense(5, 0x2600);
    /* The CDB promises more than came, or less. */
    echo(0x0f, 0);
    COMMAND_OUT(list, 20, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 32, 0);
    assert_sense(5, 0x1A00);
    COMMAND_OUT(list, 40, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 32, 0);
    assert_good();
    assert_int_equal(rq.out_actual, 32);
    select10(0);
    assert_good();
    COMMAND_OUT(list, 0, 0x15, 0x10, 0, 0, 0, 0);
    assert_good();
}

static void nothing_is_saved(void **state)
{
    (void)state;
    size_t n = echo(0x0f, 0);
    COMMAND_OUT(list, (uint32_t)n, 0x55, 0x11, 0, 0, 0, 0, 0, 0, (uint8_t)n, 0);
    assert_sense(5, 0x2400);
    assert_field(true, 1);
}

static void values_that_cannot_be(void **state)
{
    (void)state;
    size_t n = echo(0x0f, 0);
    list[3] = 0x20; /* BUFFERED MODE 2 */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 3);
    list[3] = 0x10;
    list[8] = 0x40; /* DENSITY CODE of LTO-1 */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 8);
    list[8] = 0x7f; /* no change */
    select10(n);
    assert_good();
    put_be24(list + 13, 8388609); /* BLOCK LENGTH */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 13);
    n = echo(0x10, 0);
    list[16 + 14] = 2; /* no such compression algorithm */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 30);
    n = echo(0x10, 1);
    list[16 + 5] = 0x22; /* WRITE MODE 2 is reserved */
    select10(n);
    assert_sense(5, 0x2600);
    assert_field(false, 21);
}

static void block_length_and_buffering_are_kept(void **state)
{
    (void)state;
    const uint8_t six[12] = {0, 0, 0x00, 8, 0, 0, 0, 0, 0, 0, 0x80, 0};
    COMMAND_OUT(six, 12, 0x15, 0x10, 0, 0, 12, 0);
    assert_good();
    sense10(0, 0, 0);
    assert_int_equal(in[3], 0x00);
    assert_int_equal(get_be24(in + 13), 0x8000);
    sense10(1, 0, 0); /* the descriptor has current values for any PC */
    assert_int_equal(get_be24(in + 13), 0x8000);
    const uint8_t header_only[4] = {0, 0, 0x10, 0};
    COMMAND_OUT(header_only, 4, 0x15, 0x10, 0, 0, 4, 0);
    assert_good();
    sense10(0, 0, 0);
    assert_int_equal(in[3], 0x10);
    assert_int_equal(get_be24(in + 13), 0x8000);
}

static void compression_has_two_names(void **state)
{
    (void)state;
    size_t n = echo(0x10, 0);
    list[16 + 14] = 0;
    select10(n);
    assert_good();
    sense10(0, 0x0f, 0);
    assert_int_equal(in[18], 0x40);
    n = echo(0x3f, 0); /* a change of DCE amid an echo of all pages counts */
    size_t at = 16;
    while (list[at] != 0x0f)
        at += 2u + list[at + 1];
    list[at + 2] |= 0x80;
    select10(n);
    assert_good();
    sense10(0, 0x10, 0);
    assert_int_equal(in[16 + 14], 1);
}

static void the_others_learn_of_a_change(void **state)
{
    (void)state;
    command_of(8, BYTES(0x00, 0, 0, 0, 0, 0), 0, NULL, 0);
    size_t n = echo(0x0f, 0);
    select10(n);
    assert_int_equal(scsi_ua_take(drive, 8), 0);
    list[18] = 0x40;
    select10(n);
    assert_good();
    assert_int_equal(scsi_ua_take(drive, 8), ASC_MODE_PARAMETERS_CHANGED);
    assert_int_equal(scsi_ua_take(drive, 7), 0);
    n = echo(0x10, 1);
    put_be16(list + 22, 100);
    select10(n);
    assert_int_equal(scsi_ua_take(drive, 8), ASC_MODE_PARAMETERS_CHANGED);
    list[22] = list[21] = 0xff; /* refused: nothing to tell */
    select10(n);
    assert_sense(5, 0x2600);
    assert_int_equal(scsi_ua_take(drive, 8), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_page_has_the_bytes_of_its_standard),
        T(all_pages_come_in_order),
        T(all_subpages_of_a_page),
        T(page_zero_is_header_and_descriptor),
        T(without_a_descriptor),
        T(what_does_not_exist_is_refused),
        T(allocation_cuts_and_is_no_error),
        T(an_empty_drive_tells_its_pages_too),
        T(the_header_tells_of_write_protection),
        T(a_worm_medium_tells_its_rules),
        T(the_partition_is_told_in_a_unit_that_fits),
        T(everything_read_may_be_written_back),
        T(the_echo_of_pbs_is_taken_everywhere),
        T(only_changeable_bits_change),
        T(lengths_that_are_wrong),
        T(nothing_is_saved),
        T(values_that_cannot_be),
        T(block_length_and_buffering_are_kept),
        T(compression_has_two_names),
        T(the_others_learn_of_a_change),
    };
    return cmocka_run_group_tests_name("ssc mode", tests, NULL, NULL);
}
