/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock.c: locks that check their order; see lock.h. */
#include "base/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define CANCEL_POLL_MS 50

/* ---- the checks ---- */

#ifdef LOCK_CHECKS

#define MOST_HELD 16

static _Thread_local struct {
    const void *lock[MOST_HELD];
    enum lock_rank rank[MOST_HELD];
    unsigned n;
} held;

static const char *name_of(enum lock_rank rank)
{
#define LOCK_NAME(rank_, name) name,
    static const char *const names[] = {LOCK_RANKS(LOCK_NAME)};
#undef LOCK_NAME
    return names[rank];
}

static _Noreturn void die(const char *what, enum lock_rank rank)
{
    (void)fprintf(stderr, "lock \"%s\" %s; held:", name_of(rank), what);
    for (unsigned i = 0; i < held.n; i++)
        (void)fprintf(stderr, " \"%s\"", name_of(held.rank[i]));
    (void)fprintf(stderr, "\n");
    abort();
}

static bool holds(const void *l)
{
    for (unsigned i = 0; i < held.n; i++)
        if (held.lock[i] == l)
            return true;
    return false;
}

static void check_order(enum lock_rank rank)
{
    for (unsigned i = 0; i < held.n; i++)
        if (held.rank[i] >= rank)
            die("is taken out of order", rank);
}

static void note_taken(const void *l, enum lock_rank rank)
{
    if (held.n == MOST_HELD)
        die("is one too many", rank);
    held.lock[held.n] = l;
    held.rank[held.n++] = rank;
}

static void note_released(const void *l, enum lock_rank rank)
{
    unsigned i = held.n;
    while (i && held.lock[i - 1] != l)
        i--;
    if (!i)
        die("is released, but not held", rank);
    for (held.n--; i <= held.n; i++) {
        held.lock[i - 1] = held.lock[i];
        held.rank[i - 1] = held.rank[i];
    }
}

void lock_assert_held(const struct lock *l)
{
    if (!holds(l))
        die("must be held", l->rank);
}

void lock_assert_none(void)
{
    if (held.n)
        die("must not be held", held.rank[held.n - 1]);
}

#else

static inline void check_order(enum lock_rank rank)
{
    (void)rank;
}

static inline void note_taken(const void *l, enum lock_rank rank)
{
    (void)l;
    (void)rank;
}

static inline void note_released(const void *l, enum lock_rank rank)
{
    (void)l;
    (void)rank;
}

#endif

/* ---- mutexes ---- */

void lock_init(struct lock *l, enum lock_rank rank)
{
    pthread_mutex_init(&l->mutex, NULL);
    l->rank = rank;
}

void lock_fini(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

void lock_take(struct lock *l)
{
    check_order(l->rank);
    pthread_mutex_lock(&l->mutex);
    note_taken(l, l->rank);
}

void lock_release(struct lock *l)
{
    note_released(l, l->rank);
    pthread_mutex_unlock(&l->mutex);
}

bool lock_try(struct lock *l)
{
    if (pthread_mutex_trylock(&l->mutex))
        return false;
    note_taken(l, l->rank);
    return true;
}

/* Waits ms at most. */
static bool take_soon(struct lock *l, unsigned ms)
{
#ifdef __SANITIZE_THREAD__ /* knows pthread_mutex_timedlock only, which goes by the host's time */
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return !pthread_mutex_timedlock(&l->mutex, &t);
#else
    struct timespec t = clock_after(ms);
    return !pthread_mutex_clocklock(&l->mutex, CLOCK_MONOTONIC, &t);
#endif
}

int lock_take_until(struct lock *l, uint64_t until, const atomic_bool *cancel)
{
    if (lock_try(l))
        return 0;
    check_order(l->rank);
    for (;;) {
        uint64_t now = clock_ms(), left = until > now ? until - now : 0;
        if (take_soon(l, left < CANCEL_POLL_MS ? (unsigned)left : CANCEL_POLL_MS)) {
            note_taken(l, l->rank);
            return 0;
        }
        if (cancel && atomic_load(cancel))
            return -ECANCELED;
        if (left <= CANCEL_POLL_MS)
            return -ETIMEDOUT;
    }
}

/* ---- read-write locks ---- */

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
    pthread_rwlock_init(&l->rwlock, NULL);
    l->rank = rank;
}

void rwlock_fini(struct rwlock *l)
{
    pthread_rwlock_destroy(&l->rwlock);
}

void rwlock_read(struct rwlock *l)
{
    check_order(l->rank);
    pthread_rwlock_rdlock(&l->rwlock);
    note_taken(l, l->rank);
}

bool rwlock_try_read(struct rwlock *l)
{
    bool taken = !pthread_rwlock_tryrdlock(&l->rwlock);
    if (taken)
        note_taken(l, l->rank);
    return taken;
}

void rwlock_write(struct rwlock *l)
{
    check_order(l->rank);
    pthread_rwlock_wrlock(&l->rwlock);
    note_taken(l, l->rank);
}

void rwlock_release(struct rwlock *l)
{
    note_released(l, l->rank);
    pthread_rwlock_unlock(&l->rwlock);
}

/* ---- condition variables ---- */

void cond_init(struct cond *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->cond, &attr);
    pthread_condattr_destroy(&attr);
}

void cond_fini(struct cond *c)
{
    pthread_cond_destroy(&c->cond);
}

void cond_signal(struct cond *c)
{
    pthread_cond_signal(&c->cond);
}

void cond_broadcast(struct cond *c)
{
    pthread_cond_broadcast(&c->cond);
}

void cond_wait(struct cond *c, struct lock *l)
{
    lock_assert_held(l);
    note_released(l, l->rank);
    pthread_cond_wait(&c->cond, &l->mutex);
    note_taken(l, l->rank);
}

bool cond_wait_until(struct cond *c, struct lock *l, const struct timespec *until)
{
    lock_assert_held(l);
    note_released(l, l->rank);
    int rc = pthread_cond_timedwait(&c->cond, &l->mutex, until);
    note_taken(l, l->rank);
    return rc != ETIMEDOUT;
}

bool cond_wait_ms(struct cond *c, struct lock *l, unsigned ms)
{
    struct timespec until = clock_after(ms);
    return cond_wait_until(c, l, &until);
}
