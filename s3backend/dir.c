/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.c: the embedded store, one file per object.
 *
 * What it keeps:
 *  1. An object is written to a name in .tmp, fsynced, renamed, and its directory fsynced before put returns: readers
 * see the whole object or none, and what put acknowledged survives a power loss.
 *  2. Every directory that leads to the object is fsynced too before the object is acknowledged.
 *  3. An object is never replaced by other content (I2): rename refuses an existing name, and then the contents are
 * compared.
 *  4. Delete takes the directories that became empty with it, never the store's own. What it acknowledged stays deleted
 * after a power loss.
 */
#include "s3backend/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/file.h"

enum { CHUNK = 1 << 18, STREAM_PIECE = 1 << 18 };

static struct dir_store *store_of(struct objstore *s)
{
    return (struct dir_store *)s;
}

/* The one line for an errno, with what would be right where that is known. */
static int fail(const struct dir_store *d, int code, const char *op, const char *key, struct errtext *err)
{
    switch (code) {
    case -ECANCELED:
        return errtext_set(err, code, "%s %s: canceled", op, key);
    case -ENOENT:
        return errtext_set(err, code, "%s %s: no such object in %s", op, key, d->path);
    case -ENOSPC:
    case -EDQUOT:
        return errtext_set(err, -EIO, "%s %s: the disk under %s is full: free some space (%s)", op, key, d->path,
                           strerror(-code));
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return errtext_set(err, -EACCES, "%s %s: not allowed below %s: %s", op, key, d->path, strerror(-code));
    case -ENOTDIR:
    case -EISDIR:
        return errtext_set(err, -EIO,
                           "%s %s: in %s a part of this name is taken by an object or a directory; a dir store can't "
                           "hold both a and a/b",
                           op, key, d->path);
    case -EEXIST:
        return errtext_set(err, -EEXIST, "%s %s: exists in %s with other content; objects are never changed", op, key,
                           d->path);
    default:
        return errtext_set(err, -EIO, "%s %s in %s: %s", op, key, d->path, strerror(-code));
    }
}

static int check_key(const char *op, const char *key, struct errtext *err)
{
    int rc = obj_check_key(op, key, err);
    if (rc)
        return rc;
    if (!strncmp(key, DIR_TMP "/", strlen(DIR_TMP) + 1) || !strcmp(key, DIR_TMP))
        return errtext_set(err, -EINVAL, "%s %s: the name " DIR_TMP " is reserved in a dir store", op, key);
    return 0;
}

static int fsync_dir_at(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) ? -errno : 0;
    close(fd);
    return rc;
}

/* Makes the directories above key. 0 or -errno. */
static int make_parents(int root, const char *key)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s", key);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdirat(root, path, 0777) && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

/* Makes all names that lead to key durable (2): also those of directories that another thread or an earlier, killed
 * process made and had no time to sync. */
static int sync_parents(int root, const char *key)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s", key);
    int rc = 0;
    for (char *slash = strrchr(path, '/'); slash && rc == 0; slash = strrchr(path, '/')) {
        *slash = 0;
        rc = fsync_dir_at(root, path);
    }
    return rc ? rc : fsync_dir_at(root, ".");
}

/* Reads exactly len bytes; -ENODATA when the file ends before. */
static int read_at(int fd, char *p, size_t len, uint64_t offset)
{
    return obj_source_read(&(struct obj_source){.fd = fd}, offset, p, len);
}

static size_t chunk_at(uint64_t at, uint64_t len)
{
    return len - at < CHUNK ? (size_t)(len - at) : (size_t)CHUNK;
}

static int copy_source(int fd, const struct obj_source *src, char *buf, const struct obj_call *c)
{
    uint32_t crc = 0;
    for (uint64_t at = 0; at < src->len;) {
        size_t n = chunk_at(at, src->len);
        if (obj_canceled(c))
            return -ECANCELED;
        int rc = obj_source_read(src, at, buf, n);
        if (rc == 0 && src->has_crc)
            crc = crc32c(crc, buf, n);
        if (rc == 0)
            rc = file_write_all(fd, buf, n);
        if (rc)
            return rc;
        at += n;
    }
    if (src->has_crc && crc != src->crc32c)
        return -EBADMSG;
    return fsync(fd) ? -errno : 0;
}

/* 0: the stored object is what src holds; -EEXIST: it differs. buf: two chunks. */
static int compare_source(int root, const char *key, const struct obj_source *src, char *buf)
{
    int fd = openat(root, key, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    int rc = fstat(fd, &st) ? -errno : 0;
    if (rc == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != src->len))
        rc = S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
    for (uint64_t at = 0; rc == 0 && at < src->len;) {
        size_t n = chunk_at(at, src->len);
        rc = obj_source_read(src, at, buf, n);
        if (rc == 0)
            rc = read_at(fd, buf + CHUNK, n, at);
        if (rc == 0 && memcmp(buf, buf + CHUNK, n) != 0)
            rc = -EEXIST;
        at += n;
    }
    close(fd);
    return rc;
}

static int rename_new(struct dir_store *d, const char *tmp, const char *key)
{
    if (renameat2(d->tmp, tmp, d->root, key, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    /* A file system without that flag: a link refuses an existing name as well. */
    if (linkat(d->tmp, tmp, d->root, key, 0) == 0) {
        (void)unlinkat(d->tmp, tmp, 0); /* the sweep takes what stays */
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    /* And without links: the look and the rename are then two steps. */
    atomic_store(&d->two_steps, true);
    if (faccessat(d->root, key, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return renameat(d->tmp, tmp, d->root, key) ? -errno : 0;
}

/* Moves the finished file to its key. A delete beside it may take the empty directory away in between: then again. */
static int publish(struct dir_store *d, const char *tmp, const char *key)
{
    int rc = -ENOENT;
    for (int i = 0; i < 100 && rc == -ENOENT; i++) {
        rc = make_parents(d->root, key);
        if (rc == 0)
            rc = rename_new(d, tmp, key);
    }
    return rc;
}

/* A new file in .tmp; two processes may work on one directory. A descriptor or -errno. */
static int new_tmp(struct dir_store *d, char name[64])
{
    for (;;) {
        snprintf(name, 64, "put-%ld-%lu", (long)getpid(), atomic_fetch_add(&d->serial, 1));
        int fd = openat(d->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd < 0 ? -errno : fd;
    }
}

static int put_file(struct dir_store *d, const char *key, const struct obj_source *src, const struct obj_call *c,
                    char *buf)
{
    char tmp[64];
    int fd = new_tmp(d, tmp);
    if (fd < 0)
        return fd;
    int rc = copy_source(fd, src, buf, c);
    if (close(fd) && rc == 0)
        rc = -errno;
    if (rc == 0)
        rc = publish(d, tmp, key);
    if (rc) {
        (void)unlinkat(d->tmp, tmp, 0); /* rc already tells what went wrong */
        if (rc == -EEXIST)
            rc = compare_source(d->root, key, src, buf);
    }
    return rc ? rc : sync_parents(d->root, key);
}

static int dir_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                   struct errtext *err)
{
    struct dir_store *d = store_of(s);
    int rc = check_key("put", key, err);
    if (rc)
        return rc;
    char *buf = malloc(2 * CHUNK);
    rc = buf ? put_file(d, key, src, c, buf) : -ENOMEM;
    free(buf);
    if (rc == -ENODATA)
        return errtext_set(err, -EIO, "put %s: the local file ends before byte %" PRIu64, key, src->offset + src->len);
    if (rc == -EBADMSG)
        return errtext_set(err, -EIO, "put %s: the local file is not what it was", key);
    return rc ? fail(d, rc == -ENOENT ? -EIO : rc, "put", key, err) : 0;
}

static int open_object(struct dir_store *d, const char *key, uint64_t *size)
{
    int fd = openat(d->root, key, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    struct stat st;
    int rc = fstat(fd, &st) ? -errno : 0;
    if (rc == 0 && !S_ISREG(st.st_mode))
        rc = -ENOENT; /* a directory is no object */
    if (rc) {
        close(fd);
        return rc;
    }
    *size = (uint64_t)st.st_size;
    return fd;
}

static int read_range(int fd, char *p, uint64_t len, uint64_t offset, const struct obj_call *c)
{
    for (uint64_t at = 0; at < len;) {
        size_t n = len - at < (1 << 24) ? (size_t)(len - at) : (size_t)1 << 24;
        if (obj_canceled(c))
            return -ECANCELED;
        int rc = read_at(fd, p + at, n, offset + at);
        if (rc)
            return rc;
        at += n;
    }
    return 0;
}

static bool beyond(uint64_t offset, uint64_t len, uint64_t size)
{
    return offset > size || len > size - offset;
}

static int short_of(const struct dir_store *d, const char *key, uint64_t offset, uint64_t len, uint64_t size,
                    struct errtext *err)
{
    return errtext_set(err, -EIO,
                       "get %s in %s: %" PRIu64 " bytes at %" PRIu64 " wanted, but the object has %" PRIu64 " bytes",
                       key, d->path, len, offset, size);
}

/* Opens an object that holds the range. A descriptor, or a negative errno with *err. */
static int open_range(struct dir_store *d, const char *key, uint64_t offset, uint64_t len, struct errtext *err)
{
    uint64_t size = 0;
    int rc = check_key("get", key, err);
    if (rc)
        return rc;
    int fd = open_object(d, key, &size);
    if (fd < 0)
        return fail(d, fd, "get", key, err);
    if (!beyond(offset, len, size))
        return fd;
    close(fd);
    return short_of(d, key, offset, len, size, err);
}

static int dir_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                   const struct obj_call *c, struct errtext *err)
{
    struct dir_store *d = store_of(s);
    int fd = open_range(d, key, offset, len, err);
    if (fd < 0)
        return fd;
    int rc = read_range(fd, buf, len, offset, c);
    close(fd);
    return rc ? fail(d, rc, "get", key, err) : 0;
}

static int stream_range(int fd, uint64_t len, uint64_t offset, const struct obj_sink *sink, const struct obj_call *c,
                        bool *refused)
{
    char *buf = malloc(STREAM_PIECE);
    int rc = buf ? 0 : -ENOMEM;
    for (uint64_t at = 0; !rc && at < len;) {
        size_t n = len - at < STREAM_PIECE ? (size_t)(len - at) : (size_t)STREAM_PIECE;
        rc = obj_canceled(c) ? -ECANCELED : read_at(fd, buf, n, offset + at);
        if (!rc) {
            rc = sink->take(sink->arg, buf, n);
            *refused = rc != 0;
        }
        at += n;
    }
    free(buf);
    return rc;
}

static int dir_stream(struct objstore *s, const char *key, uint64_t offset, uint64_t len, const struct obj_sink *sink,
                      const struct obj_call *c, struct errtext *err)
{
    struct dir_store *d = store_of(s);
    bool refused = false;
    int fd = open_range(d, key, offset, len, err);
    if (fd < 0)
        return fd;
    int rc = stream_range(fd, len, offset, sink, c, &refused);
    close(fd);
    if (refused)
        return errtext_set(err, rc, "get %s: what arrived could not be kept: %s", key, strerror(-rc));
    return rc ? fail(d, rc, "get", key, err) : 0;
}

static int dir_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c, struct errtext *err)
{
    struct dir_store *d = store_of(s);
    int rc = check_key("head", key, err);
    if (rc)
        return rc;
    if (obj_canceled(c))
        return fail(d, -ECANCELED, "head", key, err);
    int fd = open_object(d, key, size);
    if (fd < 0)
        return fail(d, fd, "head", key, err);
    close(fd);
    return 0;
}

/* Takes the empty directories above key away (4). */
static void prune(struct dir_store *d, const char *key)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s", key);
    for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
        *slash = 0;
        if (unlinkat(d->root, path, AT_REMOVEDIR))
            return; /* not empty, most of the time */
    }
}

static int delete_one(struct dir_store *d, const char *key, struct errtext *err)
{
    int rc = check_key("delete", key, err);
    if (rc)
        return rc;
    if (unlinkat(d->root, key, 0)) {
        if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR)
            return 0;
        return fail(d, -errno, "delete", key, err);
    }
    prune(d, key);
    return 0;
}

/* The lowest directory above key that is still there: it holds the name that went. */
static int sync_deleted(int root, const char *key)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s", key);
    int rc = -ENOENT;
    for (char *slash = strrchr(path, '/'); slash && rc == -ENOENT; slash = strrchr(path, '/')) {
        *slash = 0;
        rc = fsync_dir_at(root, path);
    }
    return rc == -ENOENT || rc == -ENOTDIR ? fsync_dir_at(root, ".") : rc;
}

static bool same_directory(const char *a, const char *b)
{
    const char *end = strrchr(a, '/');
    size_t n = end ? (size_t)(end - a) + 1 : 0;
    return !strncmp(a, b, n) && !strchr(b + n, '/');
}

static int dir_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c, struct errtext *err)
{
    struct dir_store *d = store_of(s);
    int first = 0;
    for (size_t i = 0; i < n; i++) {
        if (obj_canceled(c))
            return first ? first : fail(d, -ECANCELED, "delete", keys[i], err);
        int rc = delete_one(d, keys[i], first ? NULL : err);
        bool last = i + 1 == n || !same_directory(keys[i], keys[i + 1]);
        if (!rc && last && (rc = sync_deleted(d->root, keys[i])) && !first)
            (void)fail(d, rc, "delete", keys[i], err);
        if (!first)
            first = rc;
    }
    return first;
}

static int dir_check(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    struct dir_store *d = store_of(s);
    struct stat st;
    (void)c;
    if (fstat(d->root, &st))
        return errtext_set(err, -EIO, "store directory %s: %s", d->path, strerror(errno));
    if (st.st_nlink == 0)
        return errtext_set(err, -EIO, "store directory %s was removed", d->path);
    if (faccessat(d->root, ".", R_OK | W_OK | X_OK, AT_EACCESS))
        return errtext_set(err, -EACCES, "store directory %s: %s", d->path, strerror(errno));
    return 0;
}

static void dir_facts(struct objstore *s, struct obj_facts *out)
{
    *out = (struct obj_facts){.creates = atomic_load(&store_of(s)->two_steps) ? OBJ_NO : OBJ_YES,
                              .versioned = OBJ_NO,
                              .locked = OBJ_NO,
                              .lockable = OBJ_NO};
}

static void dir_close(struct objstore *s)
{
    struct dir_store *d = store_of(s);
    if (d->tmp >= 0)
        close(d->tmp);
    if (d->root >= 0)
        close(d->root);
    free(d->path);
    free(d);
}

static const struct objstore_ops dir_ops = {
    .type = "dir",
    .put = dir_put,
    .get = dir_get,
    .stream = dir_stream,
    .head = dir_head,
    .list = dir_list,
    .del = dir_del,
    .check = dir_check,
    .facts = dir_facts,
    .close = dir_close,
};

/* Makes (if missing) and opens a directory, its name durable in its parent. A descriptor or -errno. */
static int make_and_open(int at, const char *name, const char *parent)
{
    if (mkdirat(at, name, 0777) && errno != EEXIST)
        return -errno;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync_dir_at(at, parent);
    /* A parent that may be passed but not read was made by someone else, long ago. */
    if (rc && rc != -EACCES) {
        close(fd);
        return rc;
    }
    return fd;
}

static int open_top(const char *path)
{
    char parent[4096];
    size_t n = strlen(path);
    if (n >= sizeof(parent))
        return -ENAMETOOLONG;
    memcpy(parent, path, n + 1);
    while (n > 1 && parent[n - 1] == '/')
        parent[--n] = 0;
    char *slash = strrchr(parent, '/');
    if (!slash)
        return make_and_open(AT_FDCWD, path, ".");
    slash[slash == parent ? 1 : 0] = 0;
    return make_and_open(AT_FDCWD, path, parent);
}

static int open_root(const char *path, const char *prefix)
{
    int top = open_top(path);
    if (top < 0 || !*prefix)
        return top;
    char inner[1024];
    snprintf(inner, sizeof(inner), "%s/x", prefix);
    int rc = make_parents(top, inner);
    if (rc == 0)
        rc = sync_parents(top, inner);
    int fd = rc ? rc : openat(top, prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0 && fd < 0)
        fd = -errno;
    close(top);
    return fd;
}

/* Takes away what killed processes left in .tmp: nothing is being written there for a day. */
static int sweep_tmp(int tmp)
{
    int fd = openat(tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    time_t now = time(NULL);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct stat st;
        if (!strncmp(e->d_name, "put-", 4) && fstatat(fd, e->d_name, &st, 0) == 0 && st.st_mtime + 86400 < now)
            (void)unlinkat(fd, e->d_name, 0); /* only room is lost when it stays */
    }
    closedir(dir);
    return 0;
}

int dir_open(const char *path, const char *prefix, struct objstore **out, struct errtext *err)
{
    if (!strncmp(prefix, DIR_TMP, strlen(DIR_TMP)) && (prefix[strlen(DIR_TMP)] == 0 || prefix[strlen(DIR_TMP)] == '/'))
        return errtext_set(err, -EINVAL, "store option prefix: the name " DIR_TMP " is reserved in a dir store");
    struct dir_store *d = calloc(1, sizeof(*d));
    char *name = strdup(path);
    if (!d || !name) {
        free(d);
        free(name);
        return errtext_set(err, -ENOMEM, "store directory %s: no memory", path);
    }
    d->base.ops = &dir_ops;
    d->path = name;
    d->tmp = -1;
    d->root = open_root(path, prefix);
    if (d->root >= 0)
        d->tmp = make_and_open(d->root, DIR_TMP, ".");
    int rc = d->root < 0 ? d->root : d->tmp < 0 ? d->tmp : sweep_tmp(d->tmp);
    if (rc) {
        dir_close(&d->base);
        return errtext_set(err, rc == -EACCES ? rc : -EIO,
                           "store option path: can't use directory %s: %s (its parent must exist and be writable)",
                           path, strerror(-rc));
    }
    *out = &d->base;
    return 0;
}
