/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_s3xml.c: any bytes as an answer of S3. */
#include "s3backend/xml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_reader x;
    enum xml_event e;
    size_t events = 0;
    char *p = (char *)exactly(size);
    if (size)
        memcpy(p, data, size);
    xml_init(&x, p, size);
    while ((e = xml_next(&x)) == XML_LEAF || e == XML_CLOSE) {
        must(++events <= size && x.depth <= XML_DEPTH);
        must(x.name[0] && memchr(x.name, 0, sizeof(x.name)) && strlen(x.parent) < XML_NAME);
        must(e != XML_LEAF || (x.text.len <= XML_TEXT && strlen(strbuf_str(&x.text)) <= x.text.len));
    }
    must(e == XML_END || e == XML_BAD);
    must(xml_next(&x) == e); /* stays so */
    xml_done(&x);
    free(p);
    return 0;
}
