/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_neighbours.c: two libraries of different names with one prefix: what one of them has, the other leaves alone. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "s3backend/dir.h"
#include "vtl/cartridge/cartridge_private.h"

#define THEIRS "NBR001L8"
#define LATER "NBR002L8"
#define OURS "OWN001L8"
#define DOOR ELEMENT_FIRST_IMPORT_EXPORT

/* ---- a store that does not give what is below one key ---- */

static const struct objstore_ops *usual;
static struct objstore_ops with_gaps;
static char gap[64];        /* set while nobody reads */
static atomic_bool gap_is;  /* from now on */
static atomic_int unbidden; /* reads of inventories that nobody could end */

static int get_but_gap(struct objstore *s, const char *key, uint64_t offset, size_t len, void *buf,
                       const struct obj_call *c, struct errtext *err)
{
    if (!atomic_load(&gap_is))
        return usual->get(s, key, offset, len, buf, c, err);
    if (!strncmp(key, "gateways/", 9) && (!c || c->cancel != &never || !c->max_tries))
        atomic_fetch_add(&unbidden, 1);
    return gap[0] && !strncmp(key, gap, strlen(gap)) ? errtext_set(err, -EIO, "get %s: no host has it", key)
                                                     : usual->get(s, key, offset, len, buf, c, err);
}

/* In place of the store's own, which the linker leaves out then. */
int objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err)
{
    int rc = dir_open(cfg->path, cfg->prefix ? cfg->prefix : "", out, err);
    if (rc)
        return rc;
    if (!usual) {
        usual = (*out)->ops;
        with_gaps = *usual;
        with_gaps.get = get_but_gap;
    }
    (*out)->ops = &with_gaps;
    return 0;
}

static void begin_gap(uint32_t writer)
{
    (void)snprintf(gap, sizeof(gap), "gateways/%08x/", writer);
    atomic_store(&unbidden, 0);
    atomic_store(&gap_is, true);
}

static json_t *request(const char *op, const char *barcode)
{
    return json_pack("{s:s, s:[s]}", "op", op, "barcodes", barcode);
}

static void create(struct library *lib, const char *barcode)
{
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0)));
}

static void rebuild_on_shelf(const struct vtl_config *c)
{
    const struct rebuild_options o = {.shelf = true};
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    json_decref(r);
}

/* From a gateway that is gone with all that it had; how many cartridges it claims. */
static json_int_t take_over(const struct vtl_config *c)
{
    struct errtext err = {""};
    json_t *r = NULL;
    remove_tree(c->library.state_dir);
    if (library_take_over(c, &(struct takeover_options){.force = true}, &r, &err))
        fail_msg("%s", err.text);
    json_int_t n = json_integer_value(json_object_get(r, "claimed"));
    json_decref(r);
    return n;
}

static json_int_t place_in(struct library *lib, const char *barcode)
{
    json_t *r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode));
    json_int_t address = json_integer_value(json_object_get(r, "address"));
    json_decref(r);
    return address;
}

static void await_inventory(struct library *lib)
{
    for (uint64_t until = clock_ms() + 20000; !inventory_is_stored(lib) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_true(inventory_is_stored(lib));
}

/* Its workers store nothing of it until then; 0: now. */
static void set_backoff(struct library *lib, const char *barcode, uint64_t until)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    lock_take(&c->lock);
    c->backoff_until = until;
    lock_release(&c->lock);
    cartridge_poke(c);
}

static bool wants_release(struct library *lib, const char *barcode)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    lock_take(&c->lock);
    bool wants = c->release;
    lock_release(&c->lock);
    return wants;
}

static void await_release(struct library *lib, const char *barcode)
{
    for (uint64_t until = clock_ms() + 20000; wants_release(lib, barcode) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_false(wants_release(lib, barcode));
}

static void write_one(struct library *lib, uint64_t id)
{
    assert_int_equal(write_id(library_drive(lib, 0), id), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never), TAPE_OK);
}

/* Its head is the one that the other's rebuild saw, and what comes behind it is on its gateway's disk only. */
static void what_a_neighbour_writes_behind_a_head_that_is_known_is_not_to_be_had(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    struct errtext err = {""};
    move(lib, SLOT, DRIVE);
    write_one(lib, 1);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    set_backoff(lib, THEIRS, UINT64_MAX);
    write_one(lib, 2);
    json_t *q = request("tape-import", THEIRS), *r = library_call(other, q, &err);
    assert_null(r);
    assert_non_null(strstr(err.text, "has not given it up"));
    assert_int_equal(place_in(other, THEIRS), 0);
    set_backoff(lib, THEIRS, 0);
    move(lib, DRIVE, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    for (uint64_t until = clock_ms() + 20000; !(r = library_call(other, q, &err)) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_non_null(r); /* given up, and then it is */
    json_decref(r);
    json_decref(q);
    assert_int_equal(place_in(other, THEIRS), DOOR);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void is_refused(struct library *lib, json_t *q)
{
    struct errtext err = {""};
    assert_null(library_call(lib, q, &err));
    json_decref(q);
    if (!strstr(err.text, THEIRS ": owned by gateway"))
        fail_msg("%s", err.text);
}

/* Blank, as far as this one knows. */
static void what_a_neighbour_writes_is_neither_removed_nor_changed(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    move(lib, SLOT, DRIVE);
    set_backoff(lib, THEIRS, UINT64_MAX);
    write_one(lib, 1);
    is_refused(other, json_pack("{s:s, s:s}", "op", "tape-remove", "barcode", THEIRS));
    is_refused(other, json_pack("{s:s, s:s}", "op", "tape-claim", "barcode", THEIRS)); /* but by force */
    is_refused(other, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", THEIRS, "on", 1));
    is_refused(other, json_pack("{s:s, s:s, s:s, s:I}", "op", "tape-lock", "barcode", THEIRS, "mode", "governance",
                                "until", (json_int_t)engine_time() + 86400));
    set_backoff(lib, THEIRS, 0);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static int no_answer(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn,
                     void *arg, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)start_after;
    (void)slash;
    (void)fn;
    (void)arg;
    (void)c;
    return errtext_set(err, -EIO, "list %s: no answer", prefix);
}

/* Whose it is, nobody can say then. What this gateway wrote last itself comes in as ever. */
static void what_a_neighbour_wrote_is_not_to_be_had_while_the_store_does_not_answer(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    struct errtext err = {""};
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    create(other, OURS);
    move(other, SLOT, DOOR);
    json_decref(call(other, request("tape-export", OURS)));
    await_release(other, OURS);
    inventory_stop(other);
    atomic_store(&other->stop, false);
    atomic_store(&other->shared, false);
    const struct objstore_ops *was, *silenced;
    struct objstore_ops silent = *other->eng.store->ops;
    silent.list = no_answer;
    exchange_ops(other, &silent, &was);
    json_t *q = request("tape-import", THEIRS);
    assert_null(library_call(other, q, &err));
    json_decref(q);
    assert_non_null(strstr(err.text, "whether another library has it cannot be found out now"));
    json_decref(call(other, request("tape-import", OURS)));
    exchange_ops(other, was, &silenced);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void a_takeover_leaves_alone_what_a_neighbour_put_on_the_shelf_and_still_stores(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    move(lib, SLOT, DRIVE);
    write_one(lib, 1);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    set_backoff(lib, THEIRS, UINT64_MAX);
    write_one(lib, 2);
    move(lib, DRIVE, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    await_inventory(lib);
    assert_int_equal(take_over(two), 0);
    set_backoff(lib, THEIRS, 0);
    flush_remote(lib);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void of_a_shared_shelf_a_takeover_claims_what_its_own_library_has_not_given_up(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    create(other, OURS);
    flush_remote(other);
    set_backoff(other, OURS, UINT64_MAX);
    move(other, SLOT, DOOR);
    json_decref(call(other, request("tape-export", OURS)));
    close_library(other);
    assert_int_equal(take_over(two), 1);
    other = open_library(two);
    json_decref(call(other, request("tape-import", OURS)));
    move(other, DOOR, SLOT);
    move(other, SLOT, DOOR);
    json_decref(call(other, request("tape-export", OURS)));
    await_release(other, OURS);
    close_library(other);
    assert_int_equal(take_over(two), 0);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void without_a_neighbour_a_takeover_claims_the_shelf_too(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, OURS);
    create(lib, LATER);
    move(lib, SLOT, DOOR);
    json_decref(call(lib, request("tape-export", OURS)));
    close_library(lib);
    assert_int_equal(take_over(c), 2);
    config_free(c);
}

/* Else the neighbour's cartridge stands in two libraries, and whoever writes to it here takes it from there. */
static void what_only_a_neighbour_knows_comes_into_no_slot(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    create(other, OURS);
    close_library(other);
    create(lib, LATER); /* of which the other has not heard yet */
    await_inventory(lib);
    assert_int_equal(take_over(two), 1);
    other = open_library(two);
    assert_int_equal(place_in(other, OURS), SLOT);
    assert_int_equal(place_in(other, THEIRS), 0);
    assert_int_equal(place_in(other, LATER), 0);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static unsigned heads_asked;

static int count_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                      struct errtext *err)
{
    heads_asked++;
    return usual->head(s, key, size, c, err);
}

/* What else is in the bucket may be any number of things. */
static void libraries_below_are_looked_for_in_so_many_places_only(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct objstore_config here;
    struct objstore *store = NULL;
    struct errtext err = {""};
    char path[200];
    config_store(c, &here);
    assert_int_equal(objstore_open(&here, &store, &err), 0);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof(path), "p%03u/x", i);
        const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
        assert_int_equal(store->ops->put(store, path, &src, NULL, &err), 0);
    }
    struct objstore_ops counting = *store->ops;
    counting.head = count_head;
    store->ops = &counting;
    heads_asked = 0;
    assert_int_equal(library_check_neighbours(&here, store, NULL, &err), 0);
    assert_in_range(heads_asked, 1, 200);
    store->ops->close(store);
    config_free(c);
}

/* ---- inventories that cannot be read ---- */

/* Two libraries with a cartridge each in a slot; the second has also heard of the first one's. The runs that put their
 * inventories. */
static void two_libraries(const struct vtl_config *one, const struct vtl_config *two, uint32_t writers[2])
{
    struct library *lib = new_library(one, THEIRS);
    writers[0] = lib->eng.writer;
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    writers[1] = other->eng.writer;
    create(other, OURS);
    flush_remote(other);
    await_inventory(other);
    close_library(other);
    close_library(lib);
}

static int rebuild_again(const struct vtl_config *c, bool deep, struct errtext *err)
{
    const struct rebuild_options o = {.force = true, .deep = deep, .cancel = &never};
    json_t *r = NULL;
    int rc = library_rebuild(c, &o, &r, err);
    json_decref(r);
    assert_int_equal(atomic_load(&unbidden), 0);
    atomic_store(&gap_is, false);
    return rc;
}

static void expect_places(const struct vtl_config *c, json_int_t ours, json_int_t theirs)
{
    struct library *lib = open_library(c);
    assert_int_equal(place_in(lib, OURS), ours);
    assert_int_equal(place_in(lib, THEIRS), theirs);
    close_library(lib);
}

/* The neighbour's inventory, which can be read, would put its cartridges into this library's slots. */
static void without_its_own_inventory_a_rebuild_changes_nothing(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct errtext err = {""};
    char command[300];
    uint32_t writers[2];
    two_libraries(one, two, writers);
    begin_gap(writers[1]);
    assert_int_equal(rebuild_again(two, false, &err), -EIO);
    assert_non_null(strstr(err.text, "no host has it"));
    (void)snprintf(command, sizeof(command), "test -e %s/two/state.db && ! ls %s/two | grep before", dir, dir);
    assert_int_equal(system(command), 0); /* NOLINT: of a test */
    begin_gap(writers[1]);
    if (rebuild_again(two, true, &err)) /* which is to go on without */
        fail_msg("%s", err.text);
    expect_places(two, 0, 0);
    config_free(one);
    config_free(two);
}

static void a_rebuild_goes_on_without_a_neighbour_s_inventory(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct errtext err = {""};
    uint32_t writers[2];
    two_libraries(one, two, writers);
    struct library *lib = open_library(one); /* of which the second has not heard */
    writers[0] = lib->eng.writer;
    create(lib, LATER);
    flush_remote(lib);
    await_inventory(lib);
    close_library(lib);
    begin_gap(writers[0]);
    if (rebuild_again(two, false, &err))
        fail_msg("%s", err.text);
    expect_places(two, SLOT, 0);
    lib = open_library(two);
    assert_int_equal(place_in(lib, LATER), 0);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void a_damaged_inventory_gives_its_library_no_places_of_a_neighbour(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct errtext err = {""};
    char command[300];
    uint32_t writers[2];
    two_libraries(one, two, writers);
    (void)snprintf(command, sizeof(command), "for f in %s/store/gateways/%08x/inventory/*; do echo damaged >$f; done",
                   dir, writers[1]);
    assert_int_equal(system(command), 0); /* NOLINT: of a test */
    atomic_store(&gap_is, false);
    if (rebuild_again(two, false, &err))
        fail_msg("%s", err.text);
    expect_places(two, 0, 0);
    config_free(one);
    config_free(two);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_a_neighbour_writes_behind_a_head_that_is_known_is_not_to_be_had),
        T(what_a_neighbour_writes_is_neither_removed_nor_changed),
        T(what_a_neighbour_wrote_is_not_to_be_had_while_the_store_does_not_answer),
        T(a_takeover_leaves_alone_what_a_neighbour_put_on_the_shelf_and_still_stores),
        T(of_a_shared_shelf_a_takeover_claims_what_its_own_library_has_not_given_up),
        T(without_a_neighbour_a_takeover_claims_the_shelf_too),
        T(what_only_a_neighbour_knows_comes_into_no_slot),
        T(libraries_below_are_looked_for_in_so_many_places_only),
        T(without_its_own_inventory_a_rebuild_changes_nothing),
        T(a_rebuild_goes_on_without_a_neighbour_s_inventory),
        T(a_damaged_inventory_gives_its_library_no_places_of_a_neighbour),
    };
    return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
