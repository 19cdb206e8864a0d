/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunk_watch.c: the index of chunks is made anew, in the background, where it lacks segments: after a rebuild, after a
 * claim, when the file was lost, when [dedup] is new.
 *
 * One segment at a time: its end, and the list of its chunks. One that has none is noted, so that it is asked once. Whatever
 * fails is left for the next start: it costs savings, and nothing else. Before that goes what is no more: what was deleted
 * while [dedup] was off, or when the index could not be written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/library_private.h"
#include "vtl/state/chunk_index.h"

#define SWEEP 256 /* names at a time */

struct segments {
    struct seg_source s; /* of the cartridge: id and barcode */
    struct seg_ref *v;
    size_t n, room;
};

struct watching {
    struct library *lib;
    uint64_t listed, failed;
};

static int add(void *arg, enum seg_state state, const struct seg_ref *ref, const struct seg_fm_run *fms, size_t n_fms)
{
    struct segments *all = arg;
    (void)fms;
    (void)n_fms;
    if (state != SEG_STORED || !ref->crc)
        return 0;
    if (all->n == all->room && !array_grow(&all->v, &all->room, sizeof(*all->v)))
        return -ENOMEM;
    all->v[all->n++] = *ref;
    return 0;
}

static bool stopped(struct library *lib)
{
    return atomic_load(&lib->chunks_stop);
}

static int get(struct library *lib, const struct segments *of, const struct seg_ref *ref, uint64_t offset, uint64_t len,
               void *buf, struct errtext *err)
{
    const struct obj_call call = {.cancel = &lib->chunks_stop};
    char key[DB_KEY_SIZE];
    object_key(key, of->s.barcode, "seg", &ref->id);
    return lib->eng.store->ops->get(lib->eng.store, key, offset, len, buf, &call, err);
}

/* The index at the end of the segment. NULL without an error: it is of a version that lists nothing. */
static int read_index(struct library *lib, const struct segments *of, const struct seg_ref *ref, struct seg_index **x,
                      struct errtext *err)
{
    uint8_t footer[SEG_FOOTER_SIZE], *tail = NULL;
    uint64_t len = seg_tail_size(ref->size), need = 0;
    *x = NULL;
    int rc = get(lib, of, ref, ref->size - sizeof(footer), sizeof(footer), footer, err);
    if (rc || !seg_footer_has_lists(footer))
        return rc;
    rc = -EAGAIN;
    for (int i = 0; i < 2 && rc == -EAGAIN; i++) {
        free(tail);
        tail = len <= ref->size ? malloc(len) : NULL;
        rc = tail ? get(lib, of, ref, ref->size - len, len, tail, err) : -ENOMEM;
        if (!rc)
            rc = seg_index_decode(tail, len, ref->size, x, &need, err);
        len = need;
    }
    free(tail);
    struct seg_totals t;
    if (!rc)
        seg_index_totals(*x, &t);
    if (!rc && (t.crc != ref->crc || seg_index_identity(*x) != seg_identity(of->s.cartridge, &ref->id)))
        rc = -EBADMSG;
    if (rc) {
        seg_index_free(*x);
        *x = NULL;
    }
    return rc;
}

static int put(struct library *lib, const struct segments *of, const struct seg_ref *ref, const void *list, size_t len)
{
    struct seg_source s = of->s;
    s.id = ref->id;
    s.size = ref->size;
    s.crc = ref->crc;
    return chunk_index_put(lib->eng.chunks, &s, ref->first_object, list, len);
}

/* More than one list is there only after a crash: the last one is taken, which has the most recent chunks. */
static int list_segment(struct library *lib, const struct segments *of, const struct seg_ref *ref, struct errtext *err)
{
    struct seg_index *x = NULL;
    uint64_t offset = 0;
    uint32_t size = 0, len = 0;
    const void *list = "";
    uint8_t *rec = NULL;
    int rc = read_index(lib, of, ref, &x, err);
    if (!rc && x && seg_index_list(x, SEG_CHUNKS, 0, &offset, &size)) {
        rec = malloc(size);
        rc = rec ? get(lib, of, ref, offset, size, rec, err) : -ENOMEM;
        if (!rc)
            rc = seg_index_open_list(x, SEG_CHUNKS, 0, rec, size, &list, &len, err);
    }
    if (!rc)
        rc = put(lib, of, ref, list, len);
    seg_index_free(x);
    free(rec);
    return rc;
}

/* Of a damaged one none: which are whole was told to a state that may be lost since. */
static void list_cartridge(struct watching *w, const char *barcode)
{
    struct library *lib = w->lib;
    struct segments all = {.n = 0};
    rwlock_read(&lib->tapes_lock);
    lock_take(&lib->lock);
    struct cartridge *c = library_cartridge(lib, barcode);
    lock_release(&lib->lock);
    int rc =
        c && cartridge_dedups(c) && cartridge_is_whole(c) ? db_segments(lib->eng.db, cartridge_rowid(c), add, &all) : 0;
    if (c) {
        memcpy(all.s.cartridge, cartridge_id(c), sizeof(all.s.cartridge));
        memcpy(all.s.barcode, barcode, strlen(barcode) + 1);
    }
    rwlock_release(&lib->tapes_lock);
    for (size_t i = 0; !rc && i < all.n && !stopped(lib); i++) {
        struct errtext err = {""};
        if (chunk_index_has(lib->eng.chunks, all.s.cartridge, &all.v[i].id))
            continue;
        int bad = list_segment(lib, &all, &all.v[i], &err);
        w->listed += !bad;
        w->failed += bad != 0;
        if (bad == -EIO || bad == -ECANCELED) /* the store: nothing else will go better */
            break;
    }
    free(all.v);
}

/* What the state has no more. Each one by itself: a cartridge is written, removed or taken over meanwhile. */
static int sweep_some(struct library *lib, const struct seg_source *names, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < n && !stopped(lib); i++) {
        rc = db_has_segment(lib->eng.db, names[i].cartridge, &names[i].id);
        if (!rc)
            rc = chunk_index_drop(lib->eng.chunks, names[i].cartridge, &names[i].id);
    }
    return rc < 0 ? rc : 0;
}

static void sweep(struct library *lib)
{
    struct seg_source names[SWEEP], after;
    size_t n = 0;
    int rc = chunk_index_names(lib->eng.chunks, NULL, names, SWEEP, &n);
    while (!rc && n && !stopped(lib)) {
        after = names[n - 1];
        rc = sweep_some(lib, names, n);
        if (!rc)
            rc = chunk_index_names(lib->eng.chunks, &after, names, SWEEP, &n);
    }
}

static void *chunk_thread(void *arg)
{
    struct library *lib = arg;
    struct watching w = {.lib = lib};
    size_t n = 0;
    sweep(lib);
    barcode_text *barcodes = library_barcodes(lib, &n);
    for (size_t i = 0; i < n && !stopped(lib); i++)
        list_cartridge(&w, barcodes[i]);
    free(barcodes);
    if (w.listed || w.failed)
        log_notice(
            "dedup: looked for chunks in %llu segments of the store that were not listed on this disk; %llu could "
            "not be read",
            (unsigned long long)w.listed, (unsigned long long)w.failed);
    return NULL;
}

int chunk_watch_start(struct library *lib, struct errtext *err)
{
    if (!lib->eng.chunks)
        return 0;
    int rc = thread_start(&lib->chunks_thread, "chunks", chunk_thread, lib);
    lib->chunks_run = !rc;
    return rc ? errtext_set(err, rc, "chunks: no thread: %s", strerror(-rc)) : 0;
}

void chunk_watch_stop(struct library *lib)
{
    atomic_store(&lib->chunks_stop, true);
    if (lib->chunks_run)
        pthread_join(lib->chunks_thread, NULL);
    lib->chunks_run = false;
}
