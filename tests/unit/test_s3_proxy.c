/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_proxy.c: the way to the store through an HTTP proxy: which requests take it, who is told what, and what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/s3_stand_in.h"

#define STORE "http://store.invalid:8080"

static char keys[40], password[40];

static void write_secret(char name[40], const char *text)
{
    (void)snprintf(name, 40, "/tmp/s3vtl-proxy-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0 && dprintf(fd, "%s\n", text) > 0);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    write_secret(keys, "access_key = AK\nsecret_key = SK");
    write_secret(password, "pass word:1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(keys);
    unlink(password);
    return 0;
}

static struct objstore_config through(const struct stand_in *proxy, const char *url)
{
    return (struct objstore_config){.type = "s3",
                                    .url = url,
                                    .bucket = "bkt",
                                    .credentials_file = keys,
                                    .proxy = stand_in_url(proxy),
                                    .parallel = 1};
}

static struct objstore *open_it(const struct objstore_config *cfg)
{
    const struct s3_tuning tuning = stand_in_tuning();
    struct errtext err = {""};
    struct objstore *o = NULL;
    if (s3_open(cfg, &tuning, &o, &err))
        fail_msg("%s", err.text);
    return o;
}

static int head(struct objstore *o, struct errtext *err)
{
    const struct obj_call once = {.max_tries = 1};
    uint64_t size;
    return o->ops->head(o, "x", &size, &once, err);
}

static const struct stand_in_answer five = {
    .expect = "HEAD " STORE "/bkt/x ", .status = 200, .headers = "Content-Length: 5\r\n"};

static void requests_go_through_it_and_it_is_told_who_asks(void **state)
{
    struct stand_in *s = stand_in_start(&five, 1);
    struct objstore_config cfg = through(s, STORE);
    struct errtext err = {""};
    (void)state;
    cfg.proxy_user = "me";
    cfg.proxy_password_file = password;
    struct objstore *o = open_it(&cfg);
    if (head(o, &err))
        fail_msg("%s", err.text);
    assert_non_null(strstr(stand_in_head(s, 0), "Proxy-Authorization: Basic bWU6cGFzcyB3b3JkOjE=\r\n"));
    assert_non_null(strstr(stand_in_head(s, 0), "Host: store.invalid:8080\r\n"));
    o->ops->close(o);
    stand_in_stop(s);
}

static void the_environment_is_not_looked_at(void **state)
{
    const struct stand_in_answer direct = {.expect = "HEAD /bkt/x ", .status = 200, .headers = "Content-Length: 5\r\n"};
    struct stand_in *store = stand_in_start(&direct, 1), *proxy = stand_in_start(&five, 1);
    struct objstore_config cfg = through(proxy, stand_in_url(store));
    struct errtext err = {""};
    (void)state;
    setenv("http_proxy", stand_in_url(proxy), 1);
    setenv("all_proxy", stand_in_url(proxy), 1);
    cfg.proxy = "";
    struct objstore *o = open_it(&cfg);
    if (head(o, &err))
        fail_msg("%s", err.text);
    o->ops->close(o);
    setenv("no_proxy", "*", 1); /* nor at what it exempts */
    cfg = through(proxy, STORE);
    o = open_it(&cfg);
    if (head(o, &err))
        fail_msg("%s", err.text);
    o->ops->close(o);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("no_proxy");
    stand_in_stop(store);
    stand_in_stop(proxy);
}

static void what_no_proxy_names_goes_without_it(void **state)
{
    const struct stand_in_answer direct = {.expect = "HEAD /bkt/x ", .status = 200, .headers = "Content-Length: 5\r\n"};
    struct stand_in *store = stand_in_start(&direct, 1), *proxy = stand_in_start(NULL, 0);
    struct objstore_config cfg = through(proxy, stand_in_url(store));
    struct errtext err = {""};
    (void)state;
    cfg.no_proxy = ".example.com 127.0.0.0/8";
    struct objstore *o = open_it(&cfg);
    if (head(o, &err))
        fail_msg("%s", err.text);
    assert_int_equal(stand_in_connections(proxy), 0);
    o->ops->close(o);
    stand_in_stop(store);
    stand_in_stop(proxy);
}

static void a_password_that_it_refuses_is_told_as_such(void **state)
{
    const struct stand_in_answer no = {.status = 407, .headers = "Proxy-Authenticate: Basic realm=\"x\"\r\n"};
    const struct stand_in_answer script[] = {no, no};
    static const char *const urls[] = {STORE, "https://store.invalid"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stand_in *s = stand_in_start(script, 1);
        struct objstore_config cfg = through(s, urls[i]);
        struct errtext err = {""};
        struct objstore *o = open_it(&cfg);
        assert_int_equal(head(o, &err), -EACCES);
        if (!strstr(err.text, "407") || !strstr(err.text, "check store options proxy_user and proxy_password_file"))
            fail_msg("%s", err.text);
        o->ops->close(o);
        stand_in_stop(s);
    }
}

/* As tinyproxy does: it asks like a web site. */
static void a_demand_for_a_password_is_none_of_the_stores(void **state)
{
    const struct stand_in_answer no = {.status = 401, .headers = "WWW-Authenticate: Basic realm=\"x\"\r\n"};
    struct stand_in *s = stand_in_start(&no, 1);
    struct objstore_config cfg = through(s, STORE);
    struct errtext err = {""};
    struct objstore *o = open_it(&cfg);
    (void)state;
    assert_int_equal(head(o, &err), -EACCES);
    if (!strstr(err.text, "401: a demand for a user and password, as of a proxy"))
        fail_msg("%s", err.text);
    o->ops->close(o);
    stand_in_stop(s);
}

static void a_tunnel_that_it_refuses_is_told_as_such(void **state)
{
    const struct stand_in_answer no = {.expect = "CONNECT store.invalid:443 ", .status = 403};
    struct stand_in *s = stand_in_start(&no, 1);
    struct objstore_config cfg = through(s, "https://store.invalid");
    struct errtext err = {""};
    struct objstore *o = open_it(&cfg);
    (void)state;
    assert_int_equal(head(o, &err), -EIO);
    if (!strstr(err.text, "403") || !strstr(err.text, "the proxy refuses the way to the store"))
        fail_msg("%s", err.text);
    o->ops->close(o);
    stand_in_stop(s);
}

/* Between this host and itself nobody changes a body; a proxy might. */
static void through_a_proxy_bodies_are_signed(void **state)
{
    static char body[2 << 20];
    const struct stand_in_answer ok = {.expect = "PUT http://127.0.0.1:9/", .status = 200, .etag = 1};
    struct stand_in *s = stand_in_start(&ok, 1);
    struct objstore_config cfg = through(s, "http://127.0.0.1:9");
    struct objstore *o = open_it(&cfg);
    const struct obj_source src = {.mem = body, .len = sizeof(body)};
    struct errtext err = {""};
    (void)state;
    if (o->ops->put(o, "x", &src, NULL, &err))
        fail_msg("%s", err.text);
    assert_null(strstr(stand_in_head(s, 0), "UNSIGNED-PAYLOAD"));
    o->ops->close(o);
    stand_in_stop(s);
}

static void a_swap_takes_the_proxy_too(void **state)
{
    struct stand_in *s = stand_in_start(&five, 1);
    struct objstore_config cfg = through(s, STORE);
    struct objstore *b = open_it(&cfg);
    struct errtext err = {""};
    (void)state;
    cfg.proxy = "http://127.0.0.1:9";
    struct objstore *a = open_it(&cfg);
    assert_true(objstore_same_keys(a, b));
    assert_false(objstore_same_proxy(a, b));
    objstore_swap_access(a, b);
    b->ops->close(b);
    if (head(a, &err))
        fail_msg("%s", err.text);
    cfg = through(s, STORE);
    b = open_it(&cfg);
    assert_true(objstore_same_proxy(a, b));
    b->ops->close(b);
    cfg.proxy_user = "me"; /* the password alone differs */
    cfg.proxy_password_file = password;
    b = open_it(&cfg);
    assert_false(objstore_same_proxy(a, b));
    b->ops->close(b);
    a->ops->close(a);
    stand_in_stop(s);
}

static void a_password_that_others_can_read_is_refused(void **state)
{
    struct stand_in *s = stand_in_start(NULL, 0);
    struct objstore_config cfg = through(s, STORE);
    struct objstore *o = NULL;
    struct errtext err = {""};
    (void)state;
    cfg.proxy_user = "me";
    cfg.proxy_password_file = password;
    assert_int_equal(chmod(password, 0640), 0);
    assert_int_equal(objstore_open(&cfg, &o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "others may read it; its mode must be 0600"));
    cfg.proxy_password_by_systemd = true;
    o = open_it(&cfg);
    o->ops->close(o);
    assert_int_equal(truncate(password, 0), 0);
    assert_int_equal(objstore_open(&cfg, &o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "must have the password in its first line"));
    stand_in_stop(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(requests_go_through_it_and_it_is_told_who_asks),
        T(the_environment_is_not_looked_at),
        T(what_no_proxy_names_goes_without_it),
        T(a_password_that_it_refuses_is_told_as_such),
        T(a_demand_for_a_password_is_none_of_the_stores),
        T(a_tunnel_that_it_refuses_is_told_as_such),
        T(through_a_proxy_bodies_are_signed),
        T(a_swap_takes_the_proxy_too),
        T(a_password_that_others_can_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
