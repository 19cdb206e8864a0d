/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard.c: stands between tgtd's iSCSI parser and the network. */
#include "vtl/target/guard.h"

#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/be.h"
#include "base/crc32c.h"
#include "base/event.h"
#include "vtl/target/pdu.h"
#include "vtl/target/text.h"
#include "vtl/target/tgt_list.h"

/*
 * iscsid reads a header of 48 bytes and believes it: where data go and how many come is not looked at once a session is
 * in its full feature phase. It reads by a table of functions of its transport (conn->tp), whose reading function is
 * replaced here: a header that came whole is judged (pdu.c) before iscsid sees it.
 *
 *   PASS    iscsid has it
 *   IGNORE  it is read and thrown away here, "aside"; iscsid is told that nothing has come yet (EAGAIN)
 *   REFUSE  iscsid is told that the connection was closed
 *
 * A TEXT request, which iscsid does not know in that phase, is read aside too, and answered by way of iscsid's answer to
 * a ping: that has all of its fields in the same places but the opcode, which is exchanged when it is sent.
 */

enum {
    TARGET = 1,            /* its number; there is one (vtl/cmd/tgt_request.c) */
    FLAG_TEXT = 1 << 17,   /* of iscsi_task.flags: the answer to a TEXT request */
    FLAG_REJECT = 1 << 18, /* or a refusal of it */
    OP_NOOP_OUT = 0x00,    /* RFC 7143 11.2.1.2 */
    OP_TEXT_RESPONSE = 0x24,
    OP_R2T = 0x31,
    OP_REJECT = 0x3f,
    IMMEDIATE = 0x40,
    CMD_WRITE = 0x20, /* flag of a SCSI Command (RFC 7143 11.3.1) */
    REASON_AT = 2,
    COMMAND_NOT_SUPPORTED = 0x05, /* RFC 7143 11.17.1 */
    TEXT_FINAL = 0x80,
    TEXT_CONTINUE = 0x40,
    TEXT_ROOM = 8192,
    AHS_ROOM = 255 * 4,
};

#define NO_TAG 0xffffffffu /* RFC 7143 11.2.1.8 */

/* A PDU that iscsid does not see. There is one for each connection at most. */
enum stage { AHS, HEADER_DIGEST, DATA, DATA_DIGEST, DONE };
struct aside {
    struct list_head siblings;
    struct iscsi_connection *conn;
    uint8_t bhs[PDU_BHS], ahs[AHS_ROOM], digest[4];
    enum stage stage;
    uint32_t left[DONE], got; /* bytes of each stage, and how many of this one came */
    uint8_t *text;            /* NULL: its data are thrown away */
};

static struct list_head asides = LIST_HEAD_INIT(asides);
static struct iscsi_transport was; /* tgt's functions, and the list entry by which they are found */
static bool in_place;

static size_t nothing_yet(void)
{
    errno = EAGAIN;
    return (size_t)-1;
}

static size_t refuse(struct iscsi_connection *conn, const char *why)
{
    char peer[128] = "";
    conn->tp->ep_show(conn, peer, sizeof(peer));
    log_event(EVENT_CONNECTION_ENDED, "iscsi: a connection ends (%s): %s", peer, why);
    return 0; /* as at the end of the stream */
}

/* ---- what is read aside ---- */

static struct aside *aside_of(const struct iscsi_connection *conn)
{
    struct aside *a;
    list_for_each_entry (a, &asides, siblings)
        if (a->conn == conn)
            return a;
    return NULL;
}

static void aside_free(struct aside *a)
{
    list_del(&a->siblings);
    free(a->text);
    free(a);
}

static bool digest_on(const struct iscsi_connection *conn, int which)
{
    return conn->session_param[which].val & DIGEST_CRC32C;
}

static struct aside *aside_new(struct iscsi_connection *conn, bool text)
{
    struct aside *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    memcpy(a->bhs, &conn->req.bhs, PDU_BHS);
    a->conn = conn;
    a->left[AHS] = (uint32_t)pdu_ahs_len(a->bhs);
    a->left[HEADER_DIGEST] = digest_on(conn, ISCSI_PARAM_HDRDGST_EN) ? 4 : 0;
    a->left[DATA] = (pdu_data_len(a->bhs) + 3) & ~3u;
    a->left[DATA_DIGEST] = a->left[DATA] && digest_on(conn, ISCSI_PARAM_DATADGST_EN) ? 4 : 0;
    a->text = text ? malloc(a->left[DATA] + 1) : NULL;
    if (text && !a->text) {
        free(a);
        return NULL;
    }
    list_add(&a->siblings, &asides);
    return a;
}

/* Digests travel lowest byte first (RFC 7143 13.1). */
static bool digest_right(const struct aside *a, uint32_t crc)
{
    return a->digest[0] == (uint8_t)crc && a->digest[1] == (uint8_t)(crc >> 8) &&
           a->digest[2] == (uint8_t)(crc >> 16) && a->digest[3] == (uint8_t)(crc >> 24);
}

/* A header that is not what was sent may have been taken for one to ignore. */
static bool stage_sound(const struct aside *a)
{
    if (!a->got)
        return true;
    if (a->stage == HEADER_DIGEST)
        return digest_right(a, crc32c(crc32c(0, a->bhs, PDU_BHS), a->ahs, pdu_ahs_len(a->bhs)));
    if (a->stage == DATA_DIGEST && a->text)
        return digest_right(a, crc32c(0, a->text, (pdu_data_len(a->bhs) + 3) & ~3u));
    return true;
}

static size_t aside_read(struct aside *a)
{
    static uint8_t waste[65536];
    uint8_t *to = a->stage == AHS ? a->ahs : a->stage == DATA ? a->text : a->digest;
    uint32_t n = a->left[a->stage];
    if (to)
        to += a->got;
    else if (n > sizeof(waste))
        n = sizeof(waste);
    return was.ep_read(a->conn, to ? to : waste, n);
}

/* ---- TEXT ---- */

/* "address:port,tag"; the tag is what tgt says at the login. */
static void portal_address(struct iscsi_connection *conn, char *out, size_t room)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof(to);
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    if (!conn->tp->ep_getsockname(conn, (struct sockaddr *)&to, &len))
        (void)getnameinfo((struct sockaddr *)&to, len, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    host[strcspn(host, "%")] = '\0'; /* the zone is this machine's */
    (void)snprintf(out, room, strchr(host, ':') ? "[%s]:%s,1" : "%s:%s,1", host, port);
}

/* iscsid fills what it sends up to a multiple of 4 with zeros, in the buffer itself. Behind a segment of a block that is not the
 * last one is the next one, which would begin with them. So each is of whole words, whatever more the initiator takes. */
static void send_whole_words(struct iscsi_connection *conn)
{
    conn->session_param[ISCSI_PARAM_MAX_XMIT_DLENGTH].val &= ~3u;
}

/* What to send back, in out: a text, or (false) the header of the request that is refused. */
static bool text_of(struct aside *a, uint8_t *out, int *len)
{
    struct param *transmit = &a->conn->session_param[ISCSI_PARAM_MAX_XMIT_DLENGTH];
    char address[NI_MAXHOST + NI_MAXSERV];
    uint32_t room = transmit->val < TEXT_ROOM ? transmit->val : TEXT_ROOM, max_data = transmit->val;
    portal_address(a->conn, address, sizeof(address));
    struct text_target target = {.name = tgt_targetname(a->conn->session->target->tid), .address = address};
    bool whole = (a->bhs[1] & (TEXT_FINAL | TEXT_CONTINUE)) == TEXT_FINAL;
    *len = whole ? text_answer((char *)a->text, pdu_data_len(a->bhs), &target, (char *)out, room, &max_data) : -1;
    if (*len < 0) {
        memcpy(out, a->bhs, PDU_BHS);
        *len = PDU_BHS;
        return false;
    }
    if (max_data < transmit->val) /* more than it is, the buffers of a session are not made for */
        transmit->val = max_data;
    send_whole_words(a->conn);
    return true;
}

/* As iscsid makes a task for a ping, and queues its answer. */
static bool queue_answer(struct aside *a)
{
    struct iscsi_connection *conn = a->conn;
    struct iscsi_task *t = conn->tp->alloc_task(conn, 0);
    uint8_t *data = conn->tp->alloc_data_buf(conn, TEXT_ROOM);
    if (!t || !data) {
        free(data);
        free(t);
        return false;
    }
    memcpy(&t->req, a->bhs, PDU_BHS);
    t->req.opcode = OP_NOOP_OUT;
    t->flags = text_of(a, data, &t->len) ? FLAG_TEXT : FLAG_REJECT;
    t->data = data;
    t->conn = conn;
    list_init(&t->c_hlist);
    list_add(&t->c_siblings, &conn->task_list);
    conn_get(conn);
    list_add_tail(&t->c_list, &conn->tx_clist);
    conn->tp->ep_event_modify(conn, EPOLLIN | EPOLLOUT);
    return true;
}

/* False: no memory. One ahead of its turn is ignored: on one connection that cannot be. */
static bool answer_text(struct aside *a)
{
    struct iscsi_session *s = a->conn->session;
    if (!(a->bhs[0] & IMMEDIATE)) {
        if (get_be32(a->bhs + 24) != s->exp_cmd_sn)
            return true;
        s->exp_cmd_sn++;
    }
    if (get_be32(a->bhs + 16) == NO_TAG) /* nothing could be answered to it */
        return true;
    return queue_answer(a);
}

/* The fields of a ping's answer, NOP-In, are those of a Text Response (RFC 7143 11.11, 11.19), and nearly of a Reject. */
static void exchange_header(struct iscsi_hdr *h, const struct iscsi_task *t)
{
    h->opcode = OP_TEXT_RESPONSE;
    if (t->flags & FLAG_TEXT)
        return;
    h->opcode = OP_REJECT;
    ((uint8_t *)h)[REASON_AT] = COMMAND_NOT_SUPPORTED;
    h->itt = NO_TAG;
    h->ttt = 0;
}

static size_t guarded_write(struct iscsi_connection *conn, void *buf, size_t n)
{
    const struct iscsi_task *t = conn->tx_task;
    if (t && (t->flags & (FLAG_TEXT | FLAG_REJECT)) && buf == &conn->rsp.bhs)
        exchange_header(&conn->rsp.bhs, t);
    return was.ep_write_begin(conn, buf, n);
}

/* ---- what iscsid reads ---- */

/* Until the PDU is over or nothing more has come: 0 or less, as read returns it. */
static size_t aside_go_on(struct aside *a)
{
    struct iscsi_connection *conn = a->conn;
    for (; a->stage < DONE; a->stage++, a->got = 0) {
        while (a->left[a->stage]) {
            size_t n = aside_read(a);
            if (!n || n == (size_t)-1)
                return n;
            a->got += (uint32_t)n;
            a->left[a->stage] -= (uint32_t)n;
        }
        if (!stage_sound(a))
            return refuse(conn, "a wrong digest");
    }
    bool done = !a->text || answer_text(a);
    aside_free(a);
    return done ? nothing_yet() : 0;
}

static size_t read_aside(struct iscsi_connection *conn, bool text)
{
    struct aside *a = aside_new(conn, text);
    if (!a)
        return 0;
    conn_read_pdu(conn); /* what iscsid reads next is the header of another */
    return aside_go_on(a);
}

static bool has_flag(const struct iscsi_task *t, int bit)
{
    return t->flags >> bit & 1;
}

/* tgt holds a pointer to what it receives for, and to what it sends; between two R2Ts of one write it must not be both. Of
 * several tasks with one tag it takes the newest, whatever that is. */
static void describe_write(const struct iscsi_connection *conn, struct pdu_write *w)
{
    const struct iscsi_task *t;
    list_for_each_entry (t, &conn->session->cmd_list, c_hlist) {
        if (t->tag != conn->req.bhs.itt)
            continue;
        if (t->conn != conn || has_flag(t, TASK_in_scsi))
            return;
        bool usable = (t->req.flags & CMD_WRITE) && !has_flag(t, TASK_pending) && t->r2t_count > 0;
        uint32_t ttt = (uint32_t)(uintptr_t)t; /* what tgt has in the R2T, in the machine's own order */
        w->waits = true;
        w->unsolicited = usable && t->unsol_count;
        w->asked = usable && !t->unsol_count && !t->c_list.next && conn->tx_task != t;
        memcpy(w->ttt, &ttt, sizeof(ttt));
        w->offset = (uint32_t)t->offset;
        w->left = (uint32_t)t->r2t_count;
        return;
    }
}

static size_t judge(struct iscsi_connection *conn, size_t n)
{
    const uint8_t *bhs = (const uint8_t *)&conn->req.bhs;
    const char *why = NULL;
    struct pdu_write w = {.waits = false};
    struct pdu_session s = {.max_data = conn->session_param[ISCSI_PARAM_MAX_RECV_DLENGTH].val,
                            .exp_cmdsn = conn->session->exp_cmd_sn,
                            .max_cmdsn = conn->session->exp_cmd_sn + conn->session->max_queue_cmd};
    if (pdu_is_data_out(bhs))
        describe_write(conn, &w);
    switch (pdu_judge(bhs, &s, &w, &why)) {
    case PDU_PASS:
        return pdu_is_text(bhs) ? read_aside(conn, true) : n;
    case PDU_IGNORE:
        return read_aside(conn, false);
    case PDU_REFUSE:
        break;
    }
    return refuse(conn, why);
}

static bool sends_r2t(const struct iscsi_connection *conn)
{
    return conn->tx_task && conn->rsp.bhs.opcode == OP_R2T;
}

/* tgtd listens before it is told of its target and of who may log in, which comes last. Whoever logs in meanwhile would hear
 * "target not found" (02/03), and initiators take that for the last word. A connection that ends they try again. */
static bool door_is_open(void)
{
    return acl_get(TARGET, 0) || iqn_acl_get(TARGET, 0);
}

/* conn->tp->ep_read. */
static size_t guarded_read(struct iscsi_connection *conn, void *buf, size_t n)
{
    const uint8_t *end = (uint8_t *)buf + n, *bhs = (const uint8_t *)&conn->req.bhs;
    if (conn->state != STATE_SCSI)
        return door_is_open() ? was.ep_read(conn, buf, n) : 0; /* as at the end of the stream */
    send_whole_words(conn);
    struct aside *a = list_empty(&asides) ? NULL : aside_of(conn);
    if (a)
        return aside_go_on(a);
    bool header = end == bhs + PDU_BHS;
    if (header && sends_r2t(conn)) /* its answer may be there before iscsid knows that it went out */
        return nothing_yet();
    size_t got = was.ep_read(conn, buf, n);
    if (got != n)
        return got;
    if (header)
        return judge(conn, n);
    if (conn->req.ahssize && end == (uint8_t *)conn->req.ahs + conn->req.ahssize &&
        !pdu_ahs_sound(conn->req.ahs, conn->req.ahssize))
        return refuse(conn, "additional header segments that are none");
    return n;
}

/* conn->tp->alloc_data_buf. iscsid reads the padding of a data segment behind it, which is behind the buffer too where the
 * last segment of a write does not begin at a multiple of 4. */
static void *padded_buffer(struct iscsi_connection *conn, size_t n)
{
    enum { PADDING = 3 };
    return was.alloc_data_buf(conn, n + PADDING);
}

/* conn->tp->free_data_buf. A key may be in it: run_job wipes that of a command that ran, but others are refused by tgt, aborted,
 * or end with their session. All buffers come here in the end; a list with a key is a small one. */
static void wipe_and_free(struct iscsi_connection *conn, void *buf)
{
    enum { MOST_WITH_KEY = 4096 };
    size_t n = buf ? malloc_usable_size(buf) : 0;
    if (n && n <= MOST_WITH_KEY)
        explicit_bzero(buf, n);
    was.free_data_buf(conn, buf);
}

static size_t forget(struct iscsi_connection *conn)
{
    struct aside *a = list_empty(&asides) ? NULL : aside_of(conn);
    if (a)
        aside_free(a);
    return was.ep_close(conn);
}

/* ---- the way in ---- */

/* iscsid starts its transports in the order in which they made themselves known, ours first: the others follow it in the
 * list. Not 0: this one is none. */
static int take_place(void)
{
    struct iscsi_transport *t = &was;
    do
        t = list_entry(t->iscsi_transport_siblings.next, struct iscsi_transport, iscsi_transport_siblings);
    while (strcmp(t->name, "iscsi") != 0);
    struct list_head siblings = was.iscsi_transport_siblings;
    was = *t;
    was.iscsi_transport_siblings = siblings;
    was.ep_init = take_place;
    was.ep_exit = NULL;
    t->ep_read = guarded_read;
    t->ep_write_begin = guarded_write;
    t->ep_close = forget;
    t->alloc_data_buf = padded_buffer;
    t->free_data_buf = wipe_and_free;
    in_place = true;
    return -1;
}

void guard_register(void)
{
    was.name = "s3vtl";
    was.ep_init = take_place;
    iscsi_transport_register(&was);
}

bool guard_in_place(void)
{
    return in_place;
}
