/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transport_iscsi.c: commands over a libiscsi session that several threads share, with the rules of Linux's initiator.
 * A thread of its own serves the session, also while no command runs (NOPs, unit attentions of tgtd's own making). */
#include "tests/pbs/transport.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "tests/pbs/problem.h"

struct host {
    pthread_mutex_t lock; /* over ctx, and over each call's done */
    pthread_cond_t ended;
    struct iscsi_context *ctx;
    int wake; /* eventfd: there is something to send */
    bool stop, broken;
    pthread_t server;
};

struct unit {
    struct host *host;
    int lun;
};

struct call {
    struct host *host;
    struct scsi_task *task;
    int status;
    bool done;
};

static void *serve(void *arg)
{
    struct host *h = arg;
    uint64_t n;
    pthread_mutex_lock(&h->lock);
    while (!h->stop && !h->broken) {
        struct pollfd p[2] = {{.fd = iscsi_get_fd(h->ctx), .events = (short)iscsi_which_events(h->ctx)},
                              {.fd = h->wake, .events = POLLIN}};
        pthread_mutex_unlock(&h->lock);
        (void)poll(p, 2, 1000);
        if (p[1].revents && read(h->wake, &n, sizeof(n)) < 0)
            abort();
        pthread_mutex_lock(&h->lock);
        if (p[0].revents && iscsi_service(h->ctx, p[0].revents))
            h->broken = true;
        pthread_cond_broadcast(&h->ended);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void wake(struct host *h)
{
    uint64_t one = 1;
    if (write(h->wake, &one, sizeof(one)) < 0)
        abort();
}

static struct iscsi_context *login(const char *name)
{
    const char *portal = getenv("S3VTL_TEST_PORTAL"), *target = getenv("S3VTL_TEST_TARGET");
    char initiator[64];
    if (!portal || !target) {
        problem_set("S3VTL_TEST_PORTAL and S3VTL_TEST_TARGET are not set: run this by tests/pbs/run");
        return NULL;
    }
    (void)snprintf(initiator, sizeof(initiator), "iqn.2026-11.s3vtl.test:%s", name);
    struct iscsi_context *ctx = iscsi_create_context(initiator);
    iscsi_set_targetname(ctx, target);
    iscsi_set_session_type(ctx, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(ctx, ISCSI_HEADER_DIGEST_NONE);
    iscsi_set_noautoreconnect(ctx, 1);
    /* not iscsi_full_connect: it sends commands of its own and swallows unit attentions */
    if (!iscsi_connect_sync(ctx, portal) && !iscsi_login_sync(ctx))
        return ctx;
    problem_set("login: %s", iscsi_get_error(ctx));
    iscsi_destroy_context(ctx);
    return NULL;
}

struct host *host_open(const char *name)
{
    struct iscsi_context *ctx = login(name);
    if (!ctx)
        return NULL;
    struct host *h = calloc(1, sizeof(*h));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    h->ctx = ctx;
    h->wake = eventfd(0, EFD_CLOEXEC);
    if (h->wake < 0 || pthread_create(&h->server, NULL, serve, h))
        abort();
    return h;
}

void host_close(struct host *h)
{
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_mutex_unlock(&h->lock);
    wake(h);
    pthread_join(h->server, NULL);
    if (!h->broken)
        (void)iscsi_logout_sync(h->ctx);
    iscsi_destroy_context(h->ctx);
    close(h->wake);
    pthread_cond_destroy(&h->ended);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct unit *unit_open(struct host *h, int which)
{
    struct unit *u = calloc(1, sizeof(*u));
    u->host = h;
    u->lun = which + 2; /* LUN 1 is the changer, 2 the first drive */
    return u;
}

void unit_close(struct unit *u)
{
    free(u);
}

static void on_end(struct iscsi_context *ctx, int status, void *data, void *arg)
{
    struct call *c = arg;
    (void)ctx;
    (void)data;
    c->status = status;
    c->done = true;
}

static void on_aborted(struct iscsi_context *ctx, int status, void *data, void *arg)
{
    bool *done = arg;
    (void)ctx;
    (void)status;
    (void)data;
    *done = true;
}

/* False: time is over, or the session broke. The lock is held. */
static bool wait_for(struct host *h, const bool *done, unsigned seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    while (!*done && !h->broken)
        if (pthread_cond_timedwait(&h->ended, &h->lock, &until) == ETIMEDOUT)
            break;
    return *done;
}

/* sg copies what the additional sense length says, up to the buffer; the data segment begins with SenseLength. */
static void take_sense(const struct scsi_task *t, struct exchange *x)
{
    if (t->datain.size < 2)
        return;
    size_t n = (size_t)t->datain.data[0] << 8 | t->datain.data[1];
    if (n > (size_t)t->datain.size - 2) {
        x->transport_error = "SenseLength is more than the data segment";
        return;
    }
    if (n >= 8 && n > 8u + t->datain.data[2 + 7])
        n = 8u + t->datain.data[2 + 7];
    x->sense_len = (uint8_t)(n < SENSE_ROOM ? n : SENSE_ROOM);
    memcpy(x->sense, t->datain.data + 2, x->sense_len);
}

/* Linux's libiscsi takes a residual flag without a count, and an underflow of more than the buffer, for a bad target.
 */
static void take_answer(const struct call *c, struct exchange *x)
{
    const struct scsi_task *t = c->task;
    x->status = (uint8_t)c->status;
    x->resid = 0;
    if (t->residual_status != SCSI_RESIDUAL_NO_RESIDUAL) {
        if (!t->residual || (t->residual_status == SCSI_RESIDUAL_UNDERFLOW && t->residual > x->len))
            x->transport_error = "DID_BAD_TARGET: residual flag and count disagree";
        else
            x->resid = t->residual_status == SCSI_RESIDUAL_UNDERFLOW ? (int64_t)t->residual : -(int64_t)t->residual;
    }
    if (c->status > 0xff)
        x->transport_error = "the session ended the command";
    else if (c->status == SCSI_STATUS_CHECK_CONDITION)
        take_sense(t, x);
}

/* ABORT TASK of just this one, and then what libiscsi still knows of it. */
static void give_up(struct host *h, struct call *c)
{
    bool aborted = false;
    if (!h->broken && !iscsi_task_mgmt_async(h->ctx, (int)c->task->lun, ISCSI_TM_ABORT_TASK, c->task->itt,
                                             c->task->cmdsn, on_aborted, &aborted)) {
        wake(h);
        (void)wait_for(h, &aborted, 30);
    }
    if (!c->done)
        (void)iscsi_scsi_cancel_task(h->ctx, c->task);
}

void transport_do(struct unit *u, struct exchange *x)
{
    struct host *h = u->host;
    struct call c = {.host = h};
    uint8_t cdb[16] = {0};
    memcpy(cdb, x->cdb, x->cdb_len);
    x->transport_error = NULL;
    x->sense_len = 0;
    pthread_mutex_lock(&h->lock);
    c.task = scsi_create_task(x->cdb_len, cdb, x->out ? SCSI_XFER_WRITE : SCSI_XFER_READ, (int)x->len);
    if (x->out)
        scsi_task_add_data_out_buffer(c.task, (int)x->len, x->buf);
    else
        scsi_task_add_data_in_buffer(c.task, (int)x->len, x->buf);
    if (h->broken || iscsi_scsi_command_async(h->ctx, u->lun, c.task, on_end, NULL, &c)) {
        x->transport_error = "the session is broken";
    } else {
        wake(h);
        if (wait_for(h, &c.done, x->timeout_s)) {
            take_answer(&c, x);
        } else {
            x->transport_error = h->broken ? "the session broke" : "DID_TIME_OUT";
            give_up(h, &c);
        }
    }
    scsi_free_scsi_task(c.task);
    pthread_mutex_unlock(&h->lock);
}
