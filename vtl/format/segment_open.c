/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_open.c: from a stored record to the block: both CRCs, and zstd between them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "base/crc32c.h"
#include "vtl/format/segment_private.h"

static int bad_crc(const struct seg_record *r, const char *which, uint32_t is, uint32_t should, struct errtext *err)
{
    return errtext_set(err, -EBADMSG, "block %" PRIu64 ": CRC of the %s bytes is %08x, should be %08x", r->object,
                       which, is, should);
}

int seg_check_stored(const struct seg_record *r, const uint8_t *ext, struct errtext *err)
{
    uint32_t crc = crc32c(0, ext, (size_t)r->ext_len + r->stored_len);
    return crc == r->crc_stored ? 0 : bad_crc(r, "stored", crc, r->crc_stored, err);
}

/* What is stored is the block: without an extension, one sum is both. */
static int open_raw(const struct seg_record *r, const uint8_t *ext, void *buf, size_t room, struct errtext *err)
{
    const uint8_t *payload = ext + r->ext_len;
    uint32_t plain = crc32c(0, payload, r->length);
    if (r->ext_len) {
        int rc = seg_check_stored(r, ext, err);
        if (rc)
            return rc;
    } else if (plain != r->crc_stored) {
        return bad_crc(r, "stored", plain, r->crc_stored, err);
    }
    if (plain != r->crc_plain)
        return bad_crc(r, "plain", plain, r->crc_plain, err);
    if (room)
        memcpy(buf, payload, room < r->length ? room : r->length);
    return 0;
}

int seg_unzstd(const struct seg_record *r, const uint8_t *frame, size_t n, void *plain, size_t *got,
               struct errtext *err)
{
    *got = ZSTD_decompress(plain, r->length, frame, n);
    if (!ZSTD_isError(*got))
        return 0;
    return errtext_set(err, ZSTD_getErrorCode(*got) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG,
                       "block %" PRIu64 ": zstd: %s", r->object, ZSTD_getErrorName(*got));
}

int seg_expand(const struct seg_record *r, const uint8_t *frame, size_t len, uint32_t crc_plain, void *buf, size_t room,
               struct errtext *err)
{
    int rc;
    void *temp = NULL, *plain = buf;
    if (room < r->length && !(plain = temp = malloc(r->length)))
        return errtext_set(err, -ENOMEM, "block %" PRIu64 ": out of memory", r->object);
    size_t n = 0;
    rc = seg_unzstd(r, frame, len, plain, &n, err);
    if (!rc && n != r->length)
        rc = errtext_set(err, -EBADMSG, "block %" PRIu64 ": %zu bytes after decompression, should be %u", r->object, n,
                         r->length);
    uint32_t crc = rc ? 0 : crc32c(0, plain, r->length);
    if (!rc && crc != crc_plain)
        rc = bad_crc(r, "plain", crc, crc_plain, err);
    if (!rc && temp && room)
        memcpy(buf, temp, room);
    free(temp);
    return rc;
}

static int open_zstd(const struct seg_record *r, const uint8_t *ext, void *buf, size_t room, struct errtext *err)
{
    int rc = seg_check_stored(r, ext, err);
    return rc ? rc : seg_expand(r, ext + r->ext_len, r->stored_len, r->crc_plain, buf, room, err);
}

int seg_record_raw(const struct seg_record *r, const void *rec, void *buf, size_t room, struct errtext *err)
{
    size_t size = SEG_RECORD_SIZE + (size_t)r->ext_len + r->stored_len;
    int rc = seg_check_stored(r, (const uint8_t *)rec + SEG_RECORD_SIZE, err);
    if (!rc && room)
        memcpy(buf, rec, room < size ? room : size);
    return rc;
}

int seg_record_open(const struct seg_record *r, const void *rec, void *buf, size_t room, struct errtext *err)
{
    const uint8_t *ext = (const uint8_t *)rec + SEG_RECORD_SIZE;
    if (r->type != SEG_BLOCK)
        return errtext_set(err, -EINVAL, "object %" PRIu64 " is a filemark", r->object);
    if (!buf)
        return seg_check_stored(r, ext, err);
    if (r->flags & SEG_AES256_GCM) {
        int rc = seg_check_stored(r, ext, err);
        return rc ? rc : errtext_set(err, -ENOKEY, "block %" PRIu64 " is encrypted", r->object);
    }
    if (r->flags & SEG_PIECES) {
        int rc = seg_check_stored(r, ext, err);
        return rc || !room ? rc : errtext_set(err, -EINVAL, "block %" PRIu64 " is in pieces", r->object);
    }
    return r->flags & SEG_ZSTD ? open_zstd(r, ext, buf, room, err) : open_raw(r, ext, buf, room, err);
}
