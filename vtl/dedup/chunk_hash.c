/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_hash.c: see chunk_hash.h. */
#include "vtl/dedup/chunk_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

#include "base/lock.h"
#include "base/secret.h"

/* What a thread needs while it makes an id. There are as many as threads ever did it at once. */
struct worker {
    struct worker *next; /* idle too */
    struct leaf_hash *leaves;
    uint8_t *text; /* of which the id is made: CHUNK_ID_TAG, and the digests of the leaves */
    size_t room;
};

struct chunk_hash {
    struct lock lock; /* guards idle */
    struct worker *idle;
    uint8_t *derived; /* SEG_CHUNK_ID bytes, and as many to derive another key into; in locked memory */
    bool has_key, failed;
};

static void worker_free(struct worker *w)
{
    leaf_hash_free(w->leaves);
    free(w->text);
    free(w);
}

static struct worker *worker_new(void)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->leaves = leaf_hash_new();
    if (w->leaves)
        return w;
    worker_free(w);
    return NULL;
}

struct chunk_hash *chunk_hash_new(void)
{
    struct chunk_hash *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    lock_init(&h->lock, LOCK_CHUNK_HASH);
    h->derived = secret_new(2 * SEG_CHUNK_ID);
    if (h->derived)
        return h;
    chunk_hash_free(h);
    return NULL;
}

void chunk_hash_free(struct chunk_hash *h)
{
    if (!h)
        return;
    for (struct worker *w = h->idle, *next; w; w = next) {
        next = w->next;
        worker_free(w);
    }
    lock_fini(&h->lock);
    secret_free(h->derived, 2 * SEG_CHUNK_ID);
    free(h);
}

static bool derive(const uint8_t *key, uint8_t *out)
{
    static char info[] = CHUNK_ID_TAG, digest[] = "SHA256";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, TAPE_KEY_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    bool good = c && EVP_KDF_derive(c, out, SEG_CHUNK_ID, params) == 1;
    EVP_KDF_CTX_free(c);
    EVP_KDF_free(kdf);
    return good;
}

int chunk_hash_key(struct chunk_hash *h, const uint8_t *key)
{
    explicit_bzero(h->derived, SEG_CHUNK_ID);
    h->has_key = key != NULL;
    h->failed = key && !derive(key, h->derived);
    return h->failed ? -EIO : 0;
}

bool chunk_hash_has(struct chunk_hash *h, const uint8_t *key)
{
    uint8_t *other = h->derived + SEG_CHUNK_ID;
    if (!key || !h->has_key || h->failed)
        return !key && !h->has_key;
    bool same = derive(key, other) && secret_equal(other, h->derived, SEG_CHUNK_ID);
    explicit_bzero(other, SEG_CHUNK_ID);
    return same;
}

/* ---- ids ---- */

static struct worker *take_worker(struct chunk_hash *h)
{
    lock_take(&h->lock);
    struct worker *w = h->idle;
    if (w)
        h->idle = w->next;
    lock_release(&h->lock);
    return w ? w : worker_new();
}

static void give_back(struct chunk_hash *h, struct worker *w)
{
    lock_take(&h->lock);
    w->next = h->idle;
    h->idle = w;
    lock_release(&h->lock);
}

static int text_room(struct worker *w, size_t need)
{
    if (need <= w->room)
        return 0;
    uint8_t *text = realloc(w->text, need);
    if (!text)
        return -ENOMEM;
    w->text = text;
    w->room = need;
    return 0;
}

/* Its length, or -EIO or -ENOMEM. */
static long make_text(struct worker *w, const struct chunk_bytes *pieces, size_t n)
{
    struct chunk_reader r = {pieces, n, 0};
    size_t len = strlen(CHUNK_ID_TAG);
    int some;
    do {
        if (text_room(w, len + (size_t)CHUNK_LEAVES_AT_ONCE * SHA_DIGEST))
            return -ENOMEM;
        some = leaf_hash_next(w->leaves, &r, (uint8_t(*)[SHA_DIGEST])(w->text + len));
        if (some < 0)
            return some;
        len += (size_t)some * SHA_DIGEST;
    } while (some);
    memcpy(w->text, CHUNK_ID_TAG, strlen(CHUNK_ID_TAG));
    return (long)len;
}

static int id_by(struct chunk_hash *h, struct worker *w, const struct chunk_bytes *pieces, size_t n, uint8_t *id)
{
    long len = make_text(w, pieces, n);
    if (len < 0)
        return (int)len;
    bool good = h->has_key ? HMAC(EVP_sha256(), h->derived, SEG_CHUNK_ID, w->text, (size_t)len, id, NULL) != NULL
                           : EVP_Digest(w->text, (size_t)len, id, NULL, EVP_sha256(), NULL) == 1;
    return good ? 0 : -EIO;
}

int chunk_hash_id(struct chunk_hash *h, const struct chunk_bytes *pieces, size_t n, uint8_t id[SEG_CHUNK_ID])
{
    if (h->failed)
        return -EIO;
    struct worker *w = take_worker(h);
    if (!w)
        return -ENOMEM;
    int rc = id_by(h, w, pieces, n, id);
    give_back(h, w);
    return rc;
}
