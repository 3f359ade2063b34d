/* files.c: see files.h. */
#include "engine/files.h"

#include "engine/csv_table.h"
#include "engine/json_table.h"
#include "format/text/fit.h"
#include "io/io.h"
#include "sql/parser.h"

#include <strings.h>
#include <sys/stat.h>

static bool has_suffix(str s, const char *suffix)
{
    str x = str_of(suffix);
    return s.n >= x.n && str_ieq((str){s.p + s.n - x.n, x.n}, x);
}

bool source_by_name(str s, source_format *out)
{
    static const struct { const char *suffix; source_format f; } known[] = {
        {".parquet", SOURCE_PARQUET}, {".pq", SOURCE_PARQUET}, {".avro", SOURCE_AVRO}, {".json", SOURCE_JSON}, {".ndjson", SOURCE_JSON},
        {".jsonl", SOURCE_JSON}, {".csv", SOURCE_CSV}, {".tsv", SOURCE_CSV}, {".txt", SOURCE_CSV}, {".psv", SOURCE_CSV},
    };
    static const char *const packed[] = {".gz", ".zst", ".zstd"};
    bool is_packed = false;
    for (size_t i = 0; i < sizeof packed / sizeof packed[0] && !is_packed; i++)
        if (has_suffix(s, packed[i])) {
            s.n -= strlen(packed[i]);
            is_packed = true;
        }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (has_suffix(s, known[i].suffix) && !(is_packed && (known[i].f == SOURCE_PARQUET || known[i].f == SOURCE_AVRO))) {
            *out = known[i].f;
            return true;
        }
    *out = SOURCE_CSV;
    return is_packed;
}

fz_status source_detect(file_io *io, const char *path, source_format *out, fz_error *err)
{
    str s = str_of(path);
    if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0) /* the name ends where the query begins */
        s.n = strcspn(path, "?#");
    if (source_by_name(s, out))
        return FZ_OK;
    static const char *const refused[][2] = {{".orc", "ORC"}, {".xlsx", "Excel"}, {".arrow", "Arrow IPC"}, {".feather", "Arrow IPC"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (has_suffix(s, refused[i][0])) {
            error_set(err, FZ_UNSUPPORTED, "reading %s files isn't supported", refused[i][1]);
            error_where(err, path);
            return FZ_UNSUPPORTED;
        }
    const char *local = io_local_path(path);
    struct stat sb; /* a pipe isn't to be opened twice */
    if (s.n == 0 || strcmp(path, "-") == 0 || (local && (stat(local, &sb) || !S_ISREG(sb.st_mode))))
        return FZ_OK; /* whoever opens it says what is wrong */
    io_file *f;
    char magic[4];
    bool orc = false;
    if (io_open(io, path, NULL, &f, NULL) == FZ_OK) {
        if (f->size >= 12 && io_read(f, 0, magic, 4, NULL) == FZ_OK) {
            if (memcmp(magic, "PAR1", 4) == 0)
                *out = SOURCE_PARQUET;
            else if (memcmp(magic, "Obj\1", 4) == 0)
                *out = SOURCE_AVRO;
            orc = memcmp(magic, "ORC", 3) == 0;
        }
        io_close(f);
    }
    if (!orc)
        return FZ_OK;
    error_set(err, FZ_UNSUPPORTED, "reading ORC files isn't supported");
    error_where(err, path);
    return FZ_UNSUPPORTED;
}

const char *source_format_name(source_format f)
{
    static const char *const names[] = {"auto", "csv", "parquet", "avro", "json"};
    return names[f];
}

fz_status source_format_parse(const char *text, source_format *out, fz_error *err)
{
    static const struct { const char *name; source_format f; } names[] = {
        {"auto", SOURCE_AUTO}, {"csv", SOURCE_CSV}, {"tsv", SOURCE_CSV}, {"parquet", SOURCE_PARQUET}, {"avro", SOURCE_AVRO},
        {"json", SOURCE_JSON}, {"ndjson", SOURCE_JSON}, {"jsonl", SOURCE_JSON},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(str_of(text), str_of(names[i].name))) {
            *out = names[i].f;
            return FZ_OK;
        }
    return error_set(err, FZ_INVALID, "source format \"%s\" isn't known; there are csv, json, parquet and avro", text);
}

void source_options_init(source_options *so, arena *a, csv_options *o)
{
    *so = (source_options){.a = a, .o = o};
}

/* One byte, "\t" or "tab", or "none" / "" where that is allowed. */
static fz_status parse_byte(const char *key, const char *v, bool may_be_none, int *out, fz_error *err)
{
    str s = str_of(v);
    if (s.n == 1 && (unsigned char)s.p[0] < 0x80 && s.p[0] != '\n' && s.p[0] != '\r')
        *out = (unsigned char)s.p[0];
    else if (str_eqz(s, "\\t") || str_ieq(s, STR("tab")))
        *out = '\t';
    else if (may_be_none && (s.n == 0 || str_ieq(s, STR("none"))))
        *out = CSV_NONE;
    else
        return error_set(err, FZ_INVALID, "option \"%s\": \"%s\" isn't one ASCII character%s", key, v, may_be_none ? ", or none" : "");
    return FZ_OK;
}

static fz_status parse_bool(const char *key, const char *v, bool *out, fz_error *err)
{
    str s = str_of(v);
    if (str_ieq(s, STR("true")) || str_ieq(s, STR("on")) || str_eqz(s, "1") || str_ieq(s, STR("yes")))
        *out = true;
    else if (str_ieq(s, STR("false")) || str_ieq(s, STR("off")) || str_eqz(s, "0") || str_ieq(s, STR("no")))
        *out = false;
    else
        return error_set(err, FZ_INVALID, "option \"%s\": \"%s\" is neither true nor false", key, v);
    return FZ_OK;
}

static fz_status parse_bytes(const char *key, const char *v, int64_t *out, fz_error *err)
{
    if (str_to_size(str_of(v), out))
        return FZ_OK;
    return error_set(err, FZ_INVALID, "option \"%s\": \"%s\" isn't a size; write bytes, or a number with kB, MB or GB", key, v);
}

static fz_status add_type(source_options *so, str part, fz_error *err)
{
    size_t colon = part.n;
    while (colon > 0 && part.p[colon - 1] != ':')
        colon--;
    if (colon == 0) {
        error_set(err, FZ_INVALID, "option \"types\": \"" STR_FMT "\" isn't column:type", STR_ARG(part));
        error_hint(err, "for example hs9:varchar, or price:decimal(12,2)");
        return FZ_INVALID;
    }
    csv_type t = {.name = str_trim((str){part.p, colon - 1})};
    if (t.name.n >= 2 && t.name.p[0] == '"' && t.name.p[t.name.n - 1] == '"')
        t.name = (str){t.name.p + 1, t.name.n - 2};
    TRY(sql_parse_type((str){part.p + colon, part.n - colon}, so->a, &t.t, err));
    if (so->o->ntypes == so->cap_types) {
        uint32_t cap = so->cap_types ? 2 * so->cap_types : 8;
        csv_type *x = ARENA_ARRAY(so->a, csv_type, cap);
        if (!x)
            return error_nomem(err);
        if (so->cap_types)
            memcpy(x, so->types, sizeof *x * so->o->ntypes);
        so->types = x;
        so->cap_types = cap;
    }
    so->types[so->o->ntypes++] = t;
    so->o->types = so->types;
    return FZ_OK;
}

/* "a:bigint,b:decimal(9,2)": commas inside parentheses belong to a type. */
static fz_status add_types(source_options *so, str list, fz_error *err)
{
    size_t from = 0;
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i <= list.n; i++) {
        char c = i < list.n ? list.p[i] : ',';
        if (c == '"')
            quoted = !quoted;
        depth += (c == '(' || c == '<') - (c == ')' || c == '>');
        if (i == list.n || (c == ',' && depth == 0 && !quoted)) {
            str part = str_trim((str){list.p + from, i - from});
            if (part.n)
                TRY(add_type(so, part, err));
            from = i + 1;
        }
    }
    return FZ_OK;
}

static fz_status add_null(source_options *so, str text, fz_error *err)
{
    if (so->o->nnulls == so->cap_nulls) {
        uint32_t cap = so->cap_nulls ? 2 * so->cap_nulls : 8;
        str *x = ARENA_ARRAY(so->a, str, cap);
        if (!x)
            return error_nomem(err);
        if (so->cap_nulls)
            memcpy(x, so->nulls, sizeof *x * so->o->nnulls);
        so->nulls = x;
        so->cap_nulls = cap;
    }
    so->nulls[so->o->nnulls++] = text;
    so->o->nulls = so->nulls;
    return FZ_OK;
}

static fz_status set_on_error(csv_options *o, const char *v, fz_error *err)
{
    if (strcmp(v, "skip") != 0 && strcmp(v, "fail") != 0)
        return error_set(err, FZ_INVALID, "option \"on-error\": \"%s\" is neither skip nor fail", v);
    o->skip_errors = strcmp(v, "skip") == 0;
    return FZ_OK;
}

static fz_status set_compression(csv_options *o, const char *v, fz_error *err)
{
    static const struct { const char *name; text_compression c; } names[] = {
        {"auto", TEXT_AUTO}, {"none", TEXT_PLAIN}, {"gzip", TEXT_GZIP}, {"gz", TEXT_GZIP}, {"zstd", TEXT_ZSTD}, {"zst", TEXT_ZSTD},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(str_of(v), str_of(names[i].name))) {
            o->compression = names[i].c;
            return FZ_OK;
        }
    return error_set(err, FZ_INVALID, "option \"compression\": \"%s\" isn't known; there are none, gzip and zstd", v);
}

fz_status source_options_set(source_options *so, const char *key, const char *value, bool *known, fz_error *err)
{
    csv_options *o = so->o;
    str k = str_of(key);
    bool yes;
    int64_t n;
    static const char *const csv_only[] = {"delimiter", "delim", "sep", "quote", "escape", "comment", "header"};
    *known = true;
    for (size_t i = 0; i < sizeof csv_only / sizeof csv_only[0]; i++)
        if (str_eqz(k, csv_only[i]))
            so->csv_only = csv_only[i];
    if (str_eqz(k, "types"))
        return add_types(so, str_of(value), err);
    if (str_eqz(k, "null") || str_eqz(k, "nullstr"))
        return add_null(so, str_of(value), err);
    if (str_eqz(k, "delimiter") || str_eqz(k, "delim") || str_eqz(k, "sep"))
        return parse_byte(key, value, false, &o->delimiter, err);
    if (str_eqz(k, "quote"))
        return parse_byte(key, value, true, &o->quote, err);
    if (str_eqz(k, "escape"))
        return parse_byte(key, value, true, &o->escape, err);
    if (str_eqz(k, "comment"))
        return parse_byte(key, value, true, &o->comment, err);
    if (str_eqz(k, "on-error"))
        return set_on_error(o, value, err);
    if (str_eqz(k, "compression"))
        return set_compression(o, value, err);
    if (str_eqz(k, "reject-file")) {
        o->reject_path = value;
        return FZ_OK;
    }
    if (str_eqz(k, "header")) {
        TRY(parse_bool(key, value, &yes, err));
        o->header = yes;
        return FZ_OK;
    }
    if (str_eqz(k, "strict"))
        return parse_bool(key, value, &o->strict, err);
    if (str_eqz(k, "spool-limit"))
        return parse_bytes(key, value, &o->spool_limit, err);
    if (str_eqz(k, "sample-bytes")) {
        TRY(parse_bytes(key, value, &n, err));
        o->sample_bytes = (size_t)n;
        return FZ_OK;
    }
    *known = false;
    return FZ_OK;
}

fz_status source_open(source_format f, const char *path, const source_options *so, const csv_options *o, mem *m, file_input **out, fz_error *err)
{
    if (f != SOURCE_JSON)
        return csv_input_open(path, o, m, out, err);
    if (so->csv_only)
        return error_set(err, FZ_INVALID, "option \"%s\" is for CSV, and this is read as JSON", so->csv_only);
    return json_input_open(path, o, m, out, err);
}

/* ---- several files of text ---- */

type input_type_join(type a, bool a_undecided, type b, bool b_undecided)
{
    type t;
    if ((type_eq(a, b) && !a_undecided) || b_undecided)
        return a;
    if (a_undecided)
        return b;
    return type_is_numeric(a) && type_is_numeric(b) && type_common(a, b, &t) ? t : type_join(a, b);
}

/* Columns agree by name and place; the result's types are in cols. */
static fz_status columns_join(uint32_t n, file_input *const *in, column_def *cols, bool *undecided, fz_error *err)
{
    const row_schema *first = in[0]->ops->schema(in[0]);
    for (uint32_t c = 0; c < first->n; c++) {
        cols[c] = first->cols[c];
        undecided[c] = in[0]->ops->undecided(in[0], c);
    }
    for (uint32_t i = 1; i < n; i++) {
        const row_schema *s = in[i]->ops->schema(in[i]);
        if (s->n != first->n) {
            error_set(err, FZ_INVALID, "the file has %u columns, but %s has %u", s->n, in[0]->path, first->n);
            error_where(err, in[i]->path);
            return FZ_INVALID;
        }
        for (uint32_t c = 0; c < s->n; c++) {
            if (!str_eq(s->cols[c].name, cols[c].name)) {
                error_set(err, FZ_INVALID, "column %u is \"" STR_FMT "\", but in %s it is \"" STR_FMT "\"", c + 1, STR_ARG(s->cols[c].name),
                          in[0]->path, STR_ARG(cols[c].name));
                error_where(err, in[i]->path);
                return FZ_INVALID;
            }
            bool open = in[i]->ops->undecided(in[i], c);
            cols[c].t = input_type_join(cols[c].t, undecided[c], s->cols[c].t, open);
            undecided[c] &= open;
        }
    }
    return FZ_OK;
}

fz_status inputs_unify(source_format f, uint32_t n, file_input **in, fz_error *err)
{
    if (n < 2)
        return FZ_OK;
    if (f == SOURCE_JSON)
        return json_inputs_unify(in, n, err);
    arena a;
    arena_init(&a, in[0]->m);
    uint32_t nc = in[0]->ops->schema(in[0])->n;
    column_def *cols = ARENA_ARRAY(&a, column_def, nc + 1);
    bool *undecided = ARENA_ARRAY(&a, bool, nc + 1);
    fz_status st = cols && undecided ? columns_join(n, in, cols, undecided, err) : error_nomem(err);
    for (uint32_t i = 0; i < n && !st; i++)
        for (uint32_t c = 0; c < nc; c++)
            if (!undecided[c] && !type_eq(in[i]->ops->schema(in[i])->cols[c].t, cols[c].t))
                in[i]->ops->widen(in[i], c, cols[c].t);
    arena_free(&a);
    return st;
}
