/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock.h: mutexes with a rank, read-write locks, and condition variables that go by clock.h.
 *
 * A thread takes a lock only if its rank is above the rank of every lock that the thread holds. So no two threads can
 * wait for each other. With LOCK_CHECKS (the asan and tsan builds) each violation, and each lock_assert_held that does
 * not hold, ends the process with the names of the locks. lock_try cannot wait, so it may be called in any order. */
#ifndef S3VTL_LOCK_H
#define S3VTL_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Every lock of the program in the order in which they may be taken: rank, and who owns it. ARCHITECTURE.md says what
 * each guards. */
#define LOCK_RANKS(X)                                                                                                  \
    X(LOCK_CONTROL, "control: clients")                                                                                \
    X(LOCK_RELOAD, "library: reload")                                                                                  \
    X(LOCK_TAPES, "library: tapes")                                                                                    \
    X(LOCK_MOVE, "library: move")                                                                                      \
    X(LOCK_DRIVE, "drive: operation")                                                                                  \
    X(LOCK_CARTRIDGE, "cartridge")                                                                                     \
    X(LOCK_DB, "state: database")                                                                                      \
    X(LOCK_CHUNKS, "state: index of chunks")                                                                           \
    X(LOCK_LIBRARY, "library: elements")                                                                               \
    X(LOCK_SPOOL, "state: spool")                                                                                      \
    X(LOCK_WORKERS, "workers: active cartridges")                                                                      \
    X(LOCK_FETCH, "workers: downloads")                                                                                \
    X(LOCK_IDLE, "workers: idle timer")                                                                                \
    X(LOCK_MANY, "many: results")                                                                                      \
    X(LOCK_SCRUB, "scrub: progress")                                                                                   \
    X(LOCK_VERIFY, "command: bytes verified")                                                                          \
    X(LOCK_SHOWN, "command: what is shown")                                                                            \
    X(LOCK_ESCROW, "command: age of the escrow")                                                                       \
    X(LOCK_NOTIFY, "command: messages")                                                                                \
    X(LOCK_BEHIND, "drive: blocks written behind")                                                                     \
    X(LOCK_CHUNK_NAMES, "dedup: chunks without an id")                                                                 \
    X(LOCK_CHUNK_HASH, "dedup: who can hash")                                                                          \
    X(LOCK_DRIVE_STATUS, "drive: status")                                                                              \
    X(LOCK_TARGET, "target: logical units")                                                                            \
    X(LOCK_EXECUTOR, "target: jobs")                                                                                   \
    X(LOCK_LUN, "scsi: nexuses")                                                                                       \
    X(LOCK_KEYS, "scsi: keys")                                                                                         \
    X(LOCK_UPLOAD_RATE, "cartridge: upload rate")                                                                      \
    X(LOCK_OFFSITE, "cartridge: what is off-site")                                                                     \
    X(LOCK_QUOTA, "cartridge: quotas")                                                                                 \
    X(LOCK_RETAIN, "cartridge: rules of retention")                                                                    \
    X(LOCK_STORE_HEALTH, "library: health of the store")                                                               \
    X(LOCK_BLANKS, "library: blank cartridges")                                                                        \
    X(LOCK_PROGRESS, "cartridge: progress")                                                                            \
    X(LOCK_GATE, "library: gate")                                                                                      \
    X(LOCK_S3_ADMIN, "s3: slab buffers")                                                                               \
    X(LOCK_S3_LANES, "s3: connections")                                                                                \
    X(LOCK_S3_HEALTH, "s3: health")                                                                                    \
    X(LOCK_S3_PACE, "s3: pace")                                                                                        \
    X(LOCK_S3_HTTP, "s3: transfers")                                                                                   \
    X(LOCK_S3_KEYS, "s3: keys and proxy")                                                                              \
    X(LOCK_S3_RATE, "s3: limits of rate")

enum lock_rank {
#define LOCK_RANK(rank, name) rank,
    LOCK_RANKS(LOCK_RANK)
#undef LOCK_RANK
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};
#define LOCK_INITIALIZER(rank_)                                                                                        \
    {                                                                                                                  \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_)                                                            \
    }

void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_take(struct lock *l);
void lock_release(struct lock *l);
/* Takes it only if nobody holds it. Never waits. */
bool lock_try(struct lock *l);
/* Waits until clock_ms() reaches until, or *cancel is true (looked at every 50 ms; NULL: never). 0, -ETIMEDOUT or
 * -ECANCELED. */
int lock_take_until(struct lock *l, uint64_t until, const atomic_bool *cancel);

struct rwlock {
    pthread_rwlock_t rwlock;
    enum lock_rank rank;
};
void rwlock_init(struct rwlock *l, enum lock_rank rank);
void rwlock_fini(struct rwlock *l);
void rwlock_read(struct rwlock *l);
bool rwlock_try_read(struct rwlock *l); /* false: it would have to wait */
void rwlock_write(struct rwlock *l);
void rwlock_release(struct rwlock *l);

struct cond {
    pthread_cond_t cond;
};
void cond_init(struct cond *c);
void cond_fini(struct cond *c);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
/* The lock is held, and held again afterwards. */
void cond_wait(struct cond *c, struct lock *l);
/* At most until then (clock_after) or for that long; false: the time is over. */
bool cond_wait_until(struct cond *c, struct lock *l, const struct timespec *until);
bool cond_wait_ms(struct cond *c, struct lock *l, unsigned ms);

#ifdef LOCK_CHECKS
/* This thread holds the lock (or ends the process). */
void lock_assert_held(const struct lock *l);
/* This thread holds no lock: it is about to wait for the store, or for another thread. */
void lock_assert_none(void);
#else
#define lock_assert_held(l) ((void)(l))
#define lock_assert_none() ((void)0)
#endif

#endif
