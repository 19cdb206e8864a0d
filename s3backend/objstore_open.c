/* SPDX-License-Identifier: GPL-2.0-or-later */
/* objstore_open.c: opens a store by its configuration. */
#include <errno.h>
#include <string.h>

#include "s3backend/dir.h"
#include "s3backend/s3.h"

static int check_prefix(const char *prefix, struct errtext *err)
{
    if (!prefix || obj_prefix_ok(prefix))
        return 0;
    return errtext_set(
        err, -EINVAL,
        "store option prefix: \"%.200s\" must be A-Z a-z 0-9 . _ - and single slashes between, at most %d "
        "characters, without \".\" or \"..\" as a part",
        prefix, OBJ_MAX_PREFIX);
}

int objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err)
{
    *out = NULL;
    if (!cfg->type || !*cfg->type)
        return errtext_set(err, -EINVAL, "store option type: missing, must be dir or s3");
    int rc = check_prefix(cfg->prefix, err);
    if (rc)
        return rc;
    if (!strcmp(cfg->type, "s3"))
        return s3_open(cfg, NULL, out, err);
    if (strcmp(cfg->type, "dir") != 0)
        return errtext_set(err, -EINVAL, "store option type: \"%.100s\" is unknown, must be dir or s3", cfg->type);
    if (!cfg->path || !*cfg->path)
        return errtext_set(err, -EINVAL, "store option path: missing, must name the directory of the dir store");
    return dir_open(cfg->path, cfg->prefix ? cfg->prefix : "", out, err);
}
