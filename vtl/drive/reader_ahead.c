/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_ahead.c: the prefetch: which segments a reader asks for before it needs them. */
#include "vtl/drive/reader_private.h"

#define FAR_IN (4u << 20)        /* a download begins in the middle only if that skips this much */
#define RUN_PER_AHEAD (2u << 20) /* sequential bytes that earn one more segment of prefetch */

/* Two for each transfer: while the reader goes through one batch, the next is on its way. */
uint64_t reader_most_ahead(const struct reader *r)
{
    const struct engine *e = r->eng;
    const struct vtl_config *cfg = e->cfg;
    uint64_t room = atomic_load(&e->live.cache_size) / 2 / cfg->spool.segment_size,
             busy = 2 * (uint64_t)atomic_load(&e->live.parallel);
    return room < busy ? room : busy;
}

uint64_t reader_ahead_now(const struct reader *r)
{
    uint64_t most = reader_most_ahead(r), earned = r->run / RUN_PER_AHEAD;
    return earned < most ? earned : most;
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
    workers_fetch(r->eng->workers, r->c, r->barcode, ref, offset, 0);
    if (!r->asked || r->asked_seg != i)
        r->asked_ahead = 0;
    r->asked = true;
    r->asked_seg = i;
}

void reader_fetch_ahead(struct reader *r, size_t i)
{
    struct cartridge *c = r->c;
    uint64_t n = reader_ahead_now(r);
    if (r->asked && r->asked_seg == i && r->asked_ahead >= n)
        return;
    r->asked = true;
    r->asked_seg = i;
    r->asked_ahead = n;
    for (unsigned k = 1; k <= n; k++) {
        struct seg_ref ref;
        if (!cartridge_segment(c, i + k, &ref) || !ref.size)
            return;
        workers_fetch(r->eng->workers, c, r->barcode, &ref, 0, k);
    }
}

void reader_fetch_nothing(struct reader *r)
{
    r->run = 0;
    r->asked = false;
    if (r->c && r->eng->workers)
        workers_fetch_drop(r->eng->workers, r->c, 0, 0);
}

void reader_seek(struct reader *r, uint64_t object, size_t i)
{
    struct cartridge *c = r->c;
    r->run = 0;
    r->asked = false;
    if (!r->eng->workers)
        return;
    struct seg_ref behind;
    bool more = cartridge_segment(c, i + (size_t)reader_most_ahead(r) + 1, &behind);
    uint64_t end = more ? behind.first_object : UINT64_MAX;
    workers_fetch_drop(r->eng->workers, c, object, end);
}
