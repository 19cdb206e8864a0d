/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web.c: the console's process: its token, its key, its port, its start and end. */
#include "vtl/web/web.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/secret.h"
#include "vtl/web/web_private.h"

enum { SILENCE_S = 60, PEM_MAX = 65536 };
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* The file's bytes into to, which has room for max + 1, and a NUL behind them. No stdio: its buffer would keep a copy. */
static int read_file(const char *file, char *to, size_t max, struct errtext *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, max + 1);
    int rc = n < 0 ? errtext_set(err, -errno, "%s: %s", file, strerror(errno)) : 0;
    if (fd >= 0)
        close(fd);
    if (!rc && (size_t)n > max)
        rc = errtext_set(err, -EFBIG, "%s: it has more than %zu bytes", file, max);
    to[rc ? 0 : n] = '\0';
    return rc;
}

static char *secret_room(const char *file, size_t size, struct errtext *err)
{
    char *p = secret_new(size);
    if (!p)
        errtext_set(err, -ENOMEM, "%s: it must be in locked memory, and there is none: %s", file, strerror(errno));
    return p;
}

static int read_token(struct web *w, struct errtext *err)
{
    const char *file = w->cfg->web.token_path;
    w->token = secret_room(file, WEB_TOKEN_MAX + 2, err);
    int rc = w->token ? read_file(file, w->token, WEB_TOKEN_MAX + 1, err) : -ENOMEM;
    if (rc && rc != -EFBIG)
        return rc;
    size_t len = strcspn(w->token, "\r\n");
    w->token[len] = '\0';
    if (rc || len < WEB_TOKEN_MIN || len > WEB_TOKEN_MAX)
        return errtext_set(err, -EINVAL,
                           "%s: the token must have %d to %d characters, such as openssl rand -hex 32 makes", file,
                           WEB_TOKEN_MIN, WEB_TOKEN_MAX);
    return 0;
}

/* What clients speak TLS with, if they are to. */
static int read_tls(struct web *w, struct errtext *err)
{
    if (!w->cfg->web.tls_certificate[0])
        return 0;
    w->certificate = calloc(1, PEM_MAX + 2);
    w->key = secret_room(w->cfg->web.tls_key_path, PEM_MAX + 2, err);
    if (!w->certificate || !w->key)
        return -ENOMEM;
    int rc = read_file(w->cfg->web.tls_certificate, w->certificate, PEM_MAX, err);
    if (!rc)
        rc = read_file(w->cfg->web.tls_key_path, w->key, PEM_MAX, err);
    return rc ? rc : web_tls_check(w, err);
}

/* A thread for each connection, as each may wait for the library. */
static int serve(struct web *w, int fd, void (*ready)(const struct vtl_config *cfg), struct errtext *err)
{
    sigset_t ends;
    int which;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* MHD's threads, too */
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, w->certificate},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, w->key},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_VERSIONS},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | (w->key ? MHD_USE_TLS : 0), 0, NULL, NULL,
        web_request, w, MHD_OPTION_NOTIFY_COMPLETED, web_request_ended, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)WEB_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S,
        MHD_OPTION_ARRAY, w->key ? tls : &tls[3], MHD_OPTION_END);
    if (!d) {
        close(fd);
        return errtext_set(err, -EIO, "[web] listen = %s: cannot start", w->cfg->web.listen);
    }
    ready(w->cfg);
    (void)sigwait(&ends, &which);
    (void)eventfd_write(w->stop_fd, 1);
    pthread_sigmask(SIG_UNBLOCK, &ends, NULL); /* an action may go on for minutes */
    MHD_stop_daemon(d);
    return 0;
}

int web_run(const struct vtl_config *cfg, int fd, void (*ready)(const struct vtl_config *cfg), struct errtext *err)
{
    struct web w = {.cfg = cfg, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    int rc = w.stop_fd < 0 ? errtext_set(err, -errno, "eventfd: %s", strerror(errno)) : read_token(&w, err);
    if (!rc)
        rc = read_tls(&w, err);
    if (rc)
        close(fd);
    else
        rc = serve(&w, fd, ready, err);
    secret_free(w.token, WEB_TOKEN_MAX + 2);
    secret_free(w.key, PEM_MAX + 2);
    free(w.certificate);
    if (w.stop_fd >= 0)
        close(w.stop_fd);
    return rc;
}
