/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_heads.c: heads in the store: put, looked at, deleted; what fences. */
#include "vtl/cartridge/commit_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vtl/cartridge/object_lock.h"

int commit_put(struct engine *e, const char *key, const void *buf, size_t len, const struct retention *r,
               const struct obj_call *call, struct errtext *err)
{
    struct obj_source src = {.mem = buf, .fd = -1, .len = len};
    struct obj_call create = call ? *call : (struct obj_call){0};
    create.if_none_match = true; /* I2; where the store knows the condition */
    create.lock = object_lock_wanted(e, r);
    return e->store->ops->put(e->store, key, &src, &create, err);
}

int commit_put_head(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    char key[DB_KEY_SIZE], *buf = NULL;
    size_t len = 0;
    object_key(key, h->barcode, "head", &h->id);
    int rc = head_encode(h, &buf, &len);
    rc = rc ? errtext_set(err, rc, "%s: cannot be encoded: %s", key, strerror(-rc))
            : commit_put(e, key, buf, len, &h->retention, call, err);
    free(buf);
    return rc;
}

int commit_note_try(struct cartridge *c, const struct seg_id *head, struct errtext *err)
{
    lock_take(&c->lock);
    c->row.tried = *head;
    int rc = db_cartridge_update(c->eng->db, &c->row);
    lock_release(&c->lock);
    return rc ? errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db)) : 0;
}

void commit_put_back(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    c->row.dirty = true;
    cartridge_count_change(c);
    c->due |= DUE_COMMIT;
}

int commit_delete_heads(struct engine *e, const char *barcode, const struct seg_id *ids, size_t n,
                        const struct obj_call *call, struct errtext *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        char key[DB_KEY_SIZE];
        object_key(key, barcode, "head", &ids[i]);
        const char *keys[] = {key};
        rc = e->store->ops->del(e->store, keys, 1, call, err);
    }
    return rc;
}

/* What is passed over is told once. */
static int real_heads(struct cartridge *c, const struct seg_id *trusted, size_t n_trusted, struct seg_id **heads,
                      size_t *n, const struct obj_call *call, struct errtext *err)
{
    struct seg_id junk = {.epoch = 0};
    const struct head_search s = {.trusted = trusted, .n_trusted = n_trusted};
    int rc = commit_real_heads(c->eng->store, c->row.barcode, &s, heads, n, &junk, call, err);
    char name[SEG_NAME_SIZE];
    lock_take(&c->lock);
    bool speak = junk.epoch && seg_id_compare(&junk, &c->junk);
    if (speak)
        c->junk = junk;
    lock_release(&c->lock);
    seg_id_format(&junk, name);
    if (speak)
        log_warn("tapes/%s/head/%s: passed over: it is no head of this cartridge, whatever its name says; \"s3vtl tape "
                 "claim "
                 "%s --force\" puts it aside",
                 c->row.barcode, name, c->row.barcode);
    return rc;
}

int commit_known_heads(struct cartridge *c, struct seg_id **heads, size_t *n, const struct obj_call *call,
                       struct errtext *err)
{
    lock_take(&c->lock);
    const struct seg_id known[] = {c->row.head, c->row.tried};
    lock_release(&c->lock);
    return real_heads(c, known, 2, heads, n, call, err);
}

/* Who it is comes first: whoever waits for the store hears of the fence and of its reason at once. */
int commit_fence(struct cartridge *c, const struct seg_id *winner, const struct obj_call *call, struct errtext *err)
{
    struct errtext text;
    char name[SEG_NAME_SIZE], who[COMMIT_WHO_SIZE];
    seg_id_format(winner, name);
    commit_who_put(c->eng, c->row.barcode, winner, call, who);
    errtext_set(&text, 0,
                "%s: owned by %s: head %s in the bucket is not from this state; nothing of this gateway is merged, and "
                "what only it holds stays in its spool",
                c->row.barcode, who, name);
    lock_take(&c->lock);
    memcpy(c->winner, who, sizeof(c->winner));
    memcpy(c->trouble, text.text, sizeof(c->trouble));
    cartridge_fence(c, DB_FENCED_STALE);
    lock_release(&c->lock);
    return errtext_set(err, -EPERM, "%s", text.text);
}

int commit_gone(struct cartridge *c, const struct seg_id *newest, struct errtext *err)
{
    char known[SEG_NAME_SIZE], there[SEG_NAME_SIZE] = "";
    lock_take(&c->lock);
    seg_id_format(&c->row.head, known);
    lock_release(&c->lock);
    if (!newest)
        return errtext_set(err, -ENOENT,
                           "tapes/%s/head/: head %s, which this state knows, is gone from the store, and there is no "
                           "other (a lifecycle rule? a deleted prefix?)",
                           c->row.barcode, known);
    seg_id_format(newest, there);
    return errtext_set(err, -ESTALE,
                       "tapes/%s/head/: head %s, which this state knows, is gone from the store, and the newest there "
                       "is %s: the bucket is older than this state (was it restored?); nothing is taken from it until "
                       "\"s3vtl tape claim %s --force\"",
                       c->row.barcode, known, there, c->row.barcode);
}

/* Is mine the highest of those listed? */
static int check_order(struct cartridge *c, const struct seg_id *mine, const struct seg_id *heads, size_t n,
                       const struct obj_call *call, struct errtext *err)
{
    int order = n ? seg_id_compare(&heads[n - 1], mine) : -1;
    if (order > 0 && heads[n - 1].writer != mine->writer)
        return commit_fence(c, &heads[n - 1], call, err);
    if (order > 0)
        return errtext_set(err, -EIO, "tapes/%s/head/: a head of this gateway is above the one just put",
                           c->row.barcode);
    return order ? errtext_set(err, -EIO, "tapes/%s/head/: the store does not list the head just put", c->row.barcode)
                 : 0;
}

int commit_check_highest(struct cartridge *c, const struct seg_id *mine, bool clean, const struct obj_call *call,
                         struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = real_heads(c, mine, 1, &heads, &n, call, err);
    if (!rc)
        rc = check_order(c, mine, heads, n, call, err);
    if (!rc && clean)
        rc = commit_delete_heads(c->eng, c->row.barcode, heads, n - 1, call, err);
    free(heads);
    return rc;
}

/* *untidy: the store failed; what was to be found out of the order of heads, was not. */
static int delete_lower(struct cartridge *c, bool *untidy, const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    lock_take(&c->lock);
    struct seg_id mine = c->row.head;
    lock_release(&c->lock);
    int rc = real_heads(c, &mine, 1, &heads, &n, call, err);
    *untidy = rc != 0;
    if (!rc)
        rc = check_order(c, &mine, heads, n, call, err);
    if (!rc)
        *untidy = (rc = commit_delete_heads(c->eng, c->row.barcode, heads, n - 1, call, err)) != 0;
    free(heads);
    lock_take(&c->lock);
    if (rc && c->owner == CARTRIDGE_OWNED)
        c->due |= DUE_HEADS;
    else
        c->due &= ~(unsigned)DUE_HEADS;
    lock_release(&c->lock);
    return rc;
}

int commit_tidy(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    bool untidy;
    return delete_lower(c, &untidy, call, err);
}

int commit_tidy_if_possible(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct errtext why = {""};
    bool untidy;
    int rc = delete_lower(c, &untidy, call, &why);
    if (rc && untidy) {
        if (rc != -ECANCELED)
            log_notice("%s: its older heads are deleted later: %s", c->row.barcode, why.text);
        cartridge_poke(c);
        return 0;
    }
    return rc ? errtext_set(err, rc, "%s", why.text) : 0;
}

int commit_withdraw(struct engine *e, const char *barcode, uint32_t writer, const struct obj_call *call,
                    struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(e->store, barcode, &heads, &n, call, err);
    for (size_t i = n; !rc && i-- > 0;) /* the complete one first: what is left of an interrupted call is a claim */
        if (heads[i].writer == writer)
            rc = commit_delete_heads(e, barcode, &heads[i], 1, call, err);
    free(heads);
    return rc;
}

/* Is from still the head that counts, of those below limit (NULL: of all)? NULL: there is none that can be read. */
static int check_unchanged(struct engine *e, const char *barcode, const struct seg_id *from, const struct seg_id *limit,
                           const struct obj_call *call, struct errtext *err)
{
    struct head now;
    struct errtext why = {""};
    int rc = commit_read_head(e->store, barcode, limit, &now, call, &why);
    bool none = rc == -ENOENT || rc == -EBADMSG, same = from ? !rc && !seg_id_compare(&now.id, from) : none;
    if (!rc)
        head_free(&now);
    if (same)
        return 0;
    return rc && !none ? errtext_set(err, rc, "%s", why.text)
                       : errtext_set(err, -EAGAIN,
                                     "tapes/%s/head/: its heads changed while it was read: somebody writes it, or "
                                     "did: try again",
                                     barcode);
}

/* Puts it, and it must be the highest then. *below (may be NULL): the others, n of them; malloc'd. */
static int put_highest(struct engine *e, const struct head *h, struct seg_id **below, size_t *n,
                       const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    int rc = commit_put_head(e, h, call, err);
    if (!rc)
        rc = commit_real_heads(e->store, h->barcode, &(struct head_search){.trusted = &h->id, .n_trusted = 1}, &heads,
                               n, NULL, call, err);
    if (!rc && (!*n || seg_id_compare(&heads[*n - 1], &h->id))) {
        char who[COMMIT_WHO_SIZE] = "another gateway";
        if (*n)
            commit_who_put(e, h->barcode, &heads[*n - 1], call, who);
        rc = errtext_set(err, -EPERM, "tapes/%s/head/: %s is writing this cartridge", h->barcode, who);
    }
    if (!rc)
        --*n;
    if (!rc && below)
        *below = heads;
    else
        free(heads);
    return rc;
}

/* The claim before it: behind that nobody else commits any more, so that what is still unchanged then stays so. */
static int announce(struct engine *e, const struct head *h, const struct seg_id *from, const struct obj_call *call,
                    struct errtext *err)
{
    struct head claim;
    size_t n = 0;
    int rc =
        check_unchanged(e, h->barcode, from, NULL, call, err); /* whoever writes it is not to be fenced for nothing */
    if (rc)
        return rc;
    head_init(&claim);
    commit_sign(e, h->claimed, &claim);
    claim.claim = true;
    claim.id = (struct seg_id){h->id.epoch, h->id.writer, 0};
    memcpy(claim.barcode, h->barcode, sizeof(claim.barcode));
    memcpy(claim.cartridge, h->cartridge, sizeof(claim.cartridge));
    rc = put_highest(e, &claim, NULL, &n, call, err);
    if (!rc)
        rc = check_unchanged(e, h->barcode, from, &claim.id, call, err);
    if (rc == -EPERM || rc == -EAGAIN)
        (void)commit_delete_heads(e, h->barcode, &claim.id, 1, call, NULL);
    head_free(&claim);
    return rc;
}

int commit_adopt_head(struct engine *e, const struct head *h, const struct seg_id *from, const struct obj_call *call,
                      struct errtext *err)
{
    struct seg_id *below = NULL;
    size_t n = 0;
    int rc = announce(e, h, from, call, err);
    if (!rc)
        rc = put_highest(e, h, &below, &n, call, err);
    if (!rc)
        rc = commit_delete_heads(e, h->barcode, below, n, call, err);
    free(below);
    return rc;
}

void commit_fill_identity(const struct cartridge *c, struct head *h)
{
    commit_sign(c->eng, c->claimed, h);
    memcpy(h->cartridge, c->row.id, sizeof(h->cartridge));
    memcpy(h->barcode, c->row.barcode, sizeof(h->barcode));
    h->generation = c->row.generation;
    h->capacity = c->row.capacity;
    h->full_capacity = c->row.full_capacity;
    h->worm = c->row.worm;
    h->no_dedup = c->row.no_dedup;
    h->write_protected = c->row.write_protected;
    h->retention = c->row.retention;
    if (h->retention.mode)
        h->object_lock = c->row.object_lock;
    h->created = c->row.created;
    h->modified = c->row.modified;
    h->next_segment = c->row.next_segment;
    h->next_map = c->row.next_map;
    h->mam = c->row.mam ? json_loads(c->row.mam, 0, NULL) : NULL;
    h->counters = c->row.counters ? json_loads(c->row.counters, 0, NULL) : NULL;
}
