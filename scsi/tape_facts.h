/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape_facts.h: what command set, drive and formats all know of a tape: sizes, counters, keys, attributes. What a drive
 * does is in tape_ops.h. */
#ifndef S3VTL_TAPE_FACTS_H
#define S3VTL_TAPE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPE_MAX_BLOCK (8u << 20) /* bytes */

/* What a tape took and gave: bytes of the host, and bytes as they are stored (compressed, with their headers). */
struct tape_usage {
    uint64_t written_bytes, written_blocks, written_filemarks;
    uint64_t stored_bytes; /* what the written ones became */
    uint64_t read_bytes, read_blocks;
    uint64_t fetched_bytes;             /* stored bytes that the read ones came from */
    uint64_t write_errors, read_errors; /* reported to the host */
};

#define TAPE_LAST_DRIVES 4 /* how many a cartridge remembers */

/* How blocks are encrypted and decrypted (SSC-5 4.2.21): AES-256-GCM. */
#define TAPE_KEY_SIZE 32
#define TAPE_KAD_MAX 64
struct tape_crypt {
    const uint8_t *key; /* TAPE_KEY_SIZE bytes, or NULL; only valid during the call, which keeps no copy */
    bool encrypt;       /* written blocks */
    bool decrypt;       /* read blocks; false: encrypted ones are an error */
    bool mixed;         /* reads blocks that are not encrypted too */
    bool raw;           /* without decrypt: reads encrypted blocks as they are stored, with all that belongs to them */
    uint8_t kad_len;
    uint8_t kad[TAPE_KAD_MAX]; /* key-associated data descriptors, kept with each block */
};

/* The host's attributes in medium auxiliary memory (SPC-5 7.4.2.4). format: 0 binary, 1 ASCII, 2 text. */
#define TAPE_MAM_MAX 16
#define TAPE_ATTRIBUTE_MAX 256
struct tape_attribute {
    uint16_t id, len; /* len 1 .. TAPE_ATTRIBUTE_MAX - 1 */
    uint8_t format;
    uint8_t value[TAPE_ATTRIBUTE_MAX];
};
struct tape_mam {
    size_t n;
    struct tape_attribute v[TAPE_MAM_MAX]; /* in any order, no identifier twice */
};

#endif
