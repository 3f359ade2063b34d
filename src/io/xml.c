/*
 * xml.c: see xml.h. One pass, without recursion: a stack of open elements, each with the place where its own text begins in one buffer. Text
 * of an element that has child elements is joined.
 */
#include "io/xml.h"

#define TEXT_MAX 65536

typedef struct reader {
    str in;
    size_t at;
    sbuf text;                       /* texts of the open elements, one behind the other */
    str names[XML_DEPTH_MAX];
    size_t text_at[XML_DEPTH_MAX];
    uint32_t depth;
    bool root_seen;
    xml_fn fn;
    void *ctx;
} reader;

static fz_status bad(reader *x, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "the server's answer isn't XML: %s", what);
    error_offset(err, (int64_t)x->at);
    return FZ_DATA;
}

static bool starts(const reader *x, const char *z)
{
    size_t n = strlen(z);
    return x->in.n - x->at >= n && memcmp(x->in.p + x->at, z, n) == 0;
}

/* Moves behind the next occurrence of z. */
static bool skip_past(reader *x, const char *z)
{
    size_t n = strlen(z);
    const char *hit = x->in.n > x->at ? memmem(x->in.p + x->at, x->in.n - x->at, z, n) : NULL;
    if (!hit)
        return false;
    x->at = (size_t)(hit - x->in.p) + n;
    return true;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':' || (c & 0x80);
}

/* A name without its prefix. */
static str name_read(reader *x)
{
    size_t from = x->at;
    while (x->at < x->in.n && name_char(x->in.p[x->at]))
        x->at++;
    str s = {x->in.p + from, x->at - from};
    const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
    return colon ? (str){colon + 1, (size_t)(s.p + s.n - colon - 1)} : s;
}

static fz_status text_add(reader *x, const char *p, size_t n, fz_error *err)
{
    if (x->depth == 0)
        return FZ_OK; /* between the root and the document's ends */
    if (x->text.n - x->text_at[x->depth - 1] + n > TEXT_MAX)
        return bad(x, "a text is too long", err);
    sbuf_add(&x->text, p, n);
    return x->text.failed ? error_nomem(err) : FZ_OK;
}

static size_t utf8_put(uint32_t c, char *out)
{
    if (c < 0x80)
        return out[0] = (char)c, 1;
    if (c < 0x800)
        return out[0] = (char)(0xC0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return out[0] = (char)(0xE0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 63)), out[2] = (char)(0x80 | (c & 63)), 3;
    return out[0] = (char)(0xF0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 63)), out[2] = (char)(0x80 | (c >> 6 & 63)), out[3] = (char)(0x80 | (c & 63)), 4;
}

static bool number_read(str s, uint32_t *out)
{
    bool hex = s.n && s.p[0] == 'x';
    uint32_t v = 0;
    size_t i = hex;
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        char c = s.p[i];
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : hex && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 99;
        if (d == 99)
            return false;
        v = v * (hex ? 16 : 10) + d;
        if (v > 0x10FFFF)
            return false;
    }
    *out = v;
    return v && !(v >= 0xD800 && v < 0xE000);
}

/* At '&'. */
static fz_status entity_read(reader *x, fz_error *err)
{
    static const struct { const char *name; char c; } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    size_t from = x->at + 1, end = from;
    while (end < x->in.n && end - from < 12 && x->in.p[end] != ';')
        end++;
    if (end >= x->in.n || x->in.p[end] != ';')
        return bad(x, "an entity without an end", err);
    str s = {x->in.p + from, end - from};
    char out[4];
    size_t n = 0;
    uint32_t c;
    for (size_t i = 0; i < sizeof named / sizeof *named && !n; i++)
        if (str_eqz(s, named[i].name)) {
            out[0] = named[i].c;
            n = 1;
        }
    if (!n && s.n > 1 && s.p[0] == '#' && number_read((str){s.p + 1, s.n - 1}, &c))
        n = utf8_put(c, out);
    if (!n)
        return bad(x, "an unknown entity", err);
    x->at = end + 1;
    return text_add(x, out, n, err);
}

static fz_status element_end(reader *x, fz_error *err)
{
    size_t from = x->text_at[x->depth - 1];
    fz_status st = x->fn(x->ctx, x->names, x->depth, (str){x->text.p ? x->text.p + from : "", x->text.n - from}, err);
    x->text.n = from;
    x->depth--;
    return st;
}

/* Behind '<', at a name. */
static fz_status element_begin(reader *x, fz_error *err)
{
    str name = name_read(x);
    if (name.n == 0)
        return bad(x, "an element without a name", err);
    if (x->depth == XML_DEPTH_MAX)
        return bad(x, "elements are nested too deeply", err);
    if (x->depth == 0 && x->root_seen)
        return bad(x, "there is more than one root", err);
    x->root_seen = true;
    x->names[x->depth] = name;
    x->text_at[x->depth++] = x->text.n;
    while (x->at < x->in.n && x->in.p[x->at] != '>') { /* attributes; '>' may stand in their quotes */
        char c = x->in.p[x->at];
        if (c == '<')
            return bad(x, "'<' within a tag", err);
        if (c == '"' || c == '\'') {
            const char quote[2] = {c, 0};
            x->at++;
            if (!skip_past(x, quote))
                return bad(x, "a quote without an end", err);
            continue;
        }
        if (c == '/' && x->at + 1 < x->in.n && x->in.p[x->at + 1] == '>') {
            x->at += 2;
            return element_end(x, err);
        }
        x->at++;
    }
    if (x->at >= x->in.n)
        return bad(x, "it breaks off within a tag", err);
    x->at++;
    return FZ_OK;
}

/* Behind "</". */
static fz_status element_close(reader *x, fz_error *err)
{
    str name = name_read(x);
    while (x->at < x->in.n && is_space(x->in.p[x->at]))
        x->at++;
    if (x->depth == 0 || !str_eq(name, x->names[x->depth - 1]) || x->at >= x->in.n || x->in.p[x->at] != '>')
        return bad(x, "an end tag that fits no element", err);
    x->at++;
    return element_end(x, err);
}

static fz_status markup_read(reader *x, fz_error *err)
{
    if (starts(x, "<!--"))
        return skip_past(x, "-->") ? FZ_OK : bad(x, "a comment without an end", err);
    if (starts(x, "<![CDATA[")) {
        size_t from = x->at + 9;
        x->at = from;
        if (!skip_past(x, "]]>"))
            return bad(x, "CDATA without an end", err);
        return text_add(x, x->in.p + from, x->at - 3 - from, err);
    }
    if (starts(x, "<?"))
        return skip_past(x, "?>") ? FZ_OK : bad(x, "an instruction without an end", err);
    if (starts(x, "<!"))
        return bad(x, "it has a document type", err);
    if (starts(x, "</")) {
        x->at += 2;
        return element_close(x, err);
    }
    x->at++;
    return element_begin(x, err);
}

fz_status xml_read(str doc, mem *m, xml_fn fn, void *ctx, fz_error *err)
{
    reader x = {.in = doc, .fn = fn, .ctx = ctx};
    fz_status st = FZ_OK;
    sbuf_init(&x.text, m);
    if (starts(&x, "\xEF\xBB\xBF"))
        x.at = 3;
    while (x.at < doc.n && st == FZ_OK) {
        char c = doc.p[x.at];
        if (c == '<') {
            st = markup_read(&x, err);
        } else if (c == '&' && x.depth) {
            st = entity_read(&x, err);
        } else {
            size_t from = x.at;
            while (x.at < doc.n && doc.p[x.at] != '<' && doc.p[x.at] != '&') {
                if (x.depth == 0 && !is_space(doc.p[x.at]))
                    break;
                x.at++;
            }
            st = x.at > from ? text_add(&x, doc.p + from, x.at - from, err) : bad(&x, "text outside of elements", err);
        }
    }
    if (st == FZ_OK && (x.depth || !x.root_seen))
        st = bad(&x, "it breaks off", err);
    sbuf_free(&x.text);
    return st;
}

void xml_escape(str s, sbuf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        switch (c) {
        case '&': sbuf_addz(out, "&amp;"); break;
        case '<': sbuf_addz(out, "&lt;"); break;
        case '>': sbuf_addz(out, "&gt;"); break;
        case '"': sbuf_addz(out, "&quot;"); break;
        case '\'': sbuf_addz(out, "&apos;"); break;
        default:
            if (c < 32)
                sbuf_printf(out, "&#%u;", c);
            else
                sbuf_addc(out, (char)c);
        }
    }
}
