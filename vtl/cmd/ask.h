/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ask.h: asks the serving library for its figures again and again, without ever holding it up or waiting for it. */
#ifndef S3VTL_ASK_H
#define S3VTL_ASK_H

#include <jansson.h>

#include "vtl/config/config.h"

/* One thread's. */
struct ask {
    const struct vtl_config *cfg;
    int owing_fd; /* control_ask */
};

enum { ASK_MS = 2000 };
/* *figures: NULL when the library does not answer in ASK_MS; *status: NULL also while it cannot walk over its
 * cartridges. New references. */
void ask_all(struct ask *a, json_t **figures, json_t **status);
/* The library's cartridges, as "tape list" has them: a new reference; NULL: no answer in ASK_MS. */
json_t *ask_cartridges(struct ask *a);
void ask_end(struct ask *a);
/* Exchanges *cfg, which a uses, for the file as it is now, if the figures tell of another reload than *reloads, which is
 * then theirs. One that was broken since is passed over until the next: a negative errno with *err. 1: it was exchanged. */
int ask_reload(struct ask *a, const json_t *figures, uint64_t *reloads, struct vtl_config **cfg, struct errtext *err);
/* Of the file system of that directory; both 0: not known. */
void ask_disk(const char *dir, uint64_t *available, uint64_t *size);

#endif
