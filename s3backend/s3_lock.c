/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_lock.c: S3 Object Lock: does the bucket have it, and how is an object locked until a date?
 *
 * A new object is locked by headers of its PUT. One that is there is locked by a sub-resource of it, which a service that
 * does not know it takes for a PUT of the object itself (trap 8): so it is sent only where the bucket has told of its
 * Object Lock. What is asked for never shortens or weakens what an object has: the store refuses that, and then what it
 * has is looked at.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

static const char *mode_name(bool compliance)
{
    return compliance ? "COMPLIANCE" : "GOVERNANCE";
}

/* ISO 8601, in UTC. */
static void write_date(uint64_t seconds, char out[S3_DATE_SIZE])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&t, &tm))
        (void)strftime(out, S3_DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

uint64_t s3_date_ms(const char *text)
{
    struct tm tm = {.tm_isdst = 0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t t = end && (*end == 'Z' || *end == '.') ? timegm(&tm) : -1;
    double part = t > 0 && *end == '.' ? strtod(end, NULL) : 0;
    return t > 0 ? (uint64_t)t * 1000 + (uint64_t)(part * 1000) : 0;
}

/* ---- does the bucket have it? ---- */

static void take_enabled(void *arg, const struct xml_element *x)
{
    bool *enabled = arg;
    if (xml_is_leaf(x, "ObjectLockConfiguration", "ObjectLockEnabled"))
        *enabled = !strcmp(x->text, "Enabled");
}

static void inspect_configuration(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    if (!xml_read(&r->text, "ObjectLockConfiguration", take_enabled, arg))
        *v = (struct s3_verdict){.code = -EIO, .reason = "the answer tells of no Object Lock"};
}

int s3_lock_learn(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    struct http_response r = {0};
    bool enabled = false;
    int rc;
    bool answered = s3_ask_bucket(s, "object-lock", inspect_configuration, &enabled, &r, c, &rc, err);
    bool refused = r.status == 401 || r.status == 403;
    strbuf_free(&r.text);
    if (rc == 0 || (answered && !refused))
        atomic_store(&s->lockable, rc == 0 && enabled ? OBJ_YES : OBJ_NO);
    return answered ? 0 : rc;
}

bool s3_lockable(struct objstore *o)
{
    return atomic_load(&((struct s3_store *)o)->lockable) == OBJ_YES;
}

/* ---- a new object ---- */

size_t s3_lock_headers(const struct s3_store *s, const struct obj_call *c, struct s3_lock_text *t,
                       struct sigv4_pair *headers)
{
    if (!c || !c->lock.until || atomic_load(&s->lockable) != OBJ_YES)
        return 0;
    write_date(c->lock.until, t->until);
    headers[0] = (struct sigv4_pair){"x-amz-object-lock-mode", mode_name(c->lock.compliance)};
    headers[1] = (struct sigv4_pair){"x-amz-object-lock-retain-until-date", t->until};
    return 2;
}

void s3_lock_hint(struct errtext *err)
{
    if (!err)
        return;
    size_t n = strlen(err->text);
    (void)snprintf(
        err->text + n, sizeof(err->text) - n,
        "; it was to be locked (S3 Object Lock), for which the key needs s3:PutObjectRetention, or [retention] "
        "object_lock = off");
}

/* ---- one that is there ---- */

/* bypass: it may be of another mode than what the object has. */
static int put_retention(struct s3_store *s, const char *key, const struct obj_lock *l, bool bypass, bool *refused,
                         const struct obj_call *c, struct errtext *err)
{
    struct strbuf body = {0};
    struct s3_body b;
    char until[S3_DATE_SIZE];
    write_date(l->until, until);
    strbuf_addf(&body,
                "<Retention xmlns=\"" NAMESPACE "\"><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>",
                mode_name(l->compliance), until);
    const struct obj_source src = {.mem = strbuf_str(&body), .fd = -1, .len = body.len};
    int rc = body.overflow ? errtext_set(err, -ENOMEM, "lock %s: no memory", key)
                           : s3_body_prepare(&b, s, "lock", key, &src, c, S3_BODY_LIST, err);
    *refused = false;
    if (!rc) {
        const struct sigv4_pair query[] = {{"retention", ""}};
        const struct sigv4_pair headers[] = {{"Content-Type", "application/xml"},
                                             {"Content-MD5", b.md5_base64},
                                             {"x-amz-bypass-governance-retention", "true"}};
        const struct s3_request q = {.op = "lock",
                                     .what = key,
                                     .method = "PUT",
                                     .key = key,
                                     .query = query,
                                     .n_query = 1,
                                     .headers = headers,
                                     .n_headers = bypass ? 3 : 2,
                                     .body = &src,
                                     .payload_hash = b.payload,
                                     .may_refuse = true};
        struct http_response r = {0};
        rc = s3_call(s, &q, c, &r, err);
        *refused =
            rc && rc != -ENOENT && rc != -ECANCELED && r.outcome == HTTP_ANSWERED && r.status >= 400 && r.status < 500;
        strbuf_free(&r.text);
    }
    strbuf_free(&body);
    return rc;
}

/* The root is Retention, and of versitygw ObjectLockRetention. */
static void take_retention(void *arg, const struct xml_element *x)
{
    struct obj_lock *l = arg;
    if (xml_is_leaf(x, x->parent, "Mode"))
        l->compliance = !strcmp(x->text, "COMPLIANCE");
    else if (xml_is_leaf(x, x->parent, "RetainUntilDate"))
        l->until = s3_date_ms(x->text) / 1000;
}

static void inspect_retention(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    if (!xml_read(&r->text, "", take_retention, arg))
        *v = (struct s3_verdict){.code = -EIO, .reason = "the answer tells of no retention"};
}

static int get_retention(struct s3_store *s, const char *key, struct obj_lock *l, const struct obj_call *c,
                         struct errtext *err)
{
    const struct sigv4_pair query[] = {{"retention", ""}};
    const struct s3_request q = {.op = "lock",
                                 .what = key,
                                 .method = "GET",
                                 .key = key,
                                 .query = query,
                                 .n_query = 1,
                                 .may_refuse = true,
                                 .inspect = inspect_retention,
                                 .arg = l};
    *l = (struct obj_lock){.until = 0};
    return s3_do(s, &q, c, err);
}

/* Of what it has and what is wanted, the later date and the stronger mode. */
static struct obj_lock join(const struct obj_lock *has, const struct obj_lock *wanted)
{
    return (struct obj_lock){.compliance = has->compliance || wanted->compliance,
                             .until = has->until > wanted->until ? has->until : wanted->until};
}

/* A 404 may be of something in between, or of a sub-resource only: what is there, and not locked, must not pass for gone. */
static int confirm_gone(struct s3_store *s, const char *key, const struct obj_call *c, struct errtext *err)
{
    uint64_t size = 0;
    int rc = s3_head(&s->base, key, &size, c, err);
    return rc ? rc
              : errtext_set(err, -EIO, "lock %s: bucket %s at %s: the answer was 404, but the object is there", key,
                            s->bucket, s->host);
}

int s3_lock(struct objstore *o, const char *key, const struct obj_lock *l, const struct obj_call *c,
            struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    struct obj_lock has;
    bool refused;
    int rc = obj_check_key("lock", key, err);
    if (rc)
        return rc;
    if (!s3_lockable(o))
        return errtext_set(err, -ENOTSUP, "lock %s: bucket %s at %s: it has no Object Lock", key, s->bucket, s->host);
    rc = put_retention(s, key, l, false, &refused, c, err);
    if (rc == -ENOENT)
        return confirm_gone(s, key, c, err);
    if (!refused || get_retention(s, key, &has, c, NULL) || !has.until)
        return rc;
    struct obj_lock both = join(&has, l);
    bool stronger = both.compliance && !has.compliance; /* a right of its own, though it takes nothing off */
    if (!stronger && both.until == has.until)
        return 0; /* it has more already */
    if (!stronger && both.compliance == l->compliance && both.until == l->until)
        return rc;
    return put_retention(s, key, &both, stronger, &refused, c, err);
}
