/* SPDX-License-Identifier: GPL-2.0-or-later */
/* planner_private.h: the inside of a planner, and what its files share. Each file uses only those listed above it. */
#ifndef S3VTL_PLANNER_PRIVATE_H
#define S3VTL_PLANNER_PRIVATE_H

#include "base/lock.h"
#include "vtl/dedup/chunk_hash.h"
#include "vtl/dedup/cut_stream.h"
#include "vtl/dedup/pbs_stream.h"
#include "vtl/dedup/planner.h"

/* ---- planner_sources.c: the sources in sight, and how much could be copied from each ---- */
struct source {
    struct source *next;          /* in its bucket */
    struct source *newer, *older; /* of those in sight */
    struct seg_source s;
    unsigned refs; /* of chunks */
    bool in_sight;
    uint64_t possible; /* bytes that could be copied from it since it came in sight */
    bool is_fair;      /* they have been enough */
    bool answered, usable;
    uint64_t answered_at; /* clock_ms() */
};

#define SOURCE_BUCKETS 256u
struct sources {
    struct source *bucket[SOURCE_BUCKETS];
    struct source *newest, *oldest; /* in sight */
    unsigned n, most;               /* of them */
    unsigned fair;                  /* percent */
    const struct source *last;      /* that was copied from: not to be followed, it may be gone */
};
void sources_fini(struct sources *t);
/* With a reference for the caller. *fresh: it was not known. NULL: out of memory. */
struct source *sources_get(struct sources *t, const struct seg_source *s, bool *fresh);
void sources_put(struct sources *t, struct source *s);
/* So many bytes of the stream could be copied from it. It is the newest in sight; the oldest may be so no longer. */
void sources_seen(struct sources *t, struct source *s, uint64_t bytes);
/* Is it wanted enough? Either a fair part of it could be copied, or that is so of the one that was written before or after
 * it: a tape is written and read in order. */
bool sources_fair(struct sources *t, const struct source *s);
void sources_refuse(struct sources *t, const struct seg_source *s);

/* ---- planner_names.c: chunks get their ids, from whoever has time ---- */
struct cut {
    uint32_t from, length; /* of the chunk */
    int place;             /* in places, or -1: literal */
};

/* Nameless: complete, and without an id yet. */
enum chunk_state { CHUNK_OPEN, CHUNK_NAMELESS, CHUNK_WHOLE, CHUNK_NONE };
enum chunk_name { NAME_NONE, NAME_MADE, NAME_FAILED };

struct chunk {
    struct chunk *prev, *next; /* of all that are there, in order of the stream */
    uint8_t id[SEG_CHUNK_ID];
    uint32_t length; /* so far */
    enum chunk_state state;
    unsigned refs;              /* of spans, and until it has an id */
    struct chunk_bytes *pieces; /* all that it is, until then, in blocks that are held */
    size_t n_pieces, pieces_room;
    struct chunk *next_nameless;
    enum chunk_name name; /* by the lock of names, and so is id until it is made */
    struct chunk_places places;
    struct source *source[CHUNK_MAX_PLACES];
    bool planned;
    unsigned n_cuts;
    struct cut cut[2 * CHUNK_MAX_PLACES + 1];
};

struct names { /* chunks that have no id, in order of the stream */
    struct chunk_hash *hash;
    struct lock lock;
    struct cond made;
    struct chunk *first, **tail;
    struct chunk *waiting; /* the first one that nobody works at; NULL: none */
    uint64_t bytes;        /* of all of them; the planner's, without the lock */
};
void names_init(struct names *n);
void names_fini(struct names *n); /* it is empty */
/* It is complete, and now nameless. */
void names_add(struct names *n, struct chunk *c);
/* See planner_help. */
bool names_help(struct names *n);
/* The first one, once it has its id, or will never have one: state says so. NULL: it has none yet; with wait: there is none. */
struct chunk *names_take(struct names *n, bool wait);
/* The first one, as it is: nobody helps any more. NULL: there is none. */
struct chunk *names_drop(struct names *n);

/* ---- planner_chunks.c: the chunks of the blocks that are held ---- */
struct span { /* bytes of a block that are a chunk's */
    struct chunk *chunk;
    uint32_t offset, from, length;
};

struct block {
    struct block *next;
    void *handle;
    uint64_t object;
    const uint8_t *data;
    uint32_t len;
    size_t n_spans, room;
    struct span *spans;
};

struct planner {
    struct planner_config config;
    const struct planner_ops *ops;
    void *arg;
    struct pbs_stream pbs;
    struct cut_stream other; /* what is not PBS's; with config.cut only */
    struct chunk_hash *hash;
    struct sources sources;
    struct block *head, **tail, *fed; /* fed: the one whose bytes the stream has now */
    uint64_t held;
    struct chunk *first_chunk, *last_chunk, *open;
    struct names names;
    /* What the block in question becomes. */
    struct seg_piece *pieces;
    size_t n_pieces;
    struct seg_source *out_sources;
    size_t n_out_sources;
    struct seg_chunk_part *parts;
    size_t n_parts, parts_room;
    uint32_t literals, copies;
    bool too_many;
};
extern const struct chunk_events planner_chunk_events; /* arg: the planner */
void planner_chunk_put(struct planner *p, struct chunk *c);
/* Looks for those that have got their ids, in order; all: makes or awaits every one first. */
void planner_look_up(struct planner *p, bool all);
void planner_drop_nameless(struct planner *p); /* nobody helps any more */
/* Which bytes of the chunk are copied, from which place; decided once. */
void planner_chunk_plan(struct planner *p, struct chunk *c);
bool planner_may_use(struct planner *p, struct source *s);

/* ---- planner_pieces.c ---- */
/* The first block's pieces and parts. */
void planner_build(struct planner *p, const struct block *b, struct plan *out);

#endif
