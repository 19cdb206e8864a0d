/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_runs.c: where each object of one segment is, as runs of equal records; the same in the writer and in a
 * decoded index. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/segment_private.h"

void seg_runs_init(struct seg_runs *x, uint64_t first_object, uint64_t first_file)
{
    memset(x, 0, sizeof(*x));
    x->end_object = first_object;
    x->end_file = first_file;
}

void seg_runs_free(struct seg_runs *x)
{
    free(x->v);
    free(x->fms);
    free(x->crcs);
    memset(x, 0, sizeof(*x));
}

int seg_runs_reserve_run(struct seg_runs *x)
{
    if (x->n == x->room && !array_grow(&x->v, &x->room, sizeof(*x->v)))
        return -ENOMEM;
    if (x->n_fms == x->room_fms && !array_grow(&x->fms, &x->room_fms, sizeof(*x->fms)))
        return -ENOMEM;
    return 0;
}

int seg_runs_reserve(struct seg_runs *x)
{
    if (x->records == x->room_crcs && !array_grow(&x->crcs, &x->room_crcs, sizeof(*x->crcs)))
        return -ENOMEM;
    return seg_runs_reserve_run(x);
}

static void add_filemarks(struct seg_runs *x, uint32_t count)
{
    struct seg_fm_run *last = x->n_fms ? &x->fms[x->n_fms - 1] : NULL;
    if (last && last->object + last->count == x->end_object)
        last->count += count;
    else
        x->fms[x->n_fms++] = (struct seg_fm_run){.object = x->end_object, .count = count};
    x->filemarks += count;
    x->end_file += count;
}

static bool continues(const struct seg_run *last, uint64_t offset, uint32_t size, uint32_t length)
{
    return last->type == SEG_BLOCK && last->stride == size && last->length == length && last->count < UINT32_MAX &&
           last->offset + (uint64_t)last->count * size == offset;
}

void seg_runs_add_run(struct seg_runs *x, const struct seg_run *r)
{
    bool block = r->type == SEG_BLOCK;
    INVARIANT(x->n < x->room && r->first_object == x->end_object && r->first_file == x->end_file);
    INVARIANT(!x->n || x->v[x->n - 1].offset < r->offset);
    x->v[x->n] = *r;
    x->v[x->n++].first_record = x->records;
    if (r->type == SEG_FILEMARKS)
        add_filemarks(x, r->count);
    x->objects += r->count;
    x->end_object += r->count;
    x->plain_bytes += block ? (uint64_t)r->count * r->length : 0;
    x->records += block ? r->count : 1;
}

void seg_runs_add(struct seg_runs *x, const struct seg_record *rec, uint64_t offset, uint32_t size, uint32_t crc)
{
    uint32_t length = rec->length;
    bool block = rec->type == SEG_BLOCK;
    x->crcs[x->records] = crc;
    if (block && x->n && continues(&x->v[x->n - 1], offset, size, length)) {
        x->v[x->n - 1].count++;
        x->objects++;
        x->end_object++;
        x->plain_bytes += length;
        x->records++;
        return;
    }
    struct seg_run r = {.first_object = x->end_object,
                        .first_file = x->end_file,
                        .offset = offset,
                        .count = seg_record_objects(rec),
                        .stride = rec->type == SEG_FILEMARKS ? 0 : size,
                        .type = rec->type,
                        .length = rec->type == SEG_FILEMARKS ? 0 : length};
    seg_runs_add_run(x, &r);
}

int seg_runs_take_crcs(struct seg_runs *x, const uint8_t *table)
{
    uint32_t *crcs = malloc((x->records ? x->records : 1) * sizeof(*crcs));
    if (!crcs)
        return -ENOMEM;
    for (uint64_t i = 0; i < x->records; i++)
        crcs[i] = get_le32(table + 4 * i);
    free(x->crcs);
    x->crcs = crcs;
    x->room_crcs = x->records;
    return 0;
}

/* The run that holds the object, or NULL. A list, without objects, comes before the run that begins at the same
 * number. */
static const struct seg_run *run_of(const struct seg_runs *x, uint64_t object)
{
    size_t lo = 0, hi = x->n; /* the last run that begins at object or before it */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->v[mid].first_object <= object)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && object < x->end_object ? &x->v[lo - 1] : NULL;
}

int seg_runs_find(const struct seg_runs *x, uint64_t object, uint64_t *offset, uint32_t *size)
{
    const struct seg_run *r = run_of(x, object);
    if (!r)
        return -ENOENT;
    *offset = r->offset + (object - r->first_object) * r->stride;
    *size = r->stride ? r->stride : SEG_RECORD_SIZE;
    return 0;
}

bool seg_runs_crc(const struct seg_runs *x, uint64_t object, uint32_t *crc)
{
    const struct seg_run *r = x->crcs ? run_of(x, object) : NULL;
    if (r)
        *crc = x->crcs[r->first_record + (r->stride ? object - r->first_object : 0)];
    return r != NULL;
}

void seg_runs_totals(const struct seg_runs *x, struct seg_totals *out)
{
    memset(out, 0, sizeof(*out));
    out->objects = x->objects;
    out->filemarks = x->filemarks;
    out->plain_bytes = x->plain_bytes;
    out->fms = x->fms;
    out->n_fms = x->n_fms;
}

uint64_t seg_table_size(uint32_t version, uint64_t records)
{
    return version == SEG_VERSION_1 ? 0 : seg_pad8(4 * records);
}

uint64_t seg_runs_tail_size(const struct seg_runs *x, uint32_t version)
{
    return (uint64_t)x->n * SEG_INDEX_ENTRY_SIZE + seg_table_size(version, x->records) + SEG_FOOTER_SIZE;
}

static void encode_entry(const struct seg_run *r, uint8_t *p)
{
    put_le64(p, r->first_object);
    put_le64(p + 8, r->first_file);
    put_le64(p + 16, r->offset);
    put_le32(p + 24, r->count);
    put_le32(p + 28, r->stride);
    put_le32(p + 32, (uint32_t)r->type);
    put_le32(p + 36, r->length);
}

const char *seg_footer_magic(uint32_t version)
{
    return version == SEG_VERSION_1 ? SEG_FOOTER_MAGIC_1
           : version == SEG_VERSION ? SEG_FOOTER_MAGIC
                                    : SEG_FOOTER_MAGIC_PIECES;
}

uint32_t seg_runs_encode(const struct seg_runs *x, const struct seg_header *h, uint64_t offset, uint8_t *out)
{
    uint64_t entries = (uint64_t)x->n * SEG_INDEX_ENTRY_SIZE, table = seg_table_size(h->version, x->records);
    memset(out, 0, entries + table + SEG_FOOTER_SIZE);
    for (size_t i = 0; i < x->n; i++)
        encode_entry(&x->v[i], out + i * SEG_INDEX_ENTRY_SIZE);
    for (uint64_t i = 0; table && i < x->records; i++)
        put_le32(out + entries + 4 * i, x->crcs[i]);
    uint8_t *f = out + entries + table;
    memcpy(f, seg_footer_magic(h->version), 8);
    put_le64(f + 8, offset); /* of the index */
    put_le32(f + 16, (uint32_t)x->n);
    put_le32(f + 20, crc32c(0, out, entries + table));
    put_le64(f + 24, x->objects);
    put_le64(f + 32, x->filemarks);
    put_le64(f + 40, x->records);
    put_le64(f + 48, x->plain_bytes);
    put_le32(f + 56, seg_identity(h->cartridge, &h->id));
    put_le32(f + 60, crc32c(0, f, 60));
    return get_le32(f + 60);
}
