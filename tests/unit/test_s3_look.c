/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_look.c: who answers at the store's address is told from its answer to a request without keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/s3_stand_in.h"

static void look(const struct stand_in_answer *answer, struct obj_peer *peer)
{
    struct stand_in *si = stand_in_start(answer, 1);
    struct objstore *s = stand_in_store(si, NULL, 0);
    struct errtext err = {""};
    int rc = objstore_look(s, peer, NULL, &err);
    s->ops->close(s);
    if (rc)
        fail_msg("%d: %s", rc, err.text);
    if (strstr(stand_in_head(si, 0), "Authorization"))
        fail_msg("keys were sent: %s", stand_in_head(si, 0));
    stand_in_stop(si);
}

static void a_refusal_in_xml_is_a_service(void **state)
{
    const struct stand_in_answer denied = {
        .expect = "GET / ", .status = 403, .body = "<Error><Code>AccessDenied</Code></Error>"};
    const struct stand_in_answer unauthorized = {.expect = "GET / ",
                                                 .status = 401,
                                                 .headers = "WWW-Authenticate: AWS4-HMAC-SHA256\r\n",
                                                 .body =
                                                     "<?xml version=\"1.0\"?><Error><Code>Unauthorized</Code></Error>"};
    struct obj_peer p;
    (void)state;
    look(&denied, &p);
    assert_int_equal(p.kind, OBJ_PEER_SERVICE);
    assert_int_equal(p.status, 403);
    look(&unauthorized, &p);
    assert_int_equal(p.kind, OBJ_PEER_SERVICE);
    assert_string_equal(p.realm, "");
}

static void a_question_for_a_password_is_none(void **state)
{
    const struct stand_in_answer with = {.expect = "GET / ",
                                         .status = 401,
                                         .headers =
                                             "www-authenticate: Basic realm=\"the realm\", charset=\"UTF-8\"\r\n"};
    const struct stand_in_answer without = {.expect = "GET / ", .status = 401, .body = "unauthorized"};
    struct obj_peer p;
    (void)state;
    look(&with, &p);
    assert_int_equal(p.kind, OBJ_PEER_PASSWORD);
    assert_string_equal(p.realm, "the realm");
    look(&without, &p);
    assert_int_equal(p.kind, OBJ_PEER_PASSWORD);
    assert_string_equal(p.realm, "");
}

static void a_web_page_is_none(void **state)
{
    const struct stand_in_answer page = {.expect = "GET / ",
                                         .status = 200,
                                         .headers = "Content-Type: text/html; charset=utf-8\r\n",
                                         .body = "<html></html>"};
    struct obj_peer p;
    (void)state;
    look(&page, &p);
    assert_int_equal(p.kind, OBJ_PEER_PAGE);
}

static void its_clock_is_compared(void **state)
{
    char date[100];
    struct tm tm;
    time_t then = time(NULL) + 3000;
    struct stand_in_answer denied = {.expect = "GET / ", .status = 403, .headers = date};
    const struct stand_in_answer timeless = {.expect = "GET / ", .status = 403};
    struct obj_peer p;
    (void)state;
    assert_true(strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&then, &tm)) > 0);
    look(&denied, &p);
    assert_true(p.has_clock);
    assert_in_range(-p.ahead_s, 2990, 3000);
    look(&timeless, &p);
    assert_false(p.has_clock);
}

/* Of an answer that is good: others may be somebody else's. */
static void its_time_is_kept(void **state)
{
    char date[100];
    struct tm tm;
    time_t then = time(NULL) + 3000, later = then + 3000;
    struct stand_in_answer answers[] = {{.expect = "HEAD /", .status = 200},
                                        {.expect = "HEAD /", .status = 200, .headers = date},
                                        {.expect = "GET /bkt/pre/k ", .status = 403, .headers = date}};
    struct errtext err;
    uint64_t now;
    char byte;
    (void)state;
    assert_true(strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&then, &tm)) > 0);
    struct stand_in *si = stand_in_start(answers, 3);
    struct objstore *s = stand_in_store(si, NULL, 0);
    assert_int_equal(s->ops->check(s, NULL, &err), 0);
    assert_int_equal(objstore_time(s, &now), -EAGAIN);
    assert_int_equal(s->ops->check(s, NULL, &err), 0);
    assert_int_equal(objstore_time(s, &now), 0);
    assert_in_range(now, then, then + 20);
    assert_true(strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&later, &tm)) > 0);
    assert_int_equal(s->ops->get(s, "k", 0, 1, &byte, NULL, &err), -EACCES);
    assert_int_equal(objstore_time(s, &now), 0);
    assert_in_range(now, then, then + 20);
    s->ops->close(s);
    stand_in_stop(si);
}

/* It took a request that was signed at this host's time: so that is not the store's own. */
static void a_time_far_ahead_is_not_taken_for_the_store_s(void **state)
{
    char date[100];
    struct tm tm;
    time_t then = time(NULL) + 2 * 86400;
    struct stand_in_answer answers[] = {{.expect = "HEAD /", .status = 200, .headers = date}};
    struct errtext err;
    uint64_t now;
    (void)state;
    assert_true(strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&then, &tm)) > 0);
    struct stand_in *si = stand_in_start(answers, 1);
    struct objstore *s = stand_in_store(si, NULL, 0);
    assert_int_equal(s->ops->check(s, NULL, &err), 0);
    assert_int_equal(objstore_time(s, &now), -EAGAIN);
    s->ops->close(s);
    stand_in_stop(si);
}

/* Whatever comes, the look ends in an answer or says at which stage it failed. */
static void nobody_there_is_told_by_stage(void **state)
{
    struct obj_peer p;
    struct errtext err = {""};
    (void)state;
    struct objstore *s = stand_in_store_at("http://127.0.0.1:1", "path", NULL, 0);
    assert_int_equal(objstore_look(s, &p, NULL, &err), -EIO);
    assert_int_equal(p.stage, OBJ_STAGE_CONNECT);
    assert_non_null(strstr(err.text, "http://127.0.0.1:1: "));
    s->ops->close(s);
    const struct stand_in_answer drops[] = {{.way = SI_DROP}, {.way = SI_DROP}};
    struct stand_in *si = stand_in_start(drops, 2);
    s = stand_in_store(si, NULL, 0);
    assert_int_equal(objstore_look(s, &p, NULL, &err), -EIO);
    assert_int_equal(p.stage, OBJ_STAGE_ANSWER);
    s->ops->close(s);
    stand_in_stop(si);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_in_xml_is_a_service),
        cmocka_unit_test(a_question_for_a_password_is_none),
        cmocka_unit_test(a_web_page_is_none),
        cmocka_unit_test(its_clock_is_compared),
        cmocka_unit_test(its_time_is_kept),
        cmocka_unit_test(a_time_far_ahead_is_not_taken_for_the_store_s),
        cmocka_unit_test(nobody_there_is_told_by_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
