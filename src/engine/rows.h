/* rows.h: a result of text cells, built row by row; out of memory is kept and reported by rows_result. */
#ifndef ENGINE_ROWS_H
#define ENGINE_ROWS_H

#include "engine/engine_int.h"

typedef struct rows {
    statement *st;
    row_schema schema;
    datum *cells;      /* row-major */
    uint32_t n, cap;
    bool failed;
} rows;

void rows_init(rows *r, statement *st, uint32_t ncols, const char *const *names);
void rows_cell(rows *r, const char *p, size_t n); /* p NULL: NULL; copied */
void rows_str(rows *r, str s);
void rows_z(rows *r, const char *z);
void rows_sbuf(rows *r, sbuf *b); /* and clears b */
/* Takes the statement, also on failure. */
fz_status rows_result(rows *r, const char *tag, fz_result **out, fz_error *err);

#endif
