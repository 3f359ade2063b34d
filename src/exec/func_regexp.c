/*
 * func_regexp.c: patterns: LIKE and ILIKE by a matcher of our own, regular expressions by PCRE2.
 *
 * LIKE. A constant pattern is taken apart once: without wildcards it is equality, with % at its ends only a
 * search for prefix, suffix or part; else the matcher walks with one point to go back to (the last %),
 * which needs no recursion and at most text × pattern steps. `_` is a character, `\` (or ESCAPE's character)
 * takes the next one literally. ILIKE compares lower case.
 *
 * Regular expressions match anywhere in the text unless anchored. A limit on backtracking turns a pattern that
 * would take for ever into an error.
 */
#include "exec/text_int.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MATCH_LIMIT 10000000u

/* ---- like ---- */

enum like_way { LIKE_EQUAL, LIKE_PREFIX, LIKE_SUFFIX, LIKE_PART, LIKE_ANY };

typedef struct like_state {
    mem *m;
    enum like_way way;
    sbuf text;      /* the literal, or the pattern */
    char escape;    /* 0: none */
    sbuf low;       /* ILIKE: the row's text in lower case */
    bool fixed;     /* compiled from a constant */
} like_state;

static fz_status escape_of(str s, char *out, fz_error *err)
{
    if (s.n > 1)
        return error_sql(err, FZ_VALUE, "22019", "an escape must be one character or empty");
    *out = s.n ? s.p[0] : 0;
    return FZ_OK;
}

/* Sets the way for a pattern that is in s->text. */
static void like_compile(like_state *s)
{
    const char *p = s->text.p;
    size_t n = s->text.n, inner = 0;
    bool front = n && p[0] == '%', back = false;
    s->way = LIKE_ANY;
    for (size_t i = front; i < n; i++) {
        if (s->escape && p[i] == s->escape)
            return;
        if (p[i] == '_')
            return;
        if (p[i] == '%') {
            if (i + 1 != n)
                return;
            back = true;
        } else {
            inner++;
        }
    }
    if (n && front && inner)
        memmove(s->text.p, s->text.p + 1, inner);
    s->text.n = inner;
    s->way = front && back ? LIKE_PART : front ? (inner || n == 1 ? LIKE_SUFFIX : LIKE_PART) : back ? LIKE_PREFIX : LIKE_EQUAL;
}

/* 1: a match, 0: none, -1: the pattern ends in its escape. */
static int like_match(str s, str p, char escape)
{
    size_t i = 0, k = 0, back_p = SIZE_MAX, back_s = 0;
    while (i < s.n || k < p.n) {
        if (k < p.n && escape && p.p[k] == escape) {
            if (k + 1 == p.n)
                return -1;
            if (i < s.n && s.p[i] == p.p[k + 1]) {
                i++;
                k += 2;
                continue;
            }
        } else if (k < p.n && p.p[k] == '%') {
            back_p = ++k;
            back_s = i;
            continue;
        } else if (k < p.n && p.p[k] == '_') {
            if (i < s.n) {
                i += utf8_skip((str){s.p + i, s.n - i}, 1);
                k++;
                continue;
            }
        } else if (k < p.n && i < s.n && s.p[i] == p.p[k]) {
            i++;
            k++;
            continue;
        }
        if (back_p == SIZE_MAX || back_s >= s.n)
            return 0;
        back_s += utf8_skip((str){s.p + back_s, s.n - back_s}, 1);
        i = back_s;
        k = back_p;
    }
    return 1;
}

static bool is_ilike(const expr *e) { return e->fn->name[0] == 'i'; }

static fz_status like_open(const expr *e, const datum *const *consts, mem *m, void **state, fz_error *err)
{
    like_state *s = mem_zalloc(m, sizeof *s);
    *state = s;
    if (!s)
        return error_nomem(err);
    s->m = m;
    s->escape = '\\';
    sbuf_init(&s->text, m);
    sbuf_init(&s->low, m);
    bool escape_known = e->n < 3 || (consts[2] && !consts[2]->null);
    if (e->n > 2 && escape_known)
        TRY(escape_of(consts[2]->s, &s->escape, err));
    if (!consts[1] || consts[1]->null || !escape_known)
        return FZ_OK;
    if (is_ilike(e))
        text_case(consts[1]->s, false, &s->text);
    else
        sbuf_str(&s->text, consts[1]->s);
    if (s->text.failed)
        return error_nomem(err);
    s->fixed = true;
    like_compile(s);
    return FZ_OK;
}

static void like_close(void *state)
{
    like_state *s = state;
    sbuf_free(&s->text);
    sbuf_free(&s->low);
    mem_free(s->m, s, sizeof *s);
}

static fz_status like_row(kcall *c, like_state *s, str x, uint8_t *out, fz_error *err)
{
    str t = {s->text.p, s->text.n};
    int r = 0;
    switch (s->way) {
    case LIKE_EQUAL: r = str_eq(x, t); break;
    case LIKE_PREFIX: r = str_starts(x, t); break;
    case LIKE_SUFFIX: r = str_ends(x, t); break;
    case LIKE_PART: r = t.n == 0 || memmem(x.p, x.n, t.p, t.n) != NULL; break;
    case LIKE_ANY: r = like_match(x, t, s->escape); break;
    }
    if (r < 0)
        return kernel_error(c, err, "22025", "the pattern ends with its escape character");
    *out = (uint8_t)r;
    return FZ_OK;
}

static fz_status like_run(kcall *c, fz_error *err)
{
    like_state *s = c->state;
    bool low = is_ilike(c->e);
    EACH_ROW(c, i)
    {
        str x = text_at(&c->args[0], i);
        if (!s->fixed) {
            sbuf_clear(&s->text);
            if (c->e->n > 2)
                TRY(escape_of(text_at(&c->args[2], i), &s->escape, err));
            if (low)
                text_case(text_at(&c->args[1], i), false, &s->text);
            else
                sbuf_str(&s->text, text_at(&c->args[1], i));
            if (s->text.failed)
                return error_nomem(err);
            s->way = LIKE_ANY;
        }
        if (low) {
            sbuf_clear(&s->low);
            text_case(x, false, &s->low);
            if (s->low.failed)
                return error_nomem(err);
            x = (str){s->low.p, s->low.n};
        }
        TRY(like_row(c, s, x, (uint8_t *)c->out->data + i, err));
    }
    return FZ_OK;
}

/* ---- regular expressions ---- */

typedef struct re_state {
    mem *m;
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *ctx;
    sbuf pattern, flags; /* what `code` was made from */
    bool global;
} re_state;

static fz_status re_compile(re_state *s, str pattern, str flags, bool icase, fz_error *err)
{
    if (s->code && str_eq(pattern, (str){s->pattern.p, s->pattern.n}) && str_eq(flags, (str){s->flags.p, s->flags.n}))
        return FZ_OK;
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (icase ? PCRE2_CASELESS : 0);
    s->global = false;
    for (size_t i = 0; i < flags.n; i++)
        switch (flags.p[i]) {
        case 'i': options |= PCRE2_CASELESS; break;
        case 'c': options &= ~PCRE2_CASELESS; break;
        case 's': options |= PCRE2_DOTALL; break;
        case 'm':
        case 'n': options |= PCRE2_MULTILINE; break;
        case 'x': options |= PCRE2_EXTENDED; break;
        case 'g': s->global = true; break;
        default: return error_sql(err, FZ_VALUE, "22023", "there is no regular expression option '%c'", flags.p[i]);
        }
    pcre2_code_free(s->code);
    pcre2_match_data_free(s->data);
    s->data = NULL;
    int code;
    PCRE2_SIZE at;
    s->code = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.n, options, &code, &at, NULL);
    if (!s->code) {
        char text[200];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        return error_sql(err, FZ_VALUE, "2201B", "invalid regular expression at its character %zu: %s", (size_t)at + 1, text);
    }
    pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE); /* without it: slower */
    s->data = pcre2_match_data_create_from_pattern(s->code, NULL);
    if (!s->ctx) {
        s->ctx = pcre2_match_context_create(NULL);
        if (s->ctx)
            pcre2_set_match_limit(s->ctx, MATCH_LIMIT);
    }
    sbuf_clear(&s->pattern);
    sbuf_clear(&s->flags);
    sbuf_str(&s->pattern, pattern);
    sbuf_str(&s->flags, flags);
    return s->data && s->ctx && !s->pattern.failed && !s->flags.failed ? FZ_OK : error_nomem(err);
}

static fz_status re_open(const expr *e, const datum *const *consts, mem *m, void **state, fz_error *err)
{
    re_state *s = mem_zalloc(m, sizeof *s);
    *state = s;
    if (!s)
        return error_nomem(err);
    s->m = m;
    sbuf_init(&s->pattern, m);
    sbuf_init(&s->flags, m);
    return FZ_OK;
}

static void re_close(void *state)
{
    re_state *s = state;
    pcre2_code_free(s->code);
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->ctx);
    sbuf_free(&s->pattern);
    sbuf_free(&s->flags);
    mem_free(s->m, s, sizeof *s);
}

/* *count: groups with a place, 0: no match. */
static fz_status re_find(kcall *c, str x, size_t from, uint32_t options, int *count, fz_error *err)
{
    re_state *s = c->state;
    int r = pcre2_match(s->code, (PCRE2_SPTR)(x.p ? x.p : ""), x.n, from, options, s->data, s->ctx);
    if (r == PCRE2_ERROR_NOMATCH)
        r = 0;
    if (r < 0)
        return kernel_error(c, err, "54001", "the regular expression takes too long (%d)", r);
    *count = r;
    return FZ_OK;
}

static fz_status re_prepare(kcall *c, uint32_t i, uint32_t flags_at, bool icase, fz_error *err)
{
    str flags = c->e->n > flags_at ? text_at(&c->args[flags_at], i) : STR("");
    fz_status st = re_compile(c->state, text_at(&c->args[1], i), flags, icase, err);
    if (st != FZ_OK && c->e->line > 0)
        error_line(err, c->e->line, c->e->column);
    return st;
}

static fz_status re_matches(kcall *c, fz_error *err)
{
    const char *name = c->e->fn->name;
    bool not = name[0] == '!', icase = strchr(name, '*') != NULL;
    EACH_ROW(c, i)
    {
        int n;
        TRY(re_prepare(c, i, 2, icase, err));
        TRY(re_find(c, text_at(&c->args[0], i), 0, 0, &n, err));
        ((uint8_t *)c->out->data)[i] = (n > 0) != not;
    }
    return FZ_OK;
}

/* The match, or one of its groups; an empty text where there is none. */
static fz_status re_extract(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str x = text_at(&c->args[0], i);
        int64_t group = c->e->n > 2 ? i64_at(&c->args[2], i) : 0;
        int n;
        TRY(re_prepare(c, i, 9, false, err));
        TRY(re_find(c, x, 0, 0, &n, err));
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(((re_state *)c->state)->data);
        if (group < 0 || group >= n || at[2 * group] == PCRE2_UNSET || at[2 * group + 1] < at[2 * group])
            text_set(c, i, "", 0);
        else
            text_set(c, i, x.p + at[2 * group], at[2 * group + 1] - at[2 * group]);
    }
    return FZ_OK;
}

/* The replacement: \1 … \9 are groups, \0 and \& the match, \\ a backslash. */
static void re_expand(str r, str x, const PCRE2_SIZE *at, int n, sbuf *out)
{
    for (size_t i = 0; i < r.n; i++) {
        if (r.p[i] != '\\' || i + 1 == r.n) {
            sbuf_addc(out, r.p[i]);
            continue;
        }
        char d = r.p[++i];
        int g = d == '&' ? 0 : d >= '0' && d <= '9' ? d - '0' : -1;
        if (g < 0)
            sbuf_addc(out, d);
        else if (g < n && at[2 * g] != PCRE2_UNSET && at[2 * g + 1] >= at[2 * g])
            sbuf_add(out, x.p + at[2 * g], at[2 * g + 1] - at[2 * g]);
    }
}

static fz_status re_replace_row(kcall *c, str x, str r, sbuf *out, fz_error *err)
{
    re_state *s = c->state;
    size_t from = 0, done = 0;
    int n;
    do {
        TRY(re_find(c, x, from, 0, &n, err));
        if (n <= 0)
            break;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->data);
        if (at[1] < at[0] || at[0] < done)
            break;
        sbuf_add(out, x.p + done, at[0] - done);
        re_expand(r, x, at, n, out);
        done = from = at[1];
        if (at[0] == at[1]) { /* an empty match: one character on */
            if (from >= x.n)
                break;
            from += utf8_skip((str){x.p + from, x.n - from}, 1);
        }
    } while (s->global && from <= x.n && out->n <= TEXT_MAX);
    sbuf_add(out, x.p + done, x.n - done);
    return out->failed ? error_nomem(err) : FZ_OK;
}

static fz_status re_replace(kcall *c, fz_error *err)
{
    sbuf b;
    fz_status st = FZ_OK;
    sbuf_init(&b, NULL);
    EACH_ROW(c, i)
    {
        sbuf_clear(&b);
        st = re_prepare(c, i, 3, false, err);
        if (st == FZ_OK)
            st = re_replace_row(c, text_at(&c->args[0], i), text_at(&c->args[2], i), &b, err);
        if (st == FZ_OK)
            st = text_copy(c, i, b.p, b.n, err);
        if (st != FZ_OK)
            break;
    }
    sbuf_free(&b);
    return st;
}

#define S T_STRING
#define RE(NAME) {NAME, 2, {S, S}, T_BOOL, 0, re_matches, re_open, re_close}
const func func_regexp_table[] = {
    {"like", 2, {S, S}, T_BOOL, 0, like_run, like_open, like_close},
    {"like", 3, {S, S, S}, T_BOOL, 0, like_run, like_open, like_close},
    {"ilike", 2, {S, S}, T_BOOL, 0, like_run, like_open, like_close},
    {"ilike", 3, {S, S, S}, T_BOOL, 0, like_run, like_open, like_close},
    RE("~"), RE("~*"), RE("!~"), RE("!~*"), RE("regexp_matches"), RE("regexp_like"),
    {"regexp_matches", 3, {S, S, S}, T_BOOL, 0, re_matches, re_open, re_close},
    {"regexp_like", 3, {S, S, S}, T_BOOL, 0, re_matches, re_open, re_close},
    {"regexp_extract", 2, {S, S}, S, 0, re_extract, re_open, re_close},
    {"regexp_extract", 3, {S, S, T_INT64}, S, 0, re_extract, re_open, re_close},
    {"regexp_replace", 3, {S, S, S}, S, 0, re_replace, re_open, re_close},
    {"regexp_replace", 4, {S, S, S, S}, S, 0, re_replace, re_open, re_close},
    {0},
};
