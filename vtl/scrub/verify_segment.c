/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_segment.c: one stored segment, read from its first byte to its last and checked; see verify.h. */
#include "vtl/scrub/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/format/head.h"
#include "vtl/format/segment.h"

#define CHUNK (UINT64_C(4) << 20)

/* A part of the object in memory; the parts are asked for in order. */
struct window {
    const struct verify_io *io;
    const char *key;
    uint64_t size; /* of the object */
    uint8_t *buf;
    uint64_t at, len;
};

/* Bytes [offset, offset + len) of the object, or NULL with the error. len is at most SEG_MAX_RECORD. */
static const uint8_t *bytes_at(struct window *w, uint64_t offset, uint64_t len, int *rc, struct errtext *err)
{
    if (offset >= w->at && offset + len <= w->at + w->len)
        return w->buf + (offset - w->at);
    uint64_t keep = offset >= w->at && offset < w->at + w->len ? w->at + w->len - offset : 0;
    if (keep)
        memmove(w->buf, w->buf + (offset - w->at), keep);
    w->at = offset;
    w->len = keep;
    uint64_t more = len - keep > CHUNK ? len - keep : CHUNK;
    if (more > w->size - offset - keep)
        more = w->size - offset - keep;
    if (w->io->pace)
        w->io->pace(w->io->arg, more);
    *rc = w->io->store->ops->get(w->io->store, w->key, offset + keep, more, w->buf + keep, &w->io->call, err);
    if (*rc)
        return NULL;
    w->len += more;
    return w->buf;
}

/* Header of the segment: whose it is, and where it belongs. end: what its footer says. */
static void check_header(const uint8_t *p, const struct seg_ref *ref, const struct head *head,
                         const struct seg_totals *end, struct errtext *why)
{
    struct seg_header h;
    if (seg_header_decode(p, SEG_HEADER_SIZE, &h, why))
        return;
    if (memcmp(h.cartridge, head->cartridge, sizeof(h.cartridge)) || strcmp(h.barcode, head->barcode))
        errtext_set(why, -EBADMSG, "segment header: is of another cartridge");
    else if (seg_id_compare(&h.id, &ref->id))
        errtext_set(why, -EBADMSG, "segment header: is of another segment");
    else if (h.first_object != ref->first_object || h.first_file != ref->first_file)
        errtext_set(why, -EBADMSG, "segment header: begins at object %" PRIu64 ", the head says %" PRIu64,
                    h.first_object, ref->first_object);
    else if (h.version != end->header.version)
        errtext_set(why, -EBADMSG, "segment header: is of version %u, its footer of version %u", h.version,
                    end->header.version);
}

/* Footer and index: whose they are, and whether they are those that the head, or its map, names. */
static void check_end(const struct seg_index *x, const struct seg_ref *ref, const struct head *head,
                      const struct seg_totals *end, struct errtext *why)
{
    uint64_t offset;
    uint32_t size;
    if (seg_index_identity(x) != seg_identity(head->cartridge, &ref->id))
        errtext_set(why, -EBADMSG, "segment footer: it ends another segment");
    else if (ref->crc && end->crc != ref->crc)
        errtext_set(why, -EBADMSG, "the object is another one (its footer's CRC is %08x, the tape's index says %08x)",
                    end->crc, ref->crc);
    else if (end->objects < ref->objects || seg_index_find(x, ref->first_object, &offset, &size))
        errtext_set(why, -EBADMSG, "segment index: does not hold what the head says");
}

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n && !*p)
        p++, n--;
    return !n;
}

/* One record that the index places at p, size bytes. *padding: only what no CRC covers is wrong. */
static int check_record(const struct seg_index *x, const uint8_t *p, uint32_t size, uint64_t object,
                        struct seg_record *r, bool *padding, struct errtext *why)
{
    *padding = false;
    int rc = seg_record_decode(p, size, r, why);
    if (!rc)
        rc = seg_index_check(x, object, p, why);
    if (rc)
        return rc;
    if (r->object != object || seg_record_size(r) != size)
        return errtext_set(why, -EBADMSG, "record of object %" PRIu64 ": stands where object %" PRIu64 " should",
                           r->object, object);
    if (r->type == SEG_BLOCK && (rc = seg_record_open(r, p, NULL, 0, why)))
        return rc;
    size_t used = SEG_RECORD_SIZE + (size_t)r->ext_len + r->stored_len;
    if (is_zero(p + used, size - used))
        return 0;
    *padding = true;
    return errtext_set(why, -EBADMSG, "padding behind object %" PRIu64 " is not zero: no data is lost", object);
}

/* Runs of bad objects are told as one. */
struct run {
    verify_found found;
    void *arg;
    uint64_t first, n;
    bool padding;
    struct errtext what;
};

static void tell_run(struct run *run)
{
    if (run->n)
        run->found(run->arg, run->first, run->padding ? 0 : run->n, run->what.text);
    run->n = 0;
}

static void add_bad(struct run *run, uint64_t object, uint64_t n, bool padding, const struct errtext *what)
{
    if (run->n && run->first + run->n == object && run->padding == padding) {
        run->n += n;
        return;
    }
    tell_run(run);
    *run = (struct run){run->found, run->arg, object, n, padding, *what};
}

static int check_records(struct window *w, const struct seg_index *x, const struct seg_ref *ref, struct run *run,
                         uint64_t *blocks, struct errtext *err)
{
    struct seg_totals t;
    seg_index_totals(x, &t);
    int rc = 0;
    for (uint64_t n = 0; !rc && n < t.objects;) {
        uint64_t object = ref->first_object + n, offset = 0;
        uint32_t size = 0;
        struct seg_record r = {.length = 1};
        struct errtext why = {""};
        bool padding = false;
        if (seg_index_find(x, object, &offset, &size))
            return errtext_set(err, -EBADMSG, "the index does not know object %" PRIu64, object);
        const uint8_t *p = bytes_at(w, offset, size, &rc, err);
        if (!p)
            break;
        bool bad = check_record(x, p, size, object, &r, &padding, &why) != 0;
        /* A record of filemarks stands for many objects: all of them are where the index says the next record is not.
         */
        uint64_t count = 1, next = 0;
        uint32_t next_size = 0;
        if (!bad || padding)
            count = r.type == SEG_FILEMARKS ? r.length : 1;
        else
            while (n + count < t.objects && !seg_index_find(x, object + count, &next, &next_size) && next == offset)
                count++;
        if (bad && n < ref->objects) /* what was overwritten is nobody's loss */
            add_bad(run, object, n + count > ref->objects ? ref->objects - n : count, padding, &why);
        if (!bad && r.type == SEG_BLOCK && n < ref->objects)
            ++*blocks;
        n += count;
    }
    tell_run(run);
    return rc;
}

static int read_index(struct window *w, struct seg_index **x, struct errtext *why, struct errtext *err)
{
    uint64_t need = seg_tail_size(w->size);
    uint8_t *tail = NULL;
    int rc = -EAGAIN;
    while (rc == -EAGAIN) {
        free(tail);
        if (need > w->size || !(tail = malloc(need)))
            return errtext_set(err, need > w->size ? -EBADMSG : -ENOMEM, "%s: %" PRIu64 " bytes of index", w->key,
                               need);
        if (w->io->pace)
            w->io->pace(w->io->arg, need);
        rc = w->io->store->ops->get(w->io->store, w->key, w->size - need, need, tail, &w->io->call, err);
        if (rc)
            break;
        rc = seg_index_decode(tail, need, w->size, x, &need, why);
        if (rc && rc != -EAGAIN && rc != -EBADMSG)
            errtext_set(err, rc, "%s: %s", w->key, why->text);
    }
    free(tail);
    return rc;
}

static int check_all(struct window *w, const struct seg_ref *ref, const struct head *head, struct run *run,
                     uint64_t *blocks, struct errtext *err)
{
    struct errtext why = {""};
    struct seg_index *x = NULL;
    int rc = read_index(w, &x, &why, err);
    if (rc == -EBADMSG && why.text[0]) { /* without it no object is found, though the records may be whole */
        run->found(run->arg, ref->first_object, ref->objects, why.text);
        return 0;
    }
    if (rc)
        return rc;
    struct seg_totals t;
    seg_index_totals(x, &t);
    const uint8_t *p = bytes_at(w, 0, SEG_HEADER_SIZE, &rc, err);
    if (p)
        check_header(p, ref, head, &t, &why);
    if (p && !why.text[0])
        check_end(x, ref, head, &t, &why);
    if (p && why.text[0])
        run->found(run->arg, ref->first_object, ref->objects, why.text);
    else if (p)
        rc = check_records(w, x, ref, run, blocks, err);
    seg_index_free(x);
    return rc;
}

int verify_segment(const struct verify_io *io, const char *key, const struct seg_ref *ref, const struct head *head,
                   verify_found found, void *arg, uint64_t *blocks, struct errtext *err)
{
    uint64_t size = 0;
    int rc = io->store->ops->head(io->store, key, &size, &io->call, err);
    if (rc)
        return rc;
    if (size != ref->size) {
        struct errtext why;
        errtext_set(&why, -EBADMSG, "the object has %" PRIu64 " bytes, should have %" PRIu64, size, ref->size);
        found(arg, ref->first_object, ref->objects, why.text);
        return 0;
    }
    struct window w = {.io = io, .key = key, .size = size, .buf = malloc(CHUNK + SEG_MAX_RECORD)};
    if (!w.buf)
        return errtext_set(err, -ENOMEM, "%s: out of memory", key);
    struct run run = {.found = found, .arg = arg};
    rc = check_all(&w, ref, head, &run, blocks, err);
    free(w.buf);
    return rc;
}
