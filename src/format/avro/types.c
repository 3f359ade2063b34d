/* types.c: an Avro schema as columns. Recursion goes down the schema, whose depth its parser bounds. */
#include "format/avro/avro_file_int.h"

const avro_type *avro_strip(const avro_type *t, uint8_t *opt)
{
    *opt = 0;
    if (t->kind != AVRO_UNION)
        return t;
    if (t->n == 2 && t->fields[0].type->kind == AVRO_NULL)
        *opt = 1;
    else if (t->n == 2 && t->fields[1].type->kind == AVRO_NULL)
        *opt = 2;
    else
        return NULL;
    return t->fields[*opt == 1].type;
}

bool avro_is_pairs(const avro_type *t)
{
    if (t->kind != AVRO_ARRAY || t->logical != AVRO_ID_MAP)
        return false;
    const avro_type *item = t->fields[0].type;
    return item->kind == AVRO_RECORD && item->n == 2 && item->fields[0].type->kind != AVRO_UNION;
}

uint32_t avro_type_members(type t)
{
    uint32_t n = 1;
    if (type_is_nested(t))
        for (uint32_t i = 0; i < t.children->n; i++)
            n += avro_type_members(t.children->f[i].t);
    return n;
}

typedef struct maker {
    arena *a;
    bool iceberg;      /* the file has field ids */
    const char *why;   /* set where a type can't be read */
} maker;

static fz_status make_type(maker *k, const avro_type *t, unsigned depth, type *out, fz_error *err);

static void refuse(maker *k, const char *what, str name)
{
    if (k->why)
        return;
    char *s = arena_alloc(k->a, strlen(what) + name.n + 4);
    if (!s) {
        k->why = what;
        return;
    }
    size_t n = strlen(what);
    memcpy(s, what, n);
    if (name.n) {
        s[n++] = ' ';
        memcpy(s + n, name.p, name.n);
        n += name.n;
    }
    s[n] = 0;
    k->why = s;
}

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed",
                                        "enum", "record", "array", "map", "union"};
    return names[kind];
}

/* "a union of int and string" */
static void refuse_union(maker *k, const avro_type *t)
{
    sbuf b;
    sbuf_init(&b, k->a->m);
    for (uint32_t i = 0; i < t->n && i < 8; i++) {
        if (i)
            sbuf_addz(&b, i + 1 == t->n ? " and " : ", ");
        const avro_type *f = t->fields[i].type;
        if (f->name.n)
            sbuf_str(&b, f->name);
        else
            sbuf_addz(&b, kind_name(f->kind));
    }
    if (t->n > 8)
        sbuf_addz(&b, ", …");
    refuse(k, "a union of", b.failed ? (str){0} : (str){b.p, b.n});
    sbuf_free(&b);
}

static fz_status make_member(maker *k, str name, int32_t id, const avro_type *t, unsigned depth, type_field *out, fz_error *err)
{
    uint8_t opt;
    const avro_type *inner = avro_strip(t, &opt);
    *out = (type_field){.name = name, .field_id = id, .required = !opt};
    if (!inner) {
        refuse_union(k, t);
        return FZ_OK;
    }
    return make_type(k, inner, depth + 1, &out->t, err);
}

static fz_status make_nested(maker *k, const avro_type *t, unsigned depth, type *out, fz_error *err)
{
    bool pairs = avro_is_pairs(t);
    uint32_t n = t->kind == AVRO_RECORD ? t->n : t->kind == AVRO_MAP || pairs ? 2 : 1;
    type_fields *f = arena_zalloc(k->a, sizeof *f + sizeof(type_field) * n);
    if (!f)
        return error_nomem(err);
    f->n = n;
    if (t->kind == AVRO_RECORD) {
        for (uint32_t i = 0; i < n; i++)
            TRY(make_member(k, t->fields[i].name, t->fields[i].field_id, t->fields[i].type, depth, &f->f[i], err));
        *out = (type){.id = T_STRUCT, .children = f};
    } else if (t->kind == AVRO_MAP) {
        f->f[0] = (type_field){.name = STR("key"), .field_id = t->key_id, .required = true, .t = TYPE(T_STRING)};
        TRY(make_member(k, STR("value"), t->fields[0].field_id, t->fields[0].type, depth, &f->f[1], err));
        *out = (type){.id = T_MAP, .children = f};
    } else if (pairs) {
        const avro_field *kv = t->fields[0].type->fields;
        TRY(make_member(k, STR("key"), kv[0].field_id, kv[0].type, depth, &f->f[0], err));
        TRY(make_member(k, STR("value"), kv[1].field_id, kv[1].type, depth, &f->f[1], err));
        *out = (type){.id = T_MAP, .children = f};
    } else {
        TRY(make_member(k, STR("element"), t->fields[0].field_id, t->fields[0].type, depth, &f->f[0], err));
        *out = (type){.id = T_LIST, .children = f};
    }
    return FZ_OK;
}

static bool stamp_has_zone(const maker *k, const avro_type *t)
{
    return t->utc_given ? t->utc : !k->iceberg;
}

static type plain_type(maker *k, const avro_type *t)
{
    switch (t->kind) {
    case AVRO_BOOL:
        return TYPE(T_BOOL);
    case AVRO_INT:
        return TYPE(t->logical == AVRO_DATE ? T_DATE : t->logical == AVRO_TIME_MILLIS ? T_TIME : T_INT32);
    case AVRO_LONG:
        if (t->logical == AVRO_TIME_MICROS)
            return TYPE(T_TIME);
        if (t->logical == AVRO_TIMESTAMP_MILLIS || t->logical == AVRO_TIMESTAMP_MICROS)
            return TYPE(stamp_has_zone(k, t) ? T_TIMESTAMPTZ : T_TIMESTAMP);
        if (t->logical == AVRO_LOCAL_TIMESTAMP_MILLIS || t->logical == AVRO_LOCAL_TIMESTAMP_MICROS)
            return TYPE(T_TIMESTAMP);
        return TYPE(T_INT64);
    case AVRO_FLOAT:
        return TYPE(T_FLOAT32);
    case AVRO_DOUBLE:
        return TYPE(T_FLOAT64);
    case AVRO_STRING:
        return TYPE(t->logical == AVRO_UUID ? T_UUID : T_STRING);
    case AVRO_ENUM:
        return TYPE(T_STRING);
    case AVRO_BYTES:
    case AVRO_FIXED:
        if (t->logical == AVRO_DECIMAL)
            return TYPE_DECIMAL((uint8_t)t->precision, (uint8_t)t->scale);
        if (t->kind == AVRO_BYTES)
            return TYPE(T_BINARY);
        if (t->logical == AVRO_UUID && t->size == 16)
            return TYPE(T_UUID);
        return (type){.id = T_FIXED, .width = t->size};
    default:
        refuse(k, "type null", (str){0});
        return TYPE(T_NULL);
    }
}

static fz_status make_type(maker *k, const avro_type *t, unsigned depth, type *out, fz_error *err)
{
    if (depth > TYPE_DEPTH_MAX - 2) {
        refuse(k, "types nested too deep", (str){0});
        return FZ_OK;
    }
    if (t->kind == AVRO_RECORD || t->kind == AVRO_ARRAY || t->kind == AVRO_MAP)
        return make_nested(k, t, depth, out, err);
    *out = plain_type(k, t);
    return FZ_OK;
}

static bool has_ids(const avro_type *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->fields[i].field_id >= 0 || has_ids(t->fields[i].type))
            return true;
    return false;
}

fz_status avro_types(const avro_type *root, arena *a, row_schema *out, const char ***why, fz_error *err)
{
    maker k = {.a = a, .iceberg = has_ids(root)};
    *out = (row_schema){.n = root->n, .cols = ARENA_ARRAY(a, column_def, root->n)};
    *why = ARENA_ARRAY(a, const char *, root->n);
    if (!out->cols || !*why)
        return error_nomem(err);
    for (uint32_t i = 0; i < root->n; i++) {
        type_field f;
        k.why = NULL;
        TRY(make_member(&k, root->fields[i].name, root->fields[i].field_id, root->fields[i].type, 0, &f, err));
        (*why)[i] = k.why;
        out->cols[i] = (column_def){.name = f.name, .t = k.why ? TYPE(T_NULL) : f.t, .not_null = f.required && !k.why, .field_id = f.field_id};
    }
    return FZ_OK;
}
