/* SPDX-License-Identifier: GPL-2.0-or-later */
/* utf8.h: text that may be no UTF-8: what a store or a host sent, or what was cut within a character. */
#ifndef S3VTL_UTF8_H
#define S3VTL_UTF8_H

#include <stddef.h>

/* Bytes of the well-formed character at s (RFC 3629, section 4); 0: there is none. Never looks behind a '\0'. */
static inline size_t utf8_length(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : 4;
    if (n == 1 || p[0] < 0xc2 || p[0] > 0xf4)
        return n == 1;
    /* No longer than need be, no surrogate, and none above U+10FFFF. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* Makes it UTF-8: each byte that is of no character becomes "?". journald shows none of a line that has such a byte. */
static inline void utf8_mend(char *s)
{
    while (*s) {
        size_t n = utf8_length(s);
        if (!n)
            *s = '?';
        s += n ? n : 1;
    }
}

#endif
