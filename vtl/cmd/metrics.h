/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics.h: /metrics for Prometheus: an HTTP server of serve's own, beside tgtd. */
#ifndef S3VTL_METRICS_H
#define S3VTL_METRICS_H

#include "vtl/cmd/escrower.h"

struct metrics;
/* Answers on [metrics] listen, by a thread of its own, until metrics_stop; asks the library at each scrape, ASK_MS
 * at most. 0 or a negative errno with *err; *out is NULL where it is off. cfg stays the caller's, as does
 * escrower, which may be NULL. */
int metrics_start(const struct vtl_config *cfg, struct escrower *escrower, struct metrics **out, struct errtext *err);
void metrics_stop(struct metrics *m); /* NULL is fine */

#endif
