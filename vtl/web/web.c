/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web.c: the console's process: its token, its start and end, and the renewed certificate that it takes meanwhile. */
#include "vtl/web/web.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/event.h"
#include "base/human.h"
#include "base/secret.h"
#include "vtl/web/web_private.h"

enum { LOOK_S = 5 };

static int read_token(struct web *w, struct errtext *err)
{
    const char *file = w->cfg->web.token_path;
    struct stat st = {0};
    w->token = secret_new(WEB_TOKEN_MAX + 2);
    if (!w->token)
        return errtext_set(err, -ENOMEM, "%s: it must be in locked memory, and there is none: %s", file,
                           strerror(errno));
    int rc = web_read_file(file, w->token, WEB_TOKEN_MAX + 1, &st, err);
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

/* ---- a renewed certificate ---- */

/* How the files are that were tried last, whether they were taken or not, and how they were at the last look. */
struct renewal {
    struct web_tls_mark tried, seen;
};

/* A new one that cannot be used changes nothing. */
static void take_renewed(struct web_listener *l, struct renewal *r)
{
    const struct vtl_config *cfg = l->w->cfg;
    struct web_tls tls;
    struct errtext err = {""};
    char until[HUMAN_ROOM];
    web_tls_look(cfg, &r->tried); /* first: what changes meanwhile is seen by the next look */
    int rc = web_tls_read(cfg, &tls, &err);
    uint64_t holds = rc ? 0 : web_tls_until(&tls);
    if (!rc && (rc = web_listen(l, &tls)) != 0)
        errtext_set(&err, rc, "[web] tls_certificate = %s: %s", cfg->web.tls_certificate,
                    rc == -EIO ? "the TLS library refuses it" : strerror(-rc));
    if (rc)
        log_event(EVENT_CERTIFICATE_REFUSED, "web: the certificate stays the one of before: %s", err.text);
    else
        log_event(EVENT_CERTIFICATE_TAKEN,
                  "web: [web] tls_certificate = %s: taken, for new connections; valid until %s",
                  cfg->web.tls_certificate, holds ? human_time(holds, until) : "nobody knows when");
    web_tls_free(&tls);
}

/* Takes what is other than what was tried last, once it is the same at two looks: whoever exchanges two files does so one
 * after the other. */
static void look_for_renewed(struct web_listener *l, struct renewal *r)
{
    struct web_tls_mark was = r->seen;
    web_tls_look(l->w->cfg, &r->seen);
    if (web_tls_same(&was, &r->seen) && !web_tls_same(&r->tried, &r->seen))
        take_renewed(l, r);
}

/* ---- its life ---- */

/* Until a signal ends the process. */
static void watch(struct web_listener *l, struct renewal *r, const sigset_t *signals)
{
    const struct timespec look = {.tv_sec = LOOK_S};
    bool tls = l->w->cfg->web.tls_certificate[0];
    for (;;) {
        int which = sigtimedwait(signals, NULL, &look);
        if (which == SIGTERM || which == SIGINT)
            return;
        web_listen_reap(l);
        if (tls && which == SIGHUP)
            take_renewed(l, r);
        else if (tls && which < 0 && errno == EAGAIN)
            look_for_renewed(l, r);
    }
}

static int serve(struct web *w, int fd, void (*ready)(const struct vtl_config *cfg), struct errtext *err)
{
    struct web_listener l = {.w = w, .fd = fd};
    struct renewal r;
    struct web_tls tls = {NULL, NULL};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* MHD's threads, too */
    bool by_tls = w->cfg->web.tls_certificate[0];
    web_tls_look(w->cfg, &r.tried);
    r.seen = r.tried;
    int rc = by_tls ? web_tls_read(w->cfg, &tls, err) : 0;
    if (!rc && (rc = web_listen(&l, by_tls ? &tls : NULL)) != 0)
        errtext_set(err, rc, "[web] listen = %s: cannot start", w->cfg->web.listen);
    web_tls_free(&tls);
    if (rc)
        return rc;
    ready(w->cfg);
    watch(&l, &r, &signals);
    (void)eventfd_write(w->stop_fd, 1);
    sigdelset(&signals, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* an action may go on for minutes */
    web_listen_end(&l);
    return 0;
}

int web_run(const struct vtl_config *cfg, int fd, void (*ready)(const struct vtl_config *cfg), struct errtext *err)
{
    struct web w = {.cfg = cfg, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    int rc = w.stop_fd < 0 ? errtext_set(err, -errno, "eventfd: %s", strerror(errno)) : read_token(&w, err);
    if (!rc)
        rc = serve(&w, fd, ready, err);
    close(fd);
    secret_free(w.token, WEB_TOKEN_MAX + 2);
    if (w.stop_fd >= 0)
        close(w.stop_fd);
    return rc;
}
