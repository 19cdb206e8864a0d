/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_queue.c: many commands outstanding, on one drive and on two. */
#include "tests/iscsi/library.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 65536u
enum { DEPTH = 16, ROUNDS = 8 };

static struct session *open_blank(bool both)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    if (both)
        load_blank(s, 1, "TEST02L8");
    return s;
}

/* DEPTH writes outstanding on a drive. Their data must live until they end. */
static void submit_writes(struct session *s, int lun, uint64_t seed, uint8_t *data, struct pending **p)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        fill(data + i * BLOCK, BLOCK, seed + i);
        p[i] = submit(s, lun, RW6(0x0A, 0, BLOCK), DATA_OUT, data + i * BLOCK, BLOCK);
    }
}

static void await_all(struct pending **p, int status)
{
    unsigned last = 0;
    for (unsigned i = 0; i < DEPTH; i++) {
        assert_int_equal(await(p[i])->status, status);
        assert_true(pending_order(p[i]) > last);
        last = pending_order(p[i]);
        pending_free(p[i]);
    }
}

static void assert_blocks(struct session *s, int lun, uint64_t seed, unsigned n)
{
    uint8_t *want = malloc(BLOCK), *got = malloc(BLOCK);
    struct reply r;
    assert_true(want && got);
    for (unsigned i = 0; i < n; i++) {
        fill(want, BLOCK, seed + i);
        read_block(s, lun, got, BLOCK, &r);
        assert_good(&r);
        assert_memory_equal(want, got, BLOCK);
    }
    free(want);
    free(got);
}

static void outstanding_writes_keep_their_order(void **state)
{
    (void)state;
    struct session *s = open_blank(false);
    uint8_t *data = malloc(DEPTH * BLOCK);
    struct pending *p[DEPTH];
    assert_non_null(data);
    for (unsigned round = 0; round < ROUNDS; round++) {
        submit_writes(s, LUN_DRIVE0, round * DEPTH, data, p);
        await_all(p, 0);
    }
    free(data);
    assert_position(s, LUN_DRIVE0, DEPTH * ROUNDS, 0);
    rewind_tape(s, LUN_DRIVE0);
    assert_blocks(s, LUN_DRIVE0, 0, DEPTH * ROUNDS);
    session_close(s);
}

static void outstanding_reads_come_in_order(void **state)
{
    (void)state;
    struct session *s = open_blank(false);
    uint8_t *data = malloc(DEPTH * BLOCK), want[16];
    struct pending *p[DEPTH];
    assert_non_null(data);
    submit_writes(s, LUN_DRIVE0, 500, data, p);
    await_all(p, 0);
    rewind_tape(s, LUN_DRIVE0);
    memset(data, 0, DEPTH * BLOCK);
    for (unsigned i = 0; i < DEPTH; i++)
        p[i] = submit(s, LUN_DRIVE0, RW6(0x08, 2, BLOCK), DATA_IN, data + i * BLOCK, BLOCK);
    await_all(p, 0);
    for (unsigned i = 0; i < DEPTH; i++) {
        fill(want, sizeof(want), 500 + i);
        assert_memory_equal(data + i * BLOCK, want, sizeof(want));
    }
    free(data);
    session_close(s);
}

static void writes_filemarks_and_positions_in_one_go(void **state)
{
    (void)state;
    struct session *s = open_blank(false);
    uint8_t *data = malloc(BLOCK), *back = calloc(1, BLOCK);
    struct pending *p[4];
    assert_true(data && back);
    fill(data, BLOCK, 9);
    p[0] = submit(s, LUN_DRIVE0, RW6(0x0A, 0, BLOCK), DATA_OUT, data, BLOCK);
    p[1] = submit(s, LUN_DRIVE0, CDB(0x10, 0, 0, 0, 1, 0), NO_DATA, NULL, 0);
    p[2] = submit(s, LUN_DRIVE0, CDB(0x01, 0, 0, 0, 0, 0), NO_DATA, NULL, 0);
    p[3] = submit(s, LUN_DRIVE0, RW6(0x08, 2, BLOCK), DATA_IN, back, BLOCK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(await(p[i])->status, 0);
        pending_free(p[i]);
    }
    assert_memory_equal(data, back, BLOCK);
    free(data);
    free(back);
    session_close(s);
}

static void two_drives_at_once(void **state)
{
    (void)state;
    struct session *s = open_blank(true);
    uint8_t *data = malloc(2 * DEPTH * BLOCK);
    struct pending *a[DEPTH], *b[DEPTH];
    assert_non_null(data);
    for (unsigned round = 0; round < ROUNDS; round++) {
        submit_writes(s, LUN_DRIVE0, round * DEPTH, data, a);
        submit_writes(s, LUN_DRIVE1, 10000 + round * DEPTH, data + DEPTH * BLOCK, b);
        await_all(a, 0);
        await_all(b, 0);
    }
    free(data);
    for (int lun = LUN_DRIVE0; lun <= LUN_DRIVE1; lun++) {
        assert_position(s, lun, DEPTH * ROUNDS, 0);
        rewind_tape(s, lun);
    }
    assert_blocks(s, LUN_DRIVE0, 0, DEPTH * ROUNDS);
    assert_blocks(s, LUN_DRIVE1, 10000, DEPTH * ROUNDS);
    session_close(s);
}

static void two_sessions_share_a_drive(void **state)
{
    (void)state;
    struct session *a = open_blank(false), *b = session_open(&(struct session_options){.name = "b", .isid = 7});
    uint8_t block[512];
    settle_all(b);
    for (unsigned i = 0; i < 20; i++) {
        fill(block, sizeof(block), i);
        write_block(i % 2 ? a : b, LUN_DRIVE0, block, sizeof(block));
    }
    assert_position(a, LUN_DRIVE0, 20, 0);
    assert_position(b, LUN_DRIVE0, 20, 0);
    session_close(a);
    session_close(b);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(outstanding_writes_keep_their_order),
        T(outstanding_reads_come_in_order),
        T(writes_filemarks_and_positions_in_one_go),
        T(two_drives_at_once),
        T(two_sessions_share_a_drive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
