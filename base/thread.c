/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thread.c: how every thread of the program starts. */
#include "base/thread.h"

#include <signal.h>
#include <time.h>

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

bool thread_join_within(pthread_t thread, unsigned ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return !pthread_timedjoin_np(thread, NULL, &until);
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
