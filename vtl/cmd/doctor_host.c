/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_host.c: what s3vtl doctor looks at on this host: the state, disk room, limits, the port, tgt. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtl/cmd/before.h"
#include "vtl/cmd/doctor_step.h"
#include "vtl/cmd/password.h"
#include "vtl/cmd/tgtadm_abi.h"

#define PATH_ROOM 4096
/* Descriptors: of tgtd, SQLite and what else there is once; of each transfer (its connection, its file); of each drive
 * (its session, its segment files). */
#define FILES_ONCE 200
#define FILES_A_TRANSFER 8
#define FILES_A_DRIVE 16

/* ---- state and room ---- */

/* The pid that holds the state; 0: nobody, or not to be known. */
static long lock_holder(const struct vtl_config *cfg)
{
    char path[PATH_ROOM], text[32] = "";
    (void)snprintf(path, sizeof(path), "%s/lock", cfg->library.state_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

/* The directory that is there: state_dir, or the one that it will be made in. */
static bool existing(const char *state_dir, char dir[PATH_ROOM])
{
    struct stat st;
    (void)snprintf(dir, PATH_ROOM, "%s", state_dir);
    if (!stat(dir, &st))
        return true;
    char *slash = strrchr(dir, '/');
    slash[slash == dir] = '\0';
    return !stat(dir, &st);
}

static bool look_at_state(struct doctor *d, char dir[PATH_ROOM])
{
    char path[PATH_ROOM];
    const char *state_dir = d->cfg->library.state_dir;
    (void)snprintf(path, sizeof(path), "%s/state.db", state_dir);
    if (!existing(state_dir, dir)) {
        doctor_say(d, FINDING_WRONG, "state", "make that directory, or correct [library] state_dir",
                   "%s: neither it nor %s is there", state_dir, dir);
        return false;
    }
    if (access(dir, R_OK | W_OK | X_OK)) {
        doctor_say(d, FINDING_WRONG, "state", "run this as root or the user that serves, or chown the directory to it",
                   "%s: %s", dir, strerror(errno));
        return false;
    }
    if (d->served)
        doctor_say(d, FINDING_GOOD, "state", NULL, "%s, served by process %ld", state_dir, lock_holder(d->cfg));
    else if (access(path, F_OK))
        doctor_say(d, FINDING_NOTE, "state", NULL, "%s: no library yet: \"s3vtl library init\" makes it", state_dir);
    else
        doctor_say(d, FINDING_GOOD, "state", NULL, "%s, not served", state_dir);
    return true;
}

/* Bytes of the files below a directory. */
static uint64_t size_of(const char *dir)
{
    char *name = strdup(dir);
    char *const names[] = {name, NULL};
    uint64_t bytes = 0;
    FTS *f = name ? fts_open(names, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    for (const FTSENT *e = f ? fts_read(f) : NULL; e; e = fts_read(f))
        if (e->fts_info == FTS_F)
            bytes += (uint64_t)e->fts_statp->st_blocks * 512;
    if (f)
        fts_close(f);
    free(name);
    return bytes;
}

static bool same_disk(const char *a, const char *path)
{
    char b[PATH_ROOM];
    struct stat x, y;
    return existing(path, b) && !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev;
}

static void look_at_room(struct doctor *d, const char *dir)
{
    const struct vtl_config *cfg = d->cfg;
    char spool[PATH_ROOM], has[32], needs[32], dirty[32], cache[32];
    struct statvfs v;
    if (statvfs(dir, &v)) {
        doctor_say(d, FINDING_WRONG, "disk", "see what the file system says", "%s: %s", dir, strerror(errno));
        return;
    }
    (void)snprintf(spool, sizeof(spool), "%s/spool", cfg->library.state_dir);
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize + size_of(spool);
    uint64_t need = cfg->spool.max_dirty + cfg->spool.cache_size;
    human_size(room, has);
    human_size(need, needs);
    human_size(cfg->spool.max_dirty, dirty);
    human_size(cfg->spool.cache_size, cache);
    if (room < need)
        doctor_say(d, FINDING_WRONG, "disk", "lower [spool] max_dirty or cache_size, or put state_dir on a larger disk",
                   "%s has room for %s, and max_dirty (%s) and cache_size (%s) may take %s", dir, has, dirty, cache,
                   needs);
    else
        doctor_say(d, FINDING_GOOD, "disk", NULL, "%s has room for %s; max_dirty (%s) and cache_size (%s) may take %s",
                   dir, has, dirty, cache, needs);
    if (!strcmp(cfg->store.type, "dir") && same_disk(dir, cfg->store.path))
        doctor_say(d, FINDING_NOTE, "disk", NULL,
                   "the store %s is on the same file system: what it takes is not there for the spool, and it is lost "
                   "with the same disk",
                   cfg->store.path);
}

/* ---- limits ---- */

static void look_at_limits(struct doctor *d)
{
    const struct vtl_config *cfg = d->cfg;
    struct errtext err = {""};
    struct rlimit l = {.rlim_max = 0};
    uint64_t files = FILES_ONCE + FILES_A_TRANSFER * 2ull * cfg->store.parallel + FILES_A_DRIVE * cfg->library.drives;
    if (before_locked_memory(cfg, &err))
        doctor_say(d, FINDING_WRONG, "memlock", "LimitMEMLOCK=8M in the service, or ulimit -l", "%s", err.text);
    else
        doctor_say(d, FINDING_GOOD, "memlock", NULL, "enough locked memory for the keys of %u drives",
                   cfg->library.drives);
    if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_max < files)
        doctor_say(d, FINDING_WRONG, "nofile", "LimitNOFILE=infinity in the service, or ulimit -Hn",
                   "this user may open %llu files, and %u drives and parallel = %u may need %llu",
                   (unsigned long long)l.rlim_max, cfg->library.drives, cfg->store.parallel, (unsigned long long)files);
    else if (l.rlim_max == RLIM_INFINITY)
        doctor_say(d, FINDING_GOOD, "nofile", NULL, "no limit on open files");
    else
        doctor_say(d, FINDING_GOOD, "nofile", NULL, "%llu files may be open, %llu may be needed",
                   (unsigned long long)l.rlim_max, (unsigned long long)files);
}

/* ---- the port ---- */

static bool holder_is_ours(const struct doctor *d)
{
    struct stat st;
    if (d->holder.pid)
        return d->holder.parent == lock_holder(d->cfg) || d->holder.pid == lock_holder(d->cfg);
    return !stat(d->cfg->library.state_dir, &st) && st.st_uid == d->holder.user;
}

static void look_at_port(struct doctor *d)
{
    const struct vtl_config *cfg = d->cfg;
    struct errtext err = {""};
    char who[PORT_HOLDER_TEXT];
    int rc = d->served ? 0 : before_portal(cfg, &err);
    if (d->served && d->port_taken && holder_is_ours(d))
        doctor_say(d, FINDING_GOOD, "port", NULL, "this library listens at %s", cfg->iscsi.portal);
    else if (d->served && !d->port_taken)
        doctor_say(d, FINDING_WRONG, "port", "restart it: portal may have been changed since it started",
                   "the library is served, and nobody listens at [iscsi] portal = %s", cfg->iscsi.portal);
    else if (!d->served && !rc)
        doctor_say(d, FINDING_GOOD, "port", NULL, "%s is free", cfg->iscsi.portal);
    else if (rc && (rc != -EADDRINUSE || !d->port_taken))
        doctor_say(d, FINDING_WRONG, "port",
                   "[iscsi] portal = an address of this host, and a port from 1024 on that is free", "%s", err.text);
    else
        doctor_say(d, FINDING_WRONG, "port",
                   d->holder.debian_tgt ? PORT_DEBIAN_TGT : "stop it, or give [iscsi] portal another port",
                   "[iscsi] portal = %s: the port is in use by %s", cfg->iscsi.portal,
                   port_holder_text(&d->holder, who));
}

/* ---- tgt ---- */

/* Runs "tgtd -V", with the module preloaded or without, whose constructor ends a tgtd that lacks something of what it
 * needs. The first line of what it says, and its wait status, or -1. */
static int run_tgtd(const char *module, char line[300])
{
    int out[2];
    line[0] = '\0';
    if (pipe2(out, O_CLOEXEC))
        return -1;
    pid_t pid = fork();
    if (!pid) {
        const char *before = getenv("S3VTL_TGTD_PRELOAD");
        char list[PATH_ROOM];
        (void)snprintf(list, sizeof(list), "%s%s%s", before ? before : "", before ? ":" : "", module ? module : "");
        if (dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0 || (module && setenv("LD_PRELOAD", list, 1)))
            _exit(126);
        execlp("tgtd", "tgtd", "-V", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = pid < 0 ? NULL : fdopen(out[0], "r");
    if (!f || !fgets(line, 300, f))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (f)
        fclose(f);
    else
        close(out[0]);
    int status = -1;
    return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

static void look_at_tgt(struct doctor *d)
{
    char version[300], text[300], module[PATH_MAX], rest;
    struct errtext err = {""};
    unsigned number = 0;
    int status = run_tgtd(NULL, version);
    if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
        doctor_say(d, FINDING_WRONG, "tgt", "apt install tgt", "tgtd does not run: %s",
                   WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "it is not in $PATH" : version);
        return;
    }
    if (before_module(module, &err)) {
        doctor_say(d, FINDING_WRONG, "tgt", "install s3vtl whole: the command and bs_s3vtl.so belong together", "%s",
                   err.text);
        return;
    }
    status = run_tgtd(module, text);
    bool known =
        sscanf(version, "1.0.%u%c", &number, &rest) == 1 && number >= TGT_VERSION_FIRST && number <= TGT_VERSION_LAST;
    if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
        doctor_say(d, FINDING_WRONG, "tgt", "install the s3vtl that was built for this version of tgt",
                   "tgtd %s does not take %s: %s", version, module, text);
    else if (!known)
        doctor_say(d, FINDING_WRONG, "tgt", "install a tgt of these, or the s3vtl that knows this one",
                   "tgtd is version %s; known are 1.0.%d to 1.0.%d", version, TGT_VERSION_FIRST, TGT_VERSION_LAST);
    else
        doctor_say(d, FINDING_GOOD, "tgt", NULL, "tgtd %s, which has all that %s needs", version, module);
}

/* ---- who may log in ---- */

static void look_at_access(struct doctor *d)
{
    struct errtext err = {""};
    if (password_check(d->cfg, &err))
        doctor_say(d, FINDING_WRONG, "access", "a user and a file with its password, 12 to 16 characters, mode 0600",
                   "%s", err.text);
    else
        doctor_say(d, FINDING_GOOD, "access", NULL, "%s",
                   d->cfg->iscsi.chap_user[0] ? "CHAP is on" : "no CHAP, and the portal is on this host only");
}

void doctor_host(struct doctor *d)
{
    char dir[PATH_ROOM];
    if (look_at_state(d, dir))
        look_at_room(d, dir);
    look_at_limits(d);
    look_at_access(d);
    look_at_port(d);
    look_at_tgt(d);
}
