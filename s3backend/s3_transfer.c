/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_transfer.c: one HTTP exchange as libcurl sees it: options, callbacks, ranges, limits. */
#include "s3backend/s3_transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "s3backend/s3_proxy.h"
#include "s3backend/s3_rate.h"

enum { IO_BUFFER = 1 << 18, ERROR_TEXT = 1 << 16, SLOWEST = 1024 };
/* What is smaller is counted, and never waits: heads, maps and labels are not behind whole segments. With a limit a body
 * goes in pieces of this size, so that the line is even. */
enum { RATE_PIECE = 1 << 16 };

/* ---- limits of rate ---- */

/* True if the transfer is to wait: then libcurl holds it in this direction, and transfer_go_on ends that. */
static bool hold(struct transfer *t, struct s3_rate *rate, uint64_t whole)
{
    if (!rate || whole <= RATE_PIECE || s3_rate_may(rate))
        return false;
    t->held = true;
    t->turn_ns = t->turn_ns ? t->turn_ns : clock_ns(); /* who was let go on and came too late keeps its place */
    return true;
}

bool transfer_go_on(struct transfer *t)
{
    struct s3_rate *rate = t->q->body ? t->q->upload : t->q->download;
    if (!s3_rate_may(rate))
        return false;
    t->held = false;
    (void)curl_easy_pause(t->easy, CURLPAUSE_CONT); /* calls back by itself: it may be held again now */
    return true;
}

static void charge(struct transfer *t, struct s3_rate *rate, size_t n)
{
    t->turn_ns = 0;
    if (rate)
        s3_rate_charge(rate, n);
}

static size_t refuse_source(struct transfer *t, const char *why)
{
    t->r->outcome = HTTP_SOURCE;
    snprintf(t->r->reason, sizeof(t->r->reason), "%s", why);
    return CURL_READFUNC_ABORT;
}

/* The n bytes at out go out now. Their last piece does only if all of them are what they should be: a body that stays
 * incomplete is stored by nobody. */
static size_t send_piece(struct transfer *t, const char *out, size_t n)
{
    const struct obj_source *s = t->q->body;
    t->r->sent_crc = crc32c(t->r->sent_crc, out, n);
    charge(t, t->q->upload, n);
    t->sent += n;
    if (t->q->sent)
        atomic_store(t->q->sent, t->sent);
    if (s->has_crc && t->sent == s->len && t->r->sent_crc != s->crc32c)
        return refuse_source(t, "it is not what it was");
    return n;
}

static size_t send_body(char *out, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const struct obj_source *s = t->q->body;
    uint64_t left = s->len - t->sent;
    size_t want = size * n < left ? size * n : (size_t)left;
    if (want && hold(t, t->q->upload, s->len))
        return CURL_READFUNC_PAUSE;
    if (t->q->upload && s3_rate_now(t->q->upload) && want > RATE_PIECE)
        want = RATE_PIECE;
    if (s->mem) {
        memcpy(out, (const char *)s->mem + t->sent, want);
        return send_piece(t, out, want);
    }
    ssize_t got;
    do
        got = pread(s->fd, out, want, (off_t)(s->offset + t->sent));
    while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && want))
        return refuse_source(t, got < 0 ? strerror(errno) : "it ends early");
    return send_piece(t, out, (size_t)got);
}

/* libcurl begins again when a used connection turns out to be closed. */
static int rewind_body(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;
    if (origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_FAIL;
    t->sent = 0;
    t->r->sent_crc = 0;
    return CURL_SEEKFUNC_OK;
}

static void new_answer(struct transfer *t, const char *line, size_t len)
{
    struct http_response *r = t->r;
    char code[4] = "";
    const char *sp = memchr(line, ' ', len);
    if (sp && (size_t)(line + len - sp) >= 4)
        memcpy(code, sp + 1, 3);
    r->status = strtol(code, NULL, 10);
    t->answered = r->status >= 200;
    r->etag[0] = r->crc32c[0] = r->realm[0] = r->server[0] = 0;
    r->has_length = r->has_range = r->kms = r->locked = r->page = false;
    r->date = 0;
    r->retry_after_s = 0;
    strbuf_reset(&r->text);
}

static bool header_value(const char *line, const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    line += n + 1;
    line += strspn(line, " \t");
    size_t len = strcspn(line, "\r\n");
    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    if (len >= room)
        return false;
    memcpy(out, line, len);
    out[len] = 0;
    return true;
}

void http_keep_etag(char out[HTTP_ETAG_SIZE], const char *text)
{
    size_t len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text++;
        len -= 2;
    }
    if (len >= HTTP_ETAG_SIZE)
        len = 0;
    memcpy(out, text, len);
    out[len] = 0;
}

/* Basic realm="s3d": the realm, or "?" without one. */
static void keep_realm(struct http_response *r, const char *challenge)
{
    if (strncasecmp(challenge, "Basic", 5) != 0)
        return;
    const char *begin = strchr(challenge, '"');
    (void)snprintf(r->realm, sizeof(r->realm), "%.*s", begin ? (int)strcspn(begin + 1, "\"") : 1,
                   begin ? begin + 1 : "?");
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct http_response *r = t->r;
    char line[1024], v[512];
    size_t len = size * n < sizeof(line) ? size * n : sizeof(line) - 1;
    t->moved_ms = clock_ms(); /* what libcurl counts as progress is the body only */
    memcpy(line, data, len);
    line[len] = 0;
    if (!strncmp(line, "HTTP/", 5))
        new_answer(t, line, len);
    else if (header_value(line, "ETag", v, sizeof(v)))
        http_keep_etag(r->etag, v);
    else if (header_value(line, "x-amz-checksum-crc32c", v, sizeof(v)))
        snprintf(r->crc32c, sizeof(r->crc32c), "%.15s", v);
    else if (header_value(line, "Content-Length", v, sizeof(v)))
        r->has_length = sscanf(v, "%" SCNu64, &r->length) == 1;
    else if (header_value(line, "Content-Range", v, sizeof(v)))
        r->has_range = sscanf(v, "bytes %" SCNu64 "-%" SCNu64, &r->first, &r->last) == 2;
    else if (header_value(line, "x-amz-server-side-encryption", v, sizeof(v)))
        r->kms = !strncmp(v, "aws:kms", 7);
    else if (header_value(line, "x-amz-object-lock-mode", v, sizeof(v)))
        r->locked = true;
    else if (header_value(line, "WWW-Authenticate", v, sizeof(v)))
        keep_realm(r, v);
    else if (header_value(line, "Content-Type", v, sizeof(v)))
        r->page = !strncasecmp(v, "text/html", 9);
    else if (header_value(line, "Server", v, sizeof(v)))
        snprintf(r->server, sizeof(r->server), "%.30s", v);
    else if (header_value(line, "Date", v, sizeof(v)))
        r->date = curl_getdate(v, NULL) < 0 ? 0 : curl_getdate(v, NULL);
    else if (header_value(line, "Retry-After", v, sizeof(v)))
        r->retry_after_s = (unsigned)strtoul(v, NULL, 10) % 100000;
    return size * n;
}

/* Compares the answer's range with the one asked for. renterd sends ranges with status 200 and a Content-Range; a 200
 * without one is the whole object, or the page of somebody on the way. */
static bool fit_range(struct transfer *t)
{
    const struct http_request *q = t->q;
    struct http_response *r = t->r;
    t->sized = true;
    if (r->has_range) {
        if (r->first == q->offset && r->last == q->offset + q->len - 1 && (!r->has_length || r->length == q->len))
            return true;
        snprintf(r->reason, sizeof(r->reason), "bytes %" PRIu64 "-%" PRIu64 " came (Content-Length %" PRIu64 ")",
                 r->first, r->last, r->has_length ? r->length : 0);
        return false;
    }
    if (r->page) { /* nothing that this program stored is one */
        snprintf(r->reason, sizeof(r->reason), "a web page (text/html)");
        return false;
    }
    if (r->status == 200 && (!r->has_length || r->length >= q->offset + q->len)) {
        t->skip = q->offset;
        return true;
    }
    snprintf(r->reason, sizeof(r->reason), "status %ld came with %" PRIu64 " bytes and without Content-Range",
             r->status, r->has_length ? r->length : 0);
    return false;
}

static void watch_anew(struct transfer *t, uint64_t now)
{
    t->watch_ms = now;
    t->watch_moved = t->moved;
    t->quiet_halves = 0;
}

static bool give_sink(struct transfer *t, const char *data, size_t len)
{
    uint64_t before = clock_ms();
    if (t->q->sink->take(t->q->sink->arg, data, len)) {
        t->r->outcome = HTTP_SINK;
        return false;
    }
    uint64_t now = clock_ms();
    if (now - before > t->q->quiet_ms / 8) /* it was the sink that was slow, not the store */
        watch_anew(t, now);
    return true;
}

static size_t take_range(struct transfer *t, const char *data, size_t len)
{
    struct http_response *r = t->r;
    if (!t->sized && !fit_range(t)) {
        r->outcome = HTTP_MISMATCH;
        return 0;
    }
    charge(t, t->q->download, len);
    size_t skip = t->skip < len ? (size_t)t->skip : len;
    t->skip -= skip;
    size_t take = len - skip;
    uint64_t left = t->q->len - r->received;
    if (r->has_range && take > left) { /* more than its Content-Range says: it may have no end */
        t->enough = true;
        len = 0;
    }
    if (take > left)
        take = (size_t)left;
    if (take && t->q->buf)
        memcpy((char *)t->q->buf + r->received, data + skip, take);
    else if (take && !give_sink(t, data + skip, take))
        return 0;
    r->received += take;
    /* The rest of a whole object is not wanted: end the exchange, unless there is no rest. */
    t->enough = t->enough || (!r->has_range && r->received == t->q->len &&
                              !(r->has_length && r->length == t->q->offset + t->q->len));
    return t->enough ? 0 : len;
}

static bool wants_range(const struct transfer *t)
{
    return t->q->buf || t->q->sink;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct http_response *r = t->r;
    size_t len = size * n;
    if (r->outcome != HTTP_ANSWERED) /* refused while it was held, which libcurl does not keep */
        return 0;
    if (wants_range(t) && (r->status == 200 || r->status == 206))
        return !len ? 0 : hold(t, t->q->download, t->q->len) ? (size_t)CURL_WRITEFUNC_PAUSE : take_range(t, data, len);
    r->text.limit = r->status >= 300 ? (size_t)ERROR_TEXT : t->q->text_limit;
    strbuf_add(&r->text, data, len);
    t->enough = r->text.overflow; /* it is of no use, and may have no end */
    return t->enough ? 0 : len;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct transfer *t = arg;
    (void)down_total;
    (void)up_total;
    if (down != t->seen_down || up != t->seen_up) {
        t->moved += (uint64_t)(down > t->seen_down ? down - t->seen_down : 0);
        t->moved += (uint64_t)(up > t->seen_up ? up - t->seen_up : 0);
        t->seen_down = down;
        t->seen_up = up;
        t->moved_ms = clock_ms();
    }
    return 0;
}

/* libcurl tells by this call that the connection (with TLS) stands and the request goes out. */
static int on_connected(void *arg, char *a, char *b, int c, int d)
{
    struct transfer *t = arg;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    t->connected = true;
    t->moved_ms = clock_ms();
    return CURL_PREREQFUNC_OK;
}

static void set_method(struct transfer *t)
{
    const struct http_request *q = t->q;
    CURL *c = t->easy;
    if (!strcmp(q->method, "HEAD"))
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else if (q->body) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body->len);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, send_body);
        curl_easy_setopt(c, CURLOPT_READDATA, t);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_body);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    } else if (strcmp(q->method, "GET") != 0)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
}

static void set_callbacks(struct transfer *t)
{
    CURL *c = t->easy;
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(c, CURLOPT_PREREQDATA, t);
}

static bool add_header(struct transfer *t, const char *line)
{
    struct curl_slist *l = curl_slist_append(t->headers, line);
    if (l)
        t->headers = l;
    return l;
}

static CURLcode set_headers(struct transfer *t)
{
    const struct http_request *q = t->q;
    for (size_t i = 0; i < q->n_headers; i++)
        if (!add_header(t, q->headers[i]))
            return CURLE_OUT_OF_MEMORY;
    /* libcurl asks before any big body. */
    if (q->body && !q->expect && !add_header(t, "Expect:"))
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

void transfer_free_headers(struct transfer *t)
{
    for (struct curl_slist *l = t->headers; l && t->q->secret; l = l->next)
        explicit_bzero(l->data, strlen(l->data));
    curl_slist_free_all(t->headers);
    t->headers = NULL;
}

/* What the environment says about proxies is for other programs: what is not set here is set to nothing. libcurl copies the
 * password, for as long as the exchange takes. */
static CURLcode set_proxy(struct transfer *t)
{
    const struct s3_proxy *p = t->q->proxy;
    CURL *c = t->easy;
    CURLcode code = curl_easy_setopt(c, CURLOPT_PROXY, p ? p->url : "");
    if (code == CURLE_OK)
        code = curl_easy_setopt(c, CURLOPT_NOPROXY, p ? p->except : "");
    if (code != CURLE_OK || !s3_proxy_is_set(p))
        return code;
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* the answer of the proxy is not the store's */
    if (!p->user[0])
        return CURLE_OK;
    curl_easy_setopt(c, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    code = curl_easy_setopt(c, CURLOPT_PROXYUSERNAME, p->user);
    return code == CURLE_OK ? curl_easy_setopt(c, CURLOPT_PROXYPASSWORD, p->password) : code;
}

CURLcode transfer_set_up(struct transfer *t)
{
    const struct http_request *q = t->q;
    CURL *c = t->easy;
    curl_easy_reset(c);
    set_callbacks(t);
    set_method(t);
    CURLcode code = set_headers(t);
    if (code != CURLE_OK)
        return code;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* whoever gives up does not wait for a name server */
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    code = set_proxy(t);
    if (code != CURLE_OK)
        return code;
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
    /* A trickle that never quite stops ends too. */
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)(q->answer_ms + q->stall_ms) / 1000 + 1);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)IO_BUFFER);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)IO_BUFFER);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* On a connection of its own libcurl doesn't repeat a request that was sent and not answered. */
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, q->once ? 1L : 0L);
    if (q->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, q->ca_file);
    if (q->any_peer) {
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
    }
    return curl_easy_setopt(c, CURLOPT_URL, q->url);
}

void transfer_set_broken(struct transfer *t, CURLcode code)
{
    t->r->outcome = HTTP_BROKEN;
    t->r->curl_code = (int)code;
    snprintf(t->r->reason, sizeof(t->r->reason), "%s", t->reason[0] ? t->reason : curl_easy_strerror(code));
}

void transfer_conclude(struct transfer *t, CURLcode code)
{
    struct http_response *r = t->r;
    if (r->outcome != HTTP_ANSWERED)
        return; /* a callback knew the reason */
    if (code != CURLE_OK && s3_proxy_is_set(t->q->proxy) &&
        (curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &r->proxy_status) != CURLE_OK || r->proxy_status < 300))
        r->proxy_status = 0;
    /* A store that refuses in the middle of a body may close at once: its answer says more than the broken connection.
     */
    if (code != CURLE_OK && !t->enough && r->status < 400)
        transfer_set_broken(t, code);
    else if (r->status < 200 || (r->status < 300 && t->q->body && t->sent < t->q->body->len))
        transfer_set_broken(t, CURLE_WEIRD_SERVER_REPLY); /* nobody can take what was not sent yet */
    else if (wants_range(t) && r->status < 300 && r->received < t->q->len) {
        /* Trap 4: the status says success and the body ends early, or there is none: 202, 203, 204. */
        if (r->status != 200 && r->status != 206)
            (void)snprintf(t->reason, sizeof(t->reason), "status %ld came in place of the bytes", r->status);
        transfer_set_broken(t, CURLE_PARTIAL_FILE);
    }
}

bool transfer_canceled(const struct transfer *t)
{
    return t->q->cancel && atomic_load(t->q->cancel);
}

bool transfer_begin(struct transfer *t)
{
    struct strbuf text = t->r->text;
    strbuf_reset(&text);
    *t->r = (struct http_response){.outcome = transfer_canceled(t) ? HTTP_CANCELED : HTTP_ANSWERED, .text = text};
    return t->r->outcome != HTTP_CANCELED;
}

static bool awaits_answer(const struct transfer *t)
{
    return t->connected && !t->answered && (!t->q->body || (uint64_t)t->seen_up >= t->q->body->len);
}

/* Says once that the exchange does not get on: by halves of the time, so that it is at most half as late again. */
static void watch(struct transfer *t, uint64_t now)
{
    const struct http_request *q = t->q;
    char what[100];
    if (!q->quiet || t->quiet_halves == 2)
        return;
    if (!t->watch_ms)
        watch_anew(t, now);
    if (now - t->watch_ms < q->quiet_ms / 2)
        return;
    uint64_t moved = t->moved - t->watch_moved;
    unsigned quiet = moved < q->quiet_bytes / 2 ? t->quiet_halves + 1 : 0;
    watch_anew(t, now);
    t->quiet_halves = quiet;
    if (quiet < 2)
        return;
    const char *how = !t->connected      ? "no connection"
                      : awaits_answer(t) ? "no answer"
                      : moved            ? "hardly a byte moved"
                                         : "no byte moved";
    snprintf(what, sizeof(what), "%s for %u s", how, (q->quiet_ms + 500) / 1000);
    q->quiet(q->quiet_arg, what);
}

/* Before the connection stands, libcurl's own limit counts. A body that is not taken waits for an answer, too: s3d reads
 * none of it while its disk is full, and says so in the end. */
static uint64_t stall_limit(const struct transfer *t)
{
    const struct http_request *q = t->q;
    bool held = q->body && !t->answered && q->answer_ms > q->stall_ms;
    return !t->connected              ? (uint64_t)q->connect_ms + q->stall_ms
           : awaits_answer(t) || held ? q->answer_ms
                                      : q->stall_ms;
}

static bool stalled(struct transfer *t, uint64_t now)
{
    bool all_sent = awaits_answer(t);
    uint64_t idle = now > t->moved_ms ? now - t->moved_ms : 0;
    uint64_t limit = stall_limit(t);
    if (idle < limit)
        return false;
    snprintf(t->r->reason, sizeof(t->r->reason), "%s for %" PRIu64 " ms",
             !t->connected ? "no connection"
             : all_sent    ? "no answer"
                           : "no byte moved",
             limit);
    return true;
}

bool transfer_is_over(struct transfer *t, uint64_t now)
{
    if (t->held) { /* by us: the store is not slow */
        t->moved_ms = now;
        watch_anew(t, now);
    }
    watch(t, now);
    if (transfer_canceled(t))
        t->r->outcome = HTTP_CANCELED;
    else if (stalled(t, now))
        t->r->outcome = HTTP_STALLED;
    else
        return false;
    return true;
}
