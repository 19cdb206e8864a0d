/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port.c: see port.h. */
#include "vtl/target/port.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vtl/target/tgt_list.h"

enum {
    PERSISTENT_RESERVE_OUT = 0x5F,
    SERVICE_ACTION = 0x1F, /* of byte 1 */
    PREEMPT = 0x04,
    WRITE_EXCLUSIVE_ALL = 0x07, /* all registrants hold it (SPC-5 table 69) */
    EXCLUSIVE_ACCESS_ALL = 0x08,
};

static struct iscsi_session *session_of(struct scsi_cmd *cmd)
{
    return container_of(cmd, struct iscsi_task, scmd)->conn->session;
}

/* ---- sessions ---- */

static void end_session(struct iscsi_session *s)
{
    struct iscsi_connection *conn, *next;
    session_get(s);
    list_for_each_entry_safe (conn, next, &s->conn_list, clist)
        if (!conn->closed)
            conn_close(conn);
    session_put(s);
}

static void (*release)(struct iscsi_connection *conn); /* tgt's own */
static void (*session_ended)(void);

/* In place of tgt's: with its last connection a session ends, and its nexus. */
static void release_and_tell(struct iscsi_connection *conn)
{
    release(conn);
    session_ended();
}

static void watch(struct iscsi_transport *tp, void (*ended)(void))
{
    session_ended = ended;
    if (tp->ep_release == release_and_tell)
        return;
    release = tp->ep_release;
    tp->ep_release = release_and_tell;
}

static void reinstate(const struct iscsi_session *s)
{
    struct list_head *at = s->slist.next, *next; /* those behind it in the list are older */
    for (; at != &s->target->sessions_list; at = next) {
        struct iscsi_session *old = list_entry(at, struct iscsi_session, slist);
        next = at->next;
        if (!memcmp(old->isid, s->isid, sizeof(s->isid)) && !strcmp(old->initiator, s->initiator))
            end_session(old);
    }
}

void port_begin_session(struct scsi_cmd *cmd, void (*ended)(void))
{
    watch(container_of(cmd, struct iscsi_task, scmd)->conn->tp, ended);
    reinstate(session_of(cmd));
    ended(); /* who reinstates holds the older session until its last connection was released */
}

void port_describe(struct scsi_cmd *cmd, char name[PORT_NAME], char address[PORT_ADDRESS])
{
    struct iscsi_connection *conn = container_of(cmd, struct iscsi_task, scmd)->conn;
    char peer[PORT_ADDRESS + 32] = "";
    conn->tp->ep_show(conn, peer, sizeof(peer)); /* "IP Address: 192.0.2.1" */
    const char *colon = strstr(peer, ": ");
    (void)snprintf(name, PORT_NAME, "%s", conn->session->initiator);
    (void)snprintf(address, PORT_ADDRESS, "%.*s", PORT_ADDRESS - 1, colon ? colon + 2 : peer);
}

/* ---- registrations ---- */

/*
 * A registration is of an initiator port, and stays when the I_T nexus is lost (SPC-5 5.13.7). tgt keeps it under the
 * session's number and its time of birth, so that a port that logs in again would be a stranger to its own reservation.
 * Here the port of each registrant is kept beside tgt's list; the first command of a new session of the same port takes
 * the registration along.
 */
struct registrant {
    struct list_head siblings;
    const struct scsi_lu *lu;
    uint64_t nexus; /* these two as in struct registration */
    long born;
    uint8_t isid[6];
    char name[];
};

static struct list_head registrants = LIST_HEAD_INIT(registrants); /* the transport's thread only */

static bool is_port(const struct registrant *r, const struct iscsi_session *s)
{
    return !memcmp(r->isid, s->isid, sizeof(r->isid)) && !strcmp(r->name, s->initiator);
}

static struct registration *find_registration(struct scsi_lu *lu, uint64_t nexus, long born)
{
    struct registration *reg;
    list_for_each_entry (reg, &lu->registration_list, registration_siblings)
        if (reg->nexus_id == nexus && reg->ctime == born)
            return reg;
    return NULL;
}

static void forget(struct registrant *r)
{
    list_del(&r->siblings);
    free(r);
}

/* Whoever asks for a registration is noted before it is known whether it gets one. Those that have none go. */
static void note(struct scsi_cmd *cmd)
{
    const struct iscsi_session *s = session_of(cmd);
    struct registrant *r, *next;
    list_for_each_entry_safe (r, next, &registrants, siblings)
        if (r->lu == cmd->dev && !find_registration(cmd->dev, r->nexus, r->born))
            forget(r);
    if (find_registration(cmd->dev, cmd->cmd_itn_id, cmd->it_nexus->ctime)) /* noted when it registered */
        return;
    size_t len = strlen(s->initiator) + 1;
    r = malloc(sizeof(*r) + len);
    if (!r) {
        log_err("reservation of %s: out of memory: it will not outlive the session", s->initiator);
        return;
    }
    r->lu = cmd->dev;
    r->nexus = cmd->cmd_itn_id;
    r->born = cmd->it_nexus->ctime;
    memcpy(r->isid, s->isid, sizeof(r->isid));
    memcpy(r->name, s->initiator, len);
    list_add_tail(&r->siblings, &registrants);
}

static void take_along(struct scsi_cmd *cmd)
{
    struct registrant *r;
    list_for_each_entry (r, &registrants, siblings) {
        struct registration *reg =
            r->lu == cmd->dev && is_port(r, session_of(cmd)) ? find_registration(cmd->dev, r->nexus, r->born) : NULL;
        if (!reg)
            continue;
        reg->nexus_id = r->nexus = cmd->cmd_itn_id;
        reg->ctime = r->born = cmd->it_nexus->ctime;
        return;
    }
}

/* A reservation of all registrants is held by each of them. tgt keeps one as its holder, which it frees, and goes on looking
 * at, if another one's PREEMPT takes just that registration away. So whoever preempts becomes the one. */
static void become_holder(struct scsi_cmd *cmd)
{
    struct scsi_lu *lu = cmd->dev;
    struct registration *own = find_registration(lu, cmd->cmd_itn_id, cmd->it_nexus->ctime), *holder = lu->pr_holder;
    if (!own || !holder || (holder->pr_type != WRITE_EXCLUSIVE_ALL && holder->pr_type != EXCLUSIVE_ACCESS_ALL))
        return;
    own->pr_type = holder->pr_type;
    own->pr_scope = holder->pr_scope;
    lu->pr_holder = own;
}

void port_keep_registration(struct scsi_cmd *cmd)
{
    if (!list_empty(&cmd->dev->registration_list) &&
        !find_registration(cmd->dev, cmd->cmd_itn_id, cmd->it_nexus->ctime))
        take_along(cmd);
    if (cmd->scb[0] != PERSISTENT_RESERVE_OUT)
        return;
    note(cmd);
    if ((cmd->scb[1] & SERVICE_ACTION) == PREEMPT)
        become_holder(cmd);
}

void port_forget(const struct scsi_lu *lu)
{
    struct registrant *r, *next;
    list_for_each_entry_safe (r, next, &registrants, siblings)
        if (r->lu == lu)
            forget(r);
}
