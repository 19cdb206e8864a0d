/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store.c: see store.h. The linker puts __wrap_objstore_open in the place of objstore_open. */
#include "tests/twins/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM 2000
#define NAME_ROOM 800

int __real_objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err);
int __wrap_objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err);

static const struct objstore_ops *real; /* of the store below; all are of one type */
static struct objstore_ops ours;        /* the same, but for put and list */

static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static enum store_hook hook;
static const char *hook_part;
static unsigned hook_left;
static atomic_uint late_serial, list_serial;

static void side_path(char path[PATH_ROOM], const char *name)
{
    (void)snprintf(path, PATH_ROOM, "%s/%s", getenv("TWINS_SIDE"), name);
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    _exit(4);
}

void store_hook(enum store_hook what, const char *part, unsigned nth)
{
    (void)pthread_mutex_lock(&hook_lock);
    hook = what;
    hook_part = part;
    hook_left = nth;
    (void)pthread_mutex_unlock(&hook_lock);
}

static enum store_hook hook_of(const char *key)
{
    enum store_hook h = HOOK_NONE;
    (void)pthread_mutex_lock(&hook_lock);
    if (hook != HOOK_NONE && strstr(key, hook_part) && --hook_left == 0) {
        h = hook;
        hook = HOOK_NONE;
    }
    (void)pthread_mutex_unlock(&hook_lock);
    return h;
}

/* The whole of what a put sends; the caller frees it. */
static uint8_t *content(const struct obj_source *src)
{
    uint8_t *b = malloc(src->len + 1);
    if (!b)
        give_up("put");
    if (src->mem)
        memcpy(b, src->mem, src->len);
    for (uint64_t at = 0; !src->mem && at < src->len;) {
        ssize_t n = pread(src->fd, b + at, src->len - at, (off_t)(src->offset + at));
        if (n <= 0)
            give_up("put: its file");
        at += (uint64_t)n;
    }
    return b;
}

static void key_name(char name[NAME_ROOM], const char *key)
{
    (void)snprintf(name, NAME_ROOM, "keys/%s", key);
    for (char *p = name + 5; *p; p++)
        if (*p == '/')
            *p = ',';
}

/* Remembers, over all processes and over deletions, what a key was first put with: I2. */
static void watch(const char *key, const uint8_t *b, uint64_t len)
{
    char name[NAME_ROOM], path[PATH_ROOM], tmp[PATH_ROOM + 64], now[64], was[64] = "";
    uint64_t h = 14695981039346656037u;
    for (uint64_t i = 0; i < len; i++)
        h = (h ^ b[i]) * 1099511628211u;
    (void)snprintf(now, sizeof(now), "%016llx %llu", (unsigned long long)h, (unsigned long long)len);
    key_name(name, key);
    side_path(path, name);
    (void)snprintf(tmp, sizeof(tmp), "%s.%ld.%ld", path, (long)getpid(), (long)gettid());
    FILE *f = fopen(tmp, "we");
    if (!f || fputs(now, f) < 0 || fclose(f))
        give_up(tmp);
    bool first = link(tmp, path) == 0;
    (void)unlink(tmp);
    if (first)
        return;
    f = fopen(path, "re");
    if (!f || !fgets(was, sizeof(was), f))
        give_up(path);
    (void)fclose(f);
    if (!strcmp(was, now))
        return;
    side_path(path, "twice");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)snprintf(tmp, sizeof(tmp), "%s\n", key);
    if (fd < 0 || write(fd, tmp, strlen(tmp)) < 0 || close(fd))
        give_up(path);
}

static int put_watched(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                       struct errtext *err)
{
    uint8_t *b = content(src);
    watch(key, b, src->len);
    free(b);
    int rc = real->put(s, key, src, c, err);
    if (rc == -EEXIST && getenv("TWINS_OVERWRITES")) {
        (void)real->del(s, &key, 1, NULL, err);
        rc = real->put(s, key, src, c, err);
    }
    return rc;
}

/* Unless the referee stopped it elsewhere, and let it go on. */
static void stop(void)
{
    char path[PATH_ROOM];
    side_path(path, "go-on");
    if (access(path, F_OK))
        (void)raise(SIGSTOP);
}

static void keep_late(const char *key, const struct obj_source *src)
{
    char name[64], path[PATH_ROOM], tmp[PATH_ROOM];
    uint8_t *b = content(src);
    (void)snprintf(name, sizeof(name), "late-%ld-%u", (long)getpid(), atomic_fetch_add(&late_serial, 1));
    side_path(tmp, name);
    FILE *f = fopen(tmp, "we");
    if (!f || fprintf(f, "%s\n", key) < 0 || fwrite(b, 1, src->len, f) != src->len || fclose(f))
        give_up(tmp);
    free(b);
    (void)snprintf(path, sizeof(path), "%s/late/%s", getenv("TWINS_SIDE"), name);
    if (rename(tmp, path))
        give_up(path);
}

static int put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
               struct errtext *err)
{
    enum store_hook h = hook_of(key);
    if (h == HOOK_STOP_BEFORE)
        stop();
    if (h == HOOK_LATE)
        keep_late(key, src);
    int rc = h == HOOK_LATE ? 0 : put_watched(s, key, src, c, err);
    if (h == HOOK_STOP_AFTER)
        stop();
    if (h == HOOK_LATE || h == HOOK_NO_ANSWER)
        return errtext_set(err, -EIO, "put %s: the connection broke before the answer", key);
    return rc;
}

static void dawdle(void)
{
    const char *most = getenv("TWINS_LIST_MS");
    uint64_t us = most ? strtoull(most, NULL, 10) * 1000 : 0;
    uint64_t x = (atomic_fetch_add(&list_serial, 1) + 1 + ((uint64_t)getpid() << 20)) * 0x9E3779B97F4A7C15u;
    if (us)
        (void)usleep((useconds_t)((x >> 20) % us));
}

/* The answer is what the bucket was, and comes later. */
struct answer {
    obj_list_fn fn;
    void *arg;
    struct listed {
        char key[768];
        uint64_t size;
        bool is_prefix;
    } * e;
    size_t n, room;
};

static int take_entry(void *arg, const struct obj_entry *e)
{
    struct answer *a = arg;
    if (a->n == a->room) {
        a->room = a->room ? 2 * a->room : 16;
        a->e = realloc(a->e, a->room * sizeof(*a->e));
        if (!a->e)
            give_up("list");
    }
    struct listed *l = &a->e[a->n++];
    (void)snprintf(l->key, sizeof(l->key), "%s", e->key);
    l->size = e->size;
    l->is_prefix = e->is_prefix;
    return 0;
}

static int list(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn, void *arg,
                const struct obj_call *c, struct errtext *err)
{
    struct answer a = {.fn = fn, .arg = arg};
    dawdle();
    int rc = real->list(s, prefix, start_after, slash, take_entry, &a, c, err);
    dawdle();
    for (size_t i = 0; !rc && i < a.n; i++) {
        struct obj_entry e = {.key = a.e[i].key, .size = a.e[i].size, .is_prefix = a.e[i].is_prefix};
        rc = fn(arg, &e);
    }
    free(a.e);
    return rc;
}

int __wrap_objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err)
{
    int rc = __real_objstore_open(cfg, out, err);
    if (rc || !getenv("TWINS_SIDE"))
        return rc;
    if (!real) {
        real = (*out)->ops;
        ours = *real;
        ours.put = put;
        ours.list = list;
    }
    (*out)->ops = &ours;
    return 0;
}

static void land(struct objstore *s, const char *path)
{
    char key[800] = "";
    struct errtext err = {""};
    FILE *f = fopen(path, "re");
    if (!f || !fgets(key, sizeof(key), f))
        give_up(path);
    uint64_t begin = strlen(key);
    key[begin - 1] = '\0';
    (void)fseek(f, 0, SEEK_END);
    struct obj_source src = {.fd = fileno(f), .offset = begin, .len = (uint64_t)ftell(f) - begin};
    (void)put_watched(s, key, &src, NULL, &err); /* nobody hears the answer */
    (void)fclose(f);
    (void)unlink(path);
}

unsigned store_land_late(struct objstore *s)
{
    char path[PATH_ROOM];
    unsigned n = 0;
    side_path(path, "late");
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        char file[PATH_ROOM + 300];
        (void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        land(s, file);
        n++;
    }
    if (d)
        (void)closedir(d);
    return n;
}
