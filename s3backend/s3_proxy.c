/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_proxy.c: reads the proxy's settings and the password in its file. */
#include "s3backend/s3_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

enum { MAX_PASSWORD = 256 };

static int wrong_file(const struct objstore_config *cfg, const char *what, struct errtext *err)
{
    return errtext_set(err, -EINVAL, "store option proxy_password_file: %s: %s", cfg->proxy_password_file, what);
}

static int check_file(int fd, const struct objstore_config *cfg, struct errtext *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return wrong_file(cfg, strerror(errno), err);
    if (!S_ISREG(st.st_mode))
        return wrong_file(cfg, "not a regular file", err);
    return st.st_mode & 077 && !cfg->proxy_password_by_systemd
               ? wrong_file(cfg, "others may read it; its mode must be 0600 (chmod 600)", err)
               : 0;
}

/* The first line. */
static int read_password(struct s3_proxy *p, const struct objstore_config *cfg, struct errtext *err)
{
    int fd = open(cfg->proxy_password_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return wrong_file(cfg, strerror(errno), err);
    int rc = check_file(fd, cfg, err);
    p->size = MAX_PASSWORD + 1;
    if (!rc && !(p->password = secret_new(p->size)))
        rc = errtext_set(err, -ENOMEM,
                         "the proxy's password must be in locked memory, and there is none: %s (ulimit -l)",
                         strerror(errno));
    ssize_t n = rc ? 0 : read(fd, p->password, MAX_PASSWORD);
    if (n < 0)
        rc = wrong_file(cfg, strerror(errno), err);
    close(fd);
    if (rc)
        return rc;
    p->password[n] = '\0';
    p->password[strcspn(p->password, "\r\n")] = '\0';
    return p->password[0] && n < MAX_PASSWORD ? 0 : wrong_file(cfg, "must have the password in its first line", err);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

int s3_proxy_read(struct s3_proxy **out, const struct objstore_config *cfg, struct errtext *err)
{
    struct s3_proxy *p = calloc(1, sizeof(*p));
    *out = p;
    if (!p)
        return errtext_set(err, -ENOMEM, "no memory for the store's options");
    atomic_store(&p->holders, 1);
    p->url = strdup(or_empty(cfg->proxy));
    p->except = strdup(or_empty(cfg->no_proxy));
    p->user = strdup(or_empty(cfg->proxy_user));
    for (char *c = p->except; c && *c; c++) /* libcurl of Debian 13 takes nothing else */
        *c = *c == ' ' ? ',' : *c;
    int rc = p->url && p->except && p->user ? 0 : errtext_set(err, -ENOMEM, "no memory for the store's options");
    if (!rc && p->url[0] && p->user[0])
        rc = read_password(p, cfg, err);
    if (rc) {
        s3_proxy_release(p);
        *out = NULL;
    }
    return rc;
}

struct s3_proxy *s3_proxy_hold(struct s3_proxy *p)
{
    atomic_fetch_add(&p->holders, 1);
    return p;
}

void s3_proxy_release(struct s3_proxy *p)
{
    if (!p || atomic_fetch_sub(&p->holders, 1) > 1)
        return;
    free(p->url);
    free(p->except);
    free(p->user);
    if (p->password)
        secret_free(p->password, p->size);
    free(p);
}

bool s3_proxy_same(const struct s3_proxy *a, const struct s3_proxy *b)
{
    return !strcmp(a->url, b->url) && !strcmp(a->except, b->except) && !strcmp(a->user, b->user) &&
           !strcmp(or_empty(a->password), or_empty(b->password));
}
