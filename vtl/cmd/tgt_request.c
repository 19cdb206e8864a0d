/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt_request.c: requests to tgtd's management socket, as tgtadm makes them. */
#include "vtl/cmd/tgt_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "vtl/cmd/tgtadm_abi.h"

#define TARGET_ID 1
#define ANSWER_SECONDS 300 /* opening the library recovers what was open, which takes time */

static const struct {
    unsigned mode, op;
    uint32_t direction, force;
    const char *what;
} requests[] = {
    [TGT_TARGET_NEW] = {MODE_TARGET, OP_NEW, 0, 0, "new target"},
    [TGT_TARGET_UPDATE] = {MODE_TARGET, OP_UPDATE, 0, 0, "target parameter"},
    [TGT_TARGET_BIND] = {MODE_TARGET, OP_BIND, 0, 0, "access list"},
    [TGT_TARGET_DELETE] = {MODE_TARGET, OP_DELETE, 0, 1, "delete target"},
    [TGT_UNIT_NEW] = {MODE_DEVICE, OP_NEW, 0, 0, "new logical unit"},
    [TGT_UNIT_DELETE] = {MODE_DEVICE, OP_DELETE, 0, 0, "delete logical unit"},
    [TGT_ACCOUNT_NEW] = {MODE_ACCOUNT, OP_NEW, 0, 0, "new account"},
    [TGT_ACCOUNT_BIND] = {MODE_ACCOUNT, OP_BIND, ACCOUNT_TYPE_INCOMING, 0, "account"},
    [TGT_ACCOUNT_BIND_OUT] = {MODE_ACCOUNT, OP_BIND, ACCOUNT_TYPE_OUTGOING, 0, "outgoing account"},
    [TGT_SYSTEM_DELETE] = {MODE_SYSTEM, OP_DELETE, 0, 0, "end"},
};

static int connect_to(const char *ipc)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", ipc);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static void fill(struct tgtadm_req *req, enum tgt_op op, uint64_t lun, size_t params)
{
    memset(req, 0, sizeof(*req));
    req->mode = requests[op].mode;
    req->op = requests[op].op;
    (void)snprintf(req->lld, sizeof(req->lld), "iscsi");
    req->len = (uint32_t)(sizeof(*req) + params);
    req->tid = TARGET_ID;
    req->lun = lun;
    req->ac_dir = requests[op].direction;
    req->force = requests[op].force;
}

int tgt_request(const char *ipc, enum tgt_op op, uint64_t lun, const char *params, struct errtext *err)
{
    size_t len = params ? strlen(params) + 1 : 0;
    struct tgtadm_req req;
    struct tgtadm_rsp rsp;
    fill(&req, op, lun, len);
    int fd = connect_to(ipc);
    if (fd < 0)
        return errtext_set(err, fd, "tgtd: %s: %s", ipc, strerror(-fd));
    int rc = send(fd, &req, sizeof(req), MSG_NOSIGNAL) == (ssize_t)sizeof(req) ? 0 : -EIO;
    if (!rc && len && send(fd, params, len, MSG_NOSIGNAL) != (ssize_t)len)
        rc = -EIO;
    if (!rc) {
        ssize_t n = recv(fd, &rsp, sizeof(rsp), MSG_WAITALL);
        rc = n == (ssize_t)sizeof(rsp) ? 0 : n < 0 && errno == EAGAIN ? -ETIMEDOUT : -EIO;
    }
    close(fd);
    if (rc)
        return errtext_set(err, rc, "tgtd: %s: no answer", requests[op].what);
    if (rsp.err != TGTADM_SUCCESS)
        return errtext_set(err, -EINVAL, "tgtd refused: %s%s%s (error %u)", requests[op].what,
                           len && op != TGT_ACCOUNT_NEW ? " " : "", len && op != TGT_ACCOUNT_NEW ? params : "",
                           rsp.err);
    return 0;
}
