/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_index_private.h: the inside of the index of chunks, and what its files share. */
#ifndef S3VTL_CHUNK_INDEX_PRIVATE_H
#define S3VTL_CHUNK_INDEX_PRIVATE_H

#include <sqlite3.h>

#include "base/lock.h"
#include "vtl/state/chunk_index.h"

/* ---- chunk_index_memory.c: lists in memory, the least recently used of which go; the lock is held ---- */
struct chunk_row { /* a segment with its list */
    int64_t row;   /* its number in the table */
    struct seg_source s;
    uint64_t first_object;
    const void *list;
    size_t len;
};

struct chunk_memory;
struct chunk_memory *chunk_memory_new(uint64_t most); /* NULL: out of memory */
void chunk_memory_free(struct chunk_memory *m);
/* Copies it. -EBADMSG: this is no list; -ENOMEM. */
int chunk_memory_add(struct chunk_memory *m, const struct chunk_row *r);
void chunk_memory_drop(struct chunk_memory *m, int64_t row);
void chunk_memory_drop_all(struct chunk_memory *m);
bool chunk_memory_has(const struct chunk_memory *m, int64_t row);
/* Adds the places of the chunk to *out. A list in which something is found for the first time is told in *fresh, which is
 * NULL at the call, and stays so if there is none; with fresh NULL it is not asked for. */
void chunk_memory_find(struct chunk_memory *m, const uint8_t id[SEG_CHUNK_ID], uint32_t length,
                       struct chunk_places *out, const struct chunk_row **fresh);
/* Nothing is found in that segment's list, if it is in memory, before clock_ms() is that. */
void chunk_memory_avoid(struct chunk_memory *m, const struct seg_source *s, uint64_t until_ms);
uint64_t chunk_memory_bytes(const struct chunk_memory *m);

/* ---- chunk_index_rows.c: the tables; the lock is held. 0 or a negative errno; -EUCLEAN: the file is damaged ---- */
enum chunk_statement {
    CHUNK_BEGIN,
    CHUNK_COMMIT,
    CHUNK_COUNTS,
    CHUNK_SET_COUNTS,
    CHUNK_BY_ROW,
    CHUNK_BY_NAME,
    CHUNK_OF_CARTRIDGE,
    CHUNK_NAMES,
    CHUNK_ADD,
    CHUNK_DELETE,
    CHUNK_HOOK_ADD,
    CHUNK_HOOK_DELETE,
    CHUNK_HOOK_FIND,
    CHUNK_HOOK_THIN,
    CHUNK_N_STATEMENTS
};

struct chunk_counts {
    int64_t segments;
    int64_t kept, wide; /* hooks that a segment has in any case, and others */
    int64_t level;
};

struct chunk_tables {
    sqlite3 *sql; /* NULL: neither this file nor a new one could be used */
    sqlite3_stmt *statement[CHUNK_N_STATEMENTS];
    struct chunk_counts counts;
    int64_t most_wide; /* with more of them only half of the chunks get one from now on */
};
/* With SQLite's cache of at most so many bytes. */
int chunk_tables_open(struct chunk_tables *t, const char *path, uint64_t cache);
void chunk_tables_close(struct chunk_tables *t);
int chunk_tables_begin(struct chunk_tables *t);
/* Commits if rc is 0, else rolls back. */
int chunk_tables_end(struct chunk_tables *t, int rc);
int chunk_tables_add(struct chunk_tables *t, const struct chunk_row *r);
/* Removes the segment, and tells its row; -ENOENT: it is not there. */
int chunk_tables_drop(struct chunk_tables *t, const uint8_t cartridge[16], const struct seg_id *id, int64_t *row);
/* Any one of the cartridge. */
int chunk_tables_drop_one(struct chunk_tables *t, const uint8_t cartridge[16], int64_t *row);
/* The rows that the chunk's hook names; *n of at most room. */
int chunk_tables_hooks(struct chunk_tables *t, const uint8_t id[SEG_CHUNK_ID], int64_t *rows, size_t room, size_t *n);
/* The list of a segment, by its row or (row 0) by its name; SQLite's, until chunk_tables_done. -ENOENT; -EBADMSG: its CRC
 * is wrong. */
int chunk_tables_read(struct chunk_tables *t, int64_t row, const struct seg_source *name, struct chunk_row *out);
void chunk_tables_done(struct chunk_tables *t);
/* As chunk_index_names. */
int chunk_tables_names(struct chunk_tables *t, const struct seg_source *after, struct seg_source *out, size_t room,
                       size_t *n);

/* ---- chunk_index.c ---- */
/* For tests: how many hooks there may be beside those that each segment has. */
void chunk_index_set_most(struct chunk_index *x, int64_t wide);

#endif
