/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owner.h: root's commands act as the user whose library it is. */
#ifndef S3VTL_OWNER_H
#define S3VTL_OWNER_H

#include "vtl/config/config.h"

/*
 * When root runs this and the state belongs to somebody else, this process is that user (and group) from now on, for
 * good: files that root made there could not be used by the service, which is not root. Else nothing happens. A
 * negative errno and *err when that user could not read what the configuration names. Before any thread is started.
 */
int owner_become(const struct vtl_config *cfg, struct errtext *err);

#endif
