/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_key.h: the pair of keys of an escrow, and how they are written on paper. */
#ifndef S3VTL_ESCROW_KEY_H
#define S3VTL_ESCROW_KEY_H

#include <stdint.h>

#include "base/errtext.h"

/* X25519 (RFC 7748). The public key encrypts and is all that the gateway has; the secret one decrypts. */
enum { ESCROW_KEY_SIZE = 32, ESCROW_TEXT_SIZE = 88 };
enum escrow_key_kind { ESCROW_PUBLIC, ESCROW_SECRET };

/* A new pair. secret is the caller's, in memory of base/secret.h. 0 or -EIO with *err. Any thread, as all here. */
int escrow_key_make(uint8_t secret[ESCROW_KEY_SIZE], uint8_t public_key[ESCROW_KEY_SIZE], struct errtext *err);
/* The public key that belongs to a secret one. 0 or -EIO with *err. */
int escrow_key_public(const uint8_t secret[ESCROW_KEY_SIZE], uint8_t public_key[ESCROW_KEY_SIZE], struct errtext *err);
/* "escrow-secret:" or "escrow-public:", then 14 groups of four of A-Z and 2-7 (base32, RFC 4648 section 6): the key, and 24
 * bits of a CRC32C that find what was misread. */
void escrow_key_format(enum escrow_key_kind kind, const uint8_t key[ESCROW_KEY_SIZE], char out[ESCROW_TEXT_SIZE]);
/* Takes it as people type it: in either case, with blanks, dashes or neither. -EINVAL with *err, which never quotes it. */
int escrow_key_parse(enum escrow_key_kind kind, const char *text, uint8_t key[ESCROW_KEY_SIZE], struct errtext *err);

#endif
