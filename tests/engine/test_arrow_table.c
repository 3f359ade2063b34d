/* Arrow streams of the program as tables of a statement: fz_session_on_unknown_table. (run with tsan) */
#include "engine/lake_util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* ---- a producer: columns n bigint (0, 1, …), d text dictionary ("a", "bb", "ccc", by n % 3), v text (n in words of 20 bytes) ---- */

#define CODES 3

typedef struct producer {
    int64_t rows, chunk_rows;
    int64_t at;
    int fail_after;           /* chunks; -1: never */
    int chunks;
    bool bad_code, bad_schema;
    _Atomic int alive;        /* streams, schemas and arrays that weren't released */
    int asked;
} producer;

static void schema_free(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++) {
        if (s->children[i]->dictionary)
            free(s->children[i]->dictionary);
        free(s->children[i]);
    }
    atomic_fetch_sub(&((producer *)s->private_data)->alive, 1);
    free(s->children);
    s->release = NULL;
}

static void nothing_schema(struct ArrowSchema *s) { s->release = NULL; }
static void nothing_array(struct ArrowArray *a) { a->release = NULL; }

static int get_schema(struct ArrowArrayStream *in, struct ArrowSchema *out)
{
    producer *p = in->private_data;
    static const char *names[] = {"n", "d", "v"};
    const char *formats[] = {"l", "c", p->bad_schema ? "tDs" : "u"};
    *out = (struct ArrowSchema){.format = "+s", .n_children = 3, .children = calloc(3, sizeof(void *)), .release = schema_free, .private_data = p};
    for (int i = 0; i < 3; i++) {
        out->children[i] = calloc(1, sizeof **out->children);
        *out->children[i] = (struct ArrowSchema){.format = formats[i], .name = names[i], .flags = ARROW_FLAG_NULLABLE, .release = nothing_schema};
    }
    out->children[1]->dictionary = calloc(1, sizeof(struct ArrowSchema));
    *out->children[1]->dictionary = (struct ArrowSchema){.format = "u", .flags = ARROW_FLAG_NULLABLE, .release = nothing_schema};
    atomic_fetch_add(&p->alive, 1);
    return 0;
}

typedef struct chunk {
    producer *p;
    struct ArrowArray cols[3], dict, *children[3];
    const void *top[1], *n_bufs[2], *d_bufs[2], *v_bufs[3], *dict_bufs[3];
    int64_t *n;
    int8_t *d;
    int32_t *offsets;
    char *text;
} chunk;

static void chunk_free(struct ArrowArray *a)
{
    chunk *c = a->private_data;
    free(c->n);
    free(c->d);
    free(c->offsets);
    free(c->text);
    atomic_fetch_sub(&c->p->alive, 1);
    free(c);
    a->release = NULL;
}

static int get_next(struct ArrowArrayStream *in, struct ArrowArray *out)
{
    static const int32_t dict_offsets[] = {0, 1, 3, 6};
    producer *p = in->private_data;
    *out = (struct ArrowArray){0};
    if (p->chunks == p->fail_after)
        return EIO;
    if (p->at == p->rows)
        return 0;
    int64_t k = p->rows - p->at < p->chunk_rows ? p->rows - p->at : p->chunk_rows;
    chunk *c = calloc(1, sizeof *c);
    c->p = p;
    c->n = malloc(sizeof *c->n * (size_t)k);
    c->d = malloc((size_t)k);
    c->offsets = malloc(sizeof *c->offsets * (size_t)(k + 1));
    c->text = malloc(20 * (size_t)k + 1);
    for (int64_t i = 0; i < k; i++) {
        c->n[i] = p->at + i;
        c->d[i] = (int8_t)((p->at + i) % CODES);
        c->offsets[i] = (int32_t)(20 * i);
        snprintf(c->text + 20 * i, 21, "value %014lld", (long long)(p->at + i));
    }
    c->offsets[k] = (int32_t)(20 * k);
    if (p->bad_code)
        c->d[k - 1] = CODES;
    c->n_bufs[1] = c->n;
    c->d_bufs[1] = c->d;
    c->v_bufs[1] = c->offsets;
    c->v_bufs[2] = c->text;
    c->dict_bufs[1] = dict_offsets;
    c->dict_bufs[2] = "abbccc";
    c->dict = (struct ArrowArray){.length = 3, .n_buffers = 3, .buffers = c->dict_bufs, .release = nothing_array};
    c->cols[0] = (struct ArrowArray){.length = k, .n_buffers = 2, .buffers = c->n_bufs, .release = nothing_array};
    c->cols[1] = (struct ArrowArray){.length = k, .n_buffers = 2, .buffers = c->d_bufs, .dictionary = &c->dict, .release = nothing_array};
    c->cols[2] = (struct ArrowArray){.length = k, .n_buffers = 3, .buffers = c->v_bufs, .release = nothing_array};
    for (int i = 0; i < 3; i++)
        c->children[i] = &c->cols[i];
    *out = (struct ArrowArray){.length = k, .n_buffers = 1, .buffers = c->top, .n_children = 3, .children = c->children, .release = chunk_free,
                               .private_data = c};
    p->at += k;
    p->chunks++;
    atomic_fetch_add(&p->alive, 1);
    return 0;
}

static const char *last_error(struct ArrowArrayStream *in) { return "the disk is on fire"; }

static void stream_free(struct ArrowArrayStream *in)
{
    producer *p = in->private_data;
    atomic_fetch_sub(&p->alive, 1);
    in->release = NULL;
}

static fz_status table(void *ctx, const char *name, struct ArrowArrayStream *out, fz_error *err)
{
    producer *p = ctx;
    p->asked++;
    if (strcmp(name, "broken") == 0) {
        snprintf(err->message, sizeof err->message, "no rows today");
        return FZ_UNSUPPORTED;
    }
    if (strcmp(name, "frame") != 0)
        return FZ_NOT_FOUND;
    p->at = p->chunks = 0;
    atomic_fetch_add(&p->alive, 1);
    *out = (struct ArrowArrayStream){get_schema, get_next, last_error, stream_free, p};
    return FZ_OK;
}

/* ---- tests ---- */

typedef struct fixture {
    char root[128], dir[160];
    fz_runtime *rt;
    fz_lake *lake;
    fz_session *s;
    producer p;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fz_error e;
    const fz_option four[] = {{"threads", "4"}};
    dir_make(f->root, sizeof f->root, "test_arrow_table");
    snprintf(f->dir, sizeof f->dir, "%s/lake", f->root);
    fine(fz_runtime_create(four, 1, NULL, &f->rt, &e), &e);
    fine(fz_lake_open(f->rt, f->dir, NULL, 0, &f->lake, &e), &e);
    fine(fz_session_open(f->lake, &f->s, &e), &e);
    f->p = (producer){.rows = 5, .chunk_rows = 5, .fail_after = -1};
    fz_session_on_unknown_table(f->s, table, &f->p);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    fz_session_close(f->s);
    fz_lake_close(f->lake);
    fz_runtime_release(f->rt);
    dir_remove(f->root);
    int alive = f->p.alive;
    free(f);
    return alive != 0;
}

static void rows_are_read(void **state)
{
    fixture *f = *state;
    check(f->s, "SELECT n, d, v FROM frame WHERE n < 3 ORDER BY n DESC",
          "n,d,v\n2,ccc,value 00000000000002\n1,bb,value 00000000000001\n0,a,value 00000000000000\n");
    check(f->s, "SELECT count(*) AS c FROM frame", "c\n5\n");
    check(f->s, "SELECT a.n, b.d FROM frame a JOIN \"frame\" b USING (n) WHERE n = 4", "n,d\n4,bb\n");
    assert_int_equal(f->p.asked, 4);
}

static void many_workers_share_a_chunk_and_keep_the_order(void **state)
{
    fixture *f = *state;
    f->p.rows = 1000000;
    f->p.chunk_rows = 700001;
    check(f->s, "SELECT count(*) AS c, sum(n) AS s, count(DISTINCT v) AS v, min(d) AS a, max(d) AS b FROM frame",
          "c,s,v,a,b\n1000000,499999500000,1000000,a,ccc\n");
    check(f->s, "SELECT d, count(*) AS c FROM frame GROUP BY d ORDER BY d", "d,c\na,333334\nbb,333333\nccc,333333\n");
    check(f->s, "SELECT n, d FROM frame LIMIT 2 OFFSET 777776", "n,d\n777776,ccc\n777777,a\n");
    f->p.chunk_rows = 1000;
    check(f->s, "SELECT n FROM frame LIMIT 2 OFFSET 999998", "n\n999998\n999999\n");
}

static void rows_are_written(void **state)
{
    fixture *f = *state;
    f->p.rows = 300000;
    f->p.chunk_rows = 100000;
    assert_int_equal(run(f->s, "CREATE TABLE t AS SELECT * FROM frame", NULL), 300000);
    assert_int_equal(run(f->s, "INSERT INTO t SELECT n + 300000, d, v FROM frame", NULL), 300000);
    check(f->s, "SELECT count(*) AS c, sum(n) AS s FROM t", "c,s\n600000,179999700000\n");
    check(f->s, "SELECT n, d, v FROM t LIMIT 1 OFFSET 150001", "n,d,v\n150001,bb,value 00000000150001\n");
    check(f->s, "SELECT count(*) AS c FROM t JOIN frame USING (n)", "c\n300000\n");
}

static void a_table_of_the_lake_wins(void **state)
{
    fixture *f = *state;
    run(f->s, "CREATE TABLE frame AS SELECT 42 AS n", NULL);
    check(f->s, "SELECT n FROM frame", "n\n42\n");
    assert_int_equal(f->p.asked, 0);
    run(f->s, "DROP TABLE frame", NULL);
    check(f->s, "WITH x AS (SELECT max(n) AS m FROM frame) SELECT m FROM x", "m\n4\n");
}

static void failures_are_the_statements(void **state)
{
    fixture *f = *state;
    fz_error e;
    assert_int_equal(refused(f->s, "SELECT * FROM other", &e), FZ_NOT_FOUND);
    assert_string_equal(e.sqlstate, "42P01");
    assert_int_equal(refused(f->s, "SELECT * FROM default.frame", &e), FZ_NOT_FOUND);
    assert_int_equal(refused(f->s, "SELECT * FROM broken", &e), FZ_UNSUPPORTED);
    assert_string_equal(e.message, "no rows today");
    assert_int_equal(e.line, 1);
    assert_int_equal(e.column, 15);
    assert_int_equal(refused(f->s, "SELECT * FROM frame VERSION AS OF 1", &e), FZ_INVALID);
    assert_int_equal(refused(f->s, "SELECT nn FROM frame", &e), FZ_NOT_FOUND);
    f->p.bad_schema = true;
    assert_int_equal(refused(f->s, "SELECT * FROM frame", &e), FZ_UNSUPPORTED);
    assert_non_null(strstr(e.message, "column v"));
    f->p.bad_schema = false;
    f->p.bad_code = true;
    assert_int_equal(refused(f->s, "SELECT d FROM frame", &e), FZ_DATA);
    check(f->s, "SELECT sum(n) AS s FROM frame", "s\n10\n"); /* the bad column isn't looked at */
}

static void a_producer_that_fails_half_way_leaves_nothing(void **state)
{
    fixture *f = *state;
    fz_error e;
    f->p.rows = 1000000;
    f->p.chunk_rows = 100000;
    for (int after = 0; after < 10; after += 3) {
        f->p.fail_after = after;
        assert_int_equal(refused(f->s, "CREATE TABLE t AS SELECT * FROM frame", &e), FZ_IO);
        assert_string_equal(e.message, "the producer of frame failed: the disk is on fire");
    }
    assert_int_equal(files_count(f->dir, ".parquet"), 0);
    check(f->s, "SHOW TABLES", "namespace,table\n");
}

static void a_result_may_be_dropped_early(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    struct ArrowArray a;
    f->p.rows = 1000000;
    f->p.chunk_rows = 300000;
    fine(fz_execute(f->s, "SELECT * FROM frame", NULL, NULL, &r, &e), &e);
    fz_result_release(r);
    fine(fz_execute(f->s, "SELECT * FROM frame", NULL, NULL, &r, &e), &e);
    fine(fz_result_next(r, &a, &e), &e);
    fz_result_release(r);
    assert_true(a.length > 0);
    a.release(&a);
    run(f->s, "EXPLAIN SELECT * FROM frame", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_workers_share_a_chunk_and_keep_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_table_of_the_lake_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_are_the_statements, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_producer_that_fails_half_way_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_result_may_be_dropped_early, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
