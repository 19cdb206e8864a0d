/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt.c: starts, configures and stops our own tgtd. */
#include "vtl/cmd/tgt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "vtl/cmd/password.h"
#include "vtl/cmd/tgt_request.h"
#include "vtl/library/control.h"

#define CONTROL_PORT "1" /* ours alone: the management socket has a directory of its own */
#define START_MS 20000
#define STOP_MS 15000
#define STOP_AGAIN 10 /* times 20 ms */

/* ---- start ---- */

/* For the child's steps between fork and exec: prints a message and exits if one fails. */
static void must(bool ok, const char *what)
{
    if (ok)
        return;
    dprintf(2, "%s: %s\n", what, strerror(errno));
    _exit(127);
}

/* Raises the soft limit to the hard one: without root tgtd cannot raise its own limits. */
static void raise_limit(__rlimit_resource_t resource)
{
    struct rlimit l;
    if (getrlimit(resource, &l) || l.rlim_cur == l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(resource, &l);
}

/* Preloads the module, in tests after the sanitizer's library, which must come first. */
static void preload(const char *module)
{
    const char *before = getenv("S3VTL_TGTD_PRELOAD");
    char *list = NULL;
    must(asprintf(&list, "%s%s%s", before ? before : "", before ? ":" : "", module) >= 0, "LD_PRELOAD");
    setenv("LD_PRELOAD", list, 1);
    free(list);
}

/* What the child gets from us; the descriptors are its ends. */
struct inherited {
    const char *module, *ipc_base;
    int log_fd, stop_fd;
    pid_t parent;
};

/* The library takes it in control_server_start. */
static void pass_on(int stop_fd)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", stop_fd);
    must(!fcntl(stop_fd, F_SETFD, 0), "fcntl");
    setenv(CONTROL_STOP_FD, number, 1);
}

static void child(const struct vtl_config *cfg, const struct inherited *i)
{
    char portal[300];
    must(!prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    if (getppid() != i->parent)
        _exit(127);
    /* The terminal's signals go to the parent, which flushes first. */
    must(setsid() > 0, "setsid");
    must(dup2(i->log_fd, 1) == 1 && dup2(i->log_fd, 2) == 2, "dup2");
    setenv("TGT_IPC_SOCKET", i->ipc_base, 1);
    setenv("S3VTL_CONFIG", cfg->file, 1);
    setenv(LOG_LEVELS_WANTED, "1", 1);
    unsetenv("NOTIFY_SOCKET");
    pass_on(i->stop_fd);
    preload(i->module);
    raise_limit(RLIMIT_NOFILE);
    raise_limit(RLIMIT_MEMLOCK);
    (void)signal(SIGPIPE, SIG_DFL); /* exec would pass on SIG_IGN */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)snprintf(portal, sizeof(portal), "portal=%s", cfg->iscsi.portal);
    execlp("tgtd", "tgtd", "-f", "-C", CONTROL_PORT, "--iscsi", portal, (char *)NULL);
    must(false, "tgtd");
}

bool tgt_ended(struct tgt *t)
{
    if (t->pid && waitpid(t->pid, &t->status, WNOHANG) == t->pid)
        t->pid = 0;
    return !t->pid;
}

static void pause_ms(long ms)
{
    struct timespec d = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&d, NULL);
}

/* Any answer shows that tgtd is up, also the refusal because target 1 does not exist yet. */
static int wait_for_answer(struct tgt *t, struct errtext *err)
{
    for (int i = 0; i < START_MS / 20; i++) {
        struct errtext why = {""};
        if (tgt_ended(t))
            return errtext_set(err, -EIO, "tgtd ended at once; its output is above");
        int rc = tgt_request(t->ipc, TGT_TARGET_UPDATE, 0, "MaxBurstLength=262144", &why);
        if (!rc || rc == -EINVAL)
            return 0;
        if (rc == -ETIMEDOUT) /* it took the request, and hangs */
            break;
        pause_ms(20);
    }
    return errtext_set(err, -ETIMEDOUT, "tgtd does not answer on %s", t->ipc);
}

/* Where its management socket is: *base is what tgtd adds the port to. */
static int make_ipc(struct tgt *t, const struct vtl_config *cfg, char base[104], struct errtext *err)
{
    char dir[100];
    int n = snprintf(dir, sizeof(dir), "%s/tgtd", cfg->library.state_dir);
    if (n < 0 || (size_t)n >= sizeof(dir) - 6)
        return errtext_set(
            err, -ENAMETOOLONG,
            "%s: [library] state_dir = %s: too long for a socket below it; must be at most %zu characters", cfg->file,
            cfg->library.state_dir, sizeof(dir) - 12);
    if (mkdir(dir, 0700) && errno != EEXIST)
        return errtext_set(err, -errno, "%s: %s", dir, strerror(errno));
    (void)snprintf(base, 104, "%s/ipc", dir);
    (void)snprintf(t->ipc, sizeof(t->ipc), "%s." CONTROL_PORT, base);
    (void)unlink(t->ipc);
    return 0;
}

/* tgtd makes it under whatever umask there is. Its directory is closed already; this is for who looks at the socket. */
static int close_ipc(const struct tgt *t, struct errtext *err)
{
    return chmod(t->ipc, 0600) ? errtext_set(err, -errno, "%s: %s", t->ipc, strerror(errno)) : 0;
}

int tgt_start(struct tgt *t, const struct vtl_config *cfg, const char *module, struct errtext *err)
{
    char base[104];
    int log[2], stop[2];
    memset(t, 0, sizeof(*t));
    t->log_fd = t->stop_fd = -1;
    int rc = make_ipc(t, cfg, base, err);
    if (rc)
        return rc;
    if (pipe2(log, O_CLOEXEC))
        return errtext_set(err, -errno, "pipe: %s", strerror(errno));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop)) {
        rc = errtext_set(err, -errno, "socketpair: %s", strerror(errno));
        close(log[0]);
        close(log[1]);
        return rc;
    }
    const struct inherited ends = {module, base, log[1], stop[1], getpid()};
    t->pid = fork();
    if (!t->pid)
        child(cfg, &ends);
    close(log[1]);
    close(stop[1]);
    t->log_fd = log[0];
    t->stop_fd = stop[0];
    if (t->pid < 0) {
        t->pid = 0;
        return errtext_set(err, -errno, "fork: %s", strerror(errno));
    }
    rc = wait_for_answer(t, err);
    if (!rc)
        rc = close_ipc(t, err);
    if (rc)
        (void)tgt_stop(t, NULL); /* the first error says more */
    return rc;
}

/* ---- configure ---- */

/* Measured: the difference between 0.6 and 3.3 GB/s at a queue depth of 1. */
static const char *const parameters[] = {
    "MaxRecvDataSegmentLength=1048576",
    "MaxXmitDataSegmentLength=1048576",
    "FirstBurstLength=1048576",
    "MaxBurstLength=4194304",
    "InitialR2T=No",
    "ImmediateData=Yes",
    "MaxOutstandingR2T=8",
    "HeaderDigest=None,CRC32C",
    "DataDigest=None,CRC32C",
};

static int add_account(struct tgt *t, enum tgt_op bind, const char *user, const char *file, struct errtext *err)
{
    struct password *password;
    char params[600];
    if (!user[0])
        return 0;
    int rc = password_read(file, &password, err);
    if (rc)
        return rc;
    (void)snprintf(password->request, sizeof(password->request), "user=%s,password=%s", user, password->text);
    rc = tgt_request(t->ipc, TGT_ACCOUNT_NEW, 0, password->request, err);
    password_free(password);
    (void)snprintf(params, sizeof(params), "user=%s", user);
    return rc ? rc : tgt_request(t->ipc, bind, 0, params, err);
}

/* Binds each word of a blank-separated list. */
static int bind_each(struct tgt *t, const char *what, const char *list, struct errtext *err)
{
    char *copy = strdup(list), *save = NULL, params[600];
    int rc = copy ? 0 : errtext_set(err, -ENOMEM, "out of memory");
    for (char *w = copy ? strtok_r(copy, " ", &save) : NULL; w && !rc; w = strtok_r(NULL, " ", &save)) {
        (void)snprintf(params, sizeof(params), "%s=%s", what, w);
        rc = tgt_request(t->ipc, TGT_TARGET_BIND, 0, params, err);
    }
    free(copy);
    return rc;
}

/* tgt admits whoever is in either of its two lists, so "ALL" in one makes the other worthless (config.c allows only
 * one). */
static int open_door(struct tgt *t, const struct vtl_config *cfg, struct errtext *err)
{
    if (cfg->iscsi.initiators[0])
        return bind_each(t, "initiator-name", cfg->iscsi.initiators, err);
    return bind_each(t, "initiator-address", cfg->iscsi.addresses[0] ? cfg->iscsi.addresses : "ALL", err);
}

int tgt_configure(struct tgt *t, const struct vtl_config *cfg, struct errtext *err)
{
    char params[600];
    (void)snprintf(params, sizeof(params), "targetname=%s", cfg->iscsi.target);
    int rc = tgt_request(t->ipc, TGT_TARGET_NEW, 0, params, err);
    for (size_t i = 0; !rc && i < sizeof(parameters) / sizeof(parameters[0]); i++)
        rc = tgt_request(t->ipc, TGT_TARGET_UPDATE, 0, parameters[i], err);
    if (!rc)
        rc = tgt_request(t->ipc, TGT_UNIT_NEW, 1, "path=changer,bstype=s3vtl", err);
    for (unsigned i = 0; !rc && i < cfg->library.drives; i++) {
        (void)snprintf(params, sizeof(params), "path=drive%u,bstype=s3vtl", i);
        rc = tgt_request(t->ipc, TGT_UNIT_NEW, i + 2, params, err);
    }
    if (!rc)
        rc = add_account(t, TGT_ACCOUNT_BIND, cfg->iscsi.chap_user, cfg->iscsi.chap_password_path, err);
    if (!rc)
        rc = add_account(t, TGT_ACCOUNT_BIND_OUT, cfg->iscsi.mutual_user, cfg->iscsi.mutual_password_path, err);
    /* Last: while both lists are empty nobody may log in. */
    return rc ? rc : open_door(t, cfg, err);
}

/* ---- stop ---- */

/* False: it hangs, and would be waited for as long once more. */
static bool ask_to_end(const struct tgt *t)
{
    return tgt_request(t->ipc, TGT_TARGET_DELETE, 0, NULL, NULL) != -ETIMEDOUT &&
           tgt_request(t->ipc, TGT_SYSTEM_DELETE, 0, NULL, NULL) != -ETIMEDOUT;
}

int tgt_stop(struct tgt *t, struct errtext *err)
{
    /* Deleting the target fails while a session has commands in flight, and initiators log in again: repeat until it
     * succeeds. */
    for (int i = 0; i < STOP_MS / 20 && !tgt_ended(t) && (i % STOP_AGAIN || ask_to_end(t)); i++)
        pause_ms(20);
    (void)unlink(t->ipc);
    if (!tgt_ended(t)) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
        t->pid = 0;
        return errtext_set(err, -ETIMEDOUT, "tgtd did not end in time and was killed: what was synced is safe");
    }
    if (t->status)
        return errtext_set(err, -EIO, "tgtd ended with %s %d: what was synced is safe",
                           WIFSIGNALED(t->status) ? "signal" : "status",
                           WIFSIGNALED(t->status) ? WTERMSIG(t->status) : WEXITSTATUS(t->status));
    return 0;
}
