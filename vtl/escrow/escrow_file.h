/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_file.h: the file of an escrow: a manifest and a store's catalogue, compressed and encrypted to a public key
 * (FORMAT.md, "Escrow"). */
#ifndef S3VTL_ESCROW_FILE_H
#define S3VTL_ESCROW_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "vtl/escrow/escrow_key.h"

/* What a file says without any key. */
struct escrow_header {
    uint64_t created; /* seconds since 1970 */
    uint8_t to[ESCROW_KEY_SIZE];
};
enum { ESCROW_HEADER_SIZE = 128, ESCROW_MAX_MANIFEST = 1 << 20 };

/* Writes the file to out, which is empty: the manifest, then all of in from its beginning. *size, *crc: of the file, as
 * CRC32C. *cancel (may be NULL) becomes true: it ends soon. Any thread. 0, -ECANCELED or another negative errno with *err. */
struct escrow_sealed {
    uint64_t size;
    uint32_t crc;
};
int escrow_file_seal(const struct escrow_header *h, const char *manifest, int in, int out, const atomic_bool *cancel,
                     struct escrow_sealed *sealed, struct errtext *err);
/* Reads what may be a header. -EBADMSG with *err: it is none; -EPROTONOSUPPORT: of a later version. */
int escrow_header_decode(const uint8_t buf[ESCROW_HEADER_SIZE], struct escrow_header *out, struct errtext *err);
/* Reads the file in from its beginning, and writes the catalogue to out. *manifest: malloc'ed text. All of it is known to be
 * right only when this returns 0. -EKEYREJECTED: it is for another key. -EBADMSG: damaged, cut short, or no such file. */
int escrow_file_open(const uint8_t secret[ESCROW_KEY_SIZE], int in, int out, char **manifest, struct errtext *err);

#endif
