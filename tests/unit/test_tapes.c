/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tapes.c: making a cartridge while there is no memory for one. */
#include "tests/unit/library_rig.h"

#define DEADLINE_S 60 /* what waits for ever ends the program */

static bool no_memory;

struct cartridge *__real_cartridge_new(struct engine *eng, const struct db_cartridge *row);
struct cartridge *__wrap_cartridge_new(struct engine *eng, const struct db_cartridge *row);
struct cartridge *__wrap_cartridge_new(struct engine *eng, const struct db_cartridge *row)
{
    return no_memory ? NULL : __real_cartridge_new(eng, row);
}

static json_t *create(const char *barcode)
{
    return json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0);
}

static void out_of_memory_ends_tape_create_and_leaves_nothing(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "MEM001L8");
    struct errtext err = {""};
    json_t *q = create("MEM002L8");
    no_memory = true;
    alarm(DEADLINE_S);
    json_t *r = library_call(lib, q, &err);
    alarm(0);
    no_memory = false;
    json_decref(q);
    assert_null(r);
    assert_string_equal(err.text, "MEM002L8: out of memory");
    close_library(lib);
    lib = open_library(c); /* nor in the state */
    r = call(lib, json_pack("{s:s}", "op", "tape-list"));
    assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 1);
    json_decref(r);
    r = call(lib, create("MEM002L8"));
    const json_t *made = json_array_get(json_object_get(r, "created"), 0);
    assert_int_equal(json_integer_value(json_object_get(made, "address")), SLOT + 1);
    json_decref(r);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(out_of_memory_ends_tape_create_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("tapes", tests, NULL, NULL);
}
