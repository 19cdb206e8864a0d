/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verifier.h: verifies cartridges by itself, in its hours and within its budget, beside a library that serves. */
#ifndef S3VTL_VERIFIER_H
#define S3VTL_VERIFIER_H

#include "vtl/config/config.h"

struct verifier;
/* Begins a thread that runs "s3vtl verify --older" as a process of its own when [verify] wants it, and ends that when its
 * hours do. 0 or a negative errno. */
int verifier_start(const struct vtl_config *cfg, struct verifier **out);
/* Ends what runs, which goes on from there the next time, and the thread. NULL is fine. */
void verifier_stop(struct verifier *v);

#endif
