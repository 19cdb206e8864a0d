/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3d_admin.c: what s3d has on its own disk only.
 *
 * An object is pending until its data are with hosts, and unpinned until the indexer keeps them: it is off-site when it
 * is neither. s3d counts over all that it has, in whatever bucket. Its flush answers 200 also where it could do nothing,
 * so only the counts are believed.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>

#include "base/human.h"

/* It blocks until all is done, and what it does ends when we hang up. */
enum { FLUSH_MS = 600000 };

static bool get_count(const json_t *j, const char *name, uint64_t *out)
{
    const json_t *n = json_object_get(j, name);
    json_int_t value = json_integer_value(n);
    *out = (uint64_t)value;
    return json_is_integer(n) && value >= 0;
}

static bool is_stats(const json_t *j)
{
    uint64_t n;
    return get_count(j, "pendingObjects", &n) && get_count(j, "unpinnedObjects", &n) && get_count(j, "pendingSize", &n);
}

static int ask(struct s3_store *s, uint64_t begin_ms, struct obj_offsite *out, const struct obj_call *c,
               struct errtext *err)
{
    json_t *j = NULL;
    uint64_t pending = 0, unpinned = 0;
    char size[HUMAN_ROOM];
    int rc = s3_admin_call(s, "GET", s3d_admin_api.path, 0, &j, c, err);
    if (!rc && !is_stats(j))
        rc = errtext_set(err, -EIO, "the store's admin interface, %s%s: the answer is not s3d's", s->admin.url,
                         s3d_admin_api.path);
    if (!rc) {
        get_count(j, "pendingObjects", &pending);
        get_count(j, "unpinnedObjects", &unpinned);
        get_count(j, "pendingSize", &out->missing);
    }
    json_decref(j);
    if (rc)
        return rc;
    if (!pending && !unpinned)
        out->before_ms = begin_ms;
    else
        (void)snprintf(out->why, sizeof(out->why),
                       "s3d has %llu objects (%s) on its own disk and %llu that no indexer keeps yet, of all that it "
                       "stores, whoever wrote them",
                       (unsigned long long)pending, human_size(out->missing, size), (unsigned long long)unpinned);
    return 0;
}

static int hurry(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    json_t *j = NULL;
    int rc = s3_admin_call(s, "POST", "/objects/flush", FLUSH_MS, &j, c, err);
    json_decref(j);
    return rc;
}

static int backup(struct s3_store *s, const char *path, const struct obj_call *c, struct errtext *err)
{
    json_t *body = json_pack("{s:s}", "path", path);
    int rc = s3_admin_post(s, "/system/sqlite3/backup", body, ADMIN_BACKUP_MS, c, err);
    json_decref(body);
    return rc;
}

const struct s3_admin_api s3d_admin_api = {.service = OBJ_SERVICE_S3D,
                                           .path = "/stats/uploads",
                                           .is_answer = is_stats,
                                           .ask = ask,
                                           .hurry = hurry,
                                           .backup = backup};
