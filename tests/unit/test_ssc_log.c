/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_ssc_log.c: LOG SENSE and LOG SELECT of a drive: each page as Proxmox Backup Server and others take it apart. */
#include "tests/unit/tape_model.h"

static const uint8_t page_list[] = {0x00, 0x02, 0x03, 0x0C, 0x0D, 0x11, 0x12, 0x14,
                                    0x15, 0x17, 0x1B, 0x2E, 0x30, 0x31, 0x32};
#define N_PAGES (sizeof(page_list))

static void sense(uint8_t page, uint16_t alloc)
{
    COMMAND_IN(sizeof(in), 0x4D, 0, (uint8_t)(0x40 | page), 0, 0, 0, 0, (uint8_t)(alloc >> 8), (uint8_t)alloc, 0);
}

/* The value of a parameter of the page in "in"; len is what it must have. */
static uint64_t value(uint16_t code, unsigned len)
{
    size_t end = 4u + get_be16(in + 2);
    for (size_t at = 4; at + 4 <= end; at += 4u + in[at + 3])
        if (get_be16(in + at) == code) {
            uint64_t v = 0;
            assert_int_equal(in[at + 3], len);
            for (unsigned i = 0; i < len; i++)
                v = v << 8 | in[at + 4 + i];
            return v;
        }
    fail_msg("no parameter %04x", code);
    return 0;
}

/* The same for a text. */
static const char *text(uint16_t code, unsigned len)
{
    size_t end = 4u + get_be16(in + 2);
    for (size_t at = 4; at + 4 <= end; at += 4u + in[at + 3])
        if (get_be16(in + at) == code) {
            assert_int_equal(in[at + 3], len);
            assert_int_equal(in[at + 2] & 0x03, 1); /* FORMAT AND LINKING: ASCII */
            return (const char *)in + at + 4;
        }
    fail_msg("no parameter %04x", code);
    return NULL;
}

static void the_list_of_pages_is_true(void **state)
{
    (void)state;
    sense(0x00, 0x2000);
    assert_good();
    assert_int_equal(get_be16(in + 2), N_PAGES);
    assert_memory_equal(in + 4, page_list, N_PAGES);
    for (unsigned page = 1; page < 0x3f; page++) {
        sense((uint8_t)page, 0x2000);
        if (memchr(page_list, (int)page, N_PAGES))
            assert_good();
        else
            assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    }
}

/* Parameters in order, their lengths add up, any allocation length cuts without harm. */
static void every_page_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAGES; i++) {
        uint8_t page = page_list[i], whole[sizeof(in)];
        sense(page, 0x2000);
        assert_good();
        size_t len = 4u + get_be16(in + 2);
        assert_int_equal(rq.in_actual, len);
        assert_int_equal(in[0], page);
        assert_int_equal(in[1], 0);
        int last = -1;
        for (size_t at = 4; page && at < len; at += 4u + in[at + 3]) {
            assert_true(at + 4 <= len && at + 4 + in[at + 3] <= len);
            assert_true(get_be16(in + at) > last);
            assert_true(in[at + 3] > 0);
            last = get_be16(in + at);
        }
        memcpy(whole, in, len);
        for (uint16_t alloc = 0; alloc < len; alloc++) {
            sense(page, alloc);
            assert_good();
            assert_int_equal(rq.in_actual, alloc);
            assert_memory_equal(in, whole, alloc);
            assert_int_equal(in[alloc], 0xEE);
        }
    }
}

static void volume_statistics_say_what_pbs_reads(void **state)
{
    (void)state;
    statistics = (struct tape_statistics){.mounts = 7,
                                          .medium_id = {0x12, 0xab},
                                          .mounted_ms = 61234,
                                          .ready_ms = 60001,
                                          .life = {.written_bytes = 5000000000u,
                                                   .written_blocks = 19073,
                                                   .read_bytes = 3000000000u,
                                                   .read_blocks = 11444,
                                                   .write_errors = 2,
                                                   .read_errors = 3},
                                          .mount = {.written_bytes = 2000000,
                                                    .stored_bytes = 1000000,
                                                    .read_bytes = 9000000,
                                                    .fetched_bytes = 6000000,
                                                    .write_errors = 1,
                                                    .read_errors = 1}};
    tape.used = 123456789012u;
    tape.write_protected = true;
    memcpy(tape.barcode, "PBS001L8", 9);
    sense(0x17, 0x2000);
    assert_good();
    assert_int_not_equal(value(0x0000, 1), 0);
    assert_int_equal(value(0x0001, 4), 7);
    assert_int_equal(value(0x0002, 8), 19073);
    assert_int_equal(value(0x0004, 4), 2);
    assert_int_equal(value(0x0007, 8), 11444);
    assert_int_equal(value(0x0009, 4), 3);
    assert_int_equal(value(0x000C, 4), 1);
    assert_int_equal(value(0x000D, 4), 1);
    assert_int_equal(value(0x000E, 4), 2);
    assert_int_equal(value(0x000F, 4), 9);
    assert_int_equal(value(0x0010, 8), 5000);
    assert_int_equal(value(0x0011, 8), 3000);
    assert_int_equal(value(0x0012, 2), 200);
    assert_int_equal(value(0x0013, 2), 150);
    assert_int_equal(value(0x0014, 6), 61234);
    assert_int_equal(value(0x0015, 6), 60001);
    assert_int_equal(value(0x0016, 4), 12000000);
    assert_int_equal(value(0x0017, 4), 123457);
    assert_int_equal(value(0x0080, 1), 1);
    assert_int_equal(value(0x0081, 1), 0);
    assert_int_equal(value(0x0101, 4), 7);
    assert_int_equal(value(0x0102, 4), 0);
    assert_int_equal(value(0x0202, 8), (UINT64_C(0x07) << 56) | 12000000);
    assert_memory_equal(text(0x0040, 32), "12ab0000000000000000000000000000", 32); /* as in attribute 0401h */
    assert_memory_equal(text(0x0042, 32), "PBS001L8                        ", 32);
}

static void a_full_tape_uses_its_capacity_and_no_more(void **state)
{
    (void)state;
    tape.used = tape.capacity + 200000000000u; /* behind early warning */
    tape.past_early_warning = true;
    sense(0x17, 0x2000);
    assert_int_equal(value(0x0016, 4), 12000000);
    assert_int_equal(value(0x0017, 4), 12000000);
    assert_int_equal(value(0x0203, 8), (UINT64_C(0x07) << 56) | 12000000);
    assert_int_equal(value(0x0204, 8), UINT64_C(0x07) << 56);
}

static void the_drives_errors_are_where_sg_logs_looks(void **state)
{
    (void)state;
    statistics.drive_loads = 12;
    statistics.drive = (struct tape_usage){.write_errors = 3, .read_errors = 4};
    sense(0x14, 0x2000);
    assert_good();
    assert_int_equal(value(0x0000, 4), 12);
    assert_int_equal(value(0x000E, 4), 3);
    assert_int_equal(value(0x000F, 4), 4);
}

/* Each counter at the value v, and all else of it far beyond what its parameter can hold. */
static void everything_counted_is(uint64_t v)
{
    const struct tape_usage u = {.written_bytes = v,
                                 .written_blocks = v,
                                 .written_filemarks = v,
                                 .stored_bytes = 1,
                                 .read_bytes = v,
                                 .read_blocks = v,
                                 .fetched_bytes = 1,
                                 .write_errors = v,
                                 .read_errors = v};
    statistics = (struct tape_statistics){.drive = u,
                                          .mount = u,
                                          .life = u,
                                          .mounts = v,
                                          .formats = v,
                                          .mounted_ms = v,
                                          .ready_ms = v,
                                          .drive_loads = v,
                                          .drive_cleanings = v,
                                          .drive_seconds = v};
    tape.used = tape.capacity = v;
}

static void counters_saturate_and_never_wrap(void **state)
{
    (void)state;
    static const struct {
        uint8_t page;
        uint16_t code;
        uint8_t len;
    } narrow[] = {{0x02, 0x06, 4}, {0x03, 0x06, 4}, {0x0C, 0x04, 4}, {0x0C, 0x05, 4}, {0x14, 0x00, 4}, {0x14, 0x01, 4},
                  {0x14, 0x02, 4}, {0x14, 0x0E, 4}, {0x14, 0x0F, 4}, {0x17, 0x01, 4}, {0x17, 0x04, 4}, {0x17, 0x09, 4},
                  {0x17, 0x0E, 4}, {0x17, 0x0F, 4}, {0x17, 0x12, 2}, {0x17, 0x13, 2}, {0x17, 0x14, 6}, {0x17, 0x15, 6},
                  {0x17, 0x16, 4}, {0x17, 0x17, 4}, {0x1B, 0x00, 2}, {0x1B, 0x01, 2}, {0x1B, 0x02, 4}, {0x1B, 0x06, 4},
                  {0x30, 0x01, 4}, {0x30, 0x04, 2}, {0x30, 0x09, 2}, {0x31, 0x03, 4}};
    everything_counted_is(UINT64_MAX - 3);
    for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
        sense(narrow[i].page, 0x2000);
        assert_good();
        assert_int_equal(value(narrow[i].code, narrow[i].len), UINT64_MAX >> (64 - 8 * narrow[i].len));
    }
    sense(0x17, 0x2000);
    assert_int_equal(value(0x0202, 8), UINT64_C(0x07000000ffffffff));
    assert_int_equal(value(0x0203, 8), UINT64_C(0x07000000ffffffff));
}

static void volume_statistics_of_an_empty_drive_are_not_valid(void **state)
{
    (void)state;
    tape.medium = TAPE_MEDIUM_NONE;
    sense(0x17, 0x2000);
    assert_good();
    assert_int_equal(value(0x0000, 1), 0);
    assert_int_equal(get_be16(in + 2), 5);
}

static void each_initiator_is_told_of_an_alert_once(void **state)
{
    (void)state;
    static const uint8_t cdb[] = {0x4D, 0, 0x6E, 0, 0, 0, 0, 0x20, 0, 0};
    tape.alerts = TAPE_ALERT_BIT(ALERT_READ_FAILURE);
    for (uint64_t nexus = 1; nexus <= 2; nexus++) {
        command_of(nexus, cdb, sizeof(cdb), sizeof(in), NULL, 0);
        assert_good();
        assert_int_equal(get_be16(in + 2), 64 * 5);
        assert_int_equal(value(0x05, 1), 1);
        assert_int_equal(value(0x06, 1), 0);
        command_of(nexus, cdb, sizeof(cdb), sizeof(in), NULL, 0);
        assert_int_equal(value(0x05, 1), 0);
    }
    /* Page 12h goes on telling. */
    sense(0x12, 512);
    assert_memory_equal(in, ((const uint8_t[]){0x12, 0, 0, 0x0c, 0, 0, 3, 8, 0x08, 0, 0, 0, 0, 0, 0, 0}), 16);
    /* It went and came again: that is news. */
    tape.alerts = 0;
    command_of(1, cdb, sizeof(cdb), sizeof(in), NULL, 0);
    tape.alerts = TAPE_ALERT_BIT(ALERT_READ_FAILURE);
    command_of(1, cdb, sizeof(cdb), sizeof(in), NULL, 0);
    assert_int_equal(value(0x05, 1), 1);
}

static void an_unload_that_is_prevented_raises_its_alert(void **state)
{
    (void)state;
    COMMAND(0x1E, 0, 0, 0, 1, 0);
    assert_good();
    COMMAND(0x1B, 0, 0, 0, 0, 0);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_MEDIUM_REMOVAL_PREVENTED);
    assert_int_equal(tape.alerts, TAPE_ALERT_BIT(ALERT_NO_REMOVAL));
}

static void log_select_sets_counters_to_0(void **state)
{
    (void)state;
    static const uint8_t test_unit_ready[6] = {0};
    statistics.drive = (struct tape_usage){.written_bytes = 1000, .read_bytes = 500, .write_errors = 4};
    statistics.life.written_blocks = 5;
    command_of(8, test_unit_ready, 6, 0, NULL, 0); /* another initiator is known */
    sense(0x02, 512);
    assert_int_equal(value(0x0005, 8), 1000);
    assert_int_equal(value(0x0006, 4), 4);
    COMMAND(0x4C, 0x02, 0xC0, 0, 0, 0, 0, 0, 0, 0);
    assert_good();
    statistics.drive.written_bytes = 1234;
    sense(0x02, 512);
    assert_int_equal(value(0x0005, 8), 234);
    assert_int_equal(value(0x0006, 4), 0);
    sense(0x17, 512); /* of the cartridge's life: stays */
    assert_int_equal(value(0x0002, 8), 5);
    /* Who asked for it is not told; the other is. */
    COMMAND(0x00, 0, 0, 0, 0, 0);
    assert_good();
    command_of(8, test_unit_ready, 6, 0, NULL, 0);
    assert_sense(KEY_UNIT_ATTENTION, ASC_LOG_PARAMETERS_CHANGED);
}

static void log_select_refuses_what_cannot_be_set(void **state)
{
    (void)state;
    static const uint8_t list[16] = {0x02, 0, 0, 12, 0, 5, 0, 8};
    statistics.drive.written_bytes = 1000;
    COMMAND(0x4C, 0x01, 0x40, 0, 0, 0, 0, 0, 0, 0); /* SP */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    COMMAND_OUT(list, 16, 0x4C, 0x02, 0x40, 0, 0, 0, 0, 0, 16, 0); /* PCR with a list */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    COMMAND_OUT(list, 16, 0x4C, 0x00, 0x40, 0, 0, 0, 0, 0, 16, 0);
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
    COMMAND_OUT(list, 8, 0x4C, 0x00, 0x40, 0, 0, 0, 0, 0, 16, 0); /* less comes than the CDB says */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
    COMMAND(0x4C, 0x02, 0x3D, 0, 0, 0, 0, 0, 0, 0); /* a page that is not there */
    assert_sense(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    COMMAND(0x4C, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0); /* nothing to set */
    assert_good();
    sense(0x02, 512);
    assert_int_equal(value(0x0005, 8), 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, model_setup, model_teardown)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(the_list_of_pages_is_true),
        T(every_page_is_well_formed),
        T(volume_statistics_say_what_pbs_reads),
        T(volume_statistics_of_an_empty_drive_are_not_valid),
        T(a_full_tape_uses_its_capacity_and_no_more),
        T(the_drives_errors_are_where_sg_logs_looks),
        T(counters_saturate_and_never_wrap),
        T(each_initiator_is_told_of_an_alert_once),
        T(an_unload_that_is_prevented_raises_its_alert),
        T(log_select_sets_counters_to_0),
        T(log_select_refuses_what_cannot_be_set),
    };
    return cmocka_run_group_tests_name("ssc_log", tests, NULL, NULL);
}
