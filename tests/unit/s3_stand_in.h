/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_stand_in.h: an HTTP server inside a test that gives scripted answers: what real stores do seldom, on demand. */
#ifndef S3VTL_S3_STAND_IN_H
#define S3VTL_S3_STAND_IN_H

#include <stddef.h>

#include "s3backend/s3.h"

enum stand_in_way {
    SI_ANSWER, /* read the request, answer */
    SI_SHORT,  /* answer with a Content-Length that is `missing` bytes too large, then close */
    SI_HALF,   /* as SI_SHORT, but say nothing more until the client goes away */
    SI_SILENT, /* read the request, say nothing until the client goes away */
    SI_DROP,   /* read the request, close */
    SI_DEAF,   /* don't read the body, say nothing until the client goes away */
    SI_EARLY,  /* answer before the body is read, then close */
    SI_CLOSE,  /* answer, then close */
    SI_SIP,    /* read the body byte by byte, one in 5 ms, until the client goes away */
    SI_DRIP,   /* send the answer's body so, again and again until the client goes away */
    SI_FLOOD,  /* send it as fast as can be, again and again, in chunks, until the client goes away */
};

enum stand_in_crc { /* of a request's x-amz-checksum-crc32c */
                    SI_CRC_IGNORE,
                    SI_CRC_COMPARE, /* repeat it if it is the body's, else refuse: 400 BadDigest */
                    SI_CRC_PARROT,  /* repeat it, whatever the body is */
                    SI_CRC_OWN,     /* tell the body's */
};

/* One answer of the script, for the next request on whatever connection. All zero but status: an empty answer. */
struct stand_in_answer {
    const char *expect; /* the request line has to begin so, e.g. "GET /bucket/key"; NULL: any */
    int status;
    const char *headers; /* more header lines, each with \r\n; or NULL */
    const char *body;    /* or NULL */
    size_t body_len;     /* 0: strlen(body) */
    size_t missing;      /* for SI_SHORT, SI_HALF */
    unsigned hold_ms;    /* before the answer */
    enum stand_in_way way;
    int etag; /* 1: send the MD5 of the request's body as ETag */
    enum stand_in_crc crc;
    int damage;      /* 1: a bit of the body changes on the way, before anything is computed of it */
    int echo_secret; /* 1: the body is an AccessDenied that quotes the Authorization header */
};

struct stand_in;

/* Starts it on a free loopback port. The script and its strings stay the caller's. Fails the test on error. */
struct stand_in *stand_in_start(const struct stand_in_answer *script, size_t n);
/* "http://127.0.0.1:port". */
const char *stand_in_url(const struct stand_in *s);
unsigned stand_in_port(const struct stand_in *s);
/* Waits until n requests have come (their heads, at least); fails the test after ten seconds. */
void stand_in_await(struct stand_in *s, unsigned n);
/* Requests so far, connections so far, and the most requests that were under way at once. */
unsigned stand_in_requests(struct stand_in *s);
unsigned stand_in_connections(struct stand_in *s);
unsigned stand_in_most(struct stand_in *s);
/* Head and body of request i, as text; valid until stop. */
const char *stand_in_head(struct stand_in *s, unsigned i);
const char *stand_in_body(struct stand_in *s, unsigned i);
/* Waits until request i's body is there, or its client gone: how many bytes of it came. */
size_t stand_in_received(struct stand_in *s, unsigned i);
/* Ends it. Fails the test if a request was not what the script expected, or came after its end. */
void stand_in_stop(struct stand_in *s);

/* Limits for tests: pauses of a few milliseconds, time-outs of 300 ms. */
struct s3_tuning stand_in_tuning(void);
/* A store with bucket "bkt" and prefix "pre" at the stand-in; t NULL: stand_in_tuning. parallel 0: 4. */
struct objstore *stand_in_store(const struct stand_in *s, const struct s3_tuning *t, unsigned parallel);
/* Another address and style, for instance "http://localhost:1" and "virtual". */
struct objstore *stand_in_store_at(const char *url, const char *style, const struct s3_tuning *t, unsigned parallel);
/* One whose admin interface is at the stand-in, too; kind as objstore_config has it. */
#define STAND_IN_PASSWORD "admin password"
struct objstore *stand_in_store_with_admin(const struct stand_in *s, const char *kind);
/* What the store's credentials file holds. */
#define STAND_IN_ACCESS "AKSTANDIN00000000000"
#define STAND_IN_SECRET "stand-in-secret-stand-in-secret-40-chars"

#endif
