/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owner.h: root's commands run as the owner of the library. */
#ifndef S3VTL_OWNER_H
#define S3VTL_OWNER_H

#include "vtl/config/config.h"

/*
 * If root runs this process and the state belongs to another user, the process becomes that user (and group) for good:
 * the service, which is not root, could not use files that root created. Otherwise does nothing. A negative errno and
 * *err if that user cannot read a file that the configuration names. Call before any thread is started.
 */
int owner_become(const struct vtl_config *cfg, struct errtext *err);

#endif
