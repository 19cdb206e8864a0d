/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_bound.c: a name binds its content: an object of another time or place under the right name, with the right size
 * and good CRCs, is damage wherever it is met; and tapes of version 1, which bind nothing, live on. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "tests/unit/impostor.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"
#include "vtl/scrub/verify.h"

#define BARCODE "BND001L8"
#define N_WRITTEN 60
#define FOREIGN 3 /* number of the segment that is replaced */

/* ---- a tape of some segments, and a library that has only its bucket ---- */

struct rig {
    struct vtl_config *cfg;
    struct library *lib;
    void *drive;
    struct model m;
    struct tape_index x; /* as committed */
    char path[300];      /* of the segment that is replaced */
};

static struct objstore *open_store(void)
{
    char path[100];
    struct objstore *store = NULL;
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    if (objstore_open(&oc, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

static void object_path(char path[300], const char *kind, const struct seg_id *id)
{
    char key[DB_KEY_SIZE];
    object_key(key, BARCODE, kind, id);
    (void)snprintf(path, 300, "%s/store/%s", dir, key);
}

static void read_bucket(struct head *h, struct tape_index *x)
{
    struct objstore *store = open_store();
    struct errtext err = {""};
    if (commit_read_head(store, BARCODE, NULL, h, NULL, &err) || commit_read_index(store, h, x, NULL, &err))
        fail_msg("%s", err.text);
    store->ops->close(store);
}

static struct rig written(void)
{
    struct rig r = {.cfg = config("one", "local", "64M")};
    struct head h;
    r.lib = new_library(r.cfg, BARCODE);
    move(r.lib, SLOT, DRIVE);
    write_model(library_drive(r.lib, 0), &r.m, 0, N_WRITTEN, 1);
    move(r.lib, DRIVE, SLOT);
    flush_remote(r.lib);
    close_library(r.lib);
    config_free(r.cfg);
    read_bucket(&h, &r.x);
    head_free(&h);
    assert_true(r.x.n_segs > FOREIGN + 2);
    object_path(r.path, "seg", &r.x.segs[FOREIGN].id);
    return r;
}

static void start(struct rig *r, const char *cache)
{
    r->cfg = config("two", "local", cache);
    rebuild_library(r->cfg);
    r->lib = open_library(r->cfg);
    move(r->lib, SLOT, DRIVE);
    r->drive = library_drive(r->lib, 0);
}

static void end(struct rig *r)
{
    close_library(r->lib);
    config_free(r->cfg);
    tape_index_free(&r->x);
}

static bool is_foreign(const struct rig *r, uint64_t object)
{
    const struct seg_ref *f = &r->x.segs[FOREIGN];
    return object >= f->first_object && object < f->first_object + f->objects;
}

static void locate(const struct rig *r, uint64_t object)
{
    assert_int_equal(library_drive_ops()->locate_object(r->drive, 0, object, &never), TAPE_OK);
}

/* The object is what was written, or, of a segment that was replaced, an error. */
static void expect_object(const struct rig *r, uint64_t object)
{
    if (!r->m.object[object])
        expect_result(r->drive, TAPE_FILEMARK);
    else if (!is_foreign(r, object))
        expect_id(r->drive, r->m.object[object]);
    else
        expect_result(r->drive, TAPE_READ_ERROR);
}

/* ---- segments ---- */

static void a_foreign_segment_is_an_error_for_a_random_read(void **state)
{
    (void)state;
    struct rig r = written();
    make_impostor(r.path);
    start(&r, "0");
    for (uint64_t i = 0; i < r.m.n; i++) {
        uint64_t object = (i * 17 + 5) % r.m.n;
        locate(&r, object);
        expect_object(&r, object);
    }
    end(&r);
}

static void a_foreign_segment_is_an_error_for_reading_on(void **state)
{
    (void)state;
    struct rig r = written();
    make_impostor(r.path);
    start(&r, "64M");
    for (uint64_t i = 0; i < r.m.n; i++) {
        expect_object(&r, i);
        if (is_foreign(&r, i)) /* a host that goes on */
            locate(&r, i + 1);
    }
    end(&r);
}

static void without_the_crc_a_foreign_segment_is_believed(void **state)
{
    (void)state;
    struct rig r = written();
    uint32_t len = sizeof(back);
    make_impostor(r.path);
    start(&r, "0");
    struct cartridge *c = library_cartridge(r.lib, BARCODE);
    uint64_t object = r.x.segs[FOREIGN].first_object;
    lock_take(&c->lock);
    c->live.segs[FOREIGN].crc = 0;
    lock_release(&c->lock);
    locate(&r, object + !r.m.object[object]);
    assert_int_equal(library_drive_ops()->read(r.drive, back, &len, NULL, &never), TAPE_OK);
    end(&r);
}

static unsigned n_found;
static char found[600];

static void hear(void *arg, const struct verify_problem *p)
{
    (void)arg;
    n_found++;
    (void)snprintf(found, sizeof(found), "%s", p->what);
}

static int verify(struct verify_result *out)
{
    struct objstore *store = open_store();
    struct errtext err = {""};
    const struct verify_options o = {.parallel = 2, .problem = hear};
    n_found = 0;
    found[0] = '\0';
    int rc = verify_cartridge(store, BARCODE, &o, out, &err);
    if (rc)
        (void)snprintf(found, sizeof(found), "%s", err.text);
    store->ops->close(store);
    return rc;
}

/* Where the end of the object is the right one, the record is not. */
static void a_foreign_record_is_an_error(void **state)
{
    (void)state;
    struct rig r = written();
    struct verify_result v;
    unsigned bad = 0;
    make_other(r.path, false);
    assert_int_equal(verify(&v), 0);
    assert_int_equal(v.problems, 1);
    assert_int_equal(v.lost_objects, 1);
    start(&r, "64M");
    for (uint64_t i = 0; i < r.m.n; i++) {
        uint32_t len = sizeof(back);
        locate(&r, i);
        if (i != v.lost_from)
            r.m.object[i] ? expect_id(r.drive, r.m.object[i]) : expect_result(r.drive, TAPE_FILEMARK);
        else
            bad += library_drive_ops()->read(r.drive, back, &len, NULL, &never) == TAPE_READ_ERROR;
    }
    assert_int_equal(bad, 1);
    end(&r);
}

static void spool_path(char path[400], const char *name, const struct seg_id *id)
{
    char file[SEG_NAME_SIZE];
    seg_id_format(id, file);
    (void)snprintf(path, 400, "%s/%s/spool/" BARCODE "/%s", dir, name, file);
}

/* Of what is stored the store's copy is read. */
static void a_foreign_file_of_the_cache_is_passed_over(void **state)
{
    (void)state;
    struct rig r = written();
    char path[400];
    spool_path(path, "one", &r.x.segs[FOREIGN].id);
    assert_int_equal(access(path, F_OK), 0);
    make_impostor(path);
    r.cfg = config("one", "local", "64M");
    r.lib = open_library(r.cfg);
    move(r.lib, SLOT, DRIVE);
    check_all(library_drive(r.lib, 0), &r.m);
    end(&r);
}

static void verify_finds_a_foreign_segment(void **state)
{
    (void)state;
    struct rig r = written();
    struct verify_result v;
    assert_int_equal(verify(&v), 0);
    assert_int_equal(v.problems, 0);
    make_impostor(r.path);
    assert_int_equal(verify(&v), 0);
    assert_int_equal(v.problems, 1);
    assert_int_equal(v.lost_objects, r.x.segs[FOREIGN].objects);
    assert_non_null(strstr(found, "another one"));
    tape_index_free(&r.x);
}

/* ---- index and footer damaged ---- */

/* Bytes from the end: in the footer, or before it. */
static void flip_at_end(const char *path, off_t from_end)
{
    struct stat st;
    uint8_t b;
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && !fstat(fd, &st));
    assert_int_equal(pread(fd, &b, 1, st.st_size - from_end), 1);
    b ^= 0x40;
    assert_int_equal(pwrite(fd, &b, 1, st.st_size - from_end), 1);
    close(fd);
}

/* From a window, with a seek before each block; and while the segment is on its way. */
static void a_damaged_index_loses_no_block(void **state)
{
    (void)state;
    const char *const caches[] = {"0", "64M"};
    const off_t places[] = {10, 80}; /* footer, table */
    for (int i = 0; i < 4; i++) {
        struct rig r = written();
        flip_at_end(r.path, places[i % 2]);
        start(&r, caches[i / 2]);
        for (uint64_t k = 0; k < r.m.n; k++) {
            uint64_t object = (k * 17 + 5) % r.m.n;
            locate(&r, object);
            r.m.object[object] ? expect_id(r.drive, r.m.object[object]) : expect_result(r.drive, TAPE_FILEMARK);
        }
        check_all(r.drive, &r.m);
        end(&r);
        teardown(state);
        setup(state);
    }
}

/* What its records say is bound by the name as well as what its index says. */
static void a_foreign_segment_with_a_damaged_index_is_an_error(void **state)
{
    (void)state;
    const char *const caches[] = {"0", "64M"};
    const off_t places[] = {10, 80};
    for (int i = 0; i < 4; i++) {
        struct rig r = written();
        struct verify_result v;
        make_impostor(r.path);
        flip_at_end(r.path, places[i % 2]);
        assert_int_equal(verify(&v), 0);
        assert_int_equal(v.lost_objects, r.x.segs[FOREIGN].objects);
        start(&r, caches[i / 2]);
        for (uint64_t k = 0; k < r.m.n; k++) {
            expect_object(&r, k);
            if (is_foreign(&r, k))
                locate(&r, k + 1);
        }
        end(&r);
        teardown(state);
        setup(state);
    }
}

/* ---- maps ---- */

static void put_object(const char *kind, const struct seg_id *id, const void *p, size_t len)
{
    char key[DB_KEY_SIZE];
    struct objstore *store = open_store();
    struct errtext err = {""};
    object_key(key, BARCODE, kind, id);
    const char *keys[] = {key};
    (void)store->ops->del(store, keys, 1, NULL, &err);
    if (store->ops->put(store, key, &(struct obj_source){.mem = p, .fd = -1, .len = len}, NULL, &err))
        fail_msg("%s", err.text);
    store->ops->close(store);
}

static const struct seg_id map_id = {1, 0xbeef, 0};

/* The first n segments go into a map, which the next head names. */
static void move_to_map(size_t n)
{
    struct head h;
    struct tape_index x;
    void *map;
    char *buf;
    size_t len;
    read_bucket(&h, &x);
    assert_int_equal(map_encode(h.cartridge, &map_id, &x, 0, n, &map, &len), 0);
    put_object("map", &map_id, map, len);
    free(h.maps);
    h.maps = calloc(1, sizeof(*h.maps));
    assert_non_null(h.maps);
    h.maps[0] = (struct map_ref){.id = map_id, .n_segs = n, .size = len, .crc = map_crc(map, len)};
    h.n_maps = 1;
    h.next_map = 1;
    h.id.number++;
    tape_index_free(&h.inl);
    assert_int_equal(tape_index_slice(&h.inl, &x, n, x.n_segs - n), 0);
    assert_int_equal(head_encode(&h, &buf, &len), 0);
    put_object("head", &h.id, buf, len);
    free(buf);
    free(map);
    tape_index_free(&x);
    head_free(&h);
}

static void a_map_binds_its_segments(void **state)
{
    (void)state;
    struct rig r = written();
    struct verify_result v;
    move_to_map(FOREIGN + 1);
    assert_int_equal(verify(&v), 0);
    assert_int_equal(v.problems, 0);
    make_impostor(r.path);
    assert_int_equal(verify(&v), 0);
    assert_int_equal(v.problems, 1);
    start(&r, "0");
    for (uint64_t i = 0; i < r.m.n; i++) {
        locate(&r, i);
        expect_object(&r, i);
    }
    end(&r);
}

static void a_foreign_map_is_damage(void **state)
{
    (void)state;
    struct rig r = written();
    struct verify_result v;
    struct errtext err = {""};
    json_t *report = NULL;
    void *map;
    size_t len;
    struct head h;
    struct tape_index x;
    move_to_map(FOREIGN + 1);
    read_bucket(&h, &x);
    x.segs[1].crc ^= 1; /* it names another segment 1 */
    assert_int_equal(map_encode(h.cartridge, &map_id, &x, 0, FOREIGN + 1, &map, &len), 0);
    put_object("map", &map_id, map, len);
    assert_int_equal(verify(&v), -EBADMSG);
    assert_non_null(strstr(found, "another one"));
    struct vtl_config *c = config("two", "local", "0");
    if (library_rebuild(c, NULL, &report, &err))
        fail_msg("%s", err.text);
    assert_int_equal(json_array_size(json_object_get(report, "failed")), 1);
    json_decref(report);
    config_free(c);
    free(map);
    tape_index_free(&x);
    head_free(&h);
    tape_index_free(&r.x);
}

/* The head still binds those that it names itself: a foreign one of them is a hole. */
static void rebuild_deep_takes_no_foreign_segment(void **state)
{
    (void)state;
    struct rig r = written();
    char path[300];
    move_to_map(2);
    object_path(path, "map", &map_id);
    assert_int_equal(unlink(path), 0);
    make_impostor(r.path);
    json_t *report = NULL;
    struct errtext err = {""};
    r.cfg = config("two", "local", "0");
    if (library_rebuild(r.cfg, &(struct rebuild_options){.deep = true}, &report, &err))
        fail_msg("%s", err.text);
    const json_t *tape = json_array_get(json_object_get(report, "cartridges"), 0);
    const json_t *missing = json_object_get(json_object_get(tape, "deep"), "missing");
    assert_int_equal(json_array_size(missing), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(missing, 0), "object")),
                     r.x.segs[FOREIGN].first_object);
    json_decref(report);
    r.lib = open_library(r.cfg);
    move(r.lib, SLOT, DRIVE);
    r.drive = library_drive(r.lib, 0);
    for (uint64_t i = 0; i < r.m.n; i++)
        if (!is_foreign(&r, i)) {
            locate(&r, i);
            expect_object(&r, i);
        }
    end(&r);
}

/* ---- version 1 ---- */

/* tests/data/v1: what an s3vtl wrote that knew no other version: its tape has four segments, two of them in a map; the
 * third is cut in its middle. Each object tells who it is, every fifth is a filemark. */
#define OLD_TAPE "V1TAPEL8"
#define OLD_OBJECTS 30u

static uint32_t old_block(uint64_t object, uint8_t *b)
{
    char text[64];
    uint32_t len = 1 + (uint32_t)(object * 37 % 500);
    bool cut = object == 20 || object == 21; /* in the segment that was written over from there on */
    int n = snprintf(text, sizeof(text), "%s %llu, ", cut ? "old" : "object", (unsigned long long)object);
    for (uint32_t i = 0; i < len; i++)
        b[i] = (uint8_t)text[i % (uint32_t)n];
    return len;
}

static void run(const char *format)
{
    char command[400];
    (void)snprintf(command, sizeof(command), format, dir, dir); /* NOLINT: the test's own */
    if (system(command))
        fail_msg("%s", command);
}

static void read_old(void *d)
{
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    for (uint64_t i = 0; i < OLD_OBJECTS; i++) {
        uint32_t len = sizeof(back), want = old_block(i, block);
        if (i % 5 == 4) {
            expect_result(d, TAPE_FILEMARK);
            continue;
        }
        assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), TAPE_OK);
        assert_int_equal(len, want);
        assert_memory_equal(back, block, want);
    }
}

static void expect_versions(size_t old, size_t all)
{
    struct objstore *store = open_store();
    struct head h;
    struct tape_index x;
    struct errtext err = {""};
    struct verify_result v;
    const struct verify_options o = {.parallel = 1};
    assert_int_equal(commit_read_head(store, OLD_TAPE, NULL, &h, NULL, &err), 0);
    assert_int_equal(commit_read_index(store, &h, &x, NULL, &err), 0);
    assert_int_equal(x.n_segs, all);
    for (size_t i = 0; i < all; i++)
        assert_int_equal(x.segs[i].crc == 0, i < old);
    assert_int_equal(verify_cartridge(store, OLD_TAPE, &o, &v, &err), 0);
    assert_int_equal(v.problems, 0);
    assert_int_equal(v.segments, all);
    tape_index_free(&x);
    head_free(&h);
    store->ops->close(store);
}

static void a_tape_of_version_1_goes_on(void **state)
{
    (void)state;
    run("cp -r tests/data/v1/store %s/store && chmod -R u+w %s/store");
    expect_versions(4, 4);
    struct vtl_config *c = config("one", "local", "64M");
    rebuild_library(c);
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    read_old(library_drive(lib, 0));
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(write_id(library_drive(lib, 0), 1 + i), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    size_t all = 4;
    struct objstore *store = open_store();
    struct head h;
    struct errtext err = {""};
    assert_int_equal(commit_read_head(store, OLD_TAPE, NULL, &h, NULL, &err), 0);
    all = h.maps[0].n_segs + h.inl.n_segs;
    assert_true(all > 4);
    head_free(&h);
    store->ops->close(store);
    expect_versions(4, all);
    run("python3 tests/reader/s3vtl_reader.py --dir %s/store --barcode " OLD_TAPE " > %s/log 2>&1");
    config_free(c);
    c = config("two", "local", "0");
    rebuild_library(c);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    read_old(library_drive(lib, 0));
    for (uint64_t i = 0; i < 10; i++)
        expect_id(library_drive(lib, 0), 1 + i);
    expect_result(library_drive(lib, 0), TAPE_EOD);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_foreign_segment_is_an_error_for_a_random_read),
        T(a_foreign_segment_is_an_error_for_reading_on),
        T(a_foreign_record_is_an_error),
        T(without_the_crc_a_foreign_segment_is_believed),
        T(a_foreign_file_of_the_cache_is_passed_over),
        T(verify_finds_a_foreign_segment),
        T(a_damaged_index_loses_no_block),
        T(a_foreign_segment_with_a_damaged_index_is_an_error),
        T(a_map_binds_its_segments),
        T(a_foreign_map_is_damage),
        T(rebuild_deep_takes_no_foreign_segment),
        T(a_tape_of_version_1_goes_on),
    };
    return cmocka_run_group_tests_name("bound", tests, NULL, NULL);
}
