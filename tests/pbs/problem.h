/* SPDX-License-Identifier: GPL-2.0-or-later */
/* problem.h: why a sequence failed: one text for each thread, set where it is known, printed by the test. */
#ifndef S3VTL_PBS_PROBLEM_H
#define S3VTL_PBS_PROBLEM_H

#include <stdbool.h>

/* Keeps the text (of this thread) and returns false, so that a function can "return problem(...)". */
#define problem(...) (problem_set(__VA_ARGS__), false)
void problem_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *problem_text(void);

/* What may fail: a step whose problem is not the one to tell of. */
void problem_quiet(int more);
#define OPTIONAL(step)                                                                                                 \
    ({                                                                                                                 \
        problem_quiet(1);                                                                                              \
        bool good_ = (step);                                                                                           \
        problem_quiet(-1);                                                                                             \
        good_;                                                                                                         \
    })

/* Ends a function that returns bool as soon as a step fails. */
#define TRY(step)                                                                                                      \
    do {                                                                                                               \
        if (!(step))                                                                                                   \
            return false;                                                                                              \
    } while (0)
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return problem("%s:%d: not so: %s", __FILE__, __LINE__, #condition);                                       \
    } while (0)

#endif
