/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xml.c: a small pull parser for the answers of S3.
 *
 * What it takes: elements, attributes (skipped), text, CDATA, comments, processing instructions, the five named
 * entities and numeric ones. What it refuses: a document type (and with it entities of its own), depth, names and text
 * beyond the limits.
 */
#include "s3backend/xml.h"

#include <string.h>

void xml_init(struct xml_reader *x, const char *data, size_t len)
{
    memset(x, 0, sizeof(*x));
    x->p = data;
    x->end = data + len;
    x->parent = "";
    x->text.limit = XML_TEXT;
}

void xml_done(struct xml_reader *x)
{
    strbuf_free(&x->text);
}

static enum xml_event bad(struct xml_reader *x)
{
    x->bad = true;
    return XML_BAD;
}

static bool looking_at(const struct xml_reader *x, const char *s)
{
    size_t n = strlen(s);
    return (size_t)(x->end - x->p) >= n && !memcmp(x->p, s, n);
}

static const char *find(const struct xml_reader *x, const char *s)
{
    return memmem(x->p, (size_t)(x->end - x->p), s, strlen(s));
}

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void add_utf8(struct strbuf *b, unsigned long c)
{
    char u[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; c >>= 6)
        u[i] = (char)(0x80 | (c & 0x3F));
    u[0] = (char)(lead[n] | c);
    strbuf_add(b, u, n);
}

/* "&#34;" and "&#x22;", the part after "&#". */
static bool add_numeric(struct strbuf *b, const char *s, size_t n)
{
    unsigned base = 10;
    if (n && s[0] == 'x') {
        base = 16;
        s++;
        n--;
    }
    if (n == 0 || n > 8)
        return false;
    unsigned long v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = s[i] >= '0' && s[i] <= '9'   ? (unsigned)(s[i] - '0')
                     : s[i] >= 'a' && s[i] <= 'f' ? (unsigned)(s[i] - 'a' + 10)
                     : s[i] >= 'A' && s[i] <= 'F' ? (unsigned)(s[i] - 'A' + 10)
                                                  : 99;
        if (d >= base)
            return false;
        v = v * base + d;
    }
    if (v == 0 || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000))
        return false;
    add_utf8(b, v);
    return true;
}

static bool add_entity(struct strbuf *b, const char *s, size_t n)
{
    static const struct {
        const char *name, *text;
    } named[] = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}};
    if (n && s[0] == '#')
        return add_numeric(b, s + 1, n - 1);
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (strlen(named[i].name) == n && !memcmp(named[i].name, s, n)) {
            strbuf_adds(b, named[i].text);
            return true;
        }
    }
    return false;
}

/* Takes text up to the next '<'. */
static bool take_text(struct xml_reader *x)
{
    while (x->p < x->end && *x->p != '<') {
        const char *stop = x->p;
        while (stop < x->end && *stop != '<' && *stop != '&')
            stop++;
        if (x->depth)
            strbuf_add(&x->text, x->p, (size_t)(stop - x->p));
        else
            for (; x->p < stop; x->p++)
                if (!space(*x->p))
                    return false;
        x->p = stop;
        if (stop == x->end || *stop == '<')
            continue;
        const char *semi = memchr(stop, ';', (size_t)(x->end - stop) < 16 ? (size_t)(x->end - stop) : 16);
        if (!semi || !x->depth || !add_entity(&x->text, stop + 1, (size_t)(semi - stop - 1)))
            return false;
        x->p = semi + 1;
    }
    return !x->text.overflow;
}

/* Takes "<?...?>", comments and CDATA. 1: taken; 0: something else; -1: bad. */
static int take_special(struct xml_reader *x)
{
    static const struct {
        const char *begin, *end;
    } kind[] = {{"<?", "?>"}, {"<!--", "-->"}, {"<![CDATA[", "]]>"}};
    for (size_t i = 0; i < 3; i++) {
        if (!looking_at(x, kind[i].begin))
            continue;
        x->p += strlen(kind[i].begin);
        const char *stop = find(x, kind[i].end);
        if (!stop || (i == 2 && !x->depth))
            return -1;
        if (i == 2)
            strbuf_add(&x->text, x->p, (size_t)(stop - x->p));
        x->p = stop + strlen(kind[i].end);
        return x->text.overflow ? -1 : 1;
    }
    return looking_at(x, "<!") ? -1 : 0;
}

/* Takes a name into out, without its namespace prefix. */
static bool take_name(struct xml_reader *x, char out[XML_NAME])
{
    size_t n = 0;
    for (; x->p < x->end && !space(*x->p) && *x->p != '>' && *x->p != '/'; x->p++) {
        if (*x->p == ':')
            n = 0;
        else if (*x->p == '<' || *x->p == '=' || *x->p == 0 || n + 1 == XML_NAME)
            return false;
        else
            out[n++] = *x->p;
    }
    out[n] = 0;
    return n > 0 && x->p < x->end;
}

/* Goes to the '>' of a tag, past quoted attribute values. */
static bool skip_attributes(struct xml_reader *x)
{
    char quote = 0;
    for (; x->p < x->end; x->p++) {
        if (quote)
            quote = *x->p == quote ? 0 : quote;
        else if (*x->p == '"' || *x->p == '\'')
            quote = *x->p;
        else if (*x->p == '>')
            return true;
        else if (*x->p == '<')
            return false;
    }
    return false;
}

/* The innermost element ends: what the caller is told. */
static enum xml_event pop(struct xml_reader *x)
{
    bool had_child = x->open[--x->depth].has_child;
    memcpy(x->name, x->open[x->depth].name, XML_NAME);
    x->parent = x->depth ? x->open[x->depth - 1].name : "";
    return had_child ? XML_CLOSE : XML_LEAF;
}

/* True: an element without content ended at once, *e tells it. */
static bool take_start(struct xml_reader *x, enum xml_event *e)
{
    x->p++;
    if (x->depth == XML_DEPTH || (x->depth == 0 && x->root_seen) || !take_name(x, x->open[x->depth].name) ||
        !skip_attributes(x)) {
        *e = bad(x);
        return true;
    }
    bool closed = x->p[-1] == '/';
    x->p++;
    x->root_seen = true;
    if (x->depth)
        x->open[x->depth - 1].has_child = true;
    x->open[x->depth++].has_child = false;
    strbuf_reset(&x->text);
    if (closed)
        *e = pop(x);
    return closed;
}

static enum xml_event take_end(struct xml_reader *x)
{
    char name[XML_NAME];
    x->p += 2;
    if (!x->depth || !take_name(x, name) || strcmp(name, x->open[x->depth - 1].name) != 0 || !skip_attributes(x))
        return bad(x);
    x->p++;
    return pop(x);
}

enum xml_event xml_next(struct xml_reader *x)
{
    enum xml_event e;
    if (x->bad)
        return XML_BAD;
    strbuf_reset(&x->text);
    for (;;) {
        if (!take_text(x))
            return bad(x);
        if (x->p == x->end)
            return x->depth || !x->root_seen ? bad(x) : XML_END;
        int special = take_special(x);
        if (special < 0)
            return bad(x);
        if (special)
            continue;
        if (looking_at(x, "</"))
            return take_end(x);
        if (take_start(x, &e))
            return e;
    }
}
