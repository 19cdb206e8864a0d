/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deadline.h: until when to wait on a condition variable that goes by CLOCK_MONOTONIC. */
#ifndef S3VTL_DEADLINE_H
#define S3VTL_DEADLINE_H

#include <time.h>

/* ms milliseconds from now. Any thread. */
static inline struct timespec deadline_after(unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

#endif
