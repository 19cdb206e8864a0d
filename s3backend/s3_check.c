/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_check.c: is the store there, are the keys right, is there such a bucket?
 *
 * HEAD of the bucket asks that, but its answer has no body that tells why not: there are stores that say 404 to a key
 * that they don't know, and 403 where a key may list its own prefix and nothing else. So whatever isn't a plain yes is
 * asked again as a list of one name below the prefix. An empty list is no proof of a bucket (trap 13).
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <string.h>

enum { CHECK_TRIES = 3 };

static void take_any(void *arg, const struct xml_element *x)
{
    bool *any = arg;
    if (xml_is_leaf(x, "Contents", "Key") || xml_is_leaf(x, "CommonPrefixes", "Prefix"))
        *any = true;
}

static void inspect_look(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    if (!xml_read(&r->text, "ListBucketResult", take_any, arg))
        *v = (struct s3_verdict){.code = -EIO, .reason = "the answer is no list: check store option url"};
}

static int missing(const struct s3_store *s, const char *op, const char *what, struct errtext *err)
{
    return errtext_set(err, -ENOENT,
                       "%s%s%s: the bucket %s does not exist at %s://%s: create it, or correct store option bucket", op,
                       *what ? " " : "", what, s->bucket, s->tls ? "https" : "http", s->host);
}

/* HEAD said rc, with its line in *err: the list decides. */
static int look_closer(struct s3_store *s, const char *op, const char *what, int rc, const struct obj_call *c,
                       struct errtext *err)
{
    const struct sigv4_pair query[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", s->prefix}};
    bool any = false;
    const struct s3_request q = {.op = op,
                                 .what = what,
                                 .method = "GET",
                                 .query = query,
                                 .n_query = 3,
                                 .text_limit = 1 << 16,
                                 .inspect = inspect_look,
                                 .arg = &any};
    struct http_response r = {0};
    struct s3_verdict v;
    s3_try(s, &q, c, &r, &v);
    strbuf_free(&r.text);
    if (v.code == 0 && (any || rc == -EACCES))
        return 0;
    if (v.bucket_missing || (rc == -ENOENT && (v.code == 0 || v.code == -ENOENT)))
        return missing(s, op, what, err);
    if (v.code == rc || v.code == -EACCES || v.code == -ECANCELED || rc == -ENOENT)
        return s3_fail(s, &q, &v, 0, err);
    return rc;
}

/* -ENOENT: there is no such bucket. */
static int find_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c,
                       struct errtext *err)
{
    const struct s3_request q = {.op = op, .what = what, .method = "HEAD"};
    int rc = s3_do(s, &q, c, err);
    return rc && rc != -ECANCELED ? look_closer(s, op, what, rc, c, err) : rc;
}

int s3_need_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c, struct errtext *err)
{
    int rc = find_bucket(s, op, what, c, err);
    return rc == -ENOENT ? -EIO : rc;
}

int s3_confirm_gone(struct s3_store *s, const char *op, const char *key, const struct obj_call *c, struct errtext *err)
{
    struct errtext bucket = {""};
    int rc = s3_need_bucket(s, op, key, c, &bucket);
    return rc ? errtext_set(err, rc, "%s", bucket.text) : -ENOENT;
}

int s3_check(struct objstore *o, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct obj_call quick = {.cancel = c ? c->cancel : NULL,
                                   .max_tries = c && c->max_tries ? c->max_tries : CHECK_TRIES};
    return find_bucket(s, "check", "", &quick, err);
}

bool s3_ask_bucket(struct s3_store *s, const char *what, s3_inspect_fn inspect, void *arg, struct http_response *r,
                   const struct obj_call *c, int *rc, struct errtext *err)
{
    const struct sigv4_pair query[] = {{what, ""}};
    const struct s3_request q = {.op = "check",
                                 .what = "",
                                 .method = "GET",
                                 .query = query,
                                 .n_query = 1,
                                 .may_refuse = true,
                                 .inspect = inspect,
                                 .arg = arg};
    *rc = s3_call(s, &q, c, r, err);
    return *rc != -ECANCELED && r->outcome == HTTP_ANSWERED && (r->status < 500 || r->status == 501);
}
