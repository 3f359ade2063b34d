/*
 * exec_util.h: what the executor's tests share: expressions by hand, tables in memory that come in every encoding
 * with selections and garbage in the rows that don't count, and results as text.
 */
#ifndef TESTS_EXEC_UTIL_H
#define TESTS_EXEC_UTIL_H

#include "exec/plan.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct rnd { uint64_t s; } rnd;
uint64_t rnd_next(rnd *r);
static inline uint32_t rnd_to(rnd *r, uint32_t n) { return (uint32_t)(rnd_next(r) >> 33) % n; }

/* ---- expressions; in an arena that lives as long as the test ---- */
extern arena test_arena;
const expr *ex_col(uint32_t i, type t);
const expr *ex_datum(datum d);
const expr *ex_i32(int32_t v);
const expr *ex_i64(int64_t v);
const expr *ex_f64(double v);
const expr *ex_bool(bool v);
const expr *ex_str(const char *s);
const expr *ex_null(type t);
const expr *ex_dec(const char *text, unsigned p, unsigned s);
/* Resolves the function and puts the casts in; asserts that there is one. */
const expr *ex_call(const char *fn, uint32_t n, ...);
const expr *ex_cast(const expr *e, type t, bool try_);
const expr *ex_op(expr_kind k, type t, uint32_t n, ...);
/* The folded value as text; "NULL"; or "!sqlstate message" where it fails. */
const char *folded(const expr *e);
agg_expr ex_agg(const char *fn, const expr *arg);

/* ---- tables in memory ---- */
typedef struct mem_table {
    table_source t;      /* first */
    uint32_t nrows, ncols;
    datum *cells;        /* row-major */
    uint32_t batch_rows, batches_per_morsel;
    int workers;
    bool plain;          /* FLAT only, no garbage */
    bool blocks;         /* answers BLOCKED now and then */
    uint64_t seed;
    _Atomic int open_scans;
    _Atomic int64_t delivered;
} mem_table;
/* Set while a table makes a batch, which mustn't fail: an allocator that fails lets that pass. */
extern _Thread_local bool table_reads;
mem_table *mem_table_new(uint32_t ncols, const type *types, uint32_t nrows);
#define CELL(t, r, c) ((t)->cells[(size_t)(r) * (t)->ncols + (c)])

/* ---- plans ---- */
plan *pl_scan(mem_table *t, const expr *filter);
plan *pl_node(plan_kind k, const plan *a, const plan *b, row_schema out);
row_schema schema_of(uint32_t n, const type *t);

/* ---- results ---- */
typedef struct rows { char **row; uint32_t n, cap; } rows;
void rows_add(rows *r, const char *text);
void rows_sort(rows *r);
void rows_free(rows *r);
void row_cell(sbuf *b, uint32_t col, const datum *d); /* "a|b|NULL" */
/* Runs by query_next or query_run; the status, rows in order. */
fz_status run_plan(const plan *p, pool *po, bool push, int64_t mem_limit, rows *out, fz_error *err);
void assert_rows(const rows *got, const rows *want, const char *what);

#endif
