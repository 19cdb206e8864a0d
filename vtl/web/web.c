/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web.c: the console's process: its token, its port, its start and end. */
#include "vtl/web/web.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/secret.h"
#include "vtl/web/web_private.h"

enum { SILENCE_S = 60 };

/* No stdio: its buffer would keep a copy. */
static int read_token(struct web *w, struct errtext *err)
{
    const char *file = w->cfg->web.token_path;
    w->token = secret_new(WEB_TOKEN_MAX + 2);
    if (!w->token)
        return errtext_set(err, -ENOMEM, "%s: the token must be in locked memory, and there is none: %s", file,
                           strerror(errno));
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, w->token, WEB_TOKEN_MAX + 1);
    int rc = n < 0 ? errtext_set(err, -errno, "%s: %s", file, strerror(errno)) : 0;
    if (fd >= 0)
        close(fd);
    size_t len = strcspn(w->token, "\r\n");
    w->token[len] = '\0';
    if (!rc && (len < WEB_TOKEN_MIN || len > WEB_TOKEN_MAX))
        rc =
            errtext_set(err, -EINVAL, "%s: the token must have %d to %d characters, such as openssl rand -hex 32 makes",
                        file, WEB_TOKEN_MIN, WEB_TOKEN_MAX);
    return rc;
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
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, web_request, w,
        MHD_OPTION_NOTIFY_COMPLETED, web_request_ended, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)WEB_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S, MHD_OPTION_END);
    if (!d)
        close(fd);
    if (!d)
        return errtext_set(err, -EIO, "[web] listen = %s: cannot start", w->cfg->web.listen);
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
    if (rc)
        close(fd);
    else
        rc = serve(&w, fd, ready, err);
    secret_free(w.token, WEB_TOKEN_MAX + 2);
    if (w.stop_fd >= 0)
        close(w.stop_fd);
    return rc;
}
