/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt_version.c: is the tgtd that would be started one that the module knows? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "vtl/cmd/tgt.h"
#include "vtl/cmd/tgtadm_abi.h"

/* The first line that it prints, and its exit status. */
static int ask(char line[64])
{
    FILE *f = popen("exec tgtd -V 2>/dev/null", "re");
    line[0] = '\0';
    if (!f)
        return -errno;
    if (!fgets(line, 64, f))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return pclose(f);
}

int tgt_check_version(struct errtext *err)
{
    char line[64], rest;
    int status = ask(line);
    unsigned number = 0;
    if (status < 0)
        return errtext_set(err, status, "tgtd -V: %s", strerror(-status));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return errtext_set(err, -ENOENT, "tgtd: not found in $PATH: install the package tgt");
    if (!line[0])
        return errtext_set(err, -EINVAL, "tgtd -V: says no version; this s3vtl needs 1.0.%d to 1.0.%d",
                           TGT_VERSION_FIRST, TGT_VERSION_LAST);
    if (sscanf(line, "1.0.%u%c", &number, &rest) != 1 || number < TGT_VERSION_FIRST || number > TGT_VERSION_LAST)
        return errtext_set(err, -EINVAL, "tgtd is version %s; this s3vtl needs 1.0.%d to 1.0.%d", line,
                           TGT_VERSION_FIRST, TGT_VERSION_LAST);
    return 0;
}
