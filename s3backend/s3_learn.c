/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_learn.c: finds out what a person is to know of the store: does the bucket keep what is deleted, can it lock
 * objects, does the store honour If-None-Match? */
#include "s3backend/s3.h"

#include <errno.h>
#include <string.h>

static void take_status(void *arg, const struct xml_element *x)
{
    bool *enabled = arg;
    if (x->depth == 1 && xml_is_leaf(x, x->parent, "Status"))
        *enabled = !strcmp(x->text, "Enabled");
}

static void inspect_versioning(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    if (!xml_read(&r->text, "VersioningConfiguration", take_status, arg))
        *v = (struct s3_verdict){.code = -EIO, .reason = "the answer tells of no versioning"};
}

/* A sub-resource that S3 has had from the start; renterd says that there is none. Whoever may not ask, or asks a store
 * that does not know, does not get to know: that is no error. */
static int ask_versioning(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    struct http_response r = {0};
    bool enabled = false;
    int rc;
    bool answered = s3_ask_bucket(s, "versioning", inspect_versioning, &enabled, &r, c, &rc, err);
    strbuf_free(&r.text);
    if (rc == 0) {
        atomic_store(&s->versioned, enabled ? OBJ_YES : OBJ_NO);
        if (!enabled) { /* only what keeps versions locks objects */
            atomic_store(&s->locked, OBJ_NO);
            atomic_store(&s->lockable, OBJ_NO);
        }
    }
    return answered ? 0 : rc;
}

int s3_learn(struct objstore *o, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    int rc = atomic_load(&s->versioned) == OBJ_UNKNOWN ? ask_versioning(s, c, err) : 0;
    if (!rc && atomic_load(&s->versioned) == OBJ_YES && atomic_load(&s->lockable) == OBJ_UNKNOWN)
        rc = s3_lock_learn(s, c, err);
    return rc ? rc : s3_create_probe(s, c, err);
}
