/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owner.c: root's commands run as the owner of the library. */
#include "vtl/cmd/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names the file that the service could not read either. */
static int check_readable(const struct vtl_config *cfg, const char *file, const char *user, struct errtext *err)
{
    if (!file[0] || !access(file, R_OK))
        return 0;
    return errtext_set(err, -errno, "%s: user %s, the owner of %s, cannot read it: %s", file, user,
                       cfg->library.state_dir, strerror(errno));
}

int owner_become(const struct vtl_config *cfg, struct errtext *err)
{
    struct stat st;
    char user[80];
    if (geteuid() != 0 || stat(cfg->library.state_dir, &st) || st.st_uid == 0)
        return 0;
    const struct passwd *pw = getpwuid(st.st_uid);
    (void)snprintf(user, sizeof(user), "%u", (unsigned)st.st_uid);
    if (pw)
        (void)snprintf(user, sizeof(user), "%s", pw->pw_name);
    if ((pw ? initgroups(user, st.st_gid) : setgroups(0, NULL)) || setresgid(st.st_gid, st.st_gid, st.st_gid) ||
        setresuid(st.st_uid, st.st_uid, st.st_uid))
        return errtext_set(err, -errno, "cannot become user %s, the owner of %s: %s", user, cfg->library.state_dir,
                           strerror(errno));
    const char *const files[] = {cfg->file,
                                 cfg->store.credentials_file,
                                 cfg->store.ca_file,
                                 cfg->iscsi.chap_password_file,
                                 cfg->iscsi.mutual_password_file,
                                 cfg->store.proxy_password_file,
                                 cfg->store.admin_password_file,
                                 cfg->escrow.credentials_file,
                                 cfg->escrow.ca_file,
                                 cfg->escrow.proxy_password_file};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(files) / sizeof(files[0]); i++)
        rc = config_is_systemd(files[i]) ? 0 : check_readable(cfg, files[i], user, err);
    return rc;
}
