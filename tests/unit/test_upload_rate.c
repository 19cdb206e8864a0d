/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_upload_rate.c: how fast uploads are, and how much may wait for them; and that WRITE and flush keep to it. */
#include "tests/unit/library_rig.h"

#include <errno.h>
#include <pthread.h>

#include "vtl/cartridge/upload_rate.h"

#define MB 1000000u

static void uploads_side_by_side_are_one_time(void **state)
{
    (void)state;
    struct upload_rate r;
    struct upload a = {0}, b = {0}, c = {0};
    upload_rate_init(&r);
    assert_int_equal(upload_rate_get(&r, 1000), 0);
    upload_rate_begin(&r, &a, 1000);
    upload_rate_begin(&r, &b, 1000);
    upload_rate_end(&r, &a, 10 * MB, 2000);
    upload_rate_end(&r, &b, 10 * MB, 2000);
    assert_int_equal(upload_rate_get(&r, 2000), 20 * MB);
    assert_int_equal(upload_rate_get(&r, 50000), 20 * MB); /* nothing runs: no time passes */
    upload_rate_begin(&r, &c, 50000);
    upload_rate_end(&r, &c, 0, 51000); /* a failure is time without bytes */
    assert_int_equal(upload_rate_get(&r, 51000), 10 * MB);
    upload_rate_fini(&r);
}

static void what_is_sent_counts_before_the_upload_ends(void **state)
{
    (void)state;
    struct upload_rate r;
    struct upload a = {0}, b = {0};
    upload_rate_init(&r);
    upload_rate_begin(&r, &a, 0);
    atomic_store(&a.sent, 10 * MB);
    assert_int_equal(upload_rate_get(&r, 1000), 10 * MB);
    upload_rate_begin(&r, &b, 1000);
    atomic_store(&b.sent, 10 * MB);
    assert_int_equal(upload_rate_get(&r, 2000), 10 * MB);
    atomic_store(&b.sent, 0); /* it begins again */
    assert_int_equal(upload_rate_get(&r, 2000), 5 * MB);
    upload_rate_end(&r, &a, 10 * MB, 2000); /* no jump */
    assert_int_equal(upload_rate_get(&r, 2000), 5 * MB);
    atomic_store(&b.sent, 6 * MB);
    assert_int_equal(upload_rate_get(&r, 4000), 4 * MB);
    upload_rate_end(&r, &b, 0, 4000); /* it failed: none of it is stored */
    assert_int_equal(upload_rate_get(&r, 4000), 10 * MB / 4);
    upload_rate_fini(&r);
}

static void the_last_minutes_count_most(void **state)
{
    (void)state;
    struct upload_rate r;
    uint64_t now = 0;
    upload_rate_init(&r);
    for (int i = 0; i < 1000; i++) { /* 100 MB/s */
        struct upload u = {0};
        upload_rate_begin(&r, &u, now);
        upload_rate_end(&r, &u, 100 * MB, now += 1000);
    }
    assert_in_range(upload_rate_get(&r, now), 97 * MB, 103 * MB);
    for (int i = 0; i < 300; i++) { /* then 1 MB/s for five minutes */
        struct upload u = {0};
        upload_rate_begin(&r, &u, now);
        upload_rate_end(&r, &u, 1 * MB, now += 1000);
    }
    assert_in_range(upload_rate_get(&r, now), 1 * MB, 5 * MB);
    upload_rate_fini(&r);
}

static void a_backlog_is_what_a_flush_can_wait_for(void **state)
{
    (void)state;
    assert_int_equal(upload_backlog(0, 400 * MB, 8000ull * MB), 400 * MB);
    assert_int_equal(upload_backlog(1 * MB, 400 * MB, 8000ull * MB), 400 * MB);
    assert_int_equal(upload_backlog(10 * MB, 400 * MB, 8000ull * MB), 10ull * MB * FLUSH_GOAL_S);
    assert_int_equal(upload_backlog(1000 * MB, 400 * MB, 8000ull * MB), 8000ull * MB);
    assert_int_equal(upload_backlog(UINT64_MAX, 400 * MB, 8000ull * MB), 8000ull * MB);
    assert_int_equal(upload_backlog(0, 400 * MB, 100 * MB), 100 * MB); /* never more than max_dirty */
}

/* ---- the library keeps to it ---- */

static json_int_t spool_figure(struct library *lib, const char *name)
{
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    json_int_t n = json_integer_value(json_object_get(json_object_get(s, "spool"), name));
    json_decref(s);
    return n;
}

static json_int_t flush_left(struct library *lib, bool *flushing)
{
    json_t *s = call(lib, json_pack("{s:s}", "op", "status"));
    json_t *d = json_array_get(json_object_get(s, "drives"), 0);
    json_int_t n = json_integer_value(json_object_get(d, "flush_left_bytes"));
    *flushing = !strcmp(json_string_value(json_object_get(d, "state")), "flushing");
    json_decref(s);
    return n;
}

struct job {
    struct drive *d;
    unsigned blocks;
    enum tape_result result;
};

static void *write_blocks(void *arg)
{
    struct job *j = arg;
    static uint8_t noise[1000000];
    uint32_t x = 1;
    for (unsigned i = 0; !j->result && i < j->blocks; i++) {
        for (size_t k = 0; k < sizeof(noise); k++) /* which does not compress */
            noise[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        j->result = library_drive_ops()->write(j->d, noise, sizeof(noise), false, NULL, &never);
    }
    if (!j->result)
        j->result = library_drive_ops()->write_filemarks(j->d, 0, false, &never);
    return NULL;
}

static void write_waits_for_the_store_before_a_flush_must(void **state)
{
    (void)state;
    char seg[100];
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "RATE01L8");
    struct timespec until;
    pthread_t t;
    move(lib, SLOT, DRIVE);
    struct job job = {.d = library_drive(lib, 0), .blocks = 30};
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/RATE01L8/seg", dir);
    fclose(fopen(seg, "w")); /* no directory: no segment can be stored */
    json_int_t limit = spool_figure(lib, "dirty_limit");
    assert_int_equal(limit, 10 << 20); /* nothing is measured yet: two segments for each of 4 transfers, and two more */
    assert_int_equal(pthread_create(&t, NULL, write_blocks, &job), 0);
    while (spool_figure(lib, "dirty_bytes") < limit - 2000000)
        usleep(1000);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++; /* time enough for all 30 blocks, if nothing held them */
    assert_int_equal(pthread_timedjoin_np(t, NULL, &until), ETIMEDOUT);
    assert_in_range(spool_figure(lib, "dirty_bytes"), limit - 2000000, limit);
    assert_int_equal(remove(seg), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(job.result, TAPE_OK);
    assert_true(spool_figure(lib, "upload_rate") > 0);
    close_library(lib);
    config_free(c);
}

static void a_flush_that_waits_tells_how_much_is_left(void **state)
{
    (void)state;
    char seg[100];
    bool flushing = false;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "RATE02L8");
    pthread_t t;
    move(lib, SLOT, DRIVE);
    struct job job = {.d = library_drive(lib, 0), .blocks = 3};
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/RATE02L8/seg", dir);
    fclose(fopen(seg, "w"));
    assert_int_equal(flush_left(lib, &flushing), 0);
    assert_false(flushing);
    assert_int_equal(pthread_create(&t, NULL, write_blocks, &job), 0);
    while (!flush_left(lib, &flushing))
        usleep(1000);
    assert_true(flushing);
    assert_true(flush_left(lib, &flushing) >= 3000000);
    assert_int_equal(remove(seg), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(job.result, TAPE_OK);
    assert_int_equal(flush_left(lib, &flushing), 0);
    assert_false(flushing);
    close_library(lib);
    config_free(c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(uploads_side_by_side_are_one_time),
        cmocka_unit_test(what_is_sent_counts_before_the_upload_ends),
        cmocka_unit_test(the_last_minutes_count_most),
        cmocka_unit_test(a_backlog_is_what_a_flush_can_wait_for),
        cmocka_unit_test_setup_teardown(write_waits_for_the_store_before_a_flush_must, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flush_that_waits_tells_how_much_is_left, setup, teardown),
    };
    return cmocka_run_group_tests_name("upload rate", tests, NULL, NULL);
}
