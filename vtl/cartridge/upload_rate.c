/* SPDX-License-Identifier: GPL-2.0-or-later */
/* upload_rate.c: see upload_rate.h. */
#include "vtl/cartridge/upload_rate.h"

#include "base/lock.h"

#define WINDOW_MS 60000 /* of uploading: then what is older counts half */

void upload_rate_init(struct upload_rate *r)
{
    *r = (struct upload_rate){0};
    lock_init(&r->lock, LOCK_UPLOAD_RATE);
}

void upload_rate_fini(struct upload_rate *r)
{
    lock_fini(&r->lock);
}

/* The upload has this many bytes now. */
static void count(struct upload_rate *r, struct upload *u, uint64_t bytes)
{
    lock_assert_held(&r->lock);
    if (bytes >= u->counted)
        r->bytes += bytes - u->counted;
    else /* it begins again, or failed: some of it may have been halved away since */
        r->bytes -= u->counted - bytes < r->bytes ? u->counted - bytes : r->bytes;
    u->counted = bytes;
}

static void account(struct upload_rate *r, uint64_t now)
{
    lock_assert_held(&r->lock);
    if (r->running && now > r->since)
        r->busy_ms += now - r->since;
    r->since = now;
    for (struct upload *u = r->running; u; u = u->next)
        count(r, u, atomic_load(&u->sent));
    while (r->busy_ms > WINDOW_MS) {
        r->busy_ms /= 2;
        r->bytes /= 2;
    }
}

void upload_rate_begin(struct upload_rate *r, struct upload *u, uint64_t now)
{
    lock_take(&r->lock);
    account(r, now);
    u->next = r->running;
    r->running = u;
    lock_release(&r->lock);
}

void upload_rate_end(struct upload_rate *r, struct upload *u, uint64_t bytes, uint64_t now)
{
    lock_take(&r->lock);
    atomic_store(&u->sent, bytes);
    account(r, now);
    struct upload **p = &r->running;
    while (*p != u)
        p = &(*p)->next;
    *p = u->next;
    lock_release(&r->lock);
}

uint64_t upload_rate_get(struct upload_rate *r, uint64_t now)
{
    lock_take(&r->lock);
    account(r, now);
    uint64_t rate = r->bytes * 1000 / (r->busy_ms ? r->busy_ms : 1);
    lock_release(&r->lock);
    return rate;
}

uint64_t upload_rate_sent(struct upload_rate *r)
{
    uint64_t n = 0;
    lock_take(&r->lock);
    for (const struct upload *u = r->running; u; u = u->next)
        n += atomic_load(&u->sent);
    lock_release(&r->lock);
    return n;
}

uint64_t upload_backlog(uint64_t rate, uint64_t least, uint64_t most)
{
    uint64_t n = rate > most / FLUSH_GOAL_S ? most : rate * FLUSH_GOAL_S;
    n = n < least ? least : n;
    return n < most ? n : most;
}
