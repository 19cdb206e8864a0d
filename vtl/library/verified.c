/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verified.c: what a scrub found, kept with the cartridge: in its row, its heads, its MAM, and as a TapeAlert flag. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "base/lock.h"
#include "vtl/format/barcode.h"
#include "vtl/library/tapes.h"

struct found {
    uint64_t objects, lost, from;
};

/* Tells the drive that it is in, too. */
static void alert(struct library *lib, const char *barcode)
{
    lock_take(&lib->lock);
    const struct element *e = library_place(lib, barcode);
    struct drive *d = e ? library_drive_at(lib, e) : NULL;
    lock_release(&lib->lock);
    if (d)
        drive_tape_ops.alert(d, ALERT_MEDIA);
}

static bool get_number(const json_t *request, const char *key, uint64_t *n)
{
    const json_t *j = json_object_get(request, key);
    *n = (uint64_t)json_integer_value(j);
    return json_is_integer(j) && json_integer_value(j) >= 0;
}

/* 32 hex digits. */
static bool read_id(const char *hex, uint8_t id[16])
{
    for (int i = 0; hex && i < 16; i++)
        if (!isxdigit((unsigned char)hex[2 * i]) || !isxdigit((unsigned char)hex[2 * i + 1]) ||
            sscanf(hex + 2 * i, "%2hhx", &id[i]) != 1)
            return false;
    return hex && !hex[32];
}

static bool is_it(const struct cartridge *c, const uint8_t id[16])
{
    return !memcmp(cartridge_id(c), id, 16); /* another one may have got the barcode since */
}

/* ---- the segments that are damaged ---- */

static bool read_key(const json_t *key, const char *barcode, struct seg_id *id)
{
    char prefix[DB_KEY_SIZE];
    const char *text = json_string_value(key);
    (void)snprintf(prefix, sizeof(prefix), "tapes/%.40s/seg/", barcode);
    return text && object_name_at(text, prefix, id);
}

/* The cartridge's own: malloc'd, NULL with *n 0: out of memory. */
static struct seg_id *read_keys(const json_t *keys, const char *barcode, size_t *n)
{
    struct seg_id *ids = calloc(json_array_size(keys) + 1, sizeof(*ids));
    const json_t *key;
    size_t i;
    *n = 0;
    json_array_foreach(keys, i, key)
    {
        if (ids && read_key(key, barcode, &ids[*n]))
            ++*n;
    }
    return ids;
}

/* One that the cartridge leans on, and no head names. */
static bool read_source(const json_t *j, struct seg_source *s)
{
    const char *barcode = json_string_value(json_object_get(j, "barcode"));
    *s = (struct seg_source){.size = 0};
    if (!barcode || !barcode_ok(barcode) || !read_id(json_string_value(json_object_get(j, "cartridge")), s->cartridge))
        return false;
    (void)snprintf(s->barcode, sizeof(s->barcode), "%s", barcode);
    return read_key(json_object_get(j, "key"), s->barcode, &s->id);
}

/* c: NULL: it is another cartridge by now. Once its tape is written over it counts as whole, while those who lean on what it had
 * keep that. */
static int mark(struct library *lib, const struct cartridge *c, const struct seg_id *ids, size_t n,
                const json_t *sources)
{
    struct seg_source s;
    const json_t *j;
    size_t i;
    int rc = c ? db_damaged_found(lib->eng.db, cartridge_id(c), ids, n) : 0;
    json_array_foreach(sources, i, j)
    {
        if (!rc && read_source(j, &s))
            rc = db_damaged_add(lib->eng.db, s.cartridge, &s.id, 1);
    }
    return rc;
}

/* ---- whom that hurts ---- */

struct hurting {
    json_t *seen; /* an object: of each pair */
    json_t *list;
    const char *of, *but;
};

static int add_hurt(void *arg, const char *barcode)
{
    struct hurting *h = arg;
    char pair[2 * 40];
    (void)snprintf(pair, sizeof(pair), "%.33s %.33s", barcode, h->of);
    if ((h->but && !strcmp(barcode, h->but)) || json_object_get(h->seen, pair))
        return 0;
    return json_object_set_new(h->seen, pair, json_true()) ||
                   json_array_append_new(h->list, json_pack("{s:s, s:s}", "barcode", barcode, "of", h->of))
               ? -ENOMEM
               : 0;
}

static int add_hurts(struct library *lib, const char *barcode, const struct seg_id *ids, size_t n,
                     const json_t *sources, struct hurting *h)
{
    struct seg_source s;
    const json_t *j;
    size_t i;
    int rc = h->seen && h->list ? 0 : -ENOMEM;
    h->of = barcode;
    for (i = 0; !rc && i < n; i++)
        rc = db_leaners_of(lib->eng.db, barcode, &ids[i], add_hurt, h);
    h->but = barcode; /* its own message says so */
    json_array_foreach(sources, i, j)
    {
        if (rc || !read_source(j, &s))
            continue;
        h->of = s.barcode;
        rc = db_leaners_of(lib->eng.db, s.barcode, &s.id, add_hurt, h);
    }
    return rc;
}

/* Each cartridge that leans on one of these segments, and whose that is. NULL with *err. */
static json_t *hurt_by(struct library *lib, const char *barcode, const struct seg_id *ids, size_t n,
                       const json_t *sources, struct errtext *err)
{
    struct hurting h = {json_object(), json_array(), barcode, NULL};
    int rc = add_hurts(lib, barcode, ids, n, sources, &h);
    json_decref(h.seen);
    if (!rc)
        return h.list;
    json_decref(h.list);
    errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db));
    return NULL;
}

/* ---- */

static int record(struct library *lib, struct cartridge *c, const struct found *f, struct errtext *err)
{
    const char *barcode = cartridge_barcode(c);
    int rc = cartridge_load(c, err);
    if (rc)
        return rc;
    bool ours = tapes_may_be_theirs(lib, c) == OBJ_NO; /* to claim it would take it from whoever has imported it */
    rc = cartridge_set_verified(c, f->objects, f->lost, f->from, &ours);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db));
    if (f->lost)
        alert(lib, barcode);
    if (f->lost && lib->eng.workers) /* else verify's own message is all that there is a reader for */
        log_event(EVENT_DAMAGE, "%s: verify: %llu objects cannot be read back, from object %llu on", barcode,
                  (unsigned long long)f->lost, (unsigned long long)f->from);
    if (ours)
        tapes_commit_row(c);
    cartridge_unload_if_clean(c);
    return 0;
}

/* c: NULL: it is another cartridge by now. */
static json_t *take(struct library *lib, struct cartridge *c, const json_t *request, const struct found *f,
                    struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    const json_t *sources = json_object_get(request, "sources");
    size_t n = 0;
    struct seg_id *ids = read_keys(json_object_get(request, "keys"), barcode, &n);
    json_t *hurt = NULL;
    int rc = ids ? mark(lib, c, ids, n, sources) : -ENOMEM;
    if (rc)
        errtext_set(err, rc, "%s: state: %s", barcode, ids ? db_error(lib->eng.db) : "out of memory");
    else if (!c || !record(lib, c, f, err))
        hurt = hurt_by(lib, barcode, ids, n, sources, err);
    free(ids);
    return hurt ? json_pack("{s:s, s:b, s:o}", "barcode", barcode, "recorded", (int)(c != NULL), "hurt", hurt) : NULL;
}

json_t *tapes_verified(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    const char *hex = json_string_value(json_object_get(request, "cartridge"));
    uint8_t id[16];
    struct found f;
    if (!barcode || !hex || !get_number(request, "objects", &f.objects) || !get_number(request, "lost", &f.lost) ||
        !get_number(request, "from", &f.from)) {
        errtext_set(err, -EINVAL, "tape-verified: barcode, cartridge, objects, lost and from are needed");
        return NULL;
    }
    struct cartridge *c = library_cartridge(lib, barcode);
    return take(lib, c && read_id(hex, id) && is_it(c, id) ? c : NULL, request, &f, err);
}
