/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_list.h: which chunks, or parts of them, a segment holds, and where: the list at its end, and what is found by
 * such lists. Byte layout: vtl/FORMAT.md. */
#ifndef S3VTL_CHUNK_LIST_H
#define S3VTL_CHUNK_LIST_H

#include "vtl/format/source.h"

/* The longest chunk: PBS has 16 MiB at most, and what is around them. A longer one is in no list. */
#define CHUNK_MAX_LENGTH ((16u << 20) + 4096u)
/* A shorter part of a chunk is not listed: its entry would be most of what it saves. A whole chunk may be shorter. */
#define CHUNK_MIN_PART 4096u
/* Of one entry. A part in more of them is several entries; PBS needs three, or a few for each of 64 blocks. */
#define CHUNK_MAX_RUNS 256u
/* The longest list. Chunks for which it has no room are not listed. */
#define CHUNK_LIST_MAX (4u << 20)

/* Bytes [offset, offset + length) of the literal areas of the records of count objects, one after the other. */
struct chunk_run {
    uint64_t object; /* of the first; in a list: minus the segment's first object */
    uint32_t count, offset, length;
};

/* ---- making a list: one thread at a time ---- */
struct chunk_list;
/* Of the segment that begins with this object. NULL: out of memory. */
struct chunk_list *chunk_list_new(uint64_t first_object);
void chunk_list_free(struct chunk_list *l);
/* The parts in the literal area of an object's block, in order; objects come in order. Consecutive parts of one chunk make
 * one entry. 0; -EFBIG: there was no room for all of them, which is no harm; -ENOMEM: the same; -EINVAL: a part or the
 * object is not possible, and is not listed. */
int chunk_list_add(struct chunk_list *l, uint64_t object, const struct seg_chunk_part *parts, size_t n);
/* The list as it is stored: the list's, until the next call. *len 0: it is empty. What of a chunk is added after this is an entry
 * of its own. */
const void *chunk_list_bytes(struct chunk_list *l, size_t *len);
/* At most so many bytes it has now; unlike chunk_list_bytes this ends no entry. */
size_t chunk_list_size(const struct chunk_list *l);
/* How many entries these are. */
uint32_t chunk_list_count(struct chunk_list *l);

/* ---- reading one: any thread ---- */
struct chunk_entry {
    const uint8_t *id;     /* SEG_CHUNK_ID bytes, in the list */
    uint32_t chunk_length; /* of the whole chunk */
    uint32_t from, length; /* of the part that is here */
    uint32_t n_runs;
    const uint8_t *runs; /* in the list */
};
/* The entry at *at, which moves behind it; it begins with 0. 1; 0: there are no more; -EBADMSG: this is no list. */
int chunk_list_next(const void *list, size_t len, size_t *at, struct chunk_entry *out);
/* Run i of an entry, with the object's own number. */
void chunk_entry_run(const struct chunk_entry *e, uint32_t i, uint64_t first_object, struct chunk_run *out);

/* ---- where a chunk was found ---- */
#define CHUNK_MAX_PLACES 8
struct chunk_place {
    struct seg_source source;
    uint32_t from, length; /* which part of the chunk */
    size_t run, n_runs;    /* runs[run] and those after it */
};
/* Zeroed: none. Freed by chunk_places_free. */
struct chunk_places {
    unsigned n;
    struct chunk_place place[CHUNK_MAX_PLACES];
    struct chunk_run *runs;
    size_t n_runs, room;
};
/* Adds where an entry of a source's list says that it is. Of more than CHUNK_MAX_PLACES the shortest is left out. 0 or
 * -ENOMEM. */
int chunk_places_add(struct chunk_places *p, const struct seg_source *s, uint64_t first_object,
                     const struct chunk_entry *e);
void chunk_places_free(struct chunk_places *p);
/* Do the places together have all bytes of a chunk of this length? */
bool chunk_places_cover(const struct chunk_places *p, uint32_t length);

#endif
