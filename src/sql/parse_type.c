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
    "interval", "json", "jsonb", "timetz", "hugeint", "uhugeint", "ubigint", "uinteger",
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

/* ---- nested types ---- */

static fz_status parse_type_at(parser *p, unsigned depth, type *out);

/* ")" or ">"; of ">>" the first half is taken. */
static fz_status close_type(parser *p, bool angle, sql_pos open)
{
    if (angle && at_op(p, ">>")) {
        p->tok.text = (str){p->tok.text.p + 1, 1};
        p->tok.offset++;
        p->tok.pos.column++;
        return FZ_OK;
    }
    return angle ? need_op(p, ">") : need_close(p, open);
}

static fz_status open_type(parser *p, bool *angle)
{
    *angle = at_op(p, "<");
    return *angle ? parse_advance(p) : need_op(p, "(");
}

static fz_status fields_copy(parser *p, const type_field *list, uint32_t n, type_id id, type *out)
{
    type_fields *f = arena_zalloc(p->a, sizeof *f + n * sizeof f->f[0]);
    if (!f)
        return error_nomem(p->err);
    f->n = n;
    memcpy(f->f, list, n * sizeof *list);
    *out = (type){.id = id, .children = f};
    return FZ_OK;
}

/* name [:] type [NOT NULL] [COMMENT 'text'] */
static fz_status parse_field(parser *p, unsigned depth, type_field *out)
{
    sql_ident name;
    bool took;
    TRY(need_ident(p, "a field's name", &name));
    *out = (type_field){.name = name.name, .field_id = -1};
    TRY(take_op(p, ":", &took));
    TRY(parse_type_at(p, depth + 1, &out->t));
    TRY(take_word(p, "not", &out->required));
    if (out->required)
        TRY(need_word(p, "null"));
    TRY(take_word(p, "comment", &took));
    return took ? need_string(p, "a comment in quotes", &out->doc) : FZ_OK;
}

static fz_status parse_struct(parser *p, unsigned depth, type *out)
{
    type_field *list = NULL, f;
    uint32_t n = 0, cap = 0;
    bool angle, comma;
    sql_pos open = p->tok.pos;
    TRY(open_type(p, &angle));
    do {
        token at = p->tok;
        TRY(parse_field(p, depth, &f));
        for (uint32_t i = 0; i < n; i++)
            if (str_eq(list[i].name, f.name))
                return parse_fail(p, &at, "the struct has two fields \"" STR_FMT "\"", STR_ARG(f.name));
        LIST_PUSH(p, list, n, cap, f);
        TRY(take_op(p, ",", &comma));
    } while (comma);
    TRY(close_type(p, angle, open));
    return fields_copy(p, list, n, T_STRUCT, out);
}

static fz_status parse_list_type(parser *p, unsigned depth, type *out)
{
    type_field f = {.name = STR("element"), .field_id = -1};
    bool angle;
    sql_pos open = p->tok.pos;
    TRY(open_type(p, &angle));
    TRY(parse_type_at(p, depth + 1, &f.t));
    TRY(close_type(p, angle, open));
    return fields_copy(p, &f, 1, T_LIST, out);
}

static fz_status parse_map_type(parser *p, unsigned depth, type *out)
{
    type_field f[2] = {{.name = STR("key"), .field_id = -1, .required = true}, {.name = STR("value"), .field_id = -1}};
    bool angle;
    sql_pos open = p->tok.pos;
    TRY(open_type(p, &angle));
    TRY(parse_type_at(p, depth + 1, &f[0].t));
    TRY(need_op(p, ","));
    TRY(parse_type_at(p, depth + 1, &f[1].t));
    TRY(close_type(p, angle, open));
    return fields_copy(p, f, 2, T_MAP, out);
}

static fz_status parse_type_word(parser *p, unsigned depth, type *out)
{
    token t = p->tok;
    const struct type_entry *e = type_find(&t);
    if (e) {
        *out = TYPE(e->id);
        TRY(parse_advance(p));
        return parse_type_rest(p, e, t.text, out);
    }
    if (WORD_IN(&t, small_integers)) {
        *out = TYPE(T_INT32);
        TRY(parse_advance(p));
        return parse_notice(p, STR_FMT " is stored as int", STR_ARG(t.text));
    }
    bool is_struct = word_is(&t, "struct") || word_is(&t, "row"), is_list = word_is(&t, "list") || word_is(&t, "array");
    if (!is_struct && !is_list && !word_is(&t, "map"))
        return type_unknown(p);
    TRY(parse_advance(p));
    return is_struct ? parse_struct(p, depth, out) : is_list ? parse_list_type(p, depth, out) : parse_map_type(p, depth, out);
}

static fz_status parse_type_at(parser *p, unsigned depth, type *out)
{
    token at = p->tok;
    unsigned below = 0;
    TRY(parse_enter(p, 1));
    TRY(parse_type_word(p, depth, out));
    while (at_op(p, "[")) { /* bigint[], bigint[][] */
        type_field f = {.name = STR("element"), .field_id = -1, .t = *out};
        int64_t n;
        TRY(parse_advance(p));
        if (!at_op(p, "]")) {
            TRY(need_integer(p, "a length", 1, INT32_MAX, &n));
            TRY(parse_notice(p, "a list's length isn't kept: any length is stored"));
        }
        TRY(need_op(p, "]"));
        TRY(fields_copy(p, &f, 1, T_LIST, out));
        below++;
    }
    if (depth + below >= TYPE_DEPTH_MAX)
        return parse_fail(p, &at, "a type is nested more than %d deep", TYPE_DEPTH_MAX);
    parse_leave(p, 1);
    return FZ_OK;
}

fz_status parse_type_name(parser *p, type *out)
{
    return parse_type_at(p, 0, out);
}
