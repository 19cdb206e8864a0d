/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_help.h: blocks, files and segments for the tests of the codecs. */
#ifndef S3VTL_TEST_SEGMENT_HELP_H
#define S3VTL_TEST_SEGMENT_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "vtl/format/segment.h"

enum kind { RANDOM, TEXT, MIXED };

/* A block whose content is a function of seed alone. */
static inline void fill_block(uint8_t *p, uint32_t len, enum kind kind, uint32_t seed)
{
    uint32_t x = seed * 2654435761u + 1;
    for (uint32_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bool text = kind == TEXT || (kind == MIXED && (i >> 12) % 2);
        p[i] = text ? (uint8_t) "tape "[(i + x % 2) % 5] : (uint8_t)(x >> 11);
    }
}

static inline int new_file(void)
{
    int fd = memfd_create("segment", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static inline uint64_t file_size(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

/* The file's bytes, in memory of exactly that size, so that the sanitizer sees every step too far. */
static inline uint8_t *read_file(int fd, size_t *len)
{
    *len = file_size(fd);
    uint8_t *p = malloc(*len ? *len : 1);
    assert_non_null(p);
    assert_int_equal(pread(fd, p, *len, 0), *len);
    return p;
}

static inline int file_of(const uint8_t *p, size_t len)
{
    int fd = new_file();
    assert_int_equal(pwrite(fd, p, len, 0), len);
    return fd;
}

static inline struct seg_header some_header(uint64_t first_object, uint64_t first_file)
{
    struct seg_header h = {.barcode = "TEST01L8",
                           .id = {3, 0xdeadbeef, 17},
                           .first_object = first_object,
                           .first_file = first_file,
                           .created = 1700000000};
    for (uint8_t i = 0; i < 16; i++)
        h.cartridge[i] = (uint8_t)(0xa0 + i);
    if (first_object)
        h.prev = (struct seg_id){2, 0xfeedf00d, 16};
    return h;
}

static inline struct seg_writer *new_segment(int fd, uint64_t first_object, uint64_t first_file)
{
    struct seg_header h = some_header(first_object, first_file);
    struct seg_writer *w = NULL;
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    return w;
}

static inline void add_block(struct seg_writer *w, const uint8_t *p, uint32_t len, bool compress)
{
    assert_int_equal(seg_writer_block(w, p, len, crc32c(0, p, len), compress), 0);
}

/* A small segment of every kind of record: raw and compressed blocks of odd sizes, single filemarks and runs, from
 * object 100 on. */
static inline void add_small(struct seg_writer *w)
{
    uint8_t b[600];
    fill_block(b, 33, RANDOM, 1);
    add_block(w, b, 33, false);
    fill_block(b, 33, RANDOM, 2);
    add_block(w, b, 33, false);
    assert_int_equal(seg_writer_filemarks(w, 1), 0);
    fill_block(b, 600, TEXT, 3);
    add_block(w, b, 600, true);
    assert_int_equal(seg_writer_filemarks(w, 3), 0);
    assert_int_equal(seg_writer_filemarks(w, 2), 0);
    fill_block(b, 1, RANDOM, 4);
    add_block(w, b, 1, true);
}
#define SMALL_OBJECTS 10
#define SMALL_RECORDS 7

#endif
