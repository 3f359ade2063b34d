/*
 * column_schema.c: a table's columns as elements of a file's schema, and the way to each leaf.
 *
 * Lists and maps have the three levels of the format's specification:
 *
 *   optional group l (LIST)  { repeated group list      { optional T element } }
 *   optional group m (MAP)   { repeated group key_value { required K key; optional V value } }
 *
 * Field ids are on the list's or map's group and on element, key and value, as Iceberg has them; the repeated
 * group has none. A required member is REQUIRED, everything else OPTIONAL.
 */
#include "format/parquet/column_write_int.h"

static uint32_t decimal_width(unsigned precision)
{
    /* The least number of bytes whose largest signed value is at least 10^precision - 1. */
    u128 max = 1;
    for (unsigned i = 0; i < precision; i++)
        max *= 10;
    uint32_t n = 1;
    while (n < 16 && ((u128)1 << (8 * n - 1)) < max)
        n++;
    return n;
}

static fz_status refuse(str name, type t, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, NULL);
    type_sql_name(t, &b);
    fz_status st = error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\": type %s can't be written to Parquet",
                             STR_ARG(name), b.p ? b.p : "?");
    sbuf_free(&b);
    return st;
}

/* The element of a leaf. name: the whole path, for messages. */
static fz_status leaf_element(type t, str name, pq_schema_element *e, fz_error *err)
{
    e->has_type = true;
    switch (t.id) {
    case T_BOOL: e->type = PQ_BOOLEAN; break;
    case T_INT32: e->type = PQ_INT32; break;
    case T_INT64: e->type = PQ_INT64; break;
    case T_FLOAT32: e->type = PQ_FLOAT; break;
    case T_FLOAT64: e->type = PQ_DOUBLE; break;
    case T_DATE:
        e->type = PQ_INT32, e->converted = PQ_CONV_DATE, e->logical = PQ_LOG_DATE;
        break;
    case T_TIME: /* not adjusted to UTC: the converted type would say that it is */
        e->type = PQ_INT64, e->logical = PQ_LOG_TIME;
        break;
    case T_TIMESTAMP:
        e->type = PQ_INT64, e->logical = PQ_LOG_TIMESTAMP;
        break;
    case T_TIMESTAMPTZ:
        e->type = PQ_INT64, e->converted = PQ_CONV_TIMESTAMP_MICROS, e->logical = PQ_LOG_TIMESTAMP;
        e->adjusted_to_utc = true;
        break;
    case T_STRING:
        e->type = PQ_BYTE_ARRAY, e->converted = PQ_CONV_UTF8, e->logical = PQ_LOG_STRING;
        break;
    case T_BINARY: e->type = PQ_BYTE_ARRAY; break;
    case T_UUID:
        e->type = PQ_FIXED, e->type_length = 16, e->logical = PQ_LOG_UUID;
        break;
    case T_FIXED:
        if (t.width == 0 || t.width > INT32_MAX)
            return error_set(err, FZ_INVALID, "column \"" STR_FMT "\": a fixed type of %u bytes", STR_ARG(name),
                             (unsigned)t.width);
        e->type = PQ_FIXED, e->type_length = (int32_t)t.width;
        break;
    case T_DECIMAL:
        if (t.precision < 1 || t.precision > 38 || t.scale > t.precision)
            return error_set(err, FZ_INVALID, "column \"" STR_FMT "\": decimal(%u,%u)", STR_ARG(name),
                             (unsigned)t.precision, (unsigned)t.scale);
        e->type = t.precision <= 9 ? PQ_INT32 : t.precision <= 18 ? PQ_INT64 : PQ_FIXED;
        e->type_length = e->type == PQ_FIXED ? (int32_t)decimal_width(t.precision) : 0;
        e->converted = PQ_CONV_DECIMAL, e->logical = PQ_LOG_DECIMAL;
        e->precision = t.precision, e->scale = t.scale;
        break;
    default:
        return refuse(name, t, err);
    }
    return FZ_OK;
}

/* ---- the tree ---- */

enum { PATH_MAX_PARTS = 2 * TYPE_DEPTH_MAX + 2 };

/* Where the walk is: names and steps from the column down. */
typedef struct tree_walk {
    file_schema *s;
    arena *a;
    sbuf name;                     /* Iceberg's, dotted */
    str path[PATH_MAX_PARTS];      /* the file's */
    leaf_step steps[TYPE_DEPTH_MAX];
    uint32_t column, n_path, n_steps, max_def, max_rep;
} tree_walk;

static fz_status element_add(tree_walk *w, pq_schema_element e, fz_error *err)
{
    file_schema *s = w->s;
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 32;
        pq_schema_element *p = ARENA_ARRAY(w->a, pq_schema_element, cap);
        if (!p)
            return error_nomem(err);
        if (s->n)
            memcpy(p, s->elements, s->n * sizeof *p);
        s->elements = p;
        s->cap = cap;
    }
    s->elements[s->n++] = e;
    return FZ_OK;
}

static fz_status leaf_add(tree_walk *w, type t, int32_t field_id, bool optional, fz_error *err)
{
    file_schema *s = w->s;
    if (s->n_leaves == s->cap_leaves) {
        uint32_t cap = s->cap_leaves ? s->cap_leaves * 2 : 16;
        file_leaf *p = ARENA_ARRAY(w->a, file_leaf, cap);
        if (!p)
            return error_nomem(err);
        if (s->n_leaves)
            memcpy(p, s->leaves, s->n_leaves * sizeof *p);
        s->leaves = p;
        s->cap_leaves = cap;
    }
    file_leaf *l = &s->leaves[s->n_leaves];
    *l = (file_leaf){.column = w->column, .element = s->n - 1, .field_id = field_id, .t = t, .optional = optional,
                     .n_path = w->n_path, .n_steps = w->n_steps, .max_def = (uint8_t)w->max_def,
                     .max_rep = (uint8_t)w->max_rep};
    l->name = (str){arena_strndup(w->a, w->name.p ? w->name.p : "", w->name.n), w->name.n};
    l->path = ARENA_ARRAY(w->a, str, w->n_path);
    l->steps = ARENA_ARRAY(w->a, leaf_step, w->n_steps + 1);
    if (!l->name.p || !l->path || !l->steps || w->name.failed)
        return error_nomem(err);
    memcpy(l->path, w->path, w->n_path * sizeof *l->path);
    memcpy(l->steps, w->steps, w->n_steps * sizeof *l->steps);
    s->n_leaves++;
    return FZ_OK;
}

static fz_status field_add(tree_walk *w, str name, int32_t field_id, bool required, type t, unsigned depth, fz_error *err);

static fz_status member_add(tree_walk *w, uint32_t i, str name, const type_field *f, bool required, unsigned depth,
                            fz_error *err)
{
    size_t named = w->name.n;
    w->steps[w->n_steps - 1].member = i;
    sbuf_addc(&w->name, '.');
    fz_status st = field_add(w, name, f->field_id, required, f->t, depth + 1, err);
    w->name.n = named;
    return st;
}

/* The members below the group that was just added. */
static fz_status members_add(tree_walk *w, type t, bool optional, unsigned depth, fz_error *err)
{
    const type_fields *kids = t.children;
    leaf_step *step = &w->steps[w->n_steps++];
    *step = (leaf_step){.list = t.id != T_STRUCT, .optional = optional};
    if (t.id == T_STRUCT) {
        for (uint32_t i = 0; i < kids->n; i++)
            TRY(member_add(w, i, kids->f[i].name, &kids->f[i], kids->f[i].required, depth, err));
    } else {
        str middle = t.id == T_LIST ? STR("list") : STR("key_value");
        TRY(element_add(w, (pq_schema_element){.name = middle, .field_id = -1, .converted = PQ_CONV_NONE,
                                               .repetition = PQ_REPEATED, .num_children = t.id == T_LIST ? 1 : 2}, err));
        w->path[w->n_path++] = middle;
        w->max_def++;
        step->rep = (uint8_t)++w->max_rep;
        if (t.id == T_LIST) {
            TRY(member_add(w, 0, STR("element"), &kids->f[0], kids->f[0].required, depth, err));
        } else {
            TRY(member_add(w, 0, STR("key"), &kids->f[0], true, depth, err));
            TRY(member_add(w, 1, STR("value"), &kids->f[1], kids->f[1].required, depth, err));
        }
        w->n_path--;
        w->max_def--;
        w->max_rep--;
    }
    w->n_steps--;
    return FZ_OK;
}

/* Depth is bounded: a type has no more than TYPE_DEPTH_MAX levels. */
static fz_status field_add(tree_walk *w, str name, int32_t field_id, bool required, type t, unsigned depth, fz_error *err)
{
    sbuf_str(&w->name, name);
    w->path[w->n_path++] = name;
    w->max_def += !required;
    str all = {w->name.p, w->name.n};
    pq_schema_element e = {.name = name, .field_id = field_id, .converted = PQ_CONV_NONE, .logical = PQ_LOG_NONE,
                           .unit = 1, .repetition = required ? PQ_REQUIRED : PQ_OPTIONAL};
    if (!type_is_nested(t)) {
        TRY(leaf_element(t, all, &e, err));
        TRY(element_add(w, e, err));
        TRY(leaf_add(w, t, field_id, !required, err));
    } else {
        uint32_t want = t.id == T_LIST ? 1 : t.id == T_MAP ? 2 : 0;
        if (!t.children || t.children->n == 0 || (want && t.children->n != want))
            return refuse(all, t, err);
        if (depth + 1 >= TYPE_DEPTH_MAX)
            return error_set(err, FZ_LIMIT, "column \"" STR_FMT "\" is nested more than %d levels deep", STR_ARG(w->path[0]),
                             TYPE_DEPTH_MAX);
        e.num_children = want ? 1 : (int32_t)t.children->n;
        e.logical = t.id == T_LIST ? PQ_LOG_LIST : t.id == T_MAP ? PQ_LOG_MAP : PQ_LOG_NONE;
        e.converted = t.id == T_LIST ? PQ_CONV_LIST : t.id == T_MAP ? PQ_CONV_MAP : PQ_CONV_NONE;
        TRY(element_add(w, e, err));
        TRY(members_add(w, t, !required, depth, err));
    }
    w->n_path--;
    w->max_def -= !required;
    return FZ_OK;
}

fz_status file_schema_make(file_schema *s, const row_schema *rows, arena *a, mem *m, fz_error *err)
{
    *s = (file_schema){0};
    tree_walk w = {.s = s, .a = a};
    sbuf_init(&w.name, m);
    fz_status st = FZ_OK;
    TRY_GOTO(element_add(&w, (pq_schema_element){.name = STR("table"), .num_children = (int32_t)rows->n, .field_id = -1,
                                                 .converted = PQ_CONV_NONE}, err));
    for (uint32_t i = 0; i < rows->n; i++) {
        const column_def *d = &rows->cols[i];
        w.column = i;
        w.name.n = 0;
        TRY_GOTO(field_add(&w, d->name, d->field_id, d->not_null, d->t, 0, err));
    }
out:
    sbuf_free(&w.name);
    return st;
}
