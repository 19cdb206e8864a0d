/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.c: the escrows of one library in a second place; see escrow.h. */
#include "vtl/escrow/escrow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/crc32c.h"
#include "base/file.h"

#define BEGIN "escrow/"

static int name_entry(struct escrow_entry *e, const char *id, uint64_t created, const struct escrow_sealed *s)
{
    char when[32];
    struct tm tm;
    time_t t = (time_t)created;
    if (!gmtime_r(&t, &tm) || !strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm))
        return -EINVAL;
    *e = (struct escrow_entry){.created = created, .size = s->size, .crc = s->crc};
    int n = snprintf(e->key, sizeof(e->key), BEGIN "%s/%s-%08" PRIx32, id, when, s->crc);
    return n < (int)sizeof(e->key) ? 0 : -EINVAL;
}

const char *escrow_name(const struct escrow_entry *e)
{
    return strrchr(e->key, '/') + 1;
}

/* Is it a name of ours? Then e is filled in. */
static bool take_name(const struct obj_entry *o, struct escrow_entry *e)
{
    struct tm tm = {0};
    struct escrow_sealed s = {.size = o->size};
    char id[ESCROW_ID_SIZE];
    size_t at = strlen(BEGIN) + ESCROW_ID_SIZE;
    if (strlen(o->key) < at)
        return false;
    (void)snprintf(id, sizeof(id), "%s", o->key + strlen(BEGIN));
    const char *rest = strptime(o->key + at, "%Y%m%dT%H%M%SZ-", &tm);
    if (!rest || sscanf(rest, "%8" SCNx32, &s.crc) != 1)
        return false;
    return !name_entry(e, id, (uint64_t)timegm(&tm), &s) && !strcmp(e->key, o->key);
}

/* ---- reading ---- */

struct reading {
    int fd;
    uint32_t crc;
};

static int take(void *arg, const void *data, size_t len)
{
    struct reading *r = arg;
    r->crc = crc32c(r->crc, data, len);
    return r->fd >= 0 ? file_write_all(r->fd, data, len) : 0;
}

int escrow_get(struct objstore *place, const struct escrow_entry *e, int fd, const struct obj_call *c,
               struct errtext *err)
{
    struct reading r = {.fd = fd};
    const struct obj_sink sink = {take, &r};
    int rc = place->ops->stream(place, e->key, 0, e->size, &sink, c, err);
    if (!rc && r.crc != e->crc)
        rc = errtext_set(err, -EBADMSG, "%s: it is damaged: its CRC32C is %08" PRIx32, e->key, r.crc);
    return rc;
}

int escrow_put(struct objstore *place, const struct escrow_put *what, struct escrow_entry *out,
               const struct obj_call *c, struct errtext *err)
{
    const struct escrow_sealed *sealed = &what->sealed;
    const struct obj_source src = {.fd = what->fd, .len = sealed->size, .has_crc = true, .crc32c = sealed->crc};
    struct obj_call create = c ? *c : (struct obj_call){.cancel = NULL};
    uint64_t size = 0;
    create.if_none_match = true;
    int rc = name_entry(out, what->id, what->created, sealed);
    if (rc)
        return errtext_set(err, rc, "escrow: no name for it");
    rc = place->ops->put(place, out->key, &src, &create, err);
    if (!rc)
        rc = place->ops->head(place, out->key, &size, c, err);
    if (!rc && size != sealed->size)
        rc =
            errtext_set(err, -EIO, "%s: %" PRIu64 " bytes are there instead of %" PRIu64, out->key, size, sealed->size);
    return rc ? rc : escrow_get(place, out, -1, c, err);
}

/* ---- which there are ---- */

struct listing {
    struct escrow_entry *v;
    size_t n, room;
};

static int note(void *arg, const struct obj_entry *o)
{
    struct listing *l = arg;
    struct escrow_entry e;
    if (o->is_prefix || !take_name(o, &e))
        return 0;
    if (l->n == l->room && !array_grow(&l->v, &l->room, sizeof(*l->v)))
        return -ENOMEM;
    l->v[l->n++] = e;
    return 0;
}

int escrow_list(struct objstore *place, const char *id, struct escrow_entry **out, size_t *n, const struct obj_call *c,
                struct errtext *err)
{
    char prefix[ESCROW_NAME_SIZE];
    struct listing l = {0};
    (void)snprintf(prefix, sizeof(prefix), BEGIN "%s%s", id ? id : "", id ? "/" : "");
    int rc = place->ops->list(place, prefix, NULL, false, note, &l, c, err);
    if (rc == -ENOMEM)
        errtext_set(err, rc, "escrow: out of memory");
    if (rc) {
        free(l.v);
        l = (struct listing){0};
    }
    *out = l.v;
    *n = l.n;
    return rc;
}

int escrow_prune(struct objstore *place, const char *id, const struct escrow_prune *how, const struct obj_call *c,
                 struct errtext *err)
{
    struct escrow_entry *v;
    size_t n;
    int rc = escrow_list(place, id, &v, &n, c, err);
    size_t go = !rc && n > how->keep ? n - how->keep : 0;
    for (size_t i = 0; !rc && go && i < n; i++) {
        const char *key = v[i].key;
        if (!strcmp(key, how->but))
            continue;
        rc = place->ops->del(place, &key, 1, c, err);
        go--;
    }
    free(v);
    return rc;
}

bool escrow_is_key(const char *key)
{
    struct escrow_entry e;
    const struct obj_entry o = {.key = key};
    return take_name(&o, &e);
}

int escrow_find(struct objstore *place, const char *key, struct escrow_entry *out, const struct obj_call *c,
                struct errtext *err)
{
    struct obj_entry o = {.key = key};
    if (!escrow_is_key(key))
        return errtext_set(err, -EINVAL, "%.200s: no name of an escrow: \"s3vtl escrow list\" shows them", key);
    int rc = place->ops->head(place, key, &o.size, c, err);
    return rc ? rc : take_name(&o, out) ? 0 : -EINVAL;
}
