/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lent_cache.c: at the start, which files of the spool are cache though this state has no cartridge of that barcode. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/event.h"
#include "vtl/library/library_private.h"

/*
 * Blocks that copy out of a tape are read from that tape's segments, which may be of one that was removed since, or is
 * another library's. What a tape of this state leans on is stored, so a file of it is cache. Any other file of an unknown
 * barcode may be all that is left of something.
 */
struct lent {
    char barcode[33];
    struct seg_id id;
};
struct strangers {
    const struct library *lib;
    struct lent *v;
    size_t n, room;
};

static int compare(const void *a, const void *b)
{
    const struct lent *x = a, *y = b;
    int by_barcode = strcmp(x->barcode, y->barcode);
    return by_barcode ? by_barcode : seg_id_compare(&x->id, &y->id);
}

static struct lent lent_of(const char *barcode, const struct seg_id *id)
{
    struct lent l = {.id = *id};
    (void)snprintf(l.barcode, sizeof(l.barcode), "%s", barcode);
    return l;
}

static bool is_known(const struct library *lib, const char *barcode)
{
    size_t i = library_position(lib, barcode);
    return i < lib->n_cartridges && !strcmp(cartridge_barcode(lib->cartridges[i]), barcode);
}

/* Notes it, and leaves it as it is. Without the memory for it the file is kept. */
static bool note_stranger(void *arg, const char *barcode, const struct seg_id *id)
{
    struct strangers *s = arg;
    if (is_known(s->lib, barcode))
        return false;
    if (s->n == s->room && !array_grow(&s->v, &s->room, sizeof(*s->v)))
        return false;
    s->v[s->n++] = lent_of(barcode, id);
    return false;
}

static int any_leaner(void *arg, const char *barcode)
{
    (void)barcode;
    *(bool *)arg = true;
    return 1;
}

static bool is_lent(struct library *lib, const struct lent *l)
{
    bool any = false;
    if (db_leaners_of(lib->eng.db, l->barcode, &l->id, any_leaner, &any) < 0)
        log_event(EVENT_STATE_FAILED, "state: %s", db_error(lib->eng.db));
    return any;
}

static bool is_noted(void *arg, const char *barcode, const struct seg_id *id)
{
    const struct strangers *s = arg;
    const struct lent l = lent_of(barcode, id);
    return bsearch(&l, s->v, s->n, sizeof(l), compare) != NULL;
}

void library_find_lent_cache(struct library *lib)
{
    struct strangers s = {.lib = lib};
    size_t n = 0;
    spool_mark_stored(lib->eng.spool, note_stranger, &s);
    for (size_t i = 0; i < s.n; i++)
        if (is_lent(lib, &s.v[i]))
            s.v[n++] = s.v[i];
    s.n = n;
    if (n) {
        qsort(s.v, n, sizeof(*s.v), compare);
        spool_mark_stored(lib->eng.spool, is_noted, &s);
    }
    free(s.v);
}
