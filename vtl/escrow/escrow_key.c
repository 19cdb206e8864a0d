/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_key.c: the pair of keys of an escrow; see escrow_key.h. */
#include "vtl/escrow/escrow_key.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/crc32c.h"
#include "base/secret.h"

enum { CHECK = 3, CODED = ESCROW_KEY_SIZE + CHECK, LETTERS = CODED * 8 / 5, GROUP = 4 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char *const prefixes[] = {"escrow-public:", "escrow-secret:"};

static int take_raw(EVP_PKEY *pair, uint8_t *secret, uint8_t *public_key)
{
    size_t n = ESCROW_KEY_SIZE, m = ESCROW_KEY_SIZE;
    if (!pair || (secret && EVP_PKEY_get_raw_private_key(pair, secret, &n) != 1) ||
        EVP_PKEY_get_raw_public_key(pair, public_key, &m) != 1)
        return -EIO;
    return n == ESCROW_KEY_SIZE && m == ESCROW_KEY_SIZE ? 0 : -EIO;
}

static int no_x25519(int rc, struct errtext *err)
{
    return rc ? errtext_set(err, rc, "this system's OpenSSL has no X25519") : 0;
}

int escrow_key_make(uint8_t secret[ESCROW_KEY_SIZE], uint8_t public_key[ESCROW_KEY_SIZE], struct errtext *err)
{
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    int rc = take_raw(pair, secret, public_key);
    EVP_PKEY_free(pair);
    return no_x25519(rc, err);
}

int escrow_key_public(const uint8_t secret[ESCROW_KEY_SIZE], uint8_t public_key[ESCROW_KEY_SIZE], struct errtext *err)
{
    EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, ESCROW_KEY_SIZE);
    int rc = take_raw(pair, NULL, public_key);
    EVP_PKEY_free(pair);
    return no_x25519(rc, err);
}

/* Of what it is for, too: a public key is no secret one. */
static void add_check(enum escrow_key_kind kind, uint8_t coded[CODED])
{
    uint32_t crc = crc32c(crc32c(0, prefixes[kind], strlen(prefixes[kind])), coded, ESCROW_KEY_SIZE);
    for (int i = 0; i < CHECK; i++)
        coded[ESCROW_KEY_SIZE + i] = (uint8_t)(crc >> (8 * i));
}

void escrow_key_format(enum escrow_key_kind kind, const uint8_t key[ESCROW_KEY_SIZE], char out[ESCROW_TEXT_SIZE])
{
    uint8_t coded[CODED];
    secret_copy(coded, key, ESCROW_KEY_SIZE);
    add_check(kind, coded);
    size_t at = strlen(prefixes[kind]);
    memcpy(out, prefixes[kind], at);
    for (unsigned i = 0; i < LETTERS; i++) {
        unsigned bit = i * 5;
        uint32_t two = (uint32_t)coded[bit / 8] << 8 | (bit / 8 + 1 < CODED ? coded[bit / 8 + 1] : 0);
        if (i && i % GROUP == 0)
            out[at++] = '-';
        out[at++] = alphabet[two >> (11 - bit % 8) & 31];
    }
    out[at] = '\0';
    OPENSSL_cleanse(coded, sizeof(coded));
}

/* The text behind the prefix, or NULL. */
static const char *behind_prefix(enum escrow_key_kind kind, const char *text)
{
    text += strspn(text, " \t\r\n");
    return strncasecmp(text, prefixes[kind], strlen(prefixes[kind])) ? NULL : text + strlen(prefixes[kind]);
}

/* How many letters came, or a negative errno. */
static int decode(const char *p, uint8_t coded[CODED])
{
    unsigned n = 0;
    memset(coded, 0, CODED);
    for (; *p; p++) {
        const char *digit = strchr(alphabet, toupper((unsigned char)*p));
        if (*p == '-' || isspace((unsigned char)*p))
            continue;
        if (!digit || n == LETTERS)
            return -EINVAL;
        unsigned v = (unsigned)(digit - alphabet), bit = n++ * 5;
        coded[bit / 8] |= (uint8_t)(v << 11 >> bit % 8 >> 8);
        if (bit / 8 + 1 < CODED)
            coded[bit / 8 + 1] |= (uint8_t)(v << 11 >> bit % 8);
    }
    return (int)n;
}

int escrow_key_parse(enum escrow_key_kind kind, const char *text, uint8_t key[ESCROW_KEY_SIZE], struct errtext *err)
{
    const char *p = behind_prefix(kind, text);
    uint8_t coded[CODED], again[CODED];
    if (!p && behind_prefix(kind == ESCROW_PUBLIC ? ESCROW_SECRET : ESCROW_PUBLIC, text))
        return errtext_set(err, -EINVAL, "the other key of the pair is wanted, the one that begins with \"%s\"",
                           prefixes[kind]);
    if (!p)
        return errtext_set(err, -EINVAL, "a key of an escrow begins with \"%s\"", prefixes[kind]);
    int n = decode(p, coded), rc = 0;
    secret_copy(again, coded, sizeof(again));
    add_check(kind, again);
    if (n < 0)
        rc = errtext_set(err, -EINVAL, "behind \"%s\" there are more than 14 groups of four of A-Z and 2-7",
                         prefixes[kind]);
    else if (n < LETTERS)
        rc = errtext_set(err, -EINVAL, "behind \"%s\" there are %d letters instead of %d: some are missing",
                         prefixes[kind], n, (int)LETTERS);
    else if (!secret_equal(coded, again, CODED))
        rc = errtext_set(err, -EINVAL, "the key that begins with \"%s\" has a misread letter", prefixes[kind]);
    else
        secret_copy(key, coded, ESCROW_KEY_SIZE);
    OPENSSL_cleanse(coded, sizeof(coded));
    OPENSSL_cleanse(again, sizeof(again));
    return rc;
}
