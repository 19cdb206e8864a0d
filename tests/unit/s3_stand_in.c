/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_stand_in.c: a scripted HTTP server on loopback, a thread for each connection. */
#include "tests/unit/s3_stand_in.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/crc32c.h"

enum { MAX_REQUESTS = 256, MAX_CONNECTIONS = 64, MAX_HEAD = 16384, MAX_BODY = 8 << 20 };

struct request {
    char *head, *body;
    size_t body_len;
    bool shown; /* body is what came of it */
};

struct stand_in {
    const struct stand_in_answer *script;
    size_t script_len;
    char url[64];
    unsigned port;
    int listener;
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request requests[MAX_REQUESTS];
    pthread_t threads[MAX_CONNECTIONS];
    int sockets[MAX_CONNECTIONS];
    unsigned n_requests, n_connections, under_way, most;
    bool stop;
    char wrong[512]; /* the first thing that the script did not expect */
};

struct connection {
    struct stand_in *s;
    int fd;
    char buf[MAX_HEAD]; /* bytes that were read and not used */
    size_t have;
};

static void send_text(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0)
            return; /* the client went away: some tests want that */
        p += w;
        n -= (size_t)w;
    }
}

/* Reads until the client closes. */
static void await_close(int fd)
{
    struct timespec t = {.tv_nsec = 1000000};
    char c[65536];
    ssize_t n;
    while ((n = recv(fd, c, sizeof(c), 0)) > 0)
        nanosleep(&t, NULL);
}

static void await_close_deaf(int fd)
{
    /* Nothing is read: the client's send buffer fills. An error or a reset ends it. */
    struct timespec t = {.tv_nsec = 5000000};
    char c;
    for (;;) {
        ssize_t n = send(fd, "", 0, MSG_NOSIGNAL);
        int err = 0;
        socklen_t len = sizeof(err);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
        if (n < 0 || err || (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0))
            return;
        nanosleep(&t, NULL);
    }
}

static bool stopping(struct stand_in *s)
{
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

/* One byte in 5 ms, in or out. */
static void creep(struct connection *conn, bool out)
{
    char c = 'x';
    /* The client's close waits behind all that is not read. */
    while (!stopping(conn->s) && (out ? send(conn->fd, &c, 1, MSG_NOSIGNAL) : recv(conn->fd, &c, 1, 0)) == 1)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* A body in chunks that has no end. */
static void flood(struct connection *c, const struct stand_in_answer *a)
{
    size_t len = a->body_len ? a->body_len : strlen(a->body);
    char head[120], *chunk = malloc(len + 40);
    int n = snprintf(head, sizeof(head), "HTTP/1.1 %d Scripted\r\nTransfer-Encoding: chunked\r\n%s\r\n", a->status,
                     a->headers ? a->headers : "");
    send_text(c->fd, head, (size_t)n);
    size_t at = (size_t)sprintf(chunk, "%zx\r\n", len);
    memcpy(chunk + at, a->body, len);
    memcpy(chunk + at + len, "\r\n", 2);
    while (!stopping(c->s) && send(c->fd, chunk, at + len + 2, MSG_NOSIGNAL) > 0)
        ;
    free(chunk);
}

/* Reads a head into a string of its own; NULL at the end of the connection. */
static char *read_head(struct connection *c)
{
    for (;;) {
        char *end = c->have ? memmem(c->buf, c->have, "\r\n\r\n", 4) : NULL;
        if (end) {
            size_t n = (size_t)(end - c->buf) + 4;
            char *head = strndup(c->buf, n);
            memmove(c->buf, c->buf + n, c->have - n);
            c->have -= n;
            return head;
        }
        if (c->have == sizeof(c->buf))
            return NULL;
        ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, 0);
        if (n <= 0)
            return NULL;
        c->have += (size_t)n;
    }
}

static const char *header(const char *head, const char *name)
{
    const char *p = strcasestr(head, name);
    return p ? p + strlen(name) : NULL;
}

static void read_body(struct connection *c, struct request *r)
{
    const char *length = header(r->head, "\r\nContent-Length: ");
    size_t want = length ? strtoul(length, NULL, 10) : 0;
    if (want > MAX_BODY)
        return;
    r->body = calloc(1, want + 1);
    if (header(r->head, "\r\nExpect: 100-continue"))
        send_text(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    while (r->body_len < want) {
        size_t n = want - r->body_len < c->have ? want - r->body_len : c->have;
        memcpy(r->body + r->body_len, c->buf, n);
        memmove(c->buf, c->buf + n, c->have - n);
        c->have -= n;
        r->body_len += n;
        if (r->body_len == want)
            return;
        ssize_t got = recv(c->fd, c->buf, sizeof(c->buf), 0);
        if (got <= 0)
            return;
        c->have = (size_t)got;
    }
}

static void write_md5(char *out, const struct request *r)
{
    unsigned char md[16];
    EVP_Digest(r->body ? r->body : "", r->body_len, md, NULL, EVP_md5(), NULL);
    out += sprintf(out, "ETag: \"");
    for (int i = 0; i < 16; i++)
        out += sprintf(out, "%02x", md[i]);
    sprintf(out, "\"\r\n");
}

/* The header that tells a checksum, into out; false: the body has another one than its request says, and is refused. */
static bool write_crc(char *out, size_t room, enum stand_in_crc way, const struct request *r)
{
    char own[9] = "";
    const char *sent = header(r->head, "\r\nx-amz-checksum-crc32c: ");
    uint32_t crc = crc32c(0, r->body ? r->body : "", r->body_len);
    const unsigned char be[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8),
                                 (unsigned char)crc};
    EVP_EncodeBlock((unsigned char *)own, be, 4);
    *out = 0;
    if (way == SI_CRC_IGNORE || !sent)
        return true;
    if (way == SI_CRC_COMPARE && strncmp(sent, own, 8) != 0)
        return false;
    snprintf(out, room, "x-amz-checksum-crc32c: %.8s\r\n", way == SI_CRC_PARROT ? sent : own);
    return true;
}

static void send_answer(struct connection *c, const struct stand_in_answer *a, const struct request *r)
{
    static const struct stand_in_answer refusal = {
        .status = 400, .body = "<Error><Code>BadDigest</Code><Message>The CRC32C did not match.</Message></Error>"};
    char head[4096], etag[64] = "", crc[64], quoted[2048];
    if (!write_crc(crc, sizeof(crc), a->crc, r))
        a = &refusal;
    const char *body = a->body ? a->body : "";
    size_t len = a->body_len ? a->body_len : strlen(body);
    if (a->etag)
        write_md5(etag, r);
    if (a->echo_secret) {
        const char *auth = header(r->head, "\r\nAuthorization: ");
        len = (size_t)snprintf(quoted, sizeof(quoted),
                               "<Error><Code>AccessDenied</Code><Message>you sent %.*s</Message></Error>",
                               auth ? (int)strcspn(auth, "\r") : 0, auth ? auth : "");
        body = quoted;
    }
    bool is_head = !strncmp(r->head, "HEAD ", 5);
    bool own_length = a->headers && strcasestr(a->headers, "content-length:") /* or X-No-Content-Length: */;
    char length[64] = "";
    nanosleep(&(struct timespec){.tv_sec = a->hold_ms / 1000, .tv_nsec = a->hold_ms % 1000 * 1000000L}, NULL);
    if (!own_length)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", len + a->missing);
    int n = snprintf(head, sizeof(head), "HTTP/1.1 %d Scripted\r\n%s%s%s%s\r\n", a->status, length, etag, crc,
                     a->headers ? a->headers : "");
    send_text(c->fd, head, (size_t)n);
    if (!is_head)
        send_text(c->fd, body, len);
}

/* Counts the request in and takes its answer from the script. */
static const struct stand_in_answer *admit(struct stand_in *s, struct request *r)
{
    static const struct stand_in_answer refuse = {.status = 400};
    const struct stand_in_answer *a = &refuse;
    pthread_mutex_lock(&s->lock);
    unsigned i = s->n_requests;
    if (i < s->script_len)
        a = &s->script[i];
    if (!s->wrong[0] && (i >= s->script_len || (a->expect && strncmp(r->head, a->expect, strlen(a->expect)) != 0)))
        snprintf(s->wrong, sizeof(s->wrong), "request %u is \"%.*s\", expected \"%s\"", i, (int)strcspn(r->head, "\r"),
                 r->head, i < s->script_len ? a->expect : "no more");
    if (i < MAX_REQUESTS)
        s->requests[s->n_requests++] = *r;
    if (++s->under_way > s->most)
        s->most = s->under_way;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return a;
}

/* The body came after the head was shown: show it too. */
static void show_body(struct stand_in *s, const struct request *r)
{
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->n_requests; i++)
        if (s->requests[i].head == r->head) {
            s->requests[i] = *r;
            s->requests[i].shown = true;
        }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* True when the connection stays. */
static bool serve_one(struct connection *c)
{
    struct request r = {.head = read_head(c)};
    if (!r.head)
        return false;
    const struct stand_in_answer *a = admit(c->s, &r);
    if (a->way != SI_EARLY && a->way != SI_DEAF && a->way != SI_SIP) {
        read_body(c, &r);
        if (a->damage && r.body_len)
            r.body[r.body_len / 2] ^= 1;
        show_body(c->s, &r);
    }
    if (a->way == SI_SILENT)
        await_close(c->fd);
    else if (a->way == SI_DEAF)
        await_close_deaf(c->fd);
    else if (a->way == SI_SIP)
        creep(c, false);
    pthread_mutex_lock(&c->s->lock);
    c->s->under_way--;
    pthread_mutex_unlock(&c->s->lock);
    if (a->way == SI_ANSWER || a->way == SI_SHORT || a->way == SI_HALF || a->way == SI_EARLY || a->way == SI_CLOSE ||
        a->way == SI_DRIP)
        send_answer(c, a, &r);
    if (a->way == SI_DRIP)
        creep(c, true);
    if (a->way == SI_FLOOD)
        flood(c, a);
    if (a->way == SI_HALF)
        await_close(c->fd);
    return a->way == SI_ANSWER;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    while (serve_one(c))
        ;
    shutdown(c->fd, SHUT_RDWR);
    free(c);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct stand_in *s = arg;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        pthread_mutex_lock(&s->lock);
        bool full = s->n_connections == MAX_CONNECTIONS;
        if (fd >= 0 && (s->stop || full)) {
            close(fd);
        } else if (fd >= 0) {
            struct connection *c = calloc(1, sizeof(*c));
            *c = (struct connection){.s = s, .fd = fd};
            s->sockets[s->n_connections] = fd;
            pthread_create(&s->threads[s->n_connections++], NULL, serve, c);
        }
        bool stop = s->stop;
        pthread_mutex_unlock(&s->lock);
        if (stop)
            return NULL;
    }
}

struct stand_in *stand_in_start(const struct stand_in_answer *script, size_t n)
{
    struct stand_in *s = calloc(1, sizeof(*s));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    assert_non_null(s);
    s->script = script;
    s->script_len = n;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->listener, 64), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", s->port);
    assert_int_equal(pthread_create(&s->acceptor, NULL, accept_all, s), 0);
    return s;
}

const char *stand_in_url(const struct stand_in *s)
{
    return s->url;
}

unsigned stand_in_port(const struct stand_in *s)
{
    return s->port;
}

void stand_in_await(struct stand_in *s, unsigned n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    while (s->n_requests < n && rc == 0)
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    unsigned got = s->n_requests;
    pthread_mutex_unlock(&s->lock);
    assert_true(got >= n);
}

static unsigned locked(struct stand_in *s, const unsigned *v)
{
    pthread_mutex_lock(&s->lock);
    unsigned r = *v;
    pthread_mutex_unlock(&s->lock);
    return r;
}

unsigned stand_in_requests(struct stand_in *s)
{
    return locked(s, &s->n_requests);
}

unsigned stand_in_connections(struct stand_in *s)
{
    return locked(s, &s->n_connections);
}

unsigned stand_in_most(struct stand_in *s)
{
    return locked(s, &s->most);
}

const char *stand_in_head(struct stand_in *s, unsigned i)
{
    assert_true(i < stand_in_requests(s));
    return s->requests[i].head;
}

const char *stand_in_body(struct stand_in *s, unsigned i)
{
    assert_true(i < stand_in_requests(s));
    return s->requests[i].body ? s->requests[i].body : "";
}

size_t stand_in_received(struct stand_in *s, unsigned i)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    stand_in_await(s, i + 1);
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    while (!s->requests[i].shown && rc == 0)
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    size_t n = s->requests[i].body_len;
    pthread_mutex_unlock(&s->lock);
    assert_int_equal(rc, 0);
    return n;
}

void stand_in_stop(struct stand_in *s)
{
    char wrong[512];
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < s->n_connections; i++)
        shutdown(s->sockets[i], SHUT_RDWR);
    for (unsigned i = 0; i < s->n_connections; i++) {
        pthread_join(s->threads[i], NULL);
        close(s->sockets[i]);
    }
    for (unsigned i = 0; i < s->n_requests; i++) {
        free(s->requests[i].head);
        free(s->requests[i].body);
    }
    memcpy(wrong, s->wrong, sizeof(wrong));
    close(s->listener);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
    if (wrong[0])
        fail_msg("%s", wrong);
}

struct s3_tuning stand_in_tuning(void)
{
    struct s3_tuning t = s3_default_tuning;
    t.connect_ms = 2000;
    t.stall_ms = t.answer_ms = t.reply_ms = 300;
    t.retry = (struct retry_limits){.first_ms = 1, .most_ms = 4, .total_ms = 150};
    return t;
}

/* A file in /tmp with that text, removed by its user. */
static void make_file(char file[32], const char *text)
{
    (void)snprintf(file, 32, "/tmp/s3vtl-stand-in-XXXXXX");
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s", text) > 0);
    close(fd);
}

static struct objstore *open_store(struct objstore_config *cfg, const struct s3_tuning *t)
{
    struct s3_tuning own = stand_in_tuning();
    struct objstore *o = NULL;
    struct errtext err = {""};
    char file[32];
    make_file(file, "access_key = " STAND_IN_ACCESS "\nsecret_key = " STAND_IN_SECRET "\n");
    cfg->type = "s3";
    cfg->bucket = "bkt";
    cfg->prefix = "pre";
    cfg->credentials_file = file;
    int rc = s3_open(cfg, t ? t : &own, &o, &err);
    unlink(file);
    if (rc)
        fail_msg("%s", err.text);
    return o;
}

struct objstore *stand_in_store_at(const char *url, const char *style, const struct s3_tuning *t, unsigned parallel)
{
    struct objstore_config cfg = {.url = url, .style = style, .kind = "s3", .parallel = parallel ? parallel : 4};
    return open_store(&cfg, t);
}

struct objstore *stand_in_store_with_admin(const struct stand_in *s, const char *kind)
{
    char file[32];
    make_file(file, STAND_IN_PASSWORD "\n");
    struct objstore_config cfg = {
        .url = s->url, .style = "path", .parallel = 4, .kind = kind, .admin_url = s->url, .admin_password_file = file};
    struct objstore *o = open_store(&cfg, NULL);
    unlink(file);
    return o;
}

struct objstore *stand_in_store(const struct stand_in *s, const struct s3_tuning *t, unsigned parallel)
{
    return stand_in_store_at(s->url, "path", t, parallel);
}
