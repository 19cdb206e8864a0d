/* SPDX-License-Identifier: GPL-2.0-or-later */
/* password.h: CHAP passwords from their files. */
#ifndef S3VTL_PASSWORD_H
#define S3VTL_PASSWORD_H

#include "vtl/config/config.h"

#define PASSWORD_MAX 16
struct password { /* in secret memory (base/secret.h) */
    char text[PASSWORD_MAX + 1];
    char file[256];    /* what was read */
    char request[600]; /* room for a request that holds it */
};

/* Reads the first line of the file. 0, and password_free wipes *out; or a negative errno and *err, which never contains
 * any of the password, and *out is NULL. */
int password_read(const char *file, struct password **out, struct errtext *err);
void password_free(struct password *p); /* NULL is fine */
/* Checks that the configured passwords can be read and differ, and that a portal open to other hosts has CHAP. */
int password_check(const struct vtl_config *cfg, struct errtext *err);

#endif
