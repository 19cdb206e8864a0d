/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_leans.c: what leans on what in the state: which leans are added, how long they last, and what is asked of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/state/db.h"

/* A source with three stored segments, of which a head names two, and a tape that is about to lean on it. */
struct two {
    char dir[64], path[80];
    struct db *db;
    struct db_cartridge a, b;
    struct tape_index x;
    struct head_leaner leaner; /* b */
};

#define WRITER 7
static const struct seg_id own = {9, WRITER, 1}; /* a segment of b */

static void must(struct two *t, int rc)
{
    if (rc)
        fail_msg("%d: %s", rc, db_error(t->db));
}

static void add_segment(struct two *t, uint64_t n)
{
    struct seg_ref r = {.id = {3, WRITER, n},
                        .first_object = tape_index_end_object(&t->x),
                        .objects = 10,
                        .size = 1000 + n,
                        .plain_bytes = 900,
                        .crc = 50 + (uint32_t)n};
    assert_int_equal(tape_index_append(&t->x, &r, NULL, 0), 0);
}

static struct seg_source source(const struct two *t, size_t i)
{
    const struct seg_ref *r = &t->x.segs[i];
    struct seg_source s = {.id = r->id, .size = r->size, .crc = r->crc};
    memcpy(s.barcode, t->a.barcode, sizeof(s.barcode));
    memcpy(s.cartridge, t->a.id, sizeof(s.cartridge));
    return s;
}

/* The source's head lists b, as of head n. */
static void list(struct two *t, uint64_t n)
{
    bool listed = false;
    t->leaner.head.number = n;
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_false(listed);
    must(t, db_committed(t->db, &t->a, NULL, 0, &t->leaner, 1));
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_true(listed);
}

static int make(void **state)
{
    struct two *t = calloc(1, sizeof(*t));
    struct errtext err = {""};
    struct head h;
    assert_non_null(t);
    (void)snprintf(t->dir, sizeof(t->dir), "/tmp/s3vtl-leans-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    (void)snprintf(t->path, sizeof(t->path), "%s/state.db", t->dir);
    if (db_open(t->path, true, &t->db, &err))
        fail_msg("%s", err.text);
    t->a = (struct db_cartridge){.barcode = "OLD001L8", .id = {1}, .head = {4, WRITER, 6}, .commit_segs = 2};
    t->b = (struct db_cartridge){.barcode = "NEW001L8", .id = {2}, .head = {8, WRITER, 5}};
    t->leaner = (struct head_leaner){"NEW001L8", {2}, {8, WRITER, 5}};
    tape_index_init(&t->x);
    for (uint64_t i = 0; i < 3; i++)
        add_segment(t, i);
    head_init(&h);
    must(t, db_cartridge_restore(t->db, 0, &t->a, 0, &t->x, &h));
    must(t, db_cartridge_add(t->db, &t->b, 0));
    *state = t;
    return 0;
}

static int unmake(void **state)
{
    struct two *t = *state;
    char command[100];
    must(t, db_cartridge_check(t->db, t->a.rowid));
    must(t, db_cartridge_check(t->db, t->b.rowid));
    db_close(t->db);
    tape_index_free(&t->x);
    (void)snprintf(command, sizeof(command), "rm -r %s", t->dir);
    assert_int_equal(system(command), 0);
    free(t);
    return 0;
}

static int count_lean(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    (void)segment;
    (void)s;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned leans_of(struct two *t, const struct seg_id *segment)
{
    unsigned n = 0;
    must(t, db_leans(t->db, t->b.rowid, segment, count_lean, &n));
    return n;
}

static int lean_on(struct two *t, const struct seg_source *s)
{
    return db_lean_add(t->db, t->b.rowid, &own, 0, s);
}

/* ---- adding ---- */

static void a_lean_is_added_once_and_found(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, lean_on(t, &s));
    assert_int_equal(leans_of(t, NULL), 1);
    assert_int_equal(leans_of(t, &own), 1);
    assert_int_equal(leans_of(t, &(struct seg_id){9, WRITER, 2}), 0);
    s = source(t, 1);
    must(t, lean_on(t, &s));
    assert_int_equal(leans_of(t, &own), 2);
}

static void no_lean_before_the_head_of_the_source_lists_the_leaner(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    bool listed = true;
    assert_int_equal(lean_on(t, &s), -ESTALE);
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_false(listed);
    assert_int_equal(lean_on(t, &s), -ESTALE); /* wanted, and in no head yet */
    must(t, db_committed(t->db, &t->a, NULL, 0, NULL, 0));
    assert_int_equal(lean_on(t, &s), -ESTALE); /* that one was made before */
    must(t, db_committed(t->db, &t->a, NULL, 0, &t->leaner, 1));
    must(t, lean_on(t, &s));
}

static void no_lean_by_what_another_run_was_listed_for(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    list(t, 5);
    t->b.head = (struct seg_id){9, WRITER + 1, 1};
    must(t, db_cartridge_update(t->db, &t->b));
    assert_int_equal(lean_on(t, &s), -ESTALE);
}

/* Others may have seen that it leans on nothing. */
static void no_lean_behind_a_head_at_rest_before_it_is_listed_anew(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    list(t, 5);
    assert_int_equal(db_lean_add(t->db, t->b.rowid, &own, 6, &s), -ESTALE);
    list(t, 6);
    must(t, db_lean_add(t->db, t->b.rowid, &own, 6, &s));
}

static void no_lean_by_who_is_dropped(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    bool listed = true;
    list(t, 5);
    must(t, db_leaner_drop(t->db, t->a.rowid, &t->leaner));
    assert_int_equal(lean_on(t, &s), -ESTALE);
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_false(listed);
    assert_int_equal(lean_on(t, &s), -ESTALE); /* the head that is under way may not list it */
    must(t, db_committed(t->db, &t->a, NULL, 0, NULL, 0));
    assert_int_equal(lean_on(t, &s), -ESTALE);
    must(t, db_committed(t->db, &t->a, NULL, 0, &t->leaner, 1));
    must(t, lean_on(t, &s));
}

/* It was asked before whether it leans, and may have come to since. */
static void who_leans_is_not_dropped(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0), other = source(t, 1);
    bool listed = false;
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, db_leaner_drop(t->db, t->a.rowid, &t->leaner));
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_true(listed);
    must(t, lean_on(t, &other));
    /* Once another gateway has taken it over, its heads tell and not these rows. */
    t->b.fenced = DB_FENCED_READER;
    must(t, db_cartridge_update(t->db, &t->b));
    must(t, db_leaner_drop(t->db, t->a.rowid, &t->leaner));
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_false(listed);
}

static void only_what_the_head_names_is_a_source(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 2);
    list(t, 5);
    assert_int_equal(lean_on(t, &s), -ESTALE); /* stored, and in no head yet */
    t->a.commit_segs = 3;
    must(t, db_cartridge_update(t->db, &t->a));
    must(t, lean_on(t, &s));
}

static void only_the_segment_that_is_meant_is_a_source(void **state)
{
    struct two *t = *state;
    struct seg_source s;
    list(t, 5);
    for (int i = 0; i < 6; i++) {
        s = source(t, 0);
        s.size += i == 0;
        s.crc += i == 1;
        s.id.number += i == 2 ? 10 : 0;
        s.cartridge[3] = i == 3;
        s.barcode[0] = i == 4 ? 'X' : 'O';
        if (i < 5)
            assert_int_equal(lean_on(t, &s), -ESTALE);
    }
    must(t, lean_on(t, &s));
    assert_int_equal(leans_of(t, NULL), 1);
}

static void no_lean_of_or_on_who_is_fenced(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    list(t, 5);
    t->a.fenced = DB_FENCED_STALE;
    must(t, db_cartridge_update(t->db, &t->a));
    assert_int_equal(lean_on(t, &s), -ESTALE);
    t->a.fenced = DB_NOT_FENCED;
    t->b.fenced = DB_FENCED_READER;
    must(t, db_cartridge_update(t->db, &t->a));
    must(t, db_cartridge_update(t->db, &t->b));
    assert_int_equal(lean_on(t, &s), -ESTALE);
}

static bool damaged(struct two *t, size_t i)
{
    int rc = db_is_damaged(t->db, t->a.id, &t->x.segs[i].id);
    assert_in_range(rc, 0, 1);
    return rc;
}

/* Neither while its tape holds it, nor behind that. */
static void what_is_damaged_is_no_source(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 1);
    const struct seg_id bad[] = {t->x.segs[0].id, t->x.segs[1].id};
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, db_damaged_found(t->db, t->a.id, bad, 2));
    assert_int_equal(lean_on(t, &s), -ESTALE);
    must(t, db_damaged_found(t->db, t->a.id, NULL, 0)); /* it was read at last */
    must(t, lean_on(t, &s));
    must(t, db_damaged_found(t->db, t->a.id, bad + 1, 1));
    must(t, db_change(t->db, &t->a, &(struct db_change){.truncate = true, .object = 10}));
    must(t, db_damaged_found(t->db, t->a.id, NULL, 0)); /* what it holds now is good: that says nothing of it */
    assert_int_equal(db_is_source(t->db, &s), -ESTALE);
    assert_false(damaged(t, 0));
    must(t, db_damaged_add(t->db, t->a.id, bad, 1));
    assert_true(damaged(t, 0));
    assert_true(damaged(t, 1));
}

static void a_mark_of_damage_goes_with_what_it_is_of(void **state)
{
    struct two *t = *state;
    const char *key = "tapes/OLD001L8/seg/00000003-00000007-0000000001";
    must(t, db_damaged_add(t->db, t->a.id, &t->x.segs[0].id, 1));
    must(t, db_damaged_add(t->db, t->a.id, &t->x.segs[1].id, 1));
    must(t, db_change(t->db, &t->a, &(struct db_change){.truncate = true, .object = 10}));
    must(t, db_garbage_done(t->db, t->a.rowid, &key, 1));
    assert_true(damaged(t, 0));
    assert_false(damaged(t, 1));
    struct db_cartridge c = {.barcode = "MORE01L8", .id = {3}};
    must(t, db_cartridge_add(t->db, &c, 0));
    must(t, db_damaged_add(t->db, c.id, &own, 1));
    must(t, db_cartridge_remove(t->db, c.rowid, c.barcode));
    assert_int_equal(db_is_damaged(t->db, c.id, &own), 0);
    assert_true(damaged(t, 0));
}

/* Whoever deletes looks behind the transaction that made it garbage: what nobody leans on then is deleted. */
static void nobody_is_the_first_to_lean_on_garbage(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 1);
    list(t, 5);
    must(t, db_change(t->db, &t->a, &(struct db_change){.truncate = true, .object = 10}));
    assert_int_equal(lean_on(t, &s), -ESTALE);
    s = source(t, 0);
    must(t, lean_on(t, &s));
}

static int lean_of(struct two *t, int64_t leaner, uint64_t number, const struct seg_source *s)
{
    return db_lean_add(t->db, leaner, &(struct seg_id){9, WRITER, number}, 0, s);
}

/* It stays for the first, and so it does for the second, which may be the tape that had it. */
static void who_leans_on_garbage_already_is_followed_by_others(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 1), other = s;
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, db_change(t->db, &t->a, &(struct db_change){.truncate = true, .object = 10}));
    assert_int_equal(db_is_source(t->db, &s), 0);
    other.crc++; /* another object than the one that is leaned on */
    assert_int_equal(lean_of(t, t->b.rowid, 2, &other), -ESTALE);
    must(t, lean_of(t, t->b.rowid, 2, &s));
    must(t, lean_of(t, t->a.rowid, 3, &s));
    t->b.fenced = DB_FENCED_STALE; /* what it had does not count */
    must(t, db_cartridge_update(t->db, &t->b));
    assert_int_equal(lean_of(t, t->a.rowid, 4, &s), 0); /* but that of the tape itself does */
    t->a.fenced = DB_FENCED_STALE;
    must(t, db_cartridge_update(t->db, &t->a));
    assert_int_equal(lean_of(t, t->a.rowid, 5, &s), -ESTALE);
}

/* ---- lasting ---- */

static void open_own(struct two *t)
{
    must(t, db_segment_open(t->db, &t->b, &(struct seg_ref){.id = own}));
}

/* A head that does not list it any more is the last one now. */
static void who_is_in_the_last_head_no_more_leans_no_more(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0), next = source(t, 1);
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, db_lend_no_more(t->db, t->a.rowid));
    assert_int_equal(lean_on(t, &next), -ESTALE);
}

static void a_lean_lasts_until_the_object_that_leans_is_gone(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    struct seg_ref r = {.id = own, .objects = 1, .size = 100};
    const char *key = "tapes/NEW001L8/seg/00000009-00000007-0000000001";
    list(t, 5);
    must(t, lean_on(t, &s));
    open_own(t);
    must(t, db_change(t->db, &t->b, &(struct db_change){.sealed = &r}));
    must(t, db_segment_stored(t->db, t->b.rowid, &own));
    must(t, db_garbage_done(t->db, t->b.rowid, &key, 1)); /* of an object that was there before, under this name */
    assert_int_equal(leans_of(t, NULL), 1);
    must(t, db_change(t->db, &t->b, &(struct db_change){.truncate = true}));
    assert_int_equal(leans_of(t, NULL), 1); /* the last head may name it */
    must(t, db_garbage_done(t->db, t->b.rowid, &key, 1));
    assert_int_equal(leans_of(t, NULL), 0);
}

/* Others lean on it, and on what it holds itself. What is known of the object is known still. */
static void garbage_that_stays_leans_on_nothing(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    struct seg_ref r = {.id = own, .objects = 1, .size = 100};
    const char *key = "tapes/NEW001L8/seg/00000009-00000007-0000000001";
    list(t, 5);
    must(t, lean_on(t, &s));
    open_own(t);
    must(t, db_change(t->db, &t->b, &(struct db_change){.sealed = &r}));
    must(t, db_segment_stored(t->db, t->b.rowid, &own));
    must(t, db_damaged_add(t->db, t->b.id, &own, 1));
    must(t, db_garbage_stays(t->db, t->b.rowid, &key, 1)); /* it is live */
    assert_int_equal(leans_of(t, NULL), 1);
    must(t, db_change(t->db, &t->b, &(struct db_change){.truncate = true}));
    must(t, db_garbage_stays(t->db, t->b.rowid, &key, 1));
    assert_int_equal(leans_of(t, NULL), 0);
    assert_int_equal(db_has_segment(t->db, t->b.id, &own), 1);
    assert_int_equal(db_is_damaged(t->db, t->b.id, &own), 1);
}

static void a_lean_of_an_open_segment_goes_with_it(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    list(t, 5);
    must(t, lean_on(t, &s));
    open_own(t);
    must(t, db_segment_drop(t->db, t->b.rowid, &own));
    assert_int_equal(leans_of(t, NULL), 0);
}

static void a_lean_follows_the_name_of_its_segment(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    const struct seg_id other = {10, WRITER + 2, 77};
    list(t, 5);
    must(t, lean_on(t, &s));
    open_own(t);
    must(t, db_segment_rename(t->db, &t->b, &own, &other));
    assert_int_equal(leans_of(t, &own), 0);
    assert_int_equal(leans_of(t, &other), 1);
}

static void leans_and_leaners_go_with_their_cartridge(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 0);
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, db_cartridge_remove(t->db, t->b.rowid, t->b.barcode));
    assert_int_equal(leans_of(t, NULL), 0);
    must(t, db_cartridge_add(t->db, &t->b, 0));
}

/* ---- asking ---- */

struct found {
    unsigned n;
    struct seg_id last;
    struct db_share share;
    char barcode[33];
};

static int found_id(void *arg, const struct seg_id *id)
{
    struct found *f = arg;
    f->n++;
    f->last = *id;
    return 0;
}

static int found_share(void *arg, const struct db_share *s)
{
    struct found *f = arg;
    f->n++;
    f->share = *s;
    return 0;
}

static int found_barcode(void *arg, const char *barcode)
{
    struct found *f = arg;
    f->n++;
    (void)snprintf(f->barcode, sizeof(f->barcode), "%s", barcode);
    return 0;
}

static void what_is_leaned_on_is_told_once(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 1);
    struct found f = {0};
    list(t, 5);
    must(t, lean_on(t, &s));
    must(t, db_lean_add(t->db, t->b.rowid, &(struct seg_id){9, WRITER, 2}, 0, &s)); /* by two segments */
    must(t, db_leaned_on(t->db, "OLD001L8", 0, found_id, &f));
    assert_int_equal(f.n, 1);
    assert_int_equal(seg_id_compare(&f.last, &s.id), 0);
    f.n = 0;
    must(t, db_leaners_of(t->db, "OLD001L8", &s.id, found_barcode, &f));
    assert_int_equal(f.n, 1);
    assert_string_equal(f.barcode, "NEW001L8");
    f.n = 0;
    must(t, db_shares(t->db, "OLD001L8", true, found_share, &f));
    assert_string_equal(f.share.barcode, "NEW001L8");
    assert_int_equal(f.share.segments, 1);
    assert_int_equal(f.share.bytes, 1001);
    must(t, db_shares(t->db, "NEW001L8", false, found_share, &f));
    assert_string_equal(f.share.barcode, "OLD001L8");
    assert_int_equal(f.n, 2);
}

static void what_a_fenced_cartridge_had_holds_nothing_up(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 1);
    struct found f = {0};
    list(t, 5);
    must(t, lean_on(t, &s));
    t->b.fenced = DB_FENCED_STALE;
    must(t, db_cartridge_update(t->db, &t->b));
    must(t, db_leaned_on(t->db, "OLD001L8", 0, found_id, &f));
    assert_int_equal(f.n, 0);
}

/* As a rebuild and a takeover make it. */
static void leans_and_leaners_come_with_the_bucket_s_view(void **state)
{
    struct two *t = *state;
    struct seg_source s = source(t, 1);
    struct head h;
    struct tape_index x;
    bool listed = false;
    head_init(&h);
    h.leaners = &t->leaner;
    h.n_leaners = 1;
    must(t, db_cartridge_adopt(t->db, &t->a, &t->x, &h));
    must(t, db_lend(t->db, t->a.rowid, &t->leaner, t->leaner.head.number, &listed));
    assert_true(listed);
    head_init(&h);
    assert_int_equal(tape_index_copy(&x, &t->x), 0);
    assert_int_equal(leans_add(&x.leans, 1, &s), 0);
    must(t, db_cartridge_restore(t->db, t->b.rowid, &t->b, 0, &x, &h));
    assert_int_equal(leans_of(t, &x.segs[1].id), 1);
    tape_index_free(&x);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_lean_is_added_once_and_found),
        T(no_lean_before_the_head_of_the_source_lists_the_leaner),
        T(no_lean_by_what_another_run_was_listed_for),
        T(no_lean_behind_a_head_at_rest_before_it_is_listed_anew),
        T(no_lean_by_who_is_dropped),
        T(who_leans_is_not_dropped),
        T(only_what_the_head_names_is_a_source),
        T(only_the_segment_that_is_meant_is_a_source),
        T(no_lean_of_or_on_who_is_fenced),
        T(what_is_damaged_is_no_source),
        T(a_mark_of_damage_goes_with_what_it_is_of),
        T(nobody_is_the_first_to_lean_on_garbage),
        T(who_leans_on_garbage_already_is_followed_by_others),
        T(who_is_in_the_last_head_no_more_leans_no_more),
        T(a_lean_lasts_until_the_object_that_leans_is_gone),
        T(garbage_that_stays_leans_on_nothing),
        T(a_lean_of_an_open_segment_goes_with_it),
        T(a_lean_follows_the_name_of_its_segment),
        T(leans_and_leaners_go_with_their_cartridge),
        T(what_is_leaned_on_is_told_once),
        T(what_a_fenced_cartridge_had_holds_nothing_up),
        T(leans_and_leaners_come_with_the_bucket_s_view),
    };
    return cmocka_run_group_tests_name("leans", tests, NULL, NULL);
}
