/* SPDX-License-Identifier: GPL-2.0-or-later */
/* impostor.h: turns a segment's file into one of another time or place: the same name, sizes and kinds, another block,
 * and all CRCs good. Offsets as in vtl/FORMAT.md. */
#ifndef S3VTL_TEST_IMPOSTOR_H
#define S3VTL_TEST_IMPOSTOR_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/le.h"

/* Changes the first byte of the last raw block; its record's number goes to *n. */
static inline uint8_t *change_a_block(uint8_t *p, uint64_t records, uint64_t *n)
{
    uint8_t *rec = NULL;
    uint64_t at = 192;
    for (uint64_t i = 0; i < records; i++) {
        uint64_t stored = get_le32(p + at + 20);
        if (p[at + 4] == 1 && !p[at + 5]) {
            rec = p + at;
            *n = i;
        }
        at += (40 + get_le16(p + at + 6) + stored + 7) / 8 * 8;
    }
    assert_non_null(rec);
    rec[40] ^= 1;
    put_le32(rec + 24, crc32c(0, rec + 40, get_le32(rec + 20)));
    put_le32(rec + 28, get_le32(rec + 24));
    put_le32(rec + 36, crc32c(0, rec, 36));
    return rec;
}

/* Another one: twice is the first one again. whole: index and footer are its own, too. */
static inline void make_other(const char *path, bool whole)
{
    struct stat st;
    uint64_t n = 0;
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && !fstat(fd, &st));
    size_t len = (size_t)st.st_size;
    uint8_t *p = malloc(len);
    assert_non_null(p);
    assert_int_equal(pread(fd, p, len, 0), len);
    uint8_t *footer = p + len - 64;
    uint64_t index = get_le64(footer + 8);
    uint8_t *rec = change_a_block(p, get_le64(footer + 40), &n);
    if (whole && !memcmp(footer, "S3VTLEN2", 8))
        put_le32(p + index + 40 * (uint64_t)get_le32(footer + 16) + 4 * n, get_le32(rec + 36));
    put_le32(footer + 20, crc32c(0, p + index, len - 64 - index));
    put_le32(footer + 60, crc32c(0, footer, 60));
    assert_int_equal(pwrite(fd, p, len, 0), len);
    free(p);
    close(fd);
}

static inline void make_impostor(const char *path)
{
    make_other(path, true);
}

#endif
