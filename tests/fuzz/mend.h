/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mend.h: makes the CRCs of a damaged object right, so that what they protect gets damaged input too. */
#ifndef S3VTL_FUZZ_MEND_H
#define S3VTL_FUZZ_MEND_H

#include <stddef.h>
#include <stdint.h>

void mend_segment(uint8_t *p, size_t n);
void mend_map(uint8_t *p, size_t n);

#endif
