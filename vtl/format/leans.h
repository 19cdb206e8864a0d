/* SPDX-License-Identifier: GPL-2.0-or-later */
/* leans.h: which segments a tape leans on (copies out of), and which tapes lean on it, as heads and maps say it. */
#ifndef S3VTL_LEANS_H
#define S3VTL_LEANS_H

#include <stddef.h>

#include "vtl/format/source.h"

/* One segment of a run of segments copies from a source. */
struct lean {
    uint32_t segment; /* its number in the run, from 0 */
    struct seg_source source;
};
struct leans { /* in order of segment */
    struct lean *v;
    size_t n, room;
};
/* Behind what is there: its segment is not before the last one's, else -EINVAL. 0 or -ENOMEM. */
int leans_add(struct leans *l, uint32_t segment, const struct seg_source *s);
/* Forgets those of segment n_segs and behind. */
void leans_cut(struct leans *l, size_t n_segs);
/* Those of segments [first, first + n) of from, behind what is there, the first of them as segment number at. */
int leans_append(struct leans *l, size_t at, const struct leans *from, size_t first, size_t n);
void leans_free(struct leans *l);

/* A cartridge that may lean on this one. */
struct head_leaner {
    char barcode[33];
    uint8_t cartridge[16]; /* its id */
    struct seg_id head;    /* the highest head that it had tried to put when it was listed */
};

#endif
