/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fetch.c: download threads that turn stored segments into cache files, the nearest to a reader first. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/cartridge/worker_private.h"

#define CANCEL_POLL_MS 100

void fetch_init(struct workers *w)
{
    lock_init(&w->fetch_lock, LOCK_FETCH);
    cond_init(&w->fetch_cond);
    cond_init(&w->fetch_moved);
}

void fetch_fini(struct workers *w)
{
    cond_fini(&w->fetch_cond);
    cond_fini(&w->fetch_moved);
    lock_fini(&w->fetch_lock);
}

void fetch_stop(struct workers *w)
{
    lock_take(&w->fetch_lock);
    for (size_t i = 0; i < FETCH_QUEUE; i++)
        atomic_store(&w->fetch[i].cancel, true);
    cond_broadcast(&w->fetch_cond);
    lock_release(&w->fetch_lock);
}

/* Whoever asked for it: there is one file of it, so one download. */
static struct fetch *find(struct workers *w, const char *barcode, const struct seg_id *id)
{
    for (size_t i = 0; i < FETCH_QUEUE; i++) {
        struct fetch *f = &w->fetch[i];
        if (f->c && !seg_id_compare(&f->ref.id, id) && !strcmp(f->barcode, barcode))
            return f;
    }
    return NULL;
}

/* A free place; a failure that nobody asked about makes room, and so does what waits and is farther away. */
static struct fetch *find_room(struct workers *w, unsigned ahead)
{
    struct fetch *farthest = NULL;
    for (size_t i = 0; i < FETCH_QUEUE; i++) {
        struct fetch *f = &w->fetch[i];
        if (!f->c || f->failed)
            return f;
        if (!f->running && f->ahead > ahead && (!farthest || f->ahead > farthest->ahead))
            farthest = f;
    }
    return farthest;
}

void workers_fetch(struct workers *w, struct cartridge *c, const char *barcode, const struct seg_ref *ref,
                   uint64_t from, unsigned ahead)
{
    if (spool_has(w->eng->spool, barcode, &ref->id))
        return;
    lock_take(&w->fetch_lock);
    struct fetch *f = find(w, barcode, &ref->id);
    if (f) {
        f->ahead = ahead;
    } else if ((f = find_room(w, ahead))) {
        from = from < ref->size ? from : 0;
        *f = (struct fetch){
            .c = c, .ref = *ref, .ahead = ahead, .order = ++w->fetch_order, .fd = -1, .from = from, .to = from};
        (void)snprintf(f->barcode, sizeof(f->barcode), "%s", barcode);
        cond_broadcast(&w->fetch_cond); /* one that is too many may wait, too */
    }
    lock_release(&w->fetch_lock);
}

static bool holds(const struct fetch *f, uint64_t offset, uint64_t len)
{
    return (offset >= f->from && offset + len <= f->to) || offset + len <= f->rest;
}

static void wait_a_while(struct workers *w)
{
    (void)cond_wait_ms(&w->fetch_moved, &w->fetch_lock, CANCEL_POLL_MS);
}

/* What there is to say now; -EAGAIN: wait. */
static int look(struct workers *w, struct fetch *f, uint64_t offset, uint64_t len, struct fetch_part *p,
                struct errtext *err)
{
    lock_assert_held(&w->fetch_lock);
    if (!f || (p->fd >= 0 && p->order != f->order))
        return -ENOENT;
    if (f->failed) {
        *err = f->err;
        f->c = NULL;
        /* What failed before anybody needed it was a try, and the store may be well again. */
        return f->no_room ? -ENOSPC : f->waited ? -EIO : -ENOENT;
    }
    if (f->fd < 0 || !holds(f, offset, len)) {
        f->waited = true;
        f->wanted = offset + len;
        return -EAGAIN;
    }
    if (p->fd < 0 && (p->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0)) < 0)
        return errtext_set(err, -EIO, "cache: %s", strerror(errno));
    *p = (struct fetch_part){.fd = p->fd, .order = f->order, .from = f->from, .to = f->to};
    return 0;
}

int workers_fetch_part(struct workers *w, const char *barcode, const struct seg_id *id, uint64_t offset, uint64_t len,
                       struct fetch_part *p, const atomic_bool *cancel, struct errtext *err)
{
    lock_take(&w->fetch_lock);
    int rc;
    while ((rc = look(w, find(w, barcode, id), offset, len, p, err)) == -EAGAIN) {
        if (atomic_load(cancel)) {
            rc = -ECANCELED;
            break;
        }
        wait_a_while(w);
    }
    lock_release(&w->fetch_lock);
    return rc;
}

void workers_fetch_drop(struct workers *w, const struct cartridge *c, uint64_t first, uint64_t end)
{
    lock_take(&w->fetch_lock);
    for (size_t i = 0; i < FETCH_QUEUE; i++) {
        struct fetch *f = &w->fetch[i];
        if (f->c != c || (f->ref.first_object < end && f->ref.first_object + f->ref.objects > first))
            continue;
        if (f->running)
            atomic_store(&f->cancel, true);
        else
            f->c = NULL;
    }
    lock_release(&w->fetch_lock);
}

void fetch_forget(struct workers *w, struct cartridge *c)
{
    workers_fetch_drop(w, c, 0, 0);
    lock_take(&w->fetch_lock);
    for (size_t i = 0; i < FETCH_QUEUE; i++)
        while (w->fetch[i].c == c)
            cond_wait(&w->fetch_moved, &w->fetch_lock);
    lock_release(&w->fetch_lock);
}

/* ---- one download ---- */

struct download {
    struct workers *w;
    struct fetch *f; /* running: its place is ours */
    uint64_t at;
    int fd;
    bool local; /* what failed was the cache, not the store */
};

static int write_all(int fd, const uint8_t *buf, uint64_t len, uint64_t offset)
{
    while (len) {
        ssize_t n = pwrite(fd, buf, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        buf += n;
        len -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* A piece has arrived. On a full disk the cache makes room, once a piece. */
static int keep(void *arg, const void *data, size_t len)
{
    struct download *d = arg;
    int rc = write_all(d->fd, data, len, d->at);
    if (file_disk_full(rc) && spool_shrink(d->w->eng->spool, len, false))
        rc = write_all(d->fd, data, len, d->at);
    if (rc) {
        d->local = true;
        return rc;
    }
    struct fetch *f = d->f;
    lock_take(&d->w->fetch_lock);
    uint64_t *end = d->at == f->to ? &f->to : &f->rest;
    d->at += len;
    *end = d->at;
    if (f->wanted && *end >= f->wanted) { /* nobody is woken for less */
        f->wanted = 0;
        cond_broadcast(&d->w->fetch_moved);
    }
    lock_release(&d->w->fetch_lock);
    return 0;
}

/* Who follows the download may have the file from here on, or no more. */
static void show(struct download *d, int fd)
{
    lock_take(&d->w->fetch_lock);
    d->f->fd = fd;
    lock_release(&d->w->fetch_lock);
}

static int stream(struct download *d, const char *key, uint64_t at, uint64_t len, struct errtext *err)
{
    struct objstore *s = d->w->eng->store;
    const struct obj_call call = {.cancel = &d->f->cancel};
    const struct obj_sink sink = {keep, d};
    d->at = at;
    return len ? s->ops->stream(s, key, at, len, &sink, &call, err) : 0;
}

static int download(struct download *d, const char *barcode, const struct seg_ref *r, uint64_t from,
                    struct errtext *err)
{
    struct engine *e = d->w->eng;
    char key[DB_KEY_SIZE];
    object_key(key, barcode, "seg", &r->id);
    d->fd = spool_download(e->spool, barcode, &r->id);
    d->local = d->fd < 0;
    if (d->fd < 0)
        return errtext_set(err, d->fd, "%s: cache: %s", key, strerror(-d->fd));
    show(d, d->fd);
    int rc = stream(d, key, from, r->size - from, err);
    if (!rc)
        rc = stream(d, key, 0, from, err);
    show(d, -1);
    close(d->fd);
    int end = spool_download_end(e->spool, barcode, &r->id, r->size, rc == 0);
    if (!rc && end) {
        rc = errtext_set(err, end, "%s: cache: %s", key, strerror(-end));
        d->local = true;
    }
    return rc;
}

static struct fetch *next_fetch(struct workers *w)
{
    struct fetch *best = NULL;
    for (size_t i = 0; i < FETCH_QUEUE; i++) {
        struct fetch *f = &w->fetch[i];
        if (!f->c || f->running || f->failed)
            continue;
        if (!best || f->ahead < best->ahead || (f->ahead == best->ahead && f->order < best->order))
            best = f;
    }
    return best;
}

void fetch_look_again(struct workers *w)
{
    lock_take(&w->fetch_lock);
    cond_broadcast(&w->fetch_cond);
    lock_release(&w->fetch_lock);
}

void *fetch_thread(void *arg)
{
    struct workers *w = arg;
    unsigned number = atomic_fetch_add(&w->n_fetches, 1);
    lock_take(&w->fetch_lock);
    while (!atomic_load(&w->stop)) {
        struct fetch *f = number < atomic_load(&w->eng->live.parallel) ? next_fetch(w) : NULL;
        if (!f) {
            cond_wait(&w->fetch_cond, &w->fetch_lock);
            continue;
        }
        f->running = true;
        struct seg_ref ref = f->ref;
        char barcode[sizeof(f->barcode)];
        memcpy(barcode, f->barcode, sizeof(barcode));
        uint64_t from = f->from;
        lock_release(&w->fetch_lock);
        struct errtext err = {""};
        struct download d = {.w = w, .f = f};
        int rc = download(&d, barcode, &ref, from, &err);
        lock_take(&w->fetch_lock);
        f->running = false;
        f->failed = rc && !atomic_load(&f->cancel);
        int cache_error = rc && d.local ? rc : rc ? w->cache_error : 0;
        if (cache_error && cache_error != w->cache_error) /* what needs the segment reads it from the store */
            log_warn("%s: %s", barcode, err.text);
        w->cache_error = cache_error;
        f->no_room = d.local;
        f->err = err;
        if (!f->failed)
            f->c = NULL;
        cond_broadcast(&w->fetch_moved);
        progress_post(&w->eng->progress);
    }
    lock_release(&w->fetch_lock);
    return NULL;
}
