/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gate.c: a store that changes nothing in the bucket, and believes none of its tapes, before it is known to be this library's. */
#include "vtl/library/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "vtl/library/library_private.h"

struct gate {
    struct objstore base;
    struct objstore *inner;
    const struct vtl_config *cfg;
    char id[37];
    atomic_bool ours;
    _Atomic uint64_t last_put_ms; /* clock_ms() */
    struct lock lock;             /* guards the rest */
    struct errtext refused;       /* the last answer that was not "ours"; "": none. It counts until ours is true */
    uint64_t refused_at;          /* clock_ms() of the first such answer */
};

static struct gate *gate_of(struct objstore *s)
{
    return (struct gate *)s;
}

static void note_refused(struct gate *g, const char *text)
{
    lock_take(&g->lock);
    if (!g->refused.text[0])
        g->refused_at = clock_ms();
    errtext_set(&g->refused, 0, "%s", text);
    lock_release(&g->lock);
}

/* Not under the lock: several may ask at once, and get the same answer. */
static int admit(struct gate *g, const struct obj_call *c, struct errtext *err)
{
    struct errtext own = {""};
    err = err ? err : &own;
    if (atomic_load(&g->ours))
        return 0;
    int rc = format_is(g->cfg, g->inner, g->id, c, err);
    if (!rc)
        atomic_store(&g->ours, true);
    bool wrong = rc == -ENOENT || rc == -EINVAL || rc == -EBADMSG;
    if (wrong)
        note_refused(g, err->text);
    return wrong ? -EACCES : rc; /* -ENOENT would be the object's that the caller means */
}

static int gate_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                    struct errtext *err)
{
    struct gate *g = gate_of(s);
    int rc = admit(g, c, err);
    if (!rc)
        rc = g->inner->ops->put(g->inner, key, src, c, err);
    if (!rc)
        atomic_store(&g->last_put_ms, clock_ms());
    return rc;
}

struct objstore *gate_inner(struct objstore *store)
{
    return gate_of(store)->inner;
}

uint64_t gate_last_put(struct objstore *store)
{
    return atomic_load(&gate_of(store)->last_put_ms);
}

static int gate_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                    struct errtext *err)
{
    struct gate *g = gate_of(s);
    int rc = admit(g, c, err);
    return rc ? rc : g->inner->ops->del(g->inner, keys, n, c, err);
}

static int gate_lock(struct objstore *s, const char *key, const struct obj_lock *l, const struct obj_call *c,
                     struct errtext *err)
{
    struct gate *g = gate_of(s);
    int rc = admit(g, c, err);
    return rc ? rc : objstore_lock(g->inner, key, l, c, err);
}

/* Who has a tape by another library's heads is no news of this one's, which is not to be fenced for that. */
static int gate_list(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn,
                     void *arg, const struct obj_call *c, struct errtext *err)
{
    struct gate *g = gate_of(s);
    int rc = strncmp(prefix, "tapes/", strlen("tapes/")) ? 0 : admit(g, c, err);
    return rc ? rc : g->inner->ops->list(g->inner, prefix, start_after, slash, fn, arg, c, err);
}

/* ---- what passes ---- */

static bool gate_lockable(struct objstore *s)
{
    return objstore_lockable(gate_of(s)->inner);
}

static int gate_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                    const struct obj_call *c, struct errtext *err)
{
    struct objstore *in = gate_of(s)->inner;
    return in->ops->get(in, key, offset, len, buf, c, err);
}

static int gate_stream(struct objstore *s, const char *key, uint64_t offset, uint64_t len, const struct obj_sink *sink,
                       const struct obj_call *c, struct errtext *err)
{
    struct objstore *in = gate_of(s)->inner;
    return in->ops->stream(in, key, offset, len, sink, c, err);
}

static int gate_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c, struct errtext *err)
{
    struct objstore *in = gate_of(s)->inner;
    return in->ops->head(in, key, size, c, err);
}

static int gate_check(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    struct objstore *in = gate_of(s)->inner;
    return in->ops->check(in, c, err);
}

static void gate_facts(struct objstore *s, struct obj_facts *out)
{
    objstore_facts(gate_of(s)->inner, out);
}

static int gate_learn(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    struct gate *g = gate_of(s);
    int rc = admit(g, c, err); /* it puts */
    return rc ? rc : objstore_learn(g->inner, c, err);
}

static void gate_health(struct objstore *s, struct obj_health *out)
{
    struct gate *g = gate_of(s);
    objstore_health(g->inner, out);
    lock_take(&g->lock);
    if (!out->text[0] && !atomic_load(&g->ours) && g->refused.text[0]) { /* an older answer may have been noted last */
        (void)snprintf(out->text, sizeof(out->text), "%s", g->refused.text);
        out->since_ms = clock_ms() - g->refused_at;
    }
    lock_release(&g->lock);
}

static int gate_offsite(struct objstore *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err)
{
    return objstore_offsite(gate_of(s)->inner, out, c, err);
}

static int gate_hurry(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    struct gate *g = gate_of(s);
    int rc = admit(g, c, err); /* it puts */
    return rc ? rc : objstore_hurry(g->inner, c, err);
}

static bool gate_same_keys(struct objstore *s, struct objstore *other)
{
    return objstore_same_keys(gate_of(s)->inner, other);
}

static bool gate_same_proxy(struct objstore *s, struct objstore *other)
{
    return objstore_same_proxy(gate_of(s)->inner, other);
}

static void gate_swap_access(struct objstore *s, struct objstore *other)
{
    objstore_swap_access(gate_of(s)->inner, other);
}

static void gate_set_limits(struct objstore *s, const struct objstore_config *cfg)
{
    objstore_set_limits(gate_of(s)->inner, cfg);
}

static int gate_time(struct objstore *s, uint64_t *now)
{
    return objstore_time(gate_of(s)->inner, now);
}

static uint64_t gate_upload_limit(struct objstore *s)
{
    return objstore_upload_limit(gate_of(s)->inner);
}

static uint64_t gate_download_limit(struct objstore *s)
{
    return objstore_download_limit(gate_of(s)->inner);
}

static void gate_stats(struct objstore *s, struct obj_stats *out)
{
    objstore_stats(gate_of(s)->inner, out);
}

static void gate_close(struct objstore *s)
{
    struct gate *g = gate_of(s);
    g->inner->ops->close(g->inner);
    lock_fini(&g->lock);
    free(g);
}

int gate_ask(struct objstore *store, const struct obj_call *call, struct errtext *err)
{
    return admit(gate_of(store), call, err);
}

static const struct objstore_ops gate_ops = {
    .type = "gate",
    .put = gate_put,
    .get = gate_get,
    .stream = gate_stream,
    .head = gate_head,
    .list = gate_list,
    .del = gate_del,
    .lockable = gate_lockable,
    .lock = gate_lock,
    .check = gate_check,
    .facts = gate_facts,
    .learn = gate_learn,
    .health = gate_health,
    .offsite = gate_offsite,
    .hurry = gate_hurry,
    .same_keys = gate_same_keys,
    .same_proxy = gate_same_proxy,
    .swap_access = gate_swap_access,
    .set_limits = gate_set_limits,
    .time = gate_time,
    .upload_limit = gate_upload_limit,
    .download_limit = gate_download_limit,
    .stats = gate_stats,
    .close = gate_close,
};

int gate_open(const struct vtl_config *cfg, const char *id, struct objstore *inner, struct objstore **out,
              struct errtext *err)
{
    struct gate *g = calloc(1, sizeof(*g));
    if (!g) {
        inner->ops->close(inner);
        return errtext_set(err, -ENOMEM, "store: out of memory");
    }
    lock_init(&g->lock, LOCK_GATE);
    g->base.ops = &gate_ops;
    g->inner = inner;
    g->cfg = cfg;
    (void)snprintf(g->id, sizeof(g->id), "%s", id);
    *out = &g->base;
    return 0;
}
