/* SPDX-License-Identifier: GPL-2.0-or-later */
/* upload_rate.h: how fast the store takes data, measured on the uploads themselves; bounds what a flush has to wait
 * for. */
#ifndef S3VTL_UPLOAD_RATE_H
#define S3VTL_UPLOAD_RATE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/lock.h"

/* One upload while it runs. */
struct upload {
    _Atomic uint64_t sent; /* by whoever sends: may fall when it begins again */
    uint64_t counted;
    struct upload *next;
};

/* Bytes stored, or sent by uploads that run, in the time in which uploads ran, side by side or not; the last minute or
 * two of it count most. */
struct upload_rate {
    struct lock lock; /* a leaf */
    struct upload *running;
    uint64_t since; /* ticks: busy_ms is accounted up to here */
    uint64_t bytes, busy_ms;
};
void upload_rate_init(struct upload_rate *r);
void upload_rate_fini(struct upload_rate *r);
/* An upload begins; it ends, and bytes of it are stored (0: it failed, what was sent counts no more). u is the
 * caller's, zeroed, until the end. now: clock_ms. Any thread. */
void upload_rate_begin(struct upload_rate *r, struct upload *u, uint64_t now);
void upload_rate_end(struct upload_rate *r, struct upload *u, uint64_t bytes, uint64_t now);
/* Bytes a second, what is under way included; 0: nothing was sent yet. */
uint64_t upload_rate_get(struct upload_rate *r, uint64_t now);
/* Bytes that the uploads under way have sent. Any thread. */
uint64_t upload_rate_sent(struct upload_rate *r);

/* How many bytes may wait for the store so that a flush is done in good time: what it takes in FLUSH_GOAL_S at that
 * rate, at least least (of which more could not be sent at a time), at most most. rate 0: least, until something is
 * measured. */
#define FLUSH_GOAL_S 200 /* PBS gives a MOVE MEDIUM about 300 s, a WRITE FILEMARKS 600 */
uint64_t upload_backlog(uint64_t rate, uint64_t least, uint64_t most);

#endif
