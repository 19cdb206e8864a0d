/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * renterd_buffers.c: what renterd has in its slab buffers only, and what keeps it there.
 *
 * What fills no slab is appended to a buffer file, and leaves with it once that is full to within some KiB; nothing else
 * makes it leave. A buffer's name is drawn when it is made and never used again. So what was accepted before some moment
 * is in none of the buffers that were not there then: it is off-site when all those are gone that were. That holds
 * however many others write meanwhile.
 *
 * A put that is cut off just when it has filled a buffer up and needs another one for its rest leaves the first full, and
 * not among those to be uploaded. Nothing that is put goes into it, and nothing brings it off-site, until renterd is
 * started anew: it counts then what is in it, finds room, and goes on as before.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"

/* A buffer that is filled up is synced, and then is among those to be uploaded. */
enum { SYNCED_MS = 15000 };
/* Critical alerts: of one page, as each may have thousands of objects, and of all. */
enum { ALERTS_OF_PAGE = 20, MOST_ALERTS = 1000 };

#define ALERTS "/api/bus/alerts"
/* A slab has one sector of 4 MiB in each of up to 255 shards. */
#define MOST_BYTES ((json_int_t)255 << 22)

bool renterd_get_buffer(const json_t *j, struct renterd_buffer *out)
{
    json_int_t size = json_integer_value(json_object_get(j, "size")),
               max = json_integer_value(json_object_get(j, "maxSize"));
    *out = (struct renterd_buffer){.name = json_string_value(json_object_get(j, "filename")),
                                   .size = (uint64_t)size,
                                   .max = (uint64_t)max,
                                   .complete = json_is_true(json_object_get(j, "complete")),
                                   .locked = json_is_true(json_object_get(j, "locked"))};
    return out->name && strlen(out->name) < ADMIN_BUFFER_NAME && size >= 0 && max > 0 && max <= MOST_BYTES;
}

bool renterd_is_buffers(const json_t *j)
{
    struct renterd_buffer b;
    size_t i;
    const json_t *one;
    json_array_foreach(j, i, one) if (!renterd_get_buffer(one, &b)) return false;
    return json_is_array(j) || json_is_null(j);
}

int renterd_get_buffers(struct s3_store *s, json_t **out, const struct obj_call *c, struct errtext *err)
{
    int rc = s3_admin_call(s, "GET", RENTERD_BUFFERS, 0, out, c, err);
    if (rc || renterd_is_buffers(*out))
        return rc;
    json_decref(*out);
    *out = NULL;
    return errtext_set(err, -EIO, "the store's admin interface, %s%s: the answer is not renterd's", s->admin.url,
                       RENTERD_BUFFERS);
}

/* ---- what is missing ---- */

static struct admin_buffer *find_known(struct s3_admin *a, const char *name)
{
    for (size_t i = 0; i < a->n_buffers; i++)
        if (!strcmp(a->buffers[i].name, name))
            return &a->buffers[i];
    return NULL;
}

static int note_listed(struct s3_admin *a, const json_t *list, uint64_t begin_ms)
{
    size_t i;
    const json_t *one;
    struct admin_buffer *more = realloc(a->buffers, (a->n_buffers + json_array_size(list) + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    a->buffers = more;
    json_array_foreach(list, i, one)
    {
        struct renterd_buffer b;
        renterd_get_buffer(one, &b);
        if (!b.size)
            continue; /* nothing that was accepted so far */
        struct admin_buffer *known = find_known(a, b.name);
        if (!known) {
            known = &a->buffers[a->n_buffers++];
            *known = (struct admin_buffer){.after_ms = a->asked_ms};
            (void)snprintf(known->name, sizeof(known->name), "%s", b.name);
        }
        known->listed = true;
        if (b.size < b.max || b.complete)
            known->full_ms = 0;
        else if (!known->full_ms)
            known->full_ms = begin_ms;
    }
    return 0;
}

static void forget_gone(struct s3_admin *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_buffers; i++) {
        bool listed = a->buffers[i].listed;
        a->buffers[i].listed = false;
        if (listed)
            a->buffers[n++] = a->buffers[i];
    }
    a->n_buffers = n;
}

/* An answer that comes out of order would make us forget a buffer that a later one told of: it is passed over. */
static int take_answer(struct s3_admin *a, const json_t *list, uint64_t begin_ms, uint64_t *before_ms)
{
    int rc = 0;
    lock_take(&a->lock);
    bool newer = begin_ms > a->asked_ms;
    if (newer)
        rc = note_listed(a, list, begin_ms);
    if (newer && !rc) {
        forget_gone(a);
        a->asked_ms = begin_ms;
    }
    *before_ms = newer ? begin_ms : a->asked_ms;
    for (size_t i = 0; i < a->n_buffers; i++)
        if (a->buffers[i].after_ms < *before_ms)
            *before_ms = a->buffers[i].after_ms;
    lock_release(&a->lock);
    return rc;
}

static bool any_was_full(struct s3_admin *a)
{
    bool any = false;
    lock_take(&a->lock);
    for (size_t i = 0; i < a->n_buffers; i++)
        any = any || a->buffers[i].full_ms;
    lock_release(&a->lock);
    return any;
}

/* How many in this list renterd has forgotten to upload. */
static size_t count_forgotten(struct s3_admin *a, const json_t *list, uint64_t now)
{
    size_t i, n = 0;
    const json_t *one;
    lock_take(&a->lock);
    json_array_foreach(list, i, one)
    {
        struct renterd_buffer b;
        renterd_get_buffer(one, &b);
        const struct admin_buffer *known = find_known(a, b.name);
        n += known && known->full_ms && now >= known->full_ms + SYNCED_MS && b.size >= b.max && !b.complete;
    }
    lock_release(&a->lock);
    return n;
}

/* Newest first. */
static int get_alerts(struct s3_store *s, unsigned offset, json_t **out, const struct obj_call *c, struct errtext *err)
{
    char path[100];
    (void)snprintf(path, sizeof(path), ALERTS "?severity=critical&offset=%u&limit=%d", offset, ALERTS_OF_PAGE);
    int rc = s3_admin_call(s, "GET", path, 0, out, c, err);
    const json_t *list = json_object_get(*out, "alerts");
    if (rc || json_is_array(list) || json_is_null(list))
        return rc;
    json_decref(*out);
    *out = NULL;
    return errtext_set(err, -EIO, "the store's admin interface, %s" ALERTS ": the answer is not renterd's",
                       s->admin.url);
}

/* The one of these that tells of a buffer that is lost; NULL: none does. */
static const char *lost_by(const json_t *alerts)
{
    static const char *const lost[] = {"failed to read buffer file on startup", "failed to read data from buffer"};
    const json_t *alert;
    size_t n;
    json_array_foreach(alerts, n, alert)
    {
        const char *text = json_string_value(json_object_get(alert, "message"));
        for (size_t i = 0; text && i < sizeof(lost) / sizeof(lost[0]); i++)
            if (!strncmp(text, lost[i], strlen(lost[i])))
                return lost[i];
    }
    return NULL;
}

/* A buffer that renterd lost is in its list no more: only an alert tells of it, until somebody dismisses that. It may be
 * an old one: each slab that cannot be repaired makes one, too. */
static int look_for_lost(struct s3_store *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err)
{
    const char *lost = NULL;
    bool more = true;
    int rc = 0;
    for (unsigned n = 0; !rc && more && !lost && n < MOST_ALERTS; n += ALERTS_OF_PAGE) {
        json_t *j = NULL;
        rc = get_alerts(s, n, &j, c, err);
        more = json_is_true(json_object_get(j, "hasMore"));
        lost = lost_by(json_object_get(j, "alerts"));
        json_decref(j);
    }
    if (rc || (!lost && !more))
        return rc;
    out->before_ms = 0;
    if (lost)
        (void)snprintf(
            out->why, sizeof(out->why),
            "renterd has an alert: \"%s\": what was in that file is lost, unless it comes back; \"s3vtl verify "
            "--all\" finds what it was. Dismiss the alert then",
            lost);
    else
        (void)snprintf(
            out->why, sizeof(out->why),
            "renterd has more than %d critical alerts, and one of them may tell of a slab buffer that is lost: "
            "dismiss those that are over",
            MOST_ALERTS);
    return 0;
}

static void say_missing(const json_t *list, size_t forgotten, struct obj_offsite *out)
{
    size_t i, n = 0, full = 0;
    const json_t *one;
    char size[HUMAN_ROOM];
    json_array_foreach(list, i, one)
    {
        struct renterd_buffer b;
        renterd_get_buffer(one, &b);
        out->missing += b.size;
        n += b.size > 0;
        full += b.size > 0 && b.complete;
    }
    if (n)
        (void)snprintf(out->why, sizeof(out->why),
                       "renterd has %s in %zu slab buffers on its own disk, of all that it stores, whoever wrote it: "
                       "%zu wait until they are full, %zu to be uploaded",
                       human_size(out->missing, size), n, n - full - forgotten, full);
    size_t said = strlen(out->why);
    if (forgotten)
        (void)snprintf(out->why + said, sizeof(out->why) - said, ", %zu until renterd is restarted", forgotten);
}

int renterd_ask(struct s3_store *s, uint64_t begin_ms, struct obj_offsite *out, const struct obj_call *c,
                struct errtext *err)
{
    json_t *list = NULL;
    int rc = renterd_get_buffers(s, &list, c, err);
    if (!rc && take_answer(&s->admin, list, begin_ms, &out->before_ms))
        rc = errtext_set(err, -ENOMEM, "no memory for the list of renterd's slab buffers");
    if (!rc)
        say_missing(list, count_forgotten(&s->admin, list, begin_ms), out);
    json_decref(list);
    if (!rc)
        rc = look_for_lost(s, out, c, err);
    if (rc)
        out->before_ms = 0;
    return rc;
}
/* ---- what it lacks ---- */

int renterd_buffer_findings(struct s3_store *s, const struct obj_findings *q, const struct obj_call *c,
                            struct errtext *err)
{
    json_t *list = NULL;
    if (!any_was_full(&s->admin))
        return 0;
    int rc = renterd_get_buffers(s, &list, c, err); /* as it is now: the last answer may be old */
    size_t forgotten = rc ? 0 : count_forgotten(&s->admin, list, clock_ms());
    json_decref(list);
    if (forgotten)
        s3_admin_found(
            q, OBJ_CRITICAL,
            "renterd does not upload %zu of its slab buffers, though full: a put was cut off as it filled that up. "
            "Restart renterd: nothing else brings what is in there off-site",
            forgotten);
    return rc;
}
