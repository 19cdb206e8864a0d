/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control_private.h: what the control socket's server and client share. */
#ifndef S3VTL_CONTROL_PRIVATE_H
#define S3VTL_CONTROL_PRIVATE_H

#include <sys/un.h>

#include "vtl/library/control.h"

/* <state_dir>/control.sock; -ENAMETOOLONG with *err when it does not fit. */
int control_address(const struct vtl_config *cfg, struct sockaddr_un *addr, struct errtext *err);

#endif
