/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_xml.c: the parser for S3's answers takes what stores send and refuses the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3backend/xml.h"

/* The events of a document as one line: "L parent/name=text" and "C parent/name", "END" or "BAD". */
static void assert_events(const char *doc, const char *want)
{
    struct strbuf got = {0};
    struct xml_reader x;
    size_t len = strlen(doc);
    char *exact = malloc(len ? len : 1); /* no byte after the end, for the address sanitizer */
    memcpy(exact, doc, len);
    xml_init(&x, exact, len);
    enum xml_event e;
    while ((e = xml_next(&x)) == XML_LEAF || e == XML_CLOSE) {
        if (e == XML_LEAF)
            strbuf_addf(&got, "L %s/%s=%s|", x.parent, x.name, strbuf_str(&x.text));
        else
            strbuf_addf(&got, "C %s/%s|", x.parent, x.name);
    }
    strbuf_adds(&got, e == XML_END ? "END" : "BAD");
    assert_int_equal(xml_next(&x), e);
    assert_string_equal(strbuf_str(&got), want);
    xml_done(&x);
    strbuf_free(&got);
    free(exact);
}

static void leaves_and_containers(void **state)
{
    (void)state;
    assert_events("<?xml version=\"1.0\"?>\n<A xmlns='u>v'>\n <B><C>x</C><D/></B><E>y</E>\n</A>\n",
                  "L B/C=x|L B/D=|C A/B|L A/E=y|C /A|END");
}

static void named_and_numeric_entities(void **state)
{
    (void)state;
    assert_events("<A>&#34;a&#x22; &amp;&lt;&gt;&quot;&apos; &#xe4;&#8364;&#x1F600;</A>",
                  "L /A=\"a\" &<>\"' \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80|END");
}

static void cdata_comments_and_prefixes(void **state)
{
    (void)state;
    assert_events("<!-- x --><s:A><!-- <B> --><s:B>1<![CDATA[<&]]>2</s:B></s:A>", "L A/B=1<&2|C /A|END");
}

static void cut_short_is_bad(void **state)
{
    (void)state;
    const char *doc = "<A><B>x</B></A>";
    for (size_t n = 0; n < strlen(doc); n++) {
        struct xml_reader x;
        char *exact = malloc(n ? n : 1);
        memcpy(exact, doc, n);
        xml_init(&x, exact, n);
        enum xml_event e;
        while ((e = xml_next(&x)) == XML_LEAF || e == XML_CLOSE)
            ;
        assert_int_equal(e, XML_BAD);
        xml_done(&x);
        free(exact);
    }
}

static void refuses_document_types_and_unknown_entities(void **state)
{
    (void)state;
    assert_events("<!DOCTYPE a [<!ENTITY b \"c\">]><A>&b;</A>", "BAD");
    assert_events("<A>&b;</A>", "BAD");
    assert_events("<A>&#0;</A>", "BAD");
    assert_events("<A>&#x110000;</A>", "BAD");
    assert_events("<A>& </A>", "BAD");
}

static void refuses_mismatch_and_second_root(void **state)
{
    (void)state;
    assert_events("<A></B>", "BAD");
    assert_events("<A/><B/>", "L /A=|BAD");
    assert_events("text", "BAD");
    assert_events("<A/>text", "L /A=|BAD");
    assert_events("", "BAD");
}

static void limits_hold(void **state)
{
    (void)state;
    struct strbuf b = {0};
    for (int i = 0; i <= XML_DEPTH; i++)
        strbuf_adds(&b, "<a>");
    assert_events(strbuf_str(&b), "BAD");
    strbuf_reset(&b);
    strbuf_adds(&b, "<a>");
    for (int i = 0; i <= XML_TEXT; i++)
        strbuf_adds(&b, "x");
    strbuf_adds(&b, "</a>");
    assert_events(strbuf_str(&b), "BAD");
    strbuf_reset(&b);
    strbuf_adds(&b, "<");
    for (int i = 0; i <= XML_NAME; i++)
        strbuf_adds(&b, "x");
    strbuf_adds(&b, "/>");
    assert_events(strbuf_str(&b), "BAD");
    strbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_and_containers),
        cmocka_unit_test(named_and_numeric_entities),
        cmocka_unit_test(cdata_comments_and_prefixes),
        cmocka_unit_test(cut_short_is_bad),
        cmocka_unit_test(refuses_document_types_and_unknown_entities),
        cmocka_unit_test(refuses_mismatch_and_second_root),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
