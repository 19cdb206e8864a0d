/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_notify.c: a message reaches a command, a webhook and a mail as documented, and none of them can hold anything up. */
#include "tests/unit/library_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "vtl/cmd/mail.h"
#include "vtl/cmd/notify.h"

static const struct notify_message message = {
    .event = "store-down", .state = NOTIFY_BEGINS, .began = 1234, .text = "PUT: 503 \"busy\"\nsecond line"};

static void script(const char *name, const char *text, char path[120])
{
    (void)snprintf(path, 120, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", text);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

/* What a file below dir has, in the order of lines. */
static const char *content(const char *name)
{
    static char text[4000];
    char path[120];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

static void expect_text(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("no \"%s\" in \"%s\"", words, text);
}

static struct vtl_config *with_command(const char *path)
{
    char more[300];
    (void)snprintf(more, sizeof(more), "[notify]\ncommand = %s\n", path);
    return config_more("one", "local", "16M", more);
}

/* ---- the command ---- */

static void the_command_gets_the_message_and_no_secret(void **state)
{
    (void)state;
    char path[120], text[300];
    struct errtext err = {""};
    (void)snprintf(text, sizeof(text), "cat >%s/line; env | sort >%s/env", dir, dir);
    script("tell", text, path);
    struct vtl_config *c = with_command(path);
    assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "not-for-you", 1), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", "not-for-you", 1), 0);
    assert_int_equal(notify_command(c, &message, 10000, -1, &err), 0);
    assert_int_equal(unsetenv("AWS_SECRET_ACCESS_KEY"), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    expect_text(content("line"), "s3vtl one on ");
    expect_text(content("line"), ": store-down begins: PUT: 503 \"busy\" second line\n");
    assert_ptr_equal(strchr(content("line"), '\n') + 1, content("line") + strlen(content("line"))); /* one line */
    static const char *const variables[] = {
        "S3VTL_EVENT=store-down\n", "S3VTL_STATE=begins\n", "S3VTL_SEVERITY=warning\n", "S3VTL_LIBRARY=one\n",
        "S3VTL_BEGAN=1234\n",       "S3VTL_ENDED=0\n",      "S3VTL_TEXT=PUT: 503",      "PATH="};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        expect_text(content("env"), variables[i]);
    assert_null(strstr(content("env"), "not-for-you"));
    config_free(c);
}

static bool is_running(const char *name)
{
    int pid = atoi(content(name));
    return pid > 0 && !kill(pid, 0);
}

static void a_command_that_hangs_is_killed_with_all_it_started(void **state)
{
    (void)state;
    char path[120], text[300];
    struct errtext err = {""};
    (void)snprintf(text, sizeof(text), "sleep 600 & echo $! >%s/child\nwait", dir);
    script("hang", text, path);
    struct vtl_config *c = with_command(path);
    uint64_t began = clock_ms();
    assert_int_equal(notify_command(c, &message, 1000, -1, &err), -ETIMEDOUT);
    assert_in_range(clock_ms() - began, 1000, 8000);
    expect_text(err.text, "/hang: killed: it did not end within 1 s");
    for (int i = 0; i < 500 && is_running("child"); i++) /* whoever adopted it has to notice */
        usleep(10000);
    char status[60];
    (void)snprintf(status, sizeof(status), "/proc/%d/status", atoi(content("child")));
    FILE *f = fopen(status, "r"); /* gone, or nobody has waited for it yet */
    char line[200] = "";
    while (f && fgets(line, sizeof(line), f) && strncmp(line, "State:", 6) != 0)
        ;
    assert_true(!f || strchr(line, 'Z'));
    if (f)
        fclose(f);
    config_free(c);
}

static void a_command_ends_when_serve_does(void **state)
{
    (void)state;
    char path[120];
    struct errtext err = {""};
    int stop = eventfd(1, EFD_CLOEXEC);
    script("hang", "sleep 600", path);
    struct vtl_config *c = with_command(path);
    assert_int_equal(notify_command(c, &message, 600000, stop, &err), -ECANCELED);
    config_free(c);
    close(stop);
}

static void a_command_that_fails_or_is_not_there_is_told(void **state)
{
    (void)state;
    char path[120];
    struct errtext err = {""};
    script("fail", "exit 7", path);
    struct vtl_config *c = with_command(path);
    assert_int_equal(notify_command(c, &message, 10000, -1, &err), -EIO);
    expect_text(err.text, "/fail: it ended with status 7");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(notify_command(c, &message, 10000, -1, &err), -ENOENT);
    expect_text(err.text, "/fail: No such file or directory");
    config_free(c);
}

/* ---- the webhook ---- */

struct server {
    int fd;
    const char *answer; /* NULL: none */
    char got[4000];
    pthread_t thread;
};

static void *serve_one(void *arg)
{
    struct server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    size_t n = 0;
    ssize_t more;
    while (!strstr(s->got, "}") && (more = read(fd, s->got + n, sizeof(s->got) - 1 - n)) > 0)
        n += (size_t)more;
    if (s->answer)
        assert_true(write(fd, s->answer, strlen(s->answer)) > 0);
    else
        (void)read(fd, s->got + n, 1); /* until the client gives up */
    close(fd);
    return NULL;
}

static struct vtl_config *with_server(struct server *s)
{
    char more[200];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve_one, s), 0);
    (void)snprintf(more, sizeof(more), "[notify]\nurl = http://127.0.0.1:%d/hook/token-abc\n", ntohs(a.sin_port));
    return config_more("one", "local", "16M", more);
}

/* Returns what notify_post did. */
static int post(struct server *s, unsigned ms, const atomic_bool *stop, struct errtext *err)
{
    struct vtl_config *c = with_server(s);
    int rc = notify_post(c, &message, ms, stop, err);
    (void)shutdown(s->fd, SHUT_RDWR); /* nobody may have come */
    pthread_join(s->thread, NULL);
    close(s->fd);
    config_free(c);
    return rc;
}

static void the_webhook_gets_json(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct server s = {.answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    if (post(&s, 10000, NULL, &err))
        fail_msg("%s", err.text);
    expect_text(s.got, "POST /hook/token-abc HTTP/1.1\r\n");
    expect_text(s.got, "Content-Type: application/json\r\n");
    json_t *j = json_loads(strstr(s.got, "\r\n\r\n") + 4, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "event")), "store-down");
    assert_string_equal(json_string_value(json_object_get(j, "state")), "begins");
    assert_string_equal(json_string_value(json_object_get(j, "library")), "one");
    assert_string_equal(json_string_value(json_object_get(j, "detail")), message.text);
    assert_int_equal(json_integer_value(json_object_get(j, "began")), 1234);
    assert_true(json_is_null(json_object_get(j, "ended")));
    expect_text(json_string_value(json_object_get(j, "text")), ": store-down begins: ");
    json_decref(j);
}

static void a_webhook_that_refuses_hangs_or_is_not_there_is_told_without_its_secret(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct server s = {.answer = "HTTP/1.1 500 Internal\r\nContent-Length: 0\r\n\r\n"}, hung = {.answer = NULL};
    assert_int_equal(post(&s, 10000, NULL, &err), -EIO);
    expect_text(err.text, "answered 500, must be 2xx");
    assert_null(strstr(err.text, "token-abc"));
    uint64_t began = clock_ms();
    assert_int_equal(post(&hung, 300, NULL, &err), -EIO);
    assert_in_range(clock_ms() - began, 200, 8000); /* about 300 */
    assert_null(strstr(err.text, "token-abc"));
    struct vtl_config *c = config_more("one", "local", "16M", "[notify]\nurl = http://user:token-abc@127.0.0.1:1/x\n");
    assert_int_equal(notify_post(c, &message, 5000, NULL, &err), -EIO);
    expect_text(err.text, "POST http://: ");
    assert_null(strstr(err.text, "token-abc"));
    config_free(c);
}

static void a_webhook_ends_when_serve_does(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct server s = {.answer = NULL};
    const atomic_bool stop = true;
    uint64_t began = clock_ms();
    assert_int_equal(post(&s, 600000, &stop, &err), -EIO);
    assert_in_range(clock_ms() - began, 0, 8000);
}

/* ---- the queue ---- */

/* A pipe with a name: what the command writes to it, line by line. */
static FILE *open_pipe(const char *name)
{
    char path[120];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC); /* so that neither side waits for the other to open it */
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "r");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0); /* so that poll sees what is there */
    return f;
}

static void expect_line(FILE *f, const char *want)
{
    char line[100] = "";
    struct pollfd p = {.fd = fileno(f), .events = POLLIN};
    if (poll(&p, 1, 60000) != 1 || !fgets(line, sizeof(line), f) || strcmp(line, want) != 0)
        fail_msg("\"%s\", not \"%s\"", line, want);
}

static void send_one(struct notifier *n, const char *event, enum notify_state state)
{
    struct notify_message m = {.state = state, .began = 5};
    (void)snprintf(m.event, sizeof(m.event), "%s", event);
    notify_send(n, &m);
}

/* The first two tries of the beginning fail. What is of another event does not wait for it. */
static void the_end_of_trouble_waits_for_its_beginning(void **state)
{
    (void)state;
    char path[120], text[400];
    (void)snprintf(text, sizeof(text),
                   "cd %s || exit 9\n"
                   "if [ $S3VTL_EVENT$S3VTL_STATE = no-answerbegins ] && [ ! -e 2 ]; then\n"
                   "[ ! -e 1 ] || : >2\n: >1\nexit 1\nfi\n"
                   "echo $S3VTL_EVENT $S3VTL_STATE >pipe",
                   dir);
    script("tell", text, path);
    FILE *f = open_pipe("pipe");
    struct vtl_config *c = with_command(path);
    struct notifier *n = NULL;
    assert_int_equal(setenv("S3VTL_NOTIFY_SPEED", "30", 1), 0);
    assert_int_equal(notify_start(c, &n), 0);
    send_one(n, "no-answer", NOTIFY_BEGINS);
    send_one(n, "no-answer", NOTIFY_OVER);
    send_one(n, "disk-filling", NOTIFY_BEGINS);
    expect_line(f, "disk-filling begins\n");
    expect_line(f, "no-answer begins\n");
    expect_line(f, "no-answer over\n");
    notify_stop(n);
    assert_int_equal(unsetenv("S3VTL_NOTIFY_SPEED"), 0);
    (void)fclose(f);
    config_free(c);
}

/* ---- mail ---- */

static void a_mail_is_a_message_that_sendmail_takes(void **state)
{
    (void)state;
    char path[120], text[300];
    struct errtext err = {""};
    (void)snprintf(text, sizeof(text), "echo \"$@\" >%s/arguments; cat >%s/mail", dir, dir);
    script("sendmail", text, path);
    assert_int_equal(setenv("S3VTL_SENDMAIL", path, 1), 0);
    if (mail_send("admin@example.com", "S3VTL OK - it\nis well", "line one\nline two\n", &err))
        fail_msg("%s", err.text);
    assert_string_equal(content("arguments"), "-oi -t\n");
    assert_string_equal(content("mail"), "To: admin@example.com\nSubject: S3VTL OK - it?is well\nMIME-Version: 1.0\n"
                                         "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
                                         "Auto-Submitted: auto-generated\n\nline one\nline two\n");
    script("sendmail", "exit 75", path);
    assert_int_equal(mail_send("root", "x", "y\n", &err), -EIO);
    expect_text(err.text, "the mail to root is not sent: it ended with status 75");
    script("sendmail", "exec 0<&-; exit 75", path); /* it reads nothing, and a pipe does not hold so much */
    char *much = malloc(1 << 20);
    assert_non_null(much);
    memset(much, 'y', (1 << 20) - 1);
    much[(1 << 20) - 1] = '\0';
    (void)signal(SIGPIPE, SIG_DFL);
    assert_int_equal(mail_send("root", "x", much, &err), -EIO);
    free(much);
    expect_text(err.text, "the mail to root is not sent: it ended with status 75");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mail_send("root", "x", "y\n", &err), -ENOENT);
    expect_text(err.text, "no mail can be sent: install a mail system");
    assert_int_equal(unsetenv("S3VTL_SENDMAIL"), 0);
}

static void an_address_is_one_address(void **state)
{
    (void)state;
    static const char *const right[] = {"root", "admin@example.com", "a.b+c@d-e.example"};
    static const char *const wrong[] = {"", "-t", "a b@c", "a@b,c@d", "a@b\nBcc: x@y", "@b", "a@", "a@b@c", "a<b@c>"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        assert_true(mail_address_ok(right[i]));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(mail_address_ok(wrong[i]));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_command_gets_the_message_and_no_secret),
        T(a_command_that_hangs_is_killed_with_all_it_started),
        T(a_command_ends_when_serve_does),
        T(a_command_that_fails_or_is_not_there_is_told),
        T(the_webhook_gets_json),
        T(a_webhook_that_refuses_hangs_or_is_not_there_is_told_without_its_secret),
        T(a_webhook_ends_when_serve_does),
        T(the_end_of_trouble_waits_for_its_beginning),
        T(a_mail_is_a_message_that_sendmail_takes),
        T(an_address_is_one_address),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
