/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_stall.c: while a WRITE waits for the store: what answers at once, and how commands and sessions end. */
#include "tests/iscsi/library.h"
#include "tests/iscsi/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/be.h"

#define D LUN_DRIVE0
#define BLOCK 1048576u
/* So long at most a few writes are on their way to a target that is slow, as with a sanitizer beside other work. */
enum { ARRIVES_MS = 2000 };

/*
 * The store cannot take segments of a cartridge while a file stands where their directory would be. Then the spool
 * fills to max_dirty, and the next WRITE waits (I6): a command as long as the test wants. Each test has a cartridge of
 * its own.
 */
static char stalled[400]; /* the file; "": none */

struct stall {
    struct session *s;
    uint8_t *data;   /* of the write that waits, and of those behind it */
    unsigned blocks; /* that were accepted */
    struct pending *waits;
};

static void stall_store(const char *barcode)
{
    const char *store = getenv("S3VTL_TEST_STORE");
    char dir[300];
    assert_non_null(store);
    (void)snprintf(dir, sizeof(dir), "%s/tapes", store);
    (void)mkdir(dir, 0755);
    (void)snprintf(dir, sizeof(dir), "%s/tapes/%s", store, barcode);
    if (mkdir(dir, 0755) && errno != EEXIST)
        fail_msg("%s: %s", dir, strerror(errno));
    (void)snprintf(stalled, sizeof(stalled), "%s/seg", dir);
    int fd = open(stalled, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0)
        fail_msg("%s: %s", stalled, strerror(errno));
    close(fd);
}

static void release_store(void)
{
    if (stalled[0] && unlink(stalled))
        fail_msg("%s: %s", stalled, strerror(errno));
    stalled[0] = '\0';
}

static int end(void **state)
{
    release_store();
    return sessions_end(state);
}

static struct pending *submit_write(struct stall *st, unsigned number)
{
    uint8_t *block = st->data + (number % 8) * BLOCK;
    fill(block, BLOCK, number);
    return submit(st->s, D, RW6(0x0A, 0, BLOCK), DATA_OUT, block, BLOCK);
}

/* A number of what status says of the spool. */
static unsigned long long spool_says(const char *status, const char *name)
{
    char quoted[40];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
    const char *spool = strstr(status, "\"spool\": {"), *p = spool ? strstr(spool, quoted) : NULL;
    if (!p)
        fail_msg("status has no %s of the spool", name);
    return strtoull(p + strlen(quoted), NULL, 10);
}

/* Is there no room for one more block? */
static bool spool_is_full(void)
{
    static char status[1 << 20];
    char line[600];
    (void)snprintf(line, sizeof(line), "%s status --json", getenv("S3VTL_TEST_COMMAND"));
    FILE *f = popen(line, "r");
    assert_non_null(f);
    status[fread(status, 1, sizeof(status) - 1, f)] = '\0';
    assert_int_equal(pclose(f), 0);
    return spool_says(status, "dirty_bytes") + BLOCK > spool_says(status, "dirty_limit");
}

/* A WRITE that has not been answered may be a slow one, and the one that fills the spool is answered. */
static bool waits_for_room(struct stall *st)
{
    while (!serve_for(st->s, st->waits, 200))
        if (spool_is_full())
            return !serve_for(st->s, st->waits, 1500);
    return false;
}

/* Writes until one waits. */
static void stall(struct stall *st, const char *barcode)
{
    const char *limit = getenv("S3VTL_TEST_MAX_DIRTY");
    assert_non_null(limit);
    unsigned sure = (unsigned)(strtoull(limit, NULL, 10) / BLOCK) - 4;
    *st = (struct stall){.s = session_open(&(struct session_options){.name = "stall", .isid = 3})};
    st->data = malloc(8 * BLOCK);
    assert_non_null(st->data);
    settle_all(st->s);
    stall_store(barcode);
    load_tape(st->s, 0, barcode);
    for (;; st->blocks++) {
        st->waits = submit_write(st, st->blocks);
        if (st->blocks >= sure && waits_for_room(st))
            return;
        assert_good(await(st->waits));
        pending_free(st->waits);
        if (st->blocks > sure + 64)
            fail_msg("writes go on far beyond max_dirty");
    }
}

static double seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

/* The store takes data again; all that was accepted is there, in order. */
static void finish(struct stall *st, struct session *s, unsigned blocks)
{
    struct reply r;
    uint8_t *want = malloc(BLOCK), *got = malloc(BLOCK);
    assert_true(want && got);
    release_store();
    settle(s, D);
    filemarks(s, D, 1);
    rewind_tape(s, D);
    for (unsigned i = 0; i < blocks; i++) {
        fill(want, BLOCK, i);
        read_block(s, D, got, BLOCK, &r);
        assert_good(&r);
        assert_memory_equal(want, got, BLOCK);
    }
    read_block(s, D, got, BLOCK, &r);
    assert_sense(&r, 0, 0x0001);
    free(want);
    free(got);
    free(st->data);
    settle(s, LUN_CHANGER);
    empty_drive(s, 0);
    session_close(s);
}

static void assert_at_once(struct session *s, int lun, const uint8_t *cdb, size_t cdb_len, uint8_t *buf, size_t len)
{
    struct timespec t;
    struct reply r;
    clock_gettime(CLOCK_MONOTONIC, &t);
    command(s, lun, cdb, cdb_len, DATA_IN, buf, len, &r);
    assert_good(&r);
    if (seconds_since(&t) > 1) /* PBS gives LOG SENSE 11h one second */
        fail_msg("command %02x took %.1f s", cdb[0], seconds_since(&t));
}

static void what_moves_no_tape_answers_while_a_write_waits(void **state)
{
    (void)state;
    struct stall st;
    uint8_t buf[8192];
    stall(&st, "STALL1L8");
    assert_at_once(st.s, D, CDB(0x12, 0, 0, 0, 36, 0), buf, 36);
    assert_at_once(st.s, D, CDB(0, 0, 0, 0, 0, 0), buf, 16);
    assert_at_once(st.s, D, CDB(0x03, 0, 0, 0, 252, 0), buf, 252);
    assert_at_once(st.s, D, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0), buf, 8192);
    assert_int_equal(buf[10], 6); /* writing */
    assert_at_once(st.s, D, CDB(0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0), buf, 32);
    assert_int_equal(get_be64(buf + 8), st.blocks);
    assert_at_once(st.s, LUN_DRIVE1, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0), buf, 8192);
    assert_at_once(st.s, LUN_CHANGER, CDB(0xB8, 0x10, 0, 0, 0xff, 0xff, 0, 0, 0x20, 0, 0, 0), buf, 8192);
    assert_false(pending_done(st.waits));
    release_store();
    assert_good(await(st.waits)); /* back-pressure, not failure */
    pending_free(st.waits);
    finish(&st, st.s, st.blocks + 1);
}

/* tgt's own queue would hold all of them back behind an ordered command. */
static void ordered_commands_hold_nothing_back(void **state)
{
    (void)state;
    struct stall st;
    struct raw raw;
    struct pdu p = {.data = NULL};
    uint8_t buf[8192];
    stall(&st, "STALL2L8");
    raw_open(&raw, false);
    for (int i = 0; i < 2; i++) { /* the first one takes the power on attention */
        uint32_t itt = raw_command(&raw, D, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0),
                                   FLAG_FINAL | FLAG_READ | ATTR_ORDERED, sizeof(buf), NULL, 0);
        assert_true(raw_finish(&raw, itt, NULL, buf, sizeof(buf), &p));
    }
    assert_int_equal(p.bhs[0] & 0x3f, PDU_DATA_IN);
    assert_int_equal(p.bhs[3], 0);
    raw_close(&raw);
    pdu_free(&p);
    release_store();
    assert_good(await(st.waits));
    pending_free(st.waits);
    finish(&st, st.s, st.blocks + 1);
}

/* A MOVE out of the drive waits for the write there. Status of the changer, of whoever asks, is that before it until it
 * is done. */
static void status_of_the_changer_is_immediate_and_whole_while_a_move_waits(void **state)
{
    (void)state;
    struct stall st;
    struct session *other = session_open(&(struct session_options){.name = "other", .isid = 9});
    uint8_t buf[8192], room[64];
    char barcode[33];
    stall(&st, "STALL0L8");
    settle(other, LUN_CHANGER);
    struct pending *p =
        submit(st.s, LUN_CHANGER,
               CDB(0xA5, 0, 0, 0, DRIVE >> 8, DRIVE & 0xff, (SLOT + 15) >> 8, (SLOT + 15) & 0xff, 0, 0, 0, 0), DATA_IN,
               room, sizeof(room));
    for (int i = 0; i < 3; i++) {
        assert_false(serve_for(st.s, p, 100));
        assert_at_once(other, LUN_CHANGER, CDB(0xB8, 0x10, 0, 0, 0xff, 0xff, 0, 0, 0x20, 0, 0, 0), buf, sizeof(buf));
        assert_true(element_full(other, DRIVE, barcode));
        assert_string_equal(barcode, "STALL0L8");
        assert_false(element_full(other, SLOT + 15, NULL));
        assert_at_once(other, LUN_CHANGER, CDB(0x1A, 8, 0x1D, 0, 0xff, 0), buf, 255);
        assert_at_once(other, LUN_CHANGER, CDB(0x12, 0, 0, 0, 36, 0), buf, 36);
    }
    release_store();
    assert_good(await(st.waits));
    assert_good(await(p));
    pending_free(st.waits);
    pending_free(p);
    assert_false(element_full(other, DRIVE, NULL));
    assert_true(element_full(other, SLOT + 15, barcode));
    assert_string_equal(barcode, "STALL0L8");
    session_close(other);
    load_tape(st.s, 0, "STALL0L8");
    struct reply r;
    command(st.s, D, CDB(0x11, 3, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    finish(&st, st.s, st.blocks + 1);
}

static struct pending *submit_move(struct session *s, uint16_t from, uint16_t to)
{
    return submit(s, LUN_CHANGER,
                  CDB(0xA5, 0, 0, 0, (uint8_t)(from >> 8), (uint8_t)from, (uint8_t)(to >> 8), (uint8_t)to, 0, 0, 0, 0),
                  NO_DATA, NULL, 0);
}

/* One MOVE waits for the drive, one for the transport: either can be aborted, and the other is as it was. */
static void aborting_a_move_ends_only_that_one(void **state)
{
    (void)state;
    struct stall st;
    struct timespec t;
    stall(&st, "STALLAL8");
    uint16_t from = find_cartridge(st.s, "STALL1L8");
    struct pending *first = submit_move(st.s, DRIVE, SLOT + 15), *second = submit_move(st.s, from, SLOT + 14);
    struct pending *third = submit_move(st.s, from, SLOT + 14);
    serve_for(st.s, NULL, ARRIVES_MS);
    abort_task(second);
    serve_for(st.s, NULL, ARRIVES_MS);
    assert_false(pending_done(first) || pending_done(third));
    clock_gettime(CLOCK_MONOTONIC, &t);
    abort_task(first);
    assert_true(serve_for(st.s, third, 30000));
    if (seconds_since(&t) > 2)
        fail_msg("the abort took %.1f s", seconds_since(&t));
    assert_good(await(third));
    assert_int_not_equal(await(first)->status, 0);
    assert_int_not_equal(await(second)->status, 0);
    assert_int_equal(find_cartridge(st.s, "STALL1L8"), SLOT + 14);
    assert_int_equal(find_cartridge(st.s, "STALLAL8"), DRIVE);
    pending_free(first);
    pending_free(second);
    pending_free(third);
    release_store();
    assert_good(await(st.waits));
    pending_free(st.waits);
    struct reply r;
    move(st.s, SLOT + 14, from, &r);
    assert_good(&r);
    finish(&st, st.s, st.blocks + 1);
}

static void a_session_lost_in_mid_move_moves_nothing(void **state)
{
    (void)state;
    struct stall st;
    struct session *other = session_open(&(struct session_options){.name = "other", .isid = 9});
    struct timespec t;
    stall(&st, "STALLBL8");
    settle(other, LUN_CHANGER);
    struct pending *p = submit_move(other, DRIVE, SLOT + 15);
    assert_false(serve_for(other, p, 300));
    session_cut(other);
    pending_free(p);
    /* The transport is free, though the drive is not. */
    uint16_t from = find_cartridge(st.s, "STALL1L8");
    struct reply r;
    clock_gettime(CLOCK_MONOTONIC, &t);
    move(st.s, from, SLOT + 14, &r);
    assert_good(&r);
    if (seconds_since(&t) > 5)
        fail_msg("the changer was not free for %.1f s", seconds_since(&t));
    move(st.s, SLOT + 14, from, &r);
    assert_good(&r);
    assert_int_equal(find_cartridge(st.s, "STALLBL8"), DRIVE);
    release_store();
    assert_good(await(st.waits));
    pending_free(st.waits);
    finish(&st, st.s, st.blocks + 1);
}

/* open-iscsi pings every few seconds and ends the session, and with it the job, when nobody answers. */
static void pings_are_answered_while_a_write_waits(void **state)
{
    (void)state;
    struct stall st;
    struct raw raw;
    struct pdu p = {.data = NULL};
    uint8_t buf[16];
    stall(&st, "STALL9L8");
    raw_open(&raw, false);
    uint8_t flags = FLAG_FINAL | FLAG_READ | ATTR_SIMPLE;
    uint32_t itt = raw_command(&raw, D, CDB(0, 0, 0, 0, 0, 0), flags, 16, NULL, 0); /* takes the power on attention */
    assert_true(raw_finish(&raw, itt, NULL, buf, 16, &p));
    itt =
        raw_command(&raw, D, CDB(0x10, 0, 0, 0, 0, 0), flags, 16, NULL, 0); /* a flush, which waits behind the write */
    for (uint8_t i = 1; i <= 3; i++) {
        uint8_t bhs[BHS] = {0x40, 0x80}; /* NOP-Out, immediate */
        bhs[19] = i;                     /* INITIATOR TASK TAG: an answer is wanted */
        put_be32(bhs + 20, 0xffffffff);
        put_be32(bhs + 24, raw.cmdsn);
        raw_send(&raw, bhs, "ping", 4);
        assert_true(raw_receive(&raw, &p));
        assert_int_equal(p.bhs[0] & 0x3f, 0x20); /* NOP-In */
        assert_int_equal(p.bhs[19], i);
        assert_int_equal(p.len, 4);
        assert_memory_equal(p.data, "ping", 4);
    }
    assert_false(pending_done(st.waits));
    release_store();
    assert_true(raw_finish(&raw, itt, NULL, buf, 16, &p));
    assert_int_equal(p.bhs[3], 0);
    raw_close(&raw);
    pdu_free(&p);
    assert_good(await(st.waits));
    pending_free(st.waits);
    finish(&st, st.s, st.blocks + 1);
}

static void an_aborted_write_ends_and_writes_nothing(void **state)
{
    (void)state;
    struct stall st;
    struct timespec t;
    stall(&st, "STALL3L8");
    clock_gettime(CLOCK_MONOTONIC, &t);
    unsigned response = abort_task(st.waits);
    assert_true(response == TMF_COMPLETE ||
                response == TMF_NO_TASK); /* tgt says the latter when the task ended for it */
    if (seconds_since(&t) > 2)
        fail_msg("the abort took %.1f s", seconds_since(&t));
    assert_true(serve_for(st.s, st.waits, 30000));
    assert_int_not_equal(await(st.waits)->status, 0);
    pending_free(st.waits);
    assert_position(st.s, D, st.blocks, 0);
    finish(&st, st.s, st.blocks);
}

static void aborting_one_of_many_ends_only_that_one(void **state)
{
    (void)state;
    struct stall st;
    stall(&st, "STALL4L8");
    struct pending *second = submit_write(&st, st.blocks + 1);
    struct pending *third = submit_write(&st, st.blocks + 2);
    serve_for(st.s, NULL,
              ARRIVES_MS); /* all of it must be there: a task management request overtakes what waits to be sent */
    abort_task(third);
    serve_for(st.s, NULL, ARRIVES_MS);
    assert_false(pending_done(st.waits));
    assert_false(pending_done(second));
    release_store();
    assert_good(await(st.waits));
    assert_good(await(second));
    assert_int_not_equal(await(third)->status, 0);
    pending_free(st.waits);
    pending_free(second);
    pending_free(third);
    finish(&st, st.s, st.blocks + 2);
}

static void a_reset_ends_everything_in_the_unit_and_nothing_else(void **state)
{
    (void)state;
    struct stall st;
    struct reply r;
    stall(&st, "STALL5L8");
    struct pending *more[3];
    for (unsigned i = 0; i < 3; i++)
        more[i] = submit_write(&st, st.blocks + 1 + i);
    settle(st.s, LUN_DRIVE1);
    serve_for(st.s, NULL, ARRIVES_MS);
    assert_int_equal(reset_lun(st.s, D), TMF_COMPLETE);
    assert_true(serve_for(st.s, st.waits, 30000));
    assert_int_not_equal(await(st.waits)->status, 0);
    pending_free(st.waits);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_not_equal(await(more[i])->status, 0);
        pending_free(more[i]);
    }
    command(st.s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2900);
    command(st.s, LUN_DRIVE1, CDB(0x1E, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(st.s, D, st.blocks, 0);
    finish(&st, st.s, st.blocks);
}

/* A session that is gone must not keep the drive: the store is still down when the next one wants to rewind. */
static void next_session_has_the_drive(struct stall *st)
{
    struct timespec t;
    struct reply r;
    uint8_t buf[64];
    struct session *s = session_open(&(struct session_options){.name = "stall", .isid = 3});
    settle_all(s);
    clock_gettime(CLOCK_MONOTONIC, &t);
    command(s, D, CDB(0x5A, 0, 0x0F, 0, 0, 0, 0, 0, 32, 0), DATA_IN, buf, 32, &r); /* waits its turn at the executor */
    assert_good(&r);
    if (seconds_since(&t) > 5)
        fail_msg("the drive was not free for %.1f s", seconds_since(&t));
    assert_position(s, D, st->blocks, 0);
    finish(st, s, st->blocks);
}

static void a_cut_connection_frees_the_drive(void **state)
{
    (void)state;
    struct stall st;
    stall(&st, "STALL6L8");
    struct pending *more = submit_write(&st, st.blocks + 1);
    serve_for(st.s, NULL, 100);
    session_cut(st.s);
    pending_free(st.waits);
    pending_free(more);
    next_session_has_the_drive(&st);
}

static void a_logout_in_mid_write_frees_the_drive(void **state)
{
    (void)state;
    struct stall st;
    stall(&st, "STALL7L8");
    session_close(st.s);
    pending_free(st.waits);
    next_session_has_the_drive(&st);
}

/* The same initiator logs in again before the target saw the old connection end (session reinstatement, RFC
 * 7143 6.3.5). */
static void a_reinstated_session_frees_the_drive(void **state)
{
    (void)state;
    struct stall st;
    struct raw raw;
    stall(&st, "STALL8L8");
    raw_open_as(&raw, false, "stall", 3);
    raw_close(&raw);
    next_session_has_the_drive(&st);
    session_cut(st.s);
    pending_free(st.waits);
}

#define T(f) cmocka_unit_test_teardown(f, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_moves_no_tape_answers_while_a_write_waits),
        T(ordered_commands_hold_nothing_back),
        T(pings_are_answered_while_a_write_waits),
        T(status_of_the_changer_is_immediate_and_whole_while_a_move_waits),
        T(aborting_a_move_ends_only_that_one),
        T(a_session_lost_in_mid_move_moves_nothing),
        T(an_aborted_write_ends_and_writes_nothing),
        T(aborting_one_of_many_ends_only_that_one),
        T(a_reset_ends_everything_in_the_unit_and_nothing_else),
        T(a_cut_connection_frees_the_drive),
        T(a_logout_in_mid_write_frees_the_drive),
        T(a_reinstated_session_frees_the_drive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
