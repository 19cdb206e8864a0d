/* SPDX-License-Identifier: GPL-2.0-or-later */
/* objstore.h: the interface to an object store; all that the tape library knows of S3. */
#ifndef S3VTL_OBJSTORE_H
#define S3VTL_OBJSTORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errtext.h"
#include "base/log.h"

/*
 * Rules that every implementation keeps:
 *  1. Calls block and may come from any number of threads at once. They return 0 or a negative errno, and then *err says in
 *     one line what, where (key, bucket, URL) and what the store said.
 *       -ENOENT     no such object                 -EACCES  refused (keys, signature, clock)
 *       -EINVAL     key outside the allowed set    -ECANCELED  *cancel became true
 *       -EEXIST     put: other content is there
 *       -EIO        everything else, after the retries of the policy
 *  2. Keys: [A-Za-z0-9._/-], 1..700 bytes, no leading or doubled slash, no "." or ".." segment. Others are -EINVAL
 *     before anything is sent. Keys are relative to the store's prefix.
 *  3. put is atomic: readers see the whole object or none. Objects are immutable (I2): put again of the same key with the
 *     same content is fine. With other content the dir store refuses (-EEXIST); so does S3 with if_none_match where the
 *     service can (facts tell). Elsewhere it overwrites: never try.
 *  4. get fills exactly len bytes or fails; a short body is an error, never data. stream hands over exactly len bytes or
 *     fails; what it handed over before it failed is the beginning of the range, as far as a transport can tell.
 *  5. list is in byte order of the key, complete (pages are followed), and sees every put that returned before it began.
 */
struct objstore;
struct objstore_config;

/* What a put sends: len bytes from memory, or from offset of an open file (never moved, pread only). crc32c, where known,
 * is what the bytes must have as they go out: others are -EIO, and nobody stores them. */
struct obj_source {
    const void *mem; /* NULL: use fd */
    int fd;
    uint64_t offset;
    uint64_t len;
    bool has_crc;
    uint32_t crc32c;
};

/* Where a stream's bytes go, in order, each once. take returns 0, or a negative errno that ends the call with it. */
struct obj_sink {
    int (*take)(void *arg, const void *data, size_t len);
    void *arg;
};

/* How long a command that somebody waits for at a terminal waits for a store that answers nothing. */
#define OBJ_PATIENCE_MS 60000

/* S3's Object Lock on one object: nobody deletes that version of it before, whoever has the bucket's keys. Without
 * compliance those may that have a right of its own (s3:BypassGovernanceRetention). */
struct obj_lock {
    bool compliance;
    uint64_t until; /* seconds since 1970; 0: none */
};

/* One call's options; NULL or all zero is the default. */
struct obj_call {
    const atomic_bool *cancel; /* polled at least every 200 ms */
    _Atomic uint64_t *sent;    /* put: NULL, or the bytes of the object sent so far; falls when sent again */
    unsigned max_tries;        /* 0: the store's default policy (about 2 minutes of retries); 1: no retry */
    unsigned
        patience_ms;    /* 0: the store's. Else the call ends with -EIO once the store is in trouble and has answered no
                             call well for that long: somebody waits at a terminal */
    bool if_none_match; /* put: -EEXIST, and nothing changed, if an object with other content is there; see facts */
    struct obj_lock lock; /* put: the new object is locked so, where lockable says that it can be */
};

/* What service a store is, which decides what its "stored" is worth. Sia's two keep what they accepted on their own disk
 * first, and for as long as it takes; their admin interfaces tell what of it is still there only. */
enum obj_service {
    OBJ_SERVICE_NONE,    /* no service: a directory */
    OBJ_SERVICE_UNKNOWN, /* not known (yet): it may be one of Sia's */
    OBJ_SERVICE_S3,      /* what it accepted is where it is to be */
    OBJ_SERVICE_RENTERD,
    OBJ_SERVICE_S3D,
};

/* What is known of a store. */
enum obj_known { OBJ_UNKNOWN, OBJ_NO, OBJ_YES };
struct obj_facts {
    enum obj_service service;
    bool tells_offsite;       /* objstore_offsite has an answer. Without it nothing of this store is called off-site */
    bool tells_health;        /* objstore_findings tells of objects, too */
    enum obj_known creates;   /* put with if_none_match never overwrites. OBJ_NO: the service ignores it (trap 9) */
    enum obj_known versioned; /* what is deleted stays as an old version, and costs */
    enum obj_known locked;    /* new objects can't be deleted before some date */
    enum obj_known lockable;  /* the bucket has Object Lock: put with a lock, and lock, do what they say */
    enum obj_known compares; /* the service compares a body with the CRC32C sent along; known after a put of some MiB */
    char credentials[300];   /* where the keys come from, in words; "": there are none */
};

/* Who answers at the store's address, asked for nothing and without keys: for a person whose store does not work. */
enum obj_peer_kind {
    OBJ_PEER_SERVICE,  /* HTTP as an S3 service may speak it */
    OBJ_PEER_TLS,      /* TLS, where the address says http */
    OBJ_PEER_PLAIN,    /* HTTP without TLS, where it says https */
    OBJ_PEER_PASSWORD, /* HTTP that asks for a user and a password, as admin interfaces do: realm */
    OBJ_PEER_PAGE,     /* a web page */
};
enum obj_stage { OBJ_STAGE_PROXY, OBJ_STAGE_NAME, OBJ_STAGE_CONNECT, OBJ_STAGE_TLS, OBJ_STAGE_ANSWER };
struct obj_peer {
    enum obj_peer_kind kind;
    long status;          /* HTTP's */
    char realm[64];       /* "": none */
    bool has_clock;       /* it told its time */
    int64_t ahead_s;      /* this host's clock minus the store's */
    enum obj_stage stage; /* on error: what failed */
};

/* Trouble that a store is in: of calls that failed and are tried again, that failed for good, or that are under way and
 * don't get on. It is over when a call of that kind ends well. */
struct obj_health {
    char text[600];     /* one line; "": none */
    uint64_t since_ms;  /* how long already */
    bool tells;         /* the store notes by itself when trouble begins and ends */
    uint64_t silent_ms; /* how long of that no call whatever ended well */
};

/* How much of what a store accepted is off-site: where the service keeps it for good, and on no disk of its own only. */
struct obj_offsite {
    uint64_t
        before_ms;    /* clock_ms(): all that was accepted before that moment is off-site; 0: of nothing is it known */
    uint64_t missing; /* bytes that are not, of all that the service has, whoever put them */
    uint64_t brought; /* objects that it brought off-site since it was started; 0: it does not count them */
    char why[300];    /* which, and what they wait for; "": none are missing */
};

/* What a service tells of its own state that no request shows: how much redundancy its objects have left, and what it
 * lacks to keep them or to take more. */
enum obj_severity {
    OBJ_WARNING,
    OBJ_CRITICAL, /* it takes nothing, or data will be lost unless somebody acts */
};
struct obj_finding {
    /* Of objects whose keys begin alike: */
    const char *key; /* up to the '/' behind the question's prefix; NULL: this is of the service */
    double health;   /* of the worst: 1 is as it should be, at 0 no host may fail any more, below 0 too few are left */
    size_t weak;     /* how many are below the question's limit, */
    bool weak_or_more; /* or at least so many */
    /* Of the service: */
    enum obj_severity severity;
    const char *text; /* one line, with the service's own words */
};
struct obj_findings {
    const char *prefix; /* objects are grouped by the next '/' behind it, as list with slash does */
    double below;
    void (*found)(void *arg,
                  const struct obj_finding *f); /* on the calling thread; the strings are the callee's then only */
    void *arg;
};

/* What a store's bill is made of: requests that were sent, each try for itself, since the store was opened. */
enum obj_request {
    OBJ_REQUEST_PUT,       /* an object, or a part of one */
    OBJ_REQUEST_MULTIPART, /* begin or complete an upload in parts */
    OBJ_REQUEST_GET,
    OBJ_REQUEST_HEAD,
    OBJ_REQUEST_LIST, /* keys, parts, or what is set for the bucket */
    OBJ_REQUEST_DELETE,
    OBJ_REQUESTS
};
enum obj_failure {
    OBJ_FAILURE_NETWORK, /* no connection, or it broke */
    OBJ_FAILURE_TIMEOUT, /* it did not get on */
    OBJ_FAILURE_BUSY,    /* 429, 5xx */
    OBJ_FAILURE_REFUSED, /* 401, 403 */
    OBJ_FAILURE_OTHER,   /* another status, or not what was asked for */
    OBJ_FAILURES
};
struct obj_stats {
    struct obj_request_stats {
        uint64_t requests, ns;
        uint64_t sent, received; /* bytes of objects: of bodies that the store took, and all that came */
        uint64_t failures[OBJ_FAILURES];
    } of[OBJ_REQUESTS];
};

/* One listed name. is_prefix: a common prefix (ends with '/'), only with delimiter. key is relative to the store's prefix. */
struct obj_entry {
    const char *key;
    uint64_t size;
    bool is_prefix;
};
/* Return non-zero to end the list early (that value is returned by list). */
typedef int (*obj_list_fn)(void *arg, const struct obj_entry *e);

/* A version that a bucket keeps of an object, or what hides the others: a delete marker. */
struct obj_version {
    const char *key, *version; /* relative to the store's prefix; its id */
    bool marker, latest;
    uint64_t put_ms; /* when it was put, by the store's clock: since 1970 */
};
typedef int (*obj_version_fn)(void *arg, const struct obj_version *v);

/* Keys of the objects that hurry puts begin so, and nobody else's do. They hold nothing. */
#define OBJ_FILL "fill/"

/* Limits of rate: the first that holds counts, and where none does there is no limit. */
enum { OBJ_MAX_RATES = 12, OBJ_ALL_DAYS = 0x7f, OBJ_MINUTES = 24 * 60 };
struct obj_rate {
    uint64_t bytes;    /* a second; 0: no limit */
    uint8_t days;      /* bit 0: Sunday, as tm_wday */
    uint16_t from, to; /* minutes of the day, local time: [from, to), over midnight if to is not after from */
};
struct obj_rates {
    unsigned n;
    struct obj_rate of[OBJ_MAX_RATES];
};

struct objstore_ops {
    const char *type; /* "dir", "s3", "fault" ... */
    /* Stores an object. */
    int (*put)(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
               struct errtext *err);
    /* Reads bytes [offset, offset + len) of an object whose size the caller knows to be at least offset + len, into buf. */
    int (*get)(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf, const struct obj_call *c,
               struct errtext *err);
    /* The same, each piece to the sink as it arrives, on the calling thread. After a break it goes on from there. */
    int (*stream)(struct objstore *s, const char *key, uint64_t offset, uint64_t len, const struct obj_sink *sink,
                  const struct obj_call *c, struct errtext *err);
    int (*head)(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c, struct errtext *err);
    /* Lists keys that begin with prefix ("" all) and are greater than start_after (NULL: from the first). With slash, keys are
     * grouped at the next '/' after prefix, as S3's delimiter does. */
    int (*list)(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn, void *arg,
                const struct obj_call *c, struct errtext *err);
    /* Deletes n keys; a missing one is no error. Tries them all, then returns the first failure. */
    int (*del)(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c, struct errtext *err);
    /* What a bucket that keeps versions (facts, once learnt) has of keys that begin with prefix: those of one key together,
     * the newest first. Not 0 from fn ends it, and is returned. -ENOTSUP: it keeps none. NULL: the same. */
    int (*versions)(struct objstore *s, const char *prefix, obj_version_fn fn, void *arg, const struct obj_call *c,
                    struct errtext *err);
    /* Deletes that version for good; one that is gone is no error. */
    int (*drop_version)(struct objstore *s, const char *key, const char *version, const struct obj_call *c,
                        struct errtext *err);
    /* Can objects be locked until a date? What is known so far (learn). Any thread, at once. NULL: no. */
    bool (*lockable)(struct objstore *s);
    /* Locks an object that is there, at least so long and so strongly: what it has already is neither shortened nor
     * weakened. -ENOENT: there is none of that name; -ENOTSUP: not lockable. NULL: the same. */
    int (*lock)(struct objstore *s, const char *key, const struct obj_lock *l, const struct obj_call *c,
                struct errtext *err);
    /* Is the store there, are the keys right, does the bucket exist? One clear line if not. */
    int (*check)(struct objstore *s, const struct obj_call *c, struct errtext *err);
    /* What is known so far, without a word to the store; all that can be known is after learn. NULL: nothing. */
    void (*facts)(struct objstore *s, struct obj_facts *out);
    /* Finds out by a few requests what isn't known yet; NULL: there is nothing to find out. Never needed: put finds out by itself what it depends on. */
    int (*learn)(struct objstore *s, const struct obj_call *c, struct errtext *err);
    /* Of other, a store of the same type that only the caller knows. Any thread; NULL: it has no keys. */
    bool (*same_keys)(struct objstore *s, struct objstore *other);
    /* The same of the proxy, its password and what goes without it. */
    bool (*same_proxy)(struct objstore *s, struct objstore *other);
    /* From now on s signs with the keys and goes through the proxy of other, and other with those of s. Requests that are
     * under way are not begun again. The same. */
    void (*swap_access)(struct objstore *s, struct objstore *other);
    /* Takes parallel, upload and download of cfg, and nothing else. Any thread; NULL: it has no such limits. */
    void (*set_limits)(struct objstore *s, const struct objstore_config *cfg);
    /* The time by the store's own clock, in seconds since 1970: as its last good answer told, and what has gone by since.
     * -EAGAIN: none told yet; NULL, or -ENOTSUP: it has no clock. Any thread, at once. */
    int (*time)(struct objstore *s, uint64_t *now);
    /* What holds now, in bytes a second; 0: no limit. NULL: never any. Any thread, at once. */
    uint64_t (*upload_limit)(struct objstore *s);
    uint64_t (*download_limit)(struct objstore *s);
    /* One look at the store's address. NULL: it has none. -EIO with *err: nobody answers, at out->stage. */
    int (*look)(struct objstore *s, struct obj_peer *out, const struct obj_call *c, struct errtext *err);
    /* NULL: it cannot be known. Else 0; -ENOTSUP: nor can it here (facts tell); -EACCES: the admin interface refuses
     * the password; or -EIO. One try, of some seconds. */
    int (*offsite)(struct objstore *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err);
    /* Asks the service to bring what it accepted off-site now, as far as it can be asked, and may wait for that, for
     * minutes. It may put objects of its own below "fill/", and deletes them. 0 promises nothing: offsite tells. NULL:
     * there is nothing to ask. */
    int (*hurry)(struct objstore *s, const struct obj_call *c, struct errtext *err);
    /* Calls q->found for each group of objects that is not whole, the worst first, and for what the service lacks. Takes
     * some requests, each of some seconds at most. Returns as offsite does. NULL: there is nobody to ask. */
    int (*findings)(struct objstore *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err);
    /* Has the service write its catalogue, which knows the objects by name and what they are made of, to a new file on its
     * own host, as its own user; path is absolute. May take minutes. -ENOTSUP with *err: it has none, or cannot be asked. */
    int (*backup)(struct objstore *s, const char *path, const struct obj_call *c, struct errtext *err);
    /* NULL: never any trouble. Any thread, at once. */
    void (*health)(struct objstore *s, struct obj_health *out);
    /* NULL: it counts nothing. Any thread, at once. */
    void (*stats)(struct objstore *s, struct obj_stats *out);
    void (*close)(struct objstore *s);
};

struct objstore {
    const struct objstore_ops *ops;
};

/* The configuration. Strings are borrowed for the call of open only. */
struct objstore_config {
    const char *type;   /* "dir" or "s3" */
    const char *path;   /* dir: the directory, made if its parent exists */
    const char *url;    /* s3: http(s)://host[:port] */
    const char *bucket; /* s3 */
    const char *prefix; /* "" or a/b: no slash at either end; same character rules as keys */
    const char *region; /* s3: "us-east-1" */
    /* s3: the file of the keys, with two lines access_key = ..., secret_key = ..., or as AWS's tools have it. NULL or
     * "": they are in the environment, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
    const char *credentials_file;
    bool credentials_by_systemd; /* who may read the file is systemd's to decide; else its mode is 0600 or stricter */
    const char *profile;         /* s3: which part of AWS's file; NULL: "default" */
    const char *ca_file;         /* s3: NULL or a PEM file */
    const char *style;           /* s3: "path" or "virtual" */
    const char *kind;            /* s3: "s3", "renterd" or "s3d"; "auto", NULL or "": found out */
    const char *admin_url;       /* s3: of the service's admin interface, http(s)://host[:port]; NULL or "": none */
    const char *admin_password_file;           /* s3: with admin_url. The file holds the password and nothing else */
    bool admin_password_by_systemd;            /* as credentials_by_systemd */
    unsigned parallel;                         /* s3: transfers at once, 1..64 */
    const struct obj_rates *upload, *download; /* s3: of the bytes of objects; NULL: none */
    const char *proxy;                         /* s3: NULL, "" or http://host[:port] */
    const char *no_proxy;                      /* s3: NULL, or hosts that are reached without it, separated by blanks */
    const char *proxy_user;                    /* s3: NULL, "", or whom the proxy asks for */
    const char *proxy_password_file;           /* its password */
    bool proxy_password_by_systemd;            /* as credentials_by_systemd */
    unsigned patience_ms;                      /* s3: of calls that say nothing else; 0: endless, the policy decides */
    /* NULL, or is called with what the operator might want to know; any thread */
    void (*note)(enum log_level level, const char *line);
};

/* Opens a store; contacts nothing (see check). 0 or a negative errno with *err. The caller ends it by (*out)->ops->close. */
int objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err);
/* The operations of these names, for any store. */
void objstore_facts(struct objstore *s, struct obj_facts *out);
int objstore_learn(struct objstore *s, const struct obj_call *c, struct errtext *err);
int objstore_versions(struct objstore *s, const char *prefix, obj_version_fn fn, void *arg, const struct obj_call *c,
                      struct errtext *err);
bool objstore_lockable(struct objstore *s);
int objstore_lock(struct objstore *s, const char *key, const struct obj_lock *l, const struct obj_call *c,
                  struct errtext *err);
int objstore_look(struct objstore *s, struct obj_peer *out, const struct obj_call *c, struct errtext *err);
void objstore_health(struct objstore *s, struct obj_health *out);
int objstore_offsite(struct objstore *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err);
int objstore_hurry(struct objstore *s, const struct obj_call *c, struct errtext *err);
int objstore_findings(struct objstore *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err);
int objstore_backup(struct objstore *s, const char *path, const struct obj_call *c, struct errtext *err);
bool objstore_same_keys(struct objstore *s, struct objstore *other);
bool objstore_same_proxy(struct objstore *s, struct objstore *other);
void objstore_swap_access(struct objstore *s, struct objstore *other);
void objstore_set_limits(struct objstore *s, const struct objstore_config *cfg);
int objstore_time(struct objstore *s, uint64_t *now);
uint64_t objstore_upload_limit(struct objstore *s);
uint64_t objstore_download_limit(struct objstore *s);
/* All zero where nothing is counted. */
void objstore_stats(struct objstore *s, struct obj_stats *out);
/* "s3", "renterd", "s3d"; "unknown"; "none". */
const char *obj_service_name(enum obj_service service);
/* "put", "get" ...; "network", "timeout" ... */
const char *obj_request_name(enum obj_request r);
const char *obj_failure_name(enum obj_failure f);
/* What a person is to know of a store with these facts: one line for each i from 0, then NULL. */
const char *objstore_advice(const struct obj_facts *f, unsigned i);
/* True if key keeps rule 2. */
bool objstore_key_ok(const char *key);

/* For the implementations. */
enum { OBJ_MAX_PREFIX = 210 }; /* the configuration's 200, and room for a part of our own */
/* True if a store's own prefix keeps rule 2, or is "". */
bool obj_prefix_ok(const char *prefix);
/* 0, or -EINVAL with the line for a key that does not keep rule 2. */
int obj_check_key(const char *op, const char *key, struct errtext *err);
/* Reads len bytes of the source from byte `at` of it. 0 or -errno; -ENODATA: the file ends early. */
int obj_source_read(const struct obj_source *src, uint64_t at, void *buf, size_t len);
static inline bool obj_canceled(const struct obj_call *c)
{
    return c && c->cancel && atomic_load(c->cancel);
}

#endif
