/* info.c: what the driver says of itself, the types of tables, one table's columns. */
#include "adbc/adbc_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- GetInfo ---- */

enum { INFO_TEXT, INFO_BOOL, INFO_INT };

static const struct known { uint32_t code; int kind; const char *text; int64_t number; } known[] = {
    {ADBC_INFO_VENDOR_NAME, INFO_TEXT, "frazil", 0},
    {ADBC_INFO_VENDOR_VERSION, INFO_TEXT, NULL, 0},
    {ADBC_INFO_VENDOR_SQL, INFO_BOOL, NULL, 1},
    {ADBC_INFO_VENDOR_SUBSTRAIT, INFO_BOOL, NULL, 0},
    {ADBC_INFO_DRIVER_NAME, INFO_TEXT, "frazil ADBC driver", 0},
    {ADBC_INFO_DRIVER_VERSION, INFO_TEXT, NULL, 0},
    {ADBC_INFO_DRIVER_ADBC_VERSION, INFO_INT, NULL, ADBC_VERSION_1_1_0},
};

static bool info_schema(struct ArrowSchema *s)
{
    const int64_t null = ARROW_FLAG_NULLABLE;
    return adbc_struct(s, 2, adbc_field("info_name", "I", 0),
                       adbc_nested("info_value", "+ud:0,1,2,3,4,5", null, 6, adbc_field("string_value", "u", null),
                                   adbc_field("bool_value", "b", null), adbc_field("int64_value", "l", null),
                                   adbc_field("int32_bitmask", "i", null),
                                   adbc_nested("string_list", "+l", null, 1, adbc_field("item", "u", null)),
                                   adbc_nested("int32_to_int32_list_map", "+m", null, 1,
                                               adbc_nested("entries", "+s", 0, 2, adbc_field("key", "i", 0),
                                                           adbc_nested("value", "+l", null, 1, adbc_field("item", "i", null))))));
}

static bool asked(uint32_t code, const uint32_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (codes[i] == code)
            return true;
    return !codes || !n;
}

status connection_info(struct AdbcConnection *c, const uint32_t *codes, size_t n, struct ArrowArrayStream *out, struct AdbcError *err)
{
    conn *l;
    struct ArrowSchema s;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    if (!info_schema(&s))
        return fail_nomem(err);
    builder *b = builder_new(&s);
    for (size_t i = 0; b && i < sizeof known / sizeof *known; i++) {
        const struct known *k = &known[i];
        if (!asked(k->code, codes, n))
            continue;
        builder *value = b->kids[1];
        build_int(b->kids[0], k->code);
        if (k->kind == INFO_TEXT)
            build_z(value->kids[0], k->text ? k->text : fz_version());
        else
            build_int(value->kids[k->kind], k->number);
        build_member(value, (uint8_t)k->kind);
        build_end(b);
    }
    return builder_stream(b, &s, out) ? ADBC_STATUS_OK : fail_nomem(err);
}

/* ---- tables ---- */

status connection_table_types(struct AdbcConnection *c, struct ArrowArrayStream *out, struct AdbcError *err)
{
    conn *l;
    struct ArrowSchema s;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    if (!adbc_struct(&s, 1, adbc_field("table_type", "u", 0)))
        return fail_nomem(err);
    builder *b = builder_new(&s);
    if (b) {
        build_z(b->kids[0], "table");
        build_end(b);
    }
    return builder_stream(b, &s, out) ? ADBC_STATUS_OK : fail_nomem(err);
}

status connection_table_schema(struct AdbcConnection *c, const char *catalog, const char *schema, const char *name, struct ArrowSchema *out,
                               struct AdbcError *err)
{
    conn *l;
    text t = {0};
    fz_error e;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    if (!name)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "the table's name is missing");
    if (catalog && *catalog && strcmp(catalog, l->catalog) != 0)
        return fail(err, ADBC_STATUS_NOT_FOUND, "3D000", "there is no catalog \"%s\" in this database; it has \"%s\"", catalog, l->catalog);
    text_add(&t, "SELECT * FROM ");
    text_table(&t, NULL, schema, name);
    if (t.failed) {
        free(t.p);
        return fail_nomem(err);
    }
    pthread_mutex_lock(&l->lock);
    fz_status f = fz_describe(l->s, t.p, NULL, out, NULL, &e);
    pthread_mutex_unlock(&l->lock);
    free(t.p);
    if (f == FZ_OK)
        return ADBC_STATUS_OK;
    e.line = e.column = -1; /* they are about a text that the caller doesn't know */
    return fail_fz(err, &e);
}
