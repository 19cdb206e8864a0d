/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_segment_damage.c: no wrong byte passes for data (I3), and a torn file gives its longest good prefix (I4). */
#include "segment_help.h"

#include <stdio.h>

#include "base/le.h"
#include "vtl/format/segment_check.h"
#include "vtl/format/segment_private.h"

/* A sealed segment of every kind of record, and where each record begins; starts[SMALL_RECORDS] is the index. */
static uint8_t *sealed_small(size_t *len, uint64_t starts[SMALL_RECORDS + 1])
{
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 100, 4);
    add_small(w);
    starts[0] = SEG_HEADER_SIZE;
    for (size_t i = 0; i < SMALL_RECORDS; i++) {
        struct seg_record r;
        uint8_t rec[SEG_RECORD_SIZE];
        assert_int_equal(pread(fd, rec, sizeof(rec), (off_t)starts[i]), sizeof(rec));
        assert_int_equal(seg_record_parse(rec, &r, NULL), 0);
        starts[i + 1] = starts[i] + seg_record_size(&r);
    }
    assert_int_equal(starts[SMALL_RECORDS], file_size(fd));
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_free(w);
    uint8_t *p = read_file(fd, len);
    close(fd);
    return p;
}

/* What each object reads as: 600 bytes a block at most, 1 filled byte a filemark. */
struct content {
    uint32_t len[SMALL_OBJECTS];
    uint8_t bytes[SMALL_OBJECTS][600];
};

/* Reads a whole sealed segment as a reader does. 0 or the error; *pad_differs: padding that is not zero was met. */
static int read_all(const uint8_t *p, size_t len, struct content *out)
{
    struct seg_header h;
    struct seg_index *x = NULL;
    uint64_t need;
    memset(out, 0, sizeof(*out));
    int rc = seg_header_decode(p, len, &h, NULL);
    if (!rc)
        rc = seg_index_decode(p, len, len, &x, &need, NULL);
    for (uint64_t i = 0; !rc && i < SMALL_OBJECTS; i++) {
        uint64_t offset;
        uint32_t size;
        struct seg_record r;
        rc = seg_index_find(x, 100 + i, &offset, &size);
        if (!rc)
            rc = seg_record_decode(p + offset, size, &r, NULL);
        if (!rc)
            rc = seg_index_check(x, 100 + i, p + offset, NULL);
        if (!rc && r.type == SEG_BLOCK) {
            out->len[i] = r.length;
            rc = seg_record_open(&r, p + offset, out->bytes[i], sizeof(out->bytes[i]), NULL);
        }
    }
    seg_index_free(x);
    return rc;
}

static bool is_padding(const uint8_t *p, size_t at, const uint64_t starts[SMALL_RECORDS + 1])
{
    for (size_t i = 0; i < SMALL_RECORDS; i++) {
        struct seg_record r;
        assert_int_equal(seg_record_parse(p + starts[i], &r, NULL), 0);
        if (at >= starts[i] + SEG_RECORD_SIZE + r.stored_len && at < starts[i + 1])
            return true;
    }
    return false;
}

static void every_flipped_byte_is_found(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len, harmless = 0;
    uint8_t *p = sealed_small(&len, starts), *q = malloc(len);
    struct content good, got;
    assert_non_null(q);
    assert_int_equal(read_all(p, len, &good), 0);
    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 9; bit++) { /* each bit, and all of them */
            memcpy(q, p, len);
            unsigned mask = bit < 8 ? 1u << bit : 0xffu;
            q[at] = (uint8_t)(q[at] ^ mask);
            int rc = read_all(q, len, &got);
            if (is_padding(p, at, starts)) {
                assert_int_equal(rc, 0);
                assert_memory_equal(&got, &good, sizeof(good));
                harmless++;
            } else {
                assert_int_equal(rc, -EBADMSG);
            }
        }
    assert_int_equal(harmless % 9, 0);
    assert_true(harmless > 0);
    free(p);
    free(q);
}

static void truncated_object_is_found(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    for (size_t n = 0; n < len; n++) {
        uint8_t *q = malloc(n ? n : 1);
        struct content got;
        assert_non_null(q);
        memcpy(q, p, n);
        assert_int_equal(read_all(q, n, &got), -EBADMSG);
        free(q);
    }
    free(p);
}

static void garbage_never_decodes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t len = i % 700 + 1;
        uint8_t *q = malloc(len);
        assert_non_null(q);
        fill_block(q, len, RANDOM, i);
        struct seg_header h;
        struct seg_record r;
        struct seg_index *x = NULL;
        uint64_t need = 0;
        if (len > 8)
            memcpy(q, i % 2 ? "S3VTLSEG" : "REC1\1\0\0\0", 8);
        assert_int_equal(seg_header_decode(q, len, &h, NULL), -EBADMSG);
        assert_int_equal(seg_record_decode(q, len, &r, NULL), -EBADMSG);
        if (len > SEG_FOOTER_SIZE)
            memcpy(q + len - SEG_FOOTER_SIZE, i % 3 ? SEG_FOOTER_MAGIC : SEG_FOOTER_MAGIC_1, 8);
        assert_int_not_equal(seg_index_decode(q, len, len, &x, &need, NULL), 0);
        assert_null(x);
        free(q);
    }
}

/* Entries and footer with right CRCs but wrong numbers: made by a fault, or by somebody. */
static void index_that_lies_is_refused(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts), *q = malloc(len);
    assert_non_null(q);
    size_t index = starts[SMALL_RECORDS], footer = len - SEG_FOOTER_SIZE, table_end = footer - 4 * (SMALL_RECORDS % 2);
    uint32_t tried = 0;
    for (size_t at = index; at < footer + 60; at += 4) {
        for (uint32_t v = 0; v < 3; v++) {
            memcpy(q, p, len);
            uint32_t lie = v == 0 ? 0 : v == 1 ? 0xffffffffu : 0x7ffffff8u;
            if (at >= footer + 56 || (at >= footer + 20 && at < footer + 24) || !memcmp(q + at, &lie, 4))
                continue; /* reserved, the CRC itself, no lie */
            if (at >= table_end && at < footer)
                continue; /* padding */
            memcpy(q + at, &lie, 4);
            uint32_t crc = crc32c(0, q + index, footer - index);
            memcpy(q + footer + 20, &crc, 4);
            crc = crc32c(0, q + footer, 60);
            memcpy(q + footer + 60, &crc, 4);
            /* first object and first file of the whole may be any number that goes with the rest: the record gives it
             * away */
            struct content got;
            assert_int_not_equal(read_all(q, len, &got), 0);
            tried++;
        }
    }
    assert_true(tried > 150);
    free(p);
    free(q);
}

/* ---- the index made anew ---- */

struct in_memory {
    const uint8_t *p;
    size_t len;
};

static int read_memory(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    const struct in_memory *m = arg;
    (void)err;
    assert_true(offset + len >= offset && offset + len <= m->len);
    memcpy(buf, m->p + offset, len);
    return 0;
}

static int walk(const uint8_t *p, size_t len, struct seg_index **x)
{
    struct in_memory m = {p, len};
    const struct seg_bytes b = {.read = read_memory, .arg = &m, .size = len};
    struct errtext err = {""};
    int rc = seg_index_walk(&b, x, &err);
    assert_true(!rc == !err.text[0]);
    return rc;
}

/* Nothing of the index or the footer is looked at; and all of the records is, as far as the footer binds it. */
static void index_is_made_anew_from_the_records_alone(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1], need;
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    struct seg_index *read = NULL, *made = NULL;
    struct seg_totals a, b;
    assert_int_equal(seg_index_decode(p, len, len, &read, &need, NULL), 0);
    seg_index_totals(read, &a);
    memset(p + starts[SMALL_RECORDS], 0xa5, len - starts[SMALL_RECORDS]);
    assert_int_equal(walk(p, len, &made), 0);
    seg_index_totals(made, &b);
    assert_int_equal(b.crc, a.crc);
    assert_int_not_equal(b.crc, 0);
    assert_int_equal(seg_index_identity(made), seg_index_identity(read));
    assert_int_equal(b.objects, SMALL_OBJECTS);
    assert_int_equal(b.plain_bytes, a.plain_bytes);
    assert_int_equal(b.n_fms, a.n_fms);
    for (uint64_t i = 100; i < 100 + SMALL_OBJECTS; i++) {
        uint64_t at[2];
        uint32_t size[2];
        assert_int_equal(seg_index_find(read, i, &at[0], &size[0]), 0);
        assert_int_equal(seg_index_find(made, i, &at[1], &size[1]), 0);
        assert_true(at[0] == at[1] && size[0] == size[1]);
    }
    seg_index_free(read);
    seg_index_free(made);
    free(p);
}

/* A record of the right form that is another one changes the footer's CRC, and so cannot pass for the one by this name.
 */
static void another_record_makes_another_footer(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1], need;
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    struct seg_index *x = NULL;
    struct seg_totals t, other;
    struct seg_record r;
    assert_int_equal(seg_index_decode(p, len, len, &x, &need, NULL), 0);
    seg_index_totals(x, &t);
    seg_index_free(x);
    assert_int_equal(seg_record_parse(p + starts[0], &r, NULL), 0);
    p[starts[0] + SEG_RECORD_SIZE] ^= 1;
    r.crc_plain = r.crc_stored = crc32c(0, p + starts[0] + SEG_RECORD_SIZE, r.stored_len);
    seg_record_encode(&r, p + starts[0]);
    assert_int_equal(walk(p, len, &x), 0);
    seg_index_totals(x, &other);
    assert_int_not_equal(other.crc, t.crc);
    seg_index_free(x);
    free(p);
}

/* Any change of header, record headers or length: no index, or not this footer. */
static void records_that_cannot_be_followed_make_no_index(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    struct seg_index *x = NULL;
    struct seg_totals whole, t;
    assert_int_equal(walk(p, len, &x), 0);
    seg_index_totals(x, &whole);
    seg_index_free(x);
    for (size_t at = 0; at < starts[SMALL_RECORDS]; at++) {
        bool header = at < SEG_HEADER_SIZE;
        for (size_t i = 0; i < SMALL_RECORDS; i++)
            header = header || (at >= starts[i] && at < starts[i] + SEG_RECORD_SIZE);
        p[at] ^= 0x20;
        assert_int_equal(walk(p, len, &x), header ? -EBADMSG : 0);
        seg_index_free(x);
        x = NULL;
        p[at] ^= 0x20;
    }
    for (size_t n = 0; n < len; n++) {
        uint8_t *q = malloc(n ? n : 1);
        assert_non_null(q);
        memcpy(q, p, n);
        int rc = walk(q, n, &x); /* 0 where index and footer of fewer records would just fit */
        assert_true(rc == 0 || rc == -EBADMSG);
        if (!rc) {
            seg_index_totals(x, &t);
            assert_int_not_equal(t.crc, whole.crc);
        }
        seg_index_free(x);
        x = NULL;
        free(q);
    }
    free(p);
}

/* ---- the sum of the whole ---- */

static int sum_of(const uint8_t *p, size_t len, uint32_t *footer, uint32_t *sum)
{
    struct in_memory m = {p, len};
    const struct seg_bytes b = {.read = read_memory, .arg = &m, .size = len};
    struct errtext err = {""};
    int rc = seg_sum(&b, footer, sum, &err);
    assert_true(!rc == !err.text[0]);
    return rc;
}

/* It is what the file must be, whatever its payloads, padding, index and footer are: only the headers are looked at. */
static void sum_of_the_file_follows_from_the_headers(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    const uint32_t whole = crc32c(0, p, len), end = get_le32(p + len - 4);
    uint32_t footer = 0, sum = 0;
    for (size_t at = 0; at < len; at++) {
        bool header = at < SEG_HEADER_SIZE;
        for (size_t i = 0; i < SMALL_RECORDS; i++)
            header = header || (at >= starts[i] && at < starts[i] + SEG_RECORD_SIZE);
        p[at] ^= 0x20;
        int rc = sum_of(p, len, &footer, &sum);
        assert_true(header ? rc == -EBADMSG : !rc && sum == whole && footer == end);
        p[at] ^= 0x20;
    }
    free(p);
}

/* Encrypted, with key-associated data, and longer than its neighbours. */
static void sum_of_the_file_follows_from_headers_of_encrypted_records(void **state)
{
    (void)state;
    static const uint8_t secret[32] = {1, 2, 3};
    const struct seg_key key = {secret, "kad", 3};
    uint8_t block[5000];
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 100, 4);
    for (uint32_t i = 1; i < 9; i++) {
        fill_block(block, i * 600, MIXED, i);
        assert_int_equal(seg_writer_encrypted_block(w, block, i * 600, crc32c(0, block, i * 600), true, &key), 0);
    }
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_free(w);
    size_t len;
    uint8_t *p = read_file(fd, &len);
    uint32_t footer = 0, sum = 0;
    assert_int_equal(sum_of(p, len, &footer, &sum), 0);
    assert_int_equal(sum, crc32c(0, p, len));
    close(fd);
    free(p);
}

static void small_records_are_read_rather_than_walked(void **state)
{
    (void)state;
    uint8_t block[512];
    uint32_t footer = 0, sum = 0;
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 100, 4);
    for (uint32_t i = 0; i < 100; i++) {
        fill_block(block, sizeof(block), RANDOM, i);
        assert_int_equal(seg_writer_block(w, block, sizeof(block), crc32c(0, block, sizeof(block)), false), 0);
    }
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_free(w);
    size_t len;
    uint8_t *p = read_file(fd, &len);
    assert_int_equal(sum_of(p, len, &footer, &sum), -E2BIG);
    close(fd);
    free(p);
}

/* ---- a whole file ---- */

static uint64_t told, told_objects;
static void hear(void *arg, uint64_t first_object, uint64_t objects, const char *what)
{
    (void)arg;
    assert_true(first_object >= 100 && first_object + objects <= 100 + SMALL_OBJECTS && what[0]);
    told++;
    told_objects += objects;
}

static uint64_t check_file(const uint8_t *p, size_t len, const struct seg_ref *ref, uint64_t chunk)
{
    const struct seg_header h = some_header(100, 4);
    struct in_memory m = {p, len};
    struct errtext err = {""};
    struct seg_check c = {.bytes = {read_memory, &m, len},
                          .chunk = chunk,
                          .cartridge = h.cartridge,
                          .barcode = h.barcode,
                          .ref = ref,
                          .found = hear};
    told = told_objects = 0;
    assert_int_equal(seg_check(&c, &err), 0);
    return told;
}

/* Padding too: what is sent is what was appended. */
static void the_check_of_a_file_finds_every_flipped_bit(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    struct seg_ref ref = {.id = some_header(100, 4).id, .first_object = 100, .first_file = 4};
    ref.objects = SMALL_OBJECTS;
    ref.crc = get_le32(p + len - 4);
    assert_int_equal(check_file(p, len, &ref, 64), 0);
    for (size_t at = 0; at < len; at++) {
        bool harmless = is_padding(p, at, starts) || at >= starts[SMALL_RECORDS];
        for (int bit = 0; bit < 8; bit++) {
            p[at] = (uint8_t)(p[at] ^ 1u << bit);
            assert_true(check_file(p, len, &ref, bit % 2 ? 64 : 4096) > 0);
            assert_int_equal(!told_objects, harmless);
            p[at] = (uint8_t)(p[at] ^ 1u << bit);
        }
    }
    ref.crc ^= 1; /* a file of the right form that is another one */
    assert_int_equal(check_file(p, len, &ref, 64), 1);
    assert_int_equal(told_objects, SMALL_OBJECTS);
    free(p);
}

/* The sum is the one taken when the block arrived: what changed in memory since then must come out. */
static void block_changed_before_it_was_written_is_found(void **state)
{
    (void)state;
    uint8_t b[600], out[600];
    for (int compress = 0; compress < 2; compress++) {
        int fd = new_file();
        struct seg_writer *w = new_segment(fd, 0, 0);
        fill_block(b, sizeof(b), TEXT, 1);
        uint32_t crc = crc32c(0, b, sizeof(b));
        b[300] ^= 1;
        assert_int_equal(seg_writer_block(w, b, sizeof(b), crc, compress), 0);
        size_t len;
        uint8_t *p = read_file(fd, &len);
        struct seg_record r;
        assert_int_equal(seg_record_decode(p + SEG_HEADER_SIZE, len - SEG_HEADER_SIZE, &r, NULL), 0);
        assert_int_equal(r.flags, compress ? SEG_ZSTD : 0);
        assert_int_equal(seg_record_open(&r, p + SEG_HEADER_SIZE, out, sizeof(out), NULL), -EBADMSG);
        assert_int_equal(seg_record_open(&r, p + SEG_HEADER_SIZE, out, 1, NULL), -EBADMSG);
        free(p);
        seg_writer_free(w);
        close(fd);
    }
}

/* Each of the two sums of a raw block is checked, and with an extension before it too. */
static void both_sums_of_a_raw_block_are_checked(void **state)
{
    (void)state;
    for (uint16_t ext = 0; ext <= 16; ext = (uint16_t)(ext + 16))
        for (int wrong = 0; wrong < 3; wrong++) {
            uint8_t rec[SEG_RECORD_SIZE + 16 + 64], out[64];
            fill_block(rec + SEG_RECORD_SIZE, 80, RANDOM, 5);
            struct seg_record r = {.type = SEG_BLOCK, .ext_len = ext, .length = 64, .stored_len = 64};
            r.crc_plain = crc32c(0, rec + SEG_RECORD_SIZE + ext, 64) ^ (wrong == 1);
            r.crc_stored = crc32c(0, rec + SEG_RECORD_SIZE, (size_t)ext + 64) ^ (wrong == 2);
            seg_record_encode(&r, rec);
            assert_int_equal(seg_record_decode(rec, sizeof(rec), &r, NULL), 0);
            assert_int_equal(seg_record_open(&r, rec, out, sizeof(out), NULL), wrong ? -EBADMSG : 0);
            if (!wrong)
                assert_memory_equal(out, rec + SEG_RECORD_SIZE + ext, 64);
        }
}

/* ---- recovery ---- */

/* Recovers the first n bytes of p, and checks that it has exactly these records; then it must go on as if nothing had
 * been. */
static void recover_prefix(const uint8_t *p, size_t n, const uint64_t starts[SMALL_RECORDS + 1], size_t records)
{
    int fd = file_of(p, n);
    struct seg_writer *w = NULL;
    bool sealed = true;
    struct errtext err = {""};
    assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, &err), 0);
    assert_false(sealed);
    assert_int_equal(file_size(fd), starts[records]);
    struct seg_totals t;
    seg_writer_totals(w, &t);
    assert_int_equal(t.stored_bytes, starts[records]);
    assert_string_equal(t.header.barcode, "TEST01L8");
    assert_int_equal(t.header.first_object, 100);
    uint8_t *q;
    size_t len;
    uint8_t b = 9;
    add_block(w, &b, 1, false);
    assert_int_equal(seg_writer_seal(w), 0);
    q = read_file(fd, &len);
    assert_memory_equal(q, p, starts[records]);
    uint64_t need, offset;
    uint32_t size;
    struct seg_index *x = NULL;
    assert_int_equal(seg_index_decode(q, len, len, &x, &need, &err), 0);
    assert_int_equal(seg_index_find(x, 100 + t.objects, &offset, &size), 0);
    assert_int_equal(offset, starts[records]);
    seg_index_free(x);
    free(q);
    seg_writer_free(w);
    close(fd);
}

static size_t whole_records(size_t n, const uint64_t starts[SMALL_RECORDS + 1])
{
    size_t k = 0;
    while (k < SMALL_RECORDS && starts[k + 1] <= n)
        k++;
    return k;
}

static void torn_tail_gives_the_longest_good_prefix(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    for (size_t n = SEG_HEADER_SIZE; n < len; n++)
        recover_prefix(p, n, starts, whole_records(n, starts));
    free(p);
}

/* After a power loss the file may have its full length, with zeros (or something else) where data never arrived. */
static void lost_pages_end_the_prefix(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts), *q = malloc(len);
    assert_non_null(q);
    for (size_t at = SEG_HEADER_SIZE; at < starts[SMALL_RECORDS]; at++) {
        if (is_padding(p, at, starts))
            continue;
        memcpy(q, p, len);
        q[at] ^= 0x10;
        recover_prefix(q, len, starts, whole_records(at, starts));
    }
    for (size_t at = SEG_HEADER_SIZE; at < len - 1; at += 8) {
        memcpy(q, p, len);
        memset(q + at, 0, len - at);
        size_t n = at; /* what is zero anyway is not lost */
        while (n < len && !p[n])
            n++;
        if (n < len)
            recover_prefix(q, len, starts, whole_records(n, starts));
    }
    free(p);
    free(q);
}

static void bad_header_is_not_recovered(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts);
    struct seg_writer *w = NULL;
    bool sealed;
    for (size_t n = 0; n < SEG_HEADER_SIZE; n++) {
        int fd = file_of(p, n);
        struct errtext err = {""};
        assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, &err), -EINVAL);
        assert_int_equal(file_size(fd), n); /* not touched */
        assert_true(err.text[0]);
        close(fd);
        p[n] ^= 1;
        fd = file_of(p, len);
        assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, &err), -EINVAL);
        assert_int_equal(file_size(fd), len);
        close(fd);
        p[n] ^= 1;
    }
    free(p);
}

static void sealed_file_is_recognised(void **state)
{
    (void)state;
    uint64_t starts[SMALL_RECORDS + 1];
    size_t len;
    uint8_t *p = sealed_small(&len, starts), b = 1;
    int fd = file_of(p, len);
    struct seg_writer *w = NULL;
    bool sealed = false;
    assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, NULL), 0);
    assert_true(sealed);
    assert_int_equal(file_size(fd), len);
    struct seg_totals t;
    seg_writer_totals(w, &t);
    assert_int_equal(t.stored_bytes, len);
    assert_int_equal(t.objects, SMALL_OBJECTS);
    assert_int_equal(t.filemarks, 6);
    assert_int_equal(t.plain_bytes, 33 + 33 + 600 + 1);
    assert_int_equal(seg_writer_size(w), len);
    assert_int_equal(seg_writer_block(w, &b, 1, crc32c(0, &b, 1), false), -EINVAL);
    assert_int_equal(seg_writer_filemarks(w, 1), -EINVAL);
    assert_int_equal(seg_writer_seal(w), -EINVAL);
    assert_int_equal(file_size(fd), len);
    seg_writer_free(w);
    close(fd);
    free(p);
}

/* A block whose content is a record that would fit: it must never be taken for one. */
static void record_inside_a_block_is_no_record(void **state)
{
    (void)state;
    int fd = new_file();
    struct seg_writer *w = new_segment(fd, 0, 0);
    uint8_t inner[SEG_RECORD_SIZE * 2] = {0};
    struct seg_record r = {.type = SEG_FILEMARKS, .object = 0, .length = 5};
    seg_record_encode(&r, inner);
    seg_record_encode(&r, inner + SEG_RECORD_SIZE);
    add_block(w, inner, sizeof(inner), false);
    seg_writer_free(w);
    size_t len;
    uint8_t *p = read_file(fd, &len);
    close(fd);
    p[SEG_HEADER_SIZE + 1] ^= 1; /* its own header is torn */
    fd = file_of(p, len);
    bool sealed;
    assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, NULL), 0);
    assert_int_equal(file_size(fd), SEG_HEADER_SIZE);
    seg_writer_free(w);
    close(fd);
    free(p);
}

/* A good record, but not the next one: it is left from something else. */
static void record_of_another_object_ends_the_prefix(void **state)
{
    (void)state;
    const uint64_t numbers[] = {99, 101, 5000};
    for (size_t i = 0; i < 3; i++) {
        int fd = new_file();
        struct seg_writer *w = new_segment(fd, 99, 4);
        uint8_t b[40] = {0}, rec[SEG_RECORD_SIZE];
        bool sealed;
        add_block(w, b, sizeof(b), false); /* 99: the next one is 100 */
        uint64_t end = file_size(fd);
        seg_writer_free(w);
        struct seg_record r = {.type = SEG_FILEMARKS, .object = numbers[i], .length = 1};
        seg_record_encode(&r, rec);
        assert_int_equal(pwrite(fd, rec, sizeof(rec), (off_t)end), sizeof(rec));
        assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, NULL), 0);
        assert_int_equal(file_size(fd), end);
        seg_writer_free(w);
        close(fd);
    }
}

/* The bytes that an s3vtl of version 1 left. */
static int old_file(const char *path)
{
    uint8_t p[8192];
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s: %s (run in the top directory)", path, strerror(errno));
    size_t len = fread(p, 1, sizeof(p), f);
    fclose(f);
    return file_of(p, len);
}

static void what_version_1_left_is_taken_up(void **state)
{
    (void)state;
    struct seg_writer *w = NULL;
    struct seg_totals t;
    bool sealed = false;
    int fd = old_file("tests/data/v1/store/tapes/V1TAPEL8/seg/00000003-0000beef-0000000001");
    assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, NULL), 0);
    assert_true(sealed);
    seg_writer_free(w);
    close(fd);
    fd = old_file("tests/data/v1/open-segment");
    uint64_t before = file_size(fd);
    assert_int_equal(seg_writer_recover(fd, before, &w, &sealed, NULL), 0);
    assert_false(sealed);
    seg_writer_totals(w, &t);
    assert_int_equal(t.header.version, 1);
    assert_int_equal(t.objects, 6);
    seg_writer_free(w);
    close(fd);
}

/* A segment that an older s3vtl left open is ended as it was begun. */
static void a_segment_of_version_1_is_taken_up_and_ended_as_such(void **state)
{
    (void)state;
    struct seg_header h = some_header(100, 4);
    struct seg_writer *w = NULL, *again = NULL;
    struct seg_totals t;
    uint8_t b[40] = {7};
    bool sealed = true;
    int fd = new_file();
    h.version = 1;
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    add_small(w);
    seg_writer_free(w);
    assert_int_equal(seg_writer_recover(fd, 0, &w, &sealed, NULL), 0);
    assert_false(sealed);
    add_block(w, b, sizeof(b), false);
    assert_int_equal(seg_writer_seal(w), 0);
    size_t len;
    uint8_t *p = read_file(fd, &len);
    assert_memory_equal(p + 8, "\1\0\0\0", 4);
    assert_memory_equal(p + len - SEG_FOOTER_SIZE, "S3VTLEND", 8);
    assert_int_equal(seg_writer_recover(fd, 0, &again, &sealed, NULL), 0);
    assert_true(sealed);
    seg_writer_totals(w, &t);
    assert_int_not_equal(t.crc, 0);
    uint32_t crc = t.crc;
    seg_writer_totals(again, &t);
    assert_int_equal(t.crc, crc);
    free(p);
    seg_writer_free(w);
    seg_writer_free(again);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(truncated_object_is_found),
        cmocka_unit_test(garbage_never_decodes),
        cmocka_unit_test(index_that_lies_is_refused),
        cmocka_unit_test(index_is_made_anew_from_the_records_alone),
        cmocka_unit_test(another_record_makes_another_footer),
        cmocka_unit_test(records_that_cannot_be_followed_make_no_index),
        cmocka_unit_test(sum_of_the_file_follows_from_the_headers),
        cmocka_unit_test(sum_of_the_file_follows_from_headers_of_encrypted_records),
        cmocka_unit_test(small_records_are_read_rather_than_walked),
        cmocka_unit_test(the_check_of_a_file_finds_every_flipped_bit),
        cmocka_unit_test(block_changed_before_it_was_written_is_found),
        cmocka_unit_test(both_sums_of_a_raw_block_are_checked),
        cmocka_unit_test(torn_tail_gives_the_longest_good_prefix),
        cmocka_unit_test(lost_pages_end_the_prefix),
        cmocka_unit_test(bad_header_is_not_recovered),
        cmocka_unit_test(sealed_file_is_recognised),
        cmocka_unit_test(what_version_1_left_is_taken_up),
        cmocka_unit_test(a_segment_of_version_1_is_taken_up_and_ended_as_such),
        cmocka_unit_test(record_inside_a_block_is_no_record),
        cmocka_unit_test(record_of_another_object_ends_the_prefix),
    };
    return cmocka_run_group_tests_name("segment_damage", tests, NULL, NULL);
}
