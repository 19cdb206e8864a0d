/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check.h: INVARIANT(condition), a rule that the code keeps and the asan and tsan builds check. */
#ifndef S3VTL_CHECK_H
#define S3VTL_CHECK_H

/*
 * With LOCK_CHECKS (the asan and tsan builds) a condition that is false ends the process, with the condition, its file
 * and its line. In the plain build it is not evaluated, so it must have no effect of its own. It is for what only a
 * mistake in this program can break: what comes from a disk, a store or a host is checked by code that answers.
 */
#ifdef LOCK_CHECKS
#include <stdio.h>
#include <stdlib.h>

static inline _Noreturn void invariant_broken(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
    abort();
}
#define INVARIANT(condition) ((condition) ? (void)0 : invariant_broken(#condition, __FILE__, __LINE__))
#else
#define INVARIANT(condition) ((void)(0 && (condition))) /* compiled, but not evaluated */
#endif

#endif
