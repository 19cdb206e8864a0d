/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_door.c: what the operator asks for in lists: one clear line when it cannot be done, and then nothing is done. */
#include "tests/unit/library_rig.h"

static void refuse(struct library *lib, json_t *request, const char *why)
{
    struct errtext err = {""};
    json_t *r = library_call(lib, request, &err);
    json_decref(request);
    assert_null(r);
    assert_string_equal(err.text, why);
}

static json_t *twice(const char *op, const char *barcode)
{
    return json_pack("{s:s, s:[s, s]}", "op", op, "barcodes", barcode, barcode);
}

static json_t *once(const char *op, const char *barcode)
{
    return json_pack("{s:s, s:[s]}", "op", op, "barcodes", barcode);
}

static void expect_place(struct library *lib, const char *barcode, json_int_t address)
{
    json_t *r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode));
    assert_int_equal(json_integer_value(json_object_get(r, "address")), address);
    json_decref(r);
}

static void a_cartridge_named_twice_is_refused_and_nothing_is_moved(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "TWI001L8");
    const char *why = "TWI001L8: named twice: name each cartridge once";
    move(lib, SLOT, ELEMENT_FIRST_IMPORT_EXPORT);
    refuse(lib, twice("tape-export", "TWI001L8"), why);
    expect_place(lib, "TWI001L8", ELEMENT_FIRST_IMPORT_EXPORT);
    json_decref(call(lib, once("tape-export", "TWI001L8")));
    refuse(lib, twice("tape-import", "TWI001L8"), why);
    expect_place(lib, "TWI001L8", 0);
    json_decref(call(lib, once("tape-import", "TWI001L8")));
    expect_place(lib, "TWI001L8", ELEMENT_FIRST_IMPORT_EXPORT);
    close_library(lib);
    config_free(c);
}

static void a_cartridge_named_twice_is_not_made(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "TWI001L8");
    refuse(lib, twice("tape-create", "TWI002L8"), "TWI002L8: named twice: name each cartridge once");
    refuse(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", "TWI002L8"),
           "TWI002L8: no such cartridge in this library");
    close_library(lib);
    config_free(c);
}

static void a_list_of_something_else_than_barcodes_is_refused(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "TWI001L8");
    refuse(lib, json_pack("{s:s, s:[s, i]}", "op", "tape-import", "barcodes", "TWI001L8", 7),
           "barcodes: number 2 is no text: each must be a barcode");
    close_library(lib);
    config_free(c);
}

static bool is_by_operator(struct library *lib)
{
    struct changer_element e;
    assert_int_equal(library_changer_ops()->elements(lib, ELEMENT_IMPORT_EXPORT, ELEMENT_FIRST_IMPORT_EXPORT, 1, &e),
                     1);
    assert_true(e.full);
    return e.by_operator;
}

/* IMPEXP of READ ELEMENT STATUS: put there by an operator, or by a move. */
static void who_filled_the_door_is_known_after_a_restart(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "WHO001L8");
    move(lib, SLOT, ELEMENT_FIRST_IMPORT_EXPORT);
    for (int imported = 0; imported < 2; imported++) {
        assert_int_equal(is_by_operator(lib), imported);
        close_library(lib);
        lib = open_library(c);
        assert_int_equal(is_by_operator(lib), imported);
        json_decref(call(lib, once("tape-export", "WHO001L8")));
        json_decref(call(lib, once("tape-import", "WHO001L8")));
    }
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_cartridge_named_twice_is_refused_and_nothing_is_moved),
        T(a_cartridge_named_twice_is_not_made),
        T(who_filled_the_door_is_known_after_a_restart),
        T(a_list_of_something_else_than_barcodes_is_refused),
    };
    return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
