/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics.c: /metrics over HTTP: one thread, which asks the library at each scrape. */
#include "vtl/cmd/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "vtl/cmd/ask.h"
#include "vtl/cmd/metrics_text.h"
#include "vtl/cmd/port_listen.h"

enum { MOST_CLIENTS = 16, CLIENT_SILENCE_S = 10 };

/* All is the thread's but what start and stop touch while there is none. */
struct metrics {
    struct ask ask;
    struct escrower *escrower; /* or NULL */
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int stop_fd; /* an eventfd */
};

/* ---- a scrape ---- */

static void scrape(struct metrics *m, struct strbuf *out)
{
    struct metrics_seen s = {.now = (uint64_t)time(NULL)};
    struct escrow_view escrow;
    json_t *figures, *status;
    ask_all(&m->ask, &figures, &status);
    s.figures = figures;
    s.status = status;
    escrower_view(m->escrower, &escrow);
    s.has_escrow = config_has_escrow(m->ask.cfg) || escrow.is;
    s.escrow_created = escrow.created;
    s.escrow_waits = escrow.waits;
    s.escrow_trouble = escrow.trouble[0] != '\0';
    ask_disk(m->ask.cfg->library.state_dir, &s.disk_free, &s.disk_size);
    metrics_text(&s, out);
    json_decref(figures);
    json_decref(status);
}

/* ---- HTTP ---- */

static enum MHD_Result respond(struct MHD_Connection *c, unsigned code, const struct strbuf *body)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(body->len, (void *)(uintptr_t)strbuf_str(body), MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result queued = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct strbuf body = {.data = NULL};
    unsigned code = MHD_HTTP_OK;
    (void)version;
    (void)upload;
    (void)context;
    if (*upload_size) { /* nothing here wants a body */
        *upload_size = 0;
        return MHD_YES;
    }
    bool get = !strcmp(method, "GET"), head = !strcmp(method, "HEAD");
    if (!get && !head)
        code = MHD_HTTP_METHOD_NOT_ALLOWED;
    else if (strcmp(url, "/metrics") != 0)
        code = MHD_HTTP_NOT_FOUND;
    if (code != MHD_HTTP_OK)
        strbuf_adds(&body, "s3vtl: only GET /metrics is here\n");
    else
        scrape(arg, &body);
    if (body.overflow)
        code = MHD_HTTP_INTERNAL_SERVER_ERROR;
    enum MHD_Result rc = respond(c, code, &body);
    strbuf_free(&body);
    return rc;
}

static void *metrics_thread(void *arg)
{
    struct metrics *m = arg;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd p[2] = {{.fd = info->epoll_fd, .events = POLLIN}, {.fd = m->stop_fd, .events = POLLIN}};
    while (!p[1].revents) {
        MHD_UNSIGNED_LONG_LONG ms = 0;
        bool limited = MHD_get_timeout(m->daemon, &ms) == MHD_YES;
        if (poll(p, 2, !limited ? -1 : ms < 60000 ? (int)ms : 60000) >= 0)
            (void)MHD_run(m->daemon);
    }
    return NULL;
}

/* ---- start and stop ---- */

int metrics_start(const struct vtl_config *cfg, struct escrower *escrower, struct metrics **out, struct errtext *err)
{
    *out = NULL;
    if (!cfg->metrics.listen[0])
        return 0;
    int fd = port_listen(cfg, "metrics", cfg->metrics.listen, MOST_CLIENTS, err);
    if (fd < 0)
        return fd;
    struct metrics *m = calloc(1, sizeof(*m));
    int rc = m ? 0 : -ENOMEM;
    if (m) {
        m->ask = (struct ask){cfg, -1};
        m->escrower = escrower;
        m->stop_fd = eventfd(0, EFD_CLOEXEC);
        m->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, m, MHD_OPTION_LISTEN_SOCKET, fd,
                                     MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CLIENTS, MHD_OPTION_CONNECTION_TIMEOUT,
                                     (unsigned)CLIENT_SILENCE_S, MHD_OPTION_END);
        rc = m->stop_fd < 0 || !m->daemon ? -EIO : thread_start(&m->thread, "metrics", metrics_thread, m);
    }
    if (!rc) {
        *out = m;
        return 0;
    }
    if (m && m->daemon)
        MHD_stop_daemon(m->daemon); /* with fd */
    else
        close(fd);
    if (m && m->stop_fd >= 0)
        close(m->stop_fd);
    free(m);
    return errtext_set(err, rc, "[metrics] listen = %s: cannot start: %s", cfg->metrics.listen, strerror(-rc));
}

void metrics_stop(struct metrics *m)
{
    if (!m)
        return;
    (void)eventfd_write(m->stop_fd, 1);
    (void)pthread_join(m->thread, NULL);
    MHD_stop_daemon(m->daemon);
    ask_end(&m->ask);
    close(m->stop_fd);
    free(m);
}
