/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit.c: a cartridge's state into a head, and what no head names out of the store. */
#include "vtl/cartridge/commit_private.h"
#include "vtl/cartridge/object_lock.h"
#include "vtl/state/chunk_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/event.h"

#define INLINE_SEGS 256   /* more than these go into maps */
#define INLINE_LEANS 1000 /* and so do all, if they lean on more than this */
#define MANY_MAPS 64      /* more than these are merged */
#define GARBAGE_BATCH 500 /* objects deleted between two looks at the heads */

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
    size_t segs;        /* leading segments that the head holds */
    struct leans leans; /* of those from first_unmapped on, the first of which is number 0 */
    size_t first_unmapped;
    uint64_t changes, taken_at; /* taken_at: seconds since 1970 */
    bool whole;
};

static void snapshot_free(struct snapshot *s)
{
    for (size_t i = 0; i < s->n_puts; i++)
        free(s->puts[i].buf);
    free(s->puts);
    free(s->maps);
    leans_free(&s->leans);
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
    struct tape_index part;
    int rc = tape_index_slice(&part, &c->live, first, n);
    if (!rc)
        rc = leans_append(&part.leans, 0, &s->leans, first - s->first_unmapped, n);
    if (!rc)
        rc = map_encode(c->row.id, &m.id, &part, 0, n, &p->buf, &p->len);
    tape_index_free(&part);
    if (rc)
        return rc;
    object_key(p->key, c->row.barcode, "map", &m.id);
    m.size = p->len;
    m.crc = map_crc(p->buf, p->len);
    s->n_puts++;
    s->maps[s->n_maps++] = m;
    c->row.next_map++;
    return 0;
}

static size_t inline_leans(const struct snapshot *s, uint64_t mapped)
{
    size_t n = 0;
    while (n < s->leans.n && s->leans.v[s->leans.n - n - 1].segment >= mapped - s->first_unmapped)
        n++;
    return n;
}

/* The next map holds so many; 0: the head has room for all that are left. */
static size_t next_map(const struct snapshot *s, uint64_t mapped, bool merge)
{
    size_t left = s->segs - mapped;
    if (left > INLINE_SEGS)
        return merge && !mapped ? left - INLINE_SEGS : INLINE_SEGS;
    return inline_leans(s, mapped) > INLINE_LEANS ? left : 0;
}

static int take_maps(const struct cartridge *c, struct snapshot *s)
{
    s->maps = malloc((c->n_maps + 1) * sizeof(*s->maps));
    if (!s->maps)
        return -ENOMEM;
    if (c->n_maps)
        memcpy(s->maps, c->maps, c->n_maps * sizeof(*s->maps));
    s->n_maps = c->n_maps;
    return 0;
}

static int read_leans(struct cartridge *c, struct snapshot *s, uint64_t mapped)
{
    leans_free(&s->leans);
    s->first_unmapped = mapped;
    return commit_read_leans(c, mapped, s->segs - mapped, &s->leans);
}

/* Few maps, few inline segments: see vtl/FORMAT.md. Returns in *mapped how many leading segments the maps hold. */
static int plan_maps(struct cartridge *c, struct snapshot *s, uint64_t *mapped)
{
    *mapped = c->mapped_segs;
    int rc = read_leans(c, s, *mapped);
    bool merge = !rc && c->n_maps >= MANY_MAPS && next_map(s, *mapped, false);
    if (merge)
        rc = read_leans(c, s, *mapped = 0);
    else if (!rc)
        rc = take_maps(c, s);
    size_t n;
    while (!rc && (n = next_map(s, *mapped, merge))) {
        rc = plan_map(c, s, *mapped, n);
        *mapped += n;
    }
    return rc;
}

/* Deleted before its upload is over, it would be there again, and nobody would know. */
static bool is_being_stored(const struct cartridge *c, const char *key)
{
    lock_assert_held(&c->lock);
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

/* What is garbage now: no head made from this moment's state can name it. */
int commit_collect(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    cartridge_free_doomed(c);
    int rc = db_garbage(c->eng->db, c->row.rowid, keep_key, c);
    c->doomed_next = 0;
    if (rc)
        cartridge_free_doomed(c);
    return rc;
}

/* What is garbage this gateway deletes first: later it may not. What others need of it stays in any case, and is garbage of
 * whoever takes the cartridge over. */
static bool is_tidy(const struct cartridge *c)
{
    size_t n = 0;
    lock_assert_held(&c->lock);
    while (c->doomed && c->doomed[n])
        n++;
    return n == c->garbage_kept && !c->n_pending; /* what was written over may still be on its way to the store */
}

static int take_snapshot(struct cartridge *c, struct snapshot *s)
{
    cartridge_refresh_counters(c);
    head_init(&s->head);
    if (!cartridge_can_commit(c))
        return -EAGAIN;
    c->due &= ~(unsigned)DUE_LIST; /* whoever waits for it asks again, should it fail */
    s->segs = cartridge_stored_prefix(c);
    s->whole = s->segs == c->live.n_segs;
    s->changes = c->changes;
    s->taken_at = engine_time();
    uint64_t mapped = 0;
    struct obj_lock lock;
    int rc = object_lock_before_put(c, &lock);
    if (!rc)
        rc = plan_maps(c, s, &mapped);
    INVARIANT(rc || (mapped <= s->segs && c->row.commit_segs <= s->segs));
    if (!rc)
        rc = tape_index_slice(&s->head.inl, &c->live, mapped, s->segs - mapped);
    if (!rc)
        rc = leans_append(&s->head.inl.leans, 0, &s->leans, mapped - s->first_unmapped, s->segs - mapped);
    if (!rc)
        rc = commit_fill_leaners(c, &s->head);
    if (!rc)
        rc = commit_fill_pending(c, s->segs, &s->head);
    if (!rc)
        rc = commit_collect(c);
    if (rc)
        return rc;
    commit_fill_identity(c, &s->head);
    s->head.released = c->release && s->whole && is_tidy(c);
    c->row.released = c->row.released || s->head.released; /* noted with the try */
    const struct seg_ref *last = s->segs ? &c->live.segs[s->segs - 1] : NULL;
    s->head.end_object = last ? last->first_object + last->objects : 0;
    s->head.end_file = last ? last->first_file + last->filemarks : 0;
    c->tried_n++;
    s->head.id = (struct seg_id){c->row.head.epoch, c->eng->writer, c->tried_n};
    s->head.maps = s->maps;
    s->head.n_maps = s->n_maps;
    c->cut_low = s->segs;
    c->cut_object = UINT64_MAX;
    return commit_fill_rest(c, s->whole, &s->head);
}

/* Given up: the garbage that stays, and what this very commit made, is no more this gateway's, which would claim the cartridge to
 * delete it one day. */
static void forget_garbage(struct cartridge *c)
{
    size_t n = 0;
    lock_assert_held(&c->lock);
    if (commit_collect(c))
        log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    while (c->doomed && c->doomed[n])
        n++;
    if (n && db_garbage_done(c->eng->db, c->row.rowid, (const char *const *)c->doomed, n))
        log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    cartridge_free_doomed(c);
    c->garbage_kept = 0;
    c->due &= ~(unsigned)DUE_GARBAGE;
}

/* The head is the highest: the state follows. */
static int record(struct cartridge *c, struct snapshot *s)
{
    lock_take(&c->lock);
    struct db_cartridge old = c->row;
    size_t old_n_maps = c->n_maps;
    struct map_ref *old_maps = c->maps;
    cartridge_note_accepted(c);
    c->row.head = s->head.id;
    c->row.commit_segs = s->segs < c->cut_low ? s->segs : c->cut_low;
    if (c->cut_object >= s->head.end_object && c->row.floor <= s->head.end_object) /* else it is of what came since */
        c->row.floor = 0;
    c->row.dirty = !(s->whole && s->changes == c->changes);
    c->row.released = s->head.released;
    c->maps = s->maps;
    c->n_maps = s->n_maps;
    s->maps = NULL;
    cartridge_cut_maps(c);
    int rc = db_committed(c->eng->db, &c->row, c->maps, c->n_maps, s->head.leaners, s->head.n_leaners);
    if (rc) {
        cartridge_set_row(c, &old);
        free(c->maps);
        c->maps = old_maps;
        c->n_maps = old_n_maps;
        cartridge_cut_maps(c);
    } else {
        free(old_maps);
        cartridge_note_named(c);
        if (!c->row.dirty && !c->written.accepted)
            c->written.accepted = engine_time();
        if (s->whole)
            c->committed = s->changes;
        if (s->head.released)
            c->owner = CARTRIDGE_UNCLAIMED; /* to write again, it is claimed as any: another one may have it by now */
        if (s->head.released && s->changes == c->changes) {
            c->release = false;
            c->due &= ~(unsigned)DUE_CLAIM; /* of a drive that has it no more */
            forget_garbage(c);
        }
        c->committed_at = clock_ms();
        c->changed_since = s->taken_at;
    }
    INVARIANT(c->mapped_segs <= c->row.commit_segs && c->row.commit_segs <= c->live.n_segs);
    INVARIANT(c->offsite_segs <= c->row.commit_segs);
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
            log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
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
        rc = commit_put(c->eng, s.puts[i].key, s.puts[i].buf, s.puts[i].len, &s.head.retention, call, err);
    if (!rc)
        rc = commit_note_try(c, &s.head.id, err);
    if (!rc)
        rc = commit_put_head(c->eng, &s.head, call, err);
    if (!rc)
        rc = commit_check_highest(c, &s.head.id, false, call, err);
    s.head.maps = NULL; /* they are the snapshot's */
    s.head.n_maps = 0;
    if (!rc && (rc = record(c, &s)))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    if (rc)
        give_up(c, &s);
    snapshot_free(&s);
    progress_post(&c->eng->progress); /* it is committed: nobody need wait for what is cleaned up */
    return rc ? rc : commit_tidy_if_possible(c, call, err);
}

int commit_release(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    lock_take(&c->lock);
    c->release = true;
    if (cartridge_is_committed(c))
        c->changes++;     /* so that there is something to commit, */
    c->due |= DUE_COMMIT; /* at once, should this fail */
    lock_release(&c->lock);
    return commit_head(c, call, err);
}

/* The next batch of what is doomed: n of it, which is gone through. In keys the del of these that may go, then those that stay. */
static size_t next_batch(struct cartridge *c, const struct kept *kept, const char **keys, size_t *del)
{
    size_t n = 0, stay = 0;
    lock_assert_held(&c->lock);
    while (c->doomed && n < GARBAGE_BATCH && c->doomed[c->doomed_next + n])
        n++;
    *del = 0;
    for (size_t i = 0; i < n; i++) {
        const char *key = c->doomed[c->doomed_next + i];
        if (!kept_has_key(kept, key))
            keys[(*del)++] = key;
        else
            keys[n - ++stay] = key;
    }
    return n;
}

/* Who else needs it is asked once for all that is doomed, as all of it is garbage by now (commit_kept.c). */
static int ask_kept(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    lock_take(&c->lock);
    bool known = c->kept || !c->doomed;
    lock_release(&c->lock);
    struct kept *k = NULL;
    int rc = known ? 0 : commit_kept(c, true, &k, call, err);
    lock_take(&c->lock);
    if (k && c->doomed && !c->kept)
        c->kept = k;
    else
        kept_free(k);
    lock_release(&c->lock);
    return rc;
}

/* What is deleted is no source any more. The index is a cache: what of it cannot be dropped is refused when it is found. */
static void drop_chunks(struct cartridge *c, const char *const *keys, size_t n)
{
    for (size_t i = 0; c->eng->chunks && i < n; i++) {
        const char *name = strstr(keys[i], "/seg/");
        struct seg_id id;
        if (name && seg_id_parse(name + strlen("/seg/"), &id))
            (void)chunk_index_drop(c->eng->chunks, c->row.id, &id);
    }
}

static int note_lean(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    (void)segment;
    (void)s;
    *(bool *)arg = true;
    return 0;
}

/* Does one of these objects lean on others, as far as the state says? */
static int any_leans(struct cartridge *c, const char *const *keys, size_t n, bool *any, struct errtext *err)
{
    int rc = 0;
    *any = false;
    for (size_t i = 0; !rc && !*any && i < n; i++) {
        const char *name = strstr(keys[i], "/seg/");
        struct seg_id id;
        if (name && seg_id_parse(name + strlen("/seg/"), &id))
            rc = db_leans(c->eng->db, c->row.rowid, &id, note_lean, any);
    }
    return rc ? errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db)) : 0;
}

/* In keys the del that nobody needs, and behind them, up to n, what stays for others. They copy out of what it holds itself, so
 * what it leaned on goes once nobody else needs it: else what is written over in turn would keep all that it ever copied from. */
static int clean_up(struct cartridge *c, const struct seg_id *mine, const char *const *keys, size_t del, size_t n,
                    const struct obj_call *call, struct errtext *err)
{
    bool leans = false;
    int rc = any_leans(c, keys + del, n - del, &leans, err);
    if (!rc && (del || leans))
        rc = commit_check_highest(c, mine, false, call, err);
    int state = !rc && leans ? db_garbage_stays(c->eng->db, c->row.rowid, keys + del, n - del) : 0;
    if (!rc && !state && del)
        rc = c->eng->store->ops->del(c->eng->store, keys, del, call, err);
    if (!rc && !state && del)
        state = db_garbage_done(c->eng->db, c->row.rowid, keys, del);
    return state ? errtext_set(err, state, "%s: state: %s", c->row.barcode, db_error(c->eng->db)) : rc;
}

int commit_garbage(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    const char *keys[GARBAGE_BATCH];
    size_t del = 0;
    int rc = ask_kept(c, call, err);
    if (rc)
        return rc;
    lock_take(&c->lock);
    size_t n = c->kept ? next_batch(c, c->kept, keys, &del) : 0;
    struct seg_id mine = c->row.head;
    lock_release(&c->lock);
    rc = clean_up(c, &mine, keys, del, n, call, err);
    if (!rc)
        drop_chunks(c, keys, del);
    lock_take(&c->lock);
    if (!rc) {
        c->doomed_next += n;
        c->doomed_kept += n - del;
    }
    bool more = c->doomed && c->doomed[c->doomed_next];
    if (!rc && !more) {
        c->garbage_kept = c->doomed_kept;
        cartridge_free_doomed(c);
    }
    lock_release(&c->lock);
    return rc ? rc : more;
}
