/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.c: lines on standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void log_line(const char *fmt, ...)
{
    char line[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    /* On a terminal a bar may be in its place. */
    (void)fprintf(stderr, "%ss3vtl: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", line);
}
