/* SPDX-License-Identifier: GPL-2.0-or-later */
/* barcode.h: which texts are barcodes, and which of these are of cleaning cartridges. */
#ifndef S3VTL_BARCODE_H
#define S3VTL_BARCODE_H

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* [A-Za-z0-9_][A-Za-z0-9._-]*, 2 to 32 characters: what PBS accepts as a media label, and safe in a key. */
static inline bool barcode_ok(const char *s)
{
    size_t n = strlen(s);
    if (n < 2 || n > 32 || !(isalnum((unsigned char)s[0]) || s[0] == '_'))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
            return false;
    return true;
}

/* The LTO convention, which hosts of changers rely on (PBS never labels or writes such a cartridge). */
static inline bool barcode_is_cleaning(const char *s)
{
    return !strncmp(s, "CLN", 3);
}

/* LTO's media identifier, L5 .. L9 at the end, names the generation; 0: it says none. */
static inline int barcode_generation(const char *s)
{
    size_t n = strlen(s);
    bool says = n >= 2 && s[n - 2] == 'L' && s[n - 1] >= '5' && s[n - 1] <= '9';
    return says ? s[n - 1] - '0' : 0;
}

#define BARCODE_RULE "barcode \"%s\": must be 2 to 32 of A-Z a-z 0-9 . _ -, beginning with a letter, digit or _"

#endif
