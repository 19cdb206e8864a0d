/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapeindex.h: where each object of a cartridge is: its segments in order, and its filemarks. In memory; no I/O. */
#ifndef S3VTL_TAPEINDEX_H
#define S3VTL_TAPEINDEX_H

#include "vtl/format/leans.h"
#include "vtl/format/segment.h"

/* A segment as the cartridge uses it. */
struct seg_ref {
    struct seg_id id;
    uint64_t first_object;
    uint64_t first_file;
    uint64_t objects;     /* used: fewer than stored if its end was overwritten; never 0 in an index */
    uint64_t filemarks;   /* within the used objects */
    uint64_t size;        /* bytes of the object; 0 while the segment is open */
    uint64_t plain_bytes; /* of the used blocks (estimated in proportion after a cut in the middle) */
    uint32_t crc;         /* of the segment's footer, which binds all its bytes; 0: not known */
};

/*
 * Invariants: segs[0].first_object == 0; segs[i + 1].first_object == segs[i].first_object + segs[i].objects; the same
 * for files; fms sorted, adjacent runs merged, and their total equals the sum of filemarks. All positioning is
 * arithmetic and binary search here; moving a tape never fetches anything.
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
    struct leans leans; /* of segs, as heads and maps have them; those of a cartridge at work are in the state only */
};

void tape_index_init(struct tape_index *x);
void tape_index_free(struct tape_index *x);
int tape_index_copy(struct tape_index *dst, const struct tape_index *src); /* initialises dst */

uint64_t tape_index_end_object(const struct tape_index *x);
uint64_t tape_index_end_file(const struct tape_index *x);
uint64_t tape_index_plain_bytes(const struct tape_index *x);

/* There is memory for so many more of each: to append them, or to cut and then append, cannot fail for want of it. 0 or
 * -ENOMEM. */
int tape_index_reserve(struct tape_index *x, size_t segs, size_t fms);
/* Appends a segment, which must begin at the end in objects and files (else -EINVAL), with its filemarks (absolute
 * object numbers). -ENOMEM leaves the index as it was. */
int tape_index_append(struct tape_index *x, const struct seg_ref *ref, const struct seg_fm_run *fms, size_t n_fms);
/* The same for several segments in order; all or none. */
int tape_index_append_many(struct tape_index *x, const struct seg_ref *refs, size_t n, const struct seg_fm_run *fms,
                           size_t n_fms);
/* Initialises x with an index of these segments, which may begin at any object. 0, -EINVAL or -ENOMEM. */
int tape_index_build(struct tape_index *x, const struct seg_ref *refs, size_t n, const struct seg_fm_run *fms,
                     size_t n_fms);
/* The last segment has grown: by one block of len bytes, or by count filemarks. */
int tape_index_grow_block(struct tape_index *x, uint32_t len);
int tape_index_grow_filemarks(struct tape_index *x, uint64_t count);
/* Cuts everything from object on. */
void tape_index_truncate(struct tape_index *x, uint64_t object);

/* The segment that holds object, or NULL at or after the end. Its place in segs goes to *i unless i is NULL. */
const struct seg_ref *tape_index_segment(const struct tape_index *x, uint64_t object, size_t *i);
/* Filemarks before object: the logical file identifier of that position. */
uint64_t tape_index_file_of(const struct tape_index *x, uint64_t object);
bool tape_index_is_filemark(const struct tape_index *x, uint64_t object);
/* Object number just after the f-th filemark (f = 0: 0). False if there are fewer. */
bool tape_index_file_start(const struct tape_index *x, uint64_t f, uint64_t *object);
/* First filemark at or after object; last filemark before object. False if there is none. */
bool tape_index_next_filemark(const struct tape_index *x, uint64_t object, uint64_t *fm);
bool tape_index_prev_filemark(const struct tape_index *x, uint64_t object, uint64_t *fm);

/* The filemark runs within objects [first, end), clipped to them. *out is malloc'd, NULL if there are none. 0 or
 * -ENOMEM. */
int tape_index_runs(const struct tape_index *x, uint64_t first, uint64_t end, struct seg_fm_run **out, size_t *n);
/* Initialises dst with segments [first, first + n) and their filemarks: a separate index that may begin at any object
 * (a head's inline part). 0 or -ENOMEM. */
int tape_index_slice(struct tape_index *dst, const struct tape_index *src, size_t first, size_t n);

#endif
