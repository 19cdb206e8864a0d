/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web.h: the console: a page in a browser, and what it asks, over the control socket and nothing else. */
#ifndef S3VTL_WEB_H
#define S3VTL_WEB_H

#include "vtl/config/config.h"

enum { WEB_CONNECTIONS = 32 };

/* Answers on fd, which listens and is closed in the end, until SIGTERM or SIGINT; a second one ends the process at once.
 * Calls ready(cfg) when it does. 0 or a negative errno with *err. The process's first thread, while there is no other. */
int web_run(const struct vtl_config *cfg, int fd, void (*ready)(const struct vtl_config *cfg), struct errtext *err);

#endif
