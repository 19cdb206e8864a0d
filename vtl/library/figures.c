/* SPDX-License-Identifier: GPL-2.0-or-later */
/* figures.c: the operation "figures": requests to the store, spool and cache, for monitoring. */
#include "base/jsontext.h"
#include "vtl/library/library_private.h"

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *failures_json(const struct obj_request_stats *r)
{
    json_t *j = json_object();
    for (unsigned f = 0; f < OBJ_FAILURES; f++)
        json_object_set_new(j, obj_failure_name((enum obj_failure)f), integer(r->failures[f]));
    return j;
}

static json_t *requests_json(struct objstore *store)
{
    struct obj_stats stats;
    json_t *list = json_array();
    objstore_stats(store, &stats);
    for (unsigned i = 0; i < OBJ_REQUESTS; i++) {
        const struct obj_request_stats *r = &stats.of[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "request",
                                              obj_request_name((enum obj_request)i), "requests", integer(r->requests),
                                              "microseconds", integer(r->ns / 1000), "sent_bytes", integer(r->sent),
                                              "received_bytes", integer(r->received), "failures", failures_json(r)));
    }
    return list;
}

json_t *library_figures(struct library *lib, const json_t *request, struct errtext *err)
{
    struct obj_health health;
    (void)request;
    (void)err;
    objstore_health(lib->eng.store, &health);
    return json_pack("{s:s, s:s, s:b, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "name",
                     lib->cfg->library.name, "store_type", lib->cfg->store.type, "trouble", health.text[0] != 0,
                     "trouble_text", health.text[0] ? json_text(health.text) : json_null(), "failing_cartridges",
                     (int)atomic_load(&lib->eng.failing), "trouble_ms", integer(health.text[0] ? health.since_ms : 0),
                     "requests", requests_json(lib->eng.store), "dirty_bytes",
                     integer(atomic_load(&lib->eng.dirty_bytes)), "dirty_limit", integer(engine_dirty_limit(&lib->eng)),
                     "max_dirty", integer(atomic_load(&lib->eng.live.max_dirty)), "cache_bytes",
                     integer(spool_cache_bytes(lib->eng.spool)), "cache_size",
                     integer(atomic_load(&lib->eng.live.cache_size)), "reloads", (int)atomic_load(&lib->n_reloads));
}
