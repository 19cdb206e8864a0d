/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_s3xml.c: any bytes as an answer of S3. */
#include "s3backend/xml.h"
#include "tests/fuzz/fuzz.h"

struct seen {
    size_t elements, most, last_depth;
};

static void look(void *arg, const struct xml_element *e)
{
    struct seen *s = arg;
    must(++s->elements <= s->most && e->depth < XML_DEPTH);
    must(e->name[0] && strlen(e->name) < XML_NAME && strlen(e->parent) < XML_NAME);
    must(!e->text || strlen(e->text) <= XML_TEXT);
    must((e->depth == 0) == !*e->parent);
    /* a container comes just after the last of its own */
    must(e->text || s->last_depth == e->depth + 1);
    s->last_depth = e->depth;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf document = {0};
    struct seen s = {.most = size};
    strbuf_add(&document, data, size);
    bool whole = xml_read(&document, "", look, &s);
    must(!whole || (s.elements && s.last_depth == 0));
    strbuf_free(&document);
    return 0;
}
