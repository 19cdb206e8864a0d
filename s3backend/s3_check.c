/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_check.c: is the store there, are the keys right, is there such a bucket? */
#include "s3backend/s3.h"

#include <errno.h>

enum { CHECK_TRIES = 3 };

static int head_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c,
                       struct errtext *err)
{
    const struct s3_request q = {.op = op, .what = what, .method = "HEAD"};
    int rc = s3_do(s, &q, c, err);
    if (rc == -ENOENT)
        return errtext_set(err, rc,
                           "%s%s%s: the bucket %s does not exist at %s://%s: create it, or correct store option bucket",
                           op, *what ? " " : "", what, s->bucket, s->tls ? "https" : "http", s->host);
    return rc;
}

int s3_need_bucket(struct s3_store *s, const char *op, const char *what, const struct obj_call *c, struct errtext *err)
{
    int rc = head_bucket(s, op, what, c, err);
    return rc == -ENOENT ? -EIO : rc;
}

/* The answer to a HEAD has no body. The same question as a list brings the store's own reason. */
static int ask_why(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    const struct sigv4_pair query[] = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", s->prefix}};
    const struct s3_request q = {
        .op = "check", .what = "", .method = "GET", .query = query, .n_query = 3, .text_limit = 1 << 16};
    return s3_do(s, &q, c, err);
}

int s3_check(struct objstore *o, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct obj_call quick = {.cancel = c ? c->cancel : NULL,
                                   .max_tries = c && c->max_tries ? c->max_tries : CHECK_TRIES};
    const struct obj_call once = {.cancel = quick.cancel, .max_tries = 1};
    struct errtext head_err = {""}, why = {""};
    int rc = head_bucket(s, "check", "", &quick, &head_err);
    if (rc == 0)
        return 0;
    if ((rc == -EACCES || rc == -EIO) && ask_why(s, &once, &why) == rc)
        return errtext_set(err, rc, "%s", why.text);
    return errtext_set(err, rc, "%s", head_err.text);
}
