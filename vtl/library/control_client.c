/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control_client.c: asks a running library over its control socket. */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "vtl/library/control_private.h"

#define MAX_ANSWER (256u << 20) /* a library of 60,000 slots fits many times */

static int send_all(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Up to the newline; *out is malloc'd. */
static int read_line(int fd, char **out, size_t *len)
{
    size_t room = 65536, have = 0;
    char *buf = malloc(room);
    int rc = buf ? 0 : -ENOMEM;
    while (!rc && !(have && buf[have - 1] == '\n')) {
        if (have == room) {
            char *more = room < MAX_ANSWER ? realloc(buf, 2 * room) : NULL;
            if (!more) {
                rc = -ENOMEM;
                break;
            }
            buf = more;
            room *= 2;
        }
        ssize_t n = recv(fd, buf + have, room - have, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            rc = n ? -errno : -ECONNRESET;
        else
            have += (size_t)n;
    }
    if (rc) {
        free(buf);
        return rc;
    }
    *out = buf;
    *len = have;
    return 0;
}

static int ask(int fd, const json_t *request, json_t **answer)
{
    char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
    size_t len = 0;
    if (!text)
        return -ENOMEM;
    int rc = send_all(fd, text, strlen(text));
    free(text);
    if (!rc)
        rc = send_all(fd, "\n", 1);
    if (!rc || rc == -EPIPE) /* a server that hangs up may have said why */
        rc = read_line(fd, &line, &len);
    if (rc)
        return rc;
    *answer = json_loadb(line, len, 0, NULL);
    free(line);
    return *answer ? 0 : -EPROTO;
}

/* What the library answered; takes answer over. */
static int take_answer(json_t *answer, const struct sockaddr_un *addr, json_t **result, struct errtext *err)
{
    int rc = 0;
    if (json_is_true(json_object_get(answer, "ok"))) {
        *result = json_incref(json_object_get(answer, "result"));
    } else {
        const char *text = json_string_value(json_object_get(answer, "error"));
        rc = text ? errtext_set(err, -EREMOTEIO, "%s", text)
                  : errtext_set(err, -EREMOTEIO, "%s: the library's answer is not of the form that this s3vtl knows",
                                addr->sun_path);
    }
    json_decref(answer);
    return rc;
}

int control_call_over(int fd, const struct vtl_config *cfg, const json_t *request, json_t **result, struct errtext *err)
{
    struct sockaddr_un addr;
    json_t *answer = NULL;
    *result = NULL;
    int rc = control_address(cfg, &addr, err);
    if (!rc && (rc = ask(fd, request, &answer)))
        errtext_set(err, rc, "%s: %s", addr.sun_path, rc == -EAGAIN ? "no answer in time" : strerror(-rc));
    return rc ? rc : take_answer(answer, &addr, result, err);
}

/* Only the library's owner and root may ask: says who that is. */
static int not_allowed(const struct vtl_config *cfg, const struct sockaddr_un *addr, struct errtext *err)
{
    struct stat st;
    char user[80] = "";
    if (stat(cfg->library.state_dir, &st))
        return errtext_set(err, -EACCES, "%s: Permission denied: run this as root, or as the user that serves",
                           addr->sun_path);
    const struct passwd *pw = getpwuid(st.st_uid);
    (void)snprintf(user, sizeof(user), "%u", (unsigned)st.st_uid);
    if (pw)
        (void)snprintf(user, sizeof(user), "%s", pw->pw_name);
    return errtext_set(err, -EACCES, "%s: Permission denied: the library belongs to user %s: run this as %s%s",
                       addr->sun_path, user, st.st_uid ? "root or " : "", user);
}

int control_connect(const struct vtl_config *cfg, unsigned timeout_ms, struct errtext *err)
{
    struct sockaddr_un addr;
    int rc = control_address(cfg, &addr, err);
    if (rc)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errtext_set(err, -errno, "%s: %s", addr.sun_path, strerror(errno));
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = (long)(timeout_ms % 1000) * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* connect waits as long, too */
    if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
        return fd;
    rc = errno == EACCES ? not_allowed(cfg, &addr, err)
                         : errtext_set(err, -errno, "%s: no library answers: %s", addr.sun_path, strerror(errno));
    close(fd);
    return rc;
}

int control_call(const struct vtl_config *cfg, const json_t *request, unsigned timeout_ms, json_t **result,
                 struct errtext *err)
{
    *result = NULL;
    int fd = control_connect(cfg, timeout_ms, err);
    if (fd < 0)
        return fd;
    int rc = control_call_over(fd, cfg, request, result, err);
    close(fd);
    return rc;
}

void control_ask_end(int *owing_fd)
{
    if (*owing_fd >= 0)
        close(*owing_fd);
    *owing_fd = -1;
}

static bool owes_an_answer(int *owing_fd)
{
    struct pollfd p = {.fd = *owing_fd, .events = POLLIN};
    if (*owing_fd >= 0 && poll(&p, 1, 0) == 0)
        return true;
    control_ask_end(owing_fd);
    return false;
}

int control_ask(int *owing_fd, const struct vtl_config *cfg, const json_t *request, unsigned timeout_ms,
                json_t **result, struct errtext *err)
{
    *result = NULL;
    if (owes_an_answer(owing_fd))
        return errtext_set(err, -EAGAIN, "%s/control.sock: no answer in time", cfg->library.state_dir);
    int fd = control_connect(cfg, timeout_ms, err);
    if (fd < 0)
        return fd;
    int rc = control_call_over(fd, cfg, request, result, err);
    if (rc == -EAGAIN)
        *owing_fd = fd;
    else
        close(fd);
    return rc;
}
