/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tapes.c: making a cartridge while there is no memory for one, or no store. */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <errno.h>

#include "vtl/library/library_private.h"

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

/* ---- a store that stops to answer in the middle ---- */

static struct objstore_ops limping;
static const struct objstore_ops *well;
static unsigned n_puts, ends_after; /* after so many puts it answers neither a list nor a put; 0: it does */
static const char *refuses;         /* it takes no key with this in it; NULL: any */

static bool is_over(void)
{
    return ends_after && n_puts >= ends_after;
}

static int limping_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                       struct errtext *err)
{
    if (is_over() || (refuses && strstr(key, refuses)))
        return errtext_set(err, -EIO, "put: the test wants it");
    n_puts++;
    return well->put(s, key, src, c, err);
}

static int limping_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn,
                        void *arg, const struct obj_call *c, struct errtext *err)
{
    if (is_over())
        return errtext_set(err, -EIO, "list: the test wants it");
    return well->list(s, prefix, after, slash, fn, arg, c, err);
}

static void limp(struct library *lib)
{
    well = lib->eng.store->ops;
    limping = *well;
    limping.put = limping_put;
    limping.list = limping_list;
    lib->eng.store->ops = &limping;
}

/* A PUT of which nobody heard: it is told as failed, and lands later. */
static char late_key[200], *late_text;
static size_t late_len;

static int late_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                    struct errtext *err)
{
    if (late_key[0] || !strstr(key, "-0000000001"))
        return well->put(s, key, src, c, err);
    (void)snprintf(late_key, sizeof(late_key), "%s", key);
    late_text = malloc(src->len);
    assert_non_null(late_text);
    memcpy(late_text, src->mem, late_len = src->len);
    return errtext_set(err, -EIO, "put: the test wants it");
}

static void a_first_head_that_lands_when_its_cartridge_was_taken_back_is_in_nobody_s_way(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = NULL;
    struct errtext err = {""};
    json_t *q = create("BCK001L8");
    init_library(c);
    assert_int_equal(library_open(c, 0, &lib, &err), 0); /* without workers: nobody else asks the store */
    well = lib->eng.store->ops;
    limping = *well;
    limping.put = late_put;
    lib->eng.store->ops = &limping;
    assert_null(library_call(lib, q, &err));
    assert_non_null(late_text);
    assert_int_equal(heads_of("BCK001L8"), 0);
    const struct obj_source src = {.mem = late_text, .fd = -1, .len = late_len};
    assert_int_equal(well->put(lib->eng.store, late_key, &src, NULL, &err), 0);
    assert_int_equal(heads_of("BCK001L8"), 1);
    json_decref(call(lib, q));
    assert_int_equal(heads_of("BCK001L8"), 1);
    lib->eng.store->ops = well;
    free(late_text);
    close_library(lib);
    config_free(c);
}

/* Whatever of the first commit was done when the store fails, the barcode can be used again. */
static void a_cartridge_that_could_not_be_made_is_taken_back(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = NULL;
    struct errtext err = {""};
    init_library(c);
    assert_int_equal(library_open(c, 0, &lib, &err), 0); /* without workers: nobody else asks the store */
    limp(lib);
    for (unsigned after = 1; after <= 3; after++) { /* the claim, the state taken over, the first head */
        json_t *q = create("BCK001L8");
        n_puts = 0;
        ends_after = after;
        assert_null(library_call(lib, q, &err));
        json_decref(q);
        assert_int_equal(heads_of("BCK001L8") > 0, true); /* the store did not let it go */
        ends_after = 0;
    }
    json_decref(call(lib, create("BCK001L8")));
    assert_int_equal(heads_of("BCK001L8"), 1);
    lib->eng.store->ops = well;
    close_library(lib);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 7), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

static bool has(struct library *lib, const char *barcode)
{
    lock_take(&lib->lock);
    bool is = library_cartridge(lib, barcode) != NULL || library_place(lib, barcode) != NULL;
    lock_release(&lib->lock);
    return is;
}

/* The store fails at the third: the two before it go again, and can be made later. */
static void of_many_all_or_none_are_made(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = NULL;
    struct errtext err = {""};
    init_library(c);
    assert_int_equal(library_open(c, 0, &lib, &err), 0);
    json_t *q = json_pack("{s:s, s:[sss], s:i}", "op", "tape-create", "barcodes", "ALL001L8", "ALL002L8", "ALL003L8",
                          "capacity", 0);
    limp(lib);
    n_puts = 0;
    ends_after = 0;
    json_decref(call(lib, create("ALL000L8")));
    ends_after = n_puts * 2 + n_puts + 1;
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, "; none was made"));
    assert_false(has(lib, "ALL001L8") || has(lib, "ALL002L8") || has(lib, "ALL003L8"));
    assert_true(has(lib, "ALL000L8"));
    ends_after = 0;
    json_decref(call(lib, json_incref(q)));
    json_decref(q);
    for (unsigned i = 0; i < 4; i++) {
        char barcode[9];
        (void)snprintf(barcode, sizeof(barcode), "ALL00%uL8", i);
        assert_int_equal(heads_of(barcode), 1);
    }
    lib->eng.store->ops = well;
    close_library(lib);
    lib = open_library(c);
    move(lib, SLOT + 3, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 7), TAPE_OK);
    move(lib, DRIVE, SLOT + 3);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* What was made for moments only is named by no inventory: a rebuild would miss it. */
static void what_is_taken_back_is_in_no_inventory(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = NULL;
    struct errtext err = {""};
    char key[DB_KEY_SIZE];
    init_library(c);
    assert_int_equal(library_open(c, 0, &lib, &err), 0);
    json_decref(call(lib, create("INV001L8")));
    json_t *q = json_pack("{s:s, s:[ss]}", "op", "tape-create", "barcodes", "INV002L8", "INV003L8");
    limp(lib);
    ends_after = 0;
    refuses = "INV003L8";
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, "; none was made"));
    json_decref(q);
    refuses = NULL;
    bool unread;
    json_t *newest = inventory_newest(lib->eng.store, NULL, key, &unread, NULL, &err);
    char *text = json_dumps(newest, 0);
    assert_non_null(strstr(text, "INV001L8"));
    assert_null(strstr(text, "INV002L8"));
    free(text);
    json_decref(newest);
    lib->eng.store->ops = well;
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(out_of_memory_ends_tape_create_and_leaves_nothing),
        T(a_cartridge_that_could_not_be_made_is_taken_back),
        T(a_first_head_that_lands_when_its_cartridge_was_taken_back_is_in_nobody_s_way),
        T(of_many_all_or_none_are_made),
        T(what_is_taken_back_is_in_no_inventory),
    };
    return cmocka_run_group_tests_name("tapes", tests, NULL, NULL);
}
