/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verifier.c: see verifier.h. A process of its own, so that reading terabytes takes nothing from the one that serves. */
#include "vtl/cmd/verifier.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "s3backend/s3_rate.h"
#include "vtl/cmd/ask.h"
#include "vtl/cmd/members.h"
#include "vtl/cmd/notify.h"
#include "vtl/cmd/spawn.h"
#include "vtl/cmd/verify_due.h"

enum {
    EVERY_MS = 30000,
    REAP_MS = 200,      /* while one runs */
    AGAIN_MS = 1800000, /* after one that failed */
    GRACE_MS = 10000,   /* to end in, once it is told */
};

/* All is the thread's but stop_fd. */
struct verifier {
    struct vtl_config *cfg; /* its own: it heeds reloads */
    pthread_t thread;
    int stop_fd; /* an eventfd */
    unsigned speed;
    struct ask ask;
    uint64_t reloads;
    uint64_t again_ms; /* clock_ms(): not before that */
    pid_t pid;         /* what runs; 0: nothing */
    uint64_t rate;     /* with which it was begun */
    bool told_to_end;
};

/* Seconds. */
static uint64_t every_of(const struct verifier *v)
{
    uint64_t s = v->cfg->verify.every / 1000 / v->speed;
    return s ? s : 1;
}

/* ---- the process ---- */

static void begin(struct verifier *v, uint64_t rate)
{
    char older[32], at[32], budget[32], file[4200];
    (void)snprintf(file, sizeof(file), "%s", v->cfg->file);
    (void)snprintf(older, sizeof(older), "%" PRIu64 "s", every_of(v));
    (void)snprintf(at, sizeof(at), "%" PRIu64, rate);
    (void)snprintf(budget, sizeof(budget), "%" PRIu64, v->cfg->verify.budget);
    char *argv[12] = {"/proc/self/exe", "-q", "-c", file, "verify", "--older", older};
    size_t n = 7;
    if (rate) {
        argv[n++] = "--rate";
        argv[n++] = at;
    }
    if (v->cfg->verify.budget) {
        argv[n++] = "--budget";
        argv[n++] = budget;
    }
    int in = -1, rc = spawn_with_input(argv, NULL, &v->pid, &in);
    if (rc) {
        log_err("verify: cannot begin: %s", strerror(-rc));
        v->pid = 0;
        v->again_ms = clock_ms() + AGAIN_MS / v->speed;
        return;
    }
    close(in);
    v->rate = rate;
    v->told_to_end = false;
}

static void tell_to_end(struct verifier *v)
{
    if (v->pid && !v->told_to_end)
        (void)kill(v->pid, SIGTERM);
    v->told_to_end = v->pid != 0;
}

/* What it found it said itself. One that could do nothing is tried again after a while. */
static void reap(struct verifier *v)
{
    int status = 0;
    pid_t got = v->pid ? waitpid(v->pid, &status, WNOHANG) : 0;
    if (!got || (got < 0 && errno == EINTR))
        return;
    v->pid = 0;
    if (got > 0 && !(WIFEXITED(status) && !WEXITSTATUS(status)) && !v->told_to_end)
        v->again_ms = clock_ms() + AGAIN_MS / v->speed;
}

/* ---- a look ---- */

static bool in_window(const struct vtl_config *cfg, uint64_t *rate)
{
    time_t now = time(NULL);
    struct tm t;
    *rate = 0;
    return !cfg->verify.when.n || (localtime_r(&now, &t) && s3_rate_holds(&cfg->verify.when, &t, rate));
}

static bool is_wanted(const struct verifier *v, const json_t *status)
{
    struct verify_ages ages;
    uint64_t now = (uint64_t)time(NULL), budget = v->cfg->verify.budget;
    verify_ages(json_object_get(status, "cartridges"), now, every_of(v), &ages);
    return ages.due && clock_ms() >= v->again_ms && !(budget && verify_spent(v->cfg) >= budget);
}

static void look(struct verifier *v)
{
    json_t *figures, *status;
    uint64_t rate;
    ask_all(&v->ask, &figures, &status);
    if (figures && ask_reload(&v->ask, figures, &v->reloads, &v->cfg, NULL) > 0)
        v->again_ms = 0;
    bool open = v->cfg->verify.every && in_window(v->cfg, &rate);
    if (v->pid && (!open || rate != v->rate))
        tell_to_end(v);
    if (!v->pid && open && status && is_wanted(v, status))
        begin(v, rate);
    json_decref(figures);
    json_decref(status);
}

/* At the end of serve. */
static void end(struct verifier *v)
{
    uint64_t until = clock_ms() + GRACE_MS;
    tell_to_end(v);
    for (reap(v); v->pid; reap(v)) {
        if (clock_ms() > until)
            (void)kill(v->pid, SIGKILL);
        (void)poll(NULL, 0, 20);
    }
}

static void *verify_thread(void *arg)
{
    struct verifier *v = arg;
    struct pollfd p = {.fd = v->stop_fd, .events = POLLIN};
    int every = (int)(EVERY_MS / v->speed), left = 0;
    do {
        reap(v);
        if (left <= 0) {
            look(v);
            left = every;
        }
        int ms = v->pid && REAP_MS < left ? REAP_MS : left;
        left -= ms;
        if (poll(&p, 1, ms))
            break;
    } while (true);
    end(v);
    return NULL;
}

static void free_verifier(struct verifier *v)
{
    ask_end(&v->ask);
    if (v->stop_fd >= 0)
        close(v->stop_fd);
    config_free(v->cfg);
    free(v);
}

int verifier_start(const struct vtl_config *cfg, struct verifier **out)
{
    struct verifier *v = calloc(1, sizeof(*v));
    *out = NULL;
    if (!v)
        return -ENOMEM;
    v->speed = notify_speed();
    v->ask.owing_fd = -1;
    v->stop_fd = eventfd(0, EFD_CLOEXEC);
    int rc = v->stop_fd < 0 ? -errno : config_load(cfg->file, &v->cfg, NULL);
    v->ask.cfg = v->cfg;
    if (!rc)
        rc = thread_start(&v->thread, "verify", verify_thread, v);
    if (rc) {
        free_verifier(v);
        return rc;
    }
    *out = v;
    return 0;
}

void verifier_stop(struct verifier *v)
{
    const uint64_t one = 1;
    if (!v)
        return;
    if (write(v->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        log_err("verify: cannot tell its thread to end");
    pthread_join(v->thread, NULL);
    free_verifier(v);
}
