/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_rebuild.c: library rebuild: cartridges side by side, results in order, and what is only on the local disk. */
#include "tests/unit/library_rig.h"

#include <errno.h>
#include <glob.h>

#include "base/clock.h"
#include "vtl/library/library_private.h"

/* ---- rebuild_read, which waits for others of its kind ---- */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_cond = PTHREAD_COND_INITIALIZER;
static unsigned gate, met;

struct rebuild_reading *__real_rebuild_read(struct objstore *store, const char *barcode, const atomic_bool *cancel);
struct rebuild_reading *__wrap_rebuild_read(struct objstore *store, const char *barcode, const atomic_bool *cancel);
struct rebuild_reading *__wrap_rebuild_read(struct objstore *store, const char *barcode, const atomic_bool *cancel)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&gate_lock);
    met++;
    pthread_cond_broadcast(&gate_cond);
    while (met < gate)
        if (pthread_cond_timedwait(&gate_cond, &gate_lock, &until))
            gate = 0; /* they never meet: let all go */
    pthread_mutex_unlock(&gate_lock);
    return __real_rebuild_read(store, barcode, cancel);
}

/* ---- a spool that is a mount point ---- */

static atomic_bool is_mounted;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    size_t n = strlen(from), m = strlen("/spool");
    if (!atomic_load(&is_mounted) || n < m || strcmp(from + n - m, "/spool") != 0)
        return __real_rename(from, to);
    errno = EBUSY;
    return -1;
}

/* ---- side by side ---- */

static void make_tapes(struct library *lib, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char barcode[33];
        (void)snprintf(barcode, sizeof(barcode), "REB%03uL8", i);
        json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0)));
    }
}

static int rebuild(const struct vtl_config *c, const struct rebuild_options *o, json_t **r, struct errtext *err)
{
    *r = NULL;
    err->text[0] = '\0';
    met = 0;
    int rc = library_rebuild(c, o, r, err);
    gate = 0;
    return rc;
}

static const char *barcode_at(const json_t *list, size_t i)
{
    return json_string_value(json_object_get(json_array_get(list, i), "barcode"));
}

static void count(void *arg, uint64_t done, uint64_t total)
{
    uint64_t *last = arg;
    assert_true(done >= *last && done <= total);
    *last = done;
}

static void heads_are_read_side_by_side_and_end_where_they_were(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    struct library *lib = new_library(c, "REB001L8");
    make_tapes(lib, 2, 8);
    move(lib, SLOT + 2, DRIVE); /* it comes back to its slot */
    move(lib, SLOT + 6, ELEMENT_FIRST_IMPORT_EXPORT);
    close_library(lib);
    json_t *r = NULL;
    struct errtext err;
    uint64_t last = 0;
    const struct rebuild_options o = {.count = count, .arg = &last};
    gate = 8; /* all of them: 4 times [store] parallel may be under way */
    uint64_t began = clock_ms();
    assert_int_equal(rebuild(two, &o, &r, &err), 0);
    assert_true(clock_ms() - began < 10000);
    assert_int_equal(last, 8);
    assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 8);
    for (unsigned i = 0; i < 8; i++) {
        char barcode[33];
        (void)snprintf(barcode, sizeof(barcode), "REB%03uL8", i + 1);
        assert_string_equal(barcode_at(json_object_get(r, "cartridges"), i), barcode);
        assert_int_equal(
            json_integer_value(json_object_get(json_array_get(json_object_get(r, "cartridges"), i), "address")),
            i == 6 ? ELEMENT_FIRST_IMPORT_EXPORT : SLOT + i);
    }
    json_decref(r);
    config_free(two);
    config_free(c);
}

static void damage_is_told_in_order_of_barcodes_and_stops_nothing(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    struct library *lib = new_library(c, "REB001L8");
    make_tapes(lib, 2, 8);
    /* The first one is on no element, so that it is taken last. */
    json_decref(call(lib, json_pack("{s:s, s:s, s:i}", "op", "tape-move", "barcode", "REB008L8", "address",
                                    ELEMENT_FIRST_IMPORT_EXPORT)));
    close_library(lib);
    static const unsigned bad[] = {2, 5, 7};
    for (size_t i = 0; i < 3; i++) {
        char command[300];
        (void)snprintf(command, sizeof(command),
                       "for f in %s/store/tapes/REB00%uL8/head/*; do chmod u+w $f; echo x >>$f; done", dir, bad[i]);
        assert_int_equal(system(command), 0);
    }
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(rebuild(two, NULL, &r, &err), 0);
    const json_t *failed = json_object_get(r, "failed");
    assert_int_equal(json_array_size(failed), 3);
    assert_string_equal(barcode_at(failed, 0), "REB002L8");
    assert_string_equal(barcode_at(failed, 1), "REB005L8");
    assert_string_equal(barcode_at(failed, 2), "REB007L8");
    assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 5);
    json_decref(r);
    config_free(two);
    config_free(c);
}

/* ---- what is only on the local disk ---- */

/* Segments of the tape cannot be stored any more, or can again. */
static void block_store(bool blocked)
{
    char seg[100], away[100];
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/REB001L8/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    if (blocked) {
        assert_int_equal(rename(seg, away), 0);
        fclose(fopen(seg, "w"));
    } else {
        assert_int_equal(remove(seg), 0);
        assert_int_equal(rename(away, seg), 0);
    }
}

static struct model m;

/* A library with one tape: 20 objects that are stored, and 10 that were synced to the spool only. */
static void make_backlog(const struct vtl_config *c)
{
    struct library *lib = new_library(c, "REB001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    flush_remote(lib);
    block_store(true);
    write_model(d, &m, m.n, 10, 100);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 0, false, &never), TAPE_OK);
    close_library(lib);
}

static void lose_state(void)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "rm %s/one/state.db*", dir);
    assert_int_equal(system(command), 0);
}

static void expect_refused(const struct vtl_config *c, const struct rebuild_options *o)
{
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(rebuild(c, o, &r, &err), -EBUSY);
    assert_non_null(strstr(err.text, "REB001L8"));
    assert_non_null(strstr(err.text, "--discard-backlog"));
    const json_t *list = json_object_get(r, "backlog"), *t = json_array_get(list, 0);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(barcode_at(list, 0), "REB001L8");
    assert_true(json_integer_value(json_object_get(t, "segments")) >= 1);
    assert_true(json_integer_value(json_object_get(t, "bytes")) > 100000);
    json_decref(r);
}

static size_t matches(const char *pattern)
{
    char path[300];
    glob_t g = {0};
    (void)snprintf(path, sizeof(path), "%s/one/%s", dir, pattern);
    (void)glob(path, 0, NULL, &g);
    size_t n = g.gl_pathc;
    globfree(&g);
    return n;
}

static void a_rebuild_by_force_names_what_is_only_in_the_spool(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    const struct rebuild_options force = {.force = true};
    make_backlog(c);
    expect_refused(c, &force);
    assert_int_equal(matches("*before*"), 0); /* nothing was touched: serving goes on where it was */
    block_store(false);
    struct library *lib = open_library(c);
    check_all(library_drive(lib, 0), &m);
    flush_remote(lib);
    close_library(lib);
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(rebuild(c, &force, &r, &err), 0);
    assert_null(json_object_get(r, "backlog"));
    json_decref(r);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

static void a_lost_state_is_not_rebuilt_over_what_is_only_in_the_spool(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    const struct rebuild_options dry = {.dry_run = true}, discard = {.discard_backlog = true};
    json_t *r = NULL;
    struct errtext err;
    make_backlog(c);
    lose_state();
    size_t files = matches("spool/REB001L8/*");
    expect_refused(c, NULL);
    assert_int_equal(matches("spool/REB001L8/*"), files);
    assert_int_equal(rebuild(c, &dry, &r, &err), 0);
    assert_int_equal(json_array_size(json_object_get(r, "backlog")), 1);
    json_decref(r);
    assert_int_equal(rebuild(c, &discard, &r, &err), 0);
    assert_int_equal(json_array_size(json_object_get(r, "backlog")), 1);
    json_decref(r);
    assert_int_equal(matches("spool.before-*/REB001L8/*"), files); /* set aside, all of it */
    block_store(false);
    m.n = 20; /* as the bucket has it */
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
}

static void a_cache_of_what_is_stored_is_no_backlog(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    json_t *r = NULL;
    struct errtext err;
    struct library *lib = new_library(c, "REB001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    flush_remote(lib);
    write_model(d, &m, 3, 10, 100); /* what it writes over stays in the cache for a while */
    flush_remote(lib);
    close_library(lib);
    assert_true(matches("spool/REB001L8/*") > 0);
    lose_state();
    assert_int_equal(rebuild(c, NULL, &r, &err), 0);
    assert_null(json_object_get(r, "backlog"));
    json_decref(r);
    assert_true(matches("spool/REB001L8/*") > 0);
    config_free(c);
}

/* The other one has gone on by the same numbers, and beyond. */
static void what_a_gateway_had_when_it_was_fenced_is_not_rebuilt_over(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    make_backlog(c);
    lose_state();
    block_store(false);
    rebuild_library(two);
    struct library *lib = open_library(two);
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < 3; i++) {
        write_model(library_drive(lib, 0), &m, 20 + (size_t)i * 20, 20, 500 + i * 20);
        flush_remote(lib);
    }
    move(lib, DRIVE, SLOT);
    close_library(lib);
    expect_refused(c, NULL);
    config_free(two);
    config_free(c);
}

/* A state without its spool, or the other way round, is neither the old library nor the new one. */
static void a_state_whose_spool_cannot_be_set_aside_stays(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    const struct rebuild_options force = {.force = true};
    json_t *r = NULL;
    struct errtext err;
    close_library(new_library(c, "REB001L8"));
    atomic_store(&is_mounted, true);
    assert_int_equal(rebuild(c, &force, &r, &err), -EBUSY);
    atomic_store(&is_mounted, false);
    assert_non_null(strstr(err.text, "/spool: cannot be set aside"));
    json_decref(r);
    assert_int_equal(matches("*before*"), 0);
    struct library *lib = open_library(c);
    assert_non_null(library_cartridge(lib, "REB001L8"));
    close_library(lib);
    config_free(c);
}

static uint64_t epoch_of(struct library *lib)
{
    struct seg_id head;
    assert_true(cartridge_is_ours(library_cartridge(lib, "REB001L8"), &head));
    return head.epoch;
}

/* What of a removed one was on its way may land yet, and is not to win over a new one of that barcode. */
static void a_rebuild_keeps_what_is_known_of_removed_tapes(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    const struct rebuild_options force = {.force = true};
    char note[40];
    json_t *r = NULL;
    struct errtext err;
    close_library(new_library(c, "REB001L8"));
    for (int i = 0; i < 3; i++) { /* each run that claims it is of a higher epoch */
        struct library *lib = open_library(c);
        (void)gc_of(lib, "REB001L8");
        close_library(lib);
    }
    struct library *lib = open_library(c);
    (void)gc_of(lib, "REB001L8");
    uint64_t epoch = epoch_of(lib);
    assert_true(epoch > 3);
    json_decref(call(lib, json_pack("{s:s, s:s}", "op", "tape-remove", "barcode", "REB001L8")));
    assert_int_equal(db_meta_set(lib->eng.db, "unmade REB002L8", "00"), 0);
    close_library(lib);
    assert_int_equal(rebuild(c, &force, &r, &err), 0);
    json_decref(r);
    lib = open_library(c);
    make_tapes(lib, 1, 1);
    assert_true(epoch_of(lib) > epoch);
    assert_int_equal(db_meta_get(lib->eng.db, "unmade REB002L8", note, sizeof(note)), 0);
    assert_string_equal(note, "00");
    close_library(lib);
    config_free(c);
}

/* ---- operations side by side ---- */

static const char *error_at(const json_t *answers, size_t i)
{
    const json_t *a = json_array_get(answers, i);
    return json_is_true(json_object_get(a, "ok")) ? "" : json_string_value(json_object_get(a, "error"));
}

static void each_answers_in_order_and_a_failure_stops_none(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "REB001L8");
    make_tapes(lib, 2, 8);
    json_t *requests = json_array();
    for (unsigned i = 1; i <= 100; i++) {
        char barcode[33];
        (void)snprintf(barcode, sizeof(barcode), "REB%03uL8", i % 10); /* 0 and 9 are none */
        json_array_append_new(requests,
                              json_pack("{s:s, s:s, s:b}", "op", "tape-gc", "barcode", barcode, "dry_run", 1));
    }
    json_array_append_new(requests, json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", "NEW001L8"));
    json_array_append_new(requests, json_pack("{s:s, s:[]}", "op", "each", "requests"));
    json_array_append_new(requests, json_integer(1));
    json_t *r = call(lib, json_pack("{s:s, s:o}", "op", "each", "requests", requests));
    const json_t *answers = json_object_get(r, "answers");
    assert_int_equal(json_array_size(answers), 103);
    for (unsigned i = 1; i <= 100; i++) {
        char barcode[33];
        const json_t *a = json_array_get(answers, i - 1);
        (void)snprintf(barcode, sizeof(barcode), "REB%03uL8", i % 10);
        if (i % 10 == 0 || i % 10 == 9)
            assert_non_null(strstr(error_at(answers, i - 1), barcode));
        else
            assert_string_equal(json_string_value(json_object_get(json_object_get(a, "result"), "barcode")), barcode);
    }
    for (unsigned i = 100; i < 103; i++)
        assert_string_equal(error_at(answers, i), "not an operation that may be one of many");
    json_decref(r);
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(heads_are_read_side_by_side_and_end_where_they_were),
        TEST(damage_is_told_in_order_of_barcodes_and_stops_nothing),
        TEST(a_rebuild_by_force_names_what_is_only_in_the_spool),
        TEST(a_lost_state_is_not_rebuilt_over_what_is_only_in_the_spool),
        TEST(a_cache_of_what_is_stored_is_no_backlog),
        TEST(what_a_gateway_had_when_it_was_fenced_is_not_rebuilt_over),
        TEST(a_state_whose_spool_cannot_be_set_aside_stays),
        TEST(a_rebuild_keeps_what_is_known_of_removed_tapes),
        TEST(each_answers_in_order_and_a_failure_stops_none),
    };
    return cmocka_run_group_tests_name("rebuild", tests, NULL, NULL);
}
