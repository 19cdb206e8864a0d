/* SPDX-License-Identifier: GPL-2.0-or-later */
/* errtext.h: one line for a person, composed once where the facts are known. */
#ifndef S3VTL_ERRTEXT_H
#define S3VTL_ERRTEXT_H

#include <stdarg.h>
#include <stdio.h>

/* Text of the first error; "" while nothing went wrong. Owned by the caller, plain data, no cleanup. */
struct errtext {
    char text[600];
};

/* Composes the text, cut where the room ends, and returns code: "return errtext_set(e, -EIO, ...)". e may be NULL. */
__attribute__((format(printf, 3, 4))) static inline int errtext_set(struct errtext *e, int code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
        va_end(ap);
    }
    return code;
}

#endif
