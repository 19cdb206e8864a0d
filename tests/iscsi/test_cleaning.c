/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_cleaning.c: a cleaning cartridge comes, cleans and goes, fifty times and no more; it is never threaded. */
#include "tests/iscsi/library.h"

#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0
#define CLEANS "CLN001L1"
#define USES 50

static uint16_t slot; /* of the cleaning cartridge */

static void in(struct session *s)
{
    struct reply r;
    slot = find_cartridge(s, CLEANS);
    move(s, slot, DRIVE, &r);
    assert_good(&r);
    settle_all(s);
}

static void out(struct session *s)
{
    struct reply r;
    move(s, DRIVE, slot, &r);
    assert_good(&r);
}

static uint64_t alerts(struct session *s)
{
    struct reply r;
    uint8_t b[64];
    command(s, D, CDB(0x4D, 0, 0x52, 0, 0, 0, 0, 0, sizeof(b), 0), DATA_IN, b, sizeof(b), &r);
    assert_good(&r);
    assert_int_equal(b[0] & 0x3f, 0x12);
    return get_be64(b + 8);
}

#define ALERT(flag) (UINT64_C(1) << (64 - (flag)))

static unsigned cleanings(struct session *s)
{
    struct reply r;
    uint8_t b[256];
    command(s, D, CDB(0x4D, 0, 0x54, 0, 0, 0, 0, 1, 0, 0), DATA_IN, b, sizeof(b), &r);
    assert_good(&r);
    assert_int_equal(get_be16(b + 12), 0x0001); /* lifetime cleaning operations */
    return get_be32(b + 16);
}

static void expect_refused(struct session *s, const uint8_t *cdb, size_t len, enum direction direction)
{
    struct reply r;
    uint8_t b[512] = {0};
    command(s, D, cdb, len, direction, direction == NO_DATA ? NULL : b, direction == NO_DATA ? 0 : sizeof(b), &r);
    assert_sense(&r, 2, 0x3003);
}

static void it_is_never_threaded(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    settle_all(s);
    in(s);
    expect_refused(s, CDB(0, 0, 0, 0, 0, 0), NO_DATA);
    expect_refused(s, CDB(0x1B, 0, 0, 0, 1, 0), NO_DATA); /* LOAD */
    expect_refused(s, CDB(0x08, 0x02, 0, 2, 0, 0), DATA_IN);
    expect_refused(s, CDB(0x0A, 0, 0, 2, 0, 0), DATA_OUT);
    expect_refused(s, CDB(0x04, 0, 0, 0, 0, 0), NO_DATA); /* FORMAT MEDIUM */
    expect_refused(s, CDB(0x19, 0, 0, 0, 0, 0), NO_DATA);
    expect_refused(s, CDB(0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0), DATA_IN);
    assert_true(alerts(s) == ALERT(0x0B));
    command(s, D, CDB(0x1B, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* UNLOAD has nothing to do */
    assert_good(&r);
    assert_int_equal(operator_says("status | grep -q ' cleaned  *" CLEANS "'"), 0);
    out(s);
    settle_all(s);
    assert_true(alerts(s) == 0);
    session_close(s);
}

/* The drive was not ready, and is not. (The cartridge is used up here, which changes nothing.) */
static void it_comes_and_goes_without_an_attention(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    settle_all(s);
    slot = find_cartridge(s, CLEANS);
    move(s, slot, DRIVE, &r);
    assert_good(&r);
    move(s, DRIVE, slot, &r);
    assert_good(&r);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 2, 0x3A00);
    session_close(s);
}

static void it_is_used_up_after_fifty_cleanings(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    assert_int_equal(operator_says("tape list | grep -q '^" CLEANS " .* cleaning  *49 uses left'"), 0);
    unsigned before = cleanings(s);
    for (unsigned i = 1; i < USES; i++) {
        in(s);
        assert_true(alerts(s) == ALERT(0x0B));
        out(s);
    }
    settle_all(s);
    assert_int_equal(cleanings(s), before + USES - 1);
    assert_true(alerts(s) == 0);
    assert_int_equal(operator_says("tape show " CLEANS " | grep -q '^cleanings_left  *0$'"), 0);
    /* And the bucket comes to know it: a library rebuilt from there does not begin anew. */
    assert_int_equal(operator_says("status >&2; timeout 20 sh -c 'until grep -q \"mounts\\\":50\" "
                                   "$S3VTL_TEST_STORE/tapes/" CLEANS "/head/*; do sleep 0.1; done'"),
                     0);

    in(s);
    out(s);
    settle_all(s);
    assert_true(alerts(s) == ALERT(0x16)); /* told when it is out, as nobody looks before */
    assert_int_equal(cleanings(s), before + USES - 1);
    load_tape(s, 0, "DATA01L8");
    assert_true(alerts(s) == 0);
    empty_drive(s, 0);
    session_close(s);
}

static void it_has_no_capacity_to_choose(void **state)
{
    (void)state;
    assert_int_equal(operator_says("tape create CLN009L1 --capacity 2T"), 1);
    assert_int_equal(operator_says("tape create DATA09L8 CLN009L1 --worm"), 1);
    assert_int_equal(operator_says("tape list | grep -q '09L'"), 1);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_never_threaded),
        T(it_is_used_up_after_fifty_cleanings),
        T(it_comes_and_goes_without_an_attention),
        T(it_has_no_capacity_to_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
