/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_pace.h: how many big bodies are sent at once: as many as the store takes, and no more than configured. */
#ifndef S3VTL_S3_PACE_H
#define S3VTL_S3_PACE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/lock.h"
#include "base/log.h"

/* The limit halves after a failure that fewer transfers might have prevented, and grows by one after as many successes
 * in a row as it allows at once. Transfers that were under way when it halved fail for the same reason: they do not
 * halve it again. */
struct s3_pace {
    struct lock lock; /* a leaf */
    struct cond changed;
    unsigned most, limit, running, good;
    unsigned long halved; /* how often */
    bool told;            /* the operator was told so */
    void (*note)(enum log_level level, const char *line);
};
enum s3_pace_end {
    S3_PACE_TAKEN,    /* stored */
    S3_PACE_TOO_MUCH, /* the store was too busy, or not there */
    S3_PACE_OTHER,    /* says nothing about that */
};

/* note: NULL, or called with a line when the limit begins to fall and when it is back; by the thread that leaves. */
void s3_pace_init(struct s3_pace *p, unsigned most, void (*note)(enum log_level level, const char *line));
void s3_pace_fini(struct s3_pace *p);
/* Waits for a place. False: *cancel became true (cancel may be NULL), there is none. *ticket: for leave. Any thread. */
bool s3_pace_enter(struct s3_pace *p, const atomic_bool *cancel, unsigned long *ticket);
void s3_pace_leave(struct s3_pace *p, unsigned long ticket, enum s3_pace_end end);
/* Another number as configured. What the store cannot keep up with stays its affair: a limit that is below falls no
 * further, and one that was the whole rises with it. */
void s3_pace_set_most(struct s3_pace *p, unsigned most);
/* The limit now. */
unsigned s3_pace_limit(struct s3_pace *p);

#endif
