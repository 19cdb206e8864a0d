/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit.c: claiming a cartridge, committing its state in a head, deleting what no head names; see commit.h. */
#include "vtl/cartridge/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/cartridge/cartridge_private.h"

#define INLINE_SEGS 256   /* more than these go into maps */
#define MANY_MAPS 64      /* more than these are merged */
#define GARBAGE_BATCH 500 /* objects deleted between two looks at the heads */

static int put_bytes(struct engine *e, const char *key, const void *buf, size_t len, const struct obj_call *call,
                     struct errtext *err)
{
    struct obj_source src = {.mem = buf, .fd = -1, .len = len};
    return e->store->ops->put(e->store, key, &src, call, err);
}

static int put_head(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    char key[DB_KEY_SIZE], *buf = NULL;
    size_t len = 0;
    object_key(key, h->barcode, "head", &h->id);
    int rc = head_encode(h, &buf, &len);
    rc = rc ? errtext_set(err, rc, "%s: cannot be encoded: %s", key, strerror(-rc))
            : put_bytes(e, key, buf, len, call, err);
    free(buf);
    return rc;
}

static int delete_heads(struct engine *e, const char *barcode, const struct seg_id *ids, size_t n,
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

static int fence(struct cartridge *c, const struct seg_id *winner, struct errtext *err)
{
    lock_take(&c->lock);
    c->fenced = true;
    c->owned = false;
    cartridge_uncount(c);
    lock_release(&c->lock);
    return errtext_set(
        err, -EPERM,
        "%s: owned by gateway %08x (epoch %llu): nothing of this gateway is merged; what it holds stays in its "
        "spool",
        c->row.barcode, winner->writer, (unsigned long long)winner->epoch);
}

/* Lists the heads; -EPERM when mine is not the highest. With clean, deletes those below mine. */
static int check_highest(struct cartridge *c, const struct seg_id *mine, bool clean, const struct obj_call *call,
                         struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(c->eng->store, c->row.barcode, &heads, &n, call, err);
    if (!rc && !n)
        rc = errtext_set(err, -EIO, "tapes/%s/head/: the store does not list the head just put", c->row.barcode);
    else if (!rc && seg_id_compare(&heads[n - 1], mine) > 0)
        rc = heads[n - 1].writer == mine->writer
                 ? errtext_set(err, -EIO, "tapes/%s/head/: a head of this gateway is above the one just put",
                               c->row.barcode)
                 : fence(c, &heads[n - 1], err);
    else if (!rc && seg_id_compare(&heads[n - 1], mine) < 0)
        rc = errtext_set(err, -EIO, "tapes/%s/head/: the store does not list the head just put", c->row.barcode);
    else if (!rc && clean)
        rc = delete_heads(c->eng, c->row.barcode, heads, n - 1, call, err);
    free(heads);
    return rc;
}

int commit_adopt_head(struct engine *e, const struct head *h, const struct obj_call *call, struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = put_head(e, h, call, err);
    if (!rc)
        rc = commit_list_heads(e->store, h->barcode, &heads, &n, call, err);
    if (!rc && (!n || seg_id_compare(&heads[n - 1], &h->id)))
        rc = errtext_set(err, -EPERM, "tapes/%s/head/: another gateway is writing this cartridge", h->barcode);
    if (!rc)
        rc = delete_heads(e, h->barcode, heads, n - 1, call, err);
    free(heads);
    return rc;
}

/* Identity and attributes, the same in every head. Lock held, or the cartridge is not shared yet. */
static void fill_identity(const struct cartridge *c, struct head *h)
{
    memcpy(h->cartridge, c->row.id, sizeof(h->cartridge));
    memcpy(h->barcode, c->row.barcode, sizeof(h->barcode));
    h->generation = c->row.generation;
    h->capacity = c->row.capacity;
    h->full_capacity = c->row.full_capacity;
    h->worm = c->row.worm;
    h->write_protected = c->row.write_protected;
    h->created = c->row.created;
    h->modified = c->row.modified;
    h->next_segment = c->row.next_segment;
    h->next_map = c->row.next_map;
    h->mam = c->row.mam ? json_loads(c->row.mam, 0, NULL) : NULL;
    h->counters = c->row.counters ? json_loads(c->row.counters, 0, NULL) : NULL;
}

/* The state that a claim takes over, as this gateway's own first head. */
static int take_over(struct cartridge *c, const struct seg_id *claim, struct head *h, const struct obj_call *call,
                     struct errtext *err)
{
    int rc = commit_read_head(c->eng->store, c->row.barcode, claim, h, call, err);
    bool ours = c->row.head.epoch != 0;
    if (rc == -ENOENT && !ours) { /* a new cartridge */
        head_init(h);
        lock_take(&c->lock);
        fill_identity(c, h);
        lock_release(&c->lock);
        return 0;
    }
    if (rc == -ENOENT)
        return errtext_set(err, -EIO, "%s: the head that this gateway wrote is gone from the store", c->row.barcode);
    if (rc)
        return rc;
    /* A head of ours that knows segments this state does not: the state is a copy from earlier (a restored snapshot).
     */
    bool same = ours && ((h->id.writer == c->eng->writer && h->next_segment <= c->row.next_segment) ||
                         !seg_id_compare(&h->id, &c->row.head));
    if (!same) {
        struct seg_id winner = h->id;
        head_free(h);
        return fence(c, &winner, err);
    }
    return 0;
}

/* Looks before it claims, so that a gateway that comes back late does not disturb the one that took over. Claims that
 * came to nothing are passed over. */
static int may_claim(struct cartridge *c, const struct seg_id *heads, size_t n, struct errtext *err)
{
    while (n && !heads[n - 1].number)
        n--;
    if (!n || heads[n - 1].writer == c->eng->writer || !seg_id_compare(&heads[n - 1], &c->row.head))
        return 0;
    return fence(c, &heads[n - 1], err);
}

/* No epoch is used twice by this gateway, also not for a barcode that was removed and made again (I2). */
static int next_epoch(struct engine *e, uint64_t highest, uint64_t *epoch, struct errtext *err)
{
    char floor[32];
    if (db_meta_get(e->db, EPOCH_FLOOR, floor, sizeof(floor)))
        return errtext_set(err, -EIO, "state: %s", db_error(e->db));
    uint64_t n = strtoull(floor, NULL, 10);
    *epoch = (n > highest ? n : highest) + 1;
    return 0;
}

static int claim(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct engine *e = c->eng;
    struct seg_id *heads = NULL, mine = {0, e->writer, 0};
    size_t n = 0;
    int rc = commit_list_heads(e->store, c->row.barcode, &heads, &n, call, err);
    if (!rc)
        rc = may_claim(c, heads, n, err);
    if (!rc)
        rc = next_epoch(e, n ? heads[n - 1].epoch : 0, &mine.epoch, err);
    free(heads);
    if (rc)
        return rc;
    struct head h;
    head_init(&h);
    h.claim = true;
    h.id = mine;
    memcpy(h.barcode, c->row.barcode, sizeof(h.barcode));
    memcpy(h.cartridge, c->row.id, sizeof(h.cartridge));
    rc = put_head(e, &h, call, err);
    head_free(&h);
    if (!rc)
        rc = check_highest(c, &mine, false, call, err);
    if (!rc)
        rc = take_over(c, &mine, &h, call, err);
    if (rc == -EPERM)
        (void)delete_heads(e, c->row.barcode, &mine, 1, call, NULL);
    if (rc)
        return rc;
    mine.number = 1;
    h.id = mine;
    rc = put_head(e, &h, call, err);
    head_free(&h);
    if (!rc)
        rc = check_highest(c, &mine, false, call, err);
    if (rc)
        return rc;
    lock_take(&c->lock);
    c->row.head = mine;
    c->tried_n = 1;
    rc = db_cartridge_update(e->db, &c->row);
    c->owned = !rc;
    lock_release(&c->lock);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(e->db));
    progress_post(&e->progress); /* the first WRITE waits for this, and not for what is cleaned up */
    return check_highest(c, &mine, true, call, err);
}

int commit_claim(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    lock_take(&c->lock);
    bool owned = c->owned, fenced = c->fenced;
    lock_release(&c->lock);
    if (fenced)
        return errtext_set(err, -EPERM, "%s: owned by another gateway", c->row.barcode);
    return owned ? 0 : claim(c, call, err);
}

/* ---- commit ---- */

struct map_put { /* a map to put before the head */
    char key[DB_KEY_SIZE];
    void *buf;
    size_t len;
};

struct snapshot {
    struct head head;
    struct map_put *puts;
    size_t n_puts;
    struct map_ref *maps; /* the cartridge's after this commit */
    size_t n_maps;
    size_t segs; /* leading segments that the head holds */
    uint64_t changes;
    bool whole;
};

static void snapshot_free(struct snapshot *s)
{
    for (size_t i = 0; i < s->n_puts; i++)
        free(s->puts[i].buf);
    free(s->puts);
    free(s->maps);
    head_free(&s->head);
}

/* One more map, of segments [first, first + n) of live. */
static int plan_map(struct cartridge *c, struct snapshot *s, size_t first, size_t n)
{
    struct map_put *puts = realloc(s->puts, (s->n_puts + 1) * sizeof(*puts));
    if (!puts)
        return -ENOMEM;
    s->puts = puts;
    struct map_ref *maps = realloc(s->maps, (s->n_maps + 1) * sizeof(*maps));
    if (!maps)
        return -ENOMEM;
    s->maps = maps;
    struct map_put *p = &s->puts[s->n_puts];
    struct map_ref m = {.id = {c->row.head.epoch, c->eng->writer, c->row.next_map},
                        .n_segs = n,
                        .first_object = c->live.segs[first].first_object};
    int rc = map_encode(c->row.id, &m.id, &c->live, first, n, &p->buf, &p->len);
    if (rc)
        return rc;
    object_key(p->key, c->row.barcode, "map", &m.id);
    m.size = p->len;
    s->n_puts++;
    s->maps[s->n_maps++] = m;
    c->row.next_map++;
    return 0;
}

/* Few maps, few inline segments: see vtl/FORMAT.md. Returns in *mapped how many leading segments the maps hold. */
static int plan_maps(struct cartridge *c, struct snapshot *s, uint64_t *mapped)
{
    *mapped = c->mapped_segs;
    if (s->segs - *mapped <= INLINE_SEGS || c->n_maps < MANY_MAPS) {
        s->maps = malloc((c->n_maps + 1) * sizeof(*s->maps));
        if (!s->maps)
            return -ENOMEM;
        if (c->n_maps)
            memcpy(s->maps, c->maps, c->n_maps * sizeof(*s->maps));
        s->n_maps = c->n_maps;
    } else {
        *mapped = 0;
    }
    int rc = 0;
    while (!rc && s->segs - *mapped > INLINE_SEGS) {
        size_t n = *mapped || c->n_maps < MANY_MAPS ? INLINE_SEGS : s->segs - INLINE_SEGS;
        rc = plan_map(c, s, *mapped, n);
        *mapped += n;
    }
    return rc;
}

/* Deleted before its upload is over, it would be there again, and nobody would know. Lock held. */
static bool is_being_stored(const struct cartridge *c, const char *key)
{
    for (size_t i = 0; i < c->n_pending; i++) {
        char busy[DB_KEY_SIZE];
        object_key(busy, c->row.barcode, "seg", &c->pending[i].id);
        if (c->pending[i].busy && !strcmp(busy, key))
            return true;
    }
    return false;
}

static int keep_key(void *arg, const char *key)
{
    struct cartridge *c = arg;
    size_t n = c->doomed_next;
    if (is_being_stored(c, key))
        return 0;
    if (n % 256 == 0) {
        char **d = realloc(c->doomed, (n + 257) * sizeof(*d));
        if (!d)
            return -ENOMEM;
        c->doomed = d;
    }
    c->doomed[n] = strdup(key);
    if (!c->doomed[n])
        return -ENOMEM;
    c->doomed[n + 1] = NULL;
    c->doomed_next = n + 1;
    return 0;
}

/* What is garbage now: no head made from this moment's state can name it. Lock held. */
int commit_collect(struct cartridge *c)
{
    cartridge_free_doomed(c);
    int rc = db_garbage(c->eng->db, c->row.rowid, keep_key, c);
    c->doomed_next = 0;
    if (rc)
        cartridge_free_doomed(c);
    return rc;
}

static bool is_whole(const struct cartridge *c, size_t prefix)
{
    return prefix == c->live.n_segs;
}

bool commit_possible(const struct cartridge *c)
{
    if (c->changes == c->committed)
        return false;
    size_t prefix = cartridge_stored_prefix(c);
    uint64_t end = prefix ? c->live.segs[prefix - 1].first_object + c->live.segs[prefix - 1].objects : 0;
    return end >= c->row.floor && (is_whole(c, prefix) || prefix > c->row.commit_segs);
}

static int take_snapshot(struct cartridge *c, struct snapshot *s)
{
    cartridge_refresh_counters(c);
    head_init(&s->head);
    if (!commit_possible(c))
        return -EAGAIN;
    s->segs = cartridge_stored_prefix(c);
    s->whole = is_whole(c, s->segs);
    s->changes = c->changes;
    uint64_t mapped = 0;
    int rc = plan_maps(c, s, &mapped);
    if (!rc)
        rc = tape_index_slice(&s->head.inl, &c->live, mapped, s->segs - mapped);
    if (!rc)
        rc = commit_collect(c);
    if (rc)
        return rc;
    fill_identity(c, &s->head);
    const struct seg_ref *last = s->segs ? &c->live.segs[s->segs - 1] : NULL;
    s->head.end_object = last ? last->first_object + last->objects : 0;
    s->head.end_file = last ? last->first_file + last->filemarks : 0;
    c->tried_n++;
    s->head.id = (struct seg_id){c->row.head.epoch, c->eng->writer, c->tried_n};
    s->head.maps = s->maps;
    s->head.n_maps = s->n_maps;
    c->cut_low = s->segs;
    return 0;
}

/* The head is the highest: the state follows. */
static int record(struct cartridge *c, struct snapshot *s)
{
    lock_take(&c->lock);
    struct db_cartridge old = c->row;
    size_t old_n_maps = c->n_maps;
    struct map_ref *old_maps = c->maps;
    c->row.head = s->head.id;
    c->row.commit_segs = s->segs < c->cut_low ? s->segs : c->cut_low;
    if (c->cut_low == s->segs && c->row.floor <= s->head.end_object)
        c->row.floor = 0;
    c->row.dirty = !(s->whole && s->changes == c->changes);
    c->maps = s->maps;
    c->n_maps = s->n_maps;
    s->maps = NULL;
    cartridge_cut_maps(c);
    int rc = db_committed(c->eng->db, &c->row, c->maps, c->n_maps);
    if (rc) {
        cartridge_set_row(c, &old);
        free(c->maps);
        c->maps = old_maps;
        c->n_maps = old_n_maps;
        cartridge_cut_maps(c);
    } else {
        free(old_maps);
        if (s->whole)
            c->committed = s->changes;
        c->committed_at = clock_ms();
    }
    lock_release(&c->lock);
    return rc;
}

/* A commit that failed: the next one makes its own maps, and after it these are nobody's. What was found to be garbage
 * may still be named by the head that stays the winner. */
static void give_up(struct cartridge *c, const struct snapshot *s)
{
    for (size_t i = 0; i < s->n_puts; i++) {
        const char *keys[] = {s->puts[i].key};
        if (db_garbage_add(c->eng->db, c->row.rowid, keys, 1))
            log_line("%s: state: %s", c->row.barcode, db_error(c->eng->db));
    }
    lock_take(&c->lock);
    cartridge_free_doomed(c);
    lock_release(&c->lock);
}

int commit_head(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    int rc = commit_claim(c, call, err);
    if (rc)
        return rc;
    struct snapshot s = {0};
    lock_take(&c->lock);
    rc = take_snapshot(c, &s);
    lock_release(&c->lock);
    if (rc && rc != -EAGAIN)
        errtext_set(err, rc, "%s: commit: %s", c->row.barcode, strerror(-rc));
    for (size_t i = 0; !rc && i < s.n_puts; i++)
        rc = put_bytes(c->eng, s.puts[i].key, s.puts[i].buf, s.puts[i].len, call, err);
    if (!rc)
        rc = put_head(c->eng, &s.head, call, err);
    if (!rc)
        rc = check_highest(c, &s.head.id, false, call, err);
    struct seg_id mine = s.head.id;
    s.head.maps = NULL; /* they are the snapshot's */
    s.head.n_maps = 0;
    if (!rc && (rc = record(c, &s)))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    if (rc)
        give_up(c, &s);
    snapshot_free(&s);
    progress_post(&c->eng->progress); /* it is committed: nobody need wait for what is cleaned up */
    return rc ? rc : check_highest(c, &mine, true, call, err);
}

int commit_garbage(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    lock_take(&c->lock);
    const char *keys[GARBAGE_BATCH];
    size_t n = 0;
    while (c->doomed && n < GARBAGE_BATCH && c->doomed[c->doomed_next + n]) {
        keys[n] = c->doomed[c->doomed_next + n];
        n++;
    }
    struct seg_id mine = c->row.head;
    lock_release(&c->lock);
    int rc = n ? check_highest(c, &mine, false, call, err) : 0;
    if (n && !rc)
        rc = c->eng->store->ops->del(c->eng->store, keys, n, call, err);
    if (n && !rc && (rc = db_garbage_done(c->eng->db, c->row.rowid, keys, n)))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    lock_take(&c->lock);
    if (!rc)
        c->doomed_next += n;
    bool more = c->doomed && c->doomed[c->doomed_next];
    if (!rc && !more)
        cartridge_free_doomed(c);
    lock_release(&c->lock);
    return rc ? rc : more;
}
