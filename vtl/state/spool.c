/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spool.c: the segment files on the local disk: spool of what is not stored yet, cache of what is. */
#include "vtl/state/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/format/barcode.h"

#define BUCKETS 1024

struct file {
    struct file *next;
    char barcode[33];
    struct seg_id id;
    uint64_t size;
    uint64_t used_at; /* spool->clock of the last use */
    bool keep;        /* the only copy */
    bool unnamed;     /* cache, but no head names its object yet: it goes last */
};

struct spool {
    char *dir;
    uint64_t cache_size;
    struct lock lock; /* guards what follows */
    struct file *bucket[BUCKETS];
    uint64_t cache_bytes, clock;
    uint64_t unnamed_bytes; /* of cache_bytes */
    uint64_t unnamed_most;  /* so many of these do not count against cache_size */
};

static unsigned hash(const char *barcode, const struct seg_id *id)
{
    uint64_t h = id->number * 0x9E3779B97F4A7C15u ^ ((uint64_t)id->writer << 20) ^ id->epoch;
    for (; *barcode; barcode++)
        h = (h ^ (unsigned char)*barcode) * 0x100000001B3u;
    return (unsigned)(h >> 40) % BUCKETS;
}

static struct file **find(struct spool *s, const char *barcode, const struct seg_id *id)
{
    lock_assert_held(&s->lock);
    struct file **f = &s->bucket[hash(barcode, id)];
    while (*f && (strcmp((*f)->barcode, barcode) || seg_id_compare(&(*f)->id, id)))
        f = &(*f)->next;
    return f;
}

/* NULL when out of memory. A new one counts as the only copy until told otherwise. */
static struct file *find_or_add(struct spool *s, const char *barcode, const struct seg_id *id)
{
    struct file **f = find(s, barcode, id);
    if (!*f && (*f = calloc(1, sizeof(**f)))) {
        (void)snprintf((*f)->barcode, sizeof((*f)->barcode), "%s", barcode);
        (*f)->id = *id;
        (*f)->keep = true;
    }
    return *f;
}

static void path_of(const struct spool *s, const char *barcode, const struct seg_id *id, const char *suffix, char *buf,
                    size_t room)
{
    char name[SEG_NAME_SIZE];
    seg_id_format(id, name);
    (void)snprintf(buf, room, "%s/%s/%s%s", s->dir, barcode, name, suffix);
}

#define PATH_SIZE 4200

/* It no longer counts as cache. */
static void uncount(struct spool *s, struct file *f)
{
    lock_assert_held(&s->lock);
    INVARIANT(f->keep || s->cache_bytes >= f->size);
    INVARIANT(!f->unnamed || (!f->keep && s->unnamed_bytes >= f->size));
    s->cache_bytes -= f->keep ? 0 : f->size;
    s->unnamed_bytes -= f->unnamed ? f->size : 0;
}

static void set_cached(struct spool *s, struct file *f, uint64_t size, bool unnamed)
{
    uncount(s, f);
    f->keep = false;
    f->unnamed = unnamed;
    f->size = size;
    f->used_at = ++s->clock;
    s->cache_bytes += size;
    s->unnamed_bytes += unnamed ? size : 0;
}

static void forget(struct spool *s, struct file **f)
{
    struct file *old = *f;
    uncount(s, old);
    *f = old->next;
    free(old);
}

/* The next start finds what stays, and tries again. */
static void unlink_file(const char *path)
{
    if (unlink(path) && errno != ENOENT)
        log_warn("%s cannot be removed: %s", path, strerror(errno));
}

/* Removes the least recently used cached file: of those that a head names, or of the others. False when there is none. */
static bool evict_one(struct spool *s, bool unnamed, uint64_t *freed)
{
    lock_assert_held(&s->lock);
    struct file **oldest = NULL;
    uint64_t sum = 0;
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct file **f = &s->bucket[b]; *f; f = &(*f)->next) {
            sum += (*f)->keep ? 0 : (*f)->size;
            if (!(*f)->keep && (*f)->unnamed == unnamed && (!oldest || (*f)->used_at < (*oldest)->used_at))
                oldest = f;
        }
    INVARIANT(sum == s->cache_bytes);
    if (!oldest)
        return false;
    char path[PATH_SIZE];
    path_of(s, (*oldest)->barcode, &(*oldest)->id, "", path, sizeof(path));
    unlink_file(path);
    *freed += (*oldest)->size;
    forget(s, oldest);
    return true;
}

static uint64_t counted(const struct spool *s)
{
    return s->cache_bytes - (s->unnamed_bytes < s->unnamed_most ? s->unnamed_bytes : s->unnamed_most);
}

static void evict(struct spool *s)
{
    uint64_t freed = 0;
    while (counted(s) > s->cache_size && (evict_one(s, false, &freed) || evict_one(s, true, &freed)))
        ;
}

/* ---- taking stock ---- */

/* What name is, or leads to as a link; st_mode 0: nothing is there. */
static int look_at(int dir, const char *name, const char *path, struct stat *st, struct errtext *err)
{
    if (!fstatat(dir, name, st, 0))
        return 0;
    st->st_mode = 0;
    return errno == ENOENT || errno == ELOOP ? 0 : errtext_set(err, -errno, "%s/%s: %s", path, name, strerror(errno));
}

static void pass_over(const char *path, const char *name)
{
    log_warn("%s/%s is not the library's: it is left as it is", path, name);
}

/* The next entry but "." and ".."; NULL at the end, or on an error with *rc and *err. */
static const char *next_name(DIR *d, const char *path, int *rc, struct errtext *err)
{
    struct dirent *e;
    do {
        errno = 0;
        e = readdir(d);
    } while (e && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")));
    if (!e && errno)
        *rc = errtext_set(err, -errno, "%s: %s", path, strerror(errno));
    return e ? e->d_name : NULL;
}

/* Is name that of a segment with this at its end? */
static bool is_segment(const char *name, const char *suffix, struct seg_id *id)
{
    char stem[SEG_NAME_SIZE];
    size_t n = strlen(name), end = strlen(suffix);
    if (n < end || n - end >= sizeof(stem) || strcmp(name + n - end, suffix) != 0)
        return false;
    (void)snprintf(stem, sizeof(stem), "%.*s", (int)(n - end), name);
    return seg_id_parse(stem, id);
}

static int take_file(struct spool *s, int dir, const char *path, const char *barcode, const char *name,
                     struct errtext *err)
{
    struct seg_id id;
    struct stat st;
    int rc = look_at(dir, name, path, &st, err);
    if (rc)
        return rc;
    if (S_ISREG(st.st_mode) && is_segment(name, ".part", &id)) /* an unfinished download */
        return unlinkat(dir, name, 0) ? errtext_set(err, -errno, "%s/%s: %s", path, name, strerror(errno)) : 0;
    if (S_ISREG(st.st_mode) && is_segment(name, ".bad", &id))
        return 0;
    if (!S_ISREG(st.st_mode) || !is_segment(name, "", &id)) {
        pass_over(path, name);
        return 0;
    }
    struct file *f = find_or_add(s, barcode, &id);
    if (!f)
        return errtext_set(err, -ENOMEM, "%s/%s: out of memory", path, name);
    f->size = (uint64_t)st.st_size;
    return 0;
}

static int scan_cartridge(struct spool *s, const char *barcode, struct errtext *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, barcode);
    DIR *d = opendir(path);
    if (!d)
        return errtext_set(err, -errno, "%s: %s", path, strerror(errno));
    int rc = 0;
    for (const char *name; !rc && (name = next_name(d, path, &rc, err));)
        rc = take_file(s, dirfd(d), path, barcode, name, err);
    closedir(d);
    return rc;
}

/* Ours are the directories that have a barcode's name. Anything else may be there too (lost+found, where the spool is a
 * file system of its own). */
static int scan(struct spool *s, struct errtext *err)
{
    DIR *d = opendir(s->dir);
    if (!d)
        return errtext_set(err, -errno, "%s: %s", s->dir, strerror(errno));
    int rc = 0;
    for (const char *name; !rc && (name = next_name(d, s->dir, &rc, err));) {
        struct stat st = {0};
        if (barcode_ok(name))
            rc = look_at(dirfd(d), name, s->dir, &st, err);
        if (!rc && S_ISDIR(st.st_mode))
            rc = scan_cartridge(s, name, err);
        else if (!rc)
            pass_over(s->dir, name);
    }
    closedir(d);
    return rc;
}

int spool_open(const char *dir, uint64_t cache_size, struct spool **out, struct errtext *err)
{
    *out = NULL;
    if (mkdir(dir, 0700) && errno != EEXIST)
        return errtext_set(err, -errno, "%s: %s", dir, strerror(errno));
    struct spool *s = calloc(1, sizeof(*s));
    if (!s || !(s->dir = strdup(dir))) {
        free(s);
        return errtext_set(err, -ENOMEM, "%s: out of memory", dir);
    }
    s->cache_size = cache_size;
    lock_init(&s->lock, LOCK_SPOOL);
    lock_take(&s->lock);
    int rc = scan(s, err);
    lock_release(&s->lock);
    if (rc) {
        spool_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void spool_set_cache_size(struct spool *s, uint64_t cache_size)
{
    lock_take(&s->lock);
    s->cache_size = cache_size;
    evict(s);
    lock_release(&s->lock);
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    lock_take(&s->lock);
    for (unsigned b = 0; b < BUCKETS; b++)
        while (s->bucket[b])
            forget(s, &s->bucket[b]);
    INVARIANT(!s->cache_bytes);
    lock_release(&s->lock);
    lock_fini(&s->lock);
    free(s->dir);
    free(s);
}

/* Makes the entry of a file or directory safe. */
static int sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) ? -errno : 0;
    close(fd);
    return rc;
}

/* Its entry is safe, too: one that is there already may be a download's of this moment, or of a process that was killed
 * before it could sync it. */
static int make_dir(struct spool *s, const char *barcode, char *path, size_t room)
{
    (void)snprintf(path, room, "%s/%s", s->dir, barcode);
    if (mkdir(path, 0700) && errno != EEXIST)
        return -errno;
    return sync_dir(s->dir);
}

int spool_create(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE], dir[PATH_SIZE];
    int rc = make_dir(s, barcode, dir, sizeof(dir));
    if (rc)
        return rc;
    path_of(s, barcode, id, "", path, sizeof(path));
    lock_take(&s->lock); /* there is no file of ours that spool_download_end does not know of */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    rc = fd < 0 ? -errno : find_or_add(s, barcode, id) ? 0 : -ENOMEM;
    lock_release(&s->lock);
    if (fd < 0)
        return rc;
    if (!rc)
        rc = sync_dir(dir);
    if (rc) {
        close(fd);
        spool_remove(s, barcode, id);
        return rc;
    }
    return fd;
}

static int open_existing(struct spool *s, const char *barcode, const struct seg_id *id, int flags)
{
    char path[PATH_SIZE];
    path_of(s, barcode, id, "", path, sizeof(path));
    lock_take(&s->lock);
    struct file *f = *find(s, barcode, id);
    int fd = -ENOENT;
    if (f) {
        f->used_at = ++s->clock;
        fd = open(path, flags | O_CLOEXEC);
        fd = fd < 0 ? -errno : fd;
    }
    lock_release(&s->lock);
    return fd;
}

int spool_read(struct spool *s, const char *barcode, const struct seg_id *id)
{
    return open_existing(s, barcode, id, O_RDONLY);
}

int spool_reopen(struct spool *s, const char *barcode, const struct seg_id *id)
{
    return open_existing(s, barcode, id, O_RDWR);
}

bool spool_has(struct spool *s, const char *barcode, const struct seg_id *id)
{
    lock_take(&s->lock);
    bool there = *find(s, barcode, id) != NULL;
    lock_release(&s->lock);
    return there;
}

void spool_mark_stored(struct spool *s, bool (*fn)(void *arg, const char *barcode, const struct seg_id *id), void *arg)
{
    lock_take(&s->lock);
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct file *f = s->bucket[b]; f; f = f->next)
            if (f->keep && fn(arg, f->barcode, &f->id))
                set_cached(s, f, f->size, false);
    evict(s);
    lock_release(&s->lock);
}

static int sync_dir_of(const struct spool *s, const char *barcode)
{
    char dir[PATH_SIZE];
    (void)snprintf(dir, sizeof(dir), "%s/%s", s->dir, barcode);
    return sync_dir(dir);
}

int spool_name_bad(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE], bad[PATH_SIZE];
    path_of(s, barcode, id, "", path, sizeof(path));
    path_of(s, barcode, id, ".bad", bad, sizeof(bad));
    if (!link(path, bad) || (errno == EEXIST && !unlink(bad) && !link(path, bad)))
        return sync_dir_of(s, barcode);
    bool has_links = errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS;
    return errno == ENOENT || !has_links ? 0 : -errno;
}

int spool_unname_bad(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE], bad[PATH_SIZE];
    struct stat one, other;
    path_of(s, barcode, id, "", path, sizeof(path));
    path_of(s, barcode, id, ".bad", bad, sizeof(bad));
    if (!stat(path, &one) && !stat(bad, &other) && one.st_ino == other.st_ino)
        (void)unlink(bad);
    return 0;
}

int spool_set_aside(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE], bad[PATH_SIZE];
    path_of(s, barcode, id, "", path, sizeof(path));
    path_of(s, barcode, id, ".bad", bad, sizeof(bad));
    lock_take(&s->lock);
    int rc = rename(path, bad) ? -errno : 0;
    struct file **f = find(s, barcode, id);
    if (!rc)
        unlink_file(path); /* rename leaves both names, if they are the same file's */
    if (*f && (!rc || rc == -ENOENT))
        forget(s, f);
    lock_release(&s->lock);
    return rc ? (rc == -ENOENT ? 0 : rc) : sync_dir_of(s, barcode);
}

/* In a file of its own: to may be a link of from. */
static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return -errno;
    int gone = unlink(to) && errno != ENOENT ? -errno : 0;
    int out = gone ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = gone ? gone : out < 0 ? -errno : 0;
    ssize_t n = rc ? 0 : 1;
    while (n > 0)
        n = sendfile(out, in, NULL, 1 << 30);
    if (!rc && (n < 0 || fsync(out)))
        rc = -errno;
    close(in);
    if (out >= 0)
        close(out);
    return rc;
}

int spool_keep_copy(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE], bad[PATH_SIZE];
    path_of(s, barcode, id, "", path, sizeof(path));
    path_of(s, barcode, id, ".bad", bad, sizeof(bad));
    int rc = copy_file(path, bad);
    return rc ? rc : sync_dir_of(s, barcode);
}

static void stored(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size, bool unnamed)
{
    lock_assert_held(&s->lock);
    struct file *f = *find(s, barcode, id);
    if (f)
        set_cached(s, f, size, unnamed);
    evict(s);
}

void spool_stored(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size)
{
    lock_take(&s->lock);
    stored(s, barcode, id, size, false);
    lock_release(&s->lock);
}

void spool_stored_unnamed(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size, uint64_t most)
{
    lock_take(&s->lock);
    s->unnamed_most = most;
    stored(s, barcode, id, size, true);
    lock_release(&s->lock);
}

void spool_named(struct spool *s, const char *barcode, bool (*but)(void *arg, const struct seg_id *id), void *arg)
{
    lock_take(&s->lock);
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct file *f = s->bucket[b]; f; f = f->next)
            if (f->unnamed && !strcmp(f->barcode, barcode) && !but(arg, &f->id))
                set_cached(s, f, f->size, false);
    evict(s);
    lock_release(&s->lock);
}

void spool_remove(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE];
    path_of(s, barcode, id, "", path, sizeof(path));
    lock_take(&s->lock);
    struct file **f = find(s, barcode, id);
    if (*f)
        forget(s, f);
    unlink_file(path);
    lock_release(&s->lock);
}

void spool_drop_cached(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE];
    path_of(s, barcode, id, "", path, sizeof(path));
    lock_take(&s->lock);
    struct file **f = find(s, barcode, id);
    if (*f && !(*f)->keep) {
        forget(s, f);
        unlink_file(path);
    }
    lock_release(&s->lock);
}

void spool_drop_strays(struct spool *s, const char *barcode, uint64_t next,
                       bool (*fn)(void *arg, const struct seg_id *id), void *arg)
{
    char path[PATH_SIZE];
    unsigned gone = 0;
    lock_take(&s->lock);
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct file **f = &s->bucket[b]; *f;) {
            bool stray = (*f)->keep && !strcmp((*f)->barcode, barcode) && !fn(arg, &(*f)->id);
            bool newer = (*f)->id.number >= next && (*f)->size > SEG_HEADER_SIZE;
            path_of(s, barcode, &(*f)->id, "", path, sizeof(path));
            if (stray && !newer) {
                unlink_file(path);
                forget(s, f);
                gone++;
                continue;
            }
            if (stray)
                log_warn("%s: no row of the state names it, and it is newer than the state: it is left as it is", path);
            f = &(*f)->next;
        }
    lock_release(&s->lock);
    if (gone)
        log_notice("%s: %u files in the spool that no row of the state names any more are removed", barcode, gone);
}

void spool_remove_all(struct spool *s, const char *barcode)
{
    char path[PATH_SIZE];
    lock_take(&s->lock);
    for (unsigned b = 0; b < BUCKETS; b++)
        for (struct file **f = &s->bucket[b]; *f;) {
            if (strcmp((*f)->barcode, barcode)) {
                f = &(*f)->next;
                continue;
            }
            path_of(s, barcode, &(*f)->id, "", path, sizeof(path));
            unlink_file(path);
            forget(s, f);
        }
    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, barcode);
    (void)rmdir(path);
    lock_release(&s->lock);
}

int spool_download(struct spool *s, const char *barcode, const struct seg_id *id)
{
    char path[PATH_SIZE];
    int rc = make_dir(s, barcode, path, sizeof(path));
    if (rc)
        return rc;
    path_of(s, barcode, id, ".part", path, sizeof(path));
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int spool_download_end(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size, bool good)
{
    char part[PATH_SIZE], path[PATH_SIZE];
    path_of(s, barcode, id, ".part", part, sizeof(part));
    path_of(s, barcode, id, "", path, sizeof(path));
    if (!good)
        return unlink(part) ? -errno : 0;
    lock_take(&s->lock);
    struct file *f = *find(s, barcode, id);
    bool only_copy = f && f->keep;
    int rc = only_copy ? -EEXIST : rename(part, path) ? -errno : 0;
    f = rc ? NULL : find_or_add(s, barcode, id);
    if (only_copy)
        unlink_file(part);
    else if (f)
        set_cached(s, f, size, false);
    else if (!rc)
        rc = unlink(path) ? -errno : -ENOMEM;
    evict(s);
    lock_release(&s->lock);
    return rc;
}

uint64_t spool_shrink(struct spool *s, uint64_t bytes, bool unnamed)
{
    uint64_t freed = 0;
    lock_take(&s->lock);
    while (freed < bytes && (evict_one(s, false, &freed) || (unnamed && evict_one(s, true, &freed))))
        ;
    lock_release(&s->lock);
    return freed;
}

uint64_t spool_cache_bytes(struct spool *s)
{
    lock_take(&s->lock);
    uint64_t n = s->cache_bytes;
    lock_release(&s->lock);
    return n;
}
