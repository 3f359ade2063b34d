/* parse_query.c: WITH, SELECT, VALUES, UNION, ORDER BY, LIMIT. */
#include "sql/parser_int.h"

static bool query_word(const token *t)
{
    return word_is(t, "select") || word_is(t, "with") || word_is(t, "values") || word_is(t, "from");
}

bool at_query(parser *p)
{
    if (query_word(&p->tok))
        return true;
    if (!at_op(p, "("))
        return false;
    /* Behind all parentheses; what can't be read here is reported when it is met again. */
    lexer l = p->lex;
    token t = p->tok;
    while (t.kind == TK_OP && str_eqz(t.text, "("))
        if (lexer_next(&l, p->a, &t, NULL) != FZ_OK)
            return false;
    return query_word(&t);
}

/* The text of a select item as a name: white space folded to single spaces. */
static fz_status item_text(parser *p, size_t from, size_t to, str *out)
{
    char *s = arena_alloc(p->a, to - from);
    if (!s)
        return error_nomem(p->err);
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        char c = p->lex.text.p[i];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            if (n && s[n - 1] != ' ')
                s[n++] = ' ';
        } else {
            s[n++] = c;
        }
    }
    *out = (str){s, n};
    return FZ_OK;
}

static fz_status parse_item(parser *p, ast_item *out)
{
    *out = (ast_item){0};
    size_t from = p->tok.offset;
    if (at_op(p, "*")) {
        ast_expr *e = expr_new(p, AX_STAR, p->tok.pos);
        if (!e)
            return FZ_NOMEM;
        TRY(parse_advance(p));
        TRY(parse_star_modifiers(p, e));
        return expr_done(p, e, 0, NULL, &out->e);
    }
    TRY(parse_expr(p, &out->e));
    if (out->e->kind == AX_STAR)
        return FZ_OK;
    TRY(item_text(p, from, p->prev.end, &out->text));
    return parse_alias(p, &out->alias);
}

static fz_status parse_items(parser *p, ast_select *s)
{
    uint32_t cap = 0;
    ast_item *items = NULL;
    bool comma;
    if (at_list_end(p))
        return parse_expected(p, "columns or expressions to select");
    do {
        ast_item item;
        TRY(parse_item(p, &item));
        LIST_PUSH(p, items, s->n_items, cap, item);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_list_end(p));
    s->items = items;
    return FZ_OK;
}

static fz_status parse_group(parser *p, ast_select *s)
{
    TRY(parse_advance(p));
    TRY(need_word(p, "by"));
    s->grouped = true;
    if (at_word(p, "all") && !ahead_op(p, ".") && !ahead_op(p, ",")) {
        s->group_all = true;
        return parse_advance(p);
    }
    static const char *const words[] = {"rollup", "cube", "grouping"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (at_word(p, words[i]) && (ahead_op(p, "(") || ahead_word(p, "sets")))
            return parse_unsupported(p, p->tok.pos, "GROUP BY %s is", i == 0 ? "ROLLUP" : i == 1 ? "CUBE" : "GROUPING SETS");
    return parse_expr_list(p, &s->n_group, &s->group);
}

/* SELECT … or FROM … [SELECT …]. */
static fz_status parse_select(parser *p, ast_select *s)
{
    bool took, all;
    *s = (ast_select){.pos = p->tok.pos};
    bool from_first = at_word(p, "from");
    if (from_first) {
        TRY(parse_advance(p));
        TRY(parse_from(p, &s->from));
    }
    TRY(take_word(p, "select", &took));
    if (took) {
        TRY(take_word(p, "distinct", &s->distinct));
        if (s->distinct && at_word(p, "on") && ahead_op(p, "("))
            return parse_unsupported(p, p->tok.pos, "DISTINCT ON is");
        if (!s->distinct && at_word(p, "all") && !ahead_op(p, ","))
            TRY(take_word(p, "all", &all));
        TRY(parse_items(p, s));
    } else {
        ast_item *star = ARENA_NEW(p->a, ast_item);
        ast_expr *e = expr_new(p, AX_STAR, s->pos);
        if (!star || !e)
            return error_nomem(p->err);
        star->e = e;
        s->items = star;
        s->n_items = 1;
    }
    if (!from_first) {
        TRY(take_word(p, "from", &took));
        if (took)
            TRY(parse_from(p, &s->from));
    } else if (at_word(p, "from")) {
        return parse_fail(p, &p->tok, "this SELECT has a FROM already, in front of it");
    }
    TRY(take_word(p, "where", &took));
    if (took)
        TRY(parse_expr(p, &s->where));
    if (at_word(p, "group") && ahead_word(p, "by"))
        TRY(parse_group(p, s));
    TRY(take_word(p, "having", &took));
    if (took)
        TRY(parse_expr(p, &s->having));
    if (at_word(p, "window") || at_word(p, "qualify"))
        return parse_unsupported(p, p->tok.pos, at_word(p, "window") ? "WINDOW is" : "QUALIFY is");
    return FZ_OK;
}

static fz_status parse_values(parser *p, ast_query *q)
{
    uint32_t n = 0, cap = 0;
    const ast_expr **cells = NULL;
    bool comma;
    TRY(parse_advance(p));
    do {
        sql_pos open = p->tok.pos;
        uint32_t width = 0;
        bool more;
        TRY(need_op(p, "("));
        do {
            const ast_expr *e;
            TRY(parse_expr(p, &e));
            LIST_PUSH(p, cells, n, cap, e);
            width++;
            TRY(take_op(p, ",", &more));
        } while (more && !at_op(p, ")"));
        TRY(need_close(p, open));
        if (q->values.nrows && width != q->values.ncols) {
            error_set(p->err, FZ_SYNTAX, "row %u of VALUES has %u column%s, the first row has %u", q->values.nrows + 1, width,
                      width == 1 ? "" : "s", q->values.ncols);
            error_line(p->err, open.line, open.column);
            return FZ_SYNTAX;
        }
        q->values.ncols = width;
        q->values.nrows++;
        TRY(take_op(p, ",", &comma));
    } while (comma && at_op(p, "("));
    q->values.cells = cells;
    return FZ_OK;
}

static ast_query *query_new(parser *p)
{
    ast_query *q = ARENA_NEW(p->a, ast_query);
    if (!q)
        error_nomem(p->err);
    else
        q->pos = p->tok.pos;
    return q;
}

fz_status query_of_from(parser *p, const ast_from *from, const ast_query **out)
{
    ast_query *q = query_new(p);
    ast_item *item = ARENA_NEW(p->a, ast_item);
    ast_expr *e = expr_new(p, AX_STAR, from->pos);
    if (!q || !item || !e)
        return error_nomem(p->err);
    q->pos = from->pos;
    q->depth = QUERY_DEPTH;
    item->e = e;
    q->select = (ast_select){.pos = from->pos, .n_items = 1, .items = item, .from = from};
    *out = q;
    return FZ_OK;
}

/* SELECT, VALUES, TABLE t or (query): what UNION joins. */
static fz_status parse_term(parser *p, const ast_query **out)
{
    if (at_op(p, "(")) {
        sql_pos open = p->tok.pos;
        TRY(parse_advance(p));
        TRY(parse_query(p, out));
        return need_close(p, open);
    }
    if (at_word(p, "table")) {
        sql_name name;
        const ast_from *from;
        TRY(parse_advance(p));
        TRY(need_name(p, "a table", &name));
        TRY(from_of_name(p, &name, &from));
        return query_of_from(p, from, out);
    }
    ast_query *q = query_new(p);
    if (!q)
        return FZ_NOMEM;
    if (at_word(p, "values") && ahead_op(p, "(")) {
        q->body = BODY_VALUES;
        TRY(parse_values(p, q));
    } else if (at_word(p, "select") || at_word(p, "from")) {
        q->body = BODY_SELECT;
        TRY(parse_select(p, &q->select));
    } else {
        return parse_expected(p, "a query (SELECT, FROM, VALUES or WITH)");
    }
    *out = q;
    return FZ_OK;
}

static fz_status parse_ctes(parser *p, ast_query *q)
{
    uint32_t cap = 0;
    ast_cte *ctes = NULL;
    bool comma, took;
    TRY(parse_advance(p));
    if (at_word(p, "recursive"))
        return parse_unsupported(p, p->tok.pos, "WITH RECURSIVE is");
    do {
        ast_cte c = {0};
        TRY(need_ident(p, "a name for the query", &c.name));
        if (at_op(p, "("))
            TRY(need_ident_list(p, "a column", &c.n_columns, &c.columns));
        TRY(need_word(p, "as"));
        TRY(take_word(p, "not", &took));
        TRY(take_word(p, "materialized", &took));
        sql_pos open = p->tok.pos;
        TRY(need_op(p, "("));
        TRY(parse_query(p, &c.query));
        TRY(need_close(p, open));
        for (uint32_t i = 0; i < q->n_ctes; i++)
            if (str_ieq(ctes[i].name.name, c.name.name)) {
                error_sql(p->err, FZ_INVALID, "42712", "WITH names \"" STR_FMT "\" twice", STR_ARG(c.name.name));
                error_line(p->err, c.name.pos.line, c.name.pos.column);
                return FZ_INVALID;
            }
        LIST_PUSH(p, ctes, q->n_ctes, cap, c);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_word(p, "select") && !at_word(p, "from"));
    q->ctes = ctes;
    return FZ_OK;
}

/* term {UNION [ALL] term} */
static fz_status parse_body(parser *p, const ast_query **out)
{
    TRY(parse_term(p, out));
    if (at_word(p, "except") || at_word(p, "intersect"))
        return parse_unsupported(p, p->tok.pos, at_word(p, "except") ? "EXCEPT is" : "INTERSECT is");
    if (!at_word(p, "union"))
        return FZ_OK;
    ast_query *q = query_new(p);
    if (!q)
        return FZ_NOMEM;
    q->pos = (*out)->pos;
    q->body = BODY_UNION;
    uint32_t n = 0, cap = 0, n_all = 0, cap_all = 0;
    const ast_query **in = NULL, *term;
    bool *all = NULL;
    LIST_PUSH(p, in, n, cap, *out);
    LIST_PUSH(p, all, n_all, cap_all, true);
    while (at_word(p, "union")) {
        bool is_all, distinct;
        TRY(parse_advance(p));
        TRY(take_word(p, "all", &is_all));
        if (!is_all)
            TRY(take_word(p, "distinct", &distinct));
        if (at_word(p, "by") && ahead_word(p, "name"))
            return parse_unsupported(p, p->tok.pos, "UNION BY NAME is");
        TRY(parse_term(p, &term));
        LIST_PUSH(p, in, n, cap, term);
        LIST_PUSH(p, all, n_all, cap_all, is_all);
        if (at_word(p, "except") || at_word(p, "intersect"))
            return parse_unsupported(p, p->tok.pos, at_word(p, "except") ? "EXCEPT is" : "INTERSECT is");
    }
    q->set.n = n;
    q->set.in = in;
    q->set.all = all;
    *out = q;
    return FZ_OK;
}

/* [ASC | DESC] [NULLS FIRST | LAST] */
static fz_status parse_direction(parser *p, bool *desc, bool *given, bool *first)
{
    bool took;
    *given = false;
    TRY(take_word(p, "desc", desc));
    if (!*desc)
        TRY(take_word(p, "asc", &took));
    if (at_word(p, "using"))
        return parse_unsupported(p, p->tok.pos, "ORDER BY … USING is");
    if (at_word(p, "nulls") && (ahead_word(p, "first") || ahead_word(p, "last"))) {
        TRY(parse_advance(p));
        *given = true;
        *first = at_word(p, "first");
        TRY(parse_advance(p));
    }
    return FZ_OK;
}

static fz_status parse_order(parser *p, ast_query *q)
{
    uint32_t cap = 0;
    ast_order *list = NULL;
    bool comma;
    TRY(parse_advance(p));
    TRY(need_word(p, "by"));
    if (at_word(p, "all") && !ahead_op(p, ".")) {
        TRY(parse_advance(p));
        q->order_all = true;
        return parse_direction(p, &q->order_all_desc, &q->order_all_nulls_given, &q->order_all_nulls_first);
    }
    do {
        ast_order o = {0};
        TRY(parse_expr(p, &o.e));
        TRY(parse_direction(p, &o.desc, &o.nulls_given, &o.nulls_first));
        LIST_PUSH(p, list, q->n_order, cap, o);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_list_end(p));
    q->order = list;
    return FZ_OK;
}

/* LIMIT n | ALL, OFFSET n [ROWS], FETCH FIRST [n] ROWS ONLY, in any order. */
static fz_status parse_limits(parser *p, ast_query *q)
{
    bool took, rows;
    for (;;) {
        sql_pos pos = p->tok.pos;
        if (at_word(p, "limit")) {
            if (q->limit)
                return parse_fail(p, &p->tok, "LIMIT stands here twice");
            TRY(parse_advance(p));
            TRY(take_word(p, "all", &took));
            if (!took)
                TRY(parse_expr(p, &q->limit));
            if (at_op(p, "%") || at_word(p, "percent"))
                return parse_unsupported(p, pos, "LIMIT in percent is");
            if (at_op(p, ","))
                return parse_unsupported(p, p->tok.pos, "LIMIT with a comma (write LIMIT n OFFSET m) is");
        } else if (at_word(p, "offset")) {
            if (q->offset)
                return parse_fail(p, &p->tok, "OFFSET stands here twice");
            TRY(parse_advance(p));
            TRY(parse_expr(p, &q->offset));
            TRY(take_word(p, "rows", &rows));
            if (!rows)
                TRY(take_word(p, "row", &rows));
        } else if (at_word(p, "fetch")) {
            if (q->limit)
                return parse_fail(p, &p->tok, "LIMIT stands here twice");
            TRY(parse_advance(p));
            TRY(take_word(p, "first", &took));
            if (!took)
                TRY(need_word(p, "next"));
            if (at_word(p, "row") || at_word(p, "rows")) {
                ast_expr *one = expr_new(p, AX_LITERAL, pos);
                if (!one)
                    return FZ_NOMEM;
                one->value = (datum){.t = TYPE(T_INT32), .i32 = 1};
                q->limit = one;
            } else {
                TRY(parse_unary(p, &q->limit));
            }
            TRY(take_word(p, "rows", &rows));
            if (!rows)
                TRY(need_word(p, "row"));
            if (at_word(p, "with"))
                return parse_unsupported(p, p->tok.pos, "FETCH … WITH TIES is");
            TRY(need_word(p, "only"));
        } else if (at_word(p, "for") && (ahead_word(p, "update") || ahead_word(p, "share"))) {
            return parse_unsupported(p, pos, "SELECT … FOR UPDATE is");
        } else {
            return FZ_OK;
        }
    }
}

/* A query's height: what it contains, and its own share. */
static fz_status query_height(parser *p, ast_query *q, unsigned outer)
{
    unsigned depth = p->tallest + QUERY_DEPTH;
    if (depth > SQL_MAX_DEPTH) {
        error_sql(p->err, FZ_LIMIT, "54001", "the statement is nested too deeply");
        error_line(p->err, q->pos.line, q->pos.column);
        return FZ_LIMIT;
    }
    q->depth = (uint16_t)depth;
    p->tallest = depth > outer ? depth : outer;
    return FZ_OK;
}

fz_status parse_query(parser *p, const ast_query **out)
{
    sql_pos pos = p->tok.pos;
    TRY(parse_enter(p, QUERY_DEPTH));
    ast_query with = {0};
    const ast_query *body;
    unsigned outer = p->tallest;
    p->tallest = 0;
    if (at_word(p, "with"))
        TRY(parse_ctes(p, &with));
    TRY(parse_body(p, &body));
    ast_query tail = {0};
    if (at_word(p, "order"))
        TRY(parse_order(p, &tail));
    TRY(parse_limits(p, &tail));
    bool has_tail = tail.n_order || tail.order_all || tail.limit || tail.offset;
    bool taken = body->n_ctes || body->n_order || body->order_all || body->limit || body->offset;
    ast_query *q = (ast_query *)body; /* made by this parser, shared with nobody */
    if ((has_tail || with.n_ctes) && taken) {
        /* (SELECT … LIMIT 3) ORDER BY …: a query around the query */
        q = query_new(p);
        const ast_query **in = ARENA_ARRAY(p->a, const ast_query *, 1);
        bool *all = ARENA_ARRAY(p->a, bool, 1);
        if (!q || !in || !all)
            return error_nomem(p->err);
        in[0] = body;
        all[0] = true;
        q->body = BODY_UNION;
        q->set.n = 1;
        q->set.in = in;
        q->set.all = all;
    }
    if (with.n_ctes || has_tail) {
        q->n_ctes = with.n_ctes;
        q->ctes = with.ctes;
        q->order_all = tail.order_all;
        q->order_all_desc = tail.order_all_desc;
        q->order_all_nulls_given = tail.order_all_nulls_given;
        q->order_all_nulls_first = tail.order_all_nulls_first;
        q->n_order = tail.n_order;
        q->order = tail.order;
        q->limit = tail.limit;
        q->offset = tail.offset;
    }
    q->pos = pos;
    parse_leave(p, QUERY_DEPTH);
    *out = q;
    return query_height(p, q, outer);
}
