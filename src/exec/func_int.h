/*
 * func_int.h: how scalar functions are implemented: the table entry, the call, and the macros that
 * kernels are generated with. Private to exec/.
 *
 * A kernel sees FLAT or CONST arguments only (the evaluator takes dictionaries and runs apart) and
 * writes a FLAT vector whose data is allocated. For a strict function (no FN_NULLS) the evaluator has
 * set out->valid to the rows where no argument is null; the kernel writes values only. `rows` lists
 * the rows to compute:
 *
 *   FN_DENSE       the evaluator may pass rows = NULL and n = len: also rows that don't count (null or
 *                  not selected) are computed, so the kernel may neither follow pointers nor trap. If
 *                  it meets an error there it returns KERNEL_RETRY: it is called again with exactly
 *                  the rows that count, and reports the error if one of those has it.
 *   without it     exactly the rows that count (selected, and not null unless FN_NULLS).
 */
#ifndef EXEC_FUNC_INT_H
#define EXEC_FUNC_INT_H

#include "base/clones.h"
#include "exec/expr.h"

enum {
    FN_NULLS = 1,    /* handles nulls itself */
    FN_DENSE = 2,
    FN_FALLIBLE = 4,
    FN_VOLATILE = 8, /* not folded: the value changes from one call to the next */
    FN_VARIADIC = 16,
    FN_CHEAP = 32,   /* as cheap as a gather: not worth a cache of dictionary results */
    FN_RAW = 64,     /* sees arguments in any encoding, makes all of *out itself; handles nulls. `rows` are the selected
                      * ones (NULL: all); arguments' values in others are anything, codes too. With constant
                      * arguments only it is called for one row */
};

#define KERNEL_RETRY ((fz_status)1000) /* internal, never leaves the evaluator */

typedef struct kcall {
    const expr *e;         /* types and position; args[i]->t */
    arena *a;              /* lives as long as the result */
    void *state;           /* of func.open */
    uint32_t n, len;       /* rows to compute; rows of the vectors */
    const uint16_t *rows;  /* NULL: 0..n-1 */
    const vec *args;
    vec *out;
    bool try_;             /* TRY_CAST: a value that can't be converted is null */
} kcall;

typedef fz_status kernel_fn(kcall *c, fz_error *err);

/* Type ids of table entries only. DEC_WHOLE: decimal without fraction; DEC_ROUND: one digit more than argument 0. */
enum { ANY_TYPE = 200, SAME_AS_0, DEC_WHOLE, DEC_ROUND };

struct func {
    const char *name;
    uint8_t n;            /* arguments; with FN_VARIADIC: at least, the last may be repeated */
    uint8_t args[6];      /* type_id; T_DECIMAL: any precision; ANY_TYPE */
    uint8_t result;       /* type_id or SAME_AS_0 */
    uint8_t flags;
    kernel_fn *run;
    /* Optional: state prepared once per evaluator, from the arguments that are constant (others NULL). */
    fz_status (*open)(const expr *e, const datum *const *consts, mem *m, void **state, fz_error *err);
    void (*close)(void *state);
};

/* Families chosen by type, for operators. */
enum { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_DISTINCT, CMP_NOT_DISTINCT, CMP_COUNT_ };
const func *func_cmp(int op, phys p);
const func *func_cmp_nested(int op); /* CMP_EQ to CMP_GE */
int func_cmp_op(str name); /* -1: none */
enum { ARITH_ADD, ARITH_SUB, ARITH_MUL, ARITH_DIV, ARITH_MOD, ARITH_COUNT_ };
/* NULL: none for that type. t: the common type of the arguments; result gives its own type for decimals. */
fz_status func_arith(int op, type a, type b, func_match *out, fz_error *err);
const func *func_neg(type t);
const func *func_extreme(bool greatest, phys p);

/* Tables of the families; each ends with a NULL name. */
extern const func func_math_table[], func_text_table[], func_regexp_table[], func_date_table[];
extern const func func_nested_table[]; /* func_resolve_nested finds them */

/* ---- casts ---- */
bool cast_fallible(type from, type to);
kernel_fn *cast_kernel(type from, type to); /* NULL: there is none */
bool cast_dense(type from, type to);
fz_status cast_nested(kcall *c, fz_error *err); /* FN_RAW: between nested types */
bool cast_nested_exists(type from, type to);
bool cast_nested_implicit(type from, type to);

/* ---- helpers for kernels ---- */

/* FLAT or CONST, with values at the given rows (NULL: all). */
fz_status vec_flatten_rows(vec *dst, const vec *src, const uint16_t *rows, uint32_t n, arena *a, fz_error *err);
/* Row 0 of v for len rows, in place. */
fz_status vec_make_const(vec *v, uint32_t len, arena *a, fz_error *err);

/* Marks a row of the result as null. */
bool kcall_null(kcall *c, uint32_t row);
static inline bool arg_null(const vec *v, uint32_t row)
{
    return v->valid && !bit_get(v->valid, v->enc == VEC_CONST ? 0 : row);
}
#define ARG_STRIDE(v) ((v)->enc == VEC_CONST ? 0u : 1u)

/* for (i over the rows to compute) */
#define EACH_ROW(c, i)                                                                             \
    for (uint32_t k_ = 0, i = 0; k_ < (c)->n && ((i = (c)->rows ? (c)->rows[k_] : k_), true); k_++)

#define HOT CLONES

/* 10^n for n ≤ 38. */
extern const i128 pow10_i128[39];
static inline int64_t pow10_i64(unsigned n) { return (int64_t)pow10_i128[n]; } /* n ≤ 18 */

/* a * b / c, rounded half away from zero or cut, with a 256-bit product. False: doesn't fit 38 digits. */
bool i128_muldiv(i128 a, i128 b, i128 c, bool round, i128 *out);
/* a * b; false: doesn't fit 38 digits. */
bool i128_mul(i128 a, i128 b, i128 *out);
/* v / 10^n rounded half away from zero. */
i128 i128_scale_down(i128 v, unsigned n);
static inline bool i128_fits(i128 v, unsigned precision)
{
    return v < pow10_i128[precision] && v > -pow10_i128[precision];
}
/* The value of a decimal vector's row, whatever its width. */
static inline i128 decimal_at(const vec *v, uint32_t row)
{
    uint32_t i = v->enc == VEC_CONST ? 0 : row;
    return v->t.precision <= 18 ? (i128)((const int64_t *)v->data)[i] : ((const i128 *)v->data)[i];
}

/* Errors with the node's position. */
fz_status kernel_error(const kcall *c, fz_error *err, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
fz_status kernel_overflow(const kcall *c, fz_error *err); /* 22003, "bigint out of range" */

/* Float order with NaN greatest and equal to itself. */
static inline int f64_cmp(double a, double b)
{
    if (a < b)
        return -1;
    if (a > b)
        return 1;
    if (a == b)
        return 0;
    return (a != a) - (b != b);
}

#endif
