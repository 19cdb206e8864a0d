/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_lending.c: who may lean on a tape, who is listed in its head, and what a head says of what its own tape leans on. */
#include "tests/unit/lending_rig.h"

#include "vtl/drive/drive_private.h"

static void the_source_s_head_lists_a_tape_before_it_may_lean(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = source(lib, 0);
    struct head h;
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    assert_int_equal(lean(lib, &s), -ESTALE);
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 0);
    head_free(&h);
    assert_int_equal(lend(lib), 0);
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 1);
    assert_string_equal(h.leaners[0].barcode, NEW);
    assert_memory_equal(h.leaners[0].cartridge, cartridge_id(tape(lib, NEW)), 16);
    assert_int_equal(h.leaners[0].head.writer, lib->eng.writer);
    struct seg_id first = h.id;
    head_free(&h);
    assert_int_equal(lean(lib, &s), 0);
    assert_int_equal(lend(lib), 0); /* it is: no other head */
    read_head(lib, OLD, &h);
    assert_int_equal(seg_id_compare(&h.id, &first), 0);
    head_free(&h);
    unload(lib);
    close_library(lib);
    config_free(c);
}

static void a_head_says_what_its_segments_lean_on_and_that_it_is_at_rest(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct head h;
    struct seg_source s = make_lean(lib, 1);
    read_head(lib, NEW, &h);
    assert_int_equal(h.inl.leans.n, 0);
    assert_false(h.at_rest);
    head_free(&h);
    unload(lib);
    read_head(lib, NEW, &h);
    assert_true(h.at_rest);
    assert_int_equal(h.inl.leans.n, 1);
    assert_int_equal(h.inl.leans.v[0].segment, 0);
    assert_int_equal(seg_id_compare(&h.inl.leans.v[0].source.id, &s.id), 0);
    assert_string_equal(h.inl.leans.v[0].source.barcode, OLD);
    assert_int_equal(h.pending.n, 0);
    head_free(&h);
    close_library(lib);
    config_free(c);
}

/* Who takes the source over may have seen the head at rest, and think that nothing more comes. */
static void behind_a_head_at_rest_it_is_listed_anew_before_it_leans(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1), other = source(lib, 0);
    struct head h, b;
    unload(lib);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 600), TAPE_OK);
    assert_int_equal(lean(lib, &other), -ESTALE);
    assert_int_equal(lend(lib), 0);
    read_head(lib, OLD, &h);
    read_head(lib, NEW, &b);
    assert_true(b.at_rest);
    assert_true(h.leaners[0].head.number >= b.id.number);
    head_free(&h);
    head_free(&b);
    assert_int_equal(lean(lib, &other), 0);
    unload(lib);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(c);
}

#define MANY 1500

/* Rows as the state would get them of so many sources. */
static void lean_on_many(struct library *lib, const struct seg_source *like, unsigned n)
{
    struct cartridge *b = tape(lib, NEW);
    struct seg_source s = *like;
    lock_take(&b->lock);
    int rc = db_begin(lib->eng.db);
    for (unsigned i = 1; !rc && i < n; i++) {
        s.id.number = like->id.number + 1000 + i;
        rc = db_lean_insert(lib->eng.db, b->row.rowid, &b->open.id, &s);
    }
    assert_int_equal(db_end(lib->eng.db, rc), 0);
    lock_release(&b->lock);
}

/* As if each of so many commits had made one. */
static void repeat_map(struct library *lib, size_t times)
{
    struct cartridge *b = tape(lib, NEW);
    lock_take(&b->lock);
    struct map_ref *maps = calloc(times, sizeof(*maps));
    assert_non_null(maps);
    assert_int_equal(b->n_maps, 1);
    for (size_t i = 0; i < times; i++)
        maps[i] = b->maps[0];
    free(b->maps);
    b->maps = maps;
    b->n_maps = times;
    lock_release(&b->lock);
}

/* Few segments that lean on much are in a map of their own, too. */
static void maps_that_hold_leans_are_merged(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct drive *d = library_drive(lib, 0);
    struct head h;
    lean_on_many(lib, &s, MANY);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK); /* to the store */
    repeat_map(lib, 64);
    d->flush_limit_ms = 20000; /* a head with all of these cannot be made */
    assert_int_equal(write_id(d, 600), TAPE_OK);
    lean_on_many(lib, &s, MANY);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    read_head(lib, NEW, &h);
    assert_int_equal(h.n_maps, 1);
    assert_int_equal(h.inl.n_segs, 0);
    head_free(&h);
    unload(lib);
    close_library(lib);
    config_free(c);
}

static int count_lean(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    (void)segment;
    (void)s;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned leans_in(struct library *lib)
{
    unsigned n = 0;
    assert_int_equal(db_leans(lib->eng.db, cartridge_rowid(library_cartridge(lib, NEW)), NULL, count_lean, &n), 0);
    return n;
}

/* A head stays small; rebuild and the independent reader find them all the same. */
static void many_leans_go_into_a_map(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct head h;
    char command[300];
    unsigned n = 0;
    lean_on_many(lib, &s, MANY);
    unload(lib);
    read_head(lib, NEW, &h);
    assert_int_equal(h.n_maps, 1);
    assert_int_equal(h.inl.n_segs, 0);
    assert_int_equal(h.inl.leans.n, 0);
    head_free(&h);
    assert_int_equal(leans_in(lib), MANY);
    close_library(lib);
    rebuild_library(two);
    lib = open_library(two);
    assert_int_equal(leans_in(lib), MANY);
    close_library(lib);
    (void)snprintf(command, sizeof(command),
                   "python3 tests/reader/s3vtl_reader.py --dir %s/store --barcode " NEW
                   " --leans | grep -c ' leans on " OLD " '",
                   dir);
    FILE *f = popen(command, "r");
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    assert_int_equal(n, MANY);
    config_free(two);
    config_free(c);
}

static void the_independent_reader_finds_leans_and_leaners(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    char command[400], name[SEG_NAME_SIZE];
    unload(lib);
    close_library(lib);
    seg_id_format(&s.id, name);
    (void)snprintf(command, sizeof(command),
                   "r='python3 tests/reader/s3vtl_reader.py --dir %s/store --leans --barcode'; $r " NEW
                   " | grep -q ' leans on " OLD " %s ' && $r " OLD " | grep -qx '" NEW " may lean on it'",
                   dir, name);
    assert_int_equal(system(command), 0);
    config_free(c);
}

/* The next run takes up what the spool holds; the first head that it puts tells what that leans on. */
static void what_waits_in_the_spool_is_pending_in_the_first_head_of_the_next_run(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 2);
    struct head h;
    struct cartridge *b = tape(lib, NEW);
    struct errtext err = {""};
    lock_take(&b->lock);
    b->backoff_until = UINT64_MAX; /* nothing of it is stored */
    lock_release(&b->lock);
    move(lib, DRIVE, SLOT + 1);
    (void)library_close(lib, &err);     /* it says what is left */
    if (library_open(c, 0, &lib, &err)) /* without workers */
        fail_msg("%s", err.text);
    b = tape(lib, NEW);
    if (commit_claim(b, NULL, &err))
        fail_msg("%s", err.text);
    read_head(lib, NEW, &h);
    assert_int_equal(h.inl.n_segs, 0);
    assert_int_equal(h.pending.n, 1);
    assert_int_equal(seg_id_compare(&h.pending.v[0].source.id, &s.id), 0);
    assert_false(h.at_rest);
    head_free(&h);
    close_library(lib);
    config_free(c);
}

/* Another drive writes to it all the while: what is stored by then is all that the head need name. */
static void a_source_that_is_being_written_lists_a_tape_at_once(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = two_tapes(c);
    uint64_t began = clock_ms();
    move(lib, SLOT, DRIVE + 1);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 1), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 1), 800), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 1), 0, false, &never), TAPE_OK);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    assert_int_equal(lend(lib), 0);
    assert_true(clock_ms() - began < 5000);
    struct seg_source s = source(lib, 0);
    assert_int_equal(lean(lib, &s), 0);
    close_library(lib);
    config_free(c);
}

/* Once what it waits for is stored. */
static int lend_soon(struct library *lib)
{
    int rc = -EBUSY;
    for (int i = 0; rc == -EBUSY && i < 200; i++) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if ((rc = lend(lib)) == -EBUSY)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    return rc;
}

static void one_that_is_being_written_over_lists_nobody(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = two_tapes(c);
    move(lib, SLOT, DRIVE + 1);
    assert_int_equal(write_id(library_drive(lib, 1), 800), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 1), 0, false, &never), TAPE_OK);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    assert_int_equal(lend(lib), -EBUSY);
    move(lib, DRIVE + 1, SLOT); /* now it is written, and soon stored */
    assert_int_equal(lend_soon(lib), 0);
    close_library(lib);
    config_free(c);
}

/* The PUT of a head of the first tape is held while head_held is 1; 2: it is there. */
static const struct objstore_ops *unheld;

static atomic_int head_held;
static int hold_head(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                     struct errtext *err)
{
    int wanted = 1;
    if (strstr(key, OLD "/head/") && atomic_compare_exchange_strong(&head_held, &wanted, 2))
        while (atomic_load(&head_held))
            usleep(1000);
    return unheld->put(s, key, src, c, err);
}

static bool is_held(struct cartridge *c)
{
    (void)c;
    return atomic_load(&head_held) == 2;
}

static bool is_not_held(struct cartridge *c)
{
    return !is_held(c);
}

static bool is_being_put(struct cartridge *c)
{
    lock_take(&c->lock);
    bool is = c->heads_taken;
    lock_release(&c->lock);
    return is;
}

static void hold_heads(struct library *lib)
{
    struct objstore_ops holding = *lib->eng.store->ops;
    holding.put = hold_head;
    exchange_ops(lib, &holding, &unheld);
    await_end_of(lib, is_being_put, library_cartridge(lib, OLD)); /* what began before that is over */
    await_end_of(lib, is_being_put, library_cartridge(lib, NEW));
}

/* The overwrite begins, within the last segment, while a head of the whole tape is on its way: that head is not the one that
 * the overwrite waits for. */
static void one_that_comes_to_be_written_over_during_a_commit_lists_nobody(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = two_tapes(c);
    const struct tape_ops *ops = library_drive_ops();
    struct cartridge *old = tape(lib, OLD);
    struct head h;
    hold_heads(lib);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    move(lib, SLOT, DRIVE + 1);
    void *d = library_drive(lib, 1);
    assert_int_equal(ops->space_end_of_data(d, &never), TAPE_OK);
    assert_int_equal(write_id(d, 3), TAPE_OK); /* two small ones, in one segment */
    assert_int_equal(write_id(d, 8), TAPE_OK);
    atomic_store(&head_held, 1);
    assert_int_equal(ops->rewind(d, &never), TAPE_OK);
    await_end_of(lib, is_not_held, old);
    assert_int_equal(ops->locate_object(d, 0, BLOCKS + 1, &never), TAPE_OK);
    assert_int_equal(write_id(d, 800), TAPE_OK);
    atomic_store(&head_held, 0);
    await_end_of(lib, is_being_put, old);
    assert_int_equal(lend(lib), -EBUSY);
    read_head(lib, OLD, &h);
    assert_int_equal(h.end_object, BLOCKS + 2);
    head_free(&h);
    move(lib, DRIVE + 1, SLOT);
    assert_int_equal(lend_soon(lib), 0);
    close_library(lib);
    config_free(c);
}

/* A drive that writes must not wait for a store that is down, nor again right after it waited in vain (I6). */
static void nobody_waits_to_copy_while_the_store_is_down(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = source(lib, 0);
    struct cartridge *new = tape(lib, NEW);
    uint64_t began = clock_ms();
    struct head h;
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    atomic_store(&lib->eng.unwell, true);
    assert_false(library_may_copy(lib, new, &s));
    atomic_store(&lib->eng.unwell, false);
    assert_int_equal(lend(lib), 0); /* it was asked for, and is there when somebody asks again */
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 1);
    head_free(&h);
    assert_true(library_may_copy(lib, new, &s));
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib); /* at rest: it is to be listed anew */
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 501), TAPE_OK);
    atomic_store(&lib->lend_hasty_until, clock_ms() + 60000);
    lock_take(&tape(lib, OLD)->lock);
    library_cartridge(lib, OLD)->heads_taken = true; /* nobody gets to put a head */
    lock_release(&library_cartridge(lib, OLD)->lock);
    (void)library_may_copy(lib, new, &s);
    assert_true(clock_ms() - began < 8000);
    lock_take(&library_cartridge(lib, OLD)->lock);
    library_cartridge(lib, OLD)->heads_taken = false;
    lock_release(&library_cartridge(lib, OLD)->lock);
    close_library(lib);
    config_free(c);
}

/* The first block of a segment copies from what is no source: the segment that was begun for it has nothing, and could
 * neither be sealed nor could the tape be unloaded. */
static void a_first_copy_that_is_refused_leaves_no_empty_segment(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = two_tapes(c);
    const struct seg_source s = source(lib, 0);
    const struct seg_make make = {.sources = &s, .n_sources = 1};
    const struct seg_packed b = {
        .r = {.type = SEG_BLOCK, .length = 8, .stored_len = 8}, .payload = "a block", .make = &make};
    struct cartridge *new = tape(lib, NEW);
    assert_int_equal(cartridge_write(new, &b), -ESTALE);
    assert_int_equal(cartridge_flush(new), 0);
    write_blocks(lib, SLOT + 1, 700, 1);
    move(lib, SLOT + 1, DRIVE);
    expect_id(library_drive(lib, 0), 700);
    expect_result(library_drive(lib, 0), TAPE_EOD);
    close_library(lib);
    config_free(c);
}

/* Killed with its segment open, of which only the state says what it copies from: the next run writes that into it, and
 * so it is known without head and state. */
static void a_segment_that_a_crash_left_says_what_it_leans_on(void **state)
{
    (void)state;
    const char *dedup = "[dedup]\ntapes = *\n";
    struct vtl_config *c = config_more("one", "local", "16M", dedup), *two = config_more("two", "local", "16M", dedup);
    struct vtl_config *three = config_more("three", "local", "16M", dedup);
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct errtext err = {""};
    json_t *report = NULL;
    char command[300];
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never), TAPE_OK);
    chunk_watch_stop(lib); /* which ended long ago: nobody else joins it */
    (void)snprintf(command, sizeof(command), "cp -a %s/one %s/two", dir, dir);
    assert_int_equal(system(command), 0);
    lib = open_library(two);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(command, sizeof(command), "rm -rf %s/store/tapes/" NEW "/head %s/store/tapes/" NEW "/map", dir, dir);
    assert_int_equal(system(command), 0);
    const struct rebuild_options options = {.deep = true};
    assert_int_equal(library_rebuild(three, &options, &report, &err), 0);
    json_decref(report);
    lib = open_library(three);
    json_t *show = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", NEW));
    const json_t *on = json_array_get(json_object_get(show, "leans_on"), 0);
    assert_string_equal(json_string_value(json_object_get(on, "barcode")), OLD);
    json_decref(show);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(three);
    config_free(two);
    config_free(c);
}

/* A deep rebuild of a library that lost the heads of the first tape. */
static struct library *rebuild_without_heads(const struct vtl_config *c)
{
    const struct rebuild_options o = {.deep = true};
    struct errtext err = {""};
    char path[300];
    json_t *r = NULL;
    (void)snprintf(path, sizeof(path), "%s/store/tapes/%s/head", dir, OLD);
    remove_tree(path);
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    json_decref(r);
    struct library *lib = open_library(c);
    flush_remote(lib);
    return lib;
}

/* Its own heads knew who leans on it; the others' say so, too. */
static void a_deep_rebuild_lists_who_leans(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct head h;
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    read_head(lib, NEW, &h);
    struct seg_id leaner = h.id;
    head_free(&h);
    close_library(lib);
    lib = rebuild_without_heads(two);
    read_head(lib, OLD, &h);
    assert_int_equal(h.n_leaners, 1);
    assert_string_equal(h.leaners[0].barcode, NEW);
    assert_int_equal(seg_id_compare(&h.leaners[0].head, &leaner), 0);
    head_free(&h);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(two);
    config_free(c);
}

/* What is leaned on is of the tape that was removed, and belongs to the new one at its place. */
static void a_deep_rebuild_lists_who_leans_on_what_an_earlier_tape_left(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct head h;
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    remove_tape(lib, OLD);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", OLD, "capacity", 0)));
    write_blocks(lib, SLOT, 3000, 3);
    close_library(lib);
    lib = rebuild_without_heads(two);
    read_head(lib, OLD, &h);
    assert_int_not_equal(memcmp(h.cartridge, s.cartridge, sizeof(h.cartridge)), 0);
    assert_int_equal(h.n_leaners, 1);
    assert_string_equal(h.leaners[0].barcode, NEW);
    head_free(&h);
    assert_true(is_there(&s));
    close_library(lib);
    config_free(two);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_source_s_head_lists_a_tape_before_it_may_lean),
        T(a_head_says_what_its_segments_lean_on_and_that_it_is_at_rest),
        T(a_source_that_is_being_written_lists_a_tape_at_once),
        T(one_that_is_being_written_over_lists_nobody),
        T(one_that_comes_to_be_written_over_during_a_commit_lists_nobody),
        T(nobody_waits_to_copy_while_the_store_is_down),
        T(a_first_copy_that_is_refused_leaves_no_empty_segment),
        T(behind_a_head_at_rest_it_is_listed_anew_before_it_leans),
        T(many_leans_go_into_a_map),
        T(maps_that_hold_leans_are_merged),
        T(the_independent_reader_finds_leans_and_leaners),
        T(what_waits_in_the_spool_is_pending_in_the_first_head_of_the_next_run),
        T(a_segment_that_a_crash_left_says_what_it_leans_on),
        T(a_deep_rebuild_lists_who_leans),
        T(a_deep_rebuild_lists_who_leans_on_what_an_earlier_tape_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
