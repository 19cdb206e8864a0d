/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment.h: the segment file: header, records of blocks and filemarks, index, footer. Byte layout: vtl/FORMAT.md. */
#ifndef S3VTL_SEGMENT_H
#define S3VTL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errtext.h"
#include "scsi/tape_facts.h"

/* Names a segment, head or map: <epoch 8 digits>-<writer 8 hex>-<number 10 digits>, so that a LIST is sorted. */
#define SEG_LAST_EPOCH UINT64_C(99999999)
struct seg_id {
    uint64_t epoch;  /* 1..SEG_LAST_EPOCH */
    uint32_t writer; /* the gateway's id */
    uint64_t number; /* segment sequence, or n of a head */
};
#define SEG_NAME_SIZE 29 /* with the NUL */
void seg_id_format(const struct seg_id *id, char out[SEG_NAME_SIZE]);
bool seg_id_parse(const char *name, struct seg_id *out);            /* exactly this form, nothing after it */
int seg_id_compare(const struct seg_id *a, const struct seg_id *b); /* by epoch, writer, number */
int seg_id_order(const void *a, const void *b);                     /* the same, for qsort and bsearch */
/* Was segment a written after b, of the same cartridge? Numbers go up as long as a state lives, and a writer is drawn at
 * each start: what a crash left open has the epoch of before and any writer. */
bool seg_id_is_newer(const struct seg_id *a, const struct seg_id *b);

struct seg_header {
    uint32_t version;      /* of the segment's format; 0, to write one: SEG_VERSION */
    uint8_t cartridge[16]; /* id of the cartridge, random from its creation */
    char barcode[33];
    struct seg_id id;
    uint32_t partition;
    uint64_t first_object; /* logical object number of the first record */
    uint64_t first_file;   /* filemarks before it */
    struct seg_id prev;    /* the segment that holds the objects before first_object; epoch 0: none */
    bool overwrites;       /* overwrote data: what was at first_object and after it is gone */
    uint64_t created;      /* seconds since 1970 */
};

/* SEG_CHUNKS and SEG_SOURCES are lists, and no objects of the tape: of the chunks in the segment's blocks (chunk_list.h), and
 * of all that they copy from (source.h). Like SEG_PIECES only in segments of SEG_VERSION_PIECES. */
enum seg_record_type { SEG_BLOCK = 1, SEG_FILEMARKS = 2, SEG_CHUNKS = 3, SEG_SOURCES = 4 };
enum seg_record_flags { SEG_ZSTD = 1, SEG_AES256_GCM = 2, SEG_PIECES = 4 };
/* Version 1: of segments that an older s3vtl began. They are read, taken up after a crash, and ended as they began.
 * SEG_VERSION: what is written; SEG_VERSION_PIECES: where blocks may be in pieces (source.h). */
#define SEG_VERSION_1 1u
#define SEG_VERSION 2u
#define SEG_VERSION_PIECES 3u

/* A decoded record header. */
struct seg_record {
    enum seg_record_type type;
    uint8_t flags;
    uint16_t ext_len;    /* bytes of extension (key-associated data) before the payload */
    uint64_t object;     /* logical object number (the first, for a run of filemarks) */
    uint32_t length;     /* block: plain bytes; filemarks, lists: how many */
    uint32_t stored_len; /* bytes of payload */
    uint32_t crc_plain;  /* over the plain block */
    uint32_t crc_stored; /* over extension and payload as stored */
};
#define SEG_HEADER_SIZE 192
#define SEG_RECORD_SIZE 40
#define SEG_INDEX_ENTRY_SIZE 40
#define SEG_FOOTER_SIZE 64
/* AES-256-GCM: nonce, plain CRC inside the ciphertext, tag. */
#define SEG_AES_OVERHEAD (12 + 4 + 16)
/* The largest record: header, extension, a block that did not shrink, encrypted, and padding to 8. */
#define SEG_MAX_RECORD ((SEG_RECORD_SIZE + UINT16_MAX + TAPE_MAX_BLOCK + SEG_AES_OVERHEAD + 7) & ~7u)

/* ---- writing: one thread at a time; all calls return 0 or a negative errno (from the write) ---- */
struct seg_writer;

/* Begins a segment in an empty file. fd stays the caller's and must outlive the writer. */
int seg_writer_create(int fd, const struct seg_header *h, struct seg_writer **out);
/*
 * Continues a segment after a crash: checks the header and each record (header CRC, stored CRC, consecutive object
 * numbers), cuts the file after the last good one (an index or footer there, too: the segment is open again) and
 * positions after it.
 *   *sealed  the file was complete with index and footer: nothing is cut, and appending is not allowed
 *   synced   how many bytes are known to have been safe (0: unknown). If fewer are good, that is damage, not a torn
 *            tail: -EUCLEAN, and nothing is cut
 * -EINVAL with *err if the header itself is bad.
 */
int seg_writer_recover(int fd, uint64_t synced, struct seg_writer **out, bool *sealed, struct errtext *err);
/* Writes a file that was complete over itself, byte for byte. What can be read of it need not be on the disk, nor be going
 * there: where a sync failed the kernel has dropped it, and the next sync says 0. Behind this, one tells the truth. */
int seg_writer_again(struct seg_writer *w);
/* Copies the records of a segment that is not sealed to the empty file of another one, whose header is h (only its id may
 * differ). On success from is of no more use; on failure it is as it was. */
int seg_writer_move(struct seg_writer *from, int fd, const struct seg_header *h, struct seg_writer **out);
struct seg_key {
    const uint8_t *key; /* 32 bytes; never stored */
    const void *kad;    /* kept in the record's extension */
    uint16_t kad_len;
};
/* Packing makes a block ready to append: compresses and encrypts it and computes its CRCs. That is the slow part, and
 * it needs no segment. A packer holds zstd's state and the buffers; one thread uses it at a time. */
struct seg_packer;
struct seg_packed {
    struct seg_record r;
    const void *payload;         /* extension and payload: in the packer until its next block, or the block itself */
    const struct seg_make *make; /* as given */
};
struct seg_packer *seg_packer_new(void); /* NULL: out of memory */
void seg_packer_free(struct seg_packer *p);
/* A block as the host sent it. */
struct seg_block {
    uint64_t object; /* its logical object number */
    const void *data;
    uint32_t len;       /* 1..TAPE_MAX_BLOCK */
    uint32_t crc_plain; /* CRC32C (I3) */
    bool compress;      /* try zstd; what does not shrink is stored raw, and a run of such blocks is detected cheaply */
    const struct seg_make *make; /* of which pieces it is made (source.h); NULL: it is stored as it is */
};
/* Packs a block of a cartridge. key: encrypts it with AES-256-GCM, after compression; NULL: does not. 0 or -EINVAL,
 * -ENOMEM, -EIO. */
int seg_pack(struct seg_packer *p, const uint8_t cartridge[16], const struct seg_block *b, const struct seg_key *key,
             struct seg_packed *out);
/* Bytes of the whole record. */
uint32_t seg_packed_size(const struct seg_packed *b);
/* Appends a block that was packed for the next object number. On failure the file is cut back to its old end. -EINVAL
 * for one in pieces in a segment of another version than SEG_VERSION_PIECES. */
int seg_writer_packed(struct seg_writer *w, const struct seg_packed *b);
/* Packs and appends, with the writer's own packer. */
int seg_writer_block(struct seg_writer *w, const void *block, uint32_t len, uint32_t crc_plain, bool compress);
int seg_writer_encrypted_block(struct seg_writer *w, const void *block, uint32_t len, uint32_t crc_plain, bool compress,
                               const struct seg_key *key);
int seg_writer_filemarks(struct seg_writer *w, uint32_t count);
/* Bytes that the segment would have if sealed now, and at most if sealed after one more record of size bytes. Chunks are
 * counted as those so far. */
uint64_t seg_writer_size(const struct seg_writer *w);
uint64_t seg_writer_size_with(const struct seg_writer *w, uint32_t size);
/* May one more record of size bytes be appended, if the segment is to have limit bytes at most? A segment of small records,
 * such as blocks that are all copies, is full when its index is as long as is read at once (seg_tail_size). */
bool seg_writer_has_room(const struct seg_writer *w, const struct seg_packed *b, uint64_t limit);
/* So many sources will be listed: that is room, too. */
void seg_writer_expect_sources(struct seg_writer *w, size_t n);
/* The list of all that the segment's blocks copy from, before it is sealed. Once more with those that it had, and others behind
 * them: these are in a list of their own. */
struct seg_source;
int seg_writer_sources(struct seg_writer *w, const struct seg_source *sources, size_t n);
/* Writes index and footer: the file is now what the store gets. */
int seg_writer_seal(struct seg_writer *w);
/* The list of chunks that it was sealed with, as it is stored (chunk_list.h): the writer's. *len 0: it has none. */
const void *seg_writer_chunks(const struct seg_writer *w, size_t *len);
void seg_writer_free(struct seg_writer *w);

struct seg_fm_run {
    uint64_t object; /* logical object number of the first filemark of the run */
    uint64_t count;
};
struct seg_totals {
    struct seg_header header;
    uint64_t objects; /* blocks and filemarks */
    uint64_t filemarks;
    uint64_t plain_bytes;         /* of blocks */
    uint64_t stored_bytes;        /* of the file so far, or of the sealed file */
    uint32_t crc;                 /* the footer's own: what binds a segment to its name; 0: it is not sealed */
    const struct seg_fm_run *fms; /* in order, adjacent runs merged; valid until the next call on the writer */
    size_t n_fms;
};
void seg_writer_totals(const struct seg_writer *w, struct seg_totals *out);
/* For reading from an open segment: where the record of an object begins in the file, and its bytes (header, extension,
 * payload, padding). -ENOENT if the object is not in the segment. */
int seg_writer_find(const struct seg_writer *w, uint64_t object, uint64_t *offset, uint32_t *size);

/* ---- reading: any thread ---- */
struct seg_index; /* the index of a sealed segment, decoded and checked */
/* The identity in the footer, and what it must be for this segment (FORMAT.md, "Footer"). */
uint32_t seg_index_identity(const struct seg_index *x);
uint32_t seg_identity(const uint8_t cartridge[16], const struct seg_id *id);

/* Does the segment that ends with these SEG_FOOTER_SIZE bytes have lists (SEG_CHUNKS, SEG_SOURCES), perhaps? */
bool seg_footer_has_lists(const void *footer);
/* How many bytes to fetch from the end of an object of size bytes to get the footer and, nearly always, the index. */
uint64_t seg_tail_size(uint64_t size);
/* Decodes footer and index from the last tail_len bytes of a segment of size bytes. -EAGAIN: fetch *need bytes from the
 * end and call again. -EBADMSG with *err: damaged. */
int seg_index_decode(const void *tail, uint64_t tail_len, uint64_t size, struct seg_index **out, uint64_t *need,
                     struct errtext *err);
/* How to read a segment that is not in memory. */
struct seg_bytes {
    /* Bytes [offset, offset + len), which lie within size. 0, or a negative errno with *err. */
    int (*read)(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err);
    void *arg;
    uint64_t size; /* of the sealed segment */
};
/* Makes the index of a sealed segment anew from its header and its records' headers, without a look at index and footer:
 * for when one of these is damaged. The CRC and the identity that it tells (seg_index_totals, seg_index_identity) are
 * those of the footer that belongs to these records: compare them with the name as if they had been read. -EBADMSG with
 * *err: the records cannot be followed to their end. Or what read returned, or -ENOMEM. */
int seg_index_walk(const struct seg_bytes *b, struct seg_index **out, struct errtext *err);
/* The CRC32C that all bytes of a sealed segment together must have, by its header and its records' headers, and the CRC
 * of the footer that belongs to them: if that is the one of the name, a file with this sum is the segment, to the byte.
 * Reads 40 bytes of each record. -EBADMSG with *err: the records cannot be followed to their end. -E2BIG: they are so
 * small that reading them is no dearer. Or what read returned, or -ENOMEM. */
int seg_sum(const struct seg_bytes *b, uint32_t *footer, uint32_t *crc, struct errtext *err);
int seg_index_find(const struct seg_index *x, uint64_t object, uint64_t *offset, uint32_t *size);
/* Is rec, at least SEG_RECORD_SIZE bytes of the record of this object, the one that the index was made with? The table
 * of CRCs in the index tells, which binds every record to the footer. 0, also where version 1 has no such table, or
 * -EBADMSG with *err. */
int seg_index_check(const struct seg_index *x, uint64_t object, const void *rec, struct errtext *err);
/* Where list i (from 0) of that type is. False: there is none. */
bool seg_index_list(const struct seg_index *x, enum seg_record_type type, size_t i, uint64_t *offset, uint32_t *size);
/* seg_index_check for it, and its stored CRC. rec: size bytes. On success *list are its bytes, in rec. */
int seg_index_open_list(const struct seg_index *x, enum seg_record_type type, size_t i, const void *rec, uint32_t size,
                        const void **list, uint32_t *len, struct errtext *err);
/* header is zero but for the version; fms is valid as long as x. */
void seg_index_totals(const struct seg_index *x, struct seg_totals *out);
void seg_index_free(struct seg_index *x);

int seg_header_decode(const void *buf, size_t len, struct seg_header *out, struct errtext *err);
/* 0; or -EPROTONOSUPPORT with *err: a whole header of a later version, which seg_header_decode takes for damaged. */
int seg_header_check_version(const void *buf, size_t len, struct errtext *err);
/* Decodes the SEG_RECORD_SIZE bytes of a record's header, without the rest of the record. -EBADMSG with *err. */
int seg_record_parse(const uint8_t *rec, struct seg_record *out, struct errtext *err);
/* Bytes of the whole record: header, extension, payload, padding. */
uint32_t seg_record_size(const struct seg_record *r);
/* How many objects of the tape it is. */
uint32_t seg_record_objects(const struct seg_record *r);
/* Decodes and checks the record in the bytes [rec, rec + len): header CRC, type, lengths within len (else -EBADMSG).
 */
int seg_record_decode(const void *rec, size_t len, struct seg_record *out, struct errtext *err);
/* Copies up to room bytes of an encrypted record as it is: all that decryption needs except the key and the cartridge
 * id; of a block in pieces, not what it copies. Checks only the stored CRC. */
int seg_record_raw(const struct seg_record *r, const void *rec, void *buf, size_t room, struct errtext *err);
/* seg_record_open for an encrypted record. -ENOKEY: no key given; -EKEYREJECTED: the stored CRC is right, but the key
 * is another. */
int seg_record_decrypt(const struct seg_record *r, const void *rec, const uint8_t cartridge[16],
                       const struct seg_key *key, void *buf, size_t room, struct errtext *err);
/* Checks the stored CRC, decompresses, checks the plain CRC, and copies up to room bytes of the block to buf. With buf
 * NULL and room 0, checks only the stored CRC. -EBADMSG: damaged, and buf is undefined. Of a block in pieces checks
 * only the stored CRC, and copies nothing: -EINVAL with room (source.h is for these). */
int seg_record_open(const struct seg_record *r, const void *rec, void *buf, size_t room, struct errtext *err);

#endif
