/* SPDX-License-Identifier: GPL-2.0-or-later */
/* raw.h: iSCSI PDUs by hand (RFC 7143), for what libiscsi doesn't do: data digests, odd lengths and flags, half-sent
 * writes. */
#ifndef S3VTL_TEST_RAW_H
#define S3VTL_TEST_RAW_H

#include "tests/iscsi/initiator.h"

enum { BHS = 48 };
enum { PDU_COMMAND = 0x01, PDU_DATA_OUT = 0x05, PDU_RESPONSE = 0x21, PDU_DATA_IN = 0x25, PDU_R2T = 0x31 };
enum { FLAG_FINAL = 0x80, FLAG_READ = 0x40, FLAG_WRITE = 0x20, ATTR_SIMPLE = 1, ATTR_ORDERED = 2 };

struct raw {
    int fd;
    bool digests;           /* CRC32C of headers and of data */
    bool wrong_data_digest; /* of the next PDU sent with data */
    uint32_t cmdsn, itt;
};

struct pdu {
    uint8_t bhs[BHS];
    uint8_t *data; /* grows as needed */
    uint32_t len;
};

/* Logs in (no CHAP). The test fails if the target refuses. */
void raw_open(struct raw *r, bool digests);
/* The same as the initiator of this name and ISID (as session_options have them): a session of it that exists is
 * reinstated. */
void raw_open_as(struct raw *r, bool digests, const char *name, uint32_t isid);
void raw_close(struct raw *r); /* without logout */
void raw_send(struct raw *r, const uint8_t bhs[BHS], const void *data, uint32_t len);
/* The next PDU, digests checked; the target's own NOP-In is answered. False: the target closed the connection. The test fails after 30
 * s. */
bool raw_receive(struct raw *r, struct pdu *p);
/* Sends a command PDU with immediate data; returns its task tag. flags: FLAG_*, ATTR_*. */
uint32_t raw_command(struct raw *r, int lun, const uint8_t *cdb, size_t cdb_len, uint8_t flags, uint32_t expected,
                     const void *data, uint32_t len);
/* Answers R2Ts from data and gathers data-in into buf (room bytes) until the command ends; the last PDU is left in p.
 */
bool raw_finish(struct raw *r, uint32_t itt, const uint8_t *data, void *buf, size_t room, struct pdu *p);
void pdu_free(struct pdu *p);

#endif
