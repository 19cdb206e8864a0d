/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds_stored.c: segments, maps and heads, by the encoders that the product has. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seeds.h"
#include "base/crc32c.h"
#include "vtl/format/chunk_list.h"
#include "vtl/format/head.h"
#include "vtl/format/source.h"

static void add_block(struct seg_writer *w, uint32_t len, bool compressible)
{
    uint8_t b[700];
    uint32_t x = len + 1;
    for (uint32_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        b[i] = compressible ? (uint8_t) "tape"[i % 4] : (uint8_t)(x >> 24);
    }
    must(!seg_writer_block(w, b, len, crc32c(0, b, len), true));
}

/* As a file, behind the byte that says whether the CRCs are mended. */
static void write_file(const char *name, int fd)
{
    uint8_t b[8192] = {1};
    ssize_t n = pread(fd, b + 1, sizeof(b) - 1, 0);
    must(n > 0);
    seed_write("segment", name, b, (size_t)n + 1);
}

static void segment(const char *name, uint32_t version, uint64_t first, bool seal)
{
    struct seg_header h = {
        .version = version, .barcode = "FUZZ01L8", .id = {3, 17, 5}, .first_object = first, .created = 1700000000};
    if (first)
        h.prev = (struct seg_id){3, 17, 4};
    struct seg_writer *w = NULL;
    int fd = memfd_create("seed", MFD_CLOEXEC);
    must(fd >= 0 && !seg_writer_create(fd, &h, &w));
    add_block(w, 33, false);
    add_block(w, 33, false);
    must(!seg_writer_filemarks(w, 1));
    add_block(w, 700, true);
    must(!seg_writer_filemarks(w, 3));
    add_block(w, 1, false);
    if (seal)
        must(!seg_writer_seal(w));
    write_file(name, fd);
    seg_writer_free(w);
    close(fd);
}

/* The second block is made of the middle of another segment's block and of bytes of its own; the list of chunks says what
 * these are. */
static void pieces(const char *name, bool compress)
{
    const struct seg_header h = {
        .version = SEG_VERSION_PIECES, .barcode = "FUZZ01L8", .id = {3, 17, 5}, .created = 1700000000};
    const struct seg_source from = {.barcode = "FUZZ02L8", .id = {2, 9, 1}, .size = 5000, .crc = 7};
    const struct seg_piece of[] = {{SEG_LITERAL, 16, 0, 0}, {0, 500, 3, 20}, {SEG_LITERAL, 84, 0, 0}};
    const struct seg_chunk_part part = {.id = {5}, .chunk_length = 84, .offset = 16, .length = 84};
    const struct seg_make make = {&from, of, &part, 1, 3, 1};
    uint8_t b[600] = {1, 2, 3};
    const struct seg_block block = {
        .object = 1, .data = b, .len = 600, .crc_plain = crc32c(0, b, 600), .compress = compress, .make = &make};
    struct seg_packer *packer = seg_packer_new();
    struct seg_packed packed;
    struct seg_writer *w = NULL;
    int fd = memfd_create("seed", MFD_CLOEXEC);
    must(packer && fd >= 0 && !seg_writer_create(fd, &h, &w));
    add_block(w, 33, false);
    must(!seg_pack(packer, h.cartridge, &block, NULL, &packed) && !seg_writer_packed(w, &packed));
    must(!seg_writer_filemarks(w, 1) && !seg_writer_seal(w));
    write_file(name, fd);
    seg_writer_free(w);
    seg_packer_free(packer);
    close(fd);
}

static void make_index(struct tape_index *x, size_t n)
{
    tape_index_init(x);
    for (size_t i = 0; i < n; i++) {
        struct seg_ref r = {.id = {3, 17, i},
                            .first_object = i * 10,
                            .first_file = tape_index_end_file(x),
                            .objects = 10,
                            .filemarks = 2,
                            .size = 1000 + i,
                            .plain_bytes = 700,
                            .crc = (uint32_t)i + 1};
        struct seg_fm_run fms[] = {{i * 10 + 8, 2}};
        must(!tape_index_append(x, &r, fms, 1));
    }
}

static void maps(void)
{
    static const uint8_t cartridge[16] = {1, 2, 3};
    const struct seg_id id = {4, 17, 2};
    struct tape_index x;
    make_index(&x, 20);
    for (size_t n = 1; n <= 20; n += 19) {
        void *buf = NULL;
        size_t len = 0;
        must(!map_encode(cartridge, &id, &x, 0, n, &buf, &len));
        uint8_t *b = exactly(len + 1);
        b[0] = 1;
        memcpy(b + 1, buf, len);
        seed_write("map", n == 1 ? "one" : "many", b, len + 1);
        free(b);
        free(buf);
    }
    tape_index_free(&x);
}

static void write_head(const char *name, const struct head *h)
{
    char *buf = NULL;
    size_t len = 0;
    must(!head_encode(h, &buf, &len));
    seed_write("head", name, buf, len);
    free(buf);
}

static void heads(void)
{
    struct head h;
    head_init(&h);
    h.id = (struct seg_id){12, 17, 0};
    h.claim = true;
    (void)snprintf(h.barcode, sizeof(h.barcode), "FUZZ01L8");
    write_head("claim", &h);
    h.claim = false;
    h.id.number = 34;
    memset(h.cartridge, 0xA5, sizeof(h.cartridge));
    h.generation = 8;
    h.capacity = 12000000000000;
    h.created = h.modified = 1700000000;
    write_head("blank", &h);
    h.next_segment = 30;
    h.next_map = 2;
    h.mam = json_pack("{s:s}", "0x0801", "application");
    h.counters = json_pack("{s:i}", "mounts", 5);
    make_index(&h.inl, 20);
    h.end_object = tape_index_end_object(&h.inl);
    h.end_file = tape_index_end_file(&h.inl);
    write_head("inline", &h);
    (void)snprintf(h.host, sizeof(h.host), "backup-1 (rack 3)");
    h.gateway = 0x5e11a7e5;
    write_head("told", &h);
    head_free(&h);
}

static void chunk_lists(void)
{
    struct chunk_list *l = chunk_list_new(10);
    uint8_t b[400] = {0};
    size_t len;
    must(l);
    for (uint32_t i = 0; i < 3; i++) {
        const struct seg_chunk_part parts[] = {
            {.id = {1}, .chunk_length = 12000, .from = i * 4000, .offset = 16, .length = 4000},
            {.id = {2, (uint8_t)i}, .chunk_length = 5000 + i, .offset = 5000, .length = 5000 + i}};
        must(!chunk_list_add(l, 10 + i, parts, i == 2 ? 2 : 1));
    }
    const void *list = chunk_list_bytes(l, &len);
    must(len && len < sizeof(b));
    memcpy(b + 1, list, len);
    seed_write("chunk_list", "list", b, len + 1);
    chunk_list_free(l);
    memcpy(b, "\1\7\1\0\0\0\0\4\0\1\1\1\0\4\0\0\1\0", 18);
    seed_write("chunk_list", "parts", b, 18);
}

/* The orders of fuzz_planner.c: a window, how much is fair, a stream; then chunks, the segment's end, and the same chunks. */
static void plans(void)
{
    static const uint8_t same[] = {0xF0, 0, 7, 1, 4, 0, 0, 9, 0, 9, 1, 9, 2, 9, 3, 5, 1, 1, 8,
                                   0,    8, 0, 2, 9, 0, 9, 1, 9, 4, 9, 2, 9, 3, 5, 1, 1, 4};
    static const uint8_t wrong[] = {0xF0, 0, 7, 1, 4, 0, 0, 9, 0, 1, 1, 2, 3, 4, 9, 1, 6, 1,
                                    9,    3, 8, 0, 4, 0, 1, 9, 0, 7, 1, 9, 1, 3, 9, 2, 2, 40};
    seed_write("planner", "same", same, sizeof(same));
    seed_write("planner", "wrong", wrong, sizeof(wrong));
}

void seeds_stored(void)
{
    chunk_lists();
    plans();
    segment("sealed", 2, 0, true);
    segment("open", 2, 0, false);
    segment("sealed-later", 2, 100, true);
    segment("sealed-3", SEG_VERSION_PIECES, 0, true);
    pieces("pieces", false);
    pieces("pieces-packed", true);
    segment("sealed-1", 1, 0, true);
    segment("open-1", 1, 0, false);
    maps();
    heads();
}
