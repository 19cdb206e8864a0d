/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_offsite.c: what of the accepted bytes is off-site, and how the service is: which adapter is asked. */
#include "s3backend/s3.h"

#include <errno.h>

#include "base/clock.h"

static const struct s3_admin_api *const apis[] = {&s3d_admin_api, &renterd_admin_api};
#define N_APIS (sizeof(apis) / sizeof(apis[0]))

/* Asks as each of the services would be asked. 0 and *found. */
static int find_api(struct s3_store *s, const struct s3_admin_api **found, const struct obj_call *c,
                    struct errtext *err)
{
    enum obj_service service = (enum obj_service)atomic_load(&s->admin.service);
    for (size_t i = 0; i < N_APIS; i++) {
        json_t *j = NULL;
        int rc = 0;
        *found = apis[i];
        if (service == apis[i]->service)
            return 0;
        if (service != OBJ_SERVICE_UNKNOWN)
            continue;
        rc = s3_admin_call(s, "GET", apis[i]->path, 0, &j, c, err);
        bool is = rc == 0 && apis[i]->is_answer(j);
        json_decref(j);
        if (is)
            atomic_store(&s->admin.service, apis[i]->service);
        if (is || (rc && rc != -ENOENT))
            return rc;
    }
    return errtext_set(err, -EIO, "the store's admin interface, %s, is neither s3d's nor renterd's", s->admin.url);
}

int s3_offsite(struct objstore *o, struct obj_offsite *out, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct s3_admin_api *api;
    uint64_t begin = clock_ms();
    *out = (struct obj_offsite){.why = ""};
    if (atomic_load(&s->admin.service) == OBJ_SERVICE_S3) {
        out->before_ms = begin;
        return 0;
    }
    if (!s->admin.url)
        return errtext_set(err, -ENOTSUP, "what of it is off-site is not known without [store] kind or admin_url");
    int rc = find_api(s, &api, c, err);
    return rc ? rc : api->ask(s, begin, out, c, err);
}

int s3_hurry(struct objstore *o, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct s3_admin_api *api;
    if (!s->admin.url)
        return 0;
    int rc = find_api(s, &api, c, err);
    return rc ? rc : api->hurry(s, c, err);
}

int s3_findings(struct objstore *o, const struct obj_findings *q, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct s3_admin_api *api;
    if (!s->admin.url)
        return errtext_set(err, -ENOTSUP, "the state of the store's service is told by [store] admin_url only");
    int rc = find_api(s, &api, c, err);
    return rc ? rc : api->findings(s, q, c, err);
}

int s3_backup(struct objstore *o, const char *path, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct s3_admin_api *api;
    if (!s->admin.url)
        return errtext_set(err, -ENOTSUP,
                           "the store's catalogue can be had by its admin interface only: [store] "
                           "admin_url is not set");
    int rc = find_api(s, &api, c, err);
    return rc ? rc : api->backup(s, path, c, err);
}
