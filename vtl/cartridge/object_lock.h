/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object_lock.h: what is locked by retention is locked by the store, too (S3 Object Lock). */
#ifndef S3VTL_OBJECT_LOCK_H
#define S3VTL_OBJECT_LOCK_H

#include "vtl/cartridge/cartridge_private.h"

/*
 * A new object of a locked cartridge is put with a lock. What was there before the lock, or before it was made longer, and
 * what the cartridge leans on, is locked by a job of the workers, some at a time. Once it has been through, row.object_lock
 * says how all that the cartridge needs is locked, at least; whatever would make that untrue changes the row first.
 *
 * A lock in the store ends with the day (UTC) in which the cartridge's ends: so a cartridge that is written to all day has
 * its objects locked anew once, and not every hour.
 */

/* What the store is to be told of an object with that retention; until 0: nothing. Any thread, at once. */
struct obj_lock object_lock_wanted(struct engine *e, const struct retention *r);
/* An object of the cartridge is about to be put with *out. With the lock. 0, or the state's error. */
int object_lock_before_put(struct cartridge *c, struct obj_lock *out);
/* The cartridge is about to lean on something that it may not have leaned on before. With the lock. 0, or the same. */
int object_lock_before_lean(struct cartridge *c);
/* Is there something to lock? Not of a cartridge that another gateway writes, or wrote last: that one does. With the lock. */
bool object_lock_due(const struct cartridge *c);
/* Is it this gateway's to do now? It claims nothing for that. With the lock. */
bool object_lock_is_work(const struct cartridge *c);
/* And did it not fail a moment ago? With the lock. */
bool object_lock_may_try(const struct cartridge *c);
/* Locks some more, and notes it when all are. What fails is told, tried again after a while, and holds up nothing else of
 * the cartridge. Nothing is done while something of it is not stored yet. The heads are taken. Without the lock. */
void object_lock_some(struct cartridge *c, const struct obj_call *call);

#endif
