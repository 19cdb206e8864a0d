/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir_list.c: lists a dir store in byte order of the key.
 *
 * Byte order of keys is not the order of a walk by name: "a-b" < "a/c" < "a0", since '-' < '/' < '0'. Each directory's
 * entries are therefore sorted with the '/' that follows a directory's name in the key.
 */
#include "s3backend/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"

enum { MAX_PATH = 1024 };

struct walk {
    const struct dir_store *d;
    const char *prefix, *start_after;
    size_t prefix_len;
    bool slash;
    obj_list_fn fn;
    void *arg;
    const struct obj_call *call;
    int error; /* -errno of the walk itself, told apart from what fn returned */
};

struct names {
    char **v; /* a directory's with '/' at the end */
    size_t n, room;
};

static void names_free(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

static int names_add(struct names *l, const char *name, bool is_dir)
{
    if (l->n == l->room && !array_grow(&l->v, &l->room, sizeof(*l->v)))
        return -ENOMEM;
    size_t len = strlen(name);
    char *copy = malloc(len + 2);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, len);
    copy[len] = is_dir ? '/' : 0;
    copy[len + 1] = 0;
    l->v[l->n++] = copy;
    return 0;
}

static int in_byte_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum kind { KIND_NONE, KIND_FILE, KIND_DIR };

/* KIND_NONE: neither of them, or just deleted. 0 or a negative errno: a list without it would not be complete. */
static int kind_of(int dir, const struct dirent *e, enum kind *out)
{
    struct stat st;
    *out = e->d_type == DT_DIR ? KIND_DIR : e->d_type == DT_REG ? KIND_FILE : KIND_NONE;
    if (*out != KIND_NONE)
        return 0;
    if (fstatat(dir, e->d_name, &st, 0))
        return errno == ENOENT || errno == ELOOP ? 0 : -errno;
    *out = S_ISDIR(st.st_mode) ? KIND_DIR : S_ISREG(st.st_mode) ? KIND_FILE : KIND_NONE;
    return 0;
}

static bool hidden(const char *path, const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..") || (!*path && !strcmp(name, DIR_TMP));
}

/* The sorted names of directory path ("" or "a/b/"). A directory that a delete has just taken is empty. */
static int names_read(const struct walk *w, const char *path, struct names *l)
{
    int fd = openat(w->d->root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int rc = 0;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e) {
            rc = -errno;
            break;
        }
        enum kind kind = KIND_NONE;
        if (!hidden(path, e->d_name))
            rc = kind_of(fd, e, &kind);
        if (kind != KIND_NONE)
            rc = names_add(l, e->d_name, kind == KIND_DIR);
        if (rc)
            break;
    }
    closedir(dir);
    if (rc == 0 && l->n > 1)
        qsort(l->v, l->n, sizeof(*l->v), in_byte_order);
    return rc;
}

static int walk_dir(struct walk *w, const char *path);

static int stop_at_first(void *arg, const struct obj_entry *e)
{
    (void)arg;
    (void)e;
    return 1;
}

/* A common prefix is listed if a key after start_after is below it; an empty directory holds none. */
static int show_group(struct walk *w, const char *path)
{
    struct walk below = *w;
    below.slash = false;
    below.fn = stop_at_first;
    int found = walk_dir(&below, path);
    w->error = below.error;
    if (found <= 0)
        return found;
    return w->fn(w->arg, &(struct obj_entry){.key = path, .is_prefix = true});
}

static int show_file(struct walk *w, const char *key)
{
    struct stat st;
    if (w->start_after && strcmp(key, w->start_after) <= 0)
        return 0;
    if (fstatat(w->d->root, key, &st, 0))
        return errno == ENOENT || errno == ENOTDIR ? 0 : (w->error = -errno);
    return w->fn(w->arg, &(struct obj_entry){.key = key, .size = (uint64_t)st.st_size});
}

/* full: path and name of an entry of the directory that is walked. */
static int show(struct walk *w, const char *full)
{
    size_t len = strlen(full);
    bool is_dir = full[len - 1] == '/';
    if (strncmp(full, w->prefix, len < w->prefix_len ? len : w->prefix_len) != 0 || (!is_dir && len < w->prefix_len))
        return 0;
    if (!is_dir)
        return objstore_key_ok(full) ? show_file(w, full) : 0;
    if (w->start_after && strncmp(w->start_after, full, len) > 0)
        return 0; /* everything below comes before start_after */
    if (w->slash && len > w->prefix_len)
        return show_group(w, full);
    return walk_dir(w, full);
}

static int walk_dir(struct walk *w, const char *path)
{
    struct names l = {0};
    char full[MAX_PATH];
    size_t base = strlen(path);
    int rc = w->error = names_read(w, path, &l);
    memcpy(full, path, base);
    for (size_t i = 0; rc == 0 && i < l.n; i++) {
        size_t len = strlen(l.v[i]);
        if (obj_canceled(w->call))
            rc = w->error = -ECANCELED;
        else if (base + len < sizeof(full)) {
            memcpy(full + base, l.v[i], len + 1);
            rc = show(w, full);
        }
    }
    names_free(&l);
    return rc;
}

int dir_list(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn, void *arg,
             const struct obj_call *c, struct errtext *err)
{
    struct walk w = {.d = (const struct dir_store *)s,
                     .prefix = prefix,
                     .prefix_len = strlen(prefix),
                     .start_after = start_after,
                     .slash = slash,
                     .fn = fn,
                     .arg = arg,
                     .call = c};
    /* Begin in the deepest directory that the prefix names; none when it can't begin a key (nor leave the store). */
    char begin[MAX_PATH] = "";
    const char *cut = strrchr(prefix, '/');
    if (cut) {
        size_t n = (size_t)(cut - prefix);
        if (n + 2 > sizeof(begin))
            return 0;
        memcpy(begin, prefix, n);
        if (!objstore_key_ok(begin) || !strcmp(begin, DIR_TMP) || !strncmp(begin, DIR_TMP "/", strlen(DIR_TMP) + 1))
            return 0;
        begin[n] = '/';
    }
    int rc = walk_dir(&w, begin);
    if (w.error)
        return errtext_set(err, w.error == -ECANCELED ? w.error : -EIO, "list %s in %s: %s", prefix, w.d->path,
                           w.error == -ECANCELED ? "canceled" : strerror(-w.error));
    return rc;
}
