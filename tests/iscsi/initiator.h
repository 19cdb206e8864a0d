/* SPDX-License-Identifier: GPL-2.0-or-later */
/* initiator.h: a small initiator over libiscsi: CDB and buffer in; status, sense, data and residual out. */
#ifndef S3VTL_TEST_INITIATOR_H
#define S3VTL_TEST_INITIATOR_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdint.h>

enum { LUN_CHANGER = 1, LUN_DRIVE0 = 2, LUN_DRIVE1 = 3 };

/* What a test session may ask for; zero is the default of a kernel initiator: no digests, immediate data, no initial
 * R2T. */
struct session_options {
    const char *name;   /* initiator name's end; NULL: "tests" */
    uint32_t isid;      /* 0: random */
    bool header_digest; /* libiscsi knows no data digest: raw.h does */
    bool no_immediate_data, initial_r2t;
    const char *user, *password, *target_user, *target_password;
};

struct session;
/* Logs in. NULL if the target refused; then why, if not NULL, has the text. */
struct session *session_try(const struct session_options *o, char *why, size_t why_size);
struct session *
session_open(const struct session_options *o); /* NULL: defaults; the test fails if the target refuses */
/* No session outlives its test: this is the teardown of every test, and closes what is open (logged out or not). */
int sessions_end(void **state);
void session_close(struct session *s); /* logout */
void session_cut(struct session *s);   /* the connection drops, as it is */
int session_fd(struct session *s);

enum direction { NO_DATA, DATA_IN, DATA_OUT };
enum residual { RESIDUAL_NONE, RESIDUAL_UNDERFLOW, RESIDUAL_OVERFLOW };

/* Status of a command that the initiator gave up itself (aborted, session cut). */
#define STATUS_CANCELLED 0x0f000000
struct reply {
    int status; /* SCSI status */
    uint8_t sense[64];
    size_t sense_len;
    enum residual flag;
    uint32_t residual;
};

/* One command and its end. Data-in goes into buf, len is also the expected data transfer length. */
void command(struct session *s, int lun, const uint8_t *cdb, size_t cdb_len, enum direction dir, void *buf, size_t len,
             struct reply *r);

/* The same without waiting. Freed by pending_free. */
struct pending;
struct pending *submit(struct session *s, int lun, const uint8_t *cdb, size_t cdb_len, enum direction dir, void *buf,
                       size_t len);
bool pending_done(const struct pending *p);
unsigned pending_order(const struct pending *p); /* 1: the session's first to end, 2: the second ... */
const struct reply *await(struct pending *p);    /* fails the test after 60 s */
/* Serves the session for ms, or until p (if not NULL) is done; says whether it is. */
bool serve_for(struct session *s, struct pending *p, int ms);
void pending_free(struct pending *p);

/* Task management: the response code of RFC 7143 11.6.1. */
enum { TMF_COMPLETE = 0, TMF_NO_TASK = 1 };
unsigned abort_task(struct pending *p);
unsigned reset_lun(struct session *s, int lun);

/* ---- what most tests say ---- */
#define CDB(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
unsigned sense_key(const struct reply *r);
unsigned sense_asc(const struct reply *r);        /* ASC << 8 | ASCQ */
int64_t sense_information(const struct reply *r); /* the VALID bit must be set */
uint8_t sense_flags(const struct reply *r);       /* FILEMARK 80h, EOM 40h, ILI 20h */

#define assert_good(r) assert_status_at((r), 0, 0, 0, __FILE__, __LINE__)
#define assert_sense(r, key, asc) assert_status_at((r), 2, (key), (asc), __FILE__, __LINE__)
void assert_status_at(const struct reply *r, int status, unsigned key, unsigned asc, const char *file, int line);
/* U with exactly this residual, or neither flag when it is 0 (pbs-tape rule: never a flag with residual 0). */
#define assert_residual(r, n) assert_residual_at((r), (n), __FILE__, __LINE__)
void assert_residual_at(const struct reply *r, uint32_t n, const char *file, int line);

/* Takes the unit attentions of this session that are pending: TEST UNIT READY until it says something else. */
void settle(struct session *s, int lun);
void settle_all(struct session *s);

#endif
