/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuild_read.c: what the store has of a cartridge: its winning head, and all segments that this names. */
#include <errno.h>
#include <stdlib.h>

#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"

static int any(void *arg, const struct obj_entry *e)
{
    (void)e;
    *(bool *)arg = true;
    return 1;
}

static bool has_segments(struct objstore *store, const char *barcode, const struct obj_call *call)
{
    char prefix[DB_KEY_SIZE];
    bool has = false;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/seg/", barcode);
    int rc = store->ops->list(store, prefix, NULL, false, any, &has, call, NULL);
    return rc < 0 || has;
}

struct rebuild_reading *rebuild_read(struct objstore *store, const char *barcode, const atomic_bool *cancel)
{
    struct obj_call call = {.cancel = cancel};
    struct rebuild_reading *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->rc = commit_read_tape(store, barcode, &c->h, &c->x, &c->with_head, &call, &c->why);
    c->no_head = !c->with_head && c->rc == -ENOENT;
    c->whole = !c->rc;
    c->nothing = (c->no_head && !has_segments(store, barcode, &call)) || (c->with_head && c->h.removed);
    return c;
}

void rebuild_reading_free(struct rebuild_reading *c)
{
    if (c && c->whole)
        tape_index_free(&c->x);
    if (c && c->with_head)
        head_free(&c->h);
    free(c);
}
