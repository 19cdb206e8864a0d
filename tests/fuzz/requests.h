/* SPDX-License-Identifier: GPL-2.0-or-later */
/* requests.h: requests made of bytes, sent through a logical unit, and what must hold of every answer. */
#ifndef S3VTL_FUZZ_REQUESTS_H
#define S3VTL_FUZZ_REQUESTS_H

#include "scsi/lun.h"
#include "tests/fuzz/fuzz.h"

/*
 * A step of an input: a byte of bits, then an event (the device's own) or a command:
 * CDB (as long as its group code says), room for data-in (2 bytes), length of data-out (2), bytes given of it (1), and
 * these.
 */
enum step_bits {
    STEP_NEXUS = 0x03,     /* which of three */
    STEP_DEFER = 0x04,     /* the transport can answer before the work is done */
    STEP_FINISH = 0x08,    /* and does that work at once */
    STEP_EVENT = 0x10,     /* an event follows, no command */
    STEP_CANCELLED = 0x20, /* the command is aborted from the start */
};
#define MAX_STEPS 256

struct exchange {
    uint8_t *cdb; /* 16 bytes */
    uint8_t *in, *out;
    atomic_bool cancelled;
    struct scsi_request rq;
    const struct scsi_command *row; /* that ran; NULL: answered by the route */
};

size_t cdb_length(uint8_t opcode); /* SPC-5 4.3.1; 16 for what has no length of its own */
/* Reads the rest of a command's step. */
void exchange_take(struct exchange *x, uint8_t bits, struct input *in);
/* A command of the fuzzer's own. */
void exchange_make(struct exchange *x, uint64_t nexus, const uint8_t *cdb, size_t len, uint32_t room);
void exchange_free(struct exchange *x);

/* The first look; true if the request is to be run. */
bool exchange_route(struct exchange *x, struct scsi_lun *lun);
/* Runs it, if there is something to run, and checks the answer. */
void exchange_run(struct exchange *x, struct scsi_lun *lun);

/* Is it CHECK CONDITION about this very command with this key? */
bool has_key(const struct exchange *x, unsigned key);
unsigned asc_of(const struct exchange *x);

#endif
