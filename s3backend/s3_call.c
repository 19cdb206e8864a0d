/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_call.c: the life of one request to the store: address, headers, signature, exchange, verdict, another try. */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

enum { MAX_HEADERS = 12, POLL_MS = 100, ONE_MOMENT_MS = 1000, FAR_AHEAD_S = 86400 };

/* What one try puts together; all freed by wire_free. */
struct wire {
    struct strbuf host, path, url, auth;
    char date[SIGV4_DATE_SIZE];
    struct sigv4_pair signed_headers[MAX_HEADERS];
    size_t n_signed;
    struct strbuf lines[MAX_HEADERS];
    const char *line_ptrs[MAX_HEADERS];
    size_t n_lines;
};

static void wire_free(struct wire *w)
{
    strbuf_free(&w->host);
    strbuf_free(&w->path);
    strbuf_free(&w->url);
    strbuf_free(&w->auth);
    for (size_t i = 0; i < MAX_HEADERS; i++)
        strbuf_free(&w->lines[i]);
}

static void add_line(struct wire *w, const char *name, const char *value)
{
    struct strbuf *l = &w->lines[w->n_lines];
    strbuf_addf(l, "%s: %s", name, value);
    w->line_ptrs[w->n_lines++] = strbuf_str(l);
}

static void add_signed(struct wire *w, const char *name, const char *value)
{
    w->signed_headers[w->n_signed++] = (struct sigv4_pair){name, value};
    add_line(w, name, value);
}

/* The address, made of the same encoded path and query that are signed (trap 15). */
static void make_address(const struct s3_store *s, const struct s3_request *q, struct wire *w)
{
    if (s->virtual_style)
        strbuf_addf(&w->host, "%s.", s->bucket);
    strbuf_adds(&w->host, s->host);
    strbuf_adds(&w->path, "/");
    if (!s->virtual_style)
        strbuf_addf(&w->path, "%s%s", s->bucket, q->key ? "/" : "");
    if (q->key)
        strbuf_addf(&w->path, "%s%s", s->prefix, q->key);
    strbuf_addf(&w->url, "%s://%s", s->tls ? "https" : "http", strbuf_str(&w->host));
    sigv4_encode_path(&w->url, strbuf_str(&w->path));
    if (q->n_query)
        strbuf_adds(&w->url, "?");
    sigv4_encode_query(&w->url, q->query, q->n_query);
}

static int sign(struct s3_store *s, const struct s3_request *q, const char *payload, struct wire *w)
{
    const struct sigv4_request r = {.method = q->method,
                                    .path = strbuf_str(&w->path),
                                    .query = q->query,
                                    .n_query = q->n_query,
                                    .headers = w->signed_headers,
                                    .n_headers = w->n_signed,
                                    .payload_hash = payload};
    lock_take(&s->keys_lock); /* a pair of keys, not one of each */
    const struct sigv4_keys keys = {s->keys.access_key, s->keys.aws4_secret, s->region, "s3"};
    int rc = sigv4_authorization(&w->auth, &keys, &r, w->date);
    lock_release(&s->keys_lock);
    return rc;
}

static int make_wire(struct s3_store *s, const struct s3_request *q, struct wire *w)
{
    const char *payload = q->payload_hash ? q->payload_hash : SIGV4_EMPTY_SHA256;
    char range[64];
    make_address(s, q, w);
    sigv4_date(time(NULL), w->date);
    add_signed(w, "Host", strbuf_str(&w->host));
    add_signed(w, "x-amz-content-sha256", payload);
    add_signed(w, "x-amz-date", w->date);
    for (size_t i = 0; i < q->n_headers; i++)
        add_signed(w, q->headers[i].name, q->headers[i].value);
    if (q->buf || q->sink) {
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, q->offset, q->offset + q->len - 1);
        add_line(w, "Range", range);
    }
    int rc = sign(s, q, payload, w);
    add_line(w, "Authorization", strbuf_str(&w->auth));
    bool short_of = w->host.overflow || w->path.overflow || w->url.overflow;
    for (size_t i = 0; i < w->n_lines; i++)
        short_of |= w->lines[i].overflow;
    return short_of ? -ENOMEM : rc;
}

enum s3_kind s3_kind(const struct s3_request *q)
{
    bool put = q->key && (!strcmp(q->method, "PUT") || !strcmp(q->method, "POST"));
    if (put)
        return S3_KIND_WRITE;
    if (!strcmp(q->method, "POST") || !strcmp(q->method, "DELETE"))
        return S3_KIND_DELETE;
    return q->buf || q->sink ? S3_KIND_READ : S3_KIND_LOOK;
}

/* An exchange, as the store's health sees it. */
struct watched {
    struct s3_store *s;
    const struct s3_request *q;
    uint64_t began_ns;
    bool stuck;
};

static void on_quiet(void *arg, const char *what)
{
    struct watched *w = arg;
    struct s3_verdict v = {.code = -EIO};
    struct errtext text;
    snprintf(v.reason, sizeof(v.reason), "%s; it goes on", what);
    (void)s3_fail(w->s, w->q, &v, 0, &text);
    w->stuck = true;
    s3_health_stuck(&w->s->health, s3_kind(w->q), text.text);
}

static enum s3_health_end health_end(const struct s3_request *q, const struct http_response *r,
                                     const struct s3_verdict *v)
{
    bool own = r->outcome == HTTP_SOURCE || r->outcome == HTTP_SINK;
    if (v->code == 0 || v->code == -ENOENT || v->code == -EEXIST)
        return S3_HEALTH_GOOD;
    if (v->code == -ECANCELED || v->code == -ENOMEM || own)
        return S3_HEALTH_OTHER;
    /* It lacks something that is then done otherwise, or a probe was to be refused; for HEAD of the bucket s3_check.c. */
    bool trouble = !q->may_refuse && (v->full || v->code == -EACCES);
    bool lacks = !trouble && (r->status == 400 || r->status == 405 || r->status == 501);
    bool bucket = r->status == 403 && ((!q->key && !strcmp(q->method, "HEAD")) || q->may_refuse);
    return r->outcome == HTTP_ANSWERED && !v->retry && (lacks || bucket) ? S3_HEALTH_OTHER : S3_HEALTH_FAILED;
}

/* As it is paid for. */
static enum obj_request request_of(const struct s3_request *q)
{
    switch (s3_kind(q)) {
    case S3_KIND_WRITE:
        return strcmp(q->method, "PUT") ? OBJ_REQUEST_MULTIPART : OBJ_REQUEST_PUT;
    case S3_KIND_READ:
        return OBJ_REQUEST_GET;
    case S3_KIND_DELETE:
        return OBJ_REQUEST_DELETE;
    default:
        return strcmp(q->method, "HEAD") ? OBJ_REQUEST_LIST : OBJ_REQUEST_HEAD;
    }
}

static enum obj_failure failure_of(const struct http_response *r)
{
    if (r->outcome == HTTP_BROKEN)
        return OBJ_FAILURE_NETWORK;
    if (r->outcome == HTTP_STALLED)
        return OBJ_FAILURE_TIMEOUT;
    if (r->outcome == HTTP_ANSWERED && (r->status >= 500 || r->status == 429))
        return OBJ_FAILURE_BUSY;
    return r->status == 401 || r->status == 403 ? OBJ_FAILURE_REFUSED : OBJ_FAILURE_OTHER;
}

static void count(const struct watched *w, const struct http_response *r, bool failed)
{
    bool taken = r->outcome == HTTP_ANSWERED && r->status >= 200 && r->status < 300;
    enum obj_request request = request_of(w->q);
    s3_counters_add(&w->s->counters,
                    &(struct s3_ended){.request = request,
                                       .ns = clock_ns() - w->began_ns,
                                       .sent = request == OBJ_REQUEST_PUT && taken && w->q->body ? w->q->body->len : 0,
                                       .received = r->received,
                                       .failed = failed,
                                       .failure = failure_of(r)});
}

static void tell_end(const struct watched *w, const struct http_response *r, const struct s3_verdict *v)
{
    struct errtext text = {""};
    size_t n;
    enum s3_health_end end = health_end(w->q, r, v);
    count(w, r, end == S3_HEALTH_FAILED);
    if (end == S3_HEALTH_FAILED) {
        (void)s3_fail(w->s, w->q, v, 0, &text);
        n = strlen(text.text);
        if (v->retry_after_ms)
            snprintf(text.text + n, sizeof(text.text) - n, "; the store asks to wait %u s", v->retry_after_ms / 1000);
    }
    s3_health_ended(&w->s->health, s3_kind(w->q), w->stuck, end, text.text, !v->retry || v->retry_after_ms >= 2000);
}

/* An answer that failed may be somebody else's on the way; and so is a time far ahead of the one that the request was signed
 * with, which a store takes within some minutes of its own only. Locks that it made too long nobody could shorten. */
static void note_time(struct s3_store *s, const struct http_response *r, const struct s3_verdict *v)
{
    if (v->code == 0 && r->date && r->date <= time(NULL) + FAR_AHEAD_S)
        atomic_store(&s->clock, (int64_t)r->date - clock_boot_s());
}

/* How much longer the caller waits for a store that answers nothing. */
static uint64_t patience_left(struct s3_store *s, const struct obj_call *c)
{
    uint64_t patience = c && c->patience_ms ? c->patience_ms : s->patience_ms;
    if (!patience)
        return UINT64_MAX;
    uint64_t gone = s3_health_silent(&s->health);
    return gone < patience ? patience - gone : 0;
}

bool s3_is_patient(struct s3_store *s, const struct obj_call *c)
{
    return patience_left(s, c) > 0;
}

/* A limit of the policy, within that. One moment in any case: the store may be well again. */
static unsigned within(uint64_t left, unsigned limit)
{
    uint64_t ms = left > ONE_MOMENT_MS ? left : ONE_MOMENT_MS;
    return ms < limit ? (unsigned)ms : limit;
}

/* What goes to HTTP of it, but for whom to tell and what to do meanwhile. */
static struct http_request request_for(struct s3_store *s, const struct s3_request *q, const struct obj_call *c,
                                       const struct wire *w, const struct s3_proxy *proxy)
{
    uint64_t left = patience_left(s, c);
    return (struct http_request){
        .method = q->method,
        .url = strbuf_str(&w->url),
        .headers = w->line_ptrs,
        .n_headers = w->n_lines,
        .body = q->body,
        .ca_file = s->ca_file,
        .proxy = proxy,
        .upload = &s->upload,
        .download = &s->download,
        .buf = q->buf,
        .sink = q->sink,
        .offset = q->offset,
        .len = q->len,
        .text_limit = q->text_limit ? q->text_limit : 1 << 16,
        .connect_ms = within(left, s->tuning.connect_ms),
        .stall_ms = within(left, s->tuning.stall_ms),
        .answer_ms = within(left, q->answer_ms ? q->answer_ms : s->tuning.reply_ms),
        .cancel = c ? c->cancel : NULL,
        .sent = q->progress && c ? c->sent : NULL,
        .quiet_ms = s->tuning.quiet_ms,
        .quiet_bytes = s->tuning.quiet_bytes,
        .once = q->once,
        .meanwhile = q->meanwhile,
        .arg = q->arg,
    };
}

/* One exchange, signed now. */
static void exchange(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, bool expect,
                     struct http_response *r, struct s3_verdict *v)
{
    struct wire w = {0};
    struct watched watched = {.s = s, .q = q, .began_ns = clock_ns()};
    struct s3_proxy *proxy = s3_hold_proxy(s);
    int rc = make_wire(s, q, &w);
    if (rc) {
        *v = (struct s3_verdict){.code = rc};
        snprintf(v->reason, sizeof(v->reason), "can't sign the request: %s", strerror(-rc));
    } else {
        struct http_request h = request_for(s, q, c, &w, proxy);
        h.quiet = on_quiet;
        h.quiet_arg = &watched;
        h.expect = expect;
        if (q->sink)
            http_lanes_run(s->lanes, &h, r);
        else
            http_run(s->http, &h, r);
        s3_admin_note(s, r->server);
        s3_judge(r, time(NULL), v);
        if (v->code == 0 && q->inspect)
            q->inspect(q->arg, r, v);
        note_time(s, r, v);
        tell_end(&watched, r, v);
    }
    s3_proxy_release(proxy);
    wire_free(&w);
}

/* A body that the store took and that is wrong says nothing about how busy it is. */
static enum s3_pace_end pace_end(const struct http_response *r, const struct s3_verdict *v)
{
    bool success = r->outcome == HTTP_ANSWERED && r->status >= 200 && r->status < 300;
    return v->code == 0 ? S3_PACE_TAKEN : v->retry && !success ? S3_PACE_TOO_MUCH : S3_PACE_OTHER;
}

/* To ask before each body would cost a round trip. Only a store that fails is asked: its refusal then costs no body,
 * and shows as what it is instead of a connection that breaks. */
static void try_big(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct http_response *r,
                    struct s3_verdict *v)
{
    unsigned long ticket;
    if (!s3_pace_enter(&s->pace, c ? c->cancel : NULL, &ticket)) {
        *v = (struct s3_verdict){.code = -ECANCELED, .reason = "canceled"};
        return;
    }
    exchange(s, q, c, atomic_load(&s->careful), r, v);
    if (v->code != -ECANCELED)
        atomic_store(&s->careful, v->code != 0);
    s3_pace_leave(&s->pace, ticket, pace_end(r, v));
}

void s3_try(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct http_response *r,
            struct s3_verdict *v)
{
    if (q->body && q->body->len > S3_BIG_BODY)
        try_big(s, q, c, r, v);
    else
        exchange(s, q, c, false, r, v);
}

int s3_fail(const struct s3_store *s, const struct s3_request *q, const struct s3_verdict *v, unsigned tries,
            struct errtext *err)
{
    char more[40] = "";
    if (tries > 1)
        snprintf(more, sizeof(more), " (gave up after %u tries)", tries);
    return errtext_set(err, v->code, "%s%s%s: bucket %s at %s://%s: %s%s", q->op, *q->what ? " " : "", q->what,
                       s->bucket, s->tls ? "https" : "http", s->host, v->reason, more);
}

bool s3_wait(unsigned ms, const struct obj_call *c)
{
    uint64_t end = clock_ms() + ms;
    for (;;) {
        uint64_t now = clock_ms();
        if (obj_canceled(c))
            return true;
        if (now >= end)
            return false;
        uint64_t part = end - now < POLL_MS ? end - now : POLL_MS;
        nanosleep(&(struct timespec){.tv_nsec = (long)part * 1000000}, NULL);
    }
}

uint32_t s3_chance(void)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
        r = (uint32_t)clock_ms() * 2654435761u; /* early at boot: any spread will do */
    return r;
}

int s3_call(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct http_response *r,
            struct errtext *err)
{
    const struct retry_limits *l = &s->tuning.retry;
    uint64_t begin = clock_ms();
    for (unsigned tries = 1;; tries++) {
        struct s3_verdict v;
        s3_try(s, q, c, r, &v);
        if (v.code == 0)
            return 0;
        unsigned pause = s3_backoff(l, tries, s3_chance(), v.retry_after_ms);
        if (!v.retry || !s3_is_patient(s, c) ||
            !s3_may_retry(l, c ? c->max_tries : 0, tries, clock_ms() - begin, pause)) {
            if (v.retry)
                s3_health_gave_up(&s->health, s3_kind(q));
            return s3_fail(s, q, &v, v.retry ? tries : 0, err);
        }
        if (s3_wait(pause, c)) {
            v = (struct s3_verdict){.code = -ECANCELED, .reason = "canceled"};
            return s3_fail(s, q, &v, 0, err);
        }
    }
}

int s3_do(struct s3_store *s, const struct s3_request *q, const struct obj_call *c, struct errtext *err)
{
    struct http_response r = {0};
    int rc = s3_call(s, q, c, &r, err);
    strbuf_free(&r.text);
    return rc;
}
