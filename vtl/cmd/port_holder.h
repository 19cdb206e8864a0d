/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port_holder.h: who listens on a port of this host, from /proc. */
#ifndef S3VTL_PORT_HOLDER_H
#define S3VTL_PORT_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct port_holder {
    uid_t user;
    pid_t pid;        /* 0: not found out, as only root sees the files of others' processes */
    pid_t parent;     /* its parent, or 0 */
    char name[32];    /* of its program; "" */
    char unit[128];   /* the systemd unit that it is of, "x.service"; "" */
    char serves[256]; /* "" or, of the s3vtl that started it, the command line */
    bool debian_tgt;  /* the tgt package's own service */
};

/* Splits "a.b.c.d:port" or "[v6]:port". */
void portal_split(const char *portal, char *host, size_t room, char *port, size_t port_room);
/* Finds who listens where the portal ("address:port") would; false: nobody that /proc shows. Any thread. */
bool port_holder_find(const char *portal, struct port_holder *out);
/* "tgtd (process 12, of tgt.service)". Returns buf. */
#define PORT_HOLDER_TEXT 500
const char *port_holder_text(const struct port_holder *h, char buf[PORT_HOLDER_TEXT]);
/* What to do about the package's own service. */
#define PORT_DEBIAN_TGT                                                                                                \
    "the tgt package starts it by default: \"systemctl disable --now tgt\", if it serves nothing of yours, or give "   \
    "portal another port"

#endif
