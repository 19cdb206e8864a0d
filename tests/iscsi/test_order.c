/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_order.c: commands for the medium run in the order of their CmdSN, whatever of their data arrived when (RFC 7143
 * 4.2.2.1). */
#include "tests/iscsi/library.h"
#include "tests/iscsi/raw.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/be.h"

#define D LUN_DRIVE0
enum { MOST = 4 << 20, SHIFTS = 4096, MAX_OPS = 64, MAX_SEGMENT = 1 << 20, STATUS_ABORTED = 0x40 };

/* A block is a piece of it: its number says from where. */
static uint8_t pattern[MOST + SHIFTS + 64];

enum kind { WRITE, MARK, REWIND };
struct op {
    enum kind kind;
    uint32_t len, block, itt;
    uint32_t sent; /* bytes of its data */
    uint32_t due;  /* bytes that are yet to come unasked: its command has no final bit */
    bool asked;    /* an R2T of it is not answered: */
    uint32_t ttt, offset, want;
    bool aborted, answered;
    uint8_t status;
};

/* One session with a queue of commands. */
struct pipe {
    struct raw r;
    struct raw_options o;
    struct op op[MAX_OPS];
    unsigned n, answered;
    struct pdu pdu;
    uint64_t random;
    uint32_t task_request;
    uint8_t task_answer; /* 255: none yet */
};

/* What should be on the tape: blocks, or (length 0) filemarks. */
struct object {
    uint32_t len, block;
};
static struct object tape[MAX_OPS * 2];
static unsigned objects;

static uint32_t pick(struct pipe *p, uint32_t n)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (uint32_t)(p->random >> 11) % n;
}

static const uint8_t *data_of(const struct op *op)
{
    return pattern + op->block % SHIFTS;
}

static void blank(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    session_close(s);
    fill(pattern, sizeof(pattern), 4711);
    objects = 0;
}

static void pipe_settle(struct pipe *p)
{
    do
        assert_true(raw_finish(&p->r,
                               raw_command(&p->r, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0), NULL,
                               NULL, 0, &p->pdu));
    while (p->pdu.bhs[3] == 2 && p->pdu.len > 4 && (p->pdu.data[4] & 0x0f) == 6);
}

static void pipe_open(struct pipe *p, const struct raw_options *o)
{
    *p = (struct pipe){.o = *o, .task_answer = 255};
    raw_open_with(&p->r, o);
    pipe_settle(p);
}

static void pipe_close(struct pipe *p)
{
    raw_close(&p->r);
    pdu_free(&p->pdu);
}

/* ---- out ---- */

static struct op *send_plain(struct pipe *p, enum kind kind)
{
    struct op *op = &p->op[p->n++];
    *op = (struct op){.kind = kind};
    uint8_t attribute = p->n % 2 ? ATTR_SIMPLE : ATTR_ORDERED;
    op->itt = kind == MARK ? raw_command(&p->r, D, CDB(0x10, 0, 0, 0, 1, 0), FLAG_FINAL | attribute, 0, NULL, 0)
                           : raw_command(&p->r, D, CDB(0x01, 0, 0, 0, 0, 0), FLAG_FINAL | attribute, 0, NULL, 0);
    return op;
}

/* A WRITE of which immediate bytes go with the command, and unasked ones follow it without an R2T. */
static struct op *send_write(struct pipe *p, uint32_t len, uint32_t immediate, uint32_t unasked)
{
    struct op *op = &p->op[p->n++];
    *op = (struct op){.kind = WRITE, .len = len, .block = p->n * 37 + len, .sent = immediate, .due = unasked};
    uint8_t flags = (uint8_t)((unasked ? 0 : FLAG_FINAL) | FLAG_WRITE | (p->n % 2 ? ATTR_SIMPLE : ATTR_ORDERED));
    op->itt = raw_command(&p->r, D, RW6(0x0A, 0, len), flags, len, data_of(op), immediate);
    return op;
}

static void send_due(struct pipe *p, struct op *op)
{
    raw_data_out(&p->r, D, op->itt, NO_TAG, data_of(op), op->sent, op->due);
    op->sent += op->due;
    op->due = 0;
}

static void answer_r2t(struct pipe *p, struct op *op)
{
    raw_data_out(&p->r, D, op->itt, op->ttt, data_of(op), op->offset, op->want);
    op->sent = op->offset + op->want;
    op->asked = false;
}

static void abort_op(struct pipe *p, struct op *op)
{
    p->task_answer = 255;
    p->task_request = raw_task_request(&p->r, TASK_ABORT, D, op->itt);
    op->aborted = true;
}

/* ---- in ---- */

static struct op *op_of(struct pipe *p, uint32_t itt)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->op[i].itt == itt)
            return &p->op[i];
    return NULL;
}

static void take_answer(struct pipe *p, struct op *op)
{
    op->answered = true;
    op->status = p->pdu.bhs[3];
    p->answered++;
    if (op->aborted)
        return;
    assert_int_equal(op->status, 0);
    for (struct op *before = p->op; before < op; before++)
        if (!before->answered && !before->aborted)
            fail_msg("command %ld of %u was answered before command %ld", (long)(op - p->op), p->n,
                     (long)(before - p->op));
}

/* One PDU. Returns the opcode. */
static uint8_t pipe_receive(struct pipe *p)
{
    assert_true(raw_receive(&p->r, &p->pdu));
    uint8_t opcode = p->pdu.bhs[0] & 0x3f;
    uint32_t itt = get_be32(p->pdu.bhs + 16);
    struct op *op = op_of(p, itt);
    if (opcode == PDU_TASK_RESPONSE && itt == p->task_request) {
        p->task_answer = p->pdu.bhs[2];
    } else if (opcode == PDU_R2T) {
        assert_non_null(op);
        op->asked = true;
        op->ttt = get_be32(p->pdu.bhs + 20);
        op->offset = get_be32(p->pdu.bhs + 40);
        op->want = get_be32(p->pdu.bhs + 44);
        assert_int_equal(op->offset, op->sent);
    } else if (opcode == PDU_RESPONSE && op) {
        take_answer(p, op);
    }
    return opcode;
}

static void await_r2t(struct pipe *p, const struct op *op)
{
    while (!op->asked)
        pipe_receive(p);
}

static void await_task_answer(struct pipe *p)
{
    while (p->task_answer == 255)
        pipe_receive(p);
}

/* Answers every R2T until all commands but aborted ones have ended. */
static void finish(struct pipe *p)
{
    for (unsigned i = 0; i < p->n; i++)
        while (!p->op[i].answered && !p->op[i].aborted) {
            if (p->op[i].due)
                send_due(p, &p->op[i]);
            else if (p->op[i].asked)
                answer_r2t(p, &p->op[i]);
            else
                pipe_receive(p);
        }
}

/* The drive has no command left that might hold others up: a command of each kind is answered. */
static void assert_not_stuck(struct pipe *p)
{
    p->n = p->answered = 0;
    send_plain(p, REWIND);
    finish(p);
}

/* ---- what should be on the tape, and is ---- */

static void expect(const struct pipe *p)
{
    unsigned at = 0;
    for (unsigned i = 0; i < p->n; i++) {
        const struct op *op = &p->op[i];
        if (op->aborted)
            continue;
        if (op->kind == REWIND) {
            at = 0;
            continue;
        }
        tape[at++] = (struct object){.len = op->len, .block = op->block};
        objects = at;
    }
}

static void assert_tape(void)
{
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t *buf = malloc(MOST + 4096);
    assert_non_null(buf);
    settle_all(s);
    rewind_tape(s, D);
    for (unsigned i = 0; i < objects; i++) {
        read_block(s, D, buf, MOST + 4096, &r);
        if (!tape[i].len) {
            assert_int_equal(sense_flags(&r) & 0x80, 0x80);
            continue;
        }
        assert_good(&r);
        if (MOST + 4096 - r.residual != tape[i].len || memcmp(buf, pattern + tape[i].block % SHIFTS, tape[i].len) != 0)
            fail_msg("object %u of %u: %u bytes, not those of the write of %u", i, objects, MOST + 4096 - r.residual,
                     tape[i].len);
    }
    read_block(s, D, buf, 512, &r);
    assert_sense(&r, 8, 0x0005); /* end of data */
    rewind_tape(s, D);
    free(buf);
    session_close(s);
}

static void finish_and_compare(struct pipe *p)
{
    finish(p);
    expect(p);
    pipe_close(p);
    assert_tape();
}

/* ---- the tests ---- */

/* The second has its data with it, the first must ask. */
static void second_behind_first(enum kind second)
{
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, MOST, 65536, 0);
    if (second == WRITE)
        send_write(&p, 65536, 65536, 0);
    else
        send_plain(&p, second);
    send_write(&p, 1000, 1000, 0);
    await_r2t(&p, first);
    finish_and_compare(&p);
}

static void a_write_waits_for_the_write_before_it(void **state)
{
    (void)state;
    second_behind_first(WRITE);
}

static void a_sync_waits_for_the_write_before_it(void **state)
{
    (void)state;
    second_behind_first(MARK);
}

static void a_rewind_waits_for_the_write_before_it(void **state)
{
    (void)state;
    second_behind_first(REWIND);
}

/* Two that wait, their data in the wrong order, and one behind each. */
static void data_may_come_in_any_order(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL, .no_immediate_data = true, .first_burst = 65536});
    struct op *first = send_write(&p, 300000, 0, 65536);
    send_plain(&p, MARK);
    struct op *third = send_write(&p, 200000, 0, 0);
    send_plain(&p, MARK);
    await_r2t(&p, third);
    answer_r2t(&p, third);
    send_due(&p, first);
    finish_and_compare(&p);
}

static void what_is_answered_at_once_overtakes(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, MOST, 0, 0);
    send_plain(&p, MARK);
    await_r2t(&p, first);
    uint8_t in = FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, buf[512];
    uint32_t itt = raw_command(&p.r, D, CDB(0x12, 0, 0, 0, 36, 0), in, 36, NULL, 0);
    assert_true(raw_finish(&p.r, itt, NULL, buf, sizeof(buf), &p.pdu));
    itt = raw_command(&p.r, D, CDB(0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0), in, 32, NULL, 0);
    assert_true(raw_finish(&p.r, itt, NULL, buf, sizeof(buf), &p.pdu));
    assert_int_equal(get_be64(buf + 8), 0); /* nothing is written yet */
    itt = raw_command(&p.r, D, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 1, 0, 0), in, 256, NULL, 0);
    assert_true(raw_finish(&p.r, itt, NULL, buf, sizeof(buf), &p.pdu));
    finish_and_compare(&p);
}

/* RFC 7143 4.2.2.1: a command for immediate delivery is not in the order. */
static void an_immediate_command_neither_waits_nor_is_waited_for(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *waiting = send_write(&p, 300000, 0, 0);
    await_r2t(&p, waiting);
    uint8_t bhs[BHS] = {PDU_IMMEDIATE | PDU_COMMAND, FLAG_FINAL | ATTR_SIMPLE};
    bhs[9] = D;
    put_be32(bhs + 16, p.r.itt);
    put_be32(bhs + 24, p.r.cmdsn);
    bhs[32] = 0x10; /* WRITE FILEMARKS of 1 */
    bhs[36] = 1;
    raw_send(&p.r, bhs, NULL, 0);
    assert_true(raw_finish(&p.r, p.r.itt++, NULL, NULL, 0, &p.pdu));
    assert_int_equal(p.pdu.bhs[3], 0);
    finish(&p);
    tape[0] = (struct object){.len = 0};
    tape[1] = (struct object){.len = waiting->len, .block = waiting->block};
    objects = 2;
    pipe_close(&p);
    assert_tape();
}

static void another_session_does_not_wait(void **state)
{
    (void)state;
    blank();
    struct pipe p, other;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    pipe_open(&other, &(struct raw_options){.name = "other"});
    struct op *first = send_write(&p, 300000, 0, 0);
    await_r2t(&p, first);
    send_plain(&p, MARK);
    send_write(&other, 1000, 1000, 0);
    finish(&other);
    finish(&p);
    expect(&p);
    memmove(tape + 1, tape, objects * sizeof(*tape));
    tape[0] = (struct object){.len = 1000, .block = other.op[0].block};
    objects++;
    pipe_close(&other);
    pipe_close(&p);
    assert_tape();
}

static void an_aborted_write_lets_the_next_ones_run(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, MOST, 65536, 0);
    send_write(&p, 65536, 65536, 0);
    send_plain(&p, MARK);
    await_r2t(&p, first);
    abort_op(&p, first);
    await_task_answer(&p);
    assert_int_equal(p.task_answer, TMF_COMPLETE);
    /* Data that were on their way are of no use to anybody. */
    raw_data_out(&p.r, D, first->itt, first->ttt, data_of(first), first->offset, first->want);
    finish(&p);
    assert_false(first->answered);
    expect(&p);
    pipe_close(&p);
    assert_tape();
}

/* Those that wait for another's data can be aborted too. */
static void an_aborted_command_that_waits_its_turn_never_runs(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, 300000, 0, 0);
    struct op *second = send_plain(&p, MARK);
    send_write(&p, 65536, 65536, 0);
    await_r2t(&p, first);
    abort_op(&p, second);
    await_task_answer(&p);
    assert_true(second->answered);
    assert_int_equal(second->status, STATUS_ABORTED);
    finish_and_compare(&p);
}

/* The command can tell only one of the two that it ended. */
static void each_of_two_aborts_of_a_command_is_answered(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, 300000, 0, 0);
    struct op *second = send_plain(&p, MARK);
    await_r2t(&p, first);
    uint32_t one = raw_task_request(&p.r, TASK_ABORT, D, second->itt);
    abort_op(&p, second);
    for (unsigned answers = 0; answers < 2;) {
        uint8_t opcode = pipe_receive(&p);
        uint32_t itt = get_be32(p.pdu.bhs + 16);
        answers += opcode == PDU_TASK_RESPONSE && (itt == one || itt == p.task_request);
    }
    finish_and_compare(&p);
}

static void a_reset_ends_those_that_wait(void **state)
{
    (void)state;
    blank();
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, 300000, 0, 0);
    struct op *second = send_write(&p, 65536, 65536, 0);
    await_r2t(&p, first);
    first->aborted = second->aborted = true;
    p.task_request = raw_task_request(&p.r, TASK_LUN_RESET, D, NO_TAG);
    await_task_answer(&p);
    assert_int_equal(p.task_answer, TMF_COMPLETE);
    raw_data_out(&p.r, D, first->itt, first->ttt, data_of(first), first->offset, first->want);
    pipe_settle(&p);
    assert_false(first->answered);
    assert_not_stuck(&p);
    pipe_close(&p);
    assert_tape(); /* nothing */
}

/* tgt holds a pointer to it just then. */
static void a_reset_by_another_session_ends_a_write_in_the_middle_of_its_data(void **state)
{
    (void)state;
    blank();
    struct pipe p, other;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    pipe_open(&other, &(struct raw_options){.name = "other"});
    struct op *first = send_write(&p, 65536, 0, 0);
    await_r2t(&p, first);
    uint8_t bhs[BHS] = {PDU_DATA_OUT, FLAG_FINAL, [9] = D};
    put_be24(bhs + 5, 65536);
    put_be32(bhs + 16, first->itt);
    put_be32(bhs + 20, first->ttt);
    assert_int_equal(send(p.r.fd, bhs, BHS, 0), BHS);
    assert_int_equal(send(p.r.fd, data_of(first), 30000, 0), 30000);
    other.task_request = raw_task_request(&other.r, TASK_LUN_RESET, D, NO_TAG);
    await_task_answer(&other);
    assert_int_equal(other.task_answer, TMF_COMPLETE);
    assert_int_equal(send(p.r.fd, data_of(first) + 30000, 35536, 0), 35536);
    first->aborted = true;
    pipe_settle(&p);
    assert_false(first->answered);
    assert_not_stuck(&p);
    pipe_close(&other);
    pipe_close(&p);
    assert_tape();
}

/* A write that was complete is not written either when the one before it never came. */
static void a_lost_session_leaves_nothing_out_of_order(void **state)
{
    (void)state;
    blank();
    struct pipe p, next;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, MOST, 65536, 0);
    send_write(&p, 65536, 65536, 0);
    send_plain(&p, MARK);
    await_r2t(&p, first);
    pipe_close(&p);
    pipe_open(&next, &(struct raw_options){.name = "next"});
    assert_not_stuck(&next);
    pipe_close(&next);
    assert_tape();
}

static void set_buffered(struct session *s, bool on)
{
    struct reply r;
    uint8_t list[12] = {[2] = on ? 0x10 : 0, [3] = 8};
    command(s, D, CDB(0x15, 0x10, 0, 0, 12, 0), DATA_OUT, list, sizeof(list), &r);
    assert_good(&r);
}

static uint64_t position_of(struct pipe *p)
{
    uint8_t buf[32];
    uint32_t itt =
        raw_command(&p->r, D, CDB(0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, 32, NULL, 0);
    assert_true(raw_finish(&p->r, itt, NULL, buf, sizeof(buf), &p->pdu));
    return get_be64(buf + 8);
}

/* Its connection is still there: nobody missed it. Not buffered, writes are slow enough to wait. One may be at work. */
static void what_a_reinstated_session_had_sent_is_over(void **state)
{
    (void)state;
    enum { WRITES = 120, LEN = 262144 };
    blank();
    struct session *s = session_open(NULL);
    settle_all(s);
    set_buffered(s, false);
    struct pipe old, new;
    pipe_open(&old, &(struct raw_options){.name = "twin", .isid = 91});
    for (unsigned i = 0; i < WRITES; i++)
        raw_command(&old.r, D, RW6(0x0A, 0, LEN), FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, LEN, pattern, LEN);
    uint32_t itt = raw_command(&old.r, D, CDB(0x12, 0, 0, 0, 36, 0), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, 36, NULL, 0);
    do /* it is answered at once: the writes have all come */
        assert_true(raw_receive(&old.r, &old.pdu));
    while (get_be32(old.pdu.bhs + 16) != itt);
    pipe_open(&new, &(struct raw_options){.name = "twin", .isid = 91});
    uint64_t at = position_of(&new);
    assert_true(at < WRITES);
    itt = raw_command(&new.r, D, CDB(0x11, 3, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0);
    assert_true(raw_finish(&new.r, itt, NULL, NULL, 0, &new.pdu));
    assert_int_equal(new.pdu.bhs[3], 0);
    assert_in_range(position_of(&new), at, at + 1);
    pipe_close(&new);
    pipe_close(&old);
    settle(s, D);
    set_buffered(s, true);
    session_close(s);
}

/* The unit attention that says so ends the first. */
static void a_write_that_waits_is_not_written_on_another_tape(void **state)
{
    (void)state;
    struct reply r;
    blank();
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 1, "TEST02L8");
    write_block(s, LUN_DRIVE1, pattern, 1000);
    filemarks(s, LUN_DRIVE1, 1);
    struct pipe p;
    pipe_open(&p, &(struct raw_options){.name = NULL});
    struct op *first = send_write(&p, 300000, 0, 0);
    struct op *second = send_write(&p, 65536, 65536, 0);
    await_r2t(&p, first);
    empty_drive(s, 0);
    move(s, DRIVE + 1, DRIVE, &r);
    assert_good(&r);
    raw_data_out(&p.r, D, first->itt, first->ttt, data_of(first), first->offset, first->want);
    for (unsigned answers = 0; answers < 2;) {
        assert_true(raw_receive(&p.r, &p.pdu));
        uint32_t itt = get_be32(p.pdu.bhs + 16);
        if ((p.pdu.bhs[0] & 0x3f) != PDU_RESPONSE || (itt != first->itt && itt != second->itt))
            continue;
        answers++;
        assert_int_equal(p.pdu.bhs[3], 2);
        assert_int_equal(get_be16(p.pdu.data + 2 + 12), itt == first->itt ? 0x2800 : 0x3A00);
    }
    pipe_close(&p);
    settle(s, D);
    tape[0] = (struct object){.len = 1000, .block = 0};
    tape[1] = (struct object){.len = 0};
    objects = 2;
    session_close(s);
    assert_tape();
}

/* ---- at random ---- */

static uint32_t random_size(struct pipe *p, uint32_t burst, uint32_t limit)
{
    const uint32_t sizes[] = {1 + pick(p, 4096), 65536,         burst - 1,     burst,
                              burst + 1,         burst + 65536, 2 * burst + 3, MOST};
    uint32_t n = sizes[pick(p, sizeof(sizes) / sizeof(*sizes))];
    return n < limit ? n : limit;
}

static void send_random(struct pipe *p, uint32_t limit)
{
    uint32_t kind = pick(p, 12);
    uint32_t burst = p->o.first_burst;
    if (kind < 2) {
        send_plain(p, kind ? MARK : REWIND);
        return;
    }
    uint32_t len = random_size(p, burst, limit), first = len < burst ? len : burst;
    uint32_t immediate = p->o.no_immediate_data || !pick(p, 4) ? 0 : first < MAX_SEGMENT ? first : MAX_SEGMENT;
    if (immediate && !pick(p, 3))
        immediate = 1 + pick(p, immediate);
    send_write(p, len, immediate, p->o.initial_r2t || pick(p, 2) ? 0 : first - immediate);
}

static bool waits_for_data(const struct op *op)
{
    return op->kind == WRITE && op->sent < op->len && !op->aborted && !op->answered;
}

/* Something of what can be done now; false: nothing can, but to listen. */
static bool step(struct pipe *p, unsigned count, unsigned depth, uint32_t limit)
{
    unsigned out = 0, at = p->n ? pick(p, p->n) : 0;
    for (unsigned i = 0; i < p->n; i++)
        out += !p->op[i].answered && !p->op[i].aborted;
    if (p->n < count && out < depth && pick(p, 4)) {
        send_random(p, limit);
        return true;
    }
    for (unsigned i = 0; i < p->n; i++) {
        struct op *op = &p->op[(at + i) % p->n];
        if (!waits_for_data(op))
            continue;
        if (!pick(p, 24) && p->task_answer != 255) {
            abort_op(p, op);
        } else if (op->due) {
            send_due(p, op);
        } else if (op->asked) {
            answer_r2t(p, op);
        } else {
            continue;
        }
        return true;
    }
    return p->n < count && out < depth;
}

static bool something_came(const struct pipe *p)
{
    return poll(&(struct pollfd){.fd = p->r.fd, .events = POLLIN}, 1, 0) > 0;
}

static bool all_ended(const struct pipe *p)
{
    for (unsigned i = 0; i < p->n; i++)
        if (!p->op[i].answered && !p->op[i].aborted)
            return false;
    return p->task_answer != 255;
}

static void random_queue(uint64_t seed, unsigned depth)
{
    struct pipe p;
    unsigned count = 2 * depth < MAX_OPS ? 2 * depth : MAX_OPS;
    pipe_open(&p, &(struct raw_options){.digests = seed % 8 == 7,
                                        .no_immediate_data = seed & 1,
                                        .initial_r2t = seed & 2,
                                        .first_burst = seed & 4 ? 65536 : 1 << 20});
    p.random = (seed + 1) * 0x9E3779B97F4A7C15u;
    p.task_answer = 0;
    while (p.n < count || !all_ended(&p)) {
        if ((pick(&p, 3) && something_came(&p)) || !step(&p, count, depth, (64u << 20) / count)) {
            pipe_receive(&p);
            if (p.task_answer != 255)
                assert_int_equal(p.task_answer, TMF_COMPLETE);
        }
    }
    expect(&p);
    pipe_close(&p);
    assert_tape();
}

static void any_queue_keeps_the_order(void **state)
{
    (void)state;
    static const unsigned depths[] = {2, 3, 4, 8, 16, 32};
    const char *from = getenv("ORDER_SEED"), *rounds = getenv("ORDER_ROUNDS");
    uint64_t seed = from ? strtoull(from, NULL, 0) : 1, n = rounds ? strtoull(rounds, NULL, 0) : 24;
    blank();
    for (uint64_t i = 0; i < n; i++) {
        print_message("# seed %llu\n", (unsigned long long)(seed + i));
        random_queue(seed + i, depths[(seed + i) % (sizeof(depths) / sizeof(*depths))]);
    }
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_write_waits_for_the_write_before_it),
        T(a_sync_waits_for_the_write_before_it),
        T(a_rewind_waits_for_the_write_before_it),
        T(data_may_come_in_any_order),
        T(what_is_answered_at_once_overtakes),
        T(an_immediate_command_neither_waits_nor_is_waited_for),
        T(another_session_does_not_wait),
        T(an_aborted_write_lets_the_next_ones_run),
        T(an_aborted_command_that_waits_its_turn_never_runs),
        T(each_of_two_aborts_of_a_command_is_answered),
        T(a_reset_ends_those_that_wait),
        T(a_reset_by_another_session_ends_a_write_in_the_middle_of_its_data),
        T(a_lost_session_leaves_nothing_out_of_order),
        T(what_a_reinstated_session_had_sent_is_over),
        T(a_write_that_waits_is_not_written_on_another_tape),
        T(any_queue_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
