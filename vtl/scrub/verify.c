/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.c: all of a cartridge's segments, several at a time; see verify.h. */
#include "vtl/scrub/verify.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/thread.h"
#include "vtl/cartridge/commit.h"
#include "vtl/cartridge/engine.h"

#define MAX_PARALLEL 64
#define MAX_ROUNDS 20

struct verify_gate {
    struct lock lock; /* guards left */
    struct cond cond;
    unsigned left[2]; /* places: of large segments, of small ones */
};

struct verify_gate *verify_gate_new(unsigned large, unsigned small)
{
    struct verify_gate *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    lock_init(&g->lock, LOCK_SCRUB);
    cond_init(&g->cond);
    g->left[0] = large;
    g->left[1] = small;
    return g;
}

void verify_gate_free(struct verify_gate *g)
{
    if (!g)
        return;
    cond_fini(&g->cond);
    lock_fini(&g->lock);
    free(g);
}

static void enter(struct verify_gate *g, bool small)
{
    if (!g)
        return;
    lock_take(&g->lock);
    while (!g->left[small])
        cond_wait(&g->cond, &g->lock);
    g->left[small]--;
    lock_release(&g->lock);
}

static void leave(struct verify_gate *g, bool small)
{
    if (!g)
        return;
    lock_take(&g->lock);
    g->left[small]++;
    cond_broadcast(&g->cond);
    lock_release(&g->lock);
}

struct finding {
    size_t segment; /* index in the round's tape index */
    uint64_t first_object, objects;
    bool of_source; /* not the segment, but this one that it leans on */
    struct seg_source source;
    char *what;
};

/* One walk over the segments of one head. */
struct round {
    struct objstore *store;
    const struct verify_options *o;
    const struct head *head;
    const struct tape_index *x;
    struct lock lock;   /* guards what follows */
    bool *looked;       /* per segment */
    size_t next, front; /* front: all segments before it have been looked at */
    uint64_t done, total, read;
    uint64_t allowed_at; /* ticks, ms: when the next byte may be read */
    struct finding *findings;
    size_t n_findings, room;
    uint64_t blocks;
    int rc;
    struct errtext err;
};

struct job {
    struct round *r;
    size_t segment;
};

static bool cancelled(const struct round *r)
{
    return r->o->cancel && atomic_load(r->o->cancel);
}

static void pace(void *arg, uint64_t bytes)
{
    struct round *r = ((struct job *)arg)->r;
    if (!r->o->bytes_per_second)
        return;
    lock_take(&r->lock);
    uint64_t now = clock_ms(), at = r->allowed_at > now ? r->allowed_at : now;
    r->allowed_at = at + bytes * 1000 / r->o->bytes_per_second;
    lock_release(&r->lock);
    while (!cancelled(r) && (now = clock_ms()) < at) {
        uint64_t ms = at - now > 200 ? 200 : at - now;
        struct timespec t = {0, (long)ms * 1000000};
        nanosleep(&t, NULL);
    }
}

static void note(struct round *r, const struct finding *found, const char *what)
{
    lock_assert_held(&r->lock);
    if (r->n_findings == r->room && !array_grow(&r->findings, &r->room, sizeof(*r->findings))) {
        r->rc = r->rc ? r->rc : -ENOMEM;
        return;
    }
    r->findings[r->n_findings] = *found;
    r->findings[r->n_findings++].what = strdup(what);
}

static void found(void *arg, uint64_t first, uint64_t objects, const char *what)
{
    struct job *j = arg;
    lock_take(&j->r->lock);
    note(j->r, &(struct finding){.segment = j->segment, .first_object = first, .objects = objects}, what);
    lock_release(&j->r->lock);
}

/* A segment of later has a higher epoch, or at least this number (seg_id_is_newer). */
static struct seg_id written_from(const struct head *h)
{
    return (struct seg_id){h->id.epoch, 0, h->next_segment};
}

static void tell_progress(const struct round *r)
{
    lock_assert_held(&r->lock);
    if (!r->o->progress)
        return;
    bool all = r->front >= r->x->n_segs;
    struct seg_id *bad = calloc(r->n_findings + 1, sizeof(*bad));
    size_t n = 0;
    if (!bad)
        return;
    for (size_t i = 0; i < r->n_findings; i++)
        if (!i || r->findings[i].segment != r->findings[i - 1].segment)
            bad[n++] = r->x->segs[r->findings[i].segment].id;
    struct verify_progress p = {.done = r->done,
                                .total = r->total,
                                .read = r->read,
                                .verified = all ? r->head->end_object : r->x->segs[r->front].first_object,
                                .written = written_from(r->head),
                                .bad = bad,
                                .n_bad = n};
    r->o->progress(r->o->arg, &p);
    free(bad);
}

/* Does the store give nothing at all, or is it only this object? What it does not say is no damage. */
static bool store_is_gone(const struct round *r, int rc)
{
    const struct obj_call once = {.cancel = r->o->cancel, .max_tries = 1};
    return (rc == -EIO || rc == -EACCES) && r->store->ops->check(r->store, &once, NULL);
}

static void look_at(struct round *r, size_t i)
{
    const struct seg_ref *ref = &r->x->segs[i];
    struct job j = {r, i};
    struct verify_io io = {.store = r->store, .call = {.cancel = r->o->cancel}, .pace = pace, .arg = &j};
    char key[DB_KEY_SIZE];
    struct errtext err = {""};
    uint64_t blocks = 0;
    object_key(key, r->head->barcode, "seg", &ref->id);
    bool small = ref->size <= VERIFY_SMALL;
    enter(r->o->gate, small);
    int rc = verify_segment(&io, key, ref, r->head, found, &j, &blocks, &err);
    leave(r->o->gate, small);
    bool gone = store_is_gone(r, rc);
    lock_take(&r->lock);
    if (cancelled(r) || rc == -ENOMEM || gone) {
        r->rc = cancelled(r) ? -ECANCELED : rc;
        r->err = err;
    } else {
        if (rc) /* it is not there, or the store does not give it */
            note(r, &(struct finding){.segment = i, .first_object = ref->first_object, .objects = ref->objects},
                 err.text);
        r->looked[i] = true;
        while (r->front < r->x->n_segs && r->looked[r->front])
            r->front++;
        r->blocks += blocks;
        r->done += ref->size;
        r->read += ref->size;
        tell_progress(r);
    }
    lock_release(&r->lock);
}

static void *walk(void *arg)
{
    struct round *r = arg;
    for (;;) {
        lock_take(&r->lock);
        while (r->next < r->x->n_segs && r->looked[r->next])
            r->next++;
        size_t i = r->next < r->x->n_segs && !r->rc ? r->next++ : SIZE_MAX;
        lock_release(&r->lock);
        if (i == SIZE_MAX)
            return NULL;
        look_at(r, i);
    }
}

static int run_threads(struct round *r)
{
    pthread_t threads[MAX_PARALLEL];
    unsigned n = 0, want = r->o->parallel > MAX_PARALLEL ? MAX_PARALLEL : r->o->parallel;
    while (n + 1 < want && !thread_start(&threads[n], "scrub", walk, r))
        n++;
    walk(r); /* this thread too */
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return r->rc;
}

/* ---- rounds: until the head did not change meanwhile ---- */

struct seen { /* a segment that was looked at and is good */
    struct seg_id id;
    uint64_t objects; /* of which so many were in use */
};

static int by_id(const void *a, const void *b)
{
    return seg_id_compare(&((const struct seen *)a)->id, &((const struct seen *)b)->id);
}

struct verifying {
    struct seen *seen;
    size_t n_seen;
    struct verify_result *out;
};

static bool is_again(const struct verify_options *o, const struct seg_id *id)
{
    for (size_t i = 0; i < o->n_again; i++)
        if (!seg_id_compare(&o->again[i], id))
            return true;
    return false;
}

static int begin_round(struct round *r, const struct verifying *v)
{
    r->looked = calloc(r->x->n_segs + 1, sizeof(*r->looked));
    if (!r->looked)
        return -ENOMEM;
    for (size_t i = 0; i < r->x->n_segs; i++) {
        const struct seg_ref *ref = &r->x->segs[i];
        struct seen key = {.id = ref->id};
        const struct seen *s = v->n_seen ? bsearch(&key, v->seen, v->n_seen, sizeof(*s), by_id) : NULL;
        r->total += ref->size;
        bool before = ref->first_object + ref->objects <= r->o->from_object &&
                      seg_id_is_newer(&r->o->from_written, &ref->id) && !is_again(r->o, &ref->id);
        r->looked[i] = before || (s && s->objects >= ref->objects);
        if (r->looked[i])
            r->done += ref->size;
    }
    return 0;
}

static bool is_bad(const struct round *r, size_t segment)
{
    for (size_t i = 0; i < r->n_findings; i++)
        if (r->findings[i].segment == segment)
            return true;
    return false;
}

/* Good segments need no second look, whatever the next head is. */
static int keep_seen(struct verifying *v, const struct round *r)
{
    struct seen *s = calloc(r->x->n_segs + 1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < r->x->n_segs; i++)
        if (r->looked[i] && !is_bad(r, i))
            s[n++] = (struct seen){r->x->segs[i].id, r->x->segs[i].objects};
    qsort(s, n, sizeof(*s), by_id);
    free(v->seen);
    v->seen = s;
    v->n_seen = n;
    return 0;
}

static void report(const struct round *r, struct verify_result *out)
{
    for (size_t i = 0; i < r->n_findings; i++) {
        const struct finding *f = &r->findings[i];
        char key[DB_KEY_SIZE], source[DB_KEY_SIZE];
        object_key(key, r->head->barcode, "seg", &r->x->segs[f->segment].id);
        object_key(source, f->source.barcode, "seg", &f->source.id);
        struct verify_problem p = {.key = key,
                                   .source = f->of_source ? &f->source : NULL,
                                   .source_key = f->of_source ? source : NULL,
                                   .first_object = f->first_object,
                                   .objects = f->objects,
                                   .file = tape_index_file_of(r->x, f->first_object),
                                   .what = f->what ? f->what : "damaged"};
        out->problems++;
        if (f->objects && (!out->lost_objects || f->first_object < out->lost_from))
            out->lost_from = f->first_object;
        out->lost_objects += f->objects;
        if (r->o->problem)
            r->o->problem(r->o->arg, &p);
    }
}

static void end_round(struct round *r)
{
    for (size_t i = 0; i < r->n_findings; i++)
        free(r->findings[i].what);
    free(r->findings);
    free(r->looked);
    lock_fini(&r->lock);
}

/* Is the head still the one that counts? */
static int is_newest(struct objstore *store, const struct head *h, const struct obj_call *call, bool *newest,
                     struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(store, h->barcode, &heads, &n, call, err);
    while (n && !heads[n - 1].number) /* claims */
        n--;
    *newest = !rc && n && !seg_id_compare(&heads[n - 1], &h->id);
    free(heads);
    return rc;
}

/* The head that counts was not the newest in the list. 0: there is a newer one by now. -EBADMSG: what is above it is
 * none, or damaged. */
static int look_above(struct objstore *store, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    struct head above;
    struct errtext why = {""};
    int rc = commit_list_heads(store, h->barcode, &heads, &n, call, err);
    while (n && !heads[n - 1].number)
        n--;
    int read = !rc && n ? commit_read_one(store, h->barcode, &heads[n - 1], &above, call, &why) : 0;
    if (!rc && n && !read)
        head_free(&above);
    free(heads);
    if (read != -EBADMSG)
        return rc;
    return errtext_set(err, read, "%s; it is above the head that counts: \"s3vtl tape claim %s --force\" puts it aside",
                       why.text, h->barcode);
}

static void found_source(void *arg, size_t segment, const struct seg_source *s, const char *what)
{
    struct round *r = arg;
    const struct seg_ref *ref = &r->x->segs[segment];
    lock_take(&r->lock);
    const struct finding f = {.segment = segment,
                              .first_object = ref->first_object,
                              .objects = ref->objects,
                              .of_source = true,
                              .source = *s};
    note(r, &f, what);
    lock_release(&r->lock);
}

static bool sources_gone(void *arg, int rc)
{
    return store_is_gone(arg, rc);
}

/* If the head changes meanwhile, what it leaned on may be gone, and all that was found counts for nothing. */
static int look_at_sources(struct round *r, struct errtext *err)
{
    struct job j = {r, 0};
    const struct verify_io io = {.store = r->store, .call = {.cancel = r->o->cancel}, .pace = pace, .arg = &j};
    const struct verify_sources s = {found_source, sources_gone, r};
    int rc = r->x->leans.n ? verify_sources(&io, r->x, &s, err) : 0;
    return cancelled(r) ? -ECANCELED : rc ? rc : r->rc;
}

static int one_round(struct objstore *store, const struct head *h, const struct tape_index *x,
                     const struct verify_options *o, struct verifying *v, bool *newest, struct errtext *err)
{
    struct obj_call call = {.cancel = o->cancel};
    struct round r = {.store = store, .o = o, .head = h, .x = x};
    lock_init(&r.lock, LOCK_SCRUB);
    int rc = begin_round(&r, v);
    if (!rc)
        rc = run_threads(&r);
    if (rc)
        errtext_set(err, rc, "%s: %s", h->barcode, r.err.text[0] ? r.err.text : strerror(-rc));
    if (!rc)
        rc = look_at_sources(&r, err);
    if (!rc)
        rc = is_newest(store, h, &call, newest, err);
    if (!rc && *newest) {
        report(&r, v->out);
        v->out->segments = x->n_segs;
        v->out->bytes = r.total;
        v->out->blocks += r.blocks;
        v->out->filemarks = h->end_file;
        v->out->end_object = h->end_object;
        memcpy(v->out->cartridge, h->cartridge, sizeof(v->out->cartridge));
    } else if (!rc) {
        v->out->blocks += r.blocks;
        rc = keep_seen(v, &r);
    }
    end_round(&r);
    return rc;
}

int verify_cartridge(struct objstore *store, const char *barcode, const struct verify_options *o,
                     struct verify_result *out, struct errtext *err)
{
    struct obj_call call = {.cancel = o->cancel};
    struct verifying v = {.out = out};
    *out = (struct verify_result){0};
    bool newest = false;
    int rc = 0;
    for (int i = 0; !rc && !newest && i < MAX_ROUNDS; i++) {
        struct head h;
        struct tape_index x;
        rc = commit_read_head(store, barcode, NULL, &h, &call, err);
        if (rc)
            break;
        rc = commit_read_index(store, &h, &x, &call, err);
        if (rc == -ENOENT) /* a map is gone: with a newer head, or for good */
            rc = is_newest(store, &h, &call, &newest, NULL) || newest ? -EBADMSG : 0;
        else if (!rc) {
            rc = one_round(store, &h, &x, o, &v, &newest, err);
            tape_index_free(&x);
        }
        if (!rc && !newest)
            rc = look_above(store, &h, &call, err);
        head_free(&h);
    }
    if (!rc && !newest)
        rc = errtext_set(err, -EAGAIN, "%s: is written faster than it can be verified: try again later", barcode);
    free(v.seen);
    return rc;
}
