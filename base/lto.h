/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lto.h: the LTO generations: what the command sets report of them and what a cartridge is made with. */
#ifndef S3VTL_LTO_H
#define S3VTL_LTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* LTO facts by generation, one table: density codes and names for REPORT DENSITY SUPPORT, native
 * capacity. */
struct lto_generation {
    int generation;
    uint8_t density;            /* primary density code: 58h 5Ah 5Ch 5Eh 60h */
    uint64_t capacity;          /* native bytes: 1.5, 2.5, 6, 12, 18 x 10^12 */
    const char *product;        /* 16 characters at most: "ULT3580-TD8" */
    const char *barcode_suffix; /* "L8" */
    const char *worm_suffix;    /* "LY" */
};
/* NULL for generations outside 5..9. */
const struct lto_generation *lto_generation(int generation);
/* The one of a density code, or NULL. */
const struct lto_generation *lto_by_density(uint8_t density);
/* MEDIUM TYPE of mode parameter header and REPORT DENSITY SUPPORT, as LTO drives code it: 88h LTO-8 data, 8Ch LTO-8
 * WORM. */
uint8_t lto_medium_type(const struct lto_generation *g, bool worm);

#endif
