/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapeindex.h: where each object of a cartridge is: its segments in order and its filemarks. In memory; no I/O. */
#ifndef S3VTL_TAPEINDEX_H
#define S3VTL_TAPEINDEX_H

#include "vtl/format/segment.h"

/* A segment as the cartridge uses it. */
struct seg_ref {
    struct seg_id id;
    uint64_t first_object;
    uint64_t first_file;
    uint64_t objects;     /* used: fewer than stored when it was overwritten in the middle; never 0 in an index */
    uint64_t filemarks;   /* within the used objects */
    uint64_t size;        /* bytes of the object; 0 while the segment is open */
    uint64_t plain_bytes; /* of the used blocks (estimated in proportion after a cut in the middle) */
};

/*
 * Invariants: segs[0].first_object == 0; segs[i + 1].first_object == segs[i].first_object + segs[i].objects; the same
 * for files; fms sorted, neighbours merged, and their total equals the sum of filemarks. Everything positional is
 * arithmetic and binary search here; nothing is ever fetched to move a tape.
 */
struct tape_fm {
    uint64_t object; /* of the first filemark of the run */
    uint64_t count;
    uint64_t file; /* filemarks before it */
};
struct tape_index {
    struct seg_ref *segs;
    size_t n_segs, room_segs;
    struct tape_fm *fms;
    size_t n_fms, room_fms;
};

void tape_index_init(struct tape_index *x);
void tape_index_free(struct tape_index *x);
int tape_index_copy(struct tape_index *dst, const struct tape_index *src); /* dst is initialised by the call */

uint64_t tape_index_end_object(const struct tape_index *x);
uint64_t tape_index_end_file(const struct tape_index *x);
uint64_t tape_index_plain_bytes(const struct tape_index *x);

/* Puts a segment behind the last one (ref->first_object and first_file must be the end: else -EINVAL) with its
 * filemarks (absolute object numbers). -ENOMEM leaves the index as it was. */
int tape_index_append(struct tape_index *x, const struct seg_ref *ref, const struct seg_fm_run *fms, size_t n_fms);
/* The same with several segments in order; all or none. */
int tape_index_append_many(struct tape_index *x, const struct seg_ref *refs, size_t n, const struct seg_fm_run *fms,
                           size_t n_fms);
/* An index of these segments, which may begin at any object. x is initialised by the call. 0, -EINVAL or -ENOMEM. */
int tape_index_build(struct tape_index *x, const struct seg_ref *refs, size_t n, const struct seg_fm_run *fms,
                     size_t n_fms);
/* The last segment has grown: n more blocks (with their bytes), or count more filemarks. */
int tape_index_grow_block(struct tape_index *x, uint32_t len);
int tape_index_grow_filemarks(struct tape_index *x, uint64_t count);
/* Cuts everything at object and behind it. */
void tape_index_truncate(struct tape_index *x, uint64_t object);

/* The segment that holds object, or NULL at or behind the end. Index number in *i if i is not NULL. */
const struct seg_ref *tape_index_segment(const struct tape_index *x, uint64_t object, size_t *i);
/* Filemarks before object = logical file identifier of that position. */
uint64_t tape_index_file_of(const struct tape_index *x, uint64_t object);
bool tape_index_is_filemark(const struct tape_index *x, uint64_t object);
/* Object number just behind the f-th filemark (f = 0: 0). false if there are fewer. */
bool tape_index_file_start(const struct tape_index *x, uint64_t f, uint64_t *object);
/* First filemark at object or behind it / last filemark before object. false if there is none. */
bool tape_index_next_filemark(const struct tape_index *x, uint64_t object, uint64_t *fm);
bool tape_index_prev_filemark(const struct tape_index *x, uint64_t object, uint64_t *fm);

/* The filemark runs within objects [first, end), clipped to them. *out is malloc'd, NULL when there are none. 0 or
 * -ENOMEM. */
int tape_index_runs(const struct tape_index *x, uint64_t first, uint64_t end, struct seg_fm_run **out, size_t *n);
/* Segments [first, first + n) with their filemarks as an index of their own, which may begin at any object (a head's
 * inline part). dst is initialised by the call. 0 or -ENOMEM. */
int tape_index_slice(struct tape_index *dst, const struct tape_index *src, size_t first, size_t n);

#endif
