/*
 * test_csv_grammar.c: the reader against a plain reference: every small text over an alphabet
 * that matters, and random larger ones; every instruction set, tiny blocks, several workers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "csv_reference.h"

static uint64_t rnd_state = 88172645463325252u;
static uint64_t rnd(void)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state;
}

static void show(const char *what, const outcome *o)
{
    print_message("%s: st %d at line %lld column %lld offset %lld, %lld rows, %lld rejected, \"%s\"\n%.800s\n", what,
                  o->st, (long long)o->line, (long long)o->column, (long long)o->offset, (long long)o->n,
                  (long long)o->rejected, o->message, o->rows.p ? o->rows.p : "");
}

/* All columns as text: a null list of the caller's that never matches, and types not inferred. */
static csv_options text_options(char delim, char quote, char escape, char comment)
{
    csv_options o;
    csv_options_default(&o);
    o.delimiter = delim;
    o.quote = quote;
    o.escape = escape;
    o.comment = comment;
    o.header = 0;
    return o;
}

static void compare(const char *t, size_t n, csv_options *opt, int threads)
{
    outcome want, got;
    /* name every column that could be there as text */
    static csv_type types[512];
    static char names[512][32];
    ref_run(t, n, (char)opt->delimiter, (char)opt->quote, (char)opt->escape, (char)opt->comment, opt->skip_errors,
            opt->strict, &want);
    size_t nf = want.fields;
    assert_true(nf <= 512);
    for (size_t i = 0; i < nf; i++) {
        snprintf(names[i], sizeof names[i], "column%zu", i + 1);
        types[i] = (csv_type){str_of(names[i]), TYPE(T_STRING)};
    }
    opt->types = types;
    opt->ntypes = want.st == FZ_OK ? (uint32_t)nf : 0;
    csv_run_text(t, n, opt, threads, &got);
    bool same = want.st == got.st;
    if (want.st == FZ_OK)
        same = same && want.n == got.n && want.rejected == got.rejected && want.rows.n == got.rows.n &&
               (want.rows.n == 0 || memcmp(want.rows.p, got.rows.p, want.rows.n) == 0);
    else
        same = same && want.line == got.line && want.column == got.column && want.offset == got.offset;
    if (!same) {
        print_message("text (%zu bytes), block %zu, isa %d, threads %d, escape %d, skip %d, strict %d:\n", n,
                      opt->block_bytes, opt->isa, threads, opt->escape, opt->skip_errors, opt->strict);
        for (size_t i = 0; i < n; i++)
            print_message(t[i] >= 32 && t[i] < 127 ? "%c" : "\\x%02x", (unsigned char)t[i]);
        print_message("\n");
        size_t d = 0;
        while (d < want.rows.n && d < got.rows.n && want.rows.p[d] == got.rows.p[d])
            d++;
        print_message("rows differ at byte %zu: want %.60s, got %.60s\n", d, d > want.rows.n ? "" : want.rows.p + d - (d > 30 ? 30 : d), d > got.rows.n ? "" : got.rows.p + d - (d > 30 ? 30 : d));
        show("want", &want);
        show("got", &got);
    }
    assert_true(same);
    outcome_free(&want);
    outcome_free(&got);
}

static void test_every_small_text(void **state)
{
    (void)state;
    static const char alphabet[] = {'a', ',', '"', '\n', '\r'};
    const int k = sizeof alphabet;
    int count = 0;
    for (int n = 0, total = 1; n <= 6; n++, total *= k)
        for (int x = 0; x < total; x++) {
            char t[8];
            for (int i = 0, v = x; i < n; i++, v /= k)
                t[i] = alphabet[v % k];
            csv_options o = text_options(',', '"', CSV_NONE, CSV_NONE);
            o.block_bytes = 1 + (size_t)(count % 4);
            o.isa = (csv_isa)(1 + count / 4 % 4);
            o.skip_errors = count / 16 % 2;
            count++;
            compare(t, (size_t)n, &o, 1);
        }
}

static size_t random_text(char *t, size_t max, const char *alphabet, size_t k)
{
    size_t n = rnd() % max;
    for (size_t i = 0; i < n; i++)
        t[i] = alphabet[rnd() % k];
    return n;
}

/* Rows that are mostly right, as real files are. */
static size_t random_table(char *t, size_t max, char quote, char escape)
{
    size_t n = 0, nf = 1 + rnd() % 5, faults = rnd() % 3 ? 0 : 40;
    unsigned eol = rnd() % 4, quoting = rnd() % 4;
    while (n + 300 < max && rnd() % 200) {
        size_t k = faults && rnd() % faults == 0 ? 1 + rnd() % 7 : nf;
        for (size_t c = 0; c < k; c++) {
            size_t len = rnd() % 8 ? rnd() % 6 : rnd() % 30;
            bool quoted = quote && (quoting == 0 || (quoting == 1 && rnd() % 8 == 0));
            if (c)
                t[n++] = ',';
            if (quoted)
                t[n++] = quote;
            for (size_t i = 0; i < len; i++) {
                char ch = "0123456789abc xyz\xC3"[rnd() % 18];
                if (quoted && rnd() % 12 == 0)
                    ch = ",\n\r\""[rnd() % 4];
                if (ch == '\xC3') {
                    t[n++] = ch;
                    ch = '\xA9';
                }
                if (quoted && (ch == quote || (escape && ch == escape)))
                    t[n++] = escape ? escape : quote;
                t[n++] = ch;
            }
            if (quoted && !(faults && rnd() % 400 == 0))
                t[n++] = quote;
        }
        if (eol == 1 || (eol == 3 && rnd() % 2))
            t[n++] = '\r';
        if (eol != 2)
            t[n++] = '\n';
        else
            t[n++] = '\r';
    }
    if (n && rnd() % 3 == 0)
        n--;
    if (n && faults && rnd() % 4 == 0)
        t[rnd() % n] = "\0\"\n\r,\xFF#"[rnd() % 7];
    return n;
}

static void test_random_texts(void **state)
{
    (void)state;
    static char t[20000];
    static const char wild[] = {'a', 'b', '1', ',', ',', '"', '"', '\n', '\n', '\r', '\\', '#', '\'', ' ', (char)0xC3,
                                (char)0xA9, 0};
    for (int k = 0; k < 6000; k++) {
        char escape = rnd() % 4 == 0 ? '\\' : 0, comment = rnd() % 4 == 0 ? '#' : 0, quote = rnd() % 10 ? '"' : 0;
        csv_options o = text_options(',', quote, quote ? escape : 0, comment);
        o.block_bytes = rnd() % 3 ? 1 + rnd() % 64 : 1 + rnd() % 1000;
        o.isa = (csv_isa)(rnd() % 5);
        o.skip_errors = rnd() % 3 == 0;
        o.strict = rnd() % 4 == 0;
        size_t n = k % 2 ? random_text(t, rnd() % 4 ? 40 : 400, wild, sizeof wild - (rnd() % 4 != 0))
                         : random_table(t, 3900, quote, quote ? escape : 0);
        compare(t, n, &o, 1 + (int)(rnd() % 3));
    }
}

/* Kernels against the scalar ones, where rows are many and blocks large. */
static void test_large_random(void **state)
{
    (void)state;
    for (int k = 0; k < 60; k++) {
        static char t[3 << 20];
        size_t n = 0, want = 1 << (10 + rnd() % 11);
        char quote = rnd() % 2 ? '"' : 0;
        size_t nf = 1 + rnd() % 20;
        while (n < want) {
            for (size_t c = 0; c < nf; c++) {
                if (c)
                    t[n++] = ',';
                bool q = quote && rnd() % 5 == 0;
                if (q)
                    t[n++] = quote;
                for (size_t len = rnd() % 20; len; len--)
                    t[n++] = (char)(q && rnd() % 10 == 0 ? "\n,"[rnd() % 2] : '0' + (int)(rnd() % 10));
                if (q)
                    t[n++] = quote;
            }
            t[n++] = '\n';
        }
        char path[64];
        int fd = memory_file(t, n, path);
        csv_options o = text_options(',', quote, 0, 0);
        o.isa = CSV_ISA_SCALAR;
        outcome a, b;
        csv_run(path, &o, 1, &a);
        for (int isa = CSV_ISA_SSE2; isa <= CSV_ISA_AVX512; isa++) {
            o.isa = (csv_isa)isa;
            o.block_bytes = 1 + rnd() % 300000;
            csv_run(path, &o, 2, &b);
            assert_int_equal(a.st, FZ_OK);
            assert_int_equal(b.st, FZ_OK);
            assert_int_equal(a.n, b.n);
            assert_int_equal(a.rows.n, b.rows.n);
            assert_memory_equal(a.rows.p, b.rows.p, a.rows.n);
            outcome_free(&b);
        }
        outcome_free(&a);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_small_text),
        cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_large_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
