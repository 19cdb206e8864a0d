/* SPDX-License-Identifier: GPL-2.0-or-later */
/* look_around.c: what libraries are in the store: at this one's prefix, above it, below it and beside it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/library/library_private.h"

#define MOST_PREFIXES 200 /* of one level; a bucket that is shared with other things may have any number */
#define MAX_FORMAT 65536

struct looking {
    const struct obj_call *call;
    json_t *report, *others;
    struct objstore *store; /* the level that is looked at */
    const char *level;      /* its prefix */
    const char *place;      /* of what is found one below it */
    const char *own;        /* the name one below it that leads to this library; "": none */
    unsigned n;
};

/* The library at key, as L of library_look_around; NULL: none that can be read. */
static json_t *read_format(struct objstore *store, const char *key, const struct obj_call *call)
{
    uint64_t size = 0;
    struct errtext why = {""};
    if (store->ops->head(store, key, &size, call, &why) || !size || size > MAX_FORMAT)
        return NULL;
    char *text = malloc(size);
    json_t *j = text && !store->ops->get(store, key, 0, size, text, call, &why) ? json_open(text, size, &why) : NULL;
    const char *id = json_string_value(json_object_get(j, "library"));
    const char *name = json_string_value(json_object_get(j, "name"));
    json_t *l = id && name ? json_pack("{s:s, s:s}", "name", name, "library", id) : NULL;
    json_decref(j);
    free(text);
    return l;
}

static void found(struct looking *l, json_t *library, const char *prefix, const char *place)
{
    json_object_set_new(library, "prefix", json_string(prefix));
    json_object_set_new(library, "place", json_string(place));
    if (!strcmp(place, "here"))
        json_object_set_new(l->report, "here", library);
    else
        json_array_append_new(l->others, library);
}

static int look_into(void *arg, const struct obj_entry *e)
{
    struct looking *l = arg;
    char key[DB_KEY_SIZE * 2], prefix[DB_KEY_SIZE * 2];
    if (!e->is_prefix || !strcmp(e->key, l->own) || !strcmp(e->key, "tapes/") || !strcmp(e->key, "gateways/") ||
        !strcmp(e->key, OBJ_FILL) || (size_t)snprintf(key, sizeof(key), "%sformat", e->key) >= sizeof(key))
        return 0;
    if (l->n++ == MOST_PREFIXES)
        return 1;
    json_t *library = read_format(l->store, key, l->call);
    (void)snprintf(prefix, sizeof(prefix), "%s%s%.*s", l->level, l->level[0] ? "/" : "", (int)strlen(e->key) - 1,
                   e->key);
    if (library)
        found(l, library, prefix, l->place);
    return obj_canceled(l->call) ? -ECANCELED : 0;
}

/* The level itself, and what is one below it. own: the rest of this library's prefix below the level. */
static void look_at_level(struct looking *l, const struct objstore_config *here, const char *level, const char *own)
{
    struct objstore_config oc = *here;
    struct errtext why = {""};
    char name[OBJ_MAX_PREFIX + 2] = "";
    oc.prefix = level;
    if (objstore_open(&oc, &l->store, &why)) {
        json_object_set_new(l->report, "complete", json_false());
        return;
    }
    if (*own)
        (void)snprintf(name, sizeof(name), "%.*s/", (int)strcspn(own, "/"), own);
    l->level = level;
    l->own = name;
    l->place = *own ? "beside" : "below";
    l->n = 0;
    json_t *library = read_format(l->store, "format", l->call);
    if (library)
        found(l, library, level, *own ? "above" : "here");
    if (l->store->ops->list(l->store, "", NULL, true, look_into, l, l->call, &why))
        json_object_set_new(l->report, "complete", json_false());
    l->store->ops->close(l->store);
}

json_t *library_look_around(const struct vtl_config *cfg, const struct obj_call *call, struct errtext *err)
{
    struct objstore_config here;
    char state[37] = "", level[OBJ_MAX_PREFIX + 2];
    config_store(cfg, &here);
    if (library_state_id(cfg, state, err))
        return NULL;
    struct looking l = {.call = call, .others = json_array()};
    l.report = json_pack("{s:s, s:n, s:O, s:b}", "state", state, "here", "others", l.others, "complete", 1);
    size_t n = strlen(here.prefix);
    for (size_t at = 0; l.report && at <= n; at++) {
        /* "", "a", "a/b": each beginning of the prefix that ends where a part does */
        if (at && here.prefix[at] && here.prefix[at] != '/')
            continue;
        const char *own = here.prefix + at + (at && here.prefix[at] ? 1 : 0);
        (void)snprintf(level, sizeof(level), "%.*s", (int)at, here.prefix);
        look_at_level(&l, &here, level, own);
    }
    json_decref(l.others);
    if (!l.report)
        errtext_set(err, -ENOMEM, "library: out of memory");
    return l.report;
}
