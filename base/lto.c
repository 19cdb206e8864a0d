/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lto.c: the LTO generations, one table. */
#include "base/lto.h"

static const struct lto_generation table[] = {
    {5, 0x58, 1500000000000u, "ULT3580-TD5", "L5", "LV"},  {6, 0x5A, 2500000000000u, "ULT3580-TD6", "L6", "LW"},
    {7, 0x5C, 6000000000000u, "ULT3580-TD7", "L7", "LX"},  {8, 0x5E, 12000000000000u, "ULT3580-TD8", "L8", "LY"},
    {9, 0x60, 18000000000000u, "ULT3580-TD9", "L9", "LZ"},
};

const struct lto_generation *lto_generation(int generation)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].generation == generation)
            return &table[i];
    return NULL;
}

const struct lto_generation *lto_by_density(uint8_t density)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].density == density)
            return &table[i];
    return NULL;
}

uint8_t lto_medium_type(const struct lto_generation *g, bool worm)
{
    return (uint8_t)(g->generation << 4 | (worm ? 0x0C : 0x08));
}
