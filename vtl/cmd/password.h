/* SPDX-License-Identifier: GPL-2.0-or-later */
/* password.h: CHAP passwords from their files. */
#ifndef S3VTL_PASSWORD_H
#define S3VTL_PASSWORD_H

#include "vtl/config/config.h"

#define PASSWORD_MAX 16
struct password {
    char text[PASSWORD_MAX + 1];
};

/* The first line of the file. 0, or a negative errno and *err, which never holds any of it; out is wiped then. The
 * caller wipes it (explicit_bzero). */
int password_read(const char *file, struct password *out, struct errtext *err);
/* Can all that are configured be read, and do the two differ? */
int password_check(const struct vtl_config *cfg, struct errtext *err);

#endif
