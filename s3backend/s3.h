/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3.h: the S3 store; private to s3backend/ (and to its tests, which lower the limits). Its files cite by number what
 * services do otherwise than S3 ("trap 7"): ARCHITECTURE.md, "The store's traps". */
#ifndef S3VTL_S3_H
#define S3VTL_S3_H

#include "s3backend/objstore.h"
#include "s3backend/s3_admin.h"
#include "s3backend/s3_counters.h"
#include "s3backend/s3_health.h"
#include "s3backend/s3_http.h"
#include "s3backend/s3_keys.h"
#include "s3backend/s3_pace.h"
#include "s3backend/s3_policy.h"
#include "s3backend/s3_proxy.h"
#include "s3backend/s3_rate.h"
#include "s3backend/sigv4.h"

/* Limits that a user has no reason to change, and a test has. */
struct s3_tuning {
    unsigned connect_ms; /* name look-up, connection, TLS */
    unsigned stall_ms;   /* no byte moves */
    unsigned answer_ms;  /* a PUT or Complete is sent whole, and no answer comes: a busy renterd takes minutes */
    unsigned reply_ms;   /* the same of everything else */
    unsigned quiet_ms;   /* less than quiet_bytes move: the call goes on, and is told as trouble */
    unsigned quiet_bytes;
    struct retry_limits retry;
    uint64_t multipart_over; /* larger objects go by multipart upload */
    uint64_t part_size;
    unsigned max_keys;     /* of a page of a list, 1..1000 */
    unsigned delete_batch; /* keys of one DeleteObjects, 1..1000 */
    unsigned idle_pages; /* pages of a list in a row that bring nothing new; with one more the store goes in a circle */
};
extern const struct s3_tuning s3_default_tuning;

/* Does the store compare x-amz-checksum-crc32c by itself? See s3_checksum.c. */
enum s3_checksum {
    S3_CHECKSUM_ASKED,    /* not known: the checksum is sent, and MD5 decides */
    S3_CHECKSUM_REPEATED, /* an answer repeated it: to be probed; until then as before */
    S3_CHECKSUM_PROBED,   /* a thread is probing; as before */
    S3_CHECKSUM_COMPARED, /* it does: its word decides */
    S3_CHECKSUM_UNUSED,   /* it does not: not sent, MD5 decides */
};

/* Does the store honour "If-None-Match: *" on PUT and Complete? See s3_create.c. */
enum s3_create {
    S3_CREATE_ASKED,    /* not known: it is sent */
    S3_CREATE_PROBED,   /* a thread is finding out; the same */
    S3_CREATE_HONOURED, /* it does */
    S3_CREATE_IGNORED,  /* it does not: not sent */
};

/* A body up to this is sent at once with all its hashes; see s3_body.c. */
enum { S3_BIG_BODY = 1 << 20 };

struct s3_store {
    struct objstore base;
    struct http_engine *http;
    struct http_lanes *lanes; /* for streams */
    struct s3_tuning tuning;
    unsigned patience_ms; /* objstore_config's */
    bool tls, virtual_style;
    bool loopback;                          /* the store is on this host, by an address that leads nowhere else */
    atomic_int checksum;                    /* enum s3_checksum */
    atomic_int create;                      /* enum s3_create */
    atomic_bool singly;                     /* it has no DeleteObjects */
    atomic_int versioned, locked, lockable; /* enum obj_known */
    _Atomic int64_t clock; /* the store's time, as its last good answer told, minus clock_boot_s(); 0: none did */
    struct s3_health health;
    struct s3_counters counters;
    struct s3_admin admin;
    struct s3_pace pace; /* of big bodies */
    atomic_bool careful; /* the last big body failed: ask before the next one is sent */
    char *host;          /* host[:port], lower case, as in the Host header; without the bucket */
    char *bucket;        /* */
    char *prefix;        /* "" or "a/b/" */
    char *region;
    char *ca_file;          /* or NULL */
    struct lock keys_lock;  /* a leaf */
    struct s3_keys keys;    /* guarded by keys_lock: they may be exchanged at any time */
    struct s3_proxy *proxy; /* the same; never NULL once the store is open */
    struct s3_rate upload, download;
};

/* One request to the store, as the operations see it. */
struct s3_request {
    const char *op;     /* "put", "list" ...: the first word of an error */
    const char *what;   /* the relative key or prefix, for an error; "" for the bucket */
    const char *method; /* */
    const char *key;    /* relative key, or NULL: the bucket itself */
    const struct sigv4_pair *query;
    size_t n_query;
    const struct sigv4_pair *headers; /* signed with the rest */
    size_t n_headers;
    const struct obj_source *body; /* NULL: none */
    const char *payload_hash;      /* NULL: of an empty body */
    void *buf;                     /* where bytes [offset, offset + len) of the object go, */
    const struct obj_sink *sink;   /* or this; both NULL: no range is asked for */
    uint64_t offset, len;
    size_t text_limit;
    unsigned answer_ms;           /* 0: tuning.reply_ms */
    bool progress;                /* the call's sent is to be kept up to date */
    bool once;                    /* sent once a try, also if the connection breaks */
    bool may_refuse;              /* a refusal is an answer, and no trouble of the store */
    void (*meanwhile)(void *arg); /* NULL, or run by the calling thread while the request is under way */
    /* Looks at a 2xx answer; may set v->code (and retry, reason) when it isn't what it should be. NULL: any will do. */
    void (*inspect)(void *arg, const struct http_response *r, struct s3_verdict *v);
    void *arg;
};

/* Opens the store; see objstore_open. tuning NULL: the default. */
int s3_open(const struct objstore_config *cfg, const struct s3_tuning *tuning, struct objstore **out,
            struct errtext *err);

/* ---- s3_access.c ---- */
bool s3_same_keys(struct objstore *o, struct objstore *other);
bool s3_same_proxy(struct objstore *o, struct objstore *other);
void s3_swap_access(struct objstore *o, struct objstore *other);
/* The proxy in use, for the caller to release. */
struct s3_proxy *s3_hold_proxy(struct s3_store *s);
/* Nobody is between this host and the store: it is on this host, and no proxy is in use. */
bool s3_is_alone(struct s3_store *s);

/* ---- s3_config.c ---- */
/* Fills s from the configuration; what it allocated stays with s, also on error. */
int s3_configure(struct s3_store *s, const struct objstore_config *cfg, struct errtext *err);
/* ---- s3_call.c ---- */
/* Does a request with the retries of the policy. r: zeroed or used before; the caller frees r->text. 0 or a negative
 * errno. */
int s3_call(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct http_response *r,
            struct errtext *err);
/* The same where nobody looks at the answer but the request's own inspect. */
int s3_do(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct errtext *err);
/* One try of it: the verdict tells all. */
void s3_try(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct http_response *r,
            struct s3_verdict *v);
/* Composes the line for a verdict and returns its code. tries 0: not worth telling. */
int s3_fail(const struct s3_store *s, const struct s3_request *q, const struct s3_verdict *v, unsigned tries,
            struct errtext *err);
/* The kind of a request, for the store's health. */
enum s3_kind s3_kind(const struct s3_request *q);
/* May a call go on, or has the store answered nothing for longer than its caller waits? */
bool s3_is_patient(struct s3_store *s, const struct obj_call *c);
/* Waits; true if *cancel became true meanwhile. */
bool s3_wait(unsigned ms, const struct obj_call *c);
uint32_t s3_chance(void); /* any 32 bits */

/* ---- s3_body.c ---- */
enum s3_body_kind {
    S3_BODY_OBJECT, /* a CRC32C may be sent along */
    S3_BODY_PART,   /* not with a part of an object */
    S3_BODY_LIST,   /* a request's own text: all hashes are sent along, however long it is */
};
/* A body that is sent, and what is known of it. src, c and s are the caller's and outlive it. */
struct s3_body {
    struct s3_store *s;
    const struct obj_source *src;
    const struct obj_call *c;
    bool has_md5;
    int md5_rc; /* why there is none */
    char md5_hex[33], md5_base64[25];
    char crc[9];                  /* CRC32C as x-amz-checksum-crc32c has it; "": not to be sent */
    bool vouched;                 /* the last answer compared it: by its CRC32C, or with an MD5 */
    bool create;                  /* "If-None-Match: *" is to be sent */
    bool by_crc;                  /* the store compares by that: MD5 only if an answer doesn't tell so */
    char payload[SIGV4_HEX_SIZE]; /* for x-amz-content-sha256 */
};
/* Computes what must be known before the body is sent. 0, -ECANCELED, or -EIO, with *err. */
int s3_body_prepare(struct s3_body *b, struct s3_store *s, const char *op, const char *key,
                    const struct obj_source *src, const struct obj_call *c, enum s3_body_kind kind,
                    struct errtext *err);
/* s3_request's meanwhile of a PUT: computes the rest. */
void s3_body_meanwhile(void *body);
/* The body's MD5 is in md5_hex afterwards. 0, or why not: -ECANCELED, or -EIO. */
int s3_body_md5(struct s3_body *b);
/* True if an ETag of this answer is an MD5 of the object (trap 6). */
bool s3_body_etag_is_md5(const struct http_response *r);
/* s3_request's inspect of a PUT: did the store take the same bytes? */
void s3_body_inspect(void *body, const struct http_response *r, struct s3_verdict *v);

/* ---- s3_checksum.c ---- */
/* Before a big body: if an answer has repeated a checksum, finds out whether the store compares. */
void s3_checksum_probe(struct s3_store *s, const struct obj_call *c);
/* True if this final answer may refuse the checksum's header itself: it is no longer sent then; try again without. */
bool s3_checksum_refused(struct s3_store *s, const struct http_response *r);

/* ---- s3_create.c ---- */
/* True if a put of this call is to carry "If-None-Match: *". Finds out whether the store honours it, if need be. */
bool s3_create_wanted(struct s3_store *s, const struct obj_call *c);
/* True if this final answer refuses the condition's header itself: from now on it isn't sent, try without. */
bool s3_create_refused(struct s3_store *s, const struct http_response *r);
/* The store says that an object of that name is there. 0: it is what b holds (an earlier PUT of ours whose answer was
 * lost); -EEXIST: another one; each other error: it could not be compared. */
int s3_create_compare(struct s3_store *s, const char *key, struct s3_body *b, struct errtext *err);
/* Finds out by itself, if need be. 0, or a negative errno: it could not be asked. */
int s3_create_probe(struct s3_store *s, const struct obj_call *c, struct errtext *err);
/* ---- s3_lock.c ---- */
enum { S3_DATE_SIZE = 32, S3_LOCK_HEADERS = 2 };
struct s3_lock_text {
    char until[S3_DATE_SIZE];
};
/* What a put of this call carries to lock the object: up to S3_LOCK_HEADERS, with their text in t; returns how many. */
size_t s3_lock_headers(const struct s3_store *s, const struct obj_call *c, struct s3_lock_text *t,
                       struct sigv4_pair *headers);
/* Asks whether the bucket has Object Lock. 0, also where nobody may know; or a negative errno: it could not be asked. */
int s3_lock_learn(struct s3_store *s, const struct obj_call *c, struct errtext *err);
bool s3_lockable(struct objstore *o);
/* "2031-01-01T00:00:00.123Z", with or without the fraction, in milliseconds since 1970; 0: it is no such date. */
uint64_t s3_date_ms(const char *text);
/* A put with a lock was refused: adds what that may be for. */
void s3_lock_hint(struct errtext *err);
int s3_lock(struct objstore *o, const char *key, const struct obj_lock *l, const struct obj_call *c,
            struct errtext *err);
/* ---- s3_versions.c ---- */
int s3_versions(struct objstore *o, const char *prefix, obj_version_fn fn, void *arg, const struct obj_call *c,
                struct errtext *err);
int s3_drop_version(struct objstore *o, const char *key, const char *version, const struct obj_call *c,
                    struct errtext *err);
/* ---- s3_learn.c ---- */
int s3_learn(struct objstore *o, const struct obj_call *c, struct errtext *err);

/* ---- s3_look.c ---- */
int s3_look(struct objstore *o, struct obj_peer *out, const struct obj_call *c, struct errtext *err);

/* ---- operations ---- */
int s3_put(struct objstore *o, const char *key, const struct obj_source *src, const struct obj_call *c,
           struct errtext *err);
/* create: Complete carries the condition. */
int s3_put_multipart(struct s3_store *s, const char *key, const struct obj_source *src, bool create,
                     const struct obj_call *c, struct errtext *err);
int s3_get(struct objstore *o, const char *key, uint64_t offset, uint64_t len, void *buf, const struct obj_call *c,
           struct errtext *err);
int s3_stream(struct objstore *o, const char *key, uint64_t offset, uint64_t len, const struct obj_sink *sink,
              const struct obj_call *c, struct errtext *err);
int s3_head(struct objstore *o, const char *key, uint64_t *size, const struct obj_call *c, struct errtext *err);
int s3_list(struct objstore *o, const char *prefix, const char *start_after, bool slash, obj_list_fn fn, void *arg,
            const struct obj_call *c, struct errtext *err);
int s3_delete(struct objstore *o, const char *const *keys, size_t n, const struct obj_call *c, struct errtext *err);
/* What get and stream ask for; the caller sets buf or sink. len is not 0. */
struct s3_request s3_range_request(const char *key, uint64_t offset, uint64_t len);
/* The object's size, without a look at the bucket: -ENOENT may mean either is missing. */
int s3_head_object(struct s3_store *s, const char *op, const char *key, uint64_t *size, const struct obj_call *c,
                   struct errtext *err);
/* The same with all that the answer tells. */
int s3_head_answer(struct s3_store *s, const char *op, const char *key, struct http_response *r,
                   const struct obj_call *c, struct errtext *err);
/* "No such object" was the answer. It is also what renterd says when there is no such bucket (trap 13), and callers do
 * without an object that isn't there: -ENOENT, with the line that *err holds, only if the bucket is there; else -EIO. */
int s3_confirm_gone(struct s3_store *s, const char *op, const char *key, const struct obj_call *c, struct errtext *err);
typedef void (*s3_inspect_fn)(void *arg, const struct http_response *r, struct s3_verdict *v);
/* What is set for the bucket: GET of that sub-resource. *rc as s3_call; true: somebody answered, be it that nobody may know or
 * that there is none of it. The caller frees r->text. */
bool s3_ask_bucket(struct s3_store *s, const char *what, s3_inspect_fn inspect, void *arg, struct http_response *r,
                   const struct obj_call *c, int *rc, struct errtext *err);
/* As objstore's check, but by default with few and quick retries: a person waits. A missing bucket is -ENOENT here. */
int s3_check(struct objstore *o, const struct obj_call *c, struct errtext *err);
/* -EIO with its line when the bucket is missing: an empty list alone does not tell. */
int s3_need_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c, struct errtext *err);

#endif
