/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_pack.c: makes a block ready for a segment: sums, zstd, AES-256-GCM; see segment.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "vtl/format/segment_private.h"
#include "vtl/format/source.h"

/* What is left of a block in pieces may be little more than where the rest is, of which zstd saves nothing. */
#define PIECES_WORTH_ZSTD 1024u

struct seg_packer {
    struct seg_compressor *zstd; /* made at the first block that wants it */
    uint8_t *laid;               /* a block in pieces */
    size_t laid_room;
    uint8_t *sealed_box; /* an encrypted record */
    size_t box_room;
};

struct seg_packer *seg_packer_new(void)
{
    return calloc(1, sizeof(struct seg_packer));
}

void seg_packer_free(struct seg_packer *p)
{
    if (!p)
        return;
    seg_compressor_free(p->zstd);
    free(p->laid);
    free(p->sealed_box);
    free(p);
}

static void try_zstd(struct seg_packer *p, struct seg_packed *b)
{
    if (!p->zstd)
        p->zstd = seg_compressor_new();
    uint32_t n = p->zstd ? seg_compress(p->zstd, b->payload, b->r.stored_len, &b->payload) : 0;
    if (!n)
        return;
    b->r.flags |= SEG_ZSTD;
    b->r.stored_len = n;
    b->r.crc_stored = crc32c(0, b->payload, n);
}

/* What the block holds itself, in place of the block. */
static int lay_pieces(struct seg_packer *p, const struct seg_block *b, struct seg_packed *out)
{
    uint32_t len = 0;
    int rc = seg_pieces_lay(b, &p->laid, &p->laid_room, &len);
    if (rc)
        return rc;
    out->r.flags = SEG_PIECES;
    out->r.stored_len = len;
    out->r.crc_stored = crc32c(0, p->laid, len);
    out->payload = p->laid;
    return 0;
}

int seg_pack(struct seg_packer *p, const uint8_t cartridge[16], const struct seg_block *b, const struct seg_key *key,
             struct seg_packed *out)
{
    if (!b->len || b->len > TAPE_MAX_BLOCK)
        return -EINVAL;
    /* Raw: what is stored is the block, and the sum that came with it is that of both. */
    out->r = (struct seg_record){.type = SEG_BLOCK,
                                 .object = b->object,
                                 .length = b->len,
                                 .stored_len = b->len,
                                 .crc_plain = b->crc_plain,
                                 .crc_stored = b->crc_plain};
    out->payload = b->data;
    out->make = b->make;
    int rc = b->make && b->make->n_sources ? lay_pieces(p, b, out) : 0;
    if (rc)
        return rc;
    if (b->compress && (!(out->r.flags & SEG_PIECES) || out->r.stored_len >= PIECES_WORTH_ZSTD))
        try_zstd(p, out);
    return key ? seg_encrypt(cartridge, key, &out->r, &out->payload, &p->sealed_box, &p->box_room) : 0;
}

uint32_t seg_packed_size(const struct seg_packed *b)
{
    return seg_record_size(&b->r);
}
