/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quota.c: see quota.h. */
#include "vtl/cartridge/quota.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* PBS writes the catalogs of a set behind early warning, and of all its tapes at the begin of the next: 2 %, at least 1 GiB
 * and at most 16 GiB, but of a small quota no more than an eighth. */
uint64_t quota_margin(uint64_t bytes)
{
    uint64_t m = bytes / 50;
    if (m < UINT64_C(1) << 30)
        m = UINT64_C(1) << 30;
    if (m > UINT64_C(16) << 30)
        m = UINT64_C(16) << 30;
    return m < bytes / 8 ? m : bytes / 8;
}

void quota_init(struct quota *q, const struct vtl_config *c)
{
    lock_init(&q->lock, LOCK_QUOTA);
    quota_take(q, c);
}

void quota_fini(struct quota *q)
{
    lock_fini(&q->lock);
}

/* A rule as it was counted, if it was there. */
static struct quota_rule rule_of(const struct quota *q, unsigned n, const struct config_quota *what)
{
    struct quota_rule r = {.what = *what};
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(q->rules[i].what.pattern, what->pattern)) {
            r = q->rules[i];
            r.what = *what;
        }
    return r;
}

void quota_take(struct quota *q, const struct vtl_config *c)
{
    struct config_quota what[CONFIG_MAX_QUOTAS];
    struct quota_rule rules[CONFIG_MAX_QUOTAS];
    int n = config_quotas(c->quota.library, c->quota.pools, what);
    lock_take(&q->lock);
    for (int i = 0; i < n; i++)
        rules[i] = rule_of(q, atomic_load(&q->n), &what[i]);
    if (n > 0)
        memcpy(q->rules, rules, (size_t)n * sizeof(rules[0]));
    atomic_store(&q->n, n > 0 ? (unsigned)n : 0);
    atomic_fetch_add(&q->taken, 1);
    lock_release(&q->lock);
}

uint32_t quota_rules(struct quota *q, const char *barcode, _Atomic uint64_t *remembered)
{
    uint64_t was = atomic_load(remembered);
    if (was >> 32 == atomic_load(&q->taken))
        return (uint32_t)was;
    uint32_t rules = 0;
    lock_take(&q->lock);
    uint64_t taken = atomic_load(&q->taken);
    for (unsigned i = 0; i < atomic_load(&q->n); i++)
        rules |= fnmatch(q->rules[i].what.pattern, barcode, 0) ? 0 : 1u << i;
    lock_release(&q->lock);
    atomic_store(remembered, taken << 32 | rules);
    return rules;
}

static uint64_t left_of(const struct quota_rule *r)
{
    int64_t used = (int64_t)r->used + r->fresh, limit = (int64_t)r->what.bytes;
    return used < limit ? (uint64_t)(limit - (used > 0 ? used : 0)) : 0;
}

struct quota_room quota_left(struct quota *q, uint32_t rules)
{
    struct quota_room room = {UINT64_MAX, 0};
    if (!rules)
        return room;
    lock_take(&q->lock);
    for (unsigned i = 0; i < atomic_load(&q->n); i++) {
        const struct quota_rule *r = &q->rules[i];
        uint64_t left = left_of(r), margin = quota_margin(r->what.bytes);
        if (!(rules >> i & 1))
            continue;
        room.margin = left <= margin && margin > room.margin ? margin : room.margin;
        room.left = left < room.left ? left : room.left;
    }
    lock_release(&q->lock);
    return room;
}

static void add(struct quota *q, uint32_t rules, int64_t bytes)
{
    lock_assert_held(&q->lock);
    for (unsigned i = 0; i < atomic_load(&q->n); i++)
        q->rules[i].fresh += rules >> i & 1 ? bytes : 0;
}

void quota_written(struct quota *q, uint32_t rules, uint64_t bytes)
{
    if (!rules)
        return;
    lock_take(&q->lock);
    add(q, rules, (int64_t)bytes);
    lock_release(&q->lock);
}

void quota_cut_begin(struct quota *q, uint32_t rules, uint64_t bytes)
{
    lock_take(&q->lock);
    add(q, rules, -(int64_t)bytes);
    q->cutting++;
    q->cuts++;
    lock_release(&q->lock);
}

void quota_cut_end(struct quota *q)
{
    lock_take(&q->lock);
    INVARIANT(q->cutting);
    q->cutting--;
    lock_release(&q->lock);
}

void quota_count_begin(struct quota *q, struct quota_count *c)
{
    *c = (struct quota_count){.n = 0};
    lock_take(&q->lock);
    c->n = atomic_load(&q->n);
    c->taken = atomic_load(&q->taken);
    c->cuts = q->cuts;
    c->cutting = q->cutting != 0;
    for (unsigned i = 0; i < c->n; i++)
        c->fresh[i] = q->rules[i].fresh;
    lock_release(&q->lock);
}

/* Was so little written since the count began that it may count twice? */
static bool is_exact(const struct quota_rule *r, int64_t fresh_then)
{
    return r->fresh - fresh_then <= (int64_t)(quota_margin(r->what.bytes) / 8);
}

bool quota_count_end(struct quota *q, const struct quota_count *c, bool exact)
{
    lock_take(&q->lock);
    bool good = !c->cutting && c->cuts == q->cuts && c->taken == atomic_load(&q->taken);
    for (unsigned i = 0; exact && good && i < c->n; i++)
        good = is_exact(&q->rules[i], c->fresh[i]);
    for (unsigned i = 0; good && i < c->n; i++) {
        q->rules[i].used = c->used[i];
        q->rules[i].fresh -= c->fresh[i];
        q->rules[i].counted = true;
    }
    lock_release(&q->lock);
    return good;
}

bool quota_get(struct quota *q, unsigned i, struct quota_rule *out)
{
    lock_take(&q->lock);
    bool is = i < atomic_load(&q->n);
    if (is)
        *out = q->rules[i];
    lock_release(&q->lock);
    return is;
}
