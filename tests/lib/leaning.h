/* SPDX-License-Identifier: GPL-2.0-or-later */
/* leaning.h: how much tapes lean on each other, so that no run with [dedup] is good in which none does. */
#ifndef S3VTL_TESTS_LEANING_H
#define S3VTL_TESTS_LEANING_H

#include <stdint.h>

#include "vtl/library/library.h"

struct leaning {
    uint64_t leans; /* rows of the state: a segment, and one that it copies from */
    uint64_t kept;  /* of those copied from, so many are on their tape no more */
};
/* As a state has them whose library is closed; none if there is no such state. */
struct leaning leaning_of(const char *state_dir);
/* Segments that a cartridge of this library copies from now. */
uint64_t leaning_now(struct library *lib, const char *barcode);

#endif
