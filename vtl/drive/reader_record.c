/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_record.c: records as they are read, checked and handed over. */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void reader_blank(struct reader *r)
{
    memset(r, 0, sizeof(*r));
    r->fd = r->part.fd = -1;
    r->next_object = UINT64_MAX;
}

void reader_release(struct reader *r)
{
    reader_close_segment(r);
    free(r->record);
    free(r->window);
    seg_scratch_free(&r->scratch);
}

void reader_follow_no_more(struct reader *r)
{
    if (r->part.fd >= 0)
        close(r->part.fd);
    r->part.fd = -1;
}

void reader_close_segment(struct reader *r)
{
    seg_index_free(r->index);
    r->index = NULL;
    if (r->fd >= 0)
        close(r->fd);
    reader_follow_no_more(r);
    r->fd = -1;
    r->id.epoch = 0;
    r->walk_at = 0;
    r->window_len = 0;
}

int reader_grow(uint8_t **buf, size_t *room, size_t need)
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

int reader_pread(int fd, void *buf, size_t len, uint64_t offset)
{
    uint8_t *p = buf;
    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EBADMSG; /* the file is shorter than its index says */
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* The block of a record that is the right one. */
static int open_block(struct reader *r, const struct read_job *job, const struct seg_record *d, const uint8_t *rec)
{
    r->encrypted = d->flags & SEG_AES256_GCM;
    r->kad_len = r->encrypted && d->ext_len <= sizeof(r->kad) ? (uint8_t)d->ext_len : 0;
    memcpy(r->kad, rec + SEG_RECORD_SIZE, r->kad_len);
    if (r->encrypted && r->raw)
        return seg_record_raw(d, rec, job->buf, job->room, job->err);
    if (job->area)
        return seg_literals(d, rec, r->cartridge, r->key, &r->scratch, job->area, job->len, job->err);
    if ((d->flags & SEG_PIECES) && job->buf)
        return r->open_pieces(r, job, d, rec);
    if (r->encrypted && job->buf)
        return seg_record_decrypt(d, rec, r->cartridge, r->key, job->buf, job->room, job->err);
    return seg_record_open(d, rec, job->buf, job->room, job->err);
}

int reader_deliver(struct reader *r, const struct read_job *job, const struct seg_index *x, const uint8_t *rec,
                   size_t size)
{
    struct seg_record d;
    int rc = seg_record_decode(rec, size, &d, job->err);
    if (!rc && (d.object != job->object || d.type != SEG_BLOCK))
        rc = errtext_set(job->err, -EBADMSG, "record of object %llu where %llu should be", (unsigned long long)d.object,
                         (unsigned long long)job->object);
    if (!rc && x)
        rc = seg_index_check(x, job->object, rec, job->err);
    if (!rc)
        rc = open_block(r, job, &d, rec);
    if (rc)
        return rc;
    if (!job->area)
        *job->len = r->encrypted && r->raw ? (uint32_t)(SEG_RECORD_SIZE + d.ext_len + d.stored_len) : d.length;
    r->fetched += size;
    r->run += d.flags & SEG_PIECES ? d.length : size; /* what it copies must come from somewhere, too */
    return 0;
}

int reader_find(struct reader *r, uint64_t object, uint64_t *offset, uint32_t *size, struct errtext *err)
{
    int rc = seg_index_find(r->index, object, offset, size);
    return rc ? errtext_set(err, -EBADMSG, "its index does not hold object %llu", (unsigned long long)object) : 0;
}
