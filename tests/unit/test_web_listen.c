/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_web_listen.c: the console's listening socket, where a certificate is refused. */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/web/web_private.h"

static atomic_uint closed_twice;

/* In place of libc's, for libmicrohttpd too. */
int close(int fd)
{
    int rc = (int)syscall(SYS_close, fd);
    if (rc < 0 && errno == EBADF)
        atomic_fetch_add(&closed_twice, 1);
    return rc;
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* By then its number may be that of a connection, which is closed with it. */
static void the_socket_of_a_refused_certificate_is_closed_once(void **state)
{
    (void)state;
    static char certificate[] = "no certificate", key[] = "no key";
    const struct web_tls refused = {certificate, key};
    const struct web w = {.stop_fd = -1};
    struct web_listener l = {.w = &w, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(l.fd >= 0);
    assert_int_equal(bind(l.fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(l.fd, 8), 0);
    assert_int_equal(web_listen(&l, NULL), 0);
    struct MHD_Daemon *before = l.now;
    unsigned were = descriptors();
    for (int i = 0; i < 3; i++)
        assert_int_equal(web_listen(&l, &refused), -EIO);
    assert_ptr_equal(l.now, before);
    assert_int_equal(l.n_retired, 0);
    assert_int_equal(descriptors(), were);
    assert_int_equal(atomic_load(&closed_twice), 0);
    web_listen_end(&l);
    assert_int_equal(close(l.fd), 0);
    assert_int_equal(atomic_load(&closed_twice), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_of_a_refused_certificate_is_closed_once),
    };
    return cmocka_run_group_tests_name("web_listen", tests, NULL, NULL);
}
