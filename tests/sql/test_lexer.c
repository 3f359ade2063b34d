/* test_lexer.c: tokens, their positions, and texts that don't end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sql/lexer.h"

/* kind:text, separated by blanks; the failure's column at the end if there is one. */
static void tokens(const char *sql, const char *want)
{
    static const char kinds[] = "$wqsxidfhpo";
    lexer l = {.text = str_of(sql), .line = 1, .column = 1};
    arena a;
    sbuf b;
    token t;
    fz_error err = {0};
    arena_init(&a, NULL);
    sbuf_init(&b, NULL);
    fz_status st;
    while ((st = lexer_next(&l, &a, &t, &err)) == FZ_OK && t.kind != TK_END)
        sbuf_printf(&b, "%c:" STR_FMT " ", kinds[t.kind], STR_ARG(t.text));
    if (st != FZ_OK)
        sbuf_printf(&b, "error %lld:%lld", (long long)err.line, (long long)err.column);
    assert_string_equal(b.p ? b.p : "", want);
    sbuf_free(&b);
    arena_free(&a);
}

static void kinds(void **state)
{
    tokens("a \"b\"\"c\" 'd''e' `f` x'4142' 1 1.5 1e-3 0x1F $2 ? >= =>", "w:a q:b\"c s:d'e q:f x:AB i:1 d:1.5 f:1e-3 h:1F p:2 p: o:>= o:=> ");
    tokens("a.b.* 1..2 .5 5.", "w:a o:. w:b o:. o:* i:1 o:.. i:2 d:.5 d:5. ");
    tokens("x::int||y<>z!=w", "w:x o::: w:int o:|| w:y o:<> w:z o:!= w:w ");
    tokens("E'\\t\\x41\\u00e9\\'' e'' $$a$b$$ $t$ $$ $t$", "s:\tAé' s: s:a$b s: $$  ");
    tokens("1_000_000 naïve _a1$", "i:1000000 w:naïve w:_a1$ ");
    tokens("a -- c\n/* /* x */ */ b", "w:a w:b ");
    tokens("\xEF\xBB\xBFselect\xC2\xA0" "1", "w:select i:1 ");
}

static void broken(void **state)
{
    tokens("a 'b", "w:a error 1:3");
    tokens("a\n  \"b", "w:a error 2:3");
    tokens("/* /* */", "error 1:1");
    tokens("$x$ a $y$", "error 1:1");
    tokens("12ab", "error 1:1");
    tokens("é 0x", "w:é error 1:3");
    tokens("'\xFF'", "error 1:1");
    tokens("a \x01", "w:a error 1:3");
    tokens("x'4'", "error 1:1");
    tokens("e'\\xff'", "error 1:1");
    tokens("\"\"", "error 1:1");
    tokens("$", "error 1:1");
}

static void words(void **state)
{
    assert_int_equal(word_flags(STR("SELECT")), WORD_STRUCTURAL | WORD_NO_ALIAS);
    assert_int_equal(word_flags(STR("order")), WORD_NO_ALIAS);
    assert_int_equal(word_flags(STR("default")), 0);
    assert_int_equal(word_flags(STR("within")), WORD_NO_ALIAS); /* the table's last, and its first: */
    assert_int_equal(word_flags(STR("and")), WORD_STRUCTURAL | WORD_NO_ALIAS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds), cmocka_unit_test(broken), cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
