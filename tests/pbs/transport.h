/* SPDX-License-Identifier: GPL-2.0-or-later */
/* transport.h: how a command gets to a device and what comes back: iSCSI (transport_iscsi.c) or SG_IO (transport_sg.c).
 */
#ifndef S3VTL_PBS_TRANSPORT_H
#define S3VTL_PBS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The host: one I_T nexus, as a PBS host has one session. Its units may be used from several threads at once, each of
 * which has one command under way. name: of the initiator; a second nexus has another. */
struct host;
struct host *host_open(const char *name); /* NULL: problem_text() says why */
void host_close(struct host *h);

/* One open device: what a file descriptor of /dev/sgN is. */
enum { CHANGER = -1 }; /* drives are 0, 1 ... */
struct unit;
struct unit *unit_open(struct host *h, int which);
void unit_close(struct unit *u);

/* libsgutils2 offers 32 bytes for sense data. */
enum { SENSE_ROOM = 32 };

struct exchange {
    const uint8_t *cdb;
    uint8_t cdb_len;
    bool out; /* else data-in; there is always a buffer */
    void *buf;
    uint32_t len;
    unsigned timeout_s;
    /* the answer */
    const char *transport_error; /* NULL: the target answered */
    uint8_t status;
    uint8_t sense[SENSE_ROOM];
    uint8_t sense_len;
    int64_t resid;
};
/* One command and its end, or its time-out: then it has been aborted, and transport_error is set. */
void transport_do(struct unit *u, struct exchange *x);

#endif
