/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head.c: a head's life, and its way into JSON; see head.h. */
#include "vtl/format/head_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void head_init(struct head *h)
{
    memset(h, 0, sizeof(*h));
    tape_index_init(&h->inl);
}

void head_free(struct head *h)
{
    json_decref(h->mam);
    json_decref(h->counters);
    free(h->maps);
    tape_index_free(&h->inl);
    free(h->leaners);
    leans_free(&h->pending);
    free(h->kept);
    head_init(h);
}

/* ---- what both directions demand ---- */

static bool id_possible(const struct seg_id *id)
{
    return id->epoch >= 1 && id->epoch <= SEG_MAX_EPOCH && id->number <= SEG_MAX_SEQUENCE;
}

/* The maps in order, and before the inline segments. */
static const char *maps_wrong(const struct head *h)
{
    for (size_t i = 0; i < h->n_maps; i++) {
        const struct map_ref *m = &h->maps[i];
        if (!id_possible(&m->id) || !m->n_segs || m->n_segs > MAP_MAX_SEGS || m->first_object > SEG_MAX_NUMBER ||
            m->size > MAP_MAX_SIZE)
            return "maps";
        if (i ? m->first_object <= h->maps[i - 1].first_object : m->first_object != 0)
            return "maps: order";
    }
    return NULL;
}

static const char *segments_wrong(const struct head *h)
{
    const struct tape_index *x = &h->inl;
    for (size_t i = 0; i < x->n_segs; i++)
        if (!x->segs[i].size || !id_possible(&x->segs[i].id))
            return "segments";                                                 /* an open segment is no object yet */
    uint64_t mapped = h->n_maps ? h->maps[h->n_maps - 1].first_object + 1 : 0; /* a map holds one object or more */
    if (x->n_segs) {
        uint64_t first = x->segs[0].first_object;
        if (h->n_maps ? first < mapped : first || x->segs[0].first_file)
            return "segments: the first one does not join";
        if (h->end_object != tape_index_end_object(x) || h->end_file != tape_index_end_file(x))
            return "end_object, end_file";
    } else if (h->n_maps ? h->end_object < mapped : h->end_object || h->end_file) {
        return "end_object, end_file";
    }
    if (h->end_object > SEG_MAX_NUMBER || h->end_file > h->end_object)
        return "end_object, end_file";
    return NULL;
}

/* At most 64 printable characters of ASCII. */
static bool host_possible(const char *host, size_t room)
{
    size_t n = strnlen(host, room);
    for (size_t i = 0; i < n; i++)
        if (host[i] < ' ' || host[i] > '~')
            return false;
    return n < room;
}

const char *head_wrong(const struct head *h)
{
    if (!id_possible(&h->id))
        return "epoch, n";
    if (h->claim != (h->id.number == 0))
        return "claim, n"; /* n = 0 is the claim, and nothing else is */
    if (!memchr(h->barcode, 0, sizeof(h->barcode)) || !barcode_ok(h->barcode))
        return "barcode";
    if (!host_possible(h->host, sizeof(h->host)))
        return "host";
    if (h->claimed > SEG_MAX_NUMBER)
        return "claimed";
    if (h->claim)
        return NULL;
    if (h->generation < 5 || h->generation > 9)
        return "generation";
    if (h->capacity > SEG_MAX_NUMBER || h->full_capacity > SEG_MAX_NUMBER ||
        (h->full_capacity && h->full_capacity < h->capacity))
        return "capacity, full_capacity";
    if (h->created > SEG_MAX_NUMBER || h->modified > SEG_MAX_NUMBER)
        return "created, modified";
    if (h->next_segment > SEG_MAX_SEQUENCE + 1 || h->next_map > SEG_MAX_SEQUENCE + 1)
        return "next_segment, next_map";
    const char *wrong = retention_wrong(&h->retention);
    if (!wrong && (retention_wrong(&h->object_lock) || (h->object_lock.mode && !h->retention.mode)))
        wrong = "object_lock";
    if (!wrong)
        wrong = maps_wrong(h);
    if (!wrong)
        wrong = segments_wrong(h);
    return wrong ? wrong : head_leans_wrong(h);
}

/* ---- into JSON ---- */

/* Puts a new reference into an object; false when out of memory. */
static bool put(json_t *j, const char *key, json_t *value)
{
    return json_object_set_new(j, key, value) == 0;
}

static bool put_number(json_t *j, const char *key, uint64_t v)
{
    return put(j, key, json_integer((json_int_t)v));
}

static bool put_hex(json_t *j, const char *key, const uint8_t *p, size_t n)
{
    char text[33];
    for (size_t i = 0; i < n && i < 16; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", p[i]);
    return put(j, key, json_string(text));
}

/* An array of a name (unless NULL) and numbers. */
static json_t *row(const struct seg_id *id, const uint64_t *v, size_t n)
{
    json_t *a = json_array();
    if (a && id) {
        char name[SEG_NAME_SIZE];
        seg_id_format(id, name);
        if (json_array_append_new(a, json_string(name))) {
            json_decref(a);
            return NULL;
        }
    }
    for (size_t i = 0; a && i < n; i++)
        if (json_array_append_new(a, json_integer((json_int_t)v[i]))) {
            json_decref(a);
            return NULL;
        }
    return a;
}

static bool put_maps(json_t *j, const struct head *h)
{
    json_t *a = json_array();
    bool good = a != NULL;
    for (size_t i = 0; good && i < h->n_maps; i++) {
        const struct map_ref *m = &h->maps[i];
        good = !json_array_append_new(a, row(&m->id, (uint64_t[]){m->n_segs, m->first_object, m->size, m->crc}, 4));
    }
    return put(j, "maps", a) && good; /* takes the reference in every case */
}

static bool put_segments(json_t *j, const struct tape_index *x)
{
    json_t *a = json_array();
    bool good = a != NULL;
    for (size_t i = 0; good && i < x->n_segs; i++) {
        const struct seg_ref *r = &x->segs[i];
        uint64_t v[] = {r->first_object, r->first_file, r->objects, r->filemarks, r->size, r->plain_bytes, r->crc};
        good = !json_array_append_new(a, row(&r->id, v, 7));
    }
    return put(j, "segments", a) && good;
}

static bool put_filemarks(json_t *j, const struct tape_index *x)
{
    json_t *a = json_array();
    bool good = a != NULL;
    for (size_t i = 0; good && i < x->n_fms; i++)
        good = !json_array_append_new(a, row(NULL, (uint64_t[]){x->fms[i].object, x->fms[i].count}, 2));
    return put(j, "filemarks", a) && good;
}

static bool put_id(json_t *j, const char *key, uint32_t id)
{
    char text[9];
    (void)snprintf(text, sizeof(text), "%08" PRIx32, id);
    return put(j, key, json_string(text));
}

/* The lowest that has all of it, so that what an older s3vtl can keep it can also read. */
static int version_of(const struct head *h)
{
    if (h->claim)
        return HEAD_VERSION_2;
    return h->retention.mode ? HEAD_VERSION : head_has_leans(h) ? HEAD_VERSION_3 : HEAD_VERSION_2;
}

static bool put_identity(json_t *j, const struct head *h)
{
    return put_number(j, "version", (uint64_t)version_of(h)) && put_number(j, "epoch", h->id.epoch) &&
           put_id(j, "writer", h->id.writer) && put_number(j, "n", h->id.number) &&
           put(j, "claim", json_boolean(h->claim)) && put(j, "barcode", json_string(h->barcode)) &&
           put_hex(j, "cartridge", h->cartridge, sizeof(h->cartridge)) &&
           (!h->host[0] || put(j, "host", json_string(h->host))) && (!h->gateway || put_id(j, "gateway", h->gateway)) &&
           (!h->claimed || put_number(j, "claimed", h->claimed)) && (!h->released || put(j, "released", json_true()));
}

static bool put_state(json_t *j, const struct head *h)
{
    return put_number(j, "generation", (uint64_t)h->generation) && put_number(j, "capacity", h->capacity) &&
           (!h->full_capacity || put_number(j, "full_capacity", h->full_capacity)) &&
           put(j, "worm", json_boolean(h->worm)) && put(j, "write_protected", json_boolean(h->write_protected)) &&
           (!h->no_dedup || put(j, "dedup", json_false())) && put_number(j, "created", h->created) &&
           put_number(j, "modified", h->modified) && put_number(j, "next_segment", h->next_segment) &&
           put_number(j, "next_map", h->next_map) && (!h->mam || put(j, "mam", json_incref(h->mam))) &&
           (!h->counters || put(j, "counters", json_incref(h->counters))) &&
           put_number(j, "end_object", h->end_object) && put_number(j, "end_file", h->end_file) && put_maps(j, h) &&
           put_segments(j, &h->inl) && put_filemarks(j, &h->inl) &&
           (version_of(h) < HEAD_VERSION_3 || head_put_leans(j, h)) &&
           (version_of(h) < HEAD_VERSION || retention_put(j, "retention", &h->retention)) &&
           (!h->object_lock.mode || retention_put(j, "object_lock", &h->object_lock));
}

int head_encode(const struct head *h, char **buf, size_t *len)
{
    *buf = NULL;
    *len = 0;
    if (head_wrong(h))
        return -EINVAL;
    if (!h->claim && ((h->mam && !json_is_object(h->mam)) || (h->counters && !json_is_object(h->counters))))
        return -EINVAL;
    json_t *j = json_object();
    int rc = j && put_identity(j, h) && (h->claim || put_state(j, h)) ? 0 : -ENOMEM;
    if (!rc)
        rc = json_seal(j, buf, len);
    json_decref(j);
    return rc;
}
