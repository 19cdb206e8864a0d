/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mhvtl.c: a tape of mhVTL's: a directory with the blocks (data), a header of 512 bytes for each of them and for each
 * filemark (indx), and where the filemarks are (meta). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/foreign/source.h"

enum { DATA, INDX, META, N_FILES };

#define HEADER_SIZE 512
/* Within a header of indx: the numbers are of the host that wrote it, and mhVTL's are little-endian ones. */
enum { AT_OFFSET = 0, AT_TYPE = 8, AT_FLAGS = 12, AT_NUMBER = 16, AT_SIZE = 20, AT_DISK_SIZE = 24, AT_CRC = 28 };
enum { TYPE_FILEMARK = 3, TYPE_DATA = 11 };
enum { FLAG_ZLIB = 1, FLAG_ENCRYPTED = 2, FLAG_LZO = 4, FLAG_CRC = 8, FLAGS_KNOWN = 15 };

struct header {
    uint64_t offset; /* in data */
    uint32_t type, flags, number;
    uint32_t size, disk_size; /* of the block, of what is stored of it */
    uint32_t crc;
};

/* ---- opening ---- */

/* A tape that was not updated since has no number behind the names. */
static int open_file(struct foreign_source *s, int dirfd, const char *path, int which, struct errtext *err)
{
    static const char *const names[] = {[DATA] = "data", [INDX] = "indx", [META] = "meta"};
    char name[PATH_MAX], file[16];
    (void)snprintf(file, sizeof(file), "%s.0", names[which]);
    if (faccessat(dirfd, file, F_OK, 0))
        (void)snprintf(file, sizeof(file), "%s", names[which]);
    (void)snprintf(name, sizeof(name), "%s/%s", path, file);
    if (faccessat(dirfd, file, F_OK, 0))
        return errtext_set(err, -ENOENT, "%s: has no %s.0 and no %s: is it a tape of mhVTL's?", path, names[which],
                           names[which]);
    return foreign_file_open(&s->files[which], dirfd, file, name, err);
}

static int refuse_partitions(int dirfd, const char *path, struct errtext *err)
{
    struct stat st;
    return fstatat(dirfd, "indx.1", &st, 0) || !st.st_size
               ? 0
               : errtext_set(err, -ENOTSUP, "%s/indx.1: a tape with more than one partition has no place here", path);
}

int mhvtl_open(struct foreign_source *s, int dirfd, const char *path, struct errtext *err)
{
    int rc = refuse_partitions(dirfd, path, err);
    s->n_files = N_FILES;
    for (int i = 0; !rc && i < N_FILES; i++)
        rc = open_file(s, dirfd, path, i, err);
    return rc;
}

/* ---- its headers ---- */

static int read_header(const struct foreign_source *s, struct header *h, struct errtext *err)
{
    uint8_t b[HEADER_SIZE];
    const struct foreign_file *f = &s->files[INDX];
    int rc = foreign_file_read(f, s->at * HEADER_SIZE, b, sizeof(b), "a header of 512 bytes", err);
    if (rc)
        return rc;
    *h = (struct header){.offset = get_le64(b + AT_OFFSET),
                         .type = get_le32(b + AT_TYPE),
                         .flags = get_le32(b + AT_FLAGS),
                         .number = get_le32(b + AT_NUMBER),
                         .size = get_le32(b + AT_SIZE),
                         .disk_size = get_le32(b + AT_DISK_SIZE),
                         .crc = get_le32(b + AT_CRC)};
    if (h->number != (uint32_t)s->at)
        return errtext_set(err, -EBADMSG, "%s: offset %" PRIu64 ": the header of block %" PRIu64 " has number %" PRIu32,
                           f->name, s->at * HEADER_SIZE, s->at, h->number);
    if (h->type != TYPE_DATA && h->type != TYPE_FILEMARK)
        return errtext_set(err, -ENOTSUP,
                           "%s: offset %" PRIu64 ": block %" PRIu64 " is of type %" PRIu32 ": only data (%d) and "
                           "filemarks (%d) can be imported",
                           f->name, s->at * HEADER_SIZE, s->at, h->type, TYPE_DATA, TYPE_FILEMARK);
    return 0;
}

static int check_flags(const struct foreign_source *s, const struct header *h, struct errtext *err)
{
    const char *why = h->flags & FLAG_ENCRYPTED                         ? "is encrypted, and its key is not known here"
                      : h->flags & ~(uint32_t)FLAGS_KNOWN               ? "has a flag that is not known"
                      : (h->flags & FLAG_ZLIB) && (h->flags & FLAG_LZO) ? "is said to be compressed in two ways"
                                                                        : NULL;
    return why ? errtext_set(err, -ENOTSUP, "%s: offset %" PRIu64 ": block %" PRIu64 " %s (flags 0x%" PRIX32 ")",
                             s->files[INDX].name, s->at * HEADER_SIZE, s->at, why, h->flags)
               : 0;
}

static int check_block(const struct foreign_source *s, const struct header *h, struct errtext *err)
{
    const struct foreign_file *data = &s->files[DATA];
    uint64_t at = s->at * HEADER_SIZE;
    bool packed = h->flags & (FLAG_ZLIB | FLAG_LZO);
    int rc = check_flags(s, h, err);
    if (!rc)
        rc = foreign_check_length(&s->files[INDX], at, h->size, err);
    if (!rc && (!h->disk_size || h->disk_size > FOREIGN_PACKED || (!packed && h->disk_size != h->size)))
        rc = errtext_set(err, -EBADMSG,
                         "%s: offset %" PRIu64 ": block %" PRIu64 " has %" PRIu32 " bytes, and cannot be %" PRIu32
                         " bytes in data",
                         s->files[INDX].name, at, s->at, h->size, h->disk_size);
    if (!rc && (h->offset > data->size || h->disk_size > data->size - h->offset))
        rc =
            errtext_set(err, -EBADMSG,
                        "%s: offset %" PRIu64 ": block %" PRIu64 " (%" PRIu32 " bytes) is not all there: the file ends "
                        "at %" PRIu64,
                        data->name, h->offset, s->at, h->disk_size, data->size);
    return rc;
}

/* ---- its blocks ---- */

static bool unpack(const struct header *h, const uint8_t *packed, uint8_t *buf)
{
    uLongf z = h->size;
    lzo_uint l = h->size;
    if (h->flags & FLAG_ZLIB)
        return uncompress(buf, &z, packed, h->disk_size) == Z_OK && z == h->size;
    return lzo1x_decompress_safe(packed, h->disk_size, buf, &l, NULL) == LZO_E_OK && l == h->size;
}

static int read_block(struct foreign_source *s, const struct header *h, uint8_t *buf, struct errtext *err)
{
    const struct foreign_file *f = &s->files[DATA];
    bool packed = h->flags & (FLAG_ZLIB | FLAG_LZO);
    if (packed && !s->packed && !(s->packed = malloc(FOREIGN_PACKED)))
        return errtext_set(err, -ENOMEM, "%s: out of memory", f->name);
    int rc = foreign_file_read(f, h->offset, packed ? s->packed : buf, h->disk_size, "a block", err);
    if (!rc && packed && !unpack(h, s->packed, buf))
        rc = errtext_set(err, -EBADMSG, "%s: offset %" PRIu64 ": block %" PRIu64 " cannot be unpacked (%s): damaged",
                         f->name, h->offset, s->at, h->flags & FLAG_ZLIB ? "zlib" : "LZO");
    if (!rc && (h->flags & FLAG_CRC) && crc32c(0, buf, h->size) != h->crc)
        rc = errtext_set(err, -EBADMSG, "%s: offset %" PRIu64 ": block %" PRIu64 " has not the CRC that indx has",
                         f->name, h->offset, s->at);
    return rc;
}

/* ---- meta ---- */

/* In what was made before its format 4, what the cartridge's own chip knows comes first. */
#define OLD_MAM 1024

static int count_at(const struct foreign_source *s, uint64_t at, uint32_t *count)
{
    uint8_t b[4];
    const struct foreign_file *f = &s->files[META];
    if (f->size < at + HEADER_SIZE || foreign_file_read(f, at, b, sizeof(b), "a count", NULL))
        return -EBADMSG;
    *count = get_le32(b);
    return f->size == at + HEADER_SIZE + UINT64_C(4) * *count ? 0 : -EBADMSG;
}

/* indx alone does not show that its end is missing: the other two tell how much there is, too. */
static int check_end(const struct foreign_source *s, struct errtext *err)
{
    uint32_t count = 0;
    const struct foreign_file *f = &s->files[META];
    const struct foreign_file *data = &s->files[DATA];
    if (s->end != data->size)
        return errtext_set(err, -EBADMSG,
                           "%s: its %" PRIu64 " bytes are not those that %s tells of (%" PRIu64
                           "): one of them is damaged or of another time",
                           data->name, data->size, s->files[INDX].name, s->end);
    if (count_at(s, 0, &count) && count_at(s, OLD_MAM, &count))
        return errtext_set(err, -EBADMSG, "%s: its %" PRIu64 " bytes are no list of filemarks as mhVTL makes it",
                           f->name, f->size);
    return count == s->filemarks ? 0
                                 : errtext_set(err, -EBADMSG,
                                               "%s: tells of %" PRIu32 " filemarks; %s has %" PRIu64
                                               ": one of them is damaged or of another time",
                                               f->name, count, s->files[INDX].name, s->filemarks);
}

static void mhvtl_rewind(struct foreign_source *s)
{
    s->at = 0;
    s->filemarks = 0;
    s->end = 0;
}

static int mhvtl_next(struct foreign_source *s, uint8_t *buf, struct foreign_item *item, struct errtext *err)
{
    struct header h;
    int rc;
    if (s->at * HEADER_SIZE == s->files[INDX].size) {
        item->thing = FOREIGN_END;
        return check_end(s, err);
    }
    if ((rc = read_header(s, &h, err)))
        return rc;
    if (h.type == TYPE_FILEMARK) {
        item->thing = FOREIGN_FILEMARK;
        s->filemarks++;
        s->at++;
        return 0;
    }
    rc = check_block(s, &h, err);
    if (!rc && buf)
        rc = read_block(s, &h, buf, err);
    *item = (struct foreign_item){.thing = FOREIGN_BLOCK, .len = h.size};
    s->end = h.offset + h.disk_size;
    s->at++;
    return rc;
}

const struct foreign_ops mhvtl_ops = {.kind = "a tape of mhVTL's", .next = mhvtl_next, .rewind = mhvtl_rewind};
