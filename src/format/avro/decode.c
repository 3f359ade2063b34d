/*
 * decode.c: Avro's binary encoding of values, under a cursor with a sticky error.
 *
 *   null      nothing                          boolean   one byte, 0 or 1
 *   int long  zig-zag varint, 7 bits a byte    float double  4, 8 bytes, little-endian
 *   bytes string  long length, bytes           fixed     its bytes
 *   enum      int index                        union     long branch, value of the branch
 *   array map blocks: long count (negative: -count, then the block's bytes as a long), items; a
 *             count of 0 ends it. A map's item is a string and a value.
 *   record    its fields, in order
 *
 * avro_skip recurses as deep as the schema, which avro_schema_parse bounds.
 */
#include "format/avro/avro.h"

static void bad(avro_cursor *c, const char *what)
{
    if (!c->bad)
        c->bad = what;
    c->p = c->end;
}

int64_t avro_varint(avro_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; c->p < c->end; shift += 7) {
        uint8_t b = *c->p++;
        if (shift == 63 && b > 1) {
            bad(c, "a number of more than 64 bits");
            return 0;
        }
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    }
    bad(c, "a number passes the end of its block");
    return 0;
}

static const uint8_t *take(avro_cursor *c, uint64_t n)
{
    if (n > (size_t)(c->end - c->p)) {
        bad(c, "a value passes the end of its block");
        return NULL;
    }
    const uint8_t *p = c->p;
    c->p += n;
    return p;
}

bool avro_value(avro_cursor *c, const avro_type **t)
{
    if ((*t)->kind == AVRO_UNION) {
        int64_t i = avro_varint(c);
        if (c->bad)
            return false;
        if (i < 0 || i >= (*t)->n) {
            bad(c, "a union branch that the schema doesn't have");
            return false;
        }
        *t = (*t)->fields[i].type;
    }
    return (*t)->kind != AVRO_NULL && !c->bad;
}

int64_t avro_get_long(avro_cursor *c, const avro_type *t)
{
    if (t->kind != AVRO_INT && t->kind != AVRO_LONG) {
        bad(c, "a value that isn't an integer where one is due");
        return 0;
    }
    int64_t v = avro_varint(c);
    if (t->kind == AVRO_INT && v != (int32_t)v) {
        bad(c, "an int of more than 32 bits");
        return 0;
    }
    return v;
}

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

double avro_get_double(avro_cursor *c, const avro_type *t)
{
    const uint8_t *p;
    switch (t->kind) {
    case AVRO_INT:
    case AVRO_LONG:
        return (double)avro_get_long(c, t);
    case AVRO_FLOAT: {
        if (!(p = take(c, 4)))
            return 0;
        uint32_t u = (uint32_t)little(p, 4);
        float f;
        memcpy(&f, &u, 4);
        return f;
    }
    case AVRO_DOUBLE: {
        if (!(p = take(c, 8)))
            return 0;
        uint64_t u = little(p, 8);
        double d;
        memcpy(&d, &u, 8);
        return d;
    }
    default:
        bad(c, "a value that isn't a number where one is due");
        return 0;
    }
}

bool avro_get_bool(avro_cursor *c, const avro_type *t)
{
    if (t->kind != AVRO_BOOL) {
        bad(c, "a value that isn't a boolean where one is due");
        return false;
    }
    const uint8_t *p = take(c, 1);
    if (p && *p > 1)
        bad(c, "a boolean that is neither 0 nor 1");
    return p && *p == 1;
}

str avro_get_bytes(avro_cursor *c, const avro_type *t)
{
    uint64_t n;
    if (t->kind == AVRO_FIXED) {
        n = t->size;
    } else if (t->kind == AVRO_BYTES || t->kind == AVRO_STRING) {
        int64_t len = avro_varint(c);
        if (len < 0) {
            bad(c, "a negative length");
            return (str){0};
        }
        n = (uint64_t)len;
    } else {
        bad(c, "a value that isn't text or bytes where such is due");
        return (str){0};
    }
    const uint8_t *p = take(c, n);
    return p ? (str){(const char *)p, (size_t)n} : (str){0};
}

/* Fewest bytes of one item. */
static uint64_t item_size(const avro_type *t)
{
    return t->fields[0].type->min_size + (t->kind == AVRO_MAP);
}

/* A block's count; *bytes = its size where the writer gave it, else -1. */
static uint64_t block_head(avro_cursor *c, int64_t *bytes)
{
    *bytes = -1;
    int64_t n = avro_varint(c);
    if (n >= 0)
        return c->bad ? 0 : (uint64_t)n;
    *bytes = avro_varint(c);
    if (*bytes < 0 || *bytes > c->end - c->p) {
        bad(c, "an array's block passes the end of its block");
        return 0;
    }
    return -(uint64_t)n;
}

uint64_t avro_items(avro_cursor *c, const avro_type *t)
{
    if (t->kind != AVRO_ARRAY && t->kind != AVRO_MAP) {
        bad(c, "a value that isn't an array or map where one is due");
        return 0;
    }
    int64_t bytes;
    uint64_t n = block_head(c, &bytes);
    uint64_t size = item_size(t);
    if (n && (size == 0 || n > (uint64_t)(c->end - c->p) / size)) {
        bad(c, "an array of more items than its block has bytes for");
        return 0;
    }
    return n;
}

static void skip_items(avro_cursor *c, const avro_type *t)
{
    for (;;) {
        int64_t bytes;
        uint64_t n = block_head(c, &bytes);
        if (c->bad || n == 0)
            return;
        if (bytes >= 0) {
            c->p += bytes;
            continue;
        }
        uint64_t size = item_size(t);
        if (size == 0)
            continue; /* items of no bytes: nothing to pass */
        if (n > (uint64_t)(c->end - c->p) / size) {
            bad(c, "an array of more items than its block has bytes for");
            return;
        }
        for (uint64_t i = 0; i < n && !c->bad; i++) {
            if (t->kind == AVRO_MAP) {
                int64_t len = avro_varint(c);
                take(c, len < 0 ? UINT64_MAX : (uint64_t)len);
            }
            avro_skip(c, t->fields[0].type);
        }
    }
}

void avro_skip(avro_cursor *c, const avro_type *t)
{
    switch (t->kind) {
    case AVRO_NULL:
        break;
    case AVRO_BOOL:
        take(c, 1);
        break;
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        avro_varint(c);
        break;
    case AVRO_FLOAT:
        take(c, 4);
        break;
    case AVRO_DOUBLE:
        take(c, 8);
        break;
    case AVRO_BYTES:
    case AVRO_STRING:
    case AVRO_FIXED:
        avro_get_bytes(c, t);
        break;
    case AVRO_RECORD:
        for (uint32_t i = 0; i < t->n && !c->bad; i++)
            avro_skip(c, t->fields[i].type);
        break;
    case AVRO_ARRAY:
    case AVRO_MAP:
        skip_items(c, t);
        break;
    case AVRO_UNION:
        if (avro_value(c, &t))
            avro_skip(c, t);
        break;
    default:
        bad(c, "a type that doesn't exist");
    }
}

void avro_bind(const avro_type *t, const avro_want *want, uint32_t n_want, uint8_t *slots)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const avro_field *f = &t->fields[i];
        slots[i] = AVRO_SKIP;
        for (uint32_t k = 0; k < n_want; k++)
            if (f->field_id >= 0 ? f->field_id == want[k].field_id : str_eqz(f->name, want[k].name)) {
                slots[i] = (uint8_t)k;
                break;
            }
    }
}

const avro_type *avro_nonnull(const avro_type *t)
{
    if (t->kind == AVRO_UNION && t->n == 2) {
        if (t->fields[0].type->kind == AVRO_NULL)
            return t->fields[1].type;
        if (t->fields[1].type->kind == AVRO_NULL)
            return t->fields[0].type;
    }
    return t;
}
