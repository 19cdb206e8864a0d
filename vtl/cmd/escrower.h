/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrower.h: makes escrows while the library serves, by a thread of serve's own, and knows how old the newest is. */
#ifndef S3VTL_ESCROWER_H
#define S3VTL_ESCROWER_H

#include <stdbool.h>
#include <stdint.h>

#include "vtl/config/config.h"
#include "vtl/cmd/escrow.h"

/* How it is with escrows, at the last look. Times are seconds since 1970; 0: none. */
struct escrow_view {
    bool known;        /* there was one */
    bool is;           /* there is a place for them, and a store that needs them */
    uint64_t created;  /* the newest */
    uint64_t waits;    /* since then something is committed that it does not know */
    uint64_t failed;   /* since then none could be made */
    char trouble[500]; /* what is wrong, for people; "": nothing */
};

struct escrower;
/* Begins to look, for a library that serves; a reload is heeded. 0 or a negative errno. */
int escrower_start(const struct vtl_config *cfg, struct escrower **out);
/* Any thread, at once. e NULL: nothing is known. */
void escrower_view(struct escrower *e, struct escrow_view *out);
/* One that is being made ends soon; no other is begun. Any thread, at once. NULL is none. */
void escrower_cancel(struct escrower *e);
/* Ends it. What hangs in a directory that does not answer is left to itself after some seconds. NULL is none. */
void escrower_stop(struct escrower *e);

#endif
