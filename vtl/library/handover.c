/* SPDX-License-Identifier: GPL-2.0-or-later */
/* handover.c: s3vtl handover: all of it into the store, and the library given up, so that another gateway may take it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "vtl/library/turn.h"

#define STEP_MS 1000
#define PATIENCE_MS 60000 /* without any progress */

static bool wants_offsite(const struct vtl_config *cfg)
{
    return cfg->spool.durability == DURABILITY_OFFSITE;
}

/* Bytes that are not where they are to be; 0 when all are, or *err. */
static bool is_safe(struct library *lib, bool offsite, uint64_t *left, struct errtext *err)
{
    const char *level = offsite ? "offsite" : "remote";
    json_t *request = json_pack("{s:s, s:b, s:i}", "op", "flush", level, 1, "timeout_ms", STEP_MS);
    json_t *r = library_call(lib, request, err);
    struct library_amounts amounts;
    bool safe = json_is_true(json_object_get(r, level));
    const char *waiting = json_string_value(json_object_get(r, "waiting"));
    if (r && !safe)
        errtext_set(err, -EAGAIN, "%s", waiting ? waiting : "the store takes its time");
    library_amounts(lib, &amounts);
    *left = amounts.all.local + amounts.all.unsent - amounts.sent + (offsite ? amounts.all.accepted : 0);
    json_decref(r);
    json_decref(request);
    return safe;
}

/* Without hosts: what is left is stored. Gives up when nothing moves. */
static int store_all(const struct vtl_config *cfg, struct errtext *err)
{
    struct library *lib = NULL;
    uint64_t moved = clock_ms(), left = 0, before = UINT64_MAX;
    int rc = library_open(cfg, LIBRARY_SERVE, &lib, err);
    if (rc)
        return rc;
    bool safe = false;
    while (!(safe = is_safe(lib, wants_offsite(cfg), &left, err)) && clock_ms() - moved < PATIENCE_MS) {
        if (left != before)
            moved = clock_ms();
        before = left;
    }
    library_stop_waiting(lib);
    rc = library_close(lib, safe ? err : NULL);
    return rc ? rc : safe ? 0 : -EAGAIN;
}

static int give_up(const struct vtl_config *cfg, struct errtext *err)
{
    const struct obj_call few = {.max_tries = 4, .patience_ms = OBJ_PATIENCE_MS};
    struct library *lib = NULL;
    uint64_t left = 0;
    int rc = library_open(cfg, 0, &lib, err);
    if (rc)
        return rc;
    if (!is_safe(lib, false, &left, err))
        rc = -EAGAIN;
    if (!rc)
        rc = turn_set(lib, lib->turn, engine_time(), err);
    if (!rc && (rc = inventory_put(lib, &few, err)))
        (void)turn_set(lib, lib->turn, 0, NULL);
    int closed = library_close(lib, rc ? NULL : err);
    return rc ? rc : closed;
}

static bool is_stored(const struct vtl_config *cfg)
{
    struct library *lib = NULL;
    uint64_t left = 0;
    if (wants_offsite(cfg) || library_open(cfg, 0, &lib, NULL))
        return false;
    bool safe = is_safe(lib, false, &left, NULL);
    (void)library_close(lib, NULL);
    return safe;
}

int library_hand_over(const struct vtl_config *cfg, struct errtext *err)
{
    struct objstore *store = NULL;
    struct errtext why = {""};
    int rc = rebuild_open_store(cfg, &store, &why);
    if (!rc) {
        rc = library_check_format(cfg, store, NULL, &why);
        if (!rc)
            rc = library_check_turn(cfg, store, NULL, &why);
        store->ops->close(store);
    }
    if (!rc && !is_stored(cfg))
        rc = store_all(cfg, &why);
    if (!rc)
        rc = give_up(cfg, &why);
    return rc ? errtext_set(err, rc, "not handed over: %.480s", why.text) : 0;
}
