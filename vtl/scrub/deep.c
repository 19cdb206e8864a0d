/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deep.c: from the newest segment back to the beginning of the tape; see deep.h. */
#include "vtl/scrub/deep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* A part of the tape, found backwards. */
struct part {
    const struct deep_segment *g; /* NULL: a hole */
    struct seg_id id;
    uint64_t first_object, first_file;
    bool inferred; /* first_object and first_file come from the part before */
};
struct chain {
    struct part *v;
    size_t n, room;
    uint64_t end; /* of the tape */
};

static int push(struct chain *c, const struct part *p)
{
    if (c->n == c->room && !array_grow(&c->v, &c->room, sizeof(*c->v)))
        return -ENOMEM;
    c->v[c->n++] = *p;
    return 0;
}

static const struct deep_segment *find(const struct deep_scan *s, const struct seg_id *id)
{
    for (size_t low = 0, high = s->n; low < high;) {
        size_t mid = low + (high - low) / 2;
        int order = seg_id_compare(&s->v[mid].id, id);
        if (!order)
            return &s->v[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* A cartridge of the same barcode may have been there before. */
static bool is_of(const struct deep_segment *g, const uint8_t cartridge[16])
{
    return g->header && !memcmp(g->h.cartridge, cartridge, 16);
}

static uint64_t end_of(const struct deep_segment *g)
{
    return g->h.first_object + g->objects;
}

/* The newest whole segment that a head could name: of the winning head, if there is one. */
static const struct deep_segment *newest(const struct deep_scan *s, const struct head *h)
{
    const struct deep_segment *last = h && h->inl.n_segs ? find(s, &h->inl.segs[h->inl.n_segs - 1].id) : NULL;
    if (last && is_of(last, h->cartridge) && last->index)
        return last; /* the head itself says so */
    last = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const struct deep_segment *g = &s->v[i];
        bool named = !h || (is_of(g, h->cartridge) &&
                            (g->id.epoch < h->id.epoch || (g->id.epoch == h->id.epoch && g->id.writer == h->id.writer &&
                                                           g->id.number < h->next_segment)));
        bool in_use = !h || g->h.first_object < h->end_object;
        if (g->header && g->index && named && in_use && (!last || seg_id_is_newer(&g->id, &last->id)))
            last = g;
    }
    return last;
}

/* The newest whole segment older than id which leaves room for id between itself and the part behind it. */
static const struct deep_segment *before(const struct deep_scan *s, const struct seg_id *id, const struct part *behind,
                                         const uint8_t cartridge[16])
{
    const struct deep_segment *best = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const struct deep_segment *g = &s->v[i];
        if (!seg_id_is_newer(id, &g->id) || !is_of(g, cartridge) || !g->index)
            continue;
        uint64_t end = end_of(g), file = g->h.first_file + g->filemarks;
        if (end < behind->first_object && file <= behind->first_file &&
            behind->first_file - file <= behind->first_object - end && (!best || seg_id_is_newer(&g->id, &best->id)))
            best = g;
    }
    return best;
}

static struct part part_of(const struct deep_segment *g)
{
    return (struct part){
        .g = g->index ? g : NULL, .id = g->id, .first_object = g->h.first_object, .first_file = g->h.first_file};
}

/* The part that ends at object at, of which id says that it does. */
static struct part previous(const struct deep_scan *s, const struct seg_id *id, uint64_t at,
                            const uint8_t cartridge[16], const struct deep_segment **whole)
{
    const struct deep_segment *g = find(s, id);
    bool fits = g && is_of(g, cartridge) && g->h.first_object < at && (!g->index || end_of(g) >= at);
    *whole = fits ? g : NULL;
    return fits ? part_of(g) : (struct part){.id = *id, .inferred = true};
}

static int follow(const struct deep_scan *s, const struct deep_segment *top, struct chain *c)
{
    const struct deep_segment *g = top;
    struct part p = part_of(g);
    int rc = push(c, &p);
    while (!rc && p.first_object) {
        struct part behind = p;
        struct seg_id id = g->h.prev;
        p = previous(s, &id, behind.first_object, top->h.cartridge, &g);
        if (p.inferred) { /* nothing is known of it but its name: it is all between its neighbours */
            g = before(s, &id, &behind, top->h.cartridge);
            p.first_object = g ? end_of(g) : 0;
            p.first_file = g ? g->h.first_file + g->filemarks : 0;
            rc = push(c, &p);
            if (g && !rc) {
                p = part_of(g);
                rc = push(c, &p);
            }
            if (!g)
                break;
        } else {
            rc = push(c, &p);
        }
    }
    return rc;
}

/* ---- the chain as an index ---- */

/* A hole's filemarks are somewhere in it: at its end, so that what follows has its file numbers. */
static int append_hole(struct deep *d, const struct part *p, uint64_t end, uint64_t end_file)
{
    uint64_t objects = end - p->first_object, marks = end_file - p->first_file;
    if (end_file < p->first_file || marks > objects)
        return -EBADMSG;
    struct deep_hole *holes = realloc(d->holes, (d->n_holes + 1) * sizeof(*holes));
    if (!holes)
        return -ENOMEM;
    d->holes = holes;
    d->holes[d->n_holes++] = (struct deep_hole){p->id, p->first_object, objects, p->first_file, p->inferred};
    struct seg_ref r = {.id = p->id,
                        .first_object = p->first_object,
                        .first_file = p->first_file,
                        .objects = objects,
                        .filemarks = marks,
                        .size = SEG_HEADER_SIZE + SEG_RECORD_SIZE + SEG_INDEX_ENTRY_SIZE + SEG_FOOTER_SIZE};
    struct seg_fm_run run = {end - marks, marks};
    return tape_index_append(&d->x, &r, &run, marks ? 1 : 0);
}

static int append_segment(struct deep *d, const struct deep_segment *g, uint64_t end)
{
    struct seg_ref r = {.id = g->id,
                        .first_object = g->h.first_object,
                        .first_file = g->h.first_file,
                        .objects = g->objects,
                        .filemarks = g->filemarks,
                        .size = g->size,
                        .plain_bytes = g->plain_bytes,
                        .crc = g->crc};
    int rc = tape_index_append(&d->x, &r, g->fms, g->n_fms);
    for (size_t i = 0; !rc && i < g->n_sources; i++)
        rc = leans_add(&d->x.leans, (uint32_t)d->x.n_segs - 1, &g->sources[i]);
    if (!rc && end < end_of(g))
        tape_index_truncate(&d->x, end);
    return rc;
}

static int build(const struct chain *c, struct deep *d)
{
    int rc = 0;
    for (size_t i = c->n; !rc && i-- > 0;) {
        const struct part *p = &c->v[i];
        uint64_t end = i ? c->v[i - 1].first_object : c->end;
        if (p->g)
            rc = append_segment(d, p->g, end);
        else
            rc = append_hole(d, p, end, c->v[i - 1].first_file); /* the newest part is no hole */
    }
    return rc;
}

static void count(const struct deep_scan *s, const uint8_t cartridge[16], struct deep *d)
{
    d->segments = s->n;
    d->created = UINT64_MAX;
    for (size_t i = 0; i < s->n; i++) {
        const struct deep_segment *g = &s->v[i];
        d->unreadable += !g->header || !g->index;
        if (g->id.epoch > d->epoch)
            d->epoch = g->id.epoch;
        if (g->id.number >= d->next_segment)
            d->next_segment = g->id.number + 1;
        if (is_of(g, cartridge) && g->h.created < d->created)
            d->created = g->h.created;
    }
}

static int make(const struct deep_scan *s, const char *barcode, const struct deep_options *o, struct deep *out,
                struct errtext *err)
{
    struct chain c = {0};
    const struct deep_segment *top = newest(s, o->head);
    if (!top)
        return errtext_set(err, s->n ? -EBADMSG : -ENOENT, "tapes/%s/seg/: none of %zu segments can be read", barcode,
                           s->n);
    tape_index_init(&out->x);
    memcpy(out->cartridge, top->h.cartridge, 16);
    count(s, out->cartridge, out);
    c.end = o->head && o->head->end_object < end_of(top) ? o->head->end_object : end_of(top);
    int rc = follow(s, top, &c);
    if (!rc)
        rc = build(&c, out);
    free(c.v);
    if (rc)
        deep_free(out);
    if (rc == -EBADMSG || rc == -EINVAL)
        return errtext_set(err, -EBADMSG, "tapes/%s/seg/: the segments contradict each other", barcode);
    return rc ? errtext_set(err, rc, "%s: out of memory", barcode) : 0;
}

int deep_read(struct objstore *store, const char *barcode, const struct deep_options *o, struct deep *out,
              struct errtext *err)
{
    struct deep_scan scan;
    *out = (struct deep){0};
    int rc = deep_scan(store, barcode, o, &scan, err);
    if (!rc)
        rc = make(&scan, barcode, o, out, err);
    deep_scan_free(&scan);
    return rc;
}

void deep_free(struct deep *d)
{
    tape_index_free(&d->x);
    free(d->holes);
    *d = (struct deep){0};
}
