/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.h: the escrows of one library in a second place: kept, listed, checked, brought back. */
#ifndef S3VTL_ESCROW_H
#define S3VTL_ESCROW_H

#include "s3backend/objstore.h"
#include "vtl/escrow/escrow_file.h"

/* One that is there: escrow/<library's id>/<time, UTC>-<CRC32C of the file>. */
enum { ESCROW_NAME_SIZE = 80, ESCROW_ID_SIZE = 37 }; /* with the NUL */
struct escrow_entry {
    char key[ESCROW_NAME_SIZE];
    uint64_t created; /* seconds since 1970, by the name */
    uint64_t size;
    uint32_t crc; /* by the name */
};

/* What people call it by: the end of its key. */
const char *escrow_name(const struct escrow_entry *e);

/* All calls: any thread; 0 or a negative errno with *err. place is the second place, id the library's. */

/* Stores the file fd and reads it back. *out: what it is called there. */
int escrow_put(struct objstore *place, const char *id, uint64_t created, int fd, const struct escrow_sealed *sealed,
               struct escrow_entry *out, struct errtext *err);
/* The oldest first; id NULL: those of all libraries, one after the other. The caller frees *out by free(). Objects of other
 * names are none of ours and are passed over. */
int escrow_list(struct objstore *place, const char *id, struct escrow_entry **out, size_t *n, struct errtext *err);
/* Deletes all but the newest `keep`. */
int escrow_prune(struct objstore *place, const char *id, unsigned keep, struct errtext *err);
/* Reads it, and compares it with its name; into fd, an empty file, unless that is negative. -EBADMSG: it is damaged. */
int escrow_get(struct objstore *place, const struct escrow_entry *e, int fd, struct errtext *err);

#endif
