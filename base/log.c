/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.c: lines on standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(const char *fmt, ...)
{
    char line[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "s3vtl: %s\n", line);
}
