/* parse_primary.c: literals, names, calls and the forms that have a syntax of their own (CASE, CAST, EXTRACT, TRIM, …). */
#include "sql/parser_int.h"

#include "base/numtext.h"

/* ---- literals ---- */

fz_status expr_literal(parser *p, sql_pos pos, datum d, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_LITERAL, pos);
    if (!e)
        return FZ_NOMEM;
    e->value = d;
    return expr_done(p, e, 0, NULL, out);
}

static fz_status literal_string(parser *p, sql_pos pos, str s, const ast_expr **out)
{
    return expr_literal(p, pos, (datum){.t = TYPE(T_STRING), .s = s}, out);
}

/* Digits with an optional point as a decimal; false: more than 38 digits. */
static bool decimal_literal(str s, bool negative, datum *out)
{
    u128 v = 0;
    unsigned digits = 0, scale = 0;
    bool point = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        if (digits || s.p[i] != '0')
            digits++;
        scale += point;
        if (digits > 38 || scale > 38)
            return false;
        v = v * 10 + (unsigned)(s.p[i] - '0');
    }
    unsigned precision = digits > scale ? digits : scale;
    if (precision == 0)
        precision = 1;
    *out = (datum){.t = TYPE_DECIMAL((uint8_t)precision, (uint8_t)scale)};
    if (precision <= 18)
        out->i64 = negative ? -(int64_t)v : (int64_t)v;
    else
        out->i128v = negative ? -(i128)v : (i128)v;
    return true;
}

static bool hex_literal(str s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned c = (unsigned char)s.p[i];
        unsigned d = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        if (v >> 60)
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return v <= INT64_MAX;
}

fz_status parse_number(parser *p, bool negative, const ast_expr **out)
{
    token t = p->tok;
    datum d = {0};
    uint64_t hex;
    if (t.kind == TK_HEX) {
        if (!hex_literal(t.text, &hex))
            return parse_fail(p, &t, "this number doesn't fit into bigint");
        int64_t v = negative ? -(int64_t)hex : (int64_t)hex;
        d = v >= INT32_MIN && v <= INT32_MAX ? (datum){.t = TYPE(T_INT32), .i32 = (int32_t)v} : (datum){.t = TYPE(T_INT64), .i64 = v};
    } else if (t.kind == TK_FLOAT || !decimal_literal(t.text, negative, &d)) {
        d.t = TYPE(T_FLOAT64);
        if (!str_to_f64(t.text, &d.f64))
            return parse_fail(p, &t, "\"" STR_FMT "\" isn't a number", STR_ARG(t.text));
        if (negative)
            d.f64 = -d.f64;
    } else if (t.kind == TK_INTEGER) {
        i128 v = d.t.precision <= 18 ? (i128)d.i64 : d.i128v;
        if (v >= INT32_MIN && v <= INT32_MAX)
            d = (datum){.t = TYPE(T_INT32), .i32 = (int32_t)v};
        else if (v >= INT64_MIN && v <= INT64_MAX)
            d = (datum){.t = TYPE(T_INT64), .i64 = (int64_t)v};
    }
    TRY(parse_advance(p));
    return expr_literal(p, t.pos, d, out);
}

static fz_status parse_param(parser *p, const ast_expr **out)
{
    token t = p->tok;
    int64_t n;
    if (t.text.n ? p->anonymous_params : p->numbered_params)
        return parse_fail(p, &t, "a statement's parameters are either all ? or all numbered ($1, …)");
    if (t.text.n) {
        p->numbered_params = true;
        if (!str_to_i64(t.text, &n) || n < 1 || n > 65535)
            return parse_fail(p, &t, "parameters are numbered from $1 to $65535");
    } else {
        p->anonymous_params = true;
        n = (int64_t)p->n_params + 1;
        if (n > 65535)
            return parse_fail(p, &t, "a statement has at most 65535 parameters");
    }
    if ((uint32_t)n > p->n_params)
        p->n_params = (uint32_t)n;
    ast_expr *e = expr_new(p, AX_PARAM, t.pos);
    if (!e)
        return FZ_NOMEM;
    e->param = (uint32_t)n - 1;
    TRY(parse_advance(p));
    return expr_done(p, e, 0, NULL, out);
}

/* ---- intervals ---- */

static const struct unit { const char *word; int64_t months, days, micros; } units[] = {
    {"year", 12, 0, 0}, {"quarter", 3, 0, 0}, {"month", 1, 0, 0}, {"mon", 1, 0, 0}, {"week", 0, 7, 0}, {"day", 0, 1, 0},
    {"hour", 0, 0, 3600000000}, {"minute", 0, 0, 60000000}, {"min", 0, 0, 60000000}, {"second", 0, 0, 1000000},
    {"sec", 0, 0, 1000000}, {"millisecond", 0, 0, 1000}, {"microsecond", 0, 0, 1}, {"decade", 120, 0, 0}, {"century", 1200, 0, 0},
    {"y", 12, 0, 0}, {"d", 0, 1, 0}, {"h", 0, 0, 3600000000}, {"m", 0, 0, 60000000}, {"s", 0, 0, 1000000}, {"ms", 0, 0, 1000},
    {"us", 0, 0, 1}, {"w", 0, 7, 0},
};

static const struct unit *unit_find(str w)
{
    str singular = w.n > 2 && (w.p[w.n - 1] | 0x20) == 's' ? (str){w.p, w.n - 1} : w;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (str_ieq(w, str_of(units[i].word)) || str_ieq(singular, str_of(units[i].word)))
            return &units[i];
    return NULL;
}

/* Adds number × unit; digits behind a point count only for units below a day. False: overflow or malformed. */
static bool interval_add(ast_expr *e, str number, const struct unit *u)
{
    size_t dot = 0;
    while (dot < number.n && number.p[dot] != '.')
        dot++;
    bool negative = number.n && number.p[0] == '-';
    int64_t whole = 0, part = 0, scale = 1, v;
    str head = {number.p, dot};
    if (!(dot == 0 || (dot == 1 && (number.p[0] == '-' || number.p[0] == '+'))) && !str_to_i64(head, &whole))
        return false;
    for (size_t i = dot + 1; i < number.n; i++) {
        if (number.p[i] < '0' || number.p[i] > '9')
            return false;
        if (scale < 1000000) {
            part = part * 10 + (number.p[i] - '0');
            scale *= 10;
        }
    }
    if (part && !u->micros)
        return false;
    if (__builtin_mul_overflow(whole, u->months, &v) || __builtin_add_overflow(e->interval.months, v, &e->interval.months))
        return false;
    if (__builtin_mul_overflow(whole, u->days, &v) || __builtin_add_overflow(e->interval.days, v, &e->interval.days))
        return false;
    if (__builtin_mul_overflow(whole, u->micros, &v) || __builtin_add_overflow(e->interval.micros, v, &e->interval.micros))
        return false;
    int64_t fraction = (int64_t)((i128)part * u->micros / scale);
    return !__builtin_add_overflow(e->interval.micros, negative ? -fraction : fraction, &e->interval.micros);
}

/* [-]hh:mm[:ss[.ffffff]] */
static bool interval_clock(ast_expr *e, str s)
{
    static const struct unit hms[3] = {{"", 0, 0, 3600000000}, {"", 0, 0, 60000000}, {"", 0, 0, 1000000}};
    bool negative = s.n && s.p[0] == '-';
    if (negative || (s.n && s.p[0] == '+'))
        s = (str){s.p + 1, s.n - 1};
    ast_expr sum = {0};
    size_t from = 0;
    for (int k = 0; k < 3 && from <= s.n; k++) {
        size_t to = from;
        while (to < s.n && s.p[to] != ':')
            to++;
        if (to == from || !interval_add(&sum, (str){s.p + from, to - from}, &hms[k]))
            return false;
        from = to + 1;
    }
    if (from <= s.n)
        return false;
    return !__builtin_add_overflow(e->interval.micros, negative ? -sum.interval.micros : sum.interval.micros, &e->interval.micros);
}

static bool interval_text(ast_expr *e, str s)
{
    size_t i = 0;
    bool any = false;
    while (true) {
        while (i < s.n && (s.p[i] == ' ' || s.p[i] == ','))
            i++;
        if (i == s.n)
            return any;
        size_t from = i;
        while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' || s.p[i] == '+' || s.p[i] == '.' || s.p[i] == ':'))
            i++;
        str number = {s.p + from, i - from};
        any = true;
        if (memchr(number.p, ':', number.n)) {
            if (!interval_clock(e, number))
                return false;
            continue;
        }
        while (i < s.n && s.p[i] == ' ')
            i++;
        size_t word = i;
        while (i < s.n && ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z'))
            i++;
        const struct unit *u = unit_find((str){s.p + word, i - word});
        if (!number.n || !u || !interval_add(e, number, u))
            return false;
    }
}

/* INTERVAL '1 day 02:00' | INTERVAL '3' MONTH | INTERVAL 3 MONTH */
static fz_status parse_interval(parser *p, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_INTERVAL, p->tok.pos);
    if (!e)
        return FZ_NOMEM;
    TRY(parse_advance(p));
    token minus = p->tok, t;
    bool negative, ok;
    TRY(take_op(p, "-", &negative));
    t = p->tok;
    if (negative && t.kind != TK_INTEGER && t.kind != TK_DECIMAL)
        return parse_expected(p, "a number");
    (void)minus;
    TRY(parse_advance(p));
    const struct unit *u = p->tok.kind == TK_WORD ? unit_find(p->tok.text) : NULL;
    if (u) {
        str number = str_trim(t.text);
        ok = interval_add(e, number, u);
        TRY(parse_advance(p));
        if (at_word(p, "to"))
            return parse_unsupported(p, p->tok.pos, "INTERVAL … TO … is");
    } else if (t.kind == TK_STRING) {
        ok = interval_text(e, t.text);
    } else {
        return parse_expected(p, "a unit such as DAY or MONTH");
    }
    if (!ok) {
        parse_fail(p, &t, "'" STR_FMT "' isn't an interval", (int)(t.text.n > 60 ? 60 : t.text.n), t.text.p);
        error_hint(p->err, "write it as '1 year 2 months 3 days 04:05:06'");
        return FZ_SYNTAX;
    }
    if (negative) {
        e->interval.months = -e->interval.months;
        e->interval.days = -e->interval.days;
        e->interval.micros = -e->interval.micros;
    }
    return expr_done(p, e, 0, NULL, out);
}

/* ---- forms with words inside ---- */

static fz_status parse_case(parser *p, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_CASE, p->tok.pos);
    if (!e)
        return FZ_NOMEM;
    uint32_t n = 0, cap = 0;
    const ast_expr **args = NULL, *x;
    TRY(parse_advance(p));
    if (!at_word(p, "when")) {
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        e->has_operand = true;
    }
    TRY(need_word(p, "when"));
    bool more;
    do {
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(need_word(p, "then"));
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(take_word(p, "when", &more));
    } while (more);
    TRY(take_word(p, "else", &e->has_else));
    if (e->has_else) {
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
    }
    if (!at_word(p, "end"))
        return parse_expected(p, e->has_else ? "END" : "WHEN, ELSE or END");
    TRY(parse_advance(p));
    return expr_done(p, e, n, args, out);
}

static fz_status parse_cast(parser *p, bool try, const ast_expr **out)
{
    ast_expr *e = expr_new(p, try ? AX_TRY_CAST : AX_CAST, p->tok.pos);
    if (!e)
        return FZ_NOMEM;
    const ast_expr *arg;
    TRY(parse_advance(p));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    TRY(parse_expr(p, &arg));
    TRY(need_word(p, "as"));
    TRY(parse_type_name(p, &e->t));
    TRY(need_close(p, open));
    return expr_done(p, e, 1, &arg, out);
}

/* extract(field FROM x) */
static fz_status parse_extract(parser *p, sql_pos pos, sql_pos open, const ast_expr **out)
{
    const ast_expr *args[2];
    if (p->tok.kind != TK_WORD && p->tok.kind != TK_STRING && p->tok.kind != TK_QUOTED)
        return parse_expected(p, "a field such as YEAR");
    char *field = arena_strndup(p->a, p->tok.text.p, p->tok.text.n);
    if (!field)
        return error_nomem(p->err);
    for (size_t i = 0; i < p->tok.text.n; i++)
        if (field[i] >= 'A' && field[i] <= 'Z')
            field[i] |= 0x20;
    TRY(literal_string(p, p->tok.pos, (str){field, p->tok.text.n}, &args[0]));
    TRY(parse_advance(p));
    TRY(need_word(p, "from"));
    TRY(parse_expr(p, &args[1]));
    TRY(need_close(p, open));
    return expr_call(p, "date_part", pos, 2, args, out);
}

/* substring(x [FROM a] [FOR b]) or with commas */
static fz_status parse_substring(parser *p, sql_pos pos, sql_pos open, const ast_expr **out)
{
    const ast_expr *args[3] = {0};
    uint32_t n = 1;
    bool comma, from, count;
    TRY(parse_expr(p, &args[0]));
    TRY(take_op(p, ",", &comma));
    TRY(take_word(p, "from", &from));
    if (comma || from) {
        TRY(parse_expr(p, &args[n++]));
        TRY(take_op(p, ",", &comma));
        TRY(take_word(p, "for", &count));
        if (comma || count)
            TRY(parse_expr(p, &args[n++]));
    } else if (at_word(p, "for")) {
        TRY(expr_literal(p, pos, (datum){.t = TYPE(T_INT32), .i32 = 1}, &args[n++]));
        TRY(parse_advance(p));
        TRY(parse_expr(p, &args[n++]));
    }
    TRY(need_close(p, open));
    return expr_call(p, "substring", pos, n, args, out);
}

/* trim([BOTH | LEADING | TRAILING] [characters] FROM x), trim(x [, characters]) */
static fz_status parse_trim(parser *p, sql_pos pos, sql_pos open, const ast_expr **out)
{
    const ast_expr *args[2] = {0};
    const char *fn = "trim";
    bool side = true, from, comma;
    if (at_word(p, "leading"))
        fn = "ltrim";
    else if (at_word(p, "trailing"))
        fn = "rtrim";
    else
        side = at_word(p, "both");
    if (side)
        TRY(parse_advance(p));
    uint32_t n = 1;
    TRY(take_word(p, "from", &from));
    TRY(parse_expr(p, &args[0]));
    if (!from) {
        TRY(take_word(p, "from", &from));
        if (from) {
            args[1] = args[0];
            TRY(parse_expr(p, &args[0]));
            n = 2;
        }
    }
    TRY(take_op(p, ",", &comma));
    if (comma && n == 1)
        TRY(parse_expr(p, &args[n++]));
    TRY(need_close(p, open));
    return expr_call(p, fn, pos, n, args, out);
}

/* position(a IN b), which is strpos(b, a) */
static fz_status parse_position(parser *p, sql_pos pos, sql_pos open, const ast_expr **out)
{
    const ast_expr *args[2];
    TRY(parse_enter(p, 1));
    TRY(parse_unary(p, &args[1])); /* not a full expression: IN follows */
    parse_leave(p, 1);
    bool in;
    TRY(take_word(p, "in", &in));
    if (!in)
        TRY(need_op(p, ","));
    TRY(parse_expr(p, &args[0]));
    TRY(need_close(p, open));
    return expr_call(p, "strpos", pos, 2, args, out);
}

/* ---- nested values ---- */

/* A call that has no word of its own: the column is called what was written. */
static fz_status nested_call(parser *p, const char *fn, sql_pos pos, uint32_t n, const ast_expr *const *args, const ast_expr **out)
{
    TRY(expr_call(p, fn, pos, n, args, out));
    ((ast_expr *)*out)->call.written = (sql_ident){0};
    return FZ_OK;
}

/* [a, b, …] */
static fz_status parse_list_literal(parser *p, sql_pos pos, const ast_expr **out)
{
    uint32_t n = 0, cap = 0;
    const ast_expr **args = NULL, *x;
    bool comma = true;
    TRY(need_op(p, "["));
    while (comma && !at_op(p, "]")) {
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(take_op(p, ",", &comma));
    }
    TRY(need_op(p, "]"));
    return nested_call(p, "list_value", pos, n, args, out);
}

static fz_status parse_field_name(parser *p, const ast_expr **out)
{
    token t = p->tok;
    sql_ident id;
    if (t.kind == TK_STRING)
        TRY(parse_advance(p));
    else {
        TRY(need_ident(p, "a field's name", &id));
        t.text = id.name;
    }
    return literal_string(p, t.pos, t.text, out);
}

/* {'a': x, b: y} of a struct, map {k: v, …}: names or keys, and values, in turns. */
static fz_status parse_braces(parser *p, sql_pos pos, bool map, const ast_expr **out)
{
    uint32_t n = 0, cap = 0;
    const ast_expr **args = NULL, *x;
    bool comma = true;
    TRY(need_op(p, "{"));
    while (comma && !at_op(p, "}")) {
        if (map)
            TRY(parse_expr(p, &x));
        else
            TRY(parse_field_name(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(need_op(p, ":"));
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(take_op(p, ",", &comma));
    }
    TRY(need_op(p, "}"));
    return nested_call(p, map ? "map_value" : "named_struct", pos, n, args, out);
}

/* struct_pack(a := x, b := y), from behind the parenthesis on */
static fz_status parse_struct_pack(parser *p, sql_pos pos, sql_pos open, const ast_expr **out)
{
    uint32_t n = 0, cap = 0;
    const ast_expr **args = NULL, *x;
    bool comma, took;
    do {
        TRY(parse_field_name(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(take_op(p, ":=", &took));
        if (!took)
            TRY(need_op(p, "=>"));
        TRY(parse_expr(p, &x));
        LIST_PUSH(p, args, n, cap, x);
        TRY(take_op(p, ",", &comma));
    } while (comma);
    TRY(need_close(p, open));
    return expr_call(p, "named_struct", pos, n, args, out);
}

/* ---- calls ---- */

static fz_status parse_call_tail(parser *p, ast_expr *e)
{
    if (at_word(p, "filter") && ahead_op(p, "(")) {
        TRY(parse_advance(p));
        sql_pos open = p->tok.pos;
        TRY(need_op(p, "("));
        TRY(need_word(p, "where"));
        TRY(parse_expr(p, &e->call.filter));
        TRY(need_close(p, open));
    }
    if (at_word(p, "over"))
        return parse_unsupported(p, p->tok.pos, "window functions (OVER) are");
    if (at_word(p, "within") && ahead_word(p, "group"))
        return parse_unsupported(p, p->tok.pos, "WITHIN GROUP is");
    if (at_word(p, "ignore") && ahead_word(p, "nulls"))
        return parse_unsupported(p, p->tok.pos, "IGNORE NULLS is");
    return FZ_OK;
}

/* The arguments of an ordinary call, from behind the parenthesis on. */
static fz_status parse_call_of(parser *p, sql_ident name, str fn, sql_pos open, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_CALL, name.pos);
    if (!e)
        return FZ_NOMEM;
    e->call.fn = fn;
    e->call.written = name;
    uint32_t n = 0;
    const ast_expr **args = NULL;
    bool all;
    if (at_op(p, "*")) {
        e->star = true;
        TRY(parse_advance(p));
    } else if (!at_op(p, ")")) {
        TRY(take_word(p, "distinct", &e->distinct));
        if (!e->distinct && at_word(p, "all") && !ahead_op(p, ")"))
            TRY(take_word(p, "all", &all));
        TRY(parse_expr_list(p, &n, &args));
        if (at_word(p, "order") && ahead_word(p, "by"))
            return parse_unsupported(p, p->tok.pos, "ORDER BY inside of an aggregate is");
        if (at_op(p, "=>") || at_op(p, ":="))
            return parse_fail(p, &p->tok, "named arguments are taken by table functions only");
    }
    TRY(need_close(p, open));
    TRY(parse_call_tail(p, e));
    return expr_done(p, e, n, args, out);
}

/* A function's name in lower case; a quoted one stays as it is. */
static fz_status function_name(parser *p, const sql_ident *id, str *out)
{
    char *s = arena_strndup(p->a, id->name.p, id->name.n);
    if (!s)
        return error_nomem(p->err);
    for (size_t i = 0; !id->quoted && i < id->name.n; i++)
        if (s[i] >= 'A' && s[i] <= 'Z')
            s[i] |= 0x20;
    *out = (str){s, id->name.n};
    return FZ_OK;
}

static fz_status parse_function(parser *p, const ast_expr **out)
{
    sql_ident name;
    str fn;
    TRY(need_ident(p, "a function", &name));
    TRY(function_name(p, &name, &fn));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    static const struct { const char *word; fz_status (*parse)(parser *, sql_pos, sql_pos, const ast_expr **); } forms[] = {
        {"extract", parse_extract}, {"substring", parse_substring}, {"substr", parse_substring}, {"trim", parse_trim},
        {"position", parse_position}, {"struct_pack", parse_struct_pack},
    };
    static const char *const refused[] = {"overlay", "grouping", "columns"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && !name.quoted && !at_op(p, ")"); i++)
        if (str_eqz(fn, forms[i].word)) {
            TRY(forms[i].parse(p, name.pos, open, out));
            ((ast_expr *)*out)->call.written = name; /* the result's column is called what was written */
            return FZ_OK;
        }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0] && !name.quoted; i++)
        if (str_eqz(fn, refused[i]))
            return parse_unsupported(p, name.pos, STR_FMT "() is", STR_ARG(fn));
    return parse_call_of(p, name, fn, open, out);
}

/* ---- names ---- */

/* EXCLUDE (a, b) and REPLACE (e AS a, …) behind a star. */
fz_status parse_star_modifiers(parser *p, ast_expr *e)
{
    if ((at_word(p, "exclude") || at_word(p, "except")) && (at_word(p, "exclude") || ahead_op(p, "("))) {
        TRY(parse_advance(p));
        if (at_op(p, "(")) {
            TRY(need_ident_list(p, "a column", &e->n_exclude, &e->exclude));
        } else {
            sql_ident *one = ARENA_NEW(p->a, sql_ident);
            if (!one)
                return error_nomem(p->err);
            TRY(need_ident(p, "a column", one));
            e->exclude = one;
            e->n_exclude = 1;
        }
    }
    if (!at_word(p, "replace"))
        return FZ_OK;
    TRY(parse_advance(p));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    uint32_t cap = 0;
    ast_replace *list = NULL;
    bool comma;
    do {
        ast_replace r;
        TRY(parse_expr(p, &r.e));
        TRY(need_word(p, "as"));
        TRY(need_ident(p, "the column to replace", &r.as));
        LIST_PUSH(p, list, e->n_replace, cap, r);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_op(p, ")"));
    e->replace = list;
    return need_close(p, open);
}

/* a, a.b, a.b.c, a.* */
static fz_status parse_column(parser *p, const ast_expr **out)
{
    uint32_t n = 0, cap = 0;
    sql_ident *parts = NULL;
    sql_pos pos = p->tok.pos;
    bool dot = false, star = false;
    do {
        if (n && at_op(p, "*")) {
            TRY(parse_advance(p));
            star = true;
            break;
        }
        sql_ident id;
        TRY(need_ident(p, n ? "a name after \".\"" : "a column", &id));
        LIST_PUSH(p, parts, n, cap, id);
        if (n > 16)
            return parse_fail(p, &p->tok, "a name has at most 16 parts");
        TRY(take_op(p, ".", &dot));
    } while (dot);
    if (!star && n > 1 && at_op(p, "(")) {
        /* schema.function(): only the standard schema's are there */
        if (n == 2 && (str_ieq(parts[0].name, STR("pg_catalog")) || str_ieq(parts[0].name, STR("system")))) {
            str fn;
            sql_pos open = p->tok.pos;
            TRY(function_name(p, &parts[1], &fn));
            TRY(parse_advance(p));
            return parse_call_of(p, parts[1], fn, open, out);
        }
        return parse_unsupported(p, pos, "a function in a schema is");
    }
    ast_expr *e = expr_new(p, star ? AX_STAR : AX_NAME, pos);
    if (!e)
        return FZ_NOMEM;
    e->name = (sql_name){n, parts};
    if (star)
        TRY(parse_star_modifiers(p, e));
    return expr_done(p, e, 0, NULL, out);
}

/* Words that stand for a call without parentheses. */
static const char *bare_function(const parser *p)
{
    static const char *const words[][2] = {
        {"current_date", "current_date"}, {"current_timestamp", "now"}, {"localtimestamp", "localtimestamp"},
        {"current_time", "current_time"}, {"localtime", "localtime"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (at_word(p, words[i][0]))
            return words[i][1];
    return NULL;
}

/* date '…', timestamp with time zone '…', numeric(9,2) '…' */
static fz_status parse_typed_literal(parser *p, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_CAST, p->tok.pos);
    const ast_expr *s;
    str text;
    if (!e)
        return FZ_NOMEM;
    TRY(parse_type_name(p, &e->t));
    sql_pos pos = p->tok.pos;
    TRY(need_string(p, "a text in quotes", &text));
    TRY(literal_string(p, pos, text, &s));
    return expr_done(p, e, 1, &s, out);
}

static bool at_typed_literal(parser *p)
{
    const token *t;
    fz_error *err = p->err;
    if (p->tok.kind != TK_WORD || !type_word(p->tok.text))
        return false;
    p->err = NULL;
    bool ok = parse_peek(p, &t) == FZ_OK;
    p->err = err;
    if (!ok)
        return false;
    return t->kind == TK_STRING || ((word_is(t, "with") || word_is(t, "without")) && (at_word(p, "timestamp") || at_word(p, "time"))) ||
           (word_is(t, "precision") && at_word(p, "double"));
}

static fz_status parse_word(parser *p, const ast_expr **out)
{
    if (ahead_op(p, ".") || p->tok.kind == TK_QUOTED)
        return ahead_op(p, "(") ? parse_function(p, out) : parse_column(p, out);
    if (at_word(p, "null") || at_word(p, "true") || at_word(p, "false")) {
        datum d = {.t = TYPE(T_BOOL), .b = at_word(p, "true")};
        if (at_word(p, "null"))
            d = DATUM_NULL(TYPE(T_NULL));
        sql_pos pos = p->tok.pos;
        TRY(parse_advance(p));
        return expr_literal(p, pos, d, out);
    }
    if (at_word(p, "case"))
        return parse_case(p, out);
    if (at_word(p, "cast") && ahead_op(p, "("))
        return parse_cast(p, false, out);
    if (at_word(p, "try_cast") && ahead_op(p, "("))
        return parse_cast(p, true, out);
    if (at_word(p, "array") && ahead_op(p, "[")) {
        sql_pos pos = p->tok.pos;
        TRY(parse_advance(p));
        return parse_list_literal(p, pos, out);
    }
    if (at_word(p, "map") && ahead_op(p, "{")) {
        sql_pos pos = p->tok.pos;
        TRY(parse_advance(p));
        return parse_braces(p, pos, true, out);
    }
    if (at_word(p, "interval") && !ahead_op(p, "(") && !ahead_op(p, ",") && !ahead_op(p, ")") && !at_list_end(p)) {
        const token *t = NULL;
        TRY(parse_peek(p, &t));
        if (t->kind == TK_STRING || t->kind == TK_INTEGER || t->kind == TK_DECIMAL || (t->kind == TK_OP && str_eqz(t->text, "-")))
            return parse_interval(p, out);
    }
    if (at_typed_literal(p))
        return parse_typed_literal(p, out);
    const char *bare = bare_function(p);
    if (bare && !ahead_op(p, "(")) {
        sql_pos pos = p->tok.pos;
        sql_ident written = {p->tok.text, false, pos};
        TRY(parse_advance(p));
        TRY(expr_call(p, bare, pos, 0, NULL, out));
        ((ast_expr *)*out)->call.written = written;
        return FZ_OK;
    }
    if (ahead_op(p, "(") && (!(word_flags(p->tok.text) & WORD_STRUCTURAL) || at_word(p, "left") || at_word(p, "right")))
        return parse_function(p, out);
    if (word_flags(p->tok.text) & WORD_STRUCTURAL || ((at_word(p, "order") || at_word(p, "group")) && ahead_word(p, "by")))
        return parse_expected(p, "an expression");
    return parse_column(p, out);
}

static fz_status parse_parenthesis(parser *p, const ast_expr **out)
{
    sql_pos open = p->tok.pos;
    TRY(parse_advance(p));
    if (at_query(p) && !at_op(p, "(")) { /* ((SELECT 1) + 2) begins with two */
        ast_expr *e = expr_new(p, AX_SCALAR, open);
        if (!e)
            return FZ_NOMEM;
        TRY(parse_query(p, &e->query));
        TRY(need_close(p, open));
        return expr_done(p, e, 0, NULL, out);
    }
    TRY(parse_expr(p, out));
    if (at_op(p, ","))
        return parse_unsupported(p, open, "row values (a, b) are");
    return need_close(p, open);
}

fz_status parse_primary(parser *p, const ast_expr **out)
{
    token t = p->tok;
    switch (t.kind) {
    case TK_INTEGER: case TK_DECIMAL: case TK_FLOAT: case TK_HEX:
        return parse_number(p, false, out);
    case TK_STRING:
        TRY(parse_advance(p));
        return literal_string(p, t.pos, t.text, out);
    case TK_BYTES:
        TRY(parse_advance(p));
        return expr_literal(p, t.pos, (datum){.t = TYPE(T_BINARY), .s = t.text}, out);
    case TK_PARAM:
        return parse_param(p, out);
    case TK_WORD:
        if (at_word(p, "exists") && ahead_op(p, "(")) {
            TRY(parse_advance(p));
            sql_pos open = p->tok.pos;
            ast_expr *e = expr_new(p, AX_EXISTS, t.pos);
            if (!e)
                return FZ_NOMEM;
            TRY(parse_advance(p));
            if (!at_query(p))
                return parse_expected(p, "a query");
            TRY(parse_query(p, &e->query));
            TRY(need_close(p, open));
            return expr_done(p, e, 0, NULL, out);
        }
        return parse_word(p, out);
    case TK_QUOTED:
        return parse_word(p, out);
    default:
        if (at_op(p, "("))
            return parse_parenthesis(p, out);
        if (at_op(p, "["))
            return parse_list_literal(p, t.pos, out);
        if (at_op(p, "{"))
            return parse_braces(p, t.pos, false, out);
        if (at_op(p, "*"))
            return parse_fail(p, &t, "* can only stand for columns in a select list or in count(*)");
        return parse_expected(p, "an expression");
    }
}
