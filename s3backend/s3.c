/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3.c: the S3 store: open, close, check, and reading objects. */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* Exchanges at a time for each of the `parallel` big bodies: a commit's few short requests need not wait for one of
 * them to end, and a command that has thousands makes many at a time. */
enum { CHECK_TRIES = 3, EXCHANGES_PER_BODY = 4 };

const struct s3_tuning s3_default_tuning = {
    .connect_ms = 15000,
    .stall_ms = 90000,
    .answer_ms = 300000,
    .reply_ms = 90000,
    .retry = {.first_ms = 250, .most_ms = 20000, .total_ms = 120000, .last_ms = 240000},
    .multipart_over = UINT64_C(512) << 20,
    .part_size = UINT64_C(80) << 20, /* two slabs of renterd's usual 10-of-30 */
    .max_keys = 1000,
    .delete_batch = 1000,
};

/* "No such object" is also what renterd says when there is no such bucket (trap 13), and callers do without an object
 * that isn't there: -ENOENT, with the line that *err holds, only if the bucket exists. */
int s3_confirm_gone(struct s3_store *s, const char *op, const char *key, const struct obj_call *c, struct errtext *err)
{
    struct errtext bucket = {""};
    int rc = s3_need_bucket(s, op, key, c, &bucket);
    return rc ? errtext_set(err, rc, "%s", bucket.text) : -ENOENT;
}

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

static void inspect_length(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    (void)arg;
    if (r->has_length)
        return;
    *v = (struct s3_verdict){.code = -EIO, .reason = "the store's answer has no Content-Length"};
}

int s3_head_object(struct s3_store *s, const char *op, const char *key, uint64_t *size, const struct obj_call *c,
                   struct errtext *err)
{
    const struct s3_request q = {.op = op, .what = key, .method = "HEAD", .key = key, .inspect = inspect_length};
    struct http_response r = {0};
    int rc = s3_call(s, &q, c, &r, err);
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

/* ---- check ---- */

static int head_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c,
                       struct errtext *err)
{
    const struct s3_request q = {.op = op, .what = what, .method = "HEAD"};
    int rc = s3_do(s, &q, c, err);
    if (rc == -ENOENT)
        return errtext_set(err, rc,
                           "%s%s%s: the bucket %s does not exist at %s://%s: create it, or correct store option bucket",
                           op, *what ? " " : "", what, s->bucket, s->tls ? "https" : "http", s->host);
    return rc;
}

int s3_need_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c, struct errtext *err)
{
    int rc = head_bucket(s, op, what, c, err);
    return rc == -ENOENT ? -EIO : rc;
}

/* The answer to a HEAD has no body. The same question as a list brings the store's own reason. */
static int ask_why(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    const struct sigv4_pair query[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", s->prefix}};
    const struct s3_request q = {
        .op = "check", .what = "", .method = "GET", .query = query, .n_query = 3, .text_limit = 1 << 16};
    return s3_do(s, &q, c, err);
}

int s3_check(struct objstore *o, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct obj_call quick = {.cancel = c ? c->cancel : NULL,
                                   .max_tries = c && c->max_tries ? c->max_tries : CHECK_TRIES};
    const struct obj_call once = {.cancel = quick.cancel, .max_tries = 1};
    struct errtext head_err = {""}, why = {""};
    int rc = head_bucket(s, "check", "", &quick, &head_err);
    if (rc == 0)
        return 0;
    if ((rc == -EACCES || rc == -EIO) && ask_why(s, &once, &why) == rc)
        return errtext_set(err, rc, "%s", why.text);
    return errtext_set(err, rc, "%s", head_err.text);
}

/* ---- open and close ---- */

static void s3_close(struct objstore *o)
{
    struct s3_store *s = (struct s3_store *)o;
    if (s->lanes)
        http_lanes_free(s->lanes);
    if (s->http)
        http_engine_free(s->http);
    s3_pace_fini(&s->pace);
    free(s->host);
    free(s->bucket);
    free(s->prefix);
    free(s->region);
    free(s->ca_file);
    free(s->access_key);
    secret_free(s->aws4_secret, s->aws4_size);
    free(s);
}

static const struct objstore_ops s3_ops = {
    .type = "s3",
    .put = s3_put,
    .get = s3_get,
    .stream = s3_stream,
    .head = s3_head,
    .list = s3_list,
    .del = s3_delete,
    .check = s3_check,
    .close = s3_close,
};

int s3_open(const struct objstore_config *cfg, const struct s3_tuning *tuning, struct objstore **out,
            struct errtext *err)
{
    struct s3_store *s = calloc(1, sizeof(*s));
    if (!s)
        return errtext_set(err, -ENOMEM, "no memory for the S3 store");
    s->base.ops = &s3_ops;
    s->tuning = tuning ? *tuning : s3_default_tuning;
    s3_pace_init(&s->pace, cfg->parallel, cfg->note);
    int rc = s3_configure(s, cfg, err);
    if (rc == 0)
        rc = http_engine_new(EXCHANGES_PER_BODY * cfg->parallel, &s->http, err);
    if (rc == 0 && !(s->lanes = http_lanes_new()))
        rc = errtext_set(err, -ENOMEM, "no memory for the S3 store");
    if (rc) {
        s3_close(&s->base);
        return rc;
    }
    *out = &s->base;
    return 0;
}
