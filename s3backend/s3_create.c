/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_create.c: a PUT that must not overwrite ("If-None-Match: *"), and whether the store honours that.
 *
 * Many services do; renterd ignores it (trap 9), and some refuse the header. Before the first put that wants it, a few
 * bytes are put twice under a name that nobody used before: refused the second time, and the store honours it; taken
 * twice, and it does not. No more is asked until the store is opened again. A look by HEAD before a PUT would not be the
 * same: another writer may come between.
 *
 * "It is there" may also be said of our own object: of a PUT that was sent again since its answer was lost, or by
 * another run of ours that ended in between. So what is there is compared, and the same content is success.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_TEXT "Put twice, to see whether the store lets a PUT with If-None-Match overwrite. It may be deleted."

enum { COMPARED_AT_ONCE = 1 << 18 };

/* ---- the probe ---- */

struct probe {
    struct s3_store *s;
    const struct obj_call *c;
    char key[40];
    struct s3_body body;
};

/* One PUT of it. */
static void put_probe(struct probe *p, struct s3_verdict *v)
{
    const struct sigv4_pair headers[] = {
        {"Content-Type", "text/plain"}, {"Content-MD5", p->body.md5_base64}, {"If-None-Match", "*"}};
    const struct s3_request q = {.op = "put",
                                 .what = p->key,
                                 .method = "PUT",
                                 .key = p->key,
                                 .headers = headers,
                                 .n_headers = 3,
                                 .body = p->body.src,
                                 .payload_hash = p->body.payload,
                                 .once = true,
                                 .inspect = s3_body_inspect,
                                 .arg = &p->body};
    struct http_response r = {0};
    s3_try(p->s, &q, p->c, &r, v);
    if (v->code == -EIO && r.outcome == HTTP_ANSWERED && (r.status == 400 || r.status == 501) && !v->retry)
        v->code = -ENOTSUP;
    strbuf_free(&r.text);
}

/* Only a bucket that keeps versions can lock objects; a default of its own shows on any new one. */
static void look_at_lock(struct probe *p)
{
    struct http_response r = {0};
    struct errtext ignored;
    if (s3_head_answer(p->s, "head", p->key, &r, p->c, &ignored) == 0)
        atomic_store(&p->s->locked, r.locked ? OBJ_YES : OBJ_NO);
    strbuf_free(&r.text);
}

/* What the two answers say; S3_CREATE_ASKED: nothing. */
static int find_out(struct probe *p, struct s3_verdict *v)
{
    put_probe(p, v);
    if (v->code == -EEXIST || v->code == -ENOTSUP) /* nothing of that name can be there */
        return S3_CREATE_IGNORED;
    if (v->code == -EACCES)
        return S3_CREATE_ASKED;
    if (v->code == 0 && atomic_load(&p->s->versioned) == OBJ_YES)
        look_at_lock(p);
    if (v->code == 0)
        put_probe(p, v);
    const char *key = p->key;
    struct errtext ignored;
    (void)s3_delete(&p->s->base, &key, 1, p->c, &ignored); /* if it stays: it says what it is */
    if (v->code == -EEXIST)
        return S3_CREATE_HONOURED;
    return v->code == 0 || v->code == -ENOTSUP ? S3_CREATE_IGNORED : S3_CREATE_ASKED;
}

int s3_create_probe(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    int asked = S3_CREATE_ASKED;
    if (!atomic_compare_exchange_strong(&s->create, &asked, S3_CREATE_PROBED))
        return 0;
    const struct obj_call once = {.cancel = c ? c->cancel : NULL, .max_tries = 1};
    const struct obj_source text = {.mem = PROBE_TEXT, .fd = -1, .len = sizeof(PROBE_TEXT) - 1};
    struct probe p = {.s = s, .c = &once};
    struct s3_verdict v = {.code = 0};
    int found = S3_CREATE_ASKED;
    snprintf(p.key, sizeof(p.key), "create-probe-%08" PRIx32 "%08" PRIx32, s3_chance(), s3_chance());
    int rc = s3_body_prepare(&p.body, s, "put", p.key, &text, &once, S3_BODY_LIST, err);
    if (rc == 0) {
        found = find_out(&p, &v);
        if (found == S3_CREATE_ASKED) {
            const struct s3_request q = {.op = "put", .what = p.key};
            rc = s3_fail(s, &q, &v, 0, err);
        }
    }
    int probed = S3_CREATE_PROBED; /* unless an answer refused the header meanwhile */
    atomic_compare_exchange_strong(&s->create, &probed, found);
    return rc;
}

bool s3_create_wanted(struct s3_store *s, const struct obj_call *c)
{
    if (!c || !c->if_none_match)
        return false;
    (void)s3_create_probe(s, c, NULL); /* if it fails, the put itself will tell */
    return atomic_load(&s->create) != S3_CREATE_IGNORED;
}

bool s3_create_refused(struct s3_store *s, const struct http_response *r)
{
    if (r->outcome != HTTP_ANSWERED || r->status != 501 || atomic_load(&s->create) == S3_CREATE_HONOURED)
        return false;
    atomic_store(&s->create, S3_CREATE_IGNORED);
    return true;
}

/* ---- what is there ---- */

struct comparison {
    const struct obj_source *src;
    uint64_t at;
    unsigned char ours[COMPARED_AT_ONCE];
};

static int compare_piece(void *arg, const void *data, size_t len)
{
    struct comparison *c = arg;
    const unsigned char *theirs = data;
    while (len) {
        size_t n = len < sizeof(c->ours) ? len : sizeof(c->ours);
        int rc = obj_source_read(c->src, c->at, c->ours, n);
        if (rc)
            return rc;
        if (memcmp(c->ours, theirs, n) != 0)
            return -EEXIST;
        c->at += n;
        theirs += n;
        len -= n;
    }
    return 0;
}

static int exists(const struct s3_store *s, const char *key, struct errtext *err)
{
    return errtext_set(err, -EEXIST,
                       "put %s: bucket %s at %s://%s: exists with other content; objects are never changed", key,
                       s->bucket, s->tls ? "https" : "http", s->host);
}

/* Byte by byte: no ETag but an MD5 that is right says anything for certain. */
static int compare_bytes(struct s3_store *s, const char *key, const struct s3_body *b, struct errtext *err)
{
    struct comparison *c = malloc(sizeof(*c));
    if (!c)
        return errtext_set(err, -ENOMEM, "put %s: no memory", key);
    c->src = b->src;
    c->at = 0;
    int rc = s3_stream(&s->base, key, 0, b->src->len, &(struct obj_sink){compare_piece, c}, b->c, err);
    free(c);
    return rc;
}

int s3_create_compare(struct s3_store *s, const char *key, struct s3_body *b, struct errtext *err)
{
    struct http_response r = {0};
    int rc = s3_head_answer(s, "put", key, &r, b->c, err);
    strbuf_free(&r.text);
    if (rc == -ENOENT)
        return errtext_set(err, -EIO, "put %s: bucket %s: the store says both that it is there and that it is not", key,
                           s->bucket);
    if (rc)
        return rc;
    if (r.length != b->src->len)
        return exists(s, key, err);
    if (s3_body_etag_is_md5(&r) && s3_body_md5(b) == 0 && !strcasecmp(r.etag, b->md5_hex))
        return 0;
    rc = compare_bytes(s, key, b, err);
    return rc == -EEXIST ? exists(s, key, err) : rc;
}
