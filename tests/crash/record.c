/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record.c: preloaded into a program, it logs what that does to the files below $CRASH_ROOT to $CRASH_LOG (record.h),
 * so that every state of the disk that a power loss could have left can be made again. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/record.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_len;

/* The recorder itself goes past the libc: what it wraps must not find itself. */
static long sys_open(int dir, const char *path, int flags, mode_t mode)
{
    return syscall(SYS_openat, dir, path, flags, mode);
}

__attribute__((constructor)) static void begin(void)
{
    const char *r = getenv("CRASH_ROOT"), *l = getenv("CRASH_LOG");
    if (!r || !l)
        return;
    root_len = strlen(r);
    memcpy(root, r, root_len + 1);
    log_fd = (int)sys_open(AT_FDCWD, l, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        perror(l);
        abort();
    }
}

static void put_all(const void *buf, size_t len)
{
    const char *p = buf;
    while (len) {
        long n = syscall(SYS_write, log_fd, p, len);
        if (n < 0) {
            perror("crash log");
            abort(); /* a log with a hole proves nothing */
        }
        p += n;
        len -= (size_t)n;
    }
}

static void event(enum record_type type, uint64_t inode, uint64_t offset, const char *path, const char *to,
                  uint64_t len)
{
    struct record r = {.magic = RECORD_MAGIC,
                       .type = type,
                       .inode = inode,
                       .offset = offset,
                       .path_len = path ? (uint32_t)strlen(path) : 0,
                       .to_len = to ? (uint32_t)strlen(to) : 0,
                       .data_len = len};
    put_all(&r, sizeof(r));
    if (path)
        put_all(path, r.path_len);
    if (to)
        put_all(to, r.to_len);
}

/* The path below the root ("": the root), or NULL: none of ours. SQLite makes its shared memory anew after a crash. */
static const char *below(const char *path)
{
    size_t n = strlen(path);
    if (log_fd < 0 || strncmp(path, root, root_len) || (n > 4 && !strcmp(path + n - 4, "-shm")))
        return NULL;
    return !path[root_len] ? "" : path[root_len] == '/' ? path + root_len + 1 : NULL;
}

static const char *path_of_fd(int fd, char buf[PATH_MAX])
{
    char link[40];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, buf, PATH_MAX - 1);
    if (n < 0)
        return NULL;
    buf[n] = 0;
    return below(buf);
}

static const char *path_at(int dir, const char *path, char buf[PATH_MAX])
{
    char base[PATH_MAX], link[40];
    if (path[0] == '/') {
        (void)snprintf(buf, PATH_MAX, "%s", path);
        return below(buf);
    }
    (void)snprintf(link, sizeof(link), dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, base, sizeof(base) - 1);
    if (n < 0)
        return NULL;
    base[n] = 0;
    if (snprintf(buf, PATH_MAX, "%s/%s", base, path) >= PATH_MAX)
        return NULL;
    return below(buf);
}

/* ---- opening ---- */

static int do_open(int dir, const char *path, int flags, mode_t mode)
{
    char buf[PATH_MAX];
    const char *mine = log_fd >= 0 && (flags & (O_CREAT | O_TRUNC)) ? path_at(dir, path, buf) : NULL;
    if (!mine)
        return (int)sys_open(dir, path, flags, mode);
    pthread_mutex_lock(&lock);
    bool there = !syscall(SYS_faccessat, dir, path, F_OK);
    int fd = (int)sys_open(dir, path, flags, mode), e = errno;
    struct stat st;
    if (fd >= 0 && strcmp(mine, RECORD_MARKS) && !fstat(fd, &st)) {
        if (!there)
            event(RECORD_CREATE, st.st_ino, 0, mine, NULL, 0);
        else if (flags & O_TRUNC)
            event(RECORD_TRUNCATE, st.st_ino, 0, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = e;
    return fd;
}

#include "tests/lib/open_calls.h" /* here, as it needs do_open */

/* ---- content ---- */

static ssize_t do_write(int fd, const struct iovec *iov, int n, off_t offset, bool at)
{
    char buf[PATH_MAX];
    const char *mine = log_fd >= 0 ? path_of_fd(fd, buf) : NULL;
    if (!mine)
        return at ? syscall(SYS_pwritev, fd, iov, n, offset, 0) : syscall(SYS_writev, fd, iov, n);
    pthread_mutex_lock(&lock);
    if (!at) {
        int flags = fcntl(fd, F_GETFL);
        offset = (off_t)syscall(SYS_lseek, fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    }
    ssize_t done = at ? syscall(SYS_pwritev, fd, iov, n, offset, 0) : syscall(SYS_writev, fd, iov, n);
    int e = errno;
    struct stat st;
    if (done > 0 && !fstat(fd, &st)) {
        bool mark = !strcmp(mine, RECORD_MARKS);
        event(mark ? RECORD_MARK : RECORD_WRITE, st.st_ino, (uint64_t)offset, NULL, NULL, (uint64_t)done);
        size_t left = (size_t)done;
        for (int i = 0; i < n && left; i++) {
            size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
            put_all(iov[i].iov_base, part);
            left -= part;
        }
    }
    pthread_mutex_unlock(&lock);
    errno = e;
    return done;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    if (fd == log_fd || log_fd < 0)
        return syscall(SYS_write, fd, buf, len);
    struct iovec v = {(void *)buf, len};
    return do_write(fd, &v, 1, 0, false);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    return do_write(fd, iov, n, 0, false);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
    struct iovec v = {(void *)buf, len};
    return do_write(fd, &v, 1, offset, true);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
    return pwrite(fd, buf, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    return do_write(fd, iov, n, offset, true);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    return do_write(fd, iov, n, offset, true);
}

int ftruncate(int fd, off_t size)
{
    char buf[PATH_MAX];
    struct stat st;
    const char *mine = log_fd >= 0 ? path_of_fd(fd, buf) : NULL;
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_ftruncate, fd, size), e = errno;
    if (!rc && mine && !fstat(fd, &st))
        event(RECORD_TRUNCATE, st.st_ino, (uint64_t)size, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = e;
    return rc;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

/* $CRASH_FORGET=file:TEXT or dir:TEXT: syncs of files, or directories, with TEXT in their path are not logged, as if
 * the program had left them out. The crashes must then find what they are for. */
static bool is_forgotten(bool dir, const char *path)
{
    const char *f = getenv("CRASH_FORGET");
    if (!f || strncmp(f, dir ? "dir:" : "file:", dir ? 4 : 5))
        return false;
    return strstr(path, strchr(f, ':') + 1);
}

/* The real call is left out: what is safe is told by the log, and the test is faster by far. */
static int do_sync(int fd)
{
    char buf[PATH_MAX];
    struct stat st;
    const char *mine = log_fd >= 0 ? path_of_fd(fd, buf) : NULL;
    if (!mine || fstat(fd, &st))
        return (int)syscall(SYS_fsync, fd);
    if (is_forgotten(S_ISDIR(st.st_mode), mine))
        return 0;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(st.st_mode))
        event(RECORD_SYNC_DIR, 0, 0, mine, NULL, 0);
    else
        event(RECORD_SYNC, st.st_ino, 0, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd)
{
    return do_sync(fd);
}

int fdatasync(int fd)
{
    return do_sync(fd);
}

/* ---- names ---- */

int mkdirat(int dir, const char *path, mode_t mode)
{
    char buf[PATH_MAX];
    const char *mine = path_at(dir, path, buf);
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_mkdirat, dir, path, mode), e = errno;
    if (!rc && mine)
        event(RECORD_MKDIR, 0, 0, mine, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = e;
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int dir, const char *path, int flags)
{
    char buf[PATH_MAX];
    const char *mine = path_at(dir, path, buf);
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_unlinkat, dir, path, flags), e = errno;
    if (!rc && mine)
        event(RECORD_UNLINK, 0, 0, mine, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = e;
    return rc;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char a[PATH_MAX], b[PATH_MAX];
    const char *mine = path_at(from_dir, from, a), *dest = path_at(to_dir, to, b);
    pthread_mutex_lock(&lock);
    int rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags), e = errno;
    if (!rc && mine && dest)
        event(RECORD_RENAME, 0, 0, mine, dest, 0);
    pthread_mutex_unlock(&lock);
    errno = e;
    return rc;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return renameat2(from_dir, from, to_dir, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
