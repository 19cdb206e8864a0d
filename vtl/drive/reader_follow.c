/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reader_follow.c: follows a download: reads from a segment that is still on its way.
 *
 * The end of the object is read first: before a block of it is delivered, it is known to be the one that the tape's
 * index names, and the index at its end says where each record is, and which it must be. Of a segment whose footer's CRC
 * is not known (version 1) nothing would be gained by that: its records arrive in order, each says where the next one
 * begins, the header names cartridge and segment, each record its object, and both CRCs of the block count (I3). When
 * the segment is whole, it is read as any file of the cache.
 */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <string.h>

static int await(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint64_t len, const struct read_job *job)
{
    if (offset + len > ref->size || offset + len < offset)
        return errtext_set(job->err, -EBADMSG, "a record of the segment reaches beyond its end");
    if (r->part.fd >= 0 && offset >= r->part.from && offset + len <= r->part.to)
        return 0;
    int rc = workers_fetch_part(r->eng->workers, r->barcode, &ref->id, offset, len, &r->part, job->cancel, job->err);
    if (rc == -ENOENT)
        reader_follow_no_more(r);
    return rc;
}

/* Waits for these bytes and reads them to r->record. */
static int fetch_bytes(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint32_t len,
                       const struct read_job *job)
{
    int rc = await(r, ref, offset, len, job);
    if (!rc)
        rc = reader_grow(&r->record, &r->record_room, len);
    if (!rc && (rc = reader_pread(r->part.fd, r->record, len, offset)))
        errtext_set(job->err, rc, "segment on its way: %s", rc == -EBADMSG ? "too short" : strerror(-rc));
    return rc;
}

static int begin_walk(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    struct seg_header h;
    int rc = fetch_bytes(r, ref, 0, SEG_HEADER_SIZE, job);
    if (!rc)
        rc = seg_header_decode(r->record, SEG_HEADER_SIZE, &h, job->err);
    if (!rc && (memcmp(h.cartridge, r->cartridge, sizeof(h.cartridge)) != 0 || seg_id_compare(&h.id, &ref->id) ||
                h.first_object != ref->first_object))
        rc = errtext_set(job->err, -EBADMSG, "the object of segment %08llx-%08x-%llu is another one",
                         (unsigned long long)ref->id.epoch, ref->id.writer, (unsigned long long)ref->id.number);
    if (!rc) {
        r->walk_object = h.first_object;
        r->walk_at = SEG_HEADER_SIZE;
    }
    return rc;
}

/* Walks from record to record up to that of object, and stays there. */
static int walk(struct reader *r, const struct seg_ref *ref, const struct read_job *job, uint64_t *offset,
                uint32_t *size)
{
    uint64_t object = job->object;
    int rc = r->walk_at && r->walk_object <= object ? 0 : begin_walk(r, ref, job);
    while (!rc) {
        struct seg_record d;
        rc = fetch_bytes(r, ref, r->walk_at, SEG_RECORD_SIZE, job);
        if (!rc)
            rc = seg_record_parse(r->record, &d, job->err);
        if (rc)
            break;
        uint64_t objects = seg_record_objects(&d);
        if (d.object != r->walk_object || object < d.object || (object < d.object + objects && d.type != SEG_BLOCK))
            return errtext_set(job->err, -EBADMSG, "record of object %llu where %llu should be",
                               (unsigned long long)d.object, (unsigned long long)r->walk_object);
        *offset = r->walk_at;
        *size = seg_record_size(&d);
        if (object == d.object)
            return 0;
        r->walk_object += objects;
        r->walk_at += *size;
    }
    return rc;
}

bool reader_is_followed(const struct reader *r, const struct seg_ref *ref)
{
    return r->part.fd >= 0 && !seg_id_compare(&r->id, &ref->id);
}

int reader_follow(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    if (r->fd >= 0 || seg_id_compare(&r->id, &ref->id)) {
        reader_close_segment(r);
        r->id = ref->id;
    }
    uint64_t offset = 0;
    uint32_t size = 0;
    int rc = !r->index && ref->crc ? reader_open_object(r, ref, job) : 0;
    if (!rc)
        rc = r->index ? reader_find(r, job->object, &offset, &size, job->err) : walk(r, ref, job, &offset, &size);
    if (!rc)
        rc = fetch_bytes(r, ref, offset, size, job);
    return rc ? rc : reader_deliver(r, job, r->index, r->record, size);
}
