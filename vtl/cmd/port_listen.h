/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port_listen.h: opens a port for HTTP. */
#ifndef S3VTL_PORT_LISTEN_H
#define S3VTL_PORT_LISTEN_H

#include "vtl/config/config.h"

/* On address:port, the value of [section] listen in cfg. A descriptor, which the caller closes, or a negative errno
 * with *err. Any thread. */
int port_listen(const struct vtl_config *cfg, const char *section, const char *portal, int backlog,
                struct errtext *err);

#endif
