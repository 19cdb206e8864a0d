/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commit_kept.c: which of a cartridge's segments others lean on, so that they stay though no head of its own names them.
 *
 * Asked at the moment of deletion, and nowhere else. What is to be deleted is garbage by then: its row went, with a
 * transaction of the state, before the leans are looked at, and a lean is added only to what has a row, or is leaned on
 * already (db_lean_add). So what nobody leans on then, nobody will. A tape may lean on what it had itself before it was written
 * over. That goes for the cartridges of this state.
 * Others lean on what a head of this cartridge named when this gateway took it over, if that head, or one below, listed
 * them: of these the bucket is asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "vtl/cartridge/commit_private.h"

void kept_free(struct kept *k)
{
    if (!k)
        return;
    free(k->ids);
    free(k);
}

static int add_id(void *arg, const struct seg_id *id)
{
    struct kept *k = arg;
    if (k->n == k->room && !array_grow(&k->ids, &k->room, sizeof(*k->ids)))
        return -ENOMEM;
    k->ids[k->n++] = *id;
    return 0;
}

bool kept_has(const struct kept *k, const struct seg_id *id)
{
    bool before = k->all_before && (k->all || id->epoch != k->mine.epoch || id->writer != k->mine.writer);
    return before || (k->n && bsearch(id, k->ids, k->n, sizeof(*id), seg_id_order));
}

bool kept_has_key(const struct kept *k, const char *key)
{
    const char *name = strstr(key, "/seg/");
    struct seg_id id;
    return name && seg_id_parse(name + strlen("/seg/"), &id) && kept_has(k, &id);
}

/* What one leaner needs. */
struct asking {
    struct cartridge *c;
    struct kept *k;
    const struct head_leaner *l;
    bool leans; /* on something of it */
};

/* What was there before this run: another run may copy from that, and from nothing that came since. */
static void keep_before(struct asking *a, const char *why)
{
    a->leans = true;
    if (!a->k->all_before)
        (void)snprintf(a->k->why, sizeof(a->k->why), "%s", why);
    a->k->all_before = true;
}

/* What it leans on cannot be found out. It may have come to lean in this run, before another gateway took it over. */
static void keep_all(struct asking *a, const char *why)
{
    keep_before(a, why);
    a->k->all = true;
}

static int take_leans(struct asking *a, const struct leans *l)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < l->n; i++)
        if (!strcmp(l->v[i].source.barcode, a->c->row.barcode)) {
            a->leans = true;
            rc = add_id(a->k, &l->v[i].source.id);
        }
    return rc;
}

/* Its head is of the run that was listed, and it was not at rest since: it may hold copies that no head of it tells of. */
static bool may_be_copying(const struct head *h, const struct head_leaner *l)
{
    return h->id.epoch == l->head.epoch && h->id.writer == l->head.writer &&
           !(h->at_rest && h->id.number > l->head.number);
}

/* Looked at behind the head: whoever claims the tape after this look finds that head, or one that goes on from it. Whoever did
 * before may have taken one below it, which comes back to be the winner as the copy that it puts. */
static int look_above(struct asking *a, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    const struct head_search s = {.trusted = &h->id, .n_trusted = 1};
    struct seg_id *heads = NULL;
    size_t n = 0;
    char why[sizeof(a->k->why)];
    int rc = commit_real_heads(a->c->eng->store, a->l->barcode, &s, &heads, &n, NULL, call, err);
    if (!rc && n && (heads[n - 1].epoch != h->id.epoch || heads[n - 1].writer != h->id.writer)) {
        (void)snprintf(why, sizeof(why), "%s, which may lean on it, is being taken over", a->l->barcode);
        keep_all(a, why);
    }
    free(heads);
    return rc;
}

struct leaving {
    const char *prefix;
    const struct kept *kept;
};

/* 1 ends the list: it is to go, and is there. */
static int find_left(void *arg, const struct obj_entry *e)
{
    const struct leaving *l = arg;
    struct seg_id id;
    return !e->is_prefix && object_name_at(e->key, l->prefix, &id) && !kept_has_key(l->kept, e->key);
}

/* Segments go first, and maps last. */
int commit_removal_over(struct objstore *store, const struct head *h, bool *over, const struct obj_call *call,
                        struct errtext *err)
{
    static const char *const kinds[] = {"seg", "map"};
    struct kept kept = {.ids = h->n_kept ? malloc(h->n_kept * sizeof(*h->kept)) : NULL, .n = h->n_kept};
    int rc = 0;
    *over = false;
    if (h->n_kept && !kept.ids)
        return errtext_set(err, -ENOMEM, "%s: out of memory", h->barcode);
    if (h->n_kept) {
        memcpy(kept.ids, h->kept, h->n_kept * sizeof(*h->kept));
        qsort(kept.ids, kept.n, sizeof(*kept.ids), seg_id_order);
    }
    for (int k = 0; !rc && k < 2; k++) {
        char prefix[DB_KEY_SIZE];
        (void)snprintf(prefix, sizeof(prefix), "tapes/%s/%s/", h->barcode, kinds[k]);
        struct leaving l = {prefix, &kept};
        rc = store->ops->list(store, prefix, NULL, false, find_left, &l, call, err);
    }
    free(kept.ids);
    *over = !rc;
    return rc < 0 ? rc : 0;
}

/* It was removed, and its copies with it; unless that is not over, and may be taken back. */
static int ask_place(struct asking *a, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    char why[sizeof(a->k->why)];
    bool over = false;
    int rc = commit_removal_over(a->c->eng->store, h, &over, call, err);
    (void)snprintf(why, sizeof(why), "%s, which may lean on it, is being removed, or could not be", a->l->barcode);
    if (!rc && !over)
        keep_all(a, why);
    return rc;
}

static int ask_head(struct asking *a, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    struct tape_index x;
    char why[sizeof(a->k->why)];
    if (memcmp(h->cartridge, a->l->cartridge, sizeof(h->cartridge)))
        return 0; /* that tape is gone, and its copies with it */
    int rc = look_above(a, h, call, err);
    if (!rc && h->removed)
        return ask_place(a, h, call, err);
    if (rc)
        return rc;
    rc = commit_read_index(a->c->eng->store, h, &x, call, err);
    if (rc)
        return rc;
    rc = take_leans(a, &x.leans);
    if (!rc)
        rc = take_leans(a, &h->pending);
    tape_index_free(&x);
    if (!rc && may_be_copying(h, a->l)) {
        char who[COMMIT_WHO_SIZE];
        commit_who(a->c->eng, h, who);
        (void)snprintf(why, sizeof(why), "%s may copy from it still, for %.150s", a->l->barcode, who);
        keep_before(a, why);
    }
    return rc;
}

static int any_object(void *arg, const struct obj_entry *e)
{
    *(bool *)arg = *(bool *)arg || !e->is_prefix;
    return !e->is_prefix;
}

/* No head: is nothing left of it, or is it lost for now, and a deep rebuild would find it? */
static int ask_segments(struct asking *a, const struct obj_call *call, struct errtext *err)
{
    char prefix[DB_KEY_SIZE], why[sizeof(a->k->why)];
    bool any = false;
    struct objstore *store = a->c->eng->store;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/seg/", a->l->barcode);
    int rc = store->ops->list(store, prefix, NULL, false, any_object, &any, call, err);
    (void)snprintf(why, sizeof(why), "%s, which may lean on it, has no head", a->l->barcode);
    if (rc >= 0 && any)
        keep_all(a, why);
    return rc < 0 ? rc : 0;
}

static int ask_bucket(struct asking *a, const struct obj_call *call, struct errtext *err)
{
    struct head h;
    struct errtext text = {""};
    int rc = commit_read_head(a->c->eng->store, a->l->barcode, NULL, &h, call, &text);
    if (rc == -ENOENT)
        return ask_segments(a, call, err);
    if (!rc) {
        rc = ask_head(a, &h, call, &text);
        head_free(&h);
    }
    if (rc == -EBADMSG || rc == -EPROTONOSUPPORT || rc == -ENOENT) { /* what it leans on cannot be read */
        keep_all(a, text.text);
        return 0;
    }
    return rc ? errtext_set(err, rc, "%s", text.text) : 0;
}

/* The rows of this state tell all that a tape leans on, if this very run alone has written it: if its highest head is of
 * this run. One that the state knows of an earlier run is not enough: the state may be old, or a copy, and that run may have
 * gone on elsewhere. And whoever has put a claim above may have taken a head that was not there yet when this run looked. */
static int is_ours(struct cartridge *c, const struct head_leaner *l, const struct seg_id *tried, bool *ours,
                   const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    bool mine = tried->epoch && tried->writer == c->eng->writer;
    *ours = false;
    int rc = mine ? commit_list_heads(c->eng->store, l->barcode, &heads, &n, call, err) : 0;
    if (!rc && n)
        *ours = heads[n - 1].epoch == tried->epoch && heads[n - 1].writer == tried->writer;
    free(heads);
    return rc;
}

static int ask(struct cartridge *c, struct kept *k, const struct head_leaner *l, bool *leans,
               const struct obj_call *call, struct errtext *err)
{
    struct asking a = {.c = c, .k = k, .l = l};
    struct seg_id tried;
    bool ours = false;
    int rc = db_leaner_here(c->eng->db, l, c->row.barcode, &tried, &a.leans);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    rc = is_ours(c, l, &tried, &ours, call, err);
    if (!rc && !ours)
        rc = ask_bucket(&a, call, err);
    *leans = a.leans;
    return rc;
}

/* Those that need something stay in v, at its front. */
int commit_kept_by(struct cartridge *c, bool goes, struct head_leaner *v, size_t *n, struct kept **out,
                   const struct obj_call *call, struct errtext *err)
{
    struct kept *k = calloc(1, sizeof(*k));
    size_t left = 0;
    *out = NULL;
    if (!k)
        return errtext_set(err, -ENOMEM, "%s: out of memory", c->row.barcode);
    lock_take(&c->lock);
    k->mine = c->row.head;
    lock_release(&c->lock);
    int rc = db_leaned_on(c->eng->db, c->row.barcode, goes ? c->row.rowid : 0, add_id, k);
    if (rc)
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    for (size_t i = 0; !rc && i < *n; i++) {
        bool leans = false;
        rc = ask(c, k, &v[i], &leans, call, err);
        if (leans)
            v[left++] = v[i];
    }
    if (rc) {
        kept_free(k);
        return rc;
    }
    if (k->n)
        qsort(k->ids, k->n, sizeof(*k->ids), seg_id_order);
    *n = left;
    *out = k;
    return 0;
}

static bool is_among(const struct head_leaner *v, size_t n, const struct head_leaner *l)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(v[i].barcode, l->barcode) && !memcmp(v[i].cartridge, l->cartridge, sizeof(l->cartridge)))
            return true;
    return false;
}

/* Who needs nothing any more is not listed in the next head. */
static int drop_others(struct cartridge *c, const struct head *all, const struct head_leaner *needed, size_t n)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < all->n_leaners; i++)
        if (!is_among(needed, n, &all->leaners[i]))
            rc = db_leaner_drop(c->eng->db, c->row.rowid, &all->leaners[i]);
    return rc;
}

/* Told once, until it changes. */
static void tell_why(struct cartridge *c, const struct kept *k)
{
    lock_take(&c->lock);
    bool told = !strcmp(c->kept_why, k->why);
    memcpy(c->kept_why, k->why, sizeof(c->kept_why));
    lock_release(&c->lock);
    if (k->all_before && !told)
        log_notice("%s: what is no more needed of it stays in the store for now: %s", c->row.barcode, k->why);
}

int commit_kept(struct cartridge *c, bool tidy, struct kept **out, const struct obj_call *call, struct errtext *err)
{
    struct head all, asked; /* their leaners only */
    struct kept *k = NULL;
    head_init(&all);
    head_init(&asked);
    *out = NULL;
    int state = commit_fill_leaners(c, &all);
    if (!state)
        state = commit_fill_leaners(c, &asked);
    int rc = state ? state : commit_kept_by(c, false, asked.leaners, &asked.n_leaners, &k, call, err);
    if (!rc && tidy)
        rc = state = drop_others(c, &all, asked.leaners, asked.n_leaners);
    if (state)
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    if (!rc && k) {
        tell_why(c, k);
        *out = k;
    } else {
        kept_free(k);
    }
    head_free(&all);
    head_free(&asked);
    return rc;
}
