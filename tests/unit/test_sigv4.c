/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_sigv4.c: signatures equal the ones that AWS published. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <string.h>

#include "s3backend/sigv4.h"

#define ARRAY(x) (x), sizeof(x) / sizeof((x)[0])

/* AWS's "aws-sig-v4-test-suite": one key, service "service", 2015-08-30T12:36:00Z. */
static const struct sigv4_keys suite_keys = {
    .access_key = "AKIDEXAMPLE",
    .aws4_secret = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "service",
};

/* "Signature Calculations for the Authorization Header" in the Amazon S3 API Reference, 2013-05-24T00:00:00Z. */
static const struct sigv4_keys s3_keys = {
    .access_key = "AKIAIOSFODNN7EXAMPLE",
    .aws4_secret = "AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "s3",
};

static void assert_signature(const struct sigv4_keys *k, const struct sigv4_request *r, const char *date,
                             const char *want)
{
    struct strbuf auth = {0};
    assert_int_equal(sigv4_authorization(&auth, k, r, date), 0);
    const char *sig = strstr(strbuf_str(&auth), "Signature=");
    assert_non_null(sig);
    assert_string_equal(sig + strlen("Signature="), want);
    strbuf_free(&auth);
}

static void assert_suite(const char *method, const char *path, const struct sigv4_pair *query, size_t n_query,
                         const struct sigv4_pair *more, size_t n_more, const char *want)
{
    struct sigv4_pair headers[8] = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}};
    for (size_t i = 0; i < n_more; i++)
        headers[2 + i] = more[i];
    struct sigv4_request r = {.method = method,
                              .path = path,
                              .query = query,
                              .n_query = n_query,
                              .headers = headers,
                              .n_headers = 2 + n_more,
                              .payload_hash = SIGV4_EMPTY_SHA256};
    assert_signature(&suite_keys, &r, "20150830T123600Z", want);
}

static void suite_get_vanilla(void **state)
{
    (void)state;
    assert_suite("GET", "/", NULL, 0, NULL, 0, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void suite_post_vanilla(void **state)
{
    (void)state;
    assert_suite("POST", "/", NULL, 0, NULL, 0, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

static void suite_get_space(void **state)
{
    (void)state;
    assert_suite("GET", "/example space/", NULL, 0, NULL, 0,
                 "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741");
}

static void suite_get_utf8(void **state)
{
    (void)state;
    assert_suite("GET", "/\xE1\x88\xB4", NULL, 0, NULL, 0,
                 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
}

static void suite_get_unreserved(void **state)
{
    (void)state;
    assert_suite("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", NULL, 0, NULL, 0,
                 "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
}

static void suite_get_vanilla_query_order_key_case(void **state)
{
    (void)state;
    const struct sigv4_pair q[] = {{"Param2", "value2"}, {"Param1", "value1"}};
    assert_suite("GET", "/", ARRAY(q), NULL, 0, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

static void suite_get_vanilla_utf8_query(void **state)
{
    (void)state;
    const struct sigv4_pair q[] = {{"\xE1\x88\xB4", "bar"}};
    assert_suite("GET", "/", ARRAY(q), NULL, 0, "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04");
}

static void suite_post_header_key_sort(void **state)
{
    (void)state;
    const struct sigv4_pair h[] = {{"My-Header1", "value1"}};
    assert_suite("POST", "/", NULL, 0, ARRAY(h), "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c");
}

static void suite_get_header_key_duplicate(void **state)
{
    (void)state;
    const struct sigv4_pair h[] = {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}};
    assert_suite("GET", "/", NULL, 0, ARRAY(h), "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea");
}

static void assert_s3(struct sigv4_request r, const struct sigv4_pair *more, size_t n_more, const char *want)
{
    struct sigv4_pair headers[8] = {{"x-amz-date", "20130524T000000Z"},
                                    {"host", "examplebucket.s3.amazonaws.com"},
                                    {"x-amz-content-sha256", r.payload_hash}};
    for (size_t i = 0; i < n_more; i++)
        headers[3 + i] = more[i];
    r.headers = headers;
    r.n_headers = 3 + n_more;
    assert_signature(&s3_keys, &r, "20130524T000000Z", want);
}

static void s3_get_object_with_range(void **state)
{
    (void)state;
    const struct sigv4_pair h[] = {{"range", "bytes=0-9"}};
    assert_s3((struct sigv4_request){.method = "GET", .path = "/test.txt", .payload_hash = SIGV4_EMPTY_SHA256},
              ARRAY(h), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void s3_put_object(void **state)
{
    (void)state;
    char hash[SIGV4_HEX_SIZE];
    static const char body[] = "Welcome to Amazon S3.";
    assert_int_equal(sigv4_sha256_hex(body, strlen(body), hash), 0);
    const struct sigv4_pair h[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                   {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    assert_s3((struct sigv4_request){.method = "PUT", .path = "/test$file.text", .payload_hash = hash}, ARRAY(h),
              "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void s3_get_bucket_lifecycle(void **state)
{
    (void)state;
    const struct sigv4_pair q[] = {{"lifecycle", NULL}};
    assert_s3(
        (struct sigv4_request){
            .method = "GET", .path = "/", .query = q, .n_query = 1, .payload_hash = SIGV4_EMPTY_SHA256},
        NULL, 0, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void s3_list_objects(void **state)
{
    (void)state;
    const struct sigv4_pair q[] = {{"prefix", "J"}, {"max-keys", "2"}};
    assert_s3(
        (struct sigv4_request){
            .method = "GET", .path = "/", .query = q, .n_query = 2, .payload_hash = SIGV4_EMPTY_SHA256},
        NULL, 0, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* Trap 15: what servers compare with is encoded, sorted, and has '=' after each bare name. */
static void trap15_query_is_canonical(void **state)
{
    (void)state;
    const struct sigv4_pair q[] = {{"uploads", ""}, {"prefix", "a/b~c d+"}, {"delete", NULL}};
    struct strbuf b = {0};
    sigv4_encode_query(&b, ARRAY(q));
    assert_string_equal(strbuf_str(&b), "delete=&prefix=a%2Fb~c%20d%2B&uploads=");
    strbuf_free(&b);
}

/* Trap 15 (c): one name that is the beginning of another sorts before it, whatever follows the colon. */
static void trap15_header_names_are_sorted_alone(void **state)
{
    (void)state;
    const struct sigv4_pair h[] = {{"x-amz-meta-vtl-gen", "1"}, {"Host", " h \t x "}, {"x-amz-meta-vtl", "2"}};
    struct sigv4_request r = {.method = "GET", .path = "/a/%", .headers = h, .n_headers = 3, .payload_hash = "P"};
    struct strbuf b = {0};
    sigv4_canonical_request(&b, &r);
    assert_string_equal(strbuf_str(&b), "GET\n/a/%25\n\nhost:h x\nx-amz-meta-vtl:2\nx-amz-meta-vtl-gen:1\n\n"
                                        "host;x-amz-meta-vtl;x-amz-meta-vtl-gen\nP");
    strbuf_free(&b);
}

static void authorization_has_the_documented_form(void **state)
{
    (void)state;
    const struct sigv4_pair h[] = {{"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}};
    struct sigv4_request r = {
        .method = "GET", .path = "/", .headers = h, .n_headers = 2, .payload_hash = SIGV4_EMPTY_SHA256};
    struct strbuf b = {0};
    assert_int_equal(sigv4_authorization(&b, &suite_keys, &r, "20150830T123600Z"), 0);
    assert_string_equal(strbuf_str(&b),
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                        "SignedHeaders=host;x-amz-date, "
                        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    strbuf_free(&b);
}

static void date_is_utc(void **state)
{
    (void)state;
    char d[SIGV4_DATE_SIZE];
    sigv4_date(1440938160, d);
    assert_string_equal(d, "20150830T123600Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suite_get_vanilla),
        cmocka_unit_test(suite_post_vanilla),
        cmocka_unit_test(suite_get_space),
        cmocka_unit_test(suite_get_utf8),
        cmocka_unit_test(suite_get_unreserved),
        cmocka_unit_test(suite_get_vanilla_query_order_key_case),
        cmocka_unit_test(suite_get_vanilla_utf8_query),
        cmocka_unit_test(suite_post_header_key_sort),
        cmocka_unit_test(suite_get_header_key_duplicate),
        cmocka_unit_test(s3_get_object_with_range),
        cmocka_unit_test(s3_put_object),
        cmocka_unit_test(s3_get_bucket_lifecycle),
        cmocka_unit_test(s3_list_objects),
        cmocka_unit_test(trap15_query_is_canonical),
        cmocka_unit_test(trap15_header_names_are_sorted_alone),
        cmocka_unit_test(authorization_has_the_documented_form),
        cmocka_unit_test(date_is_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
