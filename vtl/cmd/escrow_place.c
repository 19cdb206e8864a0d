/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_place.c: the second place, whatever type of store it is; see escrow.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"

const char *escrow_where(const struct vtl_config *cfg, char buf[ESCROW_WHERE])
{
    const char *url = cfg->escrow.url;
    size_t n = strlen(url);
    if (!url[0])
        (void)snprintf(buf, ESCROW_WHERE, "%s", cfg->escrow.path);
    else
        (void)snprintf(buf, ESCROW_WHERE, "%.*s/%s%s%s", (int)(n && url[n - 1] == '/' ? n - 1 : n), url,
                       cfg->escrow.bucket, cfg->escrow.prefix[0] ? "/" : "", cfg->escrow.prefix);
    return buf;
}

const char *escrow_no_place(const struct vtl_config *cfg, struct errtext *err)
{
    errtext_set(err, -EINVAL, "%s: [escrow] has neither path nor url: there is no place for an escrow", cfg->file);
    return err->text;
}

int escrow_open_place(const struct vtl_config *cfg, struct objstore **place, const struct obj_call *c,
                      struct errtext *err)
{
    struct stat st;
    struct objstore_config oc;
    if (!config_has_escrow(cfg)) {
        (void)escrow_no_place(cfg, err);
        return -EINVAL;
    }
    config_escrow(cfg, &oc);
    oc.note = log_note;
    oc.patience_ms = OBJ_PATIENCE_MS;
    /* A directory that is not mounted would be made anew, on this very disk. */
    if (!strcmp(oc.type, "dir") && (stat(oc.path, &st) || !S_ISDIR(st.st_mode)))
        return errtext_set(err, -ENOENT, "[escrow] path %s is no directory: is it mounted?", oc.path);
    int rc = objstore_open(&oc, place, err);
    if (!rc)
        rc = (*place)->ops->check(*place, c, err);
    if (rc && strcmp(oc.type, "dir") != 0) {
        struct errtext why = *err;
        errtext_set(err, rc, "[escrow] %.500s", why.text);
    }
    return rc;
}
