/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target.c: the module that tgtd loads: CDBs and buffers in, status, sense and residuals out. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/lock.h"
#include "vtl/cartridge/engine.h"
#include "vtl/target/executor.h"
#include "vtl/target/guard.h"
#include "vtl/target/order.h"
#include "vtl/target/port.h"
#include "vtl/target/reservation.h"
#include "vtl/target/target_engine.h"
#include "vtl/target/tgt_list.h"

/* Where these are missing, in a program on the way to tgtd, the module is loaded all the same, and does nothing. */
#pragma weak tgt_drivers
#pragma weak register_backingstore_template

/*
 * The life of a command. All of it but run_job is on tgtd's one thread, which never blocks (I5).
 *
 *   iscsid -> target_cmd_queue -> receive (lu->cmd_perform, ours): takes tgt's unit attentions over
 *          -> target_cmd_perform -> scsi_cmd_perform (tgt's: reservations) -> perform (ops[], ours)
 *             immediate: answered here; also a WRITE that the drive only has to take
 *             else:      a job for the logical unit's executor -> run_job -> eventfd -> on_done -> target_cmd_io_done
 *
 * iscsid queues a command once all its data are there, and so a later one may come first. One for the executor whose
 * session sent another to this logical unit before it that still waits for its data (order.c) is held, as a job that is
 * not submitted yet. Each command for the executor and each tick lets go those that need not wait any more
 * (let_go), by their CmdSN.
 *
 * tgt tells a backing store neither of an abort nor of a lost session; on_tick looks for both while jobs run, and
 * forget_ended_sessions is called when a session is over. A command belongs to tgt until target_cmd_io_done, however it
 * ends, so that memory is freed in one place only: a session whose connection is gone, and the logical unit (tgt refuses
 * to remove it), stay until the last of their commands came back.
 */

enum {
    OP_WRITE_6 = 0x0A,
    OP_WRITE_FILEMARKS_6 = 0x10,
    OP_INQUIRY = 0x12,
    OP_LOAD_UNLOAD = 0x1B,
    OP_PERSISTENT_RESERVE_IN = 0x5E,
    OP_PERSISTENT_RESERVE_OUT = 0x5F,
    SERVICE_ACTION = 0x1F, /* of byte 1 (SPC-5 6.16) */
    REGISTER_AND_MOVE = 0x07,
    OP_WRITE_FILEMARKS_16 = 0x80,
    OP_WRITE_16 = 0x8A,
    OP_REPORT_LUNS = 0xA0,
    TAG_SIMPLE = 0x20,         /* MSG_SIMPLE_TAG */
    FUNCTION_LUN_RESET = 0x17, /* LOGICAL_UNIT_RESET */
    TICK_BUSY_MS = 50,         /* how soon an abort is seen */
    TICK_IDLE_MS = 1000,       /* and, should its end have been missed, that a nexus is gone */
    MAX_DRIVES = 64,
};

/* What tgt keeps for us behind each struct scsi_lu. */
struct target_lun {
    struct scsi_lu *lu; /* NULL: not open */
    struct target_unit unit;
    struct executor *executor;
    atomic_bool closing;      /* ends what goes on behind its answer */
    struct list_head running; /* jobs at the executor */
    struct list_head held;    /* jobs that wait for the data of others; those of a session by CmdSN */
    uint64_t writer;          /* whose WRITE was the last, told to the unit: nexus and its birth */
    long writer_born;
};

struct target_job {
    struct exec_job job;
    struct list_head siblings; /* target_lun.running or .held */
    struct target_lun *tl;
    struct scsi_cmd *cmd;
    const struct scsi_command *row;
    struct scsi_request rq;
    atomic_bool cancelled;
};

/* The one library object of the process, and where its events go. */
static struct {
    struct target_engine engine;
    unsigned open_luns;
    atomic_bool elements_changed; /* by an operator, in this run */
    int timer_fd;
    bool busy;        /* the timer runs at TICK_BUSY_MS */
    struct lock lock; /* a leaf, held for a few instructions: guards the pointers below against the library's threads */
    struct target_lun *changer, *drives[MAX_DRIVES];
} target = {.timer_fd = -1, .lock = LOCK_INITIALIZER(LOCK_TARGET)};

static struct target_lun *lun_of(struct scsi_lu *lu)
{
    return (struct target_lun *)(lu + 1);
}

static struct target_lun **place_of(int drive)
{
    return drive == TARGET_CHANGER ? &target.changer : &target.drives[drive];
}

/* ---- a command's way ---- */

/* An expected data transfer length near 2^31 overflows in iscsid, which then has no buffer, or one for the immediate
 * data only. */
static uint32_t usable(const struct scsi_data_buffer *b)
{
    return b->buffer && b->length < INT_MAX - 3 ? b->length : 0;
}

/* iscsid made the buffer by posix_memalign, and frees it with the task if it is still there. */
static void give_out(struct scsi_request *rq)
{
    struct scsi_cmd *cmd = rq->transport;
    container_of(cmd, struct iscsi_task, scmd)->data = NULL;
    cmd->out_sdb.buffer = 0;
}

static void request_init(struct scsi_request *rq, struct scsi_cmd *cmd, const atomic_bool *cancelled)
{
    struct scsi_data_buffer *in = &cmd->in_sdb, *out = &cmd->out_sdb;
    *rq = (struct scsi_request){.cdb = cmd->scb,
                                .cdb_len = (size_t)cmd->scb_len,
                                .nexus = cmd->cmd_itn_id,
                                .out = (uint8_t *)(uintptr_t)out->buffer,
                                .out_len = out->length,
                                .in = (uint8_t *)(uintptr_t)in->buffer,
                                .in_len = in->length,
                                .transport = cmd,
                                .can_defer = true,
                                .cancelled = cancelled};
    scsi_request_init(rq);
}

/* The residual is of what the initiator expects: below 0 if there was more. */
static void set_transferred(struct scsi_data_buffer *b, size_t actual)
{
    b->transfer_len = actual < b->length ? (uint32_t)actual : b->length;
    b->resid = (int32_t)((int64_t)b->length - (int64_t)actual);
}

/* Gives tgt the answer; returns the status. iscsid sends transfer_len bytes of data-in, with bad status too (then a
 * response PDU follows), and U with the residual only if that is not 0. */
static int answer(struct scsi_cmd *cmd, const struct scsi_request *rq)
{
    set_transferred(&cmd->in_sdb, rq->in_actual);
    set_transferred(&cmd->out_sdb, rq->out_actual);
    memcpy(cmd->sense_buffer, rq->sense, rq->sense_len);
    cmd->sense_len = rq->sense_len;
    return rq->status;
}

static void cancelled_answer(struct scsi_request *rq)
{
    rq->status = SCSI_TASK_ABORTED;
    rq->sense_len = 0;
    rq->in_actual = rq->out_actual = 0;
}

static void set_tick(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    struct itimerspec every = {.it_interval = t, .it_value = t};
    target.busy = ms == TICK_BUSY_MS;
    if (timerfd_settime(target.timer_fd, 0, &every, NULL))
        log_err("timer: %s: aborted commands will not be noticed", strerror(errno));
}

/* The buffer is tgt's, which does not know that there is a key in it. */
static void wipe_secret(const struct scsi_command *row, const struct scsi_request *rq)
{
    if (row && (row->flags & CMD_SECRET) && rq->out_len)
        explicit_bzero((void *)(uintptr_t)rq->out, rq->out_len);
}

/* The executor's thread. */
static void run_job(struct exec_job *job)
{
    struct target_job *j = container_of(job, struct target_job, job);
    struct target_lun *tl = j->tl;
    if (atomic_load(&j->cancelled))
        cancelled_answer(&j->rq);
    else
        scsi_lun_run(tl->unit.lun, j->row, &j->rq);
    wipe_secret(j->row, &j->rq);
    void (*after)(struct scsi_lun *, const atomic_bool *) = j->rq.after;
    if (!after)
        return;
    executor_hand_back(tl->executor, job); /* the answer goes out, and the job with it */
    after(tl->unit.lun, &tl->closing);
}

/* NULL: no memory, and the command is to end with TASK SET FULL. Else its end comes later. */
static struct target_job *job_new(struct target_lun *tl, struct scsi_cmd *cmd, const struct scsi_request *rq,
                                  const struct scsi_command *row)
{
    struct target_job *j = malloc(sizeof(*j));
    if (!j) {
        set_transferred(&cmd->in_sdb, 0);
        set_transferred(&cmd->out_sdb, 0);
        return NULL;
    }
    j->job.run = run_job;
    j->tl = tl;
    j->cmd = cmd;
    j->row = row;
    j->rq = *rq;
    j->rq.cancelled = &j->cancelled;
    j->rq.give_out = NULL;
    atomic_init(&j->cancelled, false);
    cmd->state |= 1ul << TGT_CMD_ASYNC;
    if (!target.busy)
        set_tick(TICK_BUSY_MS);
    return j;
}

static void submit(struct target_lun *tl, struct target_job *j)
{
    list_add_tail(&j->siblings, &tl->running);
    executor_submit(tl->executor, &j->job);
}

static int to_executor(struct target_lun *tl, struct scsi_cmd *cmd, const struct scsi_request *rq,
                       const struct scsi_command *row)
{
    struct target_job *j = job_new(tl, cmd, rq, row);
    if (!j)
        return SCSI_TASK_SET_FULL;
    submit(tl, j);
    return SCSI_GOOD;
}

/* ---- commands whose turn has not come ---- */

static bool is_to_end(const struct target_job *j);

/* Submits those that need not wait any more. One that is to be cancelled stays for the tick: when its session is gone, so
 * are the commands before it. */
static void let_go(struct target_lun *tl)
{
    struct target_job *j, *next;
    list_for_each_entry_safe (j, next, &tl->held, siblings) {
        if (is_to_end(j) || order_must_wait(j->cmd))
            continue;
        list_del(&j->siblings);
        submit(tl, j);
    }
}

/* It may be the very one that the others wait for. */
static int in_turn(struct target_lun *tl, struct scsi_cmd *cmd, const struct scsi_request *rq,
                   const struct scsi_command *row)
{
    struct target_job *j = job_new(tl, cmd, rq, row), *other;
    if (!j)
        return SCSI_TASK_SET_FULL;
    struct list_head *before = &tl->held;
    list_for_each_entry (other, &tl->held, siblings) {
        if (!order_before(cmd, other->cmd))
            continue;
        before = &other->siblings;
        break;
    }
    list_add_tail(&j->siblings, before);
    let_go(tl);
    return SCSI_GOOD;
}

/* The report names the host. */
static void note_writer(struct target_lun *tl, struct scsi_cmd *cmd)
{
    char name[PORT_NAME], address[PORT_ADDRESS];
    bool write = cmd->scb[0] == OP_WRITE_6 || cmd->scb[0] == OP_WRITE_16;
    if (!write || !tl->unit.written_by || (tl->writer == cmd->cmd_itn_id && tl->writer_born == cmd->it_nexus->ctime))
        return;
    tl->writer = cmd->cmd_itn_id;
    tl->writer_born = cmd->it_nexus->ctime;
    port_describe(cmd, name, address);
    tl->unit.written_by(tl->unit.self, name, address);
}

/* While the library makes all safe in order to end, a sync or a move may still be told so: others would keep the flush from
 * the drive, for as long as the store is away. */
static bool may_go_on(const struct target_lun *tl, const struct scsi_command *row)
{
    enum library_stop stop = library_stop_of(target.engine.lib);
    bool sync =
        row->opcode == OP_WRITE_FILEMARKS_6 || row->opcode == OP_WRITE_FILEMARKS_16 || row->opcode == OP_LOAD_UNLOAD;
    return stop == LIBRARY_GOES_ON || (stop == LIBRARY_FLUSHES && (sync || tl->unit.drive == TARGET_CHANGER));
}

/* ops[opcode].cmd_perform */
static int perform(int host_no, struct scsi_cmd *cmd)
{
    static const atomic_bool never = false;
    struct target_lun *tl = lun_of(cmd->dev);
    struct scsi_request rq;
    const struct scsi_command *row = NULL;
    (void)host_no;

    if (!tl->lu) /* between two paths: see finish_jobs */
        return SCSI_BUSY;
    request_init(&rq, cmd, &never);
    switch (scsi_lun_route(tl->unit.lun, &rq, &row)) {
    case SCSI_ROUTE_EXECUTOR:
        if (!may_go_on(tl, row)) {
            wipe_secret(row, &rq);
            rq.status = SCSI_BUSY;
            break;
        }
        note_writer(tl, cmd);
        if (!list_empty(&tl->held) || order_must_wait(cmd))
            return in_turn(tl, cmd, &rq, row);
        rq.give_out = give_out;
        if (!list_empty(&tl->running) || !executor_is_idle(tl->executor) ||
            !scsi_lun_run_at_once(tl->unit.lun, row, &rq))
            return to_executor(tl, cmd, &rq, row);
        break;
    case SCSI_ROUTE_IMMEDIATE:
        scsi_lun_run(tl->unit.lun, row, &rq);
        break;
    case SCSI_ROUTE_DONE: {
        bool other_action;
        wipe_secret(scsi_find_command(tl->unit.lun, rq.cdb[0], SA_NONE, &other_action), &rq);
        break;
    }
    }
    return answer(cmd, &rq);
}

/* The job ran. Its command, and its session if that was only waiting for it, may be gone afterwards. */
static void complete(struct target_job *j)
{
    struct scsi_cmd *cmd = j->cmd;
    int status = answer(cmd, &j->rq);
    list_del(&j->siblings);
    free(j);
    target_cmd_io_done(cmd, status);
}

/* The executor's eventfd. */
static void on_done(int fd, int events, void *data)
{
    struct target_lun *tl = data;
    (void)fd;
    (void)events;
    struct exec_job *next;
    for (struct exec_job *job = executor_done(tl->executor); job; job = next) {
        next = job->next;
        complete(container_of(job, struct target_job, job));
    }
}

/* ---- unit attentions and nexuses ---- */

static bool nexus_known(struct scsi_lun *lun, uint64_t nexus)
{
    bool known = false;
    lock_take(&lun->lock);
    for (size_t i = 0; i < SCSI_MAX_NEXUS && !known; i++)
        known = lun->nexus[i].id == nexus;
    lock_release(&lun->lock);
    return known;
}

static size_t nexus_list(struct scsi_lun *lun, uint64_t out[SCSI_MAX_NEXUS])
{
    size_t n = 0;
    lock_take(&lun->lock);
    for (size_t i = 0; i < SCSI_MAX_NEXUS; i++)
        if (lun->nexus[i].id)
            out[n++] = lun->nexus[i].id;
    lock_release(&lun->lock);
    return n;
}

static void allow_removal(struct target_lun *tl, uint64_t nexus)
{
    bool any = scsi_prevent_set(tl->unit.lun, nexus, false);
    tl->unit.prevent(tl->unit.self, any);
}

static bool cancel_unwanted(struct target_lun *tl);

/* A logical unit reset ends every PREVENT (SPC-5 6.14) and gives parameters their defaults. tgt tells of it by a unit
 * attention for each nexus: those of the others are taken over now, so that it counts once, and not again when they are
 * heard of; and whoever is known is told, as its key and its parameters are gone. What the reset aborted ends first: a WRITE that waits at the executor would be written without its key. */
static void note_reset(struct target_lun *tl, uint64_t nexus)
{
    (void)cancel_unwanted(tl);
    uint64_t ids[SCSI_MAX_NEXUS];
    size_t n = nexus_list(tl->unit.lun, ids);
    for (size_t i = 0; i < n; i++)
        allow_removal(tl, ids[i]);
    scsi_lun_reset(tl->unit.lun);
    struct it_nexus_lu_info *other;
    list_for_each_entry (other, &tl->lu->lu_itl_info_list, lu_itl_info_siblings) {
        if (other->itn_id == nexus || !nexus_known(tl->unit.lun, other->itn_id))
            continue;
        ua_sense_clear(other, ASC_POWER_ON_RESET);
        scsi_ua_raise(tl->unit.lun, other->itn_id, 0, ASC_POWER_ON_RESET);
    }
}

/* A nexus that is in no session any more holds no unit attention and prevents nothing. */
static void forget_lost_nexuses(struct target_lun *tl)
{
    uint64_t ids[SCSI_MAX_NEXUS];
    size_t n = nexus_list(tl->unit.lun, ids);
    for (size_t i = 0; i < n; i++) {
        if (it_nexus_lookup(tl->lu->tgt->tid, ids[i]))
            continue;
        allow_removal(tl, ids[i]);
        scsi_nexus_gone(tl->unit.lun, ids[i]);
    }
}

static void forget_ended_sessions(void)
{
    for (int i = TARGET_CHANGER; i < MAX_DRIVES; i++)
        if (*place_of(i))
            forget_lost_nexuses(*place_of(i));
}

/* A session may take the place of one whose connection nobody missed yet. What that one had sent must not run behind what this
 * one is told first, such as where the tape is. */
static void begin_session(struct scsi_cmd *cmd)
{
    port_begin_session(cmd, forget_ended_sessions);
    for (int i = TARGET_CHANGER; i < MAX_DRIVES; i++)
        if (*place_of(i))
            (void)cancel_unwanted(*place_of(i));
}

/*
 * A new nexus begins with POWER ON. It is to warn an initiator that what it knew of the unit may be gone, and PBS 4
 * counts it as a warning of the job that meets it. For a drive it is true: the tape is at its beginning. But a changer
 * is after a start what it was before, without a parameter that could be set, and if no operator changed its elements
 * there is nothing to tell a nexus that never saw it otherwise (SAM-5 5.14: the condition is of the I_T nexus).
 */
static bool begins_unchanged(const struct target_lun *tl, unsigned asc, bool known)
{
    return tl->unit.drive == TARGET_CHANGER && asc == ASC_POWER_ON_RESET && !known &&
           !library_elements_are_new(target.engine.lib) && !atomic_load(&target.elements_changed);
}

/*
 * tgt reports its unit attentions itself before a backing store sees the command, and answers REQUEST SENSE with CHECK
 * CONDITION then, which initiators don't expect. So they become ours, one a nexus, the most severe one.
 * A nexus that was not heard of has one of each reset since it logged in, long over perhaps: it is its beginning.
 */
static void take_unit_attentions(struct target_lun *tl, struct scsi_cmd *cmd)
{
    bool known = nexus_known(tl->unit.lun, cmd->cmd_itn_id);
    while (ua_sense_del(cmd, 1) == 0) {
        unsigned asc =
            (unsigned)cmd->sense_buffer[12] << 8 | cmd->sense_buffer[13]; /* fixed format: sense_format is 0 */
        cmd->sense_len = 0;
        if (!nexus_known(tl->unit.lun, cmd->cmd_itn_id))
            begin_session(cmd);
        if (begins_unchanged(tl, asc, known)) {
            (void)scsi_ua_take(tl->unit.lun, cmd->cmd_itn_id); /* from now on it is known */
            continue;
        }
        if (asc == ASC_POWER_ON_RESET && known)
            note_reset(tl, cmd->cmd_itn_id);
        scsi_ua_raise(tl->unit.lun, cmd->cmd_itn_id, 0, (enum scsi_asc)asc);
    }
}

/* The same of a command that tgt answers, with its own unit attention: a reset that it tells of counts, too. */
static void look_at_unit_attention(struct target_lun *tl, struct scsi_cmd *cmd)
{
    if (ua_sense_del(cmd, 0))
        return;
    unsigned asc = (unsigned)cmd->sense_buffer[12] << 8 | cmd->sense_buffer[13];
    cmd->sense_len = 0;
    if (asc == ASC_POWER_ON_RESET && nexus_known(tl->unit.lun, cmd->cmd_itn_id))
        note_reset(tl, cmd->cmd_itn_id);
}

static bool tgt_answers(uint8_t opcode)
{
    return opcode == OP_PERSISTENT_RESERVE_IN || opcode == OP_PERSISTENT_RESERVE_OUT || opcode == OP_REPORT_LUNS;
}

/* tgt's queue for ordered commands would hold back those that must answer at once (I5), and corrupts itself when a command
 * in it is aborted. The executor keeps the order of all that needs one. */
static void avoid_queue(struct scsi_cmd *cmd)
{
    cmd->attribute = TAG_SIMPLE;
}

/* tgt writes as far as the lengths say, also where there is no buffer. */
static void bound_lengths(struct scsi_cmd *cmd)
{
    cmd->in_sdb.length = usable(&cmd->in_sdb);
    cmd->out_sdb.length = usable(&cmd->out_sdb);
}

/* REGISTER AND MOVE is not among our commands, and tgt's reads a reservation that need not be there: an action that nobody has
 * takes its place. */
static void refuse_move(struct scsi_cmd *cmd)
{
    if (cmd->scb[0] == OP_PERSISTENT_RESERVE_OUT && (cmd->scb[1] & SERVICE_ACTION) == REGISTER_AND_MOVE)
        cmd->scb[1] |= SERVICE_ACTION;
}

/* The same for logical unit 0, tgt's own, which has the commands for those that do not exist, too. */
static int receive_for_tgt(int tid, struct scsi_cmd *cmd)
{
    if (order_aborted(cmd))
        return 0;
    avoid_queue(cmd);
    bound_lengths(cmd);
    set_transferred(&cmd->in_sdb, 0);
    refuse_move(cmd);
    return target_cmd_perform(tid, cmd);
}

/* lu->cmd_perform: every command for this logical unit, before tgt looks at it. */
static int receive(int tid, struct scsi_cmd *cmd)
{
    struct target_lun *tl = lun_of(cmd->dev);
    uint8_t opcode = cmd->scb[0];
    if (order_aborted(cmd))
        return 0;
    avoid_queue(cmd);
    bound_lengths(cmd);
    refuse_move(cmd);
    /* Until something is transferred nothing is: tgt's own errors would otherwise send the buffer as it was allocated.
     */
    set_transferred(&cmd->in_sdb, 0);
    port_keep_registration(cmd);
    if (!tgt_answers(opcode)) {
        set_transferred(&cmd->out_sdb, 0);
        if (opcode != OP_INQUIRY && tl->lu)
            take_unit_attentions(tl, cmd);
    } else if (opcode != OP_REPORT_LUNS && tl->lu) {
        look_at_unit_attention(tl, cmd);
    }
    return target_cmd_perform(tid, cmd);
}

/* ---- aborts ---- */

/* Is this command to end? Aborted, or nobody is left to answer to (SAM-5 6.3.4: I_T nexus loss aborts). */
static bool unwanted(const struct scsi_cmd *cmd)
{
    const struct iscsi_task *task = container_of(cmd, struct iscsi_task, scmd);
    if (task->conn->state == STATE_CLOSE)
        return true;
    if (!cmd->mreq)
        return false;
    if (cmd->mreq->function != FUNCTION_LUN_RESET)
        return true;
    /* tgt's search takes a command of any logical unit whose tag is 0 for part of the reset one; let that one finish.
     * mid is the task management request, which waits for this very command. */
    const struct iscsi_task *reset = (const struct iscsi_task *)(uintptr_t)cmd->mreq->mid;
    return !memcmp(reset->req.lun, cmd->lun, sizeof(cmd->lun));
}

static bool is_to_end(const struct target_job *j)
{
    return unwanted(j->cmd) || !may_go_on(j->tl, j->row);
}

/* Those that wait their turn end here: the one before them may take as long as the store is down. */
static bool cancel_unwanted(struct target_lun *tl)
{
    struct target_job *j, *next;
    bool wake = false;
    list_for_each_entry_safe (j, next, &tl->held, siblings) {
        if (is_to_end(j)) {
            cancelled_answer(&j->rq);
            complete(j);
        }
    }
    list_for_each_entry_safe (j, next, &tl->running, siblings) {
        if (!is_to_end(j) || atomic_exchange(&j->cancelled, true))
            continue;
        if (executor_remove(tl->executor, &j->job)) {
            cancelled_answer(&j->rq);
            complete(j);
        } else {
            wake = true;
        }
    }
    if (wake)
        tl->unit.wake(tl->unit.self);
    return !list_empty(&tl->running) || !list_empty(&tl->held);
}

static void on_tick(int fd, int events, void *data)
{
    uint64_t expired;
    bool running = false;
    (void)events;
    (void)data;
    if (read(fd, &expired, sizeof(expired)) < 0)
        return; /* EAGAIN, EINTR: it stays readable while it has expired */
    for (int i = TARGET_CHANGER; i < MAX_DRIVES; i++) {
        struct target_lun *tl = *place_of(i);
        if (!tl)
            continue;
        let_go(tl);
        running |= cancel_unwanted(tl);
        forget_lost_nexuses(tl);
    }
    order_sweep();
    if (!running && target.busy)
        set_tick(TICK_IDLE_MS);
}

/* ---- what the library tells: any thread but tgtd's ---- */

static void on_library_event(void *arg, enum library_event ev, unsigned drive)
{
    (void)arg;
    bool changer = ev != LIBRARY_DRIVE_MEDIUM_CHANGED;
    if (!changer && drive >= MAX_DRIVES)
        return;
    if (changer)
        atomic_store(&target.elements_changed, true);
    lock_take(&target.lock);
    struct target_lun *tl = *place_of(changer ? TARGET_CHANGER : (int)drive);
    if (tl)
        scsi_ua_raise(tl->unit.lun, 0, 0,
                      ev == LIBRARY_IMPORT_EXPORT_ACCESSED ? ASC_IMPORT_OR_EXPORT_ELEMENT_ACCESSED
                                                           : ASC_NOT_READY_TO_READY_CHANGE);
    lock_release(&target.lock);
}

/* ---- logical units come and go ---- */

static int start_engine(struct errtext *err)
{
    int rc = target_engine_open(&target.engine, err);
    if (rc)
        return rc;
    target.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (target.timer_fd < 0 || tgt_event_add(target.timer_fd, EPOLLIN, on_tick, NULL)) {
        rc = errtext_set(err, -EMFILE, "no timer: %s", strerror(errno));
        if (target.timer_fd >= 0)
            close(target.timer_fd);
        target.timer_fd = -1;
        target_engine_close(&target.engine);
        return rc;
    }
    set_tick(TICK_IDLE_MS);
    library_set_listener(target.engine.lib, on_library_event, NULL);
    return 0;
}

/* After the last logical unit. What is left to flush is flushed here; a clean stop asks the control socket to flush
 * before. */
static void stop_engine(void)
{
    tgt_event_del(target.timer_fd);
    close(target.timer_fd);
    target.timer_fd = -1;
    target.busy = false;
    target_engine_close(&target.engine);
}

static void take_over_operations(struct scsi_lu *lu, enum scsi_device_type type)
{
    static const uint8_t conflicts[] = {
        [RESERVATION_ALLOWED] = 0,
        [RESERVATION_READS] = PR_EA_FA | PR_EA_FN,
        [RESERVATION_CONFLICT] = PR_WE_FA | PR_EA_FA | PR_WE_FN | PR_EA_FN,
    };
    for (unsigned op = 0; op < NR_SCSI_OPCODES; op++) {
        struct device_type_operations *o = &lu->dev_type_template.ops[op];
        o->pr_conflict_bits = conflicts[reservation_class(type, (uint8_t)op)];
        if (tgt_answers((uint8_t)op))
            continue;
        o->cmd_perform = perform;
        o->service_actions = NULL;
    }
    lu->cmd_perform = receive;
    struct scsi_lu *first = list_first_entry(&lu->tgt->device_list, struct scsi_lu, device_siblings);
    if (!first->lun)
        first->cmd_perform = receive_for_tgt;
}

static int open_lun(struct target_lun *tl, struct scsi_lu *lu, const char *path, struct errtext *err)
{
    int rc = target_engine_unit(&target.engine, path, &tl->unit, err);
    if (rc)
        return rc;
    if (*place_of(tl->unit.drive)) {
        rc = errtext_set(err, -EBUSY, "logical unit \"%s\" exists already", path);
        goto fail;
    }
    tl->writer = 0;
    tl->writer_born = 0;
    list_init(&tl->running);
    list_init(&tl->held);
    atomic_init(&tl->closing, false);
    tl->executor = executor_new(path);
    if (!tl->executor) {
        rc = errtext_set(err, -EAGAIN, "logical unit \"%s\": no thread", path);
        goto fail;
    }
    if (tgt_event_add(executor_done_fd(tl->executor), EPOLLIN, on_done, tl)) {
        rc = errtext_set(err, -EMFILE, "logical unit \"%s\": no event: %s", path, strerror(errno));
        executor_free(tl->executor);
        goto fail;
    }
    tl->lu = lu;
    take_over_operations(lu, tl->unit.lun->id.type);
    return 0;
fail:
    tl->unit.lun->destroy(tl->unit.lun);
    return rc;
}

static int s3vtl_open(struct scsi_lu *lu, char *path, int *fd, uint64_t *size)
{
    struct target_lun *tl = lun_of(lu);
    struct errtext err = {""};
    int rc = 0;
    if (strcmp(tgt_drivers[lu->tgt->lid]->name, "iscsi") != 0)
        rc = errtext_set(&err, -EINVAL, "target driver %s: only iscsi is supported", tgt_drivers[lu->tgt->lid]->name);
    if (!rc && !guard_in_place())
        rc = errtext_set(&err, -EINVAL, "this tgtd loaded the module too late: it must be preloaded (LD_PRELOAD)");
    if (!rc && !target.open_luns)
        rc = start_engine(&err);
    if (!rc) {
        rc = open_lun(tl, lu, path, &err);
        if (rc && !target.open_luns)
            stop_engine();
    }
    if (rc) {
        log_err("%s", err.text);
        return rc;
    }
    target.open_luns++;
    order_watch_aborts(tgt_drivers[lu->tgt->lid]);
    lock_take(&target.lock);
    *place_of(tl->unit.drive) = tl;
    lock_release(&target.lock);
    *fd = 0;
    *size = 0;
    return 0;
}

/* tgt refuses to remove a logical unit with commands in it, but not to change its path. */
static void finish_jobs(struct target_lun *tl)
{
    struct target_job *j, *next;
    list_for_each_entry_safe (j, next, &tl->held, siblings) {
        cancelled_answer(&j->rq);
        complete(j);
    }
    list_for_each_entry (j, &tl->running, siblings)
        atomic_store(&j->cancelled, true);
    atomic_store(&tl->closing, true);
    tl->unit.wake(tl->unit.self);
    executor_free(tl->executor);
    list_for_each_entry_safe (j, next, &tl->running, siblings)
        complete(j);
}

static void s3vtl_close(struct scsi_lu *lu)
{
    struct target_lun *tl = lun_of(lu);
    if (!tl->lu)
        return;
    tl->lu = NULL;
    lock_take(&target.lock);
    *place_of(tl->unit.drive) = NULL;
    lock_release(&target.lock);
    tgt_event_del(executor_done_fd(tl->executor));
    finish_jobs(tl);
    tl->unit.lun->destroy(tl->unit.lun);
    if (--target.open_luns == 0)
        stop_engine();
}

static unsigned s3vtl_init(struct scsi_lu *lu, char *options)
{
    (void)options;
    *lun_of(lu) = (struct target_lun){.lu = NULL};
    return TGTADM_SUCCESS;
}

static void s3vtl_exit(struct scsi_lu *lu)
{
    s3vtl_close(lu);
    port_forget(lu);
}

/* The disk commands that would call it are all replaced. */
static int s3vtl_submit(struct scsi_cmd *cmd)
{
    (void)cmd;
    return -EIO;
}

/* Called by target_preload.c, or by tgtd itself of a module in its backing-store directory. */
void register_bs_module(void);
__attribute__((visibility("default"))) void register_bs_module(void)
{
    static struct backingstore_template store;
    store.bs_name = "s3vtl";
    store.bs_datasize = sizeof(struct target_lun);
    store.bs_init = s3vtl_init;
    store.bs_exit = s3vtl_exit;
    store.bs_open = s3vtl_open;
    store.bs_close = s3vtl_close;
    store.bs_cmd_submit = s3vtl_submit;
    register_backingstore_template(&store);
}
