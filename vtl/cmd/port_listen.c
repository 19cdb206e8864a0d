/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port_listen.c: opens a port for HTTP: that of the metrics, or of the console. */
#include "vtl/cmd/port_listen.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vtl/cmd/port_holder.h"

int port_listen(const struct vtl_config *cfg, const char *section, const char *portal, int backlog, struct errtext *err)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *a = NULL;
    portal_split(portal, host, sizeof(host), port, sizeof(port));
    int bad = getaddrinfo(host, port, &hints, &a), on = 1, rc = 0;
    if (bad)
        return errtext_set(err, -EINVAL, "%s: [%s] listen = %s: %s", cfg->file, section, portal, gai_strerror(bad));
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) || bind(fd, a->ai_addr, a->ai_addrlen) ||
        listen(fd, backlog))
        rc = errtext_set(err, -errno, "%s: [%s] listen = %s: %s", cfg->file, section, portal, strerror(errno));
    freeaddrinfo(a);
    if (!rc)
        return fd;
    if (fd >= 0)
        close(fd);
    return rc;
}
