/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clock.h: the clocks for intervals: they only move forward, whatever the host's time does. */
#ifndef S3VTL_CLOCK_H
#define S3VTL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some moment in the past (CLOCK_MONOTONIC). Any thread. */
static inline uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The same in microseconds and in milliseconds. */
static inline uint64_t clock_us(void)
{
    return clock_ns() / 1000;
}

static inline uint64_t clock_ms(void)
{
    return clock_ns() / 1000000;
}

/* Seconds since the host was booted, those that it slept included. Any thread. */
static inline int64_t clock_boot_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec;
}

/* ms milliseconds from now, for cond_wait_until. */
static inline struct timespec clock_after(unsigned ms)
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
