/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sha_lanes.h: SHA-256 (FIPS 180-4) of several messages side by side in one core, by libipsec-mb. */
#ifndef S3VTL_SHA_LANES_H
#define S3VTL_SHA_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Within one message each round waits for the one before it. Messages side by side fill a core: 16 with AVX-512, 8 with AVX2,
 * 2 with SHA instructions. The library takes messages in one piece, of at most 64 KiB.
 */
struct sha_lanes;
#define SHA_DIGEST 32u

struct sha_message {
    const uint8_t *p;
    size_t n; /* at most 65534 */
};

struct sha_lanes *sha_lanes_new(void); /* NULL: no memory, or the library cannot use this processor */
void sha_lanes_free(struct sha_lanes *l);
/* The digest of each message. False: the library failed, and they mean nothing. One thread at a time. */
bool sha_lanes_digest(struct sha_lanes *l, const struct sha_message *messages, size_t n,
                      uint8_t (*digests)[SHA_DIGEST]);

#endif
