/*
 * schema.c: an Avro schema's JSON into avro_type.
 *
 * A type is a name ("long", or a record, enum or fixed that was defined earlier), an object
 * with a "type", or an array (a union). Parsing goes down as deep as the text does, at most
 * MAX_DEPTH. Named types may be used again, never within themselves: what results is a tree in
 * which every walk ends; its size, with repeated types counted each time, is bounded by MAX_NODES.
 */
#include "format/avro/avro.h"

#include "codec/json.h"

#define MAX_DEPTH 64
#define MAX_NODES 65536
#define MAX_SIZE (1ull << 40)

typedef struct named {
    struct named *next;
    str name;               /* with namespace */
    const avro_type *type;  /* NULL while it is being defined */
} named;

typedef struct parser {
    json_doc doc;
    arena *a;
    named *names;
} parser;

static fz_status parse_type(parser *p, const json_node *n, str space, int depth, const avro_type **out,
                            fz_error *err);

static const struct { const char *name; uint8_t kind; uint8_t min; } PRIMITIVES[] = {
    {"null", AVRO_NULL, 0},   {"boolean", AVRO_BOOL, 1},  {"int", AVRO_INT, 1},     {"long", AVRO_LONG, 1},
    {"float", AVRO_FLOAT, 4}, {"double", AVRO_DOUBLE, 8}, {"bytes", AVRO_BYTES, 1}, {"string", AVRO_STRING, 1},
};

static fz_status new_type(parser *p, uint8_t kind, avro_type **out, fz_error *err)
{
    avro_type *t = ARENA_NEW(p->a, avro_type);
    if (!t)
        return error_nomem(err);
    t->kind = kind;
    t->key_id = -1;
    t->nodes = 1;
    *out = t;
    return FZ_OK;
}

static bool full_name(parser *p, str space, str name, str *out)
{
    if (space.n == 0 || memchr(name.p, '.', name.n)) {
        *out = name;
        return true;
    }
    char *s = arena_alloc(p->a, space.n + 1 + name.n);
    if (!s)
        return false;
    memcpy(s, space.p, space.n);
    s[space.n] = '.';
    memcpy(s + space.n + 1, name.p, name.n);
    *out = (str){s, space.n + 1 + name.n};
    return true;
}

static named *find_name(parser *p, str name)
{
    for (named *d = p->names; d; d = d->next)
        if (str_eq(d->name, name))
            return d;
    return NULL;
}

static fz_status parse_name(parser *p, const json_node *n, str space, const avro_type **out, fz_error *err)
{
    str name, full;
    TRY(json_str(&p->doc, n, p->a, &name, err));
    for (size_t i = 0; i < sizeof PRIMITIVES / sizeof *PRIMITIVES; i++)
        if (str_eqz(name, PRIMITIVES[i].name)) {
            avro_type *t;
            TRY(new_type(p, PRIMITIVES[i].kind, &t, err));
            t->min_size = PRIMITIVES[i].min;
            *out = t;
            return FZ_OK;
        }
    if (!full_name(p, space, name, &full))
        return error_nomem(err);
    named *d = find_name(p, full);
    if (!d)
        d = find_name(p, name);
    if (!d)
        return json_error(&p->doc, n, err, "Avro schema: there is no type named \"" STR_FMT "\"", STR_ARG(name));
    if (!d->type)
        return error_set(err, FZ_UNSUPPORTED, "recursive Avro schemas are not supported (type \"" STR_FMT "\")",
                         STR_ARG(name));
    *out = d->type;
    return FZ_OK;
}

/* Adds a member type to t's bounds. */
static fz_status add_member(parser *p, const json_node *n, avro_type *t, const avro_type *member, fz_error *err)
{
    t->nodes += member->nodes;
    if (t->nodes > MAX_NODES)
        return json_error(&p->doc, n, err, "Avro schema: more than %d types", MAX_NODES);
    if (t->kind == AVRO_RECORD && (t->min_size += member->min_size) > MAX_SIZE)
        return json_error(&p->doc, n, err, "Avro schema: a record of more than %llu bytes", MAX_SIZE);
    return FZ_OK;
}

static fz_status opt_i32(parser *p, const json_node *o, const char *key, int32_t def, int32_t *out, fz_error *err)
{
    const json_node *v = json_get(&p->doc, o, key);
    *out = def;
    return v && v->type != JSON_NULL ? json_i32(&p->doc, v, out, err) : FZ_OK;
}

static fz_status parse_union(parser *p, const json_node *n, str space, int depth, const avro_type **out,
                             fz_error *err)
{
    avro_type *t;
    TRY(new_type(p, AVRO_UNION, &t, err));
    if (n->n == 0)
        return json_error(&p->doc, n, err, "Avro schema: a union without branches");
    t->n = n->n;
    t->min_size = 1;
    t->fields = ARENA_ARRAY(p->a, avro_field, n->n);
    if (!t->fields)
        return error_nomem(err);
    const json_node *b = n + 1;
    for (uint32_t i = 0; i < n->n; i++, b = json_next(b)) {
        t->fields[i].field_id = -1;
        TRY(parse_type(p, b, space, depth + 1, &t->fields[i].type, err));
        TRY(add_member(p, b, t, t->fields[i].type, err));
        if (t->fields[i].type->kind == AVRO_UNION)
            return json_error(&p->doc, b, err, "Avro schema: a union within a union");
    }
    *out = t;
    return FZ_OK;
}

static fz_status parse_record(parser *p, const json_node *n, str space, int depth, avro_type *t, fz_error *err)
{
    const json_node *fields;
    TRY(json_need(&p->doc, n, "fields", "an Avro record", &fields, err));
    TRY(json_want(&p->doc, fields, JSON_ARRAY, "\"fields\" of an Avro record", err));
    t->n = fields->n;
    t->fields = ARENA_ARRAY(p->a, avro_field, fields->n + 1);
    if (!t->fields)
        return error_nomem(err);
    const json_node *f = fields + 1;
    for (uint32_t i = 0; i < t->n; i++, f = json_next(f)) {
        const json_node *name, *type;
        TRY(json_want(&p->doc, f, JSON_OBJECT, "a field of an Avro record", err));
        TRY(json_need(&p->doc, f, "name", "a field of an Avro record", &name, err));
        TRY(json_need(&p->doc, f, "type", "a field of an Avro record", &type, err));
        const json_node *own = json_get(&p->doc, f, "iceberg-field-name"); /* where "name" had to be escaped */
        TRY(json_str(&p->doc, own && own->type == JSON_STRING ? own : name, p->a, &t->fields[i].name, err));
        TRY(opt_i32(p, f, "field-id", -1, &t->fields[i].field_id, err));
        TRY(parse_type(p, type, space, depth + 1, &t->fields[i].type, err));
        TRY(add_member(p, type, t, t->fields[i].type, err));
    }
    return FZ_OK;
}

/* array and map: one member, under `key`, whose id is under `id_key`. */
static fz_status parse_items(parser *p, const json_node *n, const char *key, const char *id_key, str space, int depth,
                             avro_type *t, fz_error *err)
{
    const json_node *item;
    TRY(json_need(&p->doc, n, key, "an Avro array or map", &item, err));
    t->n = 1;
    t->min_size = 1;
    t->fields = ARENA_NEW(p->a, avro_field);
    if (!t->fields)
        return error_nomem(err);
    TRY(opt_i32(p, n, id_key, -1, &t->fields->field_id, err));
    TRY(opt_i32(p, n, "key-id", -1, &t->key_id, err));
    TRY(parse_type(p, item, space, depth + 1, &t->fields->type, err));
    return add_member(p, item, t, t->fields->type, err);
}

static fz_status set_logical(parser *p, const json_node *n, avro_type *t, fz_error *err)
{
    static const struct { const char *name; uint8_t logical; } NAMES[] = {
        {"date", AVRO_DATE}, {"time-millis", AVRO_TIME_MILLIS}, {"time-micros", AVRO_TIME_MICROS},
        {"timestamp-millis", AVRO_TIMESTAMP_MILLIS}, {"timestamp-micros", AVRO_TIMESTAMP_MICROS},
        {"local-timestamp-millis", AVRO_LOCAL_TIMESTAMP_MILLIS}, {"local-timestamp-micros", AVRO_LOCAL_TIMESTAMP_MICROS},
        {"decimal", AVRO_DECIMAL}, {"uuid", AVRO_UUID}, {"map", AVRO_ID_MAP},
    };
    const json_node *l = json_get(&p->doc, n, "logicalType");
    if (!l || l->type != JSON_STRING)
        return FZ_OK;
    t->logical = AVRO_OTHER;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (json_is(&p->doc, l, NAMES[i].name))
            t->logical = NAMES[i].logical;
    const json_node *utc = json_get(&p->doc, n, "adjust-to-utc");
    t->utc = utc && utc->type == JSON_TRUE;
    t->utc_given = utc && (utc->type == JSON_TRUE || utc->type == JSON_FALSE);
    if (t->logical == AVRO_DECIMAL) {
        TRY(opt_i32(p, n, "precision", 0, &t->precision, err));
        TRY(opt_i32(p, n, "scale", 0, &t->scale, err));
        if (t->precision < 1 || t->precision > 38 || t->scale < 0 || t->scale > t->precision)
            return json_error(&p->doc, n, err, "Avro schema: decimal(%d,%d) doesn't exist", t->precision, t->scale);
    }
    return FZ_OK;
}

static fz_status parse_symbols(parser *p, const json_node *n, avro_type *t, fz_error *err)
{
    TRY(json_want(&p->doc, n, JSON_ARRAY, "\"symbols\" of an Avro enum", err));
    str *symbols = ARENA_ARRAY(p->a, str, n->n);
    if (!symbols)
        return error_nomem(err);
    const json_node *s = n + 1;
    for (uint32_t i = 0; i < n->n; i++, s = json_next(s))
        TRY(json_str(&p->doc, s, p->a, &symbols[i], err));
    t->symbols = symbols;
    t->size = n->n;
    return FZ_OK;
}

/* record, enum, fixed: enters the name, then the contents. */
static fz_status parse_named(parser *p, const json_node *n, str space, int depth, avro_type *t, fz_error *err)
{
    const json_node *name, *ns = json_get(&p->doc, n, "namespace");
    str own, full;
    TRY(json_need(&p->doc, n, "name", "an Avro record, enum or fixed", &name, err));
    TRY(json_str(&p->doc, name, p->a, &own, err));
    if (ns && ns->type == JSON_STRING)
        TRY(json_str(&p->doc, ns, p->a, &space, err));
    if (!full_name(p, space, own, &full))
        return error_nomem(err);
    for (size_t i = own.n; i-- > 0;)
        if (own.p[i] == '.') {
            space = (str){own.p, i};
            break;
        }
    named *d = ARENA_NEW(p->a, named);
    if (!d)
        return error_nomem(err);
    t->name = own;
    *d = (named){.next = p->names, .name = full};
    p->names = d;
    if (t->kind == AVRO_RECORD) {
        TRY(parse_record(p, n, space, depth, t, err));
    } else if (t->kind == AVRO_FIXED) {
        int32_t size;
        TRY(opt_i32(p, n, "size", -1, &size, err));
        if (size < 0)
            return json_error(&p->doc, n, err, "Avro schema: a fixed without a size");
        t->size = (uint32_t)size;
        t->min_size = t->size;
    } else {
        const json_node *symbols;
        TRY(json_need(&p->doc, n, "symbols", "an Avro enum", &symbols, err));
        t->min_size = 1;
        TRY(parse_symbols(p, symbols, t, err));
    }
    d->type = t;
    return FZ_OK;
}

static fz_status parse_object(parser *p, const json_node *n, str space, int depth, const avro_type **out,
                              fz_error *err)
{
    const json_node *type;
    avro_type *t;
    TRY(json_need(&p->doc, n, "type", "an Avro type", &type, err));
    if (type->type != JSON_STRING)
        return parse_type(p, type, space, depth + 1, out, err);
    uint8_t kind = json_is(&p->doc, type, "record") || json_is(&p->doc, type, "error") ? AVRO_RECORD
                   : json_is(&p->doc, type, "enum")                                    ? AVRO_ENUM
                   : json_is(&p->doc, type, "fixed")                                   ? AVRO_FIXED
                   : json_is(&p->doc, type, "array")                                   ? AVRO_ARRAY
                   : json_is(&p->doc, type, "map")                                     ? AVRO_MAP
                                                                                       : AVRO_NULL;
    if (kind == AVRO_NULL) { /* a primitive or a name, with attributes */
        const avro_type *base;
        TRY(parse_name(p, type, space, &base, err));
        TRY(new_type(p, base->kind, &t, err));
        *t = *base;
    } else {
        TRY(new_type(p, kind, &t, err));
    }
    TRY(set_logical(p, n, t, err));
    if (kind == AVRO_ARRAY)
        TRY(parse_items(p, n, "items", "element-id", space, depth, t, err));
    else if (kind == AVRO_MAP)
        TRY(parse_items(p, n, "values", "value-id", space, depth, t, err));
    else if (kind != AVRO_NULL)
        TRY(parse_named(p, n, space, depth, t, err));
    *out = t;
    return FZ_OK;
}

static fz_status parse_type(parser *p, const json_node *n, str space, int depth, const avro_type **out, fz_error *err)
{
    if (depth > MAX_DEPTH)
        return json_error(&p->doc, n, err, "Avro schema: nested more than %d deep", MAX_DEPTH);
    switch (n->type) {
    case JSON_STRING:
        return parse_name(p, n, space, out, err);
    case JSON_ARRAY:
        return parse_union(p, n, space, depth, out, err);
    case JSON_OBJECT:
        return parse_object(p, n, space, depth, out, err);
    default:
        return json_error(&p->doc, n, err, "Avro schema: a type is a name, an object or an array");
    }
}

fz_status avro_schema_parse(str json, arena *a, const avro_type **out, fz_error *err)
{
    parser p = {.a = a};
    TRY(json_parse(&p.doc, json.p, json.n, "Avro schema", a->m, err));
    fz_status st = parse_type(&p, json_root(&p.doc), (str){0}, 0, out, err);
    json_free(&p.doc);
    return st;
}
