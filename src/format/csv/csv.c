/*
 * csv.c: opening a source: options, sample, names, types; widening and starting again.
 *
 *   OPEN ──csv_next──> READING ──end of input──> ENDED
 *                         │ misfit                  ^
 *                         v                         │ csv_next gives CSV_END
 *                      PROBING ──end of input──> WIDENED ──csv_restart──> OPEN
 *
 * In PROBING (`probing`) workers convert the rest of the input, note every column that has to
 * widen, and emit nothing: so that one restart is enough in nearly all cases.
 */
#include "format/csv/csv.h"

#include "format/csv/csv_int.h"
#include "format/csv/csv_write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FIELDS_MAX 100000
#define SAMPLE_MIN 4096

void csv_options_default(csv_options *o)
{
    *o = (csv_options){.delimiter = CSV_DETECT, .quote = CSV_DETECT, .escape = CSV_DETECT, .comment = CSV_DETECT,
                       .header = CSV_DETECT, .sample_bytes = 1 << 20, .spool_limit = (int64_t)16 << 30,
                       .block_bytes = 1 << 20, .max_record_bytes = 32 << 20};
}

/* ---- options ---- */

static fz_status str_copy(arena *a, str *s, fz_error *err)
{
    char *p = arena_strndup(a, s->p ? s->p : "", s->n);
    if (!p)
        return error_nomem(err);
    s->p = p;
    return FZ_OK;
}

static fz_status zcopy(arena *a, const char **z, fz_error *err)
{
    if (*z && !(*z = arena_strndup(a, *z, strlen(*z))))
        return error_nomem(err);
    return FZ_OK;
}

static fz_status schema_copy(csv_source *s, const row_schema *from, fz_error *err)
{
    row_schema *c = ARENA_NEW(&s->a, row_schema);
    if (!c || !(c->cols = ARENA_ARRAY(&s->a, column_def, from->n)))
        return error_nomem(err);
    c->n = from->n;
    for (uint32_t i = 0; i < c->n; i++) {
        c->cols[i] = from->cols[i];
        TRY(str_copy(&s->a, &c->cols[i].name, err));
        TRY(str_copy(&s->a, &c->cols[i].doc, err));
        if (type_is_nested(c->cols[i].t))
            return error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\": CSV has no nested types",
                             STR_ARG(c->cols[i].name));
    }
    s->o.schema = c;
    return FZ_OK;
}

static fz_status options_copy(csv_source *s, const csv_options *o, fz_error *err)
{
    static const str default_nulls[] = {{"NA", 2}, {"N/A", 3}, {"NULL", 4}, {"null", 4}, {"NaN", 3}, {"nan", 3}};
    s->o = *o;
    if (s->o.block_bytes == 0)
        s->o.block_bytes = 1;
    if (s->o.max_record_bytes > (1u << 31))
        s->o.max_record_bytes = 1u << 31;
    if (s->o.block_bytes > s->o.max_record_bytes)
        s->o.max_record_bytes = s->o.block_bytes;
    if (s->o.block_bytes > (1u << 30))
        return error_set(err, FZ_INVALID, "a block of text can't be larger than 1 GiB");
    if (s->o.sample_bytes < SAMPLE_MIN)
        s->o.sample_bytes = SAMPLE_MIN;
    if (s->o.sample_bytes > 1 << 30)
        s->o.sample_bytes = 1 << 30;
    TRY(zcopy(&s->a, &s->o.reject_path, err));
    TRY(zcopy(&s->a, &s->o.temp_dir, err));
    csv_type *types = ARENA_ARRAY(&s->a, csv_type, o->ntypes);
    if (!types)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->ntypes; i++) {
        types[i] = o->types[i];
        TRY(str_copy(&s->a, &types[i].name, err));
        if (type_is_nested(types[i].t) || types[i].t.id == T_NULL)
            return error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\": CSV has no nested types",
                             STR_ARG(types[i].name));
    }
    s->o.types = types;
    const str *nulls = o->nulls ? o->nulls : default_nulls;
    s->nulls.n = o->nulls ? o->nnulls : sizeof default_nulls / sizeof *default_nulls;
    s->nulls.given = o->nulls != NULL;
    s->nulls.s = ARENA_ARRAY(&s->a, str, s->nulls.n);
    if (!s->nulls.s)
        return error_nomem(err);
    for (uint32_t i = 0; i < s->nulls.n; i++) {
        s->nulls.s[i] = nulls[i];
        TRY(str_copy(&s->a, &s->nulls.s[i], err));
        s->nulls.lens |= 1ull << (nulls[i].n < 63 ? nulls[i].n : 63);
    }
    if (o->schema)
        TRY(schema_copy(s, o->schema, err));
    return FZ_OK;
}

/* ---- the sample ---- */

/* Reads on until the carry has `want` bytes or the input ends; then the last line is ended. */
static fz_status sample_read(csv_source *s, size_t want, fz_error *err)
{
    if (want + 128 > s->carry_cap) {
        char *c = mem_resize(s->m, s->carry, s->carry_cap, want + 128);
        if (!c)
            return error_nomem(err);
        s->carry = c;
        s->carry_cap = want + 128;
    }
    if (!s->eof) {
        size_t got, need = want - s->carry_n;
        TRY(input_read(s->in, s->carry + s->carry_n, need, &got, err));
        s->carry_n += got;
        s->eof = got < need;
        bool only_bom = s->carry_n == 3 && memcmp(s->carry, "\xEF\xBB\xBF", 3) == 0;
        if (s->eof && s->carry_n && !only_bom && s->carry[s->carry_n - 1] != '\n')
            s->carry[s->carry_n++] = '\n';
    }
    memset(s->carry + s->carry_n, 0, 64);
    return FZ_OK;
}

static fz_status sample_fault(csv_source *s, uint32_t at, fz_error *err, fz_status st)
{
    const char *t = s->carry;
    uint32_t bol = at, first = (uint32_t)s->bom;
    while (bol > first && t[bol - 1] != '\n' && t[bol - 1] != '\r')
        bol--;
    error_where(err, input_name(s->in));
    error_line(err, 1 + (int64_t)text_lines(t, bol), (int64_t)(at - bol) + 1);
    error_offset(err, at);
    return st;
}

/* The first row that has fields, from `from`; reads more of the input if it must. */
static fz_status first_row(csv_source *s, uint32_t from, row_token *r, bool *found, fz_error *err)
{
    for (;;) {
        const char *t = s->carry;
        uint32_t n = (uint32_t)s->carry_n, pos = from;
        *found = false;
        while (pos < n && !*found) {
            token_row(t, n, pos, &s->d, 0, NULL, NULL, r);
            *found = !r->blank && !r->comment;
            pos = r->next;
        }
        if (*found && (s->eof || r->next < n))
            break;
        if (s->eof)
            return FZ_OK;
        if (s->carry_n >= s->o.max_record_bytes + s->o.sample_bytes)
            break;
        TRY(sample_read(s, s->carry_n * 2, err));
    }
    if (!*found)
        return FZ_OK;
    if (r->fault == ROW_OPEN_QUOTE) {
        error_set(err, FZ_DATA, "the quote that opens here isn't closed");
        return sample_fault(s, r->fault_at, err, FZ_DATA);
    }
    if (r->fault == ROW_QUOTE) {
        error_set(err, FZ_DATA, "text follows a closing quote");
        return sample_fault(s, r->fault_at, err, FZ_DATA);
    }
    str row = {s->carry + r->start, r->end - r->start};
    const char *nul = memchr(row.p, 0, row.n);
    size_t valid = utf8_valid_prefix(row);
    if (nul || valid < row.n) {
        error_set(err, FZ_DATA, nul ? "the text has a NUL byte" : "the text isn't valid UTF-8");
        return sample_fault(s, r->start + (uint32_t)(nul ? (size_t)(nul - row.p) : valid), err, FZ_DATA);
    }
    if (r->nfields > FIELDS_MAX) {
        error_set(err, FZ_LIMIT, "a row has %u fields; at most %u are supported", r->nfields, FIELDS_MAX);
        return sample_fault(s, r->start, err, FZ_LIMIT);
    }
    return FZ_OK;
}

/* ---- names ---- */

/* Without a header: the largest number of fields that a row of the sample fills. */
static uint32_t widest_row(csv_source *s, uint32_t pos, uint32_t first)
{
    uint32_t n = (uint32_t)s->carry_n, most = first;
    while (pos < n) {
        row_token r;
        token_row(s->carry, n, pos, &s->d, 0, NULL, NULL, &r);
        pos = r.next;
        if (!r.blank && !r.comment && r.fault == ROW_OK && r.filled > most && r.filled <= FIELDS_MAX &&
            (pos < n || s->eof))
            most = r.filled;
    }
    return most;
}

static bool name_taken(csv_source *s, uint32_t upto, str name)
{
    for (uint32_t i = 0; i < upto; i++)
        if (str_eq(s->names[i], name))
            return true;
    return false;
}

/* A name that is empty or was there before is made one. */
static fz_status name_settle(csv_source *s, uint32_t i, fz_error *err)
{
    str *name = &s->names[i];
    bool doubled = name->n > 0;
    if (name->n && (s->nfields > 2000 || !name_taken(s, i, *name)))
        return FZ_OK;
    str base = *name;
    for (uint32_t k = doubled ? 2 : i + 1;; k++) {
        sbuf b;
        sbuf_init(&b, s->m);
        if (doubled)
            sbuf_printf(&b, STR_FMT "_%u", STR_ARG(base), k);
        else
            sbuf_printf(&b, "column%u", k);
        *name = (str){b.p, b.n};
        fz_status st = b.failed ? error_nomem(err) : str_copy(&s->a, name, err);
        sbuf_free(&b);
        TRY(st);
        if (!name_taken(s, i, *name))
            break;
    }
    if (doubled)
        log_msg(s->o.log, LOG_NOTICE, "%s: the header names \"" STR_FMT "\" twice; column %u is \"" STR_FMT "\"",
                input_name(s->in), STR_ARG(base), i + 1, STR_ARG(*name));
    return FZ_OK;
}

/* Removes the escapes of a quoted field in the arena. */
static fz_status header_name(csv_source *s, const char *p, uint32_t n, bool quoted, str *out, fz_error *err)
{
    char *c = arena_alloc(&s->a, n + 1);
    if (!c)
        return error_nomem(err);
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t b = (uint8_t)p[i];
        if (quoted && i + 1 < n && ((s->d.escape && b == s->d.escape) || b == s->d.quote))
            i++;
        c[k++] = p[i];
    }
    *out = str_trim((str){c, k});
    return FZ_OK;
}

static fz_status names_read(csv_source *s, const row_token *first, fz_error *err)
{
    const char *t = s->carry;
    s->names = ARENA_ARRAY(&s->a, str, s->nfields);
    uint32_t *beg = ARENA_ARRAY(&s->a, uint32_t, s->nfields), *end = ARENA_ARRAY(&s->a, uint32_t, s->nfields);
    if (!s->names || !beg || !end)
        return error_nomem(err);
    if (s->d.header) {
        row_token r;
        token_row(t, (uint32_t)s->carry_n, first->start, &s->d, s->nfields, beg, end, &r);
        for (uint32_t i = 0; i < s->nfields && i < r.nfields; i++) {
            bool quoted = s->d.quote && beg[i] > r.start && (uint8_t)t[beg[i] - 1] == s->d.quote;
            TRY(header_name(s, t + beg[i], end[i] - beg[i], quoted, &s->names[i], err));
        }
    }
    for (uint32_t i = 0; i < s->nfields; i++)
        TRY(name_settle(s, i, err));
    return FZ_OK;
}

/* ---- columns ---- */

/* The field of that name: the exact match, else the only one without regard to case. */
static uint32_t field_find(const csv_source *s, str name, bool *ambiguous)
{
    uint32_t found = UINT32_MAX;
    *ambiguous = false;
    for (uint32_t i = 0; i < s->nfields; i++)
        if (str_eq(s->names[i], name))
            return i;
    for (uint32_t i = 0; i < s->nfields; i++)
        if (str_ieq(s->names[i], name)) {
            *ambiguous = found != UINT32_MAX;
            found = i;
        }
    return found;
}

/* Appends the names whose flag is `want`, as: a, b, c. */
static void name_list(sbuf *b, const str *names, const bool *flag, uint32_t n)
{
    const char *sep = "";
    for (uint32_t i = 0; i < n; i++)
        if (flag[i]) {
            sbuf_printf(b, "%s" STR_FMT, sep, STR_ARG(names[i]));
            sep = ", ";
        }
}

/* Columns of the given schema find their fields by name, or by place without a header. */
static fz_status columns_given(csv_source *s, bool *used, fz_error *err)
{
    const row_schema *g = s->o.schema;
    for (uint32_t i = 0; i < g->n; i++) {
        csv_column *c = &s->cols[i];
        bool ambiguous = false;
        *c = (csv_column){.t = g->cols[i].t, .not_null = g->cols[i].not_null, .field = UINT32_MAX};
        if (!s->d.header)
            c->field = i < s->nfields ? i : UINT32_MAX;
        else if (s->nfields)
            c->field = field_find(s, g->cols[i].name, &ambiguous);
        if (ambiguous || (c->field != UINT32_MAX && used[c->field])) {
            error_set(err, FZ_INVALID, "column \"" STR_FMT "\" of the table matches several columns of the file",
                      STR_ARG(g->cols[i].name));
            error_where(err, input_name(s->in));
            return FZ_INVALID;
        }
        if (c->field != UINT32_MAX) {
            used[c->field] = true;
        } else if (c->not_null && s->nfields) {
            error_set(err, FZ_INVALID, "the file has no column \"" STR_FMT "\", which the table requires",
                      STR_ARG(g->cols[i].name));
            error_where(err, input_name(s->in));
            return FZ_INVALID;
        } else if (s->nfields) {
            log_msg(s->o.log, LOG_NOTICE, "%s: there is no column \"" STR_FMT "\"; it is NULL in every row",
                    input_name(s->in), STR_ARG(g->cols[i].name));
        }
    }
    return FZ_OK;
}

static fz_status columns_extra(csv_source *s, const bool *used, fz_error *err)
{
    fz_status st = FZ_OK;
    bool *extra = ARENA_ARRAY(&s->a, bool, s->nfields);
    if (!extra)
        return error_nomem(err);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->nfields; i++)
        n += extra[i] = !used[i];
    if (n && !s->o.allow_extra) {
        sbuf b;
        sbuf_init(&b, s->m);
        name_list(&b, s->names, extra, s->nfields);
        st = error_set(err, FZ_INVALID, "the table has no column%s %s", n == 1 ? "" : "s", b.p ? b.p : "?");
        error_where(err, input_name(s->in));
        error_hint(err, "--add-columns adds what the table lacks");
        sbuf_free(&b);
    }
    return st;
}

static fz_status columns_overrides(csv_source *s, fz_error *err)
{
    for (uint32_t i = 0; i < s->o.ntypes; i++) {
        bool ambiguous;
        uint32_t f = field_find(s, s->o.types[i].name, &ambiguous);
        if (f == UINT32_MAX || ambiguous) {
            error_set(err, FZ_NOT_FOUND, f == UINT32_MAX ? "a type is given for column \"" STR_FMT "\", which the file doesn't have"
                                                         : "a type is given for \"" STR_FMT "\", which matches several columns of the file",
                      STR_ARG(s->o.types[i].name));
            error_where(err, input_name(s->in));
            str best = {0};
            unsigned least = 4;
            for (uint32_t k = 0; k < s->nfields; k++) {
                unsigned d = str_distance(s->names[k], s->o.types[i].name, 3);
                if (d < least) {
                    least = d;
                    best = s->names[k];
                }
            }
            if (best.p && !ambiguous)
                error_hint(err, "did you mean \"" STR_FMT "\"?", STR_ARG(best));
            return FZ_NOT_FOUND;
        }
        for (uint32_t c = s->ngiven; c < s->ncols; c++)
            if (s->cols[c].field == f) {
                s->cols[c].t = s->o.types[i].t;
                s->cols[c].inferred = s->cols[c].undecided = s->cols[c].leading_zero = false;
            }
    }
    return FZ_OK;
}

static void leading_zero_notice(csv_source *s)
{
    sbuf names, example;
    sbuf_init(&names, s->m);
    sbuf_init(&example, s->m);
    uint32_t n = 0;
    for (uint32_t c = 0; c < s->ncols; c++)
        if (s->cols[c].leading_zero) {
            str name = s->schema.cols[c].name;
            sbuf_printf(&names, "%s" STR_FMT, n ? ", " : "", STR_ARG(name));
            sbuf_printf(&example, "%s" STR_FMT ":varchar", n ? "," : "", STR_ARG(name));
            n++;
        }
    if (n && !names.failed && !example.failed)
        log_msg(s->o.log, LOG_NOTICE,
                "%s: values of %s start with zeros and are loaded as bigint; --types %s keeps them as text",
                input_name(s->in), names.p, example.p);
    sbuf_free(&names);
    sbuf_free(&example);
}

bool nulls_look_like(const csv_source *s, type t)
{
    for (uint32_t i = 0; i < s->nulls.n; i++) {
        datum d;
        str z = s->nulls.s[i];
        bool word = z.n && ((z.p[0] | 32) >= 'a' && (z.p[0] | 32) <= 'z');
        if (t.id == T_FLOAT32 || t.id == T_FLOAT64 || t.id == T_DECIMAL || type_is_integer(t)) {
            if (word)
                continue;
        }
        arena a;
        arena_init(&a, s->m);
        fz_status st = text_to_datum(z, t, &a, &d, NULL);
        arena_free(&a);
        if (st == FZ_OK)
            return true;
    }
    return false;
}

static fz_status schema_build(csv_source *s, fz_error *err)
{
    s->schema.n = s->ncols;
    if (!s->schema.cols && !(s->schema.cols = ARENA_ARRAY(&s->a, column_def, s->ncols)))
        return error_nomem(err);
    for (uint32_t c = 0; c < s->ncols; c++) {
        column_def *d = &s->schema.cols[c];
        if (c < s->ngiven)
            *d = s->o.schema->cols[c];
        else
            *d = (column_def){.name = s->names[s->cols[c].field], .t = s->cols[c].t, .field_id = -1};
        s->cols[c].nulls_first = nulls_look_like(s, s->cols[c].t);
    }
    return FZ_OK;
}

static fz_status columns_settle(csv_source *s, fz_error *err)
{
    arena *a = &s->a;
    s->ngiven = s->o.schema ? s->o.schema->n : 0;
    bool *used = ARENA_ARRAY(a, bool, s->nfields);
    s->cols = ARENA_ARRAY(a, csv_column, s->ngiven + s->nfields);
    csv_column *inferred = ARENA_ARRAY(a, csv_column, s->nfields);
    if (!used || !s->cols || !inferred)
        return error_nomem(err);
    if (s->o.schema) {
        TRY(columns_given(s, used, err));
        if (s->nfields)
            TRY(columns_extra(s, used, err));
    }
    /* whole rows of the sample only */
    uint32_t n = (uint32_t)s->carry_n;
    if (!s->eof) {
        text_split sp;
        scan_survey sv;
        s->ops->survey(s->carry + s->data_start, n - s->data_start, s->d.quote, &sv);
        text_split_rows(s->carry + s->data_start, n - s->data_start, &s->d, s->ops, &sv, &sp);
        n = (uint32_t)(s->data_start + sp.end);
    }
    if (s->nfields)
        TRY(infer_columns(s->carry + s->data_start, n - (uint32_t)s->data_start, &s->d, &s->nulls, s->nfields,
                          inferred, s->m, err));
    s->ncols = s->ngiven;
    for (uint32_t f = 0; f < s->nfields; f++)
        if (!used[f]) {
            s->cols[s->ncols] = inferred[f];
            s->cols[s->ncols++].field = f;
        }
    TRY(columns_overrides(s, err));
    TRY(schema_build(s, err));
    leading_zero_notice(s);
    s->widenings = ARENA_ARRAY(a, csv_widening, s->ncols);
    s->proj = ARENA_ARRAY(a, uint32_t, s->ncols);
    if (!s->widenings || !s->proj)
        return error_nomem(err);
    s->nproj = s->ncols;
    for (uint32_t c = 0; c < s->ncols; c++)
        s->proj[c] = c;
    return FZ_OK;
}

/* ---- open, close ---- */

static bool may_widen(const csv_source *s)
{
    for (uint32_t c = 0; c < s->ncols && !s->o.strict; c++)
        if (s->cols[c].inferred && (s->cols[c].undecided || s->cols[c].t.id != T_STRING))
            return true;
    return false;
}

static fz_status rejects_open(csv_source *s, fz_error *err)
{
    if (!s->o.skip_errors || !s->o.reject_path)
        return FZ_OK;
    if (input_is_file(s->in, s->o.reject_path))
        return error_set(err, FZ_INVALID, "the file for rejected rows is the input itself"),
               error_where(err, s->o.reject_path), FZ_INVALID;
    s->reject_fd = open(s->o.reject_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s->reject_fd < 0)
        return error_errno(err, errno, s->o.reject_path, "can't make the file for rejected rows");
    static const char head[] = "line,reason,text\n";
    if (write(s->reject_fd, head, sizeof head - 1) != (ssize_t)sizeof head - 1)
        return error_errno(err, errno, s->o.reject_path, "can't write the rejected rows");
    return FZ_OK;
}

static fz_status nothing_there(csv_source *s, const char *what, fz_error *err)
{
    s->done = true;
    if (s->o.schema)
        return columns_settle(s, err);
    error_set(err, FZ_DATA, "%s", what);
    error_where(err, input_name(s->in));
    error_line(err, 1, 1);
    error_offset(err, 0);
    return FZ_DATA;
}

static fz_status source_setup(csv_source *s, fz_error *err)
{
    TRY(sample_read(s, s->o.sample_bytes, err));
    fz_status st = bom_check(s->carry, s->carry_n, &s->bom, err);
    const size_t bom = s->bom;
    if (st != FZ_OK) {
        error_where(err, input_name(s->in));
        return st;
    }
    s->data_start = bom;
    TRY(dialect_detect(s->carry + bom, (uint32_t)(s->carry_n - bom), s->eof, &s->o, &s->d, err));
    if (s->carry_n == bom)
        return nothing_there(s, "the file is empty", err);
    row_token first;
    bool found;
    TRY(first_row(s, (uint32_t)bom, &first, &found, err));
    if (!found)
        return nothing_there(s, "the file has no rows", err);
    s->nfields = first.nfields;
    s->d.header = s->o.header != 0;
    if (s->o.header == CSV_DETECT)
        TRY(header_detect(s->carry + first.start, (uint32_t)s->carry_n - first.start, &s->d, s->nfields, s->m, &s->d.header, err));
    s->data_start = s->d.header ? first.next : (uint32_t)bom;
    if (!s->d.header)
        s->nfields = widest_row(s, first.next, first.filled ? first.filled : 1);
    s->data_line = 1 + (int64_t)text_lines(s->carry, s->data_start);
    TRY(names_read(s, &first, err));
    TRY(columns_settle(s, err));
    s->carry_at = s->offset = s->data_start;
    s->line = s->data_line;
    if (!may_widen(s))
        input_stop_spooling(s->in);
    return rejects_open(s, err);
}

fz_status csv_open(const char *location, const csv_options *o, mem *m, csv_source **out, fz_error *err)
{
    csv_source *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->m = m;
    s->reject_fd = -1;
    arena_init(&s->a, m);
    pthread_mutex_init(&s->lock, NULL);
    s->ops = scan_ops_for(o->isa);
    s->pool = blockpool_new(m);
    fz_status st = s->pool ? options_copy(s, o, err) : error_nomem(err);
    text_input_options in = {.format = "CSV", .compression = s->o.compression, .spool_limit = s->o.spool_limit,
                             .temp_dir = s->o.temp_dir, .j = s->o.j, .io = s->o.io};
    if (st == FZ_OK)
        st = input_open(location, &in, m, &s->in, err);
    if (st == FZ_OK)
        st = source_setup(s, err);
    if (st != FZ_OK) {
        csv_close(s);
        return st;
    }
    *out = s;
    return FZ_OK;
}

void csv_close(csv_source *s)
{
    if (!s)
        return;
    input_close(s->in);
    if (s->reject_fd >= 0)
        close(s->reject_fd);
    mem_free(s->m, s->carry, s->carry_cap);
    blockpool_unref(s->pool);
    pthread_mutex_destroy(&s->lock);
    arena_free(&s->a);
    mem_free(s->m, s, sizeof *s);
}

const row_schema *csv_schema(const csv_source *s) { return &s->schema; }
uint32_t csv_schema_given(const csv_source *s) { return s->ngiven; }
bool csv_schema_undecided(const csv_source *s, uint32_t col) { return s->cols[col].inferred && s->cols[col].undecided; }
void csv_column_widen(csv_source *s, uint32_t col, type t)
{
    csv_column *c = &s->cols[col];
    if (!c->inferred)
        return;
    c->t = s->schema.cols[col].t = t;
    c->undecided = false;
    c->nulls_first = nulls_look_like(s, t);
}

bool csv_widened(const csv_source *s) { return atomic_load(&s->probing) && !s->failed; }
void csv_keep_types(csv_source *s) { atomic_store(&s->keep_types, true); }

fz_status csv_project(csv_source *s, const uint32_t *cols, uint32_t n, fz_error *err)
{
    if (s->started)
        return error_set(err, FZ_INTERNAL, "a projection must be set before reading");
    uint32_t *proj = ARENA_ARRAY(&s->a, uint32_t, n);
    if (!proj)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        if (cols[i] >= s->ncols)
            return error_set(err, FZ_INTERNAL, "column %u of a projection doesn't exist", cols[i]);
        proj[i] = cols[i];
    }
    s->proj = proj;
    s->nproj = n;
    return FZ_OK;
}

void csv_describe(const csv_source *s, csv_info *out)
{
    *out = (csv_info){.delimiter = (char)s->d.delim, .quote = s->d.quote, .escape = s->d.escape,
                      .comment = s->d.comment, .header = s->d.header, .compression = input_compression(s->in),
                      .rows_rejected = s->rejected, .rows_short = s->rows_short, .size_bytes = input_size(s->in)};
}

/* ---- starting again ---- */

static void widen_columns(csv_source *s)
{
    for (uint32_t c = 0; c < s->ncols; c++) {
        csv_widening *w = &s->widenings[c];
        if (!w->set)
            continue;
        sbuf from, to;
        sbuf_init(&from, s->m);
        sbuf_init(&to, s->m);
        type_sql_name(s->cols[c].t, &from);
        type_sql_name(w->to, &to);
        if (!s->cols[c].undecided && !from.failed && !to.failed)
            log_msg(s->o.log, LOG_NOTICE,
                    "%s: column \"" STR_FMT "\" is %s, not %s: line %lld has \"%s\"; reading again from the start",
                    input_name(s->in), STR_ARG(s->schema.cols[c].name), to.p, from.p, (long long)w->line, w->value);
        sbuf_free(&from);
        sbuf_free(&to);
        s->cols[c].t = w->to;
        s->cols[c].undecided = false;
        *w = (csv_widening){0};
    }
}

fz_status csv_restart(csv_source *s, fz_error *err)
{
    if (s->active)
        return error_set(err, FZ_INTERNAL, "a CSV source can't start again while it is read");
    widen_columns(s);
    TRY(schema_build(s, err));
    TRY(input_rewind(s->in, err));
    s->eof = false;
    s->carry_at = s->carry_n = 0;
    TRY(sample_read(s, s->data_start > s->o.sample_bytes ? s->data_start : s->o.sample_bytes, err));
    if (s->carry_n < s->data_start) {
        error_set(err, FZ_IO, "the file changed while it was read");
        error_where(err, input_name(s->in));
        return FZ_IO;
    }
    s->carry_at = s->offset = s->data_start;
    s->line = s->data_line;
    s->morsel = 0;
    s->done = s->started = s->told = false;
    s->rows_short = s->rejected = 0;
    atomic_store(&s->probing, false);
    if (!may_widen(s))
        input_stop_spooling(s->in);
    if (s->reject_fd >= 0) {
        static const char head[] = "line,reason,text\n";
        if (ftruncate(s->reject_fd, sizeof head - 1) < 0 || lseek(s->reject_fd, sizeof head - 1, SEEK_SET) < 0)
            return error_errno(err, errno, s->o.reject_path, "can't write the rejected rows");
    }
    return FZ_OK;
}

void csv_attach(csv_source *s, job *j)
{
    s->o.j = j;
    input_attach(s->in, j);
}
