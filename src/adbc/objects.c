/*
 * objects.c: GetObjects: catalogs, namespaces, tables and columns as one nested table, down to the depth that is asked for; what lies
 * deeper is null. Filters are patterns of LIKE.
 *
 * A lake is one catalog. Namespaces and tables come from SHOW, columns from DESCRIBE and from the Arrow types of the table, the key
 * from SHOW CREATE TABLE. A table whose metadata can't be read has no columns.
 */
#include "adbc/adbc_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool name_like(const char *name, const char *pattern)
{
    const char *back_name = NULL, *back = NULL;
    if (!pattern)
        return true;
    while (*name) {
        if (*pattern == '%') {
            back = ++pattern;
            back_name = name;
        } else if (*pattern == '_' && ++pattern) {
            for (name++; ((unsigned char)*name & 0xC0) == 0x80;)
                name++; /* a character, not a byte */
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (back) {
            pattern = back;
            name = ++back_name;
        } else {
            return false;
        }
    }
    while (*pattern == '%')
        pattern++;
    return !*pattern;
}

/* ---- the schema ---- */

static struct ArrowSchema *columns_schema(void)
{
    const int64_t null = ARROW_FLAG_NULLABLE;
    return adbc_nested("item", "+s", null, 19, adbc_field("column_name", "u", 0), adbc_field("ordinal_position", "i", null),
                       adbc_field("remarks", "u", null), adbc_field("xdbc_data_type", "s", null), adbc_field("xdbc_type_name", "u", null),
                       adbc_field("xdbc_column_size", "i", null), adbc_field("xdbc_decimal_digits", "s", null),
                       adbc_field("xdbc_num_prec_radix", "s", null), adbc_field("xdbc_nullable", "s", null),
                       adbc_field("xdbc_column_def", "u", null), adbc_field("xdbc_sql_data_type", "s", null),
                       adbc_field("xdbc_datetime_sub", "s", null), adbc_field("xdbc_char_octet_length", "i", null),
                       adbc_field("xdbc_is_nullable", "u", null), adbc_field("xdbc_scope_catalog", "u", null),
                       adbc_field("xdbc_scope_schema", "u", null), adbc_field("xdbc_scope_table", "u", null),
                       adbc_field("xdbc_is_autoincrement", "b", null), adbc_field("xdbc_is_generatedcolumn", "b", null));
}

static struct ArrowSchema *constraints_schema(void)
{
    const int64_t null = ARROW_FLAG_NULLABLE;
    return adbc_nested("item", "+s", null, 4, adbc_field("constraint_name", "u", null), adbc_field("constraint_type", "u", 0),
                       adbc_nested("constraint_column_names", "+l", 0, 1, adbc_field("", "u", null)),
                       adbc_nested("constraint_column_usage", "+l", null, 1,
                                   adbc_nested("item", "+s", null, 4, adbc_field("fk_catalog", "u", null), adbc_field("fk_db_schema", "u", null),
                                               adbc_field("fk_table", "u", 0), adbc_field("fk_column_name", "u", 0))));
}

static bool objects_schema(struct ArrowSchema *s)
{
    const int64_t null = ARROW_FLAG_NULLABLE;
    struct ArrowSchema *tables = adbc_nested(
        "item", "+s", null, 4, adbc_field("table_name", "u", 0), adbc_field("table_type", "u", 0),
        adbc_nested("table_columns", "+l", null, 1, columns_schema()), adbc_nested("table_constraints", "+l", null, 1, constraints_schema()));
    return adbc_struct(s, 2, adbc_field("catalog_name", "u", null),
                       adbc_nested("catalog_db_schemas", "+l", null, 1,
                                   adbc_nested("item", "+s", null, 2, adbc_field("db_schema_name", "u", null),
                                               adbc_nested("db_schema_tables", "+l", null, 1, tables))));
}

/* ---- columns ---- */

enum {
    COL_NAME, COL_ORDINAL, COL_REMARKS, COL_DATA_TYPE, COL_TYPE_NAME, COL_SIZE, COL_DIGITS, COL_RADIX, COL_NULLABLE, COL_DEF, COL_SQL_TYPE,
    COL_DATETIME_SUB, COL_OCTETS, COL_IS_NULLABLE, COL_SCOPE_CATALOG, COL_SCOPE_SCHEMA, COL_SCOPE_TABLE, COL_AUTO, COL_GENERATED, COL_N
};

/* The type codes of XDBC, as java.sql.Types and ODBC number them: sizes are decimal digits, of text unknown. */
typedef struct xdbc { int16_t type; int32_t size; int16_t digits, radix; } xdbc;

static xdbc xdbc_of(const char *f)
{
    xdbc x = {1111 /* other */, -1, -1, -1};
    int p = 0, s = 0;
    switch (f[0]) {
    case 'b': return (xdbc){-7, 1, -1, -1};
    case 's': return (xdbc){5, 5, 0, 10};
    case 'i': return (xdbc){4, 10, 0, 10};
    case 'l': return (xdbc){-5, 19, 0, 10};
    case 'f': return (xdbc){7, 24, -1, 2};
    case 'g': return (xdbc){8, 53, -1, 2};
    case 'u': case 'U': case 'v': return (xdbc){f[0] == 'v' && f[1] == 'z' ? -3 : 12, -1, -1, -1};
    case 'z': case 'Z': return (xdbc){-3, -1, -1, -1};
    case 'w': return (xdbc){-2, (int32_t)strtol(f + 2, NULL, 10), -1, -1};
    case 'd':
        if (sscanf(f, "d:%d,%d", &p, &s) == 2)
            return (xdbc){3, p, (int16_t)s, 10};
        return x;
    case 't':
        if (f[1] == 'd')
            return (xdbc){91, 10, -1, -1};
        if (f[1] == 't')
            return (xdbc){92, 15, 6, -1};
        return (xdbc){f[1] == 's' && strlen(f) > 4 ? 2014 : 93, 29, 6, -1};
    case '+':
        x.type = f[1] == 'l' || f[1] == 'L' ? 2003 : f[1] == 's' ? 2002 : 2000;
        return x;
    default:
        return x;
    }
}

static void int_or_null(builder *b, int64_t v)
{
    if (v < 0)
        build_null(b);
    else
        build_int(b, v);
}

/* A row of DESCRIBE: column, type, null, comment, partition. */
static void build_column(builder *b, int32_t ordinal, char *const *row, const struct ArrowSchema *field)
{
    xdbc x = xdbc_of(field->format);
    bool nullable = strcmp(row[2], "YES") == 0;
    build_z(b->kids[COL_NAME], row[0]);
    build_int(b->kids[COL_ORDINAL], ordinal);
    build_z(b->kids[COL_REMARKS], row[3]);
    build_int(b->kids[COL_DATA_TYPE], x.type);
    build_z(b->kids[COL_TYPE_NAME], row[1]);
    int_or_null(b->kids[COL_SIZE], x.size);
    int_or_null(b->kids[COL_DIGITS], x.digits);
    int_or_null(b->kids[COL_RADIX], x.radix);
    build_int(b->kids[COL_NULLABLE], nullable);
    build_null(b->kids[COL_DEF]);
    build_int(b->kids[COL_SQL_TYPE], x.type);
    for (int i = COL_DATETIME_SUB; i < COL_IS_NULLABLE; i++)
        build_null(b->kids[i]);
    build_z(b->kids[COL_IS_NULLABLE], row[2]);
    for (int i = COL_SCOPE_CATALOG; i < COL_AUTO; i++)
        build_null(b->kids[i]);
    build_int(b->kids[COL_AUTO], 0);
    build_int(b->kids[COL_GENERATED], 0);
    build_end(b);
}

/* ---- the key ---- */

/* The next word, name or mark of a CREATE TABLE; 0 at the end, 'a' a word, '"' a name (in *name without quotes), '\'' a text, else the
 * mark itself. */
static char token(const char **at, text *name)
{
    const char *p = *at + strspn(*at, " \n\t");
    char kind = *p;
    name->n = 0;
    if (kind == '"' || kind == '\'') {
        for (p++; *p; p++) {
            if (*p == kind && *++p != kind)
                break;
            text_add(name, (char[]){*p, 0});
        }
    } else if (kind && !strchr("(),=", kind)) {
        kind = 'a';
        while (*p && !strchr(" \n\t(),='\"", *p))
            text_add(name, (char[]){*p++, 0});
    } else if (kind) {
        p++;
    }
    *at = p;
    return kind;
}

/* The columns of PRIMARY KEY (…) in the list of columns, into the list of names; their number. */
static int64_t build_key(const char *create, builder *names)
{
    text name = {0};
    int depth = 0;
    int64_t n = 0;
    bool first = false, found = false;
    for (char k; (k = token(&create, &name)); first = depth == 1 && (k == '(' || k == ',')) {
        depth += (k == '(') - (k == ')');
        if (found && k == ')')
            break;
        if (found && (k == 'a' || k == '"')) {
            build_text(names, name.p ? name.p : "", name.n);
            n++;
        }
        if (first && k == 'a' && name.p && strcmp(name.p, "PRIMARY") == 0) {
            k = token(&create, &name);
            found = k == 'a' && strcmp(name.p, "KEY") == 0; /* a column of the name PRIMARY would be quoted, or have a type here */
        }
    }
    free(name.p);
    return n;
}

/* ---- walking ---- */

typedef struct request {
    conn *l;
    int depth;
    const char *schema, *table, *column;
    const char **types;
    struct AdbcError *err;
} request;

static status table_text(request *q, const char *verb, const char *ns, const char *name, texts *out)
{
    text t = {0};
    text_add(&t, verb);
    text_table(&t, NULL, ns, name);
    status st = t.failed ? fail_nomem(q->err) : conn_texts(q->l, t.p, out, q->err);
    free(t.p);
    return st;
}

static status build_columns(request *q, const char *ns, const char *name, builder *list)
{
    texts d;
    struct ArrowSchema s;
    fz_error e;
    text t = {0};
    text_add(&t, "SELECT * FROM ");
    text_table(&t, NULL, ns, name);
    if (t.failed) {
        free(t.p);
        return fail_nomem(q->err);
    }
    fz_status f = fz_describe(q->l->s, t.p, NULL, &s, NULL, &e);
    free(t.p);
    if (f)
        return ADBC_STATUS_OK; /* dropped meanwhile, or not readable: the table is there, its columns aren't known */
    status st = table_text(q, "DESCRIBE ", ns, name, &d);
    if (!st) {
        for (size_t i = 0; i < d.nrows && (int64_t)i < s.n_children; i++)
            if (name_like(d.cells[i * d.ncols], q->column))
                build_column(list->kids[0], (int32_t)i + 1, &d.cells[i * d.ncols], s.children[i]);
        texts_free(&d);
    }
    s.release(&s);
    return st;
}

static status build_constraints(request *q, const char *ns, const char *name, builder *list)
{
    texts create;
    builder *c = list->kids[0];
    fz_error e;
    text t = {0};
    text_add(&t, "SELECT * FROM ");
    text_table(&t, NULL, ns, name);
    fz_status f = t.failed ? FZ_NOMEM : fz_describe(q->l->s, t.p, NULL, NULL, NULL, &e);
    free(t.p);
    if (f)
        return ADBC_STATUS_OK;
    status st = table_text(q, "SHOW CREATE TABLE ", ns, name, &create);
    if (st)
        return st;
    if (create.nrows && build_key(create.cells[0], c->kids[2]->kids[0])) {
        build_end(c->kids[2]);
        build_null(c->kids[0]);
        build_z(c->kids[1], "PRIMARY KEY");
        build_null(c->kids[3]);
        build_end(c);
    }
    texts_free(&create);
    return ADBC_STATUS_OK;
}

static status build_table(request *q, const char *ns, const char *name, builder *b)
{
    status st = ADBC_STATUS_OK;
    build_z(b->kids[0], name);
    build_z(b->kids[1], "table");
    if (q->depth == ADBC_OBJECT_DEPTH_TABLES) {
        build_null(b->kids[2]);
        build_null(b->kids[3]);
    } else {
        st = build_columns(q, ns, name, b->kids[2]);
        build_end(b->kids[2]);
        if (!st)
            st = build_constraints(q, ns, name, b->kids[3]);
        build_end(b->kids[3]);
    }
    build_end(b);
    return st;
}

static bool tables_wanted(const request *q)
{
    if (!q->types || !q->types[0])
        return true;
    for (size_t i = 0; q->types[i]; i++)
        if (strcasecmp(q->types[i], "table") == 0)
            return true;
    return false;
}

static status build_schemas(request *q, builder *list)
{
    texts ns, tables = {0};
    builder *b = list->kids[0];
    bool deep = q->depth == ADBC_OBJECT_DEPTH_TABLES || q->depth == ADBC_OBJECT_DEPTH_ALL;
    status st = conn_texts(q->l, "SHOW SCHEMAS", &ns, q->err);
    if (!st && deep)
        st = conn_texts(q->l, "SHOW TABLES", &tables, q->err);
    for (size_t i = 0; i < ns.nrows && !st; i++) {
        if (!name_like(ns.cells[i], q->schema))
            continue;
        build_z(b->kids[0], ns.cells[i]);
        for (size_t k = 0; k < tables.nrows && !st && tables_wanted(q); k++)
            if (strcmp(tables.cells[2 * k], ns.cells[i]) == 0 && name_like(tables.cells[2 * k + 1], q->table))
                st = build_table(q, ns.cells[i], tables.cells[2 * k + 1], b->kids[1]->kids[0]);
        if (deep)
            build_end(b->kids[1]);
        else
            build_null(b->kids[1]);
        build_end(b);
    }
    texts_free(&ns);
    texts_free(&tables);
    return st;
}

status connection_objects(struct AdbcConnection *c, int depth, const char *catalog, const char *schema, const char *table,
                          const char **types, const char *column, struct ArrowArrayStream *out, struct AdbcError *err)
{
    conn *l;
    struct ArrowSchema s;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    if (depth < ADBC_OBJECT_DEPTH_ALL || depth > ADBC_OBJECT_DEPTH_TABLES)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "there is no depth %d of objects", depth);
    if (!objects_schema(&s))
        return fail_nomem(err);
    builder *b = builder_new(&s);
    if (b && name_like(l->catalog, catalog)) {
        request q = {l, depth, schema, table, column, types, err};
        build_z(b->kids[0], l->catalog);
        if (depth == ADBC_OBJECT_DEPTH_CATALOGS) {
            build_null(b->kids[1]);
        } else {
            pthread_mutex_lock(&l->lock);
            st = build_schemas(&q, b->kids[1]);
            pthread_mutex_unlock(&l->lock);
            build_end(b->kids[1]);
        }
        build_end(b);
    }
    if (st) {
        builder_free(b);
        s.release(&s);
        return st;
    }
    return builder_stream(b, &s, out) ? ADBC_STATUS_OK : fail_nomem(err);
}
