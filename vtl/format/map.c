/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map.c: a map object: a run of segments with their filemarks; see head.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/head_private.h"

#define MAP_VERSION_1 1u /* its entries have no CRCs */
#define MAP_VERSION_2 2u /* they lean on nothing */
#define MAP_VERSION 3u
#define MAP_HEADER_SIZE 96u
#define MAP_HEADER_3_SIZE 112u
#define MAP_SEGMENT_SIZE 72u
#define MAP_FILEMARKS_SIZE 16u
#define MAP_SOURCE_SIZE 48u
#define MAP_LEAN_SIZE 40u
#define MAP_END_SIZE 8u

static const char map_magic[8] = {'S', '3', 'V', 'T', 'L', 'M', 'A', 'P'};

/* How many entries each of its tables has; version 1 and 2: no sources, no leans. */
struct counts {
    uint32_t version;
    uint64_t segs, fms, sources, leans;
};

static uint64_t header_size(uint32_t version)
{
    return version < MAP_VERSION ? MAP_HEADER_SIZE : MAP_HEADER_3_SIZE;
}

static uint64_t map_size(const struct counts *n)
{
    return header_size(n->version) + n->segs * MAP_SEGMENT_SIZE + n->fms * MAP_FILEMARKS_SIZE +
           n->sources * MAP_SOURCE_SIZE + n->leans * MAP_LEAN_SIZE + MAP_END_SIZE;
}

/* ---- encoding ---- */

static void encode_header(uint8_t *p, const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x,
                          const struct counts *n)
{
    memcpy(p, map_magic, 8);
    put_le32(p + 8, n->version);
    put_le32(p + 12, (uint32_t)header_size(n->version));
    memcpy(p + 16, cartridge, 16);
    put_le64(p + 32, id->epoch);
    put_le32(p + 40, id->writer);
    put_le32(p + 44, 0); /* partition */
    put_le64(p + 48, id->number);
    put_le64(p + 56, x->segs[0].first_object);
    put_le64(p + 64, x->segs[0].first_file);
    put_le32(p + 72, (uint32_t)n->segs);
    put_le32(p + 76, (uint32_t)n->fms);
    put_le32(p + 80, MAP_SEGMENT_SIZE);
    put_le32(p + 84, MAP_FILEMARKS_SIZE);
    put_le32(p + 92, crc32c(0, p, 92));
    if (n->version < MAP_VERSION)
        return;
    put_le32(p + 96, (uint32_t)n->sources);
    put_le32(p + 100, (uint32_t)n->leans);
    put_le32(p + 104, MAP_SOURCE_SIZE);
    put_le32(p + 108, MAP_LEAN_SIZE);
}

static void encode_segment(uint8_t *p, const struct seg_ref *r)
{
    put_le64(p, r->id.epoch);
    put_le64(p + 8, r->id.number);
    put_le32(p + 16, r->id.writer);
    put_le32(p + 20, r->crc);
    put_le64(p + 24, r->first_object);
    put_le64(p + 32, r->first_file);
    put_le64(p + 40, r->objects);
    put_le64(p + 48, r->filemarks);
    put_le64(p + 56, r->size);
    put_le64(p + 64, r->plain_bytes);
}

static void encode_source(uint8_t *p, const struct seg_source *s)
{
    memcpy(p, s->cartridge, 16);
    memcpy(p + 16, s->barcode, strlen(s->barcode)); /* 32 at most */
}

static void encode_lean(uint8_t *p, const struct lean *l, uint32_t place)
{
    put_le32(p, l->segment);
    put_le32(p + 4, place);
    put_le64(p + 8, l->source.id.epoch);
    put_le64(p + 16, l->source.id.number);
    put_le32(p + 24, l->source.id.writer);
    put_le32(p + 28, l->source.crc);
    put_le64(p + 32, l->source.size);
}

/* The tables behind the header; places: of the sources of x's leans. */
static void encode_tables(uint8_t *at, const struct tape_index *x, struct lean_place *places, const struct counts *n)
{
    size_t known = n->sources;
    for (size_t i = 0; i < x->n_segs; i++, at += MAP_SEGMENT_SIZE)
        encode_segment(at, &x->segs[i]);
    for (size_t i = 0; i < x->n_fms; i++, at += MAP_FILEMARKS_SIZE) {
        put_le64(at, x->fms[i].object);
        put_le64(at + 8, x->fms[i].count);
    }
    for (size_t i = 0; i < n->sources; i++, at += MAP_SOURCE_SIZE)
        encode_source(at, places[i].source);
    for (size_t i = 0; i < n->leans; i++, at += MAP_LEAN_SIZE)
        encode_lean(at, &x->leans.v[i], (uint32_t)lean_place(places, &known, &x->leans.v[i].source));
}

/* -EINVAL: something cannot be in a map. */
static int check_entries(const struct tape_index *x)
{
    for (size_t i = 0; i < x->n_segs; i++)
        if (!x->segs[i].size)
            return -EINVAL; /* an open segment is no object yet */
    for (size_t i = 0; i < x->leans.n; i++)
        if (!seg_source_possible(&x->leans.v[i].source) || x->leans.v[i].segment >= x->n_segs)
            return -EINVAL;
    return 0;
}

static int encode_with(const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x,
                       struct lean_place *places, struct counts *n, void **buf, size_t *len)
{
    size_t sources = 0;
    for (size_t i = 0; i < x->leans.n; i++)
        (void)lean_place(places, &sources, &x->leans.v[i].source);
    n->sources = sources;
    uint64_t size = map_size(n);
    if (size > MAP_MAX_SIZE)
        return -EFBIG;
    uint8_t *p = calloc(1, size), *end = p + size;
    if (!p)
        return -ENOMEM;
    encode_header(p, cartridge, id, x, n);
    encode_tables(p + header_size(n->version), x, places, n);
    put_le32(end - 4, crc32c(0, p, size - 4));
    *buf = p;
    *len = size;
    return 0;
}

static int encode(const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x, void **buf,
                  size_t *len)
{
    struct counts n = {x->leans.n ? MAP_VERSION : MAP_VERSION_2, x->n_segs, x->n_fms, 0, x->leans.n};
    int rc = check_entries(x);
    struct lean_place *places = rc ? NULL : calloc(x->leans.n + 1, sizeof(*places));
    if (!rc)
        rc = places ? encode_with(cartridge, id, x, places, &n, buf, len) : -ENOMEM;
    free(places);
    return rc;
}

int map_encode(const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x, size_t first, size_t n,
               void **buf, size_t *len)
{
    *buf = NULL;
    *len = 0;
    if (!n || n > MAP_MAX_SEGS || first > x->n_segs || n > x->n_segs - first || !id->epoch ||
        id->epoch > SEG_MAX_EPOCH || id->number > SEG_MAX_SEQUENCE)
        return -EINVAL;
    struct tape_index part;
    int rc = tape_index_slice(&part, x, first, n);
    if (rc)
        return rc;
    rc = encode(cartridge, id, &part, buf, len);
    tape_index_free(&part);
    return rc;
}

/* ---- decoding ---- */

/* Each later version keeps magic, version and the place of the header's CRC (FORMAT.md). */
static int check_version(const uint8_t *p, size_t len, struct errtext *err)
{
    uint32_t version = len >= MAP_HEADER_SIZE ? get_le32(p + 8) : 0;
    if (version <= MAP_VERSION || memcmp(p, map_magic, 8) != 0 || get_le32(p + 92) != crc32c(0, p, 92))
        return 0;
    return errtext_set(err, -EPROTONOSUPPORT, "this map is of format version %u; this s3vtl reads %u to %u", version,
                       MAP_VERSION_1, MAP_VERSION);
}

/* The lengths of header and entries, and how many there are. */
static int read_counts(const uint8_t *p, size_t len, struct counts *n, struct errtext *err)
{
    *n = (struct counts){get_le32(p + 8), get_le32(p + 72), get_le32(p + 76), 0, 0};
    bool fits = n->version >= MAP_VERSION_1 && get_le32(p + 12) == header_size(n->version) &&
                get_le32(p + 80) == MAP_SEGMENT_SIZE && get_le32(p + 84) == MAP_FILEMARKS_SIZE;
    if (fits && n->version == MAP_VERSION) {
        fits = len >= MAP_HEADER_3_SIZE && get_le32(p + 104) == MAP_SOURCE_SIZE && get_le32(p + 108) == MAP_LEAN_SIZE;
        n->sources = fits ? get_le32(p + 96) : 0;
        n->leans = fits ? get_le32(p + 100) : 0;
    }
    return fits ? 0 : errtext_set(err, -EBADMSG, "map header: version, or length of header or entries: not possible");
}

static int check_map(const uint8_t *p, size_t len, const uint8_t cartridge[16], struct counts *n, struct errtext *err)
{
    int rc = check_version(p, len, err);
    if (rc)
        return rc;
    if (len < MAP_HEADER_SIZE + MAP_SEGMENT_SIZE + MAP_END_SIZE || len > MAP_MAX_SIZE || memcmp(p, map_magic, 8) != 0)
        return errtext_set(err, -EBADMSG, "map: not a map");
    if (get_le32(p + 92) != crc32c(0, p, 92))
        return errtext_set(err, -EBADMSG, "map header: CRC is %08x, should be %08x", crc32c(0, p, 92),
                           get_le32(p + 92));
    if ((rc = read_counts(p, len, n, err)))
        return rc;
    if (!n->segs || n->segs > MAP_MAX_SEGS || len != map_size(n))
        return errtext_set(err, -EBADMSG,
                           "map: %" PRIu64 " segments, %" PRIu64 " filemark runs and %" PRIu64
                           " leans do not make %zu bytes",
                           n->segs, n->fms, n->leans, len);
    uint32_t crc = crc32c(0, p, len - 4);
    if (crc != get_le32(p + len - 4))
        return errtext_set(err, -EBADMSG, "map: CRC is %08x, should be %08x", crc, get_le32(p + len - 4));
    if (memcmp(p + 16, cartridge, 16) != 0)
        return errtext_set(err, -EBADMSG, "map: of another cartridge");
    return 0;
}

static bool decode_segment(const uint8_t *p, uint32_t version, struct seg_ref *r)
{
    *r = (struct seg_ref){.id = {.epoch = get_le64(p), .writer = get_le32(p + 16), .number = get_le64(p + 8)},
                          .first_object = get_le64(p + 24),
                          .first_file = get_le64(p + 32),
                          .objects = get_le64(p + 40),
                          .filemarks = get_le64(p + 48),
                          .size = get_le64(p + 56),
                          .plain_bytes = get_le64(p + 64),
                          .crc = version == MAP_VERSION_1 ? 0 : get_le32(p + 20)};
    return r->id.epoch >= 1 && r->id.epoch <= SEG_MAX_EPOCH && r->id.number <= SEG_MAX_SEQUENCE && r->size;
}

static int take_segments(const uint8_t *p, struct tape_index *x, struct seg_ref *segs, uint32_t n,
                         struct seg_fm_run *fms, uint32_t n_fms, struct errtext *err)
{
    const uint8_t *at = p + header_size(get_le32(p + 8));
    for (uint32_t i = 0; i < n; i++, at += MAP_SEGMENT_SIZE)
        if (!decode_segment(at, get_le32(p + 8), &segs[i]))
            return errtext_set(err, -EBADMSG, "map: segment %u of %u is not possible", i, n);
    for (uint32_t i = 0; i < n_fms; i++, at += MAP_FILEMARKS_SIZE)
        fms[i] = (struct seg_fm_run){.object = get_le64(at), .count = get_le64(at + 8)};
    if (segs[0].first_object != get_le64(p + 56) || segs[0].first_file != get_le64(p + 64))
        return errtext_set(err, -EBADMSG, "map: header and first segment differ");
    int rc = tape_index_append_many(x, segs, n, fms, n_fms);
    if (rc == -EINVAL)
        return errtext_set(err, -EBADMSG,
                           "map: its segments, from object %" PRIu64 " on, do not join to object %" PRIu64,
                           segs[0].first_object, tape_index_end_object(x));
    return rc ? errtext_set(err, rc, "map: out of memory") : 0;
}

static int decode_lean(const uint8_t *p, const uint8_t *sources, const struct counts *n, struct lean *l)
{
    uint32_t place = get_le32(p + 4);
    *l = (struct lean){.segment = get_le32(p)};
    l->source.id = (struct seg_id){get_le64(p + 8), get_le32(p + 24), get_le64(p + 16)};
    l->source.crc = get_le32(p + 28);
    l->source.size = get_le64(p + 32);
    if (l->segment >= n->segs || place >= n->sources)
        return -EBADMSG;
    memcpy(l->source.cartridge, sources + (size_t)place * MAP_SOURCE_SIZE, 16);
    memcpy(l->source.barcode, sources + (size_t)place * MAP_SOURCE_SIZE + 16, 32);
    return seg_source_possible(&l->source) ? 0 : -EBADMSG;
}

/* first: of its segments in x. */
static int take_leans(const uint8_t *p, const struct counts *n, size_t first, struct tape_index *x, struct errtext *err)
{
    const uint8_t *sources = p + header_size(n->version) + n->segs * MAP_SEGMENT_SIZE + n->fms * MAP_FILEMARKS_SIZE;
    const uint8_t *at = sources + n->sources * MAP_SOURCE_SIZE;
    int rc = 0;
    for (uint64_t i = 0; !rc && i < n->leans; i++, at += MAP_LEAN_SIZE) {
        struct lean l;
        rc = decode_lean(at, sources, n, &l);
        if (!rc)
            rc = leans_add(&x->leans, (uint32_t)(first + l.segment), &l.source);
        if (rc)
            rc = rc == -ENOMEM
                     ? errtext_set(err, rc, "map: out of memory")
                     : errtext_set(err, -EBADMSG, "map: lean %" PRIu64 " of %" PRIu64 " is not possible", i, n->leans);
    }
    return rc;
}

static int take_all(const uint8_t *p, const struct counts *n, struct tape_index *x, struct errtext *err)
{
    struct seg_ref *segs =
        calloc(n->segs ? n->segs : 1, sizeof(*segs)); /* the counts were checked against the length */
    struct seg_fm_run *fms = calloc(n->fms ? n->fms : 1, sizeof(*fms));
    size_t first = x->n_segs;
    uint64_t end = tape_index_end_object(x);
    int rc = segs && fms ? take_segments(p, x, segs, (uint32_t)n->segs, fms, (uint32_t)n->fms, err)
                         : errtext_set(err, -ENOMEM, "map: out of memory");
    if (!rc && (rc = take_leans(p, n, first, x, err)))
        tape_index_truncate(x, end);
    free(segs);
    free(fms);
    return rc;
}

int map_decode(const void *buf, size_t len, const uint8_t cartridge[16], struct tape_index *x, struct errtext *err)
{
    struct counts n = {0};
    int rc = check_map(buf, len, cartridge, &n, err);
    return rc ? rc : take_all(buf, &n, x, err);
}

uint32_t map_crc(const void *buf, size_t len)
{
    return len >= 4 ? get_le32((const uint8_t *)buf + len - 4) : 0;
}

int map_check(const void *buf, size_t len, const struct map_ref *m, struct errtext *err)
{
    const uint8_t *p = buf;
    int rc = check_version(p, len, err);
    if (rc)
        return rc;
    if (len != m->size)
        return errtext_set(err, -EBADMSG, "map: %zu bytes, the tape's index says %" PRIu64, len, m->size);
    if (len < MAP_HEADER_SIZE || get_le64(p + 32) != m->id.epoch || get_le32(p + 40) != m->id.writer ||
        get_le64(p + 48) != m->id.number)
        return errtext_set(err, -EBADMSG, "map: names another map inside");
    if (m->crc && map_crc(buf, len) != m->crc)
        return errtext_set(err, -EBADMSG, "map: is another one (its CRC is %08x, the tape's index says %08x)",
                           map_crc(buf, len), m->crc);
    return 0;
}
