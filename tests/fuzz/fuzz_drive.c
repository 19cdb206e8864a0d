/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_drive.c: any sequence of requests to a drive, before a tape whose every state is known. */
#include "base/be.h"
#include "scsi/sense.h"
#include "tests/fuzz/requests.h"
#include "tests/fuzz/tape.h"

#define FIXED 0x01
#define PROBE 99 /* a nexus of the fuzzer's own */
#define PAGES_ROOM 4096

static const atomic_bool never = false;

struct fuzz {
    struct scsi_lun *lun;
    struct tape *tape;
    void (*after)(struct scsi_lun *lun, const atomic_bool *cancelled); /* what an IMMED command left to be done */
};

/* ---- what must hold ---- */

static void check_position(const struct exchange *x, const struct tape_status *st)
{
    const uint8_t *in = x->in;
    if (x->rq.in_actual < (x->cdb[1] & 0x1f ? 32 : 20))
        return;
    must(!(in[0] & 0x80) == !!st->object && !(in[0] & 0x40) == !st->past_early_warning);
    if ((x->cdb[1] & 0x1f) == 0x06) {
        must(x->rq.in_actual == 32 && get_be64(in + 8) == st->object && get_be64(in + 16) == st->file);
    } else if ((x->cdb[1] & 0x1f) == 0x08) {
        must(get_be64(in + 8) == st->object && get_be64(in + 16) == st->object - st->blocks_in_buffer);
        must(get_be64(in + 24) == st->bytes_in_buffer);
    } else {
        must(x->rq.in_actual == 20 && get_be32(in + 4) == st->object && get_be32(in + 16) == st->bytes_in_buffer);
    }
}

/* What was not done, by INFORMATION, and how far the tape went make up what was asked for. */
static void check_transfer(const struct exchange *x, const struct tape_status *before, const struct tape_status *now)
{
    const uint8_t *s = x->rq.sense;
    bool check = x->rq.status == SCSI_CHECK_CONDITION, fixed = x->cdb[1] & FIXED;
    uint8_t op = x->cdb[0];
    uint32_t asked = get_be24(x->cdb + 2);
    uint64_t went = now->object - before->object;
    if (check && (!(s[0] & 0x80) || (s[0] & 0x7f) == 0x71))
        return;
    if (x->rq.status == SCSI_TASK_ABORTED || (op != 0x08 && op != 0x0A && op != 0x13))
        return;
    if (op == 0x0A)
        must(x->rq.out_actual <= x->rq.out_len && now->object == before->object + went);
    if (!fixed) {
        must(went <= (asked ? 1 : 0));
        return;
    }
    uint32_t left = check ? get_be32(s + 3) : 0;
    bool over_one = check && op != 0x0A && (s[2] & 0xA0); /* ILI or FILEMARK: that object was passed, and not counted */
    must(left <= asked && went == asked - left + over_one);
}

/* READ brings the block that stood there, from its beginning. */
static void check_data(const struct exchange *x, const struct tape *t, uint64_t object)
{
    uint32_t n = x->rq.in_actual, want = get_be24(x->cdb + 2);
    if (x->cdb[0] != 0x08 || (x->cdb[1] & FIXED) || !n)
        return;
    const struct tape_object *o = &t->object[object];
    uint32_t room = want < x->rq.in_len ? want : x->rq.in_len;
    must(object < t->st.end_object && o->data && n == (o->len < room ? o->len : room) && !memcmp(x->in, o->data, n));
}

/* A reply is never longer than the allocation length. */
static void check_length(const struct exchange *x)
{
    const uint8_t *cdb = x->cdb;
    uint32_t most = UINT32_MAX;
    switch (cdb[0]) {
    case 0x03:
    case 0x1A:
        most = cdb[4];
        break;
    case 0x12:
        most = get_be16(cdb + 3);
        break;
    case 0x44:
    case 0x4D:
    case 0x5A:
        most = get_be16(cdb + 7);
        break;
    case 0x8C:
        most = get_be32(cdb + 10);
        break;
    case 0xA2:
    case 0xA3:
        most = get_be32(cdb + 6);
        break;
    default:
        break;
    }
    must(x->rq.in_actual <= most);
}

static bool same_tape(const struct tape_status *a, const struct tape_status *b)
{
    return a->medium == b->medium && a->object == b->object && a->file == b->file && a->end_object == b->end_object &&
           a->end_file == b->end_file && a->used == b->used && a->capacity == b->capacity;
}

/* All mode parameters, as anybody may read them. */
static size_t mode_pages(struct scsi_lun *lun, uint8_t *out)
{
    struct exchange x;
    (void)scsi_ua_take(lun, PROBE);
    exchange_make(&x, PROBE, (const uint8_t[10]){0x5A, 0, 0x3F, 0xFF, 0, 0, 0, PAGES_ROOM >> 8}, 10, PAGES_ROOM);
    must(exchange_route(&x, lun));
    exchange_run(&x, lun);
    size_t n = x.rq.in_actual;
    must(x.rq.status == SCSI_GOOD && get_be16(x.in) + 2u == n);
    memcpy(out, x.in, n);
    exchange_free(&x);
    return n;
}

/* ---- steps ---- */

static void finish(struct fuzz *f)
{
    void (*after)(struct scsi_lun * lun, const atomic_bool *cancelled) = f->after;
    f->after = NULL;
    if (after)
        after(f->lun, &never);
}

static void event(struct fuzz *f, struct input *in)
{
    static const enum tape_result failures[] = {TAPE_READ_ERROR, TAPE_WRITE_ERROR, TAPE_NOT_OWNED, TAPE_INTERNAL,
                                                TAPE_OVERFLOW};
    uint8_t what = take8(in), how = take8(in);
    finish(f);
    switch (what % 8) {
    case 0:
        scsi_lun_reset(f->lun);
        break;
    case 1:
        scsi_ua_raise(f->lun, how % 4u, 0, ASC_POWER_ON_RESET);
        break;
    case 2:
        if (scsi_nexus_gone(f->lun, 1 + how % 3u))
            fuzz_tape_ops.prevent(f->tape, scsi_prevented(f->lun));
        break;
    case 3:
        tape_remove(f->tape);
        break;
    case 4:
        tape_insert(f->tape, how & 4 ? 0x5C : 0x5E, how & 1, how & 2);
        scsi_ua_raise(f->lun, 0, 0, ASC_NOT_READY_TO_READY_CHANGE);
        break;
    case 5:
        f->tape->next = failures[how % (sizeof(failures) / sizeof(failures[0]))];
        break;
    case 6:
        if (f->tape->st.medium != TAPE_MEDIUM_NONE)
            f->tape->st.medium = how & 1 ? TAPE_MEDIUM_LOADING : TAPE_MEDIUM_UNLOADED;
        break;
    default: /* what is on it stays: the tab was set while it was elsewhere */
        f->tape->st.write_protected = how & 1;
        break;
    }
}

static void command(struct fuzz *f, uint8_t bits, struct input *in)
{
    static uint8_t pages[PAGES_ROOM], pages_now[PAGES_ROOM];
    struct exchange x;
    exchange_take(&x, bits, in);
    bool run = exchange_route(&x, f->lun);
    if (run && !(x.row->flags & CMD_IMMEDIATE))
        finish(f); /* in order of arrival */
    bool select = run && (x.cdb[0] == 0x15 || x.cdb[0] == 0x55);
    size_t n = select ? mode_pages(f->lun, pages) : 0;
    struct tape_status before = f->tape->st;
    unsigned moves = f->tape->moves;
    exchange_run(&x, f->lun);
    if (has_key(&x, KEY_ILLEGAL_REQUEST) && x.rq.sense[0] % 0x80 == 0x70)
        must(same_tape(&before, &f->tape->st) && f->tape->moves == moves);
    if (!x.row || (x.row->flags & CMD_IMMEDIATE))
        must(same_tape(&before, &f->tape->st) && f->tape->moves == moves);
    if (select && has_key(&x, KEY_ILLEGAL_REQUEST))
        must(mode_pages(f->lun, pages_now) == n && !memcmp(pages, pages_now, n));
    if (run && (x.row->flags & CMD_NEEDS_MEDIUM) && before.medium != TAPE_MEDIUM_LOADED)
        must(x.rq.status == SCSI_CHECK_CONDITION);
    check_length(&x);
    if (run && x.cdb[0] == 0x34 && x.rq.status == SCSI_GOOD)
        check_position(&x, &f->tape->st);
    if (run) {
        check_transfer(&x, &before, &f->tape->st);
        check_data(&x, f->tape, before.object);
    }
    if (x.rq.after) {
        must(!f->after);
        f->after = x.rq.after;
    }
    if (bits & STEP_FINISH)
        finish(f);
    exchange_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t how = take8(&in);
    const struct scsi_identity id = {
        .type = SCSI_TYPE_TAPE, .vendor = "IBM", .product = "ULT3580-TD8", .serial = "FUZZ000001", .removable = true};
    const struct ssc_options o = {.generation = 5 + (how >> 3) % 5};
    struct tape *tape = calloc(1, sizeof(*tape));
    must(tape);
    struct fuzz f = {.lun = ssc_lun_new(&id, &o, &fuzz_tape_ops, tape), .tape = tape};
    must(f.lun);
    if (!(how & 4))
        tape_insert(tape, 0x5E, how & 1, how & 2);
    for (int i = 0; i < MAX_STEPS && in.left; i++) {
        uint8_t bits = take8(&in);
        if (bits & STEP_EVENT)
            event(&f, &in);
        else
            command(&f, bits, &in);
    }
    finish(&f);
    f.lun->destroy(f.lun);
    tape_remove(tape);
    free(tape);
    return 0;
}
