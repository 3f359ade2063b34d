/*
 * test_csv.c: what the CSV source makes of a file: dialect, types, NULLs, widening, errors and
 * rejects, compressed and unseekable input, given schemas; and the writer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "csv_reference.h"

#include "format/csv/csv_write.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

/* Notices, one a line. */
static sbuf notices;
static void note(void *ctx, log_level level, const char *message)
{
    (void)ctx, (void)level;
    sbuf_addz(&notices, message);
    sbuf_addc(&notices, '\n');
}
static const logger note_log = {note, NULL, LOG_NOTICE};
static bool noted(const char *z) { return notices.p && strstr(notices.p, z); }

static csv_options defaults(void)
{
    csv_options o;
    csv_options_default(&o);
    o.log = &note_log;
    sbuf_clear(&notices);
    return o;
}

/* Names and types, as "a:bigint b:text". */
static void schema_text(const csv_source *s, char *out, size_t cap)
{
    const row_schema *r = csv_schema(s);
    sbuf b;
    sbuf_init(&b, NULL);
    for (uint32_t c = 0; c < r->n; c++) {
        if (c)
            sbuf_addc(&b, ' ');
        sbuf_str(&b, r->cols[c].name);
        sbuf_addc(&b, ':');
        type_sql_name(r->cols[c].t, &b);
    }
    snprintf(out, cap, "%s", b.p ? b.p : "");
    sbuf_free(&b);
}

/* Opens a text, checks its schema, reads it; the rows go to `rows`, "err" there on failure. */
static void check_text(const char *text, size_t n, const csv_options *o, const char *schema, const char *rows)
{
    char path[64], got[2000];
    int fd = memory_file(text, n, path);
    fz_error e = {0};
    csv_source *s;
    fz_status st = csv_open(path, o, NULL, &s, &e);
    if (st != FZ_OK)
        print_message("%s\n", e.message);
    assert_int_equal(st, FZ_OK);
    if (schema) {
        schema_text(s, got, sizeof got);
        assert_string_equal(got, schema);
    }
    csv_close(s);
    if (rows) {
        for (int threads = 1; threads <= 2; threads++) {
            outcome r;
            csv_run(path, o, threads, &r);
            if (r.st != FZ_OK)
                print_message("%s\n", r.message);
            assert_int_equal(r.st, FZ_OK);
            assert_string_equal(r.rows.p ? r.rows.p : "", rows);
            outcome_free(&r);
        }
    }
    close(fd);
}
static void check(const char *text, const csv_options *o, const char *schema, const char *rows)
{
    check_text(text, strlen(text), o, schema, rows);
}

static void check_fails(const char *text, size_t n, const csv_options *o, fz_status st, int64_t line, int64_t column,
                        int64_t offset, const char *message)
{
    for (int threads = 1; threads <= 2; threads++) {
        outcome r;
        csv_run_text(text, n, o, threads, &r);
        if (r.st != st || r.line != line || r.column != column || r.offset != offset)
            print_message("%d %lld:%lld @%lld %s\n", r.st, (long long)r.line, (long long)r.column, (long long)r.offset, r.message);
        assert_int_equal(r.st, st);
        assert_int_equal(r.line, line);
        assert_int_equal(r.column, column);
        assert_int_equal(r.offset, offset);
        assert_string_equal(r.message, message);
        outcome_free(&r);
    }
}
#define LIT(z) (z), sizeof(z) - 1

/* ---- types ---- */

static void test_inference(void **state)
{
    (void)state;
    csv_options o = defaults();
    check("b,i,f,d,t,ts,tz,s\n"
          "true,1,1.5,2020-01-02,10:11,2020-01-02 03:04:05,2020-01-02T03:04:05Z,x\n"
          "FALSE,-2,2,2020-01-03,10:11:12.5,2020-01-02T03:04,2020-01-02 03:04:05+02,1\n",
          &o,
          "b:boolean i:bigint f:double precision d:date t:time ts:timestamp "
          "tz:timestamp with time zone s:text",
          "<true>;<1>;<1.5>;<2020-01-02>;<10:11:00>;<2020-01-02 03:04:05>;<2020-01-02 03:04:05+00>;<x>;\n"
          "<false>;<-2>;<2>;<2020-01-03>;<10:11:12.5>;<2020-01-02 03:04:00>;<2020-01-02 01:04:05+00>;<1>;\n");
    /* unions */
    check("a,b,c,d,e\n1,2020-01-01,true,10:00,2020-01-01 10:00\n1e3,2020-01-01 10:00,1,2020-01-01,2020-01-01T10:00Z\n", &o,
          "a:double precision b:timestamp c:text d:text e:text",
          "<1>;<2020-01-01 00:00:00>;<true>;<10:00>;<2020-01-01 10:00>;\n"
          "<1000>;<2020-01-01 10:00:00>;<1>;<2020-01-01>;<2020-01-01T10:00Z>;\n");
    /* digits are never lost */
    check("big,mix,frac,ok\n9223372036854775808,9007199254740993,9007199254740993.5,9007199254740992\n1,1.5,1.5,1.5\n", &o,
          "big:text mix:text frac:text ok:double precision", NULL);
    check("ns,us\n2020-01-01 00:00:00.123456789,2020-01-01 00:00:00.123456000\n", &o,
          "ns:text us:timestamp", NULL);
    /* white space around values that aren't text */
    check("i,s\n 1 , a \n2\t,b\n", &o, "i:bigint s:text", "<1>;< a >;\n<2>;<b>;\n");
    /* words that are only booleans where the type says so */
    check("a,b\nt,yes\nf,no\n", &o, "a:text b:text", NULL);
    o.types = (csv_type[]){{STR("a"), TYPE(T_BOOL)}, {STR("B"), TYPE(T_BOOL)}};
    o.ntypes = 2;
    check("a,b\nt,yes\nf,no\n", &o, "a:boolean b:boolean", "<true>;<true>;\n<false>;<false>;\n");
}

static void test_given_types(void **state)
{
    (void)state;
    csv_options o = defaults();
    o.types = (csv_type[]){{STR("hs"), TYPE(T_STRING)},          {STR("amount"), TYPE_DECIMAL(12, 2)},
                           {STR("n"), TYPE(T_INT32)},            {STR("f"), TYPE(T_FLOAT32)},
                           {STR("u"), TYPE(T_UUID)},             {STR("x"), TYPE(T_BINARY)},
                           {STR("wide"), TYPE_DECIMAL(38, 10)}};
    o.ntypes = 7;
    check("hs,amount,n,f,u,x,wide\n"
          "00019,1234567890.5,-2147483648,0.1,123e4567-e89b-12d3-a456-426614174000,\\x00ff,1234567890123456789012345678.0000000001\n"
          ",,,,,,\n",
          &o, "hs:text amount:decimal(12,2) n:integer f:real u:uuid x:bytea wide:decimal(38,10)", NULL);
    outcome r;
    csv_run_text(LIT("hs,amount,n,f,u,x,wide\n00019,1.5,7,0.1,,,1\n,,,,,,\n"), &o, 1, &r);
    assert_int_equal(r.st, FZ_OK);
    assert_string_equal(r.rows.p, "<00019>;<1.50>;<7>;<0.1>;NULL;NULL;<1.0000000000>;\nNULL;NULL;NULL;NULL;NULL;NULL;NULL;\n");
    outcome_free(&r);
    check_fails(LIT("hs,amount,n,f,u,x,wide\n,1.555,,,,,\n"), &o, FZ_VALUE, 2, 2, 24,
                "column \"amount\": \"1.555\" has more digits than type decimal(12,2)");
    check_fails(LIT("hs,amount,n,f,u,x,wide\n,,2147483648,,,,\n"), &o, FZ_VALUE, 2, 3, 25,
                "column \"n\": \"2147483648\" is out of the range of type integer");
    o.types = (csv_type[]){{STR("hs6"), TYPE(T_STRING)}};
    o.ntypes = 1;
    check_fails(LIT("hs9,b\n1,2\n"), &o, FZ_NOT_FOUND, -1, -1, -1,
                "a type is given for column \"hs6\", which the file doesn't have");
}

static void test_nulls(void **state)
{
    (void)state;
    csv_options o = defaults();
    check("i,f,s,d\n1,1.5,a,2020-01-01\n,,,\nNA,NaN,NA,NULL\nnull,N/A,nan,\"NA\"\n,,\"\",\n", &o,
          "i:bigint f:double precision s:text d:date",
          "<1>;<1.5>;<a>;<2020-01-01>;\nNULL;NULL;NULL;NULL;\nNULL;NULL;<NA>;NULL;\nNULL;NULL;<nan>;NULL;\nNULL;NULL;<>;NULL;\n");
    /* a quoted empty field is an empty string, and no number */
    check("i\n1\n\"\"\n", &o, "i:text", "<1>;\n<>;\n");
    /* a list of one's own, in all columns; quoted it is a text */
    o.nulls = (str[]){STR("\\N"), STR("-999")};
    o.nnulls = 2;
    check("i,s,f\n1,x,1\n\\N,\\N,-999\n-999,\"\\N\",2.5\n5,NA,-999\n", &o, "i:bigint s:text f:double precision",
          "<1>;<x>;<1>;\nNULL;NULL;NULL;\nNULL;<\\N>;<2.5>;\n<5>;<NA>;NULL;\n");
    o.nulls = (str[]){STR("")};
    o.nnulls = 1;
    check("i,f\n\"1\",\"2.5\"\n\"\",\"NaN\"\n", &o, "i:bigint f:double precision", "<1>;<2.5>;\nNULL;<NaN>;\n");
    /* a column that never has a value is text */
    o = defaults();
    check("a,b\n1,\n2,\n3,NA\n", &o, "a:bigint b:text", "<1>;NULL;\n<2>;NULL;\n<3>;<NA>;\n");
}

static void test_leading_zeros(void **state)
{
    (void)state;
    csv_options o = defaults();
    check("month,hs9,v,z\n01,000190,5,0\n12,000191,6,10\n", &o, "month:bigint hs9:bigint v:bigint z:bigint",
          "<1>;<190>;<5>;<0>;\n<12>;<191>;<6>;<10>;\n");
    assert_true(noted("values of month, hs9 start with zeros and are loaded as bigint; --types month:varchar,hs9:varchar keeps"));
    o.types = (csv_type[]){{STR("hs9"), TYPE(T_STRING)}};
    o.ntypes = 1;
    sbuf_clear(&notices);
    check("month,hs9,v\n1,000190,5\n", &o, "month:bigint hs9:text v:bigint", "<1>;<000190>;<5>;\n");
    assert_false(noted("zeros"));
}

/* ---- widening ---- */

/* A file whose column has `first` in so many rows that the sample ends, then `late`. */
static char *late_file(const char *first, const char *late, size_t *n)
{
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "k,v\n");
    for (int i = 0; i < 3000; i++)
        sbuf_printf(&b, "%d,%s\n", i, first);
    sbuf_printf(&b, "3000,%s\n3001,%s\n", late, first);
    *n = b.n;
    return b.p;
}

static void check_late(const char *first, const char *late, const char *want_first, const char *want_late, int restarts)
{
    size_t n;
    char *t = late_file(first, late, &n), want[200];
    for (int threads = 1; threads <= 3; threads++) {
        csv_options o = defaults();
        o.sample_bytes = 4096;
        o.block_bytes = 1000;
        outcome r;
        csv_run_text(t, n, &o, threads, &r);
        if (r.st != FZ_OK)
            print_message("%s\n", r.message);
        assert_int_equal(r.st, FZ_OK);
        assert_int_equal(r.n, 3002);
        if (restarts >= 0)
            assert_int_equal(r.restarts, restarts);
        snprintf(want, sizeof want, "\n<2999>;%s;\n<3000>;%s;\n<3001>;%s;\n", want_first, want_late, want_first);
        if (strcmp(r.rows.p + r.rows.n - strlen(want), want) != 0)
            print_message("%s instead of %s\n", r.rows.p + r.rows.n - strlen(want), want);
        assert_string_equal(r.rows.p + r.rows.n - strlen(want), want);
        snprintf(want, sizeof want, "<0>;%s;\n", want_first);
        assert_memory_equal(r.rows.p, want, strlen(want));
        outcome_free(&r);
    }
    free(t);
}

static void test_widening(void **state)
{
    (void)state;
    check_late("1", "2.5", "<1>", "<2.5>", 1);
    assert_true(noted("column \"v\" is double precision, not bigint: line 3002 has \"2.5\"; reading again from the start"));
    check_late("0012", "x", "<0012>", "<x>", 1);
    check_late("1", "9223372036854775808", "<1>", "<9223372036854775808>", 1);
    check_late("9007199254740993", "0.5", "<9007199254740993>", "<0.5>", -1); /* double loses digits: text */
    check_late("1.5", "9007199254740993", "<1.5>", "<9007199254740993>", 1);
    check_late("1.50", "x", "<1.50>", "<x>", 1);
    check_late("1.50", "1e999", "<1.50>", "<1e999>", 1);
    check_late("2020-01-01", "2020-01-01 10:00", "<2020-01-01 00:00:00>", "<2020-01-01 10:00:00>", 1);
    check_late("2020-01-01", "2020-02-30", "<2020-01-01>", "<2020-02-30>", 1);
    check_late("2020-01-01 10:00", "2020-01-01 10:00Z", "<2020-01-01 10:00>", "<2020-01-01 10:00Z>", 1);
    check_late("2020-01-01 10:00", "2020-01-01", "<2020-01-01 10:00:00>", "<2020-01-01 00:00:00>", 0);
    check_late("2020-01-01 10:00", "2020-01-01 10:00:00.1234567", "<2020-01-01 10:00>", "<2020-01-01 10:00:00.1234567>", 1);
    check_late("true", "1", "<true>", "<1>", 1);
    check_late("true", "t", "<true>", "<t>", 1);
    check_late("10:00", "24:00", "<10:00>", "<24:00>", 1);
    check_late("1", "\"\"", "<1>", "<>", 1);
    check_late("1", "NA", "<1>", "NULL", 0);
    check_late("NA", "7", "NULL", "<7>", 1); /* the first value decides */
    check_late("", "7.5", "NULL", "<7.5>", 1);
    check_late("", "x", "NULL", "<x>", 0);
    check_late("x", "7", "<x>", "<7>", 0);
    check_late("1", " ", "<1>", "< >", 1);
}

static void test_widening_many(void **state)
{
    (void)state;
    /* misfits in several columns and places: one restart */
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "a,b,c\n");
    for (int i = 0; i < 20000; i++) {
        const char *a = i == 10000 ? "1.5" : i > 15000 ? "x" : "1", *c = i > 12000 ? "y" : "2020-01-01";
        sbuf_printf(&b, "%s,%d,%s\n", a, i, c);
    }
    for (int threads = 1; threads <= 3; threads++) {
        csv_options o = defaults();
        o.sample_bytes = 4096;
        o.block_bytes = 5000;
        outcome r;
        csv_run_text(b.p, b.n, &o, threads, &r);
        assert_int_equal(r.st, FZ_OK);
        assert_int_equal(r.n, 20000);
        assert_int_equal(r.restarts, 1);
        outcome_free(&r);
        o.strict = true;
        char line[100];
        snprintf(line, sizeof line, "column \"a\": \"1.5\" isn't a value of type bigint");
        csv_run_text(b.p, b.n, &o, threads, &r);
        assert_int_equal(r.st, FZ_VALUE);
        assert_int_equal(r.line, 10002);
        assert_int_equal(r.column, 1);
        assert_string_equal(r.message, line);
        outcome_free(&r);
    }
    sbuf_free(&b);
}

static void test_keep_types(void **state)
{
    (void)state;
    size_t n;
    char *t = late_file("1", "oops", &n), path[64];
    int fd = memory_file(t, n, path);
    csv_options o = defaults();
    o.sample_bytes = 4096;
    o.block_bytes = 1000;
    csv_source *s;
    csv_local *l;
    fz_error e = {0};
    assert_int_equal(csv_open(path, &o, NULL, &s, &e), FZ_OK);
    assert_int_equal(csv_local_new(s, &l, &e), FZ_OK);
    batch b;
    batch_init(&b, NULL);
    csv_event ev;
    uint64_t morsel = 0;
    assert_int_equal(csv_next(s, l, &b, &ev, &e), FZ_OK);
    assert_int_equal(ev, CSV_ROWS);
    csv_keep_types(s);
    fz_status st;
    while ((st = csv_next(s, l, &b, &ev, &e)) == FZ_OK && ev != CSV_END)
        if (ev == CSV_MORSEL_END) {
            assert_int_equal(b.morsel, morsel++);
            assert_int_equal(b.nrows, 0);
        }
    assert_int_equal(st, FZ_VALUE);
    assert_int_equal(e.line, 3002);
    assert_int_equal(e.column, 6);
    assert_string_equal(e.message, "column \"v\": \"oops\" isn't a value of type bigint");
    assert_true(strstr(e.hint, "returned already") != NULL);
    batch_free(&b);
    csv_local_free(l);
    csv_close(s);
    close(fd);
    free(t);
}

/* ---- dialects ---- */

static void test_dialects(void **state)
{
    (void)state;
    csv_options o = defaults();
    check("a;b\n1;2,5\n3;4,5\n", &o, "a:bigint b:text", "<1>;<2,5>;\n<3>;<4,5>;\n");
    check("a\tb\n1\tx,y\n", &o, "a:bigint b:text", "<1>;<x,y>;\n");
    check("a|b|c\n1|2|3\n", &o, "a:bigint b:bigint c:bigint", "<1>;<2>;<3>;\n");
    check("word\nhello, you\nbye\n", &o, NULL, NULL);
    check("'a','b'\n'x,y','it''s'\n", &o, "a:text b:text", "<x,y>;<it's>;\n");
    check("a,b\nit's,5\nthat's,6\n", &o, "a:text b:bigint", "<it's>;<5>;\n<that's>;<6>;\n");
    check("a,b\n\"x\\\"y\",1\n\"p,q\\\\\",2\n", &o, "a:text b:bigint", "<x\"y>;<1>;\n<p,q\\>;<2>;\n");
    check("# made by hand\n# twice\na,b\n1,2\n# in between\n3,4\n", &o, "a:bigint b:bigint", "<1>;<2>;\n<3>;<4>;\n");
    check("#chrom,pos\nx,1\ny,2\n", &o, "#chrom:text pos:bigint", "<x>;<1>;\n<y>;<2>;\n");
    check("\xEF\xBB\xBF" "a,b\n1,2\n", &o, "a:bigint b:bigint", "<1>;<2>;\n");
    check("\xEF\xBB\xBF\"a\",b\r\n1,2\r\n", &o, "a:bigint b:bigint", "<1>;<2>;\n");
    check("a,b\r1,2\r3,4\r", &o, "a:bigint b:bigint", "<1>;<2>;\n<3>;<4>;\n");
    check("a,b\r\n1,\"x\r\ny\"\r\n\r\n3,\r\n", &o, "a:bigint b:text", "<1>;<x\r\ny>;\n<3>;NULL;\n");
    check("a,b\n1,2", &o, "a:bigint b:bigint", "<1>;<2>;\n");
    o.quote = CSV_NONE;
    check("a,b\n\"1,2\"\n", &o, "a:text b:text", "<\"1>;<2\">;\n");
    o = defaults();
    o.delimiter = 'x';
    check("axb\n1x2\n", &o, "a:bigint b:bigint", "<1>;<2>;\n");
    o.delimiter = '"';
    o.quote = '"';
    check_fails(LIT("a\n"), &o, FZ_INVALID, -1, -1, -1, "delimiter and quote can't be the same character");
}

static void test_headers(void **state)
{
    (void)state;
    csv_options o = defaults();
    check("1,2\n3,4\n", &o, "column1:bigint column2:bigint", "<1>;<2>;\n<3>;<4>;\n");
    check("x,y\nz,w\n", &o, "x:text y:text", "<z>;<w>;\n");
    check("x,1\nz,2\n", &o, "column1:text column2:bigint", "<x>;<1>;\n<z>;<2>;\n");
    check("id,1\n5,2\n", &o, "id:bigint 1:bigint", "<5>;<2>;\n");
    check("a,b,c\n", &o, "a:text b:text c:text", "");
    check("\"\",a\nr1,5\n", &o, "column1:text a:bigint", "<r1>;<5>;\n");
    check("a,a,A\n1,2,3\n", &o, "a:bigint a_2:bigint A:bigint", "<1>;<2>;<3>;\n");
    assert_true(noted("names \"a\" twice; column 2 is \"a_2\""));
    check(" a ,\"b \"\"q\"\"\"\n1,2\n", &o, "a:bigint b \"q\":bigint", "<1>;<2>;\n");
    o.header = 0;
    check("x,y\nz,w\n", &o, "column1:text column2:text", "<x>;<y>;\n<z>;<w>;\n");
    o.header = 1;
    check("1,2\n3,4\n", &o, "1:bigint 2:bigint", "<3>;<4>;\n");
}

static void test_ragged(void **state)
{
    (void)state;
    csv_options o = defaults();
    check("a,b,c\n1,2,3\n4\n5,6\n\n7,8,9,,\n", &o, "a:bigint b:bigint c:bigint",
          "<1>;<2>;<3>;\n<4>;NULL;NULL;\n<5>;<6>;NULL;\n<7>;<8>;<9>;\n");
    assert_true(noted("2 rows have fewer than 3 fields (the first in line 3); the missing ones are NULL"));
    check_fails(LIT("a,b,c\n1,2,3\n4,5,6,7\n"), &o, FZ_DATA, 3, 1, 12, "the row has 4 fields, not 3");
    o.strict = true;
    check_fails(LIT("a,b,c\n1,2,3\n4,5\n"), &o, FZ_DATA, 3, 1, 12, "the row has 2 fields, not 3");
    o = defaults();
    check("a\n1\n\n3\n", &o, "a:bigint", "<1>;\nNULL;\n<3>;\n"); /* one column: a blank line is a row */
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    (void)state;
    csv_options o = defaults();
    check_fails(LIT(""), &o, FZ_DATA, 1, 1, 0, "the file is empty");
    check_fails(LIT("\xEF\xBB\xBF"), &o, FZ_DATA, 1, 1, 0, "the file is empty");
    check_fails(LIT("\n\n"), &o, FZ_DATA, 1, 1, 0, "the file has no rows");
    check_fails(LIT("\xFF\xFE" "a\0b\0"), &o, FZ_DATA, 1, 1, 0, "the text is UTF-16 or UTF-32, not UTF-8");
    check_fails(LIT("a,b\n1,x\n2,\xC3(\n"), &o, FZ_DATA, 3, 3, 10, "the text isn't valid UTF-8");
    check_fails(LIT("a,b\n1,x\n2,y\0z\n"), &o, FZ_DATA, 3, 4, 11, "the text has a NUL byte");
    check_fails(LIT("a,b\n1,\"x\"y\n"), &o, FZ_DATA, 2, 6, 9, "text follows a closing quote");
    check_fails(LIT("a,b\n1,\"x\n2,y\n3,z\n"), &o, FZ_DATA, 2, 3, 6,
                "the quote that opens here isn't closed before the end of the input");
    check_fails(LIT("a,\"b\n1,2\n"), &o, FZ_DATA, 1, 3, 2, "the quote that opens here isn't closed");
    o.types = (csv_type[]){{STR("b"), TYPE(T_INT64)}};
    o.ntypes = 1;
    check_fails(LIT("a,b\n\"1\n2\",3\n4,\"x\n\"\n"), &o, FZ_VALUE, 4, 3, 14, "column \"b\": \"x \" isn't a value of type bigint");
    check_fails(LIT("a,b\r\n1,2\r\n3,4.5\r\n5,z\r\n"), &o, FZ_VALUE, 3, 3, 12,
                "column \"b\": \"4.5\" isn't a value of type bigint");
    outcome r;
    csv_run("/", &o, 1, &r);
    assert_int_equal(r.st, FZ_INVALID);
    assert_string_equal(r.message, "it is a directory, not a file");
    outcome_free(&r);
    csv_run("/nowhere/at/all.csv", &o, 1, &r);
    assert_int_equal(r.st, FZ_NOT_FOUND);
    outcome_free(&r);
    csv_run("gs://bucket/x.csv", &o, 1, &r);
    assert_int_equal(r.st, FZ_UNSUPPORTED);
    outcome_free(&r);
    /* a row without end */
    o = defaults();
    o.max_record_bytes = 10000;
    o.block_bytes = 100;
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "a,b\n1,2\n3,\"");
    for (int i = 0; i < 20000; i++)
        sbuf_addz(&b, "x\n");
    check_fails(b.p, b.n, &o, FZ_DATA, 3, 3, 10,
                "the quote that opens here isn't closed within the 10000 bytes that a row may have");
    sbuf_free(&b);
}

/* The first error of the file is reported, whichever worker meets one first. */
static void test_first_error(void **state)
{
    (void)state;
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "a,b\n");
    for (int i = 0; i < 5000; i++)
        sbuf_printf(&b, "%d,%s\n", i, i >= 4000 ? "bad" : "7");
    for (int k = 0; k < 20; k++) {
        csv_options o = defaults();
        o.types = (csv_type[]){{STR("b"), TYPE(T_INT64)}};
        o.ntypes = 1;
        o.block_bytes = 200;
        outcome r;
        csv_run_text(b.p, b.n, &o, 4, &r);
        assert_int_equal(r.st, FZ_VALUE);
        assert_int_equal(r.line, 4002);
        outcome_free(&r);
    }
    sbuf_free(&b);
}

static void test_rejects(void **state)
{
    (void)state;
    char dir[] = "/var/tmp/frazil-test-XXXXXX", path[100], content[2000];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/rejects.csv", dir);
    csv_options o = defaults();
    o.skip_errors = true;
    o.reject_path = path;
    o.types = (csv_type[]){{STR("b"), TYPE(T_INT64)}};
    o.ntypes = 1;
    check("a,b,c\n1,2,3\n4,x,6\n7,8,9,10\n\"q\"r,1,2\n5,\"\",6\n10,11,12\n", &o, "a:bigint b:bigint c:bigint",
          "<1>;<2>;<3>;\n<10>;<11>;<12>;\n");
    assert_true(noted("4 rows were left out because of errors; see "));
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, content, sizeof content - 1);
    close(fd);
    assert_true(n > 0);
    content[n] = 0;
    assert_string_equal(content, "line,reason,text\n"
                                 "3,\"column \"\"b\"\": \"\"x\"\" isn't a value of type bigint\",\"4,x,6\"\n"
                                 "4,\"the row has 4 fields, not 3\",\"7,8,9,10\"\n"
                                 "5,text follows a closing quote,\"\"\"q\"\"r,1,2\"\n"
                                 "6,\"column \"\"b\"\": \"\"\"\" isn't a value of type bigint\",\"5,\"\"\"\",6\"\n");
    /* every row wrong */
    check("a,b\nx,y\nx,z\n", &o, NULL, "");
    /* with a restart, rejects are written once */
    size_t size;
    char *t = late_file("1,2", "x", &size);
    t[1] = ',';
    o.ntypes = 0;
    o.sample_bytes = 4096;
    o.block_bytes = 1000;
    o.header = 0;
    outcome r;
    csv_run_text(t, size, &o, 2, &r);
    assert_int_equal(r.st, FZ_OK);
    assert_int_equal(r.rejected, 0);
    outcome_free(&r);
    free(t);
    unlink(path);
    rmdir(dir);
}

/* ---- tables ---- */

static void test_given_schema(void **state)
{
    (void)state;
    column_def cols[] = {{.name = STR("Id"), .t = TYPE(T_INT64), .not_null = true, .field_id = 1},
                         {.name = STR("name"), .t = TYPE(T_STRING), .field_id = 2},
                         {.name = STR("day"), .t = TYPE(T_DATE), .field_id = 3}};
    row_schema given = {3, cols};
    csv_options o = defaults();
    o.schema = &given;
    check("name,id\nx,1\n007,2\n", &o, "Id:bigint name:text day:date", "<1>;<x>;NULL;\n<2>;<007>;NULL;\n");
    assert_true(noted("there is no column \"day\"; it is NULL in every row"));
    check_fails(LIT("name,id\nx,1\ny,1.5\n"), &o, FZ_VALUE, 3, 3, 14, "column \"Id\": \"1.5\" isn't a value of type bigint");
    check_fails(LIT("name,id\nx,1\ny,\n"), &o, FZ_VALUE, 3, 3, 14,
                "column \"Id\" is NOT NULL, but this row has no value for it");
    check_fails(LIT("name,day\nx,2020-01-01\n"), &o, FZ_INVALID, -1, -1, -1,
                "the file has no column \"Id\", which the table requires");
    check_fails(LIT("id,name,more,extra\n1,x,2,3\n"), &o, FZ_INVALID, -1, -1, -1, "the table has no columns more, extra");
    check_fails(LIT("ID,id,name\n1,2,x\n"), &o, FZ_INVALID, -1, -1, -1,
                "column \"Id\" of the table matches several columns of the file");
    o.allow_extra = true;
    check("id,more,name\n1,2.5,x\n", &o, "Id:bigint name:text day:date more:double precision", "<1>;<x>;NULL;<2.5>;\n");
    o.allow_extra = false;
    o.header = 0;
    check("5,x,2020-01-01\n", &o, "Id:bigint name:text day:date", "<5>;<x>;<2020-01-01>;\n");
    o.header = CSV_DETECT;
    check("", &o, "Id:bigint name:text day:date", "");
}

static void test_projection(void **state)
{
    (void)state;
    char path[64];
    const char t[] = "a,b,c\n1,x,2020-01-01\n2,y,soon\n";
    int fd = memory_file(LIT(t), path);
    csv_options o = defaults();
    o.types = (csv_type[]){{STR("c"), TYPE(T_DATE)}};
    o.ntypes = 1;
    for (uint32_t k = 0; k < 2; k++) {
        csv_source *s;
        csv_local *l;
        assert_int_equal(csv_open(path, &o, NULL, &s, NULL), FZ_OK);
        uint32_t cols[] = {1, 0};
        assert_int_equal(csv_project(s, cols, k * 2, NULL), FZ_OK);
        assert_int_equal(csv_local_new(s, &l, NULL), FZ_OK);
        batch b, kept;
        batch_init(&b, NULL);
        batch_init(&kept, NULL);
        csv_event ev;
        assert_int_equal(csv_next(s, l, &b, &ev, NULL), FZ_OK);
        assert_int_equal(ev, CSV_ROWS);
        assert_int_equal(b.nrows, 2);
        assert_int_equal(b.ncols, k * 2);
        assert_true(b.stable);
        assert_int_equal(batch_hold(&kept, &b, NULL), FZ_OK);
        assert_int_equal(csv_next(s, l, &b, &ev, NULL), FZ_OK);
        assert_int_equal(ev, CSV_MORSEL_END);
        assert_int_equal(csv_next(s, l, &b, &ev, NULL), FZ_OK);
        assert_int_equal(ev, CSV_END);
        csv_local_free(l);
        csv_close(s); /* the batch outlives it */
        if (k) {
            datum d = vec_datum(&kept.cols[0], 1);
            assert_true(str_eqz(d.s, "y"));
            assert_int_equal(vec_datum(&kept.cols[1], 1).i64, 2);
        }
        batch_free(&b);
        batch_free(&kept);
    }
    close(fd);
}

/* ---- input ---- */

static size_t gzip_member(const char *t, size_t n, char *out, size_t cap)
{
    z_stream z = {0};
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)t;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    deflate(&z, Z_FINISH);
    size_t k = cap - z.avail_out;
    deflateEnd(&z);
    return k;
}

static void test_compressed(void **state)
{
    (void)state;
    static char z[1 << 16];
    sbuf t;
    sbuf_init(&t, NULL);
    sbuf_addz(&t, "a,b\n");
    for (int i = 0; i < 5000; i++)
        sbuf_printf(&t, "%d,x%d\n", i, i * 7);
    csv_options o = defaults();
    outcome plain, r;
    csv_run_text(t.p, t.n, &o, 1, &plain);
    assert_int_equal(plain.n, 5000);
    /* two members, then zeros */
    size_t half = t.n / 2, n = gzip_member(t.p, half, z, sizeof z);
    size_t first = n;
    n += gzip_member(t.p + half, t.n - half, z + n, sizeof z - n);
    memset(z + n, 0, 100);
    for (int pad = 0; pad <= 100; pad += 100) {
        csv_run_text(z, n + (size_t)pad, &o, 2, &r);
        assert_int_equal(r.st, FZ_OK);
        assert_string_equal(r.rows.p, plain.rows.p);
        outcome_free(&r);
    }
    csv_run_text(z, n - 5, &o, 2, &r);
    assert_int_equal(r.st, FZ_DATA);
    assert_string_equal(r.message, "gzip data is broken: it ends within a member");
    outcome_free(&r);
    z[first + 100] ^= 0x55;
    csv_run_text(z, n, &o, 1, &r);
    assert_int_equal(r.st, FZ_DATA);
    outcome_free(&r);
    n = gzip_member(t.p, t.n, z, sizeof z);
    memcpy(z + n, "tail", 4);
    csv_run_text(z, n + 4, &o, 1, &r);
    assert_int_equal(r.st, FZ_DATA);
    outcome_free(&r);
    /* two frames */
    n = ZSTD_compress(z, sizeof z, t.p, half, 3);
    n += ZSTD_compress(z + n, sizeof z - n, t.p + half, t.n - half, 3);
    csv_run_text(z, n, &o, 2, &r);
    assert_int_equal(r.st, FZ_OK);
    assert_string_equal(r.rows.p, plain.rows.p);
    outcome_free(&r);
    csv_run_text(z, n - 5, &o, 2, &r);
    assert_int_equal(r.st, FZ_DATA);
    assert_string_equal(r.message, "zstd data is broken: it ends within a frame");
    outcome_free(&r);
    o.compression = TEXT_PLAIN;
    csv_run_text(z, n, &o, 1, &r);
    assert_int_equal(r.st, FZ_DATA);
    outcome_free(&r);
    outcome_free(&plain);
    sbuf_free(&t);
}

typedef struct feeder {
    const char *p;
    size_t n;
    int fd;
} feeder;

static void *feed(void *arg)
{
    feeder *f = arg;
    for (size_t k = 0; k < f->n;) {
        size_t step = f->n - k < 777 ? f->n - k : 777;
        ssize_t w = write(f->fd, f->p + k, step);
        if (w <= 0)
            break;
        k += (size_t)w;
    }
    close(f->fd);
    return NULL;
}

/* A text through a pipe, as /proc/self/fd/N. */
static void run_pipe(const char *t, size_t n, const csv_options *o, outcome *r)
{
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    feeder f = {t, n, fd[1]};
    pthread_t th;
    pthread_create(&th, NULL, feed, &f);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]);
    csv_run(path, o, 2, r);
    /* what wasn't read, so that the writer ends */
    char rest[4096];
    int flags = fcntl(fd[0], F_GETFL);
    (void)flags;
    while (read(fd[0], rest, sizeof rest) > 0)
        ;
    pthread_join(th, NULL);
    close(fd[0]);
}

static void test_pipes(void **state)
{
    (void)state;
    size_t n;
    char *t = late_file("1", "x", &n);
    csv_options o = defaults();
    o.sample_bytes = 4096;
    o.block_bytes = 1000;
    outcome r;
    run_pipe(t, n, &o, &r);
    assert_int_equal(r.st, FZ_OK);
    assert_int_equal(r.restarts, 1);
    assert_int_equal(r.n, 3002);
    outcome_free(&r);
    /* compressed, and read again */
    static char z[1 << 16];
    size_t k = gzip_member(t, n, z, sizeof z);
    run_pipe(z, k, &o, &r);
    assert_int_equal(r.st, FZ_OK);
    assert_int_equal(r.restarts, 1);
    assert_int_equal(r.n, 3002);
    outcome_free(&r);
    /* more than may be kept: the misfit is an error */
    o.spool_limit = 8000;
    run_pipe(t, n, &o, &r);
    assert_int_equal(r.st, FZ_VALUE);
    assert_int_equal(r.line, 3002);
    outcome_free(&r);
    /* it isn't needed where nothing can widen */
    o.types = (csv_type[]){{STR("k"), TYPE(T_STRING)}, {STR("v"), TYPE(T_STRING)}};
    o.ntypes = 2;
    run_pipe(t, n, &o, &r);
    assert_int_equal(r.st, FZ_OK);
    assert_int_equal(r.n, 3002);
    outcome_free(&r);
    o = defaults();
    o.temp_dir = "/nowhere";
    run_pipe(t, n, &o, &r);
    assert_int_equal(r.st, FZ_NOT_FOUND);
    outcome_free(&r);
    run_pipe("", 0, &o, &r);
    assert_int_equal(r.st, FZ_DATA);
    outcome_free(&r);
    free(t);
}

static void test_changed(void **state)
{
    (void)state;
    size_t n;
    char *t = late_file("1", "2", &n), path[64];
    for (int how = 0; how < 2; how++) {
        int fd = memory_file(t, n, path);
        csv_options o = defaults();
        o.sample_bytes = 4096;
        o.block_bytes = 1000;
        csv_source *s;
        csv_local *l;
        batch b;
        csv_event ev;
        fz_error e = {0};
        assert_int_equal(csv_open(path, &o, NULL, &s, &e), FZ_OK);
        assert_int_equal(csv_local_new(s, &l, &e), FZ_OK);
        if (how == 0) {
            assert_int_equal(ftruncate(fd, 8000), 0);
        } else {
            assert_int_equal(pwrite(fd, "9999,1\n", 7, (off_t)n), 7);
        }
        batch_init(&b, NULL);
        fz_status st;
        while ((st = csv_next(s, l, &b, &ev, &e)) == FZ_OK && ev != CSV_END)
            ;
        assert_int_equal(st, FZ_IO);
        assert_true(strstr(e.message, "changed while it was read") != NULL);
        batch_free(&b);
        csv_local_free(l);
        csv_close(s);
        close(fd);
    }
    free(t);
}

static void test_cancel(void **state)
{
    (void)state;
    _Atomic bool stop = true;
    size_t n;
    char *t = late_file("1", "2", &n);
    pool *p = pool_create(NULL, 0);
    job j;
    assert_int_equal(job_init(&j, p, NULL, &stop), FZ_OK);
    csv_options o = defaults();
    o.j = &j;
    outcome r;
    csv_run_text(t, n, &o, 1, &r);
    assert_int_equal(r.st, FZ_CANCELLED);
    outcome_free(&r);
    stop = false;
    csv_run_text(t, n, &o, 1, &r);
    assert_int_equal(r.st, FZ_OK);
    outcome_free(&r);
    assert_int_equal(j.prog.bytes_total, 2 * n);
    job_destroy(&j);
    pool_destroy(p);
    free(t);
}

/* Memory stays bounded, and is all given back. */
static void test_memory(void **state)
{
    (void)state;
    mem m;
    mem_init(&m, NULL, NULL, 0);
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "a,b,c\n");
    for (int i = 0; i < 300000; i++)
        sbuf_printf(&b, "%d,text %d that is long enough,\"q \"\"%d\"\"\"\n", i, i, i);
    char path[64];
    int fd = memory_file(b.p, b.n, path);
    csv_options o = defaults();
    o.sample_bytes = 65536;
    o.block_bytes = 100000;
    csv_source *s;
    csv_local *l;
    batch x;
    csv_event ev;
    int64_t rows = 0;
    assert_int_equal(csv_open(path, &o, &m, &s, NULL), FZ_OK);
    assert_int_equal(csv_local_new(s, &l, NULL), FZ_OK);
    batch_init(&x, &m);
    while (csv_next(s, l, &x, &ev, NULL) == FZ_OK && ev != CSV_END)
        rows += x.nsel;
    assert_int_equal(rows, 300000);
    batch_free(&x);
    csv_local_free(l);
    csv_close(s);
    assert_int_equal(m.used, 0);
    assert_true(m.peak < 4000000);
    close(fd);
    sbuf_free(&b);
}

/* ---- integers: every kernel, every length, every position of a fault ---- */

static void test_integer_kernels(void **state)
{
    (void)state;
    sbuf b;
    sbuf_init(&b, NULL);
    static const char *const odd[] = {"", "-1", "+5", "9223372036854775807", "-9223372036854775808", " 7", "12345678901234567",
                                      "NA", "\"12\"", "0000000000000000000001"};
    for (int i = 0; i < 4000; i++) {
        uint64_t v = (uint64_t)i * 0x9e3779b97f4a7c15u;
        for (int c = 0; c < 3; c++) {
            v = v * 6364136223846793005u + 1442695040888963407u;
            if (c)
                sbuf_addc(&b, ',');
            if (v >> 60 == 0)
                sbuf_addz(&b, odd[(v >> 32) % 10]);
            else
                sbuf_printf(&b, "%0*llu", 1 + (int)(v >> 40) % 16, (unsigned long long)(v >> (14 + (v >> 50) % 45)) % 10000000000000000);
        }
        sbuf_addc(&b, '\n');
    }
    csv_options o = defaults();
    o.header = 0;
    o.types = (csv_type[]){{STR("column1"), TYPE(T_INT64)}, {STR("column2"), TYPE(T_INT64)}, {STR("column3"), TYPE(T_INT64)}};
    o.ntypes = 3;
    outcome want, got;
    o.isa = CSV_ISA_SCALAR;
    csv_run_text(b.p, b.n, &o, 1, &want);
    if (want.st != FZ_OK)
        print_message("%s\n", want.message);
    assert_int_equal(want.st, FZ_OK);
    assert_int_equal(want.n, 4000);
    for (int isa = CSV_ISA_SSE2; isa <= CSV_ISA_AVX512; isa++) {
        o.isa = (csv_isa)isa;
        csv_run_text(b.p, b.n, &o, 1, &got);
        assert_string_equal(got.rows.p, want.rows.p);
        outcome_free(&got);
    }
    outcome_free(&want);
    /* a wrong byte at each place of a field of each length */
    for (int isa = CSV_ISA_SCALAR; isa <= CSV_ISA_AVX512; isa++)
        for (int len = 1; len <= 18; len++)
            for (int at = 0; at < len; at++) {
                char t[2000];
                size_t n = 0;
                for (int r = 0; r < 16; r++) {
                    for (int i = 0; i < len; i++)
                        t[n++] = (char)('1' + (i + r) % 9);
                    if (r == at % 16)
                        t[n - (size_t)len + (size_t)at] = "x/: "[(at + len) % 3];
                    t[n++] = '\n';
                }
                o.isa = (csv_isa)isa;
                o.ntypes = 1;
                csv_run_text(t, n, &o, 1, &got);
                assert_int_equal(got.st, FZ_VALUE);
                assert_int_equal(got.line, 1 + at % 16);
                outcome_free(&got);
            }
    sbuf_free(&b);
}

/* ---- writing ---- */

static void test_write(void **state)
{
    (void)state;
    csv_options o = defaults();
    const char *t = "i,s,f\n1,plain,0.5\n,\"with, comma\",\n2,\"a \"\"quote\"\"\",1e+20\n3,\"\",-0.25\n4,,2\n5,\"two\nlines\",3\n6,\"#x\",4\n";
    char path[64];
    int fd = memory_file(t, strlen(t), path);
    csv_source *s;
    csv_local *l;
    batch b;
    csv_event ev;
    sbuf out;
    sbuf_init(&out, NULL);
    assert_int_equal(csv_open(path, &o, NULL, &s, NULL), FZ_OK);
    assert_int_equal(csv_local_new(s, &l, NULL), FZ_OK);
    batch_init(&b, NULL);
    csv_write_header(&out, csv_schema(s));
    while (csv_next(s, l, &b, &ev, NULL) == FZ_OK && ev != CSV_END)
        if (ev == CSV_ROWS)
            csv_write_batch(&out, &b);
    assert_false(out.failed);
    assert_string_equal(out.p, t);
    sbuf_free(&out);
    batch_free(&b);
    csv_local_free(l);
    csv_close(s);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inference),    cmocka_unit_test(test_given_types), cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_leading_zeros), cmocka_unit_test(test_widening),   cmocka_unit_test(test_widening_many),
        cmocka_unit_test(test_keep_types),   cmocka_unit_test(test_dialects),    cmocka_unit_test(test_headers),
        cmocka_unit_test(test_ragged),       cmocka_unit_test(test_errors),      cmocka_unit_test(test_first_error),
        cmocka_unit_test(test_rejects),      cmocka_unit_test(test_given_schema), cmocka_unit_test(test_projection),
        cmocka_unit_test(test_compressed),   cmocka_unit_test(test_pipes),       cmocka_unit_test(test_changed),
        cmocka_unit_test(test_cancel),       cmocka_unit_test(test_memory),      cmocka_unit_test(test_integer_kernels),
        cmocka_unit_test(test_write),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sbuf_free(&notices);
    return failed;
}
