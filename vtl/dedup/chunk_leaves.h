/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_leaves.h: a chunk in leaves of CHUNK_LEAF bytes, and the SHA-256 of each. */
#ifndef S3VTL_CHUNK_LEAVES_H
#define S3VTL_CHUNK_LEAVES_H

#include <stddef.h>
#include <stdint.h>

#include "vtl/dedup/sha_lanes.h"

/* Part of the format ("Chunks" in FORMAT.md). Small enough that a chunk of a megabyte is many, so that a core works on several
 * at a time; large enough that the digests of digests are little. */
#define CHUNK_LEAF 8192u
#define CHUNK_LEAVES_AT_ONCE 16u

struct chunk_bytes {
    const uint8_t *p;
    size_t n;
};

/* A chunk that is these pieces in this order, from its first leaf on. */
struct chunk_reader {
    const struct chunk_bytes *pieces;
    size_t n, at; /* pieces, and bytes of the first one that are read */
};

/* What one thread at a time needs for it. */
struct leaf_hash;
/* Measures whether this processor is faster with several leaves side by side: a millisecond. NULL: out of memory. */
struct leaf_hash *leaf_hash_new(void);
void leaf_hash_free(struct leaf_hash *h);
/* From how many leaves on they are hashed side by side; above CHUNK_LEAVES_AT_ONCE: never. For tests: leaf_hash_new knows. */
void leaf_hash_side_by_side(struct leaf_hash *h, size_t least);
/* The digests of the next leaves, at most CHUNK_LEAVES_AT_ONCE. How many, 0 at the end of the chunk, or -EIO. */
int leaf_hash_next(struct leaf_hash *h, struct chunk_reader *r, uint8_t (*digests)[SHA_DIGEST]);

#endif
