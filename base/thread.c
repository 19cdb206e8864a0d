/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thread.c: how every thread of the program starts. */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define STEP_US 2000
#define STEP_BACK 5 /* nice */

static int start(pthread_t *thread, const pthread_attr_t *attr, const char *name, void *(*fn)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* a new thread inherits the mask */
    int rc = pthread_create(thread, attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!rc && !attr) /* one that nobody joins may be gone by now */
        (void)pthread_setname_np(*thread, name);
    return -rc;
}

int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg)
{
    return start(thread, NULL, name, fn, arg);
}

/* Of a thread alone, as Linux has it (setpriority(2), "C library/kernel differences"). It may always do with less. */
void thread_step_back(void)
{
    const id_t self = (id_t)gettid();
    (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + STEP_BACK);
}

/* pthread_timedjoin_np goes by the clock that is set: one set back meanwhile would make it wait for as long. Of a join by the
 * other clock (pthread_clockjoin_np) GCC 12's ThreadSanitizer knows nothing. */
bool thread_join_within(pthread_t thread, unsigned ms)
{
    uint64_t until = clock_ms() + ms;
    int rc;
    while ((rc = pthread_tryjoin_np(thread, NULL)) == EBUSY && clock_ms() < until)
        (void)usleep(STEP_US);
    return !rc;
}

int thread_start_detached(const char *name, void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = start(&thread, &attr, name, fn, arg);
    pthread_attr_destroy(&attr);
    return rc;
}
