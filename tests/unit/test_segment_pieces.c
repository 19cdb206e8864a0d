/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_segment_pieces.c: blocks in pieces: what is laid out comes back, byte for byte, and nothing else passes. */
#include "segment_help.h"

#include "base/le.h"

#include "vtl/format/chunk_list.h"
#include "vtl/format/segment_private.h"
#include "vtl/format/source.h"

#define LEN 65536u

static const uint8_t cart[16] = "0123456789abcdef", key_bytes[32] = "the key of the test: 32 bytes...";
static const struct seg_key key = {key_bytes, "\0\0\0\3pbs", 7};

static struct seg_source some_source(uint64_t number)
{
    struct seg_source s = {.id = {3, 0x5e11a7e5, number}, .size = 41000000, .crc = 77};
    memcpy(s.cartridge, cart, 16);
    strcpy(s.barcode, "S3V001L8");
    return s;
}

/* What the copies of the tests are: bytes that follow from where they are. */
static uint8_t byte_of(const struct seg_source *s, uint64_t object, uint32_t offset)
{
    return (uint8_t)(s->id.number * 31 + object * 7 + offset * 13 + offset / 251);
}

static int copy(void *arg, const struct seg_source *from, const struct seg_piece *p, uint8_t *to, struct errtext *err)
{
    (void)err;
    size_t *copies = arg;
    if (copies)
        ++*copies;
    for (uint32_t i = 0; i < p->length; i++)
        to[i] = byte_of(from, p->object, p->offset + i);
    return 0;
}

/* A block of literals and copies out of two sources. */
struct made {
    uint8_t block[LEN];
    struct seg_source sources[2];
    struct seg_piece pieces[4];
    struct seg_make make;
};

static void make_block(struct made *m, enum kind kind)
{
    static const struct seg_piece pieces[] = {
        {SEG_LITERAL, 16, 0, 0}, {0, 30000, 1234, 16}, {SEG_LITERAL, 5000, 0, 0}, {1, LEN - 35016, 99, 5000}};
    fill_block(m->block, LEN, kind, 5);
    for (unsigned i = 0; i < 2; i++)
        m->sources[i] = some_source(i + 1);
    memcpy(m->pieces, pieces, sizeof(pieces));
    assert_int_equal(copy(NULL, &m->sources[0], &pieces[1], m->block + 16, NULL), 0);
    assert_int_equal(copy(NULL, &m->sources[1], &pieces[3], m->block + 35016, NULL), 0);
    m->make = (struct seg_make){.sources = m->sources, .pieces = m->pieces, .n_sources = 2, .n_pieces = 4};
}

static int pack(struct seg_packer *p, const struct made *m, bool compress, const struct seg_key *k, uint8_t **rec,
                struct seg_record *r)
{
    struct seg_packed packed;
    const struct seg_block b = {.object = 7,
                                .data = m->block,
                                .len = LEN,
                                .crc_plain = crc32c(0, m->block, LEN),
                                .compress = compress,
                                .make = &m->make};
    int rc = seg_pack(p, cart, &b, k, &packed);
    if (rc)
        return rc;
    uint32_t size = seg_packed_size(&packed);
    *rec = calloc(1, size);
    assert_non_null(*rec);
    seg_record_encode(&packed.r, *rec);
    memcpy(*rec + SEG_RECORD_SIZE, packed.payload, (size_t)packed.r.ext_len + packed.r.stored_len);
    assert_int_equal(seg_record_decode(*rec, size, r, NULL), 0);
    return 0;
}

/* Of 600 bytes zstd could save some hundred of a block of 64 KiB: it is not asked. */
static void a_block_that_is_little_more_than_its_pieces_is_not_compressed(void **state)
{
    (void)state;
    struct made m;
    struct seg_packer *p = seg_packer_new();
    struct seg_record r;
    uint8_t *rec;
    for (uint32_t literal = 600; literal <= 6000; literal += 5400) {
        make_block(&m, TEXT);
        m.pieces[0] = (struct seg_piece){SEG_LITERAL, literal, 0, 0};
        m.pieces[1] = (struct seg_piece){0, LEN - literal, 1234, 16};
        m.make.n_pieces = 2;
        assert_int_equal(copy(NULL, &m.sources[0], &m.pieces[1], m.block + literal, NULL), 0);
        assert_int_equal(pack(p, &m, true, NULL, &rec, &r), 0);
        assert_int_equal(r.flags, SEG_PIECES | (literal > 600 ? SEG_ZSTD : 0));
        free(rec);
    }
    seg_packer_free(p);
}

static void a_block_in_pieces_comes_back(void **state)
{
    (void)state;
    struct seg_packer *p = seg_packer_new();
    for (unsigned how = 0; how < 4; how++) {
        bool compress = how & 1, encrypt = how & 2;
        struct made m;
        uint8_t *rec = NULL, back[LEN];
        struct seg_record r;
        struct seg_scratch s = {0};
        struct seg_pieced pieced;
        size_t copies = 0;
        make_block(&m, compress ? TEXT : RANDOM);
        assert_int_equal(pack(p, &m, compress, encrypt ? &key : NULL, &rec, &r), 0);
        assert_int_equal(r.flags, SEG_PIECES | (compress ? SEG_ZSTD : 0) | (encrypt ? SEG_AES256_GCM : 0));
        assert_int_equal(r.length, LEN);
        assert_true(r.stored_len < 5016 + 2 * 80 + 4 * 24 + 16 + SEG_AES_OVERHEAD + 1);
        assert_int_equal(seg_pieces_open(&r, rec, cart, encrypt ? &key : NULL, &s, &pieced, NULL), 0);
        assert_int_equal(pieced.n_sources, 2);
        assert_int_equal(pieced.n_pieces, 4);
        assert_int_equal(seg_pieces_make(&pieced, copy, &copies, back, NULL), 0);
        assert_int_equal(copies, 2);
        assert_memory_equal(back, m.block, LEN);
        /* What it holds itself can be copied from. */
        const uint8_t *area = NULL;
        uint32_t len = 0;
        assert_int_equal(seg_literals(&r, rec, cart, encrypt ? &key : NULL, &s, &area, &len, NULL), 0);
        assert_int_equal(len, 5016);
        assert_memory_equal(area, m.block, 16);
        assert_memory_equal(area + 16, m.block + 30016, 5000);
        seg_scratch_free(&s);
        free(rec);
    }
    seg_packer_free(p);
}

static void the_literal_area_of_a_plain_block_is_the_block(void **state)
{
    (void)state;
    struct seg_packer *p = seg_packer_new();
    for (unsigned how = 0; how < 4; how++) {
        bool compress = how & 1, encrypt = how & 2;
        struct made m;
        uint8_t *rec = NULL;
        const uint8_t *area = NULL;
        uint32_t len = 0;
        struct seg_record r;
        struct seg_scratch s = {0};
        make_block(&m, TEXT);
        fill_block(m.block, LEN, compress ? TEXT : RANDOM, 9);
        m.make = (struct seg_make){.n_sources = 0};
        assert_int_equal(pack(p, &m, compress, encrypt ? &key : NULL, &rec, &r), 0);
        assert_false(r.flags & SEG_PIECES);
        assert_int_equal(seg_literals(&r, rec, cart, encrypt ? &key : NULL, &s, &area, &len, NULL), 0);
        assert_int_equal(len, LEN);
        assert_memory_equal(area, m.block, LEN);
        seg_scratch_free(&s);
        free(rec);
    }
    seg_packer_free(p);
}

static void pieces_that_are_not_the_block_are_refused(void **state)
{
    (void)state;
    struct seg_packer *p = seg_packer_new();
    struct seg_record r;
    uint8_t *rec = NULL;
    for (unsigned what = 0; what < 8; what++) {
        struct made m;
        make_block(&m, RANDOM);
        switch (what) {
        case 0:
            m.pieces[3].length--;
            break;
        case 1:
            m.pieces[3].length++;
            break;
        case 2:
            m.pieces[1].source = 2;
            break;
        case 3:
            m.sources[1].crc = 0;
            break;
        case 4:
            m.sources[1].barcode[0] = '\0';
            break;
        case 5:
            m.make.n_pieces = 3;
            break;
        case 6:
            m.pieces[2].length = 0;
            break;
        case 7:
            m.make.n_sources = SEG_MAX_SOURCES + 1;
            break;
        }
        assert_int_equal(pack(p, &m, false, NULL, &rec, &r), -EINVAL);
    }
    seg_packer_free(p);
}

static void what_does_not_save_anything_is_not_laid_out(void **state)
{
    (void)state;
    struct seg_packer *p = seg_packer_new();
    struct made m;
    struct seg_record r;
    uint8_t *rec = NULL;
    make_block(&m, RANDOM);
    m.pieces[0] = (struct seg_piece){SEG_LITERAL, LEN - 100, 0, 0};
    m.pieces[1] = (struct seg_piece){0, 100, 1234, 16};
    m.make.n_pieces = 2;
    assert_int_equal(pack(p, &m, false, NULL, &rec, &r), -E2BIG);
    seg_packer_free(p);
}

/* Every byte of a record in turn: no wrong block, and no read beyond it (the sanitizers look). */
static void no_changed_byte_makes_another_block(void **state)
{
    (void)state;
    struct seg_packer *p = seg_packer_new();
    struct made m;
    struct seg_record r;
    uint8_t *rec = NULL, back[LEN];
    struct seg_scratch s = {0};
    make_block(&m, RANDOM);
    assert_int_equal(pack(p, &m, false, NULL, &rec, &r), 0);
    uint32_t size = seg_record_size(&r), bad = 0;
    for (uint32_t i = 0; i < SEG_RECORD_SIZE + r.stored_len; i++)
        for (unsigned mended = 0; mended < 2; mended++) {
            struct seg_record d;
            struct seg_pieced pieced;
            const uint8_t *area = NULL;
            uint32_t len = 0;
            rec[i] ^= 0x15;
            uint32_t stored = get_le32(rec + 28);
            if (mended && i >= SEG_RECORD_SIZE) { /* the stored CRC as if it had been written so */
                put_le32(rec + 28, crc32c(0, rec + SEG_RECORD_SIZE, r.stored_len));
                put_le32(rec + 36, crc32c(0, rec, 36));
            }
            int rc = seg_record_decode(rec, size, &d, NULL);
            if (!rc)
                rc = seg_pieces_open(&d, rec, cart, NULL, &s, &pieced, NULL);
            if (!rc)
                rc = seg_pieces_make(&pieced, copy, NULL, back, NULL);
            assert_true(rc || !memcmp(back, m.block, LEN));
            if (mended &&
                i >= SEG_RECORD_SIZE + r.stored_len - 5016) /* who copies from it sees no block, nor its CRC */
                assert_int_equal(seg_literals(&d, rec, cart, NULL, &s, &area, &len, NULL), -EBADMSG);
            bad += rc != 0;
            rec[i] ^= 0x15;
            put_le32(rec + 28, stored);
            put_le32(rec + 36, crc32c(0, rec, 36));
        }
    assert_true(bad > r.stored_len); /* all of them, but for fields that only say where a copy is from, and zeros */
    seg_scratch_free(&s);
    free(rec);
    seg_packer_free(p);
}

static void only_version_3_takes_them(void **state)
{
    (void)state;
    struct seg_packer *p = seg_packer_new();
    struct made m;
    make_block(&m, RANDOM);
    for (uint32_t version = SEG_VERSION; version <= SEG_VERSION_PIECES; version++) {
        struct seg_header h = some_header(7, 0);
        struct seg_writer *w = NULL;
        struct seg_packed packed;
        const struct seg_block b = {
            .object = 7, .data = m.block, .len = LEN, .crc_plain = crc32c(0, m.block, LEN), .make = &m.make};
        int fd = new_file();
        h.version = version;
        assert_int_equal(seg_writer_create(fd, &h, &w), 0);
        assert_int_equal(seg_pack(p, h.cartridge, &b, NULL, &packed), 0);
        assert_int_equal(seg_writer_packed(w, &packed), version == SEG_VERSION ? -EINVAL : 0);
        seg_writer_free(w);
        close(fd);
    }
    seg_packer_free(p);
}

/* ---- segments with them ---- */

struct whole {
    int fd;
    struct seg_header h;
    struct seg_totals t;
    struct made m;
};

/* Two plain blocks, one in pieces, filemarks, and both lists. */
static void make_segment(struct whole *w)
{
    struct seg_packer *p = seg_packer_new();
    struct seg_writer *writer = NULL;
    struct seg_packed packed;
    const struct seg_chunk_part parts[] = {
        {.id = "a chunk", .chunk_length = 70000, .from = 5000, .offset = 16, .length = 5000}};
    make_block(&w->m, RANDOM);
    w->m.make.parts = parts;
    w->m.make.n_parts = 1;
    w->fd = new_file();
    w->h = some_header(5, 1);
    w->h.version = SEG_VERSION_PIECES;
    assert_int_equal(seg_writer_create(w->fd, &w->h, &writer), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(seg_writer_block(writer, w->m.block, 1000, crc32c(0, w->m.block, 1000), false), 0);
    const struct seg_block b = {
        .object = 7, .data = w->m.block, .len = LEN, .crc_plain = crc32c(0, w->m.block, LEN), .make = &w->m.make};
    assert_int_equal(seg_pack(p, w->h.cartridge, &b, NULL, &packed), 0);
    assert_int_equal(seg_writer_packed(writer, &packed), 0);
    assert_int_equal(seg_writer_filemarks(writer, 2), 0);
    uint64_t expected = seg_writer_size(writer) + seg_pad8(SEG_RECORD_SIZE + 160) + SEG_INDEX_ENTRY_SIZE;
    assert_int_equal(seg_writer_sources(writer, w->m.sources, 2), 0);
    assert_int_equal(seg_writer_seal(writer), 0);
    seg_writer_totals(writer, &w->t);
    w->t.fms = NULL;
    assert_in_range(w->t.stored_bytes, expected, expected + 8);
    assert_int_equal(w->t.objects, 5);
    assert_int_equal(w->t.filemarks, 2);
    assert_int_equal(w->t.plain_bytes, 2000 + LEN);
    size_t len = 0;
    assert_non_null(seg_writer_chunks(writer, &len));
    assert_true(len > 0);
    seg_writer_free(writer);
    seg_packer_free(p);
}

static struct seg_index *index_of(const struct whole *w, size_t *len, uint8_t **bytes)
{
    struct seg_index *x = NULL;
    uint64_t need = 0;
    *bytes = read_file(w->fd, len);
    assert_int_equal(*len, w->t.stored_bytes);
    assert_int_equal(seg_index_decode(*bytes, *len, *len, &x, &need, NULL), 0);
    return x;
}

static void lists_are_at_the_end_and_no_objects(void **state)
{
    (void)state;
    struct whole w;
    struct seg_totals t;
    size_t len = 0;
    uint8_t *p = NULL;
    uint64_t offset = 0, mark = 0;
    uint32_t size = 0, n = 0;
    const void *list = NULL;
    make_segment(&w);
    struct seg_index *x = index_of(&w, &len, &p);
    seg_index_totals(x, &t);
    assert_int_equal(t.header.version, SEG_VERSION_PIECES);
    assert_int_equal(t.objects, 5);
    assert_int_equal(t.crc, w.t.crc);
    assert_int_equal(seg_index_find(x, 9, &mark, &size), 0);
    assert_int_equal(seg_index_find(x, 10, &offset, &size), -ENOENT);
    assert_true(seg_index_list(x, SEG_SOURCES, 0, &offset, &size));
    assert_true(offset > mark);
    assert_int_equal(seg_index_open_list(x, SEG_SOURCES, 0, p + offset, size, &list, &n, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        struct seg_source s;
        bool good = false;
        assert_true(seg_sources_next(list, n, i, &s, &good));
        assert_true(good);
        assert_int_equal(seg_id_compare(&s.id, &w.m.sources[i].id), 0);
        assert_string_equal(s.barcode, "S3V001L8");
        assert_int_equal(s.crc, 77);
        assert_int_equal(s.size, 41000000);
    }
    assert_true(seg_index_list(x, SEG_CHUNKS, 0, &offset, &size));
    assert_int_equal(seg_index_open_list(x, SEG_CHUNKS, 0, p + offset, size, &list, &n, NULL), 0);
    struct chunk_entry e;
    size_t at = 0;
    assert_int_equal(chunk_list_next(list, n, &at, &e), 1);
    assert_string_equal((const char *)e.id, "a chunk");
    assert_int_equal(e.from, 5000);
    assert_int_equal(chunk_list_next(list, n, &at, &e), 0);
    assert_false(seg_index_list(x, SEG_CHUNKS, 1, &offset, &size));
    /* A list that is damaged, or another one. */
    assert_true(seg_index_list(x, SEG_CHUNKS, 0, &offset, &size));
    p[offset + SEG_RECORD_SIZE] ^= 1;
    assert_int_equal(seg_index_open_list(x, SEG_CHUNKS, 0, p + offset, size, &list, &n, NULL), -EBADMSG);
    put_le32(p + offset + 28, crc32c(0, p + offset + SEG_RECORD_SIZE, n));
    put_le32(p + offset + 36, crc32c(0, p + offset, 36));
    assert_int_equal(seg_index_open_list(x, SEG_CHUNKS, 0, p + offset, size, &list, &n, NULL), -EBADMSG);
    seg_index_free(x);
    free(p);
    close(w.fd);
}

static int read_bytes(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    (void)err;
    return pread(*(int *)arg, buf, len, (off_t)offset) == (ssize_t)len ? 0 : -EIO;
}

static void its_records_alone_make_the_same_index(void **state)
{
    (void)state;
    struct whole w;
    struct seg_index *x = NULL;
    struct seg_totals t;
    uint64_t offset = 0;
    uint32_t size = 0, footer = 0, crc = 0;
    make_segment(&w);
    const struct seg_bytes b = {read_bytes, &w.fd, w.t.stored_bytes};
    assert_int_equal(seg_index_walk(&b, &x, NULL), 0);
    seg_index_totals(x, &t);
    assert_int_equal(t.crc, w.t.crc);
    assert_true(seg_index_list(x, SEG_SOURCES, 0, &offset, &size));
    seg_index_free(x);
    size_t len = 0;
    uint8_t *p = read_file(w.fd, &len);
    assert_int_equal(seg_sum(&b, &footer, &crc, NULL), 0);
    assert_int_equal(footer, w.t.crc);
    assert_int_equal(crc, crc32c(0, p, len));
    free(p);
    close(w.fd);
}

/* Torn at each byte: what is taken up is a prefix, a list that is not whole is cut off, and more can be appended. */
static void a_torn_segment_is_taken_up(void **state)
{
    (void)state;
    struct whole w;
    size_t len = 0, prefixes[8] = {0};
    make_segment(&w);
    uint8_t *p = read_file(w.fd, &len);
    for (size_t n = SEG_HEADER_SIZE; n <= len; n += n < len - 600 ? 37 : 1) {
        struct seg_writer *writer = NULL;
        struct seg_totals t;
        bool sealed = false;
        int fd = file_of(p, n);
        assert_int_equal(seg_writer_recover(fd, 0, &writer, &sealed, NULL), 0);
        assert_int_equal(sealed, n == len);
        seg_writer_totals(writer, &t);
        assert_true(t.objects <= 5);
        prefixes[t.objects]++;
        if (!sealed) {
            assert_int_equal(seg_writer_block(writer, w.m.block, 500, crc32c(0, w.m.block, 500), false), 0);
            assert_int_equal(seg_writer_seal(writer), 0);
            struct seg_index *x = NULL;
            size_t all = 0;
            uint64_t need = 0, offset = 0;
            uint32_t size = 0;
            uint8_t *q = read_file(fd, &all);
            assert_int_equal(seg_index_decode(q, all, all, &x, &need, NULL), 0);
            assert_int_equal(seg_index_find(x, 5 + t.objects, &offset, &size), 0);
            assert_int_equal(get_le64(q + offset + 8), 5 + t.objects);
            seg_index_free(x);
            free(q);
        }
        seg_writer_free(writer);
        close(fd);
    }
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(prefixes[i] != 0, i != 4); /* filemarks are one record */
    free(p);
    close(w.fd);
}

/* Its length reached the disk, its bytes did not. */
static void a_list_that_is_not_what_was_written_is_cut_off(void **state)
{
    (void)state;
    struct whole w;
    size_t len = 0;
    uint8_t *p = NULL;
    uint64_t offset = 0;
    uint32_t size = 0;
    make_segment(&w);
    struct seg_index *x = index_of(&w, &len, &p);
    assert_true(seg_index_list(x, SEG_SOURCES, 0, &offset, &size));
    memset(p + offset + SEG_RECORD_SIZE, 0, size - SEG_RECORD_SIZE);
    int fd = file_of(p, offset + size);
    struct seg_writer *writer = NULL;
    struct seg_totals t;
    bool sealed = false;
    assert_int_equal(seg_writer_recover(fd, 0, &writer, &sealed, NULL), 0);
    assert_false(sealed);
    seg_writer_totals(writer, &t);
    assert_int_equal(t.objects, 5);
    assert_int_equal(t.stored_bytes, offset);
    seg_writer_free(writer);
    seg_index_free(x);
    free(p);
    close(fd);
    close(w.fd);
}

/* Whoever asks for the segment's size in between, as cartridges do before each block, does not cut it into many. */
static void a_chunk_in_many_blocks_is_one_entry(void **state)
{
    (void)state;
    enum { BLOCKS = 12 };
    static uint8_t block[LEN];
    const struct seg_header h = {
        .version = SEG_VERSION_PIECES, .barcode = "S3V001L8", .id = {1, 5, 1}, .created = 1700000000};
    struct seg_packer *packer = seg_packer_new();
    struct seg_writer *w = NULL;
    int fd = memfd_create("segment", MFD_CLOEXEC);
    fill_block(block, LEN, RANDOM, 1);
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const struct seg_chunk_part part = {
            .id = {9}, .chunk_length = BLOCKS * (LEN - 16), .from = i * (LEN - 16), .offset = 16, .length = LEN - 16};
        const struct seg_make make = {.parts = &part, .n_parts = 1};
        const struct seg_block b = {
            .object = i, .data = block, .len = LEN, .crc_plain = crc32c(0, block, LEN), .make = &make};
        struct seg_packed packed;
        assert_int_equal(seg_pack(packer, cart, &b, NULL, &packed), 0);
        assert_true(seg_writer_has_room(w, &packed, 1 << 30));
        assert_int_equal(seg_writer_packed(w, &packed), 0);
        assert_true(seg_writer_size(w) > (uint64_t)(i + 1) * LEN);
    }
    assert_int_equal(seg_writer_seal(w), 0);
    size_t len, at = 0;
    struct chunk_entry e;
    const void *list = seg_writer_chunks(w, &len);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 1);
    assert_int_equal(e.length, BLOCKS * (LEN - 16));
    assert_int_equal(e.n_runs, 1);
    assert_int_equal(chunk_list_next(list, len, &at, &e), 0);
    seg_writer_free(w);
    seg_packer_free(packer);
    close(fd);
}

/* The list of what it copies from is a part of it, too. */
static void a_segment_with_many_sources_is_as_large_as_it_may_be(void **state)
{
    (void)state;
    struct seg_packer *packer = seg_packer_new();
    struct seg_writer *w = NULL;
    struct seg_header h = some_header(0, 0);
    struct made m;
    struct seg_source sources[200];
    struct seg_totals t;
    const uint64_t limit = 300000;
    size_t n = 0;
    h.version = SEG_VERSION_PIECES;
    int fd = new_file();
    make_block(&m, RANDOM);
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    for (;; n += 2) {
        const struct seg_block b = {
            .object = n / 2, .data = m.block, .len = LEN, .crc_plain = crc32c(0, m.block, LEN), .make = &m.make};
        struct seg_packed packed;
        assert_in_range(n, 0, 198);
        assert_int_equal(seg_pack(packer, h.cartridge, &b, NULL, &packed), 0);
        if (!seg_writer_has_room(w, &packed, limit))
            break;
        sources[n] = some_source((unsigned)n + 1);
        sources[n + 1] = some_source((unsigned)n + 2);
        seg_writer_expect_sources(w, n + 2);
        assert_int_equal(seg_writer_packed(w, &packed), 0);
    }
    uint64_t size = seg_writer_size(w);
    assert_int_equal(seg_writer_sources(w, sources, n), 0);
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_totals(w, &t);
    assert_int_equal(t.stored_bytes, size);
    assert_in_range(t.stored_bytes, limit - LEN, limit);
    seg_writer_free(w);
    seg_packer_free(packer);
    close(fd);
}

/* Its end could not be written, as the disk was full, and it grew on: what is copied from by then is listed, too. */
static void what_comes_to_be_a_source_behind_the_list_is_in_another_one(void **state)
{
    (void)state;
    struct seg_packer *packer = seg_packer_new();
    struct seg_writer *w = NULL;
    struct seg_header h = some_header(0, 0);
    struct made m;
    h.version = SEG_VERSION_PIECES;
    int fd = new_file();
    make_block(&m, RANDOM);
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    for (size_t i = 0; i < 2; i++) {
        const struct seg_block b = {
            .object = i, .data = m.block, .len = LEN, .crc_plain = crc32c(0, m.block, LEN), .make = &m.make};
        struct seg_packed packed;
        assert_int_equal(seg_pack(packer, h.cartridge, &b, NULL, &packed), 0);
        assert_int_equal(seg_writer_packed(w, &packed), 0);
        assert_int_equal(seg_writer_sources(w, m.sources, i + 1), 0);
        assert_int_equal(seg_writer_sources(w, m.sources, i + 1), 0);
    }
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_free(w);
    seg_packer_free(packer);
    size_t all = 0, n = 0;
    uint64_t need = 0, offset = 0;
    uint32_t size = 0, len = 0;
    struct seg_index *x = NULL;
    uint8_t *p = read_file(fd, &all);
    assert_int_equal(seg_index_decode(p, all, all, &x, &need, NULL), 0);
    for (size_t i = 0; seg_index_list(x, SEG_SOURCES, i, &offset, &size); i++) {
        const void *list = NULL;
        struct seg_source s;
        bool good = false;
        assert_int_equal(seg_index_open_list(x, SEG_SOURCES, i, p + offset, size, &list, &len, NULL), 0);
        for (size_t k = 0; seg_sources_next(list, len, k, &s, &good); k++, n++) {
            assert_true(n < 2 && good);
            assert_true(seg_source_same(&s, &m.sources[1 - n])); /* the last list is the first */
        }
    }
    assert_int_equal(n, 2);
    for (uint64_t object = 0; object < 2; object++) {
        struct seg_record r;
        assert_int_equal(seg_index_find(x, object, &offset, &size), 0);
        assert_int_equal(seg_record_decode(p + offset, size, &r, NULL), 0);
        assert_int_equal(r.object, object);
        assert_int_equal(r.type, SEG_BLOCK);
    }
    seg_index_free(x);
    free(p);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_is_little_more_than_its_pieces_is_not_compressed),
        cmocka_unit_test(a_chunk_in_many_blocks_is_one_entry),
        cmocka_unit_test(a_block_in_pieces_comes_back),
        cmocka_unit_test(the_literal_area_of_a_plain_block_is_the_block),
        cmocka_unit_test(pieces_that_are_not_the_block_are_refused),
        cmocka_unit_test(what_does_not_save_anything_is_not_laid_out),
        cmocka_unit_test(no_changed_byte_makes_another_block),
        cmocka_unit_test(only_version_3_takes_them),
        cmocka_unit_test(lists_are_at_the_end_and_no_objects),
        cmocka_unit_test(its_records_alone_make_the_same_index),
        cmocka_unit_test(a_torn_segment_is_taken_up),
        cmocka_unit_test(a_list_that_is_not_what_was_written_is_cut_off),
        cmocka_unit_test(a_segment_with_many_sources_is_as_large_as_it_may_be),
        cmocka_unit_test(what_comes_to_be_a_source_behind_the_list_is_in_another_one),
    };
    return cmocka_run_group_tests_name("segment_pieces", tests, NULL, NULL);
}
