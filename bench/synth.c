/* SPDX-License-Identifier: GPL-2.0-or-later */
/* synth.c: puts a full cartridge into a library's store without its data: head and maps of all segments, and only the
 * few segments that are going to be read. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vtl/cartridge/commit.h"
#include "vtl/config/config.h"
#include "base/crc32c.h"
#include "vtl/format/head.h"

static const char usage[] = "usage: synth CONF BARCODE BYTES FILES BLOCK FILE...\n"
                            "A cartridge of BYTES in FILES files of equal size and blocks of BLOCK; the segments in "
                            "which each FILE begins are\n"
                            "made whole. Prints \"SEGMENTS HEAD_AND_MAP_BYTES INDEX_BYTES\"; the last is the sum of "
                            "the indices in all segments.\n";

enum { INLINE_SEGS = 256, SMALL_MAPS = 63 }; /* as a writer leaves them: FORMAT.md, "Head" */
#define EPOCH 1
#define WRITER 0xbe2c4001u

static struct {
    struct objstore *store;
    const char *barcode;
    uint8_t cartridge[16];
    uint64_t segment_size, block, blocks_of_file;
    struct tape_index x;
    uint64_t index_bytes, map_bytes;
    uint8_t *buf;
} s;

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "synth: %s: %s\n", what, why);
    exit(1);
}

static void must(bool good, const char *what)
{
    if (!good)
        fail(what, "failed");
}

/* ---- what the tape looks like ---- */

static bool is_filemark(uint64_t object)
{
    return object % (s.blocks_of_file + 1) == s.blocks_of_file;
}

static uint64_t table_size(uint64_t records)
{
    return (4 * records + 7) / 8 * 8;
}

/* Segments are filled as the writer does: sealed before the block that would cross the size. */
static struct seg_ref next_segment(uint64_t end)
{
    struct seg_ref r = {.id = {EPOCH, WRITER, s.x.n_segs},
                        .first_object = tape_index_end_object(&s.x),
                        .first_file = tape_index_end_file(&s.x)};
    uint64_t records = 0, entries = 0, n = 0; /* n: of the records, each with a CRC in the table of the index */
    bool in_run = false;
    for (uint64_t o = r.first_object; o < end; o++) {
        bool fm = is_filemark(o);
        uint64_t size = SEG_RECORD_SIZE + (fm ? 0 : s.block);
        uint64_t more = fm || !in_run;
        if (SEG_HEADER_SIZE + records + size + (entries + more) * SEG_INDEX_ENTRY_SIZE + table_size(n + 1) +
                SEG_FOOTER_SIZE >
            s.segment_size)
            break;
        records += size;
        n++;
        entries += more;
        in_run = !fm;
        r.objects++;
        r.filemarks += fm;
        r.plain_bytes += fm ? 0 : s.block;
    }
    must(r.objects > 0, "a block in a segment");
    uint64_t tail = entries * SEG_INDEX_ENTRY_SIZE + table_size(n) + SEG_FOOTER_SIZE;
    r.size = SEG_HEADER_SIZE + records + tail;
    s.index_bytes += tail;
    return r;
}

static void lay_out(uint64_t end)
{
    while (tape_index_end_object(&s.x) < end) {
        struct seg_ref r = next_segment(end);
        struct seg_fm_run *fms = calloc(r.filemarks + 1, sizeof(*fms));
        size_t n = 0;
        must(fms != NULL, "memory");
        for (uint64_t o = r.first_object; o < r.first_object + r.objects; o++)
            if (is_filemark(o))
                fms[n++] = (struct seg_fm_run){o, 1};
        must(!tape_index_append(&s.x, &r, fms, n), "the index");
        free(fms);
    }
}

/* ---- into the store ---- */

static void put(const char *kind, const struct seg_id *id, const struct obj_source *src)
{
    char key[200], name[SEG_NAME_SIZE];
    struct errtext err = {""};
    seg_id_format(id, name);
    (void)snprintf(key, sizeof(key), "tapes/%s/%s/%s", s.barcode, kind, name);
    if (s.store->ops->put(s.store, key, src, NULL, &err))
        fail(key, err.text);
}

static void put_segment(size_t i)
{
    struct seg_ref *r = &s.x.segs[i];
    struct seg_totals t;
    struct seg_header h = {.id = r->id, .first_object = r->first_object, .first_file = r->first_file, .created = 1};
    memcpy(h.cartridge, s.cartridge, sizeof(h.cartridge));
    (void)snprintf(h.barcode, sizeof(h.barcode), "%s", s.barcode);
    if (i)
        h.prev = s.x.segs[i - 1].id;
    int fd = memfd_create("segment", MFD_CLOEXEC);
    struct seg_writer *w = NULL;
    must(fd >= 0 && !seg_writer_create(fd, &h, &w), "a segment");
    for (uint64_t o = r->first_object; o < r->first_object + r->objects; o++) {
        memcpy(s.buf, &o, sizeof(o));
        must(is_filemark(o) ? !seg_writer_filemarks(w, 1)
                            : !seg_writer_block(w, s.buf, (uint32_t)s.block, crc32c(0, s.buf, s.block), false),
             "a record");
    }
    must(!seg_writer_seal(w), "the end of a segment");
    seg_writer_totals(w, &t);
    r->crc = t.crc;
    must((uint64_t)lseek(fd, 0, SEEK_END) == r->size, "the size of a segment as laid out");
    put("seg", &r->id, &(struct obj_source){.fd = fd, .len = r->size});
    seg_writer_free(w);
    close(fd);
}

static struct map_ref put_map(uint64_t number, size_t first, size_t n)
{
    struct map_ref m = {.id = {EPOCH, WRITER, number}, .n_segs = n, .first_object = s.x.segs[first].first_object};
    void *buf = NULL;
    size_t len = 0;
    must(!map_encode(s.cartridge, &m.id, &s.x, first, n, &buf, &len), "a map");
    put("map", &m.id, &(struct obj_source){.mem = buf, .len = len});
    m.crc = map_crc(buf, len);
    free(buf);
    m.size = len;
    s.map_bytes += len;
    return m;
}

static void put_head(uint64_t capacity)
{
    struct head h;
    struct map_ref maps[SMALL_MAPS + 1];
    char *buf = NULL;
    size_t len = 0, mapped = 0, n_maps = 0, n = s.x.n_segs, small = (SMALL_MAPS + 1) * (size_t)INLINE_SEGS;
    if (n > small)
        maps[n_maps++] = put_map(0, 0, mapped = n - small);
    for (; n - mapped > INLINE_SEGS; n_maps++, mapped += INLINE_SEGS)
        maps[n_maps] = put_map(n_maps, mapped, INLINE_SEGS);
    head_init(&h);
    h.id = (struct seg_id){EPOCH, WRITER, 1};
    memcpy(h.cartridge, s.cartridge, sizeof(h.cartridge));
    (void)snprintf(h.barcode, sizeof(h.barcode), "%s", s.barcode);
    h.generation = 8;
    h.capacity = capacity;
    h.created = h.modified = (uint64_t)time(NULL);
    h.next_segment = n;
    h.next_map = n_maps;
    h.maps = maps;
    h.n_maps = n_maps;
    h.end_object = tape_index_end_object(&s.x);
    h.end_file = tape_index_end_file(&s.x);
    must(!tape_index_slice(&h.inl, &s.x, mapped, n - mapped), "the head's segments");
    must(!head_encode(&h, &buf, &len), "the head");
    put("head", &h.id, &(struct obj_source){.mem = buf, .len = len});
    s.map_bytes += len;
    free(buf);
    h.maps = NULL;
    head_free(&h);
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    uint64_t v = strtoull(text, &end, 10);
    if (!v || *end || v > max)
        fail(text, "not a number, or out of range");
    return v;
}

int main(int argc, char **argv)
{
    struct vtl_config *cfg = NULL;
    struct objstore_config oc;
    struct errtext err = {""};
    if (argc < 7) {
        fputs(usage, stderr);
        return 2;
    }
    if (config_load(argv[1], &cfg, &err))
        fail(argv[1], err.text);
    config_store(cfg, &oc);
    if (objstore_open(&oc, &s.store, &err))
        fail(argv[1], err.text);
    uint64_t bytes = number(argv[3], 1ull << 50), files = number(argv[4], 1u << 30);
    s.barcode = argv[2];
    s.block = number(argv[5], TAPE_MAX_BLOCK);
    s.segment_size = cfg->spool.segment_size;
    s.blocks_of_file = bytes / files / s.block;
    must(s.blocks_of_file > 0, "a block in a file");
    memcpy(s.cartridge, "synthetic tape!!", 16);
    s.buf = calloc(1, s.block + 8);
    must(s.buf != NULL, "memory");
    uint64_t x = 88172645463325252u;
    for (uint64_t i = 0; i < s.block; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(s.buf + i, &x, 8);
    }
    tape_index_init(&s.x);
    lay_out(files * (s.blocks_of_file + 1));
    for (int i = 6; i < argc; i++) {
        size_t at = 0;
        uint64_t f = strtoull(argv[i], NULL, 10);
        must(f < files && tape_index_segment(&s.x, f * (s.blocks_of_file + 1), &at), "that file");
        put_segment(at);
    }
    put_head(bytes);
    printf("%zu %" PRIu64 " %" PRIu64 "\n", s.x.n_segs, s.map_bytes, s.index_bytes);
    tape_index_free(&s.x);
    free(s.buf);
    s.store->ops->close(s.store);
    config_free(cfg);
    return 0;
}
