/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_check.c: one sealed segment, read from its first byte to its last and checked; see segment_check.h. */
#include "vtl/format/segment_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/format/segment_private.h"

/* A part of the segment in memory; the parts are asked for in order. */
struct window {
    struct seg_check *c;
    uint8_t *buf;
    uint64_t at, len;
    int failed; /* what a read returned: not damage, whatever the number */
};

/* Bytes [offset, offset + len) of the segment, or NULL with the error. len is at most SEG_MAX_RECORD. */
static const uint8_t *bytes_at(struct window *w, uint64_t offset, uint64_t len, int *rc, struct errtext *err)
{
    const struct seg_bytes *b = &w->c->bytes;
    if (offset >= w->at && offset + len <= w->at + w->len)
        return w->buf + (offset - w->at);
    uint64_t keep = offset >= w->at && offset < w->at + w->len ? w->at + w->len - offset : 0;
    if (keep)
        memmove(w->buf, w->buf + (offset - w->at), keep);
    w->at = offset;
    w->len = keep;
    uint64_t more = len - keep > w->c->chunk ? len - keep : w->c->chunk;
    if (more > b->size - offset - keep)
        more = b->size - offset - keep;
    *rc = w->failed = b->read(b->arg, offset + keep, more, w->buf + keep, err);
    if (*rc)
        return NULL;
    w->len += more;
    return w->buf;
}

/* Header of the segment: whose it is, and where it belongs. end: what its footer says. */
static void check_header(const uint8_t *p, const struct seg_check *c, const struct seg_totals *end, struct errtext *why)
{
    const struct seg_ref *ref = c->ref;
    struct seg_header h;
    if (seg_header_decode(p, SEG_HEADER_SIZE, &h, why))
        return;
    if (memcmp(h.cartridge, c->cartridge, sizeof(h.cartridge)) || strcmp(h.barcode, c->barcode))
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
static void check_end(const struct seg_index *x, const struct seg_check *c, const struct seg_totals *end,
                      struct errtext *why)
{
    const struct seg_ref *ref = c->ref;
    uint64_t offset;
    uint32_t size;
    if (seg_index_identity(x) != seg_identity(c->cartridge, &ref->id))
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
    seg_found found;
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

/* List i of that type: what is wrong with it loses no block. False: there is none, or an error. */
static bool check_list(struct window *w, const struct seg_index *x, enum seg_record_type type, size_t i, int *rc,
                       struct errtext *err)
{
    uint64_t offset = 0;
    uint32_t size = 0, len = 0;
    const void *list = NULL;
    struct errtext why = {""}, what;
    if (!seg_index_list(x, type, i, &offset, &size))
        return false;
    const uint8_t *p = bytes_at(w, offset, size, rc, err);
    if (!p)
        return false;
    if (seg_index_open_list(x, type, i, p, size, &list, &len, &why)) {
        errtext_set(&what, -EBADMSG, "a list at its end: %.400s: no block is lost", why.text);
        w->c->found(w->c->arg, w->c->ref->first_object, 0, what.text);
    }
    return true;
}

static int check_records(struct window *w, const struct seg_index *x, struct errtext *err)
{
    struct seg_check *c = w->c;
    const struct seg_ref *ref = c->ref;
    struct run run = {.found = c->found, .arg = c->arg};
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
            add_bad(&run, object, n + count > ref->objects ? ref->objects - n : count, padding, &why);
        if (!bad && r.type == SEG_BLOCK && n < ref->objects)
            c->blocks++;
        n += count;
    }
    tell_run(&run);
    static const enum seg_record_type lists[] = {SEG_CHUNKS, SEG_SOURCES};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; !rc && check_list(w, x, lists[k], i, &rc, err); i++)
            ;
    return rc;
}

/* ---- index and footer ---- */

/* -EBADMSG with *why: they are damaged. */
static int read_index(struct window *w, struct seg_index **x, struct errtext *why, struct errtext *err)
{
    const struct seg_bytes *b = &w->c->bytes;
    uint64_t need = seg_tail_size(b->size);
    uint8_t *tail = NULL;
    int rc = -EAGAIN;
    while (rc == -EAGAIN) {
        uint64_t len = need;
        free(tail);
        if (len > b->size)
            return errtext_set(why, -EBADMSG, "segment index: %" PRIu64 " bytes, more than the segment has", len);
        if (!(tail = malloc(len)))
            return errtext_set(err, -ENOMEM, "%" PRIu64 " bytes of index: out of memory", len);
        rc = w->failed = b->read(b->arg, b->size - len, len, tail, err);
        if (rc)
            break;
        rc = seg_index_decode(tail, len, b->size, x, &need, why);
        if (rc && rc != -EAGAIN && rc != -EBADMSG)
            *err = *why;
    }
    free(tail);
    return rc;
}

static int read_through_window(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    int rc = 0;
    const uint8_t *p = bytes_at(arg, offset, len, &rc, err);
    if (p)
        memcpy(buf, p, len);
    return rc;
}

/* The index from the records, where it or the footer is damaged: no block is lost by that, unless they cannot be
 * followed. why: what is wrong with it; *lost: so are the blocks. */
static int walk_index(struct window *w, struct seg_index **x, struct errtext *why, bool *lost, struct errtext *err)
{
    const struct seg_bytes through = {.read = read_through_window, .arg = w, .size = w->c->bytes.size};
    struct errtext walk = {""};
    int rc = seg_index_walk(&through, x, &walk);
    *lost = rc == -EBADMSG && !w->failed;
    if (rc && !*lost)
        *err = walk;
    if (*lost) {
        struct errtext index = *why;
        errtext_set(why, -EBADMSG, "%.250s; and without it: %.300s", index.text, walk.text);
    }
    return *lost ? 0 : rc;
}

static void tell_index(const struct seg_check *c, const struct errtext *why)
{
    struct errtext what;
    errtext_set(&what, -EBADMSG, "%.400s: no block is lost, its records tell the same", why->text);
    c->found(c->arg, c->ref->first_object, 0, what.text);
}

static void all_lost(const struct seg_check *c, const struct errtext *why)
{
    c->found(c->arg, c->ref->first_object, c->ref->objects, why->text);
}

static int check_all(struct window *w, struct errtext *err)
{
    struct seg_check *c = w->c;
    struct errtext why = {""}, damage;
    struct seg_index *x = NULL;
    struct seg_totals t;
    bool lost = false;
    int rc = read_index(w, &x, &why, err);
    bool damaged = rc == -EBADMSG && !w->failed;
    if (damaged)
        rc = walk_index(w, &x, &why, &lost, err);
    if (rc)
        return rc;
    if (lost) {
        all_lost(c, &why);
        return 0;
    }
    damage = why;
    why.text[0] = '\0';
    seg_index_totals(x, &t);
    const uint8_t *p = bytes_at(w, 0, SEG_HEADER_SIZE, &rc, err);
    if (p)
        check_header(p, c, &t, &why);
    if (p && !why.text[0])
        check_end(x, c, &t, &why);
    if (p && why.text[0]) {
        all_lost(c, &why);
    } else if (p) {
        if (damaged)
            tell_index(c, &damage);
        rc = check_records(w, x, err);
    }
    seg_index_free(x);
    return rc;
}

int seg_check(struct seg_check *c, struct errtext *err)
{
    struct window w = {.c = c, .buf = malloc(c->chunk + SEG_MAX_RECORD)};
    if (!w.buf)
        return errtext_set(err, -ENOMEM, "segment: out of memory");
    int rc = check_all(&w, err);
    free(w.buf);
    return rc;
}
