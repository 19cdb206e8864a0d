/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_lending_apart.c: which tapes share nothing: by their setting, as another library has them, by another key. */
#include "tests/lib/chunked.h"
#include "tests/unit/lending_rig.h"

#include "vtl/drive/drive_private.h"
#include "vtl/state/chunk_index.h"

enum { CHUNKED = 60 };

static void write_chunked(struct library *lib, uint16_t slot)
{
    move(lib, slot, DRIVE);
    for (uint64_t i = 0; i < CHUNKED; i++) {
        uint64_t id = (i + 1) << 56 | i; /* each with a chunk of its own */
        chunked_fill(id, block);
        assert_int_equal(
            library_drive_ops()->write(library_drive(lib, 0), block, chunked_length(id), true, NULL, &never), TAPE_OK);
    }
    move(lib, DRIVE, slot);
    flush_remote(lib);
}

static void expect_sharing(struct library *lib, const char *barcode, bool dedups, const char *leans_on)
{
    json_t *r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode));
    const json_t *on = json_object_get(r, "leans_on");
    assert_int_equal(json_is_true(json_object_get(r, "dedup")), dedups);
    assert_int_equal(json_array_size(on), leans_on != NULL);
    if (leans_on)
        assert_string_equal(json_string_value(json_object_get(json_array_get(on, 0), "barcode")), leans_on);
    json_decref(r);
}

static void a_tape_made_to_share_nothing_copies_from_none_and_none_from_it(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = new_library(c, "ALONE1L8");
    remove_tape(lib, "ALONE1L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i, s:b}", "op", "tape-create", "barcodes", "ALONE1L8", "capacity",
                                    0, "no_dedup", 1)));
    json_decref(call(lib, json_pack("{s:s, s:[s,s], s:i}", "op", "tape-create", "barcodes", OLD, NEW, "capacity", 0)));
    write_chunked(lib, SLOT);
    write_chunked(lib, SLOT + 1);
    expect_sharing(lib, OLD, true, NULL); /* the same was on the one that is alone, and on no other */
    write_chunked(lib, SLOT + 2);
    expect_sharing(lib, NEW, true, OLD);
    write_chunked(lib, SLOT);
    expect_sharing(lib, "ALONE1L8", false, NULL);
    close_library(lib);
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    expect_sharing(lib, "ALONE1L8", false, NULL);
    expect_sharing(lib, NEW, true, OLD);
    close_library(lib);
    config_free(c);
}

static void who_leans_on_an_object_already_is_not_one_more(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\nsets = 1\n");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "THIRD1L8", "capacity", 0)));
    assert_true(library_may_copy(lib, tape(lib, NEW), &s));
    assert_false(library_may_copy(lib, tape(lib, "THIRD1L8"), &s));
    unload(lib);
    close_library(lib);
    config_free(c);
}

/* What verify says of a tape: nothing of it can be read back. */
static json_t *all_lost(struct library *lib, const char *barcode)
{
    struct cartridge *c = tape(lib, barcode);
    json_t *keys = json_array();
    struct seg_ref ref;
    char id[33], key[DB_KEY_SIZE];
    for (int i = 0; i < 16; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", cartridge_id(c)[i]);
    for (size_t i = 0; cartridge_segment(c, i, &ref); i++) {
        object_key(key, barcode, "seg", &ref.id);
        json_array_append_new(keys, json_string(key));
    }
    assert_true(json_array_size(keys) > 0);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:o}", "op", "tape-verified", "barcode", barcode, "cartridge", id,
                     "objects", 1, "lost", 1, "from", 1, "keys", keys);
}

static struct library *three_tapes(struct vtl_config *c)
{
    struct library *lib = new_library(c, OLD);
    json_decref(
        call(lib, json_pack("{s:s, s:[s, s], s:i}", "op", "tape-create", "barcodes", NEW, "THIRD1L8", "capacity", 0)));
    write_chunked(lib, SLOT);
    write_chunked(lib, SLOT + 1);
    expect_sharing(lib, NEW, true, OLD);
    return lib;
}

/* It counts as whole then, and somebody leans on what it had. */
static void a_damaged_tape_that_is_written_over_lends_nothing_of_that(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = three_tapes(c);
    json_decref(call(lib, all_lost(lib, OLD)));
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    write_chunked(lib, SLOT + 2);
    expect_sharing(lib, "THIRD1L8", true, NULL);
    close_library(lib);
    config_free(c);
}

/* That of which somebody else's verify says that it is bad, as no head names it any more. */
static json_t *as_sources(struct library *lib, const char *barcode)
{
    json_t *lost = all_lost(lib, barcode), *sources = json_array(), *key;
    size_t i;
    json_array_foreach(json_object_get(lost, "keys"), i, key)
        json_array_append_new(sources, json_pack("{s:O, s:s, s:O}", "key", key, "barcode", barcode, "cartridge",
                                                 json_object_get(lost, "cartridge")));
    json_decref(lost);
    return sources;
}

/* What no head names is found damaged by who copies from it. */
static void what_another_tape_s_verify_finds_damaged_is_lent_no_more(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = three_tapes(c);
    json_t *sources = as_sources(lib, OLD), *found;
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    write_chunked(lib, SLOT + 2);
    expect_sharing(lib, "THIRD1L8", true, OLD); /* it is as good as any, until then */
    found = all_lost(lib, NEW);
    json_object_set_new(found, "keys", json_array());
    json_object_set_new(found, "sources", sources);
    json_t *r = call(lib, found);
    const json_t *hurt = json_object_get(r, "hurt");
    assert_int_equal(json_array_size(hurt), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(hurt, 0), "barcode")), "THIRD1L8");
    assert_string_equal(json_string_value(json_object_get(json_array_get(hurt, 0), "of")), OLD);
    json_decref(r);
    close_library(lib);
    lib = open_library(c);
    write_chunked(lib, SLOT + 2);
    (void)gc_of(lib, "THIRD1L8"); /* what it was leans no more */
    expect_sharing(lib, "THIRD1L8", true, NULL);
    close_library(lib);
    config_free(c);
}

/* It counts as whole as soon as it is written over, and its rows are there until that is synced. */
static void a_damaged_tape_copies_nothing_of_what_it_had(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = new_library(c, OLD);
    write_chunked(lib, SLOT);
    write_chunked(lib, SLOT);
    expect_sharing(lib, OLD, true, OLD); /* else it may */
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    write_chunked(lib, SLOT);
    expect_sharing(lib, OLD, true, NULL);
    json_decref(call(lib, all_lost(lib, OLD)));
    write_chunked(lib, SLOT);
    expect_sharing(lib, OLD, true, NULL);
    close_library(lib);
    config_free(c);
}

static void await_listing(struct library *lib)
{
    pthread_join(lib->chunks_thread, NULL);
    lib->chunks_run = false;
}

/* What verify told is lost with the state, but for what is in the tape's head. */
static void of_a_damaged_tape_no_chunk_is_listed_anew(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = three_tapes(c);
    char path[100];
    json_decref(call(lib, all_lost(lib, OLD)));
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(c);
    lib = open_library(c);
    await_listing(lib);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    write_chunked(lib, SLOT + 2);
    expect_sharing(lib, "THIRD1L8", true, NULL);
    close_library(lib);
    config_free(c);
}

static uint64_t listed(struct library *lib)
{
    struct chunk_index_figures f;
    chunk_index_figures(lib->eng.chunks, &f);
    return f.segments;
}

/* Then nobody says it to the index. */
static void what_goes_while_dedup_is_off_leaves_the_index_later(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n"),
                      *off = config("one", "remote", "16M");
    struct library *lib = new_library(c, OLD);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", NEW, "capacity", 0)));
    write_chunked(lib, SLOT);
    uint64_t n = listed(lib);
    assert_true(n > 1);
    chunked_fill(UINT64_C(1) << 63, block);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(
        library_drive_ops()->write(library_drive(lib, 0), block, chunked_length(UINT64_C(1) << 63), true, NULL, &never),
        TAPE_OK);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
    assert_int_equal(listed(lib), n + 1);
    close_library(lib);
    lib = open_library(off);
    remove_tape(lib, OLD);
    close_library(lib);
    lib = open_library(c);
    await_listing(lib);
    assert_int_equal(listed(lib), 1);
    close_library(lib);
    config_free(off);
    config_free(c);
}

static const struct objstore_ops *real;

static int no_segment_is_put(struct objstore *s, const char *key, const struct obj_source *src,
                             const struct obj_call *c, struct errtext *err)
{
    return strstr(key, "/seg/") ? errtext_set(err, -EIO, "%s: SlowDown", key) : real->put(s, key, src, c, err);
}

/* No object of it goes, as there was none: and nothing else says it to the index. */
static void what_is_written_over_before_it_is_stored_leaves_the_index(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "local", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = with_tape(c, OLD);
    struct objstore_ops failing = *lib->eng.store->ops;
    failing.put = no_segment_is_put;
    exchange_ops(lib, &failing, &real);
    for (uint64_t i = 0; i < CHUNKED; i++) {
        uint64_t id = (i + 1) << 56 | i;
        chunked_fill(id, block);
        assert_int_equal(
            library_drive_ops()->write(library_drive(lib, 0), block, chunked_length(id), true, NULL, &never), TAPE_OK);
    }
    assert_true(sync_is_good(library_drive(lib, 0)));
    assert_true(listed(lib) > 0);
    assert_int_equal(library_drive_ops()->locate_object(library_drive(lib, 0), 0, 0, &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    assert_true(sync_is_good(library_drive(lib, 0)));
    for (uint64_t until = clock_ms() + 20000; listed(lib) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 20);
    assert_int_equal(listed(lib), 0);
    exchange_ops(lib, real, &(const struct objstore_ops *){NULL});
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
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

/* A neighbour's state knows the cartridges of both libraries. */
static void a_neighbour_s_tape_is_not_claimed_to_copy_from_it(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "local", "16M", "[dedup]\ntapes = *\n"),
                      *two = config_more("two", "local", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = new_library(c, OLD);
    write_chunked(lib, SLOT);
    rebuild_on_shelf(two);
    struct library *neighbour = open_library(two);
    json_decref(call(neighbour, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", NEW, "capacity", 0)));
    await_listing(neighbour); /* what is stored already is known */
    write_chunked(neighbour, SLOT);
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->locate_object(library_drive(lib, 0), 0, CHUNKED, &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(neighbour);
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* That there is a neighbour is found out a while after the start. */
static void what_was_given_up_is_not_claimed_to_copy_from_it(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "local", "16M", "[dedup]\ntapes = *\n"),
                      *two = config_more("two", "local", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = new_library(c, OLD);
    struct head h;
    write_chunked(lib, SLOT);
    flush_remote(lib);
    rebuild_on_shelf(two);
    struct library *neighbour = open_library(two);
    for (uint64_t until = clock_ms() + 20000; !inventory_is_stored(neighbour) && clock_ms() < until;)
        progress_wait(&neighbour->eng.progress, progress_now(&neighbour->eng.progress), 100);
    move(lib, SLOT, ELEMENT_FIRST_IMPORT_EXPORT);
    json_decref(call(lib, json_pack("{s:s, s:[s]}", "op", "tape-export", "barcodes", OLD)));
    for (uint64_t until = clock_ms() + 20000; !(read_head(lib, OLD, &h), h.released) && clock_ms() < until;) {
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
        head_free(&h);
    }
    struct seg_id given_up = h.id;
    assert_true(h.released);
    head_free(&h);
    close_library(neighbour);
    atomic_store(&lib->shared, false);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", NEW, "capacity", 0)));
    write_chunked(lib, SLOT);
    flush_remote(lib);
    read_head(lib, OLD, &h);
    assert_int_equal(seg_id_compare(&h.id, &given_up), 0);
    head_free(&h);
    close_library(lib);
    config_free(two);
    config_free(c);
}

static void write_with(struct library *lib, uint64_t id, const struct tape_crypt *crypt)
{
    chunked_fill(id, block);
    assert_int_equal(library_drive_ops()->write(library_drive(lib, 0), block, chunked_length(id), true, crypt, &never),
                     TAPE_OK);
}

static void expect_with(struct library *lib, uint64_t id, const struct tape_crypt *crypt)
{
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->read(library_drive(lib, 0), back, &len, crypt, &never), TAPE_OK);
    chunked_fill(id, block);
    assert_int_equal(len, chunked_length(id));
    assert_memory_equal(back, block, len);
}

/* Nobody tells a drive that the host has changed the key: nor that nothing is encrypted any more. */
static void with_another_key_nothing_is_copied_though_nothing_waits_when_it_comes(void **state)
{
    (void)state;
    uint8_t keys[2][TAPE_KEY_SIZE] = {{1}, {2}};
    const struct tape_crypt first = {.key = keys[0], .encrypt = true, .decrypt = true},
                            second = {.key = keys[1], .encrypt = true, .decrypt = true}, none = {.key = NULL};
    const struct tape_crypt *const then[] = {&second, &none};
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = new_library(c, OLD);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", NEW, "capacity", 0)));
    move(lib, SLOT, DRIVE);
    for (uint64_t i = 1; i <= CHUNKED; i++)
        write_with(lib, i << 56, &first);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    for (uint64_t k = 0; k < 2; k++) {
        const struct drive *d = library_drive(lib, 0);
        move(lib, SLOT + 1, DRIVE);
        write_with(lib, (200 + k) << 56, &first);
        write_with(lib, (210 + k) << 56, &first);
        for (uint64_t until = clock_ms() + 20000; behind_bytes(d->behind) && clock_ms() < until;)
            progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 20);
        assert_int_equal(behind_bytes(d->behind), 0);
        for (uint64_t i = 1; i <= CHUNKED; i++)
            write_with(lib, i << 56, then[k]);
        assert_int_equal(library_drive_ops()->rewind(library_drive(lib, 0), &never), TAPE_OK);
        expect_with(lib, (200 + k) << 56, &first);
        expect_with(lib, (210 + k) << 56, &first);
        for (uint64_t i = 1; i <= CHUNKED; i++)
            expect_with(lib, i << 56, then[k]);
        move(lib, DRIVE, SLOT + 1);
        flush_remote(lib);
        expect_sharing(lib, NEW, true, NULL);
    }
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_tape_made_to_share_nothing_copies_from_none_and_none_from_it),
        T(who_leans_on_an_object_already_is_not_one_more),
        T(a_damaged_tape_that_is_written_over_lends_nothing_of_that),
        T(what_another_tape_s_verify_finds_damaged_is_lent_no_more),
        T(a_damaged_tape_copies_nothing_of_what_it_had),
        T(of_a_damaged_tape_no_chunk_is_listed_anew),
        T(what_goes_while_dedup_is_off_leaves_the_index_later),
        T(what_is_written_over_before_it_is_stored_leaves_the_index),
        T(a_neighbour_s_tape_is_not_claimed_to_copy_from_it),
        T(what_was_given_up_is_not_claimed_to_copy_from_it),
        T(with_another_key_nothing_is_copied_though_nothing_waits_when_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
