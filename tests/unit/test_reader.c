/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reader.c: the independent reader (tests/reader) restores, byte for byte, a bucket that the codecs wrote. Run in
 * the top directory. */
#include "segment_help.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "vtl/format/head.h"

#define BARCODE "S3V042L8"
#define MAX_OBJECTS 400

/* One object of the tape as the host wrote it. */
struct object {
    uint32_t len; /* 0: a filemark */
    enum kind kind;
    uint32_t seed;
};

struct bucket {
    char dir[64]; /* scratch: bucket and out below it */
    uint8_t cartridge[16];
    struct object objects[MAX_OBJECTS];
    struct tape_index live;
    uint32_t seed;
    uint64_t sequence;
};

/* ---- writing ---- */

static void make_path(const struct bucket *b, char *path, size_t room, const char *kind, const struct seg_id *id)
{
    char name[SEG_NAME_SIZE];
    seg_id_format(id, name);
    (void)snprintf(path, room, "%s/bucket/pre/fix/tapes/" BARCODE "/%s/%s", b->dir, kind, name);
}

static void put(const struct bucket *b, const char *kind, const struct seg_id *id, const void *p, size_t len)
{
    char path[256];
    make_path(b, path, sizeof(path), kind, id);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, len), len);
    close(fd);
}

static int run(const char *command)
{
    int status = system(command);
    assert_true(status >= 0 && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int make_bucket(void **state)
{
    struct bucket *b = calloc(1, sizeof(*b));
    char command[256];
    assert_non_null(b);
    strcpy(b->dir, "/tmp/s3vtl-reader-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(command, sizeof(command),
                   "cd %s/ && mkdir -p bucket/pre/fix/tapes/" BARCODE "/head "
                   "bucket/pre/fix/tapes/" BARCODE "/map bucket/pre/fix/tapes/" BARCODE "/seg",
                   b->dir);
    assert_int_equal(run(command), 0);
    memset(b->cartridge, 0xc5, 16);
    tape_index_init(&b->live);
    *state = b;
    return 0;
}

static int remove_bucket(void **state)
{
    struct bucket *b = *state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", b->dir);
    assert_int_equal(run(command), 0);
    tape_index_free(&b->live);
    free(b);
    return 0;
}

static void write_object(struct seg_writer *w, const struct object *o)
{
    if (!o->len) {
        assert_int_equal(seg_writer_filemarks(w, 1), 0);
        return;
    }
    uint8_t *p = malloc(o->len);
    assert_non_null(p);
    fill_block(p, o->len, o->kind, o->seed);
    add_block(w, p, o->len, true);
    free(p);
}

/* A segment that begins at object at (which may be in the middle of what is there) with these lengths; 0 is a filemark,
 * and the number behind it says how many, in one record. */
static void add_segment(struct bucket *b, uint64_t epoch, uint64_t at, const uint32_t *lens, size_t n)
{
    struct seg_id id = {epoch, 0x0000beef, b->sequence++};
    const struct seg_ref *before = at ? tape_index_segment(&b->live, at - 1, NULL) : NULL;
    struct seg_header h = {.id = id, .first_object = at, .first_file = tape_index_file_of(&b->live, at), .created = 1};
    memcpy(h.cartridge, b->cartridge, 16);
    strcpy(h.barcode, BARCODE);
    if (before)
        h.prev = before->id;
    h.overwrites = at < tape_index_end_object(&b->live);
    int fd = new_file();
    struct seg_writer *w = NULL;
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    uint64_t object = at;
    for (size_t i = 0; i < n; i++) {
        struct object o = {.len = lens[i], .kind = (enum kind)(object % 3), .seed = ++b->seed};
        if (!lens[i]) {
            uint32_t count = lens[++i];
            assert_int_equal(seg_writer_filemarks(w, count), 0);
            for (uint32_t k = 0; k < count; k++)
                b->objects[object++] = o;
        } else {
            write_object(w, &o);
            b->objects[object++] = o;
        }
        assert_true(object < MAX_OBJECTS);
    }
    assert_int_equal(seg_writer_seal(w), 0);
    struct seg_totals t;
    seg_writer_totals(w, &t);
    tape_index_truncate(&b->live, at);
    struct seg_ref r = {.id = id,
                        .first_object = at,
                        .first_file = h.first_file,
                        .objects = t.objects,
                        .filemarks = t.filemarks,
                        .size = t.stored_bytes,
                        .plain_bytes = t.plain_bytes,
                        .crc = t.crc};
    assert_int_equal(tape_index_append(&b->live, &r, t.fms, t.n_fms), 0);
    size_t len;
    uint8_t *p = read_file(fd, &len);
    put(b, "seg", &id, p, len);
    free(p);
    seg_writer_free(w);
    close(fd);
}
#define ADD(b, epoch, at, ...)                                                                                         \
    add_segment(b, epoch, at, (const uint32_t[]){__VA_ARGS__},                                                         \
                sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static struct map_ref add_map(struct bucket *b, uint64_t number, size_t first, size_t n)
{
    struct map_ref m = {.id = {5, 0x0000beef, number}, .n_segs = n, .first_object = b->live.segs[first].first_object};
    void *p;
    size_t len;
    assert_int_equal(map_encode(b->cartridge, &m.id, &b->live, first, n, &p, &len), 0);
    put(b, "map", &m.id, p, len);
    m.size = len;
    m.crc = map_crc(p, len);
    free(p);
    return m;
}

static void add_head(struct bucket *b, uint64_t epoch, uint64_t n, const struct map_ref *maps, size_t n_maps,
                     size_t mapped)
{
    struct head h;
    char *p;
    size_t len;
    head_init(&h);
    h.id = (struct seg_id){epoch, 0x0000beef, n};
    h.claim = n == 0;
    memcpy(h.cartridge, b->cartridge, 16);
    strcpy(h.barcode, BARCODE);
    h.generation = 8;
    h.n_maps = n_maps;
    h.maps = malloc((n_maps + 1) * sizeof(*maps));
    assert_non_null(h.maps);
    for (size_t i = 0; i < n_maps; i++)
        h.maps[i] = maps[i];
    assert_int_equal(tape_index_slice(&h.inl, &b->live, mapped, b->live.n_segs - mapped), 0);
    h.end_object = tape_index_end_object(&b->live);
    h.end_file = tape_index_end_file(&b->live);
    h.next_segment = b->sequence;
    assert_int_equal(head_encode(&h, &p, &len), 0);
    put(b, "head", &h.id, p, len);
    free(p);
    head_free(&h);
}

/* ---- reading ---- */

static int read_back(const struct bucket *b, const char *more)
{
    char command[512];
    (void)snprintf(
        command, sizeof(command),
        "rm -rf %s/out && python3 tests/reader/s3vtl_reader.py --dir %s/bucket --prefix pre/fix --barcode " BARCODE
        " --out %s/out %s > %s/log 2>&1",
        b->dir, b->dir, b->dir, more, b->dir);
    return run(command);
}

static void show_log(const struct bucket *b)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "sed 's/^/# /' %s/log >&2", b->dir);
    (void)run(command);
}

static bool log_has(const struct bucket *b, const char *text)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "grep -q '%s' %s/log", text, b->dir);
    return run(command) == 0;
}

/* The file's content must be exactly the blocks of objects [first, end). */
static void compare_file(const struct bucket *b, uint64_t number, uint64_t first, uint64_t end)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/out/file-%05u", b->dir, (unsigned)number);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    for (uint64_t o = first; o < end; o++) {
        uint32_t len = b->objects[o].len;
        uint8_t *want = malloc(len), *got = malloc(len);
        assert_true(want && got);
        fill_block(want, len, b->objects[o].kind, b->objects[o].seed);
        assert_int_equal(fread(got, 1, len, f), len);
        assert_memory_equal(got, want, len);
        free(want);
        free(got);
    }
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
}

static void compare_tape(const struct bucket *b)
{
    uint64_t end = tape_index_end_object(&b->live), first = 0, number = 0;
    for (uint64_t o = 0; o < end; o++)
        if (!b->objects[o].len) {
            compare_file(b, number++, first, o);
            first = o + 1;
        }
    if (first < end)
        compare_file(b, number++, first, end);
    char command[128];
    (void)snprintf(command, sizeof(command), "test $(ls %s/out | wc -l) = %u", b->dir, (unsigned)number);
    assert_int_equal(run(command), 0);
}

/* A tape with all that can happen: maps (one cut by an overwrite in the middle of a run of filemarks), inline segments
 * (one cut in the middle), empty files, big and small blocks, and objects of no concern. */
static void write_tape(struct bucket *b)
{
    ADD(b, 5, 0, 65536, 65536, 65536, 0, 1, 512, 1, 511, 0, 2);
    ADD(b, 5, 9, 262144, 262144, 262144, 100000, 0, 1);
    ADD(b, 5, 14, 4096, 4096, 0, 1, 1u << 20);
    ADD(b, 5, 18, 3000, 0, 6, 70000, 70000);
    ADD(b, 5, 27, 100, 100, 0, 1);
    struct map_ref maps[] = {add_map(b, 0, 0, 2), add_map(b, 1, 2, 3)};
    add_head(b, 5, 7, maps, 2, 5);
    ADD(b, 6, 21, 5000, 5001, 0, 1, 5002, 5003, 0, 1); /* keeps 2 of the 6 filemarks; the map's last segment is gone */
    maps[1].n_segs = 2;
    ADD(b, 6, 23, TAPE_MAX_BLOCK, 0, 3, 777, 777, 777); /* and of that one, two blocks */
    add_head(b, 6, 2, maps, 2, 4);
}

static void whole_tape_is_restored(void **state)
{
    struct bucket *b = *state;
    write_tape(b);
    add_head(b, 7, 0, NULL, 0, b->live.n_segs); /* a claim: passed over */
    put(b, "head", &(struct seg_id){5, 0xffffffff, 9}, "damaged, but lower", 18);
    put(b, "seg", &(struct seg_id){6, 0x0bad0bad, 3}, "garbage of a stale writer", 25);
    if (read_back(b, "--list")) {
        show_log(b);
        fail();
    }
    compare_tape(b);
    assert_true(log_has(b, "^file-00000: 3 blocks: 65536x3$"));
    assert_true(log_has(b, "^file-00002: 0 blocks$"));
    assert_true(log_has(b, "^file-00010: 3 blocks: 777x3$"));
}

static void blank_tape_is_restored(void **state)
{
    struct bucket *b = *state;
    add_head(b, 1, 1, NULL, 0, 0);
    assert_int_equal(read_back(b, ""), 0);
    compare_tape(b);
}

static void chain_restores_without_heads_and_maps(void **state)
{
    struct bucket *b = *state;
    char command[256];
    write_tape(b);
    (void)snprintf(command, sizeof(command), "cd %s/bucket/pre/fix/tapes/" BARCODE " && rm -r head map", b->dir);
    assert_int_equal(run(command), 0);
    assert_int_not_equal(read_back(b, ""), 0);
    assert_true(log_has(b, "no complete head"));
    if (read_back(b, "--chain")) {
        show_log(b);
        fail();
    }
    compare_tape(b);
}

/* A flipped bit anywhere but in padding: never data. */
static void flip(const struct bucket *b, const char *kind, const struct seg_id *id, double where)
{
    char path[256];
    struct stat st;
    uint8_t c;
    make_path(b, path, sizeof(path), kind, id);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    off_t at = (off_t)((double)st.st_size * where);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 4;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
    assert_int_not_equal(read_back(b, ""), 0);
    if (!log_has(b, "^s3vtl_reader: ")) {
        show_log(b);
        fail();
    }
    fd = open(path, O_RDWR);
    c ^= 4;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void damage_is_reported(void **state)
{
    struct bucket *b = *state;
    write_tape(b);
    flip(b, "head", &(struct seg_id){6, 0xbeef, 2}, 0.3);
    flip(b, "head", &(struct seg_id){6, 0xbeef, 2}, 0.99);
    flip(b, "map", &(struct seg_id){5, 0xbeef, 1}, 0.5);
    flip(b, "seg", &(struct seg_id){5, 0xbeef, 0}, 0.0);
    flip(b, "seg", &(struct seg_id){5, 0xbeef, 1}, 0.5);
    flip(b, "seg", &(struct seg_id){5, 0xbeef, 2}, 0.9999);
    assert_int_equal(read_back(b, ""), 0); /* all is well again */
    compare_tape(b);
}

/* Puts another object in the place of one; the old one's bytes are returned. */
static uint8_t *replace(const struct bucket *b, const char *kind, const struct seg_id *id, const uint8_t *p, size_t len)
{
    char path[256];
    make_path(b, path, sizeof(path), kind, id);
    int fd = open(path, O_RDWR);
    size_t had;
    assert_true(fd >= 0);
    uint8_t *old = read_file(fd, &had);
    assert_int_equal(had, len);
    assert_int_equal(pwrite(fd, p, len, 0), len);
    close(fd);
    return old;
}

/* The same name, size, header, kinds and lengths, and good CRCs. */
static void a_foreign_segment_is_reported(void **state)
{
    struct bucket *b = *state;
    write_tape(b);
    size_t i = b->live.n_segs - 1;
    struct seg_ref r = b->live.segs[i];
    struct seg_header h = {.id = r.id, .first_object = r.first_object, .first_file = r.first_file, .created = 1};
    struct seg_writer *w = NULL;
    size_t len;
    int fd = new_file();
    h.prev = b->live.segs[i - 1].id;
    h.overwrites = true;
    memcpy(h.cartridge, b->cartridge, 16);
    strcpy(h.barcode, BARCODE);
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    struct object o = {.len = TAPE_MAX_BLOCK, .kind = RANDOM, .seed = 9999};
    uint8_t *big = malloc(o.len);
    assert_non_null(big);
    fill_block(big, o.len, (enum kind)(r.first_object % 3), b->objects[r.first_object].seed);
    assert_int_equal(seg_writer_block(w, big, o.len, crc32c(0, big, o.len), true), 0);
    assert_int_equal(seg_writer_filemarks(w, 3), 0);
    for (uint64_t at = r.first_object + 4; at < r.first_object + 7; at++) {
        fill_block(big, 777, RANDOM, 1);
        bool raw = at % 3 == RANDOM;
        if (!raw) /* which is compressed: as it was */
            fill_block(big, 777, (enum kind)(at % 3), b->objects[at].seed);
        assert_int_equal(seg_writer_block(w, big, 777, crc32c(0, big, 777), true), 0);
    }
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_free(w);
    uint8_t *p = read_file(fd, &len);
    close(fd);
    uint8_t *old = replace(b, "seg", &r.id, p, len);
    assert_int_not_equal(memcmp(old, p, len), 0);
    assert_int_not_equal(read_back(b, ""), 0);
    assert_true(log_has(b, "another one"));
    free(replace(b, "seg", &r.id, old, len));
    assert_int_equal(read_back(b, ""), 0);
    free(old);
    free(p);
    free(big);
}

static void a_foreign_map_is_reported(void **state)
{
    struct bucket *b = *state;
    const struct seg_id id = {5, 0xbeef, 0};
    struct tape_index x;
    void *p;
    size_t len;
    write_tape(b);
    assert_int_equal(tape_index_copy(&x, &b->live), 0);
    x.segs[0].plain_bytes++;
    assert_int_equal(map_encode(b->cartridge, &id, &x, 0, 2, &p, &len), 0);
    free(replace(b, "map", &id, p, len));
    assert_int_not_equal(read_back(b, ""), 0);
    assert_true(log_has(b, "another one"));
    tape_index_free(&x);
    free(p);
}

static void a_tape_of_version_1_is_read(void **state)
{
    struct bucket *b = *state;
    char command[512];
    (void)snprintf(command, sizeof(command),
                   "python3 tests/reader/s3vtl_reader.py --dir tests/data/v1/store --barcode V1TAPEL8 --list > %s/log "
                   "2>&1 && python3 tests/reader/s3vtl_reader.py --dir tests/data/v1/store --barcode V1TAPEL8 --chain "
                   ">> %s/log 2>&1",
                   b->dir, b->dir);
    if (run(command)) {
        show_log(b);
        fail();
    }
    assert_true(log_has(b, "^file-00005: 4 blocks: 426 463 500 37$"));
    assert_true(log_has(b, "6 files, 24 blocks, 5956 bytes, 4 segments, all good$"));
}

/* The worked examples of FORMAT.md, as a bucket. */
static void examples_of_the_document_are_read(void **state)
{
    struct bucket *b = *state;
    char command[1024];
    (void)snprintf(
        command, sizeof(command),
        "awk -v want='```json head' '/^```/{on=0} on{print} $0==want{on=1}' vtl/FORMAT.md > %s/head && "
        "awk -v want='```hex segment' '/^```/{on=0} on{print substr($0, 6, 48)} $0==want{on=1}' "
        "vtl/FORMAT.md | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' > "
        "%s/seg && cd %s/bucket && mkdir -p tapes/S3V001L8/head tapes/S3V001L8/seg && "
        "mv ../head tapes/S3V001L8/head/00000001-5e11a7e5-0000000002 && "
        "mv ../seg tapes/S3V001L8/seg/00000001-5e11a7e5-0000000000",
        b->dir, b->dir, b->dir);
    assert_int_equal(run(command), 0);
    (void)snprintf(
        command, sizeof(command),
        "python3 tests/reader/s3vtl_reader.py --dir %s/bucket --barcode S3V001L8 --out %s/out > %s/log 2>&1 && "
        "test \"$(cat %s/out/file-00000)\" = 'Hello, tape!Second block'",
        b->dir, b->dir, b->dir, b->dir);
    if (run(command)) {
        show_log(b);
        fail();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_tape_is_restored, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(blank_tape_is_restored, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(chain_restores_without_heads_and_maps, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(damage_is_reported, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(a_foreign_segment_is_reported, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(a_foreign_map_is_reported, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(a_tape_of_version_1_is_read, make_bucket, remove_bucket),
        cmocka_unit_test_setup_teardown(examples_of_the_document_are_read, make_bucket, remove_bucket),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
