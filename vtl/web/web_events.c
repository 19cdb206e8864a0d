/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_events.c: server-sent events: what of the status has changed, every second. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "vtl/library/control.h"
#include "vtl/web/web_private.h"

enum { LOOK_MS = 1000, HAPPENINGS_LOOKS = 5, MOST_READ = 32768 };

/* Of one connection, on its thread. */
struct listener {
    const struct web *w;
    json_t *told;       /* what the page knows */
    json_t *happenings; /* the last list; NULL: none */
    unsigned looks;
    int owing_fd;      /* control_ask */
    struct strbuf out; /* what it is about to hear, */
    size_t at;         /* and how much of that it has */
    bool waits;        /* it has heard of now: what follows is of a second later */
};

/* False: the process is to end. */
static bool wait_a_look(const struct web *w)
{
    struct pollfd p = {.fd = w->stop_fd, .events = POLLIN};
    return poll(&p, 1, LOOK_MS) <= 0;
}

/* The rows of is that was has otherwise; NULL: it has not the same rows. */
static json_t *changed_rows(const json_t *was, const json_t *is, const char *key)
{
    json_t *d = json_array(), *row;
    size_t i;
    bool same = json_is_array(was) && json_array_size(was) == json_array_size(is);
    json_array_foreach(is, i, row)
    {
        json_t *old = same ? json_array_get(was, i) : NULL;
        same = same && json_equal(json_object_get(old, key), json_object_get(row, key));
        if (same && !json_equal(old, row))
            json_array_append(d, row);
    }
    if (same)
        return d;
    json_decref(d);
    return NULL;
}

/* What was has not of the member name, or differently: in d as it is, or of a long list only the rows, in rows. */
static void tell_member(const char *name, const json_t *was, json_t *is, json_t *d, json_t *rows)
{
    static const char *const lists[][2] = {{"elements", "address"}, {"cartridges", "barcode"}};
    json_t *some = NULL;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (!strcmp(name, lists[i][0]))
            some = changed_rows(was, is, lists[i][1]);
    if (some)
        json_object_set_new(rows, name, some);
    else
        json_object_set(d, name, is);
}

/* The members of now that told has not, or differently; those that are gone as null. */
static json_t *changes(json_t *told, json_t *now)
{
    json_t *d = json_object(), *rows = json_object(), *v;
    const char *key;
    json_object_foreach(now, key, v)
    {
        json_t *was = json_object_get(told, key);
        if (!json_equal(v, was))
            tell_member(key, was, v, d, rows);
    }
    json_object_foreach(told, key, v) if (!json_object_get(now, key)) json_object_set_new(d, key, json_null());
    if (json_object_size(rows))
        json_object_set(d, "rows", rows);
    json_decref(rows);
    return d;
}

/* An event without a change is told too: so the page, and MHD, see that the other end is there. */
static bool look(struct listener *l)
{
    if (l->looks++ % HAPPENINGS_LOOKS == 0) {
        json_decref(l->happenings);
        l->happenings = web_ask_happenings(l->w->cfg);
    }
    json_t *now = web_ask_status(l->w->cfg, &l->owing_fd, l->happenings);
    json_t *d = now ? changes(l->told, now) : NULL;
    char *text = d ? json_dumps(d, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(d);
    json_decref(l->told);
    l->told = now;
    strbuf_reset(&l->out);
    l->at = 0;
    if (text)
        strbuf_addf(&l->out, "event: status\ndata: %s\n\n", text);
    free(text);
    return text && !l->out.overflow;
}

static ssize_t more(void *arg, uint64_t pos, char *buf, size_t room)
{
    struct listener *l = arg;
    (void)pos;
    if (l->at == l->out.len) {
        if ((l->waits && !wait_a_look(l->w)) || !look(l))
            return MHD_CONTENT_READER_END_OF_STREAM;
        l->waits = true;
    }
    size_t n = l->out.len - l->at < room ? l->out.len - l->at : room;
    memcpy(buf, strbuf_str(&l->out) + l->at, n);
    l->at += n;
    return (ssize_t)n;
}

static void end(void *arg)
{
    struct listener *l = arg;
    control_ask_end(&l->owing_fd);
    json_decref(l->told);
    json_decref(l->happenings);
    strbuf_free(&l->out);
    free(l);
}

enum MHD_Result web_events(const struct web *w, struct MHD_Connection *c)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return MHD_NO;
    l->w = w;
    l->owing_fd = -1;
    l->told = json_object();
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, MOST_READ, more, l, end);
    if (!r)
        end(l);
    return web_respond(c, MHD_HTTP_OK, "text/event-stream", r);
}
