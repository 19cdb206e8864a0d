/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_lending_keeps.c: of a tape that others lean on nothing goes that somebody needs. */
#include "tests/unit/lending_rig.h"

#include "vtl/cartridge/commit_private.h"
#include "vtl/scrub/verify.h"

/* ---- in this library ---- */

static void an_overwrite_leaves_what_is_leaned_on(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    unload(lib);
    write_blocks(lib, SLOT, 1000, 2); /* over all of it */
    assert_int_equal(gc_of(lib, OLD), 0);
    assert_true(is_there(&s));
    assert_false(is_there(&other));
    assert_int_equal(segments_of(OLD), 2);
    overwrite_leaner(lib);
    assert_int_equal(segments_of(NEW), 1);
    (void)gc_of(lib, OLD);
    assert_false(is_there(&s));
    assert_int_equal(segments_of(OLD), 1);
    close_library(lib);
    config_free(c);
}

/* Written over, it copies out of what it had; that stays as long as it is needed, for itself and after a rebuild, and is none of
 * a tape that is removed. */
static void a_tape_leans_on_what_it_had_before_it_was_written_over(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    struct seg_source had = source(lib, 1), other = source(lib, 0);
    struct cartridge *a = tape(lib, OLD);
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 600), TAPE_OK);
    assert_int_equal(cartridge_lend(a, a, &err), 0);
    lock_take(&a->lock);
    assert_int_equal(cartridge_lean(a, &had), -ESTALE); /* never on what it holds */
    lock_release(&a->lock);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    move(lib, SLOT, DRIVE);
    assert_true(cartridge_holds(a, &had.id));
    assert_int_equal(write_id(library_drive(lib, 0), 700), TAPE_OK); /* over all of it */
    assert_false(cartridge_holds(a, &had.id));
    assert_int_equal(cartridge_lend(a, a, &err), 0);
    lock_take(&a->lock);
    assert_int_equal(cartridge_lean(a, &had), 0);
    lock_release(&a->lock);
    assert_int_equal(write_id(library_drive(lib, 0), 701), TAPE_OK);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    (void)gc_of(lib, OLD);
    assert_true(is_there(&had));
    assert_false(is_there(&other));
    close_library(lib);
    struct vtl_config *two = config("two", "remote", "16M"); /* with nothing but the bucket */
    rebuild_library(two);
    lib = open_library(two);
    (void)gc_of(lib, OLD);
    assert_true(is_there(&had));
    write_blocks(lib, SLOT, 800, 2); /* over that, too */
    (void)gc_of(lib, OLD);
    (void)gc_of(lib, OLD);
    assert_false(is_there(&had));
    close_library(lib);
    config_free(two);
    config_free(c);
}

#define THIRD "THIRD1L8"

/* Written over, and what it had stays for the third: that leans on what is in it, and on nothing that it copied itself. */
static void what_stays_for_others_keeps_nothing_itself(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    struct seg_source middle = source_of(lib, NEW, 0);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", THIRD, "capacity", 0)));
    move(lib, SLOT + 2, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 600), TAPE_OK);
    assert_int_equal(lend_to(lib, NEW, THIRD), 0);
    assert_int_equal(lean_of(lib, THIRD, &middle), 0);
    assert_int_equal(write_id(library_drive(lib, 0), 601), TAPE_OK);
    move(lib, DRIVE, SLOT + 2);
    flush_remote(lib);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    assert_true(is_there(&s)); /* for the second */
    overwrite_leaner(lib);
    assert_true(is_there(&middle)); /* for the third */
    json_t *show = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", NEW));
    assert_null(json_object_get(show, "leans_on"));
    json_decref(show);
    (void)gc_of(lib, OLD);
    assert_false(is_there(&s));
    assert_true(is_there(&middle));
    write_blocks(lib, SLOT + 2, 3000, 2);
    (void)gc_of(lib, THIRD);
    (void)gc_of(lib, NEW);
    assert_false(is_there(&middle));
    close_library(lib);
    config_free(c);
}

/* The second tape over what it has, of which it copies out of its first segment. */
static struct seg_source write_over_copying(struct library *lib, uint64_t id)
{
    struct errtext err = {""};
    struct seg_source had = source_of(lib, NEW, 0);
    struct cartridge *b = tape(lib, NEW);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), id), TAPE_OK);
    assert_int_equal(cartridge_lend(b, b, &err), 0);
    assert_int_equal(lean(lib, &had), 0);
    assert_int_equal(write_id(library_drive(lib, 0), id + 1), TAPE_OK);
    unload(lib);
    (void)gc_of(lib, NEW);
    return had;
}

static void a_tape_that_is_written_over_again_and_again_keeps_what_the_last_one_leans_on(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    write_blocks(lib, SLOT + 1, 500, 2);
    for (unsigned i = 0; i < 5; i++) {
        struct seg_source had = write_over_copying(lib, 510 + i * 10);
        (void)gc_of(lib, NEW); /* what the garbage leaned on */
        assert_true(is_there(&had));
        assert_int_equal(segments_of(NEW), 2);
    }
    close_library(lib);
    config_free(c);
}

static void who_leans_no_more_is_not_listed_in_the_next_head(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct head h;
    (void)make_lean(lib, 1);
    unload(lib);
    overwrite_leaner(lib);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    write_blocks(lib, SLOT, 1100, 2);
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 0);
    head_free(&h);
    close_library(lib);
    config_free(c);
}

/* The store, which does something when it is asked for the heads of the second tape. */
static const struct objstore_ops *usual_ops;

static struct library *asked_library;
static struct seg_source asked_source;
static atomic_bool asked;
static atomic_int asked_leans;

static int list_asked(struct objstore *store, const char *prefix, const char *after, bool dirs, obj_list_fn fn,
                      void *arg, const struct obj_call *call_, struct errtext *err)
{
    if (!strcmp(prefix, "tapes/" NEW "/head/") && !atomic_exchange(&asked, true))
        atomic_store(&asked_leans, lean(asked_library, &asked_source));
    return usual_ops->list(store, prefix, after, dirs, fn, arg, call_, err);
}

static void who_comes_to_lean_while_the_store_is_asked_stays_listed(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct head h;
    atomic_store(&asked, true); /* not yet */
    struct objstore_ops asked_ops = *lib->eng.store->ops;
    asked_ops.list = list_asked;
    exchange_ops(lib, &asked_ops, &usual_ops);
    asked_source = source(lib, 0);
    asked_library = lib;
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    assert_int_equal(lend(lib), 0);
    assert_int_equal(write_id(library_drive(lib, 0), 501), TAPE_OK);
    move(lib, SLOT, DRIVE + 1);
    void *d = library_drive(lib, 1);
    assert_int_equal(library_drive_ops()->locate_object(d, 0, BLOCKS - 5, &never), TAPE_OK);
    atomic_store(&asked, false);
    assert_int_equal(write_id(d, 700), TAPE_OK); /* what it cuts off is garbage */
    for (unsigned i = 0; i < 2; i++) {           /* the second one's head knows what the first one found */
        assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
        for (uint64_t until = clock_ms() + 20000; !atomic_load(&asked) && clock_ms() < until;)
            progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 20);
        assert_true(atomic_load(&asked));
        assert_int_equal(atomic_load(&asked_leans), 0);
        (void)gc_of(lib, OLD);
    }
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 1);
    assert_string_equal(h.leaners[0].barcode, NEW);
    head_free(&h);
    move(lib, DRIVE + 1, SLOT);
    unload(lib);
    assert_true(is_there(&asked_source));
    close_library(lib);
    config_free(c);
}

/* A rebuild takes it from the heads, and so do gc and sweep there. */
static void a_rebuilt_state_knows_what_leans(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD); /* nothing of it is left to do */
    close_library(lib);
    rebuild_library(two);
    lib = open_library(two);
    assert_int_equal(gc_of(lib, OLD), 0);
    assert_int_equal(gc_of(lib, NEW), 0);
    write_blocks(lib, SLOT, 1200, 2);
    assert_int_equal(gc_of(lib, OLD), 0);
    assert_true(is_there(&s));
    overwrite_leaner(lib);
    (void)gc_of(lib, OLD);
    assert_false(is_there(&s));
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* One bad object costs more than its own tape. */
static void verify_s_result_names_each_tape_that_a_bad_object_hurts(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    char key[2][DB_KEY_SIZE];
    unload(lib);
    object_key(key[0], OLD, "seg", &s.id);
    object_key(key[1], OLD, "seg", &other.id);
    for (int i = 0; i < 2; i++) {
        json_t *r =
            call(lib, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:[s]}", "op", "tape-verified", "barcode", OLD,
                                "cartridge", "of another", "objects", 30, "lost", 1, "from", 3, "keys", key[i]));
        const json_t *hurt = json_object_get(r, "hurt");
        assert_int_equal(json_array_size(hurt), i ? 0 : 1);
        if (!i) {
            assert_string_equal(json_string_value(json_object_get(json_array_get(hurt, 0), "barcode")), NEW);
            assert_string_equal(json_string_value(json_object_get(json_array_get(hurt, 0), "of")), OLD);
        }
        json_decref(r);
    }
    close_library(lib);
    config_free(c);
}

static struct seg_source bad_source; /* as the last verify told */

static void hear(void *arg, const struct verify_problem *p)
{
    (void)arg;
    bad_source = p->source ? *p->source : (struct seg_source){.size = 0};
}

static uint64_t problems_of(struct library *lib, const char *barcode)
{
    const struct verify_options o = {.parallel = 2, .problem = hear};
    struct verify_result r;
    struct errtext err = {""};
    if (verify_cartridge(lib->eng.store, barcode, &o, &r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(r.lost_objects != 0, r.problems != 0);
    return r.problems;
}

/* The tape that it is of is verified without it. */
static void what_no_head_names_is_verified_with_the_tape_that_copies_from_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    char key[DB_KEY_SIZE], path[300];
    unload(lib);
    assert_int_equal(problems_of(lib, NEW), 0);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    assert_int_equal(problems_of(lib, OLD), 0);
    assert_int_equal(problems_of(lib, NEW), 0);
    object_key(key, OLD, "seg", &s.id);
    (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)s.size / 2, SEEK_SET), 0);
    int was = fgetc(f);
    assert_int_equal(fseek(f, (long)s.size / 2, SEEK_SET), 0);
    assert_int_equal(fputc(was ^ 1, f), was ^ 1);
    fclose(f);
    assert_int_equal(problems_of(lib, OLD), 0);
    assert_int_equal(problems_of(lib, NEW), 1);
    assert_true(seg_source_same(&bad_source, &s));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(problems_of(lib, NEW), 1);
    assert_true(seg_source_same(&bad_source, &s));
    close_library(lib);
    config_free(c);
}

/* Given up and taken back, its heads count from 1 again. */
static void who_took_its_tape_back_is_listed_anew(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    (void)make_lean(lib, 1);
    unload(lib);
    struct cartridge *b = tape(lib, NEW);
    lock_take(&b->lock);
    uint64_t rested = b->rested;
    lock_release(&b->lock);
    assert_true(rested > 1);
    while (!cartridge_take_heads(b)) /* a worker is about them */
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 20);
    cartridge_disown(b);
    int rc = commit_claim(b, NULL, &err);
    cartridge_give_heads(b);
    assert_int_equal(rc, 0);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 502), TAPE_OK);
    assert_int_equal(lend(lib), 0);
    unload(lib);
    close_library(lib);
    config_free(c);
}

static bool wants_release(struct cartridge *c)
{
    lock_take(&c->lock);
    bool wants = c->release;
    lock_release(&c->lock);
    return wants;
}

static bool is_loaded(struct cartridge *c)
{
    lock_take(&c->lock);
    bool loaded = c->loaded;
    lock_release(&c->lock);
    return loaded;
}

/* Found by one look at the bucket, and needed then: it is looked at again without anybody asking. */
static void what_others_need_when_it_is_found_goes_when_they_need_it_no_more(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD); /* what nobody needs is gone */
    close_library(lib);
    rebuild_library(two);
    lib = open_library(two);
    write_blocks(lib, SLOT, 1200, 2);     /* so it is this gateway's */
    assert_int_equal(gc_of(lib, OLD), 0); /* it is not told as deleted */
    assert_true(is_there(&s));
    overwrite_leaner(lib);
    close_library(lib);
    lib = open_library(two);
    cartridge_poke(tape(lib, OLD));
    await_end_of(lib, is_loaded, library_cartridge(lib, OLD));
    assert_false(is_there(&s));
    assert_int_equal(segments_of(OLD), 1);
    close_library(lib);
    config_free(two);
    config_free(c);
}

static void expect_released(struct library *lib, const struct seg_source *s)
{
    struct head h;
    read_head(lib, OLD, &h);
    assert_true(h.released);
    assert_int_equal(h.n_leaners, 1);
    head_free(&h);
    assert_true(is_there(s));
}

/* What stays for others is garbage of whoever takes it over, too. */
static void a_tape_of_which_others_need_something_is_given_up(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    write_blocks(lib, SLOT, 1000, 2);
    cartridge_want_release(library_cartridge(lib, OLD), true);
    await_end_of(lib, wants_release, tape(lib, OLD));
    expect_released(lib, &s);
    close_library(lib);
    lib = open_library(c);
    cartridge_poke(tape(lib, OLD)); /* whoever looks at it does not take it back */
    await_end_of(lib, is_loaded, library_cartridge(lib, OLD));
    expect_released(lib, &s);
    close_library(lib);
    config_free(c);
}

/* ---- with another gateway ---- */

static void claim(struct library *lib, const char *barcode)
{
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", 1)));
}

static bool waits_for_other(struct library *lib)
{
    struct cartridge *a = tape(lib, OLD);
    lock_take(&a->lock);
    bool waits = strstr(a->kept_why, NEW " may copy from it still") != NULL;
    lock_release(&a->lock);
    return waits;
}

/* The first gateway holds copies that no head of it tells of; the second takes the source over, and overwrites it. */
static void another_gateway_deletes_nothing_while_somebody_may_be_copying(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    rebuild_library(two);
    struct library *second = open_library(two);
    claim(second, OLD);
    write_blocks(second, SLOT, 1000, 2);
    (void)gc_of(second, OLD);
    assert_true(is_there(&s));
    assert_true(is_there(&other));
    assert_true(waits_for_other(second));
    unload(lib); /* now it tells all */
    (void)gc_of(second, OLD);
    assert_true(is_there(&s));
    assert_false(is_there(&other));
    assert_false(waits_for_other(second));
    close_library(second);
    close_library(lib);
    config_free(two);
    config_free(c);
}

static void what_a_fenced_gateway_copied_holds_nothing_up(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct errtext err;
    struct seg_source s = make_lean(lib, 1);
    rebuild_library(two);
    struct library *second = open_library(two);
    claim(second, OLD);
    claim(second, NEW); /* without what the first has not stored */
    write_blocks(second, SLOT, 1000, 2);
    (void)gc_of(second, OLD);
    assert_false(is_there(&s));
    close_library(second);
    (void)library_close(lib, &err);
    config_free(two);
    config_free(c);
}

static void a_leaner_whose_head_is_damaged_is_waited_for(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    char command[300];
    unload(lib);
    close_library(lib);
    rebuild_library(two);
    lib = open_library(two);
    (void)snprintf(command, sizeof(command),
                   "cd %s/store/tapes/" NEW "/head && for f in *; do chmod u+w $f; echo >>$f; done", dir);
    assert_int_equal(system(command), 0);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* What is there until a claim of the leaner's next run: what waits in its spool, which a head of that run tells. */
static void what_waits_in_another_gateway_s_spool_is_kept(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 2), other = source(lib, 0);
    struct errtext err = {""};
    lock_take(&tape(lib, NEW)->lock);
    library_cartridge(lib, NEW)->backoff_until = UINT64_MAX; /* nothing of it is stored */
    lock_release(&library_cartridge(lib, NEW)->lock);
    move(lib, DRIVE, SLOT + 1);
    (void)library_close(lib, &err);                                                 /* it says what is left */
    if (library_open(c, 0, &lib, &err) || commit_claim(tape(lib, NEW), NULL, &err)) /* without workers */
        fail_msg("%s", err.text);
    rebuild_library(two);
    struct library *second = open_library(two);
    claim(second, OLD);
    write_blocks(second, SLOT, 1000, 2);
    (void)gc_of(second, OLD);
    assert_true(is_there(&s));
    assert_false(is_there(&other));
    close_library(second);
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* A library whose second tape is at rest, and a copy of its state, as a snapshot makes one. */
static struct library *with_copy(struct vtl_config *c)
{
    struct library *lib = two_tapes(c);
    char command[300];
    write_blocks(lib, SLOT + 1, 400, 2);
    await_inventory(lib);
    (void)snprintf(command, sizeof(command), "cp -a %s/one %s/two", dir, dir);
    assert_int_equal(system(command), 0);
    return lib;
}

static struct library *overwrite_with_copy(const struct vtl_config *two)
{
    struct library *copy = open_library(two);
    claim(copy, OLD);
    write_blocks(copy, SLOT, 1000, 2);
    (void)gc_of(copy, OLD);
    return copy;
}

/* The run that the state knows of the second tape went on behind the snapshot, and told the bucket. */
static void an_old_state_deletes_nothing_that_the_run_it_knows_came_to_lean_on(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = with_copy(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    unload(lib);
    close_library(lib);
    lib = overwrite_with_copy(two);
    assert_true(is_there(&s));
    assert_false(is_there(&other));
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* And that run still goes on: its last head is the one that the copy of its state knows. */
static void a_copy_of_a_state_deletes_nothing_that_the_original_may_be_copying(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = with_copy(c);
    struct seg_source s = make_lean(lib, 1);
    struct library *copy = overwrite_with_copy(two);
    assert_true(is_there(&s));
    assert_true(waits_for_other(copy));
    unload(lib);
    (void)gc_of(copy, OLD);
    assert_true(is_there(&s));
    close_library(copy);
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* Another gateway's, above all heads of the second tape. */
static struct seg_id put_claim_above(struct library *lib)
{
    struct errtext err = {""};
    struct head h, third;
    read_head(lib, NEW, &h);
    assert_true(h.at_rest);
    head_init(&third);
    commit_sign(&lib->eng, 1, &third);
    third.claim = true;
    third.id = (struct seg_id){h.id.epoch + 1, h.id.writer + 1, 0};
    (void)snprintf(third.barcode, sizeof(third.barcode), NEW);
    memcpy(third.cartridge, h.cartridge, sizeof(third.cartridge));
    if (commit_put_head(&lib->eng, &third, NULL, &err))
        fail_msg("%s", err.text);
    struct seg_id id = third.id;
    head_free(&third);
    head_free(&h);
    return id;
}

static void expect_kept_for_claim(struct library *lib, const struct seg_source *s, const struct seg_id *above)
{
    struct errtext err = {""};
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    assert_true(is_there(s));
    if (commit_delete_heads(&lib->eng, NEW, above, 1, NULL, &err)) /* it gives up */
        fail_msg("%s", err.text);
    (void)gc_of(lib, OLD);
    assert_false(is_there(s));
}

/* A third gateway has claimed it, and took a head that leans before the one came that does not: what it puts is above both. */
static void nothing_goes_while_a_leaner_is_being_taken_over(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    write_blocks(lib, SLOT + 1, 2000, 2);
    close_library(lib);
    rebuild_library(two);
    lib = open_library(two);
    struct seg_id above = put_claim_above(lib);
    claim(lib, OLD);
    expect_kept_for_claim(lib, &s, &above);
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* It took the head of a run before this one, that came behind the look of this one's claim. */
static void nothing_goes_while_a_leaner_of_this_run_is_being_taken_over(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    overwrite_leaner(lib);
    struct seg_id above = put_claim_above(lib);
    expect_kept_for_claim(lib, &s, &above);
    close_library(lib);
    config_free(c);
}

/* Its heads are lost; its segments are not, and a deep rebuild finds what they lean on. */
static void what_a_tape_without_a_head_may_lean_on_is_kept(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    char command[300];
    unload(lib);
    close_library(lib);
    (void)snprintf(command, sizeof(command), "rm -rf %s/store/tapes/" NEW "/head", dir);
    assert_int_equal(system(command), 0);
    struct errtext err = {""};
    json_t *report = NULL;
    assert_int_equal(library_rebuild(two, NULL, &report, &err), 0); /* without that one */
    json_decref(report);
    lib = open_library(two);
    write_blocks(lib, SLOT, 1000, 2);
    (void)gc_of(lib, OLD);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(two);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_overwrite_leaves_what_is_leaned_on),
        T(a_tape_leans_on_what_it_had_before_it_was_written_over),
        T(what_stays_for_others_keeps_nothing_itself),
        T(a_tape_that_is_written_over_again_and_again_keeps_what_the_last_one_leans_on),
        T(who_leans_no_more_is_not_listed_in_the_next_head),
        T(who_comes_to_lean_while_the_store_is_asked_stays_listed),
        T(a_rebuilt_state_knows_what_leans),
        T(what_others_need_when_it_is_found_goes_when_they_need_it_no_more),
        T(verify_s_result_names_each_tape_that_a_bad_object_hurts),
        T(another_gateway_deletes_nothing_while_somebody_may_be_copying),
        T(what_a_fenced_gateway_copied_holds_nothing_up),
        T(a_leaner_whose_head_is_damaged_is_waited_for),
        T(what_waits_in_another_gateway_s_spool_is_kept),
        T(what_a_tape_without_a_head_may_lean_on_is_kept),
        T(nothing_goes_while_a_leaner_is_being_taken_over),
        T(nothing_goes_while_a_leaner_of_this_run_is_being_taken_over),
        T(an_old_state_deletes_nothing_that_the_run_it_knows_came_to_lean_on),
        T(a_copy_of_a_state_deletes_nothing_that_the_original_may_be_copying),
        T(what_no_head_names_is_verified_with_the_tape_that_copies_from_it),
        T(who_took_its_tape_back_is_listed_anew),
        T(a_tape_of_which_others_need_something_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
