/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offsite.c: see offsite.h. */
#include "vtl/cartridge/offsite.h"

#include "base/clock.h"

#define WANTED_MS 5000 /* who waits says so at least each second */

void offsite_init(struct offsite *o)
{
    *o = (struct offsite){.n_marks = 0};
    lock_init(&o->lock, LOCK_OFFSITE);
}

void offsite_fini(struct offsite *o)
{
    lock_fini(&o->lock);
}

uint64_t offsite_now(struct offsite *o)
{
    uint64_t now = clock_ms(), was = atomic_load(&o->newest_ms);
    while (was < now && !atomic_compare_exchange_weak(&o->newest_ms, &was, now))
        ;
    return now;
}

/* Within the same millisecond nobody knows which was first. */
bool offsite_has(const struct offsite *o, uint64_t accepted_ms)
{
    return accepted_ms < atomic_load(&o->before_ms);
}

void offsite_want(struct offsite *o)
{
    uint64_t now = clock_ms();
    if (!offsite_is_wanted(o, now))
        atomic_store(&o->since_ms, now);
    atomic_store(&o->wanted_ms, now);
}

bool offsite_is_wanted(const struct offsite *o, uint64_t now_ms)
{
    uint64_t at = atomic_load(&o->wanted_ms);
    return at && now_ms < at + WANTED_MS;
}

void offsite_take(struct offsite *o, uint64_t bytes, uint64_t now_ms)
{
    lock_take(&o->lock);
    if (!o->busy_ms)
        o->busy_ms = now_ms;
    atomic_fetch_add(&o->taken, bytes);
    lock_release(&o->lock);
}

uint64_t offsite_waiting(const struct offsite *o)
{
    uint64_t gone = atomic_load(&o->gone); /* first: it never passes what is taken */
    return atomic_load(&o->taken) - gone;
}

void offsite_ask(struct offsite *o, uint64_t now_ms)
{
    lock_take(&o->lock);
    o->marks[o->n_marks++ % OFFSITE_MARKS] = (struct offsite_mark){now_ms, atomic_load(&o->taken)};
    lock_release(&o->lock);
}

/* What had been taken at the last question that began no later than that. */
static uint64_t taken_before(const struct offsite *o, uint64_t before_ms)
{
    uint64_t most = 0;
    size_t n = o->n_marks < OFFSITE_MARKS ? o->n_marks : OFFSITE_MARKS;
    lock_assert_held(&o->lock);
    for (size_t i = 0; i < n; i++)
        if (o->marks[i].at_ms <= before_ms && o->marks[i].taken > most)
            most = o->marks[i].taken;
    return most;
}

/* More is gone than before. How fast is measured only while the store is asked to hurry. */
static void count_gone(struct offsite *o, uint64_t gone, uint64_t now_ms)
{
    lock_assert_held(&o->lock);
    uint64_t had = atomic_load(&o->gone);
    if (gone <= had)
        return;
    uint64_t since = atomic_load(&o->since_ms), begun = o->busy_ms > since ? o->busy_ms : since;
    uint64_t rate = (gone - had) * 1000 / (now_ms > begun ? now_ms - begun : 1), was = atomic_load(&o->rate);
    if (offsite_is_wanted(o, now_ms))
        atomic_store(&o->rate, was ? (was + rate) / 2 : rate);
    atomic_store(&o->gone, gone);
    o->busy_ms = gone < atomic_load(&o->taken) ? now_ms : 0;
}

void offsite_answer(struct offsite *o, const struct obj_offsite *answer, const struct errtext *err, uint64_t now_ms)
{
    lock_take(&o->lock);
    o->trouble = err ? *err : (struct errtext){""};
    if (!err) {
        o->last = *answer;
        count_gone(o, taken_before(o, answer->before_ms), now_ms);
        if (answer->before_ms > atomic_load(&o->before_ms))
            atomic_store(&o->before_ms, answer->before_ms);
    }
    lock_release(&o->lock);
}

void offsite_hurried(struct offsite *o, const struct errtext *said)
{
    lock_take(&o->lock);
    o->hurried = *said;
    lock_release(&o->lock);
}

void offsite_last(struct offsite *o, struct obj_offsite *answer, struct errtext *trouble)
{
    lock_take(&o->lock);
    *answer = o->last;
    *trouble = o->trouble.text[0] ? o->trouble : o->hurried;
    lock_release(&o->lock);
}

void offsite_why(struct offsite *o, struct errtext *why)
{
    lock_take(&o->lock);
    const char *what = o->trouble.text[0] ? o->trouble.text : o->last.why[0] ? o->last.why : "it is being found out";
    errtext_set(why, 0, "%.350s%s%.200s", what, o->hurried.text[0] ? "; asked to hurry: " : "", o->hurried.text);
    lock_release(&o->lock);
}
