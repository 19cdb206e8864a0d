/* SPDX-License-Identifier: GPL-2.0-or-later */
/* problem.c: why a sequence failed. */
#include "tests/pbs/problem.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char text[400];
static _Thread_local int quiet;

void problem_quiet(int more)
{
    quiet += more;
}

void problem_set(const char *fmt, ...)
{
    va_list ap;
    if (quiet)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
}

const char *problem_text(void)
{
    return text;
}
