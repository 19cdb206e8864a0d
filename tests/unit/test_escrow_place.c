/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_escrow_place.c: which escrows are in the second place, which of them go, and which are nobody's business. */
#include "segment_help.h"

#include <stdio.h>

#include "vtl/escrow/escrow.h"

#define LIBRARY "0a1b2c3d-0000-4000-8000-000000000001"
#define OTHER "0a1b2c3d-0000-4000-8000-000000000002"

struct rig {
    char dir[40];
    struct objstore *place;
    struct errtext err;
};

static struct rig start(void)
{
    struct rig r = {.dir = "/tmp/s3vtl-escrow-XXXXXX"};
    assert_non_null(mkdtemp(r.dir));
    const struct objstore_config c = {.type = "dir", .path = r.dir, .prefix = ""};
    assert_int_equal(objstore_open(&c, &r.place, &r.err), 0);
    return r;
}

static void stop(struct rig *r)
{
    char command[80];
    r->place->ops->close(r->place);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", r->dir);
    assert_int_equal(system(command), 0);
}

static struct escrow_entry put(struct rig *r, const char *id, uint64_t created)
{
    uint8_t data[100];
    fill_block(data, sizeof(data), RANDOM, (uint32_t)created);
    int fd = file_of(data, sizeof(data));
    const struct escrow_put what = {
        .id = id, .created = created, .fd = fd, .sealed = {sizeof(data), crc32c(0, data, sizeof(data))}};
    struct escrow_entry e;
    if (escrow_put(r->place, &what, &e, NULL, &r->err))
        fail_msg("%s", r->err.text);
    close(fd);
    return e;
}

static int prune(struct rig *r, unsigned keep, const char *but)
{
    const struct escrow_prune how = {keep, but};
    return escrow_prune(r->place, LIBRARY, &how, NULL, &r->err);
}

static void put_object(struct rig *r, const char *key)
{
    const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
    assert_int_equal(r->place->ops->put(r->place, key, &src, NULL, &r->err), 0);
}

static size_t count(struct rig *r, const char *id)
{
    struct escrow_entry *v;
    size_t n;
    assert_int_equal(escrow_list(r->place, id, &v, &n, NULL, &r->err), 0);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(v[i - 1].key, v[i].key) < 0);
    free(v);
    return n;
}

static void the_name_says_library_time_and_sum(void **state)
{
    (void)state;
    struct rig r = start();
    char end[20];
    struct escrow_entry e = put(&r, LIBRARY, 1795744800);
    (void)snprintf(end, sizeof(end), "-%08x", e.crc);
    assert_int_equal(strncmp(e.key, "escrow/" LIBRARY "/20261127T020000Z-", 61), 0);
    assert_string_equal(strrchr(e.key, '-'), end);
    assert_int_equal(strncmp(escrow_name(&e), "20261127T020000Z-", 17), 0);
    stop(&r);
}

static void the_oldest_go_and_only_those_of_this_library(void **state)
{
    (void)state;
    struct rig r = start();
    for (uint64_t i = 0; i < 5; i++) {
        put(&r, LIBRARY, 1700000000 + i * 3600);
        put(&r, OTHER, 1700000000 + i * 3600);
    }
    assert_int_equal(count(&r, NULL), 10);
    assert_int_equal(prune(&r, 2, ""), 0);
    assert_int_equal(count(&r, LIBRARY), 2);
    assert_int_equal(count(&r, OTHER), 5);
    struct escrow_entry *v;
    size_t n;
    assert_int_equal(escrow_list(r.place, LIBRARY, &v, &n, NULL, &r.err), 0);
    assert_int_equal(v[1].created, 1700000000 + 4 * 3600);
    assert_int_equal(v[1].size, 100);
    free(v);
    assert_int_equal(prune(&r, 2, ""), 0); /* there is nothing to do */
    assert_int_equal(count(&r, LIBRARY), 2);
    stop(&r);
}

/* The clock was ahead when the others were made, or is behind now: by its name the new one is the oldest. */
static void the_one_that_was_just_made_stays_whatever_its_time(void **state)
{
    (void)state;
    struct rig r = start();
    struct escrow_entry e, found;
    for (uint64_t i = 0; i < 3; i++)
        put(&r, LIBRARY, 1700000000 + i * 3600);
    e = put(&r, LIBRARY, 1600000000);
    assert_int_equal(prune(&r, 2, e.key), 0);
    assert_int_equal(count(&r, LIBRARY), 2);
    assert_int_equal(escrow_find(r.place, e.key, &found, NULL, &r.err), 0);
    assert_int_equal(prune(&r, 1, e.key), 0);
    assert_int_equal(count(&r, LIBRARY), 1);
    assert_int_equal(escrow_find(r.place, e.key, &found, NULL, &r.err), 0);
    stop(&r);
}

static void objects_of_other_names_are_passed_over(void **state)
{
    (void)state;
    struct rig r = start();
    static const char *const keys[] = {"escrow/" LIBRARY "/README",
                                       "escrow/" LIBRARY "/20261127T020000Z-0000000",
                                       "escrow/" LIBRARY "/20261127T020000Z-00000000x",
                                       "escrow/" LIBRARY "/20261332T020000Z-00000000",
                                       "escrow/" LIBRARY "/20261127T020000Z-0000000A",
                                       "escrow/short/20261127T020000Z-00000000",
                                       "escrow/" LIBRARY "/below/20261127T020000Z-00000000",
                                       "tapes/PBS001L8/head/00000001-00000001-0000000001"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_object(&r, keys[i]);
    put(&r, LIBRARY, 1700000000);
    assert_int_equal(count(&r, NULL), 1);
    assert_int_equal(prune(&r, 1, ""), 0);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        uint64_t size = 0;
        assert_int_equal(r.place->ops->head(r.place, keys[i], &size, NULL, &r.err), 0);
    }
    stop(&r);
}

static void one_that_is_not_what_its_name_says_is_damaged(void **state)
{
    (void)state;
    struct rig r = start();
    struct escrow_entry e = put(&r, LIBRARY, 1700000000);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", r.dir, e.key);
    struct escrow_entry found;
    assert_int_equal(escrow_find(r.place, e.key, &found, NULL, &r.err), 0);
    assert_memory_equal(&found, &e, sizeof(e));
    assert_int_equal(escrow_find(r.place, "escrow/README", &found, NULL, &r.err), -EINVAL);
    assert_int_equal(escrow_find(r.place, "escrow/" LIBRARY "/20261127T020000Z-00000000", &found, NULL, &r.err),
                     -ENOENT);
    assert_int_equal(escrow_get(r.place, &e, -1, NULL, &r.err), 0);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 50, SEEK_SET), 0);
    assert_int_equal(fputc('!', f), '!');
    fclose(f);
    assert_int_equal(escrow_get(r.place, &e, -1, NULL, &r.err), -EBADMSG);
    assert_non_null(strstr(r.err.text, e.key));
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_says_library_time_and_sum),
        cmocka_unit_test(the_oldest_go_and_only_those_of_this_library),
        cmocka_unit_test(the_one_that_was_just_made_stays_whatever_its_time),
        cmocka_unit_test(objects_of_other_names_are_passed_over),
        cmocka_unit_test(one_that_is_not_what_its_name_says_is_damaged),
    };
    return cmocka_run_group_tests_name("escrow_place", tests, NULL, NULL);
}
