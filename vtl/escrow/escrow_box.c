/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * escrow_box.c: what encrypts the pieces of an escrow's file: X25519 (RFC 7748) with a key pair drawn for the file,
 * HKDF-SHA256 (RFC 5869), AES-256-GCM (NIST SP 800-38D).
 *
 * Each file has a key of its own, so the number of a chunk is nonce enough. It says too whether the chunk is the last:
 * a file that was cut at a chunk's end does not open. The header is authenticated with each chunk.
 */
#include "vtl/escrow/escrow_private.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "base/secret.h"

static const char magic[8] = {'S', '3', 'V', 'T', 'L', 'E', 'S', 'C'};
enum { VERSION = 1, AT_TO = 32, AT_EPHEMERAL = 64, AT_CRC = 124, NONCE = 12 };

static int derive(const uint8_t *mine, const uint8_t *theirs, uint8_t shared[32])
{
    size_t n = 32;
    EVP_PKEY *a = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, mine, ESCROW_KEY_SIZE);
    EVP_PKEY *b = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, ESCROW_KEY_SIZE);
    EVP_PKEY_CTX *c = a ? EVP_PKEY_CTX_new(a, NULL) : NULL;
    bool good = c && b && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, b) == 1 &&
                EVP_PKEY_derive(c, shared, &n) == 1 && n == 32;
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
    return good ? 0 : -EIO;
}

/* salt: both public keys, the file's and the reader's. */
static int expand(const uint8_t shared[32], const uint8_t *salt, uint8_t key[32])
{
    static char info[] = "s3vtl escrow 1", hash[] = "SHA256";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)shared, 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, 2 * (size_t)ESCROW_KEY_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    bool good = c && EVP_KDF_derive(c, key, 32, params) == 1;
    EVP_KDF_CTX_free(c);
    EVP_KDF_free(kdf);
    return good ? 0 : -EIO;
}

static int agree(struct escrow_box *b, const uint8_t *mine, const uint8_t *theirs)
{
    uint8_t *shared = secret_new(32), salt[2 * ESCROW_KEY_SIZE];
    if (!shared)
        return -ENOMEM;
    memcpy(salt, b->header + AT_EPHEMERAL, ESCROW_KEY_SIZE);
    memcpy(salt + ESCROW_KEY_SIZE, b->header + AT_TO, ESCROW_KEY_SIZE);
    int rc = derive(mine, theirs, shared);
    if (!rc)
        rc = expand(shared, salt, b->key);
    secret_free(shared, 32);
    return rc;
}

static struct escrow_box *no_box(struct escrow_box *b, int rc, struct errtext *err)
{
    escrow_box_free(b);
    (void)errtext_set(err, rc,
                      rc == -ENOMEM ? "escrow: no locked memory for its key (ulimit -l; LimitMEMLOCK= in a service)"
                                    : "escrow: this key is none of X25519");
    return NULL;
}

struct escrow_box *escrow_box_to(const struct escrow_header *h, struct errtext *err)
{
    struct escrow_box *b = secret_new(sizeof(*b));
    uint8_t *own = b ? secret_new(ESCROW_KEY_SIZE) : NULL;
    if (!own)
        return no_box(b, -ENOMEM, err);
    uint8_t *p = b->header;
    memcpy(p, magic, sizeof(magic));
    put_le32(p + 8, VERSION);
    put_le32(p + 12, ESCROW_HEADER_SIZE);
    put_le64(p + 16, h->created);
    put_le32(p + 24, BOX_CHUNK);
    memcpy(p + AT_TO, h->to, ESCROW_KEY_SIZE);
    int rc = escrow_key_make(own, p + AT_EPHEMERAL, err);
    put_le32(p + AT_CRC, crc32c(0, p, AT_CRC));
    if (!rc)
        rc = agree(b, own, h->to);
    secret_free(own, ESCROW_KEY_SIZE);
    return rc ? no_box(b, rc, err) : b;
}

int escrow_header_decode(const uint8_t buf[ESCROW_HEADER_SIZE], struct escrow_header *out, struct errtext *err)
{
    if (memcmp(buf, magic, sizeof(magic)) != 0)
        return errtext_set(err, -EBADMSG, "it is no escrow");
    if (get_le32(buf + AT_CRC) != crc32c(0, buf, AT_CRC))
        return errtext_set(err, -EBADMSG, "its header is damaged");
    if (get_le32(buf + 8) > VERSION)
        return errtext_set(err, -EPROTONOSUPPORT,
                           "it is of version %u, and this s3vtl knows version %d: a newer one is wanted",
                           get_le32(buf + 8), (int)VERSION);
    if (get_le32(buf + 8) != VERSION || get_le32(buf + 12) != ESCROW_HEADER_SIZE || get_le32(buf + 24) != BOX_CHUNK)
        return errtext_set(err, -EBADMSG, "its header is not possible");
    out->created = get_le64(buf + 16);
    memcpy(out->to, buf + AT_TO, ESCROW_KEY_SIZE);
    return 0;
}

/* Is the secret key the one that the file is for? */
static int check_key(const uint8_t secret[ESCROW_KEY_SIZE], const struct escrow_header *h, struct errtext *err)
{
    uint8_t own[ESCROW_KEY_SIZE];
    char wanted[ESCROW_TEXT_SIZE];
    int rc = escrow_key_public(secret, own, err);
    if (rc || !memcmp(own, h->to, ESCROW_KEY_SIZE))
        return rc;
    escrow_key_format(ESCROW_PUBLIC, h->to, wanted);
    return errtext_set(err, -EKEYREJECTED, "it is for another key, the one that belongs to %s", wanted);
}

struct escrow_box *escrow_box_from(const uint8_t secret[ESCROW_KEY_SIZE], const uint8_t header[ESCROW_HEADER_SIZE],
                                   int *rc, struct errtext *err)
{
    struct escrow_header h;
    *rc = escrow_header_decode(header, &h, err);
    if (!*rc)
        *rc = check_key(secret, &h, err);
    if (*rc)
        return NULL;
    struct escrow_box *b = secret_new(sizeof(*b));
    if (b)
        memcpy(b->header, header, ESCROW_HEADER_SIZE);
    *rc = b ? agree(b, secret, header + AT_EPHEMERAL) : -ENOMEM;
    return *rc ? no_box(b, *rc, err) : b;
}

void escrow_box_free(struct escrow_box *b)
{
    secret_free(b, sizeof(*b));
}

static EVP_CIPHER_CTX *begin(const struct escrow_box *b, bool last, int encrypt)
{
    uint8_t nonce[NONCE] = {0};
    int n = 0;
    put_le64(nonce, b->n);
    nonce[8] = last;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, b->key, nonce, encrypt) == 1 &&
        EVP_CipherUpdate(c, NULL, &n, b->header, ESCROW_HEADER_SIZE) == 1)
        return c;
    EVP_CIPHER_CTX_free(c);
    return NULL;
}

int escrow_box_encrypt(struct escrow_box *b, bool last, const uint8_t *in, size_t len, uint8_t *out)
{
    int n = 0;
    EVP_CIPHER_CTX *c = begin(b, last, 1);
    bool good = c && EVP_CipherUpdate(c, out, &n, in, (int)len) == 1 && EVP_CipherFinal_ex(c, out + len, &n) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, BOX_TAG, out + len) == 1;
    EVP_CIPHER_CTX_free(c);
    b->n++;
    return good ? 0 : -EIO;
}

int escrow_box_decrypt(struct escrow_box *b, bool last, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t tag[BOX_TAG];
    int n = 0;
    memcpy(tag, in + len, BOX_TAG);
    EVP_CIPHER_CTX *c = begin(b, last, 0);
    bool good = c && EVP_CipherUpdate(c, out, &n, in, (int)len) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, BOX_TAG, tag) == 1 &&
                EVP_CipherFinal_ex(c, out + len, &n) == 1;
    EVP_CIPHER_CTX_free(c);
    b->n++;
    return good ? 0 : -EBADMSG;
}
