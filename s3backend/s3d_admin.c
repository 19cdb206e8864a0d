/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3d_admin.c: what s3d has on its own disk only, and what keeps it there.
 *
 * An object is pending until its data are with hosts, and unpinned until the indexer keeps them: it is off-site when it
 * is neither. s3d counts over all that it has, in whatever bucket. Its flush answers 200 also where it could do nothing,
 * so only the counts are believed.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/human.h"

/* It blocks until all is done, and what it does ends when we hang up. */
enum { FLUSH_MS = 600000, FAILED_MS = 600000, UNPINNED_MS = 600000 };

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

/* What one answer says together with those before it. */
static void note_stats(struct admin_s3d *d, const json_t *j, uint64_t now)
{
    uint64_t pending = 0, uploaded = 0, failed = 0, unpinned = 0;
    get_count(j, "pendingObjects", &pending);
    get_count(j, "uploadedObjects", &uploaded);
    get_count(j, "failedUploads", &failed);
    get_count(j, "unpinnedObjects", &unpinned);
    if (d->known && failed > d->failed)
        d->failed_ms = now;
    if (!unpinned || !d->unpinned_ms)
        d->unpinned_ms = unpinned ? now : 0;
    if (!pending || uploaded > d->uploaded)
        d->stuck = false;
    else if (d->known && d->flushed && d->pending)
        d->stuck = true;
    d->known = true;
    d->flushed = false;
    d->pending = pending;
    d->uploaded = uploaded;
    d->failed = failed;
}

static int get_stats(struct s3_store *s, json_t **out, const struct obj_call *c, struct errtext *err)
{
    int rc = s3_admin_call(s, "GET", s3d_admin_api.path, 0, out, c, err);
    if (!rc && !is_stats(*out)) {
        json_decref(*out);
        *out = NULL;
        rc = errtext_set(err, -EIO, "the store's admin interface, %s%s: the answer is not s3d's", s->admin.url,
                         s3d_admin_api.path);
    }
    if (!rc) {
        lock_take(&s->admin.lock);
        note_stats(&s->admin.s3d, *out, clock_ms());
        lock_release(&s->admin.lock);
    }
    return rc;
}

static int ask(struct s3_store *s, uint64_t begin_ms, struct obj_offsite *out, const struct obj_call *c,
               struct errtext *err)
{
    json_t *j = NULL;
    uint64_t pending = 0, unpinned = 0;
    char size[HUMAN_ROOM];
    int rc = get_stats(s, &j, c, err);
    if (!rc) {
        get_count(j, "pendingObjects", &pending);
        get_count(j, "unpinnedObjects", &unpinned);
        get_count(j, "pendingSize", &out->missing);
        get_count(j, "uploadedObjects", &out->brought);
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
    struct errtext said = {""};
    struct admin_s3d *d = &s->admin.s3d;
    int rc = s3_admin_call(s, "POST", "/objects/flush", FLUSH_MS, &j, c, &said);
    json_decref(j);
    if (rc != -ECANCELED) {
        lock_take(&s->admin.lock);
        d->flushed = !rc;
        d->refused = said;
        lock_release(&s->admin.lock);
    }
    return errtext_set(err, rc, "%s", said.text);
}

/* A full account s3d tells to its log only: it takes more and more, until its disk limit, and nothing leaves. */
static int findings(struct s3_store *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err)
{
    json_t *j = NULL;
    char size[HUMAN_ROOM], age[HUMAN_ROOM];
    uint64_t bytes = 0, unpinned = 0, now = clock_ms();
    int rc = get_stats(s, &j, c, err);
    if (rc)
        return rc;
    get_count(j, "pendingSize", &bytes);
    get_count(j, "unpinnedObjects", &unpinned);
    json_decref(j);
    lock_take(&s->admin.lock);
    const struct admin_s3d d = s->admin.s3d;
    lock_release(&s->admin.lock);
    if (d.refused.text[0])
        s3_admin_found(q, OBJ_CRITICAL, "s3d was asked to bring what it has to hosts, and could not: %.400s",
                       d.refused.text);
    if (d.stuck)
        s3_admin_found(q, OBJ_CRITICAL,
                       "s3d was asked to bring what it has to hosts, answered that it had, and nothing left its disk: "
                       "%llu objects (%s) are there only. Its account may be full; its log tells",
                       (unsigned long long)d.pending, human_size(bytes, size));
    if (d.unpinned_ms && now > d.unpinned_ms + UNPINNED_MS)
        s3_admin_found(q, OBJ_CRITICAL,
                       "s3d has had objects that no indexer keeps for %s, now %llu; after a day they must be uploaded "
                       "anew",
                       human_duration((now - d.unpinned_ms) / 1000, age), (unsigned long long)unpinned);
    if (d.failed_ms && now < d.failed_ms + FAILED_MS)
        s3_admin_found(q, OBJ_WARNING, "uploads of s3d's to hosts fail, %llu since it was started; its log tells why",
                       (unsigned long long)d.failed);
    return 0;
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
                                           .findings = findings,
                                           .backup = backup};
