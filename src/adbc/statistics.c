/*
 * statistics.c: GetStatistics: rows, nulls, least and greatest values of tables.
 *
 * Exact ones are a query of count, min and max, which is answered from the table's metadata where that is exact and reads the table
 * otherwise. Approximate ones come from the statistics of its data files alone (t.files): rows that delete files delete are counted,
 * bounds of texts may be cut. Values are int64 (integers), float64 (float, double) or binary (text); other types have no least and greatest
 * value here.
 */
#include "adbc/adbc_int.h"

#include <stdlib.h>
#include <string.h>

static bool statistics_schema(struct ArrowSchema *s)
{
    const int64_t null = ARROW_FLAG_NULLABLE;
    struct ArrowSchema *value =
        adbc_nested("statistic_value", "+ud:0,1,2,3", 0, 4, adbc_field("int64", "l", null), adbc_field("uint64", "L", null),
                    adbc_field("float64", "g", null), adbc_field("binary", "z", null));
    struct ArrowSchema *item = adbc_nested("item", "+s", null, 5, adbc_field("table_name", "u", 0), adbc_field("column_name", "u", null),
                                           adbc_field("statistic_key", "s", 0), value, adbc_field("statistic_is_approximate", "b", 0));
    return adbc_struct(s, 2, adbc_field("catalog_name", "u", null),
                       adbc_nested("catalog_db_schemas", "+l", 0, 1,
                                   adbc_nested("item", "+s", null, 2, adbc_field("db_schema_name", "u", null),
                                               adbc_nested("db_schema_statistics", "+l", 0, 1, item))));
}

typedef enum range { RANGE_NONE, RANGE_INT, RANGE_DOUBLE, RANGE_TEXT } range;

static range range_of(const char *format)
{
    switch (format[0]) {
    case 's': case 'i': case 'l':
        return RANGE_INT;
    case 'f': case 'g':
        return RANGE_DOUBLE;
    case 'u':
        return RANGE_TEXT;
    default:
        return RANGE_NONE;
    }
}

/* ---- the query ---- */

static void add_value(text *t, const char *function, const char *column, const char *member, range r)
{
    static const char *const types[] = {[RANGE_INT] = "bigint", [RANGE_DOUBLE] = "double precision", [RANGE_TEXT] = "text"};
    text_add(t, ", CAST(");
    text_add(t, function);
    text_add(t, "(");
    if (member)
        text_add(t, "readable_metrics.");
    text_ident(t, column);
    if (member)
        text_add(t, member);
    text_add(t, ") AS ");
    text_add(t, types[r]);
    text_add(t, ")");
}

static void query_text(text *t, const char *ns, const char *table, const struct ArrowSchema *s, bool approximate)
{
    text_add(t, approximate ? "SELECT CAST(sum(record_count) AS bigint)" : "SELECT count(*)");
    for (int64_t i = 0; i < s->n_children; i++) {
        const struct ArrowSchema *c = s->children[i];
        range r = range_of(c->format);
        if (c->format[0] == '+')
            continue;
        if (approximate) {
            add_value(t, "sum", c->name, ".null_value_count", RANGE_INT);
        } else {
            text_add(t, ", count(*) - count(");
            text_ident(t, c->name);
            text_add(t, ")");
        }
        if (r != RANGE_NONE) {
            add_value(t, "min", c->name, approximate ? ".lower_bound" : NULL, r);
            add_value(t, "max", c->name, approximate ? ".upper_bound" : NULL, r);
        }
    }
    text_add(t, " FROM ");
    text_table(t, NULL, ns, table);
    text_add(t, approximate ? ".files WHERE content = 0" : "");
}

/* ---- its answer ---- */

static bool is_null(const struct ArrowArray *a)
{
    const unsigned char *valid = a->buffers[0];
    return valid && !(valid[a->offset / 8] >> a->offset % 8 & 1);
}

typedef struct place { builder *list; const char *table, *column; bool approximate; } place;

/* A statistic from the one row of a column of the answer; none where that is null. */
static void build_one(const place *p, int16_t key, const struct ArrowArray *a, range r)
{
    static const uint8_t codes[] = {[RANGE_INT] = 0, [RANGE_DOUBLE] = 2, [RANGE_TEXT] = 3};
    builder *b = p->list->kids[0], *value = b->kids[3];
    if (is_null(a))
        return;
    build_z(b->kids[0], p->table);
    build_z(b->kids[1], p->column);
    build_int(b->kids[2], key);
    if (r == RANGE_INT) {
        build_int(value->kids[0], ((const int64_t *)a->buffers[1])[a->offset]);
    } else if (r == RANGE_DOUBLE) {
        build_double(value->kids[2], ((const double *)a->buffers[1])[a->offset]);
    } else {
        const int32_t *at = (const int32_t *)a->buffers[1] + a->offset;
        build_text(value->kids[3], (const char *)a->buffers[2] + at[0], (size_t)(at[1] - at[0]));
    }
    build_member(value, codes[r]);
    build_int(b->kids[4], p->approximate);
    build_end(b);
}

static void build_all(place p, const struct ArrowSchema *s, const struct ArrowArray *row)
{
    int64_t at = 0;
    build_one(&p, ADBC_STATISTIC_ROW_COUNT_KEY, row->children[at++], RANGE_INT);
    for (int64_t i = 0; i < s->n_children; i++) {
        range r = range_of(s->children[i]->format);
        p.column = s->children[i]->name;
        if (s->children[i]->format[0] == '+')
            continue;
        build_one(&p, ADBC_STATISTIC_NULL_COUNT_KEY, row->children[at++], RANGE_INT);
        if (r == RANGE_NONE)
            continue;
        build_one(&p, ADBC_STATISTIC_MIN_VALUE_KEY, row->children[at++], r);
        build_one(&p, ADBC_STATISTIC_MAX_VALUE_KEY, row->children[at++], r);
    }
}

static fz_status run_one_row(conn *l, const char *sql, struct ArrowArray *row, fz_error *e)
{
    fz_result *r;
    fz_status f = fz_execute(l->s, sql, NULL, NULL, &r, e);
    if (f)
        return f;
    f = fz_result_next(r, row, e);
    fz_result_release(r);
    return f;
}

static status build_table(conn *l, const char *ns, const char *table, bool approximate, builder *list, struct AdbcError *err)
{
    struct ArrowSchema s;
    struct ArrowArray row = {0};
    text select = {0}, query = {0};
    fz_error e;
    text_add(&select, "SELECT * FROM ");
    text_table(&select, NULL, ns, table);
    fz_status f = select.failed ? FZ_NOMEM : fz_describe(l->s, select.p, NULL, &s, NULL, &e);
    if (select.failed || f) {
        free(select.p);
        return select.failed ? fail_nomem(err) : ADBC_STATUS_OK; /* dropped meanwhile, or not readable */
    }
    query_text(&query, ns, table, &s, approximate);
    if (query.failed)
        f = FZ_NOMEM;
    else
        f = run_one_row(l, query.p, &row, &e);
    if (!f && row.release) {
        build_all((place){list, table, NULL, approximate}, &s, &row);
        row.release(&row);
    }
    s.release(&s);
    free(select.p);
    status st = query.failed ? fail_nomem(err) : f ? fail_fz(err, &e) : ADBC_STATUS_OK;
    free(query.p);
    return st;
}

static status build_schemas(conn *l, const char *schema, const char *table, bool approximate, builder *list, struct AdbcError *err)
{
    texts ns, tables = {0};
    builder *b = list->kids[0];
    status st = conn_texts(l, "SHOW SCHEMAS", &ns, err);
    if (!st)
        st = conn_texts(l, "SHOW TABLES", &tables, err);
    for (size_t i = 0; i < ns.nrows && !st; i++) {
        bool any = false;
        if (!name_like(ns.cells[i], schema))
            continue;
        for (size_t k = 0; k < tables.nrows && !st; k++) {
            if (strcmp(tables.cells[2 * k], ns.cells[i]) != 0 || !name_like(tables.cells[2 * k + 1], table))
                continue;
            st = build_table(l, ns.cells[i], tables.cells[2 * k + 1], approximate, b->kids[1], err);
            any = true;
        }
        if (any) {
            build_z(b->kids[0], ns.cells[i]);
            build_end(b->kids[1]);
            build_end(b);
        }
    }
    texts_free(&ns);
    texts_free(&tables);
    return st;
}

status connection_statistics(struct AdbcConnection *c, const char *catalog, const char *schema, const char *table, char approximate,
                             struct ArrowArrayStream *out, struct AdbcError *err)
{
    conn *l;
    struct ArrowSchema s;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    if (!statistics_schema(&s))
        return fail_nomem(err);
    builder *b = builder_new(&s);
    if (b && name_like(l->catalog, catalog)) {
        pthread_mutex_lock(&l->lock);
        st = build_schemas(l, schema, table, approximate != 0, b->kids[1], err);
        pthread_mutex_unlock(&l->lock);
        build_z(b->kids[0], l->catalog);
        build_end(b->kids[1]);
        build_end(b);
    }
    if (st) {
        builder_free(b);
        s.release(&s);
        return st;
    }
    return builder_stream(b, &s, out) ? ADBC_STATUS_OK : fail_nomem(err);
}

/* All statistics here are of the standard's own numbers, so there are no further names. */
status connection_statistic_names(struct AdbcConnection *c, struct ArrowArrayStream *out, struct AdbcError *err)
{
    conn *l;
    struct ArrowSchema s;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    if (!adbc_struct(&s, 2, adbc_field("statistic_name", "u", 0), adbc_field("statistic_key", "s", 0)))
        return fail_nomem(err);
    return builder_stream(builder_new(&s), &s, out) ? ADBC_STATUS_OK : fail_nomem(err);
}
