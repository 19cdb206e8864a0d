/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_crypt.c: AES-256-GCM of a record, after compression (FORMAT.md, "Block, AES-256-GCM"). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/segment_private.h"

#define NONCE 12
#define CRC 4
#define TAG 16
#define AAD 31

/* What a block is bound to: moved elsewhere, or with another length, it does not open. The extension follows it. */
static void bind(const struct seg_record *r, const uint8_t cartridge[16], uint8_t aad[AAD])
{
    memcpy(aad, cartridge, 16);
    put_le64(aad + 16, r->object);
    put_le32(aad + 24, r->length);
    aad[28] = r->flags;
    put_le16(aad + 29, r->ext_len);
}

/* The context and what it holds of the key are wiped at once by its end: so it is made for each block. */
static EVP_CIPHER_CTX *begin(const uint8_t *key, const uint8_t *nonce, const uint8_t aad[AAD], const uint8_t *ext,
                             uint16_t ext_len, int encrypt)
{
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
                EVP_CipherUpdate(ctx, NULL, &n, aad, AAD) == 1 &&
                (!ext_len || EVP_CipherUpdate(ctx, NULL, &n, ext, ext_len) == 1);
    if (good)
        return ctx;
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

/* A random nonce for each block: with one key for some 2^26 blocks of a media set, the chance that any two are equal is
 * about 2^-45; NIST SP 800-38D allows 2^32 of them. */
int seg_encrypt(const uint8_t cartridge[16], const struct seg_key *key, struct seg_record *r, const void **payload,
                uint8_t **buf, size_t *room)
{
    uint32_t plain = r->stored_len;
    size_t need = (size_t)key->kad_len + NONCE + CRC + plain + TAG;
    if (*room < need) {
        uint8_t *p = realloc(*buf, need);
        if (!p)
            return -ENOMEM;
        *buf = p;
        *room = need;
    }
    uint8_t *ext = *buf, *nonce = ext + key->kad_len, *out = nonce + NONCE, crc[CRC], aad[AAD];
    r->flags |= SEG_AES256_GCM;
    r->ext_len = key->kad_len;
    put_le32(crc, r->crc_plain);
    if (key->kad_len)
        memcpy(ext, key->kad, key->kad_len);
    bind(r, cartridge, aad);
    if (RAND_bytes(nonce, NONCE) != 1)
        return -EIO;
    EVP_CIPHER_CTX *ctx = begin(key->key, nonce, aad, ext, r->ext_len, 1);
    int n = 0, last = 0;
    bool good = ctx && EVP_EncryptUpdate(ctx, out, &n, crc, CRC) == 1 &&
                EVP_EncryptUpdate(ctx, out + CRC, &n, *payload, (int)plain) == 1 &&
                EVP_EncryptFinal_ex(ctx, out + CRC + plain, &last) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, out + CRC + plain) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!good)
        return -EIO;
    r->stored_len = NONCE + CRC + plain + TAG;
    r->crc_plain = 0;
    r->crc_stored = crc32c(0, *buf, need);
    *payload = *buf;
    return 0;
}

int seg_unbox(const struct seg_record *r, const uint8_t *ext, const uint8_t cartridge[16], const uint8_t *key,
              uint32_t *crc, uint8_t *out)
{
    const uint8_t *nonce = ext + r->ext_len, *in = nonce + NONCE;
    uint32_t plain = r->stored_len - NONCE - CRC - TAG;
    uint8_t aad[AAD], head[CRC], tag[TAG];
    int n = 0, last = 0;
    bind(r, cartridge, aad);
    memcpy(tag, in + CRC + plain, TAG);
    EVP_CIPHER_CTX *ctx = begin(key, nonce, aad, ext, r->ext_len, 0);
    if (!ctx)
        return -ENOMEM;
    bool good = EVP_DecryptUpdate(ctx, head, &n, in, CRC) == 1 &&
                EVP_DecryptUpdate(ctx, out, &n, in + CRC, (int)plain) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
                EVP_DecryptFinal_ex(ctx, out + plain, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    *crc = get_le32(head);
    return good ? 0 : -EKEYREJECTED;
}

int seg_unbox_error(const struct seg_record *r, int rc, struct errtext *err)
{
    return errtext_set(err, rc, "block %" PRIu64 "%s", r->object,
                       rc == -ENOMEM ? ": out of memory" : " is encrypted with another key");
}

int seg_record_decrypt(const struct seg_record *r, const void *rec, const uint8_t cartridge[16],
                       const struct seg_key *key, void *buf, size_t room, struct errtext *err)
{
    const uint8_t *ext = (const uint8_t *)rec + SEG_RECORD_SIZE;
    int rc = seg_check_stored(r, ext, err);
    if (rc)
        return rc;
    if (!key)
        return errtext_set(err, -ENOKEY, "block %" PRIu64 " is encrypted", r->object);
    if (r->flags & SEG_PIECES)
        return errtext_set(err, -EINVAL, "block %" PRIu64 " is in pieces", r->object);
    bool zstd = r->flags & SEG_ZSTD;
    size_t plain = r->stored_len - NONCE - CRC - TAG;
    bool own = zstd || room < plain;
    uint8_t *temp = own ? malloc(plain) : NULL, *out = own ? temp : buf;
    if (!out)
        return errtext_set(err, -ENOMEM, "block %" PRIu64 ": out of memory", r->object);
    uint32_t crc = 0;
    rc = seg_unbox(r, ext, cartridge, key->key, &crc, out);
    if (rc)
        (void)seg_unbox_error(r, rc, err);
    else if (zstd)
        rc = seg_expand(r, out, plain, crc, buf, room, err);
    else if (crc32c(0, out, plain) != crc)
        rc = errtext_set(err, -EBADMSG, "block %" PRIu64 ": CRC of the decrypted bytes is wrong", r->object);
    else if (temp && room)
        memcpy(buf, temp, room < plain ? room : plain);
    if (rc && !temp)
        OPENSSL_cleanse(buf, plain); /* what did not pass is nobody's to see */
    if (temp)
        OPENSSL_cleanse(temp, plain);
    free(temp);
    return rc;
}
