/*
 * vector.h: columns in memory: vectors, and batches of them.
 *
 * A vector has one of four encodings; `len` is always the number of rows it stands for:
 *
 *   FLAT   data: len values                              valid: bitmap over rows or NULL
 *   CONST  data: one value for every row                 valid: NULL, or one 0 bit: all null
 *   DICT   data: uint32_t codes[len], values: FLAT       valid: bitmap over rows or NULL
 *   RLE    data: uint32_t ends[nruns] (exclusive,        valid: unused; nulls are in values
 *          ascending, last = len), values: FLAT of nruns
 *
 * Bitmaps are Arrow's: bit i of the little-endian byte sequence, 1 = valid; NULL = no nulls.
 * A bitmap is readable to the next multiple of 8 bytes; bits past len are unspecified. Values under a 0 bit are unspecified
 * but initialised (codes under a 0 bit are 0). In a DICT the dictionary itself has no nulls
 * and codes are < values->len: who makes the vector guarantees it, kernels rely on it.
 *
 * Vectors of nested types have their members in `kids` and are FLAT or CONST (never DICT, RLE):
 *
 *   T_STRUCT       data: NULL                   kids: one per field, each of this vector's rows
 *   T_LIST, T_MAP  data: uint32_t offsets[rows+1], ascending, not always from 0
 *                                               kids: the element; or key and value, of
 *                                               at least offsets[rows] rows (shared with slices)
 *
 * where rows is len for FLAT and 1 for CONST. Kids have any encoding and any length: BATCH_ROWS and
 * 16-bit selections bound top-level rows only. A member under a null parent is unspecified but
 * initialised, valid or not; so is the range of a null list (offsets stay ascending). A map's
 * keys aren't null. A CONST null has neither data nor kids. A kid is a whole vector of its own: where its
 * own bit is 1 its value can be read, also under a null parent and outside of all lists' ranges.
 *
 * A batch is a set of vectors of one length with an optional selection: `sel` lists, in
 * ascending order, the rows that count; values of rows that aren't selected may be anything.
 * Every batch carries its source position (morsel, seq), for sinks that keep order.
 *
 * Ownership. A batch handed to a consumer is borrowed: it is valid until that call returns.
 * A consumer that keeps it calls batch_hold(), which takes references if the batch's large
 * memory lies in refcounted buffers (`stable`, listed in `keep`), and copies otherwise. Large
 * are: FLAT data, codes, dictionaries and the bytes of long texts. Bitmaps, run ends, constants
 * and the selection may lie in the arena of a stable batch: they are small and are copied.
 */
#ifndef ARROW_VECTOR_H
#define ARROW_VECTOR_H

#include "arrow/type.h"

#define BATCH_ROWS 8192 /* at most this many rows in a batch; sources aim at it */

typedef enum vec_enc { VEC_FLAT, VEC_CONST, VEC_DICT, VEC_RLE } vec_enc;

typedef struct vec {
    type t;
    uint8_t enc;          /* vec_enc */
    uint32_t len;
    uint32_t nruns;       /* RLE */
    void *data;
    uint64_t *valid;
    struct vec *values;   /* DICT, RLE */
    uint64_t dict_id;     /* DICT: equal non-zero ids mean the same dictionary; 0: unknown */
    struct vec *kids;     /* nested types: type's n members (struct), 1 (list) or 2 (map) */
} vec;

typedef struct batch {
    uint32_t ncols, nrows;
    vec *cols;
    const uint16_t *sel;  /* NULL: all rows */
    uint32_t nsel;        /* rows that count: nrows where sel is NULL */
    uint64_t morsel;      /* position: ordinal of the source's morsel … */
    uint32_t seq;         /* … and of the batch within it */
    bool stable;          /* all memory of the batch is covered by keep */
    buf **keep;
    uint32_t nkeep, capkeep;
    arena mem;            /* small structures of the batch; owned */
} batch;

static inline bool bit_get(const uint64_t *b, size_t i) { return b[i >> 6] >> (i & 63) & 1; }
static inline void bit_set(uint64_t *b, size_t i) { b[i >> 6] |= 1ull << (i & 63); }
static inline void bit_clear(uint64_t *b, size_t i) { b[i >> 6] &= ~(1ull << (i & 63)); }
#define BITMAP_WORDS(n) (((size_t)(n) + 63) / 64)

void batch_init(batch *b, mem *m);
/* Releases references and contents; keeps the arena's memory for reuse. */
void batch_reset(batch *b);
void batch_free(batch *b);
/* cols = ncols zeroed vectors in the batch's arena. */
fz_status batch_columns(batch *b, uint32_t ncols, fz_error *err);
/* Adds a reference that batch_reset gives back. The caller's own reference stays his. */
fz_status batch_keep(batch *b, buf *x, fz_error *err);
/* Moves everything from src to dst (dst is released first); src is empty afterwards. */
void batch_move(batch *dst, batch *src);
/* Makes dst (initialised) a copy of src that outlives it; see Ownership above. A copy is made
 * dense: selection applied, FLAT or CONST vectors. */
fz_status batch_hold(batch *dst, const batch *src, fz_error *err);

/* ---- vectors ---- */

/* FLAT vector of len uninitialised values in the arena; valid = NULL. A struct's members are
 * allocated likewise, of len rows; a list or map has zeroed offsets, and members without
 * rows, which who fills it replaces. */
fz_status vec_alloc(vec *v, type t, uint32_t len, arena *a, fz_error *err);
/* A zeroed (all null) or all-ones bitmap of len bits in the arena; NULL: no memory. */
uint64_t *bitmap_alloc(arena *a, uint32_t len, bool ones);
/* CONST vector from a datum; the value and, for strings, its bytes are copied to the arena. */
fz_status vec_const(vec *v, const datum *d, uint32_t len, arena *a, fz_error *err);
/* The value of a row, whatever the encoding; strings point into the vector. */
datum vec_datum(const vec *v, uint32_t row);
bool vec_is_null(const vec *v, uint32_t row);
/* Of a nested value (datum.nested): fields of a struct; elements, or entries, of a list or map; 0 of a
 * null. */
uint32_t nested_count(const datum *d);
/* Member i of a value that isn't null: a struct's field, a list's element (k = 0), a map's key (k = 0) or
 * value (k = 1). */
datum nested_member(const datum *d, uint32_t i, uint32_t k);
/* Whether any row can be null (false is certain). */
bool vec_may_null(const vec *v);
/* dst: FLAT vector of the rows sel[0..n) of src (all rows if sel is NULL, then n = src->len),
 * with values in the arena. String bytes are shared with src unless copy_bytes. */
fz_status vec_gather(vec *dst, const vec *src, const uint16_t *sel, uint32_t n, bool copy_bytes,
                     arena *a, fz_error *err);
/* The same with indexes of any size and without selection's bounds: for members of nested vectors. idx
 * need not ascend; UINT32_MAX gives a null. */
fz_status vec_take(vec *dst, const vec *src, const uint32_t *idx, uint32_t n, bool copy_bytes, arena *a,
                   fz_error *err);
/* dst: FLAT vector of type t with the rows of all srcs, whose types have t's layout, one vector after the other. String
 * bytes are shared; the values are copied. */
fz_status vec_concat(vec *dst, type t, const vec *srcs, uint32_t n, arena *a, fz_error *err);
/* dst: the same rows as src, FLAT; shares src's memory if it is FLAT already. */
fz_status vec_flatten(vec *dst, const vec *src, arena *a, fz_error *err);
/* dst: rows [from, from+n) of src, sharing its memory (bitmaps are shifted into the arena). */
fz_status vec_slice(vec *dst, const vec *src, uint32_t from, uint32_t n, arena *a, fz_error *err);

/* ---- a named, typed list of columns ---- */

typedef struct column_def {
    str name;
    type t;
    bool not_null;
    int32_t field_id; /* Iceberg's, or -1 */
    str doc;          /* comment, or empty */
} column_def;

typedef struct row_schema {
    uint32_t n;
    column_def *cols;
} row_schema;

#endif
