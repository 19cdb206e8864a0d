/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sigv4.h: AWS Signature Version 4, the Authorization header form; pure computation. */
#ifndef S3VTL_SIGV4_H
#define S3VTL_SIGV4_H

#include <stddef.h>
#include <time.h>

#include "base/strbuf.h"

/* x-amz-content-sha256 of a body that is not hashed; only fit where nobody on the way can change it. */
#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
/* SHA-256 of nothing. */
#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { SIGV4_DATE_SIZE = 17, SIGV4_HEX_SIZE = 65 };

struct sigv4_keys {
    const char *access_key;
    const char
        *aws4_secret; /* SIGV4_BEFORE_SECRET and the secret key: as it is signed with, so that nobody copies it */
    const char *region, *service;
};
#define SIGV4_BEFORE_SECRET "AWS4"

struct sigv4_pair {
    const char *name, *value;
};

/* What is signed. The path and the query are as meant, not yet encoded: what goes onto the wire has to be made by the
 * two encode functions below, so that both are the same bytes. */
struct sigv4_request {
    const char *method;
    const char *path; /* begins with '/' */
    const struct sigv4_pair *query;
    size_t n_query;
    const struct sigv4_pair *headers; /* all that are signed: host, x-amz-date, ...; in any order and case */
    size_t n_headers;
    const char *payload_hash; /* hex SHA-256 of the body, or SIGV4_UNSIGNED_PAYLOAD */
};

/* The time stamp YYYYMMDDTHHMMSSZ. */
void sigv4_date(time_t when, char out[SIGV4_DATE_SIZE]);
/* Lower-case hex of SHA-256. 0 or -EIO (OpenSSL refused). */
int sigv4_sha256_hex(const void *data, size_t len, char out[SIGV4_HEX_SIZE]);
/* Lower-case hex of n bytes, with a NUL: 2n + 1 bytes of out. */
void sigv4_hex(const unsigned char *data, size_t n, char *out);
/* Adds the path, each byte but A-Z a-z 0-9 - . _ ~ and / as %XX (upper case). */
void sigv4_encode_path(struct strbuf *out, const char *path);
/* Adds the query in canonical form: encoded ('/' too), sorted, each name with '='. */
void sigv4_encode_query(struct strbuf *out, const struct sigv4_pair *query, size_t n);
/* Adds the canonical request (for tests and for the signature). */
void sigv4_canonical_request(struct strbuf *out, const struct sigv4_request *r);
/* Adds the value of the Authorization header. date: as by sigv4_date, the same as in the x-amz-date header. 0, -ENOMEM
 * or -EIO. */
int sigv4_authorization(struct strbuf *out, const struct sigv4_keys *k, const struct sigv4_request *r,
                        const char *date);

#endif
