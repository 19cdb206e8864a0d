/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source.h: how a block is made of pieces, some of which are copies out of other segments. Byte layout: vtl/FORMAT.md. */
#ifndef S3VTL_SOURCE_H
#define S3VTL_SOURCE_H

#include "vtl/format/segment.h"

/* A stored segment that is copied from: all that is needed to find it and to know that it is the right one. */
struct seg_source {
    uint8_t cartridge[16]; /* id of the cartridge it was written to */
    char barcode[33];      /* below whose keys it is */
    struct seg_id id;
    uint64_t size; /* bytes of the object */
    uint32_t crc;  /* of its footer, which binds all its bytes; never 0: version 1 has none, and is no source */
};

/*
 * A block is its pieces, one after the other. The literal area of a record is what it holds itself: the block, or of a
 * block in pieces the literal ones, one after the other. A copy is of the literal area of one record, so that a record
 * that is copied from is read by itself.
 */
#define SEG_LITERAL UINT32_MAX
struct seg_piece {
    uint32_t source; /* SEG_LITERAL, or the number of the source */
    uint32_t length; /* bytes, at least 1 */
    uint64_t object; /* of the record in the source; literal: 0 */
    uint32_t offset; /* in its literal area; literal: 0 */
};
#define SEG_MAX_PIECES 4096u
#define SEG_MAX_SOURCES 256u

/* A chunk, or a part of it, within the literal area of one block. */
#define SEG_CHUNK_ID 32
struct seg_chunk_part {
    uint8_t id[SEG_CHUNK_ID]; /* of the whole chunk: SHA-256 of its bytes, or an HMAC */
    uint32_t chunk_length;    /* of the whole chunk */
    uint32_t from;            /* where in the chunk the part begins */
    uint32_t offset;          /* where in the literal area */
    uint32_t length;
};

/* Can the fields be those of a source? */
bool seg_source_possible(const struct seg_source *s);
bool seg_source_same(const struct seg_source *a, const struct seg_source *b);
/* As a segment has it (FORMAT.md, "Block, pieces"). encode: s is possible. decode: *out need not be. */
#define SEG_SOURCE_SIZE 80u
void seg_source_encode(const struct seg_source *s, uint8_t p[SEG_SOURCE_SIZE]);
void seg_source_decode(const uint8_t b[SEG_SOURCE_SIZE], struct seg_source *out);
/* Sources as a list, which is malloc'd: SEG_SOURCE_SIZE bytes each. 0, -EINVAL or -ENOMEM. */
int seg_sources_encode(const struct seg_source *sources, size_t n, uint8_t **list, size_t *len);
/* Source i of a list. False: there are no more. *good: it can be one. */
bool seg_sources_next(const void *list, size_t len, size_t i, struct seg_source *out, bool *good);

/* How a block is stored. With n_sources 0 it is one literal. The arrays are the caller's, and stay until it is appended. */
struct seg_make {
    const struct seg_source *sources;
    const struct seg_piece *pieces;     /* in order; their lengths make up the block's */
    const struct seg_chunk_part *parts; /* of its literal area, in order */
    uint32_t n_sources, n_pieces, n_parts;
};

/* Room that decoding needs, kept from call to call. All zero at first. One thread at a time. */
struct seg_scratch {
    uint8_t *box, *plain;
    size_t box_room, plain_room;
};
void seg_scratch_free(struct seg_scratch *s); /* wipes it, too */

/* What a record of a block in pieces holds itself, decoded and checked. Valid as long as the record and the scratch. */
struct seg_pieced {
    const uint8_t *sources, *pieces, *literals; /* as they are stored */
    uint32_t n_sources, n_pieces, n_literals;   /* of the literals: bytes */
    uint32_t length, crc_plain;                 /* of the block */
    uint64_t object;
};
/* Checks the stored CRC, decrypts and decompresses as the record's flags say, and checks all that can be without the
 * sources. key: NULL, if it is not encrypted. 0; -EBADMSG; -ENOKEY, -EKEYREJECTED; -ENOMEM. */
int seg_pieces_open(const struct seg_record *r, const void *rec, const uint8_t cartridge[16], const struct seg_key *key,
                    struct seg_scratch *s, struct seg_pieced *out, struct errtext *err);
void seg_pieced_source(const struct seg_pieced *p, uint32_t i, struct seg_source *out);
void seg_pieced_piece(const struct seg_pieced *p, uint32_t i, struct seg_piece *out);
/* Puts the bytes of a copy to to. 0, or a negative errno with *err. */
typedef int (*seg_copy_fn)(void *arg, const struct seg_source *from, const struct seg_piece *piece, uint8_t *to,
                           struct errtext *err);
/* Makes the block, p->length bytes, and checks its plain CRC (I3). */
int seg_pieces_make(const struct seg_pieced *p, seg_copy_fn copy, void *arg, uint8_t *block, struct errtext *err);
/* The literal area of a block's record, checked by its CRCs: *area is in the record or the scratch. As seg_pieces_open. */
int seg_literals(const struct seg_record *r, const void *rec, const uint8_t cartridge[16], const struct seg_key *key,
                 struct seg_scratch *s, const uint8_t **area, uint32_t *len, struct errtext *err);

#endif
