/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blank_names.c: see blank_names.h. */
#include "vtl/library/blank_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "vtl/library/tapes.h"
#include "vtl/library/unmade.h"

#define TAPES "tapes/"

/* Names of the range that the bucket has something of, in order: that of the list's keys, and of the range's. */
struct listed {
    const struct name_range *names;
    char (*v)[NAME_RANGE_SIZE];
    size_t n, room;
};

static int take_name(void *arg, const struct obj_entry *e)
{
    struct listed *l = arg;
    const char *name = e->key + strlen(TAPES);
    char copy[NAME_RANGE_SIZE];
    size_t n = strlen(name);
    if (!e->is_prefix || n < 2 || n > NAME_RANGE_SIZE)
        return 0;
    memcpy(copy, name, n - 1);
    copy[n - 1] = '\0';
    if (!name_range_has(l->names, copy))
        return 0;
    if (l->n == l->room && !array_grow(&l->v, &l->room, sizeof(*l->v)))
        return -ENOMEM;
    memcpy(l->v[l->n++], copy, n);
    return 0;
}

static int list_names(struct library *lib, struct listed *l, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    char prefix[sizeof(TAPES) + NAME_RANGE_SIZE];
    (void)snprintf(prefix, sizeof(prefix), TAPES "%s", l->names->before);
    int rc = lib->eng.store->ops->list(lib->eng.store, prefix, NULL, true, take_name, l, &call, err);
    return rc == -ENOMEM ? errtext_set(err, rc, "out of memory") : rc;
}

static bool is_here(struct library *lib, const char *name)
{
    rwlock_read(&lib->tapes_lock);
    bool here = library_cartridge(lib, name) != NULL;
    rwlock_release(&lib->tapes_lock);
    return here;
}

/* The first that nobody has heard of. */
static bool take_new(struct library *lib, const struct listed *l, char name[NAME_RANGE_SIZE])
{
    bool found = false;
    size_t k = 0;
    rwlock_read(&lib->tapes_lock);
    for (uint32_t i = 0; !found && i < name_range_count(l->names); i++) {
        name_range_name(l->names, i, name);
        while (k < l->n && strcmp(l->v[k], name) < 0)
            k++;
        found = (k == l->n || strcmp(l->v[k], name) != 0) && !library_cartridge(lib, name);
    }
    rwlock_release(&lib->tapes_lock);
    return found;
}

/* What the bucket has of a name need be no cartridge: one may have been removed, or taken back, or nobody made its head.
 * noted: only of those that were taken back here, which are to go first. */
static int look_at_listed(struct library *lib, const struct listed *l, bool noted, char next[NAME_RANGE_SIZE],
                          char name[NAME_RANGE_SIZE], struct errtext *err)
{
    size_t first = 0;
    unsigned looks = 0;
    int rc = -EEXIST;
    while (first < l->n && strcmp(l->v[first], next) < 0)
        first++;
    for (size_t i = 0; rc == -EEXIST && i < l->n; i++) {
        const char *one = l->v[(first + i) % l->n];
        if (is_here(lib, one) || (noted && !unmade_is_noted(lib, one)))
            continue;
        (void)snprintf(next, NAME_RANGE_SIZE, "%s", one);
        if (looks++ == BLANK_NAMES_LOOKS)
            return rc;
        (void)snprintf(name, NAME_RANGE_SIZE, "%s", one);
        rc = tapes_look_new(lib, one, err);
    }
    return rc;
}

int blank_name(struct library *lib, const struct name_range *names, char next[NAME_RANGE_SIZE],
               char name[NAME_RANGE_SIZE], struct errtext *err)
{
    struct listed l = {.names = names};
    char from[NAME_RANGE_SIZE] = "";
    int rc = list_names(lib, &l, err);
    if (!rc && (rc = look_at_listed(lib, &l, true, from, name, err)) == -EEXIST && take_new(lib, &l, name))
        rc = 0;
    if (rc == -EEXIST)
        rc = look_at_listed(lib, &l, false, next, name, err);
    free(l.v);
    return rc == -EEXIST ? errtext_set(err, rc, "all these names are taken") : rc;
}
