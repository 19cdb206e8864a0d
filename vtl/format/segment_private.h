/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_private.h: what the files of the segment codec share. */
#ifndef S3VTL_SEGMENT_PRIVATE_H
#define S3VTL_SEGMENT_PRIVATE_H

#include "vtl/format/segment.h"

/* The largest object number, file number, size or count in a stored format: the sum of two never overflows. */
#define SEG_MAX_NUMBER (UINT64_C(1) << 62)
#define SEG_MAX_EPOCH SEG_LAST_EPOCH
#define SEG_MAX_SEQUENCE UINT64_C(9999999999)
#define SEG_MAX_SIZE (UINT64_C(1) << 40) /* of a segment; the configuration allows 1 GiB */

static inline uint64_t seg_pad8(uint64_t n)
{
    return (n + 7) & ~7ull;
}

/* ---- headers ---- */
int seg_header_encode(const struct seg_header *h, uint8_t out[SEG_HEADER_SIZE]); /* -EINVAL: a field out of range */
void seg_record_encode(const struct seg_record *r, uint8_t out[SEG_RECORD_SIZE]);
#define SEG_FOOTER_MAGIC_1 "S3VTLEND"
#define SEG_FOOTER_MAGIC "S3VTLEN2" /* there is a table of the records' CRCs between the entries and the footer */
#define SEG_FOOTER_MAGIC_PIECES "S3VTLEN3" /* as before, and records may be in pieces */
const char *seg_footer_magic(uint32_t version);

/* ---- runs: the index in memory ---- */
struct seg_run {
    uint64_t first_object;
    uint64_t first_file; /* filemarks before it */
    uint64_t offset;     /* of its first record */
    uint64_t first_record;
    uint32_t count;  /* blocks, or filemarks of one record; 0: a list */
    uint32_t stride; /* from record to record; 0: filemarks; list: bytes of the record */
    enum seg_record_type type;
    uint32_t length; /* plain bytes of each block; 0: filemarks; list: how many */
};
struct seg_runs {
    struct seg_run *v;
    size_t n, room;
    struct seg_fm_run *fms;
    size_t n_fms, room_fms;
    uint32_t *crcs; /* of each record's header; an index of version 1 has none */
    size_t room_crcs;
    uint64_t end_object, end_file; /* of the next record; set at the start to those of the first */
    uint64_t objects, filemarks, records, plain_bytes;
};
void seg_runs_init(struct seg_runs *x, uint64_t first_object, uint64_t first_file);
void seg_runs_free(struct seg_runs *x);
/* Makes room for one more run, or record, so that adding it cannot fail. 0 or -ENOMEM. */
int seg_runs_reserve_run(struct seg_runs *x);
int seg_runs_reserve(struct seg_runs *x);
/* Adds the next record, which r describes: size bytes at offset, with this CRC in its header. */
void seg_runs_add(struct seg_runs *x, const struct seg_record *r, uint64_t offset, uint32_t size, uint32_t crc);
void seg_runs_add_run(struct seg_runs *x, const struct seg_run *r); /* must continue what is there */
/* The table of the CRCs of all the records that are there. 0 or -ENOMEM. */
int seg_runs_take_crcs(struct seg_runs *x, const uint8_t *table);
/* The CRC that the header of the object's record must have. False: not known, or no such object. */
bool seg_runs_crc(const struct seg_runs *x, uint64_t object, uint32_t *crc);
int seg_runs_find(const struct seg_runs *x, uint64_t object, uint64_t *offset, uint32_t *size); /* 0 or -ENOENT */
void seg_runs_totals(const struct seg_runs *x, struct seg_totals *out); /* all but header and stored_bytes */
/* Bytes of the table of CRCs in an index of this version. */
uint64_t seg_table_size(uint32_t version, uint64_t records);
/* Bytes of index and footer. */
uint64_t seg_runs_tail_size(const struct seg_runs *x, uint32_t version);
/* Writes index and footer (seg_runs_tail_size bytes) for records that end at offset. Returns the footer's CRC. */
uint32_t seg_runs_encode(const struct seg_runs *x, const struct seg_header *h, uint64_t offset, uint8_t *out);

/* ---- the index of a sealed segment ---- */
struct seg_index {
    struct seg_runs runs;
    uint64_t size; /* of the segment */
    uint32_t identity, crc, version;
};

/* ---- compression ---- */
struct seg_compressor;
struct seg_compressor *seg_compressor_new(void); /* NULL: out of memory */
void seg_compressor_free(struct seg_compressor *z);
/* Returns the size of the compressed block in *out (valid until the next call). 0: store it raw, because it does not
 * shrink, or because the blocks before it did not and this one looks no better. */
uint32_t seg_compress(struct seg_compressor *z, const void *block, uint32_t len, const void **out);

/* ---- encryption ---- */
/* Encrypts *payload (r->stored_len bytes, the block or its zstd frame) into *buf, which grows as needed. Then *r
 * describes the encrypted record, and *payload points to its extension and payload in *buf. 0, -ENOMEM, -EINVAL, -EIO.
 */
int seg_encrypt(const uint8_t cartridge[16], const struct seg_key *key, struct seg_record *r, const void **payload,
                uint8_t **buf, size_t *room);
int seg_check_stored(const struct seg_record *r, const uint8_t *ext, struct errtext *err);
/* What was encrypted, but for the CRC, into out: r->stored_len - SEG_AES_OVERHEAD bytes. -EKEYREJECTED: the tag does not
 * fit. -ENOMEM. */
int seg_unbox(const struct seg_record *r, const uint8_t *ext, const uint8_t cartridge[16], const uint8_t *key,
              uint32_t *crc, uint8_t *out);
int seg_unbox_error(const struct seg_record *r, int rc, struct errtext *err); /* says that; returns rc */
/* ZSTD_decompress: n bytes into *got. -EBADMSG: it is no frame that fits; -ENOMEM, which says nothing of the frame. */
int seg_unzstd(const struct seg_record *r, const uint8_t *frame, size_t n, void *plain, size_t *got,
               struct errtext *err);
/* Lays out what a block in pieces holds itself: *out is in *buf, which grows as needed. 0, -EINVAL or -ENOMEM. -E2BIG: it is
 * not worth it. */
bool seg_is_list(enum seg_record_type type);
int seg_pieces_lay(const struct seg_block *b, uint8_t **buf, size_t *room, uint32_t *len);
/* Decompresses the n bytes at frame; crc is what the block must have. */
int seg_expand(const struct seg_record *r, const uint8_t *frame, size_t n, uint32_t crc, void *buf, size_t room,
               struct errtext *err);

/* ---- the writer ---- */
struct seg_writer {
    int fd; /* the caller's */
    struct seg_header header;
    struct seg_runs runs;
    uint64_t end; /* where the next record goes; the object's size once sealed */
    bool sealed;
    uint32_t crc;              /* then: of the footer */
    bool broken;               /* a failed append could not be cut off: nothing may be appended any more */
    struct seg_packer *packer; /* created once the writer has to pack by itself */
    struct chunk_list *chunks; /* in the literal areas of its blocks; NULL: none so far */
    bool chunks_done;          /* this list is a record of it */
    size_t sources;            /* so many it is to list in all */
    size_t sources_done;       /* so many of them are in records of it */
};
struct seg_writer *seg_writer_new(int fd, const struct seg_header *h);
int seg_write_at(int fd, const void *buf, size_t len, uint64_t offset); /* all of it, or a negative errno */

#endif
