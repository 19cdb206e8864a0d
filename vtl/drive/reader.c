/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader.c: from where a drive reads a block; see reader.h. */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <string.h>

void reader_init(struct reader *r)
{
    reader_blank(r);
    r->open_pieces = reader_open_pieces;
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
    reader_sources_close(r);
    reader_release(r);
    reader_init(r);
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
            rc = reader_from_download(r, ref, job);
    }
    return rc == -ENOENT ? reader_from_window(r, ref, job) : rc;
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
    int rc = reader_from_local(r, &ref, job);
    if (!rc && onward && r->eng->workers)
        reader_fetch_ahead(r, i);
    return rc == -ENOENT ? from_store(r, &ref, i, job) : rc;
}

int reader_read(struct reader *r, uint64_t object, void *buf, size_t room, uint32_t *len, const atomic_bool *cancel,
                struct errtext *err)
{
    struct read_job job = {.object = object, .buf = buf, .room = room, .len = len, .cancel = cancel, .err = err};
    r->source_failed = false;
    int rc = reader_from_open(r, &job);
    if (rc == -ENOENT)
        rc = r->source_failed ? -EIO : from_segment(r, &job);
    if (!rc)
        r->next_object = object + 1;
    return rc;
}
