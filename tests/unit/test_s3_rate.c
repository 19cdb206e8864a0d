/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_rate.c: limits of rate: which holds at what time, and that bytes go as fast as that and no faster. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/unit/s3_stand_in.h"

#define KB 1024u
#define MB (1024u * KB)

static const struct obj_rates office = {
    .n = 3,
    .of = {{.bytes = 20 * MB, .days = 0x3e, .from = 8 * 60, .to = 18 * 60},          /* mon-fri 08:00-18:00 */
           {.bytes = 0, .days = 0x20, .from = 22 * 60, .to = 6 * 60},                /* fri 22:00-06:00 */
           {.bytes = 50 * MB, .days = OBJ_ALL_DAYS, .from = 0, .to = OBJ_MINUTES}}}; /* else */

static uint64_t at(int day, int hour, int minute)
{
    const struct tm t = {.tm_wday = day, .tm_hour = hour, .tm_min = minute};
    return s3_rate_at(&office, &t);
}

static void the_first_that_holds_counts(void **state)
{
    static const struct obj_rates none = {.n = 0};
    const struct tm noon = {.tm_hour = 12};
    (void)state;
    assert_int_equal(at(1, 7, 59), 50 * MB);
    assert_int_equal(at(1, 8, 0), 20 * MB);
    assert_int_equal(at(5, 17, 59), 20 * MB);
    assert_int_equal(at(5, 18, 0), 50 * MB);
    assert_int_equal(at(6, 12, 0), 50 * MB);
    assert_int_equal(at(5, 22, 0), 0);
    assert_int_equal(at(6, 5, 59), 0); /* Saturday's morning is of Friday's night */
    assert_int_equal(at(6, 6, 0), 50 * MB);
    assert_int_equal(at(5, 5, 59), 50 * MB);
    assert_int_equal(at(6, 22, 0), 50 * MB);
    assert_int_equal(s3_rate_at(&none, &noon), 0);
}

static struct obj_rates rate_of(uint64_t bytes)
{
    return (struct obj_rates){.n = 1, .of = {{.bytes = bytes, .days = OBJ_ALL_DAYS, .to = OBJ_MINUTES}}};
}

static void limit(struct objstore *o, uint64_t up, uint64_t down)
{
    struct obj_rates u = rate_of(up), d = rate_of(down);
    const struct objstore_config cfg = {.parallel = 4, .upload = &u, .download = &d};
    objstore_set_limits(o, &cfg);
}

/* ---- a body on its way ---- */

struct put {
    struct objstore *o;
    const char *key;
    size_t len;
    int rc;
    uint64_t ms; /* that it took */
    struct errtext err;
};

static void *put(void *arg)
{
    struct put *p = arg;
    char *body = calloc(1, p->len);
    uint64_t began = clock_ms();
    const struct obj_source src = {.mem = body, .len = p->len};
    p->rc = body ? p->o->ops->put(p->o, p->key, &src, NULL, &p->err) : -12;
    p->ms = clock_ms() - began;
    free(body);
    return NULL;
}

static void assert_took(uint64_t ms, uint64_t least)
{
    if (ms < least || ms > least + 5000)
        fail_msg("%llu ms instead of %llu", (unsigned long long)ms, (unsigned long long)least);
}

static const struct stand_in_answer two_puts[] = {{.expect = "PUT", .status = 200, .etag = 1},
                                                  {.expect = "PUT", .status = 200, .etag = 1}};

static void an_upload_takes_as_long_as_its_rate_says(void **state)
{
    struct stand_in *s = stand_in_start(two_puts, 2);
    struct objstore *o = stand_in_store(s, NULL, 0);
    struct put p = {.o = o, .key = "x", .len = 900 * KB};
    (void)state;
    limit(o, MB, 0);
    assert_int_equal(objstore_upload_limit(o), MB);
    assert_int_equal(objstore_download_limit(o), 0);
    put(&p);
    assert_int_equal(p.rc, 0);
    assert_took(p.ms, 700);
    limit(o, 0, MB); /* of the other direction */
    put(&p);
    assert_int_equal(p.rc, 0);
    assert_true(p.ms < 500);
    o->ops->close(o);
    stand_in_stop(s);
}

static void two_uploads_share_it_and_neither_starves(void **state)
{
    struct stand_in *s = stand_in_start(two_puts, 2);
    struct objstore *o = stand_in_store(s, NULL, 0);
    struct put p[2] = {{.o = o, .key = "a", .len = 600 * KB}, {.o = o, .key = "b", .len = 600 * KB}};
    pthread_t t[2];
    (void)state;
    limit(o, MB, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, put, &p[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    uint64_t first = p[0].ms < p[1].ms ? p[0].ms : p[1].ms, last = p[0].ms < p[1].ms ? p[1].ms : p[0].ms;
    assert_int_equal(p[0].rc | p[1].rc, 0);
    assert_took(last, 900);
    assert_true(first * 10 > last * 7); /* one after the other it would be half */
    o->ops->close(o);
    stand_in_stop(s);
}

/* Each of its pieces waits for longer than a store may stand still. */
static void waiting_for_a_rate_is_no_trouble_of_the_stores(void **state)
{
    struct stand_in *s = stand_in_start(two_puts, 1);
    struct s3_tuning quick = stand_in_tuning();
    quick.quiet_ms = 200;
    quick.quiet_bytes = 1 << 20;
    struct objstore *o = stand_in_store(s, &quick, 0);
    struct put p = {.o = o, .key = "x", .len = 256 * KB};
    struct obj_health health;
    (void)state;
    limit(o, 128 * KB, 0);
    put(&p);
    if (p.rc)
        fail_msg("%s", p.err.text);
    assert_took(p.ms, 1400);
    objstore_health(o, &health);
    assert_string_equal(health.text, "");
    o->ops->close(o);
    stand_in_stop(s);
}

static void what_is_under_way_gets_a_new_limit(void **state)
{
    struct stand_in *s = stand_in_start(two_puts, 1);
    struct objstore *o = stand_in_store(s, NULL, 0);
    struct put p = {.o = o, .key = "x", .len = 1000 * KB};
    pthread_t t;
    (void)state;
    limit(o, 128 * KB, 0);
    assert_int_equal(pthread_create(&t, NULL, put, &p), 0);
    stand_in_await(s, 1);
    limit(o, 0, 0);
    pthread_join(t, NULL);
    assert_int_equal(p.rc, 0);
    assert_true(p.ms < 3000); /* of eight seconds */
    o->ops->close(o);
    stand_in_stop(s);
}

static void small_bodies_do_not_wait_behind_big_ones(void **state)
{
    struct stand_in *s = stand_in_start(two_puts, 1);
    struct objstore *o = stand_in_store(s, NULL, 0);
    struct put p = {.o = o, .key = "head", .len = 4000};
    (void)state;
    limit(o, 128 * KB, 0);
    s3_rate_charge(&((struct s3_store *)o)->upload, 10 * MB);
    put(&p);
    assert_int_equal(p.rc, 0);
    assert_true(p.ms < 2000);
    o->ops->close(o);
    stand_in_stop(s);
}

/* ---- an answer on its way ---- */

static int take(void *arg, const void *data, size_t len)
{
    (void)data;
    *(size_t *)arg += len;
    return 0;
}

static void downloads_keep_to_theirs(void **state)
{
    static char body[700 * KB];
    const struct stand_in_answer script[] = {{.expect = "GET", .status = 200, .body = body, .body_len = sizeof(body)},
                                             {.expect = "GET", .status = 200, .body = body, .body_len = sizeof(body)}};
    struct stand_in *s = stand_in_start(script, 2);
    struct objstore *o = stand_in_store(s, NULL, 0);
    char *got = malloc(sizeof(body));
    size_t streamed = 0;
    const struct obj_sink sink = {take, &streamed};
    struct errtext err = {""};
    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 31 >> 3);
    assert_non_null(got);
    limit(o, 0, MB);
    uint64_t began = clock_ms();
    if (o->ops->get(o, "x", 0, sizeof(body), got, NULL, &err))
        fail_msg("%s", err.text);
    assert_took(clock_ms() - began, 500);
    assert_memory_equal(got, body, sizeof(body));
    began = clock_ms();
    if (o->ops->stream(o, "x", 0, sizeof(body), &sink, NULL, &err))
        fail_msg("%s", err.text);
    assert_took(clock_ms() - began, 500);
    assert_int_equal(streamed, sizeof(body));
    free(got);
    o->ops->close(o);
    stand_in_stop(s);
}

/* It begins held, as no byte may come in its first moments. */
static void what_is_refused_while_it_is_held_stays_refused(void **state)
{
    static char body[700 * KB];
    const struct stand_in_answer script[] = {{.expect = "GET",
                                              .status = 206,
                                              .headers = "Content-Range: bytes 1-716800/800000\r\n",
                                              .body = body,
                                              .body_len = sizeof(body)}};
    struct stand_in *s = stand_in_start(script, 1);
    struct objstore *o = stand_in_store(s, NULL, 0);
    size_t streamed = 0;
    const struct obj_sink sink = {take, &streamed};
    const struct obj_call once = {.max_tries = 1};
    struct errtext err = {""};
    (void)state;
    limit(o, 0, 32);
    assert_int_equal(o->ops->stream(o, "x", 0, sizeof(body), &sink, &once, &err), -EIO);
    assert_non_null(strstr(err.text, "another range"));
    assert_int_equal(streamed, 0);
    o->ops->close(o);
    stand_in_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_holds_counts),
        cmocka_unit_test(an_upload_takes_as_long_as_its_rate_says),
        cmocka_unit_test(two_uploads_share_it_and_neither_starves),
        cmocka_unit_test(waiting_for_a_rate_is_no_trouble_of_the_stores),
        cmocka_unit_test(what_is_under_way_gets_a_new_limit),
        cmocka_unit_test(small_bodies_do_not_wait_behind_big_ones),
        cmocka_unit_test(downloads_keep_to_theirs),
        cmocka_unit_test(what_is_refused_while_it_is_held_stays_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
