/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_newer.c: heads, maps and segments of a format version that this program does not know: told, and left alone. */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <errno.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"
#include "vtl/scrub/verify.h"

#define TAPE "NEW001L8"
#define HEAD_5 "of format version 5; this s3vtl reads 1 to 4"
#define PART_4 "of format version 4; this s3vtl reads 1 to 3" /* maps and segments */

static void path_of(char path[300], const char *kind)
{
    (void)snprintf(path, 300, "%s/store/tapes/" TAPE "/%s", dir, kind);
}

static unsigned objects_of(const char *kind)
{
    char path[300];
    unsigned n = 0;
    path_of(path, kind);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* A head as a later program may put it, above all others. */
static void put_newer_head(const char *name)
{
    char path[300], *buf = NULL;
    size_t len = 0;
    path_of(path, name);
    json_t *j = json_pack("{s:i, s:s}", "version", 5, "tape", "in other words");
    assert_int_equal(json_seal(j, &buf, &len), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(buf, 1, len, f), len);
    fclose(f);
    free(buf);
    json_decref(j);
}

#define NEWER "head/00000007-00000001-0000000003"

static bool exists(const char *name)
{
    char path[300];
    path_of(path, name);
    return !access(path, F_OK);
}

static struct library *with_a_newer_head(struct vtl_config *c)
{
    struct library *lib = new_library(c, TAPE);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    put_newer_head(NEWER);
    return open_library(c);
}

static void refused(struct library *lib, json_t *request, const char *why)
{
    struct errtext err = {""};
    assert_null(library_call(lib, request, &err));
    json_decref(request);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

static bool has_trouble(struct library *lib, const char *text)
{
    json_t *j = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", TAPE));
    const char *trouble = json_string_value(json_object_get(j, "trouble"));
    bool has = trouble && strstr(trouble, text);
    json_decref(j);
    return has;
}

/* The gateway with the later program owns it: this one writes nothing, reads nothing of what it had, and says why. */
static void a_later_head_fences_and_is_named(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_a_newer_head(c);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 2), TAPE_NOT_OWNED);
    assert_true(has_trouble(lib, HEAD_5));
    move(lib, DRIVE, SLOT);
    assert_int_equal(objects_of("head"), 2); /* and no claim */
    close_library(lib);
    config_free(c);
}

static void nothing_that_mends_touches_a_later_head(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_a_newer_head(c);
    unsigned segments = objects_of("seg");
    refused(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 1), HEAD_5);
    refused(lib, json_pack("{s:s, s:s}", "op", "tape-gc", "barcode", TAPE), HEAD_5);
    refused(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", TAPE, "force", 1), HEAD_5);
    assert_true(exists(NEWER));
    assert_int_equal(objects_of("head"), 2);
    assert_int_equal(objects_of("aside"), 0);
    assert_int_equal(objects_of("seg"), segments);
    close_library(lib);
    config_free(c);
}

/* Not even of what is no head, and above it. */
static void junk_above_a_later_head_goes_aside_alone(void **state)
{
    (void)state;
    char path[300];
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_a_newer_head(c);
    path_of(path, "head/99999999-00000001-0000000001");
    fclose(fopen(path, "w"));
    refused(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 1), HEAD_5);
    assert_true(exists(NEWER));
    assert_int_equal(objects_of("aside"), 1);
    close_library(lib);
    config_free(c);
}

static void verify_names_the_version(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = with_a_newer_head(c);
    struct verify_result r;
    struct errtext err = {""};
    const struct verify_options o = {.parallel = 1};
    assert_int_equal(verify_cartridge(lib->eng.store, TAPE, &o, &r, &err), -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, HEAD_5));
    close_library(lib);
    config_free(c);
}

static void rebuild_fails(const char *state, bool deep, const char *why)
{
    struct vtl_config *c = config(state, "remote", "16M");
    const struct rebuild_options o = {.deep = deep, .force = true};
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    const json_t *f = json_array_get(json_object_get(r, "failed"), 0);
    const char *error = json_string_value(json_object_get(f, "error"));
    assert_non_null(error);
    if (!strstr(error, why))
        fail_msg("%s", error);
    assert_false(json_is_true(json_object_get(f, "deep_may_help")));
    assert_int_equal(json_array_size(json_object_get(r, "vanished")), 0);
    json_decref(r);
    config_free(c);
}

static void a_rebuild_names_the_version_and_makes_no_other_head(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    close_library(with_a_newer_head(c));
    rebuild_fails("two", false, HEAD_5);
    rebuild_fails("two", true, HEAD_5);
    assert_true(exists(NEWER));
    assert_int_equal(objects_of("head"), 2);
    config_free(c);
}

/* A stranger of this library, as gc lists it. */
static void a_later_head_in_no_library_is_named(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    close_library(with_a_newer_head(c));
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(library_rebuild(two, NULL, &r, &err), 0);
    json_decref(r);
    struct library *lib = open_library(two);
    r = call(lib, json_pack("{s:s}", "op", "strangers"));
    const json_t *s = json_array_get(json_object_get(r, "strangers"), 0);
    assert_string_equal(json_string_value(json_object_get(s, "barcode")), TAPE);
    assert_non_null(strstr(json_string_value(json_object_get(s, "error")), HEAD_5));
    json_decref(r);
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* ---- maps and segments ---- */

static void change_version(const char *path, size_t crc_at)
{
    uint8_t h[192];
    assert_int_equal(chmod(path, 0600), 0);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fread(h, 1, crc_at, f), crc_at);
    put_le32(h + 8, 4);
    put_le32(h + crc_at, crc32c(0, h, crc_at));
    rewind(f);
    assert_int_equal(fwrite(h, 1, crc_at + 4, f), crc_at + 4);
    fclose(f);
}

/* A head that names one map, of one segment, in place of the one that is there. */
static void put_head_with_map(struct library *lib, const struct head *old, const struct tape_index *x)
{
    struct engine *e = &lib->eng;
    struct map_ref m = {.id = {old->id.epoch, e->writer, 1}, .n_segs = x->n_segs};
    struct head h = *old;
    void *buf = NULL;
    size_t len = 0;
    char key[DB_KEY_SIZE], path[300];
    assert_int_equal(map_encode(old->cartridge, &m.id, x, 0, x->n_segs, &buf, &len), 0);
    m.size = len;
    object_key(key, TAPE, "map", &m.id);
    const struct obj_source src = {.mem = buf, .fd = -1, .len = len};
    assert_int_equal(e->store->ops->put(e->store, key, &src, NULL, NULL), 0);
    free(buf);
    (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
    change_version(path, 92);
    h.id = (struct seg_id){old->id.epoch + 1, e->writer, 1};
    h.maps = &m;
    h.n_maps = 1;
    tape_index_init(&h.inl);
    assert_int_equal(commit_adopt_head(e, &h, &old->id, NULL, NULL), 0);
}

static void a_map_of_a_later_version_is_named(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, TAPE);
    struct head h;
    struct tape_index x;
    struct verify_result r;
    struct errtext err = {""};
    const struct verify_options o = {.parallel = 1};
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    assert_int_equal(commit_read_head(lib->eng.store, TAPE, NULL, &h, NULL, &err), 0);
    assert_int_equal(commit_read_index(lib->eng.store, &h, &x, NULL, &err), 0);
    put_head_with_map(lib, &h, &x);
    assert_int_equal(verify_cartridge(lib->eng.store, TAPE, &o, &r, &err), -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, "this map is " PART_4));
    tape_index_free(&x);
    head_free(&h);
    close_library(lib);
    rebuild_fails("two", false, "this map is " PART_4);
    rebuild_fails("two", true, "this map is " PART_4);
    assert_int_equal(objects_of("map"), 1);
    config_free(c);
}

/* A head made without it would let gc delete it. */
static void a_deep_rebuild_passes_over_no_later_segment(void **state)
{
    (void)state;
    char path[300], command[800];
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, TAPE);
    move(lib, SLOT, DRIVE);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    assert_true(objects_of("seg") > 1);
    path_of(path, "");
    (void)snprintf(command, sizeof(command), "rm -r %s/head; ls %s/seg | sort -t- -k3 | head -1 >%s/first", path, path,
                   dir);
    assert_int_equal(system(command), 0);
    (void)snprintf(command, sizeof(command), "%s/first", dir);
    FILE *f = fopen(command, "r");
    char name[100] = "seg/";
    assert_int_equal(fscanf(f, "%90s", name + 4), 1);
    fclose(f);
    path_of(path, name);
    change_version(path, 188);
    rebuild_fails("two", true, "this segment is " PART_4);
    assert_int_equal(objects_of("head"), 0);
    config_free(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_later_head_fences_and_is_named),
        T(nothing_that_mends_touches_a_later_head),
        T(junk_above_a_later_head_goes_aside_alone),
        T(verify_names_the_version),
        T(a_rebuild_names_the_version_and_makes_no_other_head),
        T(a_later_head_in_no_library_is_named),
        T(a_map_of_a_later_version_is_named),
        T(a_deep_rebuild_passes_over_no_later_segment),
    };
    return cmocka_run_group_tests_name("newer", tests, NULL, NULL);
}
