/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment.c: names, and the headers of segments and records. */
#include "vtl/format/segment_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"

static const char segment_magic[8] = {'S', '3', 'V', 'T', 'L', 'S', 'E', 'G'};
#define RECORD_MAGIC 0x31434552u /* "REC1" */

/* ---- names ---- */

void seg_id_format(const struct seg_id *id, char out[SEG_NAME_SIZE])
{
    /* Reduced to their width, so that the compiler sees that they fit; in a valid id nothing is lost. */
    (void)snprintf(out, SEG_NAME_SIZE, "%08" PRIu64 "-%08" PRIx32 "-%010" PRIu64, id->epoch % (SEG_MAX_EPOCH + 1),
                   id->writer, id->number % (SEG_MAX_SEQUENCE + 1));
}

/* Exactly n digits of base 10 or (lower case) 16. */
static bool parse_digits(const char *s, size_t n, unsigned base, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit;
        if (s[i] >= '0' && s[i] <= '9')
            digit = (unsigned)(s[i] - '0');
        else if (base == 16 && s[i] >= 'a' && s[i] <= 'f')
            digit = (unsigned)(s[i] - 'a') + 10;
        else
            return false;
        v = v * base + digit;
    }
    *out = v;
    return true;
}

bool seg_id_parse(const char *name, struct seg_id *out)
{
    uint64_t epoch, writer, number;
    if (strnlen(name, SEG_NAME_SIZE) != SEG_NAME_SIZE - 1 || name[8] != '-' || name[17] != '-')
        return false;
    if (!parse_digits(name, 8, 10, &epoch) || !parse_digits(name + 9, 8, 16, &writer) ||
        !parse_digits(name + 18, 10, 10, &number) || !epoch)
        return false;
    *out = (struct seg_id){.epoch = epoch, .writer = (uint32_t)writer, .number = number};
    return true;
}

int seg_id_compare(const struct seg_id *a, const struct seg_id *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->writer != b->writer)
        return a->writer < b->writer ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

int seg_id_order(const void *a, const void *b)
{
    return seg_id_compare(a, b);
}

bool seg_id_is_newer(const struct seg_id *a, const struct seg_id *b)
{
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch;
    return a->number != b->number ? a->number > b->number : a->writer > b->writer;
}

uint32_t seg_identity(const uint8_t cartridge[16], const struct seg_id *id)
{
    uint8_t b[36];
    memcpy(b, cartridge, 16);
    put_le64(b + 16, id->epoch);
    put_le32(b + 24, id->writer);
    put_le64(b + 28, id->number);
    return crc32c(0, b, sizeof(b));
}

/* ---- segment header ---- */

static bool header_in_range(const struct seg_header *h)
{
    return h->version <= SEG_VERSION_PIECES && h->id.epoch >= 1 && h->id.epoch <= SEG_MAX_EPOCH &&
           h->id.number <= SEG_MAX_SEQUENCE && h->prev.epoch <= SEG_MAX_EPOCH && h->prev.number <= SEG_MAX_SEQUENCE &&
           h->first_object <= SEG_MAX_NUMBER && h->first_file <= h->first_object &&
           (h->first_object == 0) == (h->prev.epoch == 0);
}

int seg_header_encode(const struct seg_header *h, uint8_t out[SEG_HEADER_SIZE])
{
    if (!header_in_range(h) || strnlen(h->barcode, sizeof(h->barcode)) == sizeof(h->barcode))
        return -EINVAL;
    memset(out, 0, SEG_HEADER_SIZE);
    memcpy(out, segment_magic, 8);
    put_le32(out + 8, h->version ? h->version : SEG_VERSION);
    put_le32(out + 12, SEG_HEADER_SIZE);
    memcpy(out + 16, h->cartridge, 16);
    memcpy(out + 32, h->barcode, strlen(h->barcode));
    put_le64(out + 64, h->id.epoch);
    put_le32(out + 72, h->id.writer);
    put_le32(out + 76, h->partition);
    put_le64(out + 80, h->id.number); /* sequence */
    put_le64(out + 88, h->first_object);
    put_le64(out + 96, h->first_file);
    put_le64(out + 104, h->created);
    put_le64(out + 112, h->prev.epoch);
    put_le32(out + 120, h->prev.writer);
    put_le32(out + 124, h->overwrites ? 1 : 0); /* flags */
    put_le64(out + 128, h->prev.number);
    put_le32(out + 188, crc32c(0, out, 188));
    return 0;
}

int seg_header_check_version(const void *buf, size_t len, struct errtext *err)
{
    const uint8_t *p = buf;
    if (len < SEG_HEADER_SIZE || memcmp(p, segment_magic, 8) != 0 || get_le32(p + 188) != crc32c(0, p, 188) ||
        get_le32(p + 8) <= SEG_VERSION_PIECES)
        return 0;
    return errtext_set(err, -EPROTONOSUPPORT, "this segment is of format version %u; this s3vtl reads %u to %u",
                       get_le32(p + 8), SEG_VERSION_1, SEG_VERSION_PIECES);
}

int seg_header_decode(const void *buf, size_t len, struct seg_header *out, struct errtext *err)
{
    const uint8_t *p = buf;
    if (len < SEG_HEADER_SIZE || memcmp(p, segment_magic, 8) != 0)
        return errtext_set(err, -EBADMSG, "segment header: not a segment");
    if (get_le32(p + 188) != crc32c(0, p, 188))
        return errtext_set(err, -EBADMSG, "segment header: CRC is %08x, should be %08x", crc32c(0, p, 188),
                           get_le32(p + 188));
    if (seg_header_check_version(buf, len, err))
        return -EBADMSG;
    uint32_t version = get_le32(p + 8);
    if (version < SEG_VERSION_1 || get_le32(p + 12) != SEG_HEADER_SIZE)
        return errtext_set(err, -EBADMSG, "segment header: version or length: not possible");
    memset(out, 0, sizeof(*out));
    out->version = version;
    memcpy(out->cartridge, p + 16, 16);
    memcpy(out->barcode, p + 32, 32);
    out->id = (struct seg_id){.epoch = get_le64(p + 64), .writer = get_le32(p + 72), .number = get_le64(p + 80)};
    out->partition = get_le32(p + 76);
    out->first_object = get_le64(p + 88);
    out->first_file = get_le64(p + 96);
    out->created = get_le64(p + 104);
    out->prev = (struct seg_id){.epoch = get_le64(p + 112), .writer = get_le32(p + 120), .number = get_le64(p + 128)};
    out->overwrites = get_le32(p + 124) & 1;
    if (!header_in_range(out))
        return errtext_set(err, -EBADMSG, "segment header: a number is out of range");
    return 0;
}

/* ---- record header ---- */

void seg_record_encode(const struct seg_record *r, uint8_t out[SEG_RECORD_SIZE])
{
    memset(out, 0, SEG_RECORD_SIZE);
    put_le32(out, RECORD_MAGIC);
    out[4] = (uint8_t)r->type;
    out[5] = r->flags;
    put_le16(out + 6, r->ext_len);
    put_le64(out + 8, r->object);
    put_le32(out + 16, r->length);
    put_le32(out + 20, r->stored_len);
    put_le32(out + 24, r->crc_plain);
    put_le32(out + 28, r->crc_stored);
    put_le32(out + 36, crc32c(0, out, 36));
}

static bool block_in_range(const struct seg_record *r)
{
    if (r->length < 1 || r->length > TAPE_MAX_BLOCK || (r->flags & ~(SEG_ZSTD | SEG_AES256_GCM | SEG_PIECES)))
        return false;
    uint32_t overhead = r->flags & SEG_AES256_GCM ? SEG_AES_OVERHEAD : 0;
    if (r->stored_len <= overhead)
        return false;
    uint32_t inner = r->stored_len - overhead;
    return r->flags & (SEG_ZSTD | SEG_PIECES) ? inner < r->length : inner == r->length;
}

bool seg_is_list(enum seg_record_type type)
{
    return type == SEG_CHUNKS || type == SEG_SOURCES;
}

static bool list_in_range(const struct seg_record *r)
{
    return r->length >= 1 && !r->flags && !r->ext_len && r->stored_len && r->stored_len <= TAPE_MAX_BLOCK &&
           !r->crc_plain;
}

static bool filemarks_in_range(const struct seg_record *r)
{
    return r->length >= 1 && !r->flags && !r->ext_len && !r->stored_len && !r->crc_plain && !r->crc_stored;
}

int seg_record_parse(const uint8_t *rec, struct seg_record *out, struct errtext *err)
{
    if (get_le32(rec) != RECORD_MAGIC)
        return errtext_set(err, -EBADMSG, "record header: not a record");
    if (get_le32(rec + 36) != crc32c(0, rec, 36))
        return errtext_set(err, -EBADMSG, "record header: CRC is %08x, should be %08x", crc32c(0, rec, 36),
                           get_le32(rec + 36));
    *out = (struct seg_record){.type = (enum seg_record_type)rec[4],
                               .flags = rec[5],
                               .ext_len = get_le16(rec + 6),
                               .object = get_le64(rec + 8),
                               .length = get_le32(rec + 16),
                               .stored_len = get_le32(rec + 20),
                               .crc_plain = get_le32(rec + 24),
                               .crc_stored = get_le32(rec + 28)};
    bool good = out->object <= SEG_MAX_NUMBER;
    if (out->type == SEG_BLOCK)
        good = good && block_in_range(out);
    else if (seg_is_list(out->type))
        good = good && list_in_range(out);
    else
        good = good && out->type == SEG_FILEMARKS && filemarks_in_range(out);
    if (!good)
        return errtext_set(err, -EBADMSG,
                           "record of object %" PRIu64 ": type %u, flags %u, length %u, stored length %u cannot be",
                           out->object, (unsigned)out->type, out->flags, out->length, out->stored_len);
    return 0;
}

uint32_t seg_record_size(const struct seg_record *r)
{
    return (uint32_t)seg_pad8((uint64_t)SEG_RECORD_SIZE + r->ext_len + r->stored_len);
}

uint32_t seg_record_objects(const struct seg_record *r)
{
    return r->type == SEG_BLOCK ? 1 : r->type == SEG_FILEMARKS ? r->length : 0;
}

int seg_record_decode(const void *rec, size_t len, struct seg_record *out, struct errtext *err)
{
    if (len < SEG_RECORD_SIZE)
        return errtext_set(err, -EBADMSG, "record header: %zu bytes, should be %d", len, SEG_RECORD_SIZE);
    int rc = seg_record_parse(rec, out, err);
    if (rc)
        return rc;
    if (seg_record_size(out) > len)
        return errtext_set(err, -EBADMSG, "record of object %" PRIu64 ": %u bytes, only %zu are there", out->object,
                           seg_record_size(out), len);
    return 0;
}
