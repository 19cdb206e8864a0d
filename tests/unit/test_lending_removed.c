/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_lending_removed.c: what is left of a removed tape on which others lean. */
#include "tests/unit/lending_rig.h"

/* ---- removed ---- */

static void a_tape_that_leans_on_itself_is_removed_without_a_trace(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    struct seg_source had = source(lib, 1);
    struct cartridge *a = tape(lib, OLD);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 700), TAPE_OK);
    assert_int_equal(cartridge_lend(a, a, &err), 0);
    lock_take(&a->lock);
    assert_int_equal(cartridge_lean(a, &had), 0);
    lock_release(&a->lock);
    assert_int_equal(write_id(library_drive(lib, 0), 701), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", OLD, "force", 1)));
    assert_int_equal(segments_of(OLD), 0);
    close_library(lib);
    config_free(c);
}

/* The one stranger of the bucket, if it is the place of a removed cartridge. New reference; NULL: there is none. */
static json_t *place(struct library *lib, bool tidy)
{
    json_t *r = call(lib, json_pack("{s:s, s:b}", "op", "strangers", "tidy", (int)tidy));
    json_t *s = json_array_get(json_object_get(r, "strangers"), 0), *kept_for = json_object_get(s, "kept_for");
    assert_true(!s || kept_for);
    json_incref(kept_for);
    json_decref(r);
    return kept_for;
}

static void expect_place_for(struct library *lib, const char *barcode)
{
    json_t *p = place(lib, true);
    assert_int_equal(json_array_size(p), 1);
    assert_string_equal(json_string_value(json_array_get(p, 0)), barcode);
    json_decref(p);
}

static void tape_show_says_who_leans_on_whom(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    static const char *const expect[2][3] = {{OLD, "lends_to", NEW}, {NEW, "leans_on", OLD}};
    unload(lib);
    for (int i = 0; i < 2; i++) {
        json_t *r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", expect[i][0]));
        const json_t *one = json_array_get(json_object_get(r, expect[i][1]), 0);
        assert_non_null(one);
        assert_string_equal(json_string_value(json_object_get(one, "barcode")), expect[i][2]);
        assert_int_equal(json_integer_value(json_object_get(one, "segments")), 1);
        assert_int_equal(json_integer_value(json_object_get(one, "bytes")), s.size);
        assert_null(json_object_get(r, expect[!i][1]));
        assert_int_equal(json_integer_value(json_object_get(r, "needed_by_others_bytes")), i ? 0 : s.size);
        assert_int_equal(json_integer_value(json_object_get(r, "freed_by_removal_bytes")),
                         json_integer_value(json_object_get(r, "stored_bytes")) - (json_int_t)(i ? 0 : s.size));
        json_decref(r);
    }
    close_library(lib);
    config_free(c);
}

static void a_removed_tape_leaves_what_is_leaned_on_and_no_more(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct head h;
    unload(lib);
    json_t *told = call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", OLD, "force", 1));
    assert_true(json_integer_value(json_object_get(told, "freed_by_removal_bytes")) > 0);
    assert_int_equal(json_integer_value(json_object_get(told, "needed_by_others_bytes")), s.size);
    assert_int_equal(json_array_size(json_object_get(told, "lends_to")), 1);
    json_decref(told);
    assert_null(library_cartridge(lib, OLD));
    assert_true(is_there(&s));
    assert_int_equal(segments_of(OLD), 1);
    read_head(lib, OLD, &h);
    assert_true(h.removed);
    assert_int_equal(h.n_kept, 1);
    assert_int_equal(h.n_leaners, 1);
    head_free(&h);
    expect_place_for(lib, NEW);
    assert_true(is_there(&s));
    overwrite_leaner(lib);
    json_t *p = place(lib, false);
    assert_int_equal(json_array_size(p), 0);
    json_decref(p);
    assert_true(is_there(&s)); /* that was only a look */
    json_decref(place(lib, true));
    assert_false(is_there(&s));
    assert_null(place(lib, true));
    close_library(lib);
    config_free(c);
}

static void a_tape_on_which_nobody_leans_is_removed_without_a_trace(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    assert_int_equal(lend(lib), 0); /* it might have */
    remove_tape(lib, OLD);
    assert_int_equal(segments_of(OLD), 0);
    assert_null(place(lib, true));
    close_library(lib);
    config_free(c);
}

static void a_rebuild_makes_no_tape_of_a_place_and_keeps_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    remove_tape(lib, OLD);
    close_library(lib);
    rebuild_library(two);
    lib = open_library(two);
    assert_null(library_cartridge(lib, OLD));
    expect_place_for(lib, NEW);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* What was copied out of it is read from a file of its own. A file of which nobody says what it is stays. */
static void what_is_cached_of_a_removed_tape_is_cache_after_a_restart(void **state)
{
    (void)state;
    static const struct seg_id other = {7, 7, 7};
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    const struct seg_ref ref = {.id = s.id, .objects = 1, .size = s.size, .crc = s.crc};
    unload(lib);
    remove_tape(lib, OLD);
    int fd = spool_create(lib->eng.spool, "LEFT01L8", &other);
    assert_int_equal(write(fd, block, 1000), 1000);
    close(fd);
    workers_fetch(lib->eng.workers, tape(lib, NEW), s.barcode, &ref, 0, 0);
    for (uint64_t until = clock_ms() + 20000; !spool_has(lib->eng.spool, OLD, &s.id) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_true(spool_has(lib->eng.spool, OLD, &s.id));
    uint64_t cache = spool_cache_bytes(lib->eng.spool);
    assert_true(cache >= s.size);
    close_library(lib);
    lib = open_library(c);
    assert_int_equal(spool_cache_bytes(lib->eng.spool), cache);
    spool_set_cache_size(lib->eng.spool, 0);
    assert_false(spool_has(lib->eng.spool, OLD, &s.id));
    assert_true(spool_has(lib->eng.spool, "LEFT01L8", &other));
    close_library(lib);
    config_free(c);
}

static void rebuild_deep_by_force(const struct vtl_config *c)
{
    const struct rebuild_options o = {.force = true, .deep = true};
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
}

static void lose(const char *what)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "rm -r %s/store/tapes/" OLD "/%s", dir, what);
    assert_int_equal(system(command), 0);
}

/* Without a head of it nothing tells later what of it is needed. */
static void a_tape_without_heads_is_not_removed_while_others_lean_on_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct errtext err = {""};
    unload(lib);
    close_library(lib);
    lose("head");
    lib = open_library(c);
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", OLD, "force", 1);
    assert_null(library_call(lib, q, &err));
    json_decref(q);
    assert_non_null(strstr(err.text, NEW " leans on segments of it"));
    assert_non_null(library_cartridge(lib, OLD));
    assert_true(is_there(&s));
    close_library(lib);
    rebuild_deep_by_force(c); /* which the error names */
    lib = open_library(c);
    remove_tape(lib, OLD);
    assert_true(is_there(&s));
    expect_place_for(lib, NEW);
    close_library(lib);
    config_free(c);
}

/* Nothing is there to keep. */
static void a_tape_of_which_the_store_has_lost_all_is_removed_although_others_lean_on_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    (void)make_lean(lib, 1);
    unload(lib);
    close_library(lib);
    lose("");
    lib = open_library(c);
    json_t *r = call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", OLD, "force", 1));
    assert_true(json_is_false(json_object_get(r, "kept"))); /* and so nothing is said to stay */
    assert_int_equal(json_integer_value(json_object_get(r, "needed_by_others_bytes")), 0);
    assert_null(json_object_get(r, "lends_to"));
    json_decref(r);
    assert_null(library_cartridge(lib, OLD));
    close_library(lib);
    config_free(c);
}

/* The other library's tape may hold copies that no head of it tells of. */
static void a_removal_counts_as_freed_nothing_that_stays(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    rebuild_library(two);
    struct library *second = open_library(two);
    json_decref(call(second, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", OLD, "force", 1)));
    json_t *show = call(second, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", OLD));
    json_int_t stored = json_integer_value(json_object_get(show, "stored_bytes"));
    json_decref(show);
    json_t *r = call(second, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", OLD, "force", 1));
    assert_true(is_there(&s));
    assert_true(is_there(&other));
    assert_true(stored > 0);
    assert_true(json_is_true(json_object_get(r, "kept")));
    assert_int_equal(json_integer_value(json_object_get(r, "freed_by_removal_bytes")), 0);
    assert_int_equal(json_integer_value(json_object_get(r, "needed_by_others_bytes")), stored);
    json_decref(r);
    unload(lib);
    close_library(second);
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* The leaners were asked, and the segments are about to be deleted: too late for a lean. */
static void nobody_leans_on_a_tape_that_is_being_removed(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    struct kept *kept = NULL;
    struct errtext err = {""};
    workers_forget(lib->eng.workers, tape(lib, OLD));
    if (commit_leave_place(tape(lib, OLD), &kept, NULL, &err))
        fail_msg("%s", err.text);
    kept_free(kept);
    assert_int_equal(lean(lib, &other), -ESTALE);
    assert_true(is_there(&s));
    move(lib, DRIVE, SLOT + 1);
    (void)library_close(lib, &err);
    config_free(c);
}

/* ---- one that could not be removed ---- */

static const struct objstore_ops *obliging;
static atomic_bool refusing_puts; /* since the del of a head was refused */

static int refuse_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *call_,
                      struct errtext *err)
{
    (void)s;
    (void)n;
    (void)call_;
    if (strstr(keys[0], OLD "/head/")) /* and no inventory's */
        atomic_store(&refusing_puts, true);
    return errtext_set(err, -EACCES, "%s: not to be deleted", keys[0]);
}

static int refuse_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *call_,
                      struct errtext *err)
{
    return atomic_load(&refusing_puts) ? errtext_set(err, -EACCES, "%s: not to be put", key)
                                       : obliging->put(s, key, src, call_, err);
}

static void refuse_to_remove(struct library *lib, bool puts_too)
{
    struct objstore_ops refusing = *lib->eng.store->ops;
    struct errtext err = {""};
    struct head h;
    json_t *request = json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", OLD, "force", 1);
    atomic_store(&refusing_puts, false);
    refusing.del = refuse_del;
    if (puts_too)
        refusing.put = refuse_put;
    exchange_ops(lib, &refusing, &obliging);
    assert_null(library_call(lib, request, &err));
    assert_non_null(strstr(err.text, "not to be deleted"));
    json_decref(request);
    assert_non_null(library_cartridge(lib, OLD));
    if (!puts_too)
        return;
    read_head(lib, OLD, &h);
    assert_true(h.removed);
    head_free(&h);
}

/* The report of a rebuild into another state; a new reference. */
static json_t *rebuilt(const struct vtl_config *c, bool dry_run)
{
    const struct rebuild_options o = {.dry_run = dry_run};
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    return r;
}

static void expect_whole_after_rebuild(const struct vtl_config *c)
{
    json_t *r = rebuilt(c, false), *one;
    json_int_t objects = 0;
    size_t i;
    json_array_foreach(json_object_get(r, "cartridges"), i,
                       one) if (!strcmp(json_string_value(json_object_get(one, "barcode")), OLD)) objects =
        json_integer_value(json_object_get(one, "objects"));
    assert_int_equal(objects, BLOCKS);
    assert_int_equal(json_array_size(json_object_get(r, "vanished")), 0);
    json_decref(r);
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    for (uint64_t i_ = 1; i_ <= BLOCKS; i_++)
        expect_id(library_drive(lib, 0), i_);
    move(lib, DRIVE, SLOT);
    close_library(lib);
}

static void a_tape_that_could_not_be_removed_is_in_the_bucket_again(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    const struct objstore_ops *refusing;
    (void)make_lean(lib, 1);
    unload(lib);
    refuse_to_remove(lib, false);
    exchange_ops(lib, obliging, &refusing);
    flush_remote(lib);
    close_library(lib);
    expect_whole_after_rebuild(two);
    config_free(two);
    config_free(c);
}

/* The store is out of reach as soon as the head is put that keeps the place, and the process ends. */
static void a_removal_that_a_crash_ended_is_taken_back_by_the_next_run(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    (void)make_lean(lib, 1);
    unload(lib);
    await_inventory(lib);
    refuse_to_remove(lib, true);
    (void)library_close(lib, &err);
    json_t *r = rebuilt(two, true), *gone = json_object_get(r, "vanished");
    assert_int_equal(json_array_size(gone), 1);
    assert_non_null(strstr(json_string_value(json_object_get(json_array_get(gone, 0), "error")),
                           OLD ": the newest inventory names it, but its newest head in the bucket says that it was "
                               "removed"));
    json_decref(r);
    lib = open_library(c);
    (void)gc_of(lib, OLD);
    close_library(lib);
    expect_whole_after_rebuild(two);
    config_free(two);
    config_free(c);
}

#define THIRD "THIRD1L8"

/* The first tape leans on a third one. */
static struct seg_source lean_on_third(struct library *lib)
{
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", THIRD, "capacity", 0)));
    write_blocks(lib, SLOT + 2, 5000, BLOCKS);
    struct seg_source s = source_of(lib, THIRD, 1);
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 600), TAPE_OK);
    assert_int_equal(lend_to(lib, THIRD, OLD), 0);
    assert_int_equal(lean_of(lib, OLD, &s), 0);
    assert_int_equal(write_id(library_drive(lib, 0), 601), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    return s;
}

/* What it leans on belongs to another library, which sees only that its last head says that it was removed. */
static void a_tape_that_could_not_be_removed_keeps_what_it_leans_on(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    struct seg_source s = lean_on_third(lib), other = source_of(lib, THIRD, 0);
    (void)make_lean(lib, 1);
    unload(lib);
    await_inventory(lib);
    rebuild_library(two);
    struct library *second = open_library(two);
    json_decref(call(second, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", THIRD, "force", 1)));
    refuse_to_remove(lib, true);
    (void)library_close(lib, &err);
    write_blocks(second, SLOT + 2, 6000, 2);
    (void)gc_of(second, THIRD);
    assert_true(is_there(&s));
    assert_true(is_there(&other)); /* nobody can say */
    lib = open_library(c);
    (void)gc_of(lib, OLD);
    flush_remote(lib);
    close_library(lib);
    (void)gc_of(second, THIRD);
    assert_true(is_there(&s));
    assert_false(is_there(&other));
    close_library(second);
    config_free(two);
    config_free(c);
}

/* Nobody else needs anything of it, and another library tidies up. */
static void the_place_of_a_tape_that_could_not_be_removed_is_not_cleaned(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M"),
                      *three = config("three", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    await_inventory(lib);
    unsigned segments = segments_of(OLD);
    refuse_to_remove(lib, true);
    (void)library_close(lib, &err);
    json_decref(rebuilt(two, false));
    struct library *second = open_library(two);
    assert_null(library_cartridge(second, OLD));
    overwrite_leaner(second);
    json_decref(place(second, true));
    assert_true(is_there(&s));
    assert_int_equal(segments_of(OLD), segments);
    close_library(second);
    lib = open_library(c);
    (void)gc_of(lib, OLD);
    close_library(lib);
    expect_whole_after_rebuild(three);
    config_free(three);
    config_free(two);
    config_free(c);
}

/* Of a state that was not told: the claim finds that the head is of this tape. */
static void a_place_of_this_very_tape_is_not_begun_anew(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    (void)make_lean(lib, 1);
    unload(lib);
    refuse_to_remove(lib, true);
    struct cartridge *old = tape(lib, OLD);
    lock_take(&old->lock);
    old->row.dirty = false;
    assert_int_equal(db_cartridge_update(lib->eng.db, &old->row), 0);
    lock_release(&old->lock);
    (void)library_close(lib, &err);
    lib = open_library(c);
    (void)gc_of(lib, OLD);
    flush_remote(lib);
    close_library(lib);
    expect_whole_after_rebuild(two);
    config_free(two);
    config_free(c);
}

/* What was kept is garbage of the new one, which stays while it is needed. */
static void a_new_tape_at_such_a_place_goes_on_from_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct head was, is;
    unload(lib);
    remove_tape(lib, OLD);
    read_head(lib, OLD, &was);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", OLD, "capacity", 0)));
    read_head(lib, OLD, &is);
    assert_true(is.id.epoch > was.id.epoch);
    assert_false(is.removed);
    assert_int_equal(is.n_leaners, 1);
    assert_int_not_equal(memcmp(is.cartridge, was.cartridge, 16), 0);
    head_free(&was);
    head_free(&is);
    write_blocks(lib, SLOT, 3000, 3);
    assert_int_equal(gc_of(lib, OLD), 0);
    assert_true(is_there(&s));
    overwrite_leaner(lib);
    (void)gc_of(lib, OLD);
    assert_false(is_there(&s));
    close_library(lib);
    config_free(c);
}

/* The state takes the row, and what was kept, or neither: a row alone would be a cartridge that memory does not have. */
static void a_new_tape_there_of_which_the_state_takes_only_a_part_is_not_made(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    (void)make_lean(lib, 1);
    unload(lib);
    remove_tape(lib, OLD);
    state_refuses("one", "INSERT", "garbage");
    json_t *q = json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", OLD);
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, STATE_ERROR));
    state_works("one");
    json_decref(call(lib, q));
    assert_non_null(library_cartridge(lib, OLD));
    close_library(lib);
    config_free(c);
}

static atomic_bool only_claims;
static int put_claim_only(struct objstore *s, const char *key, const struct obj_source *src,
                          const struct obj_call *call_, struct errtext *err)
{
    bool head = strstr(key, "/" OLD "/head/") != NULL, is_claim = !strcmp(key + strlen(key) - 10, "0000000000");
    if (head && !is_claim && atomic_load(&only_claims))
        return errtext_set(err, -EIO, "put %s: the test wants it", key);
    return obliging->put(s, key, src, call_, err);
}

/* The place's last head is of this very run, as the new one's claim is: it is what tells a later run who leans. */
static void a_new_tape_there_that_cannot_be_made_takes_nothing_from_the_leaners(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct errtext err = {""};
    struct head h;
    unload(lib);
    remove_tape(lib, OLD);
    struct objstore_ops ops = *lib->eng.store->ops;
    ops.put = put_claim_only;
    atomic_store(&only_claims, true);
    exchange_ops(lib, &ops, &obliging);
    json_t *q = json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", OLD);
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, "; " OLD " stays in the library: others lean on what was there before"));
    json_decref(q);
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 1);
    head_free(&h);
    atomic_store(&only_claims, false);
    flush_remote(lib);
    read_head(lib, OLD, &h);
    assert_false(h.removed);
    assert_int_equal(h.n_leaners, 1);
    head_free(&h);
    assert_int_equal(gc_of(lib, OLD), 0);
    assert_true(is_there(&s));
    overwrite_leaner(lib);
    (void)gc_of(lib, OLD);
    assert_false(is_there(&s));
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_tape_that_leans_on_itself_is_removed_without_a_trace),
        T(tape_show_says_who_leans_on_whom),
        T(a_removed_tape_leaves_what_is_leaned_on_and_no_more),
        T(a_tape_on_which_nobody_leans_is_removed_without_a_trace),
        T(a_rebuild_makes_no_tape_of_a_place_and_keeps_it),
        T(a_tape_that_could_not_be_removed_is_in_the_bucket_again),
        T(a_removal_that_a_crash_ended_is_taken_back_by_the_next_run),
        T(a_tape_that_could_not_be_removed_keeps_what_it_leans_on),
        T(the_place_of_a_tape_that_could_not_be_removed_is_not_cleaned),
        T(a_place_of_this_very_tape_is_not_begun_anew),
        T(a_new_tape_at_such_a_place_goes_on_from_it),
        T(a_new_tape_there_of_which_the_state_takes_only_a_part_is_not_made),
        T(a_new_tape_there_that_cannot_be_made_takes_nothing_from_the_leaners),
        T(what_is_cached_of_a_removed_tape_is_cache_after_a_restart),
        T(a_removal_counts_as_freed_nothing_that_stays),
        T(nobody_leans_on_a_tape_that_is_being_removed),
        T(a_tape_without_heads_is_not_removed_while_others_lean_on_it),
        T(a_tape_of_which_the_store_has_lost_all_is_removed_although_others_lean_on_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
