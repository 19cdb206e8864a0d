/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_read.c: heads and maps as they are read back from the store. */
#include "vtl/cartridge/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

#define MAX_HEAD_BYTES (64u << 20)
#define MAX_MAP_BYTES (1u << 30)

struct listing {
    const char *prefix;
    struct seg_id *ids;
    size_t n, room;
};

static int list_one(void *arg, const struct obj_entry *e)
{
    struct listing *l = arg;
    struct seg_id id;
    if (e->is_prefix || !object_name_at(e->key, l->prefix, &id))
        return 0; /* not ours */
    if (l->n == l->room && !array_grow(&l->ids, &l->room, sizeof(*l->ids)))
        return -ENOMEM;
    l->ids[l->n++] = id;
    return 0;
}

int commit_list_heads(struct objstore *store, const char *barcode, struct seg_id **heads, size_t *n,
                      const struct obj_call *call, struct errtext *err)
{
    char prefix[DB_KEY_SIZE];
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/head/", barcode);
    struct listing l = {.prefix = prefix};
    int rc = store->ops->list(store, prefix, NULL, false, list_one, &l, call, err);
    if (rc) {
        free(l.ids);
        *heads = NULL;
        *n = 0;
        return rc;
    }
    if (l.n)
        qsort(l.ids, l.n, sizeof(*l.ids), seg_id_order);
    *heads = l.ids;
    *n = l.n;
    return 0;
}

/* A whole object into memory; *buf is malloc'd. */
static int read_object(struct objstore *store, const char *key, uint64_t max, void **buf, size_t *len,
                       const struct obj_call *call, struct errtext *err)
{
    uint64_t size = 0;
    *buf = NULL;
    int rc = store->ops->head(store, key, &size, call, err);
    if (rc)
        return rc;
    if (size > max || !size)
        return errtext_set(err, -EBADMSG, "%s: %llu bytes cannot be right", key, (unsigned long long)size);
    if (!(*buf = malloc(size)))
        return errtext_set(err, -ENOMEM, "%s: out of memory", key);
    *len = size;
    rc = store->ops->get(store, key, 0, size, *buf, call, err);
    if (rc) {
        free(*buf);
        *buf = NULL;
    }
    return rc;
}

int commit_read_one(struct objstore *store, const char *barcode, const struct seg_id *id, struct head *out,
                    const struct obj_call *call, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    object_key(key, barcode, "head", id);
    void *buf = NULL;
    size_t len = 0;
    int rc = read_object(store, key, MAX_HEAD_BYTES, &buf, &len, call, err);
    if (rc)
        return rc;
    struct errtext why = {""};
    rc = head_decode(buf, len, out, &why);
    free(buf);
    if (!rc && (seg_id_compare(&out->id, id) || strcmp(out->barcode, barcode))) {
        head_free(out);
        return errtext_set(err, -EBADMSG, "%s: names another cartridge or head inside", key);
    }
    return rc ? errtext_set(err, rc, "%s: %s", key, why.text) : 0;
}

static bool is_among(const struct seg_id *id, const struct seg_id *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!seg_id_compare(id, &v[i]))
            return true;
    return false;
}

#define MOST_GONE 16

/* Those that were listed, and not there any more when they were looked at. */
struct gone {
    struct seg_id v[MOST_GONE];
    size_t n;
};

/* A head that is gone made room for the next one of its writer, which was put before: a new list shows that, and must be
 * looked at, or its writer would be passed over with it. What is listed still was given up. */
static int list_again(struct objstore *store, const char *barcode, struct gone *g, struct seg_id **heads, size_t *n,
                      const struct obj_call *call, struct errtext *err)
{
    const struct seg_id id = (*heads)[*n - 1];
    if (is_among(&id, g->v, g->n)) {
        --*n;
        return 0;
    }
    if (g->n == MOST_GONE)
        return errtext_set(err, -EIO, "tapes/%s/head/: they change faster than they can be looked at", barcode);
    g->v[g->n++] = id;
    free(*heads);
    *heads = NULL;
    return commit_list_heads(store, barcode, heads, n, call, err);
}

int commit_real_heads(struct objstore *store, const char *barcode, const struct head_search *s, struct seg_id **heads,
                      size_t *n, struct seg_id *junk, const struct obj_call *call, struct errtext *err)
{
    struct gone gone = {.n = 0};
    int rc = commit_list_heads(store, barcode, heads, n, call, err);
    while (!rc && *n && !is_among(&(*heads)[*n - 1], s->trusted, s->n_trusted)) {
        struct head h;
        struct errtext why = {""};
        rc = commit_read_one(store, barcode, &(*heads)[*n - 1], &h, call, &why);
        if (!rc)
            head_free(&h);
        if (!rc || rc == -EPROTONOSUPPORT) /* a later program's is no junk: whoever put it owns the cartridge */
            return 0;
        if (rc == -EBADMSG && junk)
            *junk = (*heads)[*n - 1];
        else if (rc != -EBADMSG && rc != -ENOENT)
            *err = why;
        if (rc == -EBADMSG) {
            --*n;
            rc = 0;
        } else if (rc == -ENOENT) {
            rc = list_again(store, barcode, &gone, heads, n, call, err);
        }
    }
    if (rc) {
        free(*heads);
        *heads = NULL;
        *n = 0;
    }
    return rc;
}

/* The highest complete head below limit that can be read. What is none, whatever its name says, is passed over, but for
 * those that must be one. */
static int read_best(struct objstore *store, const char *barcode, const struct head_search *s, struct head *out,
                     const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(store, barcode, &heads, &n, call, err);
    if (rc)
        return rc;
    rc = errtext_set(err, -ENOENT, "tapes/%s/head/: no complete head", barcode);
    bool none = true;
    for (size_t i = n; i-- > 0 && (none || rc == -EBADMSG);) {
        if (!heads[i].number || (s->limit && seg_id_compare(&heads[i], s->limit) >= 0)) /* number 0 is a claim */
            continue;
        if (!none)
            log_warn("%s: passed over", err->text);
        none = false;
        rc = commit_read_one(store, barcode, &heads[i], out, call, err);
        if (rc == -EBADMSG && is_among(&heads[i], s->trusted, s->n_trusted))
            break;
    }
    free(heads);
    return none ? -ENOENT : rc == -ENOENT ? -EAGAIN : rc;
}

int commit_find_head(struct objstore *store, const char *barcode, const struct head_search *s, struct head *out,
                     const struct obj_call *call, struct errtext *err)
{
    /* A head may be deleted between the list and the get, because its writer committed the next one: list again. */
    int rc = -EAGAIN;
    for (int attempt = 0; attempt < 5 && rc == -EAGAIN; attempt++)
        rc = read_best(store, barcode, s, out, call, err);
    return rc == -EAGAIN ? -ENOENT : rc;
}

int commit_read_head(struct objstore *store, const char *barcode, const struct seg_id *limit, struct head *out,
                     const struct obj_call *call, struct errtext *err)
{
    const struct head_search s = {.limit = limit};
    return commit_find_head(store, barcode, &s, out, call, err);
}

/* An object, whatever it holds, under tapes/<barcode>/aside/, where nothing looks for heads. */
static int put_aside(struct objstore *store, const char *barcode, const struct seg_id *id, const struct obj_call *call,
                     struct errtext *err)
{
    char key[DB_KEY_SIZE], aside[DB_KEY_SIZE];
    uint64_t size = 0;
    object_key(key, barcode, "head", id);
    object_key(aside, barcode, "aside", id);
    int rc = store->ops->head(store, key, &size, call, err);
    void *buf = rc || size > MAX_HEAD_BYTES ? NULL : malloc(size + 1);
    if (!rc && !buf)
        return errtext_set(err, -ENOMEM, "%s: %llu bytes do not fit in memory", key, (unsigned long long)size);
    if (!rc && size)
        rc = store->ops->get(store, key, 0, size, buf, call, err);
    const struct obj_source src = {.mem = buf, .fd = -1, .len = size};
    if (!rc)
        rc = store->ops->put(store, aside, &src, call, err);
    const char *keys[] = {key};
    if (!rc)
        rc = store->ops->del(store, keys, 1, call, err);
    free(buf);
    return rc;
}

int commit_clear_heads(struct objstore *store, const char *barcode, const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(store, barcode, &heads, &n, call, err);
    for (size_t i = n; !rc && i-- > 0;) {
        struct head h;
        rc = commit_read_one(store, barcode, &heads[i], &h, call, err);
        if (!rc) {
            head_free(&h);
            break;
        }
        if (rc == -EBADMSG)
            rc = put_aside(store, barcode, &heads[i], call, err);
        else if (rc == -ENOENT)
            rc = 0;
    }
    free(heads);
    return rc;
}

static int read_map(struct objstore *store, const struct head *h, const struct map_ref *m, struct tape_index *x,
                    const struct obj_call *call, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    object_key(key, h->barcode, "map", &m->id);
    void *buf = NULL;
    size_t len = 0;
    struct errtext why = {""};
    tape_index_truncate(x, m->first_object); /* where the map before was cut */
    size_t before = x->n_segs;
    int rc = read_object(store, key, MAX_MAP_BYTES, &buf, &len, call, err);
    if (rc)
        return rc;
    rc = map_check(buf, len, m, &why);
    if (!rc)
        rc = map_decode(buf, len, h->cartridge, x, &why);
    free(buf);
    if (rc)
        return errtext_set(err, rc, "%s: %s", key, why.text);
    if (x->n_segs - before < m->n_segs)
        return errtext_set(err, -EBADMSG, "%s: holds fewer segments than its head says", key);
    if (x->n_segs - before > m->n_segs)
        tape_index_truncate(x, x->segs[before + m->n_segs].first_object);
    return 0;
}

int commit_read_index(struct objstore *store, const struct head *h, struct tape_index *x, const struct obj_call *call,
                      struct errtext *err)
{
    tape_index_init(x);
    int rc = 0;
    for (size_t i = 0; !rc && i < h->n_maps; i++)
        rc = read_map(store, h, &h->maps[i], x, call, err);
    uint64_t end = h->inl.n_segs ? h->inl.segs[0].first_object : h->end_object;
    if (!rc)
        tape_index_truncate(x, end);
    if (!rc && leans_append(&x->leans, x->n_segs, &h->inl.leans, 0, h->inl.n_segs))
        rc = errtext_set(err, -ENOMEM, "tapes/%s/head/: out of memory", h->barcode);
    for (size_t i = 0; !rc && i < h->inl.n_segs; i++) {
        const struct seg_ref *r = &h->inl.segs[i];
        struct seg_fm_run *runs = NULL;
        size_t n = 0;
        rc = tape_index_runs(&h->inl, r->first_object, r->first_object + r->objects, &runs, &n);
        if (!rc)
            rc = tape_index_append(x, r, runs, n);
        free(runs);
        if (rc)
            errtext_set(err, rc, "tapes/%s/head/: segments do not join", h->barcode);
    }
    if (!rc && (tape_index_end_object(x) != h->end_object || tape_index_end_file(x) != h->end_file))
        rc = errtext_set(err, -EBADMSG, "tapes/%s/head/: segments end at object %llu, the head says %llu", h->barcode,
                         (unsigned long long)tape_index_end_object(x), (unsigned long long)h->end_object);
    if (rc)
        tape_index_free(x);
    return rc;
}

#define MOST_TRIES 5

int commit_read_tape(struct objstore *store, const char *barcode, struct head *h, struct tape_index *x, bool *with_head,
                     const struct obj_call *call, struct errtext *err)
{
    struct seg_id was = {.epoch = 0};
    for (int i = 0; i < MOST_TRIES; i++) {
        int rc = commit_read_head(store, barcode, NULL, h, call, err);
        *with_head = !rc;
        if (!rc)
            rc = commit_read_index(store, h, x, call, err);
        if (!*with_head || rc != -ENOENT || !seg_id_compare(&h->id, &was))
            return rc;
        was = h->id;
        head_free(h);
    }
    *with_head = false;
    return errtext_set(err, -EAGAIN, "tapes/%s/: its heads change faster than its maps can be read: try again",
                       barcode);
}

void commit_row_of_head(const struct head *h, const struct tape_index *x, struct db_cartridge *row)
{
    *row = (struct db_cartridge){.generation = h->generation,
                                 .capacity = h->capacity,
                                 .full_capacity = h->full_capacity,
                                 .worm = h->worm,
                                 .no_dedup = h->no_dedup,
                                 .write_protected = h->write_protected,
                                 .retention = h->retention,
                                 .object_lock = h->object_lock,
                                 .created = h->created,
                                 .modified = h->modified,
                                 .next_segment = h->next_segment,
                                 .next_map = h->next_map,
                                 .head = h->id,
                                 .commit_segs = x->n_segs,
                                 .used_bytes = tape_index_plain_bytes(x),
                                 .rebuilt = true,
                                 .released = h->released};
    for (size_t i = 0; i < x->n_segs; i++)
        row->accepted_bytes += x->segs[i].size;
    memcpy(row->barcode, h->barcode, sizeof(row->barcode));
    memcpy(row->id, h->cartridge, sizeof(row->id));
    row->mam = h->mam ? json_dumps(h->mam, JSON_COMPACT) : NULL;
    row->counters = h->counters ? json_dumps(h->counters, JSON_COMPACT) : NULL;
}
