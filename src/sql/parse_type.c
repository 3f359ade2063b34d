/* parse_type.c: names of types, with the aliases of the dialects around. */
#include "sql/parser_int.h"

/* What follows the name. */
enum { PLAIN, LENGTH, PRECISION_SCALE, TIME_ZONE, FLOAT_BITS, WIDTH };

static const struct type_entry { const char *word; type_id id; uint8_t form; } type_entries[] = {
    {"bigint", T_INT64, PLAIN}, {"int8", T_INT64, PLAIN}, {"long", T_INT64, PLAIN},
    {"int", T_INT32, PLAIN}, {"integer", T_INT32, PLAIN}, {"int4", T_INT32, PLAIN},
    {"real", T_FLOAT32, PLAIN}, {"float4", T_FLOAT32, PLAIN},
    {"double", T_FLOAT64, PLAIN}, {"float8", T_FLOAT64, PLAIN}, {"float", T_FLOAT64, FLOAT_BITS},
    {"decimal", T_DECIMAL, PRECISION_SCALE}, {"numeric", T_DECIMAL, PRECISION_SCALE}, {"dec", T_DECIMAL, PRECISION_SCALE},
    {"boolean", T_BOOL, PLAIN}, {"bool", T_BOOL, PLAIN},
    {"date", T_DATE, PLAIN}, {"time", T_TIME, TIME_ZONE},
    {"timestamp", T_TIMESTAMP, TIME_ZONE}, {"datetime", T_TIMESTAMP, PLAIN}, {"timestamp_ntz", T_TIMESTAMP, PLAIN},
    {"timestamptz", T_TIMESTAMPTZ, TIME_ZONE}, {"timestamp_ltz", T_TIMESTAMPTZ, PLAIN},
    {"varchar", T_STRING, LENGTH}, {"text", T_STRING, PLAIN}, {"string", T_STRING, PLAIN}, {"char", T_STRING, LENGTH},
    {"character", T_STRING, LENGTH}, {"bpchar", T_STRING, LENGTH}, {"nvarchar", T_STRING, LENGTH},
    {"bytea", T_BINARY, PLAIN}, {"binary", T_BINARY, LENGTH}, {"varbinary", T_BINARY, LENGTH}, {"blob", T_BINARY, PLAIN},
    {"bytes", T_BINARY, PLAIN},
    {"uuid", T_UUID, PLAIN}, {"fixed", T_FIXED, WIDTH},
};

static const char *const small_integers[] = {"smallint", "int2", "tinyint", "short", "byte"};
static const char *const unsupported_types[] = {
    "struct", "map", "list", "array", "row", "interval", "json", "jsonb", "timetz", "hugeint", "uhugeint", "ubigint", "uinteger",
    "usmallint", "utinyint", "money", "bit", "varbit", "serial", "bigserial", "xml", "inet", "cidr", "geometry", "geography",
    "variant", "enum", "union", "timestamp_ns", "timestamptz_ns", "unknown", "oid", "hstore", "point",
};

static bool word_in(const token *t, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word_is(t, words[i]))
            return true;
    return false;
}
#define WORD_IN(t, list) word_in((t), (list), sizeof (list) / sizeof (list)[0])

static const struct type_entry *type_find(const token *t)
{
    for (size_t i = 0; i < sizeof type_entries / sizeof type_entries[0]; i++)
        if (word_is(t, type_entries[i].word))
            return &type_entries[i];
    return NULL;
}

bool type_word(str w)
{
    token t = {.kind = TK_WORD, .text = w};
    return type_find(&t) || WORD_IN(&t, small_integers);
}

/* The error for a word that names no type. */
static fz_status type_unknown(parser *p)
{
    token t = p->tok;
    if (t.kind != TK_WORD && t.kind != TK_QUOTED)
        return parse_expected(p, "a type");
    if (WORD_IN(&t, unsupported_types))
        return parse_unsupported(p, t.pos, "type " STR_FMT " is", STR_ARG(t.text));
    error_sql(p->err, FZ_NOT_FOUND, "42704", "there is no type \"" STR_FMT "\"", STR_ARG(t.text));
    error_line(p->err, t.pos.line, t.pos.column);
    const char *best = NULL;
    unsigned near = 3;
    for (size_t i = 0; i < sizeof type_entries / sizeof type_entries[0]; i++) {
        unsigned d = str_distance(t.text, str_of(type_entries[i].word), near - 1);
        if (d < near) {
            near = d;
            best = type_entries[i].word;
        }
    }
    if (best)
        error_hint(p->err, "did you mean %s?", best);
    return FZ_NOT_FOUND;
}

/* [(length)] that is read and dropped. */
static fz_status parse_length(parser *p, str word)
{
    bool open;
    sql_pos at = p->tok.pos;
    TRY(take_op(p, "(", &open));
    if (!open)
        return FZ_OK;
    int64_t n;
    bool max;
    TRY(take_word(p, "max", &max));
    if (!max)
        TRY(need_integer(p, "a length", 1, INT32_MAX, &n));
    TRY(need_close(p, at));
    return parse_notice(p, STR_FMT "(n) keeps no length: any length is stored", STR_ARG(word));
}

static fz_status parse_precision_scale(parser *p, type *out)
{
    bool open, comma;
    int64_t precision = 38, scale = 9;
    sql_pos at = p->tok.pos;
    TRY(take_op(p, "(", &open));
    if (open) {
        scale = 0;
        TRY(need_integer(p, "a decimal's precision", 1, 38, &precision));
        TRY(take_op(p, ",", &comma));
        if (comma)
            TRY(need_integer(p, "a decimal's scale", 0, precision, &scale));
        TRY(need_close(p, at));
    }
    *out = TYPE_DECIMAL((uint8_t)precision, (uint8_t)scale);
    return FZ_OK;
}

/* [(p)] [WITH | WITHOUT TIME ZONE] */
static fz_status parse_time_zone(parser *p, type *out)
{
    bool open, with, without;
    sql_pos at = p->tok.pos;
    TRY(take_op(p, "(", &open));
    if (open) {
        int64_t digits;
        TRY(need_integer(p, "a precision", 0, 9, &digits));
        TRY(need_close(p, at));
        if (digits != 6)
            TRY(parse_notice(p, "times and timestamps have a precision of microseconds"));
    }
    with = at_word(p, "with") && ahead_word(p, "time");
    without = at_word(p, "without") && ahead_word(p, "time");
    if (!with && !without)
        return FZ_OK;
    at = p->tok.pos;
    TRY(parse_advance(p));
    TRY(need_word(p, "time"));
    TRY(need_word(p, "zone"));
    if (with && out->id == T_TIME)
        return parse_unsupported(p, at, "time with time zone is");
    if (out->id != T_TIME)
        *out = TYPE(with ? T_TIMESTAMPTZ : T_TIMESTAMP);
    return FZ_OK;
}

/* What follows the first word of a type that was found. */
static fz_status parse_type_rest(parser *p, const struct type_entry *e, str word, type *out)
{
    bool took;
    int64_t n = 0;
    sql_pos at = p->tok.pos;
    switch (e->form) {
    case PRECISION_SCALE:
        return parse_precision_scale(p, out);
    case TIME_ZONE:
        return parse_time_zone(p, out);
    case LENGTH:
        if (str_ieq(word, STR("character")) || str_ieq(word, STR("char")))
            TRY(take_word(p, "varying", &took));
        return parse_length(p, word);
    case FLOAT_BITS:
        TRY(take_op(p, "(", &took));
        if (took) {
            TRY(need_integer(p, "a float's bits", 1, 53, &n));
            TRY(need_close(p, at));
            *out = TYPE(n <= 24 ? T_FLOAT32 : T_FLOAT64);
        }
        return FZ_OK;
    case WIDTH:
        TRY(need_op(p, "("));
        TRY(need_integer(p, "a width in bytes", 1, 1 << 20, &n));
        out->width = (uint32_t)n;
        return need_close(p, at);
    default:
        if (str_ieq(word, STR("double")))
            return take_word(p, "precision", &took);
        return FZ_OK;
    }
}

fz_status parse_type_name(parser *p, type *out)
{
    token t = p->tok;
    const struct type_entry *e = type_find(&t);
    if (e) {
        *out = TYPE(e->id);
        TRY(parse_advance(p));
        TRY(parse_type_rest(p, e, t.text, out));
    } else if (WORD_IN(&t, small_integers)) {
        *out = TYPE(T_INT32);
        TRY(parse_advance(p));
        TRY(parse_notice(p, STR_FMT " is stored as int", STR_ARG(t.text)));
    } else {
        return type_unknown(p);
    }
    if (at_op(p, "["))
        return parse_unsupported(p, p->tok.pos, "array types are");
    return FZ_OK;
}
