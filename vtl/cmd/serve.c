/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve.c: s3vtl serve: a tgtd of its own with the module in it, until a signal; then a flush and an orderly end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "vtl/cmd/cmd.h"
#include "vtl/cmd/tgt.h"
#include "vtl/control.h"

/* ---- before anything starts ---- */

static int check_store(const struct vtl_config *cfg, bool offline, struct errtext *err)
{
    struct objstore_config oc;
    struct objstore *store = NULL;
    struct obj_call call = {.max_tries = 2};
    config_store(cfg, &oc);
    int rc = objstore_open(&oc, &store, err);
    if (rc)
        return rc;
    rc = store->ops->check(store, &call, err);
    store->ops->close(store);
    if (rc == -EIO && offline) {
        fprintf(stderr, "s3vtl: warning: %s; going on without it until the spool is full\n", err->text);
        return 0;
    }
    return rc;
}

/* "a.b.c.d:port" or "[v6]:port" into its parts. */
static void split_portal(const char *portal, char *host, size_t room, char *port, size_t port_room)
{
    const char *colon = strrchr(portal, ':');
    size_t n = (size_t)(colon - portal);
    if (portal[0] == '[') {
        portal++;
        n -= 2;
    }
    (void)snprintf(host, room, "%.*s", (int)n, portal);
    (void)snprintf(port, port_room, "%s", colon + 1);
}

/* Is the portal free? tgtd would say it in many words only. */
static int check_portal(const struct vtl_config *cfg, struct errtext *err)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *list = NULL;
    split_portal(cfg->iscsi.portal, host, sizeof(host), port, sizeof(port));
    int bad = getaddrinfo(host, port, &hints, &list);
    if (bad)
        return errtext_set(err, -EINVAL, "%s: [iscsi] portal = %s: %s", cfg->file, cfg->iscsi.portal,
                           gai_strerror(bad));
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 1))
        rc = errtext_set(err, -errno, "%s: [iscsi] portal = %s: %s", cfg->file, cfg->iscsi.portal,
                         errno == EADDRINUSE ? "the port is in use by another program" : strerror(errno));
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return rc;
}

/* Is the state there, and nobody else using it? The library itself is opened inside tgtd. */
static int check_state(const struct vtl_config *cfg, struct errtext *err)
{
    struct library *lib = NULL;
    int rc = library_open(cfg, 0, &lib, err);
    return rc ? rc : library_close(lib, err);
}

/* $S3VTL_MODULE, beside this program (a build tree), or where the package puts it. */
static int find_module(char path[PATH_MAX], struct errtext *err)
{
    const char *given = getenv("S3VTL_MODULE");
    if (given && given[0]) {
        if (!realpath(given, path))
            return errtext_set(err, -errno, "$S3VTL_MODULE: %s: %s", given, strerror(errno));
        return 0;
    }
    char self[PATH_MAX - 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        (void)snprintf(path, PATH_MAX, "%s/bs_s3vtl.so", self);
        if (!access(path, R_OK))
            return 0;
    }
    (void)snprintf(path, PATH_MAX, "/usr/lib/s3vtl/bs_s3vtl.so");
    if (access(path, R_OK))
        return errtext_set(err, -ENOENT, "bs_s3vtl.so is neither beside this program nor in /usr/lib/s3vtl");
    return 0;
}

/* ---- while it runs ---- */

struct log_pump {
    int fd;
};

/* tgtd's own lines get a name in front; ours have one. */
static void *pump_log(void *arg)
{
    struct log_pump *p = arg;
    FILE *f = fdopen(p->fd, "r");
    char line[2000];
    while (f && fgets(line, sizeof(line), f))
        fprintf(stderr, "%s%s", strncmp(line, "s3vtl: ", 7) ? "tgtd: " : "", line);
    if (f)
        fclose(f);
    return NULL;
}

static void print_ready(const struct vtl_config *cfg)
{
    printf("ready %s at %s, changer LUN 1, drives LUN 2 to %u\n", cfg->iscsi.target, cfg->iscsi.portal,
           cfg->library.drives + 1);
    fflush(stdout);
    sd_notifyf(0, "READY=1\nSTATUS=serving %s at %s", cfg->iscsi.target, cfg->iscsi.portal);
}

/* The signal that ends it, or 0 when tgtd ended by itself. */
static int wait_for_end(int signals)
{
    for (;;) {
        struct signalfd_siginfo s;
        if (read(signals, &s, sizeof(s)) != (ssize_t)sizeof(s))
            continue;
        if (s.ssi_signo == SIGCHLD)
            return 0;
        return (int)s.ssi_signo;
    }
}

static int flush(const struct vtl_config *cfg, struct errtext *err)
{
    json_t *request = json_pack("{s:s}", "op", "flush"), *result = NULL;
    int rc = control_call(cfg, request, 0, &result, err);
    json_decref(request);
    json_decref(result);
    return rc;
}

static int run(const struct vtl_config *cfg, const char *module, int signals)
{
    struct tgt t;
    struct errtext err = {""};
    pthread_t pump;
    int rc = tgt_start(&t, cfg, module, &err);
    struct log_pump p = {t.log_fd};
    bool pumping = t.log_fd >= 0 && !pthread_create(&pump, NULL, pump_log, &p);
    int status = EXIT_DONE;
    if (!rc)
        rc = tgt_configure(&t, cfg, &err);
    if (rc) {
        status = EXIT_FAILED;
    } else {
        print_ready(cfg);
        if (!wait_for_end(signals)) {
            status = EXIT_FAILED;
            errtext_set(&err, 0,
                        "tgtd ended by itself; what it wrote is above. Nothing acknowledged is lost: start again");
        } else {
            sd_notify(0, "STOPPING=1");
            if (flush(cfg, &err))
                status = EXIT_FAILED;
        }
    }
    tgt_stop(&t);
    if (pumping)
        pthread_join(pump, NULL);
    if (status != EXIT_DONE)
        fail("%s", err.text);
    return status;
}

int cmd_serve(const struct command_line *given)
{
    struct command_line cl = *given;
    bool offline = take_flag(&cl, "--offline");
    if (!check_arguments(&cl, 0, false, "serve [--offline]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct errtext err = {""};
    char module[PATH_MAX], file[PATH_MAX];
    int rc = geteuid() ? errtext_set(&err, -EPERM, "serve: root is needed (a mount namespace for tgtd)") : 0;
    if (!rc && realpath(cfg->file, file)) {
        free(cfg->file);
        cfg->file = strdup(file); /* tgtd has a working directory of its own */
        rc = cfg->file ? 0 : errtext_set(&err, -ENOMEM, "out of memory");
    }
    if (!rc)
        rc = find_module(module, &err);
    if (!rc)
        rc = check_state(cfg, &err);
    if (!rc)
        rc = check_store(cfg, offline, &err);
    if (!rc)
        rc = check_portal(cfg, &err);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (!rc && signals < 0)
        rc = errtext_set(&err, -errno, "signalfd: %s", strerror(errno));
    int status = rc ? fail("%s", err.text) : run(cfg, module, signals);
    config_free(cfg);
    return status;
}
