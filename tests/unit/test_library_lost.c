/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_library_lost.c: spool files that are damaged or taken away before they were stored: who is told, and what goes
 * on all the same. */
#include "tests/unit/library_rig.h"

#include <dirent.h>

#include "base/clock.h"

#define BARCODE "LOST01L8"

static struct model m;

/* The store takes no segment any more, or does again. */
static void block_store(bool blocked)
{
    char seg[100], away[100];
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/" BARCODE "/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    if (blocked) {
        assert_true(!rename(seg, away));
        fclose(fopen(seg, "w"));
    } else {
        assert_int_equal(remove(seg), 0);
        assert_int_equal(rename(away, seg), 0);
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The second of the segments that wait: none of the first three objects is in it, and the end of the tape is not. */
static void second_file(char path[500], char name[64])
{
    char spool[200];
    struct dirent **list;
    (void)snprintf(spool, sizeof(spool), "%s/one/spool/" BARCODE, dir);
    int n = scandir(spool, &list, NULL, by_name);
    assert_true(n >= 2 + 4); /* with . and .. */
    (void)snprintf(path, 500, "%s/%s", spool, list[3 + 1]->d_name);
    (void)snprintf(name, 64, "%.63s", list[3 + 1]->d_name);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

/* A tape of which nothing but its first block is stored. */
static void with_a_backlog(struct vtl_config *c)
{
    struct library *lib = new_library(c, BARCODE);
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 1, 1);
    flush_remote(lib);
    block_store(true);
    write_model(d, &m, 1, 40, 2);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    close_library(lib);
}

static void expect_flush_ends(struct library *lib, const char *name, const char *what)
{
    struct errtext err = {""};
    uint64_t began = clock_ms();
    json_t *q = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000);
    assert_null(library_call(lib, q, &err));
    json_decref(q);
    assert_true(clock_ms() - began < 9000);
    assert_non_null(strstr(err.text, BARCODE));
    assert_non_null(strstr(err.text, name));
    assert_non_null(strstr(err.text, what));
}

static void expect_trouble(struct library *lib, const char *name)
{
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    const json_t *c = json_array_get(json_object_get(s, "cartridges"), 0);
    const char *trouble = json_string_value(json_object_get(c, "trouble"));
    assert_non_null(trouble);
    assert_non_null(strstr(trouble, name));
    json_decref(s);
}

/* How many of the blocks are read, of which all are right; the others are errors. */
static size_t readable(void *d)
{
    size_t good = 0;
    for (size_t i = 0; i < m.n; i++) {
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->locate_object(d, 0, i, &never), TAPE_OK);
        if (!m.object[i])
            continue;
        enum tape_result r = library_drive_ops()->read(d, back, &len, NULL, &never);
        assert_true(r == TAPE_OK || r == TAPE_READ_ERROR);
        if (r != TAPE_OK)
            continue;
        fill(m.object[i]);
        assert_int_equal(len, length_of(m.object[i]));
        assert_memory_equal(back, block, len);
        good++;
    }
    return good;
}

static size_t blocks(void)
{
    size_t n = 0;
    for (size_t i = 0; i < m.n; i++)
        n += m.object[i] != 0;
    return n;
}

static void check(struct vtl_config *c, const char *name, const char *what)
{
    block_store(false);
    struct library *lib = open_library(c);
    void *d = library_drive(lib, 0);
    expect_flush_ends(lib, name, what);
    expect_trouble(lib, name);
    size_t good = readable(d);
    assert_true(good < blocks() && good + 12 > blocks()); /* all but one segment of a MiB */
    close_library(lib);
}

static void a_spool_file_that_is_gone_is_named_and_flush_ends(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    assert_int_equal(unlink(path), 0);
    check(c, name, "is gone");
    config_free(c);
}

static void one_that_is_cut_short_is_named_and_flush_ends(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    with_a_backlog(c);
    second_file(path, name);
    assert_int_equal(truncate(path, 5000), 0);
    check(c, name, "is cut short");
    config_free(c);
}

/* durability = remote: the host's sync ends with an error, and does not wait for its time to be over. */
static void a_sync_to_the_store_ends_too(void **state)
{
    (void)state;
    char path[500], name[64];
    struct vtl_config *c = config("one", "local", "16M"), *remote;
    with_a_backlog(c);
    second_file(path, name);
    assert_int_equal(unlink(path), 0);
    block_store(false);
    remote = config("one", "remote", "16M");
    struct library *lib = open_library(remote);
    void *d = library_drive(lib, 0);
    uint64_t began = clock_ms();
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_WRITE_ERROR);
    assert_true(clock_ms() - began < 20000);
    struct errtext err = {""};
    assert_int_not_equal(library_close(lib, &err), 0);
    assert_non_null(strstr(err.text, name));
    config_free(remote);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_spool_file_that_is_gone_is_named_and_flush_ends),
        TEST(one_that_is_cut_short_is_named_and_flush_ends),
        TEST(a_sync_to_the_store_ends_too),
    };
    return cmocka_run_group_tests_name("library_lost", tests, NULL, NULL);
}
