/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.h: scrubbing: reads everything that the store holds of a cartridge, and checks what can be checked without a
 * key (I3). */
#ifndef S3VTL_VERIFY_H
#define S3VTL_VERIFY_H

#include "s3backend/objstore.h"
#include "vtl/format/segment_check.h"
#include "vtl/format/source.h"

/* Something that is wrong. Pointers are valid only during the call. */
struct verify_problem {
    const char *key; /* of the stored object */
    /* That one is as it should be, but not this segment, out of which blocks of it are copies, and which no head names. Or
     * NULL. */
    const struct seg_source *source;
    const char *source_key; /* of its object */
    uint64_t first_object;  /* logical objects of the tape that cannot be read back as they were */
    uint64_t objects;       /* how many; 0: no host data affected (padding, an index that the records make up for) */
    uint64_t file;          /* of the first one */
    const char *what;
};

struct verify_progress {
    uint64_t done, total;     /* bytes */
    uint64_t read;            /* of done: in this run, not in the one that is resumed */
    uint64_t verified;        /* all objects before this one have been checked */
    struct seg_id written;    /* segments written from now on have this name or a higher one */
    const struct seg_id *bad; /* bad segments so far; reported at the end, if a head still names them */
    size_t n_bad;
};

/* How many segments several calls of verify_cartridge read at a time, together: large ones, and small ones (up to
 * VERIFY_SMALL bytes), of which each is a few requests. */
#define VERIFY_SMALL (8u << 20)
struct verify_gate;
struct verify_gate *verify_gate_new(unsigned large, unsigned small);
void verify_gate_free(struct verify_gate *g);

struct verify_options {
    struct verify_gate *gate;  /* shared with other calls; NULL: none */
    unsigned parallel;         /* segments read at a time, at least 1 */
    uint64_t bytes_per_second; /* 0: unlimited */
    /* To resume: skips segments that end before from_object and are older than from_written (both from the progress of
     * the interrupted run). */
    uint64_t from_object;
    struct seg_id from_written;
    const struct seg_id *again; /* but checks these: the bad ones of that progress */
    size_t n_again;
    const atomic_bool *cancel; /* may be NULL */
    /* Called from several threads, but one at a time. Either may be NULL. */
    void (*problem)(void *arg, const struct verify_problem *p);
    void (*progress)(void *arg, const struct verify_progress *p);
    void *arg;
};

struct verify_result {
    uint64_t segments, bytes; /* checked */
    uint64_t blocks, filemarks;
    uint64_t problems;
    uint64_t lost_objects; /* tape objects in these problems */
    uint64_t lost_from;    /* the first of them */
    uint8_t cartridge[16]; /* id in the head */
    uint64_t end_object;
};

/*
 * Reads the winning head, its maps and all of every segment of a cartridge, and checks keys, headers, the stored CRC of
 * each record, index and footer, and that they fit together. Follows a cartridge that is being written: what its newest
 * head no longer names does not count. What it copies from is checked, too, where no head names that any more: else it is
 * with the cartridge that it is of. Needs only the store, no state, so a library may be running on it. Blocks; any
 * thread but the transport's. 0 even if problems were found (out->problems). -ENOENT: the store has no such cartridge.
 * -EBADMSG: its head or a map is damaged, so nothing can be said about the rest. -EPROTONOSUPPORT: either is of a later
 * format version. -EIO, -EACCES: the store gives nothing more, whatever it is asked for. -ECANCELED.
 */
int verify_cartridge(struct objstore *store, const char *barcode, const struct verify_options *o,
                     struct verify_result *out, struct errtext *err);

/* ---- verify_segment.c: one segment ---- */
struct verify_io { /* how to read a segment */
    struct objstore *store;
    struct obj_call call;
    /* Waits until that many more bytes may be read. May be NULL. */
    void (*pace)(void *arg, uint64_t bytes);
    void *arg;
};
struct head;
/* A segment that head (whose cartridge and barcode count) or its maps name. Calls found for each run of bad objects, in
 * order. 0, or the store's error if the segment cannot be read at all. */
int verify_segment(const struct verify_io *io, const char *key, const struct seg_ref *ref, const struct head *head,
                   seg_found found, void *arg, uint64_t *blocks, struct errtext *err);

/* ---- verify_sources.c: what no head names, and a cartridge copies from ---- */
struct verify_sources {
    /* This one, which that segment of the cartridge leans on, is bad. */
    void (*found)(void *arg, size_t segment, const struct seg_source *s, const char *what);
    bool (*is_gone)(void *arg, int rc); /* the store gives nothing at all, be it damaged or not */
    void *arg;
};
/* The sources of the index's leans, but for those that the head of their own cartridge names, which are verified with that. */
int verify_sources(const struct verify_io *io, const struct tape_index *x, const struct verify_sources *out,
                   struct errtext *err);

#endif
