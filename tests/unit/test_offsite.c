/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_offsite.c: what is called off-site, of a store and of cartridges, and who waits for it. */
#include <errno.h>

#include "base/clock.h"
#include "tests/unit/library_rig.h"
#include "vtl/cartridge/commit.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/library_private.h"

/* ---- a store's answers ---- */

static void answer_at(struct offsite *o, uint64_t before_ms, uint64_t now_ms)
{
    offsite_answer(o, &(struct obj_offsite){.before_ms = before_ms}, NULL, now_ms);
}

static void only_what_was_accepted_before_the_moment_told_is_off_site(void **state)
{
    struct offsite o;
    (void)state;
    offsite_init(&o);
    assert_false(offsite_has(&o, 0));
    answer_at(&o, 1000, 1001);
    assert_true(offsite_has(&o, 999));
    assert_false(offsite_has(&o, 1000)); /* which of the two was first? */
    answer_at(&o, 0, 1002);              /* some is missing again: what was off-site stays so */
    assert_true(offsite_has(&o, 999));
    offsite_answer(&o, &(struct obj_offsite){.before_ms = 5000}, &(struct errtext){"no answer"}, 1003);
    assert_false(offsite_has(&o, 1000));
    offsite_fini(&o);
}

static void bytes_wait_until_a_question_after_them_is_answered(void **state)
{
    struct offsite o;
    (void)state;
    offsite_init(&o);
    offsite_take(&o, 100, 10);
    offsite_ask(&o, 20);
    offsite_take(&o, 50, 21);
    assert_int_equal(offsite_waiting(&o), 150);
    answer_at(&o, 20, 30);
    assert_int_equal(offsite_waiting(&o), 50);
    for (uint64_t i = 0; i < 2 * OFFSITE_MARKS; i++) /* its mark is forgotten: nothing is told too early */
        offsite_ask(&o, 40 + i);
    answer_at(&o, 21, 500);
    assert_int_equal(offsite_waiting(&o), 50);
    answer_at(&o, 40 + 2 * OFFSITE_MARKS - 1, 501);
    assert_int_equal(offsite_waiting(&o), 0);
    offsite_fini(&o);
}

static void the_rate_is_measured_while_somebody_waits(void **state)
{
    struct offsite o;
    (void)state;
    offsite_init(&o);
    uint64_t now = clock_ms();
    offsite_take(&o, 1000000, now);
    offsite_ask(&o, now + 1);
    answer_at(&o, now + 1, now + 60000);
    assert_int_equal(atomic_load(&o.rate), 0); /* nobody was in a hurry */
    offsite_take(&o, 8000000, now + 60001);
    offsite_ask(&o, now + 60002);
    offsite_want(&o);
    atomic_store(&o.wanted_ms, now + 62000);
    answer_at(&o, now + 60002, now + 62001);
    assert_int_equal(atomic_load(&o.rate), 4000000);
    offsite_fini(&o);
}

static void why_says_what_the_store_said(void **state)
{
    struct offsite o;
    struct errtext why;
    (void)state;
    offsite_init(&o);
    offsite_answer(&o, &(struct obj_offsite){.why = "3 buffers"}, NULL, 1);
    offsite_hurried(&o, &(struct errtext){"not enough hosts"});
    offsite_why(&o, &why);
    assert_string_equal(why.text, "3 buffers; asked to hurry: not enough hosts");
    offsite_answer(&o, &(struct obj_offsite){.why = ""}, &(struct errtext){"no answer"}, 2);
    offsite_why(&o, &why);
    assert_string_equal(why.text, "no answer; asked to hurry: not enough hosts");
    offsite_fini(&o);
}

/* ---- a library ---- */

struct amounts {
    json_int_t local, accepted, offsite, whole;
};

static struct amounts amounts_of(struct library *lib)
{
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    const json_t *c = json_array_get(json_object_get(s, "cartridges"), 0);
    struct amounts a = {.local = json_integer_value(json_object_get(s, "local_only_bytes")),
                        .accepted = json_integer_value(json_object_get(s, "accepted_bytes")),
                        .offsite = json_integer_value(json_object_get(s, "offsite_bytes"))};
    a.whole = a.local + a.accepted + a.offsite;
    assert_non_null(json_object_get(s, "offsite_bytes"));
    assert_int_equal(json_integer_value(json_object_get(c, "offsite_bytes")), a.offsite);
    assert_int_equal(json_integer_value(json_object_get(c, "accepted_bytes")), a.accepted);
    assert_int_equal(json_integer_value(json_object_get(c, "stored_bytes")), a.accepted + a.offsite);
    json_decref(s);
    return a;
}

/* As the threads that ask a store would. */
static void tell_all(struct library *lib)
{
    uint64_t now = clock_ms() + 1;
    while (clock_ms() <= now)
        ;
    offsite_ask(&lib->eng.offsite, now);
    offsite_answer(&lib->eng.offsite, &(struct obj_offsite){.before_ms = now}, NULL, now + 1);
    progress_post(&lib->eng.progress);
}

static struct library *telling_library(struct vtl_config **c)
{
    *c = config("one", "local", "64M");
    struct library *lib = new_library(*c, "OFF001L8");
    atomic_store(&lib->eng.offsite.told, true);
    move(lib, SLOT, DRIVE);
    return lib;
}

static void write_some(struct library *lib, uint64_t id, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(write_id(library_drive(lib, 0), id + i), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 1, true, &never), TAPE_OK);
}

static void each_byte_is_in_one_of_three_states(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    write_some(lib, 1, 20);
    struct amounts a = amounts_of(lib), b;
    assert_int_equal(a.accepted + a.offsite, 0);
    flush_remote(lib);
    a = amounts_of(lib);
    assert_true(a.accepted > 1000000);
    assert_int_equal(a.local + a.offsite, 0);
    tell_all(lib);
    b = amounts_of(lib);
    assert_int_equal(b.offsite, a.whole);
    assert_int_equal(b.local + b.accepted, 0);
    /* More is written: what was off-site stays so, and only that. */
    write_some(lib, 100, 10);
    a = amounts_of(lib);
    assert_true(a.local > 0);
    assert_int_equal(a.offsite, b.offsite);
    flush_remote(lib);
    a = amounts_of(lib);
    assert_int_equal(a.offsite, b.offsite);
    assert_true(a.accepted > 0);
    tell_all(lib);
    a = amounts_of(lib);
    assert_int_equal(a.offsite, a.whole);
    close_library(lib);
    config_free(c);
}

static void what_is_overwritten_is_off_site_no_more(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    void *d = library_drive(lib, 0);
    (void)state;
    write_some(lib, 1, 30);
    flush_remote(lib);
    tell_all(lib);
    struct amounts a = amounts_of(lib), b;
    assert_int_equal(library_drive_ops()->locate_object(d, 0, 10, &never), TAPE_OK);
    write_some(lib, 500, 30);
    b = amounts_of(lib);
    assert_true(b.offsite < a.offsite);
    flush_remote(lib);
    b = amounts_of(lib);
    assert_true(b.offsite < a.offsite && b.accepted > 0);
    /* And again, before anybody told of that. */
    a = b;
    assert_int_equal(library_drive_ops()->locate_object(d, 0, 2, &never), TAPE_OK);
    write_some(lib, 900, 40);
    flush_remote(lib);
    b = amounts_of(lib);
    assert_true(b.offsite < a.offsite && b.accepted > 3000000);
    /* It stays so when it is put away, and no index of it is in memory. */
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    a = amounts_of(lib);
    assert_int_equal(a.offsite, b.offsite);
    assert_int_equal(a.whole, b.whole);
    tell_all(lib);
    a = amounts_of(lib);
    assert_int_equal(a.offsite, a.whole);
    close_library(lib);
    config_free(c);
}

/* The moment that the store tells of lies before the commit: it says nothing about it. */
static void an_answer_to_an_earlier_question_does_not_count(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    uint64_t begin = clock_ms();
    offsite_ask(&lib->eng.offsite, begin);
    write_some(lib, 1, 20);
    flush_remote(lib);
    offsite_answer(&lib->eng.offsite, &(struct obj_offsite){.before_ms = begin}, NULL, clock_ms());
    assert_int_equal(amounts_of(lib).offsite, 0);
    close_library(lib);
    config_free(c);
}

static void a_restart_forgets(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    write_some(lib, 1, 20);
    flush_remote(lib);
    tell_all(lib);
    assert_true(amounts_of(lib).offsite > 0);
    close_library(lib);
    lib = open_library(c);
    atomic_store(&lib->eng.offsite.told, true);
    struct amounts a = amounts_of(lib);
    assert_int_equal(a.offsite, 0);
    assert_int_equal(a.accepted, a.whole);
    close_library(lib);
    config_free(c);
}

/* tape remove claims what nobody has loaded since the start. */
static void a_tape_that_is_not_in_memory_is_claimed_as_it_is(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    write_some(lib, 1, 20);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    for (int told = 0; told < 2; told++) {
        close_library(lib);
        lib = open_library(c);
        atomic_store(&lib->eng.offsite.told, true);
        if (told)
            tell_all(lib);
        struct amounts a = amounts_of(lib), b;
        assert_true(a.whole > 1000000);
        assert_int_equal(told ? a.offsite : a.accepted, a.whole);
        const struct obj_call store_call = {.max_tries = 1};
        struct errtext err = {""};
        assert_int_equal(commit_claim(library_cartridge(lib, "OFF001L8"), &store_call, &err), 0);
        b = amounts_of(lib);
        assert_memory_equal(&a, &b, sizeof(a));
        move(lib, SLOT, DRIVE); /* it is loaded */
        b = amounts_of(lib);
        assert_memory_equal(&a, &b, sizeof(a));
        move(lib, DRIVE, SLOT);
    }
    close_library(lib);
    lib = open_library(c);
    tell_all(lib);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "OFF001L8", "force", 1)));
    close_library(lib);
    config_free(c);
}

static void where_the_store_does_not_tell_the_word_is_not_used(void **state)
{
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "OFF001L8");
    struct errtext err = {""};
    (void)state;
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    char *text = json_dumps(s, 0);
    assert_null(json_object_get(s, "offsite_bytes"));
    assert_null(json_object_get(json_object_get(s, "store"), "offsite"));
    assert_null(strstr(text, "off-site"));
    free(text);
    json_decref(s);
    json_t *flush = json_pack("{s:s, s:b}", "op", "flush", "offsite", 1);
    assert_null(library_call(lib, flush, &err));
    assert_non_null(strstr(err.text, "[store] admin_url"));
    json_decref(flush);
    close_library(lib);
    config_free(c);
}

static bool flush_offsite(struct library *lib, char waiting[300])
{
    json_t *r = call(lib, json_pack("{s:s, s:b, s:i}", "op", "flush", "offsite", 1, "timeout_ms", 300));
    bool done = json_is_true(json_object_get(r, "offsite"));
    const char *text = json_string_value(json_object_get(r, "waiting"));
    (void)snprintf(waiting, 300, "%s", text ? text : "");
    json_decref(r);
    return done;
}

static void flush_offsite_waits_for_all_that_the_store_took(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    char waiting[300];
    (void)state;
    write_some(lib, 1, 20);
    flush_remote(lib);
    offsite_answer(&lib->eng.offsite, &(struct obj_offsite){.missing = 5, .why = "5 B in a buffer"}, NULL, clock_ms());
    assert_false(flush_offsite(lib, waiting));
    assert_string_equal(waiting, "5 B in a buffer");
    assert_true(offsite_is_wanted(&lib->eng.offsite, clock_ms()));
    tell_all(lib);
    assert_true(flush_offsite(lib, waiting));
    /* A change of the elements is an object, too. */
    move(lib, DRIVE, SLOT);
    assert_false(flush_offsite(lib, waiting));
    tell_all(lib);
    assert_true(flush_offsite(lib, waiting));
    /* So is what another gateway put, once this one has it: nothing was put here, and yet the store has to be asked. */
    (void)offsite_now(&lib->eng.offsite);
    assert_false(flush_offsite(lib, waiting));
    /* And what is put to fill a slab up. */
    tell_all(lib);
    atomic_store(&lib->offsite_hurries, true);
    assert_false(flush_offsite(lib, waiting));
    atomic_store(&lib->offsite_hurries, false);
    assert_true(flush_offsite(lib, waiting));
    close_library(lib);
    config_free(c);
}

/* ---- durability = offsite ---- */

static void a_sync_waits_for_it_and_ends_in_time(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    struct drive *d = library_drive(lib, 0);
    (void)state;
    atomic_store(&lib->eng.live.durability, DURABILITY_OFFSITE);
    d->flush_limit_ms = d->remove_limit_ms = 500;
    assert_int_equal(write_id(d, 1), TAPE_OK);
    struct errtext err = {""};
    assert_int_equal(drive_flush(d, &never, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "are accepted by the store and not off-site: it is being found out"));
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_WRITE_ERROR);
    assert_true(offsite_is_wanted(&lib->eng.offsite, clock_ms()));
    tell_all(lib);
    if (drive_flush(d, &never, &err))
        fail_msg("%s", err.text);
    atomic_store(&lib->eng.live.durability, DURABILITY_LOCAL);
    close_library(lib);
    config_free(c);
}

static void what_is_not_off_site_counts_against_the_limit(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    write_some(lib, 1, 20);
    flush_remote(lib);
    uint64_t waiting = offsite_waiting(&lib->eng.offsite);
    assert_true(waiting > 1000000);
    assert_int_equal(engine_dirty(&lib->eng), 0);
    atomic_store(&lib->eng.live.durability, DURABILITY_OFFSITE);
    assert_int_equal(engine_dirty(&lib->eng), waiting);
    /* As long as nobody knows how fast it goes, the least there may be, however fast the store takes it. */
    assert_int_equal(engine_dirty_limit(&lib->eng), 2 * (c->store.parallel + 1) * c->spool.segment_size);
    atomic_store(&lib->eng.live.durability, DURABILITY_REMOTE);
    assert_true(engine_dirty_limit(&lib->eng) > 2 * (c->store.parallel + 1) * c->spool.segment_size);
    atomic_store(&lib->eng.live.durability, DURABILITY_LOCAL);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_accepted_before_the_moment_told_is_off_site),
        cmocka_unit_test(bytes_wait_until_a_question_after_them_is_answered),
        cmocka_unit_test(the_rate_is_measured_while_somebody_waits),
        cmocka_unit_test(why_says_what_the_store_said),
        T(each_byte_is_in_one_of_three_states),
        T(what_is_overwritten_is_off_site_no_more),
        T(an_answer_to_an_earlier_question_does_not_count),
        T(a_restart_forgets),
        T(a_tape_that_is_not_in_memory_is_claimed_as_it_is),
        T(where_the_store_does_not_tell_the_word_is_not_used),
        T(flush_offsite_waits_for_all_that_the_store_took),
        T(a_sync_waits_for_it_and_ends_in_time),
        T(what_is_not_off_site_counts_against_the_limit),
    };
    return cmocka_run_group_tests_name("offsite", tests, NULL, NULL);
}
