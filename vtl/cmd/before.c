/* SPDX-License-Identifier: GPL-2.0-or-later */
/* before.c: what has to be right on this host before tgtd is started: serve's checks, and the doctor's. */
#include "vtl/cmd/before.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scsi/ssc_keys.h"
#include "vtl/cmd/port_holder.h"

#define MAX_DRIVES 64 /* the most that a configuration may have */

/* ---- the portal ---- */

static void portal_refused(const struct vtl_config *cfg, int rc, struct errtext *err)
{
    struct port_holder h;
    char who[PORT_HOLDER_TEXT] = "";
    if (rc == -EADDRINUSE && port_holder_find(cfg->iscsi.portal, &h))
        port_holder_text(&h, who);
    errtext_set(err, rc, "%s: [iscsi] portal = %s: %s%s%s", cfg->file, cfg->iscsi.portal,
                rc != -EADDRINUSE ? strerror(-rc)
                : who[0]          ? "the port is in use by "
                                  : "the port is in use by another program",
                who, rc == -EADDRINUSE && who[0] && h.debian_tgt ? ": " PORT_DEBIAN_TGT : "");
}

int before_portal(const struct vtl_config *cfg, struct errtext *err)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *list = NULL;
    portal_split(cfg->iscsi.portal, host, sizeof(host), port, sizeof(port));
    int bad = getaddrinfo(host, port, &hints, &list);
    if (bad)
        return errtext_set(err,
                           bad == EAI_AGAIN    ? -EAGAIN
                           : bad == EAI_MEMORY ? -ENOMEM
                                               : -EINVAL,
                           "%s: [iscsi] portal = %s: %s", cfg->file, cfg->iscsi.portal, gai_strerror(bad));
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 1))
        rc = -errno;
    if (rc)
        portal_refused(cfg, rc, err);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return rc;
}

/* ---- locked memory ---- */

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

int before_locked_memory(const struct vtl_config *cfg, struct errtext *err)
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
    return errtext_set(err, -EPERM,
                       "the keys of %u drives must be in locked memory, and this user's limit (%llu KiB) is too low: "
                       "raise it (ulimit -l; LimitMEMLOCK= in a service)",
                       cfg->library.drives, (unsigned long long)l.rlim_max / 1024);
}

/* ---- the module ---- */

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

int before_module(char path[PATH_MAX], struct errtext *err)
{
    int rc = find_module(path, err);
    return rc ? rc : check_module_name(path, err);
}
