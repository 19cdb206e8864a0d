/* SPDX-License-Identifier: GPL-2.0-or-later */
/* raw.h: iSCSI PDUs by hand (RFC 7143), for what libiscsi doesn't do: data digests, odd lengths and flags, half-sent
 * writes. */
#ifndef S3VTL_TEST_RAW_H
#define S3VTL_TEST_RAW_H

#include "tests/iscsi/initiator.h"

enum { BHS = 48 };
enum {
    PDU_NOP_OUT = 0x00,
    PDU_COMMAND = 0x01,
    PDU_TASK_REQUEST = 0x02,
    PDU_TEXT = 0x04,
    PDU_DATA_OUT = 0x05,
    PDU_LOGOUT = 0x06,
    PDU_IMMEDIATE = 0x40, /* with one of the above: delivered at once, takes no CmdSN */
    PDU_NOP_IN = 0x20,
    PDU_RESPONSE = 0x21,
    PDU_TASK_RESPONSE = 0x22,
    PDU_TEXT_RESPONSE = 0x24,
    PDU_DATA_IN = 0x25,
    PDU_LOGOUT_RESPONSE = 0x26,
    PDU_R2T = 0x31,
    PDU_REJECT = 0x3f
};
enum { TASK_ABORT = 1, TASK_ABORT_SET = 2, TASK_LUN_RESET = 5 };
#define NO_TAG 0xffffffffu
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

struct raw_options {
    const char *name; /* as session_options have it; NULL: "raw" */
    uint32_t isid;    /* 0: of the process */
    bool digests, no_immediate_data, initial_r2t;
    uint32_t first_burst; /* 0: 1 MiB */
    uint32_t max_data;    /* MaxRecvDataSegmentLength; 0: 256 KiB */
};

/* Logs in (no CHAP). The test fails if the target refuses. A session of this name and ISID that exists is reinstated. */
void raw_open_with(struct raw *r, const struct raw_options *o);
void raw_open_as(struct raw *r, bool digests, const char *name, uint32_t isid);
void raw_open(struct raw *r, bool digests);
void raw_connect(struct raw *r); /* only the connection: no login */
void raw_close(struct raw *r);   /* without logout */
void raw_send(struct raw *r, const uint8_t bhs[BHS], const void *data, uint32_t len);
/* The next PDU, digests checked; the target's own NOP-In is answered. False: the target closed the connection. The test fails after 30
 * s. */
bool raw_receive(struct raw *r, struct pdu *p);
/* Sends a command PDU with immediate data; returns its task tag. flags: FLAG_*, ATTR_*. */
uint32_t raw_command(struct raw *r, int lun, const uint8_t *cdb, size_t cdb_len, uint8_t flags, uint32_t expected,
                     const void *data, uint32_t len);
/* Data of a task from base + offset on, in Data-Out PDUs of at most 256 KiB; the last one has the final bit. ttt as it came
 * in the R2T's bytes 20 to 23, or NO_TAG: unsolicited. */
void raw_data_out(struct raw *r, int lun, uint32_t itt, uint32_t ttt, const uint8_t *base, uint32_t offset,
                  uint32_t len);
/* A task management request for immediate delivery; returns its task tag. */
uint32_t raw_task_request(struct raw *r, uint8_t function, int lun, uint32_t referenced);
/* Answers R2Ts from data and gathers data-in into buf (room bytes) until the command ends; the last PDU is left in p.
 */
bool raw_finish(struct raw *r, uint32_t itt, const uint8_t *data, void *buf, size_t room, struct pdu *p);
void pdu_free(struct pdu *p);

#endif
