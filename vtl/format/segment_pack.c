/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_pack.c: makes a block ready for a segment: sums, zstd, AES-256-GCM; see segment.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "vtl/format/segment_private.h"

struct seg_packer {
    struct seg_compressor *zstd; /* made at the first block that wants it */
    uint8_t *sealed_box;         /* an encrypted record */
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
    free(p->sealed_box);
    free(p);
}

static void try_zstd(struct seg_packer *p, struct seg_packed *b)
{
    if (!p->zstd)
        p->zstd = seg_compressor_new();
    uint32_t n = p->zstd ? seg_compress(p->zstd, b->payload, b->r.length, &b->payload) : 0;
    if (!n)
        return;
    b->r.flags = SEG_ZSTD;
    b->r.stored_len = n;
    b->r.crc_stored = crc32c(0, b->payload, n);
}

int seg_pack(struct seg_packer *p, const uint8_t cartridge[16], const struct seg_block *b, const struct seg_key *key,
             struct seg_packed *out)
{
    if (!b->len || b->len > TAPE_MAX_BLOCK)
        return -EINVAL;
    /* Raw: what is stored is the block, and the sum taken when it arrived is that of both. */
    out->r = (struct seg_record){.type = SEG_BLOCK,
                                 .object = b->object,
                                 .length = b->len,
                                 .stored_len = b->len,
                                 .crc_plain = b->crc_plain,
                                 .crc_stored = b->crc_plain};
    out->payload = b->data;
    if (b->compress)
        try_zstd(p, out);
    return key ? seg_encrypt(cartridge, key, &out->r, &out->payload, &p->sealed_box, &p->box_room) : 0;
}

uint32_t seg_packed_size(const struct seg_packed *b)
{
    return seg_record_size(&b->r);
}
