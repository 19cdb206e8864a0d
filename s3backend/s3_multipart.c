/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_multipart.c: stores one large object in parts.
 *
 * What it keeps:
 *  1. Complete is sent only after ListParts named exactly our parts, with their sizes and ETags: renterd joins whatever
 * parts it has, in order of their numbers, whatever Complete says (trap 5).
 *  2. A Complete whose answer is lost or is an error is settled by HEAD. It is sent again only when HEAD says that
 * there is no object and ListParts that the upload is still whole.
 *  3. The final ETag tells nothing (trap 6); the size that HEAD tells has to be right.
 *  4. An upload that fails is aborted.
 *  5. Where the CRC32C of the whole is known, those of the parts as they were sent, joined, have to be it, or Complete is
 * never sent.
 *  6. With If-None-Match an object that is there may be another's: it counts as ours only if Complete said so, or if it
 * holds the same bytes.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

enum { MAX_PARTS = 10000, MAX_ID = 1024, ABORT_MS = 10000 };

struct part {
    uint64_t size;
    char etag[HTTP_ETAG_SIZE];
    uint32_t crc; /* CRC32C of it */
};

struct upload {
    struct s3_store *s;
    const char *key;
    const struct obj_source *src;
    const struct obj_call *c;
    struct errtext *err;
    char id[MAX_ID];
    struct part *parts;
    unsigned n;
    uint64_t part_size;
    bool create; /* "If-None-Match: *" */
};

/* ---- create ---- */

static void take_id(void *arg, const struct xml_element *x)
{
    struct upload *u = arg;
    if (x->text && !strcmp(x->name, "UploadId") && strlen(x->text) < sizeof(u->id))
        memcpy(u->id, x->text, strlen(x->text) + 1);
}

static void inspect_create(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct upload *u = arg;
    u->id[0] = 0;
    if (!xml_read(&r->text, "", take_id, u) || !u->id[0])
        *v = (struct s3_verdict){.code = -EIO, .retry = true, .reason = "the answer has no UploadId"};
}

static int begin_upload(struct upload *u)
{
    const struct sigv4_pair query[] = {{"uploads", ""}};
    struct sigv4_pair headers[1 + S3_LOCK_HEADERS] = {{"Content-Type", "application/octet-stream"}};
    struct s3_lock_text lock;
    size_t n_headers = 1 + s3_lock_headers(u->s, u->c, &lock, headers + 1);
    const struct obj_source nothing = {.mem = "", .fd = -1};
    const struct s3_request q = {.op = "put",
                                 .what = u->key,
                                 .method = "POST",
                                 .key = u->key,
                                 .query = query,
                                 .n_query = 1,
                                 .headers = headers,
                                 .n_headers = n_headers,
                                 .body = &nothing,
                                 .inspect = inspect_create,
                                 .arg = u};
    return s3_do(u->s, &q, u->c, u->err);
}

/* ---- parts ---- */

static bool plain_etag(const char *etag)
{
    return *etag && !strpbrk(etag, "<>&\"' ");
}

struct part_check {
    struct part *part;
    struct s3_body body;
};

static void part_meanwhile(void *arg)
{
    struct part_check *p = arg;
    s3_body_meanwhile(&p->body);
}

static void inspect_part(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct part_check *p = arg;
    s3_body_inspect(&p->body, r, v);
    if (v->code == 0 && !plain_etag(r->etag))
        *v = (struct s3_verdict){.code = -EIO, .reason = "the answer to a part has no proper ETag"};
    if (v->code == 0)
        memcpy(p->part->etag, r->etag, sizeof(p->part->etag));
    p->part->crc = r->sent_crc;
}

static int put_part(struct upload *u, unsigned i)
{
    char number[16];
    struct obj_source src = *u->src;
    uint64_t at = (uint64_t)i * u->part_size;
    src.len = u->src->len - at < u->part_size ? u->src->len - at : u->part_size;
    if (src.mem)
        src.mem = (const char *)src.mem + at;
    else
        src.offset += at;
    src.has_crc = false; /* it is that of the whole */
    u->parts[i].size = src.len;
    struct part_check check = {.part = &u->parts[i]};
    int rc = s3_body_prepare(&check.body, u->s, "put", u->key, &src, u->c, S3_BODY_PART, u->err);
    if (rc)
        return rc;
    snprintf(number, sizeof(number), "%u", i + 1);
    const struct sigv4_pair query[] = {{"partNumber", number}, {"uploadId", u->id}};
    const struct sigv4_pair headers[] = {{"Content-MD5", check.body.md5_base64}};
    const struct s3_request q = {.op = "put",
                                 .what = u->key,
                                 .method = "PUT",
                                 .key = u->key,
                                 .query = query,
                                 .n_query = 2,
                                 .headers = headers,
                                 .n_headers = check.body.has_md5 ? 1 : 0,
                                 .body = &src,
                                 .payload_hash = check.body.payload,
                                 .answer_ms = u->s->tuning.answer_ms,
                                 .meanwhile = part_meanwhile,
                                 .inspect = inspect_part,
                                 .arg = &check};
    return s3_do(u->s, &q, u->c, u->err);
}

/* Was what the parts were sent with, one after the other, what the source should be (5)? */
static int compare_sum(const struct upload *u)
{
    const uint32_t power = crc32c_power(u->part_size);
    uint32_t sum = 0;
    for (unsigned i = 0; i < u->n; i++) {
        const struct part *p = &u->parts[i];
        sum = crc32c_join(sum, p->size == u->part_size ? power : crc32c_power(p->size), p->crc);
    }
    if (!u->src->has_crc || sum == u->src->crc32c)
        return 0;
    return errtext_set(u->err, -EIO, "put %s: can't read the local file: it is not what it was", u->key);
}

/* ---- ListParts ---- */

struct listed {
    struct upload *u;
    unsigned seen; /* parts that were listed so far, each as ours */
    bool differs, truncated;
    char marker[16];
    /* the part that is being read */
    unsigned long number;
    uint64_t size;
    char etag[HTTP_ETAG_SIZE];
};

static void take_part(struct listed *l)
{
    const struct upload *u = l->u;
    const struct part *p = l->seen < u->n ? &u->parts[l->seen] : NULL;
    if (!p || l->number != l->seen + 1 || l->size != p->size || strcasecmp(l->etag, p->etag) != 0)
        l->differs = true;
    l->seen++;
    l->number = 0;
    l->size = 0;
    l->etag[0] = 0;
}

static void take_part_element(void *arg, const struct xml_element *x)
{
    struct listed *l = arg;
    if (!x->text) {
        if (!strcmp(x->name, "Part"))
            take_part(l);
    } else if (xml_is_leaf(x, "Part", "PartNumber"))
        l->number = strtoul(x->text, NULL, 10);
    else if (xml_is_leaf(x, "Part", "Size"))
        l->size = strtoull(x->text, NULL, 10);
    else if (xml_is_leaf(x, "Part", "ETag"))
        http_keep_etag(l->etag, x->text);
    else if (x->depth == 1 && xml_is_leaf(x, x->parent, "IsTruncated"))
        l->truncated = !strcmp(x->text, "true");
    else if (x->depth == 1 && xml_is_leaf(x, x->parent, "NextPartNumberMarker"))
        snprintf(l->marker, sizeof(l->marker), "%.15s", x->text);
}

static void inspect_parts(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct listed *l = arg, page = *l; /* a page that has to be asked for again counts once */
    page.truncated = false;
    page.marker[0] = 0;
    if (!xml_read(&r->text, "ListParts", take_part_element, &page))
        *v = (struct s3_verdict){.code = -EIO, .retry = true, .reason = "the answer is no complete list of parts"};
    else if (page.truncated && (!page.marker[0] || page.seen == l->seen || !strcmp(page.marker, l->marker)))
        *v = (struct s3_verdict){.code = -EIO, .reason = "the list of parts goes on without getting on"};
    else
        *l = page;
}

/* 0: the store has exactly our parts. -ESTALE with *err: it has others. */
static int compare_parts(struct upload *u)
{
    struct listed l = {.u = u};
    char marker[16] = "";
    int rc = 0;
    do {
        const struct sigv4_pair query[] = {{"max-parts", "1000"}, {"uploadId", u->id}, {"part-number-marker", marker}};
        const struct s3_request q = {.op = "put",
                                     .what = u->key,
                                     .method = "GET",
                                     .key = u->key,
                                     .query = query,
                                     .n_query = marker[0] ? 3 : 2,
                                     .text_limit = 1 << 20,
                                     .inspect = inspect_parts,
                                     .arg = &l};
        rc = s3_do(u->s, &q, u->c, u->err);
        memcpy(marker, l.marker, sizeof(marker));
    } while (rc == 0 && l.truncated && !l.differs);
    if (rc == 0 && (l.differs || l.seen != u->n))
        return errtext_set(u->err, -ESTALE,
                           "put %s: bucket %s: the store lists other parts of the upload than were sent (%u sent)",
                           u->key, u->s->bucket, u->n);
    return rc;
}

/* ---- complete ---- */

/* A 200 may hold an error: AWS begins its answer before the work is done. */
static void inspect_complete(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct s3_error e = {.code = ""};
    (void)arg;
    bool whole = xml_read(&r->text, "CompleteMultipartUpload", s3_error_take, &e);
    if (e.code[0])
        s3_judge_error(&e, v);
    else if (!whole)
        *v = (struct s3_verdict){.code = -EIO, .retry = true, .reason = "the answer to Complete is cut short"};
}

static void make_complete(const struct upload *u, struct strbuf *body)
{
    strbuf_adds(body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (unsigned i = 0; i < u->n; i++)
        strbuf_addf(body, "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag></Part>", i + 1, u->parts[i].etag);
    strbuf_adds(body, "</CompleteMultipartUpload>");
}

static struct s3_request complete_request(const struct upload *u, const struct sigv4_pair *query,
                                          const struct obj_source *body, const char *hash)
{
    static const struct sigv4_pair condition[] = {{"If-None-Match", "*"}};
    return (struct s3_request){.op = "put",
                               .what = u->key,
                               .method = "POST",
                               .key = u->key,
                               .query = query,
                               .n_query = 1,
                               .headers = condition,
                               .n_headers = u->create ? 1 : 0,
                               .body = body,
                               .payload_hash = hash,
                               .answer_ms = u->s->tuning.answer_ms,
                               .once = true,
                               .inspect = inspect_complete};
}

/* Which object is there, ours or another's? */
static int compare_object(struct upload *u)
{
    struct s3_body b;
    int rc = s3_body_prepare(&b, u->s, "put", u->key, u->src, u->c, S3_BODY_PART, u->err);
    return rc ? rc : s3_create_compare(u->s, u->key, &b, u->err);
}

/* After a Complete, whatever was answered (code): 0 the object is there, whole; 1 there is none; else a negative errno. */
static int settle(struct upload *u, int code)
{
    uint64_t size = 0;
    int rc = s3_head_object(u->s, "put", u->key, &size, u->c, u->err);
    if (rc)
        return rc == -ENOENT ? 1 : rc;
    if (code && u->create)
        return compare_object(u);
    if (size == u->src->len)
        return 0;
    return errtext_set(u->err, -EIO, "put %s: bucket %s: stored with %" PRIu64 " bytes instead of %" PRIu64, u->key,
                       u->s->bucket, size, u->src->len);
}

static int complete_until_settled(struct upload *u, const struct s3_request *q)
{
    unsigned most = u->c && u->c->max_tries ? u->c->max_tries : 8;
    struct http_response r = {0};
    int rc = 1;
    for (unsigned tries = 1; rc == 1; tries++) {
        struct s3_verdict v;
        s3_try(u->s, q, u->c, &r, &v);
        rc = v.code == -ECANCELED ? s3_fail(u->s, q, &v, 0, u->err) : settle(u, v.code);
        if (rc != 1)
            break;
        if (v.code == 0) {
            v = (struct s3_verdict){.code = -EIO, .reason = "Complete was acknowledged, but the object isn't there"};
            rc = s3_fail(u->s, q, &v, 0, u->err);
        } else if (!v.retry || tries >= most) {
            rc = s3_fail(u->s, q, &v, tries, u->err);
        } else if (s3_wait(s3_backoff(&u->s->tuning.retry, tries, 1u << 31, v.retry_after_ms), u->c)) {
            rc = errtext_set(u->err, -ECANCELED, "put %s: canceled", u->key);
        } else if (compare_parts(u) != 0) {
            /* The upload is gone or changed: the Complete may have ended meanwhile. */
            rc = settle(u, v.code);
            if (rc == 1)
                rc = s3_fail(u->s, q, &v, tries, u->err);
        }
    }
    strbuf_free(&r.text);
    return rc;
}

static int complete(struct upload *u)
{
    struct strbuf body = {0};
    char hash[SIGV4_HEX_SIZE];
    make_complete(u, &body);
    int rc = body.overflow ? -ENOMEM : sigv4_sha256_hex(strbuf_str(&body), body.len, hash);
    if (rc == 0) {
        const struct obj_source src = {.mem = strbuf_str(&body), .fd = -1, .len = body.len};
        const struct sigv4_pair query[] = {{"uploadId", u->id}};
        const struct s3_request q = complete_request(u, query, &src, hash);
        rc = complete_until_settled(u, &q);
    } else {
        rc = errtext_set(u->err, rc, "put %s: can't build Complete: %s", u->key, strerror(-rc));
    }
    strbuf_free(&body);
    return rc;
}

/* Ends what failed. Not the caller's cancel: the parts would stay, and cost. */
static void abort_upload(struct upload *u)
{
    const struct sigv4_pair query[] = {{"uploadId", u->id}};
    const struct s3_request q = {.op = "abort",
                                 .what = u->key,
                                 .method = "DELETE",
                                 .key = u->key,
                                 .query = query,
                                 .n_query = 1,
                                 .answer_ms = u->s->tuning.reply_ms < ABORT_MS ? u->s->tuning.reply_ms : ABORT_MS};
    const struct obj_call once = {.max_tries = 1};
    struct errtext why = {""};
    /* When there is no such upload (any more), nothing is left behind. */
    int rc = s3_do(u->s, &q, &once, &why);
    bool left = rc && rc != -ENOENT && !strstr(why.text, "NoSuchUpload") && !strstr(why.text, "upload not found");
    if (left && u->err) {
        size_t n = strlen(u->err->text);
        snprintf(u->err->text + n, sizeof(u->err->text) - n, "; its unfinished multipart upload could not be aborted");
    }
}

int s3_put_multipart(struct s3_store *s, const char *key, const struct obj_source *src, bool create,
                     const struct obj_call *c, struct errtext *err)
{
    struct upload u = {.s = s, .key = key, .src = src, .c = c, .err = err, .create = create};
    u.part_size = s->tuning.part_size;
    if (src->len / u.part_size >= MAX_PARTS)
        u.part_size = src->len / MAX_PARTS + 1;
    u.n = (unsigned)((src->len + u.part_size - 1) / u.part_size);
    u.parts = calloc(u.n, sizeof(*u.parts));
    if (!u.parts)
        return errtext_set(err, -ENOMEM, "put %s: no memory", key);
    int rc = begin_upload(&u);
    if (rc == 0) {
        for (unsigned i = 0; rc == 0 && i < u.n; i++)
            rc = put_part(&u, i);
        if (rc == 0)
            rc = compare_sum(&u);
        if (rc == 0)
            rc = compare_parts(&u);
        if (rc == 0)
            rc = complete(&u);
        if (rc)
            abort_upload(&u);
    }
    free(u.parts);
    return rc == -ENOENT || rc == -ESTALE ? -EIO : rc;
}
