/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_session.c: how data travels under each way to negotiate a session, and what stays when a session ends. */
#include "tests/iscsi/library.h"

#include <stdlib.h>
#include <string.h>

#define D LUN_DRIVE0

static void write_and_read_under(const struct session_options *o)
{
    static const uint32_t sizes[] = {1, 511, 262144, 1048576, 1048577, 5000001};
    enum { N = sizeof(sizes) / sizeof(*sizes) };
    struct session *s = session_open(o);
    struct reply r;
    uint8_t *block = malloc(sizes[N - 1]), *back = malloc(sizes[N - 1]);
    assert_true(block && back);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    for (unsigned i = 0; i < N; i++) {
        fill(block, sizes[i], i);
        write_block(s, D, block, sizes[i]);
    }
    rewind_tape(s, D);
    for (unsigned i = 0; i < N; i++) {
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

static void with_header_digests(void **state)
{
    (void)state;
    write_and_read_under(&(struct session_options){.header_digest = true});
}

static void without_immediate_data(void **state)
{
    (void)state;
    write_and_read_under(&(struct session_options){.no_immediate_data = true});
}

static void with_initial_r2t(void **state)
{
    (void)state;
    write_and_read_under(&(struct session_options){.initial_r2t = true});
}

static void with_initial_r2t_and_no_immediate_data(void **state)
{
    (void)state;
    write_and_read_under(
        &(struct session_options){.initial_r2t = true, .no_immediate_data = true, .header_digest = true});
}

static void the_tape_stays_where_it_is_between_sessions(void **state)
{
    (void)state;
    uint8_t block[512], back[512];
    struct reply r;
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    for (unsigned i = 0; i < 4; i++) {
        fill(block, sizeof(block), i);
        write_block(s, D, block, sizeof(block));
    }
    command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    session_cut(s);
    s = session_open(NULL);
    settle_all(s);
    assert_position(s, D, 2, 0);
    read_block(s, D, back, sizeof(back), &r);
    assert_good(&r);
    fill(block, sizeof(block), 2);
    assert_memory_equal(block, back, sizeof(block));
    session_close(s);
}

static void a_lost_session_prevents_nothing(void **state)
{
    (void)state;
    struct reply r;
    struct session *holder = session_open(&(struct session_options){.name = "holder", .isid = 5});
    struct session *s = session_open(NULL);
    settle_all(s);
    load_tape(s, 0, "TEST01L8");
    settle_all(holder);
    command(holder, D, CDB(0x1E, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    move(s, DRIVE, SLOT + 15, &r);
    assert_sense(&r, 5, 0x5302);
    session_cut(holder);
    for (int i = 0; i < 50 && r.status; i++) { /* seen within a second or so */
        serve_for(s, NULL, 100);
        move(s, DRIVE, SLOT + 15, &r);
    }
    assert_good(&r);
    session_close(s);
}

/* Whatever its end: what it prevented is possible at once. */
static void an_ended_session_prevents_nothing_at_once(void **state)
{
    (void)state;
    static const struct session_options port = {.name = "holder", .isid = 5};
    struct reply r;
    struct session *holder = session_open(&port), *before = NULL, *s = session_open(NULL);
    settle_all(s);
    for (int logout = 0; logout < 2; logout++) {
        load_tape(s, 0, "TEST01L8");
        settle_all(holder);
        command(holder, D, CDB(0x1E, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        if (logout) {
            session_close(holder);
        } else { /* the same port logs in again: session reinstatement, RFC 7143 6.3.5 */
            before = holder;
            holder = session_open(&port);
            settle(holder, LUN_CHANGER);
        }
        assert_int_equal(operator_says("tape move TEST01L8 slot 16"), 0);
        settle_all(s);
    }
    session_cut(before);
    session_close(s);
}

static void a_reset_ends_prevention(void **state)
{
    (void)state;
    struct reply r;
    struct session *s = session_open(NULL);
    settle_all(s);
    load_tape(s, 0, "TEST01L8");
    command(s, D, CDB(0x1E, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_int_equal(reset_lun(s, D), TMF_COMPLETE);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2900);
    move(s, DRIVE, SLOT + 15, &r);
    assert_good(&r);
    session_close(s);
}

static void an_abort_of_nothing_is_answered(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    struct pending *p = submit(s, D, CDB(0x12, 0, 0, 0, 0, 0), NO_DATA, NULL, 0);
    await(p);
    assert_int_equal(abort_task(p), TMF_NO_TASK);
    pending_free(p);
    session_close(s);
}

static void many_sessions_come_and_go(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 80; i++) { /* more than a unit remembers */
        struct session *s = session_open(&(struct session_options){.name = "many", .isid = 100 + i});
        struct reply r;
        command(s, LUN_CHANGER, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_sense(&r, 6, 0x2900);
        if (i % 2)
            session_close(s);
        else
            session_cut(s);
    }
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(with_header_digests),
        T(without_immediate_data),
        T(with_initial_r2t),
        T(with_initial_r2t_and_no_immediate_data),
        T(the_tape_stays_where_it_is_between_sessions),
        T(a_lost_session_prevents_nothing),
        T(an_ended_session_prevents_nothing_at_once),
        T(a_reset_ends_prevention),
        T(an_abort_of_nothing_is_answered),
        T(many_sessions_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
