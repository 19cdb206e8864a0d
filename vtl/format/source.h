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

#endif
