/*
 * source.c: opening a source: options, sample, layout, columns; widening and starting again.
 *
 *   OPEN ──json_rows_next──> READING ──end of input──> ENDED
 *                               │ misfit                  ^
 *                               v                         │ json_rows_next gives JSON_ROWS_END
 *                            PROBING ──end of input──> WIDENED ──json_rows_restart──> OPEN
 */
#include "format/json/json_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SAMPLE_MIN 4096
#define PAD 64
#define UNCHANGED_MAX 8

static const char REJECT_HEAD[] = "line,reason,text\n";

void json_rows_options_default(json_rows_options *o)
{
    *o = (json_rows_options){.sample_bytes = 1 << 20, .spool_limit = (int64_t)16 << 30, .block_bytes = 1 << 20, .max_record_bytes = 32 << 20};
}

static fz_status str_copy(arena *a, str *s, fz_error *err)
{
    char *p = arena_strndup(a, s->p ? s->p : "", s->n);
    if (!p)
        return error_nomem(err);
    s->p = p;
    return FZ_OK;
}

static fz_status options_copy(json_rows *s, const json_rows_options *o, fz_error *err)
{
    s->o = *o;
    if (s->o.block_bytes == 0)
        s->o.block_bytes = 1;
    if (s->o.max_record_bytes > 1u << 30)
        s->o.max_record_bytes = 1u << 30;
    if (s->o.block_bytes > 1u << 30)
        return error_set(err, FZ_INVALID, "a block of text can't be larger than 1 GiB");
    if (s->o.block_bytes > s->o.max_record_bytes)
        s->o.max_record_bytes = s->o.block_bytes;
    if (s->o.sample_bytes < SAMPLE_MIN)
        s->o.sample_bytes = SAMPLE_MIN;
    if (s->o.sample_bytes > 1u << 30)
        s->o.sample_bytes = 1u << 30;
    if (s->o.reject_path && !(s->o.reject_path = arena_strndup(&s->a, o->reject_path, strlen(o->reject_path))))
        return error_nomem(err);
    if (s->o.temp_dir && !(s->o.temp_dir = arena_strndup(&s->a, o->temp_dir, strlen(o->temp_dir))))
        return error_nomem(err);
    json_type *types = ARENA_ARRAY(&s->a, json_type, o->ntypes);
    str *nulls = ARENA_ARRAY(&s->a, str, o->nnulls);
    if (!types || !nulls)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->ntypes; i++) {
        types[i] = o->types[i];
        TRY(str_copy(&s->a, &types[i].name, err));
    }
    for (uint32_t i = 0; i < o->nnulls; i++) {
        nulls[i] = o->nulls[i];
        TRY(str_copy(&s->a, &nulls[i], err));
    }
    s->o.types = types;
    s->o.nulls = nulls;
    if (!o->schema)
        return FZ_OK;
    row_schema *c = ARENA_NEW(&s->a, row_schema);
    if (!c || !(c->cols = ARENA_ARRAY(&s->a, column_def, o->schema->n)))
        return error_nomem(err);
    c->n = o->schema->n;
    for (uint32_t i = 0; i < c->n; i++) {
        c->cols[i] = o->schema->cols[i];
        TRY(str_copy(&s->a, &c->cols[i].name, err));
    }
    s->o.schema = c;
    return FZ_OK;
}

/* ---- the sample ---- */

/* Reads on until the carry has `want` bytes or the input ends. */
static fz_status sample_read(json_rows *s, size_t want, fz_error *err)
{
    if (want + PAD > s->carry_cap) {
        char *c = mem_resize(s->m, s->carry, s->carry_cap, want + PAD);
        if (!c)
            return error_nomem(err);
        s->carry = c;
        s->carry_cap = want + PAD;
    }
    if (!s->eof && want > s->carry_n) {
        size_t got, need = want - s->carry_n;
        TRY(input_read(s->in, s->carry + s->carry_n, need, &got, err));
        s->carry_n += got;
        s->eof = got < need;
    }
    memset(s->carry + s->carry_n, 0, PAD);
    return FZ_OK;
}

static fz_status sample_error(json_rows *s, size_t at, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "%s", what);
    error_where(err, input_name(s->in));
    const char *nl = at ? memrchr(s->carry, '\n', at) : NULL;
    error_line(err, 1 + text_line_ends(s->carry, at), nl ? s->carry + at - nl : (int64_t)at + 1);
    error_offset(err, (int64_t)at);
    return FZ_DATA;
}

static fz_status mark_pass(json_rows *s, fz_error *err)
{
    const uint8_t *p = (const uint8_t *)s->carry;
    if (s->carry_n >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
        s->data_start = 3;
    if (s->carry_n >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff) || p[0] == 0 || p[1] == 0))
        return sample_error(s, 0, "the text isn't UTF-8 (it looks like UTF-16 or UTF-32)", err);
    return FZ_OK;
}

/* How records follow each other. *incomplete: more of the text may say something else. */
static void layout_detect(json_rows *s, bool *incomplete)
{
    const char *text = s->carry, *end = text + s->carry_n, *p = json_ws(text + s->data_start);
    json_fault f;
    *incomplete = false;
    s->layout = LAYOUT_LINES;
    if (p >= end)
        return;
    const char *q = json_value_skip(p, &f);
    bool cut = !q && f.at >= end - 8 && !s->eof; /* within the last token */
    if (*p == '[' && (!q || (json_ws(q) >= end))) {
        s->layout = LAYOUT_ARRAY;
        return;
    }
    if (!q && !cut)
        return; /* broken JSON: the first line may be it */
    if (memchr(p, '\n', (size_t)((q ? q : end) - p)))
        s->layout = LAYOUT_VALUES;
    *incomplete = cut;
}

/* ---- columns ---- */

static uint32_t find_name(const json_rows *s, str name)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t c = 0; c < s->ncols; c++)
        if (str_eq(s->schema.cols[c].name, name))
            return c;
    for (uint32_t c = 0; c < s->ncols; c++)
        if (str_ieq(s->schema.cols[c].name, name)) {
            if (found != UINT32_MAX)
                return UINT32_MAX;
            found = c;
        }
    return found;
}

static void types_apply(json_rows *s)
{
    for (uint32_t i = 0; i < s->o.ntypes; i++) {
        const json_type *t = &s->o.types[i];
        uint32_t c = find_name(s, t->name);
        if (c == UINT32_MAX) {
            log_msg(s->o.log, LOG_NOTICE, "%s: a type is given for \"" STR_FMT "\", which no record so far has", input_name(s->in), STR_ARG(t->name));
            c = s->ncols++;
            s->schema.cols[c] = (column_def){.name = t->name, .field_id = -1};
            s->cols[c] = (json_column){0};
        }
        if (c < s->ngiven)
            continue;
        s->cols[c].t = s->schema.cols[c].t = t->t;
        s->cols[c].inferred = false;
    }
}

/* The columns: the given ones, or the keys with the types of what was seen. */
static fz_status columns_make(json_rows *s, fz_error *err)
{
    const row_schema *g = s->o.schema;
    uint32_t max = (g ? g->n : s->root->n) + s->o.ntypes;
    s->ngiven = g ? g->n : 0;
    s->ncols = g ? g->n : s->root->n;
    s->cols = ARENA_ARRAY(&s->a, json_column, max);
    s->schema.cols = ARENA_ARRAY(&s->a, column_def, max);
    if (!s->cols || !s->schema.cols)
        return error_nomem(err);
    for (uint32_t c = 0; c < s->ncols; c++) {
        json_column *k = &s->cols[c];
        column_def *d = &s->schema.cols[c];
        if (g) {
            *d = g->cols[c];
            *k = (json_column){.t = d->t, .not_null = d->not_null};
            continue;
        }
        *k = (json_column){.y = s->root->kids[c], .inferred = true};
        *d = (column_def){.name = k->y->key, .field_id = -1};
        TRY(tally_type(k->y, &s->a, &k->t, err));
        d->t = k->t;
    }
    if (!g)
        types_apply(s);
    s->schema.n = s->ncols;
    s->proj = ARENA_ARRAY(&s->a, uint32_t, s->ncols);
    if (!s->proj)
        return error_nomem(err);
    s->nproj = s->ncols;
    s->lax = false;
    for (uint32_t c = 0; c < s->ncols; c++)
        s->proj[c] = c;
    return FZ_OK;
}

/* ---- open, close ---- */

static fz_status rejects_open(json_rows *s, fz_error *err)
{
    if (!s->o.skip_errors || !s->o.reject_path)
        return FZ_OK;
    if (input_is_file(s->in, s->o.reject_path)) {
        error_set(err, FZ_INVALID, "the file for rejected records is the input itself");
        error_where(err, s->o.reject_path);
        return FZ_INVALID;
    }
    s->reject_fd = open(s->o.reject_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s->reject_fd < 0)
        return error_errno(err, errno, s->o.reject_path, "can't make the file for rejected records");
    if (write(s->reject_fd, REJECT_HEAD, sizeof REJECT_HEAD - 1) != (ssize_t)sizeof REJECT_HEAD - 1)
        return error_errno(err, errno, s->o.reject_path, "can't write the rejected records");
    return FZ_OK;
}

/* What the sample's whole records are; reads more until there is one. */
static fz_status sample_take(json_rows *s, fz_error *err)
{
    size_t from = s->data_start, n, end;
    bool closed;
    for (;;) {
        n = s->carry_n - from;
        end = records_end(s->layout, s->carry + from, n, &closed);
        if (end || s->eof || s->carry_n >= s->o.max_record_bytes + s->o.sample_bytes)
            break;
        TRY(sample_read(s, s->carry_n * 2, err));
    }
    if (s->eof && !closed)
        end = n;
    else if (!end)
        return sample_error(s, from, "a record is longer than one may be", err);
    const char *text = s->carry + from, *first = json_ws(text);
    s->wrapped = !s->o.schema && first < text + end && *first != '{' && *first != ']';
    uint64_t records = 0;
    json_fault fault = {0};
    char *after = s->carry + from + end, kept[PAD]; /* what is behind the last whole record doesn't count yet */
    memcpy(kept, after, PAD);
    memset(after, 0, PAD);
    sbuf scratch;
    sbuf_init(&scratch, s->m);
    bool check = utf8_valid_prefix((str){text, end}) != end;
    fz_status st = records_tally(s, text, end, check, s->root, &s->a, &scratch, &records, &fault, err);
    memcpy(after, kept, PAD);
    sbuf_free(&scratch);
    if (st) {
        error_where(err, input_name(s->in));
        return st;
    }
    if (records || s->o.schema)
        return FZ_OK;
    if (fault.what && first < text + end)
        return sample_error(s, (size_t)(fault.at - s->carry), fault.what, err);
    return s->o.ntypes ? FZ_OK : sample_error(s, from, "there are no records", err);
}

static fz_status source_setup(json_rows *s, fz_error *err)
{
    TRY(tally_new(&s->a, (str){0}, &s->root, err));
    TRY(sample_read(s, s->o.sample_bytes, err));
    TRY(mark_pass(s, err));
    for (bool more = true; more;) {
        layout_detect(s, &more);
        more = more && s->carry_n < s->o.max_record_bytes;
        if (more)
            TRY(sample_read(s, s->carry_n * 2, err));
    }
    const char *first = json_ws(s->carry + s->data_start);
    if (first >= s->carry + s->carry_n && s->eof && !s->o.schema && !s->o.ntypes)
        return sample_error(s, s->data_start, "the file has no records", err);
    if (s->layout == LAYOUT_ARRAY)
        s->data_start = (size_t)(first - s->carry) + 1;
    s->data_line = 1 + text_line_ends(s->carry, s->data_start);
    TRY(sample_take(s, err));
    TRY(columns_make(s, err));
    s->carry_at = s->offset = s->data_start;
    s->line = s->data_line;
    const char *nl = memrchr(s->carry, '\n', s->data_start);
    s->line_start = nl ? (size_t)(s->carry + s->data_start - nl - 1) : s->data_start;
    if (s->o.strict || s->o.schema)
        input_stop_spooling(s->in);
    return rejects_open(s, err);
}

fz_status json_rows_open(const char *location, const json_rows_options *o, mem *m, json_rows **out, fz_error *err)
{
    json_rows *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->m = m;
    s->reject_fd = -1;
    arena_init(&s->a, m);
    pthread_mutex_init(&s->lock, NULL);
    s->pool = blockpool_new(m);
    fz_status st = s->pool ? options_copy(s, o, err) : error_nomem(err);
    text_input_options in = {.format = "JSON", .compression = s->o.compression, .spool_limit = s->o.spool_limit, .temp_dir = s->o.temp_dir,
                             .j = s->o.j, .io = s->o.io};
    if (st == FZ_OK)
        st = input_open(location, &in, m, &s->in, err);
    if (st == FZ_OK)
        st = source_setup(s, err);
    if (st != FZ_OK) {
        json_rows_close(s);
        return st;
    }
    *out = s;
    return FZ_OK;
}

void json_rows_close(json_rows *s)
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

const row_schema *json_rows_schema(const json_rows *s) { return &s->schema; }
bool json_rows_undecided(const json_rows *s, uint32_t c) { return s->cols[c].inferred && s->cols[c].y && tally_undecided(s->cols[c].y); }
bool json_rows_widened(const json_rows *s) { return atomic_load(&s->probing) && !s->failed; }
void json_rows_keep_types(json_rows *s) { atomic_store(&s->keep_types, true); }
int64_t json_rows_size(const json_rows *s) { return input_size(s->in); }
int64_t json_rows_rejected(const json_rows *s) { return s->rejected; }

const char *json_rows_layout(const json_rows *s)
{
    return s->layout == LAYOUT_LINES ? "lines" : s->layout == LAYOUT_VALUES ? "values" : "array";
}

fz_status json_rows_project(json_rows *s, const uint32_t *cols, uint32_t n, fz_error *err)
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
    s->lax = n < s->ncols && !s->o.strict && !s->ngiven;
    return FZ_OK;
}

void json_rows_attach(json_rows *s, job *j)
{
    s->o.j = j;
    input_attach(s->in, j);
}

/* ---- several as one ---- */

fz_status json_rows_unify(json_rows **s, uint32_t n, fz_error *err)
{
    tally *all;
    if (n < 2 || s[0]->o.schema)
        return FZ_OK;
    arena a;
    arena_init(&a, s[0]->m);
    fz_status st = tally_new(&a, (str){0}, &all, err);
    for (uint32_t i = 0; i < n && !st; i++) {
        if (s[i]->wrapped != s[0]->wrapped) {
            st = error_set(err, FZ_INVALID, "the records of one file are objects, those of another aren't");
            error_where(err, input_name(s[i]->in));
        } else {
            st = tally_merge(all, s[i]->root, &a, err);
        }
    }
    for (uint32_t i = 0; i < n && !st; i++) {
        tally *root;
        st = tally_new(&s[i]->a, (str){0}, &root, err);
        if (!st)
            st = tally_merge(root, all, &s[i]->a, err);
        if (!st) {
            s[i]->root = root;
            st = columns_make(s[i], err);
        }
    }
    arena_free(&a);
    return st;
}

/* ---- starting again ---- */

/* One notice: the first misfit; and the columns that are wider or new. */
static bool tell_widening(json_rows *s, const json_column *old, const column_def *names, uint32_t n_old)
{
    bool any = s->ncols != n_old;
    sbuf what;
    sbuf_init(&what, s->m);
    const char *sep = "";
    for (uint32_t c = 0; c < s->ncols; c++) {
        bool fresh = c >= n_old || !str_eq(names[c].name, s->schema.cols[c].name);
        if (!fresh && type_eq(old[c].t, s->cols[c].t))
            continue;
        any = true;
        sbuf_printf(&what, "%s\"" STR_FMT "\" is ", sep, STR_ARG(s->schema.cols[c].name));
        type_sql_name(s->cols[c].t, &what);
        sep = ", ";
        if (what.n > 400) {
            sbuf_addz(&what, ", …");
            break;
        }
    }
    if (any && !what.failed && what.n)
        log_msg(s->o.log, LOG_NOTICE, "%s: line %lld %s: %s; reading again from the start", input_name(s->in), (long long)s->misfit_line, s->misfit,
                what.p);
    sbuf_free(&what);
    return any;
}

fz_status json_rows_restart(json_rows *s, fz_error *err)
{
    if (s->active)
        return error_set(err, FZ_INTERNAL, "a JSON source can't start again while it is read");
    json_column *old = s->cols;
    const column_def *names = s->schema.cols;
    uint32_t n_old = s->ncols;
    if (atomic_load(&s->probing)) {
        TRY(columns_make(s, err));
        /* A column that only now has had a value may keep its type; anything else has to change with each restart. */
        s->unchanged = tell_widening(s, old, names, n_old) ? 0 : s->unchanged + 1;
        if (s->unchanged > UNCHANGED_MAX)
            return error_set(err, FZ_INTERNAL, "the types of a JSON source don't settle");
    }
    TRY(input_rewind(s->in, err));
    s->eof = s->closed = false;
    s->carry_at = s->carry_n = 0;
    TRY(sample_read(s, s->data_start > s->o.sample_bytes ? s->data_start : s->o.sample_bytes, err));
    if (s->carry_n < s->data_start) {
        error_set(err, FZ_IO, "the file changed while it was read");
        error_where(err, input_name(s->in));
        return FZ_IO;
    }
    s->carry_at = s->offset = s->data_start;
    s->line = s->data_line;
    const char *nl = memrchr(s->carry, '\n', s->data_start);
    s->line_start = nl ? (size_t)(s->carry + s->data_start - nl - 1) : s->data_start;
    s->morsel = 0;
    s->done = s->started = s->told = s->misfit_set = false;
    s->rejected = 0;
    atomic_store(&s->probing, false);
    if (s->reject_fd >= 0 && (ftruncate(s->reject_fd, sizeof REJECT_HEAD - 1) < 0 || lseek(s->reject_fd, sizeof REJECT_HEAD - 1, SEEK_SET) < 0))
        return error_errno(err, errno, s->o.reject_path, "can't write the rejected records");
    return FZ_OK;
}
