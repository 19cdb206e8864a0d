/* SPDX-License-Identifier: GPL-2.0-or-later */
/* retain.h: which cartridges are locked by being written to, and for how long. */
#ifndef S3VTL_RETAIN_H
#define S3VTL_RETAIN_H

#include "base/lock.h"
#include "vtl/config/config.h"

struct retain {
    struct lock lock; /* a leaf; guards the rest */
    int n;
    struct config_retention rules[CONFIG_MAX_RETENTION];
};

void retain_init(struct retain *r, const struct vtl_config *c);
void retain_fini(struct retain *r);
/* From now on these rules hold, for what is written from now on. */
void retain_take(struct retain *r, const struct vtl_config *c);
/* The first rule of that barcode; false: there is none. Any thread, at once. */
bool retain_rule(struct retain *r, const char *barcode, struct config_retention *out);

#endif
