/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_capacity.c: early warning and the end of the medium, where its capacity or a quota of the store ends. */
#include "vtl/drive/drive_private.h"

/* Room behind early warning, for the catalog that PBS writes there: 2 % of the tape, at least 4 GiB, but no more than
 * the tape's capacity. */
static uint64_t margin(uint64_t capacity)
{
    uint64_t floor = capacity < (4ull << 30) ? capacity : 4ull << 30;
    return capacity / 50 > floor ? capacity / 50 : floor;
}

/* What labels take: a tape that holds no more is blank to whoever looks for one. */
#define LABELS (1u << 20)

bool drive_past_early_warning(const struct drive *d)
{
    if (d->used >= d->capacity || !d->c)
        return d->used >= d->capacity;
    struct quota_room q = cartridge_quota_left(d->c);
    return q.left <= q.margin;
}

/*
 * What is left of a quota behind early warning is for the jobs that run to end in. A tape that is begun only then would take
 * a block of it and count as full, and so would each blank one after it: it is full at once, so that the job fails and
 * blank tapes stay blank.
 */
bool drive_is_full(const struct drive *d, uint32_t len)
{
    if (d->used + len > d->capacity + margin(d->capacity))
        return true;
    struct quota_room q = cartridge_quota_left(d->c);
    return q.left < len || (q.left <= q.margin && d->used + len <= LABELS);
}
