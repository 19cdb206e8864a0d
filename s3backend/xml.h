/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xml.h: the answers of S3, element by element as they end; by expat. */
#ifndef S3VTL_XML_H
#define S3VTL_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/* Beyond these a document is refused: elements in each other, bytes of a name with its NUL, bytes of a leaf's text. */
enum { XML_DEPTH = 16, XML_NAME = 64, XML_TEXT = 16384 };

/* An element that ends. Names are without namespace prefix. Valid for the call. */
struct xml_element {
    const char *name;
    const char *parent; /* "": it is the root */
    size_t depth;       /* 0: it is the root */
    const char *text;   /* NULL: other elements are inside; otherwise it is a leaf */
};
typedef void (*xml_fn)(void *arg, const struct xml_element *e);

/* Tells each element to fn, a container after what it holds. True: the document is well-formed and whole, and the
 * root's name begins with root. Otherwise what was told before the fault is not all that was there. Nothing is taken
 * from outside the document, and a document type is refused, with all that it could declare. */
bool xml_read(const struct strbuf *document, const char *root, xml_fn fn, void *arg);

/* It is the leaf <parent><name>text</name></parent>. */
bool xml_is_leaf(const struct xml_element *e, const char *parent, const char *name);

#endif
