/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt_request.h: requests to tgtd's management socket. */
#ifndef S3VTL_TGT_REQUEST_H
#define S3VTL_TGT_REQUEST_H

#include <stdint.h>

#include "base/errtext.h"

enum tgt_op {
    TGT_TARGET_NEW,    /* targetname=... */
    TGT_TARGET_UPDATE, /* name=value */
    TGT_TARGET_BIND,   /* initiator-address=... or initiator-name=... */
    TGT_TARGET_DELETE, /* by force */
    TGT_UNIT_NEW,      /* path=...,bstype=... */
    TGT_UNIT_DELETE,
    TGT_ACCOUNT_NEW,      /* user=...,password=... */
    TGT_ACCOUNT_BIND,     /* user=... : initiators log in with it */
    TGT_ACCOUNT_BIND_OUT, /* user=... : the target proves itself with it */
    TGT_SYSTEM_DELETE,
};

/* Sends a request to the tgtd that listens on the socket path ipc. params may hold a password: it goes through the
 * socket only, never on a command line. 0, or a negative errno and *err with what tgtd answered; -ETIMEDOUT: nothing, in
 * minutes. */
int tgt_request(const char *ipc, enum tgt_op op, uint64_t lun, const char *params, struct errtext *err);

#endif
