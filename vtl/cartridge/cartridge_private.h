/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_private.h: what the files of the cartridge share. All with the lock held. */
#ifndef S3VTL_CARTRIDGE_PRIVATE_H
#define S3VTL_CARTRIDGE_PRIVATE_H

#include <stddef.h>
#include <string.h>

#include "vtl/cartridge/cartridge.h"

/* Takes a changed row over. What stands before created says which cartridge it is, never changes while it is in memory,
 * and is read without the lock: so it is not written either. Lock held. */
static inline void cartridge_set_row(struct cartridge *c, const struct db_cartridge *row)
{
    const size_t from = offsetof(struct db_cartridge, created);
    memcpy((char *)&c->row + from, (const char *)row + from, sizeof(*row) - from);
}

/* Writes a changed row to the state and takes it over; a head will hold it soon. Lock held. */
int cartridge_change_row(struct cartridge *c, struct db_cartridge *row);
/* Cuts live at object, and with it pending segments, maps and what the last head still holds. */
void cartridge_cut_live(struct cartridge *c, uint64_t object);
/* Maps hold no more than the leading segments that the last head still names as they are. */
void cartridge_cut_maps(struct cartridge *c);
/* Makes ch cut the rows at object: *runs (malloc'd) belongs to it. */
int cartridge_change_cut(const struct cartridge *c, uint64_t object, struct db_change *ch, struct seg_fm_run **runs);
/* Notes a sealed segment that is not stored. Does not count its bytes. */
int cartridge_push_pending(struct cartridge *c, const struct seg_id *id, uint64_t size);
/* What a fenced cartridge holds can never be stored: it no longer counts against the spool's limit, so that it stops
 * nobody else. */
void cartridge_uncount(struct cartridge *c);
void cartridge_free_doomed(struct cartridge *c);

#endif
