/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_index.c: index and footer of a sealed segment, decoded and checked; see segment.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/segment_private.h"

#define FIRST_FETCH 65536 /* 1600 entries; a segment of equal blocks has a handful */

/* The footer, decoded. */
struct footer {
    uint64_t index_offset, objects, filemarks, records, plain_bytes;
    uint32_t entries, crc_index, identity, crc, version;
};

bool seg_footer_has_lists(const void *footer)
{
    return !memcmp(footer, seg_footer_magic(SEG_VERSION_PIECES), 8);
}

uint64_t seg_tail_size(uint64_t size)
{
    return size < FIRST_FETCH ? size : FIRST_FETCH;
}

static int decode_footer(const uint8_t *f, uint64_t size, struct footer *out, struct errtext *err)
{
    uint32_t version = SEG_VERSION_PIECES;
    while (version && memcmp(f, seg_footer_magic(version), 8) != 0)
        version--;
    if (!version)
        return errtext_set(err, -EBADMSG, "segment footer: not there");
    if (get_le32(f + 60) != crc32c(0, f, 60))
        return errtext_set(err, -EBADMSG, "segment footer: CRC is %08x, should be %08x", crc32c(0, f, 60),
                           get_le32(f + 60));
    *out = (struct footer){.index_offset = get_le64(f + 8),
                           .entries = get_le32(f + 16),
                           .crc_index = get_le32(f + 20),
                           .objects = get_le64(f + 24),
                           .filemarks = get_le64(f + 32),
                           .records = get_le64(f + 40),
                           .plain_bytes = get_le64(f + 48),
                           .identity = get_le32(f + 56),
                           .crc = get_le32(f + 60),
                           .version = version};
    uint64_t tail = (uint64_t)out->entries * SEG_INDEX_ENTRY_SIZE + SEG_FOOTER_SIZE;
    if (out->records <= size / SEG_RECORD_SIZE)
        tail += seg_table_size(out->version, out->records);
    if (!out->entries || out->records > size / SEG_RECORD_SIZE || tail > size || out->index_offset != size - tail ||
        out->index_offset < SEG_HEADER_SIZE)
        return errtext_set(err, -EBADMSG,
                           "segment footer: %u index entries at %" PRIu64 " do not fit a segment of %" PRIu64 " bytes",
                           out->entries, out->index_offset, size);
    return 0;
}

static bool entry_in_range(const struct seg_run *r)
{
    if (!r->count != seg_is_list(r->type) || r->first_object > SEG_MAX_NUMBER || r->first_file > r->first_object)
        return false;
    if (r->type == SEG_FILEMARKS)
        return !r->stride && !r->length;
    if (r->length < 1 || r->stride <= SEG_RECORD_SIZE || r->stride % 8 || r->stride > SEG_MAX_RECORD)
        return false;
    return seg_is_list(r->type) || (r->type == SEG_BLOCK && r->length <= TAPE_MAX_BLOCK);
}

/* Takes one entry over; it must continue what is there, and end at limit or before it. */
static int take_entry(struct seg_runs *x, const uint8_t *p, uint64_t *offset, uint64_t limit)
{
    struct seg_run r = {.first_object = get_le64(p),
                        .first_file = get_le64(p + 8),
                        .offset = get_le64(p + 16),
                        .count = get_le32(p + 24),
                        .stride = get_le32(p + 28),
                        .type = (enum seg_record_type)get_le32(p + 32),
                        .length = get_le32(p + 36)};
    if (!entry_in_range(&r))
        return -EBADMSG;
    if (!x->n)
        seg_runs_init(x, r.first_object, r.first_file);
    uint64_t bytes = r.type == SEG_BLOCK   ? (uint64_t)r.count * r.stride
                     : seg_is_list(r.type) ? r.stride
                                           : SEG_RECORD_SIZE;
    if (r.first_object != x->end_object || r.first_file != x->end_file || r.offset != *offset ||
        bytes > limit - *offset)
        return -EBADMSG;
    if (seg_runs_reserve_run(x))
        return -ENOMEM;
    seg_runs_add_run(x, &r);
    *offset += bytes;
    return 0;
}

static int take_entries(struct seg_runs *x, const struct footer *f, const uint8_t *entries, struct errtext *err)
{
    uint64_t offset = SEG_HEADER_SIZE;
    for (uint32_t i = 0; i < f->entries; i++) {
        int rc = take_entry(x, entries + (size_t)i * SEG_INDEX_ENTRY_SIZE, &offset, f->index_offset);
        if (rc == -ENOMEM)
            return errtext_set(err, rc, "segment index: out of memory");
        if (rc)
            return errtext_set(err, rc, "segment index: entry %u of %u is not possible", i, f->entries);
    }
    if (offset != f->index_offset || x->objects != f->objects || x->filemarks != f->filemarks ||
        x->records != f->records || x->plain_bytes != f->plain_bytes)
        return errtext_set(err, -EBADMSG, "segment index: its sums are not those of the footer");
    const uint8_t *table = entries + (size_t)f->entries * SEG_INDEX_ENTRY_SIZE;
    if (f->version != SEG_VERSION_1 && seg_runs_take_crcs(x, table))
        return errtext_set(err, -ENOMEM, "segment index: out of memory");
    return 0;
}

int seg_index_decode(const void *tail, uint64_t tail_len, uint64_t size, struct seg_index **out, uint64_t *need,
                     struct errtext *err)
{
    struct footer f = {0};
    *out = NULL;
    if (size < SEG_HEADER_SIZE + SEG_RECORD_SIZE + SEG_INDEX_ENTRY_SIZE + SEG_FOOTER_SIZE || size > SEG_MAX_SIZE ||
        tail_len > size)
        return errtext_set(err, -EBADMSG, "segment: %" PRIu64 " bytes cannot be a segment", size);
    if (tail_len < SEG_FOOTER_SIZE) {
        *need = seg_tail_size(size);
        return -EAGAIN;
    }
    const uint8_t *end = (const uint8_t *)tail + tail_len;
    int rc = decode_footer(end - SEG_FOOTER_SIZE, size, &f, err);
    if (rc)
        return rc;
    if (size - f.index_offset > tail_len) {
        *need = size - f.index_offset;
        return -EAGAIN;
    }
    const uint8_t *entries = end - (size - f.index_offset);
    uint32_t crc = crc32c(0, entries, size - f.index_offset - SEG_FOOTER_SIZE);
    if (crc != f.crc_index)
        return errtext_set(err, -EBADMSG, "segment index: CRC is %08x, should be %08x", crc, f.crc_index);
    struct seg_index *x = calloc(1, sizeof(*x));
    if (!x)
        return errtext_set(err, -ENOMEM, "segment index: out of memory");
    x->size = size;
    x->identity = f.identity;
    x->crc = f.crc;
    x->version = f.version;
    rc = take_entries(&x->runs, &f, entries, err);
    if (rc)
        seg_index_free(x);
    else
        *out = x;
    return rc;
}

uint32_t seg_index_identity(const struct seg_index *x)
{
    return x->identity;
}

int seg_index_find(const struct seg_index *x, uint64_t object, uint64_t *offset, uint32_t *size)
{
    return seg_runs_find(&x->runs, object, offset, size);
}

int seg_index_check(const struct seg_index *x, uint64_t object, const void *rec, struct errtext *err)
{
    uint32_t want, is = get_le32((const uint8_t *)rec + 36);
    if (!seg_runs_crc(&x->runs, object, &want) || is == want)
        return 0;
    return errtext_set(err, -EBADMSG,
                       "record of object %" PRIu64 " is another one: its header's CRC is %08x, its index says %08x",
                       object, is, want);
}

/* Run of the list i of that type, or NULL. */
static const struct seg_run *list_run(const struct seg_index *x, enum seg_record_type type, size_t i)
{
    for (size_t k = x->runs.n; k-- > 0;)
        if (x->runs.v[k].type == type && !i--)
            return &x->runs.v[k];
    return NULL;
}

bool seg_index_list(const struct seg_index *x, enum seg_record_type type, size_t i, uint64_t *offset, uint32_t *size)
{
    const struct seg_run *r = list_run(x, type, i);
    if (r) {
        *offset = r->offset;
        *size = r->stride;
    }
    return r != NULL;
}

int seg_index_open_list(const struct seg_index *x, enum seg_record_type type, size_t i, const void *rec, uint32_t size,
                        const void **list, uint32_t *len, struct errtext *err)
{
    const struct seg_run *run = list_run(x, type, i);
    const uint8_t *p = rec;
    struct seg_record r;
    int rc = seg_record_decode(p, size, &r, err);
    if (!rc && (!run || !x->runs.crcs || x->runs.crcs[run->first_record] != get_le32(p + 36)))
        rc = errtext_set(err, -EBADMSG, "a list of the segment is another one than its index says");
    if (!rc)
        rc = seg_check_stored(&r, p + SEG_RECORD_SIZE, err);
    if (!rc) {
        *list = p + SEG_RECORD_SIZE;
        *len = r.stored_len;
    }
    return rc;
}

void seg_index_totals(const struct seg_index *x, struct seg_totals *out)
{
    seg_runs_totals(&x->runs, out);
    out->header.version = x->version;
    out->stored_bytes = x->size;
    out->crc = x->crc;
}

void seg_index_free(struct seg_index *x)
{
    if (!x)
        return;
    seg_runs_free(&x->runs);
    free(x);
}
