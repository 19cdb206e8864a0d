/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * segment_walk.c: the index of a segment whose index or footer is damaged, made anew from its records; and the sum of
 * the whole file, from the same.
 *
 * Index and footer are a function of the header and of the records' headers, and this makes them again. The footer made
 * here is the one that was lost, or the records are not the ones that it was written for: its CRC, which head and map
 * know, covers the CRC of each record's header, and these cover those of the blocks. So whoever compares the CRC of the
 * new footer with the name has the binding that the old one gave, and loses nothing of it.
 *
 * Where no CRC is known by name (version 1), there was nothing to lose: then the header says cartridge, epoch, writer and
 * sequence under its own CRC, each record its object, in order and without a gap, under its own, and all of them fill the
 * segment to the byte.
 *
 * A record's header tells the CRC of what follows it. So the same walk gives the CRC32C that the file must have from its
 * first byte to its last, though it reads but 40 bytes of each record.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/segment_private.h"

/* Records so small that reading all of them costs no more than a walk from one to the next. */
enum { SMALL = 16384, FEW = 64 };

/* The sum of the bytes so far. */
struct sum {
    uint32_t crc;
    uint32_t length, power; /* crc32c_power(length): most records of a segment have one length */
};

static void sum_record(struct sum *s, const uint8_t rec[SEG_RECORD_SIZE], const struct seg_record *r)
{
    static const uint8_t zeros[8];
    uint32_t stored = r->ext_len + r->stored_len;
    s->crc = crc32c(s->crc, rec, SEG_RECORD_SIZE);
    if (stored != s->length) {
        s->length = stored;
        s->power = crc32c_power(stored);
    }
    if (stored)
        s->crc = crc32c_join(s->crc, s->power, r->crc_stored);
    s->crc = crc32c(s->crc, zeros, seg_record_size(r) - SEG_RECORD_SIZE - stored);
}

/* The record at *at becomes the next one of x, and of sum, where that is wanted. */
static int take_record(const struct seg_bytes *b, struct seg_runs *x, uint64_t *at, struct sum *sum,
                       struct errtext *err)
{
    uint8_t rec[SEG_RECORD_SIZE];
    struct seg_record r;
    uint64_t left = b->size - *at;
    if (left < SEG_RECORD_SIZE)
        return errtext_set(err, -EBADMSG, "segment: no record fits at byte %" PRIu64, *at);
    int rc = b->read(b->arg, *at, SEG_RECORD_SIZE, rec, err);
    if (!rc)
        rc = seg_record_parse(rec, &r, err);
    if (rc)
        return rc;
    uint32_t size = seg_record_size(&r);
    if (r.object != x->end_object || r.object + r.length > SEG_MAX_NUMBER || size > left)
        return errtext_set(err, -EBADMSG, "record of object %" PRIu64 ": stands where object %" PRIu64 " should",
                           r.object, x->end_object);
    if (seg_runs_reserve(x))
        return errtext_set(err, -ENOMEM, "segment index: out of memory");
    seg_runs_add(x, &r, *at, size, get_le32(rec + 36));
    *at += size;
    if (sum)
        sum_record(sum, rec, &r);
    if (sum && x->records >= FEW && *at / x->records < SMALL)
        return errtext_set(err, -E2BIG, "segment: its records are small");
    return 0;
}

/* The tail grows with each record, so only the right number of them ends where it begins. */
static int take_records(const struct seg_bytes *b, struct seg_index *x, uint64_t *end, struct sum *sum,
                        struct errtext *err)
{
    int rc = 0;
    *end = SEG_HEADER_SIZE;
    while (!rc && *end + seg_runs_tail_size(&x->runs, x->version) < b->size)
        rc = take_record(b, &x->runs, end, sum, err);
    if (!rc && (!x->runs.n || *end + seg_runs_tail_size(&x->runs, x->version) != b->size))
        rc = errtext_set(err, -EBADMSG, "segment: its records do not end where its index should begin");
    return rc;
}

static int make_footer(struct seg_index *x, const struct seg_header *h, uint64_t end, struct sum *sum,
                       struct errtext *err)
{
    uint64_t len = seg_runs_tail_size(&x->runs, x->version);
    uint8_t *tail = malloc(len);
    if (!tail)
        return errtext_set(err, -ENOMEM, "segment index: out of memory");
    x->crc = seg_runs_encode(&x->runs, h, end, tail);
    if (sum)
        sum->crc = crc32c(sum->crc, tail, len);
    free(tail);
    return 0;
}

/* sum: NULL, or of the whole file in the end. */
static int walk(const struct seg_bytes *b, struct seg_index **out, struct sum *sum, struct errtext *err)
{
    uint8_t buf[SEG_HEADER_SIZE];
    struct seg_header h;
    uint64_t end = 0;
    *out = NULL;
    if (b->size < SEG_HEADER_SIZE + SEG_RECORD_SIZE + SEG_INDEX_ENTRY_SIZE + SEG_FOOTER_SIZE || b->size > SEG_MAX_SIZE)
        return errtext_set(err, -EBADMSG, "segment: %" PRIu64 " bytes cannot be a segment", b->size);
    int rc = b->read(b->arg, 0, sizeof(buf), buf, err);
    if (!rc)
        rc = seg_header_decode(buf, sizeof(buf), &h, err);
    if (rc)
        return rc;
    if (sum)
        sum->crc = crc32c(0, buf, sizeof(buf));
    struct seg_index *x = calloc(1, sizeof(*x));
    if (!x)
        return errtext_set(err, -ENOMEM, "segment index: out of memory");
    x->size = b->size;
    x->version = h.version;
    x->identity = seg_identity(h.cartridge, &h.id);
    seg_runs_init(&x->runs, h.first_object, h.first_file);
    rc = take_records(b, x, &end, sum, err);
    if (!rc)
        rc = make_footer(x, &h, end, sum, err);
    if (rc)
        seg_index_free(x);
    else
        *out = x;
    return rc;
}

int seg_index_walk(const struct seg_bytes *b, struct seg_index **out, struct errtext *err)
{
    return walk(b, out, NULL, err);
}

int seg_sum(const struct seg_bytes *b, uint32_t *footer, uint32_t *crc, struct errtext *err)
{
    struct seg_index *x;
    struct sum sum = {.power = crc32c_power(0)};
    int rc = walk(b, &x, &sum, err);
    if (rc)
        return rc;
    *footer = x->crc;
    *crc = sum.crc;
    seg_index_free(x);
    return 0;
}
