/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head_decode.c: a head out of JSON that nobody vouches for: every type, range and count is checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/format/head_private.h"

/* ---- fields: each returns false when it is missing, of the wrong type, or out of range ---- */

static bool to_number(const json_t *v, uint64_t max, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool get_number(const json_t *j, const char *key, uint64_t max, uint64_t *out)
{
    return to_number(json_object_get(j, key), max, out);
}

static bool get_flag(const json_t *j, const char *key, bool *out)
{
    const json_t *v = json_object_get(j, key);
    *out = json_is_true(v);
    return json_is_boolean(v);
}

/* 2 n lower-case hex digits. */
static bool get_hex(const json_t *j, const char *key, uint8_t *out, size_t n)
{
    const char *s = json_string_value(json_object_get(j, key));
    if (!s || strlen(s) != 2 * n || strspn(s, "0123456789abcdef") != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {s[2 * i], s[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool get_id(const json_t *j, const char *key, uint32_t *out)
{
    uint8_t b[4];
    if (!get_hex(j, key, b, sizeof(b)))
        return false;
    *out = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return true;
}

static bool get_barcode(const json_t *j, char out[33])
{
    const char *s = json_string_value(json_object_get(j, "barcode"));
    if (!s || !barcode_ok(s))
        return false;
    memcpy(out, s, strlen(s) + 1); /* barcode_ok: 32 characters at most */
    return true;
}

/* Who wrote it; each may be absent. Which characters are possible, head_wrong says. */
static bool get_origin(const json_t *j, struct head *h)
{
    const json_t *host = json_object_get(j, "host");
    size_t n = json_string_length(host); /* 0 for what is no text */
    if (host && (!json_is_string(host) || n >= sizeof(h->host) || strlen(json_string_value(host)) != n))
        return false;
    if (n)
        memcpy(h->host, json_string_value(host), n + 1);
    if (json_object_get(j, "claimed") && !get_number(j, "claimed", SEG_MAX_NUMBER, &h->claimed))
        return false;
    return !json_object_get(j, "gateway") || get_id(j, "gateway", &h->gateway);
}

/* Absent, or an object: a new reference. */
static bool get_object(const json_t *j, const char *key, json_t **out)
{
    json_t *v = json_object_get(j, key);
    if (v && !json_is_object(v))
        return false;
    *out = json_incref(v);
    return true;
}

/* ---- arrays ---- */

/* An array of a name (unless id is NULL) and n numbers. */
static bool get_row(const json_t *a, struct seg_id *id, uint64_t *v, size_t n)
{
    size_t at = id ? 1 : 0;
    if (json_array_size(a) != n + at) /* 0 for what is no array */
        return false;
    if (id) {
        const char *name = json_string_value(json_array_get(a, 0));
        if (!name || !seg_id_parse(name, id))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!to_number(json_array_get(a, at + i), SEG_MAX_NUMBER, &v[i]))
            return false;
    return true;
}

/* The array's length, which sizes an allocation: it is bounded by what has been read already. */
static int new_array(const json_t *a, size_t one, void **out, size_t *n)
{
    *out = NULL;
    if (!json_is_array(a))
        return -EBADMSG;
    *n = json_array_size(a);
    *out = calloc(*n ? *n : 1, one);
    return *out ? 0 : -ENOMEM;
}

static int get_maps(const json_t *j, uint64_t version, struct head *h)
{
    const json_t *a = json_object_get(j, "maps");
    void *maps = NULL;
    int rc = new_array(a, sizeof(*h->maps), &maps, &h->n_maps);
    h->maps = maps;
    for (size_t i = 0; !rc && i < h->n_maps; i++) {
        uint64_t v[4] = {0};
        struct map_ref *m = &h->maps[i];
        if (!get_row(json_array_get(a, i), &m->id, v, version == HEAD_VERSION_1 ? 3 : 4) || v[3] > UINT32_MAX)
            return -EBADMSG;
        m->n_segs = v[0];
        m->first_object = v[1];
        m->size = v[2];
        m->crc = (uint32_t)v[3];
    }
    return rc;
}

static int get_segments(const json_t *a, uint64_t version, struct seg_ref *segs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t v[7] = {0};
        struct seg_id id;
        if (!get_row(json_array_get(a, i), &id, v, version == HEAD_VERSION_1 ? 6 : 7) || v[6] > UINT32_MAX)
            return -EBADMSG;
        segs[i] = (struct seg_ref){.id = id,
                                   .first_object = v[0],
                                   .first_file = v[1],
                                   .objects = v[2],
                                   .filemarks = v[3],
                                   .size = v[4],
                                   .plain_bytes = v[5],
                                   .crc = (uint32_t)v[6]};
    }
    return 0;
}

static int get_filemarks(const json_t *a, struct seg_fm_run *fms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t v[2];
        if (!get_row(json_array_get(a, i), NULL, v, 2))
            return -EBADMSG;
        fms[i] = (struct seg_fm_run){.object = v[0], .count = v[1]};
    }
    return 0;
}

static int get_index(const json_t *j, uint64_t version, struct tape_index *x)
{
    const json_t *js = json_object_get(j, "segments"), *jf = json_object_get(j, "filemarks");
    void *segs = NULL, *fms = NULL;
    size_t n_segs = 0, n_fms = 0;
    int rc = new_array(js, sizeof(struct seg_ref), &segs, &n_segs);
    if (!rc)
        rc = new_array(jf, sizeof(struct seg_fm_run), &fms, &n_fms);
    if (!rc)
        rc = get_segments(js, version, segs, n_segs);
    if (!rc)
        rc = get_filemarks(jf, fms, n_fms);
    if (!rc)
        rc = tape_index_build(x, segs, n_segs, fms, n_fms);
    free(segs);
    free(fms);
    return rc == -EINVAL ? -EBADMSG : rc;
}

/* ---- the head ---- */

static bool get_identity(const json_t *j, struct head *h, uint64_t *version, const char **what)
{
    *what = "version";
    if (!get_number(j, "version", HEAD_VERSION, version) || *version < HEAD_VERSION_1)
        return false;
    *what = "epoch, writer, n, claim";
    if (!get_number(j, "epoch", SEG_MAX_EPOCH, &h->id.epoch) || !get_id(j, "writer", &h->id.writer) ||
        !get_number(j, "n", SEG_MAX_SEQUENCE, &h->id.number) || !get_flag(j, "claim", &h->claim))
        return false;
    *what = "barcode, cartridge";
    if (!get_barcode(j, h->barcode) || !get_hex(j, "cartridge", h->cartridge, sizeof(h->cartridge)))
        return false;
    *what = "released";
    if (json_object_get(j, "released") && !get_flag(j, "released", &h->released))
        return false;
    *what = "host, gateway, claimed";
    return get_origin(j, h);
}

static bool get_state(const json_t *j, struct head *h, const char **what)
{
    uint64_t generation = 0;
    *what = "generation, capacity";
    if (!get_number(j, "generation", 9, &generation) || !get_number(j, "capacity", SEG_MAX_NUMBER, &h->capacity))
        return false;
    h->generation = (int)generation;
    *what = "full_capacity";
    if (json_object_get(j, "full_capacity") && !get_number(j, "full_capacity", SEG_MAX_NUMBER, &h->full_capacity))
        return false;
    *what = "worm, write_protected";
    if (!get_flag(j, "worm", &h->worm) || !get_flag(j, "write_protected", &h->write_protected))
        return false;
    *what = "dedup";
    bool dedup = true;
    if (json_object_get(j, "dedup") && !get_flag(j, "dedup", &dedup))
        return false;
    h->no_dedup = !dedup;
    *what = "created, modified, next_segment, next_map";
    if (!get_number(j, "created", SEG_MAX_NUMBER, &h->created) ||
        !get_number(j, "modified", SEG_MAX_NUMBER, &h->modified) ||
        !get_number(j, "next_segment", SEG_MAX_SEQUENCE + 1, &h->next_segment) ||
        !get_number(j, "next_map", SEG_MAX_SEQUENCE + 1, &h->next_map))
        return false;
    *what = "mam, counters";
    if (!get_object(j, "mam", &h->mam) || !get_object(j, "counters", &h->counters))
        return false;
    *what = "end_object, end_file";
    return get_number(j, "end_object", SEG_MAX_NUMBER, &h->end_object) &&
           get_number(j, "end_file", SEG_MAX_NUMBER, &h->end_file);
}

/* Returns 0, -ENOMEM, or -EBADMSG with *what naming the fields. */
static int decode(const json_t *j, struct head *h, const char **what)
{
    uint64_t version = 0;
    if (!get_identity(j, h, &version, what))
        return -EBADMSG;
    if (!h->claim) {
        if (!get_state(j, h, what))
            return -EBADMSG;
        *what = "maps";
        int rc = get_maps(j, version, h);
        if (rc)
            return rc;
        *what = "segments, filemarks";
        rc = get_index(j, version, &h->inl);
        if (rc)
            return rc;
        *what = "at_rest, leaners, removed, kept, sources, leans, pending";
        rc = version > HEAD_VERSION_2 ? head_get_leans(j, h) : 0;
        if (rc)
            return rc;
        *what = "retention";
        if (version > HEAD_VERSION_3 && !retention_get(j, "retention", &h->retention))
            return -EBADMSG;
        *what = "object_lock";
        if (version > HEAD_VERSION_3 && json_object_get(j, "object_lock") &&
            !retention_get(j, "object_lock", &h->object_lock))
            return -EBADMSG;
    }
    *what = head_wrong(h);
    return *what ? -EBADMSG : 0;
}

/* Each later version keeps the two lines and this number (FORMAT.md); all else may be other than here. */
static int check_version(const json_t *j, struct errtext *err)
{
    uint64_t version = 0;
    if (!get_number(j, "version", SEG_MAX_NUMBER, &version) || version <= HEAD_VERSION)
        return 0;
    return errtext_set(err, -EPROTONOSUPPORT, "this head is of format version %" PRIu64 "; this s3vtl reads %d to %d",
                       version, HEAD_VERSION_1, HEAD_VERSION);
}

int head_decode(const void *buf, size_t len, struct head *out, struct errtext *err)
{
    head_init(out);
    json_t *j = json_open(buf, len, err);
    if (!j)
        return -EBADMSG;
    const char *what = "";
    int rc = check_version(j, err);
    if (rc) {
        json_decref(j);
        return rc;
    }
    rc = decode(j, out, &what);
    json_decref(j);
    if (rc)
        head_free(out);
    if (rc == -ENOMEM)
        return errtext_set(err, rc, "head: out of memory");
    return rc ? errtext_set(err, rc, "head: %s: missing or not possible", what) : 0;
}
