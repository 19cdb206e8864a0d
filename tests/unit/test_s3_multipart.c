/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_multipart.c: large objects in parts; what is compared before Complete, and what a lost answer leads to (5, 6,
 * 14). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* Three parts of 4, 4 and 2 bytes. */
static const char body[] = "aaaabbbbcc";
#define MD5_A "74b87337454200d4d33f80c4663dc5e5"
#define MD5_B "65ba841e01d6db7733e90a5b7f9e6f80"
#define MD5_C "e0323a9039add2978bf5b49550572c7c"

#define PART(n, etag, size)                                                                                            \
    "<Part><PartNumber>" n "</PartNumber><ETag>&#34;" etag "&#34;</ETag><Size>" size "</Size></Part>"
#define PARTS(inner) "<ListPartsResult><Bucket>bkt</Bucket><IsTruncated>false</IsTruncated>" inner "</ListPartsResult>"
#define OURS PART("1", MD5_A, "4") PART("2", MD5_B, "4") PART("3", MD5_C, "2")

/* renterd's root is InitiateMultipartUpload, AWS's InitiateMultipartUploadResult. */
#define CREATE                                                                                                         \
    {                                                                                                                  \
        .expect = "POST /bkt/pre/k?uploads= HTTP", .status = 200,                                                      \
        .body = "<InitiateMultipartUpload><UploadId>id/1</UploadId></InitiateMultipartUpload>"                         \
    }
#define PUT(n)                                                                                                         \
    {                                                                                                                  \
        .expect = "PUT /bkt/pre/k?partNumber=" n "&uploadId=id%2F1 HTTP", .status = 200, .etag = 1                     \
    }
#define LIST(xml)                                                                                                      \
    {                                                                                                                  \
        .expect = "GET /bkt/pre/k?max-parts=1000&uploadId=id%2F1 HTTP", .status = 200, .body = xml                     \
    }
#define COMPLETE "POST /bkt/pre/k?uploadId=id%2F1 HTTP"
#define COMPLETED                                                                                                      \
    "<CompleteMultipartUploadResponse><ETag>&#34;0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef&#"   \
    "34;</ETag></CompleteMultipartUploadResponse>"
#define HEAD_IS(n)                                                                                                     \
    {                                                                                                                  \
        .expect = "HEAD /bkt/pre/k HTTP", .status = 200, .headers = "Content-Length: " n "\r\n"                        \
    }
#define HEAD_GONE                                                                                                      \
    {                                                                                                                  \
        .expect = "HEAD /bkt/pre/k HTTP", .status = 404                                                                \
    }
#define ABORT                                                                                                          \
    {                                                                                                                  \
        .expect = "DELETE /bkt/pre/k?uploadId=id%2F1 HTTP", .status = 204                                              \
    }
#define BEGIN CREATE, PUT("1"), PUT("2"), PUT("3")

static int put_source(struct stand_in *si, const struct obj_source *src, struct errtext *err)
{
    struct s3_tuning t = stand_in_tuning();
    t.multipart_over = 9;
    t.part_size = 4;
    struct objstore *s = stand_in_store(si, &t, 0);
    int rc = s->ops->put(s, "k", src, NULL, err);
    s->ops->close(s);
    return rc;
}

static int put(struct stand_in *si, struct errtext *err)
{
    return put_source(si, &(struct obj_source){.mem = body, .fd = -1, .len = 10}, err);
}

static void parts_are_compared_then_completed(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .status = 200, .body = COMPLETED}, HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    assert_string_equal(stand_in_body(si, 2), "bbbb");
    assert_has(stand_in_body(si, 5),
               "<Part><PartNumber>1</PartNumber><ETag>\"" MD5_A "\"</ETag></Part><Part><PartNumber>2</PartNumber>");
    stand_in_stop(si);
}

/* The sum of the whole is known, and the parts were sent with it, or were not: then the object never comes to be. */
static void parts_of_another_sum_are_never_completed(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct obj_source src = {.mem = body, .fd = -1, .len = 10, .has_crc = true, .crc32c = crc32c(0, body, 10)};
    struct stand_in *si = stand_in_start(
        SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .status = 200, .body = COMPLETED}, HEAD_IS("10")));
    if (put_source(si, &src, &err))
        fail_msg("%s", err.text);
    stand_in_stop(si);
    si = stand_in_start(SCRIPT(BEGIN, ABORT));
    src.crc32c ^= 1;
    assert_int_equal(put_source(si, &src, &err), -EIO);
    assert_has(err.text, "not what it was");
    stand_in_stop(si);
}

static void small_objects_go_in_one_put(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT({.expect = "PUT /bkt/pre/k HTTP", .status = 200, .etag = 1}));
    struct s3_tuning t = stand_in_tuning();
    t.multipart_over = 10;
    struct objstore *s = stand_in_store(si, &t, 0);
    const struct obj_source src = {.mem = body, .fd = -1, .len = 10};
    assert_int_equal(s->ops->put(s, "k", &src, NULL, &err), 0);
    s->ops->close(s);
    stand_in_stop(si);
}

static void trap5_other_parts_are_never_completed(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        PARTS(PART("1", MD5_A, "4") PART("2", MD5_B, "4")),                       /* one is missing */
        PARTS(OURS PART("4", MD5_A, "4")),                                        /* a stray one */
        PARTS(PART("1", MD5_A, "4") PART("2", MD5_A, "4") PART("3", MD5_C, "2")), /* other content */
        PARTS(PART("1", MD5_A, "4") PART("2", MD5_B, "3") PART("3", MD5_C, "2")), /* another size */
        PARTS(PART("1", MD5_A, "4") PART("3", MD5_B, "4") PART("4", MD5_C, "2")), /* a gap */
        PARTS(""),                                                                /* renterd for an unknown id */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct errtext err = {""};
        struct stand_in *si = stand_in_start(SCRIPT(BEGIN, LIST(wrong[i]), ABORT));
        assert_int_equal(put(si, &err), -EIO);
        assert_has(err.text, "lists other parts");
        assert_int_equal(stand_in_requests(si), 6);
        stand_in_stop(si);
    }
}

static void list_of_parts_follows_pages(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(
        BEGIN,
        LIST("<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>" PART(
            "1", MD5_A, "4") PART("2", MD5_B, "4") "</ListPartsResult>"),
        {.expect = "GET /bkt/pre/k?max-parts=1000&part-number-marker=2&uploadId=id%2F1 HTTP",
         .status = 200,
         .body = PARTS(PART("3", MD5_C, "2"))},
        {.expect = COMPLETE, .status = 200, .body = COMPLETED}, HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    stand_in_stop(si);
}

#define NO_PART(marker)                                                                                                \
    "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>" marker                                    \
    "</NextPartNumberMarker></ListPartsResult>"

static void a_list_of_parts_that_goes_on_without_a_part_is_an_error(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(BEGIN, LIST(NO_PART("2")), ABORT));
    assert_int_equal(put(si, &err), -EIO);
    assert_has(err.text, "goes on without getting on");
    stand_in_stop(si);
}

static void a_lost_complete_is_settled_by_head(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .way = SI_DROP}, HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    assert_int_equal(stand_in_requests(si), 7); /* no second Complete */
    stand_in_stop(si);
}

/* renterd answers a second Complete so; also when the first one's answer was lost on the way. */
static void an_error_after_complete_is_settled_by_head(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si =
        stand_in_start(SCRIPT(BEGIN, LIST(PARTS(OURS)),
                              {.expect = COMPLETE,
                               .status = 500,
                               .body = "<Error><Code>InternalError</Code><Message>no rows</Message></Error>"},
                              HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    stand_in_stop(si);
}

static void complete_is_repeated_only_for_a_whole_upload(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .way = SI_SILENT},
                                                HEAD_GONE, LIST(PARTS(OURS)),
                                                {.expect = COMPLETE, .status = 200, .body = COMPLETED}, HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    stand_in_stop(si);
}

static void complete_is_not_repeated_when_the_upload_is_gone(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .way = SI_DROP},
                                                HEAD_GONE, LIST(PARTS("")), HEAD_GONE, ABORT));
    assert_int_equal(put(si, &err), -EIO);
    stand_in_stop(si);
}

/* The Complete ended while we looked: the upload is gone, and the object is there. */
static void a_late_complete_is_found(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .way = SI_DROP},
                                                HEAD_GONE, LIST(PARTS("")), HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    stand_in_stop(si);
}

/* AWS begins to answer 200 before it knows. */
static void a_200_with_an_error_inside_is_an_error(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT(BEGIN, LIST(PARTS(OURS)),
               {.expect = COMPLETE,
                .status = 200,
                .body = "<?xml version=\"1.0\"?>\n   <Error><Code>InvalidPart</Code><Message>one</Message></Error>"},
               HEAD_GONE, ABORT));
    assert_int_equal(put(si, &err), -EIO);
    assert_has(err.text, "InvalidPart: one");
    stand_in_stop(si);
}

static void another_size_after_complete_is_an_error(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT(BEGIN, LIST(PARTS(OURS)), {.expect = COMPLETE, .status = 200, .body = COMPLETED}, HEAD_IS("14"), ABORT));
    assert_int_equal(put(si, &err), -EIO);
    assert_has(err.text, "14 bytes instead of 10");
    stand_in_stop(si);
}

static void trap6_a_part_with_a_wrong_etag_is_sent_again(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(SCRIPT(CREATE, PUT("1"), {.status = 200, .headers = "ETag: \"" MD5_A "\"\r\n"},
                                                PUT("2"), PUT("3"), LIST(PARTS(OURS)),
                                                {.expect = COMPLETE, .status = 200, .body = COMPLETED}, HEAD_IS("10")));
    if (put(si, &err))
        fail_msg("%s", err.text);
    stand_in_stop(si);
}

static void a_failed_part_aborts_the_upload(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct stand_in *si = stand_in_start(
        SCRIPT(CREATE, PUT("1"),
               {.status = 403, .body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"}, ABORT, CREATE,
               PUT("1"), {.status = 403, .body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"},
               {.expect = "DELETE ", .status = 500}));
    assert_int_equal(put(si, &err), -EACCES);
    assert_null(strstr(err.text, "aborted"));
    assert_int_equal(put(si, &err), -EACCES);
    assert_has(err.text, "could not be aborted");
    stand_in_stop(si);
}

/* Trap 14: what isn't a whole slab stays on renterd's disk. */
static void trap14_parts_are_whole_slabs(void **state)
{
    (void)state;
    assert_int_equal(s3_default_tuning.part_size % (40u << 20), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_compared_then_completed),
        cmocka_unit_test(parts_of_another_sum_are_never_completed),
        cmocka_unit_test(small_objects_go_in_one_put),
        cmocka_unit_test(trap5_other_parts_are_never_completed),
        cmocka_unit_test(list_of_parts_follows_pages),
        cmocka_unit_test(a_list_of_parts_that_goes_on_without_a_part_is_an_error),
        cmocka_unit_test(a_lost_complete_is_settled_by_head),
        cmocka_unit_test(an_error_after_complete_is_settled_by_head),
        cmocka_unit_test(complete_is_repeated_only_for_a_whole_upload),
        cmocka_unit_test(complete_is_not_repeated_when_the_upload_is_gone),
        cmocka_unit_test(a_late_complete_is_found),
        cmocka_unit_test(a_200_with_an_error_inside_is_an_error),
        cmocka_unit_test(another_size_after_complete_is_an_error),
        cmocka_unit_test(trap6_a_part_with_a_wrong_etag_is_sent_again),
        cmocka_unit_test(a_failed_part_aborts_the_upload),
        cmocka_unit_test(trap14_parts_are_whole_slabs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
