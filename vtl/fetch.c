/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fetch.c: download threads that turn stored segments into cache files, the earliest wish first. */
#include "vtl/worker_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (8u << 20) /* bytes of one ranged GET: bounds the memory, and what a cut connection costs */

void fetch_init(struct workers *w)
{
    pthread_mutex_init(&w->fetch_lock, NULL);
    pthread_cond_init(&w->fetch_cond, NULL);
}

void fetch_fini(struct workers *w)
{
    pthread_cond_destroy(&w->fetch_cond);
    pthread_mutex_destroy(&w->fetch_lock);
}

void fetch_wake(struct workers *w)
{
    pthread_mutex_lock(&w->fetch_lock);
    pthread_cond_broadcast(&w->fetch_cond);
    pthread_mutex_unlock(&w->fetch_lock);
}

static struct fetch *find(struct workers *w, const struct cartridge *c, const struct seg_id *id)
{
    for (size_t i = 0; i < FETCH_QUEUE; i++)
        if (w->fetch[i].c == c && !seg_id_compare(&w->fetch[i].ref.id, id))
            return &w->fetch[i];
    return NULL;
}

void workers_fetch(struct workers *w, struct cartridge *c, const struct seg_ref *ref)
{
    if (spool_has(w->eng->spool, c->row.barcode, &ref->id))
        return;
    pthread_mutex_lock(&w->fetch_lock);
    struct fetch *f = find(w, c, &ref->id);
    for (size_t i = 0; !f && i < FETCH_QUEUE; i++)
        if (!w->fetch[i].c || w->fetch[i].failed) { /* a failure that nobody asked about makes room */
            f = &w->fetch[i];
            *f = (struct fetch){.c = c, .ref = *ref, .order = ++w->fetch_order};
            pthread_cond_signal(&w->fetch_cond);
        }
    pthread_mutex_unlock(&w->fetch_lock);
}

enum fetch_state workers_fetch_state(struct workers *w, struct cartridge *c, const struct seg_id *id,
                                     struct errtext *err)
{
    enum fetch_state st = FETCH_NONE;
    pthread_mutex_lock(&w->fetch_lock);
    struct fetch *f = find(w, c, id);
    if (f && f->failed) {
        *err = f->err;
        f->c = NULL;
        st = f->no_room ? FETCH_NO_ROOM : FETCH_FAILED;
    } else if (f) {
        st = FETCH_BUSY;
    }
    pthread_mutex_unlock(&w->fetch_lock);
    return st;
}

void fetch_forget(struct workers *w, struct cartridge *c)
{
    pthread_mutex_lock(&w->fetch_lock);
    for (size_t i = 0; i < FETCH_QUEUE; i++) {
        while (w->fetch[i].c == c && w->fetch[i].running)
            pthread_cond_wait(&w->fetch_cond, &w->fetch_lock);
        if (w->fetch[i].c == c)
            w->fetch[i].c = NULL;
    }
    pthread_mutex_unlock(&w->fetch_lock);
}

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

/* On a full disk the cache makes room, once a chunk. */
static int write_chunk(struct engine *e, int fd, const uint8_t *buf, uint64_t len, uint64_t offset)
{
    int rc = write_all(fd, buf, len, offset);
    if (rc == -ENOSPC && spool_shrink(e->spool, len))
        rc = write_all(fd, buf, len, offset);
    return rc;
}

/* *local: what failed was the cache, not the store. */
static int download(struct workers *w, struct cartridge *c, const struct seg_ref *r, uint8_t *buf, bool *local,
                    struct errtext *err)
{
    struct engine *e = w->eng;
    struct obj_call call = {.cancel = &w->stop};
    char key[DB_KEY_SIZE];
    object_key(key, c->row.barcode, "seg", &r->id);
    int fd = spool_download(e->spool, c->row.barcode, &r->id);
    *local = fd < 0;
    if (fd < 0)
        return errtext_set(err, fd, "%s: cache: %s", key, strerror(-fd));
    int rc = 0;
    for (uint64_t at = 0; !rc && at < r->size; at += CHUNK) {
        uint64_t n = r->size - at < CHUNK ? r->size - at : CHUNK;
        rc = e->store->ops->get(e->store, key, at, n, buf, &call, err);
        if (!rc && (rc = write_chunk(e, fd, buf, n, at))) {
            errtext_set(err, rc, "%s: cache: %s", key, strerror(-rc));
            *local = true;
        }
    }
    close(fd);
    int end = spool_download_end(e->spool, c->row.barcode, &r->id, r->size, rc == 0);
    if (!rc && end)
        rc = errtext_set(err, end, "%s: cache: %s", key, strerror(-end));
    *local = *local || end;
    return rc;
}

static struct fetch *next_fetch(struct workers *w)
{
    struct fetch *best = NULL;
    for (size_t i = 0; i < FETCH_QUEUE; i++) {
        struct fetch *f = &w->fetch[i];
        if (f->c && !f->running && !f->failed && (!best || f->order < best->order))
            best = f;
    }
    return best;
}

void *fetch_thread(void *arg)
{
    struct workers *w = arg;
    uint8_t *buf = NULL;
    pthread_mutex_lock(&w->fetch_lock);
    while (!atomic_load(&w->stop)) {
        struct fetch *f = next_fetch(w);
        if (!f) {
            pthread_cond_wait(&w->fetch_cond, &w->fetch_lock);
            continue;
        }
        f->running = true;
        struct cartridge *c = f->c;
        struct seg_ref ref = f->ref;
        pthread_mutex_unlock(&w->fetch_lock);
        struct errtext err = {""};
        if (!buf)
            buf = malloc(CHUNK);
        bool local = true;
        int rc = buf ? download(w, c, &ref, buf, &local, &err) : errtext_set(&err, -ENOMEM, "fetch: out of memory");
        pthread_mutex_lock(&w->fetch_lock);
        f->running = false;
        f->failed = rc != 0;
        f->no_room = local;
        f->err = err;
        if (!rc)
            f->c = NULL;
        pthread_cond_broadcast(&w->fetch_cond);
        progress_post(&w->eng->progress);
    }
    pthread_mutex_unlock(&w->fetch_lock);
    free(buf);
    return NULL;
}
