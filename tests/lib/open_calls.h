/* SPDX-License-Identifier: GPL-2.0-or-later */
/* open_calls.h: the names of libc by which a file is opened, all led to do_open, which the includer has defined before:
 * static int do_open(int dir, const char *path, int flags, mode_t mode). */
#ifndef S3VTL_TESTS_OPEN_CALLS_H
#define S3VTL_TESTS_OPEN_CALLS_H

#include <fcntl.h>
#include <stdarg.h>

#define MODE_ARGUMENT(flags, mode)                                                                                     \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                           \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        mode = va_arg(ap, mode_t);                                                                                     \
        va_end(ap);                                                                                                    \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(dir, path, flags, mode);
}

#endif
