/* SPDX-License-Identifier: GPL-2.0-or-later */
/* history.c: see history.h. */
#include "tests/twins/history.h"

#include <stdlib.h>
#include <string.h>

void history_start(struct history *h)
{
    h->n = 1;
    h->v[0].parent = 0;
    h->v[0].synced = false;
    h->v[0].c.n = 0;
}

size_t history_add(struct history *h, size_t parent, size_t cut, const uint64_t *object)
{
    if (h->n == MAX_VERSIONS || cut > h->v[parent].c.n || cut + 1 > MAX_OBJECTS)
        abort();
    struct version *v = &h->v[h->n];
    v->parent = parent;
    v->synced = false;
    v->c.n = cut;
    memcpy(v->c.object, h->v[parent].c.object, cut * sizeof(v->c.object[0]));
    if (object)
        v->c.object[v->c.n++] = *object;
    return h->n++;
}

static bool comes_after(const struct history *h, size_t version, size_t before)
{
    while (version > before)
        version = h->v[version].parent;
    return version == before;
}

bool history_is_current(const struct history *h, size_t version)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].synced && !comes_after(h, version, i))
            return false;
    return true;
}

size_t history_find(const struct history *h, const struct content *c)
{
    size_t found = HISTORY_NONE;
    for (size_t i = h->n; i--;) {
        if (h->v[i].c.n != c->n || memcmp(h->v[i].c.object, c->object, c->n * sizeof(c->object[0])))
            continue;
        if (history_is_current(h, i))
            return i;
        found = found == HISTORY_NONE ? i : found;
    }
    return found;
}
