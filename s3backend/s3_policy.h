/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_policy.h: what an answer means, and whether and when to try again; pure, without I/O. */
#ifndef S3VTL_S3_POLICY_H
#define S3VTL_S3_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "s3backend/s3_http.h"
#include "s3backend/xml.h"

struct retry_limits {
    unsigned first_ms; /* before the second try; doubles with each further one */
    unsigned most_ms;  /* of one pause */
    unsigned total_ms; /* no try begins later than this after the first, but a second one always may */
    unsigned last_ms;  /* after this long there is not even a second try; 0: there always is */
};

/* What an <Error> of the store says, as printable text and as far as it fits; all zero: nothing. */
struct s3_error {
    char code[64], message[300];
};

/* What came of one try. */
struct s3_verdict {
    int code;   /* 0 or a negative errno */
    bool retry; /* another try may succeed */
    unsigned retry_after_ms;
    bool bucket_missing;
    bool full;        /* no more room, or quota: trouble, whatever the status */
    bool other_body;  /* the store compared the body with a hash that came along, and refused it */
    char reason[400]; /* what the store said and what to do, in one line; without keys, secrets or signatures */
};

/* Judges an exchange by its outcome, status and the store's <Code> and <Message>. our_time: this host's clock. */
void s3_judge(const struct http_response *r, time_t our_time, struct s3_verdict *v);
/* Milliseconds to wait after try number `tries` (1 ..): exponential, with jitter from random (any 32 bits). */
unsigned s3_backoff(const struct retry_limits *l, unsigned tries, uint32_t random, unsigned retry_after_ms);
/* May another try begin after a pause, tries and time gone by? max_tries 0: by time alone. */
bool s3_may_retry(const struct retry_limits *l, unsigned max_tries, unsigned tries, uint64_t elapsed_ms,
                  unsigned pause);
/* An xml_fn: keeps in a struct s3_error what x tells of one; anything else is passed over. */
void s3_error_take(void *error, const struct xml_element *x);
/* True if a per-key error of DeleteObjects says that the object isn't there. */
bool s3_says_gone(const struct s3_error *e);
/* The verdict for an error alone, without HTTP's status (as in DeleteObjects' per-key errors). */
void s3_judge_error(const struct s3_error *e, struct s3_verdict *v);
/* Copies a store's text as one printable line, with what looks like a hash or a signature left out. */
void s3_scrub(char *out, size_t room, const char *text);

#endif
