/* SPDX-License-Identifier: GPL-2.0-or-later */
/* leans.c: lists of what a tape leans on; see leans.h. */
#include "vtl/format/leans.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

int leans_add(struct leans *l, uint32_t segment, const struct seg_source *s)
{
    if (l->n && segment < l->v[l->n - 1].segment)
        return -EINVAL;
    if (l->n == l->room && !array_grow(&l->v, &l->room, sizeof(*l->v)))
        return -ENOMEM;
    l->v[l->n++] = (struct lean){segment, *s};
    return 0;
}

void leans_cut(struct leans *l, size_t n_segs)
{
    while (l->n && l->v[l->n - 1].segment >= n_segs)
        l->n--;
}

int leans_append(struct leans *l, size_t at, const struct leans *from, size_t first, size_t n)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < from->n; i++) {
        size_t segment = from->v[i].segment;
        if (segment >= first && segment - first < n)
            rc = leans_add(l, (uint32_t)(at + segment - first), &from->v[i].source);
    }
    return rc;
}

void leans_free(struct leans *l)
{
    free(l->v);
    *l = (struct leans){0};
}
