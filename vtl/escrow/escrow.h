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

/* All calls: any thread; 0 or a negative errno with *err. place is the second place, whatever type of store it is; id the
 * library's; c as for a store, NULL: nothing special. */

/* Stores the file what->fd and reads it back. *out: what it is called there. */
struct escrow_put {
    const char *id;
    uint64_t created; /* of what is in it */
    int fd;
    struct escrow_sealed sealed;
};
int escrow_put(struct objstore *place, const struct escrow_put *what, struct escrow_entry *out,
               const struct obj_call *c, struct errtext *err);
/* The oldest first; id NULL: those of all libraries, one after the other. The caller frees *out by free(). Objects of other
 * names are none of ours and are passed over. */
int escrow_list(struct objstore *place, const char *id, struct escrow_entry **out, size_t *n, const struct obj_call *c,
                struct errtext *err);
/* Deletes the oldest, so that `keep` stay; never the one of the key `but` ("": none), which was made just now, by whatever
 * clock. */
struct escrow_prune {
    unsigned keep;
    const char *but;
};
int escrow_prune(struct objstore *place, const char *id, const struct escrow_prune *how, const struct obj_call *c,
                 struct errtext *err);
/* The one of that key. -ENOENT: there is none. */
int escrow_find(struct objstore *place, const char *key, struct escrow_entry *out, const struct obj_call *c,
                struct errtext *err);
/* Is that the key of one, whether or not it is there? */
bool escrow_is_key(const char *key);
/* Reads it, and compares it with its name; into fd, an empty file, unless that is negative. -EBADMSG: it is damaged. */
int escrow_get(struct objstore *place, const struct escrow_entry *e, int fd, const struct obj_call *c,
               struct errtext *err);

#endif
