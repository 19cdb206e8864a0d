/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_writer.c: appends records to a segment's file, and ends it by index and footer; see segment.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/chunk_list.h"
#include "vtl/format/segment_private.h"
#include "vtl/format/source.h"

#define CHUNK_ENTRY_SIZE 64 /* bytes that a part adds to the list, or about that */

/* ---- the file ---- */

/* Writes all of iov (which it changes) at offset. */
static int write_all(int fd, struct iovec *iov, int n, uint64_t offset)
{
    while (n) {
        ssize_t done = pwritev(fd, iov, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done ? -errno : -EIO;
        offset += (uint64_t)done;
        size_t left = (size_t)done;
        while (n && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            n--;
        }
        if (n) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
    return 0;
}

int seg_write_at(int fd, const void *buf, size_t len, uint64_t offset)
{
    return write_all(fd, &(struct iovec){.iov_base = (void *)(uintptr_t)buf, .iov_len = len}, 1, offset);
}

/* Appends iov; on failure the file is what it was before. */
static int append(struct seg_writer *w, struct iovec *iov, int n)
{
    int rc = write_all(w->fd, iov, n, w->end);
    if (rc && ftruncate(w->fd, (off_t)w->end))
        w->broken = true; /* a torn record may stand there: a shorter one over it would leave its rest */
    return rc;
}

/* ---- life ---- */

struct seg_writer *seg_writer_new(int fd, const struct seg_header *h)
{
    struct seg_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->fd = fd;
    w->header = *h;
    w->header.version = h->version ? h->version : SEG_VERSION;
    w->end = SEG_HEADER_SIZE;
    seg_runs_init(&w->runs, h->first_object, h->first_file);
    return w;
}

int seg_writer_create(int fd, const struct seg_header *h, struct seg_writer **out)
{
    uint8_t buf[SEG_HEADER_SIZE];
    struct stat st;
    *out = NULL;
    int rc = seg_header_encode(h, buf);
    if (!rc && fstat(fd, &st))
        rc = -errno;
    if (!rc && st.st_size)
        rc = -EEXIST;
    if (rc)
        return rc;
    struct seg_writer *w = seg_writer_new(fd, h);
    if (!w)
        return -ENOMEM;
    w->end = 0;
    rc = append(w, &(struct iovec){.iov_base = buf, .iov_len = sizeof(buf)}, 1);
    if (rc) {
        seg_writer_free(w);
        return rc;
    }
    w->end = SEG_HEADER_SIZE;
    *out = w;
    return 0;
}

void seg_writer_free(struct seg_writer *w)
{
    if (!w)
        return;
    seg_packer_free(w->packer);
    chunk_list_free(w->chunks);
    seg_runs_free(&w->runs);
    free(w);
}

/* ---- records ---- */

static int may_append(struct seg_writer *w, uint32_t objects)
{
    if (w->sealed)
        return -EINVAL;
    if (w->broken)
        return -EIO;
    if (w->end > SEG_MAX_SIZE / 2 || w->runs.end_object + objects > SEG_MAX_NUMBER)
        return -EFBIG;
    return seg_runs_reserve(&w->runs);
}

/* payload: with the extension before it. */
static int append_record(struct seg_writer *w, const struct seg_record *r, const void *payload)
{
    static const uint8_t zeros[8];
    uint8_t header[SEG_RECORD_SIZE];
    seg_record_encode(r, header);
    uint32_t stored = r->ext_len + r->stored_len, size = seg_record_size(r), used = SEG_RECORD_SIZE + stored;
    struct iovec iov[] = {{.iov_base = header, .iov_len = sizeof(header)},
                          {.iov_base = (void *)(uintptr_t)payload, .iov_len = stored},
                          {.iov_base = (void *)(uintptr_t)zeros, .iov_len = size - used}};
    int rc = append(w, iov, 3);
    if (rc)
        return rc;
    seg_runs_add(&w->runs, r, w->end, size, get_le32(header + 36));
    w->end += size;
    INVARIANT(w->end % 8 == 0 && w->end <= SEG_MAX_SIZE); /* records are aligned: vtl/FORMAT.md */
    return 0;
}

/* What is not listed is not found by who could copy it: no more than that. */
static void note_chunks(struct seg_writer *w, const struct seg_packed *b)
{
    if (!w->chunks)
        w->chunks = chunk_list_new(w->header.first_object);
    if (w->chunks)
        (void)chunk_list_add(w->chunks, b->r.object, b->make->parts, b->make->n_parts);
}

int seg_writer_packed(struct seg_writer *w, const struct seg_packed *b)
{
    int rc = may_append(w, 1);
    if (!rc &&
        (b->r.object != w->runs.end_object || ((b->r.flags & SEG_PIECES) && w->header.version < SEG_VERSION_PIECES)))
        rc = -EINVAL;
    if (!rc)
        rc = append_record(w, &b->r, b->payload);
    if (!rc && b->make && b->make->n_parts)
        note_chunks(w, b);
    return rc;
}

int seg_writer_block(struct seg_writer *w, const void *block, uint32_t len, uint32_t crc_plain, bool compress)
{
    return seg_writer_encrypted_block(w, block, len, crc_plain, compress, NULL);
}

int seg_writer_encrypted_block(struct seg_writer *w, const void *block, uint32_t len, uint32_t crc_plain, bool compress,
                               const struct seg_key *key)
{
    struct seg_packed b;
    if (!w->packer && !(w->packer = seg_packer_new()))
        return -ENOMEM;
    const struct seg_block plain = {
        .object = w->runs.end_object, .data = block, .len = len, .crc_plain = crc_plain, .compress = compress};
    int rc = seg_pack(w->packer, w->header.cartridge, &plain, key, &b);
    return rc ? rc : seg_writer_packed(w, &b);
}

int seg_writer_filemarks(struct seg_writer *w, uint32_t count)
{
    if (!count)
        return -EINVAL;
    int rc = may_append(w, count);
    if (rc)
        return rc;
    struct seg_record r = {.type = SEG_FILEMARKS, .object = w->runs.end_object, .length = count};
    return append_record(w, &r, NULL);
}

/* The record of a list, and what the index has of it. */
static uint64_t list_size(const struct seg_writer *w, size_t len)
{
    return len ? seg_pad8(SEG_RECORD_SIZE + len) + SEG_INDEX_ENTRY_SIZE + seg_table_size(w->header.version, 1) : 0;
}

/* The lists so far: of chunks, and of what is copied from. */
static uint64_t lists_size(const struct seg_writer *w)
{
    size_t chunks = w->chunks && !w->chunks_done ? chunk_list_size(w->chunks) : 0;
    size_t sources = w->sources > w->sources_done ? w->sources - w->sources_done : 0;
    return list_size(w, chunks) + list_size(w, sources * SEG_SOURCE_SIZE);
}

void seg_writer_expect_sources(struct seg_writer *w, size_t n)
{
    w->sources = n;
}

uint64_t seg_writer_size(const struct seg_writer *w)
{
    return w->sealed ? w->end : w->end + lists_size(w) + seg_runs_tail_size(&w->runs, w->header.version);
}

uint64_t seg_writer_size_with(const struct seg_writer *w, uint32_t size)
{
    return seg_writer_size(w) + size + SEG_INDEX_ENTRY_SIZE + seg_table_size(w->header.version, 1);
}

bool seg_writer_has_room(const struct seg_writer *w, const struct seg_packed *b, uint64_t limit)
{
    uint32_t size = b ? seg_packed_size(b) : SEG_RECORD_SIZE;
    if (b && b->make) /* at most: the segment may list its sources already */
        size += b->make->n_parts * CHUNK_ENTRY_SIZE + b->make->n_sources * SEG_SOURCE_SIZE;
    uint64_t entry = SEG_INDEX_ENTRY_SIZE + seg_table_size(w->header.version, 1);
    if (w->header.version == SEG_VERSION_PIECES &&
        seg_runs_tail_size(&w->runs, w->header.version) + 3 * entry > seg_tail_size(SEG_MAX_SIZE))
        return false;
    return seg_writer_size_with(w, size) <= limit;
}

static int append_list(struct seg_writer *w, enum seg_record_type type, const void *list, size_t len, uint32_t n)
{
    const struct seg_record r = {.type = type,
                                 .object = w->runs.end_object,
                                 .length = n,
                                 .stored_len = (uint32_t)len,
                                 .crc_stored = crc32c(0, list, len)};
    int rc = w->header.version < SEG_VERSION_PIECES ? -EINVAL : may_append(w, 0);
    return rc ? rc : append_record(w, &r, list);
}

int seg_writer_sources(struct seg_writer *w, const struct seg_source *sources, size_t n)
{
    size_t len = 0;
    uint8_t *list = NULL;
    if (n <= w->sources_done)
        return 0;
    const size_t more = n - w->sources_done; /* should the seal fail, it may grow on, and copy from others */
    int rc = seg_sources_encode(sources + w->sources_done, more, &list, &len);
    if (!rc)
        rc = append_list(w, SEG_SOURCES, list, len, (uint32_t)more);
    if (!rc)
        w->sources_done = n;
    free(list);
    return rc;
}

static int append_chunks(struct seg_writer *w)
{
    size_t len = 0, at = 0;
    const void *list = w->chunks && !w->chunks_done ? chunk_list_bytes(w->chunks, &len) : NULL;
    struct chunk_entry e;
    uint32_t n = 0;
    if (!len)
        return 0;
    while (chunk_list_next(list, len, &at, &e) == 1)
        n++;
    int rc = append_list(w, SEG_CHUNKS, list, len, n);
    w->chunks_done = !rc;
    return rc;
}

int seg_writer_seal(struct seg_writer *w)
{
    if (w->sealed || !w->runs.n)
        return -EINVAL;
    if (w->broken)
        return -EIO;
    int rc = append_chunks(w);
    if (rc)
        return rc;
    uint64_t len = seg_runs_tail_size(&w->runs, w->header.version);
    uint8_t *tail = malloc(len);
    if (!tail)
        return -ENOMEM;
    uint32_t crc = seg_runs_encode(&w->runs, &w->header, w->end, tail);
    rc = append(w, &(struct iovec){.iov_base = tail, .iov_len = len}, 1);
    free(tail);
    if (rc)
        return rc;
    w->end += len;
    w->crc = crc;
    w->sealed = true;
    return 0;
}

/* ---- what is in it ---- */

const void *seg_writer_chunks(const struct seg_writer *w, size_t *len)
{
    *len = 0;
    return w->sealed && w->chunks ? chunk_list_bytes(w->chunks, len) : NULL;
}

void seg_writer_totals(const struct seg_writer *w, struct seg_totals *out)
{
    seg_runs_totals(&w->runs, out);
    out->header = w->header;
    out->stored_bytes = w->end;
    out->crc = w->crc;
}

int seg_writer_find(const struct seg_writer *w, uint64_t object, uint64_t *offset, uint32_t *size)
{
    return seg_runs_find(&w->runs, object, offset, size);
}
