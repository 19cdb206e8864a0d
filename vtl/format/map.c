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
#define MAP_VERSION 2u
#define MAP_HEADER_SIZE 96u
#define MAP_SEGMENT_SIZE 72u
#define MAP_FILEMARKS_SIZE 16u
#define MAP_END_SIZE 8u

static const char map_magic[8] = {'S', '3', 'V', 'T', 'L', 'M', 'A', 'P'};

static uint64_t map_size(uint64_t segs, uint64_t fms)
{
    return MAP_HEADER_SIZE + segs * MAP_SEGMENT_SIZE + fms * MAP_FILEMARKS_SIZE + MAP_END_SIZE;
}

/* ---- encoding ---- */

static void encode_header(uint8_t *p, const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x)
{
    memcpy(p, map_magic, 8);
    put_le32(p + 8, MAP_VERSION);
    put_le32(p + 12, MAP_HEADER_SIZE);
    memcpy(p + 16, cartridge, 16);
    put_le64(p + 32, id->epoch);
    put_le32(p + 40, id->writer);
    put_le32(p + 44, 0); /* partition */
    put_le64(p + 48, id->number);
    put_le64(p + 56, x->segs[0].first_object);
    put_le64(p + 64, x->segs[0].first_file);
    put_le32(p + 72, (uint32_t)x->n_segs);
    put_le32(p + 76, (uint32_t)x->n_fms);
    put_le32(p + 80, MAP_SEGMENT_SIZE);
    put_le32(p + 84, MAP_FILEMARKS_SIZE);
    put_le32(p + 92, crc32c(0, p, 92));
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

static int encode(const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x, void **buf,
                  size_t *len)
{
    uint64_t size = map_size(x->n_segs, x->n_fms);
    for (size_t i = 0; i < x->n_segs; i++)
        if (!x->segs[i].size)
            return -EINVAL; /* an open segment is no object yet */
    if (size > MAP_MAX_SIZE)
        return -EFBIG;
    uint8_t *p = calloc(1, size);
    if (!p)
        return -ENOMEM;
    encode_header(p, cartridge, id, x);
    uint8_t *at = p + MAP_HEADER_SIZE;
    for (size_t i = 0; i < x->n_segs; i++, at += MAP_SEGMENT_SIZE)
        encode_segment(at, &x->segs[i]);
    for (size_t i = 0; i < x->n_fms; i++, at += MAP_FILEMARKS_SIZE) {
        put_le64(at, x->fms[i].object);
        put_le64(at + 8, x->fms[i].count);
    }
    put_le32(at + 4, crc32c(0, p, (size_t)(at + 4 - p)));
    *buf = p;
    *len = size;
    return 0;
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
    return errtext_set(err, -EPROTONOSUPPORT, "this map is of format version %u; this s3vtl reads %u and %u", version,
                       MAP_VERSION_1, MAP_VERSION);
}

static int check_map(const uint8_t *p, size_t len, const uint8_t cartridge[16], struct errtext *err)
{
    int rc = check_version(p, len, err);
    if (rc)
        return rc;
    if (len < map_size(1, 0) || len > MAP_MAX_SIZE || memcmp(p, map_magic, 8) != 0)
        return errtext_set(err, -EBADMSG, "map: not a map");
    if (get_le32(p + 92) != crc32c(0, p, 92))
        return errtext_set(err, -EBADMSG, "map header: CRC is %08x, should be %08x", crc32c(0, p, 92),
                           get_le32(p + 92));
    if (get_le32(p + 8) < MAP_VERSION_1 || get_le32(p + 12) != MAP_HEADER_SIZE ||
        get_le32(p + 80) != MAP_SEGMENT_SIZE || get_le32(p + 84) != MAP_FILEMARKS_SIZE)
        return errtext_set(err, -EBADMSG, "map header: version, or length of header or entries: not possible");
    uint32_t segs = get_le32(p + 72), fms = get_le32(p + 76);
    if (!segs || segs > MAP_MAX_SEGS || len != map_size(segs, fms))
        return errtext_set(err, -EBADMSG, "map: %u segments and %u filemark runs do not make %zu bytes", segs, fms,
                           len);
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
    const uint8_t *at = p + MAP_HEADER_SIZE;
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

int map_decode(const void *buf, size_t len, const uint8_t cartridge[16], struct tape_index *x, struct errtext *err)
{
    int rc = check_map(buf, len, cartridge, err);
    if (rc)
        return rc;
    uint32_t n = get_le32((const uint8_t *)buf + 72), n_fms = get_le32((const uint8_t *)buf + 76);
    struct seg_ref *segs = calloc(n, sizeof(*segs)); /* both counts were checked against len */
    struct seg_fm_run *fms = calloc(n_fms ? n_fms : 1, sizeof(*fms));
    rc =
        segs && fms ? take_segments(buf, x, segs, n, fms, n_fms, err) : errtext_set(err, -ENOMEM, "map: out of memory");
    free(segs);
    free(fms);
    return rc;
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
