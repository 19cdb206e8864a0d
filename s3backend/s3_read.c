/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_read.c: an object's size, and a range of it. */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Traps 1 to 4: one closed range inside the size that the caller knows, and the answer compared with it before a byte of
 * it goes anywhere. */
struct s3_request s3_range_request(const char *key, uint64_t offset, uint64_t len)
{
    return (struct s3_request){.op = "get", .what = key, .method = "GET", .key = key, .offset = offset, .len = len};
}

static int get_range(struct s3_store *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                     const struct obj_call *c, struct errtext *err)
{
    struct s3_request q = s3_range_request(key, offset, len);
    q.buf = buf;
    int rc = s3_do(s, &q, c, err);
    return rc == -ENOENT ? s3_confirm_gone(s, "get", key, c, err) : rc;
}

int s3_get(struct objstore *o, const char *key, uint64_t offset, uint64_t len, void *buf, const struct obj_call *c,
           struct errtext *err)
{
    uint64_t size;
    int rc = obj_check_key("get", key, err);
    if (rc)
        return rc;
    if (offset > INT64_MAX || len > INT64_MAX - offset)
        return errtext_set(err, -EINVAL, "get %s: %" PRIu64 " bytes at %" PRIu64 " is beyond any object", key, len,
                           offset);
    /* An empty range can't be asked for; whether the object is there can. */
    if (len == 0)
        return s3_head(o, key, &size, c, err);
    return get_range((struct s3_store *)o, key, offset, len, buf, c, err);
}

/* ---- the size ---- */

struct wanted {
    const char *key;
    struct http_response *r;
};

static int take_size(void *arg, const struct obj_entry *e)
{
    struct wanted *w = arg;
    if (strcmp(e->key, w->key) != 0)
        return 0;
    w->r->has_length = true;
    w->r->length = e->size;
    return 1;
}

/* An answer to HEAD without Content-Length: some proxies leave it out. The list has the size too. */
static int ask_list(struct s3_store *s, const char *op, const char *key, struct http_response *r,
                    const struct obj_call *c, struct errtext *err)
{
    struct wanted w = {key, r};
    int rc = s3_list(&s->base, key, NULL, false, take_size, &w, c, err);
    if (rc == 0)
        return errtext_set(
            err, -EIO, "%s %s: bucket %s at %s: the store's answer has no Content-Length, and its list not that name",
            op, key, s->bucket, s->host);
    return rc < 0 ? rc : 0;
}

int s3_head_answer(struct s3_store *s, const char *op, const char *key, struct http_response *r,
                   const struct obj_call *c, struct errtext *err)
{
    const struct s3_request q = {.op = op, .what = key, .method = "HEAD", .key = key};
    int rc = s3_call(s, &q, c, r, err);
    return rc == 0 && !r->has_length ? ask_list(s, op, key, r, c, err) : rc;
}

int s3_head_object(struct s3_store *s, const char *op, const char *key, uint64_t *size, const struct obj_call *c,
                   struct errtext *err)
{
    struct http_response r = {0};
    int rc = s3_head_answer(s, op, key, &r, c, err);
    if (rc == 0)
        *size = r.length;
    strbuf_free(&r.text);
    return rc;
}

int s3_head(struct objstore *o, const char *key, uint64_t *size, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    int rc = obj_check_key("head", key, err);
    if (rc == 0)
        rc = s3_head_object(s, "head", key, size, c, err);
    return rc == -ENOENT ? s3_confirm_gone(s, "head", key, c, err) : rc;
}
