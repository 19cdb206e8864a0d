/* SPDX-License-Identifier: GPL-2.0-or-later */
/* full_disk.h: a disk that is full until a file of the spool goes, for tests on library_rig.h. */
#ifndef S3VTL_TEST_FULL_DISK_H
#define S3VTL_TEST_FULL_DISK_H

#include "tests/unit/failure_help.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static pthread_mutex_t disk_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t disk_moved = PTHREAD_COND_INITIALIZER;
static int disk_error;        /* what writing to a file of the spool gives; 0: there is room */
static const char *disk_of;   /* or to those whose path has that in it */
static unsigned disk_refused; /* so often did it, since it was filled */

static inline void path_of_fd(int fd, char path[300])
{
    char link[40];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 299);
    path[n > 0 ? n : 0] = '\0';
}

static inline bool disk_refuses(int fd)
{
    char path[300];
    path_of_fd(fd, path);
    (void)pthread_mutex_lock(&disk_mutex);
    int error = disk_error && strstr(path, disk_of) ? disk_error : 0;
    if (error) {
        disk_refused++;
        (void)pthread_cond_broadcast(&disk_moved);
    }
    (void)pthread_mutex_unlock(&disk_mutex);
    errno = error;
    return error;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return disk_refuses(fd) ? -1 : syscall(SYS_pwritev, fd, iov, count, offset, 0);
}

/* SQLite finds it here before the libc's. */
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset);
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
    return disk_refuses(fd) ? -1 : syscall(SYS_pwrite64, fd, buf, len, offset);
}

static int sync_error; /* what the sync of a file of the spool gives; 0: none */

static inline void spool_sync_fails(int error)
{
    (void)pthread_mutex_lock(&disk_mutex);
    sync_error = error;
    (void)pthread_mutex_unlock(&disk_mutex);
}

int fdatasync(int fd)
{
    char path[300];
    path_of_fd(fd, path);
    (void)pthread_mutex_lock(&disk_mutex);
    int error = strstr(path, "/spool/") ? sync_error : 0;
    (void)pthread_mutex_unlock(&disk_mutex);
    errno = error;
    return error ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int unlink(const char *path)
{
    struct stat st;
    bool large = !stat(path, &st) && st.st_size > 4096; /* and no file that found no room */
    int rc = unlinkat(AT_FDCWD, path, 0);
    (void)pthread_mutex_lock(&disk_mutex);
    if (!rc && large && strstr(path, "/spool/"))
        disk_error = 0;
    (void)pthread_mutex_unlock(&disk_mutex);
    return rc;
}

static inline void disk_fills(int error, const char *where)
{
    (void)pthread_mutex_lock(&disk_mutex);
    disk_error = error;
    disk_of = where;
    disk_refused = 0;
    (void)pthread_mutex_unlock(&disk_mutex);
}

/* Returns how often it refused. */
static inline unsigned disk_empties(void)
{
    (void)pthread_mutex_lock(&disk_mutex);
    disk_error = 0;
    unsigned n = disk_refused;
    (void)pthread_mutex_unlock(&disk_mutex);
    return n;
}

static inline unsigned refusals(void)
{
    (void)pthread_mutex_lock(&disk_mutex);
    unsigned n = disk_refused;
    (void)pthread_mutex_unlock(&disk_mutex);
    return n;
}

/* Until it has refused so often since it was filled. */
static inline void await_refusals(unsigned n)
{
    (void)pthread_mutex_lock(&disk_mutex);
    while (disk_refused < n)
        (void)pthread_cond_wait(&disk_moved, &disk_mutex);
    (void)pthread_mutex_unlock(&disk_mutex);
}

#endif
