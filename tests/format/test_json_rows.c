/*
 * test_json_rows.c: JSON as rows: values, types and how they widen, layouts and where blocks are cut, errors and their places, records left out.
 *
 * Each text is read whole and with blocks of few bytes: the rows, the types and the errors are the same. Several workers read at once:
 * run with tsan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/json/json_rows.h"
#include "format/json/token.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct outcome {
    fz_status st;
    fz_error err;
    int restarts;
    char text[1 << 16];
} outcome;

static char path[64];

static void put_file(const char *text, size_t n)
{
    snprintf(path, sizeof path, "%s/json-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    close(fd);
}

static void put_schema(const row_schema *s, sbuf *b)
{
    for (uint32_t c = 0; c < s->n; c++) {
        sbuf_printf(b, "%s" STR_FMT " ", c ? ", " : "", STR_ARG(s->cols[c].name));
        type_sql_name(s->cols[c].t, b);
    }
}

static void put_rows(const batch *b, sbuf *out)
{
    for (uint32_t i = 0; i < b->nsel; i++) {
        sbuf_addz(out, "\n");
        for (uint32_t c = 0; c < b->ncols; c++) {
            datum d = vec_datum(&b->cols[c], b->sel ? b->sel[i] : i);
            sbuf_addz(out, c ? " | " : "");
            if (d.null)
                sbuf_addz(out, "NULL");
            else
                datum_text(&d, out);
        }
    }
}

static fz_status read_all(json_rows *s, sbuf *out, bool *again, fz_error *err)
{
    json_local *l;
    json_event ev = JSON_ROWS;
    batch b, held;
    fz_status st = FZ_OK;
    batch_init(&b, NULL);
    assert_int_equal(json_local_new(s, &l, NULL), FZ_OK);
    *again = false;
    while (st == FZ_OK && ev != JSON_ROWS_END && ev != JSON_ROWS_WIDEN) {
        st = json_rows_next(s, l, &b, &ev, err);
        if (st == FZ_OK && ev == JSON_ROWS) { /* what is kept outlives everything else */
            batch_init(&held, NULL);
            assert_int_equal(batch_hold(&held, &b, NULL), FZ_OK);
            batch_reset(&b);
            put_rows(&held, out);
            batch_free(&held);
        }
    }
    *again = st == FZ_OK && ev == JSON_ROWS_WIDEN;
    batch_free(&b);
    json_local_free(l);
    return st;
}

static void run(const char *text, size_t n, const json_rows_options *o, outcome *x)
{
    json_rows *s;
    sbuf out;
    put_file(text, n);
    *x = (outcome){.err = {.line = -1, .column = -1}};
    sbuf_init(&out, NULL);
    x->st = json_rows_open(path, o, NULL, &s, &x->err);
    if (x->st == FZ_OK) {
        bool again = true;
        while (again && x->st == FZ_OK) {
            sbuf_clear(&out);
            put_schema(json_rows_schema(s), &out);
            x->st = read_all(s, &out, &again, &x->err);
            if (again) {
                assert_true(++x->restarts < 20);
                assert_int_equal(json_rows_restart(s, NULL), FZ_OK);
            }
        }
        json_rows_close(s);
    }
    assert_true(out.n < sizeof x->text);
    memcpy(x->text, out.p ? out.p : "", out.n);
    sbuf_free(&out);
    unlink(path);
}

static outcome x;

static void run_z(const char *text, const json_rows_options *o) { run(text, strlen(text), o, &x); }

static json_rows_options options(void)
{
    json_rows_options o;
    json_rows_options_default(&o);
    return o;
}

static void is_n(const char *text, size_t n, const char *want)
{
    static const size_t blocks[] = {1 << 20, 1, 7, 64};
    for (size_t i = 0; i < 4; i++) {
        json_rows_options o = options();
        o.block_bytes = blocks[i];
        run(text, n, &o, &x);
        if (x.st != FZ_OK)
            print_message("%s\n", x.err.message);
        assert_int_equal(x.st, FZ_OK);
        assert_string_equal(x.text, want);
    }
}

static void is(const char *text, const char *want) { is_n(text, strlen(text), want); }

static void fails_n(const char *text, size_t n, const char *message, int64_t line, int64_t column)
{
    static const size_t blocks[] = {1 << 20, 1, 16};
    for (size_t i = 0; i < 3; i++) {
        json_rows_options o = options();
        o.block_bytes = blocks[i];
        run(text, n, &o, &x);
        assert_int_not_equal(x.st, FZ_OK);
        assert_string_equal(x.err.message, message);
        assert_int_equal(x.err.line, line);
        assert_int_equal(x.err.column, column);
    }
}

static void fails(const char *text, const char *message, int64_t line, int64_t column) { fails_n(text, strlen(text), message, line, column); }

static void values(void **state)
{
    is("{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":0.5}\n{\"b\":\"\",\"a\":-20,\"d\":1e3,\"c\":false}\n\n{\"c\":null}\n",
       "a bigint, b text, c boolean, d double precision\n1 | x | true | 0.5\n-20 |  | false | 1000\nNULL | NULL | NULL | NULL");
    is("{\"a\":9223372036854775807}\r\n{\"a\":-9223372036854775808}\n{\"a\":1234567890123456}\n{\"a\":12345678901234567}\n{\"a\":0}",
       "a bigint\n9223372036854775807\n-9223372036854775808\n1234567890123456\n12345678901234567\n0");
    is("{\"a\":9223372036854775808}\n{\"a\":1}\n", "a decimal(38,0)\n9223372036854775808\n1");
    is("{\"s\":\"q\\\"b\\\\s\\/n\\nt\\tu\\u00e9\\u20ac\\ud83d\\ude00z\"}", "s text\nq\"b\\s/n\nt\tu\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    is("{\"s\":\"a text that is longer than a view holds\"}\n{\"s\":\"one with an escape \\u0041 that is long too\"}",
       "s text\na text that is longer than a view holds\none with an escape A that is long too");
    is("{\"d\":\"2020-02-29\",\"t\":\"10:00:00\",\"s\":\"2020-01-01T00:00:00\",\"z\":\"2020-01-01T00:00:00Z\"}",
       "d date, t time, s timestamp, z timestamp with time zone\n2020-02-29 | 10:00:00 | 2020-01-01 00:00:00 | 2020-01-01 00:00:00+00");
    is("\xef\xbb\xbf{\"a\":1}", "a bigint\n1");
    is("{\"\\u0061b\":1}\n{\"ab\":2}\n{\"\\u0061b\":3}", "ab bigint\n1\n2\n3");
    is_n("{\"a\":\"\\u0000\"}", 14, "a text\n");
}

static void nested(void **state)
{
    is("{\"l\":[1,2,null],\"s\":{\"a\":1,\"b\":[{\"c\":\"x\"},{}]}}\n{\"l\":[],\"s\":null}\n{\"s\":{\"b\":null},\"l\":[7]}\n",
       "l bigint[], s struct(a bigint, b struct(c text)[])\n"
       "[1, 2, NULL] | {'a': 1, 'b': [{'c': 'x'}, {'c': NULL}]}\n[] | NULL\n[7] | {'a': NULL, 'b': NULL}");
    is("{\"e\":{},\"n\":null,\"z\":[]}\n{\"e\":{},\"n\":null,\"z\":[null]}", "e text, n text, z text[]\n{} | NULL | []\n{} | NULL | [NULL]");
    is("{\"m\":1}\n{\"m\":\"t\"}\n{\"m\":[1, {\"a\": null}]}\n{\"m\":{\"k\":1.50}}\n{\"m\":true}\n{\"m\":null}",
       "m text\n1\nt\n[1, {\"a\": null}]\n{\"k\":1.50}\ntrue\nNULL");
}

static void layouts(void **state)
{
    is("[{\"a\":1},{\"a\":2}]", "a bigint\n1\n2");
    is(" [ {\"a\" : 1 } ,\n\n {\"a\":\"]},{\"}\n]\n\n", "a text\n1\n]},{");
    is("{\n \"a\": 1,\n \"b\": [\n 1\n]\n}\n{\"a\": 2}{\n}", "a bigint, b bigint[]\n1 | [1]\n2 | NULL\nNULL | NULL");
    is("1\n2\n\n3.5\n", "value double precision\n1\n2\n3.5");
    is("[1, null, \"x\"]", "value text\n1\nNULL\nx");
    is("[1,2]\n[3]\n", "value bigint[]\n[1, 2]\n[3]");
    is("[[1,2],[3]]", "value bigint[]\n[1, 2]\n[3]");
    fails("[]", "there are no records", 1, 2);
    fails("", "the file has no records", 1, 1);
    fails(" \n ", "the file has no records", 1, 1);
}

static void places(void **state)
{
    fails("{\"a\":1}\n{\"a\":NaN}\n", "NaN isn't JSON", 2, 6);
    fails("{\"a\":1}\n{\"a\":-Infinity}\n", "Infinity isn't JSON", 2, 6);
    fails("{\"a\":1}\n\n{\"a\":01}\n", "a number that starts with a zero", 3, 6);
    fails("{\"a\":1}\n{\"a\":1.}\n", "a digit is due after the decimal point", 2, 6);
    fails("{\"a\":1}\n{\"a\":tru}\n", "a value is due here", 2, 6);
    fails("{\"a\":1}\n{\"a\":\"\\x\"}\n", "an escape that JSON doesn't have", 2, 7);
    fails("{\"a\":1}\n{\"a\":\"\\ud800x\"}\n", "an escaped high surrogate without a low one after it", 2, 7);
    fails("{\"a\":1}\n{\"a\":\"\\udc00\"}\n", "an escaped low surrogate without a high one before it", 2, 7);
    fails("{\"a\":1}\n{\"a\":\"x\ty\"}\n", "a control character in a string", 2, 8);
    fails("{\"a\":1}\n{\"a\":\"\xff\"}\n", "the text isn't valid UTF-8", 2, 7);
    fails("{\"a\":1}\n{\"a\":1,}\n", "a key is due here", 2, 8);
    fails("{\"a\":1}\n{\"a\":1,\"a\":2}\n", "the key \"a\" stands twice in an object", 2, 8);
    fails("{\"a\":1}\n{\"a\" 1}\n", "a colon is due after the key", 2, 6);
    fails("{\"a\":1}\n{\"a\":2\n", "a line ends within a record", 2, 7);
    fails("{\"a\":1}\n{\"a\":2,\n\"b\":3}\n", "a line ends within a record", 2, 8);
    fails("{\"a\":1}\n{\"a\":2", "the text ends within a value", 2, 7);
    fails("{\"a\":1}\n7\n", "a record is an object, this is another value", 2, 1);
    fails("{\"a\":1}\n{\"a\":2}x\n", "text follows a record", 2, 8);
    fails("[{\"a\":1},{\"a\":2}", "the array isn't closed before the end of the input", 1, 17);
    fails("[{\"a\":1},\n{\"a\":2},]", "a value is due here", 2, 9);
    fails("[{\"a\":1} {\"a\":2}]", "a comma or ] is due here", 1, 10);
    fails("[{\"a\":1},", "the array isn't closed before the end of the input", 1, 10);
}

/* The sample is the first 4 kB: what comes later widens. */
static void widening(void **state)
{
    static const struct { const char *first, *later, *types; int restarts; } cases[] = {
        {"{\"a\":1}", "{\"a\":1.5}", "a double precision", 1},
        {"{\"a\":1}", "{\"a\":\"x\"}", "a text", 1},
        {"{\"a\":1}", "{\"a\":123456789012345678901}", "a decimal(38,0)", 1},
        {"{\"a\":9007199254740993}", "{\"a\":0.5}", "a text", 1},
        {"{\"a\":0.5}", "{\"a\":9007199254740993}", "a text", 1},
        {"{\"a\":null}", "{\"a\":true}", "a boolean", 1},
        {"{\"a\":null}", "{\"a\":\"x\"}", "a text", 0},
        {"{\"a\":[]}", "{\"a\":[1]}", "a bigint[]", 1},
        {"{\"a\":{\"b\":1}}", "{\"a\":{\"c\":2}}", "a struct(b bigint, c bigint)", 1},
        {"{\"a\":1}", "{\"b\":[{\"c\":1}]}", "a bigint, b struct(c bigint)[]", 1},
        {"{\"a\":\"2020-01-01\"}", "{\"a\":\"2020-01-01 10:00:00\"}", "a timestamp", 1},
        {"{\"a\":\"2020-01-01\"}", "{\"a\":\"soon\"}", "a text", 1},
        {"{\"a\":true}", "{\"a\":0}", "a text", 1},
        {"{\"a\":1}", "{\"a\":1e400}", "a text", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sbuf b;
        sbuf_init(&b, NULL);
        while (b.n < 8000) {
            sbuf_addz(&b, cases[i].first);
            sbuf_addc(&b, '\n');
        }
        sbuf_addz(&b, cases[i].later);
        json_rows_options o = options();
        o.sample_bytes = 4096;
        o.block_bytes = 1000;
        run(b.p, b.n, &o, &x);
        assert_int_equal(x.st, FZ_OK);
        assert_memory_equal(x.text, cases[i].types, strlen(cases[i].types));
        assert_int_equal(x.text[strlen(cases[i].types)], '\n');
        assert_int_equal(x.restarts, cases[i].restarts);
        o.strict = true;
        run(b.p, b.n, &o, &x);
        assert_int_equal(x.st, cases[i].restarts ? FZ_VALUE : FZ_OK);
        sbuf_free(&b);
    }
}

static void given_types(void **state)
{
    static struct { type_fields f; type_field kv[2]; } map = {{.n = 2}, {{.name = {"key", 3}, .field_id = -1, .required = true, .t = {.id = T_STRING}},
                                                                      {.name = {"value", 5}, .field_id = -1, .t = {.id = T_INT64}}}};
    const json_type types[] = {{STR("d"), TYPE_DECIMAL(5, 2)}, {STR("i"), TYPE(T_INT32)}, {STR("M"), {.id = T_MAP, .children = &map.f}},
                               {STR("u"), TYPE(T_UUID)}, {STR("r"), TYPE(T_FLOAT32)}, {STR("late"), TYPE(T_DATE)}};
    json_rows_options o = options();
    o.types = types;
    o.ntypes = 6;
    static const char text[] = "{\"d\":1.5,\"i\":\"7\",\"m\":{\"x\":1,\"y\":null},\"u\":\"00112233-4455-6677-8899-aabbccddeeff\",\"r\":0.1}\n{\"d\":\"-12.25\",\"i\":8,\"m\":{}}\n";
    run(text, sizeof text - 1, &o, &x);
    assert_int_equal(x.st, FZ_OK);
    assert_string_equal(x.text, "d decimal(5,2), i integer, m map(text, bigint), u uuid, r real, late date\n"
                                "1.50 | 7 | {'x'=1, 'y'=NULL} | 00112233-4455-6677-8899-aabbccddeeff | 0.1 | NULL\n-12.25 | 8 | {} | NULL | NULL | NULL");
    run_z("{\"i\":1}\n{\"i\":2147483648}", &o);
    assert_int_equal(x.st, FZ_VALUE);
    assert_string_equal(x.err.message, "\"i\": \"2147483648\" is out of the range of type integer");
    run_z("{\"d\":1}\n{\"d\":1.555}", &o);
    assert_int_equal(x.st, FZ_VALUE);
    assert_int_equal(x.err.line, 2);
    assert_int_equal(x.err.column, 6);
}

static void given_schema(void **state)
{
    column_def cols[] = {{.name = STR("Id"), .t = TYPE(T_INT64), .not_null = true}, {.name = STR("name"), .t = TYPE(T_STRING)}};
    const row_schema schema = {2, cols};
    json_rows_options o = options();
    o.schema = &schema;
    run_z("{\"name\":\"x\",\"id\":1}\n{\"ID\":2}", &o);
    assert_int_equal(x.st, FZ_OK);
    assert_string_equal(x.text, "Id bigint, name text\n1 | x\n2 | NULL");
    run_z("{\"id\":1}\n{\"name\":\"y\"}", &o);
    assert_int_equal(x.st, FZ_VALUE);
    assert_string_equal(x.err.sqlstate, "23502");
    run_z("{\"id\":1}\n{\"id\":2,\"z\":1}", &o);
    assert_int_equal(x.st, FZ_INVALID);
    assert_string_equal(x.err.message, "the table has no column \"z\"");
    run_z("", &o);
    assert_int_equal(x.st, FZ_OK);
    assert_string_equal(x.text, "Id bigint, name text");
}

static void skipped(void **state)
{
    static char reject[80];
    snprintf(reject, sizeof reject, "%s/json-reject-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    static const char text[] = "{\"a\":1}\n{\"a\":\n{\"a\":2}\n{\"a\":3,\"a\":4}\nfoo\n{\"a\":\"\xff\"}\n{\"a\":5}\n";
    for (size_t block = 1; block < 40; block += 13) {
        json_rows_options o = options();
        o.skip_errors = true;
        o.reject_path = reject;
        o.block_bytes = block;
        run(text, sizeof text - 1, &o, &x);
        assert_int_equal(x.st, FZ_OK);
        assert_string_equal(x.text, "a bigint\n1\n2\n5");
        char got[1024] = {0};
        FILE *f = fopen(reject, "rb");
        assert_non_null(f);
        assert_true(fread(got, 1, sizeof got - 1, f) > 0);
        fclose(f);
        unlink(reject);
        assert_non_null(strstr(got, "line,reason,text\n2,"));
        assert_non_null(strstr(got, "\n4,\"the key \"\"a\"\" stands twice in an object\",\"{\"\"a\"\":3,\"\"a\"\":4}\"\n"));
        assert_non_null(strstr(got, "\n5,"));
        assert_non_null(strstr(got, "\n6,the text isn't valid UTF-8,"));
    }
}

/* Depth, keys, long records: bounded, with an error or as text. */
static void hostile(void **state)
{
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "{\"a\":");
    for (int i = 0; i < 900; i++)
        sbuf_addc(&b, '[');
    for (int i = 0; i < 900; i++)
        sbuf_addc(&b, ']');
    sbuf_addc(&b, '}');
    json_rows_options o = options();
    run(b.p, b.n, &o, &x);
    assert_int_equal(x.st, FZ_OK);
    sbuf_clear(&b);
    sbuf_addz(&b, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        sbuf_addc(&b, '[');
    run(b.p, b.n, &o, &x);
    assert_int_equal(x.st, FZ_DATA);
    sbuf_clear(&b);
    sbuf_addz(&b, "{\"a\":{\"k\":0");
    for (int i = 0; i < 1100; i++)
        sbuf_printf(&b, ",\"k%d\":%d", i, i);
    sbuf_addz(&b, "}}");
    run(b.p, b.n, &o, &x);
    assert_int_equal(x.st, FZ_OK);
    assert_memory_equal(x.text, "a text\n{\"k\":0,", 14);
    sbuf_clear(&b);
    sbuf_addz(&b, "{\"k\":0");
    for (int i = 0; i < 10100; i++)
        sbuf_printf(&b, ",\"k%d\":%d", i, i);
    sbuf_addz(&b, "}");
    run(b.p, b.n, &o, &x);
    assert_int_equal(x.st, FZ_LIMIT);
    o.max_record_bytes = 5000;
    o.block_bytes = 100;
    o.sample_bytes = 4096;
    sbuf_clear(&b);
    sbuf_addz(&b, "{\"a\":1}\n{\"a\":\"");
    for (int i = 0; i < 20000; i++)
        sbuf_addc(&b, 'x');
    sbuf_addz(&b, "\"}\n");
    run(b.p, b.n, &o, &x);
    assert_int_equal(x.st, FZ_DATA);
    assert_int_equal(x.err.line, 2);
    sbuf_free(&b);
}

/* The fast way of reading integers against the slow one. */
static void integers(void **state)
{
    uint64_t seed = 7;
    for (int i = 0; i < 200000; i++) {
        char t[96] = {0};
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned digits = seed >> 60, n = 0;
        if (seed >> 59 & 1)
            t[n++] = '-';
        for (unsigned k = 0; k <= digits; k++)
            t[n++] = (char)('0' + (seed >> (3 * k)) % 10);
        static const char ends[] = ",}] .e:\n/";
        t[n] = ends[seed % 9];
        const char *p = t;
        int64_t v = 0, want = 0;
        bool ok = json_int_fast(&p, &v);
        bool zero = t[t[0] == '-'] == '0' && digits > 0;
        if (t[n] == '.' || t[n] == 'e' || zero) {
            assert_false(ok);
            continue;
        }
        for (unsigned k = t[0] == '-'; k < n; k++)
            want = want * 10 + (t[k] - '0');
        assert_true(ok);
        assert_true(v == (t[0] == '-' ? -want : want));
        assert_ptr_equal(p, t + n);
    }
}

/* Every allocation fails in turn: an error, nothing lost, nothing leaked. */
static _Atomic int64_t allowed;

static void *resize(void *ctx, void *p, size_t old_size, size_t new_size)
{
    if (new_size == 0) {
        free(p);
        return NULL;
    }
    return allowed-- > 0 ? realloc(p, new_size) : NULL;
}

static void no_memory(void **state)
{
    static const char text[] = "{\"a\":1,\"s\":{\"l\":[1,2],\"t\":\"an \\u00e9scaped text that is long\"},\"d\":\"2020-01-01\"}\n{\"a\":null,\"m\":[{}]}\n"
                               "{\"m\":[{\"x\":true}],\"a\":12345678901234567890}\n";
    static const mem_hooks hooks = {.resize = resize};
    put_file(text, sizeof text - 1);
    fz_status st = FZ_NOMEM;
    for (int64_t n = 0; st != FZ_OK; n++) {
        mem m;
        json_rows *s;
        json_rows_options o = options();
        assert_true(n < 5000);
        mem_init(&m, NULL, &hooks, 0);
        allowed = n;
        st = json_rows_open(path, &o, &m, &s, NULL);
        if (st == FZ_OK) {
            json_local *l = NULL;
            json_event ev = JSON_ROWS;
            batch b;
            batch_init(&b, &m);
            st = json_local_new(s, &l, NULL);
            while (st == FZ_OK && ev != JSON_ROWS_END) {
                st = json_rows_next(s, l, &b, &ev, NULL);
                assert_int_not_equal(ev, JSON_ROWS_WIDEN);
            }
            batch_free(&b);
            if (l)
                json_local_free(l);
            json_rows_close(s);
        }
        assert_true(st == FZ_OK || st == FZ_NOMEM);
        assert_int_equal(m.used, 0);
    }
    unlink(path);
}

/* Three workers: all rows once, whatever widens; of several errors the first. */
typedef struct worker {
    json_rows *s;
    int64_t sum, rows;
    fz_status st;
    fz_error err;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    json_local *l;
    json_event ev = JSON_ROWS;
    batch b;
    batch_init(&b, NULL);
    w->sum = w->rows = 0;
    w->st = json_local_new(w->s, &l, NULL);
    while (w->st == FZ_OK && ev != JSON_ROWS_END && ev != JSON_ROWS_WIDEN) {
        w->st = json_rows_next(w->s, l, &b, &ev, &w->err);
        for (uint32_t i = 0; w->st == FZ_OK && ev == JSON_ROWS && i < b.nrows; i++)
            w->sum += vec_datum(&b.cols[0], i).i64;
        w->rows += ev == JSON_ROWS && w->st == FZ_OK ? b.nrows : 0;
    }
    batch_free(&b);
    json_local_free(l);
    return NULL;
}

static fz_status work_all(json_rows *s, worker *w)
{
    pthread_t t[3];
    fz_status st = FZ_OK;
    for (int i = 0; i < 3; i++) {
        w[i] = (worker){.s = s};
        assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        if (w[i].st != FZ_OK) {
            st = w[i].st;
            w[0].err = w[i].err;
        }
    }
    return st;
}

static void workers(void **state)
{
    enum { N = 20000 };
    for (int broken = 0; broken < 2; broken++) {
        sbuf b;
        worker w[3];
        json_rows *s;
        sbuf_init(&b, NULL);
        for (int i = 0; i < N; i++)
            sbuf_printf(&b, i == 15000 || i == 19999 ? "{\"id\":%d,\"v\":\"x%d\",\"k%d\":1}\n" : broken && i > 10000 && i % 1000 == 7 ? "{\"id\":%d,}\n" : "{\"id\":%d,\"v\":%d}\n", i, i, i);
        put_file(b.p, b.n);
        json_rows_options o = options();
        o.sample_bytes = 4096;
        o.block_bytes = 3000;
        assert_int_equal(json_rows_open(path, &o, NULL, &s, NULL), FZ_OK);
        fz_status st = work_all(s, w);
        if (st == FZ_OK) {
            assert_true(json_rows_widened(s));
            assert_int_equal(json_rows_restart(s, NULL), FZ_OK);
            st = work_all(s, w);
        }
        if (broken) {
            assert_int_equal(st, FZ_DATA);
            assert_int_equal(w[0].err.line, 10008);
        } else {
            assert_int_equal(st, FZ_OK);
            assert_false(json_rows_widened(s));
            assert_int_equal(w[0].rows + w[1].rows + w[2].rows, N);
            assert_true(w[0].sum + w[1].sum + w[2].sum == (int64_t)N * (N - 1) / 2);
            assert_int_equal(json_rows_schema(s)->n, 4);
        }
        json_rows_close(s);
        unlink(path);
        sbuf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),      cmocka_unit_test(nested),       cmocka_unit_test(layouts), cmocka_unit_test(places),  cmocka_unit_test(widening),
        cmocka_unit_test(given_types), cmocka_unit_test(given_schema), cmocka_unit_test(skipped), cmocka_unit_test(hostile), cmocka_unit_test(integers),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
