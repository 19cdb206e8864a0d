/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_objstore_open.c: each wrong option is told by its name; the rules on keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "s3backend/objstore.h"

struct place {
    char dir[64], credentials[96];
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    strcpy(p->dir, "/tmp/s3vtl-open-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->credentials, sizeof(p->credentials), "%s/cred", p->dir);
    write_file(p->credentials, "access_key = AK\nsecret_key = SK=/+x\n", 0600);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    unlink(p->credentials);
    rmdir(p->dir);
    free(p);
    return 0;
}

static struct objstore_config good(const struct place *p)
{
    return (struct objstore_config){.type = "s3",
                                    .url = "https://s3.example.com:9000",
                                    .bucket = "bucket",
                                    .prefix = "a/b",
                                    .region = "us-east-1",
                                    .credentials_file = p->credentials,
                                    .style = "path",
                                    .parallel = 4};
}

static void assert_opens(const struct objstore_config *c)
{
    struct objstore *s = NULL;
    struct errtext err = {""};
    if (objstore_open(c, &s, &err))
        fail_msg("%s", err.text);
    s->ops->close(s);
}

static void assert_refused(const struct objstore_config *c, const char *part)
{
    struct objstore *s = NULL;
    struct errtext err = {""};
    assert_int_equal(objstore_open(c, &s, &err), -EINVAL);
    assert_null(s);
    if (!strstr(err.text, part) || strchr(err.text, '\n'))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

static void a_good_configuration_opens(void **state)
{
    struct objstore_config c = good(*state);
    assert_opens(&c);
    c.url = "http://[::1]:80/";
    c.prefix = NULL;
    c.region = NULL;
    c.style = NULL;
    assert_opens(&c);
    c.url = "HTTP://LocalHost";
    c.style = "virtual";
    assert_opens(&c);
}

static void type_is_checked(void **state)
{
    struct objstore_config c = good(*state);
    c.type = NULL;
    assert_refused(&c, "option type: missing");
    c.type = "s4";
    assert_refused(&c, "option type: \"s4\" is unknown, must be dir or s3");
}

static void url_is_checked(void **state)
{
    static const char *const bad[] = {"ftp://x",        "example.com",    "http://",       "http://h:0",
                                      "http://h:65536", "http://h:",      "http://h/path", "http://h?x",
                                      "http://[::1",    "http://h:80:80", "http://a b",    "http://h:9x"};
    struct objstore_config c = good(*state);
    c.url = NULL;
    assert_refused(&c, "option url: missing");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c.url = bad[i];
        assert_refused(&c, "option url: ");
    }
}

static void a_password_in_url_is_refused_and_not_told(void **state)
{
    struct objstore_config c = good(*state);
    struct objstore *s = NULL;
    struct errtext err = {""};
    c.url = "http://user:hunter2@host";
    assert_int_equal(objstore_open(&c, &s, &err), -EINVAL);
    assert_null(strstr(err.text, "hunter2"));
    assert_non_null(strstr(err.text, "credentials_file"));
}

static void bucket_prefix_region_style_parallel_are_checked(void **state)
{
    struct objstore_config c = good(*state);
    c.bucket = NULL;
    assert_refused(&c, "option bucket: missing");
    c.bucket = "ab";
    assert_refused(&c, "option bucket: \"ab\"");
    c.bucket = "a/../b";
    assert_refused(&c, "option bucket: ");
    c = good(*state);
    static const char *const prefixes[] = {"/a", "a/", "a//b", "a/../b", ".", "a b", "%"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        c.prefix = prefixes[i];
        assert_refused(&c, "option prefix: ");
    }
    c = good(*state);
    c.region = "a b";
    assert_refused(&c, "option region: ");
    c = good(*state);
    c.style = "Path";
    assert_refused(&c, "option style: \"Path\" must be path or virtual");
    c.style = "virtual";
    c.url = "http://127.0.0.1:9000";
    assert_refused(&c, "option style: virtual needs a host name");
    c = good(*state);
    c.parallel = 0;
    assert_refused(&c, "option parallel: 0 must be 1 to 64");
    c.parallel = 65;
    assert_refused(&c, "option parallel: 65");
}

static void ca_file_is_checked(void **state)
{
    struct objstore_config c = good(*state);
    c.ca_file = "/no/such.pem";
    assert_refused(&c, "option ca_file: can't read /no/such.pem: No such file");
}

static void credentials_that_others_may_read_are_refused(void **state)
{
    const struct place *p = *state;
    struct objstore_config c = good(p);
    assert_int_equal(chmod(p->credentials, 0644), 0);
    assert_refused(&c, p->credentials);
    assert_refused(&c, "mode 0644");
    assert_refused(&c, "0600");
    assert_int_equal(chmod(p->credentials, 0610), 0);
    assert_refused(&c, "mode 0610");
    assert_int_equal(chmod(p->credentials, 0400), 0);
    assert_opens(&c);
    assert_int_equal(chmod(p->credentials, 0600), 0);
}

static void credentials_are_parsed_strictly(void **state)
{
    const struct place *p = *state;
    struct objstore_config c = good(p);
    static const struct {
        const char *text, *part; /* part NULL: good */
    } t[] = {
        {"access_key=A\nsecret_key=B", NULL},
        {"# comment\n\n  access_key = A \r\n\tsecret_key\t=\tB=C\n; x\n", NULL},
        {"access_key = A\n", "line 2: no secret_key"},
        {"secret_key = A\n", "no access_key"},
        {"", "no access_key"},
        {"access_key A\n", "line 1: no '='"},
        {"access_key = A\nsecret_key =\n", "line 2: secret_key is empty"},
        {"access_key = A\naccess_key = B\n", "line 2: access_key a second time"},
        {"key = A\n", "line 1: an unknown name"},
        {"access_key = A,B\nsecret_key = C\n", "line 1: access_key has a character"},
        {"access_key = \"A\"\nsecret_key = B\n", "line 1: access_key is in quotes: write it without"},
        {"access_key = A\nsecret_key = 'B'\n", "line 2: secret_key is in quotes: write it without"},
        {"access_key = A\nsecret_key = \"B\n", NULL},
        {"access_key = A\nsecret_key = C D\n", "line 2: secret_key has a character"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        write_file(p->credentials, t[i].text, 0600);
        if (t[i].part)
            assert_refused(&c, t[i].part);
        else
            assert_opens(&c);
    }
    write_file(p->credentials, "access_key = AK\nsecret_key = SK=/+x\n", 0600);
}

static void assert_from(const struct objstore_config *c, const char *from)
{
    struct objstore *s = NULL;
    struct errtext err = {""};
    struct obj_facts facts;
    if (objstore_open(c, &s, &err))
        fail_msg("%s", err.text);
    objstore_facts(s, &facts);
    assert_string_equal(facts.credentials, from);
    s->ops->close(s);
}

static void credentials_of_aws_are_known_by_their_form(void **state)
{
    const struct place *p = *state;
    struct objstore_config c = good(p);
    char from[200];
    write_file(p->credentials,
               "# AWS's\n[old]\naws_access_key_id = X,\n\n[default]\nregion = eu-1\naws_access_key_id = A\n"
               "aws_secret_access_key = B\n[tapes]\naws_secret_access_key=D\naws_access_key_id=C\n[half]\n"
               "aws_access_key_id = E\n[brief]\naws_access_key_id = F\naws_secret_access_key = G\n"
               "aws_session_token = H\n",
               0600);
    snprintf(from, sizeof(from), "%s [default]", p->credentials);
    assert_from(&c, from);
    c.profile = "tapes";
    snprintf(from, sizeof(from), "%s [tapes]", p->credentials);
    assert_from(&c, from);
    c.profile = "half";
    assert_refused(&c, "no aws_secret_access_key");
    c.profile = "brief";
    assert_refused(&c, "aws_session_token: keys that end by themselves are not supported");
    c.profile = "none";
    assert_refused(&c, "option profile: ");
    assert_refused(&c, "has no [none]");
    write_file(p->credentials, "access_key = A\n[default]\n", 0600);
    c.profile = NULL;
    assert_refused(&c, "line 2: a [section] behind keys");
    write_file(p->credentials, "access_key = AK\nsecret_key = SK=/+x\n", 0600);
    assert_from(&c, p->credentials);
    c.profile = "tapes";
    assert_refused(&c, "option profile: \"tapes\" is not in ");
}

static void credentials_of_systemd_have_its_mode(void **state)
{
    const struct place *p = *state;
    struct objstore_config c = good(p);
    assert_int_equal(chmod(p->credentials, 0440), 0);
    assert_refused(&c, "mode 0440");
    c.credentials_by_systemd = true;
    assert_from(&c, p->credentials);
    assert_int_equal(chmod(p->credentials, 0600), 0);
    c.credentials_file = "/run/credentials/none.service/x";
    assert_refused(&c, "systemd puts it there while the service runs");
    assert_refused(&c, "Before that: systemd-run -qP --uid=s3vtl -p LoadCredential=x:FILE s3vtl ...");
}

static void credentials_may_be_in_the_environment(void **state)
{
    struct objstore_config c = good(*state);
    c.credentials_file = "";
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
    assert_refused(&c, "the environment has no AWS_ACCESS_KEY_ID");
    setenv("AWS_ACCESS_KEY_ID", "AK", 1);
    assert_refused(&c, "AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY");
    setenv("AWS_SECRET_ACCESS_KEY", "\"quoted\"", 1);
    assert_refused(&c, "AWS_SECRET_ACCESS_KEY is in quotes");
    setenv("AWS_SECRET_ACCESS_KEY", "SK", 1);
    assert_from(&c, "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)");
    setenv("AWS_SESSION_TOKEN", "T", 1);
    assert_refused(&c, "AWS_SESSION_TOKEN: keys that end by themselves are not supported");
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
}

static void a_missing_credentials_file_is_named(void **state)
{
    struct objstore_config c = good(*state);
    c.credentials_file = NULL;
    assert_refused(&c, "option credentials_file: missing");
    c.credentials_file = "/no/such/file";
    assert_refused(&c, "can't open /no/such/file");
    c.credentials_file = "/tmp";
    assert_refused(&c, "not a regular file");
}

static void no_secret_in_a_credentials_error(void **state)
{
    const struct place *p = *state;
    struct objstore_config c = good(p);
    struct objstore *s = NULL;
    struct errtext err = {""};
    write_file(p->credentials, "access_key = A\nsecret_ky = TOPSECRET\n", 0600);
    assert_int_equal(objstore_open(&c, &s, &err), -EINVAL);
    assert_null(strstr(err.text, "TOPSECRET"));
    write_file(p->credentials, "access_key = AK\nsecret_key = SK=/+x\n", 0600);
}

static void dir_path_is_checked(void **state)
{
    const struct place *p = *state;
    struct objstore *s = NULL;
    struct errtext err = {""};
    struct objstore_config c = {.type = "dir"};
    assert_refused(&c, "option path: missing");
    c.path = "/no/such/parent/dir";
    assert_int_equal(objstore_open(&c, &s, &err), -EIO);
    assert_non_null(strstr(err.text, "option path: can't use directory /no/such/parent/dir"));
    c.path = p->credentials;
    assert_int_equal(objstore_open(&c, &s, &err), -EIO);
}

static void keys_keep_the_rules(void **state)
{
    (void)state;
    char long_key[710];
    static const char *const yes[] = {"a", "a/b", "A-Z_0.9", "...", "a/..b/.c", "tapes/ABC001L8/seg/01-x-02"};
    static const char *const no[] = {"",     "/",      "/a",  "a/",   "a//b", ".",    "..",       "./a", "a/.",
                                     "../a", "a/../b", "a b", "a%20", "a:b",  "a\\b", "\xC3\xA4", "a\n"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(objstore_key_ok(yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(objstore_key_ok(no[i]));
    assert_false(objstore_key_ok(NULL));
    memset(long_key, 'a', sizeof(long_key));
    long_key[700] = 0;
    assert_true(objstore_key_ok(long_key));
    long_key[700] = 'a';
    long_key[701] = 0;
    assert_false(objstore_key_ok(long_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_configuration_opens),
        cmocka_unit_test(type_is_checked),
        cmocka_unit_test(url_is_checked),
        cmocka_unit_test(a_password_in_url_is_refused_and_not_told),
        cmocka_unit_test(bucket_prefix_region_style_parallel_are_checked),
        cmocka_unit_test(ca_file_is_checked),
        cmocka_unit_test(credentials_that_others_may_read_are_refused),
        cmocka_unit_test(credentials_are_parsed_strictly),
        cmocka_unit_test(a_missing_credentials_file_is_named),
        cmocka_unit_test(credentials_of_aws_are_known_by_their_form),
        cmocka_unit_test(credentials_of_systemd_have_its_mode),
        cmocka_unit_test(credentials_may_be_in_the_environment),
        cmocka_unit_test(no_secret_in_a_credentials_error),
        cmocka_unit_test(dir_path_is_checked),
        cmocka_unit_test(keys_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
