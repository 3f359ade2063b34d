/* file_scan_int.h: what a scan leaves out of a file (scan_prune.c), what it fetches ahead (scan_fetch.c), for file_scan.c. */
#ifndef ENGINE_FILE_SCAN_INT_H
#define ENGINE_FILE_SCAN_INT_H

#include "engine/file_scan.h"

#include <pthread.h>

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

/* ---- open files ---- */

typedef struct held_file held_file;

typedef struct scan_fetch {
    const file_scan_options *o;
    pthread_mutex_t lock;    /* guards what follows */
    held_file *held;
    uint32_t ahead;          /* the first file that isn't asked for ahead */
} scan_fetch;

/* What the table's metadata says; -1: nothing. */
int64_t scan_file_size(const scan_file *sf);
void scan_fetch_init(scan_fetch *x, const file_scan_options *o); /* o outlives x */
void scan_fetch_free(scan_fetch *x);
/* The file, open; shared by all who hold it. */
fz_status scan_fetch_get(scan_fetch *x, uint32_t file, held_file **out, io_file **f, fz_error *err);
void scan_fetch_put(scan_fetch *x, held_file *h); /* NULL allowed */
/* Asks for the beginning of the files from `next` on, where they are remote. */
void scan_fetch_ahead(scan_fetch *x, uint32_t next);
/* Asks for columns of a row group; how many bytes they are. */
uint64_t scan_fetch_group(const scan_fetch *x, const prune_file *pf, uint32_t rg, uint32_t n, const column_def *const *cols);

#endif
