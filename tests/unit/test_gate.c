/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_gate.c: a store that is another library's: nothing is changed in it, and nothing of it is believed. */
#include "tests/unit/library_rig.h"

#define TAPE "SAME01L8"
#define REFUSED "the store's prefix is of library \"two\""

static void run(const char *fmt)
{
    char command[400];
    (void)snprintf(command, sizeof(command), fmt, dir, dir);
    assert_int_equal(system(command), 0);
}

/* A library with a tape of that barcode. Each run that writes it is of a higher epoch. */
static void make_library(const struct vtl_config *c, unsigned runs)
{
    close_library(new_library(c, TAPE));
    for (unsigned i = 0; i < runs; i++) {
        struct library *lib = open_library(c);
        move(lib, SLOT, DRIVE);
        assert_int_equal(write_id(library_drive(lib, 0), i + 1), TAPE_OK);
        move(lib, DRIVE, SLOT);
        flush_remote(lib);
        close_library(lib);
    }
}

/* The first one's [store] leads to what is the other one's. */
static struct vtl_config *mistaken(void)
{
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    make_library(c, 1);
    run("mv %s/store %s/store.one");
    make_library(two, 3);
    run("cp -a %s/store %s/store.was");
    config_free(two);
    return c;
}

static struct library *open_unserved(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(c, 0, &lib, &err))
        fail_msg("%s", err.text);
    return lib;
}

static void is_refused(struct library *lib, json_t *request)
{
    struct errtext err = {""};
    assert_null(library_call(lib, request, &err));
    if (!strstr(err.text, REFUSED))
        fail_msg("%s", err.text);
    json_decref(request);
}

static bool is_fenced(struct library *lib)
{
    json_t *r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", TAPE));
    bool fenced = json_is_true(json_object_get(r, "fenced"));
    json_decref(r);
    return fenced;
}

static void is_unchanged(void)
{
    run("diff -r %s/store %s/store.was");
}

/* [store] is right again. */
static void life_goes_on(const struct vtl_config *c)
{
    run("mv %s/store %s/store.two");
    run("mv %s/store.one %s/store");
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    expect_id(library_drive(lib, 0), 1);
    assert_int_equal(write_id(library_drive(lib, 0), 9), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    assert_false(is_fenced(lib));
    close_library(lib);
}

static void a_command_that_nobody_serves_leaves_another_librarys_bucket_alone(void **state)
{
    (void)state;
    struct vtl_config *c = mistaken();
    struct library *lib = open_unserved(c);
    is_refused(lib, json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", "NEW001L8"));
    is_refused(lib, json_pack("{s:s, s:s}", "op", "tape-gc", "barcode", TAPE));
    is_refused(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", TAPE, "force", 1));
    is_refused(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 1));
    is_refused(lib, json_pack("{s:s}", "op", "strangers"));
    assert_false(is_fenced(lib));
    is_unchanged();
    close_library(lib);
    life_goes_on(c);
    config_free(c);
}

static void what_serves_is_not_fenced_by_another_librarys_heads(void **state)
{
    (void)state;
    struct vtl_config *c = mistaken();
    struct library *lib = open_library(c);
    const char *trouble = NULL;
    json_t *r = NULL;
    move(lib, SLOT, DRIVE);
    for (uint64_t until = clock_ms() + 20000; !trouble && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        json_decref(r);
        r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", TAPE));
        trouble = json_string_value(json_object_get(r, "trouble"));
        if (!trouble)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    assert_non_null(trouble);
    assert_non_null(strstr(trouble, REFUSED));
    json_decref(r);
    assert_false(is_fenced(lib));
    expect_id(library_drive(lib, 0), 1); /* which the cache has */
    move(lib, DRIVE, SLOT);
    is_unchanged();
    close_library(lib);
    life_goes_on(c);
    config_free(c);
}

/* What asks no store needs none. */
static void what_is_known_here_is_told_without_the_store(void **state)
{
    (void)state;
    static const char *const ops[] = {"status", "tape-list"};
    struct vtl_config *c = mistaken();
    struct library *lib = open_unserved(c);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        json_decref(call(lib, json_pack("{s:s}", "op", ops[i])));
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_command_that_nobody_serves_leaves_another_librarys_bucket_alone),
        TEST(what_serves_is_not_fenced_by_another_librarys_heads),
        TEST(what_is_known_here_is_told_without_the_store),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
