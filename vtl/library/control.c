/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control.c: the control socket's server: one thread accepts, one a client answers. */
#include "vtl/library/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/jsontext.h"
#include "base/lock.h"
#include "base/thread.h"
#include "vtl/library/control_private.h"

#define MAX_CLIENTS 16 /* that are answered at once, or between two requests */
#define MAX_WAITING 64 /* whose request waits, or may have to: they leave the others their places */
#define PLACES (MAX_CLIENTS + MAX_WAITING)
#define MAX_LINE (1u << 20)
#define CLIENT_SILENCE_S 60
#define OUT_OF_FILES_MS 100

struct control_server {
    struct library *lib;
    struct sockaddr_un addr;
    int fd;
    int stop_pipe[2];
    pthread_t thread;
    struct lock lock; /* guards what follows */
    struct cond gone;
    int clients[PLACES + 1]; /* their sockets; -1: free. The last one is serve's, for the stop, and counts nowhere */
    unsigned n_clients, n_waiting;
};

struct client {
    struct control_server *server;
    int slot, fd;
};

int control_address(const struct vtl_config *cfg, struct sockaddr_un *addr, struct errtext *err)
{
    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    int n = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/control.sock", cfg->library.state_dir);
    if (n < 0 || (size_t)n >= sizeof(addr->sun_path))
        return errtext_set(err, -ENAMETOOLONG,
                           "%s: [library] state_dir = %s: too long for a socket: at most %zu characters", cfg->file,
                           cfg->library.state_dir, sizeof(addr->sun_path) - sizeof("/control.sock"));
    return 0;
}

/* Root, and the user and group that the library runs as. */
static bool may_talk(int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
        return false;
    return who.uid == 0 || who.uid == geteuid() || who.gid == getegid();
}

static bool send_json(int fd, json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));
    bool ok = text != NULL;
    size_t len = ok ? strlen(text) : 0;
    if (ok)
        text[len++] = '\n'; /* over the NUL */
    for (size_t at = 0; ok && at < len;) {
        ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);
        ok = n > 0 || (n < 0 && errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
    free(text);
    return ok;
}

static bool send_error(int fd, const char *text)
{
    json_t *j = json_pack("{s:b, s:o}", "ok", 0, "error", json_text(text));
    bool sent = j && send_json(fd, j);
    json_decref(j);
    return sent;
}

/* False: too many wait already. */
static bool begin_wait(struct control_server *s)
{
    lock_take(&s->lock);
    bool free_place = s->n_waiting < MAX_WAITING;
    s->n_waiting += free_place;
    lock_release(&s->lock);
    return free_place;
}

static void end_wait(struct control_server *s)
{
    lock_take(&s->lock);
    s->n_waiting--;
    lock_release(&s->lock);
}

static json_t *call_library(const struct client *c, const json_t *request, struct errtext *err)
{
    bool counts = c->slot < PLACES && library_call_waits(request);
    if (counts && !begin_wait(c->server)) {
        errtext_set(err, 0, "too many wait at once: try again");
        return NULL;
    }
    json_t *result = library_call(c->server->lib, request, err);
    if (counts)
        end_wait(c->server);
    return result;
}

static bool answer(const struct client *c, const char *line, size_t len)
{
    struct errtext err = {""};
    int fd = c->fd;
    if (!may_talk(fd)) {
        (void)send_error(fd, "not allowed: only root and the user and group that the library runs as may ask");
        return false;
    }
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *result = NULL;
    if (!json_is_object(request))
        errtext_set(&err, 0, "the request is not a JSON object");
    else
        result = call_library(c, request, &err);
    json_decref(request);
    if (!result)
        return send_error(fd, err.text);
    json_t *j = json_pack("{s:b, s:o}", "ok", 1, "result", result);
    bool sent = j && send_json(fd, j);
    json_decref(j);
    return sent;
}

static void serve(const struct client *c)
{
    struct timeval silence = {.tv_sec = c->slot < PLACES ? CLIENT_SILENCE_S : 0}; /* the stop may be years away */
    int fd = c->fd;
    size_t room = 4096, have = 0;
    char *buf = malloc(room);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
    bool going = buf != NULL;
    while (going) {
        char *end = memchr(buf, '\n', have);
        if (end) {
            size_t len = (size_t)(end - buf) + 1;
            going = answer(c, buf, len);
            memmove(buf, buf + len, have - len);
            have -= len;
            continue;
        }
        if (have == room) {
            char *more = room < MAX_LINE ? realloc(buf, 2 * room) : NULL;
            if (!more) {
                (void)send_error(fd, room < MAX_LINE ? "out of memory" : "the request is longer than 1 MiB");
                break;
            }
            buf = more;
            room *= 2;
        }
        ssize_t n = recv(fd, buf + have, room - have, 0);
        going = n > 0 || (n < 0 && errno == EINTR);
        have += n > 0 ? (size_t)n : 0;
    }
    free(buf);
}

static void *client_thread(void *arg)
{
    struct client c = *(struct client *)arg;
    free(arg);
    serve(&c);
    lock_take(&c.server->lock);
    close(c.fd);
    c.server->clients[c.slot] = -1;
    c.server->n_clients -= c.slot < PLACES;
    cond_signal(&c.server->gone);
    lock_release(&c.server->lock);
    return NULL;
}

/* The fd is the client's then. */
static int start_thread(struct control_server *s, int slot, int fd)
{
    lock_assert_held(&s->lock);
    struct client *c = malloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct client){s, slot, fd};
    int rc = thread_start_detached("client", client_thread, c);
    if (rc) {
        free(c);
        return rc;
    }
    s->clients[slot] = fd;
    s->n_clients += slot < PLACES;
    return 0;
}

static void start_client(struct control_server *s, int fd)
{
    lock_take(&s->lock);
    int slot = 0;
    while (slot < PLACES && s->clients[slot] >= 0)
        slot++;
    bool room = slot < PLACES && s->n_clients - s->n_waiting < MAX_CLIENTS;
    if (!room || start_thread(s, slot, fd)) {
        (void)send_error(fd, "too many ask at once: try again"); /* fits the empty socket: cannot block */
        close(fd);
    }
    lock_release(&s->lock);
}

/* The end of a connection that serve gave us when it began, so that its stop depends on no free place, nor on the file
 * of the socket. None when something else began us. */
static int take_stop_client(struct control_server *s)
{
    const char *text = getenv(CONTROL_STOP_FD);
    int fd = text && *text ? atoi(text) : -1, type = 0;
    socklen_t len = sizeof(type);
    if (fd <= 2 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
        return 0;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    lock_take(&s->lock);
    int rc = start_thread(s, PLACES, fd);
    lock_release(&s->lock);
    return rc;
}

static void *accept_thread(void *arg)
{
    struct control_server *s = arg;
    struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->stop_pipe[0], .events = POLLIN}};
    while (poll(p, 2, -1) >= 0 || errno == EINTR) {
        if (p[1].revents)
            break;
        int fd = p[0].revents ? accept4(s->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            start_client(s, fd);
        else if (p[0].revents)
            (void)poll(&p[1], 1, OUT_OF_FILES_MS); /* the waiting client leaves the socket readable: do not spin */
        p[0].revents = 0;
    }
    return NULL;
}

/* A socket file that nobody answers is stale; one that somebody answers is not ours to take. */
static int make_room(const struct sockaddr_un *addr, struct errtext *err)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = probe < 0 || connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;
    if (probe >= 0)
        close(probe);
    if (!rc || rc == -EAGAIN) /* EAGAIN: it has many callers */
        return errtext_set(err, -EADDRINUSE, "%s: another library answers there", addr->sun_path);
    if (rc == -ECONNREFUSED && unlink(addr->sun_path))
        rc = -errno;
    return rc == -ENOENT || rc == -ECONNREFUSED ? 0 : errtext_set(err, rc, "%s: %s", addr->sun_path, strerror(-rc));
}

static int make_socket(struct control_server *s, struct errtext *err)
{
    const char *path = s->addr.sun_path;
    int rc = make_room(&s->addr, err);
    if (rc)
        return rc;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The file gets the socket's mode less the umask (which is the whole process's: not ours to change), and is never
     * open to others. */
    if (s->fd < 0 || fchmod(s->fd, 0660) || bind(s->fd, (struct sockaddr *)&s->addr, sizeof(s->addr)) ||
        chmod(path, 0660) || listen(s->fd, 16))
        return errtext_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

int control_server_start(struct library *lib, const struct vtl_config *cfg, struct control_server **out,
                         struct errtext *err)
{
    *out = NULL;
    struct control_server *s = calloc(1, sizeof(*s));
    if (!s)
        return errtext_set(err, -ENOMEM, "control socket: out of memory");
    s->lib = lib;
    s->fd = s->stop_pipe[0] = s->stop_pipe[1] = -1;
    for (int i = 0; i <= PLACES; i++)
        s->clients[i] = -1;
    lock_init(&s->lock, LOCK_CONTROL);
    cond_init(&s->gone);
    int rc = control_address(cfg, &s->addr, err);
    if (!rc)
        rc = make_socket(s, err);
    if (!rc) {
        rc = pipe2(s->stop_pipe, O_CLOEXEC) ? -errno : thread_start(&s->thread, "control", accept_thread, s);
        if (!rc && (rc = take_stop_client(s))) {
            errtext_set(err, rc, "control socket: cannot start a thread: %s", strerror(-rc));
            control_server_stop(s);
            return rc;
        }
        if (rc) {
            (void)unlink(s->addr.sun_path);
            errtext_set(err, rc, "%s: cannot start its thread: %s", s->addr.sun_path, strerror(-rc));
        }
    }
    if (rc) {
        const int fds[] = {s->fd, s->stop_pipe[0], s->stop_pipe[1]};
        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
            if (fds[i] >= 0)
                close(fds[i]);
        cond_fini(&s->gone);
        lock_fini(&s->lock);
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void control_server_stop(struct control_server *s)
{
    if (!s)
        return;
    close(s->stop_pipe[1]); /* wakes the accepting thread */
    pthread_join(s->thread, NULL);
    (void)unlink(s->addr.sun_path);
    close(s->fd);
    lock_take(&s->lock);
    for (int i = 0; i <= PLACES; i++)
        while (s->clients[i] >= 0) {
            (void)shutdown(s->clients[i], SHUT_RD); /* what is being answered still is */
            cond_wait(&s->gone, &s->lock);
        }
    lock_release(&s->lock);
    close(s->stop_pipe[0]);
    cond_fini(&s->gone);
    lock_fini(&s->lock);
    free(s);
}
