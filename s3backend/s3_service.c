/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_service.c: which service is behind an S3 port, by what its answers tell. */
#include "s3backend/s3.h"

#include <string.h>

/* The name of its software, where that is told: what is none of Sia's keeps an object where it puts it. What is not in
 * this list may stand before one of them. */
static bool is_plain(const char *server)
{
    static const char *const names[] = {"MinIO", "SeaweedFS", "VERSITYGW"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strncasecmp(server, names[i], strlen(names[i])))
            return true;
    return false;
}

static bool is_amazons(const char *host)
{
    static const char domain[] = ".amazonaws.com";
    size_t n = strcspn(host, ":"), d = strlen(domain);
    return n > d && !strncmp(host + n - d, domain, d);
}

void s3_admin_note(struct s3_store *s, const char *server)
{
    struct s3_admin *a = &s->admin;
    if (!server[0] || a->given || a->url || atomic_load(&a->service) != OBJ_SERVICE_UNKNOWN)
        return;
    bool amazon = !strcmp(server, "AmazonS3");
    if (is_plain(server) || (amazon && is_amazons(s->host)))
        atomic_store(&a->service, OBJ_SERVICE_S3);
    else if (amazon)
        atomic_store(&a->poses, true);
}

void s3_admin_facts(struct s3_store *s, struct obj_facts *out)
{
    const struct s3_admin *a = &s->admin;
    out->service = (enum obj_service)atomic_load(&a->service);
    out->tells_offsite = a->url || out->service == OBJ_SERVICE_S3;
    out->tells_health = a->url && out->service == OBJ_SERVICE_RENTERD;
    if (out->service == OBJ_SERVICE_UNKNOWN && atomic_load(&a->poses) && out->creates == OBJ_NO)
        out->service = OBJ_SERVICE_RENTERD;
}
