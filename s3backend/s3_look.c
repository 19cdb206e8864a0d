/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_look.c: who answers at the store's address?
 *
 * A GET of "/" without keys: an S3 service refuses it, and tells its clock by the way. An address that says http for a
 * port that speaks TLS, or the reverse, fails in as many ways as there are servers; so what fails is tried the other way,
 * and only an answer to that is believed. The certificate is not checked then: nothing is told to that peer.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

enum { LOOK_CONNECT_MS = 10000, LOOK_ANSWER_MS = 10000 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static void ask(struct s3_store *s, bool tls, const struct obj_call *c, struct http_response *r)
{
    static const char *const headers[] = {"Accept: */*"};
    struct strbuf url = {0};
    struct s3_proxy *proxy = s3_hold_proxy(s);
    strbuf_addf(&url, "%s://%s%s%s/", tls ? "https" : "http", s->virtual_style ? s->bucket : "",
                s->virtual_style ? "." : "", s->host);
    const struct http_request q = {.method = "GET",
                                   .url = strbuf_str(&url),
                                   .headers = headers,
                                   .n_headers = 1,
                                   .ca_file = s->ca_file,
                                   .proxy = proxy,
                                   .text_limit = 1 << 16,
                                   .connect_ms = least(LOOK_CONNECT_MS, s->tuning.connect_ms),
                                   .stall_ms = least(LOOK_ANSWER_MS, s->tuning.stall_ms),
                                   .answer_ms = least(LOOK_ANSWER_MS, s->tuning.reply_ms),
                                   .cancel = c ? c->cancel : NULL,
                                   .any_peer = tls != s->tls,
                                   .once = true};
    http_run(s->http, &q, r);
    s3_proxy_release(proxy);
    strbuf_free(&url);
}

static bool answers_otherwise(struct s3_store *s, const struct obj_call *c)
{
    struct http_response r = {0};
    ask(s, !s->tls, c, &r);
    strbuf_free(&r.text);
    /* Servers of TLS often tell a plain request by 400 that it is one. */
    return r.outcome == HTTP_ANSWERED && !(s->tls && r.status == 400);
}

/* May the other scheme be the right one? Not after a refused connection or a certificate that is looked at. */
static bool doubtful(const struct s3_store *s, const struct http_response *r)
{
    if (r->outcome == HTTP_ANSWERED)
        return !s->tls && r->status == 400;
    if (r->outcome != HTTP_BROKEN)
        return false;
    return s->tls ? r->curl_code == CURLE_SSL_CONNECT_ERROR
                  : r->curl_code != CURLE_COULDNT_CONNECT && r->curl_code != CURLE_COULDNT_RESOLVE_HOST &&
                        r->curl_code != CURLE_OPERATION_TIMEDOUT;
}

/* With a proxy, who could not be connected to is the proxy. */
static enum obj_stage stage_of(const struct http_response *r, bool proxied)
{
    if (r->proxy_status || (proxied && (r->curl_code == CURLE_COULDNT_CONNECT || r->curl_code == CURLE_PROXY ||
                                        r->curl_code == CURLE_OPERATION_TIMEDOUT)))
        return OBJ_STAGE_PROXY;
    switch (r->curl_code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
        return OBJ_STAGE_PROXY;
    case CURLE_COULDNT_RESOLVE_HOST:
        return OBJ_STAGE_NAME;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
        return OBJ_STAGE_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
        return OBJ_STAGE_TLS;
    default:
        return OBJ_STAGE_ANSWER;
    }
}

static void take_answer(const struct http_response *r, struct obj_peer *out)
{
    out->status = r->status;
    (void)snprintf(out->realm, sizeof(out->realm), "%s", r->realm);
    out->has_clock = r->date != 0;
    out->ahead_s = r->date ? (int64_t)time(NULL) - (int64_t)r->date : 0;
    bool s3_error = r->text.len && strstr(strbuf_str(&r->text), "<Error");
    out->kind = r->status == 401 && !s3_error ? OBJ_PEER_PASSWORD : r->page ? OBJ_PEER_PAGE : OBJ_PEER_SERVICE;
}

static bool is_proxied(struct s3_store *s)
{
    struct s3_proxy *p = s3_hold_proxy(s);
    bool set = s3_proxy_is_set(p);
    s3_proxy_release(p);
    return set;
}

/* By the book, and as tinyproxy does. */
static bool wants_password(long status)
{
    return status == 407 || status == 401;
}

/* What is no S3 service's, and comes where a proxy is in use, is most likely the proxy's. */
static bool is_of_proxy(struct s3_store *s, const struct http_response *r, const struct obj_peer *p)
{
    return r->status == 407 || (p->kind == OBJ_PEER_PASSWORD && is_proxied(s)) ||
           (p->kind == OBJ_PEER_PAGE && r->status >= 400 && is_proxied(s));
}

int s3_look(struct objstore *o, struct obj_peer *out, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    struct http_response r = {0};
    *out = (struct obj_peer){.kind = OBJ_PEER_SERVICE};
    ask(s, s->tls, c, &r);
    if (r.outcome == HTTP_ANSWERED)
        take_answer(&r, out);
    strbuf_free(&r.text);
    if (r.outcome == HTTP_CANCELED)
        return errtext_set(err, -ECANCELED, "%s: canceled", s->host);
    if (doubtful(s, &r) && answers_otherwise(s, c)) {
        out->kind = s->tls ? OBJ_PEER_PLAIN : OBJ_PEER_TLS;
        return 0;
    }
    if (r.outcome == HTTP_ANSWERED && is_of_proxy(s, &r, out)) {
        out->stage = OBJ_STAGE_PROXY;
        return errtext_set(err, -EIO, "%s://%s: the proxy answers in its place, with status %ld%s",
                           s->tls ? "https" : "http", s->host, r.status,
                           wants_password(r.status) ? ": it wants another user or password" : "");
    }
    if (r.outcome == HTTP_ANSWERED)
        return 0;
    out->stage = r.outcome == HTTP_BROKEN ? stage_of(&r, is_proxied(s)) : OBJ_STAGE_ANSWER;
    return errtext_set(err, -EIO, "%s://%s: %s%s", s->tls ? "https" : "http", s->host, r.reason,
                       wants_password(r.proxy_status) ? ": the proxy wants another user or password" : "");
}
