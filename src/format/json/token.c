/* token.c: see token.h. */
#include "format/json/token.h"

static const char *fault(json_fault *f, const char *what, const char *at)
{
    *f = (json_fault){what, at};
    return NULL;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* p is at "\u". */
static const char *check_unicode(const char *p, json_fault *f)
{
    int v = hex4(p + 2);
    if (v < 0)
        return fault(f, "four hexadecimal digits are due after \\u", p);
    if (v >= 0xdc00 && v <= 0xdfff)
        return fault(f, "an escaped low surrogate without a high one before it", p);
    if (v < 0xd800 || v > 0xdbff)
        return p + 6;
    int low = p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return fault(f, "an escaped high surrogate without a low one after it", p);
    return p + 12;
}

const char *json_string_escaped(const char *p, json_fault *f)
{
    for (;;) {
        p = json_plain(p);
        if (*p == '"')
            return p + 1;
        if (*p != '\\')
            return fault(f, *p == 0 ? "the string isn't closed" : *p == '\n' ? "a line ends within a string" : "a control character in a string", p);
        switch (p[1]) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            p += 2;
            break;
        case 'u':
            if (!(p = check_unicode(p, f)))
                return NULL;
            break;
        default:
            return fault(f, "an escape that JSON doesn't have", p);
        }
    }
}

static char *put_utf8(char *d, uint32_t c)
{
    if (c < 0x80) {
        *d++ = (char)c;
    } else if (c < 0x800) {
        *d++ = (char)(0xc0 | c >> 6);
        *d++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *d++ = (char)(0xe0 | c >> 12);
        *d++ = (char)(0x80 | (c >> 6 & 0x3f));
        *d++ = (char)(0x80 | (c & 0x3f));
    } else {
        *d++ = (char)(0xf0 | c >> 18);
        *d++ = (char)(0x80 | (c >> 12 & 0x3f));
        *d++ = (char)(0x80 | (c >> 6 & 0x3f));
        *d++ = (char)(0x80 | (c & 0x3f));
    }
    return d;
}

size_t json_string_value(const char *p, const char *end, char *dst)
{
    char *d = dst;
    while (p < end) {
        if (*p != '\\') {
            *d++ = *p++;
            continue;
        }
        char c = p[1];
        p += 2;
        if (c != 'u') {
            *d++ = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
            continue;
        }
        uint32_t v = (uint32_t)hex4(p);
        p += 4;
        if (v >= 0xd800 && v <= 0xdbff) {
            v = 0x10000 + ((v - 0xd800) << 10) + ((uint32_t)hex4(p + 2) - 0xdc00);
            p += 6;
        }
        d = put_utf8(d, v);
    }
    return (size_t)(d - dst);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char *json_number_scan(const char *p, json_number *kind, json_fault *f)
{
    const char *from = p;
    *kind = JSON_NUM_INT;
    if (*p == '-')
        p++;
    if (!is_digit(*p))
        return fault(f, (*p | 32) == 'i' ? "Infinity isn't JSON" : "a number without digits", from);
    if (*p == '0' && is_digit(p[1]))
        return fault(f, "a number that starts with a zero", from);
    while (is_digit(*p))
        p++;
    if (*p == '.') {
        *kind = JSON_NUM_REAL;
        if (!is_digit(*++p))
            return fault(f, "a digit is due after the decimal point", from);
        while (is_digit(*p))
            p++;
    }
    if ((*p | 32) == 'e') {
        *kind = JSON_NUM_REAL;
        p++;
        if (*p == '+' || *p == '-')
            p++;
        if (!is_digit(*p))
            return fault(f, "an exponent without digits", from);
        while (is_digit(*p))
            p++;
    }
    return p;
}

const char *json_not_value(const char *p)
{
    if (strncmp(p, "NaN", 3) == 0)
        return "NaN isn't JSON";
    if (strncmp(p, "Infinity", 8) == 0)
        return "Infinity isn't JSON";
    return *p == 0 ? "the text ends where a value is due" : "a value is due here";
}

const char *json_value_skip(const char *p, json_fault *f)
{
    uint64_t object[JSON_VALUE_DEPTH / 64]; /* bit d: the bracket of depth d is a brace */
    unsigned depth = 0;
    const char *end;
    bool escaped;
    json_number kind;
    for (;;) {
        /* a value */
        p = json_ws(p);
        switch (*p) {
        case '"':
            if (!(p = json_string(p + 1, &end, &escaped, f)))
                return NULL;
            break;
        case '{':
        case '[': {
            bool brace = *p == '{';
            if (depth == JSON_VALUE_DEPTH)
                return fault(f, "brackets nested more than 1024 deep", p);
            if (depth % 64 == 0)
                object[depth / 64] = 0;
            object[depth / 64] = brace ? object[depth / 64] | 1ull << depth % 64 : object[depth / 64] & ~(1ull << depth % 64);
            depth++;
            p = json_ws(p + 1);
            if (*p == (brace ? '}' : ']')) {
                p++;
                depth--;
                break;
            }
            if (brace)
                goto key;
            continue;
        }
        case 't':
            if (strncmp(p, "true", 4) != 0)
                return fault(f, json_not_value(p), p);
            p += 4;
            break;
        case 'f':
            if (strncmp(p, "false", 5) != 0)
                return fault(f, json_not_value(p), p);
            p += 5;
            break;
        case 'n':
            if (strncmp(p, "null", 4) != 0)
                return fault(f, json_not_value(p), p);
            p += 4;
            break;
        default:
            if (*p != '-' && !is_digit(*p))
                return fault(f, json_not_value(p), p);
            if (!(p = json_number_scan(p, &kind, f)))
                return NULL;
        }
        /* behind a value */
        for (;;) {
            if (depth == 0)
                return p;
            bool brace = object[(depth - 1) / 64] >> (depth - 1) % 64 & 1;
            p = json_ws(p);
            if (*p == ',') {
                p = json_ws(p + 1);
                if (brace)
                    goto key;
                break;
            }
            if (*p != (brace ? '}' : ']'))
                return fault(f, *p == 0 ? "the text ends within a value" : brace ? "a comma or } is due here" : "a comma or ] is due here", p);
            p++;
            depth--;
        }
        continue;
    key:
        if (*p != '"')
            return fault(f, *p == 0 ? "the text ends within a value" : "a key is due here", p);
        if (!(p = json_string(p + 1, &end, &escaped, f)))
            return NULL;
        p = json_ws(p);
        if (*p != ':')
            return fault(f, "a colon is due after the key", p);
        p++;
    }
}
