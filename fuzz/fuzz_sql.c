/*
 * fuzz_sql.c: statements from bytes: every one is parsed; queries and inserts are bound against the tables of tests/sql/fake.h, with
 * and without the optimizer, and errors rendered. Nothing may crash, leak a table or recurse without bound.
 */
#include "../tests/sql/fake.h"

static void render(const fz_error *err, str text)
{
    sbuf b;
    sbuf_init(&b, NULL);
    sql_error_render(err, text, &b);
    sbuf_free(&b);
}

static void bind(const ast_stmt *s, str text, bool optimize)
{
    arena a;
    fz_error err = {0};
    sql_bound bound = {0};
    arena_init(&a, NULL);
    sql_bind_options o = {.resolver = &fake_resolver, .a = &a, .no_optimize = !optimize};
    const ast_query *q = s->kind == ST_QUERY ? s->query : s->kind == ST_CREATE_TABLE ? s->create_table.query : s->kind == ST_DESCRIBE ? s->describe.query : NULL;
    fz_status st = FZ_INVALID;
    if (s->kind == ST_INSERT)
        st = sql_bind_insert(&s->insert, &fake_tables[1].src.schema, &o, &bound, &err);
    else if (q)
        st = sql_bind_query(q, &o, &bound, &err);
    if (st == FZ_OK) {
        sbuf b;
        sbuf_init(&b, NULL);
        dump_plan(bound.plan, &b);
        sbuf_free(&b);
        sql_bound_release(&bound);
    } else if (err.status) {
        render(&err, text);
    }
    if (fake_refs())
        abort();
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 14)
        return 0;
    str text = {(const char *)data, size};
    arena a;
    arena_init(&a, NULL);
    sql_script s;
    sql_script_init(&s, text);
    for (int i = 0; i < 50; i++) {
        const ast_stmt *stmt;
        fz_error err = {0};
        size_t at = s.at;
        arena_reset(&a);
        if (sql_parse_next(&s, &a, &stmt, &err) != FZ_OK) {
            render(&err, text);
            if (s.at <= at)
                abort(); /* no progress */
            if (s.at >= text.n)
                break;
            continue;
        }
        if (!stmt)
            break;
        sbuf b;
        sbuf_init(&b, NULL);
        ast_stmt_text(stmt, &b);
        sbuf_free(&b);
        bind(stmt, text, false);
        bind(stmt, text, true);
    }
    sql_incomplete(text);
    arena_free(&a);
    return 0;
}
