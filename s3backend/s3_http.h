/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_http.h: HTTP exchanges in parallel on one thread of libcurl's multi interface; knows nothing of S3's operations.
 */
#ifndef S3VTL_S3_HTTP_H
#define S3VTL_S3_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/strbuf.h"
#include "s3backend/objstore.h"

struct http_engine;
struct s3_proxy;
struct s3_rate;

/* What is sent. Everything is the caller's and stays unchanged until http_run returns. */
struct http_request {
    const char *method;            /* GET HEAD PUT POST DELETE */
    const char *url;               /* as it goes onto the wire: encoded */
    const char *const *headers;    /* "Name: value" lines */
    size_t n_headers;              /* */
    const struct obj_source *body; /* NULL: none */
    const char *ca_file;           /* NULL: the system's */
    const struct s3_proxy *proxy;  /* NULL: none */
    struct s3_rate *upload;        /* NULL, or what limits a body that is sent, */
    struct s3_rate *download;      /* and what goes to buf or sink */
    void *buf;                     /* NULL, or where bytes [offset, offset + len) of the object go */
    const struct obj_sink *sink;   /* the same, piece by piece; not with http_run */
    uint64_t offset, len;          /* with buf or sink */
    size_t text_limit;             /* most bytes of a successful answer without these */
    unsigned connect_ms;           /* name look-up, connection and TLS */
    unsigned stall_ms;             /* no byte in either direction */
    unsigned answer_ms;            /* all sent, and no answer begins; or a body is not taken, if that is longer */
    const atomic_bool *cancel;     /* NULL or polled every 100 ms */
    _Atomic uint64_t *sent;        /* NULL, or tells how much of the body is sent */
    bool expect;                   /* ask by "Expect: 100-continue" before a big body */
    void (*meanwhile)(void *arg);  /* NULL, or run by the caller's thread while the exchange is under way */
    void *arg;                     /* of meanwhile */
    unsigned quiet_ms;             /* when less than quiet_bytes moved for so long, in both directions together, */
    uint64_t quiet_bytes;
    void (*quiet)(void *arg, const char *what); /* NULL, or told so, once, by the thread that does the exchange */
    void *quiet_arg;
    bool any_peer; /* the certificate is not checked: nothing but a look, without keys */
    bool secret;   /* a header is one: libcurl's copy of it is wiped */
    bool once;     /* never sent a second time by libcurl itself, as it does on a used connection that breaks */
};

enum { HTTP_ETAG_SIZE = 128 };

enum http_outcome {
    HTTP_ANSWERED, /* status and the rest are set */
    HTTP_BROKEN,   /* the transport failed: curl_code and reason */
    HTTP_STALLED,  /* one of the limits above */
    HTTP_CANCELED,
    HTTP_SOURCE,   /* the body could not be read here, or has another sum than it should */
    HTTP_MISMATCH, /* with buf or sink: what came is another range than asked for */
    HTTP_SINK,     /* the sink refused */
};

/* The caller frees text by strbuf_free. */
struct http_response {
    enum http_outcome outcome;
    int curl_code;
    char reason[256];
    long status;
    char etag[HTTP_ETAG_SIZE]; /* without quotes; "" when there is none */
    char crc32c[16];           /* x-amz-checksum-crc32c; "" when there is none */
    bool has_length;           /* Content-Length was there */
    uint64_t length;           /* its value */
    bool has_range;            /* Content-Range was there and well-formed */
    uint64_t first, last;      /* its ends */
    long proxy_status;         /* a proxy refused the tunnel by this; 0: none did */
    bool locked;               /* x-amz-object-lock-mode was there */
    bool kms;                  /* x-amz-server-side-encryption names KMS: then the ETag is no MD5 */
    char realm[64];            /* of WWW-Authenticate: Basic; "" when there is none */
    char server[32];           /* "" when it is not told */
    bool page;                 /* Content-Type is that of a web page */
    time_t date;               /* the store's clock, 0 when not told */
    unsigned retry_after_s;    /* 0 when not told */
    uint64_t received;         /* bytes that went to buf or sink */
    uint32_t sent_crc;         /* CRC32C of the body as it was sent */
    struct strbuf text;        /* the body of an answer without these, or of an error */
};

/* Keeps an ETag without its quotes; "" when it is too long to be one. */
void http_keep_etag(char out[HTTP_ETAG_SIZE], const char *text);

/* Starts the thread. parallel: exchanges at once, HTTP_MAX_PARALLEL at most; others wait for their turn. 0 or a negative
 * errno. */
enum { HTTP_MAX_PARALLEL = 256 };
int http_engine_new(unsigned parallel, struct http_engine **out, struct errtext *err);
/* From now on so many. What is under way goes on. Any thread. */
void http_engine_set_parallel(struct http_engine *e, unsigned parallel);
/* Does one exchange and waits for its end, which one of the limits brings at the latest. Any thread. */
void http_run(struct http_engine *e, const struct http_request *q, struct http_response *r);
/* Ends the thread and the connections; nobody may be in http_run. */
void http_engine_free(struct http_engine *e);

/* Exchanges on the calling thread, as many at once as there are callers; connections are reused. They need an engine to
 * exist. NULL: out of memory. */
struct http_lanes;
struct http_lanes *http_lanes_new(void);
void http_lanes_run(struct http_lanes *s, const struct http_request *q, struct http_response *r);
void http_lanes_free(struct http_lanes *s); /* nobody may be in http_lanes_run */

#endif
