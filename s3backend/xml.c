/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xml.c: the answers of S3 by expat, which knows no document type and no bound of its own; see xml.h. */
#include "s3backend/xml.h"

#include <limits.h>
#include <string.h>

#include <expat.h>

struct reader {
    XML_Parser parser;
    xml_fn fn;
    void *arg;
    const char *root;
    bool bad;
    struct {
        char name[XML_NAME];
        bool has_child;
    } open[XML_DEPTH];
    size_t depth;
    struct strbuf text;
};

/* expat may call once more after it was stopped: the end of an element that is empty. */
static void refuse(struct reader *r)
{
    r->bad = true;
    XML_StopParser(r->parser, XML_FALSE);
}

/* Without namespace processing: a prefix that nobody declared is in no one's way. */
static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void XMLCALL on_start(void *arg, const XML_Char *full, const XML_Char **attributes)
{
    struct reader *r = arg;
    const char *name = local_name(full);
    size_t n = strlen(name);
    (void)attributes;
    if (r->depth == XML_DEPTH || n == 0 || n >= XML_NAME) {
        refuse(r);
        return;
    }
    if (r->depth)
        r->open[r->depth - 1].has_child = true;
    memcpy(r->open[r->depth].name, name, n + 1);
    r->open[r->depth++].has_child = false;
    strbuf_reset(&r->text);
}

static void XMLCALL on_end(void *arg, const XML_Char *full)
{
    struct reader *r = arg;
    (void)full;
    if (r->bad)
        return;
    size_t depth = --r->depth;
    const struct xml_element e = {.name = r->open[depth].name,
                                  .parent = depth ? r->open[depth - 1].name : "",
                                  .depth = depth,
                                  .text = r->open[depth].has_child ? NULL : strbuf_str(&r->text)};
    r->fn(r->arg, &e);
    strbuf_reset(&r->text);
    if (depth == 0 && strncmp(e.name, r->root, strlen(r->root)) != 0)
        refuse(r);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reader *r = arg;
    strbuf_add(&r->text, text, (size_t)len);
    if (r->text.overflow)
        refuse(r);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id,
                               int internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)internal;
    refuse(arg);
}

/* White space before the declaration is how some stores keep a connection alive; expat takes it for a fault. */
static const char *skip_space(const struct strbuf *document, size_t *len)
{
    const char *p = strbuf_str(document);
    size_t n = strspn(p, " \t\r\n");
    *len = document->len - n;
    return p + n;
}

bool xml_read(const struct strbuf *document, const char *root, xml_fn fn, void *arg)
{
    size_t len;
    const char *p = skip_space(document, &len);
    /* S3 speaks UTF-8, whatever the declaration says. */
    struct reader r = {.parser = XML_ParserCreate("UTF-8"), .fn = fn, .arg = arg, .root = root};
    r.text.limit = XML_TEXT;
    if (!r.parser)
        return false;
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    bool ok = len <= INT_MAX && XML_Parse(r.parser, p, (int)len, XML_TRUE) == XML_STATUS_OK;
    XML_ParserFree(r.parser);
    strbuf_free(&r.text);
    return ok && !r.bad && !document->overflow;
}

bool xml_is_leaf(const struct xml_element *e, const char *parent, const char *name)
{
    return e->text && !strcmp(e->parent, parent) && !strcmp(e->name, name);
}
