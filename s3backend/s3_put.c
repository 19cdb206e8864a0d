/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_put.c: stores one object.
 *
 * Content-MD5 lets the store refuse a body that changed on the way, and the ETag, where it is an MD5, tells what it
 * stored. The body's SHA-256 is signed too, except for big bodies over TLS, which protects them by itself: over plain
 * HTTP it's the only thing that keeps others from changing the body. One pass over 40 MiB takes about 75 ms for both
 * hashes (MD5 alone: 50), on the caller's thread, many times faster than any store takes the bytes.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { CHUNK = 1 << 18, BIG_BODY = 1 << 20 };

/* Reads exactly n bytes of the source at `at`. 0 or -errno; -ENODATA: the file ends early. */
static int read_source(const struct obj_source *src, uint64_t at, unsigned char *buf, size_t n)
{
    while (n) {
        ssize_t got = pread(src->fd, buf, n, (off_t)(src->offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ENODATA;
        buf += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static int feed(const struct obj_source *src, const struct obj_call *c, EVP_MD_CTX *md5, EVP_MD_CTX *sha)
{
    unsigned char *buf = src->mem ? NULL : malloc(CHUNK);
    int rc = src->mem || buf ? 0 : -ENOMEM;
    for (uint64_t at = 0; rc == 0 && at < src->len;) {
        size_t n = src->len - at < CHUNK ? (size_t)(src->len - at) : (size_t)CHUNK;
        const unsigned char *p = src->mem ? (const unsigned char *)src->mem + at : buf;
        if (c && c->cancel && atomic_load(c->cancel))
            rc = -ECANCELED;
        else if (!src->mem)
            rc = read_source(src, at, buf, n);
        if (rc == 0 && (EVP_DigestUpdate(md5, p, n) != 1 || (sha && EVP_DigestUpdate(sha, p, n) != 1)))
            rc = -EPROTO;
        at += n;
    }
    free(buf);
    return rc;
}

static int finish(struct body_hashes *h, EVP_MD_CTX *md5, EVP_MD_CTX *sha)
{
    unsigned char m[16], x[32];
    if (EVP_DigestFinal_ex(md5, m, NULL) != 1 || (sha && EVP_DigestFinal_ex(sha, x, NULL) != 1))
        return -EPROTO;
    sigv4_hex(m, sizeof(m), h->md5_hex);
    EVP_EncodeBlock((unsigned char *)h->md5_base64, m, sizeof(m));
    if (sha)
        sigv4_hex(x, sizeof(x), h->payload);
    else
        snprintf(h->payload, sizeof(h->payload), "%s", SIGV4_UNSIGNED_PAYLOAD);
    return 0;
}

int s3_hash_source(const struct s3_store *s, const char *op, const char *key, const struct obj_source *src,
                   const struct obj_call *c, struct body_hashes *h, struct errtext *err)
{
    EVP_MD_CTX *md5 = EVP_MD_CTX_new(), *sha = s->tls && src->len > BIG_BODY ? NULL : EVP_MD_CTX_new();
    int rc = md5 && (sha || (s->tls && src->len > BIG_BODY)) ? 0 : -ENOMEM;
    if (rc == 0 &&
        (EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1 || (sha && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) != 1)))
        rc = -EPROTO;
    if (rc == 0)
        rc = feed(src, c, md5, sha);
    if (rc == 0)
        rc = finish(h, md5, sha);
    EVP_MD_CTX_free(md5);
    EVP_MD_CTX_free(sha);
    if (rc == -ECANCELED)
        return errtext_set(err, rc, "%s %s: canceled", op, key);
    if (rc == -EPROTO)
        return errtext_set(err, -EIO, "%s %s: this system's OpenSSL refuses MD5 or SHA-256", op, key);
    if (rc == -ENODATA)
        return errtext_set(err, -EIO, "%s %s: the local file ends before byte %" PRIu64, op, key,
                           src->offset + src->len);
    return rc ? errtext_set(err, -EIO, "%s %s: can't read the local file: %s", op, key, strerror(-rc)) : 0;
}

static bool is_md5(const char *etag)
{
    return strlen(etag) == 32 && strspn(etag, "0123456789abcdefABCDEF") == 32;
}

/* Trap 6: an ETag that isn't 32 hex digits says nothing; nor does the ETag of an object that KMS encrypts. */
void s3_inspect_etag(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    const char *md5 = arg;
    if (!r->etag[0]) { /* every S3 sends one: what answered is something in between */
        *v = (struct s3_verdict){.code = -EIO, .retry = true};
        snprintf(v->reason, sizeof(v->reason), "the answer has no ETag: nothing says that the store took it");
        return;
    }
    if (r->kms || !is_md5(r->etag) || !strcasecmp(r->etag, md5))
        return;
    *v = (struct s3_verdict){.code = -EIO, .retry = true};
    snprintf(v->reason, sizeof(v->reason), "the store took other bytes than were sent: ETag %s, MD5 %s", r->etag, md5);
}

int s3_put(struct objstore *o, const char *key, const struct obj_source *src, const struct obj_call *c,
           struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    int rc = s3_check_key("put", key, err);
    if (rc)
        return rc;
    if (src->len > s->tuning.multipart_over)
        return s3_put_multipart(s, key, src, c, err);
    struct body_hashes h;
    rc = s3_hash_source(s, "put", key, src, c, &h, err);
    if (rc)
        return rc;
    const struct sigv4_pair headers[] = {{"Content-Type", "application/octet-stream"}, {"Content-MD5", h.md5_base64}};
    const struct s3_request q = {.op = "put",
                                 .what = key,
                                 .method = "PUT",
                                 .key = key,
                                 .headers = headers,
                                 .n_headers = 2,
                                 .body = src,
                                 .payload_hash = h.payload,
                                 .answer_ms = s->tuning.answer_ms,
                                 .inspect = s3_inspect_etag,
                                 .arg = h.md5_hex};
    struct http_response r = {0};
    rc = s3_call(s, &q, c, &r, err);
    strbuf_free(&r.text);
    /* NoSuchKey can't be the answer to a PUT; whatever said so, the object isn't stored. */
    return rc == -ENOENT ? -EIO : rc;
}
