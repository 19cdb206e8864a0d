/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_capacity.c: early warning and the end of the medium. */
#include "vtl/drive/drive_private.h"

/* Room behind early warning, for the catalog that PBS writes there: 2 % of the tape, at least 4 GiB, but no more than
 * the tape's capacity. */
static uint64_t margin(uint64_t capacity)
{
    uint64_t floor = capacity < (4ull << 30) ? capacity : 4ull << 30;
    return capacity / 50 > floor ? capacity / 50 : floor;
}

bool drive_past_early_warning(const struct drive *d)
{
    return d->used >= d->capacity;
}

bool drive_is_full(const struct drive *d, uint32_t len)
{
    return d->used + len > d->capacity + margin(d->capacity);
}
