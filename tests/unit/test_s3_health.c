/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_health.c: trouble with the store is told while the call still goes on, whatever kind it is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

enum { BIG = 64 << 20, WANTED = 100000 };

/* Lines for the log, by any thread. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char lines[8][700];
    unsigned n;
} notes = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note(enum log_level level, const char *line)
{
    assert_int_equal(level, strstr(line, "well again") ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR);
    pthread_mutex_lock(&notes.lock);
    if (notes.n < 8)
        snprintf(notes.lines[notes.n++], sizeof(notes.lines[0]), "%s", line);
    pthread_cond_broadcast(&notes.changed);
    pthread_mutex_unlock(&notes.lock);
}

/* Waits for n lines; fails the test after ten seconds. */
static void await_notes(unsigned n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&notes.lock);
    int rc = 0;
    while (notes.n < n && rc == 0)
        rc = pthread_cond_timedwait(&notes.changed, &notes.lock, &until);
    unsigned got = notes.n;
    pthread_mutex_unlock(&notes.lock);
    if (got < n)
        fail_msg("%u lines came, %u expected", got, n);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

struct rig {
    struct stand_in *si;
    struct objstore *s;
    pthread_t thread;
    atomic_bool cancel, done;
    int (*call)(struct rig *g, const struct obj_call *c, struct errtext *err);
    int rc;
};

/* Calls go on for a minute, and are told as stuck after 0.4 s. */
static void start(struct rig *g, const struct stand_in_answer *script, size_t n)
{
    struct s3_tuning t = stand_in_tuning();
    t.connect_ms = t.stall_ms = t.answer_ms = t.reply_ms = 60000;
    t.quiet_ms = 400;
    t.retry = (struct retry_limits){.first_ms = 60000, .most_ms = 60000, .total_ms = 600000};
    *g = (struct rig){.si = stand_in_start(script, n)};
    g->s = stand_in_store(g->si, &t, 0);
    ((struct s3_store *)g->s)->health.note = note;
    notes.n = 0;
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    stand_in_stop(g->si);
}

static int put_small(struct rig *g, const struct obj_call *c, struct errtext *err)
{
    const struct obj_source src = {.mem = "hello", .fd = -1, .len = 5};
    return g->s->ops->put(g->s, "k", &src, c, err);
}

static int put_big(struct rig *g, const struct obj_call *c, struct errtext *err)
{
    char *body = calloc(1, BIG);
    const struct obj_source src = {.mem = body, .fd = -1, .len = BIG};
    int rc = g->s->ops->put(g->s, "k", &src, c, err);
    free(body);
    return rc;
}

static int get(struct rig *g, const struct obj_call *c, struct errtext *err)
{
    char *buf = malloc(WANTED);
    int rc = g->s->ops->get(g->s, "k", 0, WANTED, buf, c, err);
    free(buf);
    return rc;
}

static int take(void *arg, const void *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
    return 0;
}

static int stream(struct rig *g, const struct obj_call *c, struct errtext *err)
{
    return g->s->ops->stream(g->s, "k", 0, WANTED, &(struct obj_sink){take, NULL}, c, err);
}

static int head(struct rig *g, const struct obj_call *c, struct errtext *err)
{
    uint64_t size;
    return g->s->ops->head(g->s, "k", &size, c, err);
}

static void *run(void *arg)
{
    struct rig *g = arg;
    const struct obj_call c = {.cancel = &g->cancel};
    struct errtext err;
    g->rc = g->call(g, &c, &err);
    atomic_store(&g->done, true);
    return NULL;
}

static void begin(struct rig *g, int (*call)(struct rig *g, const struct obj_call *c, struct errtext *err))
{
    g->call = call;
    assert_int_equal(pthread_create(&g->thread, NULL, run, g), 0);
}

static void end(struct rig *g)
{
    atomic_store(&g->cancel, true);
    pthread_join(g->thread, NULL);
    assert_int_equal(g->rc, -ECANCELED);
    atomic_store(&g->cancel, false);
    atomic_store(&g->done, false);
}

static void assert_trouble(struct rig *g, const char *part)
{
    struct obj_health h;
    objstore_health(g->s, &h);
    assert_has(h.text, part);
    assert_true(h.since_ms < 10000);
}

/* A call that does not get on is told while it goes on. */
static void assert_told(int (*call)(struct rig *g, const struct obj_call *c, struct errtext *err),
                        const struct stand_in_answer *a, const char *part)
{
    struct rig g;
    start(&g, a, 1);
    begin(&g, call);
    await_notes(1);
    assert_false(atomic_load(&g.done));
    assert_trouble(&g, part);
    assert_has(notes.lines[0], "the store is in trouble: ");
    assert_has(notes.lines[0], part);
    end(&g);
    stop(&g);
}

static void silence_after_the_body(void **state)
{
    (void)state;
    assert_told(put_small, &(struct stand_in_answer){.way = SI_SILENT}, "put k: bucket bkt at http://127.0.0.1");
    assert_told(put_small, &(struct stand_in_answer){.way = SI_SILENT}, "no answer for");
    assert_told(head, &(struct stand_in_answer){.way = SI_SILENT}, "no answer for");
    assert_told(stream, &(struct stand_in_answer){.way = SI_SILENT}, "get k: ");
}

static void silence_within_an_answer(void **state)
{
    (void)state;
    const struct stand_in_answer half = {.status = 200, .body = "half", .missing = WANTED - 4, .way = SI_HALF};
    assert_told(get, &half, "no byte moved");
    assert_told(stream, &half, "no byte moved");
}

static void a_frozen_store(void **state)
{
    (void)state;
    assert_told(put_big, &(struct stand_in_answer){.way = SI_DEAF}, "no byte moved");
}

static void a_trickle_down(void **state)
{
    (void)state;
    const struct stand_in_answer drip = {.status = 200, .missing = WANTED, .way = SI_DRIP};
    assert_told(get, &drip, "hardly a byte moved");
    assert_told(stream, &drip, "hardly a byte moved");
}

static void a_trickle_up(void **state)
{
    (void)state;
    assert_told(put_big, &(struct stand_in_answer){.way = SI_SIP}, "byte moved");
}

static void retry_after_of_minutes(void **state)
{
    (void)state;
    assert_told(put_small, &(struct stand_in_answer){.status = 503, .headers = "Retry-After: 300\r\n"},
                "asks to wait 300 s");
}

static void fails(struct s3_health *h, enum s3_kind kind)
{
    s3_health_ended(h, kind, false, S3_HEALTH_FAILED, "it failed", false);
}

static void passes(struct s3_health *h, uint64_t ms)
{
    uint64_t *times[] = {&h->bad_ms, &h->failed_ms, &h->since_ms, &h->ended_ms, &h->good_ms, &h->told_ms};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        *times[i] -= *times[i] ? ms : 0;
    for (int i = 0; i < S3_KINDS; i++) {
        h->kinds[i].since_ms -= h->kinds[i].since_ms ? ms : 0;
        h->kinds[i].failed_ms -= h->kinds[i].failed_ms ? ms : 0;
    }
}

/* Else a command that is in a hurry has no time for a store that is well, as an old read failed and nobody asked since. */
static void a_time_in_which_nobody_asked_costs_no_patience(void **state)
{
    (void)state;
    struct s3_health h;
    s3_health_init(&h, NULL);
    assert_int_equal(s3_health_silent(&h), 0);
    fails(&h, S3_KIND_READ);
    passes(&h, 600000);
    assert_int_equal(s3_health_silent(&h), 0);
    fails(&h, S3_KIND_LOOK);
    assert_in_range(s3_health_silent(&h), 0, 1000);
    for (int i = 0; i < 3; i++) { /* but those in a row count */
        passes(&h, 50000);
        fails(&h, S3_KIND_LOOK);
    }
    assert_in_range(s3_health_silent(&h), 150000, 151000);
    s3_health_ended(&h, S3_KIND_WRITE, false, S3_HEALTH_GOOD, "", false);
    assert_int_equal(s3_health_silent(&h), 0);
    fails(&h, S3_KIND_READ);
    assert_in_range(s3_health_silent(&h), 0, 1000);
    s3_health_fini(&h);
}

static void fails_for_good(struct s3_health *h, enum s3_kind kind, const char *text)
{
    s3_health_ended(h, kind, false, S3_HEALTH_FAILED, text, true);
}

static void is_good(struct s3_health *h, enum s3_kind kind)
{
    s3_health_ended(h, kind, false, S3_HEALTH_GOOD, "", false);
}

static void assert_text(struct s3_health *h, const char *text)
{
    struct obj_health now;
    s3_health_get(h, &now);
    assert_string_equal(now.text, text);
}

/* Else one object that cannot be read keeps the store in trouble until the next restore. */
static void a_read_that_failed_a_while_ago_is_no_trouble_of_a_store_that_is_well(void **state)
{
    (void)state;
    struct s3_health h;
    notes.n = 0;
    s3_health_init(&h, note);
    fails_for_good(&h, S3_KIND_READ, "it lies in an archive");
    is_good(&h, S3_KIND_WRITE);
    assert_text(&h, "it lies in an archive");
    passes(&h, 130000);
    assert_text(&h, "it lies in an archive"); /* nobody asked: nobody knows */
    is_good(&h, S3_KIND_LOOK);
    assert_text(&h, "");
    assert_int_equal(notes.n, 2);
    assert_has(notes.lines[1], "well again");
    fails_for_good(&h, S3_KIND_WRITE, "it is full"); /* which is tried again: so it lasts until it succeeds */
    passes(&h, 130000);
    is_good(&h, S3_KIND_LOOK);
    assert_text(&h, "it is full");
    s3_health_stuck(&h, S3_KIND_READ, "no byte moved");
    passes(&h, 130000);
    is_good(&h, S3_KIND_WRITE);
    assert_text(&h, "no byte moved");
    s3_health_fini(&h);
}

static void trouble_of_another_kind_later_is_told_too(void **state)
{
    (void)state;
    struct s3_health h;
    notes.n = 0;
    s3_health_init(&h, note);
    fails_for_good(&h, S3_KIND_READ, "it lies in an archive");
    passes(&h, 30000);
    fails_for_good(&h, S3_KIND_LOOK, "no answer"); /* the same trouble */
    assert_int_equal(notes.n, 1);
    passes(&h, 70000);
    fails_for_good(&h, S3_KIND_WRITE, "it is full");
    assert_int_equal(notes.n, 2);
    assert_has(notes.lines[1], "it is full");
    assert_text(&h, "it is full");
    passes(&h, 70000);
    fails_for_good(&h, S3_KIND_WRITE, "it is full still");
    assert_int_equal(notes.n, 2);
    is_good(&h, S3_KIND_READ);
    is_good(&h, S3_KIND_LOOK);
    assert_int_equal(notes.n, 2);
    is_good(&h, S3_KIND_WRITE);
    assert_int_equal(notes.n, 3);
    assert_has(notes.lines[2], "well again");
    s3_health_fini(&h);
}

/* It ends with a success of the same kind, not of another one. */
static void only_a_success_of_its_kind_ends_it(void **state)
{
    (void)state;
    struct rig g;
    struct obj_health h;
    struct errtext err;
    start(&g, SCRIPT({.way = SI_SILENT}, {.status = 200, .body = "x"}, {.status = 200, .etag = 1}));
    begin(&g, put_small);
    await_notes(1);
    end(&g);
    assert_int_equal(head(&g, NULL, &err), 0);
    assert_trouble(&g, "put k: ");
    assert_int_equal(put_small(&g, NULL, &err), 0);
    objstore_health(g.s, &h);
    assert_string_equal(h.text, "");
    assert_int_equal(notes.n, 2);
    assert_has(notes.lines[1], "the store is well again, after ");
    stop(&g);
}

/* Others of its kind that end well do not hide one that is stuck. */
static void a_stuck_call_keeps_it(void **state)
{
    (void)state;
    struct rig g;
    struct errtext err;
    start(&g, SCRIPT({.way = SI_SILENT}, {.status = 200, .etag = 1}, {.status = 200, .etag = 1}));
    begin(&g, put_small);
    await_notes(1);
    assert_int_equal(put_small(&g, NULL, &err), 0);
    assert_trouble(&g, "no answer");
    end(&g);
    assert_int_equal(put_small(&g, NULL, &err), 0);
    await_notes(2);
    stop(&g);
}

static void what_is_no_trouble_is_not_told(void **state)
{
    (void)state;
    struct rig g;
    struct obj_health h;
    struct errtext err;
    start(&g, SCRIPT({.status = 404}, {.expect = "HEAD /bkt HTTP", .status = 200}, {.status = 412}, {.status = 501},
                     {.status = 200, .etag = 1}));
    assert_int_equal(head(&g, NULL, &err), -ENOENT);
    const struct s3_request q = {.op = "put", .what = "k", .method = "PUT", .key = "k"};
    assert_int_equal(s3_do((struct s3_store *)g.s, &q, NULL, &err), -EEXIST);
    assert_int_equal(put_small(&g, NULL, &err), 0); /* a header that the store lacks is left out */
    objstore_health(g.s, &h);
    assert_string_equal(h.text, "");
    assert_int_equal(notes.n, 0);
    stop(&g);
}

/* What a store lacks it refuses by 400; but so do some that are full, or that do not like the keys. */
static void a_store_that_is_full_is_in_trouble_whatever_the_status(void **state)
{
    (void)state;
    static const char *const codes[] = {"XMinioAdminBucketQuotaExceeded", "QuotaExceeded",
                                        "AuthorizationHeaderMalformed"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct rig g;
        struct errtext err;
        char body[200];
        snprintf(body, sizeof(body), "<Error><Code>%s</Code><Message>no</Message></Error>", codes[i]);
        start(&g, SCRIPT({.status = 400, .body = body}));
        assert_int_equal(put_small(&g, NULL, &err), i < 2 ? -EIO : -EACCES);
        assert_trouble(&g, codes[i]);
        assert_int_equal(notes.n, 1);
        stop(&g);
    }
}

/* One failed try is in the health at once; the log hears of it only when it lasts. */
static void one_try_more_cures_it_without_a_line(void **state)
{
    (void)state;
    struct rig g;
    struct errtext err;
    start(&g, SCRIPT({.status = 503}, {.status = 200, .etag = 1}));
    ((struct s3_store *)g.s)->tuning.retry.first_ms = 1;
    ((struct s3_store *)g.s)->tuning.retry.most_ms = 1;
    assert_int_equal(put_small(&g, NULL, &err), 0);
    assert_int_equal(notes.n, 0);
    stop(&g);
}

static void a_call_that_gives_up_is_told(void **state)
{
    (void)state;
    struct rig g;
    struct errtext err;
    start(&g, SCRIPT({.status = 503}, {.status = 403}));
    assert_int_equal(put_small(&g, &(struct obj_call){.max_tries = 1}, &err), -EIO);
    assert_int_equal(notes.n, 1);
    assert_has(notes.lines[0], "503");
    assert_int_equal(put_small(&g, NULL, &err), -EACCES);
    assert_trouble(&g, "403");
    assert_int_equal(notes.n, 1);
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_after_the_body),
        cmocka_unit_test(silence_within_an_answer),
        cmocka_unit_test(a_frozen_store),
        cmocka_unit_test(a_trickle_down),
        cmocka_unit_test(a_trickle_up),
        cmocka_unit_test(retry_after_of_minutes),
        cmocka_unit_test(a_time_in_which_nobody_asked_costs_no_patience),
        cmocka_unit_test(a_read_that_failed_a_while_ago_is_no_trouble_of_a_store_that_is_well),
        cmocka_unit_test(trouble_of_another_kind_later_is_told_too),
        cmocka_unit_test(only_a_success_of_its_kind_ends_it),
        cmocka_unit_test(a_stuck_call_keeps_it),
        cmocka_unit_test(what_is_no_trouble_is_not_told),
        cmocka_unit_test(a_store_that_is_full_is_in_trouble_whatever_the_status),
        cmocka_unit_test(one_try_more_cures_it_without_a_line),
        cmocka_unit_test(a_call_that_gives_up_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
