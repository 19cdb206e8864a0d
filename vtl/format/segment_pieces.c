/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_pieces.c: records of blocks in pieces, laid out, taken apart and put together; see source.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/segment_private.h"
#include "vtl/format/source.h"

#define HEAD_SIZE 16u  /* how many pieces and sources; CRC and bytes of the literals */
#define PIECE_SIZE 24u /* FORMAT.md, "Block, pieces" */

static uint64_t laid_size(uint32_t n_sources, uint32_t n_pieces, uint32_t n_literals)
{
    return HEAD_SIZE + (uint64_t)n_sources * SEG_SOURCE_SIZE + (uint64_t)n_pieces * PIECE_SIZE + n_literals;
}

static int grow(uint8_t **buf, size_t *room, size_t need)
{
    if (need <= *room)
        return 0;
    uint8_t *more = realloc(*buf, need);
    if (!more)
        return -ENOMEM;
    *buf = more;
    *room = need;
    return 0;
}

/* ---- laying out ---- */

static void encode_piece(const struct seg_piece *s, uint8_t p[PIECE_SIZE])
{
    memset(p, 0, PIECE_SIZE);
    put_le32(p, s->source);
    put_le32(p + 4, s->length);
    put_le64(p + 8, s->object);
    put_le32(p + 16, s->offset);
}

/* The pieces are all of the block, and name sources that there are. *literals: bytes of the literal ones. */
static bool is_whole(const struct seg_block *b, uint32_t *literals)
{
    uint64_t sum = 0;
    *literals = 0;
    for (uint32_t i = 0; i < b->make->n_pieces; i++) {
        const struct seg_piece *p = &b->make->pieces[i];
        if (!p->length || p->length > b->len || (p->source != SEG_LITERAL && p->source >= b->make->n_sources))
            return false;
        sum += p->length;
        if (p->source == SEG_LITERAL && sum <= b->len)
            *literals += p->length;
    }
    return sum == b->len;
}

int seg_pieces_lay(const struct seg_block *b, uint8_t **buf, size_t *room, uint32_t *len)
{
    const struct seg_make *m = b->make;
    uint32_t literals = 0, at = 0;
    if (m->n_sources > SEG_MAX_SOURCES || m->n_pieces > SEG_MAX_PIECES || !is_whole(b, &literals))
        return -EINVAL;
    uint64_t size = laid_size(m->n_sources, m->n_pieces, literals);
    if (size >= b->len)
        return -E2BIG;
    int rc = grow(buf, room, size);
    if (rc)
        return rc;
    uint8_t *p = *buf + HEAD_SIZE, *to = *buf + (size - literals);
    for (uint32_t i = 0; i < m->n_sources; i++, p += SEG_SOURCE_SIZE) {
        if (!seg_source_possible(&m->sources[i]))
            return -EINVAL;
        seg_source_encode(&m->sources[i], p);
    }
    for (uint32_t i = 0; i < m->n_pieces; i++, p += PIECE_SIZE) {
        const struct seg_piece *piece = &m->pieces[i];
        encode_piece(piece, p);
        if (piece->source == SEG_LITERAL) {
            memcpy(to, (const uint8_t *)b->data + at, piece->length);
            to += piece->length;
        }
        at += piece->length;
    }
    put_le32(*buf, m->n_pieces);
    put_le32(*buf + 4, m->n_sources);
    put_le32(*buf + 8, crc32c(0, *buf + (size - literals), literals));
    put_le32(*buf + 12, literals);
    *len = (uint32_t)size;
    return 0;
}

/* ---- taking apart ---- */

void seg_scratch_free(struct seg_scratch *s)
{
    if (s->box)
        OPENSSL_cleanse(s->box, s->box_room);
    if (s->plain)
        OPENSSL_cleanse(s->plain, s->plain_room);
    free(s->box);
    free(s->plain);
    *s = (struct seg_scratch){0};
}

struct unpacked {
    const uint8_t *data; /* what was packed, before zstd and AES */
    uint32_t n;
    uint32_t crc; /* of the plain block */
};

static int unpack(const struct seg_record *r, const uint8_t *ext, const uint8_t cartridge[16],
                  const struct seg_key *key, struct seg_scratch *s, struct unpacked *out, struct errtext *err)
{
    int rc = seg_check_stored(r, ext, err);
    out->data = ext + r->ext_len;
    out->n = r->stored_len;
    out->crc = r->crc_plain;
    if (!rc && (r->flags & SEG_AES256_GCM)) {
        if (!key || !cartridge)
            return errtext_set(err, -ENOKEY, "block %" PRIu64 " is encrypted", r->object);
        out->n -= SEG_AES_OVERHEAD;
        if (grow(&s->box, &s->box_room, out->n))
            return errtext_set(err, -ENOMEM, "block %" PRIu64 ": out of memory", r->object);
        if ((rc = seg_unbox(r, ext, cartridge, key->key, &out->crc, s->box)))
            (void)seg_unbox_error(r, rc, err);
        out->data = s->box;
    }
    if (!rc && (r->flags & SEG_ZSTD)) {
        if (grow(&s->plain, &s->plain_room, r->length))
            return errtext_set(err, -ENOMEM, "block %" PRIu64 ": out of memory", r->object);
        size_t got = 0;
        if ((rc = seg_unzstd(r, out->data, out->n, s->plain, &got, err)))
            return rc;
        out->data = s->plain;
        out->n = (uint32_t)got;
    }
    return rc;
}

void seg_pieced_source(const struct seg_pieced *p, uint32_t i, struct seg_source *out)
{
    seg_source_decode(p->sources + (size_t)i * SEG_SOURCE_SIZE, out);
}

void seg_pieced_piece(const struct seg_pieced *p, uint32_t i, struct seg_piece *out)
{
    const uint8_t *b = p->pieces + (size_t)i * PIECE_SIZE;
    *out = (struct seg_piece){
        .source = get_le32(b), .length = get_le32(b + 4), .object = get_le64(b + 8), .offset = get_le32(b + 16)};
}

static bool pieces_in_range(const struct seg_pieced *p)
{
    uint64_t sum = 0, literals = 0;
    for (uint32_t i = 0; i < p->n_sources; i++) {
        struct seg_source s;
        seg_pieced_source(p, i, &s);
        if (!seg_source_possible(&s))
            return false;
    }
    for (uint32_t i = 0; i < p->n_pieces; i++) {
        struct seg_piece s;
        seg_pieced_piece(p, i, &s);
        if (!s.length || s.length > TAPE_MAX_BLOCK || s.object > SEG_MAX_NUMBER || s.offset >= TAPE_MAX_BLOCK ||
            (s.source != SEG_LITERAL && s.source >= p->n_sources))
            return false;
        sum += s.length;
        literals += s.source == SEG_LITERAL ? s.length : 0;
    }
    return sum == p->length && literals == p->n_literals;
}

int seg_pieces_open(const struct seg_record *r, const void *rec, const uint8_t cartridge[16], const struct seg_key *key,
                    struct seg_scratch *s, struct seg_pieced *out, struct errtext *err)
{
    struct unpacked u = {NULL, 0, 0};
    int rc = unpack(r, (const uint8_t *)rec + SEG_RECORD_SIZE, cartridge, key, s, &u, err);
    if (rc)
        return rc;
    const uint8_t *data = u.data;
    bool good = u.n >= HEAD_SIZE;
    *out = (struct seg_pieced){.length = r->length, .crc_plain = u.crc, .object = r->object};
    if (good) {
        out->n_pieces = get_le32(data);
        out->n_sources = get_le32(data + 4);
        out->n_literals = get_le32(data + 12);
        out->sources = data + HEAD_SIZE;
        good = out->n_sources >= 1 && out->n_sources <= SEG_MAX_SOURCES && out->n_pieces >= 1 &&
               out->n_pieces <= SEG_MAX_PIECES && u.n == laid_size(out->n_sources, out->n_pieces, out->n_literals);
    }
    if (good) {
        out->pieces = out->sources + (size_t)out->n_sources * SEG_SOURCE_SIZE;
        out->literals = out->pieces + (size_t)out->n_pieces * PIECE_SIZE;
        good = pieces_in_range(out);
    }
    if (!good)
        return errtext_set(err, -EBADMSG, "block %" PRIu64 ": its pieces cannot be", r->object);
    uint32_t crc = crc32c(0, out->literals, out->n_literals);
    if (crc != get_le32(data + 8))
        return errtext_set(err, -EBADMSG, "block %" PRIu64 ": CRC of its own bytes is %08x, should be %08x", r->object,
                           crc, get_le32(data + 8));
    return 0;
}

/* ---- putting together ---- */

int seg_pieces_make(const struct seg_pieced *p, seg_copy_fn copy, void *arg, uint8_t *block, struct errtext *err)
{
    const uint8_t *literal = p->literals;
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->n_pieces; i++) {
        struct seg_piece piece;
        seg_pieced_piece(p, i, &piece);
        if (piece.source == SEG_LITERAL) {
            memcpy(block + at, literal, piece.length);
            literal += piece.length;
        } else {
            struct seg_source from;
            seg_pieced_source(p, piece.source, &from);
            int rc = copy(arg, &from, &piece, block + at, err);
            if (rc)
                return rc;
        }
        at += piece.length;
    }
    uint32_t crc = crc32c(0, block, p->length);
    if (crc != p->crc_plain)
        return errtext_set(err, -EBADMSG, "block %" PRIu64 ": CRC of the plain bytes is %08x, should be %08x",
                           p->object, crc, p->crc_plain);
    return 0;
}

int seg_literals(const struct seg_record *r, const void *rec, const uint8_t cartridge[16], const struct seg_key *key,
                 struct seg_scratch *s, const uint8_t **area, uint32_t *len, struct errtext *err)
{
    if (r->flags & SEG_PIECES) {
        struct seg_pieced p;
        int rc = seg_pieces_open(r, rec, cartridge, key, s, &p, err);
        if (rc)
            return rc;
        *area = p.literals;
        *len = p.n_literals;
        return 0;
    }
    struct unpacked u = {NULL, 0, 0};
    int rc = unpack(r, (const uint8_t *)rec + SEG_RECORD_SIZE, cartridge, key, s, &u, err);
    *area = u.data;
    *len = u.n;
    if (!rc && *len != r->length)
        rc = errtext_set(err, -EBADMSG, "block %" PRIu64 ": %u bytes after decompression, should be %u", r->object,
                         *len, r->length);
    if (rc || (!r->flags && !r->ext_len && r->crc_plain == r->crc_stored))
        return rc; /* what is stored is the block: one sum is both */
    uint32_t is = crc32c(0, *area, *len);
    if (is != u.crc)
        return errtext_set(err, -EBADMSG, "block %" PRIu64 ": CRC of the plain bytes is %08x, should be %08x",
                           r->object, is, u.crc);
    return 0;
}
