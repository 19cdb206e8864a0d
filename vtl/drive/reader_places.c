/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_places.c: a block from the open segment, from a local file, or from a window of the object. */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

#define WINDOW (2u << 20)
#define MOST_WINDOW (16u << 20)

int reader_from_open(struct reader *r, const struct read_job *job)
{
    uint32_t size = 0;
    int rc = cartridge_read_open(r->c, job->object, &r->record, &r->record_room, &size);
    return rc ? rc : reader_deliver(r, job, NULL, r->record, size);
}

bool reader_is_stored(const struct reader *r, const struct seg_ref *ref)
{
    return memcmp(r->cartridge, cartridge_id(r->c), sizeof(r->cartridge)) || cartridge_is_stored(r->c, &ref->id);
}

/* ---- a segment's bytes, from the store or from the file that is open ---- */

static int get(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint64_t len, void *buf,
               const atomic_bool *cancel, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    object_key(key, r->barcode, "seg", &ref->id);
    struct objstore *s = r->eng->store;
    struct obj_call call = {.cancel = cancel};
    return s->ops->get(s, key, offset, len, buf, &call, err);
}

static bool window_has(const struct reader *r, uint64_t offset, uint32_t size)
{
    return offset >= r->window_at && offset + size <= r->window_at + r->window_len;
}

/* Sequential reads without a cache: the next window is twice as large. */
static int move_window(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint32_t size,
                       const struct read_job *job)
{
    bool on = r->window_len && offset >= r->window_at && offset <= r->window_at + r->window_len;
    uint64_t n = !on ? WINDOW : 2 * r->window_len < MOST_WINDOW ? 2 * r->window_len : MOST_WINDOW;
    n = size > n ? size : n;
    n = n > ref->size - offset ? ref->size - offset : n;
    r->window_len = 0;
    int rc = reader_grow(&r->window, &r->window_room, n);
    if (!rc)
        rc = get(r, ref, offset, n, r->window, job->cancel, job->err);
    if (rc)
        return rc;
    r->window_at = offset;
    r->window_len = n;
    return 0;
}

/* How to read a segment in one of these places. */
struct place {
    const char *name;
    /* The last tail bytes, with footer and index, to r->record. */
    int (*tail)(struct reader *r, const struct seg_ref *ref, uint64_t tail, const atomic_bool *cancel,
                struct errtext *err);
    /* Any bytes (struct seg_bytes); arg is a struct walking. */
    int (*read)(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err);
};
struct walking {
    struct reader *r;
    const struct seg_ref *ref;
    const struct read_job *job;
};

static int file_error(int rc, struct errtext *err)
{
    return errtext_set(err, rc, "local segment file: %s", rc == -EBADMSG ? "too short" : strerror(-rc));
}

static int tail_of_file(struct reader *r, const struct seg_ref *ref, uint64_t tail, const atomic_bool *cancel,
                        struct errtext *err)
{
    (void)cancel;
    int rc = reader_pread(r->fd, r->record, tail, ref->size - tail);
    return rc ? file_error(rc, err) : 0;
}

static int tail_of_object(struct reader *r, const struct seg_ref *ref, uint64_t tail, const atomic_bool *cancel,
                          struct errtext *err)
{
    return get(r, ref, ref->size - tail, tail, r->record, cancel, err);
}

static int read_file(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    const struct walking *w = arg;
    int rc = reader_pread(w->r->fd, buf, len, offset);
    return rc ? file_error(rc, err) : 0;
}

/* Window by window, as any read: in bounded memory. */
static int read_object(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    const struct walking *w = arg;
    struct reader *r = w->r;
    struct read_job job = *w->job;
    job.err = err;
    int rc = window_has(r, offset, (uint32_t)len) ? 0 : move_window(r, w->ref, offset, (uint32_t)len, &job);
    if (!rc)
        memcpy(buf, r->window + (offset - r->window_at), len);
    return rc;
}

static const struct place in_file = {"local", tail_of_file, read_file};
static const struct place in_store = {"stored", tail_of_object, read_object};

/* ---- its index ---- */

/* The name binds the content: cartridge and name by the identity, all else by the footer's CRC. */
static int check_index(const struct reader *r, const struct seg_ref *ref, struct errtext *err)
{
    char name[SEG_NAME_SIZE];
    struct seg_totals t;
    seg_id_format(&ref->id, name);
    seg_index_totals(r->index, &t);
    if (seg_index_identity(r->index) != seg_identity(r->cartridge, &ref->id))
        return errtext_set(err, -EBADMSG, "the object of segment %s is another one", name);
    if (ref->crc && t.crc != ref->crc)
        return errtext_set(err, -EBADMSG,
                           "the object of segment %s is another one (its footer's CRC is %08x, the tape's index says "
                           "%08x)",
                           name, t.crc, ref->crc);
    return 0;
}

/* From the end of the segment. -EBADMSG: damaged. */
static int read_index(struct reader *r, const struct seg_ref *ref, const struct place *p, const struct read_job *job)
{
    uint64_t tail = seg_tail_size(ref->size), need = 0;
    int rc = -EAGAIN;
    for (int i = 0; i < 2 && rc == -EAGAIN; i++) {
        rc = reader_grow(&r->record, &r->record_room, tail);
        if (!rc)
            rc = p->tail(r, ref, tail, job->cancel, job->err);
        if (!rc)
            rc = seg_index_decode(r->record, tail, ref->size, &r->index, &need, job->err);
        if (rc == -EAGAIN && (need <= tail || need > ref->size))
            rc = errtext_set(job->err, -EBADMSG, "index larger than its segment");
        tail = need;
    }
    return rc;
}

/* Once for a segment that is read on, however often it is opened. */
static void tell_walk(struct reader *r, const struct seg_ref *ref, const struct place *p, const struct errtext *why)
{
    char name[SEG_NAME_SIZE];
    if (!seg_id_compare(&r->walked, &ref->id))
        return;
    r->walked = ref->id;
    seg_id_format(&ref->id, name);
    log_warn("%s: %s segment %s: %s: no block is lost by it, as its records tell the same: it is read by these",
             r->barcode, p->name, name, why->text);
}

/* The end of the segment is damaged (job->err says how), or cannot be read. Its records say what its index did, and must
 * be those that the name binds all the same: that it makes the footer of that CRC again shows it (segment_walk.c). */
static int walk_index(struct reader *r, const struct seg_ref *ref, const struct place *p, const struct read_job *job)
{
    struct walking w = {r, ref, job};
    const struct seg_bytes bytes = {p->read, &w, ref->size};
    struct errtext why = *job->err, walk = {""};
    int rc = seg_index_walk(&bytes, &r->index, &walk);
    if (!rc)
        rc = check_index(r, ref, &walk);
    if (!rc)
        tell_walk(r, ref, p, &why);
    else
        errtext_set(job->err, rc, "%.250s; and by its records: %.300s", why.text, walk.text);
    return rc;
}

/* walk: this is the only copy, so that more is done to read it. */
static int open_index(struct reader *r, const struct seg_ref *ref, const struct place *p, bool walk,
                      const struct read_job *job)
{
    int rc = read_index(r, ref, p, job);
    if (!rc)
        rc = check_index(r, ref, job->err);
    else if (rc == -EBADMSG && walk)
        rc = walk_index(r, ref, p, job);
    if (rc) {
        seg_index_free(r->index);
        r->index = NULL;
        return rc;
    }
    r->id = ref->id;
    return 0;
}

int reader_open_object(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    return open_index(r, ref, &in_store, true, job);
}

/* ---- a block ---- */

bool reader_is_open(const struct reader *r, const struct seg_ref *ref)
{
    return r->index && !seg_id_compare(&r->id, &ref->id);
}

/* From the local file that is open. */
static int from_open_file(struct reader *r, const struct read_job *job)
{
    uint64_t offset = 0;
    uint32_t size = 0;
    int rc = reader_find(r, job->object, &offset, &size, job->err);
    if (!rc)
        rc = reader_grow(&r->record, &r->record_room, size);
    if (!rc && (rc = reader_pread(r->fd, r->record, size, offset)))
        errtext_set(job->err, rc, "local segment file: %s", rc == -EBADMSG ? "too short" : strerror(-rc));
    return rc ? rc : reader_deliver(r, job, r->index, r->record, size);
}

int reader_from_file(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    int rc = 0;
    if (!reader_is_open(r, ref) || r->fd < 0) {
        int fd = spool_read(r->eng->spool, r->barcode, &ref->id);
        if (fd < 0)
            return fd; /* what is open of the store's copy stays so */
        reader_close_segment(r);
        r->fd = fd;
        rc = open_index(r, ref, &in_file, !reader_is_stored(r, ref), job);
    }
    if (!rc)
        rc = from_open_file(r, job);
    if (rc)
        reader_close_segment(r);
    return rc == -ENOENT ? -EIO : rc;
}

bool reader_in_window(const struct reader *r, const struct seg_ref *ref, uint64_t object)
{
    uint64_t offset = 0;
    uint32_t size = 0;
    return reader_is_open(r, ref) && r->fd < 0 && !seg_index_find(r->index, object, &offset, &size) &&
           window_has(r, offset, size);
}

int reader_from_window(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    int rc = 0;
    if (!reader_is_open(r, ref) || r->fd >= 0) {
        reader_close_segment(r);
        rc = reader_open_object(r, ref, job);
    }
    uint64_t offset = 0;
    uint32_t size = 0;
    if (!rc)
        rc = reader_find(r, job->object, &offset, &size, job->err);
    if (!rc && !window_has(r, offset, size))
        rc = move_window(r, ref, offset, size, job);
    if (!rc)
        rc = reader_deliver(r, job, r->index, r->window + (offset - r->window_at), size);
    if (rc)
        reader_close_segment(r);
    return rc;
}
