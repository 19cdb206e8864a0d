/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_counters.c: see s3_counters.h. */
#include "s3backend/s3_counters.h"

static void add(_Atomic uint64_t *to, uint64_t n)
{
    if (n)
        atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

void s3_counters_add(struct s3_counters *c, const struct s3_ended *e)
{
    struct s3_request_counters *r = &c->of[e->request];
    add(&r->requests, 1);
    add(&r->ns, e->ns);
    add(&r->sent, e->sent);
    add(&r->received, e->received);
    add(&r->failures[e->failure], e->failed);
}

void s3_counters_get(struct s3_counters *c, struct obj_stats *out)
{
    for (unsigned i = 0; i < OBJ_REQUESTS; i++) {
        const struct s3_request_counters *r = &c->of[i];
        out->of[i] = (struct obj_request_stats){
            .requests = get(&r->requests), .ns = get(&r->ns), .sent = get(&r->sent), .received = get(&r->received)};
        for (unsigned f = 0; f < OBJ_FAILURES; f++)
            out->of[i].failures[f] = get(&r->failures[f]);
    }
}
