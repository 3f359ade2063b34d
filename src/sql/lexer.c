/* lexer.c: see lexer.h. A failing scan leaves the position behind what was read, so that a script can go on. */
#include "sql/lexer.h"

static bool is_word_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_part(unsigned char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static int hex_value(unsigned char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static unsigned char peek(const lexer *l, size_t k)
{
    return l->at + k < l->text.n ? (unsigned char)l->text.p[l->at + k] : 0;
}

/* Moves over n bytes, counting lines and characters. */
static void advance(lexer *l, size_t n)
{
    for (; n && l->at < l->text.n; n--) {
        unsigned char c = (unsigned char)l->text.p[l->at++];
        if (c == '\n') {
            l->line++;
            l->column = 1;
        } else if ((c & 0xC0) != 0x80) {
            l->column++;
        }
    }
}

static fz_status fail(fz_error *err, sql_pos pos, const char *what)
{
    error_set(err, FZ_SYNTAX, "%s", what);
    error_line(err, pos.line, pos.column);
    return FZ_SYNTAX;
}

/* White space and comments. False: a comment doesn't end; *pos is its start. */
static bool skip_space(lexer *l, sql_pos *pos)
{
    for (;;) {
        unsigned char c = peek(l, 0);
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            advance(l, 1);
        } else if (c == 0xEF && peek(l, 1) == 0xBB && peek(l, 2) == 0xBF && l->at == 0) {
            l->at += 3; /* a byte order mark is no character of the first line */
        } else if (c == 0xC2 && peek(l, 1) == 0xA0) {
            advance(l, 2); /* no-break space, pasted from a document */
        } else if (c == '-' && peek(l, 1) == '-') {
            while (l->at < l->text.n && l->text.p[l->at] != '\n')
                advance(l, 1);
        } else if (c == '/' && peek(l, 1) == '*') {
            *pos = (sql_pos){l->line, l->column};
            size_t depth = 0;
            do {
                if (l->at >= l->text.n)
                    return false;
                if (peek(l, 0) == '/' && peek(l, 1) == '*') {
                    depth++;
                    advance(l, 2);
                } else if (peek(l, 0) == '*' && peek(l, 1) == '/') {
                    depth--;
                    advance(l, 2);
                } else {
                    advance(l, 1);
                }
            } while (depth);
        } else {
            return true;
        }
    }
}

/* The position behind a text quoted by q whose first quote is at `at`; doubled quotes and (if `escapes`) backslashes
 * don't end it. 0: it doesn't end. */
static size_t quoted_end(str s, size_t at, char q, bool escapes)
{
    for (size_t i = at + 1; i < s.n; i++) {
        if (escapes && s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == q) {
            if (i + 1 < s.n && s.p[i + 1] == q)
                i++;
            else
                return i + 1;
        }
    }
    return 0;
}

/* The length of a $tag$ at p, 0: none. */
static size_t dollar_tag(str s, size_t at)
{
    if (at >= s.n || s.p[at] != '$')
        return 0;
    size_t i = at + 1;
    if (i < s.n && is_digit((unsigned char)s.p[i]))
        return 0;
    while (i < s.n && s.p[i] != '$' && is_word_part((unsigned char)s.p[i]))
        i++;
    return i < s.n && s.p[i] == '$' ? i + 1 - at : 0;
}

static size_t dollar_end(str s, size_t at, size_t tag)
{
    for (size_t i = at + tag; i + tag <= s.n; i++)
        if (memcmp(s.p + i, s.p + at, tag) == 0)
            return i + tag;
    return 0;
}

static size_t utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* One backslash escape at s[i] (behind the backslash); appends to out[*n]; returns bytes read, 0: malformed. */
static size_t unescape(str s, size_t i, char *out, size_t *n)
{
    if (i >= s.n)
        return 0;
    char c = s.p[i];
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    const char *f = c ? strchr(from, c) : NULL;
    if (f) {
        out[(*n)++] = to[f - from];
        return 1;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits) {
        out[(*n)++] = c;
        return 1;
    }
    uint32_t v = 0;
    size_t k = 0;
    for (; k < digits && i + 1 + k < s.n; k++) {
        int h = hex_value((unsigned char)s.p[i + 1 + k]);
        if (h < 0)
            break;
        v = v << 4 | (uint32_t)h;
    }
    if (c == 'x' ? k == 0 : k != digits)
        return 0;
    if (v == 0 || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000))
        return 0;
    if (c == 'x' && v >= 0x80)
        return 0; /* single bytes that aren't characters by themselves */
    *n += utf8_put(out + *n, v);
    return 1 + k;
}

/* A quoted token's contents: s is what stands between the quotes. */
static fz_status quoted_text(str s, char q, bool escapes, arena *a, token *t, fz_error *err)
{
    if (!memchr(s.p, q, s.n) && !(escapes && memchr(s.p, '\\', s.n))) {
        t->text = s;
    } else {
        char *out = arena_alloc(a, s.n * 2 + 8); /* an escape is never shorter than half of what it stands for */
        if (!out)
            return error_nomem(err);
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
            if (escapes && s.p[i] == '\\') {
                size_t k = unescape(s, i + 1, out, &n);
                if (!k)
                    return fail(err, t->pos, "invalid escape sequence in E'…' text");
                i += k;
                continue;
            }
            if (s.p[i] == q)
                i++;
            out[n++] = s.p[i];
        }
        t->text = (str){out, n};
    }
    if (memchr(t->text.p, 0, t->text.n))
        return fail(err, t->pos, "a text can't contain a NUL character");
    if (utf8_valid_prefix(t->text) != t->text.n)
        return fail(err, t->pos, "the statement isn't valid UTF-8 here");
    return FZ_OK;
}

static fz_status lex_bytes(str s, arena *a, token *t, fz_error *err)
{
    char *out = arena_alloc(a, s.n / 2);
    if (!out)
        return error_nomem(err);
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        int h = hex_value((unsigned char)s.p[i]), lo = hex_value((unsigned char)s.p[i + 1]);
        if (h < 0 || lo < 0)
            return fail(err, t->pos, "x'…' takes hexadecimal digits");
        out[i / 2] = (char)(h << 4 | lo);
    }
    if (s.n % 2)
        return fail(err, t->pos, "x'…' takes an even number of hexadecimal digits");
    t->kind = TK_BYTES;
    t->text = (str){out, s.n / 2};
    return FZ_OK;
}

/* Digits with single underscores between them, from *i on. */
static size_t digits_end(str s, size_t i)
{
    while (i < s.n && (is_digit((unsigned char)s.p[i]) ||
                       (s.p[i] == '_' && i > 0 && is_digit((unsigned char)s.p[i - 1]) && i + 1 < s.n &&
                        is_digit((unsigned char)s.p[i + 1]))))
        i++;
    return i;
}

static fz_status lex_number(lexer *l, arena *a, token *t, fz_error *err)
{
    str s = l->text;
    size_t i = l->at, from = i;
    t->kind = TK_INTEGER;
    if (s.p[i] == '0' && i + 1 < s.n && (s.p[i + 1] | 0x20) == 'x') {
        t->kind = TK_HEX;
        from = i += 2;
        while (i < s.n && hex_value((unsigned char)s.p[i]) >= 0)
            i++;
        if (i == from) {
            advance(l, 2);
            return fail(err, t->pos, "0x needs hexadecimal digits");
        }
    } else {
        i = digits_end(s, i);
        /* 1..2 isn't a number with a point */
        if (i < s.n && s.p[i] == '.' && !(i + 1 < s.n && s.p[i + 1] == '.')) {
            t->kind = TK_DECIMAL;
            i = digits_end(s, i + 1);
        }
        if (i < s.n && (s.p[i] | 0x20) == 'e') {
            size_t k = i + 1;
            if (k < s.n && (s.p[k] == '+' || s.p[k] == '-'))
                k++;
            if (k < s.n && is_digit((unsigned char)s.p[k])) {
                t->kind = TK_FLOAT;
                i = digits_end(s, k);
            }
        }
    }
    t->text = (str){s.p + from, i - from};
    if (i < s.n && is_word_start((unsigned char)s.p[i])) {
        while (i < s.n && is_word_part((unsigned char)s.p[i]))
            i++;
        advance(l, i - l->at);
        error_set(err, FZ_SYNTAX, "\"" STR_FMT "\" is neither a number nor a name", (int)(i - t->offset > 60 ? 60 : i - t->offset),
                  s.p + t->offset);
        error_hint(err, "a name that starts with a digit has to stand in double quotes");
        error_line(err, t->pos.line, t->pos.column);
        return FZ_SYNTAX;
    }
    advance(l, i - l->at);
    if (memchr(t->text.p, '_', t->text.n)) {
        char *out = arena_alloc(a, t->text.n);
        if (!out)
            return error_nomem(err);
        size_t n = 0;
        for (size_t k = 0; k < t->text.n; k++)
            if (t->text.p[k] != '_')
                out[n++] = t->text.p[k];
        t->text = (str){out, n};
    }
    return FZ_OK;
}

static size_t operator_length(const lexer *l)
{
    static const char *const ops[] = {"!~~*", "->>", "!~*", "!~~", "~~*", "::", "=>", "<>", "!=", "<=", ">=", "||", ":=", "->",
                                      "!~", "~*", "~~", "<<", ">>", "==", "//", ".."};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t n = strlen(ops[i]);
        if (l->text.n - l->at >= n && memcmp(l->text.p + l->at, ops[i], n) == 0)
            return n;
    }
    return strchr("()[]{},;.+-*/%^=<>~!:&|#@", l->text.p[l->at]) ? 1 : 0;
}

/* 'text', E'…', x'…', "name", `name`; `lead` bytes stand before the quote. */
static fz_status lex_quoted(lexer *l, arena *a, token *t, size_t lead, fz_error *err)
{
    char q = l->text.p[l->at + lead];
    bool escapes = lead && (l->text.p[l->at] | 0x20) == 'e';
    size_t end = quoted_end(l->text, l->at + lead, q, escapes);
    if (!end) {
        advance(l, l->text.n - l->at);
        return fail(err, t->pos, q == '\'' ? "this text has no closing quote" : "this quoted name has no closing quote");
    }
    str inner = {l->text.p + l->at + lead + 1, end - l->at - lead - 2};
    bool bytes = lead && (l->text.p[l->at] | 0x20) == 'x';
    advance(l, end - l->at);
    if (bytes)
        return lex_bytes(inner, a, t, err);
    t->kind = q == '\'' ? TK_STRING : TK_QUOTED;
    TRY(quoted_text(inner, q, escapes, a, t, err));
    if (t->kind == TK_QUOTED && t->text.n == 0)
        return fail(err, t->pos, "a quoted name can't be empty");
    return FZ_OK;
}

static fz_status lex_word(lexer *l, token *t, fz_error *err)
{
    size_t i = l->at;
    while (i < l->text.n && is_word_part((unsigned char)l->text.p[i]) &&
           !((unsigned char)l->text.p[i] == 0xC2 && i + 1 < l->text.n && (unsigned char)l->text.p[i + 1] == 0xA0)) /* no-break space */
        i++;
    t->kind = TK_WORD;
    t->text = (str){l->text.p + l->at, i - l->at};
    advance(l, i - l->at);
    if (utf8_valid_prefix(t->text) != t->text.n)
        return fail(err, t->pos, "the statement isn't valid UTF-8 here");
    return FZ_OK;
}

static fz_status lex_dollar(lexer *l, token *t, fz_error *err)
{
    size_t tag = dollar_tag(l->text, l->at);
    if (tag) {
        size_t end = dollar_end(l->text, l->at, tag);
        if (!end) {
            advance(l, l->text.n - l->at);
            return fail(err, t->pos, "this dollar-quoted text has no end");
        }
        t->kind = TK_STRING;
        t->text = (str){l->text.p + l->at + tag, end - l->at - 2 * tag};
        advance(l, end - l->at);
        if (memchr(t->text.p, 0, t->text.n) || utf8_valid_prefix(t->text) != t->text.n)
            return fail(err, t->pos, "the statement isn't valid UTF-8 here");
        return FZ_OK;
    }
    size_t i = l->at + 1;
    while (i < l->text.n && is_digit((unsigned char)l->text.p[i]))
        i++;
    t->kind = TK_PARAM;
    t->text = (str){l->text.p + l->at + 1, i - l->at - 1};
    advance(l, i - l->at);
    return t->text.n ? FZ_OK : fail(err, t->pos, "a number has to follow $, as in $1");
}

fz_status lexer_next(lexer *l, arena *a, token *t, fz_error *err)
{
    sql_pos open = {0, 0};
    *t = (token){0};
    if (!skip_space(l, &open))
        return fail(err, open, "this comment has no end");
    t->pos = (sql_pos){l->line, l->column};
    t->offset = t->end = l->at;
    if (l->at >= l->text.n)
        return FZ_OK;
    unsigned char c = peek(l, 0), d = peek(l, 1);
    fz_status st;
    if (c == '\'' || c == '"' || c == '`') {
        st = lex_quoted(l, a, t, 0, err);
    } else if (d == '\'' && ((c | 0x20) == 'e' || (c | 0x20) == 'x')) {
        st = lex_quoted(l, a, t, 1, err);
    } else if (is_word_start(c)) {
        st = lex_word(l, t, err);
    } else if (is_digit(c) || (c == '.' && is_digit(d))) {
        st = lex_number(l, a, t, err);
    } else if (c == '$') {
        st = lex_dollar(l, t, err);
    } else if (c == '?') {
        t->kind = TK_PARAM;
        advance(l, 1);
        st = FZ_OK;
    } else {
        size_t n = c ? operator_length(l) : 0;
        if (!n) {
            advance(l, 1);
            error_set(err, FZ_SYNTAX, c < 0x20 || c >= 0x7F ? "unexpected byte 0x%02x" : "unexpected character \"%c\"", c);
            error_line(err, t->pos.line, t->pos.column);
            return FZ_SYNTAX;
        }
        t->kind = TK_OP;
        t->text = (str){l->text.p + l->at, n};
        advance(l, n);
        st = FZ_OK;
    }
    t->end = l->at;
    return st;
}

/* Behind the quoted text, comment or other character at l->at; *open is set to its kind if it doesn't end. */
static void skip_one(lexer *l, char *open)
{
    sql_pos pos;
    unsigned char c = peek(l, 0);
    size_t end = l->at + 1, tag;
    if (c == '-' && peek(l, 1) == '-') {
        skip_space(l, &pos);
        return;
    }
    if (c == '/' && peek(l, 1) == '*') {
        if (!skip_space(l, &pos))
            *open = '*';
        return;
    }
    if (c == '\'' || c == '"' || c == '`') {
        bool e = l->at > 0 && (l->text.p[l->at - 1] | 0x20) == 'e' &&
                 (l->at < 2 || !is_word_part((unsigned char)l->text.p[l->at - 2]));
        end = quoted_end(l->text, l->at, (char)c, c == '\'' && e);
        if (!end)
            *open = (char)c;
    } else if (c == '$' && (tag = dollar_tag(l->text, l->at))) {
        end = dollar_end(l->text, l->at, tag);
        if (!end)
            *open = '$';
    } else if (is_word_part(c)) {
        while (end < l->text.n && is_word_part((unsigned char)l->text.p[end]))
            end++;
    }
    advance(l, (end ? end : l->text.n) - l->at);
}

void lexer_skip_statement(lexer *l)
{
    char open = 0;
    while (l->at < l->text.n) {
        if (l->text.p[l->at] == ';') {
            advance(l, 1);
            return;
        }
        skip_one(l, &open);
    }
}

char lexer_open_at_end(str text, int *depth, bool *pending)
{
    lexer l = {.text = text, .line = 1, .column = 1};
    char open = 0;
    *depth = 0;
    *pending = false;
    while (l.at < text.n) {
        char c = text.p[l.at];
        bool space = c == ' ' || (c >= '\t' && c <= '\r');
        bool comment = (c == '-' && peek(&l, 1) == '-') || (c == '/' && peek(&l, 1) == '*');
        if (c == ';') {
            *pending = false;
            *depth = 0;
        } else if (!space && !comment) {
            *pending = true;
            *depth += (c == '(') - (c == ')');
        }
        skip_one(&l, &open);
    }
    return open;
}

/* ---- keywords ---- */

#define S WORD_STRUCTURAL | WORD_NO_ALIAS
#define N WORD_NO_ALIAS

static const struct keyword { const char *word; unsigned flags; } keywords[] = { /* sorted */
    {"and", S}, {"anti", N}, {"as", S}, {"asc", N}, {"asof", N}, {"between", S}, {"case", S}, {"cast", S}, {"collate", N},
    {"cross", S}, {"desc", N}, {"distinct", S}, {"else", S}, {"end", S}, {"escape", N}, {"except", S}, {"exists", 0}, {"false", S},
    {"fetch", N}, {"filter", N}, {"for", N}, {"from", S}, {"full", S}, {"glob", N}, {"group", N}, {"having", S}, {"ilike", S}, {"in", S},
    {"inner", S}, {"intersect", S}, {"is", S}, {"isnull", N}, {"join", S}, {"lateral", N}, {"left", S}, {"like", S},
    {"limit", S}, {"natural", S}, {"not", S}, {"notnull", N}, {"null", S}, {"offset", N}, {"on", S}, {"or", S}, {"order", N},
    {"over", N}, {"pivot", N}, {"positional", N}, {"qualify", N}, {"returning", N}, {"right", S}, {"select", S}, {"semi", N},
    {"similar", N}, {"tablesample", N}, {"then", S}, {"true", S}, {"union", S}, {"unpivot", N}, {"using", S}, {"values", N},
    {"when", S}, {"where", S}, {"window", N}, {"with", S}, {"within", N},
};
#undef S
#undef N

static int word_cmp(str w, const char *k)
{
    size_t i = 0;
    for (; i < w.n && k[i]; i++) {
        unsigned char c = (unsigned char)w.p[i];
        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        if (c != (unsigned char)k[i])
            return c < (unsigned char)k[i] ? -1 : 1;
    }
    return i < w.n ? 1 : k[i] ? -1 : 0;
}

unsigned word_flags(str w)
{
    size_t lo = 0, hi = sizeof keywords / sizeof keywords[0];
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = word_cmp(w, keywords[mid].word);
        if (c == 0)
            return keywords[mid].flags;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return 0;
}

bool word_is(const token *t, const char *lower)
{
    return t->kind == TK_WORD && word_cmp(t->text, lower) == 0;
}
