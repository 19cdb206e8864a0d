/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapeindex.c: the index of a cartridge: what is appended, cut and looked up; see tapeindex.h. */
#include "vtl/format/tapeindex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define MAX_NUMBER (UINT64_C(1) << 62) /* vtl/FORMAT.md, limits: sums of two never overflow */

void tape_index_init(struct tape_index *x)
{
    memset(x, 0, sizeof(*x));
}

void tape_index_free(struct tape_index *x)
{
    free(x->segs);
    free(x->fms);
    leans_free(&x->leans);
    tape_index_init(x);
}

/* ---- where it ends ---- */

uint64_t tape_index_end_object(const struct tape_index *x)
{
    return x->n_segs ? x->segs[x->n_segs - 1].first_object + x->segs[x->n_segs - 1].objects : 0;
}

uint64_t tape_index_end_file(const struct tape_index *x)
{
    return x->n_segs ? x->segs[x->n_segs - 1].first_file + x->segs[x->n_segs - 1].filemarks : 0;
}

uint64_t tape_index_plain_bytes(const struct tape_index *x)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x->n_segs; i++)
        n += x->segs[i].plain_bytes;
    return n;
}

/* tapeindex.h's invariants, at the end, where every change is: the last two segments join, and the last run of
 * filemarks lies inside and ends the count of files. */
static bool ends_well(const struct tape_index *x)
{
    const struct seg_ref *s = x->n_segs ? &x->segs[x->n_segs - 1] : NULL, *before = x->n_segs > 1 ? s - 1 : NULL;
    const struct tape_fm *f = x->n_fms ? &x->fms[x->n_fms - 1] : NULL;
    bool joins = !before || (before->first_object + before->objects == s->first_object &&
                             before->first_file + before->filemarks == s->first_file);
    bool apart = x->n_fms < 2 || (f - 1)->object + (f - 1)->count < f->object;
    bool inside = !f || (f->count && f->object + f->count <= tape_index_end_object(x) &&
                         f->file + f->count == tape_index_end_file(x));
    return joins && apart && inside && (!s || (s->objects && s->filemarks <= s->objects));
}

/* ---- growing ---- */

int tape_index_reserve(struct tape_index *x, size_t segs, size_t fms)
{
    if (x->n_segs + segs > x->room_segs) {
        size_t room = x->n_segs + segs + x->room_segs;
        struct seg_ref *v = realloc(x->segs, room * sizeof(*v));
        if (!v)
            return -ENOMEM;
        x->segs = v;
        x->room_segs = room;
    }
    if (x->n_fms + fms > x->room_fms) {
        size_t room = x->n_fms + fms + x->room_fms;
        struct tape_fm *v = realloc(x->fms, room * sizeof(*v));
        if (!v)
            return -ENOMEM;
        x->fms = v;
        x->room_fms = room;
    }
    return 0;
}

/* Room for it must be reserved. */
static void add_fm(struct tape_index *x, uint64_t object, uint64_t count, uint64_t file)
{
    struct tape_fm *last = x->n_fms ? &x->fms[x->n_fms - 1] : NULL;
    if (last && last->object + last->count == object)
        last->count += count;
    else
        x->fms[x->n_fms++] = (struct tape_fm){.object = object, .count = count, .file = file};
}

static bool ref_possible(const struct seg_ref *r)
{
    return r->objects && r->first_object <= MAX_NUMBER && r->objects <= MAX_NUMBER - r->first_object &&
           r->filemarks <= r->objects && r->first_file <= r->first_object && r->plain_bytes <= MAX_NUMBER &&
           r->size <= MAX_NUMBER;
}

/* Do the segments join, the first one at object and file? */
static bool segs_join(const struct seg_ref *segs, size_t n, uint64_t object, uint64_t file)
{
    for (size_t i = 0; i < n; i++) {
        if (!ref_possible(&segs[i]) || segs[i].first_object != object || segs[i].first_file != file)
            return false;
        object += segs[i].objects;
        file += segs[i].filemarks;
    }
    return true;
}

/* Are the runs in order, without overlap, and is their sum within each segment that segment's number of filemarks? A
 * run may span segments. */
static bool runs_fit(const struct seg_ref *segs, size_t n, const struct seg_fm_run *fms, size_t n_fms)
{
    uint64_t at = n ? segs[0].first_object : 0, sum = 0;
    size_t s = 0;
    for (size_t i = 0; i < n_fms; i++) {
        uint64_t from = fms[i].object, left = fms[i].count;
        if (from < at || !left || left > MAX_NUMBER)
            return false;
        while (left) {
            while (s < n && from >= segs[s].first_object + segs[s].objects) {
                if (sum != segs[s].filemarks)
                    return false;
                sum = 0;
                s++;
            }
            if (s == n)
                return false;
            uint64_t room = segs[s].first_object + segs[s].objects - from;
            uint64_t part = left < room ? left : room;
            sum += part;
            from += part;
            left -= part;
        }
        at = from;
    }
    for (; s < n; s++, sum = 0)
        if (sum != segs[s].filemarks)
            return false;
    return true;
}

/* Puts them behind what is there, unless something does not fit: then x is as it was. */
static int add(struct tape_index *x, const struct seg_ref *segs, size_t n, const struct seg_fm_run *fms, size_t n_fms)
{
    if (!runs_fit(segs, n, fms, n_fms))
        return -EINVAL;
    int rc = tape_index_reserve(x, n, n_fms);
    if (rc)
        return rc;
    uint64_t file = n ? segs[0].first_file : 0;
    for (size_t i = 0; i < n_fms; i++) {
        add_fm(x, fms[i].object, fms[i].count, file);
        file += fms[i].count;
    }
    if (n)
        memcpy(x->segs + x->n_segs, segs, n * sizeof(*segs));
    x->n_segs += n;
    INVARIANT(ends_well(x));
    return 0;
}

int tape_index_append(struct tape_index *x, const struct seg_ref *ref, const struct seg_fm_run *fms, size_t n_fms)
{
    return tape_index_append_many(x, ref, 1, fms, n_fms);
}

int tape_index_append_many(struct tape_index *x, const struct seg_ref *refs, size_t n, const struct seg_fm_run *fms,
                           size_t n_fms)
{
    if (!segs_join(refs, n, tape_index_end_object(x), tape_index_end_file(x)))
        return -EINVAL;
    return add(x, refs, n, fms, n_fms);
}

int tape_index_build(struct tape_index *x, const struct seg_ref *refs, size_t n, const struct seg_fm_run *fms,
                     size_t n_fms)
{
    tape_index_init(x);
    if (n && !segs_join(refs, n, refs[0].first_object, refs[0].first_file))
        return -EINVAL;
    return add(x, refs, n, fms, n_fms);
}

int tape_index_copy(struct tape_index *dst, const struct tape_index *src)
{
    tape_index_init(dst);
    int rc = tape_index_reserve(dst, src->n_segs, src->n_fms);
    if (rc) {
        tape_index_free(dst);
        return rc;
    }
    if (src->n_segs)
        memcpy(dst->segs, src->segs, src->n_segs * sizeof(*src->segs));
    if (src->n_fms)
        memcpy(dst->fms, src->fms, src->n_fms * sizeof(*src->fms));
    dst->n_segs = src->n_segs;
    dst->n_fms = src->n_fms;
    if (leans_append(&dst->leans, 0, &src->leans, 0, src->n_segs)) {
        tape_index_free(dst);
        return -ENOMEM;
    }
    return 0;
}

int tape_index_grow_block(struct tape_index *x, uint32_t len)
{
    if (!x->n_segs || tape_index_end_object(x) >= MAX_NUMBER)
        return -EINVAL;
    x->segs[x->n_segs - 1].objects++;
    x->segs[x->n_segs - 1].plain_bytes += len;
    return 0;
}

int tape_index_grow_filemarks(struct tape_index *x, uint64_t count)
{
    uint64_t end = tape_index_end_object(x);
    if (!x->n_segs || !count || count > MAX_NUMBER - end)
        return -EINVAL;
    int rc = tape_index_reserve(x, 0, 1);
    if (rc)
        return rc;
    add_fm(x, end, count, tape_index_end_file(x));
    x->segs[x->n_segs - 1].objects += count;
    x->segs[x->n_segs - 1].filemarks += count;
    INVARIANT(ends_well(x));
    return 0;
}

/* ---- cutting ---- */

/* How many runs begin before object. */
static size_t runs_before(const struct tape_index *x, uint64_t object)
{
    size_t lo = 0, hi = x->n_fms;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->fms[mid].object < object)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* How many segments begin before object. */
static size_t segs_before(const struct tape_index *x, uint64_t object)
{
    size_t lo = 0, hi = x->n_segs;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->segs[mid].first_object < object)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void cut_segment(struct seg_ref *r, uint64_t objects, uint64_t filemarks)
{
    uint64_t had = r->objects - r->filemarks, has = objects - filemarks;
    r->plain_bytes = had ? (uint64_t)((unsigned __int128)r->plain_bytes * has / had) : 0;
    r->objects = objects;
    r->filemarks = filemarks;
}

void tape_index_truncate(struct tape_index *x, uint64_t object)
{
    if (object >= tape_index_end_object(x))
        return;
    uint64_t file = tape_index_file_of(x, object);
    x->n_segs = segs_before(x, object);
    leans_cut(&x->leans, x->n_segs);
    if (x->n_segs) {
        struct seg_ref *last = &x->segs[x->n_segs - 1];
        if (object < last->first_object + last->objects)
            cut_segment(last, object - last->first_object, file - last->first_file);
    }
    x->n_fms = runs_before(x, object);
    if (x->n_fms) {
        struct tape_fm *last = &x->fms[x->n_fms - 1];
        if (last->object + last->count > object)
            last->count = object - last->object;
    }
    INVARIANT(!x->n_segs || (tape_index_end_object(x) == object && tape_index_end_file(x) == file));
    INVARIANT(ends_well(x));
}

/* ---- looking up ---- */

const struct seg_ref *tape_index_segment(const struct tape_index *x, uint64_t object, size_t *i)
{
    if (object >= tape_index_end_object(x))
        return NULL;
    size_t n = segs_before(x, object + 1);
    if (!n)
        return NULL; /* before the first one of a slice */
    if (i)
        *i = n - 1;
    return &x->segs[n - 1];
}

uint64_t tape_index_file_of(const struct tape_index *x, uint64_t object)
{
    size_t n = runs_before(x, object);
    if (!n)
        return x->n_segs ? x->segs[0].first_file : 0;
    const struct tape_fm *r = &x->fms[n - 1];
    uint64_t inside = object - r->object;
    return r->file + (inside < r->count ? inside : r->count);
}

bool tape_index_is_filemark(const struct tape_index *x, uint64_t object)
{
    size_t n = object < UINT64_MAX ? runs_before(x, object + 1) : 0;
    return n && object - x->fms[n - 1].object < x->fms[n - 1].count;
}

bool tape_index_file_start(const struct tape_index *x, uint64_t f, uint64_t *object)
{
    if (!f) {
        *object = 0;
        return true;
    }
    size_t lo = 0, hi = x->n_fms; /* the last run with fewer than f filemarks before it */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->fms[mid].file < f)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo || f - x->fms[lo - 1].file > x->fms[lo - 1].count)
        return false;
    *object = x->fms[lo - 1].object + (f - x->fms[lo - 1].file);
    return true;
}

bool tape_index_next_filemark(const struct tape_index *x, uint64_t object, uint64_t *fm)
{
    size_t n = runs_before(x, object);
    if (n && object - x->fms[n - 1].object < x->fms[n - 1].count) {
        *fm = object;
        return true;
    }
    if (n == x->n_fms)
        return false;
    *fm = x->fms[n].object;
    return true;
}

bool tape_index_prev_filemark(const struct tape_index *x, uint64_t object, uint64_t *fm)
{
    size_t n = runs_before(x, object);
    if (!n)
        return false;
    uint64_t end = x->fms[n - 1].object + x->fms[n - 1].count;
    *fm = (object < end ? object : end) - 1;
    return true;
}
