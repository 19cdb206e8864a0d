/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_pace.h: how many big bodies are on their way at once: as many as the store takes, at most as many as are
 * configured.
 */
#ifndef S3VTL_S3_PACE_H
#define S3VTL_S3_PACE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/lock.h"

/* Half as many after a failure that fewer might have prevented, one more after as many successes in a row as there are
 * at once. Transfers that were under way when the number was halved fail for the same reason: they don't halve it
 * again. */
struct s3_pace {
    struct lock lock; /* a leaf */
    struct cond changed;
    unsigned most, limit, running, good;
    unsigned long halved; /* how often */
    bool told;            /* that it was */
    void (*note)(const char *line);
};
enum s3_pace_end {
    S3_PACE_TAKEN,    /* stored */
    S3_PACE_TOO_MUCH, /* the store was too busy, or not there */
    S3_PACE_OTHER,    /* says nothing about that */
};

/* note: NULL, or gets a line when the number begins to fall and when it is back; by the thread that leaves. */
void s3_pace_init(struct s3_pace *p, unsigned most, void (*note)(const char *line));
void s3_pace_fini(struct s3_pace *p);
/* Waits for a place. False: *cancel became true (cancel may be NULL), there is none. *ticket: for leave. Any thread. */
bool s3_pace_enter(struct s3_pace *p, const atomic_bool *cancel, unsigned long *ticket);
void s3_pace_leave(struct s3_pace *p, unsigned long ticket, enum s3_pace_end end);
/* How many there may be now. */
unsigned s3_pace_limit(struct s3_pace *p);

#endif
