/* SPDX-License-Identifier: GPL-2.0-or-later */
/* strbuf.c: a growing string with a limit. */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

static bool make_room(struct strbuf *b, size_t more)
{
    if (b->overflow)
        return false;
    if (more > (size_t)1 << 40 || (b->limit && b->len + more > b->limit)) {
        b->overflow = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->room)
        return true;
    size_t room = b->room ? b->room : 256;
    while (room < need)
        room *= 2;
    char *p = realloc(b->data, room);
    if (!p) {
        b->overflow = true;
        return false;
    }
    b->data = p;
    b->room = room;
    return true;
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
    if (!make_room(b, len))
        return;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
}

void strbuf_adds(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !make_room(b, (size_t)n)) {
        b->overflow = true;
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

const char *strbuf_str(const struct strbuf *b)
{
    return b->data ? b->data : "";
}

void strbuf_reset(struct strbuf *b)
{
    b->len = 0;
    b->overflow = false;
    if (b->data)
        b->data[0] = 0;
}

void strbuf_free(struct strbuf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->room);
    free(b->data);
    *b = (struct strbuf){.limit = b->limit};
}
