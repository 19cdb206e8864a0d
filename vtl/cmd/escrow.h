/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.h: what the commands of an escrow share. */
#ifndef S3VTL_CMD_ESCROW_H
#define S3VTL_CMD_ESCROW_H

#include "vtl/config/config.h"
#include "vtl/escrow/escrow.h"

/* The second place that the configuration names, which must be there. 0; or a negative errno with *err, and *place may be
 * there all the same. The caller ends it by close. */
int escrow_open_place(const struct vtl_config *cfg, struct objstore **place, struct errtext *err);

#endif
