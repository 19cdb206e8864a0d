/* SPDX-License-Identifier: GPL-2.0-or-later */
/* floor.c: the work on each byte that no tape library of this kind can do without, and nothing else: what counting has
 * to compare with. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/crc32c.h"

static const char usage[] = "usage: floor BYTES BLOCK [sha256] [aes]\n"
                            "For each block: one copy and two CRC32C, and as told SHA-256 and AES-256-GCM.\n";

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs(usage, stderr);
        return 2;
    }
    bool sha = false, aes = false;
    for (int i = 3; i < argc; i++) {
        sha = sha || !strcmp(argv[i], "sha256");
        aes = aes || !strcmp(argv[i], "aes");
    }
    uint64_t total = strtoull(argv[1], NULL, 10);
    size_t block = strtoull(argv[2], NULL, 10);
    uint8_t *from = malloc(block + 8), *to = malloc(block), *sealed = malloc(block);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    static const uint8_t key[32] = {1}, nonce[12] = {2};
    uint8_t tag[16], digest[32];
    uint32_t sums = 0;
    if (!block || !from || !to || !sealed || !md || !cipher || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        fail("not enough memory, or OpenSSL refuses");
    memset(from, 0x5a, block + 8);
    for (uint64_t at = 0; at < total; at += block) {
        memcpy(from, &at, sizeof(at));
        memcpy(to, from, block);
        sums ^= crc32c(0, to, block);
        const uint8_t *stored = to;
        if (aes) {
            int n = 0;
            if (EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
                EVP_EncryptUpdate(cipher, sealed, &n, to, (int)block) != 1 ||
                EVP_EncryptFinal_ex(cipher, sealed + n, &n) != 1 ||
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag) != 1)
                fail("AES-256-GCM");
            stored = sealed;
        }
        sums ^= crc32c(0, stored, block);
        if (sha && EVP_DigestUpdate(md, stored, block) != 1)
            fail("SHA-256");
    }
    if (EVP_DigestFinal_ex(md, digest, NULL) != 1)
        fail("SHA-256");
    printf("%08x %02x\n", sums, digest[0]);
    EVP_MD_CTX_free(md);
    EVP_CIPHER_CTX_free(cipher);
    free(from);
    free(to);
    free(sealed);
    return 0;
}
