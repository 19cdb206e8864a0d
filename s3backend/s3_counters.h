/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_counters.h: counts the requests that a store was sent, without a lock. */
#ifndef S3VTL_S3_COUNTERS_H
#define S3VTL_S3_COUNTERS_H

#include "s3backend/objstore.h"

/* All zero at first. Each figure is right by itself; those of one request may be seen apart. */
struct s3_counters {
    struct s3_request_counters {
        _Atomic uint64_t requests, ns, sent, received, failures[OBJ_FAILURES];
    } of[OBJ_REQUESTS];
};

/* A request that ended. */
struct s3_ended {
    enum obj_request request;
    uint64_t ns, sent, received;
    bool failed;
    enum obj_failure failure;
};
/* Any thread, as the other. */
void s3_counters_add(struct s3_counters *c, const struct s3_ended *e);
void s3_counters_get(struct s3_counters *c, struct obj_stats *out);

#endif
