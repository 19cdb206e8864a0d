/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine.c: news of progress, and how much may wait for the store. */
#include "vtl/cartridge/engine.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/event.h"

void progress_init(struct progress *p)
{
    lock_init(&p->lock, LOCK_PROGRESS);
    cond_init(&p->cond);
    p->count = 0;
}

void progress_fini(struct progress *p)
{
    cond_fini(&p->cond);
    lock_fini(&p->lock);
}

uint64_t progress_now(struct progress *p)
{
    lock_take(&p->lock);
    uint64_t n = p->count;
    lock_release(&p->lock);
    return n;
}

void progress_post(struct progress *p)
{
    lock_take(&p->lock);
    p->count++;
    cond_broadcast(&p->cond);
    lock_release(&p->lock);
}

void progress_wait(struct progress *p, uint64_t seen, unsigned ms)
{
    struct timespec until = clock_after(ms);
    lock_take(&p->lock);
    while (p->count == seen && cond_wait_until(&p->cond, &p->lock, &until))
        ;
    lock_release(&p->lock);
}

bool engine_waits_for(struct engine *e, enum durability d)
{
    return atomic_load(&e->live.durability) >= (int)d;
}

uint64_t engine_dirty(struct engine *e)
{
    uint64_t n = atomic_load(&e->dirty_bytes) + atomic_load(&e->waiting_bytes);
    return engine_waits_for(e, DURABILITY_OFFSITE) ? n + offsite_waiting(&e->offsite) : n;
}

uint64_t engine_spool_left(struct engine *e)
{
    uint64_t most = atomic_load(&e->live.max_dirty), dirty = atomic_load(&e->dirty_bytes);
    return dirty < most ? most - dirty : 0;
}

/* What of that becomes safe in a second. */
static uint64_t safe_rate(struct engine *e)
{
    uint64_t up = upload_rate_get(&e->upload_rate, clock_ms()), on = atomic_load(&e->offsite.rate);
    return engine_waits_for(e, DURABILITY_OFFSITE) && on < up ? on : up;
}

uint64_t engine_dirty_limit(struct engine *e)
{
    uint64_t most = atomic_load(&e->live.max_dirty);
    /* Each transfer busy, and the next segment of each ready. */
    uint64_t least = 2 * (atomic_load(&e->live.parallel) + UINT64_C(1)) * e->cfg->spool.segment_size;
    if (!engine_waits_for(e, DURABILITY_REMOTE))
        return most;
    /* What was measured yesterday evening does not hold in the hours of a limit. */
    uint64_t rate = safe_rate(e), limit = objstore_upload_limit(e->store);
    return upload_backlog(limit && limit < rate ? limit : rate, least, most);
}

void engine_failing(struct engine *e, bool begins)
{
    if (begins) {
        atomic_fetch_add(&e->failing, 1);
        atomic_store(&e->unwell, true);
    } else {
        atomic_fetch_sub(&e->failing, 1);
    }
}

void engine_took_head(struct engine *e)
{
    struct obj_health health;
    objstore_health(e->store, &health);
    if (!atomic_load(&e->failing) && atomic_exchange(&e->unwell, false) && !health.tells)
        log_event(EVENT_STORE_UP, "the store takes data again");
}

uint64_t engine_upload_rate(struct engine *e)
{
    struct obj_health health;
    objstore_health(e->store, &health);
    return health.text[0] || atomic_load(&e->failing) ? 0 : upload_rate_get(&e->upload_rate, clock_ms());
}

void engine_set_host(struct engine *e, const char *name)
{
    size_t n = strnlen(name, sizeof(e->host) - 1);
    for (size_t i = 0; i < n; i++)
        e->host[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
    e->host[n] = '\0';
}

uint64_t engine_time(void)
{
    return (uint64_t)time(NULL);
}

void engine_begin_time(struct engine *e)
{
    e->clock = (int64_t)engine_time() - clock_boot_s();
}

/* 0: not known yet. */
static uint64_t second_clock(struct engine *e)
{
    uint64_t now;
    return objstore_time(e->store, &now) == -ENOTSUP ? (uint64_t)(e->clock + clock_boot_s()) : now;
}

uint64_t engine_earliest_time(struct engine *e)
{
    uint64_t ours = engine_time(), other = second_clock(e);
    return other < ours ? other : ours;
}

uint64_t engine_latest_time(struct engine *e)
{
    uint64_t ours = engine_time(), other = second_clock(e);
    return other > ours ? other : ours;
}

void engine_poke(struct engine *e, struct cartridge *c)
{
    if (e->workers)
        e->poke(e->workers, c);
}
