/* SPDX-License-Identifier: GPL-2.0-or-later */
/* before.h: what has to be right before tgtd is started. Each: 0, or a negative errno and *err. */
#ifndef S3VTL_BEFORE_H
#define S3VTL_BEFORE_H

#include <limits.h>

#include "vtl/config/config.h"

/* Can this process listen at the portal? tgtd would take many lines to say that it cannot. -EADDRINUSE: *err names who
 * does, where that can be found out. */
int before_portal(const struct vtl_config *cfg, struct errtext *err);
/* Each drive keeps its keys in locked memory, which is scarce for any user but root. Raises this process's limit as far
 * as tgtd's will be. */
int before_locked_memory(const struct vtl_config *cfg, struct errtext *err);
/* Is the store this library's? One that is away, or refuses, is told on standard error and is no failure. A few seconds. */
int before_store(const struct vtl_config *cfg, struct errtext *err);
/* Finds bs_s3vtl.so, as a path that tgtd can preload. */
int before_module(char path[PATH_MAX], struct errtext *err);

#endif
