/* SPDX-License-Identifier: GPL-2.0-or-later */
/* neighbours.c: other libraries whose prefix is above or below this one's: what one deletes could be the other's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/library/library_private.h"

/* Does the prefix above this one's belong to a library? What cannot be read is none of our business. */
static int look_above(const struct objstore_config *here, const char *prefix, const struct obj_call *call,
                      struct errtext *err)
{
    struct objstore_config oc = *here;
    struct objstore *store = NULL;
    char id[37], name[64];
    oc.prefix = prefix;
    oc.patience_ms = OBJ_PATIENCE_MS;
    int rc = objstore_open(&oc, &store, NULL);
    if (rc)
        return 0;
    rc = format_read(store, call, id, name, NULL);
    store->ops->close(store);
    return rc ? 0
              : errtext_set(
                    err, -EEXIST,
                    "[store] prefix = %s lies within the prefix \"%s\" of library \"%s\", which may delete what is "
                    "below it: choose one outside of it",
                    here->prefix, prefix, name);
}

#define MOST_PREFIXES 200 /* a bucket that is shared with other things may have any number, and each is a request */

struct below {
    struct objstore *store;
    unsigned n; /* that were asked for */
    const struct obj_call *call;
    struct errtext *err;
};

static int look_below(void *arg, const struct obj_entry *e)
{
    static const char *const ours[] = {"tapes/", "gateways/", OBJ_FILL};
    struct below *b = arg;
    char key[DB_KEY_SIZE * 2];
    uint64_t size = 0;
    if (!e->is_prefix)
        return 0;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (!strcmp(e->key, ours[i]))
            return 0;
    if ((size_t)snprintf(key, sizeof(key), "%sformat", e->key) >= sizeof(key))
        return 0;
    if (b->n++ == MOST_PREFIXES || obj_canceled(b->call))
        return 1;
    if (b->store->ops->head(b->store, key, &size, b->call, NULL))
        return 0;
    return errtext_set(b->err, -EEXIST,
                       "the store's prefix has another library's within it (%s): choose one outside of it", key);
}

int library_check_neighbours(const struct objstore_config *here, struct objstore *store, const struct obj_call *call,
                             struct errtext *err)
{
    char *prefix = strdup(here->prefix);
    int rc = prefix ? 0 : errtext_set(err, -ENOMEM, "out of memory");
    while (!rc && prefix[0] && !obj_canceled(call)) {
        char *slash = strrchr(prefix, '/');
        *(slash ? slash : prefix) = '\0';
        rc = look_above(here, prefix, call, err);
    }
    free(prefix);
    struct below b = {.store = store, .call = call, .err = err};
    if (!rc)
        rc = store->ops->list(store, "", NULL, true, look_below, &b, call, err);
    return rc > 0 ? 0 : rc;
}
