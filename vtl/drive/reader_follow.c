/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reader_follow.c: fetching ahead, and reading from a segment that is still on its way.
 *
 * Records arrive in order, and each says where the next one begins: a reader that follows needs neither the whole
 * segment nor the index at its end. What it reads passes the same checks: the header names cartridge and segment, each
 * record its object, and both CRCs of the block count (I3). When the segment is whole, it is read as any file of the
 * cache.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "vtl/drive/reader_private.h"

#define FAR_IN (4u << 20)        /* a download begins in the middle only where it saves this much */
#define RUN_PER_AHEAD (2u << 20) /* bytes read on for each further segment that is fetched */

/* ---- fetching ahead ---- */

/* Two for each transfer: while a reader goes through those that came together, the next ones are under way. */
static uint64_t most_ahead(const struct reader *r)
{
    const struct vtl_config *cfg = cartridge_engine(r->c)->cfg;
    uint64_t room = cfg->spool.cache_size / 2 / cfg->spool.segment_size, busy = 2 * (uint64_t)cfg->store.parallel;
    return room < busy ? room : busy;
}

void reader_fetch(struct reader *r, const struct seg_ref *ref, size_t i, uint64_t object, bool again)
{
    uint64_t offset = 0;
    uint32_t size;
    if (!again && r->asked && r->asked_seg == i)
        return;
    if (r->index && !seg_id_compare(&r->id, &ref->id) &&
        (seg_index_find(r->index, object, &offset, &size) || offset < FAR_IN))
        offset = 0;
    workers_fetch(cartridge_engine(r->c)->workers, r->c, ref, offset, 0);
    if (!r->asked || r->asked_seg != i)
        r->asked_ahead = 0;
    r->asked = true;
    r->asked_seg = i;
}

void reader_fetch_ahead(struct reader *r, size_t i)
{
    struct cartridge *c = r->c;
    uint64_t most = most_ahead(r), earned = r->run / RUN_PER_AHEAD, n = earned < most ? earned : most;
    if (r->asked && r->asked_seg == i && r->asked_ahead >= n)
        return;
    r->asked = true;
    r->asked_seg = i;
    r->asked_ahead = n;
    for (unsigned k = 1; k <= n; k++) {
        struct seg_ref ref;
        if (!cartridge_segment(c, i + k, &ref) || !ref.size)
            return;
        workers_fetch(cartridge_engine(c)->workers, c, &ref, 0, k);
    }
}

void reader_fetch_nothing(struct reader *r)
{
    r->run = 0;
    r->asked = false;
    if (r->c && cartridge_engine(r->c)->workers)
        workers_fetch_drop(cartridge_engine(r->c)->workers, r->c, 0, 0);
}

void reader_seek(struct reader *r, uint64_t object, size_t i)
{
    struct cartridge *c = r->c;
    r->run = 0;
    r->asked = false;
    if (!cartridge_engine(c)->workers)
        return;
    struct seg_ref behind;
    bool more = cartridge_segment(c, i + (size_t)most_ahead(r) + 1, &behind);
    uint64_t end = more ? behind.first_object : UINT64_MAX;
    workers_fetch_drop(cartridge_engine(c)->workers, c, object, end);
}

/* ---- following ---- */

void reader_follow_no_more(struct reader *r)
{
    if (r->part.fd >= 0)
        close(r->part.fd);
    r->part.fd = -1;
}

static int await(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint64_t len, const atomic_bool *cancel,
                 struct errtext *err)
{
    if (offset + len > ref->size || offset + len < offset)
        return errtext_set(err, -EBADMSG, "a record of the segment reaches beyond its end");
    if (r->part.fd >= 0 && offset >= r->part.from && offset + len <= r->part.to)
        return 0;
    int rc = workers_fetch_part(cartridge_engine(r->c)->workers, r->c, &ref->id, offset, len, &r->part, cancel, err);
    if (rc == -ENOENT)
        reader_follow_no_more(r);
    return rc;
}

/* Waits for these bytes and reads them to r->record. */
static int fetch_bytes(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint32_t len,
                       const atomic_bool *cancel, struct errtext *err)
{
    int rc = await(r, ref, offset, len, cancel, err);
    if (!rc)
        rc = reader_grow(&r->record, &r->record_room, len);
    if (!rc && (rc = reader_pread(r->part.fd, r->record, len, offset)))
        errtext_set(err, rc, "segment on its way: %s", rc == -EBADMSG ? "too short" : strerror(-rc));
    return rc;
}

static int begin_walk(struct reader *r, const struct seg_ref *ref, const atomic_bool *cancel, struct errtext *err)
{
    struct seg_header h;
    int rc = fetch_bytes(r, ref, 0, SEG_HEADER_SIZE, cancel, err);
    if (!rc)
        rc = seg_header_decode(r->record, SEG_HEADER_SIZE, &h, err);
    if (!rc && (memcmp(h.cartridge, cartridge_id(r->c), sizeof(h.cartridge)) != 0 || seg_id_compare(&h.id, &ref->id) ||
                h.first_object != ref->first_object))
        rc = errtext_set(err, -EBADMSG, "the object of segment %08llx-%08x-%llu is another one",
                         (unsigned long long)ref->id.epoch, ref->id.writer, (unsigned long long)ref->id.number);
    if (!rc) {
        r->walk_object = h.first_object;
        r->walk_at = SEG_HEADER_SIZE;
    }
    return rc;
}

/* Goes from record to record until that of object, where it stays. */
static int walk(struct reader *r, const struct seg_ref *ref, uint64_t object, uint64_t *offset, uint32_t *size,
                const atomic_bool *cancel, struct errtext *err)
{
    int rc = r->walk_at && r->walk_object <= object ? 0 : begin_walk(r, ref, cancel, err);
    while (!rc) {
        struct seg_record d;
        rc = fetch_bytes(r, ref, r->walk_at, SEG_RECORD_SIZE, cancel, err);
        if (!rc)
            rc = seg_record_parse(r->record, &d, err);
        if (rc)
            break;
        uint64_t objects = d.type == SEG_BLOCK ? 1 : d.length;
        if (d.object != r->walk_object || object < d.object || (object < d.object + objects && d.type != SEG_BLOCK))
            return errtext_set(err, -EBADMSG, "record of object %llu where %llu should be",
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

int reader_follow(struct reader *r, const struct seg_ref *ref, uint64_t object, void *buf, size_t room, uint32_t *len,
                  const atomic_bool *cancel, struct errtext *err)
{
    if (r->fd >= 0 || seg_id_compare(&r->id, &ref->id)) {
        reader_close_segment(r);
        r->id = ref->id;
    }
    uint64_t offset = 0;
    uint32_t size = 0;
    int rc = r->index ? reader_find(r, object, &offset, &size, err) : walk(r, ref, object, &offset, &size, cancel, err);
    if (!rc)
        rc = fetch_bytes(r, ref, offset, size, cancel, err);
    return rc ? rc : reader_deliver(r, r->record, size, object, buf, room, len, err);
}
