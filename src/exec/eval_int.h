/*
 * eval_int.h: compiled expressions; private to compile.c and eval.c.
 */
#ifndef EXEC_EVAL_INT_H
#define EXEC_EVAL_INT_H

#include "base/hash.h"
#include "exec/func_int.h"

enum step_op {
    STEP_COLUMN, STEP_CONST, STEP_CALL, STEP_IS_NULL,
    STEP_BEGIN, STEP_LOGIC, STEP_WHEN, STEP_THEN, STEP_COALESCE, STEP_END,
    STEP_FILTER,
};

typedef struct step {
    uint8_t op, flags;   /* FN_… */
    bool try_;
    type t;
    uint32_t out, jump;  /* register; step to go to */
    uint32_t nargs;
    uint32_t *args;      /* registers */
    const expr *e;
    kernel_fn *run;
    void *state;
    void (*close)(void *state);
    /* results per dictionary entry; the value of STEP_CONST */
    bool cache_ready, cached;
    uint64_t cache_id;
    vec cache_vec;
    arena cache;
} step;

typedef struct program {
    step *steps;
    uint32_t n, cap, result;
    bool *is_const;      /* per register: a constant of the statement */
    bool ready;
} program;

/* CASE and COALESCE of a nested type gather the values that branches give, and where each row's lies in them. */
typedef struct choice { vec *parts; uint32_t n, cap, total; uint32_t *idx; } choice;
typedef struct frame { const uint16_t *sel, *rest; uint32_t nsel, nrest; choice *choice; } frame;

struct evaluator {
    mem *m;
    arena mem;           /* programs */
    arena scratch;       /* one run's vectors */
    const expr *e;
    const datum *params;
    uint32_t n_params;
    program value, filter;
    vec *regs;
    const bool *is_const;
    uint32_t nregs, capregs;
    frame *frames;
    uint32_t depth, max_depth;
    const uint16_t *sel; /* the current selection */
    uint32_t nsel;
};

#define EXPR_DEPTH_MAX 1000

fz_status program_prepare(evaluator *ev, bool filter, fz_error *err);

/* Rows of a boolean vector that are true, among rows[0..n) (NULL: 0..n-1). */
uint32_t rows_true(const vec *v, const uint16_t *rows, uint32_t n, uint16_t *out);
fz_status program_run(evaluator *ev, const program *p, const batch *b, fz_error *err);

#endif
