/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stray.c: see stray.h. */
#include "tests/crash/stray.h"

#include <stdio.h>
#include <string.h>

#include "tests/crash/lib.h"
#include "vtl/cartridge/commit.h"

static bool is_named(const struct tape_index *x, const struct head *h, const char *key)
{
    const char *slash = strrchr(key, '/');
    struct seg_id id;
    if (!slash || !seg_id_parse(slash + 1, &id))
        return false;
    for (size_t i = 0; i < x->n_segs; i++)
        if (!seg_id_compare(&x->segs[i].id, &id))
            return true;
    for (size_t i = 0; i < h->n_maps; i++)
        if (!seg_id_compare(&h->maps[i].id, &id))
            return true;
    return false;
}

/* Does the tape copy from the object of that key? */
static bool leans_on(const struct leans *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++) {
        char source[DB_KEY_SIZE];
        object_key(source, l->v[i].source.barcode, "seg", &l->v[i].source.id);
        if (!strcmp(source, key))
            return true;
    }
    return false;
}

struct stray {
    const struct tape_index *all; /* of all tapes */
    const struct head *heads;
    const struct tape_index *x;
    const struct head *h;
    struct db *db;
    int64_t rowids[TAPES];
    size_t n_rowids;
    const char *key; /* that is looked for in the queue */
    bool queued;
    unsigned n;
};

static int is_key(void *arg, const char *key)
{
    struct stray *s = arg;
    s->queued = s->queued || !strcmp(key, s->key);
    return 0;
}

static int take_rowid(void *arg, const struct db_cartridge *c)
{
    struct stray *s = arg;
    if (s->n_rowids < TAPES)
        s->rowids[s->n_rowids++] = c->rowid;
    return 0;
}

static int look_for_stray(void *arg, const struct obj_entry *o)
{
    struct stray *s = arg;
    if (is_named(s->x, s->h, o->key))
        return 0;
    for (unsigned t = 0; t < TAPES; t++)
        if (leans_on(&s->all[t].leans, o->key) || leans_on(&s->heads[t].pending, o->key))
            return 0;
    s->key = o->key;
    s->queued = false;
    for (size_t i = 0; i < s->n_rowids; i++)
        (void)db_garbage(s->db, s->rowids[i], is_key, s);
    if (!s->queued) {
        fprintf(stderr, "%s: no head names it, and nobody will delete it\n", o->key);
        s->n++;
    }
    return 0;
}

bool nothing_is_orphaned(const struct vtl_config *c)
{
    char path[4200];
    struct objstore_config oc = {.type = "dir", .path = c->store.path};
    struct objstore *store = NULL;
    const struct obj_call call = {0};
    struct errtext err = {""};
    static const char *const kinds[] = {"seg", "map"};
    struct stray s = {.n = 0};
    if (objstore_open(&oc, &store, &err)) {
        fprintf(stderr, "store: %s\n", err.text);
        return false;
    }
    (void)snprintf(path, sizeof(path), "%s/state.db", c->library.state_dir);
    if (db_open(path, false, &s.db, &err) || db_cartridges(s.db, take_rowid, &s)) {
        fprintf(stderr, "%s\n", err.text);
        return false;
    }
    struct head heads[TAPES];
    struct tape_index all[TAPES];
    for (unsigned t = 0; t < TAPES; t++)
        if (commit_read_head(store, lib_barcode(t), NULL, &heads[t], &call, &err) ||
            commit_read_index(store, &heads[t], &all[t], &call, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return false;
        }
    s.all = all;
    s.heads = heads;
    for (unsigned t = 0; t < TAPES && !s.n; t++) {
        s.x = &all[t];
        s.h = &heads[t];
        for (int k = 0; k < 2; k++) {
            char prefix[100];
            (void)snprintf(prefix, sizeof(prefix), "tapes/%s/%s/", lib_barcode(t), kinds[k]);
            if (store->ops->list(store, prefix, NULL, false, look_for_stray, &s, &call, &err)) {
                fprintf(stderr, "%s\n", err.text);
                return false;
            }
        }
    }
    for (unsigned t = 0; t < TAPES; t++) {
        tape_index_free(&all[t]);
        head_free(&heads[t]);
    }
    db_close(s.db);
    store->ops->close(store);
    return !s.n;
}
