/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader.c: from where a drive reads a block; see reader.h. */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"

void reader_init(struct reader *r)
{
    memset(r, 0, sizeof(*r));
    r->fd = r->part.fd = -1;
    r->next_object = UINT64_MAX;
}

void reader_set(struct reader *r, struct cartridge *c)
{
    reader_close_segment(r);
    reader_fetch_nothing(r); /* no more for the cartridge that leaves */
    reader_sources_close(r);
    r->c = c;
    r->eng = c ? cartridge_engine(c) : NULL;
    r->next_object = UINT64_MAX;
    if (c) {
        memcpy(r->barcode, cartridge_barcode(c), sizeof(r->barcode));
        memcpy(r->cartridge, cartridge_id(c), sizeof(r->cartridge));
    }
}

void reader_fini(struct reader *r)
{
    reader_close_segment(r);
    free(r->record);
    free(r->window);
    seg_scratch_free(&r->scratch);
    reader_sources_close(r);
    reader_init(r);
}

/* Only of a copy whose bytes are wrong or cannot be had. A key that is missing or another one, a lack of memory or of
 * file handles say nothing about it. */
static bool is_damage(int rc)
{
    return rc == -EBADMSG || rc == -EIO;
}

/* The copy is there, and cannot be opened now: it stays, and the store has another one. */
static bool is_out_of_reach(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -EACCES || rc == -EPERM;
}

/* Drops a damaged local copy: the block is read once more, from the store. */
static void drop_copy(struct reader *r, const struct seg_ref *ref, const char *which, const struct errtext *err)
{
    log_event(EVENT_CACHE_DAMAGED, "%s: %s segment is damaged, reading the store's: %s", r->barcode, which,
              err->text);
    spool_remove(r->eng->spool, r->barcode, &ref->id);
}

/* Once for each segment that is read on. */
static void tell_out_of_reach(struct reader *r, const struct seg_ref *ref, int rc)
{
    char name[SEG_NAME_SIZE];
    if (!seg_id_compare(&r->told, &ref->id))
        return;
    r->told = ref->id;
    seg_id_format(&ref->id, name);
    log_event(EVENT_CACHE_DAMAGED, "%s: local segment %s cannot be opened, reading the store's: %s",
              r->barcode, name, strerror(-rc));
}

/* From a running download. -ENOENT: a window of the object has to do: the cache has no room, the file is gone again, or
 * what arrived was damaged. */
static int from_download(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    int rc = reader_follow(r, ref, job);
    if (rc == -ENOENT) /* it may have ended well meanwhile */
        rc = reader_from_file(r, ref, job);
    if (rc == -EBADMSG && !r->source_failed) {
        reader_fetch_nothing(r);
        drop_copy(r, ref, "fetched", job->err);
        reader_close_segment(r);
    }
    return rc == -ENOSPC || (rc == -EBADMSG && !r->source_failed) ? -ENOENT : rc;
}

/* i: the segment's number. */
static int from_store(struct reader *r, const struct seg_ref *ref, size_t i, const struct read_job *job)
{
    const struct engine *e = r->eng;
    bool inside = reader_in_window(r, ref, job->object), fetch = job->onward && e->workers;
    int rc = -ENOENT;
    if (fetch && atomic_load(&e->live.cache_size) >= 2 * e->cfg->spool.segment_size) {
        if (!reader_is_followed(r, ref))
            reader_fetch(r, ref, i, job->object, !inside);
        reader_fetch_ahead(r, i);
        if (!inside)
            rc = from_download(r, ref, job);
    }
    return rc == -ENOENT ? reader_from_window(r, ref, job) : rc;
}

/* Which of the segment's copies it may be read from, and what is wrong with the local one. -ENOENT: the store's. */
static int from_local(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    int rc = reader_from_file(r, ref, job);
    if (r->source_failed || !(is_damage(rc) || is_out_of_reach(rc)) || !reader_is_stored(r, ref))
        return rc;
    if (is_damage(rc))
        drop_copy(r, ref, "cached", job->err);
    else
        tell_out_of_reach(r, ref, rc);
    return -ENOENT;
}

/* From a segment that is sealed. */
static int from_segment(struct reader *r, struct read_job *job)
{
    /* A few filemarks between two blocks leave a read sequential. */
    bool onward = job->object >= r->next_object && job->object - r->next_object <= 4;
    bool again = job->object + 1 == r->next_object; /* the same block: no seek either */
    size_t i = 0;
    struct seg_ref ref;
    if (cartridge_segment_of(r->c, job->object, &ref, &i))
        return errtext_set(job->err, -EIO, "no segment holds object %llu", (unsigned long long)job->object);
    if (!onward && !again)
        reader_seek(r, job->object, i);
    job->onward = onward || (again && reader_is_followed(r, &ref));
    int rc = from_local(r, &ref, job);
    if (!rc && onward && r->eng->workers)
        reader_fetch_ahead(r, i);
    return rc == -ENOENT ? from_store(r, &ref, i, job) : rc;
}

int reader_read_source(struct reader *r, const struct seg_ref *ref, struct read_job *job)
{
    int rc = from_local(r, ref, job);
    if (rc == -ENOENT && job->onward && r->eng->workers)
        rc = from_download(r, ref, job);
    return rc == -ENOENT ? reader_from_window(r, ref, job) : rc;
}

int reader_read(struct reader *r, uint64_t object, void *buf, size_t room, uint32_t *len, const atomic_bool *cancel,
                struct errtext *err)
{
    struct read_job job = {.object = object, .buf = buf, .room = room, .len = len, .cancel = cancel, .err = err};
    r->source_failed = false;
    int rc = reader_from_open(r, &job);
    if (rc == -ENOENT)
        rc = from_segment(r, &job);
    if (!rc)
        r->next_object = object + 1;
    return rc;
}
