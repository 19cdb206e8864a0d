/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xml.h: a small pull parser for the answers of S3: leaf elements and the ends of their containers. */
#ifndef S3VTL_XML_H
#define S3VTL_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

enum { XML_DEPTH = 16, XML_NAME = 64, XML_TEXT = 16384 };

enum xml_event {
    XML_LEAF,  /* an element without elements inside: name, parent and text are set */
    XML_CLOSE, /* the end of an element that held others: name and parent are set */
    XML_END,   /* the end of the document, the root element closed */
    XML_BAD,   /* not well-formed, cut short, or beyond the limits above; stays so */
};

/* Names are local names, without namespace prefix. name, parent ("" for the root) and text are valid until the next
 * call. Memory: the text's buffer, at most XML_TEXT; freed by xml_done. */
struct xml_reader {
    const char *p, *end;
    struct {
        char name[XML_NAME];
        bool has_child;
    } open[XML_DEPTH];
    size_t depth;
    bool root_seen, bad;
    char name[XML_NAME];
    const char *parent;
    struct strbuf text;
};

/* Reads from data, which stays the caller's and must outlive the reader. */
void xml_init(struct xml_reader *x, const char *data, size_t len);
enum xml_event xml_next(struct xml_reader *x);
void xml_done(struct xml_reader *x);

#endif
