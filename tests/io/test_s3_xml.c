/* The XML reader: what S3 answers, and what hostile servers might. */
#include "io/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Each element's path and text: "a/b=text;". */
static fz_status note(void *ctx, const str *path, uint32_t depth, str text, fz_error *err)
{
    sbuf *out = ctx;
    for (uint32_t i = 0; i < depth; i++) {
        if (i)
            sbuf_addc(out, '/');
        sbuf_str(out, path[i]);
    }
    sbuf_addc(out, '=');
    sbuf_str(out, text);
    sbuf_addc(out, ';');
    return FZ_OK;
}

static void reads(const char *doc, const char *want)
{
    sbuf out;
    fz_error err;
    sbuf_init(&out, NULL);
    assert_int_equal(xml_read(str_of(doc), NULL, note, &out, &err), FZ_OK);
    assert_string_equal(out.p, want);
    sbuf_free(&out);
}

static void refuses(const char *doc, const char *why)
{
    sbuf out;
    fz_error err = {0};
    sbuf_init(&out, NULL);
    assert_int_equal(xml_read(str_of(doc), NULL, note, &out, &err), FZ_DATA);
    assert_non_null(strstr(err.message, why));
    sbuf_free(&out);
}

static void answers(void **state)
{
    reads("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>a &lt; b &amp; c</Message></Error>\n",
          "Error/Code=NoSuchKey;Error/Message=a < b & c;Error=;");
    reads("<L xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><C><Key>k1</Key><Size>5</Size></C><C><Key/></C></L>",
          "L/C/Key=k1;L/C/Size=5;L/C=;L/C/Key=;L/C=;L=;");
    reads("<a:x a:y='>'>\xC3\xBC</a:x>", "x=\xC3\xBC;");
}

static void texts(void **state)
{
    reads("<a>&#65;&#x20AC;&#x1F600;&quot;&apos;&gt;</a>", "a=A\xE2\x82\xAC\xF0\x9F\x98\x80\"'>;");
    reads("<a>x<!-- < & > -->y<![CDATA[<&]]>z<b>in</b>w</a>", "a/b=in;a=xy<&zw;");
    reads("\xEF\xBB\xBF<a> \n</a><!-- end -->", "a= \n;");
}

static void broken(void **state)
{
    refuses("", "breaks off");
    refuses("plain text", "outside");
    refuses("<a>", "breaks off");
    refuses("<a", "breaks off");
    refuses("<a></b>", "fits no element");
    refuses("</a>", "fits no element");
    refuses("<a></a><b></b>", "more than one root");
    refuses("<a>&nbsp;</a>", "unknown entity");
    refuses("<a>&#xD800;</a>", "unknown entity");
    refuses("<a>&#1114112;</a>", "unknown entity");
    refuses("<a>&#99999999999999999999;</a>", "an entity");
    refuses("<a>&lt</a>", "an entity");
    refuses("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type");
    refuses("<a><b x=\"></a>", "quote");
    refuses("<a><![CDATA[</a>", "CDATA");
    refuses("<a><!-- </a>", "comment");
    refuses("<></>", "without a name");
}

static void bounds(void **state)
{
    sbuf doc;
    sbuf_init(&doc, NULL);
    for (int i = 0; i < 17; i++)
        sbuf_addz(&doc, "<a>");
    refuses(doc.p, "nested too deeply");
    sbuf_clear(&doc);
    sbuf_addz(&doc, "<a>");
    for (int i = 0; i < 70000; i++)
        sbuf_addc(&doc, 'x');
    sbuf_addz(&doc, "</a>");
    refuses(doc.p, "too long");
    sbuf_free(&doc);
}

static fz_status stop(void *ctx, const str *path, uint32_t depth, str text, fz_error *err)
{
    return error_set(err, FZ_LIMIT, "enough");
}

static void callers_stop(void **state)
{
    fz_error err;
    assert_int_equal(xml_read(STR("<a><b/></a>"), NULL, stop, NULL, &err), FZ_LIMIT);
    assert_string_equal(err.message, "enough");
}

static void escapes(void **state)
{
    sbuf b, back;
    char in[] = "a<b>&\"'\x01\xC3\xBC";
    sbuf_init(&b, NULL);
    sbuf_init(&back, NULL);
    sbuf_addz(&b, "<k>");
    xml_escape(str_of(in), &b);
    sbuf_addz(&b, "</k>");
    assert_string_equal(b.p, "<k>a&lt;b&gt;&amp;&quot;&apos;&#1;\xC3\xBC</k>");
    fz_error err;
    assert_int_equal(xml_read((str){b.p, b.n}, NULL, note, &back, &err), FZ_OK);
    assert_memory_equal(back.p, "k=a<b>&\"'\x01\xC3\xBC;", back.n);
    sbuf_free(&b);
    sbuf_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers), cmocka_unit_test(texts), cmocka_unit_test(broken), cmocka_unit_test(bounds), cmocka_unit_test(callers_stop),
        cmocka_unit_test(escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
