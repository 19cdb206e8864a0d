/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock_tape.c: the retention lock of a cartridge. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/event.h"
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
static int wanted(const json_t *request, const char *barcode, struct retention *r, struct errtext *err)
{
    const char *mode = json_string_value(json_object_get(request, "mode"));
    json_int_t until = json_integer_value(json_object_get(request, "until"));
    *r = (struct retention){.mode = RETENTION_NONE};
    if (mode && !mode[0])
        return 0;
    if (!retention_parse(mode, &r->mode) || until <= (json_int_t)engine_time() || until > (json_int_t)UINT32_MAX * 64)
        return errtext_set(err, -EINVAL, "%s: tape-lock: mode (governance or compliance) and a time to come are needed",
                           barcode);
    r->until = (uint64_t)until;
    return 0;
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
    if (!c || wanted(request, barcode, &r, err) || cartridge_load(c, err))
        return NULL;
    cartridge_view(c, &was);
    if (cartridge_set_retention(c, &r, bypass, err))
        return NULL;
    tapes_commit_row(c);
    cartridge_unload_if_clean(c);
    cartridge_view(c, &v);
    if (was.locked && (r.until < was.retention.until || r.mode < was.retention.mode))
        log_event(EVENT_LOCK_BYPASSED, "%s: its governance lock, until %s, is taken off or shortened", barcode,
                  tapes_day(was.retention.until, day));
    return json_pack("{s:s, s:s, s:I, s:b}", "barcode", barcode, "retention", retention_name(v.retention.mode),
                     "retain_until", (json_int_t)v.retention.until, "committed", (int)v.backlog.remote);
}
