/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_mam.c: READ ATTRIBUTE and WRITE ATTRIBUTE: the attributes that Proxmox Backup Server knows, and all that can
 * be wrong with a list; and how a head keeps them. */
#include "tests/unit/tape_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "vtl/format/mam.h"

static void read_sa(uint8_t sa, uint16_t first, uint32_t alloc)
{
    COMMAND(0x8C, sa, 0, 0, 0, 0, 0, 0, (uint8_t)(first >> 8), (uint8_t)first, (uint8_t)(alloc >> 24),
            (uint8_t)(alloc >> 16), (uint8_t)(alloc >> 8), (uint8_t)alloc, 0, 0);
}

static void write_list(const void *list, uint32_t len)
{
    COMMAND_OUT(list, len, 0x8D, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
                (uint8_t)(len >> 8), (uint8_t)len, 0, 0);
}

/* One attribute, as PBS sends it: padded with NULs to its length. */
static void write_one(uint16_t id, uint8_t format, uint16_t len, const char *value)
{
    uint8_t list[300] = {0};
    put_be32(list, 5u + len);
    put_be16(list + 4, id);
    list[6] = format;
    put_be16(list + 7, len);
    if (value)
        memcpy(list + 9, value, strnlen(value, len));
    write_list(list, 9u + len);
}

/* The attribute in the reply in "in", or NULL. */
static const uint8_t *find(uint16_t id, unsigned *len)
{
    size_t end = 4u + get_be32(in);
    for (size_t at = 4; at + 5 <= end; at += 5u + get_be16(in + at + 3))
        if (get_be16(in + at) == id) {
            *len = get_be16(in + at + 3);
            return in + at + 5;
        }
    return NULL;
}

static void expect(uint16_t id, const char *value, unsigned want)
{
    unsigned len = 0;
    const uint8_t *v = find(id, &len);
    assert_non_null(v);
    assert_int_equal(len, want);
    assert_memory_equal(v, value, len);
}

static void the_lengths_are_those_pbs_knows(void **state)
{
    (void)state;
    static const struct {
        uint16_t id, len;
    } known[] = {{0x0000, 8},  {0x0001, 8}, {0x0002, 8}, {0x0003, 8},  {0x0004, 8},  {0x0005, 8},
                 {0x0006, 1},  {0x0007, 2}, {0x0009, 4}, {0x020A, 40}, {0x020B, 40}, {0x020C, 40},
                 {0x020D, 40}, {0x0220, 8}, {0x0221, 8}, {0x0222, 8},  {0x0223, 8},  {0x0400, 8},
                 {0x0401, 32}, {0x0402, 4}, {0x0403, 4}, {0x0404, 8},  {0x0405, 1},  {0x0406, 8},
                 {0x0407, 8},  {0x0408, 1}, {0x0409, 2}, {0x1100, 8},  {0x1101, 8}};
    read_sa(0, 0, 32768);
    assert_good();
    assert_int_equal(rq.in_actual, 4 + get_be32(in));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        unsigned len = 0;
        assert_non_null(find(known[i].id, &len));
        assert_int_equal(len, known[i].len);
    }
    int last = -1;
    for (size_t at = 4; at < rq.in_actual; at += 5u + get_be16(in + at + 3)) {
        assert_true(get_be16(in + at) > last);
        last = get_be16(in + at);
        assert_int_equal(in[at + 2] & 0x80, 0x80); /* nothing of the host's is there yet */
    }
}

static void values_come_from_the_cartridge(void **state)
{
    (void)state;
    statistics.mounts = 9;
    statistics.life.written_bytes = 300u << 20;
    statistics.life.read_bytes = 200u << 20;
    statistics.created = 1767225600; /* 2026-01-01 */
    memcpy(statistics.last_drives[0], "VTL001", 7);
    memset(statistics.medium_id, 0xab, 16);
    tape.used = 1u << 30;
    read_sa(0, 0, 32768);
    expect(0x0003, "\0\0\0\0\0\0\0\x09", 8);
    expect(0x0220, "\0\0\0\0\0\0\x01\x2c", 8);
    expect(0x0221, "\0\0\0\0\0\0\0\xc8", 8);
    expect(0x0406, "20260101", 8);
    expect(0x020A, "V       VTL001                          ", 40);
    expect(0x0401, "abababababababababababababababab", 32);
    expect(0x0405, "\x5e", 1);
    expect(0x0408, "\0", 1);
    tape.worm = true;
    read_sa(0, 0, 32768);
    expect(0x0408, "\x80", 1);
}

static void what_pbs_writes_is_kept_and_cleared(void **state)
{
    (void)state;
    char label[161] = {0}, name[33] = {0};
    memcpy(label, "PBS001L8", 8);
    memcpy(name, "Proxmox Backup Server", 21);
    write_one(0x0800, 1, 8, "Proxmox");
    assert_good();
    write_one(0x0801, 1, 32, name);
    assert_good();
    write_one(0x0803, 2, 160, label);
    assert_good();
    read_sa(0, 0, 32768);
    expect(0x0800, "Proxmox", 8);
    expect(0x0801, name, 32);
    expect(0x0803, label, 160);
    read_sa(0, 0x0801, 32768); /* from there on */
    assert_int_equal(get_be16(in + 4), 0x0801);
    read_sa(1, 0, 32768);
    assert_int_equal(get_be32(in), 2 * (29 + 3));
    for (int i = 0; i < 2; i++) { /* clearing what is not there is fine */
        write_one(0x0803, 1, 0, NULL);
        assert_good();
    }
    read_sa(0, 0x0803, 32768);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    read_sa(0, 0, 32768);
    unsigned len;
    assert_null(find(0x0803, &len));
    expect(0x0801, name, 32);
}

static void several_are_taken_all_or_none(void **state)
{
    (void)state;
    uint8_t list[] = {0,   0,   0,    26,   0x08, 0x00, 1, 0,   8,   'a', 'b', 'c', 'd', 'e', 'f',
                      'g', 'h', 0x08, 0x02, 1,    0,    8, '1', '2', '3', '4', '5', '6', '7', '8'};
    write_list(list, sizeof(list));
    assert_good();
    assert_int_equal(mam.n, 2);
    list[9] = 'X';
    list[21] = 7; /* the second one's length, and so the list's, is wrong */
    write_list(list, sizeof(list));
    assert_int_equal(rq.status, SCSI_CHECK_CONDITION);
    list[21] = 8;
    list[18] = 0x07; /* 0807 has another length */
    write_list(list, sizeof(list));
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    list[18] = 0x00; /* twice the same */
    write_list(list, sizeof(list));
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    read_sa(0, 0, 32768);
    expect(0x0800, "abcdefgh", 8);
    expect(0x0802, "12345678", 8);
}

static void the_lists_own_length_is_not_looked_at(void **state)
{
    (void)state;
    static const uint8_t list[] = {0, 0, 0, 0x0a, 0x08, 0x05, 0, 0, 1, 0x81};
    write_list(list, sizeof(list));
    assert_good();
    read_sa(0, 0, 32768);
    expect(0x0805, "\x81", 1);
}

/* SPC-5 table 447: the host's name is in the character set that 0805h names, as the label and the pool are. */
static void formats_are_the_standards(void **state)
{
    (void)state;
    static const uint16_t text[] = {0x0803, 0x0807, 0x0808};
    static const uint16_t lengths[] = {160, 80, 160};
    for (size_t i = 0; i < 3; i++) {
        write_one(text[i], 2, lengths[i], "name");
        assert_good();
        write_one(text[i], 1, lengths[i], "name");
        assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    }
}

static void counters_saturate(void **state)
{
    (void)state;
    statistics.formats = 0x10005;
    statistics.life.written_blocks = UINT64_C(0x100000007);
    read_sa(0, 0, 32768);
    expect(0x0007, "\xff\xff", 2);
    expect(0x0009, "\xff\xff\xff\xff", 4);
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    write_one(0x0401, 1, 32, "mine"); /* the medium's */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    assert_int_equal(get_be16(rq.sense + 16), 4);
    write_one(0x0003, 0, 8, "");
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    write_one(0x0A00, 0, 8, "");
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    write_one(0x0801, 1, 31, "short");
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    write_one(0x0801, 0, 32, "binary");
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    write_list("\0\0\0\x08\x08\0\1\0\x08", 9); /* the list ends in the value */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
    write_list("\0\0", 2);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
    write_list("", 0);
    assert_good();
    assert_int_equal(mam.n, 0);
    tape.write_protected = true;
    write_one(0x0800, 1, 8, "Proxmox");
    assert_sense(KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
    tape.medium = TAPE_MEDIUM_NONE;
    write_one(0x0800, 1, 8, "Proxmox");
    assert_sense(KEY_NOT_READY, ASC_MEDIUM_NOT_PRESENT);
    read_sa(0, 0, 32768);
    assert_sense(KEY_NOT_READY, ASC_MEDIUM_NOT_PRESENT);
}

/* By attributes that are not known here, of a later version or of who else writes to the bucket. */
static void a_full_memory_takes_no_more(void **state)
{
    (void)state;
    while (mam.n < TAPE_MAM_MAX) {
        mam.v[mam.n] = (struct tape_attribute){.id = (uint16_t)(0x0900 + mam.n), .len = 1};
        mam.n++;
    }
    mam.v[3].id = 0x0801;
    mam.v[3].format = 1;
    write_one(0x0800, 1, 8, "Proxmox");
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_AUXILIARY_MEMORY_OUT_OF_SPACE);
    assert_int_equal(mam.n, TAPE_MAM_MAX);
    write_one(0x0801, 1, 32, "one that is there"); /* is replaced */
    assert_good();
    assert_int_equal(mam.n, TAPE_MAM_MAX);
    write_one(0x0801, 1, 0, NULL);
    assert_good();
    write_one(0x0800, 1, 8, "Proxmox");
    assert_good();
    read_sa(0, 0, 32768);
    expect(0x0800, "Proxmox", 8);
}

static void the_lists_and_any_allocation_length(void **state)
{
    (void)state;
    read_sa(2, 0, 100);
    assert_int_equal(rq.in_actual, 4);
    assert_memory_equal(in, "\0\2\0\1", 4);
    read_sa(3, 0, 100);
    assert_memory_equal(in, "\0\2\0\1", 4);
    read_sa(5, 0, 100);
    assert_int_equal(get_be32(in), 2 * 42);
    read_sa(4, 0, 100);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    COMMAND(0x8C, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0); /* a second partition */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    uint8_t whole[sizeof(in)];
    read_sa(0, 0, 32768);
    size_t len = rq.in_actual;
    memcpy(whole, in, len);
    for (uint32_t alloc = 0; alloc < len; alloc += 7) {
        read_sa(0, 0, alloc);
        assert_good();
        assert_int_equal(rq.in_actual, alloc);
        assert_memory_equal(in, whole, alloc);
    }
}

static void a_head_keeps_them_and_hostile_ones_are_passed_over(void **state)
{
    (void)state;
    struct tape_mam m, back;
    memset(&m, 0, sizeof(m));
    m.n = 2;
    m.v[0] = (struct tape_attribute){.id = 0x0801, .len = 3, .format = 1, .value = "abc"};
    m.v[1] = (struct tape_attribute){.id = 0x0BFF, .len = 255, .format = 0};
    memset(m.v[1].value, 0xfe, 255);
    char *text = mam_encode(&m);
    assert_non_null(text);
    mam_decode(text, &back);
    free(text);
    assert_memory_equal(&m, &back, sizeof(m));
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"0801\":1}",
                                      "{\"0801\":[3,\"00\"]}",
                                      "{\"0801\":[1,\"0\"]}",
                                      "{\"0801\":[1,\"\"]}",
                                      "{\"0801\":[1,\"xx\"]}",
                                      "{\"0801\":[\"1\",\"00\"]}",
                                      "{\"801\":[1,\"00\"]}",
                                      "{\"0400\":[1,\"00\"]}",
                                      "{\"0C00\":[1,\"00\"]}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mam_decode(bad[i], &back);
        assert_int_equal(back.n, 0);
    }
    char many[4000] = "{", one[40];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(one, sizeof(one), "%s\"08%02x\":[0,\"00\"]", i ? "," : "", i);
        strcat(many, one);
    }
    strcat(many, "}");
    mam_decode(many, &back);
    assert_int_equal(back.n, TAPE_MAM_MAX);
    char *long_one = malloc(2000);
    (void)snprintf(long_one, 2000, "{\"0801\":[0,\"%0512d\"]}", 0);
    mam_decode(long_one, &back);
    free(long_one);
    assert_int_equal(back.n, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(the_lengths_are_those_pbs_knows),
        T(values_come_from_the_cartridge),
        T(what_pbs_writes_is_kept_and_cleared),
        T(several_are_taken_all_or_none),
        T(the_lists_own_length_is_not_looked_at),
        T(formats_are_the_standards),
        T(counters_saturate),
        T(what_cannot_be_written_is_refused),
        T(a_full_memory_takes_no_more),
        T(the_lists_and_any_allocation_length),
        T(a_head_keeps_them_and_hostile_ones_are_passed_over),
    };
    return cmocka_run_group_tests_name("ssc_mam", tests, NULL, NULL);
}
