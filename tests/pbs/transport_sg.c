/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transport_sg.c: commands through the kernel: SG_IO version 3 on /dev/sgN, as libsgutils2 sends them.
 * S3VTL_PBS_SG names the devices: the changer's, then the drives', separated by blanks. */
#include "tests/pbs/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/pbs/problem.h"

#define MAX_DEVICES 8

struct host {
    char *names; /* cut at the blanks */
    const char *device[MAX_DEVICES];
    int n;
};

struct unit {
    int fd;
};

struct host *host_open(const char *name)
{
    const char *list = getenv("S3VTL_PBS_SG");
    (void)name; /* the kernel's session is the only nexus */
    if (!list) {
        problem_set("S3VTL_PBS_SG is not set: the sg devices of the changer and of each drive");
        return NULL;
    }
    struct host *h = calloc(1, sizeof(*h));
    h->names = strdup(list);
    char *rest = NULL;
    for (char *p = strtok_r(h->names, " ", &rest); p && h->n < MAX_DEVICES; p = strtok_r(NULL, " ", &rest))
        h->device[h->n++] = p;
    return h;
}

void host_close(struct host *h)
{
    free(h->names);
    free(h);
}

struct unit *unit_open(struct host *h, int which)
{
    int i = which + 1; /* the changer is the first */
    if (i >= h->n) {
        problem_set("no device for drive %d", which);
        return NULL;
    }
    /* Opened without blocking, and blocking from then on, as PBS does. */
    int fd = open(h->device[i], O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)) {
        problem_set("%s: %s", h->device[i], strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct unit *u = calloc(1, sizeof(*u));
    u->fd = fd;
    return u;
}

void unit_close(struct unit *u)
{
    close(u->fd);
    free(u);
}

void transport_do(struct unit *u, struct exchange *x)
{
    struct sg_io_hdr io = {
        .interface_id = 'S',
        .dxfer_direction = x->out ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV,
        .cmd_len = x->cdb_len,
        .mx_sb_len = SENSE_ROOM,
        .dxfer_len = x->len,
        .dxferp = x->buf,
        .cmdp = (unsigned char *)(uintptr_t)x->cdb,
        .sbp = x->sense,
        .timeout = x->timeout_s * 1000,
    };
    x->transport_error = NULL;
    if (ioctl(u->fd, SG_IO, &io)) {
        x->transport_error = strerror(errno);
        return;
    }
    x->status = io.status & 0x7e;
    x->sense_len = io.sb_len_wr;
    x->resid = io.resid;
    /* A host byte beside CHECK CONDITION (DID_TARGET_FAILURE for some sense keys) does not hide the sense. */
    if (io.host_status && x->status != 2) {
        static _Thread_local char text[60];
        (void)snprintf(text, sizeof(text), "host status %#x, driver status %#x", io.host_status, io.driver_status);
        x->transport_error = text;
    }
}
