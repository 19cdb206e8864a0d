/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_private.h: what encrypts the pieces of an escrow's file; for escrow_box.c and escrow_file.c. */
#ifndef S3VTL_ESCROW_PRIVATE_H
#define S3VTL_ESCROW_PRIVATE_H

#include <stdbool.h>

#include "vtl/escrow/escrow_file.h"

enum { BOX_CHUNK = 1 << 20, BOX_TAG = 16 };

/* One file's key, drawn for it alone, and its header. In memory of base/secret.h. */
struct escrow_box {
    uint8_t key[32];
    uint8_t header[ESCROW_HEADER_SIZE];
    uint64_t n; /* chunks so far */
};

/* NULL with *err: no memory, no X25519, or a public key that is none. The caller frees it by escrow_box_free. */
struct escrow_box *escrow_box_to(const struct escrow_header *h, struct errtext *err);
/* For reading. NULL with *rc and *err: see escrow_file_open. */
struct escrow_box *escrow_box_from(const uint8_t secret[ESCROW_KEY_SIZE], const uint8_t header[ESCROW_HEADER_SIZE],
                                   int *rc, struct errtext *err);
void escrow_box_free(struct escrow_box *b);
/* The next chunk: len bytes, BOX_CHUNK of them unless it is the last. out has room for len + BOX_TAG. 0 or -EIO. */
int escrow_box_encrypt(struct escrow_box *b, bool last, const uint8_t *in, size_t len, uint8_t *out);
/* The same back; in has len + BOX_TAG bytes. 0 or -EBADMSG. */
int escrow_box_decrypt(struct escrow_box *b, bool last, const uint8_t *in, size_t len, uint8_t *out);

#endif
