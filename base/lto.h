/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lto.h: the LTO generations: what the command sets report of them and what a cartridge is made with. */
#ifndef S3VTL_LTO_H
#define S3VTL_LTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LTO_FIRST = 5, LTO_LAST = 9, LTO_GENERATIONS = LTO_LAST - LTO_FIRST + 1 };

/* The same for all of them. */
#define LTO_ORGANIZATION "LTO-CVE" /* ASSIGNING ORGANIZATION of density codes and media */
#define LTO_MEDIA_WIDTH 127        /* tenths of mm */

struct lto_generation {
    int generation;
    uint8_t density;      /* primary density code */
    uint64_t capacity;    /* native, bytes */
    uint32_t bits_per_mm; /* of a track */
    uint16_t tracks;
    uint16_t meters;         /* of tape in a cartridge */
    const char *product;     /* of a drive: 16 characters at most */
    const char *name;        /* of the density: "U-8" */
    const char *description; /* "Ultrium 8" */
};
/* NULL when it is none of them. */
const struct lto_generation *lto_generation(int generation);
/* The one with this density code, or NULL. */
const struct lto_generation *lto_by_density(uint8_t density);
/* MEDIUM TYPE of mode parameter header and REPORT DENSITY SUPPORT, as LTO drives code it: 88h LTO-8 data, 8Ch LTO-8
 * WORM. */
uint8_t lto_medium_type(const struct lto_generation *g, bool worm);

#endif
