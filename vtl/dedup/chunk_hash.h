/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_hash.h: what a chunk is called: SHA-256 of its bytes, or under a drive's key an HMAC that only holders of the key
 * can make. */
#ifndef S3VTL_CHUNK_HASH_H
#define S3VTL_CHUNK_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/tape_facts.h"
#include "vtl/format/source.h"

/* One chunk at a time, one thread at a time. */
struct chunk_hash;
struct chunk_hash *chunk_hash_new(void); /* NULL: out of memory, or of locked memory */
void chunk_hash_free(struct chunk_hash *h);
/*
 * From now on HMAC-SHA256 under a key derived from the drive's by HKDF (RFC 5869): whoever reads ids in the bucket learns
 * neither the key nor whether two tapes of different keys hold the same. key: TAPE_KEY_SIZE bytes, of which no copy is
 * kept; NULL: SHA-256. The derived key is in locked memory; OpenSSL has two states made from it, which it wipes. 0, or
 * -EIO: OpenSSL cannot, and no chunk gets an id until it is called again.
 */
int chunk_hash_key(struct chunk_hash *h, const uint8_t *key);
/* Is it the one of the last chunk_hash_key? */
bool chunk_hash_has(struct chunk_hash *h, const uint8_t *key);
/* A chunk: begin, its bytes, end. 0 or -EIO. */
int chunk_hash_begin(struct chunk_hash *h);
int chunk_hash_bytes(struct chunk_hash *h, const void *p, size_t n);
int chunk_hash_end(struct chunk_hash *h, uint8_t id[SEG_CHUNK_ID]);

#endif
