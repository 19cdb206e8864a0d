/* SPDX-License-Identifier: GPL-2.0-or-later */
/* password.c: CHAP passwords from their files. */
#include "vtl/cmd/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

#define PASSWORD_MIN 12

void password_free(struct password *p)
{
    secret_free(p, sizeof(*p));
}

/* No stdio: its buffer would keep a copy of the password. */
static int read_into(struct password *p, const char *file, struct errtext *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, p->file, sizeof(p->file) - 1);
    int rc = n < 0 ? errtext_set(err, -errno, "%s: %s", file, strerror(errno)) : 0;
    if (fd >= 0)
        close(fd);
    size_t len = strcspn(p->file, "\r\n");
    if (!rc && (len < PASSWORD_MIN || len > PASSWORD_MAX))
        rc = errtext_set(err, -EINVAL,
                         "%s: the password has %s characters; must be 12 to 16, which every initiator accepts", file,
                         len < PASSWORD_MIN ? "fewer than 12" : "more than 16");
    if (!rc)
        memcpy(p->text, p->file, len);
    return rc;
}

int password_read(const char *file, struct password **out, struct errtext *err)
{
    struct password *p = secret_new(sizeof(*p));
    *out = NULL;
    if (!p)
        return errtext_set(err, -ENOMEM, "%s: the password must be in locked memory, and there is none: %s", file,
                           strerror(errno));
    int rc = read_into(p, file, err);
    if (rc)
        password_free(p);
    else
        *out = p;
    return rc;
}

static bool is_loopback(const char *portal)
{
    return config_on_loopback(portal) || !strncmp(portal, "localhost:", 10);
}

/* Initiator names and addresses are claimed, not proved: they do not replace CHAP. */
static int check_portal_needs(const struct vtl_config *cfg, struct errtext *err)
{
    if (is_loopback(cfg->iscsi.portal) || cfg->iscsi.chap_user[0])
        return 0;
    return errtext_set(err, -EINVAL,
                       "%s: [iscsi] portal = %s is reachable from other hosts: set chap_user and chap_password_file",
                       cfg->file, cfg->iscsi.portal);
}

int password_check(const struct vtl_config *cfg, struct errtext *err)
{
    struct password *chap = NULL, *mutual = NULL;
    if (check_portal_needs(cfg, err))
        return -EINVAL;
    int rc = cfg->iscsi.chap_user[0] ? password_read(cfg->iscsi.chap_password_path, &chap, err) : 0;
    if (!rc && cfg->iscsi.mutual_user[0])
        rc = password_read(cfg->iscsi.mutual_password_path, &mutual, err);
    /* RFC 7143 9.2.1: with one password, an impostor could reflect our challenge back and return our answer. */
    if (!rc && chap && mutual && !strcmp(chap->text, mutual->text))
        rc = errtext_set(err, -EINVAL,
                         "%s: chap_password_file and mutual_password_file hold the same password; they must differ",
                         cfg->file);
    password_free(chap);
    password_free(mutual);
    return rc;
}
