/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_lending.c: a tape that others lean on: who is listed in its head, and that nothing goes that somebody needs. */
#include "tests/lib/chunked.h"
#include "tests/unit/failure_help.h"

#include <errno.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/library_private.h"
#include "vtl/scrub/verify.h"
#include "vtl/state/db_private.h"

#define OLD "OLD001L8"
#define NEW "NEW001L8"
#define BLOCKS 30

/* ---- two tapes: the second leans on the first ---- */

static struct cartridge *tape(struct library *lib, const char *barcode)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    struct errtext err = {""};
    assert_non_null(c);
    if (cartridge_load(c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void write_blocks(struct library *lib, uint16_t slot, uint64_t id, unsigned n)
{
    move(lib, slot, DRIVE);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(write_id(library_drive(lib, 0), id + i), TAPE_OK);
    move(lib, DRIVE, slot);
    flush_remote(lib);
}

static struct library *two_tapes(struct vtl_config *c)
{
    struct library *lib = new_library(c, OLD);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", NEW, "capacity", 0)));
    write_blocks(lib, SLOT, 1, BLOCKS);
    return lib;
}

static int lend(struct library *lib)
{
    struct errtext err = {""};
    struct cartridge *a = library_cartridge(lib, OLD), *b = library_cartridge(lib, NEW);
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < 200; i++) {
        uint64_t seen = progress_now(&lib->eng.progress);
        rc = cartridge_lend(a, b, &err);
        if (rc == -EAGAIN)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    return rc;
}

/* A segment of the first tape, as a source. */
static struct seg_source source(struct library *lib, size_t number)
{
    struct cartridge *a = tape(lib, OLD);
    struct seg_ref ref;
    bool there = cartridge_segment(a, number, &ref);
    for (int i = 0; !there && i < 1000; i++) { /* a worker may have unloaded it since */
        a = tape(lib, OLD);
        there = cartridge_segment(a, number, &ref);
    }
    assert_true(there);
    struct seg_source s = {.id = ref.id, .size = ref.size, .crc = ref.crc};
    (void)snprintf(s.barcode, sizeof(s.barcode), OLD);
    memcpy(s.cartridge, cartridge_id(a), sizeof(s.cartridge));
    return s;
}

/* The open segment of the second tape, which is in the drive; it is there as soon as the drive's queue has begun it. */
static int lean(struct library *lib, const struct seg_source *s)
{
    struct cartridge *b = tape(lib, NEW);
    int rc = -EINVAL;
    for (uint64_t until = clock_ms() + 20000; rc == -EINVAL && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        lock_take(&b->lock);
        rc = cartridge_lean(b, s);
        lock_release(&b->lock);
        if (rc == -EINVAL)
            progress_wait(&lib->eng.progress, seen, 20);
    }
    return rc;
}

/* The second tape's first segment leans on one of the first. */
static struct seg_source make_lean(struct library *lib, size_t number)
{
    struct seg_source s = source(lib, number);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    assert_int_equal(lend(lib), 0);
    assert_int_equal(lean(lib, &s), 0);
    assert_int_equal(write_id(library_drive(lib, 0), 501), TAPE_OK);
    return s;
}

static void unload(struct library *lib)
{
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
}

static void read_head(struct library *lib, const char *barcode, struct head *h)
{
    struct errtext err = {""};
    if (commit_read_head(lib->eng.store, barcode, NULL, h, NULL, &err))
        fail_msg("%s", err.text);
}

static bool is_there(const struct seg_source *s)
{
    char path[300], key[DB_KEY_SIZE];
    object_key(key, s->barcode, "seg", &s->id);
    (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
    return !access(path, F_OK);
}

static unsigned segments_of(const char *barcode)
{
    char command[300];
    unsigned n = 0;
    (void)snprintf(command, sizeof(command), "ls %s/store/tapes/%s/seg 2>/dev/null | wc -l", dir, barcode);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    return n;
}

/* What leans is gone when this returns, and not only on its way. */
static void overwrite_leaner(struct library *lib)
{
    write_blocks(lib, SLOT + 1, 2000, 2);
    (void)gc_of(lib, NEW);
}

/* ---- what heads say ---- */

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
static void lean_on_many(struct library *lib, const struct seg_source *like)
{
    struct cartridge *b = tape(lib, NEW);
    struct seg_source s = *like;
    lock_take(&b->lock);
    int rc = db_begin(lib->eng.db);
    for (unsigned i = 1; !rc && i < MANY; i++) {
        s.id.number = like->id.number + 1000 + i;
        rc = db_lean_insert(lib->eng.db, b->row.rowid, &b->open.id, &s);
    }
    assert_int_equal(db_end(lib->eng.db, rc), 0);
    lock_release(&b->lock);
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
    lean_on_many(lib, &s);
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

/* ---- nothing goes that somebody needs ---- */

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

/* A rebuild takes it from the heads, and so do gc and sweep there. */
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

static void a_rebuilt_state_knows_what_leans(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    write_blocks(lib, SLOT, 1000, 2);
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
        if (!i)
            assert_string_equal(json_string_value(json_array_get(hurt, 0)), NEW);
        json_decref(r);
    }
    close_library(lib);
    config_free(c);
}

/* ---- removing ---- */

static void remove_tape(struct library *lib, const char *barcode)
{
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", barcode, "force", 1)));
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
    return usual_ops->put(s, key, src, call_, err);
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
    exchange_ops(lib, &ops, &usual_ops);
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

static void await_end_of(struct library *lib, bool (*is)(struct cartridge *c), struct cartridge *c)
{
    for (uint64_t until = clock_ms() + 20000; is(c) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_false(is(c));
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

/* ---- a tape that is to share nothing ---- */

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

/* Its own heads knew who leans on it; the others' say so, too. */
static void a_deep_rebuild_lists_who_leans(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    const struct rebuild_options o = {.deep = true};
    struct library *lib = two_tapes(c);
    struct errtext err = {""};
    struct head h;
    char path[300];
    json_t *r = NULL;
    struct seg_source s = make_lean(lib, 1);
    unload(lib);
    read_head(lib, NEW, &h);
    struct seg_id leaner = h.id;
    head_free(&h);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/store/tapes/%s/head", dir, OLD);
    remove_tree(path);
    if (library_rebuild(two, &o, &r, &err))
        fail_msg("%s", err.text);
    json_decref(r);
    lib = open_library(two);
    flush_remote(lib);
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
    pthread_join(neighbour->chunks_thread, NULL); /* what is stored already is known */
    neighbour->chunks_run = false;
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

static uint64_t problems_of(struct library *lib, const char *barcode)
{
    const struct verify_options o = {.parallel = 2};
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
    assert_int_equal(unlink(path), 0);
    assert_int_equal(problems_of(lib, NEW), 1);
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
        T(the_source_s_head_lists_a_tape_before_it_may_lean),
        T(a_head_says_what_its_segments_lean_on_and_that_it_is_at_rest),
        T(a_source_that_is_being_written_lists_a_tape_at_once),
        T(one_that_is_being_written_over_lists_nobody),
        T(one_that_comes_to_be_written_over_during_a_commit_lists_nobody),
        T(nobody_waits_to_copy_while_the_store_is_down),
        T(a_first_copy_that_is_refused_leaves_no_empty_segment),
        T(behind_a_head_at_rest_it_is_listed_anew_before_it_leans),
        T(many_leans_go_into_a_map),
        T(the_independent_reader_finds_leans_and_leaners),
        T(what_waits_in_the_spool_is_pending_in_the_first_head_of_the_next_run),
        T(an_overwrite_leaves_what_is_leaned_on),
        T(a_tape_leans_on_what_it_had_before_it_was_written_over),
        T(a_tape_that_leans_on_itself_is_removed_without_a_trace),
        T(who_leans_no_more_is_not_listed_in_the_next_head),
        T(who_comes_to_lean_while_the_store_is_asked_stays_listed),
        T(a_rebuilt_state_knows_what_leans),
        T(verify_s_result_names_each_tape_that_a_bad_object_hurts),
        T(tape_show_says_who_leans_on_whom),
        T(a_removed_tape_leaves_what_is_leaned_on_and_no_more),
        T(a_tape_on_which_nobody_leans_is_removed_without_a_trace),
        T(a_rebuild_makes_no_tape_of_a_place_and_keeps_it),
        T(a_tape_that_could_not_be_removed_is_in_the_bucket_again),
        T(a_removal_that_a_crash_ended_is_taken_back_by_the_next_run),
        T(a_place_of_this_very_tape_is_not_begun_anew),
        T(a_new_tape_at_such_a_place_goes_on_from_it),
        T(a_new_tape_there_of_which_the_state_takes_only_a_part_is_not_made),
        T(a_new_tape_there_that_cannot_be_made_takes_nothing_from_the_leaners),
        T(another_gateway_deletes_nothing_while_somebody_may_be_copying),
        T(what_a_fenced_gateway_copied_holds_nothing_up),
        T(a_leaner_whose_head_is_damaged_is_waited_for),
        T(what_waits_in_another_gateway_s_spool_is_kept),
        T(what_a_tape_without_a_head_may_lean_on_is_kept),
        T(a_segment_that_a_crash_left_says_what_it_leans_on),
        T(nobody_leans_on_a_tape_that_is_being_removed),
        T(a_tape_made_to_share_nothing_copies_from_none_and_none_from_it),
        T(what_no_head_names_is_verified_with_the_tape_that_copies_from_it),
        T(a_tape_of_which_others_need_something_is_given_up),
        T(a_deep_rebuild_lists_who_leans),
        T(a_neighbour_s_tape_is_not_claimed_to_copy_from_it),
        T(what_was_given_up_is_not_claimed_to_copy_from_it),
        T(with_another_key_nothing_is_copied_though_nothing_waits_when_it_comes),
    };
    return cmocka_run_group_tests_name("lending", tests, NULL, NULL);
}
