/* SPDX-License-Identifier: GPL-2.0-or-later */
/* name_range.h: many names in one word: PBS{001..100}L8 is PBS001L8, PBS002L8 ... PBS100L8. */
#ifndef S3VTL_NAME_RANGE_H
#define S3VTL_NAME_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/errtext.h"

#define NAME_RANGE_SIZE 33 /* of a name with its end: as long as a barcode may be */

/* A word without braces is one name: itself. */
struct name_range {
    char before[NAME_RANGE_SIZE], after[NAME_RANGE_SIZE];
    unsigned digits; /* of each number, with zeros before it; 0: one name, which is before */
    uint32_t first, last;
};

/* One range at most, up to 9 digits, both ends of the same length, upwards. 0, or -EINVAL and one line that says what
 * would be right. *out is unchanged on failure. */
int name_range_parse(const char *word, struct name_range *out, struct errtext *err);
/* How many names it is, at least 1. */
uint32_t name_range_count(const struct name_range *r);
/* The i-th name, i below the count. */
void name_range_name(const struct name_range *r, uint32_t i, char name[NAME_RANGE_SIZE]);
/* Is name one of it? */
bool name_range_has(const struct name_range *r, const char *name);

#endif
