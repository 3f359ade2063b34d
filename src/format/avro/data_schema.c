/* data_schema.c: columns as an Avro schema, as Iceberg converts them (avro_write.h). Recursion goes down types, which are at most TYPE_DEPTH_MAX deep. */
#include "codec/json.h"
#include "format/avro/avro_write.h"

typedef struct writer {
    json_writer w;
    uint64_t decimals[39];  /* bit s: decimal(p,s) was defined */
    bool uuid;
    uint32_t widths[64];    /* of fixed types that were defined */
    uint32_t n_widths;
    uint32_t unnamed;       /* records that have no field id to be called by */
} writer;

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void put_name(writer *k, str name)
{
    bool plain = name.n > 0 && is_letter(name.p[0]);
    for (size_t i = 0; i < name.n && plain; i++)
        plain = is_letter(name.p[i]) || is_digit(name.p[i]);
    jw_key(&k->w, "name");
    if (plain) {
        jw_str(&k->w, name);
        return;
    }
    sbuf b;
    sbuf_init(&b, k->w.out->m);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (is_letter(c) || (is_digit(c) && i))
            sbuf_addc(&b, c);
        else if (is_digit(c))
            sbuf_printf(&b, "_%c", c);
        else
            sbuf_printf(&b, "_x%X", (unsigned char)c);
    }
    jw_str(&k->w, b.n ? (str){b.p, b.n} : STR("_"));
    k->w.out->failed |= b.failed;
    sbuf_free(&b);
    jw_key(&k->w, "iceberg-field-name");
    jw_str(&k->w, name);
}

static void put_type(writer *k, type t, int32_t id);

static void put_member(writer *k, const char *key, const type_field *f)
{
    jw_key(&k->w, key);
    if (!f->required) {
        jw_begin(&k->w, '[');
        jw_str(&k->w, STR("null"));
    }
    put_type(k, f->t, f->field_id);
    if (!f->required)
        jw_end(&k->w, ']');
}

static void put_id(writer *k, const char *key, int32_t id)
{
    if (id < 0)
        return;
    jw_key(&k->w, key);
    jw_i64(&k->w, id);
}

static void put_field(writer *k, const type_field *f)
{
    jw_begin(&k->w, '{');
    put_name(k, f->name);
    put_member(k, "type", f);
    if (f->doc.n) {
        jw_key(&k->w, "doc");
        jw_str(&k->w, f->doc);
    }
    if (!f->required) {
        jw_key(&k->w, "default");
        jw_raw(&k->w, STR("null"));
    }
    put_id(k, "field-id", f->field_id);
    jw_end(&k->w, '}');
}

static void put_key(writer *k, const char *key, const char *value)
{
    jw_key(&k->w, key);
    jw_str(&k->w, str_of(value));
}

/* A name made of numbers: "decimal_9_2"; infix NULL: without the second. */
static void put_text(writer *k, const char *key, const char *prefix, int a, const char *infix, int b)
{
    sbuf s;
    sbuf_init(&s, k->w.out->m);
    sbuf_addz(&s, prefix);
    sbuf_i64(&s, a);
    if (infix) {
        sbuf_addz(&s, infix);
        sbuf_i64(&s, b);
    }
    if (key)
        jw_key(&k->w, key);
    jw_str(&k->w, (str){s.p ? s.p : "", s.n});
    k->w.out->failed |= s.failed;
    sbuf_free(&s);
}

static void begin(writer *k, const char *kind)
{
    jw_begin(&k->w, '{');
    put_key(k, "type", kind);
}

uint32_t avro_decimal_bytes(unsigned precision)
{
    u128 max = 1;
    for (unsigned i = 0; i < precision; i++)
        max *= 10;
    uint32_t n = 1;
    while (n < 16 && (u128)1 << (8 * n - 1) < max)
        n++;
    return n;
}

static void put_decimal(writer *k, type t)
{
    if (k->decimals[t.precision] >> t.scale & 1) {
        put_text(k, NULL, "decimal_", t.precision, "_", t.scale);
        return;
    }
    k->decimals[t.precision] |= 1ull << t.scale;
    begin(k, "fixed");
    put_text(k, "name", "decimal_", t.precision, "_", t.scale);
    jw_key(&k->w, "size");
    jw_i64(&k->w, avro_decimal_bytes(t.precision));
    put_key(k, "logicalType", "decimal");
    jw_key(&k->w, "precision");
    jw_i64(&k->w, t.precision);
    jw_key(&k->w, "scale");
    jw_i64(&k->w, t.scale);
    jw_end(&k->w, '}');
}

static void put_fixed(writer *k, uint32_t width)
{
    for (uint32_t i = 0; i < k->n_widths; i++)
        if (k->widths[i] == width) {
            put_text(k, NULL, "fixed_", (int)width, NULL, 0);
            return;
        }
    if (k->n_widths < sizeof k->widths / sizeof k->widths[0])
        k->widths[k->n_widths++] = width;
    begin(k, "fixed");
    put_text(k, "name", "fixed_", (int)width, NULL, 0);
    jw_key(&k->w, "size");
    jw_i64(&k->w, width);
    jw_end(&k->w, '}');
}

static void put_uuid(writer *k)
{
    if (k->uuid) {
        jw_str(&k->w, STR("uuid_fixed"));
        return;
    }
    k->uuid = true;
    begin(k, "fixed");
    put_key(k, "name", "uuid_fixed");
    jw_key(&k->w, "size");
    jw_i64(&k->w, 16);
    put_key(k, "logicalType", "uuid");
    jw_end(&k->w, '}');
}

static void put_logical(writer *k, const char *kind, const char *logical, int utc)
{
    begin(k, kind);
    put_key(k, "logicalType", logical);
    if (utc >= 0) {
        jw_key(&k->w, "adjust-to-utc");
        jw_bool(&k->w, utc);
    }
    jw_end(&k->w, '}');
}

static void put_record(writer *k, type t, int32_t id)
{
    begin(k, "record");
    put_text(k, "name", id >= 0 ? "r" : "r_", id >= 0 ? id : (int)k->unnamed++, NULL, 0);
    jw_key(&k->w, "fields");
    jw_begin(&k->w, '[');
    for (uint32_t i = 0; i < t.children->n; i++)
        put_field(k, &t.children->f[i]);
    jw_end(&k->w, ']');
    jw_end(&k->w, '}');
}

static void put_map(writer *k, type t)
{
    const type_field *key = &t.children->f[0], *value = &t.children->f[1];
    if (key->t.id == T_STRING) {
        begin(k, "map");
        put_member(k, "values", value);
        put_id(k, "key-id", key->field_id);
        put_id(k, "value-id", value->field_id);
        jw_end(&k->w, '}');
        return;
    }
    begin(k, "array");
    put_key(k, "logicalType", "map");
    jw_key(&k->w, "items");
    begin(k, "record");
    if (key->field_id >= 0)
        put_text(k, "name", "k", key->field_id, "_v", value->field_id);
    else
        put_text(k, "name", "kv_", (int)k->unnamed++, NULL, 0);
    jw_key(&k->w, "fields");
    jw_begin(&k->w, '[');
    put_field(k, &(type_field){.name = STR("key"), .field_id = key->field_id, .required = true, .t = key->t});
    put_field(k, &(type_field){.name = STR("value"), .field_id = value->field_id, .required = value->required, .t = value->t});
    jw_end(&k->w, ']');
    jw_end(&k->w, '}');
    jw_end(&k->w, '}');
}

static void put_type(writer *k, type t, int32_t id)
{
    static const char *const plain[T_COUNT_] = {[T_BOOL] = "boolean", [T_INT32] = "int", [T_INT64] = "long", [T_FLOAT32] = "float",
                                                [T_FLOAT64] = "double", [T_STRING] = "string", [T_BINARY] = "bytes"};
    switch (t.id) {
    case T_DECIMAL:
        put_decimal(k, t);
        break;
    case T_DATE:
        put_logical(k, "int", "date", -1);
        break;
    case T_TIME:
        put_logical(k, "long", "time-micros", -1);
        break;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
        put_logical(k, "long", "timestamp-micros", t.id == T_TIMESTAMPTZ);
        break;
    case T_UUID:
        put_uuid(k);
        break;
    case T_FIXED:
        put_fixed(k, t.width);
        break;
    case T_STRUCT:
        put_record(k, t, id);
        break;
    case T_LIST:
        begin(k, "array");
        put_member(k, "items", &t.children->f[0]);
        put_id(k, "element-id", t.children->f[0].field_id);
        jw_end(&k->w, '}');
        break;
    case T_MAP:
        put_map(k, t);
        break;
    default:
        jw_str(&k->w, str_of(plain[t.id] ? plain[t.id] : "null"));
    }
}

void avro_schema_write(const row_schema *schema, sbuf *out)
{
    writer k = {.w = json_writer_on(out)};
    begin(&k, "record");
    put_key(&k, "name", "table");
    jw_key(&k.w, "fields");
    jw_begin(&k.w, '[');
    for (uint32_t i = 0; i < schema->n; i++) {
        const column_def *c = &schema->cols[i];
        put_field(&k, &(type_field){.name = c->name, .field_id = c->field_id, .required = c->not_null, .t = c->t, .doc = c->doc});
    }
    jw_end(&k.w, ']');
    jw_end(&k.w, '}');
}
