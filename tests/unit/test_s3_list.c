/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_list.c: lists, deletes and the check of the bucket (traps 7 and 13). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

#define CONTENTS(key)                                                                                                  \
    "<Contents><Key>" key                                                                                              \
    "</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>&#34;00&#34;</ETag><Size>7</Size></Contents>"
#define PAGE(inner)                                                                                                    \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "                                                   \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bkt</Name>" inner "</ListBucketResult>"
#define MORE(token) "<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"

struct listed {
    int rc;
    struct errtext err;
    char text[1024]; /* the keys, each with a space before */
};

static int collect(void *arg, const struct obj_entry *e)
{
    struct listed *l = arg;
    strcat(l->text, " ");
    strcat(l->text, e->key);
    assert_int_equal(e->is_prefix, e->key[strlen(e->key) - 1] == '/');
    assert_int_equal(e->size, e->is_prefix ? 0 : 7);
    return 0;
}

static struct listed list(struct stand_in *si, const char *prefix, const char *after, bool slash)
{
    struct obj_call two = {.max_tries = 2};
    struct listed l = {.err = {""}};
    struct objstore *s = stand_in_store(si, NULL, 0);
    l.rc = s->ops->list(s, prefix, after, slash, collect, &l, &two, &l.err);
    s->ops->close(s);
    return l;
}

static void assert_listed(const struct listed *l, const char *want)
{
    if (l->rc)
        fail_msg("%s", l->err.text);
    assert_string_equal(l->text, want);
}

static void a_page_without_end_is_an_error(void **state)
{
    (void)state;
    static char much[1 << 20];
    memset(much, ' ', sizeof(much));
    const struct stand_in_answer endless = {.status = 200, .way = SI_FLOOD, .body = much, .body_len = sizeof(much)};
    struct stand_in *si = stand_in_start(SCRIPT(endless, endless));
    struct listed l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    stand_in_stop(si);
}

static void pages_are_followed_by_token(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.expect =
             "GET /bkt?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2Fa%2F&start-after=pre%2Fa%2F0 HTTP",
         .status = 200,
         .body = PAGE(CONTENTS("pre/a/1") MORE("a&amp;b+/=&#34;"))},
        {.expect = "GET "
                   "/bkt?continuation-token=a%26b%2B%2F%3D%22&encoding-type=url&list-type=2&max-keys=1000&prefix=pre%"
                   "2Fa%2F HTTP",
         .status = 200,
         .body = PAGE(CONTENTS("pre/a/2") "<IsTruncated>false</IsTruncated>")}));
    struct listed l = list(si, "a/", "a/0", false);
    assert_listed(&l, " a/1 a/2");
    stand_in_stop(si);
}

static void entities_are_decoded(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 200, .body = PAGE(CONTENTS("pre&#47;a&#x2f;&#49;") CONTENTS("<![CDATA[pre/a/2]]>"))}));
    struct listed l = list(si, "", NULL, false);
    assert_listed(&l, " a/1 a/2");
    stand_in_stop(si);
}

/* Keys and groups come as two runs; the list is one. */
static void keys_and_groups_are_merged(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.expect = "GET /bkt?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2F HTTP",
         .status = 200,
         .body = PAGE(CONTENTS("pre/a-b")
                          CONTENTS("pre/a0") "<CommonPrefixes><Prefix>pre/a/</Prefix></CommonPrefixes>" MORE("t"))},
        {.status = 200, .body = PAGE("<CommonPrefixes><Prefix>pre/b/</Prefix></CommonPrefixes>")}));
    struct listed l = list(si, "", NULL, true);
    assert_listed(&l, " a-b a/ a0 b/");
    stand_in_stop(si);
}

static void foreign_names_are_passed_over(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.status = 200, .body = PAGE(CONTENTS("pre/") CONTENTS("pre/a b") CONTENTS("pre/b/") CONTENTS("pre/c"))}));
    struct listed l = list(si, "", NULL, false);
    assert_listed(&l, " c");
    stand_in_stop(si);
}

static void start_after_is_kept_when_the_store_does_not(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .body = PAGE(CONTENTS("pre/a") CONTENTS("pre/b") CONTENTS("pre/c"))}));
    struct listed l = list(si, "", "b", false);
    assert_listed(&l, " c");
    stand_in_stop(si);
}

static void disorder_between_pages_is_an_error(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .body = PAGE(CONTENTS("pre/b") MORE("t"))},
                                                {.status = 200, .body = PAGE(CONTENTS("pre/a"))}));
    struct listed l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    assert_has(l.err.text, "byte order");
    stand_in_stop(si);
}

static void a_key_outside_the_prefix_is_an_error(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT({.status = 200, .body = PAGE(CONTENTS("other/b"))}));
    struct listed l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    assert_has(l.err.text, "outside the prefix: other/b");
    stand_in_stop(si);
}

static void a_list_that_does_not_get_on_ends(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .body = PAGE(CONTENTS("pre/a") MORE("t"))},
                              {.status = 200, .body = PAGE(CONTENTS("pre/b") MORE("t"))},
                              {.status = 200, .body = PAGE(CONTENTS("pre/a") "<IsTruncated>true</IsTruncated>")}));
    struct listed l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    assert_has(l.err.text, "does not get on");
    l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    assert_has(l.err.text, "NextContinuationToken");
    stand_in_stop(si);
}

#define EMPTY(token)                                                                                                   \
    {                                                                                                                  \
        .status = 200, .body = PAGE(MORE(token))                                                                       \
    }
#define GROUP(token)                                                                                                   \
    {                                                                                                                  \
        .status = 200, .body = PAGE("<CommonPrefixes><Prefix>pre/g/</Prefix></CommonPrefixes>" MORE(token))            \
    }
#define FOREIGN(key, token)                                                                                            \
    {                                                                                                                  \
        .status = 200, .body = PAGE(CONTENTS("pre/" key) MORE(token))                                                  \
    }

static struct listed list_with_two_idle_pages(struct stand_in *si, bool slash)
{
    struct obj_call one = {.max_tries = 1};
    struct listed l = {.err = {""}};
    struct s3_tuning t = stand_in_tuning();
    t.idle_pages = 2;
    struct objstore *s = stand_in_store(si, &t, 0);
    l.rc = s->ops->list(s, "", NULL, slash, collect, &l, &one, &l.err);
    s->ops->close(s);
    return l;
}

/* None is the one before: the tokens come in a circle. */
static void a_list_that_goes_in_a_circle_ends(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT(EMPTY("A"), {.expect = "HEAD /bkt HTTP", .status = 200}, EMPTY("B"), EMPTY("A"),
                              GROUP("A"), GROUP("B"), GROUP("A"), GROUP("B"), FOREIGN("f%20", "A"),
                              FOREIGN("f%20", "B"), FOREIGN("f%20", "A"), FOREIGN("f%20", "B")));
    for (int i = 0; i < 3; i++) {
        struct listed l = list_with_two_idle_pages(si, true);
        assert_int_equal(l.rc, -EIO);
        assert_has(l.err.text, "does not get on: page after page brings nothing");
        assert_string_equal(l.text, i == 1 ? " g/" : "");
    }
    stand_in_stop(si);
}

/* Only so many in a row: others begin to be counted anew. What is not ours counts as something. */
static void pages_that_bring_nothing_are_passed_over(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(FOREIGN("a b", "A"), EMPTY("B"), EMPTY("C"), FOREIGN("c d", "D"),
                                                EMPTY("E"), EMPTY("F"), FOREIGN("e f", "G"), EMPTY("H"), EMPTY("I"),
                                                {.status = 200, .body = PAGE(CONTENTS("pre/h"))}));
    struct listed l = list_with_two_idle_pages(si, false);
    assert_listed(&l, " h");
    stand_in_stop(si);
}

static void an_answer_that_is_no_list_is_tried_again_then_an_error(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .body = "<ListBucketResult><Contents><Key>pre/a"},
                              {.status = 200, .body = PAGE(CONTENTS("pre/a"))},
                              {.status = 200, .body = "<html><body>hello</body></html>"}, {.status = 200, .body = ""}));
    struct listed l = list(si, "", NULL, false);
    assert_listed(&l, " a");
    l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    assert_has(l.err.text, "no complete list");
    stand_in_stop(si);
}

#define LOOK(inner)                                                                                                    \
    {                                                                                                                  \
        .expect = "GET /bkt?list-type=2&max-keys=1&prefix=pre%2F HTTP", .status = 200, .body = PAGE(inner)             \
    }

/* Asked for or not: what the answer says counts. A key that holds what XML can't write does not spoil the list, and one
 * that would read as ours when it ends at a NUL stays foreign. */
static void encoded_keys_are_decoded(void **state)
{
    (void)state;
    struct stand_in *si = stand_in_start(SCRIPT(
        {.expect = "GET /bkt?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2F HTTP",
         .status = 200,
         .body = PAGE(CONTENTS("pre%2F%01x") CONTENTS("pre%2Fa%5Fb") CONTENTS("pre%2Fb%00c") CONTENTS("pre%2Fc+d")
                          CONTENTS("pre%2fe%2") "<EncodingType>url</EncodingType>"
                                                "<CommonPrefixes><Prefix>pre%2Fg%2F</Prefix></CommonPrefixes>")},
        {.status = 200, .body = PAGE(CONTENTS("pre/a%5Fb") CONTENTS("pre/c"))}));
    struct listed l = list(si, "", NULL, true);
    assert_listed(&l, " a_b g/");
    l = list(si, "", NULL, true);
    assert_listed(&l, " c");
    stand_in_stop(si);
}

static void trap13_an_empty_list_asks_for_the_bucket(void **state)
{
    (void)state;
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .body = PAGE("")}, {.expect = "HEAD /bkt HTTP", .status = 404}, LOOK(""),
                              {.status = 200, .body = PAGE("")}, {.expect = "HEAD /bkt HTTP", .status = 200}));
    struct listed l = list(si, "", NULL, false);
    assert_int_equal(l.rc, -EIO);
    assert_has(l.err.text, "bucket bkt does not exist");
    l = list(si, "", NULL, false);
    assert_listed(&l, "");
    stand_in_stop(si);
}

/* ---- delete ---- */

static int delete_keys(struct stand_in *si, const char *const *keys, size_t n, unsigned batch, struct errtext *err)
{
    struct obj_call two = {.max_tries = 2};
    struct s3_tuning t = stand_in_tuning();
    t.delete_batch = batch;
    struct objstore *s = stand_in_store(si, &t, 0);
    int rc = s->ops->del(s, keys, n, &two, err);
    s->ops->close(s);
    return rc;
}

#define DELETED(key) "<Deleted><Key>" key "</Key></Deleted>"
#define FAILED(key, code, text) "<Error><Key>" key "</Key><Code>" code "</Code><Message>" text "</Message></Error>"
#define RESULT(inner) "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" inner "</DeleteResult>"

static void trap7_deletes_by_batch(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c"};
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT({.expect = "POST /bkt?delete= HTTP", .status = 200, .body = RESULT(DELETED("pre/b") DELETED("pre/a"))},
               {.expect = "POST /bkt?delete= HTTP", .status = 200, .body = RESULT(DELETED("pre/c"))}));
    assert_int_equal(delete_keys(si, keys, 3, 2, &err), 0);
    assert_has(stand_in_body(si, 0),
               "<Quiet>false</Quiet><Object><Key>pre/a</Key></Object><Object><Key>pre/b</Key></Object></Delete>");
    assert_has(stand_in_head(si, 0), "\r\nContent-MD5: ");
    stand_in_stop(si);
}

static void trap7_a_missing_key_is_gone(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"};
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200,
                               .body = RESULT(FAILED("pre/a", "InternalError", "object not found: key: /pre/a")
                                                  FAILED("pre/b", "NoSuchKey", "none"))}));
    assert_int_equal(delete_keys(si, keys, 2, 10, &err), 0);
    stand_in_stop(si);
}

static void trap7_an_error_of_one_key_is_told_and_stops_nothing(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c"};
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 200, .body = RESULT(DELETED("pre/a") FAILED("pre/b", "AccessDenied", "locked"))},
               {.status = 200, .body = RESULT(DELETED("pre/c"))}));
    assert_int_equal(delete_keys(si, keys, 3, 2, &err), -EACCES);
    assert_has(err.text, "delete b: ");
    assert_has(err.text, "AccessDenied: locked");
    stand_in_stop(si);
}

static void trap7_a_passing_error_of_one_key_is_tried_again(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"};
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .body = RESULT(DELETED("pre/a") FAILED("pre/b", "SlowDown", "later"))},
                              {.status = 200, .body = RESULT(DELETED("pre/b"))}));
    assert_int_equal(delete_keys(si, keys, 2, 10, &err), 0);
    assert_null(strstr(stand_in_body(si, 1), "pre/a"));
    assert_has(stand_in_body(si, 1), "<Key>pre/b</Key>");
    stand_in_stop(si);
}

static void trap7_a_key_that_the_answer_leaves_out_is_not_deleted(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"};
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 200, .body = RESULT(DELETED("pre/a"))}, {.status = 200, .body = RESULT("")}));
    assert_int_equal(delete_keys(si, keys, 2, 10, &err), -EIO);
    assert_has(err.text, "delete b: ");
    stand_in_stop(si);
}

/* Then a DELETE of each, and no further question. A missing key is no error, whatever it is called (trap 7). */
static void a_store_without_delete_objects_gets_single_deletes(void **state)
{
    (void)state;
    static const struct stand_in_answer refusals[] = {
        {.status = 501, .body = "<Error><Code>NotImplemented</Code></Error>"},
        {.status = 405},
        {.status = 400, .body = "<Error><Code>MethodNotAllowed</Code></Error>"}};
    static const char *const keys[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 3; i++) {
        struct errtext err = {""};
        struct stand_in *si = stand_in_start(SCRIPT(
            refusals[i], {.expect = "DELETE /bkt/pre/a HTTP", .status = 204},
            {.expect = "DELETE /bkt/pre/b HTTP", .status = 404},
            {.expect = "DELETE /bkt/pre/c HTTP",
             .status = 500,
             .body = "<Error><Code>InternalError</Code><Message>object not found: key: /pre/c</Message></Error>"},
            {.expect = "DELETE /bkt/pre/d HTTP", .status = 403, .body = "<Error><Code>AccessDenied</Code></Error>"}));
        assert_int_equal(delete_keys(si, keys, 4, 2, &err), -EACCES);
        assert_has(err.text, "delete d: ");
        stand_in_stop(si);
    }
}

/* ---- check ---- */

static int check(struct stand_in *si, struct errtext *err)
{
    struct objstore *s = stand_in_store(si, NULL, 0);
    int rc = s->ops->check(s, NULL, err);
    s->ops->close(s);
    return rc;
}

#define NO_BUCKET                                                                                                      \
    {                                                                                                                  \
        .expect = "HEAD /bkt HTTP", .status = 404                                                                      \
    }
#define ERROR(code, text) "<Error><Code>" code "</Code><Message>" text "</Message></Error>"

static void check_names_a_missing_bucket(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT(NO_BUCKET, LOOK(""), NO_BUCKET, {.status = 404, .body = ERROR("NoSuchBucket", "none")}));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(check(si, &err), -ENOENT);
        assert_has(err.text, "bucket bkt does not exist");
    }
    stand_in_stop(si);
}

/* 404 is also what some stores say to a key that they don't know. */
static void a_404_for_the_bucket_is_asked_again_for_its_reason(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(NO_BUCKET, {.status = 403, .body = ERROR("InvalidAccessKeyId", "who?")},
                                                NO_BUCKET, LOOK(CONTENTS("pre/a")), NO_BUCKET,
                                                {.status = 404, .body = "<html>nothing here</html>"}));
    assert_int_equal(check(si, &err), -EACCES);
    assert_has(err.text, "InvalidAccessKeyId");
    assert_int_equal(check(si, &err), 0);
    assert_int_equal(check(si, &err), -EIO);
    assert_has(err.text, "no answer of an S3 service");
    stand_in_stop(si);
}

/* A key may be good for its prefix and nothing else. */
static void a_key_that_may_list_its_prefix_is_enough(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "HEAD /bkt HTTP", .status = 403}, LOOK("")));
    assert_int_equal(check(si, &err), 0);
    stand_in_stop(si);
}

/* A HEAD has no body: a list brings the reason. */
static void check_brings_the_stores_reason(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "HEAD /bkt HTTP", .status = 403},
                                                {.expect = "GET /bkt?list-type=2&max-keys=1&prefix=pre%2F HTTP",
                                                 .status = 403,
                                                 .body = "<Error><Code>RequestTimeTooSkewed</Code><Message>too "
                                                         "large</Message><ServerTime>x</ServerTime></Error>"}));
    assert_int_equal(check(si, &err), -EACCES);
    assert_has(err.text, "RequestTimeTooSkewed: too large: this host's clock is wrong: check NTP");
    stand_in_stop(si);
}

static void check_ends_soon_when_nobody_answers(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT({.status = 503}, {.status = 503}, {.status = 503},
                              {.status = 503, .body = "<Error><Code>SlowDown</Code><Message>m</Message></Error>"}));
    assert_int_equal(check(si, &err), -EIO);
    assert_has(err.text, "503");
    stand_in_stop(si);
}

static void a_redirect_says_region(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT({.status = 301, .headers = "Location: http://elsewhere/\r\n"},
               {.status = 301, .body = "<Error><Code>PermanentRedirect</Code><Message>use x</Message></Error>"}));
    assert_int_equal(check(si, &err), -EIO);
    assert_has(err.text, "url and region");
    stand_in_stop(si);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_without_end_is_an_error),
        cmocka_unit_test(pages_are_followed_by_token),
        cmocka_unit_test(entities_are_decoded),
        cmocka_unit_test(keys_and_groups_are_merged),
        cmocka_unit_test(foreign_names_are_passed_over),
        cmocka_unit_test(start_after_is_kept_when_the_store_does_not),
        cmocka_unit_test(disorder_between_pages_is_an_error),
        cmocka_unit_test(a_key_outside_the_prefix_is_an_error),
        cmocka_unit_test(a_list_that_does_not_get_on_ends),
        cmocka_unit_test(a_list_that_goes_in_a_circle_ends),
        cmocka_unit_test(pages_that_bring_nothing_are_passed_over),
        cmocka_unit_test(an_answer_that_is_no_list_is_tried_again_then_an_error),
        cmocka_unit_test(encoded_keys_are_decoded),
        cmocka_unit_test(trap13_an_empty_list_asks_for_the_bucket),
        cmocka_unit_test(trap7_deletes_by_batch),
        cmocka_unit_test(trap7_a_missing_key_is_gone),
        cmocka_unit_test(trap7_an_error_of_one_key_is_told_and_stops_nothing),
        cmocka_unit_test(trap7_a_passing_error_of_one_key_is_tried_again),
        cmocka_unit_test(trap7_a_key_that_the_answer_leaves_out_is_not_deleted),
        cmocka_unit_test(a_store_without_delete_objects_gets_single_deletes),
        cmocka_unit_test(check_names_a_missing_bucket),
        cmocka_unit_test(a_404_for_the_bucket_is_asked_again_for_its_reason),
        cmocka_unit_test(a_key_that_may_list_its_prefix_is_enough),
        cmocka_unit_test(check_brings_the_stores_reason),
        cmocka_unit_test(check_ends_soon_when_nobody_answers),
        cmocka_unit_test(a_redirect_says_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
