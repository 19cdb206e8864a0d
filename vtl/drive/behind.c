/* SPDX-License-Identifier: GPL-2.0-or-later */
/* behind.c: see behind.h. */
#include "vtl/drive/behind.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/secret.h"
#include "base/thread.h"

#define OVERHEAD 512 /* per block: its node, and what malloc adds */
#define WAIT_MS 200
#define MOST_THREADS 4

struct secret { /* for the queued blocks that are to be encrypted; in locked memory */
    uint8_t key[TAPE_KEY_SIZE];
    uint8_t kad_len;
    uint8_t kad[TAPE_KAD_MAX];
};

struct behind {
    const struct behind_ops *ops;
    void *arg;
    uint64_t room;
    pthread_t threads[MOST_THREADS];
    unsigned n_threads, most_threads, idle;
    struct lock lock; /* a leaf, held for a few instructions: the transport's thread takes it too (I5) */
    struct cond work, turn, less;
    struct behind_block *head, **tail; /* head: the next one to be written */
    struct behind_block *fresh;        /* the next one to pack; NULL: threads have all of them */
    struct behind_block *unplanned;    /* the next one for the planner; NULL: it had all of them */
    struct behind_block *undecided;    /* the first one that it has not given back; NULL: it gave back all */
    bool plans;                        /* blocks are planned now */
    bool planning;                     /* a thread does */
    bool helped;                       /* since it last did: it may have more to give */
    unsigned helping;                  /* threads that do a part of its work */
    uint64_t plans_made;               /* how often it was asked */
    unsigned draining;                 /* who waits until it is empty */
    uint64_t pushed;                   /* how many blocks, in all */
    size_t encrypted, plain;           /* how many of the queued blocks are to be encrypted, and are not */
    uint64_t pack_ns, put_ns;          /* per block, smoothed */
    bool stop;
    _Atomic uint64_t bytes, *total;
    struct behind_loss loss;
    struct secret *secret;
};

static uint64_t cost(uint32_t len)
{
    return (uint64_t)len + OVERHEAD;
}

/* ---- the threads ---- */

/* Is packing so slow that several threads should do it? A single one saves waking the others. */
static bool is_heavy(const struct behind *q)
{
    lock_assert_held(&q->lock);
    return q->plans || q->pack_ns > 2 * q->put_ns;
}

static bool can_pack(const struct behind *q)
{
    lock_assert_held(&q->lock);
    return q->fresh && q->fresh != q->undecided;
}

/* The planner is to let go of what it holds: nothing more will come, or did for a while. */
static bool must_decide(const struct behind *q, bool quiet)
{
    lock_assert_held(&q->lock);
    return q->undecided && !q->unplanned && (q->draining || q->stop || quiet);
}

/* The secret does not change while a block that needs it is queued; else only with the lock held. */
static struct seg_key key_of(const struct behind *q)
{
    return (struct seg_key){q->secret->key, q->secret->kad, q->secret->kad_len};
}

/* Gives the next block to the planner, and takes from it what it has decided. Releases the lock meanwhile. */
static void plan(struct behind *q, bool quiet)
{
    lock_assert_held(&q->lock);
    struct behind_block *b = q->unplanned, *done;
    bool drain = false;
    q->planning = true;
    q->helped = false;
    q->plans_made++;
    if (b) {
        const struct seg_key key = key_of(q);
        q->unplanned = b->next;
        lock_release(&q->lock);
        drain = !q->ops->plan(q->arg, b, b->encrypt ? &key : NULL); /* as it is: once those before it are decided */
        lock_take(&q->lock);
    }
    const struct behind_block *refused = drain ? b : NULL;
    drain = drain || must_decide(q, quiet);
    do {
        lock_release(&q->lock);
        done = q->ops->planned(q->arg, drain);
        lock_take(&q->lock);
        INVARIANT(!done || done == q->undecided);
        if (done)
            q->undecided = done->next;
    } while (done);
    if (refused) {
        INVARIANT(q->undecided == refused);
        q->undecided = refused->next;
    }
    q->planning = false;
    cond_broadcast(&q->work);
    cond_broadcast(&q->less);
}

/* Does a part of the planner's work. False: there was none, and nothing else came meanwhile, in which the lock is released:
 * who waits for it is not woken by what happened before it waits. */
static bool help(struct behind *q)
{
    lock_assert_held(&q->lock);
    uint64_t plans = q->plans_made, pushed = q->pushed;
    unsigned draining = q->draining;
    bool stop = q->stop;
    if (!q->undecided || !q->ops->help)
        return false;
    q->helping++;
    lock_release(&q->lock);
    bool did = q->ops->help(q->arg);
    lock_take(&q->lock);
    q->helped = q->helped || did;
    q->helping--;
    if (!q->helping)
        cond_broadcast(&q->less);
    return did || plans != q->plans_made || pushed != q->pushed || draining != q->draining || stop != q->stop;
}

/* The next block to pack; it stays in the list until it is written. NULL: time to end. */
static struct behind_block *next_block(struct behind *q)
{
    lock_assert_held(&q->lock);
    bool quiet = false;
    while (!can_pack(q)) {
        uint64_t pushed = q->pushed;
        if (!q->planning && (q->unplanned || (q->helped && q->undecided) || must_decide(q, quiet))) {
            plan(q, quiet);
            quiet = false;
            continue;
        }
        if (help(q))
            continue;
        if (q->stop && !q->undecided && !q->planning)
            return NULL;
        q->idle++;
        if (q->undecided && !q->planning) /* as long as nothing comes */
            quiet = !cond_wait_ms(&q->work, &q->lock, WAIT_MS) && q->pushed == pushed;
        else
            cond_wait(&q->work, &q->lock);
        q->idle--;
    }
    struct behind_block *b = q->fresh;
    q->fresh = b->next;
    return b;
}

/* *p is made for the first block: should there be no memory for it then, there may be for the next one. */
static int pack(struct behind *q, struct seg_packer **p, const struct behind_block *b, struct seg_packed *out)
{
    if (!*p && !(*p = seg_packer_new()))
        return -ENOMEM;
    if (!b->encrypt) /* the secret may change meanwhile */
        return q->ops->pack(q->arg, *p, b, NULL, out);
    const struct seg_key key = key_of(q);
    return q->ops->pack(q->arg, *p, b, &key, out);
}

static int pack_it(struct behind *q, struct seg_packer **p, const struct behind_block *b, struct seg_packed *out)
{
    return b->filemarks ? 0 : pack(q, p, b, out);
}

/* Packed, it is written. If something that it copies from is gone, it is packed and written as it is. */
static int put(struct behind *q, struct seg_packer **p, struct behind_block *b, const struct seg_packed *packed)
{
    if (b->filemarks)
        return q->ops->mark(q->arg, b->object, b->filemarks);
    int rc = q->ops->put(q->arg, packed);
    if (rc != -ESTALE || !b->make)
        return rc;
    struct seg_packed plain;
    free(b->make);
    b->make = NULL;
    rc = pack(q, p, b, &plain);
    return rc ? rc : q->ops->put(q->arg, &plain);
}

/* Removes the first block: it was written or, with rc, never will be. */
static void drop_first(struct behind *q, int rc)
{
    lock_assert_held(&q->lock);
    struct behind_block *b = q->head;
    if (rc && !q->loss.rc)
        q->loss = (struct behind_loss){.rc = rc, .object = b->object};
    if (rc) {
        q->loss.blocks += !b->filemarks;
        q->loss.bytes += b->len;
        q->loss.filemarks += b->filemarks;
    }
    q->plain -= !b->filemarks && !b->encrypt;
    if (b->encrypt && !--q->encrypted)
        explicit_bzero(q->secret, sizeof(*q->secret));
    q->head = b->next;
    if (!q->head)
        q->tail = &q->head;
    INVARIANT(atomic_load(&q->bytes) >= cost(b->len) && atomic_load(q->total) >= cost(b->len));
    atomic_fetch_sub(&q->bytes, cost(b->len));
    atomic_fetch_sub(q->total, cost(b->len));
    INVARIANT(q->head || (!q->fresh && !q->undecided && !q->encrypted && !q->plain && !atomic_load(&q->bytes)));
    cond_broadcast(&q->less);
    cond_broadcast(&q->turn);
}

static void smooth(uint64_t *mean, uint64_t value)
{
    *mean = *mean ? *mean - *mean / 8 + value / 8 : value;
}

/* Packs a block, and writes it once those before it are written. Releases the lock meanwhile. */
static void do_block(struct behind *q, struct seg_packer **p, struct behind_block *b)
{
    lock_assert_held(&q->lock);
    struct seg_packed packed;
    int rc = q->loss.rc;
    lock_release(&q->lock);
    uint64_t began = clock_ns();
    if (!rc)
        rc = pack_it(q, p, b, &packed);
    uint64_t took = clock_ns() - began;
    lock_take(&q->lock);
    while (q->head != b)
        cond_wait(&q->turn, &q->lock);
    smooth(&q->pack_ns, took);
    rc = q->loss.rc ? q->loss.rc : rc;
    lock_release(&q->lock);
    began = clock_ns();
    if (!rc)
        rc = put(q, p, b, &packed);
    took = clock_ns() - began;
    lock_take(&q->lock);
    smooth(&q->put_ns, took);
    drop_first(q, rc);
}

static int start_thread(struct behind *q);

static void *behind_thread(void *arg)
{
    struct behind *q = arg;
    struct seg_packer *p = NULL;
    struct behind_block *b;
    lock_take(&q->lock);
    while ((b = next_block(q))) {
        if ((q->fresh || q->plans) && !q->idle && is_heavy(q) && q->n_threads < q->most_threads)
            (void)start_thread(q); /* if that fails, those that run carry on */
        do_block(q, &p, b);
        lock_release(&q->lock);
        free(b->make);
        free(b->data);
        free(b);
        lock_take(&q->lock);
    }
    lock_release(&q->lock);
    seg_packer_free(p);
    return NULL;
}

/* ---- life ---- */

static int start_thread(struct behind *q)
{
    lock_assert_held(&q->lock);
    int rc = thread_start(&q->threads[q->n_threads], "behind", behind_thread, q);
    q->n_threads += !rc;
    return rc;
}

static void destroy(struct behind *q)
{
    INVARIANT(!q->head);
    secret_free(q->secret, sizeof(*q->secret));
    cond_fini(&q->work);
    cond_fini(&q->turn);
    cond_fini(&q->less);
    lock_fini(&q->lock);
    free(q);
}

struct behind *behind_new(uint64_t room, _Atomic uint64_t *total, const struct behind_ops *ops, void *arg)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct behind *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    *q = (struct behind){.ops = ops, .arg = arg, .room = room, .total = total};
    q->most_threads = cores < 1 ? 1 : cores < MOST_THREADS ? (unsigned)cores : MOST_THREADS;
    q->tail = &q->head;
    lock_init(&q->lock, LOCK_BEHIND);
    cond_init(&q->work);
    cond_init(&q->turn);
    cond_init(&q->less);
    q->secret = secret_new(sizeof(*q->secret));
    lock_take(&q->lock);
    int rc = q->secret ? start_thread(q) : -ENOMEM;
    lock_release(&q->lock);
    if (!rc)
        return q;
    destroy(q);
    return NULL;
}

void behind_free(struct behind *q)
{
    if (!q)
        return;
    lock_take(&q->lock);
    q->stop = true;
    cond_broadcast(&q->work);
    /* n_threads may still grow: what starts a thread is one that has not been joined yet. */
    for (unsigned i = 0; i < q->n_threads; i++) {
        lock_release(&q->lock);
        pthread_join(q->threads[i], NULL);
        lock_take(&q->lock);
    }
    lock_release(&q->lock);
    destroy(q);
}

/* ---- the drive's side ---- */

static bool secret_fits(const struct behind *q, const struct tape_crypt *crypt)
{
    lock_assert_held(&q->lock);
    const struct secret *s = q->secret;
    return !q->encrypted || (s->kad_len == crypt->kad_len && secret_equal(s->key, crypt->key, sizeof(s->key)) &&
                             !memcmp(s->kad, crypt->kad, crypt->kad_len));
}

static void take(struct behind *q, struct behind_block *b, const struct tape_crypt *crypt)
{
    if (b->encrypt && !q->encrypted++) {
        secret_copy(q->secret->key, crypt->key, sizeof(q->secret->key));
        q->secret->kad_len = crypt->kad_len;
        memcpy(q->secret->kad, crypt->kad, crypt->kad_len);
    }
    q->plain += !b->filemarks && !b->encrypt;
    INVARIANT(!q->head || q->head->object < b->object);
    *q->tail = b;
    q->tail = &b->next;
    q->pushed++;
    if (!q->fresh)
        q->fresh = b;
    if (q->plans && !q->unplanned)
        q->unplanned = b;
    if (q->plans && !q->undecided)
        q->undecided = b;
    atomic_fetch_add(&q->bytes, cost(b->len));
    atomic_fetch_add(q->total, cost(b->len));
}

/* A block larger than the whole room is let in when the queue is empty. */
static bool has_room(const struct behind *q, uint32_t len)
{
    lock_assert_held(&q->lock);
    return !q->head || atomic_load(&q->bytes) + cost(len) <= q->room;
}

/* Takes a copy of it, if that needs no waiting. */
static enum behind_push push(struct behind *q, const struct behind_block *what, const struct tape_crypt *crypt)
{
    struct behind_block *b = malloc(sizeof(*b));
    if (!b)
        return BEHIND_DRAIN;
    *b = *what;
    lock_take(&q->lock);
    /* What is planned together is of one key, or of none. */
    bool mixed = q->plans && !b->filemarks && (b->encrypt ? q->plain : q->encrypted);
    enum behind_push r = q->loss.rc || mixed || (b->encrypt && !secret_fits(q, crypt)) ? BEHIND_DRAIN
                         : has_room(q, b->len)                                         ? BEHIND_TAKEN
                                                                                       : BEHIND_FULL;
    bool wake = r == BEHIND_TAKEN && q->idle && (q->idle == q->n_threads || is_heavy(q));
    if (r == BEHIND_TAKEN)
        take(q, b, crypt);
    lock_release(&q->lock);
    if (wake)
        cond_signal(&q->work);
    if (r != BEHIND_TAKEN)
        free(b);
    return r;
}

enum behind_push behind_push(struct behind *q, void *data, uint32_t len, uint64_t object, bool compress,
                             const struct tape_crypt *crypt)
{
    const struct behind_block b = {
        .data = data, .object = object, .len = len, .compress = compress, .encrypt = crypt && crypt->encrypt};
    return push(q, &b, crypt);
}

enum behind_push behind_push_filemarks(struct behind *q, uint64_t object, uint32_t count)
{
    const struct behind_block b = {.object = object, .filemarks = count};
    return push(q, &b, NULL);
}

static void wait_less(struct behind *q)
{
    (void)cond_wait_ms(&q->less, &q->lock, WAIT_MS);
}

void behind_wait_room(struct behind *q, uint32_t len)
{
    lock_take(&q->lock);
    if (!has_room(q, len) && !q->loss.rc)
        wait_less(q);
    lock_release(&q->lock);
}

void behind_drain(struct behind *q, struct behind_loss *loss)
{
    lock_take(&q->lock);
    q->draining++;
    cond_broadcast(&q->work);
    /* Its last block may be written while a thread still is in the planner. */
    while (q->head || q->planning || q->helping)
        wait_less(q);
    q->draining--;
    *loss = q->loss;
    q->loss = (struct behind_loss){0};
    lock_release(&q->lock);
}

void behind_set_planning(struct behind *q, bool planning)
{
    lock_take(&q->lock);
    INVARIANT(!q->head);
    q->plans = planning && q->ops->plan;
    lock_release(&q->lock);
}

uint64_t behind_bytes(const struct behind *q)
{
    return q ? atomic_load(&q->bytes) : 0;
}
