/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_hash.h: what a chunk is called: SHA-256 of its bytes, as a tree; under a drive's key only its holders can make it. */
#ifndef S3VTL_CHUNK_HASH_H
#define S3VTL_CHUNK_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/tape_facts.h"
#include "vtl/dedup/chunk_leaves.h"
#include "vtl/format/source.h"

/*
 * SHA-256 of the text CHUNK_ID_TAG and the digests of the chunk's leaves, each the SHA-256 of CHUNK_LEAF bytes of it, the last
 * of what is left. As hard to find another chunk for as with SHA-256 of all bytes: there is one way only into leaves of this
 * length, and each digest counts its leaf's bytes. Leaves of one chunk are hashed side by side, which bytes of one message
 * cannot be: twice as fast on a core with AVX-512, or without instructions for SHA.
 */
#define CHUNK_ID_TAG "s3vtl chunk id 2"

struct chunk_hash;
struct chunk_hash *chunk_hash_new(void); /* NULL: out of memory, or of locked memory */
void chunk_hash_free(struct chunk_hash *h);
/*
 * From now on HMAC-SHA256 in place of the last SHA-256, under a key derived from the drive's by HKDF (RFC 5869): whoever reads
 * ids in the bucket learns neither the key nor whether two tapes of different keys hold the same. key: TAPE_KEY_SIZE bytes, of
 * which no copy is kept; NULL: none. The derived key is in locked memory; what OpenSSL makes of it to work with, it wipes. 0, or
 * -EIO: OpenSSL cannot, and no chunk gets an id until it is called again. No other call meanwhile.
 */
int chunk_hash_key(struct chunk_hash *h, const uint8_t *key);
/* Is it the one of the last chunk_hash_key? One thread at a time. */
bool chunk_hash_has(struct chunk_hash *h, const uint8_t *key);

/* The id of a chunk that is these pieces in this order. 0, -EIO or -ENOMEM. Any number of threads at a time. */
int chunk_hash_id(struct chunk_hash *h, const struct chunk_bytes *pieces, size_t n, uint8_t id[SEG_CHUNK_ID]);

#endif
