/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_keys.h: the S3 store's pair of keys, and where it comes from. */
#ifndef S3VTL_S3_KEYS_H
#define S3VTL_S3_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "s3backend/objstore.h"

struct s3_keys {
    char *access_key;
    char *aws4_secret; /* in secret memory (base/secret.h): sigv4_keys has what is in it */
    size_t aws4_size;
    char from[300]; /* in words: "/etc/s3vtl/credentials", "the environment" ... */
};

/* Fills k, which is zeroed, from the file or the environment, as cfg says. 0, -EINVAL or -ENOMEM with *err, which never
 * holds a key; what it allocated stays with k, also on error. Not while another thread changes the environment. */
int s3_keys_read(struct s3_keys *k, const struct objstore_config *cfg, struct errtext *err);
void s3_keys_free(struct s3_keys *k);
bool s3_keys_same(const struct s3_keys *a, const struct s3_keys *b);

#endif
