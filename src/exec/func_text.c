/*
 * func_text.c: functions of text. Positions and lengths count characters (code points), from 1. Case follows
 * Unicode's simple mappings (utf8proc), whatever the locale.
 */
#include "exec/text_int.h"

#include <utf8proc.h>

/* ---- case ---- */

void text_case(str s, bool upper, sbuf *out)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80) {
            char x = (char)c;
            if (upper ? (c >= 'a' && c <= 'z') : (c >= 'A' && c <= 'Z'))
                x ^= 0x20;
            sbuf_addc(out, x);
            i++;
            continue;
        }
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p + i, (utf8proc_ssize_t)(s.n - i), &cp);
        if (n <= 0) { /* not UTF-8: as it is */
            sbuf_addc(out, s.p[i++]);
            continue;
        }
        utf8proc_uint8_t b[4];
        utf8proc_ssize_t m = utf8proc_encode_char(upper ? utf8proc_toupper(cp) : utf8proc_tolower(cp), b);
        sbuf_add(out, b, (size_t)m);
        i += (size_t)n;
    }
}

static fz_status case_fn(kcall *c, int mode, fz_error *err)
{
    sbuf b;
    fz_status st = FZ_OK;
    sbuf_init(&b, NULL);
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        sbuf_clear(&b);
        if (mode < 2) {
            text_case(s, mode == 1, &b);
        } else { /* initcap */
            bool start = true;
            for (size_t at = 0; at < s.n;) {
                size_t n = utf8_skip((str){s.p + at, s.n - at}, 1);
                bool word = ((unsigned char)s.p[at] >= 0x80) || (s.p[at] >= '0' && s.p[at] <= '9') ||
                            ((s.p[at] | 0x20) >= 'a' && (s.p[at] | 0x20) <= 'z');
                text_case((str){s.p + at, n}, start && word, &b);
                start = !word;
                at += n;
            }
        }
        if (b.failed)
            st = error_nomem(err);
        if (st == FZ_OK)
            st = text_copy(c, i, b.p, b.n, err);
        if (st != FZ_OK)
            break;
    }
    sbuf_free(&b);
    return st;
}
static fz_status lower(kcall *c, fz_error *err) { return case_fn(c, 0, err); }
static fz_status upper(kcall *c, fz_error *err) { return case_fn(c, 1, err); }
static fz_status initcap(kcall *c, fz_error *err) { return case_fn(c, 2, err); }

/* ---- lengths, codes ---- */

static fz_status length(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((int64_t *)c->out->data)[i] = utf8_count(text_at(&c->args[0], i));
    return FZ_OK;
}
static fz_status octet_length(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((int64_t *)c->out->data)[i] = (int64_t)text_at(&c->args[0], i).n;
    return FZ_OK;
}
static fz_status ascii(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        utf8proc_int32_t cp = 0;
        if (s.n && utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &cp) <= 0)
            cp = (unsigned char)s.p[0];
        ((int64_t *)c->out->data)[i] = cp;
    }
    return FZ_OK;
}
static fz_status chr(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t cp = i64_at(&c->args[0], i);
        utf8proc_uint8_t b[4];
        if (cp <= 0 || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
            return kernel_error(c, err, "22023", "there is no character %lld", (long long)cp);
        utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)cp, b);
        text_set(c, i, (const char *)b, (size_t)n); /* at most 4 bytes: inside the view */
    }
    return FZ_OK;
}

/* ---- parts: views of the argument ---- */

/* A part of an argument. A view of up to 12 bytes holds them itself; the bytes of a longer one lie outside the
 * argument's view, too, and live as long as it. */
static void part_set(kcall *c, uint32_t row, str s) { text_set(c, row, s.p, s.n); }

static fz_status substr_from(kcall *c, uint32_t i, str s, int64_t from, int64_t count)
{
    /* from counts from 1 and may lie before the text: what lies there counts, too */
    int64_t end;
    if (__builtin_add_overflow(from, count, &end))
        end = INT64_MAX;
    if (from < 1)
        from = 1;
    size_t a = utf8_skip(s, from - 1);
    size_t n = end > from ? utf8_skip((str){s.p + a, s.n - a}, end - from) : 0;
    part_set(c, i, (str){s.p + a, n});
    return FZ_OK;
}
static fz_status substring(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        int64_t n = c->e->n > 2 ? i64_at(&c->args[2], i) : INT64_MAX;
        if (n < 0)
            return kernel_error(c, err, "22011", "a negative substring length");
        TRY(substr_from(c, i, text_at(&c->args[0], i), i64_at(&c->args[1], i), n));
    }
    return FZ_OK;
}
static fz_status left(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        int64_t n = i64_at(&c->args[1], i);
        if (n < 0) /* all but the last -n */
            n = n < -(int64_t)s.n ? 0 : utf8_count(s) + n;
        part_set(c, i, (str){s.p, utf8_skip(s, n)});
    }
    return FZ_OK;
}
static fz_status right(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        int64_t n = i64_at(&c->args[1], i), total = utf8_count(s);
        int64_t skip = n < 0 ? (n < -total ? total : -n) : n > total ? 0 : total - n;
        size_t a = utf8_skip(s, skip);
        part_set(c, i, (str){s.p + a, s.n - a});
    }
    return FZ_OK;
}

/* Whether the character at the start of s is one of the set; its bytes in *n. */
static bool in_chars(str s, str set, size_t *n)
{
    *n = utf8_skip(s, 1);
    for (size_t i = 0; i < set.n;) {
        size_t m = utf8_skip((str){set.p + i, set.n - i}, 1);
        if (m == *n && memcmp(set.p + i, s.p, m) == 0)
            return true;
        i += m;
    }
    return false;
}
static fz_status trim_fn(kcall *c, bool front, bool back)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i), set = c->e->n > 1 ? text_at(&c->args[1], i) : STR(" ");
        size_t n;
        while (front && s.n && in_chars(s, set, &n)) {
            s.p += n;
            s.n -= n;
        }
        while (back && s.n) {
            size_t at = s.n - 1;
            while (at > 0 && utf8_cont(s.p[at]))
                at--;
            if (!in_chars((str){s.p + at, s.n - at}, set, &n))
                break;
            s.n = at;
        }
        part_set(c, i, s);
    }
    return FZ_OK;
}
static fz_status trim(kcall *c, fz_error *err) { return trim_fn(c, true, true); }
static fz_status ltrim(kcall *c, fz_error *err) { return trim_fn(c, true, false); }
static fz_status rtrim(kcall *c, fz_error *err) { return trim_fn(c, false, true); }

/* ---- searching ---- */

static size_t find(str s, str what, size_t from)
{
    if (what.n == 0)
        return from;
    if (from > s.n || s.n - from < what.n)
        return SIZE_MAX;
    const char *p = memmem(s.p + from, s.n - from, what.p, what.n);
    return p ? (size_t)(p - s.p) : SIZE_MAX;
}
static fz_status strpos(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        size_t at = find(s, text_at(&c->args[1], i), 0);
        ((int64_t *)c->out->data)[i] = at == SIZE_MAX ? 0 : utf8_count((str){s.p, at}) + 1;
    }
    return FZ_OK;
}
static fz_status starts_with(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((uint8_t *)c->out->data)[i] = str_starts(text_at(&c->args[0], i), text_at(&c->args[1], i));
    return FZ_OK;
}
static fz_status ends_with(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((uint8_t *)c->out->data)[i] = str_ends(text_at(&c->args[0], i), text_at(&c->args[1], i));
    return FZ_OK;
}
static fz_status contains(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((uint8_t *)c->out->data)[i] = find(text_at(&c->args[0], i), text_at(&c->args[1], i), 0) != SIZE_MAX;
    return FZ_OK;
}
static fz_status split_part(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i), sep = text_at(&c->args[1], i);
        int64_t want = i64_at(&c->args[2], i), fields = 1;
        if (want == 0)
            return kernel_error(c, err, "22023", "split_part's field must not be zero");
        if (sep.n == 0) {
            part_set(c, i, want == 1 || want == -1 ? s : STR(""));
            continue;
        }
        if (want < 0) { /* from the end */
            for (size_t at = 0; (at = find(s, sep, at)) != SIZE_MAX; at += sep.n)
                fields++;
            want = want < -fields ? 0 : fields + want + 1;
        }
        size_t from = 0, at = SIZE_MAX;
        bool there = want > 0;
        for (int64_t k = 1; there; k++) {
            at = find(s, sep, from);
            if (k == want)
                break;
            there = at != SIZE_MAX;
            from = at + sep.n;
        }
        part_set(c, i, there ? (str){s.p + from, (at == SIZE_MAX ? s.n : at) - from} : STR(""));
    }
    return FZ_OK;
}

/* ---- new texts ---- */

static fz_status replace(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i), a = text_at(&c->args[1], i), b = text_at(&c->args[2], i);
        size_t hits = 0, at = 0;
        while (a.n && (at = find(s, a, at)) != SIZE_MAX) {
            hits++;
            at += a.n;
        }
        if (!hits) {
            part_set(c, i, s);
            continue;
        }
        size_t n = s.n - hits * a.n + hits * b.n, from = 0;
        char *p = text_room(c, n, err), *to = p;
        if (!p)
            return n > TEXT_MAX ? FZ_VALUE : FZ_NOMEM;
        while ((at = find(s, a, from)) != SIZE_MAX) {
            memcpy(to, s.p + from, at - from);
            to += at - from;
            memcpy(to, b.p, b.n);
            to += b.n;
            from = at + a.n;
        }
        memcpy(to, s.p + from, s.n - from);
        text_set(c, i, p, n);
    }
    return FZ_OK;
}
static fz_status repeat(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        int64_t times = i64_at(&c->args[1], i);
        size_t n;
        if (times < 0 || s.n == 0)
            times = 0;
        if (__builtin_mul_overflow(s.n, (size_t)times, &n))
            n = SIZE_MAX;
        char *p = text_room(c, n, err);
        if (!p)
            return n > TEXT_MAX ? FZ_VALUE : FZ_NOMEM;
        for (size_t at = 0; at < n; at += s.n)
            memcpy(p + at, s.p, s.n);
        text_set(c, i, p, n);
    }
    return FZ_OK;
}
static fz_status reverse(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i);
        char *p = text_room(c, s.n, err);
        if (!p)
            return FZ_NOMEM;
        for (size_t at = 0; at < s.n;) {
            size_t n = utf8_skip((str){s.p + at, s.n - at}, 1);
            memcpy(p + s.n - at - n, s.p + at, n);
            at += n;
        }
        text_set(c, i, p, s.n);
    }
    return FZ_OK;
}
static fz_status pad(kcall *c, bool front, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i), fill = c->e->n > 2 ? text_at(&c->args[2], i) : STR(" ");
        int64_t want = i64_at(&c->args[1], i), have = utf8_count(s);
        if (want <= have || fill.n == 0) {
            part_set(c, i, (str){s.p, utf8_skip(s, want)});
            continue;
        }
        if (want > (int64_t)TEXT_MAX)
            return kernel_error(c, err, "54000", "a text of %lld characters is too long", (long long)want);
        int64_t need = want - have, in_fill = utf8_count(fill);
        size_t rest = utf8_skip(fill, need % in_fill), n = s.n + (size_t)(need / in_fill) * fill.n + rest;
        char *p = text_room(c, n, err), *to = p;
        if (!p)
            return n > TEXT_MAX ? FZ_VALUE : FZ_NOMEM;
        if (!front) {
            memcpy(to, s.p, s.n);
            to += s.n;
        }
        for (int64_t k = 0; k < need / in_fill; k++, to += fill.n)
            memcpy(to, fill.p, fill.n);
        memcpy(to, fill.p, rest);
        if (front)
            memcpy(to + rest, s.p, s.n);
        text_set(c, i, p, n);
    }
    return FZ_OK;
}
static fz_status lpad(kcall *c, fz_error *err) { return pad(c, true, err); }
static fz_status rpad(kcall *c, fz_error *err) { return pad(c, false, err); }

/* from → to, character by character; characters of `from` without a partner go. */
static fz_status translate(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        str s = text_at(&c->args[0], i), from = text_at(&c->args[1], i), to = text_at(&c->args[2], i);
        char *p = text_room(c, s.n * 4, err);
        size_t n = 0;
        if (!p)
            return s.n * 4 > TEXT_MAX ? FZ_VALUE : FZ_NOMEM;
        for (size_t at = 0; at < s.n;) {
            size_t len = utf8_skip((str){s.p + at, s.n - at}, 1);
            int64_t k = 0;
            bool hit = false;
            for (size_t f = 0; f < from.n && !hit; k++) {
                size_t m = utf8_skip((str){from.p + f, from.n - f}, 1);
                hit = m == len && memcmp(from.p + f, s.p + at, m) == 0;
                f += m;
            }
            str put = {s.p + at, len};
            if (hit) {
                size_t a = utf8_skip(to, k - 1);
                put = (str){to.p + a, utf8_skip((str){to.p + a, to.n - a}, 1)};
            }
            memcpy(p + n, put.p, put.n);
            n += put.n;
            at += len;
        }
        text_set(c, i, p, n);
    }
    return FZ_OK;
}

/* || is null when one side is; concat passes over nulls, concat_ws also sets a separator between. */
static fz_status join_all(kcall *c, uint32_t first, bool sep, fz_error *err)
{
    EACH_ROW(c, i)
    {
        size_t n = 0;
        uint32_t parts = 0;
        if (sep && arg_null(&c->args[0], i)) {
            ((strview *)c->out->data)[i] = (strview){0};
            if (!kcall_null(c, i))
                return error_nomem(err);
            continue;
        }
        str between = sep ? text_at(&c->args[0], i) : STR("");
        for (uint32_t a = first; a < c->e->n; a++)
            if (!arg_null(&c->args[a], i))
                n += text_at(&c->args[a], i).n + (parts++ ? between.n : 0);
        char *p = text_room(c, n, err), *to = p;
        if (!p)
            return n > TEXT_MAX ? FZ_VALUE : FZ_NOMEM;
        parts = 0;
        for (uint32_t a = first; a < c->e->n; a++) {
            if (arg_null(&c->args[a], i))
                continue;
            str s = text_at(&c->args[a], i);
            if (parts++) {
                memcpy(to, between.p, between.n);
                to += between.n;
            }
            memcpy(to, s.p, s.n);
            to += s.n;
        }
        text_set(c, i, p, n);
    }
    return FZ_OK;
}
static fz_status concat(kcall *c, fz_error *err) { return join_all(c, 0, false, err); }
static fz_status concat_ws(kcall *c, fz_error *err) { return join_all(c, 1, true, err); }

#define TEXT1(NAME, K) {NAME, 1, {T_STRING}, T_STRING, 0, K}
const func func_text_table[] = {
    TEXT1("lower", lower), TEXT1("lcase", lower), TEXT1("upper", upper), TEXT1("ucase", upper), TEXT1("initcap", initcap),
    TEXT1("reverse", reverse),
    {"length", 1, {T_STRING}, T_INT64, 0, length},
    {"length", 1, {T_BINARY}, T_INT64, 0, octet_length},
    {"char_length", 1, {T_STRING}, T_INT64, 0, length},
    {"octet_length", 1, {T_STRING}, T_INT64, 0, octet_length},
    {"octet_length", 1, {T_BINARY}, T_INT64, 0, octet_length},
    {"ascii", 1, {T_STRING}, T_INT64, 0, ascii},
    {"chr", 1, {T_INT64}, T_STRING, FN_FALLIBLE, chr},
    {"substring", 2, {T_STRING, T_INT64}, T_STRING, 0, substring},
    {"substring", 3, {T_STRING, T_INT64, T_INT64}, T_STRING, FN_FALLIBLE, substring},
    {"substr", 2, {T_STRING, T_INT64}, T_STRING, 0, substring},
    {"substr", 3, {T_STRING, T_INT64, T_INT64}, T_STRING, FN_FALLIBLE, substring},
    {"left", 2, {T_STRING, T_INT64}, T_STRING, 0, left},
    {"right", 2, {T_STRING, T_INT64}, T_STRING, 0, right},
    {"trim", 1, {T_STRING}, T_STRING, 0, trim}, {"trim", 2, {T_STRING, T_STRING}, T_STRING, 0, trim},
    {"btrim", 1, {T_STRING}, T_STRING, 0, trim}, {"btrim", 2, {T_STRING, T_STRING}, T_STRING, 0, trim},
    {"ltrim", 1, {T_STRING}, T_STRING, 0, ltrim}, {"ltrim", 2, {T_STRING, T_STRING}, T_STRING, 0, ltrim},
    {"rtrim", 1, {T_STRING}, T_STRING, 0, rtrim}, {"rtrim", 2, {T_STRING, T_STRING}, T_STRING, 0, rtrim},
    {"strpos", 2, {T_STRING, T_STRING}, T_INT64, 0, strpos},
    {"position", 2, {T_STRING, T_STRING}, T_INT64, 0, strpos},
    {"starts_with", 2, {T_STRING, T_STRING}, T_BOOL, 0, starts_with},
    {"ends_with", 2, {T_STRING, T_STRING}, T_BOOL, 0, ends_with},
    {"contains", 2, {T_STRING, T_STRING}, T_BOOL, 0, contains},
    {"split_part", 3, {T_STRING, T_STRING, T_INT64}, T_STRING, FN_FALLIBLE, split_part},
    {"replace", 3, {T_STRING, T_STRING, T_STRING}, T_STRING, 0, replace},
    {"repeat", 2, {T_STRING, T_INT64}, T_STRING, FN_FALLIBLE, repeat},
    {"lpad", 2, {T_STRING, T_INT64}, T_STRING, FN_FALLIBLE, lpad},
    {"lpad", 3, {T_STRING, T_INT64, T_STRING}, T_STRING, FN_FALLIBLE, lpad},
    {"rpad", 2, {T_STRING, T_INT64}, T_STRING, FN_FALLIBLE, rpad},
    {"rpad", 3, {T_STRING, T_INT64, T_STRING}, T_STRING, FN_FALLIBLE, rpad},
    {"translate", 3, {T_STRING, T_STRING, T_STRING}, T_STRING, 0, translate},
    {"||", 2, {T_STRING, T_STRING}, T_STRING, 0, concat},
    {"concat", 1, {T_STRING}, T_STRING, FN_NULLS | FN_VARIADIC, concat},
    {"concat_ws", 2, {T_STRING, T_STRING}, T_STRING, FN_NULLS | FN_VARIADIC, concat_ws},
    {0},
};
