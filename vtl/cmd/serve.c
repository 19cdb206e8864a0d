/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve.c: s3vtl serve: runs its own tgtd with our module until a signal, then flushes and stops it in order. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/control.h"
#include "vtl/cmd/before.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrower.h"
#include "vtl/cmd/verifier.h"
#include "vtl/cmd/metrics.h"
#include "vtl/cmd/password.h"
#include "vtl/cmd/serve_log.h"
#include "vtl/cmd/service.h"
#include "vtl/cmd/tgt.h"
#include "vtl/cmd/watcher.h"

/* ---- before anything starts ---- */

/* What hosts would lose is lost only by one who says yes. */
static int check_losses(struct library *lib, bool yes, struct errtext *err)
{
    struct errtext losses;
    int rc = library_losses(lib, &losses, err);
    if (rc || !losses.text[0])
        return rc;
    if (!yes)
        return errtext_set(err, -EINVAL,
                           "%.480s. If you mean it: \"s3vtl config accept\", or once \"s3vtl serve --yes\"",
                           losses.text);
    log_warn("warning: %s", losses.text);
    return 0;
}

/* Does the state exist, and is it not in use? The library itself is opened inside tgtd. */
static int check_state(const struct vtl_config *cfg, bool yes, struct errtext *err)
{
    struct library *lib = NULL;
    int rc = library_open(cfg, 0, &lib, err);
    if (rc)
        return rc;
    rc = check_losses(lib, yes, err);
    int closed = library_close(lib, rc ? NULL : err);
    return rc ? rc : closed;
}

/* ---- while it runs ---- */

/* The configuration as the library has taken it: its reloads change what opens the state and the store after the end. */
struct taken {
    const struct vtl_config *cfg;
    struct vtl_config *own; /* of a reload; NULL: there was none */
    uint64_t reloads;       /* that are in cfg */
};

/* The file as it is now, if there was a reload since. One that was broken after it is told of, and passed over. */
static void take_reload(struct taken *t, uint64_t reloads)
{
    struct vtl_config *next = NULL;
    struct errtext err = {""};
    if (reloads == t->reloads)
        return;
    t->reloads = reloads;
    if (config_load(t->cfg->file, &next, &err)) {
        log_warn("%s; the library goes on as it was reloaded, and is stopped as it was configured before", err.text);
        return;
    }
    config_free(t->own);
    t->cfg = t->own = next;
}

/* 0: none. */
static unsigned take_signal(int signals)
{
    struct signalfd_siginfo s;
    return read(signals, &s, sizeof(s)) == (ssize_t)sizeof(s) ? s.ssi_signo : 0;
}

static bool asks_for_end(unsigned signal)
{
    return signal == SIGTERM || signal == SIGINT;
}

/* SIGHUP does not end anything: a terminal that closes must not end a backup. Meanwhile signals are heeded, so on a thread. */
struct reloading {
    const struct vtl_config *cfg;
    struct serve_log *log;
    pthread_t thread;
    bool begun, again;
    atomic_bool done;
};

static void *reload_thread(void *arg)
{
    struct reloading *r = arg;
    json_t *request = json_pack("{s:s}", "op", "reload"), *result = NULL;
    struct errtext err = {""};
    service_reloading();
    int rc = control_call(r->cfg, request, RELOAD_ASK_MS, &result, &err);
    if (rc && rc != -EREMOTEIO) /* what the library says it logs itself */
        log_err("reload: %s", err.text);
    service_reloaded();
    json_decref(request);
    json_decref(result);
    atomic_store(&r->done, true);
    return NULL;
}

static void end_reload(struct reloading *r)
{
    if (r->begun)
        pthread_join(r->thread, NULL);
    r->begun = false;
}

/* One at a time: what arrives meanwhile is one more. */
static void begin_reload(struct reloading *r)
{
    if (r->begun && !atomic_load(&r->done)) {
        r->again = true;
        return;
    }
    end_reload(r);
    r->again = false;
    atomic_store(&r->done, false);
    if (serve_log_wants(r->log, LOG_LEVEL_NOTICE))
        log_notice("SIGHUP: reading the configuration again, and serving on; SIGTERM ends");
    int rc = thread_start(&r->thread, "reload", reload_thread, r);
    r->begun = !rc;
    if (rc)
        log_err("reload: cannot start a thread: %s", strerror(-rc));
}

/* True: a signal asks us to end. False: tgtd ended by itself. */
static bool wait_for_end(struct tgt *t, struct reloading *r, struct taken *taken, int signals)
{
    struct pollfd p = {.fd = signals, .events = POLLIN};
    struct service_pulse pulse;
    bool end = false;
    while (!end) {
        if (!poll(&p, 1, SERVICE_EVERY_MS) && service_pulse(r->cfg, &pulse)) {
            serve_log_set_level(r->log, pulse.log_level);
            take_reload(taken, pulse.reloads);
        }
        unsigned signal = p.revents ? take_signal(signals) : 0;
        end = asks_for_end(signal);
        if (signal == SIGHUP || (r->again && atomic_load(&r->done)))
            begin_reload(r);
        if (signal && !end && tgt_ended(t))
            break;
    }
    return end;
}

/* ---- the end ---- */

/* How much is off-site, as the library said last. */
struct left {
    bool is_sias; /* the store keeps what it accepted on its own disk first, and tells */
    uint64_t offsite;
};

static void take_left(struct left *l, const json_t *answer)
{
    const json_t *bytes = json_object_get(answer, "offsite_bytes");
    if (bytes)
        l->offsite = (uint64_t)json_integer_value(bytes);
}

/* Before the flush, should that end without an answer, as it does when nobody waits for the store. */
static void ask_what_is_offsite(const struct vtl_config *cfg, struct left *l)
{
    json_t *request = json_pack("{s:s}", "op", "status"), *r = NULL;
    if (!control_call(cfg, request, SERVICE_ASK_MS, &r, NULL))
        take_left(l, r);
    const char *kind = json_words(json_object_get(r, "store"), "kind");
    l->is_sias = json_object_get(r, "offsite_bytes") && (!strcmp(kind, "renterd") || !strcmp(kind, "s3d"));
    json_decref(request);
    json_decref(r);
}

struct flush {
    struct left *left;
    const struct vtl_config *cfg;
    int over; /* the connection that was kept for this */
    struct errtext err;
    bool hand_over;
    int rc, done_fd; /* an eventfd */
};

static void *flush_thread(void *arg)
{
    struct flush *f = arg;
    json_t *request = json_pack("{s:s, s:b}", "op", "flush", "stop", 1), *result = NULL;
    f->rc = control_call_over(f->over, f->cfg, request, &result, &f->err);
    if (f->rc == -EPIPE || f->rc == -ECONNRESET) /* lost on the way to tgtd: ask as anybody does */
        f->rc = control_call(f->cfg, request, 0, &result, &f->err);
    if (!f->rc)
        take_left(f->left, result);
    f->hand_over = !f->rc && json_is_true(json_object_get(result, "hand_over"));
    json_decref(request);
    json_decref(result);
    (void)eventfd_write(f->done_fd, 1);
    return NULL;
}

/* Returns when the flush is done, a second signal arrives, or tgtd is gone. */
static void wait_for_flush(const struct flush *f, struct tgt *t, int signals)
{
    struct pollfd p[2] = {{.fd = f->done_fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (!p[0].revents && !tgt_ended(t)) {
        if (poll(p, 2, -1) < 0 || !p[1].revents)
            continue;
        if (asks_for_end(take_signal(signals))) {
            log_notice("second signal: no longer waiting for the store");
            return;
        }
    }
}

/* Flushes everything to the configured durability, then stops tgtd. With durability = remote and a store that does not
 * answer this waits for minutes; a second signal cuts it short, and the module then answers the flush with what is
 * only on this disk. */
static int flush_and_stop(struct tgt *t, const struct vtl_config *cfg, int signals, struct left *left,
                          struct taken *taken, struct errtext *err)
{
    struct service_pulse pulse;
    struct flush f = {.left = left, .cfg = cfg, .over = t->stop_fd, .err = {""}, .done_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread = 0;
    struct errtext why = {""};
    int made = f.done_fd < 0 ? -errno : thread_start(&thread, "flush", flush_thread, &f);
    service_stopping();
    ask_what_is_offsite(cfg, left);
    if (made)
        f.rc = errtext_set(&f.err, made, "cannot flush: %s", strerror(-made));
    else
        wait_for_flush(&f, t, signals);
    if (service_end(cfg, &pulse)) /* the last reload may have come after the last pulse */
        take_reload(taken, pulse.reloads);
    int rc = tgt_stop(t, &why);
    if (!made)
        pthread_join(thread, NULL);
    if (f.done_fd >= 0)
        close(f.done_fd);
    if (f.rc && rc != -ETIMEDOUT) /* killed is worse */
        return errtext_set(err, f.rc, "%s", f.err.text);
    /* Asked for, it is done whatever tgtd's end was like: it stores all that the state has. */
    int handed = f.hand_over ? library_hand_over(taken->cfg, err) : 0;
    if (rc && handed)
        log_err("%s", why.text);
    return rc && !handed ? errtext_set(err, rc, "%s", why.text) : handed;
}

/* What status would say of the state as it was left; and what the store has, and did not bring off-site. */
static void tell_what_is_left(const struct vtl_config *cfg, const struct left *l)
{
    struct library *lib = NULL;
    json_t *request = json_pack("{s:s}", "op", "status");
    json_t *r = library_open(cfg, 0, &lib, NULL) ? NULL : library_call(lib, request, NULL);
    json_int_t n = json_number(r, "local_only_cartridges");
    uint64_t stored = (uint64_t)json_number(r, "stored_bytes"), missing = stored > l->offsite ? stored - l->offsite : 0;
    char size[HUMAN_ROOM], text[200] = "stopped; nothing is only on this disk";
    if (n)
        (void)snprintf(text, sizeof(text), "stopped; %s are only on this disk, in %lld cartridge%s",
                       json_size(r, "local_only_bytes", size), (long long)n, n == 1 ? "" : "s");
    size_t at = strlen(text);
    if (l->is_sias && missing)
        (void)snprintf(text + at, sizeof(text) - at, "; %s that the store accepted were not off-site yet",
                       human_size(missing, size));
    if (r)
        service_stopped(text);
    json_decref(r);
    json_decref(request);
    if (lib)
        (void)library_close(lib, NULL);
}

static int ended_by_itself(struct tgt *t, struct errtext *err)
{
    struct errtext why = {""};
    return errtext_set(err, -EIO, "tgtd ended by itself (%s); its output is above. Start again: serve recovers",
                       tgt_stop(t, &why) ? why.text : "it ended with status 0");
}

/* Monitoring that does not work is no reason not to serve. */
static struct metrics *begin_metrics(const struct vtl_config *cfg, struct escrower *e)
{
    struct metrics *m = NULL;
    struct errtext err = {""};
    if (metrics_start(cfg, e, &m, &err))
        log_err("%s; serving without /metrics", err.text);
    return m;
}

static struct watcher *begin_watching(const struct vtl_config *cfg, struct escrower *e)
{
    struct watcher *w = NULL;
    int rc = watcher_start(cfg, e, &w);
    if (rc)
        log_err("cannot watch the library: %s; serving without notifications", strerror(-rc));
    return w;
}

static struct escrower *begin_escrows(const struct vtl_config *cfg)
{
    struct escrower *e = NULL;
    int rc = escrower_start(cfg, &e);
    if (rc)
        log_err("cannot make escrows: %s; serving without", strerror(-rc));
    return e;
}

/* Whatever else serve does beside tgtd, begun once that is ready, and ended after it. */
struct company {
    struct escrower *escrower;
    struct metrics *metrics;
    struct watcher *watcher;
    struct verifier *verifier;
};

static void begin_company(struct company *c, const struct vtl_config *cfg)
{
    c->escrower = begin_escrows(cfg);
    c->metrics = begin_metrics(cfg, c->escrower);
    c->watcher = begin_watching(cfg, c->escrower);
    int rc = verifier_start(cfg, &c->verifier);
    if (rc)
        log_err("cannot verify cartridges: %s; serving without", strerror(-rc));
}

static void end_company(struct company *c)
{
    watcher_stop(c->watcher);
    metrics_stop(c->metrics);
    escrower_stop(c->escrower);
}

static int run(const struct vtl_config *cfg, const char *module, int signals)
{
    struct tgt t;
    struct errtext err = {""};
    struct serve_log log = {.fd = -1, .level = (int)cfg->log.level};
    struct reloading reload = {.cfg = cfg, .log = &log};
    struct left left = {.offsite = 0};
    struct taken taken = {.cfg = cfg};
    bool served = false;
    int rc = tgt_start(&t, cfg, module, &err);
    int no_pump = serve_log_start(&log, t.log_fd);
    if (!rc && no_pump)
        rc = errtext_set(&err, no_pump, "cannot start the thread for tgtd's log: %s", strerror(-no_pump));
    if (!rc)
        rc = tgt_configure(&t, cfg, &err);
    if (rc) {
        (void)tgt_stop(&t, NULL); /* the first error says more */
    } else {
        struct company company;
        served = true;
        begin_company(&company, cfg);
        service_ready(cfg);
        bool asked = wait_for_end(&t, &reload, &taken, signals);
        verifier_stop(company.verifier); /* what it reads would only slow down the flush */
        escrower_cancel(company.escrower);
        rc = asked ? flush_and_stop(&t, cfg, signals, &left, &taken, &err) : ended_by_itself(&t, &err);
        end_company(&company);
    }
    end_reload(&reload);
    if (t.stop_fd >= 0)
        close(t.stop_fd);
    serve_log_end(&log);
    int status = rc ? fail("%s", err.text) : EXIT_DONE;
    if (served)
        tell_what_is_left(taken.cfg, &left);
    config_free(taken.own);
    return status;
}

/* Finds every mistake that can be found before anything starts. */
static int check_all(const struct vtl_config *cfg, bool yes, struct errtext *err)
{
    int rc = before_locked_memory(cfg, err);
    if (!rc)
        rc = tgt_check_version(err);
    if (!rc)
        rc = password_check(cfg, err);
    if (!rc)
        rc = check_state(cfg, yes, err);
    if (!rc)
        rc = library_may_serve(cfg, err);
    if (!rc)
        rc = before_store(cfg, err);
    if (!rc)
        rc = before_portal(cfg, err);
    return rc;
}

/* tgtd, which inherits the mask, is none of the terminal's business either. */
static int block_signals(struct errtext *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* our output may have no reader */
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? errtext_set(err, -errno, "signalfd: %s", strerror(errno)) : fd;
}

/* What no later start would find otherwise is a mistake of the configuration: systemd does not try again. */
static int refuse(int rc, const struct errtext *err)
{
    static const int passing[] = {-EBUSY,  -EIO,    -EADDRINUSE, -EADDRNOTAVAIL, -ENOMEM,
                                  -EMFILE, -ENFILE, -ENOSPC,     -EDQUOT,        -EAGAIN};
    (void)fail("%s", err->text);
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (rc == passing[i])
            return EXIT_FAILED;
    return EXIT_CONFIG;
}

int cmd_serve(const struct command_line *given)
{
    struct command_line cl = *given;
    bool yes = take_flag(&cl, "--yes");
    if (!check_arguments(&cl, 0, false, "serve [--yes]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_CONFIG;
    struct errtext err = {""};
    char module[PATH_MAX], file[PATH_MAX];
    int signals = -1, rc = 0;
    if (realpath(cfg->file, file)) {
        free(cfg->file);
        cfg->file = strdup(file); /* absolute: tgtd changes its working directory */
        rc = cfg->file ? 0 : errtext_set(&err, -ENOMEM, "out of memory");
    }
    if (!rc)
        rc = before_module(module, &err);
    if (!rc)
        rc = check_all(cfg, yes, &err);
    if (!rc && (signals = block_signals(&err)) < 0)
        rc = signals;
    int status = rc ? refuse(rc, &err) : run(cfg, module, signals);
    if (signals >= 0)
        close(signals);
    config_free(cfg);
    return status;
}
