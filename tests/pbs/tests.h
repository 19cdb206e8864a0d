/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests.h: the tests, each a function that returns false with problem_text() when something is not as it must be. */
#ifndef S3VTL_PBS_TESTS_H
#define S3VTL_PBS_TESTS_H

#include "tests/pbs/jobs.h"

struct test {
    const char *name;
    bool (*fn)(struct site *s);
};
/* Each group ends with an entry without name. They run in order on one library: later ones use what earlier ones wrote.
 */
extern const struct test media_tests[], backup_tests[], restore_tests[], worm_tests[], lto9_tests[], encryption_tests[],
    restarted_tests[], changed_tests[];

#endif
