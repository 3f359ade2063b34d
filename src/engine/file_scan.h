/*
 * file_scan.h: a scan over a list of Parquet and Avro files: the rows of a table's snapshot, or of files named in a
 * query. It turns files into morsels, prunes row groups and pages, leaves out deleted rows, and reads columns late: the columns of
 * the filter first, conjunct by conjunct, the others only for rows that are left.
 *
 * A morsel is a run of rows of one row group (FILE_SCAN_MORSEL rows, so that the pages of files written here don't
 * straddle morsels; up to four times as many of files written elsewhere), or a whole row group of up to FILE_SCAN_SMALL rows where there
 * are many; a run of blocks of an Avro file, or a whole small Parquet file. Workers take morsels in order; a worker that gets
 * a later morsel of the row group it is in moves its cursors forward instead of opening them anew.
 *
 * A table's files are of all the schemas and specs that it had. A column is found by field id, in files without ids as
 * iceberg/plan/mapping.h says. One that isn't there has the value of the file's identity partition field, else is null.
 */
#ifndef ENGINE_FILE_SCAN_H
#define ENGINE_FILE_SCAN_H

#include "engine/footer_cache.h"
#include "exec/source.h"
#include "format/parquet/parquet.h"
#include "iceberg/deletes/deletes.h"
#include "iceberg/plan/mapping.h"

#define FILE_SCAN_MORSEL 65536
#define FILE_SCAN_SMALL  131072 /* files of at most so many rows are one morsel */

typedef struct scan_file {
    const char *path;
    int64_t rows;        /* what the table's metadata says, or -1: whatever the footer says */
    bool all_match;      /* every row satisfies the filter: it isn't evaluated */
    const ib_scan_file *planned; /* of a table, else NULL */
} scan_file;

typedef struct file_scan_options {
    uint32_t n_files;
    const scan_file *files;     /* outlives the scan: in the arena of whoever opens it */
    const row_schema *schema;   /* the table's; request columns refer to it */
    bool by_name;               /* columns are found by name (plain files), else by field id */
    const ib_pred *pred;        /* over field ids (ordinals + 1 where by_name), for pruning row groups; or NULL */
    const ib_metadata *md;      /* of a table, else NULL; and what belongs to its files: */
    const ib_mapping *mapping;  /* for files without field ids, or NULL */
    ib_deletes *deletes;        /* of the table's scan, files numbered as here, or NULL */
    footer_cache *footers;
    uint32_t share, shares;     /* shares > 1: only morsels whose number divided by `shares` leaves `share` */
    file_io *io;                /* of the table, or of the lake */
    mem *m;
    void *owned;                /* released with owned_free when the scan closes */
    void (*owned_free)(void *owned);
} file_scan_options;

fz_status file_scan_open(const file_scan_options *o, const scan_request *r, scan **out, fz_error *err);

#endif
