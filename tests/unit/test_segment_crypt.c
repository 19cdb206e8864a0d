/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_segment_crypt.c: encrypted records: opened by their key in their place only, and damage is never taken for a
 * wrong key. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd_errors.h>

#include "base/crc32c.h"
#include "vtl/format/segment_private.h"

/* The linker puts these in place of the library's own. */
static size_t none_of;                  /* bytes: of which malloc has none; 0: it has all */
static unsigned zstd_left = UINT32_MAX; /* so many frames, then it finds no memory */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    return n && n == none_of ? NULL : __real_malloc(n);
}
size_t __real_ZSTD_decompress(void *to, size_t room, const void *from, size_t n);
size_t __wrap_ZSTD_decompress(void *to, size_t room, const void *from, size_t n);
size_t __wrap_ZSTD_decompress(void *to, size_t room, const void *from, size_t n)
{
    if (zstd_left)
        return zstd_left--, __real_ZSTD_decompress(to, room, from, n);
    return (size_t)0 - ZSTD_error_memory_allocation;
}

static const uint8_t cartridge[16] = "0123456789abcdef", key_bytes[32] = "the key of the test: 32 bytes...";
static const struct seg_key key = {key_bytes, "\0\0\0\3pbs", 7};
static uint8_t plain[5000], file[20000];

/* A segment with one block; returns its record and how long that is. */
static const uint8_t *make(bool compress, const struct seg_key *k, struct seg_record *r, uint32_t *size)
{
    char path[] = "/tmp/s3vtl-crypt-XXXXXX";
    int fd = mkstemp(path);
    struct seg_header h = {.id = {1, 2, 3}, .barcode = "CRY001L8"};
    struct seg_writer *w = NULL;
    uint64_t offset = 0;
    assert_true(fd >= 0);
    unlink(path);
    memcpy(h.cartridge, cartridge, 16);
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(compress ? i / 100 : i * 2654435761u >> 13);
    assert_int_equal(seg_writer_encrypted_block(w, plain, sizeof(plain), crc32c(0, plain, sizeof(plain)), compress, k),
                     0);
    assert_int_equal(seg_writer_find(w, 0, &offset, size), 0);
    ssize_t n = pread(fd, file, sizeof(file), 0);
    assert_true(n > 0 && offset + *size <= (uint64_t)n);
    seg_writer_free(w);
    close(fd);
    assert_int_equal(seg_record_decode(file + offset, *size, r, NULL), 0);
    return file + offset;
}

static void what_was_encrypted_comes_back(void **state)
{
    (void)state;
    for (int compress = 0; compress <= 1; compress++) {
        struct seg_record r;
        uint32_t size;
        const uint8_t *rec = make(compress, &key, &r, &size);
        assert_int_equal(r.flags, SEG_AES256_GCM | (compress ? SEG_ZSTD : 0));
        assert_int_equal(r.ext_len, 7);
        assert_int_equal(r.crc_plain, 0);
        assert_memory_equal(rec + SEG_RECORD_SIZE, key.kad, 7);
        assert_true(compress ? r.stored_len < 500 : r.stored_len == sizeof(plain) + 32);
        assert_null(memmem(rec, size, plain, 64));
        static const size_t rooms[] = {sizeof(plain), 100, 0, sizeof(plain) + 100};
        for (size_t i = 0; i < 4; i++) {
            uint8_t back[sizeof(plain) + 100];
            memset(back, 0xEE, sizeof(back));
            assert_int_equal(seg_record_decrypt(&r, rec, cartridge, &key, back, rooms[i], NULL), 0);
            size_t n = rooms[i] < sizeof(plain) ? rooms[i] : sizeof(plain);
            assert_memory_equal(back, plain, n);
            assert_int_equal(back[n], 0xEE);
        }
        assert_int_equal(seg_record_open(&r, rec, NULL, 0, NULL), 0); /* a scrub needs no key */
    }
}

static void another_key_or_none_opens_nothing(void **state)
{
    (void)state;
    struct seg_record r;
    uint32_t size;
    uint8_t back[sizeof(plain)] = {0}, other[32] = "another key";
    const uint8_t *rec = make(false, &key, &r, &size);
    struct seg_key wrong = {.key = other};
    assert_int_equal(seg_record_decrypt(&r, rec, cartridge, &wrong, back, sizeof(back), NULL), -EKEYREJECTED);
    for (size_t i = 0; i < sizeof(back); i++)
        assert_int_equal(back[i], 0);
    assert_int_equal(seg_record_decrypt(&r, rec, cartridge, NULL, back, sizeof(back), NULL), -ENOKEY);
    assert_int_equal(seg_record_open(&r, rec, back, sizeof(back), NULL), -ENOKEY);
}

static void it_opens_only_where_it_was_written(void **state)
{
    (void)state;
    struct seg_record r, moved;
    uint32_t size;
    uint8_t back[sizeof(plain)], other[16] = "another one";
    const uint8_t *rec = make(false, &key, &r, &size);
    assert_int_equal(seg_record_decrypt(&r, rec, other, &key, back, sizeof(back), NULL), -EKEYREJECTED);
    moved = r;
    moved.object++;
    assert_int_equal(seg_record_decrypt(&moved, rec, cartridge, &key, back, sizeof(back), NULL), -EKEYREJECTED);
    assert_int_equal(seg_record_decrypt(&r, rec, cartridge, &key, back, sizeof(back), NULL), 0);
}

static void damage_is_no_wrong_key(void **state)
{
    (void)state;
    struct seg_record r;
    uint32_t size;
    uint8_t back[sizeof(plain)];
    uint8_t *rec = (uint8_t *)(uintptr_t)make(false, &key, &r, &size);
    for (uint32_t i = SEG_RECORD_SIZE; i < SEG_RECORD_SIZE + r.ext_len + r.stored_len; i += 97) {
        rec[i] ^= 0x10;
        assert_int_equal(seg_record_decrypt(&r, rec, cartridge, &key, back, sizeof(back), NULL), -EBADMSG);
        assert_int_equal(seg_record_open(&r, rec, NULL, 0, NULL), -EBADMSG);
        rec[i] ^= 0x10;
    }
}

static void no_two_blocks_are_encrypted_alike(void **state)
{
    (void)state;
    struct seg_record r;
    uint32_t size;
    uint8_t first[200];
    memcpy(first, make(false, &key, &r, &size) + SEG_RECORD_SIZE + 7, sizeof(first));
    assert_memory_not_equal(first, make(false, &key, &r, &size) + SEG_RECORD_SIZE + 7, 12);
}

/* There is room for less than a block: what has no room is written nowhere. */
static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    static const size_t rooms[] = {0, 100, sizeof(plain) - 1};
    struct seg_record r;
    uint32_t size;
    const uint8_t *rec = make(false, &key, &r, &size);
    for (size_t i = 0; i < 3; i++) {
        uint8_t back[sizeof(plain) + 100];
        memset(back, 0xEE, sizeof(back));
        none_of = sizeof(plain);
        int rc = seg_record_decrypt(&r, rec, cartridge, &key, back, rooms[i], NULL);
        none_of = 0;
        assert_int_equal(rc, -ENOMEM);
        for (size_t b = 0; b < sizeof(back); b++)
            assert_int_equal(back[b], 0xEE);
    }
}

/* Else a tape that is loaded while memory is out would end at this block. */
static void a_lack_of_memory_is_no_damage(void **state)
{
    (void)state;
    enum { BLOCKS = 5 };
    char path[] = "/tmp/s3vtl-crypt-XXXXXX";
    const struct seg_header h = {.id = {1, 2, 3}, .barcode = "CRY001L8"};
    struct seg_writer *w = NULL;
    struct seg_totals t;
    struct stat before, after;
    struct errtext err = {""};
    bool sealed = true;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i / 100);
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    for (int i = 0; i < BLOCKS; i++)
        assert_int_equal(seg_writer_block(w, plain, sizeof(plain), crc32c(0, plain, sizeof(plain)), true), 0);
    seg_writer_free(w);
    assert_int_equal(fstat(fd, &before), 0);
    zstd_left = 2;
    int rc = seg_writer_recover(fd, 0, &w, &sealed, &err);
    zstd_left = UINT32_MAX;
    assert_int_equal(rc, -ENOMEM);
    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, &err), 0);
    seg_writer_totals(w, &t);
    assert_int_equal(t.objects, BLOCKS);
    seg_writer_free(w);
    close(fd);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encrypted_comes_back),      cmocka_unit_test(another_key_or_none_opens_nothing),
        cmocka_unit_test(it_opens_only_where_it_was_written), cmocka_unit_test(damage_is_no_wrong_key),
        cmocka_unit_test(no_two_blocks_are_encrypted_alike),  cmocka_unit_test(without_memory_nothing_is_written),
        cmocka_unit_test(a_lack_of_memory_is_no_damage),
    };
    return cmocka_run_group_tests_name("segment_crypt", tests, NULL, NULL);
}
