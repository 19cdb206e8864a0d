/* SPDX-License-Identifier: GPL-2.0-or-later */
/* index.c: a synthetic cartridge of 12 TB in 10,000 files (head, map and the segments that are read, not the rest): how
 * long it takes to load, how much memory, and how many requests to the store a LOCATE and the first READ need. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vtl/commit.h"
#include "vtl/crc32c.h"
#include "vtl/library_private.h"

enum { BLOCK = 256 << 10, SEGMENT_BLOCKS = 160, FILE_SEGMENTS = 30, FILES = 10000, PROBES = 40 };
#define BARCODE "IDX001L8"
#define SEGMENTS ((size_t)FILES * FILE_SEGMENTS)

static const atomic_bool never = false;
static const char *root;
static uint8_t block[BLOCK];

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "index: %s: %s\n", what, why);
    exit(1);
}

static void must(int rc, const char *what, const struct errtext *err)
{
    if (rc)
        fail(what, err && err->text[0] ? err->text : strerror(rc < 0 ? -rc : rc));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        fail("/proc/self/statm", "cannot be read");
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* ---- the store, counted ---- */

static struct objstore_ops counted_ops;
static const struct objstore_ops *real_ops;
static struct objstore *real_store, counted = {&counted_ops};
static _Atomic unsigned requests;

static int counted_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                       const struct obj_call *c, struct errtext *err)
{
    (void)s;
    atomic_fetch_add(&requests, 1);
    return real_ops->get(real_store, key, offset, len, buf, c, err);
}
static int counted_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                        struct errtext *err)
{
    (void)s;
    atomic_fetch_add(&requests, 1);
    return real_ops->head(real_store, key, size, c, err);
}
static int counted_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                       struct errtext *err)
{
    (void)s;
    atomic_fetch_add(&requests, 1);
    return real_ops->put(real_store, key, src, c, err);
}
static int counted_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn,
                        void *arg, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    atomic_fetch_add(&requests, 1);
    return real_ops->list(real_store, prefix, after, slash, fn, arg, c, err);
}
static int counted_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                       struct errtext *err)
{
    (void)s;
    atomic_fetch_add(&requests, 1);
    return real_ops->del(real_store, keys, n, c, err);
}
static void counted_close(struct objstore *s)
{
    (void)s;
    real_ops->close(real_store);
}

static void count_requests(struct library *lib)
{
    real_store = lib->eng.store;
    real_ops = real_store->ops;
    counted_ops = (struct objstore_ops){.type = real_ops->type,
                                        .put = counted_put,
                                        .get = counted_get,
                                        .head = counted_head,
                                        .list = counted_list,
                                        .del = counted_del,
                                        .check = real_ops->check,
                                        .close = counted_close};
    lib->eng.store = &counted;
}

/* ---- the cartridge ---- */

static struct vtl_config *config(const char *name)
{
    char path[300];
    struct vtl_config *c = NULL;
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s/%s.conf", root, name);
    FILE *f = fopen(path, "w");
    if (!f)
        fail(path, "cannot be made");
    fprintf(f,
            "[library]\nstate_dir = %s/%s\nslots = 4\ndrives = 1\n[store]\npath = %s/store\n[spool]\ncache_size = 0\n",
            root, name, root);
    fclose(f);
    must(config_load(path, &c, &err), "configuration", &err);
    return c;
}

/* The last block of a file is followed by a filemark, in its place. */
static bool ends_file(size_t i)
{
    return i % FILE_SEGMENTS == FILE_SEGMENTS - 1;
}

/* A segment file as it would be; returns its size. */
static uint64_t make_segment(const char *path, const struct head *h, size_t i, const struct seg_id *id)
{
    struct seg_header sh = {.id = *id, .first_object = i * SEGMENT_BLOCKS, .first_file = i / FILE_SEGMENTS};
    struct seg_writer *w = NULL;
    struct seg_totals t;
    if (i)
        sh.prev = (struct seg_id){id->epoch, id->writer, i - 1};
    memcpy(sh.cartridge, h->cartridge, sizeof(sh.cartridge));
    memcpy(sh.barcode, h->barcode, sizeof(sh.barcode));
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd < 0 ? -1 : seg_writer_create(fd, &sh, &w), path, NULL);
    for (unsigned k = 0; k < SEGMENT_BLOCKS; k++) {
        memcpy(block, &i, sizeof(i));
        memcpy(block + 8, &k, sizeof(k));
        if (ends_file(i) && k == SEGMENT_BLOCKS - 1)
            must(seg_writer_filemarks(w, 1), path, NULL);
        else
            must(seg_writer_block(w, block, BLOCK, crc32c(0, block, BLOCK), false), path, NULL);
    }
    must(seg_writer_seal(w), path, NULL);
    seg_writer_totals(w, &t);
    seg_writer_free(w);
    close(fd);
    return t.stored_bytes;
}

static struct seg_id segment_id(const struct head *h, size_t i)
{
    return (struct seg_id){h->id.epoch, h->id.writer, i};
}

static void build_index(const struct head *h, uint64_t size, struct tape_index *x)
{
    tape_index_init(x);
    for (size_t i = 0; i < SEGMENTS; i++) {
        bool mark = ends_file(i);
        struct seg_ref r = {.id = segment_id(h, i),
                            .first_object = i * SEGMENT_BLOCKS,
                            .first_file = i / FILE_SEGMENTS,
                            .objects = SEGMENT_BLOCKS,
                            .filemarks = mark,
                            .size = mark ? size - BLOCK : size,
                            .plain_bytes = (uint64_t)BLOCK * (SEGMENT_BLOCKS - mark)};
        struct seg_fm_run run = {r.first_object + SEGMENT_BLOCKS - 1, 1};
        must(tape_index_append(x, &r, &run, mark), "index", NULL);
    }
}

/* As a writer leaves it: one map that was merged, the last segments inline. Returns the bytes of map and head. */
static uint64_t put_index(struct objstore *store, struct head *h, const struct tape_index *x)
{
    enum { INLINE = 256 };
    char key[DB_KEY_SIZE], *text = NULL;
    void *map = NULL;
    size_t map_len = 0, len = 0, n = x->n_segs - INLINE;
    struct errtext err = {""};
    struct map_ref m = {.id = {h->id.epoch, h->id.writer, h->next_map++}, .n_segs = n};
    must(map_encode(h->cartridge, &m.id, x, 0, n, &map, &map_len), "map", NULL);
    m.size = map_len;
    object_key(key, h->barcode, "map", &m.id);
    struct obj_source src = {.mem = map, .fd = -1, .len = map_len};
    must(store->ops->put(store, key, &src, NULL, &err), key, &err);
    free(map);
    h->maps = &m;
    h->n_maps = 1;
    h->id.number++;
    h->next_segment = x->n_segs;
    h->end_object = tape_index_end_object(x);
    h->end_file = tape_index_end_file(x);
    tape_index_free(&h->inl);
    must(tape_index_slice(&h->inl, x, n, INLINE), "head", NULL);
    must(head_encode(h, &text, &len), "head", NULL);
    object_key(key, h->barcode, "head", &h->id);
    src = (struct obj_source){.mem = text, .fd = -1, .len = len};
    must(store->ops->put(store, key, &src, NULL, &err), key, &err);
    free(text);
    h->maps = NULL;
    h->n_maps = 0;
    return map_len + len;
}

static void make_library(void)
{
    struct vtl_config *c = config("one");
    struct library *lib = NULL;
    struct errtext err = {""};
    json_t *r = NULL;
    must(library_init(c, &r, &err), "init", &err);
    json_decref(r);
    must(library_open(c, 0, &lib, &err), "open", &err);
    json_t *q = json_pack("{s:s, s:[s], s:I}", "op", "tape-create", "barcodes", BARCODE, "capacity",
                          (json_int_t)18000000000000);
    r = library_call(lib, q, &err);
    must(r ? 0 : -1, "tape create", &err);
    json_decref(q);
    json_decref(r);
    must(library_close(lib, &err), "close", &err);
    config_free(c);
}

/* Returns the files that are probed; their segments are in the store, whole. */
static uint64_t make_cartridge(unsigned probes[PROBES])
{
    struct objstore *store = NULL;
    struct errtext err = {""};
    struct head h;
    struct tape_index x;
    char path[400], name[SEG_NAME_SIZE];
    (void)snprintf(path, sizeof(path), "%s/store", root);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    must(objstore_open(&oc, &store, &err), "store", &err);
    must(commit_read_head(store, BARCODE, NULL, &h, NULL, &err), "head", &err);
    (void)snprintf(path, sizeof(path), "%s/store/tapes/" BARCODE "/seg", root);
    (void)mkdir(path, 0700);
    unsigned x32 = 1;
    uint64_t size = 0;
    for (int i = 0; i < PROBES; i++) {
        probes[i] = (x32 = x32 * 1664525 + 1013904223) / (UINT32_MAX / FILES + 1);
        size_t seg = (size_t)probes[i] * FILE_SEGMENTS;
        struct seg_id id = segment_id(&h, seg);
        seg_id_format(&id, name);
        (void)snprintf(path, sizeof(path), "%s/store/tapes/" BARCODE "/seg/%s", root, name);
        size = make_segment(path, &h, seg, &id);
    }
    build_index(&h, size, &x);
    uint64_t bytes = put_index(store, &h, &x);
    tape_index_free(&x);
    head_free(&h);
    store->ops->close(store);
    return bytes;
}

int main(int argc, char **argv)
{
    unsigned probes[PROBES], most_locate = 0, most_read = 0;
    struct errtext err = {""};
    if (argc != 2) {
        fputs("usage: index DIRECTORY\nDIRECTORY: empty, with 3 GB of room\n", stderr);
        return 2;
    }
    root = argv[1];
    make_library();
    uint64_t index_bytes = make_cartridge(probes);

    struct vtl_config *c = config("two");
    json_t *r = NULL;
    double t = now();
    must(library_rebuild(c, NULL, &r, &err), "rebuild", &err);
    double rebuild = now() - t;
    json_decref(r);
    struct library *lib = NULL;
    must(library_open(c, LIBRARY_SERVE, &lib, &err), "open", &err);
    count_requests(lib);
    const struct tape_ops *ops = library_drive_ops();
    void *d = library_drive(lib, 0);
    double before = resident_mib();
    t = now();
    must((int)library_changer_ops()->move(lib, 0, ELEMENT_FIRST_STORAGE, ELEMENT_FIRST_DRIVE, &never), "load", NULL);
    double load = now() - t, memory = resident_mib() - before;
    double locate = 0;
    for (int i = 0; i < PROBES; i++) {
        unsigned began = atomic_load(&requests);
        t = now();
        must((int)ops->locate_file(d, 0, probes[i], &never), "locate", NULL);
        locate += now() - t;
        unsigned located = atomic_load(&requests);
        uint32_t len = BLOCK;
        must((int)ops->read(d, block, &len, NULL, &never), "read", NULL);
        unsigned got = atomic_load(&requests);
        size_t seg = (size_t)probes[i] * FILE_SEGMENTS;
        if (len != BLOCK || memcmp(block, &seg, sizeof(seg)) != 0)
            fail("read", "another block");
        most_locate = located - began > most_locate ? located - began : most_locate;
        most_read = got - began > most_read ? got - began : most_read;
    }
    uint64_t plain = (uint64_t)SEGMENTS * SEGMENT_BLOCKS * BLOCK;
    printf("{\"tape_bytes\":%llu,\"files\":%d,\"segments\":%zu,\"index_bytes\":%llu,\"index_percent\":%.5f,"
           "\"rebuild_s\":%.2f,\"load_s\":%.3f,\"load_mib\":%.1f,\"locate_requests\":%u,\"locate_read_requests\":%u,"
           "\"locate_us\":%.1f}\n",
           (unsigned long long)plain, FILES, SEGMENTS, (unsigned long long)index_bytes,
           100.0 * (double)index_bytes / (double)plain, rebuild, load, memory, most_locate, most_read,
           locate / PROBES * 1e6);
    must(library_close(lib, &err), "close", &err);
    config_free(c);
    return 0;
}
