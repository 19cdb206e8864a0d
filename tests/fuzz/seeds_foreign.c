/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds_foreign.c: a .tap of SIMH's, and a tape of mhVTL's with a block that is stored as it is and one of LZO's. */
#include <string.h>

#include "base/le.h"
#include "tests/fuzz/seeds.h"

/* What fuzz_foreign.c takes its input apart into. */
enum { TAP = 0, MHVTL = 1 | 4 };

static void header(uint8_t *h, uint32_t offset, uint32_t type, uint32_t flags, uint32_t size, uint32_t disk)
{
    put_le32(h, offset);
    put_le32(h + 8, type);
    put_le32(h + 12, flags);
    put_le32(h + 20, size);
    put_le32(h + 24, disk);
}

static void seed_mhvtl(void)
{
    static const uint8_t data[] = {'p', 'l', 'a', 'i', 'n', 21, 'L', 'Z', 'O', '.', 17, 0, 0};
    uint8_t b[3 + sizeof(data) + 3 * 512 + 512 + 4] = {MHVTL, 1, sizeof(data)}, *indx = b + 3 + sizeof(data);
    memcpy(b + 3, data, sizeof(data));
    header(indx, 0, 11, 0, 5, 5);
    header(indx + 512, 5, 11, 4, 4, 8);
    header(indx + 1024, 13, 3, 0, 0, 0);
    put_le32(indx + 1536, 1);
    put_le32(indx + 2048, 2);
    seed_write("foreign", "mhvtl", b, sizeof(b));
}

void seeds_foreign(void)
{
    static const uint8_t tap[] = {TAP, 4, 0,   0,   0,   'e', 'v', 'e', 'n', 4, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 3,   0,
                                  0,   0, 'o', 'd', 'd', 0,   3,   0,   0,   0, 0, 0, 0, 0,    0xFF, 0xFF, 0xFF, 0xFF};
    static const uint8_t bad[] = {TAP | 2, 1, 0, 0, 0x80, 'x', 0, 1, 0, 0, 0x80, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF};
    seed_write("foreign", "tap", tap, sizeof(tap));
    seed_write("foreign", "bad", bad, sizeof(bad));
    seed_mhvtl();
}
