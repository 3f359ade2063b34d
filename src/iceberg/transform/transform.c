/*
 * transform.c: the text of partition transforms, the types they take and give.
 *
 *   transform        source                                              result
 *   identity         any primitive                                       the source's
 *   bucket[N]        all but boolean, float, double                      int
 *   truncate[W]      int, long, decimal, string, binary                  the source's
 *   year month       date, timestamp, timestamptz                        int
 *   day              date, timestamp, timestamptz                        date (what Java and PyIceberg write)
 *   hour             timestamp, timestamptz                              int
 *   void             any                                                 the source's, always null
 */
#include "iceberg/transform/transform.h"

static const struct {
    const char *name;
    ib_transform_kind kind;
} names[] = {
    {"identity", IB_IDENTITY}, {"bucket", IB_BUCKET}, {"truncate", IB_TRUNCATE}, {"year", IB_YEAR},
    {"month", IB_MONTH}, {"day", IB_DAY}, {"hour", IB_HOUR}, {"void", IB_VOID},
};

static bool takes_param(ib_transform_kind k) { return k == IB_BUCKET || k == IB_TRUNCATE; }

fz_status ib_transform_parse(str text, arena *a, ib_transform *out)
{
    *out = (ib_transform){.kind = IB_TRANSFORM_UNKNOWN};
    out->text = (str){arena_strndup(a, text.p, text.n), text.n};
    if (!out->text.p)
        return FZ_NOMEM;
    str name = text;
    int64_t param = 0;
    const char *open = text.n ? memchr(text.p, '[', text.n) : NULL;
    if (open) {
        name.n = (size_t)(open - text.p);
        str inner = {open + 1, text.n - name.n - 1};
        if (inner.n < 2 || inner.p[inner.n - 1] != ']' || inner.p[0] < '0' || inner.p[0] > '9')
            return FZ_OK;
        inner.n--;
        if (!str_to_i64(inner, &param) || param < 1 || param > INT32_MAX)
            return FZ_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(name, str_of(names[i].name)) && takes_param(names[i].kind) == (open != NULL)) {
            out->kind = names[i].kind;
            out->param = (int32_t)param;
        }
    return FZ_OK;
}

void ib_transform_write(const ib_transform *t, sbuf *out)
{
    if (t->kind == IB_TRANSFORM_UNKNOWN) {
        sbuf_str(out, t->text);
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].kind == t->kind)
            sbuf_addz(out, names[i].name);
    if (takes_param(t->kind))
        sbuf_printf(out, "[%d]", t->param);
}

static bool takes(ib_transform_kind kind, uint8_t id)
{
    switch (kind) {
    case IB_IDENTITY:
    case IB_VOID:
        return true;
    case IB_BUCKET:
        return id == T_INT32 || id == T_INT64 || id == T_DECIMAL || id == T_DATE || id == T_TIME ||
               id == T_TIMESTAMP || id == T_TIMESTAMPTZ || id == T_STRING || id == T_BINARY || id == T_UUID ||
               id == T_FIXED;
    case IB_TRUNCATE:
        return id == T_INT32 || id == T_INT64 || id == T_DECIMAL || id == T_STRING || id == T_BINARY;
    case IB_YEAR:
    case IB_MONTH:
    case IB_DAY:
        return id == T_DATE || id == T_TIMESTAMP || id == T_TIMESTAMPTZ;
    case IB_HOUR:
        return id == T_TIMESTAMP || id == T_TIMESTAMPTZ;
    default:
        return false;
    }
}

fz_status ib_transform_result(const ib_transform *t, type source, type *out, fz_error *err)
{
    if (t->kind == IB_TRANSFORM_UNKNOWN)
        return error_set(err, FZ_UNSUPPORTED, "the partition transform \"" STR_FMT "\" isn't supported",
                         STR_ARG(t->text));
    if (type_is_nested(source) || source.id == T_NULL || !takes(t->kind, source.id)) {
        sbuf b;
        sbuf_init(&b, NULL);
        ib_transform_write(t, &b);
        sbuf_addz(&b, " can't be applied to the type ");
        type_sql_name(source, &b);
        error_set(err, FZ_INVALID, "the partition transform %s", b.failed ? "doesn't fit" : b.p);
        sbuf_free(&b);
        return FZ_INVALID;
    }
    switch (t->kind) {
    case IB_BUCKET:
    case IB_YEAR:
    case IB_MONTH:
    case IB_HOUR:
        *out = TYPE(T_INT32);
        break;
    case IB_DAY:
        *out = TYPE(T_DATE);
        break;
    default:
        *out = source;
    }
    return FZ_OK;
}
