/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_index.h: where chunks are, of all segments that are known: lists on disk, found by a few of their chunks. */
#ifndef S3VTL_CHUNK_INDEX_H
#define S3VTL_CHUNK_INDEX_H

#include "base/errtext.h"
#include "vtl/format/chunk_list.h"

/*
 * <state_dir>/dedup.db has of each segment its list of chunks, and hooks: the first 8 bytes of a chunk's id, and the
 * segment. Who looks for a chunk finds it in the lists in memory; else a hook tells which list to load, and the chunks that
 * come next are in that one. So not every chunk needs a hook: while there are few all have one, then those whose 8 bytes
 * are a small number, by half as many each time, and always the CHUNK_HOOKS smallest of a segment. That keeps the hooks of
 * 50 million chunks in a file that the system has in its cache, and a disk that turns is enough.
 *
 * It is a cache. What is lost or damaged is not found, and stored once more. So nothing of it is synced; each row
 * has a CRC, as a wrong one would be a wrong copy. A file that SQLite cannot use is put aside as dedup.db.bad, and a new
 * one begun.
 *
 * Any thread, but not the transport's: it waits for the disk.
 */
#define CHUNK_HOOKS 2

struct chunk_index;
/* memory: bytes at most for lists and their table, and for SQLite's cache of pages. -ENOMEM, or what the file system
 * says, with *err. */
int chunk_index_open(const char *path, uint64_t memory, struct chunk_index **out, struct errtext *err);
void chunk_index_close(struct chunk_index *x);

/* A segment that is stored, whose first object this is, and its list (chunk_list_bytes); one that is there already is
 * replaced; an empty list (len 0) is one, too. -EINVAL: it is no list. Whatever else fails is logged at most once a minute, and returned. */
int chunk_index_put(struct chunk_index *x, const struct seg_source *s, uint64_t first_object, const void *list,
                    size_t len);
/* Was the segment put, be its list empty or not? Whoever makes the index anew need not read it. */
bool chunk_index_has(struct chunk_index *x, const uint8_t cartridge[16], const struct seg_id *id);
/* The segment is no more, or nothing is to be copied from it. One that is not there is no error. */
int chunk_index_drop(struct chunk_index *x, const uint8_t cartridge[16], const struct seg_id *id);
/* All segments of the cartridge; a thousand at a time, between which others get their turn. */
int chunk_index_drop_cartridge(struct chunk_index *x, const uint8_t cartridge[16]);

/* Names some of the segments, in order of cartridge and name, from the one behind after on (NULL: the first): *n of at most room,
 * of which source's cartridge and id are set; 0: there are no more. */
int chunk_index_names(struct chunk_index *x, const struct seg_source *after, struct seg_source *out, size_t room,
                      size_t *n);

/* Nothing can be copied from that segment now: for so long nothing is found in it, and what it has is looked for elsewhere. */
void chunk_index_avoid(struct chunk_index *x, const struct seg_source *s, unsigned ms);

/* Adds to *out where the chunk of this id and length, or parts of it, are. in_memory: looks at the lists in memory only.
 * What cannot be read is not found. */
void chunk_index_find(struct chunk_index *x, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool in_memory,
                      struct chunk_places *out);

struct chunk_index_figures {
    uint64_t segments, hooks; /* rows */
    unsigned level;           /* hooks of 1 in 2^level chunks, and of CHUNK_HOOKS a segment */
    uint64_t disk, memory;    /* bytes */
    uint64_t found, loaded;   /* since it was opened: chunks found, lists read from disk */
};
void chunk_index_figures(struct chunk_index *x, struct chunk_index_figures *out);

#endif
