/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_control.c: the control socket: requests and answers, who may ask, and what it withstands. The library behind it
 * is a stand-in in this file, for answers that can be held back. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/library/control.h"

/* ---- the library's stand-in ---- */

struct library {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned entered; /* how many "wait" requests are in library_call */
    bool open;        /* lets them out */
};

static void enter_and_wait(struct library *lib)
{
    pthread_mutex_lock(&lib->lock);
    lib->entered++;
    pthread_cond_broadcast(&lib->cond);
    while (!lib->open)
        pthread_cond_wait(&lib->cond, &lib->lock);
    pthread_mutex_unlock(&lib->lock);
}

#define LARGE 1000000u

static json_t *large_text(void)
{
    char *text = malloc(LARGE);
    assert_non_null(text);
    for (size_t i = 0; i < LARGE; i++)
        text[i] = (char)(1 + i % 31);
    json_t *j = json_stringn(text, LARGE);
    free(text);
    return j;
}

bool library_call_waits(const json_t *request)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    return op && !strcmp(op, "wait");
}

json_t *library_call(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    if (op && !strcmp(op, "echo"))
        return json_incref(json_object_get(request, "what"));
    if (op && !strcmp(op, "large"))
        return large_text();
    if (op && !strcmp(op, "fail")) {
        errtext_set(err, -EIO, "it failed: %s", json_string_value(json_object_get(request, "what")));
        return NULL;
    }
    if (op && !strcmp(op, "latin-1")) {
        errtext_set(err, -EIO, "Zugriff verweigert f\xfcr Kasse");
        return NULL;
    }
    if (op && !strcmp(op, "wait")) {
        enter_and_wait(lib);
        return json_string("waited");
    }
    errtext_set(err, -EINVAL, "unknown operation");
    return NULL;
}

/* ---- a server in a directory of its own ---- */

struct place {
    char dir[64], path[80], conf[8];
    struct vtl_config cfg;
    struct library lib;
    struct control_server *server;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/s3vtl-control-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/control.sock", p->dir);
    (void)snprintf(p->conf, sizeof(p->conf), "conf");
    p->cfg.file = p->conf;
    p->cfg.library.state_dir = p->dir;
    pthread_mutex_init(&p->lib.lock, NULL);
    pthread_cond_init(&p->lib.cond, NULL);
    *state = p;
    return 0;
}

static int start(void **state)
{
    make_place(state);
    struct place *p = *state;
    struct errtext err = {""};
    if (control_server_start(&p->lib, &p->cfg, &p->server, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int stop(void **state)
{
    struct place *p = *state;
    control_server_stop(p->server);
    unlink(p->path);
    assert_int_equal(rmdir(p->dir), 0);
    pthread_cond_destroy(&p->lib.cond);
    pthread_mutex_destroy(&p->lib.lock);
    free(p);
    return 0;
}

static int call(struct place *p, const char *request, json_t **result, struct errtext *err)
{
    json_t *j = json_loads(request, 0, NULL);
    assert_non_null(j);
    err->text[0] = '\0';
    int rc = control_call(&p->cfg, j, 20000, result, err);
    json_decref(j);
    return rc;
}

/* A connection below control_call, for what control_call never sends. */
static int dial(const struct place *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        text += n;
        len -= (size_t)n;
    }
}

/* The next line, without its newline; "" when the connection ended. */
static void hear(int fd, char *line, size_t room)
{
    size_t n = 0;
    while (n + 1 < room && recv(fd, line + n, 1, 0) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
}

static void expect_line(int fd, const char *expected)
{
    char line[300];
    hear(fd, line, sizeof(line));
    assert_string_equal(line, expected);
}

static void wait_entered(struct library *lib, unsigned n)
{
    pthread_mutex_lock(&lib->lock);
    while (lib->entered < n)
        pthread_cond_wait(&lib->cond, &lib->lock);
    pthread_mutex_unlock(&lib->lock);
}

static void let_out(struct library *lib)
{
    pthread_mutex_lock(&lib->lock);
    lib->open = true;
    pthread_cond_broadcast(&lib->cond);
    pthread_mutex_unlock(&lib->lock);
}

/* ---- requests and answers ---- */

static void a_result_comes_back_as_it_was(void **state)
{
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(call(*state, "{\"op\":\"echo\",\"what\":{\"a\":[1,\"\\u00e9\\n\",null]}}", &r, &err), 0);
    json_t *expected = json_loads("{\"a\":[1,\"\\u00e9\\n\",null]}", 0, NULL);
    assert_true(json_equal(r, expected));
    json_decref(expected);
    json_decref(r);
}

/* Made of control characters, which are six in JSON: larger than any buffer on the way. */
static void an_answer_of_megabytes_comes_whole(void **state)
{
    struct place *p = *state;
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(call(p, "{\"op\":\"large\"}", &r, &err), 0);
    assert_int_equal(json_string_length(r), LARGE);
    for (size_t i = 0; i < LARGE; i++)
        assert_int_equal(json_string_value(r)[i], 1 + i % 31);
    json_decref(r);
}

static void an_error_comes_back_as_text(void **state)
{
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(call(*state, "{\"op\":\"fail\",\"what\":\"no \\u00fcber\"}", &r, &err), -EREMOTEIO);
    assert_string_equal(err.text, "it failed: no \u00fcber");
    assert_null(r);
}

static void an_error_that_is_not_utf8_comes_back_all_the_same(void **state)
{
    json_t *r = NULL;
    struct errtext err;
    assert_int_equal(call(*state, "{\"op\":\"latin-1\"}", &r, &err), -EREMOTEIO);
    assert_string_equal(err.text, "Zugriff verweigert f?r Kasse");
}

static void what_is_no_object_gets_an_error_and_the_connection_goes_on(void **state)
{
    static const char not_an_object[] = "{\"error\":\"the request is not a JSON object\",\"ok\":false}";
    static const char *const garbage[] = {
        "\n", "hello\n", "[1]\n", "{\"op\":\n", "{\"op\":\"echo\",\"op\":\"fail\"}\n", "\x01\x02\xff\n"};
    int fd = dial(*state);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        char line[300];
        say(fd, garbage[i]);
        hear(fd, line, sizeof(line));
        json_t *got = json_loads(line, 0, NULL), *expected = json_loads(not_an_object, 0, NULL);
        assert_true(json_equal(got, expected));
        json_decref(got);
        json_decref(expected);
    }
    say(fd, "{\"op\":\"echo\",\"what\":7}\n");
    expect_line(fd, "{\"ok\":true,\"result\":7}");
    close(fd);
}

static void requests_may_come_in_pieces_or_together(void **state)
{
    int fd = dial(*state);
    say(fd, "{\"op\":\"ec");
    say(fd, "ho\",\"what\":1}\n{\"op\":\"echo\",\"what\":2}\n{\"op\"");
    expect_line(fd, "{\"ok\":true,\"result\":1}");
    expect_line(fd, "{\"ok\":true,\"result\":2}");
    say(fd, ":\"echo\",\"what\":3}\n");
    expect_line(fd, "{\"ok\":true,\"result\":3}");
    close(fd);
}

static void a_line_beyond_the_limit_is_refused_with_a_reason(void **state)
{
    struct place *p = *state;
    size_t n = 2u << 20;
    char *what = malloc(n + 1);
    assert_non_null(what);
    memset(what, 'x', n);
    what[n] = '\0';
    json_t *request = json_pack("{s:s, s:s}", "op", "echo", "what", what), *r = NULL;
    struct errtext err;
    assert_int_equal(control_call(&p->cfg, request, 20000, &r, &err), -EREMOTEIO);
    assert_string_equal(err.text, "the request is longer than 1 MiB");
    json_decref(request);
    free(what);
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), 0);
    json_decref(r);
}

/* ---- many, slow and lost clients ---- */

static void a_slow_request_holds_up_no_other(void **state)
{
    struct place *p = *state;
    json_t *r = NULL;
    struct errtext err;
    int fd = dial(p);
    say(fd, "{\"op\":\"wait\"}\n");
    wait_entered(&p->lib, 1);
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), 0);
    json_decref(r);
    let_out(&p->lib);
    expect_line(fd, "{\"ok\":true,\"result\":\"waited\"}");
    close(fd);
}

/* Fills what there are of places with clients that have their answer and stay. */
#define TALKERS 16
static void fill_places(const struct place *p, int fds[TALKERS])
{
    for (unsigned i = 0; i < TALKERS; i++) {
        fds[i] = dial(p);
        say(fds[i], "{\"op\":\"echo\",\"what\":7}\n");
        expect_line(fds[i], "{\"ok\":true,\"result\":7}");
    }
}

static void close_all(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
}

static void the_seventeenth_is_told_to_try_again(void **state)
{
    struct place *p = *state;
    json_t *r = NULL;
    struct errtext err;
    int fds[TALKERS];
    fill_places(p, fds);
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), -EREMOTEIO);
    assert_string_equal(err.text, "too many ask at once: try again");
    close_all(fds, TALKERS);
    int rc;
    do /* the server needs a moment to see that they left */
        rc = call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err);
    while (rc == -EREMOTEIO);
    assert_int_equal(rc, 0);
    json_decref(r);
}

#define WAITERS 64
static void fill_waiting(struct place *p, int fds[WAITERS])
{
    for (unsigned i = 0; i < WAITERS; i++) {
        fds[i] = dial(p);
        say(fds[i], "{\"op\":\"wait\"}\n");
        wait_entered(&p->lib, i + 1);
    }
}

static void those_who_wait_take_no_place_from_the_others(void **state)
{
    struct place *p = *state;
    json_t *r = NULL;
    struct errtext err;
    int waiters[WAITERS], talkers[TALKERS];
    fill_waiting(p, waiters);
    fill_places(p, talkers);
    close_all(talkers, TALKERS);
    let_out(&p->lib);
    for (unsigned i = 0; i < WAITERS; i++)
        expect_line(waiters[i], "{\"ok\":true,\"result\":\"waited\"}");
    close_all(waiters, WAITERS);
    int rc;
    do
        rc = call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err);
    while (rc == -EREMOTEIO);
    assert_int_equal(rc, 0);
    json_decref(r);
}

static void not_more_than_sixty_four_may_wait(void **state)
{
    struct place *p = *state;
    json_t *r = NULL;
    struct errtext err;
    int waiters[WAITERS];
    fill_waiting(p, waiters);
    assert_int_equal(call(p, "{\"op\":\"wait\"}", &r, &err), -EREMOTEIO);
    assert_string_equal(err.text, "too many wait at once: try again");
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), 0);
    json_decref(r);
    let_out(&p->lib);
    for (unsigned i = 0; i < WAITERS; i++)
        expect_line(waiters[i], "{\"ok\":true,\"result\":\"waited\"}");
    close_all(waiters, WAITERS);
}

/* Serve's connection, made before it started us. */
static void a_stop_has_a_place_of_its_own(void **state)
{
    make_place(state);
    struct place *p = *state;
    int ends[2], waiters[WAITERS], talkers[TALKERS];
    char number[16];
    struct errtext err = {""};
    json_t *r = NULL, *request = json_pack("{s:s, s:i}", "op", "echo", "what", 7);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    (void)snprintf(number, sizeof(number), "%d", ends[1]);
    setenv(CONTROL_STOP_FD, number, 1);
    int rc = control_server_start(&p->lib, &p->cfg, &p->server, &err);
    unsetenv(CONTROL_STOP_FD);
    assert_int_equal(rc, 0);
    fill_waiting(p, waiters);
    fill_places(p, talkers);
    assert_int_equal(control_call_over(ends[0], &p->cfg, request, &r, &err), 0);
    assert_int_equal(json_integer_value(r), 7);
    json_decref(r);
    json_decref(request);
    request = json_pack("{s:s}", "op", "wait"); /* nor does it count among those who wait */
    let_out(&p->lib);
    assert_int_equal(control_call_over(ends[0], &p->cfg, request, &r, &err), 0);
    json_decref(r);
    json_decref(request);
    close_all(waiters, WAITERS);
    close_all(talkers, TALKERS);
    close(ends[0]);
}

static void a_client_that_leaves_before_its_answer_harms_nobody(void **state)
{
    struct place *p = *state;
    json_t *r = NULL;
    struct errtext err;
    int fd = dial(p);
    say(fd, "{\"op\":\"wait\"}\n");
    wait_entered(&p->lib, 1);
    close(fd);
    let_out(&p->lib);
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), 0);
    json_decref(r);
}

static void no_answer_in_time_is_told(void **state)
{
    struct place *p = *state;
    json_t *request = json_pack("{s:s}", "op", "wait"), *r = NULL;
    struct errtext err = {""};
    char expected[200];
    assert_int_equal(control_call(&p->cfg, request, 50, &r, &err), -EAGAIN);
    (void)snprintf(expected, sizeof(expected), "%s: no answer in time", p->path);
    assert_string_equal(err.text, expected);
    json_decref(request);
    let_out(&p->lib);
}

static void who_asks_again_while_an_answer_is_due_takes_no_second_place(void **state)
{
    struct place *p = *state;
    json_t *request = json_pack("{s:s}", "op", "wait"), *r = NULL;
    struct errtext err = {""};
    int owing_fd = -1, rc;
    assert_int_equal(control_ask(&owing_fd, &p->cfg, request, 50, &r, &err), -EAGAIN);
    wait_entered(&p->lib, 1);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(control_ask(&owing_fd, &p->cfg, request, 50, &r, &err), -EAGAIN);
    let_out(&p->lib);
    do /* the answer that was due is on its way */
        rc = control_ask(&owing_fd, &p->cfg, request, 20000, &r, &err);
    while (rc == -EAGAIN);
    assert_int_equal(rc, 0);
    assert_string_equal(json_string_value(r), "waited");
    assert_int_equal(p->lib.entered, 2);
    json_decref(r);
    json_decref(request);
    control_ask_end(&owing_fd);
}

static void *stop_server(void *arg)
{
    struct place *p = arg;
    control_server_stop(p->server);
    p->server = NULL;
    return NULL;
}

static void a_stop_ends_idle_clients_and_lets_a_running_request_finish(void **state)
{
    struct place *p = *state;
    pthread_t t;
    int idle = dial(p), busy = dial(p);
    say(idle, "{\"op\":\"echo\",\"what\":1}\n");
    expect_line(idle, "{\"ok\":true,\"result\":1}");
    say(busy, "{\"op\":\"wait\"}\n");
    wait_entered(&p->lib, 1);
    assert_int_equal(pthread_create(&t, NULL, stop_server, p), 0);
    expect_line(idle, ""); /* the stop came to the clients */
    let_out(&p->lib);
    expect_line(busy, "{\"ok\":true,\"result\":\"waited\"}");
    expect_line(busy, "");
    pthread_join(t, NULL);
    assert_int_equal(access(p->path, F_OK), -1);
    close(idle);
    close(busy);
}

/* ---- the socket's file ---- */

static void the_socket_has_mode_0660_whatever_the_umask(void **state)
{
    struct place *p = *state;
    static const mode_t masks[] = {0, 022, 077};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct stat st;
        struct errtext err = {""};
        mode_t old = umask(masks[i]);
        assert_int_equal(control_server_start(&p->lib, &p->cfg, &p->server, &err), 0);
        assert_int_equal(umask(old), masks[i]);
        assert_int_equal(stat(p->path, &st), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | 0660);
        control_server_stop(p->server);
        p->server = NULL;
    }
}

static void a_stale_socket_file_is_replaced(void **state)
{
    struct place *p = *state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct errtext err = {""};
    json_t *r = NULL;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    close(fd);
    assert_int_equal(call(p, "{\"op\":\"echo\"}", &r, &err), -ECONNREFUSED);
    assert_int_equal(control_server_start(&p->lib, &p->cfg, &p->server, &err), 0);
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), 0);
    json_decref(r);
}

static void a_socket_that_somebody_answers_is_left_alone(void **state)
{
    struct place *p = *state;
    struct control_server *second = NULL;
    struct errtext err = {""};
    json_t *r = NULL;
    char expected[200];
    assert_int_equal(control_server_start(&p->lib, &p->cfg, &second, &err), -EADDRINUSE);
    assert_null(second);
    (void)snprintf(expected, sizeof(expected), "%s: another library answers there", p->path);
    assert_string_equal(err.text, expected);
    assert_int_equal(call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err), 0);
    json_decref(r);
}

static void without_a_server_the_client_says_so(void **state)
{
    struct errtext err;
    json_t *r = NULL;
    assert_int_equal(call(*state, "{\"op\":\"echo\"}", &r, &err), -ENOENT);
    assert_non_null(strstr(err.text, "control.sock: no library answers: "));
}

static void a_state_dir_too_long_for_a_socket_is_told(void **state)
{
    struct place *p = *state;
    char dir[120];
    struct errtext err = {""};
    (void)snprintf(dir, sizeof(dir), "/%0100d", 0);
    p->cfg.library.state_dir = dir;
    assert_int_equal(control_server_start(&p->lib, &p->cfg, &p->server, &err), -ENAMETOOLONG);
    assert_non_null(strstr(err.text, "too long for a socket"));
}

/* ---- who may ask ---- */

/* As nobody (uid and gid), over a socket whose mode somebody opened: the answer's error, through a pipe. */
static void ask_as_nobody(struct place *p, int out)
{
    struct errtext err = {""};
    json_t *r = NULL;
    if (setgid(65534) || setuid(65534))
        (void)snprintf(err.text, sizeof(err.text), "cannot become nobody");
    else
        (void)call(p, "{\"op\":\"echo\",\"what\":1}", &r, &err);
    _exit(write(out, err.text, sizeof(err.text)) == (ssize_t)sizeof(err.text) ? 0 : 1);
}

static void strangers_are_refused_with_a_reason(void **state)
{
    struct place *p = *state;
    struct errtext err = {""};
    int fds[2], status = -1;
    if (geteuid()) {
        print_message("not root: cannot become a stranger; nothing shown here\n");
        skip();
    }
    assert_int_equal(chmod(p->dir, 0755), 0);
    assert_int_equal(chmod(p->path, 0666), 0);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (!pid)
        ask_as_nobody(p, fds[1]);
    close(fds[1]);
    assert_int_equal(read(fds[0], err.text, sizeof(err.text)), sizeof(err.text));
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_string_equal(err.text, "not allowed: only root and the user and group that the library runs as may ask");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define SERVED(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define BARE(name) cmocka_unit_test_setup_teardown(name, make_place, stop)
        SERVED(a_result_comes_back_as_it_was),
        SERVED(an_answer_of_megabytes_comes_whole),
        SERVED(an_error_comes_back_as_text),
        SERVED(an_error_that_is_not_utf8_comes_back_all_the_same),
        SERVED(what_is_no_object_gets_an_error_and_the_connection_goes_on),
        SERVED(requests_may_come_in_pieces_or_together),
        SERVED(a_line_beyond_the_limit_is_refused_with_a_reason),
        SERVED(a_slow_request_holds_up_no_other),
        SERVED(the_seventeenth_is_told_to_try_again),
        SERVED(those_who_wait_take_no_place_from_the_others),
        SERVED(not_more_than_sixty_four_may_wait),
        cmocka_unit_test_teardown(a_stop_has_a_place_of_its_own, stop),
        SERVED(a_client_that_leaves_before_its_answer_harms_nobody),
        SERVED(no_answer_in_time_is_told),
        SERVED(who_asks_again_while_an_answer_is_due_takes_no_second_place),
        SERVED(a_stop_ends_idle_clients_and_lets_a_running_request_finish),
        BARE(the_socket_has_mode_0660_whatever_the_umask),
        BARE(a_stale_socket_file_is_replaced),
        SERVED(a_socket_that_somebody_answers_is_left_alone),
        BARE(without_a_server_the_client_says_so),
        BARE(a_state_dir_too_long_for_a_socket_is_told),
        SERVED(strangers_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
