/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader.c: a drive's way to the blocks; see reader.h. */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"

#define WINDOW (2u << 20)
#define MOST_WINDOW (16u << 20)

void reader_init(struct reader *r)
{
    memset(r, 0, sizeof(*r));
    r->fd = r->part.fd = -1;
    r->next_object = UINT64_MAX;
}

void reader_close_segment(struct reader *r)
{
    seg_index_free(r->index);
    r->index = NULL;
    if (r->fd >= 0)
        close(r->fd);
    reader_follow_no_more(r);
    r->fd = -1;
    r->id.epoch = 0;
    r->walk_at = 0;
    r->window_len = 0;
}

void reader_set(struct reader *r, struct cartridge *c)
{
    reader_close_segment(r);
    reader_fetch_nothing(r); /* more of the one that goes */
    r->c = c;
    r->next_object = UINT64_MAX;
}

void reader_fini(struct reader *r)
{
    reader_close_segment(r);
    free(r->record);
    free(r->window);
    reader_init(r);
}

int reader_grow(uint8_t **buf, size_t *room, size_t need)
{
    if (need <= *room)
        return 0;
    uint8_t *more = realloc(*buf, need);
    if (!more)
        return -ENOMEM;
    *buf = more;
    *room = need;
    return 0;
}

int reader_pread(int fd, void *buf, size_t len, uint64_t offset)
{
    uint8_t *p = buf;
    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EBADMSG; /* the file is shorter than its index says */
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int reader_deliver(struct reader *r, const uint8_t *rec, size_t size, uint64_t object, void *buf, size_t room,
                   uint32_t *len, struct errtext *err)
{
    struct seg_record d;
    int rc = seg_record_decode(rec, size, &d, err);
    if (!rc && (d.object != object || d.type != SEG_BLOCK))
        rc = errtext_set(err, -EBADMSG, "record of object %llu where %llu should be", (unsigned long long)d.object,
                         (unsigned long long)object);
    if (!rc) {
        const uint8_t *kad = rec + SEG_RECORD_SIZE;
        r->encrypted = d.flags & SEG_AES256_GCM;
        r->kad_len = r->encrypted && d.ext_len <= sizeof(r->kad) ? (uint8_t)d.ext_len : 0;
        memcpy(r->kad, kad, r->kad_len);
        if (r->encrypted && r->raw)
            rc = seg_record_raw(&d, rec, buf, room, err);
        else
            rc = r->encrypted && buf ? seg_record_decrypt(&d, rec, cartridge_id(r->c), r->key, buf, room, err)
                                     : seg_record_open(&d, rec, buf, room, err);
    }
    if (!rc) {
        *len = r->encrypted && r->raw ? (uint32_t)(SEG_RECORD_SIZE + d.ext_len + d.stored_len) : d.length;
        r->fetched += size;
        r->run += size;
    }
    return rc;
}

int reader_find(struct reader *r, uint64_t object, uint64_t *offset, uint32_t *size, struct errtext *err)
{
    int rc = seg_index_find(r->index, object, offset, size);
    return rc ? errtext_set(err, -EBADMSG, "its index does not hold object %llu", (unsigned long long)object) : 0;
}

/* ---- the three places ---- */

/* From the open segment. -ENOENT: it is not there. */
static int from_open(struct reader *r, uint64_t object, void *buf, size_t room, uint32_t *len, struct errtext *err)
{
    uint32_t size = 0;
    int rc = cartridge_read_open(r->c, object, &r->record, &r->record_room, &size);
    return rc ? rc : reader_deliver(r, r->record, size, object, buf, room, len, err);
}

/* Footer and index by whatever reads the end of the object: *tail bytes of it are in r->record. */
typedef int (*read_tail_fn)(struct reader *r, const struct seg_ref *ref, uint64_t tail, const atomic_bool *cancel,
                            struct errtext *err);

static int open_index(struct reader *r, const struct seg_ref *ref, read_tail_fn read_tail, const atomic_bool *cancel,
                      struct errtext *err)
{
    uint64_t tail = seg_tail_size(ref->size), need = 0;
    int rc = -EAGAIN;
    for (int i = 0; i < 2 && rc == -EAGAIN; i++) {
        rc = reader_grow(&r->record, &r->record_room, tail);
        if (!rc)
            rc = read_tail(r, ref, tail, cancel, err);
        if (!rc)
            rc = seg_index_decode(r->record, tail, ref->size, &r->index, &need, err);
        if (rc == -EAGAIN && (need <= tail || need > ref->size))
            rc = errtext_set(err, -EBADMSG, "index larger than its segment");
        tail = need;
    }
    if (!rc && seg_index_identity(r->index) != seg_identity(cartridge_id(r->c), &ref->id))
        rc = errtext_set(err, -EBADMSG, "the object of segment %08llx-%08x-%llu is another one",
                         (unsigned long long)ref->id.epoch, ref->id.writer, (unsigned long long)ref->id.number);
    if (!rc)
        r->id = ref->id;
    return rc;
}

static int tail_of_file(struct reader *r, const struct seg_ref *ref, uint64_t tail, const atomic_bool *cancel,
                        struct errtext *err)
{
    (void)cancel;
    int rc = reader_pread(r->fd, r->record, tail, ref->size - tail);
    return rc ? errtext_set(err, rc, "local segment file: %s", rc == -EBADMSG ? "too short" : strerror(-rc)) : 0;
}

static int get(struct reader *r, const struct seg_ref *ref, uint64_t offset, uint64_t len, void *buf,
               const atomic_bool *cancel, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    object_key(key, cartridge_barcode(r->c), "seg", &ref->id);
    struct objstore *s = cartridge_engine(r->c)->store;
    struct obj_call call = {.cancel = cancel};
    return s->ops->get(s, key, offset, len, buf, &call, err);
}

static int tail_of_object(struct reader *r, const struct seg_ref *ref, uint64_t tail, const atomic_bool *cancel,
                          struct errtext *err)
{
    return get(r, ref, ref->size - tail, tail, r->record, cancel, err);
}

static bool is_open(const struct reader *r, const struct seg_ref *ref)
{
    return r->index && !seg_id_compare(&r->id, &ref->id);
}

/* From a local file. -ENOENT: there is none. */
static int from_file(struct reader *r, const struct seg_ref *ref, uint64_t object, void *buf, size_t room,
                     uint32_t *len, struct errtext *err)
{
    int rc = 0;
    if (!is_open(r, ref) || r->fd < 0) {
        int fd = spool_read(cartridge_engine(r->c)->spool, cartridge_barcode(r->c), &ref->id);
        if (fd < 0)
            return fd; /* what is open of the store's copy stays */
        reader_close_segment(r);
        r->fd = fd;
        rc = open_index(r, ref, tail_of_file, NULL, err);
    }
    uint64_t offset = 0;
    uint32_t size = 0;
    if (!rc)
        rc = reader_find(r, object, &offset, &size, err);
    if (!rc)
        rc = reader_grow(&r->record, &r->record_room, size);
    if (!rc && (rc = reader_pread(r->fd, r->record, size, offset)))
        errtext_set(err, rc, "local segment file: %s", rc == -EBADMSG ? "too short" : strerror(-rc));
    if (!rc)
        rc = reader_deliver(r, r->record, size, object, buf, room, len, err);
    if (rc)
        reader_close_segment(r);
    return rc == -ENOENT ? -EIO : rc;
}

/* From a window of the object in the store. */
static int from_window(struct reader *r, const struct seg_ref *ref, uint64_t object, void *buf, size_t room,
                       uint32_t *len, const atomic_bool *cancel, struct errtext *err)
{
    int rc = 0;
    if (!is_open(r, ref) || r->fd >= 0) {
        reader_close_segment(r);
        rc = open_index(r, ref, tail_of_object, cancel, err);
    }
    uint64_t offset = 0;
    uint32_t size = 0;
    if (!rc)
        rc = reader_find(r, object, &offset, &size, err);
    bool inside = !rc && offset >= r->window_at && offset + size <= r->window_at + r->window_len;
    if (!rc && !inside) {
        /* Reading on without a cache: the next window is twice as large. */
        bool on = r->window_len && offset >= r->window_at && offset <= r->window_at + r->window_len;
        uint64_t n = !on ? WINDOW : 2 * r->window_len < MOST_WINDOW ? 2 * r->window_len : MOST_WINDOW;
        n = size > n ? size : n;
        n = n > ref->size - offset ? ref->size - offset : n;
        r->window_len = 0;
        rc = reader_grow(&r->window, &r->window_room, n);
        if (!rc)
            rc = get(r, ref, offset, n, r->window, cancel, err);
        if (!rc) {
            r->window_at = offset;
            r->window_len = n;
        }
    }
    if (!rc)
        rc = reader_deliver(r, r->window + (offset - r->window_at), size, object, buf, room, len, err);
    if (rc)
        reader_close_segment(r);
    return rc;
}

/* ---- which of them ---- */

static bool is_followed(const struct reader *r, const struct seg_ref *ref)
{
    return r->part.fd >= 0 && !seg_id_compare(&r->id, &ref->id);
}

static bool in_window(const struct reader *r, const struct seg_ref *ref, uint64_t object)
{
    uint64_t offset = 0;
    uint32_t size = 0;
    return is_open(r, ref) && r->fd < 0 && !seg_index_find(r->index, object, &offset, &size) &&
           offset >= r->window_at && offset + size <= r->window_at + r->window_len;
}

/* From a download that runs. -ENOENT: a window of the object has to do, without room for the cache, or when the file is
 * gone again, or when what came was damaged on the way. */
static int from_download(struct reader *r, const struct seg_ref *ref, uint64_t object, void *buf, size_t room,
                         uint32_t *len, const atomic_bool *cancel, struct errtext *err)
{
    int rc = reader_follow(r, ref, object, buf, room, len, cancel, err);
    if (rc == -ENOENT) /* it may have ended well meanwhile */
        rc = from_file(r, ref, object, buf, room, len, err);
    if (rc == -EBADMSG) {
        log_line("%s: fetched segment is damaged, reading the store's again: %s", cartridge_barcode(r->c), err->text);
        reader_fetch_nothing(r);
        spool_remove(cartridge_engine(r->c)->spool, cartridge_barcode(r->c), &ref->id);
        reader_close_segment(r);
    }
    return rc == -ENOSPC || rc == -EBADMSG ? -ENOENT : rc;
}

static int from_store(struct reader *r, const struct seg_ref *ref, size_t i, uint64_t object, bool onward, void *buf,
                      size_t room, uint32_t *len, const atomic_bool *cancel, struct errtext *err)
{
    const struct engine *e = cartridge_engine(r->c);
    bool inside = in_window(r, ref, object), fetch = onward && e->workers;
    int rc = -ENOENT;
    if (fetch && e->cfg->spool.cache_size >= 2 * e->cfg->spool.segment_size) {
        if (!is_followed(r, ref))
            reader_fetch(r, ref, i, object, !inside);
        reader_fetch_ahead(r, i);
        if (!inside)
            rc = from_download(r, ref, object, buf, room, len, cancel, err);
    }
    return rc == -ENOENT ? from_window(r, ref, object, buf, room, len, cancel, err) : rc;
}

int reader_read(struct reader *r, uint64_t object, void *buf, size_t room, uint32_t *len, const atomic_bool *cancel,
                struct errtext *err)
{
    struct cartridge *c = r->c;
    /* A filemark or a few between two blocks is still reading on. */
    bool onward = object >= r->next_object && object - r->next_object <= 4;
    bool again = object + 1 == r->next_object; /* the same block: no seek either */
    int rc = from_open(r, object, buf, room, len, err);
    if (rc == -ENOENT) {
        size_t i = 0;
        struct seg_ref ref;
        if (cartridge_segment_of(c, object, &ref, &i))
            return errtext_set(err, -EIO, "no segment holds object %llu", (unsigned long long)object);
        if (!onward && !again)
            reader_seek(r, object, i);
        rc = from_file(r, &ref, object, buf, room, len, err);
        if (!rc && onward && cartridge_engine(c)->workers)
            reader_fetch_ahead(r, i);
        if (rc && rc != -ENOENT && cartridge_is_stored(c, &ref.id)) { /* the store's copy is one to fall back to */
            log_line("%s: cached segment is damaged, reading the store's: %s", cartridge_barcode(c), err->text);
            spool_remove(cartridge_engine(c)->spool, cartridge_barcode(c), &ref.id);
            rc = -ENOENT;
        }
        if (rc == -ENOENT)
            rc = from_store(r, &ref, i, object, onward || (again && is_followed(r, &ref)), buf, room, len, cancel, err);
    }
    if (!rc)
        r->next_object = object + 1;
    return rc;
}
