/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lto.c: the LTO generations, one table. */
#include "base/lto.h"

/* clang-format off */
static const struct lto_generation table[LTO_GENERATIONS] = {
    /* generation, density, capacity, bits per mm, tracks, meters, product, names */
    {5, 0x58,  1500000000000u, 15142, 1280,  846, "ULT3580-TD5", "U-5", "Ultrium 5"},
    {6, 0x5A,  2500000000000u, 15143, 2176,  846, "ULT3580-TD6", "U-6", "Ultrium 6"},
    {7, 0x5C,  6000000000000u, 19107, 3584,  960, "ULT3580-TD7", "U-7", "Ultrium 7"},
    {8, 0x5E, 12000000000000u, 20669, 6656,  960, "ULT3580-TD8", "U-8", "Ultrium 8"},
    {9, 0x60, 18000000000000u, 21480, 8960, 1035, "ULT3580-TD9", "U-9", "Ultrium 9"},
};
/* clang-format on */

const struct lto_generation *lto_generation(int generation)
{
    return generation >= LTO_FIRST && generation <= LTO_LAST ? &table[generation - LTO_FIRST] : NULL;
}

const struct lto_generation *lto_by_density(uint8_t density)
{
    for (size_t i = 0; i < LTO_GENERATIONS; i++)
        if (table[i].density == density)
            return &table[i];
    return NULL;
}

uint8_t lto_medium_type(const struct lto_generation *g, bool worm)
{
    return (uint8_t)(g->generation << 4 | (worm ? 0x0C : 0x08));
}
