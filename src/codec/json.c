/*
 * json.c: see json.h. The reader is one loop over the text with a stack of open containers; what may
 * come next is one of four states:
 *
 *   VALUE        a value must follow
 *   FIRST        after '[' or '{': a value (key) or the closing bracket
 *   KEY          after ',' in an object: a key must follow
 *   AFTER        after a value: ',' or the closing bracket; the end at depth 0
 */
#include "codec/json.h"

#include <stdio.h>

typedef struct scanner {
    json_doc *d;
    const char *p, *end;
    uint32_t open[JSON_MAX_DEPTH]; /* nodes of the open containers */
    uint32_t depth;
} scanner;

/* ---- errors ---- */

static void place_set(const json_doc *d, size_t at, fz_error *err)
{
    if (!err)
        return;
    int64_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < d->n; i++) {
        column++;
        if (d->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    error_offset(err, (int64_t)at);
    error_line(err, line, column);
    if (d->where)
        error_where(err, d->where);
}

static fz_status scan_fail(const scanner *s, const char *at, fz_error *err, const char *what)
{
    error_set(err, FZ_DATA, "not valid JSON: %s", what);
    place_set(s->d, (size_t)(at - s->d->text), err);
    return FZ_DATA;
}

fz_status json_error(const json_doc *d, const json_node *n, fz_error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, FZ_DATA, fmt, ap);
    va_end(ap);
    place_set(d, n ? n->from : 0, err);
    return FZ_DATA;
}

/* ---- scanning ---- */

static json_node *node_add(json_doc *d, json_type type, size_t from, size_t to)
{
    if (d->count == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 256;
        if (cap < d->cap)
            return NULL;
        json_node *p = mem_resize(d->m, d->nodes, d->cap * sizeof *p, (size_t)cap * sizeof *p);
        if (!p)
            return NULL;
        d->nodes = p;
        d->cap = cap;
    }
    json_node *n = &d->nodes[d->count++];
    *n = (json_node){.type = (uint8_t)type, .skip = 1, .from = (uint32_t)from, .to = (uint32_t)to};
    return n;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits at p, or -1. */
static int hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int h = hex_digit(p[i]);
        if (h < 0)
            return -1;
        v = v << 4 | h;
    }
    return v;
}

/* Checks the escape behind a backslash at p; the number of bytes it takes after it, 0: invalid. NUL
 * and lone surrogates have no place in names and paths and are refused. */
static int escape_check(const char *p, const char *end)
{
    if (p >= end)
        return 0;
    switch (*p) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return 1;
    case 'u': {
        int v = hex4(p + 1, end);
        if (v <= 0 || (v >= 0xDC00 && v <= 0xDFFF))
            return 0;
        if (v < 0xD800 || v > 0xDBFF)
            return 5;
        if (end - p < 11 || p[5] != '\\' || p[6] != 'u')
            return 0;
        int lo = hex4(p + 7, end);
        return lo >= 0xDC00 && lo <= 0xDFFF ? 11 : 0;
    }
    default:
        return 0;
    }
}

static fz_status scan_string(scanner *s, fz_error *err)
{
    const char *from = s->p + 1, *p = from;
    bool escaped = false;
    for (;;) {
        while (p < s->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
            p++;
        if (p >= s->end)
            return scan_fail(s, s->p, err, "a string isn't closed");
        if (*p == '"')
            break;
        if (*p != '\\')
            return scan_fail(s, p, err, "a control character in a string");
        escaped = true;
        int k = escape_check(p + 1, s->end);
        if (!k)
            return scan_fail(s, p, err, "a wrong escape in a string");
        p += 1 + k;
    }
    json_node *n = node_add(s->d, JSON_STRING, (size_t)(from - s->d->text), (size_t)(p - s->d->text));
    if (!n)
        return error_nomem(err);
    n->escaped = escaped;
    s->p = p + 1;
    return FZ_OK;
}

static bool is_digit(const char *p, const char *end) { return p < end && *p >= '0' && *p <= '9'; }

static fz_status scan_number(scanner *s, fz_error *err)
{
    const char *p = s->p;
    bool real = false;
    if (*p == '-')
        p++;
    if (!is_digit(p, s->end))
        return scan_fail(s, s->p, err, "a value was expected");
    if (*p == '0')
        p++;
    else
        while (is_digit(p, s->end))
            p++;
    if (p < s->end && *p == '.') {
        real = true;
        p++;
        if (!is_digit(p, s->end))
            return scan_fail(s, p, err, "a digit was expected");
        while (is_digit(p, s->end))
            p++;
    }
    if (p < s->end && (*p == 'e' || *p == 'E')) {
        real = true;
        p++;
        if (p < s->end && (*p == '+' || *p == '-'))
            p++;
        if (!is_digit(p, s->end))
            return scan_fail(s, p, err, "a digit was expected");
        while (is_digit(p, s->end))
            p++;
    }
    if (!node_add(s->d, real ? JSON_REAL : JSON_INT, (size_t)(s->p - s->d->text), (size_t)(p - s->d->text)))
        return error_nomem(err);
    s->p = p;
    return FZ_OK;
}

static fz_status scan_word(scanner *s, const char *word, json_type type, fz_error *err)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return scan_fail(s, s->p, err, "a value was expected");
    size_t from = (size_t)(s->p - s->d->text);
    if (!node_add(s->d, type, from, from + n))
        return error_nomem(err);
    s->p += n;
    return FZ_OK;
}

static fz_status scan_scalar(scanner *s, fz_error *err)
{
    switch (*s->p) {
    case '"': return scan_string(s, err);
    case 't': return scan_word(s, "true", JSON_TRUE, err);
    case 'f': return scan_word(s, "false", JSON_FALSE, err);
    case 'n': return scan_word(s, "null", JSON_NULL, err);
    default: return scan_number(s, err);
    }
}

static void scan_space(scanner *s)
{
    const char *p = s->p;
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    if (p != s->p)
        s->d->compact = false;
    s->p = p;
}

/* A key and its colon. */
static fz_status scan_key(scanner *s, fz_error *err)
{
    if (*s->p != '"')
        return scan_fail(s, s->p, err, "a member's name was expected");
    TRY(scan_string(s, err));
    scan_space(s);
    if (s->p >= s->end || *s->p != ':')
        return scan_fail(s, s->p, err, "':' was expected");
    s->p++;
    scan_space(s);
    return FZ_OK;
}

static void container_close(scanner *s)
{
    json_doc *d = s->d;
    json_node *c = &d->nodes[s->open[--s->depth]];
    s->p++;
    c->to = (uint32_t)(s->p - d->text);
    c->skip = d->count - s->open[s->depth];
}

static fz_status scan_all(scanner *s, fz_error *err)
{
    json_doc *d = s->d;
    enum { VALUE, FIRST, KEY, AFTER } state = VALUE;
    scan_space(s);
    for (;;) {
        if (s->p >= s->end)
            break;
        json_node *top = s->depth ? &d->nodes[s->open[s->depth - 1]] : NULL;
        char close = !top ? 0 : top->type == JSON_ARRAY ? ']' : '}';
        if (state == AFTER) {
            if (!top)
                return scan_fail(s, s->p, err, "text behind its end");
            if (*s->p == close) {
                container_close(s);
            } else if (*s->p == ',') {
                s->p++;
                state = close == '}' ? KEY : VALUE;
            } else {
                return scan_fail(s, s->p, err, "',' or the end of the list was expected");
            }
            scan_space(s);
            continue;
        }
        if (state == FIRST && *s->p == close) {
            container_close(s);
            state = AFTER;
            scan_space(s);
            continue;
        }
        if (top) {
            top->n++;
            if (top->type == JSON_OBJECT) {
                TRY(scan_key(s, err));
                if (s->p >= s->end)
                    break;
            }
        }
        if (*s->p == '{' || *s->p == '[') {
            if (s->depth == JSON_MAX_DEPTH)
                return scan_fail(s, s->p, err, "nested too deeply");
            s->open[s->depth++] = d->count;
            size_t at = (size_t)(s->p - d->text);
            if (!node_add(d, *s->p == '{' ? JSON_OBJECT : JSON_ARRAY, at, at))
                return error_nomem(err);
            s->p++;
            state = FIRST;
        } else {
            TRY(scan_scalar(s, err));
            state = AFTER;
        }
        scan_space(s);
    }
    if (state != AFTER || s->depth)
        return scan_fail(s, s->end, err, d->n ? "it ends too early" : "the text is empty");
    return FZ_OK;
}

fz_status json_parse(json_doc *d, const char *text, size_t n, const char *where, mem *m, fz_error *err)
{
    *d = (json_doc){.m = m, .text = text, .n = n, .where = where, .compact = true};
    if (n >= UINT32_MAX) {
        error_set(err, FZ_LIMIT, "a JSON text of %zu bytes is too large", n);
        if (where)
            error_where(err, where);
        return FZ_LIMIT;
    }
    scanner s = {.d = d, .p = text, .end = text + n};
    size_t good = utf8_valid_prefix((str){text, n});
    fz_status st = good < n ? scan_fail(&s, text + good, err, "bytes that aren't UTF-8") : scan_all(&s, err);
    if (st != FZ_OK)
        json_free(d);
    return st;
}

void json_free(json_doc *d)
{
    mem_free(d->m, d->nodes, d->cap * sizeof *d->nodes);
    d->nodes = NULL;
    d->count = d->cap = 0;
}

/* ---- reading values ---- */

bool json_is(const json_doc *d, const json_node *n, const char *z)
{
    size_t len = strlen(z);
    return n->type == JSON_STRING && !n->escaped && n->to - n->from == len &&
           memcmp(d->text + n->from, z, len) == 0;
}

const json_node *json_get(const json_doc *d, const json_node *object, const char *name)
{
    if (object->type != JSON_OBJECT)
        return NULL;
    const json_node *found = NULL, *key = object + 1;
    for (uint32_t i = 0; i < object->n; i++) {
        if (json_is(d, key, name))
            found = key + 1;
        key = json_next(key + 1);
    }
    return found;
}

fz_status json_need(const json_doc *d, const json_node *object, const char *name, const char *what,
                    const json_node **out, fz_error *err)
{
    if (object->type != JSON_OBJECT)
        return json_error(d, object, err, "%s isn't a JSON object", what);
    *out = json_get(d, object, name);
    if (!*out || (*out)->type == JSON_NULL)
        return json_error(d, object, err, "%s lacks \"%s\"", what, name);
    return FZ_OK;
}

str json_raw(const json_doc *d, const json_node *n)
{
    uint32_t quote = n->type == JSON_STRING;
    return (str){d->text + n->from - quote, n->to - n->from + 2 * quote};
}

static size_t utf8_put(char *dst, uint32_t c)
{
    if (c < 0x80) {
        dst[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        dst[0] = (char)(0xC0 | c >> 6);
        dst[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        dst[0] = (char)(0xE0 | c >> 12);
        dst[1] = (char)(0x80 | (c >> 6 & 63));
        dst[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    dst[0] = (char)(0xF0 | c >> 18);
    dst[1] = (char)(0x80 | (c >> 12 & 63));
    dst[2] = (char)(0x80 | (c >> 6 & 63));
    dst[3] = (char)(0x80 | (c & 63));
    return 4;
}

size_t json_unescape(const json_doc *d, const json_node *n, char *dst)
{
    const char *p = d->text + n->from, *end = d->text + n->to;
    if (!n->escaped) {
        memcpy(dst, p, (size_t)(end - p));
        return (size_t)(end - p);
    }
    char *at = dst;
    while (p < end) {
        if (*p != '\\') {
            *at++ = *p++;
            continue;
        }
        p++; /* the scanner has checked what follows */
        switch (*p) {
        case 'b': *at++ = '\b'; p++; break;
        case 'f': *at++ = '\f'; p++; break;
        case 'n': *at++ = '\n'; p++; break;
        case 'r': *at++ = '\r'; p++; break;
        case 't': *at++ = '\t'; p++; break;
        case 'u': {
            uint32_t c = (uint32_t)hex4(p + 1, end);
            p += 5;
            if (c >= 0xD800 && c <= 0xDBFF) {
                c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)hex4(p + 2, end) - 0xDC00);
                p += 6;
            }
            at += utf8_put(at, c);
            break;
        }
        default: *at++ = *p++; break;
        }
    }
    return (size_t)(at - dst);
}

fz_status json_str(const json_doc *d, const json_node *n, arena *a, str *out, fz_error *err)
{
    if (n->type != JSON_STRING)
        return json_error(d, n, err, "a string was expected");
    size_t len = n->to - n->from;
    char *p = arena_alloc(a, len + 1);
    if (!p)
        return error_nomem(err);
    len = json_unescape(d, n, p);
    p[len] = 0;
    *out = (str){p, len};
    return FZ_OK;
}

fz_status json_i64(const json_doc *d, const json_node *n, int64_t *out, fz_error *err)
{
    if (n->type != JSON_INT)
        return json_error(d, n, err, "an integer was expected");
    if (!str_to_i64((str){d->text + n->from, n->to - n->from}, out))
        return json_error(d, n, err, "an integer is out of range");
    return FZ_OK;
}

fz_status json_i32(const json_doc *d, const json_node *n, int32_t *out, fz_error *err)
{
    int64_t v;
    TRY(json_i64(d, n, &v, err));
    if (v < INT32_MIN || v > INT32_MAX)
        return json_error(d, n, err, "an integer is out of range");
    *out = (int32_t)v;
    return FZ_OK;
}

fz_status json_bool(const json_doc *d, const json_node *n, bool *out, fz_error *err)
{
    if (n->type != JSON_TRUE && n->type != JSON_FALSE)
        return json_error(d, n, err, "true or false was expected");
    *out = n->type == JSON_TRUE;
    return FZ_OK;
}

fz_status json_want(const json_doc *d, const json_node *n, json_type type, const char *what, fz_error *err)
{
    static const char *const names[] = {
        [JSON_NULL] = "null", [JSON_FALSE] = "false", [JSON_TRUE] = "true", [JSON_INT] = "an integer",
        [JSON_REAL] = "a number", [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
    };
    if (n->type != type)
        return json_error(d, n, err, "%s isn't %s", what, names[type]);
    return FZ_OK;
}

void json_compact(str text, sbuf *out)
{
    bool in_string = false;
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            sbuf_add(out, text.p + from, i - from);
            from = i + 1;
        }
    }
    if (from < text.n)
        sbuf_add(out, text.p + from, text.n - from);
}

/* ---- writing ---- */

static void jw_before(json_writer *w)
{
    if (w->comma)
        sbuf_addc(w->out, ',');
    w->comma = true;
}

static void quote(sbuf *out, str s)
{
    static const char hex[] = "0123456789abcdef";
    sbuf_addc(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        sbuf_add(out, s.p + from, i - from);
        from = i + 1;
        char e[6] = {'\\', (char)c, '0', '0', 0, 0};
        size_t n = 2;
        switch (c) {
        case '"': case '\\': break;
        case '\n': e[1] = 'n'; break;
        case '\r': e[1] = 'r'; break;
        case '\t': e[1] = 't'; break;
        default:
            e[1] = 'u';
            e[4] = hex[c >> 4];
            e[5] = hex[c & 15];
            n = 6;
        }
        sbuf_add(out, e, n);
    }
    if (s.n > from)
        sbuf_add(out, s.p + from, s.n - from);
    sbuf_addc(out, '"');
}

void jw_begin(json_writer *w, char bracket)
{
    jw_before(w);
    sbuf_addc(w->out, bracket);
    w->comma = false;
}

void jw_end(json_writer *w, char bracket)
{
    sbuf_addc(w->out, bracket);
    w->comma = true;
}

void jw_key_str(json_writer *w, str key)
{
    jw_before(w);
    quote(w->out, key);
    sbuf_addc(w->out, ':');
    w->comma = false;
}

void jw_key(json_writer *w, const char *key) { jw_key_str(w, str_of(key)); }

void jw_str(json_writer *w, str value)
{
    jw_before(w);
    quote(w->out, value);
}

void jw_i64(json_writer *w, int64_t value)
{
    jw_before(w);
    sbuf_i64(w->out, value);
}

void jw_bool(json_writer *w, bool value)
{
    jw_before(w);
    sbuf_addz(w->out, value ? "true" : "false");
}

void jw_raw(json_writer *w, str json)
{
    jw_before(w);
    sbuf_str(w->out, json);
}
