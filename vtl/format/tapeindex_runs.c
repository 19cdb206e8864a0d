/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapeindex_runs.c: parts of a tape index: the filemark runs of a stretch of objects, and a slice of segments. */
#include "vtl/format/tapeindex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Number of the first filemark run that ends behind object. */
static size_t first_run(const struct tape_index *x, uint64_t object)
{
    size_t lo = 0, hi = x->n_fms;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->fms[mid].object + x->fms[mid].count > object)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

int tape_index_runs(const struct tape_index *x, uint64_t first, uint64_t end, struct seg_fm_run **out, size_t *n)
{
    size_t a = first_run(x, first), b = a;
    while (first < end && b < x->n_fms && x->fms[b].object < end)
        b++;
    *n = b - a;
    *out = NULL;
    if (a == b)
        return 0;
    struct seg_fm_run *runs = calloc(b - a, sizeof(*runs));
    if (!runs)
        return -ENOMEM;
    for (size_t i = a; i < b; i++) {
        uint64_t from = x->fms[i].object, to = from + x->fms[i].count;
        from = from < first ? first : from;
        to = to > end ? end : to;
        runs[i - a] = (struct seg_fm_run){from, to - from};
    }
    *out = runs;
    return 0;
}

int tape_index_slice(struct tape_index *dst, const struct tape_index *src, size_t first, size_t n)
{
    tape_index_init(dst);
    if (!n)
        return 0;
    const struct seg_ref *a = &src->segs[first], *z = &src->segs[first + n - 1];
    struct seg_fm_run *runs = NULL;
    size_t n_runs = 0;
    int rc = tape_index_runs(src, a->first_object, z->first_object + z->objects, &runs, &n_runs);
    if (rc)
        return rc;
    dst->segs = malloc(n * sizeof(*dst->segs));
    dst->fms = malloc((n_runs ? n_runs : 1) * sizeof(*dst->fms));
    if (!dst->segs || !dst->fms) {
        free(runs);
        tape_index_free(dst);
        return -ENOMEM;
    }
    memcpy(dst->segs, a, n * sizeof(*a));
    dst->n_segs = dst->room_segs = n;
    uint64_t file = a->first_file;
    for (size_t i = 0; i < n_runs; i++) {
        dst->fms[i] = (struct tape_fm){.object = runs[i].object, .count = runs[i].count, .file = file};
        file += runs[i].count;
    }
    dst->n_fms = n_runs;
    dst->room_fms = n_runs ? n_runs : 1;
    free(runs);
    if (leans_append(&dst->leans, 0, &src->leans, first, n)) {
        tape_index_free(dst);
        return -ENOMEM;
    }
    return 0;
}
