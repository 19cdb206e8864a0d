/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_proxy.h: the HTTP proxy on the way to the store, which may be exchanged while requests are under way. */
#ifndef S3VTL_S3_PROXY_H
#define S3VTL_S3_PROXY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "s3backend/objstore.h"

/* Does not change once it is made, and lives as long as somebody holds it. */
struct s3_proxy {
    atomic_uint holders;
    char *url;      /* "": none */
    char *except;   /* no_proxy: hosts that are reached without it, separated by commas; "": none */
    char *user;     /* "": it asks nobody */
    char *password; /* in secret memory; NULL with user "" */
    size_t size;
};

/* Makes one of the configuration, held once. 0, -EINVAL or -ENOMEM with *err, which never holds the password. */
int s3_proxy_read(struct s3_proxy **out, const struct objstore_config *cfg, struct errtext *err);
struct s3_proxy *s3_proxy_hold(struct s3_proxy *p);
void s3_proxy_release(struct s3_proxy *p); /* NULL is allowed */
bool s3_proxy_same(const struct s3_proxy *a, const struct s3_proxy *b);
/* There is one. */
static inline bool s3_proxy_is_set(const struct s3_proxy *p)
{
    return p && p->url[0];
}

#endif
