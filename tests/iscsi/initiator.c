/* SPDX-License-Identifier: GPL-2.0-or-later */
/* initiator.c: a small initiator over libiscsi. */
#include "tests/iscsi/initiator.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define COMMAND_LIMIT_MS 60000
#define MAX_SESSIONS 16

struct session {
    struct iscsi_context *ctx;
    unsigned ended; /* commands */
    bool cut;
};

struct pending {
    struct session *s;
    struct scsi_task *task;
    struct reply reply;
    bool done;
    unsigned order;
};

static struct session *sessions[MAX_SESSIONS];

static const char *environment(const char *name)
{
    const char *v = getenv(name);
    if (!v || !*v)
        fail_msg("%s is not set: run these tests by tests/iscsi/run", name);
    return v;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* S3VTL_TEST_FILTER=a_reset* runs the tests of that name only. */
__attribute__((constructor)) static void set_filter(void)
{
    const char *filter = getenv("S3VTL_TEST_FILTER");
    if (filter && *filter)
        cmocka_set_test_filter(filter);
}

/* ---- sessions ---- */

static void configure(struct iscsi_context *ctx, const struct session_options *o)
{
    iscsi_set_targetname(ctx, environment("S3VTL_TEST_TARGET"));
    iscsi_set_session_type(ctx, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(ctx, o->header_digest ? ISCSI_HEADER_DIGEST_CRC32C : ISCSI_HEADER_DIGEST_NONE);
    if (o->isid)
        iscsi_set_isid_random(ctx, o->isid, 0);
    if (o->no_immediate_data)
        iscsi_set_immediate_data(ctx, ISCSI_IMMEDIATE_DATA_NO);
    if (o->initial_r2t)
        iscsi_set_initial_r2t(ctx, ISCSI_INITIAL_R2T_YES);
    if (o->user)
        iscsi_set_initiator_username_pwd(ctx, o->user, o->password);
    if (o->target_user)
        iscsi_set_target_username_pwd(ctx, o->target_user, o->target_password);
    iscsi_set_noautoreconnect(ctx, 1);
}

static struct session *session_keep(struct iscsi_context *ctx)
{
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        if (!sessions[i]) {
            sessions[i] = calloc(1, sizeof(*sessions[i]));
            assert_non_null(sessions[i]);
            sessions[i]->ctx = ctx;
            return sessions[i];
        }
    fail_msg("more than %d sessions in a test", MAX_SESSIONS);
    return NULL;
}

struct session *session_try(const struct session_options *o, char *why, size_t why_size)
{
    static const struct session_options defaults = {.name = NULL};
    char name[64];
    if (!o)
        o = &defaults;
    (void)snprintf(name, sizeof(name), "iqn.2026-11.s3vtl.test:%s", o->name ? o->name : "tests");
    struct iscsi_context *ctx = iscsi_create_context(name);
    assert_non_null(ctx);
    configure(ctx, o);
    /* -1: iscsi_full_connect would ask the LUN with commands of its own and swallow unit attentions. */
    if (!iscsi_connect_sync(ctx, environment("S3VTL_TEST_PORTAL")) && !iscsi_login_sync(ctx))
        return session_keep(ctx);
    if (why)
        (void)snprintf(why, why_size, "%s", iscsi_get_error(ctx));
    iscsi_destroy_context(ctx);
    return NULL;
}

struct session *session_open(const struct session_options *o)
{
    char why[300] = "";
    struct session *s = session_try(o, why, sizeof(why));
    if (!s)
        fail_msg("login: %s", why);
    return s;
}

static void session_free(struct session *s)
{
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        if (sessions[i] == s)
            sessions[i] = NULL;
    iscsi_destroy_context(s->ctx);
    free(s);
}

void session_close(struct session *s)
{
    if (!s->cut && iscsi_logout_sync(s->ctx))
        fail_msg("logout: %s", iscsi_get_error(s->ctx));
    session_free(s);
}

void session_cut(struct session *s)
{
    s->cut = true;
    shutdown(iscsi_get_fd(s->ctx), SHUT_RDWR);
    session_free(s);
}

int sessions_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        if (sessions[i])
            session_free(sessions[i]);
    return 0;
}

int session_fd(struct session *s)
{
    return iscsi_get_fd(s->ctx);
}

/* ---- commands ---- */

static void take_reply(struct reply *r, int status, const struct scsi_task *task)
{
    r->status = status;
    r->flag = task->residual_status == SCSI_RESIDUAL_UNDERFLOW  ? RESIDUAL_UNDERFLOW
              : task->residual_status == SCSI_RESIDUAL_OVERFLOW ? RESIDUAL_OVERFLOW
                                                                : RESIDUAL_NONE;
    r->residual = (uint32_t)task->residual;
    if (status == SCSI_STATUS_CHECK_CONDITION && task->datain.size > 2) {
        r->sense_len = (size_t)task->datain.data[0] << 8 | task->datain.data[1]; /* SenseLength, RFC 7143 11.4.7 */
        assert_true(r->sense_len <= (size_t)task->datain.size - 2 && r->sense_len <= sizeof(r->sense));
        memcpy(r->sense, task->datain.data + 2, r->sense_len);
    }
}

static void on_end(struct iscsi_context *ctx, int status, void *data, void *arg)
{
    struct pending *p = arg;
    (void)ctx;
    (void)data;
    take_reply(&p->reply, status, p->task);
    p->done = true;
    p->order = ++p->s->ended;
}

struct pending *submit(struct session *s, int lun, const uint8_t *cdb, size_t cdb_len, enum direction dir, void *buf,
                       size_t len)
{
    struct pending *p = calloc(1, sizeof(*p));
    uint8_t copy[16] = {0};
    assert_true(p && cdb_len <= sizeof(copy));
    memcpy(copy, cdb, cdb_len);
    p->s = s;
    p->task = scsi_create_task((int)cdb_len, copy,
                               dir == DATA_IN    ? SCSI_XFER_READ
                               : dir == DATA_OUT ? SCSI_XFER_WRITE
                                                 : SCSI_XFER_NONE,
                               (int)len);
    assert_non_null(p->task);
    if (dir == DATA_IN && len)
        scsi_task_add_data_in_buffer(p->task, (int)len, buf);
    if (dir == DATA_OUT && len)
        scsi_task_add_data_out_buffer(p->task, (int)len, buf);
    if (iscsi_scsi_command_async(s->ctx, lun, p->task, on_end, NULL, p))
        fail_msg("command %02x: %s", cdb[0], iscsi_get_error(s->ctx));
    return p;
}

bool pending_done(const struct pending *p)
{
    return p->done;
}

unsigned pending_order(const struct pending *p)
{
    return p->order;
}

/* One round of the socket's events. */
static void service(struct session *s, int ms)
{
    struct pollfd p = {.fd = iscsi_get_fd(s->ctx), .events = (short)iscsi_which_events(s->ctx)};
    int n = poll(&p, 1, ms);
    if (n < 0 && errno != EINTR)
        fail_msg("poll: %s", strerror(errno));
    if (n > 0 && iscsi_service(s->ctx, p.revents))
        fail_msg("session: %s", iscsi_get_error(s->ctx));
}

bool serve_for(struct session *s, struct pending *p, int ms)
{
    uint64_t until = now_ms() + (uint64_t)ms;
    for (uint64_t now; !(p && p->done) && (now = now_ms()) < until;)
        service(s, (int)(until - now));
    return p && p->done;
}

const struct reply *await(struct pending *p)
{
    if (!serve_for(p->s, p, COMMAND_LIMIT_MS))
        fail_msg("command %02x did not end in %d s", p->task->cdb[0], COMMAND_LIMIT_MS / 1000);
    return &p->reply;
}

void pending_free(struct pending *p)
{
    scsi_free_scsi_task(p->task);
    free(p);
}

void command(struct session *s, int lun, const uint8_t *cdb, size_t cdb_len, enum direction dir, void *buf, size_t len,
             struct reply *r)
{
    struct pending *p = submit(s, lun, cdb, cdb_len, dir, buf, len);
    *r = *await(p);
    pending_free(p);
}

/* ---- task management ---- */

struct management {
    bool done;
    unsigned response;
};

static void on_managed(struct iscsi_context *ctx, int status, void *data, void *arg)
{
    struct management *m = arg;
    (void)ctx;
    m->done = true;
    m->response = status == SCSI_STATUS_GOOD ? *(uint32_t *)data : 0xffff;
}

static unsigned manage(struct session *s, int lun, enum iscsi_task_mgmt_funcs fn, uint32_t itt, uint32_t cmdsn)
{
    struct management m = {false, 0};
    if (iscsi_task_mgmt_async(s->ctx, lun, fn, itt, cmdsn, on_managed, &m))
        fail_msg("task management: %s", iscsi_get_error(s->ctx));
    for (uint64_t until = now_ms() + COMMAND_LIMIT_MS; !m.done && now_ms() < until;)
        service(s, 1000);
    if (!m.done)
        fail_msg("task management function %d did not end in %d s", fn, COMMAND_LIMIT_MS / 1000);
    return m.response;
}

unsigned abort_task(struct pending *p)
{
    return manage(p->s, (int)p->task->lun, ISCSI_TM_ABORT_TASK, p->task->itt, p->task->cmdsn);
}

unsigned reset_lun(struct session *s, int lun)
{
    return manage(s, lun, ISCSI_TM_LUN_RESET, 0xffffffff, 0);
}

/* ---- what most tests say ---- */

unsigned sense_key(const struct reply *r)
{
    return r->sense_len > 2 ? r->sense[2] & 0x0f : 0;
}

unsigned sense_asc(const struct reply *r)
{
    return r->sense_len > 13 ? (unsigned)r->sense[12] << 8 | r->sense[13] : 0;
}

uint8_t sense_flags(const struct reply *r)
{
    return r->sense_len > 2 ? r->sense[2] & 0xe0 : 0;
}

int64_t sense_information(const struct reply *r)
{
    assert_true(r->sense_len >= 7 && (r->sense[0] & 0x80));
    return (int32_t)((uint32_t)r->sense[3] << 24 | (uint32_t)r->sense[4] << 16 | (uint32_t)r->sense[5] << 8 |
                     r->sense[6]);
}

void assert_status_at(const struct reply *r, int status, unsigned key, unsigned asc, const char *file, int line)
{
    if (r->status == status && sense_key(r) == key && sense_asc(r) == asc) {
        /* fixed format, 18 bytes: PBS reads no other (SPC-5 4.4.3) */
        if (status == 2)
            _assert_true(r->sense_len == 18 && (r->sense[0] & 0x7f) == 0x70 && r->sense[7] == 10,
                         "fixed format, 18 bytes", file, line);
        return;
    }
    print_error("status %02x, sense %x/%02x/%02x (%zu bytes); expected %02x, %x/%02x/%02x\n", (unsigned)r->status,
                sense_key(r), sense_asc(r) >> 8, sense_asc(r) & 0xff, r->sense_len, (unsigned)status, key, asc >> 8,
                asc & 0xff);
    _fail(file, line);
}

void assert_residual_at(const struct reply *r, uint32_t n, const char *file, int line)
{
    enum residual flag = n ? RESIDUAL_UNDERFLOW : RESIDUAL_NONE;
    if (r->flag == flag && r->residual == n)
        return;
    print_error("residual %u with flag %s; expected %u\n", r->residual,
                r->flag == RESIDUAL_NONE        ? "none"
                : r->flag == RESIDUAL_UNDERFLOW ? "U"
                                                : "O",
                n);
    _fail(file, line);
}

void settle(struct session *s, int lun)
{
    struct reply r;
    for (int i = 0; i < 4; i++) {
        command(s, lun, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        if (r.status != 2 || sense_key(&r) != 6)
            return;
    }
    fail_msg("LUN %d reports unit attentions without end", lun);
}

void settle_all(struct session *s)
{
    for (int lun = LUN_CHANGER; lun <= LUN_DRIVE1; lun++)
        settle(s, lun);
}
