/* cursor_int.h: a cursor: the plan of a column (plan.c), and how its vectors are put together (assemble.c). */
#ifndef FORMAT_PARQUET_CURSOR_INT_H
#define FORMAT_PARQUET_CURSOR_INT_H

#include "format/parquet/read_int.h"

typedef struct plan_node {
    const pq_node *f;      /* NULL: not in the file */
    type t;                /* as which it is delivered */
    uint32_t parent;       /* UINT32_MAX: the column itself */
    uint32_t kids, n_kids; /* nodes [kids, kids + n_kids) */
    uint32_t chunk;        /* a leaf's own; of others, the one whose levels are theirs */
    vec *v;                /* while a read is put together: where it goes, its places */
    uint32_t places;
} plan_node;

struct pq_cursor {
    mem *m;
    pq_file *p;
    io_file *f;
    type as;
    uint64_t rows, row;    /* of the row group; passed */
    bool broken;           /* a read failed; where the cursor stands isn't known any more */
    uint32_t n_nodes, cap_nodes;
    plan_node *nodes;      /* parents first; [0] is the column */
    uint32_t n_chunks, cap_chunks;
    pq_chunk **chunks;
    vec *values;           /* of the chunks, of the present read */
};

/* Fills nodes and chunks of a cursor whose other members are set. */
fz_status plan_make(pq_cursor *c, io_file *f, uint32_t row_group, const pq_node *column, const pq_match *how, fz_error *err);
/* The vector of `rows` rows from what the chunks have read. */
fz_status assemble(pq_cursor *c, uint32_t rows, vec *v, batch *out, fz_error *err);

/* read.c: the field id of a schema element. */
int32_t element_id(const pq_file *p, const pq_match *how, uint32_t element);

#endif
