/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_body.c: what is known of a body that is sent, and how it is made sure that the store took the same bytes.
 *
 * Each PUT ends with one of these, or it failed:
 *  1. A store that compares: the body's CRC32C is sent along, and the answer repeats it. What s3_checksum.c found out
 *     about the store says whether that counts.
 *  2. Everywhere else, and until that is found out: the ETag, where it is an MD5, is the MD5 of what was to be sent.
 *  3. Where neither speaks, HEAD tells the size that was sent (s3_put.c): a 200 with some ETag is soon made up by what
 *     stands between, and then nothing was kept.
 * Where the source's CRC32C was known before (struct obj_source), it is the one that the store is told, and what goes out
 * is held to it (s3_transfer.c): what the store took is then what was meant, not only what was read.
 *
 * A small body's MD5 is sent along too (Content-MD5), so that a store refuses what changed on the way. A big one's is
 * computed while the body is sent, by the caller's thread, which has nothing else to do: MD5 is far slower than
 * everything else here, and sending need not wait for it. What is hashed is what is sent: a source does not change.
 *
 * The body's SHA-256 is signed, except for big bodies over TLS, which protects them by itself, and to a store on this
 * host's own loopback: nobody between can change anything there. Anywhere else over plain HTTP it is the only thing
 * that keeps others from changing the body, for neither MD5 nor CRC32C is secret or signed with the answer.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/crc32c.h"

enum { CHUNK = 1 << 18 };

/* What one pass over the body computes; NULL: not this. */
struct digests {
    EVP_MD_CTX *md5, *sha;
    uint32_t *crc;
};

static int digest(struct digests *d, const unsigned char *p, size_t n)
{
    if (d->crc)
        *d->crc = crc32c(*d->crc, p, n);
    if (d->md5 && EVP_DigestUpdate(d->md5, p, n) != 1)
        return -EPROTO;
    return d->sha && EVP_DigestUpdate(d->sha, p, n) != 1 ? -EPROTO : 0;
}

static int feed(const struct s3_body *b, struct digests *d)
{
    const struct obj_source *src = b->src;
    unsigned char *buf = src->mem ? NULL : malloc(CHUNK);
    int rc = src->mem || buf ? 0 : -ENOMEM;
    for (uint64_t at = 0; rc == 0 && at < src->len;) {
        size_t n = src->len - at < CHUNK ? (size_t)(src->len - at) : (size_t)CHUNK;
        if (obj_canceled(b->c))
            rc = -ECANCELED;
        else if (!src->mem)
            rc = obj_source_read(src, at, buf, n);
        if (rc == 0)
            rc = digest(d, src->mem ? (const unsigned char *)src->mem + at : buf, n);
        at += n;
    }
    free(buf);
    return rc;
}

static int begin(EVP_MD_CTX **md, const EVP_MD *type)
{
    *md = EVP_MD_CTX_new();
    return !*md ? -ENOMEM : EVP_DigestInit_ex(*md, type, NULL) == 1 ? 0 : -EPROTO;
}

static void keep_crc(struct s3_body *b, uint32_t crc)
{
    const unsigned char be[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8),
                                 (unsigned char)crc};
    EVP_EncodeBlock((unsigned char *)b->crc, be, sizeof(be));
}

static int keep_digests(struct s3_body *b, const struct digests *d)
{
    unsigned char m[16], x[32];
    if ((d->md5 && EVP_DigestFinal_ex(d->md5, m, NULL) != 1) || (d->sha && EVP_DigestFinal_ex(d->sha, x, NULL) != 1))
        return -EPROTO;
    if (d->md5) {
        sigv4_hex(m, sizeof(m), b->md5_hex);
        EVP_EncodeBlock((unsigned char *)b->md5_base64, m, sizeof(m));
        b->has_md5 = true;
    }
    if (d->sha)
        sigv4_hex(x, sizeof(x), b->payload);
    return 0;
}

/* One pass, and none where all that is wanted is known. */
static int compute(struct s3_body *b, bool md5, bool sha, bool crc)
{
    const struct obj_source *src = b->src;
    uint32_t sum = src->crc32c;
    struct digests d = {.crc = crc && !src->has_crc ? &sum : NULL};
    if (d.crc)
        sum = 0;
    int rc = md5 ? begin(&d.md5, EVP_md5()) : 0;
    if (rc == 0 && sha)
        rc = begin(&d.sha, EVP_sha256());
    if (rc == 0 && (md5 || sha || d.crc))
        rc = feed(b, &d);
    if (rc == 0)
        rc = keep_digests(b, &d);
    if (rc == 0 && crc)
        keep_crc(b, sum);
    EVP_MD_CTX_free(d.md5);
    EVP_MD_CTX_free(d.sha);
    return rc;
}

static void tell(const struct s3_body *b, int rc, char *out, size_t room)
{
    if (rc == -ECANCELED)
        snprintf(out, room, "canceled");
    else if (rc == -EPROTO)
        snprintf(out, room, "this system's OpenSSL refuses MD5 or SHA-256");
    else if (rc == -ENODATA)
        snprintf(out, room, "the local file ends before byte %" PRIu64, b->src->offset + b->src->len);
    else
        snprintf(out, room, "can't read the local file: %s", strerror(-rc));
}

int s3_body_prepare(struct s3_body *b, struct s3_store *s, const char *op, const char *key,
                    const struct obj_source *src, const struct obj_call *c, enum s3_body_kind kind, struct errtext *err)
{
    bool big = src->len > S3_BIG_BODY && kind != S3_BODY_LIST;
    char why[200];
    *b = (struct s3_body){.s = s, .src = src, .c = c};
    snprintf(b->payload, sizeof(b->payload), "%s", SIGV4_UNSIGNED_PAYLOAD);
    int state = atomic_load(&s->checksum);
    bool crc = kind == S3_BODY_OBJECT && (big ? state != S3_CHECKSUM_UNUSED : state == S3_CHECKSUM_ASKED);
    b->by_crc = crc && state == S3_CHECKSUM_COMPARED;
    int rc = compute(b, !big, !big || !(s->tls || s3_is_alone(s)), crc);
    if (rc == 0)
        return 0;
    tell(b, rc, why, sizeof(why));
    return errtext_set(err, rc == -ECANCELED ? rc : -EIO, "%s %s: %s", op, key, why);
}

void s3_body_meanwhile(void *arg)
{
    struct s3_body *b = arg;
    if (!b->by_crc && !b->has_md5 && !b->md5_rc)
        b->md5_rc = compute(b, true, false, false);
}

int s3_body_md5(struct s3_body *b)
{
    b->by_crc = false; /* it was left out if the store used to compare by itself */
    s3_body_meanwhile(b);
    return b->md5_rc == -ECANCELED || !b->md5_rc ? b->md5_rc : -EIO;
}

/* An ETag that isn't 32 hex digits says nothing; nor does the ETag of an object that KMS encrypts. */
bool s3_body_etag_is_md5(const struct http_response *r)
{
    return !r->kms && strlen(r->etag) == 32 && strspn(r->etag, "0123456789abcdefABCDEF") == 32;
}

static void other_bytes(struct s3_verdict *v, const char *what, const char *theirs, const char *ours)
{
    *v = (struct s3_verdict){.code = -EIO, .retry = true};
    snprintf(v->reason, sizeof(v->reason), "the store took other bytes than were sent: %s %s, %s", what, theirs, ours);
}

static void compare_etag(struct s3_body *b, const struct http_response *r, struct s3_verdict *v)
{
    char ours[40];
    if (!s3_body_etag_is_md5(r))
        return;
    int rc = s3_body_md5(b);
    if (rc) {
        *v = (struct s3_verdict){.code = rc};
        tell(b, b->md5_rc, v->reason, sizeof(v->reason));
    } else if (strcasecmp(r->etag, b->md5_hex) != 0) {
        snprintf(ours, sizeof(ours), "MD5 %s", b->md5_hex);
        other_bytes(v, "ETag", r->etag, ours);
    } else {
        b->vouched = true;
    }
}

void s3_body_inspect(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct s3_body *b = arg;
    if (!r->etag[0]) { /* every S3 sends one: what answered is something in between */
        *v = (struct s3_verdict){.code = -EIO, .retry = true};
        snprintf(v->reason, sizeof(v->reason), "the answer has no ETag: nothing says that the store took it");
        return;
    }
    if (b->crc[0] && r->crc32c[0] && strcmp(r->crc32c, b->crc) != 0) {
        char ours[40];
        snprintf(ours, sizeof(ours), "sent %s", b->crc);
        other_bytes(v, "CRC32C", r->crc32c, ours);
        return;
    }
    int asked = S3_CHECKSUM_ASKED;
    if (b->crc[0] && !r->crc32c[0])
        atomic_store(&b->s->checksum, S3_CHECKSUM_UNUSED);
    else if (b->crc[0])
        atomic_compare_exchange_strong(&b->s->checksum, &asked, S3_CHECKSUM_REPEATED);
    b->vouched = b->by_crc && r->crc32c[0];
    if (!b->vouched)
        compare_etag(b, r, v);
}
