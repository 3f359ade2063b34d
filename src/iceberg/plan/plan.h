/*
 * plan.h: predicates by field id, pruning with them, and scan planning.
 *
 * PREDICATES follow SQL: a comparison with a null is unknown, a row counts only where the
 * predicate is true, NaN equals itself and is greater than every other number. Evaluating one against
 * what is known of a set of rows (bounds, null and NaN counts) gives the set of outcomes that
 * its rows can have: a subset of {true, false, unknown} that is never too small. No `true` in
 * it: the rows are skipped. Nothing but `true`: every row matches and needs no filter. The same
 * code prunes manifests (partition summaries), data files (partition values and column bounds) and,
 * through ib_pred_eval, the engine's row groups and pages.
 *
 * Partition values enter as bounds of their source column: a transform's value is turned back into
 * the range of source values it stands for, so that one evaluation serves every transform; bucket
 * adds a test for equality.
 */
#ifndef ICEBERG_PLAN_H
#define ICEBERG_PLAN_H

#include "base/task.h"
#include "iceberg/manifest/cache.h"
#include "iceberg/manifest/manifest.h"

typedef enum ib_pred_kind {
    IB_PRED_TRUE, IB_PRED_FALSE, IB_PRED_NULL, /* constants */
    IB_PRED_UNKNOWN,             /* anything this form can't say: every outcome is possible */
    IB_PRED_AND, IB_PRED_OR,     /* children[n] */
    IB_PRED_NOT,                 /* children[1] */
    IB_PRED_LT, IB_PRED_LE, IB_PRED_GT, IB_PRED_GE, IB_PRED_EQ, IB_PRED_NE, /* field op values[0] */
    IB_PRED_IN,                  /* field in values[n], ascending by datum_cmp */
    IB_PRED_IS_NULL, IB_PRED_NOT_NULL,
    IB_PRED_IS_NAN,              /* unknown for null */
    IB_PRED_STARTS_WITH,         /* text: field begins with values[0] */
} ib_pred_kind;

typedef struct ib_pred {
    ib_pred_kind kind;
    int32_t field_id;
    uint32_t n;
    const struct ib_pred *const *children;
    const datum *values; /* not null; of the field's type or one that compares with it (int and long,
                            float and double, decimals); others leave the leaf undecided */
} ib_pred;

/* Makers; everything in the arena (values are copied, their bytes are not). NULL: no memory. */
const ib_pred *ib_pred_const(arena *a, ib_pred_kind kind);
const ib_pred *ib_pred_and(arena *a, const ib_pred *x, const ib_pred *y); /* a NULL one is left out */
const ib_pred *ib_pred_or(arena *a, const ib_pred *x, const ib_pred *y);
const ib_pred *ib_pred_not(arena *a, const ib_pred *x);
const ib_pred *ib_pred_cmp(arena *a, ib_pred_kind kind, int32_t field_id, const datum *value); /* LT … NE, STARTS_WITH */
/* Sorts; with a null among the values the predicate is true or unknown, never false. */
const ib_pred *ib_pred_in(arena *a, int32_t field_id, uint32_t n, const datum *values);
const ib_pred *ib_pred_test(arena *a, ib_pred_kind kind, int32_t field_id); /* IS_NULL, NOT_NULL, IS_NAN */

/* What is known of one column in a set of rows. */
typedef struct ib_bounds {
    int64_t rows;            /* -1 unknown */
    int64_t nulls;           /* -1 unknown */
    int64_t nans;            /* -1 unknown; read only for floats */
    bool has_lower, has_upper;
    datum lower, upper;      /* every value that is neither null nor NaN lies within; need not be reached */
} ib_bounds;

/* Outcomes that rows can have. */
enum { IB_CAN_TRUE = 1, IB_CAN_FALSE = 2, IB_CAN_NULL = 4, IB_CAN_ANY = 7 };

/* Fills `out` for a field; false: nothing is known of it. */
typedef bool (*ib_bounds_fn)(void *ctx, int32_t field_id, ib_bounds *out);
unsigned ib_pred_outcomes(const ib_pred *p, ib_bounds_fn fn, void *ctx);
/* The same as two answers; p NULL: everything matches. */
typedef enum ib_match { IB_MATCH_NONE, IB_MATCH_SOME, IB_MATCH_ALL } ib_match;
ib_match ib_pred_eval(const ib_pred *p, ib_bounds_fn fn, void *ctx);
/* Whether one row, by its values, satisfies p: for tests, and for residuals of single rows. A field without
 * value (false from fn) is null. */
typedef bool (*ib_value_fn)(void *ctx, int32_t field_id, datum *out);
bool ib_pred_row(const ib_pred *p, ib_value_fn fn, void *ctx);

/* A manifest by its partition summaries; a data file by its partition values and, where it has
 * statistics, its column bounds. p NULL: all. */
ib_match ib_pred_manifest(const ib_pred *p, const ib_metadata *md, const ib_manifest_file *mf);
ib_match ib_pred_file(const ib_pred *p, const ib_metadata *md, const ib_data_file *f);

/* ---- scan planning ---- */

/* A delete file that some of the scan's data files need. */
typedef struct ib_scan_delete {
    const ib_data_file *file; /* with statistics */
    int64_t sequence_number;
    uint32_t group;          /* equality deletes: equal numbers, the same data files; 0: of all partitions */
    uint32_t ordinal;        /* in the scan's deletes */
    uint32_t users;          /* data files that it is for */
} ib_scan_delete;

typedef struct ib_scan_file {
    const ib_data_file *file;
    int64_t sequence_number, snapshot_id;
    bool all_match;          /* every row satisfies the predicate (those that were deleted aside) */
    uint32_t n_deletes;
    const ib_scan_delete *const *deletes; /* that may hold rows of this file: position deletes first */
} ib_scan_file;

typedef struct ib_scan {
    arena mem;
    uint32_t n;
    ib_scan_file *files;     /* in order of insertion: by sequence number, then manifest, then place in it */
    int64_t rows, size_bytes; /* sums over files; deletes not taken off */
    uint32_t n_deletes;
    const ib_scan_delete *const *deletes;
    uint32_t manifests, manifests_read; /* in the list; looked into (the others were pruned) */
    uint32_t files_pruned;   /* of the manifests looked into */
    uint32_t n_held;
    ib_decoded **held;       /* what `files` and `deletes` point into … */
    uint32_t n_arenas;
    arena *arenas;           /* … and these */
} ib_scan;

/* The data files of a snapshot (NULL: the empty table) that can hold rows that satisfy p (NULL: all rows), each with
 * its delete files (spec, "Scan Planning"). Manifests are read in parallel by the job (NULL: by the caller), from the cache
 * where they are there: a table that was planned before reads nothing. FZ_UNSUPPORTED, by name: formats other than
 * Parquet and Avro, deletion vectors, encryption. want_stats: the files have their statistics. */
fz_status ib_plan_stats(const ib_metadata *md, const ib_snapshot *s, const ib_pred *p, bool want_stats, ib_manifest_cache *cache,
                        job *j, mem *m, ib_scan **out, fz_error *err);
fz_status ib_plan(const ib_metadata *md, const ib_snapshot *s, const ib_pred *p, ib_manifest_cache *cache, job *j,
                  mem *m, ib_scan **out, fz_error *err);
void ib_scan_free(ib_scan *s); /* NULL allowed */

/* Number of rows from the metadata alone; *known false where that can't be said (live delete files, counts
 * missing in a version 1 list). Reads at most the manifest list. */
fz_status ib_count_rows(const ib_metadata *md, const ib_snapshot *s, ib_manifest_cache *cache, mem *m, int64_t *rows,
                        bool *known, fz_error *err);

#endif
