/* SPDX-License-Identifier: GPL-2.0-or-later */
/* retain.c: see retain.h. */
#include "vtl/cartridge/retain.h"

#include <fnmatch.h>

void retain_init(struct retain *r, const struct vtl_config *c)
{
    lock_init(&r->lock, LOCK_RETAIN);
    retain_take(r, c);
}

void retain_fini(struct retain *r)
{
    lock_fini(&r->lock);
}

void retain_take(struct retain *r, const struct vtl_config *c)
{
    lock_take(&r->lock);
    r->n = config_retention(c->retention.tapes, r->rules);
    lock_release(&r->lock);
}

bool retain_rule(struct retain *r, const char *barcode, struct config_retention *out)
{
    bool found = false;
    lock_take(&r->lock);
    for (int i = 0; i < r->n && !found; i++) {
        found = !fnmatch(r->rules[i].pattern, barcode, 0);
        *out = r->rules[i];
    }
    lock_release(&r->lock);
    return found;
}
