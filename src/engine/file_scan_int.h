/* file_scan_int.h: what a scan leaves out of a file (scan_prune.c), for file_scan.c. */
#ifndef ENGINE_FILE_SCAN_INT_H
#define ENGINE_FILE_SCAN_INT_H

#include "engine/file_scan.h"

/* A Parquet file and how its columns are found. */
typedef struct prune_file {
    const file_scan_options *o;
    pq_file *p;
    io_file *f;
    const pq_match *how;
} prune_file;

/* A row group by its statistics, then by Bloom filters. No predicate: IB_MATCH_SOME. */
ib_match prune_group(const prune_file *x, uint32_t rg);
/* The rows of a row group whose pages can match, as ascending disjoint ranges in the arena. */
fz_status prune_pages(const prune_file *x, uint32_t rg, arena *a, pq_row_range **out, uint32_t *n, fz_error *err);

#endif
