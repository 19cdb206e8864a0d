/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_listen.c: who answers at the console's port. libmicrohttpd has a certificate from its start only, so a renewed one gets
 * a daemon of its own on the same socket. The one of before accepts nothing more, and keeps the connections that it has. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vtl/web/web_private.h"

enum { SILENCE_S = 60 };
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct options {
    struct MHD_OptionItem v[4];
};

static struct options tls_options(const struct web_tls *tls)
{
    if (!tls)
        return (struct options){{{MHD_OPTION_END, 0, NULL}}};
    return (struct options){{{MHD_OPTION_HTTPS_MEM_CERT, 0, tls->certificate},
                             {MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key},
                             {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_VERSIONS},
                             {MHD_OPTION_END, 0, NULL}}};
}

/* Does the TLS library take them? Asked by a daemon that has no socket: one that it ends in the middle of its start closes
 * that, in some versions twice, and by the second time the number may be that of a connection. */
static bool takes(const struct web *w, const struct web_tls *tls)
{
    struct options o = tls_options(tls);
    struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TLS, 0, NULL, NULL, web_request,
                                            (void *)(uintptr_t)w, MHD_OPTION_ARRAY, o.v, MHD_OPTION_END);
    if (d)
        MHD_stop_daemon(d);
    return d != NULL;
}

/* A thread for each connection, as each may wait for the library. fd is the daemon's from now on; one that does not start
 * closes it or leaves it. */
static struct MHD_Daemon *start(const struct web *w, int fd, const struct web_tls *tls)
{
    struct options o = tls_options(tls);
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC | (tls ? MHD_USE_TLS : 0), 0,
        NULL, NULL, web_request, (void *)(uintptr_t)w, MHD_OPTION_NOTIFY_COMPLETED, web_request_ended, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)WEB_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S, MHD_OPTION_ARRAY, o.v, MHD_OPTION_END);
}

/* fd was a duplicate of listens: unless it is so still, the number is nobody's, or another's. */
static void close_duplicate(int fd, int listens)
{
    struct stat a, b;
    if (!fstat(fd, &a) && !fstat(listens, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        close(fd);
}

static void end_retired(struct web_listener *l, unsigned i)
{
    MHD_stop_daemon(l->retired[i].daemon);
    close(l->retired[i].fd);
    l->n_retired--;
    memmove(&l->retired[i], &l->retired[i + 1], (l->n_retired - i) * sizeof(l->retired[0]));
}

/* What it is connected to stays so. */
static void retire(struct web_listener *l)
{
    if (l->n_retired == WEB_RETIRED)
        end_retired(l, 0); /* somebody looks on since so many certificates: the page comes again by itself */
    int fd = MHD_quiesce_daemon(l->now);
    l->retired[l->n_retired++] = (struct web_retired){l->now, fd};
    l->now = NULL;
}

int web_listen(struct web_listener *l, const struct web_tls *tls)
{
    int flags = fcntl(l->fd, F_GETFL), fd = -1;
    if (tls && !takes(l->w, tls))
        return -EIO;
    /* For a moment two daemons accept from it: neither may wait for a connection that the other got. */
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) || (fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0)) < 0)
        return -errno;
    struct MHD_Daemon *d = start(l->w, fd, tls);
    if (!d) {
        close_duplicate(fd, l->fd);
        return -EIO;
    }
    if (l->now)
        retire(l);
    l->now = d;
    return 0;
}

void web_listen_reap(struct web_listener *l)
{
    for (unsigned i = l->n_retired; i-- > 0;) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(l->retired[i].daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (info && !info->num_connections)
            end_retired(l, i);
    }
}

void web_listen_end(struct web_listener *l)
{
    while (l->n_retired)
        end_retired(l, 0);
    if (l->now)
        MHD_stop_daemon(l->now);
    l->now = NULL;
}
