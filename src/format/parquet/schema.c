/*
 * schema.c: from the footer's schema elements to columns: the engine's type of every leaf, the tree of
 * structs, lists and maps above them, and each node's levels.
 *
 * A leaf's type follows from the logical annotation, else the converted one, else the physical type. The tree
 * follows the format's LogicalTypes.md, with its rules for the files of old writers:
 *
 *   LIST       a group with one repeated member. The member is the element itself (the two-level form) if it is no
 *              group, has several members, has one that is repeated, or is named "array" or <list>_tuple;
 *              otherwise the one member within it is the element.
 *   MAP        (or MAP_KEY_VALUE in its place) a group with one repeated group of a key and a value; one
 *              with only a key is a list of keys. Keys may be declared optional.
 *   repeated   without such an annotation: a list, not null, of elements that aren't null.
 *   others     groups are structs, also those that are annotated as lists or maps and don't look like one.
 *
 * Levels. An entry of a leaf's chunk has a definition level (how many of the optional and repeated nodes on its
 * path are there) and a repetition level (at which repeated node it goes on; 0: a new row). A node stands in the
 * context of the innermost repeated node around it: an entry is a place of the context if its repetition
 * level is at most the context's (`rep`) and its definition level at least `ctx_def`; in that place
 * the node's value isn't null if the definition level is at least `def`; and a list has an element if it is at
 * least `item_def`.
 *
 * What can't be read makes its column T_NULL, with the reason; reading it is refused. Elements come parents first
 * (a checked tree of at most 64 levels), so that nodes are made from the back: no recursion.
 */
#include "format/parquet/read_int.h"

/* ---- types of leaves ---- */

static type decimal_type(const pq_schema_element *e, pq_leaf *l)
{
    if (e->precision < 1 || e->precision > 38 || e->scale < 0 || e->scale > e->precision) {
        l->refused = "a decimal of more than 38 digits or an impossible scale";
        return TYPE(T_NULL);
    }
    return TYPE_DECIMAL((uint8_t)e->precision, (uint8_t)e->scale);
}

static type int_type(int bits, bool is_signed, bool is64, pq_leaf *l)
{
    if (is64 != (bits == 64)) {
        l->refused = "an integer annotation that doesn't fit its physical type";
        return TYPE(T_NULL);
    }
    if (is64)
        return is_signed ? TYPE(T_INT64) : TYPE_DECIMAL(20, 0);
    return !is_signed && bits == 32 ? TYPE(T_INT64) : TYPE(T_INT32);
}

static type int32_type(const pq_schema_element *e, pq_leaf *l)
{
    if (e->logical == PQ_LOG_DECIMAL || (e->logical == PQ_LOG_NONE && e->converted == PQ_CONV_DECIMAL))
        return decimal_type(e, l);
    if (e->logical == PQ_LOG_DATE)
        return TYPE(T_DATE);
    if (e->logical == PQ_LOG_TIME && e->unit == 0)
        return TYPE(T_TIME);
    if (e->logical == PQ_LOG_INTEGER)
        return int_type(e->bit_width, e->is_signed, false, l);
    if (e->logical != PQ_LOG_NONE) {
        l->refused = "an annotation that doesn't fit INT32";
        return TYPE(T_NULL);
    }
    switch (e->converted) {
    case PQ_CONV_DATE: return TYPE(T_DATE);
    case PQ_CONV_TIME_MILLIS: return TYPE(T_TIME);
    case PQ_CONV_UINT_32: return TYPE(T_INT64);
    case PQ_CONV_NONE:
    case PQ_CONV_UINT_8:
    case PQ_CONV_UINT_16:
    case PQ_CONV_INT_8:
    case PQ_CONV_INT_16:
    case PQ_CONV_INT_32: return TYPE(T_INT32);
    default: l->refused = "an annotation that doesn't fit INT32"; return TYPE(T_NULL);
    }
}

static type int64_type(const pq_schema_element *e, pq_leaf *l)
{
    if (e->logical == PQ_LOG_DECIMAL || (e->logical == PQ_LOG_NONE && e->converted == PQ_CONV_DECIMAL))
        return decimal_type(e, l);
    if (e->logical == PQ_LOG_TIME && e->unit != 0)
        return TYPE(T_TIME);
    if (e->logical == PQ_LOG_TIMESTAMP)
        return TYPE(e->adjusted_to_utc ? T_TIMESTAMPTZ : T_TIMESTAMP);
    if (e->logical == PQ_LOG_INTEGER)
        return int_type(e->bit_width, e->is_signed, true, l);
    if (e->logical != PQ_LOG_NONE) {
        l->refused = "an annotation that doesn't fit INT64";
        return TYPE(T_NULL);
    }
    switch (e->converted) {
    case PQ_CONV_TIME_MICROS: return TYPE(T_TIME);
    case PQ_CONV_TIMESTAMP_MILLIS:
    case PQ_CONV_TIMESTAMP_MICROS: return TYPE(T_TIMESTAMPTZ); /* the old annotation means UTC */
    case PQ_CONV_UINT_64: return TYPE_DECIMAL(20, 0);
    case PQ_CONV_NONE:
    case PQ_CONV_INT_64: return TYPE(T_INT64);
    default: l->refused = "an annotation that doesn't fit INT64"; return TYPE(T_NULL);
    }
}

static type bytes_type(const pq_schema_element *e, pq_leaf *l)
{
    bool fixed = e->type == PQ_FIXED;
    switch (e->logical) {
    case PQ_LOG_STRING:
    case PQ_LOG_ENUM:
    case PQ_LOG_JSON:
        if (!fixed)
            return TYPE(T_STRING);
        break;
    case PQ_LOG_BSON: return TYPE(T_BINARY);
    case PQ_LOG_DECIMAL: return decimal_type(e, l);
    case PQ_LOG_UUID:
        if (fixed && e->type_length == 16)
            return TYPE(T_UUID);
        break;
    case PQ_LOG_FLOAT16:
        if (fixed && e->type_length == 2)
            return TYPE(T_FLOAT32);
        break;
    default: break;
    }
    if (e->logical == PQ_LOG_NONE)
        switch (e->converted) {
        case PQ_CONV_UTF8:
        case PQ_CONV_ENUM:
        case PQ_CONV_JSON:
            if (!fixed)
                return TYPE(T_STRING);
            break;
        case PQ_CONV_DECIMAL: return decimal_type(e, l);
        default: break;
        }
    return fixed ? (type){.id = T_FIXED, .width = (uint32_t)e->type_length} : TYPE(T_BINARY);
}

static type leaf_type(const pq_schema_element *e, pq_leaf *l)
{
    bool unknown = e->logical == PQ_LOG_UNKNOWN; /* nothing but nulls, of whatever type */
    switch (e->type) {
    case PQ_BOOLEAN: return TYPE(T_BOOL);
    case PQ_INT32: return unknown ? TYPE(T_INT32) : int32_type(e, l);
    case PQ_INT64: return unknown ? TYPE(T_INT64) : int64_type(e, l);
    case PQ_INT96: return TYPE(T_TIMESTAMP);
    case PQ_FLOAT: return TYPE(T_FLOAT32);
    case PQ_DOUBLE: return TYPE(T_FLOAT64);
    case PQ_BYTE_ARRAY:
    case PQ_FIXED: return bytes_type(e, l);
    }
    return TYPE(T_NULL);
}

/* ---- the tree ---- */

/* What is known of a schema element while the tree is made. */
typedef struct place {
    uint32_t parent, end;           /* end: index behind the last element below it */
    uint8_t def, rep, ctx_def;      /* levels of a value of the element; of the innermost repeated one */
    uint8_t out_rep, out_ctx, out_def; /* of what is around it */
    pq_node *node;                  /* the value of one repetition */
} place;

typedef struct maker {
    pq_file *p;
    const pq_schema_element *e;
    place *at;
    bool nomem;
} maker;

static bool annotated_map(const pq_schema_element *e)
{
    return e->logical == PQ_LOG_MAP ||
           (e->logical == PQ_LOG_NONE && (e->converted == PQ_CONV_MAP || e->converted == PQ_CONV_MAP_KEY_VALUE));
}

static bool annotated_list(const pq_schema_element *e)
{
    return e->logical == PQ_LOG_LIST || (e->logical == PQ_LOG_NONE && e->converted == PQ_CONV_LIST);
}

static pq_node *node_new(maker *k, pq_node_kind kind, uint32_t element, uint32_t n)
{
    pq_node *x = arena_zalloc(&k->p->a, sizeof *x + n * sizeof x->kids[0]);
    if (!x) {
        k->nomem = true;
        return NULL;
    }
    x->kind = kind;
    x->element = element;
    x->n = n;
    return x;
}

/* Gives a node over kids that are set its type, leaves and depth; names NULL: those of the kids' elements. */
static void node_finish(maker *k, pq_node *x, uint8_t id, const char *const *names)
{
    type_fields *f = arena_zalloc(&k->p->a, sizeof *f + x->n * sizeof f->f[0]);
    if (!f) {
        k->nomem = true;
        return;
    }
    f->n = x->n;
    x->t = (type){.id = id, .children = f};
    x->first_leaf = x->kids[0]->first_leaf;
    for (uint32_t i = 0; i < x->n; i++) {
        const pq_node *kid = x->kids[i];
        const pq_schema_element *e = &k->e[kid->element];
        f->f[i] = (type_field){.name = e->name, .field_id = e->field_id, .required = !kid->optional, .t = kid->t};
        if (names)
            f->f[i].name = (str){names[i], strlen(names[i])};
        x->n_leaves += kid->n_leaves;
        if (kid->refused && !x->refused) {
            x->refused = kid->refused;
            x->refused_element = kid->refused_element;
        }
        if (kid->depth >= x->depth)
            x->depth = kid->depth + 1;
    }
    if (x->depth > TYPE_DEPTH_MAX && !x->refused) {
        x->refused = "nested too deeply";
        x->refused_element = x->element;
    }
    if (x->refused)
        x->t = TYPE(T_NULL);
}

/* A node for element i's value, standing where one repetition of it stands. */
static void node_levels(const maker *k, pq_node *x, uint32_t i)
{
    const place *at = &k->at[i];
    x->rep = at->rep;
    x->ctx_def = at->ctx_def;
    x->def = at->def;
    x->optional = k->e[i].repetition == PQ_OPTIONAL;
}

static const char *const element_name[] = {"element"};
static const char *const map_names[] = {"key", "value"};

/* The list of what a repeated element r has, for element i, which is r's parent or r itself. */
static pq_node *list_of(maker *k, uint32_t i, uint32_t r, pq_node *item)
{
    pq_node *x = node_new(k, NODE_LIST, i, 1);
    if (!x || !item)
        return NULL;
    x->kids[0] = item;
    x->item_def = k->at[r].def;
    if (i == r) {
        const place *at = &k->at[i];
        x->rep = at->out_rep;
        x->ctx_def = at->out_ctx;
        x->def = at->out_def;
    } else {
        node_levels(k, x, i);
    }
    node_finish(k, x, T_LIST, element_name);
    return x;
}

/* A member of a group: what repeats is a list. */
static pq_node *member_node(maker *k, uint32_t i)
{
    return k->e[i].repetition == PQ_REPEATED ? list_of(k, i, i, k->at[i].node) : k->at[i].node;
}

static bool named_as_element(str name, str list)
{
    str tuple = STR("_tuple");
    return str_eq(name, STR("array")) ||
           (name.n == list.n + tuple.n && !memcmp(name.p, list.p, list.n) && !memcmp(name.p + list.n, tuple.p, tuple.n));
}

/* The list that group i is annotated as; NULL: it doesn't look like one. */
static pq_node *list_make(maker *k, uint32_t i)
{
    const pq_schema_element *e = &k->e[i], *r = &k->e[i + 1];
    if (e->num_children != 1 || r->repetition != PQ_REPEATED)
        return NULL;
    bool wrapped = !r->has_type && r->num_children == 1 && k->e[i + 2].repetition != PQ_REPEATED &&
                   !named_as_element(r->name, e->name);
    return list_of(k, i, i + 1, wrapped ? k->at[i + 2].node : k->at[i + 1].node);
}

static pq_node *map_make(maker *k, uint32_t i)
{
    const pq_schema_element *e = &k->e[i], *r = &k->e[i + 1];
    if (e->num_children != 1 || r->repetition != PQ_REPEATED || r->has_type || r->num_children < 1 || r->num_children > 2)
        return NULL;
    pq_node *key = member_node(k, i + 2);
    if (r->num_children == 1)
        return list_of(k, i, i + 1, key);
    pq_node *value = member_node(k, k->at[i + 2].end);
    pq_node *x = node_new(k, NODE_MAP, i, 2);
    if (!x || !key || !value)
        return NULL;
    x->kids[0] = key;
    x->kids[1] = value;
    x->item_def = k->at[i + 1].def;
    node_levels(k, x, i);
    node_finish(k, x, T_MAP, map_names);
    return x;
}

static pq_node *struct_make(maker *k, uint32_t i)
{
    uint32_t n = (uint32_t)k->e[i].num_children;
    pq_node *x = node_new(k, NODE_STRUCT, i, n);
    if (!x)
        return NULL;
    node_levels(k, x, i);
    if (n == 0) {
        x->t = TYPE(T_NULL);
        x->refused = "a group without members";
        x->refused_element = i;
        return x;
    }
    uint32_t at = i + 1;
    for (uint32_t j = 0; j < n; j++, at = k->at[at].end)
        if (!(x->kids[j] = member_node(k, at)))
            return NULL;
    node_finish(k, x, T_STRUCT, NULL);
    return x;
}

static pq_node *leaf_make(maker *k, uint32_t i, uint32_t leaf)
{
    pq_node *x = node_new(k, NODE_LEAF, i, 0);
    if (!x)
        return NULL;
    pq_leaf *l = &k->p->leaves[leaf];
    *l = (pq_leaf){.element = &k->e[i], .max_def = k->at[i].def, .max_rep = k->at[i].rep, .ctx_def = k->at[i].ctx_def};
    l->t = leaf_type(l->element, l);
    node_levels(k, x, i);
    x->first_leaf = leaf;
    x->n_leaves = 1;
    x->t = l->t;
    x->refused = l->refused;
    x->refused_element = i;
    return x;
}

static pq_node *group_make(maker *k, uint32_t i)
{
    const pq_schema_element *e = &k->e[i], *up = &k->e[k->at[i].parent];
    pq_node *x = NULL;
    /* The pair within a map may have the map's annotation too. */
    bool pair = e->repetition == PQ_REPEATED && annotated_map(up) && up->num_children == 1;
    if (e->num_children && annotated_list(e))
        x = list_make(k, i);
    else if (e->num_children && annotated_map(e) && !pair)
        x = map_make(k, i);
    return x || k->nomem ? x : struct_make(k, i);
}

/* Parents and levels, front to back. The stack is as deep as a checked schema. */
static void places_fill(maker *k, uint32_t n)
{
    uint32_t group[SCHEMA_DEPTH + 1] = {0}, left[SCHEMA_DEPTH + 1];
    unsigned depth = 0;
    left[0] = (uint32_t)k->e[0].num_children;
    for (uint32_t i = 1; i < n; i++) {
        while (left[depth] == 0)
            depth--;
        left[depth]--;
        const place *up = &k->at[group[depth]];
        place *at = &k->at[i];
        pq_repetition rep = k->e[i].repetition;
        *at = (place){.parent = group[depth], .out_rep = up->rep, .out_ctx = up->ctx_def, .out_def = up->def};
        at->def = up->def + (rep != PQ_REQUIRED);
        at->rep = up->rep + (rep == PQ_REPEATED);
        at->ctx_def = rep == PQ_REPEATED ? at->def : up->ctx_def;
        if (k->e[i].num_children) {
            group[++depth] = i;
            left[depth] = (uint32_t)k->e[i].num_children;
        }
    }
}

static void ends_fill(maker *k, uint32_t n)
{
    for (uint32_t i = n; i-- > 0;) {
        uint32_t end = i + 1;
        for (int32_t j = 0; j < k->e[i].num_children; j++)
            end = k->at[end].end;
        k->at[i].end = end;
    }
}

bool schema_make(pq_file *p)
{
    pq_file_meta *m = &p->meta;
    uint32_t n = m->n_schema, n_cols = (uint32_t)m->schema[0].num_children, leaf = m->n_leaves;
    maker k = {.p = p, .e = m->schema, .at = mem_zalloc(p->m, n * sizeof(place))};
    p->leaves = ARENA_ARRAY(&p->a, pq_leaf, leaf ? leaf : 1);
    p->columns = ARENA_ARRAY(&p->a, const pq_node *, n_cols ? n_cols : 1);
    p->schema = (row_schema){n_cols, ARENA_ARRAY(&p->a, column_def, n_cols ? n_cols : 1)};
    k.nomem = !k.at || !p->leaves || !p->columns || !p->schema.cols;
    if (!k.nomem) {
        places_fill(&k, n);
        ends_fill(&k, n);
    }
    for (uint32_t i = n; i-- > 1 && !k.nomem;)
        k.at[i].node = k.e[i].has_type ? leaf_make(&k, i, --leaf) : group_make(&k, i);
    uint32_t at = 1;
    for (uint32_t c = 0; c < n_cols && !k.nomem; c++, at = k.at[at].end) {
        const pq_node *x = member_node(&k, at);
        if (!x)
            break;
        p->columns[c] = x;
        p->schema.cols[c] = (column_def){.name = m->schema[at].name, .t = x->t, .not_null = !x->optional,
                                         .field_id = m->schema[at].field_id};
    }
    mem_free(p->m, k.at, n * sizeof(place));
    return !k.nomem;
}
