/* The ADBC driver in process, as a driver manager calls it: life cycles, options, statements, parameters, ingest, metadata, statistics,
 * partitions, transactions, errors; and bad input. (run with tsan) */
#include "engine/lake_util.h"

#include <errno.h>
#include <frazil/adbc_abi.h>
#include <pthread.h>
#include <stdbool.h>

typedef struct fixture {
    char root[128], uri[160];
    struct AdbcDriver d;
    struct AdbcDatabase db;
    struct AdbcConnection c;
} fixture;

static struct AdbcError err;

static void clear(void)
{
    if (err.release)
        err.release(&err);
    err = ADBC_ERROR_INIT;
}

#define OK(x) do { clear(); AdbcStatusCode ok_ = (x); if (ok_) fail_msg("%s:%d: %d %s", __FILE__, __LINE__, ok_, err.message ? err.message : ""); } while (0)
#define STATUS(want, x) do { clear(); AdbcStatusCode got_ = (x); \
    if (got_ != (want)) fail_msg("%s:%d: %d instead of %d: %s", __FILE__, __LINE__, got_, want, err.message ? err.message : ""); } while (0)

static void open_database(fixture *f, struct AdbcDatabase *db)
{
    OK(f->d.DatabaseNew(db, &err));
    OK(f->d.DatabaseSetOption(db, "uri", f->uri, &err));
    OK(f->d.DatabaseInit(db, &err));
}

static void open_connection(fixture *f, struct AdbcConnection *c)
{
    *c = (struct AdbcConnection){0};
    OK(f->d.ConnectionNew(c, &err));
    OK(f->d.ConnectionInit(c, &f->db, &err));
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    err = ADBC_ERROR_INIT;
    dir_make(f->root, sizeof f->root, "test_adbc");
    snprintf(f->uri, sizeof f->uri, "%s/lake", f->root);
    OK(AdbcDriverInit(ADBC_VERSION_1_1_0, &f->d, &err));
    open_database(f, &f->db);
    open_connection(f, &f->c);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    OK(f->d.ConnectionRelease(&f->c, &err));
    OK(f->d.DatabaseRelease(&f->db, &err));
    OK(f->d.release(&f->d, &err));
    clear();
    dir_remove(f->root);
    free(f);
    return 0;
}

/* ---- data ---- */

/* A table of one chunk: a bigint and a text column, from texts as "1,x;2,NULL". */
typedef struct data {
    int64_t n;
    int64_t a[16];
    int32_t at[17];
    char text[128];
    unsigned char valid_a[2], valid_s[2];
    const void *ba[2], *bs[3], *b[1];
    struct ArrowArray kids[2], *refs[2];
} data;

static void data_release(struct ArrowArray *a)
{
    free(a->private_data);
    a->release = NULL;
}

static void kid_release(struct ArrowArray *a)
{
    a->release = NULL;
}

static void schema_release(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++)
        free(s->children[i]);
    free(s->children);
    s->release = NULL;
}

static void kid_schema_release(struct ArrowSchema *s)
{
    s->release = NULL;
}

static void make_schema(struct ArrowSchema *s, const char *a, const char *b)
{
    const char *names[] = {a, b}, *formats[] = {"l", "u"};
    int n = b ? 2 : 1;
    *s = (struct ArrowSchema){.format = "+s", .name = "", .n_children = n, .children = calloc(2, sizeof *s->children), .release = schema_release};
    for (int i = 0; i < n; i++) {
        s->children[i] = calloc(1, sizeof **s->children);
        *s->children[i] = (struct ArrowSchema){.format = formats[i], .name = names[i], .flags = ARROW_FLAG_NULLABLE, .release = kid_schema_release};
    }
}

static void make_data(struct ArrowArray *out, int columns, const char *rows)
{
    data *d = calloc(1, sizeof *d);
    size_t at = 0;
    for (const char *p = rows; *p;) {
        char a[32], s[32];
        int used = 0;
        assert_int_equal(sscanf(p, "%31[^,],%31[^;]%n", a, s, &used), 2);
        p += used + (p[used] == ';');
        if (strcmp(a, "NULL") != 0) {
            d->a[d->n] = strtoll(a, NULL, 10);
            d->valid_a[d->n / 8] |= (unsigned char)(1 << d->n % 8);
        }
        if (strcmp(s, "NULL") != 0) {
            memcpy(d->text + at, s, strlen(s));
            at += strlen(s);
            d->valid_s[d->n / 8] |= (unsigned char)(1 << d->n % 8);
        }
        d->at[++d->n] = (int32_t)at;
    }
    d->ba[0] = d->valid_a;
    d->ba[1] = d->a;
    d->bs[0] = d->valid_s;
    d->bs[1] = d->at;
    d->bs[2] = d->text;
    d->kids[0] = (struct ArrowArray){.length = d->n, .null_count = -1, .n_buffers = 2, .buffers = d->ba, .release = kid_release};
    d->kids[1] = (struct ArrowArray){.length = d->n, .null_count = -1, .n_buffers = 3, .buffers = d->bs, .release = kid_release};
    d->refs[0] = &d->kids[0];
    d->refs[1] = &d->kids[1];
    *out = (struct ArrowArray){.length = d->n, .n_buffers = 1, .buffers = d->b, .n_children = columns, .children = d->refs, .release = data_release,
                               .private_data = d};
}

/* A stream of chunks separated by '|'; "!" fails. */
typedef struct chunks { char text[256]; char *next; int columns; } chunks;

static int chunks_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    make_schema(out, "a", ((chunks *)s->private_data)->columns == 2 ? "s" : NULL);
    return 0;
}

static int chunks_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    chunks *x = s->private_data;
    out->release = NULL;
    if (!x->next)
        return 0;
    if (*x->next == '!')
        return EIO;
    char *end = strchr(x->next, '|');
    if (end)
        *end = 0;
    make_data(out, x->columns, x->next);
    x->next = end ? end + 1 : NULL;
    return 0;
}

static const char *chunks_error(struct ArrowArrayStream *s)
{
    return "the producer broke";
}

static void chunks_release(struct ArrowArrayStream *s)
{
    free(s->private_data);
    s->release = NULL;
}

static void make_stream(struct ArrowArrayStream *out, int columns, const char *text)
{
    chunks *x = calloc(1, sizeof *x);
    snprintf(x->text, sizeof x->text, "%s", text);
    x->next = x->text;
    x->columns = columns;
    *out = (struct ArrowArrayStream){chunks_schema, chunks_next, chunks_error, chunks_release, x};
}

/* ---- reading ---- */

static void cell(char *out, size_t cap, const struct ArrowSchema *s, const struct ArrowArray *a, int64_t row)
{
    int64_t at = row + a->offset;
    const unsigned char *valid = s->format[0] == '+' && s->format[1] == 'u' ? NULL : a->buffers[0];
    if (valid && !(valid[at / 8] >> at % 8 & 1)) {
        snprintf(out, cap, "-");
        return;
    }
    switch (s->format[0]) {
    case 'l': snprintf(out, cap, "%lld", (long long)((const int64_t *)a->buffers[1])[at]); return;
    case 'i': case 'I': snprintf(out, cap, "%d", ((const int32_t *)a->buffers[1])[at]); return;
    case 's': snprintf(out, cap, "%d", ((const int16_t *)a->buffers[1])[at]); return;
    case 'g': snprintf(out, cap, "%g", ((const double *)a->buffers[1])[at]); return;
    case 'b': snprintf(out, cap, "%s", ((const unsigned char *)a->buffers[1])[at / 8] >> at % 8 & 1 ? "true" : "false"); return;
    case 'u': case 'z': {
        const int32_t *o = (const int32_t *)a->buffers[1] + at;
        snprintf(out, cap, "%.*s", o[1] - o[0], (const char *)a->buffers[2] + o[0]);
        return;
    }
    case '+': break;
    default: fail_msg("format %s", s->format);
    }
    size_t n = 0;
    if (s->format[1] == 's') {
        n += (size_t)snprintf(out, cap, "(");
        for (int64_t i = 0; i < s->n_children; i++) {
            cell(out + n, cap - n, s->children[i], a->children[i], at);
            n += strlen(out + n);
            n += (size_t)snprintf(out + n, cap - n, i + 1 < s->n_children ? "," : ")");
        }
    } else if (s->format[1] == 'l') {
        const int32_t *o = (const int32_t *)a->buffers[1] + at;
        n += (size_t)snprintf(out, cap, "[");
        for (int32_t i = o[0]; i < o[1]; i++) {
            cell(out + n, cap - n, s->children[0], a->children[0], i);
            n += strlen(out + n);
            n += (size_t)snprintf(out + n, cap - n, i + 1 < o[1] ? "," : "");
        }
        snprintf(out + n, cap - n, "]");
    } else {
        const unsigned char *codes = a->buffers[0];
        const int32_t *o = a->buffers[1];
        cell(out, cap, s->children[codes[at]], a->children[codes[at]], o[at]);
    }
}

/* The rows as text, one a line; releases the stream. */
static const char *rows(struct ArrowArrayStream *s)
{
    static char out[1 << 16];
    struct ArrowSchema schema;
    size_t n = 0;
    out[0] = 0;
    assert_int_equal(s->get_schema(s, &schema), 0);
    for (;;) {
        struct ArrowArray a;
        int code = s->get_next(s, &a);
        if (code)
            fail_msg("%d: %s", code, s->get_last_error(s));
        if (!a.release)
            break;
        for (int64_t i = 0; i < a.length; i++) {
            for (int64_t c = 0; c < schema.n_children; c++) {
                cell(out + n, sizeof out - n, schema.children[c], a.children[c], i);
                n += strlen(out + n);
                n += (size_t)snprintf(out + n, sizeof out - n, c + 1 < schema.n_children ? "," : "\n");
            }
        }
        a.release(&a);
    }
    schema.release(&schema);
    s->release(s);
    return out;
}

/* ---- statements ---- */

static void start(fixture *f, struct AdbcConnection *c, struct AdbcStatement *s, const char *sql)
{
    *s = (struct AdbcStatement){0};
    OK(f->d.StatementNew(c, s, &err));
    if (sql)
        OK(f->d.StatementSetSqlQuery(s, sql, &err));
}

static int64_t update(fixture *f, struct AdbcConnection *c, const char *sql)
{
    struct AdbcStatement s;
    int64_t n = -2;
    start(f, c, &s, sql);
    OK(f->d.StatementExecuteQuery(&s, NULL, &n, &err));
    OK(f->d.StatementRelease(&s, &err));
    return n;
}

static void query(fixture *f, struct AdbcConnection *c, const char *sql, const char *want)
{
    struct AdbcStatement s;
    struct ArrowArrayStream out;
    int64_t n = -2;
    start(f, c, &s, sql);
    OK(f->d.StatementExecuteQuery(&s, &out, &n, &err));
    OK(f->d.StatementRelease(&s, &err)); /* the stream outlives it */
    assert_string_equal(rows(&out), want);
}

static AdbcStatusCode wrong(fixture *f, struct AdbcConnection *c, const char *sql)
{
    struct AdbcStatement s;
    start(f, c, &s, sql);
    AdbcStatusCode st = f->d.StatementExecuteQuery(&s, NULL, NULL, &err);
    f->d.StatementRelease(&s, NULL);
    return st;
}

static AdbcStatusCode ingest(fixture *f, struct AdbcConnection *c, const char *table, const char *mode, int columns, const char *text, int64_t *n)
{
    struct AdbcStatement s;
    struct ArrowArrayStream in;
    start(f, c, &s, NULL);
    OK(f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_TARGET_TABLE, table, &err));
    if (mode)
        OK(f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_MODE, mode, &err));
    make_stream(&in, columns, text);
    OK(f->d.StatementBindStream(&s, &in, &err));
    assert_null(in.release);
    clear();
    AdbcStatusCode st = f->d.StatementExecuteQuery(&s, NULL, n, &err);
    f->d.StatementRelease(&s, NULL);
    return st;
}

/* ---- tests ---- */

static void versions_and_layout(void **state)
{
    struct AdbcDriver d;
    assert_int_equal(sizeof(struct AdbcDriver), 464);
    assert_int_equal(ADBC_DRIVER_1_0_0_SIZE, 232);
    assert_int_equal(offsetof(struct AdbcError, private_data), 32);
    memset(&d, 0x5a, sizeof d);
    OK(AdbcDriverFrazilInit(ADBC_VERSION_1_0_0, &d, &err));
    assert_int_equal(((unsigned char *)&d)[ADBC_DRIVER_1_0_0_SIZE], 0x5a); /* a smaller structure isn't written past */
    assert_non_null(d.StatementSetSubstraitPlan);
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, AdbcDriverInit(99, &d, &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, AdbcDriverInit(ADBC_VERSION_1_1_0, NULL, &err));
}

static void handles_in_the_wrong_order(void **state)
{
    fixture *f = *state;
    struct AdbcDatabase db = {0};
    struct AdbcConnection c = {0};
    struct AdbcStatement s = {0};
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.DatabaseInit(&db, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.DatabaseRelease(&db, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.ConnectionInit(&c, &f->db, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.ConnectionRelease(&c, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementNew(&c, &s, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementRelease(&s, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementExecuteQuery(&s, NULL, NULL, &err));
    OK(f->d.DatabaseNew(&db, &err));
    OK(f->d.ConnectionNew(&c, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.ConnectionInit(&c, &db, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementNew(&c, &s, &err));
    OK(f->d.ConnectionRelease(&c, &err));
    OK(f->d.DatabaseSetOption(&db, "uri", "/proc/self/nowhere", &err));
    OK(f->d.DatabaseSetOption(&db, "threads", "none", &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.DatabaseInit(&db, &err));
    assert_non_null(strstr(err.message, "threads"));
    OK(f->d.DatabaseRelease(&db, &err));
    start(f, &f->c, &s, NULL);
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementExecuteQuery(&s, NULL, NULL, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementPrepare(&s, &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.StatementSetSubstraitPlan(&s, (const uint8_t *)"x", 1, &err));
    OK(f->d.StatementRelease(&s, &err));
}

static void options_of_all_types(void **state)
{
    fixture *f = *state;
    struct AdbcStatement s;
    char text[64], small[4] = "abc";
    size_t n = sizeof text;
    int64_t i;
    double d;
    OK(f->d.ConnectionGetOption(&f->c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, text, &n, &err));
    assert_string_equal(text, "true");
    assert_int_equal(n, 5);
    n = sizeof small;
    OK(f->d.ConnectionGetOption(&f->c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, small, &n, &err));
    assert_int_equal(n, 5);
    assert_string_equal(small, "abc"); /* doesn't fit: only the size is told */
    n = sizeof text;
    OK(f->d.DatabaseGetOption(&f->db, "uri", text, &n, &err));
    assert_int_equal(n, strlen(f->uri) + 1);
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.DatabaseGetOption(&f->db, "colour", text, &n, &err));
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.ConnectionGetOption(&f->c, "colour", text, &n, &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.ConnectionSetOption(&f->c, "colour", "blue", &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.DatabaseSetOption(&f->db, "uri", "elsewhere", &err)); /* it is open */
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.ConnectionSetOptionDouble(&f->c, "colour", 0.5, &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.ConnectionSetOptionBytes(&f->c, "colour", (const uint8_t *)"x", 1, &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.ConnectionGetOptionInt(&f->c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, &i, &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.ConnectionSetOption(&f->c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, "maybe", &err));
    start(f, &f->c, &s, "SELECT 1");
    OK(f->d.StatementSetOptionInt(&s, "frazil.partitions", 7, &err));
    OK(f->d.StatementGetOptionInt(&s, "frazil.partitions", &i, &err));
    assert_int_equal(i, 7);
    OK(f->d.StatementGetOptionDouble(&s, "frazil.partitions", &d, &err));
    assert_true(d == 7);
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.StatementSetOptionInt(&s, "frazil.partitions", 0, &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_MODE, "upsert", &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_TEMPORARY, "true", &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.StatementSetOption(&s, ADBC_STATEMENT_OPTION_INCREMENTAL, "true", &err));
    OK(f->d.StatementGetOptionDouble(&s, ADBC_STATEMENT_OPTION_PROGRESS, &d, &err));
    OK(f->d.StatementRelease(&s, &err));
}

static void catalog_and_schema(void **state)
{
    fixture *f = *state;
    char text[64];
    size_t n = sizeof text;
    update(f, &f->c, "CREATE SCHEMA one");
    update(f, &f->c, "CREATE SCHEMA one.two");
    OK(f->d.ConnectionSetOption(&f->c, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, "one.two", &err));
    OK(f->d.ConnectionGetOption(&f->c, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, text, &n, &err));
    assert_string_equal(text, "one.two");
    update(f, &f->c, "CREATE TABLE t (a int)");
    query(f, &f->c, "SHOW TABLES", "one.two,t\n");
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.ConnectionSetOption(&f->c, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, "three", &err));
    OK(f->d.ConnectionSetOption(&f->c, ADBC_CONNECTION_OPTION_CURRENT_CATALOG, "default", &err));
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.ConnectionSetOption(&f->c, ADBC_CONNECTION_OPTION_CURRENT_CATALOG, "other", &err));
    assert_memory_equal(err.sqlstate, "3D000", 5);
    struct AdbcConnection c = {0}; /* options before it is open */
    OK(f->d.ConnectionNew(&c, &err));
    OK(f->d.ConnectionSetOption(&c, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, "one", &err));
    OK(f->d.ConnectionSetOption(&c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, "false", &err));
    OK(f->d.ConnectionInit(&c, &f->db, &err));
    n = sizeof text;
    OK(f->d.ConnectionGetOption(&c, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA, text, &n, &err));
    assert_string_equal(text, "one");
    OK(f->d.ConnectionRelease(&c, &err));
}

static void errors_have_states_and_details(void **state)
{
    fixture *f = *state;
    STATUS(ADBC_STATUS_NOT_FOUND, wrong(f, &f->c, "SELECT *\nFROM nowhere"));
    assert_memory_equal(err.sqlstate, "42P01", 5);
    assert_int_equal(err.vendor_code, ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA);
    int n = f->d.ErrorGetDetailCount(&err), line = 0;
    for (int i = 0; i < n; i++) {
        struct AdbcErrorDetail d = f->d.ErrorGetDetail(&err, i);
        if (strcmp(d.key, "frazil.line") == 0)
            line = d.value_length == 1 && d.value[0] == '2';
    }
    assert_true(line);
    assert_null(f->d.ErrorGetDetail(&err, n).key);
    assert_null(f->d.ErrorGetDetail(&err, -1).key);
    /* A caller of 1.0 has a smaller structure, whose end isn't touched, and gets the vendor code. */
    clear();
    err = (struct AdbcError){.private_data = &n, .private_driver = &f->d};
    struct AdbcStatement s;
    s = (struct AdbcStatement){0};
    assert_int_equal(f->d.StatementNew(&f->c, &s, NULL), 0);
    assert_int_equal(f->d.StatementSetSqlQuery(&s, "SELECT 1 +", NULL), 0);
    assert_int_equal(f->d.StatementExecuteQuery(&s, NULL, NULL, &err), ADBC_STATUS_INVALID_ARGUMENT);
    assert_ptr_equal(err.private_data, &n);
    assert_int_equal(err.vendor_code, FZ_SYNTAX);
    assert_int_equal(f->d.ErrorGetDetailCount(&err), 0);
    err.release(&err);
    err = ADBC_ERROR_INIT;
    OK(f->d.StatementRelease(&s, &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, wrong(f, &f->c, "DELETE FROM t"));
    STATUS(ADBC_STATUS_INVALID_DATA, wrong(f, &f->c, "CREATE TABLE x AS SELECT 1 / (a - a) AS b FROM (VALUES (1)) v(a)"));
    update(f, &f->c, "CREATE TABLE x (a int NOT NULL)");
    STATUS(ADBC_STATUS_ALREADY_EXISTS, wrong(f, &f->c, "CREATE TABLE x (a int)"));
    STATUS(ADBC_STATUS_INTEGRITY, wrong(f, &f->c, "INSERT INTO x SELECT CAST(NULL AS int)"));
    /* a failure while rows are read */
    struct ArrowArrayStream out;
    struct ArrowArray a;
    AdbcStatusCode code = 0;
    start(f, &f->c, &s, "SELECT 1 / (x - x) FROM (VALUES (1), (2)) v(x)");
    clear();
    AdbcStatusCode st = f->d.StatementExecuteQuery(&s, &out, NULL, &err);
    if (!st) {
        assert_null(f->d.ErrorFromArrayStream(&out, &code));
        assert_int_equal(out.get_next(&out, &a), EINVAL);
        assert_non_null(out.get_last_error(&out));
        const struct AdbcError *why = f->d.ErrorFromArrayStream(&out, &code);
        assert_non_null(why);
        assert_int_equal(code, ADBC_STATUS_INVALID_DATA);
        assert_memory_equal(why->sqlstate, "22012", 5);
        out.release(&out);
    }
    OK(f->d.StatementRelease(&s, &err));
}

static void parameters_by_row(void **state)
{
    fixture *f = *state;
    struct AdbcStatement s;
    struct ArrowArray a;
    struct ArrowSchema schema;
    struct ArrowArrayStream in, out;
    int64_t n;
    update(f, &f->c, "CREATE TABLE t (a bigint, s text)");
    start(f, &f->c, &s, "INSERT INTO t VALUES (?, upper(?))");
    OK(f->d.StatementPrepare(&s, &err));
    OK(f->d.StatementGetParameterSchema(&s, &schema, &err));
    assert_int_equal(schema.n_children, 2);
    assert_string_equal(schema.children[0]->format, "l");
    assert_string_equal(schema.children[1]->format, "u");
    schema.release(&schema);
    make_schema(&schema, "", "");
    make_data(&a, 2, "1,one;2,NULL;NULL,three");
    OK(f->d.StatementBind(&s, &a, &schema, &err));
    assert_null(a.release);
    OK(f->d.StatementExecuteQuery(&s, NULL, &n, &err));
    assert_int_equal(n, 3);
    query(f, &f->c, "SELECT * FROM t ORDER BY a", "1,ONE\n2,-\n-,THREE\n");
    query(f, &f->c, "SELECT count(*) FROM t.snapshots", "1\n"); /* one insert */
    /* streams, in chunks, with parameters out of order and in texts that aren't parameters */
    OK(f->d.StatementSetSqlQuery(&s, "INSERT INTO t (s, a) /* ? */ VALUES ($2 || '?', $1 * 10) -- ?\n;", &err));
    make_stream(&in, 2, "4,four|5,five;6,six");
    OK(f->d.StatementBindStream(&s, &in, &err));
    OK(f->d.StatementExecuteQuery(&s, NULL, &n, &err));
    assert_int_equal(n, 3);
    query(f, &f->c, "SELECT * FROM t WHERE a >= 40 ORDER BY a", "40,four?\n50,five?\n60,six?\n");
    query(f, &f->c, "SELECT count(*) FROM t.snapshots", "2\n");
    /* not one VALUES: row by row, all or nothing */
    OK(f->d.StatementSetSqlQuery(&s, "INSERT INTO t SELECT $1, $2 WHERE $1 > 0", &err));
    make_stream(&in, 2, "-1,no;7,seven");
    OK(f->d.StatementBindStream(&s, &in, &err));
    OK(f->d.StatementExecuteQuery(&s, NULL, &n, &err));
    assert_int_equal(n, 1);
    OK(f->d.StatementSetSqlQuery(&s, "INSERT INTO t SELECT $1 / ($1 - 8), $2", &err));
    make_stream(&in, 2, "9,nine;8,eight");
    OK(f->d.StatementBindStream(&s, &in, &err));
    STATUS(ADBC_STATUS_INVALID_DATA, f->d.StatementExecuteQuery(&s, NULL, &n, &err));
    query(f, &f->c, "SELECT count(*) FROM t", "7\n");
    /* queries: the rows of each row of parameters, one after the other */
    OK(f->d.StatementSetSqlQuery(&s, "SELECT $1 + 1, $2", &err));
    make_stream(&in, 2, "1,a|NULL,b;3,NULL");
    OK(f->d.StatementBindStream(&s, &in, &err));
    OK(f->d.StatementExecuteQuery(&s, &out, &n, &err));
    assert_string_equal(rows(&out), "2,a\n-,b\n4,-\n");
    make_stream(&in, 2, ""); /* no rows of parameters: no rows */
    ((chunks *)in.private_data)->next = NULL;
    OK(f->d.StatementBindStream(&s, &in, &err));
    OK(f->d.StatementExecuteQuery(&s, &out, &n, &err));
    assert_string_equal(rows(&out), "");
    /* too few, and a producer that breaks */
    make_stream(&in, 1, "1,a");
    OK(f->d.StatementBindStream(&s, &in, &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.StatementExecuteQuery(&s, &out, &n, &err));
    make_stream(&in, 2, "1,a|!");
    OK(f->d.StatementBindStream(&s, &in, &err));
    OK(f->d.StatementExecuteQuery(&s, &out, &n, &err));
    OK(f->d.StatementRelease(&s, &err));
    assert_int_equal(out.get_next(&out, &a), 0);
    a.release(&a);
    assert_int_equal(out.get_next(&out, &a), EINVAL);
    assert_non_null(strstr(out.get_last_error(&out), "the producer broke"));
    assert_non_null(f->d.ErrorFromArrayStream(&out, NULL));
    out.release(&out);
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementBind(&s, &a, &schema, &err)); /* it is released */
}

static void ingest_in_all_modes(void **state)
{
    fixture *f = *state;
    struct AdbcStatement s;
    struct ArrowArrayStream in, out;
    int64_t n = 0;
    OK(ingest(f, &f->c, "t \"1\"", NULL, 2, "1,x;2,NULL|3,z", &n));
    assert_int_equal(n, 3);
    query(f, &f->c, "SELECT * FROM \"t \"\"1\"\"\" ORDER BY a", "1,x\n2,-\n3,z\n");
    STATUS(ADBC_STATUS_ALREADY_EXISTS, ingest(f, &f->c, "t \"1\"", ADBC_INGEST_OPTION_MODE_CREATE, 2, "1,x", &n));
    STATUS(ADBC_STATUS_NOT_FOUND, ingest(f, &f->c, "nowhere", ADBC_INGEST_OPTION_MODE_APPEND, 2, "1,x", &n));
    OK(ingest(f, &f->c, "t", ADBC_INGEST_OPTION_MODE_CREATE_APPEND, 2, "1,x", &n));
    OK(ingest(f, &f->c, "t", ADBC_INGEST_OPTION_MODE_CREATE_APPEND, 1, "2,x", &n)); /* a column that isn't there is null */
    OK(ingest(f, &f->c, "t", ADBC_INGEST_OPTION_MODE_APPEND, 2, "3,y;4,y", &n));
    assert_int_equal(n, 2);
    query(f, &f->c, "SELECT * FROM t ORDER BY a", "1,x\n2,-\n3,y\n4,y\n");
    OK(ingest(f, &f->c, "t", ADBC_INGEST_OPTION_MODE_REPLACE, 1, "9,x", &n));
    query(f, &f->c, "SELECT * FROM t", "9\n");
    STATUS(ADBC_STATUS_NOT_FOUND, ingest(f, &f->c, "t", ADBC_INGEST_OPTION_MODE_APPEND, 2, "1,x", &n)); /* no such column now */
    STATUS(ADBC_STATUS_IO, ingest(f, &f->c, "broken", NULL, 2, "1,x|!", &n));
    assert_non_null(strstr(err.message, "the producer broke"));
    STATUS(ADBC_STATUS_NOT_FOUND, wrong(f, &f->c, "SELECT * FROM broken")); /* nothing is left of it */
    update(f, &f->c, "CREATE SCHEMA other");
    start(f, &f->c, &s, NULL);
    OK(f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_TARGET_TABLE, "t", &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.StatementExecuteQuery(&s, NULL, NULL, &err)); /* nothing is bound */
    OK(f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_TARGET_CATALOG, "default", &err));
    OK(f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_TARGET_DB_SCHEMA, "other", &err));
    make_stream(&in, 2, "5,five");
    OK(f->d.StatementBindStream(&s, &in, &err));
    OK(f->d.StatementExecuteQuery(&s, &out, &n, &err)); /* who asks for rows gets a stream without any */
    assert_string_equal(rows(&out), "");
    query(f, &f->c, "SELECT * FROM other.t", "5,five\n");
    OK(f->d.StatementSetOption(&s, ADBC_INGEST_OPTION_TARGET_CATALOG, "elsewhere", &err));
    make_stream(&in, 2, "5,five");
    OK(f->d.StatementBindStream(&s, &in, &err));
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.StatementExecuteQuery(&s, NULL, &n, &err));
    OK(f->d.StatementRelease(&s, &err));
}

static void transactions(void **state)
{
    fixture *f = *state;
    struct AdbcConnection c;
    int64_t n;
    update(f, &f->c, "CREATE TABLE t (a bigint, s text)");
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.ConnectionCommit(&f->c, &err));
    STATUS(ADBC_STATUS_INVALID_STATE, f->d.ConnectionRollback(&f->c, &err));
    open_connection(f, &c);
    OK(f->d.ConnectionSetOption(&c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, "false", &err));
    OK(f->d.ConnectionCommit(&c, &err)); /* nothing was done */
    OK(ingest(f, &c, "t", ADBC_INGEST_OPTION_MODE_APPEND, 2, "1,x;2,y", &n));
    OK(ingest(f, &c, "u", ADBC_INGEST_OPTION_MODE_CREATE_APPEND, 1, "1,x", &n));
    OK(ingest(f, &c, "u", ADBC_INGEST_OPTION_MODE_CREATE_APPEND, 1, "2,x", &n));
    query(f, &c, "SELECT count(*) FROM t, u", "4\n");
    query(f, &f->c, "SELECT count(*) FROM t", "0\n");
    OK(f->d.ConnectionRollback(&c, &err));
    query(f, &c, "SELECT count(*) FROM t", "0\n");
    OK(f->d.ConnectionRollback(&c, &err));
    OK(ingest(f, &c, "t", ADBC_INGEST_OPTION_MODE_APPEND, 2, "1,x;2,y", &n));
    update(f, &c, "CREATE TABLE u AS SELECT a + 1 AS b FROM t");
    OK(f->d.ConnectionCommit(&c, &err));
    query(f, &f->c, "SELECT * FROM u ORDER BY b", "2\n3\n");
    /* a failed one */
    update(f, &c, "INSERT INTO t VALUES (3, 'z')");
    STATUS(ADBC_STATUS_NOT_FOUND, wrong(f, &c, "SELECT * FROM nowhere"));
    STATUS(ADBC_STATUS_INVALID_STATE, wrong(f, &c, "SELECT 1"));
    assert_memory_equal(err.sqlstate, "25P02", 5);
    OK(f->d.ConnectionRollback(&c, &err));
    query(f, &c, "SELECT count(*) FROM t", "2\n");
    /* a conflict */
    update(f, &c, "INSERT OVERWRITE t SELECT * FROM t WHERE a = 1");
    update(f, &f->c, "INSERT INTO t VALUES (4, 'other')");
    STATUS(ADBC_STATUS_UNKNOWN, f->d.ConnectionCommit(&c, &err));
    assert_memory_equal(err.sqlstate, "40001", 5);
    /* autocommit again: what was done is kept; a released connection rolls back */
    update(f, &c, "INSERT INTO t VALUES (5, 'kept')");
    OK(f->d.ConnectionSetOption(&c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, "true", &err));
    query(f, &f->c, "SELECT s FROM t WHERE a = 5", "kept\n");
    OK(f->d.ConnectionSetOption(&c, ADBC_CONNECTION_OPTION_AUTOCOMMIT, "false", &err));
    update(f, &c, "INSERT INTO t VALUES (6, 'lost')");
    OK(f->d.ConnectionRelease(&c, &err));
    query(f, &f->c, "SELECT count(*) FROM t WHERE a = 6", "0\n");
}

static void metadata(void **state)
{
    fixture *f = *state;
    struct ArrowArrayStream out;
    struct ArrowSchema schema;
    update(f, &f->c, "CREATE SCHEMA s2");
    update(f, &f->c, "CREATE TABLE t (id bigint COMMENT 'PRIMARY KEY (not)', \"the name\" text NOT NULL, d decimal(9,2), PRIMARY KEY (id, \"the name\") NOT ENFORCED)");
    update(f, &f->c, "CREATE TABLE s2.u_1 (x int)");
    OK(f->d.ConnectionGetTableTypes(&f->c, &out, &err));
    assert_string_equal(rows(&out), "table\n");
    const uint32_t codes[] = {ADBC_INFO_VENDOR_NAME, ADBC_INFO_DRIVER_ADBC_VERSION, ADBC_INFO_VENDOR_SQL, 9999};
    OK(f->d.ConnectionGetInfo(&f->c, codes, 4, &out, &err));
    assert_string_equal(rows(&out), "0,frazil\n3,true\n103,1001000\n");
    OK(f->d.ConnectionGetInfo(&f->c, NULL, 0, &out, &err));
    assert_non_null(strstr(rows(&out), "101,0."));
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_CATALOGS, NULL, NULL, NULL, NULL, NULL, &out, &err));
    assert_string_equal(rows(&out), "default,-\n");
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_CATALOGS, "d%t", NULL, NULL, NULL, NULL, &out, &err));
    assert_string_equal(rows(&out), "default,-\n");
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_ALL, "x%", NULL, NULL, NULL, NULL, &out, &err));
    assert_string_equal(rows(&out), "");
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_DB_SCHEMAS, NULL, NULL, NULL, NULL, NULL, &out, &err));
    assert_string_equal(rows(&out), "default,[(default,-),(s2,-)]\n");
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_TABLES, NULL, NULL, "__1", NULL, NULL, &out, &err));
    assert_string_equal(rows(&out), "default,[(default,[]),(s2,[(u_1,table,-,-)])]\n");
    const char *types[] = {"view", NULL}, *table_types[] = {"TABLE", "view", NULL};
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_TABLES, NULL, "s_", NULL, types, NULL, &out, &err));
    assert_string_equal(rows(&out), "default,[(s2,[])]\n");
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_TABLES, NULL, "s_", NULL, table_types, NULL, &out, &err));
    assert_string_equal(rows(&out), "default,[(s2,[(u_1,table,-,-)])]\n");
    OK(f->d.ConnectionGetObjects(&f->c, ADBC_OBJECT_DEPTH_ALL, NULL, "default", "t", NULL, "%d", &out, &err));
    assert_string_equal(rows(&out), "default,[(default,[(t,table,["
                                    "(id,1,PRIMARY KEY (not),-5,bigint,19,0,10,0,-,-5,-,-,NO,-,-,-,false,false),"
                                    "(d,3,-,3,decimal(9,2),9,2,10,1,-,3,-,-,YES,-,-,-,false,false)],"
                                    "[(-,PRIMARY KEY,[id,the name],-)])])]\n");
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.ConnectionGetObjects(&f->c, 9, NULL, NULL, NULL, NULL, NULL, &out, &err));
    OK(f->d.ConnectionGetTableSchema(&f->c, "default", "s2", "u_1", &schema, &err));
    assert_int_equal(schema.n_children, 1);
    assert_string_equal(schema.children[0]->name, "x");
    schema.release(&schema);
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.ConnectionGetTableSchema(&f->c, NULL, NULL, "nowhere", &schema, &err));
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.ConnectionGetTableSchema(&f->c, NULL, NULL, "t\" WHERE \"", &schema, &err));
    STATUS(ADBC_STATUS_NOT_FOUND, f->d.ConnectionGetTableSchema(&f->c, "x", NULL, "t", &schema, &err));
    STATUS(ADBC_STATUS_INVALID_ARGUMENT, f->d.ConnectionGetTableSchema(&f->c, NULL, NULL, NULL, &schema, &err));
}

static void statistics(void **state)
{
    fixture *f = *state;
    struct ArrowArrayStream out;
    update(f, &f->c, "CREATE TABLE t (a int, f double precision, s text, b boolean)");
    update(f, &f->c, "INSERT INTO t VALUES (1, 0.5, 'x', true), (-3, NULL, 'abc', NULL)");
    update(f, &f->c, "INSERT INTO t VALUES (9, 2.5, NULL, false)");
    update(f, &f->c, "CREATE TABLE e (a int)");
    static const char want[] = "default,[(default,[%s(t,-,6,3,A),(t,a,5,0,A),(t,a,4,-3,A),(t,a,3,9,A),(t,f,5,1,A),(t,f,4,0.5,A),(t,f,3,2.5,A),"
                               "(t,s,5,1,A),(t,s,4,abc,A),(t,s,3,x,A),(t,b,5,1,A)])]\n";
    for (int approximate = 0; approximate < 2; approximate++) {
        char expected[600], text[600];
        size_t n = 0;
        snprintf(text, sizeof text, want, approximate ? "" : "(e,-,6,0,A),(e,a,5,0,A),");
        for (const char *p = text; *p; p++) {
            if (*p == 'A' && p[1] == ')')
                n += (size_t)snprintf(expected + n, sizeof expected - n, approximate ? "true" : "false");
            else
                expected[n++] = *p;
        }
        expected[n] = 0;
        OK(f->d.ConnectionGetStatistics(&f->c, NULL, NULL, NULL, (char)approximate, &out, &err));
        assert_string_equal(rows(&out), expected);
    }
    OK(f->d.ConnectionGetStatistics(&f->c, NULL, "default", "nothing", 1, &out, &err));
    assert_string_equal(rows(&out), "default,[]\n");
    OK(f->d.ConnectionGetStatisticNames(&f->c, &out, &err));
    assert_string_equal(rows(&out), "");
}

static void described_and_partitioned(void **state)
{
    fixture *f = *state;
    struct AdbcStatement s;
    struct ArrowSchema schema;
    struct AdbcPartitions p;
    struct AdbcConnection c;
    struct ArrowArrayStream out;
    int64_t n;
    start(f, &f->c, &s, "SELECT 1 AS a, 'x' AS b");
    OK(f->d.StatementExecuteSchema(&s, &schema, &err));
    assert_int_equal(schema.n_children, 2);
    assert_string_equal(schema.children[1]->format, "u");
    schema.release(&schema);
    OK(f->d.StatementSetSqlQuery(&s, "CREATE TABLE never (a int)", &err));
    OK(f->d.StatementExecuteSchema(&s, &schema, &err));
    assert_int_equal(schema.n_children, 0);
    schema.release(&schema);
    STATUS(ADBC_STATUS_NOT_FOUND, wrong(f, &f->c, "SELECT * FROM never"));
    OK(f->d.StatementSetSqlQuery(&s, "SHOW TABLES", &err));
    OK(f->d.StatementExecuteSchema(&s, &schema, &err));
    assert_int_equal(schema.n_children, 2);
    schema.release(&schema);
    /* a table of a million rows in several files and row groups: each row in one partition, whatever is committed meanwhile */
    update(f, &f->c, "CREATE TABLE big WITH ('write.parquet.row-group-limit' = '100000') AS SELECT x + 1000 * y AS n FROM "
                     "(SELECT column1 AS x FROM (VALUES (0)) v UNION ALL SELECT 1) a, (SELECT 0 AS y) b");
    for (int i = 1; i < 20; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO big SELECT n + %d FROM big", 1 << i);
        update(f, &f->c, sql);
    }
    OK(f->d.StatementSetSqlQuery(&s, "SELECT n FROM big WHERE n % 2 = 0 AND now() > timestamp '2020-01-01 00:00:00'", &err));
    OK(f->d.StatementSetOption(&s, "frazil.partitions", "5", &err));
    OK(f->d.StatementExecutePartitions(&s, &schema, &p, &n, &err));
    schema.release(&schema);
    assert_int_equal(p.num_partitions, 5);
    update(f, &f->c, "INSERT INTO big VALUES (5000000)");
    update(f, &f->c, "ALTER TABLE big RENAME COLUMN n TO m");
    open_connection(f, &c);
    static unsigned char seen[1 << 20];
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < p.num_partitions; i++) {
        struct ArrowArray a;
        int64_t count = 0;
        OK(f->d.ConnectionReadPartition(&c, p.partitions[i], p.partition_lengths[i], &out, &err));
        while (out.get_next(&out, &a) == 0 && a.release) {
            const struct ArrowArray *k = a.children[0];
            for (int64_t r = 0; r < a.length; r++) {
                int64_t v = ((const int32_t *)k->buffers[1])[k->offset + a.offset + r];
                assert_in_range(v, 0, sizeof seen - 1);
                assert_int_equal(seen[v]++, 0);
                assert_int_equal(v % 2, 0);
            }
            count += a.length;
            a.release(&a);
        }
        assert_true(count > 0);
        out.release(&out);
    }
    for (size_t v = 0; v < sizeof seen; v += 2)
        assert_int_equal(seen[v], 1);
    /* what can't be split is one partition; descriptors that aren't */
    static const char *const bad[] = {"", "{}", "[1]", "{\"frazil-partition\":2}", "{\"frazil-partition\":1,\"namespace\":\"default\",\"sql\":\"SELECT 1\","
                                      "\"moment\":0,\"share\":3,\"of\":2,\"tables\":[]}",
                                      "{\"frazil-partition\":1,\"namespace\":\"default\",\"sql\":\"DROP TABLE big\",\"moment\":0,\"share\":0,\"of\":1,\"tables\":[]}",
                                      "{\"frazil-partition\":1,\"namespace\":\"default\",\"sql\":\"SELECT sum(m) FROM big\",\"moment\":0,\"share\":0,\"of\":2,\"tables\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clear();
        assert_int_not_equal(f->d.ConnectionReadPartition(&c, (const uint8_t *)bad[i], strlen(bad[i]), &out, &err), ADBC_STATUS_OK);
    }
    uint8_t cut[512];
    for (size_t size = 1; size < p.partition_lengths[0] && size < sizeof cut; size += 7) {
        memcpy(cut, p.partitions[0], size);
        clear();
        assert_int_not_equal(f->d.ConnectionReadPartition(&c, cut, size, &out, &err), ADBC_STATUS_OK);
    }
    update(f, &f->c, "CREATE OR REPLACE TABLE gone AS SELECT 1 AS a");
    update(f, &f->c, "DROP TABLE big");
    update(f, &f->c, "CREATE TABLE big (n int)");
    STATUS(ADBC_STATUS_UNKNOWN, f->d.ConnectionReadPartition(&c, p.partitions[0], p.partition_lengths[0], &out, &err));
    assert_memory_equal(err.sqlstate, "40001", 5);
    p.release(&p);
    assert_null(p.release);
    OK(f->d.StatementSetSqlQuery(&s, "SELECT count(*) FROM gone", &err));
    OK(f->d.StatementExecutePartitions(&s, &schema, &p, &n, &err));
    schema.release(&schema);
    assert_int_equal(p.num_partitions, 1);
    OK(f->d.ConnectionReadPartition(&c, p.partitions[0], p.partition_lengths[0], &out, &err));
    assert_string_equal(rows(&out), "1\n");
    p.release(&p);
    OK(f->d.StatementSetSqlQuery(&s, "INSERT INTO gone VALUES (2)", &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.StatementExecutePartitions(&s, &schema, &p, &n, &err));
    OK(f->d.StatementSetSqlQuery(&s, "SELECT * FROM gone WHERE a = ?", &err));
    STATUS(ADBC_STATUS_NOT_IMPLEMENTED, f->d.StatementExecutePartitions(&s, &schema, &p, &n, &err));
    OK(f->d.StatementRelease(&s, &err));
    OK(f->d.ConnectionRelease(&c, &err));
}

typedef struct canceller { fixture *f; struct AdbcConnection *c; } canceller;

static void *cancel_soon(void *ctx)
{
    canceller *x = ctx;
    for (int i = 0; i < 2000; i++) { /* until the statement has begun, and again */
        usleep(1000);
        x->f->d.ConnectionCancel(x->c, NULL);
    }
    return NULL;
}

static void cancelled_and_outlived(void **state)
{
    fixture *f = *state;
    struct AdbcStatement s;
    struct ArrowArrayStream out, second;
    pthread_t t;
    canceller x = {f, &f->c};
    update(f, &f->c, "CREATE TABLE n AS SELECT 1 AS a");
    for (int i = 0; i < 12; i++)
        update(f, &f->c, "INSERT INTO n SELECT a FROM n");
    assert_int_equal(pthread_create(&t, NULL, cancel_soon, &x), 0);
    STATUS(ADBC_STATUS_CANCELLED, wrong(f, &f->c, "CREATE TABLE never AS SELECT count(*) AS c FROM n a, n b, n c WHERE a.a + b.a + c.a > 4"));
    pthread_join(t, NULL);
    STATUS(ADBC_STATUS_NOT_FOUND, wrong(f, &f->c, "SELECT * FROM never"));
    /* two results at once, read in turns; statement, connection and database go first */
    struct AdbcDatabase db = {0};
    struct AdbcConnection c = {0};
    struct ArrowArray a;
    open_database(f, &db);
    OK(f->d.ConnectionNew(&c, &err));
    OK(f->d.ConnectionInit(&c, &db, &err));
    start(f, &c, &s, "SELECT * FROM n");
    OK(f->d.StatementExecuteQuery(&s, &out, NULL, &err));
    OK(f->d.StatementExecuteQuery(&s, &second, NULL, &err));
    assert_int_equal(out.get_next(&out, &a), 0);
    a.release(&a);
    OK(f->d.StatementRelease(&s, &err));
    OK(f->d.ConnectionRelease(&c, &err));
    OK(f->d.DatabaseRelease(&db, &err));
    int64_t n = 0;
    while (second.get_next(&second, &a) == 0 && a.release) {
        n += a.length;
        a.release(&a);
    }
    assert_int_equal(n, 4096);
    out.release(&out);
    second.release(&second);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(versions_and_layout),
        TEST(handles_in_the_wrong_order),
        TEST(options_of_all_types),
        TEST(catalog_and_schema),
        TEST(errors_have_states_and_details),
        TEST(parameters_by_row),
        TEST(ingest_in_all_modes),
        TEST(transactions),
        TEST(metadata),
        TEST(statistics),
        TEST(described_and_partitioned),
        TEST(cancelled_and_outlived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
