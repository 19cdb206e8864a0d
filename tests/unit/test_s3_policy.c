/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_policy.c: what each answer means, which are tried again, and how long the pauses are. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "s3backend/s3_policy.h"

static struct s3_verdict judge(long status, const char *code, const char *message)
{
    struct http_response r = {.outcome = HTTP_ANSWERED, .status = status};
    struct s3_verdict v;
    if (code)
        strbuf_addf(&r.text, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message);
    s3_judge(&r, time(NULL), &v);
    strbuf_free(&r.text);
    return v;
}

static void each_answer_has_its_verdict(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *code, *message;
        int want;
        bool retry;
    } t[] = {
        {200, NULL, NULL, 0, false},
        {204, NULL, NULL, 0, false},
        {206, NULL, NULL, 0, false},
        {404, "NoSuchKey", "x", -ENOENT, false},
        {404, NULL, NULL, -ENOENT, false},
        {404, "NoSuchBucket", "x", -EIO, false},
        {404, "NoSuchUpload", "x", -EIO, false},
        {403, "AccessDenied", "x", -EACCES, false},
        {403, "SignatureDoesNotMatch", "x", -EACCES, false},
        {403, "InvalidAccessKeyId", "x", -EACCES, false},
        {403, "RequestTimeTooSkewed", "x", -EACCES, false},
        {404, "XAdminUserNotFound", "x", -EACCES, false},
        {403, NULL, NULL, -EACCES, false},
        {403, "QuotaExceeded", "x", -EIO, false},
        {403, "InvalidStorageClass", "x", -EIO, false},
        {412, "PreconditionFailed", "x", -EEXIST, false},
        {412, NULL, NULL, -EEXIST, false},
        {409, "ConditionalRequestConflict", "x", -EEXIST, true},
        {413, NULL, NULL, -EIO, false},
        {401, NULL, NULL, -EACCES, false},
        {400, "AuthorizationHeaderMalformed", "x", -EACCES, false},
        {400, "BadDigest", "x", -EIO, false},
        {400, "RequestTimeout", "x", -EIO, true},
        {400, "Whatever", "x", -EIO, false},
        {400, NULL, NULL, -EIO, false},
        {408, NULL, NULL, -EIO, true},
        {409, "OperationAborted", "x", -EIO, true},
        {411, "MissingContentLength", "x", -EIO, false},
        {416, "InvalidRange", "x", -EIO, false},
        {429, NULL, NULL, -EIO, true},
        {500, "InternalError", "couldn't upload object: 3 < 6: not enough hosts", -EIO, true},
        {500, "InternalError", "consensus is not synced", -EIO, true},
        {500, "InternalError", "couldn't upload object: BadDigest", -EIO, false},
        {500, "InternalError", "multipart upload not found", -EIO, false},
        {500, "InternalError", "object not found: key: /a", -ENOENT, false},
        {500, "InternalError", "invalid range", -EIO, false},
        {500, "InternalError", "parts are not sorted", -EIO, false},
        {500, NULL, NULL, -EIO, true},
        {501, "NotImplemented", "x", -EIO, false},
        {502, NULL, NULL, -EIO, true},
        {503, "SlowDown", "x", -EIO, true},
        {503, "Unheard", "x", -EIO, true},
        {507, NULL, NULL, -EIO, true},
        {301, "PermanentRedirect", "x", -EIO, false},
        {307, "TemporaryRedirect", "x", -EIO, true},
        {302, NULL, NULL, -EIO, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct s3_verdict v = judge(t[i].status, t[i].code, t[i].message);
        if (v.code != t[i].want || v.retry != t[i].retry)
            fail_msg("%ld %s %s: code %d retry %d", t[i].status, t[i].code ? t[i].code : "-",
                     t[i].message ? t[i].message : "-", v.code, v.retry);
    }
}

/* The store's own word, and no guess at the keys. */
static void a_403_with_a_reason_of_its_own_says_that(void **state)
{
    (void)state;
    static const char *const reasons[] = {"QuotaExceeded", "InvalidStorageClass", "ObjectLockedByRetention"};
    for (size_t i = 0; i < 3; i++) {
        struct s3_verdict v = judge(403, reasons[i], "its own words");
        assert_non_null(strstr(v.reason, reasons[i]));
        assert_non_null(strstr(v.reason, "its own words"));
        assert_null(strstr(v.reason, "key"));
    }
    assert_non_null(strstr(judge(403, "AccessDenied", "x").reason, "wrong key, secret, or clock"));
    assert_non_null(strstr(judge(403, NULL, NULL).reason, "wrong key, secret, or clock"));
}

static void a_413_may_be_a_proxys(void **state)
{
    (void)state;
    assert_non_null(strstr(judge(413, NULL, NULL).reason, "client_max_body_size"));
}

static void transport_errors_are_tried_again_but_hopeless_ones(void **state)
{
    (void)state;
    static const struct {
        CURLcode curl;
        bool retry;
    } t[] = {
        {CURLE_COULDNT_CONNECT, true},     {CURLE_COULDNT_RESOLVE_HOST, true}, {CURLE_PARTIAL_FILE, true},
        {CURLE_OPERATION_TIMEDOUT, true},  {CURLE_RECV_ERROR, true},           {CURLE_SEND_ERROR, true},
        {CURLE_GOT_NOTHING, true},         {CURLE_SSL_CONNECT_ERROR, true},    {CURLE_PEER_FAILED_VERIFICATION, false},
        {CURLE_SSL_CACERT_BADFILE, false}, {CURLE_URL_MALFORMAT, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct http_response r = {.outcome = HTTP_BROKEN, .curl_code = (int)t[i].curl, .reason = "text"};
        struct s3_verdict v;
        s3_judge(&r, time(NULL), &v);
        assert_int_equal(v.code, -EIO);
        assert_int_equal(v.retry, t[i].retry);
    }
}

static void the_other_outcomes(void **state)
{
    (void)state;
    struct s3_verdict v;
    struct http_response r = {.outcome = HTTP_CANCELED};
    s3_judge(&r, 0, &v);
    assert_int_equal(v.code, -ECANCELED);
    assert_false(v.retry);
    r.outcome = HTTP_STALLED;
    s3_judge(&r, 0, &v);
    assert_int_equal(v.code, -EIO);
    assert_true(v.retry);
    r.outcome = HTTP_SOURCE;
    s3_judge(&r, 0, &v);
    assert_int_equal(v.code, -EIO);
    assert_false(v.retry);
    r.outcome = HTTP_MISMATCH;
    s3_judge(&r, 0, &v);
    assert_int_equal(v.code, -EIO);
    assert_true(v.retry);
}

static void pauses_double_with_chance_up_to_a_limit(void **state)
{
    (void)state;
    const struct retry_limits l = {.first_ms = 100, .most_ms = 1000, .total_ms = 5000};
    static const unsigned full[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(s3_backoff(&l, i + 1, UINT32_MAX, 0), full[i]);
        assert_int_equal(s3_backoff(&l, i + 1, 0, 0), full[i] / 2);
    }
    assert_int_equal(s3_backoff(&l, 4000000000u, UINT32_MAX, 0), 1000);
}

static void retry_after_is_honoured_within_reason(void **state)
{
    (void)state;
    const struct retry_limits l = {.first_ms = 100, .most_ms = 1000, .total_ms = 5000};
    assert_int_equal(s3_backoff(&l, 1, 0, 1500), 1500);
    assert_int_equal(s3_backoff(&l, 1, 0, 3600000), 2000);
    assert_int_equal(s3_backoff(&l, 9, UINT32_MAX, 10), 1000);
}

static void tries_end_by_number_or_by_time(void **state)
{
    (void)state;
    const struct retry_limits l = {.first_ms = 100, .most_ms = 1000, .total_ms = 5000, .last_ms = 10000};
    assert_false(s3_may_retry(&l, 1, 1, 0, 1));
    assert_true(s3_may_retry(&l, 3, 2, 99999, 1));
    assert_false(s3_may_retry(&l, 3, 3, 0, 1));
    assert_true(s3_may_retry(&l, 0, 50, 4000, 1000));
    assert_false(s3_may_retry(&l, 0, 50, 4001, 1000));
    assert_true(s3_may_retry(&l, 0, 1, 9000, 1000));   /* after one long stall a second try is due */
    assert_false(s3_may_retry(&l, 0, 1, 10001, 1000)); /* after one that took for ever somebody is to be told */
}

static void texts_are_scrubbed(void **state)
{
    (void)state;
    char out[200];
    s3_scrub(out, sizeof(out),
             "sig=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543, a\r\nb\x1b[1m face");
    assert_string_equal(out, "sig=[...], a  b [1m face");
    char small[12];
    s3_scrub(small, sizeof(small), "0123456789012345");
    assert_true(strlen(small) < sizeof(small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_verdict),
        cmocka_unit_test(a_403_with_a_reason_of_its_own_says_that),
        cmocka_unit_test(a_413_may_be_a_proxys),
        cmocka_unit_test(transport_errors_are_tried_again_but_hopeless_ones),
        cmocka_unit_test(the_other_outcomes),
        cmocka_unit_test(pauses_double_with_chance_up_to_a_limit),
        cmocka_unit_test(retry_after_is_honoured_within_reason),
        cmocka_unit_test(tries_end_by_number_or_by_time),
        cmocka_unit_test(texts_are_scrubbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
