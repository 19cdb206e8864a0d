/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.h: scrubbing: reads what the store holds of a cartridge, all of it, and checks what can be checked without a
 * key (I3). */
#ifndef S3VTL_VERIFY_H
#define S3VTL_VERIFY_H

#include "s3backend/objstore.h"
#include "vtl/format/tapeindex.h"

/* What is wrong. Pointers are valid during the call only. */
struct verify_problem {
    const char *key;       /* of the stored object */
    uint64_t first_object; /* logical objects of the tape that cannot be read back as they were */
    uint64_t objects;      /* how many; 0: nothing of the host's data (padding) */
    uint64_t file;         /* of the first one */
    const char *what;
};

struct verify_progress {
    uint64_t done, total;     /* bytes */
    uint64_t verified;        /* all objects before this one have been looked at */
    struct seg_id written;    /* segments that are written from now on have this name or a higher one */
    const struct seg_id *bad; /* what is wrong with so far; told at the end, as long as a head names them */
    size_t n_bad;
};

struct verify_options {
    unsigned parallel;         /* segments read at a time, at least 1 */
    uint64_t bytes_per_second; /* 0: as fast as it goes */
    /* To resume: segments that end before this object and were written before that (a progress of the interrupted run)
     * are passed over. */
    uint64_t from_object;
    struct seg_id from_written;
    const struct seg_id *again; /* but these are looked at: the bad ones of that progress */
    size_t n_again;
    const atomic_bool *cancel; /* may be NULL */
    /* Called from several threads, but one at a time. Either may be NULL. */
    void (*problem)(void *arg, const struct verify_problem *p);
    void (*progress)(void *arg, const struct verify_progress *p);
    void *arg;
};

struct verify_result {
    uint64_t segments, bytes; /* looked at */
    uint64_t blocks, filemarks;
    uint64_t problems;
    uint64_t lost_objects; /* of the tape, in these problems */
    uint64_t lost_from;    /* the first of them */
    uint8_t cartridge[16]; /* whose head it was */
    uint64_t end_object;
};

/*
 * Reads the winning head, its maps and every segment of a cartridge, whole: keys, headers, the CRC of each record as it
 * is stored, index and footer, and that they fit together. A cartridge that is written meanwhile is followed: what its
 * newest head no longer names does not count. Needs the store only, no state, so a library may run on it. Blocks; any
 * thread but the transport's. 0 also when problems were found (out->problems). -ENOENT: the store has no such
 * cartridge. -EBADMSG: its head or a map is damaged: nothing can be told of the rest. -ECANCELED.
 */
int verify_cartridge(struct objstore *store, const char *barcode, const struct verify_options *o,
                     struct verify_result *out, struct errtext *err);

/* ---- verify_segment.c: one segment ---- */
struct verify_io { /* how a segment is read */
    struct objstore *store;
    struct obj_call call;
    /* Waits until so many bytes more may be read. May be NULL. */
    void (*pace)(void *arg, uint64_t bytes);
    void *arg;
};
typedef void (*verify_found)(void *arg, uint64_t first_object, uint64_t objects, const char *what);
struct head;
/* One that head (whose cartridge and barcode count) or its maps name. found is called for each run of objects that is
 * bad, in order. 0, or the store's error when the object cannot be read at all. */
int verify_segment(const struct verify_io *io, const char *key, const struct seg_ref *ref, const struct head *head,
                   verify_found found, void *arg, uint64_t *blocks, struct errtext *err);

#endif
