/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_segment.c: what is written to a segment is what is read from it: block sizes, compression, filemarks, look-ups,
 * failures. */
#include "segment_help.h"

#include <signal.h>
#include <sys/resource.h>

#include "vtl/format/segment_private.h"

/* ---- names ---- */

static void names_have_one_form(void **state)
{
    (void)state;
    char name[SEG_NAME_SIZE];
    struct seg_id id = {42, 0x0badcafe, 1234567}, back;
    seg_id_format(&id, name);
    assert_string_equal(name, "00000042-0badcafe-0001234567");
    assert_true(seg_id_parse(name, &back));
    assert_int_equal(seg_id_compare(&id, &back), 0);
    const char *bad[] = {"",
                         "00000042-0badcafe-000123456",
                         "00000042-0badcafe-00012345678",
                         "00000042-0BADCAFE-0001234567",
                         "00000042_0badcafe-0001234567",
                         "00000042-0badcafe-00012345x7",
                         "+0000042-0badcafe-0001234567",
                         "00000000-0badcafe-0001234567",
                         "00000042-0badcafe-0001234567/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(seg_id_parse(bad[i], &back));
}

/* As text a name goes by its writer before its number; in time it does not. */
static void the_newer_segment_is_of_the_higher_number_whoever_wrote_it(void **state)
{
    (void)state;
    const struct seg_id before = {3, 0xf0000000, 7}, left = {3, 0x10000000, 8}, later = {4, 0x10000000, 1},
                        other = {3, 0x20000000, 8};
    assert_true(seg_id_is_newer(&left, &before));
    assert_false(seg_id_is_newer(&before, &left));
    assert_true(seg_id_is_newer(&later, &left));
    assert_true(seg_id_is_newer(&other, &left));
    assert_false(seg_id_is_newer(&left, &left));
    assert_true(seg_id_compare(&left, &before) < 0);
}

static void names_order_like_numbers(void **state)
{
    (void)state;
    const struct seg_id up[] = {{1, 0, 0},          {1, 0, 9999999999}, {1, 9, 0},
                                {1, 0xa0000000, 0}, {2, 0, 0},          {99999999, 0, 1}};
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 6; k++) {
            char a[SEG_NAME_SIZE], b[SEG_NAME_SIZE];
            seg_id_format(&up[i], a);
            seg_id_format(&up[k], b);
            int want = i < k ? -1 : i > k;
            assert_int_equal(seg_id_compare(&up[i], &up[k]), want);
            assert_int_equal((strcmp(a, b) > 0) - (strcmp(a, b) < 0), want);
        }
}

static void header_round_trip(void **state)
{
    (void)state;
    uint8_t buf[SEG_HEADER_SIZE];
    struct seg_header h = some_header(1000, 3), back;
    memcpy(h.barcode, "0123456789abcdef0123456789ABCDEF", 33); /* all 32 characters */
    h.overwrites = true;
    h.partition = 1;
    assert_int_equal(seg_header_encode(&h, buf), 0);
    assert_int_equal(seg_header_decode(buf, sizeof(buf), &back, NULL), 0);
    assert_int_equal(back.version, 2);
    assert_string_equal(back.barcode, h.barcode);
    assert_memory_equal(back.cartridge, h.cartridge, 16);
    assert_int_equal(seg_id_compare(&back.id, &h.id), 0);
    assert_int_equal(seg_id_compare(&back.prev, &h.prev), 0);
    assert_int_equal(back.first_object, 1000);
    assert_int_equal(back.first_file, 3);
    assert_int_equal(back.partition, 1);
    assert_int_equal(back.created, h.created);
    assert_true(back.overwrites);
    struct seg_header bad = h;
    bad.id.epoch = 0;
    assert_int_equal(seg_header_encode(&bad, buf), -EINVAL);
    bad = h;
    bad.prev.epoch = 0; /* objects before the first, but no segment that holds them */
    assert_int_equal(seg_header_encode(&bad, buf), -EINVAL);
}

/* ---- blocks ---- */

struct block {
    uint32_t len;
    enum kind kind;
};
static const struct block blocks[] = {
    {1, RANDOM},
    {1, TEXT},
    {511, RANDOM},
    {512, TEXT},
    {512, MIXED},
    {65536, RANDOM},
    {65536, TEXT},
    {65536, MIXED},
    {262144, RANDOM},
    {262144, MIXED},
    {262144, TEXT},
    {1u << 20, RANDOM},
    {1u << 20, MIXED},
    {1u << 20, TEXT},
    {TAPE_MAX_BLOCK, RANDOM},
    {TAPE_MAX_BLOCK, TEXT},
    {TAPE_MAX_BLOCK, MIXED},
    {511, TEXT},
    {65536, TEXT},
    {1, RANDOM},
};
#define N_BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

/* Reads object (a block) at offset of the file and compares it. */
static void check_block(int fd, uint64_t offset, uint32_t size, uint64_t object, const uint8_t *want, uint32_t len)
{
    struct seg_record r;
    struct errtext err = {""};
    uint8_t *rec = malloc(size), *got = malloc(len);
    assert_non_null(rec);
    assert_non_null(got);
    assert_int_equal(pread(fd, rec, size, (off_t)offset), size);
    assert_int_equal(seg_record_decode(rec, size, &r, &err), 0);
    assert_int_equal(r.object, object);
    assert_int_equal(r.length, len);
    assert_int_equal(seg_record_size(&r), size);
    assert_int_equal(seg_record_open(&r, rec, got, len, &err), 0);
    assert_memory_equal(got, want, len);
    memset(got, 0x5a, len); /* a host that asks for less */
    uint32_t part = len / 3;
    assert_int_equal(seg_record_open(&r, rec, got, part, &err), 0);
    assert_memory_equal(got, want, part);
    assert_int_equal(got[part], 0x5a);
    assert_int_equal(seg_record_open(&r, rec, NULL, 0, &err), 0);
    free(rec);
    free(got);
}

static struct seg_index *index_of(int fd)
{
    size_t len;
    uint8_t *p = read_file(fd, &len);
    uint64_t need = 0, tail = seg_tail_size(len);
    struct errtext err = {""};
    struct seg_index *x = NULL;
    int rc = seg_index_decode(p + len - tail, tail, len, &x, &need, &err);
    if (rc == -EAGAIN) {
        assert_true(need > tail && need <= len);
        rc = seg_index_decode(p + len - need, need, len, &x, &need, &err);
    }
    if (rc)
        print_message("# %s\n", err.text);
    assert_int_equal(rc, 0);
    free(p);
    return x;
}

static void check_all_blocks(int fd, const struct seg_writer *w, const struct seg_index *x, uint8_t *buf)
{
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        uint64_t offset = 0;
        uint32_t size = 0;
        assert_int_equal(w ? seg_writer_find(w, 50 + i, &offset, &size) : seg_index_find(x, 50 + i, &offset, &size), 0);
        fill_block(buf, blocks[i].len, blocks[i].kind, i);
        check_block(fd, offset, size, 50 + i, buf, blocks[i].len);
    }
}

static void round_trip(bool compress)
{
    uint8_t *buf = malloc(TAPE_MAX_BLOCK);
    assert_non_null(buf);
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 50, 5);
    uint64_t plain = 0;
    for (uint32_t i = 0; i < N_BLOCKS; i++) {
        fill_block(buf, blocks[i].len, blocks[i].kind, i);
        uint64_t limit = seg_writer_size_with(w, (SEG_RECORD_SIZE + blocks[i].len + 7) & ~7u); /* raw */
        add_block(w, buf, blocks[i].len, compress);
        assert_true(seg_writer_size(w) <= limit);
        plain += blocks[i].len;
    }
    check_all_blocks(fd, w, NULL, buf);
    uint64_t size = seg_writer_size(w), offset;
    uint32_t one;
    assert_int_equal(seg_writer_seal(w), 0);
    assert_int_equal(file_size(fd), size); /* as foretold */
    assert_int_equal(seg_writer_size(w), size);
    assert_int_equal(seg_writer_block(w, buf, 1, 0, false), -EINVAL);
    check_all_blocks(fd, w, NULL, buf); /* still read through the writer */
    struct seg_index *x = index_of(fd);
    check_all_blocks(fd, NULL, x, buf);
    assert_int_equal(seg_index_find(x, 49, &offset, &one), -ENOENT);
    assert_int_equal(seg_index_find(x, 50 + N_BLOCKS, &offset, &one), -ENOENT);
    assert_int_equal(seg_writer_find(w, 49, &offset, &one), -ENOENT);
    assert_int_equal(seg_writer_find(w, 50 + N_BLOCKS, &offset, &one), -ENOENT);
    struct seg_totals t;
    seg_index_totals(x, &t);
    assert_int_equal(t.objects, N_BLOCKS);
    assert_int_equal(t.filemarks, 0);
    assert_int_equal(t.plain_bytes, plain);
    assert_int_equal(t.stored_bytes, size);
    assert_true(compress ? size < plain * 3 / 4 : size > plain);
    seg_index_free(x);
    seg_writer_free(w);
    close(fd);
    free(buf);
}

static void blocks_of_every_size_come_back(void **state)
{
    (void)state;
    round_trip(false);
}

static void compressed_blocks_of_every_size_come_back(void **state)
{
    (void)state;
    round_trip(true);
}

static void impossible_blocks_are_refused(void **state)
{
    (void)state;
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 0, 0);
    uint8_t b = 0;
    assert_int_equal(seg_writer_block(w, &b, 0, 0, false), -EINVAL);
    assert_int_equal(seg_writer_block(w, &b, TAPE_MAX_BLOCK + 1, 0, false), -EINVAL);
    assert_int_equal(seg_writer_filemarks(w, 0), -EINVAL);
    assert_int_equal(seg_writer_seal(w), -EINVAL); /* nothing in it */
    assert_int_equal(file_size(fd), SEG_HEADER_SIZE);
    struct seg_header h = some_header(0, 0);
    struct seg_writer *again = NULL;
    assert_int_equal(seg_writer_create(fd, &h, &again), -EEXIST);
    seg_writer_free(w);
    close(fd);
}

/* ---- the index ---- */

static void equal_blocks_are_one_entry(void **state)
{
    (void)state;
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 0, 0);
    uint8_t b[512];
    for (uint32_t i = 0; i < 5000; i++) {
        fill_block(b, sizeof(b), RANDOM, i);
        add_block(w, b, sizeof(b), true);
    }
    assert_int_equal(seg_writer_size(w),
                     SEG_HEADER_SIZE + 5000 * 552 + SEG_INDEX_ENTRY_SIZE + 5000 * 4 + SEG_FOOTER_SIZE);
    assert_int_equal(seg_writer_seal(w), 0);
    struct seg_index *x = index_of(fd);
    for (uint32_t i = 0; i < 5000; i += 499) {
        uint64_t offset = 0;
        uint32_t size = 0;
        assert_int_equal(seg_index_find(x, i, &offset, &size), 0);
        assert_int_equal(offset, SEG_HEADER_SIZE + (uint64_t)i * 552);
        fill_block(b, sizeof(b), RANDOM, i);
        check_block(fd, offset, size, i, b, sizeof(b));
    }
    seg_index_free(x);
    seg_writer_free(w);
    close(fd);
}

/* 4000 times a block, a filemark and a run of i filemarks: more entries than the first fetch of an index holds. */
static void thousands_of_filemarks(void **state)
{
    (void)state;
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 7, 2);
    uint8_t b[100];
    uint64_t object = 7, filemarks = 0;
    for (uint32_t i = 1; i <= 4000; i++) {
        fill_block(b, sizeof(b), RANDOM, i);
        add_block(w, b, sizeof(b), false);
        assert_int_equal(seg_writer_filemarks(w, 1), 0);
        assert_int_equal(seg_writer_filemarks(w, i), 0);
        filemarks += 1 + i;
    }
    assert_int_equal(seg_writer_seal(w), 0);
    struct seg_index *x = index_of(fd);
    struct seg_totals t, of_writer;
    seg_index_totals(x, &t);
    seg_writer_totals(w, &of_writer);
    assert_int_equal(t.filemarks, filemarks);
    assert_int_equal(t.objects, filemarks + 4000);
    assert_int_equal(t.n_fms, 4000); /* neighbours merged */
    assert_int_equal(of_writer.n_fms, 4000);
    assert_memory_equal(t.fms, of_writer.fms, 4000 * sizeof(*t.fms));
    for (uint32_t i = 1; i <= 4000; object += 2 + i, i++) {
        struct seg_record r;
        uint64_t offset = 0;
        uint32_t size = 0;
        uint8_t rec[SEG_RECORD_SIZE];
        assert_int_equal(t.fms[i - 1].object, object + 1);
        assert_int_equal(t.fms[i - 1].count, 1 + i);
        assert_int_equal(seg_index_find(x, object + 1 + i, &offset, &size), 0); /* the last of the run: its record */
        assert_int_equal(size, SEG_RECORD_SIZE);
        assert_int_equal(pread(fd, rec, sizeof(rec), (off_t)offset), sizeof(rec));
        assert_int_equal(seg_record_decode(rec, size, &r, NULL), 0);
        assert_int_equal(r.type, SEG_FILEMARKS);
        assert_int_equal(r.object, object + 2);
        assert_int_equal(r.length, i);
    }
    seg_index_free(x);
    seg_writer_free(w);
    close(fd);
}

/* ---- what binds it ---- */

/* Two segments of one name, with records of the same kinds and lengths, but other blocks. */
static int segment_of(uint32_t version, uint32_t seed, struct seg_totals *t)
{
    struct seg_header h = some_header(50, 5);
    struct seg_writer *w = NULL;
    uint8_t b[100];
    int fd = new_file();
    h.version = version;
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    for (uint32_t i = 0; i < 5; i++) {
        fill_block(b, sizeof(b), RANDOM, seed + i);
        add_block(w, b, sizeof(b), false);
    }
    assert_int_equal(seg_writer_filemarks(w, 3), 0);
    add_block(w, b, sizeof(b), false);
    seg_writer_totals(w, t);
    assert_int_equal(t->crc, 0);
    uint64_t size = seg_writer_size(w);
    assert_int_equal(seg_writer_seal(w), 0);
    assert_int_equal(file_size(fd), size);
    seg_writer_totals(w, t);
    seg_writer_free(w);
    return fd;
}

static int check_at(const struct seg_index *x, int fd, uint64_t object)
{
    uint8_t rec[SEG_RECORD_SIZE];
    uint64_t offset = 0;
    uint32_t size = 0;
    struct errtext err = {""};
    assert_int_equal(seg_index_find(x, object, &offset, &size), 0);
    assert_int_equal(pread(fd, rec, sizeof(rec), (off_t)offset), sizeof(rec));
    int rc = seg_index_check(x, object, rec, &err);
    assert_true(!rc == !err.text[0]);
    return rc;
}

static void the_footer_binds_every_record(void **state)
{
    (void)state;
    struct seg_totals t, u, of_index;
    int a = segment_of(2, 1, &t), b = segment_of(2, 100, &u);
    assert_int_equal(t.stored_bytes, u.stored_bytes);
    assert_int_not_equal(t.crc, u.crc);
    struct seg_index *x = index_of(a);
    seg_index_totals(x, &of_index);
    assert_int_equal(of_index.crc, t.crc);
    assert_int_equal(of_index.header.version, 2);
    for (uint64_t object = 50; object < 59; object++) {
        bool mark = object >= 55 && object < 58; /* those are the same */
        assert_int_equal(check_at(x, a, object), 0);
        assert_int_equal(check_at(x, b, object), mark ? 0 : -EBADMSG);
    }
    seg_index_free(x);
    close(a);
    close(b);
}

/* What version 1 could not tell. */
static void a_footer_of_version_1_binds_only_sizes(void **state)
{
    (void)state;
    struct seg_totals t, u, of_index;
    int a = segment_of(1, 1, &t), b = segment_of(1, 100, &u);
    assert_int_equal(t.crc, u.crc);
    struct seg_index *x = index_of(a);
    seg_index_totals(x, &of_index);
    assert_int_equal(of_index.header.version, 1);
    assert_int_equal(check_at(x, b, 50), 0);
    seg_index_free(x);
    close(a);
    close(b);
}

/* ---- compression ---- */

static void text_among_random_blocks_is_compressed(void **state)
{
    (void)state;
    uint32_t len = 65536, small = 0;
    uint8_t *b = malloc(len);
    assert_non_null(b);
    struct seg_compressor *z = seg_compressor_new();
    const void *out;
    for (uint32_t i = 0; i < 300; i++) {
        enum kind kind = i % 10 == 9 ? TEXT : RANDOM;
        fill_block(b, len, kind, i);
        uint32_t n = seg_compress(z, b, len, &out);
        assert_true(kind == TEXT || !n);
        small += n != 0;
    }
    assert_int_equal(small, 30); /* none was skipped */
    seg_compressor_free(z);
    free(b);
}

/* ---- failures ---- */

/* The file size limit makes write fail in the middle of a record, as a full disk does. */
static void failed_append_leaves_the_file_as_it_was(void **state)
{
    (void)state;
    char path[] = "/tmp/s3vtl-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    uint8_t b[4096];
    fill_block(b, sizeof(b), RANDOM, 1);
    struct seg_writer *w = new_segment(fd, 0, 0);
    add_block(w, b, sizeof(b), false);
    uint64_t before = file_size(fd);
    struct rlimit old, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = before + 1000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = seg_writer_block(w, b, sizeof(b), crc32c(0, b, sizeof(b)), false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, -EFBIG);
    assert_int_equal(file_size(fd), before);
    add_block(w, b, sizeof(b), false); /* and goes on */
    assert_int_equal(seg_writer_seal(w), 0);
    struct seg_index *x = index_of(fd);
    check_block(fd, before, 4136, 1, b, sizeof(b));
    seg_index_free(x);
    seg_writer_free(w);
    close(fd);
}

static void encrypted_block_needs_a_key(void **state)
{
    (void)state;
    uint8_t rec[SEG_RECORD_SIZE + 48] = {0}, buf[100];
    uint8_t *payload = rec + SEG_RECORD_SIZE;
    fill_block(payload, 42, RANDOM, 1);
    struct seg_record r = {.type = SEG_BLOCK, .flags = SEG_AES256_GCM, .object = 3, .length = 10, .stored_len = 42},
                      back;
    r.crc_stored = crc32c(0, payload, 42);
    seg_record_encode(&r, rec);
    assert_int_equal(seg_record_decode(rec, sizeof(rec), &back, NULL), 0);
    assert_int_equal(seg_record_open(&back, rec, buf, sizeof(buf), NULL), -ENOKEY);
    assert_int_equal(seg_record_open(&back, rec, NULL, 0, NULL), 0); /* a scrub needs no key */
    payload[5] ^= 1;
    assert_int_equal(seg_record_open(&back, rec, buf, sizeof(buf), NULL), -EBADMSG);
    assert_int_equal(seg_record_open(&back, rec, NULL, 0, NULL), -EBADMSG);
    r.stored_len = 41; /* a raw block of 10 bytes has 42 */
    seg_record_encode(&r, rec);
    assert_int_equal(seg_record_decode(rec, sizeof(rec), &back, NULL), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(names_order_like_numbers),
        cmocka_unit_test(the_newer_segment_is_of_the_higher_number_whoever_wrote_it),
        cmocka_unit_test(header_round_trip),
        cmocka_unit_test(blocks_of_every_size_come_back),
        cmocka_unit_test(compressed_blocks_of_every_size_come_back),
        cmocka_unit_test(impossible_blocks_are_refused),
        cmocka_unit_test(equal_blocks_are_one_entry),
        cmocka_unit_test(thousands_of_filemarks),
        cmocka_unit_test(the_footer_binds_every_record),
        cmocka_unit_test(a_footer_of_version_1_binds_only_sizes),
        cmocka_unit_test(text_among_random_blocks_is_compressed),
        cmocka_unit_test(failed_append_leaves_the_file_as_it_was),
        cmocka_unit_test(encrypted_block_needs_a_key),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
