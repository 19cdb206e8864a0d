/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_security.c: SECURITY PROTOCOL IN and OUT as Proxmox Backup Server sends and reads them, scopes, locks, and
 * all that can be wrong with a list. */
#include "tests/unit/tape_model.h"

#include <stdio.h>

#include "scsi/ssc_keys.h"

static uint8_t key[32];

static void spin_of(uint64_t nexus, uint8_t protocol, uint16_t page, uint32_t alloc)
{
    const uint8_t cdb[12] = {0xA2,
                             protocol,
                             (uint8_t)(page >> 8),
                             (uint8_t)page,
                             0,
                             0,
                             (uint8_t)(alloc >> 24),
                             (uint8_t)(alloc >> 16),
                             (uint8_t)(alloc >> 8),
                             (uint8_t)alloc};
    command_of(nexus, cdb, sizeof(cdb), sizeof(in), NULL, 0);
}
#define spin(page) spin_of(7, 0x20, page, 8196 < sizeof(in) ? 8196 : sizeof(in))

static uint8_t list[100];
static void spout_of(uint64_t nexus, uint32_t len)
{
    const uint8_t cdb[12] = {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, (uint8_t)len};
    command_of(nexus, cdb, sizeof(cdb), 0, list, len);
}

/* The list as PBS makes it: with a key (52 bytes), or to switch encryption off (20 bytes). Returns its length. */
static uint32_t make_list(bool on)
{
    memset(list, 0, sizeof(list));
    list[1] = 0x10;
    list[3] = on ? 0x30 : 0x10;
    list[4] = 0x40; /* all I_T nexus */
    list[6] = on ? 2 : 0;
    list[7] = on ? 3 : 0; /* mixed */
    list[8] = 1;
    list[19] = on ? 0x20 : 0;
    for (int i = 0; i < 32 && on; i++)
        list[20 + i] = key[i] = (uint8_t)(0xc0 + i);
    return on ? 52 : 20;
}

static void switch_on(uint64_t nexus)
{
    spout_of(nexus, make_list(true));
    assert_good();
}

static void write_block(uint64_t nexus)
{
    static const uint8_t cdb[6] = {0x0A, 0, 0, 0, 4, 0};
    memset(key_seen, 0, sizeof(key_seen));
    command_of(nexus, cdb, 6, 0, "abcd", 4);
}

static void capabilities_are_what_pbs_looks_for(void **state)
{
    (void)state;
    spin(0x0010);
    assert_good();
    assert_int_equal(rq.in_actual, 44);
    assert_int_equal(get_be16(in), 0x0010);
    assert_int_equal(get_be16(in + 2), 40);
    const uint8_t *d = in + 20;
    assert_int_equal(d[0], 1);
    assert_int_equal(get_be16(d + 2), 0x14);
    assert_int_equal(d[4] & 0x0f, 0x0a); /* encrypts and decrypts itself */
    assert_int_equal(d[12] >> 1 & 7, 7); /* raw reads, in any case */
    assert_int_equal(get_be16(d + 10), 0x20);
    assert_int_equal(get_be32(d + 20), 0x00010014);
}

static void the_status_is_what_was_set(void **state)
{
    (void)state;
    switch_on(7);
    spin(0x0020);
    assert_good();
    static const uint8_t on[24] = {0, 0x20, 0, 0x14, 0x42, 2, 3, 1, 0, 0, 0, 1};
    assert_int_equal(rq.in_actual, 24);
    assert_memory_equal(in, on, 24);
    spout_of(7, make_list(false));
    assert_good();
    spin(0x0020);
    static const uint8_t off[24] = {0, 0x20, 0, 0x14, 0x40, 0, 0, 0, 0, 0, 0, 2};
    assert_memory_equal(in, off, 24);
}

static void the_key_goes_with_each_write(void **state)
{
    (void)state;
    switch_on(7);
    write_block(7);
    assert_good();
    assert_true(crypt_seen.encrypt && crypt_seen.decrypt && crypt_seen.mixed);
    assert_memory_equal(key_seen, key, 32);
    write_block(8); /* all nexuses */
    assert_memory_equal(key_seen, key, 32);
    spout_of(7, make_list(false));
    write_block(7);
    assert_false(crypt_seen.encrypt || crypt_seen.decrypt);
    assert_null(crypt_seen.key);
}

/* Is the key anywhere in the locked memory that a command was given it from? */
static bool key_is_kept(const uint8_t *from)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    bool kept = false, seen = false;
    assert_non_null(maps);
    while (!seen && fgets(line, sizeof(line), maps)) {
        uintptr_t begin, end;
        assert_int_equal(sscanf(line, "%lx-%lx", &begin, &end), 2);
        seen = (uintptr_t)from >= begin && (uintptr_t)from < end;
        kept = seen && memmem((void *)begin, end - begin, key, sizeof(key));
    }
    (void)fclose(maps);
    assert_true(seen);
    return kept;
}

static void a_key_is_gone_when_it_is_cleared(void **state)
{
    (void)state;
    switch_on(7);
    write_block(7);
    const uint8_t *from = crypt_seen.key;
    assert_true(key_is_kept(from)); /* it is in force */
    spout_of(7, make_list(false));
    assert_good();
    assert_false(key_is_kept(from));
}

static void a_key_is_gone_with_its_session(void **state)
{
    (void)state;
    static const uint8_t read6[6] = {0x08, 2, 0, 0, 4, 0};
    uint32_t len = make_list(true);
    list[4] = 0x20; /* local */
    spout_of(7, len);
    write_block(7);
    command_of(7, read6, 6, 4, NULL, 0);
    const uint8_t *from = crypt_seen.key;
    assert_true(key_is_kept(from));
    (void)scsi_nexus_gone(drive, 7);
    assert_false(key_is_kept(from));
}

static void raw_reads_need_no_key(void **state)
{
    (void)state;
    uint32_t len = make_list(false);
    list[7] = 1;
    spout_of(7, len);
    assert_good();
    spin(0x0020);
    assert_int_equal(in[5], 0);
    assert_int_equal(in[6], 1);
    static const uint8_t cdb[6] = {0x08, 0, 0, 0, 4, 0};
    command_of(7, cdb, 6, 4, NULL, 0);
    assert_true(crypt_seen.raw && !crypt_seen.decrypt && !crypt_seen.encrypt && !crypt_seen.key);
    (void)make_list(true); /* one that encrypts what it writes, and reads raw */
    list[7] = 1;
    spout_of(7, 52);
    assert_good();
    write_block(7);
    assert_memory_equal(key_seen, key, 32);
    assert_true(crypt_seen.raw && !crypt_seen.decrypt);
}

static void works_without_a_medium(void **state)
{
    (void)state;
    tape.medium = TAPE_MEDIUM_NONE;
    spin(0x0010);
    assert_good();
    switch_on(7);
    spin(0x0020);
    assert_good();
    assert_int_equal(in[5], 2);
    spin(0x0021);
    assert_sense(KEY_NOT_READY, ASC_MEDIUM_NOT_PRESENT);
}

static void the_others_learn_that_the_parameters_changed(void **state)
{
    (void)state;
    static const uint8_t test_unit_ready[6];
    command_of(8, test_unit_ready, 6, 0, NULL, 0);
    command_of(8, test_unit_ready, 6, 0, NULL, 0);
    assert_good();
    spout_of(7, make_list(false)); /* off, as it was */
    assert_good();
    command_of(8, test_unit_ready, 6, 0, NULL, 0);
    assert_good();
    switch_on(7);
    COMMAND(0, 0, 0, 0, 0, 0);
    assert_good(); /* who did it knows */
    command_of(8, test_unit_ready, 6, 0, NULL, 0);
    assert_sense(KEY_UNIT_ATTENTION, 0x2A11);
}

static void a_local_key_is_for_its_nexus_alone(void **state)
{
    (void)state;
    (void)make_list(true);
    list[4] = 0x20;
    spout_of(7, 52);
    assert_good();
    write_block(7);
    assert_memory_equal(key_seen, key, 32);
    write_block(8); /* power on */
    write_block(8);
    assert_false(crypt_seen.encrypt);
    spin(0x0020);
    assert_int_equal(in[4], 0x21);
    spin_of(8, 0x20, 0x0020, 100);
    assert_int_equal(in[4], 0x00);
    /* It goes with the session. */
    (void)scsi_nexus_gone(drive, 7);
    write_block(7);
    write_block(7);
    assert_false(crypt_seen.encrypt);
}

static void a_public_nexus_takes_what_is_set_for_all(void **state)
{
    (void)state;
    (void)make_list(true);
    list[4] = 0x20;
    spout_of(7, 52);
    (void)make_list(true);
    list[20] = 0x11;
    spout_of(8, 52); /* power on */
    (void)make_list(true);
    list[20] = 0x11;
    spout_of(8, 52);
    assert_good();
    write_block(7); /* told */
    write_block(7);
    assert_int_equal(key_seen[0], 0xc0);
    (void)make_list(false);
    list[4] = 0x00;
    spout_of(7, 20);
    assert_good();
    write_block(7);
    assert_int_equal(key_seen[0], 0x11);
}

static void a_locked_nexus_works_with_just_its_parameters(void **state)
{
    (void)state;
    (void)make_list(true);
    list[4] |= 1;
    spout_of(7, 52);
    write_block(7);
    assert_good();
    switch_on(7); /* without LOCK: it has new ones, and knows */
    write_block(7);
    assert_good();
    (void)make_list(true);
    list[4] |= 1;
    spout_of(7, 52);
    spout_of(8, make_list(false)); /* power on */
    spout_of(8, make_list(false));
    assert_good();
    write_block(7); /* told of the change */
    assert_sense(KEY_UNIT_ATTENTION, 0x2A11);
    write_block(7);
    assert_sense(KEY_DATA_PROTECT, 0x2A13);
    static const uint8_t read_6[6] = {0x08, 0, 0, 0, 4, 0};
    command_of(7, read_6, 6, 4, NULL, 0);
    assert_sense(KEY_DATA_PROTECT, 0x2A13);
}

static void ckod_clears_the_key_with_the_cartridge(void **state)
{
    (void)state;
    (void)make_list(true);
    list[5] = 0x04;
    spout_of(7, 52);
    assert_good();
    write_block(7);
    assert_true(crypt_seen.encrypt);
    tape.medium_changes++;
    write_block(7);
    assert_false(crypt_seen.encrypt);
    tape.medium = TAPE_MEDIUM_NONE;
    (void)make_list(true);
    list[5] = 0x04;
    spout_of(7, 52);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    /* Without CKOD it stays until it is cleared. */
    switch_on(7);
    tape.medium_changes++;
    tape.medium = TAPE_MEDIUM_LOADED;
    write_block(7);
    assert_true(crypt_seen.encrypt);
}

static void a_reset_clears_all_keys(void **state)
{
    (void)state;
    switch_on(7);
    scsi_lun_reset(drive);
    write_block(7); /* told of the reset, or not: at any rate afterwards */
    write_block(7);
    assert_false(crypt_seen.encrypt);
}

static void what_cannot_be_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        uint8_t at, value;
    } bad[] = {{1, 0x11}, {4, 0x60}, {5, 0x80}, {5, 0x10}, {5, 0x08}, {5, 0x02}, {5, 0x01}, {6, 1},
               {6, 3},    {7, 4},    {8, 0},    {8, 2},    {9, 1},    {19, 16},  {18, 1}};
    switch_on(7);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)make_list(true);
        list[20] = 0x99;
        list[bad[i].at] = bad[i].value;
        spout_of(7, 52);
        assert_int_equal(rq.status, SCSI_CHECK_CONDITION);
        assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
        assert_int_equal(get_be16(rq.sense + 16), bad[i].at == 19 ? 18 : bad[i].at == 1 ? 0 : bad[i].at);
    }
    for (uint32_t len = 1; len < 52; len++) { /* cut anywhere */
        (void)make_list(true);
        spout_of(7, len);
        assert_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
    }
    (void)make_list(true);
    list[3] = 0x20; /* shorter than its key */
    spout_of(7, 36);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
    spout_of(7, 0); /* nothing to do */
    assert_good();
    COMMAND(0xB5, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* whatever the page */
    assert_good();
    write_block(7);
    assert_memory_equal(key_seen, key, 32);
    (void)make_list(false);
    list[19] = 32; /* a key to switch off with is ignored */
    list[3] = 0x30;
    spout_of(7, 52);
    assert_good();
    write_block(7);
    assert_false(crypt_seen.encrypt || crypt_seen.key);
}

static void key_associated_data_goes_with_the_block(void **state)
{
    (void)state;
    uint32_t len = make_list(true);
    static const uint8_t kad[] = {0, 0, 0, 3, 'p', 'b', 's', 1, 0, 0, 2, 'o', 'k'};
    memcpy(list + len, kad, sizeof(kad));
    list[3] = (uint8_t)(0x30 + sizeof(kad));
    spout_of(7, len + sizeof(kad));
    assert_good();
    write_block(7);
    assert_int_equal(crypt_seen.kad_len, sizeof(kad));
    assert_memory_equal(crypt_seen.kad, kad, sizeof(kad));
    spin(0x0020);
    assert_int_equal(rq.in_actual, 24 + sizeof(kad));
    assert_memory_equal(in + 24, kad, sizeof(kad));
    static const uint8_t wrong[][8] = {{2, 0, 0, 1, 'x'}, {0, 0, 0, 9, 'x'}, {1, 0, 0, 13, 'x'}, {0, 0, 0}};
    for (size_t i = 0; i < 4; i++) {
        (void)make_list(true);
        memcpy(list + 52, wrong[i], 8);
        uint32_t n = i == 3 ? 3 : 8;
        list[3] = (uint8_t)(0x30 + n);
        spout_of(7, 52 + n);
        assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    }
}

static void every_page_by_any_allocation_length(void **state)
{
    (void)state;
    static const struct {
        uint8_t protocol;
        uint16_t page;
        uint32_t len;
    } pages[] = {{0, 0, 10},      {0, 1, 4},        {0x20, 0, 18},    {0x20, 1, 6},    {0x20, 0x10, 44},
                 {0x20, 0x11, 5}, {0x20, 0x12, 16}, {0x20, 0x20, 24}, {0x20, 0x21, 16}};
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        uint8_t whole[64];
        spin_of(7, pages[i].protocol, pages[i].page, 64);
        assert_good();
        assert_int_equal(rq.in_actual, pages[i].len);
        memcpy(whole, in, pages[i].len);
        for (uint32_t alloc = 0; alloc <= pages[i].len; alloc++) {
            spin_of(7, pages[i].protocol, pages[i].page, alloc);
            assert_good();
            assert_int_equal(rq.in_actual, alloc);
            assert_memory_equal(in, whole, alloc);
        }
    }
    COMMAND(0xA2, 0x20, 0, 0x10, 0x80, 0, 0, 0, 0, 1, 0, 0); /* INC_512 */
    assert_int_equal(rq.in_actual, 44);
    spin_of(7, 0x20, 0x30, 64);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    assert_int_equal(get_be16(rq.sense + 16), 2);
    spin_of(7, 0x21, 0, 64);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    assert_int_equal(get_be16(rq.sense + 16), 1);
}

static void the_next_block_is_told(void **state)
{
    (void)state;
    static const struct {
        enum tape_next next;
        uint8_t status, algorithm;
    } cases[] = {
        {TAPE_NEXT_NO_BLOCK, 2, 0}, {TAPE_NEXT_PLAIN, 3, 0}, {TAPE_NEXT_READABLE, 5, 1}, {TAPE_NEXT_UNREADABLE, 6, 1}};
    for (size_t i = 0; i < 4; i++) {
        next_is = cases[i].next;
        spin(0x0021);
        assert_good();
        assert_int_equal(in[12], cases[i].status);
        assert_int_equal(in[13], cases[i].algorithm);
    }
}

static void the_senses_of_a_block_that_cannot_be_decrypted(void **state)
{
    (void)state;
    static const struct {
        enum tape_result result;
        int asc;
    } cases[] = {{TAPE_ENCRYPTED, 0x7401}, {TAPE_NOT_ENCRYPTED, 0x7402}, {TAPE_WRONG_KEY, 0x7403}};
    for (size_t i = 0; i < 3; i++) {
        read_result = cases[i].result;
        COMMAND_IN(512, 0x08, 0, 0, 2, 0, 0);
        assert_sense(KEY_DATA_PROTECT, cases[i].asc);
        assert_int_equal(rq.in_actual, 0);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(capabilities_are_what_pbs_looks_for),
        T(the_status_is_what_was_set),
        T(the_key_goes_with_each_write),
        T(a_key_is_gone_when_it_is_cleared),
        T(a_key_is_gone_with_its_session),
        T(raw_reads_need_no_key),
        T(works_without_a_medium),
        T(the_others_learn_that_the_parameters_changed),
        T(a_local_key_is_for_its_nexus_alone),
        T(a_public_nexus_takes_what_is_set_for_all),
        T(a_locked_nexus_works_with_just_its_parameters),
        T(ckod_clears_the_key_with_the_cartridge),
        T(a_reset_clears_all_keys),
        T(what_cannot_be_is_refused_and_changes_nothing),
        T(key_associated_data_goes_with_the_block),
        T(every_page_by_any_allocation_length),
        T(the_next_block_is_told),
        T(the_senses_of_a_block_that_cannot_be_decrypted),
    };
    return cmocka_run_group_tests_name("ssc_security", tests, NULL, NULL);
}
