/* SPDX-License-Identifier: GPL-2.0-or-later */
/* delay.c: a relay that makes the way to a server longer, and narrower if told: each byte arrives later by half the
 * round trip, and none is held back more than the line is wide. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: delay HOST:PORT MILLISECONDS FILE [MEGABYTES]\n"
    "Listens on a free port of 127.0.0.1, which it writes to FILE; MILLISECONDS is the round trip. MEGABYTES (10^6) a\n"
    "second go over the line each way, for all connections together; without it as many as there are.\n";

enum { CHUNK = 64 << 10, MAX_UNDERWAY = 64 << 20, QUEUE = 2 << 20 };

/* The line, which all connections share: when it has sent what it was given. */
struct line {
    pthread_mutex_t lock;
    int64_t free_at; /* monotonic nanoseconds */
};

/* Bytes under way from one side to the other: what fits on a fast line of this length. */
struct chunk {
    struct chunk *next;
    int64_t due; /* monotonic nanoseconds */
    size_t len;
    uint8_t data[];
};

struct lane {
    int from, to;
    struct line *line;
    int64_t open_at; /* the connection is there for the client: nothing arrives before */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk *first, **last;
    size_t underway;
    bool ended, broken; /* no more comes; nobody takes it */
};

struct connection {
    struct lane up, down;
};

static struct sockaddr_in upstream;
static int64_t one_way;                    /* nanoseconds */
static int64_t rate;                       /* bytes a second, each way; 0: any */
static size_t max_underway = MAX_UNDERWAY; /* in a connection */
static struct line upward = {PTHREAD_MUTEX_INITIALIZER, 0}, downward = {PTHREAD_MUTEX_INITIALIZER, 0};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void put_in(struct lane *l, struct chunk *c)
{
    pthread_mutex_lock(&l->lock);
    while (l->underway >= max_underway && !l->broken)
        pthread_cond_wait(&l->changed, &l->lock);
    *l->last = c;
    l->last = &c->next;
    l->underway += c->len;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* When the last of len bytes that came at `at` has left. */
static int64_t over_line(struct line *line, int64_t at, size_t len)
{
    if (!rate)
        return at;
    pthread_mutex_lock(&line->lock);
    line->free_at = (line->free_at > at ? line->free_at : at) + (int64_t)len * INT64_C(1000000000) / rate;
    at = line->free_at;
    pthread_mutex_unlock(&line->lock);
    return at;
}

static void *take_in(void *arg)
{
    struct lane *l = arg;
    for (;;) {
        struct chunk *c = malloc(sizeof(*c) + CHUNK);
        if (!c)
            fail("memory");
        ssize_t n = recv(l->from, c->data, CHUNK, 0);
        int64_t at = over_line(l->line, now(), n > 0 ? (size_t)n : 0);
        *c = (struct chunk){.due = (at > l->open_at ? at : l->open_at) + one_way, .len = n > 0 ? (size_t)n : 0};
        if (n > 0) {
            struct chunk *fits = realloc(c, sizeof(*c) + c->len);
            put_in(l, fits ? fits : c);
            continue;
        }
        put_in(l, c); /* an empty one: the end */
        return NULL;
    }
}

static bool deliver(struct lane *l, const struct chunk *c)
{
    struct timespec t = {c->due / 1000000000, c->due % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
    for (size_t at = 0; at < c->len;) {
        ssize_t n = send(l->to, c->data + at, c->len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return c->len > 0;
}

static void *give_out(void *arg)
{
    struct lane *l = arg;
    for (bool more = true; more;) {
        pthread_mutex_lock(&l->lock);
        while (!l->first)
            pthread_cond_wait(&l->changed, &l->lock);
        struct chunk *c = l->first;
        pthread_mutex_unlock(&l->lock);
        more = deliver(l, c);
        pthread_mutex_lock(&l->lock);
        l->first = c->next;
        if (!l->first)
            l->last = &l->first;
        l->underway -= c->len;
        l->broken = !more;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        free(c);
    }
    (void)shutdown(l->to, SHUT_WR);
    (void)shutdown(l->from, SHUT_RD);
    return NULL;
}

static void lane_init(struct lane *l, int from, int to, struct line *line, int64_t open_at)
{
    *l = (struct lane){.from = from, .to = to, .line = line, .open_at = open_at};
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
}

static void lane_free(struct lane *l)
{
    while (l->first) {
        struct chunk *c = l->first;
        l->first = c->next;
        free(c);
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
}

static void *serve(void *arg)
{
    int client = (int)(intptr_t)arg, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (server < 0 || connect(server, (struct sockaddr *)&upstream, sizeof(upstream))) {
        close(client);
        if (server >= 0)
            close(server);
        return NULL;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct connection c;
    /* The handshake takes a round trip of its own before a client can send. */
    lane_init(&c.up, client, server, &upward, now() + 2 * one_way);
    lane_init(&c.down, server, client, &downward, 0);
    pthread_t t[4];
    void *(*const run[])(void *) = {take_in, give_out, take_in, give_out};
    struct lane *const lanes[] = {&c.up, &c.up, &c.down, &c.down};
    for (int i = 0; i < 4; i++)
        if (pthread_create(&t[i], NULL, run[i], lanes[i]))
            fail("threads");
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    lane_free(&c.up);
    lane_free(&c.down);
    close(client);
    close(server);
    return NULL;
}

static void tell_port(int fd, const char *file)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    FILE *f = getsockname(fd, (struct sockaddr *)&a, &len) ? NULL : fopen(file, "w");
    if (!f || fprintf(f, "%u\n", ntohs(a.sin_port)) < 0 || fclose(f))
        fail(file);
}

int main(int argc, char **argv)
{
    char *port = argc == 4 || argc == 5 ? strrchr(argv[1], ':') : NULL;
    if (!port) {
        fputs(usage, stderr);
        return 2;
    }
    *port++ = '\0';
    upstream = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, argv[1], &upstream.sin_addr) != 1)
        fail(argv[1]);
    one_way = atoll(argv[2]) * 1000000 / 2;
    if (argc == 5) { /* no more waits for the line than a router would keep */
        rate = atoll(argv[4]) * 1000000;
        max_underway = (size_t)(rate * 2 * one_way / 1000000000) + QUEUE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) || listen(fd, 64))
        fail("listen");
    tell_port(fd, argv[3]);
    for (;;) {
        pthread_t t;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        if (pthread_create(&t, NULL, serve, (void *)(intptr_t)client))
            fail("threads");
        pthread_detach(t);
    }
}
