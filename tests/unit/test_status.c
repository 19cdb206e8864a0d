/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_status.c: what "status" calls what a drive is doing. */
#include <pthread.h>

#include "tests/unit/library_rig.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/library/library_private.h"
#include "vtl/library/names.h"

static void every_activity_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(activity_name(TAPE_IDLE), "idle");
    assert_string_equal(activity_name(TAPE_READING_ENCRYPTED), "reading");
    assert_string_equal(activity_name(TAPE_WRITING_ENCRYPTED), "writing");
    for (unsigned i = 0; i < 256; i++)
        assert_true(strlen(activity_name((enum tape_activity)i)) > 3);
}

static void every_type_of_element_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(element_type_name(ELEMENT_IMPORT_EXPORT), "import_export");
    for (unsigned i = 0; i < 256; i++)
        assert_true(strlen(element_type_name((enum element_type)i)) > 3);
}

/* ---- while a job runs ---- */

struct job {
    void *drive;
    bool read;
    atomic_bool stop;
    enum tape_result result;
};

static void *run_job(void *arg)
{
    static const uint8_t key[TAPE_KEY_SIZE] = {1, 2, 3};
    static const struct tape_crypt crypt = {.key = key, .encrypt = true, .decrypt = true};
    struct job *j = arg;
    const struct tape_ops *ops = library_drive_ops();
    while (!j->result && !atomic_load(&j->stop)) {
        uint32_t len = sizeof(back);
        enum tape_result r = j->read ? ops->read(j->drive, back, &len, &crypt, &never)
                                     : ops->write(j->drive, block, length_of(1), true, &crypt, &never);
        j->result = r ? ops->rewind(j->drive, &never) : r; /* at the end of what is to be read, or of the tape */
    }
    return NULL;
}

/* The job goes on until status has told of it. */
static void expect_state(struct library *lib, bool reading, const char *want)
{
    struct job j = {.drive = library_drive(lib, 0), .read = reading};
    pthread_t t;
    bool told = false;
    assert_int_equal(pthread_create(&t, NULL, run_job, &j), 0);
    for (int i = 0; i < 20000 && !told; i++) {
        json_t *r = call(lib, json_pack("{s:s}", "op", "status"));
        const json_t *d = json_array_get(json_object_get(r, "drives"), 0);
        told = !strcmp(json_string_value(json_object_get(d, "state")), want);
        json_decref(r);
    }
    atomic_store(&j.stop, true);
    pthread_join(t, NULL);
    assert_int_equal(j.result, TAPE_OK);
    assert_true(told);
}

static void status_tells_of_an_encrypted_job(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "STA001L8");
    move(lib, SLOT, DRIVE);
    fill(1);
    expect_state(lib, false, "writing");
    assert_int_equal(library_drive_ops()->rewind(library_drive(lib, 0), &never), TAPE_OK);
    expect_state(lib, true, "reading");
    close_library(lib);
    config_free(c);
}

/* ---- nobody serves ---- */

static void expect_amounts(const struct vtl_config *c, json_int_t local, json_int_t accepted)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(c, 0, &lib, &err))
        fail_msg("%s", err.text);
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    const json_t *d = json_array_get(json_object_get(s, "drives"), 0);
    assert_true(json_is_false(json_object_get(s, "serving")));
    assert_string_equal(json_string_value(json_object_get(d, "barcode")), "STA002L8");
    assert_string_equal(json_string_value(json_object_get(d, "state")), "unloaded");
    assert_in_range(json_integer_value(json_object_get(s, "local_only_bytes")), local, local + 2000);
    assert_in_range(json_integer_value(json_object_get(s, "accepted_bytes")), accepted, accepted + 2000);
    json_decref(s);
    close_library(lib);
}

/* As the disk is after a kill -9: a committed segment, one that is sealed and not stored, and one that is open. */
static void what_a_killed_run_left_is_only_on_this_disk(void **state)
{
    (void)state;
    char command[300];
    static uint8_t noise[300000];
    uint32_t x = 1;
    struct vtl_config *c = config("one", "local", "64M"), *copy = config("two", "local", "64M");
    struct library *lib = new_library(c, "STA002L8");
    const struct tape_ops *ops = library_drive_ops();
    void *d = library_drive(lib, 0);
    for (size_t k = 0; k < sizeof(noise); k++) /* which does not compress */
        noise[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    move(lib, SLOT, DRIVE);
    assert_int_equal(ops->write(d, noise, sizeof(noise), false, NULL, &never), TAPE_OK);
    flush_remote(lib);
    (void)snprintf(command, sizeof(command), "mv %s/store/tapes/STA002L8/seg %s/seg && : >%s/store/tapes/STA002L8/seg",
                   dir, dir, dir);
    assert_int_equal(system(command), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ops->write(d, noise, sizeof(noise), false, NULL, &never), TAPE_OK);
        if (!i)
            json_decref(call(lib, json_pack("{s:s}", "op", "flush")));        /* seals */
        assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK); /* syncs */
    }
    (void)snprintf(command, sizeof(command), "cp -r %s/one %s/two", dir, dir);
    assert_int_equal(system(command), 0);
    expect_amounts(copy, 2 * sizeof(noise), sizeof(noise));
    close_library(lib);
    config_free(copy);
    config_free(c);
}

/* ---- the store ---- */

static struct objstore_ops other_ops;

/* Noted by a clock that was a year ahead: it is old after as long as any other. */
static void what_waits_since_a_time_to_come_waits_from_now_on(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "CLK001L8");
    struct cartridge_backlog b;
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    struct cartridge *t = library_cartridge(lib, "CLK001L8");
    uint64_t ahead = engine_time() + 365 * 86400u;
    lock_take(&t->lock);
    t->changed_since = ahead;
    for (size_t i = 0; i < t->n_pending; i++)
        t->pending[i].since = ahead;
    lock_release(&t->lock);
    cartridge_backlog(t, &b);
    assert_in_range(b.since, 1, engine_time());
    lock_take(&t->lock); /* and it stays so */
    assert_in_range(t->changed_since, 1, engine_time());
    lock_release(&t->lock);
    close_library(lib);
    config_free(c);
}

static void bad_health(struct objstore *s, struct obj_health *out)
{
    (void)s;
    *out = (struct obj_health){.text = "put k: no answer for 10 s", .since_ms = 12345};
}

static void versioned(struct objstore *s, struct obj_facts *out)
{
    (void)s;
    *out = (struct obj_facts){.creates = OBJ_YES, .versioned = OBJ_YES};
}

static void status_tells_of_the_store(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = NULL;
    struct errtext err = {""};
    init_library(c);
    /* Not LIBRARY_SERVE: no thread of the library looks at the store while its operations are exchanged. */
    assert_int_equal(library_open(c, 0, &lib, &err), 0);
    json_t *r = call(lib, json_pack("{s:s}", "op", "status")), *s = json_object_get(r, "store");
    assert_true(json_is_null(json_object_get(s, "trouble")));
    assert_int_equal(json_array_size(json_object_get(s, "advice")), 0);
    json_decref(r);
    other_ops = *lib->eng.store->ops;
    other_ops.health = bad_health;
    other_ops.facts = versioned;
    lib->eng.store->ops = &other_ops;
    r = call(lib, json_pack("{s:s}", "op", "status"));
    s = json_object_get(r, "store");
    assert_string_equal(json_string_value(json_object_get(s, "trouble")), "put k: no answer for 10 s");
    assert_int_equal(json_integer_value(json_object_get(s, "since_ms")), 12345);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(s, "advice"), 0)), "keeps old versions"));
    json_decref(r);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_activity_has_a_word),
        cmocka_unit_test(every_type_of_element_has_a_word),
        T(status_tells_of_an_encrypted_job),
        T(what_a_killed_run_left_is_only_on_this_disk),
        T(status_tells_of_the_store),
        T(what_waits_since_a_time_to_come_waits_from_now_on),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
