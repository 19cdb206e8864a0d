/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine.c: news of progress, clocks and the log. */
#include "vtl/cartridge/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/deadline.h"

void progress_init(struct progress *p)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->cond, &attr);
    pthread_condattr_destroy(&attr);
    p->count = 0;
}

void progress_fini(struct progress *p)
{
    pthread_cond_destroy(&p->cond);
    pthread_mutex_destroy(&p->lock);
}

uint64_t progress_now(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t n = p->count;
    pthread_mutex_unlock(&p->lock);
    return n;
}

void progress_post(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    p->count++;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->lock);
}

void progress_wait(struct progress *p, uint64_t seen, unsigned ms)
{
    struct timespec until = deadline_after(ms);
    pthread_mutex_lock(&p->lock);
    int rc = 0;
    while (p->count == seen && !rc)
        rc = pthread_cond_timedwait(&p->cond, &p->lock, &until);
    pthread_mutex_unlock(&p->lock);
}

uint64_t engine_dirty_limit(struct engine *e)
{
    uint64_t most = e->cfg->spool.max_dirty;
    /* Each transfer busy, and the next segment of each ready. */
    uint64_t least = 2 * (e->cfg->store.parallel + UINT64_C(1)) * e->cfg->spool.segment_size;
    return e->cfg->spool.durability == DURABILITY_REMOTE
               ? upload_backlog(upload_rate_get(&e->upload_rate, engine_ticks()), least, most)
               : most;
}

uint64_t engine_time(void)
{
    return (uint64_t)time(NULL);
}

uint64_t engine_ticks(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void engine_log(const char *fmt, ...)
{
    char line[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "s3vtl: %s\n", line);
}
