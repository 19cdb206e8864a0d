/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_thread.c: joining a thread within a time, which no clock that is set makes longer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

/* In place of libc's: the clock that can be set is an hour ahead, as one that is set back in the next moment. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, out);
    out->tv_sec += clock == CLOCK_REALTIME ? 3600 : 0;
    return rc;
}

static void *wait_for(void *arg)
{
    while (sem_wait(arg))
        ;
    return NULL;
}

static void a_thread_that_does_not_end_is_left_in_time_though_the_clock_is_set_back(void **state)
{
    (void)state;
    pthread_t thread;
    sem_t end;
    assert_int_equal(sem_init(&end, 0, 0), 0);
    assert_int_equal(thread_start(&thread, "test", wait_for, &end), 0);
    (void)alarm(60); /* which ends the test */
    assert_false(thread_join_within(thread, 50));
    (void)alarm(0);
    assert_int_equal(sem_post(&end), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)sem_destroy(&end);
}

static void a_thread_that_ends_is_joined(void **state)
{
    (void)state;
    pthread_t thread;
    sem_t end;
    assert_int_equal(sem_init(&end, 0, 1), 0);
    assert_int_equal(thread_start(&thread, "test", wait_for, &end), 0);
    assert_true(thread_join_within(thread, 60000));
    (void)sem_destroy(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_does_not_end_is_left_in_time_though_the_clock_is_set_back),
        cmocka_unit_test(a_thread_that_ends_is_joined),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
