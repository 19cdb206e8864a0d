/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deep_scan.c: header and index of each of a cartridge's segments, several at a time; see deep.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/lock.h"
#include "base/thread.h"
#include "vtl/state/db.h"
#include "vtl/scrub/deep.h"

#define MAX_PARALLEL 64
#define WINDOW (UINT64_C(4) << 20)
#define MOST_OBJECTS (UINT64_C(1) << 62) /* no sum of two overflows */

struct scanning {
    struct objstore *store;
    const char *barcode;
    const struct deep_options *o;
    struct deep_scan *scan;
    struct lock lock; /* guards what follows */
    size_t next, done;
    int rc;
    struct errtext err;
};

static int take(void *arg, const struct obj_entry *e)
{
    struct deep_scan *s = arg;
    const char *slash = strrchr(e->key, '/');
    struct seg_id id;
    if (e->is_prefix || !slash || !seg_id_parse(slash + 1, &id))
        return 0; /* nothing that this program made */
    if (s->n == s->room && !array_grow(&s->v, &s->room, sizeof(*s->v)))
        return -ENOMEM;
    s->v[s->n++] = (struct deep_segment){.id = id, .size = e->size};
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return seg_id_compare(&((const struct deep_segment *)a)->id, &((const struct deep_segment *)b)->id);
}

/* What the store does not have, or has damaged, is no failure: 1. */
static int get(struct scanning *s, const char *key, uint64_t at, uint64_t len, void *buf, struct errtext *err)
{
    struct obj_call call = {.cancel = s->o->cancel};
    int rc = s->store->ops->get(s->store, key, at, len, buf, &call, err);
    return rc == -ENOENT || rc == -EBADMSG ? 1 : rc;
}

static int read_header(struct scanning *s, const char *key, struct deep_segment *g, struct errtext *err)
{
    uint8_t buf[SEG_HEADER_SIZE];
    struct errtext why;
    if (g->size < sizeof(buf))
        return 0;
    int rc = get(s, key, 0, sizeof(buf), buf, err);
    if (!rc && seg_header_check_version(buf, sizeof(buf), &why)) /* a tape without it would be another tape */
        return errtext_set(err, -EPROTONOSUPPORT, "%s: %s", key, why.text);
    if (!rc && !seg_header_decode(buf, sizeof(buf), &g->h, &why))
        g->header = !seg_id_compare(&g->h.id, &g->id) && !strcmp(g->h.barcode, s->barcode) &&
                    g->h.first_object < MOST_OBJECTS && g->h.first_file < MOST_OBJECTS;
    return rc < 0 ? rc : 0;
}

static int keep_totals(struct deep_segment *g, const struct seg_index *x)
{
    struct seg_totals t;
    seg_index_totals(x, &t);
    g->objects = t.objects;
    g->filemarks = t.filemarks;
    g->plain_bytes = t.plain_bytes;
    g->crc = t.crc;
    if (!t.n_fms)
        return 0;
    g->fms = malloc(t.n_fms * sizeof(*g->fms));
    if (!g->fms)
        return -ENOMEM;
    memcpy(g->fms, t.fms, t.n_fms * sizeof(*g->fms));
    g->n_fms = t.n_fms;
    return 0;
}

static bool begins_at(const struct seg_index *x, uint64_t object)
{
    uint64_t offset;
    uint32_t size;
    return !seg_index_find(x, object, &offset, &size) && offset == SEG_HEADER_SIZE;
}

/* Is it the one that the head names? What no entry of the head binds may be any. */
static bool is_named_one(const struct head *h, const struct seg_id *id, const struct seg_index *x)
{
    struct seg_totals t;
    seg_index_totals(x, &t);
    for (size_t i = 0; h && i < h->inl.n_segs; i++)
        if (!seg_id_compare(&h->inl.segs[i].id, id))
            return !h->inl.segs[i].crc || h->inl.segs[i].crc == t.crc;
    return true;
}

static bool is_right(struct scanning *s, const struct deep_segment *g, const struct seg_index *x)
{
    return seg_index_identity(x) == seg_identity(g->h.cartridge, &g->id) && begins_at(x, g->h.first_object) &&
           is_named_one(s->o->head, &g->id, x);
}

/* From the end of the segment. 1: it cannot be had, or is damaged. */
static int read_index(struct scanning *s, const char *key, const struct deep_segment *g, struct seg_index **x,
                      struct errtext *err)
{
    uint64_t need = seg_tail_size(g->size);
    int rc = -EAGAIN;
    while (rc == -EAGAIN && need <= g->size) {
        uint8_t *tail = malloc(need ? need : 1);
        struct errtext why;
        uint64_t len = need;
        if (!tail)
            return -ENOMEM;
        rc = get(s, key, g->size - len, len, tail, err);
        if (!rc)
            rc = seg_index_decode(tail, len, g->size, x, &need, &why);
        free(tail);
    }
    return rc == -EBADMSG || rc == -EAGAIN ? 1 : rc;
}

/* A part of the object in memory, for the walk from record to record. */
struct walk_window {
    struct scanning *s;
    const char *key;
    uint64_t size, at, len;
    uint8_t *buf;
    int failed;
};

static int read_window(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    struct walk_window *w = arg;
    if (offset < w->at || offset + len > w->at + w->len) {
        uint64_t n = w->size - offset < WINDOW ? w->size - offset : WINDOW;
        w->len = 0;
        w->failed = get(w->s, w->key, offset, n, w->buf, err);
        if (w->failed)
            return w->failed < 0 ? w->failed : -EBADMSG;
        w->at = offset;
        w->len = n;
    }
    memcpy(buf, w->buf + (offset - w->at), len);
    return 0;
}

/* Index or footer is damaged: its records say the same. 1: they do not. */
static int walk_records(struct scanning *s, const char *key, const struct deep_segment *g, struct seg_index **x,
                        struct errtext *err)
{
    struct walk_window w = {.s = s, .key = key, .size = g->size, .buf = malloc(WINDOW)};
    const struct seg_bytes bytes = {read_window, &w, g->size};
    if (!w.buf)
        return -ENOMEM;
    int rc = seg_index_walk(&bytes, x, err);
    free(w.buf);
    return rc == -EBADMSG && w.failed >= 0 ? 1 : rc;
}

/* The list at its end of what its blocks copy from, which is not encrypted. 1: it cannot be had, or is damaged: then no
 * head must be made that does not say on what the tape leans. */
static int keep_sources(struct scanning *s, const char *key, struct deep_segment *g, const struct seg_index *x,
                        struct errtext *err)
{
    uint64_t offset = 0;
    uint32_t size = 0, len = 0;
    const void *list = NULL;
    int rc = 0;
    for (size_t i = 0; !rc && seg_index_list(x, SEG_SOURCES, i, &offset, &size); i++) {
        uint8_t *rec = malloc(size);
        rc = rec ? get(s, key, offset, size, rec, err) : -ENOMEM;
        if (!rc && seg_index_open_list(x, SEG_SOURCES, i, rec, size, &list, &len, err))
            rc = 1;
        struct seg_source source, *more;
        bool good = true;
        for (size_t k = 0; !rc && seg_sources_next(list, len, k, &source, &good); k++) {
            more = realloc(g->sources, (g->n_sources + 1) * sizeof(*more));
            rc = !more ? -ENOMEM : !good;
            if (more)
                g->sources = more;
            if (!rc)
                g->sources[g->n_sources++] = source;
        }
        free(rec);
    }
    return rc;
}

static int find_index(struct scanning *s, const char *key, struct deep_segment *g, struct errtext *err)
{
    struct seg_index *x = NULL;
    int rc = read_index(s, key, g, &x, err);
    if (rc > 0)
        rc = walk_records(s, key, g, &x, err);
    if (!rc && is_right(s, g, x)) {
        rc = keep_totals(g, x);
        if (!rc)
            rc = keep_sources(s, key, g, x, err);
        g->index = !rc;
    }
    seg_index_free(x);
    return rc > 0 ? 0 : rc;
}

static void look_at(struct scanning *s, struct deep_segment *g)
{
    char key[DB_KEY_SIZE];
    struct errtext err = {""};
    object_key(key, s->barcode, "seg", &g->id);
    int rc = read_header(s, key, g, &err);
    if (!rc && g->header)
        rc = find_index(s, key, g, &err);
    lock_take(&s->lock);
    if (rc && !s->rc) {
        s->rc = rc;
        s->err = err;
    }
    s->done++;
    if (s->o->progress)
        s->o->progress(s->o->arg, s->barcode, s->done, s->scan->n);
    lock_release(&s->lock);
}

static void *walk(void *arg)
{
    struct scanning *s = arg;
    for (;;) {
        lock_take(&s->lock);
        struct deep_segment *g = s->next < s->scan->n && !s->rc ? &s->scan->v[s->next++] : NULL;
        lock_release(&s->lock);
        if (!g)
            return NULL;
        look_at(s, g);
    }
}

int deep_scan(struct objstore *store, const char *barcode, const struct deep_options *o, struct deep_scan *out,
              struct errtext *err)
{
    char prefix[DB_KEY_SIZE];
    struct obj_call call = {.cancel = o->cancel};
    *out = (struct deep_scan){0};
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/seg/", barcode);
    int rc = store->ops->list(store, prefix, NULL, false, take, out, &call, err);
    if (rc)
        return rc == -ENOMEM ? errtext_set(err, rc, "%s: out of memory", prefix) : rc;
    if (out->n)
        qsort(out->v, out->n, sizeof(*out->v), by_id);
    struct scanning s = {.store = store, .barcode = barcode, .o = o, .scan = out};
    pthread_t threads[MAX_PARALLEL];
    unsigned n = 0, want = o->parallel > MAX_PARALLEL ? MAX_PARALLEL : o->parallel;
    lock_init(&s.lock, LOCK_SCRUB);
    while (n + 1 < want && !thread_start(&threads[n], "scrub", walk, &s))
        n++;
    walk(&s); /* this thread too */
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    lock_fini(&s.lock);
    if (s.rc)
        return errtext_set(err, s.rc, "%s: %s", barcode, s.err.text[0] ? s.err.text : strerror(-s.rc));
    return 0;
}

void deep_scan_free(struct deep_scan *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].fms);
        free(s->v[i].sources);
    }
    free(s->v);
    *s = (struct deep_scan){0};
}
