/* SPDX-License-Identifier: GPL-2.0-or-later */
/* order.c: the commands of a session that wait for their data. */
#include "vtl/target/order.h"

#include <string.h>
#include <sys/epoll.h>

#include "base/be.h"
#include "vtl/target/tgt_list.h"

#pragma weak iscsi_targets_list /* as in target.c */

/*
 * A target hands commands to SCSI in the order of their CmdSN (RFC 7143 4.2.2.1). tgt does so when all data of a command
 * are there, so that a command whose data came with it overtakes one that must be asked for them by an R2T. But it lists
 * every command of a session from its first byte on (session->cmd_list) and marks those that it gave to SCSI: the
 * others are what a later one has to wait for. Nothing is kept here, so that nothing can be left over: a command that
 * ends in whatever way is no longer in that list.
 *
 * What tgt does not do is to abort a command that waits for its data: it says that there is no such task, the command
 * runs when its data come after all, and if they don't, it would hold up all others for ever.
 */

enum {
    FUNCTION_ABORT_TASK = 0x0d,     /* ABORT_TASK */
    FUNCTION_ABORT_TASK_SET = 0x06, /* ABORT_TASK_SET */
    FUNCTION_LUN_RESET = 0x17,      /* LOGICAL_UNIT_RESET */
    IMMEDIATE = 0x40,               /* RFC 7143 11.2.1.1 */
    OPCODE_MASK = 0x3f,
    OP_TASK_MANAGEMENT = 0x02, /* RFC 7143 11.2.1.2 */
    TMF_ABORT_TASK = 1,        /* RFC 7143 11.5.1 */
    TMF_MASK = 0x7f,
    TMF_COMPLETE = 0, /* RFC 7143 11.6.1 */
    TMF_NO_TASK = 1,
    FLAG_ABORTED = 1ul << 16, /* of iscsi_task.flags, of which tgt uses the lowest two bits */
};

static const struct iscsi_task *task_of(const struct scsi_cmd *cmd)
{
    return container_of(cmd, struct iscsi_task, scmd);
}

static bool has_flag(const struct iscsi_task *t, int bit)
{
    return t->flags >> bit & 1;
}

static bool immediate(const struct iscsi_task *t)
{
    return t->req.opcode & IMMEDIATE;
}

static uint32_t cmdsn(const struct iscsi_task *t)
{
    return get_be32((const uint8_t *)&t->req.statsn); /* where a request has its CmdSN */
}

/* Serial number arithmetic (RFC 1982). */
static bool sent_before(const struct iscsi_task *a, const struct iscsi_task *b)
{
    return !immediate(a) && !immediate(b) && (int32_t)(cmdsn(a) - cmdsn(b)) < 0;
}

static bool waits_for_data(const struct iscsi_task *t)
{
    return !has_flag(t, TASK_in_scsi) && !(t->flags & FLAG_ABORTED);
}

bool order_must_wait(const struct scsi_cmd *cmd)
{
    const struct iscsi_task *me = task_of(cmd), *t;
    list_for_each_entry (t, &me->conn->session->cmd_list, c_hlist) {
        if (t == me || !waits_for_data(t) || !sent_before(t, me))
            continue;
        if (scsi_get_devid(cmd->c_target->lid, (uint8_t *)(uintptr_t)t->req.lun) == cmd->dev_id)
            return true;
    }
    return false;
}

bool order_before(const struct scsi_cmd *a, const struct scsi_cmd *b)
{
    return task_of(a)->conn->session == task_of(b)->conn->session && sent_before(task_of(a), task_of(b));
}

/* ---- aborts ---- */

static struct {
    int (*ended)(struct mgmt_req *mreq); /* tgt's */
    bool sweep;                          /* some are aborted and not freed yet */
} watch;

/* In the middle of a PDU of it, either way, tgt holds a pointer to it. */
static bool in_use(const struct iscsi_task *t)
{
    return t->conn->rx_task == t || t->conn->tx_task == t;
}

/* It may be on the list of what is to be sent, for its next R2T. */
static void drop(struct iscsi_task *t)
{
    if (t->c_list.next && t->c_list.next != &t->c_list)
        list_del(&t->c_list);
    iscsi_free_task(t);
}

/* A request has the tag of the task that it is about where other PDUs have the target's (RFC 7143 11.5). One that waits for
 * a CmdSN below its own stays: tgt counts on it. And those of a connection that is being closed tgt
 * frees itself, perhaps at this very moment: by that the command ended for whose end the request had waited. */
static bool aborts(const struct iscsi_task *request, int function, const struct iscsi_task *t)
{
    if (!waits_for_data(t) || has_flag(t, TASK_pending) || t->conn->state == STATE_CLOSE)
        return false;
    return function == FUNCTION_ABORT_TASK ? t->tag == request->req.ttt
                                           : !memcmp(t->req.lun, request->req.lun, sizeof(t->req.lun));
}

static bool abort_of_session(struct iscsi_session *s, const struct iscsi_task *request, int function)
{
    bool any = false;
    struct iscsi_task *t, *next;
    list_for_each_entry_safe (t, next, &s->cmd_list, c_hlist) {
        if (!aborts(request, function, t))
            continue;
        any = true;
        if (in_use(t)) {
            t->flags |= FLAG_ABORTED;
            watch.sweep = true;
        } else {
            drop(t);
        }
    }
    return any;
}

static bool abort_waiting(const struct iscsi_task *request, int function)
{
    struct iscsi_session *s, *own = request->conn->session;
    bool any = false;
    switch (function) {
    case FUNCTION_ABORT_TASK:
    case FUNCTION_ABORT_TASK_SET:
        return abort_of_session(own, request, function);
    case FUNCTION_LUN_RESET:
        list_for_each_entry (s, &own->target->sessions_list, slist)
            any |= abort_of_session(s, request, function);
        return any;
    default:
        return false;
    }
}

/* mid is the request's task. That of a connection which is closed is freed by tgt's function. */
static int on_ended(struct mgmt_req *mreq)
{
    bool any = abort_waiting((const struct iscsi_task *)(uintptr_t)mreq->mid, mreq->function);
    if (any && mreq->function == FUNCTION_ABORT_TASK)
        mreq->result = 0; /* "function complete": tgt had not found it */
    return watch.ended(mreq);
}

void order_watch_aborts(struct tgt_driver *iscsi)
{
    if (iscsi->mgmt_end_notify == on_ended)
        return;
    watch.ended = iscsi->mgmt_end_notify;
    iscsi->mgmt_end_notify = on_ended;
}

bool order_aborted(const struct scsi_cmd *cmd)
{
    return task_of(cmd)->flags & FLAG_ABORTED;
}

/* True: some are left. */
static bool sweep_session(struct iscsi_session *s)
{
    bool left = false;
    struct iscsi_task *t, *next;
    list_for_each_entry_safe (t, next, &s->cmd_list, c_hlist) {
        if (!(t->flags & FLAG_ABORTED))
            continue;
        if (!in_use(t)) {
            drop(t);
            return true; /* its session may be gone with it */
        }
        left = true;
    }
    return left;
}

/* ---- task management requests that tgt has lost ---- */

static bool is_waiting(const struct iscsi_task *t)
{
    return (t->req.opcode & OPCODE_MASK) == OP_TASK_MANAGEMENT && has_flag(t, TASK_in_scsi) &&
           t->c_list.next == &t->c_list;
}

/* Does a command name it as what waits for its end? */
static bool is_known(const struct iscsi_task *request)
{
    const struct iscsi_session *s = request->conn->session;
    const struct it_nexus *own = it_nexus_lookup(s->target->tid, s->tsih), *itn;
    const struct scsi_cmd *cmd;
    if (!own)
        return true;
    list_for_each_entry (itn, &own->nexus_target->it_nexus_list, nexus_siblings) {
        list_for_each_entry (cmd, &itn->cmd_list, c_hlist)
            if (cmd->mreq && cmd->mreq->mid == (uintptr_t)request)
                return true;
    }
    return false;
}

/* A request that finds a command which another one waits for already takes its place. That other one would never be
 * answered, and its session never end. The command did end, or will with the later request. */
static void end_request(struct iscsi_task *request)
{
    struct iscsi_connection *conn = request->conn;
    bool one = (request->req.flags & TMF_MASK) == TMF_ABORT_TASK;
    request->result = one ? TMF_NO_TASK : TMF_COMPLETE;
    if (conn->state == STATE_CLOSE) {
        iscsi_free_task(request);
        return;
    }
    list_add_tail(&request->c_list, &conn->tx_clist);
    conn->tp->ep_event_modify(conn, EPOLLIN | EPOLLOUT);
}

static void end_lost_requests(struct iscsi_session *s)
{
    struct iscsi_connection *conn;
    struct iscsi_task *t;
    list_for_each_entry (conn, &s->conn_list, clist) {
        list_for_each_entry (t, &conn->task_list, c_siblings) {
            if (!is_waiting(t) || is_known(t))
                continue;
            end_request(t);
            return; /* its connection and session may be gone with it; others come next time */
        }
    }
}

void order_sweep(void)
{
    struct iscsi_target *target;
    struct iscsi_session *s, *next;
    bool sweep = watch.sweep;
    watch.sweep = false;
    list_for_each_entry (target, &iscsi_targets_list, tlist) {
        list_for_each_entry_safe (s, next, &target->sessions_list, slist) {
            if (sweep && sweep_session(s))
                watch.sweep = true;
            else
                end_lost_requests(s);
        }
    }
}
