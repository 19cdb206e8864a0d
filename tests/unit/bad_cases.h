/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bad_cases.h: one good CDB of each row of the command tables, and what of it can be made bad. */
#ifndef S3VTL_TEST_BAD_CASES_H
#define S3VTL_TEST_BAD_CASES_H

#include <stdint.h>

enum { ANY_ACTION = -2 };

struct bad_case {
    uint8_t opcode;
    int action; /* of the row; ANY_ACTION: of any */
    uint8_t cdb[16];
    /* where the ALLOCATION LENGTH or the PARAMETER LIST LENGTH is, and its bytes; 0: there is none */
    uint8_t alloc_at, alloc_len, list_at, list_len;
    uint8_t list[40];              /* a good list, as long as the CDB says */
    enum { KEEPS, WRITES } writes; /* the medium: what write protection and WORM keep from being done */
    unsigned empty_asc;            /* sense of a drive without medium, for rows that do not need one; 0: GOOD */
    unsigned refused_asc;          /* the list is refused always, so; 0: it is taken */
};

#define COMMON_CASES                                                                                                   \
    {0x03, -1, .cdb = {0x03, 0, 0, 0, 252}, .alloc_at = 4, .alloc_len = 1},                                            \
        {0x12, -1, .cdb = {0x12, 0, 0, 0, 96}, .alloc_at = 3, .alloc_len = 2}, {0x1D, -1, .cdb = {0x1D, 4}},           \
        {0x1E, -1, .cdb = {0x1E, 0, 0, 0, 1}},                                                                         \
    {                                                                                                                  \
        0xA3, 0x0C, .cdb = {0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0x20}, .alloc_at = 6, .alloc_len = 4                      \
    }

static const struct bad_case drive_cases[] = {
    {0x00, -1, .cdb = {0x00}, .empty_asc = 0x3A00},
    COMMON_CASES,
    {0x01, -1, .cdb = {0x01}},
    {0x04, -1, .cdb = {0x04}, .writes = WRITES},
    {0x05, -1, .cdb = {0x05}},
    {0x08, -1, .cdb = {0x08, 2, 0, 2, 0}},
    {0x0A, -1, .cdb = {0x0A, 0, 0, 2, 0}, .writes = WRITES},
    {0x0B, -1, .cdb = {0x0B, 0, 0, 0x80, 0}, .writes = WRITES},
    {0x10, -1, .cdb = {0x10, 0, 0, 0, 1}, .writes = WRITES},
    {0x11, -1, .cdb = {0x11, 0, 0, 0, 1}},
    {0x13, -1, .cdb = {0x13, 0, 0, 2, 0}},
    {0x15, -1, .cdb = {0x15, 0x10, 0, 0, 28}, .list_at = 4, .list_len = 1,
     .list = {0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x0F, 0x0E, 0x40, 0x80, 0, 0, 0, 1, 0, 0, 0, 1}},
    {0x19, -1, .cdb = {0x19}, .writes = WRITES},
    {0x1A, -1, .cdb = {0x1A, 0, 0x0F, 0, 255}, .alloc_at = 4, .alloc_len = 1},
    {0x1B, -1, .cdb = {0x1B, 0, 0, 0, 1}, .empty_asc = 0x3A00},
    {0x2B, -1, .cdb = {0x2B, 0, 0, 0, 0, 0, 1}},
    {0x34, -1, .cdb = {0x34, 8, 0, 0, 0, 0, 0, 0, 32}, .alloc_at = 7, .alloc_len = 2},
    {0x44, -1, .cdb = {0x44, 0, 0, 0, 0, 0, 0, 2, 0}, .alloc_at = 7, .alloc_len = 2},
    {0x4C, -1, .cdb = {0x4C, 0, 0x42, 0, 0, 0, 0, 0, 8}, .list_at = 7, .list_len = 2, .list = {0x02, 0, 0, 4},
     .refused_asc = 0x2600},
    {0x4D, -1, .cdb = {0x4D, 0, 0x51, 0, 0, 0, 0, 2, 0}, .alloc_at = 7, .alloc_len = 2},
    {0x55, -1, .cdb = {0x55, 0x10, 0, 0, 0, 0, 0, 0, 32}, .list_at = 7, .list_len = 2,
     .list = {0, 0, 0, 0x10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x0F, 0x0E, 0x40, 0x80, 0, 0, 0, 1, 0, 0, 0, 1}},
    {0x5A, -1, .cdb = {0x5A, 0, 0x0F, 0, 0, 0, 0, 2, 0}, .alloc_at = 7, .alloc_len = 2},
    {0x82, -1, .cdb = {0x82, 0, 1}},
    {0x8C, 0x00, .cdb = {0x8C, 0x00, [12] = 2}, .alloc_at = 10, .alloc_len = 4},
    {0x8C, 0x01, .cdb = {0x8C, 0x01, [12] = 2}, .alloc_at = 10, .alloc_len = 4},
    {0x8C, 0x02, .cdb = {0x8C, 0x02, [12] = 2}, .alloc_at = 10, .alloc_len = 4},
    {0x8C, 0x03, .cdb = {0x8C, 0x03, [12] = 2}, .alloc_at = 10, .alloc_len = 4},
    {0x8C, 0x05, .cdb = {0x8C, 0x05, [12] = 2}, .alloc_at = 10, .alloc_len = 4},
    {0x8D, -1, .cdb = {0x8D, 1, [13] = 10}, .list_at = 10, .list_len = 4,
     .list = {0, 0, 0, 6, 0x08, 0x05, 0, 0, 1, 0x81}},
    {0x91, -1, .cdb = {0x91, 0, [11] = 1}},
    {0x92, -1, .cdb = {0x92, 0, [11] = 1}},
    {0xA2, ANY_ACTION, .cdb = {0xA2, 0x20, 0, 0, 0, 0, 0, 0, 2}, .alloc_at = 6, .alloc_len = 4},
    {0xB5, ANY_ACTION, .cdb = {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 20}, .list_at = 6, .list_len = 4,
     .list = {0, 0x10, 0, 16, 0x40}},
};

static const struct bad_case changer_cases[] = {
    {0x00, -1, .cdb = {0x00}},
    COMMON_CASES,
    {0x07, -1, .cdb = {0x07}},
    {0x15, -1, .cdb = {0x15, 0x10, 0, 0, 8}, .list_at = 4, .list_len = 1, .list = {0, 0, 0, 0, 0x1E, 2}},
    {0x1A, -1, .cdb = {0x1A, 8, 0x1D, 0, 255}, .alloc_at = 4, .alloc_len = 1},
    {0x2B, -1, .cdb = {0x2B, 0, 0, 1, 4, 0}},
    {0x37, -1, .cdb = {0x37, 1, 4, 0, 0, 0, 0, 1}},
    {0x4C, -1, .cdb = {0x4C, 2}},
    {0x4D, -1, .cdb = {0x4D, 0, 0x40, 0, 0, 0, 0, 2, 0}, .alloc_at = 7, .alloc_len = 2},
    {0x55, -1, .cdb = {0x55, 0x10, 0, 0, 0, 0, 0, 0, 12}, .list_at = 7, .list_len = 2,
     .list = {0, 0, 0, 0, 0, 0, 0, 0, 0x1E, 2}},
    {0x5A, -1, .cdb = {0x5A, 8, 0x1D, 0, 0, 0, 0, 2, 0}, .alloc_at = 7, .alloc_len = 2},
    {0xA5, -1, .cdb = {0xA5, 0, 0, 1, 4, 0, 4, 1}},
    {0xA6, -1, .cdb = {0xA6, 0, 0, 1, 4, 0, 4, 1, 4, 2}},
    {0xB8, -1, .cdb = {0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF}, .alloc_at = 7, .alloc_len = 3},
};

#endif
