/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_rate.c: see s3_rate.h. */
#include "s3backend/s3_rate.h"

#include "base/clock.h"

#define LOOK_MS 1000       /* how often the time of day is looked at */
#define BURST_PER_SECOND 4 /* a bucket holds this part of a second */
#define NS 1000000000ull

void s3_rate_init(struct s3_rate *r, const struct obj_rates *rates)
{
    *r = (struct s3_rate){.paid_ns = clock_ns()};
    lock_init(&r->lock, LOCK_S3_RATE);
    s3_rate_set(r, rates);
}

void s3_rate_fini(struct s3_rate *r)
{
    lock_fini(&r->lock);
}

/* Over midnight an hour of the morning is of the day before. */
static bool holds(const struct obj_rate *one, const struct tm *t)
{
    unsigned minute = (unsigned)(t->tm_hour * 60 + t->tm_min), day = (unsigned)t->tm_wday;
    bool over_midnight = one->to <= one->from;
    bool in = over_midnight ? minute >= one->from || minute < one->to : minute >= one->from && minute < one->to;
    if (over_midnight && minute < one->to)
        day = (day + 6) % 7;
    return in && one->days >> day & 1;
}

bool s3_rate_holds(const struct obj_rates *rates, const struct tm *t, uint64_t *bytes)
{
    for (unsigned i = 0; i < rates->n; i++)
        if (holds(&rates->of[i], t)) {
            *bytes = rates->of[i].bytes;
            return true;
        }
    *bytes = 0;
    return false;
}

uint64_t s3_rate_at(const struct obj_rates *rates, const struct tm *t)
{
    uint64_t bytes;
    (void)s3_rate_holds(rates, t, &bytes);
    return bytes;
}

static void look_at_the_time(struct s3_rate *r, uint64_t now_ms)
{
    lock_assert_held(&r->lock);
    time_t now = time(NULL);
    struct tm t;
    if (r->looked_ms && now_ms - r->looked_ms < LOOK_MS)
        return;
    r->looked_ms = now_ms;
    r->now = localtime_r(&now, &t) ? s3_rate_at(&r->rates, &t) : 0;
}

/* Brings the balance up to now. */
static void pay(struct s3_rate *r)
{
    lock_assert_held(&r->lock);
    uint64_t now = clock_ns(), gone = now - r->paid_ns;
    look_at_the_time(r, now / 1000000);
    int64_t most = (int64_t)(r->now / BURST_PER_SECOND);
    /* Long enough to fill any bucket, and short enough for the product. */
    uint64_t counted = gone < 600 * NS ? gone : 600 * NS;
    uint64_t got = (uint64_t)((double)r->now * (double)counted / (double)NS);
    if (!got && r->now)
        return; /* too little time to be a byte: it goes on counting */
    r->paid_ns = now;
    r->balance += (int64_t)got;
    if (!r->now || r->balance > most)
        r->balance = most;
}

void s3_rate_set(struct s3_rate *r, const struct obj_rates *rates)
{
    lock_take(&r->lock);
    r->rates = rates ? *rates : (struct obj_rates){.n = 0};
    r->looked_ms = 0;
    r->balance = 0; /* a debt at an old rate is none at the new one */
    r->paid_ns = clock_ns();
    atomic_store(&r->on, r->rates.n > 0);
    lock_release(&r->lock);
}

bool s3_rate_may(struct s3_rate *r)
{
    if (!atomic_load(&r->on))
        return true;
    lock_take(&r->lock);
    pay(r);
    bool may = !r->now || r->balance > 0;
    lock_release(&r->lock);
    return may;
}

void s3_rate_charge(struct s3_rate *r, size_t bytes)
{
    if (!atomic_load(&r->on))
        return;
    lock_take(&r->lock);
    pay(r);
    if (r->now)
        r->balance -= (int64_t)bytes;
    lock_release(&r->lock);
}

uint64_t s3_rate_now(struct s3_rate *r)
{
    if (!atomic_load(&r->on))
        return 0;
    lock_take(&r->lock);
    pay(r);
    uint64_t now = r->now;
    lock_release(&r->lock);
    return now;
}
