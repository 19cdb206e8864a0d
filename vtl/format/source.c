/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source.c: what is copied from, as it is stored in segments; see source.h. */
#include "vtl/format/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "vtl/format/barcode.h"
#include "vtl/format/segment_private.h"

bool seg_source_possible(const struct seg_source *s)
{
    return memchr(s->barcode, 0, sizeof(s->barcode)) && barcode_ok(s->barcode) && s->id.epoch >= 1 &&
           s->id.epoch <= SEG_MAX_EPOCH && s->id.number <= SEG_MAX_SEQUENCE && s->size && s->size <= SEG_MAX_SIZE &&
           s->crc;
}

bool seg_source_same(const struct seg_source *a, const struct seg_source *b)
{
    return a->crc == b->crc && a->size == b->size && !seg_id_compare(&a->id, &b->id) &&
           !memcmp(a->cartridge, b->cartridge, sizeof(a->cartridge)) && !strcmp(a->barcode, b->barcode);
}

void seg_source_encode(const struct seg_source *s, uint8_t p[SEG_SOURCE_SIZE])
{
    memset(p, 0, SEG_SOURCE_SIZE);
    memcpy(p, s->cartridge, 16);
    put_le32(p + 16, s->id.writer);
    put_le32(p + 20, (uint32_t)s->id.epoch);
    put_le64(p + 24, s->id.number); /* sequence */
    put_le64(p + 32, s->size);
    put_le32(p + 40, s->crc);
    memcpy(p + 48, s->barcode, strlen(s->barcode));
}

void seg_source_decode(const uint8_t b[SEG_SOURCE_SIZE], struct seg_source *out)
{
    *out =
        (struct seg_source){.id = {.epoch = get_le32(b + 20), .writer = get_le32(b + 16), .number = get_le64(b + 24)},
                            .size = get_le64(b + 32),
                            .crc = get_le32(b + 40)};
    memcpy(out->cartridge, b, 16);
    memcpy(out->barcode, b + 48, 32);
}

int seg_sources_encode(const struct seg_source *sources, size_t n, uint8_t **list, size_t *len)
{
    *len = n * SEG_SOURCE_SIZE;
    *list = n && n <= TAPE_MAX_BLOCK / SEG_SOURCE_SIZE ? malloc(*len) : NULL;
    if (!*list)
        return n <= TAPE_MAX_BLOCK / SEG_SOURCE_SIZE ? -ENOMEM : -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (!seg_source_possible(&sources[i])) {
            free(*list);
            *list = NULL;
            return -EINVAL;
        }
        seg_source_encode(&sources[i], *list + i * SEG_SOURCE_SIZE);
    }
    return 0;
}

bool seg_sources_next(const void *list, size_t len, size_t i, struct seg_source *out, bool *good)
{
    if (i >= len / SEG_SOURCE_SIZE)
        return false;
    seg_source_decode((const uint8_t *)list + i * SEG_SOURCE_SIZE, out);
    *good = seg_source_possible(out);
    return true;
}
