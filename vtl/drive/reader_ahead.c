/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_ahead.c: the prefetch: which segments a reader asks for before it needs them. */
#include "vtl/drive/reader_private.h"

#define FAR_IN (4u << 20)        /* a download begins in the middle only if that skips this much */
#define RUN_PER_AHEAD (2u << 20) /* sequential bytes that earn one more segment of prefetch */

/* Two for each transfer: while the reader goes through one batch, the next is on its way. */
static uint64_t most_ahead(const struct reader *r)
{
    const struct engine *e = cartridge_engine(r->c);
    const struct vtl_config *cfg = e->cfg;
    uint64_t room = atomic_load(&e->live.cache_size) / 2 / cfg->spool.segment_size,
             busy = 2 * (uint64_t)atomic_load(&e->live.parallel);
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
