/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_rate.h: how many bytes of objects a second may go in one direction: a token bucket whose rate follows the clock. */
#ifndef S3VTL_S3_RATE_H
#define S3VTL_S3_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/lock.h"
#include "s3backend/objstore.h"

/* What moved is charged when it has moved, so the balance may fall below 0: who is to send next waits until it is paid. An
 * idle bucket saves up a quarter of a second, no more. */
struct s3_rate {
    struct lock lock; /* a leaf; guards what follows */
    atomic_bool on;   /* there are rates: without, nothing is counted */
    struct obj_rates rates;
    uint64_t now;       /* bytes a second that hold now; 0: unlimited */
    uint64_t looked_ms; /* when now was found */
    int64_t balance;    /* bytes */
    uint64_t paid_ns;   /* up to when the balance is */
};

void s3_rate_init(struct s3_rate *r, const struct obj_rates *rates);
void s3_rate_fini(struct s3_rate *r);
/* From now on these hold, for what is under way too. Any thread, as those below. */
void s3_rate_set(struct s3_rate *r, const struct obj_rates *rates);
/* May some more move now? */
bool s3_rate_may(struct s3_rate *r);
/* So many have moved. */
void s3_rate_charge(struct s3_rate *r, size_t bytes);
/* What holds now: bytes a second; 0: unlimited. */
uint64_t s3_rate_now(struct s3_rate *r);
/* What holds at that local time: the first of the rates whose days and hours it is in. 0: unlimited. */
uint64_t s3_rate_at(const struct obj_rates *rates, const struct tm *t);
/* The same; false: it is in none. */
bool s3_rate_holds(const struct obj_rates *rates, const struct tm *t, uint64_t *bytes);

#endif
