/* SPDX-License-Identifier: GPL-2.0-or-later */
/* disk.c: see disk.h. */
#include "tests/crash/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct change { /* of content, not synced yet */
    bool truncate;
    uint64_t offset, len;
    const uint8_t *data;
};

struct content {
    uint8_t *data;
    size_t size, room;
};

struct inode {
    uint64_t number; /* the recorded one; the newest inode with it counts */
    bool dir;
    struct content now, safe;
    struct change *changes;
    size_t n_changes, room_changes;
};

struct name {
    char *path;
    size_t inode; /* index */
};

struct names {
    struct name *v;
    size_t n, room;
};

struct rename { /* a change of names that is not safe yet: from goes, to comes; either may be NULL */
    char *from, *to;
    size_t inode;
};

struct disk {
    const uint8_t *log;
    size_t size, at;
    struct inode *inodes;
    size_t n_inodes, room_inodes;
    struct names now, safe;
    struct rename *renames;
    size_t n_renames, room_renames;
};

/* One more element in a growing array; the test ends when there is no memory. */
#define GROW(v, n, room)                                                                                               \
    do {                                                                                                               \
        if ((n) == (room)) {                                                                                           \
            (room) = (room) ? (room)*2 : 16;                                                                           \
            (v) = realloc((v), (room) * sizeof(*(v)));                                                                 \
            if (!(v))                                                                                                  \
                abort();                                                                                               \
        }                                                                                                              \
    } while (0)

struct disk *disk_open(const char *log)
{
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct disk *d = calloc(1, sizeof(*d));
    if (!d || fd < 0 || fstat(fd, &st)) {
        perror(log);
        free(d);
        return NULL;
    }
    d->size = (size_t)st.st_size;
    d->log = mmap(NULL, d->size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (d->log == MAP_FAILED) {
        perror(log);
        free(d);
        return NULL;
    }
    return d;
}

static void names_free(struct names *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->v[i].path);
    free(m->v);
}

void disk_close(struct disk *d)
{
    for (size_t i = 0; i < d->n_inodes; i++) {
        free(d->inodes[i].now.data);
        free(d->inodes[i].safe.data);
        free(d->inodes[i].changes);
    }
    free(d->inodes);
    names_free(&d->now);
    names_free(&d->safe);
    for (size_t i = 0; i < d->n_renames; i++) {
        free(d->renames[i].from);
        free(d->renames[i].to);
    }
    free(d->renames);
    munmap((void *)d->log, d->size);
    free(d);
}

/* ---- content ---- */

static void set_size(struct content *c, size_t size)
{
    if (size > c->room) {
        c->room = size * 2;
        c->data = realloc(c->data, c->room);
        if (!c->data)
            abort();
    }
    if (size > c->size)
        memset(c->data + c->size, 0, size - c->size);
    c->size = size;
}

static void apply(struct content *c, const struct change *ch, uint64_t len)
{
    if (ch->truncate) {
        set_size(c, ch->offset);
        return;
    }
    if (ch->offset + len > c->size)
        set_size(c, ch->offset + len);
    if (len)
        memcpy(c->data + ch->offset, ch->data, len);
}

static void change(struct inode *f, struct change ch)
{
    apply(&f->now, &ch, ch.len);
    GROW(f->changes, f->n_changes, f->room_changes);
    f->changes[f->n_changes++] = ch;
}

static void sync_inode(struct inode *f)
{
    for (size_t i = 0; i < f->n_changes; i++)
        apply(&f->safe, &f->changes[i], f->changes[i].len);
    f->n_changes = 0;
}

static struct inode *find_inode(struct disk *d, uint64_t number)
{
    for (size_t i = d->n_inodes; i--;)
        if (d->inodes[i].number == number)
            return &d->inodes[i];
    return NULL;
}

/* ---- names ---- */

static size_t find_name(const struct names *m, const char *path)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->v[i].path, path))
            return i;
    return SIZE_MAX;
}

static void remove_name(struct names *m, const char *path)
{
    size_t i = find_name(m, path);
    if (i == SIZE_MAX)
        return;
    free(m->v[i].path);
    m->v[i] = m->v[--m->n];
}

static void set_name(struct names *m, const char *path, size_t inode)
{
    remove_name(m, path);
    GROW(m->v, m->n, m->room);
    m->v[m->n++] = (struct name){strdup(path), inode};
}

static void apply_rename(struct names *m, const struct rename *r)
{
    if (r->from)
        remove_name(m, r->from);
    if (r->to)
        set_name(m, r->to, r->inode);
}

static void names_change(struct disk *d, const char *from, const char *to, size_t inode)
{
    struct rename r = {from ? strdup(from) : NULL, to ? strdup(to) : NULL, inode};
    apply_rename(&d->now, &r);
    GROW(d->renames, d->n_renames, d->room_renames);
    d->renames[d->n_renames++] = r;
}

static bool is_in(const char *path, const char *dir)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    size_t n = slash ? (size_t)(slash - path) : 0;
    return path && n == strlen(dir) && !strncmp(path, dir, n);
}

static void sync_dir(struct disk *d, const char *dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n_renames; i++) {
        struct rename *r = &d->renames[i];
        if (!is_in(r->to, dir) && !(is_in(r->from, dir) && !r->to)) {
            d->renames[kept++] = *r;
            continue;
        }
        apply_rename(&d->safe, r);
        free(r->from);
        free(r->to);
    }
    d->n_renames = kept;
}

static size_t new_inode(struct disk *d, uint64_t number, bool dir)
{
    GROW(d->inodes, d->n_inodes, d->room_inodes);
    d->inodes[d->n_inodes] = (struct inode){.number = number, .dir = dir};
    return d->n_inodes++;
}

/* ---- the log ---- */

static void happen(struct disk *d, const struct record *r, const char *path, const char *to, const uint8_t *data)
{
    struct inode *f = NULL;
    switch ((enum record_type)r->type) {
    case RECORD_CREATE:
        names_change(d, NULL, path, new_inode(d, r->inode, false));
        break;
    case RECORD_MKDIR:
        names_change(d, NULL, path, new_inode(d, 0, true));
        break;
    case RECORD_WRITE:
        if ((f = find_inode(d, r->inode)))
            change(f, (struct change){false, r->offset, r->data_len, data});
        break;
    case RECORD_TRUNCATE:
        if ((f = find_inode(d, r->inode)))
            change(f, (struct change){true, r->offset, 0, NULL});
        break;
    case RECORD_SYNC:
        if ((f = find_inode(d, r->inode)))
            sync_inode(f);
        break;
    case RECORD_SYNC_DIR:
        sync_dir(d, path);
        break;
    case RECORD_RENAME: {
        size_t i = find_name(&d->now, path);
        if (i != SIZE_MAX)
            names_change(d, path, to, d->now.v[i].inode);
        break;
    }
    case RECORD_UNLINK:
        names_change(d, path, NULL, 0);
        break;
    case RECORD_MARK:
        break;
    }
}

bool disk_step(struct disk *d, struct record *r, const uint8_t **data)
{
    if (d->size - d->at < sizeof(*r))
        return false;
    memcpy(r, d->log + d->at, sizeof(*r));
    uint64_t rest = r->path_len + r->to_len + r->data_len;
    if (r->magic != RECORD_MAGIC || d->size - d->at - sizeof(*r) < rest)
        return false;
    const char *text = (const char *)d->log + d->at + sizeof(*r);
    char *path = strndup(text, r->path_len), *to = strndup(text + r->path_len, r->to_len);
    *data = (const uint8_t *)text + r->path_len + r->to_len;
    d->at += sizeof(*r) + rest;
    happen(d, r, path, to, *data);
    free(path);
    free(to);
    return true;
}

/* ---- images ---- */

static uint64_t random_of(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static int write_file(const char *path, const struct content *c)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t done = 0;
    while (fd >= 0 && done < c->size) {
        ssize_t n = write(fd, c->data + done, c->size - done);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (fd < 0 || done < c->size || close(fd)) {
        perror(path);
        return -1;
    }
    return 0;
}

/* Any of the changes since the last sync, one of them in part. */
static void some_changes(const struct inode *f, uint64_t *x, struct content *out)
{
    set_size(out, f->safe.size);
    if (f->safe.size)
        memcpy(out->data, f->safe.data, f->safe.size);
    uint64_t odds = random_of(x) % 5; /* of 4: from none to all */
    for (size_t i = 0; i < f->n_changes; i++) {
        uint64_t len = f->changes[i].len;
        if (random_of(x) % 4 >= odds)
            continue;
        if (!(random_of(x) % 8))
            len = len / 512 ? random_of(x) % (len / 512) * 512 : 0;
        apply(out, &f->changes[i], len);
    }
}

static int write_inode(const struct inode *f, enum disk_crash how, uint64_t *x, const char *path)
{
    if (f->dir) {
        if (mkdir(path, 0700) && errno != EEXIST) {
            if (errno == ENOENT)
                return 0;
            perror(path);
            return -1;
        }
        return 0;
    }
    struct content some = {0};
    const struct content *c = how == CRASH_KILLED ? &f->now : &f->safe;
    if (how == CRASH_SOME) {
        some_changes(f, x, &some);
        c = &some;
    }
    int rc = write_file(path, c);
    free(some.data);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

/* A name whose directory is not there is not there. */
static bool has_parent(const struct names *m, const char *path)
{
    char parent[4096];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return true;
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    return find_name(m, parent) != SIZE_MAX && has_parent(m, parent);
}

int disk_image(const struct disk *d, enum disk_crash how, uint64_t seed, const char *always, const char *dir)
{
    const struct names *from = how == CRASH_KILLED ? &d->now : &d->safe;
    struct names m = {0};
    uint64_t x = seed * 0x9E3779B97F4A7C15u | 1;
    for (size_t i = 0; i < from->n; i++)
        if (!is_below(from->v[i].path, always))
            set_name(&m, from->v[i].path, from->v[i].inode);
    size_t first = how == CRASH_SOME ? random_of(&x) % (d->n_renames + 1) : 0;
    for (size_t i = 0; i < first; i++) {
        const struct rename *r = &d->renames[i];
        if (!is_below(r->to ? r->to : r->from, always))
            apply_rename(&m, r);
    }
    for (size_t i = 0; i < d->now.n; i++)
        if (is_below(d->now.v[i].path, always))
            set_name(&m, d->now.v[i].path, d->now.v[i].inode);
    qsort(m.v, m.n, sizeof(*m.v), by_path); /* a directory comes before what is in it */
    int rc = 0;
    for (size_t i = 0; !rc && i < m.n; i++) {
        char path[8192];
        if (!has_parent(&m, m.v[i].path))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, m.v[i].path);
        bool whole = is_below(m.v[i].path, always);
        rc = write_inode(&d->inodes[m.v[i].inode], whole ? CRASH_KILLED : how, &x, path);
    }
    names_free(&m);
    return rc;
}
