/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_place.c: what stays of a cartridge that is removed while others lean on it: a last head, and what they need. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/cartridge/commit_private.h"

struct listing {
    const char *prefix;
    struct kept *kept;
    struct head *h;
};

static int take_kept(void *arg, const struct obj_entry *e)
{
    struct listing *l = arg;
    struct head *h = l->h;
    struct seg_id id;
    if (e->is_prefix || !object_name_at(e->key, l->prefix, &id) || !kept_has(l->kept, &id))
        return 0;
    struct seg_id *v = realloc(h->kept, (h->n_kept + 1) * sizeof(*v));
    if (!v)
        return -ENOMEM;
    h->kept = v;
    h->kept[h->n_kept++] = id;
    l->kept->sums.bytes += e->size;
    return 0;
}

struct counting {
    const struct head *h;
    uint64_t bytes;
};

static int count_kept(void *arg, enum seg_state state, const struct seg_ref *r, const struct seg_fm_run *fms,
                      size_t n_fms)
{
    struct counting *n = arg;
    (void)state;
    (void)fms;
    (void)n_fms;
    if (bsearch(&r->id, n->h->kept, n->h->n_kept, sizeof(r->id), seg_id_order))
        n->bytes += r->size;
    return 0;
}

/* Also of one that is not loaded. Only a figure: what of the state cannot be read holds no removal up. */
static uint64_t live_bytes(struct cartridge *c, const struct head *h)
{
    struct counting n = {.h = h};
    if (!h->n_kept)
        return 0;
    qsort(h->kept, h->n_kept, sizeof(*h->kept), seg_id_order);
    (void)db_segments(c->eng->db, c->row.rowid, count_kept, &n);
    return n.bytes;
}

struct kept_sums kept_sums(const struct kept *k)
{
    return k ? k->sums : (struct kept_sums){0};
}

static int list_kept(struct cartridge *c, struct kept *k, struct head *h, const struct obj_call *call,
                     struct errtext *err)
{
    char prefix[DB_KEY_SIZE];
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/seg/", c->row.barcode);
    struct listing l = {prefix, k, h};
    int rc = c->eng->store->ops->list(c->eng->store, prefix, NULL, false, take_kept, &l, call, err);
    k->sums.live_bytes = live_bytes(c, h);
    return rc == -ENOMEM ? errtext_set(err, rc, "%s: out of memory", prefix) : rc;
}

/* Until its row goes, the tape is there: should anything fail behind this, its next commit puts a head of it above this one. */
static int put(struct cartridge *c, struct head *h, const struct obj_call *call, struct errtext *err)
{
    lock_take(&c->lock);
    commit_fill_identity(c, h);
    commit_put_back(c); /* in the state with the note of this try */
    c->tried_n++;
    h->id = (struct seg_id){c->row.head.epoch, c->eng->writer, c->tried_n};
    h->removed = true;
    lock_release(&c->lock);
    int rc = commit_note_try(c, &h->id, err);
    if (!rc)
        rc = commit_put_head(c->eng, h, call, err);
    return rc ? rc : commit_check_highest(c, &h->id, true, call, err);
}

/* What of the cartridge's objects in the store others need: the kept of h, with those who do; NULL: nothing. First no lean is
 * added any more, so that none comes behind the look at what there is. */
static int find_needed(struct cartridge *c, struct head *h, struct kept **out, const struct obj_call *call,
                       struct errtext *err)
{
    struct kept *k = NULL;
    *out = NULL;
    int rc = commit_fill_leaners(c, h);
    if (!rc)
        rc = db_lend_no_more(c->eng->db, c->row.rowid);
    if (rc)
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    if (!rc)
        rc = commit_kept_by(c, true, h->leaners, &h->n_leaners, &k, call, err);
    if (!rc && (k->n || k->all_before))
        rc = list_kept(c, k, h, call, err);
    if (!rc && h->n_kept)
        *out = k;
    else
        kept_free(k);
    return rc;
}

int commit_leave_place(struct cartridge *c, struct kept **out, const struct obj_call *call, struct errtext *err)
{
    struct head h;
    head_init(&h);
    int rc = find_needed(c, &h, out, call, err);
    if (!rc && *out)
        rc = put(c, &h, call, err);
    if (rc) {
        kept_free(*out);
        *out = NULL;
    }
    head_free(&h);
    return rc;
}

int commit_check_unneeded(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct head h;
    struct kept *k = NULL;
    head_init(&h);
    int rc = find_needed(c, &h, &k, call, err);
    if (!rc && k)
        rc = errtext_set(err, -EBUSY,
                         "%s: its heads are gone from the store, and %s%s lean%s on segments of it that are there: it "
                         "can be removed once \"s3vtl library rebuild --force --deep\" has made a head from them",
                         c->row.barcode, h.n_leaners ? h.leaners[0].barcode : "others",
                         h.n_leaners > 1 ? " and others" : "", h.n_leaners == 1 ? "s" : "");
    kept_free(k);
    head_free(&h);
    return rc;
}

static int delete_segments(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < h->n_kept; i++) {
        char key[DB_KEY_SIZE];
        const char *keys[] = {key};
        object_key(key, h->barcode, "seg", &h->kept[i]);
        rc = e->store->ops->del(e->store, keys, 1, call, err);
    }
    return rc;
}

static int check_over(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    bool over = false;
    int rc = commit_removal_over(e->store, h, &over, call, err);
    return rc || over ? rc : errtext_set(err, -EAGAIN, "%s: it is not removed yet", h->barcode);
}

/* Its head last: until then the next try knows what there is. */
static int clean(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(e->store, h->barcode, &heads, &n, call, err);
    if (!rc && (!n || seg_id_compare(&heads[n - 1], &h->id)))
        rc = errtext_set(err, -EAGAIN, "%s: it is being made again", h->barcode);
    if (!rc)
        rc = check_over(e, h, call, err);
    if (!rc)
        rc = delete_segments(e, h, call, err);
    if (!rc)
        rc = commit_delete_heads(e, h->barcode, heads, n, call, err);
    free(heads);
    return rc;
}

int commit_look_at_place(struct engine *e, struct head *h, bool tidy, bool *free_now, const struct obj_call *call,
                         struct errtext *err)
{
    struct db_cartridge row = {.head = h->id, .fenced = DB_FENCED_READER};
    struct kept *k = NULL;
    memcpy(row.barcode, h->barcode, sizeof(row.barcode));
    memcpy(row.id, h->cartridge, sizeof(row.id));
    struct cartridge *c = cartridge_new(e, &row); /* of no library: only to ask for */
    int rc = c ? 0 : errtext_set(err, -ENOMEM, "%s: out of memory", h->barcode);
    if (c) {
        c->row.head = (struct seg_id){.epoch = 0}; /* all of it was written before */
        rc = commit_kept_by(c, true, h->leaners, &h->n_leaners, &k, call, err);
    }
    *free_now = !rc && !k->n && !k->all_before;
    if (*free_now && tidy)
        rc = clean(e, h, call, err);
    kept_free(k);
    cartridge_free(c);
    return rc;
}
