/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_put.c: stores one object; how its bytes are verified is in s3_body.c. */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>

/* Sends it, with the checksum and the condition if it has them. *refused: the store does not want one of these. */
static int send_once(struct s3_store *s, const char *key, struct s3_body *b, bool *refused, struct errtext *err)
{
    struct sigv4_pair headers[4 + S3_LOCK_HEADERS] = {{"Content-Type", "application/octet-stream"}};
    struct s3_lock_text lock;
    size_t n = 1;
    if (b->has_md5)
        headers[n++] = (struct sigv4_pair){"Content-MD5", b->md5_base64};
    if (b->crc[0])
        headers[n++] = (struct sigv4_pair){"x-amz-checksum-crc32c", b->crc};
    if (b->create)
        headers[n++] = (struct sigv4_pair){"If-None-Match", "*"};
    n += s3_lock_headers(s, b->c, &lock, headers + n);
    const struct s3_request q = {.op = "put",
                                 .what = key,
                                 .method = "PUT",
                                 .key = key,
                                 .headers = headers,
                                 .n_headers = n,
                                 .body = b->src,
                                 .payload_hash = b->payload,
                                 .answer_ms = s->tuning.answer_ms,
                                 .progress = true,
                                 .meanwhile = s3_body_meanwhile,
                                 .inspect = s3_body_inspect,
                                 .arg = b};
    struct http_response r = {0};
    int rc = s3_call(s, &q, b->c, &r, err);
    *refused = true;
    if (rc == -EIO && b->crc[0] && s3_checksum_refused(s, &r)) {
        b->crc[0] = '\0';
        b->by_crc = false;
    } else if (rc == -EIO && b->create && s3_create_refused(s, &r))
        b->create = false;
    else
        *refused = false;
    strbuf_free(&r.text);
    return rc;
}

/* Nothing in the answer was of the body: is it there at all? */
static int confirm_size(struct s3_store *s, const char *key, const struct s3_body *b, struct errtext *err)
{
    uint64_t size = 0;
    int rc = s3_head_object(s, "put", key, &size, b->c, err);
    if (rc == -ENOENT)
        return errtext_set(err, -EIO, "put %s: bucket %s at %s: the answer was 200, but the object is not there", key,
                           s->bucket, s->host);
    if (rc == 0 && size != b->src->len)
        return errtext_set(err, -EIO,
                           "put %s: bucket %s at %s: the answer was 200, but %" PRIu64 " bytes are there instead of "
                           "%" PRIu64,
                           key, s->bucket, s->host, size, b->src->len);
    return rc;
}

static int put_body(struct s3_store *s, const char *key, struct s3_body *b, struct errtext *err)
{
    bool refused;
    int rc;
    do
        rc = send_once(s, key, b, &refused, err);
    while (refused);
    if (rc == 0 && !b->vouched)
        return confirm_size(s, key, b, err);
    return rc == -EEXIST ? s3_create_compare(s, key, b, err) : rc;
}

int s3_put(struct objstore *o, const char *key, const struct obj_source *src, const struct obj_call *c,
           struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    struct s3_body b;
    int rc = obj_check_key("put", key, err);
    if (rc)
        return rc;
    bool create = s3_create_wanted(s, c);
    if (src->len > s->tuning.multipart_over)
        return s3_put_multipart(s, key, src, create, c, err);
    if (src->len > S3_BIG_BODY)
        s3_checksum_probe(s, c);
    rc = s3_body_prepare(&b, s, "put", key, src, c, S3_BODY_OBJECT, err);
    if (rc)
        return rc;
    b.create = create;
    rc = put_body(s, key, &b, err);
    if (rc == -EACCES && b.c && b.c->lock.until && s3_lockable(o))
        s3_lock_hint(err);
    /* NoSuchKey can't be the answer to a PUT; whatever said so, the object isn't stored. */
    return rc == -ENOENT ? -EIO : rc;
}
