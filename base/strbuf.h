/* SPDX-License-Identifier: GPL-2.0-or-later */
/* strbuf.h: a growing string with a limit, for URLs, signatures and the small documents of S3. */
#ifndef S3VTL_STRBUF_H
#define S3VTL_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty string without a limit. The owner ends it by strbuf_free. One thread at a time. */
struct strbuf {
    char *data; /* NUL after len bytes; NULL while nothing was added */
    size_t len, room;
    size_t limit;  /* most bytes it may hold; 0: no limit */
    bool overflow; /* something didn't fit (limit or memory) and was left out: the content is of no use */
};

void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_adds(struct strbuf *b, const char *s);
__attribute__((format(printf, 2, 3))) void strbuf_addf(struct strbuf *b, const char *fmt, ...);
/* The text, "" when empty. */
const char *strbuf_str(const struct strbuf *b);
/* Empties it; the memory stays for the next use. */
void strbuf_reset(struct strbuf *b);
/* Wipes and frees; the struct is empty after it. */
void strbuf_free(struct strbuf *b);

#endif
