/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_leaves.c: see chunk_leaves.h. */
#include "vtl/dedup/chunk_leaves.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

struct leaf_hash {
    EVP_MD *sha256;
    EVP_MD_CTX *one;
    struct sha_lanes *lanes; /* NULL: they do not work here */
    size_t least;            /* leaves for which they are faster */
    uint8_t *joined;         /* room for leaves that lie in several pieces */
};

/* ---- leaves ---- */

static void skip_empty(struct chunk_reader *r)
{
    while (r->n && r->at == r->pieces->n) {
        r->pieces++;
        r->n--;
        r->at = 0;
    }
}

static size_t read_piece(struct chunk_reader *r, size_t most, const uint8_t **p)
{
    size_t left = r->pieces->n - r->at, n = left < most ? left : most;
    *p = r->pieces->p + r->at;
    r->at += n;
    skip_empty(r);
    return n;
}

/* joined: where it is put together if it lies in several pieces. */
static bool next_leaf(struct chunk_reader *r, uint8_t *joined, struct sha_message *leaf)
{
    skip_empty(r);
    if (!r->n)
        return false;
    leaf->n = read_piece(r, CHUNK_LEAF, &leaf->p);
    if (leaf->n == CHUNK_LEAF || !r->n)
        return true;
    memcpy(joined, leaf->p, leaf->n);
    leaf->p = joined;
    while (leaf->n < CHUNK_LEAF && r->n) {
        const uint8_t *more;
        size_t n = read_piece(r, CHUNK_LEAF - leaf->n, &more);
        memcpy(joined + leaf->n, more, n);
        leaf->n += n;
    }
    return true;
}

/* ---- digests ---- */

static bool one_by_one(struct leaf_hash *h, const struct sha_message *leaves, size_t n, uint8_t (*digests)[SHA_DIGEST])
{
    for (size_t i = 0; i < n; i++)
        if (EVP_DigestInit_ex2(h->one, h->sha256, NULL) != 1 ||
            EVP_DigestUpdate(h->one, leaves[i].p, leaves[i].n) != 1 ||
            EVP_DigestFinal_ex(h->one, digests[i], NULL) != 1)
            return false;
    return true;
}

int leaf_hash_next(struct leaf_hash *h, struct chunk_reader *r, uint8_t (*digests)[SHA_DIGEST])
{
    struct sha_message leaves[CHUNK_LEAVES_AT_ONCE];
    size_t n = 0;
    while (n < CHUNK_LEAVES_AT_ONCE && next_leaf(r, h->joined + n * CHUNK_LEAF, &leaves[n]))
        n++;
    bool good =
        h->lanes && n >= h->least ? sha_lanes_digest(h->lanes, leaves, n, digests) : one_by_one(h, leaves, n, digests);
    return good ? (int)n : -EIO;
}

/* ---- which is faster ---- */

static double processor_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Lanes take about as long for few leaves as for all, so they are faster from as many on as one after the other take that
 * long. They must also have the right answer. The best of several rounds: other threads may have come in between.
 */
static size_t least_for_lanes(struct leaf_hash *h)
{
    enum { ROUNDS = 3, N = CHUNK_LEAVES_AT_ONCE };
    uint8_t want[N][SHA_DIGEST], got[N][SHA_DIGEST];
    struct sha_message leaves[N];
    double one = 1, lanes = 1;
    for (size_t i = 0; i < N; i++) {
        leaves[i] = (struct sha_message){h->joined + i * CHUNK_LEAF, CHUNK_LEAF};
        h->joined[i * CHUNK_LEAF] = (uint8_t)i; /* an answer in another's place is a wrong one */
    }
    for (int i = 0; i < ROUNDS; i++) {
        double begin = processor_seconds();
        bool good = one_by_one(h, leaves, N, want);
        double middle = processor_seconds();
        if (!good || !sha_lanes_digest(h->lanes, leaves, N, got) || memcmp(want, got, sizeof(want)) != 0)
            return N + 1;
        double end = processor_seconds();
        one = middle - begin < one ? middle - begin : one;
        lanes = end - middle < lanes ? end - middle : lanes;
    }
    return lanes < one ? (size_t)(lanes / one * N) + 1 : N + 1;
}

struct leaf_hash *leaf_hash_new(void)
{
    struct leaf_hash *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->one = EVP_MD_CTX_new();
    h->joined = calloc(CHUNK_LEAVES_AT_ONCE, CHUNK_LEAF);
    if (!h->sha256 || !h->one || !h->joined) {
        leaf_hash_free(h);
        return NULL;
    }
    h->lanes = sha_lanes_new();
    if (h->lanes)
        h->least = least_for_lanes(h);
    return h;
}

void leaf_hash_free(struct leaf_hash *h)
{
    if (!h)
        return;
    EVP_MD_free(h->sha256);
    EVP_MD_CTX_free(h->one);
    sha_lanes_free(h->lanes);
    free(h->joined);
    free(h);
}

void leaf_hash_side_by_side(struct leaf_hash *h, size_t least)
{
    h->least = least;
}
