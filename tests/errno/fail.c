/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fail.c: see fail.h. A program's own functions come before those of its libraries, whoever calls them: so this stands in
 * the program itself, and what it wraps it calls by number, or by the libc's inner name. */
#include "tests/errno/fail.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct fail_shared *shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_len; /* 0: nothing counts */
static bool memory;
static _Thread_local unsigned spared;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static DIR *(*real_opendir)(const char *);
static DIR *(*real_fdopendir)(int);
static struct dirent *(*real_readdir)(DIR *);

struct fail_shared *fail_begin(bool with_memory)
{
    void *frames[4];
    (void)backtrace(frames, 4); /* loads what it needs */
    *(void **)&real_opendir = dlsym(RTLD_NEXT, "opendir");
    *(void **)&real_fdopendir = dlsym(RTLD_NEXT, "fdopendir");
    *(void **)&real_readdir = dlsym(RTLD_NEXT, "readdir");
    memory = with_memory;
    void *p =
        (void *)syscall(SYS_mmap, NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared = p == MAP_FAILED ? NULL : p;
    return shared;
}

void fail_below(const char *dir)
{
    pthread_mutex_lock(&lock);
    root_len = dir ? strlen(dir) : 0;
    memcpy(root, dir ? dir : "", root_len + 1);
    pthread_mutex_unlock(&lock);
}

void fail_spare(bool spare)
{
    spared += spare ? 1 : -1u;
}

void fail_heal(void)
{
    pthread_mutex_lock(&lock);
    shared->how = FAIL_NOT;
    shared->on = false;
    pthread_mutex_unlock(&lock);
}

bool fail_lasts(void)
{
    pthread_mutex_lock(&lock);
    bool on = shared->on;
    pthread_mutex_unlock(&lock);
    return on;
}

const char *fail_op_name(enum fail_op op)
{
    static const char *const names[FAIL_OPS] = {"open",     "close",  "read",   "write",  "sync",  "truncate",
                                                "allocate", "rename", "link",   "unlink", "mkdir", "stat",
                                                "list",     "mmap",   "socket", "memory"};
    return names[op];
}

void fail_print_site(const struct fail_site *s)
{
    int n = 0;
    while (n < (int)(sizeof(s->frames) / sizeof(s->frames[0])) && s->frames[n])
        n++;
    backtrace_symbols_fd(s->frames, n, 2);
}

/* ---- does it count, and does it fail? ---- */

#define DEEP 40
#define OWN 7 /* with three or four of this file */

static struct fail_site *find_site(uint64_t hash)
{
    size_t i = hash % FAIL_SITES;
    for (size_t n = 0; n < FAIL_SITES; n++, i = (i + 1) % FAIL_SITES)
        if (!shared->sites[i].calls || shared->sites[i].hash == hash)
            return &shared->sites[i];
    abort(); /* FAIL_SITES is too small */
}

static uint64_t hash_of(enum fail_op op, void *const *frames, int n)
{
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)op;
    for (int i = 0; i < n; i++)
        h = (h ^ (uintptr_t)frames[i]) * 0x100000001b3u;
    return h ? h : 1;
}

/* Of the library's own functions, the innermost ones: what lies between them is SQLite's, and what led to them is mostly
 * the test's. */
static uint64_t hash_of_own(enum fail_op op, void *const *frames, int n)
{
    extern char __executable_start, etext;
    void *own[OWN];
    int found = 0;
    for (int i = 0; i < n && found < OWN; i++)
        if ((char *)frames[i] >= &__executable_start && (char *)frames[i] < &etext)
            own[found++] = frames[i];
    return hash_of(op, own, found);
}

static void count(enum fail_op op, const char *path, uint64_t hash, void *const *frames, int n)
{
    struct fail_site *s = find_site(hash);
    s->hash = hash;
    s->op = op;
    if (s->calls++)
        return;
    s->own = hash_of_own(op, frames, n);
    size_t len = strlen(path), most = sizeof(s->path) - 1;
    memcpy(s->path, path + (len > most ? len - most : 0), (len > most ? most : len) + 1);
    for (int i = 0; i < n && i < (int)(sizeof(s->frames) / sizeof(s->frames[0])); i++)
        s->frames[i] = frames[i];
}

/* What a state of the machine, and not of one call, makes fail. makes: the call makes a name. */
static bool lasts(int error, enum fail_op op, bool makes)
{
    bool changes = op == FAIL_WRITE || op == FAIL_ALLOCATE || op == FAIL_TRUNCATE;
    bool names = op == FAIL_RENAME || op == FAIL_LINK || op == FAIL_MKDIR || (op == FAIL_OPEN && makes);
    switch (error) {
    case ENOSPC:
        return (changes && op != FAIL_TRUNCATE) || (names && op != FAIL_RENAME);
    case EMFILE:
        return op == FAIL_OPEN || op == FAIL_LIST || op == FAIL_SOCKET;
    case ENOMEM:
        return op == FAIL_OPEN || op == FAIL_LIST || op == FAIL_MMAP || op == FAIL_MEMORY || op == FAIL_SOCKET;
    case EROFS:
        return changes || names || op == FAIL_UNLINK;
    default: /* EIO: the device is gone */
        return op != FAIL_CLOSE && op != FAIL_MEMORY && op != FAIL_SOCKET;
    }
}

static bool decide(enum fail_op op, bool makes, uint64_t hash)
{
    if (shared->how == FAIL_NOT)
        return false;
    bool here = hash == shared->site && shared->seen++ == shared->call;
    if (here && shared->how == FAIL_ON)
        shared->on = true;
    bool fails = here || (shared->on && lasts(shared->error, op, makes));
    shared->fired += fails;
    return fails;
}

/* True: it is to fail, and errno says how. path: absolute, or NULL for what is of no file. */
static bool __attribute__((noinline)) fails(enum fail_op op, const char *path, bool makes)
{
    if (!shared || spared || !root_len)
        return false;
    if (path && (strncmp(path, root, root_len) || (path[root_len] && path[root_len] != '/')))
        return false;
    if (!shared->counting && (shared->how == FAIL_NOT || (op != shared->op && !shared->on)))
        return false;
    spared++;
    void *frames[DEEP];
    int e = errno, n = backtrace(frames, DEEP);
    pthread_mutex_lock(&lock);
    uint64_t hash = op == FAIL_MEMORY ? hash_of_own(op, frames, n) : hash_of(op, frames, n);
    if (shared->counting)
        count(op, path ? path : "", hash, frames, n);
    bool yes = decide(op, makes, hash);
    pthread_mutex_unlock(&lock);
    spared--;
    errno = yes ? shared->error : e;
    return yes;
}

static bool __attribute__((noinline)) fails_fd(enum fail_op op, int fd)
{
    char link[40], path[PATH_MAX];
    if (!shared || spared || !root_len)
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlink, link, path, sizeof(path) - 1);
    if (n < 0)
        return false;
    path[n] = 0;
    return fails(op, path, false);
}

static bool __attribute__((noinline)) fails_at(enum fail_op op, int dir, const char *name, bool makes)
{
    char base[PATH_MAX], link[40], path[2 * PATH_MAX];
    if (!shared || spared || !root_len)
        return false;
    if (name[0] == '/')
        return fails(op, name, makes);
    (void)snprintf(link, sizeof(link), dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
    long n = syscall(SYS_readlink, link, base, sizeof(base) - 1);
    if (n < 0)
        return false;
    base[n] = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", base, name);
    return fails(op, path, makes);
}

/* ---- names and descriptors ---- */

static int do_open(int dir, const char *path, int flags, mode_t mode)
{
    if (fails_at(FAIL_OPEN, dir, path, (flags & O_CREAT) && syscall(SYS_faccessat, dir, path, F_OK)))
        return -1;
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

#include "tests/lib/open_calls.h" /* here, as it needs do_open */

int creat(const char *path, mode_t mode)
{
    return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* The descriptor is gone either way, as Linux has it. */
int close(int fd)
{
    bool bad = fails_fd(FAIL_CLOSE, fd);
    int e = errno, rc = (int)syscall(SYS_close, fd);
    if (bad)
        errno = e;
    return bad ? -1 : rc;
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    return fails_at(FAIL_MKDIR, dir, path, true) ? -1 : (int)syscall(SYS_mkdirat, dir, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return fails_at(FAIL_MKDIR, AT_FDCWD, path, true) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int unlinkat(int dir, const char *path, int flags)
{
    return fails_at(FAIL_UNLINK, dir, path, false) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

int unlink(const char *path)
{
    return fails_at(FAIL_UNLINK, AT_FDCWD, path, false) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return fails_at(FAIL_UNLINK, AT_FDCWD, path, false) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat2(int from, const char *a, int to, const char *b, unsigned flags)
{
    return fails_at(FAIL_RENAME, to, b, true) ? -1 : (int)syscall(SYS_renameat2, from, a, to, b, flags);
}

int renameat(int from, const char *a, int to, const char *b)
{
    return fails_at(FAIL_RENAME, to, b, true) ? -1 : (int)syscall(SYS_renameat2, from, a, to, b, 0);
}

int rename(const char *a, const char *b)
{
    return fails_at(FAIL_RENAME, AT_FDCWD, b, true) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 0);
}

int linkat(int from, const char *a, int to, const char *b, int flags)
{
    return fails_at(FAIL_LINK, to, b, true) ? -1 : (int)syscall(SYS_linkat, from, a, to, b, flags);
}

/* ---- content ---- */

ssize_t read(int fd, void *buf, size_t len)
{
    return fails_fd(FAIL_READ, fd) ? -1 : syscall(SYS_read, fd, buf, len);
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
    return fails_fd(FAIL_READ, fd) ? -1 : syscall(SYS_pread64, fd, buf, len, at);
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t at)
{
    return fails_fd(FAIL_READ, fd) ? -1 : syscall(SYS_pread64, fd, buf, len, at);
}

ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
    return fails_fd(FAIL_WRITE, out) ? -1 : syscall(SYS_sendfile, out, in, at, len);
}

/* A disk that is full takes a part first. */
static size_t part_of(size_t len)
{
    return shared->error == ENOSPC && shared->how == FAIL_ON ? len / 2 : 0;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    bool bad = fails_fd(FAIL_WRITE, fd);
    if (bad && !part_of(len))
        return -1;
    return syscall(SYS_write, fd, buf, bad ? part_of(len) : len);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    bool bad = fails_fd(FAIL_WRITE, fd);
    if (bad && !part_of(len))
        return -1;
    return syscall(SYS_pwrite64, fd, buf, bad ? part_of(len) : len, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
    bool bad = fails_fd(FAIL_WRITE, fd);
    if (bad && !part_of(len))
        return -1;
    return syscall(SYS_pwrite64, fd, buf, bad ? part_of(len) : len, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    return fails_fd(FAIL_WRITE, fd) ? -1 : syscall(SYS_writev, fd, iov, n);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    bool bad = fails_fd(FAIL_WRITE, fd);
    if (bad && !part_of(iov->iov_len))
        return -1;
    if (bad)
        return syscall(SYS_pwrite64, fd, iov->iov_base, part_of(iov->iov_len), at);
    return syscall(SYS_pwritev, fd, iov, n, at, 0);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t at)
{
    return pwritev(fd, iov, n, at);
}

/* What is there stays there whatever happens to this process: the real call is left out, the tests are faster by far. */
int fsync(int fd)
{
    return fails_fd(FAIL_SYNC, fd) ? -1 : 0;
}

int fdatasync(int fd)
{
    return fails_fd(FAIL_SYNC, fd) ? -1 : 0;
}

int ftruncate(int fd, off_t size)
{
    return fails_fd(FAIL_TRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return fails_fd(FAIL_TRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return fails_fd(FAIL_ALLOCATE, fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    if (fails_fd(FAIL_ALLOCATE, fd))
        return errno;
    return syscall(SYS_fallocate, fd, 0, at, len) ? errno : 0;
}

/* ---- looking ---- */

int fstat(int fd, struct stat *st)
{
    return fails_fd(FAIL_STAT, fd) ? -1 : (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

int fstat64(int fd, struct stat64 *st)
{
    return fails_fd(FAIL_STAT, fd) ? -1 : (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    return fails_at(FAIL_STAT, dir, path, false) ? -1 : (int)syscall(SYS_newfstatat, dir, path, st, flags);
}

int stat(const char *path, struct stat *st)
{
    return fails_at(FAIL_STAT, AT_FDCWD, path, false) ? -1 : (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

int stat64(const char *path, struct stat64 *st)
{
    return fails_at(FAIL_STAT, AT_FDCWD, path, false) ? -1 : (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

int lstat(const char *path, struct stat *st)
{
    return fails_at(FAIL_STAT, AT_FDCWD, path, false)
               ? -1
               : (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

DIR *opendir(const char *path)
{
    return fails_at(FAIL_LIST, AT_FDCWD, path, false) ? NULL : real_opendir(path);
}

DIR *fdopendir(int fd)
{
    return fails_fd(FAIL_LIST, fd) ? NULL : real_fdopendir(fd);
}

struct dirent *readdir(DIR *d)
{
    return fails_fd(FAIL_LIST, dirfd(d)) ? NULL : real_readdir(d);
}

void *mmap(void *p, size_t len, int prot, int flags, int fd, off_t at)
{
    if (fd >= 0 && fails_fd(FAIL_MMAP, fd))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, p, len, prot, flags, fd, at);
}

void *mmap64(void *p, size_t len, int prot, int flags, int fd, off64_t at)
{
    return mmap(p, len, prot, flags, fd, at);
}

/* ---- what needs a descriptor or memory, but no file ---- */

int socket(int domain, int type, int protocol)
{
    return fails(FAIL_SOCKET, NULL, false) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    return fails(FAIL_SOCKET, NULL, false) ? -1 : (int)syscall(SYS_accept4, fd, addr, len, flags);
}

int pipe2(int fds[2], int flags)
{
    return fails(FAIL_SOCKET, NULL, false) ? -1 : (int)syscall(SYS_pipe2, fds, flags);
}

int eventfd(unsigned value, int flags)
{
    return fails(FAIL_SOCKET, NULL, false) ? -1 : (int)syscall(SYS_eventfd2, value, flags);
}

void *malloc(size_t n)
{
    return memory && fails(FAIL_MEMORY, NULL, false) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return memory && fails(FAIL_MEMORY, NULL, false) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return memory && fails(FAIL_MEMORY, NULL, false) ? NULL : __libc_realloc(p, n);
}
