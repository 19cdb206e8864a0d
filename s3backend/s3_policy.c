/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_policy.c: what an answer of the store means and which are worth another try.
 *
 * Three tables, looked at in this order: texts of renterd, which answers nearly everything with 500 InternalError and
 * tells the cause in the message only; S3's error codes; HTTP's status. Whatever the transport breaks is tried again,
 * except what can't become better by itself (a certificate, a wrong address).
 */
#include "s3backend/s3_policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#define WRONG_KEYS "wrong key, secret, or clock"
#define DENIED WRONG_KEYS ", or this key may not do that here"
#define TOO_LARGE "larger than the store takes, or a proxy before it (nginx: client_max_body_size)"
#define FULL "the store is full, or a quota is used up"
#define CHANGED "the body changed on the way"
#define PROXY_KEYS "the proxy wants another user or password: check store options proxy_user and proxy_password_file"
#define BASIC                                                                                                          \
    "a demand for a user and password, as of a proxy or an admin interface: check store options url, proxy_user and "  \
    "proxy_password_file"
#define EXISTS "an object of this name is there"

struct rule {
    const char *match;
    int code;
    bool retry;
    const char *hint; /* what to do; NULL: the store's text says enough */
};

/* Parts of renterd's messages that no further try changes. */
static const struct rule messages[] = {
    {"BadDigest", -EIO, false, CHANGED},
    {"multipart upload not found", -EIO, false, NULL},
    {"object not found", -ENOENT, false, NULL},
    {"invalid range", -EIO, false, "the object is shorter than it should be"},
    {"parts are not sorted", -EIO, false, NULL},
};

static const struct rule codes[] = {
    {"NoSuchKey", -ENOENT, false, NULL},
    {"NoSuchBucket", -EIO, false, NULL},
    {"AccessDenied", -EACCES, false, DENIED},
    {"SignatureDoesNotMatch", -EACCES, false, WRONG_KEYS},
    {"InvalidAccessKeyId", -EACCES, false, "the store doesn't know this access key"},
    {"XAdminUserNotFound", -EACCES, false, "the store doesn't know this access key"}, /* versitygw, with a 404 */
    {"AuthorizationHeaderMalformed", -EACCES, false, "check store option region"},
    {"RequestTimeTooSkewed", -EACCES, false, "this host's clock is wrong: check NTP"},
    {"AccountProblem", -EACCES, false, NULL},
    {"AllAccessDisabled", -EACCES, false, NULL},
    {"ExpiredToken", -EACCES, false, NULL},
    {"Forbidden", -EACCES, false, DENIED},
    {"InvalidToken", -EACCES, false, NULL},
    {"Unauthorized", -EACCES, false, WRONG_KEYS},
    {"UnauthorizedAccess", -EACCES, false, WRONG_KEYS},
    {"QuotaExceeded", -EIO, false, FULL},
    {"XMinioAdminBucketQuotaExceeded", -EIO, false, FULL},
    {"XMinioStorageFull", -EIO, true, FULL},
    {"InvalidObjectState", -EIO, false, "the object lies in an archive: restore it there first"},
    {"PermanentRedirect", -EIO, false, "check store options url and region"},
    {"TemporaryRedirect", -EIO, true, "check store options url and region"},
    {"BadDigest", -EIO, false, CHANGED},
    {"InvalidDigest", -EIO, false, NULL},
    {"XAmzContentSHA256Mismatch", -EIO, false, CHANGED},
    {"XAmzContentChecksumMismatch", -EIO, false, CHANGED},
    {"PreconditionFailed", -EEXIST, false, EXISTS},
    {"ConditionalRequestConflict", -EEXIST, true, "another writer is putting it"},
    {"InvalidRange", -EIO, false, "the object is shorter than it should be"},
    {"NoSuchUpload", -EIO, false, NULL},
    {"InvalidPart", -EIO, false, NULL},
    {"EntityTooLarge", -EIO, false, TOO_LARGE},
    {"KeyTooLongError", -EIO, false, "shorten store option prefix"},
    {"MethodNotAllowed", -EIO, false, NULL},
    {"NotImplemented", -EIO, false, "the store lacks what this needs"},
    {"RequestTimeout", -EIO, true, NULL},
    {"RequestTimeoutException", -EIO, true, NULL},
    {"IncompleteBody", -EIO, true, NULL},
    {"OperationAborted", -EIO, true, NULL},
    {"SlowDown", -EIO, true, NULL},
    {"Throttling", -EIO, true, NULL},
    {"TooManyRequests", -EIO, true, NULL},
    {"InternalError", -EIO, true, NULL},
    {"ServiceUnavailable", -EIO, true, NULL},
};

static const struct status_rule {
    long from, to;
    int code;
    bool retry;
    const char *hint;
} statuses[] = {
    {300, 399, -EIO, false, "the store is elsewhere: check store options url and region"},
    {401, 401, -EACCES, false, WRONG_KEYS},
    {403, 403, -EACCES, false, WRONG_KEYS},
    {404, 404, -ENOENT, false, "no such object"},
    {407, 407, -EACCES, false, PROXY_KEYS},
    {408, 408, -EIO, true, NULL},
    {412, 412, -EEXIST, false, EXISTS},
    {413, 413, -EIO, false, TOO_LARGE},
    {425, 425, -EIO, true, NULL},
    {429, 429, -EIO, true, NULL},
    {400, 499, -EIO, false, NULL},
    {501, 501, -EIO, false, "the store lacks what this needs"},
    {505, 505, -EIO, false, NULL},
    {507, 507, -EIO, true, FULL},
    {500, 599, -EIO, true, NULL},
};

/* 403 with a code of the store's own: a quota, a storage class, an object lock. Not the keys: they have theirs. */
static const struct status_rule own_reason = {403, 403, -EIO, false, NULL};

/* What a broken transport can't be cured of by trying again. */
static const struct {
    CURLcode curl;
    const char *hint;
} hopeless[] = {
    {CURLE_PEER_FAILED_VERIFICATION, "check store options url and ca_file"},
    {CURLE_SSL_CACERT_BADFILE, "check store option ca_file"},
    {CURLE_URL_MALFORMAT, "check store option url"},
    {CURLE_UNSUPPORTED_PROTOCOL, "check store options url and proxy"},
    {CURLE_OUT_OF_MEMORY, NULL},
};

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* A run of hex digits this long is a hash or a signature: a store may quote what it was sent. */
enum { LONG_HEX = 40 };

static size_t hex_run(const char *s)
{
    size_t n = 0;
    while (isxdigit((unsigned char)s[n]))
        n++;
    return n;
}

void s3_scrub(char *out, size_t room, const char *text)
{
    size_t o = 0;
    while (*text && o + 6 < room) {
        size_t run = hex_run(text);
        if (run >= LONG_HEX) {
            memcpy(out + o, "[...]", 5);
            o += 5;
            text += run;
            continue;
        }
        for (size_t i = 0; i < (run ? run : 1) && o + 6 < room; i++, text++)
            out[o++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
    }
    out[o] = 0;
}

static const struct rule *rule_for(const struct s3_error *e)
{
    for (size_t i = 0; i < LENGTH(messages); i++)
        if (!strcmp(e->code, "InternalError") && strstr(e->message, messages[i].match))
            return &messages[i];
    for (size_t i = 0; i < LENGTH(codes); i++)
        if (!strcmp(e->code, codes[i].match))
            return &codes[i];
    return NULL;
}

static const struct status_rule *rule_for_status(long status)
{
    for (size_t i = 0; i < LENGTH(statuses); i++)
        if (status >= statuses[i].from && status <= statuses[i].to)
            return &statuses[i];
    return NULL;
}

void s3_error_take(void *error, const struct xml_element *x)
{
    struct s3_error *e = error;
    if (xml_is_leaf(x, "Error", "Code"))
        s3_scrub(e->code, sizeof(e->code), x->text);
    else if (xml_is_leaf(x, "Error", "Message"))
        s3_scrub(e->message, sizeof(e->message), x->text);
}

static void add(struct s3_verdict *v, const char *separator, const char *text)
{
    size_t n = strlen(v->reason);
    if (text && *text)
        snprintf(v->reason + n, sizeof(v->reason) - n, "%s%s", n ? separator : "", text);
}

void s3_judge_error(const struct s3_error *e, struct s3_verdict *v)
{
    const struct rule *r = rule_for(e);
    *v = (struct s3_verdict){.code = r ? r->code : -EIO, .retry = r && r->retry};
    v->bucket_missing = !strcmp(e->code, "NoSuchBucket");
    add(v, "", e->code);
    add(v, ": ", e->message);
    if (r)
        add(v, ": ", r->hint);
}

bool s3_says_gone(const struct s3_error *e)
{
    struct s3_verdict v;
    s3_judge_error(e, &v);
    return v.code == -ENOENT;
}

/* A refused request on a host whose clock is off by minutes: S3 allows 15. */
static void add_clock(struct s3_verdict *v, time_t store, time_t ours)
{
    char text[100];
    long long off = (long long)ours - (long long)store;
    if (!store || v->code != -EACCES || (off > -600 && off < 600))
        return;
    snprintf(text, sizeof(text), "this host's clock is %lld s %s the store's: check NTP", off < 0 ? -off : off,
             off < 0 ? "behind" : "ahead of");
    add(v, "; ", text);
}

static void judge_status(const struct http_response *r, time_t our_time, struct s3_verdict *v)
{
    struct s3_error e = {.code = ""};
    char status[32];
    const struct status_rule *s = rule_for_status(r->status);
    (void)xml_read(&r->text, "", s3_error_take, &e); /* an answer that is no XML, or is cut short, may come too */
    const struct rule *known = rule_for(&e);
    if (r->status == 403 && !known && e.code[0])
        s = &own_reason;
    *v = (struct s3_verdict){.code = known ? known->code
                                     : s   ? s->code
                                           : -EIO,
                             .retry = known ? known->retry : s && s->retry,
                             .bucket_missing = !strcmp(e.code, "NoSuchBucket"),
                             .full = known && known->hint && !strcmp(known->hint, FULL),
                             .other_body = known && known->hint && !strcmp(known->hint, CHANGED)};
    /* An S3 service names the reason of a 404, but to a HEAD; a page of some other server says nothing about the
     * object. */
    bool foreign = r->status == 404 && !known && r->text.len;
    if (foreign)
        v->code = -EIO;
    v->retry_after_ms = r->retry_after_s < 3600 ? r->retry_after_s * 1000 : 3600 * 1000;
    snprintf(status, sizeof(status), "%ld", r->status);
    add(v, "", status);
    add(v, " ", e.code);
    add(v, ": ", e.message);
    add(v, ": ",
        r->status == 401 && r->realm[0] ? BASIC /* no S3 service sends that; tinyproxy does, in place of a 407 */
        : foreign                       ? "no answer of an S3 service, check store option url"
        : known                         ? known->hint
        : s                             ? s->hint
                                        : NULL);
    add_clock(v, r->date, our_time);
}

static void judge_broken(const struct http_response *r, struct s3_verdict *v)
{
    *v = (struct s3_verdict){.code = -EIO, .retry = true};
    if (r->curl_code == CURLE_PARTIAL_FILE)
        add(v, "", "the answer ends early");
    add(v, ": ", r->reason);
    if (r->proxy_status == 407 || r->proxy_status == 401) {
        v->code = -EACCES;
        v->retry = false;
        add(v, ": ", PROXY_KEYS);
    } else if (r->proxy_status) {
        add(v, ": ", "the proxy refuses the way to the store: check store options proxy and url");
    }
    for (size_t i = 0; i < LENGTH(hopeless); i++) {
        if ((int)hopeless[i].curl != r->curl_code)
            continue;
        v->retry = false;
        add(v, ": ", hopeless[i].hint);
    }
}

void s3_judge(const struct http_response *r, time_t our_time, struct s3_verdict *v)
{
    *v = (struct s3_verdict){.code = -EIO};
    switch (r->outcome) {
    case HTTP_ANSWERED:
        if (r->status >= 200 && r->status < 300)
            v->code = 0;
        else
            judge_status(r, our_time, v);
        break;
    case HTTP_BROKEN:
        judge_broken(r, v);
        break;
    case HTTP_STALLED:
        v->retry = true;
        add(v, "", r->reason);
        break;
    case HTTP_CANCELED:
        v->code = -ECANCELED;
        add(v, "", "canceled");
        break;
    case HTTP_SOURCE:
        add(v, "", "can't read the local file: ");
        add(v, "", r->reason);
        break;
    case HTTP_SINK:
        add(v, "", "what arrived could not be kept");
        break;
    case HTTP_MISMATCH: /* as a body that is too short is (trap 4): the next answer may be whole */
        v->retry = true;
        add(v, "", "the store sent another range than asked for: ");
        add(v, "", r->reason);
        break;
    }
}

unsigned s3_backoff(const struct retry_limits *l, unsigned tries, uint32_t random, unsigned retry_after_ms)
{
    uint64_t ms = l->first_ms;
    for (unsigned i = 1; i < tries && ms < l->most_ms; i++)
        ms *= 2;
    if (ms > l->most_ms)
        ms = l->most_ms;
    /* Half is fixed, half is chance: callers that failed together don't come back together. */
    ms = ms / 2 + (ms - ms / 2) * random / UINT32_MAX;
    /* The store's own wish counts, as far as it is reasonable. */
    uint64_t wish = retry_after_ms < 2 * l->most_ms ? retry_after_ms : 2 * l->most_ms;
    return (unsigned)(ms > wish ? ms : wish);
}

bool s3_may_retry(const struct retry_limits *l, unsigned max_tries, unsigned tries, uint64_t elapsed_ms, unsigned pause)
{
    if (max_tries)
        return tries < max_tries;
    /* Once more in any case, but not after minutes without an answer: then whoever waits is to be told. */
    bool once_more = tries < 2 && (!l->last_ms || elapsed_ms < l->last_ms);
    return once_more || elapsed_ms + pause <= l->total_ms;
}
