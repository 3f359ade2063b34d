/*
 * type_name.c: Iceberg's names of primitive types (spec, "Appendix C", type serialisation).
 */
#include "iceberg/spec/build.h"

static const struct {
    const char *name;
    uint8_t id;
} plain[] = {
    {"boolean", T_BOOL}, {"int", T_INT32}, {"long", T_INT64}, {"float", T_FLOAT32}, {"double", T_FLOAT64},
    {"date", T_DATE}, {"time", T_TIME}, {"timestamp", T_TIMESTAMP}, {"timestamptz", T_TIMESTAMPTZ},
    {"string", T_STRING}, {"uuid", T_UUID}, {"binary", T_BINARY},
};

/* Types of format version 3. */
static const char *const later[] = {"timestamp_ns", "timestamptz_ns", "variant", "unknown", "geometry", "geography"};

/* The numbers between `open` and `close`, separated by commas; how many, or -1. */
static int numbers(str s, const char *name, char open, char close, int64_t *out, int max)
{
    size_t n = strlen(name);
    if (s.n < n + 2 || memcmp(s.p, name, n) != 0)
        return -1;
    s = str_trim((str){s.p + n, s.n - n});
    if (s.n < 2 || s.p[0] != open || s.p[s.n - 1] != close)
        return -1;
    const char *p = s.p + 1, *end = s.p + s.n - 1;
    for (int k = 0; k < max; k++) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        if (!str_to_i64(str_trim((str){p, (size_t)(stop - p)}), &out[k]))
            return -1;
        if (!comma)
            return k + 1;
        p = comma + 1;
    }
    return -1;
}

fz_status ib_type_parse(str text, type *out, fz_error *err)
{
    str s = str_trim(text);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (str_eqz(s, plain[i].name)) {
            *out = (type){.id = plain[i].id};
            return FZ_OK;
        }
    int64_t v[2];
    if (numbers(s, "decimal", '(', ')', v, 2) == 2 && v[0] >= 1 && v[0] <= 38 && v[1] >= 0 && v[1] <= v[0]) {
        *out = TYPE_DECIMAL((uint8_t)v[0], (uint8_t)v[1]);
        return FZ_OK;
    }
    if (numbers(s, "fixed", '[', ']', v, 1) == 1 && v[0] >= 1 && v[0] <= INT32_MAX) {
        *out = (type){.id = T_FIXED, .width = (uint32_t)v[0]};
        return FZ_OK;
    }
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (str_starts(s, str_of(later[i])))
            return error_set(err, FZ_UNSUPPORTED, "the type \"" STR_FMT "\" of format version 3 isn't supported",
                             STR_ARG(s));
    return error_set(err, FZ_DATA, "\"" STR_FMT "\" isn't an Iceberg type", (int)(s.n < 100 ? s.n : 100), s.p);
}

void ib_type_name(type t, sbuf *out)
{
    if (t.id == T_DECIMAL) {
        sbuf_printf(out, "decimal(%d, %d)", t.precision, t.scale);
        return;
    }
    if (t.id == T_FIXED) {
        sbuf_printf(out, "fixed[%u]", t.width);
        return;
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (plain[i].id == t.id) {
            sbuf_addz(out, plain[i].name);
            return;
        }
    sbuf_addz(out, t.id == T_STRUCT ? "struct" : t.id == T_LIST ? "list" : t.id == T_MAP ? "map" : "unknown");
}
