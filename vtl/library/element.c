/* SPDX-License-Identifier: GPL-2.0-or-later */
/* element.c: see element.h. */
#include "vtl/library/element.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/changer_ops.h"

/* From the highest address down; drives count from 0, as in PBS and mtx, slots from 1. */
static const struct {
    const char *kind;
    uint16_t first;
    unsigned from;
} kinds[] = {
    {"slot", ELEMENT_FIRST_STORAGE, 1},
    {"import/export", ELEMENT_FIRST_IMPORT_EXPORT, 1},
    {"drive", ELEMENT_FIRST_DRIVE, 0},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *element_name(uint16_t address, char buf[ELEMENT_NAME_SIZE])
{
    (void)snprintf(buf, ELEMENT_NAME_SIZE, "%s", address ? "transport" : "shelf");
    for (size_t i = 0; i < N_KINDS; i++)
        if (address >= kinds[i].first) {
            (void)snprintf(buf, ELEMENT_NAME_SIZE, "%s %u", kinds[i].kind, address - kinds[i].first + kinds[i].from);
            break;
        }
    return buf;
}

uint16_t element_address(const char *kind, const char *number)
{
    char *end;
    unsigned room = 0x10000;
    unsigned long n = isdigit((unsigned char)number[0]) ? strtoul(number, &end, 10) : ULONG_MAX;
    for (size_t i = 0; i < N_KINDS; room = kinds[i++].first)
        if (!strcmp(kind, kinds[i].kind))
            return n != ULONG_MAX && !*end && n >= kinds[i].from && n - kinds[i].from < room - kinds[i].first
                       ? (uint16_t)(kinds[i].first + n - kinds[i].from)
                       : 0;
    return 0;
}
