/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watcher.h: looks at the serving library every few seconds: tells people of trouble, and keeps it for the report. */
#ifndef S3VTL_WATCHER_H
#define S3VTL_WATCHER_H

#include "vtl/cmd/escrower.h"

struct watcher;
/* By a thread of its own, until watcher_stop. 0 or a negative errno. cfg stays the caller's, as does escrower, which may be
 * NULL. */
int watcher_start(const struct vtl_config *cfg, struct escrower *escrower, struct watcher **out);
void watcher_stop(struct watcher *w); /* NULL is fine */

#endif
