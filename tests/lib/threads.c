/* SPDX-License-Identifier: GPL-2.0-or-later */
/* threads.c: loaded before a test program, makes the file that THREAD_STARTED names as soon as the program starts a thread. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the libc's names are reserved */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    create_fn *next = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    const char *file = getenv("THREAD_STARTED");
    int fd = file ? open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd);
    return next(thread, attr, start, arg);
}
