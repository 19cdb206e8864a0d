/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_admin.h: what of the accepted bytes is off-site, and what the service lacks, as it tells itself behind its S3 port:
 * which service it is, its admin interface, and one adapter for each that has one. Private to s3backend/ and its tests.
 */
#ifndef S3VTL_S3_ADMIN_H
#define S3VTL_S3_ADMIN_H

#include <jansson.h>

#include "base/lock.h"
#include "s3backend/objstore.h"

struct s3_store;

enum {
    ADMIN_BUFFER_NAME = 96,
    ADMIN_BACKUP_MS = 1800000, /* a database of many gigabytes */
};

/* A file of renterd's with what fills no slab yet, for as long as it is there. */
struct admin_buffer {
    char name[ADMIN_BUFFER_NAME];
    uint64_t after_ms; /* what was accepted before that moment is not in it: it was not there yet. clock_ms() */
    uint64_t full_ms;  /* since when it is full, and not among those to be uploaded. clock_ms(); 0: it is not so */
    bool listed;       /* by the answer that is looked at */
};

/* What s3d's answers tell only over time. Times are clock_ms(); 0: not so. */
struct admin_s3d {
    bool known; /* the next three are of the last answer */
    uint64_t pending, uploaded, failed;
    uint64_t failed_ms;     /* when failed was seen to grow */
    uint64_t unpinned_ms;   /* since when there are unpinned objects */
    bool flushed;           /* since the last answer, it answered a flush well */
    bool stuck;             /* though it did, nothing was uploaded, and there is something to upload */
    struct errtext refused; /* what it said of the last flush that failed; "": it did not */
};

struct s3_admin {
    atomic_int service; /* enum obj_service: as configured, or as found out */
    bool given;         /* the configuration says which */
    atomic_bool poses;  /* S3 answers look like those of the library that renterd's S3 is made with */
    char *url;          /* without a slash at its end; NULL: there is no admin interface */
    char *file;         /* of the password, for messages */
    char *header;       /* "Authorization: ...", in secret memory */
    size_t header_size;
    struct lock lock;             /* a leaf; guards the rest */
    struct admin_buffer *buffers; /* of renterd: those of the last answers */
    size_t n_buffers;
    uint64_t asked_ms; /* when the latest of the questions that were answered began; 0: none was */
    bool swept;        /* what an earlier run left below OBJ_FILL is deleted */
    struct admin_s3d s3d;
};

/* One service's admin interface. The calls are objstore's of the same name; begin_ms is clock_ms() before anything is
 * asked. */
struct s3_admin_api {
    enum obj_service service;
    const char *path;                   /* GET of this ... */
    bool (*is_answer)(const json_t *j); /* ... is answered so by this service */
    int (*ask)(struct s3_store *s, uint64_t begin_ms, struct obj_offsite *out, const struct obj_call *c,
               struct errtext *err);
    int (*hurry)(struct s3_store *s, const struct obj_call *c, struct errtext *err);
    int (*findings)(struct s3_store *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err);
    int (*backup)(struct s3_store *s, const char *path, const struct obj_call *c, struct errtext *err);
};
extern const struct s3_admin_api s3d_admin_api, renterd_admin_api; /* s3d_admin.c, renterd_admin.c */

/* ---- s3_admin.c ---- */
/* Takes kind, admin_url and the password. 0, -EINVAL or -ENOMEM; what it allocated stays with a, also on error. */
int s3_admin_configure(struct s3_admin *a, const struct objstore_config *cfg, struct errtext *err);
void s3_admin_free(struct s3_admin *a);
/* One request to the admin interface, one try: method is GET or POST. *out: what came, as JSON, or NULL if it is none; new
 * reference. 0, -EACCES: the password is refused; -ENOENT: no such call there; -ECANCELED; else -EIO. answer_ms 0: some
 * seconds. */
int s3_admin_call(struct s3_store *s, const char *method, const char *path, unsigned answer_ms, json_t **out,
                  const struct obj_call *c, struct errtext *err);
/* A POST of this JSON, whose answer is of no interest. The same. */
int s3_admin_post(struct s3_store *s, const char *path, const json_t *body, unsigned answer_ms,
                  const struct obj_call *c, struct errtext *err);
/* Hands over a finding of the service. */
void s3_admin_found(const struct obj_findings *q, enum obj_severity severity, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* ---- s3_service.c ---- */
/* What an answer of the S3 port tells of the service. Any thread. */
void s3_admin_note(struct s3_store *s, const char *server);
/* For s3_facts. */
void s3_admin_facts(struct s3_store *s, struct obj_facts *out);
/* ---- s3_offsite.c ---- */
int s3_offsite(struct objstore *o, struct obj_offsite *out, const struct obj_call *c, struct errtext *err);
int s3_hurry(struct objstore *o, const struct obj_call *c, struct errtext *err);
int s3_findings(struct objstore *o, const struct obj_findings *q, const struct obj_call *c, struct errtext *err);
int s3_backup(struct objstore *o, const char *path, const struct obj_call *c, struct errtext *err);
/* ---- renterd_buffers.c ---- */
#define RENTERD_BUFFERS "/api/bus/slabbuffers"
struct renterd_buffer {
    const char *name; /* "<min>-<total>-<random>"; j's */
    uint64_t size, max;
    bool complete, locked;
};
/* False: it is no entry of a list of buffers. */
bool renterd_get_buffer(const json_t *j, struct renterd_buffer *out);
/* Where there are none, Go makes null of the list. */
bool renterd_is_buffers(const json_t *j);
/* Those that it has now; new reference. Returns as s3_admin_call. */
int renterd_get_buffers(struct s3_store *s, json_t **out, const struct obj_call *c, struct errtext *err);
/* s3_admin_api's ask. */
int renterd_ask(struct s3_store *s, uint64_t begin_ms, struct obj_offsite *out, const struct obj_call *c,
                struct errtext *err);
/* The part of renterd_findings that is of them. */
int renterd_buffer_findings(struct s3_store *s, const struct obj_findings *q, const struct obj_call *c,
                            struct errtext *err);
/* ---- renterd_health.c ---- */
int renterd_findings(struct s3_store *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err);

#endif
