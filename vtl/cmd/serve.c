/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve.c: s3vtl serve: runs its own tgtd with our module until a signal, then flushes and stops it in order. */
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
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/thread.h"
#include "scsi/ssc_keys.h"
#include "vtl/library/control.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/password.h"
#include "vtl/cmd/tgt.h"

#define MAX_DRIVES 64 /* the most that a configuration may have */

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
    if (!rc)
        rc = library_check_format(cfg, store, err);
    store->ops->close(store);
    if (rc == -EIO && offline) {
        fprintf(stderr, "s3vtl: warning: %s; running without the store until the spool is full\n", err->text);
        return 0;
    }
    return rc;
}

/* Splits "a.b.c.d:port" or "[v6]:port". */
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

/* Is the portal free? tgtd would take many lines to say that it is not. */
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

/* Does the state exist, and is it not in use? The library itself is opened inside tgtd. */
static int check_state(const struct vtl_config *cfg, struct errtext *err)
{
    struct library *lib = NULL;
    int rc = library_open(cfg, 0, &lib, err);
    return rc ? rc : library_close(lib, err);
}

/* The store's secret key, the file that it comes from, a password and the one that it is compared with. */
#define MORE_SECRETS 8

/* One page for each drive, the key of the blocks that are acknowledged but not yet written, and what else is secret. */
static bool can_lock_pages(unsigned n)
{
    size_t size = n * (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool good = p != MAP_FAILED && !mlock(p, size);
    if (p != MAP_FAILED)
        (void)munmap(p, size);
    return good;
}

/* Each drive keeps its keys in locked memory, which is scarce for any user but root. */
static int check_locked_memory(const struct vtl_config *cfg, struct errtext *err)
{
    struct ssc_keys *keys[MAX_DRIVES];
    struct rlimit l = {.rlim_max = 0};
    unsigned n = 0;
    if (!getrlimit(RLIMIT_MEMLOCK, &l)) {
        l.rlim_cur = l.rlim_max; /* as it will be in tgtd */
        (void)setrlimit(RLIMIT_MEMLOCK, &l);
    }
    while (n < cfg->library.drives && n < MAX_DRIVES && (keys[n] = ssc_keys_new()))
        n++;
    bool enough = n == cfg->library.drives && can_lock_pages(n + MORE_SECRETS);
    for (unsigned i = 0; i < n; i++)
        ssc_keys_free(keys[i]);
    if (enough)
        return 0;
    return errtext_set(err, -ENOMEM,
                       "the keys of %u drives must be in locked memory, and this user's limit (%llu KiB) is too low: "
                       "raise it (ulimit -l; LimitMEMLOCK= in a service)",
                       cfg->library.drives, (unsigned long long)l.rlim_max / 1024);
}

/* LD_PRELOAD is a list, and cannot quote a name that contains one of its separators. */
static int check_module_name(const char *path, struct errtext *err)
{
    if (!strpbrk(path, " :"))
        return 0;
    return errtext_set(err, -EINVAL, "%s: tgtd cannot load a module whose path has a blank or a colon", path);
}

/* $S3VTL_MODULE, else beside this program (a build tree), else where a package puts it. */
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
        return errtext_set(err, -ENOENT, "bs_s3vtl.so: not found beside this program or in /usr/lib/s3vtl");
    return 0;
}

/* ---- while it runs ---- */

struct log_pump {
    int fd;
};

/* Copies tgtd's log to ours. A line without the name of its writer (s3vtl or tgtd) gets tgtd's. */
static void *pump_log(void *arg)
{
    struct log_pump *p = arg;
    FILE *f = fdopen(p->fd, "r");
    char line[2000];
    while (f && fgets(line, sizeof(line), f))
        fprintf(stderr, "%s%s", strncmp(line, "s3vtl: ", 7) && strncmp(line, "tgtd: ", 6) ? "tgtd: " : "", line);
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

/* The signal that arrived, or 0. */
static int take_signal(int signals)
{
    struct signalfd_siginfo s;
    return read(signals, &s, sizeof(s)) == (ssize_t)sizeof(s) ? (int)s.ssi_signo : 0;
}

/* True: a signal asks us to end. False: tgtd ended by itself. */
static bool wait_for_end(struct tgt *t, int signals)
{
    for (;;) {
        int sig = take_signal(signals);
        if (sig && sig != SIGCHLD)
            return true;
        if (tgt_ended(t))
            return false;
    }
}

/* ---- the end ---- */

struct flush {
    const struct vtl_config *cfg;
    int over; /* the connection that was kept for this */
    struct errtext err;
    int rc, done_fd; /* an eventfd */
};

static void *flush_thread(void *arg)
{
    struct flush *f = arg;
    json_t *request = json_pack("{s:s}", "op", "flush"), *result = NULL;
    f->rc = control_call_over(f->over, f->cfg, request, &result, &f->err);
    if (f->rc == -EPIPE || f->rc == -ECONNRESET) /* lost on the way to tgtd: ask as anybody does */
        f->rc = control_call(f->cfg, request, 0, &result, &f->err);
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
        int sig = take_signal(signals);
        if (sig && sig != SIGCHLD) {
            fprintf(stderr, "s3vtl: second signal: no longer waiting for the store\n");
            return;
        }
    }
}

/* Flushes everything to the configured durability, then stops tgtd. With durability = remote and a store that does not
 * answer this waits for minutes; a second signal cuts it short, and the module then answers the flush with what is
 * only on this disk. */
static int flush_and_stop(struct tgt *t, const struct vtl_config *cfg, int signals, struct errtext *err)
{
    struct flush f = {.cfg = cfg, .over = t->stop_fd, .err = {""}, .done_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread = 0;
    struct errtext why = {""};
    int made = f.done_fd < 0 ? -errno : thread_start(&thread, "flush", flush_thread, &f);
    sd_notify(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=600000000");
    if (made)
        f.rc = errtext_set(&f.err, made, "cannot flush: %s", strerror(-made));
    else
        wait_for_flush(&f, t, signals);
    int rc = tgt_stop(t, &why);
    if (!made)
        pthread_join(thread, NULL);
    if (f.done_fd >= 0)
        close(f.done_fd);
    if (f.rc)
        return errtext_set(err, f.rc, "%s", f.err.text);
    return rc ? errtext_set(err, rc, "%s", why.text) : 0;
}

/* What status would say of the state as it was left. */
static void tell_what_is_left(const struct vtl_config *cfg)
{
    struct library *lib = NULL;
    json_t *request = json_pack("{s:s}", "op", "status");
    json_t *r = library_open(cfg, 0, &lib, NULL) ? NULL : library_call(lib, request, NULL);
    json_int_t n = json_number(r, "local_only_cartridges");
    char size[HUMAN_ROOM], text[100] = "stopped; nothing is only on this disk";
    if (n)
        (void)snprintf(text, sizeof(text), "stopped; %s are only on this disk, in %lld cartridge%s",
                       json_size(r, "local_only_bytes", size), (long long)n, n == 1 ? "" : "s");
    if (r) {
        fprintf(stderr, "s3vtl: %s\n", text);
        sd_notifyf(0, "STATUS=%s", text);
    }
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

static int run(const struct vtl_config *cfg, const char *module, int signals)
{
    struct tgt t;
    struct errtext err = {""};
    bool served = false;
    pthread_t pump;
    int rc = tgt_start(&t, cfg, module, &err);
    struct log_pump p = {t.log_fd};
    int no_pump = t.log_fd < 0 ? -EBADF : thread_start(&pump, "log", pump_log, &p);
    if (!rc && no_pump)
        rc = errtext_set(&err, no_pump, "cannot start the thread for tgtd's log: %s", strerror(-no_pump));
    if (!rc)
        rc = tgt_configure(&t, cfg, &err);
    if (rc) {
        (void)tgt_stop(&t, NULL); /* the first error says more */
    } else {
        served = true;
        print_ready(cfg);
        rc = wait_for_end(&t, signals) ? flush_and_stop(&t, cfg, signals, &err) : ended_by_itself(&t, &err);
    }
    if (t.stop_fd >= 0)
        close(t.stop_fd);
    if (!no_pump)
        pthread_join(pump, NULL);
    int status = rc ? fail("%s", err.text) : EXIT_DONE;
    if (served)
        tell_what_is_left(cfg);
    return status;
}

/* Finds every mistake that can be found before anything starts. */
static int check_all(const struct vtl_config *cfg, bool offline, struct errtext *err)
{
    int rc = check_locked_memory(cfg, err);
    if (!rc)
        rc = password_check(cfg, err);
    if (!rc)
        rc = check_state(cfg, err);
    if (!rc)
        rc = check_store(cfg, offline, err);
    if (!rc)
        rc = check_portal(cfg, err);
    return rc;
}

/* SIGHUP too: closing the terminal must not end serve without a flush. */
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
    int signals = -1, rc = 0;
    if (realpath(cfg->file, file)) {
        free(cfg->file);
        cfg->file = strdup(file); /* absolute: tgtd changes its working directory */
        rc = cfg->file ? 0 : errtext_set(&err, -ENOMEM, "out of memory");
    }
    if (!rc)
        rc = find_module(module, &err);
    if (!rc)
        rc = check_module_name(module, &err);
    if (!rc)
        rc = check_all(cfg, offline, &err);
    if (!rc && (signals = block_signals(&err)) < 0)
        rc = signals;
    int status = rc ? fail("%s", err.text) : run(cfg, module, signals);
    if (signals >= 0)
        close(signals);
    config_free(cfg);
    return status;
}
