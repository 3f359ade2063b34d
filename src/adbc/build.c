/* build.c: see build.h. */
#include "adbc/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- schemas ---- */

static void schema_release(struct ArrowSchema *s)
{
    if (s->dictionary) {
        if (s->dictionary->release)
            s->dictionary->release(s->dictionary);
        free(s->dictionary);
    }
    free((void *)s->metadata);
    for (int64_t i = 0; i < s->n_children; i++) {
        if (s->children[i]->release)
            s->children[i]->release(s->children[i]);
        free(s->children[i]);
    }
    free(s->children);
    free(s->private_data); /* name and format */
    s->release = NULL;
}

static bool schema_fill(struct ArrowSchema *s, const char *name, const char *format, int64_t flags)
{
    size_t nn = strlen(name) + 1, nf = strlen(format) + 1;
    char *text = malloc(nn + nf);
    *s = (struct ArrowSchema){0};
    if (!text)
        return false;
    memcpy(text, name, nn);
    memcpy(text + nn, format, nf);
    *s = (struct ArrowSchema){.format = text + nn, .name = text, .flags = flags, .release = schema_release, .private_data = text};
    return true;
}

struct ArrowSchema *adbc_field(const char *name, const char *format, int64_t flags)
{
    struct ArrowSchema *s = malloc(sizeof *s);
    if (s && schema_fill(s, name, format, flags))
        return s;
    free(s);
    return NULL;
}

/* Takes the fields. */
static bool schema_children(struct ArrowSchema *s, uint32_t n, va_list ap)
{
    bool ok = s->release != NULL;
    if (ok && n && !(s->children = calloc(n, sizeof *s->children)))
        ok = false;
    for (uint32_t i = 0; i < n; i++) {
        struct ArrowSchema *c = va_arg(ap, struct ArrowSchema *);
        if (ok && c) {
            s->children[s->n_children++] = c;
        } else {
            ok = false;
            if (c) {
                c->release(c);
                free(c);
            }
        }
    }
    if (!ok && s->release)
        s->release(s);
    return ok;
}

struct ArrowSchema *adbc_nested(const char *name, const char *format, int64_t flags, uint32_t n, ...)
{
    struct ArrowSchema none = {0}, *s = adbc_field(name, format, flags);
    va_list ap;
    va_start(ap, n);
    bool ok = schema_children(s ? s : &none, n, ap);
    va_end(ap);
    if (!ok) {
        free(s);
        return NULL;
    }
    return s;
}

bool adbc_struct(struct ArrowSchema *out, uint32_t n, ...)
{
    va_list ap;
    schema_fill(out, "", "+s", 0);
    va_start(ap, n);
    bool ok = schema_children(out, n, ap);
    va_end(ap);
    return ok;
}

/* ---- values ---- */

static void *grow(builder *b, bytes *x, size_t n)
{
    if (b->root->failed)
        return NULL;
    if (x->cap - x->n < n) {
        size_t cap = x->cap ? x->cap * 2 : 64;
        while (cap - x->n < n)
            cap *= 2;
        unsigned char *p = realloc(x->p, cap);
        if (!p) {
            b->root->failed = true;
            return NULL;
        }
        x->p = p;
        x->cap = cap;
    }
    x->n += n;
    return x->p + x->n - n;
}

static void put(builder *b, bytes *x, const void *p, size_t n)
{
    void *to = grow(b, x, n);
    if (to && n)
        memcpy(to, p, n);
}

static void put_bit(builder *b, bytes *x, bool v)
{
    if (b->length % 8 == 0)
        put(b, x, "", 1);
    if (!b->root->failed)
        x->p[b->length / 8] |= (unsigned char)(v << b->length % 8);
}

static bool is_list(const builder *b)
{
    return b->format[0] == '+' && (b->format[1] == 'l' || b->format[1] == 'm');
}

static bool is_text(const builder *b)
{
    return b->format[0] == 'u' || b->format[0] == 'z';
}

static bool is_union(const builder *b)
{
    return b->format[0] == '+' && b->format[1] == 'u';
}

static builder *node_new(builder *root, const struct ArrowSchema *s)
{
    builder *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->root = root ? root : b;
    b->format = s->format;
    if (s->n_children && !(b->kids = calloc((size_t)s->n_children, sizeof *b->kids))) {
        free(b);
        return NULL;
    }
    for (int64_t i = 0; i < s->n_children; i++) {
        if (!(b->kids[b->n_kids] = node_new(b->root, s->children[i]))) {
            builder_free(b);
            return NULL;
        }
        b->n_kids++;
    }
    if (is_list(b) || is_text(b))
        put(b, &b->offsets, &(int32_t){0}, sizeof(int32_t));
    return b;
}

builder *builder_new(const struct ArrowSchema *s)
{
    return node_new(NULL, s);
}

void builder_free(builder *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->n_kids; i++)
        builder_free(b->kids[i]);
    free(b->kids);
    free(b->valid.p);
    free(b->offsets.p);
    free(b->data.p);
    free(b);
}

/* Bytes of a value; 0: none or bits. */
static size_t width(const builder *b)
{
    switch (b->format[0]) {
    case 'c': case 'C': return 1;
    case 's': case 'S': return 2;
    case 'i': case 'I': return 4;
    case 't': return b->format[1] == 'd' && b->format[2] == 'D' ? 4 : 8;
    case 'l': case 'L': case 'g': return 8;
    default: return 0;
    }
}

/* Ends the value that was appended last. */
static void done(builder *b, bool valid)
{
    if (is_list(b) || is_text(b)) {
        int64_t end = is_text(b) ? (int64_t)b->data.n : b->kids[0]->length;
        if (end > INT32_MAX)
            b->root->failed = true;
        put(b, &b->offsets, &(int32_t){(int32_t)end}, sizeof(int32_t));
    }
    put_bit(b, &b->valid, valid);
    b->nulls += !valid;
    b->length++;
}

void build_null(builder *b)
{
    if (is_union(b)) { /* which has no nulls of its own: its first member has */
        build_null(b->kids[0]);
        build_member(b, 0);
        return;
    }
    if (b->format[0] == '+' && b->format[1] == 's')
        for (uint32_t i = 0; i < b->n_kids; i++)
            build_null(b->kids[i]);
    if (b->format[0] == 'b')
        put_bit(b, &b->data, false);
    void *p = grow(b, &b->data, width(b));
    if (p)
        memset(p, 0, width(b));
    done(b, false);
}

void build_int(builder *b, int64_t v)
{
    if (b->format[0] == 'b')
        put_bit(b, &b->data, v != 0);
    else
        put(b, &b->data, (char *)&v + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : sizeof v - width(b)), width(b));
    done(b, true);
}

void build_double(builder *b, double v)
{
    put(b, &b->data, &v, sizeof v);
    done(b, true);
}

void build_text(builder *b, const char *p, size_t n)
{
    put(b, &b->data, p, n);
    done(b, true);
}

void build_z(builder *b, const char *z)
{
    if (z)
        build_text(b, z, strlen(z));
    else
        build_null(b);
}

void build_end(builder *b)
{
    done(b, true);
}

void build_member(builder *b, uint8_t code)
{
    put(b, &b->offsets, &(int32_t){(int32_t)b->kids[code]->length - 1}, sizeof(int32_t));
    put(b, &b->data, &code, 1);
    b->length++;
}

/* ---- out ---- */

typedef struct held { const void *buffers[3]; void *own[3]; struct ArrowArray *kids, **refs; } held;

static void array_release(struct ArrowArray *a)
{
    held *h = a->private_data;
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release)
            a->children[i]->release(a->children[i]);
    for (int i = 0; i < 3; i++)
        free(h->own[i]);
    free(h->kids);
    free(h->refs);
    free(h);
    a->release = NULL;
}

/* Moves the buffers out; no buffer may be NULL but the validity. */
static bool array_of(builder *b, struct ArrowArray *out)
{
    *out = (struct ArrowArray){0};
    held *h = calloc(1, sizeof *h);
    if (!h)
        return false;
    *out = (struct ArrowArray){.length = b->length, .null_count = b->nulls, .buffers = h->buffers, .release = array_release, .private_data = h};
    if (b->n_kids) {
        h->kids = calloc(b->n_kids, sizeof *h->kids);
        h->refs = calloc(b->n_kids, sizeof *h->refs);
        if (!h->kids || !h->refs)
            goto fail;
        out->children = h->refs;
        for (uint32_t i = 0; i < b->n_kids; i++) {
            h->refs[i] = &h->kids[i];
            out->n_children++;
            if (!array_of(b->kids[i], &h->kids[i]))
                goto fail;
        }
    }
    bytes *parts[3];
    int n = 0;
    if (is_union(b)) {
        parts[n++] = &b->data;
        parts[n++] = &b->offsets;
        out->null_count = 0;
    } else {
        parts[n++] = b->nulls ? &b->valid : NULL;
        if (is_list(b) || is_text(b))
            parts[n++] = &b->offsets;
        if (b->format[0] != '+')
            parts[n++] = &b->data;
    }
    out->n_buffers = n;
    for (int i = 0; i < n; i++) {
        if (!parts[i])
            continue;
        if (!parts[i]->p && !(parts[i]->p = malloc(1)))
            goto fail;
        h->own[i] = parts[i]->p;
        h->buffers[i] = parts[i]->p;
        *parts[i] = (bytes){0};
    }
    return true;
fail:
    out->release(out);
    return false;
}

typedef struct one { struct ArrowSchema schema; struct ArrowArray array; } one;

/* The size of a schema's metadata: a count, then keys and values, each behind its length. */
static size_t metadata_size(const char *p)
{
    int32_t n, len;
    size_t at = sizeof n;
    memcpy(&n, p, sizeof n);
    for (int64_t i = 0; i < 2 * (int64_t)n; i++) {
        memcpy(&len, p + at, sizeof len);
        at += sizeof len + (size_t)len;
    }
    return at;
}

static bool copy_as(const struct ArrowSchema *s, const char *name, struct ArrowSchema *out)
{
    if (!schema_fill(out, name, s->format, s->flags))
        return false;
    if (s->metadata) {
        size_t size = metadata_size(s->metadata);
        char *copy = malloc(size);
        if (!copy)
            goto fail;
        out->metadata = memcpy(copy, s->metadata, size);
    }
    if (s->dictionary) {
        if (!(out->dictionary = calloc(1, sizeof *out->dictionary)) || !adbc_schema_copy(s->dictionary, out->dictionary))
            goto fail;
    }
    if (s->n_children && !(out->children = calloc((size_t)s->n_children, sizeof *out->children)))
        goto fail;
    for (int64_t i = 0; i < s->n_children; i++) {
        struct ArrowSchema *c = calloc(1, sizeof *c);
        if (!c)
            goto fail;
        out->children[out->n_children++] = c;
        if (!adbc_schema_copy(s->children[i], c))
            goto fail;
    }
    return true;
fail:
    out->release(out);
    return false;
}

bool adbc_schema_copy(const struct ArrowSchema *s, struct ArrowSchema *out)
{
    return copy_as(s, s->name ? s->name : "", out);
}

struct ArrowSchema *adbc_renamed(const struct ArrowSchema *s, const char *name)
{
    struct ArrowSchema *c = malloc(sizeof *c);
    if (c && copy_as(s, name, c))
        return c;
    free(c);
    return NULL;
}

static int one_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    one *x = s->private_data;
    return adbc_schema_copy(&x->schema, out) ? 0 : ENOMEM;
}

static int one_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    one *x = s->private_data;
    *out = x->array;
    x->array.release = NULL;
    return 0;
}

static const char *one_error(struct ArrowArrayStream *s)
{
    return "out of memory";
}

static void one_release(struct ArrowArrayStream *s)
{
    one *x = s->private_data;
    x->schema.release(&x->schema);
    if (x->array.release)
        x->array.release(&x->array);
    free(x);
    s->release = NULL;
}

bool stream_of_array(struct ArrowSchema *s, struct ArrowArray *a, struct ArrowArrayStream *out)
{
    one *x = malloc(sizeof *x);
    if (!x) {
        s->release(s);
        if (a->release)
            a->release(a);
        return false;
    }
    *x = (one){*s, *a};
    s->release = NULL;
    a->release = NULL;
    *out = (struct ArrowArrayStream){one_schema, one_next, one_error, one_release, x};
    return true;
}

bool builder_stream(builder *b, struct ArrowSchema *s, struct ArrowArrayStream *out)
{
    struct ArrowArray a = {0};
    bool ok = b && !b->failed && array_of(b, &a);
    builder_free(b);
    if (ok)
        return stream_of_array(s, &a, out);
    if (s->release)
        s->release(s);
    return false;
}
