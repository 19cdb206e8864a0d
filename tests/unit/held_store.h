/* SPDX-License-Identifier: GPL-2.0-or-later */
/* held_store.h: a store that keeps segments waiting until it is told to take them, for tests on library_rig.h. */
#ifndef S3VTL_TEST_HELD_STORE_H
#define S3VTL_TEST_HELD_STORE_H

#include "tests/unit/library_rig.h"

#include <pthread.h>

static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t held_moved = PTHREAD_COND_INITIALIZER;
static bool held;          /* PUTs of segments wait */
static unsigned n_waiting; /* so many do */
static const struct objstore_ops *unheld_ops;

static inline int put_held(struct objstore *s, const char *key, const struct obj_source *src,
                           const struct obj_call *call_, struct errtext *err)
{
    (void)pthread_mutex_lock(&held_mutex);
    bool waits = held && strstr(key, "/seg/");
    n_waiting += waits;
    (void)pthread_cond_broadcast(&held_moved);
    while (waits && held)
        (void)pthread_cond_wait(&held_moved, &held_mutex);
    n_waiting -= waits;
    (void)pthread_mutex_unlock(&held_mutex);
    return unheld_ops->put(s, key, src, call_, err);
}

static inline void hold_segments(struct library *lib)
{
    struct objstore_ops ops = *lib->eng.store->ops;
    (void)pthread_mutex_lock(&held_mutex);
    held = true;
    (void)pthread_mutex_unlock(&held_mutex);
    ops.put = put_held;
    exchange_ops(lib, &ops, &unheld_ops);
}

/* Until one waits. */
static inline void await_held(void)
{
    (void)pthread_mutex_lock(&held_mutex);
    while (!n_waiting)
        (void)pthread_cond_wait(&held_moved, &held_mutex);
    (void)pthread_mutex_unlock(&held_mutex);
}

static inline void let_segments_go(void)
{
    (void)pthread_mutex_lock(&held_mutex);
    held = false;
    (void)pthread_cond_broadcast(&held_moved);
    (void)pthread_mutex_unlock(&held_mutex);
}

#endif
