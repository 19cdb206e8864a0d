/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tgt_stop.c: the end of a tgtd that does not answer any more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vtl/cmd/tgt.h"

static unsigned waited;

/* As if the whole time for an answer had gone by. */
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags); /* NOLINT: the linker's name */
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)  /* NOLINT */
{
    (void)fd;
    (void)buf;
    (void)len;
    (void)flags;
    waited++;
    errno = EAGAIN;
    return -1;
}

/* Its socket takes requests, as that of a stopped process does. */
static void one_that_hangs_is_waited_for_once_and_killed(void **state)
{
    (void)state;
    char dir[] = "/tmp/s3vtl-tgt-XXXXXX";
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct errtext err = {""};
    struct tgt t = {.log_fd = -1, .stop_fd = -1};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(t.ipc, sizeof(t.ipc), "%s/ipc", dir);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t.ipc);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 256), 0);
    t.pid = fork();
    while (!t.pid)
        pause();
    assert_int_equal(tgt_stop(&t, &err), -ETIMEDOUT);
    assert_string_equal(err.text, "tgtd did not end in time and was killed: what was synced is safe");
    assert_int_equal(t.pid, 0);
    assert_int_equal(waited, 1);
    close(fd);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_hangs_is_waited_for_once_and_killed),
    };
    return cmocka_run_group_tests_name("tgt_stop", tests, NULL, NULL);
}
