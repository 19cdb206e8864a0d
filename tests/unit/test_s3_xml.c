/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_s3_xml.c: the parser for S3's answers takes what stores send and refuses the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <string.h>

#include "s3backend/xml.h"

static void add_event(void *arg, const struct xml_element *e)
{
    struct strbuf *got = arg;
    assert_int_equal(e->depth == 0, !*e->parent);
    if (e->text)
        strbuf_addf(got, "L %s/%s=%s|", e->parent, e->name, e->text);
    else
        strbuf_addf(got, "C %s/%s|", e->parent, e->name);
}

/* The elements of a document as one line: "L parent/name=text" and "C parent/name", then "END" or "BAD". */
static void assert_events(const char *doc, const char *want)
{
    struct strbuf got = {0}, document = {0};
    strbuf_adds(&document, doc);
    strbuf_adds(&got, xml_read(&document, "", add_event, &got) ? "END" : "BAD");
    assert_string_equal(strbuf_str(&got), want);
    strbuf_free(&document);
    strbuf_free(&got);
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

static void undeclared_prefixes_and_other_encodings_do_not_matter(void **state)
{
    (void)state;
    assert_events("<?xml version=\"1.0\" encoding=\"x-none\"?><a:A xmlns:b='u'><b:c:B>\xC3\xA4</b:c:B></a:A>",
                  "L A/B=\xC3\xA4|C /A|END");
}

static void white_space_may_come_before_the_declaration(void **state)
{
    (void)state;
    assert_events(" \r\n\t<?xml version=\"1.0\"?>\n   <A>x</A>", "L /A=x|END");
    assert_events("  ", "BAD");
}

static void pass_over(void *arg, const struct xml_element *e)
{
    (void)arg;
    (void)e;
}

static bool reads(const char *doc, size_t len, const char *root)
{
    struct strbuf document = {0};
    strbuf_add(&document, doc, len);
    bool whole = xml_read(&document, root, pass_over, NULL);
    strbuf_free(&document);
    return whole;
}

static void cut_short_is_bad(void **state)
{
    (void)state;
    const char *doc = "<A><B>x</B></A>";
    for (size_t n = 0; n < strlen(doc); n++)
        assert_false(reads(doc, n, ""));
    assert_true(reads(doc, strlen(doc), ""));
    assert_false(reads("<A>\0</A>", 8, ""));
}

static void cut_at_the_limit_of_an_answer_is_bad(void **state)
{
    (void)state;
    struct strbuf document = {.limit = 8};
    strbuf_adds(&document, "<A/>");
    assert_true(xml_read(&document, "", pass_over, NULL));
    strbuf_adds(&document, "<!-- longer than that -->");
    assert_false(xml_read(&document, "", pass_over, NULL));
    strbuf_free(&document);
}

static void the_root_has_the_name_that_is_asked_for(void **state)
{
    (void)state;
    const char *doc = "<s:ListResponse><List>x</List></s:ListResponse>";
    assert_true(reads(doc, strlen(doc), "List"));
    assert_true(reads(doc, strlen(doc), "ListResponse"));
    assert_false(reads(doc, strlen(doc), "ListResponses"));
    assert_false(reads(doc, strlen(doc), "Response"));
}

static void refuses_unknown_entities(void **state)
{
    (void)state;
    assert_events("<A>&b;</A>", "BAD");
    assert_events("<A>&#0;</A>", "BAD");
    assert_events("<A>&#x110000;</A>", "BAD");
    assert_events("<A>& </A>", "BAD");
}

static void refuses_document_types(void **state)
{
    (void)state;
    assert_events("<!DOCTYPE A><A>x</A>", "BAD");
    assert_events("<!DOCTYPE a [<!ENTITY b \"c\">]><A>&b;</A>", "BAD");
    assert_events("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><A>x</A>", "BAD");
    assert_events("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><A>&b;</A>", "BAD");
}

static void refuses_a_billion_laughs(void **state)
{
    (void)state;
    struct strbuf b = {0};
    strbuf_adds(&b, "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY l0 \"lol\">");
    for (int i = 1; i < 10; i++) {
        strbuf_addf(&b, "<!ENTITY l%d \"", i);
        for (int k = 0; k < 10; k++)
            strbuf_addf(&b, "&l%d;", i - 1);
        strbuf_adds(&b, "\">");
    }
    strbuf_adds(&b, "]><l>&l9;</l>");
    assert_events(strbuf_str(&b), "BAD");
    strbuf_free(&b);
}

static void refuses_mismatch_and_second_root(void **state)
{
    (void)state;
    assert_events("<A></B>", "BAD");
    assert_events("<A/><B/>", "L /A=|BAD");
    assert_events("text", "BAD");
    assert_events("<A/>text", "L /A=|BAD");
    assert_events("", "BAD");
    assert_events("<s:/>", "BAD");
}

/* <a> in <a>, the innermost empty and written as such or not. */
static bool nested(int depth, bool short_form)
{
    struct strbuf b = {0};
    for (int i = 1; i < depth; i++)
        strbuf_adds(&b, "<a>");
    strbuf_adds(&b, short_form ? "<a/>" : "<a></a>");
    for (int i = 1; i < depth; i++)
        strbuf_adds(&b, "</a>");
    bool whole = reads(strbuf_str(&b), b.len, "");
    strbuf_free(&b);
    return whole;
}

/* A leaf with so many characters between before and after. */
static bool filled(const char *before, int n, const char *after)
{
    struct strbuf b = {0};
    strbuf_adds(&b, before);
    for (int i = 0; i < n; i++)
        strbuf_adds(&b, "x");
    strbuf_adds(&b, after);
    bool whole = reads(strbuf_str(&b), b.len, "");
    strbuf_free(&b);
    return whole;
}

static void limits_hold(void **state)
{
    (void)state;
    for (int short_form = 0; short_form < 2; short_form++) {
        assert_true(nested(XML_DEPTH, short_form));
        assert_false(nested(XML_DEPTH + 1, short_form));
    }
    assert_true(filled("<a>", XML_TEXT, "</a>"));
    assert_false(filled("<a>", XML_TEXT + 1, "</a>"));
    assert_true(filled("<", XML_NAME - 1, "/>"));
    assert_false(filled("<", XML_NAME, "/>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_and_containers),
        cmocka_unit_test(named_and_numeric_entities),
        cmocka_unit_test(cdata_comments_and_prefixes),
        cmocka_unit_test(undeclared_prefixes_and_other_encodings_do_not_matter),
        cmocka_unit_test(white_space_may_come_before_the_declaration),
        cmocka_unit_test(cut_short_is_bad),
        cmocka_unit_test(cut_at_the_limit_of_an_answer_is_bad),
        cmocka_unit_test(the_root_has_the_name_that_is_asked_for),
        cmocka_unit_test(refuses_unknown_entities),
        cmocka_unit_test(refuses_document_types),
        cmocka_unit_test(refuses_a_billion_laughs),
        cmocka_unit_test(refuses_mismatch_and_second_root),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
