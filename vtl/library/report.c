/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.c: what the night report is made of: who wrote what, and what trouble there was. */
#include "vtl/library/report.h"

#include <errno.h>
#include <string.h>

#include "base/event.h"
#include "base/jsontext.h"

static json_t *time_or_null(uint64_t t)
{
    return t ? json_integer((json_int_t)t) : json_null();
}

struct listing {
    struct library *lib;
    json_t *list;
    uint64_t damaged;
};

/* ---- who wrote ---- */

/* Another cartridge may have got the barcode since, and this one may be on the shelf. */
static bool is_here(struct library *lib, const struct db_written *w)
{
    lock_take(&lib->lock);
    struct cartridge *c = library_cartridge(lib, w->barcode);
    bool here = c && !memcmp(cartridge_id(c), w->id, sizeof(w->id));
    lock_release(&lib->lock);
    return here;
}

static int add_written(void *arg, const struct db_written *w)
{
    struct listing *l = arg;
    l->damaged += w->damaged;
    if (w->damaged)
        return 0;
    json_t *j =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "barcode", json_text(w->barcode), "host",
                  json_text(w->host), "address", json_text(w->address), "began", time_or_null(w->began), "last_written",
                  time_or_null(w->last), "bytes", json_integer((json_int_t)w->bytes), "synced", time_or_null(w->synced),
                  "accepted", time_or_null(w->accepted), "in_library", (int)is_here(l->lib, w));
    return json_array_append_new(l->list, j) ? -ENOMEM : 0;
}

/* ---- trouble ---- */

static int add_happening(void *arg, const struct db_happening *h)
{
    struct listing *l = arg;
    l->damaged += h->damaged;
    if (h->damaged)
        return 0;
    json_t *j = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)h->number, "event",
                          json_text(h->event), "text", json_text(h->text), "began", time_or_null(h->began), "told",
                          time_or_null(h->told), "ended", time_or_null(h->ended));
    return json_array_append_new(l->list, j) ? -ENOMEM : 0;
}

static uint64_t seconds(const json_t *request, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(request, key));
    return n > 0 ? (uint64_t)n : 0;
}

/* Returns what is appended to, or NULL and *err. */
static json_t *list_happenings(struct library *lib, uint64_t since, uint64_t *damaged, struct errtext *err)
{
    struct listing l = {lib, json_array(), 0};
    int rc = db_happenings(lib->eng.db, since, add_happening, &l);
    *damaged += l.damaged;
    if (!rc)
        return l.list;
    json_decref(l.list);
    errtext_set(err, rc, "state: %s", db_error(lib->eng.db));
    return NULL;
}

json_t *library_happenings(struct library *lib, const json_t *request, struct errtext *err)
{
    uint64_t damaged = 0;
    json_t *list = list_happenings(lib, seconds(request, "since"), &damaged, err);
    return list ? json_pack("{s:o}", "happenings", list) : NULL;
}

json_t *library_happened(struct library *lib, const json_t *request, struct errtext *err)
{
    struct db_happening h = {.number = json_integer_value(json_object_get(request, "number")),
                             .began = seconds(request, "began"),
                             .told = seconds(request, "told"),
                             .ended = seconds(request, "ended")};
    const char *event = json_string_value(json_object_get(request, "event"));
    const char *text = json_string_value(json_object_get(request, "text"));
    if (event_of(event) == EVENT_COUNT || !text || !h.began || h.number < 0) {
        errtext_set(err, -EINVAL, "happened: event, text and began are needed");
        return NULL;
    }
    (void)snprintf(h.event, sizeof(h.event), "%s", event);
    (void)snprintf(h.text, sizeof(h.text), "%s", text);
    if (db_happening_put(lib->eng.db, &h)) {
        errtext_set(err, -EIO, "state: %s", db_error(lib->eng.db));
        return NULL;
    }
    return json_pack("{s:I}", "number", (json_int_t)h.number);
}

int library_report_add(struct library *lib, const json_t *request, json_t *report, struct errtext *err)
{
    uint64_t since = seconds(request, "since"), damaged = 0;
    struct listing l = {lib, json_array(), 0};
    int rc = db_written(lib->eng.db, since, add_written, &l);
    json_object_set_new(report, "written", l.list);
    if (rc)
        return errtext_set(err, rc, "state: %s", db_error(lib->eng.db));
    json_t *happenings = list_happenings(lib, since, &damaged, err);
    if (!happenings)
        return -EIO;
    json_object_set_new(report, "happenings", happenings);
    json_object_set_new(report, "since", json_integer((json_int_t)since));
    json_object_set_new(report, "now", json_integer((json_int_t)engine_time()));
    damaged += l.damaged;
    json_object_set_new(report, "damaged_records", json_integer((json_int_t)damaged));
    return 0;
}
