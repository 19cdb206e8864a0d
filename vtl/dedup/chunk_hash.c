/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_hash.c: see chunk_hash.h. */
#include "vtl/dedup/chunk_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/lock.h"
#include "base/secret.h"

/* What a thread needs while it makes an id. There are as many as threads ever did it at once. */
struct worker {
    struct worker *next; /* idle too */
    struct leaf_hash *leaves;
    EVP_MD_CTX *root;
};

struct chunk_hash {
    struct lock lock; /* guards idle */
    struct worker *idle;
    EVP_MD *sha256;
    EVP_MAC_CTX *keyed; /* at the beginning of a chunk: each gets a copy */
    uint8_t *derived;   /* SEG_CHUNK_ID bytes, and as many to derive another key into; in locked memory */
    bool has_key, failed;
};

static void worker_free(struct worker *w)
{
    leaf_hash_free(w->leaves);
    EVP_MD_CTX_free(w->root);
    free(w);
}

static struct worker *worker_new(void)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->leaves = leaf_hash_new();
    w->root = EVP_MD_CTX_new();
    if (w->leaves && w->root)
        return w;
    worker_free(w);
    return NULL;
}

static EVP_MAC_CTX *new_hmac(void)
{
    static char digest[] = "SHA256";
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC_free(mac);
    if (c && EVP_MAC_CTX_set_params(c, params) != 1) {
        EVP_MAC_CTX_free(c);
        return NULL;
    }
    return c;
}

struct chunk_hash *chunk_hash_new(void)
{
    struct chunk_hash *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    lock_init(&h->lock, LOCK_CHUNK_HASH);
    h->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->derived = secret_new(2 * SEG_CHUNK_ID);
    if (h->sha256 && h->derived)
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
    EVP_MD_free(h->sha256);
    EVP_MAC_CTX_free(h->keyed);
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
    EVP_MAC_CTX_free(h->keyed); /* wiped */
    h->keyed = NULL;
    explicit_bzero(h->derived, SEG_CHUNK_ID);
    h->has_key = key != NULL;
    h->failed = false;
    if (key) {
        h->keyed = new_hmac();
        h->failed =
            !h->keyed || !derive(key, h->derived) || EVP_MAC_init(h->keyed, h->derived, SEG_CHUNK_ID, NULL) != 1;
    }
    return h->failed ? -EIO : 0;
}

bool chunk_hash_has(struct chunk_hash *h, const uint8_t *key)
{
    uint8_t *other = h->derived + SEG_CHUNK_ID;
    if (!key || !h->has_key || h->failed)
        return !key && !h->has_key;
    bool same = derive(key, other) && !CRYPTO_memcmp(other, h->derived, SEG_CHUNK_ID);
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

static bool plain_id(const struct chunk_hash *h, struct worker *w, struct chunk_reader *r, uint8_t *id)
{
    uint8_t digests[CHUNK_LEAVES_AT_ONCE][SHA_DIGEST];
    int n;
    bool good = EVP_DigestInit_ex2(w->root, h->sha256, NULL) == 1 &&
                EVP_DigestUpdate(w->root, CHUNK_ID_TAG, strlen(CHUNK_ID_TAG)) == 1;
    while (good && (n = leaf_hash_next(w->leaves, r, digests)))
        good = n > 0 && EVP_DigestUpdate(w->root, digests, (size_t)n * SHA_DIGEST) == 1;
    return good && EVP_DigestFinal_ex(w->root, id, NULL) == 1;
}

static bool keyed_id(const struct chunk_hash *h, struct worker *w, struct chunk_reader *r, uint8_t *id)
{
    static const uint8_t tag[] = CHUNK_ID_TAG;
    uint8_t digests[CHUNK_LEAVES_AT_ONCE][SHA_DIGEST];
    EVP_MAC_CTX *c = EVP_MAC_CTX_dup(h->keyed);
    size_t size = 0;
    int n;
    bool good = c && EVP_MAC_update(c, tag, sizeof(tag) - 1) == 1;
    while (good && (n = leaf_hash_next(w->leaves, r, digests)))
        good = n > 0 && EVP_MAC_update(c, digests[0], (size_t)n * SHA_DIGEST) == 1;
    good = good && EVP_MAC_final(c, id, &size, SEG_CHUNK_ID) == 1;
    EVP_MAC_CTX_free(c); /* wiped */
    return good;
}

int chunk_hash_id(struct chunk_hash *h, const struct chunk_bytes *pieces, size_t n, uint8_t id[SEG_CHUNK_ID])
{
    struct chunk_reader r = {pieces, n, 0};
    if (h->failed)
        return -EIO;
    struct worker *w = take_worker(h);
    if (!w)
        return -ENOMEM;
    bool good = h->has_key ? keyed_id(h, w, &r, id) : plain_id(h, w, &r, id);
    give_back(h, w);
    return good ? 0 : -EIO;
}
