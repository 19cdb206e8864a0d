/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deep.h: finds what was on a cartridge from its segments alone, for when its head or a map is lost or damaged. */
#ifndef S3VTL_DEEP_H
#define S3VTL_DEEP_H

#include <stdatomic.h>

#include "s3backend/objstore.h"
#include "vtl/format/head.h"

/* Objects that are lost because the segment that held them is missing or damaged. */
struct deep_hole {
    struct seg_id id;
    uint64_t first_object, objects;
    uint64_t file; /* of the first one */
    /* Where the lost segment began is inferred. If it overwrote the end of the segment before it, some objects right
     * before the hole are stale: it had overwritten them. */
    bool inferred;
};

struct deep {
    struct tape_index x; /* the whole tape; a hole appears as a segment that the store does not have */
    uint8_t cartridge[16];
    uint64_t created; /* of the oldest segment */
    uint64_t next_segment;
    uint64_t epoch;      /* the highest of any object of the cartridge */
    uint64_t segments;   /* in the store */
    uint64_t unreadable; /* of these */
    struct deep_hole *holes;
    size_t n_holes;
};

struct deep_options {
    unsigned parallel;         /* segments read at a time, at least 1 */
    const struct head *head;   /* the winning head, if it is intact: then the tape ends where it says */
    const atomic_bool *cancel; /* may be NULL */
    /* Called from several threads, one at a time. May be NULL. */
    void (*progress)(void *arg, const char *barcode, uint64_t done, uint64_t total);
    void *arg;
};

/*
 * Reads header and index of every segment of the cartridge (two requests each; all of one whose index is damaged), and
 * follows the chain from the newest back to the beginning of the tape, as each segment names the one before it
 * (FORMAT.md, "Without heads and maps"). The result is what was stored last, committed or not. 0: *out is initialised;
 * end with deep_free. Blocks. -ENOENT: no segments. -EBADMSG: no readable segment. Otherwise the store's error,
 * -ECANCELED or -ENOMEM.
 */
int deep_read(struct objstore *store, const char *barcode, const struct deep_options *o, struct deep *out,
              struct errtext *err);
void deep_free(struct deep *d);

/* ---- deep_scan.c ---- */
struct deep_segment {
    struct seg_id id;
    uint64_t size;
    bool header, index; /* which could be read and belong to this segment */
    struct seg_header h;
    uint64_t objects, filemarks, plain_bytes;
    uint32_t crc; /* of its footer */
    struct seg_fm_run *fms;
    size_t n_fms;
    struct seg_source *sources; /* that its blocks copy from */
    size_t n_sources;
};
struct deep_scan {
    struct deep_segment *v; /* sorted by id */
    size_t n, room;
};
int deep_scan(struct objstore *store, const char *barcode, const struct deep_options *o, struct deep_scan *out,
              struct errtext *err);
void deep_scan_free(struct deep_scan *s);

#endif
