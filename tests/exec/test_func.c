/*
 * test_func.c: functions, operators and casts on constants; the registry; three-valued logic; errors.
 */
#include "exec_util.h"

#include "exec/func_int.h"

#define CHECK(WANT, ...) assert_string_equal(folded(__VA_ARGS__), WANT)
#define FAILS(STATE, ...) do { const char *s_ = folded(__VA_ARGS__); if (s_[0] != '!' || strncmp(s_ + 1, STATE, 5)) fail_msg("%s, not !" STATE, s_); } while (0)
static const type B = {.id = T_BOOL};
#define S(x) ex_str(x)
#define I(x) ex_i64(x)
#define NUL(t) ex_null(TYPE(t))

static void test_integers(void **state)
{
    CHECK("7", ex_call("+", 2, ex_i32(3), ex_i64(4)));
    CHECK("-1", ex_call("/", 2, I(-7), I(4)));
    CHECK("-3", ex_call("%", 2, I(-7), I(4)));
    FAILS("22003", ex_call("+", 2, I(INT64_MAX), I(1)));
    FAILS("22003", ex_call("-", 2, I(INT64_MIN), I(1)));
    FAILS("22003", ex_call("*", 2, I(INT64_MAX), I(2)));
    FAILS("22003", ex_call("+", 2, ex_i32(INT32_MAX), ex_i32(1)));
    FAILS("22003", ex_call("/", 2, I(INT64_MIN), I(-1)));
    CHECK("0", ex_call("%", 2, I(INT64_MIN), I(-1)));
    FAILS("22012", ex_call("/", 2, I(1), I(0)));
    FAILS("22012", ex_call("%", 2, I(1), I(0)));
    FAILS("22003", ex_call("-", 1, I(INT64_MIN)));
    FAILS("22003", ex_call("abs", 1, I(INT64_MIN)));
    CHECK("NULL", ex_call("+", 2, NUL(T_INT64), I(1)));
    CHECK("NULL", ex_call("/", 2, NUL(T_INT64), I(0)));
    CHECK("1200", ex_call("round", 2, I(1234), I(-2)));
    CHECK("3", ex_call("greatest", 3, I(1), I(3), NUL(T_INT64)));
    CHECK("NULL", ex_call("least", 2, NUL(T_INT64), NUL(T_INT64)));
}

static void test_decimals(void **state)
{
    CHECK("3.75", ex_call("+", 2, ex_dec("1.25", 4, 2), ex_dec("2.5", 3, 1)));
    CHECK("3.125", ex_call("*", 2, ex_dec("1.25", 4, 2), ex_dec("2.5", 3, 1)));
    CHECK("0.333333", ex_call("/", 2, ex_dec("1", 3, 0), ex_dec("3", 3, 0)));
    CHECK("-0.666667", ex_call("/", 2, ex_dec("-2", 3, 0), ex_dec("3", 3, 0)));
    CHECK("0.66666667", ex_call("/", 2, ex_dec("2.00000000", 20, 8), ex_dec("3", 3, 0)));
    CHECK("5.00", ex_call("+", 2, ex_dec("4.00", 4, 2), I(1)));
    CHECK("99999999999999999999999999999999999998", ex_call("*", 2, ex_dec("49999999999999999999999999999999999999", 38, 0), ex_dec("2", 1, 0)));
    FAILS("22003", ex_call("*", 2, ex_dec("99999999999999999999999999999999999999", 38, 0), ex_dec("2", 1, 0)));
    FAILS("22003", ex_call("+", 2, ex_dec("99999999999999999999999999999999999999", 38, 0), ex_dec("1", 1, 0)));
    FAILS("22012", ex_call("/", 2, ex_dec("1", 1, 0), ex_dec("0", 1, 0)));
    CHECK("0.5", ex_call("%", 2, ex_dec("6.5", 2, 1), ex_dec("2", 1, 0)));
    CHECK("3", ex_call("round", 1, ex_dec("2.5", 2, 1)));
    CHECK("-3", ex_call("round", 1, ex_dec("-2.5", 2, 1)));
    CHECK("-3", ex_call("floor", 1, ex_dec("-2.1", 2, 1)));
    CHECK("-2", ex_call("ceil", 1, ex_dec("-2.1", 2, 1)));
    CHECK("2.350", ex_call("trunc", 2, ex_dec("2.359", 4, 3), I(2)));
    CHECK("true", ex_call("=", 2, ex_dec("1.50", 4, 2), ex_dec("1.5", 2, 1)));
    CHECK("true", ex_call("<", 2, ex_dec("1.50", 4, 2), I(2)));
}

static void test_floats(void **state)
{
    const expr *nan = ex_f64(__builtin_nan("")), *inf = ex_f64(__builtin_inf());
    CHECK("true", ex_call("=", 2, nan, nan));
    CHECK("true", ex_call(">", 2, nan, inf));
    CHECK("false", ex_call("<", 2, nan, ex_f64(1)));
    CHECK("true", ex_call("=", 2, ex_f64(0.0), ex_f64(-0.0)));
    CHECK("2.5", ex_call("/", 2, ex_f64(5), ex_f64(2)));
    FAILS("22012", ex_call("/", 2, ex_f64(5), ex_f64(0)));
    CHECK("3", ex_call("round", 1, ex_f64(2.5)));
    CHECK("2.35", ex_call("round", 2, ex_f64(2.345678), I(2)));
    FAILS("2201F", ex_call("sqrt", 1, ex_f64(-1)));
    FAILS("2201E", ex_call("ln", 1, ex_f64(0)));
    CHECK("8", ex_call("power", 2, I(2), I(3)));
}

static void test_casts(void **state)
{
    CHECK("42", ex_cast(S(" 42 "), TYPE(T_INT64), false));
    FAILS("22P02", ex_cast(S("x"), TYPE(T_INT64), false));
    FAILS("22003", ex_cast(S("99999999999999999999"), TYPE(T_INT64), false));
    CHECK("NULL", ex_cast(S("x"), TYPE(T_INT64), true));
    CHECK("2", ex_cast(ex_f64(2.5), TYPE(T_INT64), false));
    CHECK("4", ex_cast(ex_f64(3.5), TYPE(T_INT32), false));
    CHECK("3", ex_cast(ex_dec("2.5", 2, 1), TYPE(T_INT64), false));
    FAILS("22003", ex_cast(ex_f64(9.3e18), TYPE(T_INT64), false));
    FAILS("22003", ex_cast(ex_f64(__builtin_nan("")), TYPE(T_INT32), false));
    FAILS("22003", ex_cast(I(3000000000), TYPE(T_INT32), false));
    CHECK("NULL", ex_cast(I(3000000000), TYPE(T_INT32), true));
    CHECK("0.10", ex_cast(ex_f64(0.1), TYPE_DECIMAL(4, 2), false));
    FAILS("22003", ex_cast(I(1000), TYPE_DECIMAL(4, 2), false));
    CHECK("12.35", ex_cast(ex_dec("12.345", 5, 3), TYPE_DECIMAL(4, 2), false));
    CHECK("0.1", ex_cast(ex_dec("0.1", 2, 1), TYPE(T_FLOAT64), false));
    CHECK("2020-02-29", ex_cast(S("2020-02-29"), TYPE(T_DATE), false));
    CHECK("2020-02-29 00:00:00", ex_cast(ex_cast(S("2020-02-29"), TYPE(T_DATE), false), TYPE(T_TIMESTAMP), false));
    CHECK("1969-12-31", ex_cast(ex_cast(S("1969-12-31 23:00:00"), TYPE(T_TIMESTAMP), false), TYPE(T_DATE), false));
    CHECK("-5", ex_cast(I(-5), TYPE(T_STRING), false));
    CHECK("true", ex_cast(I(3), TYPE(T_BOOL), false));
}

static void test_logic(void **state)
{
    const expr *v[3] = {ex_bool(false), ex_null(B), ex_bool(true)};
    static const char *const and[3][3] = {{"false", "false", "false"}, {"false", "NULL", "NULL"}, {"false", "NULL", "true"}};
    static const char *const or[3][3] = {{"false", "NULL", "true"}, {"NULL", "NULL", "true"}, {"true", "true", "true"}};
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            CHECK(and[a][b], ex_op(EX_AND, B, 2, v[a], v[b]));
            CHECK(or[a][b], ex_op(EX_OR, B, 2, v[a], v[b]));
        }
    CHECK("NULL", ex_op(EX_NOT, B, 1, v[1]));
    CHECK("true", ex_op(EX_IS_NULL, B, 1, v[1]));
    CHECK("false", ex_op(EX_IS_NOT_NULL, B, 1, v[1]));
    CHECK("true", ex_op(EX_IN, B, 4, I(2), I(1), NUL(T_INT64), I(2)));
    CHECK("NULL", ex_op(EX_IN, B, 3, I(2), I(1), NUL(T_INT64)));
    CHECK("false", ex_op(EX_IN, B, 3, S("b"), S("a"), S("a text longer than twelve")));
    CHECK("NULL", ex_op(EX_IN, B, 2, NUL(T_INT64), I(1)));
    CHECK("NULL", ex_op(EX_IN, B, 3, I(2), ex_call("+", 2, I(1), I(0)), ex_call("+", 2, NUL(T_INT64), I(0))));
    CHECK("true", ex_op(EX_IN, B, 2, I(2), ex_call("+", 2, I(1), I(1))));
    CHECK("true", ex_call("is distinct from", 2, I(1), NUL(T_INT64)));
    CHECK("true", ex_call("is not distinct from", 2, NUL(T_INT64), NUL(T_INT64)));
    /* what isn't needed isn't evaluated */
    const expr *bad = ex_call("=", 2, ex_call("/", 2, I(1), I(0)), I(1));
    CHECK("false", ex_op(EX_AND, B, 2, ex_bool(false), bad));
    CHECK("true", ex_op(EX_OR, B, 2, ex_bool(true), bad));
    FAILS("22012", ex_op(EX_AND, B, 2, ex_bool(true), bad));
    CHECK("7", ex_op(EX_COALESCE, TYPE(T_INT64), 3, NUL(T_INT64), I(7), ex_call("/", 2, I(1), I(0))));
    CHECK("1", ex_op(EX_CASE, TYPE(T_INT64), 3, ex_bool(true), I(1), ex_call("/", 2, I(1), I(0))));
    CHECK("NULL", ex_op(EX_CASE, TYPE(T_INT64), 2, ex_bool(false), I(1)));
}

static void test_texts(void **state)
{
    CHECK("4", ex_call("length", 1, S("\xc3\xa9t\xc3\xa9s")));
    CHECK("\xc3\x89T\xc3\x89", ex_call("upper", 1, S("\xc3\xa9t\xc3\xa9")));
    CHECK("bcd", ex_call("substring", 3, S("abcdef"), I(2), I(3)));
    CHECK("ab", ex_call("substring", 3, S("abcdef"), I(-1), I(4)));
    CHECK("", ex_call("substring", 2, S("abc"), I(9)));
    FAILS("22011", ex_call("substring", 3, S("abc"), I(1), I(-1)));
    CHECK("ab", ex_call("left", 2, S("abc"), I(-1)));
    CHECK("bc", ex_call("right", 2, S("abc"), I(2)));
    CHECK("bc", ex_call("right", 2, S("abc"), I(-1)));
    CHECK("x y", ex_call("trim", 1, S("  x y ")));
    CHECK("bar", ex_call("trim", 2, S("xxbarxy"), S("xy")));
    CHECK("00042", ex_call("lpad", 3, S("42"), I(5), S("0")));
    CHECK("4", ex_call("lpad", 2, S("42"), I(1)));
    CHECK("42abab", ex_call("rpad", 3, S("42"), I(6), S("ab")));
    CHECK("a-b-c", ex_call("replace", 3, S("a, b, c"), S(", "), S("-")));
    CHECK("2", ex_call("strpos", 2, S("\xc3\xa9t\xc3\xa9"), S("t")));
    CHECK("0", ex_call("strpos", 2, S("abcd"), S("x")));
    CHECK("b", ex_call("split_part", 3, S("a,b,c"), S(","), I(2)));
    CHECK("c", ex_call("split_part", 3, S("a,b,c"), S(","), I(-1)));
    CHECK("", ex_call("split_part", 3, S("a,b,c"), S(","), I(7)));
    CHECK("ababab", ex_call("repeat", 2, S("ab"), I(3)));
    FAILS("54000", ex_call("repeat", 2, S("ab"), I(INT64_MAX)));
    CHECK("\xc3\xa9""cba", ex_call("reverse", 1, S("abc\xc3\xa9")));
    CHECK("ab", ex_call("concat", 3, S("a"), NUL(T_STRING), S("b")));
    CHECK("a/b", ex_call("concat_ws", 4, S("/"), S("a"), NUL(T_STRING), S("b")));
    CHECK("NULL", ex_call("||", 2, S("a"), NUL(T_STRING)));
    CHECK("12x", ex_call("translate", 3, S("abx-"), S("ab-"), S("12")));
    CHECK("Hello World", ex_call("initcap", 1, S("hELLO wORLD")));
}

static void test_patterns(void **state)
{
    static const struct { const char *s, *p, *want; } t[] = {
        {"abc", "abc", "true"}, {"abc", "ab%", "true"}, {"abc", "%bc", "true"}, {"abc", "%b%", "true"}, {"abc", "a_c", "true"},
        {"abc", "a%c%", "true"}, {"abc", "_%_%_%_", "false"}, {"abc", "%", "true"}, {"", "%", "true"}, {"", "_", "false"}, {"", "", "true"},
        {"a%c", "a\\%c", "true"}, {"abc", "a\\%c", "false"}, {"\xc3\xa9", "_", "true"}, {"aaaaaaab", "%a%a%a%b", "true"}, {"mississippi", "m%iss%ip_i", "true"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        CHECK(t[i].want, ex_call("like", 2, S(t[i].s), S(t[i].p)));
        CHECK(t[i].want, ex_call("like", 2, S(t[i].s), ex_call("||", 2, S(t[i].p), S("")))); /* not constant */
    }
    FAILS("22025", ex_call("like", 2, S("a\\"), S("a\\")));
    CHECK("true", ex_call("ilike", 2, S("\xc3\x89T\xc3\x89"), S("\xc3\xa9t%")));
    CHECK("true", ex_call("like", 3, S("a%"), S("a#%"), S("#")));
    CHECK("true", ex_call("regexp_matches", 2, S("abc123"), S("[0-9]+$")));
    CHECK("true", ex_call("~*", 2, S("ABC"), S("b")));
    CHECK("true", ex_call("!~", 2, S("ABC"), S("b")));
    CHECK("123", ex_call("regexp_extract", 2, S("abc123"), S("[0-9]+")));
    CHECK("12", ex_call("regexp_extract", 3, S("a12b"), S("a([0-9]+)"), I(1)));
    CHECK("<a><b>", ex_call("regexp_replace", 4, S("ab"), S("(.)"), S("<\\1>"), S("g")));
    CHECK("<a>b", ex_call("regexp_replace", 3, S("ab"), S("(.)"), S("<\\1>")));
    FAILS("2201B", ex_call("~", 2, S("a"), S("(")));
}

static const expr *date(const char *s) { return ex_cast(S(s), TYPE(T_DATE), false); }
static const expr *ts(const char *s) { return ex_cast(S(s), TYPE(T_TIMESTAMP), false); }

static void test_dates(void **state)
{
    CHECK("2024-03-01", ex_call("+", 2, date("2024-02-28"), I(2)));
    CHECK("366", ex_call("-", 2, date("2025-01-01"), date("2024-01-01")));
    CHECK("2024-02-01", ex_call("date_trunc", 2, S("month"), date("2024-02-28")));
    CHECK("1969-12-31 23:00:00", ex_call("date_trunc", 2, S("hour"), ts("1969-12-31 23:59:59.5")));
    CHECK("2024-02-26", ex_call("date_trunc", 2, S("week"), date("2024-02-28")));
    CHECK("2024", ex_call("year", 1, date("2024-02-28")));
    CHECK("59", ex_call("date_part", 2, S("second"), ts("1969-12-31 23:59:59.5")));
    CHECK("1", ex_call("date_part", 2, S("week"), date("2024-12-30")));
    CHECK("2025", ex_call("date_part", 2, S("isoyear"), date("2024-12-30")));
    CHECK("-1", ex_call("date_part", 2, S("epoch"), ts("1969-12-31 23:59:59")));
    CHECK("2024-02-29 00:00:00", ex_call("add_interval", 4, date("2024-01-31"), I(1), I(0), I(0)));
    CHECK("2023-12-31 12:00:00", ex_call("date_add", 3, ts("2024-01-01 00:00:00"), I(-12), S("hours")));
    CHECK("2", ex_call("date_diff", 3, S("month"), date("2024-01-31"), date("2024-03-01")));
    CHECK("2024-02-29", ex_call("make_date", 3, I(2024), I(2), I(29)));
    FAILS("22008", ex_call("make_date", 3, I(2023), I(2), I(29)));
    CHECK("29.02.2024 07", ex_call("strftime", 2, ts("2024-02-29 07:08:09"), S("%d.%m.%Y %H")));
    CHECK("2024-02 1", ex_call("to_char", 2, date("2024-02-29"), S("YYYY-MM Q")));
    FAILS("22023", ex_call("date_trunc", 2, S("fortnight"), date("2024-02-28")));
    CHECK("true", ex_call("<", 2, date("2024-01-01"), ts("2024-01-01 00:00:01")));
    CHECK("true", ex_call("=", 2, date("2024-01-01"), S("2024-01-01")));
    CHECK("bigint", ex_call("typeof", 1, I(1)));
}

/* ---- the registry ---- */

static void test_names(void **state)
{
    uint32_t n;
    const char *const *names = func_names(&n);
    for (uint32_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) >= 0)
            fail_msg("%s isn't before %s", names[i - 1], names[i]);
    const func *tables[] = {func_math_table, func_text_table, func_regexp_table, func_date_table, func_nested_table};
    enum { TABLES = sizeof tables / sizeof *tables };
    for (int k = 0; k < TABLES; k++)
        for (const func *f = tables[k]; f->name; f++) {
            bool there = !(f->name[0] >= 'a' && f->name[0] <= 'z');
            for (uint32_t i = 0; i < n && !there; i++)
                there = strcmp(names[i], f->name) == 0;
            if (!there)
                fail_msg("%s isn't in func_names", f->name);
        }
    for (uint32_t i = 0; i < n; i++) {
        bool there = strcmp(names[i], "greatest") == 0 || strcmp(names[i], "least") == 0 || strcmp(names[i], "nullif") == 0;
        for (int k = 0; k < TABLES && !there; k++)
            for (const func *f = tables[k]; f->name && !there; f++)
                there = strcmp(names[i], f->name) == 0;
        if (!there)
            fail_msg("there is no function %s", names[i]);
    }
}

static void test_unknown(void **state)
{
    func_match m;
    fz_error err = {0};
    type t[2] = {{.id = T_STRING}, {.id = T_BOOL}};
    assert_int_equal(func_resolve(STR("lenght"), 1, t, NULL, &m, &err), FZ_NOT_FOUND);
    assert_string_equal(err.sqlstate, "42883");
    assert_string_equal(err.hint, "did you mean length?");
    assert_int_equal(func_resolve(STR("+"), 2, t, NULL, &m, &err), FZ_NOT_FOUND);
    assert_int_equal(func_resolve(STR("="), 2, t, NULL, &m, &err), FZ_NOT_FOUND);
}

/* Dense kernels against the checked ones, around the ends of the range. */
static void test_kernels(void **state)
{
    static const int64_t ends[] = {0, 1, -1, 2, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, INT32_MAX, INT32_MIN, 3037000500, -3037000500};
    enum { N = sizeof ends / sizeof *ends };
    static const char *const ops[] = {"+", "-", "*"};
    for (int op = 0; op < 3; op++)
        for (int a = 0; a < N; a++)
            for (int b = 0; b < N; b++) {
                int64_t v;
                bool over = op == 0 ? __builtin_add_overflow(ends[a], ends[b], &v) : op == 1 ? __builtin_sub_overflow(ends[a], ends[b], &v) : __builtin_mul_overflow(ends[a], ends[b], &v);
                mem_table *t = mem_table_new(2, (type[]){{.id = T_INT64}, {.id = T_INT64}}, 70);
                t->plain = true;
                for (uint32_t i = 0; i < t->nrows; i++) {
                    CELL(t, i, 0).i64 = i == 65 ? ends[a] : 5;
                    CELL(t, i, 1).i64 = i == 65 ? ends[b] : (int64_t)i;
                }
                plan *p = pl_node(PLAN_PROJECT, pl_scan(t, NULL), NULL, schema_of(1, (type[]){{.id = T_INT64}}));
                const expr *e = ex_call(ops[op], 2, ex_col(0, TYPE(T_INT64)), ex_col(1, TYPE(T_INT64)));
                p->project.e = &e;
                rows got = {0};
                fz_error err = {0};
                pool *po = pool_create(NULL, 0);
                fz_status st = run_plan(p, po, false, 0, &got, &err);
                pool_destroy(po);
                assert_int_equal(st, over ? FZ_VALUE : FZ_OK);
                if (!over)
                    assert_int_equal(strtoll(got.row[65], NULL, 10), v);
                rows_free(&got);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_decimals), cmocka_unit_test(test_floats), cmocka_unit_test(test_casts),
        cmocka_unit_test(test_logic), cmocka_unit_test(test_texts), cmocka_unit_test(test_patterns), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_names), cmocka_unit_test(test_unknown), cmocka_unit_test(test_kernels),
    };
    arena_init(&test_arena, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&test_arena);
    return failed;
}
