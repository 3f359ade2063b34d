/*
 * grow.h: vectors built value by value, for readers of row-wise files (Avro, JSON).
 *
 *     grow_init ──> { grow_begin ──> rows … ──> grow_emit } ──> grow_free
 *
 * The columns of a schema and all their members lie in one array in preorder: the members of a column are those from its index + 1
 * up to its `end`, a list's element or a map's key following it at once. Each has `n` values so far. Appending a row appends one value to each
 * top-level column, and so on down:
 *
 *   leaf       the value to data[n], n++                          null: grow_null
 *   struct     one value to each member, then grow_struct         null: grow_null
 *   list, map  any number of values to its members, grow_list     null: grow_null
 *
 * Room. grow_begin makes room for the batch's rows in top-level columns and members of structs there, so appending to them needs
 * no check. For values of a list or map call grow_room for each member first.
 *
 * Memory. One block per batch, sized by what the batches before needed; what outgrows it gets a block of its own. The batch
 * that grow_emit makes is stable: it holds these blocks. Bytes of texts lie in buffers that the caller adds to the batch, or
 * come from grow_bytes.
 */
#ifndef ARROW_GROW_H
#define ARROW_GROW_H

#include "arrow/vector.h"
#include "base/blockpool.h"

typedef struct grow_col {
    type t;
    uint8_t phys, size;    /* of a value; 4 for the offsets of lists and maps, 0 for structs */
    bool absent;           /* null in every row: takes no values */
    bool has_null;
    uint32_t parent;       /* UINT32_MAX: a column */
    uint32_t ord;          /* which member of its parent */
    uint32_t end;          /* behind its members */
    uint32_t n, cap, hint; /* values; room; room that is made at once */
    void *data;            /* of a list or map: offsets, cap + 1 of them */
    uint64_t *valid;       /* once has_null: ones up to cap where no null is */
    buf *own;              /* that data and valid lie in; NULL: in the batch's block */
} grow_col;

typedef struct grow {
    mem *m;
    blockpool *pool;
    uint32_t n, ntop;
    grow_col *cols;
    uint32_t *top;         /* index of each column in cols */
    buf *slab;
    batch *out;            /* since grow_begin */
    buf *bytes;            /* that grow_bytes gives from; the batch's */
    size_t bytes_at;
} grow;

/* types: n columns; they outlive g and its batches. The pool is borrowed. */
fz_status grow_init(grow *g, uint32_t n, const type *types, blockpool *pool, mem *m, fz_error *err);
void grow_free(grow *g);
/* The column's member with that ordinal. */
uint32_t grow_member(const grow *g, uint32_t col, uint32_t ord);
/* Columns start anew, with room for `rows` rows, for the batch `out`, which was reset and may be given buffers meanwhile. */
fz_status grow_begin(grow *g, uint32_t rows, batch *out, fz_error *err);
/* Memory for the bytes of a text that goes with the batch; NULL: no memory. What isn't used of the last one given may be given back. */
char *grow_bytes(grow *g, size_t n);
static inline void grow_bytes_back(grow *g, size_t n) { g->bytes_at -= n; }
fz_status grow_room_slow(grow *g, uint32_t col, uint32_t more, fz_error *err);
/* Room for `more` values of a column and of the members of structs in it. */
static inline fz_status grow_room(grow *g, uint32_t col, uint32_t more, fz_error *err)
{
    grow_col *c = &g->cols[col];
    if (__builtin_expect((uint64_t)c->n + more > c->cap, 0))
        return grow_room_slow(g, col, more, err);
    return FZ_OK;
}
void grow_null_slow(grow *g, uint32_t col);
/* Appends a null, with its members. */
static inline void grow_null(grow *g, uint32_t col)
{
    grow_col *c = &g->cols[col];
    if (c->has_null && c->phys != PHYS_NESTED) {
        bit_clear(c->valid, c->n);
        memset((char *)c->data + (size_t)c->n++ * c->size, 0, c->size);
    } else {
        grow_null_slow(g, col);
    }
}
/* A struct's value: its members have theirs. */
static inline void grow_struct(grow *g, uint32_t col) { g->cols[col].n++; }
/* The values of its members since the last one are a list's or map's next value. */
static inline void grow_list(grow *g, uint32_t col)
{
    grow_col *c = &g->cols[col];
    ((uint32_t *)c->data)[++c->n] = g->cols[col + 1].n;
}
/* Takes back everything that was appended to a column and its members after it had n values; for lists only as a whole. */
void grow_cut(grow *g, uint32_t col, uint32_t n);
/* The rows so far into the batch: cols, nrows, nsel, stable and keep. Every column has `rows` values. */
fz_status grow_emit(grow *g, uint32_t rows, fz_error *err);

#define GROW_AT(g, T, col) ((T *)(g)->cols[col].data + (g)->cols[col].n)

#endif
