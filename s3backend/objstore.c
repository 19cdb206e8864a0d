/* SPDX-License-Identifier: GPL-2.0-or-later */
/* objstore.c: the rules on keys, and what all stores do alike. */
#include "s3backend/objstore.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { MAX_KEY = 700 };

static bool key_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static bool dots_only(const char *segment, size_t len)
{
    return (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
}

static bool path_ok(const char *s, size_t max)
{
    size_t begin = 0, i = 0;
    for (;; i++) {
        if (i > max)
            return false;
        if (s[i] == '/' || s[i] == 0) {
            if (i == begin || dots_only(s + begin, i - begin))
                return false;
            if (s[i] == 0)
                return true;
            begin = i + 1;
        } else if (!key_char(s[i])) {
            return false;
        }
    }
}

bool objstore_key_ok(const char *key)
{
    return key && path_ok(key, MAX_KEY);
}

bool obj_prefix_ok(const char *prefix)
{
    return !*prefix || path_ok(prefix, OBJ_MAX_PREFIX);
}

int obj_check_key(const char *op, const char *key, struct errtext *err)
{
    if (objstore_key_ok(key))
        return 0;
    return errtext_set(err, -EINVAL, "%s \"%.200s\": not a key (A-Z a-z 0-9 . _ - and single slashes, 1-700)", op,
                       key ? key : "");
}

int obj_source_read(const struct obj_source *src, uint64_t at, void *buf, size_t len)
{
    char *p = buf;
    if (src->mem) {
        memcpy(p, (const char *)src->mem + at, len);
        return 0;
    }
    while (len) {
        ssize_t n = pread(src->fd, p, len, (off_t)(src->offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

void objstore_facts(struct objstore *s, struct obj_facts *out)
{
    *out = (struct obj_facts){.creates = OBJ_UNKNOWN};
    if (s->ops->facts)
        s->ops->facts(s, out);
}

int objstore_learn(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    return s->ops->learn ? s->ops->learn(s, c, err) : 0;
}

void objstore_health(struct objstore *s, struct obj_health *out)
{
    *out = (struct obj_health){.text = ""};
    if (s->ops->health)
        s->ops->health(s, out);
}

int objstore_offsite(struct objstore *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err)
{
    *out = (struct obj_offsite){.why = ""};
    if (!s->ops->offsite)
        return errtext_set(err, -ENOTSUP, "a store of type %s does not tell what is off-site", s->ops->type);
    return s->ops->offsite(s, out, c, err);
}

int objstore_backup(struct objstore *s, const char *path, const struct obj_call *c, struct errtext *err)
{
    return s->ops->backup ? s->ops->backup(s, path, c, err)
                          : errtext_set(err, -ENOTSUP, "this store has no catalogue of its own");
}

int objstore_findings(struct objstore *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err)
{
    return s->ops->findings ? s->ops->findings(s, q, c, err)
                            : errtext_set(err, -ENOTSUP, "a store of type %s does not tell how it is", s->ops->type);
}

int objstore_hurry(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    return s->ops->hurry ? s->ops->hurry(s, c, err) : 0;
}

bool objstore_same_keys(struct objstore *s, struct objstore *other)
{
    return !s->ops->same_keys || s->ops->same_keys(s, other);
}

bool objstore_same_proxy(struct objstore *s, struct objstore *other)
{
    return !s->ops->same_proxy || s->ops->same_proxy(s, other);
}

void objstore_swap_access(struct objstore *s, struct objstore *other)
{
    if (s->ops->swap_access)
        s->ops->swap_access(s, other);
}

void objstore_set_limits(struct objstore *s, const struct objstore_config *cfg)
{
    if (s->ops->set_limits)
        s->ops->set_limits(s, cfg);
}

int objstore_time(struct objstore *s, uint64_t *now)
{
    *now = 0;
    return s->ops->time ? s->ops->time(s, now) : -ENOTSUP;
}

uint64_t objstore_upload_limit(struct objstore *s)
{
    return s->ops->upload_limit ? s->ops->upload_limit(s) : 0;
}

uint64_t objstore_download_limit(struct objstore *s)
{
    return s->ops->download_limit ? s->ops->download_limit(s) : 0;
}

void objstore_stats(struct objstore *s, struct obj_stats *out)
{
    memset(out, 0, sizeof(*out));
    if (s->ops->stats)
        s->ops->stats(s, out);
}

const char *obj_service_name(enum obj_service service)
{
    static const char *const names[] = {"none", "unknown", "s3", "renterd", "s3d"};
    return names[service];
}

const char *obj_request_name(enum obj_request r)
{
    static const char *const names[OBJ_REQUESTS] = {"put", "multipart", "get", "head", "list", "delete"};
    return names[r];
}

const char *obj_failure_name(enum obj_failure f)
{
    static const char *const names[OBJ_FAILURES] = {"network", "timeout", "busy", "refused", "other"};
    return names[f];
}

int objstore_versions(struct objstore *s, const char *prefix, obj_version_fn fn, void *arg, const struct obj_call *c,
                      struct errtext *err)
{
    return s->ops->versions ? s->ops->versions(s, prefix, fn, arg, c, err)
                            : errtext_set(err, -ENOTSUP, "a store of type %s keeps no versions", s->ops->type);
}

bool objstore_lockable(struct objstore *s)
{
    return s->ops->lockable && s->ops->lockable(s);
}

int objstore_lock(struct objstore *s, const char *key, const struct obj_lock *l, const struct obj_call *c,
                  struct errtext *err)
{
    return s->ops->lock ? s->ops->lock(s, key, l, c, err)
                        : errtext_set(err, -ENOTSUP, "lock %s: a store of type %s locks no objects", key, s->ops->type);
}

int objstore_look(struct objstore *s, struct obj_peer *out, const struct obj_call *c, struct errtext *err)
{
    *out = (struct obj_peer){.kind = OBJ_PEER_SERVICE};
    return s->ops->look ? s->ops->look(s, out, c, err) : 0;
}

/* Where nobody tells what of the data the service has on its own disk only. */
static const char *service_advice(const struct obj_facts *f)
{
    if (f->tells_offsite || f->service == OBJ_SERVICE_NONE)
        return NULL;
    return f->service == OBJ_SERVICE_RENTERD ? "the store is renterd: what it accepted may be on its own disk only for "
                                               "long; with [store] admin_url = "
                                               "its API, port 9980, it tells, and is asked to hurry (docs/sia.md)"
           : f->service == OBJ_SERVICE_S3D ? "the store is s3d: what it accepted may be on its own disk only for long; "
                                             "with [store] admin_url = its "
                                             "admin interface, port 8001, it tells, and is asked to hurry (docs/sia.md)"
                                           : "which service the store is was not found out. renterd and s3d keep what "
                                             "they accepted on their own disk "
                                             "for long: set [store] kind, and for them admin_url (docs/sia.md)";
}

const char *objstore_advice(const struct obj_facts *f, unsigned i)
{
    const char *const lines[] = {
        f->versioned == OBJ_YES
            ? "the bucket keeps old versions: what s3vtl deletes (overwritten data, old heads) stays in it and costs, "
              "until a lifecycle rule of the bucket removes noncurrent versions and expired delete markers"
            : NULL,
        f->locked == OBJ_YES ? "the bucket locks objects for a time: what s3vtl deletes stays, and costs, at least so "
                               "long; a short retention is enough, for s3vtl never changes an object"
                             : NULL,
        f->creates == OBJ_NO ? "the store does not honour If-None-Match: should this library's state ever run twice "
                               "(a clone, an old backup), only fencing keeps one copy from the other's objects"
                             : NULL,
        service_advice(f),
    };
    for (unsigned n = 0; n < sizeof(lines) / sizeof(lines[0]); n++)
        if (lines[n] && i-- == 0)
            return lines[n];
    return NULL;
}
