/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ask.c: see ask.h. */
#include "vtl/cmd/ask.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "vtl/library/control.h"
#include "vtl/cmd/members.h"

/* New reference; NULL: no answer by then. */
static json_t *ask_library(struct ask *a, const char *op, uint64_t until)
{
    uint64_t now = clock_ms();
    json_t *request = json_pack("{s:s}", "op", op), *result = NULL;
    if (now < until)
        (void)control_ask(&a->owing_fd, a->cfg, request, (unsigned)(until - now), &result, NULL);
    json_decref(request);
    return result;
}

void ask_all(struct ask *a, json_t **figures, json_t **status)
{
    uint64_t until = clock_ms() + ASK_MS;
    json_t *request = json_pack("{s:s}", "op", "figures");
    *figures = *status = NULL;
    if (!control_call(a->cfg, request, ASK_MS, figures, NULL))
        *status = ask_library(a, "status", until);
    json_decref(request);
}

json_t *ask_cartridges(struct ask *a)
{
    json_t *r = ask_library(a, "tape-list", clock_ms() + ASK_MS);
    json_t *list = json_incref(json_object_get(r, "cartridges"));
    json_decref(r);
    return list;
}

void ask_end(struct ask *a)
{
    control_ask_end(&a->owing_fd);
}

int ask_reload(struct ask *a, const json_t *figures, uint64_t *reloads, struct vtl_config **cfg, struct errtext *err)
{
    struct vtl_config *next = NULL;
    uint64_t n = member_number(figures, "reloads");
    if (n == *reloads)
        return 0;
    *reloads = n;
    int rc = config_load((*cfg)->file, &next, err);
    if (rc)
        return rc;
    ask_end(a);
    config_free(*cfg);
    *cfg = next;
    a->cfg = next;
    return 1;
}

void ask_disk(const char *dir, uint64_t *available, uint64_t *size)
{
    struct statvfs v;
    *available = *size = 0;
    if (statvfs(dir, &v))
        return;
    *available = (uint64_t)v.f_bavail * v.f_frsize;
    *size = (uint64_t)v.f_blocks * v.f_frsize;
}
