/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_versions.c: what a bucket keeps of objects, told by key and the newest first, however the store tells it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/s3_stand_in.h"

#define SCRIPT(...)                                                                                                    \
    (const struct stand_in_answer[]){__VA_ARGS__},                                                                     \
        sizeof((struct stand_in_answer[]){__VA_ARGS__}) / sizeof(struct stand_in_answer)
#define FIRST .expect = "GET /bkt?max-keys=1000&prefix=pre%2Ft%2F&versions= HTTP", .status = 200
#define ENTRY(kind, key, id, latest, when)                                                                             \
    "<" kind "><Key>" key "</Key><VersionId>" id "</VersionId><IsLatest>" latest "</IsLatest><LastModified>2026-11-"   \
    "27T" when "</LastModified><Owner><ID>o</ID></Owner></" kind ">"
#define LIST(inside) "<ListVersionsResult><Name>bkt</Name>" inside "</ListVersionsResult>"

struct rig {
    struct stand_in *si;
    struct objstore *s;
    struct errtext err;
    char told[1000];
};

static struct rig start(const struct stand_in_answer *script, size_t n)
{
    struct rig g = {.si = stand_in_start(script, n)};
    g.s = stand_in_store(g.si, NULL, 0);
    struct s3_store *s = (struct s3_store *)g.s;
    s->tuning.max_keys = 1000;
    atomic_store(&s->versioned, OBJ_YES);
    return g;
}

static void stop(struct rig *g)
{
    g->s->ops->close(g->s);
    stand_in_stop(g->si);
}

static int take(void *arg, const struct obj_version *v)
{
    struct rig *g = arg;
    size_t n = strlen(g->told);
    (void)snprintf(g->told + n, sizeof(g->told) - n, "%s=%s%s%s@%llu ", v->key, v->version, v->marker ? "-" : "",
                   v->latest ? "*" : "", (unsigned long long)v->put_ms % 100000);
    return 0;
}

static int list(struct rig *g)
{
    const struct obj_call once = {.max_tries = 1};
    g->told[0] = '\0';
    return objstore_versions(g->s, "t/", take, g, &once, &g->err);
}

/* As versitygw tells them: delete markers, then versions. */
static void of_one_key_the_newest_comes_first(void **state)
{
    (void)state;
    struct rig g =
        start(SCRIPT({FIRST, .body = LIST(ENTRY("DeleteMarker", "pre/t/a", "a3", "true", "00:00:03.500Z")
                                              ENTRY("Version", "pre/t/a", "a1", "false", "00:00:01Z")
                                                  ENTRY("Version", "pre/t/b", "b1", "true", "00:00:09Z")
                                                      ENTRY("Version", "pre/t/a", "a2", "false", "00:00:02Z"))}));
    assert_int_equal(list(&g), 0);
    assert_string_equal(g.told, "t/a=a3-*@3500 t/a=a2@2000 t/a=a1@1000 t/b=b1*@9000 ");
    stop(&g);
}

static void pages_are_followed_in_the_middle_of_a_key(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT(
        {FIRST, .body = LIST("<IsTruncated>true</IsTruncated><NextKeyMarker>pre/t/a</NextKeyMarker>"
                             "<NextVersionIdMarker>a2</NextVersionIdMarker>" ENTRY("Version", "pre/t/a", "a2", "true",
                                                                                   "00:00:02Z"))},
        {.expect =
             "GET /bkt?key-marker=pre%2Ft%2Fa&max-keys=1000&prefix=pre%2Ft%2F&version-id-marker=a2&versions= HTTP",
         .status = 200,
         .body = LIST("<IsTruncated>false</IsTruncated>" ENTRY("Version", "pre/t/a", "a1", "false", "00:00:01Z"))}));
    assert_int_equal(list(&g), 0);
    assert_string_equal(g.told, "t/a=a2*@2000 t/a=a1@1000 ");
    stop(&g);
}

static void a_list_that_cannot_be_trusted_is_an_error(void **state)
{
    (void)state;
    static const char more[] = LIST("<IsTruncated>true</IsTruncated><NextKeyMarker>pre/t/a</NextKeyMarker>");
    const struct stand_in_answer bad[] = {
        {FIRST, .body = "<ListBucketResult></ListBucketResult>"}, /* trap 8 */
        {FIRST, .body = LIST(ENTRY("Version", "pre/t/a", "a1", "true", "soon"))},
        {FIRST, .body = LIST("<Version><Key>pre/t/a</Key><LastModified>2026-11-27T00:00:01Z</LastModified></Version>")},
        {FIRST, .body = LIST("<IsTruncated>true</IsTruncated>")}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rig g = start(SCRIPT(bad[i]));
        assert_int_equal(list(&g), -EIO);
        assert_string_equal(g.told, "");
        stop(&g);
    }
    struct rig g = start(SCRIPT({FIRST, .body = more}, {.status = 200, .body = more}, {.status = 200, .body = more}));
    assert_int_equal(list(&g), -EIO);
    assert_non_null(strstr(g.err.text, "does not get on"));
    stop(&g);
}

#define MORE(marker) "<IsTruncated>true</IsTruncated><NextKeyMarker>pre/t/" marker "</NextKeyMarker>"

/* Page after page without a version, by markers that come again: only so many in a row. */
static void a_list_that_goes_in_a_circle_ends(void **state)
{
    (void)state;
    struct rig g =
        start(SCRIPT({FIRST, .body = LIST(MORE("a"))}, {.status = 200, .body = LIST(MORE("b"))},
                     {.status = 200, .body = LIST(ENTRY("Version", "pre/t/b", "1", "true", "00:00:01Z") MORE("c"))},
                     {.status = 200, .body = LIST(MORE("d"))}, {.status = 200, .body = LIST(MORE("c"))},
                     {.status = 200, .body = LIST(MORE("d"))}));
    ((struct s3_store *)g.s)->tuning.idle_pages = 2;
    assert_int_equal(list(&g), -EIO);
    assert_non_null(strstr(g.err.text, "page after page brings nothing"));
    assert_string_equal(g.told, "t/b=1*@1000 ");
    stop(&g);
}

static void what_is_not_ours_is_passed_over(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({FIRST, .body = LIST(ENTRY("Version", "other/t/a", "1", "true", "00:00:01Z")
                                                         ENTRY("Version", "pre/t/a b", "2", "true", "00:00:01Z")
                                                             ENTRY("Version", "pre/t/c", "3", "true", "00:00:01Z"))}));
    assert_int_equal(list(&g), 0);
    assert_string_equal(g.told, "t/c=3*@1000 ");
    stop(&g);
}

static void a_version_is_dropped_by_its_id(void **state)
{
    (void)state;
    struct rig g = start(SCRIPT({.expect = "DELETE /bkt/pre/t/a?versionId=a%2F3 HTTP", .status = 204},
                                {.expect = "DELETE /bkt/pre/t/a?versionId=x HTTP", .status = 404}));
    const struct obj_call once = {.max_tries = 1};
    assert_int_equal(g.s->ops->drop_version(g.s, "t/a", "a/3", &once, &g.err), 0);
    assert_int_equal(g.s->ops->drop_version(g.s, "t/a", "x", &once, &g.err), 0); /* gone already */
    assert_int_equal(g.s->ops->drop_version(g.s, "t/a", "", &once, &g.err),
                     -ENOTSUP); /* that would delete the object */
    stop(&g);
}

static void a_bucket_without_versions_is_asked_for_none(void **state)
{
    (void)state;
    struct rig g = start(NULL, 0);
    const struct obj_call once = {.max_tries = 1};
    atomic_store(&((struct s3_store *)g.s)->versioned, OBJ_NO);
    assert_int_equal(list(&g), -ENOTSUP);
    assert_int_equal(g.s->ops->drop_version(g.s, "t/a", "1", &once, &g.err), -ENOTSUP);
    stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_one_key_the_newest_comes_first),
        cmocka_unit_test(pages_are_followed_in_the_middle_of_a_key),
        cmocka_unit_test(a_list_that_cannot_be_trusted_is_an_error),
        cmocka_unit_test(a_list_that_goes_in_a_circle_ends),
        cmocka_unit_test(what_is_not_ours_is_passed_over),
        cmocka_unit_test(a_version_is_dropped_by_its_id),
        cmocka_unit_test(a_bucket_without_versions_is_asked_for_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
