/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_scsi_bad_input.c: bad input to every command of drive and changer, by their own tables: a row without a case
 * (bad_cases.h) is a failure. */
#include "tests/unit/bad_cases.h"
#include "tests/unit/bad_rig.h"

/* ---- the walk ---- */

static const struct bad_case *case_of(const struct scsi_lun *lun, const struct scsi_command *row)
{
    const struct bad_case *c = lun == drive ? drive_cases : changer_cases;
    size_t n = lun == drive ? sizeof(drive_cases) / sizeof(*c) : sizeof(changer_cases) / sizeof(*c);
    for (size_t i = 0; i < n; i++)
        if (c[i].opcode == row->opcode && (c[i].action == row->service_action || c[i].action == ANY_ACTION))
            return &c[i];
    fail_msg("%s (%02Xh) has no case in bad_cases.h", row->name, row->opcode);
    return NULL;
}

/* Calls fn for each row that is run, of both units, each time before a new one. */
static void each_row(void (*fn)(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c))
{
    for (int unit = 0; unit < 2; unit++)
        for (size_t i = 0; i < (unit ? changer : drive)->table_len; i++) {
            again();
            struct scsi_lun *lun = unit ? changer : drive;
            const struct scsi_command *row = &lun->table[i];
            if (!(row->flags & CMD_TRANSPORT))
                fn(lun, row, case_of(lun, row));
        }
}

static uint32_t good_length(const struct bad_case *c)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < c->list_len; i++)
        n = n << 8 | c->cdb[c->list_at + i];
    return n;
}

/* The case's CDB with another length in the field of len bytes at at. */
static void with_length(const struct bad_case *c, unsigned at, unsigned len, uint32_t n, uint8_t cdb[16])
{
    memcpy(cdb, c->cdb, 16);
    for (unsigned i = 0; i < len; i++)
        cdb[at + i] = (uint8_t)(n >> 8 * (len - 1 - i));
}

static void run_case(struct scsi_lun *lun, const struct bad_case *c)
{
    bool writes_blocks = c->opcode == 0x0A;
    command(lun, c->cdb, ROOM, writes_blocks ? data : c->list, writes_blocks ? 512 : good_length(c));
}

static bool same_tape(const struct tape_status *a, const struct tape_status *b)
{
    return a->medium == b->medium && a->object == b->object && a->end_object == b->end_object &&
           a->end_file == b->end_file && a->used == b->used && a->capacity == b->capacity;
}

/* All that MODE SELECT and WRITE ATTRIBUTE can change. */
static size_t parameters(struct scsi_lun *lun, uint8_t *out)
{
    command(lun, (const uint8_t[16]){0x5A, lun == drive ? 0 : 8, 0x3F, 0xFF, 0, 0, 0, ROOM >> 8}, ROOM, NULL, 0);
    assert_good();
    memcpy(out, in, rq.in_actual);
    size_t n = rq.in_actual;
    memcpy(out + n, &tape->mam.n, sizeof(tape->mam.n));
    return n + sizeof(tape->mam.n);
}

/* ---- tests ---- */

static void good_case(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c)
{
    run_case(lun, c);
    bool as_expected = c->refused_asc ? key() == 5 && asc() == c->refused_asc : rq.status == SCSI_GOOD;
    if (!as_expected)
        fail_msg("%s: its case ends with %x/%04x, byte %u", row->name, key(), asc(), get_be16(rq.sense + 16));
}

static void every_command_has_a_case_that_is_no_bad_input(void **state)
{
    (void)state;
    each_row(good_case);
}

static void reserved_bits(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c)
{
    struct tape_status before = tape->st;
    unsigned moves = tape->moves;
    for (unsigned byte = 1; byte < row->cdb_len; byte++)
        for (unsigned bit = 0; bit < (byte == 1 && row->cdb_len <= 12 ? 5 : 8); bit++) {
            uint8_t cdb[16];
            if (row->usage[byte] & (1u << bit))
                continue;
            memcpy(cdb, c->cdb, 16);
            cdb[byte] |= (uint8_t)(1u << bit);
            command(lun, cdb, ROOM, c->list, good_length(c));
            if (key() != 5 || asc() != 0x2400 || rq.sense[15] != (0xC8 | bit) || get_be16(rq.sense + 16) != byte)
                fail_msg("%s: bit %u of byte %u is no invalid field", row->name, bit, byte);
            assert_int_equal(rq.in_actual, 0);
        }
    assert_true(same_tape(&before, &tape->st) && moves == tape->moves && !changer_calls);
}

static void a_reserved_bit_in_any_byte_is_an_invalid_field(void **state)
{
    (void)state;
    each_row(reserved_bits);
}

static void short_allocations(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c)
{
    uint8_t cdb[16], first;
    if (!c->alloc_len)
        return;
    run_case(lun, c);
    first = in[0];
    for (uint32_t n = 0; n <= 1; n++) {
        with_length(c, c->alloc_at, c->alloc_len, n, cdb);
        command(lun, cdb, ROOM, NULL, 0);
        if (rq.status != SCSI_GOOD || rq.in_actual != n || in[n] != 0xEE || (n && in[0] != first))
            fail_msg("%s: allocation length %u: %u bytes", row->name, n, rq.in_actual);
    }
    command(lun, c->cdb, 1, NULL, 0); /* and an initiator that takes less than its CDB says */
    assert_good();
    assert_int_equal(rq.in_actual, 1);
    assert_int_equal(in[1], 0xEE);
}

static void allocation_lengths_of_0_and_1_are_no_error(void **state)
{
    (void)state;
    each_row(short_allocations);
}

static void without_medium(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c)
{
    static const struct {
        enum tape_medium medium;
        unsigned asc;
    } states[] = {{TAPE_MEDIUM_UNLOADED, 0x3A00}, {TAPE_MEDIUM_LOADING, 0x0401}, {TAPE_MEDIUM_NONE, 0x3A00}};
    if (lun != drive)
        return;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        bool none = states[i].medium == TAPE_MEDIUM_NONE;
        if (none)
            tape_remove(tape);
        tape->st.medium = states[i].medium;
        struct tape_status before = tape->st;
        unsigned moves = tape->moves;
        if (row->opcode == 0x1B && !none) /* what it is for */
            continue;
        run_case(lun, c);
        bool needs = (row->flags & CMD_NEEDS_MEDIUM) || c->empty_asc;
        if (needs && (key() != KEY_NOT_READY || asc() != states[i].asc))
            fail_msg("%s: without medium: status %02x, %x/%04x", row->name, rq.status, key(), asc());
        if (!needs && key() == KEY_NOT_READY)
            fail_msg("%s needs no medium, but says %x/%04x", row->name, key(), asc());
        assert_true(same_tape(&before, &tape->st) && moves == tape->moves);
        assert_true(!needs || !rq.in_actual);
    }
}

static void what_needs_a_medium_says_which_is_missing(void **state)
{
    (void)state;
    each_row(without_medium);
}

/* A list that ends early must be refused, but where nothing, or whole pages or attributes only, are left of it. */
static void cut_lists(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c)
{
    static uint8_t before[2 * ROOM], now[2 * ROOM];
    uint32_t whole = good_length(c), head = c->opcode == 0x15 ? 4 : 8;
    bool mode = c->opcode == 0x15 || c->opcode == 0x55;
    struct scsi_lun **unit = lun == drive ? &drive : &changer; /* the one there is, after again() too */
    uint8_t cdb[16], list[sizeof(c->list) + 1] = {0};
    if (!c->list_len)
        return;
    memcpy(list, c->list, sizeof(c->list));
    size_t n = parameters(lun, before);
    for (uint32_t len = 0; len <= whole + 1; len++)
        for (uint32_t sent = len ? len - 1 : 0; sent <= len; sent++) { /* all that the CDB says, or one byte less */
            bool fine = !len || (sent == len && !c->refused_asc &&
                                 (len == whole || (c->opcode == 0x8D && len == 4) ||
                                  (mode && (len == head || (unit == &drive && len == head + 8)))));
            if (mode && len >= head && len < head + 8 && unit == &drive)
                fine = false; /* the header says that a descriptor follows */
            with_length(c, c->list_at, c->list_len, len, cdb);
            uint8_t *exact = malloc(sent ? sent : 1);
            assert_non_null(exact);
            memcpy(exact, list, sent);
            if (fine && len)
                again();
            command(*unit, cdb, ROOM, exact, sent);
            free(exact);
            if (fine && rq.status != SCSI_GOOD)
                fail_msg("%s: %u bytes are no error, but %x/%04x", row->name, len, key(), asc());
            if (!fine && (key() != 5 || (asc() != 0x1A00 && asc() != 0x2600)))
                fail_msg("%s: %u bytes, %u sent: status %02x, %04x", row->name, len, sent, rq.status, asc());
            if (fine && len)
                again();
            assert_int_equal(parameters(*unit, now), n);
            assert_memory_equal(before, now, n);
        }
}

static void parameter_lists_that_are_too_short_or_too_long_change_nothing(void **state)
{
    (void)state;
    each_row(cut_lists);
}

static void on_protected(struct scsi_lun *lun, const struct scsi_command *row, const struct bad_case *c)
{
    if (lun != drive)
        return;
    for (int worm = 0; worm <= 1; worm++) {
        fill_tape(!worm, worm);
        struct tape_status before = tape->st;
        run_case(lun, c);
        bool refused = key() == KEY_DATA_PROTECT && asc() == (worm ? 0x300Cu : 0x2700u);
        if (refused != (c->writes == WRITES))
            fail_msg("%s on a %s tape: status %02x, %x/%04x", row->name, worm ? "WORM" : "protected", rq.status, key(),
                     asc());
        assert_true(tape->st.end_object == before.end_object && tape->st.used == before.used &&
                    tape->st.capacity == before.capacity);
        assert_true(!refused || same_tape(&before, &tape->st));
    }
}

static void what_writes_is_refused_by_protected_and_worm_media(void **state)
{
    (void)state;
    each_row(on_protected);
}

static void transfer_lengths_that_disagree_with_the_data(void **state)
{
    (void)state;
    struct tape_status before = tape->st;
    DRIVE_OUT(data, 511, 0x0A, 0, 0, 2, 0); /* fewer than the CDB says */
    assert_sense(5, 0x2400);
    DRIVE_OUT(NULL, 0, 0x0A, 0, 0, 2, 0);
    assert_sense(5, 0x2400);
    DRIVE_OUT(data, 512, 0x0A, 1, 0, 0, 1); /* FIXED without a block length */
    assert_sense(5, 0x2400);
    DRIVE(ROOM, 0x08, 1, 0, 0, 1);
    assert_sense(5, 0x2400);
    DRIVE(ROOM, 0x08, 3, 0, 0, 1); /* FIXED and SILI */
    assert_sense(5, 0x2400);
    DRIVE_OUT(data, sizeof(data), 0x0A, 0, 0x80, 0, 1); /* longer than a block can be */
    assert_sense(5, 0x2400);
    DRIVE_OUT(data, 512, 0x0A); /* nothing to transfer */
    assert_good();
    DRIVE(ROOM, 0x08, 2);
    assert_good();
    assert_int_equal(rq.in_actual, 0);
    assert_true(same_tape(&before, &tape->st));
    DRIVE(100, 0x08, 2, 0, 2, 0); /* room for less than is asked for: the block is passed */
    assert_good();
    assert_int_equal(rq.in_actual, 100);
    assert_int_equal(in[100], 0xEE);
    assert_int_equal(tape->st.object, 1);
    DRIVE_OUT(data, 1024, 0x0A, 0, 0, 2, 0); /* more than the CDB says: what it says is written */
    assert_good();
    assert_int_equal(rq.out_actual, 512);
    assert_int_equal(tape->st.end_object, 2);
    assert_int_equal(tape->st.used, 1024);
}

static void at_the_beginning_the_end_of_data_and_the_end_of_the_tape(void **state)
{
    (void)state;
    DRIVE(0, 0x11, 0, 0xFF, 0xFF, 0xFE); /* two blocks back */
    assert_sense(0, 0x0004);
    assert_int_equal(rq.sense[2] & 0x40, 0x40);
    assert_int_equal(get_be32(rq.sense + 3), 2);
    DRIVE(0, 0x11, 1, 0xFF, 0xFF, 0xFF);
    assert_sense(0, 0x0004);
    assert_int_equal(tape->st.object, 0);
    /* The most that can be asked for, either way; the residual has no room. */
    for (uint8_t code = 0; code < 2; code++) {
        DRIVE(0, 0x91, code, [4] = 0x80);
        assert_sense(0, 0x0004);
        assert_int_equal(rq.sense[0] & 0x80, 0);
        assert_int_equal(tape->st.object, 0);
        DRIVE(0, 0x91, code, [4] = 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF);
        assert_sense(code ? 8 : 0, code ? 0x0005 : 0x0001);
        DRIVE(0, 0x01);
        assert_good();
    }
    DRIVE(0, 0x92, 0, [11] = 200);
    assert_sense(8, 0x0005);
    assert_int_equal(tape->st.object, 4);
    DRIVE(ROOM, 0x08, 2, 0, 2, 0);
    assert_sense(8, 0x0005);
    assert_int_equal(get_be32(rq.sense + 3), 512);
    assert_int_equal(rq.in_actual, 0);
    DRIVE(0, 0x13, 0, 0, 2, 0);
    assert_sense(8, 0x0005);
    DRIVE(0, 0x11, 0, 0, 0, 3);
    assert_sense(8, 0x0005);
    assert_int_equal(get_be32(rq.sense + 3), 3);
    assert_int_equal(tape->st.object, 4);
    DRIVE(0, 0x04); /* FORMAT MEDIUM is for the beginning */
    assert_sense(5, 0x3B0C);
    DRIVE(0, 0x0B, 0, 0, 0x80, 0);
    assert_sense(5, 0x3B0C);
    assert_int_equal(tape->st.end_object, 4);
    while (tape->st.used + sizeof(data) <= TAPE_CAPACITY + TAPE_BEHIND_EW) {
        DRIVE_OUT(data, sizeof(data), 0x0A, 0, 1, 0, 0);
        if (tape->st.past_early_warning)
            assert_sense(0, 0x0002);
        else
            assert_good();
    }
    struct tape_status full = tape->st;
    DRIVE_OUT(data, sizeof(data), 0x0A, 0, 1, 0, 0);
    assert_sense(13, 0x0002);
    assert_int_equal(rq.sense[2] & 0x40, 0x40);
    assert_int_equal(get_be32(rq.sense + 3), sizeof(data));
    DRIVE(0, 0x10, 0, 0xFF, 0xFF, 0xFF);
    assert_sense(13, 0x0002);
    assert_int_equal(get_be32(rq.sense + 3), 0xFFFFFF);
    assert_true(same_tape(&full, &tape->st));
}

static void what_is_reported_as_supported_is_what_is_taken(void **state)
{
    (void)state;
    for (int unit = 0; unit < 2; unit++)
        for (unsigned op = 0; op < 256; op++)
            for (unsigned action = 0; action < 32; action++) {
                struct scsi_lun *lun = unit ? changer : drive;
                uint8_t cdb[16] = {(uint8_t)op, (uint8_t)action};
                bool other, transport;
                const struct scsi_command *row = scsi_find_command(lun, (uint8_t)op, (int)action, &other);
                transport = row && (row->flags & CMD_TRANSPORT);
                command(lun, (const uint8_t[16]){0xA3, 0x0C, 3, (uint8_t)op, 0, (uint8_t)action, 0, 0, 32}, ROOM, NULL,
                        0);
                assert_good();
                bool reported = (in[1] & 0x07) == 0x03;
                rq = (struct scsi_request){.cdb = cdb, .cdb_len = 16, .nexus = 7, .cancelled = &never};
                bool taken = scsi_lun_route(lun, &rq, &row) != SCSI_ROUTE_DONE;
                if (!taken && !transport)
                    assert_sense(5, (other || reported) ? 0x2400 : 0x2000);
                assert_true(!taken || reported);
                assert_true(!reported || taken || transport || !other);
            }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, renew, end)
    const struct CMUnitTest tests[] = {
        T(every_command_has_a_case_that_is_no_bad_input),
        T(a_reserved_bit_in_any_byte_is_an_invalid_field),
        T(allocation_lengths_of_0_and_1_are_no_error),
        T(what_needs_a_medium_says_which_is_missing),
        T(parameter_lists_that_are_too_short_or_too_long_change_nothing),
        T(what_writes_is_refused_by_protected_and_worm_media),
        T(transfer_lengths_that_disagree_with_the_data),
        T(at_the_beginning_the_end_of_data_and_the_end_of_the_tape),
        T(what_is_reported_as_supported_is_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
