/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock_tape.c: the retention lock of a cartridge. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/event.h"
#include "base/jsontext.h"
#include "vtl/library/tapes.h"

const char *tapes_day(uint64_t seconds, char buf[TAPES_DAY_SIZE])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(buf, TAPES_DAY_SIZE, "%Y-%m-%d %H:%M UTC", &tm))
        memcpy(buf, "?", 2);
    return buf;
}

/* A lock is for a time that is not over: who asks for another one has a clock, or a calendar, that is wrong. */
static int wanted(struct library *lib, const json_t *request, const char *barcode, struct retention *r,
                  struct errtext *err)
{
    const char *mode = json_string_value(json_object_get(request, "mode"));
    json_int_t until = json_integer_value(json_object_get(request, "until"));
    *r = (struct retention){.mode = RETENTION_NONE};
    if (mode && !mode[0])
        return 0;
    if (!retention_parse(mode, &r->mode) || until <= (json_int_t)engine_latest_time(&lib->eng) ||
        until > (json_int_t)UINT32_MAX * 64)
        return errtext_set(err, -EINVAL,
                           "%s: tape-lock: mode (governance or compliance) and a time to come, by the clock of the "
                           "store too, are needed",
                           barcode);
    r->until = (uint64_t)until;
    return 0;
}

/* Who asks may be the first in this run to go to the store, which then has told no time yet. */
static void view_at_known_time(struct library *lib, struct cartridge *c, struct cartridge_view *v)
{
    const struct obj_call once = {.cancel = &lib->no_waiting, .max_tries = 1};
    struct errtext why = {""};
    struct objstore *store = lib->eng.store;
    cartridge_view(c, v);
    if (!v->locked || engine_earliest_time(&lib->eng) || store->ops->check(store, &once, &why))
        return;
    cartridge_view(c, v);
}

int tapes_check_unlocked(struct library *lib, struct cartridge *c, struct errtext *err)
{
    struct cartridge_view v;
    char day[TAPES_DAY_SIZE];
    view_at_known_time(lib, c, &v);
    if (!v.locked)
        return 0;
    const char *by = v.retention.until > engine_time() ? "" : ", which the store's clock has not reached";
    return errtext_set(err, -EPERM, "%s: it is locked (%s) until %s%s, and nothing removes it before",
                       cartridge_barcode(c), retention_name(v.retention.mode), tapes_day(v.retention.until, day), by);
}

json_t *tapes_lock(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    bool bypass = json_is_true(json_object_get(request, "bypass"));
    struct cartridge *c = barcode ? library_cartridge(lib, barcode) : NULL;
    struct cartridge_view was, v;
    struct retention r;
    char day[TAPES_DAY_SIZE];
    if (!c)
        errtext_set(err, -ENOENT, "%s: no such cartridge in this library", barcode ? barcode : "(no barcode)");
    bool claimed = false;
    if (!c || tapes_begin_change(lib, c, &claimed, err))
        return NULL;
    view_at_known_time(lib, c, &was);
    int rc = wanted(lib, request, barcode, &r, err);
    if (!rc)
        rc = cartridge_set_retention(c, &r, bypass, err);
    tapes_end_change(lib, c, claimed);
    if (rc)
        return NULL;
    if (!claimed)
        tapes_commit_row(c);
    cartridge_unload_if_clean(c);
    cartridge_view(c, &v);
    if (was.locked && (r.until < was.retention.until || r.mode < was.retention.mode))
        log_event(EVENT_LOCK_BYPASSED, "%s: its governance lock, until %s, is taken off or shortened", barcode,
                  tapes_day(was.retention.until, day));
    return json_pack("{s:s, s:s, s:I, s:b, s:b, s:b}", "barcode", barcode, "retention",
                     retention_name(v.retention.mode), "retain_until", (json_int_t)v.retention.until, "committed",
                     (int)v.backlog.remote, "object_lock", (int)(v.object_lock_due || v.object_lock.mode),
                     "object_lock_due", (int)v.object_lock_due);
}

/* One on the shelf may be a neighbour's by now, and is not claimed for this. */
static void look_at(struct library *lib, const char *barcode)
{
    struct cartridge_view v = {.object_lock_due = false};
    struct errtext err = {""};
    bool failing;
    rwlock_read(&lib->tapes_lock);
    lock_take(&lib->lock);
    struct cartridge *c = library_place(lib, barcode) ? library_cartridge(lib, barcode) : NULL;
    lock_release(&lib->lock);
    if (c)
        cartridge_view(c, &v);
    if (v.object_lock_due && cartridge_load(c, &err)) {
        log_err("%s", err.text);
    } else if (v.object_lock_due) {
        (void)cartridge_want_claim(c, &failing);
        cartridge_poke(c);
    }
    rwlock_release(&lib->tapes_lock);
}

void locks_look(struct library *lib)
{
    size_t n = 0;
    barcode_text *barcodes = library_barcodes(lib, &n);
    for (size_t i = 0; i < n && !atomic_load(&lib->stop); i++)
        look_at(lib, barcodes[i]);
    free(barcodes);
}

json_t *locks_json(struct library *lib)
{
    struct cartridge_view v;
    uint64_t next = UINT64_MAX;
    int n = 0, waiting = 0;
    json_t *trouble = json_null();
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        cartridge_view(lib->cartridges[i], &v);
        n += v.locked;
        waiting += v.object_lock_due;
        if (v.object_lock_trouble[0] && json_is_null(trouble))
            trouble = json_text(v.object_lock_trouble);
        next = v.locked && v.retention.until < next ? v.retention.until : next;
    }
    return json_pack("{s:i, s:o, s:b, s:i, s:o}", "locked", n, "next_end",
                     n ? json_integer((json_int_t)next) : json_null(), "object_lock",
                     (int)(atomic_load(&lib->eng.live.object_lock) && objstore_lockable(lib->eng.store)),
                     "object_lock_waiting", waiting, "object_lock_trouble", trouble);
}
