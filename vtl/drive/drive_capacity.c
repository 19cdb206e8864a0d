/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_capacity.c: early warning and the end of the medium. */
#include "vtl/drive/drive_private.h"

/* How much goes on the tape behind early warning: room for PBS's catalog, which it writes there (2 %, or 4 GiB where
 * that is more and the tape isn't smaller). */
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
