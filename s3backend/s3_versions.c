/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_versions.c: what a bucket that keeps versions still has of objects that were deleted or written over, page by page, and
 * the end of one of these versions. Only for a bucket that told of its versions (trap 8).
 *
 * Not trusted: that versions and delete markers come sorted together (some services tell first the one, then the other).
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { MAX_PAGE = 8 << 20 };

struct version {
    char *key, *id;
    bool marker, latest;
    uint64_t ms; /* when it was put */
    size_t order;
};

struct page {
    struct version *v;
    size_t n, room;
    bool truncated, failed;
    char *next_key, *next_id;
    struct version item; /* the one that is being read */
};

static void version_free(struct version *v)
{
    free(v->key);
    free(v->id);
    *v = (struct version){.key = NULL};
}

static void page_reset(struct page *p)
{
    for (size_t i = 0; i < p->n; i++)
        version_free(&p->v[i]);
    version_free(&p->item);
    free(p->v);
    free(p->next_key);
    free(p->next_id);
    *p = (struct page){.n = 0};
}

static void page_add(struct page *p, bool marker)
{
    struct version e = p->item;
    p->item = (struct version){.key = NULL};
    bool room = p->n < p->room || array_grow(&p->v, &p->room, sizeof(*p->v));
    e.marker = marker;
    e.order = p->n;
    if (e.key && e.id && room)
        p->v[p->n++] = e;
    else {
        version_free(&e);
        p->failed = true;
    }
}

static void keep(char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
}

static void take_element(void *arg, const struct xml_element *x)
{
    struct page *p = arg;
    bool inside = !strcmp(x->parent, "Version") || !strcmp(x->parent, "DeleteMarker");
    if (!x->text) {
        if (!strcmp(x->name, "Version") || !strcmp(x->name, "DeleteMarker"))
            page_add(p, !strcmp(x->name, "DeleteMarker"));
    } else if (inside && !strcmp(x->name, "Key"))
        keep(&p->item.key, x->text);
    else if (inside && !strcmp(x->name, "VersionId"))
        keep(&p->item.id, x->text);
    else if (inside && !strcmp(x->name, "IsLatest"))
        p->item.latest = !strcmp(x->text, "true");
    else if (inside && !strcmp(x->name, "LastModified"))
        p->item.ms = s3_date_ms(x->text);
    else if (x->depth == 1 && !strcmp(x->name, "IsTruncated"))
        p->truncated = !strcmp(x->text, "true");
    else if (x->depth == 1 && !strcmp(x->name, "NextKeyMarker") && *x->text)
        keep(&p->next_key, x->text);
    else if (x->depth == 1 && !strcmp(x->name, "NextVersionIdMarker") && *x->text)
        keep(&p->next_id, x->text);
}

static void inspect_page(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct page *p = arg;
    page_reset(p);
    if (!xml_read(&r->text, "ListVersionsResult", take_element, p))
        *v = (struct s3_verdict){.code = -EIO, .retry = true, .reason = "the answer is no complete list of versions"};
    else if (p->failed)
        *v = (struct s3_verdict){.code = -EIO, .reason = "the list has a version without key or id, or memory is out"};
    else if (p->truncated && !p->next_key)
        *v = (struct s3_verdict){.code = -EIO, .reason = "the list goes on, but has no NextKeyMarker"};
    for (size_t i = 0; i < p->n; i++)
        if (!p->v[i].ms)
            *v = (struct s3_verdict){.code = -EIO, .reason = "the list has a version without a time"};
}

/* By key; of one key the newest first. */
static int compare(const void *a, const void *b)
{
    const struct version *x = a, *y = b;
    int keys = strcmp(x->key, y->key);
    if (keys)
        return keys;
    if (x->latest != y->latest)
        return x->latest ? -1 : 1;
    if (x->ms != y->ms)
        return x->ms > y->ms ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* What others put there, under names that cannot be ours, is passed over. */
static int tell_page(struct s3_store *s, struct page *p, obj_version_fn fn, void *arg)
{
    size_t skip = strlen(s->prefix);
    int rc = 0;
    if (p->n > 1)
        qsort(p->v, p->n, sizeof(*p->v), compare);
    for (size_t i = 0; !rc && i < p->n; i++) {
        const struct version *v = &p->v[i];
        if (!strncmp(v->key, s->prefix, skip) && objstore_key_ok(v->key + skip))
            rc = fn(
                arg,
                &(struct obj_version){
                    .key = v->key + skip, .version = v->id, .marker = v->marker, .latest = v->latest, .put_ms = v->ms});
    }
    return rc;
}

static size_t make_query(struct sigv4_pair q[5], const char *prefix, const char *max_keys, const char *key,
                         const char *id)
{
    size_t n = 0;
    if (key)
        q[n++] = (struct sigv4_pair){"key-marker", key};
    q[n++] = (struct sigv4_pair){"max-keys", max_keys};
    q[n++] = (struct sigv4_pair){"prefix", prefix};
    if (key && id)
        q[n++] = (struct sigv4_pair){"version-id-marker", id};
    q[n++] = (struct sigv4_pair){"versions", ""};
    return n;
}

static int list_pages(struct s3_store *s, const char *prefix, const char *full, obj_version_fn fn, void *arg,
                      const struct obj_call *c, struct errtext *err)
{
    struct page p = {.n = 0};
    struct sigv4_pair query[5];
    char max_keys[16], *key = NULL, *id = NULL;
    unsigned idle = 0; /* pages in a row without a version */
    int rc = 0;
    (void)snprintf(max_keys, sizeof(max_keys), "%u", s->tuning.max_keys);
    for (bool more = true; !rc && more;) {
        const struct s3_request q = {.op = "list",
                                     .what = prefix,
                                     .method = "GET",
                                     .query = query,
                                     .n_query = make_query(query, full, max_keys, key, id),
                                     .text_limit = MAX_PAGE,
                                     .inspect = inspect_page,
                                     .arg = &p};
        rc = s3_do(s, &q, c, err);
        if (!rc)
            rc = tell_page(s, &p, fn, arg);
        more = p.truncated;
        if (!rc && more && key && !strcmp(key, p.next_key) && !strcmp(id ? id : "", p.next_id ? p.next_id : ""))
            rc = errtext_set(err, -EIO, "list %s: the store's list of versions does not get on after %.200s", prefix,
                             key);
        idle = p.n ? 0 : idle + 1;
        if (!rc && more && idle > s->tuning.idle_pages) /* the markers may come in a circle */
            rc = errtext_set(
                err, -EIO,
                "list %s: the store's list of versions does not get on: page after page brings nothing, up to "
                "%.200s",
                prefix, p.next_key);
        free(key);
        free(id);
        key = p.next_key;
        id = p.next_id;
        p.next_key = p.next_id = NULL;
    }
    free(key);
    free(id);
    page_reset(&p);
    return rc == -ENOENT ? -EIO : rc;
}

int s3_versions(struct objstore *o, const char *prefix, obj_version_fn fn, void *arg, const struct obj_call *c,
                struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    struct strbuf full = {0};
    if (atomic_load(&s->versioned) != OBJ_YES)
        return errtext_set(err, -ENOTSUP, "bucket %s at %s: it keeps no versions", s->bucket, s->host);
    strbuf_addf(&full, "%s%s", s->prefix, prefix);
    int rc = full.overflow ? errtext_set(err, -ENOMEM, "list %s: no memory", prefix)
                           : list_pages(s, prefix, strbuf_str(&full), fn, arg, c, err);
    strbuf_free(&full);
    return rc;
}

int s3_drop_version(struct objstore *o, const char *key, const char *version, const struct obj_call *c,
                    struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct sigv4_pair query[] = {{"versionId", version}};
    const struct s3_request q = {
        .op = "delete", .what = key, .method = "DELETE", .key = key, .query = query, .n_query = 1};
    int rc = obj_check_key("delete", key, err);
    if (!rc && (atomic_load(&s->versioned) != OBJ_YES || !version[0]))
        rc = errtext_set(err, -ENOTSUP, "delete %s: bucket %s at %s: it keeps no versions", key, s->bucket, s->host);
    if (!rc)
        rc = s3_do(s, &q, c, err);
    return rc == -ENOENT ? 0 : rc;
}
