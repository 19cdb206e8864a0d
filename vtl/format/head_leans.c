/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head_leans.c: what only heads of version 3 have: what the tape leans on, and who leans on it. */
#include "vtl/format/head_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool head_has_leans(const struct head *h)
{
    return h->n_leaners || h->at_rest || h->removed || h->n_kept || h->pending.n || h->inl.leans.n;
}

static const char *sources_wrong(const struct leans *l, size_t n_segs)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].segment >= n_segs || !seg_source_possible(&l->v[i].source))
            return "leans, pending";
    return NULL;
}

static bool name_possible(const struct seg_id *id)
{
    return id->epoch >= 1 && id->epoch <= SEG_MAX_EPOCH && id->number <= SEG_MAX_SEQUENCE;
}

const char *head_leans_wrong(const struct head *h)
{
    for (size_t i = 0; i < h->n_leaners; i++) {
        const struct head_leaner *l = &h->leaners[i];
        if (!memchr(l->barcode, 0, sizeof(l->barcode)) || !barcode_ok(l->barcode) || !name_possible(&l->head))
            return "leaners";
    }
    for (size_t i = 0; i < h->n_kept; i++)
        if (!h->removed || !name_possible(&h->kept[i]))
            return "kept";
    if (h->removed && (h->n_maps || h->inl.n_segs || h->pending.n))
        return "removed";
    const char *wrong = sources_wrong(&h->inl.leans, h->inl.n_segs);
    return wrong ? wrong : sources_wrong(&h->pending, SIZE_MAX);
}

/* ---- into JSON ---- */

/* Puts a new reference into an array; false when out of memory. */
static bool add(json_t *a, json_t *value)
{
    return json_array_append_new(a, value) == 0;
}

static bool add_number(json_t *a, uint64_t v)
{
    return add(a, json_integer((json_int_t)v));
}

static bool add_name(json_t *a, const struct seg_id *id)
{
    char name[SEG_NAME_SIZE];
    seg_id_format(id, name);
    return add(a, json_string(name));
}

static bool add_hex(json_t *a, const uint8_t id[16])
{
    char text[33];
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]);
    return add(a, json_string(text));
}

static bool add_leaner(json_t *a, const struct head_leaner *l)
{
    char writer[9];
    json_t *row = json_array();
    (void)snprintf(writer, sizeof(writer), "%08" PRIx32, l->head.writer);
    bool good = add(row, json_string(l->barcode)) && add_hex(row, l->cartridge) && add_number(row, l->head.epoch) &&
                add(row, json_string(writer)) && add_number(row, l->head.number);
    return add(a, row) && good; /* takes the reference in every case */
}

size_t lean_place(struct lean_place *v, size_t *n, const struct seg_source *s)
{
    size_t i = *n; /* from the last one back: neighbours are often the same */
    while (i && (memcmp(v[i - 1].source->cartridge, s->cartridge, 16) || strcmp(v[i - 1].source->barcode, s->barcode)))
        i--;
    if (i)
        return i - 1;
    v[*n].source = s;
    return (*n)++;
}

/* What one list of leans and the table of their cartridges are made from. */
struct table {
    struct lean_place *places;
    size_t n;
};

static bool add_lean(json_t *a, struct table *t, const struct lean *l, bool numbered)
{
    json_t *row = json_array();
    bool good = row && (!numbered || add_number(row, l->segment)) &&
                add_number(row, lean_place(t->places, &t->n, &l->source)) && add_name(row, &l->source.id) &&
                add_number(row, l->source.size) && add_number(row, l->source.crc);
    return add(a, row) && good;
}

static bool put_leans(json_t *j, const char *key, struct table *t, const struct leans *l, bool numbered)
{
    json_t *a = l->n ? json_array() : NULL;
    bool good = !l->n || a;
    for (size_t i = 0; good && i < l->n; i++)
        good = add_lean(a, t, &l->v[i], numbered);
    return (!l->n || !json_object_set_new(j, key, a)) && good;
}

static bool put_sources(json_t *j, const struct table *t)
{
    json_t *a = t->n ? json_array() : NULL;
    bool good = !t->n || a;
    for (size_t i = 0; good && i < t->n; i++) {
        json_t *row = json_array();
        good =
            row && add(row, json_string(t->places[i].source->barcode)) && add_hex(row, t->places[i].source->cartridge);
        good = add(a, row) && good;
    }
    return (!t->n || !json_object_set_new(j, "sources", a)) && good;
}

static bool put_leaners(json_t *j, const struct head *h)
{
    json_t *a = h->n_leaners ? json_array() : NULL;
    bool good = !h->n_leaners || a;
    for (size_t i = 0; good && i < h->n_leaners; i++)
        good = add_leaner(a, &h->leaners[i]);
    return (!h->n_leaners || !json_object_set_new(j, "leaners", a)) && good;
}

static bool put_removed(json_t *j, const struct head *h)
{
    if (!h->removed)
        return true;
    json_t *a = json_array();
    bool good = a != NULL;
    for (size_t i = 0; good && i < h->n_kept; i++)
        good = add_name(a, &h->kept[i]);
    return !json_object_set_new(j, "removed", json_true()) && !json_object_set_new(j, "kept", a) && good;
}

bool head_put_leans(json_t *j, const struct head *h)
{
    struct table t = {.places = calloc(h->inl.leans.n + h->pending.n + 1, sizeof(*t.places))};
    bool good = t.places && !json_object_set_new(j, "at_rest", json_boolean(h->at_rest)) && put_leaners(j, h) &&
                put_removed(j, h) && put_leans(j, "leans", &t, &h->inl.leans, true) &&
                put_leans(j, "pending", &t, &h->pending, false) && put_sources(j, &t);
    free(t.places);
    return good;
}

/* ---- out of JSON ---- */

static bool to_id(const json_t *v, uint8_t out[16])
{
    const char *s = json_string_value(v);
    if (!s || strlen(s) != 32 || strspn(s, "0123456789abcdef") != 32)
        return false;
    for (size_t i = 0; i < 16; i++) {
        char pair[3] = {s[2 * i], s[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool to_barcode(const json_t *v, char out[33])
{
    const char *s = json_string_value(v);
    if (!s || !barcode_ok(s))
        return false;
    memcpy(out, s, strlen(s) + 1); /* barcode_ok: 32 characters at most */
    return true;
}

static bool to_writer(const json_t *v, uint32_t *out)
{
    const char *s = json_string_value(v);
    if (!s || strlen(s) != 8 || strspn(s, "0123456789abcdef") != 8)
        return false;
    *out = (uint32_t)strtoul(s, NULL, 16);
    return true;
}

static bool to_name(const json_t *v, struct seg_id *id)
{
    const char *s = json_string_value(v);
    return s && seg_id_parse(s, id);
}

static bool to_number(const json_t *v, uint64_t max, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

/* An array that may be absent: then *n is 0. */
static int rows_of(const json_t *j, const char *key, const json_t **a, size_t *n)
{
    *a = json_object_get(j, key);
    *n = json_array_size(*a); /* 0 for what is no array */
    return !*a || json_is_array(*a) ? 0 : -EBADMSG;
}

static int get_leaners(const json_t *j, struct head *h)
{
    const json_t *a;
    size_t n;
    if (rows_of(j, "leaners", &a, &n))
        return -EBADMSG;
    h->leaners = calloc(n + 1, sizeof(*h->leaners));
    if (!h->leaners)
        return -ENOMEM;
    for (; h->n_leaners < n; h->n_leaners++) {
        const json_t *row = json_array_get(a, h->n_leaners);
        struct head_leaner *l = &h->leaners[h->n_leaners];
        if (json_array_size(row) != 5 || !to_barcode(json_array_get(row, 0), l->barcode) ||
            !to_id(json_array_get(row, 1), l->cartridge) ||
            !to_number(json_array_get(row, 2), SEG_MAX_EPOCH, &l->head.epoch) ||
            !to_writer(json_array_get(row, 3), &l->head.writer) ||
            !to_number(json_array_get(row, 4), SEG_MAX_SEQUENCE, &l->head.number))
            return -EBADMSG;
    }
    return 0;
}

static int get_kept(const json_t *j, struct head *h)
{
    const json_t *a, *removed = json_object_get(j, "removed");
    size_t n;
    if ((removed && !json_is_boolean(removed)) || rows_of(j, "kept", &a, &n))
        return -EBADMSG;
    h->removed = json_is_true(removed);
    h->kept = calloc(n + 1, sizeof(*h->kept));
    if (!h->kept)
        return -ENOMEM;
    for (; h->n_kept < n; h->n_kept++)
        if (!to_name(json_array_get(a, h->n_kept), &h->kept[h->n_kept]))
            return -EBADMSG;
    return 0;
}

static bool to_lean(const json_t *row, const json_t *sources, bool numbered, struct lean *l)
{
    const size_t at = numbered;
    uint64_t segment = 0, place = 0, crc = 0;
    if (json_array_size(row) != 4 + at || (numbered && !to_number(json_array_get(row, 0), UINT32_MAX, &segment)) ||
        !to_number(json_array_get(row, at), UINT32_MAX, &place) ||
        !to_name(json_array_get(row, at + 1), &l->source.id) ||
        !to_number(json_array_get(row, at + 2), SEG_MAX_SIZE, &l->source.size) ||
        !to_number(json_array_get(row, at + 3), UINT32_MAX, &crc))
        return false;
    const json_t *whose = json_array_get(sources, place);
    l->segment = (uint32_t)segment;
    l->source.crc = (uint32_t)crc;
    return json_array_size(whose) == 2 && to_barcode(json_array_get(whose, 0), l->source.barcode) &&
           to_id(json_array_get(whose, 1), l->source.cartridge);
}

static int get_leans(const json_t *j, const char *key, bool numbered, struct leans *out)
{
    const json_t *a, *sources;
    size_t n, n_sources;
    if (rows_of(j, key, &a, &n) || rows_of(j, "sources", &sources, &n_sources))
        return -EBADMSG;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        struct lean l = {0};
        rc = to_lean(json_array_get(a, i), sources, numbered, &l) ? leans_add(out, l.segment, &l.source) : -EBADMSG;
    }
    return rc == -EINVAL ? -EBADMSG : rc;
}

int head_get_leans(const json_t *j, struct head *h)
{
    const json_t *at_rest = json_object_get(j, "at_rest");
    if (!json_is_boolean(at_rest))
        return -EBADMSG;
    h->at_rest = json_is_true(at_rest);
    int rc = get_leaners(j, h);
    if (!rc)
        rc = get_kept(j, h);
    if (!rc)
        rc = get_leans(j, "leans", true, &h->inl.leans);
    return rc ? rc : get_leans(j, "pending", false, &h->pending);
}
