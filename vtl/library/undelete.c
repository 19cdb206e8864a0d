/* SPDX-License-Identifier: GPL-2.0-or-later */
/* undelete.c: see undelete.h. */
#include "vtl/library/undelete.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/jsontext.h"
#include "base/many.h"
#include "vtl/library/library_private.h"

#define BATCH 256   /* versions that are dropped between two looks at the list */
#define HOPELESS 64 /* so many refused, and none dropped: the key has not the right */

struct drop {
    char key[DB_KEY_SIZE], *version;
    int rc;
    struct errtext err;
};

struct undelete {
    const struct vtl_config *cfg;
    const struct undelete_options *o;
    struct objstore *store;
    struct errtext *err;
    /* Of the key that is being listed: */
    char key[DB_KEY_SIZE];
    char **above; /* versions that came since then; the newest first */
    size_t n_above, room_above;
    bool then;         /* there was an object then */
    bool known;        /* what was there then has been seen */
    bool latest_there; /* and now there is one */
    /* What is to go */
    struct drop *drops;
    size_t n_drops, room_drops;
    uint64_t keys, deleted, overwritten, newer, heads_removed;
    uint64_t dropped, refused; /* versions */
    struct errtext why;        /* of the first that was refused */
    json_t *heads;
};

static int no_memory(struct undelete *u)
{
    return errtext_set(u->err, -ENOMEM, "undelete: out of memory");
}

static void drop_one(void *arg, size_t i)
{
    struct undelete *u = arg;
    struct drop *d = &u->drops[i];
    const char *key = d->key;
    d->rc = d->version ? u->store->ops->drop_version(u->store, key, d->version, NULL, &d->err)
                       : u->store->ops->del(u->store, &key, 1, NULL, &d->err);
}

static int take_one(void *arg, size_t i)
{
    struct undelete *u = arg;
    const struct drop *d = &u->drops[i];
    u->dropped += !d->rc;
    u->refused += d->rc != 0;
    if (d->rc && u->refused == 1)
        u->why = d->err;
    /* One that somebody locked is no reason to leave the others. */
    return u->refused < HOPELESS || u->dropped ? 0 : errtext_set(u->err, d->rc, "%s", u->why.text);
}

static void forget_drops(struct undelete *u)
{
    for (size_t i = 0; i < u->n_drops; i++)
        free(u->drops[i].version);
    u->n_drops = 0;
}

static int drop_all(struct undelete *u)
{
    const struct many m = {
        .n = u->n_drops, .parallel = config_requests(u->cfg), .work = drop_one, .done = take_one, .arg = u};
    int rc = u->o->dry_run ? 0 : many_run(&m);
    forget_drops(u);
    if (!rc && u->o->count)
        u->o->count(u->o->arg, u->keys, u->deleted + u->overwritten);
    return rc;
}

/* version NULL: the object is deleted, and stays as a version. Takes version over. */
static int add_drop(struct undelete *u, char *version)
{
    if (u->n_drops == u->room_drops && !array_grow(&u->drops, &u->room_drops, sizeof(*u->drops))) {
        free(version);
        return no_memory(u);
    }
    struct drop *d = &u->drops[u->n_drops++];
    *d = (struct drop){.version = version};
    memcpy(d->key, u->key, sizeof(d->key));
    return 0;
}

/* The barcode, if the key is a head's; else "". */
static void barcode_of_head(const char *key, char barcode[33])
{
    static const char above[] = "tapes/", below[] = "/head/";
    const char *from = key + strlen(above), *to = strncmp(key, above, strlen(above)) ? NULL : strstr(from, below);
    barcode[0] = '\0';
    if (to && to > from && to - from < 33) {
        memcpy(barcode, from, (size_t)(to - from));
        barcode[to - from] = '\0';
    }
}

static int note_newer(struct undelete *u)
{
    char barcode[33];
    size_t n = json_array_size(u->heads);
    barcode_of_head(u->key, barcode);
    u->newer++;
    if (!barcode[0])
        return 0;
    const char *last = n ? json_string_value(json_array_get(u->heads, n - 1)) : NULL;
    if ((!last || strcmp(last, barcode) != 0) && json_array_append_new(u->heads, json_string(barcode)))
        return no_memory(u);
    if (!u->o->newer_heads)
        return 0;
    u->heads_removed++;
    return add_drop(u, NULL);
}

/* All of a key is known. The newest goes last: until then the key is as it was, and a second run finds the rest. */
static int end_key(struct undelete *u)
{
    int rc = 0;
    u->keys += u->key[0] != '\0';
    if (u->then && u->n_above) {
        *(u->latest_there ? &u->overwritten : &u->deleted) += 1;
        for (size_t i = u->n_above; !rc && i-- > 0;) {
            rc = add_drop(u, u->above[i]);
            u->above[i] = NULL;
        }
    } else if (!u->then && u->latest_there) {
        rc = note_newer(u);
    }
    for (size_t i = 0; i < u->n_above; i++)
        free(u->above[i]);
    u->n_above = 0;
    u->key[0] = '\0';
    u->then = u->known = u->latest_there = false;
    return rc ? rc : u->n_drops >= BATCH ? drop_all(u) : 0;
}

static int add_above(struct undelete *u, const char *version)
{
    if (u->n_above == u->room_above && !array_grow(&u->above, &u->room_above, sizeof(*u->above)))
        return no_memory(u);
    u->above[u->n_above] = strdup(version);
    return u->above[u->n_above] ? (u->n_above++, 0) : no_memory(u);
}

/* A key that this program gives. Somebody else may keep objects below ours. */
static bool is_ours(const char *key)
{
    static const char *const kinds[] = {"/head/", "/map/", "/seg/", "/aside/"};
    static const char above[] = "tapes/";
    const char *below = strncmp(key, above, strlen(above)) ? NULL : strchr(key + strlen(above), '/');
    struct seg_id id;
    for (size_t i = 0; below && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (object_name_at(below, kinds[i], &id))
            return strlen(key) < DB_KEY_SIZE;
    return !strcmp(key, "format") || inventory_is_key(key);
}

static int take_version(void *arg, const struct obj_version *v)
{
    struct undelete *u = arg;
    int rc = strcmp(v->key, u->key) ? end_key(u) : 0;
    if (rc || !is_ours(v->key))
        return rc;
    if (!u->key[0])
        u->latest_there = !v->marker;
    memcpy(u->key, v->key, strlen(v->key) + 1);
    if (u->known)
        return 0;
    if (v->put_ms > u->o->since_ms)
        return add_above(u, v->version);
    u->known = true;
    u->then = !v->marker;
    return 0;
}

static int undelete(struct undelete *u)
{
    static const char *const prefixes[] = {"format", "gateways/", "tapes/"};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        rc = objstore_versions(u->store, prefixes[i], take_version, u, NULL, u->err);
        if (!rc)
            rc = end_key(u);
    }
    return rc ? rc : drop_all(u);
}

int library_undelete(const struct vtl_config *cfg, const struct undelete_options *o, json_t **report,
                     struct errtext *err)
{
    const struct obj_call few = {.max_tries = 2};
    struct undelete u = {.cfg = cfg, .o = o, .err = err, .heads = json_array()};
    *report = NULL;
    int rc = u.heads ? rebuild_open_store(cfg, &u.store, err) : no_memory(&u);
    if (!rc) {
        (void)objstore_learn(u.store, &few, NULL); /* if it does not tell, it keeps no versions */
        rc = undelete(&u);
        u.store->ops->close(u.store);
    }
    forget_drops(&u);
    for (size_t i = 0; i < u.n_above; i++)
        free(u.above[i]);
    free(u.above);
    free(u.drops);
    if (!rc)
        *report = json_pack("{s:I, s:I, s:I, s:I, s:O, s:b, s:I, s:o}", "deleted", (json_int_t)u.deleted, "overwritten",
                            (json_int_t)u.overwritten, "newer", (json_int_t)u.newer, "heads_removed",
                            (json_int_t)u.heads_removed, "heads", u.heads, "dry_run", (int)o->dry_run, "refused",
                            (json_int_t)u.refused, "error", json_text(u.why.text));
    json_decref(u.heads);
    return rc;
}
